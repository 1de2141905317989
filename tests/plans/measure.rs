//! Measurements: what begins when, how loud, and in which phase.

use std::f64::consts::TAU;

use crate::common::Sound;
use crate::written::{BAR, PULSE, level};

/// Magnitude of -120 dB.
pub const SILENT: f32 = 1e-6;

/// Returns the frames of a channel that are not silent.
pub fn loud(channel: &[f32]) -> Vec<usize> {
    channel.iter().enumerate().filter(|(_, v)| v.abs() > SILENT).map(|(n, _)| n).collect()
}

/// A start of a stamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Its first frame.
    pub at: usize,
    /// The stamp's number.
    pub code: usize,
}

/// Returns the gain of stamps, from the first pulse.
pub fn gain(sound: &Sound) -> f64 {
    let first = sound.right.iter().position(|v| v.abs() > SILENT).expect("silence");
    f64::from(sound.right[first] - sound.right[first + 1]) / PULSE
}

/// Returns the starts of stamps. Each has all of its first frame, and is alone, with its own level, `fade` frames
/// later.
pub fn starts(sound: &Sound, fade: usize) -> Vec<Start> {
    let gain = gain(sound);
    assert!((0.2..1.0).contains(&gain), "stamps have the gain {gain}");
    let right = |n: usize| f64::from(sound.right.get(n).copied().unwrap_or(0.0)) / gain;
    let mut found: Vec<Start> = Vec::new();
    for at in 0..sound.right.len() {
        if right(at) - right(at + 1) < 0.6 * PULSE {
            continue;
        }
        // Beneath it, what fades out moves slowly.
        let pulse = right(at) - right(at + 1);
        assert!((pulse / PULSE - 1.0).abs() < 0.02, "the pulse at frame {at} has {pulse} of {PULSE}: {found:?}");
        let place = right(at + fade + 300) / level(0) - 1.0;
        let code = place.round().max(0.0);
        assert!((place - code).abs() < 0.05, "at frame {at} begins stamp {place}; before it, {found:?}");
        found.push(Start { at, code: code as usize });
    }
    found
}

/// Asserts that exactly these stamps begin, (stamp, bars), each on the sample at which the one before ends.
pub fn assert_starts(sound: &Sound, expected: &[(usize, usize)], fade: usize, what: &str) -> usize {
    let found = starts(sound, fade);
    let first = found.first().unwrap_or_else(|| panic!("{what}: nothing begins")).at;
    let mut at = first;
    let expected: Vec<Start> = expected
        .iter()
        .map(|(code, bars)| {
            let start = Start { at, code: *code };
            at += bars * BAR;
            start
        })
        .collect();
    assert_eq!(found, expected, "{what}");
    first
}

