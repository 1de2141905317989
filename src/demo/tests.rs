//! Tests of the properties that all stems must have.

use super::oscillator::hertz;
use super::pluck::pluck;
use super::rng::Rng;
use super::{RATE, STEMS, render};
use std::sync::OnceLock;

/// Amplitude of -3 dBFS.
const LIMIT: f32 = 0.708;

/// Every stem, rendered once for all tests.
fn rendered() -> &'static Vec<Vec<f32>> {
    static RENDERED: OnceLock<Vec<Vec<f32>>> = OnceLock::new();
    RENDERED.get_or_init(|| STEMS.iter().map(render).collect())
}

/// Root mean square.
fn rms(samples: &[f32]) -> f32 {
    let energy: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    (energy / samples.len() as f64).sqrt() as f32
}

/// Largest second difference, the mark of a click, in the 32 frames around a frame of the loop.
fn kink(samples: &[f32], frame: usize) -> f32 {
    let frames = samples.len() / 2;
    let at = |n: usize, side: usize| samples[(n % frames) * 2 + side];
    let mut worst = 0.0_f32;
    for n in frame + frames - 16..frame + frames + 16 {
        for side in 0..2 {
            let bend = at(n + 1, side) - 2.0 * at(n, side) + at(n - 1, side);
            worst = worst.max(bend.abs());
        }
    }
    worst
}

#[test]
fn lengths_are_sixteen_exact_bars_and_agree_within_a_deck() {
    for (stem, samples) in STEMS.iter().zip(rendered()) {
        let beat = f64::from(RATE) * 60.0 / f64::from(stem.bpm);
        assert_eq!(beat.fract(), 0.0, "{stem:?}: a beat is whole frames");
        assert_eq!(samples.len(), 2 * 64 * beat as usize, "{stem:?}");
    }
}

#[test]
fn samples_are_finite_and_peaks_leave_three_decibels() {
    for (stem, samples) in STEMS.iter().zip(rendered()) {
        assert!(samples.iter().all(|s| s.is_finite()), "{stem:?}");
        let peak = samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        assert!(peak <= LIMIT, "{stem:?} peaks at {peak}");
        assert!(peak > 0.2, "{stem:?} peaks at only {peak}");
    }
}

#[test]
fn a_deck_at_equal_gains_leaves_headroom() {
    for deck in rendered().chunks(4) {
        let over = (0..deck[0].len())
            .map(|n| 0.54 * deck.iter().map(|stem| stem[n]).sum::<f32>())
            .filter(|sum| sum.abs() > LIMIT)
            .count();
        assert!(over * 1_000 < deck[0].len(), "{over} samples above -3 dBFS");
    }
}

#[test]
fn the_decks_are_equally_strong() {
    let strength = |deck: &[Vec<f32>]| {
        let sum: Vec<f32> = (0..deck[0].len()).map(|n| deck.iter().map(|stem| stem[n]).sum()).collect();
        20.0 * rms(&sum).log10()
    };
    let (a, b) = (strength(&rendered()[..4]), strength(&rendered()[4..]));
    assert!((a - b).abs() < 1.0, "deck A at {a} dB, deck B at {b} dB");
}

#[test]
fn the_seam_is_no_rougher_than_the_bar_lines_inside() {
    for (stem, samples) in STEMS.iter().zip(rendered()) {
        let bar = samples.len() / 2 / 16;
        let inside = (1..16).map(|n| kink(samples, n * bar)).fold(0.0, f32::max);
        let seam = kink(samples, 0);
        assert!(seam <= inside * 1.5, "{stem:?}: {seam} against {inside}");

        let frames = samples.len() / 2;
        let step = |a: usize, b: usize| {
            (samples[2 * a] - samples[2 * b]).abs().max((samples[2 * a + 1] - samples[2 * b + 1]).abs())
        };
        let largest = (1..frames).map(|n| step(n, n - 1)).fold(0.0, f32::max);
        assert!(step(0, frames - 1) <= largest, "{stem:?}");
    }
}

#[test]
fn every_four_bars_sound() {
    for (stem, samples) in STEMS.iter().zip(rendered()) {
        for (n, bars) in samples.chunks(samples.len() / 4).enumerate() {
            let level = 20.0 * rms(bars).log10();
            assert!(level > -40.0, "{stem:?}, quarter {n}: {level} dBFS");
        }
    }
}

#[test]
fn no_stem_has_an_offset() {
    for (stem, samples) in STEMS.iter().zip(rendered()) {
        let sum: f64 = samples.iter().map(|&s| f64::from(s)).sum();
        let mean = sum / samples.len() as f64;
        assert!(mean.abs() < 1e-4, "{stem:?}: {mean}");
    }
}

#[test]
fn rendering_twice_gives_the_same_samples() {
    for (stem, samples) in STEMS.iter().zip(rendered()) {
        assert!(render(stem) == *samples, "{stem:?}");
    }
}

#[test]
fn names_are_unique_within_a_deck_and_others_are_empty() {
    for (n, stem) in STEMS.iter().enumerate() {
        let twins = STEMS[n + 1..].iter().any(|other| (other.deck, other.name) == (stem.deck, stem.name));
        assert!(!twins, "{stem:?}");
    }
    let stranger = super::Stem { deck: 'c', ..STEMS[0] };
    assert!(render(&stranger).is_empty());
}

/// Strength of one frequency in a sound, by correlation with a windowed wave.
fn strength(sound: &[f32], frequency: f32) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, &sample) in sound.iter().enumerate() {
        let place = std::f64::consts::TAU * n as f64;
        let window = 1.0 - (place / sound.len() as f64).cos();
        let angle = place * f64::from(frequency) / f64::from(RATE);
        real += f64::from(sample) * window * angle.cos();
        imaginary += f64::from(sample) * window * angle.sin();
    }
    real.hypot(imaginary)
}

#[test]
fn plucked_strings_are_in_tune() {
    for midi in [55, 60, 67, 69] {
        let sound = pluck(midi, 48_000, 0.7, &mut Rng::new(5));
        let cents = (-30..=30)
            .max_by(|&a, &b| {
                let at = |cents: i32| {
                    let note = f32::from(midi) + cents as f32 / 100.0;
                    strength(&sound[..48_000], hertz(note))
                };
                at(a).total_cmp(&at(b))
            })
            .unwrap_or(99);
        assert!(cents.abs() <= 4, "note {midi} is {cents} cents off");
    }
}
