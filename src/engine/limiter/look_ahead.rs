//! A look-ahead limiter with a smooth gain that is down in time for each peak.
//!
//! Both channels of a pair are delayed by 1.5 ms and share one gain. Peaks between the samples are detected as well
//! (see [`crate::dsp::peak`]). As long as all peaks stay below the limit the gain is exactly one and samples pass bit
//! for bit. For a peak above it the gain falls within the delay, along a raised cosine, is down before the peak
//! arrives, holds for 12.5 ms (half a period of 40 Hz, so that it does not follow the waveform of a bass) and recovers
//! exponentially. A steady tone is limited by a steady gain, without distortion.
//!
//! All decisions are made for blocks of eight frames; within a block the gain is interpolated linearly:
//!
//! - the gain needed by a block is held as the minimum over all blocks still in the delay line, and two more;
//! - the minimum is smoothed over as many blocks as lie between a block's arrival and two blocks before its output. So
//!   the gain arrives one block before the peak's own block and stays one block longer: interpolation between samples
//!   reaches that far.

use wide::f32x4;

use crate::dsp::peak::{BLOCK, TruePeak};
use crate::engine::GRID;
use crate::engine::limiter::ceiling::CEILING;

/// Look-ahead in seconds; rounded to whole blocks.
const LOOK_AHEAD_S: f64 = 0.0015;
/// Seconds for which the gain stays down.
const HOLD_S: f64 = 0.0125;
/// Time constant of the release, in seconds.
const RELEASE_S: f64 = 0.08;
/// Gains above this are set to one.
const RETURNED: f32 = 1.0 - 1e-4;
/// A peak that needs a gain below the current one times this factor (+0.1 dB) renews the hold.
const RENEWS: f32 = 1.012;
/// Level to which peaks are limited, −0.54 dBFS: below the ceiling by the detector's maximum error.
const LIMIT: f32 = 0.94;
/// Samples beyond this (+80 dBFS) are clamped to it; NaN counts as silence.
const BEYOND: f32 = 1e4;

/// Blocks per quantum.
const BLOCKS: usize = GRID / BLOCK;
/// Maximum delay in blocks: sample rates up to 192 kHz.
const MOST_BLOCKS: usize = 36;
/// Capacity of all windows over blocks.
const WINDOW: usize = MOST_BLOCKS + 4;
/// Quanta that fit behind the delayed samples: after that many, the samples are moved to the front again.
const QUANTA: usize = 16;

/// The latest values, one per block: a ring stored twice so that any window is contiguous.
#[derive(Debug)]
struct Latest {
    values: [f32; 2 * WINDOW],
    at: usize,
}

impl Latest {
    fn new() -> Latest {
        Latest { values: [1.0; 2 * WINDOW], at: 0 }
    }

    fn push(&mut self, value: f32) {
        self.at = if self.at + 1 < WINDOW { self.at + 1 } else { 0 };
        self.values[self.at] = value;
        self.values[self.at + WINDOW] = value;
    }

    /// Returns the last `count` values, the latest at the end.
    fn last(&self, count: usize) -> &[f32] {
        let end = self.at + WINDOW + 1;
        &self.values[end - count.min(WINDOW)..end]
    }
}

/// A stereo look-ahead limiter. Realtime: yes, except [`LookAhead::new`].
#[derive(Debug)]
pub struct LookAhead {
    detector: TruePeak,
    /// Both channels: the delayed samples start at `from`, followed by space for new quanta.
    held: [Box<[f32]>; 2],
    from: usize,
    latency: usize,
    /// Highest absolute samples of the last two blocks.
    highest: [f32; 2],
    /// Gains needed by the last blocks.
    wanted: Latest,
    /// Their running minimum, with hold and release applied.
    least: Latest,
    /// Number of blocks over which the minimum is taken.
    reach: usize,
    /// Symmetrical smoothing weights.
    smooth: Vec<f32>,
    /// Blocks until the release may start.
    hold: u32,
    hold_blocks: u32,
    release: f32,
    /// Blocks for which the smoothing window still contains a gain other than one.
    busy: usize,
    /// Gain at the end of the last block.
    gain: f32,
}

