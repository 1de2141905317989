"""Stand-in for the package `mido`: a MIDI input port on which somebody plays `keys`.

As with the real port, iterating blocks until the next message arrives, and with it everything else in an asyncio loop.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Message:
    """A channel message."""

    type: str
    note: int
    velocity: int


keys: list[tuple[Message, float]] = []
"""Messages that the port receives, each with the time in seconds until the next one or the end."""


class open_input:
    """Opens the port."""

    def __enter__(self) -> open_input:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Message]:
        for message, seconds in keys:
            yield message
            time.sleep(seconds)
