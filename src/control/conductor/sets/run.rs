//! A set that plays: tracks on decks in turn, each mixed into the one before where its cue is.
//!
//! All of it is driven by the positions of the tracks. They follow the clock, so that a distance between two places of a
//! track is a number of beats, whatever the tempo does meanwhile; the sample at which these beats will have passed is
//! computed anew on every tick until the command has to be sent.

use std::f64::consts::FRAC_PI_2;
use std::sync::Arc;

use super::super::buffer::{FIRST_ID, Start, State};
use super::super::context::Context;
use super::super::mixer::Mixer;
use super::super::pace::Sync;
use super::super::stems::Stems;
use super::super::tempo::{Course, Tempo};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::deck_name;
use crate::engine::command::Action;
use crate::engine::eq::Band;
use crate::engine::source::Play;
use crate::sets::track::Track;

/// The bands of a deck's equaliser.
const BANDS: [Band; 3] = [Band::Low, Band::Mid, Band::High];
/// Time for which decks rest after a set, in seconds.
const FREE_S: f64 = 0.02;
/// Decks on which tracks play in turn.
const DECKS: usize = 3;
/// Stems of a set are numbered from here on each deck, out of the way of clients'.
const STEM: i64 = 880;
/// Straight pieces of a fade: the power deviates from constant by at most 0.04 dB.
const PIECES: usize = 8;
/// Commands are sent this long before they are due, in seconds, in addition to what they take to the engine.
const LEAD_S: f64 = 0.03;
/// Beats per bar of a set's tracks.
const METER: f64 = 4.0;
/// Bars that are repeated while a track is held.
const HELD_BARS: f64 = 8.0;
/// Time after which a track that was started and does not sound is taken for ended, in seconds.
const SILENT_S: f64 = 0.5;
/// Disagreement of two predictions beyond which a third is awaited, in seconds.
const JITTER_S: f64 = 0.0005;

/// The parts of the conductor that a run uses.
pub struct Rig<'a> {
    /// State that all parts share.
    pub cx: &'a mut Context,
    /// The tempo.
    pub tempo: &'a mut Tempo,
    /// Stems.
    pub stems: &'a mut Stems,
    /// Levels and equalisers.
    pub mixer: &'a mut Mixer,
}

/// State of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Loading,
    Priming,
    Ready,
    /// The engine will start it, or has, at this sample.
    Started(u64),
}

/// A track on a deck.
#[derive(Clone, Debug, PartialEq)]
struct Voice {
    /// Its place in the order of play.
    place: usize,
    track: Arc<Track>,
    deck: usize,
    /// Serial number of the load of its stem.
    serial: u64,
    phase: Phase,
    /// Where the next track begins and where its own window ends, in beats of the track.
    cue: f64,
    end: f64,
}

impl Voice {
    fn id(&self) -> i64 {
        FIRST_ID[self.deck] + STEM
    }

    /// Beats since its beginning, and the course of the clock from there; `None` if it does not sound.
    fn beats(&self, rig: &Rig) -> Option<(f64, Course)> {
        // Both from one block of the engine.
        for _ in 0..8 {
            let course = Course::now(rig.cx);
            let place = rig.stems.place_of(rig.cx, rig.tempo, self.id())?;
            if place.time == course.time {
                return Some((self.track.beats(place.seconds), course));
            }
        }
        None
    }

    /// Returns whether its stem is still there and meant to sound.
    fn is_there(&self, rig: &Rig) -> bool {
        rig.stems.get(self.id()).is_some_and(|buffer| buffer.serial == self.serial && buffer.playing)
    }
}

/// The fade from one track to the next, or of the last one.
#[derive(Clone, Debug, PartialEq)]
struct Fade {
    /// The track that comes, if there is one.
    into: Option<Voice>,
    /// Its length in beats.
    beats: f64,
    /// Beats of the track that measures it at its beginning: of the one that comes, or of the last.
    from: f64,
    /// Pieces that have been sent.
    sent: usize,
}

/// The tracks of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Path of the table as it was asked for.
    pub path: String,
    /// Folder of the table: its paths are relative to it.
    pub folder: String,
    /// Tracks in order of play.
    pub tracks: Vec<Arc<Track>>,
}

/// State of a deck before the set.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Before {
    level: f64,
    bands: [f64; 3],
    bpm: Option<f64>,
    sync: Sync,
}

