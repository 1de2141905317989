//! Writes recordings: the master, and optionally each deck.
//!
//! The files are WAV (RF64 beyond 4 GiB) with 32-bit floats, exactly as rendered. Their headers are updated every few
//! seconds; after a crash the next start repairs unfinished files. A sidecar beside each recording gives its length and
//! the frames that are missing (they are replaced by silence, so that time is kept).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::wav::{self, Depth, WavWriter};
use crate::engine::DECKS;
use crate::engine::tape::{Gap, RecordReader, RecordTap};
use crate::system::{keeper, realtime, usage};

/// Capacity of the ring in seconds: the longest pause of the disk that is covered.
const RING_SECONDS: usize = 8;
/// Interval at which the headers are updated.
const HEADER_EVERY: Duration = Duration::from_secs(3);
/// Interval at which the ring is drained.
const LOOK: Duration = Duration::from_millis(50);
/// Maximum number of gaps listed in a sidecar; further ones are only counted.
const LISTED: usize = 1000;

/// A request to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordJob {
    /// Identifies the request; returned with every report.
    pub tag: u64,
    /// Name of the file, without its extension.
    pub name: String,
    /// Whether each deck is recorded to a separate file as well.
    pub decks: bool,
}

/// A report about a recording.
#[derive(Debug)]
pub enum RecorderEvent {
    /// The recording can begin; the tape is to be passed to the engine.
    Ready {
        /// The tag of the request.
        tag: u64,
        /// The engine's end of the ring.
        tape: Box<RecordTap>,
        /// Path of the master's file.
        path: PathBuf,
    },
    /// The recording is complete.
    Finished {
        /// The tag of the request.
        tag: u64,
        /// Path of the master's file.
        path: PathBuf,
        /// Length in frames.
        frames: u64,
        /// Number of missing frames.
        missing: u64,
    },
    /// The recording could not begin or continue.
    Failed {
        /// The tag of the request.
        tag: u64,
        /// The error message.
        why: String,
    },
}

/// Progress of the current recording, readable from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    /// Frames written.
    pub frames: AtomicU64,
    /// Frames missing.
    pub missing: AtomicU64,
}

/// The JSON file beside a recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sidecar {
    /// Whether the recording was completed.
    pub finished: bool,
    /// Whether it was repaired after a crash.
    pub repaired: bool,
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// Length in frames.
    pub frames: u64,
    /// Number of missing frames.
    pub missing: u64,
    /// Gaps: (first frame, number of frames).
    pub gaps: Vec<(u64, u64)>,
    /// Names of the files, the master first.
    pub files: Vec<String>,
}

/// Destination and format of recordings.
#[derive(Clone, Debug)]
pub struct RecorderSettings {
    /// The folder for recordings.
    pub folder: PathBuf,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of output channels.
    pub channels: usize,
    /// Bytes that must stay free on the disk.
    pub keep_free: u64,
}

/// Handle of the recording thread.
pub struct Recorder {
    orders: Option<Sender<RecordJob>>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    /// Progress of the current recording.
    pub progress: Arc<Progress>,
}

impl Recorder {
    /// Starts the thread, which first repairs unfinished recordings. `tell` is called on it with every report.
    pub fn start(settings: RecorderSettings, tell: impl Fn(RecorderEvent) + Send + 'static) -> io::Result<Recorder> {
        let (orders, inbox) = channel::<RecordJob>();
        let progress: Arc<Progress> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (shown, told) = (progress.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || {
            repair_all(&settings.folder);
            while let Ok(order) = inbox.recv() {
                let tag = order.tag;
                let news = match record(&settings, &order, &shown, &told, &tell) {
                    Ok((path, sidecar)) => {
                        RecorderEvent::Finished { tag, path, frames: sidecar.frames, missing: sidecar.missing }
                    }
                    Err(error) => RecorderEvent::Failed { tag, why: error.to_string() },
                };
                tell(news);
            }
        })?;
        Ok(Recorder { orders: Some(orders), thread: Some(thread), stop, progress })
    }

