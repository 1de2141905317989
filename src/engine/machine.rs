//! The engine itself: commands in, blocks of sound out.

use ringbuf::traits::{Consumer, Producer};

use super::clock::MusicClock;
use super::command::{Action, Command, Event, Refusal, Retired, Slot};
use super::config::EngineConfig;
use super::deck::Deck;
use super::door::{EngineDoor, Telemetry};
use super::eq::ThreeBand;
use super::group::Group;
use super::method::Method;
use super::outlet::{Delay, Outlet};
use super::plan::StretchPool;
use super::ramp::{self, Ramp};
use super::schedule::Schedule;
use super::source::CHUNK;
use super::source::Play;
use super::stem::{Phase, ReadOutcome, Stem};
use super::tape::RecordTap;
use super::tone::Tone;
use super::voices::VoiceReader;
use super::{Block, DECKS, GRID, RAMP_MS};
use crate::dsp::sinc::SincBank;

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// Capacity for commands waiting for their sample time inside the engine (about 200 ms' worth; more wait outside).
const SCHEDULE: usize = 2048;
/// Maximum number of commands taken from the door per quantum: bounds the time a flood can take.
const COMMANDS_PER_QUANTUM: usize = 256;
/// Interpolators beyond one per stem: heads that crossfade at different rates briefly need two.
const SPARE_GROUPS: usize = 16;

/// The pure core that renders everything audible.
///
/// Built on any thread, then moved to the rendering thread: the audio thread, or an offline renderer.
pub struct Engine {
    door: EngineDoor,
    sample_rate: u32,
    ramp_frames: u32,
    time: u64,
    clock: MusicClock,
    schedule: Schedule,
    stems: Box<[Stem]>,
    /// Number of slots that have ever been used; those from here on are empty.
    slots: usize,
    groups: Box<[Group]>,
    decks: [Deck; DECKS],
    kits: [Option<Box<StretchPool>>; DECKS],
    pairs: Box<[Outlet]>,
    master: Ramp,
    tone: Tone,
    tape: Option<Box<RecordTap>>,
    /// Delays the decks to match the outputs on the tape.
    taped: Delay,
    voices: Option<VoiceReader>,
    bank: SincBank,
    /// Frames of the current quantum that have already been handed out.
    used: usize,
    /// A retired object that found the ring full.
    waiting: Option<Retired>,
}

impl Engine {
    /// Creates an engine around its side of the door. Realtime: no (allocates everything it will ever need).
    ///
    /// The door must have been made for at least `config.slots` slots and `2 * config.pairs` channels.
    pub fn new(config: &EngineConfig, door: EngineDoor) -> Engine {
        let rate = config.sample_rate;
        let ramp_frames = (f64::from(rate) * RAMP_MS / 1000.0) as u32;
        let pairs: Box<[Outlet]> = (0..config.pairs.max(1)).map(|_| Outlet::new(rate, config.limiter)).collect();
        let last = pairs.len() - 1;
        Engine {
            sample_rate: rate,
            ramp_frames,
            time: 0,
            clock: MusicClock::new(config.bpm, rate),
            schedule: Schedule::new(SCHEDULE),
            stems: (0..config.slots).map(|_| Stem::empty()).collect(),
            slots: 0,
            groups: (0..config.slots + SPARE_GROUPS).map(|_| Group::new(rate, 2 * config.slots)).collect(),
            decks: std::array::from_fn(|d| {
                let eq = ThreeBand::new(config.eq_hz[0], config.eq_hz[1], f64::from(rate), 2 * ramp_frames);
                Deck::new(eq, rate, config.deck_pair[d].min(last), config.levels[d], config.bpm)
            }),
            kits: Default::default(),
            taped: Delay::new(DECKS, pairs[0].latency()),
            pairs,
            master: Ramp::new(config.master),
            tone: Tone::new(ramp_frames),
            tape: None,
            voices: None,
            bank: SincBank::new(config.interpolation),
            used: GRID,
            waiting: None,
            door,
        }
    }

    /// Adds the instruments to the mix. Realtime: no.
    pub fn attach_voices(&mut self, voices: VoiceReader) {
        self.voices = Some(voices);
    }

