//! Stretched playback: one splice plan for all stems of a rate group, and a lane for each of them.
//!
//! The group's stems are read ahead, each unscaled into a lane of its own; the plan is made from their sum, gains
//! included. The same splices are then applied to every lane and scaled by its stem's gain, so gains and stops are
//! immediate although reading is a tenth of a second ahead.
//!
//! Plans and lanes are built elsewhere and arrive as a [`StretchPool`], which its deck keeps.

use super::cover::{Bounds, CONTEXT_S, StretchOverlay, Trajectory, WorkerEnd, cover};
use super::ramp::Ramp;
use super::stem::{ReadOutcome, Stem};
use crate::dsp::fixed::Fixed;
use crate::dsp::splice::window::Window;
use crate::dsp::splice::{self, LOOK_BACK, MAX_SPEED, MIN_SPEED, Span, Splicer};

/// Frames read at a time.
const PIECE: usize = 256;
/// Maximum number of pieces read per call beyond the immediate need: the look-ahead is built up over several quanta.
const EAGER: usize = 2;
/// Groups of one deck that can be stretched at once; stems at more different rates follow the playback rate.
pub const PLANS: usize = 4;
/// Heads of one deck that can be stretched at once.
pub const LANES: usize = 24;

/// Groups of one deck that a worker can cover at once.
pub const COVERS: usize = 2;

/// A head of a stem: (slot, head).
pub type Member = (u16, u8);

/// Read-ahead buffer of one head. Realtime: yes, except its construction.
#[derive(Debug)]
pub struct StemBuffer {
    window: Window,
    member: Option<Member>,
    gain: (f32, f32),
    /// The gain used for the sum when that was last valid.
    summed: f32,
    /// Fade-out after a stop: what was read ahead must not be heard.
    out: Ramp,
    stopping: bool,
    /// One past its last frame, once that is known.
    end: i64,
    /// The head whose end is reported when the playhead reaches it, and the stem's stop count at the time of reading.
    owed: Option<(Member, u32)>,
    /// The frame it plays next while the plan has not yet reached this lane's start.
    fresh: Option<i64>,
    /// Whether a fade from there to the plan's position is in progress.
    rejoining: bool,
}

impl StemBuffer {
    fn new(frames: usize) -> StemBuffer {
        StemBuffer {
            window: Window::new(frames),
            member: None,
            gain: (0.0, 0.0),
            summed: 0.0,
            out: Ramp::new(1.0),
            stopping: false,
            end: i64::MAX,
            owed: None,
            fresh: None,
            rejoining: false,
        }
    }
}

/// Everything a deck needs to stretch: built elsewhere, moved in once, kept.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "they change hands on the audio thread: pointers, not kilobytes")]
pub struct StretchPool {
    plans: Vec<Box<SplicedGroup>>,
    lanes: Vec<Box<StemBuffer>>,
    covers: Vec<Box<StretchOverlay>>,
}

impl StretchPool {
    /// Creates a kit for stems of up to `sample_rate`; splices are shorter for stems at higher rates. Reserves
    /// are within `bounds`; the second return value is for a worker. Realtime: no (allocates about 20 MB).
    pub fn new(sample_rate: u32, bounds: Bounds) -> (StretchPool, Vec<WorkerEnd>) {
        let rate = f64::from(sample_rate);
        let more = bounds.read_ahead(rate);
        let frames = splice::room(sample_rate, more);
        let (covers, ends) = (0..COVERS)
            .map(|_| {
                let (cover, end) = cover(sample_rate, bounds);
                (Box::new(cover), end)
            })
            .unzip();
        let kit = StretchPool {
            plans: (0..PLANS).map(|_| Box::new(SplicedGroup::new(sample_rate, more))).collect(),
            lanes: (0..LANES).map(|_| Box::new(StemBuffer::new(frames))).collect(),
            covers,
        };
        (kit, ends)
    }

    /// Returns all its buffers, for locking them into memory.
    pub fn buffers(&self) -> impl Iterator<Item = &[f32]> {
        let sums = self.plans.iter().map(|p| p.splicer.window());
        self.lanes.iter().map(|l| &l.window).chain(sums).flat_map(|w| w.planes())
    }

