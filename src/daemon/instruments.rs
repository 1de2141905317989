//! Instruments of the daemon: the voices in the mix, and the DDSP stream.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use crate::config::{Config, Realtime};
use crate::control::conductor::Conductor;
use crate::control::conductor::services::{InstrumentJob, InstrumentResult};
use crate::control::faces::closing::Ending;
use crate::control::faces::ddsp::monitor::Monitor;
use crate::control::faces::ddsp::{self, StreamServer, StreamSettings};
use crate::control::publish::counters::StreamTally;
use crate::ddsp::ensemble::{Ensemble, InstrumentVoices};
use crate::ddsp::library::{InstrumentCache, Library};
use crate::ddsp::notes::NoteCache;
use crate::ddsp::order::VoiceCommand;
use crate::ddsp::worker::{Clock, VoiceThread, Worker, WorkerMessage};
use crate::engine::door::Telemetry;
use crate::engine::source::HOLD_BACK;
use crate::engine::voices::{VoiceCell, VoiceWriter, line};
use crate::engine::{Engine, GRID};
use crate::genome::Collection;
use crate::system::overseer::{Overseer, Pulse};
use crate::system::realtime;
use crate::system::time::monotonic_ns;

/// Runs a job of the conductor: opens an instrument and passes it to `seat`, or lists the instruments. Blocks.
/// Realtime: no.
fn make(
    job: InstrumentJob,
    shelf: &InstrumentCache,
    config: &Config,
    seat: impl FnOnce(InstrumentVoices),
) -> InstrumentResult {
    match job {
        InstrumentJob::List => InstrumentResult::Names(shelf.library.names()),
        InstrumentJob::Open(name) => {
            let open = || InstrumentVoices::open(shelf, &name, config.voices.polyphony, config.output.sample_rate);
            let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open))
                .unwrap_or_else(|_| Err(format!("cannot open {name}: its file is invalid")));
            InstrumentResult::Opened(
                name,
                made.map(|(section, card)| {
                    seat(section);
                    card
                }),
            )
        }
    }
}

/// The folder of models.
fn models(config: &Config) -> Library {
    Library::new(Some(config.ddsp.models.as_path()).filter(|f| !f.as_os_str().is_empty()))
}

/// Instruments before their threads are started.
pub struct InstrumentFactory {
    shelf: Arc<InstrumentCache>,
    writer: Option<VoiceWriter>,
    /// Channel to the voices' worker, once it runs.
    mail: Option<Sender<WorkerMessage>>,
}

impl InstrumentFactory {
    /// Opens the folder of instruments and, if there are voices, connects their sound to the engine.
    pub fn new(config: &Config, engine: &mut Engine) -> InstrumentFactory {
        let writer = (config.voices.polyphony > 0).then(|| {
            let (writer, reader) = line(config.voices.pair);
            engine.attach_voices(reader);
            writer
        });
        InstrumentFactory { shelf: Arc::new(InstrumentCache::new(models(config), None)), writer, mail: None }
    }

    /// Makes instruments of genomes, if there is a collection of them; `steady` voices wait for their renders.
    pub fn with_genomes(self, config: &Config, genomes: Option<Arc<Collection>>, steady: bool) -> InstrumentFactory {
        let notes = genomes.and_then(|genomes| {
            let notes = NoteCache::start(genomes, config.genomes.notes_mb << 20, steady);
            notes.inspect_err(|e| tracing::error!("genomes: cannot be played as notes: no thread: {e}")).ok()
        });
        InstrumentFactory { shelf: Arc::new(InstrumentCache::new(models(config), notes)), ..self }
    }

    /// Returns a worker with an ensemble of the configured polyphony, or `None` if there are no voices.
    fn worker(&mut self, config: &Config) -> Option<Worker> {
        let rate = config.output.sample_rate;
        let writer = self.writer.take()?;
        Some(Worker::new(Ensemble::new(config.voices.polyphony, rate), writer, rate))
    }

