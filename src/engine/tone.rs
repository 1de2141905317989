//! The test tone: a sine that fades in, sounds, and fades out.

use super::ramp::Ramp;

/// A sine oscillator with fades. Realtime: yes.
#[derive(Debug)]
pub struct Tone {
    phase: f64,
    step: f64,
    left: u32,
    gain: Ramp,
    ramp_frames: u32,
}

impl Tone {
    /// Creates a silent oscillator. `ramp_frames` is the length of its fades.
    pub fn new(ramp_frames: u32) -> Tone {
        Tone { phase: 0.0, step: 0.0, left: 0, gain: Ramp::new(0.0), ramp_frames }
    }

    /// Sounds for `frames` frames at `cycles_per_frame` with peak amplitude `gain`.
    pub fn start(&mut self, cycles_per_frame: f64, gain: f32, frames: u32) {
        if self.gain.is_silent() {
            self.phase = 0.0;
        }
        self.step = cycles_per_frame;
        self.left = frames.max(1);
        self.gain.to(gain, self.ramp_frames);
    }

    /// Adds the next frames to both channels.
    pub fn add(&mut self, left: &mut [f32], right: &mut [f32]) {
        if self.gain.is_silent() && self.left == 0 {
            return;
        }
        let n = left.len() as u32;
        if self.left > 0 {
            self.left = self.left.saturating_sub(n);
            if self.left == 0 {
                self.gain.to(0.0, self.ramp_frames);
            }
        }
        let (from, to) = self.gain.advance(n);
        let slope = (to - from) / n.max(1) as f32;
        for (i, (l, r)) in left.iter_mut().zip(right).enumerate() {
            let value = (self.phase * std::f64::consts::TAU).sin() as f32 * (from + slope * (i + 1) as f32);
            self.phase += self.step;
            self.phase -= self.phase.floor();
            *l += value;
            *r += value;
        }
    }
}
