//! Fixed-point time: a position in frames with 64 fractional bits.
//!
//! A position that is advanced sample by sample for days must not accumulate rounding errors, as a float would: with 64
//! fractional bits the sum is exact, and only the increment is rounded, once, by less than 2⁻⁶⁴ frames.

use std::ops::{Add, AddAssign, Mul, Sub};

/// A signed number of frames (or beats), 64.64 fixed point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fixed(i128);

impl Fixed {
    /// Zero.
    pub const ZERO: Fixed = Fixed(0);
    /// One.
    pub const ONE: Fixed = Fixed(1 << 64);

    /// Returns the nearest fixed-point number to `value`; NaN becomes zero, infinities saturate.
    pub fn from_f64(value: f64) -> Fixed {
        let whole = value.floor();
        // `as` saturates and turns NaN into zero, as intended.
        let frac = ((value - whole) * 18_446_744_073_709_551_616.0) as u64;
        Fixed(((whole as i64 as i128) << 64) + frac as i128)
    }

    /// Converts a whole number.
    pub fn from_int(value: i64) -> Fixed {
        Fixed((value as i128) << 64)
    }

    /// Returns the largest whole number not above this one.
    pub fn floor(self) -> i64 {
        (self.0 >> 64) as i64
    }

    /// Returns the nearest whole number, halves upwards.
    pub fn round(self) -> i64 {
        ((self.0 + (1 << 63)) >> 64) as i64
    }

    /// Returns the fraction above [`Fixed::floor`] in units of 2⁻⁶⁴.
    pub fn frac_bits(self) -> u64 {
        self.0 as u64
    }

    /// Converts to a float, with a float's precision.
    pub fn to_f64(self) -> f64 {
        self.floor() as f64 + self.frac_bits() as f64 / 18_446_744_073_709_551_616.0
    }

    /// Returns this number with `bits` fractional bits, rounded down; for inner loops that need a machine word.
    pub fn to_bits(self, bits: u32) -> i64 {
        (self.0 >> (64 - bits)) as i64
    }

    /// Returns the sum of `n` steps that start at `self` and grow by `slope` each: `n·self + slope·n·(n−1)/2`.
    pub fn sum_of(self, slope: Fixed, n: usize) -> Fixed {
        let n = n as i128;
        Fixed(self.0 * n + slope.0 * (n * (n - 1) / 2))
    }

    /// Returns this number divided by a small whole number, rounded towards minus infinity.
    pub fn div_int(self, n: usize) -> Fixed {
        Fixed(self.0.div_euclid(n.max(1) as i128))
    }
}

impl Add for Fixed {
    type Output = Fixed;
    fn add(self, other: Fixed) -> Fixed {
        Fixed(self.0 + other.0)
    }
}

impl AddAssign for Fixed {
    fn add_assign(&mut self, other: Fixed) {
        self.0 += other.0;
    }
}

impl Sub for Fixed {
    type Output = Fixed;
    fn sub(self, other: Fixed) -> Fixed {
        Fixed(self.0 - other.0)
    }
}

impl Mul<i64> for Fixed {
    type Output = Fixed;
    fn mul(self, n: i64) -> Fixed {
        Fixed(self.0 * n as i128)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_steps_lands_where_one_multiplication_does() {
        let step = Fixed::from_f64(44_100.0 / 48_000.0 * 1.037);
        let mut walked = Fixed::ZERO;
        for _ in 0..1_000_000 {
            walked += step;
        }
        assert_eq!(walked, step * 1_000_000);
        assert!((step.to_f64() - 44_100.0 / 48_000.0 * 1.037).abs() < 1e-15);
    }

    #[test]
    fn rounding_goes_to_the_nearest() {
        assert_eq!(Fixed::from_f64(2.5).round(), 3);
        assert_eq!(Fixed::from_f64(2.49).round(), 2);
        assert_eq!(Fixed::from_f64(-0.25).floor(), -1);
    }

    #[test]
    fn a_sum_of_growing_steps_is_exact() {
        let (step, slope) = (Fixed::from_f64(0.9), Fixed::from_f64(0.001));
        let mut walked = Fixed::ZERO;
        let mut now = step;
        for _ in 0..32 {
            walked += now;
            now += slope;
        }
        assert_eq!(walked, step.sum_of(slope, 32));
    }
}
