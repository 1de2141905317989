//! Values that move linearly instead of jumping.

use wide::f32x4;

/// A linear ramp over a number of frames. Realtime: yes, all of it.
#[derive(Clone, Copy, Debug)]
pub struct Ramp {
    value: f32,
    target: f32,
    left: u32,
    /// Frames until the movement starts.
    wait: u32,
}

impl Ramp {
    /// Creates a ramp at rest at `value`.
    pub fn new(value: f32) -> Ramp {
        Ramp { value, target: value, left: 0, wait: 0 }
    }

    /// Moves to `target` within `frames` frames from now; zero frames is immediate.
    pub fn to(&mut self, target: f32, frames: u32) {
        self.to_after(0, target, frames);
    }

    /// Rests for `wait` frames from now, then moves to `target` within `frames` frames (immediately if both are zero).
    pub fn to_after(&mut self, wait: u32, target: f32, frames: u32) {
        self.target = target;
        self.left = frames.max(wait.min(1));
        self.wait = wait;
        if self.left == 0 {
            self.value = target;
        }
    }

    /// Jumps to `value` and rests there.
    pub fn jump(&mut self, value: f32) {
        *self = Ramp::new(value);
    }

    /// Returns the current value.
    pub fn value(&self) -> f32 {
        self.value
    }

    /// Returns the target value.
    pub fn target(&self) -> f32 {
        self.target
    }

    /// Returns the frames until the movement starts.
    pub fn wait(&self) -> u32 {
        self.wait
    }

    /// Returns whether the target has been reached.
    pub fn is_still(&self) -> bool {
        self.left == 0
    }

    /// Returns whether the ramp rests at zero.
    pub fn is_silent(&self) -> bool {
        self.left == 0 && self.value == 0.0
    }

    /// Advances by `frames` frames and returns the values at the start and end of the span.
    pub fn advance(&mut self, frames: u32) -> (f32, f32) {
        let from = self.value;
        let waited = frames.min(self.wait);
        self.wait -= waited;
        let frames = frames - waited;
        if frames > 0 && self.left > 0 {
            if frames >= self.left {
                self.value = self.target;
                self.left = 0;
            } else {
                self.value += (self.target - self.value) * frames as f32 / self.left as f32;
                self.left -= frames;
            }
        }
        (from, self.value)
    }
}

/// Multiplies `samples` by a gain that moves linearly from `from` (before the first sample) to `to` (at the last).
///
/// Realtime: yes. A gain of exactly one leaves the samples unchanged.
pub fn scale(samples: &mut [f32], from: f32, to: f32) {
    if from == to {
        if from != 1.0 {
            for s in samples {
                *s *= from;
            }
        }
        return;
    }
    let step = (to - from) / samples.len().max(1) as f32;
    for (i, s) in samples.iter_mut().enumerate() {
        *s *= from + step * (i + 1) as f32;
    }
}

/// Adds `samples`, scaled as by [`scale`], to `out`. Realtime: yes.
pub fn mix(out: &mut [f32], samples: &[f32], from: f32, to: f32) {
    if from == to {
        if from != 0.0 {
            // Spans are short (some thirty frames): vectors of four leave the shortest remainder.
            let n = out.len().min(samples.len());
            let (out, samples) = (&mut out[..n], &samples[..n]);
            let (out, out_rest) = out.as_chunks_mut::<4>();
            let (samples, rest) = samples.as_chunks::<4>();
            let gain = f32x4::splat(from);
            for (o, s) in out.iter_mut().zip(samples) {
                *o = (f32x4::from(*o) + f32x4::from(*s) * gain).to_array();
            }
            for (o, s) in out_rest.iter_mut().zip(rest) {
                *o += s * from;
            }
        }
        return;
    }
    let step = (to - from) / samples.len().max(1) as f32;
    for (i, (o, s)) in out.iter_mut().zip(samples).enumerate() {
        *o += s * (from + step * (i + 1) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrives_exactly_and_stays() {
        let mut ramp = Ramp::new(0.0);
        ramp.to(0.3, 100);
        assert_eq!(ramp.advance(50), (0.0, 0.15));
        assert_eq!(ramp.advance(64).1, 0.3);
        assert!(ramp.is_still());
        assert_eq!(ramp.advance(32), (0.3, 0.3));
    }

    #[test]
    fn waits_before_it_sets_out() {
        let mut ramp = Ramp::new(0.0);
        ramp.to_after(20, 1.0, 100);
        assert_eq!(ramp.advance(20), (0.0, 0.0));
        assert!(!ramp.is_still());
        assert_eq!(ramp.advance(50), (0.0, 0.5));
        ramp.to_after(10, 0.0, 10);
        assert_eq!(ramp.advance(15), (0.5, 0.25));
        ramp.to(1.0, 5);
        assert_eq!(ramp.advance(5).1, 1.0);
    }

    #[test]
    fn a_new_target_starts_from_where_it_is() {
        let mut ramp = Ramp::new(1.0);
        ramp.to(0.0, 100);
        ramp.advance(50);
        ramp.to(1.0, 10);
        assert_eq!(ramp.advance(5), (0.5, 0.75));
    }
}
