"""Pieces of music of our own, written by seeded code, as notes in beats; the same notes can be played at any tempo.

Usage: pieces.py FOLDER [--only NAME]: renders all pieces at all speeds and writes the onsets of their notes.
"""

import argparse
import json
import os

import numpy as np
from scipy.io import wavfile

import synth
from signals import RATE
from synth import Note, Part

SPEEDS = (0.8, 0.9, 1.0, 1.1, 1.25)
# Before the first beat, at the original tempo, and after the last one.
LEAD, TAIL = 0.5, 1.0
# How drum patterns are written: one sign a step.
VELOCITIES = {"X": 120, "x": 98, "o": 72, "-": 42}
KICK, STICK, SNARE, CLAP, CLOSED, PEDAL, OPEN, CRASH, RIDE, BELL = 36, 37, 38, 39, 42, 44, 46, 49, 51, 53
TOMS = (50, 48, 47, 45, 43, 41)


class Piece:
    """Notes of several parts at one tempo.

    Notes deviate from their beats by `loose` milliseconds (standard deviation); `apart` is the share of that which each
    note has of its own, and does not share with the others on its beat. It is zero with drums: where single notes of
    one attack moved against each other with the tempo, the truth would be another sound, and no attack could be found
    in it.
    """

    def __init__(self, name, bpm, loose, wet=0.0, swing=0.0, apart=0.0, seed=0):
        self.name, self.bpm, self.loose, self.wet, self.swing, self.apart = name, bpm, loose, wet, swing, apart
        self.rng = np.random.default_rng(seed)
        self.notes = []
        self.together = {}
        # What brings it to its level; known once it was rendered.
        self.gain = None

    def play(self, part, beat, key, velocity, length=0.25, late=0.0, bends=()):
        """Adds a note; `late` in milliseconds."""
        rest = beat % 0.5
        # The second sixteenth of each pair is late.
        if self.swing and abs(rest - 0.25) < 0.01:
            beat += self.swing * 0.25
        common = self.together.setdefault(round(48 * beat), self._deviation())
        deviation = (1 - self.apart) * common + self.apart * self._deviation()
        at = beat * 60 / self.bpm + (late + self.loose * deviation) / 1000
        strength = int(np.clip(velocity + 5 * self.rng.standard_normal(), 8, 127))
        seconds = 3.0 if part.drums else length * 60 / self.bpm
        bends = [(b * 60 / self.bpm, semitones) for b, semitones in bends]
        self.notes.append(Note(part, LEAD + at, seconds, int(key), strength, bends))

    def _deviation(self):
        return np.clip(self.rng.standard_normal(), -2.5, 2.5)

    def pattern(self, part, beat, key, text, step=0.25, scale=1.0):
        """Plays a pattern of signs on one drum."""
        for k, sign in enumerate(text):
            if sign in VELOCITIES:
                self.play(part, beat + k * step, key, VELOCITIES[sign] * scale)

    def at(self, speed, aside=0.0):
        """Returns the notes as played at `speed`, and the length in seconds. Drums sound as long as they do.

        Every moment at which notes start is moved by up to `aside` seconds.
        """
        rng = np.random.default_rng(97)
        moved = {n.start: rng.uniform(-aside, aside) for n in self.notes}
        notes = [
            Note(
                n.part,
                n.start / speed + moved[n.start],
                n.length if n.part.drums else n.length / speed,
                n.key,
                n.velocity,
                [(b / speed, semitones) for b, semitones in n.bends],
            )
            for n in sorted(self.notes, key=lambda n: n.start)
        ]
        # A key that is struck again ends its previous note.
        last = {}
        for n in notes:
            previous = last.get((id(n.part), n.key))
            if previous:
                previous.length = min(previous.length, max(0.005, n.start - previous.start - 0.002))
            last[(id(n.part), n.key)] = n
        end = max(n.start * speed for n in notes) + TAIL
        return notes, end / speed


def chord(root, kind, low=48):
    """Keys of a chord, within an octave from `low`."""
    steps = {
        "m": (0, 3, 7),
        "M": (0, 4, 7),
        "7": (0, 4, 7, 10),
        "m7": (0, 3, 7, 10),
        "M7": (0, 4, 7, 11),
        "m9": (3, 7, 10, 14),
    }[kind]
    return sorted(low + (root + s - low) % 12 for s in steps)


