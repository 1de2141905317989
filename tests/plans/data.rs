//! The plans of the older generator: which of its sounds is heard where, from which sample on.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use crate::common::{Scratch, Sound};
use crate::measure::{end, fit, sliced, wrapped};
use crate::model::{FADE, Run, Score};
use crate::run::{Ran, rendered_with, run_plan};
use crate::sounds::{Spec, all, lay_out};
use crate::written::RATE;

/// Gain of the renders that are measured: so little that the limiter never acts.
const GAIN: f64 = 0.08;
/// Shortest piece of sound that is measured, in seconds: tones that are 4 Hz apart are told from each other.
const SHORTEST: f64 = 1.0;
/// Seconds left out at both ends of a piece, where loops are joined.
const MARGIN: f64 = 0.01;
/// Frames for which an interpolated click is longer than it is.
const RINGING: f64 = 90.0;
/// The same for a stretched one, which may also be elsewhere.
const STRETCHING: f64 = 0.05 * RATE;

/// A plan's recording beside what should be in it.
struct Heard<'a> {
    sound: Sound,
    sounds: &'a BTreeMap<String, Spec>,
    score: Score,
    /// All frequencies that are ever to be heard, in cycles a frame.
    cycles: Vec<f64>,
}

/// Returns the frequency of a run in cycles a frame.
fn cycles(run: &Run, sounds: &BTreeMap<String, Spec>) -> f64 {
    let spec = &sounds[&run.part.sound];
    let hz = f64::from(spec.rate) / spec.period as f64;
    let rate = if run.part.stretched { 1.0 } else { run.part.rate };
    hz * rate / RATE
}

/// What was measured in a plan.
struct Measured {
    /// Gain of each tone, without its part's volume.
    gains: Vec<f64>,
    /// Frames between each run of a rate part and its due time, counted from the first frame of the sound; and the run.
    offsets: Vec<(f64, Run)>,
}

