//! grooved: a sound appliance's firmware as a library.

pub mod dsp;
pub mod engine;
