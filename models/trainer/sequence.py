"""Notes joined into phrases, because single notes teach no transitions.

Everything lies on the grid of hops, so that sound and controls are cut at the same places.
"""

import numpy as np

from . import contract, level

HOP = contract.HOP
CROSS = 3  # hops over which one note gives way to the next in legato


class Composer:
    """Draws phrases from notes, for as long as one likes; the same seed draws the same phrases."""

    def __init__(self, notes):
        self.notes = notes
        self.seed(0)
        steady = {}
        for note in notes:
            if note.steady and note.frames > 40:
                steady.setdefault(round(note.midi_named), []).append(note)
        levels = {id(note): float(np.median(note.loudness)) for group in steady.values() for note in group}
        self.swells = [
            (soft, loud) for group in steady.values() for soft in group for loud in group
            if levels[id(loud)] - levels[id(soft)] > 4.0 / contract.LOUDNESS_SPAN_DB
        ]

    def seed(self, seed):
        self.random = np.random.default_rng(seed)

    def controls(self, frames):
        """(pitch, loudness, amplitudes, noise) of a phrase, scaled as the network takes them; no sound."""
        if self.swells and self.random.random() < 0.2:
            return self.swell(frames)
        return self.phrase(frames, with_sound=False)[:4]

    def phrase(self, frames, with_sound=True):
        """(pitch, loudness, amplitudes, noise, sound): notes one after another, with gaps or bound together."""
        first = self.notes[0]
        pitch = np.full(frames, np.nan, np.float32)
        loudness = np.zeros(frames, np.float32)
        amplitudes = np.zeros((frames, first.amplitudes.shape[1]), np.float32)
        noise = np.zeros((frames, first.noise.shape[1]), np.float32)
        sound = np.zeros(frames * HOP, np.float32) if with_sound else None
        # Half of the phrases begin with a note's own beginning, as a voice does that was silent.
        at = 0 if self.random.random() < 0.5 else int(self.random.integers(0, 25))
        bound = False
        while at < frames:
            note = self.notes[self.random.integers(len(self.notes))]
            # Bound to the one before it, a note has no attack of its own.
            begin = min(int(self.random.integers(6, 16)), note.frames // 3) if bound else 0
            end = note.frames
            leave_early = self.random.random() < 0.5 and note.frames - begin > 30
            if leave_early:
                end = begin + int(self.random.integers(20, note.frames - begin))
            length = min(end - begin, frames - at)
            into, of = slice(at, at + length), slice(begin, begin + length)
            # The weight of the note, frame by frame: it fades in over CROSS hops if bound to the one before.
            weight = np.ones(length, np.float32)
            if bound:
                n = min(CROSS, length)
                weight[:n] = (np.arange(n) + 0.5) / CROSS
            if leave_early:
                n = min(CROSS, length) if length == end - begin else 0
                if n:
                    weight[-n:] *= 1.0 - (np.arange(n) + 0.5) / CROSS
            before = np.where(np.isnan(pitch[into]), note.midi[of], pitch[into])
            pitch[into] = before + (note.midi[of] - before) * weight
            power = 10.0 ** ((loudness[into] - 1.0) * 8.0) * (loudness[into] > 0)
            power += weight**2 * 10.0 ** ((note.loudness[of] - 1.0) * 8.0) * (note.loudness[of] > 0)
            loudness[into] = np.maximum(np.log10(power + 1e-12) / 8.0 + 1.0, 0.0)
            amplitudes[into] += note.amplitudes[of] * weight[:, None]
            noise[into] = np.sqrt(noise[into] ** 2 + (note.noise[of] * weight[:, None]) ** 2)
            if with_sound:
                piece = note.sound[begin * HOP : (begin + length) * HOP]
                fine = np.interp(np.arange(len(piece)) / HOP, np.arange(length), weight).astype(np.float32)
                sound[at * HOP : at * HOP + len(piece)] += piece * fine
            at += length
            bound = leave_early and self.random.random() < 0.75
            if bound:
                # A very short note is joined to the next one without an overlap.
                at -= min(CROSS, length // 2)
            else:
                at += int(self.random.integers(0, 40))
        known = np.flatnonzero(np.isfinite(pitch))
        pitch = np.interp(np.arange(frames), known, pitch[known]) if len(known) else np.full(frames, first.midi[0])
        if with_sound:
            db = level.loudness_db(sound)
            loudness = np.clip(db / contract.LOUDNESS_SPAN_DB + 1.0, 0.0, 1.0)
        return contract.scale_pitch(pitch), loudness, amplitudes, noise, sound

    def swell(self, frames):
        """A crescendo or diminuendo: from a soft note into a loud one of the same pitch, or back, in decibels."""
        soft, loud = self.swells[self.random.integers(len(self.swells))]
        a, b = (soft, loud) if self.random.random() < 0.5 else (loud, soft)
        cuts = [middle_of(n, frames, self.random) for n in (a, b)]
        ramp = np.clip((np.arange(frames) - self.random.integers(0, 40)) / self.random.integers(40, 160), 0.0, 1.0)
        # The attack is the first note's own.
        ramp[:8] = 0.0
        ramp = ramp.astype(np.float32)
        mixed = [(1.0 - ramp) * x + ramp * y for x, y in zip((a.midi[cuts[0]], a.loudness[cuts[0]]), (b.midi[cuts[1]], b.loudness[cuts[1]]))]
        share = ramp[:, None]
        logs = [
            np.exp((1.0 - share) * np.log(x[cuts[0]] + 1e-9) + share * np.log(y[cuts[1]] + 1e-9))
            for x, y in ((a.amplitudes, b.amplitudes), (a.noise, b.noise))
        ]
        return contract.scale_pitch(mixed[0]), mixed[1], *logs


def middle_of(note, frames, random):
    """Frame numbers that hold a note for any length: its beginning, then back and forth through its middle."""
    begin, end = note.frames // 5, max(note.frames // 5 + 8, note.frames * 3 // 5)
    there = np.arange(begin, min(end, note.frames - 1))
    if random.random() < 0.5:
        order = np.concatenate([np.arange(begin), np.tile(np.concatenate([there, there[::-1]]), frames)])
    else:
        order = np.tile(np.concatenate([there, there[::-1]]), frames)
    return order[:frames]
