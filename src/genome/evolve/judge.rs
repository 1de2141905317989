//! An automatic judge: measures a sound, and says how usable and alive it is.
//!
//! It knows nothing about taste. It is there so that genomes which are silent, constant or mere noise need not be
//! listened to, and so that a population can be kept diverse.

use std::sync::Arc;

use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// The length of a frame in seconds, rounded to a power of two in samples: two periods of 24 Hz.
const FRAME: f64 = 0.085;
/// Change is measured over so many half frames, 0.13 s: over less, noise changes as much as a melody.
const LAG: usize = 3;
/// Bands for the measure of change, with equal ratios from 40 Hz to 16 kHz.
const BANDS: usize = 24;
/// Frames below this level (dB, full scale sine -3) are silent.
const SILENT_DB: f64 = -60.0;
/// What is reported for no sound at all.
const FLOOR_DB: f64 = -120.0;
/// The flatness of one frame of white noise: e to the power of minus Euler's constant.
const NOISE_FLATNESS: f64 = 0.561_459_483_566_885_2;
/// Blocks of the envelope in seconds.
const BLOCK: f64 = 0.01;

/// What was measured of a sound. Spectral numbers are means over frames, weighted by their power.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Level without the offset, in dB below full scale; -120 for silence.
    pub rms_db: f64,
    /// The greatest absolute sample.
    pub peak: f64,
    /// The share of the power that is a constant offset, 0 to 1.
    pub dc: f64,
    /// The share of frames below -60 dB, 0 to 1.
    pub silent: f64,
    /// Spectral centroid of the magnitudes in Hz.
    pub centroid_hz: f64,
    /// Spectral flatness, from 0 for few partials to 1 for white noise.
    pub flatness: f64,
    /// Change of level and spectrum within 0.13 s, from 0 for a steady sound to 1.
    pub flux: f64,
    /// The greatest autocorrelation of a frame with itself later, 0 to 1: about 1 for a tone, below 0.3 for noise
    /// (McLeod and Wyvill, "A smarter way to find pitch", 2005).
    pub pitch: f64,
    /// Seconds from the first sound to 90 % of the greatest level.
    pub attack_s: f64,
    /// The share of the sound, 0 to 1, that is at most 12 dB below its greatest level.
    pub sustain: f64,
}

/// 0 up to `low`, 1 from `high` on, smooth between.
fn smooth_step(low: f64, high: f64, x: f64) -> f64 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Rounded so that the results of different processors' Fourier transforms are equal in practice.
fn rounded(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}

impl Judgement {
    /// Nothing that can be heard.
    const NOTHING: Self = Self {
        rms_db: FLOOR_DB,
        peak: 0.0,
        dc: 0.0,
        silent: 1.0,
        centroid_hz: 0.0,
        flatness: 0.0,
        flux: 0.0,
        pitch: 0.0,
        attack_s: 0.0,
        sustain: 0.0,
    };

    /// How much the sound moves, 0 to 1: a half for a flux of 0.08, as a tone has that decays by 10 dB per second.
    fn movement(&self) -> f64 {
        self.flux / (self.flux + 0.08)
    }

    /// How usable and alive the sound is, 0 to 1.
    ///
    /// 0.2, plus 0.45 times its tone (pitch strength or, if that is more, 0.7 times what its spectrum is short of
    /// flatness), plus 0.35 times its movement. This is multiplied by factors from 0 to 1 which are 1 for usual sounds:
    /// they fall for levels from -35 to -55 dB, for an offset (which takes level from the rest), from half a sound of
    /// silence on, for centroids from 6 to 12 kHz (to 0.1) and from 200 down to 60 Hz, which small speakers do not
    /// play, and for flatness from 0.35 to 0.85 (to 0.1). The numbers were chosen so that silence and offsets get 0,
    /// white noise gets less than 0.1, a steady sine 0.65 and one that decays by 10 dB per second 0.8.
    pub fn score(&self) -> f64 {
        let tone = self.pitch.max(0.7 * (1.0 - self.flatness));
        let merit = 0.2 + 0.45 * tone + 0.35 * self.movement();
        let level = smooth_step(-55.0, -35.0, self.rms_db);
        let offset = 1.0 - self.dc * self.dc;
        let silence = 1.0 - smooth_step(0.5, 0.98, self.silent);
        let shrill = 1.0 - 0.9 * smooth_step(6000.0, 12_000.0, self.centroid_hz);
        let deep = smooth_step(60.0, 200.0, self.centroid_hz);
        let noise = 1.0 - 0.9 * smooth_step(0.35, 0.85, self.flatness);
        rounded((merit * level * offset * silence * shrill * deep * noise).clamp(0.0, 1.0))
    }

