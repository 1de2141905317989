//! Everything as it is now: paths with values, put up by the conductor as often as anybody looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::value::Value;

/// The board is written anew at most this often: nobody is pushed to more often than that.
pub const EVERY: Duration = Duration::from_millis(20);

/// What is on the board.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Sample time.
    pub time: u64,
    /// Values by path.
    pub values: BTreeMap<String, Vec<Value>>,
}

/// See the module's text.
#[derive(Debug)]
pub struct Board {
    state: watch::Sender<Arc<State>>,
}

impl Default for Board {
    fn default() -> Self {
        Board { state: watch::Sender::new(Arc::default()) }
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

    /// Writes it anew.
    pub fn write(&self, state: State) {
        self.state.send_replace(Arc::new(state));
    }
}
