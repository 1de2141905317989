//! Neural instruments: what a model file promises, and the model at work.
//!
//! - [`contract`]: what is asked of a file, and what it says of itself
//! - [`model`]: a file read, checked and made ready; one step of it
//! - [`harmonics`] and [`noise`]: the two halves of the sound; [`synth`]: both
//! - [`performer`]: envelope, glide, vibrato; [`voice`]: a model, a synthesiser and a performer
//! - [`band`]: several voices of one instrument; [`library`]: where instruments are found
//! - [`score`]: notes of a MIDI file, and of tables of controls
//! - [`stream`]: the voices of one client
//! - [`processor`]: a voice for programs that embed it
//!
//! A step of a model allocates, so nothing in here may be called on the audio thread.

pub mod band;
pub mod contract;
pub mod harmonics;
pub mod library;
pub mod model;
pub mod noise;
pub mod performer;
pub mod processor;
pub mod score;
pub mod stream;
pub mod synth;
pub mod voice;