/// A set that plays.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    score: Score,
    /// State of its decks and of the crossfader before it.
    before: [Before; DECKS],
    crossfade: (f64, String),
    /// Sample from which its decks are free again.
    free_from: u64,
    /// Tracks that have begun.
    begun: usize,
    current: Option<Voice>,
    next: Option<Voice>,
    fade: Option<Fade>,
    /// Place in the order of the track to be loaded next.
    to_load: usize,
    /// Whether the next track waits for `/groove/set/hold 0`.
    held: bool,
    /// Whether the track that sounds repeats its last bars for that.
    repeats: bool,
    /// Whether the next track is to begin as soon as it can.
    hurried: bool,
    /// The cue as predicted on the last tick.
    predicted: Option<u64>,
    /// Whether the last track has ended.
    over: bool,
}

impl Run {
    /// Begins a run: opens the decks and takes the first track's tempo.
    pub fn begin(rig: &mut Rig, score: Score) -> Run {
        let before = std::array::from_fn(|deck| Before {
            level: rig.mixer.channels[deck].level,
            bands: rig.mixer.channels[deck].bands,
            bpm: rig.tempo.paces[deck].set_bpm,
            sync: rig.tempo.paces[deck].sync,
        });
        let crossfade = rig.mixer.crossfade();
        let crossfade = (crossfade.0, crossfade.1.to_string());
        rig.mixer.set_crossfade(rig.cx, 0.5, "off", None, None);
        for deck in 0..DECKS {
            rig.mixer.set_level(rig.cx, deck, 0.0, None, None);
            for band in BANDS {
                rig.mixer.set_band(rig.cx, deck, band, 1.0, None);
            }
        }
        if let Some(first) = score.tracks.first() {
            rig.tempo.glide(rig.cx, None, first.target_bpm, 0.0, Default::default());
        }
        Run {
            score,
            before,
            crossfade,
            free_from: 0,
            begun: 0,
            current: None,
            next: None,
            fade: None,
            to_load: 0,
            held: false,
            repeats: false,
            hurried: false,
            predicted: None,
            over: false,
        }
    }

    /// Leaves the decks as they were before, from a sample on; the set is over.
    fn leave(&mut self, rig: &mut Rig, at: Option<u64>) {
        self.over = true;
        for (deck, before) in self.before.into_iter().enumerate() {
            rig.mixer.set_level(rig.cx, deck, before.level, None, at);
            for (band, gain) in BANDS.into_iter().zip(before.bands) {
                rig.mixer.set_band(rig.cx, deck, band, gain, at);
            }
            rig.tempo.set_sync(rig.cx, deck, before.sync, at);
            rig.tempo.set_deck_bpm(rig.cx, deck, before.bpm, at);
        }
        let (position, curve) = &self.crossfade;
        rig.mixer.set_crossfade(rig.cx, *position, curve, None, at);
        self.free_from = at.unwrap_or(rig.cx.now()) + rig.cx.frames(FREE_S);
        tracing::info!("set: over; decks as before");
        rig.cx.events.post("/event/set/over", Vec::new());
    }

    /// Sample from which its decks are free again, once it is over.
    pub fn free_from(&self) -> u64 {
        self.free_from
    }

    /// Number of tracks that have begun.
    pub fn begun(&self) -> usize {
        self.begun
    }

    /// Its tracks.
    pub fn score(&self) -> &Score {
        &self.score
    }

    /// Whether the set is over.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Place of the track that sounds, or comes first.
    pub fn place(&self) -> usize {
        self.latest().map_or(self.to_load.saturating_sub(1), |voice| voice.place)
    }

    /// The track that comes in, or else the one that sounds.
    fn latest(&self) -> Option<&Voice> {
        self.fade.as_ref().and_then(|fade| fade.into.as_ref()).or(self.current.as_ref())
    }

