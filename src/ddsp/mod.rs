//! Neural instruments: what a model file promises, and the model at work.
//!
//! - [`contract`]: what is asked of a file, and what it says of itself
//! - [`model`]: a file read, checked and made ready; one step of it
//!
//! A step of a model allocates, so nothing in here may be called on the audio thread.

pub mod contract;
pub mod model;