    /// Returns a sender of requests.
    pub fn mail(&self) -> Option<Sender<RecordJob>> {
        self.orders.clone()
    }

    /// Completes the current recording and stops the thread; waits until all senders are dropped.
    pub fn finish(mut self) {
        self.stop.store(true, Relaxed);
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The open files of a recording.
struct Files {
    /// The writers, each with its first channel and its number of channels.
    writers: Vec<(WavWriter, usize, usize)>,
    channels: usize,
    sidecar: Sidecar,
    sidecar_path: PathBuf,
    planes: Vec<f32>,
}

impl Files {
    fn create(settings: &RecorderSettings, order: &RecordJob, master: &Path) -> io::Result<Files> {
        let mut parts = vec![(master.to_path_buf(), 0, settings.channels)];
        if order.decks {
            for (k, deck) in ["a", "b", "c", "d"].iter().enumerate().take(DECKS) {
                let path = settings.folder.join(format!("{}.deck-{deck}.wav", order.name));
                parts.push((path, settings.channels + 2 * k, 2));
            }
        }
        let sidecar_path = master.with_extension("json");
        if let Some(taken) = parts.iter().map(|(p, _, _)| p).chain([&sidecar_path]).find(|p| p.exists()) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("argument 'name' is {:?}: {} already exists; choose another name", order.name, taken.display()),
            ));
        }
        let channels = parts.iter().map(|(_, _, n)| n).sum();
        let names = parts.iter().filter_map(|(p, _, _)| Some(p.file_name()?.to_string_lossy().into_owned()));
        let sidecar = Sidecar { sample_rate: settings.rate, files: names.collect(), ..Sidecar::default() };
        let mut files = Files { writers: Vec::new(), channels, sidecar, sidecar_path, planes: Vec::new() };
        // The sidecar comes first: after a crash it says what to repair.
        files.note()?;
        for (path, first, count) in parts {
            files.writers.push((WavWriter::create(&path, count as u16, settings.rate, Depth::Float)?, first, count));
        }
        Ok(files)
    }

    fn note(&self) -> io::Result<()> {
        keeper::write_whole(&self.sidecar_path, &serde_json::to_vec_pretty(&self.sidecar).unwrap_or_default())
    }

    /// Writes interleaved frames.
    fn write(&mut self, rows: &[f32]) -> io::Result<()> {
        for (writer, first, count) in &mut self.writers {
            self.planes.clear();
            for row in rows.chunks_exact(self.channels) {
                self.planes.extend_from_slice(&row[*first..*first + *count]);
            }
            writer.write(&self.planes)?;
        }
        self.sidecar.frames += (rows.len() / self.channels) as u64;
        Ok(())
    }

    /// Writes silence in place of a gap.
    fn skip(&mut self, gap: Gap, stop: &AtomicBool) -> io::Result<()> {
        let silence = vec![0.0; self.channels * 4096];
        let mut left = gap.frames;
        while left > 0 && !stop.load(Relaxed) {
            let n = left.min(4096);
            self.write(&silence[..self.channels * n as usize])?;
            left -= n;
        }
        let written = gap.frames - left;
        self.sidecar.missing += written;
        if self.sidecar.gaps.len() < LISTED {
            self.sidecar.gaps.push((gap.at, written));
        }
        Ok(())
    }

    fn make_good(&mut self) -> io::Result<()> {
        for (writer, _, _) in &mut self.writers {
            writer.make_good()?;
        }
        self.note()
    }

    fn finish(mut self) -> io::Result<Sidecar> {
        self.make_good()?;
        for (writer, _, _) in self.writers.drain(..) {
            writer.finish()?;
        }
        self.sidecar.finished = true;
        self.note()?;
        Ok(self.sidecar)
    }
}

