//! Better sound from a worker, laid over what the audio thread makes itself.
//!
//! High-quality stretching is too much work for the audio thread, so a worker does it ahead of time and keeps a
//! *reserve*. Whatever the worker has not got ready yet is heard from the splice plan, which the audio thread follows
//! anyway: a start, a seek, a stop, a gain or a jump of the tempo is immediate, and a worker that falls behind costs
//! quality for a moment, never the beat and never silence. As soon as the reserve is there the worker's sound is
//! faded in again.
//!
//! Every piece of it says which input position it was made for. If the tempo has since gone elsewhere the piece is
//! not played, and the worker is asked anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd};

use super::door::ring;
use super::method::Method;
use super::ramp::Ramp;
use crate::dsp::crossfade::even;
use crate::dsp::splice::{LOOK_AHEAD, MAX_SPEED, room};

/// Frames of a piece of the worker's sound.
pub const PIECE: usize = 64;
/// Frames of a piece of input.
pub const INPUT: usize = 256;
/// Courses under way.
const COURSES: usize = 4096;
/// Frames by which the worker's idea of the position may differ, as a share of the sample rate: half a millisecond.
const TOLERANCE_S: f64 = 0.0005;
/// Seconds for which nothing must have changed before the worker is asked.
const REST_S: f64 = 0.06;
/// Seconds of what has been played that the worker is sent to begin with: it tells what begins from what goes on.
pub const CONTEXT_S: f64 = 0.075;
/// Seconds of the fade to the worker's sound.
const ENTER_S: f64 = 0.02;
/// Seconds of the fade away from it.
const LEAVE_S: f64 = 0.004;
/// How alike the plan's sound and the worker's are: two versions of one, neither quite the same nor strangers.
const LIKENESS: f32 = 0.6;
/// Seconds after which a worker that has been asked must be ready.
const PATIENCE_S: f64 = 1.0;
/// Underruns within [`STRIKES_S`] seconds after which the worker is left alone for [`PENANCE_S`].
const STRIKES: usize = 3;
/// Seconds within which underruns add up.
const STRIKES_S: f64 = 10.0;
/// Seconds without the worker after too many underruns.
const PENANCE_S: f64 = 60.0;

/// Input on its way to the worker.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Which request it belongs to.
    pub generation: u32,
    /// Input frame of its first.
    pub at: i64,
    /// Frames in use.
    pub len: usize,
    /// Left channel.
    pub left: [f32; INPUT],
    /// Right channel.
    pub right: [f32; INPUT],
}

impl Input {
    fn empty(generation: u32, at: i64) -> Input {
        Input { generation, at, len: 0, left: [0.0; INPUT], right: [0.0; INPUT] }
    }
}

/// Where the playing is, and how fast it goes.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// Which request it belongs to; the first one of a request is where that begins.
    pub generation: u32,
    /// The stretched frame that is played next.
    pub frame: i64,
    /// Where the input is then.
    pub ideal: f64,
    /// Input frames per stretched frame.
    pub speed: f64,
    /// How much the speed changes per stretched frame, as things stand.
    pub slope: f64,
    /// For how many stretched frames it does.
    pub left: f64,
}

impl Course {
    /// Where the input is, and how fast it goes, at stretched frame `frame`, as things stand.
    pub fn at(&self, frame: i64) -> (f64, f64) {
        let gone = (frame - self.frame) as f64;
        let gliding = gone.min(self.left).max(0.0);
        let rise = self.slope * gliding;
        (self.ideal + self.speed * gone + rise * (gone - 0.5 * gliding), self.speed + rise)
    }

    /// The same, as it is `frames` stretched frames later.
    pub fn after(&self, frames: usize) -> Course {
        let frame = self.frame + frames as i64;
        let (ideal, speed) = self.at(frame);
        Course { frame, ideal, speed, left: (self.left - frames as f64).max(0.0), ..*self }
    }
}

/// A piece of the worker's sound.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Which request it answers.
    pub generation: u32,
    /// The stretched frame it begins at.
    pub frame: i64,
    /// The input position it was made for.
    pub ideal: f64,
    /// Left channel.
    pub left: [f32; PIECE],
    /// Right channel.
    pub right: [f32; PIECE],
}

