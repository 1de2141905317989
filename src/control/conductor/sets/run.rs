//! A set that plays: tracks on decks in turn, each mixed into the one before where its cue is.
//!
//! All of it is driven by the positions of the tracks. They follow the clock, so that a distance between two places of a
//! track is a number of beats, whatever the tempo does meanwhile; the sample at which these beats will have passed is
//! computed anew on every tick until the command has to be sent.

use std::sync::Arc;

use super::super::buffer::{FIRST_ID, Start, State};
use super::super::context::Context;
use super::super::pace::Sync;
use super::super::stems::Stems;
use super::super::takeover::{Parts, Takeover};
use super::super::tempo::Course;
use super::super::tempo::Tempo;
use super::history::{History, Played};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::deck_name;
use crate::engine::command::Action;
use crate::engine::eq::Band;
use crate::engine::source::Play;
use crate::sets::mix::{Curve, Mix};
use crate::sets::order::Order;
use crate::sets::track::Track;

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
    /// Sample at which it was loaded.
    loaded: u64,
    phase: Phase,
    /// Beats of it that are passed over.
    from: f64,
    /// Where the next track begins and where its own window ends, in beats of the track.
    cue: f64,
    end: f64,
}

impl Voice {
    fn id(&self) -> i64 {
        FIRST_ID[self.deck] + STEM
    }

    /// Beats since its beginning, and the course of the clock from there; `None` if it does not sound.
    fn beats(&self, parts: &Parts) -> Option<(f64, Course)> {
        // Both from one block of the engine.
        for _ in 0..8 {
            let course = Course::now(parts.cx);
            let place = parts.stems.place_of(parts.cx, parts.tempo, self.id())?;
            if place.time == course.time {
                return Some((self.track.beats(place.seconds), course));
            }
        }
        None
    }

    /// Returns its start, if its part lasts some seconds.
    fn start(&self, seconds: f64) -> Start {
        let from = self.from * 60.0 / self.track.target_bpm / seconds.max(1e-3);
        Start { rate: 1.0, volume: 1.0, looped: false, from: from.min(1.0), seconds: 0.0 }
    }

    /// Starts it at a sample.
    fn begin(&mut self, parts: &mut Parts, at: u64) {
        let seconds = parts.stems.get(self.id()).and_then(|buffer| buffer.info()).map_or(0.0, |info| info.seconds());
        parts.stems.start_exactly(parts.cx, self.id(), self.start(seconds), Some(at));
        self.phase = Phase::Started(at);
        let Track { part_file, target_bpm, .. } = &*self.track;
        tracing::info!("set: track {} on deck {}: {part_file}, {target_bpm} BPM", self.place + 1, deck_name(self.deck));
        parts.cx.events.post("/event/set/track", facts(self.place, self.deck, &self.track));
    }

    /// Returns whether its stem is still there and meant to sound.
    fn is_there(&self, parts: &Parts) -> bool {
        parts.stems.get(self.id()).is_some_and(|buffer| buffer.serial == self.serial && buffer.playing)
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
    /// Order in which it was asked for.
    pub order: Order,
    /// Seed of random orders.
    pub seed: u64,
    /// Folder of the table: its paths are relative to it.
    pub folder: String,
    /// Tracks in order of play.
    pub tracks: Vec<Arc<Track>>,
    /// Last line of the table that has been read.
    pub last_line: usize,
}

/// Where a run begins, and what is known of earlier ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumption {
    /// Beats of the first track that are passed over.
    pub beats: f64,
    /// Lines of tracks that were played, the first track's last; empty if it begins anew.
    pub lines: Vec<usize>,
}

/// A set that plays.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    score: Score,
    mix: Mix,
    /// Where the first track begins, in beats of it.
    from: f64,
    /// Tracks that were played.
    history: History,
    /// Whether movement calls for high tracks, and whether the next one is taken as it comes nevertheless.
    wants_high: bool,
    as_ordered: bool,
    /// Its decks, as they were before; `None` once they have been given back.
    takeover: Option<Takeover>,
    /// Tracks that fade out because the set was stopped.
    fading: Vec<Voice>,
    /// Sample from which everything is silent, once the set ends.
    leaves: Option<u64>,
    is_stopped: bool,
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
    /// True once the last track has ended.
    over: bool,
}

