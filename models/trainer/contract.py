"""The contract between a model file and the daemon: names, shapes, scalings. `../README.md` states it in words."""

import math

VERSION = "1"
OPSET = 17
IR_VERSION = 8

SAMPLE_RATE = 48_000
HOP = 480
NOISE_BANDS = 65

# The scaling of loudness: 0 is -80 dBFS, 1 is 0 dBFS. Loudness is the RMS under a Hann window of 2048 frames.
LOUDNESS_SPAN_DB = 80.0
LOUDNESS_WINDOW = 2048


def scale_pitch(midi):
    """MIDI note numbers (69 = 440 Hz) to what the network is given."""
    return midi / 127.0


def scale_loudness(db):
    """dBFS to what the network is given, 0 to 1."""
    return min(1.0, max(0.0, db / LOUDNESS_SPAN_DB + 1.0))


def gain_of_loudness(scaled):
    """The level that a scaled loudness stands for, as an RMS; exactly nothing at 0. Works on numbers and tensors."""
    return 10.0 ** (LOUDNESS_SPAN_DB / 20.0 * (scaled - 1.0)) - 10.0 ** (-LOUDNESS_SPAN_DB / 20.0)


def hz_of(midi):
    return 440.0 * 2.0 ** ((midi - 69.0) / 12.0)


def midi_of(hz):
    return 69.0 + 12.0 * math.log2(hz / 440.0)


def metadata(**values):
    """The file's own description, all keys under `grooved.`; every value is text."""
    required = {
        "instrument", "sample_rate", "hop", "harmonics", "noise_bands", "state", "pitch_range", "loudness_range",
        "loudness_map", "licence", "provenance", "date", "figures",
    }
    missing = required - set(values)
    assert not missing, f"metadata lacks {sorted(missing)}"
    given = {
        "contract": VERSION,
        "pitch_scaling": "midi/127",
        "loudness_scaling": "dbfs/80+1",
        "amplitude_scaling": "linear",
        "noise_scaling": "linear",
        **values,
    }
    return {f"grooved.{key}": str(value) for key, value in given.items()}
