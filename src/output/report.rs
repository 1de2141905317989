//! What the audio thread counts and shows: plain atomics, written by it alone, read by anyone.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::engine::timebase::TimeBase;

/// Why frames were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The audio thread was woken after the deadline.
    Late,
    /// Rendering took longer than a period.
    Slow,
    /// The card, or its driver.
    Device,
}

impl Cause {
    /// All causes, in the order of their counters.
    pub const ALL: [Cause; 3] = [Cause::Late, Cause::Slow, Cause::Device];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Late => "late",
            Cause::Slow => "slow",
            Cause::Device => "device",
        }
    }
}

/// Where the sound goes at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To a card.
    Card,
    /// Nowhere, for want of a card: positions go on, paced by the clock.
    Silent,
    /// To no card, as was asked for: paced by the clock.
    Clock,
}

/// Counters and states of the output. All counters only ever grow.
#[derive(Debug, Default)]
pub struct Report {
    /// Ties samples to seconds.
    pub timebase: TimeBase,
    /// Frames delivered, to a card or to the silent clock.
    pub delivered: AtomicU64,
    /// Underruns, by cause.
    pub episodes: [AtomicU64; 3],
    /// Frames lost in them, by cause.
    pub lost_frames: [AtomicU64; 3],
    /// Writes that took less than they were given.
    pub short_writes: AtomicU64,
    /// Writes that found no room after a wait that promised some.
    pub again: AtomicU64,
    /// Calls a signal broke off.
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
    /// Longest rendering of a period, in nanoseconds, since it was last asked for.
    pub worst_render_ns: AtomicU64,
    /// Longest time between the moment a period fitted and the thread's waking, likewise.
    pub worst_wake_ns: AtomicU64,
    /// Rendering times.
    pub render: Histogram,
    /// Times between the moment a period fitted and the thread's waking.
    pub wakeup: Histogram,
    /// Periods rendered.
    pub periods: AtomicU64,
    /// The card's deviation from the monotonic clock, in thousandths of a part per million.
    pub drift_milli_ppm: AtomicI64,
    /// Frames between rendering and the converter, as last measured.
    pub latency_frames: AtomicI64,
    /// Frames per period, as granted.
    pub period_frames: AtomicU64,
    /// Frames the card holds, as granted.
    pub buffer_frames: AtomicU64,
    /// Whether a card takes the sound.
    pub on_card: AtomicBool,
    /// Whether no card is wanted.
    pub cardless: AtomicBool,
    /// Whether the card takes frames faster than time passes and is paced by the clock.
    pub unpaced: AtomicBool,
    /// The audio thread's number, as /proc knows it.
    pub audio_thread: AtomicU32,
    /// Frames the tap could not take.
    pub tap_dropped: AtomicU64,
}

impl Report {
    /// Where the sound goes.
    pub fn state(&self) -> State {
        match (self.on_card.load(Relaxed), self.cardless.load(Relaxed)) {
            (true, _) => State::Card,
            (false, true) => State::Clock,
            (false, false) => State::Silent,
        }
    }

    /// Notes how late the audio thread was woken. Realtime: yes.
    pub(super) fn woke(&self, late_ns: u64) {
        self.worst_wake_ns.fetch_max(late_ns, Relaxed);
        self.wakeup.observe(late_ns);
    }

    /// Underruns in all.
    pub fn episodes_total(&self) -> u64 {
        self.episodes.iter().map(|c| c.load(Relaxed)).sum()
    }

    /// Frames lost in all.
    pub fn lost_total(&self) -> u64 {
        self.lost_frames.iter().map(|c| c.load(Relaxed)).sum()
    }

    /// Deviation of the card's clock in parts per million.
    pub fn drift_ppm(&self) -> f64 {
        self.drift_milli_ppm.load(Relaxed) as f64 / 1000.0
    }
}

/// Upper bounds of a histogram's buckets in microseconds; the last bucket has none.
const BOUNDS_US: [u64; 13] = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000];

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Counts one. Realtime: yes.
    pub fn observe(&self, ns: u64) {
        let bucket = BOUNDS_US.iter().position(|us| ns <= us * 1000).unwrap_or(BOUNDS_US.len());
        count(&self.buckets[bucket]);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// Upper bounds in seconds (infinity at last), and how many lie between each and the one before.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(&self.buckets).map(|(bound, n)| (bound, n.load(Relaxed)))
    }

    /// All of them together, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_ns.load(Relaxed) as f64 * 1e-9
    }
}

/// Adds one. Realtime: yes.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
