"""Attacks against the truth: where each is found, how similar it is, what precedes it and how fast it rises."""

import numpy as np
from scipy import signal

from alignment import fine_peak, peak
from signals import RATE

MS = RATE / 1000
HIGH = signal.butter(4, 2_500, "high", fs=RATE, output="sos")
MIDDLE = signal.butter(2, (600, 9_000), "band", fs=RATE, output="sos")
# What is compared: 23 ms of the truth, from 2 ms before the note.
BEFORE, LENGTH = int(2 * MS), 1024
REACH = int(45 * MS)
AUDIBLE_DB = 9.0
# Rises smaller than this say nothing about time.
RISE_DB = 3.0


def high_passed(audio):
    # Causally: a filter that rings before an attack would hide what is really there.
    return signal.sosfilt(HIGH, audio, axis=0)


def _energy(audio):
    return np.concatenate([[0], np.cumsum(np.sum(audio**2, axis=1))])


def _between(energy, start, end):
    start, end = max(0, int(start)), max(0, int(end))
    return energy[min(end, len(energy) - 1)] - energy[min(start, len(energy) - 1)] + 1e-12 * (end - start)


def contrast(energy, at):
    """Returns how much louder 10 ms after a frame are than the 20 ms before it, in dB of power."""
    after = _between(energy, at, at + 10 * MS) / (10 * MS)
    before = _between(energy, at - 20 * MS, at) / (20 * MS)
    return 10 * np.log10(after / before)


def audible(truth_high, onsets):
    """Returns the onsets that are attacks above 2.5 kHz, one for all notes within 5 ms."""
    energy = _energy(truth_high)
    loud = [at for at in np.sort(onsets) if contrast(energy, at) >= AUDIBLE_DB and at > 2 * REACH]
    return [at for k, at in enumerate(loud) if k == 0 or at - loud[k - 1] > 5 * MS]


def match(found, wanted, at, low=-REACH, high=REACH, ahead=BEFORE, length=LENGTH, at_wanted=None):
    """Returns the shift in frames, and the correlation there, of a piece of `wanted` at a frame against `found`."""
    origin = int(round(at if at_wanted is None else at_wanted)) - ahead
    piece = wanted[origin : origin + length]
    start = int(round(at)) - ahead + low
    region = found[max(0, start) : start + high - low + length]
    if start < 0 or len(region) < high - low + length or len(piece) < length:
        return np.nan, np.nan
    hits = sum(signal.fftconvolve(region[:, c], piece[::-1, c], "valid") for c in range(piece.shape[1]))
    energy = _energy(region)
    local = energy[length:] - energy[:-length]
    score = hits / np.sqrt(np.sum(piece**2) * local.clip(1e-12) + 1e-20)
    # At high frequencies, half a sample is much.
    place, height = fine_peak(score, int(np.argmax(score)))
    return place + low, min(height, 1.0)


def figures(found, truth, onsets):
    """Figures of the audible attacks of an aligned sound: onset shift in ms, correlation, pre-echo, sharpness (dB)."""
    found_high, truth_high = high_passed(found), high_passed(truth)
    marks = audible(truth_high, onsets)
    e, f = _energy(truth_high), _energy(found_high)
    shifts, scores, echoes, sharp = [], [], [], []
    for at in marks:
        shift, score = match(found_high, truth_high, at)
        if np.isnan(shift):
            continue
        here = at + shift
        shifts.append(shift / MS)
        scores.append(score)
        before = 10 * np.log10(_between(f, here - 22 * MS, here - 2 * MS) / _between(e, at - 22 * MS, at - 2 * MS))
        echoes.append(max(0.0, before))
        sharp.append(contrast(f, here) - contrast(e, at))
    if len(shifts) < 5:
        return {"attacks": len(shifts)}
    return {
        "attacks": len(shifts),
        "shift": float(np.median(np.abs(shifts))),
        "shift90": float(np.percentile(np.abs(shifts), 90)),
        "ncc": float(np.mean(scores)),
        "pre": float(np.mean(echoes)),
        "sharp": float(np.mean(sharp)),
    }


def _log_energy(audio):
    """Returns the level in dB between 600 Hz and 9 kHz, in steps of 0.25 ms, smoothed over 4 ms."""
    step = 11
    band = np.sum(signal.sosfiltfilt(MIDDLE, audio, axis=0) ** 2, axis=1)
    n = int(4 * MS) | 1
    smooth = signal.fftconvolve(band, signal.windows.hann(n) / signal.windows.hann(n).sum(), "same").clip(0)[::step]
    return 10 * np.log10(np.maximum(smooth, smooth.max() * 1e-7)), step


def rise_timing(found, truth, onsets):
    """Returns median and 90th percentile, in ms, of the shifts at which the levels around every onset fit best."""
    wanted, step = _log_energy(truth)
    level, _ = _log_energy(found)
    before, after, reach = int(30 * MS / step), int(60 * MS / step), REACH // step
    n, gap = before + after, int(5 * MS / step)
    shifts, last = [], -np.inf
    for at in np.sort(onsets):
        k = int(at / step)
        if at - last < 30 * MS or k < before + reach or k + after + reach > min(len(level), len(wanted)):
            continue
        last = at
        piece = wanted[k - before : k + after]
        # A strum or a beat of partials within the piece is no rise to compare.
        if np.mean(piece[before + gap :]) - np.mean(piece[: before - gap]) < RISE_DB:
            continue
        region = np.lib.stride_tricks.sliding_window_view(level[k - before - reach : k + after + reach], n)
        # The shape matters, not the level.
        apart = region - piece
        misfit = np.mean((apart - apart.mean(axis=1, keepdims=True)) ** 2, axis=1)
        shifts.append(abs(peak(-misfit, int(np.argmin(misfit))) - reach) * step / MS)
    if len(shifts) < 5:
        return {}
    return {"rise": float(np.median(shifts)), "rise90": float(np.percentile(shifts, 90)), "rises": len(shifts)}


def mapped_shifts(found, original, onsets, speed):
    """Returns the 90th percentile, in ms, of the shifts of the original's attacks, relative to their median."""
    found_high, original_high = high_passed(found), high_passed(original)
    shifts = []
    for at in onsets:
        shift, _ = match(found_high, original_high, at / speed, ahead=int(4 * MS), length=int(20 * MS), at_wanted=at)
        if not np.isnan(shift):
            # The piece starts at a whole frame of the original, and so does its place in the output.
            shifts.append((shift + round(at / speed) - at / speed - (round(at) - at)) / MS)
    shifts = np.array(shifts) - np.median(shifts)
    return float(np.percentile(np.abs(shifts), 90))