    /// Returns the output frames per second.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Returns the number of output channels.
    pub fn channels(&self) -> usize {
        2 * self.pairs.len()
    }

    /// Returns the delay from mixing to [`Engine::render`]'s output, in frames: the limiter's delay.
    pub fn latency(&self) -> usize {
        self.pairs.first().map_or(0, Outlet::latency)
    }

    /// Returns the sample time of the next frame to be mixed; [`Engine::render`] outputs it [`Engine::latency`] frames
    /// later.
    pub fn time(&self) -> u64 {
        self.time - (GRID - self.used) as u64
    }

    /// Marks the start of a period rendered at `ns` nanoseconds: workers that run ahead of the engine pace themselves
    /// by it. Realtime: yes.
    pub fn begin_period(&self, ns: u64) {
        let telemetry = &self.door.telemetry;
        telemetry.period_from.store(super::door::NO_FRAME, Release);
        telemetry.period_ns.store(ns, Release);
        telemetry.period_from.store(self.time(), Release);
    }

    /// Renders the next `out.frames()` frames. Realtime: yes.
    pub fn render(&mut self, out: &mut Block) {
        let frames = out.frames();
        let mut done = 0;
        while done < frames {
            if self.used == GRID {
                self.quantum();
                self.used = 0;
            }
            let n = (GRID - self.used).min(frames - done);
            for (k, pair) in self.pairs.iter().enumerate() {
                for (channel, plane) in [(2 * k, &pair.left), (2 * k + 1, &pair.right)] {
                    if let Some(to) = out.channel_mut(channel).get_mut(done..done + n) {
                        to.copy_from_slice(&plane[self.used..self.used + n]);
                    }
                }
            }
            self.used += n;
            done += n;
        }
        self.publish();
    }

    /// Skips `frames` frames lost by the output: time advances silently, and whatever plays fades in at its new
    /// position. Realtime: yes.
    pub fn lose(&mut self, frames: u64) {
        let kept = ((GRID - self.used) as u64).min(frames);
        self.used += kept as usize;
        let frames = frames - kept;
        if frames > 0 {
            let span = u32::try_from(frames).unwrap_or(u32::MAX);
            let tempo = self.clock.advance(span);
            for k in 0..self.groups.len() {
                if self.groups[k].active {
                    let group = &mut self.groups[k];
                    let gone = group.lose(frames, self.decks[group.deck].ratio(tempo), self.ramp_frames);
                    if gone == 0 {
                        continue;
                    }
                    for stem in &mut self.stems {
                        let fade = stem.fade();
                        for head in &mut stem.heads {
                            if head.phase() == Phase::Playing && head.group() == k {
                                head.lose(gone, fade);
                            }
                        }
                    }
                }
            }
            for deck in &mut self.decks {
                deck.level.advance(span);
                deck.fader.advance(span);
            }
            self.master.advance(span);
            self.pairs.iter_mut().for_each(Outlet::lose);
            self.taped.forget();
            self.time += frames;
            if let Some(tape) = &mut self.tape {
                tape.skip(frames);
            }
        }
        self.publish();
    }

    /// Renders one quantum of [`GRID`] frames into the pairs' planes.
    fn quantum(&mut self) {
        self.take_commands();
        for deck in &mut self.decks {
            deck.left = [0.0; GRID];
            deck.right = [0.0; GRID];
        }
        self.pairs.iter_mut().for_each(Outlet::clear);
        let mut done = 0;
        while done < GRID {
            let now = self.time + done as u64;
            while let Some((at, command)) = self.schedule.pop_due(now) {
                self.apply(command, now, now - at);
            }
            let until = self.schedule.next_at().map_or(GRID, |at| (at - self.time).min(GRID as u64) as usize);
            self.segment(done, until);
            done = until;
        }
        self.time += GRID as u64;
        let telemetry = &self.door.telemetry;
        for (pair, cells) in self.pairs.iter_mut().zip(telemetry.outputs.as_chunks::<2>().0) {
            pair.finish(cells);
        }
        for (deck, cell) in self.decks.iter_mut().zip(&telemetry.decks) {
            deck.measure(cell);
        }
        if let Some(tape) = &mut self.tape {
            let outputs = self.pairs.iter().flat_map(|p| [&p.left, &p.right]);
            if tape.decks {
                self.taped.take(&self.decks);
                tape.write(outputs.chain(self.taped.out()));
            } else {
                tape.write(outputs);
            }
        }
    }

