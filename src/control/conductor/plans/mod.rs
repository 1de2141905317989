//! Plans: sections of stems, played one after the other.

mod count;
pub mod run;
mod voice;

use std::sync::Arc;

use super::buffer::clipped;
use super::context::Context;
use super::services::PlanJob;
use super::show::{SavedPlan, Show};
use super::takeover::{CHANGE_S, Ended, Parts, REST_S};
use super::tempo::Course;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Outcome};
use crate::plans::range::Range;
use crate::plans::score::{Score, Wishes};
use run::{Place, Run, Selection};

/// Time between two attempts to read a plan that was playing before a restart, in seconds: its files may lie on a disk
/// that is not there yet.
const RETRY_S: f64 = 2.0;
/// Longest text in a status, in bytes: it has to fit into a datagram.
const MOST_SHOWN: usize = 1_000;
/// Attempts after which it goes on without stems that were there before.
const RETRIES: u32 = 15;

/// Consequence of a plan that has been read.
#[derive(Clone, Debug)]
enum Then {
    /// Nothing.
    Rest,
    /// A range of it is played, and repeated or not.
    Play(String, bool),
    /// It goes on as saved; number of attempts so far.
    Resume(Box<SavedPlan>, u32),
}

/// A plan that is being read.
#[derive(Debug)]
struct Asked {
    origin: Option<Origin>,
    address: String,
    serial: u64,
    path: String,
    wishes: Wishes,
    then: Then,
    /// The sample at which it is read again; `None` while it is being read.
    again: Option<u64>,
}

/// The plan.
#[derive(Debug, Default)]
pub struct Plans {
    asked: Option<Asked>,
    loaded: Option<(Arc<Score>, Wishes)>,
    run: Option<Run>,
    /// What is to be played once the decks are free, from a sample on.
    waits: Option<Selection>,
    /// Sample from which the decks of the run before are free, and whether others have them.
    free_from: u64,
    is_blocked: bool,
    ended: Option<Ended>,
    held: bool,
    fade: Option<f64>,
}

impl Plans {
    /// Reads a plan.
    ///
    /// # Errors
    /// If one is being read already, or a name is unknown.
    pub fn load(&mut self, cx: &mut Context, call: &Call, wishes: Wishes, tempo: (f64, f64)) -> Result<Outcome, Fault> {
        if self.run.as_ref().is_none_or(|run| run.ended().is_some()) {
            self.ended = None;
        }
        let (origin, address, path) = (call.origin, call.address.clone(), call.text("path"));
        self.read(cx, (origin, address), (path, wishes), Then::Rest, tempo);
        Ok(Outcome::Later)
    }

    fn read(
        &mut self,
        cx: &mut Context,
        (origin, address): (Option<Origin>, String),
        (path, wishes): (String, Wishes),
        then: Then,
        (bpm, meter): (f64, f64),
    ) {
        if let Some(Asked { origin, address, again: None, .. }) = self.asked.take() {
            cx.fail(origin, &address, &Fault::refused("another plan was asked for before it was read"));
        }
        let serial = cx.next_serial();
        cx.services.plan(PlanJob { serial, path: path.clone(), wishes: wishes.clone(), bpm, meter });
        self.asked = Some(Asked { origin, address, serial, path, wishes, then, again: None });
    }

