//! The voices' worker: makes the ensemble's sound ahead of the engine, and no further than it must.
//!
//! How far ahead decides how late a control is heard. The engine renders a period at once, whenever the card wants one;
//! a frame must therefore be there a period before its time, and some milliseconds more for the worker to wake and
//! work in. [`Clock`] tells where in the period the present moment lies, so that the worker goes on evenly instead of
//! filling up after every period: a control is in the rendered stream after a period, those milliseconds, and the rest of the
//! hop that sounds.
//!
//! Live, a [`VoiceThread`] (SCHED_FIFO 45) does the work; offline, the same [`Worker`] is pumped before every quantum, so
//! a render is the same every time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ensemble::{Ensemble, Section};
use super::order::Order;
use super::stream::{Stream, Update};
use super::voice::Voice;
use crate::engine::GRID;
use crate::engine::door::Telemetry;
use crate::engine::voices::{Piece, VoiceCell, VoiceWriter};
use crate::system::overseer::{Pulse, join_within};

/// What begins out of silence may be a little later than that: the period that is just being rendered must not miss it.
const SLACK_S: f64 = 0.002;
/// How often the thread looks while something sounds.
const LOOK: Duration = Duration::from_millis(1);
/// How often it looks otherwise; whatever it is told wakes it.
const DOZE: Duration = Duration::from_millis(250);
/// Orders that may wait for their time.
const MOST_QUEUED: usize = 4_096;
/// Orders that are taken between two looks: however many are sent, sound is made.
const MOST_AT_ONCE: usize = 256;
/// Share of real time above which voices are let go of when the sound was late.
const TOO_MUCH: f64 = 0.7;
/// Seconds of sound over which the measured cost is smoothed.
const COST_S: f64 = 0.3;

/// See the module's text. Realtime: no; it belongs to one thread.
pub struct Worker {
    ensemble: Ensemble,
    writer: VoiceWriter,
    sample_rate: u32,
    /// Orders with a time, by it.
    queue: VecDeque<(u64, Order)>,
    /// The frame that is made next; nothing has been written beyond it.
    next: u64,
    flowing: bool,
    underruns: u64,
    shed: u64,
    lost_orders: u64,
    cost: f64,
    /// Debugging: slept for each piece.
    nap: Duration,
}

impl Worker {
    /// A worker at rest.
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

