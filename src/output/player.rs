//! The audio thread's loop: wait, render, write, count.
//!
//! The player has exactly one output. With a card it waits for room, renders a period and writes it. Without one it
//! paces itself by the clock, renders and discards: positions advance as if muted. When a card is lost the player hands
//! it to the supervisor and continues silently within the same period; when the supervisor offers a card, the player
//! starts it so that it sounds at the sample the clock dictates.
//!
//! The player never opens, closes or configures anything, and makes all decisions by counting: everything it does is in
//! [`Player::turn`], which a test can call directly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::convert::Converter;
use super::pcm::{Fault, Pcm, Timer};
use super::report::{Cause, Report, count};
use crate::engine::timebase::{TimeFilter, TimeLine};
use crate::engine::{Block, Engine};

/// Maximum number of frames in a period.
pub const MAX_PERIOD: usize = 8192;
/// Maximum number of channels of a card.
pub const MAX_CHANNELS: usize = 32;
/// A card that accepts nothing for this many waits of a quarter second is considered dead.
const DEAD_WAITS: u32 = 4;
/// A card that has to be restarted this often without accepting a single period in between is considered dead.
const MAX_RESTARTS: u32 = 16;
/// Time after a card's start from which its clock is trusted, in nanoseconds.
const SETTLED_NS: u64 = 1_000_000_000;
/// Longest single wait, in milliseconds: the thread checks for requests at least this often.
const WAIT_MS: u32 = 250;

/// The supervisor's side of the exchange of cards with the player.
pub struct CardDoor {
    /// Cards ready for use, for the player.
    fresh: HeapProd<Box<dyn Pcm>>,
    /// Cards the player no longer uses.
    spent: HeapCons<Box<dyn Pcm>>,
}

/// The player's side of [`CardDoor`].
pub struct CardMail {
    fresh: HeapCons<Box<dyn Pcm>>,
    spent: HeapProd<Box<dyn Pcm>>,
}

/// Creates both sides of the exchange of cards.
pub fn card_door() -> (CardDoor, CardMail) {
    let (fresh_tx, fresh_rx) = HeapRb::new(2).split();
    let (spent_tx, spent_rx) = HeapRb::new(8).split();
    (CardDoor { fresh: fresh_tx, spent: spent_rx }, CardMail { fresh: fresh_rx, spent: spent_tx })
}

impl CardDoor {
    /// Hands a ready card to the player; returns it as an error if another one is already on its way.
    pub fn offer(&mut self, card: Box<dyn Pcm>) -> Result<(), Box<dyn Pcm>> {
        self.fresh.try_push(card)
    }

    /// Returns a card the player no longer uses.
    pub fn take_spent(&mut self) -> Option<Box<dyn Pcm>> {
        self.spent.try_pop()
    }
}

/// Requests to a running player.
#[derive(Debug, Default)]
pub struct Orders {
    /// Set to leave the loop.
    pub stop: AtomicBool,
    /// Set once the player has left its loop.
    pub stopped: AtomicBool,
    /// Debugging: sleep this many nanoseconds, once.
    pub stall_ns: AtomicU64,
}

enum Sink {
    Card(Box<dyn Pcm>),
    Silent,
}

/// The external connections of a player.
pub struct PlayerIo {
    /// Its clock.
    pub timer: Box<dyn Timer>,
    /// Its side of the exchange of cards.
    pub mail: CardMail,
    /// Its counters.
    pub report: Arc<Report>,
    /// Requests to it.
    pub orders: Arc<Orders>,
    /// Receives the output as interleaved stereo, from sample time 0 on.
    pub tap: Option<HeapProd<f32>>,
}

/// How the current card was started, and what it has been given since.
struct CardStart {
    /// The line on which it was started.
    silent_line: TimeLine,
    /// The number of frames by which it missed that line: known once its clock has settled.
    error: Option<f64>,
    /// Frames given to it: for detecting a card that does not pace itself.
    written: u64,
    /// When it was started.
    started_ns: u64,
    /// Whether it does not pace itself.
    unpaced: bool,
}

