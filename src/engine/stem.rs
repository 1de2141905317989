//! Playback of one loaded stem.
//!
//! A stem has two heads, each with a stream of its own. A start or a seek uses the free head, and the two crossfade. A
//! head reads its stem forwards, frame by frame, from the resident part or from its stream, and adds the frames to the
//! timeline of its rate group (see [`super::group`]).
//!
//! A loop's end is joined to its start by a crossfade, unless they are the file's own (see `Turn`).
//!
//! A head that falls behind (its ring ran dry, or the output lost time) counts the frames it should have played as a
//! debt. It skips that many frames and then sounds again at the position the clock dictates.

use super::RAMP_MS;
use super::ramp::{self, Ramp};
use super::source::Play;
use super::source::{CHUNK, HOLD_BACK, StemSource};
use crate::dsp::crossfade::smooth;

/// A start within the resident part needs this many resident frames after it, to give the stream time to start.
const RESIDENT_MARGIN: u64 = 4096;
/// Frames of the fade-out at the end of the file: prevents a click from a file that ends abruptly.
const TAIL: usize = 64;

/// State of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Idle.
    Idle,
    /// Fetching; will be started by a later command.
    Priming,
    /// Has fetched enough to be started by a later command.
    Primed,
    /// Fetching; starts as soon as enough has been fetched.
    Waiting,
    /// Sounding (or starved and silent).
    Playing,
}

/// Events that occurred while a head was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOutcome {
    /// The head has become idle.
    pub ended: bool,
    /// The head has ended, but the stem keeps playing on its other head.
    pub still: bool,
    /// The head's ring ran dry.
    pub starved: bool,
    /// The head caught up after having starved.
    pub resumed: bool,
}

impl ReadOutcome {
    /// Returns the same events, with `still` set according to the state of the stem in `slot`.
    pub fn of(self, stems: &[Stem], slot: u16) -> ReadOutcome {
        ReadOutcome { still: stems.get(usize::from(slot)).is_some_and(Stem::is_playing), ..self }
    }
}

/// How a loop wraps: at `end` it continues at `start`, and over the last `fade` frames before that it crossfades from
/// the frames before `end` to the frames before `start`.
///
/// A file as a whole wraps bit for bit: its author has taken care of the seam. Any other loop is cut out of the middle
/// of something, so its seam is crossfaded. The frames before the loop's start are faded in before the seam, which
/// leaves the attack at the loop's start intact; a loop that starts too close to the beginning of the file for that
/// continues a little beyond its end instead, and fades into the corresponding position after its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Turn {
    start: u64,
    end: u64,
    fade: u64,
}

impl Turn {
    fn of(play: &Play, source: &StemSource) -> Turn {
        let Play { start, end, looped, .. } = *play;
        let length = end.saturating_sub(start);
        if !looped || length == 0 || (start == 0 && end >= source.frames) {
            return Turn { start, end, fade: 0 };
        }
        let wanted = ((RAMP_MS / 1000.0 * f64::from(source.sample_rate)) as u64).min(length / 2);
        let before = wanted.min(start);
        let behind = (wanted - before).min(source.frames.saturating_sub(end));
        Turn { start: start + behind, end: end + behind, fade: before + behind }
    }

    fn length(&self) -> u64 {
        self.end.saturating_sub(self.start).max(1)
    }

    /// Returns the frame at which the crossfade begins.
    fn seam(&self) -> u64 {
        self.end - self.fade
    }

    /// Returns how many frames a loop at frame `next` can output from the `raw` frames in its stream.
    ///
    /// The stream delivers the frames before the loop's start again in each round, after the loop's end: during the
    /// crossfade every frame needs another one, `fade` frames further on.
    fn usable(&self, next: u64, raw: u64) -> u64 {
        if self.fade == 0 {
            return raw;
        }
        let part = |raw: u64, left: u64| raw.min(left.saturating_sub(self.fade).max(raw.saturating_sub(self.fade)));
        let left = self.end.saturating_sub(next);
        let Some(beyond) = raw.checked_sub(left + self.fade) else { return part(raw, left) };
        let (rounds, rest) = (beyond / (self.length() + self.fade), beyond % (self.length() + self.fade));
        left + rounds * self.length() + part(rest, self.length())
    }
}

