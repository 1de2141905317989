"""One subscription to states and events, with its queue."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Deque, Dict, Mapping, Optional, Set, Tuple, Type, Union

from .errors import Closed, Error
from .updates import Event, Gap, Message, State, Update, Values, states_of, values_of

if TYPE_CHECKING:
    from .show import Show

MOST_QUEUED = 2048
"""Number of unread events and messages that a subscription keeps, which is as many as the daemon keeps."""


class _Changed:
    """The place in the queue of the state that has not been read."""


_CHANGED = _Changed()


class Subscription:
    """Updates of states and events: a context manager, and an asynchronous iterator over `Update`.

    It is created by `Show.subscribe`. Iterating ends when the context ends, and raises `Closed` when the connection
    does. Updates that arrive while nobody iterates are queued: newer states replace older ones, and of more than 2048
    events the oldest are replaced by a `Gap`. A subscription that is not read does not affect others, nor requests.
    """

    def __init__(
        self, show: Show, paths: Tuple[str, ...], rate: float, since: Optional[int], life: Optional[int]
    ) -> None:
        self.paths = paths
        self.rate = rate
        self._show = show
        self._next_event = since
        self._life = life
        self._number: Optional[int] = None
        self._queue: Deque[Union[_Changed, Event, Gap, Message]] = deque()
        self._state: Dict[str, Optional[Values]] = {}
        self._time = 0
        # Paths of states that exist, as far as the daemon has said.
        self._known: Set[str] = set()
        self._ended = False
        self._error: Optional[Error] = None
        self._news: Optional[asyncio.Event] = None

    @property
    def next_event(self) -> int:
        """Number of the event after the last one received: the `since` with which another subscription continues."""
        return self._next_event or 0

    @property
    def life(self) -> int:
        """Identifies the daemon's run that the numbers of events belong to: the `life` that goes with `next_event`."""
        return self._life or 0

    async def __aenter__(self) -> Subscription:
        if self._news is not None:
            raise RuntimeError("a subscription can be entered only once; call subscribe again")
        self._news = asyncio.Event()
        try:
            await self._show._open(self)
        except BaseException:
            self._finish(None)
            await self._show._drop(self)
            raise
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._finish(None)
        await self._show._drop(self)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Update:
        if self._news is None:
            raise RuntimeError("a subscription must be entered first: async with show.subscribe(…) as updates")
        while not self._queue:
            if self._error is not None:
                raise copy.copy(self._error)
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        first = self._queue.popleft()
        if isinstance(first, _Changed):
            state, self._state = self._state, {}
            return State(self._time, state)
        return first

    def _accept(self, result: Mapping[str, Any]) -> bool:
        """Begins with the daemon's reply; returns False, to begin anew, if it was restarted since `next_event`."""
        life, following = int(result["life"]), int(result["next_event"])
        self._number = int(result["subscription"])
        # The numbers tell it as well if a daemon without a clock began twice at the same time of day.
        if self._next_event is not None and (self._life not in (None, life) or self._next_event > following):
            self._life = None
            self._next_event = 0
            self._put(Gap(None, None))
            return False
        if self._next_event is None:
            self._next_event = following
        self._life = life
        if self._known:
            # The daemon sends all states anew, but does not know which of those seen before are gone.
            self._change(self._time, {path: None for path in self._known})
        return True

    def _take(self, push: Mapping[str, Any]) -> None:
        """Queues a push of the daemon."""
        kind = push["push"]
        if kind == "state":
            self._change(push["time"], states_of(push["values"]))
        elif kind == "event":
            self._next_event = push["number"] + 1
            self._put(Event(push["number"], push["at"], push["path"], values_of(push["values"])))
        elif kind == "gap":
            self._next_event = push["from"] + push["missed"]
            self._put(Gap(push["missed"], push["from"]))

    def _change(self, time: int, values: Dict[str, Optional[Values]]) -> None:
        if values and not self._state:
            self._queue.append(_CHANGED)
        self._state.update(values)
        self._time = time
        self._known.update(values)
        self._known.difference_update(path for path, given in values.items() if given is None)
        self._notify()

    def _put(self, update: Union[Event, Gap, Message]) -> None:
        self._queue.append(update)
        if len(self._queue) > MOST_QUEUED:
            self._shorten()
        self._notify()

    def _shorten(self) -> None:
        """Replaces the oldest events, with a gap in front of them, by one gap."""
        missed: Optional[int] = 0
        first: Optional[int] = None
        kept: Deque[Union[_Changed, Event, Gap, Message]] = deque()
        # A few at a time, so that this is not repeated for each event.
        for _ in range(MOST_QUEUED // 8):
            update = self._queue.popleft()
            if isinstance(update, _Changed):
                kept.append(update)
            elif isinstance(update, Gap):
                missed = None if missed is None or update.missed is None else missed + update.missed
                first = update.first if first is None else first
            else:
                missed = None if missed is None else missed + 1
                first = update.number if first is None and isinstance(update, Event) else first
        self._queue.extendleft(reversed([*kept, Gap(missed, None if missed is None else first)]))

    def _finish(self, error: Optional[Error]) -> None:
        """Ends the iteration after what is queued: with an error, or just so."""
        if self._ended:
            return
        self._ended = True
        self._error = error
        self._notify()

    def _notify(self) -> None:
        if self._news is not None:
            self._news.set()


def closed_here() -> Closed:
    """Returns the exception for what is asked of a connection after this client has closed it."""
    return Closed(1000, "closed by this client")
