//! The loop on which a stem is rendered.

use super::RATE;

/// A circular stereo buffer: sound that runs past its end continues at its start, so that tails ring across the seam.
pub(super) struct Tape {
    left: Vec<f32>,
    right: Vec<f32>,
}

impl Tape {
    /// Creates an empty loop of `frames` frames, at least one.
    pub(super) fn new(frames: usize) -> Self {
        let frames = frames.max(1);
        Self { left: vec![0.0; frames], right: vec![0.0; frames] }
    }

    /// Length in frames.
    pub(super) fn frames(&self) -> usize {
        self.left.len()
    }

    /// Adds a sound from frame `at` on; `pan` is -1.0 (left) to 1.0 (right), with constant power.
    pub(super) fn add(&mut self, at: usize, sound: &[f32], gain: f32, pan: f32) {
        let angle = (pan.clamp(-1.0, 1.0) + 1.0) * std::f32::consts::FRAC_PI_4;
        let (to_right, to_left) = angle.sin_cos();
        let (to_left, to_right) = (to_left * gain, to_right * gain);
        let mut frame = at % self.frames();
        for &sample in sound {
            self.left[frame] += sample * to_left;
            self.right[frame] += sample * to_right;
            frame += 1;
            if frame == self.left.len() {
                frame = 0;
            }
        }
    }

    /// Adds another loop of the same length.
    pub(super) fn mix(&mut self, other: &Self, gain: f32) {
        for (mine, theirs) in self.left.iter_mut().zip(&other.left) {
            *mine += theirs * gain;
        }
        for (mine, theirs) in self.right.iter_mut().zip(&other.right) {
            *mine += theirs * gain;
        }
    }

    /// Runs an effect around the loop. The last `warm_up` seconds are first processed without recording, so that at
    /// frame 0 the tails already sound as they will when the loop repeats. The effect receives the position in the loop
    /// (0.0..1.0) and both channels.
    pub(super) fn through(&mut self, warm_up: f32, mut effect: impl FnMut(f32, [f32; 2]) -> [f32; 2]) {
        let frames = self.frames();
        let lead_in = ((warm_up * RATE) as usize).min(frames);
        let share = 1.0 / frames as f32;
        for frame in frames - lead_in..frames {
            effect(frame as f32 * share, [self.left[frame], self.right[frame]]);
        }
        for (frame, (left, right)) in self.left.iter_mut().zip(&mut self.right).enumerate() {
            [*left, *right] = effect(frame as f32 * share, [*left, *right]);
        }
    }

    /// Lowers the level by `depth` (0.0..1.0) at frame `at`, with recovery within `seconds`, to make room for the bass
    /// drum.
    pub(super) fn duck(&mut self, at: usize, depth: f32, seconds: f32) {
        // An attack of a few milliseconds, since a step would click.
        const FALL: usize = 240;
        let frames = self.frames();
        let back = (seconds * RATE) as usize;
        let start = at % frames + frames - FALL;
        for n in 0..FALL + back {
            let pressed = if n < FALL {
                n as f32 / FALL as f32
            } else {
                let left = 1.0 - (n - FALL) as f32 / back as f32;
                left * left * (3.0 - 2.0 * left)
            };
            let gain = 1.0 - depth * pressed;
            let frame = (start + n) % frames;
            self.left[frame] *= gain;
            self.right[frame] *= gain;
        }
    }

    /// Scales the loop to a root-mean-square level in dBFS, over both channels together.
    pub(super) fn level(&mut self, decibels: f32) {
        let energy: f64 = self.left.iter().chain(&self.right).map(|&s| f64::from(s) * f64::from(s)).sum();
        let rms = (energy / (2 * self.frames()) as f64).sqrt() as f32;
        if rms > 0.0 {
            let gain = 10.0_f32.powf(decibels / 20.0) / rms;
            for sample in self.left.iter_mut().chain(&mut self.right) {
                *sample *= gain;
            }
        }
    }

    /// Returns the loop as interleaved left and right samples.
    pub(super) fn interleaved(&self) -> Vec<f32> {
        self.left.iter().zip(&self.right).flat_map(|(&left, &right)| [left, right]).collect()
    }
}