/// Adds the frames of a seam to `out`: a crossfade from `a` to `b`, of which the first is frame `at` of `fade`, scaled
/// as by [`ramp::mix`].
fn mix_seam(out: &mut [f32], [a, b]: [&[f32]; 2], (at, fade): (u64, u64), (from, to): (f32, f32)) {
    let step = (to - from) / out.len().max(1) as f32;
    for (k, ((o, a), b)) in out.iter_mut().zip(a).zip(b).enumerate() {
        let into = smooth(((at + k as u64) as f32 + 0.5) / fade as f32);
        *o += (a + (b - a) * into) * (from + step * (k + 1) as f32);
    }
}

/// A read position in a stem. Realtime: yes, all of it.
#[derive(Debug)]
pub struct Head {
    phase: Phase,
    play: Play,
    turn: Turn,
    /// Whether it has wrapped.
    turned: bool,
    next: u64,
    resident: bool,
    /// Frames that should have been read already; negative: frames of silence to come.
    debt: i64,
    envelope: Ramp,
    stopping: bool,
    drying: bool,
    starved: bool,
    ending: bool,
    /// Whether it starts at the then current position of the stem's other head.
    follows: bool,
    asked_at: u64,
    group: u16,
}

impl Head {
    /// Creates an idle head.
    pub fn new() -> Head {
        Head {
            phase: Phase::Idle,
            play: Play { from: 0, start: 0, end: 0, looped: false },
            turn: Turn::default(),
            turned: false,
            next: 0,
            resident: false,
            debt: 0,
            envelope: Ramp::new(0.0),
            stopping: false,
            drying: false,
            starved: false,
            ending: false,
            follows: false,
            asked_at: 0,
            group: 0,
        }
    }

    /// Returns its state.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns whether it is fading out.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Returns whether it is silent for lack of samples.
    pub fn is_starved(&self) -> bool {
        self.starved
    }

    /// Returns the sample time at which its start was requested.
    pub fn asked_at(&self) -> u64 {
        self.asked_at
    }

    /// Returns the section it plays.
    pub fn play(&self) -> Play {
        self.play
    }

    /// Returns the index of its group.
    pub fn group(&self) -> usize {
        usize::from(self.group)
    }

    /// Starts fetching `play`, to be started later ([`Phase::Priming`]) or when ready ([`Phase::Waiting`]).
    pub fn prepare(&mut self, source: &mut StemSource, stream: usize, play: Play, phase: Phase, now: u64) {
        let keep = matches!(self.phase, Phase::Priming | Phase::Primed) && self.play == play;
        let turn = Turn::of(&play, source);
        *self = Head { phase, play, turn, asked_at: now, next: play.from, resident: self.resident, ..Head::new() };
        if keep {
            return;
        }
        let resident = source.resident();
        self.resident = turn.end <= resident || play.from + RESIDENT_MARGIN <= resident;
        if !self.resident {
            source.streams[stream].ask(self.streamed(play.from));
        } else if turn.end > resident {
            source.streams[stream].ask(self.streamed(resident));
        }
    }

    /// Returns the section to request from the stream: a loop including the frames before its start, which are faded
    /// in.
    fn streamed(&self, from: u64) -> Play {
        let Turn { start, end, fade } = self.turn;
        Play { from, start: start - fade, end, looped: self.play.looped }
    }

    /// Makes it start at the position the stem's other head has by then, instead of its own.
    pub fn follow(&mut self) {
        self.follows = true;
    }

    /// Returns whether it follows the other head.
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// Returns whether enough has been fetched to start.
    pub fn is_ready(&mut self, source: &mut StemSource, stream: usize) -> bool {
        self.resident || source.streams[stream].available() as u64 >= self.remaining().min(2 * CHUNK as u64)
    }

