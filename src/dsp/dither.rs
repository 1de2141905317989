//! Triangular (TPDF) dither: two uniform random numbers added before rounding decorrelate the error of a 16-bit word
//! from the signal (Lipshitz, Wannamaker & Vanderkooy, "Quantization and Dither", JAES 1992).

/// A source of triangular noise, one least significant bit wide to each side.
///
/// The generator is a 32-bit xorshift (Marsaglia 2003): cheap, allocation-free, the same sequence in every run.
#[derive(Clone, Debug)]
pub struct Dither {
    state: u32,
}

impl Default for Dither {
    fn default() -> Self {
        Dither { state: 0x9e37_79b9 }
    }
}

impl Dither {
    fn uniform(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        // 24 bits fit a float's mantissa exactly.
        (self.state >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Returns the next value in −1…1, triangularly distributed, in units of the word's least significant bit.
    ///
    /// Realtime: yes.
    pub fn next_lsb(&mut self) -> f32 {
        self.uniform() - self.uniform()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_triangular_around_zero() {
        let mut dither = Dither::default();
        let n = 100_000;
        let values: Vec<f32> = (0..n).map(|_| dither.next_lsb()).collect();
        let mean = values.iter().sum::<f32>() / n as f32;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / n as f32;
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((variance - 1.0 / 6.0).abs() < 0.005, "variance {variance}");
        assert!(values.iter().all(|v| v.abs() < 1.0));
    }
}
