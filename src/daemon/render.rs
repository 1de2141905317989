//! Offline render: the daemon's engine and conductor, run as fast as possible into a file.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::instruments::{Pumped, Workshop};
use super::{Failure, Options, engine_config, library, settings};
use crate::control::conductor::{Conductor, Hands, Settings};
use crate::engine::Engine;
use crate::engine::cover::WorkerEnd;
use crate::engine::door::door;
use crate::media::disk::Worker;
use crate::media::feed::Feeder;
use crate::media::pool::{self, Done, Job};
use crate::media::wav::{Depth, WavWriter};
use crate::output::offline;
use crate::output::report::Report;
use crate::stretch::worker;

/// Renders `seconds` of the options' plan into a WAV file. Everything that has its own thread in the daemon is pumped
/// before each quantum, so the same input gives the same file, bit for bit.
///
/// # Errors
/// If the output cannot be written, or if a file of the plan could not be played; the output is then still complete.
pub fn render(options: &Options, seconds: f64, path: &Path) -> Result<(), Failure> {
    let config = engine_config(&options.config);
    let (inner, outer) = door(config.slots, 2 * config.pairs);
    let mut engine = Engine::new(&config, inner);
    let mut voices = Pumped::new(Workshop::new(&options.config, &mut engine), &options.config);
    let jobs: Arc<Mutex<VecDeque<Job>>> = Arc::default();
    let feeders: Arc<Mutex<Vec<Feeder>>> = Arc::default();
    let reserves: Arc<Mutex<Vec<WorkerEnd>>> = Arc::default();
    let (ask, take, give) = (jobs.clone(), feeders.clone(), reserves.clone());
    let hands = Hands {
        load: Box::new(move |job| {
            if let Ok(mut jobs) = ask.lock() {
                jobs.push_back(job);
            }
        }),
        roots: Box::new(|_| {}),
        feed: Box::new(move |feeder| {
            if let Ok(mut feeders) = take.lock() {
                feeders.push(feeder);
            }
        }),
        stretch: Box::new(move |ends| {
            if let Ok(mut reserves) = give.lock() {
                reserves.extend(ends);
            }
        }),
        keep: Box::new(|_| {}),
        record: Box::new(|_| false),
        recorded: Box::new(|| (0, 0)),
        voice: voices.orders(),
        instrument: voices.jobs(),
        voices: None,
        stall: Box::new(|_, _| {}),
    };
    let report = Arc::new(Report::default());
    // A render depends only on its command line.
    let settings = Settings { keeps: false, save_every: None, ..settings(&options.config) };
    let library = library(&options.config, &options.plan);
    let mut conductor = Conductor::new(settings, outer, hands, report);
    conductor.own(options.plan.calls());
    let mut solo = options.plan.solo(&mut conductor);
    let unplayable = RefCell::new(None);
    let worker = RefCell::new(Worker::default());
    let stretcher = RefCell::new(worker::Worker::steady());
    let mut pump = |now: u64| {
        while let Some(job) = jobs.lock().ok().and_then(|mut j| j.pop_front()) {
            let result = pool::load_now(&library, &job.requested);
            if let Err(why) = &result {
                *unplayable.borrow_mut() = Some(Failure::Data(why.to_string()));
            }
            conductor.loaded(Done { tag: job.tag, result });
        }
        conductor.tick();
        conductor.finish_work();
        if let Some(solo) = &mut solo {
            solo.play(&mut conductor);
        }
        let mut worker = worker.borrow_mut();
        if let Ok(mut fresh) = feeders.lock() {
            fresh.drain(..).for_each(|f| worker.add(f));
        }
        worker.pump();
        let mut stretcher = stretcher.borrow_mut();
        if let Ok(mut fresh) = reserves.lock() {
            fresh.drain(..).for_each(|r| stretcher.add(r));
        }
        stretcher.pump();
        voices.pump(now, &mut conductor);
    };
    // Everything the plan loads must be loaded before the first frame.
    pump(0);
    let io = |e: std::io::Error| Failure::Io(format!("{}: {e}", path.display()));
    let mut writer = WavWriter::create(path, 2, config.sample_rate, Depth::Float).map_err(io)?;
    let frames = (seconds * f64::from(config.sample_rate)).round() as u64;
    offline::render(&mut engine, frames, &mut pump, offline::to_wav(&mut writer)).map_err(io)?;
    writer.finish().map_err(io)?;
    unplayable.take().map_or(Ok(()), Err)
}
