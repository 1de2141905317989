//! The conductor's services in the running daemon: each is a message to a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;

use super::instruments::VoiceHandle;
use super::reader::Reader;
use crate::control::conductor::services::{GenomeJob, InstrumentJob, PlanJob, Services, SetFile, SetJob};
use crate::ddsp::order::VoiceCommand;
use crate::engine::cover::WorkerEnd;
use crate::engine::voices::VoiceCell;
use crate::media::feed::Feeder;
use crate::media::library::Library;
use crate::media::pool::{LoadJob, Pool};
use crate::media::recorder::{Progress, RecordJob};
use crate::output::player::Orders;
use crate::plans::score::Score;
use crate::system::keeper::FileJob;
use crate::system::overseer::Pulse;
use crate::system::realtime;

/// Threads that can be stalled on purpose, for debugging.
pub struct Stalls {
    /// The audio thread.
    pub audio: Arc<Orders>,
    /// The disk threads, in milliseconds.
    pub disk: Arc<AtomicU64>,
    /// The next load, in milliseconds.
    pub loader: Arc<AtomicU64>,
    /// The stretch worker, in microseconds for each 64 frames.
    pub stretch: Arc<AtomicU64>,
    /// The stretch worker, to make it hang.
    pub stretch_pulse: Arc<Pulse>,
}

/// The services of the running daemon.
pub struct LiveServices {
    /// Loaders.
    pub pool: Pool,
    /// Reader threads.
    pub feeders: Sender<Feeder>,
    /// The stretch worker.
    pub reserves: Sender<Vec<WorkerEnd>>,
    /// The keeper, if there is a folder for the state.
    pub files: Option<Sender<FileJob>>,
    /// The recorder, if there is a folder for recordings.
    pub recorder: Option<Sender<RecordJob>>,
    /// The recorder's progress.
    pub progress: Option<Arc<Progress>>,
    /// The run of evolution, if there is a database of genomes.
    pub genomes: Option<Sender<GenomeJob>>,
    /// Reads the tables of sets.
    pub sets: Reader<SetJob, SetFile>,
    /// Reads plans.
    pub plans: Reader<PlanJob, Score>,
    /// The voices.
    pub voices: VoiceHandle,
    /// What can be stalled.
    pub stalls: Stalls,
}

impl Services for LiveServices {
    fn load(&mut self, job: LoadJob) {
        self.pool.submit(job);
    }

    fn set_library(&mut self, library: Library) {
        self.sets.library = library.clone();
        self.plans.library = library.clone();
        self.pool.set_roots(library);
    }

    fn stretch(&mut self, ends: Vec<WorkerEnd>) {
        drop(self.reserves.send(ends));
    }

    fn feed(&mut self, feeder: Feeder) {
        drop(self.feeders.send(feeder));
    }

    fn keep(&mut self, job: FileJob) {
        if let Some(files) = &self.files {
            drop(files.send(job));
        }
    }

    fn record(&mut self, order: RecordJob) -> bool {
        self.recorder.as_ref().is_some_and(|r| r.send(order).is_ok())
    }

    fn recorded(&self) -> (u64, u64) {
        self.progress.as_ref().map_or((0, 0), |p| (p.frames.load(Relaxed), p.missing.load(Relaxed)))
    }

    fn voice(&mut self, at: Option<u64>, order: VoiceCommand) {
        self.voices.order(at, order);
    }

    fn instrument(&mut self, job: InstrumentJob) {
        self.voices.job(job);
    }

    fn genome(&mut self, job: GenomeJob) {
        if let Some(genomes) = &self.genomes {
            drop(genomes.send(job));
        }
    }

    fn set(&mut self, job: SetJob) {
        self.sets.start(job);
    }

    fn plan(&mut self, job: PlanJob) {
        self.plans.start(job);
    }

    fn voices(&self) -> Option<Arc<VoiceCell>> {
        self.voices.cell()
    }

    fn stall(&mut self, what: &str, ms: u64) {
        match what {
            "stretch" => self.stalls.stretch.store(ms, Relaxed),
            "hang stretch" => self.stalls.stretch_pulse.hang(ms),
            "voices" => self.voices.slow(ms),
            "hang voices" => self.voices.hang(ms),
            "audio" => self.stalls.audio.stall_ns.store(ms * 1_000_000, Relaxed),
            "disk" => self.stalls.disk.store(ms, Relaxed),
            "loader" => self.stalls.loader.store(ms, Relaxed),
            "pages" => realtime::page_out(),
            _ => {}
        }
    }
}
