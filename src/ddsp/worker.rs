//! The voices' worker: renders the ensemble ahead of the engine, by as little as possible.
//!
//! The lead decides the latency of controls. The engine renders a whole period whenever the card wants one, so a frame
//! must be ready one period before its time, plus some milliseconds for the worker to wake and work. [`Clock`]
//! estimates the current position within the period, so that the worker proceeds evenly instead of filling up after
//! every period: a control reaches the rendered stream after one period, those milliseconds, and the rest of the
//! current hop.
//!
//! In live operation a [`VoiceThread`] (SCHED_FIFO 45) does the work; offline, the same [`Worker`] is pumped before
//! every quantum, so renders are reproducible.

use super::guest::MonitorCommand;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ensemble::{Ensemble, InstrumentVoices};
use super::order::VoiceCommand;
use crate::engine::GRID;
use crate::engine::door::Telemetry;
use crate::engine::voices::{VoiceBlock, VoiceCell, VoiceWriter};
use crate::system::overseer::{Pulse, join_within};

/// Extra delay of a sound that starts from silence, so that it does not miss the period being rendered.
const SLACK_S: f64 = 0.002;
/// Polling interval of the thread while something sounds.
const LOOK: Duration = Duration::from_millis(1);
/// Polling interval otherwise; any message wakes the thread.
const DOZE: Duration = Duration::from_millis(250);
/// Maximum number of scheduled commands.
const MOST_QUEUED: usize = 4_096;
/// Messages processed between two renders, so that a flood of messages cannot stop the sound.
const MOST_AT_ONCE: usize = 256;
/// Share of real time above which voices are dropped after an underrun.
const TOO_MUCH: f64 = 0.7;
/// Seconds of sound over which the measured load is smoothed.
const COST_S: f64 = 0.3;

/// Renders the ensemble into the engine's ring and applies its commands on time. Owned by one thread. Realtime: no.
pub struct Worker {
    ensemble: Ensemble,
    writer: VoiceWriter,
    sample_rate: u32,
    /// Scheduled commands, in order of time.
    queue: VecDeque<(u64, VoiceCommand)>,
    /// The next frame to render; nothing has been written beyond it.
    next: u64,
    flowing: bool,
    underruns: u64,
    shed: u64,
    lost_orders: u64,
    cost: f64,
    /// Debugging aid: sleep after each block.
    nap: Duration,
}

impl Worker {
    /// Creates an idle worker.
    pub fn new(ensemble: Ensemble, writer: VoiceWriter, sample_rate: u32) -> Worker {
        Worker {
            ensemble,
            writer,
            sample_rate,
            queue: VecDeque::new(),
            next: 0,
            flowing: false,
            underruns: 0,
            shed: 0,
            lost_orders: 0,
            cost: 0.0,
            nap: Duration::ZERO,
        }
    }

    /// Accepts a command for a sample time, or for immediate execution.
    pub fn tell(&mut self, at: Option<u64>, order: VoiceCommand) {
        let ends = matches!(order, VoiceCommand::NoteOff(..) | VoiceCommand::AllOff(_) | VoiceCommand::Reset(_));
        match at {
            Some(at) if self.queue.len() < MOST_QUEUED => {
                let place = self.queue.partition_point(|(t, _)| *t <= at);
                self.queue.insert(place, (at, order));
            }
            // A note may be dropped, its end may not.
            Some(_) if !ends => self.lost_orders += 1,
            _ => {
                if let VoiceCommand::AllOff(which) = order {
                    // Notes scheduled before must not begin afterwards either.
                    let begins = |o: &VoiceCommand| matches!(o, VoiceCommand::NoteOn(part, ..) if which.is_none_or(|w| w == *part));
                    self.queue.retain(|(_, order)| !begins(order));
                }
                self.ensemble.obey(order);
            }
        }
    }

    fn hear(&mut self, told: WorkerMessage) {
        match told {
            WorkerMessage::Command(at, order) => self.tell(at, order),
            WorkerMessage::Instrument(section) => self.seat(section),
            WorkerMessage::Monitor(number, guest) => self.ensemble.entertain(number, guest),
        }
    }

    /// Adds an instrument to the ensemble.
    pub fn seat(&mut self, section: InstrumentVoices) {
        self.ensemble.seat(section);
    }

    /// Returns whether something sounds or is scheduled.
    pub fn is_busy(&self) -> bool {
        self.flowing || !self.queue.is_empty() || !self.ensemble.is_resting()
    }

