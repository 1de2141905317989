//! Signal-processing blocks, independent of the product.
//!
//! Everything here works on plain slices and numbers: no clocks, no commands, no I/O. All of it may run on the audio
//! thread unless its documentation says otherwise (tables and designs are computed elsewhere, in advance).
//!
//! - [`fixed`]: positions that never drift
//! - [`sinc`]: interpolation of sampled sound at any ratio
//! - [`bands`]: low, mid and high as weights on fixed resonators, for the equaliser
//! - [`peak`]: detection of peaks between samples
//! - [`splice`]: tempo changes by splices aligned to onsets
//! - [`vocoder`]: tempo changes of steady sound
//! - [`crossfade`]: crossfades of constant loudness
//! - [`dither`]: triangular dither for 16-bit outputs

pub mod bands;
pub mod crossfade;
pub mod dither;
pub mod fixed;
pub mod peak;
pub mod sinc;
pub mod splice;
pub mod vocoder;
