//! Changing tempo by splicing: sound is played unchanged and occasionally jumps, with a short crossfade, to where it
//! should be.
//!
//! Plain overlap-and-add (WSOLA: Verhelst & Roelands 1993) jumps constantly and anywhere, so that attacks come early,
//! late, twice or not at all. Here the splices are *locked to onsets*: shortly before an onset the position is moved to
//! exactly where the tempo puts it, then the attack passes unchanged, at its exact position and in its exact shape.
//! Between onsets splices are free, within bounds, and are placed where both ends are most similar; there are as few as
//! the bounds allow, because each costs a little of a steady tone's purity.
//!
//! A [`Splicer`] only plans. It is fed the sum of all sounds that share a position and returns, span by span, the
//! frames to be heard; any number of stems can follow one plan, each with its own gain.

pub mod onset;
pub mod search;
pub mod window;

use super::crossfade;
use onset::Onsets;
use search::{Search, Splice, SpliceBounds};
use window::Window;

/// Minimum speed: half. Lower ones are possible in real time, but attacks would be drawn apart.
pub const MIN_SPEED: f64 = 0.5;
/// Maximum speed: double.
pub const MAX_SPEED: f64 = 2.0;

/// Input fed ahead of the playhead, in seconds: an onset's approach, a jump and the fade after it.
pub const LOOK_AHEAD: f64 = 0.120;
/// Input kept behind the playhead, in seconds.
pub const LOOK_BACK: f64 = 0.100;

/// Returns the frames a window must hold for a [`Splicer`] that is fed `more` frames beyond what it wants.
pub fn room(sample_rate: u32, more: usize) -> usize {
    ((LOOK_AHEAD + LOOK_BACK + 0.06) * f64::from(sample_rate)) as usize + 4096 + more
}

/// Durations and distances in frames.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    /// Maximum distance from the ideal position after a free splice.
    drift: f64,
    /// Distance from the ideal position at which a free splice is searched for.
    trigger: f64,
    /// Fade of a free splice.
    fade: usize,
    /// Fade of a splice before an onset, if there is room.
    approach: usize,
    /// Shortest fade.
    shortest: usize,
    /// Fade to a position that is decided elsewhere.
    strike: usize,
    /// Time before an onset at which its position must be reached.
    margin: i64,
    /// Time for which an attack is left unchanged.
    hold: i64,
    /// Time before an onset from which positions for its splice are searched.
    reach: i64,
    /// Frames for which a free splice may wait for a better position.
    wait: i64,
    /// Minimum jump of a free splice.
    jump: i64,
}

impl Lengths {
    fn at(rate: f64) -> Lengths {
        let ms = |ms: f64| (ms * rate / 1000.0).round();
        Lengths {
            drift: ms(22.0),
            trigger: ms(14.0),
            fade: ms(50.0) as usize,
            approach: ms(10.0) as usize,
            shortest: ms(1.0) as usize,
            strike: ms(5.0) as usize,
            margin: ms(2.5) as i64,
            hold: ms(14.0) as i64,
            reach: ms(45.0) as i64,
            wait: ms(8.0) as i64,
            jump: ms(5.0) as i64,
        }
    }
}

/// The next frames to play: `frames` frames from input frame `from`; while `fade` lasts, crossfaded to another
/// position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Output frames it covers.
    pub frames: usize,
    /// Input frame of the first of them.
    pub from: i64,
    /// The crossfade it is part of.
    pub fade: Option<Fade>,
}

/// A part of a crossfade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fade {
    /// Input frame that is faded in, at the span's first frame.
    pub into: i64,
    /// Frames of the fade already done.
    pub done: usize,
    /// Length of the fade in frames.
    pub len: usize,
    /// Similarity of both ends, 0 to 1.
    pub likeness: f32,
}

impl Fade {
    /// Returns the gains of the outgoing and the incoming sound at frame `k` of the span.
    pub fn gains(&self, k: usize) -> (f32, f32) {
        let t = ((self.done + k) as f32 + 0.5) / self.len.max(1) as f32;
        crossfade::even(crossfade::smooth(t), self.likeness)
    }
}

