"""A client of the DDSP stream: notes go in, frames of sound come out."""

from __future__ import annotations

import array
import asyncio
import copy
import json
import logging
import math
import ssl as tls
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Deque, Dict, Generator, Iterable, List, Mapping, Optional, Tuple, Type, Union

from .address import Address
from .errors import Closed, Error, Refused, TimedOut, Unreachable
from .subscription import closed_here
from .waiting import within
from .wire import Wire, dial

HINT = "is grooved running there, with this port of the DDSP stream (ddsp.listen)?"
HELLO: Dict[str, Any] = {"type": "hello"}
TYPECODES = {"s16": "h", "f32": "f"}
# Time in ms for which frames that nobody reads are kept, and the number of frames that are kept at least.
KEPT_MS, LEAST_KEPT = 1_000.0, 8

# Time in ms within which the note fades that the daemon plays to clients that have not sent anything.
FADE_MS = 20.0

log = logging.getLogger("grooved")


@dataclass(frozen=True)
class StreamInfo:
    """What the daemon says about a stream.

    Attributes:
        version: Version of the daemon.
        format: Sample format: `f32` (32-bit float) or `s16` (16-bit integer).
        rate: Sample rate in Hz.
        frame: Samples in a frame.
        frame_ms: Length of a frame in ms.
        mode: `push` (frames come in real time) or `pull` (frames come when they are read).
        voices: Most pitches and notes at a time.
        monitor: Whether the stream may be played on the speakers as well.
        instrument: Name of the instrument.
        instruments: Names of all instruments.
        pitch_range_hz: Lowest and highest pitch of the instrument's training, in Hz.
        loudness_range_dbfs: Softest and loudest sound of its training, in dBFS.
        licence: Licence of its weights.
    """

    version: str
    format: str
    rate: int
    frame: int
    frame_ms: float
    mode: str
    voices: int
    monitor: bool
    instrument: str
    instruments: Tuple[str, ...]
    pitch_range_hz: Tuple[float, float]
    loudness_range_dbfs: Tuple[float, float]
    licence: str


def info_of(given: Mapping[str, Any]) -> StreamInfo:
    """Returns the information in a reply to `hello`."""
    pitch, loudness = given["pitch_range_hz"], given["loudness_range_dbfs"]
    return StreamInfo(
        version=given["version"],
        format=given["format"],
        rate=given["rate"],
        frame=given["frame"],
        frame_ms=given["frame_ms"],
        mode=given["mode"],
        voices=given["voices"],
        monitor=given["monitor"],
        instrument=given["instrument"],
        instruments=tuple(given["instruments"]),
        pitch_range_hz=(pitch[0], pitch[1]),
        loudness_range_dbfs=(loudness[0], loudness[1]),
        licence=given["licence"],
    )


