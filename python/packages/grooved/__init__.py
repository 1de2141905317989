"""Client of grooved, a daemon that mixes decks of stems and plays instruments.

`connect` controls the daemon over its WebSocket API; `stream` plays an instrument over its DDSP stream::

    import asyncio
    import grooved

    async def main():
        async with grooved.connect("appliance.local", token="…") as show:
            await show.set("/groove/tempo", 124, 4.0)
            print(await show.get("/groove/deck/*/level"))
            async with show.subscribe("/beat", "/event/*") as updates:
                async for update in updates:
                    print(update)

    asyncio.run(main())
"""

from __future__ import annotations

import os
import ssl as tls
from typing import Optional

from .address import complete
from .ddsp_stream import TYPECODES, DdspStream, StreamInfo
from .errors import Closed, Error, Refused, TimedOut, Unreachable
from .show import Show
from .subscription import Subscription
from .updates import Event, Gap, Message, State, Update, Value, Values
from .vocabulary import Argument, Control, Stream

__all__ = [
    "Argument",
    "Closed",
    "Control",
    "DdspStream",
    "Error",
    "Event",
    "Gap",
    "Message",
    "Refused",
    "Show",
    "State",
    "Stream",
    "StreamInfo",
    "Subscription",
    "TimedOut",
    "Unreachable",
    "Update",
    "Value",
    "Values",
    "connect",
    "stream",
]


def connect(
    url: str = "ws://localhost:8080",
    *,
    token: Optional[str] = None,
    timeout: float = 10.0,
    reconnect: bool = False,
    ssl: Optional[tls.SSLContext] = None,
) -> Show:
    """Connects to the daemon: `async with grooved.connect(…) as show`, or `show = await grooved.connect(…)`.

    Args:
        url: A host, with or without a port, or a URL (`ws`, `wss`, `http`, `https`). Port 8080 (443 for `wss` and
            `https`, behind a reverse proxy) and the path `/api/ws` are filled in if they are missing.
        token: The token of the daemon (`http.token`); this machine needs none. Default: the one in `url` (`?token=…`),
            else that of the environment variable GROOVED_TOKEN.
        timeout: Time in seconds for connecting, and for each request.
        reconnect: Whether a lost connection is opened again, with pauses that grow from 0.1 to 5 s, until it is
            closed. Requests that were sent before raise `Closed`, because it is unknown whether they were carried out;
            later ones wait for the connection. Subscriptions continue: with the first event that was not received, or
            a `Gap` if the daemon no longer has it or was restarted, and with all states anew, those known before being
            None first.
        ssl: TLS settings for `wss`; default: the system's certificates.

    Raises:
        ValueError: `url` is not a URL, or `timeout` is not above 0.
        Unreachable: On entering: there is no grooved, or it does not accept the token.
    """
    address = complete(url, 8080, "/api/ws")
    given = token or address.token or os.environ.get("GROOVED_TOKEN")
    return Show(address, given.strip() if given else None, positive(timeout), reconnect, ssl)


def stream(
    url: str = "ws://localhost:8765",
    *,
    instrument: Optional[str] = None,
    format: str = "f32",
    frame_ms: float = 20.0,
    rate: int = 48_000,
    mode: str = "push",
    timeout: float = 10.0,
    ssl: Optional[tls.SSLContext] = None,
) -> DdspStream:
    """Opens a DDSP stream: `async with grooved.stream(…) as voice`, or `voice = await grooved.stream(…)`.

    Args:
        url: A host, with or without a port, or a URL. Port 8765 (443 for `wss` and `https`) is filled in.
        instrument: Name of the instrument; None: that of the daemon.
        format: Format of the samples: `f32` (32-bit float) or `s16` (16-bit integer).
        frame_ms: Length of a frame in ms, 2 to 500.
        rate: Sample rate in Hz, 8000 to 96000.
        mode: `push`: frames come in real time; `pull`: each is rendered when it is read, as fast as possible.
        timeout: Time in seconds for connecting, for each change and for each frame.
        ssl: TLS settings for `wss`; default: the system's certificates.

    Raises:
        ValueError: `url`, `format` or `mode` is none of these, or `timeout` is not above 0.
        Unreachable: On entering: there is no DDSP stream of grooved, or all places are taken (status 503).
        Refused: On entering: there is no such instrument, or a number is out of range.
        Closed: On entering, with code 1011: the daemon has no instrument; the reason says why.
    """
    if format not in TYPECODES:
        raise ValueError(f"format is {format!r}; expected 's16' or 'f32'")
    if mode not in ("push", "pull"):
        raise ValueError(f"mode is {mode!r}; expected 'push' or 'pull'")
    wanted = {"format": format, "frame_ms": frame_ms, "rate": rate, "mode": mode}
    if instrument is not None:
        wanted["instrument"] = instrument
    return DdspStream(complete(url, 8765, "/"), wanted, positive(timeout), ssl)


def positive(timeout: float) -> float:
    """Returns a timeout in seconds.

    Raises:
        ValueError: It is not above 0.
    """
    if not timeout > 0:
        raise ValueError(f"timeout is {timeout!r}; expected a number of seconds above 0")
    return timeout
