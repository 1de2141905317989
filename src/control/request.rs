//! What faces send, and what they get back.

use std::net::SocketAddr;

use super::value::Value;

/// Who asked: a face's socket or connection, and the peer behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Which of the face's sockets.
    pub socket: usize,
    /// The peer.
    pub peer: SocketAddr,
}

/// An address with values: what is called, and what is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Where to.
    pub address: String,
    /// What with.
    pub args: Vec<Value>,
}

impl Message {
    /// A message.
    pub fn new(address: impl Into<String>, args: Vec<Value>) -> Message {
        Message { address: address.into(), args }
    }
}

/// When something is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As soon as possible.
    Now,
    /// At a moment of the monotonic clock, in nanoseconds.
    Monotonic(u64),
    /// At a moment before the machine was started: late beyond saying.
    Past,
}

/// Calls that belong together: they take effect on the same sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who asked; `None` for ourselves.
    pub origin: Option<Origin>,
    /// When.
    pub when: When,
    /// What.
    pub calls: Vec<Message>,
}

/// What goes back: messages that belong together, to one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// To whom.
    pub to: Origin,
    /// What. More than one are sent as a bundle.
    pub messages: Vec<Message>,
}
