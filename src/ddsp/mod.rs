//! Instruments: neural models (DDSP) and genomes, and the voices that play them.
//!
//! - [`contract`]: the requirements for a model file, and the metadata it carries
//! - [`model`]: a model file, read, checked and prepared; running one step of it
//! - [`harmonics`] and [`noise`]: the two synthesis stages; [`synth`]: both combined
//! - [`notes`]: notes of genomes, rendered and kept; `sampled`: plays one
//! - [`performer`]: envelope, glide, vibrato; [`voice`]: an instrument's sound and a performer
//! - [`band`]: several voices of one instrument; [`mod@instrument`]: a model or a genome; [`library`]: finds them by name
//! - [`score`]: notes of a MIDI file ([`smf`]) and control tables; [`tuning`]: the pitch offset of a MIDI channel
//! - [`stream`]: the voices of one streaming client
//! - [`ensemble`]: the voices on the speakers; [`order`]: their commands; [`room`]: their reverb
//! - [`worker`]: renders the ensemble ahead of the engine
//! - [`processor`]: a single voice for programs that embed the crate
//!
//! A model step allocates, so nothing in this module may be called on the audio thread. Without the feature `ddsp`,
//! only [`order`] and [`tuning`] are compiled.

#[cfg(feature = "ddsp")]
pub mod band;
#[cfg(feature = "ddsp")]
pub mod contract;
#[cfg(feature = "ddsp")]
pub mod ensemble;
#[cfg(feature = "ddsp")]
pub mod guest;
#[cfg(feature = "ddsp")]
pub mod harmonics;
#[cfg(feature = "ddsp")]
pub mod instrument;
#[cfg(feature = "ddsp")]
pub mod library;
#[cfg(feature = "ddsp")]
pub mod model;
#[cfg(feature = "ddsp")]
pub mod noise;
#[cfg(feature = "ddsp")]
pub mod notes;
pub mod order;
#[cfg(feature = "ddsp")]
pub mod performer;
#[cfg(feature = "ddsp")]
pub mod processor;
#[cfg(feature = "ddsp")]
pub mod room;
#[cfg(feature = "ddsp")]
mod sampled;
#[cfg(feature = "ddsp")]
pub mod score;
#[cfg(feature = "ddsp")]
pub mod smf;
#[cfg(feature = "ddsp")]
pub mod stream;
#[cfg(feature = "ddsp")]
pub mod synth;
pub mod tuning;
#[cfg(feature = "ddsp")]
pub mod voice;
#[cfg(feature = "ddsp")]
pub mod worker;
