//! What can be asked of the engine, and what it reports.

use super::clock::Shape;
use super::eq::Band;
use super::method::Method;
use super::plan::Kit;
use super::source::StemSource;
use super::tape::Tape;

/// Index of a place for a loaded stem.
pub type Slot = u16;

/// A request, with the sample at which it is to be done (`None`: as soon as possible).
#[derive(Debug)]
pub struct Command {
    /// Sample time of execution.
    pub at: Option<u64>,
    /// Returned in [`Event::Applied`]; 0 asks for no answer.
    pub ticket: u32,
    /// What to do.
    pub action: Action,
}

/// A stretch of a stem to be played. All numbers are frames in the stem's own sample rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// First frame heard.
    pub from: u64,
    /// Where a loop returns to.
    pub start: u64,
    /// One past the last frame.
    pub end: u64,
    /// Whether it returns to `start` at `end`.
    pub looped: bool,
}

/// The verbs of the engine. Gains are linear, lengths are frames of sample time unless said otherwise.
#[derive(Debug)]
pub enum Action {
    /// Puts a loaded stem into an empty slot.
    Install { slot: Slot, deck: usize, source: Box<StemSource> },
    /// Fades a stem out and hands it back as retired.
    Remove { slot: Slot },
    /// Fetches what a later [`Action::Start`] with the same `play` will need.
    Prime { slot: Slot, play: Play },
    /// Plays from the given place; what sounded from this slot before fades out.
    Start { slot: Slot, play: Play, rate: f64, gain: f32 },
    /// Takes back a start that still waits for its sample.
    Cancel { ticket: u32 },
    /// Fades out and stops.
    Stop { slot: Slot },
    /// Sets a stem's volume.
    StemGain { slot: Slot, gain: f32 },
    /// Sets a stem's own playback rate.
    StemRate { slot: Slot, rate: f64 },
    /// Sets a deck's level, within `frames` frames (at least an ordinary ramp, which `None` is).
    DeckLevel { deck: usize, level: f32, frames: Option<u32> },
    /// Sets a deck's gain from the crossfader, likewise.
    Fader { deck: usize, gain: f32, frames: Option<u32> },
    /// Sets one band of a deck's equaliser.
    Eq { deck: usize, band: Band, gain: f32 },
    /// Sets the master gain, likewise.
    Master { gain: f32, frames: Option<u32> },
    /// Sets the tempo; everything follows within `frames` frames.
    Tempo { bpm: f64, frames: u32, shape: Shape },
    /// Sets how a deck's tempo is changed; the first method that keeps pitch comes with a kit.
    Stretch { deck: usize, method: Method, kit: Option<Box<Kit>> },
    /// Changes the key of a deck whose method keeps pitch, by a factor.
    Key { deck: usize, factor: f64 },
    /// Sets the tempo at which a deck's stems play at their own speed; `None`: always.
    Sync { deck: usize, base: Option<f64> },
    /// Puts the beat clock to zero.
    ResetBeat,
    /// Sounds a test tone.
    Tone { hz: f64, gain: f32, frames: u32 },
    /// Records from now on.
    Roll { tape: Box<Tape> },
    /// Lets what plays of a stem go on within another stretch, from where it is or, if that lies outside, from its
    /// place within the stretch.
    Loop { slot: Slot, play: Play },
    /// Stops recording and hands the tape back as retired.
    Cut,
    /// Does nothing but answer.
    Ping,
}

/// What the engine tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A command with a ticket took effect at sample `at`, `late` frames after it should have.
    Applied { ticket: u32, at: u64, late: u64 },
    /// A command could not be done.
    Refused { ticket: u32, why: Refusal },
    /// A stem has fetched what [`Action::Prime`] asked for.
    Primed { slot: Slot },
    /// A stem's first sample is at `at`; `late` frames after it was asked for (it had to be fetched first).
    Started { slot: Slot, at: u64, late: u64 },
    /// A stem came to its end or was stopped; `still`: it sounds from another place, or is about to.
    Ended { slot: Slot, still: bool },
    /// A stem's ring ran dry: it fades out and goes on silently.
    Starved { slot: Slot, at: u64 },
    /// A starved stem sounds again, where the clock says it should be.
    Resumed { slot: Slot, at: u64 },
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The slot holds nothing.
    EmptySlot,
    /// The slot is taken.
    SlotTaken,
    /// A recording is running already.
    Recording,
    /// No such slot or deck.
    OutOfRange,
    /// The schedule is full.
    ScheduleFull,
    /// More different rates at once than there are interpolators.
    TooManyRates,
}

/// Objects the engine is done with; to be freed elsewhere.
#[derive(Debug)]
pub enum Retired {
    /// A stem, and the slot that is free now.
    Stem { slot: Slot, source: Box<StemSource> },
    /// A stem that never got in.
    Refused { source: Box<StemSource> },
    /// A kit that never got in.
    Kit { kit: Box<Kit> },
    /// A tape that is full, or never got in.
    Tape { tape: Box<Tape> },
}
