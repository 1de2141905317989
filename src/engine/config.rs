//! What an engine is built for.

use super::DECKS;
use super::limiter::Kind;
use crate::dsp::sinc::Quality;

/// What an engine is built for; fixed for its lifetime.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Output frames per second.
    pub sample_rate: u32,
    /// Most stems loaded at once.
    pub slots: usize,
    /// Pairs of output channels.
    pub pairs: usize,
    /// The pair each deck goes to.
    pub deck_pair: [usize; DECKS],
    /// Crossovers of the equaliser, in Hz.
    pub eq_hz: [f64; 2],
    /// What keeps the outputs under their ceiling.
    pub limiter: Kind,
    /// How well sound is interpolated.
    pub interpolation: Quality,
    /// Master gain at the start (linear).
    pub master: f32,
    /// Deck levels at the start (linear).
    pub levels: [f32; DECKS],
    /// Tempo at the start, which is also the one at which stems play at their own speed.
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
