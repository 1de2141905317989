//! Noise synthesis (breath and bow): white noise through a filter that changes smoothly from frame to frame.
//!
//! With w white and uniform between −1 and 1, h_n the filter of frame n, and t going from 0 to 1 over the hop:
//!
//! ```text
//! y = h_a ∗ ((1 − t) w)  +  h_b ∗ (t w)         with the tails of the responses carried into the next hops
//! ```
//!
//! Where filters do not change, two neighbouring frames sum to the plain noise, so frames have no edges. h is the
//! inverse FFT of a frame's B magnitudes, made causal (a delay of B − 1 samples) under a Hann window of 2(B − 1)
//! samples. If the output's sample rate differs from the model's, the magnitudes are interpolated between its bands,
//! and the spectrum is zero above the model's Nyquist frequency.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Time-varying filtered noise, rendered hop by hop. Realtime: allocates nothing after [`NoiseBank::new`].
pub struct NoiseBank {
    random: Uniform,
    seed: u64,
    hop: usize,
    /// For each output band: the model band below it, the position between that band and the next, and a gain.
    places: Box<[(usize, f32, f32)]>,
    taps: usize,
    hann: Box<[f32]>,
    design: Arc<dyn ComplexToReal<f32>>,
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    scratch: Box<[Complex32]>,
    magnitudes: Box<[Complex32]>,
    response: Box<[f32]>,
    time: Box<[f32]>,
    white: Box<[f32]>,
    /// Spectra of the filters at the start and the end of the hop.
    filters: [Box<[Complex32]>; 2],
    noises: [Box<[Complex32]>; 2],
    /// Output that extends past the current hop.
    tail: Box<[f32]>,
}

impl NoiseBank {
    /// Creates a noise source for hops of `hop` samples at `sample_rate`, with the bands of a model made for
    /// `model_rate`. The same seed gives the same noise.
    pub fn new(sample_rate: u32, model_rate: u32, bands: usize, hop: usize, seed: u64) -> Self {
        let wider = f64::from(sample_rate) / f64::from(model_rate);
        let ours = (((bands - 1) as f64 * wider).round() as usize).max(1) + 1;
        let taps = 2 * (ours - 1);
        let size = fast_size(hop + taps);
        let mut planner = RealFftPlanner::<f32>::new();
        let (design, forward, backward) =
            (planner.plan_fft_inverse(taps), planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let scratch = design.get_scratch_len().max(forward.get_scratch_len()).max(backward.get_scratch_len());
        let spectrum = || vec![Complex32::default(); size / 2 + 1].into_boxed_slice();
        // The same power per hertz is less power per sample at a higher sample rate.
        let louder = wider.sqrt() as f32;
        let places = (0..ours)
            .map(|band| {
                let at = band as f64 / (ours - 1) as f64 * wider * (bands - 1) as f64;
                let left = (at.floor() as usize).min(bands - 1);
                let beyond = at > (bands - 1) as f64 + 1e-9;
                (left, (at - left as f64) as f32, if beyond { 0.0 } else { louder })
            })
            .collect();
        Self {
            random: Uniform::new(seed),
            seed,
            hop,
            places,
            taps,
            hann: (0..taps)
                .map(|i| (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / taps as f64).cos()) as f32)
                .collect(),
            design,
            scratch: vec![Complex32::default(); scratch].into(),
            magnitudes: vec![Complex32::default(); ours].into(),
            response: vec![0.0; taps].into(),
            time: vec![0.0; size].into(),
            white: vec![0.0; hop].into(),
            filters: [spectrum(), spectrum()],
            noises: [spectrum(), spectrum()],
            tail: vec![0.0; size - hop].into(),
            forward,
            backward,
        }
    }

    /// Resets to silence and to the start of the seed's noise.
    pub fn reset(&mut self) {
        self.random = Uniform::new(self.seed);
        self.tail.fill(0.0);
        self.filters[1].fill(Complex32::default());
    }