    /// Renders everything up to frame `goal`. The engine is at frame `now`; sound out of silence begins at `entry`, or
    /// at its scheduled time if that is later.
    pub fn advance(&mut self, now: u64, entry: u64, goal: u64) {
        if self.flowing && self.next < now {
            // Too late: the missed frames are skipped, not rendered.
            self.next = entry;
        }
        let began = Instant::now();
        let mut made = 0;
        loop {
            if !self.flowing && !self.begin(entry, goal) {
                break;
            }
            if self.next >= goal || self.writer.room() == 0 {
                break;
            }
            let piece = self.piece();
            self.writer.write(piece);
            self.next += GRID as u64;
            made += GRID;
            if self.ensemble.is_resting() {
                self.writer.rest();
                self.flowing = false;
            }
            if !self.nap.is_zero() {
                std::thread::sleep(self.nap);
            }
        }
        if made > 0 {
            let seconds = made as f64 / f64::from(self.sample_rate);
            let share = began.elapsed().as_secs_f64() / seconds;
            self.cost += (seconds / COST_S).min(1.0) * (share - self.cost);
        } else if !self.flowing {
            self.cost = 0.0;
        }
        self.show();
    }

    /// Starts rendering if there is a reason to; returns `false` if there is none before `goal`.
    fn begin(&mut self, entry: u64, goal: u64) -> bool {
        // The tail of an earlier sound that has been written must play first.
        self.next = self.next.max(entry);
        self.obey_until(self.next);
        while self.ensemble.is_resting() {
            let Some((at, _)) = self.queue.front().filter(|(at, _)| *at < goal) else { return false };
            self.next = self.next.max(*at);
            self.obey_until(self.next);
        }
        self.flowing = true;
        true
    }

    /// Executes the commands due at frame `t`; returns the time of the next one, or `u64::MAX`.
    fn obey_until(&mut self, t: u64) -> u64 {
        loop {
            match self.queue.front() {
                Some((at, _)) if *at > t => return *at,
                None => return u64::MAX,
                Some(_) => {}
            }
            if let Some((_, order)) = self.queue.pop_front() {
                self.ensemble.obey(order);
            }
        }
    }

    fn piece(&mut self) -> VoiceBlock {
        let mut piece = VoiceBlock { at: self.next, left: [0.0; GRID], right: [0.0; GRID] };
        let mut done = 0;
        while done < GRID {
            let now = self.next + done as u64;
            let due = self.obey_until(now);
            let until = (done as u64 + (due - now)).min(GRID as u64) as usize;
            self.ensemble.add(&mut piece.left[done..until], &mut piece.right[done..until]);
            done = until;
        }
        piece
    }

    /// Drops a voice if there was an underrun and the load is too high.
    fn relieve(&mut self) {
        let underruns = self.writer.cell.underruns.load(Relaxed);
        if underruns != self.underruns {
            self.underruns = underruns;
            if self.cost > TOO_MUCH && self.ensemble.shed() {
                self.shed += 1;
            }
        }
    }

    fn show(&mut self) {
        let counts = self.ensemble.counts();
        let cell = &self.writer.cell;
        cell.sounding.store(counts.sounding as u32, Relaxed);
        cell.stolen.store(counts.stolen, Relaxed);
        cell.unplayed.store(counts.unplayed + self.lost_orders, Relaxed);
        cell.shed.store(self.shed, Relaxed);
        cell.cost.store((self.cost * 1e6) as u32, Relaxed);
    }
}

/// Estimates the engine's position within its period.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    sample_rate: f64,
    /// Frames per period: the configured value until a period has been observed.
    period: f64,
    /// Frames rendered beyond a period: time to wake, to work, and the reserve held back for a fade.
    ahead: f64,
}

/// What is to be rendered, in sample time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    /// Position of the engine.
    now: u64,
    /// Earliest start of a sound out of silence.
    entry: u64,
    /// Frame up to which sound must be rendered.
    goal: u64,
}

impl Clock {
    /// Creates a clock for periods of `period` frames, with a lead of `ahead_s` seconds beyond them.
    pub fn new(sample_rate: u32, period: usize, ahead_s: f64) -> Clock {
        let sample_rate = f64::from(sample_rate);
        Clock { sample_rate, period: period as f64, ahead: ahead_s * sample_rate }
    }

    /// Returns what is due at `ns`, with the engine at frame `time`, its latest period begun at frame `from`,
    /// `began_ns`.
    fn due(&mut self, time: u64, (from, began_ns): (u64, u64), ns: u64) -> Due {
        if time > from && ((time - from) as f64) < 0.25 * self.sample_rate {
            self.period = (time - from) as f64;
        }
        // The frame playing now if there were no buffer behind the engine: advances evenly through the period, and
        // waits at its end for a late one.
        let passed = ns.saturating_sub(began_ns) as f64 * 1e-9 * self.sample_rate;
        let present = from as f64 + passed.min(self.period);
        Due {
            now: time,
            entry: ((present + self.period + SLACK_S * self.sample_rate) as u64).max(time),
            goal: (present + self.period + self.ahead) as u64,
        }
    }
}