    /// State as in `/status/set`.
    pub fn state(&self) -> &'static str {
        match (&self.current, &self.fade) {
            _ if self.over => "over",
            (None, _) => "loading",
            (_, Some(_)) => "fading",
            _ if self.held => "held",
            _ => "playing",
        }
    }

    /// Advances the set; called on every tick.
    pub fn watch(&mut self, rig: &mut Rig) {
        self.prepare(rig);
        if self.fade.is_some() {
            return self.advance_fade(rig);
        }
        match &self.current {
            None => self.start_first(rig),
            Some(_) => self.await_cue(rig),
        }
    }

    /// Loads the next track and follows its progress.
    fn prepare(&mut self, rig: &mut Rig) {
        if let Some(next) = &mut self.next {
            let buffer = rig.stems.get(next.id()).filter(|buffer| buffer.serial == next.serial);
            let Some(buffer) = buffer else {
                tracing::warn!("set: track {} cannot be played; the next one takes its place", next.place + 1);
                rig.cx.events.post("/event/set/skipped", facts(next.place, next.deck, &next.track));
                self.next = None;
                return;
            };
            match (next.phase, &buffer.state) {
                (Phase::Loading, State::Ready { info, .. }) => {
                    // Parts may be a little shorter than the table says.
                    let length = next.track.beats(info.seconds());
                    next.end = next.end.min(length);
                    next.cue = next.cue.min((next.end - 1.0).floor().max(0.0));
                    rig.stems.prime_for(rig.cx, next.id(), START);
                    next.phase = Phase::Priming;
                }
                (Phase::Priming, _) if rig.stems.is_primed(next.id()) => next.phase = Phase::Ready,
                _ => {}
            }
        } else if self.fade.is_none() && self.to_load < self.score.tracks.len() {
            let place = self.to_load;
            self.to_load += 1;
            self.next = self.load(rig, place);
        }
    }

    fn load(&mut self, rig: &mut Rig, place: usize) -> Option<Voice> {
        let track = self.score.tracks.get(place)?.clone();
        let deck = self.current.as_ref().map_or(0, |current| (current.deck + 1) % DECKS);
        // The deck is silent.
        rig.mixer.set_level(rig.cx, deck, 0.0, None, None);
        rig.mixer.set_band(rig.cx, deck, Band::Low, 1.0, None);
        if rig.tempo.paces[deck].sync == Sync::Off {
            rig.tempo.set_sync(rig.cx, deck, Sync::Tempo, None);
        }
        rig.tempo.set_deck_bpm(rig.cx, deck, Some(track.target_bpm), None);
        let path = joined(&self.score.folder, &track.part_file);
        let id = FIRST_ID[deck] + STEM;
        if let Err(fault) = rig.stems.load(rig.cx, id, (&path, ""), None, "/groove/set/play") {
            tracing::warn!("set: track {}: {fault}; the next one takes its place", place + 1);
            rig.cx.events.post("/event/set/skipped", facts(place, deck, &track));
            return None;
        }
        let serial = rig.stems.get(id)?.serial;
        // Cues are analysed, and a few milliseconds off their beats.
        let cue = track.beats(track.begin).round().max(1.0);
        let end = cue + track.beats(track.end - track.begin).round().max(1.0);
        Some(Voice { place, track, deck, serial, phase: Phase::Loading, cue, end })
    }

    fn start_first(&mut self, rig: &mut Rig) {
        match &self.next {
            None if self.to_load >= self.score.tracks.len() => self.leave(rig, None),
            Some(next) if next.phase == Phase::Ready => {
                let at = rig.cx.soon();
                if let Some(mut voice) = self.next.take() {
                    start(rig, &mut voice, at);
                    rig.mixer.set_level(rig.cx, voice.deck, 1.0, None, Some(at));
                    self.begun += 1;
                    self.current = Some(voice);
                }
            }
            _ => {}
        }
    }

    /// Begins the fade when the track that sounds is at its cue.
    fn await_cue(&mut self, rig: &mut Rig) {
        let Some(current) = self.current.clone() else { return };
        let Some((position, course)) = current.beats(rig) else {
            let Phase::Started(at) = current.phase else { return };
            if !current.is_there(rig) && rig.cx.now() > at + rig.cx.frames(SILENT_S) {
                // Somebody stopped it, or it was shorter than its cue: the next one begins at once.
                self.let_go(rig);
            }
            return;
        };
        self.repeat(rig, &current);
        let is_last = self.next.is_none() && self.to_load >= self.score.tracks.len();
        let is_ready = self.next.as_ref().is_some_and(|next| next.phase == Phase::Ready);
        let mut cue = current.cue;
        if self.hurried {
            cue = cue.min((position / METER).floor() * METER + METER);
        }
        // If the next track was not ready, or was held, it begins on a later beat.
        let soon = rig.cx.soon();
        while cue < position || (course.sample_in(cue - position) < soon && cue < position + METER) {
            cue = cue.max(position.floor()) + 1.0;
        }
        let sample = course.sample_in(cue - position);
        let before = self.predicted.replace(sample);
        let due = soon + rig.cx.frames(LEAD_S);
        // A deck that was taken off the clock is never where it was predicted.
        let agree = position > current.cue + METER
            || before.is_some_and(|before| before.abs_diff(sample) <= rig.cx.frames(JITTER_S));
        if sample > due || !agree || self.held || !(is_ready || is_last) {
            return;
        }
        let window = (current.end - current.cue).max(1.0);
        (self.hurried, self.repeats, self.predicted) = (false, false, None);
        let Some(mut next) = self.next.take() else {
            self.fade = Some(Fade { into: None, beats: window, from: cue, sent: 0 });
            return self.advance_fade(rig);
        };
        let beats = window.min(next.cue.max(1.0));
        if beats < window {
            tracing::info!(
                "set: track {}: window shortened from {window:.0} to {beats:.0} beats; the next track's cue comes earlier",
                current.place + 1
            );
        }
        rig.mixer.set_band(rig.cx, next.deck, Band::Low, 0.0, None);
        start(rig, &mut next, sample);
        self.begun += 1;
        // Its first piece is sent together with the start, before its position is known.
        self.fade = Some(Fade { into: Some(next), beats, from: 0.0, sent: 0 });
        self.send_piece(rig, sample, course.sample_in(cue - position + beats / PIECES as f64));
    }

    /// Sends the pieces of the fade as they come due.
    fn advance_fade(&mut self, rig: &mut Rig) {
        let Some(fade) = &self.fade else { return };
        let Some((beats, course)) = self.latest().and_then(|voice| voice.beats(rig)) else {
            self.abandon_fade(rig);
            return;
        };
        let at = |piece: usize| course.sample_in(fade.from + fade.beats * piece as f64 / PIECES as f64 - beats);
        let sample = at(fade.sent);
        if sample > rig.cx.soon() + rig.cx.frames(LEAD_S) {
            return;
        }
        let sample = sample.max(rig.cx.soon());
        if fade.sent < PIECES {
            let until = at(fade.sent + 1);
            return self.send_piece(rig, sample, until);
        }
        let Some(Fade { into, .. }) = self.fade.take() else { return };
        if let Some(current) = self.current.take() {
            rig.stems.unload(rig.cx, rig.tempo, current.id(), Some(sample));
        }
        if into.is_none() {
            self.leave(rig, Some(sample));
        }
        self.current = into;
    }

    /// Sends the next piece of the fade: both levels, and the bass in the middle.
    fn send_piece(&mut self, rig: &mut Rig, from: u64, until: u64) {
        let Some(fade) = &mut self.fade else { return };
        let seconds = until.saturating_sub(from) as f64 / rig.cx.rate();
        let angle = FRAC_PI_2 * (fade.sent + 1) as f64 / PIECES as f64;
        // Exactly one and zero at the end.
        let (down, up) = if fade.sent + 1 == PIECES { (0.0, 1.0) } else { (angle.cos(), angle.sin()) };
        let swap = fade.sent == PIECES / 2;
        if let Some(current) = &self.current {
            rig.mixer.set_level(rig.cx, current.deck, down, Some(seconds), Some(from));
            if swap && fade.into.is_some() {
                rig.mixer.set_band(rig.cx, current.deck, Band::Low, 0.0, Some(from));
            }
        }
        if let Some(into) = &fade.into {
            rig.mixer.set_level(rig.cx, into.deck, up, Some(seconds), Some(from));
            if swap {
                rig.mixer.set_band(rig.cx, into.deck, Band::Low, 1.0, Some(from));
            }
        }
        fade.sent += 1;
    }

    /// Ends a fade whose measuring track does not sound, once it should.
    fn abandon_fade(&mut self, rig: &mut Rig) {
        let Some(fade) = &self.fade else { return };
        if self.latest().is_some_and(|voice| voice.is_there(rig)) {
            return;
        }
        if let Some(Voice { phase: Phase::Started(at), .. }) = &fade.into
            && rig.cx.now() < at + rig.cx.frames(SILENT_S)
        {
            return;
        }
        let into = self.fade.take().and_then(|fade| fade.into);
        match into {
            // What came has gone: what sounds stays, at its full level.
            Some(into) => {
                rig.stems.unload(rig.cx, rig.tempo, into.id(), None);
                if let Some(current) = &self.current {
                    rig.mixer.set_level(rig.cx, current.deck, 1.0, None, None);
                    rig.mixer.set_band(rig.cx, current.deck, Band::Low, 1.0, None);
                }
            }
            None => {
                self.let_go(rig);
                self.leave(rig, None);
            }
        }
    }

    fn let_go(&mut self, rig: &mut Rig) {
        (self.hurried, self.repeats, self.predicted) = (false, false, None);
        if let Some(current) = self.current.take() {
            rig.stems.unload(rig.cx, rig.tempo, current.id(), None);
        }
    }

    /// Begins the next track at the next bar.
    pub fn skip(&mut self) {
        self.held = false;
        // A track that has just come in is not left again.
        self.hurried = self.current.is_some() && self.fade.is_none();
    }

    /// Begins the track before the present one at the next bar.
    pub fn back(&mut self, rig: &mut Rig) {
        let place = self.place();
        if let Some(next) = self.next.take() {
            rig.stems.unload(rig.cx, rig.tempo, next.id(), None);
        }
        self.to_load = place.saturating_sub(1);
        self.skip();
    }

    /// Sets whether the next track waits.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Repeats the last bars before the cue while the next track waits.
    fn repeat(&mut self, rig: &mut Rig, current: &Voice) {
        if self.held == self.repeats {
            return;
        }
        let Some(State::Ready { slot, info, .. }) = rig.stems.get(current.id()).map(|b| &b.state) else { return };
        self.repeats = self.held;
        let frames = |beats: f64| {
            let seconds = beats * 60.0 / current.track.target_bpm;
            ((seconds * f64::from(info.sample_rate)).round() as u64).min(info.frames)
        };
        let bars = (current.cue / METER).floor().clamp(0.25, HELD_BARS);
        let (start, end) = (frames(current.cue - bars * METER), frames(current.cue));
        let play = match self.held {
            true => Play { from: start, start, end: end.max(start + 64).min(info.frames), looped: true },
            false => Play { from: 0, start: 0, end: info.frames, looped: false },
        };
        let slot = *slot;
        rig.cx.push(None, Action::Loop { slot, play });
    }

    /// Fades everything out and forgets the tracks.
    pub fn stop(&mut self, rig: &mut Rig, seconds: f64) {
        let into = self.fade.take().and_then(|fade| fade.into);
        let at = rig.cx.soon() + rig.cx.frames(seconds);
        for voice in [self.current.take(), into, self.next.take()].into_iter().flatten() {
            let when = matches!(voice.phase, Phase::Started(_)).then_some(at);
            if when.is_some() {
                rig.mixer.set_level(rig.cx, voice.deck, 0.0, Some(seconds), None);
            }
            rig.stems.unload(rig.cx, rig.tempo, voice.id(), when);
        }
        self.leave(rig, Some(at));
    }
}

/// Start of a set's tracks.
const START: Start = Start { rate: 1.0, volume: 1.0, looped: false, from: 0.0, seconds: 0.0 };

fn start(rig: &mut Rig, voice: &mut Voice, at: u64) {
    rig.stems.start_exactly(rig.cx, voice.id(), START, Some(at));
    voice.phase = Phase::Started(at);
    let Track { part_file, target_bpm, .. } = &*voice.track;
    tracing::info!("set: track {} on deck {}: {part_file}, {target_bpm} BPM", voice.place + 1, deck_name(voice.deck));
    rig.cx.events.post("/event/set/track", facts(voice.place, voice.deck, &voice.track));
}

/// Place (from 1), deck and file of a track.
fn facts(place: usize, deck: usize, track: &Track) -> Vec<Value> {
    vec![Value::Int(place as i64 + 1), deck_name(deck).into(), track.part_file.as_str().into()]
}

fn joined(folder: &str, part: &str) -> String {
    if folder.is_empty() || part.starts_with('/') { part.into() } else { format!("{folder}/{part}") }
}
