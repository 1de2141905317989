//! Tempo: the ways to change it, outside the realtime machine.
//!
//! - [`curve`]: speed over time
//! - [`hq`]: the best of both; `rubberband`: a library's, for those who build it in
//! - [`worker`]: the same ahead of time, and the adaptive reserve
//! - [`offline`]: whole files, as fast as it goes

pub mod curve;
pub mod hq;
pub mod offline;
#[cfg(feature = "rubberband")]
pub mod rubberband;
pub mod worker;