    /// Returns whether the next `frames` frames can be read without waiting for the disk.
    pub fn has_more(&mut self, source: &mut StemSource, stream: usize, frames: usize) -> bool {
        let need = (frames + HOLD_BACK) as u64 + self.debt.max(0) as u64;
        self.available(source, stream) >= need.min(self.remaining())
    }

    /// Marks a priming head as primed.
    pub fn primed(&mut self) {
        self.phase = Phase::Primed;
    }

    /// Starts to sound in `group`. The attack of a file's first frame is left intact; at any other position the head
    /// fades in, as it does when it takes over from the other head.
    ///
    /// `ahead` is how far the other head is read ahead of the playhead, and `made` how many of its frames have already
    /// been summed: after those it fades out, and this one fades in.
    pub fn begin(&mut self, group: usize, fade: u32, other: &Head, ahead: i64, made: u32) {
        self.phase = Phase::Playing;
        self.group = group as u16;
        if self.follows {
            // How far the other head has moved in the meantime; modulo the loop length within a loop.
            let gone = other.next as i64 + other.debt - ahead - self.next as i64;
            let length = self.turn.length() as i64;
            self.debt = if self.play.looped { gone.rem_euclid(length) } else { gone.max(0) };
        }
        let takes_over = other.phase == Phase::Playing && !other.starved;
        if self.next == 0 && !self.follows && !takes_over {
            self.envelope.jump(1.0);
        } else {
            self.envelope.jump(0.0);
            self.envelope.to_after(if takes_over { made } else { 0 }, 1.0, fade);
        }
    }

    /// Fades out, then becomes idle; a silent head becomes idle at once.
    pub fn stop(&mut self, fade: u32) {
        match self.phase {
            Phase::Playing => {
                if !self.stopping {
                    self.stopping = true;
                    // A starved head is already silent; it remains a member of its group until it is read the next
                    // time.
                    self.envelope.to(0.0, if self.starved { 0 } else { fade });
                }
            }
            _ => *self = Head::new(),
        }
    }

    /// Handles lost output time: skips `frames` source frames and fades in again after them.
    pub fn lose(&mut self, frames: i64, fade: u32) {
        if self.phase == Phase::Playing {
            self.debt += frames;
            self.envelope.jump(0.0);
            if !self.stopping {
                self.envelope.to(1.0, fade);
            }
        }
    }

    /// Returns the frame of the file that will be read next, if nothing more is lost.
    pub fn position(&self) -> u64 {
        self.wrapped(self.next as i64 + self.debt.max(0))
    }

    /// Returns the frame at the playhead while reading is `behind` frames ahead of it.
    pub fn heard(&self, behind: i64) -> u64 {
        let at = self.position() as i64 - behind;
        let (start, length) = (self.turn.start as i64, self.turn.length() as i64);
        let turned = self.turned || self.next as i64 + self.debt >= self.turn.end as i64;
        if at < start && turned && self.play.looped {
            (start + (at - start).rem_euclid(length)) as u64
        } else {
            at.max(0) as u64
        }
    }

    fn wrapped(&self, frame: i64) -> u64 {
        let (start, end) = (self.turn.start as i64, (self.turn.end as i64).max(0));
        if frame < end || !self.play.looped || end <= start {
            frame.clamp(0, end) as u64
        } else {
            (start + (frame - end) % (end - start)) as u64
        }
    }

    /// Returns the frames until the end; unlimited for a loop.
    fn remaining(&self) -> u64 {
        if self.play.looped { u64::MAX } else { self.turn.end.saturating_sub(self.next) }
    }

    /// Returns the frames until the next discontinuity: the end, or the beginning or end of a seam.
    fn reach(&self) -> usize {
        let until = if self.next < self.turn.seam() { self.turn.seam() } else { self.turn.end };
        until.saturating_sub(self.next) as usize
    }

    fn available(&self, source: &mut StemSource, stream: usize) -> u64 {
        if self.resident && self.turn.end <= source.resident() {
            return self.remaining();
        }
        let resident = if self.resident { source.resident().saturating_sub(self.next) } else { 0 };
        self.turn.usable(self.next, resident + source.streams[stream].available() as u64)
    }

