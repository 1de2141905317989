"""A WebSocket relay that records what a client sends and what its server answers.

A keyboard in the older documentation plays without ever reading its sound. The relay reads it, so that a test can hear
what that client would have heard.
"""

from __future__ import annotations

import array
import asyncio
import threading
from typing import Any

import websockets


class Relay:
    """A relay to `uri`, on a free port of this machine, in a thread of its own. Use it as a context manager."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.port = 0
        self.record: list[str | bytes] = []
        """Texts of the client and sound of the server, in order of arrival."""
        self._open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))

    def __enter__(self) -> Relay:
        self._thread.start()
        if not self._open.wait(10):
            raise TimeoutError("the relay did not open its port within 10 s")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def sounds(self) -> list[tuple[str, array.array]]:
        """Returns each text of the client with the 16-bit samples that followed it."""
        heard: list[tuple[str, array.array]] = []
        for message in self.record:
            if isinstance(message, str):
                heard.append((message, array.array("h")))
            elif heard:
                heard[-1][1].frombytes(message)
        return heard

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        async with websockets.serve(self._pass_on, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._open.set()
            await self._stop.wait()

    async def _pass_on(self, client: Any) -> None:
        async with websockets.connect(self.uri) as server:
            sound = asyncio.ensure_future(self._pass_back(server, client))
            try:
                async for text in client:
                    self.record.append(text)
                    await server.send(text)
            finally:
                sound.cancel()

    async def _pass_back(self, server: Any, client: Any) -> None:
        pending = set()
        async for frame in server:
            self.record.append(frame)
            # A client that does not read must not hold up the recording.
            if len(pending) < 10:
                task = asyncio.ensure_future(client.send(frame))
                pending.add(task)
                task.add_done_callback(lambda task: (pending.discard(task), task.cancelled() or task.exception()))
