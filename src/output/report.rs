//! Counters and state of the audio thread: plain atomics, written by it alone, readable from any thread.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::engine::timebase::TimeBase;

/// Why frames were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The audio thread was woken after the deadline.
    Late,
    /// Rendering took longer than a period.
    Slow,
    /// The card or its driver.
    Device,
}

impl Cause {
    /// All causes, in the order of their counters.
    pub const ALL: [Cause; 3] = [Cause::Late, Cause::Slow, Cause::Device];

    /// Returns the cause's name.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Late => "late",
            Cause::Slow => "slow",
            Cause::Device => "device",
        }
    }
}

/// Current destination of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A card.
    Card,
    /// None, for lack of a card: positions advance, paced by the clock.
    Silent,
    /// None, as configured: paced by the clock.
    Clock,
}

/// How long the audio thread takes.
#[derive(Debug, Default)]
pub struct Load {
    /// Longest rendering time of a period in nanoseconds, since the last reset.
    pub worst_render_ns: AtomicU64,
    /// Longest delay between the moment a period fitted and the thread's wake-up in nanoseconds, since the last reset.
    pub worst_wake_ns: AtomicU64,
    /// Rendering times.
    pub render: Histogram,
    /// Delays between the moment a period fitted and the thread's wake-up.
    pub wakeup: Histogram,
    /// Periods rendered.
    pub periods: AtomicU64,
}

/// Counters and state of the output. Counters only increase.
#[derive(Debug, Default)]
pub struct Report {
    /// How long the audio thread takes.
    pub load: Load,
    /// Maps samples to seconds.
    pub timebase: TimeBase,
    /// Frames delivered, to a card or to the silent clock.
    pub delivered: AtomicU64,
    /// Underruns, by cause.
    pub episodes: [AtomicU64; 3],
    /// Frames lost in underruns, by cause.
    pub lost_frames: [AtomicU64; 3],
    /// Writes that accepted fewer frames than offered.
    pub short_writes: AtomicU64,
    /// Writes that found no room after a wait that had reported some.
    pub again: AtomicU64,
    /// Calls interrupted by a signal.
    pub interrupted: AtomicU64,
    /// Suspends.
    pub suspends: AtomicU64,
    /// Waits that ended without room for a period.
    pub spurious: AtomicU64,
    /// Cards lost.
    pub lost: AtomicU64,
    /// Cards taken into use.
    pub adopted: AtomicU64,
    /// errno of the last loss.
    pub last_error: AtomicU32,
    /// Deviation of the card's clock from the monotonic clock, in thousandths of a part per million.
    pub drift_milli_ppm: AtomicI64,
    /// Frames between rendering and the converter, as last measured.
    pub latency_frames: AtomicI64,
    /// Frames per period, as granted.
    pub period_frames: AtomicU64,
    /// Frames in the card's buffer, as granted.
    pub buffer_frames: AtomicU64,
    /// Whether the output goes to a card.
    pub on_card: AtomicBool,
    /// Whether the output is configured to use no card.
    pub cardless: AtomicBool,
    /// Whether the card accepts frames faster than real time and is paced by the clock.
    pub unpaced: AtomicBool,
    /// Thread ID of the audio thread, as in /proc.
    pub audio_thread: AtomicU32,
    /// Frames dropped because the tap was full.
    pub tap_dropped: AtomicU64,
}

impl Report {
    /// Returns the destination of the output.
    pub fn state(&self) -> State {
        match (self.on_card.load(Relaxed), self.cardless.load(Relaxed)) {
            (true, _) => State::Card,
            (false, true) => State::Clock,
            (false, false) => State::Silent,
        }
    }

    /// Records how late the audio thread was woken. Realtime: yes.
    pub(super) fn woke(&self, late_ns: u64) {
        self.load.worst_wake_ns.fetch_max(late_ns, Relaxed);
        self.load.wakeup.observe(late_ns);
    }

    /// Returns the number of underruns from all causes.
    pub fn episodes_total(&self) -> u64 {
        self.episodes.iter().map(|c| c.load(Relaxed)).sum()
    }

    /// Returns the number of frames lost from all causes.
    pub fn lost_total(&self) -> u64 {
        self.lost_frames.iter().map(|c| c.load(Relaxed)).sum()
    }

    /// Returns the deviation of the card's clock in parts per million.
    pub fn drift_ppm(&self) -> f64 {
        self.drift_milli_ppm.load(Relaxed) as f64 / 1000.0
    }
}

/// Upper bounds of a histogram's buckets in microseconds; the last bucket is unbounded.
const BOUNDS_US: [u64; 13] = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000];

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Counts one duration. Realtime: yes.
    pub fn observe(&self, ns: u64) {
        let bucket = BOUNDS_US.iter().position(|us| ns <= us * 1000).unwrap_or(BOUNDS_US.len());
        count(&self.buckets[bucket]);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// Returns the buckets: upper bounds in seconds (the last is infinity), and the count of each bucket alone.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(&self.buckets).map(|(bound, n)| (bound, n.load(Relaxed)))
    }

    /// Returns the sum of all durations, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_ns.load(Relaxed) as f64 * 1e-9
    }
}

/// Increments a counter. Realtime: yes.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
