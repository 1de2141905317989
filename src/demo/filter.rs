//! Filters for timbre and clean-up.

use super::RATE;

/// The outputs of a state-variable filter for one sample.
pub(super) struct Bands {
    /// Low-pass, 12 dB per octave.
    pub(super) low: f32,
    /// Band-pass, with unit gain at its centre.
    pub(super) band: f32,
    /// High-pass, 12 dB per octave.
    pub(super) high: f32,
}

/// State-variable filter with trapezoidal integrators, so that its cutoff may be modulated freely (Zavalishin, "The Art
/// of VA Filter Design"; Simper 2013, "Linear Trapezoidal Integrated SVF").
#[derive(Clone)]
pub(super) struct Svf {
    g: f32,
    k: f32,
    a: f32,
    first: f32,
    second: f32,
}

impl Svf {
    /// Creates a filter with a cutoff in hertz and a quality factor (0.5 dull, 0.707 flat, above that resonant).
    pub(super) fn new(cutoff: f32, quality: f32) -> Self {
        let mut filter = Self { g: 0.0, k: 1.0, a: 1.0, first: 0.0, second: 0.0 };
        filter.tune(cutoff, quality);
        filter
    }

    /// Changes cutoff (hertz) and quality while preserving the filter's state.
    pub(super) fn tune(&mut self, cutoff: f32, quality: f32) {
        let cutoff = cutoff.clamp(10.0, RATE * 0.45);
        self.g = (std::f32::consts::PI * cutoff / RATE).tan();
        self.k = 1.0 / quality;
        self.a = 1.0 / (1.0 + self.g * (self.g + self.k));
    }

    /// Filters one sample.
    #[inline]
    pub(super) fn next(&mut self, input: f32) -> Bands {
        let rest = input - self.second;
        let band = self.a * (self.first + self.g * rest);
        let low = self.second + self.g * band;
        self.first = 2.0 * band - self.first;
        self.second = 2.0 * low - self.second;
        Bands { low, band: self.k * band, high: input - self.k * band - low }
    }
}

/// A one-pole low-pass, 6 dB per octave.
#[derive(Clone)]
pub(super) struct OnePole {
    pull: f32,
    held: f32,
}

impl OnePole {
    /// Creates a low-pass with a cutoff in hertz.
    pub(super) fn new(cutoff: f32) -> Self {
        Self { pull: 1.0 - (-std::f32::consts::TAU * cutoff / RATE).exp(), held: 0.0 }
    }

    /// Filters one sample.
    #[inline]
    pub(super) fn next(&mut self, input: f32) -> f32 {
        self.held += self.pull * (input - self.held);
        self.held
    }
}

/// Smooth saturation to -1.0..1.0: the Padé approximant of the hyperbolic tangent, which meets ±1 exactly at ±3.
#[inline]
pub(super) fn saturate(x: f32) -> f32 {
    let x = x.clamp(-3.0, 3.0);
    x * (27.0 + x * x) / (27.0 + 9.0 * x * x)
}