impl Span {
    /// Adds the span's frames of `window` to both channels, scaled by a gain that moves from `gain.0` to `gain.1`.
    ///
    /// Frames that the window does not hold are silent.
    pub fn add(&self, window: &Window, gain: (f32, f32), [left, right]: [&mut [f32]; 2]) {
        let n = self.frames.min(left.len()).min(right.len());
        let slope = (gain.1 - gain.0) / self.frames.max(1) as f32;
        match self.fade {
            None => {
                let (l, r) = window.get(self.from, n);
                let skipped = (window.origin() - self.from).clamp(0, n as i64) as usize;
                for (k, (a, b)) in l.iter().zip(r).take(n - skipped).enumerate() {
                    let gain = gain.0 + slope * (skipped + k) as f32;
                    left[skipped + k] += a * gain;
                    right[skipped + k] += b * gain;
                }
            }
            Some(fade) => {
                for k in 0..n {
                    let gain = gain.0 + slope * k as f32;
                    let (out, into) = fade.gains(k);
                    let (a, b) = (window.frame(self.from + k as i64), window.frame(fade.into + k as i64));
                    left[k] += gain * (out * a.0 + into * b.0);
                    right[k] += gain * (out * a.1 + into * b.1);
                }
            }
        }
    }
}

/// Plans splices for all sounds that share a position. Realtime: yes, except [`Splicer::new`].
#[derive(Debug)]
pub struct Splicer {
    lengths: Lengths,
    window: Window,
    onsets: Onsets,
    search: Search,
    sample_rate: f64,
    /// The sample rate it has room for.
    most: f64,
    /// Input frame heard next.
    play: i64,
    /// The splice decided on: pending, or in the middle of its fade.
    splice: Option<Splice>,
    done: usize,
    /// The position to reach as soon as possible, if that is decided elsewhere.
    struck: Option<i64>,
    /// Frames until a free splice is searched for again after none was found.
    pause: i64,
}

impl Splicer {
    /// Creates a splicer for sound at `sample_rate`, at its beginning. Realtime: no (allocates).
    pub fn new(sample_rate: u32) -> Splicer {
        Splicer::with_room(sample_rate, 0)
    }

    /// Creates a splicer with room to be fed `more` frames beyond what it wants. Realtime: no (allocates).
    pub fn with_room(sample_rate: u32, more: usize) -> Splicer {
        let rate = f64::from(sample_rate);
        Splicer {
            lengths: Lengths::at(rate),
            window: Window::new(room(sample_rate, more)),
            onsets: Onsets::new(sample_rate),
            search: Search::new(sample_rate),
            sample_rate: rate,
            most: rate,
            play: 0,
            splice: None,
            done: 0,
            struck: None,
            pause: 0,
        }
    }

    /// Adapts to sound at another rate. Beyond the rate it was built for, its room stays the same and all durations
    /// shrink.
    pub fn retune(&mut self, sample_rate: u32) {
        self.sample_rate = f64::from(sample_rate).min(self.most);
        let rate = self.sample_rate as u32;
        self.lengths = Lengths::at(self.sample_rate);
        self.onsets.retune(rate);
        self.search.retune(rate);
    }

    /// Returns the sample rate it assumes.
    pub fn sample_rate(&self) -> f64 {
        self.sample_rate
    }

    /// Continues at input frame `at` immediately, without a fade.
    pub fn jump(&mut self, at: i64) {
        self.play = at;
        (self.splice, self.done, self.pause, self.struck) = (None, 0, 0, None);
    }

    /// Requests a splice to a sound that has begun elsewhere and is already heard: as soon as any current fade is over,
    /// the plan moves to that sound's position, which is input frame `next` now and advances from there.
    pub fn strike(&mut self, next: i64) {
        self.struck = Some(next);
        if self.done == 0 {
            self.splice = None;
        }
    }

    /// Searches for onsets again from frame `at` on, where the sum has changed. `strikes`: a sound begins there that
    /// counts as an onset, however faint it is in the mix.
    pub fn hear_again(&mut self, at: i64, strikes: bool) {
        let at = at.clamp(self.window.origin(), self.window.filled());
        self.onsets.restart(at);
        let (left, right) = self.window.get(at, self.window.capacity());
        self.onsets.feed(left, right);
        if strikes {
            self.onsets.mark(at);
        }
    }

