//! Envelopes of notes.

use super::RATE;

/// Parameters of an envelope; times are in seconds.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Duration of the linear rise to full level.
    pub(super) attack: f32,
    /// Time constant of the decay towards the sustain level.
    pub(super) decay: f32,
    /// Level held while the note lasts, 0.0..1.0.
    pub(super) sustain: f32,
    /// Time after which the released note has fallen by 80 dB.
    pub(super) release: f32,
}

impl Shape {
    /// Length in frames of a note held for `gate` frames, with its release.
    pub(super) fn frames(&self, gate: usize) -> usize {
        gate + (self.release * RATE) as usize
    }
}

/// Attack, decay, sustain, release: a linear rise and exponential decays.
pub(super) struct Envelope {
    rise: f32,
    pull: f32,
    sustain: f32,
    fade: f32,
    gate: usize,
    attack: usize,
    frame: usize,
    level: f32,
}

impl Envelope {
    /// Creates the envelope of a note held for `gate` frames.
    pub(super) fn new(shape: &Shape, gate: usize) -> Self {
        let attack = (shape.attack * RATE).max(1.0);
        Self {
            rise: 1.0 / attack,
            pull: 1.0 - (-1.0 / (shape.decay.max(1e-4) * RATE)).exp(),
            sustain: shape.sustain,
            fade: (-9.21 / (shape.release.max(1e-4) * RATE)).exp(),
            gate,
            attack: attack as usize,
            frame: 0,
            level: 0.0,
        }
    }

    /// Returns the level of the next frame, 0.0..1.0.
    #[inline]
    pub(super) fn next(&mut self) -> f32 {
        if self.frame >= self.gate {
            self.level *= self.fade;
        } else if self.frame < self.attack {
            self.level = (self.level + self.rise).min(1.0);
        } else {
            self.level += self.pull * (self.sustain - self.level);
        }
        self.frame += 1;
        self.level
    }
}

/// A plain exponential decay from 1.0, for percussive sounds.
pub(super) struct Decay {
    level: f32,
    fade: f32,
}

impl Decay {
    /// Creates a decay that reaches 1/e after `time` seconds.
    pub(super) fn new(time: f32) -> Self {
        Self { level: 1.0, fade: (-1.0 / (time * RATE)).exp() }
    }

    /// Returns the level of the next frame.
    #[inline]
    pub(super) fn next(&mut self) -> f32 {
        let now = self.level;
        self.level *= self.fade;
        // Denormal numbers are slow to calculate with.
        if self.level < 1e-12 {
            self.level = 0.0;
        }
        now
    }
}
