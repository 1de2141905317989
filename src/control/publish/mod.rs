//! What the daemon shows of itself, for anybody to read at any time.
//!
//! - [`snapshot`]: the current state; [`events`]: the event log
//! - [`ballistics`]: level meters; [`gauges`]: stretch reserves and movement; [`counters`]: what the interfaces count

pub mod ballistics;
pub mod counters;
pub mod events;
pub mod gauges;
pub mod snapshot;
