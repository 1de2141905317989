//! A plan that plays: sections on two pairs of decks in turn, each beginning on the sample at which the one before ends.
//!
//! A section lasts a number of beats of the clock, so that the tempo may change meanwhile. The sample of its end is
//! computed anew on every tick until the commands have to be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::buffer::clipped;
use super::super::pace::Sync;
use super::super::takeover::{Ended, Parts, Takeover};
use super::super::tempo::Course;
use super::count::Count;
use super::voice::Voice;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::deck_name;
use crate::engine::command::Action;
use crate::engine::method::Method;
use crate::plans::range::Range;
use crate::plans::score::{Part, Score, Section, Wishes};

/// Decks of parts that play at their own rate, and of those that are stretched, each in turn.
const DECKS: [[usize; 2]; 2] = [[0, 1], [2, 3]];
/// Longest text of a plan in a line of the log, in bytes.
const MOST_SHOWN: usize = 300;
/// Commands are sent this long before they are due, in seconds, in addition to what they take to the engine.
const LEAD_S: f64 = 0.03;
/// Disagreement of two predictions beyond which a third is awaited, in seconds.
const JITTER_S: f64 = 0.0005;
/// Bars within which a jump takes place, unless a disk is slow.
const JUMP_BARS: f64 = 4.0;
/// Time between two attempts to load a section for which there is no room, in seconds, and their number.
const RETRY_S: f64 = 0.5;
const TRIES: u32 = 20;
/// Time in which a section is surely loaded, in seconds.
const LOAD_S: f64 = 5.0;
/// Time before the end of a section at which its repetition is prepared, in seconds.
const AGAIN_S: f64 = 1.0;

/// Part of a plan that is to be played.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The plan.
    pub score: Arc<Score>,
    /// Requested way of playing it.
    pub wishes: Wishes,
    /// Sections, from 0.
    pub range: Range,
    /// True if they are repeated.
    pub looped: bool,
    /// Where to begin, if not at the beginning of the range.
    pub from: Option<Place>,
}

impl Selection {
    /// Moves to the playable section after `here`, or to the one before, and returns it. If only one section is played,
    /// that is played instead.
    ///
    /// # Errors
    /// If there is none.
    pub fn step(&mut self, here: usize, back: bool, plays: impl Fn(usize) -> bool) -> Result<usize, String> {
        let sections = &self.score.sections;
        let plays = |place: &usize| sections[*place].beats > 0.0 && plays(*place);
        let target = match back {
            true => (0..here).rev().find(plays),
            false => (here + 1..sections.len()).find(plays),
        };
        let Some(place) = target else {
            let which = if back { "first" } else { "last" };
            return Err(format!("section {} is the {which} one", here + 1));
        };
        let range = &mut self.range;
        if range.first == range.last {
            (range.first, range.last) = (place, place);
        }
        (range.first, range.last) = (range.first.min(place), range.last.max(place));
        Ok(place)
    }
}

/// A place in a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Section, from 0.
    pub section: usize,
    /// Beats into it.
    pub beats: f64,
    /// Beats that stems had played before it began.
    pub offsets: BTreeMap<String, f64>,
}

/// A section that plays, or will.
#[derive(Clone, Debug, PartialEq)]
struct Playing {
    section: usize,
    side: usize,
    voices: Vec<Voice>,
}

/// A plan that plays.
#[derive(Debug)]
pub struct Run {
    selection: Selection,
    /// Its decks, as they were before; `None` once they have been given back.
    takeover: Option<Takeover>,
    current: Option<Playing>,
    next: Option<Playing>,
    /// Stems that fade out, and the samples at which they are silent.
    fading: Vec<(Voice, u64)>,
    count: Count,
    /// The section to go on with at the next bar, if somebody asked for that.
    jump: Option<usize>,
    /// Sections of which nothing can be played.
    silent: Vec<usize>,
    /// Fade in beats, if it is not the plan's own.
    fade: Option<f64>,
    held: bool,
    /// The end of the section as predicted on the last tick.
    predicted: Option<u64>,
    /// Whether the repetition of the present section has been prepared.
    primed: bool,
    begun: usize,
    missing: usize,
    /// The section before the present one with its beats, and the sample at which the present one begins.
    before: Option<(usize, f64)>,
    entered: u64,
    /// Missing stems that have been reported: section and name.
    reported: BTreeSet<(usize, String)>,
    /// Attempts to load the next section for which there was no room, and the sample of the next one.
    tries: u32,
    retry: u64,
    /// The sample at which everything has faded out, once the run is being ended.
    ends: Option<u64>,
    is_stopped: bool,
    ended: Option<Ended>,
}

