"""Test scenes with one known answer each: rolls, a snare under guitars, a chord under hi-hats, low tones, vowels.

Usage: scenes.py FOLDER: writes all of them as WAV files, with the positions of their hits.
"""

import argparse
import json
import os

import numpy as np
from scipy import signal
from scipy.io import wavfile

import synth
from pieces import CLOSED, SNARE
from signals import RATE, hat, seconds, snare
from synth import Note, Part

SPACINGS_MS = (125, 83, 62, 50, 40)
LEVELS_DB = (18, 12, 9, 6)
EVERY_MS = (None, 1_000, 500, 250, 125)
LOW_HZ = (30.0, 32.7, 36.7, 41.2, 49.0, 55.0, 61.7, 65.4)
# An open chord, the tones of which every engine can tell apart, and a close one.
CHORDS_HZ = {
    "open": (110.0, 220.0, 330.0, 440.0, 660.0, 880.0, 1320.0),
    "close": (130.81, 164.81, 196.0, 246.94, 329.63, 493.88, 783.99, 1174.66),
}
# (first, second, third) formants in Hz of sung vowels.
VOWELS = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}


def single(machine, program, key, velocity=110, length=0.4, shortest=None):
    """Returns one hit of a drum kit, in mono, with a peak of 1, cut after `shortest` seconds with a fade."""
    part = Part("kit", program, True)
    sound = machine.render([Note(part, 0.0, length, key, velocity)], length).mean(axis=1)
    if shortest:
        n = int(shortest * RATE)
        sound = sound[:n] * np.minimum(1, np.linspace(8, 0, n))
    return sound / np.max(np.abs(sound))


def roll(sound, spacing_ms, speed=1.0, length=8.0):
    """Returns a roll with a slow crescendo, the frames of its hits and their gains."""
    count = int((length - 1.0) / (spacing_ms / 1000))
    at = np.round((0.5 + np.arange(count) * spacing_ms / 1000) / speed * RATE).astype(int)
    gains = 0.5 * np.geomspace(0.2, 1, count)
    out = np.zeros((int(length / speed * RATE), 2))
    for frame, gain in zip(at, gains):
        end = min(len(out), frame + len(sound))
        out[frame:end] += gain * sound[: end - frame, None]
    return out, at, gains


