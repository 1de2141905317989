//! WebSocket sessions and their queues of answers.
//!
//! Queued answers are bounded in bytes, per session and in total. An answer that does not fit is replaced by a `/fail`;
//! a client whose queue fills up even with those is disconnected.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Answer, Line, Message};
use crate::control::commands::value::Value;
use crate::control::publish::counters::Tally;

/// Maximum number of answers queued for one session; a client that exceeds it does not read, and is disconnected.
const WAITING: usize = 1024;
/// Maximum number of bytes queued for one session.
const MOST_BYTES: usize = 1 << 20;
/// Maximum number of bytes queued for all sessions.
const MOST_TOTAL: usize = 16 << 20;

/// A queued answer; its bytes are counted as queued until it is dropped.
#[derive(Debug)]
pub struct Held {
    answer: Option<Answer>,
    bytes: usize,
    counts: [Arc<AtomicUsize>; 2],
}

impl Held {
    /// Returns the answer and stops counting its bytes.
    pub fn take(mut self) -> Option<Answer> {
        self.answer.take()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for count in &self.counts {
            count.fetch_sub(self.bytes, Relaxed);
        }
    }
}

/// The queue of one session.
#[derive(Debug)]
struct Session {
    answers: mpsc::Sender<Held>,
    bytes: Arc<AtomicUsize>,
}

/// All open sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Session>>,
    total: Arc<AtomicUsize>,
    /// Counters of HTTP.
    pub tally: Tally,
}

impl Sessions {
    /// Opens a session; returns its number and the receiver of its answers. The session has ended when the channel is
    /// closed.
    pub fn open(&self) -> (u64, mpsc::Receiver<Held>) {
        let number = self.next.fetch_add(1, Relaxed);
        let (answers, inbox) = mpsc::channel(WAITING);
        if let Ok(mut open) = self.open.lock() {
            open.insert(number, Session { answers, bytes: Arc::default() });
        }
        (number, inbox)
    }

    /// Removes a session.
    pub fn close(&self, number: u64) {
        if let Ok(mut open) = self.open.lock() {
            open.remove(&number);
        }
    }

    /// Queues an answer for its session, if it belongs to an open one. Never waits.
    pub fn deliver(&self, answer: Answer) {
        let Line::Session(number) = answer.to.line else { return };
        let Ok(mut open) = self.open.lock() else { return };
        let Some(session) = open.get(&number) else { return };
        let bytes = answer.messages.iter().map(Message::bytes).sum::<usize>();
        let held = |answer, bytes| {
            let counts = [session.bytes.clone(), self.total.clone()];
            for count in &counts {
                count.fetch_add(bytes, Relaxed);
            }
            Held { answer: Some(answer), bytes, counts }
        };
        let crowded = session.bytes.load(Relaxed) + bytes > MOST_BYTES || self.total.load(Relaxed) + bytes > MOST_TOTAL;
        let held = if crowded {
            self.tally.muted.fetch_add(1, Relaxed);
            let why = format!("the answer of {bytes} bytes exceeds the queue of unread answers");
            let fault = Fault::refused(why).hint("read them, then ask again");
            let refusal = Message::new("/fail", vec![Value::from(""), Value::from(fault.to_string())]);
            held(Answer { to: answer.to, messages: vec![refusal], push: false, fault: Some(fault) }, 0)
        } else {
            held(answer, bytes)
        };
        if session.answers.try_send(held).is_err() {
            self.tally.muted.fetch_add(1, Relaxed);
            open.remove(&number);
        }
    }

    /// Returns the number of open sessions.
    pub fn count(&self) -> usize {
        self.open.lock().map_or(0, |o| o.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::commands::request::Origin;

    fn answer(session: u64, text: usize) -> Answer {
        let to = Origin { line: Line::Session(session), peer: ([127, 0, 0, 1], 1).into(), tag: 7 };
        Answer { to, messages: vec![Message::new("/x", vec![Value::Text("A".repeat(text))])], push: false, fault: None }
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_for_each_and_for_all() {
        let sessions = Sessions::default();
        let mut inboxes: Vec<_> = (0..40).map(|_| sessions.open()).collect();
        for (number, _) in &inboxes {
            for _ in 0..30 {
                sessions.deliver(answer(*number, 100_000));
            }
        }
        assert!(sessions.total.load(Relaxed) <= MOST_TOTAL);
        let (first, inbox) = &mut inboxes[0];
        let mut read = Vec::new();
        while let Ok(held) = inbox.try_recv() {
            read.extend(held.take().unwrap().messages);
        }
        let whole = read.iter().filter(|m| m.address == "/x").count();
        assert_eq!((whole, read.len()), (10, 30), "each request is answered, if only with /fail");
        assert!(read[29].args[1].as_text().contains("exceeds the queue"));
        // After reading there is room again.
        sessions.deliver(answer(*first, 1_000));
        assert_eq!(inbox.try_recv().unwrap().take().unwrap().messages[0].address, "/x");
        drop(inboxes);
        assert_eq!(sessions.total.load(Relaxed), 0, "all bytes are released");
    }
}
