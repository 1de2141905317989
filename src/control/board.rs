//! Everything as it is now: paths with values, written by the conductor as often as anybody looks.
//!
//! However many look, each value is rendered once after it has changed. Whoever looks again takes what is newer than
//! what it has seen, by the number of the change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::sync::watch;

use super::request::Message;
use super::value::Value;
use super::{json, packet};

/// The board is written at most this often: nobody is pushed to more often than that.
pub const EVERY: Duration = Duration::from_millis(20);

/// A path and its values.
#[derive(Debug)]
pub struct Entry {
    /// The path.
    pub path: String,
    /// Its values.
    pub values: Vec<Value>,
    /// The number of the change that made them what they are.
    pub change: u64,
    json: OnceLock<String>,
    osc: OnceLock<Bytes>,
}

impl Entry {
    fn new(path: String, values: Vec<Value>, change: u64) -> Entry {
        Entry { path, values, change, json: OnceLock::new(), osc: OnceLock::new() }
    }

    /// As a member of a JSON object: `"path":[values]`.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| {
            let path = serde_json::Value::from(self.path.as_str());
            format!("{path}:{}", json::list(&self.values))
        })
    }

    /// As an OSC message; empty if it is too long for one.
    pub fn osc(&self) -> Bytes {
        let encode = || packet::encode(&[Message::new(self.path.as_str(), self.values.clone())]);
        self.osc.get_or_init(|| encode().unwrap_or_default().into()).clone()
    }
}

/// What is on the board.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Sample time.
    pub time: u64,
    /// The number of the latest change.
    pub change: u64,
    /// The number of the change that brought or took paths the last time.
    pub layout: u64,
    /// Entries, by their paths.
    pub entries: Vec<Arc<Entry>>,
}

impl State {
    /// The entry at a path.
    pub fn get(&self, path: &str) -> Option<&Arc<Entry>> {
        let place = self.entries.binary_search_by(|e| e.path.as_str().cmp(path)).ok()?;
        self.entries.get(place)
    }

    /// This state with other values. What has not changed is shared with it.
    fn followed_by(&self, time: u64, values: BTreeMap<String, Vec<Value>>) -> State {
        let change = self.change + 1;
        let mut layout = self.layout;
        let mut entries = Vec::with_capacity(values.len());
        for (path, values) in values {
            entries.push(match self.get(&path) {
                Some(entry) if entry.values == values => entry.clone(),
                before => {
                    if before.is_none() {
                        layout = change;
                    }
                    Arc::new(Entry::new(path, values, change))
                }
            });
        }
        if entries.len() != self.entries.len() {
            layout = change;
        }
        State { time, change, layout, entries }
    }
}

/// The board itself.
#[derive(Debug)]
pub struct Board {
    state: watch::Sender<Arc<State>>,
    last: Mutex<Arc<State>>,
}

impl Default for Board {
    fn default() -> Self {
        Board { state: watch::Sender::new(Arc::default()), last: Mutex::default() }
    }
}

impl Board {
    /// Looks at the board for as long as the receiver lives; the first sight may be an old one.
    pub fn look(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// Whether anybody looks, and the last writing (at `last`) was long enough ago.
    pub fn is_due(&self, last: Instant, now: Instant) -> bool {
        self.state.receiver_count() > 0 && now.saturating_duration_since(last) >= EVERY
    }

    /// Writes what is there at sample time `time`.
    pub fn write(&self, time: u64, values: BTreeMap<String, Vec<Value>>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let state = Arc::new(last.followed_by(time, values));
        *last = state.clone();
        self.state.send_replace(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(all: &[(&str, i64)]) -> BTreeMap<String, Vec<Value>> {
        all.iter().map(|(path, value)| (path.to_string(), vec![Value::Int(*value)])).collect()
    }

    #[test]
    fn what_has_not_changed_is_shared_and_rendered_once() {
        let first = State::default().followed_by(1, values(&[("/a", 1), ("/b", 2)]));
        let second = first.followed_by(2, values(&[("/a", 1), ("/b", 3)]));
        assert!(Arc::ptr_eq(first.get("/a").unwrap(), second.get("/a").unwrap()));
        assert_eq!((second.get("/a").unwrap().change, second.get("/b").unwrap().change), (1, 2));
        assert_eq!((first.layout, second.layout), (1, 1), "the paths are the same");
        assert_eq!(second.get("/b").unwrap().json(), "\"/b\":[3]");
        let text = second.get("/b").unwrap().json().as_ptr();
        assert_eq!(second.get("/b").unwrap().json().as_ptr(), text, "rendered once");
        for other in [values(&[("/a", 1)]), values(&[("/a", 1), ("/c", 3)]), values(&[("/a", 1), ("/b", 3), ("/c", 1)])]
        {
            assert_eq!(second.followed_by(3, other).layout, 3);
        }
        assert!(second.get("/c").is_none());
    }
}