impl Run {
    /// Begins a run: takes the decks and sets the tempo.
    pub fn begin(parts: &mut Parts, selection: Selection) -> Run {
        let stretches = selection.score.sections.iter().flat_map(|section| &section.parts).any(|part| part.stretched);
        let used = if stretches { &DECKS[..] } else { &DECKS[..1] };
        let takeover = Takeover::begin(parts, used.iter().flatten().copied(), 1.0);
        let bpm = selection.score.bpm;
        for (stretched, deck) in used.iter().enumerate().flat_map(|(k, decks)| decks.map(|deck| (k == 1, deck))) {
            let method = if stretched { Method::Hq } else { Method::PlaybackRate };
            if parts.tempo.paces[deck].method != method {
                parts.stretching.set_method(parts.cx, parts.tempo, deck, method, None);
            }
            parts.tempo.set_sync(parts.cx, deck, Sync::Tempo, None);
            parts.tempo.set_deck_bpm(parts.cx, deck, Some(bpm), None);
        }
        if selection.from.is_none() {
            // One that goes on has the tempo that it had.
            parts.tempo.glide(parts.cx, None, bpm, 0.0, Default::default());
        }
        let now = parts.cx.now();
        Run {
            selection,
            takeover: Some(takeover),
            current: None,
            next: None,
            fading: Vec::new(),
            count: Count::new(now, 0.0),
            jump: None,
            silent: Vec::new(),
            fade: None,
            held: false,
            predicted: None,
            primed: false,
            begun: 0,
            missing: 0,
            before: None,
            entered: now,
            reported: BTreeSet::new(),
            tries: 0,
            retry: 0,
            ends: None,
            is_stopped: false,
            ended: None,
        }
    }

    /// Its plan, and what of it is played.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Its decks, as they were before.
    pub fn takeover(&self) -> Option<&Takeover> {
        self.takeover.as_ref()
    }

    /// Gives the decks back at once.
    pub fn release(&mut self, parts: &mut Parts) {
        if let Some(takeover) = self.takeover.take() {
            takeover.end(parts, None);
        }
    }

    /// End of the run; `None` while it plays.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Sample at which its last section has faded out, once that is known.
    pub fn ends(&self) -> Option<u64> {
        self.ends
    }

    /// Number of stems that could not be played so far.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Returns whether it has been stopped, and fades out.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Numbers of the buffers of its stems.
    pub fn ids(&self) -> Vec<i64> {
        let sections = self.current.iter().chain(&self.next).flat_map(|playing| &playing.voices);
        sections.chain(self.fading.iter().map(|(voice, _)| voice)).map(|voice| voice.id).collect()
    }

    /// Returns whether it plays sections and has not come to its end.
    pub fn goes_on(&self) -> bool {
        self.current.is_some() && self.ends.is_none()
    }

    /// Returns whether sections are played at a course's time.
    pub fn is_sounding(&self, course: &Course) -> bool {
        self.current.is_some() && (self.before.is_some() || course.time >= self.entered)
    }

    /// The section that plays or comes first, and the beats of it that have passed.
    pub fn position(&self, course: &Course) -> (usize, f64) {
        let Some(current) = &self.current else {
            return (self.next.as_ref().map_or(self.selection.range.first, |next| next.section), 0.0);
        };
        let beats = self.count.clone().at(course);
        match self.before.filter(|_| course.time < self.entered) {
            // It has been sent, and is not heard yet.
            Some((section, passed)) => (section, (passed + beats).max(0.0)),
            None => (current.section, beats.max(0.0)),
        }
    }

