//! Instruments on the speakers, as the conductor knows them: settings, what is loaded, what is being opened. `saved`: what
//! of that belongs to a show.

mod saved;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::context::Context;
use super::services::{InstrumentJob, InstrumentResult};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Outcome};
use crate::ddsp::order::{BusParam, Card, PARTS, PartParam, Setting, VoiceCommand, is_name};
use crate::ddsp::programs::instrument_for;
use crate::engine::voices::VoiceCell;
use crate::genome::{Address, is_address};

/// Most instruments that are loaded at a time: each has all of its voices.
const MOST_LOADED: usize = 16;
/// Instruments that may be on their way at a time.
const MOST_COMING: usize = 32;

/// What stands in the place of an address for the instrument at the start.
const FIRST: &str = "instrument";
/// Orders that are kept while the first instrument is opened.
const MOST_HELD: usize = 1_024;

/// How often the log tells that voices come too late.
const WARN_AGAIN: Duration = Duration::from_secs(10);

/// Who is to have an instrument; `None` is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Parts(Option<usize>),
    Voices(Option<usize>),
}

/// An instrument on its way.
#[derive(Clone, Debug)]
struct Coming {
    name: String,
    origin: Option<Origin>,
    address: String,
    /// Which request it is.
    serial: u64,
}

/// An instrument that someone has, and the one that was asked for last: the same, unless that is on its way.
#[derive(Clone, Debug, Default)]
struct Choice {
    has: String,
    wants: String,
}

#[derive(Clone, Debug)]
struct Part {
    instrument: Choice,
    pedals: [f64; PartParam::ALL.len()],
}

/// Voices, parts and instruments, as they were set.
#[derive(Debug)]
pub struct Instruments {
    /// By voice: the value of each setting.
    voices: Vec<[f64; Setting::ALL.len()]>,
    own: Vec<Choice>,
    parts: Vec<Part>,
    hall: [f64; BusParam::ALL.len()],
    loaded: BTreeMap<String, Card>,
    /// The instrument of all parts, as long as it has not been opened.
    first: Option<String>,
    /// Orders that wait for it.
    held: Vec<(Option<u64>, VoiceCommand)>,
    coming: Vec<Coming>,
    /// What there is, as far as that is known.
    names: Vec<String>,
    /// Who waits for the names.
    asking: Vec<(Option<Origin>, String, u64)>,
    /// Why the first instrument is not there.
    trouble: String,
    shown: Option<Arc<VoiceCell>>,
    /// Counters as they were last told.
    underruns: u64,
    shed: u64,
    warned: Option<Instant>,
}

impl Instruments {
    /// `count` voices; `shown` is what their worker shows of itself.
    pub fn new(count: usize, shown: Option<Arc<VoiceCell>>) -> Instruments {
        Instruments {
            voices: vec![Setting::ALL.map(|(_, _, v)| v); count],
            own: vec![Choice::default(); count],
            parts: vec![Part { instrument: Choice::default(), pedals: PartParam::ALL.map(|(_, _, v)| v) }; PARTS],
            hall: BusParam::ALL.map(|(_, _, v)| v),
            loaded: BTreeMap::new(),
            first: None,
            held: Vec::new(),
            coming: Vec::new(),
            names: Vec::new(),
            asking: Vec::new(),
            trouble: String::new(),
            shown,
            underruns: 0,
            shed: 0,
            warned: None,
        }
    }

    /// What the voices' worker shows of itself, if there is one.
    pub fn cell(&self) -> Option<Arc<VoiceCell>> {
        self.shown.clone()
    }

    /// Voices there are.
    pub fn count(&self) -> usize {
        self.voices.len()
    }

    /// Decides on the instrument of all parts. It is opened when it is first played: a show of stems alone does without
    /// its memory.
    pub fn choose_first(&mut self, cx: &mut Context) {
        if self.voices.is_empty() {
            return;
        }
        cx.services.instrument(InstrumentJob::List);
        let name = cx.settings.instrument.clone();
        if !is_name(&name) && !name.is_empty() {
            // The path of a file: whether it is one is told at once, by opening it.
            self.parts.iter_mut().for_each(|p| p.instrument.wants.clone_from(&name));
            self.fetch(cx, &name, None, FIRST);
        } else if !name.is_empty() {
            self.parts.iter_mut().for_each(|p| p.instrument.wants.clone_from(&name));
            self.first = Some(name);
        }
    }