    /// Returns whether another group can be stretched. Realtime: yes.
    pub fn has_plan(&self) -> bool {
        !self.plans.is_empty()
    }

    /// Returns whether another group can be covered. Realtime: yes.
    pub fn has_cover(&self) -> bool {
        !self.covers.is_empty()
    }

    /// Returns whether another head can be stretched. Realtime: yes.
    pub fn has_lane(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// Takes a plan for a group of stems sampled at `sample_rate`, with a cover if `covered` and one is left. Realtime:
    /// yes.
    pub fn take(&mut self, sample_rate: u32, covered: bool) -> Option<Box<SplicedGroup>> {
        let mut plan = self.plans.pop()?;
        plan.open(sample_rate);
        plan.cover = if covered { self.covers.pop() } else { None };
        if let Some(cover) = &mut plan.cover {
            cover.open(sample_rate);
        }
        Some(plan)
    }

    /// Returns a plan from [`StretchPool::take`], and its lanes, to the kit. Realtime: yes.
    pub fn put_back(&mut self, mut plan: Box<SplicedGroup>) {
        // Both vectors have capacity for all there are.
        self.lanes.append(&mut plan.lanes);
        if let Some(mut cover) = plan.cover.take() {
            cover.close();
            self.covers.push(cover);
        }
        self.plans.push(plan);
    }
}

/// The position from which stretched frames are to be made.
#[derive(Clone, Copy, Debug)]
pub struct StretchPosition {
    /// The first stretched frame.
    pub frame: i64,
    /// Stretched frames between the playhead and that frame.
    pub ahead: f64,
    /// Input frames per stretched frame.
    pub speed: f64,
    /// Change of the speed per stretched frame, if nothing intervenes.
    pub slope: f64,
    /// Number of stretched frames for which `slope` applies.
    pub left: f64,
}

/// The splice plan and lanes of one group. Realtime: yes, except its construction.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "they change hands on the audio thread: pointers, not kilobytes")]
pub struct SplicedGroup {
    splicer: Splicer,
    lanes: Vec<Box<StemBuffer>>,
    /// Input position of the playhead according to the tempo.
    ideal: Fixed,
    /// The frame from which on joining heads have changed the sum, and whether an onset is to be marked there.
    joined: Option<(i64, bool)>,
    cover: Option<Box<StretchOverlay>>,
}

impl SplicedGroup {
    fn new(sample_rate: u32, more: usize) -> SplicedGroup {
        let splicer = Splicer::with_room(sample_rate, more);
        SplicedGroup { splicer, lanes: Vec::with_capacity(LANES), ideal: Fixed::ZERO, joined: None, cover: None }
    }

    fn open(&mut self, sample_rate: u32) {
        self.splicer.retune(sample_rate);
        self.splicer.restart(0);
        self.ideal = Fixed::ZERO;
        self.joined = None;
    }

    /// Returns the speed nearest to `speed` that can be stretched.
    pub fn clamp(speed: f64) -> f64 {
        speed.clamp(MIN_SPEED, MAX_SPEED)
    }

    /// Returns whether a worker covers, or may cover, this group.
    pub fn is_covered(&self) -> bool {
        self.cover.is_some()
    }

    /// Returns whether `member` is the only member.
    pub fn is_alone(&self, member: Member) -> bool {
        self.lanes.iter().all(|l| l.member == Some(member)) && !self.lanes.is_empty()
    }

