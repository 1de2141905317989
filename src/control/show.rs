//! A show as it is kept: what is loaded and playing, and how everything is set. Presets and the state are shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::vocabulary::deck_name;
use crate::engine::DECKS;

/// The form these files have; a file of another one is refused.
pub const FORM: u32 = 1;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// [`FORM`].
    pub form: u32,
    /// Tempo in BPM.
    pub tempo: f64,
    /// Tempo at which stems play at their own speed.
    pub base_tempo: f64,
    /// Beats per bar.
    pub meter: i64,
    /// Master gain.
    pub master: f64,
    /// The crossfader's position.
    pub crossfade: f64,
    /// Its curve.
    pub curve: String,
    /// Decks A to D.
    pub decks: Vec<Deck>,
    /// What is loaded.
    pub stems: Vec<Stem>,
    /// How the voices are set, where that is told: addresses with values; all else of them is as at first.
    #[serde(default)]
    pub controls: Option<BTreeMap<String, Vec<serde_json::Value>>>,
    /// What MIDI controllers are mapped to, where that is told.
    #[serde(default)]
    pub learned: Option<Vec<Learned>>,
}

/// A deck's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deck {
    /// Level.
    pub level: f64,
    /// Gains of low, mid and high.
    pub gains: [f64; 3],
    /// How its tempo is changed, if that is told.
    #[serde(default)]
    pub stretch: Option<String>,
    /// How far it follows the clock, if that is told.
    #[serde(default)]
    pub sync: Option<String>,
    /// Its own tempo, if it was told one.
    #[serde(default)]
    pub bpm: Option<f64>,
    /// Change of key in semitones.
    #[serde(default)]
    pub key: f64,
    /// Whether formants stay where they are then.
    #[serde(default)]
    pub formants: bool,
}

/// A MIDI controller that moves a control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// `midi/CHANNEL/CONTROLLER`.
    pub source: String,
    /// The control.
    pub target: String,
    /// Where the controller is at 0.
    pub low: f64,
    /// Where it is at 127.
    pub high: f64,
}

/// A loaded stem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its file, as it was asked for.
    pub path: String,
    /// Rate.
    pub rate: f64,
    /// Volume.
    pub volume: f64,
    /// Whether it repeats.
    #[serde(rename = "loop")]
    pub looped: bool,
    /// Seconds of it that are played; 0 is all.
    pub seconds: f64,
    /// Whether it plays.
    pub playing: bool,
    /// Where it is, as a fraction of the file.
    pub position: f64,
}

impl Show {
    /// Reads a show; an error says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Show, String> {
        let show: Show = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if show.form != FORM {
            return Err(format!("it has form {}; this version reads form {FORM}", show.form));
        }
        if show.decks.len() != DECKS {
            return Err(format!("it has {} decks; {DECKS} would be right", show.decks.len()));
        }
        Ok(show)
    }

    /// As it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Its settings as calls: (address, values).
    pub fn settings(&self) -> Vec<(String, Vec<super::value::Value>)> {
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
