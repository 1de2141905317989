//! Frequency modulation: electric piano and bells (Chowning 1973, "The Synthesis of Complex Audio Spectra by Means of
//! Frequency Modulation").

use super::RATE;
use super::envelope::{Decay, Envelope, Shape};
use super::oscillator::{Phase, hertz, increment, sine};

/// Renders a note of an electric piano, held for `gate` frames; mono.
///
/// A pair of oscillators at a ratio of 1:1 is the tone bar; a quiet pair with the modulator fourteen times higher is
/// the short ping of the tine.
pub(super) fn piano(midi: u8, gate: usize, velocity: f32) -> Vec<f32> {
    let note = f32::from(midi);
    let frequency = hertz(note);
    // Low strings ring longer.
    let ring = 1.5 * ((57.0 - note) / 24.0).exp2();
    let shape = Shape { attack: 0.002, decay: ring, sustain: 0.0, release: 0.35 };
    let mut level = Envelope::new(&shape, gate);
    let mut bite = Decay::new(0.22 * ring);
    let mut ping = Decay::new(0.09);
    let step = increment(frequency);
    // Slightly detuned, so that the tone moves while it rings.
    let off = increment(frequency * 1.0012 + 0.25);
    let tine = increment((frequency * 14.0).min(9_000.0));
    let (mut carrier, mut modulator) = (Phase::new(0.0), Phase::new(0.0));
    let (mut second, mut high) = (Phase::new(0.0), Phase::new(0.0));
    let depth = 0.055 + 0.3 * velocity * velocity;
    let gain = velocity.powf(1.3);
    let tine_gain = 0.16 * velocity * velocity * (1.0 - (note - 60.0) / 60.0).clamp(0.3, 1.2);
    (0..shape.frames(gate))
        .map(|_| {
            let bite = bite.next();
            let index = depth * (0.35 + 0.65 * bite);
            let bar = sine(carrier.step(step) + index * modulator.sine(off));
            let bell = sine(second.step(step) + 0.1 * high.sine(tine));
            (bar + tine_gain * ping.next() * (bell + high_ping(bell))) * level.next() * gain
        })
        .collect()
}

/// Waveshapes a ping, for its glassy upper edge.
fn high_ping(bell: f32) -> f32 {
    bell * (1.0 - bell * bell)
}

/// Renders a soft bell; mono. It decays by itself.
pub(super) fn bell(midi: u8, velocity: f32) -> Vec<f32> {
    let frequency = hertz(f32::from(midi));
    let frames = (2.4 * RATE) as usize;
    let shape = Shape { attack: 0.003, decay: 0.55, sustain: 0.0, release: 0.5 };
    let mut level = Envelope::new(&shape, frames - (0.5 * RATE) as usize);
    let mut bright = Decay::new(0.3);
    let mut glass = Decay::new(0.06);
    let step = increment(frequency);
    // 3.5 is the classic inharmonic ratio for bells.
    let clang = increment(frequency * 3.5);
    let (mut carrier, mut modulator) = (Phase::new(0.0), Phase::new(0.0));
    let mut upper = Phase::new(0.0);
    let gain = velocity.powf(1.3);
    (0..frames)
        .map(|_| {
            let index = 0.17 * velocity * bright.next();
            let tone = sine(carrier.step(step) + index * modulator.sine(clang));
            let strike = 0.12 * glass.next() * upper.sine((step * 4.0).min(0.4));
            (tone + strike) * level.next() * gain
        })
        .collect()
}
