//! Keeps the streams of all loaded stems filled.
//!
//! Live, each stem has a reader's thread of its own, so that a disk, or a file, that takes its time holds up no other
//! stem. The threads sleep; one scheduling thread, which touches no disk, sees which stems need something and wakes
//! their readers: the emptiest first, so that a start does not wait for the reserves of all the others.
//!
//! Offline a [`Worker`] is pumped by hand before each quantum.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::feed::Feeder;
use super::file::IoWatch;
use crate::system::overseer::join_within;
use crate::system::realtime;

/// How often streams are looked at while stems are loaded.
const LOOK: Duration = Duration::from_millis(5);
/// Chunks after which a stream is no longer in a hurry.
const HURRY: u64 = 4;
/// How long others let a stream in a hurry go first; a disk that takes longer is not waited for.
const COURTESY: Duration = Duration::from_millis(50);
/// Chunks that a reader sends before it looks again who is in a hurry.
const TURN: usize = 4;
/// A read that takes this long is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);

/// Fills streams in the calling thread.
#[derive(Default)]
pub struct Worker {
    feeders: Vec<Feeder>,
}

impl Worker {
    /// Takes on a stem.
    pub fn add(&mut self, feeder: Feeder) {
        self.feeders.push(feeder);
    }

    /// Answers every request and fills every stream. May take as long as the disk takes.
    pub fn pump(&mut self) {
        self.feeders.retain(|f| !f.is_orphan());
        for feeder in &mut self.feeders {
            feeder.look();
            while feeder.fill() {}
        }
    }
}

/// A stem with its reader's thread.
struct Reader {
    feeder: Arc<Mutex<Feeder>>,
    watch: Arc<IoWatch>,
    thread: JoinHandle<()>,
    wake: Thread,
    /// Whether its disk is known to be slow at the moment.
    slow: bool,
    /// Since when it has been in a hurry.
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
                // A wake-up that came meanwhile is not lost.
                std::thread::park();
            }
        })?;
        Ok(Reader { feeder, watch, wake: thread.thread().clone(), thread, slow: false, hurried: None })
    }

    /// What it needs, unless it is busy: then it needs nothing from us.
    fn need(&self) -> Option<u64> {
        match self.feeder.try_lock() {
            Ok(feeder) => feeder.need(),
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => None,
        }
    }

    fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Wakes a reader whose stem is gone, so that its thread ends.
    fn is_orphan(&self) -> bool {
        self.feeder.try_lock().is_ok_and(|feeder| feeder.is_orphan())
    }

    fn watch_disk(&mut self) {
        let waiting = self.watch.waiting_for();
        if waiting >= SLOW && !self.slow {
            self.slow = true;
            tracing::warn!("a stem's disk has not answered for {} s; only that stem is affected", waiting.as_secs());
        } else if waiting.is_zero() {
            self.slow = false;
        }
    }
}

/// All readers, and the thread that wakes them.
pub struct Readers {
    mail: Sender<Feeder>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Debugging: milliseconds to do nothing, once.
    pub stall_ms: Arc<AtomicU64>,
}

impl Readers {
    /// Starts the scheduling thread.
    ///
    /// # Errors
    /// If the system has no thread for it.
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
                                Err(error) => tracing::error!("a stem stays silent: no thread can be started: {error}"),
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
                // One that hangs with its disk is left to it.
                join_within(reader.thread, Duration::from_millis(100));
            }
        })?;
        Ok(Readers { mail, stop, thread: Some(thread), stall_ms })
    }

    /// A sender of stems to look after.
    pub fn mail(&self) -> Sender<Feeder> {
        self.mail.clone()
    }

    /// Ends the threads; those that hang with their disks are left behind.
    pub fn finish(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            join_within(thread, Duration::from_secs(1));
        }
    }
}

/// Wakes whoever needs something: those in a hurry; the others too, unless somebody has been in a hurry for a moment.
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
            // Busy with its request: still in a hurry, if it was.
            None => first |= reader.hurried.is_some_and(|since| now.duration_since(since) < COURTESY),
        }
    }
    if !first {
        waiting.into_iter().for_each(|k| readers[k].wake.unpark());
    }
}
