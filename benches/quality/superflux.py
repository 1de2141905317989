"""Onsets by SuperFlux: spectral flux with a maximum filter along the frequency axis.

Böck, Widmer: Maximum filter vibrato suppression for onset detection. DAFx 2013.
"""

import numpy as np
from scipy import ndimage

from signals import RATE

FRAME, PER_SECOND = 2048, 200
BANDS_PER_OCTAVE, LOW_HZ, HIGH_HZ = 24, 30.0, 16_000.0
# Frames between the spectra compared, and the width of the maximum filter in bands.
LAG, WIDTH = 2, 3
THRESHOLD = 1.1
# Seconds before and after for the maximum and for the mean, and the shortest distance of two onsets.
PEAK, MEAN, COMBINE = (0.01, 0.05), (0.15, 0.0), 0.03


def _bands():
    hz = np.fft.rfftfreq(FRAME, 1 / RATE)
    count = int(np.log2(HIGH_HZ / LOW_HZ) * BANDS_PER_OCTAVE)
    centres = np.unique(np.round(LOW_HZ * 2 ** (np.arange(count + 2) / BANDS_PER_OCTAVE) / hz[1]).astype(int))
    filters = []
    for a, b, c in zip(centres, centres[1:], centres[2:]):
        band = np.zeros(len(hz))
        band[a : b + 1] = np.linspace(0, 1, b - a + 1)
        band[b : c + 1] = np.linspace(1, 0, c - b + 1)
        filters.append(band)
    return np.array(filters)


BANDS = _bands()


def novelty(audio):
    """Returns the flux, `PER_SECOND` values a second."""
    mono = np.concatenate([np.zeros(FRAME // 2), audio.mean(axis=1), np.zeros(FRAME)])
    count = int((len(mono) - FRAME) / RATE * PER_SECOND)
    window = np.hanning(FRAME)
    levels = []
    for k in range(count):
        start = int(k * RATE / PER_SECOND)
        levels.append(np.log10(1 + BANDS @ np.abs(np.fft.rfft(mono[start : start + FRAME] * window))))
    levels = np.array(levels)
    before = ndimage.maximum_filter1d(levels, WIDTH, axis=1)
    flux = np.zeros(len(levels))
    flux[LAG:] = np.maximum(levels[LAG:] - before[:-LAG], 0).sum(axis=1)
    return flux


def onsets(audio, threshold=THRESHOLD):
    """Returns the times of onsets in seconds."""
    flux = novelty(audio)
    around = lambda span: [int(s * PER_SECOND) for s in span]
    before, after = around(PEAK)
    highest = ndimage.maximum_filter1d(flux, before + after + 1, origin=(before - after) // 2)
    before, after = around(MEAN)
    mean = ndimage.uniform_filter1d(flux, before + after + 1, origin=(before - after) // 2)
    times, last = [], -1.0
    for k in np.nonzero((flux == highest) & (flux >= mean + threshold))[0]:
        t = k / PER_SECOND
        if t - last > COMBINE:
            times.append(t)
            last = t
    return np.array(times)


def score(found, known, within=0.03):
    """Returns recall and the share of false positives: known times with an onset within 30 ms; onsets without one."""
    found, known = np.sort(found), np.sort(known)
    near = lambda a, b: np.array([len(b) > 0 and np.min(np.abs(b - t)) <= within for t in a])
    recall = float(np.mean(near(known, found))) if len(known) else np.nan
    false = float(np.mean(~near(found, known))) if len(found) else 0.0
    return recall, false
