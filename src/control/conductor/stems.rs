//! Stems: loading, playing, stopping.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use super::buffer::{Buffer, Cue, MOST_NAME, Playhead, Start, State, clipped, deck_of, megabytes, share, stretch};
use super::context::Context;
use super::pace::Sync;
use super::tempo::Tempo;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::Origin;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Outcome, deck_name};
use crate::engine::DECKS;
use crate::engine::command::{Action, Slot};
use crate::engine::source::Play;
use crate::genome::{Address, is_address};
use crate::media::decode::Info;
use crate::media::library::Wanted;
use crate::media::loader::{Loaded, Part};
use crate::media::pool::{Done, LoadJob};

/// Places beyond one per stem, for those that rest.
pub const SPARE_SLOTS: usize = 64;
/// Most buffers that an error lists.
const MOST_LISTED: usize = 8;

/// All stems, loaded or on their way.
pub struct Stems {
    buffers: BTreeMap<i64, Buffer>,
    /// Places in the engine, and the samples from which on they may be used.
    free: VecDeque<(Slot, u64)>,
    /// Bytes of all loaded stems.
    bytes: usize,
    loads_under_way: usize,
    /// Number of the buffer whose load last failed for lack of room.
    roomless: BTreeSet<i64>,
    /// Loaded stems for which no place is clear yet.
    waiting_for_slot: Vec<Done>,
    /// By deck: what a cue has made ready.
    pub cues: [Option<Cue>; DECKS],
}

impl Stems {
    /// Room for `slots` stems.
    pub fn new(slots: usize) -> Stems {
        // Some more places than stems: a place rests for a moment after its stem has gone.
        let places = slots + slots.min(SPARE_SLOTS);
        Stems {
            buffers: BTreeMap::new(),
            free: (0..places as Slot).map(|slot| (slot, 0)).collect(),
            bytes: 0,
            loads_under_way: 0,
            roomless: BTreeSet::new(),
            waiting_for_slot: Vec::new(),
            cues: [None; DECKS],
        }
    }

    /// All buffers, by number.
    pub fn all(&self) -> impl Iterator<Item = (i64, &Buffer)> {
        self.buffers.iter().map(|(id, buffer)| (*id, buffer))
    }

    /// A buffer.
    pub fn get(&self, id: i64) -> Option<&Buffer> {
        self.buffers.get(&id)
    }

    /// How many buffers there are.
    pub fn count(&self) -> usize {
        self.buffers.len()
    }

    /// The numbers of all buffers.
    pub fn ids(&self) -> Vec<i64> {
        self.buffers.keys().copied().collect()
    }

    /// The numbers of a deck's buffers.
    pub fn ids_on(&self, deck: usize) -> Vec<i64> {
        self.buffers.keys().copied().filter(|id| deck_of(*id) == deck).collect()
    }

    /// Buffers of a deck that play, or will as soon as they can.
    pub fn playing_on(&self, deck: usize) -> impl Iterator<Item = &Buffer> {
        self.buffers.iter().filter(move |(id, b)| deck_of(**id) == deck && b.playing).map(|(_, b)| b)
    }

    /// Bytes of all loaded stems.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the latest load of a buffer failed because there was no room for it.
    pub fn lacked_room(&self, id: i64) -> bool {
        self.roomless.contains(&id)
    }

    /// Whether a load that was asked for before `serial` is still under way.
    pub fn loads_before(&self, serial: u64) -> bool {
        self.buffers.values().any(|b| b.loads_before(serial))
    }

