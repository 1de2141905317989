//! Decks and the tempo: how they change it, whether they follow the clock, and when they may start.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::super::request::Message;
use super::super::show;
use super::super::value::Value;
use super::super::vocabulary::{Fault, deck_name};
use super::stems::{Start, State, deck_of, stretch};
use super::{Conductor, Deck};
use crate::engine::DECKS;
use crate::engine::command::Action;
use crate::engine::cover::CoverCell;
use crate::engine::method::Method;
use crate::engine::plan::{Kit, LANES, PLANS, Plan};
use crate::media::grid::{Grid, Unit};
use crate::stretch::worker::{Level, shown};
use crate::system::realtime;

/// How far a deck follows the music clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Not at all: its stems play at their own rate.
    Off,
    /// It plays as fast as the clock says.
    #[default]
    Tempo,
    /// And what starts on it starts so that its beats fall on the clock's.
    Beat,
    /// And its bars on the clock's.
    Bar,
}

impl Sync {
    /// Their names.
    pub const NAMES: &[&str] = &["off", "tempo", "beat", "bar"];

    /// By its name.
    pub fn named(name: &str) -> Option<Sync> {
        [Sync::Off, Sync::Tempo, Sync::Beat, Sync::Bar].into_iter().find(|s| s.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// A deck's pace.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// How its tempo is changed.
    pub method: Method,
    /// How far it follows the clock.
    pub sync: Sync,
    /// Change of key in semitones.
    pub key: f64,
    /// Whether formants stay where they are meanwhile.
    pub formants: bool,
    /// Its own tempo, if it was told one.
    pub(super) told: Option<f64>,
    /// Its beats, from a file beside a track of it, and that track's buffer.
    pub(super) grid: Option<(i64, Grid)>,
    /// The reserves of its high-quality stretching, once the engine has what it needs to stretch it.
    pub(super) covers: Vec<Watched>,
    /// The speed that was asked for last and could not be had.
    pub(super) clamped: Option<f64>,
    /// Whether more plays on it than can be stretched at once.
    pub(super) crowded: bool,
}

impl Pace {
    /// Its own tempo, if it is not the base tempo.
    pub fn bpm(&self) -> Option<f64> {
        self.told.or_else(|| self.grid().map(|g| g.bpm))
    }

    /// Whether what starts on it waits for a beat or a bar.
    pub(super) fn starts_on_beats(&self) -> bool {
        matches!(self.sync, Sync::Beat | Sync::Bar)
    }

    /// Its beats, if they are known.
    pub(super) fn grid(&self) -> Option<&Grid> {
        self.grid.as_ref().map(|(_, grid)| grid)
    }

    /// What the key does to the speed at which stretched sound is played.
    fn key_factor(&self) -> f64 {
        (self.key / 12.0).exp2()
    }

    /// Tells its reserves how to stretch, should they be asked.
    fn tell_method(&self) {
        if self.method.in_engine() == Method::Hq {
            self.covers.iter().for_each(|w| w.cell.method.store(self.method as u32, Relaxed));
        }
    }

    /// Tells its reserves whether formants stay.
    fn tell_formants(&self) {
        let factor = if self.formants { self.key_factor() } else { 0.0 };
        self.covers.iter().for_each(|w| w.cell.formants.store(factor.to_bits(), Relaxed));
    }
}

/// A reserve that is watched.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    cell: Arc<CoverCell>,
    underruns: u32,
    banned: bool,
}

impl Watched {
    fn new(cell: Arc<CoverCell>) -> Watched {
        Watched { cell, underruns: 0, banned: false }
    }
}

/// How a deck is stretched at a moment; times in seconds.
#[derive(Default)]
struct Stretched {
    heard: Method,
    covering: bool,
    level: Level,
    ready: f64,
    target: f64,
    cost: f64,
    underruns: u64,
}

/// Least time between two lines of the log about underruns.
const QUIET: Duration = Duration::from_secs(2);

impl Deck {
    /// As it is kept.
    pub(super) fn shown(&self) -> show::Deck {
        show::Deck {
            level: self.level,
            gains: self.bands,
            stretch: Some(self.pace.method.name().into()),
            sync: Some(self.pace.sync.name().into()),
            bpm: self.pace.told,
            key: self.pace.key,
            formants: self.pace.formants,
        }
    }
}

/// Where a stem is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Sample time.
    pub time: u64,
    /// Seconds into its file that sound then.
    pub seconds: f64,
    /// Seconds of the file that go by in a second.
    pub speed: f64,
}

