//! Loading, playing, stopping.

use std::path::{Path, PathBuf};

use super::super::request::Origin;
use super::super::value::Value;
use super::super::vocabulary::{Fault, Outcome, deck_name};
use super::tempo::Sync;
use super::{Conductor, Deferred};
use crate::engine::command::{Action, Command, Play, Slot};
use crate::media::decode::Info;
use crate::media::library::Wanted;
use crate::media::loader::{Loaded, Part};
use crate::media::pool::{Done, Job};

/// Identifiers of deck A's buffers, B's, C's and D's begin here; each range is a thousand long.
pub const FIRST_ID: [i64; 4] = [100, 1100, 2100, 3100];

/// The deck a buffer plays on, by its identifier: A from 100, B from 1100, C from 2100, D from 3100. Identifiers
/// below 100 play on A, those from 4100 on D (where the older server mixed them).
pub fn deck_of(id: i64) -> usize {
    FIRST_ID.iter().rposition(|first| id >= *first).unwrap_or(0)
}

/// How a stem is to be played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Playback rate.
    pub rate: f64,
    /// Volume (linear).
    pub volume: f64,
    /// Whether it repeats.
    pub looped: bool,
    /// Where to begin, as a fraction of the file; above 1, from older clients, in seconds.
    pub from: f64,
    /// How many seconds of the file; 0 is all.
    pub seconds: f64,
}

/// A stem and what is known of it.
#[derive(Debug)]
pub struct Buffer {
    /// Its name.
    pub name: String,
    /// Its file; as the client called it until it is found.
    pub path: PathBuf,
    /// What the client called it.
    pub requested: String,
    /// Which load it came from: what is scheduled for one buffer must not find its successor.
    pub serial: u64,
    /// What became of it.
    pub state: State,
    /// How it was last told to play.
    pub start: Start,
    /// Whether it plays, or will as soon as it can.
    pub playing: bool,
    /// The start that the engine has not answered yet: its ticket, and the sample it is for.
    starting: Option<(u32, u64)>,
}

/// What became of a load.
#[derive(Debug)]
pub enum State {
    /// Under way. What it is to do afterwards, and who wants to know.
    Loading {
        /// The job.
        tag: u64,
        /// To be played when loaded: when it was to begin, how, and who asked for it.
        then: Option<(Option<u64>, Start)>,
        /// Who asked, by which address.
        asked: Vec<(Option<Origin>, String)>,
        /// Whether it is to be fetched at its start, for a cue.
        cue: Option<f64>,
        /// What has this number until the load ends well. It plays on, and stays if the load fails.
        before: Option<Box<Buffer>>,
    },
    /// Ready.
    Ready {
        /// Its place in the engine.
        slot: Slot,
        /// What the file holds.
        info: Info,
        /// Memory it takes.
        bytes: usize,
        /// Where it has been fetched, if a cue asked for it.
        primed: Option<Play>,
    },
}

/// The longest name of a stem, in bytes: the status of all of them has to fit.
const MOST_NAME: usize = 200;

