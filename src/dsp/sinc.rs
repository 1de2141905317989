//! Interpolation by a windowed sinc, for playing sampled sound at any ratio.
//!
//! The kernel is a Kaiser-windowed sinc sampled at 256 phases per source frame; neighbouring phases are interpolated
//! linearly, which for content up to 15 kHz leaves an error about 100 dB down (J. O. Smith, "Digital Audio Resampling",
//! ccrma.stanford.edu/~jos/resample). When sound is played faster than it was sampled the kernel is stretched so that
//! its cutoff follows the rate and nothing aliases; a bank holds one table for each of a geometric series of ratios.

use std::sync::OnceLock;

use wide::f32x4;

/// Interpolation phases per source frame.
const PHASES: usize = 256;
/// Interpolation quality. A longer kernel has a narrower transition band; its cost grows with its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// 24 taps. At 44.1 kHz: flat to 16.5 kHz, images of content up to there 90 dB down, of 18 kHz 44 dB, of 20 kHz 18
    /// dB.
    #[default]
    Standard,
    /// 72 taps. At 44.1 kHz: flat to 20 kHz, images of content up to there 97 dB down.
    Fine,
}

impl Quality {
    /// Returns half the kernel's length, in source frames, of the table for ratios up to 1.
    fn half(self) -> usize {
        match self {
            Quality::Standard => BASE_HALF,
            Quality::Fine => FINE_HALF,
        }
    }

    /// Returns the Kaiser window parameter, for about 90 and 95 dB of stopband (Kaiser 1974: β = 0.1102·(A − 8.7)).
    fn beta(self) -> f64 {
        match self {
            Quality::Standard => 8.96,
            Quality::Fine => 9.5,
        }
    }

    /// Returns the highest ratio that has a table of this quality; beyond it the standard tables are used, whose bands
    /// are wide enough there. It includes stems at 96 kHz on a card at 48 kHz, played 10 % faster.
    fn most_ratio(self) -> f64 {
        match self {
            Quality::Standard => f64::INFINITY,
            Quality::Fine => 2.2,
        }
    }
}

/// Half the kernel's length of [`Quality::Standard`], in source frames.
const BASE_HALF: usize = 12;
/// Half the kernel's length of [`Quality::Fine`], in source frames.
const FINE_HALF: usize = 36;
/// Cutoff of the table for ratios up to 1, as a share of the source's sample rate: Nyquist, so that the images of
/// content up to 16.5 kHz (at 44.1 kHz) fall into the stopband while the band itself stays flat.
const BASE_CUTOFF: f64 = 0.5;
/// Ratio between neighbouring tables: an eighth of an octave.
const STEP: f64 = 1.090_507_732_665_257_7;
/// Number of tables; the last one covers ratios up to 2^(25/8) ≈ 8.7 (a 96 kHz stem at rate 4 on a 44.1 kHz card).
const TABLES: usize = 26;

/// The longest half kernel of any table, in source frames: the history and look-ahead a reader must keep.
pub const MAX_HALF: usize = 144;

/// The highest ratio (source frames per output frame) whose images and aliases are still suppressed.
pub const MAX_RATIO: f64 = 8.7;

/// Four taps of a kernel at one phase, and their differences to those of the next phase.
#[derive(Clone, Copy, Debug)]
struct Taps {
    here: f32x4,
    rise: f32x4,
}

/// One kernel at one cutoff: a row of `2·half` taps for each phase.
#[derive(Debug)]
pub struct SincTable {
    half: usize,
    rows: Box<[Taps]>,
}

/// A walk along a source: position, step, and growth of the step per frame; all with 32 fractional bits.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Position of the first frame.
    pub position: u64,
    /// Distance to the next frame.
    pub step: i64,
    /// Growth of the distance per frame.
    pub slope: i64,
}

/// The tables for all ratios, shared by all users of a quality and kept until the process ends (4.8 MB; 6.3 MB if they are fine).
#[derive(Clone, Copy, Debug)]
pub struct SincBank {
    tables: &'static [SincTable],
}

