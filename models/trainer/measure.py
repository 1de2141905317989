"""Figures on held-out notes: the instrument between a floor and a ceiling, all three as sound.

ceiling  partials and noise measured in the held-out recording itself, resynthesised
floor    noise with the mean spectrum of the training set, at the held-out note's loudness
static   the mean partials and noise of the training set at the held-out note's pitch and loudness: a harder floor
"""

import numpy as np

from . import contract, loss, synth

HOP = contract.HOP
ATTACK_SCALES = (1024, 512, 256, 128)
ATTACK_SECONDS = 0.08


def mean_response(notes):
    """The training set's mean power spectrum against its loudness, as a filter of 2048 taps."""
    size = 2048
    total = np.zeros(size // 2 + 1)
    window = np.hanning(size)
    for note in notes:
        frames = np.flatnonzero(note.loudness > note.loudness.max() - 30 / contract.LOUDNESS_SPAN_DB)[::4]
        padded = np.pad(note.sound, size)
        for f in frames:
            piece = padded[f * HOP + size // 2 : f * HOP + size // 2 + size] * window
            total += np.abs(np.fft.rfft(piece)) ** 2 / np.sum(piece**2 + 1e-12)
    response = np.fft.irfft(np.sqrt(total / len(notes)))
    response = np.roll(response, size // 2) * np.hanning(size)
    return response / np.sqrt((response**2).sum())


def floor_sound(note, response, seed):
    white = np.random.default_rng(seed).standard_normal(len(note.sound) + len(response))
    coloured = np.fft.irfft(np.fft.rfft(white, 2 * len(white)) * np.fft.rfft(response, 2 * len(white)))[1024:]
    level = contract.gain_of_loudness(note.loudness.astype(float))
    at = np.arange(len(note.sound)) / HOP
    return (coloured[: len(note.sound)] * np.interp(at, np.arange(note.frames), level)).astype(np.float32)


def mean_controls(notes):
    """Geometric means of partials and noise against loudness, over the sounding frames of training."""
    logs = []
    for note in notes:
        frames = note.loudness > note.loudness.max() - 30 / contract.LOUDNESS_SPAN_DB
        level = contract.gain_of_loudness(note.loudness[frames].astype(float))[:, None]
        both = np.concatenate([note.amplitudes[frames], note.noise[frames]], axis=1)
        logs.append(np.log(both / level + 1e-5).mean(axis=0))
    mean = np.exp(np.mean(logs, axis=0))
    return mean[: notes[0].amplitudes.shape[1]], mean[notes[0].amplitudes.shape[1] :]


def attack_of(note):
    """The samples of a note's first 80 ms, from when it is within 25 dB of its loudest."""
    onset = int(np.argmax(note.loudness > note.loudness.max() - 25 / contract.LOUDNESS_SPAN_DB))
    begin = max(0, (onset - 1) * HOP)
    return slice(begin, begin + int(ATTACK_SECONDS * contract.SAMPLE_RATE))


def renders(note, running, response, static):
    """The four sounds that are compared with a held-out note, by name."""
    level = contract.gain_of_loudness(note.loudness.astype(float))[:, None]
    return {
        "instrument": synth.render(note.midi, *running.controls(note.midi, note.loudness)),
        "ceiling": synth.render(note.midi, note.amplitudes, note.noise),
        "floor": floor_sound(note, response, 1),
        "static": synth.render(note.midi, static[0] * level, static[1] * level),
    }


def figures(material, running, most=80, progress=lambda share: None):
    """Mean distances in dB over the held-out notes, whole and of attacks, and how much of the way is closed."""
    train, test = material.of("train"), material.of("test")[:most]
    response, static = mean_response(train[::4]), mean_controls(train)
    whole, attack = {}, {}
    for i, note in enumerate(test):
        progress(i / len(test))
        for name, made in renders(note, running, response, static).items():
            count = min(len(made), len(note.sound))
            made, wanted = made[:count], note.sound[:count]
            whole.setdefault(name, []).append(loss.distance_db(made, wanted))
            attack.setdefault(name, []).append(loss.distance_db(made, wanted, ATTACK_SCALES, attack_of(note)))
    out = {"held_out_notes": len(test), "held_out_seconds": round(sum(len(n.sound) for n in test) / contract.SAMPLE_RATE, 1)}
    for kind, found in (("distance_db", whole), ("attack_db", attack)):
        mean = {name: float(np.mean(values)) for name, values in found.items()}
        out[kind] = {name: round(value, 3) for name, value in mean.items()}
        out[kind]["closed_percent"] = closed(mean, "floor")
        out[kind]["closed_percent_of_static"] = closed(mean, "static")
    return out


def closed(mean, floor):
    way = mean[floor] - mean["ceiling"]
    return round(100.0 * (mean[floor] - mean["instrument"]) / way, 1) if way > 0 else 0.0