    /// Returns the end of the sum from frame `at` on, for sounds that join late.
    pub fn tail_mut(&mut self, at: i64) -> (&mut [f32], &mut [f32]) {
        self.window.tail_mut(at)
    }

    /// Restarts at input frame `at`, where the next input begins.
    pub fn restart(&mut self, at: i64) {
        self.window.restart(at);
        self.onsets.restart(at);
        self.play = at;
        (self.splice, self.done, self.pause, self.struck) = (None, 0, 0, None);
    }

    /// Returns the input frame up to which (exclusive) it must be fed before [`Splicer::next`].
    pub fn wants(&self) -> i64 {
        let play = self.splice.map_or(self.play, |s| self.play.max(s.enter + self.done as i64));
        play + (LOOK_AHEAD * self.sample_rate) as i64
    }

    /// Returns the input frame before which nothing will be requested any more.
    pub fn needs_from(&self) -> i64 {
        self.play - (LOOK_BACK * self.sample_rate) as i64
    }

    /// Returns the input frame up to which it has been fed.
    pub fn fed(&self) -> i64 {
        self.window.filled()
    }

    /// Returns the sum it was fed.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Returns the onsets found in the sum.
    pub fn onsets(&self) -> &Onsets {
        &self.onsets
    }

    /// Returns the input frame heard next.
    pub fn position(&self) -> i64 {
        self.play
    }

    /// Returns whether a splice is pending or in progress.
    pub fn is_splicing(&self) -> bool {
        self.splice.is_some()
    }

    /// Reaches positions before onsets `frames` frames earlier.
    pub fn be_early(&mut self, frames: i64) {
        self.lengths.margin += frames;
    }

    /// Feeds the next frames of the sum of all sounds that follow this plan.
    pub fn feed(&mut self, left: &[f32], right: &[f32]) {
        let frames = left.len().min(right.len());
        let (l, r) = self.window.extend(frames, self.needs_from());
        for (to, from) in l.iter_mut().zip(left).chain(r.iter_mut().zip(right)) {
            *to = *from;
        }
        self.onsets.feed(&left[..frames], &right[..frames]);
    }

    /// Returns the next span of at most `max` frames, given the ideal input position now and its speed.
    pub fn next(&mut self, ideal: f64, speed: f64, max: usize) -> Span {
        if self.splice.is_none() {
            match self.struck.take() {
                Some(enter) if enter != self.play => {
                    let len = self.lengths.strike;
                    self.splice = Some(Splice { leave: self.play, enter, len, likeness: 0.6 });
                }
                _ => self.plan(ideal, speed),
            }
        }
        let span = self.span(max.max(1));
        if let Some(next) = &mut self.struck {
            *next += span.frames as i64;
        }
        span
    }

    /// Returns the next span of what has been decided.
    fn span(&mut self, max: usize) -> Span {
        match self.splice {
            None => {
                let span = Span { frames: max, from: self.play, fade: None };
                self.play += max as i64;
                self.pause -= max as i64;
                span
            }
            Some(splice) if self.play < splice.leave => {
                let frames = max.min((splice.leave - self.play) as usize);
                let span = Span { frames, from: self.play, fade: None };
                self.play += frames as i64;
                span
            }
            Some(splice) => {
                let frames = max.min(splice.len - self.done);
                let fade = Fade {
                    into: splice.enter + self.done as i64,
                    done: self.done,
                    len: splice.len,
                    likeness: splice.likeness.clamp(0.0, 1.0),
                };
                let span = Span { frames, from: self.play, fade: Some(fade) };
                self.done += frames;
                self.play += frames as i64;
                if self.done == splice.len {
                    self.play = splice.enter + splice.len as i64;
                    (self.splice, self.done, self.pause) = (None, 0, 0);
                }
                span
            }
        }
    }

