//! Peak and RMS meters of one channel, published through a shared cell.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use wide::f32x4;

/// Averaging time of the RMS value, in seconds.
const RMS_SECONDS: f64 = 0.3;

/// Values of a meter; written by the audio thread, readable from any thread.
#[derive(Debug, Default)]
pub struct MeterCell {
    peak: AtomicU32,
    mean_square: AtomicU32,
    clips: AtomicU64,
}

impl MeterCell {
    /// Returns the highest absolute sample since the last call (linear, 1.0 = full scale).
    pub fn take_peak(&self) -> f32 {
        f32::from_bits(self.peak.swap(0, Relaxed))
    }

    /// Returns the root mean square over about 0.3 s (linear).
    pub fn rms(&self) -> f32 {
        f32::from_bits(self.mean_square.load(Relaxed)).max(0.0).sqrt()
    }

    /// Returns the number of samples limited since the start.
    pub fn clips(&self) -> u64 {
        self.clips.load(Relaxed)
    }

    /// Adds `n` limited samples. Realtime: yes.
    pub fn add_clips(&self, n: u32) {
        if n > 0 {
            self.clips.fetch_add(u64::from(n), Relaxed);
        }
    }
}

/// The audio thread's half of a meter.
#[derive(Debug)]
pub struct Meter {
    mean_square: f32,
    keep_per_grid: f32,
}

impl Meter {
    /// Creates a meter for blocks of [`GRID`](super::GRID) frames at `sample_rate`.
    pub fn new(sample_rate: u32) -> Meter {
        Meter {
            mean_square: 0.0,
            keep_per_grid: (-(super::GRID as f64) / (RMS_SECONDS * f64::from(sample_rate))).exp() as f32,
        }
    }

    /// Measures one quantum. Realtime: yes.
    pub fn measure(&mut self, samples: &[f32], cell: &MeterCell) {
        let (mut peaks, mut sums) = (f32x4::ZERO, f32x4::ZERO);
        for chunk in samples.as_chunks::<4>().0 {
            let v = f32x4::from(*chunk);
            peaks = peaks.fast_max(v.abs());
            sums += v * v;
        }
        let peak = peaks.to_array().into_iter().fold(0.0, f32::max);
        let mean = sums.reduce_add() / samples.len().max(1) as f32;
        self.mean_square = mean + (self.mean_square - mean) * self.keep_per_grid;
        // Non-negative floats have the same order as their bit patterns.
        cell.peak.fetch_max(peak.to_bits(), Relaxed);
        cell.mean_square.store(self.mean_square.to_bits(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_peak_once_and_rms_settled() {
        let (mut meter, cell) = (Meter::new(48_000), MeterCell::default());
        let square: Vec<f32> = (0..32).map(|i| if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
        for _ in 0..3000 {
            meter.measure(&square, &cell);
        }
        assert_eq!(cell.take_peak(), 0.5);
        assert_eq!(cell.take_peak(), 0.0);
        assert!((cell.rms() - 0.5).abs() < 1e-3);
    }
}
