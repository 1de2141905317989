//! The interfaces: each translates between its protocol and requests, and none depends on another.
//!
//! - [`osc`]: OSC over UDP; [`http`]: HTTP and WebSocket; `ddsp`: the DDSP stream; [`midi`]: the ALSA sequencer
//! - [`connection`], [`lobby`], [`closing`]: accepting, authorising and closing TCP connections
//! - [`sessions`]: WebSocket sessions and their queues of answers
//! - [`dashboard`]: sends the tempo to a dashboard

pub mod closing;
pub mod connection;
pub mod dashboard;
#[cfg(feature = "ddsp")]
pub mod ddsp;
pub mod http;
pub mod lobby;
pub mod midi;
pub mod osc;
pub mod renders;
pub mod sessions;