impl Heard<'_> {
    fn frames(&self, beats: f64) -> f64 {
        beats * 60.0 / self.score.bpm * RATE
    }

    /// Returns the frames, from `first` on, in which there are clicks of a run: nothing is measured there.
    fn clicks(&self, run: &Run, first: f64) -> Vec<(f64, f64)> {
        let spec = &self.sounds[&run.part.sound];
        let scale = RATE / f64::from(spec.rate) / run.part.rate;
        let begin = first + self.frames(run.from);
        let (before, behind) = if run.part.stretched { (STRETCHING, STRETCHING) } else { (RINGING, 2.0 * RINGING) };
        spec.clicks()
            .map(|at| begin + at as f64 * scale)
            .map(|at| (at - before, at + spec.click() as f64 * scale + behind))
            .collect()
    }

    /// Measures all tones in all pieces, if the plan begins at frame `first`. What should sound must, at its pitch;
    /// nothing else may.
    fn measure(&self, first: f64, name: &str) -> Measured {
        let runs = self.score.runs();
        let places = self.score.places();
        let mut pieces = vec![0; self.score.sections.len()];
        let mut measured = Measured { gains: Vec::new(), offsets: Vec::new() };
        for (from, to) in self.score.stretches() {
            let begin = first + self.frames(from) + MARGIN * RATE;
            let end = first + self.frames(to) - MARGIN * RATE;
            let section = places.iter().rposition(|place| *place <= from + 1e-3).unwrap();
            if end - begin < SHORTEST * RATE {
                continue;
            }
            pieces[section] += 1;
            let here: Vec<&Run> = runs.iter().filter(|run| run.from <= from + 1e-3 && run.to >= to - 1e-3).collect();
            let clicks: Vec<(f64, f64)> = here.iter().flat_map(|run| self.clicks(run, first)).collect();
            let (begin, end) = (begin as usize, end as usize);
            let mut masked = vec![false; end - begin];
            for (from, to) in clicks {
                let inside = |at: f64| (at - begin as f64).clamp(0.0, (end - begin) as f64) as usize;
                masked[inside(from)..inside(to)].fill(true);
            }
            let left = masked.iter().filter(|masked| !**masked).count();
            assert!(left as f64 > 0.3 * RATE, "{name}: nothing is left of the piece at beat {from}");
            let tones = fit(&self.sound.left, begin..end, &self.cycles, |n| masked[n - begin]);
            let is =
                |run: &Run, cycle: f64, wanted: f64| (cycles(run, self.sounds) * wanted / cycle - 1.0).abs() < 1e-9;
            let steady = |cycle: f64| here.iter().find(|run| !run.part.stretched && is(run, cycle, 1.0));
            let wandering: Vec<&&Run> = here.iter().filter(|run| run.part.stretched).collect();
            let mut others = Vec::new();
            for (cycle, tone) in self.cycles.iter().zip(&tones) {
                let hz = cycle * RATE;
                let what = format!("{name}: {hz:.1} Hz in section {}, beats {from:.2} to {to:.2}", section + 1);
                let Some(run) = steady(*cycle) else {
                    // Stretched parts are looked at below, also at the pitch that they would have as records.
                    let is_near = wandering.iter().any(|r| is(r, *cycle, 1.0) || is(r, *cycle, r.part.rate));
                    // A fade may end 64 frames late.
                    assert!(is_near || tone.level < 5e-4, "{what}: it sounds at {:.5}", tone.level);
                    continue;
                };
                let (level, phase) = self.sounds[&run.part.sound].tone();
                measured.gains.push(tone.level / level / run.part.volume);
                let omega = TAU * cycle;
                let off = wrapped(tone.phase - phase - omega * (first + self.frames(run.from))) / omega;
                measured.offsets.push((off, (*run).clone()));
                others.push((*cycle, *tone));
            }
            for run in wandering {
                let level = |cycle: f64| sliced(&self.sound.left, begin..end, cycle, &others, |n| masked[n - begin]);
                let cycle = cycles(run, self.sounds);
                let (there, record) = (level(cycle), level(cycle * run.part.rate));
                let gain = there / self.sounds[&run.part.sound].tone().0 / run.part.volume;
                let what = format!("{name}: {} in section {}", run.part.stem, section + 1);
                assert!((0.5 * GAIN..1.5 * GAIN).contains(&gain), "{what}: stretched, it has the gain {gain:.4}");
                assert!(record < 0.4 * there, "{what}: stretched, it sounds at the pitch of a record: {record:.5}");
            }
        }
        assert!(pieces.iter().all(|pieces| *pieces > 0), "{name}: pieces measured of each section: {pieces:?}");
        measured
    }

    /// Returns the beginning of the plan, from the first sound of the first section with a part that is not stretched.
    fn onset(&self, name: &str) -> f64 {
        let onset = self.sound.onset(0).unwrap();
        let exact = self.score.sections.iter().position(|section| section.parts.iter().any(|part| !part.stretched));
        let beats = self.score.places()[exact.unwrap()];
        if beats == 0.0 {
            return onset as f64;
        }
        // The section before it is shorter than its bars: it is silent by then.
        let before = onset + self.frames(beats - 0.2) as usize;
        let at = self.sound.onset(before).unwrap();
        assert!(at > before, "{name}: no silence before beat {beats}");
        let first = at as f64 - self.frames(beats);
        assert!((first - onset as f64).abs() < 0.03 * RATE, "{name}: its first sound is at frame {onset}, not {first}");
        first
    }

    /// Asserts that each section is heard once, in order, from its computed sample on, and that the end is in time.
    fn assert_all(&self, name: &str) {
        let onset = self.onset(name);
        // To a fraction of a frame.
        let (off, _) = &self.measure(onset, name).offsets[0];
        assert!(off.abs() < 12.0, "{name}: the plan begins {off:.2} frames beside its first sound");
        let first = onset + off;
        assert!((0.0..0.1 * RATE).contains(&first), "{name}: it begins at frame {first:.1}");
        let measured = self.measure(first, name);
        let usual = measured.gains.iter().sum::<f64>() / measured.gains.len() as f64;
        assert!((0.6 * GAIN..1.4 * GAIN).contains(&usual), "{name}: it has the gain {usual:.4}");
        for gain in &measured.gains {
            assert!((gain / usual - 1.0).abs() < 0.05, "{name}: gains from {usual:.4} to {gain:.4}: {measured:?}");
        }
        // Phases are found to a fraction of a frame, or to about one beside a stretched part, which wanders.
        let wanders = self.score.sections.iter().flat_map(|section| &section.parts).any(|part| part.stretched);
        let exact = if wanders { 2.0 } else { 1.0 };
        for (off, run) in &measured.offsets {
            // A repetition begins at a frame of its file.
            let spec = &self.sounds[&run.part.sound];
            let most = if run.turned { exact + RATE / f64::from(spec.rate) } else { exact };
            let (stem, from) = (&run.part.stem, run.from);
            assert!(off.abs() <= most, "{name}: {stem}, due at beat {from:.2}, begins {off:.2} frames beside it");
        }
        let places = self.score.places();
        let total = first + self.frames(places[places.len() - 1] + FADE);
        // The last frames of a fade are as good as silent.
        let off = end(&self.sound) as f64 - total;
        assert!((-0.01 * RATE..2.0).contains(&off), "{name}: it ends {off:.0} frames beside its computed end");
    }
}

impl std::fmt::Debug for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        for ((off, run), gain) in self.offsets.iter().zip(&self.gains) {
            let (stem, from, to) = (&run.part.stem, run.from, run.to);
            writeln!(f, "{stem:<8} beats {from:>7.2} to {to:>7.2}: gain {gain:.4}, {off:>6.2} frames off")?;
        }
        Ok(())
    }
}