    /// Loads a file as buffer `id`. A buffer with this number plays on until the file is loaded, then stops and goes; it
    /// stays if the load fails. Nothing here waits for a disk.
    ///
    /// # Errors
    /// If the path is not one of a media root, or a limit is reached.
    pub fn load(
        &mut self,
        cx: &mut Context,
        id: i64,
        (requested, name): (&str, &str),
        origin: Option<Origin>,
        address: &str,
    ) -> Result<Outcome, Fault> {
        let usual_name = usual_name(requested)?;
        let slots = cx.settings.media.slots;
        if self.loads_under_way >= slots + 16 {
            return Err(Fault::refused(format!(
                "{} files are being loaded already; wait for their /done",
                self.loads_under_way
            )));
        }
        if self.buffers.len() >= slots && !self.buffers.contains_key(&id) {
            return Err(Fault::refused(format!(
                "{slots} stems are loaded, which is the limit (media.max_stems); unload some, or /mixer_cleanup"
            )));
        }
        let name = match name {
            "" => usual_name,
            name => name.into(),
        };
        let before = match self.buffers.remove(&id) {
            Some(Buffer { state: State::Loading { asked, before, .. }, .. }) => {
                fail_replaced(cx, id, asked);
                before
            }
            ready => ready.map(Box::new),
        };
        self.roomless.remove(&id);
        let tag = cx.next_serial();
        let asked = vec![(origin, address.into())];
        let buffer = Buffer {
            name: clipped(&name, MOST_NAME).into(),
            path: requested.into(),
            requested: requested.into(),
            serial: tag,
            state: State::Loading { tag, then: None, asked, cue: None, before },
            start: Start::at(0.0),
            playing: false,
            starting: None,
        };
        self.buffers.insert(id, buffer);
        self.loads_under_way += 1;
        cx.services.load(LoadJob { tag, requested: requested.into() });
        Ok(Outcome::Later)
    }

    /// Returns whether a stem that was loaded from `path` has been started and has not been stopped.
    pub fn is_playing(&self, id: i64, path: &str) -> bool {
        let is_it = |b: &&Buffer| b.playing && b.requested == path && matches!(b.state, State::Ready { .. });
        self.buffers.get(&id).filter(is_it).is_some()
    }

    /// The path from which a stem was loaded, as requested.
    pub fn requested(&self, id: i64) -> Option<&str> {
        self.buffers.get(&id).map(|buffer| buffer.requested.as_str())
    }

    /// Takes in a load that has ended.
    pub fn finish_load(&mut self, cx: &mut Context, tempo: &mut Tempo, done: Done) {
        let now = cx.now();
        if done.result.is_ok() && !self.free.iter().any(|(_, from)| *from <= now) {
            // Every place still rests from the stem that was in it; one will be clear in a moment.
            self.waiting_for_slot.push(done);
            return;
        }
        self.loads_under_way = self.loads_under_way.saturating_sub(1);
        let found = self.buffers.iter().find_map(|(id, b)| match &b.state {
            State::Loading { tag, .. } if *tag == done.tag => Some(*id),
            _ => None,
        });
        // Otherwise it was replaced or cleaned up meanwhile.
        let Some(id) = found else { return };
        let result = done.result.map_err(|e| e.to_string()).and_then(|loaded| {
            let slot = self.place_for(cx, id, &loaded).inspect_err(|_| {
                self.roomless.insert(id);
            })?;
            Ok((loaded, slot))
        });
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        let State::Loading { then, asked, cue, before, .. } = &mut buffer.state else { return };
        let (then, asked, cue, before) = (then.take(), std::mem::take(asked), cue.take(), before.take());
        match result {
            Ok((loaded, slot)) => {
                let more =
                    vec![Value::Int(id), Value::from(loaded.info.seconds()), Value::from(megabytes(loaded.bytes))];
                let (others, requested) = self.install(cx, tempo, (id, slot), before, loaded);
                if let Some(from) = cue {
                    self.prime(cx, tempo, id, from);
                }
                if let Some((at, start)) = then {
                    self.start_ready(cx, tempo, id, start, at);
                }
                let lacking: Vec<String> = (id + 1..)
                    .zip(others)
                    .filter_map(|(id, stem)| self.add_stem(cx, tempo, id, stem, &requested).err())
                    .collect();
                for (origin, address) in asked {
                    match lacking.first() {
                        None => cx.done(origin, &address, more.clone()),
                        Some(why) => cx.fail(origin, &address, &Fault::refused(why.clone())),
                    }
                }
            }
            Err(why) => {
                let values = vec![Value::Int(id), buffer.name.as_str().into(), why.as_str().into()];
                cx.events.post("/event/stem/failed", values);
                self.buffers.remove(&id);
                for cue in &mut self.cues {
                    cue.take_if(|cue| cue.id == id);
                }
                if let Some(before) = before {
                    self.buffers.insert(id, *before);
                }
                for (origin, address) in asked {
                    cx.fail(origin, &address, &Fault::refused(why.clone()));
                }
            }
        }
    }

