//! True peaks: detection of peaks between samples.
//!
//! The signal is interpolated at four times its rate (as in ITU-R BS.1770, annex 2) by a Kaiser-windowed sinc of
//! sixteen taps. Between these points a peak is estimated by a parabola through the highest point and its neighbours;
//! four points per sample alone miss up to 0.5 dB of a treble peak. Together they are accurate to 0.03 dB for content
//! below 20 kHz at 48 kHz, and to 0.25 dB for white noise.

use wide::f32x4;

/// Number of frames examined together.
pub const BLOCK: usize = 8;
/// Number of tap pairs of the interpolation; the taps of a pair are equally far before and after a point.
const PAIRS: usize = 8;
/// Frames the interpolation reaches back from the sample before a point; it reaches one more ahead.
const BEFORE: usize = PAIRS - 1;
/// Number of phases between two samples.
const BETWEEN: usize = 3;
/// Kaiser window parameter: flat to 0.05 dB up to 20 kHz at 48 kHz.
const KAISER_BETA: f64 = 4.0;
/// Maximum share by which a parabola raises a peak (for a sine at 20 kHz, sampled 192 000 times a second, it is 0.053).
const MOST_RAISED: f32 = 0.06;
/// Peaks below this share of the relevant level need no parabola.
const NEAR: f32 = 0.94;

/// Returns the zeroth-order modified Bessel function, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-12 * sum {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

/// A pair's weights for its sum and its difference, each for all four lanes.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Weight of the sum, a quarter after a sample; the same at three quarters.
    even: f32x4,
    /// Weight of the difference, a quarter after a sample; negated at three quarters.
    odd: f32x4,
    /// Weight of the sum, halfway to the next sample.
    half: f32x4,
}

/// A true-peak detector. Realtime: yes, except [`TruePeak::new`].
#[derive(Clone, Debug)]
pub struct TruePeak {
    pairs: [Pair; PAIRS],
    reach: f32,
}

impl TruePeak {
    /// Computes the kernels.
    pub fn new() -> TruePeak {
        // As a function of the distance from the point.
        let kernel = |x: f64| {
            let arg = std::f64::consts::PI * x;
            let edge = (1.0 - (x / PAIRS as f64).powi(2)).max(0.0).sqrt();
            arg.sin() / arg * bessel_i0(KAISER_BETA * edge) / bessel_i0(KAISER_BETA)
        };
        // Tap k lies k − BEFORE frames after the sample.
        let taps = |phase: f64| -> [f64; 2 * PAIRS] {
            let taps: [f64; 2 * PAIRS] = std::array::from_fn(|k| kernel(k as f64 - BEFORE as f64 - phase));
            let sum: f64 = taps.iter().sum();
            taps.map(|tap| tap / sum)
        };
        let (quarter, half) = (taps(0.25), taps(0.5));
        let pairs = std::array::from_fn(|k| {
            let mirror = 2 * PAIRS - 1 - k;
            Pair {
                even: f32x4::splat((0.5 * (quarter[k] + quarter[mirror])) as f32),
                odd: f32x4::splat((0.5 * (quarter[k] - quarter[mirror])) as f32),
                half: f32x4::splat(half[k] as f32),
            }
        });
        let most: f64 = half.iter().map(|tap| tap.abs()).sum();
        TruePeak { pairs, reach: most as f32 * (1.0 + MOST_RAISED) }
    }

    /// Returns points for the four frames from `first` on: each frame's sample, and the values a quarter, a half and
    /// three quarters of the way to the next one.
    #[inline(always)]
    fn points(&self, span: &Context, first: usize) -> Points {
        let (mut even, mut odd, mut half) = (f32x4::ZERO, f32x4::ZERO, f32x4::ZERO);
        for (k, pair) in self.pairs.iter().enumerate() {
            let (a, b) = (four(span, first + k - BEFORE), four(span, first + 2 * PAIRS - 1 - k - BEFORE));
            let (sum, difference) = (a + b, a - b);
            even += sum * pair.even;
            odd += difference * pair.odd;
            half += sum * pair.half;
        }
        [four(span, first), even + odd, half, even - odd]
    }

    /// Returns the last point before a block's first sample.
    fn before(&self, span: &Context) -> f32 {
        let from = BLOCK - 1 - BEFORE;
        let taps = self.pairs.iter().map(|pair| (pair.even.to_array()[0], pair.odd.to_array()[0]));
        let points = taps.enumerate().map(|(k, (even, odd))| {
            let (a, b) = (span[from + k], span[from + 2 * PAIRS - 1 - k]);
            (a + b) * even - (a - b) * odd
        });
        points.sum()
    }

    /// Returns the highest possible true peak, relative to the highest sample.
    pub fn reach(&self) -> f32 {
        self.reach
    }

