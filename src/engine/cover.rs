//! High-quality sound from a worker, crossfaded over the sound the audio thread renders itself.
//!
//! High-quality stretching is too expensive for the audio thread, so a worker does it ahead of time and keeps a
//! *reserve*. Until the worker's sound is ready, the splice plan, which the audio thread follows in any case, is heard
//! instead: a start, a seek, a stop, a gain or a tempo jump takes effect immediately, and a worker that falls behind
//! costs quality for a moment, but never timing and never silence. As soon as the reserve has been rebuilt, the
//! worker's sound is faded in again.
//!
//! Every piece from the worker states the input position it was made for. If the tempo has deviated since, the piece is
//! not played and a new request is sent to the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd};

use super::method::Method;
use super::ramp::Ramp;
use super::ring::ring;
use crate::dsp::crossfade::even;
use crate::dsp::splice::{LOOK_AHEAD, MAX_SPEED, room};

/// Frames in a piece of the worker's sound.
pub const PIECE: usize = 64;
/// Frames in a piece of input.
pub const INPUT: usize = 256;
/// Capacity of the ring of courses.
const COURSES: usize = 4096;
/// Maximum deviation of the worker's input position, in seconds: half a millisecond.
const TOLERANCE_S: f64 = 0.0005;
/// Seconds without any change before a request is sent to the worker.
const REST_S: f64 = 0.06;
/// Seconds of already played input sent first with a request: lets the worker distinguish onsets from continuing sound.
pub const CONTEXT_S: f64 = 0.075;
/// Seconds of the fade to the worker's sound.
const ENTER_S: f64 = 0.02;
/// Seconds of the fade away from it.
const LEAVE_S: f64 = 0.004;
/// Assumed correlation of the plan's and the worker's sound: two versions of the same signal, neither identical nor
/// unrelated.
const LIKENESS: f32 = 0.6;
/// Seconds within which the worker must have answered a request.
const PATIENCE_S: f64 = 1.0;
/// Number of underruns within [`UNDERRUN_WINDOW_S`] seconds after which the worker is not used for [`BACKOFF_S`] seconds.
const MAX_UNDERRUNS: usize = 3;
/// Seconds within which underruns are counted together.
const UNDERRUN_WINDOW_S: f64 = 10.0;
/// Seconds without the worker after too many underruns.
const BACKOFF_S: f64 = 60.0;

/// Input on its way to the worker.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Generation of the request it belongs to.
    pub generation: u32,
    /// Position of its first frame, in input frames.
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

/// The playback position and how it advances.
#[derive(Clone, Copy, Debug)]
pub struct Trajectory {
    /// Generation of the request it belongs to; a request's first course is its starting point.
    pub generation: u32,
    /// The stretched frame that is played next.
    pub frame: i64,
    /// Input position at that frame.
    pub ideal: f64,
    /// Input frames per stretched frame.
    pub speed: f64,
    /// Change of the speed per stretched frame, if nothing intervenes.
    pub slope: f64,
    /// Number of stretched frames for which `slope` applies.
    pub left: f64,
}

impl Trajectory {
    /// Returns the expected input position and speed at stretched frame `frame`.
    pub fn at(&self, frame: i64) -> (f64, f64) {
        let gone = (frame - self.frame) as f64;
        let gliding = gone.min(self.left).max(0.0);
        let rise = self.slope * gliding;
        (self.ideal + self.speed * gone + rise * (gone - 0.5 * gliding), self.speed + rise)
    }

    /// Returns the course as expected `frames` stretched frames later.
    pub fn after(&self, frames: usize) -> Trajectory {
        let frame = self.frame + frames as i64;
        let (ideal, speed) = self.at(frame);
        Trajectory { frame, ideal, speed, left: (self.left - frames as f64).max(0.0), ..*self }
    }
}

/// A piece of the worker's sound.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Generation of the request it answers.
    pub generation: u32,
    /// Its first stretched frame.
    pub frame: i64,
    /// The input position it was made for.
    pub ideal: f64,
    /// Left channel.
    pub left: [f32; PIECE],
    /// Right channel.
    pub right: [f32; PIECE],
}

