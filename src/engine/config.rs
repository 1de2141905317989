//! The engine's configuration.

use super::DECKS;
use super::limiter::Kind;
use crate::dsp::sinc::Quality;

/// The engine's configuration; fixed for its lifetime.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Output frames per second.
    pub sample_rate: u32,
    /// Maximum number of stems loaded at once.
    pub slots: usize,
    /// Number of output channel pairs.
    pub pairs: usize,
    /// Index of the output pair each deck is routed to.
    pub deck_pair: [usize; DECKS],
    /// Crossover frequencies of the equaliser, in Hz.
    pub eq_hz: [f64; 2],
    /// The limiter that keeps the outputs below their ceiling.
    pub limiter: Kind,
    /// Interpolation quality.
    pub interpolation: Quality,
    /// Initial master gain (linear).
    pub master: f32,
    /// Initial deck levels (linear).
    pub levels: [f32; DECKS],
    /// Initial tempo in BPM, which is also the tempo at which stems play at their own speed.
    pub bpm: f64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            sample_rate: 48_000,
            slots: 64,
            pairs: 1,
            deck_pair: [0; DECKS],
            eq_hz: [200.0, 2_000.0],
            limiter: Kind::default(),
            interpolation: Quality::default(),
            master: 1.0,
            levels: [1.0; DECKS],
            bpm: 120.0,
        }
    }
}
