//! The daemon: start-up, the conductor's loop, and shutdown.
//!
//! Start-up order, and why: the engine and its door are built first, because everything else holds an end of it; the
//! audio thread starts next and renders silence in real time; then whatever feeds it (disk, loaders), the card's
//! supervisor, the conductor, and last the sockets: once a client can connect, everything it can ask for is ready.
//! Shutdown runs in reverse: fade out, stop the audio thread, complete files, release the card.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::breeding;
use super::instruments::InstrumentFactory;
use super::plan;
use super::reader::Reader;
use super::renders;
use super::services::{LiveServices, Stalls};
use super::set;
use super::until::Until;
use super::{Failure, LastShow, Options, OutputMode, engine_config, genome_collection, library, older, settings};
use crate::config::{Auth, Config, ConfigError, Realtime};
use crate::control::commands::request::{Line, Request};
use crate::control::conductor::Conductor;
use crate::control::conductor::services::{GenomeResult, InstrumentResult, PlanJob, SetFile, SetJob};
use crate::control::conductor::show::Show;
use crate::control::faces::closing::Ending;
use crate::control::faces::dashboard;
use crate::control::faces::http::access::Access;
use crate::control::faces::http::{self, AppState};
use crate::control::faces::midi;
use crate::control::faces::osc::OscFace;
use crate::control::faces::osc::ports;
use crate::control::faces::sessions::Sessions;
use crate::control::publish::counters::StreamTally;
use crate::control::table;
use crate::engine::Engine;
use crate::engine::door::door;
use crate::genome::Collection;
use crate::media::disk::Readers;
use crate::media::pool::{Done, Pool};
use crate::media::recorder::{self, Recorder, RecorderEvent};
use crate::output::alsa::CardRequest;
use crate::output::pcm::SystemTimer;
use crate::output::player::{Orders, Player, PlayerIo, card_door};
use crate::output::report::Report;
use crate::output::supervisor::{Notice, Supervisor, open_alsa};
use crate::output::tap::WavTap;
use crate::plans::score::Score;
use crate::stretch::worker::StretchThread;
use crate::system::keeper::{self, Keeper, Kept};
use crate::system::notify::{self, Watchdog};
use crate::system::overseer::Overseer;
use crate::system::{guard, log, realtime, seccomp, usage};

/// Capacity of the queue of requests to the conductor.
const REQUESTS: usize = 1024;
/// Interval of the conductor's ticks.
const TICK: Duration = Duration::from_millis(10);
/// Ticks between two pings of the engine.
const PING_TICKS: u32 = 25;
/// Ticks between two updates of systemd's status line.
const STATUS_TICKS: u32 = 300;
/// Maximum length, in characters, of a log line that is pushed to clients.
const LOG_TEXT: usize = 600;
/// Length of the fade-out at shutdown, in seconds: Ctrl-C silences within a tenth of one.
const FADE_OUT_S: f64 = 0.08;

/// Reads the configuration file again and applies the command line's flags.
pub type Reread = Arc<dyn Fn() -> Result<Config, Failure> + Send + Sync>;

