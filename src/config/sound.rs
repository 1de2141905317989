//! Sound quality settings: limiter and interpolation.

use serde::{Deserialize, Serialize};

use crate::dsp::sinc::Quality;
use crate::engine::limiter::Kind;

/// Limiter that keeps the outputs below −0.3 dBFS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limiter {
    /// Reduces the gain ahead of each peak; 1.5 ms of delay, no distortion.
    #[default]
    LookAhead,
    /// Soft-clips above −3 dBFS; no delay.
    Soft,
}

impl Limiter {
    /// Returns the engine's limiter kind.
    pub fn kind(self) -> Kind {
        match self {
            Limiter::LookAhead => Kind::LookAhead,
            Limiter::Soft => Kind::Soft,
        }
    }
}

/// Quality of interpolation for sound that is not at the card's rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Accurate up to 16.5 kHz for a file at 44.1 kHz.
    #[default]
    Standard,
    /// Accurate up to 20 kHz, at more than twice the cost.
    Fine,
}

impl Interpolation {
    /// Returns the engine's interpolation quality.
    pub fn quality(self) -> Quality {
        match self {
            Interpolation::Standard => Quality::Standard,
            Interpolation::Fine => Quality::Fine,
        }
    }
}
