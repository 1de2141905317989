//! A deck's three-band equaliser: low, mid, high, each from kill to boost.
//!
//! Two steep shelves in a row (see [`crate::dsp::shelf`]): the first has the low gain below its crossover and the mid
//! gain above it, the second lifts or lowers what lies above the upper crossover to the high gain. Flat means both are
//! left out: the deck's samples pass bit for bit.

use wide::f64x2;

use super::GRID;
use super::ramp::Ramp;
use crate::dsp::shelf::Shelf;

/// The three bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// Below the lower crossover.
    Low,
    /// Between the crossovers.
    Mid,
    /// Above the upper crossover.
    High,
}

/// A killed mid band still has this gain (−72 dB) between the two shelves, because the second one must be able to
/// bring the high band back from it.
const MID_FLOOR: f64 = 2.5e-4;

/// See the module's text. Realtime: yes, but for [`ThreeBand::new`].
#[derive(Debug)]
pub struct ThreeBand {
    low: Shelf,
    high: Shelf,
    gains: [Ramp; 3],
    /// Closes when all bands are killed, so that the result is an exact zero.
    open: Ramp,
    ramp_frames: u32,
}

impl ThreeBand {
    /// Flat, with crossovers at `low_hz` and `high_hz`; moves take `ramp_frames`.
    pub fn new(low_hz: f64, high_hz: f64, sample_rate: f64, ramp_frames: u32) -> ThreeBand {
        ThreeBand {
            low: Shelf::new(low_hz, sample_rate),
            high: Shelf::new(high_hz, sample_rate),
            gains: [Ramp::new(1.0); 3],
            open: Ramp::new(1.0),
            ramp_frames,
        }
    }

    /// Sets one band's gain (linear; 0 kills, 1 is flat; negative values and what is not a number count as 0).
    pub fn set(&mut self, band: Band, gain: f32) {
        let gain = if gain > 0.0 { gain.min(16.0) } else { 0.0 };
        self.gains[band as usize].to(gain, self.ramp_frames);
        let dead = self.gains.iter().all(|g| g.target() == 0.0);
        self.open.to(if dead { 0.0 } else { 1.0 }, self.ramp_frames);
    }

    /// Filters a span of at most [`GRID`] frames in place, going on with whatever moves.
    pub fn process(&mut self, left: &mut [f32], right: &mut [f32]) {
        let n = left.len() as u32;
        let [low, mid, high] = &mut self.gains;
        let (low, mid, high) = (f64::from(low.advance(n).1), f64::from(mid.advance(n).1), f64::from(high.advance(n).1));
        let (from, to) = self.open.advance(n);
        if from == 0.0 && to == 0.0 {
            left.fill(0.0);
            right.fill(0.0);
            return;
        }
        let mid = mid.max(MID_FLOOR);
        let shelves = [(&mut self.low, low, mid), (&mut self.high, 1.0, high / mid)];
        let flat = |shelf: &Shelf, below: f64, above: f64| shelf.is_transparent() && below == 1.0 && above == 1.0;
        if shelves.iter().any(|(shelf, below, above)| !flat(shelf, *below, *above)) {
            // Filtered in double precision, both channels side by side.
            let mut rows = [f64x2::ZERO; GRID];
            let rows = &mut rows[..left.len().min(right.len()).min(GRID)];
            for (row, (l, r)) in rows.iter_mut().zip(left.iter().zip(right.iter())) {
                *row = f64x2::new([f64::from(*l), f64::from(*r)]);
            }
            for (shelf, below, above) in shelves {
                if flat(shelf, below, above) {
                    // Its past no longer matters, and without one there is nothing to decay into denormals.
                    shelf.forget();
                } else {
                    shelf.process(rows, below, above);
                }
            }
            for (row, (l, r)) in rows.iter().zip(left.iter_mut().zip(right.iter_mut())) {
                let [a, b] = row.to_array();
                (*l, *r) = (a as f32, b as f32);
            }
        } else {
            shelves.into_iter().for_each(|(shelf, ..)| shelf.forget());
        }
        super::ramp::scale(left, from, to);
        super::ramp::scale(right, from, to);
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