/// A message to the voices' thread.
pub enum WorkerMessage {
    /// A command, with its sample time if scheduled.
    Command(Option<u64>, VoiceCommand),
    /// A loaded instrument.
    Instrument(InstrumentVoices),
    /// A message for a monitored streaming client, by its number.
    Monitor(u64, MonitorCommand),
}

/// The live thread of the voices.
pub struct VoiceThread {
    mail: Sender<WorkerMessage>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Shared counters and state.
    pub cell: Arc<VoiceCell>,
    /// Debugging aid: microseconds to sleep after each block of 32 frames.
    pub slow_us: Arc<AtomicU64>,
    /// Liveness of the thread, for the overseer.
    pub pulse: Arc<Pulse>,
}

impl VoiceThread {
    /// Starts the thread. `enter` is called on it at the start to set its priority, and again whenever the overseer has
    /// lowered it. `now_ns` is the clock that stamps the engine's periods.
    ///
    /// # Errors
    /// If the system cannot create the thread.
    pub fn start(
        mut worker: Worker,
        mut clock: Clock,
        telemetry: Arc<Telemetry>,
        now_ns: fn() -> u64,
        enter: impl Fn() + Send + 'static,
    ) -> std::io::Result<VoiceThread> {
        let (mail, inbox): (Sender<WorkerMessage>, Receiver<WorkerMessage>) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let slow_us = Arc::new(AtomicU64::new(0));
        let cell = worker.writer.cell.clone();
        let (told, slow) = (stop.clone(), slow_us.clone());
        let shown = cell.clone();
        let pulse = Arc::new(Pulse::default());
        let beat = pulse.clone();
        let mut turn = move || {
            let wait = if worker.is_busy() { LOOK } else { DOZE };
            match inbox.recv_timeout(wait) {
                Ok(first) => {
                    beat.busy();
                    let all = std::iter::once(first).chain(inbox.try_iter()).take(MOST_AT_ONCE);
                    all.for_each(|told| worker.hear(told));
                }
                Err(RecvTimeoutError::Timeout) => beat.busy(),
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            worker.nap = Duration::from_micros(slow.load(Relaxed));
            let period = telemetry.period();
            let due = clock.due(telemetry.time(), period, now_ns());
            worker.advance(due.now, due.entry, due.goal);
            worker.relieve();
            true
        };
        let beat = pulse.clone();
        let thread = std::thread::Builder::new().name("voices".into()).spawn(move || {
            beat.enter();
            enter();
            while !told.load(Relaxed) && !beat.is_abandoned() {
                match catch_unwind(AssertUnwindSafe(&mut turn)) {
                    Ok(true) => {
                        if beat.idle() {
                            enter();
                        }
                    }
                    Ok(false) => return,
                    // The decks play on; requests for notes are answered with an error.
                    Err(_) => return shown.give_up(),
                }
            }
        })?;
        Ok(VoiceThread { mail, stop, thread: Some(thread), cell, slow_us, pulse })
    }

    /// Returns a sender of messages to the thread.
    pub fn mail(&self) -> Sender<WorkerMessage> {
        self.mail.clone()
    }

    /// Stops the thread and waits for it, at most one second.
    pub fn finish(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            join_within(thread, Duration::from_secs(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddsp::library::{InstrumentCache, Library};
    use crate::engine::door::door;
    use crate::engine::voices::line;
    use crate::engine::{Block, Engine, EngineConfig};

    fn rig() -> (Engine, Worker) {
        let config = EngineConfig::default();
        let (inner, _outer) = door(config.slots, 2);
        let mut engine = Engine::new(&config, inner);
        let (writer, reader) = line(0);
        engine.attach_voices(reader);
        let mut ensemble = Ensemble::new(8, 48_000);
        let shelf = InstrumentCache::new(Library::new(Some("models".as_ref())), None);
        ensemble.seat(InstrumentVoices::open(&shelf, "flute", 8, 48_000).unwrap().0);
        ensemble.obey(VoiceCommand::Swap(None, "flute".into()));
        (engine, Worker::new(ensemble, writer, 48_000))
    }

    fn render(engine: &mut Engine, frames: usize) -> Vec<f32> {
        let mut block = Block::new(2, frames);
        engine.render(&mut block);
        block.channel(0).to_vec()
    }

    /// Renders with the worker pumped before every period.
    fn play(engine: &mut Engine, worker: &mut Worker, period: usize, frames: usize) -> Vec<f32> {
        let mut out = Vec::new();
        while out.len() < frames {
            let now = engine.time();
            worker.advance(now, now, now + period as u64 + 200);
            out.extend(render(engine, period));
        }
        out
    }

    #[test]
    fn a_note_with_a_time_begins_on_its_sample_whatever_the_period() {
        for period in [32, 441, 1_023] {
            let (mut engine, mut worker) = rig();
            worker.tell(Some(12_345), VoiceCommand::NoteOn(0, 72.0, 0.8));
            worker.tell(Some(30_000), VoiceCommand::NoteOff(0, 72.0));
            let sound = play(&mut engine, &mut worker, period, 96_000);
            let first = sound.iter().position(|s| *s != 0.0).unwrap();
            assert!((12_345..12_348).contains(&first), "{first} at {period}");
            assert!(sound[90_000..].iter().all(|s| *s == 0.0) && !worker.is_busy());
            assert_eq!(worker.writer.cell.underruns.load(Relaxed), 0);
        }
    }

    #[test]
    fn a_worker_that_comes_late_fades_and_goes_on_at_the_right_time() {
        let (mut engine, mut worker) = rig();
        worker.tell(None, VoiceCommand::NoteOn(0, 72.0, 0.8));
        play(&mut engine, &mut worker, 480, 24_000);
        let gap = render(&mut engine, 4_800);
        assert!(gap[1_000..].iter().all(|s| *s == 0.0), "nothing came");
        let after = play(&mut engine, &mut worker, 480, 24_000);
        let jump = |s: &[f32]| s.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        let steady = jump(&after[12_000..]);
        let seam = [gap.as_slice(), &after[..4_800]].concat();
        assert!(jump(&seam) < 1.5 * steady && after[0].abs() < 0.01, "{} beside {steady}", jump(&seam));
        assert_eq!(worker.writer.cell.underruns.load(Relaxed), 1);
    }

    #[test]
    fn a_note_soon_after_an_ending_begins_whole() {
        let (mut engine, mut worker) = rig();
        worker.tell(None, VoiceCommand::NoteOn(0, 72.0, 0.8));
        play(&mut engine, &mut worker, 480, 24_000);
        worker.tell(None, VoiceCommand::NoteOff(0, 72.0));
        loop {
            let now = engine.time();
            worker.advance(now, now, now + 680);
            if !worker.is_busy() {
                break;
            }
            render(&mut engine, 480);
        }
        // The tail is already written ahead; a new sound must not begin before its end.
        worker.tell(None, VoiceCommand::NoteOn(0, 72.0, 0.8));
        let (now, written) = (engine.time(), worker.next);
        assert!(written > now, "the ending is ahead");
        let again = play(&mut engine, &mut worker, 480, 24_000);
        let first = now + again.iter().position(|s| *s != 0.0).unwrap() as u64;
        assert!((written..written + 3).contains(&first), "{first} beside {written}, told at {now}");
        // It fades in and does not start with a jump.
        assert!(again[(first - now) as usize..][..20].iter().all(|s| s.abs() < 1e-3));
    }

    #[test]
    fn what_ends_all_notes_ends_those_to_come_and_ends_are_never_lost() {
        let (mut engine, mut worker) = rig();
        worker.tell(Some(10_000), VoiceCommand::NoteOn(0, 72.0, 0.8));
        worker.tell(None, VoiceCommand::AllOff(None));
        assert!(play(&mut engine, &mut worker, 480, 24_000).iter().all(|s| *s == 0.0));
        worker.tell(None, VoiceCommand::NoteOn(0, 72.0, 0.8));
        for k in 0..MOST_QUEUED as u64 + 10 {
            worker.tell(Some(10_000_000 + k), VoiceCommand::NoteOn(0, 60.0, 0.8));
        }
        worker.tell(Some(20_000_000), VoiceCommand::NoteOff(0, 72.0));
        assert_eq!(worker.lost_orders, 10);
        play(&mut engine, &mut worker, 480, 24_000);
        assert_eq!(worker.ensemble.counts().sounding, 0);
    }

    #[test]
    fn the_clock_goes_on_evenly_through_a_period() {
        let mut clock = Clock::new(48_000, 480, 0.008);
        let mut due = |time, from, ms: f64| clock.due(time, (from, 10_000_000), (ms * 1e6) as u64);
        // Before the first period; then one of 480 frames that began at 10 ms.
        assert_eq!(due(0, 0, 10.0), Due { now: 0, entry: 480 + 96, goal: 480 + 384 });
        assert_eq!(due(960, 480, 10.0), Due { now: 960, entry: 960 + 96, goal: 960 + 384 });
        assert_eq!(due(960, 480, 15.0), Due { now: 960, entry: 960 + 240 + 96, goal: 960 + 240 + 384 });
        // The next period is late: the clock stops.
        assert_eq!(due(960, 480, 40.0), Due { now: 960, entry: 1_440 + 96, goal: 1_440 + 384 });
        // A gap is not a long period.
        assert_eq!(due(40_000, 480, 10.0), Due { now: 40_000, entry: 40_000, goal: 960 + 384 });
        // Longer periods are accepted.
        assert_eq!(due(1_504, 480, 10.0).goal, 480 + 1_024 + 384);
    }
}
