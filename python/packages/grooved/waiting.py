"""Waiting with a timeout."""

from __future__ import annotations

import asyncio
from typing import Awaitable, TypeVar

from .errors import TimedOut

T = TypeVar("T")


async def within(seconds: float, awaitable: Awaitable[T], what: str) -> T:
    """Returns the result of `awaitable`, which is cancelled if it takes longer than `seconds`.

    Unlike `asyncio.wait_for` before Python 3.12, it never swallows a cancellation of the caller.

    Raises:
        TimedOut: It took longer; the message is `what`, followed by the time.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if done:
            return task.result()
    finally:
        task.cancel()
    raise TimedOut(f"{what} within {seconds:g} s")
