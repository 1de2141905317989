"""Notes rendered by FluidSynth, each at its exact frame.

FluidSynth starts notes on a grid of 64 frames (1.45 ms), which is more than the errors that are measured here. A mix of
voices is a sum, so the notes are rendered in groups that share a remainder of their frame by 64, and every group is
moved by its remainder. The synthesiser's reverb and chorus are off: their modulated delays do not depend on the tempo
in a known way. A room is added by convolution instead, which is the same at every tempo.
"""

import ctypes
import ctypes.util
from dataclasses import dataclass, field

import numpy as np
from scipy import signal

from signals import RATE

FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
BLOCK = 64
# Closed, pedal and open hi-hat silence each other.
HATS = (42, 44, 46)
# The velocity that silences an open hi-hat of another group at −84 dB.
CHOKE = 1


@dataclass
class Part:
    """One instrument: where it is in the sound font and in the mix."""

    name: str
    program: int
    drums: bool = False
    pan: int = 64
    volume: int = 100


@dataclass
class Note:
    """One note; times in seconds."""

    part: Part
    start: float
    length: float
    key: int
    velocity: int
    # Pitch bends as (seconds after the start, semitones); they apply to the whole part.
    bends: list = field(default_factory=list)


def _library():
    name = ctypes.util.find_library("fluidsynth") or "libfluidsynth.so.3"
    library = ctypes.CDLL(name)
    for function in ("new_fluid_settings", "new_fluid_synth"):
        getattr(library, function).restype = ctypes.c_void_p
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.new_fluid_synth.argtypes = [pointer]
    library.fluid_settings_setnum.argtypes = [pointer, ctypes.c_char_p, ctypes.c_double]
    library.fluid_settings_setint.argtypes = [pointer, ctypes.c_char_p, number]
    library.fluid_synth_sfload.argtypes = [pointer, ctypes.c_char_p, number]
    library.fluid_synth_system_reset.argtypes = [pointer]
    library.fluid_synth_program_select.argtypes = [pointer, number, number, number, number]
    library.fluid_synth_set_channel_type.argtypes = [pointer, number, number]
    library.fluid_synth_cc.argtypes = [pointer, number, number, number]
    library.fluid_synth_pitch_bend.argtypes = [pointer, number, number]
    library.fluid_synth_noteon.argtypes = [pointer, number, number, number]
    library.fluid_synth_noteoff.argtypes = [pointer, number, number]
    library.fluid_synth_write_float.argtypes = [pointer, number, pointer, number, number, pointer, number, number]
    # Missing modules of other drivers are of no interest.
    for level in range(5):
        library.fluid_set_log_function(level, None, None)
    return library


