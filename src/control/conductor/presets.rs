//! The state file and presets: saving shows and restoring them.

use std::collections::HashMap;
use std::time::Instant;

use super::buffer::{Buffer, Start};
use super::context::Context;
use super::stems::Stems;
use super::tempo::Tempo;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::Origin;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Outcome};
use crate::control::conductor::show::{self, Show};
use crate::system::keeper::{FileJob, FileRequest, Found, Kept};

/// Most jobs of the keeper at a time.
const MOST_JOBS: usize = 64;

/// The state's file.
pub const STATE_FILE: &str = "state.json";

/// Ticks (of about ten milliseconds) to wait for starts to be fetched: a disk that fails must not hold up the rest.
const MOST_TICKS: u32 = 1_000;

/// The file for a state that could not be restored completely.
const INCOMPLETE_FILE: &str = "state.incomplete.json";

/// What a job of the keeper is for.
#[derive(Debug)]
enum Keeping {
    State,
    Preset { origin: Option<Origin>, address: String, name: String },
    Recall { origin: Option<Origin>, address: String, name: String },
    List { origin: Option<Origin>, address: String },
}

/// A show that is being restored: everything is loaded first, then fetched, then started on one sample.
#[derive(Debug)]
struct Recall {
    show: Show,
    /// The loads its stems come from: a stem that was loaded again meanwhile is no longer part of it.
    serials: Vec<(i64, u64)>,
    origin: Option<Origin>,
    address: String,
    /// The request's number.
    serial: u64,
    until: u64,
    fetching: bool,
    /// Ticks spent waiting for starts to be fetched.
    waits: u32,
}

/// The state file and presets: what is being saved, and what is being restored.
#[derive(Debug)]
pub struct Presets {
    keeping: HashMap<u64, Keeping>,
    /// The state as it was last saved.
    saved: Vec<u8>,
    saved_at: Instant,
    recall: Option<Recall>,
}

/// A show that is to be restored.
#[derive(Debug)]
pub struct Request {
    /// The show.
    pub show: Show,
    /// Who asked; `None` is the daemon itself, at its start.
    pub origin: Option<Origin>,
    /// By which address.
    pub address: String,
    /// The request's number.
    pub serial: u64,
}

impl Default for Presets {
    fn default() -> Presets {
        Presets { keeping: HashMap::new(), saved: Vec::new(), saved_at: Instant::now(), recall: None }
    }
}

impl Presets {
    /// Whether the state may be saved now: a show that is still being restored is better kept as it was.
    pub fn may_save_state(&self, cx: &Context) -> bool {
        cx.settings.save_every.is_some() && self.recall.is_none()
    }

    /// Whether the state is due to be saved.
    pub fn is_save_due(&self, cx: &Context) -> bool {
        let due = |every| Instant::now().saturating_duration_since(self.saved_at) >= every;
        self.may_save_state(cx) && cx.settings.save_every.is_some_and(due)
    }

    /// Saves the state if it has changed.
    pub fn save_state(&mut self, cx: &mut Context, show: &Show) {
        self.saved_at = Instant::now();
        let bytes = show.to_bytes();
        if bytes != self.saved {
            self.saved.clone_from(&bytes);
            self.keep(cx, Keeping::State, FileRequest::Write(STATE_FILE.into(), bytes));
        }
    }

    fn keep(&mut self, cx: &mut Context, what: Keeping, wish: FileRequest) {
        let tag = cx.next_serial();
        self.keeping.insert(tag, what);
        cx.services.keep(FileJob { tag, wish });
    }

    fn may_keep(&self, cx: &Context) -> Result<(), Fault> {
        if !cx.settings.has_presets {
            return Err(Fault::refused("there is no folder for presets; state.folder in the configuration names one"));
        }
        if self.keeping.len() > MOST_JOBS {
            return Err(Fault::refused("the disk is still busy with earlier presets"));
        }
        Ok(())
    }

    /// Saves a show under a name.
    ///
    /// # Errors
    /// If the name is not a plain one, there is no folder, or the disk is behind.
    pub fn save(&mut self, cx: &mut Context, name: &str, show: &Show, call: &Call) -> Result<Outcome, Fault> {
        self.may_keep(cx)?;
        let file = show::preset_file(name)?;
        let (origin, address) = (call.origin, call.address.clone());
        self.keep(
            cx,
            Keeping::Preset { origin, address, name: name.into() },
            FileRequest::Write(file, show.to_bytes()),
        );
        Ok(Outcome::Later)
    }