    /// Opens the first instrument, if that has not been done.
    fn open_first(&mut self, cx: &mut Context) {
        if let Some(name) = self.first.take() {
            self.fetch(cx, &name, None, FIRST);
        }
    }

    /// Sends the voices an order, or keeps it until the instrument is there that it is for.
    fn order(&mut self, cx: &mut Context, at: Option<u64>, order: VoiceCommand) {
        if self.held.is_empty() || self.held.len() >= MOST_HELD {
            cx.services.voice(at, order);
        } else {
            self.held.push((at, order));
        }
    }

    /// Sends what was held, up to the first note whose instrument is still being opened; the rest is held on.
    fn release(&mut self, cx: &mut Context, mut held: Vec<(Option<u64>, VoiceCommand)>) {
        let waits = |order: &VoiceCommand| match order {
            VoiceCommand::NoteOn(part, ..) => self.parts.get(*part).is_some_and(|p| {
                p.instrument.has.is_empty() && self.coming.iter().any(|c| c.name == p.instrument.wants)
            }),
            _ => false,
        };
        let first = held.iter().position(|(_, order)| waits(order)).unwrap_or(held.len());
        let rest = held.split_off(first);
        held.into_iter().for_each(|(at, order)| cx.services.voice(at, order));
        self.held.splice(0..0, rest);
    }

    /// Makes sure that there is such a voice.
    fn check_voice(&self, which: Option<usize>) -> Result<(), Fault> {
        if self.shown.as_ref().is_some_and(|cell| cell.is_broken()) {
            return Err(Fault::refused(
                "the voices' worker has ended or stopped responding (the log says why); restart grooved to get it back",
            ));
        }
        match (self.voices.len(), which) {
            (0, _) => Err(Fault::refused(
                "there are no voices here: voices.polyphony in the configuration tells how many (and a build without \
                 'ddsp' has none)",
            )),
            (count, Some(k)) if k >= count => Err(Fault::argument(
                "voice",
                k + 1,
                format!("1 to {count}, or all (voices.polyphony in the configuration)"),
            )),
            _ => Ok(()),
        }
    }

    fn each_voice(&self, which: Option<usize>) -> std::ops::Range<usize> {
        which.map_or(0..self.voices.len(), |k| k..k + 1)
    }

    fn each_part(which: Option<usize>) -> std::ops::Range<usize> {
        which.map_or(0..PARTS, |k| k..k + 1)
    }

    /// Sets something of a voice.
    pub fn set_voice(
        &mut self,
        cx: &mut Context,
        which: Option<usize>,
        setting: Setting,
        value: f64,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        self.check_voice(which)?;
        if setting == Setting::Loudness && value > 0.0 {
            self.open_first(cx);
        }
        for k in self.each_voice(which) {
            self.voices[k][setting as usize] = value;
        }
        self.order(cx, at, VoiceCommand::Set(which, setting, value));
        Ok(Outcome::Done)
    }

    /// Sets a voice's loudness in decibels.
    pub fn set_voice_db(
        &mut self,
        cx: &mut Context,
        which: Option<usize>,
        db: f64,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        self.check_voice(which)?;
        self.open_first(cx);
        for k in self.each_voice(which) {
            let own = &self.own[k].has;
            let name = if own.is_empty() { &self.parts[0].instrument.has } else { own };
            let loudness = match self.loaded.get(name) {
                Some(card) => card.loudness(db),
                None => return Err(self.no_instrument()),
            };
            self.set_voice(cx, Some(k), Setting::Loudness, loudness, at)?;
        }
        Ok(Outcome::Done)
    }

    /// What was set of a voice; of the first one, if all are meant.
    pub fn voice_setting(&self, which: Option<usize>, setting: Setting) -> f64 {
        let voice = self.voices.get(which.unwrap_or(0));
        voice.map_or(Setting::ALL[setting as usize].2, |v| v[setting as usize])
    }

