//! Maps samples to seconds: which sample leaves the converter at which time of the monotonic clock.
//!
//! The output thread reports, once per period, how many frames are still queued before the converter; a delay-locked
//! loop (F. Adriaensen, "Using a DLL to filter time", LAC 2005) smooths these reports, which jitter with scheduling,
//! into a straight line. Readers on any thread get a consistent copy without making the writer wait.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bandwidth of the loop, in Hz: slow enough to ignore wake-up jitter, quick enough to follow a warming crystal. A new
/// line has a higher bandwidth, in inverse proportion to its age, so that it settles within a second or two.
const BANDWIDTH_HZ: f64 = 0.05;
const YOUNG_BANDWIDTH_HZ: f64 = 1.0;
/// A report that deviates by more than this (seconds) is not jitter but a jump (xrun, other card): the line restarts.
const JUMP_S: f64 = 0.05;

/// A straight line through (monotonic nanoseconds, sample time).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeLine {
    /// A time on CLOCK_MONOTONIC, in nanoseconds.
    pub mono_ns: u64,
    /// The sample that leaves the converter at that time.
    pub sample: f64,
    /// Frames per second of the monotonic clock.
    pub rate: f64,
}

impl TimeLine {
    /// Returns the sample that leaves the converter at `mono_ns`.
    pub fn sample_at(&self, mono_ns: u64) -> f64 {
        self.sample + (mono_ns as f64 - self.mono_ns as f64) * 1e-9 * self.rate
    }

    /// Returns the time at which `sample` leaves the converter, in nanoseconds.
    pub fn mono_at(&self, sample: f64) -> u64 {
        let ns = self.mono_ns as f64 + (sample - self.sample) / self.rate * 1e9;
        ns.max(0.0) as u64
    }
}

/// A shared time line with one writer and any number of readers; neither waits (a sequence lock made of atomics).
#[derive(Debug, Default)]
pub struct TimeBase {
    sequence: AtomicU64,
    mono_ns: AtomicU64,
    sample: AtomicU64,
    rate: AtomicU64,
}

impl TimeBase {
    /// Returns the line as last published; `None` before the output has started.
    pub fn read(&self) -> Option<TimeLine> {
        // A writer needs only a few stores to finish; the bound guards against one that was suspended between them.
        for _ in 0..1000 {
            let before = self.sequence.load(Ordering::Acquire);
            if before == 0 {
                return None;
            }
            let line = TimeLine {
                mono_ns: self.mono_ns.load(Ordering::Relaxed),
                sample: f64::from_bits(self.sample.load(Ordering::Relaxed)),
                rate: f64::from_bits(self.rate.load(Ordering::Relaxed)),
            };
            std::sync::atomic::fence(Ordering::Acquire);
            if before & 1 == 0 && self.sequence.load(Ordering::Relaxed) == before {
                return Some(line);
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Publishes a line. Realtime: yes. Only one thread may do this.
    pub fn write(&self, line: TimeLine) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::Release);
        self.mono_ns.store(line.mono_ns, Ordering::Relaxed);
        self.sample.store(line.sample.to_bits(), Ordering::Relaxed);
        self.rate.store(line.rate.to_bits(), Ordering::Relaxed);
        self.sequence.store(sequence + 2, Ordering::Release);
    }
}

/// Filters jittery reports into a line. Owned by the writer. Realtime: yes.
#[derive(Debug)]
pub struct TimeFilter {
    nominal: f64,
    line: Option<TimeLine>,
    born_ns: u64,
}

impl TimeFilter {
    /// Creates a filter for a nominal rate in frames per second.
    pub fn new(nominal: f64) -> TimeFilter {
        TimeFilter { nominal, line: None, born_ns: 0 }
    }

    /// Discards the line: the next report starts a new one (another device, another phase).
    pub fn restart(&mut self) {
        self.line = None;
    }

    /// Takes a report that `sample` leaves the converter at `mono_ns`. Returns the filtered line.
    pub fn report(&mut self, mono_ns: u64, sample: f64) -> TimeLine {
        let fresh = TimeLine { mono_ns, sample, rate: self.nominal };
        let line = match self.line {
            None => {
                self.born_ns = mono_ns;
                fresh
            }
            Some(line) => {
                let dt = (mono_ns as f64 - line.mono_ns as f64) * 1e-9;
                let error = sample - line.sample_at(mono_ns);
                if dt <= 0.0 {
                    line
                } else if error.abs() > JUMP_S * self.nominal {
                    TimeLine { rate: line.rate, ..fresh }
                } else {
                    let age = mono_ns.saturating_sub(self.born_ns) as f64 * 1e-9;
                    let bandwidth = (0.5 / age.max(1e-3)).clamp(BANDWIDTH_HZ, YOUNG_BANDWIDTH_HZ);
                    let omega = std::f64::consts::TAU * bandwidth * dt.min(0.1);
                    let rate = line.rate + omega * omega * error / dt;
                    TimeLine {
                        mono_ns,
                        sample: line.sample_at(mono_ns) + std::f64::consts::SQRT_2 * omega * error,
                        // No crystal is off by more than 0.1 %; anything beyond is a faulty report.
                        rate: rate.clamp(self.nominal * 0.999, self.nominal * 1.001),
                    }
                }
            }
        };
        self.line = Some(line);
        line
    }

    /// Returns the current line.
    pub fn line(&self) -> Option<TimeLine> {
        self.line
    }

    /// Returns the deviation of the rate from its nominal value, in parts per million.
    pub fn drift_ppm(&self) -> f64 {
        self.line.map_or(0.0, |l| (l.rate / self.nominal - 1.0) * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_rate_of_a_drifting_card_through_jitter() {
        let mut filter = TimeFilter::new(48_000.0);
        let true_rate = 48_000.0 * (1.0 + 80e-6);
        let mut worst_late = 0.0f64;
        for k in 0..20_000u64 {
            let t = k as f64 * 1024.0 / true_rate;
            // Up to 1 ms of wake-up jitter, always late.
            let jitter = ((k.wrapping_mul(2_654_435_761) >> 7) % 1000) as f64 * 1e-6;
            let line = filter.report(((t + jitter) * 1e9) as u64 + 1, k as f64 * 1024.0 + jitter * 0.0);
            if k > 10_000 {
                worst_late = worst_late.max((line.sample_at((t * 1e9) as u64) - k as f64 * 1024.0 + 24.0).abs());
            }
        }
        assert!((filter.drift_ppm() - 80.0).abs() < 5.0, "{} ppm", filter.drift_ppm());
        assert!(worst_late < 12.0, "{worst_late} frames");
    }

    #[test]
    fn a_reader_gets_what_was_written() {
        let base = TimeBase::default();
        assert!(base.read().is_none());
        let line = TimeLine { mono_ns: 5, sample: 7.5, rate: 48_000.0 };
        base.write(line);
        assert_eq!(base.read(), Some(line));
        assert_eq!(line.mono_at(line.sample_at(1_000_000_005)), 1_000_000_005);
    }
}
