//! Monitoring: playing a client of the DDSP stream on the speakers, if the configuration allows it.
//!
//! The client's frames would drift against the card's clock, so they are not used. Instead, the voice worker renders
//! the client's messages a second time, on the card's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ddsp::guest::MonitorCommand;
use crate::ddsp::stream::{Stream, Update};
use crate::ddsp::voice::Voice;

/// Access to the speakers for clients of the DDSP stream.
pub struct Monitor {
    /// Sample rate of the speakers in Hz.
    pub rate: u32,
    places: Arc<Semaphore>,
    tell: Box<dyn Fn(u64, MonitorCommand) + Send + Sync>,
    count: AtomicU64,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Monitor {
    /// Creates a monitor for at most `clients` at a time; `tell` sends messages to the voice worker.
    pub fn new(rate: u32, clients: usize, tell: impl Fn(u64, MonitorCommand) + Send + Sync + 'static) -> Monitor {
        Monitor { rate, places: Arc::new(Semaphore::new(clients)), tell: Box::new(tell), count: AtomicU64::new(1) }
    }

    /// Reserves a seat; `None` if all are taken.
    pub fn seat(self: &Arc<Monitor>) -> Option<Seat> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(Seat { monitor: self.clone(), number: self.count.fetch_add(1, Relaxed), _permit: permit })
    }
}

/// The right of one client to be monitored; monitoring stops on drop.
pub struct Seat {
    monitor: Arc<Monitor>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    /// Returns the sample rate of the speakers in Hz.
    pub fn rate(&self) -> u32 {
        self.monitor.rate
    }

    /// Starts monitoring `stream`.
    pub fn begin(&self, stream: Stream) {
        (self.monitor.tell)(self.number, MonitorCommand::Start(Box::new(stream)));
    }

    /// Forwards an update of the stream, to be applied in `after` seconds.
    pub fn update(&self, update: Update, after: f64) {
        (self.monitor.tell)(self.number, MonitorCommand::Update(update, after));
    }

    /// Replaces the voices by those of another instrument.
    pub fn swap(&self, voices: Vec<Voice>) {
        (self.monitor.tell)(self.number, MonitorCommand::SetVoices(voices));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        (self.monitor.tell)(self.number, MonitorCommand::Stop);
    }
}