    /// Adds a hop to `out`, from the previous hop's magnitudes to these (one per band of the model, linear).
    /// `out` is one hop long.
    pub fn add(&mut self, magnitudes: &[f32], out: &mut [f32]) {
        self.filters.swap(0, 1);
        self.shape(magnitudes);
        self.white.fill_with(|| self.random.draw());
        let hop = self.hop as f32;
        for (side, noise) in self.noises.iter_mut().enumerate() {
            for (n, (time, white)) in self.time.iter_mut().zip(&self.white).enumerate() {
                let share = n as f32 / hop;
                *time = white * if side == 0 { 1.0 - share } else { share };
            }
            self.time[self.hop..].fill(0.0);
            // Only wrong sizes can make this fail, and the sizes are fixed in `new`.
            let _ = self.forward.process_with_scratch(&mut self.time, noise, &mut self.scratch);
        }
        let [before, after] = &self.filters;
        let [falling, rising] = &mut self.noises;
        for (((f, r), b), a) in falling.iter_mut().zip(rising.iter()).zip(before.iter()).zip(after.iter()) {
            *f = *f * b + r * a;
        }
        let _ = self.backward.process_with_scratch(falling, &mut self.time, &mut self.scratch);
        let scale = 1.0 / self.time.len() as f32;
        let (now, later) = self.time.split_at(self.hop);
        // The tail may be longer than a hop.
        for (n, (sample, value)) in out.iter_mut().zip(now).enumerate() {
            *sample += value * scale + self.tail.get(n).copied().unwrap_or(0.0);
        }
        let rest = self.tail.len();
        self.tail.copy_within(self.hop.min(rest).., 0);
        self.tail[rest.saturating_sub(self.hop)..].fill(0.0);
        for (tail, value) in self.tail.iter_mut().zip(later) {
            *tail += value * scale;
        }
    }

    /// Computes the spectrum of a frame's filter into `filters[1]`.
    fn shape(&mut self, magnitudes: &[f32]) {
        let at = |band: usize| magnitudes.get(band).copied().unwrap_or(0.0);
        for (to, (left, share, scale)) in self.magnitudes.iter_mut().zip(&self.places) {
            let value = if *share > 0.0 { at(*left) + (at(left + 1) - at(*left)) * share } else { at(*left) };
            *to = Complex32::new(value * scale, 0.0);
        }
        let _ = self.design.process_with_scratch(&mut self.magnitudes, &mut self.response, &mut self.scratch);
        let (half, scale) = (self.taps / 2, 1.0 / self.taps as f32);
        self.time.fill(0.0);
        for n in 0..self.taps {
            self.time[n] = self.response[(n + half) % self.taps] * self.hann[n] * scale;
        }
        let _ = self.forward.process_with_scratch(&mut self.time, &mut self.filters[1], &mut self.scratch);
    }
}

/// The smallest even size of at least `least` whose only prime factors are 2, 3 and 5, for which FFTs are fast.
fn fast_size(least: usize) -> usize {
    (least..)
        .find(|size| {
            let mut rest = *size;
            for factor in [2, 3, 5] {
                while rest % factor == 0 {
                    rest /= factor;
                }
            }
            rest == 1 && size % 2 == 0
        })
        .unwrap_or(least)
}

/// Pseudo-random numbers, uniform between −1 and 1, reproducible by seed (PCG, O'Neill 2014: RXS-M-XS 32).
#[derive(Clone, Debug)]
struct Uniform(u32);

