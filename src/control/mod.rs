//! The controls of the daemon, and the interfaces that expose them.
//!
//! Every control is declared once, as a row of [`table`]: address, arguments with type, unit, range and default, a line
//! of documentation, and its implementation. The [`conductor`] is the single task that carries controls out; it owns the
//! command ring of the engine and the model of what is loaded. Interfaces translate between their protocol and requests.
//!
//! Each layer knows only those below it:
//!
//! - [`faces`]: OSC, HTTP and WebSocket, DDSP stream, MIDI
//! - [`table`]: the controls, with what carries them out
//! - [`conductor`]: carries them out
//! - [`publish`]: what anybody may read
//! - [`commands`]: what a command is

pub mod commands;
pub mod conductor;
pub mod faces;
pub mod publish;
pub mod table;