    /// Returns whether no sound is left.
    pub fn is_silent(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Returns how far reading is ahead of the playhead, in input frames.
    pub fn ahead(&self) -> i64 {
        self.splicer.fed() - self.ideal.floor()
    }

    /// Advances the playhead by `by` input frames.
    pub fn advance(&mut self, by: Fixed) {
        self.ideal += by;
    }

    /// Handles lost output time, during which the input should have advanced by `by`. Returns the input frames that
    /// each member has to skip unread.
    pub fn lose(&mut self, by: Fixed, fade: u32) -> i64 {
        self.ideal += by;
        if let Some(cover) = &mut self.cover {
            cover.lose();
        }
        let now = self.ideal.round();
        let missed = (now - self.splicer.fed()).max(0);
        if missed > 0 {
            self.splicer.restart(now);
            for lane in &mut self.lanes {
                lane.window.restart(now);
            }
        } else {
            self.splicer.jump(now);
        }
        for lane in &mut self.lanes {
            (lane.fresh, lane.rejoining) = (None, false);
            lane.out.jump(0.0);
            if !lane.stopping {
                lane.out.to(1.0, fade);
            }
        }
        missed
    }

    /// Adds a head that has just started: its first frame is heard now. `left` and `right` are the stretched frames
    /// that have been made but not heard yet; the head's share is added to them.
    pub fn join(
        &mut self,
        member: Member,
        kit: Option<&mut StretchPool>,
        stems: &mut [Stem],
        [left, right]: [&mut [f32]; 2],
    ) -> ReadOutcome {
        let Some(mut lane) = kit.and_then(|k| k.lanes.pop()) else {
            return ReadOutcome { ended: true, ..ReadOutcome::default() };
        };
        self.disturb();
        let gap = left.len().min(right.len());
        let start = self.ideal.round();
        lane.window.restart(start);
        lane.member = Some(member);
        lane.gain = stems.get(usize::from(member.0)).map_or((0.0, 0.0), |s| s.span);
        lane.summed = lane.gain.1;
        lane.out.jump(1.0);
        (lane.stopping, lane.end, lane.fresh, lane.rejoining, lane.owed) = (false, i64::MAX, None, false, None);
        let mut news = ReadOutcome::default();
        // The other members have been read further ahead; read this one as far.
        while lane.window.filled() < self.splicer.fed() && lane.member.is_some() {
            let frames = ((self.splicer.fed() - lane.window.filled()) as usize).min(PIECE);
            let at = lane.window.filled();
            let more = lane.read(frames, start, stems);
            news = ReadOutcome {
                ended: more.ended,
                starved: news.starved | more.starved,
                resumed: news.resumed | more.resumed,
                ..news
            };
            let (sum_l, sum_r) = self.splicer.tail_mut(at);
            let (l, r) = lane.window.get(at, frames);
            for (to, from) in sum_l.iter_mut().zip(l).chain(sum_r.iter_mut().zip(r)) {
                *to += from * lane.gain.1;
            }
        }
        let mut strikes = self.joined.is_some_and(|(_, strikes)| strikes);
        if self.lanes.is_empty() {
            self.splicer.jump(start + gap as i64);
        } else if self.splicer.position() != start + gap as i64 || self.splicer.is_splicing() {
            self.splicer.strike(start + gap as i64);
            strikes = true;
            lane.fresh = Some(start + gap as i64);
        }
        self.joined = Some((self.joined.map_or(start, |(at, _)| at.min(start)), strikes));
        let span = Span { frames: gap, from: start, fade: None };
        span.add(&lane.window, lane.gain, [left, right]);
        if self.lanes.len() < self.lanes.capacity() {
            self.lanes.push(lane);
        }
        news
    }

    /// Invalidates what the worker has made ahead of time.
    pub fn disturb(&mut self) {
        if let Some(cover) = &mut self.cover {
            cover.invalidate();
        }
    }

    /// Adds the next stretched frames from a given position; `kit` receives the lanes that have fallen silent.
    pub fn render(
        &mut self,
        StretchPosition { frame, ahead, speed, slope, left: glide }: StretchPosition,
        stems: &mut [Stem],
        kit: Option<&mut StretchPool>,
        [left, right]: [&mut [f32]; 2],
        report: &mut impl FnMut(Member, ReadOutcome),
    ) {
        let frames = left.len().min(right.len());
        if let Some((at, strikes)) = self.joined.take() {
            // Once for all that joined: find their attacks, and mark their start if others may mask it.
            self.splicer.hear_again(at, strikes);
        }
        let ideal = self.ideal.to_f64() + ahead * speed;
        let course = Trajectory { generation: 0, frame, ideal, speed, slope, left: glide };
        self.ask_worker(course);
        self.read_ahead(frames, speed, stems, report);
        let mut done = 0;
        while done < frames {
            let span = self.splicer.next(ideal + done as f64 * speed, speed, frames - done);
            let to = done + span.frames;
            for lane in &mut self.lanes {
                let share = |k: usize| k as f32 / frames as f32;
                let at = |k: usize| lane.gain.0 + (lane.gain.1 - lane.gain.0) * share(k);
                let out = lane.out.advance(span.frames as u32);
                let gain = (at(done) * out.0, at(to) * out.1);
                let own = lane.own(span);
                own.add(&lane.window, gain, [&mut left[done..to], &mut right[done..to]]);
            }
            done = to;
        }
        if let Some(cover) = &mut self.cover {
            cover.mix(course, left, right);
            cover.tell(course.after(frames));
        }
        let Some(kit) = kit else { return };
        let needed = self.splicer.needs_from();
        let heard = self.ideal.floor();
        for lane in &mut self.lanes {
            if lane.end <= heard
                && let Some((member, _)) = lane.owed.take()
            {
                report(member, ReadOutcome { ended: true, ..ReadOutcome::default() }.of(stems, member.0));
            }
        }
        let mut k = 0;
        while k < self.lanes.len() {
            let lane = &self.lanes[k];
            if lane.member.is_none() && (lane.end < needed || (lane.stopping && lane.out.is_silent())) {
                // There are never more of them than the kit came with, so it has room.
                kit.lanes.push(self.lanes.swap_remove(k));
            } else {
                k += 1;
            }
        }
    }

    /// Sends a request to the worker, if there is one and nothing prevents it.
    fn ask_worker(&mut self, course: Trajectory) {
        let Some(cover) = &mut self.cover else { return };
        // At the input's own speed and position there is nothing to improve.
        let verbatim = (course.speed - 1.0).abs() < 1e-5;
        if cover.wants_to_ask() && !self.lanes.is_empty() && !verbatim {
            cover.ask(course);
            let context = (CONTEXT_S * self.splicer.sample_rate()) as i64;
            let from = (course.ideal.round() as i64 - context).max(self.splicer.window().origin());
            // What was summed ahead of time does not reflect gains and stops made since.
            let (left, right) = self.splicer.tail_mut(from);
            left.fill(0.0);
            right.fill(0.0);
            let span = Span { frames: left.len(), from, fade: None };
            for lane in self.lanes.iter_mut().filter(|l| !l.stopping) {
                span.add(&lane.window, (lane.gain.1, lane.gain.1), [&mut *left, &mut *right]);
                lane.summed = lane.gain.1;
            }
            let (left, right) = self.splicer.window().get(from, self.splicer.window().capacity());
            cover.feed(from, left, right);
        }
    }

    /// Reads the members, sums them and feeds the plan: what is needed now, and part of what will be needed later.
    fn read_ahead(
        &mut self,
        frames: usize,
        speed: f64,
        stems: &mut [Stem],
        report: &mut impl FnMut(Member, ReadOutcome),
    ) {
        let mut disturbed = false;
        for lane in &mut self.lanes {
            if let Some((slot, head)) = lane.member
                && let Some(stem) = stems.get(usize::from(slot))
            {
                // What was summed with another gain is outdated.
                disturbed |= (stem.span.1 - lane.summed).abs() > 0.03 * lane.summed.max(0.03);
                lane.gain = stem.span;
                if stem.heads[usize::from(head)].is_stopping() && !lane.stopping {
                    lane.stopping = true;
                    disturbed = true;
                    lane.out.to(0.0, stem.fade());
                }
            } else if let Some(((slot, _), stops)) = lane.owed
                && let Some(stem) = stems.get(usize::from(slot))
            {
                // Read to its end, but not heard: its stem still determines its gain, and whether it is heard at all.
                lane.gain = if stem.source.is_some() { stem.span } else { (lane.gain.1, lane.gain.1) };
                if (stem.stops != stops || stem.source.is_none()) && !lane.stopping {
                    lane.stopping = true;
                    disturbed = true;
                    lane.out.to(0.0, (0.005 * self.splicer.sample_rate()) as u32);
                }
            } else {
                lane.gain.0 = lane.gain.1;
            }
        }
        let mut wants = self.splicer.wants();
        if let Some(cover) = &mut self.cover {
            if disturbed {
                cover.invalidate();
                self.lanes.iter_mut().for_each(|l| l.summed = l.gain.1);
            }
            wants = wants.max(self.ideal.floor() + cover.look_ahead(speed));
        }
        // The playhead must stay in the window, however far the worker's look-ahead reaches.
        wants = wants.min(self.splicer.needs_from() + (self.splicer.window().capacity() - PIECE) as i64);
        // Needed now and during the next fade; the rest is read gradually.
        let urgent = self.splicer.position() + frames as i64 + (LOOK_BACK * 0.2 * self.splicer.sample_rate()) as i64;
        let eager = self.splicer.fed() + (frames as f64 * speed) as i64 + (EAGER * PIECE) as i64;
        let until = wants.min(urgent.max(eager));
        while self.splicer.fed() < until {
            let at = self.splicer.fed();
            let piece = ((until - at) as usize).min(PIECE);
            // Reads that are not urgent must not be counted as disk underruns.
            if at >= urgent && !self.lanes.iter().all(|l| l.has_more(piece, stems)) {
                break;
            }
            let mut sum = [[0.0f32; PIECE]; 2];
            let keep = self.splicer.needs_from();
            for lane in &mut self.lanes {
                let member = lane.member;
                let mut news = lane.read(piece, keep, stems);
                if news.ended
                    && !lane.stopping
                    && let Some((slot, _)) = member
                {
                    // Its end is reported when the playhead reaches it.
                    news.ended = false;
                    lane.owed = member.zip(stems.get(usize::from(slot)).map(|s| s.stops));
                }
                let (l, r) = lane.window.get(at, piece);
                let [sum_l, sum_r] = &mut sum;
                for (to, from) in sum_l.iter_mut().zip(l).chain(sum_r.iter_mut().zip(r)) {
                    *to += from * lane.gain.1;
                }
                if let Some(member) = member
                    && (news.ended || news.starved || news.resumed)
                {
                    report(member, news.of(stems, member.0));
                }
            }
            self.splicer.feed(&sum[0][..piece], &sum[1][..piece]);
            if let Some(cover) = &mut self.cover {
                cover.feed(at, &sum[0][..piece], &sum[1][..piece]);
            }
        }
    }
}

impl StemBuffer {
    /// Returns this lane's share of the plan's next span: the span itself, unless the lane has just started and the
    /// plan has yet to reach its start, or the lane fades out and the plan moves elsewhere for the remaining members.
    fn own(&mut self, span: Span) -> Span {
        if self.stopping && self.fresh.is_none() && span.fade.is_some_and(|fade| fade.done == 0) {
            self.fresh = Some(span.from);
        }
        let Some(next) = self.fresh else { return span };
        self.fresh = Some(next + span.frames as i64);
        let verbatim = Span { from: next, fade: None, ..span };
        if self.stopping && !self.rejoining {
            return verbatim;
        }
        match span.fade {
            None if span.from == next => {
                self.fresh = None;
                span
            }
            Some(fade) if fade.into != next && (fade.done == 0 || self.rejoining) => {
                self.rejoining = fade.done + span.frames < fade.len;
                if !self.rejoining {
                    self.fresh = None;
                }
                Span { from: next, ..span }
            }
            _ => verbatim,
        }
    }

    /// Returns whether the next `frames` frames can be read now, or there is nothing to wait for.
    fn has_more(&self, frames: usize, stems: &mut [Stem]) -> bool {
        let Some((slot, k)) = self.member else { return true };
        let stream = usize::from(k);
        let Some(stem) = stems.get_mut(usize::from(slot)) else { return true };
        let Some(source) = stem.source.as_mut() else { return true };
        stem.heads[stream].has_more(source, stream, frames)
    }

    /// Reads the next frames of its member, or silence; frames before `keep` may be discarded.
    fn read(&mut self, frames: usize, keep: i64, stems: &mut [Stem]) -> ReadOutcome {
        let (left, right) = self.window.extend(frames, keep);
        let Some((slot, k)) = self.member else { return ReadOutcome::default() };
        let stream = usize::from(k);
        let mut news = ReadOutcome { ended: true, ..ReadOutcome::default() };
        if let Some(stem) = stems.get_mut(usize::from(slot)) {
            let fade = stem.fade();
            if let Some(source) = stem.source.as_mut() {
                news = stem.heads[stream].read(source, stream, left, right, (1.0, 1.0), fade);
            }
        }
        if news.ended {
            self.member = None;
            self.end = self.window.filled();
        }
        news
    }
}
