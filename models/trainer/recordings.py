"""Recordings: which files there are, what their names tell, and what can't be used."""

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from . import contract
from .errors import Unusable

KINDS = {".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3"}
LEAST_RATE = 32_000

DYNAMICS = {
    "pianississimo": "ppp", "pianissimo": "pp", "piano": "p", "mezzo-piano": "mp", "mezzopiano": "mp",
    "mezzo-forte": "mf", "mezzoforte": "mf", "forte": "f", "fortissimo": "ff", "fortississimo": "fff",
    "cresc-decresc": "swell",
}
DYNAMICS |= {short: short for short in ("ppp", "pp", "p", "mp", "mf", "f", "ff", "fff")}

NOTE = re.compile(r"^([A-Ga-g])(s|#|b|sharp|flat)?(-?\d)$")
STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


@dataclass
class Recording:
    name: str
    sound: np.ndarray  # mono, at contract.SAMPLE_RATE
    midi: float | None  # the note that the name tells
    dynamic: str | None


def note_named(stem):
    """The MIDI number in a file's name such as `flute_As4_1_forte`; None without one, or with several."""
    found = []
    for word in re.split(r"[_ .]+|-(?=[A-Ga-g])", stem):
        match = NOTE.match(word)
        if match:
            letter, sign, octave = match.groups()
            shift = {None: 0, "s": 1, "#": 1, "sharp": 1, "b": -1, "flat": -1}[sign]
            found.append(12 * (int(octave) + 1) + STEPS[letter.lower()] + shift)
    return float(found[0]) if len(found) == 1 else None


def dynamic_named(stem):
    words = re.split(r"[_ .]+", stem.lower())
    return next((DYNAMICS[word] for word in words if word in DYNAMICS), None)


def files_in(source):
    """(name, opened file) of everything that may be a recording, in a folder or a .tar, in order of names."""
    source = Path(source).expanduser()
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in KINDS and path.is_file():
                yield path.name, path
    elif source.is_file() and tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            for member in sorted(archive.getmembers(), key=lambda m: m.name):
                if member.isfile() and Path(member.name).suffix.lower() in KINDS:
                    yield Path(member.name).name, archive.extractfile(member)
    elif source.exists():
        raise Unusable(f"{source} is neither a folder nor a .tar: give the folder that holds the recordings")
    else:
        raise Unusable(f"there is no folder {source}: give the folder that holds the recordings, RECORDINGS=…")


def read_all(source, say):
    """Every usable recording of a folder. What can't be used is said in a line each, and left out.

    Raises `Unusable` when nothing is left.
    """
    usable, looked_at, stereo = [], 0, 0
    for name, opened in files_in(source):
        looked_at += 1
        try:
            sound, rate = soundfile.read(opened, always_2d=True, dtype="float32")
        except (soundfile.LibsndfileError, RuntimeError) as why:
            say(f"{name}: left out, it can't be read ({str(why).rstrip('.')}): export it again as WAV or FLAC")
            continue
        if rate < LEAST_RATE:
            say(f"{name}: left out, {rate} Hz holds nothing above {rate // 2} Hz: record at 44100 or 48000 Hz")
            continue
        if len(sound) < rate // 10 or not np.isfinite(sound).all() or np.abs(sound).max() < 1e-4:
            say(f"{name}: left out, it is empty or silent: record it again")
            continue
        stereo += sound.shape[1] > 1
        usable.append(recording(name, sound, rate))
    if not looked_at:
        raise Unusable(f"{source} holds no recordings: put WAV, FLAC, AIFF, OGG or MP3 files into it, a note each")
    if not usable:
        raise Unusable(f"none of the {looked_at} files in {source} can be used, for the reasons above")
    if stereo:
        say(f"{stereo} of {looked_at} files are not mono: their channels are averaged; the channel of one microphone "
            "alone sounds clearer, if the microphones stood apart")
    return usable


def recording(name, sound, rate):
    mono = sound.mean(axis=1)
    if rate != contract.SAMPLE_RATE:
        divisor = int(np.gcd(rate, contract.SAMPLE_RATE))
        mono = resample_poly(mono, contract.SAMPLE_RATE // divisor, rate // divisor)
    stem = Path(name).stem
    return Recording(stem, np.ascontiguousarray(mono, np.float32), note_named(stem), dynamic_named(stem))