class _Asked:
    """A change that was sent and not yet confirmed."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: Optional[Error] = None


class DdspStream:
    """A DDSP stream, created by `grooved.stream`: a context manager, and an asynchronous iterator over frames.

    A frame is an `array.array` of `info.frame` mono samples: of type `f` (float, -1 to 1) for `f32`, of type `h`
    (-32768 to 32767) for `s16`. The stream is silent until something is played.

    In push mode frames come in real time. Those that nobody reads are kept for a second; then the oldest are dropped.
    A change returns when the daemon has accepted it and raises `Refused` otherwise.

    In pull mode each frame is rendered when it is read, as fast as possible. Changes are collected and sent with the
    next read, which raises `Refused` if the daemon does not accept them: then this frame is skipped, and none of the
    changes is applied, or all but one of the instrument or the monitor.

    The end of the connection raises `Closed` in everything that waits, after the frames that have arrived.
    """

    def __init__(self, address: Address, wanted: Dict[str, Any], timeout: float, ssl: Optional[tls.SSLContext]) -> None:
        self.url = address.url
        self.timeout = timeout
        self.dropped = 0
        """Frames lost so far, because they were not read in time."""
        self._wanted = wanted
        self._ssl = ssl
        self._pull = wanted["mode"] == "pull"
        self._typecode = TYPECODES[wanted["format"]]
        self._wire: Optional[Wire] = None
        self._tasks: List[asyncio.Task[None]] = []
        self._info: Optional[StreamInfo] = None
        self._frames: Deque[array.array[float]] = deque()
        self._most_frames = LEAST_KEPT
        # Whether frames have the shape that was asked for.
        self._shaped = False
        # Pull mode: changes for the next read, and frames that were requested and have not come.
        self._changes: List[Dict[str, Any]] = []
        self._requested = 0
        # Push mode: changes that wait for their confirmation, oldest first.
        self._asked: Deque[_Asked] = deque()
        self._refused: Optional[Error] = None
        self._ended: Optional[Error] = None

    @property
    def info(self) -> StreamInfo:
        """What the daemon says about the stream."""
        if self._info is None:
            raise RuntimeError("not connected: use 'async with grooved.stream(…) as voice'")
        return self._info

    @property
    def format(self) -> str:
        """Sample format: `f32` or `s16`."""
        return self.info.format

    @property
    def instrument(self) -> str:
        """Name of the instrument."""
        return self.info.instrument

    @property
    def instruments(self) -> Tuple[str, ...]:
        """Names of all instruments."""
        return self.info.instruments

    @property
    def ranges(self) -> Dict[str, Tuple[float, float]]:
        """Ranges of the instrument's training: `pitch_hz` (Hz) and `loudness_dbfs` (dBFS)."""
        return {"pitch_hz": self.info.pitch_range_hz, "loudness_dbfs": self.info.loudness_range_dbfs}

    async def __aenter__(self) -> DdspStream:
        if self._tasks:
            raise RuntimeError("a stream can be entered only once; call stream again")
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._outbox: asyncio.Queue[Tuple[str, Optional[_Asked]]] = asyncio.Queue()
        wire = await dial(self.url, None, self.timeout, self._ssl, HINT)
        self._wire = wire
        self._tasks = [asyncio.ensure_future(self._read(wire)), asyncio.ensure_future(self._write(wire))]
        try:
            await within(self.timeout, self._begin(), "it did not answer as the DDSP stream of grooved does")
        except TimedOut as error:
            await self.close()
            raise Unreachable(self.url, f"{error}; {HINT}") from error
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, DdspStream]:
        return self.__aenter__().__await__()

    async def close(self) -> None:
        """Closes the connection; what waits ends with `Closed` (1000)."""
        if self._wire is None:
            return
        self._end(closed_here())
        await self._wire.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def play(
        self,
        f0s: Union[float, Iterable[float]],
        loudness: Union[None, float, Iterable[float]] = None,
        *,
        at: float = 0.0,
    ) -> None:
        """Plays pitches instead of those that sound; `[]` is silence. Each goes to the nearest voice that sounds.

        Args:
            f0s: Pitch, or pitches, in Hz, held in 8.18 to 12544; 0 or less is silent.
            loudness: 0 to 1, for all pitches or for each; None: as it is (0.5 at first).
            at: Time in ms from now at which it is applied.
        """
        await self.set(f0s=f0s, loudness=loudness, at=at)

    async def note_on(self, note: float, velocity: float = 100, *, at: float = 0.0) -> None:
        """Begins a note with an envelope, in addition to the pitches.

        Args:
            note: MIDI number, 0 to 127; fractions are microtones.
            velocity: 0 to 127; 0 ends the note.
            at: Time in ms from now at which it is applied.
        """
        await self._change({"type": "note_on", "note": note, "velocity": velocity}, at)

    async def note_off(self, note: float, *, at: float = 0.0) -> None:
        """Ends a note.

        Args:
            note: MIDI number with which it was begun.
            at: Time in ms from now at which it is applied.
        """
        await self._change({"type": "note_off", "note": note}, at)

    async def set(
        self,
        *,
        f0s: Union[None, float, Iterable[float]] = None,
        loudness: Union[None, float, Iterable[float]] = None,
        instrument: Optional[str] = None,
        pitch_shift: Optional[float] = None,
        harmonic_gain: Optional[float] = None,
        noise_gain: Optional[float] = None,
        gain: Optional[float] = None,
        monitor: Optional[bool] = None,
        reset: bool = False,
        at: float = 0.0,
    ) -> None:
        """Changes what is given, all of it at once.

        Args:
            f0s: Pitches, as for `play`.
            loudness: Loudness, as for `play`.
            instrument: Name of another instrument, which continues what sounds; not with `at`.
            pitch_shift: Transposition in semitones, -48 to 48.
            harmonic_gain: Gain of the partials, linear, 0 to 10.
            noise_gain: Gain of the noise, linear, 0 to 10.
            gain: Gain of the stream, linear, 0 to 2.
            monitor: Whether it is played on the speakers as well, if `info.monitor` allows it; not with `at`.
            reset: Silences and resets everything first, and drops what was scheduled.
            at: Time in ms from now at which it is applied, up to 600000.

        Raises:
            Refused: A value is out of range or of the wrong type; `argument` names it. In pull mode: by the next read.
        """
        given = {
            "f0s": None if f0s is None else list_of(f0s),
            "loudness": list_of(loudness) if isinstance(loudness, Iterable) else loudness,
            "instrument": instrument,
            "pitch_shift": pitch_shift,
            "harmonic_gain": harmonic_gain,
            "noise_gain": noise_gain,
            "gain": gain,
            "monitor": monitor,
            "reset": True if reset else None,
        }
        await self._change({name: value for name, value in given.items() if value is not None}, at)

    async def read(self) -> array.array[float]:
        """Returns the next frame.

        Raises:
            Refused: Pull mode: the changes before it were not accepted. Push mode: a scheduled change was not.
            TimedOut: No frame came within the timeout of the stream.
        """
        if self._info is None:
            raise RuntimeError("not connected: use 'async with grooved.stream(…) as voice'")
        async with self._turn:
            if self._pull and not self._frames and self._requested == 0 and self._ended is None:
                changes, self._changes = self._changes, []
                self._request([*changes, HELLO] if changes else [])
            return await within(self.timeout, self._next(), f"{self.url} sent no frame")

    def __aiter__(self) -> DdspStream:
        return self

    async def __anext__(self) -> array.array[float]:
        return await self.read()

    async def _change(self, fields: Dict[str, Any], at: float) -> None:
        if self._info is None:
            raise RuntimeError("not connected: use 'async with grooved.stream(…) as voice'")
        if at != 0.0:
            fields["at"] = at
        text = json.dumps(fields, allow_nan=False, default=float)
        if self._ended is not None:
            raise copy.copy(self._ended)
        if self._pull:
            self._changes.append(json.loads(text))
            return
        asked = _Asked()
        self._outbox.put_nowait((text, asked))
        await within(self.timeout, asked.done, f"{self.url} did not confirm {text[:80]}")

    async def _next(self) -> array.array[float]:
        """Waits for a frame, or for the reason that there is none."""
        while True:
            if self._refused is not None and (self._frames or not self._pull):
                error, self._refused = self._refused, None
                if self._pull:
                    # Rendered without the changes; the next frame must be one that follows the next changes.
                    self._frames.popleft()
                raise error
            if self._frames:
                return self._frames.popleft()
            if self._ended is not None:
                raise copy.copy(self._ended)
            self._news.clear()
            await self._news.wait()

    def _request(self, messages: List[Dict[str, Any]]) -> None:
        """Sends a message; in pull mode, this is what a frame is rendered for."""
        self._outbox.put_nowait((json.dumps(messages, allow_nan=False), None))
        self._requested += 1 if self._pull else 0

    async def _begin(self) -> None:
        """Gives the stream its shape, learns what it offers, and skips what sounded before."""
        # The thread that renders confirms the last item between the frames before the change of shape and those after.
        self._request([{"f0s": [], **self._wanted}, {"monitor": False, **HELLO}])
        while True:
            error = self._refused or self._ended
            if error is not None:
                raise copy.copy(error)
            if self._shaped and self._info is not None:
                break
            self._news.clear()
            await self._news.wait()
        for _ in range(math.ceil(FADE_MS / self._info.frame_ms)):
            if self._pull and self._requested == 0 and not self._frames:
                self._request([])
            await self._next()

    async def _write(self, wire: Wire) -> None:
        """Sends messages; those that are to be confirmed are followed by a request that is always answered."""
        with suppress(Closed):
            while True:
                text, asked = await self._outbox.get()
                if asked is not None:
                    self._asked.append(asked)
                await wire.send(text)
                if asked is not None:
                    await wire.send(json.dumps(HELLO))

    async def _read(self, wire: Wire) -> None:
        """Reads everything until the connection ends."""
        try:
            while True:
                message = await wire.receive()
                try:
                    if isinstance(message, bytes):
                        self._heard(message)
                    else:
                        self._told(json.loads(message))
                except Exception as error:  # Nothing that it sends may leave anybody waiting.
                    self._end(Closed(1002, f"this is no message of the DDSP stream: {message[:80]!r} ({error!r})"))
                    await wire.close()
                    return
        except Closed as closed:
            self._end(closed)

    def _heard(self, message: bytes) -> None:
        if not self._shaped:
            return
        frame: array.array[float] = array.array(self._typecode)
        frame.frombytes(message)
        if sys.byteorder == "big":
            frame.byteswap()
        self._requested -= 1 if self._pull else 0
        self._frames.append(frame)
        if len(self._frames) > self._most_frames:
            self._frames.popleft()
            self.dropped += 1
        self._news.set()

    def _told(self, message: Mapping[str, Any]) -> None:
        if "hello" in message:
            self._info = info_of(message)
            self._most_frames = max(LEAST_KEPT, round(KEPT_MS / self._info.frame_ms))
            if self._asked:
                asked = self._asked.popleft()
                settle(asked, asked.error)
        elif "error" in message:
            refused = Refused(None, message.get("field") or None, message["error"])
            if self._asked:
                self._asked[0].error = self._asked[0].error or refused
            else:
                self._refused = self._refused or refused
        elif "dropped" in message:
            self.dropped += message["dropped"]
        elif "monitor" in message:
            self._shaped = True
        elif "note" in message:
            log.warning("%s: %s", self.url, message["note"])
        self._news.set()

    def _end(self, error: Error) -> None:
        """Ends everything, for the first reason that there is."""
        if self._ended is not None:
            return
        self._ended = error
        for asked in self._asked:
            settle(asked, error)
        while not self._outbox.empty():
            _, waiting = self._outbox.get_nowait()
            if waiting is not None:
                settle(waiting, error)
        self._asked.clear()
        self._news.set()


def settle(asked: _Asked, error: Optional[Error]) -> None:
    """Ends the wait for a confirmation."""
    if asked.done.done():
        return
    if error is None:
        asked.done.set_result(None)
    else:
        asked.done.set_exception(copy.copy(error))


def list_of(given: Union[float, Iterable[float]]) -> List[float]:
    """Returns a number, or numbers, as a list."""
    if isinstance(given, str):
        raise TypeError(f"{given!r} is text; expected a number or numbers")
    return [float(number) for number in (given if isinstance(given, Iterable) else [given])]