    /// Decides whether, where and how to splice next.
    fn plan(&mut self, ideal: f64, speed: f64) {
        let lengths = self.lengths;
        let play = self.play;
        let drift = play as f64 - ideal;
        let next = self.onsets.next_from(play);
        let last = self.onsets.last_before(play).map_or(i64::MIN / 2, |o| o.strike);
        if let Some(onset) = next {
            // Output frames until the onset would be heard without a splice, and until it should be.
            let stands = onset.strike - play;
            let due = (onset.strike as f64 - ideal) / speed;
            let off = stands as f64 - due;
            if off.abs() >= 0.75 {
                let room = stands.min(due as i64) - (onset.strike - onset.start) - lengths.margin;
                if room <= lengths.reach {
                    self.splice = Some(self.approach(off.round() as i64, room, last));
                    return;
                }
            } else if stands <= lengths.reach {
                return;
            }
        }
        if drift.abs() > lengths.trigger && self.pause <= 0 {
            self.splice = self.wander(ideal, speed, last, next.map(|n| n.start));
            // No match: searching again makes sense only after some new frames.
            self.pause = lengths.shortest as i64;
        }
    }

    /// Returns the splice that brings an onset, `room` frames ahead, to its exact position, by a jump of `jump`.
    fn approach(&mut self, jump: i64, room: i64, last: i64) -> Splice {
        let lengths = self.lengths;
        // Neither the end of the last attack nor a second copy of it.
        let free = (last + lengths.hold - self.play).max(last + lengths.hold - (self.play + jump)).max(0);
        let shortest = lengths.shortest as i64;
        let from = free.min((room - shortest).max(0));
        let len = (room - from).clamp(shortest, lengths.approach as i64);
        let places = (room - from - len).max(0) as usize;
        self.search.fixed(&self.window, self.play + from, places, jump, len as usize)
    }

    /// Returns a free splice between onsets: the longest fade that fits, for the sake of steady tones.
    fn wander(&mut self, ideal: f64, speed: f64, last: i64, next: Option<i64>) -> Option<Splice> {
        let lengths = self.lengths;
        // The ideal position advances during a fade; it must not run away.
        let most = lengths.drift / (speed - 1.0).abs().max(1e-3);
        let mut fade = lengths.fade.min(most as usize);
        while fade >= lengths.approach / 2 {
            if let Some(splice) = self.wander_by(ideal, speed, last, next, fade) {
                return Some(splice);
            }
            fade /= 2;
        }
        None
    }

    fn wander_by(&mut self, ideal: f64, speed: f64, last: i64, next: Option<i64>, fade: usize) -> Option<Splice> {
        let lengths = self.lengths;
        let leave_from = self.play.max(last + lengths.hold);
        // Input that has not been fed may hold an onset.
        let known = next.unwrap_or(i64::MAX).min(self.window.filled() - self.onsets.latency() as i64);
        let latest = known - lengths.margin - fade as i64;
        // After the fade there must be room for the splice that leads to the onset, also at the ideal position.
        let due = self.play + ((known as f64 - ideal) / speed) as i64;
        let over = due - lengths.margin - lengths.approach as i64 - fade as i64;
        let leave_to = (leave_from + lengths.wait).min(latest - lengths.approach as i64).min(over);
        let centre = ideal + speed * (leave_from - self.play) as f64;
        let spread = lengths.drift + speed * (leave_to - leave_from).max(0) as f64;
        let enter = ((last + lengths.hold).max((centre - lengths.drift) as i64), latest.min((centre + spread) as i64));
        if leave_to < leave_from || enter.1 < enter.0 {
            return None;
        }
        let wish = SpliceBounds {
            leave: (leave_from, leave_to),
            ideal: centre,
            speed,
            enter,
            drift: lengths.drift,
            jump: lengths.jump,
            len: fade,
        };
        self.search.free(&self.window, &wish)
    }
}

/// Renders the next `left.len()` frames of a single sound, from the same window its splicer was fed.
///
/// `ideal` is the ideal input position now, `speed` its speed. Realtime: yes.
pub fn render(splicer: &mut Splicer, ideal: f64, speed: f64, left: &mut [f32], right: &mut [f32]) {
    let frames = left.len().min(right.len());
    left.fill(0.0);
    right.fill(0.0);
    let mut done = 0;
    while done < frames {
        let span = splicer.next(ideal + speed * done as f64, speed, frames - done);
        let to = done + span.frames;
        span.add(&splicer.window, (1.0, 1.0), [&mut left[done..to], &mut right[done..to]]);
        done = to;
    }
}