/// Runs the daemon until it is told to stop. `reread` is called for a reload.
///
/// # Errors
/// If a thread, the WAV file or all OSC ports cannot be opened, or if realtime is required and refused.
pub fn run(options: Options, reread: Reread) -> Result<(), Failure> {
    let config = &options.config;
    let io = |what: &str| {
        let what = what.to_string();
        move |e: std::io::Error| Failure::Io(format!("{what}: {e}"))
    };
    tracing::info!("grooved {} at {} Hz", env!("CARGO_PKG_VERSION"), config.output.sample_rate);

    let _held = if config.system.hold_cpu_latency && config.system.realtime != Realtime::Off {
        realtime::hold_cpu_latency().inspect_err(|refused| tracing::info!("{refused}")).ok()
    } else {
        None
    };

    // The engine, and the thread that runs it.
    let engine_config = engine_config(config);
    let (inner, outer) = door(engine_config.slots, 2 * engine_config.pairs);
    let mut engine = Engine::new(&engine_config, inner);
    let genomes = genome_collection(config);
    let workshop = InstrumentFactory::new(config, &mut engine);
    let mut workshop = workshop.with_genomes(config, genomes.clone(), false);
    let report = Arc::new(Report::default());
    report.cardless.store(options.output != OutputMode::Card, Relaxed);
    let orders = Arc::new(Orders::default());
    let (cards, mail) = card_door();
    let (tap, producer) = match &options.output {
        OutputMode::Wav(path) => {
            let (tap, producer) = WavTap::start(path, config.output.sample_rate)
                .map_err(|e| Failure::Io(format!("--output wav:{}: {e}", path.display())))?;
            (Some(tap), Some(producer))
        }
        _ => (None, None),
    };
    let ties =
        PlayerIo { timer: Box::new(SystemTimer), mail, report: report.clone(), orders: orders.clone(), tap: producer };
    let player = Player::new(engine, ties, config.output.buffer_size, config.output.periods);
    // Everything the audio thread will touch exists now, except its stack, stems and stretch kits.
    if config.system.realtime != Realtime::Off {
        realtime::touch_present_memory();
    }
    let audio = start_audio(player, config.system.realtime, report.clone())?;
    if config.system.realtime != Realtime::Off
        && let Err(refused) = realtime::lock_present_memory()
    {
        refuse_or_report(config.system.realtime, refused)?;
    }

    // Disk readers, stretch, voices and loaders.
    let disk = Readers::start().map_err(io("the disk thread"))?;
    let wanted = config.system.realtime;
    let stretch = StretchThread::start(move || enter_worker(wanted)).map_err(io("the stretch thread"))?;
    let (made_tx, made) = mpsc::unbounded_channel();
    let voices = workshop
        .start(config, outer.telemetry.clone(), move |m| drop(made_tx.send(m)))
        .map_err(io("the voices' threads"))?;
    let (loaded_tx, loaded) = mpsc::unbounded_channel();
    let pool = Pool::start(library(config, &options.opening, genomes.clone()), move |done| drop(loaded_tx.send(done)))
        .map_err(io("the loaders"))?;

    let overseer = Overseer::start(move || {
        if wanted != Realtime::Off {
            let _ = realtime::schedule_fifo(realtime::OVERSEER_PRIORITY);
        }
    })
    .map_err(io("the overseer"))?;
    voices.watch(&overseer);
    // Without the worker, decks fall back to the splicing plan, which they always have.
    overseer.watch("stretch", stretch.pulse.clone(), || {});

    // The card's supervisor.
    let supervisor = match &options.output {
        OutputMode::Card => {
            let wish = CardRequest {
                rate: config.output.sample_rate,
                period: config.output.buffer_size,
                periods: config.output.periods,
                channels: config.output.channels.max(2 * config.pairs()),
            };
            let wanted = Some(config.output.device.clone()).filter(|d| !d.is_empty());
            let tell = notices(wish.clone());
            Some(
                Supervisor::start(open_alsa(wanted, wish), cards, report.clone(), tell)
                    .map_err(io("the supervisor"))?,
            )
        }
        OutputMode::Null => {
            tracing::info!("output: none (paced by the clock)");
            None
        }
        OutputMode::Wav(path) => {
            tracing::info!("output: {} (paced by the clock)", path.display());
            None
        }
    };

    // State.
    let (kept_tx, kept) = mpsc::unbounded_channel();
    let folder = claimed(config.state.folder(), options.measure);
    let keeper = match &folder {
        Some((folder, _)) => {
            let keeper = Keeper::start(folder.clone(), move |kept| drop(kept_tx.send(kept)));
            Some(keeper.map_err(io("the keeper"))?)
        }
        None => None,
    };

    // Recording.
    let (told_tx, told) = mpsc::unbounded_channel();
    let recordings = claimed(config.recordings(), options.measure);
    let recorder = match &recordings {
        Some((folder, _)) => {
            let settings = recorder::RecorderSettings {
                folder: folder.clone(),
                rate: config.output.sample_rate,
                channels: 2 * config.pairs(),
                keep_free: config.record.keep_free_mb * 1_000_000,
            };
            Some(Recorder::start(settings, move |t| drop(told_tx.send(t))).map_err(io("the recorder"))?)
        }
        None => None,
    };

    // The conductor.
    let (bred_tx, bred) = mpsc::unbounded_channel();
    let breeding = match &genomes {
        Some(genomes) => {
            let told = move |result| drop(bred_tx.send(result));
            let started = breeding::start(genomes.path().into(), config.genomes.plan(), told);
            Some(started.map_err(io("the evolution thread"))?)
        }
        None => None,
    };
    let (read_tx, read) = mpsc::unbounded_channel();
    let (planned_tx, planned) = mpsc::unbounded_channel();
    let roots = library(config, &options.opening, None);
    let services = LiveServices {
        pool: pool.clone(),
        feeders: disk.mail(),
        reserves: stretch.mail(),
        files: keeper.as_ref().and_then(Keeper::mail),
        recorder: recorder.as_ref().and_then(Recorder::mail),
        progress: recorder.as_ref().map(|r| r.progress.clone()),
        genomes: breeding,
        sets: Reader::new(("set", roots.clone()), set::read, move |job, read| drop(read_tx.send((job, read)))),
        plans: Reader::new(("plan", roots), plan::read, move |job, read| drop(planned_tx.send((job, read)))),
        voices: voices.handle(),
        stalls: Stalls {
            audio: orders.clone(),
            disk: disk.stall_ms.clone(),
            loader: pool.stall_ms.clone(),
            stretch: stretch.slow_us.clone(),
            stretch_pulse: stretch.pulse.clone(),
        },
    };
    let mut settings = settings(config);
    let table = table::table(settings.debug, settings.voices);
    if folder.is_none() {
        (settings.has_presets, settings.save_every) = (false, None);
    }
    if matches!(options.show, LastShow::Stuck) {
        settings.save_every = None;
    }
    let mut conductor = Conductor::new(settings, table, outer, Box::new(services), report.clone());

    if let LastShow::Show(show) = &options.show {
        conductor.restore(Show::clone(show));
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(io("the control runtime"))?;
    // The conductor has a runtime of its own, so that busy sockets cannot delay its ticks.
    let own =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io("the conductor's runtime"))?;
    let inboxes = Inboxes { loaded, kept, told, made, bred, read, planned };
    let result = runtime
        .block_on(open_faces(&options, &conductor, &workshop, &report, genomes))
        .and_then(|faces| own.block_on(serve(&options, &reread, conductor, inboxes, faces, report.clone())));

    // Shutdown.
    orders.stop.store(true, Relaxed);
    let deadline = Instant::now() + Duration::from_secs(2);
    while !orders.stopped.load(Relaxed) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    if let Some(tap) = tap {
        tap.finish().map_err(io("the WAV file"))?;
    }
    if let Some(supervisor) = supervisor {
        supervisor.finish();
    }
    overseer.finish();
    disk.finish();
    stretch.finish();
    voices.finish();
    if let Some(recorder) = recorder {
        recorder.finish();
    }
    if let Some(keeper) = keeper {
        keeper.finish();
    }
    if !confined() {
        drop(audio.join());
    }
    runtime.shutdown_timeout(Duration::from_millis(200));
    tracing::info!("stopped");
    result
}

