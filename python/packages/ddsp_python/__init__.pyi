import array
import os
from collections.abc import Iterable, Sequence
from typing import TypedDict, Union, final

import numpy
import numpy.typing

__version__: str
__all__ = ["DDSPProcessor", "Instrument", "__version__", "instruments", "render", "render_midi"]

_Model = Union[str, bytes, os.PathLike[str], Instrument, None]
_Samples = numpy.typing.NDArray[numpy.float32]
_Range = tuple[float, float]

class _Ranges(TypedDict):
    f0: _Range
    midi: _Range
    loudness: _Range
    dbfs: _Range

class DDSPProcessor:
    """One voice of an instrument."""

    def __init__(
        self, model_path: _Model = None, sample_rate: float = 48000.0, block_size: int = 960, *, seed: int = 1
    ) -> None: ...
    def set_f0(self, hz: float) -> None:
        """Sets the pitch in Hz, held in 8.18 to 12544; 0 or less is silence."""
    def set_loudness(self, loudness: float) -> None:
        """Sets the loudness, held in 0 (silence) to 1 (the loudest of the training material)."""
    def set_pitch_shift(self, semitones: float) -> None:
        """Sets the transposition in semitones, held in -48 to 48."""
    def set_harmonic_gain(self, gain: float) -> None:
        """Sets the linear gain of the partials, held in 0 to 10."""
    def set_noise_gain(self, gain: float) -> None:
        """Sets the linear gain of the noise, held in 0 to 10."""
    def reset(self) -> None:
        """Restarts from silence, without note and bend; the controls stay."""
    def get_next_block(self, num_samples: int) -> array.array[float]:
        """Renders the next num_samples samples, as array.array('f')."""
    def get_next_array(self, num_samples: int) -> _Samples:
        """Renders the next num_samples samples, as a numpy array, shape (num_samples,)."""
    def process(self, f0: float, loudness: float) -> bytes:
        """Sets pitch and loudness, and renders block_size samples of 16 bits, little-endian."""
    def process_midi(self, events: Iterable[Sequence[int]]) -> bytes:
        """Applies MIDI messages, and renders block_size samples of 16 bits, little-endian."""
    @property
    def instrument(self) -> Instrument:
        """The instrument that is played."""
    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz."""
    @property
    def block_size(self) -> int:
        """Samples that process and process_midi return."""
    @property
    def hop(self) -> int:
        """Samples from one value of the controls to the next."""

@final
class Instrument:
    """An instrument: an embedded one by its name, or that of an .onnx file."""

    def __new__(cls, model_path: _Model = None) -> Instrument: ...
    @property
    def name(self) -> str:
        """Name of the instrument."""
    @property
    def licence(self) -> str:
        """Licence of its weights."""
    @property
    def provenance(self) -> str:
        """Source of its training material."""
    @property
    def date(self) -> str:
        """Date on which it was made."""
    @property
    def hop_s(self) -> float:
        """Seconds from one value of the controls to the next."""
    @property
    def ranges(self) -> _Ranges:
        """Ranges of its training material: "f0" (Hz), "midi" (numbers), "loudness" (0, 1) and its "dbfs"."""

def instruments() -> list[Instrument]:
    """Returns the embedded instruments, sorted by name."""

def render(
    f0s: numpy.typing.ArrayLike,
    loudness: numpy.typing.ArrayLike,
    *,
    instrument: _Model = None,
    sample_rate: float = 48000.0,
    times: numpy.typing.ArrayLike | None = None,
    pitch_shift: numpy.typing.ArrayLike | None = None,
    harmonic_gain: numpy.typing.ArrayLike | None = None,
    noise_gain: numpy.typing.ArrayLike | None = None,
    seed: int = 1,
    mix: bool = True,
    tail: bool = False,
) -> _Samples:
    """Renders curves of controls: f0s in Hz and loudness (0 to 1), shape (hops,) or (voices, hops)."""

def render_midi(
    midi: bytes | bytearray | str | os.PathLike[str],
    *,
    instrument: _Model | dict[int, str | os.PathLike[str] | Instrument] = None,
    sample_rate: float = 48000.0,
    voices: int = 8,
    gain_db: float = 0.0,
) -> _Samples:
    """Renders a MIDI file, shape (frames, 2)."""
