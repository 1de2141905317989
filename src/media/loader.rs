//! Turns a file into a stem the engine can play.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::decode::{DecodeError, Decoder, Info};
use super::disk::{Feeder, read_on};
use super::grid::Grid;
use crate::engine::source::{CHUNK, StemSource, stream};
use crate::system::realtime;

/// Seconds at a file's beginning that stay resident, so that it starts at once.
const HEAD_SECONDS: f64 = 0.5;
/// A file no longer than this stays resident as a whole and needs no disk at all.
const WHOLE_SECONDS: f64 = 2.0;
/// Chunks per stream: 65 536 frames, 1.4 s at 48 kHz, the longest nap a card reader may take.
const CHUNKS: usize = 32;
/// Decoder, packet buffers and bookkeeping of a stem, roughly, in bytes.
const OVERHEAD: usize = 160 * 1024;

/// A stem that is ready to be installed.
pub struct Loaded {
    /// For the engine.
    pub source: Box<StemSource>,
    /// For the disk thread; `None` when the whole file is resident.
    pub feeder: Option<Feeder>,
    /// What the file holds.
    pub info: Info,
    /// Memory it takes.
    pub bytes: usize,
    /// Its beats, from the file beside it, or what is wrong with that.
    pub grid: Result<Option<Grid>, String>,
}

/// Bytes a stem of this length and rate will take.
pub fn memory_for(info: &Info) -> usize {
    let (head, chunks) = shape(info);
    head * 8 + 2 * chunks * CHUNK * 8 + OVERHEAD
}

/// Resident frames and chunks per stream.
fn shape(info: &Info) -> (usize, usize) {
    let rate = f64::from(info.sample_rate);
    if info.frames as f64 <= WHOLE_SECONDS * rate {
        (info.frames as usize, 1)
    } else {
        ((HEAD_SECONDS * rate) as usize, CHUNKS)
    }
}

/// Opens a file, decodes its head and makes its streams. Not for the audio thread; takes tens of milliseconds.
pub fn load(path: &Path) -> Result<Loaded, DecodeError> {
    let mut decoder = Decoder::open(path)?;
    let info = decoder.info().clone();
    let (head, chunks) = shape(&info);
    let mut left = vec![0.0; head].into_boxed_slice();
    let mut right = vec![0.0; head].into_boxed_slice();
    read_on(&mut decoder, path, &mut left, &mut right)?;
    let ((ra, wa), (rb, wb)) = (stream(chunks), stream(chunks));
    // A refusal was reported at the start already; unlocked is slower, not wrong.
    for plane in [&left, &right] {
        let _ = realtime::lock(plane);
    }
    for chunk in wa.idle_chunks().chain(wb.idle_chunks()) {
        let _ = realtime::lock(std::slice::from_ref(chunk));
    }
    // And the small things between, if the limit suffices for all there is.
    let _ = realtime::lock_present_memory();
    let whole = head as u64 >= info.frames;
    Ok(Loaded {
        source: Box::new(StemSource {
            frames: info.frames,
            sample_rate: info.sample_rate,
            head_left: left,
            head_right: right,
            streams: [ra, rb],
        }),
        feeder: (!whole).then(|| Feeder::new(path, decoder, [wa, wb])),
        bytes: memory_for(&info),
        grid: Grid::beside(path),
        info,
    })
}

/// A file to be loaded; `tag` comes back with the result.
#[derive(Debug)]
pub struct Job {
    /// Whatever the asker wants to know it again by.
    pub tag: u64,
    /// The file.
    pub path: PathBuf,
}

/// A finished job.
pub struct Done {
    /// As given.
    pub tag: u64,
    /// The stem, or why there is none.
    pub result: Result<Loaded, DecodeError>,
}

/// Threads that load files, so that nobody else has to wait for one.
pub struct Pool {
    jobs: Sender<Job>,
    /// Debugging: milliseconds the next job takes longer, once.
    pub stall_ms: Arc<AtomicU64>,
}

impl Pool {
    /// Starts `threads` threads; `deliver` is called on them with every result.
    pub fn start(threads: usize, deliver: impl Fn(Done) + Send + Sync + 'static) -> std::io::Result<Pool> {
        let (jobs, inbox): (Sender<Job>, Receiver<Job>) = channel();
        let inbox = Arc::new(Mutex::new(inbox));
        let deliver = Arc::new(deliver);
        let stall_ms = Arc::new(AtomicU64::new(0));
        for _ in 0..threads.max(1) {
            let (inbox, deliver, stall) = (inbox.clone(), deliver.clone(), stall_ms.clone());
            std::thread::Builder::new().name("loader".into()).spawn(move || {
                loop {
                    // The nap goes with the job that was next, whichever thread is quicker.
                    let (job, nap) = match inbox.lock() {
                        Ok(inbox) => (inbox.recv(), stall.swap(0, Relaxed)),
                        Err(_) => return,
                    };
                    let Ok(job) = job else { return };
                    std::thread::sleep(Duration::from_millis(nap));
                    // A decoder that panics on a hostile file costs that file, not the show.
                    let result = std::panic::catch_unwind(|| load(&job.path))
                        .unwrap_or_else(|_| Err(DecodeError::Damaged("the decoder gave up".into())));
                    deliver(Done { tag: job.tag, result });
                }
            })?;
        }
        Ok(Pool { jobs, stall_ms })
    }

    /// Queues a job.
    pub fn submit(&self, job: Job) {
        // The threads live as long as the pool.
        let _ = self.jobs.send(job);
    }
}
