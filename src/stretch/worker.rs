//! The adaptive reserve: high-quality stretching ahead of time, one fill-to-target loop per covered rate group.
//!
//! Input is pulled: it is consumed as the output demands, and the output demands no more than the target. The target is
//! a duration. It starts small; it doubles when the reserve nearly ran dry or a batch took long; it shrinks by a
//! twentieth per second while the measured cost is low enough. The fill level is reported with the names of the older
//! server's modes ([`Level`]).
//!
//! [`Worker::pump`] does the work. Live, a [`StretchThread`] (SCHED_FIFO 40) calls it every few milliseconds; offline
//! it is called before every block and then fills every reserve, so renders are reproducible.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringbuf::traits::{Consumer, Observer, Producer};

use super::machine::Machine;
use super::offline::ahead;
use crate::engine::cover::{OverlayCell, PIECE, Piece, Trajectory, WorkerEnd};
use crate::engine::method::Method;
use crate::system::overseer::{Pulse, join_within};

/// Interval between two iterations of the thread.
const LOOK: Duration = Duration::from_millis(3);
/// Time without any growth after which a target shrinks by [`SHRINK`].
const CALM: Duration = Duration::from_secs(1);
const SHRINK: f64 = 0.95;
/// Maximum share of real time the work may take for a target to shrink.
const ROOM: f64 = 0.5;

/// Fill level of a reserve, by the names of the older server's modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Less than a quarter of the target.
    Emergency,
    /// Less than half of the target.
    Urgent,
    /// Less than nine tenths of the target.
    Normal,
    /// At least nine tenths of the target, or nothing to fill.
    #[default]
    Relaxed,
}

impl Level {
    /// Returns the level of `fill` frames with a target of `target` frames.
    pub fn of(fill: u32, target: u32) -> Level {
        match f64::from(fill) / f64::from(target.max(1)) {
            share if share < 0.25 => Level::Emergency,
            share if share < 0.5 => Level::Urgent,
            share if share < 0.9 => Level::Normal,
            _ => Level::Relaxed,
        }
    }

    /// Returns the level's name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Emergency => "emergency",
            Level::Urgent => "urgent",
            Level::Normal => "normal",
            Level::Relaxed => "relaxed",
        }
    }
}

/// A reserve being filled.
struct Reserve {
    end: WorkerEnd,
    machine: Box<dyn Machine>,
    method: Method,
    rate: u64,
    generation: u32,
    /// The latest course; `None` until there has been a request. `next` is the stretched frame to be made next.
    course: Option<Trajectory>,
    next: i64,
    /// The input frame that is heard first.
    begins: i64,
    /// Whether input for this request has arrived.
    fed: bool,
    target: f64,
    /// Whether the reserve has been full since the request.
    filled: bool,
    calm_since: Instant,
    underruns: u32,
    cost: f64,
}

impl Reserve {
    fn new(end: WorkerEnd) -> Reserve {
        let rate = end.cell.rate.load(Relaxed);
        let target = end.bounds.least * rate as f64;
        Reserve {
            machine: ahead(Method::Hq, rate as u32, end.bounds.read_ahead(rate as f64)),
            method: Method::Hq,
            rate,
            generation: 0,
            course: None,
            next: 0,
            begins: 0,
            fed: false,
            target,
            filled: false,
            calm_since: Instant::now(),
            underruns: 0,
            cost: 0.0,
            end,
        }
    }

    /// Receives courses and input.
    fn listen(&mut self) {
        while let Some(course) = self.end.course.try_pop() {
            if self.course.is_none() || course.generation != self.generation {
                self.begin(course);
            }
            self.course = Some(course);
        }
        while let Some(input) = self.end.input.first() {
            let age = input.generation.wrapping_sub(self.generation) as i32;
            if age > 0 || self.course.is_none() {
                // Its course is on its way.
                break;
            }
            if age == 0 {
                if !self.fed {
                    self.fed = true;
                    self.machine.restart(input.at, self.begins.max(input.at), self.next);
                }
                self.machine.feed(&input.left[..input.len], &input.right[..input.len]);
            }
            self.end.input.skip(1);
        }
    }

    /// Starts a new request.
    fn begin(&mut self, course: Trajectory) {
        let rate = self.end.cell.rate.load(Relaxed);
        let method = Method::ALL.get(self.end.cell.method.load(Relaxed) as usize).copied().unwrap_or(Method::Hq);
        if rate != self.rate || method != self.method {
            self.target *= rate as f64 / self.rate as f64;
            self.end.cell.target.store(self.target as u32, Relaxed);
            (self.rate, self.method) = (rate, method);
            self.machine = ahead(method, rate as u32, self.end.bounds.read_ahead(rate as f64));
        }
        self.generation = course.generation;
        self.next = course.frame;
        self.begins = course.ideal.round() as i64;
        (self.fed, self.filled) = (false, false);
    }