    /// Restores what was saved under a name.
    ///
    /// # Errors
    /// As [`Presets::save`].
    pub fn load(&mut self, cx: &mut Context, name: &str, call: &Call) -> Result<Outcome, Fault> {
        self.may_keep(cx)?;
        let file = show::preset_file(name)?;
        let (origin, address) = (call.origin, call.address.clone());
        self.keep(cx, Keeping::Recall { origin, address, name: name.into() }, FileRequest::Read(file));
        Ok(Outcome::Later)
    }

    /// Deletes what was saved under a name.
    ///
    /// # Errors
    /// As [`Presets::save`].
    pub fn delete(&mut self, cx: &mut Context, name: &str, call: &Call) -> Result<Outcome, Fault> {
        self.may_keep(cx)?;
        let file = show::preset_file(name)?;
        let (origin, address) = (call.origin, call.address.clone());
        self.keep(cx, Keeping::Preset { origin, address, name: name.into() }, FileRequest::Remove(file));
        Ok(Outcome::Later)
    }

    /// Answers with the names of all presets.
    ///
    /// # Errors
    /// If there is no folder, or the disk is behind.
    pub fn list(&mut self, cx: &mut Context, call: &Call) -> Result<Outcome, Fault> {
        self.may_keep(cx)?;
        let (origin, address) = (call.origin, call.address.clone());
        self.keep(cx, Keeping::List { origin, address }, FileRequest::List("presets".into()));
        Ok(Outcome::Later)
    }

