//! Interpolation by a windowed sinc, for playing sampled sound at any ratio.
//!
//! The kernel is a Kaiser-windowed sinc sampled at 256 phases per source frame; neighbouring phases are blended
//! linearly, which for content up to 15 kHz leaves an error about 100 dB down (J. O. Smith, "Digital Audio
//! Resampling", ccrma.stanford.edu/~jos/resample). When sound is played faster than it was sampled the kernel is
//! stretched so that its cutoff follows the rate and nothing folds back; a bank holds one table for each of a
//! geometric series of ratios.

use wide::f32x4;

/// Interpolation phases per source frame.
const PHASES: usize = 256;
/// Half the kernel's length, in source frames, of the table for ratios up to 1.
const BASE_HALF: usize = 12;
/// Kaiser window parameter: about 90 dB of stopband (Kaiser 1974: β = 0.1102·(A − 8.7)).
const KAISER_BETA: f64 = 8.96;
/// Cutoff of the table for ratios up to 1, as a share of the source's sample rate: Nyquist, so that the images of
/// content up to 16.5 kHz (at 44.1 kHz) fall into the stopband while the band itself stays flat.
const BASE_CUTOFF: f64 = 0.5;
/// Ratio between neighbouring tables: an eighth of an octave.
const STEP: f64 = 1.090_507_732_665_257_7;
/// Number of tables; the last one serves ratios up to 2^(25/8) ≈ 8.7 (a 96 kHz stem at rate 4 on a 44.1 kHz card).
const TABLES: usize = 26;

/// The longest half kernel of any table, in source frames: how much history and look-ahead a reader must keep.
pub const MAX_HALF: usize = 144;

/// The highest ratio (source frames per output frame) whose images and aliases are still suppressed.
pub const MAX_RATIO: f64 = 8.7;

/// One kernel at one cutoff: 257 rows (phases 0 to 1 inclusive) of `2·half` taps.
#[derive(Debug)]
pub struct SincTable {
    half: usize,
    rows: Box<[f32x4]>,
}

/// The tables for all ratios. Built once, outside the audio thread (about 1.6 MB).
#[derive(Debug)]
pub struct SincBank {
    tables: Box<[SincTable]>,
}