    /// Takes in a plan that has been read, and plays it if that was asked for meanwhile.
    pub fn finish_read(&mut self, parts: &mut Parts, job: &PlanJob, result: Result<Score, String>) {
        let Some(mut asked) = self.asked.take_if(|asked| asked.serial == job.serial) else { return };
        let lacks = |score: &Score| score.sections.iter().map(|section| section.missing.len()).sum::<usize>();
        if let Then::Resume(saved, attempts) = &mut asked.then
            && result.as_ref().map_or(true, |score| *attempts < RETRIES && lacks(score) > saved.missing)
        {
            if *attempts == 0 {
                let what = result.as_ref().map_or_else(Clone::clone, |score| format!("{} stems missing", lacks(score)));
                tracing::warn!("plan {}: not there yet; trying again ({what})", shown(&asked.path));
            }
            *attempts = attempts.saturating_add(1);
            asked.again = Some(parts.cx.now() + parts.cx.frames(RETRY_S));
            self.asked = Some(asked);
            return;
        }
        let score = match result {
            Ok(score) => score,
            Err(why) => return self.fail(parts.cx, &asked, &why),
        };
        for remark in &score.remarks {
            tracing::warn!("plan {}: {remark}", shown(&asked.path));
        }
        let lacking = lacks(&score);
        tracing::info!(
            "plan {}: read; {} sections, {:.1} s at {} BPM, {lacking} stems missing",
            shown(&asked.path),
            score.sections.len(),
            score.seconds(),
            score.bpm
        );
        let counts = vec![Value::Int(score.sections.len() as i64), Value::Int(lacking as i64)];
        parts.cx.done(asked.origin, &asked.address, counts);
        if self.run.as_ref().is_some_and(|run| run.ended().is_some()) {
            self.run = None;
        }
        let score = Arc::new(score);
        self.loaded = Some((score.clone(), asked.wishes));
        match asked.then {
            Then::Rest => {}
            Then::Play(range, looped) => {
                if let Err(fault) = self.play(parts, &range, looped) {
                    tracing::warn!("plan {}: cannot be played; {fault}", shown(&score.path));
                    self.ended = Some(Ended::Failed(fault.to_string()));
                }
            }
            Then::Resume(saved, _) => self.go_on(parts, &saved),
        }
    }

    fn fail(&mut self, cx: &mut Context, asked: &Asked, why: &str) {
        let why = format!("plan '{}': {why}", asked.path);
        cx.fail(asked.origin, &asked.address, &Fault::refused(why.as_str()));
        if self.run.as_ref().is_none_or(|run| run.ended().is_some()) {
            self.ended = Some(Ended::Failed(why));
        }
    }

    /// Plays a range of sections: at once, or from the next bar on if the plan plays already; one that is being read as
    /// soon as that is done.
    ///
    /// # Errors
    /// If no plan was loaded, or the range is not one of its.
    pub fn play(&mut self, parts: &mut Parts, range: &str, looped: bool) -> Result<Outcome, Fault> {
        if self.asked.as_ref().is_some_and(|asked| matches!(asked.then, Then::Resume(..))) {
            let why = "the plan that played before the restart is not there yet; /groove/plan/load loads another";
            return Err(Fault::refused(why));
        }
        if let Some(asked) = &mut self.asked {
            asked.then = Then::Play(range.into(), looped);
            return Ok(Outcome::Done);
        }
        let Some((score, wishes)) = self.loaded.clone() else {
            return Err(Fault::refused("no plan is loaded; /groove/plan/load loads one"));
        };
        let run = self.run.as_mut().filter(|run| run.goes_on());
        let present = run.as_ref().map(|run| run.position(&Course::now(parts.cx)).0);
        let range = score.range(range, present).map_err(|why| Fault::refused(format!("sections: {why}")))?;
        if let Some(remark) = &range.remark {
            tracing::info!("plan: {remark}");
        }
        if let Some(run) = run.filter(|run| Arc::ptr_eq(&run.selection().score, &score)) {
            run.play(parts, range, looped);
            return Ok(Outcome::Done);
        }
        self.end(parts, CHANGE_S);
        (self.ended, self.waits) = (None, Some(Selection { score, wishes, range, looped, from: None }));
        Ok(Outcome::Done)
    }

    /// Whether a plan is to begin once its decks are free.
    pub fn waits(&self) -> bool {
        self.waits.is_some()
    }

    /// Begins the run that waits, once its decks are free.
    fn begin(&mut self, parts: &mut Parts) {
        if parts.cx.now() < self.free_from || self.is_blocked || self.holds_decks() {
            return;
        }
        let Some(selection) = self.waits.take() else { return };
        self.run = Some(Run::begin(parts, selection));
    }

    /// Sets whether others have the decks.
    pub fn set_blocked(&mut self, blocked: bool) {
        self.is_blocked = blocked;
    }

    /// Gives the decks back at once, for others to set.
    pub fn release(&mut self, parts: &mut Parts) {
        if let Some(run) = &mut self.run {
            run.release(parts);
        }
    }