/// Returns the zeroth-order modified Bessel function, by its power series.
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
    fn new(ratio: f64, quality: Quality) -> SincTable {
        let beta = quality.beta();
        // A kernel stretched by the ratio lowers the cutoff with it; a multiple of four taps suits the vectors.
        let half = ((quality.half() as f64 * ratio / 2.0).ceil() as usize * 2).min(MAX_HALF);
        let cutoff = BASE_CUTOFF / ratio;
        let taps = 2 * half;
        let mut rows = Vec::with_capacity((PHASES + 1) * taps);
        for phase in 0..=PHASES {
            let frac = phase as f64 / PHASES as f64;
            let start = rows.len();
            let mut sum = 0.0;
            for tap in 0..taps {
                // Distance from the interpolated point (between taps half−1 and half) to this tap.
                let x = tap as f64 - (half as f64 - 1.0) - frac;
                let arg = 2.0 * std::f64::consts::PI * cutoff * x;
                let sinc = if x.abs() < 1e-12 { 1.0 } else { arg.sin() / arg };
                let edge = 1.0 - (x / half as f64).powi(2);
                let window = if edge > 0.0 { bessel_i0(beta * edge.sqrt()) / bessel_i0(beta) } else { 0.0 };
                let value = 2.0 * cutoff * sinc * window;
                sum += value;
                rows.push(value as f32);
            }
            // Unity gain at DC for every phase, so that a constant stays constant.
            for value in &mut rows[start..] {
                *value = (f64::from(*value) / sum) as f32;
            }
        }
        let vector = |at: usize| f32x4::from([rows[at], rows[at + 1], rows[at + 2], rows[at + 3]]);
        let rows = (0..PHASES * taps)
            .step_by(4)
            .map(|at| Taps { here: vector(at), rise: vector(at + taps) - vector(at) })
            .collect();
        SincTable { half, rows }
    }

    /// Returns the number of frames this kernel reaches to each side.
    pub fn half(&self) -> usize {
        self.half
    }

    /// Adds the source's values along `walk` to both channels of `out`.
    ///
    /// For each position `p` the source must hold frames `floor(p) − half + 1 ..= floor(p) + half`; values for which it
    /// does not are left out. Realtime: yes.
    pub fn add(&self, source: [&[f32]; 2], walk: Walk, out: [&mut [f32]; 2]) {
        // The most common tables get loops of known length, which unroll.
        match self.half {
            BASE_HALF => add(&self.rows, BASE_HALF, source, walk, out),
            FINE_HALF => add(&self.rows, FINE_HALF, source, walk, out),
            half => add(&self.rows, half, source, walk, out),
        }
    }
}

/// Does the work of [`SincTable::add`] for rows of `2·half` taps.
#[inline(always)]
fn add(rows: &[Taps], half: usize, [left, right]: [&[f32]; 2], mut walk: Walk, [out_l, out_r]: [&mut [f32]; 2]) {
    // Slices of one length, and one length of row: the compiler then drops the bounds checks for all but the first.
    let frames = left.len().min(right.len());
    let (left, right) = (&left[..frames], &right[..frames]);
    let (taps, quarter) = (2 * half, half / 2);
    for (to_l, to_r) in out_l.iter_mut().zip(out_r) {
        let start = ((walk.position >> 32) as usize + 1).wrapping_sub(half);
        let frac = walk.position as u32;
        let phase = (frac >> 24) as usize;
        let blend = f32x4::splat((frac & 0x00ff_ffff) as i32 as f32 * (1.0 / 16_777_216.0));
        walk.position = walk.position.wrapping_add(walk.step as u64);
        walk.step += walk.slope;
        let Some(end) = start.checked_add(taps).filter(|end| *end <= frames) else { continue };
        let row = &rows[phase * quarter..][..quarter];
        let (l, r) = (left[start..end].as_chunks::<4>().0, right[start..end].as_chunks::<4>().0);
        let (mut sum_l, mut sum_r) = (f32x4::ZERO, f32x4::ZERO);
        // Explicit vectors: left to itself the compiler pairs the channels lane by lane, at several times the cost.
        for ((l, r), taps) in l.iter().zip(r).zip(row) {
            let kernel = taps.here + blend * taps.rise;
            sum_l += f32x4::from(*l) * kernel;
            sum_r += f32x4::from(*r) * kernel;
        }
        // Both sums at once, from [l0 r0 l1 r1] and [l2 r2 l3 r3].
        let [l0, r0, l1, r1] = (sum_l.unpack_lo(sum_r) + sum_l.unpack_hi(sum_r)).to_array();
        *to_l += l0 + l1;
        *to_r += r0 + r1;
    }
}

impl SincBank {
    /// Returns the tables of a quality; the first call for it builds them. Realtime: no (allocates; some tens of
    /// milliseconds).
    pub fn new(quality: Quality) -> SincBank {
        static STANDARD: OnceLock<Box<[SincTable]>> = OnceLock::new();
        static FINE: OnceLock<Box<[SincTable]>> = OnceLock::new();
        let tables = match quality {
            Quality::Standard => &STANDARD,
            Quality::Fine => &FINE,
        };
        SincBank { tables: tables.get_or_init(|| SincBank::build(quality)) }
    }

    fn build(quality: Quality) -> Box<[SincTable]> {
        let table = |ratio: f64| {
            let quality = if ratio <= quality.most_ratio() { quality } else { Quality::Standard };
            SincTable::new(ratio, quality)
        };
        (0..TABLES).map(|k| table(STEP.powi(k as i32))).collect()
    }

