//! Hi-hats and cymbals.

use super::RATE;
use super::drum::{ended, frames};
use super::envelope::Decay;
use super::filter::{OnePole, Svf};
use super::oscillator::{Phase, increment};
use super::rng::Rng;

/// Seconds of continuous metallic sound from which strokes are cut.
const KEPT: f32 = 2.0;

/// A continuous metallic sound: six pulse waves at the unrelated pitches of an analogue drum machine's cymbal circuit,
/// with noise, high-passed. Each stroke is cut from a different place and has its own envelope.
pub(super) struct Metal {
    ringing: Vec<f32>,
}

impl Metal {
    /// Creates a sound without significant content below `floor` hertz.
    fn new(floor: f32, seed: u32) -> Self {
        const PITCHES: [f32; 6] = [525.0, 611.0, 739.0, 1_045.0, 1_080.0, 1_600.0];
        let mut rng = Rng::new(seed);
        let mut waves = PITCHES.map(|pitch| (Phase::new(rng.unipolar()), increment(pitch)));
        let (mut first, mut second) = (Svf::new(floor, 0.8), Svf::new(floor * 0.9, 0.7));
        let ringing = (0..frames(KEPT)).map(|_| {
            let mut wave = 0.0;
            for (phase, step) in &mut waves {
                wave += phase.pulse(*step, 0.5);
            }
            let dust = wave * 0.13 + rng.bipolar() * 0.45;
            second.next(first.next(dust).high).high * 2.0
        });
        Self { ringing: ringing.collect() }
    }

    /// Renders a stroke that decays to 1/e in `ring` seconds.
    fn stroke(&self, velocity: f32, ring: f32, seed: u32) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        let start = (rng.unipolar() * KEPT * 0.9 * RATE) as usize;
        let mut soften = OnePole::new(6_500.0 + 5_000.0 * velocity);
        let (mut body, mut tick) = (Decay::new(ring), Decay::new(0.008));
        let sound = self.ringing.iter().cycle().skip(start).map(|&metal| {
            let level = 0.8 * body.next() + 0.35 * tick.next();
            velocity * soften.next(metal) * level
        });
        ended(sound.take(frames(ring * 5.0 + 0.02)).collect())
    }
}

/// The cymbals of a drum kit: hi-hat and one cymbal.
pub(super) struct Cymbals {
    tight: Metal,
    loose: Metal,
    large: Metal,
}

impl Cymbals {
    /// Creates the set.
    pub(super) fn new() -> Self {
        Self { tight: Metal::new(6_800.0, 21), loose: Metal::new(6_000.0, 22), large: Metal::new(4_200.0, 23) }
    }

    /// Renders a stroke of the closed hi-hat.
    pub(super) fn hat(&self, velocity: f32, seed: u32) -> Vec<f32> {
        self.tight.stroke(velocity, 0.018 + 0.02 * velocity, seed)
    }

    /// Renders a stroke of the open hi-hat.
    pub(super) fn open_hat(&self, velocity: f32, seed: u32) -> Vec<f32> {
        self.loose.stroke(velocity, 0.115, seed)
    }

    /// Renders a stroke of the cymbal, as a ride or a crash, that decays to 1/e in `ring` seconds.
    pub(super) fn cymbal(&self, velocity: f32, ring: f32, seed: u32) -> Vec<f32> {
        self.large.stroke(velocity, ring, seed)
    }
}
