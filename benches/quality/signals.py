"""Test signals; those that take a speed are stretched by construction, as a perfect stretcher would stretch them."""

import numpy as np

RATE = 44_100


def seconds(n):
    return np.arange(int(n * RATE)) / RATE


def multi(length=9.0, seed=1):
    """Twelve inharmonic steady partials from 63 Hz to 9.9 kHz, with random phases between the channels."""
    rng = np.random.default_rng(seed)
    freqs = np.geomspace(63, 9_900, 12) * np.exp(rng.uniform(-0.02, 0.02, 12))
    t = seconds(length)
    out = np.zeros((len(t), 2))
    for f in freqs:
        for c in range(2):
            out[:, c] += 0.05 * np.sin(2 * np.pi * f * t + rng.uniform(0, 2 * np.pi))
    return out, freqs


def harmonics(length=9.0):
    """Twenty harmonics of 146.83 Hz."""
    t = seconds(length)
    freqs = 146.83 * np.arange(1, 21)
    rng = np.random.default_rng(2)
    mono = sum(0.3 / k * np.sin(2 * np.pi * f * t + rng.uniform(0, 6.28)) for k, f in enumerate(freqs, 1))
    return np.stack([mono, 0.8 * mono], 1), freqs


def tick(rng, kind=0):
    """Five milliseconds: a burst with a sharp front and a smooth end."""
    t = seconds(0.005)
    shape = np.minimum(1, t / 0.0002) * np.cos(np.pi / 2 * t / t[-1]) ** 2
    if kind == 0:
        return shape * (np.sin(2 * np.pi * 2_500 * t) + 0.5 * rng.standard_normal(len(t)))
    return shape * np.sin(2 * np.pi * 1_100 * t)


def place(out, at, sound, gain):
    """Adds a sound at a fractional frame (by a phase ramp), to both channels."""
    whole, frac = int(np.floor(at)), at - np.floor(at)
    n = len(sound) + 64
    spectrum = np.fft.rfft(sound, n) * np.exp(-2j * np.pi * np.fft.rfftfreq(n) * frac)
    moved = np.fft.irfft(spectrum, n)
    end = min(len(out), whole + n)
    if end > whole >= 0:
        out[whole:end] += (gain * moved[: end - whole])[:, None] if np.isscalar(gain) else moved[: end - whole, None] * gain


def ticks(length=14.0, bpm=120.0, seed=3, kind=0):
    """Ticks over noise at −70 dBFS; also their positions and the waveform of one."""
    rng = np.random.default_rng(seed)
    out = rng.standard_normal((int(length * RATE), 2)) * 10 ** (-70 / 20)
    sound = tick(rng, kind)
    times = np.arange(0.4, length - 0.4, 60 / bpm)
    for t in times:
        start = int(round(t * RATE))
        out[start : start + len(sound)] += 0.5 * sound[:, None]
    return out, np.round(times * RATE), 0.5 * sound


def kick(rng):
    t = seconds(0.22)
    return np.sin(2 * np.pi * (50 * t + 90 * 0.03 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.07) * np.minimum(1, t / 0.001)


def snare(rng):
    t = seconds(0.16)
    return (0.6 * rng.standard_normal(len(t)) + 0.5 * np.sin(2 * np.pi * 190 * t)) * np.exp(-t / 0.045)


def hat(rng):
    t = seconds(0.06)
    return np.diff(rng.standard_normal(len(t) + 1)) * np.exp(-t / 0.014)


def mixture(speed=1.0, length=10.0, drums=1.0, pad=1.0, bpm=120.0, seed=4):
    """Drums and a pad as they would sound at `speed`: every hit verbatim in its position, the pad stretched."""
    rng = np.random.default_rng(seed)
    n = int(length / speed * RATE)
    out = np.zeros((n, 2))
    kinds = [kick(rng), snare(rng), hat(rng)]
    beat = 60 / bpm
    t = 0.25
    step = 0
    while t < length - 0.4:
        hits = [(2, 0.25)]
        if step % 4 == 0:
            hits.append((0, 0.7) if step % 8 == 0 else (1, 0.5))
        if step % 16 == 10:
            hits.append((0, 0.6))
        for k, gain in hits:
            place(out, t / speed * RATE, kinds[k], drums * gain * np.array([1.0, 0.85]))
        t += beat / 4
        step += 1
    time = np.arange(n) / RATE
    chords = [(110, 164.8, 220, 261.6, 329.6), (98, 146.8, 196, 246.9, 293.7)]
    phases = rng.uniform(0, 6.28, (2, 5, 6, 2))
    for c, chord in enumerate(chords):
        # Each chord sounds for two seconds out of four, with slow slopes.
        position = time * speed
        envelope = np.clip(np.minimum((position - 2 * c) % 4 / 0.3, (2 + 0.3 - (position - 2 * c) % 4) / 0.3), 0, 1)
        for i, f in enumerate(chord):
            for h in range(6):
                for ch in range(2):
                    out[:, ch] += pad * 0.05 / (h + 1) * envelope * np.sin(2 * np.pi * f * (h + 1) * time + phases[c, i, h, ch])
    return out


def panned(length=8.0, seed=5):
    """A mixture on the left, half of it on the right, with independent noise at −84 dBFS."""
    rng = np.random.default_rng(seed)
    left = mixture(1.0, length, seed=6)[:, 0]
    return np.stack([left, 0.5 * left + rng.standard_normal(len(left)) * 10 ** (-84 / 20)], 1)


def sweep(length=10.0):
    """A logarithmic sweep from 100 Hz to 8 kHz."""
    t = seconds(length)
    k = np.log(80) / length
    mono = 0.4 * np.sin(2 * np.pi * 100 / k * (np.exp(k * t) - 1))
    return np.stack([mono, mono], 1)
