//! Tempo: the ways to change it, outside the realtime machine.
//!
//! - [`curve`]: speed over time
//! - [`hq`]: the best of both
//! - [`worker`]: the same ahead of time, and the adaptive reserve
//! - [`offline`]: whole files, as fast as it goes

pub mod curve;
pub mod hq;
pub mod offline;
pub mod worker;
