//! A small integer random generator that gives the same numbers on every machine.

/// Marsaglia's xorshift generator with 32 bits of state (Marsaglia 2003, "Xorshift RNGs"). Sufficient for noise and for
/// small random deviations.
#[derive(Clone)]
pub(super) struct Rng(u32);

impl Rng {
    /// Creates a generator from a seed; nearby seeds give unrelated streams.
    pub(super) fn new(seed: u32) -> Self {
        // Xorshift must not start at zero and starts slowly from small seeds: spread the bits with Knuth's
        // multiplicative hash first.
        Self(seed.wrapping_mul(2_654_435_761) | 1)
    }

    /// Returns the next number, uniform over -1.0..1.0: white noise.
    pub(super) fn bipolar(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        // An f32 holds 24 bits exactly.
        (self.0 >> 8) as f32 * (2.0 / 16_777_216.0) - 1.0
    }

    /// Returns the next number, uniform over 0.0..1.0.
    pub(super) fn unipolar(&mut self) -> f32 {
        self.bipolar() * 0.5 + 0.5
    }
}