impl Run {
    /// Begins a run: opens the decks and takes the first track's tempo.
    pub fn begin(parts: &mut Parts, score: Score, mix: Mix, from: Resumption) -> Run {
        // A file may say anything.
        let mix = Mix { decks: mix.decks.clamp(2, 4), ..mix };
        let takeover = Takeover::begin(parts, 0..mix.decks, 0.0);
        if let Some(first) = score.tracks.first() {
            parts.tempo.glide(parts.cx, None, first.target_bpm, 0.0, Default::default());
        }
        Run {
            score,
            mix,
            from: from.beats,
            as_ordered: !from.lines.is_empty(),
            history: History::after(from.lines),
            wants_high: false,
            takeover: Some(takeover),
            fading: Vec::new(),
            leaves: None,
            is_stopped: false,
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

    /// Ends the set at a sample, or at once.
    fn leave(&mut self, parts: &mut Parts, at: Option<u64>) {
        self.leaves = Some(at.unwrap_or(parts.cx.now()));
    }

    /// Gives the decks back as they were before; everything is silent.
    fn end(&mut self, parts: &mut Parts) {
        for voice in std::mem::take(&mut self.fading) {
            parts.stems.unload(parts.cx, parts.tempo, voice.id(), None);
        }
        self.release(parts);
        self.over = true;
        tracing::info!("set: {}; decks as before", if self.is_stopped { "stopped" } else { "over" });
        parts.cx.events.post("/event/set/over", Vec::new());
    }

    /// Gives the decks back at once.
    pub fn release(&mut self, parts: &mut Parts) {
        if let Some(takeover) = self.takeover.take() {
            takeover.end(parts, None);
        }
    }

    /// Returns whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Returns whether it has neither been stopped nor come to its end.
    pub fn goes_on(&self) -> bool {
        self.leaves.is_none()
    }

    /// Number of tracks that have begun.
    pub fn begun(&self) -> usize {
        self.history.begun()
    }

    /// Tracks that were played, in order, with their numbers from 1.
    pub fn played(&self) -> impl Iterator<Item = (usize, &Played)> {
        self.history.played()
    }

    /// Lines of tracks that were played, each once; the latest last.
    pub fn lines(&self) -> &[usize] {
        self.history.lines()
    }

    /// Returns the way of mixing what is left, the present track included.
    pub fn mix_left(&self, cx: &Context) -> Mix {
        let limit = self.mix.limit.map(|limit| (limit + 1).saturating_sub(self.begun()).clamp(1, limit));
        let minutes = self.mix.minutes.map(|minutes| (minutes - self.minutes(cx)).max(0.01));
        Mix { limit, minutes, ..self.mix.clone() }
    }

    /// Minutes since the first track began.
    fn minutes(&self, cx: &Context) -> f64 {
        self.history.first().map_or(0.0, |first| cx.now().saturating_sub(first) as f64 / cx.rate() / 60.0)
    }

    /// Returns whether only rows that are added to the table could keep it from ending.
    pub fn is_at_its_end(&self) -> bool {
        self.current.is_some() && self.next.is_none() && self.fade.is_none() && self.is_exhausted()
    }

    /// Numbers of the buffers of its tracks.
    pub fn ids(&self) -> Vec<i64> {
        let into = self.fade.as_ref().and_then(|fade| fade.into.as_ref());
        self.current.iter().chain(&self.next).chain(into).chain(&self.fading).map(Voice::id).collect()
    }

    /// Whole bars, in beats, of the track that sounds or comes in that have passed.
    pub fn beats(&self, (cx, stems, tempo): (&Context, &Stems, &Tempo)) -> f64 {
        if self.current.is_none() {
            return self.next.as_ref().map_or(self.from, |next| next.from);
        }
        let place = self.latest().and_then(|voice| Some((voice, stems.place_of(cx, tempo, voice.id())?)));
        place.map_or(0.0, |(voice, place)| (voice.track.beats(place.seconds) / METER).floor() * METER)
    }

    /// Appends tracks that were added to the table.
    pub fn append(&mut self, tracks: &[Arc<Track>]) -> usize {
        let last = self.score.last_line;
        let new: Vec<_> = tracks.iter().filter(|track| track.line > last).cloned().collect();
        self.score.last_line = new.iter().map(|track| track.line).fold(last, usize::max);
        self.score.tracks.extend(new.iter().cloned());
        new.len()
    }

    /// Sets whether high tracks are to be played, in orders that follow movement.
    pub fn want_high(&mut self, high: bool) {
        self.wants_high = high;
    }

    /// Returns whether another track is to be played after those that have begun.
    fn wants_more(&self, parts: &Parts) -> bool {
        self.mix.limit.is_none_or(|limit| self.begun() < limit)
            && self.mix.minutes.is_none_or(|most| self.minutes(parts.cx) < most)
    }

    /// Returns whether no track is left.
    fn is_exhausted(&self) -> bool {
        let count = self.score.tracks.len();
        self.to_load >= count && (!self.mix.again || self.history.failures() >= count)
    }

    /// Number of tracks that could not be played.
    pub fn missing(&self) -> usize {
        self.history.missing()
    }

    /// Its decks, as they were before.
    pub fn takeover(&self) -> Option<&Takeover> {
        self.takeover.as_ref()
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
        self.latest().map_or(self.history.last().unwrap_or(self.to_load.saturating_sub(1)), |voice| voice.place)
    }

    /// The track that comes in, or else the one that sounds.
    fn latest(&self) -> Option<&Voice> {
        self.fade.as_ref().and_then(|fade| fade.into.as_ref()).or(self.current.as_ref())
    }

    /// State as in `/status/set`.
    pub fn state(&self) -> &'static str {
        match (&self.current, &self.fade) {
            _ if self.leaves.is_some() => "over",
            (None, _) => "loading",
            (_, Some(_)) => "fading",
            _ if self.held => "held",
            _ => "playing",
        }
    }

    /// Advances the set; called on every tick.
    pub fn watch(&mut self, parts: &mut Parts) {
        if let Some(at) = self.leaves {
            if at <= parts.cx.now() {
                self.end(parts);
            }
            return;
        }
        self.prepare(parts);
        if self.fade.is_some() {
            return self.advance_fade(parts);
        }
        match &self.current {
            None => self.start_first(parts),
            Some(_) => self.await_cue(parts),
        }
    }

    /// Loads the next track and follows its progress.
    fn prepare(&mut self, parts: &mut Parts) {
        if let Some(next) = &mut self.next {
            let buffer = parts.stems.get(next.id()).filter(|buffer| buffer.serial == next.serial);
            let Some(buffer) = buffer else {
                tracing::warn!("set: track {} cannot be played; the next one takes its place", next.place + 1);
                parts.cx.events.post("/event/set/skipped", facts(next.place, next.deck, &next.track));
                self.history.failed();
                self.next = None;
                return;
            };
            match (next.phase, &buffer.state) {
                (Phase::Loading, State::Ready { info, .. }) => {
                    // Parts may be a little shorter than the table says.
                    let length = next.track.beats(info.seconds());
                    next.end = next.end.min(length);
                    next.cue = next.cue.min((next.end - 1.0).floor().max(0.0));
                    let start = next.start(info.seconds());
                    parts.stems.prime_for(parts.cx, next.id(), start);
                    next.phase = Phase::Priming;
                }
                (Phase::Priming, _) if parts.stems.is_primed(next.id()) => next.phase = Phase::Ready,
                _ => {}
            }
        } else if self.fade.is_none() && !self.is_exhausted() && self.wants_more(parts) {
            let place = if self.to_load < self.score.tracks.len() { self.to_load } else { 0 };
            if !std::mem::take(&mut self.as_ordered) {
                self.choose(place);
            }
            self.to_load = place + 1;
            self.next = self.load(parts, place);
        }
    }

    /// Puts the track that movement calls for at this place of the order.
    fn choose(&mut self, place: usize) {
        let rest = &mut self.score.tracks[place..];
        if rest.iter().any(|track| track.is_high)
            && let Some(k) = rest.iter().position(|track| track.is_high == self.wants_high)
        {
            rest[..=k].rotate_right(1);
        }
    }

    fn load(&mut self, parts: &mut Parts, place: usize) -> Option<Voice> {
        let track = self.score.tracks.get(place)?.clone();
        let deck = self.current.as_ref().map_or(0, |current| (current.deck + 1) % self.mix.decks);
        // The deck is silent.
        parts.mixer.set_level(parts.cx, deck, 0.0, None, None);
        parts.mixer.set_band(parts.cx, deck, Band::Low, 1.0, None);
        if parts.tempo.paces[deck].sync == Sync::Off {
            parts.tempo.set_sync(parts.cx, deck, Sync::Tempo, None);
        }
        parts.tempo.set_deck_bpm(parts.cx, deck, Some(track.target_bpm), None);
        let path = joined(&self.score.folder, &track.part_file);
        let id = FIRST_ID[deck] + STEM;
        if let Err(fault) = parts.stems.load(parts.cx, id, (&path, ""), None, "/groove/set/play") {
            tracing::warn!("set: track {}: {fault}; the next one takes its place", place + 1);
            parts.cx.events.post("/event/set/skipped", facts(place, deck, &track));
            self.history.failed();
            return None;
        }
        let serial = parts.stems.get(id)?.serial;
        // Cues are analysed, and a few milliseconds off their beats.
        let cue = self.mix.align.snapped(track.beats(track.begin), METER);
        let window = track.beats(track.end - track.begin).round();
        let end = cue + self.mix.fade.map_or(window, |bars| bars * METER).max(1.0);
        let from = if self.current.is_none() { std::mem::take(&mut self.from).min(cue) } else { 0.0 };
        let loaded = parts.cx.now();
        Some(Voice { place, track, deck, serial, loaded, phase: Phase::Loading, from, cue, end })
    }

    fn start_first(&mut self, parts: &mut Parts) {
        match &self.next {
            None if self.is_exhausted() || !self.wants_more(parts) => self.leave(parts, None),
            Some(next) if next.phase == Phase::Ready => {
                let at = parts.cx.soon();
                if let Some(mut voice) = self.next.take() {
                    self.start(parts, &mut voice, at);
                    parts.mixer.set_level(parts.cx, voice.deck, 1.0, None, Some(at));
                    self.current = Some(voice);
                }
            }
            _ => {}
        }
    }

    /// Begins the fade when the track that sounds is at its cue.
    fn await_cue(&mut self, parts: &mut Parts) {
        let Some(current) = self.current.clone() else { return };
        let Some((position, course)) = current.beats(parts) else {
            let Phase::Started(at) = current.phase else { return };
            if !current.is_there(parts) && parts.cx.now() > at + parts.cx.frames(SILENT_S) {
                // Somebody stopped it, or it was shorter than its cue: the next one begins at once.
                self.let_go(parts);
            }
            return;
        };
        self.repeat(parts, &current);
        let is_last = !self.wants_more(parts) || (self.next.is_none() && self.is_exhausted());
        let is_ready = self.next.as_ref().is_some_and(|next| next.phase == Phase::Ready);
        let mut cue = current.cue;
        if self.hurried {
            cue = cue.min((position / METER).floor() * METER + METER);
        }
        // If the next track was not ready, or was held, it begins on a later beat.
        let soon = parts.cx.soon();
        while cue < position || (course.sample_in(cue - position) < soon && cue < position + METER) {
            cue = cue.max(position.floor()) + 1.0;
        }
        let sample = course.sample_in(cue - position);
        let before = self.predicted.replace(sample);
        let due = soon + parts.cx.frames(LEAD_S);
        // A deck that was taken off the clock is never where it was predicted.
        let agree = position > current.cue + METER
            || before.is_some_and(|before| before.abs_diff(sample) <= parts.cx.frames(JITTER_S));
        if sample > due || !agree || self.held || !(is_ready || is_last) {
            return;
        }
        let window = (current.end - current.cue).max(1.0);
        (self.hurried, self.repeats, self.predicted) = (false, false, None);
        self.history.left(sample);
        if is_last && let Some(next) = self.next.take() {
            parts.stems.unload(parts.cx, parts.tempo, next.id(), None);
        }
        let Some(mut next) = self.next.take() else {
            self.fade = Some(Fade { into: None, beats: window, from: cue, sent: 0 });
            return self.advance_fade(parts);
        };
        let beats = window.min(next.cue.max(1.0));
        if beats < window {
            tracing::info!(
                "set: track {}: window shortened from {window:.0} to {beats:.0} beats; the next track's cue comes earlier",
                current.place + 1
            );
        }
        if self.mix.swaps_bass {
            parts.mixer.set_band(parts.cx, next.deck, Band::Low, 0.0, None);
        }
        self.start(parts, &mut next, sample);
        // Its first piece is sent together with the start, before its position is known.
        self.fade = Some(Fade { into: Some(next), beats, from: 0.0, sent: 0 });
        self.send_piece(parts, sample, course.sample_in(cue - position + beats / PIECES as f64));
    }

    /// Sends the pieces of the fade as they come due.
    fn advance_fade(&mut self, parts: &mut Parts) {
        let Some(fade) = &self.fade else { return };
        let Some((beats, course)) = self.latest().and_then(|voice| voice.beats(parts)) else {
            self.abandon_fade(parts);
            return;
        };
        let at = |piece: usize| course.sample_in(fade.from + fade.beats * piece as f64 / PIECES as f64 - beats);
        let sample = at(fade.sent);
        if sample > parts.cx.soon() + parts.cx.frames(LEAD_S) {
            return;
        }
        let sample = sample.max(parts.cx.soon());
        if fade.sent < PIECES {
            let until = at(fade.sent + 1);
            return self.send_piece(parts, sample, until);
        }
        let Some(Fade { into, .. }) = self.fade.take() else { return };
        if let Some(current) = self.current.take() {
            parts.stems.unload(parts.cx, parts.tempo, current.id(), Some(sample));
            self.ends(&current, sample);
        }
        if into.is_none() {
            self.leave(parts, Some(sample));
        }
        self.current = into;
    }

    /// Sends the next piece of the fade: both levels, and the bass in the middle.
    fn send_piece(&mut self, parts: &mut Parts, from: u64, until: u64) {
        let Some(fade) = &mut self.fade else { return };
        let seconds = until.saturating_sub(from) as f64 / parts.cx.rate();
        let (down, up) = self.mix.curve.gains((fade.sent + 1) as f64 / PIECES as f64);
        let seconds = if self.mix.curve == Curve::Cut { 0.0 } else { seconds };
        let swap = self.mix.swaps_bass && fade.sent == PIECES / 2;
        if let Some(current) = &self.current {
            parts.mixer.set_level(parts.cx, current.deck, down, Some(seconds), Some(from));
            if swap && fade.into.is_some() {
                parts.mixer.set_band(parts.cx, current.deck, Band::Low, 0.0, Some(from));
            }
        }
        if let Some(into) = &fade.into {
            parts.mixer.set_level(parts.cx, into.deck, up, Some(seconds), Some(from));
            if swap {
                parts.mixer.set_band(parts.cx, into.deck, Band::Low, 1.0, Some(from));
            }
        }
        fade.sent += 1;
    }

    /// Ends a fade whose measuring track does not sound, once it should.
    fn abandon_fade(&mut self, parts: &mut Parts) {
        let Some(fade) = &self.fade else { return };
        if self.latest().is_some_and(|voice| voice.is_there(parts)) {
            return;
        }
        if let Some(Voice { phase: Phase::Started(at), .. }) = &fade.into
            && parts.cx.now() < at + parts.cx.frames(SILENT_S)
        {
            return;
        }
        let into = self.fade.take().and_then(|fade| fade.into);
        match into {
            // What came has gone: what sounds stays, at its full level.
            Some(into) => {
                parts.stems.unload(parts.cx, parts.tempo, into.id(), None);
                if let Some(current) = &self.current {
                    parts.mixer.set_level(parts.cx, current.deck, 1.0, None, None);
                    parts.mixer.set_band(parts.cx, current.deck, Band::Low, 1.0, None);
                }
            }
            None => {
                self.let_go(parts);
                self.leave(parts, None);
            }
        }
    }

    /// Starts a track at a sample.
    fn start(&mut self, parts: &mut Parts, voice: &mut Voice, at: u64) {
        voice.begin(parts, at);
        let (track, deck) = (voice.track.clone(), voice.deck);
        self.history.begins(voice.place, Played { track, deck, times: [voice.loaded, at, 0, 0] });
    }

    /// Notes when a track ended.
    fn ends(&mut self, voice: &Voice, at: u64) {
        let Phase::Started(begun) = voice.phase else { return };
        self.history.ended(begun, at);
    }

    fn let_go(&mut self, parts: &mut Parts) {
        (self.hurried, self.repeats, self.predicted) = (false, false, None);
        if let Some(current) = self.current.take() {
            parts.stems.unload(parts.cx, parts.tempo, current.id(), None);
            self.ends(&current, parts.cx.now());
        }
    }

    /// Begins the next track at the next bar.
    pub fn skip(&mut self) {
        self.held = false;
        // A track that has just come in is not left again.
        self.hurried = self.current.is_some() && self.fade.is_none();
    }

    /// Begins the track before the present one at the next bar.
    pub fn back(&mut self, parts: &mut Parts) {
        let place = self.place();
        if let Some(next) = self.next.take() {
            parts.stems.unload(parts.cx, parts.tempo, next.id(), None);
        }
        self.to_load = place.saturating_sub(1);
        self.as_ordered = true;
        self.skip();
    }

    /// Sets whether the next track waits.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Repeats the last bars before the cue while the next track waits.
    fn repeat(&mut self, parts: &mut Parts, current: &Voice) {
        if self.held == self.repeats {
            return;
        }
        let Some(State::Ready { slot, info, .. }) = parts.stems.get(current.id()).map(|b| &b.state) else { return };
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
        parts.cx.push(None, Action::Loop { slot, play });
    }

    /// Fades everything out and forgets the tracks.
    pub fn stop(&mut self, parts: &mut Parts, seconds: f64) {
        let at = parts.cx.soon() + parts.cx.frames(seconds);
        if self.leaves.is_none() {
            self.is_stopped = true;
            let into = self.fade.take().and_then(|fade| fade.into);
            for voice in [self.current.take(), into, self.next.take()].into_iter().flatten() {
                match voice.phase {
                    Phase::Started(_) => {
                        self.ends(&voice, at);
                        self.fading.push(voice);
                    }
                    _ => parts.stems.unload(parts.cx, parts.tempo, voice.id(), None),
                }
            }
        }
        if self.leaves.is_none_or(|leaves| at < leaves) {
            for voice in &self.fading {
                parts.mixer.set_level(parts.cx, voice.deck, 0.0, Some(seconds), None);
            }
            self.leaves = Some(at);
        }
    }
}

/// Place (from 1), deck and file of a track.
fn facts(place: usize, deck: usize, track: &Track) -> Vec<Value> {
    vec![Value::Int(place as i64 + 1), deck_name(deck).into(), track.part_file.as_str().into()]
}

fn joined(folder: &str, part: &str) -> String {
    if folder.is_empty() || part.starts_with('/') { part.into() } else { format!("{folder}/{part}") }
}