    /// Returns the table for `ratio` source frames per output frame: the first whose cutoff is low enough.
    ///
    /// Ratios up to 1.09 share the first one (a deck at +9 % keeps its full band: only content above 20 kHz in the
    /// source aliases then). Realtime: yes.
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
        SincBank::new(Quality::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(bank: &SincBank, freq_hz: f64, source_hz: f64, ratio: f64, n: usize) -> Vec<f64> {
        let frames = (n as f64 * ratio) as usize + 2 * MAX_HALF + 8;
        let source: Vec<f32> =
            (0..frames).map(|i| (2.0 * std::f64::consts::PI * freq_hz / source_hz * i as f64).sin() as f32).collect();
        let one = 4_294_967_296.0;
        let walk = Walk { position: (MAX_HALF as u64) << 32, step: (ratio * one) as i64, slope: 0 };
        let (mut left, mut right) = (vec![0.0; n], vec![0.0; n]);
        bank.table(ratio).add([&source, &source], walk, [&mut left, &mut right]);
        assert_eq!(left, right);
        left.into_iter().map(f64::from).collect()
    }

    /// Returns the power left after subtracting the best-fitting sinusoid at `freq`, in dB relative to it.
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
        let bank = SincBank::default();
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
    fn fine_interpolation_leaves_no_images_of_content_up_to_20_khz() {
        let [standard, fine] = [Quality::Standard, Quality::Fine].map(SincBank::new);
        for speed in [0.9, 0.979, 1.0, 1.05, 1.08] {
            // Above 1.088 the card itself can no longer reproduce 20 kHz of a file at 44.1 kHz.
            let ratio = 44_100.0 / 48_000.0 * speed;
            for freq in [997.0, 10_000.0, 15_000.0, 18_000.0, 19_000.0, 20_000.0] {
                let out = render(&fine, freq, 44_100.0, ratio, 4800);
                let db = residual_db(&out, freq / 44_100.0 * ratio);
                assert!(db < -90.0, "{freq} Hz × {speed}: {db:.1} dB");
                let rms = (out.iter().map(|x| x * x).sum::<f64>() / out.len() as f64).sqrt();
                let level = 20.0 * (rms * std::f64::consts::SQRT_2).log10();
                assert!(level.abs() < 0.1, "{freq} Hz × {speed}: {level:.2} dB");
            }
        }
        // The purpose of the fine tables.
        let out = render(&standard, 20_000.0, 44_100.0, 44_100.0 / 48_000.0, 4800);
        assert!(residual_db(&out, 20_000.0 / 48_000.0) > -30.0);
    }

    #[test]
    fn fine_interpolation_of_96_khz_files_keeps_20_khz_and_folds_nothing_back() {
        let fine = SincBank::new(Quality::Fine);
        for freq in [997.0, 15_000.0, 20_000.0] {
            let out = render(&fine, freq, 96_000.0, 2.0, 4800);
            let db = residual_db(&out, freq / 48_000.0);
            assert!(db < -90.0, "{freq} Hz: {db:.1} dB");
        }
        for freq in [29_000.0, 33_000.0, 45_000.0] {
            let out = render(&fine, freq, 96_000.0, 2.0, 4800);
            let peak = out.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            assert!(20.0 * peak.log10() < -90.0, "{freq} Hz: {:.1} dB", 20.0 * peak.log10());
        }
    }

    #[test]
    fn no_table_reaches_further_than_a_reader_keeps() {
        for quality in [Quality::Standard, Quality::Fine] {
            let bank = SincBank::new(quality);
            assert!(bank.tables.iter().all(|t| t.half() <= MAX_HALF && t.half() % 2 == 0));
        }
    }

    #[test]
    fn the_band_is_flat_to_a_tenth_of_a_decibel() {
        let bank = SincBank::default();
        for freq in [50.0, 1_000.0, 10_000.0, 15_000.0] {
            let out = render(&bank, freq, 44_100.0, 0.918_75, 48_000);
            let rms = (out.iter().map(|x| x * x).sum::<f64>() / out.len() as f64).sqrt();
            let db = 20.0 * (rms * std::f64::consts::SQRT_2).log10();
            assert!(db.abs() < 0.1, "{freq} Hz: {db:.3} dB");
        }
    }

    #[test]
    fn what_would_fold_back_is_filtered_out_at_high_rates() {
        let bank = SincBank::default();
        for ratio in [1.5, 2.0, 4.0] {
            // Content half an octave above what the output can carry.
            let out = render(&bank, 24_000.0 / ratio * 1.45, 48_000.0, ratio, 4800);
            let peak = out.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            assert!(20.0 * peak.log10() < -80.0, "ratio {ratio}: {:.1} dB", 20.0 * peak.log10());
        }
    }

    #[test]
    fn a_constant_stays_constant() {
        let bank = SincBank::default();
        let ones = vec![1.0f32; 600];
        for ratio in [0.5, 1.0, 1.3, 3.0] {
            let walk = Walk { position: 200 << 32, step: 0x0512_3456, slope: 0 };
            let (mut left, mut right) = ([0.0f32; 50], [0.0f32; 50]);
            bank.table(ratio).add([&ones, &ones], walk, [&mut left, &mut right]);
            assert!(left.iter().chain(&right).all(|x| (x - 1.0).abs() < 1e-6));
        }
    }
}
