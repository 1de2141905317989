//! One vocabulary of controls, and the faces that speak it.
//!
//! Every controllable thing is declared once, as a row of [`table`]: address, arguments with type, unit, range and
//! default, a line of documentation, and what it does. The [`conductor`] is the one task that does it: it owns the
//! way into the engine and the model of what is loaded. Faces ([`osc`], [`http`], [`midi`]) translate between their
//! wire and [`request`]s, and know nothing of each other.
//!
//! - [`value`]: what an argument can be, and how it is coerced
//! - [`vocabulary`]: what a control is; finding, checking, documenting
//! - [`table`]: the controls; [`fault`]: why a call fails
//! - [`request`]: what faces send and get back
//! - [`conductor`]: does it
//! - [`show`]: everything as it is kept, in the state file and in presets
//! - [`board`]: everything as it is now; [`bulletin`]: what happened; [`meters`]: what needles show; [`pace`]: reserves
//!   and the crowd
//! - [`connection`]: what TCP faces have in common at the start of a connection, [`closing`]: at its end
//! - [`mend`]: OSC packets that are read though they are not quite right
//! - [`dashboard`]: tells a dashboard the tempo
//! - [`ports`]: OSC ports that other programs take over

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
