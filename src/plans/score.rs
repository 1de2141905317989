//! Scores: what will be played of a plan, with lengths, fades, files, rates and volumes.
//!
//! A section lasts whole bars at the plan's tempo. All its parts begin together; those that are shorter than it by more
//! than a beat are repeated, and those that are longer are cut.

use serde::{Deserialize, Serialize};

use std::collections::HashMap;
use std::str::FromStr;

use super::document::{LEAST_RATE, MOST_RATE, MOST_VOLUME, Plan, Section as Written, Stem};
use super::remarks::{Remarks, clean, listed, number, shown};

/// Maximum length of a section in bars.
const MOST_BARS: f64 = 4096.0;
/// Default and maximum of a fade in beats.
const DEFAULT_FADE: f64 = 1.0;
const MOST_FADE: f64 = 64.0;
/// The range of a tempo in BPM, and what is taken if the clock has none.
const LEAST_BPM: f64 = 1.0;
const MOST_BPM: f64 = 1000.0;
const DEFAULT_BPM: f64 = 120.0;
/// The greatest number of beats to a bar, and what is taken if it is none.
const MOST_METER: f64 = 64.0;
const DEFAULT_METER: f64 = 4.0;
/// Least length of a part in seconds of its file: shorter ones would be repeated as a tone.
const LEAST_SECONDS: f64 = 0.01;
/// Maximum length of a file in seconds, eleven days.
const MOST_SECONDS: f64 = 1e6;
/// By how much a part may be shorter than the section without being repeated, in beats.
const SLACK_BEATS: f64 = 1.0 + 1e-6;
/// By how much a part may be shorter than the beats it counts as, in beats: with each turn it is ahead by as much.
const GRID_TOLERANCE_BEATS: f64 = 0.001;
/// How far beyond the file an end may lie without a remark, in seconds: ends are often rounded.
const END_TOLERANCE: f64 = 0.001;

/// How stems of another tempo are brought to the plan's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateMode {
    /// Like a record: the pitch changes with the tempo.
    Rate,
    /// Stretched: the pitch stays.
    Stretch,
    /// Stretched where the plan says so, like a record elsewhere.
    #[default]
    Auto,
}

impl RateMode {
    /// The modes and their names.
    pub const NAMES: [(&str, RateMode); 3] =
        [("auto", RateMode::Auto), ("rate", RateMode::Rate), ("stretch", RateMode::Stretch)];

    /// Its name.
    pub fn name(self) -> &'static str {
        RateMode::NAMES.iter().find(|(_, mode)| *mode == self).map_or("auto", |(name, _)| name)
    }
}

impl FromStr for RateMode {
    type Err = String;

    fn from_str(text: &str) -> Result<RateMode, String> {
        by_name(&RateMode::NAMES, text, "rate mode")
    }
}

/// Which part gives a section its length, if nothing else does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LengthFrom {
    /// The first one of the file that can be played.
    #[default]
    First,
    /// The longest one, as played.
    Longest,
    /// The shortest one, as played.
    Shortest,
}

impl LengthFrom {
    /// The parts and their names.
    pub const NAMES: [(&str, LengthFrom); 3] =
        [("first", LengthFrom::First), ("longest", LengthFrom::Longest), ("shortest", LengthFrom::Shortest)];

    /// Its name.
    pub fn name(self) -> &'static str {
        LengthFrom::NAMES.iter().find(|(_, from)| *from == self).map_or("first", |(name, _)| name)
    }
}

impl FromStr for LengthFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<LengthFrom, String> {
        by_name(&LengthFrom::NAMES, text, "length")
    }
}

fn by_name<T: Copy>(names: &[(&str, T)], text: &str, what: &str) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names = listed(names.iter().map(|(name, _)| *name));
        format!("'{}' is not a {what}: expected one of {names}", shown(text))
    })
}

/// Wishes of whoever plays a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    /// How stems of another tempo are brought to the plan's.
    pub rate_mode: RateMode,
    /// Which part gives a section its length.
    pub length_from: LengthFrom,
    /// Length of all sections in bars, before all that the plan says.
    pub bars: Option<f64>,
    /// Length of all sections in seconds, before all that the plan says.
    pub seconds: Option<f64>,
    /// Duration of all fades in beats, before all that the plan says.
    pub fade: Option<f64>,
}

