//! Sets: tables of parts that are played one after the other, each mixed into the one before.

pub mod history;
pub mod run;
mod trend;

use super::context::Context;
use super::services::{SetFile, SetJob};
use super::show::{SavedSet, Show};
use super::stems::Stems;
use super::takeover::{CHANGE_S, Ended, Parts, REST_S};
use super::tempo::Tempo;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::deck_name;
use crate::control::commands::vocabulary::{Call, Outcome};
use crate::sets::mix::Mix;
use crate::sets::order::Order;
use history::Played;
use run::{Resumption, Run, Score};
use trend::Trend;

/// A table that is being read.
#[derive(Debug)]
struct Asked {
    origin: Option<Origin>,
    address: String,
    serial: u64,
    path: String,
    order: Order,
    seed: u64,
    then: Then,
}

/// Consequence of a table that has been read.
#[derive(Clone, Debug, PartialEq)]
enum Then {
    /// Nothing.
    Rest,
    /// It is played.
    Play(Mix),
    /// It goes on as saved.
    Resume(Box<SavedSet>),
    /// Rows that were added are appended to what plays.
    Append,
}

/// Time between two looks at a table whose last track plays, in seconds.
const LOOK_S: f64 = 2.0;
/// Most tracks in an answer about those that were played.
const MOST_TOLD: usize = 50;
/// Remarks about a table that are logged one by one.
const MOST_REMARKS: usize = 20;
/// Fade when a set is stopped, in seconds.
pub const STOP_S: f64 = 1.0;

/// A set that is to be played: its tracks, how they are mixed, and where it begins.
type Waiting = (Score, Mix, Resumption);

/// The set.
#[derive(Debug, Default)]
pub struct Sets {
    asked: Option<Asked>,
    loaded: Option<Score>,
    run: Option<Run>,
    /// What is to be played once the decks are free, from a sample on.
    waits: Option<Waiting>,
    free_from: u64,
    ended: Option<Ended>,
    held: bool,
    /// True while others have its decks.
    is_blocked: bool,
    trend: Trend,
    /// Number of tracks that had begun when the table was last read, and the sample at which it was.
    looked: (usize, u64),
}

impl Sets {
    /// Reads a table.
    ///
    /// # Errors
    /// If one is being read already, or the order is unknown.
    pub fn load(&mut self, cx: &mut Context, call: &Call) -> Result<Outcome, Fault> {
        let order = call.text("order").parse().map_err(|e: String| Fault::refused(e))?;
        let (path, seed) = (call.text("path"), call.int("seed").unsigned_abs());
        if self.run.as_ref().is_none_or(Run::is_over) {
            self.ended = None;
        }
        self.ask(cx, (call.origin, call.address.clone()), (path, order, seed), Then::Rest);
        Ok(Outcome::Later)
    }

    fn ask(
        &mut self,
        cx: &mut Context,
        (origin, address): (Option<Origin>, String),
        (path, order, seed): (String, Order, u64),
        then: Then,
    ) {
        if let Some(Asked { origin: Some(origin), address, .. }) = self.asked.take() {
            cx.fail(Some(origin), &address, &Fault::refused("another set was asked for before it was read"));
        }
        let serial = cx.next_serial();
        cx.services.set(SetJob { serial, path: path.clone(), order, seed });
        self.asked = Some(Asked { origin, address, serial, path, order, seed, then });
    }