    /// A place in the engine for a file that was loaded as buffer `id`, if there is memory for it.
    fn place_for(&mut self, cx: &Context, id: i64, loaded: &Loaded) -> Result<Slot, String> {
        let replaced = match self.buffers.get(&id).map(|b| &b.state) {
            Some(State::Loading { before: Some(before), .. }) => before.bytes(),
            _ => 0,
        };
        let (others, most) = (self.bytes - replaced, cx.settings.media.bytes);
        if others + loaded.bytes > most {
            return Err(format!(
                "file '{}' needs {:.1} MB, but {:.1} of {:.1} MB are in use (media.memory_mb)",
                loaded.path.display(),
                megabytes(loaded.bytes),
                megabytes(others),
                megabytes(most)
            ));
        }
        self.take_place(cx.now()).ok_or_else(|| "no place is free: removed stems are still fading out".into())
    }

    /// Takes a place in the engine that is clear, if there is one.
    fn take_place(&mut self, now: u64) -> Option<Slot> {
        let clear = self.free.iter().position(|(_, from)| *from <= now)?;
        self.free.remove(clear).map(|(slot, _)| slot)
    }

    /// Gives a loaded file to the engine in place of what had its number. Returns the other stems of the same file, and
    /// what the client called the file.
    fn install(
        &mut self,
        cx: &mut Context,
        tempo: &mut Tempo,
        (id, slot): (i64, Slot),
        before: Option<Box<Buffer>>,
        loaded: Loaded,
    ) -> (Vec<Loaded>, String) {
        let Some(buffer) = self.buffers.get_mut(&id) else { return (Vec::new(), String::new()) };
        tracing::info!(
            "loaded {} as {id} on deck {} ({:.1} s, {} Hz, {} channels, {:.1} MB)",
            buffer.name,
            deck_name(deck_of(id)),
            loaded.info.seconds(),
            loaded.info.sample_rate,
            loaded.info.channels,
            megabytes(loaded.bytes)
        );
        if let Some(name) = &loaded.name {
            buffer.name = clipped(name, MOST_NAME).into();
        }
        for remark in loaded.info.remarks() {
            tracing::warn!("{}: {}", loaded.path.display(), remark.text);
        }
        let requested = buffer.requested.clone();
        self.bytes += loaded.bytes;
        buffer.path = loaded.path;
        let grid = loaded.grid.unwrap_or_else(|why| {
            tracing::warn!("beats of {}: {why}; using the base tempo", buffer.name);
            None
        });
        buffer.state = State::Ready { slot, info: loaded.info, bytes: loaded.bytes, primed: None };
        if let Some(before) = before {
            self.remove_ready(cx, tempo, id, *before, None);
        }
        if let Some(feeder) = loaded.feeder {
            cx.services.feed(feeder);
        }
        cx.push(None, Action::Install { slot, deck: deck_of(id), source: loaded.source });
        tempo.take_grid(cx, deck_of(id), id, grid);
        self.post(cx, "loaded", slot);
        (loaded.others, requested)
    }

    /// Takes in another stem of a file that holds several. A buffer with its number stops and goes.
    fn add_stem(
        &mut self,
        cx: &mut Context,
        tempo: &mut Tempo,
        id: i64,
        stem: Loaded,
        requested: &str,
    ) -> Result<(), String> {
        let name = stem.name.unwrap_or_default();
        self.unload(cx, tempo, id, None);
        if self.buffers.len() >= cx.settings.media.slots {
            return Err(format!(
                "stem '{name}' finds no place: {} stems are loaded (media.max_stems)",
                self.buffers.len()
            ));
        }
        if self.bytes + stem.bytes > cx.settings.media.bytes {
            return Err(format!("stem '{name}' finds no memory (media.memory_mb)"));
        }
        let slot = self.take_place(cx.now());
        let slot = slot.ok_or_else(|| format!("stem '{name}' finds no place: removed stems are still fading out"))?;
        tracing::info!("loaded {name} as {id} on deck {} (a stem of the same file)", deck_name(deck_of(id)));
        self.bytes += stem.bytes;
        let buffer = Buffer {
            name: clipped(&name, MOST_NAME).into(),
            path: stem.path,
            requested: format!("{requested} ({name})"),
            serial: cx.next_serial(),
            state: State::Ready { slot, info: stem.info, bytes: stem.bytes, primed: None },
            start: Start::at(0.0),
            playing: false,
            starting: None,
        };
        self.buffers.insert(id, buffer);
        if let Some(feeder) = stem.feeder {
            cx.services.feed(feeder);
        }
        cx.push(None, Action::Install { slot, deck: deck_of(id), source: stem.source });
        self.post(cx, "loaded", slot);
        Ok(())
    }