    /// Where the sound lies among others, each 0 to 1: brightness, flatness, movement, pitch strength, attack, sustain.
    /// The level is not among them.
    pub fn features(&self) -> [f64; 6] {
        let log_share = |x: f64, low: f64, high: f64| libm::log(x.max(low) / low) / libm::log(high / low);
        let attack = log_share(self.attack_s, 0.01, 4.0);
        let features = [
            log_share(self.centroid_hz, 50.0, 12_000.0),
            self.flatness,
            self.movement(),
            self.pitch,
            attack,
            self.sustain,
        ];
        features.map(|x| rounded(x.clamp(0.0, 1.0)))
    }

    /// How different two sounds are, 0 to 1: the root mean square of the differences of their features.
    pub fn apart(&self, other: &Self) -> f64 {
        apart(&self.features(), &other.features())
    }
}

/// How different two sounds are by their features, 0 to 1: the root mean square of the differences.
pub fn apart(a: &[f64; 6], b: &[f64; 6]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / 6.0).sqrt()
}

/// Measures a sound with one channel. Nothing that can be heard is what an empty sound is, and one with a sample that
/// is not finite.
pub fn judge(samples: &[f32], sample_rate: u32) -> Judgement {
    if samples.len() < 2 || sample_rate == 0 || samples.iter().any(|s| !s.is_finite()) {
        return Judgement::NOTHING;
    }
    let count = samples.len() as f64;
    let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / count;
    let power = samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>() / count;
    let moving = (power - mean * mean).max(0.0);
    let mut result = Judgement {
        rms_db: decibels(moving),
        peak: samples.iter().fold(0.0, |m, s| f64::from(s.abs()).max(m)),
        dc: if power > 0.0 { (mean * mean / power).min(1.0) } else { 0.0 },
        ..Judgement::NOTHING
    };
    // What rounding leaves of a constant is no sound.
    if result.rms_db <= FLOOR_DB + 1.0 || moving < power * 1e-12 {
        result.rms_db = FLOOR_DB;
        return result;
    }
    (result.attack_s, result.sustain) = envelope(samples, mean, sample_rate);
    Frames::new(samples.len(), sample_rate).measure(samples, mean, &mut result);
    result
}

fn decibels(power: f64) -> f64 {
    (10.0 * libm::log10(power.max(1e-12))).max(FLOOR_DB)
}

/// Attack in seconds, and the share of the sound near its greatest level.
fn envelope(samples: &[f32], mean: f64, sample_rate: u32) -> (f64, f64) {
    let block = ((f64::from(sample_rate) * BLOCK) as usize).max(1);
    let level = |block: &[f32]| {
        let power: f64 = block.iter().map(|s| (f64::from(*s) - mean) * (f64::from(*s) - mean)).sum();
        (power / block.len() as f64).sqrt()
    };
    let levels: Vec<f64> = samples.chunks(block).map(level).collect();
    let most = levels.iter().fold(0.0, |m: f64, l| m.max(*l));
    let first = |share: f64| levels.iter().position(|l| *l >= share * most).unwrap_or(0);
    let attack = first(0.9).saturating_sub(first(0.05)) as f64 * BLOCK;
    (attack, levels.iter().filter(|l| **l >= 0.25 * most).count() as f64 / levels.len() as f64)
}