    /// The place to go on from after a restart: whole bars of the present section.
    pub fn place(&self, course: &Course) -> Place {
        if let (None, Some(from)) = (&self.current, &self.selection.from) {
            return from.clone();
        }
        let (section, beats) = self.position(course);
        let voices = self.current.iter().flat_map(|current| &current.voices);
        let offsets = voices.filter(|voice| voice.offset > 0.0).map(|voice| (voice.part.name.clone(), voice.offset));
        let meter = self.selection.score.meter;
        let last = (self.section(section).beats - meter).max(0.0);
        Place { section, beats: ((beats / meter).floor() * meter).min(last), offsets: offsets.collect() }
    }

    fn section(&self, place: usize) -> &Section {
        &self.selection.score.sections[place]
    }

    /// Advances the plan; called on every tick.
    ///
    /// `held`: whether the present section is repeated; `fade` is the one between sections in beats, if it is not the plan's
    /// own.
    pub fn watch(&mut self, parts: &mut Parts, held: bool, fade: Option<f64>) {
        (self.held, self.fade) = (held, fade);
        let now = parts.cx.now();
        for (voice, _) in self.fading.extract_if(.., |(_, until)| *until <= now) {
            voice.unload(parts, None);
        }
        if let Some(until) = self.ends {
            if until <= now {
                self.end(parts);
            }
            return;
        }
        self.prepare(parts);
        match &self.current {
            None => self.start_first(parts),
            Some(_) => self.await_end(parts),
        }
    }

    /// Returns whether anything of a section can be played, or it is a rest.
    fn plays(&self, place: usize) -> bool {
        self.section(place).beats > 0.0 && !self.silent.contains(&place)
    }

    /// The section to be played next, if there is one.
    fn following(&self) -> Option<usize> {
        let Range { first, last, .. } = self.selection.range;
        if let Some(place) = self.jump.and_then(|jump| (jump..=last).find(|place| self.plays(*place))) {
            return Some(place);
        }
        let from = match (&self.current, &self.selection.from) {
            (Some(current), _) if self.held => return Some(current.section),
            (Some(current), _) => current.section + 1,
            (None, Some(from)) => from.section,
            (None, None) => first,
        };
        let mut after = (from.max(first)..=last).chain((first..=last).filter(|_| self.selection.looped));
        after.find(|place| self.plays(*place))
    }

    /// Loads the next section and follows its progress.
    fn prepare(&mut self, parts: &mut Parts) {
        let following = self.following();
        if self.next.as_ref().is_some_and(|next| Some(next.section) != following) {
            self.forget_next(parts);
        }
        let Some(mut next) = self.next.take() else {
            if let Some(place) = following.filter(|_| !self.may_wait(parts)) {
                self.next = self.load(parts, place);
            }
            return;
        };
        let bpm = self.selection.score.bpm;
        let section = next.section;
        let lacking = !self.section(section).parts.is_empty();
        if next.voices.iter().any(|voice| voice.lacks_room(parts)) && self.tries < TRIES {
            // Not for good: what fades out makes room.
            self.tries += 1;
            self.retry = parts.cx.now() + parts.cx.frames(RETRY_S);
            next.voices.iter().filter(|voice| !voice.carried).for_each(|voice| voice.unload(parts, None));
            return;
        }
        let failed: Vec<Voice> = next.voices.extract_if(.., |voice| !voice.prepare(parts, bpm)).collect();
        for voice in failed {
            self.lack(parts, section, &voice.part.name, "it could not be loaded; the log says why");
        }
        if lacking && next.voices.is_empty() {
            tracing::warn!("plan: section {}: nothing of it could be loaded; skipped", self.name(section));
            self.silent.push(section);
            return;
        }
        self.next = Some(next);
    }

    /// Returns whether the next section may be loaded later: while one fades out, memory is needed for three.
    fn may_wait(&self, parts: &Parts) -> bool {
        if parts.cx.now() < self.retry {
            return true;
        }
        let Some(current) = self.current.as_ref().filter(|_| self.jump.is_none()) else { return false };
        let course = Course::now(parts.cx);
        let left = self.section(current.section).beats - self.count.clone().at(&course);
        let ends = course.sample_in(left);
        self.fading.iter().any(|(_, until)| until + parts.cx.frames(LOAD_S) < ends)
    }

