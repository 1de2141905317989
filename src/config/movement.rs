//! `[movement]` and `[[map]]`: what a dancing crowd does.

use serde::{Deserialize, Serialize};

use crate::control::conductor::mapping::Map as ControlMap;
use crate::control::table;
use crate::engine::clock::Shape;
use crate::movement::crowd::Settings;
use crate::movement::curve::Curve;
use crate::movement::value;
use crate::movement::window::Kind;

/// `[movement]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Movement {
    /// Whether movement steers the tempo.
    pub tempo: bool,
    /// The measurement that does.
    pub source: String,
    /// Tempo from a movement on: [movement, BPM] pairs.
    pub steps: Vec<(f64, f64)>,
    /// Tempo in straight lines between [movement, BPM] pairs, behind the steps.
    pub line: Vec<(f64, f64)>,
    /// How far below a threshold movement must fall to count as below.
    pub hysteresis: f64,
    /// Seconds over which messages are put together.
    pub window_s: f64,
    /// "mean" or "median" of them.
    pub window: String,
    /// Seconds a glide to another tempo takes.
    pub glide_s: f64,
    /// "linear" or "exponential".
    pub glide: String,
    /// Seconds without a message until the tempo drifts back to the base tempo.
    pub hold_s: f64,
    /// Seconds that takes.
    pub drift_s: f64,
    /// Seconds for which a tempo set by hand wins. Left out, these are 60 for `/groove/tempo` and 0 for `/set_tempo`, which
    /// then wins until the next message of movement, as in the older server.
    pub manual_s: Option<f64>,
}

impl Default for Movement {
    fn default() -> Self {
        let settings = Settings::default();
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

    /// As the crowd's own settings.
    pub fn settings(&self) -> Settings {
        let defaults = Settings::default();
        Settings {
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

    /// Tells which key is wrong, and what would be right.
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
            return Err(("movement.window", format!("\"{}\": \"mean\" or \"median\" would be right", self.window)));
        }
        if !["linear", "exponential"].contains(&self.glide.as_str()) {
            return Err((
                "movement.glide",
                format!("\"{}\": \"linear\" or \"exponential\" would be right", self.glide),
            ));
        }
        Ok(())
    }
}

/// `[[map]]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The measurement.
    pub source: String,
    /// The control it steers.
    pub target: String,
    /// Results from a value on.
    #[serde(default)]
    pub steps: Vec<(f64, f64)>,
    /// Results in straight lines between values, behind the steps.
    #[serde(default)]
    pub line: Vec<(f64, f64)>,
    /// Seconds over which measurements are put together.
    #[serde(default = "one")]
    pub window_s: f64,
}

fn one() -> f64 {
    1.0
}

impl Map {
    /// As the conductor takes it.
    pub fn as_control(&self) -> ControlMap {
        ControlMap {
            source: value::part(&self.source).into(),
            target: self.target.clone(),
            curve: Curve { steps: self.steps.clone(), line: self.line.clone() },
            // A hand is followed, not averaged: no message comes after its last one.
            window_s: if self.source.starts_with("midi/") { 0.0 } else { self.window_s },
        }
    }

    /// Tells what is wrong, and what would be right.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let map = self.as_control();
        map.curve
            .check(-1e6..=1e6)
            .map_err(|(list, what)| (if list == "steps" { "map.steps" } else { "map.line" }, what))?;
        super::range("map.window_s", self.window_s, 0.0, 60.0)?;
        if let Some(controller) = self.source.strip_prefix("midi/") {
            let numbers: Vec<Option<u8>> = controller.split('/').map(|part| part.parse().ok()).collect();
            if !matches!(numbers[..], [Some(..=127)] | [Some(1..=16), Some(..=127)]) {
                let right = "\"midi/74\", or \"midi/2/74\" of channel 2 alone, would be right";
                return Err(("map.source", format!("\"{}\" is no controller; {right}", self.source)));
            }
        }
        map.check(&table::vocabulary(false)).map_err(|what| ("map.target", what))
    }
}