    /// Tries loads again that found no clear place.
    pub fn retry_waiting(&mut self, cx: &mut Context, tempo: &mut Tempo) {
        for done in std::mem::take(&mut self.waiting_for_slot) {
            self.finish_load(cx, tempo, done);
        }
    }

    /// Takes back a place that the engine has cleared.
    pub fn take_back(&mut self, slot: Slot, from: u64) {
        self.free.push_back((slot, from));
    }

    /// Stops and forgets a buffer; a number that does not exist is ignored.
    pub fn unload(&mut self, cx: &mut Context, tempo: &mut Tempo, id: i64, at: Option<u64>) {
        let Some(buffer) = self.buffers.remove(&id) else { return };
        match buffer.state {
            State::Ready { .. } => self.remove_ready(cx, tempo, id, buffer, at),
            State::Loading { asked, before, .. } => {
                fail_replaced(cx, id, asked);
                if let Some(before) = before {
                    self.remove_ready(cx, tempo, id, *before, at);
                }
            }
        }
    }

    /// Stops and forgets all buffers and cues.
    pub fn unload_all(&mut self, cx: &mut Context, tempo: &mut Tempo, at: Option<u64>) {
        for id in self.ids() {
            self.unload(cx, tempo, id, at);
        }
        self.cues = [None; DECKS];
    }

    /// Removes a buffer that is no longer known from the engine.
    fn remove_ready(&mut self, cx: &mut Context, tempo: &mut Tempo, id: i64, buffer: Buffer, at: Option<u64>) {
        let State::Ready { slot, bytes, .. } = buffer.state else { return };
        tempo.take_grid(cx, deck_of(id), id, None);
        self.bytes = self.bytes.saturating_sub(bytes);
        cx.events.post("/event/stem/unloaded", vec![Value::Int(id)]);
        cx.push(at, Action::Remove { slot });
    }

    /// Plays a buffer from its beginning if it is still the one from load `serial`.
    pub fn play_same(&mut self, cx: &mut Context, tempo: &Tempo, id: i64, serial: u64, at: u64) {
        if self.buffers.get(&id).is_some_and(|b| b.serial == serial) {
            // It exists: this cannot fail.
            let _ = self.play(cx, tempo, id, Start::at(0.0), Some(at));
        }
    }

    fn known(&mut self, id: i64) -> Result<&mut Buffer, Fault> {
        let known: Vec<String> = self.buffers.keys().take(MOST_LISTED).map(i64::to_string).collect();
        self.buffers.get_mut(&id).ok_or_else(|| {
            let expected = match known.as_slice() {
                [] => "a loaded buffer, but nothing is loaded; /load_buffer comes first".into(),
                _ => format!("a loaded buffer ({})", known.join(", ")),
            };
            Fault::argument("id", id, expected)
        })
    }

    /// Plays a buffer, at sample `at` or at once; one that is still loading plays as soon as it is loaded.
    ///
    /// # Errors
    /// If there is no such buffer.
    pub fn play(
        &mut self,
        cx: &mut Context,
        tempo: &Tempo,
        id: i64,
        start: Start,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        let buffer = self.known(id)?;
        buffer.start = start;
        buffer.playing = true;
        if let State::Loading { then, .. } = &mut buffer.state {
            *then = Some((at, start));
        } else {
            self.start_ready(cx, tempo, id, start, at);
        }
        Ok(Outcome::Done)
    }

