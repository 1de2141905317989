//! Time stretching outside the realtime core.
//!
//! - [`curve`]: speed over time
//! - [`hq`]: high-quality stretching; `rubberband`: the same with the Rubber Band library, in builds that include it
//! - [`worker`]: stretching ahead of time, with an adaptive reserve
//! - [`offline`]: stretching whole files

pub mod curve;
pub mod hq;
pub mod machine;
pub mod offline;
#[cfg(feature = "rubberband")]
pub mod rubberband;
pub mod worker;