/// Renders the engine's output to a card, or to a silent clock while there is none.
pub struct Player {
    engine: Engine,
    timer: Box<dyn Timer>,
    mail: CardMail,
    report: Arc<Report>,
    orders: Arc<Orders>,
    tap: Option<HeapProd<f32>>,
    /// Frames still withheld from the tap: those that the limiter outputs before the first mixed one.
    untapped: usize,
    sink: Sink,
    /// A card waiting to be started at the right moment.
    arriving: Option<Box<dyn Pcm>>,
    block: Block,
    bytes: Box<[u8]>,
    silence: Box<[u8]>,
    /// Bytes of the last period that the card has not accepted yet.
    carry: std::ops::Range<usize>,
    converter: Converter,
    filter: TimeFilter,
    rate: f64,
    /// Frames per period.
    period: usize,
    /// Frames between rendering and the converter while there is no card.
    ahead: usize,
    idle_waits: u32,
    card: CardStart,
    last_render_ns: u64,
    restarts: u32,
    last_xrun_ns: u64,
    suspended: bool,
    started: bool,
}

impl Player {
    /// Creates a player for `engine` that starts silently. Realtime: no (allocates).
    ///
    /// `period` (frames) and `periods` define the silent clock; a card brings its own.
    pub fn new(engine: Engine, ties: PlayerIo, period: usize, periods: usize) -> Player {
        let PlayerIo { timer, mail, report, orders, tap } = ties;
        let period = period.clamp(16, MAX_PERIOD);
        let rate = f64::from(engine.sample_rate());
        // Written once, so that the pages are resident.
        let touched = || {
            let mut bytes = vec![std::hint::black_box(1u8); MAX_PERIOD * MAX_CHANNELS * 4].into_boxed_slice();
            bytes.fill(0);
            bytes
        };
        report.period_frames.store(period as u64, Relaxed);
        report.buffer_frames.store((period * periods.max(2)) as u64, Relaxed);
        Player {
            block: Block::new(engine.channels(), MAX_PERIOD),
            filter: TimeFilter::new(rate),
            untapped: engine.latency(),
            engine,
            timer,
            mail,
            report,
            orders,
            tap,
            sink: Sink::Silent,
            arriving: None,
            bytes: touched(),
            silence: touched(),
            carry: 0..0,
            converter: Converter::default(),
            rate,
            period,
            ahead: period * periods.max(2),
            idle_waits: 0,
            card: CardStart {
                silent_line: TimeLine { mono_ns: 0, sample: 0.0, rate },
                error: None,
                written: 0,
                started_ns: 0,
                unpaced: false,
            },
            last_render_ns: 0,
            restarts: 0,
            last_xrun_ns: 0,
            suspended: false,
            started: false,
        }
    }

    /// Runs the loop until a stop is requested. Runs on the audio thread.
    pub fn run(&mut self) {
        while !self.orders.stop.load(Relaxed) {
            self.turn();
        }
        self.orders.stopped.store(true, Relaxed);
    }

    /// Returns the engine; for tests.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Runs one iteration of the loop: at most one period. Realtime: yes.
    pub fn turn(&mut self) {
        let stall = self.orders.stall_ns.swap(0, Relaxed);
        if stall > 0 {
            self.timer.sleep_until(self.timer.now_ns() + stall);
        }
        if !self.started {
            self.started = true;
            self.anchor(self.timer.now_ns(), self.ahead);
        }
        // Take a card only when there is none, and when there is room for handing the last one back.
        if matches!(self.sink, Sink::Silent) && self.arriving.is_none() && self.mail.spent.vacant_len() > 1 {
            self.arriving = self.mail.fresh.try_pop();
        }
        if self.arriving.is_some() && self.adopt() {
            return;
        }
        match std::mem::replace(&mut self.sink, Sink::Silent) {
            Sink::Silent => self.silent_turn(),
            Sink::Card(mut pcm) => match self.card_turn(pcm.as_mut()) {
                Ok(()) => self.sink = Sink::Card(pcm),
                Err(errno) => self.lose_card(pcm, errno),
            },
        }
    }

