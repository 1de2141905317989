//! Ballistics of level meters: immediate rise, slow fall, and peak hold.
//!
//! The engine reports each peak only once. The conductor reads all peaks at regular intervals, so that any number of
//! clients, at any rates, see the same levels.

use std::time::{Duration, Instant};

use crate::engine::meter::MeterCell;

/// Fall rate in dB per second (IEC 60268-18: 20 dB in 1.7 s).
const FALL_DB_PER_S: f32 = 20.0 / 1.7;
/// Peak hold time.
const HOLD: Duration = Duration::from_secs(2);

/// Ballistics of one level meter.
#[derive(Clone, Copy, Debug)]
pub struct MeterBallistics {
    /// Peak with fall (linear).
    pub peak: f32,
    /// Mean over about 0.3 s (linear).
    pub rms: f32,
    /// Held peak: the highest of the last two seconds (linear).
    pub hold: f32,
    /// Number of samples that reached the limiter, since the start.
    pub clips: u64,
    moved: Instant,
    held: Instant,
}

impl MeterBallistics {
    /// Returns a meter at zero.
    pub fn new(now: Instant) -> MeterBallistics {
        MeterBallistics { peak: 0.0, rms: 0.0, hold: 0.0, clips: 0, moved: now, held: now }
    }

    /// Updates the meter with the levels that `cell` measured since the last call.
    pub fn follow(&mut self, cell: &MeterCell, now: Instant) {
        self.rms = cell.rms();
        self.clips = cell.clips();
        self.rise(cell.take_peak(), now);
    }

    fn rise(&mut self, peak: f32, now: Instant) {
        let seconds = now.saturating_duration_since(self.moved).as_secs_f32();
        self.moved = now;
        let fallen = self.peak * 10f32.powf(-FALL_DB_PER_S * seconds / 20.0);
        self.peak = if fallen < 1e-5 { peak } else { peak.max(fallen) };
        if peak >= self.hold || now.saturating_duration_since(self.held) > HOLD {
            self.hold = self.peak;
            self.held = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_at_once_falls_slowly_and_holds() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut needle = MeterBallistics::new(start);
        needle.rise(0.5, at(10));
        assert_eq!((needle.peak, needle.hold), (0.5, 0.5));
        needle.rise(0.0, at(1710));
        assert!((needle.peak - 0.05).abs() < 1e-4, "20 dB down after 1.7 s: {}", needle.peak);
        assert_eq!(needle.hold, 0.5);
        needle.rise(0.1, at(2100));
        assert_eq!((needle.peak, needle.hold), (0.1, 0.1));
    }
}
