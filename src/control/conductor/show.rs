//! File format of presets and of the saved state: loaded stems and all settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::commands::fault::Fault;
use crate::control::commands::vocabulary::deck_name;
use crate::engine::DECKS;
use crate::plans::score::Wishes;
use crate::sets::mix::Mix;
use crate::sets::order::Order;

/// Version of the file format; files of another version are rejected.
pub const FORM: u32 = 1;

/// Content of a preset or of the saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Version of the file format, [`FORM`].
    pub form: u32,
    /// Tempo in BPM.
    pub tempo: f64,
    /// Base tempo in BPM, at which stems play at their original speed.
    pub base_tempo: f64,
    /// Beats per bar.
    pub meter: i64,
    /// Master gain (linear).
    pub master: f64,
    /// Position of the crossfader, 0 to 1.
    pub crossfade: f64,
    /// Curve of the crossfader.
    pub curve: String,
    /// Decks A to D.
    pub decks: Vec<Deck>,
    /// Loaded stems.
    pub stems: Vec<Stem>,
    /// Settings of the voices, if saved: addresses with values. Voice controls not listed have their initial values.
    #[serde(default)]
    pub controls: Option<BTreeMap<String, Vec<serde_json::Value>>>,
    /// Mappings of MIDI controllers, if saved.
    #[serde(default)]
    pub learned: Option<Vec<Learned>>,
    /// The plan that plays, if one does. Its stems and the settings of its decks are not saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<SavedPlan>,
    /// The set that plays, if one does. As with a plan, its stems and the settings of its decks are not saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SavedSet>,
}

/// A set that plays, and the place to go on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSet {
    /// Path of its table, as requested.
    pub path: String,
    /// Order of its tracks.
    pub order: Order,
    /// Seed of random orders.
    pub seed: u64,
    /// Way of mixing.
    pub mix: Mix,
    /// Lines of the table that were played; the last one is playing.
    pub played: Vec<usize>,
    /// Whole bars of that track that have passed, in beats.
    pub beats: f64,
    /// True if the track is held.
    pub held: bool,
}

/// A plan that plays, and the place to go on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// Path of the plan, as requested.
    pub path: String,
    /// Requested way of playing it.
    pub wishes: Wishes,
    /// First and last section that are played, from 0.
    pub first: usize,
    /// See `first`.
    pub last: usize,
    /// True if they are repeated.
    pub looped: bool,
    /// True if the present section is repeated.
    pub held: bool,
    /// Fade in beats, if it was set.
    pub fade: Option<f64>,
    /// The present section, from 0.
    pub section: usize,
    /// Its key.
    pub key: String,
    /// The present bar of it, from 1.
    pub bar: f64,
    /// Beats that stems had played before the section began.
    pub offsets: BTreeMap<String, f64>,
    /// Number of its stems that were missing.
    pub missing: usize,
}

/// Settings of a deck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deck {
    /// Level (linear gain).
    pub level: f64,
    /// Equaliser gains of low, mid and high.
    pub gains: [f64; 3],
    /// Stretch method, if saved.
    #[serde(default)]
    pub stretch: Option<String>,
    /// Synchronisation with the clock, if saved.
    #[serde(default)]
    pub sync: Option<String>,
    /// The deck's own tempo in BPM, if it was set.
    #[serde(default)]
    pub bpm: Option<f64>,
    /// Change of key in semitones.
    #[serde(default)]
    pub key: f64,
    /// Whether formants are preserved when the key is changed.
    #[serde(default)]
    pub formants: bool,
}

/// A MIDI controller that moves a control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// The controller, as `midi/CHANNEL/CONTROLLER`.
    pub source: String,
    /// Address of the control.
    pub target: String,
    /// Value of the control for controller value 0.
    pub low: f64,
    /// Value of the control for controller value 127.
    pub high: f64,
}

/// A loaded stem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Buffer number.
    pub id: i64,
    /// Name of the stem.
    pub name: String,
    /// Path of the file, as requested.
    pub path: String,
    /// Playback rate (1: original speed).
    pub rate: f64,
    /// Volume (linear gain).
    pub volume: f64,
    /// Whether the stem loops.
    #[serde(rename = "loop")]
    pub looped: bool,
    /// Length of the part that is played, in seconds; 0 for the whole file.
    pub seconds: f64,
    /// Whether the stem is playing.
    pub playing: bool,
    /// Playhead position as a fraction of the file.
    pub position: f64,
}

impl Show {
    /// Parses a show.
    ///
    /// # Errors
    /// If the JSON is invalid, the format's version is not [`FORM`], or the number of decks is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Show, String> {
        let show: Show = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if show.form != FORM {
            return Err(format!("unsupported form {}: expected {FORM}", show.form));
        }
        if show.decks.len() != DECKS {
            return Err(format!("it has {} decks: expected {DECKS}", show.decks.len()));
        }
        Ok(show)
    }

    /// Returns the content of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Returns the settings of tempo, mixer and decks as calls: (address, values).
    pub fn settings(&self) -> Vec<(String, Vec<crate::control::commands::value::Value>)> {
        let mut calls = vec![
            ("/groove/base_tempo".to_string(), vec![self.base_tempo.into()]),
            ("/groove/tempo".into(), vec![self.tempo.into()]),
            ("/groove/meter".into(), vec![self.meter.into()]),
            ("/groove/master".into(), vec![self.master.into()]),
            ("/groove/crossfade".into(), vec![self.crossfade.into(), self.curve.as_str().into()]),
        ];
        for (k, deck) in self.decks.iter().enumerate() {
            let deck_path = format!("/groove/deck/{}", deck_name(k));
            calls.push((format!("{deck_path}/level"), vec![deck.level.into()]));
            for (band, gain) in ["low", "mid", "high"].iter().zip(deck.gains) {
                calls.push((format!("{deck_path}/gain/{band}"), vec![gain.into()]));
            }
            let words = [("stretch", &deck.stretch), ("sync", &deck.sync)];
            for (what, word) in words.into_iter().filter_map(|(what, w)| Some((what, w.as_ref()?))) {
                calls.push((format!("{deck_path}/{what}"), vec![word.as_str().into()]));
            }
            calls.push((format!("{deck_path}/key"), vec![deck.key.into()]));
            calls.push((format!("{deck_path}/formants"), vec![i64::from(deck.formants).into()]));
            calls.push(match deck.bpm {
                Some(bpm) => (format!("{deck_path}/bpm"), vec![bpm.into()]),
                None => (format!("{deck_path}/bpm/forget"), vec![]),
            });
        }
        calls
    }
}

/// Checks that a name is one that a file may have: it can lead nowhere else.
///
/// # Errors
/// If it is not.
pub fn plain_name(name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        let expected = "up to 64 letters, digits, spaces, dots, - and _, with no dot first";
        return Err(Fault::argument("name", format!("{name:?}"), expected));
    }
    Ok(())
}

/// The file of a preset.
///
/// # Errors
/// As [`plain_name`].
pub fn preset_file(name: &str) -> Result<String, Fault> {
    plain_name(name).map(|()| format!("presets/{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_presets_stay_in_their_folder() {
        assert_eq!(preset_file("Opening 2.b"), Ok("presets/Opening 2.b.json".into()));
        for name in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "x\0", &"x".repeat(65)] {
            assert!(preset_file(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_show_is_told_so() {
        assert!(Show::parse(b"").is_err());
        assert!(Show::parse(b"{\"form\":1}").unwrap_err().contains("missing field"));
    }
}
