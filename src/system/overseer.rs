//! Watches realtime workers, and abandons one that stops responding while everything else goes on.
//!
//! A SCHED_FIFO thread that computes without ever blocking gets the whole process killed once the unit's `LimitRTTIME`
//! (200 ms) is exceeded. Each worker therefore publishes when it last blocked ([`Pulse`]). One that has computed for
//! [`DEMOTE_AFTER`] loses its realtime priority until it blocks again, so that the limit no longer applies; one that
//! has computed for [`ABANDON_AFTER`] is abandoned: its consumers are notified, and its thread is no longer waited for.
//!
//! The overseer's own thread is SCHED_FIFO, above the workers and below the audio thread, so that a spinning worker
//! cannot keep it from running on a single core.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::time::monotonic_ns;
use super::{realtime, usage};

/// Time without blocking after which a worker loses its realtime priority: half of the unit's `LimitRTTIME`.
pub const DEMOTE_AFTER: Duration = Duration::from_millis(100);
/// Time without blocking after which a worker is abandoned.
pub const ABANDON_AFTER: Duration = Duration::from_secs(2);
/// Interval at which workers are checked.
const LOOK: Duration = Duration::from_millis(20);

const NORMAL: u8 = 0;
const DEMOTED: u8 = 1;
const ABANDONED: u8 = 2;

/// Liveness of a worker: written by the worker, read by the overseer.
#[derive(Debug, Default)]
pub struct Pulse {
    thread: AtomicI32,
    /// Start of the computation (monotonic clock, in nanoseconds); 0 while it waits.
    busy_since: AtomicU64,
    state: AtomicU8,
    hang_ms: AtomicU64,
}

impl Pulse {
    /// Registers the calling thread as the worker's.
    pub fn enter(&self) {
        self.thread.store(usage::thread_id() as i32, Relaxed);
    }

    /// Called by the worker when it begins to compute.
    pub fn busy(&self) {
        let now = monotonic_ns();
        self.busy_since.store(now.max(1), Relaxed);
        let hang = self.hang_ms.swap(0, Relaxed);
        while monotonic_ns() - now < hang * 1_000_000 {
            std::hint::spin_loop();
        }
    }

    /// Debugging aid: makes the worker spin once for `ms` milliseconds.
    pub fn hang(&self, ms: u64) {
        self.hang_ms.store(ms, Relaxed);
    }

    /// Called by the worker before it blocks. Returns `true` if it had lost its realtime priority and may take it
    /// again.
    pub fn idle(&self) -> bool {
        self.busy_since.store(0, Relaxed);
        self.state.compare_exchange(DEMOTED, NORMAL, Relaxed, Relaxed).is_ok()
    }

    /// Returns whether the worker has been abandoned; its thread should then end.
    pub fn is_abandoned(&self) -> bool {
        self.state.load(Relaxed) == ABANDONED
    }

    /// Time computed without blocking, at `now`.
    fn busy_for(&self, now: u64) -> Duration {
        match self.busy_since.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_nanos(now.saturating_sub(since)),
        }
    }
}

/// A watched worker.
struct Watched {
    name: &'static str,
    pulse: Arc<Pulse>,
    abandon: Option<Box<dyn FnOnce() + Send>>,
}

impl Watched {
    fn look(&mut self, now: u64) {
        let busy = self.pulse.busy_for(now);
        let state = self.pulse.state.load(Relaxed);
        if busy >= DEMOTE_AFTER && state == NORMAL {
            // In this order: a worker that blocks in between regains its priority at its next wait.
            realtime::demote(self.pulse.thread.load(Relaxed));
            self.pulse.state.store(DEMOTED, Relaxed);
            tracing::warn!(
                "{} worker: busy for {} ms; realtime priority suspended until it blocks",
                self.name,
                busy.as_millis()
            );
        }
        if busy >= ABANDON_AFTER
            && state != ABANDONED
            && let Some(abandon) = self.abandon.take()
        {
            self.pulse.state.store(ABANDONED, Relaxed);
            abandon();
            tracing::error!(
                "{} worker: no response for {:.1} s; abandoned, the decks play on. Restart grooved to restore it",
                self.name,
                busy.as_secs_f64()
            );
        }
    }
}

