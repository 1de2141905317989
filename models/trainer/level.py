"""Loudness in time, silence, and dynamics that a recording engineer has evened out."""

import numpy as np
from scipy.signal import fftconvolve

from . import contract

# What the dynamic marks stand for, in dB against forte, where the recordings no longer tell. Between neighbouring
# marks players differ by 4 to 6 dB on the instruments whose recordings kept their level.
MARKS_DB = {"ppp": -20.0, "pp": -15.0, "p": -10.0, "mp": -7.0, "mf": -4.0, "f": 0.0, "ff": 4.0, "fff": 7.0, "swell": 1.0}
# A smaller spread of levels between the softest and the loudest mark than this is none that a player made.
NATURAL_SPREAD_DB = 6.0
# The loudest notes of every instrument come to this, so that instruments can be swapped.
LOUDEST_DB = -16.0

WINDOW = np.hanning(contract.LOUDNESS_WINDOW + 1)[:-1].astype(np.float32)
WINDOW /= WINDOW.sum()


def loudness_db(sound):
    """dBFS at frames 0, hop, 2 hops … of a sound; -100 and less is -100."""
    power = fftconvolve(sound.astype(np.float64) ** 2, WINDOW, mode="same")[:: contract.HOP]
    return 10.0 * np.log10(np.maximum(power, 1e-10))


def trim(sound):
    """The part of a recording between its silences, with 40 ms before and 60 ms after it.

    Silence is what lies 50 dB under the loudest frame, or within 4 dB of the quietest twentieth.
    """
    loudness = loudness_db(sound)
    peak, quiet = loudness.max(), np.percentile(loudness, 5)
    threshold = max(peak - 50.0, min(quiet + 4.0, peak - 24.0))
    sounding = np.flatnonzero(loudness > threshold)
    first, last = sounding[0], sounding[-1]
    hop, rate = contract.HOP, contract.SAMPLE_RATE
    begin = max(0, first * hop - int(0.04 * rate))
    end = min(len(sound), last * hop + int(0.06 * rate))
    kept = sound[begin:end].copy()
    # Cut ends are rounded off, or the cut itself would be learnt as part of the tone.
    edge = int(0.01 * rate)
    ramp = np.sin(np.linspace(0.0, np.pi / 2, edge, dtype=np.float32)) ** 2
    kept[:edge] *= ramp
    kept[-edge:] *= ramp[::-1]
    return kept


def note_level_db(sound):
    """How loud a note is as a whole: what it exceeds for a third of its time."""
    return float(np.percentile(loudness_db(sound), 67))


def gains_db(levels, dynamics, say):
    """A gain for each note: dynamics put back where they were evened out, and the loudest at `LOUDEST_DB`."""
    levels = np.asarray(levels)
    known = {mark: float(np.median([l for l, d in zip(levels, dynamics) if d == mark])) for mark in set(dynamics)
             if mark in MARKS_DB and sum(d == mark for d in dynamics) >= 5 and mark != "swell"}
    gains = np.zeros(len(levels))
    if len(known) >= 2:
        ordered = sorted(known, key=MARKS_DB.get)
        spread = max(known.values()) - min(known.values())
        steps = MARKS_DB[ordered[-1]] - MARKS_DB[ordered[0]]
        if steps >= 10.0 and spread < NATURAL_SPREAD_DB:
            say(f"soft and loud notes differ by {spread:.1f} dB only: dynamics are put back from the marks in the names")
            unmarked = float(np.median(levels))
            gains = np.array([MARKS_DB.get(d, MARKS_DB["mf"]) - known.get(d, unmarked) for d in dynamics])
    loudest = np.percentile(levels + gains, 98)
    return gains + (LOUDEST_DB - loudest)