/// What a cover shows of itself; written with plain stores, read by anyone.
#[derive(Debug)]
pub struct CoverCell {
    /// Frames the worker tries to have ready.
    pub target: AtomicU32,
    /// Frames it has ready.
    pub fill: AtomicU32,
    /// Frames of input it has been sent and has not used.
    pub input: AtomicU32,
    /// Whether its sound is heard.
    pub covering: AtomicBool,
    /// Whether it is asked to work.
    pub asked: AtomicBool,
    /// Whether it will be asked as soon as nothing has changed for a moment.
    pub resting: AtomicBool,
    /// Whether it is left alone after too many underruns.
    pub banned: AtomicBool,
    /// How often its reserve ran dry.
    pub underruns: AtomicU32,
    /// Share of real time its work takes, in millionths.
    pub cost: AtomicU32,
    /// The factor by which what is stretched is played faster afterwards, if formants are to stay in place all the
    /// same; 0 or 1 otherwise. Written by whoever sets the key, read by the worker.
    pub formants: AtomicU64,
    /// How the worker is to stretch, as a place in [`Method::ALL`]; it looks when it is asked.
    pub method: AtomicU32,
    /// Frames of input there is room for.
    pub inputs: usize,
    /// Sample rate of what it stretches.
    pub rate: AtomicU64,
}

/// Bounds of a reserve, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Least.
    pub least: f64,
    /// Most.
    pub most: f64,
}

impl Bounds {
    /// Most frames of input at `rate` that are read ahead for such a reserve: at twice the speed, and with what the
    /// method itself looks ahead and back.
    pub fn read_ahead(&self, rate: f64) -> usize {
        ((MAX_SPEED * self.most + 0.4) * rate) as usize
    }
}

/// The worker's end.
pub struct WorkerEnd {
    /// What to stretch.
    pub input: HeapCons<Input>,
    /// Where the playing is.
    pub course: HeapCons<Course>,
    /// What is stretched.
    pub out: HeapProd<Piece>,
    /// What is shown.
    pub cell: Arc<CoverCell>,
    /// Bounds of the reserve.
    pub bounds: Bounds,
}

/// The engine's end. Realtime: yes, but for [`cover`].
pub struct Cover {
    input: HeapProd<Input>,
    /// Input that does not fill a piece yet.
    begun: Option<Input>,
    course: HeapProd<Course>,
    out: HeapCons<Piece>,
    cell: Arc<CoverCell>,
    rate: f64,
    generation: u32,
    asked: bool,
    gain: Ramp,
    piece: Option<Piece>,
    /// Frames until the worker may be asked again.
    rest: f64,
    /// Frames since it was asked for which it has not been ready.
    waited: f64,
    /// Frames played, for counting underruns over time.
    now: f64,
    strikes: [f64; STRIKES],
    banned_until: f64,
}

impl std::fmt::Debug for Cover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cover").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Makes both ends. Realtime: no (allocates and touches every page).
pub fn cover(sample_rate: u32, bounds: Bounds) -> (Cover, WorkerEnd) {
    let rate = f64::from(sample_rate);
    // All that a plan may hold, which is what it is asked with, and what comes meanwhile.
    let inputs = room(sample_rate, bounds.read_ahead(rate)) / INPUT + 64;
    let (input_tx, input_rx) = ring(inputs).split();
    let (course_tx, course_rx) = ring(COURSES).split();
    let (out_tx, out_rx) = ring((bounds.most * rate) as usize / PIECE + 16).split();
    let cell = Arc::new(CoverCell {
        target: AtomicU32::new((bounds.least * rate) as u32),
        fill: AtomicU32::new(0),
        input: AtomicU32::new(0),
        covering: AtomicBool::new(false),
        asked: AtomicBool::new(false),
        resting: AtomicBool::new(false),
        banned: AtomicBool::new(false),
        underruns: AtomicU32::new(0),
        cost: AtomicU32::new(0),
        formants: AtomicU64::new(0),
        method: AtomicU32::new(Method::Hq as u32),
        inputs: inputs * INPUT,
        rate: AtomicU64::new(u64::from(sample_rate)),
    });
    let end = WorkerEnd { input: input_rx, course: course_rx, out: out_tx, cell: cell.clone(), bounds };
    let cover = Cover {
        input: input_tx,
        begun: None,
        course: course_tx,
        out: out_rx,
        cell,
        rate,
        generation: 0,
        asked: false,
        gain: Ramp::new(0.0),
        piece: None,
        rest: REST_S * rate,
        waited: 0.0,
        now: 0.0,
        strikes: [f64::NEG_INFINITY; STRIKES],
        banned_until: f64::NEG_INFINITY,
    };
    (cover, end)
}

