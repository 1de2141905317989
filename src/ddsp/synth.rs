//! Sound from controls: partials and noise together.

use super::contract::Contract;
use super::harmonics::HarmonicBank;
use super::noise::NoiseBank;

/// What sounds at one frame.
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
    /// Silence, for an instrument.
    pub fn silent(contract: &Contract) -> Frame {
        Frame { hz: 440.0, partials: vec![0.0; contract.harmonics], noise: vec![0.0; contract.noise_bands] }
    }
}

/// One voice's sound. Realtime: nothing allocates after [`Synth::new`], but a hop is work for a worker.
pub struct Synth {
    harmonics: HarmonicBank,
    noise: NoiseBank,
    last: Frame,
}

impl Synth {
    /// A synthesiser for an instrument at any sample rate. The same seed and controls give the same samples.
    pub fn new(contract: &Contract, sample_rate: u32, seed: u64) -> Synth {
        let hop = hop_of(contract, sample_rate);
        Synth {
            harmonics: HarmonicBank::new(sample_rate, contract.harmonics, hop),
            noise: NoiseBank::new(sample_rate, contract.sample_rate, contract.noise_bands, hop, seed),
            last: Frame::silent(contract),
        }
    }

    /// Silence, phase zero, and the noise from its beginning.
    pub fn reset(&mut self) {
        self.harmonics.reset();
        self.noise.reset();
        self.last.partials.fill(0.0);
        self.last.noise.fill(0.0);
    }

    /// The hop from the last frame to this one, added to `out` (a hop long). A frame with as many partials and bands as
    /// the instrument has.
    pub fn add(&mut self, frame: &Frame, out: &mut [f32]) {
        // A voice that was silent begins at its own pitch; there is nothing to glide from.
        let from = if self.last.partials.iter().all(|a| *a == 0.0) { frame.hz } else { self.last.hz };
        self.harmonics.add((from, frame.hz), &self.last.partials, &frame.partials, out);
        self.noise.add(&frame.noise, out);
        self.last.hz = frame.hz;
        self.last.partials.copy_from_slice(&frame.partials);
        self.last.noise.copy_from_slice(&frame.noise);
    }
}

/// Samples of a hop at a sample rate: the instrument's own time, to the nearest sample.
pub fn hop_of(contract: &Contract, sample_rate: u32) -> usize {
    (contract.hop as f64 * f64::from(sample_rate) / f64::from(contract.sample_rate)).round().max(1.0) as usize
}
