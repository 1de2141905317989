"""WebSocket connections, with the errors of this package."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
from typing import Any, Dict, Optional, Union

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from .errors import Closed, Unreachable

# The appliance is in the same network: a proxy for the web does not lead there. Older versions never use one.
DIRECT: Dict[str, Any] = {"proxy": None} if "proxy" in inspect.signature(connect).parameters else {}
# Longer than any message of the daemon: a list of all controls has 50 kB, a frame of the stream at most 192 kB.
MOST_BYTES = 16 << 20
# Time in seconds that a daemon has to answer a close frame.
CLOSE_WITHIN = 2.0


def closed_by(error: ConnectionClosed) -> Closed:
    """Returns the exception of this package for that of websockets."""
    if error.rcvd is not None:
        return Closed(error.rcvd.code, error.rcvd.reason)
    # A frame that only this side has sent names the cause, such as a keep-alive ping that was not answered.
    reason = error.sent.reason if error.sent is not None else ""
    return Closed(1006, reason or "lost without a closing handshake")


def said(response: Any) -> str:
    """Returns the explanation in the body of a rejection, which the daemon sends as JSON, or else its status."""
    try:
        return str(json.loads(response.body)["error"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return f"HTTP {response.status_code} {response.reason_phrase}"


class Wire:
    """An open WebSocket connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """Sends a text message.

        Raises:
            Closed: The connection has ended.
        """
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise closed_by(error) from None

    async def receive(self) -> Union[str, bytes]:
        """Returns the next message: text or binary.

        Raises:
            Closed: The connection has ended.
        """
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            raise closed_by(error) from None

    async def close(self) -> None:
        """Closes the connection; takes 2 s at most."""
        await self._socket.close()


async def dial(url: str, token: Optional[str], timeout: float, context: Optional[ssl.SSLContext], hint: str) -> Wire:
    """Opens a connection to a complete URL.

    Args:
        url: The URL.
        token: Sent as `Authorization: Bearer TOKEN`.
        timeout: Time in seconds for the whole opening handshake.
        context: TLS settings of a wss URL; None: the system's certificates.
        hint: What to check if nothing listens there.

    Raises:
        Unreachable: It could not be opened.
    """
    options: Dict[str, Any] = dict(DIRECT)
    if token:
        options["additional_headers"] = {"Authorization": f"Bearer {token}"}
    if context is not None:
        options["ssl"] = context
    opening = connect(
        url, compression=None, open_timeout=timeout, close_timeout=CLOSE_WITHIN, max_size=MOST_BYTES, **options
    )
    try:
        return Wire(await opening)
    except InvalidStatus as error:
        raise Unreachable(url, said(error.response), error.response.status_code) from error
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise Unreachable(url, f"no answer within {timeout:g} s; {hint}") from error
    except ConnectionRefusedError as error:
        raise Unreachable(url, f"connection refused; {hint}") from error
    except OSError as error:
        raise Unreachable(url, f"{error.strerror or error}; {hint}") from error
    except (InvalidHandshake, EOFError, ValueError) as error:
        # Before websockets 14.2, an answer that is not HTTP is a ValueError or EOFError.
        raise Unreachable(url, f"no WebSocket there ({error}); {hint}") from error