impl Cover {
    /// For a group of stems sampled at `sample_rate`, from the start.
    pub fn open(&mut self, sample_rate: u32) {
        self.rate = f64::from(sample_rate);
        self.cell.rate.store(u64::from(sample_rate), Relaxed);
        self.disturb();
        self.gain.jump(0.0);
    }

    /// Nobody plays any more.
    pub fn close(&mut self) {
        self.leave_alone();
        self.gain.jump(0.0);
        self.rest = 0.0;
        self.publish();
    }

    /// How far input must be read ahead of what is heard, in input frames.
    pub fn look_ahead(&self, speed: f64) -> i64 {
        let reserve = f64::from(self.cell.target.load(Relaxed)) + 2.0 * PIECE as f64;
        // What the method itself looks ahead: a block and a hop by the output's measure, half a block by the input's.
        // And the splicer's own look-ahead, from wherever within its bounds it plays.
        let own = (0.055 * self.rate).max((LOOK_AHEAD + 0.03) * self.rate);
        (speed * (reserve + 0.075 * self.rate) + own) as i64 + INPUT as i64
    }

    /// Something changed that the worker's reserve does not know of: it is not to be heard until that has come to
    /// rest.
    pub fn disturb(&mut self) {
        self.leave_alone();
        self.rest = REST_S * self.rate;
    }

    /// The output lost time: what was heard of it ends here.
    pub fn lose(&mut self) {
        self.disturb();
        self.gain.jump(0.0);
    }

    fn leave_alone(&mut self) {
        if self.asked {
            self.asked = false;
            self.generation = self.generation.wrapping_add(1);
        }
        if self.gain.value() > 0.0 || !self.gain.is_still() {
            self.gain.to(0.0, (LEAVE_S * self.rate) as u32);
        }
    }

    /// Whether the worker is to be asked now.
    pub fn wants_to_ask(&self) -> bool {
        !self.asked && self.rest <= 0.0 && self.now >= self.banned_until && self.gain.is_silent()
    }

    /// Asks the worker to begin.
    pub fn ask(&mut self, course: Course) {
        self.generation = self.generation.wrapping_add(1);
        self.asked = true;
        self.piece = None;
        self.begun = None;
        self.waited = 0.0;
        self.tell(course);
    }

    /// Sends input.
    pub fn feed(&mut self, mut at: i64, left: &[f32], right: &[f32]) {
        if !self.asked {
            return;
        }
        let frames = left.len().min(right.len());
        let mut done = 0;
        while done < frames {
            let generation = self.generation;
            let input = self.begun.get_or_insert_with(|| Input::empty(generation, at));
            let n = (INPUT - input.len).min(frames - done);
            input.left[input.len..input.len + n].copy_from_slice(&left[done..done + n]);
            input.right[input.len..input.len + n].copy_from_slice(&right[done..done + n]);
            input.len += n;
            done += n;
            at += n as i64;
            if input.len == INPUT
                && let Some(full) = self.begun.take()
                && self.input.try_push(full).is_err()
            {
                // It has taken nothing for as long as the ring is: what it would make is of no use.
                self.disturb();
                self.strike();
                return;
            }
        }
    }

    /// Tells where the playing is.
    pub fn tell(&mut self, course: Course) {
        if self.asked {
            // A worker that naps finds the ring full, and the latest course when it has emptied it.
            let _ = self.course.try_push(Course { generation: self.generation, ..course });
        }
    }

