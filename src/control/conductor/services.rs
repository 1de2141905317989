//! What the conductor needs from outside: threads that may block, and devices.

use std::sync::Arc;

use crate::ddsp::order::{Card, VoiceCommand};
use crate::engine::cover::WorkerEnd;
use crate::engine::voices::VoiceCell;
use crate::media::feed::Feeder;
use crate::media::library::Library;
use crate::media::pool::LoadJob;
use crate::media::recorder::RecordJob;
use crate::plans::score::Wishes;
use crate::sets::order::Order;
use crate::sets::track::Track;
use crate::system::keeper::FileJob;

/// A request to whoever opens instruments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstrumentJob {
    /// Open the instrument of this name and give it to the voices.
    Open(String),
    /// List the instruments there are.
    List,
}

/// The result of an [`InstrumentJob`].
#[derive(Clone, Debug, PartialEq)]
pub enum InstrumentResult {
    /// The voices have it, or it cannot be opened: name, and facts or reason.
    Opened(String, Result<Card, String>),
    /// Names, in order.
    Names(Vec<String>),
}

/// A request to whoever keeps the run of evolution; each but `Heard` has one result, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum GenomeJob {
    /// Choose the genome that is presented next, breeding a generation if necessary.
    Next,
    /// Count votes.
    Vote {
        /// Id of the genome.
        id: String,
        /// Votes for it.
        likes: u32,
        /// Votes against it.
        dislikes: u32,
    },
    /// Count what was heard.
    Heard {
        /// Id of the genome.
        id: String,
        /// Seconds for which it was heard.
        heard_s: f64,
        /// Seconds of these for which movement is known.
        sensed_s: f64,
        /// Mean movement of the crowd during these, 0 to 1.
        movement: f64,
    },
}

/// A genome to be presented.
#[derive(Clone, Debug, PartialEq)]
pub struct Presented {
    /// Id in the database.
    pub id: String,
    /// Generation, from 0.
    pub generation: u32,
    /// Place in its generation, from 0.
    pub place: usize,
    /// Genomes of a generation.
    pub size: usize,
    /// Seconds of its sound.
    pub duration_s: f64,
    /// Velocity, 0 to 1.
    pub velocity: f64,
    /// Largest absolute sample of its sound.
    pub peak: f64,
}

/// The result of a [`GenomeJob`], or the reason that there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum GenomeResult {
    /// The genome to present.
    Next(Result<Presented, String>),
    /// The votes are counted.
    Voted(Result<(), String>),
}

/// A request to read the table of a set; it has one result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetJob {
    /// Number of the request; comes back with the result.
    pub serial: u64,
    /// Path as the client wrote it.
    pub path: String,
    /// Order in which its tracks are played.
    pub order: Order,
    /// Seed of random orders.
    pub seed: u64,
}

/// The table of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct SetFile {
    /// Its folder.
    pub folder: String,
    /// Its tracks in order of play; at least one.
    pub tracks: Vec<Arc<Track>>,
    /// Number of rows that cannot be played.
    pub faults: i64,
    /// Remarks about its rows: one sentence each.
    pub remarks: Vec<String>,
}

/// A request to read a plan; it has one result.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanJob {
    /// Number of the request; comes back with the result.
    pub serial: u64,
    /// Path as the client wrote it.
    pub path: String,
    /// Requested way of playing it.
    pub wishes: Wishes,
    /// Tempo in BPM, should the plan have none.
    pub bpm: f64,
    /// Beats per bar.
    pub meter: f64,
}

/// Maximum size of a plan in bytes.
pub const MAX_PLAN: u64 = 16 << 20;

/// Maximum size of the table of a set in bytes.
pub const MAX_SET: u64 = 16 << 20;

/// Work that others do for the conductor. Nothing here may block; results come back through the conductor's own
/// methods. By default every service does nothing.
pub trait Services: Send {
    /// Loads a file; the result goes to [`super::Conductor::loaded`].
    fn load(&mut self, _job: LoadJob) {}
    /// Looks files up in `library` from now on.
    fn set_library(&mut self, _library: Library) {}
    /// Hands reserves to the worker that fills them.
    fn stretch(&mut self, _ends: Vec<WorkerEnd>) {}
    /// Gives a stem to its reader thread.
    fn feed(&mut self, _feeder: Feeder) {}
    /// Reads or writes a small file; the result goes to [`super::Conductor::kept`].
    fn keep(&mut self, _job: FileJob) {}
    /// Begins a recording; its progress goes to [`super::Conductor::recorded`]. `false`: there is no folder for it.
    fn record(&mut self, _order: RecordJob) -> bool {
        false
    }
    /// Frames of the recording so far, and how many of them are missing.
    fn recorded(&self) -> (u64, u64) {
        (0, 0)
    }
    /// Sends the voices an order, for a sample time if there is one.
    fn voice(&mut self, _at: Option<u64>, _order: VoiceCommand) {}
    /// Opens or lists instruments; the result goes to [`super::Conductor::opened`].
    fn instrument(&mut self, _job: InstrumentJob) {}
    /// Keeps the run of evolution; the result goes to [`super::Conductor::bred`].
    fn genome(&mut self, _job: GenomeJob) {}
    /// Reads a plan; the result goes to [`super::Conductor::plan_read`].
    fn plan(&mut self, _job: PlanJob) {}
    /// Reads the table of a set; the result goes to [`super::Conductor::set_read`].
    fn set(&mut self, _job: SetJob) {}
    /// What the voices' worker shows of itself, if there is one.
    fn voices(&self) -> Option<Arc<VoiceCell>> {
        None
    }
    /// Stalls a thread by name for some milliseconds, for debugging.
    fn stall(&mut self, _what: &str, _ms: u64) {}
}

/// No services at all, for tests.
#[derive(Debug, Default)]
pub struct NoServices;

impl Services for NoServices {}
