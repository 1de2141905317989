//! What of a plan of the older generator should sound when: its own reading of such plans, independent of grooved's.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sounds::Spec;

/// Beats of a bar.
const BAR: f64 = 4.0;
/// Beats within which a section fades out beneath the next one.
pub const FADE: f64 = 1.0;

/// A part of a section.
#[derive(Clone, Debug)]
pub struct Part {
    pub stem: String,
    /// Path of its sound, below `stems`.
    pub sound: String,
    pub rate: f64,
    pub stretched: bool,
    pub volume: f64,
    /// Length as it is played, in beats.
    pub beats: f64,
    /// Beats after which it begins again.
    pub turn: Option<f64>,
}

impl Part {
    fn is_same_sound(&self, other: &Part) -> bool {
        self.sound == other.sound && self.rate == other.rate && self.stretched == other.stretched
    }
}

/// A section that can be played.
#[derive(Clone, Debug)]
pub struct Section {
    pub key: String,
    pub kind: String,
    pub beats: f64,
    pub parts: Vec<Part>,
}

/// A plan that can be played.
#[derive(Clone, Debug)]
pub struct Score {
    pub bpm: f64,
    pub sections: Vec<Section>,
    /// Number of stems that cannot be played.
    pub missing: usize,
}

/// An uninterrupted run of a part, from the beginning of its file; places in beats.
#[derive(Clone, Debug)]
pub struct Run {
    pub part: Part,
    pub from: f64,
    pub to: f64,
    /// Whether it is a repetition within a section.
    pub turned: bool,
}

impl Score {
    /// Reads a plan: text order of stems is file order in all of them as far as they can be played, and keys are in the
    /// order of their numbers.
    pub fn of(plan: &Value, sounds: &BTreeMap<String, Spec>) -> Score {
        let bpm = plan["base_bpm"].as_f64().unwrap();
        let mut keys: Vec<&String> = plan["sections"].as_object().unwrap().keys().collect();
        keys.sort_by_key(|key| key.split('_').next().unwrap().parse::<u32>().unwrap());
        let mut missing = 0;
        let mut sections = Vec::new();
        for key in keys {
            let section = &plan["sections"][key];
            let mut parts = Vec::new();
            for (stem, value) in section["stems"].as_object().into_iter().flatten() {
                match part(stem, value, bpm, sounds) {
                    Some(part) => parts.push(part),
                    None => missing += 1,
                }
            }
            let Some(first) = parts.first() else { continue };
            let beats = BAR * (first.beats / BAR).round().max(1.0);
            for part in &mut parts {
                let whole = |unit: f64| (part.beats >= unit).then(|| unit * (part.beats / unit).floor());
                let turn = whole(BAR).or_else(|| whole(1.0)).unwrap_or(part.beats);
                part.turn = (part.beats < beats - 1.0).then_some(turn);
            }
            let kind = section["type"].as_str().unwrap_or("unknown").to_string();
            sections.push(Section { key: key.clone(), kind, beats, parts });
        }
        Score { bpm, sections, missing }
    }

    /// Returns the beats at which the sections begin, and the end of the last one.
    pub fn places(&self) -> Vec<f64> {
        let mut places = vec![0.0];
        for section in &self.sections {
            places.push(places[places.len() - 1] + section.beats);
        }
        places
    }

    /// Returns all runs of all parts.
    pub fn runs(&self) -> Vec<Run> {
        let places = self.places();
        let mut runs = Vec::new();
        // What sounds at the end of the section before, and since when it has been going on without a new start.
        let mut going: Vec<(Part, f64)> = Vec::new();
        for (section, place) in self.sections.iter().zip(&places) {
            let end = place + section.beats;
            let mut now = Vec::new();
            for part in &section.parts {
                let before = going.iter().find(|(other, from)| {
                    let goes_on = part.turn.is_some() || from + part.beats >= end;
                    other.is_same_sound(part) && goes_on
                });
                let from = before.map_or(*place, |(_, from)| *from);
                let step = part.turn.unwrap_or(f64::INFINITY);
                let mut at = from;
                let mut turned = false;
                while at < end {
                    let to = (at + step.min(part.beats)).min(end);
                    if to > *place {
                        runs.push(Run { part: part.clone(), from: at, to, turned });
                    }
                    (at, turned) = (at + step, true);
                }
                now.push((part.clone(), from));
            }
            going = now;
        }
        runs
    }

    /// Returns the stretches of time within which nothing begins, ends or fades, in beats.
    pub fn stretches(&self) -> Vec<(f64, f64)> {
        let places = self.places();
        let last = places[places.len() - 1];
        let mut cuts: Vec<f64> = places.iter().flat_map(|place| [*place, place + FADE]).collect();
        cuts.extend(self.runs().iter().flat_map(|run| [run.from, run.to]));
        cuts.retain(|cut| *cut <= last);
        cuts.sort_by(f64::total_cmp);
        cuts.dedup_by(|b, a| *b - *a < 1e-3);
        cuts.windows(2)
            .map(|pair| (pair[0], pair[1]))
            .filter(|(from, _)| {
                // Something may fade out here.
                !places[1..].iter().any(|place| (from - place).abs() < 1e-3)
            })
            .collect()
    }
}

fn part(stem: &str, value: &Value, bpm: f64, sounds: &BTreeMap<String, Spec>) -> Option<Part> {
    let sound = value["file"].as_str()?.strip_prefix("../stems/")?.to_string();
    let spec = sounds.get(&sound)?;
    let rate = match value.get("pitch_shift") {
        None => 1.0,
        Some(Value::String(text)) => text.parse().ok()?,
        Some(shift) => shift.as_f64()?,
    };
    if !(0.25..=4.0).contains(&rate) {
        return None;
    }
    let name = stem.to_lowercase();
    let volume = if name.contains("drums") {
        0.8
    } else if name.contains("vocal") {
        0.9
    } else {
        0.7
    };
    let seconds = spec.frames as f64 / f64::from(spec.rate);
    let stretched = value["needs_timestretch"] == true;
    Some(Part { stem: stem.into(), sound, rate, stretched, volume, beats: seconds / rate * bpm / 60.0, turn: None })
}
