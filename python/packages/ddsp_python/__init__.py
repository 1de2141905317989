"""Neural instruments of grooved: one voice block by block, whole curves of controls, and MIDI files."""
from .ddsp_python import DDSPProcessor, Instrument, __doc__, __version__, instruments, render, render_midi

__all__ = ["DDSPProcessor", "Instrument", "__version__", "instruments", "render", "render_midi"]
