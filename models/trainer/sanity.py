"""What must hold whatever a model was trained on; each promise is tried on the file itself."""

import itertools

import numpy as np

from . import contract, synth

FAR = (-1e9, -1.0, -0.01, 0.0, 0.2, 0.45, 0.7, 1.0, 1.01, 2.0, 1e9)
HOPS_A_SECOND = contract.SAMPLE_RATE // contract.HOP


def level_db(sound):
    return 10.0 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20)


def held(running, midi, loudness, seconds, rest=True):
    """Controls of a held note."""
    if rest:
        running.reset()
    frames = int(seconds * HOPS_A_SECOND)
    steps = [running.step(contract.scale_pitch(midi), loudness) for _ in range(frames)]
    return np.stack([a * d for a, d, _ in steps]), np.stack([n for _, _, n in steps])


def sounding(running, midi, loudness, seconds, rest=True):
    amplitudes, noise = held(running, midi, loudness, seconds, rest)
    return synth.render(np.full(len(amplitudes), midi), amplitudes, noise)


def checks(running, pitch_range, loudness_range_db):
    """[(what is promised, what was found, whether it holds)]."""
    pitches = np.linspace(pitch_range[0], pitch_range[1], 5)
    quiet, loud = (contract.scale_loudness(db) for db in loudness_range_db)
    return [
        extremes(running),
        silence(running, pitches, loud),
        monotone(running, pitches, loudness_range_db[1]),
        steady(running, pitches[2], (quiet + 2 * loud) / 3),
        forgets(running, pitches, loud),
    ]


def extremes(running):
    largest, finite, tried = 0.0, True, 0
    for state in (0.0, 1.0, -1.0):
        for pitch, loudness in itertools.product(FAR, FAR):
            running.state[:] = state
            for _ in range(5):
                amplitude, distribution, noise = running.step(pitch, loudness)
                values = np.concatenate([[amplitude], distribution, noise, running.state])
                finite &= bool(np.isfinite(values).all())
                largest = max(largest, float(np.abs(values).max()))
                tried += 1
    return "finite and bounded at extremes", f"{tried} steps, largest value {largest:.1f}", finite and largest < 1e3


def silence(running, pitches, loud):
    worst = -200.0
    for midi in pitches:
        held(running, midi, loud, 0.5)
        worst = max(worst, level_db(sounding(running, midi, 0.0, 1.0, rest=False)))
    return "zero loudness is at most -80 dBFS", f"{worst:.0f} dBFS at most", worst <= -80.0


def monotone(running, pitches, loudest_db):
    least_step, spans = 99.0, []
    for midi in pitches:
        levels = [
            level_db(sounding(running, midi, contract.scale_loudness(loudest_db - under), 0.6)[contract.SAMPLE_RATE // 4 :])
            for under in range(30, -1, -3)
        ]
        least_step = min(least_step, float(np.diff(levels).min()))
        spans.append(levels[-1] - levels[0])
    found = f"steps of 3 dB become {least_step:.1f} dB at least; 30 dB become {min(spans):.1f} to {max(spans):.1f}"
    return "louder is louder, over 30 dB", found, least_step > 0.0


def steady(running, midi, loudness):
    amplitudes, noise = held(running, midi, loudness, 600.0)
    power = (amplitudes**2).sum(axis=1)
    after = power[10 * HOPS_A_SECOND :]
    drift = 10.0 * np.log10(after.max() / after.min())
    good = np.isfinite(amplitudes).all() and np.isfinite(noise).all() and drift < 1.0
    return "a note held for ten minutes stays", f"{drift:.3f} dB between its loudest and softest after 10 s", bool(good)


def forgets(running, pitches, loud):
    states = []
    for midi in pitches:
        held(running, midi, loud, 1.0)
        held(running, midi, 0.0, 0.2, rest=False)
        held(running, pitches[0], 0.0, 0.01, rest=False)
        states.append(running.state.copy())
    apart = float(np.max([np.abs(s - states[0]).max() for s in states]))
    return "silence puts the state to rest", f"states of different pasts differ by {apart:.1e} after 0.2 s", apart < 1e-5
