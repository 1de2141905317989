//! Instruments of the daemon: the voices in the mix, and the DDSP stream.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use crate::config::{Config, Realtime};
use crate::control::closing::Ending;
use crate::control::conductor::Conductor;
use crate::control::conductor::voices::{Job, Made};
use crate::control::stream::monitor::Monitor;
use crate::control::stream::{self, Settings, Studio};
use crate::control::tally::StreamTally;
use crate::ddsp::ensemble::{Ensemble, Section};
use crate::ddsp::library::{Library, Shelf};
use crate::ddsp::order::Order;
use crate::ddsp::worker::{Clock, Told, VoiceThread, Worker};
use crate::engine::door::Telemetry;
use crate::engine::source::HOLD_BACK;
use crate::engine::voices::{VoiceCell, VoiceWriter, line};
use crate::engine::{Engine, GRID};
use crate::system::overseer::Overseer;
use crate::system::realtime;
use crate::system::time::monotonic_ns;

/// Runs a job of the conductor: opens an instrument and passes it to `seat`, or lists the instruments. Blocks.
/// Realtime: no.
fn make(job: Job, shelf: &Shelf, config: &Config, seat: impl FnOnce(Section)) -> Made {
    match job {
        Job::List => Made::Names(shelf.library.names()),
        Job::Open(name) => {
            let open = || Section::open(shelf, &name, config.voices.polyphony, config.output.sample_rate);
            let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open))
                .unwrap_or_else(|_| Err(format!("cannot open {name}: its file is invalid")));
            Made::Instrument(
                name,
                made.map(|(section, card)| {
                    seat(section);
                    card
                }),
            )
        }
    }
}

/// Instruments before their threads are started.
pub struct Workshop {
    shelf: Arc<Shelf>,
    writer: Option<VoiceWriter>,
    /// Channel to the voices' worker, once it runs.
    mail: Option<Sender<Told>>,
}

impl Workshop {
    /// Opens the folder of instruments and, if there are voices, connects their sound to the engine.
    pub fn new(config: &Config, engine: &mut Engine) -> Workshop {
        let folder = Some(config.ddsp.models.as_path()).filter(|f| !f.as_os_str().is_empty());
        let writer = (config.voices.polyphony > 0).then(|| {
            let (writer, reader) = line(config.voices.pair);
            engine.hear(reader);
            writer
        });
        Workshop { shelf: Arc::new(Shelf::new(Library::new(folder))), writer, mail: None }
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
        told: impl Fn(Made) + Send + 'static,
    ) -> std::io::Result<Voices> {
        let Some(worker) = self.worker(config) else { return Ok(Voices { thread: None, jobs: channel().0 }) };
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
        std::thread::Builder::new().name("luthier".into()).spawn(move || {
            for job in inbox {
                told(make(job, &shelf, &config, |section| drop(mail.send(Told::Section(section)))));
            }
        })?;
        Ok(Voices { thread: Some(thread), jobs })
    }

    /// Opens the port of the DDSP stream. A port that is taken, or a missing instrument, is only logged.
    pub async fn open_stream(&self, config: &Config, counts: Arc<StreamTally>, ending: Ending) {
        let Ok(Some(address)) = config.ddsp.address() else { return };
        let settings = Settings {
            instrument: config.ddsp.first(),
            shelf: self.shelf.clone(),
            voices: config.ddsp.voices,
            clients: config.ddsp.clients,
            frame_ms: config.ddsp.frame_ms,
            allow: config.ddsp.allow.clone(),
            ending,
            enter: realtime::flush_denormals,
            monitor: self.mail.clone().filter(|_| config.ddsp.monitors > 0).map(|mail| {
                let tell = move |number, guest| drop(mail.send(Told::Guest(number, guest)));
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
            let Ok((studio, first)) = tokio::task::spawn_blocking(move || Studio::open(settings, counts)).await else {
                return;
            };
            if let Err(why) = first {
                tracing::error!("{why}");
            }
            stream::serve(listener, studio).await;
        });
    }
}

/// Running voices: the worker's thread, and the thread that opens instruments for it.
pub struct Voices {
    thread: Option<VoiceThread>,
    jobs: Sender<Job>,
}

impl Voices {
    /// Returns the worker's shared state, if there is a worker.
    pub fn cell(&self) -> Option<Arc<VoiceCell>> {
        self.thread.as_ref().map(|t| t.cell.clone())
    }