    /// Advances by `frames` frames that were just read or skipped, and lie within [`Head::reach`].
    fn step(&mut self, source: &mut StemSource, stream: usize, frames: usize) {
        if !self.resident {
            source.streams[stream].consume(frames);
        }
        self.next += frames as u64;
        if self.resident && self.turn.end > source.resident() && self.next >= source.resident() {
            self.resident = false;
        }
        if self.play.looped && self.next >= self.turn.end {
            self.next = self.wrapped(self.next as i64);
            self.turned = true;
            if !self.resident {
                // Skip the frames that were faded in.
                source.streams[stream].consume(self.turn.fade as usize);
            }
        }
    }

    /// Returns frames that are contiguous in memory from here on, at most `max` and within [`Head::reach`].
    fn peek<'s>(&self, source: &'s mut StemSource, stream: usize, max: usize) -> (&'s [f32], &'s [f32]) {
        if !self.resident {
            source.streams[stream].refill();
        }
        self.look(source, stream, max)
    }

    /// Returns the same as [`Head::peek`], without fetching another chunk.
    fn look<'s>(&self, source: &'s StemSource, stream: usize, max: usize) -> (&'s [f32], &'s [f32]) {
        let max = max.min(self.reach());
        if self.resident {
            let from = self.next as usize;
            let to = (from + max).min(source.resident() as usize).max(from);
            return (source.head_left.get(from..to).unwrap_or(&[]), source.head_right.get(from..to).unwrap_or(&[]));
        }
        source.streams[stream].look(0, max)
    }

    /// Returns the frames that are faded in while those of [`Head::look`] are faded out.
    fn look_in<'s>(&self, source: &'s StemSource, stream: usize, max: usize) -> (&'s [f32], &'s [f32]) {
        let resident = source.resident();
        if self.resident && self.turn.end <= resident {
            let from = (self.next - self.turn.length()) as usize;
            let range = from..from + max;
            let all = (source.head_left.get(range.clone()), source.head_right.get(range));
            return (all.0.unwrap_or(&[]), all.1.unwrap_or(&[]));
        }
        // The resident part ends before the loop does, so these frames are in the stream.
        let left = if self.resident { resident.saturating_sub(self.next) } else { 0 };
        source.streams[stream].look(self.turn.fade.saturating_sub(left) as usize, max)
    }

    /// Returns whether it is in the crossfade from its loop's end to its start.
    fn is_at_seam(&self) -> bool {
        self.play.looped && self.turn.fade > 0 && self.next >= self.turn.seam()
    }

    /// Skips up to `frames` frames, as many as are available; returns how many.
    fn pass(&mut self, source: &mut StemSource, stream: usize, frames: i64) -> i64 {
        let mut passed = 0;
        // Each iteration skips a chunk or a round of a resident loop; more than this many are not worth waiting for
        // here.
        for _ in 0..256 {
            let want = (frames - passed).min(self.remaining().min(i64::MAX as u64) as i64);
            if want <= 0 {
                break;
            }
            let got = self.peek(source, stream, want as usize).0.len();
            if got == 0 {
                break;
            }
            self.step(source, stream, got);
            passed += got as i64;
        }
        passed
    }

    /// Resynchronises: restarts far enough ahead for the disk to be there in time.
    fn leap(&mut self, source: &mut StemSource, stream: usize) {
        let margin = i64::from(source.sample_rate) / 4;
        let due = self.next as i64 + self.debt + margin;
        let target = self.wrapped(due);
        self.next = target;
        self.debt = -margin;
        self.resident = false;
        source.streams[stream].ask(self.streamed(target));
        self.turned |= due >= self.turn.end as i64;
    }

    /// Returns the next `frames` frames in the plain case: no fade, no debt, no end or seam within reach, and all
    /// frames contiguous in memory with enough behind them. That is nearly always.
    fn plain<'s>(&self, source: &'s StemSource, stream: usize, frames: usize) -> Option<(&'s [f32], &'s [f32])> {
        let calm = self.debt == 0
            && !(self.starved || self.drying || self.ending)
            && self.envelope.is_still()
            && self.envelope.value() == 1.0;
        let reach = frames + HOLD_BACK;
        if !calm || self.next + reach as u64 > self.turn.seam() {
            return None;
        }
        if !self.resident {
            return source.streams[stream].peek_within(frames, reach);
        }
        let from = self.next as usize;
        if from + reach > source.head_left.len() {
            return None;
        }
        Some((source.head_left.get(from..from + frames)?, source.head_right.get(from..from + frames)?))
    }

    /// Adds the next frames, which are contiguous in memory, to the timeline.
    fn add(&self, source: &StemSource, stream: usize, [left, right]: [&mut [f32]; 2], gains: (f32, f32)) {
        let (l, r) = self.look(source, stream, left.len());
        if self.is_at_seam() {
            let (in_l, in_r) = self.look_in(source, stream, left.len());
            let place = (self.next - self.turn.seam(), self.turn.fade);
            mix_seam(left, [l, in_l], place, gains);
            mix_seam(right, [r, in_r], place, gains);
        } else {
            ramp::mix(left, l, gains.0, gains.1);
            ramp::mix(right, r, gains.0, gains.1);
        }
    }

    /// Adds the next `left.len()` frames, scaled by the stem's gain (from, to), to the timeline.
    pub fn read(
        &mut self,
        source: &mut StemSource,
        stream: usize,
        left: &mut [f32],
        right: &mut [f32],
        gain: (f32, f32),
        fade: u32,
    ) -> ReadOutcome {
        let mut news = ReadOutcome::default();
        let frames = left.len().min(right.len());
        if self.phase != Phase::Playing {
            return ReadOutcome { ended: true, ..news };
        }
        if let Some((l, r)) = self.plain(source, stream, frames) {
            ramp::mix(left, l, gain.0, gain.1);
            ramp::mix(right, r, gain.0, gain.1);
            self.step(source, stream, frames);
            return news;
        }
        let mut at = 0;
        if self.debt < 0 {
            at = frames.min(self.debt.unsigned_abs() as usize);
            self.debt += at as i64;
        }
        if (self.debt > 0 || self.starved) && at < frames {
            if self.stopping && self.starved {
                *self = Head::new();
                return ReadOutcome { ended: true, ..news };
            }
            if self.play.looped && self.debt > 0 {
                // Skip whole rounds without walking through them.
                self.turned |= self.debt >= self.turn.length() as i64;
                self.debt %= self.turn.length() as i64;
            }
            let due = self.debt;
            self.debt -= self.pass(source, stream, due);
            if self.remaining() == 0 {
                *self = Head::new();
                return ReadOutcome { ended: true, ..news };
            }
            let need = (frames + HOLD_BACK + if self.starved { CHUNK } else { 0 }) as u64;
            if self.debt > 0 || self.available(source, stream) < need.min(self.remaining()) {
                news.starved = !self.starved;
                self.starved = true;
                self.envelope.jump(0.0);
                self.debt += (frames - at) as i64;
                if self.debt > i64::from(source.sample_rate) {
                    self.leap(source, stream);
                }
                return news;
            }
            if self.starved {
                self.starved = false;
                news.resumed = true;
                self.envelope.jump(0.0);
                self.envelope.to(1.0, fade);
            }
        }
        let remaining = self.remaining();
        let available = self.available(source, stream);
        let want = ((frames - at) as u64).min(remaining) as usize;
        if available < remaining && available < (want + HOLD_BACK) as u64 {
            if !self.drying {
                self.drying = true;
                self.envelope.to(0.0, available.min(HOLD_BACK as u64) as u32);
            }
        } else if self.drying {
            self.drying = false;
            self.envelope.to(if self.stopping { 0.0 } else { 1.0 }, fade);
        }
        if !self.ending && remaining <= (want + TAIL) as u64 {
            self.ending = true;
            // Its last frame is heard.
            self.envelope.to(0.0, remaining as u32 + 1);
        }
        let take = (want as u64).min(available) as usize;
        let wait = take.min(self.envelope.wait() as usize);
        let (from, to) = self.envelope.advance(take as u32);
        let mut done = 0;
        while done < take {
            let got = {
                let until = if done < wait { wait } else { take };
                let (l, r) = self.peek(source, stream, until - done);
                l.len().min(r.len())
            };
            let got = if self.is_at_seam() { got.min(self.look_in(source, stream, got).0.len()) } else { got };
            if got == 0 {
                break;
            }
            let share = |k: usize| {
                let gone = k.saturating_sub(wait) as f32 / (take - wait).max(1) as f32;
                let envelope = from + (to - from) * gone;
                let gain = gain.0 + (gain.1 - gain.0) * (at + k) as f32 / frames as f32;
                envelope * gain
            };
            let gains = (share(done), share(done + got));
            let (to_l, to_r) = (&mut left[at + done..at + done + got], &mut right[at + done..at + done + got]);
            self.add(source, stream, [to_l, to_r], gains);
            self.step(source, stream, got);
            done += got;
        }
        if remaining <= done as u64 || (self.stopping && self.envelope.is_silent()) {
            *self = Head::new();
            news.ended = true;
        } else if self.drying && (self.envelope.is_silent() || done < want) {
            self.drying = false;
            self.starved = true;
            self.debt += (want - done) as i64;
            news.starved = true;
        }
        news
    }
}