    /// Starts the voices' threads. Results of the conductor's jobs go to `told`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        &mut self,
        config: &Config,
        telemetry: Arc<Telemetry>,
        told: impl Fn(InstrumentResult) + Send + 'static,
    ) -> std::io::Result<VoiceService> {
        let Some(worker) = self.worker(config) else { return Ok(VoiceService { thread: None, jobs: channel().0 }) };
        let wanted = config.system.realtime;
        let output = &config.output;
        let clock = Clock::new(output.sample_rate, output.buffer_size, config.voices.ahead_ms / 1_000.0);
        let thread = VoiceThread::start(worker, clock, telemetry, monotonic_ns, move || {
            if wanted != Realtime::Off {
                let _ = realtime::schedule_fifo(realtime::VOICE_PRIORITY);
            }
            realtime::prefault_stack();
            realtime::flush_denormals();
        })?;
        self.mail = Some(thread.mail());
        let (jobs, inbox) = channel();
        let (mail, config, shelf) = (thread.mail(), config.clone(), self.shelf.clone());
        std::thread::Builder::new().name("instruments".into()).spawn(move || {
            for job in inbox {
                told(make(job, &shelf, &config, |section| drop(mail.send(WorkerMessage::Instrument(section)))));
            }
        })?;
        Ok(VoiceService { thread: Some(thread), jobs })
    }

    /// Opens the port of the DDSP stream. A port that is taken, or a missing instrument, is only logged.
    pub async fn open_stream(&self, config: &Config, counts: Arc<StreamTally>, ending: Ending) {
        let Ok(Some(address)) = config.ddsp.address() else { return };
        let settings = StreamSettings {
            instrument: config.ddsp.first(),
            shelf: self.shelf.clone(),
            voices: config.ddsp.voices,
            clients: config.ddsp.clients,
            frame_ms: config.ddsp.frame_ms,
            allow: config.ddsp.allow.clone(),
            ending,
            enter: realtime::flush_denormals,
            monitor: self.mail.clone().filter(|_| config.ddsp.monitors > 0).map(|mail| {
                let tell = move |number, guest| drop(mail.send(WorkerMessage::Monitor(number, guest)));
                Arc::new(Monitor::new(config.output.sample_rate, config.ddsp.monitors, tell))
            }),
        };
        let listener = match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(
                    "DDSP stream: cannot bind TCP port {}: {error}; the stream is disabled. Choose another port with \
                     --ddsp-listen, or 'off' to disable it",
                    address.port()
                );
                return;
            }
        };
        tracing::info!("DDSP stream on ws://{address}/");
        tokio::spawn(async move {
            let Ok((studio, first)) = tokio::task::spawn_blocking(move || StreamServer::open(settings, counts)).await
            else {
                return;
            };
            if let Err(why) = first {
                tracing::error!("{why}");
            }
            ddsp::serve(listener, studio).await;
        });
    }
}

/// Running voices: the worker's thread, and the thread that opens instruments for it.
pub struct VoiceService {
    thread: Option<VoiceThread>,
    jobs: Sender<InstrumentJob>,
}

impl VoiceService {
    /// Registers the worker with the overseer.
    pub fn watch(&self, overseer: &Overseer) {
        if let Some(thread) = &self.thread {
            let cell = thread.cell.clone();
            overseer.watch("voices", thread.pulse.clone(), move || cell.give_up());
        }
    }

    /// The conductor's way to them.
    pub fn handle(&self) -> VoiceHandle {
        VoiceHandle {
            orders: self.thread.as_ref().map(VoiceThread::mail),
            jobs: self.jobs.clone(),
            cell: self.thread.as_ref().map(|t| t.cell.clone()),
            pulse: self.thread.as_ref().map(|t| t.pulse.clone()),
            slow_us: self.thread.as_ref().map(|t| t.slow_us.clone()),
        }
    }

