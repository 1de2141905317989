//! Keeping shows and bringing them back: the state file, and presets.

use std::time::Instant;

use super::super::request::{Message, Origin};
use super::super::show::{self, FORM, Show};
use super::super::value::Value;
use super::super::vocabulary::{Fault, Outcome};
use super::Conductor;
use super::stems::{Start, State, share};
use crate::system::keeper::{Found, Job, Kept, Wish};

/// The state's file.
pub const STATE_FILE: &str = "state.json";

/// Turns (of about ten milliseconds) for which fetched starts are waited for: a disk that fails must not hold up the rest.
const MOST_TURNS: u32 = 1_000;

/// Where a state is put of which not everything came back.
const INCOMPLETE_FILE: &str = "state.incomplete.json";

/// What a job of the keeper is for.
pub(super) enum Keeping {
    State,
    Preset { origin: Option<Origin>, address: String, name: String },
    Recall { origin: Option<Origin>, address: String, name: String },
    List { origin: Option<Origin>, address: String },
}

/// A show on its way back: everything is loaded first, then fetched, then started on one sample.
pub(super) struct Recall {
    show: Show,
    /// The loads its stems come from: a stem that was loaded anew meanwhile is not its own any more.
    serials: Vec<(i64, u64)>,
    origin: Option<Origin>,
    address: String,
    /// Which request it is.
    serial: u64,
    until: u64,
    fetching: bool,
    /// Turns for which starts were waited for.
    waits: u32,
}

impl Conductor {
    /// Everything as it is now.
    pub fn show(&self) -> Show {
        // Positions belong together: all from one block.
        let positions =
            |c: &Conductor| -> Vec<f64> { c.door.telemetry.stems.iter().map(|cell| cell.position_frames()).collect() };
        let mut at = positions(self);
        for _ in 0..4 {
            let before = self.now();
            at = positions(self);
            if self.now() == before {
                break;
            }
        }
        let stems = self.buffers.iter().map(|(id, buffer)| {
            let length = if let State::Ready { info, .. } = &buffer.state { info.seconds() } else { 0.0 };
            let from = share(buffer.start.from, length);
            let mut position = from;
            if let State::Ready { slot, info, .. } = &buffer.state
                && let Some(frame) = at.get(usize::from(*slot))
                // One that is about to start shows no position yet.
                && self.door.telemetry.stems.get(usize::from(*slot)).is_some_and(|s| s.is_playing())
            {
                // Half a frame on, so that cutting off finds this frame again.
                position = ((frame.floor() + 0.5) / info.frames.max(1) as f64).clamp(0.0, 1.0);
            }
            show::Stem {
                id: *id,
                name: buffer.name.clone(),
                path: buffer.path.display().to_string(),
                rate: buffer.start.rate,
                volume: buffer.start.volume,
                looped: buffer.start.looped,
                seconds: buffer.start.seconds,
                playing: buffer.playing,
                // A stretch begins where it began.
                position: if buffer.start.seconds > 0.0 { from } else { position },
            }
        });
        Show {
            form: FORM,
            tempo: self.tempo,
            base_tempo: self.settings.bpm,
            meter: self.meter,
            master: self.master,
            crossfade: self.crossfade.0,
            curve: self.crossfade.1.clone(),
            decks: self.decks.iter().map(super::Deck::shown).collect(),
            stems: stems.collect(),
            controls: (self.settings.voices > 0).then(|| self.shown_voices()),
            learned: Some(self.shown_learned()),
        }
    }

    /// Keeps the state if it is time and anything has changed.
    pub(super) fn keep_state(&mut self) {
        let Some(every) = self.settings.save_every else { return };
        let now = Instant::now();
        if now.saturating_duration_since(self.kept_at) < every || self.recall.is_some() {
            return;
        }
        self.kept_at = now;
        self.save_state();
    }

    /// Keeps the state now, if it has changed.
    pub fn save_state(&mut self) {
        // What is still on its way back is better kept as it was.
        if self.settings.save_every.is_none() || self.recall.is_some() {
            return;
        }
        let bytes = self.show().to_bytes();
        if bytes != self.kept {
            self.kept.clone_from(&bytes);
            self.keep(Keeping::State, Wish::Write(STATE_FILE.into(), bytes));
        }
    }

    fn keep(&mut self, what: Keeping, wish: Wish) {
        let tag = self.serial();
        self.keeping.insert(tag, what);
        (self.hands.keep)(Job { tag, wish });
    }

    fn may_keep(&self) -> Result<(), Fault> {
        if !self.settings.keeps {
            return Err(Fault("there is no folder for presets; state.folder in the configuration names one".into()));
        }
        if self.keeping.len() > 64 {
            return Err(Fault("the disk is still busy with earlier presets".into()));
        }
        Ok(())
    }

