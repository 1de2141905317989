//! The closing handshake of WebSocket connections, on every port.
//!
//! The close frame of a client is echoed. A client that violates the protocol receives a code and a reason: 1002 for
//! invalid frames, 1007 for text that is not UTF-8, 1009 for a message that is too long (RFC 6455, section 7.4.1). When
//! the daemon shuts down, all clients receive 1001.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tungstenite::Error;
use tungstenite::error::{CapacityError, ProtocolError};

/// Timeout for sending the last frames.
const SEND_WITHIN: Duration = Duration::from_secs(1);
/// Timeout for the peer's close frame.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Maximum length of a reason in bytes.
const LONGEST_REASON: usize = 123;

/// Signal that the daemon is shutting down.
#[derive(Clone, Debug)]
pub struct Ending(watch::Receiver<bool>);

impl Ending {
    /// Creates a signal and the sender that triggers it by sending `true`.
    pub fn new() -> (watch::Sender<bool>, Ending) {
        let (tell, told) = watch::channel(false);
        (tell, Ending(told))
    }

    /// Waits until the daemon shuts down; forever if the sender is dropped.
    pub async fn comes(&mut self) {
        if self.0.wait_for(|ends| *ends).await.is_err() {
            std::future::pending().await
        }
    }
}

/// Returns a close frame; a reason that is too long is truncated at a character boundary.
pub fn frame(code: u16, reason: &str) -> CloseFrame {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code, reason: reason[..end].into() }
}

/// Returns the close frame for the daemon's shutdown (1001).
pub fn stopping() -> CloseFrame {
    frame(close_code::AWAY, "grooved is shutting down")
}

/// Returns the close frame for a read error; `None` if the connection is lost.
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

/// Closes a connection: with the frame `ours`, or by echoing the client's. Waits up to 4 s, so that the handshake is
/// complete when the connection is dropped.
pub async fn part(socket: &mut WebSocket, ours: Option<CloseFrame>) {
    if let Some(frame) = ours
        && !matches!(tokio::time::timeout(SEND_WITHIN, socket.send(Message::Close(Some(frame)))).await, Ok(Ok(())))
    {
        return;
    }
    // The next read sends the echo of a client's close frame and then ends; it also ends with the reply to ours.
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