    /// Reports a stem that is missing.
    fn lack(&mut self, parts: &mut Parts, section: usize, stem: &str, why: &str) {
        if !self.reported.insert((section, stem.into())) {
            return;
        }
        self.missing += 1;
        let (stem, why) = (shown(stem), shown(why));
        let values = vec![Value::Int(section as i64 + 1), stem.as_str().into(), why.as_str().into()];
        parts.cx.events.post("/event/plan/missing", values);
        tracing::warn!("plan: section {}, stem {stem}: {why}; the others play", self.name(section));
    }

    fn name(&self, section: usize) -> String {
        shown(&self.section(section).key)
    }

    /// Loads a section on the decks that do not sound; `None` if there is no room for it yet.
    fn load(&mut self, parts: &mut Parts, place: usize) -> Option<Playing> {
        let score = self.selection.score.clone();
        let section = &score.sections[place];
        for missing in &section.missing {
            self.lack(parts, place, &missing.stem, &missing.why);
        }
        let side = self.current.as_ref().map_or(0, |current| 1 - current.side);
        let from = self.selection.from.clone().filter(|from| self.current.is_none() && from.section == place);
        let into = from.as_ref().map_or(0.0, |from| from.beats);
        let is_again = self.current.as_ref().is_some_and(|current| current.section == place);
        let offset_of = |part: &Part, run: &Run| match (&from, &run.current) {
            (Some(from), _) => from.offsets.get(&part.name).copied().unwrap_or(0.0),
            (None, Some(current)) if is_again => {
                current.voices.iter().find(|voice| voice.part.name == part.name).map_or(0.0, |voice| voice.offset)
            }
            _ => 0.0,
        };
        let passed = self.passed_at_end(parts);
        let mut taken = self.ids();
        let mut voices: Vec<Voice> = Vec::new();
        for part in &section.parts {
            let before = self.current.iter().flat_map(|current| &current.voices).filter(|_| !is_again);
            let same = before.filter(|voice| voice.part.is_same_sound(part) && voice.is_there(parts));
            let mut carried = same.map(|voice| (voice, voice.carry(part)));
            let carried = carried.find_map(|(before, mut voice)| {
                let is_free = voices.iter().all(|other| other.id != voice.id);
                (is_free && voice.goes_on(before, passed, section.beats, score.bpm)).then(|| before.carry(part))
            });
            if let Some(voice) = carried {
                voices.push(voice);
                continue;
            }
            let offset = offset_of(part, self) + into;
            let offset = part.turn.map_or(offset, |turn| offset % turn);
            let deck = DECKS[usize::from(part.stretched)][side];
            match Voice::load(parts, part, (deck, &taken), offset) {
                Ok(voice) => {
                    taken.push(voice.id);
                    voices.push(voice);
                }
                Err(_) if self.tries < TRIES => {
                    // A limit: what fades out makes room.
                    self.tries += 1;
                    self.retry = parts.cx.now() + parts.cx.frames(RETRY_S);
                    voices.iter().filter(|voice| !voice.carried).for_each(|voice| voice.unload(parts, None));
                    return None;
                }
                Err(why) => self.lack(parts, place, &part.name, &why),
            }
        }
        Some(Playing { section: place, side, voices })
    }

    /// Beats of the present section that will have passed when the next one begins; if that is at any bar, at a late one.
    fn passed_at_end(&self, parts: &Parts) -> f64 {
        let Some(current) = &self.current else { return 0.0 };
        let beats = self.section(current.section).beats;
        if self.jump.is_none() {
            return beats;
        }
        let meter = self.selection.score.meter;
        let passed = self.count.clone().at(&Course::now(parts.cx));
        beats.min(((passed / meter).floor() + JUMP_BARS) * meter)
    }

    fn is_next_ready(&self) -> bool {
        self.next.as_ref().is_some_and(|next| next.voices.iter().all(Voice::is_ready))
    }

    /// Starts the first section once it is ready: its beginning is that of bar 1.
    fn start_first(&mut self, parts: &mut Parts) {
        if self.next.is_none() && self.following().is_none() {
            tracing::warn!("plan: nothing of it can be played; it ends");
            self.ends = Some(parts.cx.now());
            return;
        }
        if !self.is_next_ready() {
            return;
        }
        let Some(next) = self.next.take() else { return };
        let at = parts.cx.soon();
        let from = self.selection.from.take().filter(|from| from.section == next.section);
        let into = from.map_or(0.0, |from| from.beats);
        parts.cx.push(Some(at), Action::ResetBeat);
        self.count = Count::new(at, into);
        self.enter(parts, next, at, 0.0);
    }