/// Analyses a sound in frames that overlap by half.
struct Frames {
    size: usize,
    window: Vec<f64>,
    spectrum: Arc<dyn RealToComplex<f64>>,
    /// Twice as long: the autocorrelation must not wrap around.
    long: Arc<dyn RealToComplex<f64>>,
    back: Arc<dyn ComplexToReal<f64>>,
    bin_hz: f64,
}

/// What one frame shows.
struct Shown {
    power: f64,
    centroid_hz: f64,
    flatness: f64,
    pitch: f64,
    /// Shares of the bands in the power.
    bands: [f64; BANDS],
}

impl Frames {
    fn new(samples: usize, sample_rate: u32) -> Self {
        let size = ((f64::from(sample_rate) * FRAME) as usize).clamp(128, 32_768).next_power_of_two();
        let size = size.min(samples.next_power_of_two().max(128));
        let mut planner = RealFftPlanner::<f64>::new();
        let hann = |at: usize| 0.5 - 0.5 * libm::cos(std::f64::consts::TAU * (at as f64 + 0.5) / size as f64);
        Self {
            size,
            window: (0..size).map(hann).collect(),
            spectrum: planner.plan_fft_forward(size),
            long: planner.plan_fft_forward(2 * size),
            back: planner.plan_fft_inverse(2 * size),
            bin_hz: f64::from(sample_rate) / size as f64,
        }
    }

    fn measure(&self, samples: &[f32], mean: f64, result: &mut Judgement) {
        let mut frames: Vec<Option<Shown>> = Vec::new();
        let mut start = 0;
        loop {
            let frame: Vec<f64> = samples[start..].iter().take(self.size).map(|s| f64::from(*s) - mean).collect();
            frames.push(self.show(frame));
            start += self.size / 2;
            if start + self.size / 2 >= samples.len() {
                break;
            }
        }
        let heard: Vec<&Shown> = frames.iter().flatten().collect();
        result.silent = 1.0 - heard.len() as f64 / frames.len() as f64;
        let total: f64 = heard.iter().map(|f| f.power).sum();
        if total <= 0.0 {
            return;
        }
        let weighted = |of: fn(&Shown) -> f64| heard.iter().map(|f| of(f) * f.power).sum::<f64>() / total;
        result.centroid_hz = weighted(|f| f.centroid_hz);
        result.flatness = weighted(|f| f.flatness);
        result.pitch = weighted(|f| f.pitch);
        result.flux = flux(&frames);
    }

    /// Measures a frame, which may be short at the end of a sound; `None` if it is silent or the transform fails.
    fn show(&self, mut frame: Vec<f64>) -> Option<Shown> {
        let count = frame.len() as f64;
        let mean = frame.iter().sum::<f64>() / count;
        let power = frame.iter().map(|x| x * x).sum::<f64>() / count;
        if decibels(power) < SILENT_DB {
            return None;
        }
        // An offset of the frame, as a slow movement gives one, is no tone.
        frame.iter_mut().for_each(|x| *x -= mean);
        frame.resize(self.size, 0.0);
        let pitch = self.pitch(&frame)?;
        frame.iter_mut().zip(&self.window).for_each(|(x, w)| *x *= w);
        let mut spectrum = self.spectrum.make_output_vec();
        self.spectrum.process(&mut frame, &mut spectrum).ok()?;
        let mut shown = Shown { power, centroid_hz: 0.0, flatness: 0.0, pitch, bands: [0.0; BANDS] };
        let (mut magnitudes, mut moment, mut logs, mut powers, mut bins) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (bin, value) in spectrum.iter().enumerate().skip(1) {
            let (hz, power) = (bin as f64 * self.bin_hz, value.norm_sqr());
            magnitudes += power.sqrt();
            moment += power.sqrt() * hz;
            let place = libm::log(hz / 40.0) / libm::log(400.0) * BANDS as f64;
            shown.bands[place.clamp(0.0, BANDS as f64 - 1.0) as usize] += power;
            // What lies above is no part of the flatness: filters of converters remove it.
            if (40.0..=16_000.0).contains(&hz) {
                logs += libm::log(power.max(1e-30));
                powers += power;
                bins += 1.0;
            }
        }
        let sum: f64 = shown.bands.iter().sum();
        if magnitudes <= 0.0 || sum <= 0.0 {
            return None;
        }
        shown.bands.iter_mut().for_each(|b| *b /= sum);
        shown.centroid_hz = moment / magnitudes;
        if powers > 0.0 {
            shown.flatness = (libm::exp(logs / bins) / (powers / bins) / NOISE_FLATNESS).min(1.0);
        }
        Some(shown)
    }

