//! The controls of the daemon, and the interfaces that expose them.
//!
//! Every control is declared once, as a row of [`table`]: address, arguments with type, unit, range and default, a line
//! of documentation, and its implementation. The [`conductor`] is the single task that executes controls; it owns the
//! command ring of the engine and the model of what is loaded. Interfaces ([`osc`], [`http`], [`midi`], `stream`)
//! translate between their protocol and [`request`]s, and do not depend on each other.
//!
//! - [`value`]: values of arguments, and their coercion
//! - [`vocabulary`]: declarations of controls: lookup, checks, documentation
//! - [`table`]: the controls; [`fault`]: errors of calls
//! - [`request`]: requests of the interfaces, and answers
//! - [`conductor`]: executes the controls
//! - [`show`]: file format of presets and of the saved state
//! - [`board`]: snapshots of the current state; [`bulletin`]: event log; [`meters`]: ballistics of level meters;
//!   [`pace`]: gauges of stretch reserves and movement; [`tally`]: counters of the interfaces
//! - [`stream_path`]: paths of states and events that can be subscribed to
//! - [`sessions`]: WebSocket sessions and their queues of answers
//! - [`connection`], [`lobby`], [`closing`]: accepting, authorising and closing TCP connections
//! - [`packet`]: OSC packets; [`mend`]: normalises packets that the decoder rejects
//! - [`json`]: JSON representation of values and controls; [`glob`]: paths with wildcards
//! - [`dashboard`]: sends the tempo to a dashboard
//! - [`ports`]: watches for programs that take over OSC ports

pub mod board;
pub mod bulletin;
pub mod closing;
pub mod conductor;
pub mod connection;
pub mod dashboard;
pub mod fault;
pub mod glob;
pub mod http;
pub mod json;
pub mod lobby;
pub mod mend;
pub mod meters;
pub mod midi;
pub mod osc;
pub mod pace;
pub mod packet;
pub mod ports;
pub mod request;
pub mod sessions;
pub mod show;
#[cfg(feature = "ddsp")]
pub mod stream;
pub mod stream_path;
pub mod table;
pub mod tally;
pub mod value;
pub mod vocabulary;