impl Uniform {
    fn new(seed: u64) -> Self {
        // Scrambled, so that neighbouring seeds give unrelated noise.
        let mixed = (seed ^ (seed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        Self((mixed ^ (mixed >> 29)) as u32)
    }

    fn draw(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let word = ((self.0 >> ((self.0 >> 28) + 4)) ^ self.0).wrapping_mul(277_803_737);
        let word = (word >> 22) ^ word;
        (word as i32) as f32 * (1.0 / 2_147_483_648.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(bank: &mut NoiseBank, magnitudes: &[f32], hops: usize, hop: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for _ in 0..hops {
            let mut block = vec![0.0; hop];
            bank.add(magnitudes, &mut block);
            out.extend(block);
        }
        out
    }

    /// Mean power around a frequency, by correlation with many short sines; independent of the FFT under test.
    fn power_at(sound: &[f32], hz: f64, rate: f64) -> f64 {
        let pieces = sound.chunks_exact(1_024);
        let count = pieces.len() as f64;
        pieces
            .map(|piece| {
                let (mut re, mut im, mut w2) = (0.0, 0.0, 0.0);
                for (n, s) in piece.iter().enumerate() {
                    let w = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / 1_024.0).cos();
                    let (sin, cos) = (std::f64::consts::TAU * hz * n as f64 / rate).sin_cos();
                    re += f64::from(*s) * w * cos;
                    im += f64::from(*s) * w * sin;
                    w2 += w * w;
                }
                (re * re + im * im) / w2
            })
            .sum::<f64>()
            / count
    }

    #[test]
    fn power_follows_the_magnitudes_within_one_db_at_every_rate() {
        // A slope, a plateau and a dip.
        let shape = |at: f64| {
            if at < 0.3 {
                0.02 + at
            } else if at < 0.6 {
                0.32
            } else {
                0.1
            }
        };
        let magnitudes: Vec<f32> = (0..65).map(|b| shape(f64::from(b) / 64.0) as f32).collect();
        for (rate, model, hop) in [(48_000, 48_000, 480), (48_000, 16_000, 960), (44_100, 48_000, 441)] {
            let mut bank = NoiseBank::new(rate, model, 65, hop, 1);
            let made = sound(&mut bank, &magnitudes, 3_000, hop);
            for place in [0.1, 0.2, 0.45, 0.8] {
                let hz = place * f64::from(model) / 2.0;
                // Uniform noise has a power of 1/3 per sample, spread from 0 Hz to half the sample rate.
                let wanted = shape(place).powi(2) / 3.0 * f64::from(rate) / f64::from(model);
                let db = 10.0 * (power_at(&made, hz, f64::from(rate)) / wanted).log10();
                assert!(db.abs() < 1.0, "{rate}/{model} at {hz} Hz: {db:.2} dB off");
            }
            if model < rate {
                let above = power_at(&made, 0.7 * f64::from(rate) / 2.0, f64::from(rate));
                assert!(10.0 * (above / (0.01 / 3.0)).log10() < -60.0, "there is noise above the model's limit");
            }
        }
    }

    #[test]
    fn steady_filters_leave_no_trace_of_the_hops() {
        // Reference: one filter for all of the noise, by convolution in the time domain.
        let magnitudes: Vec<f32> = (0..9).map(|b| 0.1 * (9 - b) as f32).collect();
        let mut bank = NoiseBank::new(48_000, 48_000, 9, 64, 5);
        sound(&mut bank, &magnitudes, 1, 64);
        let found = sound(&mut bank, &magnitudes, 20, 64);
        let mut random = Uniform::new(5);
        let white: Vec<f32> = (0..64 * 21).map(|_| random.draw()).collect();
        let response: Vec<f64> = (0..16)
            .map(|n| {
                let hann = 0.5 - 0.5 * (std::f64::consts::TAU * f64::from(n) / 16.0).cos();
                let t = f64::from(n) - 8.0;
                let edge = f64::from(magnitudes[0]) + f64::from(magnitudes[8]) * (std::f64::consts::PI * t).cos();
                let inner: f64 = (1..8)
                    .map(|b| 2.0 * f64::from(magnitudes[b]) * (std::f64::consts::TAU * b as f64 * t / 16.0).cos())
                    .sum();
                hann * (edge + inner) / 16.0
            })
            .collect();
        for (n, sample) in found.iter().enumerate().skip(16) {
            let wanted: f64 = response.iter().enumerate().map(|(i, h)| h * f64::from(white[64 + n - i])).sum();
            assert!((f64::from(*sample) - wanted).abs() < 1e-5, "sample {n}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_noise_and_another_gives_another() {
        let magnitudes = [0.3; 65];
        let mut bank = NoiseBank::new(48_000, 48_000, 65, 480, 7);
        let first = sound(&mut bank, &magnitudes, 4, 480);
        bank.reset();
        assert_eq!(sound(&mut bank, &magnitudes, 4, 480), first);
        let other = sound(&mut NoiseBank::new(48_000, 48_000, 65, 480, 8), &magnitudes, 4, 480);
        let alike: f32 = first.iter().zip(&other).map(|(a, b)| a * b).sum();
        let power: f32 = first.iter().map(|a| a * a).sum();
        assert!(alike.abs() < 0.1 * power);
    }

    #[test]
    fn a_filter_that_opens_does_so_without_a_click() {
        let mut bank = NoiseBank::new(48_000, 48_000, 65, 480, 3);
        sound(&mut bank, &[0.0; 65], 2, 480);
        let made = sound(&mut bank, &[0.4; 65], 1, 480);
        // The first tenth of the hop has at most a tenth of the noise.
        assert!(made[..48].iter().all(|s| s.abs() < 0.05));
        let silent = sound(&mut bank, &[0.0; 65], 2, 480);
        assert!(silent[480 + 128..].iter().all(|s| s.abs() < 1e-6));
    }
}