    /// Starts a loaded buffer, on a beat or bar of the clock if its deck waits for those.
    fn start_ready(&mut self, cx: &mut Context, tempo: &Tempo, id: i64, start: Start, at: Option<u64>) {
        let deck = deck_of(id);
        let Some(info) = self.buffers.get(&id).and_then(Buffer::info) else { return };
        let seconds = info.seconds();
        let start = Start { from: share(start.from, seconds), ..start };
        let (start, at) = match tempo.paces[deck].sync {
            Sync::Off | Sync::Tempo => (start, at),
            Sync::Beat | Sync::Bar => {
                let start = Start { from: tempo.snapped(deck, start.from, seconds), ..start };
                let into = (start.from * seconds, start.rate);
                (start, Some(tempo.quantised(cx, deck, into, at.unwrap_or(cx.soon()))))
            }
        };
        self.start_exactly(cx, id, start, at);
    }

    /// Starts a buffer exactly where and when is said; one that is still loading as soon as it is loaded.
    pub fn start_exactly(&mut self, cx: &mut Context, id: i64, start: Start, at: Option<u64>) {
        self.begin(cx, id, (start, false), at);
    }

    /// Starts a buffer as [`Stems::start_exactly`], to a fraction of a frame of its file even if others play already.
    pub fn start_on_sample(&mut self, cx: &mut Context, id: i64, start: Start, at: u64) {
        self.begin(cx, id, (start, true), Some(at));
    }

    fn begin(&mut self, cx: &mut Context, id: i64, (start, exact): (Start, bool), at: Option<u64>) {
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        buffer.playing = true;
        buffer.start = start;
        if let State::Loading { then, .. } = &mut buffer.state {
            *then = Some((at, start));
        }
        let State::Ready { slot, info, .. } = &buffer.state else { return };
        let (slot, play) = (*slot, stretch(info, &start));
        if at.is_some() {
            cx.push(None, Action::Prime { slot, play });
        }
        let (ticket, due) = (cx.engine.new_ticket(), at.unwrap_or(cx.now()));
        buffer.starting = Some((ticket, due));
        let action = Action::Start { slot, play, rate: start.rate, gain: start.volume as f32, exact };
        cx.engine.push_ticketed(at, ticket, action);
    }

    /// Cancels a start of a buffer that the engine has not carried out yet.
    pub fn cancel_start(&mut self, cx: &mut Context, id: i64) {
        if let Some((ticket, _)) = self.buffers.get_mut(&id).and_then(|buffer| buffer.starting.take()) {
            cx.push(None, Action::Cancel { ticket });
        }
    }

    /// The engine has carried out, or refused, the command with this ticket.
    pub fn start_arrived(&mut self, ticket: u32) {
        if let Some(buffer) = self.buffers.values_mut().find(|b| b.starting.is_some_and(|(t, _)| t == ticket)) {
            buffer.starting = None;
        }
    }

    /// Fetches what a start at `from` will need.
    pub fn prime(&mut self, cx: &mut Context, tempo: &Tempo, id: i64, from: f64) {
        let seconds = self.buffers.get(&id).and_then(Buffer::info).map_or(0.0, Info::seconds);
        let place = if seconds > 0.0 { share(from, seconds) } else { from };
        let from = tempo.snapped(deck_of(id), place, seconds);
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        match &mut buffer.state {
            State::Loading { cue, .. } => *cue = Some(from),
            State::Ready { slot, info, primed, .. } => {
                buffer.start.from = share(buffer.start.from, seconds);
                let play = stretch(info, &Start::at(from));
                *primed = None;
                cx.push(None, Action::Prime { slot: *slot, play });
            }
        }
    }

    /// Fetches what exactly this start will need.
    pub fn prime_for(&mut self, cx: &mut Context, id: i64, start: Start) {
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        buffer.start = start;
        if let State::Ready { slot, info, primed, .. } = &mut buffer.state {
            *primed = None;
            cx.push(None, Action::Prime { slot: *slot, play: stretch(info, &start) });
        }
    }

    /// The engine has what a start of the stem at `slot` needs.
    pub fn primed(&mut self, slot: Slot) {
        for buffer in self.buffers.values_mut() {
            if let State::Ready { slot: s, primed, info, .. } = &mut buffer.state
                && *s == slot
            {
                *primed = Some(stretch(info, &buffer.start));
            }
        }
    }

    /// Whether a cued buffer can start on its sample.
    pub fn is_primed(&self, id: i64) -> bool {
        self.buffers.get(&id).is_some_and(|b| matches!(b.state, State::Ready { primed: Some(_), .. }))
    }

