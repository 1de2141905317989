//! Synthesis of partials and noise from the frames of a model.

use super::contract::Contract;
use super::harmonics::HarmonicBank;
use super::noise::NoiseBank;

/// Synthesis parameters at one point in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Fundamental frequency in Hz.
    pub hz: f64,
    /// Amplitude of each partial, linear.
    pub partials: Vec<f32>,
    /// Magnitude of each noise band, linear.
    pub noise: Vec<f32>,
}

impl Frame {
    /// Returns a silent frame for an instrument.
    pub fn silent(contract: &Contract) -> Frame {
        Frame { hz: 440.0, partials: vec![0.0; contract.harmonics], noise: vec![0.0; contract.noise_bands] }
    }
}

/// Synthesiser of one voice. Realtime: allocates nothing after [`Synth::new`], but a hop is too costly for the audio
/// thread.
pub struct Synth {
    harmonics: HarmonicBank,
    noise: NoiseBank,
    last: Frame,
}

impl Synth {
    /// Creates a synthesiser for an instrument at any sample rate. The same seed and controls give the same samples.
    pub fn new(contract: &Contract, sample_rate: u32, seed: u64) -> Synth {
        let hop = hop_of(contract, sample_rate);
        Synth {
            harmonics: HarmonicBank::new(sample_rate, contract.harmonics, hop),
            noise: NoiseBank::new(sample_rate, contract.sample_rate, contract.noise_bands, hop, seed),
            last: Frame::silent(contract),
        }
    }

    /// Resets to silence, phase zero and the start of the noise.
    pub fn reset(&mut self) {
        self.harmonics.reset();
        self.noise.reset();
        self.last.partials.fill(0.0);
        self.last.noise.fill(0.0);
    }

    /// Adds the hop from the previous frame to this one to `out` (one hop long). The frame must have as many partials
    /// and bands as the instrument.
    pub fn add(&mut self, frame: &Frame, out: &mut [f32]) {
        // A voice that was silent starts at its own pitch: there is nothing to glide from.
        let from = if self.last.partials.iter().all(|a| *a == 0.0) { frame.hz } else { self.last.hz };
        self.harmonics.add((from, frame.hz), &self.last.partials, &frame.partials, out);
        self.noise.add(&frame.noise, out);
        self.last.hz = frame.hz;
        self.last.partials.copy_from_slice(&frame.partials);
        self.last.noise.copy_from_slice(&frame.noise);
    }
}

/// Samples per hop at a sample rate: the instrument's hop duration, rounded to samples.
pub fn hop_of(contract: &Contract, sample_rate: u32) -> usize {
    (contract.hop as f64 * f64::from(sample_rate) / f64::from(contract.sample_rate)).round().max(1.0) as usize
}