/// Asserts that the lines of `--json` say what the score says.
fn assert_told(ran: &Ran, score: &Score, name: &str) {
    let sections = ran.events("section");
    let keys: Vec<&str> = sections.iter().map(|section| section["key"].as_str().unwrap()).collect();
    let expected: Vec<&str> = score.sections.iter().map(|section| section.key.as_str()).collect();
    assert_eq!(keys, expected, "{name}");
    let seconds = |beats: f64| beats * 60.0 / score.bpm;
    for ((told, section), place) in sections.iter().zip(&score.sections).zip(score.places()) {
        assert_eq!(told["type"], section.kind.as_str(), "{name}: {told}");
        for (field, wanted) in [("at", seconds(place)), ("length", seconds(section.beats))] {
            let value = told[field].as_f64().unwrap_or(f64::NAN);
            assert!((value - wanted).abs() < 1e-3, "{name}: {field} is {value}, not {wanted}: {told}");
        }
    }
    let parts: usize = score.sections.iter().map(|section| section.parts.len()).sum();
    let stems = ran.events("stem");
    assert_eq!((stems.len(), ran.events("missing").len()), (parts, score.missing), "{name}: {}", ran.out);
    let score_parts = score.sections.iter().flat_map(|section| section.parts.iter().map(move |part| (section, part)));
    for (section, part) in score_parts {
        let is_it = |told: &&serde_json::Value| told["section"] == section.key.as_str() && told["stem"] == *part.stem;
        let told = stems.iter().find(is_it).unwrap_or_else(|| panic!("{name}: no {part:?} in {stems:?}"));
        assert_eq!(told["stretched"], part.stretched, "{name}: {told}");
        assert_eq!(told["loop"].as_f64(), part.turn, "{name}: {told}");
        for (field, wanted) in [("rate", part.rate), ("volume", part.volume)] {
            assert!((told[field].as_f64().unwrap() - wanted).abs() < 1e-6, "{name}: {field} of {told}");
        }
    }
    let total = score.places().last().copied().unwrap();
    let at = ran.events("end")[0]["at"].as_f64().unwrap();
    assert!((at - seconds(total)).abs() < 1e-3, "{name}: it ends at {at}");
}

/// Renders a plan with little gain, so that the limiter never acts, and measures it.
fn check(name: &str, code: i32) {
    let scratch = Scratch::new(&format!("plans-{name}"));
    let sounds = all();
    let (path, plan) = lay_out(&scratch, name);
    let score = Score::of(&plan, &sounds);
    assert_told(&run_plan(&scratch, &path, &["--dry-run", "--json"]).ends_with(code, name), &score, name);
    std::fs::write(scratch.path("quiet.toml"), format!("[mixer]\nmaster = {GAIN}\n")).unwrap();
    let config = scratch.path("quiet.toml").display().to_string();
    rendered_with(&scratch, &["--config", &config], &path, &[], code);
    let sound = Sound::read(&scratch.path("render.wav"));
    let runs = score.runs();
    let mut all: Vec<f64> = runs.iter().map(|run| cycles(run, &sounds)).collect();
    // A stretched part must not be heard at the pitch that it would have as a record.
    let unstretched = runs.iter().filter(|run| run.part.stretched);
    all.extend(unstretched.map(|run| cycles(run, &sounds) * run.part.rate));
    all.sort_by(f64::total_cmp);
    all.dedup_by(|b, a| (*b / *a - 1.0).abs() < 1e-9);
    Heard { sound, sounds: &sounds, score, cycles: all }.assert_all(name);
}

#[test]
fn energetic_is_heard_as_it_is_written() {
    check("energetic", 0);
}

#[test]
fn chill_is_heard_as_it_is_written() {
    check("chill", 0);
}

#[test]
fn dramatic_is_heard_as_it_is_written() {
    check("dramatic", 0);
}

#[test]
fn what_can_be_played_of_odd_is_heard_as_it_is_written() {
    check("odd", 1);
}

#[test]
fn plans_last_as_long_as_they_should() {
    let sounds = all();
    // Figures of the specification: bars of each section, and seconds of the plan.
    let expected = [
        ("energetic", vec![3.0; 8], 41.143),
        ("chill", vec![2.0; 7], 35.368),
        ("dramatic", vec![6.0; 7], 80.640),
        ("odd", vec![1.0, 1.0, 1.0, 2.0], 11.940),
    ];
    let scratch = Scratch::new("plans-lengths");
    for (name, bars, seconds) in expected {
        let (_, plan) = lay_out(&scratch, name);
        let score = Score::of(&plan, &sounds);
        let found: Vec<f64> = score.sections.iter().map(|section| section.beats / 4.0).collect();
        assert_eq!(found, bars, "{name}");
        let total = score.places().last().unwrap() * 60.0 / score.bpm;
        assert!((total - seconds).abs() < 1e-3, "{name}: {total}");
    }
}
