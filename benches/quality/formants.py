"""Formants: by how much the spectral envelope of a voice moves when its key is changed."""

import numpy as np

from signals import RATE

WINDOW, HOP = 2048, 512
LOW_HZ, HIGH_HZ = 120.0, 8_000.0
# Quefrencies kept: below the period of the highest voice that is compared, so that harmonics do not count as formants.
HIGHEST_HZ = 400.0
# Semitones, and the steps in which they are searched.
REACH, STEP = 10.0, 0.1


def _pitch_strength(frame):
    """Returns the largest normalised autocorrelation at the period of a voice between 70 and 400 Hz."""
    size = 2 * WINDOW
    power = np.abs(np.fft.rfft(frame, size)) ** 2
    auto = np.fft.irfft(power, size)
    return auto[int(RATE / 400) : int(RATE / 70)].max() / (auto[0] + 1e-12)


def _frames(audio):
    mono = audio.mean(axis=1)
    starts = np.arange(0, len(mono) - WINDOW, HOP)
    return mono[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)


def _voiced(frames):
    energy = np.sum(frames**2, axis=1)
    return np.array([e > 1e-3 * energy.max() and _pitch_strength(f) > 0.35 for e, f in zip(energy, frames)])


def _envelopes(frames):
    """Returns cepstrally smoothed spectra in dB on a scale of semitones, one a frame."""
    size = 4 * WINDOW
    levels = np.log(np.abs(np.fft.rfft(frames, size)) + 1e-7)
    cepstrum = np.fft.irfft(levels, axis=1)
    edge = int(RATE / HIGHEST_HZ)
    lifter = np.zeros(size)
    lifter[:edge] = 0.5 + 0.5 * np.cos(np.pi * np.arange(edge) / edge)
    lifter[-edge + 1 :] = lifter[1:edge][::-1]
    smooth = np.fft.rfft(cepstrum * lifter, axis=1).real * 20 / np.log(10)
    scale = LOW_HZ * 2 ** (np.arange(0, 12 * np.log2(HIGH_HZ / LOW_HZ), STEP) / 12)
    hz = np.fft.rfftfreq(size, 1 / RATE)
    return np.array([np.interp(scale, hz, s) for s in smooth])


def moved(found, original):
    """Returns the shift in semitones that best aligns the envelopes of `found` with the original's.

    Frame by frame: the mean envelope of different vowels has no formants. What is compared is the same part of the
    original for every shift, and of its frames those that are voiced in both sounds.
    """
    n = min(len(found), len(original))
    a, b = _frames(found[:n]), _frames(original[:n])
    keep = _voiced(a) & _voiced(b)
    a, b = _envelopes(a[keep]), _envelopes(b[keep])
    reach = int(REACH / STEP)
    inner = b[:, reach:-reach]
    inner = inner - inner.mean(axis=1, keepdims=True)
    costs = []
    for k in range(-reach, reach + 1):
        piece = a[:, reach + k : a.shape[1] - reach + k]
        costs.append(np.mean(np.mean((piece - piece.mean(axis=1, keepdims=True) - inner) ** 2, axis=1)))
    return (int(np.argmin(costs)) - reach) * STEP