fn refuse_or_report(wanted: Realtime, refused: realtime::Refused) -> Result<(), Failure> {
    if wanted == Realtime::Required {
        return Err(Failure::Realtime(refused.to_string()));
    }
    tracing::warn!("{refused}");
    Ok(())
}

/// Returns whether the audio thread runs under the tests' system call filter (`GROOVED_CONFINE=1`).
fn confined() -> bool {
    std::env::var_os("GROOVED_CONFINE").is_some_and(|v| v == "1")
}

/// Sets priority and floating-point mode of a thread that stretches. A refused priority is not reported again: the
/// audio thread has reported it.
fn enter_worker(wanted: Realtime) {
    if wanted != Realtime::Off {
        let _ = realtime::schedule_fifo(realtime::STRETCH_PRIORITY);
    }
    realtime::prefault_stack();
    realtime::flush_denormals();
}

fn start_audio(mut player: Player, wanted: Realtime, report: Arc<Report>) -> Result<JoinHandle<Player>, Failure> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("audio".into())
        .stack_size(1 << 20)
        .spawn(move || {
            report.audio_thread.store(usage::thread_id(), Relaxed);
            let scheduled = match wanted {
                Realtime::Off => Ok(()),
                _ => realtime::schedule_fifo(realtime::AUDIO_PRIORITY),
            };
            let go = wanted != Realtime::Required || scheduled.is_ok();
            let _ = tell.send(scheduled);
            if !go {
                return player;
            }
            realtime::prefault_stack();
            realtime::flush_denormals();
            let confined = confined();
            if confined && let Err(error) = seccomp::confine_audio_thread() {
                eprintln!("cannot confine the audio thread: {error}");
                std::process::abort();
            }
            guard::mark(true);
            // A panic here would leave a silent process behind; aborting lets systemd start a new one.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| player.run())).is_err() {
                std::process::abort();
            }
            if confined {
                // Ending a thread takes system calls that the filter denies.
                loop {
                    crate::system::time::sleep_until(crate::system::time::monotonic_ns() + 1_000_000_000);
                }
            }
            guard::mark(false);
            player
        })
        .map_err(|e| Failure::Io(format!("the audio thread: {e}")))?;
    match told.recv() {
        Ok(Err(refused)) => refuse_or_report(wanted, refused)?,
        Ok(Ok(())) if wanted != Realtime::Off => {
            tracing::info!("audio thread: SCHED_FIFO, priority {}", realtime::AUDIO_PRIORITY);
        }
        _ => {}
    }
    Ok(thread)
}

