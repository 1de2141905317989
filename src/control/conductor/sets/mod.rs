//! Sets: tables of parts that are played one after the other, each mixed into the one before.

pub mod run;

use super::context::Context;
use super::services::{SetFile, SetJob};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Outcome};
use crate::sets::arrangement::in_order;
use crate::sets::order::Order;
use crate::sets::track::{Set, Track};
use run::{Rig, Run, Score};

/// A table that is being read.
#[derive(Debug)]
struct Asked {
    origin: Option<Origin>,
    address: String,
    serial: u64,
    path: String,
    order: Order,
    seed: u64,
    /// Who asked for it to be played meanwhile.
    play: bool,
}

/// A table that has been read.
#[derive(Debug)]
struct Loaded {
    path: String,
    folder: String,
    /// In order of play.
    tracks: Vec<Track>,
}

/// The set.
#[derive(Debug, Default)]
pub struct Sets {
    asked: Option<Asked>,
    loaded: Option<Loaded>,
    run: Option<Run>,
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
        cx.services.set(SetJob { path: path.clone() });
        self.asked = Some(Asked { origin, address: call.address.clone(), serial, path, order, seed, play: false });
        Ok(Outcome::Later)
    }

    /// Takes in a table that has been read; returns whether it is to be played.
    pub fn read(&mut self, cx: &mut Context, result: Result<SetFile, String>) -> bool {
        let Some(asked) = self.asked.take() else { return false };
        let parsed = result.and_then(|file| Ok((file.folder, Set::parse(&file.bytes)?)));
        let (folder, set) = match parsed {
            Ok(read) => read,
            Err(why) => {
                cx.fail(asked.origin, &asked.address, &Fault::refused(format!("set '{}': {why}", asked.path)));
                return false;
            }
        };
        for line in set.faults.iter().chain(&set.remarks) {
            tracing::warn!("set {}: {line}", asked.path);
        }
        let tracks = in_order(&set, asked.order, asked.seed);
        if tracks.is_empty() {
            let why = format!("set '{}': no track of it can be played; the log says why", asked.path);
            cx.fail(asked.origin, &asked.address, &Fault::refused(why));
            return false;
        }
        tracing::info!("set {}: {} tracks", asked.path, tracks.len());
        let facts = vec![Value::Int(tracks.len() as i64), Value::Int(set.faults.len() as i64)];
        cx.done(asked.origin, &asked.address, facts);
        self.loaded = Some(Loaded { path: asked.path, folder, tracks });
        asked.play
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
        let Some(first) = self.loaded.as_ref().and_then(|set| set.tracks.first()).cloned() else {
            return Err(Fault::refused("no set is loaded; /groove/set/load loads one"));
        };
        self.stop(rig);
        self.run = Some(Run::begin(rig, &first));
        Ok(Outcome::Done)
    }

    /// Stops the set, if one plays, and forgets its stems.
    pub fn stop(&mut self, rig: &mut Rig) {
        if let Some(mut run) = self.run.take().filter(|run| !run.is_over()) {
            run.stop(rig);
        }
    }

    /// Forgets a set that plays, because its stems were taken away.
    pub fn forget(&mut self) {
        self.run = None;
    }

    fn playing(&mut self) -> Result<&mut Run, Fault> {
        let run = self.run.as_mut().filter(|run| !run.is_over());
        run.ok_or_else(|| Fault::refused("no set plays; /groove/set/play plays one"))
    }

    /// Begins the next track at the next bar.
    ///
    /// # Errors
    /// If no set plays.
    pub fn skip(&mut self, rig: &mut Rig) -> Result<Outcome, Fault> {
        self.playing()?.skip(rig);
        Ok(Outcome::Done)
    }

    /// Begins the previous track at the next bar.
    ///
    /// # Errors
    /// If no set plays.
    pub fn back(&mut self, rig: &mut Rig) -> Result<Outcome, Fault> {
        self.playing()?.back(rig);
        Ok(Outcome::Done)
    }

    /// Keeps the present track, or lets the set go on.
    ///
    /// # Errors
    /// If no set plays.
    pub fn hold(&mut self, rig: &mut Rig, held: bool) -> Result<Outcome, Fault> {
        self.playing()?.hold(rig, held);
        Ok(Outcome::Done)
    }

    /// Whether the present track is kept.
    pub fn is_held(&self) -> bool {
        self.run.as_ref().is_some_and(Run::is_held)
    }

    /// Whether a set has been played to its end.
    pub fn is_over(&self) -> bool {
        self.run.as_ref().is_some_and(Run::is_over)
    }

    /// Whether something that was asked for before `serial` is still under way.
    pub fn is_busy_before(&self, serial: u64) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.serial < serial)
    }

    /// Lets time pass.
    pub fn watch(&mut self, rig: &mut Rig) {
        if let (Some(run), Some(set)) = (&mut self.run, &self.loaded) {
            run.watch(rig, &Score { tracks: &set.tracks, folder: &set.folder });
        }
    }

    /// The status of the set: state, place (from 1), number of tracks, file, table.
    pub fn status(&self) -> Message {
        let place = self.run.as_ref().map(Run::place);
        let tracks = self.loaded.as_ref().map_or(&[][..], |set| &set.tracks);
        let state = match (&self.run, &self.asked, &self.loaded) {
            (Some(run), ..) => run.state(),
            (None, Some(_), _) => "reading",
            (None, None, Some(_)) => "loaded",
            (None, None, None) => "none",
        };
        let file = place.and_then(|place| tracks.get(place)).map_or("", |track| &track.part_file);
        let values = vec![
            state.into(),
            Value::Int(place.map_or(0, |place| place as i64 + 1)),
            Value::Int(tracks.len() as i64),
            file.into(),
            self.loaded.as_ref().map_or("", |set| &set.path).into(),
        ];
        Message::new("/status/set", values)
    }
}
