"""Warble: fluctuation of the strongest partials that the truth does not have."""

import numpy as np
from scipy import signal

from signals import RATE

WINDOW, HOP = 8192, 256
# Partials per second of sound, within this level of the strongest.
COUNT, DEPTH_DB = 8, 40.0
LOW_HZ, HIGH_HZ = 6.0, 60.0
# A partial stands above the spectrum at this distance in bins, beyond the window's main lobe, by this level.
APART, STANDS_DB = 6, 15.0
HIGHEST_HZ = 5_000
# Energy of a fluctuation, relative to the partial, below which it is hardly audible: 1.4 percent of amplitude.
INAUDIBLE = 1e-4


def _tracks(audio):
    """Returns the magnitudes of the bins below `HIGHEST_HZ` (bins, frames)."""
    mono = audio.mean(axis=1)
    bins = int(HIGHEST_HZ * WINDOW / RATE)
    window = signal.windows.blackman(WINDOW)
    pieces = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP]
    parts = [np.abs(np.fft.rfft(pieces[k : k + 256] * window)[:, :bins]) for k in range(0, len(pieces), 256)]
    return np.concatenate(parts).T * 2 / window.sum()


def _modulation(track):
    """Returns the energy of a track's fluctuation between 6 and 60 Hz relative to its mean level."""
    n = len(track)
    line = np.polyval(np.polyfit(np.arange(n), track, 1), np.arange(n))
    shape = (track - line) / (np.mean(track) + 1e-12) * np.hanning(n)
    power = np.abs(np.fft.rfft(shape)) ** 2
    hz = np.fft.rfftfreq(n, HOP / RATE)
    return 2 * power[(hz >= LOW_HZ) & (hz <= HIGH_HZ)].sum() / np.sum(np.hanning(n) ** 2) / n


def warble(found, truth):
    """Returns the modulation energy of partials relative to the truth's in dB, weighted by level, of aligned sounds."""
    a, b = _tracks(found), _tracks(truth)
    n = min(a.shape[1], b.shape[1])
    block = RATE // HOP
    total = weights = 0.0
    for start in range(0, n - block + 1, block):
        x, y = a[:, start : start + block], b[:, start : start + block]
        level = 20 * np.log10(np.sqrt(np.mean(y**2, axis=1)) + 1e-9)
        inner = level[APART:-APART]
        peaks = (inner >= level[APART - 1 : -APART - 1]) & (inner > level[APART + 1 : len(level) - APART + 1])
        peaks &= inner > np.maximum(level[: -2 * APART], level[2 * APART :]) + STANDS_DB
        bins = np.nonzero(peaks)[0] + APART
        bins = bins[level[bins] > level.max() - DEPTH_DB]
        for k in bins[np.argsort(level[bins])[::-1][:COUNT]]:
            ratio = 10 * np.log10((_modulation(x[k]) + INAUDIBLE) / (_modulation(y[k]) + INAUDIBLE))
            weight = np.mean(y[k])
            total += weight * ratio
            weights += weight
    return float(total / weights) if weights else np.nan
