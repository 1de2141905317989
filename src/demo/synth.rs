//! A subtractive synthesiser for basses, pads and the lead.

use super::RATE;
use super::envelope::{Envelope, Shape};
use super::filter::{Svf, saturate};
use super::oscillator::{Phase, hertz, increment};
use super::rng::Rng;

/// Frames between two updates of pitch and cutoff: often enough to be smooth, rarely enough to be cheap.
const CONTROL: usize = 16;

/// A patch of the synthesiser.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    /// Detuning of each sawtooth, in cents.
    pub(super) saws: &'static [f32],
    /// Level and width of an additional pulse wave.
    pub(super) pulse: (f32, f32),
    /// Level of a sine at the pitch of the note, which bypasses the filter.
    pub(super) body: f32,
    /// Base cutoff of the low-pass, in octaves above the note.
    pub(super) cutoff: f32,
    /// Depth of the filter envelope, in octaves.
    pub(super) sweep: f32,
    /// Quality factor of the low-pass.
    pub(super) quality: f32,
    /// Envelope of the level.
    pub(super) level: Shape,
    /// Envelope of the filter.
    pub(super) filter: Shape,
    /// Vibrato depth in cents; the vibrato sets in late, like a singer's.
    pub(super) vibrato: f32,
    /// Duration of the glide from the previous note, in seconds.
    pub(super) glide: f32,
    /// Drive into saturation above 1.0; 1.0 is clean.
    pub(super) drive: f32,
}

/// A note to be played with a patch.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// MIDI note number.
    pub(super) midi: u8,
    /// MIDI note number from which it glides.
    pub(super) from: u8,
    /// Duration for which the key is held, in frames.
    pub(super) gate: usize,
    /// Velocity, 0.0..1.0.
    pub(super) velocity: f32,
}

/// Renders one note; mono. `rng` determines the initial phases of the oscillators.
pub(super) fn play(patch: &Patch, key: Key, rng: &mut Rng) -> Vec<f32> {
    let frames = patch.level.frames(key.gate);
    let mut level = Envelope::new(&patch.level, key.gate);
    let mut filter = Envelope::new(&patch.filter, key.gate);
    let mut saws: Vec<(Phase, f32)> =
        patch.saws.iter().map(|cents| (Phase::new(rng.unipolar()), (cents / 1200.0).exp2())).collect();
    let mut pulse = Phase::new(rng.unipolar());
    let mut body = Phase::new(0.0);
    let mut vibrato = Phase::new(0.0);
    let vibrato_rate = (4.9 + 0.3 * rng.bipolar()) * CONTROL as f32 / RATE;
    let mut low = [Svf::new(1_000.0, patch.quality), Svf::new(1_000.0, 0.6)];
    let (midi, from) = (f32::from(key.midi), f32::from(key.from));
    let share = 1.0 / (1.0 + patch.saws.len() as f32).sqrt();
    let gain = key.velocity.powf(1.4);
    let mut step = 0.0;
    let mut sound = Vec::with_capacity(frames);
    for frame in 0..frames {
        let sweep = filter.next();
        if frame % CONTROL == 0 {
            let age = frame as f32 / RATE;
            let slide = if patch.glide > 0.0 { (from - midi) * (-age * 4.0 / patch.glide).exp() } else { 0.0 };
            let late = ((age - 0.18) * 3.0).clamp(0.0, 1.0);
            let wave = vibrato.sine(vibrato_rate) * patch.vibrato * 0.01 * late;
            let frequency = hertz(midi + slide + wave);
            step = increment(frequency);
            // Harder strokes are brighter, as with acoustic instruments.
            let octaves = patch.cutoff + patch.sweep * sweep * (0.4 + 0.6 * key.velocity);
            let cutoff = (frequency * octaves.exp2()).min(14_000.0);
            low[0].tune(cutoff, patch.quality);
            low[1].tune(cutoff * 1.4, 0.6);
        }
        let mut wave = 0.0;
        if patch.pulse.0 > 0.0 {
            wave += patch.pulse.0 * pulse.pulse(step, patch.pulse.1);
        }
        for (phase, ratio) in &mut saws {
            wave += phase.saw(step * *ratio);
        }
        let shaped = low[0].next(wave * share).low;
        let mut shaped = low[1].next(shaped).low;
        if patch.body > 0.0 {
            shaped += patch.body * body.sine(step);
        }
        let loud = level.next() * gain;
        sound.push(if patch.drive > 1.0 { saturate(shaped * loud * patch.drive) / patch.drive } else { shaped * loud });
    }
    sound
}