    /// Returns the sample time up to which the engine has output frames; it has mixed as many more as its limiter
    /// delays. Negative until that delay has been filled.
    fn reached(&self) -> f64 {
        self.engine.time() as f64 - self.engine.latency() as f64
    }

    /// Starts a time line on which the next frame rendered leaves `ahead` frames from now.
    fn anchor(&mut self, now: u64, ahead: usize) {
        self.filter.restart();
        let line = self.filter.report(now, self.reached() - ahead as f64);
        self.report.timebase.write(line);
    }

    /// Returns the current line; before a card's first report, the one it was started on.
    fn line(&self) -> TimeLine {
        self.filter.line().unwrap_or(self.card.silent_line)
    }

    /// Without a card: renders a period when it is due by the clock, and discards it.
    fn silent_turn(&mut self) {
        let line = self.line();
        let now = self.timer.now_ns();
        let behind = line.sample_at(now) - self.reached();
        if behind > 0.0 {
            // The machine slept, or this thread could not run for longer than the reserve: time has passed
            // nevertheless.
            self.xrun(behind.ceil() as u64, now);
        }
        let due_ns = line.mono_at(self.reached() + self.period as f64 - self.ahead as f64);
        if now < due_ns {
            self.timer.sleep_until(due_ns.min(now + u64::from(WAIT_MS) * 1_000_000));
            let late = self.timer.now_ns().saturating_sub(due_ns);
            self.report.woke(late);
            if self.timer.now_ns() < due_ns {
                return;
            }
        }
        self.render();
        self.report.delivered.fetch_add(self.period as u64, Relaxed);
        self.report.latency_frames.store((self.ahead + self.engine.latency()) as i64, Relaxed);
        self.show_time(line);
    }

    fn show_time(&self, line: TimeLine) {
        self.report.timebase.write(line);
        self.report.drift_milli_ppm.store((self.filter.drift_ppm() * 1000.0) as i64, Relaxed);
    }

    /// Renders one period and copies it to the tap, if there is one.
    fn render(&mut self) {
        let before = self.timer.now_ns();
        self.engine.begin_period(before);
        self.block.set_frames(self.period);
        self.engine.render(&mut self.block);
        if let Some(tap) = &mut self.tap {
            let untapped = self.untapped.min(self.period);
            self.untapped -= untapped;
            let (left, right) = (&self.block.channel(0)[untapped..], &self.block.channel(1)[untapped..]);
            if tap.vacant_len() >= 2 * left.len() {
                tap.push_iter(left.iter().zip(right).flat_map(|(l, r)| [*l, *r]));
            } else {
                self.report.tap_dropped.fetch_add(left.len() as u64, Relaxed);
            }
        }
        self.last_render_ns = self.timer.now_ns().saturating_sub(before);
        self.report.load.worst_render_ns.fetch_max(self.last_render_ns, Relaxed);
        self.report.load.render.observe(self.last_render_ns);
        count(&self.report.load.periods);
    }

    /// Starts the arriving card if the moment is right; returns whether the turn is over.
    ///
    /// The card starts with as much silence as the clock is behind the engine, so that the first frame rendered for it
    /// leaves the converter at the time given by the time line.
    fn adopt(&mut self) -> bool {
        let Some(mut pcm) = self.arriving.take() else { return false };
        let setup = pcm.setup();
        let (buffer, period, stride) =
            (setup.buffer, setup.period.clamp(16, MAX_PERIOD), setup.channels * setup.format.bytes());
        if stride == 0 || stride > MAX_CHANNELS * 4 || setup.rate != self.engine.sample_rate() {
            self.part(pcm, libc::EINVAL);
            return false;
        }
        let now = self.timer.now_ns();
        let lead = self.reached() - self.line().sample_at(now);
        if lead < 0.0 {
            self.arriving = Some(pcm);
            return false;
        }
        if lead > buffer as f64 {
            // It holds less than the silent clock kept in reserve: let the clock catch up.
            self.arriving = Some(pcm);
            self.timer.sleep_until(now + (period as f64 / self.rate * 1e9) as u64);
            return true;
        }
        if let Err(fault) = self.write_silence(pcm.as_mut(), (lead as usize).max(1), stride, 64) {
            self.part(pcm, errno_of(fault));
            return true;
        }
        if let Err(fault) = pcm.start() {
            self.part(pcm, errno_of(fault));
            return true;
        }
        self.period = period;
        self.ahead = buffer;
        self.carry = 0..0;
        self.idle_waits = 0;
        self.restarts = 0;
        self.card.written = lead as u64;
        self.card.started_ns = now;
        self.card.unpaced = false;
        self.suspended = false;
        self.card.silent_line = self.line();
        self.card.error = None;
        self.filter.restart();
        self.report.unpaced.store(false, Relaxed);
        self.report.period_frames.store(period as u64, Relaxed);
        self.report.buffer_frames.store(buffer as u64, Relaxed);
        count(&self.report.adopted);
        self.report.on_card.store(true, Relaxed);
        self.sink = Sink::Card(pcm);
        true
    }