    /// Whether its decks are taken, be it by a fade.
    pub fn holds_decks(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.ended().is_none())
    }

    /// Fades the plan out within some seconds and forgets its stems.
    pub fn stop(&mut self, parts: &mut Parts, seconds: f64) {
        self.end(parts, seconds);
        self.held = false;
    }

    fn end(&mut self, parts: &mut Parts, seconds: f64) {
        let is_to_play = |asked: &mut Asked| !matches!(std::mem::replace(&mut asked.then, Then::Rest), Then::Rest);
        let was_to_play = self.asked.as_mut().is_some_and(is_to_play);
        self.asked.take_if(|asked| asked.again.is_some());
        if self.waits.take().is_some() || was_to_play {
            self.ended = Some(Ended::Stopped);
        }
        if let Some(run) = self.run.as_mut().filter(|run| run.ended().is_none()) {
            run.stop(parts, seconds);
        }
    }

    fn playing(&mut self) -> Result<&mut Run, Fault> {
        let run = self.run.as_mut().filter(|run| run.ended().is_none() && run.ends().is_none());
        run.ok_or_else(|| Fault::refused("no plan plays; /groove/plan/play plays one"))
    }

    /// Plays the next section from the next bar on, or the one before.
    ///
    /// # Errors
    /// If no plan plays, or there is no such section.
    pub fn step(&mut self, parts: &mut Parts, back: bool) -> Result<Outcome, Fault> {
        match &mut self.waits {
            Some(waiting) => {
                waiting.range.first = waiting.step(waiting.range.first, back, |_| true).map_err(Fault::refused)?;
            }
            None => self.playing()?.step(parts, back).map_err(Fault::refused)?,
        }
        self.held = false;
        Ok(Outcome::Done)
    }

    /// Sets whether the present section is repeated; a plan that does not play yet repeats its first.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Returns whether the present section is repeated.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Sets the fade between sections in beats, from now on; negative: as the plan says.
    pub fn set_fade(&mut self, beats: f64) {
        self.fade = (beats >= 0.0).then_some(beats);
    }

    /// The fade between sections in beats; -1: as the plan says.
    pub fn fade(&self) -> f64 {
        self.fade.unwrap_or(-1.0)
    }

    /// End of the plan that was asked for last; `None` while it plays, or will.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Sample at which the plan that plays, or has ended, is silent, once that is known.
    pub fn ends(&self) -> Option<u64> {
        self.run.as_ref().and_then(Run::ends)
    }

    /// Whether something that was asked for before `serial` is still under way.
    pub fn is_busy_before(&self, serial: u64) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.serial < serial && asked.origin.is_some())
    }

    /// Advances the plan; called on every tick.
    pub fn watch(&mut self, parts: &mut Parts) {
        if let Some(asked) = self.asked.take_if(|asked| asked.again.is_some_and(|at| at <= parts.cx.now())) {
            let tempo = (parts.tempo.bpm(), parts.tempo.beats_per_bar() as f64);
            self.read(parts.cx, (asked.origin, asked.address), (asked.path, asked.wishes), asked.then, tempo);
        }
        self.begin(parts);
        let Some(run) = self.run.as_mut().filter(|run| run.ended().is_none()) else { return };
        run.watch(parts, self.held, self.fade);
        if let Some(ended) = run.ended().cloned() {
            self.free_from = parts.cx.now() + parts.cx.frames(REST_S);
            // Something else may be about to begin.
            self.ended = Some(ended).filter(|_| self.waits.is_none());
        }
    }

    /// Goes on with a plan that played before a restart, as saved.
    pub fn resume(&mut self, parts: &mut Parts, saved: SavedPlan) {
        let tempo = (parts.tempo.bpm(), parts.tempo.beats_per_bar() as f64);
        let asked = (saved.path.clone(), saved.wishes.clone());
        self.read(parts.cx, (None, "restore".into()), asked, Then::Resume(Box::new(saved), 0), tempo);
    }

    fn go_on(&mut self, parts: &mut Parts, saved: &SavedPlan) {
        let Some((score, wishes)) = self.loaded.clone() else { return };
        // The file may have been changed meanwhile.
        let at = score.sections.iter().position(|section| section.key == saved.key);
        let last = score.sections.len().saturating_sub(1);
        let section = at.unwrap_or(saved.section).min(last);
        let beats = (saved.bar - 1.0).max(0.0) * score.meter;
        let from = Place { section, beats, offsets: saved.offsets.clone() };
        let range = Range { first: saved.first.min(last), last: saved.last.min(last), remark: None };
        (self.held, self.fade) = (saved.held, saved.fade);
        tracing::info!("plan {}: goes on at section {}, bar {}", shown(&saved.path), section + 1, saved.bar);
        self.end(parts, CHANGE_S);
        self.ended = None;
        self.waits = Some(Selection { score, wishes, range, looped: saved.looped, from: Some(from) });
    }

    /// Puts what plays into a show that is to be saved, in place of its stems and of the settings of its decks.
    pub fn put_in(&self, cx: &Context, show: &mut Show) {
        if let Some(Asked { then: Then::Resume(saved, _), .. }) = &self.asked {
            show.plan = Some(SavedPlan::clone(saved));
        }
        if let Some(run) = self.run.as_ref().filter(|run| run.ended().is_none()) {
            let ids = run.ids();
            show.stems.retain(|stem| !ids.contains(&stem.id));
            if let Some(takeover) = run.takeover() {
                takeover.undo_in(show);
            }
            // One that is ending does not come back.
            if run.ends().is_none() {
                show.plan = Some(self.saved(run.selection(), run.place(&Course::now(cx))));
            }
        }
        if let Some((waiting, from)) = self.waits.as_ref().and_then(|waiting| Some((waiting, waiting.from.clone()?))) {
            show.plan = Some(self.saved(waiting, from));
        }
    }

    fn saved(&self, selection: &Selection, place: Place) -> SavedPlan {
        let Selection { score, wishes, range, looped, .. } = selection;
        let Place { section, beats, offsets } = place;
        SavedPlan {
            path: score.path.clone(),
            wishes: wishes.clone(),
            first: range.first,
            last: range.last,
            looped: *looped,
            held: self.held,
            fade: self.fade,
            section,
            key: score.sections.get(section).map(|section| section.key.clone()).unwrap_or_default(),
            bar: (beats / score.meter).floor() + 1.0,
            offsets,
            missing: score.sections.iter().map(|section| section.missing.len()).sum(),
        }
    }

    /// The status of the plan: state, section (from 1), number of sections, its key, bar (from 1), bars of the section,
    /// whether it is held, fade in beats (-1: the plan's own), BPM, path, stems that could not be played.
    pub fn status(&self, cx: &Context) -> Message {
        let waiting = self.waits.as_ref().map(|waiting| &waiting.score);
        let score = waiting.or(self.run.as_ref().map(|run| &run.selection().score));
        let score = score.or(self.loaded.as_ref().map(|(score, _)| score));
        let run = self.run.as_ref().filter(|run| run.ended().is_none());
        let state = match (run, &self.ended) {
            (Some(run), _) if run.is_stopped() && self.waits.is_none() => "stopped",
            (Some(run), _) if run.is_sounding(&Course::now(cx)) => "playing",
            (Some(_), _) => "loading",
            _ if self.waits.is_some() => "loading",
            _ if self.asked.is_some() => "reading",
            (_, Some(Ended::Played { .. })) => "over",
            (_, Some(Ended::Stopped)) => "stopped",
            _ if self.loaded.is_some() => "loaded",
            _ => "none",
        };
        let waiting = self.waits.as_ref().map(|waiting| (waiting.range.first, 0.0));
        let place = waiting.or(run.map(|run| run.position(&Course::now(cx))));
        let section = place.and_then(|(place, _)| score?.sections.get(place));
        let meter = score.map_or(4.0, |score| score.meter);
        let bars = section.map_or(0.0, |section| section.beats / meter);
        let bar = place.map_or(0.0, |(_, beats)| ((beats / meter).floor() + 1.0).min(bars.max(1.0)));
        let values = vec![
            state.into(),
            Value::Int(place.map_or(0, |(place, _)| place as i64 + 1)),
            Value::Int(score.map_or(0, |score| score.sections.len() as i64)),
            section.map_or("", |section| clipped(&section.key, MOST_SHOWN)).into(),
            Value::Int(bar as i64),
            Value::Int(bars as i64),
            Value::Int(i64::from(self.held)),
            self.fade().into(),
            score.map_or(0.0, |score| score.bpm).into(),
            score.map_or("", |score| clipped(&score.path, MOST_SHOWN)).into(),
            Value::Int(self.run.as_ref().map_or(0, |run| run.missing() as i64)),
        ];
        Message::new("/status/plan", values)
    }
}

/// Returns a path as it may be shown in a line.
fn shown(path: &str) -> String {
    path.replace(char::is_control, "?")
}