/// Returns a callback that logs the supervisor's notices.
fn notices(wish: CardRequest) -> impl FnMut(Notice) + Send + 'static {
    move |notice| match notice {
        Notice::Opened { setup } => {
            tracing::info!(
                "output: {} ({}, {} channels, {} Hz): requested {} × {} frames, granted periods of {} and a buffer \
                 of {} ({:.1} ms){}",
                setup.device,
                setup.format.name(),
                setup.channels,
                setup.rate,
                wish.periods,
                wish.period,
                setup.period,
                setup.buffer,
                setup.buffer as f64 * 1000.0 / f64::from(setup.rate),
                if setup.free_running { "" } else { "; stops on underrun, lost frames are estimated from the clock" }
            );
        }
        Notice::Lost { device, errno } => {
            tracing::warn!(
                "output: lost {device} ({}); continuing silently, will resume when it returns",
                std::io::Error::from_raw_os_error(errno)
            );
        }
        Notice::None { why } => tracing::warn!("output: no card yet; rendering silently in real time: {why}"),
    }
}

/// Returns `folder` and its lock, if it is writable and no other daemon uses it. Returns `None` if `measure` is set.
fn claimed(folder: Option<PathBuf>, measure: bool) -> Option<(PathBuf, std::fs::File)> {
    let folder = folder.filter(|_| !measure)?;
    match keeper::claim(&folder) {
        Ok(Some(lock)) => return Some((folder, lock)),
        Ok(None) => tracing::warn!("{}: in use by another grooved; saving nothing there", folder.display()),
        Err(e) => tracing::warn!("{}: {e}; saving nothing there", folder.display()),
    }
    None
}