impl Conductor {
    /// Chooses how a deck's tempo is changed. What plays goes on from where it is.
    pub fn set_method(&mut self, deck: usize, method: Method, at: Option<u64>) {
        let rate = self.settings.sample_rate;
        let pace = &mut self.decks[deck].pace;
        let changes = pace.method != method;
        pace.method = method;
        pace.tell_method();
        let kit = (method != Method::PlaybackRate && pace.covers.is_empty()).then(|| {
            let (kit, ends) = Kit::new(rate, self.settings.reserve);
            // What is large first, should the limit not suffice for rings and the small things between as well. A
            // refusal was reported at the start already; unlocked is slower, not wrong.
            kit.buffers().for_each(|b| drop(realtime::lock(b)));
            let _ = realtime::lock_present_memory();
            pace.covers = ends.iter().map(|e| Watched::new(e.cell.clone())).collect();
            pace.tell_formants();
            pace.tell_method();
            (self.hands.stretch)(ends);
            Box::new(kit)
        });
        if !changes && kit.is_none() {
            // As it is; a reserve is not thrown away for that.
            return;
        }
        // A kit must be there before whatever may need it.
        let at = if kit.is_some() { None } else { at };
        self.push(at, Action::Stretch { deck, method: method.in_engine(), kit });
    }

    /// Tells the engine how the decks' tempo is changed at the start.
    pub(super) fn set_paces(&mut self) {
        for deck in 0..DECKS {
            if self.decks[deck].pace.method != Method::default() {
                self.set_method(deck, self.decks[deck].pace.method, None);
            }
            self.push_base(deck, None);
        }
    }

    /// Changes the key of a deck that keeps pitch, by so many semitones.
    pub fn set_key(&mut self, deck: usize, semitones: f64, at: Option<u64>) {
        let pace = &mut self.decks[deck].pace;
        pace.key = semitones;
        pace.tell_formants();
        let factor = pace.key_factor();
        self.push(at, Action::Key { deck, factor });
    }

    /// Keeps a deck's formants in place when its key changes, or lets them go with it; heard within the reserve.
    pub fn set_formants(&mut self, deck: usize, stay: bool) {
        self.decks[deck].pace.formants = stay;
        self.decks[deck].pace.tell_formants();
    }

    /// Chooses how far a deck follows the clock.
    pub fn set_sync(&mut self, deck: usize, sync: Sync, at: Option<u64>) {
        self.decks[deck].pace.sync = sync;
        self.push_base(deck, at);
    }

    /// Tells a deck's own tempo; `None`: that of the file beside its track, or the base tempo.
    pub fn set_deck_bpm(&mut self, deck: usize, bpm: Option<f64>, at: Option<u64>) {
        self.decks[deck].pace.told = bpm;
        self.push_base(deck, at);
    }

    /// The tempo at which a deck's stems play at their own speed.
    pub fn deck_bpm(&self, deck: usize) -> f64 {
        self.decks[deck].pace.bpm().unwrap_or(self.settings.bpm)
    }

    /// Where a stem is that plays, and how fast it goes; nothing, if it does not.
    pub fn place_of(&self, id: i64) -> Option<Place> {
        let buffer = self.buffers.get(&id)?;
        let State::Ready { slot, info, .. } = &buffer.state else { return None };
        let cell = self.door.telemetry.stems.get(usize::from(*slot)).filter(|c| c.is_playing())?;
        let (mut time, mut frames) = (self.now(), cell.position_frames());
        // Both from one block.
        for _ in 0..4 {
            (time, frames) = (self.now(), cell.position_frames());
            if self.now() == time {
                break;
            }
        }
        let deck = deck_of(id);
        let follows = self.decks[deck].pace.sync != Sync::Off;
        let ratio = if follows { self.door.telemetry.bpm() / self.deck_bpm(deck) } else { 1.0 };
        Some(Place { time, seconds: frames / f64::from(info.sample_rate), speed: ratio * buffer.start.rate })
    }

