//! Drums with skins or wood, synthesised from sines and noise.

use super::RATE;
use super::envelope::Decay;
use super::filter::{OnePole, Svf, saturate};
use super::oscillator::{Phase, increment};
use super::rng::Rng;

/// Converts seconds to frames.
pub(super) fn frames(seconds: f32) -> usize {
    (seconds * RATE) as usize
}

/// Fades out the last five milliseconds, so that a truncated sound does not click.
pub(super) fn ended(mut sound: Vec<f32>) -> Vec<f32> {
    const FADE: usize = 240;
    for (n, sample) in sound.iter_mut().rev().take(FADE).enumerate() {
        *sample *= n as f32 / FADE as f32;
    }
    sound
}

/// A bass drum at `tone` hertz with a decay of about `ring` seconds.
pub(super) fn kick(velocity: f32, tone: f32, ring: f32) -> Vec<f32> {
    let (mut fall, mut snap) = (Decay::new(0.034), Decay::new(0.006));
    let mut level = Decay::new(ring);
    let mut phase = Phase::new(0.0);
    let mut click = Decay::new(0.0018);
    let mut rng = Rng::new(11);
    let mut beater = OnePole::new(4_500.0);
    let sound = (0..frames(ring * 4.5)).map(|_| {
        let frequency = tone * (1.0 + 1.9 * fall.next() + 4.5 * velocity * snap.next());
        let skin = phase.sine(increment(frequency));
        let knock = beater.next(rng.bipolar()) * click.next() * 0.5 * velocity;
        saturate(1.5 * (skin * level.next() + knock)) / 0.905 * velocity
    });
    ended(sound.collect())
}

/// A snare drum: two modes of the skin, and the wires.
pub(super) fn snare(velocity: f32, seed: u32) -> Vec<f32> {
    let (mut low, mut high) = (Phase::new(0.0), Phase::new(0.1));
    let (mut skin, mut ring) = (Decay::new(0.055), Decay::new(0.03));
    // Soft strokes barely excite the wires.
    let mut wires = Decay::new(0.035 + 0.075 * velocity);
    let mut bend = Decay::new(0.012);
    let mut band = Svf::new(2_900.0, 0.6);
    let mut rest = Svf::new(900.0, 0.7);
    let mut rng = Rng::new(seed);
    let sound = (0..frames(0.42)).map(|_| {
        let bend = 1.0 + 0.4 * bend.next();
        let modes = 0.62 * low.sine(increment(186.0 * bend)) * skin.next()
            + 0.34 * high.sine(increment(331.0 * bend)) * ring.next();
        let noise = rest.next(band.next(rng.bipolar()).low).high;
        velocity * saturate(1.3 * (modes + noise * wires.next() * (0.5 + 0.45 * velocity)))
    });
    ended(sound.collect())
}

/// A hand clap: a few hands, slightly apart, and a room.
pub(super) fn clap(velocity: f32, seed: u32) -> Vec<f32> {
    const HANDS: [f32; 3] = [0.0, 0.010, 0.0215];
    let mut band = Svf::new(1_250.0, 1.1);
    let mut rest = Svf::new(600.0, 0.7);
    let mut rng = Rng::new(seed);
    let sound = (0..frames(0.4)).map(|n| {
        let time = n as f32 / RATE;
        let mut level = 0.0;
        for hand in HANDS {
            if time >= hand {
                level = (-(time - hand) / 0.006).exp();
            }
        }
        if time > HANDS[2] {
            level = level.max(0.55 * (-(time - HANDS[2]) / 0.075).exp());
        }
        let noise = rng.bipolar();
        let hands = band.next(noise).band * 1.5 + 0.12 * noise;
        velocity * rest.next(hands).high * level
    });
    ended(sound.collect())
}

/// A shaker: grains that take a moment to reach the wall.
pub(super) fn shaker(velocity: f32, seed: u32) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let mut band = Svf::new(6_200.0, 0.9);
    let long = 0.02 + 0.026 * velocity;
    let mut fall = Decay::new(long);
    let sound = (0..frames(0.016 + 4.5 * long)).map(|n| {
        let time = n as f32 / RATE;
        let level = if time < 0.016 { time / 0.016 } else { fall.next() };
        velocity * band.next(rng.bipolar()).band * level
    });
    ended(sound.collect())
}

/// A rim shot: two short wooden modes.
pub(super) fn rim(velocity: f32) -> Vec<f32> {
    let (mut low, mut high) = (Phase::new(0.0), Phase::new(0.0));
    let (mut wood, mut edge) = (Decay::new(0.014), Decay::new(0.006));
    let sound = (0..frames(0.09)).map(|_| {
        let body = low.sine(increment(520.0)) * wood.next();
        let click = high.sine(increment(1_720.0)) * edge.next();
        velocity * saturate(1.4 * (0.7 * body + 0.6 * click))
    });
    ended(sound.collect())
}

/// A hand drum or tom at `tone` hertz with a decay of about `ring` seconds.
pub(super) fn conga(velocity: f32, tone: f32, ring: f32) -> Vec<f32> {
    let mut phase = Phase::new(0.0);
    let mut over = Phase::new(0.0);
    let (mut level, mut bend) = (Decay::new(ring), Decay::new(0.018));
    let (mut slap, mut edge) = (Decay::new(0.004), Decay::new(0.03));
    let mut rng = Rng::new(tone as u32);
    let mut skin = Svf::new(tone * 6.0, 1.0);
    let sound = (0..frames(ring * 5.0)).map(|_| {
        let bend = 1.0 + 0.16 * velocity * bend.next();
        let drum = phase.sine(increment(tone * bend)) * level.next()
            + 0.22 * over.sine(increment(tone * 1.58 * bend)) * edge.next();
        let hand = skin.next(rng.bipolar()).band * slap.next() * 0.6 * velocity;
        velocity * (drum + hand)
    });
    ended(sound.collect())
}
