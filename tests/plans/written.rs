//! Plans made up here, and the sounds of their stems.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::common::Scratch;

/// Sample rate of renders and recordings.
pub const RATE: f64 = 48_000.0;
/// Tempo of the plans.
pub const BPM: f64 = 240.0;
/// Frames of a beat and of a bar.
pub const BEAT: usize = 12_000;
pub const BAR: usize = 4 * BEAT;
/// What the first frame of a stamp has on top of its level, on the right.
pub const PULSE: f64 = 0.4;

/// A section of a plan that is made up.
#[derive(Clone)]
pub struct Section {
    key: String,
    fields: Vec<(String, Value)>,
    stems: Vec<(String, Value)>,
}

/// A section without stems.
pub fn section(key: &str) -> Section {
    Section { key: key.into(), fields: Vec::new(), stems: Vec::new() }
}

impl Section {
    /// Adds a field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Section {
        self.fields.push((field.into(), value.into()));
        self
    }

    /// Adds a stem that plays at its own rate.
    pub fn stem(self, name: &str, file: &str) -> Section {
        self.stem_with(name, file, &json!({}))
    }

    /// Adds a stem with these fields instead of, or on top of, the usual ones; `null` removes a field.
    pub fn stem_with(mut self, name: &str, file: &str, fields: &Value) -> Section {
        let mut stem = json!({"song": "Song (made up)", "file": file, "bpm": BPM, "key": "C", "pitch_shift": 1.0,
                              "needs_timestretch": false});
        for (field, value) in fields.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(stem.as_object_mut().unwrap().remove(field)),
                value => stem[field] = value.clone(),
            }
        }
        self.stems.push((name.into(), stem));
        self
    }
}

/// Returns a JSON object that keeps this order.
fn object(entries: impl IntoIterator<Item = (String, String)>) -> String {
    let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{}: {value}", json!(key))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// Returns the text of a plan: sections and stems in this order.
pub fn text(sections: &[Section]) -> String {
    let kind = |section: &Section| section.key.split('_').next_back().unwrap_or_default().to_string();
    let of = |section: &Section| {
        let stems = object(section.stems.iter().map(|(name, stem)| (name.clone(), stem.to_string())));
        let fields = section.fields.iter().map(|(field, value)| (field.clone(), value.to_string()));
        let own = [("type".to_string(), json!(kind(section)).to_string()), ("stems".to_string(), stems)];
        object(fields.chain(own))
    };
    let head = [("theme", json!("made up")), ("base_song", json!("Song (made up)")), ("base_bpm", json!(BPM))];
    let structure: Vec<String> = sections.iter().map(kind).collect();
    let head = head.into_iter().map(|(field, value)| (field.to_string(), value.to_string()));
    let tail = [
        ("base_key".to_string(), json!("C").to_string()),
        ("structure".to_string(), json!(structure).to_string()),
        ("sections".to_string(), object(sections.iter().map(|section| (section.key.clone(), of(section))))),
    ];
    object(head.chain(tail))
}

/// Writes a plan.
pub fn plan(scratch: &Scratch, name: &str, sections: &[Section]) -> PathBuf {
    let path = scratch.path(name);
    std::fs::write(&path, text(sections)).unwrap();
    path
}

/// Returns the level of a stamp, on the right.
pub fn level(code: usize) -> f64 {
    0.04 * (code + 1) as f64
}

/// Returns the right channel of stamp `code`: a pulse at its first frame, and its level. The left one is silent.
pub fn stamped(code: usize, frame: usize) -> f64 {
    level(code) + if frame == 0 { PULSE } else { 0.0 }
}

/// Writes `stamp{code}.wav`, of this many beats.
pub fn stamp(scratch: &Scratch, code: usize, beats: usize) -> String {
    stamp_with(scratch, code, beats * BEAT, |_| 0.0)
}

/// Writes `stamp{code}.wav`, of this many frames, with something on the left.
pub fn stamp_with(scratch: &Scratch, code: usize, frames: usize, left: impl Fn(usize) -> f64) -> String {
    let name = format!("stamp{code}.wav");
    scratch.wav(&name, RATE as u32, frames, |frame| (left(frame) as f32, stamped(code, frame) as f32));
    name
}

/// Keys of the plans whose sections are stamps 0 to 4.
pub const KEYS: [&str; 5] = ["00_intro", "01_verse", "02_chorus", "03_verse", "04_outro"];

/// Writes `NAME` with five sections of these many bars; their stems are the stamps 0 to 4, `more` beats longer.
pub fn five(scratch: &Scratch, name: &str, bars: [usize; 5], more: usize) -> PathBuf {
    let sections: Vec<Section> = (0..5)
        .map(|k| {
            let file = stamp(scratch, k, 4 * bars[k] + more);
            section(KEYS[k]).with("bars", bars[k]).stem("bass", &file)
        })
        .collect();
    plan(scratch, name, &sections)
}

/// A repeatable sequence of random numbers.
pub struct Dice(pub u64);

impl Dice {
    /// Returns 32 random bits.
    pub fn roll(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// Returns a number below `n`, or 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.roll() as usize % n.max(1)
    }

    /// Returns a number from -1 to 1.
    pub fn swing(&mut self) -> f32 {
        f64::from(self.roll()) as f32 / (u32::MAX / 2) as f32 - 1.0
    }
}
