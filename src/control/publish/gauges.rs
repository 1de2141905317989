//! Gauges of stretch reserves and of movement, readable by any thread.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::DECKS;

/// An atomic `f64`.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Stores a value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Returns the latest value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// Gauges of the stretch reserve of one deck.
#[derive(Debug, Default)]
pub struct Reserve {
    /// Stretched audio that is ready, in seconds.
    pub ready: Number,
    /// Target of the reserve, in seconds.
    pub target: Number,
    /// Processing time of stretching relative to real time.
    pub cost: Number,
    /// Whether the stretched audio is being played: 0 or 1.
    pub heard: Number,
    /// Number of times the reserve ran dry.
    pub underruns: AtomicU64,
}

/// Gauges of all stretch reserves and of movement; written by the conductor.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Stretch reserves by deck.
    pub reserves: [Reserve; DECKS],
    /// The latest measurement of movement.
    pub movement: Number,
    /// Movement averaged over the window.
    pub smoothed: Number,
    /// Target tempo set by movement, in BPM.
    pub target: Number,
    /// Number of invalid measurements.
    pub refused: AtomicU64,
}
