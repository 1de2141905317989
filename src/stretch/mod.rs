//! Tempo: the ways to change it, outside the realtime machine.
//!
//! - [`method`]: which ways there are
//! - [`curve`]: speed over time
//! - [`hq`]: the best of both
//! - [`offline`]: whole files, as fast as it goes

pub mod curve;
pub mod hq;
pub mod method;
pub mod offline;
