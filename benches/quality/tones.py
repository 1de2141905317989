"""Steady tones: whether they keep their amplitude."""

import numpy as np
from scipy import signal

from signals import RATE

NEAR_HZ = 8.0


def without_hats(out):
    """Returns the sound without what is above all tones."""
    taps = signal.firwin(511, 11_500, window=("kaiser", 9.0), fs=RATE)
    return signal.fftconvolve(out, taps[:, None], "same", axes=0)


def steadiness(out, freqs, near=NEAR_HZ):
    """Returns the energy of the mean amplitude within 8 Hz of each tone against that of its deviations there, in dB.

    The mean of tones and channels. A jump of phase counts, since the band is narrow: the amplitude dips. A slow drift
    of phase does not.
    """
    count = len(out)
    window = signal.windows.tukey(count, 0.1)
    hz = np.fft.rfftfreq(count, 1 / RATE)
    values = []
    for c in range(out.shape[1]):
        spectrum = np.fft.rfft(out[:, c] * window)
        for f in freqs:
            band = spectrum[(hz >= f - near) & (hz <= f + near)]
            # An amplitude of 16 Hz bandwidth needs no more than a few hundred values a second.
            size = int(256 * count / RATE)
            amplitude = np.abs(np.fft.ifft(band, size))[int(0.12 * size) : int(0.88 * size)]
            values.append(10 * np.log10(np.mean(amplitude) ** 2 / (np.var(amplitude) + 1e-20)))
    return float(np.mean(values))