    /// Hands back a card that failed, with its errno.
    fn part(&mut self, pcm: Box<dyn Pcm>, errno: i32) {
        self.report.last_error.store(errno.unsigned_abs(), Relaxed);
        count(&self.report.lost);
        self.hand_over(pcm);
    }

    fn hand_over(&mut self, pcm: Box<dyn Pcm>) {
        // There was room when the card was taken, and no other has been handed back since.
        if let Err(pcm) = self.mail.spent.try_push(pcm) {
            std::mem::forget(pcm);
        }
    }

    fn lose_card(&mut self, pcm: Box<dyn Pcm>, errno: i32) {
        self.report.on_card.store(false, Relaxed);
        self.carry = 0..0;
        self.part(pcm, errno);
        // Time continues along the card's line: frames it had not played yet are muted, and the next period is due when
        // the card would have needed it. Only the card's initial error is removed, so that the errors of a hundred
        // unplugged and replugged cards do not add up. The card's drift is real and is kept.
        let now = self.timer.now_ns();
        let line = self.line();
        let error = self.card.error.unwrap_or(line.sample_at(now) - self.card.silent_line.sample_at(now));
        self.filter.restart();
        let line = self.filter.report(now, line.sample_at(now) - error);
        let behind = line.sample_at(now) - self.reached();
        if behind > 0.0 {
            self.engine.lose(behind.ceil() as u64);
        }
        self.report.timebase.write(line);
    }

    /// With a card: at most one period. Errors are the errno of a fault that made the card unusable.
    fn card_turn(&mut self, pcm: &mut dyn Pcm) -> Result<(), i32> {
        if self.suspended {
            return self.wake(pcm);
        }
        if self.card.unpaced {
            let line = self.line();
            let due = line.mono_at(self.reached() + self.period as f64 - self.ahead as f64);
            self.timer.sleep_until(due);
        }
        match pcm.wait(WAIT_MS) {
            Ok(true) => {}
            Ok(false) => {
                // Poll does not report every state of a card: the calls below show whether this one can continue.
                count(&self.report.spurious);
                self.idle_waits += 1;
                if self.idle_waits >= DEAD_WAITS {
                    return Err(libc::ETIMEDOUT);
                }
            }
            Err(fault) => return self.recover(pcm, fault),
        }
        let room = match pcm.available() {
            Ok(room) => room,
            Err(fault) => return self.recover(pcm, fault),
        };
        let now = self.timer.now_ns();
        let setup = pcm.setup();
        let (buffer, stride, channels, format) =
            (setup.buffer, setup.channels * setup.format.bytes(), setup.channels, setup.format);
        let room = if room > buffer {
            self.catch_up(pcm, room - buffer, stride, now)?;
            // Written without checking again: time has passed since, and a card whose pointer moves frame by frame
            // would always be a little ahead of a player that only ever catches up.
            buffer
        } else {
            room
        };
        if !self.carry.is_empty() {
            return self.write(pcm, stride);
        }
        if room < self.period {
            // Woken with too little room (dmix does that): sleep for the missing frames to avoid a busy loop.
            count(&self.report.spurious);
            self.timer.sleep_until(now + ((self.period - room) as f64 / self.rate * 1e9) as u64);
            return Ok(());
        }
        // The time for which this period has already fitted is the delay of this thread's wake-up.
        let late_ns = ((room - self.period) as f64 / self.rate * 1e9) as u64;
        self.report.woke(late_ns);
        match pcm.delay() {
            Ok(delay) => {
                self.report.latency_frames.store(delay + self.engine.latency() as i64, Relaxed);
                if !self.card.unpaced {
                    let line = self.filter.report(now, self.reached() - delay as f64);
                    self.show_time(line);
                    if self.card.error.is_none() && now.saturating_sub(self.card.started_ns) > SETTLED_NS {
                        self.card.error = Some(line.sample_at(now) - self.card.silent_line.sample_at(now));
                    }
                }
            }
            Err(Fault::Gone(errno)) => return Err(errno),
            Err(_) => {}
        }
        self.render();
        let used = self.converter.convert(&self.block, channels, format, &mut self.bytes);
        self.carry = 0..used;
        self.write(pcm, stride)?;
        if self.carry.is_empty() {
            self.restarts = 0;
            self.idle_waits = 0;
        }
        self.card.written += self.period as u64;
        if !self.card.unpaced {
            let elapsed = now.saturating_sub(self.card.started_ns) as f64 * 1e-9 * self.rate;
            if self.card.written as f64 > 2.0 * buffer as f64 + 1.5 * elapsed {
                // No converter consumes frames this fast: null, file, and the like. From here on the clock sets the
                // pace.
                self.card.unpaced = true;
                self.report.unpaced.store(true, Relaxed);
                self.anchor(now, self.ahead);
            }
        }
        Ok(())
    }

