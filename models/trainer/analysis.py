"""Partials and noise, measured in a note whose pitch is known.

The sound is read at equal steps of phase instead of time, so that its pitch is constant and every partial falls on a
bin of its own. Under a Hann window of M periods partial k lies on bin kM, and bins two or more away from it hold
noise alone. (The idea is that of pitch-synchronous harmonic plus noise models, Stylianou 2001.)
"""

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.signal import resample_poly

from . import contract

EULER = 0.5772
# The mean of the logarithm of noise power lies this far below the logarithm of its mean.
LOG_MEAN = np.exp(EULER)


def controls(sound, midi, harmonics):
    """(amplitudes [frames, harmonics], noise magnitudes [frames, bands]) at frames 0, hop …, linear.

    An amplitude of 1 is a sine of peak 1; a magnitude of 1 lets uniform noise between -1 and 1 through as it is.
    """
    rate, hop, bands = contract.SAMPLE_RATE, contract.HOP, contract.NOISE_BANDS
    frames = len(midi)
    hz = contract.hz_of(midi)
    at = np.arange(len(sound))
    phase = np.cumsum(np.exp(np.interp(at / hop, np.arange(frames), np.log(hz)))) / rate
    steps = 1 << int(np.ceil(np.log2(rate / hz.min())))
    middle = float(np.median(hz))
    periods = max(4, round(0.03 * middle))
    window = periods * steps

    finer = resample_poly(sound.astype(np.float64), 2, 1)
    moments = np.interp(np.arange(phase[0], phase[-1], 1.0 / steps), phase, at)
    turned = map_coordinates(finer, [2.0 * moments], order=3, mode="constant")
    centres = ((np.interp(np.arange(frames) * hop, at, phase) - phase[0]) * steps).round().astype(int)
    turned = np.pad(turned, (window // 2, window))
    hann = np.hanning(window + 1)[:-1]

    amplitudes = np.zeros((frames, harmonics), np.float32)
    noise = np.zeros((frames, bands), np.float32)
    bins = np.arange(window // 2 + 1)
    between = np.abs((bins + periods // 2) % periods - periods // 2) >= 2
    between[:2] = False
    band_hz = np.linspace(0.0, rate / 2, bands)
    for part in np.array_split(np.arange(frames), max(1, frames * window // 4_000_000)):
        pieces = turned[centres[part][:, None] + np.arange(window)] * hann
        power = np.abs(np.fft.rfft(pieces)) ** 2
        log_between = np.log(np.maximum(power[:, between], 1e-20))
        # Noise per band: the mean of the logarithm over the bins near it; wider where partials lie far apart.
        bin_hz = bins[between] * middle / periods
        reach = max(band_hz[1], 0.75 * middle)
        weights = np.maximum(1.0 - np.abs(band_hz[:, None] - bin_hz[None, :]) / reach, 0.0)
        empty = weights.sum(axis=1) == 0
        weights[empty, -1 if len(bin_hz) else 0] = 1.0
        weights /= weights.sum(axis=1, keepdims=True)
        log_noise = log_between @ weights.T
        # |X|^2 of noise with variance v per sample at the turned rate is v * sum(w^2); the density stays, the rate does not.
        turned_rate = steps * hz[part][:, None]
        density = np.exp(log_noise) * LOG_MEAN / ((turned_rate / 2) * (hann**2).sum())
        noise[part] = np.sqrt(3.0 * density * rate / 2)

        k = np.arange(1, harmonics + 1)
        places = np.minimum(k * periods, window // 2)
        at_partial = power[:, places]
        partial_hz = k[None, :] * hz[part][:, None]
        under = np.stack([np.interp(h, band_hz, row) for h, row in zip(partial_hz, log_noise)])
        clean = np.maximum(at_partial - 1.5 * np.exp(under) * LOG_MEAN, 0.0)
        clean[partial_hz >= 0.995 * rate / 2] = 0.0
        amplitudes[part] = 2.0 * np.sqrt(clean) / hann.sum()
    return amplitudes, noise
