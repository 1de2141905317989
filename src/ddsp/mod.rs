//! Neural instruments: what a model file promises, and the model at work.
//!
//! - [`contract`]: what is asked of a file, and what it says of itself
//! - [`model`]: a file read, checked and made ready; one step of it
//! - [`harmonics`] and [`noise`]: the two halves of the sound; [`synth`]: both
//! - [`performer`]: envelope, glide, vibrato; [`voice`]: a model, a synthesiser and a performer
//! - [`band`]: several voices of one instrument; [`library`]: where instruments are found
//! - [`score`]: notes of a MIDI file ([`smf`]), and of tables of controls; [`tuning`]: the pitch of a MIDI channel
//! - [`stream`]: the voices of one client
//! - [`ensemble`]: the voices of the speakers; [`order`]: what they are told; [`room`]: their reverb
//! - [`worker`]: makes their sound ahead of the engine
//! - [`processor`]: a voice for programs that embed it
//!
//! A step of a model allocates, so nothing in here may be called on the audio thread. Without
//! the feature `ddsp` only [`order`] and [`tuning`] are there.

#[cfg(feature = "ddsp")]
pub mod band;
#[cfg(feature = "ddsp")]
pub mod contract;
#[cfg(feature = "ddsp")]
pub mod ensemble;
#[cfg(feature = "ddsp")]
pub mod harmonics;
#[cfg(feature = "ddsp")]
pub mod library;
#[cfg(feature = "ddsp")]
pub mod model;
#[cfg(feature = "ddsp")]
pub mod noise;
pub mod order;
#[cfg(feature = "ddsp")]
pub mod performer;
#[cfg(feature = "ddsp")]
pub mod processor;
#[cfg(feature = "ddsp")]
pub mod room;
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
