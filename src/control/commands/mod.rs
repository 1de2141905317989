//! What a command is: declarations, values, requests, faults. Nothing here knows who carries a command out.
//!
//! - [`vocabulary`]: declarations of controls: lookup, checks, documentation; rows and tables
//! - [`value`]: values of arguments, and their coercion
//! - [`request`]: requests of the interfaces, and answers; [`fault`]: why a call fails
//! - [`stream_path`]: paths of states and events that can be subscribed to
//! - [`json`]: JSON representation of values and controls; [`glob`]: paths with wildcards
//! - [`packet`]: OSC packets; [`mend`]: normalises packets that the decoder rejects
//! - [`allow`]: ranges of addresses

pub mod allow;
pub mod fault;
pub mod glob;
pub mod json;
pub mod mend;
pub mod packet;
pub mod request;
pub mod stream_path;
pub mod value;
pub mod vocabulary;
