//! Pure signal blocks with no opinion about the product.
//!
//! Everything here works on plain slices and numbers: no clocks, no commands, no I/O. All of it may run on the
//! audio thread unless its documentation says otherwise (tables and designs are built elsewhere, before).
//!
//! - [`fixed`]: positions that never drift
//! - [`sinc`]: interpolation of sampled sound at any ratio
//! - [`bands`]: low, mid and high as weights on fixed resonators, for the equaliser
//! - [`peak`]: how high a signal rises between its samples
//! - [`splice`]: changing tempo by splices that are locked to onsets
//! - [`vocoder`]: changing tempo of steady sound
//! - [`crossfade`]: from one sound to another at even loudness
//! - [`dither`]: triangular dither for 16-bit outputs

pub mod bands;
pub mod crossfade;
pub mod dither;
pub mod fixed;
pub mod peak;
pub mod sinc;
pub mod splice;
pub mod vocoder;