impl LookAhead {
    /// Creates a limiter in its initial state. Realtime: no (allocates).
    pub fn new(sample_rate: u32) -> LookAhead {
        let rate = f64::from(sample_rate);
        let blocks = ((LOOK_AHEAD_S * rate / BLOCK as f64).round() as usize).clamp(4, MOST_BLOCKS);
        let latency = blocks * BLOCK;
        // A block is examined when the next one has arrived: one block of the delay has passed by then.
        let ahead = blocks - 1;
        let smoothed = ahead - 1;
        let weights: Vec<f64> = (0..smoothed)
            .map(|k| (std::f64::consts::PI * (k + 1) as f64 / (smoothed + 1) as f64).sin().powi(2))
            .collect();
        let sum: f64 = weights.iter().sum();
        let plane = || vec![0.0; latency + QUANTA * GRID].into_boxed_slice();
        LookAhead {
            detector: TruePeak::new(),
            held: [plane(), plane()],
            from: 0,
            latency,
            highest: [0.0; 2],
            wanted: Latest::new(),
            least: Latest::new(),
            reach: ahead + 2,
            smooth: weights.iter().map(|w| (w / sum) as f32).collect(),
            hold: 0,
            hold_blocks: (HOLD_S * rate / BLOCK as f64).round() as u32,
            release: (1.0 - (-(BLOCK as f64) / (RELEASE_S * rate)).exp()) as f32,
            busy: 0,
            gain: 1.0,
        }
    }

    /// Returns the delay between input and output, in frames.
    pub fn latency(&self) -> usize {
        self.latency
    }

    /// Clears the delay line and resets the gain.
    pub fn forget(&mut self) {
        self.held.iter_mut().for_each(|plane| plane.fill(0.0));
        self.highest = [0.0; 2];
        (self.wanted, self.least) = (Latest::new(), Latest::new());
        (self.hold, self.busy, self.gain) = (0, 0, 1.0);
    }

    /// Limits a quantum in place. Returns, for each channel, the number of frames with a peak above the limit.
    pub fn process(&mut self, left: &mut [f32; GRID], right: &mut [f32; GRID]) -> [u32; 2] {
        if self.from + self.latency + GRID > self.held[0].len() {
            for plane in &mut self.held {
                plane.copy_within(self.from..self.from + self.latency, 0);
            }
            self.from = 0;
        }
        let (from, new) = (self.from, self.from + self.latency);
        self.from += GRID;
        for (plane, quantum) in self.held.iter_mut().zip([&*left, &*right]) {
            plane[new..new + GRID].copy_from_slice(quantum);
        }
        let [before, last] = self.highest;
        let mut highest = [0.0; BLOCKS + 2];
        (highest[0], highest[1]) = (before, last);
        for (k, highest) in highest[2..].iter_mut().enumerate() {
            *highest = self.take(new + k * BLOCK);
        }
        self.highest = [highest[BLOCKS], highest[BLOCKS + 1]];
        if self.busy == 0 && self.is_low(&highest) {
            // All gains in all windows are one and stay so.
            for (to, plane) in [left, right].into_iter().zip(&self.held) {
                to.copy_from_slice(&plane[from..from + GRID]);
            }
            return [0; 2];
        }
        let mut over = [0; 2];
        for (block, highest) in (0..GRID).step_by(BLOCK).zip(highest.windows(3)) {
            let wanted = if self.is_low(highest) { 1.0 } else { self.want(new + block - BLOCK, &mut over) };
            let before = self.gain;
            self.advance(wanted);
            for (to, plane) in [&mut *left, &mut *right].into_iter().zip(&self.held) {
                let (to, out) = (&mut to[block..block + BLOCK], &plane[from + block..from + block + BLOCK]);
                if before == 1.0 && self.gain == 1.0 {
                    to.copy_from_slice(out);
                } else {
                    scale(to, out, before, self.gain);
                }
            }
        }
        over
    }

