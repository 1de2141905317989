//! Commands the engine accepts and events it emits.

use super::clock::Shape;
use super::eq::Band;
use super::method::Method;
use super::plan::StretchPool;
use super::source::Play;
use super::source::StemSource;
use super::tape::RecordTap;

/// Index of a stem slot.
pub type Slot = u16;

/// A command to the engine, with the sample time at which to execute it (`None`: as soon as possible).
#[derive(Debug)]
pub struct Command {
    /// Sample time of execution; `None`: as soon as possible.
    pub at: Option<u64>,
    /// Number returned in [`Event::Applied`] and [`Event::Refused`]; 0 asks for no answer.
    pub ticket: u32,
    /// The action to execute.
    pub action: Action,
}

/// The actions of the engine. Gains are linear; lengths are frames of sample time unless stated otherwise.
#[derive(Debug)]
pub enum Action {
    /// Installs a loaded stem into an empty slot.
    Install { slot: Slot, deck: usize, source: Box<StemSource> },
    /// Fades a stem out and returns it as [`Retired::Stem`].
    Remove { slot: Slot },
    /// Prefetches the samples that a later [`Action::Start`] with the same `play` needs.
    Prime { slot: Slot, play: Play },
    /// Starts playback from `play.from`; whatever this slot was playing fades out. Stems of one rate are interpolated
    /// together, so that one that is added begins up to half a frame of its file beside its time; if `exact` is set, it
    /// is interpolated by itself rather.
    Start { slot: Slot, play: Play, rate: f64, gain: f32, exact: bool },
    /// Cancels a start that is still waiting for its sample time.
    Cancel { ticket: u32 },
    /// Fades a stem out and stops it.
    Stop { slot: Slot },
    /// Sets a stem's volume (linear); `frames` as in [`Action::DeckLevel`].
    StemGain { slot: Slot, gain: f32, frames: Option<u32> },
    /// Sets a stem's own playback rate (1 = its original speed).
    StemRate { slot: Slot, rate: f64 },
    /// Sets a deck's level within `frames` frames; `None`, or less than an ordinary ramp, means an ordinary ramp.
    DeckLevel { deck: usize, level: f32, frames: Option<u32> },
    /// Sets a deck's crossfader gain; `frames` as in [`Action::DeckLevel`].
    Fader { deck: usize, gain: f32, frames: Option<u32> },
    /// Sets one band of a deck's equaliser (linear gain).
    Eq { deck: usize, band: Band, gain: f32 },
    /// Sets the master gain; `frames` as in [`Action::DeckLevel`].
    Master { gain: f32, frames: Option<u32> },
    /// Glides to a new tempo within `frames` frames; everything synchronised follows.
    Tempo { bpm: f64, frames: u32, shape: Shape },
    /// Sets a deck's method of changing tempo; the first method that keeps pitch must come with a kit.
    Stretch { deck: usize, method: Method, kit: Option<Box<StretchPool>> },
    /// Transposes a deck whose method keeps pitch, by a frequency factor.
    Key { deck: usize, factor: f64 },
    /// Sets the tempo at which a deck's stems play at their own speed; `None`: they always do.
    Sync { deck: usize, base: Option<f64> },
    /// Resets the beat clock to zero.
    ResetBeat,
    /// Plays a test tone.
    Tone { hz: f64, gain: f32, frames: u32 },
    /// Starts recording to `tape`.
    StartRecording { tape: Box<RecordTap> },
    /// Moves the playback of a stem into another section: from its current position or, if that lies outside, from the
    /// corresponding position within the section.
    Loop { slot: Slot, play: Play },
    /// Stops recording and returns the tape as [`Retired::Tap`].
    StopRecording,
    /// Does nothing except answer.
    Ping,
}

/// Events the engine emits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A command with a ticket took effect at sample time `at`, `late` frames after it was due.
    Applied { ticket: u32, at: u64, late: u64 },
    /// A command was refused.
    Refused { ticket: u32, why: Refusal },
    /// A stem has fetched what [`Action::Prime`] asked for.
    Primed { slot: Slot },
    /// A stem's first frame sounds at sample time `at`, `late` frames after the request (it had to be fetched first).
    Started { slot: Slot, at: u64, late: u64 },
    /// A stem reached its end or was stopped; `still`: it still sounds, or is about to, from another position.
    Ended { slot: Slot, still: bool },
    /// A stem's ring ran dry: the stem fades out and continues silently.
    Starved { slot: Slot, at: u64 },
    /// A starved stem sounds again, at the position the clock dictates.
    Resumed { slot: Slot, at: u64 },
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The slot is empty.
    EmptySlot,
    /// The slot is occupied.
    SlotTaken,
    /// A recording is already running.
    Recording,
    /// There is no such slot or deck.
    OutOfRange,
    /// The schedule is full.
    ScheduleFull,
    /// There are more different rates at once than interpolators.
    TooManyRates,
}

/// Objects the engine no longer needs; they must be freed outside the audio thread.
#[derive(Debug)]
pub enum Retired {
    /// A stem, and the slot that is now free.
    Stem { slot: Slot, source: Box<StemSource> },
    /// A stem that was not installed.
    Refused { source: Box<StemSource> },
    /// A kit that was not accepted.
    Pool { kit: Box<StretchPool> },
    /// A tape that has ended or was not accepted.
    Tap { tape: Box<RecordTap> },
}
