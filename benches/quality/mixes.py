"""Excerpts of published music from Debian packages, read where the packages put them, and never copied.

fretsonfire-songs-sectoid (Expat), fretsonfire-songs-muldjord (CC-BY-SA), zaz-data (music: CC-BY-SA), sonic-pi-samples
(loops: CC0), mu-cade-data (LGPL), amoebax-data (music: Free Art License), alsa-utils (speech).
"""

import os

import numpy as np
from scipy import signal

from signals import RATE

SHARE = "/usr/share"
SECTOID = "games/fretsonfire/data/songs/sectoid"
MULDJORD = "games/fretsonfire/data/songs/muldjord"
LOOPS = "sonic-pi/samples"
SECONDS = 15.0
# Files that sound together, and where the excerpt starts.
MIXES = {
    "hard rock": ([f"{SECTOID}/War of freedom/song.ogg", f"{SECTOID}/War of freedom/guitar.ogg"], 60.0),
    "rock ballad": ([f"{SECTOID}/Feelings/song.ogg", f"{SECTOID}/Feelings/guitar.ogg"], 90.0),
    "metal": ([f"{MULDJORD}/armygeddon/song.ogg", f"{MULDJORD}/armygeddon/guitar.ogg"], 60.0),
    "electronic": (["games/zaz/mus2.ogg"], 70.0),
    "ambient": (["games/zaz/mus4.ogg"], 100.0),
    "techno": (["games/mu-cade/sounds/musics/mcd3.ogg"], 20.0),
    "dance": (["games/amoebax/music/PenBackground.ogg"], 25.0),
    "breakbeat": ([f"{LOOPS}/loop_amen_full.flac"], 0.0),
    "tabla": ([f"{LOOPS}/loop_tabla.flac"], 0.0),
}
SPEECH = [f"sounds/alsa/{place}.wav" for place in ("Front_Center", "Rear_Left", "Side_Right", "Front_Right")]


def read(path):
    import soundfile

    audio, rate = soundfile.read(os.path.join(SHARE, path), always_2d=True)
    audio = np.stack([audio[:, 0], audio[:, -1]], 1)
    return audio if rate == RATE else signal.resample_poly(audio, RATE, rate)


def excerpts():
    """Returns the excerpts that are installed, with peaks of 0.5, and the names of those that are not."""
    found, missing = {}, []
    for name, (paths, start) in MIXES.items():
        if not all(os.path.exists(os.path.join(SHARE, p)) for p in paths):
            missing.append(name)
            continue
        tracks = [read(p)[int(start * RATE) : int((start + SECONDS) * RATE)] for p in paths]
        audio = sum(t[: min(map(len, tracks))] for t in tracks)
        found[name] = 0.5 * audio / np.max(np.abs(audio))
    return found, missing


def speech():
    """Returns a woman's spoken words, or nothing if they are not installed."""
    if not all(os.path.exists(os.path.join(SHARE, p)) for p in SPEECH):
        return None
    audio = np.concatenate([read(p) for p in SPEECH])
    return 0.5 * audio / np.max(np.abs(audio))
