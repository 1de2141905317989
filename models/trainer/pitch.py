"""Fundamental frequency in time.

A note's name, or else the SwiftF0 tracker (MIT), says roughly where it is; there the normalised autocorrelation is
searched in steps of two cents, over as many periods as fit into 12 ms, because a partial of high order is only found
where the fundamental is right to a few cents.
"""

import functools

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import resample_poly

from . import contract

REACH_CENTS = 130
STEP_CENTS = 2
CLEAR = 0.6


@functools.cache
def tracker():
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1, spin=False)


def rough(sound):
    """MIDI numbers per frame by SwiftF0, NaN where nothing is voiced. It hears from 47 to 2093 Hz."""
    slow = resample_poly(sound, 1, contract.SAMPLE_RATE // 16_000).astype(np.float32)
    # It takes quiet sound for silence.
    slow *= 0.5 / max(float(np.abs(slow).max()), 1e-6)
    result = tracker().detect(slow, 16_000)
    hz = np.where(result.confidence >= 0.5, result.pitch_hz, np.nan)
    at = np.arange(frames_of(sound)) * contract.HOP / contract.SAMPLE_RATE
    nearest = np.clip(np.searchsorted(result.timestamps, at), 0, len(hz) - 1)
    return 69.0 + 12.0 * np.log2(hz[nearest] / 440.0)


def frames_of(sound):
    return (len(sound) + contract.HOP - 1) // contract.HOP


def track(sound, prior):
    """(MIDI numbers, clarity 0 to 1) at frames 0, hop …; `prior` is a MIDI number, or one per frame, NaN for unknown.

    Where nothing is clear the pitch goes straight between its neighbours.
    """
    count = frames_of(sound)
    prior = np.broadcast_to(np.asarray(prior, float), (count,))
    midi, clarity = np.full(count, np.nan), np.zeros(count)
    known = np.flatnonzero(np.isfinite(prior))
    if len(known) == 0:
        return midi, clarity
    low = contract.hz_of(prior[known].min() - 1.0)
    window = 4096 if low < 150.0 else 2048
    for part in np.array_split(known, max(1, len(known) // 400)):
        midi[part], clarity[part] = search(sound, part, prior[part], window)
    clear = clarity > CLEAR
    if clear.sum() < 3:
        return prior.copy(), clarity
    midi = np.interp(np.arange(count), np.flatnonzero(clear), midi[clear])
    return median_filter(midi, 5, mode="nearest"), clarity


def search(sound, frames, prior, window):
    rate = contract.SAMPLE_RATE
    padded = np.pad(sound, (window // 2, window + contract.HOP))
    pieces = np.stack([padded[f * contract.HOP : f * contract.HOP + window] for f in frames]).astype(np.float64)
    pieces = pieces * np.hanning(window)
    size, finer = 2 * window, 4
    spectrum = np.abs(np.fft.rfft(pieces, size)) ** 2
    wide = np.zeros((len(frames), size * finer // 2 + 1))
    wide[:, : spectrum.shape[1]] = spectrum
    correlation = np.fft.irfft(wide)
    shape = np.correlate(np.hanning(window), np.hanning(window), "full")[window - 1 :]
    fall = np.interp(np.arange(size) / finer, np.arange(window), shape / shape[0])
    correlation = correlation[:, :size] / np.maximum(correlation[:, :1], 1e-12) / np.maximum(fall, 0.05)

    cents = np.arange(-REACH_CENTS, REACH_CENTS + 1, STEP_CENTS)
    hz = contract.hz_of(prior[:, None] + cents[None, :] / 100.0)
    periods = int(np.clip(0.012 * hz.mean(), 1, 6))
    score = np.zeros_like(hz)
    row = np.arange(len(frames))[:, None]
    for m in range(1, periods + 1):
        lag = np.minimum(m * rate / hz * finer, size - 3)
        left = lag.astype(int)
        share = lag - left
        score += (1 - share) * correlation[row, left] + share * correlation[row, left + 1]
    score /= periods
    best = np.clip(score.argmax(axis=1), 1, len(cents) - 2)
    row = row[:, 0]
    before, at, after = score[row, best - 1], score[row, best], score[row, best + 1]
    bend = before - 2 * at + after
    shift = np.where(bend < -1e-12, 0.5 * (before - after) / np.minimum(bend, -1e-12), 0.0)
    return prior + (cents[best] + np.clip(shift, -1, 1) * STEP_CENTS) / 100.0, np.clip(at, 0.0, 1.0)