class Synth:
    """A FluidSynth without effects."""

    def __init__(self, font=FONT):
        self.library = _library()
        settings = self.library.new_fluid_settings()
        self.library.fluid_settings_setnum(settings, b"synth.sample-rate", RATE)
        self.library.fluid_settings_setnum(settings, b"synth.gain", 0.4)
        self.library.fluid_settings_setint(settings, b"synth.polyphony", 1024)
        self.library.fluid_settings_setint(settings, b"synth.midi-channels", 32)
        self.library.fluid_settings_setint(settings, b"synth.reverb.active", 0)
        self.library.fluid_settings_setint(settings, b"synth.chorus.active", 0)
        self.synth = self.library.new_fluid_synth(settings)
        self.font = self.library.fluid_synth_sfload(self.synth, font.encode(), 0)
        if self.font < 0:
            raise RuntimeError(f"{font} is missing; it is part of the Debian package fluid-soundfont-gm")

    def _prepare(self, parts):
        self.library.fluid_synth_system_reset(self.synth)
        for channel, part in enumerate(parts):
            self.library.fluid_synth_set_channel_type(self.synth, channel, 1 if part.drums else 0)
            self.library.fluid_synth_program_select(
                self.synth, channel, self.font, 128 if part.drums else 0, part.program
            )
            self.library.fluid_synth_cc(self.synth, channel, 7, part.volume)
            self.library.fluid_synth_cc(self.synth, channel, 10, part.pan)

    def _write(self, out, start, end):
        """Renders frames from `start` to `end`, which are multiples of the block."""
        if end > start:
            at = out[start:end].ctypes.data_as(ctypes.c_void_p)
            self.library.fluid_synth_write_float(self.synth, end - start, at, 0, 2, at, 1, 2)

    def render(self, notes, length):
        """Returns `length` seconds of the notes as an array of (frames, 2); every note starts at its rounded frame."""
        parts = list({id(n.part): n.part for n in notes}.values())
        channel = {id(p): k for k, p in enumerate(parts)}
        frames = int(length * RATE)
        total = np.zeros((frames + 2 * BLOCK, 2))
        groups = {}
        for note in notes:
            at = round(note.start * RATE)
            groups.setdefault(at % BLOCK, []).append((at // BLOCK, note))
        blocks = frames // BLOCK + 1
        chokes = [
            (round(n.start * RATE) // BLOCK, channel[id(n.part)], n.key)
            for n in notes
            if n.part.drums and n.key in HATS
        ]
        for rest, group in groups.items():
            events = []
            for at, note in group:
                c = channel[id(note.part)]
                end = max(at + 1, at + round(note.length * RATE / BLOCK))
                events.append((at, 1, c, note.key, note.velocity))
                events.append((end, 0, c, note.key, 0))
                for after, semitones in note.bends:
                    events.append(
                        (at + int(after * RATE / BLOCK), 2, c, int(8192 + 8191 * np.clip(semitones / 2, -1, 1)), 0)
                    )
            own = {(at, note.key) for at, note in group}
            open_here = [at for at, note in group if note.part.drums and note.key == 46]
            for at, c, key in chokes:
                if (at, key) not in own and any(o < at < o + 2 * RATE // BLOCK for o in open_here):
                    events.append((at, 1, c, key, CHOKE))
            self._prepare(parts)
            out = np.zeros(((blocks + 1) * BLOCK, 2), np.float32)
            position = 0
            for at, kind, c, value, velocity in sorted(events):
                at = min(at, blocks) * BLOCK
                self._write(out, position, at)
                position = at
                if kind == 0:
                    self.library.fluid_synth_noteoff(self.synth, c, value)
                elif kind == 1:
                    self.library.fluid_synth_noteon(self.synth, c, value, velocity)
                else:
                    self.library.fluid_synth_pitch_bend(self.synth, c, value)
            self._write(out, position, len(out))
            n = min(len(out), len(total) - rest)
            total[rest : rest + n] += out[:n]
        return total[:frames]


def room(audio, wet, seconds=1.1, seed=9):
    """Adds the sound of a room: early reflections, then noise that decays by 60 dB, the high frequencies sooner."""
    if not wet:
        return audio
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    reply = np.zeros((n, 2))
    for low, high, decay in ((150, 1_000, 1.0), (1_000, 4_000, 0.75), (4_000, 12_000, 0.45)):
        band = signal.butter(2, (low, high), "band", fs=RATE, output="sos")
        noise = signal.sosfilt(band, rng.standard_normal((n, 2)), axis=0)
        reply += noise * (10 ** (-3 * t / (seconds * decay)))[:, None] * np.minimum(1, t / 0.025)[:, None]
    for at, gain in ((0.011, 0.5), (0.017, -0.4), (0.023, 0.35), (0.031, -0.3)):
        for c in range(2):
            reply[int((at + 0.0021 * c) * RATE), c] += gain * np.sqrt(np.sum(reply[:, c] ** 2)) * 0.3
    reply *= wet / np.sqrt(np.sum(reply**2, axis=0))
    return audio + signal.fftconvolve(audio, reply, axes=0)[: len(audio)]