fn record(
    settings: &RecorderSettings,
    order: &RecordJob,
    progress: &Progress,
    stop: &AtomicBool,
    tell: &impl Fn(RecorderEvent),
) -> io::Result<(PathBuf, Sidecar)> {
    fs::create_dir_all(&settings.folder)?;
    let path = settings.folder.join(format!("{}.wav", order.name));
    guard_space(settings)?;
    let mut files = Files::create(settings, order, &path)?;
    let (tape, mut reel) = RecordTap::new(files.channels, order.decks, RING_SECONDS * settings.rate as usize);
    for part in tape.storage() {
        // A failure to lock was reported at startup already; unlocked memory is slower, not wrong.
        let _ = realtime::lock(part);
    }
    progress.frames.store(0, Relaxed);
    progress.missing.store(0, Relaxed);
    tell(RecorderEvent::Ready { tag: order.tag, tape, path: path.clone() });
    let result = run(settings, &mut files, &mut reel, progress, stop);
    // In any case, finalise what has been written.
    let sidecar = files.finish();
    result?;
    Ok((path, sidecar?))
}

fn run(
    settings: &RecorderSettings,
    files: &mut Files,
    reel: &mut RecordReader,
    progress: &Progress,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut rows = vec![0.0f32; files.channels * 4096];
    let mut good = Instant::now();
    let mut gap: Option<Gap> = None;
    loop {
        // Queried first: data that arrives later is found in the next iteration.
        let ended = reel.has_ended() || stop.load(Relaxed);
        loop {
            // In this order: a gap before any of these samples has been reported by now.
            let here = reel.available();
            gap = gap.or_else(|| reel.gap());
            let due = gap.map(|g| g.at.saturating_sub(files.sidecar.frames) as usize);
            if let (Some(0), Some(now)) = (due, gap.take_if(|_| due == Some(0))) {
                files.skip(now, stop)?;
                continue;
            }
            let until_gap = due.map_or(usize::MAX, |frames| frames.saturating_mul(files.channels));
            let room = rows.len().min(here).min(until_gap);
            if room == 0 {
                break;
            }
            let got = reel.read(&mut rows[..room]);
            files.write(&rows[..got])?;
        }
        progress.frames.store(files.sidecar.frames, Relaxed);
        progress.missing.store(files.sidecar.missing, Relaxed);
        if ended {
            return Ok(());
        }
        if good.elapsed() > HEADER_EVERY {
            good = Instant::now();
            files.make_good()?;
            guard_space(settings)?;
        }
        std::thread::sleep(LOOK);
    }
}

fn guard_space(settings: &RecorderSettings) -> io::Result<()> {
    match usage::free_bytes(&settings.folder) {
        Some(free) if free < settings.keep_free => Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!(
                "only {} MB are free at {}; {} must stay free (record.keep_free_mb)",
                free / 1_000_000,
                settings.folder.display(),
                settings.keep_free / 1_000_000
            ),
        )),
        _ => Ok(()),
    }
}

/// Repairs the recordings that a crash interrupted.
fn repair_all(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        match repair(&path) {
            Ok(true) => tracing::info!("recording {}: interrupted by a crash; repaired", path.display()),
            Ok(false) => {}
            Err(error) => tracing::warn!("recording {}: {error}", path.display()),
        }
    }
}

/// Repairs a recording by its sidecar; returns whether a repair was needed.
fn repair(sidecar_path: &Path) -> io::Result<bool> {
    let mut sidecar: Sidecar = serde_json::from_slice(&keeper::read_whole(sidecar_path)?)?;
    if sidecar.finished {
        return Ok(false);
    }
    for (k, name) in sidecar.files.iter().enumerate() {
        // A name from a file is not trusted: only its last component is used.
        let Some(name) = Path::new(name).file_name() else { continue };
        let path = sidecar_path.with_file_name(name);
        if !path.is_file() {
            continue;
        }
        let frames = wav::repair(&path)?;
        if k == 0 {
            sidecar.frames = frames;
        }
    }
    sidecar.finished = true;
    sidecar.repaired = true;
    keeper::write_whole(sidecar_path, &serde_json::to_vec_pretty(&sidecar).unwrap_or_default())?;
    Ok(true)
}