    /// Returns the peak of each frame of the block that begins at `at`, up to the next frame; peaks well below `level`
    /// are estimated coarsely. `samples` must hold [`BLOCK`] frames on both sides of the block; otherwise the peaks are
    /// zero.
    pub fn peaks(&self, samples: &[f32], at: usize, level: f32) -> [f32; BLOCK] {
        let span = at.checked_sub(BLOCK).and_then(|from| samples.get(from..at + 2 * BLOCK));
        let Some(span) = span.and_then(|s| <&Context>::try_from(s).ok()) else { return [0.0; BLOCK] };
        let points = [self.points(span, BLOCK), self.points(span, BLOCK + 4)];
        let highest = |points: &Points| points.iter().fold(f32x4::ZERO, |h, p| h.fast_max(p.abs()));
        let mut heights = [highest(&points[0]), highest(&points[1])];
        if heights[0].fast_max(heights[1]).simd_gt(f32x4::splat(NEAR * level)).any() {
            // Each point has its neighbours in the other phases; the first and the last, in other frames.
            let middle = (points[0][BETWEEN].to_array()[3], points[1][0].to_array()[0]);
            heights[0] = heights[0].fast_max(raised(self.before(span), &points[0], middle.1));
            heights[1] = heights[1].fast_max(raised(middle.0, &points[1], span[2 * BLOCK]));
        }
        let [a, b] = heights.map(f32x4::to_array);
        [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]
    }
}

impl Default for TruePeak {
    fn default() -> Self {
        TruePeak::new()
    }
}

/// A block, with as many frames on both sides.
type Context = [f32; 3 * BLOCK];
/// Four points for each of four frames.
type Points = [f32x4; BETWEEN + 1];

/// Returns four samples from `from` on.
#[inline(always)]
fn four(span: &Context, from: usize) -> f32x4 {
    match span[from..].first_chunk::<4>() {
        Some(samples) => f32x4::from(*samples),
        None => f32x4::ZERO,
    }
}

/// Returns the greatest heights of the parabolas through the points of four frames, given the point before them and the
/// one after them.
#[inline]
fn raised(before: f32, points: &Points, behind: f32) -> f32x4 {
    let (own, first) = (points[BETWEEN].to_array(), points[0].to_array());
    let mut left = f32x4::from([before, own[0], own[1], own[2]]);
    let last = f32x4::from([first[1], first[2], first[3], behind]);
    let mut most = f32x4::ZERO;
    for (phase, point) in points.iter().enumerate() {
        let right = points.get(phase + 1).copied().unwrap_or(last);
        most = most.fast_max(parabola(left, *point, right));
        left = *point;
    }
    most
}

/// Returns the height of the parabola through three points where the middle one is a peak; elsewhere the middle point.
#[inline]
fn parabola(a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
    let height = b.abs();
    let bend = (b + b - a - c).abs();
    let slope = a - c;
    let more = slope * slope / (bend * f32x4::splat(8.0)).fast_max(f32x4::splat(1e-20));
    let is_peak = height.simd_ge(a.abs()) & height.simd_ge(c.abs());
    height + (more.fast_min(height * f32x4::splat(MOST_RAISED)) & is_peak)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn highest(signal: &[f32], level: f32) -> f32 {
        let detector = TruePeak::new();
        let blocks = (BLOCK..signal.len() - 2 * BLOCK).step_by(BLOCK);
        blocks.flat_map(|at| detector.peaks(signal, at, level)).fold(0.0, f32::max)
    }

    fn sine(cycles: f64, phase: f64, frames: usize) -> Vec<f32> {
        (0..frames).map(|n| ((n as f64 * cycles + phase) * std::f64::consts::TAU).sin() as f32).collect()
    }

    #[test]
    fn a_sine_has_its_peak_wherever_its_samples_lie() {
        let mut worst = (0.0f64, 0.0f64);
        for hz in [997.0, 4_000.0, 8_000.0, 12_000.0, 16_000.0, 18_000.0, 19_500.0] {
            for phase in 0..24 {
                let signal = sine(hz / 48_000.0, f64::from(phase) / 24.0, 480);
                let db = 20.0 * f64::from(highest(&signal, 1.0)).log10();
                worst = (worst.0.min(db), worst.1.max(db));
            }
        }
        assert!(worst.0 > -0.02 && worst.1 < 0.12, "{worst:?} dB");
    }

    #[test]
    fn samples_count_as_they_are() {
        let mut signal = vec![0.0f32; 64];
        signal[33] = -0.9;
        let detector = TruePeak::new();
        assert_eq!(detector.peaks(&signal, 32, 1.0)[1], 0.9);
        assert!(detector.peaks(&signal, 24, 1.0)[..7].iter().all(|p| *p < 0.2), "it belongs to another block");
    }

    #[test]
    fn nothing_rises_further_than_the_reach() {
        // Samples that all raise the point between two of them.
        let detector = TruePeak::new();
        let mut signal = vec![0.0f32; 64];
        for (k, pair) in detector.pairs.iter().enumerate() {
            signal[35 + k - BEFORE] = pair.half.to_array()[0].signum();
            signal[35 + 2 * PAIRS - 1 - k - BEFORE] = pair.half.to_array()[0].signum();
        }
        let peak = highest(&signal, 1.0);
        assert!(peak > 2.0 && peak <= detector.reach(), "{peak} of {}", detector.reach());
    }

    #[test]
    fn what_is_out_of_reach_has_no_peak() {
        assert_eq!(TruePeak::new().peaks(&[1.0; 20], 8, 1.0), [0.0; BLOCK]);
        assert_eq!(TruePeak::new().peaks(&[1.0; 64], 4, 1.0), [0.0; BLOCK]);
    }
}