impl Wishes {
    /// Returns them without numbers that make no sense.
    fn checked(&self, remarks: &mut Remarks) -> Wishes {
        let mut check = |name: &str, value: Option<f64>, is_good: fn(f64) -> bool, expected: &str| {
            let value = value?;
            let good = Some(value).filter(|value| value.is_finite() && is_good(*value));
            if good.is_none() {
                remarks.add(format!("{name} {} is asked for, expected {expected}; ignored", number(value)));
            }
            good
        };
        Wishes {
            bars: check("bars", self.bars, |bars| bars > 0.0, "more than 0"),
            seconds: check("seconds", self.seconds, |seconds| seconds > 0.0, "more than 0"),
            fade: check("fade", self.fade, |beats| beats >= 0.0, "0 to 64 beats"),
            ..*self
        }
    }
}

/// A sound file that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Path where it was found.
    pub path: String,
    /// Its length in seconds.
    pub seconds: f64,
    /// Its sample rate in Hz.
    pub sample_rate: u32,
}

/// Sections and stems of a plan as they will be played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Path of the plan.
    pub path: String,
    /// Theme; may be empty.
    pub theme: String,
    /// Name of the song that gives the tempo; may be empty.
    pub base_song: String,
    /// Key of that song as written; may be empty.
    pub base_key: String,
    /// The types of the sections as the plan lists them; only for display.
    pub structure: Vec<String>,
    /// Tempo.
    pub bpm: f64,
    /// Beats to a bar.
    pub meter: f64,
    /// All sections of the plan in order of play.
    pub sections: Vec<Section>,
    /// What is unusual, one sentence each, the plan's remarks first: at most 100, and how many more there were.
    pub remarks: Vec<String>,
}

/// A section as it will be played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its key, such as `00_intro`.
    pub key: String,
    /// Its type, such as `intro`, or `unknown`.
    pub kind: String,
    /// Its length in beats, whole bars; 0 if it is skipped.
    pub beats: f64,
    /// Duration of the fade at its end, whole beats, 0 to 64.
    pub fade: f64,
    /// The parts that sound together; none in a rest.
    pub parts: Vec<Part>,
    /// The stems that cannot be played.
    pub missing: Vec<Missing>,
}

/// A stem that cannot be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name of the stem.
    pub stem: String,
    /// Why not.
    pub why: String,
}

/// A stem as it will be played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its name, such as `drums`.
    pub name: String,
    /// Name of the song that it comes from.
    pub song: String,
    /// Key of the song as written; may be empty.
    pub key: String,
    /// Tempo of the song; `None` if unknown.
    pub bpm: Option<f64>,
    /// Path where its file was found.
    pub path: String,
    /// Playback rate, 0.25 to 4.
    pub rate: f64,
    /// Whether the plan wants it stretched.
    pub needs_stretch: bool,
    /// Whether it is stretched, rather than played faster or slower; never at a rate of 1.
    pub stretched: bool,
    /// Volume, linear, 0 to 4.
    pub volume: f64,
    /// Where it begins, in seconds of its file.
    pub start: f64,
    /// Where it ends, in seconds of its file.
    pub end: f64,
    /// Sample rate of its file in Hz.
    pub sample_rate: u32,
    /// The beats after which it begins again, more than 0; `None` if it does not.
    pub turn: Option<f64>,
}

impl Part {
    /// Returns the beats for which it sounds once, as played at the given tempo.
    pub fn beats(&self, bpm: f64) -> f64 {
        (self.end - self.start) / self.rate * bpm / 60.0
    }

    /// Returns whether another part sounds the same, apart from its volume and its repetition.
    pub fn is_same_sound(&self, other: &Part) -> bool {
        self.path == other.path
            && self.stretched == other.stretched
            && [self.rate, self.start, self.end] == [other.rate, other.start, other.end]
    }
}

impl Section {
    /// Returns why it cannot be played, for a section that is skipped.
    pub(super) fn why_skipped(&self) -> String {
        let more = |count: usize| if count > 0 { format!(", and {count} more") } else { String::new() };
        match self.missing.split_first() {
            None => "it has no stems".into(),
            Some((first, others)) => {
                format!("no stem of it can be played ({}: {}{})", shown(&first.stem), first.why, more(others.len()))
            }
        }
    }
}

