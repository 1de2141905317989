//! A buffer: a stem under its number, and what is known of it.

use std::path::PathBuf;

use crate::control::commands::request::Origin;
use crate::engine::command::Slot;
use crate::engine::source::Play;
use crate::media::decode::Info;

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

impl Start {
    /// The ordinary start, `from` a fraction of the file: at its own speed, looped.
    pub fn at(from: f64) -> Start {
        Start { rate: 1.0, volume: 0.8, looped: true, from, seconds: 0.0 }
    }
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
    /// Whether it is loaded.
    pub state: State,
    /// How it was last asked to play.
    pub start: Start,
    /// Whether it plays, or will as soon as it can.
    pub playing: bool,
    /// The start that the engine has not answered yet: its ticket, and the sample it is for.
    pub starting: Option<(u32, u64)>,
}

/// Whether a buffer is loaded.
#[derive(Debug)]
pub enum State {
    /// The load is under way.
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
pub const MOST_NAME: usize = 200;

/// The beginning of a text, at most `bytes` long.
pub fn clipped(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

impl Buffer {
    /// Memory it takes.
    pub fn bytes(&self) -> usize {
        match &self.state {
            State::Ready { bytes, .. } => *bytes,
            State::Loading { .. } => 0,
        }
    }

    /// What the file holds, once it is loaded.
    pub fn info(&self) -> Option<&Info> {
        match &self.state {
            State::Ready { info, .. } => Some(info),
            State::Loading { .. } => None,
        }
    }

    /// Whether it is loaded.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }

    /// Whether a load that was asked for before `serial` is still under way.
    pub fn loads_before(&self, serial: u64) -> bool {
        matches!(self.state, State::Loading { tag, .. } if tag < serial)
    }

    /// Its place in the engine; that of its predecessor while it is loading.
    pub fn slot(&self) -> Option<Slot> {
        match &self.state {
            State::Ready { slot, .. } => Some(*slot),
            State::Loading { before, .. } => before.as_ref()?.slot(),
        }
    }
}

/// A place in a file of `seconds`, as a fraction of it. Up to 1, `from` is that fraction; above 1 it is a number of
/// seconds, as older clients send it, modulo the length, as in a loop. 0 if the length is unknown.
pub fn share(from: f64, seconds: f64) -> f64 {
    match from {
        // A fraction may have been rounded to 32 bits on its way.
        from if from <= 1.0 + 1e-6 => from.min(1.0),
        from if seconds > 0.0 => (from % seconds) / seconds,
        _ => 0.0,
    }
}

/// The stretch of a file that a start means.
pub fn stretch(info: &Info, start: &Start) -> Play {
    let from = (share(start.from, info.seconds()) * info.frames as f64) as u64;
    let from = from.min(info.frames.saturating_sub(1));
    if start.seconds > 0.0 {
        let length = ((start.seconds * f64::from(info.sample_rate)) as u64).max(64);
        let end = (from + length).min(info.frames);
        return Play { from, start: from, end, looped: start.looped };
    }
    Play { from, start: 0, end: info.frames, looped: start.looped }
}

/// A position in a stem that plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playhead {
    /// Sample time.
    pub time: u64,
    /// Seconds into the file that sound then.
    pub seconds: f64,
    /// Seconds of the file that are played per second.
    pub speed: f64,
}

/// A buffer that a cue has made ready on a deck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cue {
    /// The buffer.
    pub id: i64,
    /// The start, as a fraction of the file.
    pub from: f64,
}

/// Bytes in megabytes (10⁶).
pub fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