    /// Posts an event of a stem, `/event/stem/…`.
    pub fn post(&self, cx: &Context, what: &str, slot: Slot) {
        if let Some((id, buffer)) = self.buffers.iter().find(|(_, b)| b.slot() == Some(slot)) {
            let values = vec![Value::Int(*id), buffer.name.as_str().into(), deck_name(deck_of(*id)).into()];
            cx.events.post(format!("/event/stem/{what}"), values);
        }
    }

    /// A stem has begun to sound, `late` frames after it was asked for.
    pub fn started(&self, cx: &Context, slot: Slot, late: u64) {
        self.post(cx, "started", slot);
        if late > 0 {
            let ms = late as f64 * 1000.0 / cx.rate();
            tracing::debug!("stem {}: started {ms:.1} ms late: it had to be fetched", self.name_of(slot));
        }
    }

    /// A stem has ended, unless it plays on by its other head.
    pub fn ended(&mut self, cx: &Context, slot: Slot, still: bool) {
        let now = cx.now();
        let a_second = u64::from(cx.settings.sample_rate);
        if let Some(buffer) = self.buffers.values_mut().find(|b| b.slot() == Some(slot))
            && !still
        {
            // The end of one start does not concern the next, whose answer is under way; unless that got lost.
            buffer.playing &= buffer.starting.is_some_and(|(_, at)| now < at + a_second);
            self.post(cx, "ended", slot);
        }
    }

    /// A stem's name and number, for the log.
    pub fn name_of(&self, slot: Slot) -> String {
        self.buffers
            .iter()
            .find(|(_, b)| b.slot() == Some(slot))
            .map_or_else(|| "(removed)".into(), |(id, b)| format!("{} ({id})", b.name))
    }

    /// Stops a buffer; one that does not play is left as it is.
    pub fn stop(&mut self, cx: &mut Context, tempo: &Tempo, id: i64, at: Option<u64>) {
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        buffer.playing = false;
        // A start that waits for a beat is cancelled; one that was asked for by its sample is not.
        if at.is_none() && tempo.paces[deck_of(id)].starts_on_beats() {
            self.cancel_start(cx, id);
        }
        let Some(buffer) = self.buffers.get_mut(&id) else { return };
        if let State::Loading { then, before, .. } = &mut buffer.state {
            *then = None;
            if let Some(before) = before {
                before.playing = false;
            }
        }
        if let Some(slot) = buffer.slot() {
            cx.push(at, Action::Stop { slot });
        }
    }

    /// Sets a buffer's volume (linear), within `seconds` or an ordinary ramp.
    ///
    /// # Errors
    /// If there is no such buffer.
    pub fn set_volume(
        &mut self,
        cx: &mut Context,
        id: i64,
        (volume, seconds): (f64, Option<f64>),
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        let frames = seconds.map(|s| cx.ramp(s));
        let buffer = self.known(id)?;
        buffer.start.volume = volume;
        match &mut buffer.state {
            State::Loading { then: Some((_, start)), .. } => start.volume = volume,
            State::Loading { .. } => {}
            State::Ready { slot, .. } => cx.push(at, Action::StemGain { slot: *slot, gain: volume as f32, frames }),
        }
        Ok(Outcome::Done)
    }

    /// Sets a buffer's playback rate.
    ///
    /// # Errors
    /// If there is no such buffer.
    pub fn set_rate(&mut self, cx: &mut Context, id: i64, rate: f64, at: Option<u64>) -> Result<Outcome, Fault> {
        let buffer = self.known(id)?;
        buffer.start.rate = rate;
        match &mut buffer.state {
            State::Loading { then: Some((_, start)), .. } => start.rate = rate,
            State::Loading { .. } => {}
            State::Ready { slot, .. } => cx.push(at, Action::StemRate { slot: *slot, rate }),
        }
        Ok(Outcome::Done)
    }

    /// Sets how a buffer starts the next time.
    pub fn set_start(&mut self, id: i64, start: Start) {
        if let Some(buffer) = self.buffers.get_mut(&id) {
            buffer.start = start;
        }
    }

