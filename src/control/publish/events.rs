//! Bounded log of events, which every listener reads at its own pace.
//!
//! Posting never waits for listeners, and listeners do not affect each other: each has its own cursor, and one that
//! falls behind the oldest event kept learns how many it missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::control::commands::value::Value;

/// Number of events kept.
const KEPT: usize = 2048;

/// An event in the log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Consecutive number.
    pub number: u64,
    /// Time in seconds since 1970.
    pub at: f64,
    /// Path of the event.
    pub path: String,
    /// Values of the event.
    pub values: Vec<Value>,
    json: OnceLock<String>,
}

impl Event {
    /// Returns the event as members of a JSON object, rendered once for all listeners:
    /// `"number":…,"at":…,"path":…,"values":[…]`.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| {
            let path = serde_json::Value::from(self.path.as_str());
            let at = serde_json::Value::from(self.at);
            let values = crate::control::commands::json::list(&self.values);
            format!("\"number\":{},\"at\":{at},\"path\":{path},\"values\":{values}", self.number)
        })
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        (self.number, self.at, &self.path, &self.values) == (other.number, other.at, &other.path, &other.values)
    }
}

/// Events returned by [`EventLog::since`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Number of requested events that are no longer kept.
    pub missed: u64,
    /// The events, oldest first.
    pub events: Vec<Arc<Event>>,
    /// The number to continue from.
    pub next: u64,
}

/// A bounded, numbered log of events.
#[derive(Debug)]
pub struct EventLog {
    kept: Mutex<(u64, VecDeque<Arc<Event>>)>,
    newest: watch::Sender<u64>,
    life: u64,
}

/// Returns the current time in seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

impl Default for EventLog {
    fn default() -> Self {
        EventLog {
            kept: Mutex::new((1, VecDeque::with_capacity(KEPT))),
            newest: watch::Sender::new(0),
            // Microseconds: within a second, a service manager can start it twice.
            life: (now() * 1e6) as u64,
        }
    }
}

impl EventLog {
    /// Adds an event. Realtime: no.
    pub fn post(&self, path: impl Into<String>, values: Vec<Value>) {
        crate::system::guard::may_block();
        let at = now();
        let Ok(mut kept) = self.kept.lock() else { return };
        let number = kept.0;
        kept.0 += 1;
        if kept.1.len() == KEPT {
            kept.1.pop_front();
        }
        kept.1.push_back(Arc::new(Event { number, at, path: path.into(), values, json: OnceLock::new() }));
        drop(kept);
        self.newest.send_replace(number);
    }

    /// Returns at most `most` events, starting with number `from`; 0 stands for the oldest event kept.
    pub fn since(&self, from: u64, most: usize) -> Batch {
        let Ok(kept) = self.kept.lock() else { return Batch { next: from, ..Batch::default() } };
        let oldest = kept.0 - kept.1.len() as u64;
        // With 0 nothing counts as missed.
        let from = if from == 0 { oldest } else { from };
        let start = from.clamp(oldest, kept.0);
        let events: Vec<Arc<Event>> = kept.1.iter().skip((start - oldest) as usize).take(most).cloned().collect();
        // A number from an earlier run of the daemon may lie beyond the newest event: such a listener starts over.
        let missed = start.saturating_sub(from);
        Batch { missed, next: start + events.len() as u64, events }
    }

    /// Returns the number of the next event.
    pub fn next(&self) -> u64 {
        self.kept.lock().map_or(0, |k| k.0)
    }

    /// Returns the identifier of this log: its start in seconds since 1970. Numbers of events are valid only within the
    /// same log.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// Returns a receiver of the newest event's number, which signals each posted event.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_listener_is_told_what_it_missed() {
        let bulletin = EventLog::default();
        let start = bulletin.next();
        for k in 0..10 {
            bulletin.post("/x", vec![Value::Int(k)]);
        }
        let batch = bulletin.since(start, 4);
        assert_eq!((batch.missed, batch.events.len(), batch.next), (0, 4, start + 4));
        for k in 0..KEPT as i64 {
            bulletin.post("/y", vec![Value::Int(k)]);
        }
        let batch = bulletin.since(batch.next, usize::MAX);
        assert_eq!((batch.missed, batch.events.len()), (6, KEPT));
        assert_eq!(bulletin.since(batch.next, 9), Batch { missed: 0, events: vec![], next: batch.next });
        assert_eq!(bulletin.since(1 << 60, 9).next, batch.next);
        assert_eq!((bulletin.since(0, 9).missed, bulletin.since(1, 9).missed), (0, 10));
    }
}
