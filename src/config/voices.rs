//! `[voices]` and `[midi]`: instruments on the speakers, and what plays them.

use serde::{Deserialize, Serialize};

/// `[voices]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Voices {
    /// Voices that can sound at the same time; 0: none.
    pub polyphony: usize,
    /// The instrument at first; empty: that of `[ddsp]`.
    pub instrument: String,
    /// The pair of output channels they are heard on.
    pub pair: usize,
    /// Milliseconds by which they are made ahead, beyond the period.
    pub ahead_ms: f64,
}

impl Default for Voices {
    fn default() -> Self {
        Voices { polyphony: 8, instrument: String::new(), pair: 0, ahead_ms: 9.0 }
    }
}

impl Voices {
    /// Tells which key is wrong, and what would be right.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        super::range("voices.polyphony", self.polyphony, 0, 32)?;
        super::range("voices.pair", self.pair, 0, 3)?;
        super::range("voices.ahead_ms", self.ahead_ms, 4.0, 200.0)
    }
}

/// `[midi]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Midi {
    /// Whether MIDI is listened to.
    pub enabled: bool,
    /// Parts of the names of devices that are connected to as they appear; empty: all.
    pub devices: Vec<String>,
}

impl Default for Midi {
    fn default() -> Self {
        Midi { enabled: true, devices: Vec::new() }
    }
}
