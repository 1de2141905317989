//! Connections that last, and the answers on their way to them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::mpsc;

use super::request::{Answer, Line};
use super::tally::Tally;

/// Answers waiting for one connection. A client that lets more pile up does not read, and is let go.
const WAITING: usize = 1024;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Sessions {
    next: AtomicU64,
    open: Mutex<HashMap<u64, mpsc::Sender<Answer>>>,
    /// What came, and what was refused.
    pub tally: Tally,
}

impl Sessions {
    /// A new session: its number, and where its answers arrive. When the sender is dropped the session is over.
    pub fn open(&self) -> (u64, mpsc::Receiver<Answer>) {
        let number = self.next.fetch_add(1, Relaxed);
        let (tx, rx) = mpsc::channel(WAITING);
        if let Ok(mut open) = self.open.lock() {
            open.insert(number, tx);
        }
        (number, rx)
    }

    /// Forgets a session.
    pub fn close(&self, number: u64) {
        if let Ok(mut open) = self.open.lock() {
            open.remove(&number);
        }
    }

    /// Hands an answer to its session, if it is one's and still there. Never waits.
    pub fn deliver(&self, answer: Answer) {
        let Line::Session(number) = answer.to.line else { return };
        let Ok(mut open) = self.open.lock() else { return };
        let Some(session) = open.get(&number) else { return };
        if session.try_send(answer).is_err() {
            self.tally.muted.fetch_add(1, Relaxed);
            open.remove(&number);
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.lock().map_or(0, |o| o.len())
    }
}