    /// Takes an order, for a sample time or for as soon as possible.
    pub fn tell(&mut self, at: Option<u64>, order: Order) {
        let ends = matches!(order, Order::NoteOff(..) | Order::AllOff(_) | Order::Reset(_));
        match at {
            Some(at) if self.queue.len() < MOST_QUEUED => {
                let place = self.queue.partition_point(|(t, _)| *t <= at);
                self.queue.insert(place, (at, order));
            }
            // A note may be lost, its end may not.
            Some(_) if !ends => self.lost_orders += 1,
            _ => {
                if let Order::AllOff(which) = order {
                    // Nor may one begin whose end was forgotten.
                    let begins = |o: &Order| matches!(o, Order::NoteOn(part, ..) if which.is_none_or(|w| w == *part));
                    self.queue.retain(|(_, order)| !begins(order));
                }
                self.ensemble.obey(order);
            }
        }
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Order(at, order) => self.tell(at, order),
            Told::Section(section) => self.seat(section),
            Told::Guest(number, guest) => self.ensemble.entertain(number, guest),
        }
    }

    /// Takes on an instrument.
    pub fn seat(&mut self, section: Section) {
        self.ensemble.seat(section);
    }

    /// Whether something sounds, or waits for its time.
    pub fn is_busy(&self) -> bool {
        self.flowing || !self.queue.is_empty() || !self.ensemble.is_resting()
    }

    /// Makes everything up to frame `goal`. The engine is at frame `now`; what begins out of silence begins at `entry`,
    /// or at its time, if that is later.
    pub fn advance(&mut self, now: u64, entry: u64, goal: u64) {
        if self.flowing && self.next < now {
            // Too late: what should have been is not caught up with.
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

    /// Begins to flow, if there is a reason to; `false`: there is none before `goal`.
    fn begin(&mut self, entry: u64, goal: u64) -> bool {
        // What was written of an ending before must be heard first.
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

    /// Does what is due at frame `t`; tells when the next thing is.
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

    fn piece(&mut self) -> Piece {
        let mut piece = Piece { at: self.next, left: [0.0; GRID], right: [0.0; GRID] };
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

    /// Lets go of a voice when the sound came too late and the work is too much.
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

/// Where in its period the engine is.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    sample_rate: f64,
    /// Frames of a period, until one has been seen.
    period: f64,
    /// Frames that are made beyond it: time to wake, to work, and what is held back for a fade.
    ahead: f64,
}

/// What is to be made, in sample time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    /// Where the engine is.
    now: u64,
    /// Where something that begins out of silence can begin.
    entry: u64,
    /// Up to where sound must have been made.
    goal: u64,
}

impl Clock {
    /// For periods of so many frames, with so many seconds made beyond them.
    pub fn new(sample_rate: u32, period: usize, ahead_s: f64) -> Clock {
        let sample_rate = f64::from(sample_rate);
        Clock { sample_rate, period: period as f64, ahead: ahead_s * sample_rate }
    }

    /// What is due at `ns`, when the engine is at frame `time` and began its latest period at frame `from`, `began_ns`.
    fn due(&mut self, time: u64, (from, began_ns): (u64, u64), ns: u64) -> Due {
        if time > from && ((time - from) as f64) < 0.25 * self.sample_rate {
            self.period = (time - from) as f64;
        }
        // The frame that would be heard now, were there no buffer behind the engine: it goes on evenly through the
        // period, and waits at its end for one that is late.
        let passed = ns.saturating_sub(began_ns) as f64 * 1e-9 * self.sample_rate;
        let present = from as f64 + passed.min(self.period);
        Due {
            now: time,
            entry: ((present + self.period + SLACK_S * self.sample_rate) as u64).max(time),
            goal: (present + self.period + self.ahead) as u64,
        }
    }
}

/// What the thread is told.
pub enum Told {
    /// An order, with its sample time if it has one.
    Order(Option<u64>, Order),
    /// An instrument.
    Section(Section),
    /// A client of the stream that is heard here as well, by its number.
    Guest(u64, Guest),
}

/// What a client of the stream does on the speakers.
pub enum Guest {
    /// This sounds from now on.
    Comes(Box<Stream>),
    /// A change of it, so many seconds from now.
    Says(Update, f64),
    /// Another instrument.
    Swaps(Vec<Voice>),
    /// It falls silent.
    Goes,
}

/// The thread.
pub struct VoiceThread {
    mail: Sender<Told>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// What is shown.
    pub cell: Arc<VoiceCell>,
    /// Debugging: microseconds to sleep for each piece of 32 frames.
    pub slow_us: Arc<AtomicU64>,
    /// Whether it responds.
    pub pulse: Arc<Pulse>,
}

impl VoiceThread {
    /// Starts the thread; `enter` is called on it first, to give it its priority, and again whenever the overseer has
    /// taken that away. `now_ns` is the clock by which the
    /// engine's periods begin.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn start(
        mut worker: Worker,
        mut clock: Clock,
        telemetry: Arc<Telemetry>,
        now_ns: fn() -> u64,
        enter: impl Fn() + Send + 'static,
    ) -> std::io::Result<VoiceThread> {
        let (mail, inbox): (Sender<Told>, Receiver<Told>) = channel();
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
                    // The decks play on; whoever asks for a note is told.
                    Err(_) => return shown.give_up(),
                }
            }
        })?;
        Ok(VoiceThread { mail, stop, thread: Some(thread), cell, slow_us, pulse })
    }

    /// A sender of orders and instruments.
    pub fn mail(&self) -> Sender<Told> {
        self.mail.clone()
    }

    /// Ends the thread.
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
    use crate::ddsp::library::{Library, Shelf};
    use crate::engine::door::door;
    use crate::engine::voices::line;
    use crate::engine::{Block, Engine, EngineConfig};

    fn rig() -> (Engine, Worker) {
        let config = EngineConfig::default();
        let (inner, _outer) = door(config.slots, 2);
        let mut engine = Engine::new(&config, inner);
        let (writer, reader) = line(0);
        engine.hear(reader);
        let mut ensemble = Ensemble::new(8, 48_000);
        let shelf = Shelf::new(Library::new(Some("models".as_ref())));
        ensemble.seat(Section::open(&shelf, "flute", 8, 48_000).unwrap().0);
        ensemble.obey(Order::Swap(None, "flute".into()));
        (engine, Worker::new(ensemble, writer, 48_000))
    }

    fn render(engine: &mut Engine, frames: usize) -> Vec<f32> {
        let mut block = Block::new(2, frames);
        engine.render(&mut block);
        block.channel(0).to_vec()
    }

    /// What is heard with the worker pumped before every period.
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
            worker.tell(Some(12_345), Order::NoteOn(0, 72.0, 0.8));
            worker.tell(Some(30_000), Order::NoteOff(0, 72.0));
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
        worker.tell(None, Order::NoteOn(0, 72.0, 0.8));
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
        worker.tell(None, Order::NoteOn(0, 72.0, 0.8));
        play(&mut engine, &mut worker, 480, 24_000);
        worker.tell(None, Order::NoteOff(0, 72.0));
        loop {
            let now = engine.time();
            worker.advance(now, now, now + 680);
            if !worker.is_busy() {
                break;
            }
            render(&mut engine, 480);
        }
        // The ending has been written ahead; what begins now must not begin before it.
        worker.tell(None, Order::NoteOn(0, 72.0, 0.8));
        let (now, written) = (engine.time(), worker.next);
        assert!(written > now, "the ending is ahead");
        let again = play(&mut engine, &mut worker, 480, 24_000);
        let first = now + again.iter().position(|s| *s != 0.0).unwrap() as u64;
        assert!((written..written + 3).contains(&first), "{first} beside {written}, told at {now}");
        // It rises, and does not jump in.
        assert!(again[(first - now) as usize..][..20].iter().all(|s| s.abs() < 1e-3));
    }

    #[test]
    fn what_ends_all_notes_ends_those_to_come_and_ends_are_never_lost() {
        let (mut engine, mut worker) = rig();
        worker.tell(Some(10_000), Order::NoteOn(0, 72.0, 0.8));
        worker.tell(None, Order::AllOff(None));
        assert!(play(&mut engine, &mut worker, 480, 24_000).iter().all(|s| *s == 0.0));
        worker.tell(None, Order::NoteOn(0, 72.0, 0.8));
        for k in 0..MOST_QUEUED as u64 + 10 {
            worker.tell(Some(10_000_000 + k), Order::NoteOn(0, 60.0, 0.8));
        }
        worker.tell(Some(20_000_000), Order::NoteOff(0, 72.0));
        assert_eq!(worker.lost_orders, 10);
        play(&mut engine, &mut worker, 480, 24_000);
        assert_eq!(worker.ensemble.counts().sounding, 0);
    }

    #[test]
    fn the_clock_goes_on_evenly_through_a_period() {
        let mut clock = Clock::new(48_000, 480, 0.008);
        let mut due = |time, from, ms: f64| clock.due(time, (from, 10_000_000), (ms * 1e6) as u64);
        // Before the first period; then one of 480 frames that was begun at 10 ms.
        assert_eq!(due(0, 0, 10.0), Due { now: 0, entry: 480 + 96, goal: 480 + 384 });
        assert_eq!(due(960, 480, 10.0), Due { now: 960, entry: 960 + 96, goal: 960 + 384 });
        assert_eq!(due(960, 480, 15.0), Due { now: 960, entry: 960 + 240 + 96, goal: 960 + 240 + 384 });
        // The next period is late: time stands still.
        assert_eq!(due(960, 480, 40.0), Due { now: 960, entry: 1_440 + 96, goal: 1_440 + 384 });
        // Lost time is no long period.
        assert_eq!(due(40_000, 480, 10.0), Due { now: 40_000, entry: 40_000, goal: 960 + 384 });
        // Other periods are.
        assert_eq!(due(1_504, 480, 10.0).goal, 480 + 1_024 + 384);
    }
}