    /// Renders frames `from..to` of the quantum; no command takes effect within them.
    fn segment(&mut self, from: usize, to: usize) {
        let n = (to - from) as u32;
        let now = self.time + from as u64;
        let tempo = self.clock.advance(n);
        self.service(now, n);

        let mut fed = [false; DECKS];
        let (stems, bank) = (&mut self.stems, &self.bank);
        let (events, telemetry) = (&mut self.door.events, &self.door.telemetry);
        for group in self.groups.iter_mut().filter(|g| g.active) {
            fed[group.deck] = true;
            let deck = &mut self.decks[group.deck];
            let deck_tempo = deck.ratio(tempo);
            let kit = self.kits[group.deck].as_deref_mut();
            let out = [&mut deck.left[from..to], &mut deck.right[from..to]];
            group.render(deck_tempo, bank, stems, kit, out, |member, news| {
                let slot = member.0;
                for event in tell(slot, news, now) {
                    if events.try_push(event).is_err() {
                        telemetry.lost_events.fetch_add(1, Relaxed);
                    }
                }
                if news.starved {
                    telemetry.starved.fetch_add(1, Relaxed);
                }
            });
            if let Some(plan) = group.take_plan()
                && let Some(kit) = &mut self.kits[group.deck]
            {
                kit.put_back(plan);
            }
        }
        for (deck, fed) in self.decks.iter_mut().zip(fed) {
            if deck.finish(from, to, fed) {
                let pair = &mut self.pairs[deck.pair];
                ramp::mix(&mut pair.left[from..to], &deck.left[from..to], 1.0, 1.0);
                ramp::mix(&mut pair.right[from..to], &deck.right[from..to], 1.0, 1.0);
            }
        }
        if let Some(voices) = &mut self.voices
            && let Some(pair) = self.pairs.get_mut(voices.pair)
        {
            voices.add(now, &mut pair.left[from..to], &mut pair.right[from..to]);
        }
        let (g0, g1) = self.master.advance(n);
        for (k, pair) in self.pairs.iter_mut().enumerate() {
            let (left, right) = (&mut pair.left[from..to], &mut pair.right[from..to]);
            if k == 0 {
                self.tone.add(left, right);
            }
            ramp::scale(left, g0, g1);
            ramp::scale(right, g0, g1);
        }
    }

    /// Advances every stem's volume, starts heads that have become ready, and retires stems being removed.
    fn service(&mut self, now: u64, n: u32) {
        for slot in 0..self.slots {
            let stem = &mut self.stems[slot];
            if stem.source.is_none() {
                continue;
            }
            stem.span = stem.gain.advance(n);
            if let Some(play) = stem.pending
                && stem.free_head(&play).is_some()
            {
                stem.pending = None;
                self.start(slot, play, now, false);
            }
            if self.stems[slot].resettle && self.stems[slot].heads.iter().any(|h| h.phase() != Phase::Playing) {
                self.settle(slot, now);
            }
            for k in 0..2 {
                if matches!(self.stems[slot].heads[k].phase(), Phase::Waiting | Phase::Priming) {
                    self.begin_if_ready(slot, k, now);
                }
            }
            let stem = &mut self.stems[slot];
            if stem.removing && self.waiting.is_none() && stem.heads.iter().all(|h| h.phase() != Phase::Playing) {
                stem.removing = false;
                if let Some(source) = stem.source.take() {
                    *stem = Stem::empty();
                    self.retire(Retired::Stem { slot: slot as Slot, source });
                }
            }
        }
    }

