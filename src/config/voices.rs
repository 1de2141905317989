//! `[voices]` and `[midi]`: instrument voices in the mix, and MIDI input.

use serde::{Deserialize, Serialize};

/// Section `[voices]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Voices {
    /// Maximum number of simultaneous voices, 1 to 32; 0 disables them.
    pub polyphony: usize,
    /// Initial instrument. Empty: that of `[ddsp]`.
    pub instrument: String,
    /// Output channel pair, 0 to 3.
    pub pair: usize,
    /// Time by which voices are rendered ahead, beyond one period, in milliseconds, 4 to 200.
    pub ahead_ms: f64,
}

impl Default for Voices {
    fn default() -> Self {
        Voices { polyphony: 8, instrument: String::new(), pair: 0, ahead_ms: 9.0 }
    }
}

impl Voices {
    /// Checks all values. An error is the key and a message with the expected value.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        super::range("voices.polyphony", self.polyphony, 0, 32)?;
        super::range("voices.pair", self.pair, 0, 3)?;
        super::range("voices.ahead_ms", self.ahead_ms, 4.0, 200.0)
    }
}

/// Section `[midi]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Midi {
    /// Whether MIDI input is enabled.
    pub enabled: bool,
    /// Substrings of the names of devices to connect to as they appear. Empty: all devices.
    pub devices: Vec<String>,
}

impl Default for Midi {
    fn default() -> Self {
        Midi { enabled: true, devices: Vec::new() }
    }
}
