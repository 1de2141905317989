"""A connection to the daemon's WebSocket API."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import logging
import numbers
import os
import random
import ssl as tls
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Coroutine, Dict, Generator, List, Mapping, Optional, Set, Tuple, Type, Union

from .address import Address
from .errors import Closed, Error, Refused, TimedOut, Unreachable
from .subscription import Subscription, closed_here
from .updates import Message, Value, values_of
from .vocabulary import Control, Stream, control_of, stream_of
from .waiting import within
from .wire import Wire, dial

HINT = "is grooved running there, with this HTTP port (http.port), on an address others can reach (http.bind)?"
# The daemon reads messages of up to 64 KiB.
MOST_BYTES = 64 * 1024
# The daemon accepts requests for 400 values in all, and a wildcard may match 300 of them.
MOST_PENDING = 100
# The daemon drops what exceeds 2000 messages a second beyond a burst of 4000; some room is left for keep-alive frames.
RATE, BURST = 1_800.0, 3_000.0
# Pauses between attempts to reconnect, in seconds: doubled up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# HTTP status that another attempt would not change: a wrong token, host name or path.
FINAL = (401, 403, 404)

log = logging.getLogger("grooved")


@dataclass
class _Pending:
    """A request without a reply."""

    reply: asyncio.Future[Mapping[str, Any]]
    subscription: Optional[Subscription]


class _Pace:
    """Spreads requests so that the daemon drops none of them."""

    def __init__(self) -> None:
        self._room = BURST
        self._at = time.monotonic()

    async def turn(self) -> None:
        now = time.monotonic()
        self._room = min(BURST, self._room + (now - self._at) * RATE) - 1.0
        self._at = now
        if self._room < 0.0:
            await asyncio.sleep(-self._room / RATE)


class Show:
    """A connection to the daemon, created by `grooved.connect`.

    All methods may be called concurrently from tasks of the same event loop. A request that is not answered in time
    raises `TimedOut`; the end of the connection raises `Closed` in all requests and subscriptions.
    """

    def __init__(
        self,
        address: Address,
        token: Optional[str],
        timeout: float,
        reconnect: bool,
        ssl: Optional[tls.SSLContext],
    ) -> None:
        self.url = address.url
        self.timeout = timeout
        self._token = token
        self._reconnect = reconnect
        self._ssl = ssl
        self._wire: Optional[Wire] = None
        self._runner: Optional[asyncio.Task[None]] = None
        self._chores: Set[asyncio.Task[None]] = set()
        self._ended: Optional[Error] = None
        self._ids = itertools.count(1)
        self._pending: Dict[int, _Pending] = {}
        # Running subscriptions: all of them in their order, and by the numbers that they have on this connection.
        self._subscriptions: List[Subscription] = []
        self._numbers: Dict[int, Subscription] = {}
        self._pace = _Pace()

    async def __aenter__(self) -> Show:
        if self._runner is not None:
            raise RuntimeError("a connection can be entered only once; call connect again")
        # Before Python 3.10 these belong to the loop that is current when they are made.
        self._up = asyncio.Event()
        self._slots = asyncio.Semaphore(MOST_PENDING)
        self._wildcards = asyncio.Lock()
        wire = await self._dial()
        self._wire = wire
        self._up.set()
        self._runner = asyncio.ensure_future(self._run(wire))
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, Show]:
        return self.__aenter__().__await__()

    async def close(self) -> None:
        """Closes the connection; pending requests and subscriptions end with `Closed` (1000)."""
        if self._runner is None:
            return
        self._end(closed_here())
        if self._wire is not None:
            await self._wire.close()
        tasks = [self._runner, *self._chores]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def get(self, path: str, *, timeout: Optional[float] = None) -> Any:
        """Returns the present value of a control.

        Args:
            path: Path of a control with a value, or of a status or meter. In paths of controls, `*` matches anything,
                also slashes, and `?` one character.
            timeout: Time in seconds; default: that of the connection.

        Returns:
            The value (int, float, str), or a tuple of the values if the control has not exactly one. With wildcards:
            a dict from path to such a value, of up to 300 values.

        Raises:
            Refused: There is no such path, or it has no value.
        """
        if not is_pattern(path):
            result = await self._request({"op": "get", "path": path}, timeout)
            return plain(next(iter(result.values())))
        # One at a time, because the daemon limits the values that are being asked for.
        async with self._wildcards:
            result = await self._request({"op": "get", "path": path}, timeout)
        return {name: plain(values) for name, values in result.items()}

    async def set(self, path: str, *args: object, timeout: Optional[float] = None) -> None:
        """Sets a control; returns when it has been applied and its value can be read.

        Args:
            path: Path of a control with a value, without wildcards.
            args: Arguments (int, float, str, bool or a path of a file) as `describe` lists them.
            timeout: Time in seconds; default: that of the connection.

        Raises:
            Refused: There is no such path, or an argument is wrong, which is named then.
        """
        await self._request({"op": "set", "path": path, "args": sendable(path, args)}, timeout)

    async def call(self, path: str, *args: object, timeout: Optional[float] = None) -> Tuple[Message, ...]:
        """Calls a control; returns its answer when it is done. Loading a file, for instance, takes its time.

        Args:
            path: Path of a control, without wildcards.
            args: Arguments (int, float, str, bool or a path of a file) as `describe` lists them.
            timeout: Time in seconds; default: that of the connection.

        Returns:
            The messages of the answer; empty if there is nothing to say.

        Raises:
            Refused: There is no such path, an argument is wrong, which is named then, or the call failed.
        """
        result = await self._request({"op": "call", "path": path, "args": sendable(path, args)}, timeout)
        return tuple(Message(message["path"], values_of(message["values"])) for message in result)

    async def list(self, pattern: str = "*", *, timeout: Optional[float] = None) -> Tuple[Union[Control, Stream], ...]:
        """Returns the declarations of controls and of what can be subscribed to besides, with their documentation.

        Args:
            pattern: `*` matches anything, `?` one character. It is matched against declared paths, in which parts in
                braces stand for values: `/groove/deck/*` finds `/groove/deck/{deck}/level`, `/groove/deck/a/*` nothing.
            timeout: Time in seconds; default: that of the connection.
        """
        result = await self._request({"op": "list", "path": pattern}, timeout)
        return (*map(control_of, result["controls"]), *map(stream_of, result["streams"]))

    async def describe(self, path: str, *, timeout: Optional[float] = None) -> Union[Control, Stream]:
        """Returns the declaration of one control, or of what can be subscribed to, with its documentation.

        Args:
            path: A path such as `/groove/deck/a/level`, or as declared.
            timeout: Time in seconds; default: that of the connection.

        Raises:
            Refused: There is no such path.
        """
        result = await self._request({"op": "describe", "path": path}, timeout)
        return control_of(result) if "args" in result else stream_of(result)

    async def ping(self, *, timeout: Optional[float] = None) -> float:
        """Returns the time in seconds that a request and its reply take."""
        start = time.perf_counter()
        await self._request({"op": "ping"}, timeout)
        return time.perf_counter() - start

    def subscribe(
        self, *paths: str, rate: float = 10.0, since: Optional[int] = None, life: Optional[int] = None
    ) -> Subscription:
        """Subscribes to states and events: a context manager, and an asynchronous iterator over the updates.

        Entering it raises `Refused` if there is no such path or a limit is exceeded (16 subscriptions, 32 paths each).
        Messages about scheduled calls of this connection are delivered to all its subscriptions.

        Args:
            paths: Paths of controls with values, `/status/…`, `/meter/…`, `/beat`, `/event/…` and `/log/…`, with `*`
                and `?` as wildcards.
            rate: How often states that change are delivered at most, in Hz, 0.1 to 50.
            since: Number of the first event to be delivered, of the last 2048 that the daemon keeps; 0: all of them.
                None: those from now on.
            life: The `life` of the subscription that `since` comes from. If the daemon was restarted since then, a
                `Gap` and all events of its new run are delivered. None: this is not checked.
        """
        return Subscription(self, paths, rate, since, life)

    async def _open(self, subscription: Subscription) -> None:
        """Subscribes anew: at first, and after reconnecting."""
        fields: Dict[str, Any] = {"op": "subscribe", "paths": subscription.paths, "rate": subscription.rate}
        while True:
            if subscription._next_event is not None:
                fields["since"] = subscription._next_event
            result = await self._request(fields, None, subscription)
            if subscription._life is not None and not subscription._ended:
                return
            await self._unsubscribe(result["subscription"])
            if subscription._ended:
                return
            # The daemon was restarted: all of its events are news.

    async def _drop(self, subscription: Subscription) -> None:
        """Ends a subscription at the daemon."""
        self._forget(subscription)
        number = subscription._number
        if number is not None and self._numbers.get(number) is subscription:
            del self._numbers[number]
            await self._unsubscribe(number)

    def _forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    async def _unsubscribe(self, number: int) -> None:
        """Ends a subscription by its number; if the connection has ended, so has the subscription."""
        with suppress(Error):
            await self._request({"op": "unsubscribe", "subscription": number}, None)

    async def _request(
        self, fields: Dict[str, Any], timeout: Optional[float], opens: Optional[Subscription] = None
    ) -> Any:
        """Returns the result of a request; `opens` is the subscription that it begins."""
        if self._runner is None:
            raise RuntimeError("not connected: use 'async with grooved.connect(…) as show'")
        seconds = self.timeout if timeout is None else timeout
        path = fields.get("path") or ", ".join(fields.get("paths", ())) or None
        what = f"{self.url} did not answer '{fields['op']}{' ' if path else ''}{path or ''}'"
        reply = await within(seconds, self._exchange(fields, opens), what)
        if reply["ok"]:
            return reply["result"]
        error = reply["error"]
        raise Refused(path, error.get("argument"), error["message"])

    async def _exchange(self, fields: Dict[str, Any], opens: Optional[Subscription]) -> Mapping[str, Any]:
        number = next(self._ids)
        text = json.dumps({"id": number, **fields}, allow_nan=False)
        if len(text) > MOST_BYTES:
            raise ValueError(f"a request of {len(text)} bytes; expected at most {MOST_BYTES}")
        async with self._slots:
            await self._pace.turn()
            while self._wire is None and self._ended is None:
                await self._up.wait()
            if self._ended is not None or self._wire is None:
                raise copy.copy(self._ended or closed_here())
            pending = _Pending(asyncio.get_running_loop().create_future(), opens)
            self._pending[number] = pending
            try:
                # If the connection ends now, the reading task says so to everybody.
                with suppress(Closed):
                    await self._wire.send(text)
                return await pending.reply
            finally:
                self._pending.pop(number, None)

    async def _dial(self) -> Wire:
        """Connects, and makes sure that the other side is the WebSocket API."""
        wire = await dial(self.url, self._token, self.timeout, self._ssl, HINT)
        try:
            await wire.send('{"id": 0, "op": "ping"}')
            first = await within(self.timeout, wire.receive(), f"{self.url} did not answer 'ping'")
            if is_pong(first):
                return wire
            kind = "the DDSP stream" if isinstance(first, bytes) else "something else"
            raise Unreachable(self.url, f"this is {kind}, not the WebSocket API of grooved; {HINT}")
        except TimedOut as error:
            await wire.close()
            raise Unreachable(self.url, f"no answer to a ping within {self.timeout:g} s; {HINT}") from error
        except BaseException:
            await wire.close()
            raise

    async def _run(self, wire: Wire) -> None:
        """Reads everything; reconnects if the connection is lost."""
        resuming: Optional[asyncio.Task[None]] = None
        while True:
            closed = await self._read(wire)
            self._wire = None
            self._numbers.clear()
            if self._ended is None and not self._reconnect:
                self._end(closed)
            if self._ended is not None:
                return
            self._up.clear()
            self._fail(closed)
            log.warning("%s: %s; reconnecting", self.url, closed)
            again = await self._redial()
            if again is None:
                return
            wire = self._wire = again
            self._up.set()
            if resuming is not None:
                resuming.cancel()
            resuming = self._start(self._resume(wire))

    async def _read(self, wire: Wire) -> Closed:
        """Reads messages until the connection ends; returns how it ended."""
        try:
            while True:
                message = await wire.receive()
                try:
                    self._dispatch(json.loads(message))
                except Exception as error:  # Nothing that it sends may leave requests waiting.
                    await wire.close()
                    return Closed(1002, f"this is no message of grooved: {message[:80]!r} ({error!r})")
        except Closed as closed:
            return closed

    def _dispatch(self, message: Any) -> None:
        if "ok" in message:
            self._answered(message)
        elif message["push"] == "message":
            for subscription in self._subscriptions:
                subscription._put(Message(message["path"], values_of(message["values"])))
        else:
            known = self._numbers.get(message["subscription"])
            if known is not None:
                known._take(message)

    def _answered(self, message: Mapping[str, Any]) -> None:
        number = message["id"]
        pending = self._pending.pop(number, None)
        if pending is None or pending.reply.done():
            result = message.get("result")
            if isinstance(result, dict) and "subscription" in result:
                # Nobody waits for this subscription any more.
                self._start(self._unsubscribe(result["subscription"]))
            elif number is None:
                log.warning("%s: %s", self.url, message["error"]["message"])
            return
        opens = pending.subscription
        if opens is not None and message["ok"] and not opens._ended and opens._accept(message["result"]):
            # Before its first update, which may be the next message.
            self._numbers[message["result"]["subscription"]] = opens
            if opens not in self._subscriptions:
                self._subscriptions.append(opens)
        pending.reply.set_result(message)

    async def _redial(self) -> Optional[Wire]:
        """Tries to connect until it succeeds; None if there is no point in trying."""
        pause = FIRST_PAUSE
        while True:
            # Many clients of a daemon that was restarted must not come back in step.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            try:
                return await self._dial()
            except Unreachable as error:
                if error.status in FINAL:
                    self._end(error)
                    return None
                log.info("%s", error)
            except Closed as error:
                log.info("%s: %s", self.url, error)
            pause = min(2.0 * pause, LONGEST_PAUSE)

    async def _resume(self, wire: Wire) -> None:
        """Subscribes again, after reconnecting."""
        for subscription in list(self._subscriptions):
            try:
                await self._open(subscription)
            except Refused as error:
                self._forget(subscription)
                subscription._finish(error)
            except TimedOut:
                # It is connected but does not answer: begin again.
                await wire.close()
                return
            except Closed:
                return

    def _start(self, chore: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs a coroutine in the background, until the connection is closed."""
        task = asyncio.ensure_future(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    def _fail(self, error: Error) -> None:
        """Ends all requests."""
        for pending in self._pending.values():
            if not pending.reply.done():
                pending.reply.set_exception(copy.copy(error))
        self._pending.clear()

    def _end(self, error: Error) -> None:
        """Ends everything, for the first reason that there is."""
        if self._ended is not None:
            return
        self._ended = error
        self._up.set()
        self._fail(error)
        for subscription in self._subscriptions:
            subscription._finish(error)


def is_pattern(path: str) -> bool:
    """Returns whether a path has wildcards."""
    return "*" in path or "?" in path


def is_pong(message: Union[str, bytes]) -> bool:
    """Returns whether a message is the reply to the ping with which a connection begins."""
    try:
        reply = json.loads(message)
        return bool(reply["id"] == 0 and reply["ok"])
    except (KeyError, TypeError, ValueError):
        return False


def plain(values: List[Any]) -> Any:
    """Returns one value as it is, others as a tuple."""
    return values[0] if len(values) == 1 else values_of(values)


def sendable(path: str, args: Tuple[object, ...]) -> List[Value]:
    """Returns arguments as they are sent.

    Raises:
        TypeError: An argument is neither a number, text nor a path.
        ValueError: A number is not finite.
    """
    out: List[Value] = []
    for place, arg in enumerate(args, 1):
        if isinstance(arg, str):
            out.append(arg)
        elif isinstance(arg, os.PathLike):
            out.append(os.fsdecode(arg))
        elif isinstance(arg, numbers.Integral):
            out.append(int(arg))
        elif isinstance(arg, numbers.Real):
            number = float(arg)
            if number - number != 0.0:
                raise ValueError(f"{path}: argument {place} is {number}; expected a finite number")
            out.append(number)
        else:
            kind = type(arg).__name__
            raise TypeError(f"{path}: argument {place} is of type {kind}; expected int, float, str, bool or a path")
    return out