/// Zeroth-order modified Bessel function, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let mut sum = 1.0;
    let mut term = 1.0;
    let mut k = 1.0;
    while term > 1e-12 * sum {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

impl SincTable {
    fn new(ratio: f64) -> SincTable {
        // A kernel stretched by the ratio lowers the cutoff with it; a multiple of four taps suits the vectors.
        let half = ((BASE_HALF as f64 * ratio / 2.0).ceil() as usize * 2).min(MAX_HALF);
        let cutoff = BASE_CUTOFF / ratio;
        let taps = 2 * half;
        let mut rows = Vec::with_capacity((PHASES + 1) * taps);
        for phase in 0..=PHASES {
            let frac = phase as f64 / PHASES as f64;
            let start = rows.len();
            let mut sum = 0.0;
            for tap in 0..taps {
                // Distance from the wanted point (between taps half−1 and half) to this tap.
                let x = tap as f64 - (half as f64 - 1.0) - frac;
                let arg = 2.0 * std::f64::consts::PI * cutoff * x;
                let sinc = if x.abs() < 1e-12 { 1.0 } else { arg.sin() / arg };
                let edge = 1.0 - (x / half as f64).powi(2);
                let window =
                    if edge > 0.0 { bessel_i0(KAISER_BETA * edge.sqrt()) / bessel_i0(KAISER_BETA) } else { 0.0 };
                let value = 2.0 * cutoff * sinc * window;
                sum += value;
                rows.push(value as f32);
            }
            // Unity gain at DC for every phase, so that a constant stays constant.
            for value in &mut rows[start..] {
                *value = (f64::from(*value) / sum) as f32;
            }
        }
        let rows = rows.as_chunks::<4>().0.iter().map(|v| f32x4::from(*v)).collect();
        SincTable { half, rows }
    }

    /// Frames this kernel reaches to each side.
    pub fn half(&self) -> usize {
        self.half
    }

    /// The stereo value at `pos` (32.32-like fixed point with `FRAC` = 32 fractional bits) within the planes.
    ///
    /// `left` and `right` must hold frames `floor(pos) − half + 1 ..= floor(pos) + half`; what is missing counts as
    /// silence. Realtime: yes.
    #[inline]
    pub fn at(&self, left: &[f32], right: &[f32], pos: u64) -> (f32, f32) {
        let taps = 2 * self.half;
        let index = (pos >> 32) as usize;
        let frac = pos as u32;
        let phase = (frac >> 24) as usize;
        let blend = (frac & 0x00ff_ffff) as f32 * (1.0 / 16_777_216.0);
        let start = index + 1 - self.half;
        let quarter = taps / 4;
        let (Some(l), Some(r), Some(rows)) = (
            left.get(start..start + taps),
            right.get(start..start + taps),
            self.rows.get(phase * quarter..(phase + 2) * quarter),
        ) else {
            return (0.0, 0.0);
        };
        let (near, far) = rows.split_at(quarter);
        let (l, r) = (l.as_chunks::<4>().0, r.as_chunks::<4>().0);
        let blend = f32x4::splat(blend);
        if let (Ok(l), Ok(r), Ok(near), Ok(far)) = (
            <&[_; BASE_HALF / 2]>::try_from(l),
            <&[_; BASE_HALF / 2]>::try_from(r),
            <&[_; BASE_HALF / 2]>::try_from(near),
            <&[_; BASE_HALF / 2]>::try_from(far),
        ) {
            // The table nearly everything is played by: of known length, the loop unrolls.
            return convolve(l, r, near, far, blend);
        }
        convolve(l, r, near, far, blend)
    }
}

/// The sum of both channels' samples times the kernel, which lies between two rows of the table.
#[inline(always)]
fn convolve(l: &[[f32; 4]], r: &[[f32; 4]], near: &[f32x4], far: &[f32x4], blend: f32x4) -> (f32, f32) {
    let (mut left, mut right) = (f32x4::ZERO, f32x4::ZERO);
    // The vectors are spelled out: left to itself the compiler pairs the channels lane by lane, at several times the
    // cost.
    for (((l, r), n), f) in l.iter().zip(r).zip(near).zip(far) {
        let c = *n + blend * (*f - *n);
        left += f32x4::from(*l) * c;
        right += f32x4::from(*r) * c;
    }
    // Both sums at once, from [l0 r0 l1 r1] and [l2 r2 l3 r3].
    let [l0, r0, l1, r1] = (left.unpack_lo(right) + left.unpack_hi(right)).to_array();
    (l0 + l1, r0 + r1)
}

impl SincBank {
    /// Builds all tables. Realtime: no (allocates; some tens of milliseconds).
    pub fn new() -> SincBank {
        SincBank { tables: (0..TABLES).map(|k| SincTable::new(STEP.powi(k as i32))).collect() }
    }

    /// The table for `ratio` source frames per output frame: the first whose cutoff lies low enough.
    ///
    /// Ratios up to 1.09 share the first one (a deck at +9 % keeps its full band: what folds back then lies above
    /// 20 kHz in the source). Realtime: yes.
    #[inline]
    pub fn table(&self, ratio: f64) -> &SincTable {
        let mut index = 0;
        let mut reach = STEP;
        while ratio > reach && index + 1 < self.tables.len() {
            reach *= STEP;
            index += 1;
        }
        &self.tables[index]
    }
}

impl Default for SincBank {
    fn default() -> Self {
        SincBank::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(bank: &SincBank, freq_hz: f64, source_hz: f64, ratio: f64, n: usize) -> Vec<f64> {
        let frames = (n as f64 * ratio) as usize + 2 * MAX_HALF + 8;
        let source: Vec<f32> =
            (0..frames).map(|i| (2.0 * std::f64::consts::PI * freq_hz / source_hz * i as f64).sin() as f32).collect();
        let table = bank.table(ratio);
        (0..n)
            .map(|i| {
                let pos = ((MAX_HALF as f64 + i as f64 * ratio) * 4_294_967_296.0) as u64;
                f64::from(table.at(&source, &source, pos).0)
            })
            .collect()
    }

    /// Power left after the best-fitting sinusoid at `freq` is taken away, in dB below it.
    fn residual_db(signal: &[f64], freq: f64) -> f64 {
        let (mut ss, mut cc, mut sc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (i, x) in signal.iter().enumerate() {
            let (s, c) = (2.0 * std::f64::consts::PI * freq * i as f64).sin_cos();
            ss += s * s;
            cc += c * c;
            sc += s * c;
            xs += x * s;
            xc += x * c;
        }
        let det = ss * cc - sc * sc;
        let (a, b) = ((xs * cc - xc * sc) / det, (xc * ss - xs * sc) / det);
        let mut rest = 0.0;
        for (i, x) in signal.iter().enumerate() {
            let (s, c) = (2.0 * std::f64::consts::PI * freq * i as f64).sin_cos();
            rest += (x - a * s - b * c).powi(2);
        }
        10.0 * (rest / signal.len() as f64 / ((a * a + b * b) / 2.0)).log10()
    }

    #[test]
    fn aliases_of_content_up_to_15_khz_stay_80_db_down_at_ten_percent() {
        let bank = SincBank::new();
        for source_hz in [44_100.0, 48_000.0] {
            for speed in [0.9, 0.95, 0.979, 1.0, 1.037, 1.1] {
                let ratio = source_hz / 48_000.0 * speed;
                for freq in [100.0, 997.0, 5_000.0, 10_000.0, 13_500.0, 15_000.0] {
                    let out = render(&bank, freq, source_hz, ratio, 4800);
                    let db = residual_db(&out, freq / source_hz * ratio);
                    assert!(db < -80.0, "{freq} Hz at {source_hz} × {speed}: {db:.1} dB");
                }
            }
        }
    }

    #[test]
    fn the_band_is_flat_to_a_tenth_of_a_decibel() {
        let bank = SincBank::new();
        for freq in [50.0, 1_000.0, 10_000.0, 15_000.0] {
            let out = render(&bank, freq, 44_100.0, 0.918_75, 48_000);
            let rms = (out.iter().map(|x| x * x).sum::<f64>() / out.len() as f64).sqrt();
            let db = 20.0 * (rms * std::f64::consts::SQRT_2).log10();
            assert!(db.abs() < 0.1, "{freq} Hz: {db:.3} dB");
        }
    }

    #[test]
    fn what_would_fold_back_is_filtered_out_at_high_rates() {
        let bank = SincBank::new();
        for ratio in [1.5, 2.0, 4.0] {
            // Content half an octave above what the output can carry.
            let out = render(&bank, 24_000.0 / ratio * 1.45, 48_000.0, ratio, 4800);
            let peak = out.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            assert!(20.0 * peak.log10() < -80.0, "ratio {ratio}: {:.1} dB", 20.0 * peak.log10());
        }
    }

    #[test]
    fn a_constant_stays_constant() {
        let bank = SincBank::new();
        let ones = vec![1.0f32; 600];
        for ratio in [0.5, 1.0, 1.3, 3.0] {
            let table = bank.table(ratio);
            for k in 0..50u64 {
                let (l, r) = table.at(&ones, &ones, (200 << 32) + k * 0x0512_3456);
                assert!((l - 1.0).abs() < 1e-6 && (r - 1.0).abs() < 1e-6);
            }
        }
    }
}