    /// Replaces NaN and infinities in a newly arrived block and returns its highest absolute sample.
    fn take(&mut self, at: usize) -> f32 {
        let beyond = f32x4::splat(BEYOND);
        let mut highest = f32x4::ZERO;
        for plane in &mut self.held {
            let Some(block) = plane.get_mut(at..).and_then(|p| p.first_chunk_mut::<BLOCK>()) else { continue };
            let [a, b] = [0, 4].map(|v| f32x4::from([block[v], block[v + 1], block[v + 2], block[v + 3]]).abs());
            // A comparison with NaN is false.
            if (a.simd_le(beyond) & b.simd_le(beyond)).all() {
                highest = highest.fast_max(a.fast_max(b));
            } else {
                for sample in block {
                    *sample = if sample.is_nan() { 0.0 } else { sample.clamp(-BEYOND, BEYOND) };
                    highest = highest.fast_max(f32x4::splat(sample.abs()));
                }
            }
        }
        let [a, b, c, d] = highest.to_array();
        a.max(b).max(c.max(d))
    }

    /// Returns whether no peak in a block can exceed the limit, given the highest samples of the block and its
    /// neighbours.
    fn is_low(&self, highest: &[f32]) -> bool {
        highest.iter().all(|highest| highest * self.detector.reach() <= LIMIT)
    }

    /// Returns the gain needed by the block that begins at `at`; the following block has already arrived.
    fn want(&self, at: usize, over: &mut [u32; 2]) -> f32 {
        let mut most = LIMIT;
        for (plane, over) in self.held.iter().zip(over) {
            let peaks = self.detector.peaks(plane, at, LIMIT);
            let highest = peaks.into_iter().fold(0.0, f32::max);
            if highest > LIMIT {
                *over += peaks.into_iter().map(|peak| u32::from(peak > LIMIT)).sum::<u32>();
                most = most.max(highest);
            }
        }
        LIMIT / most
    }

    /// Advances by one block: sets `self.gain` to the gain at the end of the block being output.
    fn advance(&mut self, wanted: f32) {
        let last = self.least.last(1)[0];
        self.wanted.push(wanted);
        if wanted == 1.0 && self.busy == 0 {
            // Unchanged: nothing above the limit in any window.
            self.least.push(1.0);
            return;
        }
        let needed = self.wanted.last(self.reach).iter().fold(1.0f32, |least, gain| least.min(*gain));
        let mut least = needed.min(last);
        if needed < 1.0 && needed < last * RENEWS {
            self.hold = self.hold_blocks;
        } else if self.hold > 0 {
            self.hold -= 1;
        } else {
            least = needed.min(last + (1.0 - last) * self.release);
            if least > RETURNED {
                least = 1.0;
            }
        }
        self.least.push(least);
        self.busy = if least < 1.0 { self.smooth.len() + 1 } else { self.busy.saturating_sub(1) };
        self.gain = match self.busy {
            0 => 1.0,
            _ => {
                let window = self.least.last(self.smooth.len());
                window.iter().zip(&self.smooth).map(|(least, weight)| least * weight).sum::<f32>().min(1.0)
            }
        };
    }
}