    /// A track with, or without, a grid of its own has come to a deck.
    pub(super) fn take_grid(&mut self, deck: usize, id: i64, grid: Option<Grid>) {
        let pace = &mut self.decks[deck].pace;
        // A stem without one does not speak for the others.
        if grid.is_none() && pace.grid.as_ref().is_none_or(|(of, _)| *of != id) {
            return;
        }
        pace.grid = grid.map(|g| (id, g));
        if pace.told.is_none() {
            if let Some(bpm) = pace.bpm() {
                tracing::info!("deck {}: {bpm:.2} BPM, as the file beside its track says", deck_name(deck));
            }
            self.push_base(deck, None);
        }
    }

    pub(super) fn push_base(&mut self, deck: usize, at: Option<u64>) {
        let base = (self.decks[deck].pace.sync != Sync::Off).then(|| self.deck_bpm(deck));
        self.push(at, Action::Sync { deck, base });
    }

    /// How fast a deck's stems are told to play now, on top of their own rates.
    fn deck_speed(&self, deck: usize) -> f64 {
        match self.decks[deck].pace.sync {
            Sync::Off => 1.0,
            _ => self.door.telemetry.bpm() / self.deck_bpm(deck),
        }
    }

    /// What of a deck falls on the clock's, if it cares.
    fn unit(&self, deck: usize) -> Option<Unit> {
        match self.decks[deck].pace.sync {
            Sync::Off | Sync::Tempo => None,
            Sync::Beat => Some(Unit::Beat),
            Sync::Bar => Some(Unit::Bar(usize::try_from(self.meter).unwrap_or(4))),
        }
    }

    /// The sample at which a start on a deck may be heard, so that its beats, or bars, fall on the clock's; `from` is
    /// the earliest. Nothing but `from` where a deck doesn't care.
    pub(super) fn quantised(&self, deck: usize, start: &Start, seconds: f64, from: u64) -> u64 {
        let pace = &self.decks[deck].pace;
        let Some(unit) = self.unit(deck) else { return from };
        // The first beat, or bar, of the track after where it starts; without a grid it starts on one.
        let into = start.from * seconds;
        let lead = pace.grid().map_or(0.0, |g| g.next(into, unit) - into);
        let (speed, unit) = (self.deck_speed(deck) * start.rate, unit.beats());
        let clock = &self.door.telemetry;
        let rate = f64::from(self.settings.sample_rate);
        let (now, beat, per_frame) = (clock.time(), clock.beat(), clock.bpm() / 60.0 / rate);
        let (slope, left) = clock.bpm_slope();
        let (growth, left) = (slope / 60.0 / rate, left as f64);
        // The clock's beat after so many frames, and how fast it goes then: a glide ends, and then it is level.
        let at = |frames: f64| {
            let gliding = frames.clamp(0.0, left);
            beat + per_frame * frames + growth * gliding * (frames - 0.5 * gliding)
        };
        let pace = |frames: f64| (per_frame + growth * frames.clamp(0.0, left)).max(1e-9);
        // The clock's beat at the earliest moment at which the track's could fall.
        let earliest = from.saturating_sub(now) as f64 + lead / speed.max(1e-3) * rate;
        let wanted = (at(earliest) / unit - 1e-6).ceil() * unit;
        // Newton's method: the tempo hardly changes within a bar. It is never farther than two of them.
        let farthest = earliest + 2.0 * unit / pace(0.0).min(pace(left));
        let mut frames = earliest;
        for _ in 0..8 {
            frames = (frames + (wanted - at(frames)) / pace(frames)).clamp(earliest, farthest);
        }
        now + (frames - lead / speed.max(1e-3) * rate).round().max(0.0) as u64
    }

    /// Where a start on a deck that cares is moved to: the nearest beat, or bar, of its track.
    pub(super) fn snapped(&self, deck: usize, from: f64, seconds: f64) -> f64 {
        let pace = &self.decks[deck].pace;
        match (pace.grid(), self.unit(deck)) {
            (Some(grid), Some(unit)) if from > 0.0 && seconds > 0.0 => {
                (grid.nearest(from * seconds, unit) / seconds).clamp(0.0, 1.0)
            }
            _ => from,
        }
    }

