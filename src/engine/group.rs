//! Stems of a deck at one rate: one position, one interpolation.
//!
//! A group has a timeline in the source's own sample rate. Its members are summed into that timeline, gains included,
//! and the sum is interpolated once: twenty stems on four decks at one rate each cost four interpolations. The position
//! on the timeline is exact (64 fractional bits); a stem joins at the nearest whole frame.
//!
//! A stretched group has a [`SplicedGroup`]: its timeline is then the stretched one, which advances as fast as the output, and
//! the plan handles the tempo.

use super::GRID;
use super::clock::TempoSpan;
use super::method::Method;
use super::plan::{SplicedGroup, StretchPool, StretchPosition};
use super::stem::{ReadOutcome, Stem};
use crate::dsp::fixed::Fixed;
use crate::dsp::sinc::{MAX_HALF, MAX_RATIO, SincBank, Walk};

/// Size of a group's window: history, look-ahead and the needs of one span, several times over, so that the window is
/// shifted only occasionally.
const WINDOW: usize = 4 * MAX_HALF + 2 * (GRID * 9) + 1024;

/// Distance from a frame below which a position counts as there.
const ON_FRAME: f64 = 1.0 / 64.0;

pub use super::plan::Member;

/// A group of stems of one deck at one rate, interpolated together. Realtime: yes, except [`Group::new`].
#[derive(Debug)]
pub struct Group {
    /// Whether it is in use.
    pub active: bool,
    /// Index of the deck it belongs to.
    pub deck: usize,
    source_rate: u32,
    rate: f64,
    output_rate: f64,
    position: Fixed,
    /// Timeline frame at the beginning of the window.
    origin: i64,
    /// Timeline frame up to which members have been summed.
    filled: i64,
    /// Timeline frame from which on there is only silence.
    quiet_from: i64,
    left: Box<[f32]>,
    right: Box<[f32]>,
    members: Vec<Member>,
    plan: Option<Box<SplicedGroup>>,
    /// Key change as a frequency factor, used if there is a plan.
    key: f64,
}

impl Group {
    /// Creates an unused group with capacity for `members` heads.
    pub fn new(output_rate: u32, members: usize) -> Group {
        Group {
            active: false,
            deck: 0,
            source_rate: 0,
            rate: 1.0,
            output_rate: f64::from(output_rate),
            position: Fixed::ZERO,
            origin: 0,
            filled: 0,
            quiet_from: 0,
            left: vec![0.0; WINDOW].into_boxed_slice(),
            right: vec![0.0; WINDOW].into_boxed_slice(),
            members: Vec::with_capacity(members),
            plan: None,
            key: 1.0,
        }
    }

    /// Puts an unused group to use; it is stretched if `plan` is given.
    pub fn open(&mut self, deck: usize, source_rate: u32, rate: f64, plan: Option<Box<SplicedGroup>>) {
        self.plan = plan;
        self.active = true;
        self.deck = deck;
        self.source_rate = source_rate;
        self.rate = rate;
        self.position = Fixed::ZERO;
        self.origin = -(MAX_HALF as i64);
        self.filled = 0;
        self.quiet_from = 0;
        self.left.fill(0.0);
        self.right.fill(0.0);
        self.members.clear();
    }

    /// Returns whether a stem with these properties belongs to this group.
    pub fn suits(&self, deck: usize, source_rate: u32, rate: f64, method: Method) -> bool {
        self.active
            && self.deck == deck
            && self.source_rate == source_rate
            && self.rate == rate
            && self.method() == method
    }

    /// Returns the index of a group for a stem with these properties, if one is in use; with `exact`, of one that has a
    /// frame just now, unless no other group is left.
    pub fn choose(
        groups: &[Group],
        (deck, source_rate, rate, method): (usize, u32, f64, Method),
        exact: bool,
    ) -> Option<usize> {
        let suits = |g: &Group| g.suits(deck, source_rate, rate, method);
        // Groups that are stretched are few.
        if !exact || method != Method::PlaybackRate || groups.iter().all(|g| g.active) {
            return groups.iter().position(suits);
        }
        groups.iter().position(|g| suits(g) && g.is_on_frame())
    }

    /// Returns whether its position is that of a frame.
    fn is_on_frame(&self) -> bool {
        (self.position - Fixed::from_int(self.position.round())).to_f64().abs() < ON_FRAME
    }

    /// Returns the method of changing tempo. A group without a cover, even if one was wanted, counts as
    /// [`Method::Wsola`].
    pub fn method(&self) -> Method {
        match &self.plan {
            None => Method::PlaybackRate,
            Some(plan) if plan.is_covered() => Method::Hq,
            Some(_) => Method::Wsola,
        }
    }