def drum_and_bass():
    p = Piece("drum'n'bass", 174, loose=3, wet=0.12, seed=11)
    kit = Part("drums", 0, True, volume=112)
    bass = Part("bass", 38, volume=112)
    pad = Part("pad", 89, volume=64)
    stab = Part("stab", 81, pan=80, volume=88)
    kicks = ("X.X.......X.....", "X.X.......xX....", "X..X......X..x..", "X.X.....x.X.....")
    snares = ("....X..-.-..X..-", "....X..-.-..X-.-", "....X-.-.-..X..-", "....X..-..-.X.--")
    for bar in range(16):
        beat, turn = 4 * bar, p.rng.integers(4)
        fill = bar % 8 == 7
        p.pattern(kit, beat, KICK, kicks[turn] if not fill else "X.X.....X.......")
        p.pattern(kit, beat, SNARE, snares[turn] if not fill else "....X..xX.x.xxXX")
        if fill:
            # A roll of 32nds.
            for k in range(8):
                p.play(kit, beat + 3 + k / 8, SNARE, 55 + 8 * k)
        if bar < 8:
            p.pattern(kit, beat, CLOSED, "x.o.x.o-x.o.x.o-" if bar % 2 else "x.o.x.o.x-o.x.o.")
            if bar % 2:
                p.play(kit, beat + 3.5, OPEN, 88)
        else:
            p.pattern(kit, beat, RIDE, "x...x...x...x...")
            p.pattern(kit, beat, CLOSED, "o-o-o-o-o-o-o-o-", scale=0.8)
        if bar % 8 == 0:
            p.play(kit, beat, CRASH, 112)
        root = (33, 33, 29, 31)[bar // 2 % 4]
        p.play(bass, beat, root, 112, 1.4)
        p.play(
            bass,
            beat + 2.5,
            root + (12 if bar % 2 else 0),
            104,
            1.2,
            bends=[(0, 0), (0.7, -1), (1.1, -2), (1.2, 0)] if bar % 4 == 3 else (),
        )
        if bar % 2 == 0:
            for key in chord(root, "m9", 57):
                p.play(pad, beat, key, 70, 7.8)
        if bar % 4 in (1, 2):
            for at in (1.5, 2.25, 3.5):
                for key in chord(root, "m", 69):
                    p.play(stab, beat + at, key, 84, 0.2)
    return p


def house():
    p = Piece("house", 124, loose=2, wet=0.1, swing=0.12, seed=12)
    kit = Part("drums", 25, True, volume=92)
    hats = Part("hats", 25, True, pan=72, volume=84)
    bass = Part("bass", 39, volume=90)
    keys = Part("piano", 0, pan=54, volume=98)
    strings = Part("strings", 48, pan=70, volume=88)
    for bar in range(12):
        beat = 4 * bar
        if bar != 7:
            p.pattern(kit, beat, KICK, "X...X...X...X...")
        p.pattern(kit, beat, CLAP, "....x.......x..-" if bar % 4 == 3 else "....x.......x...")
        p.pattern(hats, beat, OPEN, "..x...x...x...x.")
        p.pattern(hats, beat, CLOSED, "o-.-o-.-o-.-o-.-" if bar % 2 else "oo.oo-.oo-.oo-.o")
        if bar % 4 == 3:
            p.pattern(kit, beat + 3, SNARE, "oxxX")
        root, kind = ((57, "m7"), (53, "M7"), (48, "M7"), (55, "7"))[bar % 4]
        for at in (0, 0.75, 1.5, 2.5, 3.25):
            for key in chord(root, kind, 60):
                p.play(keys, beat + at, key, 92 + 12 * (at == 0), 0.45)
        for at, up in ((0.5, 0), (1.25, 12), (1.75, 0), (2.5, 0), (3.5, 12), (3.75, 7)):
            p.play(bass, beat + at, root - 24 + up, 106, 0.3)
        if bar >= 4:
            for key in chord(root, kind, 67)[:3]:
                p.play(strings, beat, key, 66, 3.9)
    return p


def rock():
    p = Piece("rock", 132, loose=5, wet=0.14, seed=13)
    kit = Part("drums", 16, True, volume=112)
    left = Part("guitar left", 30, pan=20, volume=72)
    right = Part("guitar right", 29, pan=108, volume=72)
    bass = Part("bass", 34, volume=104)
    lead = Part("lead guitar", 30, pan=70, volume=66)
    for bar in range(12):
        beat, fill = 4 * bar, bar % 4 == 3
        p.pattern(kit, beat, KICK, ("X.....x.X.x.....", "X..x....X.x...x.")[bar % 2])
        p.pattern(kit, beat, SNARE, "....X.......X..." if fill else ("....X..-....X...", "....X..-.-..X..-")[bar % 2])
        p.pattern(kit, beat, RIDE, "x.o.x.o.x.o." if fill else "x.o.x.o.x.o.x.o.")
        p.pattern(kit, beat, BELL, "........o......." if bar % 2 else "o...............", scale=1.2)
        p.pattern(kit, beat, PEDAL, "....-.......-...")
        if bar % 4 == 0:
            p.play(kit, beat, CRASH, 118)
        if fill:
            for k in range(4):
                for half in range(1 + k % 2):
                    p.play(kit, beat + 3 + k / 4 + half / 8, TOMS[min(k + half, 5)], 92 + 6 * k)
        root = (40, 43, 45, 38)[bar % 4]
        for part in (left, right):
            for at, length in ((0, 1.4), (1.5, 0.45), (2, 0.95), (3, 0.45), (3.5, 0.45)):
                for up in (0, 7, 12):
                    p.play(part, beat + at, root + up, 104, length)
        for eighth in range(8):
            p.play(bass, beat + eighth / 2, root - 12, 100 + 10 * (eighth % 4 == 0), 0.42)
        if bar >= 4:
            scale = (64, 67, 69, 71, 74, 76, 79)
            at = 0.0
            while at < 3.9:
                length = p.rng.choice([0.5, 0.5, 1.0, 0.25])
                bend = [(0, -1), (0.1, -0.3), (0.16, 0)] if p.rng.random() < 0.25 else ()
                p.play(lead, beat + at, scale[p.rng.integers(7)], 100, length * 0.95, bends=bend)
                at += length
    return p


def slap_bass():
    p = Piece("slap bass", 104, loose=4, wet=0.06, swing=0.08, seed=14)
    kit = Part("drums", 8, True, volume=110)
    bass = Part("bass", 36, volume=118)
    keys = Part("electric piano", 4, pan=80, volume=74)
    for bar in range(10):
        beat = 4 * bar
        p.pattern(kit, beat, KICK, "x.....x...x....." if bar % 2 else "x......x..x.....")
        p.pattern(kit, beat, SNARE, "....x..-....x-.-" if bar % 4 != 3 else "....x..-.-x.xoxx")
        p.pattern(kit, beat, CLOSED, "o-o-o-o-o-o-o-o-", scale=0.85)
        root = (40, 40, 45, 43)[bar % 4] - 12
        for step, sign in enumerate(("T.pT.pT..T.gT.pg", "T..pT.gpT.pT..gp")[bar % 2]):
            if sign == "T":
                p.play(bass, beat + step / 4, root + p.rng.choice([0, 0, 7]), 116, 0.22)
            elif sign == "p":
                p.play(bass, beat + step / 4, root + 12 + p.rng.choice([0, 3, 10]), 124, 0.16)
            elif sign == "g":
                p.play(bass, beat + step / 4, root + 12, 58, 0.07)
        for at in (0, 1.75):
            for key in chord(root + 24, "m9", 59):
                p.play(keys, beat + at, key, 72, 1.4)
    return p


def jazz_brushes():
    p = Piece("jazz brushes", 148, loose=7, wet=0.16, seed=15)
    kit = Part("brushes", 40, True, volume=127)
    cymbal = Part("ride", 32, True, pan=84, volume=120)
    bass = Part("double bass", 32, volume=82)
    piano = Part("piano", 0, pan=46, volume=84)
    trumpet = Part("muted trumpet", 59, pan=76, volume=76)
    long = 0.655
    roots = (50, 55, 48, 45)
    for bar in range(14):
        beat = 4 * bar
        root, kind = roots[bar % 4], ("m7", "7", "M7", "7")[bar % 4]
        for q in range(4):
            # Sweeps on the beats, taps on two and four.
            p.play(kit, beat + q, 40, 62 + 12 * (q % 2), 0.9)
            if q % 2:
                p.play(kit, beat + q, SNARE, 84)
                p.play(cymbal, beat + q, PEDAL, 72)
                p.play(cymbal, beat + q + long, RIDE, 62)
            p.play(cymbal, beat + q, RIDE, 78 + 8 * (q % 2))
            up = chord(root, kind, 36)
            key = up[(0, 1, 2, 1)[q] % len(up)] if q < 3 else roots[(bar + 1) % 4] % 12 + 36 + p.rng.choice([-1, 1])
            p.play(bass, beat + q, key - 5 if key > 47 else key, 96, 0.92)
        if bar % 4 == 3:
            for k in range(6):
                p.play(kit, beat + 2 + k / 3, SNARE, 58 + 7 * k)
        for at in ((0 + long, 2.0), (1.0, 2 + long), (long, 1 + long, 3))[p.rng.integers(3)]:
            for key in chord(root, kind, 58)[:4]:
                p.play(piano, beat + at, key, 76, p.rng.choice([0.3, 0.9]))
        if bar >= 2 and bar % 2 == 0:
            at, scale = p.rng.choice([0.0, long, 1.0]), (62, 64, 65, 67, 69, 71, 72, 74, 77)
            place = p.rng.integers(2, 7)
            while at < 6.5:
                p.play(trumpet, beat + at, scale[place], 88, 0.6)
                place = int(np.clip(place + p.rng.integers(-2, 3), 0, 8))
                at = at + (long if at % 1 < 0.1 else 1 - at % 1) if p.rng.random() < 0.8 else np.ceil(at) + 1
    return p


def string_quartet():
    p = Piece("string quartet", 76, loose=14, wet=0.2, apart=0.6, seed=16)
    voices = [
        Part("violin 1", 40, pan=36, volume=96),
        Part("violin 2", 40, pan=54, volume=84),
        Part("viola", 41, pan=76, volume=88),
        Part("cello", 42, pan=94, volume=100),
    ]
    harmony = ((57, "m"), (53, "M"), (50, "m"), (52, "7"), (57, "m"), (48, "M"), (52, "7"), (57, "m"))
    tune = (76, 74, 72, 71, 72, 69, 74, 72, 71, 76, 77, 76, 74, 72, 71, 68, 69, 72, 76, 81)
    at = 0
    for bar, (root, kind) in enumerate(harmony):
        beat, swell = 4 * bar, 62 + 34 * np.sin(np.pi * bar / 7)
        keys = chord(root, kind, 55)
        rhythm = ((1.5, 0.5, 1, 1), (1, 1, 2), (0.5, 0.5, 0.5, 0.5, 1, 1))[bar % 3]
        position = beat
        for length in rhythm:
            p.play(voices[0], position, tune[at % len(tune)], swell + 12, length * (0.97 if length > 0.5 else 0.6))
            at += 1
            position += length
        if bar in (3, 6):
            # Short bows in the middle voices.
            for eighth in range(8):
                p.play(voices[1], beat + eighth / 2, keys[2], swell, 0.22)
                p.play(voices[2], beat + eighth / 2, keys[1], swell, 0.22)
        else:
            for half in (0, 2):
                p.play(voices[1], beat + half, keys[2] + (2 if half and bar % 2 else 0), swell, 1.95)
                p.play(voices[2], beat + half, keys[1], swell, 1.95)
        p.play(voices[3], beat, root - 12 if root > 52 else root, swell + 8, 1.95 if bar % 2 else 3.9)
        if bar % 2:
            p.play(voices[3], beat + 2, root - 5, swell + 4, 1.95)
    return p


def piano_ballad():
    p = Piece("piano ballad", 66, loose=11, wet=0.14, apart=0.5, seed=17)
    piano = Part("piano", 0, volume=110)
    harmony = ((48, "M7"), (45, "m7"), (53, "M7"), (43, "7"), (52, "m7"), (45, "m7"), (48, "M7"))
    scale = (67, 69, 71, 72, 74, 76, 79, 81, 84)
    place = 4
    for bar, (root, kind) in enumerate(harmony):
        beat, level = 4 * bar, 58 + 30 * np.sin(np.pi * bar / 6)
        # The pedal lets everything ring until the next harmony.
        p.play(piano, beat, root - 12, level + 6, 3.95)
        keys = chord(root, kind, 52)
        for eighth in range(1, 8):
            p.play(
                piano,
                beat + eighth / 2,
                keys[(eighth * 2) % len(keys)] + (0, 12)[eighth % 4 == 3],
                level - 14 + 6 * (eighth % 2),
                3.95 - eighth / 2,
            )
        at = 0.0 if bar else 1.0
        while at < 4:
            length = p.rng.choice([0.5, 1.0, 1.0, 1.5, 0.25])
            p.play(piano, beat + at, scale[place], level + 16, max(1.0, length))
            if p.rng.random() < 0.2:
                p.play(piano, beat + at, scale[place] - 12, level + 4, max(1.0, length))
            place = int(np.clip(place + p.rng.integers(-2, 3), 0, 8))
            at += length
    return p


def guitar():
    p = Piece("guitar", 96, loose=7, wet=0.08, apart=0.3, seed=18)
    steel = Part("steel guitar", 25, pan=56, volume=112)
    nylon = Part("nylon guitar", 24, pan=84, volume=92)
    harmony = (
        (40, "m7"),
        (48, "M7"),
        (43, "M"),
        (50, "7"),
        (45, "m7"),
        (40, "m7"),
        (48, "M7"),
        (47, "7"),
        (40, "m7"),
        (40, "m"),
    )
    for bar, (root, kind) in enumerate(harmony):
        beat = 4 * bar
        keys = chord(root, kind, 52)
        strings = [root] + keys + [keys[0] + 12, keys[1] + 12]
        if bar % 5 in (3, 4):
            for at, down, level in (
                (0, 1, 104),
                (1, 1, 90),
                (1.5, 0, 76),
                (2, 1, 98),
                (2.75, 0, 72),
                (3, 1, 94),
                (3.5, 0, 78),
            ):
                order = strings if down else strings[:0:-1][:4]
                for k, key in enumerate(order):
                    p.play(steel, beat + at, key, level - 3 * k, 0.8, late=14 * k * p.rng.uniform(0.6, 1.2))
        else:
            for eighth, string in enumerate((0, 3, 2, 4, 1, 3, 2, 4)):
                p.play(
                    steel, beat + eighth / 2, strings[min(string, len(strings) - 1)], 88 + 14 * (eighth % 4 == 0), 1.8
                )
                if p.rng.random() < 0.3:
                    p.play(steel, beat + eighth / 2 + 0.25, strings[-1], 70, 0.8)
        if bar >= 2:
            at = p.rng.choice([0.0, 0.5])
            while at < 4:
                length = p.rng.choice([0.5, 0.5, 1.0, 0.25])
                p.play(nylon, beat + at, p.rng.choice([64, 67, 69, 71, 74, 76, 79]), 92, length * 1.3)
                at += length
    return p


def choir():
    p = Piece("choir", 72, loose=18, wet=0.25, apart=0.7, seed=19)
    voices = [
        Part(n, g, pan=x, volume=v)
        for n, g, x, v in (("soprano", 52, 40, 96), ("alto", 52, 58, 88), ("tenor", 53, 74, 92), ("bass", 53, 90, 96))
    ]
    harmony = ((48, "M"), (55, "M"), (45, "m"), (52, "m"), (53, "M"), (48, "M"), (50, "m"), (55, "7"))
    top = 72
    for bar, (root, kind) in enumerate(harmony):
        beat, level = 4 * bar, 74 + 26 * np.sin(np.pi * (bar + 0.5) / 8)
        for half in (0, 2) if bar % 2 else (0,):
            length = 1.97 if bar % 2 else 3.95
            tones = [k for octave in (60, 72) for k in chord(root, kind, octave)]
            top = min((t for t in tones if t != top or not half), key=lambda t: abs(t - top - p.rng.choice([-2, 2])))
            lower = [t for t in tones if t < top][-2:] or tones[:2]
            p.play(voices[0], beat + half, top, level + 6, length)
            p.play(voices[1], beat + half, lower[-1], level, length)
            p.play(voices[2], beat + half, lower[0] - 5 if lower[0] > 64 else lower[0], level, length)
            p.play(voices[3], beat + half, root if root < 53 else root - 12, level + 4, length)
    return p


def brass():
    p = Piece("brass", 116, loose=7, wet=0.18, apart=0.5, seed=20)
    voices = [
        Part("trumpet 1", 56, pan=44, volume=96),
        Part("trumpet 2", 56, pan=58, volume=88),
        Part("horn", 60, pan=34, volume=92),
        Part("trombone", 57, pan=86, volume=96),
        Part("tuba", 58, pan=72, volume=96),
    ]
    timpani = Part("timpani", 47, volume=104)
    harmony = (
        (48, "M"),
        (48, "M"),
        (53, "M"),
        (55, "7"),
        (45, "m"),
        (53, "M"),
        (50, "m"),
        (55, "7"),
        (48, "M"),
        (53, "M"),
        (55, "7"),
        (48, "M"),
    )
    rhythms = (
        ((0, 0.9), (1, 0.3), (1.333, 0.3), (1.667, 0.3), (2, 1.8)),
        ((0, 0.45), (0.5, 0.2), (0.75, 0.2), (1, 0.9), (2, 0.9), (3, 0.9)),
        ((0, 1.9), (2, 0.45), (2.5, 0.45), (3, 0.9)),
    )
    for bar, (root, kind) in enumerate(harmony):
        beat, level = 4 * bar, (84, 104, 96, 112)[bar % 4]
        upper = chord(root, kind, 67)
        for k, (at, length) in enumerate(rhythms[bar % 3]):
            p.play(voices[0], beat + at, upper[(k + bar) % 3], level + 8, length)
            p.play(voices[1], beat + at, upper[(k + bar) % 3] - (3 if kind == "m" else 4), level, length)
            p.play(voices[3], beat + at, chord(root, kind, 52)[(k + 1) % 3], level, length)
        for key in chord(root, kind, 55)[:1]:
            p.play(voices[2], beat, key, level - 8, 3.9)
        for at in (0, 2):
            p.play(voices[4], beat + at, root - 12, level, 1.2)
        p.play(timpani, beat, 36 + root % 12 if root % 12 < 8 else 24 + root % 12, level, 2)
        if bar % 4 == 3:
            for k in range(12):
                p.play(timpani, beat + 2 + k / 6, 43, 62 + 5 * k, 0.3)
    return p


def funk():
    p = Piece("funk", 102, loose=3.5, wet=0.07, swing=0.1, seed=21)
    kit = Part("drums", 0, True, volume=108)
    bass = Part("bass", 33, volume=110)
    clavinet = Part("clavinet", 7, pan=44, volume=84)
    guitar = Part("muted guitar", 28, pan=92, volume=96)
    horns = Part("horns", 61, pan=66, volume=84)
    for bar in range(10):
        beat, fill = 4 * bar, bar % 4 == 3
        p.pattern(kit, beat, KICK, ("X..x..x...x.....", "X.x....x..x..x..")[bar % 2])
        p.pattern(kit, beat, SNARE, "....X..-.-..Xxox" if fill else "....X..-.-.-X..-")
        p.pattern(kit, beat, CLOSED, "x-o-x-o-x-o-x-.." if bar % 2 else "x-o-x-o-x-o-x-o-")
        if bar % 2:
            p.play(kit, beat + 3.5, OPEN, 96)
        if bar in (0, 4, 8):
            p.play(kit, beat, CRASH, 104)
        root = (40, 40, 45, 40)[bar % 4] - 12
        for at, up, length in (
            (0, 0, 0.4),
            (0.75, 0, 0.15),
            (1.5, 10, 0.2),
            (1.75, 12, 0.2),
            (2.5, 0, 0.2),
            (2.75, 7, 0.2),
            (3.25, 10, 0.2),
            (3.5, 12, 0.3),
        ):
            p.play(bass, beat + at, root + up, 108 if at in (0, 2.5) else 92, length)
        for step, sign in enumerate("x.-x.-x.x-.x-.x-"):
            if sign in VELOCITIES:
                for key in chord(root + 24, "7", 57)[1:]:
                    p.play(clavinet, beat + step / 4, key, VELOCITIES[sign], 0.18)
        for step in range(16):
            if p.rng.random() < 0.7:
                for key in (64, 69):
                    p.play(guitar, beat + step / 4, key, 96 if step % 4 == 2 else 66, 0.12)
        if bar % 4 in (2, 3):
            for at, length in ((0, 0.3), (1.5, 0.2), (1.75, 1.2)):
                for key in chord(root + 24, "7", 64):
                    p.play(horns, beat + at, key, 108, length)
    return p


WRITTEN = (
    drum_and_bass,
    house,
    rock,
    slap_bass,
    jazz_brushes,
    string_quartet,
    piano_ballad,
    guitar,
    choir,
    brass,
    funk,
)
# Those with a drum kit; the others are measured by the rise of their notes as well.
DRUMS = ("drum'n'bass", "house", "rock", "slap bass", "jazz brushes", "funk")


def all_pieces():
    return {p.name: p for p in (write() for write in WRITTEN)}


def _sound(machine, piece, speed, aside=0.0):
    notes, length = piece.at(speed, aside)
    return synth.room(machine.render(notes, length), piece.wet)


def render(machine, piece, speed, aside=0.0):
    """Returns a piece at `speed`; its RMS at the original tempo is −20 dBFS, or less if it would clip. """
    if piece.gain is None:
        audio = _sound(machine, piece, 1.0)
        piece.gain = min(0.1 / np.sqrt(np.mean(audio**2)), 0.89 / np.max(np.abs(audio)))
    return piece.gain * _sound(machine, piece, speed, aside)


def rises(machine, notes):
    """For every note alone: frames from its start to −20 and −3 dB of its maximum in 400 ms, and that in dB."""
    known = {}
    for n in notes:
        sound = (n.part.program, n.part.drums, n.part.volume, n.key, n.velocity // 16)
        if sound not in known:
            alone = Note(n.part, 0.0, 0.4, n.key, n.velocity)
            power = np.convolve(np.sum(machine.render([alone], 0.4) ** 2, axis=1), np.ones(88) / 88)[44:]
            top = power.max() + 1e-20
            reach = lambda db: int(np.argmax(power >= top * 10 ** (db / 10)))
            known[sound] = (reach(-20), reach(-3), 10 * np.log10(top))
    return [known[(n.part.program, n.part.drums, n.part.volume, n.key, n.velocity // 16)] for n in notes]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--only", help="render only pieces whose names contain this text")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    machine = synth.Synth()
    for name, piece in all_pieces().items():
        if args.only and args.only not in name:
            continue
        stem = name.replace("'", "").replace(" ", "-")
        for speed in SPEEDS:
            path = os.path.join(args.folder, f"{stem}-{speed:g}.wav")
            wavfile.write(path, RATE, render(machine, piece, speed).astype(np.float32))
        notes, _ = piece.at(1.0)
        rows = [
            {
                "part": n.part.name,
                "drums": n.part.drums,
                "time": round(n.start * RATE) / RATE,
                "key": n.key,
                "velocity": n.velocity,
                "length": n.length,
                "rise_20_ms": low * 1000 / RATE,
                "rise_3_ms": high * 1000 / RATE,
                "level_db": level + 20 * np.log10(piece.gain),
            }
            for n, (low, high, level) in zip(notes, rises(machine, notes))
        ]
        with open(os.path.join(args.folder, f"{stem}.json"), "w") as f:
            json.dump({"name": name, "bpm": piece.bpm, "rate": RATE, "speeds": SPEEDS, "onsets": rows}, f, indent=0)
        print(f"{name}: {len(rows)} notes, {piece.at(1.0)[1]:.1f} s", flush=True)


if __name__ == "__main__":
    main()