/// State of an overlay, shared between its engine side, its worker and observers through relaxed atomics.
#[derive(Debug)]
pub struct OverlayCell {
    /// Frames the worker tries to keep in reserve.
    pub target: AtomicU32,
    /// Frames in reserve.
    pub fill: AtomicU32,
    /// Frames of input sent to the worker and not used yet.
    pub input: AtomicU32,
    /// Whether the worker's sound is heard.
    pub covering: AtomicBool,
    /// Whether a request is active.
    pub asked: AtomicBool,
    /// Whether a request will be sent as soon as nothing has changed for a moment.
    pub resting: AtomicBool,
    /// Whether the worker is not used for a while after too many underruns.
    pub banned: AtomicBool,
    /// Number of times the reserve ran dry.
    pub underruns: AtomicU32,
    /// The worker's share of real time, in millionths.
    pub cost: AtomicU32,
    /// Bits of the `f64` factor by which the stretched sound is subsequently played faster, if formants are to stay in
    /// place nevertheless; 0 or 1 otherwise. Written by the side that sets the key, read by the worker.
    pub formants: AtomicU64,
    /// The worker's stretching method, as an index into [`Method::ALL`]; read when a request arrives.
    pub method: AtomicU32,
    /// Capacity for input, in frames.
    pub inputs: usize,
    /// Sample rate of the sound to stretch, in Hz.
    pub rate: AtomicU64,
}

/// Bounds of the reserve, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Minimum.
    pub least: f64,
    /// Maximum.
    pub most: f64,
}

impl Bounds {
    /// Returns the most input frames at sample rate `rate` that are read ahead for such a reserve: at twice the speed,
    /// plus the look-ahead and look-back of the method itself.
    pub fn read_ahead(&self, rate: f64) -> usize {
        ((MAX_SPEED * self.most + 0.4) * rate) as usize
    }
}

/// The worker's end of an overlay.
pub struct WorkerEnd {
    /// Input to stretch.
    pub input: HeapCons<Input>,
    /// Playback positions.
    pub course: HeapCons<Trajectory>,
    /// Stretched sound.
    pub out: HeapProd<Piece>,
    /// Shared state.
    pub cell: Arc<OverlayCell>,
    /// Bounds of the reserve.
    pub bounds: Bounds,
}

/// The engine's end of an overlay. Realtime: yes, except [`cover`].
pub struct StretchOverlay {
    input: HeapProd<Input>,
    /// Input that does not yet fill a piece.
    begun: Option<Input>,
    course: HeapProd<Trajectory>,
    out: HeapCons<Piece>,
    cell: Arc<OverlayCell>,
    rate: f64,
    generation: u32,
    asked: bool,
    gain: Ramp,
    piece: Option<Piece>,
    /// Frames until a request may be sent again.
    rest: f64,
    /// Frames since the request for which the worker has not been ready.
    waited: f64,
    /// Frames played, for counting underruns over time.
    now: f64,
    recent_underruns: [f64; MAX_UNDERRUNS],
    backs_off_until: f64,
}

