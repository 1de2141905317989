//! A deck's three-band equaliser: low, mid, high, each from kill to boost.
//!
//! The bands are weights on fixed resonators (see [`crate::dsp::bands`]), so any gain change, however large, is a
//! crossfade between the sound before and after it. With all three bands killed the output is exactly zero. With all
//! three flat the deck's samples pass bit for bit.

use super::ramp::Ramp;
use crate::dsp::bands::{Bands, Mix};

/// A band of the equaliser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// Below the lower crossover.
    Low,
    /// Between the crossovers.
    Mid,
    /// Above the upper crossover.
    High,
}

/// Maximum gain of a band (linear).
const MOST: f32 = 16.0;

/// A three-band equaliser with smoothed gain changes. Realtime: yes, except [`ThreeBand::new`].
#[derive(Clone, Debug)]
pub struct ThreeBand {
    bands: Bands,
    gains: [f32; 3],
    /// Whether the gains changed since `to` was computed from them.
    moved: bool,
    from: Mix,
    to: Mix,
    /// Progress of the crossfade from `from` to `to`, 0 to 1.
    share: Ramp,
    ramp_frames: u32,
}

impl ThreeBand {
    /// Creates a flat equaliser with crossovers at `low_hz` and `high_hz`; gain changes take `ramp_frames` frames.
    pub fn new(low_hz: f64, high_hz: f64, sample_rate: f64, ramp_frames: u32) -> ThreeBand {
        ThreeBand {
            bands: Bands::new(low_hz, high_hz, sample_rate),
            gains: [1.0; 3],
            moved: false,
            from: Mix::FLAT,
            to: Mix::FLAT,
            share: Ramp::new(1.0),
            ramp_frames,
        }
    }

    /// Sets one band's gain (linear; 0 kills, 1 is flat; negative values and NaN count as 0; at most 16).
    pub fn set(&mut self, band: Band, gain: f32) {
        let gain = if gain > 0.0 { gain.min(MOST) } else { 0.0 };
        self.moved |= self.gains[band as usize] != gain;
        self.gains[band as usize] = gain;
    }

    /// Completes all gain changes at once; for use while the deck is silent.
    pub fn settle(&mut self) {
        if self.moved || !self.share.is_still() {
            self.depart();
            self.share.jump(1.0);
        }
    }

    /// Starts a crossfade from the current to the requested gains.
    fn depart(&mut self) {
        if self.moved {
            self.moved = false;
            self.from = self.from.towards(&self.to, f64::from(self.share.value()));
            self.to = self.bands.mix(self.gains.map(f64::from));
            self.share.jump(0.0);
            self.share.to(1.0, self.ramp_frames);
        }
    }

    /// Filters a span of at most [`GRID`](super::GRID) frames in place, continuing any crossfade.
    pub fn process(&mut self, left: &mut [f32], right: &mut [f32]) {
        self.depart();
        let frames = left.len().min(right.len());
        let (from, to) = self.share.advance(frames as u32);
        if from >= 1.0 {
            self.bands.process(left, right, &self.to);
        } else {
            let at = |share: f32| self.from.towards(&self.to, f64::from(share));
            self.bands.glide(left, right, &at(from), &at(to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_db(gains: [f32; 3], hz: f64) -> f64 {
        let mut eq = ThreeBand::new(200.0, 2_000.0, 48_000.0, 240);
        eq.set(Band::Low, gains[0]);
        eq.set(Band::Mid, gains[1]);
        eq.set(Band::High, gains[2]);
        let n = 48_000;
        let mut l: Vec<f32> =
            (0..n).map(|i| (2.0 * std::f64::consts::PI * hz * i as f64 / 48_000.0).sin() as f32 * 0.5).collect();
        let mut r = l.clone();
        for (l, r) in l.chunks_mut(32).zip(r.chunks_mut(32)) {
            eq.process(l, r);
        }
        let tail = &l[n / 2..];
        let rms = (tail.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / tail.len() as f64).sqrt();
        20.0 * (rms * 2.0 * std::f64::consts::SQRT_2).max(1e-12).log10()
    }

    #[test]
    fn every_combination_of_kills_silences_just_the_killed_bands() {
        // One and a half octaves inside the killed region, and well inside the kept one.
        let far = 2f64.powf(1.5);
        let probes = |band: usize, killed: &[bool; 3]| -> Vec<f64> {
            let lower = [20.0, 200.0, 2_000.0][band];
            let upper = [200.0, 2_000.0, 20_000.0][band];
            let from = if band > 0 && !killed[band - 1] { lower * far } else { lower };
            let to = if band < 2 && !killed[band + 1] { upper / far } else { upper };
            vec![from.max(30.0), (from * to).sqrt(), to.min(18_000.0)]
        };
        for mask in 1..7u8 {
            let killed = [mask & 1 != 0, mask & 2 != 0, mask & 4 != 0];
            let gains = killed.map(|k| if k { 0.0 } else { 1.0 });
            for band in 0..3 {
                for hz in probes(band, &killed) {
                    let db = level_db(gains, hz);
                    if killed[band] {
                        assert!(db < -60.0, "{gains:?} at {hz:.0} Hz: {db:.1} dB");
                    }
                }
                if !killed[band] {
                    let hz = [60.0, 632.0, 8_000.0][band];
                    assert!(level_db(gains, hz).abs() < 0.1, "{gains:?} at {hz} Hz");
                }
            }
        }
    }

    #[test]
    fn all_three_killed_is_exactly_nothing() {
        assert_eq!(level_db([0.0; 3], 440.0), 20.0 * 1e-12f64.log10());
    }

    #[test]
    fn flat_is_transparent_to_the_bit_also_after_a_move() {
        let mut eq = ThreeBand::new(200.0, 2_000.0, 48_000.0, 240);
        let noise: Vec<f32> = (0..9600u32).map(|i| (i.wrapping_mul(2_654_435_761) as i32) as f32 / 4e9).collect();
        let (mut l, mut r) = (noise.clone(), noise.clone());
        for (i, (l, r)) in l.chunks_mut(32).zip(r.chunks_mut(32)).enumerate() {
            match i {
                50 => eq.set(Band::Mid, 0.0),
                100 => eq.set(Band::Mid, 1.0),
                _ => {}
            }
            eq.process(l, r);
        }
        let same = |range: std::ops::Range<usize>| {
            noise[range.clone()].iter().zip(&l[range]).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        assert!(same(0..1600), "before");
        assert!(!same(1920..3200), "killed");
        assert!(same(3520..9600), "after");
    }
}