/// Scales a block by a gain that moves linearly from `before` to `after`.
fn scale(to: &mut [f32], from: &[f32], before: f32, after: f32) {
    let step = (after - before) / BLOCK as f32;
    let ceiling = f32x4::splat(CEILING);
    let mut gain = f32x4::splat(before) + f32x4::from([1.0, 2.0, 3.0, 4.0]) * f32x4::splat(step);
    for (to, from) in to.as_chunks_mut::<4>().0.iter_mut().zip(from.as_chunks::<4>().0) {
        *to = (f32x4::from(*from) * gain).fast_min(ceiling).fast_max(-ceiling).to_array();
        gain += f32x4::splat(4.0 * step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    /// Returns the limiter's output with its delay removed.
    fn limited(signal: &[[f32; 2]], rate: u32) -> Vec<[f32; 2]> {
        let mut limiter = LookAhead::new(rate);
        let mut signal = signal.to_vec();
        let frames = signal.len();
        signal.resize((frames + limiter.latency()).next_multiple_of(GRID), [0.0; 2]);
        let mut out = Vec::new();
        for frames in signal.as_chunks::<GRID>().0 {
            let (mut left, mut right) = (frames.map(|f| f[0]), frames.map(|f| f[1]));
            limiter.process(&mut left, &mut right);
            out.extend(left.into_iter().zip(right).map(|(l, r)| [l, r]));
        }
        out[limiter.latency()..][..frames].to_vec()
    }

    fn sine(hz: f64, peak: f64, phase: f64, rate: u32, frames: usize) -> Vec<[f32; 2]> {
        let at = |n: usize| ((n as f64 * hz / f64::from(rate) + phase) * std::f64::consts::TAU).sin() * peak;
        (0..frames).map(|n| [at(n) as f32, -at(n) as f32]).collect()
    }

    fn noise(peak: f32, frames: u32) -> Vec<[f32; 2]> {
        let at = |n: u32| peak * ((n ^ (n >> 7)).wrapping_mul(2_654_435_761) as i32) as f32 / 2_147_483_648.0;
        (0..frames).map(|n| [at(2 * n), at(2 * n + 1)]).collect()
    }

    /// Returns the highest value of an interpolation at eight times the rate, in dB, by a Kaiser-windowed sinc of
    /// twenty taps with β = 5, as used by SciPy's `resample_poly`.
    fn true_peak_db(signal: &[[f32; 2]]) -> f64 {
        const HALF: usize = 10;
        let bessel = |x: f64| (1..40).rev().fold(1.0, |sum, k| 1.0 + sum * (x / 2.0 / f64::from(k)).powi(2));
        let mut most = 0.0f64;
        for phase in 0..8 {
            let frac = f64::from(phase) / 8.0;
            let taps: Vec<f64> = (0..2 * HALF)
                .map(|k| {
                    let x = k as f64 - (HALF - 1) as f64 - frac;
                    let arg = std::f64::consts::PI * x;
                    let edge = (1.0 - (x / HALF as f64).powi(2)).max(0.0).sqrt();
                    if x == 0.0 { 1.0 } else { arg.sin() / arg * bessel(5.0 * edge) / bessel(5.0) }
                })
                .collect();
            for channel in 0..2 {
                for w in signal.windows(2 * HALF) {
                    most = most.max(w.iter().zip(&taps).map(|(s, t)| f64::from(s[channel]) * t).sum::<f64>().abs());
                }
            }
        }
        20.0 * most.log10()
    }

    #[test]
    fn what_stays_below_minus_three_decibels_passes_bit_for_bit() {
        for rate in [44_100, 48_000, 96_000] {
            // Includes peaks between the samples: tones, and noise, whose inter-sample peaks are higher.
            let mut signal = sine(997.0, 0.7079, 0.0, rate, 9_000);
            signal.extend(sine(11_025.0, 0.7079, 0.125, rate, 9_000));
            signal.extend(noise(0.35, 9_000));
            signal.iter_mut().step_by(313).for_each(|f| *f = [0.7, -0.7]);
            signal.truncate(26_999);
            let tones = &signal[..18_000].iter().map(|f| [f[0] * 0.9, f[1] * 0.9]).collect::<Vec<_>>();
            for signal in [&signal[18_000..], tones] {
                let same = |(a, b): (&[f32; 2], &[f32; 2])| a.map(f32::to_bits) == b.map(f32::to_bits);
                assert!(signal.iter().zip(&limited(signal, rate)).all(same), "{rate}");
            }
        }
    }

    #[test]
    fn the_delay_is_a_millisecond_and_a_half() {
        for (rate, frames) in [(44_100, 64), (48_000, 72), (96_000, 144)] {
            let mut limiter = LookAhead::new(rate);
            assert_eq!(limiter.latency(), frames);
            let mut out = Vec::new();
            for n in 0..8 {
                let mut left = [0.0; GRID];
                left[5] = if n == 0 { 0.25 } else { 0.0 };
                limiter.process(&mut left, &mut [0.0; GRID]);
                out.extend(left);
            }
            assert_eq!(out.iter().position(|s| *s != 0.0), Some(5 + frames));
        }
    }

    #[test]
    fn no_true_peak_gets_past_the_ceiling() {
        let mut worst = (f64::NEG_INFINITY, String::new());
        let mut check = |name: String, signal: &[[f32; 2]]| {
            let db = true_peak_db(&limited(signal, RATE));
            if db > worst.0 {
                worst = (db, name);
            }
        };
        for hz in [50.0, 997.0, 5_000.0, 12_000.0, 15_000.0, 16_000.0, 17_997.0] {
            for peak in [1.0, 1.5, 4.0] {
                check(format!("{hz} Hz at {peak}"), &sine(hz, peak, 0.125, RATE, 4_800));
            }
        }
        for peak in [0.9, 1.5, 8.0] {
            check(format!("noise at {peak}"), &noise(peak, 24_000));
        }
        let square: Vec<[f32; 2]> = (0..4_800).map(|n| if n % 100 < 50 { [1.4, 0.3] } else { [-1.4, -0.3] }).collect();
        check("square".into(), &square);
        let clicks: Vec<[f32; 2]> = (0..9_600).map(|n| [if n % 977 == 0 { 3.0 } else { 0.1 }, 0.0]).collect();
        check("clicks".into(), &clicks);
        let hit = |n: usize| (-(n as f64) / 300.0).exp() * (n as f64 * 0.02).sin();
        let hits: Vec<[f32; 2]> = (0..9_600).map(|n| [(2.5 * hit(n % 2_400)) as f32, hit(n % 1_700) as f32]).collect();
        check("hits".into(), &hits);
        println!("true peak: {:.2} dB ({})", worst.0, worst.1);
        assert!(worst.0 <= -0.3, "{worst:?}");
    }

    /// Returns everything but the tone, relative to it.
    fn distortion(signal: &[[f32; 2]], hz: f64) -> f64 {
        let (mut re, mut im, mut all, mut weight) = (0.0, 0.0, 0.0, 0.0);
        let angle = |n: usize| std::f64::consts::TAU * hz * n as f64 / f64::from(RATE);
        for (n, frame) in signal.iter().enumerate() {
            re += f64::from(frame[0]) * angle(n).cos();
            im += f64::from(frame[0]) * angle(n).sin();
            weight += 0.5;
        }
        let (re, im) = (re / weight, im / weight);
        for (n, frame) in signal.iter().enumerate() {
            all += (f64::from(frame[0]) - re * angle(n).cos() - im * angle(n).sin()).powi(2);
        }
        (all / weight / (re * re + im * im)).sqrt()
    }

    #[test]
    fn a_tone_is_turned_down_not_bent() {
        for (hz, peak, most) in
            [(50.0, 1.0, 0.002), (100.0, 1.0, 0.002), (1_000.0, 1.0, 0.001), (1_000.0, 2.0, 0.001), (50.0, 2.0, 0.005)]
        {
            // One second, after a quarter of a second to settle.
            let out = limited(&sine(hz, peak, 0.0, RATE, 60_000), RATE);
            let found = distortion(&out[12_000..], hz);
            println!("{hz} Hz at {peak}: {:.4} %", 100.0 * found);
            assert!(found < most, "{hz} Hz at {peak}: {found}");
        }
    }

    #[test]
    fn both_channels_have_one_gain_and_it_comes_back_to_one() {
        let mut signal = vec![[0.2f32, 0.1]; 96_000];
        signal[1_000] = [2.0, 0.0];
        let out = limited(&signal, RATE);
        for (n, (a, b)) in signal.iter().zip(&out).enumerate() {
            if n != 1_000 {
                assert!((b[0] / a[0] - b[1] / a[1]).abs() < 1e-6, "frame {n}");
            }
        }
        assert!(out[..900] == signal[..900]);
        assert!(out[990][1] < 0.06, "{:?}", out[990]);
        assert!(out[90_000..] == signal[90_000..], "{:?}", out[90_000]);
    }

    #[test]
    fn what_is_not_a_number_is_silence_and_nothing_else_is_harmed() {
        let mut signal = vec![[0.1f32, 0.1]; 96_000];
        signal[100] = [f32::NAN, 0.1];
        signal[300] = [f32::INFINITY, f32::NEG_INFINITY];
        let out = limited(&signal, RATE);
        assert!(out.iter().flatten().all(|s| s.abs() <= CEILING));
        assert_eq!(out[100], [0.0, 0.1]);
        assert!(out[95_000..] == signal[95_000..], "{:?}", out[95_000]);
    }

    #[test]
    fn peaks_are_counted_by_channel() {
        let mut limiter = LookAhead::new(RATE);
        let mut sum = [0; 2];
        for n in 0..20 {
            let mut left = [0.0; GRID];
            left[7] = if n == 3 { -1.5 } else { 0.0 };
            let over = limiter.process(&mut left, &mut [0.5; GRID]);
            sum = [sum[0] + over[0], sum[1] + over[1]];
        }
        assert!((1..4).contains(&sum[0]) && sum[1] == 0, "{sum:?}");
    }
}