/// Handle of the overseer's thread.
pub struct Overseer {
    mail: Sender<Watched>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Overseer {
    /// Starts the thread; `enter` is called on it first, to set its priority.
    ///
    /// # Errors
    /// If the system cannot create the thread.
    pub fn start(enter: impl FnOnce() + Send + 'static) -> std::io::Result<Overseer> {
        let (mail, inbox): (Sender<Watched>, Receiver<Watched>) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::Builder::new().name("overseer".into()).spawn(move || {
            enter();
            let mut workers: Vec<Watched> = Vec::new();
            while !told.load(Relaxed) {
                workers.extend(inbox.try_iter());
                let now = monotonic_ns();
                workers.iter_mut().for_each(|w| w.look(now));
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(Overseer { mail, stop, thread: Some(thread) })
    }

    /// Adds a worker; `abandon` is called at most once, on the overseer's thread, when the worker is abandoned.
    pub fn watch(&self, name: &'static str, pulse: Arc<Pulse>, abandon: impl FnOnce() + Send + 'static) {
        // The thread lives as long as this handle.
        let _ = self.mail.send(Watched { name, pulse, abandon: Some(Box::new(abandon)) });
    }

    /// Stops the thread.
    pub fn finish(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            join_within(thread, Duration::from_secs(1));
        }
    }
}

/// Joins a thread if it ends within `limit`, otherwise leaves it behind; returns whether it ended.
pub fn join_within(thread: JoinHandle<()>, limit: Duration) -> bool {
    let began = monotonic_ns();
    while !thread.is_finished() {
        if monotonic_ns() - began > limit.as_nanos() as u64 {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = thread.join();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The overseer's view of a worker that has been busy for `busy_ms` milliseconds.
    fn seen(pulse: &Arc<Pulse>, given_up: &Arc<AtomicBool>, busy_ms: u64) -> Watched {
        let told = given_up.clone();
        pulse.busy();
        let mut watched =
            Watched { name: "test", pulse: pulse.clone(), abandon: Some(Box::new(move || told.store(true, Relaxed))) };
        watched.look(pulse.busy_since.load(Relaxed) + busy_ms * 1_000_000);
        watched
    }

    #[test]
    fn a_worker_that_waits_now_and_then_is_left_alone() {
        let (pulse, given_up) = (Arc::new(Pulse::default()), Arc::new(AtomicBool::new(false)));
        seen(&pulse, &given_up, 99);
        assert!(!pulse.idle() && !pulse.is_abandoned() && !given_up.load(Relaxed));
        assert_eq!(pulse.busy_for(u64::MAX), Duration::ZERO, "it waits");
    }

    #[test]
    fn one_that_is_long_busy_gets_its_priority_back_when_it_waits() {
        let (pulse, given_up) = (Arc::new(Pulse::default()), Arc::new(AtomicBool::new(false)));
        seen(&pulse, &given_up, 1_900);
        assert!(pulse.idle(), "it had lost its priority");
        assert!(!pulse.idle() && !given_up.load(Relaxed), "once");
    }

    #[test]
    fn one_that_stops_responding_is_given_up_once() {
        let (pulse, given_up) = (Arc::new(Pulse::default()), Arc::new(AtomicBool::new(false)));
        let mut watched = seen(&pulse, &given_up, 2_001);
        assert!(pulse.is_abandoned() && given_up.swap(false, Relaxed));
        watched.look(u64::MAX);
        assert!(!given_up.load(Relaxed));
        assert!(!pulse.idle() && pulse.is_abandoned(), "for good");
    }

    #[test]
    fn nobody_waits_for_a_thread_that_does_not_end() {
        let stuck = std::thread::spawn(|| std::thread::sleep(Duration::from_secs(3)));
        assert!(!join_within(stuck, Duration::from_millis(20)));
        assert!(join_within(std::thread::spawn(|| {}), Duration::from_secs(60)));
    }
}