    /// Writes the rest of the period.
    fn write(&mut self, pcm: &mut dyn Pcm, stride: usize) -> Result<(), i32> {
        // One period never takes more calls than this unless the card misbehaves; the rest is kept for the next turn.
        for _ in 0..8 {
            if self.carry.is_empty() {
                return Ok(());
            }
            match pcm.write(&self.bytes[self.carry.clone()]) {
                Ok(frames) => {
                    let frames = frames.min(self.carry.len() / stride);
                    self.report.delivered.fetch_add(frames as u64, Relaxed);
                    self.carry.start += frames * stride;
                    if !self.carry.is_empty() {
                        count(&self.report.short_writes);
                    }
                }
                Err(Fault::Interrupted) => count(&self.report.interrupted),
                Err(Fault::Again) => {
                    count(&self.report.again);
                    // A card whose poll always reports ready must not cause a busy loop.
                    let quarter = (self.period as f64 / self.rate * 0.25e9) as u64;
                    self.timer.sleep_until(self.timer.now_ns() + quarter);
                    return Ok(());
                }
                Err(fault) => return self.recover(pcm, fault),
            }
        }
        Ok(())
    }

    /// Writes `frames` frames of silence, in at most `calls` writes (a write accepts at least a frame or fails; the
    /// bound is for a card that does neither). Returns how many frames found no room.
    fn write_silence(&self, pcm: &mut dyn Pcm, frames: usize, stride: usize, calls: usize) -> Result<usize, Fault> {
        let mut left = frames;
        for _ in 0..calls {
            if left == 0 {
                break;
            }
            match pcm.write(&self.silence[..left.min(MAX_PERIOD) * stride]) {
                Ok(taken) => left -= taken.min(left),
                Err(Fault::Interrupted) => count(&self.report.interrupted),
                Err(Fault::Again) => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(left)
    }

    /// Makes up for `lost` frames that went by unheard while the card ran on through an underrun: writes them as
    /// silence into the past, which takes no time, and has the engine skip as many.
    fn catch_up(&mut self, pcm: &mut dyn Pcm, lost: usize, stride: usize, now: u64) -> Result<(), i32> {
        // The unwritten rest of the last period is part of the loss.
        let unwritten = self.carry.len() / stride;
        let left = match self.write_silence(pcm, lost, stride, 1024) {
            Ok(left) => left,
            Err(fault) => return self.recover(pcm, fault),
        };
        let passed = lost - left;
        self.lost(passed as u64, now);
        if passed < unwritten {
            self.carry.start += passed * stride;
        } else {
            self.carry = 0..0;
            self.engine.lose((passed - unwritten) as u64);
        }
        Ok(())
    }

    fn recover(&mut self, pcm: &mut dyn Pcm, fault: Fault) -> Result<(), i32> {
        match fault {
            Fault::Again => {
                count(&self.report.again);
                Ok(())
            }
            Fault::Interrupted => {
                count(&self.report.interrupted);
                Ok(())
            }
            Fault::Xrun => self.restart(pcm),
            Fault::Suspended => {
                count(&self.report.suspends);
                self.suspended = true;
                self.wake(pcm)
            }
            Fault::Gone(errno) => Err(errno),
        }
    }

    /// After a suspend: resumes the card, or prepares it again if it cannot be resumed.
    fn wake(&mut self, pcm: &mut dyn Pcm) -> Result<(), i32> {
        match pcm.resume() {
            Ok(()) => {
                self.suspended = false;
                self.restart(pcm)
            }
            Err(Fault::Again) => {
                let wait = self.timer.now_ns() + 10_000_000;
                self.timer.sleep_until(wait);
                Ok(())
            }
            Err(Fault::Gone(errno)) if errno == libc::ENODEV => Err(errno),
            Err(_) => {
                self.suspended = false;
                self.restart(pcm)
            }
        }
    }

    /// Prepares and restarts a card that stopped in an underrun, with everything at the position given by the clock.
    fn restart(&mut self, pcm: &mut dyn Pcm) -> Result<(), i32> {
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            return Err(libc::EIO);
        }
        if let Err(Fault::Gone(errno)) = pcm.prepare() {
            return Err(errno);
        }
        let setup = pcm.setup();
        let stride = setup.channels * setup.format.bytes();
        let buffer = setup.buffer;
        let now = self.timer.now_ns();
        // The card stopped after its last frame; everything since then is lost. The frames of the unwritten period were
        // rendered but never heard, so the engine has already passed them.
        self.carry = 0..0;
        let behind = self.line().sample_at(now) - self.reached();
        if behind > 0.0 {
            self.xrun(behind.ceil() as u64, now);
        } else {
            // It stopped with frames in its buffer (a suspend, a driver error): they are lost, but the clock is not.
            self.lost(0, now);
        }
        let lead = (self.reached() - self.line().sample_at(self.timer.now_ns())).clamp(1.0, buffer as f64);
        if let Err(Fault::Gone(errno)) = self.write_silence(pcm, lead as usize, stride, 64) {
            return Err(errno);
        }
        match pcm.start() {
            Err(Fault::Gone(errno)) => Err(errno),
            _ => Ok(()),
        }
    }

    /// Counts an underrun and skips the lost frames.
    fn xrun(&mut self, frames: u64, now: u64) {
        self.lost(frames, now);
        self.engine.lose(frames);
    }

    fn lost(&mut self, frames: u64, now: u64) {
        let period_ns = (self.period as f64 / self.rate * 1e9) as u64;
        let buffer_ns = (self.ahead as f64 / self.rate * 1e9) as u64;
        // When the last frame written was due at the converter: by then the next period had to be there.
        let deadline = self.line().mono_at(self.reached());
        let cause = if self.last_render_ns > period_ns {
            Cause::Slow
        } else if now + period_ns / 2 >= deadline {
            Cause::Late
        } else {
            // This thread was in time, so the card is the cause.
            Cause::Device
        };
        let k = cause as usize;
        // A second report within a buffer's length belongs to the same episode.
        if self.last_xrun_ns == 0 || now.saturating_sub(self.last_xrun_ns) > buffer_ns {
            count(&self.report.episodes[k]);
        }
        self.report.lost_frames[k].fetch_add(frames, Relaxed);
        self.last_xrun_ns = now;
    }
}

fn errno_of(fault: Fault) -> i32 {
    match fault {
        Fault::Gone(errno) => errno,
        Fault::Suspended => libc::ESTRPIPE,
        Fault::Xrun => libc::EPIPE,
        Fault::Again => libc::EAGAIN,
        Fault::Interrupted => libc::EINTR,
    }
}