    /// The greatest normalised autocorrelation behind the first place where it is negative.
    fn pitch(&self, frame: &[f64]) -> Option<f64> {
        let mut padded = frame.to_vec();
        padded.resize(2 * self.size, 0.0);
        let mut spectrum = self.long.make_output_vec();
        self.long.process(&mut padded, &mut spectrum).ok()?;
        spectrum.iter_mut().for_each(|x| *x = Complex64::new(x.norm_sqr(), 0.0));
        self.back.process(&mut spectrum, &mut padded).ok()?;
        let scale = 2.0 * self.size as f64;
        let mut energy = 2.0 * frame.iter().map(|x| x * x).sum::<f64>();
        let enough = energy * 1e-6;
        let (mut best, mut was_negative): (f64, bool) = (0.0, false);
        for lag in 1..=self.size / 2 {
            energy -= frame[lag - 1] * frame[lag - 1] + frame[self.size - lag] * frame[self.size - lag];
            if energy <= enough {
                break;
            }
            let correlation = 2.0 * padded[lag] / scale / energy;
            was_negative |= correlation < 0.0;
            if was_negative {
                best = best.max(correlation);
            }
        }
        Some(best.min(1.0))
    }
}

/// The mean change from a frame to a later one, weighted by their levels.
fn flux(frames: &[Option<Shown>]) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (before, after) in frames.iter().zip(frames.iter().skip(LAG)) {
        let level = |frame: &Option<Shown>| frame.as_ref().map_or(0.0, |f| f.power.sqrt());
        let (a, b) = (level(before), level(after));
        if a + b == 0.0 {
            continue;
        }
        let louder = (a - b).abs() / (a + b);
        let other = match (before, after) {
            (Some(x), Some(y)) => 0.5 * x.bands.iter().zip(y.bands).map(|(x, y)| (x - y).abs()).sum::<f64>(),
            _ => 0.0,
        };
        sum += louder.max(other) * (a + b);
        weights += a + b;
    }
    if weights > 0.0 { sum / weights } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    const RATE: u32 = 48_000;

    fn sound(seconds: f64, f: impl FnMut(f64) -> f64) -> Vec<f32> {
        let frames = (seconds * f64::from(RATE)) as usize;
        (0..frames).map(|n| n as f64 / f64::from(RATE)).map(f).map(|x| x as f32).collect()
    }

    fn sine(hz: f64, t: f64) -> f64 {
        (std::f64::consts::TAU * hz * t).sin()
    }

    /// A harmonic tone that decays, the higher partials faster.
    fn plucked() -> Vec<f32> {
        sound(2.0, |t| (1..9).map(f64::from).map(|n| 0.4 / n * sine(196.0 * n, t) * (-t * (1.0 + n)).exp()).sum())
    }

    fn score(sound: &[f32]) -> f64 {
        judge(sound, RATE).score()
    }

    #[test]
    fn useless_sounds_get_nothing() {
        assert_eq!(score(&[]), 0.0);
        assert_eq!(score(&sound(1.0, |_| 0.0)), 0.0);
        assert_eq!(score(&sound(1.0, |_| 0.7)), 0.0);
        assert_eq!(score(&sound(1.0, |t| if t > 0.5 { f64::NAN } else { sine(440.0, t) })), 0.0);
        assert!(score(&sound(1.0, |t| 1e-4 * sine(440.0, t))) < 0.01, "too soft");
        assert!(score(&sound(2.0, |t| 0.9 * sine(6.0, t))) < 0.01, "too deep");
        assert!(score(&sound(1.0, |t| 0.9 + 0.01 * sine(440.0, t))) < 0.01, "an offset");
        let random = &mut Random::new(1);
        let noise = sound(2.0, |_| random.between(-1.0, 1.0));
        assert!(score(&noise) < 0.1, "{} {:?}", score(&noise), judge(&noise, RATE));
    }

    #[test]
    fn live_sounds_get_more_than_steady_ones_and_these_more_than_shrill_ones() {
        let live = score(&plucked());
        let steady = score(&sound(2.0, |t| 0.5 * sine(440.0, t)));
        let shrill = score(&sound(2.0, |t| 0.5 * sine(11_000.0, t)));
        assert!(live > 0.7 && steady < live - 0.1 && steady > 0.4 && shrill < 0.3, "{live} {steady} {shrill}");
    }

    #[test]
    fn measures_are_what_they_are_called() {
        let tone = judge(&sound(2.0, |t| 0.5 * sine(440.0, t) * (t * 2.0).min(1.0)), RATE);
        assert!((tone.centroid_hz - 440.0).abs() < 25.0 && tone.pitch > 0.99 && tone.flatness < 0.01, "{tone:?}");
        assert!(
            (tone.peak - 0.5).abs() < 1e-3 && (tone.attack_s - 0.43).abs() < 0.04 && tone.silent < 0.03,
            "{tone:?}"
        );
        let steady = judge(&sound(2.0, |t| 0.5 * sine(440.0, t)), RATE);
        assert!((steady.rms_db + 9.03).abs() < 0.05 && steady.flux < 0.01 && steady.sustain == 1.0, "{steady:?}");
        let half = judge(&sound(2.0, |t| if t < 1.0 { 0.25 + 0.25 * sine(440.0, t) } else { 0.0 }), RATE);
        assert!((half.silent - 0.5).abs() < 0.05 || half.dc > 0.0, "{half:?}");
        let random = &mut Random::new(1);
        let noise = judge(&sound(2.0, |_| random.between(-0.5, 0.5)), RATE);
        assert!(noise.flatness > 0.9 && noise.pitch < 0.3 && (noise.centroid_hz - 12_000.0).abs() < 300.0, "{noise:?}");
        let moving = judge(&sound(2.0, |t| 0.5 * sine(300.0 + 4000.0 * (t % 0.5), t)), RATE);
        assert!(moving.flux > 0.3, "{moving:?}");
    }

    #[test]
    fn sounds_that_differ_are_apart_and_the_rate_does_not_matter() {
        let (a, b) = (judge(&plucked(), RATE), judge(&sound(2.0, |t| 0.5 * sine(2000.0, t)), RATE));
        assert!(a.apart(&a) == 0.0 && a.apart(&b) > 0.15 && a.apart(&b) == b.apart(&a), "{}", a.apart(&b));
        assert!(a.features().iter().all(|x| (0.0..=1.0).contains(x)));
        let halved: Vec<f32> = plucked().into_iter().step_by(2).collect();
        let half = judge(&halved, RATE / 2);
        assert!(a.apart(&half) < 0.03 && (a.score() - half.score()).abs() < 0.03, "{a:?} {half:?}");
        for length in [1, 2, 3, 100, 1000, 4095, 4097] {
            assert!((0.0..=1.0).contains(&score(&plucked()[..length])));
        }
        assert!(judge(&plucked(), 0).score() == 0.0 && judge(&plucked(), 1).score().is_finite());
    }
}