impl Default for Head {
    fn default() -> Self {
        Head::new()
    }
}

/// A slot for a stem. Realtime: yes, all of it.
#[derive(Debug)]
pub struct Stem {
    /// The stem, if one is installed.
    pub source: Option<Box<StemSource>>,
    /// Index of the deck it plays on.
    pub deck: usize,
    /// The two heads; head `k` reads stream `k`.
    pub heads: [Head; 2],
    /// Index of the head started last.
    pub lead: usize,
    /// Volume (linear).
    pub gain: Ramp,
    /// Volume at the start and end of the current span.
    pub span: (f32, f32),
    /// Playback rate.
    pub rate: f64,
    /// True if it begins exactly at its time.
    pub exact: bool,
    /// A start that is waiting for a free head.
    pub pending: Option<Play>,
    /// Whether a rate change is waiting for a free head.
    pub resettle: bool,
    /// Whether it is removed once it has faded out.
    pub removing: bool,
    /// Number of stops and restarts: frames read ahead before the last one must not be heard.
    pub stops: u32,
}

impl Stem {
    /// Creates an empty slot.
    pub fn empty() -> Stem {
        Stem {
            source: None,
            deck: 0,
            heads: [Head::new(), Head::new()],
            lead: 0,
            gain: Ramp::new(0.0),
            span: (0.0, 0.0),
            rate: 1.0,
            exact: false,
            pending: None,
            resettle: false,
            removing: false,
            stops: 0,
        }
    }

    /// Returns the length of an ordinary fade in this stem's own frames.
    pub fn fade(&self) -> u32 {
        self.source.as_ref().map_or(0, |s| (f64::from(s.sample_rate) * super::RAMP_MS / 1000.0) as u32)
    }

    /// Returns a head for a new start: one primed for the same section, else one that is silent.
    pub fn free_head(&self, play: &Play) -> Option<usize> {
        let primed = |h: &Head| matches!(h.phase(), Phase::Priming | Phase::Primed) && h.play() == *play;
        let silent = |h: &Head| h.phase() != Phase::Playing;
        self.heads.iter().position(primed).or_else(|| self.heads.iter().position(silent))
    }

    /// Returns whether both heads are idle and no start is pending.
    pub fn is_idle(&self) -> bool {
        self.pending.is_none() && self.heads.iter().all(|h| h.phase() == Phase::Idle)
    }

    /// Returns whether a head sounds or is about to.
    pub fn is_playing(&self) -> bool {
        self.pending.is_some()
            || self.heads.iter().any(|h| match h.phase() {
                Phase::Waiting => true,
                Phase::Playing => !h.is_stopping(),
                _ => false,
            })
    }
}