    /// Sets the key change of stretched stems, as a frequency factor.
    pub fn set_key(&mut self, factor: f64) {
        self.key = factor;
    }

    /// Invalidates what the worker has made ahead of time, because its method has changed.
    pub fn ask_anew(&mut self) {
        if let Some(plan) = &mut self.plan {
            plan.disturb();
        }
    }

    /// Returns whether its stems keep their pitch.
    pub fn is_stretched(&self) -> bool {
        self.plan.is_some()
    }

    /// Takes the plan of a group that is no longer active.
    pub fn take_plan(&mut self) -> Option<Box<SplicedGroup>> {
        if self.active { None } else { self.plan.take() }
    }

    /// Returns whether `member` is the only member.
    pub fn is_alone(&self, member: Member) -> bool {
        match &self.plan {
            Some(plan) => plan.is_alone(member),
            None => self.members.as_slice() == [member],
        }
    }

    /// Returns the playback rate of its members.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Changes the rate of the whole group; its position is continuous.
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    fn index(&self, frame: i64) -> usize {
        (frame - self.origin).max(0) as usize
    }

    /// Adds a head that has just started: its first frame falls on the timeline frame nearest to now.
    pub fn join(&mut self, member: Member, stems: &mut [Stem], kit: Option<&mut StretchPool>) -> ReadOutcome {
        let now = self.position.round();
        if let Some(plan) = &mut self.plan {
            let to = (self.filled - self.origin).max(0) as usize;
            let from = ((now - self.origin).max(0) as usize).min(to);
            self.quiet_from = self.filled;
            return plan.join(member, kit, stems, [&mut self.left[from..to], &mut self.right[from..to]]);
        }
        let mut news = ReadOutcome::default();
        if self.filled > now {
            // The look-ahead has already been summed: add this head's share to it.
            let (from, to) = (self.index(now), self.index(self.filled));
            news = read(member, stems, &mut self.left[from..to], &mut self.right[from..to]);
        }
        self.quiet_from = self.filled;
        if !news.ended && !self.members.contains(&member) && self.members.len() < self.members.capacity() {
            self.members.push(member);
        }
        news
    }

    /// Returns how far its members are read ahead of the playhead, in source frames.
    pub fn ahead(&self) -> i64 {
        self.plan.as_ref().map_or(self.filled - self.position.floor(), |p| p.ahead())
    }

    /// Returns the timeline frames that have been made but not heard yet.
    pub fn made(&self) -> u32 {
        (self.filled - self.position.floor()).clamp(0, WINDOW as i64) as u32
    }

    /// Skips `frames` lost output frames, during which the playback ratio was `tempo`: the timeline advances as if they
    /// had been played. Returns the source frames each member has to skip.
    pub fn lose(&mut self, frames: u64, tempo: TempoSpan, fade: u32) -> i64 {
        let before = self.position.floor();
        let mean = tempo.mean();
        let step = Fixed::from_f64(self.ratio(mean));
        self.position += step * frames.min(i64::MAX as u64 / 16) as i64;
        let gone = self.position.floor() - before;
        // The window's content belongs to the lost time.
        self.left.fill(0.0);
        self.right.fill(0.0);
        self.origin += gone;
        self.filled += gone;
        self.quiet_from = self.filled;
        let input = Fixed::from_f64(self.input_ratio(mean)) * frames.min(i64::MAX as u64 / 16) as i64;
        match &mut self.plan {
            Some(plan) => plan.lose(input, fade),
            None => gone,
        }
    }

    /// Timeline frames per output frame.
    fn ratio(&self, tempo: f64) -> f64 {
        let speed = if self.plan.is_some() { self.key } else { self.rate * tempo };
        (f64::from(self.source_rate) / self.output_rate * speed).clamp(1.0 / 64.0, MAX_RATIO)
    }

    /// Frames of the stems per output frame.
    fn input_ratio(&self, tempo: f64) -> f64 {
        f64::from(self.source_rate) / self.output_rate * SplicedGroup::clamp(self.rate * tempo)
    }

