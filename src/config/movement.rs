//! `[movement]` and `[[map]]`: control of tempo and other controls by the movement of a dancing crowd.

use serde::{Deserialize, Serialize};

use crate::control::conductor::mapping::Map as ControlMap;
use crate::control::table;
use crate::engine::clock::Shape;
use crate::movement::crowd::CrowdSettings;
use crate::movement::curve::Curve;
use crate::movement::value;
use crate::movement::window::Kind;

/// Section `[movement]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Movement {
    /// Whether movement controls the tempo.
    pub tempo: bool,
    /// Measurement that controls the tempo.
    pub source: String,
    /// Step curve: `(movement, BPM)` pairs, each valid from its movement on.
    pub steps: Vec<(f64, f64)>,
    /// Linear curve above the last step: `(movement, BPM)` pairs.
    pub line: Vec<(f64, f64)>,
    /// Hysteresis of the thresholds, in units of movement, 0 to 1.
    pub hysteresis: f64,
    /// Length of the averaging window in seconds, 0 to 60.
    pub window_s: f64,
    /// Average over the window: `mean` or `median`.
    pub window: String,
    /// Length of a glide to another tempo in seconds, 0 to 3600.
    pub glide_s: f64,
    /// Shape of a glide: `linear` or `exponential`.
    pub glide: String,
    /// Seconds without a message, 1 to 86400, after which the tempo drifts back to the base tempo.
    pub hold_s: f64,
    /// Length of the drift back to the base tempo in seconds, 0 to 3600.
    pub drift_s: f64,
    /// Seconds, 0 to 86400, for which a tempo set by hand takes precedence. `None`: 60 for `/groove/tempo` and 0 for
    /// `/set_tempo`, which then wins until the next message of movement, as in the older server.
    pub manual_s: Option<f64>,
}

impl Default for Movement {
    fn default() -> Self {
        let settings = CrowdSettings::default();
        Movement {
            tempo: settings.enabled,
            source: settings.source,
            steps: settings.curve.steps,
            line: settings.curve.line,
            hysteresis: settings.hysteresis,
            window_s: settings.window_s,
            window: "mean".into(),
            glide_s: settings.glide_s,
            glide: "linear".into(),
            hold_s: settings.hold_s,
            drift_s: settings.drift_s,
            manual_s: None,
        }
    }
}

impl Movement {
    fn curve(&self) -> Curve {
        Curve { steps: self.steps.clone(), line: self.line.clone() }
    }

    /// Returns the settings of the crowd module.
    pub fn settings(&self) -> CrowdSettings {
        let defaults = CrowdSettings::default();
        CrowdSettings {
            enabled: self.tempo,
            source: value::part(&self.source).into(),
            curve: self.curve(),
            hysteresis: self.hysteresis,
            window_s: self.window_s,
            window: if self.window == "median" { Kind::Median } else { Kind::Mean },
            glide_s: self.glide_s,
            glide: if self.glide == "exponential" { Shape::Exponential } else { Shape::Linear },
            hold_s: self.hold_s,
            drift_s: self.drift_s,
            manual_s: self.manual_s.unwrap_or(defaults.manual_s),
            older_manual_s: self.manual_s.unwrap_or(defaults.older_manual_s),
        }
    }

    /// Checks all values. An error is the key and a message with the expected value.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        self.curve()
            .check(20.0..=400.0)
            .map_err(|(list, what)| (if list == "steps" { "movement.steps" } else { "movement.line" }, what))?;
        super::range("movement.hysteresis", self.hysteresis, 0.0, 1.0)?;
        super::range("movement.window_s", self.window_s, 0.0, 60.0)?;
        super::range("movement.glide_s", self.glide_s, 0.0, 3_600.0)?;
        super::range("movement.hold_s", self.hold_s, 1.0, 86_400.0)?;
        super::range("movement.drift_s", self.drift_s, 0.0, 3_600.0)?;
        super::range("movement.manual_s", self.manual_s.unwrap_or(0.0), 0.0, 86_400.0)?;
        if !["mean", "median"].contains(&self.window.as_str()) {
            return Err(("movement.window", format!("\"{}\" must be \"mean\" or \"median\"", self.window)));
        }
        if !["linear", "exponential"].contains(&self.glide.as_str()) {
            return Err(("movement.glide", format!("\"{}\" must be \"linear\" or \"exponential\"", self.glide)));
        }
        Ok(())
    }
}

/// Section `[[map]]`: a mapping from a measurement to a control.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Name of the measurement, or `midi/CONTROLLER` or `midi/CHANNEL/CONTROLLER`.
    pub source: String,
    /// Path of the control.
    pub target: String,
    /// Step curve: `(value, result)` pairs, each valid from its value on.
    #[serde(default)]
    pub steps: Vec<(f64, f64)>,
    /// Linear curve above the last step: `(value, result)` pairs.
    #[serde(default)]
    pub line: Vec<(f64, f64)>,
    /// Length of the averaging window in seconds, 0 to 60; not used for MIDI.
    #[serde(default = "one")]
    pub window_s: f64,
}

fn one() -> f64 {
    1.0
}

impl Map {
    /// Returns the mapping in the conductor's form.
    pub fn as_control(&self) -> ControlMap {
        ControlMap {
            source: value::part(&self.source).into(),
            target: self.target.clone(),
            curve: Curve { steps: self.steps.clone(), line: self.line.clone() },
            // MIDI controllers are not averaged, because no message follows their last movement.
            window_s: if self.source.starts_with("midi/") { 0.0 } else { self.window_s },
        }
    }

    /// Checks all values. An error is the key and a message with the expected value.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let map = self.as_control();
        map.curve
            .check(-1e6..=1e6)
            .map_err(|(list, what)| (if list == "steps" { "map.steps" } else { "map.line" }, what))?;
        super::range("map.window_s", self.window_s, 0.0, 60.0)?;
        if let Some(controller) = self.source.strip_prefix("midi/") {
            let numbers: Vec<Option<u8>> = controller.split('/').map(|part| part.parse().ok()).collect();
            if !matches!(numbers[..], [Some(..=127)] | [Some(1..=16), Some(..=127)]) {
                let right = "expected \"midi/74\", or \"midi/2/74\" for channel 2 only";
                return Err(("map.source", format!("\"{}\" is not a controller; {right}", self.source)));
            }
        }
        map.check(&table::vocabulary(false)).map_err(|what| ("map.target", what))
    }
}
