"""Shared by the tests of `ddsp_python`: schedules of controls, measures of sound, WAV and MIDI files, `grooved`."""

from __future__ import annotations

import itertools
import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daemon import BINARY, ROOT

MODELS = ROOT / "models"
INSTRUMENTS = ["cello", "clarinet", "flute", "oboe", "saxophone", "trombone", "violin"]
"""Names of the embedded instruments, in order."""


def grooved(*arguments: Any) -> None:
    """Runs a command of `grooved`; raises AssertionError with its errors if it fails."""
    command = [str(BINARY), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")


def play(processor: Any, schedule: Iterable[tuple[int, str, float]], total: int, sizes: Iterable[int]) -> bytes:
    """Returns `total` samples as bytes (float32), rendered in blocks of `sizes`, which are repeated.

    Each item of `schedule` is a position in samples, the name of a setter and its value. A block that would reach
    beyond the next position ends there.
    """
    sound, position, blocks = bytearray(), 0, itertools.cycle(sizes)
    for at, setter, value in [*schedule, (total, "", 0.0)]:
        while position < at:
            count = min(next(blocks), at - position)
            sound += processor.get_next_block(count).tobytes()
            position += count
        if setter:
            getattr(processor, setter)(value)
    return bytes(sound)


def held(processor: Any, hz: float, loudness: float, seconds: float, skip: float = 0.0) -> np.ndarray:
    """Returns `seconds` of a steady tone as float64, after `skip` seconds of it."""
    processor.set_f0(hz)
    processor.set_loudness(loudness)
    processor.get_next_block(round(skip * processor.sample_rate))
    return np.array(processor.get_next_block(round(seconds * processor.sample_rate)), dtype=np.float64)


def level(sound: np.ndarray) -> float:
    """Returns the power of a sound in dBFS, −200 for silence."""
    power = float(np.mean(np.square(np.asarray(sound, dtype=np.float64))))
    return 10.0 * np.log10(power) if power > 1e-20 else -200.0


def cents(found: float, expected: float) -> float:
    """Returns the distance of two frequencies in cents."""
    return 1200.0 * float(np.log2(found / expected))


def period_of(sound: np.ndarray, shortest: float, longest: float) -> float:
    """Returns the period of a sound in samples, between two limits, by normalised autocorrelation.

    McLeod and Wyvill, "A smarter way to find pitch" (2005): the first maximum that is nearly as high as the highest.
    The correlation is interpolated eightfold, or the peaks of short periods would fall between its samples.
    """
    finer = 8
    sound = np.asarray(sound, dtype=np.float64) - np.mean(sound)
    count = len(sound)
    power = np.abs(np.fft.rfft(sound, 2 * count)) ** 2
    lags = np.arange(min(int(longest * finer) + 2, count * finer * 2 // 3))
    correlation = np.fft.irfft(power, 2 * count * finer)[: len(lags)] * finer
    energy = np.concatenate([[0.0], np.cumsum(sound**2)])
    shared = lags // finer
    similarity = 2.0 * correlation / np.maximum(energy[count - shared] + energy[count] - energy[shared], 1e-30)
    first = max(int(shortest * finer), 1)
    inner = similarity[first:-1]
    is_peak = (inner >= similarity[first - 1 : -2]) & (inner > similarity[first + 1 :]) & (inner > 0.3)
    peaks = first + np.flatnonzero(is_peak)
    if len(peaks) == 0:
        raise AssertionError("the sound has no pitch")
    k = peaks[np.argmax(similarity[peaks] >= 0.9 * np.max(similarity[peaks]))]
    before, here, after = similarity[k - 1 : k + 2]
    return (k + 0.5 * (before - after) / (before - 2.0 * here + after)) / finer


def pitch(sound: np.ndarray, rate: float) -> float:
    """Returns the fundamental frequency of a steady sound, 25 to 4000 Hz; half a second gives it to a cent."""
    sound = np.asarray(sound, dtype=np.float64)
    coarse = rate / period_of(sound, rate / 4000.0, rate / 25.0)
    # The frequency of each strong partial, by interpolating the spectrum around its peak, refines the estimate.
    size = 1 << (8 * len(sound) - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))
    weights, estimates = [], []
    for k in range(1, 9):
        centre, width = k * coarse * size / rate, 0.02 * coarse * size / rate + 4
        if centre + 2 * width > len(spectrum):
            break
        first = max(int(centre - width), 1)
        top = first + int(np.argmax(spectrum[first : int(centre + width) + 1]))
        before, here, after = np.log(spectrum[top - 1 : top + 2] + 1e-30)
        bend = before - 2.0 * here + after
        offset = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
        estimates.append((top + offset) * rate / size / k)
        weights.append((k * spectrum[top]) ** 2)
    return float(np.average(estimates, weights=weights))


def read_wav(path: Path) -> tuple[int, np.ndarray]:
    """Reads a WAV file of 32-bit floats; returns its rate and an array of frames by channels."""
    content = path.read_bytes()
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise AssertionError(f"{path} is not a WAV file")
    rate = channels = 0
    position = 12
    while position + 8 <= len(content):
        kind, size = content[position : position + 4], struct.unpack_from("<I", content, position + 4)[0]
        body = content[position + 8 : position + 8 + size]
        if kind == b"fmt ":
            code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
            # WAVE_FORMAT_EXTENSIBLE holds the format's code in its sub-format.
            code = struct.unpack_from("<H", body, 24)[0] if code == 0xFFFE else code
            if (code, bits) != (3, 32):
                raise AssertionError(f"{path} has format {code} of {bits} bits; expected 3 (float) of 32")
        elif kind == b"data":
            return rate, np.frombuffer(body, dtype="<f4").reshape(-1, channels)
        position += 8 + size + size % 2
    raise AssertionError(f"{path} has no data")


def variable(number: int) -> bytes:
    """Returns a number in the variable-length format of MIDI files."""
    groups = [number & 0x7F]
    while number > 0x7F:
        number >>= 7
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def midi_file(tracks: Sequence[Sequence[tuple[int, Sequence[int]]]], division: int = 480) -> bytes:
    """Returns a MIDI file of format 0 (one track) or 1; each event is a delta time in ticks and its bytes."""
    chunks = [struct.pack(">4sIHHH", b"MThd", 6, int(len(tracks) > 1), len(tracks), division)]
    for track in tracks:
        events = [*track, (0, [0xFF, 0x2F, 0])]
        body = b"".join(variable(delta) + bytes(event) for delta, event in events)
        chunks.append(struct.pack(">4sI", b"MTrk", len(body)) + body)
    return b"".join(chunks)
