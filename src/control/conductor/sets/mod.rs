//! Sets: tables of parts that are played one after the other, each mixed into the one before.

pub mod run;

use super::context::Context;
use super::services::{SetFile, SetJob};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Outcome};
use run::{Rig, Run, Score};

/// A table that is being read.
#[derive(Debug)]
struct Asked {
    origin: Option<Origin>,
    address: String,
    serial: u64,
    path: String,
    /// Whether playback begins after reading.
    play: bool,
}

/// Remarks about a table that are logged one by one.
const MOST_REMARKS: usize = 20;
/// Fade when a set is stopped, and when another one takes its place, in seconds.
const STOP_S: f64 = 1.0;
const CHANGE_S: f64 = 0.05;

/// End of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its last track ended; number of tracks that had begun.
    Played(usize),
    /// It was stopped: by a client, a cleanup or a preset.
    Stopped,
    /// It could not be read.
    Failed(String),
}

/// The set.
#[derive(Debug, Default)]
pub struct Sets {
    asked: Option<Asked>,
    loaded: Option<Score>,
    run: Option<Run>,
    /// What is to be played once the decks are free, from a sample on.
    waits: Option<Score>,
    free_from: u64,
    ended: Option<Ended>,
    held: bool,
}

impl Sets {
    /// Reads a table.
    ///
    /// # Errors
    /// If one is being read already, or the order is unknown.
    pub fn load(&mut self, cx: &mut Context, call: &Call) -> Result<Outcome, Fault> {
        if self.asked.is_some() {
            return Err(Fault::refused("another set is being read; wait for it"));
        }
        let order = call.text("order").parse().map_err(|e: String| Fault::refused(e))?;
        let (path, seed) = (call.text("path"), call.int("seed").unsigned_abs());
        let (origin, serial) = (call.origin, cx.next_serial());
        cx.services.set(SetJob { path: path.clone(), order, seed });
        if self.run.as_ref().is_none_or(Run::is_over) {
            self.ended = None;
        }
        self.asked = Some(Asked { origin, address: call.address.clone(), serial, path, play: false });
        Ok(Outcome::Later)
    }

    /// Takes in a table that has been read; returns whether it is to be played.
    pub fn read(&mut self, cx: &mut Context, result: Result<SetFile, String>) -> bool {
        let Some(asked) = self.asked.take() else { return false };
        let file = match result {
            Ok(file) => file,
            Err(why) => return self.fail(cx, &asked, &why),
        };
        for line in file.remarks.iter().take(MOST_REMARKS) {
            tracing::warn!("set {}: {line}", asked.path);
        }
        if file.remarks.len() > MOST_REMARKS {
            tracing::warn!("set {}: {} more remarks like these", asked.path, file.remarks.len() - MOST_REMARKS);
        }
        tracing::info!("set {}: read; {} tracks", asked.path, file.tracks.len());
        cx.done(asked.origin, &asked.address, vec![Value::Int(file.tracks.len() as i64), Value::Int(file.faults)]);
        if self.run.as_ref().is_some_and(Run::is_over) {
            self.run = None;
        }
        self.loaded = Some(Score { path: asked.path, folder: file.folder, tracks: file.tracks });
        asked.play
    }

    fn fail(&mut self, cx: &mut Context, asked: &Asked, why: &str) -> bool {
        let why = format!("set '{}': {why}", asked.path);
        cx.fail(asked.origin, &asked.address, &Fault::refused(why.as_str()));
        if self.run.is_none() {
            self.ended = Some(Ended::Failed(why));
        }
        false
    }

    /// Plays the set from its beginning; one that is being read as soon as that is done.
    ///
    /// # Errors
    /// If no set was loaded.
    pub fn play(&mut self, rig: &mut Rig) -> Result<Outcome, Fault> {
        if let Some(asked) = &mut self.asked {
            asked.play = true;
            return Ok(Outcome::Done);
        }
        let Some(score) = self.loaded.clone() else {
            return Err(Fault::refused("no set is loaded; /groove/set/load loads one"));
        };
        self.end(rig, CHANGE_S);
        (self.ended, self.waits) = (None, Some(score));
        self.begin(rig);
        Ok(Outcome::Done)
    }

    /// Begins the run that waits, once the decks are free.
    fn begin(&mut self, rig: &mut Rig) {
        if rig.cx.now() < self.free_from {
            return;
        }
        let Some(score) = self.waits.take() else { return };
        let mut run = Run::begin(rig, score);
        run.hold(self.held);
        self.run = Some(run);
    }

    /// Stops the set, if one plays, and forgets its stems.
    pub fn stop(&mut self, rig: &mut Rig) {
        self.end(rig, STOP_S);
    }

    fn end(&mut self, rig: &mut Rig, seconds: f64) {
        let was_to_play = self.asked.as_mut().is_some_and(|asked| std::mem::take(&mut asked.play));
        if self.waits.take().is_some() || was_to_play {
            self.ended = Some(Ended::Stopped);
        }
        if let Some(mut run) = self.run.take().filter(|run| !run.is_over()) {
            run.stop(rig, seconds);
            self.free_from = run.free_from();
            self.ended = Some(Ended::Stopped);
        }
    }

    fn playing(&mut self) -> Result<&mut Run, Fault> {
        let run = self.run.as_mut().filter(|run| !run.is_over());
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
    pub fn back(&mut self, rig: &mut Rig) -> Result<Outcome, Fault> {
        self.playing()?.back(rig);
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

    /// Whether the set is held at its present track.
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
    pub fn watch(&mut self, rig: &mut Rig) {
        self.begin(rig);
        let Some(run) = self.run.as_mut().filter(|run| !run.is_over()) else { return };
        run.watch(rig);
        if run.is_over() {
            self.free_from = run.free_from();
            self.ended = Some(Ended::Played(run.begun()));
        }
    }

    /// The status of the set: state, place (from 1), number of tracks, file, table.
    pub fn status(&self) -> Message {
        let place = self.run.as_ref().map(Run::place);
        let score = self.run.as_ref().map(Run::score).or(self.loaded.as_ref());
        let tracks = score.map_or(&[][..], |score| score.tracks.as_slice());
        let state = match (&self.run, &self.asked, &self.loaded) {
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
