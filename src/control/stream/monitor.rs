//! A client's sound on the speakers, if the configuration allows it.
//!
//! Its frames would drift against the card, so they are not what is heard: everything the client says is played a
//! second time, by the voices' worker, on the card's own clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ddsp::guest::Guest;
use crate::ddsp::stream::{Stream, Update};
use crate::ddsp::voice::Voice;

/// The way to the speakers.
pub struct Monitor {
    /// Frames a second there.
    pub rate: u32,
    places: Arc<Semaphore>,
    tell: Box<dyn Fn(u64, Guest) + Send + Sync>,
    count: AtomicU64,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Monitor {
    /// For at most `clients` at a time; what they play is told to the voices' worker.
    pub fn new(rate: u32, clients: usize, tell: impl Fn(u64, Guest) + Send + Sync + 'static) -> Monitor {
        Monitor { rate, places: Arc::new(Semaphore::new(clients)), tell: Box::new(tell), count: AtomicU64::new(1) }
    }

    /// A seat, if one is free.
    pub fn seat(self: &Arc<Monitor>) -> Option<Seat> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(Seat { monitor: self.clone(), number: self.count.fetch_add(1, Relaxed), _permit: permit })
    }
}

/// A client that is heard, until this is dropped.
pub struct Seat {
    monitor: Arc<Monitor>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    /// Frames a second of the speakers.
    pub fn rate(&self) -> u32 {
        self.monitor.rate
    }

    /// What sounds from now on.
    pub fn begin(&self, stream: Stream) {
        (self.monitor.tell)(self.number, Guest::Comes(Box::new(stream)));
    }

    /// A change of it.
    pub fn update(&self, update: Update, after: f64) {
        (self.monitor.tell)(self.number, Guest::Says(update, after));
    }

    /// Another instrument.
    pub fn swap(&self, voices: Vec<Voice>) {
        (self.monitor.tell)(self.number, Guest::Swaps(voices));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        (self.monitor.tell)(self.number, Guest::Goes);
    }
}
