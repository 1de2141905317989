"""The measures, as defined by the comparison this project started from."""

import numpy as np
from scipy import signal

from signals import RATE


def tone_snr(out, freqs, width):
    """Energy within `width` Hz of the partials relative to all the rest, in dB, mean of the channels."""
    middle = out[int(0.15 * len(out)) : int(0.85 * len(out))]
    window = signal.windows.blackmanharris(len(middle))
    values = []
    for c in range(2):
        power = np.abs(np.fft.rfft(middle[:, c] * window)) ** 2
        hz = np.fft.rfftfreq(len(middle), 1 / RATE)
        near = np.zeros(len(hz), bool)
        for f in freqs:
            near |= np.abs(hz - f) <= width
        values.append(10 * np.log10(power[near].sum() / power[~near].sum()))
    return float(np.mean(values))


def sweep_snr(out, speed, length=10.0):
    """The sweep demodulated by its ideal, stretched phase: energy within 60 Hz relative to the rest, in dB."""
    t = np.arange(len(out)) / RATE
    k = np.log(80) / length * speed
    ideal = np.exp(-2j * np.pi * 100 / k * (np.exp(k * t) - 1))
    keep = (t > 0.08 * t[-1]) & (t < 0.92 * t[-1])
    flat = signal.hilbert(out[:, 0])[keep] * ideal[keep]
    power = np.abs(np.fft.fft(flat * signal.windows.blackmanharris(len(flat)))) ** 2
    hz = np.fft.fftfreq(len(flat), 1 / RATE)
    near = np.abs(hz) <= 60
    return float(10 * np.log10(power[near].sum() / power[~near].sum()))


def find_ticks(out, sound, expected, reach=0.045):
    """Position, correlation and amplitude of every tick, by matched filter with parabolic interpolation."""
    mono = out.mean(axis=1)
    norm = np.sum(sound**2)
    found = []
    for at in expected:
        low = int(at - reach * RATE)
        high = int(at + reach * RATE) + len(sound)
        if low < 0 or high > len(mono):
            found.append((np.nan, np.nan, np.nan))
            continue
        piece = mono[low:high]
        hits = np.correlate(piece, sound, "valid")
        k = int(np.argmax(hits))
        energy = np.sum(piece[k : k + len(sound)] ** 2)
        a, b, c = hits[max(k - 1, 0)], hits[k], hits[min(k + 1, len(hits) - 1)]
        shift = 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c else 0.0
        found.append((low + k + shift, b / np.sqrt(norm * energy + 1e-20), b / norm))
    return np.array(found)


def tick_figures(out, sound, places, speed, at=None):
    """The figures of one rendering of ticks. `at`: their expected positions, if the speed is not constant."""
    expected = places / speed if at is None else at
    found = find_ticks(out, sound, expected)
    fine = ~np.isnan(found[:, 0])
    error = found[fine, 0] - expected[fine]
    slope = np.polyfit(expected[fine], error, 1)[0] * 1e6
    mono = out.mean(axis=1)
    before, after, twice = [], [], 0
    ms = RATE / 1000
    for position in found[fine, 0]:
        p = int(round(position))
        body = np.sum(mono[p : p + len(sound)] ** 2) + 1e-20
        # Per frame: mean powers are compared.
        body /= len(sound)
        early = mono[max(0, int(p - 30 * ms)) : max(0, int(p - 0.5 * ms))]
        late = mono[int(p + len(sound) + 2 * ms) : int(p + len(sound) + 60 * ms)]
        before.append(np.mean(early**2) / body if len(early) else 0)
        after.append(np.mean(late**2) / body if len(late) else 0)
        around = np.concatenate([early, late])
        if len(around) > len(sound) and np.max(np.abs(np.correlate(around, sound, "valid"))) > 0.25 * np.sum(sound**2):
            twice += 1
    centred = error - np.median(error)
    return {
        "tick_ms": float(np.max(np.abs(centred)) / ms),
        "late": float(np.median(error)),
        "ncc": float(np.min(found[fine, 1])),
        "ncc_mean": float(np.mean(found[fine, 1])),
        "amp": float(np.min(found[fine, 2])),
        "pre": float(10 * np.log10(np.mean(before) + 1e-12)),
        "post": float(10 * np.log10(np.mean(after) + 1e-12)),
        "dup": twice / len(found),
        "ppm": float(slope),
    }


def mel_filters(bands=64, size=2048, low=40.0, high=16_000.0):
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(mel(low), mel(high), bands + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(size, 1 / RATE)
    return np.array(
        [np.clip(np.minimum((hz - a) / (b - a), (c - hz) / (c - b)), 0, None) for a, b, c in zip(edges, edges[1:], edges[2:])]
    )


MEL = mel_filters()


def log_mel(out):
    mono = out.mean(axis=1)
    _, _, spec = signal.stft(mono, RATE, "hann", 2048, 2048 - 441, boundary=None, padded=False)
    power = MEL @ (np.abs(spec) ** 2)
    return 10 * np.log10(np.maximum(power, power.max() * 1e-7))


def mel_figures(out, ideal):
    """Mean difference of the mel spectrograms in dB and correlation of the onset strengths; best of small shifts."""
    best = None
    for shift in range(-6, 7):
        moved = np.roll(out, -shift * 40, axis=0)
        n = min(len(moved), len(ideal))
        edge = int(0.3 * RATE)
        a, b = log_mel(moved[edge : n - edge]), log_mel(ideal[edge : n - edge])
        distance = float(np.mean(np.abs(a - b)))
        if best is None or distance < best[0]:
            strength = lambda m: np.maximum(np.diff(m, axis=1), 0).sum(axis=0)
            best = (distance, float(np.corrcoef(strength(a), strength(b))[0, 1]))
    return best


def pan_residual(out):
    """Energy of R − L/2, relative to R, in dB."""
    residual = out[:, 1] - 0.5 * out[:, 0]
    cut = slice(int(0.05 * len(out)), int(0.95 * len(out)))
    return float(10 * np.log10(np.mean(residual[cut] ** 2) / np.mean(out[cut, 1] ** 2)))


def hf_peak(out, above=13_000):
    """The loudest sample of the signal above all partials, in dBFS: clicks and zipper noise."""
    # Linear phase and 100 dB within 500 Hz: the signal below must not leak in.
    taps = signal.firwin(2047, above, window=("kaiser", 10.0), pass_zero=False, fs=RATE)
    middle = signal.fftconvolve(out[:, 0], taps, "same")[int(0.1 * len(out)) : int(0.9 * len(out))]
    return float(20 * np.log10(np.max(np.abs(middle)) + 1e-9))