    /// Adds the next `left.len()` output frames (at most [`GRID`]) while the playback ratio is `tempo`, and calls
    /// `report` with the events of each member.
    pub fn render(
        &mut self,
        tempo: TempoSpan,
        bank: &SincBank,
        stems: &mut [Stem],
        kit: Option<&mut StretchPool>,
        [left, right]: [&mut [f32]; 2],
        mut report: impl FnMut(Member, ReadOutcome),
    ) {
        let n = left.len().min(right.len());
        if n == 0 {
            return;
        }
        let (from, to) = (self.ratio(tempo.from), self.ratio(tempo.to));
        let step = Fixed::from_f64(from);
        let slope = if from == to { Fixed::ZERO } else { (Fixed::from_f64(to) - step).div_int(n) };
        let table = bank.table(from.max(to));
        let last = self.position + step.sum_of(slope, n - 1);
        self.fill(last.floor() + table.half() as i64 + 1, tempo, stems, kit, &mut report);
        if self.plan.is_some() {
            let step = Fixed::from_f64(self.input_ratio(tempo.from));
            let slope = (Fixed::from_f64(self.input_ratio(tempo.to)) - step).div_int(n);
            if let Some(plan) = &mut self.plan {
                plan.advance(step.sum_of(slope, n));
            }
        }

        if step == Fixed::ONE && slope == Fixed::ZERO && self.position.frac_bits() == 0 {
            // The source's own rate, on whole frames: its samples, bit for bit.
            let start = self.index(self.position.floor());
            for (o, s) in left.iter_mut().zip(&self.left[start..start + n]) {
                *o += s;
            }
            for (o, s) in right.iter_mut().zip(&self.right[start..start + n]) {
                *o += s;
            }
        } else {
            // Within a span 32 fractional bits suffice; the exact sum is kept outside this loop.
            let walk = Walk {
                position: (self.position - Fixed::from_int(self.origin)).to_bits(32) as u64,
                step: step.to_bits(32),
                slope: slope.to_bits(32),
            };
            table.add([&self.left, &self.right], walk, [&mut left[..n], &mut right[..n]]);
        }
        self.position += step.sum_of(slope, n);
        if self.is_silent() && self.position.floor() > self.quiet_from + 2 * MAX_HALF as i64 {
            self.active = false;
        }
    }

    fn is_silent(&self) -> bool {
        self.plan.as_ref().map_or(self.members.is_empty(), |p| p.is_silent())
    }

    /// Sums members into the timeline up to frame `until`.
    fn fill(
        &mut self,
        until: i64,
        tempo: TempoSpan,
        stems: &mut [Stem],
        kit: Option<&mut StretchPool>,
        report: &mut impl FnMut(Member, ReadOutcome),
    ) {
        let frames = (until - self.filled).max(0) as usize;
        if frames == 0 {
            return;
        }
        if self.index(until) > WINDOW {
            let keep = self.position.floor() - MAX_HALF as i64;
            let (from, to) = (self.index(keep), self.index(self.filled));
            self.left.copy_within(from..to, 0);
            self.right.copy_within(from..to, 0);
            self.origin = keep;
        }
        let ratio = self.ratio(tempo.to);
        let start = self.index(self.filled);
        let end = (start + frames).min(WINDOW);
        let (left, right) = (&mut self.left[start..end], &mut self.right[start..end]);
        left.fill(0.0);
        right.fill(0.0);
        if let Some(plan) = &mut self.plan {
            let ahead = Fixed::from_int(self.filled) - self.position;
            let wanted = self.rate * tempo.mean();
            let speed = SplicedGroup::clamp(wanted);
            let moment = StretchPosition {
                frame: self.filled,
                ahead: ahead.to_f64(),
                speed: speed / self.key,
                slope: if speed == wanted { self.rate * tempo.slope / (self.key * ratio) } else { 0.0 },
                left: f64::from(tempo.left) * ratio,
            };
            plan.render(moment, stems, kit, [left, right], report);
        }
        let mut k = 0;
        while k < self.members.len() {
            let member = self.members[k];
            let news = read(member, stems, left, right);
            if news.ended {
                self.members.swap_remove(k);
            } else {
                k += 1;
            }
            if news.ended || news.starved || news.resumed {
                report(member, news.of(stems, member.0));
            }
        }
        self.filled += frames as i64;
        if !self.is_silent() {
            self.quiet_from = self.filled;
        }
    }
}

fn read(member: Member, stems: &mut [Stem], left: &mut [f32], right: &mut [f32]) -> ReadOutcome {
    let Some(stem) = stems.get_mut(usize::from(member.0)) else {
        return ReadOutcome { ended: true, ..ReadOutcome::default() };
    };
    let fade = stem.fade();
    let stream = usize::from(member.1);
    match stem.source.as_mut() {
        Some(source) => stem.heads[stream].read(source, stream, left, right, stem.span, fade),
        None => ReadOutcome { ended: true, ..ReadOutcome::default() },
    }
}