    /// Keeps everything under a name.
    pub fn save_preset(&mut self, name: &str, origin: Option<Origin>, address: &str) -> Result<Outcome, Fault> {
        self.may_keep()?;
        let file = show::preset_file(name).map_err(Fault)?;
        let bytes = self.show().to_bytes();
        self.keep(Keeping::Preset { origin, address: address.into(), name: name.into() }, Wish::Write(file, bytes));
        Ok(Outcome::Later)
    }

    /// Brings back what was kept under a name.
    pub fn load_preset(&mut self, name: &str, origin: Option<Origin>, address: &str) -> Result<Outcome, Fault> {
        self.may_keep()?;
        let file = show::preset_file(name).map_err(Fault)?;
        self.keep(Keeping::Recall { origin, address: address.into(), name: name.into() }, Wish::Read(file));
        Ok(Outcome::Later)
    }

    /// Forgets what was kept under a name.
    pub fn delete_preset(&mut self, name: &str, origin: Option<Origin>, address: &str) -> Result<Outcome, Fault> {
        self.may_keep()?;
        let file = show::preset_file(name).map_err(Fault)?;
        self.keep(Keeping::Preset { origin, address: address.into(), name: name.into() }, Wish::Remove(file));
        Ok(Outcome::Later)
    }

    /// Answers with the names of presets.
    pub fn list_presets(&mut self, origin: Option<Origin>, address: &str) -> Result<Outcome, Fault> {
        self.may_keep()?;
        self.keep(Keeping::List { origin, address: address.into() }, Wish::List("presets".into()));
        Ok(Outcome::Later)
    }

