"""The notes of an instrument, prepared once and kept on disk."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from . import analysis, contract, level, pitch, recordings
from .errors import Unusable

LEAST_SECONDS = 60.0
LEAST_PITCHES = 5
# Bump when what is kept on disk would come out differently.
EDITION = 8


@dataclass
class Note:
    name: str
    midi_named: float  # the note as a number; NaN for a phrase
    dynamic: str
    part: str  # train, valid or test
    sound: np.ndarray
    midi: np.ndarray  # per frame
    clarity: np.ndarray
    loudness: np.ndarray  # scaled, per frame
    amplitudes: np.ndarray  # [frames, harmonics]
    noise: np.ndarray  # [frames, bands]

    @property
    def frames(self):
        return len(self.midi)

    @property
    def steady(self):
        return bool(np.isfinite(self.midi_named))


@dataclass
class Material:
    notes: list
    harmonics: int
    remarks: list = field(default_factory=list)
    # What was recorded, without what was made of it: files and seconds.
    recorded: tuple = (0, 0.0)
    # Tells these notes from those of other recordings.
    fingerprint: str = ""

    def of(self, part):
        return [n for n in self.notes if n.part == part]

    @property
    def pitch_range(self):
        """MIDI numbers between which nearly all of the training notes lie."""
        heard = np.concatenate([n.midi[n.clarity > pitch.CLEAR] for n in self.of("train")])
        return float(np.percentile(heard, 0.3)), float(np.percentile(heard, 99.7))

    @property
    def loudness_range_db(self):
        """From 6 dB under the softest notes to the loudest there is, in dBFS.

        What is softer still are ends of notes: an instrument held there would sound like one that is just ending.
        """
        train = self.of("train")
        notes = [np.percentile(n.loudness, 67) for n in train]
        high = np.percentile(np.concatenate([n.loudness[n.loudness > 0] for n in train]), 99.5)
        span = contract.LOUDNESS_SPAN_DB
        return (float(np.percentile(notes, 2)) - 1.0) * span - 6.0, (float(high) - 1.0) * span

    @property
    def seconds(self):
        return sum(len(n.sound) for n in self.notes) / contract.SAMPLE_RATE


def part_of(midi, dynamic, name):
    """Held out is every recording of a pitch at a dynamic: one pair in 12 for the figures, one in 16 to stop by."""
    key = f"{int(round(midi))}/{dynamic or ''}" if np.isfinite(midi) else name
    draw = zlib.crc32(key.encode()) % 48
    return "test" if draw < 4 else "valid" if draw < 7 else "train"


def prepare(source, harmonics, say, progress=lambda share: None):
    """Reads, trims, tracks and measures every recording of a folder. Raises `Unusable`."""
    found = recordings.read_all(source, say)
    sounds = [level.trim(r.sound) for r in found]
    gains = level.gains_db([level.note_level_db(s) for s in sounds], [r.dynamic for r in found], say)
    notes, unclear = [], 0
    for index, (recorded, sound, gain) in enumerate(zip(found, sounds, gains)):
        sound = (sound * 10.0 ** (gain / 20.0)).astype(np.float32)
        progress(index / len(found))
        note = measured(recorded, sound, harmonics)
        if note is None:
            unclear += 1
        else:
            notes.append(note)
    material = Material(notes, harmonics)
    judge(material, len(found), unclear, source, say)
    hold_out(material)
    material.recorded = (len(material.notes), material.seconds)
    material.fingerprint = fingerprint(source)
    material.notes += neighbours(material, say)
    return material


def neighbours(material, say):
    """Training notes played a semitone or two up and down, where the recordings leave such pitches out."""
    steady = [n for n in material.of("train") if n.steady]
    pitches = np.unique([round(n.midi_named) for n in steady])
    if len(pitches) < 2 or np.mean(np.diff(pitches)) < 1.75:
        return []
    say(f"pitches lie {np.mean(np.diff(pitches)):.1f} semitones apart: notes are also learnt up to 2 semitones higher and lower")
    made = []
    for note in steady:
        for shift, up, down in ((1, 84, 89), (-1, 89, 84), (2, 49, 55), (-2, 55, 49)):
            sound = resample_poly(note.sound, up, down).astype(np.float32)
            moved = recordings.Recording(f"{note.name}{shift:+d}", sound, note.midi_named + shift, note.dynamic or None)
            measured_note = measured(moved, sound, material.harmonics)
            if measured_note is not None:
                measured_note.part = "train"
                made.append(measured_note)
    return made


def measured(recorded, sound, harmonics):
    """A recording as controls; None if it has no steady pitch.

    A name that the sound does not bear out (a phrase, a wrong octave) is not believed; the tracker then decides.
    """
    loudness = np.array([contract.scale_loudness(db) for db in level.loudness_db(sound)])[: pitch.frames_of(sound)]
    audible = loudness > loudness.max() - 30.0 / contract.LOUDNESS_SPAN_DB
    for named in [recorded.midi, None] if recorded.midi is not None else [None]:
        midi, clarity = pitch.track(sound, pitch.rough(sound) if named is None else named)
        clear = audible & (clarity > pitch.CLEAR)
        if not np.isfinite(midi).all() or clear.sum() < 0.6 * audible.sum():
            continue
        if named is None and not holds(midi, clarity, audible):
            continue
        if named is not None and abs(np.median(midi[clear]) - named) > 1.1:
            continue
        centre = named
        if named is None:
            spread = np.percentile(midi[clear], 95) - np.percentile(midi[clear], 5)
            centre = float(np.median(midi[clear])) if spread < 1.6 else np.nan
        amplitudes, noise = analysis.controls(sound, midi, harmonics)
        return Note(
            recorded.name, centre, recorded.dynamic or "", part_of(centre, recorded.dynamic, recorded.name),
            sound, midi.astype(np.float32), clarity.astype(np.float32), loudness.astype(np.float32), amplitudes, noise,
        )
    return None


def holds(midi, clarity, audible):
    """Whether pitches are held, as notes are, rather than always on their way, as in speech.

    A frame is held if within 100 ms around it the pitch stays within 1.3 semitones and is clear.
    """
    reach = 5
    if len(midi) < 2 * reach + 3:
        return (clarity[audible] > pitch.CLEAR).mean() > 0.8
    around = np.lib.stride_tricks.sliding_window_view(midi, 2 * reach + 1)
    clear = np.lib.stride_tricks.sliding_window_view(clarity, 2 * reach + 1).min(axis=1) > pitch.CLEAR
    held = (np.ptp(around, axis=1) < 1.3) & clear
    inside = audible[reach:-reach]
    return held[inside].mean() > 0.5 if inside.any() else False


def judge(material, found, unclear, source, say):
    """Whether there is enough to learn from. Raises `Unusable` with what would help."""
    if unclear > found // 2:
        raise Unusable(
            f"{unclear} of {found} recordings in {source} hold no steady pitch: record single notes of one instrument, "
            "each held for a second or longer, without accompaniment (speech, chords and drums can't be learnt)"
        )
    if unclear:
        say(f"{unclear} of {found} recordings left out: no steady pitch")
    pitches = {round(n.midi_named) for n in material.notes if n.steady} | {
        int(round(m)) for n in material.notes if not n.steady for m in n.midi[n.clarity > 0.9][::10]
    }
    if material.seconds < LEAST_SECONDS or len(pitches) < LEAST_PITCHES:
        raise Unusable(
            f"{source} holds {material.seconds:.0f} s of notes at {len(pitches)} pitches, and an instrument needs "
            f"{LEAST_SECONDS:.0f} s at {LEAST_PITCHES} or more (ten minutes over the whole range is good): record more notes"
        )
    if material.seconds < 240.0:
        say(f"{material.seconds:.0f} s of notes is little: expect a plain tone; ten minutes over the whole range is good")


def hold_out(material):
    """Sees to it that a small folder has both held-out parts, and keeps its highest and lowest notes to learn from.

    Where pairs of pitch and dynamic are few, chance would take away too much: then every fifth pair, in order of pitch,
    is for the figures, and every seventh to stop by. Pairs are moved as a whole, always.
    """
    pairs = {}
    for note in material.notes:
        key = (round(note.midi_named), note.dynamic) if note.steady else (999, note.name)
        pairs.setdefault(key, []).append(note)
    if len(pairs) >= 40 and len(material.of("valid")) >= 2 and len(material.of("test")) >= 2:
        return
    ordered = sorted(pairs)
    for index, key in enumerate(ordered):
        inside = 0 < index < len(ordered) - 1
        part = "test" if inside and index % 5 == 2 else "valid" if inside and index % 7 == 4 else "train"
        for note in pairs[key]:
            note.part = part


def fingerprint(source):
    """A short word that changes when the recordings do."""
    source = Path(source).expanduser()
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    listed = "\n".join(f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in files if p.exists())
    return f"{zlib.crc32(listed.encode()):08x}-{len(files)}"


def keep(material, path):
    """Writes the prepared notes beside the model's other work, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: np.concatenate([getattr(n, name) for n in material.notes])
        for name in ("sound", "midi", "clarity", "loudness", "amplitudes", "noise")
    }
    scratch = path.with_suffix(".part.npz")
    np.savez(
        scratch, edition=EDITION, harmonics=material.harmonics, frames=[n.frames for n in material.notes],
        lengths=[len(n.sound) for n in material.notes], names=[n.name for n in material.notes],
        dynamics=[n.dynamic for n in material.notes], parts=[n.part for n in material.notes],
        named=[n.midi_named for n in material.notes], recorded=material.recorded, fingerprint=material.fingerprint, remarks=np.array(material.remarks, dtype=str), **arrays,
    )
    scratch.replace(path)


def kept(path, harmonics):
    """The notes written by `keep`, or None if there are none of this edition."""
    if not Path(path).exists():
        return None
    with np.load(path) as file:
        if int(file["edition"]) != EDITION or int(file["harmonics"]) != harmonics:
            return None
        whole = {name: file[name] for name in file.files}
    frame_ends, sound_ends = np.cumsum(whole["frames"]), np.cumsum(whole["lengths"])
    notes = []
    for i in range(len(whole["names"])):
        f = slice(frame_ends[i] - whole["frames"][i], frame_ends[i])
        s = slice(sound_ends[i] - whole["lengths"][i], sound_ends[i])
        notes.append(Note(
            str(whole["names"][i]), float(whole["named"][i]), str(whole["dynamics"][i]), str(whole["parts"][i]),
            whole["sound"][s], whole["midi"][f], whole["clarity"][f], whole["loudness"][f],
            whole["amplitudes"][f], whole["noise"][f],
        ))
    count, seconds = whole["recorded"]
    return Material(notes, harmonics, [str(r) for r in whole["remarks"]], (int(count), float(seconds)), str(whole["fingerprint"]))
