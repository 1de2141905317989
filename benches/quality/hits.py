"""Hits of a known sound found by a matched filter: where they are, how loud, and whether they are heard twice."""

import numpy as np
from scipy import signal

from alignment import fine_peak
from signals import RATE

MS = RATE / 1000
# The bed under a snare is below this; so is what makes a drum resemble itself a few milliseconds later.
HIGH = signal.butter(4, 1_500, "high", fs=RATE, output="sos")


def find(audio, sound, expected, gains, spacing):
    """Finds hits near their expected frames.

    `sound`: the beginning of one hit. `gains`: its amplitude in every place. `spacing`: frames between hits. Returns
    the largest and the median timing error in ms, after the median error is removed (nothing if most hits are weak), the
    mean correlation, and the shares of hits that are below half amplitude, which have no time, and of those with a
    second copy above half amplitude.
    """
    mono = signal.sosfilt(HIGH, audio.mean(axis=1))
    shape = signal.sosfilt(HIGH, sound)
    norm = np.sum(shape**2)
    power = np.concatenate([[0], np.cumsum(mono**2)])
    reach = int(min(0.045 * RATE, spacing * 0.5))
    errors, scores, weak, twice, count = [], [], 0, 0, 0
    for at, gain in zip(expected, gains):
        low = int(round(at)) - reach
        region = mono[max(low, 0) : low + 2 * reach + len(shape)]
        if low < 0 or len(region) < 2 * reach + len(shape):
            continue
        count += 1
        answer = signal.fftconvolve(region, shape[::-1], "valid") / norm / gain
        k = int(np.argmax(answer))
        peak_at, height = fine_peak(answer, k)
        weak += height < 0.5
        rest = answer.copy()
        # A millisecond around the hit is the hit itself.
        rest[max(0, k - int(MS)) : k + int(MS) + 1] = 0
        twice += rest.max() > 0.5
        if height >= 0.5:
            errors.append((low + peak_at - at) / MS)
        begin = low + k
        scores.append(height * gain * norm / np.sqrt(norm * (power[begin + len(shape)] - power[begin]) + 1e-20))
    if len(errors) < count / 2:
        errors = [np.nan]
    off = np.abs(np.array(errors) - np.median(errors))
    return {
        "worst": float(np.max(off)),
        "median": float(np.median(off)),
        "late": float(np.median(errors)),
        "ncc": float(np.mean(scores)),
        "weak": weak / count,
        "twice": twice / count,
    }
