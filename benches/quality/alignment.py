"""The constant lag of an engine, and its removal.

An engine's lag is measured on pieces with drums and used for all material: melodic pieces have no sharp edges, and
their vibrato, which the tempo does not scale, pulls a correlation away by tens of milliseconds.
"""

import numpy as np
from scipy import signal

import spectra
from signals import RATE

# Coarse: rises of level in bands, in steps of 2 ms. Fine: the envelope of BAND_HZ; its square must not alias.
STEP, WINDOW, PADDED = 88, 512, 2048
BANDS = spectra.mel_bands(40, PADDED, 100, 16_000)
BAND_HZ = (2_000, 16_000)
COARSE_REACH, FINE_REACH = 0.1, 0.003


def envelope(audio, window=0.002):
    """Returns the smoothed amplitude of the sound in `BAND_HZ`, of both channels together, one value a frame."""
    high = signal.sosfiltfilt(signal.butter(3, BAND_HZ, "band", fs=RATE, output="sos"), audio, axis=0)
    n = int(window * RATE) | 1
    return np.sqrt(signal.fftconvolve(np.sum(high**2, axis=1), signal.windows.hann(n) / n, "same").clip(0))


def rises(audio):
    """Returns the rises of level over 6 ms, summed over bands, one value a step."""
    levels = spectra.band_db(audio, np.arange(0, len(audio), STEP), WINDOW, PADDED, BANDS)
    levels = np.maximum(levels, levels.max() - 60)
    # Small rises are noise.
    return np.maximum(levels[3:] - levels[:-3] - 1, 0).sum(axis=1)


def peak(values, k):
    """Returns the position of a maximum between samples, by a parabola."""
    if not 0 < k < len(values) - 1:
        return float(k)
    a, b, c = values[k - 1 : k + 2]
    bend = a - 2 * b + c
    return k + (0.5 * (a - c) / bend if bend else 0.0)


def fine_peak(values, k, steps=16, reach=24):
    """Returns position and height of a maximum of a band-limited sequence, between its samples, near sample k."""
    low = max(0, k - reach)
    near = values[low : k + reach + 1]
    at = k + np.arange(-steps, steps + 1) / steps
    apart = at[:, None] - (low + np.arange(len(near)))
    fine = (np.sinc(apart) * np.cos(np.pi * np.clip(apart / (reach + 1), -1, 1) / 2) ** 2) @ near
    best = int(np.argmax(fine))
    return float(at[best]) + (peak(fine, best) - best) / steps, float(fine[best])


def _later(found, expected, centre, reach):
    """Returns by how many values `found` is later than `expected`, within `reach` of `centre`."""
    n = max(len(found), len(expected))
    size = 1 << int(np.ceil(np.log2(2 * n)))
    a, b = found - found.mean(), expected - expected.mean()
    both = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    near = both[np.arange(centre - reach, centre + reach + 1) % size]
    return peak(near, int(np.argmax(near))) + centre - reach


def lag(found, expected):
    """Returns by how many frames one sound is later than the other; both must contain sharp attacks."""
    coarse = _later(rises(found), rises(expected), 0, int(COARSE_REACH * RATE / STEP)) * STEP
    return _later(np.diff(envelope(found)), np.diff(envelope(expected)), int(round(coarse)), int(FINE_REACH * RATE))


def shifted(audio, frames):
    """Returns the sound earlier by a fractional number of frames."""
    whole, rest = int(np.floor(frames)), frames - np.floor(frames)
    if rest > 1e-3:
        taps = np.sinc(np.arange(-32, 33) + rest) * np.kaiser(65, 8.0)
        audio = signal.fftconvolve(audio, taps[:, None] / taps.sum(), "same", axes=0)
    if whole >= 0:
        return audio[whole:]
    return np.concatenate([np.zeros((-whole, audio.shape[1])), audio])


def aligned(found, expected, frames):
    """Returns `found` without a lag of so many frames, and `expected`, cut to the same length."""
    moved = shifted(found, frames)
    n = min(len(moved), len(expected))
    return moved[:n], expected[:n]
