//! What faces send, and what they get back.

use std::net::SocketAddr;

use super::fault::Fault;
use super::value::Value;

/// The way a request came, and its answer goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// An OSC socket, by its index.
    Osc(usize),
    /// A connection that lasts, by its number.
    Session(u64),
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The way it came.
    pub line: Line,
    /// The peer.
    pub peer: SocketAddr,
    /// Which of its requests this is, for faces that tell their requests apart.
    pub tag: u64,
}

impl Origin {
    /// Whether it waits for an answer to everything, also to controls that OSC clients move without being told.
    pub fn awaits_everything(&self) -> bool {
        matches!(self.line, Line::Session(_))
    }
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

    /// Bytes it takes while it waits, roughly.
    pub fn bytes(&self) -> usize {
        let value = |v: &Value| match v {
            Value::Text(text) => 32 + text.len(),
            _ => 32,
        };
        64 + self.address.len() + self.args.iter().map(value).sum::<usize>()
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
    /// Whether it is told to a subscriber unasked: then it may be left out where there is no room.
    pub push: bool,
    /// Why the call failed, if this says so.
    pub fault: Option<Fault>,
}