    /// Stops the worker's thread.
    pub fn finish(self) {
        if let Some(thread) = self.thread {
            thread.finish();
        }
    }
}

/// The conductor's way to the voices at work.
pub struct VoiceHandle {
    orders: Option<Sender<WorkerMessage>>,
    jobs: Sender<InstrumentJob>,
    cell: Option<Arc<VoiceCell>>,
    pulse: Option<Arc<Pulse>>,
    slow_us: Option<Arc<AtomicU64>>,
}

impl VoiceHandle {
    /// Sends the worker an order, for a sample time if there is one.
    pub fn order(&self, at: Option<u64>, order: VoiceCommand) {
        if let Some(orders) = &self.orders {
            drop(orders.send(WorkerMessage::Command(at, order)));
        }
    }

    /// Asks for an instrument, or for a list of them.
    pub fn job(&self, job: InstrumentJob) {
        drop(self.jobs.send(job));
    }

    /// What the worker shows of itself.
    pub fn cell(&self) -> Option<Arc<VoiceCell>> {
        self.cell.clone()
    }

    /// Makes the worker hang for some milliseconds, for debugging.
    pub fn hang(&self, ms: u64) {
        if let Some(pulse) = &self.pulse {
            pulse.hang(ms);
        }
    }

    /// Makes the worker sleep for some microseconds for each piece, for debugging.
    pub fn slow(&self, us: u64) {
        if let Some(slow) = &self.slow_us {
            slow.store(us, Relaxed);
        }
    }
}

/// Requests to voices that have no threads of their own.
#[derive(Default)]
struct Asked {
    orders: Vec<(Option<u64>, VoiceCommand)>,
    jobs: Vec<InstrumentJob>,
}

/// The conductor's way to the voices of an offline render.
#[derive(Clone)]
pub struct PumpedHandle(Arc<Mutex<Asked>>);

impl PumpedHandle {
    /// Keeps an order until the next quantum.
    pub fn order(&self, at: Option<u64>, order: VoiceCommand) {
        drop(self.0.lock().map(|mut asked| asked.orders.push((at, order))));
    }

    /// Keeps a request for an instrument until the next quantum.
    pub fn job(&self, job: InstrumentJob) {
        drop(self.0.lock().map(|mut asked| asked.jobs.push(job)));
    }
}

/// VoiceService of an offline render, driven by [`Pumped::pump`] before each quantum.
pub struct Pumped {
    worker: Option<Worker>,
    shelf: Arc<InstrumentCache>,
    config: Config,
    asked: Arc<Mutex<Asked>>,
}

impl Pumped {
    /// Creates the voices from a workshop, at rest.
    pub fn new(mut workshop: InstrumentFactory, config: &Config) -> Pumped {
        Pumped { worker: workshop.worker(config), shelf: workshop.shelf, config: config.clone(), asked: Arc::default() }
    }

    /// The conductor's way to them.
    pub fn handle(&self) -> PumpedHandle {
        PumpedHandle(self.asked.clone())
    }

    /// Runs the queued orders and jobs, and renders the voices' sound for the quantum that starts at frame `now`.
    pub fn pump(&mut self, now: u64, conductor: &mut Conductor) {
        let Some(worker) = &mut self.worker else { return };
        let asked = || self.asked.lock().map(|mut a| std::mem::take(&mut *a)).unwrap_or_default();
        loop {
            let Asked { orders, jobs } = asked();
            orders.into_iter().for_each(|(at, order)| worker.tell(at, order));
            if jobs.is_empty() {
                break;
            }
            for job in jobs {
                conductor.opened(make(job, &self.shelf, &self.config, |section| worker.seat(section)));
            }
        }
        // The engine holds back `HOLD_BACK` frames for a fade, so these must exist too.
        worker.advance(now, now, now + (2 * GRID + HOLD_BACK) as u64);
    }
}
