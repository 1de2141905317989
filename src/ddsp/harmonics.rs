//! Harmonic synthesis: a bank of sines at multiples of a gliding fundamental.
//!
//! Between two frames, a hop apart, log f0 and the amplitude of each partial are interpolated linearly:
//!
//! ```text
//! f(t) = f_a (f_b / f_a)^t,   φ(t) = φ_a + ∫ f,   y(t) = Σ_k ((1 − t) A_k + t B_k) sin(2π k φ(t)),   0 ≤ t < 1
//! ```
//!
//! Nothing sounds at or above half the sample rate. At each frame, partials within the last 2 % below it are
//! attenuated, down to zero at the limit. A partial that reaches the limit within the hop fades out until then; one
//! that comes down from above fades in from there. A bend across the limit therefore neither clicks nor aliases.
//!
//! All partials of a sample are derived from one sine and cosine: sin kφ and cos kφ by k rotations. In single precision
//! the error of the rotation grows linearly with k, to −110 dB at the hundredth partial.

use wide::f32x4;

/// Amplitude below which a partial is not computed (−130 dBFS).
const INAUDIBLE: f32 = 3e-7;
/// Width of the attenuated range below the limit, as a share of the limit.
const TAPER: f64 = 0.02;
/// Samples computed together.
const LANES: usize = 8;

/// A bank of harmonic sines, rendered hop by hop. Realtime: yes, after [`HarmonicBank::new`].
#[derive(Clone, Debug)]
pub struct HarmonicBank {
    sample_rate: f64,
    /// Phase of the fundamental in turns, 0 to 1.
    phase: f64,
    /// Phase of the fundamental per sample of the hop, in turns around zero (−0.5 to 0.5).
    turns: Box<[f32]>,
    /// Amplitudes of each partial at the start and the end of the hop.
    ends: Box<[[f32; 2]]>,
}

impl HarmonicBank {
    /// Creates a bank of `harmonics` partials for hops of at most `longest` samples.
    pub fn new(sample_rate: u32, harmonics: usize, longest: usize) -> Self {
        Self {
            sample_rate: f64::from(sample_rate),
            phase: 0.0,
            turns: vec![0.0; longest.next_multiple_of(LANES)].into(),
            ends: vec![[0.0; 2]; harmonics].into(),
        }
    }

    /// Resets the phase to zero.
    pub fn reset(&mut self) {
        self.phase = 0.0;
    }

    /// Adds a hop to `out`: from `hz.0` to `hz.1`, from amplitudes `from` to `to` (one per partial, linear).
    /// Frequencies are clamped to 1 Hz … the sample rate; non-finite ones count as 1 Hz.
    pub fn add(&mut self, hz: (f64, f64), from: &[f32], to: &[f32], out: &mut [f32]) {
        let samples = out.len().min(self.turns.len());
        let out = &mut out[..samples];
        let hz = (self.held(hz.0), self.held(hz.1));
        self.glide(hz, samples);
        let limit = self.sample_rate / 2.0;
        let whole = (limit / hz.0.max(hz.1)).ceil() as usize - 1;
        let reach = (limit / hz.0.min(hz.1)).ceil() as usize - 1;
        let count = self.ends.len().min(from.len()).min(to.len());
        for (end, (a, b)) in self.ends.iter_mut().zip(from.iter().zip(to)) {
            *end = [*a, *b];
        }
        let near = (limit * (1.0 - TAPER) / hz.0.max(hz.1)) as usize;
        for (index, end) in self.ends.iter_mut().enumerate().take(count).skip(near) {
            let k = (index + 1) as f64;
            let left = [hz.0, hz.1].map(|hz| ((1.0 - k * hz / limit) / TAPER).clamp(0.0, 1.0) as f32);
            *end = [end[0] * left[0], end[1] * left[1]];
        }
        let whole = whole.min(count);
        let audible = self.ends[..whole].iter().rposition(|e| e[0].max(e[1]) > INAUDIBLE).map_or(0, |k| k + 1);
        if audible > 0 {
            sum(&self.turns[..samples.next_multiple_of(LANES)], &self.ends[..audible], out);
        }
        for k in whole..reach.min(count) {
            self.crossing(k, hz, out);
        }
    }

    fn held(&self, hz: f64) -> f64 {
        if hz.is_finite() { hz.clamp(1.0, self.sample_rate) } else { 1.0 }
    }

    /// Computes the phase of the fundamental at each sample.
    fn glide(&mut self, (from, to): (f64, f64), samples: usize) {
        let ratio = if samples > 0 { (to / from).powf(1.0 / samples as f64) } else { 1.0 };
        let mut step = from / self.sample_rate;
        for turn in &mut self.turns[..samples] {
            self.phase += step;
            self.phase -= self.phase.floor();
            step *= ratio;
            // Centred on zero, single precision resolves the phase more finely.
            *turn = (self.phase - (self.phase + 0.5).floor()) as f32;
        }
        let last = self.turns[samples.saturating_sub(1)];
        self.turns[samples..].fill(last);
    }