    fn begin_if_ready(&mut self, slot: usize, k: usize, now: u64) {
        let stem = &mut self.stems[slot];
        let Some(source) = stem.source.as_mut() else { return };
        let head = &mut stem.heads[k];
        match head.phase() {
            Phase::Priming if head.is_ready(source, k) => {
                head.primed();
                self.tell(Event::Primed { slot: slot as Slot });
                return;
            }
            Phase::Waiting if head.is_ready(source, k) => {}
            _ => return,
        }
        let follows = head.follows();
        let other = &stem.heads[1 - k];
        if follows && other.phase() != Phase::Playing {
            // The head it was to follow has ended in the meantime, so this one ends too.
            stem.heads[k] = Default::default();
            return;
        }
        let head = &stem.heads[k];
        let late = now.saturating_sub(head.asked_at());
        let (deck, rate, source_rate, exact) = (stem.deck, stem.rate, source.sample_rate, stem.exact && !follows);
        let method = self.method_for(deck, source_rate, rate);
        let found = Group::choose(&self.groups, (deck, source_rate, rate, method), exact);
        if let Some(group) = found.map(|g| &self.groups[g]).filter(|g| g.is_stretched()) {
            // The other members have been read ahead; this one must be too, and the disk must have delivered that much.
            let need = (group.ahead().max(0) as usize).min(24 * CHUNK);
            let stem = &mut self.stems[slot];
            if let Some(source) = stem.source.as_mut()
                && !stem.heads[k].has_more(source, k, need)
            {
                return;
            }
        }
        let group = match found {
            Some(found) => found,
            None => match self.groups.iter().position(|g| !g.active) {
                Some(unused) => {
                    let kit = self.kits[deck].as_mut().filter(|_| method != Method::PlaybackRate);
                    self.groups[unused].open(
                        deck,
                        source_rate,
                        rate,
                        kit.and_then(|k| k.take(source_rate, method == Method::Hq)),
                    );
                    self.groups[unused].set_key(self.decks[deck].key);
                    unused
                }
                None => {
                    self.stems[slot].heads[k] = Default::default();
                    self.tell(Event::Refused { ticket: 0, why: Refusal::TooManyRates });
                    return;
                }
            },
        };
        let stem = &mut self.stems[slot];
        let fade = stem.fade();
        let [a, b] = &mut stem.heads;
        let (head, other) = if k == 0 { (a, b) } else { (b, a) };
        let from = (other.phase() == Phase::Playing).then(|| &self.groups[other.group()]);
        let (ahead, made) = from.map_or((0, 0), |g| (g.ahead(), g.made()));
        head.begin(group, fade, other, ahead, made);
        if other.phase() == Phase::Playing {
            other.stop(fade);
        }
        stem.lead = k;
        let news = self.groups[group].join((slot as Slot, k as u8), &mut self.stems, self.kits[deck].as_deref_mut());
        if !follows {
            self.tell(Event::Started { slot: slot as Slot, at: now, late });
        }
        if news.starved {
            self.door.telemetry.starved.fetch_add(1, Relaxed);
        }
        for event in tell(slot as Slot, news.of(&self.stems, slot as Slot), now) {
            self.tell(event);
        }
    }

    /// Takes commands from the door: those without a time are applied now, the others wait for their sample time.
    fn take_commands(&mut self) {
        if self.waiting.is_some()
            && let Some(retired) = self.waiting.take()
        {
            self.retire(retired);
        }
        for _ in 0..COMMANDS_PER_QUANTUM {
            let Some(command) = self.door.commands.try_pop() else { break };
            match command.at {
                Some(at) if at > self.time => {
                    if let Err(command) = self.schedule.push(at, command) {
                        self.refuse(command, Refusal::ScheduleFull);
                    }
                }
                Some(at) => self.apply(command, self.time, self.time - at),
                None => self.apply(command, self.time, 0),
            }
        }
    }

    fn apply(&mut self, command: Command, now: u64, late: u64) {
        let Command { ticket, action, .. } = command;
        match self.act(action, now) {
            Ok(()) if ticket != 0 => self.tell(Event::Applied { ticket, at: now, late }),
            Ok(()) => {}
            Err((why, action)) => self.refuse(Command { at: None, ticket, action }, why),
        }
    }

