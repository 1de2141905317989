//! The decks' reserves and the crowd, as others may see them at any time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::DECKS;

/// A number that one writes and many read.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Writes it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Reads it.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// The reserve of one deck.
#[derive(Debug, Default)]
pub struct Reserve {
    /// Seconds that are ready.
    pub ready: Number,
    /// Seconds that should be.
    pub target: Number,
    /// Share of real time its work takes.
    pub cost: Number,
    /// Whether its sound is heard.
    pub heard: Number,
    /// How often it ran dry.
    pub underruns: AtomicU64,
}

/// See the module's text; written by the conductor.
#[derive(Debug, Default)]
pub struct PaceBoard {
    /// By deck.
    pub reserves: [Reserve; DECKS],
    /// The latest measurement of movement.
    pub movement: Number,
    /// The same over the window.
    pub smoothed: Number,
    /// Where it leads the tempo, in BPM.
    pub target: Number,
    /// Measurements that were nonsense.
    pub refused: AtomicU64,
}
