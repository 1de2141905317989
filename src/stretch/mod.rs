//! Tempo: the ways to change it, outside the realtime machine.
//!
//! - [`curve`]: speed over time
//! - [`hq`]: the best of both
//! - [`offline`]: whole files, as fast as it goes

pub mod curve;
pub mod hq;
pub mod offline;
