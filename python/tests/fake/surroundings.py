"""What surrounds the programs of the older documentation, so that they run here as printed.

As a program, `surroundings.py FILE [ARGUMENTS]` runs a Python file unmodified in these surroundings. The environment
variable OLDER_PORT is the port that takes the place of 8765, which may be in use on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import runpy
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import websockets

PRINTED_PORT = 8765


def port_of(port: int, own: int) -> int:
    """Returns the port to use in the place of `port`."""
    return own if port == PRINTED_PORT else port


class Serve:
    """A `websockets.serve` on another port.

    The real one is called within the event loop only: the page calls it outside, and some versions then look for the
    loop too early.
    """

    def __init__(self, own: int, handler: Any, host: str, port: int) -> None:
        self.arguments = handler, host, port_of(port, own)

    def __await__(self) -> Any:
        return serve(*self.arguments).__await__()

    async def __aenter__(self) -> Any:
        self.server = await self
        return self.server

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()


serve, connect, run = websockets.serve, websockets.connect, asyncio.run


def run_server(main: Any) -> Any:
    """Is `asyncio.run` for `asyncio.run(websockets.serve(…))`, as the page prints it.

    Before Python 3.14, `asyncio.run` accepts coroutines only, and later ones close the server as soon as it is open.
    """

    async def until_stopped() -> Any:
        result = await main
        if hasattr(result, "wait_closed"):
            await result.wait_closed()
        return result

    return run(until_stopped())


@contextlib.contextmanager
def on_port(own: int) -> Iterator[None]:
    """Redirects servers and clients from port 8765 to another, within this process."""

    def redirected(uri: str) -> Any:
        # The page's keyboard never reads its sound, so that closing the connection lasts as long as this.
        return connect(uri.replace(f":{PRINTED_PORT}", f":{own}"), close_timeout=1)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(websockets, "serve", lambda *args: Serve(own, *args)))
        stack.enter_context(mock.patch.object(websockets, "connect", redirected))
        stack.enter_context(mock.patch.object(asyncio, "run", run_server))
        yield


if __name__ == "__main__":
    del sys.argv[0]
    with on_port(int(os.environ["OLDER_PORT"])):
        # The streaming server of the page uses json without importing it.
        runpy.run_path(sys.argv[0], init_globals={"json": json}, run_name="__main__")