/// Queues of results from other threads.
struct Inboxes {
    loaded: mpsc::UnboundedReceiver<Done>,
    kept: mpsc::UnboundedReceiver<Kept>,
    told: mpsc::UnboundedReceiver<RecorderEvent>,
    made: mpsc::UnboundedReceiver<InstrumentResult>,
    bred: mpsc::UnboundedReceiver<GenomeResult>,
    read: mpsc::UnboundedReceiver<(SetJob, Result<SetFile, String>)>,
    planned: mpsc::UnboundedReceiver<(PlanJob, Result<Score, String>)>,
}

/// Sources of requests and destinations of their answers.
struct Faces {
    osc: OscFace,
    sessions: Arc<Sessions>,
    requests: mpsc::Receiver<Request>,
    /// OSC peers that are no longer reachable.
    gone: mpsc::Receiver<std::net::SocketAddr>,
    /// Becomes true when the daemon stops.
    end: tokio::sync::watch::Sender<bool>,
}

/// Opens all sockets, on the control runtime.
async fn open_faces(
    options: &Options,
    conductor: &Conductor,
    workshop: &InstrumentFactory,
    report: &Arc<Report>,
    genomes: Option<Arc<Collection>>,
) -> Result<Faces, Failure> {
    let config = &options.config;
    let bind = config.osc.bind.parse().ok();
    let (face, troubles) = OscFace::open(&config.osc.ports, bind, config.osc.allow.clone());
    if face.ports().is_empty() {
        return Err(Failure::Ports(troubles.join("; ")));
    }
    troubles.iter().for_each(|t| tracing::warn!("{t}"));
    let ports: Vec<String> = face.ports().iter().map(u16::to_string).collect();
    tracing::info!("OSC on UDP port {}", ports.join(" and "));

    let (requests_tx, requests) = mpsc::channel::<Request>(REQUESTS);
    let sessions = Arc::new(Sessions::default());
    let bulletin = conductor.events();
    log::listen(Box::new(move |level, text| {
        let short: String = text.chars().take(LOG_TEXT).collect();
        bulletin.post(format!("/log/{level}"), vec![short.into()]);
    }));
    let stream = Arc::new(StreamTally::default());
    let (end, ending) = Ending::new();
    let renders = renders::open(config, genomes, ending.clone()).await;
    let links = AppState {
        vocabulary: conductor.vocabulary(),
        requests: requests_tx.clone(),
        sessions: sessions.clone(),
        bulletin: conductor.events(),
        board: conductor.board(),
        report: report.clone(),
        telemetry: conductor.telemetry(),
        pace: conductor.gauges(),
        osc: face.tally(),
        stream: stream.clone(),
        osc_ports: face.ports(),
        answered_at: conductor.answered_at(),
        late: conductor.late(),
        voices: conductor.voices(),
        midi: conductor.midi(),
        access: access(options)?,
        renders,
        ending: ending.clone(),
    };
    open_http(config, links).await;
    workshop.open_stream(config, stream, ending).await;
    let (gone_tx, gone) = mpsc::channel(64);
    face.listen(&requests_tx, &gone_tx);
    if let Err(error) = ports::watch(face.ports()) {
        tracing::warn!(
            "OSC: cannot start a thread: {error}; a port taken over by another program will not be reported"
        );
    }
    if let Ok(Some((host, port))) = dashboard::target(&config.osc.dashboard)
        && let Err(error) = dashboard::start(host, port, conductor.telemetry())
    {
        tracing::warn!("dashboard: cannot start a thread: {error}; tempo will not be sent");
    }
    if config.midi.enabled
        && let Err(error) = midi::listen(config.midi.devices.clone(), requests_tx.clone(), conductor.midi())
    {
        tracing::warn!("MIDI: cannot start a thread: {error}; MIDI is disabled");
    }
    Ok(Faces { osc: face, sessions, requests, gone, end })
}