/// The beginning of a text, of at most so many bytes.
fn clipped(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

impl Buffer {
    /// Memory it takes.
    fn bytes(&self) -> usize {
        match &self.state {
            State::Ready { bytes, .. } => *bytes,
            State::Loading { .. } => 0,
        }
    }

    /// Whether a load that was asked for before `serial` is still under way.
    pub(super) fn loads_before(&self, serial: u64) -> bool {
        matches!(self.state, State::Loading { tag, .. } if tag < serial)
    }

    fn slot(&self) -> Option<Slot> {
        match &self.state {
            State::Ready { slot, .. } => Some(*slot),
            State::Loading { before, .. } => before.as_ref()?.slot(),
        }
    }
}

/// A place in a file of `seconds` as a fraction of it. Up to 1 `from` is that fraction. Above it is a number of seconds,
/// as older clients send it; one beyond the end counts on from the beginning, as in a loop. 0 if the length is unknown.
pub(super) fn share(from: f64, seconds: f64) -> f64 {
    match from {
        // A fraction may have been rounded to 32 bits on its way.
        from if from <= 1.0 + 1e-6 => from.min(1.0),
        from if seconds > 0.0 => (from % seconds) / seconds,
        _ => 0.0,
    }
}

/// The stretch of a file that a start means.
pub(super) fn stretch(info: &Info, start: &Start) -> Play {
    let from = (share(start.from, info.seconds()) * info.frames as f64) as u64;
    let from = from.min(info.frames.saturating_sub(1));
    if start.seconds > 0.0 {
        let length = ((start.seconds * f64::from(info.sample_rate)) as u64).max(64);
        let end = (from + length).min(info.frames);
        return Play { from, start: from, end, looped: start.looped };
    }
    Play { from, start: 0, end: info.frames, looped: start.looped }
}

impl Conductor {
    /// Loads a file as buffer `id`. What had this number plays on until the file is there, then stops and goes; it stays
    /// if the load fails. Nothing here waits for a disk.
    pub fn load(
        &mut self,
        id: i64,
        requested: &str,
        name: &str,
        origin: Option<Origin>,
        address: &str,
    ) -> Result<Outcome, Fault> {
        Wanted::of(Part::of(requested).0).map_err(|e| Fault(e.to_string()))?;
        if self.loads_under_way >= self.settings.slots + 16 {
            return Err(Fault(format!(
                "{} files are being loaded already; wait for their /done",
                self.loads_under_way
            )));
        }
        if self.buffers.len() >= self.settings.slots && !self.buffers.contains_key(&id) {
            return Err(Fault(format!(
                "{} stems are loaded, which is the limit (media.max_stems); unload some, or /mixer_cleanup",
                self.settings.slots
            )));
        }
        let name = match name {
            "" => Path::new(requested).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default(),
            name => name.into(),
        };
        let before = match self.buffers.remove(&id) {
            Some(Buffer { state: State::Loading { asked, before, .. }, .. }) => {
                self.tell_replaced(id, asked);
                before
            }
            ready => ready.map(Box::new),
        };
        let tag = self.serial();
        let buffer = Buffer {
            name: clipped(&name, MOST_NAME).into(),
            path: requested.into(),
            requested: requested.into(),
            serial: tag,
            state: State::Loading { tag, then: None, asked: vec![(origin, address.into())], cue: None, before },
            start: Start { rate: 1.0, volume: 0.8, looped: true, from: 0.0, seconds: 0.0 },
            playing: false,
            starting: None,
        };
        self.buffers.insert(id, buffer);
        self.loads_under_way += 1;
        (self.hands.load)(Job { tag, requested: requested.into() });
        Ok(Outcome::Later)
    }

    fn tell_replaced(&mut self, id: i64, asked: Vec<(Option<Origin>, String)>) {
        for (origin, address) in asked {
            let fault = Fault(format!("buffer {id} was replaced or forgotten before it was loaded"));
            self.fail(origin, &address, &fault);
        }
    }

    /// A load has ended.
    pub(super) fn finish_load(&mut self, done: Done) {
        let now = self.now();
        if done.result.is_ok() && !self.free.iter().any(|(_, from)| *from <= now) {
            // Every place still rests from the stem that was in it; one will be clear in a moment.
            self.homeless.push(done);
            return;
        }
        self.loads_under_way = self.loads_under_way.saturating_sub(1);
        let found = self.buffers.iter().find_map(|(id, b)| match &b.state {
            State::Loading { tag, .. } if *tag == done.tag => Some(*id),
            _ => None,
        });
        // Nobody waits for it any more: it was replaced or cleaned up meanwhile.
        let Some(id) = found else { return };
        let replaced = match &self.buffers[&id].state {
            State::Loading { before: Some(before), .. } => before.bytes(),
            _ => 0,
        };
        let result = done.result.map_err(|e| e.to_string()).and_then(|loaded| {
            let others = self.media_bytes - replaced;
            if others + loaded.bytes > self.settings.media_bytes {
                return Err(format!(
                    "file '{}' needs {:.1} MB, but {:.1} of {:.1} MB are in use (media.memory_mb)",
                    loaded.path.display(),
                    megabytes(loaded.bytes),
                    megabytes(others),
                    megabytes(self.settings.media_bytes)
                ));
            }
            let now = self.now();
            let clear = self.free.iter().position(|(_, from)| *from <= now);
            let slot = clear
                .and_then(|k| self.free.remove(k))
                .map(|(slot, _)| slot)
                .ok_or("no place is free: stems that were removed are still fading out")?;
            Ok((loaded, slot))
        });
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        let State::Loading { then, asked, cue, before, .. } = &mut buffer.state else { return };
        let (then, asked, cue, before) = (then.take(), std::mem::take(asked), cue.take(), before.take());
        match result {
            Ok((loaded, slot)) => {
                tracing::info!(
                    "loaded {} as {id} on deck {} ({:.1} s, {} Hz, {} channels, {:.1} MB)",
                    buffer.name,
                    deck_name(deck_of(id)),
                    loaded.info.seconds(),
                    loaded.info.sample_rate,
                    loaded.info.channels,
                    megabytes(loaded.bytes)
                );
                let more =
                    vec![Value::Int(id), Value::from(loaded.info.seconds()), Value::from(megabytes(loaded.bytes))];
                if let Some(name) = &loaded.name {
                    buffer.name = clipped(name, MOST_NAME).into();
                }
                for remark in loaded.info.remarks() {
                    tracing::warn!("{}: {}", loaded.path.display(), remark.text);
                }
                let (others, requested) = (loaded.others, buffer.requested.clone());
                self.media_bytes += loaded.bytes;
                buffer.path = loaded.path;
                let grid = loaded.grid.unwrap_or_else(|why| {
                    tracing::warn!("beats of {}: {why}; the base tempo counts", buffer.name);
                    None
                });
                buffer.state = State::Ready { slot, info: loaded.info, bytes: loaded.bytes, primed: None };
                if let Some(before) = before {
                    self.remove_ready(id, *before, None);
                }
                if let Some(feeder) = loaded.feeder {
                    (self.hands.feed)(feeder);
                }
                self.push(None, Action::Install { slot, deck: deck_of(id), source: loaded.source });
                self.take_grid(deck_of(id), id, grid);
                self.post_stem("loaded", slot);
                if let Some(from) = cue {
                    self.prime(id, from);
                }
                if let Some((at, start)) = then {
                    self.start_ready(id, start, at);
                }
                let lacking: Vec<String> =
                    (id + 1..).zip(others).filter_map(|(id, stem)| self.add_stem(id, stem, &requested).err()).collect();
                for (origin, address) in asked {
                    match lacking.first() {
                        None => self.done(origin, &address, more.clone()),
                        Some(why) => self.fail(origin, &address, &Fault(why.clone())),
                    }
                }
            }
            Err(why) => {
                let values = vec![Value::Int(id), buffer.name.as_str().into(), why.as_str().into()];
                self.bulletin.post("/event/stem/failed", values);
                self.buffers.remove(&id);
                for deck in &mut self.decks {
                    deck.armed.take_if(|(armed, _)| *armed == id);
                }
                if let Some(before) = before {
                    self.buffers.insert(id, *before);
                }
                for (origin, address) in asked {
                    self.fail(origin, &address, &Fault(why.clone()));
                }
            }
        }
    }

    /// Takes in another stem of a file that holds several. What has its number stops and goes.
    fn add_stem(&mut self, id: i64, stem: Loaded, requested: &str) -> Result<(), String> {
        let name = stem.name.unwrap_or_default();
        self.unload(id, None);
        if self.buffers.len() >= self.settings.slots {
            return Err(format!(
                "stem '{name}' finds no place: {} stems are loaded (media.max_stems)",
                self.buffers.len()
            ));
        }
        if self.media_bytes + stem.bytes > self.settings.media_bytes {
            return Err(format!("stem '{name}' finds no memory (media.memory_mb)"));
        }
        let now = self.now();
        let clear = self.free.iter().position(|(_, from)| *from <= now).and_then(|k| self.free.remove(k));
        let (slot, _) =
            clear.ok_or_else(|| format!("stem '{name}' finds no place: removed stems are still fading out"))?;
        tracing::info!("loaded {name} as {id} on deck {} (a stem of the same file)", deck_name(deck_of(id)));
        self.media_bytes += stem.bytes;
        let buffer = Buffer {
            name: clipped(&name, MOST_NAME).into(),
            path: stem.path,
            requested: format!("{requested} ({name})"),
            serial: self.serial(),
            state: State::Ready { slot, info: stem.info, bytes: stem.bytes, primed: None },
            start: Start { rate: 1.0, volume: 0.8, looped: true, from: 0.0, seconds: 0.0 },
            playing: false,
            starting: None,
        };
        self.buffers.insert(id, buffer);
        if let Some(feeder) = stem.feeder {
            (self.hands.feed)(feeder);
        }
        self.push(None, Action::Install { slot, deck: deck_of(id), source: stem.source });
        self.post_stem("loaded", slot);
        Ok(())
    }

    /// Stops and forgets a buffer; a number that is not there is fine.
    pub fn unload(&mut self, id: i64, at: Option<u64>) {
        let Some(buffer) = self.buffers.remove(&id) else { return };
        match buffer.state {
            State::Ready { .. } => self.remove_ready(id, buffer, at),
            State::Loading { asked, before, .. } => {
                self.tell_replaced(id, asked);
                if let Some(before) = before {
                    self.remove_ready(id, *before, at);
                }
            }
        }
    }

    /// Takes a buffer that is no longer known out of the engine.
    fn remove_ready(&mut self, id: i64, buffer: Buffer, at: Option<u64>) {
        let State::Ready { slot, bytes, .. } = buffer.state else { return };
        self.take_grid(deck_of(id), id, None);
        self.media_bytes = self.media_bytes.saturating_sub(bytes);
        self.bulletin.post("/event/stem/unloaded", vec![Value::Int(id)]);
        self.push(at, Action::Remove { slot });
    }

    /// Stops and forgets everything, and the bundles of whoever asks for it; levels, equalisers and tempo stay.
    pub fn cleanup(&mut self, at: Option<u64>, origin: Option<Origin>) {
        self.silence_voices(at);
        for id in self.buffers.keys().copied().collect::<Vec<_>>() {
            self.unload(id, at);
        }
        for deck in &mut self.decks {
            deck.armed = None;
        }
        for thing in self.waiting.forget(origin) {
            if let Deferred::Group { origin, address, .. } = thing {
                self.fail(origin, &address, &Fault("everything was cleaned up before its time came".into()));
            }
        }
        self.give_up_recall("everything was cleaned up before it was there");
    }

    /// Plays a buffer if it is still the one from load `serial`.
    pub(super) fn play_same(&mut self, id: i64, serial: u64, at: u64) {
        let start = Start { rate: 1.0, volume: 0.8, looped: true, from: 0.0, seconds: 0.0 };
        if self.buffers.get(&id).is_some_and(|b| b.serial == serial) {
            // It is there: this cannot fail.
            let _ = self.play(id, start, Some(at));
        }
    }

    fn buffer(&mut self, id: i64) -> Result<&mut Buffer, Fault> {
        let known: Vec<String> = self.buffers.keys().take(8).map(i64::to_string).collect();
        self.buffers.get_mut(&id).ok_or_else(|| {
            Fault(match known.as_slice() {
                [] => format!("argument 'id' is {id}: nothing is loaded; /load_buffer comes first"),
                _ => format!("argument 'id' is {id}: loaded are {}", known.join(", ")),
            })
        })
    }

    /// Plays a buffer, at sample `at` or at once; one that is still loading plays when it is there.
    pub fn play(&mut self, id: i64, start: Start, at: Option<u64>) -> Result<Outcome, Fault> {
        let buffer = self.buffer(id)?;
        buffer.start = start;
        buffer.playing = true;
        if let State::Loading { then, .. } = &mut buffer.state {
            *then = Some((at, start));
        } else {
            self.start_ready(id, start, at);
        }
        Ok(Outcome::Done)
    }

    /// Starts a buffer that is there, on a beat or bar of the clock if its deck is set so.
    fn start_ready(&mut self, id: i64, start: Start, at: Option<u64>) {
        let deck = deck_of(id);
        let Some(State::Ready { info, .. }) = self.buffers.get(&id).map(|b| &b.state) else { return };
        let seconds = info.seconds();
        let start = Start { from: share(start.from, seconds), ..start };
        let (start, at) = match self.decks[deck].pace.sync {
            Sync::Off | Sync::Tempo => (start, at),
            Sync::Beat | Sync::Bar => {
                let start = Start { from: self.snapped(deck, start.from, seconds), ..start };
                (start, Some(self.quantised(deck, &start, seconds, at.unwrap_or(self.soon()))))
            }
        };
        self.start_exactly(id, start, at);
    }

    /// Starts a buffer where and when it is told; one that is still loading when it is there.
    pub(super) fn start_exactly(&mut self, id: i64, start: Start, at: Option<u64>) {
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        buffer.playing = true;
        buffer.start = start;
        if let State::Loading { then, .. } = &mut buffer.state {
            *then = Some((at, start));
        }
        let State::Ready { slot, info, .. } = &buffer.state else { return };
        let (slot, play) = (*slot, stretch(info, &start));
        if at.is_some() {
            self.push(None, Action::Prime { slot, play });
        }
        let (ticket, due) = (self.number(), at.unwrap_or(self.now()));
        if let Some(buffer) = self.buffers.get_mut(&id) {
            buffer.starting = Some((ticket, due));
        }
        let action = Action::Start { slot, play, rate: start.rate, gain: start.volume as f32 };
        self.outbox.push_back(Command { at, ticket, action });
    }

    /// The engine has done, or refused, what has this ticket.
    pub(super) fn start_arrived(&mut self, ticket: u32) {
        if let Some(buffer) = self.buffers.values_mut().find(|b| b.starting.is_some_and(|(t, _)| t == ticket)) {
            buffer.starting = None;
        }
    }

    /// Fetches what a start at `from` will need.
    pub(super) fn prime(&mut self, id: i64, from: f64) {
        let seconds = match self.buffers.get(&id).map(|b| &b.state) {
            Some(State::Ready { info, .. }) => info.seconds(),
            _ => 0.0,
        };
        let place = if seconds > 0.0 { share(from, seconds) } else { from };
        let from = self.snapped(deck_of(id), place, seconds);
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        match &mut buffer.state {
            State::Loading { cue, .. } => *cue = Some(from),
            State::Ready { slot, info, primed, .. } => {
                buffer.start.from = share(buffer.start.from, seconds);
                let start = Start { rate: 1.0, volume: 0.8, looped: true, from, seconds: 0.0 };
                let play = stretch(info, &start);
                *primed = None;
                let slot = *slot;
                self.push(None, Action::Prime { slot, play });
            }
        }
    }

    /// Fetches what this very start will need.
    pub(super) fn prime_for(&mut self, id: i64, start: Start) {
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        buffer.start = start;
        if let State::Ready { slot, info, primed, .. } = &mut buffer.state {
            let (slot, play) = (*slot, stretch(info, &start));
            *primed = None;
            self.push(None, Action::Prime { slot, play });
        }
    }

    pub(super) fn primed(&mut self, slot: Slot) {
        for buffer in self.buffers.values_mut() {
            if let State::Ready { slot: s, primed, info, .. } = &mut buffer.state
                && *s == slot
            {
                *primed = Some(stretch(info, &buffer.start));
            }
        }
    }

    /// Whether a cued buffer can start on its sample.
    pub(super) fn is_primed(&self, id: i64) -> bool {
        self.buffers.get(&id).is_some_and(|b| matches!(b.state, State::Ready { primed: Some(_), .. }))
    }

    /// Posts that something became of a stem.
    pub(super) fn post_stem(&self, what: &str, slot: Slot) {
        if let Some((id, buffer)) = self.buffers.iter().find(|(_, b)| b.slot() == Some(slot)) {
            let values = vec![Value::Int(*id), buffer.name.as_str().into(), deck_name(deck_of(*id)).into()];
            self.bulletin.post(format!("/event/stem/{what}"), values);
        }
    }

    pub(super) fn started(&mut self, slot: Slot, _at: u64, late: u64) {
        self.post_stem("started", slot);
        if late > 0 {
            let ms = late as f64 * 1000.0 / f64::from(self.settings.sample_rate);
            tracing::debug!(
                "stem {} began {ms:.1} ms after it was asked for: it had to be fetched",
                self.name_of(slot)
            );
        }
    }

    pub(super) fn ended(&mut self, slot: Slot, still: bool) {
        let now = self.now();
        let a_second = u64::from(self.settings.sample_rate);
        if let Some(buffer) = self.buffers.values_mut().find(|b| b.slot() == Some(slot))
            && !still
        {
            // The end of what played before says nothing of what is about to. An answer that got lost does not count.
            buffer.playing &= buffer.starting.is_some_and(|(_, at)| now < at + a_second);
            self.post_stem("ended", slot);
        }
    }

    pub(super) fn name_of(&self, slot: Slot) -> String {
        self.buffers
            .iter()
            .find(|(_, b)| b.slot() == Some(slot))
            .map_or_else(|| "(removed)".into(), |(id, b)| format!("{} ({id})", b.name))
    }

    /// Stops a buffer; one that does not play is fine.
    pub fn stop(&mut self, id: i64, at: Option<u64>) {
        self.leave_out_of_recall(id);
        if let Some(buffer) = self.buffers.get_mut(&id) {
            buffer.playing = false;
            // A start that waits for a beat is not to be heard either; one that was asked for by its moment is.
            let waits = buffer.starting.filter(|_| at.is_none() && self.decks[deck_of(id)].pace.starts_on_beats());
            if let Some((ticket, _)) = waits {
                buffer.starting = None;
                self.push(None, Action::Cancel { ticket });
            }
            let Some(buffer) = self.buffers.get_mut(&id) else { return };
            match &mut buffer.state {
                State::Loading { then, before, .. } => {
                    *then = None;
                    if let Some(before) = before {
                        before.playing = false;
                    }
                }
                State::Ready { .. } => {}
            }
            if let Some(slot) = buffer.slot() {
                self.push(at, Action::Stop { slot });
            }
        }
    }

    /// Stops everything on a deck.
    pub fn stop_deck(&mut self, deck: usize, at: Option<u64>) {
        for id in self.ids_on(deck) {
            self.stop(id, at);
        }
    }

    pub(super) fn ids_on(&self, deck: usize) -> Vec<i64> {
        self.buffers.keys().copied().filter(|id| deck_of(*id) == deck).collect()
    }

    /// Sets a buffer's volume.
    pub fn set_volume(&mut self, id: i64, volume: f64, at: Option<u64>) -> Result<Outcome, Fault> {
        let buffer = self.buffer(id)?;
        buffer.start.volume = volume;
        match &mut buffer.state {
            State::Loading { then, .. } => {
                if let Some((_, start)) = then {
                    start.volume = volume;
                }
            }
            State::Ready { slot, .. } => {
                let slot = *slot;
                self.push(at, Action::StemGain { slot, gain: volume as f32 });
            }
        }
        Ok(Outcome::Done)
    }

    /// Sets a buffer's playback rate.
    pub fn set_rate(&mut self, id: i64, rate: f64, at: Option<u64>) -> Result<Outcome, Fault> {
        let buffer = self.buffer(id)?;
        buffer.start.rate = rate;
        match &mut buffer.state {
            State::Loading { then, .. } => {
                if let Some((_, start)) = then {
                    start.rate = rate;
                }
            }
            State::Ready { slot, .. } => {
                let slot = *slot;
                self.push(at, Action::StemRate { slot, rate });
            }
        }
        Ok(Outcome::Done)
    }

    /// Goes to another place of a buffer that plays.
    pub fn seek(&mut self, id: i64, from: f64, at: Option<u64>) -> Result<Outcome, Fault> {
        let buffer = self.buffer(id)?;
        if !buffer.playing {
            return Err(Fault(format!("buffer {id} does not play; /play_stem starts it anywhere")));
        }
        let start = Start { from, ..buffer.start };
        self.play(id, start, at)
    }

    /// Whether this file is loaded (or loading) under this number, as far as can be told without looking at a disk.
    pub(super) fn holds(&self, id: i64, requested: &str) -> bool {
        self.buffers.get(&id).is_some_and(|b| b.requested == requested || b.path == Path::new(requested))
    }

    /// Adds someone to those told when a load ends; `false` if it has ended already.
    pub(super) fn await_load(&mut self, id: i64, origin: Option<Origin>, address: &str) -> bool {
        match self.buffers.get_mut(&id).map(|b| &mut b.state) {
            Some(State::Loading { asked, .. }) => {
                asked.push((origin, address.into()));
                true
            }
            _ => false,
        }
    }
}

/// Bytes as millions of them.
pub fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