    /// Takes in a table that has been read.
    pub fn finish_read(&mut self, parts: &mut Parts, job: &SetJob, result: Result<SetFile, String>) {
        let Some(asked) = self.asked.take_if(|asked| asked.serial == job.serial) else { return };
        let file = match result {
            Ok(file) => file,
            // The table may be written just now.
            Err(_) if asked.then == Then::Append => return,
            Err(why) => return self.fail(parts.cx, &asked, &why),
        };
        if asked.then == Then::Append {
            if let Some(run) = self.run.as_mut().filter(|run| run.score().path == asked.path) {
                let more = run.append(&file.tracks);
                if more > 0 {
                    tracing::info!("set {}: {more} more tracks", asked.path);
                }
            }
            return;
        }
        for line in file.remarks.iter().take(MOST_REMARKS) {
            tracing::warn!("set {}: {line}", asked.path);
        }
        if file.remarks.len() > MOST_REMARKS {
            tracing::warn!("set {}: {} more remarks like these", asked.path, file.remarks.len() - MOST_REMARKS);
        }
        tracing::info!("set {}: read; {} tracks", asked.path, file.tracks.len());
        let counts = vec![Value::Int(file.tracks.len() as i64), Value::Int(file.faults)];
        parts.cx.done(asked.origin, &asked.address, counts);
        if self.run.as_ref().is_some_and(Run::is_over) {
            self.run = None;
        }
        let Asked { path, order, seed, then, .. } = asked;
        let last_line = file.tracks.iter().map(|track| track.line).max().unwrap_or(0);
        let score = Score { path, order, seed, folder: file.folder, tracks: file.tracks, last_line };
        self.loaded = Some(score.clone());
        match then {
            Then::Rest | Then::Append => {}
            Then::Play(mix) => self.play_score(parts, (score, mix, Resumption::default())),
            Then::Resume(saved) => self.go_on(parts, score, *saved),
        }
    }

    /// Goes on with a set as saved: with the track that played, and then those that had not.
    fn go_on(&mut self, parts: &mut Parts, mut score: Score, saved: SavedSet) {
        let at = |line: usize| saved.played.iter().position(|played| *played == line);
        score.tracks.sort_by_key(|track| at(track.line).map_or((true, 0), |k| (false, k)));
        let here = score.tracks.iter().position(|track| Some(track.line) == saved.played.last().copied());
        // What was played before is not played again, unless the set begins again.
        let before = here.unwrap_or(0);
        match saved.mix.again {
            true => score.tracks.rotate_left(before),
            false => drop(score.tracks.drain(..before)),
        }
        self.held = saved.held;
        tracing::info!("set {}: goes on with {}", score.path, score.tracks.first().map_or("", |t| &t.part_file));
        let SavedSet { mix, beats, played, .. } = saved;
        let from = if here.is_some() { Resumption { beats, lines: played } } else { Resumption::default() };
        self.play_score(parts, (score, mix, from));
    }

    fn fail(&mut self, cx: &mut Context, asked: &Asked, why: &str) {
        let why = format!("set '{}': {why}", asked.path);
        cx.fail(asked.origin, &asked.address, &Fault::refused(why.as_str()));
        if self.run.is_none() {
            self.ended = Some(Ended::Failed(why));
        }
    }