    /// A job of the keeper has ended.
    pub fn kept(&mut self, kept: Kept) {
        let missing = |name: &str, e: &std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => Fault(format!(
                "argument 'name' is {name:?}: there is no such preset; /groove/preset/list tells which there are"
            )),
            _ => Fault(format!("preset {name:?}: {e}")),
        };
        match (self.keeping.remove(&kept.tag), kept.result) {
            (Some(Keeping::State), Err(e)) => {
                // Tried again the next time.
                self.kept.clear();
                tracing::warn!("the state could not be kept: {e} (state.folder)");
            }
            (Some(Keeping::Preset { origin, address, name }), Ok(_)) => {
                self.done(origin, &address, vec![name.into()]);
            }
            (Some(Keeping::Preset { origin, address, name }), Err(e)) => {
                self.fail(origin, &address, &missing(&name, &e));
            }
            (Some(Keeping::Recall { origin, address, name }), Ok(Found::Bytes(bytes))) => match Show::parse(&bytes) {
                Ok(show) => self.recall(show, origin, &address, kept.tag),
                Err(why) => self.fail(origin, &address, &Fault(format!("preset {name:?} is damaged: {why}"))),
            },
            (Some(Keeping::Recall { origin, address, name }), Err(e)) => {
                self.fail(origin, &address, &missing(&name, &e));
            }
            (Some(Keeping::List { origin, address }), Ok(Found::Names(names))) => {
                let names = names.iter().filter_map(|n| n.strip_suffix(".json")).map(Value::from).collect();
                self.done(origin, &address, names);
            }
            (Some(Keeping::List { origin, address }), Err(e)) => {
                self.fail(origin, &address, &Fault(format!("presets: {e}")));
            }
            _ => {}
        }
        self.flush();
    }

    /// Brings the show of an earlier life back.
    pub fn restore(&mut self, show: Show) {
        let serial = self.serial();
        self.recall(show, None, "restore", serial);
    }

    /// Brings a show back: settings at once, stems when all of them are loaded and fetched, on one sample. `serial` is
    /// when it was asked for.
    fn recall(&mut self, show: Show, origin: Option<Origin>, address: &str, serial: u64) {
        self.give_up_recall("another preset was asked for before this one was there");
        for (address, values) in show.settings() {
            self.call(None, Message::new(address, values), None);
        }
        if let Some(learned) = &show.learned {
            self.recall_learned(learned);
        }
        if let Some(controls) = &show.controls {
            self.recall_voices(controls);
        }
        for id in self.buffers.keys().copied().collect::<Vec<_>>() {
            let stays = show.stems.iter().find(|s| s.id == id && self.holds(id, &s.path));
            match stays {
                None => self.unload(id, None),
                Some(stem) if !stem.playing => self.stop(id, None),
                Some(_) => {}
            }
        }
        for stem in &show.stems {
            if !self.holds(stem.id, &stem.path)
                && let Err(fault) = self.load(stem.id, &stem.path, &stem.name, None, address)
            {
                // The others play on without it.
                tracing::warn!("{address}: stem {} does not come back: {}", stem.name, fault.0);
            }
        }
        let until = self.now() + self.frames(self.settings.group_wait_s);
        let serials = self.buffers.iter().map(|(id, b)| (*id, b.serial)).collect();
        self.recall =
            Some(Recall { show, serials, origin, address: address.into(), serial, until, fetching: false, waits: 0 });
    }

    /// Lets a recall that is under way be, and says why.
    pub(super) fn give_up_recall(&mut self, why: &str) {
        if let Some(recall) = self.recall.take() {
            self.fail(recall.origin, &recall.address, &Fault(why.into()));
        }
    }

    /// Someone stopped a stem: a recall that is under way will not start it.
    pub(super) fn leave_out_of_recall(&mut self, id: i64) {
        if let Some(recall) = &mut self.recall {
            recall.show.stems.iter_mut().filter(|s| s.id == id).for_each(|s| s.playing = false);
        }
    }

    /// Whether something of the keeper's or the recorder's that was asked for before `serial` is still under way.
    pub(super) fn is_keeping_before(&self, serial: u64) -> bool {
        self.keeping.iter().any(|(tag, what)| *tag < serial && !matches!(what, Keeping::State))
            || self.recall.as_ref().is_some_and(|r| r.serial < serial)
            || self.recording.as_ref().is_some_and(|r| r.is_changing_since_before(serial))
    }

    /// Goes on with a recall as loads end and starts are fetched.
    pub(super) fn advance_recall(&mut self) {
        let Some(mut recall) = self.recall.take() else { return };
        // A start of the daemon has no hurry: a slow stick is waited for. Whoever asked for a preset is not kept waiting.
        let late = recall.origin.is_some() && self.now() > recall.until;
        if self.buffers.values().any(|b| matches!(b.state, State::Loading { .. })) && !late {
            self.recall = Some(recall);
            return;
        }
        let ours =
            |c: &Conductor, id: i64| c.buffers.get(&id).is_some_and(|b| recall.serials.contains(&(id, b.serial)));
        let playing: Vec<(i64, Start)> = recall
            .show
            .stems
            .iter()
            .filter(|s| s.playing && ours(self, s.id))
            .map(|s| {
                let (rate, volume, looped) = (s.rate, s.volume, s.looped);
                (s.id, Start { rate, volume, looped, from: s.position, seconds: s.seconds })
            })
            .collect();
        if !recall.fetching {
            recall.fetching = true;
            for (id, start) in &playing {
                self.prime_for(*id, *start);
            }
            self.recall = Some(recall);
            return;
        }
        if !late && playing.iter().any(|(id, _)| !self.is_primed(*id)) && recall.waits < MOST_TURNS {
            recall.waits += 1;
            if recall.waits.is_multiple_of(20) {
                // Both heads of a stem were still fading when this was asked for the first time.
                for (id, start) in playing.into_iter().filter(|(id, _)| !self.is_primed(*id)).collect::<Vec<_>>() {
                    self.prime_for(id, start);
                }
            }
            self.recall = Some(recall);
            return;
        }
        let soon = self.now() + 2 * self.report.period_frames.load(std::sync::atomic::Ordering::Relaxed) + 64;
        for (id, start) in playing {
            // Ready means loaded: this cannot fail.
            self.start_exactly(id, start, Some(soon));
        }
        for stem in recall.show.stems.iter().filter(|s| !s.playing && recall.serials.iter().any(|(id, _)| *id == s.id))
        {
            if let Some(buffer) = self.buffers.get_mut(&stem.id) {
                let (rate, volume, looped) = (stem.rate, stem.volume, stem.looped);
                buffer.start = Start { rate, volume, looped, from: stem.position, seconds: stem.seconds };
            }
        }
        let is_there =
            |s: &&show::Stem| self.buffers.get(&s.id).is_some_and(|b| matches!(b.state, State::Ready { .. }));
        let loaded = recall.show.stems.iter().filter(is_there).count();
        if loaded < recall.show.stems.len() && recall.origin.is_none() && self.settings.save_every.is_some() {
            // The next state will lack them: a stick that was not there must not cost the show.
            tracing::warn!("what was to come back is kept in {INCOMPLETE_FILE}");
            self.keep(Keeping::State, Wish::Write(INCOMPLETE_FILE.into(), recall.show.to_bytes()));
        }
        tracing::info!("{}: {loaded} of {} stems are back", recall.address, recall.show.stems.len());
        let counts = vec![Value::Int(loaded as i64), Value::Int(recall.show.stems.len() as i64)];
        self.done(recall.origin, &recall.address, counts);
    }
}
