//! Snapshots of the current state: paths with values, written by the conductor while there are receivers.
//!
//! Each value is encoded once after it has changed, regardless of the number of receivers. Changes are numbered, so
//! that a receiver can select the values that are newer than its last snapshot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::sync::watch;

use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::{json, packet};

/// Minimum interval between snapshots, and therefore between pushes of states.
pub const EVERY: Duration = Duration::from_millis(20);

/// A path and its values.
#[derive(Debug)]
pub struct Entry {
    /// The path.
    pub path: String,
    /// The current values.
    pub values: Vec<Value>,
    /// Number of the change that set the current values.
    pub change: u64,
    json: OnceLock<String>,
    osc: OnceLock<Bytes>,
}

impl Entry {
    fn new(path: String, values: Vec<Value>, change: u64) -> Entry {
        Entry { path, values, change, json: OnceLock::new(), osc: OnceLock::new() }
    }

    /// Returns the entry as a member of a JSON object: `"path":[values]`.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| {
            let path = serde_json::Value::from(self.path.as_str());
            format!("{path}:{}", json::list(&self.values))
        })
    }

    /// Returns the entry as an OSC message; empty if it cannot be encoded.
    pub fn osc(&self) -> Bytes {
        let encode = || packet::encode(&[Message::new(self.path.as_str(), self.values.clone())]);
        self.osc.get_or_init(|| encode().unwrap_or_default().into()).clone()
    }
}

/// A snapshot.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Sample time in frames.
    pub time: u64,
    /// Number of the latest change.
    pub change: u64,
    /// Number of the latest change that added or removed paths.
    pub layout: u64,
    /// Entries, sorted by path.
    pub entries: Vec<Arc<Entry>>,
}

impl State {
    /// Returns the entry at `path`.
    pub fn get(&self, path: &str) -> Option<&Arc<Entry>> {
        let place = self.entries.binary_search_by(|e| e.path.as_str().cmp(path)).ok()?;
        self.entries.get(place)
    }

    /// Returns the next snapshot, with the given values. Unchanged entries are shared.
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

/// Publisher of snapshots.
#[derive(Debug)]
pub struct StateSnapshot {
    state: watch::Sender<Arc<State>>,
    last: Mutex<Arc<State>>,
}

impl Default for StateSnapshot {
    fn default() -> Self {
        StateSnapshot { state: watch::Sender::new(Arc::default()), last: Mutex::default() }
    }
}

impl StateSnapshot {
    /// Returns a receiver of snapshots; its first one may be stale. Snapshots are written while a receiver exists.
    pub fn look(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// Returns whether there is a receiver and the last snapshot, written at `last`, is at least [`EVERY`] old.
    pub fn is_due(&self, last: Instant, now: Instant) -> bool {
        self.state.receiver_count() > 0 && now.saturating_duration_since(last) >= EVERY
    }

    /// Publishes a snapshot of `values` at sample time `time`.
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
