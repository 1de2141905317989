//! How the tracks of a set are mixed, and how many of them are played.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Curve of a fade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// Constant power.
    #[default]
    Power,
    /// Constant amplitude.
    Linear,
    /// The one that goes stops where the other begins.
    Cut,
}

/// Grid on which a track begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// The beat of the other that is nearest to its cue.
    #[default]
    Beat,
    /// The bar of the other that is nearest to its cue.
    Bar,
    /// The cue itself.
    None,
}

impl Curve {
    /// All curves and their names.
    pub const NAMES: [(&str, Curve); 3] = [("power", Curve::Power), ("linear", Curve::Linear), ("cut", Curve::Cut)];

    /// Returns the gains of the track that goes and of the one that comes after a share of the fade, 0 to 1.
    pub fn gains(self, share: f64) -> (f64, f64) {
        match self {
            // Exactly one and zero at the end.
            _ if share >= 1.0 => (0.0, 1.0),
            Curve::Power => {
                let angle = std::f64::consts::FRAC_PI_2 * share;
                (angle.cos(), angle.sin())
            }
            Curve::Linear => (1.0 - share, share),
            Curve::Cut => (0.0, 1.0),
        }
    }
}

impl Align {
    /// All kinds and their names.
    pub const NAMES: [(&str, Align); 3] = [("beat", Align::Beat), ("bar", Align::Bar), ("none", Align::None)];

    /// Returns a number of beats moved to the grid; at least one step of it.
    pub fn snapped(self, beats: f64, meter: f64) -> f64 {
        match self {
            Align::Beat => beats.round().max(1.0),
            Align::Bar => ((beats / meter).round() * meter).max(meter),
            Align::None => beats.max(0.1),
        }
    }
}

/// Returns the value of a name.
fn named<T: Copy>(names: &[(&str, T)], text: &str, what: &str) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("'{text}' is not {what}: expected one of {}", names.join(", "))
    })
}

impl FromStr for Curve {
    type Err = String;

    fn from_str(text: &str) -> Result<Curve, String> {
        named(&Curve::NAMES, text, "a curve")
    }
}

impl FromStr for Align {
    type Err = String;

    fn from_str(text: &str) -> Result<Align, String> {
        named(&Align::NAMES, text, "an alignment")
    }
}

/// How the tracks of a set are mixed, and how many of them are played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Number of tracks after which it ends.
    pub limit: Option<usize>,
    /// Minutes after which no other track begins.
    pub minutes: Option<f64>,
    /// Whether it begins again after the last track.
    pub again: bool,
    /// Number of decks, 2 to 4.
    pub decks: usize,
    /// Length of all fades in bars, if it is not that of the tracks' windows.
    pub fade: Option<f64>,
    /// Curve of the fades.
    pub curve: Curve,
    /// Whether the low bands change places in the middle of a fade.
    pub swaps_bass: bool,
    /// Grid on which tracks begin.
    pub align: Align,
}

impl Default for Mix {
    fn default() -> Mix {
        Mix {
            limit: None,
            minutes: None,
            again: false,
            decks: 3,
            fade: None,
            curve: Curve::Power,
            swaps_bass: true,
            align: Align::Beat,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_end_exactly_and_keep_their_sums() {
        for (name, curve) in Curve::NAMES {
            assert_eq!(name.parse(), Ok(curve));
            assert_eq!(curve.gains(1.0), (0.0, 1.0), "{name}");
        }
        for share in [0.1, 0.5, 0.9] {
            let (down, up) = Curve::Power.gains(share);
            assert!((down * down + up * up - 1.0).abs() < 1e-12);
            let (down, up) = Curve::Linear.gains(share);
            assert!((down + up - 1.0).abs() < 1e-12);
        }
        assert!("bell".parse::<Curve>().unwrap_err().ends_with("expected one of power, linear, cut"));
    }

    #[test]
    fn cues_move_to_their_grid() {
        assert_eq!([7.4, 0.2].map(|beats| Align::Beat.snapped(beats, 4.0)), [7.0, 1.0]);
        assert_eq!([9.9, 10.1, 0.5].map(|beats| Align::Bar.snapped(beats, 4.0)), [8.0, 12.0, 4.0]);
        assert_eq!(Align::None.snapped(7.41, 4.0), 7.41);
    }
}