    /// Adds a partial that crosses half the sample rate within the hop.
    fn crossing(&self, index: usize, (from, to): (f64, f64), out: &mut [f32]) {
        let k = (index + 1) as f64;
        let samples = out.len() as f64;
        let at = (self.sample_rate / 2.0 / (k * from)).ln() / (to / from).ln() * samples;
        let (begin, end, first, last) = if to > from {
            (0.0, at.floor() - 1.0, self.ends[index][0], 0.0)
        } else {
            (at.ceil() + 1.0, samples, 0.0, self.ends[index][1])
        };
        let length = end - begin;
        if length < 1.0 {
            return;
        }
        for (i, (sample, turn)) in out.iter_mut().zip(&self.turns).enumerate() {
            let share = (i as f64 - begin) / length;
            if (0.0..1.0).contains(&share) {
                let amplitude = f64::from(first) + f64::from(last - first) * share;
                let turns = k * f64::from(*turn);
                *sample += (amplitude * (std::f64::consts::TAU * (turns - turns.floor())).sin()) as f32;
            }
        }
    }
}

/// Adds the sum of all partials to `out`; `turns` is as long as `out`, rounded up to whole groups of [`LANES`].
fn sum(turns: &[f32], ends: &[[f32; 2]], out: &mut [f32]) {
    let samples = out.len() as f32;
    let counting = [f32x4::from([0.0, 1.0, 2.0, 3.0]), f32x4::from([4.0, 5.0, 6.0, 7.0])];
    for (group, (turns, out)) in turns.chunks_exact(LANES).zip(out.chunks_mut(LANES)).enumerate() {
        let phase =
            [0, 4].map(|i| f32x4::from([turns[i], turns[i + 1], turns[i + 2], turns[i + 3]]) * std::f32::consts::TAU);
        let (s0, c0) = phase[0].sin_cos();
        let (s1, c1) = phase[1].sin_cos();
        let (mut i0, mut r0, mut i1, mut r1) = (s0, c0, s1, c1);
        let zero = f32x4::ZERO;
        let (mut from0, mut from1, mut to0, mut to1) = (zero, zero, zero, zero);
        for end in ends {
            let (a, b) = (f32x4::splat(end[0]), f32x4::splat(end[1]));
            from0 = i0.mul_add(a, from0);
            from1 = i1.mul_add(a, from1);
            to0 = i0.mul_add(b, to0);
            to1 = i1.mul_add(b, to1);
            let (n0, n1) = (i0.mul_add(c0, r0 * s0), i1.mul_add(c1, r1 * s1));
            r0 = r0 * c0 - i0 * s0;
            r1 = r1 * c1 - i1 * s1;
            i0 = n0;
            i1 = n1;
        }
        let begun = f32x4::splat((group * LANES) as f32);
        let share = counting.map(|c| (c + begun) * (1.0 / samples));
        let made = [from0 + (to0 - from0) * share[0], from1 + (to1 - from1) * share[1]];
        let made: [[f32; 4]; 2] = made.map(|m| m.to_array());
        for (sample, value) in out.iter_mut().zip(made.as_flattened()) {
            *sample += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Frequencies at both ends, amplitudes at the start, amplitudes at the end.
    type Hop = ((f64, f64), Vec<f32>, Vec<f32>);

    /// Reference: the equations of the module documentation in double precision, partial by partial.
    fn by_the_book(hops: &[Hop], rate: f64, samples: usize) -> Vec<f64> {
        let mut out = Vec::new();
        let mut phase = 0.0f64;
        for ((from, to), a, b) in hops {
            for n in 0..samples {
                phase += from * (to / from).powf(n as f64 / samples as f64) / rate;
                let t = n as f64 / samples as f64;
                let mut sum = 0.0;
                for k in 0..a.len() {
                    let at = (k + 1) as f64;
                    if at * from.max(*to) < rate / 2.0 {
                        let under = |hz: f64| ((1.0 - at * hz / (rate / 2.0)) / 0.02).clamp(0.0, 1.0);
                        let (a, b) = (f64::from(a[k]) * under(*from), f64::from(b[k]) * under(*to));
                        sum += ((1.0 - t) * a + t * b) * (TAU * at * phase).sin();
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    #[test]
    fn partials_agree_with_the_equations_to_minus_90_db() {
        for (low, high, harmonics) in [(65.0, 66.0, 112), (440.0, 452.0, 50), (2_000.0, 1_900.0, 11), (30.0, 60.0, 200)]
        {
            let amplitudes = |seed: usize| -> Vec<f32> {
                (0..harmonics).map(|k| 0.3 / (1.0 + ((k * 7 + seed) % 13) as f32)).collect()
            };
            let hops: Vec<_> = (0..40)
                .map(|n| {
                    if n % 2 == 0 {
                        ((low, high), amplitudes(n), amplitudes(n + 1))
                    } else {
                        ((high, low), amplitudes(n), amplitudes(n + 1))
                    }
                })
                .collect();
            let wanted = by_the_book(&hops, 48_000.0, 480);
            let mut bank = HarmonicBank::new(48_000, harmonics, 480);
            let mut found = Vec::new();
            for (hz, a, b) in &hops {
                let mut out = [0.0; 480];
                bank.add(*hz, a, b, &mut out);
                found.extend(out);
            }
            let error: f64 = found.iter().zip(&wanted).map(|(f, w)| (f64::from(*f) - w).powi(2)).sum();
            let power: f64 = wanted.iter().map(|w| w * w).sum();
            let db = 10.0 * (error / power).log10();
            assert!(db < -90.0, "{low} Hz: {db:.1} dB");
        }
    }

    #[test]
    fn a_bend_over_half_the_sample_rate_neither_aliases_nor_clicks() {
        let mut bank = HarmonicBank::new(48_000, 8, 480);
        let amplitudes = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5];
        let mut sound = Vec::new();
        // The eighth partial sweeps from 20 to 28 kHz and back, across the limit.
        let pitch = |n: i32| 2_500.0 + 10.0 * f64::from(100 - (n - 100).abs());
        for n in 0..200 {
            let mut out = [0.0; 480];
            bank.add((pitch(n), pitch(n + 1)), &amplitudes, &amplitudes, &mut out);
            sound.extend(out);
        }
        // An alias of 28 kHz would be a tone at 20 kHz in this range, which should be silent.
        let middle = &sound[80 * 480..120 * 480];
        assert!(middle.iter().all(|s| s.abs() < 1e-6));
        // A click has energy far below the partial: check under 12 kHz with a moving sum.
        let slow: Vec<f32> = sound.windows(16).map(|w| w.iter().sum::<f32>() / 16.0).collect();
        let worst = slow.iter().fold(0.0f32, |m, s| m.max(s.abs()));
        assert!(worst < 0.06, "{worst}");
        let largest = sound.iter().fold(0.0f32, |m, s| m.max(s.abs()));
        assert!(largest > 0.49 && largest < 0.501);
    }

    #[test]
    fn however_fast_a_partial_crosses_the_limit_it_does_not_jump() {
        // From many pitches below the limit, bent up and down by a little and by a lot. At a seam of two hops the sound
        // may change by no more than a sine of its amplitude does in one sample.
        for start in 0..60 {
            for bend in [0.5, 3.0, 20.0, 150.0] {
                let mut bank = HarmonicBank::new(48_000, 8, 480);
                let base = 2_900.0 + 2.0 * f64::from(start);
                let way = [base, base + bend, base, base - bend, base + 2.0 * bend, base];
                let mut sound = Vec::new();
                for hz in way.windows(2) {
                    let mut out = [0.0; 480];
                    let amplitudes = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5];
                    bank.add((hz[0], hz[1]), &amplitudes, &amplitudes, &mut out);
                    sound.extend(out);
                }
                // Near the limit a sine alternates in sign from sample to sample; with that undone it changes slowly.
                let slow: Vec<f32> = sound.iter().enumerate().map(|(n, s)| if n % 2 == 0 { *s } else { -*s }).collect();
                for seam in [480, 960, 1_440, 1_920] {
                    let around = &slow[seam - 40..seam + 40];
                    let usual = around[..38].windows(2).chain(around[42..].windows(2)).map(|w| (w[1] - w[0]).abs());
                    let usual = usual.fold(0.0, f32::max);
                    let jump = (slow[seam] - slow[seam - 1]).abs();
                    assert!(jump <= 1.5 * usual + 0.01, "{base} Hz bent by {bend}: {jump} beside {usual}");
                }
            }
        }
    }

    #[test]
    fn phase_goes_on_across_hops_and_odd_lengths() {
        let mut bank = HarmonicBank::new(44_100, 3, 441);
        let amplitudes = [0.2, 0.1, 0.05];
        let mut sound = Vec::new();
        for length in [441, 100, 17, 441, 3, 1, 441] {
            let mut out = vec![0.0; length];
            bank.add((441.0, 441.0), &amplitudes, &amplitudes, &mut out);
            sound.extend(out);
        }
        for (n, sample) in sound.iter().enumerate() {
            let phase = TAU * 441.0 * (n + 1) as f64 / 44_100.0;
            let wanted: f64 = (1..=3).map(|k| f64::from(amplitudes[k - 1]) * (k as f64 * phase).sin()).sum();
            assert!((f64::from(*sample) - wanted).abs() < 1e-5, "{n}");
        }
    }

    #[test]
    fn nonsense_is_held() {
        let mut bank = HarmonicBank::new(48_000, 4, 480);
        let mut out = [0.0; 480];
        for hz in [(f64::NAN, 1.0), (0.0, f64::INFINITY), (-5.0, 1e12)] {
            bank.add(hz, &[1.0; 4], &[1.0; 4], &mut out);
        }
        bank.add((440.0, 440.0), &[], &[], &mut out);
        bank.add((440.0, 440.0), &[1.0; 4], &[1.0; 4], &mut []);
        assert!(out.iter().all(|s| s.is_finite()));
    }
}