    /// Registers the worker with the overseer.
    pub fn watch(&self, overseer: &Overseer) {
        if let Some(thread) = &self.thread {
            let cell = thread.cell.clone();
            overseer.watch("voices", thread.pulse.clone(), move || cell.give_up());
        }
    }

    /// Returns a function that makes the worker hang for a number of milliseconds. For debugging.
    pub fn hang(&self) -> impl Fn(u64) + Send + 'static {
        let pulse = self.thread.as_ref().map(|t| t.pulse.clone());
        move |ms| {
            if let Some(pulse) = &pulse {
                pulse.hang(ms);
            }
        }
    }

    /// Returns a function that makes the worker sleep for a number of microseconds per piece. For debugging.
    pub fn slow(&self) -> impl Fn(u64) + Send + 'static {
        let slow = self.thread.as_ref().map(|t| t.slow_us.clone());
        move |us| {
            if let Some(slow) = &slow {
                slow.store(us, Relaxed);
            }
        }
    }

    /// Returns the conductor's callback for orders to the voices.
    pub fn orders(&self) -> Box<dyn FnMut(Option<u64>, Order) + Send> {
        let mail = self.thread.as_ref().map(VoiceThread::mail);
        Box::new(move |at, order| {
            if let Some(mail) = &mail {
                drop(mail.send(Told::Order(at, order)));
            }
        })
    }

    /// Returns the conductor's callback for instrument jobs.
    pub fn jobs(&self) -> Box<dyn FnMut(Job) + Send> {
        let jobs = self.jobs.clone();
        Box::new(move |job| drop(jobs.send(job)))
    }

    /// Stops the worker's thread.
    pub fn finish(self) {
        if let Some(thread) = self.thread {
            thread.finish();
        }
    }
}

/// Orders and jobs queued for voices without threads.
#[derive(Default)]
struct Asked {
    orders: Vec<(Option<u64>, Order)>,
    jobs: Vec<Job>,
}

/// Voices of an offline render, driven by [`Pumped::pump`] before each quantum.
pub struct Pumped {
    worker: Option<Worker>,
    shelf: Arc<Shelf>,
    config: Config,
    asked: Arc<Mutex<Asked>>,
}

impl Pumped {
    /// Creates the voices from a workshop, at rest.
    pub fn new(mut workshop: Workshop, config: &Config) -> Pumped {
        Pumped { worker: workshop.worker(config), shelf: workshop.shelf, config: config.clone(), asked: Arc::default() }
    }

    /// Returns the conductor's callback for orders to the voices.
    pub fn orders(&self) -> Box<dyn FnMut(Option<u64>, Order) + Send> {
        let asked = self.asked.clone();
        Box::new(move |at, order| drop(asked.lock().map(|mut a| a.orders.push((at, order)))))
    }

    /// Returns the conductor's callback for instrument jobs.
    pub fn jobs(&self) -> Box<dyn FnMut(Job) + Send> {
        let asked = self.asked.clone();
        Box::new(move |job| drop(asked.lock().map(|mut a| a.jobs.push(job))))
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
                conductor.made(make(job, &self.shelf, &self.config, |section| worker.seat(section)));
            }
        }
        // The engine holds back `HOLD_BACK` frames for a fade, so these must exist too.
        worker.advance(now, now, now + (2 * GRID + HOLD_BACK) as u64);
    }
}