impl Score {
    /// Returns what will be played of a plan.
    ///
    /// `clock_bpm` is the tempo if the plan has none, and `meter` the beats to a bar. `find` looks up a file of the
    /// plan, each of them once; an error is the reason why it is missing.
    pub fn of(
        plan: &Plan,
        path: &str,
        wishes: &Wishes,
        clock_bpm: f64,
        meter: f64,
        mut find: impl FnMut(&str) -> Result<Sound, String>,
    ) -> Score {
        let mut remarks = Remarks::continued(&plan.remarks, plan.more_remarks);
        let is_bpm = |bpm: &f64| (LEAST_BPM..=MOST_BPM).contains(bpm);
        let mut composer = Composer {
            bpm: plan.base_bpm.filter(is_bpm).or(Some(clock_bpm).filter(is_bpm)).unwrap_or(DEFAULT_BPM),
            meter: if (1.0..=MOST_METER).contains(&meter) { meter } else { DEFAULT_METER },
            wishes: wishes.checked(&mut remarks),
            sounds: HashMap::new(),
            remarks,
        };
        let sections = plan.sections.iter().map(|written| composer.section(written, &mut find)).collect();
        Score {
            path: path.into(),
            theme: plan.theme.clone(),
            base_song: plan.base_song.clone(),
            base_key: plan.base_key.clone(),
            structure: plan.structure.clone(),
            bpm: composer.bpm,
            meter: composer.meter,
            sections,
            remarks: composer.remarks.finished().0,
        }
    }

    /// Returns the length of all sections in seconds, without the last fade.
    pub fn seconds(&self) -> f64 {
        self.sections.iter().map(|section| section.beats).sum::<f64>() * 60.0 / self.bpm.max(LEAST_BPM)
    }
}

/// What the sections of a score have in common while it is made.
struct Composer<'p> {
    bpm: f64,
    meter: f64,
    wishes: Wishes,
    /// What was found, by the text of the plan.
    sounds: HashMap<&'p str, Result<Sound, String>>,
    remarks: Remarks,
}

impl<'p> Composer<'p> {
    fn section(&mut self, written: &'p Written, find: &mut dyn FnMut(&str) -> Result<Sound, String>) -> Section {
        let key = shown(&written.key);
        let faults = written.faults.iter().map(|(stem, why)| Missing { stem: stem.clone(), why: clean(why) });
        let (mut parts, mut looped, mut missing): (Vec<Part>, Vec<_>, Vec<_>) =
            (Vec::new(), Vec::new(), faults.collect());
        for stem in &written.stems {
            match self.part(stem, &key, written.gain, find) {
                Ok(part) => {
                    parts.push(part);
                    looped.push(stem.looped);
                }
                Err(why) => missing.push(Missing { stem: stem.name.clone(), why }),
            }
        }
        let beats = self.length(written, &parts, &key);
        if beats > 0.0 {
            self.repeat(&mut parts, &looped, beats, &key);
        }
        let fade = self.fade(written.fade, &key);
        let section = Section { key: written.key.clone(), kind: written.kind.clone(), beats, fade, parts, missing };
        if beats == 0.0 {
            self.remarks.add(format!("{key}: {}; skipped", section.why_skipped()));
        } else if section.parts.is_empty() {
            self.remarks.add(format!("{key}: nothing sounds in it; it is a rest of {beats} beats"));
        }
        section
    }

    /// Returns a stem as it will be played, without its repetition, or why it cannot be.
    fn part(
        &mut self,
        stem: &'p Stem,
        key: &str,
        gain: f64,
        find: &mut dyn FnMut(&str) -> Result<Sound, String>,
    ) -> Result<Part, String> {
        let found = self.sounds.entry(&stem.file).or_insert_with(|| {
            let sound = find(&stem.file).map_err(|why| clean(&why))?;
            match (LEAST_SECONDS..=MOST_SECONDS).contains(&sound.seconds) && sound.sample_rate > 0 {
                true => Ok(sound),
                false => Err(format!("its length is {} s, expected {LEAST_SECONDS} s or more", number(sound.seconds))),
            }
        });
        let sound = found.as_ref().map_err(Clone::clone)?;
        if !(LEAST_RATE..=MOST_RATE).contains(&stem.rate) {
            return Err(format!("its rate is {}, expected {LEAST_RATE} to {MOST_RATE}", number(stem.rate)));
        }
        let wanted_end = stem.end.unwrap_or(sound.seconds);
        let (start, end) = (stem.start.max(0.0), wanted_end.min(sound.seconds));
        if end - start < LEAST_SECONDS {
            let ends = if wanted_end < sound.seconds { "its end" } else { "the end of its file" };
            let (start, end) = (number(stem.start), number(end));
            return Err(format!("start is {start}, expected {LEAST_SECONDS} s or more before {ends}, {end}"));
        }
        let subject = format!("{key}, {}", shown(&stem.name));
        if stem.start < 0.0 {
            self.remarks.add(format!("{subject}: start is {}, expected 0 or more; taken as 0", number(stem.start)));
        }
        if wanted_end > sound.seconds + END_TOLERANCE {
            let wanted = number(wanted_end);
            self.remarks.add(format!("{subject}: end is {wanted}, but the file ends at {end} s, and so does the stem"));
        }
        let wants_stretch = match self.wishes.rate_mode {
            RateMode::Rate => false,
            RateMode::Stretch => true,
            RateMode::Auto => stem.needs_stretch,
        };
        let gain = if gain.is_nan() { 1.0 } else { gain };
        let volume = stem.volume.filter(|volume| !volume.is_nan()).unwrap_or_else(|| default_volume(&stem.name));
        Ok(Part {
            name: stem.name.clone(),
            song: stem.song.clone(),
            key: stem.key.clone(),
            bpm: stem.bpm,
            path: sound.path.clone(),
            rate: stem.rate,
            needs_stretch: stem.needs_stretch,
            stretched: wants_stretch && stem.rate != 1.0,
            volume: (volume * gain).clamp(0.0, MOST_VOLUME),
            start,
            end,
            sample_rate: sound.sample_rate,
            turn: None,
        })
    }