/// Runs the conductor's loop until a signal stops it. Signals and ticks come first, then results of other threads, then
/// requests.
async fn serve(
    options: &Options,
    reread: &Reread,
    mut conductor: Conductor,
    mut inboxes: Inboxes,
    mut faces: Faces,
    report: Arc<Report>,
) -> Result<(), Failure> {
    let config = &options.config;
    watch(conductor.engine_answers(), report.clone(), config.output.sample_rate)
        .map_err(|e| Failure::Io(format!("the watchdog's thread: {e}")))?;
    conductor.own(options.opening.calls());
    let mut solo = options.opening.solo(&mut conductor);

    let mut signals = Signals::new().map_err(|e| Failure::Io(format!("signals: {e}")))?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut ticks = 0u32;
    let mut line = String::new();
    let (read_tx, mut read) = mpsc::unbounded_channel();
    let mut counted = Losses::default();
    notify::ready();
    if matches!(options.until, Until::Signal) {
        older::announce();
    }
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::Stop => break,
                Signal::Reload => read_again(reread.clone(), read_tx.clone()),
            },
            _ = tick.tick() => {
                conductor.tick();
                if let Some(solo) = &mut solo {
                    solo.play(&mut conductor);
                }
                if options.until.is_over(&conductor) {
                    break;
                }
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(PING_TICKS) {
                    conductor.ping();
                    counted.tell(&report);
                }
                if ticks % STATUS_TICKS == 1 {
                    let now = conductor.status_line();
                    if now != line {
                        notify::status(&now);
                        line = now;
                    }
                }
            }
            Some(read) = read.recv() => reload(options, read, &mut conductor),
            Some(done) = inboxes.loaded.recv() => conductor.loaded(done),
            Some(kept) = inboxes.kept.recv() => conductor.kept(kept),
            Some(told) = inboxes.told.recv() => conductor.recorded(told),
            Some(made) = inboxes.made.recv() => conductor.opened(made),
            Some(bred) = inboxes.bred.recv() => conductor.bred(bred),
            Some((job, read)) = inboxes.read.recv() => conductor.set_read(&job, read),
            Some((job, read)) = inboxes.planned.recv() => conductor.plan_read(&job, read),
            Some(peer) = faces.gone.recv() => conductor.gone(peer),
            // One slice at a time, so that the branches above are polled in between.
            () = std::future::ready(()), if conductor.has_work() && !conductor.is_behind() => conductor.work(),
            Some(request) = faces.requests.recv(), if !conductor.has_work() => conductor.accept(request),
        }
        for answer in conductor.take_answers() {
            match answer.to.line {
                Line::Osc(_) => faces.osc.send(&answer),
                Line::Session(_) => faces.sessions.deliver(answer),
            }
        }
    }
    notify::stopping();
    faces.end.send_replace(true);
    tracing::info!("stopping: {}", conductor.status_line());
    conductor.save_state();
    conductor.end_recording();
    conductor.fade_out(FADE_OUT_S);
    let latency = report.buffer_frames.load(Relaxed) as f64 / f64::from(config.output.sample_rate);
    tokio::time::sleep(Duration::from_secs_f64(FADE_OUT_S + latency.min(1.0) + 0.02)).await;
    options.until.outcome(&conductor)
}

/// Returns the access rules of HTTP from the configuration.
fn access(options: &Options) -> Result<Access, Failure> {
    let http = &options.config.http;
    let token = http.token().map_err(|(key, what)| {
        let path = options.config_path.clone().unwrap_or_else(|| "(command line)".into());
        ConfigError::Wrong { path, line: 1, what: format!("{key}: {what}") }
    })?;
    Ok(Access::new(token, http.auth == Auth::Open, http.origins.clone()))
}

/// Opens the HTTP port. A port that is taken is only a warning.
async fn open_http(config: &Config, links: AppState) {
    let (port, bind) = (config.http.port, config.http.bind.as_str());
    if port == 0 {
        return;
    }
    let Ok(address) = bind.parse::<std::net::IpAddr>() else { return };
    match tokio::net::TcpListener::bind((address, port)).await {
        Ok(listener) => {
            tracing::info!("HTTP on http://{}/", std::net::SocketAddr::new(address, port));
            tokio::spawn(http::serve(listener, Arc::new(links)));
        }
        Err(error) => tracing::warn!(
            "HTTP: cannot bind TCP port {port}: {error}; HTTP is disabled. 'ss -ltnp sport = :{port}' shows the \
             program that uses it; choose another with --http-port"
        ),
    }
}