    /// Begins a section at a sample, after `passed` beats of the present one.
    fn enter(&mut self, parts: &mut Parts, mut next: Playing, at: u64, passed: f64) {
        let bpm = self.selection.score.bpm;
        let score = self.selection.score.clone();
        let section = &score.sections[next.section];
        let before = self.current.take();
        self.before = before.as_ref().map(|before| (before.section, passed));
        self.entered = at;
        let fade = before.as_ref().map_or(0.0, |before| score.sections[before.section].fade);
        let old = before.map(|before| before.voices).unwrap_or_default();
        for voice in &mut next.voices {
            let same = old.iter().find(|old| voice.carried && old.id == voice.id);
            match same {
                Some(same) if voice.goes_on(same, passed, section.beats, bpm) => voice.take_volume(parts, at),
                _ => voice.start(parts, bpm, at),
            }
        }
        let seconds = self.fade_seconds(parts, fade);
        for voice in old.into_iter().filter(|old| next.voices.iter().all(|voice| voice.id != old.id)) {
            let mut voice = voice;
            let until = voice.fade(parts, Some(at), seconds);
            self.fading.push((voice, until));
        }
        (self.jump, self.predicted, self.primed) = (None, None, false);
        self.tries = 0;
        self.begun += 1;
        let mut decks: Vec<_> = next.voices.iter().map(|voice| super::super::buffer::deck_of(voice.id)).collect();
        decks.sort_unstable();
        decks.dedup();
        let decks: String = decks.into_iter().map(deck_name).collect();
        let length = section.beats * 60.0 / bpm;
        let stems = match next.voices.len() {
            0 => "a rest".into(),
            1 => format!("1 stem, decks {}", decks.to_uppercase()),
            n => format!("{n} stems, decks {}", decks.to_uppercase()),
        };
        tracing::info!(
            "plan: section {} of {}, {}; {} bars, {stems}",
            next.section + 1,
            score.sections.len(),
            self.name(next.section),
            section.beats / score.meter
        );
        let values =
            vec![Value::Int(next.section as i64 + 1), section.key.as_str().into(), length.into(), decks.into()];
        parts.cx.events.post("/event/plan/section", values);
        self.current = Some(next);
    }

    /// Seconds of a fade at the present tempo.
    fn fade_seconds(&self, parts: &Parts, of_section: f64) -> f64 {
        let bpm = parts.cx.engine.telemetry().bpm();
        let bpm = if bpm > 0.0 { bpm } else { self.selection.score.bpm };
        self.fade.unwrap_or(of_section) * 60.0 / bpm
    }

    /// Goes on with the next section when the present one is at its end, or at the next bar if that was asked for.
    fn await_end(&mut self, parts: &mut Parts) {
        let Some(section) = self.current.as_ref().map(|current| current.section) else { return };
        let course = Course::now(parts.cx);
        let passed = self.count.at(&course);
        let (beats, meter) = (self.section(section).beats, self.selection.score.meter);
        let soon = parts.cx.soon();
        let due = soon + parts.cx.frames(LEAD_S);
        let mut end = beats;
        if self.jump.is_some() && self.is_next_ready() {
            // The first bar line that commands reach in time.
            let reached = passed + course.beats_until(soon);
            end = end.min(((reached / meter).floor() + 1.0).max(1.0) * meter);
        }
        let following = self.following();
        let repeats = following.is_some() && !self.is_next_ready();
        if repeats && !self.primed && end - passed < course.beats_until(soon + parts.cx.frames(AGAIN_S)) {
            self.primed = true;
            let bpm = self.selection.score.bpm;
            for voice in self.current.iter().flat_map(|current| &current.voices) {
                voice.prime(parts, bpm);
            }
        }
        let sample = course.sample_in(end - passed);
        let before = self.predicted.replace(sample);
        let agrees = before.is_some_and(|before| before.abs_diff(sample) <= parts.cx.frames(JITTER_S));
        if sample > due || (!agrees && sample > soon) {
            return;
        }
        // Late only if the conductor was held up.
        let at = sample.max(soon);
        let late = if sample < soon { passed + course.beats_until(at) - end } else { 0.0 };
        if repeats {
            return self.repeat(parts, at, beats + late);
        }
        match self.next.take().filter(|_| following.is_some()) {
            Some(next) => {
                self.count.next_section(end + late);
                self.enter(parts, next, at, end + late);
            }
            None => self.finish(parts, at),
        }
    }