    /// Lays the worker's sound over `left` and `right`, which begin at the stretched frame `course.frame`.
    pub fn lay(&mut self, course: Course, left: &mut [f32], right: &mut [f32]) {
        let frames = left.len().min(right.len());
        self.rest -= frames as f64;
        self.now += frames as f64;
        if self.asked {
            self.weigh(course, frames as i64);
            self.waited = if self.gain.target() > 0.0 { 0.0 } else { self.waited + frames as f64 };
            if self.waited > PATIENCE_S * self.rate {
                // It does not get there at all: begun anew, it may.
                self.disturb();
                self.strike();
            }
        }
        if self.gain.is_silent() && self.gain.is_still() {
            self.publish();
            return;
        }
        let (from, to) = self.gain.advance(frames as u32);
        let mut done = 0;
        while done < frames {
            let frame = course.frame + done as i64;
            if self.piece.as_ref().is_none_or(|p| frame >= p.frame + PIECE as i64) {
                self.piece = self.out.try_pop();
            }
            // The fade away ends before the last piece does. Should it not, the plan is heard.
            let Some(piece) = &self.piece else { break };
            let Ok(at) = usize::try_from(frame - piece.frame) else {
                done = frames.min((piece.frame - course.frame) as usize);
                continue;
            };
            let n = (frames - done).min(PIECE.saturating_sub(at));
            for k in done..done + n {
                let own = from + (to - from) * k as f32 / frames as f32;
                let (other, own) = even(own, LIKENESS);
                let at = at + k - done;
                left[k] = other * left[k] + own * piece.left[at];
                right[k] = other * right[k] + own * piece.right[at];
            }
            done += n;
        }
        self.publish();
    }

    /// Decides whether the worker's sound can be heard.
    fn weigh(&mut self, course: Course, frames: i64) {
        // What is older than what is heard now goes.
        while let Some(first) = self.out.first() {
            if first.generation == self.generation && first.frame + PIECE as i64 > course.frame {
                break;
            }
            self.out.skip(1);
        }
        let is_due = |p: &&Piece| p.generation == self.generation && p.frame + PIECE as i64 > course.frame;
        let next = self.piece.as_ref().filter(is_due).or_else(|| self.out.first());
        let Some((begins, made_for)) = next.map(|p| (p.frame, p.ideal)) else {
            return self.run_dry(0);
        };
        let stale = (made_for - course.at(begins).0).abs();
        if stale > TOLERANCE_S * self.rate {
            // The tempo has gone elsewhere meanwhile. It is asked anew at once, unless that is going on all the time.
            self.leave_alone();
            self.rest = LEAVE_S * self.rate;
            return;
        }
        let ready = self.ready(course.frame);
        let target = i64::from(self.cell.target.load(Relaxed));
        let is_in = self.gain.target() > 0.0;
        if !is_in && begins <= course.frame && ready >= target / 2 {
            self.gain.to(1.0, (ENTER_S * self.rate) as u32);
        } else if is_in && ready < 3 * PIECE as i64 + frames {
            self.run_dry(ready);
        }
    }

    /// Frames that are ready from stretched frame `frame` on.
    fn ready(&self, frame: i64) -> i64 {
        let held = self.piece.as_ref().map_or(0, |p| (p.frame + PIECE as i64 - frame).clamp(0, PIECE as i64));
        held + (self.out.occupied_len() * PIECE) as i64
    }

    /// The reserve ends in `left` frames: fades away before that, and counts.
    fn run_dry(&mut self, left: i64) {
        if self.gain.target() == 0.0 {
            return;
        }
        self.gain.to(0.0, left.clamp(0, (LEAVE_S * self.rate) as i64) as u32);
        self.waited = 0.0;
        self.cell.underruns.fetch_add(1, Relaxed);
        self.strike();
    }

    /// It could not keep up: too often, and it is left alone for a while.
    fn strike(&mut self) {
        self.strikes.rotate_left(1);
        self.strikes[STRIKES - 1] = self.now;
        if self.now - self.strikes[0] <= STRIKES_S * self.rate {
            self.banned_until = self.now + PENANCE_S * self.rate;
            self.strikes = [f64::NEG_INFINITY; STRIKES];
            self.asked = false;
            self.generation = self.generation.wrapping_add(1);
        }
    }

    fn publish(&self) {
        let cell = &self.cell;
        cell.fill.store((self.out.occupied_len() * PIECE) as u32, Relaxed);
        cell.input.store((self.input.occupied_len() * INPUT) as u32, Relaxed);
        cell.covering.store(self.gain.target() > 0.0, Relaxed);
        cell.asked.store(self.asked, Relaxed);
        cell.resting.store(!self.asked && self.rest > 0.0, Relaxed);
        cell.banned.store(self.now < self.banned_until, Relaxed);
    }
}