    /// Returns the length of a section in beats: whole bars, or 0 if nothing of it can be played.
    fn length(&mut self, written: &Written, parts: &[Part], key: &str) -> f64 {
        let per_bar = self.meter * 60.0 / self.bpm;
        let own = written.bars.or(written.seconds.map(|seconds| seconds / per_bar));
        if parts.is_empty() && own.is_none() {
            return 0.0;
        }
        let lengths = || parts.iter().map(|part| part.beats(self.bpm) / self.meter);
        let of_parts = || match self.wishes.length_from {
            LengthFrom::First => lengths().next(),
            LengthFrom::Longest => lengths().max_by(f64::total_cmp),
            LengthFrom::Shortest => lengths().min_by(f64::total_cmp),
        };
        let wished = self.wishes.bars.or(self.wishes.seconds.map(|seconds| seconds / per_bar));
        let bars = wished.or(own).or_else(of_parts).filter(|bars| !bars.is_nan()).unwrap_or(1.0);
        if bars > MOST_BARS {
            let bars = number(bars.round());
            self.remarks.add(format!("{key}: its length is {bars} bars, expected {MOST_BARS} at most; shortened"));
        }
        bars.round().clamp(1.0, MOST_BARS) * self.meter
    }

    /// Returns the duration of a fade in whole beats.
    fn fade(&mut self, own: Option<f64>, key: &str) -> f64 {
        let fade = self.wishes.fade.or(own).filter(|fade| !fade.is_nan()).unwrap_or(DEFAULT_FADE);
        if fade > MOST_FADE {
            let fade = number(fade);
            self.remarks.add(format!("{key}: the fade is {fade} beats, expected {MOST_FADE} at most; shortened"));
        }
        fade.round().clamp(0.0, MOST_FADE)
    }

    /// Says which parts begin again, and when. `looped` is what the plan says about each.
    fn repeat(&mut self, parts: &mut [Part], looped: &[Option<bool>], beats: f64, key: &str) {
        let mut short = Vec::new();
        for (part, looped) in parts.iter_mut().zip(looped) {
            let length = part.beats(self.bpm);
            let is_short = length + SLACK_BEATS < beats;
            if looped.is_none() && is_short {
                short.push(format!("{} ({})", shown(&part.name), (length * 100.0).round() / 100.0));
            }
            if looped.unwrap_or(is_short) {
                part.turn = Some(turn(length, self.meter));
            }
        }
        if !short.is_empty() {
            let short = listed(short.iter().map(String::as_str));
            self.remarks.add(format!("{key}: shorter than its {beats} beats and repeated: {short}"));
        }
    }
}

/// Returns the beats after which a part of the given beats begins again: whole bars, else whole beats, else all of it.
fn turn(beats: f64, meter: f64) -> f64 {
    let whole = |unit: f64| ((beats + GRID_TOLERANCE_BEATS) / unit).floor() * unit;
    [whole(meter), whole(1.0)].into_iter().find(|turn| *turn > 0.0).unwrap_or(beats)
}

/// Returns the volume of a stem of which the plan does not say it: the older executor's, by the name of the stem.
fn default_volume(stem: &str) -> f64 {
    let stem = stem.to_lowercase();
    match (stem.contains("drums"), stem.contains("vocal")) {
        (true, _) => 0.8,
        (_, true) => 0.9,
        _ => 0.7,
    }
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