    /// Lets a voice fall silent.
    pub fn reset_voice(&mut self, cx: &mut Context, which: Option<usize>, at: Option<u64>) -> Result<Outcome, Fault> {
        self.check_voice(which)?;
        for k in self.each_voice(which) {
            self.voices[k][Setting::Loudness as usize] = 0.0;
        }
        self.order(cx, at, VoiceCommand::Reset(which));
        Ok(Outcome::Done)
    }

    /// Sets something of a part.
    pub fn set_pedal(
        &mut self,
        cx: &mut Context,
        which: Option<usize>,
        pedal: PartParam,
        value: f64,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        for k in Self::each_part(which) {
            self.parts[k].pedals[pedal as usize] = value;
        }
        self.order(cx, at, VoiceCommand::Part(which, pedal, value));
        Ok(Outcome::Done)
    }

    /// What was set of a part.
    pub fn pedal(&self, which: Option<usize>, pedal: PartParam) -> f64 {
        self.parts[which.unwrap_or(0).min(PARTS - 1)].pedals[pedal as usize]
    }

    /// Sets something of all voices.
    pub fn set_hall(
        &mut self,
        cx: &mut Context,
        hall: BusParam,
        value: f64,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        self.hall[hall as usize] = value;
        self.order(cx, at, VoiceCommand::BusParam(hall, value));
        Ok(Outcome::Done)
    }

    /// What was set of all voices.
    pub fn hall(&self, hall: BusParam) -> f64 {
        self.hall[hall as usize]
    }

    fn no_instrument(&self) -> Fault {
        let coming = !self.coming.is_empty() || self.trouble.is_empty();
        let why = if coming { "it is being loaded" } else { &self.trouble };
        Fault::refused(format!("no instrument is ready: {why}"))
    }

    /// Begins a note.
    pub fn note_on(
        &mut self,
        cx: &mut Context,
        part: Option<usize>,
        key: f64,
        loudness: f64,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        for k in Self::each_part(part) {
            let Choice { has, wants } = &self.parts[k].instrument;
            if has.is_empty() {
                let wants = wants.clone();
                self.open_first(cx);
                if !self.coming.iter().any(|c| c.name == wants) {
                    return Err(self.no_instrument());
                }
                self.held.push((at, VoiceCommand::NoteOn(k, key, loudness)));
                self.held.truncate(MOST_HELD);
                continue;
            }
            self.order(cx, at, VoiceCommand::NoteOn(k, key, loudness));
        }
        Ok(Outcome::Done)
    }

    /// Ends a note.
    pub fn note_off(
        &mut self,
        cx: &mut Context,
        part: Option<usize>,
        key: f64,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        Self::each_part(part).for_each(|k| self.order(cx, at, VoiceCommand::NoteOff(k, key)));
        Ok(Outcome::Done)
    }

