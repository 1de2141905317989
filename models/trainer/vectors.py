"""Test vectors: a thousand steps of a model, kept small beside it, so that other runtimes can be held against it.

Little-endian float32: steps, every, harmonics, bands, width of the state; then pitch and loudness of every step, the
amplitude of every step, and at the end of each `every` steps the distribution, the noise and the state.
"""

import numpy as np

from . import contract

STEPS, EVERY = 1000, 50


def inputs(pitch_range, loudness_range_db, seed=7):
    """A phrase with everything in it: held notes, glides, silence, jumps, and values outside of the range."""
    random = np.random.default_rng(seed)
    pitch, loudness = np.zeros(STEPS, np.float32), np.zeros(STEPS, np.float32)
    low, high = (contract.scale_pitch(p) for p in pitch_range)
    soft, loud = (contract.scale_loudness(db) for db in loudness_range_db)
    at = 0
    while at < STEPS:
        length = min(int(random.integers(10, 60)), STEPS - at)
        begin, end = random.uniform(low - 0.1, high + 0.1, 2) if random.random() < 0.4 else [random.uniform(low, high)] * 2
        pitch[at : at + length] = np.linspace(begin, end, length)
        silent = random.random() < 0.15
        loudness[at : at + length] = 0.0 if silent else np.linspace(*random.uniform(soft - 0.05, loud + 0.05, 2), length)
        at += length
    return pitch, loudness


def write(path, running, pitch_range, loudness_range_db):
    pitch, loudness = inputs(pitch_range, loudness_range_db)
    running.reset()
    amplitude, rest = [], []
    for step in range(STEPS):
        a, distribution, noise = running.step(pitch[step], loudness[step])
        amplitude.append(a)
        if (step + 1) % EVERY == 0:
            rest += [distribution, noise, running.state.copy()]
    head = np.float32([STEPS, EVERY, len(distribution), len(noise), len(running.state)])
    whole = np.concatenate([head, pitch, loudness, np.float32(amplitude), *rest]).astype("<f4")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(whole.tobytes())
