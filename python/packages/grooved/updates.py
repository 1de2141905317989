"""What a subscription delivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

Value = Union[int, float, str, None]
"""A value of a control. None stands for a number that is not finite."""

Values = Tuple[Value, ...]
"""Values of a path, in the order in which the vocabulary lists them."""


@dataclass(frozen=True)
class State:
    """States that have changed since the last `State`; the first one has all of them.

    Attributes:
        time: Sample time of the daemon, in frames.
        values: Values by path; None instead of values: it no longer exists.
    """

    time: int
    values: Mapping[str, Optional[Values]]


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        number: Consecutive number, over all events of the daemon since its start.
        at: Time in seconds since 1970, by the daemon's clock.
        path: Path, such as `/event/stem/started`.
        values: Values.
    """

    number: int
    at: float
    path: str
    values: Values


@dataclass(frozen=True)
class Gap:
    """Events that were lost: the daemon, or the queue of a subscription that was not read, no longer has them.

    Attributes:
        missed: How many; those that the subscription would not have delivered may be counted too. None: unknown,
            because the daemon was restarted; all events since its start follow.
        first: Number of the first one; None if the daemon was restarted.
    """

    missed: Optional[int]
    first: Optional[int]


@dataclass(frozen=True)
class Message:
    """A message of the daemon: part of the answer to a call, or about a call that was answered before.

    The latter are `/done` and `/fail` (with the path, and the reason) of a call that was scheduled by `/groove/at`, and
    `/late` (with the path, and by how many seconds).

    Attributes:
        path: Path.
        values: Values.
    """

    path: str
    values: Values


Update = Union[State, Event, Gap, Message]
"""What a subscription delivers."""


def values_of(given: List[Any]) -> Values:
    """Returns values as they stand in a message."""
    return tuple(given)


def states_of(given: Mapping[str, Any]) -> Dict[str, Optional[Values]]:
    """Returns the values of a pushed state."""
    return {path: None if values is None else values_of(values) for path, values in given.items()}