    /// Ends all notes.
    pub fn all_off(&mut self, cx: &mut Context, part: Option<usize>, at: Option<u64>) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        self.order(cx, at, VoiceCommand::AllOff(part));
        Ok(Outcome::Done)
    }

    /// Ends all notes, and what is played directly.
    pub fn silence(&mut self, cx: &mut Context, at: Option<u64>) {
        if !self.voices.is_empty() {
            let _ = self.all_off(cx, None, at);
            let _ = self.set_voice(cx, None, Setting::Loudness, 0.0, at);
        }
    }

    /// Answers with the instruments there are.
    pub fn list(&mut self, cx: &mut Context, origin: Option<Origin>, address: &str) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        if self.asking.len() >= MOST_COMING {
            return Err(Fault::refused("too many ask for this at the same time"));
        }
        let serial = cx.next_serial();
        self.asking.push((origin, address.into(), serial));
        cx.services.instrument(InstrumentJob::List);
        Ok(Outcome::Later)
    }

    /// Makes an instrument ready.
    pub fn load(
        &mut self,
        cx: &mut Context,
        name: &str,
        origin: Option<Origin>,
        address: &str,
    ) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        self.check_name(name)?;
        if self.loaded.contains_key(name) {
            return Ok(Outcome::Done);
        }
        self.check_room(cx, name)?;
        self.fetch(cx, name, origin, address);
        Ok(Outcome::Later)
    }

    /// Lets through what may be the name of an instrument.
    fn check_name(&self, name: &str) -> Result<(), Fault> {
        if is_name(name) || self.loaded.contains_key(name) {
            return Ok(());
        }
        if is_address(name) {
            return Address::parse(name).map(drop).map_err(|fault| Fault::refused(fault.to_string()));
        }
        Err(Fault::argument("name", format!("{name:?}"), "the name of an instrument")
            .hint("/groove/instrument/list lists them"))
    }

    /// Makes room for another instrument: genomes that nobody has give way.
    fn check_room(&mut self, cx: &mut Context, name: &str) -> Result<(), Fault> {
        if self.coming.len() >= MOST_COMING {
            return Err(Fault::refused(format!("{MOST_COMING} instruments are on their way; wait for them")));
        }
        let mut names: Vec<&str> = self.coming.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let others = names.iter().filter(|n| **n != name).count();
        while self.loaded.len() + others >= MOST_LOADED {
            if let Some(unused) = self.unused_genome() {
                self.loaded.remove(&unused);
                self.order(cx, None, VoiceCommand::Unload(unused));
                continue;
            }
            return Err(Fault::refused(format!(
                "{MOST_LOADED} instruments are loaded, which is the limit; /groove/instrument/unload forgets one"
            )));
        }
        Ok(())
    }

    /// A genome that no part and no voice has or wants.
    fn unused_genome(&self) -> Option<String> {
        let has = |name: &str| {
            let mut choices = self.parts.iter().map(|p| &p.instrument).chain(&self.own);
            choices.any(|c| c.has == name || c.wants == name)
        };
        self.loaded.keys().find(|name| is_address(name) && !has(name)).cloned()
    }

    fn fetch(&mut self, cx: &mut Context, name: &str, origin: Option<Origin>, address: &str) {
        let serial = cx.next_serial();
        let asked = self.coming.iter().any(|c| c.name == name);
        self.coming.push(Coming { name: name.into(), origin, address: address.into(), serial });
        if !asked {
            cx.services.instrument(InstrumentJob::Open(name.into()));
        }
    }

    /// Forgets an instrument.
    pub fn unload(&mut self, cx: &mut Context, name: &str) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        if self.loaded.remove(name).is_none() {
            let loaded: Vec<&str> = self.loaded.keys().map(String::as_str).collect();
            return Err(Fault::argument(
                "name",
                format!("{name:?}"),
                format!("a loaded instrument ({})", loaded.join(", ")),
            ));
        }
        let parts = self.parts.iter_mut().map(|p| &mut p.instrument);
        for choice in parts.chain(&mut self.own).filter(|c| c.has == name) {
            *choice = Choice::default();
        }
        self.trouble = format!("{name} was unloaded; /groove/instrument/swap gives another");
        self.order(cx, None, VoiceCommand::Unload(name.into()));
        Ok(Outcome::Done)
    }

    /// Gives a part another instrument.
    pub fn swap(&mut self, cx: &mut Context, part: Option<usize>, name: &str, call: &Call) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        self.give(cx, name, For::Parts(part), call)
    }

    /// Gives a part an instrument by its number in General MIDI.
    pub fn change_program(
        &mut self,
        cx: &mut Context,
        part: Option<usize>,
        program: i64,
        call: &Call,
    ) -> Result<Outcome, Fault> {
        self.check_voice(None)?;
        let program = u8::try_from(program).unwrap_or(0);
        let name = instrument_for(program, &self.names).map(str::to_string);
        let name =
            name.ok_or_else(|| Fault::refused("no instruments are installed, or they are just being looked for"))?;
        self.give(cx, &name, For::Parts(part), call)
    }

    /// Gives a voice an instrument of its own; without a name that of the first part.
    pub fn set_voice_instrument(
        &mut self,
        cx: &mut Context,
        which: Option<usize>,
        name: &str,
        call: &Call,
    ) -> Result<Outcome, Fault> {
        self.check_voice(which)?;
        self.give(cx, name, For::Voices(which), call)
    }

    /// Gives an instrument to whoever is to have it, now or when it has come. Whoever asks later is right.
    fn give(&mut self, cx: &mut Context, name: &str, whom: For, call: &Call) -> Result<Outcome, Fault> {
        let is_none = name.is_empty() && matches!(whom, For::Voices(_));
        let is_here = is_none || self.loaded.contains_key(name);
        if !is_here {
            self.check_name(name)?;
            self.check_room(cx, name)?;
        }
        self.choices(whom).for_each(|choice| choice.wants = name.into());
        if is_here {
            self.settle(cx, call.at);
            return Ok(Outcome::Done);
        }
        self.fetch(cx, name, call.origin, &call.address);
        Ok(Outcome::Later)
    }

    fn choices(&mut self, whom: For) -> Box<dyn Iterator<Item = &mut Choice> + '_> {
        match whom {
            For::Parts(which) => {
                let range = Self::each_part(which);
                Box::new(self.parts[range].iter_mut().map(|p| &mut p.instrument))
            }
            For::Voices(which) => {
                let range = self.each_voice(which);
                Box::new(self.own[range].iter_mut())
            }
        }
    }

    /// Everyone gets what they want, if it is here.
    fn settle(&mut self, cx: &mut Context, at: Option<u64>) {
        let voices = &mut *self;
        let is_here = |name: &str| voices.loaded.contains_key(name);
        let mut orders = Vec::new();
        let is_new = |c: &Choice| c.has != c.wants && is_here(&c.wants);
        let first = voices.parts[0].instrument.clone();
        if voices.parts.iter().all(|p| is_new(&p.instrument) && p.instrument.wants == first.wants) {
            orders.push(VoiceCommand::Swap(None, first.wants));
        } else {
            let fresh = voices.parts.iter().enumerate().filter(|(_, p)| is_new(&p.instrument));
            orders.extend(fresh.map(|(k, p)| VoiceCommand::Swap(Some(k), p.instrument.wants.clone())));
        }
        let is_new = |c: &Choice| c.has != c.wants && (c.wants.is_empty() || is_here(&c.wants));
        let fresh = voices.own.iter().enumerate().filter(|(_, c)| is_new(c));
        orders.extend(fresh.map(|(k, c)| VoiceCommand::Voice(Some(k), c.wants.clone())));
        let loaded = &voices.loaded;
        let parts = voices.parts.iter_mut().map(|p| &mut p.instrument);
        for choice in parts.chain(&mut voices.own) {
            if choice.wants.is_empty() || loaded.contains_key(&choice.wants) {
                choice.has.clone_from(&choice.wants);
            }
        }
        orders.into_iter().for_each(|order| self.order(cx, at, order));
    }

    /// An instrument that was wanted will not come: everyone keeps what they have, or gets what was there first.
    fn do_without(&mut self, cx: &mut Context, name: &str) {
        let first = cx.settings.instrument.clone();
        let is_coming = self.coming.iter().any(|c| c.name == first);
        let first = if is_coming || self.loaded.contains_key(&first) { first } else { String::new() };
        for part in self.parts.iter_mut().filter(|p| p.instrument.wants == name) {
            let has = &part.instrument.has;
            part.instrument.wants = if has.is_empty() { first.clone() } else { has.clone() };
        }
        self.own.iter_mut().filter(|c| c.wants == name).for_each(|c| c.wants.clone_from(&c.has));
        self.settle(cx, None);
    }

    /// The instrument of a part.
    pub fn part_instrument(&self, part: Option<usize>) -> String {
        self.parts[part.unwrap_or(0).min(PARTS - 1)].instrument.has.clone()
    }

    /// The instrument a voice has of its own.
    pub fn voice_instrument(&self, which: Option<usize>) -> String {
        self.own.get(which.unwrap_or(0)).map(|c| c.has.clone()).unwrap_or_default()
    }

    /// What came of a job.
    pub fn opened(&mut self, cx: &mut Context, result: InstrumentResult) {
        match result {
            InstrumentResult::Names(names) => {
                self.names = names;
                self.check_first();
                for (origin, address, _) in std::mem::take(&mut self.asking) {
                    let messages = self.listing();
                    cx.answer(origin, messages);
                    cx.done(origin, &address, vec![]);
                }
            }
            InstrumentResult::Opened(name, result) => {
                let (here, still): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.coming).into_iter().partition(|c| c.name == name);
                self.coming = still;
                // The parts get their instrument before the notes that wait for it.
                let held = std::mem::take(&mut self.held);
                match result {
                    Ok(card) => {
                        self.loaded.insert(name.clone(), card);
                        self.trouble.clear();
                        tracing::info!("instrument: {name}");
                        self.settle(cx, None);
                        self.release(cx, held);
                        for coming in here {
                            cx.done(coming.origin, &coming.address, vec![name.as_str().into()]);
                        }
                    }
                    Err(why) => {
                        self.trouble.clone_from(&why);
                        self.do_without(cx, &name);
                        self.release(cx, held);
                        for coming in here {
                            // Who installed none does not miss them.
                            if coming.address == FIRST && self.names.is_empty() && is_name(&name) {
                                tracing::info!("no instruments are installed: voices have nothing to play");
                                continue;
                            }
                            cx.fail(coming.origin, &coming.address, &Fault::refused(why.clone()));
                        }
                    }
                }
            }
        }
    }

    /// The first instrument is opened when it is played; that it is not there is told at once.
    fn check_first(&self) {
        let Some(name) = self.first.as_ref().filter(|name| is_name(name)) else { return };
        match self.names.as_slice() {
            [] => tracing::info!("no instruments are installed: voices have nothing to play"),
            names if !names.contains(name) => {
                tracing::warn!("instrument: there is no '{name}' (ddsp.instrument); there are {}", names.join(", "))
            }
            _ => {}
        }
    }

    fn listing(&self) -> Vec<Message> {
        // One that was named by the configuration may lie elsewhere.
        let elsewhere = self.loaded.keys().filter(|name| !self.names.contains(name));
        let tell = |name: &String| {
            let mut args = vec![Value::from(name.as_str())];
            match self.loaded.get(name) {
                None => args.push(Value::Int(0)),
                Some(card) => {
                    let ((low, high), (soft, loud)) = (card.pitch_range, card.loudness_range);
                    args.push(Value::Int(1));
                    args.extend([low, high, soft, loud].map(Value::from));
                    args.push(card.licence.as_str().into());
                }
            }
            Message::new("/groove/instrument", args)
        };
        self.names.iter().chain(elsewhere).map(tell).collect()
    }

    /// Whether something of instruments that was asked for before `serial` is still on its way.
    pub fn is_fetching_before(&self, serial: u64) -> bool {
        self.coming.iter().any(|c| c.serial < serial) || self.asking.iter().any(|(.., asked)| *asked < serial)
    }

    /// Voices there are and that sound, notes that gave way, that found none, times the sound was late, voices let go,
    /// the worker's share of real time.
    pub fn status(&self) -> Message {
        let count = Value::Int(self.voices.len() as i64);
        let rest = match &self.shown {
            None => vec![Value::Int(0); 5].into_iter().chain([Value::Float(0.0)]).collect(),
            Some(cell) => vec![
                Value::Int(i64::from(cell.sounding.load(Relaxed))),
                cell.stolen.load(Relaxed).into(),
                cell.unplayed.load(Relaxed).into(),
                cell.underruns.load(Relaxed).into(),
                cell.shed.load(Relaxed).into(),
                (f64::from(cell.cost.load(Relaxed)) * 1e-6).into(),
            ],
        };
        Message::new("/status/voices", std::iter::once(count).chain(rest).collect())
    }

    /// Tells of voices that came too late or were let go.
    pub fn watch(&mut self, cx: &mut Context) {
        let Some(cell) = &self.shown else { return };
        let (underruns, shed) = (cell.underruns.load(Relaxed), cell.shed.load(Relaxed));
        let (late, gone) = (underruns - self.underruns, shed - self.shed);
        if late > 0 || gone > 0 {
            (self.underruns, self.shed) = (underruns, shed);
            let now = Instant::now();
            if self.warned.is_none_or(|at| now.saturating_duration_since(at) > WARN_AGAIN) {
                self.warned = Some(now);
                tracing::warn!(
                    "voices: late periods: {underruns}, dropped voices: {shed} so far; reduce voices.polyphony or increase \
                     voices.ahead_ms"
                );
            }
            cx.events.post("/event/voices", vec![late.into(), gone.into()]);
        }
    }
}