    /// Repeats the next `beats` beats of what plays on a deck, from the beat that sounds; 0: plays on.
    pub fn set_loop(&mut self, deck: usize, beats: f64, at: Option<u64>) -> Result<(), Fault> {
        let period = 60.0 / self.deck_bpm(deck);
        let grid = self.decks[deck].pace.grid().cloned();
        let mut any = false;
        let mut actions = Vec::new();
        for (id, buffer) in &mut self.buffers {
            let State::Ready { slot, info, .. } = &buffer.state else { continue };
            if deck_of(*id) != deck || !buffer.playing {
                continue;
            }
            any = true;
            let rate = f64::from(info.sample_rate);
            let play = if beats > 0.0 {
                let cell = self.door.telemetry.stems.get(usize::from(*slot));
                let here = cell.map_or(0.0, |s| s.position_frames()) / rate;
                let first = grid.as_ref().map_or((here / period).floor() * period, |g| g.last(here));
                let frames = |s: f64| ((s * rate).round().max(0.0) as u64).min(info.frames);
                let (start, end) = (frames(first), frames(first + beats * period));
                let start = start.min(info.frames.saturating_sub(64));
                crate::engine::command::Play {
                    from: start,
                    start,
                    end: end.max(start + 64).min(info.frames),
                    looped: true,
                }
            } else {
                stretch(info, &buffer.start)
            };
            actions.push(Action::Loop { slot: *slot, play });
        }
        if !any {
            return Err(Fault(format!("nothing plays on deck {}", deck_name(deck))));
        }
        for action in actions {
            self.push(at, action);
        }
        Ok(())
    }

    /// Tells when reserves run dry, at most every two seconds, and when a deck falls back to the cheaper method.
    pub(super) fn watch_reserves(&mut self) {
        for deck in 0..DECKS {
            for k in 0..self.decks[deck].pace.covers.len() {
                let watched = &mut self.decks[deck].pace.covers[k];
                let cell = &watched.cell;
                let (underruns, banned) = (cell.underruns.load(Relaxed), cell.banned.load(Relaxed));
                let (level, fill, target, _) = shown(cell);
                let input = cell.input.load(Relaxed);
                let (name, method) = (deck_name(deck), self.decks[deck].pace.method);
                if underruns != watched.underruns && self.dry_told.is_none_or(|t| t.elapsed() >= QUIET) {
                    watched.underruns = underruns;
                    self.dry_told = Some(Instant::now());
                    tracing::warn!(
                        "deck {name}: Time-stretch UNDERRUN #{underruns}: input={input}/{}, output={fill}/{target} \
                         needed ({}); wsola is heard meanwhile",
                        cell.inputs,
                        level.name()
                    );
                    let values = vec![name.into(), Value::Int(i64::from(underruns)), level.name().into()];
                    self.bulletin.post("/event/stretch/underrun", values);
                }
                let watched = &mut self.decks[deck].pace.covers[k];
                if banned != watched.banned {
                    watched.banned = banned;
                    match banned {
                        true => tracing::warn!("deck {name}: {method} cannot keep up; wsola for a minute, then again"),
                        false => tracing::info!("deck {name}: {method} is tried again"),
                    }
                    let method = if banned { Method::Wsola } else { method };
                    self.bulletin.post("/event/stretch/fallback", vec![name.into(), method.name().into()]);
                }
            }
        }
    }

    /// How a deck is stretched now.
    fn heard(&self, deck: usize) -> Stretched {
        let pace = &self.decks[deck].pace;
        let cells = || pace.covers.iter().map(|w| &w.cell);
        let covering = cells().any(|c| c.covering.load(Relaxed));
        // A deck that is silent, or plays at its own speed, wants nothing of its worker.
        let is_wanted = cells().any(|c| [&c.asked, &c.resting, &c.banned].into_iter().any(|flag| flag.load(Relaxed)));
        let mut now = Stretched {
            heard: match pace.method {
                method if method.in_engine() == Method::Hq && is_wanted && !covering => Method::Wsola,
                method => method,
            },
            covering,
            underruns: cells().map(|c| u64::from(c.underruns.load(Relaxed))).sum(),
            ..Stretched::default()
        };
        if let Some(cell) = cells().find(|c| c.asked.load(Relaxed)).or_else(|| cells().next()) {
            let (level, ready, target, cost) = shown(cell);
            let seconds = |frames: u32| f64::from(frames) / cell.rate.load(Relaxed) as f64;
            (now.ready, now.target, now.cost) = (seconds(ready), seconds(target), cost);
            now.level = if is_wanted { level } else { now.level };
        }
        now
    }

