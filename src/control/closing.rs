//! The end of WebSocket connections: the closing handshake with a code, on every port.
//!
//! A client that closes gets its frame back. One that breaks the protocol gets a code and a reason: 1002 for frames that
//! violate it, 1007 for text that is not UTF-8, 1009 for a message that is too long (RFC 6455, section 7.4.1). When the
//! daemon stops, all of them get 1001.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tungstenite::Error;
use tungstenite::error::{CapacityError, ProtocolError};

/// Time for the last frames to be taken.
const SEND_WITHIN: Duration = Duration::from_secs(1);
/// Time for the other side's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The longest reason that fits a frame, in bytes.
const LONGEST_REASON: usize = 123;

/// A signal that the daemon stops, for tasks that wait for it.
#[derive(Clone, Debug)]
pub struct Ending(watch::Receiver<bool>);

impl Ending {
    /// The signal, and the sender that sets it off.
    pub fn new() -> (watch::Sender<bool>, Ending) {
        let (tell, told) = watch::channel(false);
        (tell, Ending(told))
    }

    /// Returns when the daemon stops; never if the sender is gone.
    pub async fn comes(&mut self) {
        if self.0.wait_for(|ends| *ends).await.is_err() {
            std::future::pending().await
        }
    }
}

/// A closing frame; a reason that is too long is cut.
pub fn frame(code: u16, reason: &str) -> CloseFrame {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code, reason: reason[..end].into() }
}

/// The frame for a daemon that stops.
pub fn stopping() -> CloseFrame {
    frame(close_code::AWAY, "grooved stops")
}

/// The closing frame for a client whose messages cannot be read; `None` if the connection is lost.
pub fn fault(error: axum::Error) -> Option<CloseFrame> {
    let error = error.into_inner().downcast::<Error>().ok()?;
    let (code, reason) = match *error {
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            (close_code::SIZE, format!("a message of {size} bytes; at most {max_size} are read"))
        }
        Error::Capacity(error) => (close_code::SIZE, error.to_string()),
        Error::Utf8(_) => (close_code::INVALID, "a text frame is not UTF-8".into()),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
        Error::Protocol(error) => (close_code::PROTOCOL, error.to_string()),
        _ => return None,
    };
    Some(frame(code, &reason))
}

/// Ends a connection: with a frame of ours, or by answering the client's. Waits a moment for the other side, so that the
/// handshake is complete when the connection is dropped.
pub async fn part(socket: &mut WebSocket, ours: Option<CloseFrame>) {
    if let Some(frame) = ours
        && !matches!(tokio::time::timeout(SEND_WITHIN, socket.send(Message::Close(Some(frame)))).await, Ok(Ok(())))
    {
        return;
    }
    // The answer to a client's frame is written by the next read, which ends behind it; so does the answer to ours.
    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
    let _ = tokio::time::timeout(ANSWER_WITHIN, rest).await;
    let _ = tokio::time::timeout(SEND_WITHIN, socket.close()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = frame(1011, &"é".repeat(100));
        assert_eq!((frame.reason.len(), frame.reason.as_str().chars().count()), (122, 61));
    }
}
