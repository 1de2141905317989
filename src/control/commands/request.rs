//! Requests of the interfaces to the conductor, and its answers.

use std::net::SocketAddr;

use crate::control::commands::fault::Fault;
use crate::control::commands::value::Value;

/// The connection by which a request arrived and its answer is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// An OSC socket, by its index.
    Osc(usize),
    /// A WebSocket session, by its number.
    Session(u64),
}

/// The client that sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The connection.
    pub line: Line,
    /// The peer.
    pub peer: SocketAddr,
    /// Identifies the request on its connection; 0 for interfaces that do not identify requests.
    pub tag: u64,
}

impl Origin {
    /// The peer as it is shown: an IPv4 address as such, also if it came through an IPv6 socket.
    pub fn shown(&self) -> SocketAddr {
        SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port())
    }

    /// Returns whether the client expects an answer to every request, even to controls that are not acknowledged over
    /// OSC.
    pub fn awaits_everything(&self) -> bool {
        matches!(self.line, Line::Session(_))
    }
}

/// An address with values: a call of a control, or a part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Address.
    pub address: String,
    /// Arguments.
    pub args: Vec<Value>,
}

impl Message {
    /// Creates a message.
    pub fn new(address: impl Into<String>, args: Vec<Value>) -> Message {
        Message { address: address.into(), args }
    }

    /// Returns the approximate memory use of the message in bytes.
    pub fn bytes(&self) -> usize {
        let value = |v: &Value| match v {
            Value::Text(text) => 32 + text.len(),
            _ => 32,
        };
        64 + self.address.len() + self.args.iter().map(value).sum::<usize>()
    }
}

/// The time at which calls take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As soon as possible.
    Now,
    /// At a time of the monotonic clock, in nanoseconds.
    Monotonic(u64),
    /// At a time before the machine was started, which the monotonic clock cannot express: always late.
    Past,
}

/// Calls that take effect at the same sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The client; `None` for requests of the daemon itself.
    pub origin: Option<Origin>,
    /// The time at which the calls take effect.
    pub when: When,
    /// The calls, in order.
    pub calls: Vec<Message>,
}

/// An answer, or a push to a subscriber.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The client.
    pub to: Origin,
    /// The messages; over OSC, several are sent as a bundle.
    pub messages: Vec<Message>,
    /// Whether this is a push to a subscriber, which may be dropped if buffers are full.
    pub push: bool,
    /// The error, if the call failed.
    pub fault: Option<Fault>,
}
