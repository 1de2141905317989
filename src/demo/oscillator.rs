//! Band-limited oscillators.

use super::RATE;

/// The frequency in hertz of a MIDI note number, which may be fractional. Equal temperament; note 69 is 440 Hz.
pub(super) fn hertz(midi: f32) -> f32 {
    440.0 * ((midi - 69.0) / 12.0).exp2()
}

/// Sine of a phase in turns (1.0 is a full circle), accurate to about -105 dB.
///
/// A folded Taylor polynomial: cheaper than the standard library's sine, and built from basic arithmetic only, which
/// gives equal results on every machine.
pub(super) fn sine(turns: f32) -> f32 {
    let whole = (turns + 0.5_f32.copysign(turns)) as i32;
    let turn = turns - whole as f32;
    let folded = if turn.abs() > 0.25 { 0.5_f32.copysign(turn) - turn } else { turn };
    let x = folded * std::f32::consts::TAU;
    let s = x * x;
    x * (1.0 + s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s * (1.0 / 362_880.0)))))
}

/// Two-point polynomial band-limited step (Välimäki and Huovilainen 2007, "Antialiasing Oscillators in Subtractive
/// Synthesis"): the correction to be added around a jump of height -2 at phase 0 to reduce aliasing.
fn poly_blep(phase: f32, increment: f32) -> f32 {
    if phase < increment {
        let t = phase / increment;
        t + t - t * t - 1.0
    } else if phase > 1.0 - increment {
        let t = (phase - 1.0) / increment;
        t * t + t + t + 1.0
    } else {
        0.0
    }
}

/// A phase in turns, 0.0..1.0, that advances with a frequency.
#[derive(Clone, Copy)]
pub(super) struct Phase(f32);

impl Phase {
    /// Creates a phase that starts at `turns`, 0.0..1.0.
    pub(super) fn new(turns: f32) -> Self {
        Self(turns.clamp(0.0, 0.999_999))
    }

    /// Returns the phase and advances it by `increment` turns, 0.0..1.0.
    #[inline]
    pub(super) fn step(&mut self, increment: f32) -> f32 {
        let now = self.0;
        self.0 += increment;
        if self.0 >= 1.0 {
            self.0 -= 1.0;
        }
        now
    }

    /// Returns the next sample of a band-limited rising sawtooth, about -1.0..1.0.
    #[inline]
    pub(super) fn saw(&mut self, increment: f32) -> f32 {
        let t = self.step(increment);
        2.0 * t - 1.0 - poly_blep(t, increment)
    }

    /// Returns the next sample of a band-limited pulse without DC; `width` is 0.05..0.95 of its period.
    #[inline]
    pub(super) fn pulse(&mut self, increment: f32, width: f32) -> f32 {
        // The difference of two sawtooths, a pulse width apart.
        let t = self.step(increment);
        let shifted = if t + width >= 1.0 { t + width - 1.0 } else { t + width };
        let first = 2.0 * t - poly_blep(t, increment);
        let second = 2.0 * shifted - poly_blep(shifted, increment);
        second - first
    }

    /// Returns the next sample of a sine.
    #[inline]
    pub(super) fn sine(&mut self, increment: f32) -> f32 {
        sine(self.step(increment))
    }
}

/// Phase increment in turns per sample for a frequency in hertz, limited to less than the Nyquist frequency.
pub(super) fn increment(frequency: f32) -> f32 {
    (frequency / RATE).clamp(0.0, 0.45)
}
