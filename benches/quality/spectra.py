"""Distances of spectra: mel, multi-scale, mapped to another tempo; onset strength; stereo image."""

import numpy as np
from scipy import signal

from signals import RATE

LOW_HZ, HIGH_HZ = 40.0, 16_000.0
FLOOR_DB = 60.0
WINDOW, HOP = 1024, 256
# Windows are padded, so that the narrowest bands contain a bin.
PADDED = 4096


def mel_bands(count, size, low=LOW_HZ, high=HIGH_HZ):
    """Returns triangular filters (bands, bins) for power spectra of `size` frames."""
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(mel(low), mel(high), count + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(size, 1 / RATE)
    return np.array(
        [
            np.clip(np.minimum((hz - a) / (b - a), (c - hz) / (c - b)), 0, None)
            for a, b, c in zip(edges, edges[1:], edges[2:])
        ]
    )


BANDS = mel_bands(64, PADDED)


def frames_at(audio, centres, window):
    """Returns windowed pieces of a channel around the given frames."""
    half = window // 2
    padded = np.concatenate([np.zeros(half), audio, np.zeros(window)])
    starts = np.clip(np.round(centres).astype(int), 0, len(audio))
    return padded[starts[:, None] + np.arange(window)] * np.hanning(window)


def band_db(audio, centres, window, padded, bands):
    """Returns the level in dB of bands around the given frames, the power of both channels together."""
    levels = []
    for k in range(0, len(centres), 2_000):
        pieces = [frames_at(audio[:, c], centres[k : k + 2_000], window) for c in range(2)]
        power = sum(np.abs(np.fft.rfft(p, padded)) ** 2 for p in pieces)
        levels.append(10 * np.log10(power @ bands.T + 1e-20))
    return np.concatenate(levels)


def mel_db(audio, centres, window=WINDOW):
    return band_db(audio, centres, window, PADDED, BANDS)


def strength(levels):
    """Returns the onset strength: rises of level, summed over the bands."""
    return np.maximum(np.diff(levels, axis=0), 0).sum(axis=1)


def difference(found, expected):
    """Returns the mean difference of levels down to 60 dB below the maximum, and the correlation of onset strengths."""
    floor = expected.max() - FLOOR_DB
    found, expected = np.maximum(found, floor), np.maximum(expected, floor)
    a, b = strength(found), strength(expected)
    if not (a.any() and b.any()):
        return float(np.mean(np.abs(found - expected))), np.nan
    return float(np.mean(np.abs(found - expected))), float(np.corrcoef(a, b)[0, 1])


def mel_distance(found, expected):
    """Returns the mel distance in dB and the onset correlation of two aligned sounds."""
    centres = np.arange(0, len(expected), HOP)
    return difference(mel_db(found, centres), mel_db(expected, centres))


def mapped_distance(found, original, speed, window=WINDOW):
    """Returns mel distance and onset correlation of a sound without lag and the original at the mapped time."""
    centres = np.arange(0, min(len(found), len(original) / speed), HOP)
    return difference(mel_db(found, centres, window), mel_db(original, centres * speed, window))


def multi_scale(found, expected):
    """Returns the mean difference in dB of spectra with windows of 256, 1024 and 4096 frames."""
    distances = []
    for window in (256, 1024, 4096):
        hz = np.fft.rfftfreq(window, 1 / RATE)
        keep = (hz >= LOW_HZ) & (hz <= HIGH_HZ)
        values = []
        for c in range(2):
            levels = []
            for sound in (found, expected):
                _, _, s = signal.stft(sound[:, c], RATE, "hann", window, window * 3 // 4, boundary=None, padded=False)
                levels.append(20 * np.log10(np.abs(s[keep]) + 1e-10))
            floor = levels[1].max() - FLOOR_DB
            values.append(np.mean(np.abs(np.maximum(levels[0], floor) - np.maximum(levels[1], floor))))
        distances.append(np.mean(values))
    return float(np.mean(distances))


def _image(audio):
    """Returns level difference in dB, coherence and power of 24 bands, smoothed over 100 ms."""
    bands = mel_bands(24, 2048)
    left, right = (
        signal.stft(audio[:, c], RATE, "hann", 2048, 2048 - 512, boundary=None, padded=False)[2] for c in range(2)
    )
    smooth = lambda x: signal.lfilter(np.ones(9) / 9, 1, bands @ x, axis=1)
    ll, rr, lr = smooth(np.abs(left) ** 2), smooth(np.abs(right) ** 2), smooth(left * np.conj(right))
    return 10 * np.log10((ll + 1e-12) / (rr + 1e-12)), np.abs(lr) / np.sqrt(ll * rr + 1e-20), ll + rr


def stereo(found, expected):
    """Returns the mean errors of level difference (dB) and of coherence, where the expected sound is within 50 dB."""
    level, coherence, _ = _image(found)
    wanted, together, power = _image(expected)
    loud = power > power.max() * 1e-5
    return float(np.mean(np.abs(level - wanted)[loud])), float(np.mean(np.abs(coherence - together)[loud]))