    /// Plays the set from its beginning; one that is being read as soon as that is done.
    ///
    /// # Errors
    /// If no set was loaded.
    pub fn play(&mut self, parts: &mut Parts, mix: Mix) -> Result<Outcome, Fault> {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.then != Then::Append) {
            asked.then = Then::Play(mix);
            return Ok(Outcome::Done);
        }
        self.may_play()?;
        if let Some(score) = self.loaded.clone() {
            self.play_score(parts, (score, mix, Resumption::default()));
        }
        Ok(Outcome::Done)
    }

    fn play_score(&mut self, parts: &mut Parts, waiting: Waiting) {
        self.end(parts, CHANGE_S);
        (self.ended, self.waits) = (None, Some(waiting));
        self.begin(parts);
    }

    /// Goes on with a set that played before a restart, as saved.
    pub fn resume(&mut self, cx: &mut Context, saved: SavedSet) {
        let asked = (saved.path.clone(), saved.order, saved.seed);
        self.ask(cx, (None, "restore".into()), asked, Then::Resume(Box::new(saved)));
    }

    /// Checks that a set was loaded, or is being read.
    ///
    /// # Errors
    /// If none was.
    pub fn may_play(&self) -> Result<(), Fault> {
        match (&self.asked, &self.loaded) {
            (None, None) => Err(Fault::refused("no set is loaded; /groove/set/load loads one")),
            _ => Ok(()),
        }
    }

    /// Returns whether the set that is being read by this request is to be played.
    pub fn is_to_play(&self, serial: u64) -> bool {
        let asked = self.asked.as_ref().filter(|asked| asked.serial == serial);
        asked.is_some_and(|asked| matches!(asked.then, Then::Play(_) | Then::Resume(_)))
    }

    /// Returns whether a set is being read.
    pub fn is_reading(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.then != Then::Append)
    }

    /// Sets whether others have the decks.
    pub fn set_blocked(&mut self, blocked: bool) {
        self.is_blocked = blocked;
    }

    /// Whether its decks are taken, be it by a fade.
    pub fn holds_decks(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.is_over())
    }

    /// Puts the settings of decks from before the set into a show that is to be saved.
    pub fn put_in(&self, parts: (&Context, &Stems, &Tempo), show: &mut Show) {
        if let Some(Asked { then: Then::Resume(saved), .. }) = &self.asked {
            show.set = Some(SavedSet::clone(saved));
        }
        let Some(run) = self.run.as_ref().filter(|run| !run.is_over()) else { return };
        let ids = run.ids();
        show.stems.retain(|stem| !ids.contains(&stem.id));
        if let Some(takeover) = run.takeover() {
            takeover.undo_in(show);
        }
        if !run.goes_on() {
            return;
        }
        let score = run.score();
        show.set = Some(SavedSet {
            path: score.path.clone(),
            order: score.order,
            seed: score.seed,
            mix: run.mix_left(parts.0),
            played: run.lines().to_vec(),
            beats: run.beats(parts),
            held: self.held,
        });
    }

    /// Begins the run that waits, once the decks are free.
    fn begin(&mut self, parts: &mut Parts) {
        if parts.cx.now() < self.free_from || self.is_blocked || self.holds_decks() {
            return;
        }
        let Some((score, mix, from)) = self.waits.take() else { return };
        let mut run = Run::begin(parts, score, mix, from);
        run.hold(self.held);
        self.looked = (0, 0);
        self.run = Some(run);
    }

    /// Stops the set, if one plays, within some seconds, and forgets its stems.
    pub fn stop(&mut self, parts: &mut Parts, seconds: f64) {
        self.end(parts, seconds);
        self.held = false;
    }

    /// Gives the decks back at once, for others to set.
    pub fn release(&mut self, parts: &mut Parts) {
        if let Some(run) = &mut self.run {
            run.release(parts);
        }
    }

    fn end(&mut self, parts: &mut Parts, seconds: f64) {
        self.asked.take_if(|asked| asked.then == Then::Append);
        let is_to_play = |asked: &mut Asked| std::mem::replace(&mut asked.then, Then::Rest) != Then::Rest;
        let was_to_play = self.asked.as_mut().is_some_and(is_to_play);
        if self.waits.take().is_some() || was_to_play {
            self.ended = Some(Ended::Stopped);
        }
        if let Some(run) = self.run.as_mut().filter(|run| !run.is_over()) {
            run.stop(parts, seconds);
            if run.is_stopped() {
                self.ended = Some(Ended::Stopped);
            }
        }
    }

    fn playing(&mut self) -> Result<&mut Run, Fault> {
        let run = self.run.as_mut().filter(|run| run.goes_on());
        run.ok_or_else(|| Fault::refused("no set plays; /groove/set/play plays one"))
    }

    /// Begins the next track at the next bar.
    ///
    /// # Errors
    /// If no set plays.
    pub fn skip(&mut self) -> Result<Outcome, Fault> {
        self.playing()?.skip();
        self.held = false;
        Ok(Outcome::Done)
    }

    /// Begins the previous track at the next bar.
    ///
    /// # Errors
    /// If no set plays.
    pub fn back(&mut self, parts: &mut Parts) -> Result<Outcome, Fault> {
        self.playing()?.back(parts);
        self.held = false;
        Ok(Outcome::Done)
    }

    /// Keeps the present track, or lets the set go on; a set that does not play yet keeps its first.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
        if let Some(run) = &mut self.run {
            run.hold(held);
        }
    }

    /// Returns whether the set is held at its present track.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// End of the set that was asked for last; `None` while it plays, or will.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Whether something that was asked for before `serial` is still under way.
    pub fn is_busy_before(&self, serial: u64) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.serial < serial)
    }

    /// Advances the set; called on every tick.
    pub fn watch(&mut self, parts: &mut Parts, movement: Option<f64>) {
        let rises = self.trend.hear(movement, parts.cx.seconds());
        self.begin(parts);
        let Some(run) = self.run.as_mut().filter(|run| !run.is_over()) else { return };
        run.want_high(rises);
        run.watch(parts);
        let table = (run.score().path.clone(), run.score().order, run.score().seed);
        let now = parts.cx.now();
        let waits = run.is_at_its_end() && now > self.looked.1 + parts.cx.frames(LOOK_S);
        if (run.begun() > self.looked.0 || waits) && self.asked.is_none() {
            // Rows may have been added.
            self.looked = (run.begun(), now);
            self.ask(parts.cx, (None, String::new()), table, Then::Append);
        }
        let Some(run) = self.run.as_mut() else { return };
        if run.is_over() {
            self.free_from = parts.cx.now() + parts.cx.frames(REST_S);
            let played = Ended::Played { begun: run.begun(), missing: run.missing() };
            // Something else may be about to begin.
            self.ended = Some(if run.is_stopped() { Ended::Stopped } else { played }).filter(|_| self.waits.is_none());
        }
    }

    /// Tracks that were played, from the `from`-th on: number, deck, file, the seconds after the first load at which it
    /// was loaded, began, was left and ended (0 until then), and its line in the table.
    pub fn played(&self, rate: f64, from: usize) -> Vec<Message> {
        // A set that is about to begin has played nothing yet.
        let run = self.run.as_ref().filter(|_| self.waits.is_none());
        let all = run.map_or_else(Vec::new, |run| told(run, rate));
        let is_wanted =
            |message: &Message| message.args.first().and_then(Value::as_int).is_some_and(|n| n >= from as i64);
        all.into_iter().filter(is_wanted).take(MOST_TOLD).collect()
    }

    /// Tracks that were played.
    pub fn list(&self) -> Vec<Played> {
        self.run.iter().flat_map(Run::played).map(|(_, played)| played.clone()).collect()
    }

    /// The status of the set: state, place (from 1), number of tracks, file, table.
    pub fn status(&self) -> Message {
        let run = self.run.as_ref().filter(|run| !run.is_stopped() && self.waits.is_none());
        let place = run.map(Run::place);
        let score = run.map(Run::score).or(self.loaded.as_ref());
        let tracks = score.map_or(&[][..], |score| score.tracks.as_slice());
        let state = match (run, &self.asked, &self.loaded) {
            (Some(run), ..) => run.state(),
            _ if self.waits.is_some() => "loading",
            (None, Some(_), _) => "reading",
            (None, None, Some(_)) if self.ended == Some(Ended::Stopped) => "stopped",
            (None, None, Some(_)) => "loaded",
            (None, None, None) => "none",
        };
        let file = place.and_then(|place| tracks.get(place)).map_or("", |track| track.part_file.as_str());
        let values = vec![
            state.into(),
            Value::Int(place.map_or(0, |place| place as i64 + 1)),
            Value::Int(tracks.len() as i64),
            file.into(),
            score.map_or("", |score| &score.path).into(),
        ];
        Message::new("/status/set", values)
    }
}

/// Returns messages about the tracks that a run has played.
fn told(run: &Run, rate: f64) -> Vec<Message> {
    let mut zero = None;
    let message = |(number, played): (usize, &Played)| {
        let zero = *zero.get_or_insert(played.times[0]);
        let seconds = |sample: u64| sample.saturating_sub(zero) as f64 / rate;
        let (deck, file) = (deck_name(played.deck), played.track.part_file.as_str());
        let mut values = vec![Value::Int(number as i64), deck.into(), file.into()];
        values.extend(played.times.map(|time| Value::Float(seconds(time))));
        values.push(Value::Int(played.track.line as i64));
        Message::new("/status/set/played", values)
    };
    run.played().map(message).collect()
}