    /// Executes an action. An action that is refused is returned with the reason.
    fn act(&mut self, action: Action, now: u64) -> Result<(), (Refusal, Action)> {
        let slots = self.stems.len();
        let deck_of = |deck: usize| if deck < DECKS { Ok(deck) } else { Err(Refusal::OutOfRange) };
        let ordinary = self.ramp_frames;
        // A jump would click, so every change takes at least an ordinary ramp.
        let within = |frames: Option<u32>| frames.unwrap_or(0).max(ordinary);
        match action {
            Action::Install { slot, deck, source } => {
                let index = usize::from(slot);
                if index >= slots || deck >= DECKS {
                    return Err((Refusal::OutOfRange, Action::Install { slot, deck, source }));
                }
                if self.stems[index].source.is_some() {
                    return Err((Refusal::SlotTaken, Action::Install { slot, deck, source }));
                }
                self.stems[index] = Stem { source: Some(source), deck, ..Stem::empty() };
                self.slots = self.slots.max(index + 1);
                Ok(())
            }
            Action::Remove { slot } => self.with_stem(slot, |stem| {
                let fade = stem.fade();
                stem.pending = None;
                stem.removing = true;
                stem.stops = stem.stops.wrapping_add(1);
                stem.heads.iter_mut().for_each(|h| h.stop(fade));
            }),
            Action::Prime { slot, play } => self.with_stem(slot, |stem| {
                if let Some(k) = stem.free_head(&play)
                    && let Some(source) = stem.source.as_mut()
                    && stem.heads[k].phase() != Phase::Waiting
                {
                    stem.heads[k].prepare(source, k, play, Phase::Priming, now);
                }
            }),
            Action::Start { slot, play, rate, gain, exact } => {
                let ramp = self.ramp_frames;
                let done = self.with_stem(slot, |stem| {
                    if stem.removing {
                        return false;
                    }
                    if stem.heads.iter().any(|h| h.phase() == Phase::Playing) {
                        stem.gain.to(gain, ramp);
                    } else {
                        stem.gain.jump(gain);
                        stem.span = (gain, gain);
                    }
                    (stem.rate, stem.exact) = (rate, exact);
                    stem.stops = stem.stops.wrapping_add(1);
                    true
                });
                match done {
                    Ok(true) => {
                        self.start(usize::from(slot), play, now, false);
                        Ok(())
                    }
                    Ok(false) => Err(Refusal::EmptySlot),
                    Err(why) => Err(why),
                }
            }
            Action::Stop { slot } => self
                .with_stem(slot, |stem| {
                    let fade = stem.fade();
                    stem.pending = None;
                    stem.stops = stem.stops.wrapping_add(1);
                    let silent = stem.heads.iter().all(|h| h.phase() != Phase::Playing) && !stem.is_idle();
                    stem.heads.iter_mut().for_each(|h| h.stop(fade));
                    silent
                })
                .map(|silent| {
                    if silent {
                        self.tell(Event::Ended { slot, still: false });
                    }
                }),
            Action::StemGain { slot, gain, frames } => self.with_stem(slot, |s| s.gain.to(gain, within(frames))),
            Action::Loop { slot, play } => self.enter_loop(slot, play, now),
            Action::StemRate { slot, rate } => self.set_rate(slot, rate, now),
            Action::DeckLevel { deck, level, frames } => {
                deck_of(deck).map(|d| self.decks[d].level.to(level, within(frames)))
            }
            Action::Fader { deck, gain, frames } => deck_of(deck).map(|d| self.decks[d].fader.to(gain, within(frames))),
            Action::Eq { deck, band, gain } => deck_of(deck).map(|d| self.decks[d].eq.set(band, gain)),
            Action::Master { gain, frames } => {
                self.master.to(gain, within(frames));
                Ok(())
            }
            Action::StartRecording { tape } => match self.tape {
                Some(_) => return Err((Refusal::Recording, Action::StartRecording { tape })),
                None => {
                    self.taped.forget();
                    self.tape = Some(tape);
                    Ok(())
                }
            },
            Action::StopRecording => {
                // A retired stem may still be waiting for room; then the caller has to try again.
                if self.waiting.is_none()
                    && let Some(mut tape) = self.tape.take()
                {
                    tape.end();
                    self.retire(Retired::Tap { tape });
                }
                Ok(())
            }
            Action::Stretch { deck, method, kit } => {
                if deck >= DECKS || (self.kits[deck].is_none() && kit.is_none() && method != Method::PlaybackRate) {
                    return Err((Refusal::OutOfRange, Action::Stretch { deck, method, kit }));
                }
                if let Some(kit) = kit {
                    if self.kits[deck].is_some() {
                        return Err((Refusal::SlotTaken, Action::Stretch { deck, method, kit: Some(kit) }));
                    }
                    self.kits[deck] = Some(kit);
                }
                self.decks[deck].method = method;
                self.groups.iter_mut().filter(|g| g.active && g.deck == deck).for_each(Group::ask_anew);
                for slot in 0..slots {
                    if self.stems[slot].deck == deck && self.stems[slot].source.is_some() {
                        self.settle(slot, now);
                    }
                }
                Ok(())
            }
            Action::Key { deck, factor } => deck_of(deck).map(|d| {
                self.decks[d].key = factor;
                self.groups.iter_mut().filter(|g| g.active && g.deck == d).for_each(|g| g.set_key(factor));
            }),
            Action::Sync { deck, base } => deck_of(deck).map(|d| self.decks[d].base = base),
            Action::Tempo { bpm, frames, shape } => {
                self.clock.set_tempo(bpm, frames, shape);
                Ok(())
            }
            Action::ResetBeat => {
                self.clock.reset();
                Ok(())
            }
            Action::Tone { hz, gain, frames } => {
                self.tone.start(hz / f64::from(self.sample_rate), gain, frames);
                Ok(())
            }
            Action::Cancel { ticket } => {
                self.schedule.cancel(ticket);
                Ok(())
            }
            Action::Ping => Ok(()),
        }
        .map_err(|why| (why, Action::Ping))
    }