    /// How each deck is stretched: its method, what is heard, level, frames ready, target, cost, underruns.
    pub(super) fn stretch_status(&self) -> impl Iterator<Item = Message> + '_ {
        (0..DECKS).map(|deck| {
            let now = self.heard(deck);
            let values = vec![
                deck_name(deck).into(),
                self.decks[deck].pace.method.name().into(),
                now.heard.name().into(),
                now.level.name().into(),
                (now.ready * 1_000.0).into(),
                (now.target * 1_000.0).into(),
                now.cost.into(),
                Value::Int(now.underruns as i64),
            ];
            Message::new("/status/stretch", values)
        })
    }

    /// Shows reserves and the crowd to whoever looks.
    pub(super) fn show_pace(&self) {
        for (deck, reserve) in self.pace.reserves.iter().enumerate() {
            let now = self.heard(deck);
            reserve.ready.set(now.ready);
            reserve.target.set(now.target);
            reserve.cost.set(now.cost);
            reserve.heard.set(f64::from(u8::from(now.covering)));
            reserve.underruns.store(now.underruns, Relaxed);
        }
        self.pace.movement.set(self.crowd.raw());
        self.pace.smoothed.set(self.crowd.smoothed());
        self.pace.target.set(self.crowd.target());
        self.pace.refused.store(self.crowd.refused(), Relaxed);
    }

    /// Tells when a deck's stems cannot play as fast, or as slowly, as they are told to.
    pub(super) fn watch_speeds(&mut self) {
        for deck in 0..DECKS {
            let mut wanted = None;
            if self.decks[deck].pace.method != Method::PlaybackRate {
                let speed = self.deck_speed(deck);
                wanted = self
                    .buffers
                    .iter()
                    .filter(|(id, b)| deck_of(**id) == deck && b.playing)
                    .map(|(_, b)| b.start.rate * speed)
                    // Before the engine's first word there is no tempo.
                    .find(|s| *s > 0.0 && Plan::clamp(*s) != *s);
            }
            let pace = &mut self.decks[deck].pace;
            if wanted.is_some() != pace.clamped.is_some()
                && let Some(speed) = wanted
            {
                let used = Plan::clamp(speed);
                tracing::warn!(
                    "deck {}: {} goes from 0.5 to 2 times the speed; {speed:.3} is wanted, {used} is played",
                    deck_name(deck),
                    pace.method
                );
                let values = vec![deck_name(deck).into(), Value::from(speed), Value::from(used)];
                self.bulletin.post("/event/clamped", values);
            }
            self.decks[deck].pace.clamped = wanted;
        }
    }

    /// Tells when more plays on a deck than can be stretched at once, and lets all of it be when there is room again.
    pub(super) fn watch_crowding(&mut self) {
        for deck in 0..DECKS {
            let method = self.decks[deck].pace.method;
            let (mut stems, mut rates) = (0, Vec::new());
            for (id, buffer) in self.buffers.iter().filter(|(_, b)| b.playing && method != Method::PlaybackRate) {
                if let State::Ready { info, .. } = &buffer.state
                    && deck_of(*id) == deck
                {
                    stems += 1;
                    let rate = (info.sample_rate, buffer.start.rate);
                    if !rates.contains(&rate) {
                        rates.push(rate);
                    }
                }
            }
            let crowded = stems > LANES || rates.len() > PLANS;
            if crowded == std::mem::replace(&mut self.decks[deck].pace.crowded, crowded) {
                continue;
            }
            let name = deck_name(deck);
            if crowded {
                tracing::warn!(
                    "deck {name}: {stems} stems at {} rates play; {LANES} at {PLANS} can be stretched at once, the others \
                     change their pitch with the tempo",
                    rates.len()
                );
            } else if method != Method::PlaybackRate {
                tracing::info!("deck {name}: all of it is stretched again");
                self.push(None, Action::Stretch { deck, method: method.in_engine(), kit: None });
            }
        }
    }
}