    /// Takes in a job of the keeper that has ended; returns a show that is to be restored.
    pub fn kept(&mut self, cx: &mut Context, kept: Kept) -> Option<Request> {
        let missing = |name: &str, e: &std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => Fault::argument("name", format!("{name:?}"), "the name of a preset")
                .hint("/groove/preset/list lists them"),
            _ => Fault::refused(format!("preset {name:?}: {e}")),
        };
        match (self.keeping.remove(&kept.tag), kept.result) {
            (Some(Keeping::State), Err(e)) => {
                // Tried again the next time.
                self.saved.clear();
                tracing::warn!("the state could not be saved: {e} (state.folder)");
            }
            (Some(Keeping::Preset { origin, address, name }), Ok(_)) => {
                cx.done(origin, &address, vec![name.into()]);
            }
            (Some(Keeping::Preset { origin, address, name } | Keeping::Recall { origin, address, name }), Err(e)) => {
                cx.fail(origin, &address, &missing(&name, &e));
            }
            (Some(Keeping::Recall { origin, address, name }), Ok(Found::Bytes(bytes))) => match Show::parse(&bytes) {
                Ok(show) => return Some(Request { show, origin, address, serial: kept.tag }),
                Err(why) => cx.fail(origin, &address, &Fault::refused(format!("preset {name:?} is damaged: {why}"))),
            },
            (Some(Keeping::List { origin, address }), Ok(Found::Names(names))) => {
                let names = names.iter().filter_map(|n| n.strip_suffix(".json")).map(Value::from).collect();
                cx.done(origin, &address, names);
            }
            (Some(Keeping::List { origin, address }), Err(e)) => {
                cx.fail(origin, &address, &Fault::refused(format!("presets: {e}")));
            }
            _ => {}
        }
        None
    }

    /// Restores the stems of a show: all are loaded, then fetched, then started on one sample.
    pub fn begin(&mut self, cx: &mut Context, tempo: &mut Tempo, stems: &mut Stems, request: Request) {
        let Request { show, origin, address, serial } = request;
        for id in stems.ids() {
            let stays = show.stems.iter().find(|s| s.id == id && stems.holds(id, &s.path));
            match stays {
                None => stems.unload(cx, tempo, id, None),
                Some(stem) if !stem.playing => stems.stop(cx, tempo, id, None),
                Some(_) => {}
            }
        }
        for stem in &show.stems {
            if !stems.holds(stem.id, &stem.path)
                && let Err(fault) = stems.load(cx, stem.id, (&stem.path, &stem.name), None, &address)
            {
                // The others play on without it.
                tracing::warn!("{address}: stem {} is not restored; {}", stem.name, fault);
            }
        }
        let until = cx.now() + cx.frames(cx.settings.media.group_wait_s);
        let serials = stems.all().map(|(id, b)| (id, b.serial)).collect();
        self.recall = Some(Recall { show, serials, origin, address, serial, until, fetching: false, waits: 0 });
    }

    /// Ends a restoration that is under way.
    pub fn give_up(&mut self, cx: &mut Context, why: &str) {
        if let Some(recall) = self.recall.take() {
            cx.fail(recall.origin, &recall.address, &Fault::refused(why));
        }
    }

    /// A stem was stopped: a restoration that is under way will not start it.
    pub fn leave_out(&mut self, id: i64) {
        if let Some(recall) = &mut self.recall {
            recall.show.stems.iter_mut().filter(|s| s.id == id).for_each(|s| s.playing = false);
        }
    }

    /// Whether something that was asked for before `serial` is still under way.
    pub fn is_busy_before(&self, serial: u64) -> bool {
        self.keeping.iter().any(|(tag, what)| *tag < serial && !matches!(what, Keeping::State))
            || self.recall.as_ref().is_some_and(|r| r.serial < serial)
    }

    /// Continues a restoration as loads end and starts are fetched.
    pub fn advance(&mut self, cx: &mut Context, stems: &mut Stems) {
        let Some(mut recall) = self.recall.take() else { return };
        // At its start the daemon waits for a slow stick; a client that asked for a preset is not kept waiting.
        let late = recall.origin.is_some() && cx.now() > recall.until;
        if stems.all().any(|(_, b)| !b.is_ready()) && !late {
            self.recall = Some(recall);
            return;
        }
        let is_ours = |id: i64| stems.get(id).is_some_and(|b| recall.serials.contains(&(id, b.serial)));
        let playing: Vec<(i64, Start)> =
            recall.show.stems.iter().filter(|s| s.playing && is_ours(s.id)).map(|s| (s.id, start_of(s))).collect();
        if !recall.fetching {
            recall.fetching = true;
            for (id, start) in &playing {
                stems.prime_for(cx, *id, *start);
            }
            self.recall = Some(recall);
            return;
        }
        if !late && playing.iter().any(|(id, _)| !stems.is_primed(*id)) && recall.waits < MOST_TICKS {
            recall.waits += 1;
            if recall.waits.is_multiple_of(20) {
                // Both heads of a stem were still fading when this was asked for the first time.
                for (id, start) in playing.into_iter().filter(|(id, _)| !stems.is_primed(*id)).collect::<Vec<_>>() {
                    stems.prime_for(cx, id, start);
                }
            }
            self.recall = Some(recall);
            return;
        }
        let soon = cx.soon();
        for (id, start) in playing {
            // Ready means loaded: this cannot fail.
            stems.start_exactly(cx, id, start, Some(soon));
        }
        for stem in recall.show.stems.iter().filter(|s| !s.playing && recall.serials.iter().any(|(id, _)| *id == s.id))
        {
            stems.set_start(stem.id, start_of(stem));
        }
        let is_there = |s: &&show::Stem| stems.get(s.id).is_some_and(Buffer::is_ready);
        let loaded = recall.show.stems.iter().filter(is_there).count();
        if loaded < recall.show.stems.len() && recall.origin.is_none() && cx.settings.save_every.is_some() {
            // The next state will lack them: a stick that was not plugged in must not cost the show.
            tracing::warn!(
                "{}: some stems could not be restored; the full list is saved in {INCOMPLETE_FILE}",
                recall.address
            );
            self.keep(cx, Keeping::State, FileRequest::Write(INCOMPLETE_FILE.into(), recall.show.to_bytes()));
        }
        tracing::info!("{}: {loaded} of {} stems restored", recall.address, recall.show.stems.len());
        let counts = vec![Value::Int(loaded as i64), Value::Int(recall.show.stems.len() as i64)];
        cx.done(recall.origin, &recall.address, counts);
    }
}

/// The start of a stem as it was saved.
fn start_of(stem: &show::Stem) -> Start {
    let (rate, volume, looped) = (stem.rate, stem.volume, stem.looped);
    Start { rate, volume, looped, from: stem.position, seconds: stem.seconds }
}
