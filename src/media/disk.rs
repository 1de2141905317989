//! Keeps the streams of all loaded stems filled.
//!
//! In live operation each stem has its own reader thread, so that a slow disk or file does not hold up other stems. The
//! readers sleep until a scheduling thread, which touches no disk, finds that their stems need data and wakes them: the
//! emptiest first, so that a start does not wait until the reserves of all the others are full.
//!
//! Offline, a [`Worker`] is pumped before each quantum.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::feed::Feeder;
use super::file::IoWatch;
use crate::system::overseer::join_within;
use crate::system::realtime;

/// Interval at which streams are checked while stems are loaded.
const LOOK: Duration = Duration::from_millis(5);
/// Number of chunks sent after which a stream is no longer urgent.
const HURRY: u64 = 4;
/// How long the others yield to an urgent stream; a slower disk is not waited for.
const COURTESY: Duration = Duration::from_millis(50);
/// Chunks that a reader sends before it sleeps again, so that urgent streams can go first.
const TURN: usize = 4;
/// Duration of a read from which on it is logged.
const SLOW: Duration = Duration::from_secs(1);

/// Fills streams in the calling thread.
#[derive(Default)]
pub struct Worker {
    feeders: Vec<Feeder>,
}

impl Worker {
    /// Adds a stem.
    pub fn add(&mut self, feeder: Feeder) {
        self.feeders.push(feeder);
    }

    /// Answers all requests and fills all streams. May block for as long as the disk does.
    pub fn pump(&mut self) {
        self.feeders.retain(|f| !f.is_orphan());
        for feeder in &mut self.feeders {
            feeder.look();
            while feeder.fill() {}
        }
    }
}

/// A stem with its reader thread.
struct Reader {
    feeder: Arc<Mutex<Feeder>>,
    watch: Arc<IoWatch>,
    thread: JoinHandle<()>,
    wake: Thread,
    /// Whether its disk is known to be slow at the moment.
    slow: bool,
    /// Since when it has been urgent.
    hurried: Option<Instant>,
}

impl Reader {
    fn start(feeder: Feeder, stop: Arc<AtomicBool>) -> std::io::Result<Reader> {
        let watch = feeder.watch().clone();
        let feeder = Arc::new(Mutex::new(feeder));
        let own = feeder.clone();
        let thread = std::thread::Builder::new().name("reader".into()).spawn(move || {
            realtime::prefer_disk();
            while !stop.load(Relaxed) {
                {
                    let Ok(mut feeder) = own.lock() else { return };
                    if feeder.is_orphan() {
                        return;
                    }
                    feeder.look();
                    for _ in 0..TURN {
                        if !feeder.fill() {
                            break;
                        }
                    }
                }
                // A wake-up that arrived in the meantime is not lost.
                std::thread::park();
            }
        })?;
        Ok(Reader { feeder, watch, wake: thread.thread().clone(), thread, slow: false, hurried: None })
    }

    /// Returns the need of the feeder, see [`Feeder::need`]; `None` while the reader is working on it.
    fn need(&self) -> Option<u64> {
        match self.feeder.try_lock() {
            Ok(feeder) => feeder.need(),
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => None,
        }
    }

    fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Returns whether the stem has been unloaded; its reader must then be woken, so that its thread ends.
    fn is_orphan(&self) -> bool {
        self.feeder.try_lock().is_ok_and(|feeder| feeder.is_orphan())
    }

    fn watch_disk(&mut self) {
        let waiting = self.watch.waiting_for();
        if waiting >= SLOW && !self.slow {
            self.slow = true;
            tracing::warn!("disk of a stem: no answer for {} s; only that stem is affected", waiting.as_secs());
        } else if waiting.is_zero() {
            self.slow = false;
        }
    }
}

/// All reader threads, and the thread that schedules them.
pub struct Readers {
    mail: Sender<Feeder>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Debugging aid: milliseconds to pause, once.
    pub stall_ms: Arc<AtomicU64>,
}

impl Readers {
    /// Starts the scheduling thread.
    ///
    /// # Errors
    /// If the system cannot create the thread.
    pub fn start() -> std::io::Result<Readers> {
        let (mail, inbox): (Sender<Feeder>, Receiver<Feeder>) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stall_ms = Arc::new(AtomicU64::new(0));
        let (told, stall) = (stop.clone(), stall_ms.clone());
        let thread = std::thread::Builder::new().name("disk".into()).spawn(move || {
            let mut readers: Vec<Reader> = Vec::new();
            while !told.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(stall.swap(0, Relaxed)));
                let wait = if readers.is_empty() { Duration::from_millis(500) } else { LOOK };
                match inbox.recv_timeout(wait) {
                    Ok(feeder) => {
                        for feeder in std::iter::once(feeder).chain(inbox.try_iter()) {
                            match Reader::start(feeder, told.clone()) {
                                Ok(reader) => readers.push(reader),
                                Err(error) => tracing::error!("a stem stays silent: cannot start its thread: {error}"),
                            }
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                schedule(&mut readers);
            }
            readers.iter().for_each(|r| r.wake.unpark());
            for reader in readers {
                // One that hangs with its disk is left behind.
                join_within(reader.thread, Duration::from_millis(100));
            }
        })?;
        Ok(Readers { mail, stop, thread: Some(thread), stall_ms })
    }

    /// Returns a sender of stems to keep filled.
    pub fn mail(&self) -> Sender<Feeder> {
        self.mail.clone()
    }

    /// Stops the threads; those that hang with their disks are left behind.
    pub fn finish(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            join_within(thread, Duration::from_secs(1));
        }
    }
}

/// Wakes the readers that have work: always the urgent ones, the others unless one has just become urgent.
fn schedule(readers: &mut Vec<Reader>) {
    readers.retain(|r| !r.is_over());
    let now = Instant::now();
    let mut first = false;
    let mut waiting = Vec::new();
    for (k, reader) in readers.iter_mut().enumerate() {
        reader.watch_disk();
        if reader.is_orphan() {
            reader.wake.unpark();
            continue;
        }
        match reader.need() {
            Some(sent) if sent < HURRY => {
                let since = *reader.hurried.get_or_insert(now);
                first |= now.duration_since(since) < COURTESY;
                reader.wake.unpark();
            }
            Some(_) => {
                reader.hurried = None;
                waiting.push(k);
            }
            // Working on a request: still urgent if it was.
            None => first |= reader.hurried.is_some_and(|since| now.duration_since(since) < COURTESY),
        }
    }
    if !first {
        waiting.into_iter().for_each(|k| readers[k].wake.unpark());
    }
}
