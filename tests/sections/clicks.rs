//! Finds clicks in a sound and measures how far they are from where they belong.

use super::sound::{Clicks, Spec};

/// How far from its place a click is looked for, in seconds.
const REACH: f64 = 0.030;

/// Peak of the tone below the clicks.
const TONE: f64 = 2_000.0;

/// How much of a click's amplitude its attack must exceed the background by.
const ATTACK: f64 = 0.4;

/// Correlation from which the waveform tells the place more precisely than the attack does.
const ALIKE: f64 = 0.6;

/// A click that a part should have.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Where it begins, in frames of the part.
    pub frame: f64,
    amplitude: i32,
}

/// The clicks of a sound that should be in a part of it.
pub struct Layout {
    pub rate: u32,
    pub clicks: Vec<Expected>,
    /// Where clicks begin that were cut into: they may be heard.
    cut_into: Vec<f64>,
    speed: f64,
}

impl Layout {
    /// The clicks of frames `first..last` of `spec` at a speed; `None` if it has none.
    pub fn new(spec: &Spec, first: usize, last: usize, speed: f64) -> Option<Layout> {
        let clicks = spec.clicks?;
        let length = Clicks::length(spec.rate);
        let mut layout = Layout { rate: spec.rate, clicks: Vec::new(), cut_into: Vec::new(), speed };
        for (k, start) in clicks.starts(spec.rate).take_while(|start| *start < last).enumerate() {
            let frame = (start as f64 - first as f64) / speed;
            // The attack is before the cut, or less than a period of the click is left.
            if start < first || start + length / 5 > last {
                if start + length > first {
                    layout.cut_into.push(frame);
                }
            } else {
                layout.clicks.push(Expected { frame, amplitude: Clicks::amplitude(k) });
            }
        }
        Some(layout)
    }
}

/// What is heard of the clicks of a layout.
#[derive(Debug)]
pub struct Heard {
    /// By how many milliseconds each click is late; `None` if it is lost.
    pub late_ms: Vec<Option<f64>>,
    /// Times in seconds of clicks that should not be there.
    pub strays: Vec<f64>,
}

impl Heard {
    /// The greatest distance of a click from its place, in milliseconds.
    pub fn worst_ms(&self) -> f64 {
        self.late_ms.iter().flatten().fold(0.0, |worst: f64, late| worst.max(late.abs()))
    }

    pub fn lost(&self) -> usize {
        self.late_ms.iter().filter(|late| late.is_none()).count()
    }
}

/// The correlation of a click's steps with those of a sound, at an offset, which may be before the sound.
fn correlation(steps: &[f64], click: &[f64], at: isize) -> f64 {
    let (mut product, mut ours, mut theirs) = (0.0, 0.0, 0.0);
    for (j, a) in click.iter().enumerate() {
        let Some(b) = usize::try_from(at + j as isize).ok().and_then(|i| steps.get(i)) else { continue };
        product += a * b;
        ours += a * a;
        theirs += b * b;
    }
    product / (ours * theirs).sqrt().max(1e-9)
}

/// Listens to the first channel of a part for the clicks of a layout.
///
/// A click begins where the sound first exceeds its background, which is sharp, and then where the waveform of a click
/// fits best, within half a period. Steps between samples are compared instead of samples, because the tone below the
/// clicks has small ones.
pub fn listen(layout: &Layout, sound: &[f64]) -> Heard {
    let rate = f64::from(layout.rate);
    let steps: Vec<f64> = (0..sound.len()).map(|i| sound[i] - if i == 0 { 0.0 } else { sound[i - 1] }).collect();
    let click: Vec<f64> = Clicks::waveform(layout.rate, 1_000).map(f64::from).collect();
    let click: Vec<f64> = (0..click.len()).map(|j| click[j] - if j == 0 { 0.0 } else { click[j - 1] }).collect();
    let reach = REACH * rate;
    let index = |frame: f64| (frame.max(0.0) as usize).min(sound.len());
    let measure = |expected: &Expected| {
        let (from, to) = (index(expected.frame - reach), index(expected.frame + reach));
        let before = &sound[index(expected.frame - 2.0 * reach)..from];
        let background = before.iter().fold(TONE, |peak, s| peak.max(s.abs()));
        let level = background + ATTACK * f64::from(expected.amplitude);
        let onset = from + sound[from..to].iter().position(|s| s.abs() > level)?;
        // Half a period of the click; one more and it would fit to its own echo.
        let near = (rate / 2_000.0).ceil() as isize;
        let fit = |at: isize| correlation(&steps, &click, at);
        let (best, alike) = (-near..=near)
            .map(|d| (onset as isize + d, fit(onset as isize + d)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((onset as isize, 0.0));
        if alike < ALIKE {
            return Some((onset as f64 - expected.frame) / rate * 1e3);
        }
        let (left, right) = (fit(best - 1), fit(best + 1));
        let bend = left - 2.0 * alike + right;
        let between = if bend < -1e-9 { (0.5 * (left - right) / bend).clamp(-0.5, 0.5) } else { 0.0 };
        Some((best as f64 + between - expected.frame) / rate * 1e3)
    };
    let late_ms: Vec<Option<f64>> = layout.clicks.iter().map(measure).collect();
    // Where clicks may be heard: a stretched click may last longer.
    let lasting = 0.005 * rate * (1.0 / layout.speed).max(1.0) + 0.003 * rate;
    let found = layout.clicks.iter().zip(&late_ms).filter_map(|(e, late)| Some(e.frame + (*late)? / 1e3 * rate));
    let mut allowed: Vec<(f64, f64)> = found.map(|frame| (frame - 0.001 * rate, frame + lasting)).collect();
    allowed.extend(layout.cut_into.iter().map(|frame| (frame - 0.001 * rate, frame + lasting)));
    let mut strays: Vec<f64> = Vec::new();
    let loud = TONE + ATTACK * 12_000.0;
    for (i, _) in sound.iter().enumerate().filter(|(_, s)| s.abs() > loud) {
        let at = i as f64 / rate;
        let is_allowed = allowed.iter().any(|(from, to)| (*from..=*to).contains(&(i as f64)));
        if !is_allowed && strays.last().is_none_or(|last| at - last > 0.010) {
            strays.push(at);
        }
    }
    Heard { late_ms, strays }
}

/// Asserts that all clicks are there, each once and within `tolerance_ms` of its place.
pub fn check(layout: &Layout, sound: &[f64], tolerance_ms: f64) -> Result<(), String> {
    let heard = listen(layout, sound);
    let rate = f64::from(layout.rate);
    let mut wrong = Vec::new();
    for (expected, late) in layout.clicks.iter().zip(&heard.late_ms) {
        let at = expected.frame / rate;
        match late {
            None => wrong.push(format!("the click at {at:.4} s is lost")),
            Some(late) if late.abs() > tolerance_ms => {
                wrong.push(format!("the click at {at:.4} s is {late:+.3} ms late"))
            }
            Some(_) => {}
        }
    }
    wrong.extend(heard.strays.iter().map(|at| format!("there is a click too many at {at:.4} s")));
    if wrong.is_empty() {
        return Ok(());
    }
    let all = layout.clicks.len();
    Err(format!(
        "{} faults in {all} clicks: {}",
        wrong.len(),
        wrong.iter().take(6).cloned().collect::<Vec<_>>().join("; ")
    ))
}