    /// Plays the present section once more.
    fn repeat(&mut self, parts: &mut Parts, at: u64, beats: f64) {
        tracing::warn!("plan: the next section is not loaded yet; the present one is repeated");
        self.count.next_section(beats);
        self.before = self.current.as_ref().map(|current| (current.section, beats));
        self.entered = at;
        (self.predicted, self.primed) = (None, false);
        let bpm = self.selection.score.bpm;
        for voice in self.current.iter_mut().flat_map(|current| &mut current.voices) {
            voice.start(parts, bpm, at);
        }
    }

    /// Fades the last section out from a sample on.
    fn finish(&mut self, parts: &mut Parts, at: u64) {
        self.forget_next(parts);
        let Some(current) = &self.current else { return };
        let seconds = self.fade_seconds(parts, self.section(current.section).fade);
        let mut until = at;
        for mut voice in current.voices.clone() {
            until = voice.fade(parts, Some(at), seconds).max(until);
            self.fading.push((voice, until));
        }
        self.ends = Some(until);
    }

    /// Gives the decks back; everything has faded out.
    fn end(&mut self, parts: &mut Parts) {
        for (voice, _) in self.fading.drain(..) {
            voice.unload(parts, None);
        }
        self.release(parts);
        self.current = None;
        self.ended = Some(match self.is_stopped {
            true => Ended::Stopped,
            false => Ended::Played { begun: self.begun, missing: self.missing },
        });
        tracing::info!("plan: {}; decks as before", if self.is_stopped { "stopped" } else { "over" });
        parts.cx.events.post("/event/plan/over", Vec::new());
    }

    /// Plays other sections of the plan from the next bar on.
    pub fn play(&mut self, parts: &mut Parts, range: Range, looped: bool) {
        (self.selection.range, self.selection.looped) = (range, looped);
        self.jump_to(parts, self.selection.range.first);
    }

    /// Plays the next section from the next bar on, or the one before.
    ///
    /// # Errors
    /// If there is none.
    pub fn step(&mut self, parts: &mut Parts, back: bool) -> Result<(), String> {
        let here = self.current.as_ref().or(self.next.as_ref()).map_or(0, |playing| playing.section);
        let here = self.jump.unwrap_or(here);
        let silent = self.silent.clone();
        let place = self.selection.step(here, back, |place| !silent.contains(&place))?;
        self.jump_to(parts, place);
        Ok(())
    }

    fn jump_to(&mut self, parts: &mut Parts, place: usize) {
        self.selection.from = None;
        self.jump = Some(place);
        // One that is loaded already is not loaded again, unless it is to begin again.
        let is_loaded = self.next.as_ref().is_some_and(|next| Some(next.section) == self.following());
        if !is_loaded {
            self.forget_next(parts);
        }
    }

    fn forget_next(&mut self, parts: &mut Parts) {
        for voice in self.next.take().into_iter().flat_map(|next| next.voices).filter(|voice| !voice.carried) {
            voice.unload(parts, None);
        }
    }

    /// Fades everything out within some seconds and forgets the stems.
    pub fn stop(&mut self, parts: &mut Parts, seconds: f64) {
        self.forget_next(parts);
        let soon = parts.cx.soon();
        let ends = soon + parts.cx.frames(seconds);
        if self.ends.is_none() {
            let current = self.current.iter().flat_map(|current| current.voices.clone());
            self.fading.extend(current.map(|voice| (voice, u64::MAX)));
            self.is_stopped = true;
        }
        for (voice, silent) in self.fading.iter_mut().filter(|(_, silent)| *silent > ends) {
            *silent = voice.fade(parts, None, seconds);
        }
        self.ends = Some(self.fading.iter().map(|(_, silent)| *silent).fold(soon, u64::max));
    }
}

/// Returns a text of a plan as it may be shown in a line.
fn shown(text: &str) -> String {
    clipped(text, MOST_SHOWN).replace(char::is_control, "?")
}