impl std::fmt::Debug for StretchOverlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StretchOverlay").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Creates both ends of an overlay. Realtime: no (allocates and touches every page).
pub fn cover(sample_rate: u32, bounds: Bounds) -> (StretchOverlay, WorkerEnd) {
    let rate = f64::from(sample_rate);
    // Everything a plan may hold, which is sent with a request, plus what arrives in the meantime.
    let inputs = room(sample_rate, bounds.read_ahead(rate)) / INPUT + 64;
    let (input_tx, input_rx) = ring(inputs).split();
    let (course_tx, course_rx) = ring(COURSES).split();
    let (out_tx, out_rx) = ring((bounds.most * rate) as usize / PIECE + 16).split();
    let cell = Arc::new(OverlayCell {
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
    let cover = StretchOverlay {
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
        recent_underruns: [f64::NEG_INFINITY; MAX_UNDERRUNS],
        backs_off_until: f64::NEG_INFINITY,
    };
    (cover, end)
}

impl StretchOverlay {
    /// Opens the overlay for a group of stems sampled at `sample_rate`.
    pub fn open(&mut self, sample_rate: u32) {
        self.rate = f64::from(sample_rate);
        self.cell.rate.store(u64::from(sample_rate), Relaxed);
        self.invalidate();
        self.gain.jump(0.0);
    }

    /// Closes the overlay: its group no longer plays.
    pub fn close(&mut self) {
        self.release();
        self.gain.jump(0.0);
        self.rest = 0.0;
        self.publish();
    }

    /// Returns how far the input must be read ahead of the playhead, in input frames.
    pub fn look_ahead(&self, speed: f64) -> i64 {
        let reserve = f64::from(self.cell.target.load(Relaxed)) + 2.0 * PIECE as f64;
        // The method's own look-ahead: a block and a hop in output frames, half a block in input frames; and the
        // splicer's look-ahead, from anywhere within its bounds.
        let own = (0.055 * self.rate).max((LOOK_AHEAD + 0.03) * self.rate);
        (speed * (reserve + 0.075 * self.rate) + own) as i64 + INPUT as i64
    }

    /// Invalidates the worker's reserve after a change it does not know of: its sound fades out and is requested again
    /// once nothing has changed for a moment.
    pub fn invalidate(&mut self) {
        self.release();
        self.rest = REST_S * self.rate;
    }

    /// Handles lost output time: the worker's sound ends immediately.
    pub fn lose(&mut self) {
        self.invalidate();
        self.gain.jump(0.0);
    }

    fn release(&mut self) {
        if self.asked {
            self.asked = false;
            self.generation = self.generation.wrapping_add(1);
        }
        if self.gain.value() > 0.0 || !self.gain.is_still() {
            self.gain.to(0.0, (LEAVE_S * self.rate) as u32);
        }
    }

    /// Returns whether a request should be sent to the worker now.
    pub fn wants_to_ask(&self) -> bool {
        !self.asked && self.rest <= 0.0 && self.now >= self.backs_off_until && self.gain.is_silent()
    }

    /// Sends a new request that starts at `course`.
    pub fn ask(&mut self, course: Trajectory) {
        self.generation = self.generation.wrapping_add(1);
        self.asked = true;
        self.piece = None;
        self.begun = None;
        self.waited = 0.0;
        self.tell(course);
    }

    /// Sends input that begins at input frame `at`.
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
                // The worker has taken nothing for the length of the whole ring: its result would be of no use.
                self.invalidate();
                self.count_underrun();
                return;
            }
        }
    }

    /// Sends the current playback position to the worker.
    pub fn tell(&mut self, course: Trajectory) {
        if self.asked {
            // A stalled worker finds the ring full, and gets the latest course once it has emptied the ring.
            let _ = self.course.try_push(Trajectory { generation: self.generation, ..course });
        }
    }

    /// Crossfades the worker's sound over `left` and `right`, which begin at the stretched frame `course.frame`.
    pub fn mix(&mut self, course: Trajectory, left: &mut [f32], right: &mut [f32]) {
        let frames = left.len().min(right.len());
        self.rest -= frames as f64;
        self.now += frames as f64;
        if self.asked {
            self.check_reserve(course, frames as i64);
            self.waited = if self.gain.target() > 0.0 { 0.0 } else { self.waited + frames as f64 };
            if self.waited > PATIENCE_S * self.rate {
                // The worker never catches up; a new request may.
                self.invalidate();
                self.count_underrun();
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
            // The fade-out ends before the last piece does. Should it not, the plan is heard.
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
    fn check_reserve(&mut self, course: Trajectory, frames: i64) {
        // Drop pieces that are older than the playhead.
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
            // The tempo has deviated in the meantime. Request again soon, but not in a tight loop.
            self.release();
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

    /// Returns the frames in reserve from stretched frame `frame` on.
    fn ready(&self, frame: i64) -> i64 {
        let held = self.piece.as_ref().map_or(0, |p| (p.frame + PIECE as i64 - frame).clamp(0, PIECE as i64));
        held + (self.out.occupied_len() * PIECE) as i64
    }

    /// Fades out, because the reserve ends in `left` frames, and counts an underrun.
    fn run_dry(&mut self, left: i64) {
        if self.gain.target() == 0.0 {
            return;
        }
        self.gain.to(0.0, left.clamp(0, (LEAVE_S * self.rate) as i64) as u32);
        self.waited = 0.0;
        self.cell.underruns.fetch_add(1, Relaxed);
        self.count_underrun();
    }

    /// Records that the worker could not keep up; after too many times it is not used for a while.
    fn count_underrun(&mut self) {
        self.recent_underruns.rotate_left(1);
        self.recent_underruns[MAX_UNDERRUNS - 1] = self.now;
        if self.now - self.recent_underruns[0] <= UNDERRUN_WINDOW_S * self.rate {
            self.backs_off_until = self.now + BACKOFF_S * self.rate;
            self.recent_underruns = [f64::NEG_INFINITY; MAX_UNDERRUNS];
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
        cell.banned.store(self.now < self.backs_off_until, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;

    /// An overlay and its worker, advanced by hand: [`PIECE`] frames at a time at 48 kHz, at speed 1.
    struct Rig {
        overlay: StretchOverlay,
        end: WorkerEnd,
        frame: i64,
        /// The request that the worker answers, and the next frame of its answer.
        generation: u32,
        made: i64,
    }

    impl Rig {
        fn new() -> Rig {
            let (overlay, end) = cover(RATE as u32, Bounds { least: 0.04, most: 0.5 });
            Rig { overlay, end, frame: 0, generation: 0, made: 0 }
        }

        /// Plays a piece. A worker that `works` keeps 0.1 s in reserve.
        fn turn(&mut self, works: bool) {
            let ideal = self.frame as f64;
            let course = Trajectory { generation: 0, frame: self.frame, ideal, speed: 1.0, slope: 0.0, left: 0.0 };
            if self.overlay.wants_to_ask() {
                self.overlay.ask(course);
            }
            while let Some(course) = self.end.course.try_pop() {
                if course.generation != self.generation {
                    (self.generation, self.made) = (course.generation, course.frame);
                }
            }
            while works && self.made < self.frame + 4_800 {
                let (generation, frame) = (self.generation, self.made);
                let piece = Piece { generation, frame, ideal: frame as f64, left: [1.0; PIECE], right: [1.0; PIECE] };
                if self.end.out.try_push(piece).is_err() {
                    break;
                }
                self.made += PIECE as i64;
            }
            let (mut left, mut right) = ([0.0; PIECE], [0.0; PIECE]);
            self.overlay.mix(course, &mut left, &mut right);
            self.frame += PIECE as i64;
        }

        /// Plays until `what` holds; returns how many seconds that took.
        fn until(&mut self, works: bool, what: impl Fn(&OverlayCell) -> bool) -> f64 {
            let from = self.frame;
            while !what(&self.end.cell) {
                self.turn(works);
                assert!(((self.frame - from) as f64) < 100.0 * RATE, "it never happens");
            }
            (self.frame - from) as f64 / RATE
        }

        /// The worker fails until the reserve has run dry.
        fn fail(&mut self) {
            let before = self.end.cell.underruns.load(Relaxed);
            let took = self.until(false, |cell| cell.underruns.load(Relaxed) > before);
            assert!(took < 0.11, "a reserve of 0.1 s lasted {took} s");
        }

        fn recover(&mut self) -> f64 {
            self.until(true, |cell| cell.covering.load(Relaxed))
        }
    }

    #[test]
    fn a_worker_that_fails_three_times_in_ten_seconds_is_left_alone_for_a_minute_and_then_used_again() {
        let mut rig = Rig::new();
        let first = rig.recover();
        assert!((REST_S..REST_S + 0.01).contains(&first), "asked once nothing has changed: {first} s");
        for _ in 0..MAX_UNDERRUNS - 1 {
            rig.fail();
            assert!(!rig.end.cell.banned.load(Relaxed));
            let again = rig.recover();
            assert!(again < 0.02, "a worker that has caught up is heard again: {again} s");
        }
        rig.fail();
        assert!(rig.end.cell.banned.load(Relaxed));
        let pause = rig.recover();
        assert!((BACKOFF_S..BACKOFF_S + 0.1).contains(&pause), "{pause} s");
        assert_eq!(rig.end.cell.underruns.load(Relaxed), MAX_UNDERRUNS as u32);
    }

    #[test]
    fn failures_that_lie_far_apart_do_not_count_together() {
        let mut rig = Rig::new();
        rig.recover();
        for _ in 0..2 * MAX_UNDERRUNS {
            rig.fail();
            rig.recover();
            for _ in 0..(0.6 * UNDERRUN_WINDOW_S * RATE) as usize / PIECE {
                rig.turn(true);
            }
        }
        assert!(!rig.end.cell.banned.load(Relaxed) && rig.end.cell.covering.load(Relaxed));
    }

    #[test]
    fn a_tempo_that_deviates_ends_the_workers_sound_and_asks_anew() {
        let mut rig = Rig::new();
        rig.recover();
        let generation = rig.generation;
        // The playhead jumps by 10 ms of input, which no piece was made for.
        let course = |rig: &Rig| {
            let ideal = rig.frame as f64 + 480.0;
            Trajectory { generation: 0, frame: rig.frame, ideal, speed: 1.0, slope: 0.0, left: 0.0 }
        };
        let (mut left, mut right) = ([0.0; PIECE], [0.0; PIECE]);
        let jumped = course(&rig);
        rig.overlay.mix(jumped, &mut left, &mut right);
        assert!(!rig.end.cell.covering.load(Relaxed) && !rig.end.cell.asked.load(Relaxed));
        assert_eq!(rig.end.cell.underruns.load(Relaxed), 0, "that is not the worker's fault");
        rig.frame += PIECE as i64;
        rig.recover();
        assert_ne!(rig.generation, generation);
    }
}
