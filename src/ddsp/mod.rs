//! Instruments: neural models (DDSP) and genomes, and the voices that play them.
//!
//! - [`contract`]: the requirements for a model file, and the metadata it carries
//! - [`model`]: a model file, read, checked and prepared; running one step of it
//! - [`harmonics`] and [`noise`]: the two synthesis stages; [`synth`]: both combined
//! - [`sound`]: what a voice is made of: `neural`, a model and its synthesis, or `sampled`, a note of a genome ([`notes`])
//! - [`performer`]: envelope, glide, vibrato; [`voice`]: a sound and a performer
//! - [`band`]: several voices of one instrument; [`mod@instrument`]: a model or a genome; [`library`]: finds them by name
//! - [`score`]: notes of a MIDI file ([`smf`]) and control tables; [`tuning`]: the pitch offset of a MIDI channel;
//!   [`programs`]: the instrument of a MIDI program
//! - [`render`]: renders a score or a curve of controls, faster than real time
//! - [`stream`]: the voices of one streaming client
//! - [`ensemble`]: the voices on the speakers; [`order`]: their commands; [`room`]: their reverb
//! - [`worker`]: renders the ensemble ahead of the engine
//! - [`processor`]: a single voice for programs that embed the crate; `shipped`: the instruments of `models/`, embedded
//!
//! A model step allocates, so nothing in this module may be called on the audio thread. Without the feature `ddsp`,
//! only [`order`], [`programs`] and [`tuning`] are compiled. Without the feature `daemon`, what needs threads, genomes or
//! the engine is left out: the rest is what the Python package is built from.

#[cfg(feature = "ddsp")]
pub mod band;
#[cfg(feature = "ddsp")]
pub mod contract;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
pub mod ensemble;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
pub mod guest;
#[cfg(feature = "ddsp")]
pub mod harmonics;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
pub mod instrument;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
pub mod library;
#[cfg(feature = "ddsp")]
pub mod model;
#[cfg(feature = "ddsp")]
mod neural;
#[cfg(feature = "ddsp")]
pub mod noise;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
pub mod notes;
#[cfg(feature = "daemon")]
pub mod order;
#[cfg(feature = "ddsp")]
pub mod performer;
#[cfg(feature = "ddsp")]
pub mod processor;
pub mod programs;
#[cfg(feature = "ddsp")]
pub mod render;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
pub mod room;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
mod sampled;
#[cfg(feature = "ddsp")]
pub mod score;
#[cfg(any(feature = "shipped", all(test, feature = "ddsp")))]
pub mod shipped;
#[cfg(feature = "ddsp")]
pub mod smf;
#[cfg(feature = "ddsp")]
pub mod sound;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
pub mod stream;
#[cfg(feature = "ddsp")]
pub mod synth;
pub mod tuning;
#[cfg(feature = "ddsp")]
pub mod voice;
#[cfg(all(feature = "ddsp", feature = "daemon"))]
pub mod worker;