    /// Moves a buffer that plays to another place.
    ///
    /// # Errors
    /// If there is no such buffer, or it does not play.
    pub fn seek(
        &mut self,
        cx: &mut Context,
        tempo: &Tempo,
        id: i64,
        from: f64,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        let buffer = self.known(id)?;
        if !buffer.playing {
            return Err(Fault::refused(format!("buffer {id} does not play; /play_stem starts it anywhere")));
        }
        let start = Start { from, ..buffer.start };
        self.play(cx, tempo, id, start, at)
    }

    /// Repeats the next `beats` beats of what plays on a deck, from the beat that sounds; 0 plays on.
    ///
    /// # Errors
    /// If nothing plays on the deck.
    pub fn set_loop(
        &mut self,
        cx: &mut Context,
        tempo: &Tempo,
        deck: usize,
        beats: f64,
        at: Option<u64>,
    ) -> Result<(), Fault> {
        let period = 60.0 / tempo.deck_bpm(deck);
        let grid = tempo.paces[deck].grid();
        let mut actions = Vec::new();
        for buffer in self.playing_on(deck) {
            let State::Ready { slot, info, .. } = &buffer.state else { continue };
            let rate = f64::from(info.sample_rate);
            let play = if beats > 0.0 {
                let cell = cx.engine.telemetry().stems.get(usize::from(*slot));
                let here = cell.map_or(0.0, |s| s.position_frames()) / rate;
                let first = grid.map_or((here / period).floor() * period, |g| g.last(here));
                let frames = |s: f64| ((s * rate).round().max(0.0) as u64).min(info.frames);
                let (start, end) = (frames(first), frames(first + beats * period));
                let start = start.min(info.frames.saturating_sub(64));
                Play { from: start, start, end: end.max(start + 64).min(info.frames), looped: true }
            } else {
                stretch(info, &buffer.start)
            };
            actions.push(Action::Loop { slot: *slot, play });
        }
        if actions.is_empty() {
            return Err(Fault::refused(format!("nothing plays on deck {}", deck_name(deck))));
        }
        actions.into_iter().for_each(|action| cx.push(at, action));
        Ok(())
    }

    /// Where a stem is that plays, and how fast it goes; `None` if it does not.
    pub fn place_of(&self, cx: &Context, tempo: &Tempo, id: i64) -> Option<Playhead> {
        let buffer = self.buffers.get(&id)?;
        let State::Ready { slot, info, .. } = &buffer.state else { return None };
        let cell = cx.engine.telemetry().stems.get(usize::from(*slot)).filter(|c| c.is_playing())?;
        let (mut time, mut frames) = (cx.now(), cell.position_frames());
        // Both from one block.
        for _ in 0..4 {
            (time, frames) = (cx.now(), cell.position_frames());
            if cx.now() == time {
                break;
            }
        }
        let speed = tempo.deck_speed(cx, deck_of(id)) * buffer.start.rate;
        Some(Playhead { time, seconds: frames / f64::from(info.sample_rate), speed })
    }

    /// Whether a file is loaded (or loading) as buffer `id`, as far as can be told without looking at a disk.
    pub fn holds(&self, id: i64, requested: &str) -> bool {
        self.buffers.get(&id).is_some_and(|b| b.requested == requested || b.path == Path::new(requested))
    }

    /// Answers one more client when a load ends; `false` if it has ended already.
    pub fn await_load(&mut self, id: i64, origin: Option<Origin>, address: &str) -> bool {
        match self.buffers.get_mut(&id).map(|b| &mut b.state) {
            Some(State::Loading { asked, .. }) => {
                asked.push((origin, address.into()));
                true
            }
            _ => false,
        }
    }
}

/// Checks the form of a client's path, and returns the name of its stem if the client gives none: the file name without
/// its ending, or the id of a genome.
fn usual_name(requested: &str) -> Result<String, Fault> {
    let (path, _) = Part::of(requested);
    if is_address(path) {
        return Ok(Address::parse(path).map_err(|e| Fault::refused(e.to_string()))?.id);
    }
    Wanted::of(path).map_err(|e| Fault::refused(e.to_string()))?;
    Ok(Path::new(requested).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default())
}

/// Answers those who waited for a load that will not be used.
fn fail_replaced(cx: &mut Context, id: i64, asked: Vec<(Option<Origin>, String)>) {
    for (origin, address) in asked {
        let fault = Fault::refused(format!("buffer {id} was replaced or forgotten before it was loaded"));
        cx.fail(origin, &address, &fault);
    }
}