/// Returns the longest run of silent frames of both channels within a range.
pub fn longest_silence(sound: &Sound, range: std::ops::Range<usize>) -> usize {
    let (mut longest, mut current) = (0, 0);
    for (l, r) in sound.left[range.clone()].iter().zip(&sound.right[range]) {
        current = if l.abs() <= SILENT && r.abs() <= SILENT { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    longest
}

/// Returns the end of the sound: one past the last frame that is not silent.
pub fn end(sound: &Sound) -> usize {
    let of = |channel: &[f32]| channel.iter().rposition(|v| v.abs() > SILENT).map_or(0, |n| n + 1);
    of(&sound.left).max(of(&sound.right))
}

/// A tone as it is heard: level·cos(ω·frame − phase).
#[derive(Clone, Copy, Debug)]
pub struct Tone {
    pub level: f64,
    pub phase: f64,
}

/// Fits tones of these frequencies (in cycles a frame) to frames of a channel, apart from those that are `masked`:
/// least squares, weighted by a Hann window.
pub fn fit(
    channel: &[f32],
    range: std::ops::Range<usize>,
    cycles: &[f64],
    masked: impl Fn(usize) -> bool,
) -> Vec<Tone> {
    let order = 2 * cycles.len();
    let mut matrix = vec![vec![0.0; order + 1]; order];
    let mut row = vec![0.0; order + 1];
    let length = range.len() as f64;
    for n in range.clone().filter(|n| !masked(*n)) {
        let weight = 0.5 - 0.5 * (TAU * (n - range.start) as f64 / length).cos();
        for (k, cycles) in cycles.iter().enumerate() {
            let (sin, cos) = (TAU * (cycles * n as f64).fract()).sin_cos();
            (row[2 * k], row[2 * k + 1]) = (cos, sin);
        }
        row[order] = f64::from(channel[n]);
        for (k, equation) in matrix.iter_mut().enumerate() {
            let scale = weight * row[k];
            equation[k..].iter_mut().zip(&row[k..]).for_each(|(sum, value)| *sum += scale * value);
        }
    }
    // The matrix is symmetric.
    let upper = matrix.clone();
    for (k, equation) in matrix.iter_mut().enumerate() {
        equation[..k].iter_mut().zip(&upper).for_each(|(value, above)| *value = above[k]);
    }
    let solution = solve(matrix);
    solution.chunks(2).map(|pair| Tone { level: pair[0].hypot(pair[1]), phase: pair[1].atan2(pair[0]) }).collect()
}

/// Frames of a slice of [`sliced`].
const SLICE: usize = 12_000;

/// Returns the mean level of a tone whose phase may wander, in slices of a quarter of a second, after the tones in
/// `others` have been taken away.
pub fn sliced(
    channel: &[f32],
    range: std::ops::Range<usize>,
    cycles: f64,
    others: &[(f64, Tone)],
    masked: impl Fn(usize) -> bool,
) -> f64 {
    let angle = |cycles: f64, n: usize| TAU * (cycles * n as f64).fract();
    let mut levels = Vec::new();
    for begin in range.clone().step_by(SLICE).filter(|begin| begin + SLICE <= range.end) {
        let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
        for n in (begin..begin + SLICE).filter(|n| !masked(*n)) {
            let taken: f64 = others.iter().map(|(c, tone)| tone.level * (angle(*c, n) - tone.phase).cos()).sum();
            let value = f64::from(channel[n]) - taken;
            let w = 0.5 - 0.5 * (TAU * (n - begin) as f64 / SLICE as f64).cos();
            let (sin, cos) = angle(cycles, n).sin_cos();
            re += w * value * cos;
            im += w * value * sin;
            weight += w;
        }
        if weight > 0.2 * SLICE as f64 {
            levels.push(2.0 * f64::hypot(re, im) / weight);
        }
    }
    levels.iter().sum::<f64>() / levels.len().max(1) as f64
}

/// Solves linear equations, whose last column is the right-hand side.
fn solve(mut matrix: Vec<Vec<f64>>) -> Vec<f64> {
    let order = matrix.len();
    for k in 0..order {
        let pivot = (k..order).max_by(|a, b| matrix[*a][k].abs().total_cmp(&matrix[*b][k].abs())).unwrap();
        matrix.swap(k, pivot);
        let above = matrix[k].clone();
        for equation in &mut matrix[k + 1..] {
            let factor = equation[k] / above[k];
            equation[k..].iter_mut().zip(&above[k..]).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solution = vec![0.0; order];
    for k in (0..order).rev() {
        let known: f64 = (k + 1..order).map(|j| matrix[k][j] * solution[j]).sum();
        solution[k] = (matrix[k][order] - known) / matrix[k][k];
    }
    solution
}

/// Seconds from the beginning of a file to the middle of its first tick, and a tick's width.
const WIDTH: f64 = 0.0015;

/// Returns a tick whose middle is found to a fraction of a frame, `into` seconds after that middle.
pub fn tick(into: f64) -> f64 {
    0.5 * (-(into / WIDTH).powi(2)).exp() * (TAU * 3_000.0 * into).cos()
}

/// Returns the middles of the ticks of a channel, in frames.
pub fn ticks(channel: &[f32]) -> Vec<f64> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(k) = channel[at..].iter().position(|v| v.abs() > 0.004) {
        let start = (at + k).saturating_sub(300);
        let piece = &channel[start..(at + k + 600).min(channel.len())];
        let (weight, moment) = piece.iter().enumerate().fold((0.0, 0.0), |(weight, moment), (n, v)| {
            let power = f64::from(*v).powi(2);
            (weight + power, moment + power * n as f64)
        });
        found.push(start as f64 + moment / weight);
        at = (at + k + 2_400).min(channel.len());
    }
    found
}

/// Returns the distance of the nearest of some places, in frames.
pub fn nearest(places: &[f64], at: f64) -> f64 {
    places.iter().map(|place| (place - at).abs()).fold(f64::INFINITY, f64::min)
}

/// Returns an angle from -π to π.
pub fn wrapped(angle: f64) -> f64 {
    angle - TAU * (angle / TAU).round()
}