def shaped_guitars(length, seed=31):
    """A dense bed of two distorted guitars, which change chords every two seconds; RMS 1."""
    rng = np.random.default_rng(seed)
    t = seconds(length)
    out = np.zeros((len(t), 2))
    cabinet = signal.butter(1, (120, 6_000), "band", fs=RATE, output="sos")
    for c in range(2):
        dry = np.zeros(len(t))
        for k, root in enumerate((82.41, 98.0, 110.0, 73.42)):
            on = ((t - 0.13) // 2 % 4 == k).astype(float)
            on = signal.lfilter(np.ones(80) / 80, 1, on)
            for ratio in (1, 1.4983, 2, 2.9966):
                f = root * ratio * (1 + 0.0015 * rng.standard_normal())
                dry += on * signal.sawtooth(2 * np.pi * (f * t + rng.random()) + 0.2 * np.sin(2 * np.pi * 4.5 * t))
        # What the pick and the strings add, so that the bed is not purely periodic.
        dry += 0.25 * rng.standard_normal(len(t))
        out[:, c] = signal.sosfilt(cabinet, np.tanh(2.5 * dry))
    return out / np.sqrt(np.mean(out**2))


def sampled_guitars(machine, length):
    """The same chords by the sound font's distorted and overdriven guitars; RMS 1."""
    left, right = Part("left", 30, pan=10), Part("right", 29, pan=118)
    notes = []
    for k in range(int(length // 2) + 1):
        root = (40, 43, 45, 38)[k % 4]
        for part, late in ((left, 0.13), (right, 0.15)):
            for up in (0, 7, 12, 19):
                notes.append(Note(part, max(0, 2 * k - 2 + late + 0.003 * up / 7), 2.0, root + up, 112))
    audio = machine.render(notes, length)
    # The sound font's guitars decay; a compressor holds them.
    level = np.sqrt(signal.sosfiltfilt(signal.butter(1, 3, fs=RATE, output="sos"), np.sum(audio**2, axis=1)).clip(1e-8))
    audio = audio / level[:, None]
    return audio / np.sqrt(np.mean(audio**2))


def buried(bed, sound, level_db, length=12.0):
    """Returns a snare every half second over a bed of 0.25 RMS, its peak `level_db` above that; its frames and gain."""
    out = 0.25 * bed[: int(length * RATE)]
    at = np.arange(0.6, length - 0.6, 0.5)
    at = np.round(at * RATE).astype(int)
    gain = 0.25 * 10 ** (level_db / 20)
    for frame in at:
        out[frame : frame + len(sound)] += gain * sound[:, None]
    return out, at, gain


def chord_under_hats(chord, every_ms, length=9.0, seed=32):
    """Steady tones; every so often 50 ms of noise above 13.5 kHz with a decay of 11 ms and a peak of 0.5."""
    rng = np.random.default_rng(seed)
    t = seconds(length)
    out = np.zeros((len(t), 2))
    for f in CHORDS_HZ[chord]:
        for c in range(2):
            out[:, c] += 0.05 * np.sin(2 * np.pi * f * t + rng.uniform(0, 2 * np.pi))
    if every_ms:
        shaped = rng.standard_normal(int(0.05 * RATE)) * np.exp(-seconds(0.05) / 0.011)
        # Filtered last: what a sudden start adds below would be heard among the tones.
        sound = signal.sosfilt(signal.ellip(10, 0.1, 100, 13_500, "high", fs=RATE, output="sos"), shaped)
        sound *= 0.5 / np.max(np.abs(sound))
        for at in np.arange(0.25, length - 0.1, every_ms / 1000):
            frame = round(at * RATE)
            out[frame : frame + len(sound)] += sound[:, None]
    return out


def low_tone(hz, length=9.0, overtones=1):
    """A steady tone, alone or with overtones that fall by 6 dB an octave."""
    t = seconds(length)
    mono = sum(0.4 / k * np.sin(2 * np.pi * hz * k * t + 0.7 * k * k) for k in range(1, overtones + 1))
    return np.stack([mono, mono], 1)


def sung(vowels="aeiou", f0=140.0, each=1.2, formant_ratio=1.0, seed=33):
    """Sung vowels: a glottal pulse train with vibrato through three resonances, which `formant_ratio` moves."""
    rng = np.random.default_rng(seed)
    n = int(each * RATE)
    out = []
    for k, v in enumerate(vowels):
        t = np.arange(n) / RATE
        pitch = f0 * 2 ** ((0.3 * np.sin(2 * np.pi * 5.2 * t) + (0, 2, 4, 5, 7)[k % 5]) / 12)
        phase = np.cumsum(pitch) / RATE
        source = sum(np.cos(2 * np.pi * h * phase) / h**1.2 * (h * pitch < 15_000) for h in range(1, 90))
        source = source + 0.02 * rng.standard_normal(n)
        voice = source
        for formant, width in zip(VOWELS[v], (80, 100, 140)):
            r = np.exp(-np.pi * width * formant_ratio / RATE)
            angle = 2 * np.pi * formant * formant_ratio / RATE
            voice = signal.lfilter([1 - 2 * r * np.cos(angle) + r * r], [1, -2 * r * np.cos(angle), r * r], voice)
        voice *= np.minimum(1, np.minimum(t / 0.06, (each - t) / 0.08))
        out.append(voice / np.sqrt(np.mean(voice**2)) * 0.1)
    mono = np.concatenate(out)
    return np.stack([mono, mono], 1)


def hats(machine):
    """Closed hi-hats that ring on under the next hit: two of the sound font, and noise."""
    own = hat(np.random.default_rng(35))
    return {
        "sampled": single(machine, 0, CLOSED, shortest=0.25),
        "808": single(machine, 25, CLOSED, shortest=0.12),
        "noise": own / np.max(np.abs(own)),
    }


def snares(machine):
    """A snare of noise and a tone, and the sound font's."""
    rng = np.random.default_rng(34)
    own = snare(rng)
    return {"synthetic": own / np.max(np.abs(own)), "sampled": single(machine, 0, SNARE, shortest=0.16)}


def beds(machine, length=12.0):
    return {"synthetic": shaped_guitars(length), "sampled": sampled_guitars(machine, length)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    os.makedirs(folder, exist_ok=True)
    machine = synth.Synth()
    hits = {}

    def write(name, audio, at=()):
        wavfile.write(os.path.join(folder, f"{name}.wav"), RATE, audio.astype(np.float32))
        if len(at):
            hits[name] = [int(a) for a in at]

    for spacing in SPACINGS_MS:
        for kind, sound in hats(machine).items():
            audio, at, _ = roll(sound, spacing)
            write(f"roll-{kind}-{spacing}", audio, at)
    for kind, bed in beds(machine).items():
        for level in LEVELS_DB:
            audio, at, _ = buried(bed, snares(machine)[kind], level)
            write(f"snare-{kind}-{level}", audio, at)
    for every in EVERY_MS:
        at = [] if not every else np.round(np.arange(0.25, 8.9, every / 1000) * RATE)
        for chord in CHORDS_HZ:
            write(f"chord-{chord}-{every or 'none'}", chord_under_hats(chord, every), at)
    for hz in LOW_HZ:
        write(f"low-{hz:g}", low_tone(hz))
        write(f"low-rich-{hz:g}", low_tone(hz, overtones=8))
    write("sung", sung())
    with open(os.path.join(folder, "hits.json"), "w") as f:
        json.dump(hits, f)


if __name__ == "__main__":
    main()