    fn with_stem<T>(&mut self, slot: Slot, act: impl FnOnce(&mut Stem) -> T) -> Result<T, Refusal> {
        match self.stems.get_mut(usize::from(slot)) {
            None => Err(Refusal::OutOfRange),
            Some(stem) if stem.source.is_none() => Err(Refusal::EmptySlot),
            Some(stem) => Ok(act(stem)),
        }
    }

    /// Gives `play` to a free head; if both still sound, both are faded out first.
    fn start(&mut self, slot: usize, play: Play, now: u64, follow: bool) {
        let stem = &mut self.stems[slot];
        let fade = stem.fade();
        match stem.free_head(&play) {
            Some(k) => {
                // A start supersedes one that is still waiting.
                let other = &mut stem.heads[1 - k];
                if other.phase() == Phase::Waiting {
                    other.stop(fade);
                }
                if let Some(source) = stem.source.as_mut() {
                    stem.heads[k].prepare(source, k, play, Phase::Waiting, now);
                    if follow {
                        stem.heads[k].follow();
                    }
                }
                self.begin_if_ready(slot, k, now);
            }
            None => {
                stem.heads.iter_mut().for_each(|h| h.stop(fade));
                stem.pending = Some(play);
            }
        }
    }

    /// Moves the playback of a stem into another section.
    fn enter_loop(&mut self, slot: Slot, play: Play, now: u64) -> Result<(), Refusal> {
        self.with_stem(slot, |_| ())?;
        let stem = &self.stems[usize::from(slot)];
        let head = &stem.heads[stem.lead];
        if head.phase() != Phase::Playing || head.is_stopping() || play.end <= play.start {
            return Ok(());
        }
        let here = head.heard(self.groups[head.group()].ahead());
        let length = play.end - play.start;
        let from = match here {
            at if at < play.start => play.start,
            at if at >= play.end => play.start + (at - play.start) % length,
            at => at,
        };
        self.start(usize::from(slot), Play { from, ..play }, now, true);
        Ok(())
    }

    fn set_rate(&mut self, slot: Slot, rate: f64, now: u64) -> Result<(), Refusal> {
        self.with_stem(slot, |stem| stem.rate = rate)?;
        self.settle(usize::from(slot), now);
        Ok(())
    }

