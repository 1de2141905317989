//! The extension module `ddsp_python`: grooved's instruments for Python programs.
//!
//! - [`processor`]: one voice, block by block, with the interface of the older server's module of that name
//! - [`instrument`]: an instrument, found by name or path, and what it is made for
//! - [`models`]: the rules by which a name or path becomes a model, and the models that are kept open
//! - [`render`]: whole curves of controls, and MIDI files
//! - [`numbers`]: arguments and results as Python has them
//!
//! Everything that renders releases the interpreter's lock.

mod instrument;
mod models;
mod numbers;
mod processor;
mod render;

/// Neural instruments of grooved: flute, clarinet, oboe, saxophone, trombone, violin and cello.
///
/// DDSPProcessor plays one voice, block by block. render and render_midi turn whole curves of controls and MIDI files into
/// arrays. instruments lists what is built in.
///
///     import ddsp_python
///
///     violin = ddsp_python.DDSPProcessor("violin", 48000, 960)
///     violin.set_f0(440.0)
///     violin.set_loudness(0.8)
///     block = violin.get_next_block(960)    # array('f', …), 20 ms
///
/// Programs written for the module of the same name of the older DDSP server run unchanged.
#[pyo3::pymodule]
mod ddsp_python {
    #[pymodule_export]
    use super::instrument::{Instrument, instruments};
    #[pymodule_export]
    use super::processor::Processor;
    #[pymodule_export]
    use super::render::{render, render_midi};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name that Python programs look for")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
