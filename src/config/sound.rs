//! Choices between better sound and less work.

use serde::{Deserialize, Serialize};

use crate::dsp::sinc::Quality;
use crate::engine::limiter::Kind;

/// What keeps the outputs under −0.3 dBFS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limiter {
    /// Turns the gain down in time for each peak; 1.5 ms of delay, no distortion.
    #[default]
    LookAhead,
    /// Bends what goes beyond −3 dBFS; no delay.
    Soft,
}

impl Limiter {
    /// The same for the engine.
    pub fn kind(self) -> Kind {
        match self {
            Limiter::LookAhead => Kind::LookAhead,
            Limiter::Soft => Kind::Soft,
        }
    }
}

/// How sound at another rate than the card's is interpolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Right up to 16.5 kHz of a file at 44.1 kHz.
    #[default]
    Standard,
    /// Right up to 20 kHz, at more than twice the cost.
    Fine,
}

impl Interpolation {
    /// The same for the engine.
    pub fn quality(self) -> Quality {
        match self {
            Interpolation::Standard => Quality::Standard,
            Interpolation::Fine => Quality::Fine,
        }
    }
}