    /// Applies a stem's own rate and its deck's method, if it does not play with them yet.
    fn settle(&mut self, slot: usize, now: u64) {
        let stem = &self.stems[slot];
        let method = stem.source.as_ref().map(|s| self.method_for(stem.deck, s.sample_rate, stem.rate));
        let wanted = self.decks[stem.deck].method;
        let stem = &mut self.stems[slot];
        stem.resettle = false;
        let rate = stem.rate;
        if stem.heads.iter().any(|h| h.phase() == Phase::Waiting) {
            // The waiting head will start at the new rate.
            return;
        }
        let head = &stem.heads[stem.lead];
        if head.phase() != Phase::Playing || head.is_stopping() {
            return;
        }
        let group = &mut self.groups[head.group()];
        // A stem that keeps its pitch stays where it is if there is no second lane for it.
        let stays = method == Some(Method::PlaybackRate) && group.is_stretched() && wanted != Method::PlaybackRate;
        let fits = Some(group.method()) == method || stays;
        if group.rate() == rate && fits {
            return;
        }
        if fits && group.is_alone((slot as Slot, stem.lead as u8)) {
            group.set_rate(rate);
            return;
        }
        if stem.heads.iter().all(|h| h.phase() == Phase::Playing) {
            // The head that would take over is still fading out from the last start.
            stem.resettle = true;
            return;
        }
        // The interpolator is shared: move to another one, at the same position, with a crossfade.
        let from = head.heard(self.groups[head.group()].ahead());
        let play = Play { from, ..head.play() };
        self.start(slot, play, now, true);
    }

    /// Returns the method for a head that starts on a deck now: the deck's own, or the best one with free resources.
    fn method_for(&self, deck: usize, source_rate: u32, rate: f64) -> Method {
        let method = self.decks[deck].method;
        let Some(kit) = self.kits[deck].as_ref().filter(|k| k.has_lane()) else { return Method::PlaybackRate };
        let is_there = |m: Method| self.groups.iter().any(|g| g.suits(deck, source_rate, rate, m));
        match method {
            Method::Hq if is_there(Method::Hq) || (kit.has_cover() && kit.has_plan()) => Method::Hq,
            Method::Hq | Method::Wsola if is_there(Method::Wsola) || kit.has_plan() => Method::Wsola,
            _ => Method::PlaybackRate,
        }
    }

    fn refuse(&mut self, command: Command, why: Refusal) {
        match command.action {
            Action::Install { source, .. } => self.retire(Retired::Refused { source }),
            Action::StartRecording { tape } => self.retire(Retired::Tap { tape }),
            Action::Stretch { kit: Some(kit), .. } => self.retire(Retired::Pool { kit }),
            _ => {}
        }
        self.tell(Event::Refused { ticket: command.ticket, why });
    }

    /// Returns an object; if the ring is full the object waits here, and nothing else is retired until it has gone.
    fn retire(&mut self, retired: Retired) {
        if let Err(retired) = self.door.retired.try_push(retired) {
            match &self.waiting {
                None => self.waiting = Some(retired),
                // The ring holds every stem there can be and as many again, so this place is never reached; if it were,
                // a leak is the lesser evil on this thread.
                Some(_) => std::mem::forget(retired),
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if self.door.events.try_push(event).is_err() {
            self.door.telemetry.lost_events.fetch_add(1, Relaxed);
        }
    }

    fn publish(&self) {
        let telemetry: &Arc<Telemetry> = &self.door.telemetry;
        telemetry.time.store(self.time(), Relaxed);
        telemetry.bpm.store(self.clock.bpm().to_bits(), Relaxed);
        telemetry.beat.store(self.clock.beat().to_bits(), Relaxed);
        let (slope, left) = self.clock.slope();
        telemetry.bpm_slope.store(slope.to_bits(), Relaxed);
        telemetry.glide_left.store(u64::from(left), Relaxed);
        for (stem, cell) in self.stems.iter().zip(&telemetry.stems) {
            let playing = stem.source.is_some() && stem.is_playing();
            cell.playing.store(playing, Relaxed);
            if playing {
                let head = &stem.heads[stem.lead];
                let ahead = match head.phase() {
                    Phase::Playing => self.groups[head.group()].ahead(),
                    _ => 0,
                };
                cell.position.store((head.heard(ahead) as f64).to_bits(), Relaxed);
            }
        }
    }
}

fn tell(slot: Slot, news: ReadOutcome, now: u64) -> impl Iterator<Item = Event> {
    let ended = news.ended.then_some(Event::Ended { slot, still: news.still });
    let starved = news.starved.then_some(Event::Starved { slot, at: now });
    let resumed = news.resumed.then_some(Event::Resumed { slot, at: now });
    ended.into_iter().chain(starved).chain(resumed)
}