/// Logs underruns, in one line for all since the last check.
#[derive(Default)]
struct Losses {
    episodes: [u64; 3],
    frames: u64,
    unpaced: bool,
}

impl Losses {
    fn tell(&mut self, report: &Report) {
        let episodes: [u64; 3] = std::array::from_fn(|k| report.episodes[k].load(Relaxed));
        if episodes != self.episodes {
            let frames = report.lost_total();
            let causes: Vec<String> = crate::output::report::Cause::ALL
                .iter()
                .filter(|c| episodes[**c as usize] > self.episodes[**c as usize])
                .map(|c| format!("{} {}", episodes[*c as usize] - self.episodes[*c as usize], c.name()))
                .collect();
            tracing::warn!(
                "underrun: {} ({} frames lost; {} since start); if this continues, raise --buffer-size",
                causes.join(", "),
                frames - self.frames,
                episodes.iter().sum::<u64>()
            );
            self.episodes = episodes;
            self.frames = frames;
        }
        let unpaced = report.unpaced.load(Relaxed);
        if unpaced && !self.unpaced {
            tracing::info!("output: device does not block at its sample rate; pacing by the system clock");
        }
        self.unpaced = unpaced;
    }
}

/// Reads the configuration again, on its own thread because that may block on the disk.
fn read_again(reread: Reread, tell: mpsc::UnboundedSender<Result<Config, Failure>>) {
    notify::reloading();
    let read = std::thread::Builder::new().name("reload".into()).spawn(move || drop(tell.send(reread())));
    if let Err(error) = read {
        tracing::error!(target: log::AGAIN, "reload: cannot start a thread: {error}; nothing changed");
        notify::ready();
    }
}

/// Applies the reloadable settings of a configuration that was read again. An invalid one changes nothing.
fn reload(options: &Options, read: Result<Config, Failure>, conductor: &mut Conductor) {
    match (&options.config_path, read) {
        (None, _) => tracing::info!(target: log::AGAIN, "reload: no configuration file"),
        (Some(path), Ok(config)) => {
            let now = options.config.reloaded(&config);
            conductor.reconfigure(settings(&now), library(&now, &options.opening, None));
            tracing::info!(target: log::AGAIN, "reload: {} applied", path.display());
            let waiting = options.config.needs_restart(&config);
            if !waiting.is_empty() {
                tracing::warn!(target: log::AGAIN, "reload: restart required for: {}", waiting.join(", "));
            }
        }
        (Some(_), Err(error)) => tracing::error!(target: log::AGAIN, "reload: {error}; nothing changed"),
    }
    notify::ready();
}

/// Starts the thread that notifies systemd's watchdog, if there is one, as long as sound is delivered and the conductor
/// responds. The thread waits for neither, so work for clients cannot delay it.
fn watch(answers: Arc<AtomicU64>, report: Arc<Report>, sample_rate: u32) -> std::io::Result<()> {
    let mut dog = Watchdog::from_environment(Instant::now());
    let Some(every) = dog.every() else { return Ok(()) };
    std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        loop {
            std::thread::sleep(every);
            let frames = report.delivered.load(Relaxed);
            match dog.visit(Instant::now(), frames, answers.load(Relaxed), sample_rate) {
                Ok(()) => dog.feed(),
                Err(why) => tracing::error!("watchdog: not notified: {why}"),
            }
        }
    })?;
    Ok(())
}

enum Signal {
    Stop,
    Reload,
}

struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.term.recv() => Signal::Stop,
            _ = self.int.recv() => Signal::Stop,
            _ = self.hup.recv() => Signal::Reload,
        }
    }
}