    /// Fills the reserve to its target; sleeps for `nap` after each piece (for debugging). Returns whether it made
    /// anything.
    fn fill(&mut self, nap: Duration, steady: bool) -> bool {
        self.listen();
        let Some(course) = self.course else { return false };
        if !self.end.cell.asked.load(Relaxed) && !self.fed {
            return false;
        }
        let rate = self.rate as f64;
        let (least, most) = (self.end.bounds.least * rate, self.end.bounds.most * rate);
        let ahead = self.next - course.frame;
        let underruns = self.end.cell.underruns.load(Relaxed);
        let near = self.filled && (ahead as f64) < self.target * 0.25;
        if !steady && (underruns != self.underruns || near) {
            self.underruns = underruns;
            self.filled = false;
            self.grow(most);
        }
        let factor = f64::from_bits(self.end.cell.formants.load(Relaxed));
        self.machine.keep_formants((factor > 0.0 && factor != 1.0).then_some(factor));
        let began = Instant::now();
        let mut made = 0;
        // Ends at the latest when the input or the room runs out.
        while ((self.next - course.frame) as f64) < self.target && !self.end.out.is_full() && self.fed {
            let (ideal, speed) = course.at(self.next);
            if self.machine.fed() < self.machine.wants(ideal, speed) {
                break;
            }
            let mut piece =
                Piece { generation: self.generation, frame: self.next, ideal, left: [0.0; PIECE], right: [0.0; PIECE] };
            self.machine.render(ideal, speed, &mut piece.left, &mut piece.right);
            self.next += PIECE as i64;
            made += PIECE;
            // Pieces that are already past were made only to catch up.
            if self.next > course.frame {
                let _ = self.end.out.try_push(piece);
            }
            if !nap.is_zero() {
                std::thread::sleep(nap);
            }
            if !steady && began.elapsed() > Duration::from_millis(20) {
                // The course has advanced in the meantime.
                break;
            }
        }
        self.filled |= (self.next - course.frame) as f64 >= self.target * 0.9;
        if made > 0 && !steady {
            let took = began.elapsed().as_secs_f64();
            self.cost += 0.05 * (took * rate / made as f64 - self.cost);
            self.end.cell.cost.store((self.cost * 1e6) as u32, Relaxed);
            if took * rate > 0.5 * self.target {
                // A batch that takes half a reserve may take a whole one the next time.
                self.grow(most);
            }
        }
        if !steady && self.calm_since.elapsed() > CALM {
            self.calm_since = Instant::now();
            if self.cost < ROOM {
                self.target = (self.target * SHRINK).max(least);
            }
        }
        self.end.cell.target.store(self.target as u32, Relaxed);
        made > 0
    }

    fn grow(&mut self, most: f64) {
        self.target = (self.target * 2.0).min(most);
        self.calm_since = Instant::now();
    }
}

/// Fills the reserves of all covers, ahead of the engine.
#[derive(Default)]
pub struct Worker {
    reserves: Vec<Reserve>,
    /// Whether targets stay constant: an offline render must not depend on its speed.
    steady: bool,
    /// Debugging: time to sleep after each piece.
    nap: Duration,
}

impl Worker {
    /// Creates a worker whose reserves do not adapt, for offline renders.
    pub fn steady() -> Worker {
        Worker { steady: true, ..Worker::default() }
    }

    /// Adds a reserve.
    pub fn add(&mut self, end: WorkerEnd) {
        self.reserves.push(Reserve::new(end));
    }

    /// Returns whether there are no reserves.
    pub fn is_idle(&self) -> bool {
        self.reserves.is_empty()
    }

    /// Fills every reserve to its target.
    pub fn pump(&mut self) {
        self.reserves.retain(|r| Arc::strong_count(&r.end.cell) > 1);
        for reserve in &mut self.reserves {
            // Live, each gets one turn: one that is too slow must not keep the others waiting, nor the thread from
            // sleeping.
            while reserve.fill(self.nap, self.steady) && self.steady {}
        }
    }
}

/// The thread that fills reserves live.
pub struct StretchThread {
    mail: Sender<Vec<WorkerEnd>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Debugging: microseconds to sleep after each piece of 64 frames.
    pub slow_us: Arc<AtomicU64>,
    /// Shows whether the thread responds.
    pub pulse: Arc<Pulse>,
}

impl StretchThread {
    /// Starts the thread, which calls `enter` first to set its priority, and again whenever the overseer has lowered
    /// it.
    pub fn start(enter: impl Fn() + Send + 'static) -> std::io::Result<StretchThread> {
        let (mail, inbox): (Sender<Vec<WorkerEnd>>, Receiver<Vec<WorkerEnd>>) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let slow_us = Arc::new(AtomicU64::new(0));
        let (told, slow) = (stop.clone(), slow_us.clone());
        let pulse = Arc::new(Pulse::default());
        let beat = pulse.clone();
        let thread = std::thread::Builder::new().name("stretch".into()).spawn(move || {
            beat.enter();
            enter();
            let mut worker = Worker::default();
            while !told.load(Relaxed) && !beat.is_abandoned() {
                if worker.is_idle() {
                    match inbox.recv_timeout(Duration::from_millis(500)) {
                        Ok(ends) => ends.into_iter().for_each(|e| worker.add(e)),
                        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => continue,
                        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
                    }
                }
                while let Ok(ends) = inbox.try_recv() {
                    ends.into_iter().for_each(|e| worker.add(e));
                }
                worker.nap = Duration::from_micros(slow.load(Relaxed));
                beat.busy();
                worker.pump();
                if beat.idle() {
                    enter();
                }
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(StretchThread { mail, stop, thread: Some(thread), slow_us, pulse })
    }

    /// Returns a sender for reserves to be filled.
    pub fn mail(&self) -> Sender<Vec<WorkerEnd>> {
        self.mail.clone()
    }

    /// Stops the thread.
    pub fn finish(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            join_within(thread, Duration::from_secs(1));
        }
    }
}

/// Returns a reserve's state: level, frames ready, target in frames, share of real time.
pub fn shown(cell: &OverlayCell) -> (Level, u32, u32, f64) {
    let (fill, target) = (cell.fill.load(Relaxed), cell.target.load(Relaxed));
    (Level::of(fill, target), fill, target, f64::from(cell.cost.load(Relaxed)) * 1e-6)
}
