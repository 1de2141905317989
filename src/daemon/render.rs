//! Offline render: the daemon's engine and conductor, run as fast as possible into a file.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use super::instruments::{InstrumentFactory, Pumped, PumpedHandle};
use super::plan;
use super::set;
use super::until::Until;
use super::{Failure, Options, engine_config, genome_collection, library, settings};
use crate::control::conductor::Conductor;
use crate::control::conductor::services::{InstrumentJob, PlanJob, Services, SetJob};
use crate::control::conductor::settings::Settings;
use crate::control::table;
use crate::ddsp::order::VoiceCommand;
use crate::engine::Engine;
use crate::engine::cover::WorkerEnd;
use crate::engine::door::door;
use crate::media::disk::Worker;
use crate::media::feed::Feeder;
use crate::media::pool::{self, Done, LoadJob};
use crate::media::wav::{Depth, WavWriter};
use crate::output::offline;
use crate::output::report::Report;
use crate::stretch::worker;

/// Frames after the end of a set.
const SET_TAIL: u64 = 24_000;

/// The conductor's services in a render: requests are queued until [`render`] carries them out, before the next quantum.
struct OfflineServices {
    jobs: Sender<LoadJob>,
    feeders: Sender<Feeder>,
    reserves: Sender<Vec<WorkerEnd>>,
    voices: PumpedHandle,
    sets: Sender<SetJob>,
    plans: Sender<PlanJob>,
}

impl Services for OfflineServices {
    fn load(&mut self, job: LoadJob) {
        drop(self.jobs.send(job));
    }

    fn feed(&mut self, feeder: Feeder) {
        drop(self.feeders.send(feeder));
    }

    fn stretch(&mut self, ends: Vec<WorkerEnd>) {
        drop(self.reserves.send(ends));
    }

    fn voice(&mut self, at: Option<u64>, order: VoiceCommand) {
        self.voices.order(at, order);
    }

    fn set(&mut self, job: SetJob) {
        drop(self.sets.send(job));
    }

    fn plan(&mut self, job: PlanJob) {
        drop(self.plans.send(job));
    }

    fn instrument(&mut self, job: InstrumentJob) {
        self.voices.job(job);
    }
}

/// Renders `seconds` of the options' opening into a WAV file. Everything that has its own thread in the daemon is pumped
/// before each quantum, so the same input gives the same file, bit for bit.
///
/// # Errors
/// If the output cannot be written, or if a file of the opening could not be played; the output is then still complete.
pub fn render(options: &Options, seconds: f64, path: &Path) -> Result<(), Failure> {
    let config = engine_config(&options.config);
    let (inner, outer) = door(config.slots, 2 * config.pairs);
    let mut engine = Engine::new(&config, inner);
    let genomes = genome_collection(&options.config);
    let factory = InstrumentFactory::new(&options.config, &mut engine);
    let factory = factory.with_genomes(&options.config, genomes.clone(), true);
    let mut voices = Pumped::new(factory, &options.config);
    let (jobs_tx, jobs) = channel();
    let (feeders_tx, feeders) = channel();
    let (reserves_tx, reserves) = channel();
    let (sets_tx, sets) = channel();
    let (plans_tx, plans) = channel();
    let services = OfflineServices {
        jobs: jobs_tx,
        feeders: feeders_tx,
        reserves: reserves_tx,
        voices: voices.handle(),
        sets: sets_tx,
        plans: plans_tx,
    };
    let report = Arc::new(Report::default());
    // A render depends only on its command line.
    let settings = Settings { has_presets: false, has_genomes: false, save_every: None, ..settings(&options.config) };
    let library = library(&options.config, &options.opening, genomes);
    let table = table::table(settings.debug, settings.voices);
    let mut conductor = Conductor::new(settings, table, outer, Box::new(services), report);
    conductor.own(options.opening.calls());
    let mut solo = options.opening.solo(&mut conductor);
    let unplayable = RefCell::new(None);
    // Sample at which the render of a finished set ends.
    let over = Cell::new(None);
    let worker = RefCell::new(Worker::default());
    let stretcher = RefCell::new(worker::Worker::steady());
    let mut pump = |now: u64| {
        while let Ok(job) = jobs.try_recv() {
            let result = pool::load_now(&library, &job.requested);
            if let Err(why) = &result {
                *unplayable.borrow_mut() = Some(Failure::Data(why.to_string()));
            }
            conductor.loaded(Done { tag: job.tag, result });
        }
        while let Ok(job) = sets.try_recv() {
            let read = set::read(&library, &job);
            conductor.set_read(&job, read);
        }
        while let Ok(job) = plans.try_recv() {
            let read = plan::read(&library, &job);
            conductor.plan_read(&job, read);
        }
        conductor.tick();
        conductor.finish_work();
        if conductor.sets.ended().is_some() {
            over.set(Some(over.get().unwrap_or(now + SET_TAIL)));
        }
        if let Some(at) = conductor.plans.ends() {
            over.set(Some(at));
        } else if conductor.plans.ended().is_some() {
            over.set(Some(over.get().unwrap_or(now)));
        }
        if let Some(solo) = &mut solo {
            solo.play(&mut conductor);
        }
        let mut worker = worker.borrow_mut();
        feeders.try_iter().for_each(|f| worker.add(f));
        worker.pump();
        let mut stretcher = stretcher.borrow_mut();
        reserves.try_iter().flatten().for_each(|r| stretcher.add(r));
        stretcher.pump();
        voices.pump(now, &mut conductor);
    };
    // Everything the opening loads must be loaded before the first frame.
    pump(0);
    let io = |e: std::io::Error| Failure::Io(format!("{}: {e}", path.display()));
    let mut writer = WavWriter::create(path, 2, config.sample_rate, Depth::Float).map_err(io)?;
    let frames = (seconds * f64::from(config.sample_rate)).round() as u64;
    let until = || over.get().map_or(frames, |over| over.min(frames));
    offline::render(&mut engine, until, &mut pump, offline::to_wav(&mut writer)).map_err(io)?;
    writer.finish().map_err(io)?;
    if !matches!(options.until, Until::Signal) {
        return options.until.outcome(&conductor);
    }
    unplayable.take().map_or(Ok(()), Err)
}
