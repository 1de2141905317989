//! Keeps the streams of all loaded stems filled.
//!
//! One worker serves every stem, chunk by chunk in turn, the emptiest first. Live it has a thread of its own (normal
//! priority, raised for input and output); offline it is pumped by hand before each quantum.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::decode::{DecodeError, Decoder, Info};
use super::file::MediaFile;
use crate::engine::command::Play;
use crate::engine::source::{CHUNK, StreamWriter};

/// How often the thread looks for requests and room while stems are loaded.
const LOOK: Duration = Duration::from_millis(5);

/// Reads the next frames, and tells of a gap when it becomes one.
pub(super) fn read_on(
    decoder: &mut Decoder,
    path: &Path,
    left: &mut [f32],
    right: &mut [f32],
) -> Result<usize, DecodeError> {
    let whole = decoder.lacking().is_none();
    let read = decoder.read(left, right)?;
    if whole && decoder.lacking().is_some() {
        tracing::warn!(
            "{}: some of it is lacking or damaged, and silent ('grooved check-media' tells how much); copy it again",
            path.display()
        );
    }
    Ok(read)
}

/// One stream of a stem: what it was asked for, and the decoder that answers.
struct Feed {
    writer: StreamWriter,
    decoder: Option<Decoder>,
    play: Option<Play>,
    /// Chunks sent since the last request: the fewer, the more urgent.
    sent: u64,
}

/// What the disk thread needs to know of a stem.
pub struct Feeder {
    path: PathBuf,
    info: Info,
    feeds: [Feed; 2],
}

impl Feeder {
    /// For a stem's two streams. `decoder` is one that is open already.
    pub fn new(path: &Path, decoder: Decoder, writers: [StreamWriter; 2]) -> Feeder {
        let [a, b] = writers;
        Feeder {
            path: path.into(),
            info: decoder.info().clone(),
            feeds: [
                Feed { writer: a, decoder: Some(decoder), play: None, sent: 0 },
                Feed { writer: b, decoder: None, play: None, sent: 0 },
            ],
        }
    }

    fn is_orphan(&self) -> bool {
        self.feeds.iter().all(|f| f.writer.is_orphan())
    }
}

impl Feed {
    /// Answers a request that came, if one came.
    fn look(&mut self, path: &Path, info: &Info) {
        let Some(play) = self.writer.new_request() else { return };
        self.sent = 0;
        self.play = None;
        if self.decoder.is_none() {
            match MediaFile::open(path).map_err(DecodeError::Io).and_then(|file| Decoder::known(&file, info)) {
                Ok(decoder) => self.decoder = Some(decoder),
                Err(error) => {
                    tracing::error!("{}: {error}", path.display());
                    return;
                }
            }
        }
        if let Some(decoder) = &mut self.decoder
            && let Err(error) = decoder.seek(play.from)
        {
            tracing::error!("{}: {error}", path.display());
            self.decoder = None;
            return;
        }
        self.play = Some(play);
    }

    /// [`Feed::look`] and [`Feed::fill`], with a decoder that panics costing its own stem only.
    fn guarded(&mut self, path: &Path, act: impl FnOnce(&mut Feed, &Path) -> bool) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(self, path))).unwrap_or_else(|_| {
            tracing::error!("{}: the decoder gave up", path.display());
            self.decoder = None;
            self.play = None;
            false
        })
    }

    /// Sends one chunk if there is room and something to send; tells whether it did.
    fn fill(&mut self, path: &Path) -> bool {
        let (Some(play), Some(decoder)) = (&self.play, &mut self.decoder) else { return false };
        let play = *play;
        let Some(mut chunk) = self.writer.take_empty() else { return false };
        chunk.len = 0;
        while chunk.len < CHUNK {
            let left = play.end.saturating_sub(decoder.position());
            if left == 0 {
                if !play.looped {
                    break;
                }
                if let Err(error) = decoder.seek(play.start) {
                    tracing::error!("{}: {error}", path.display());
                    self.decoder = None;
                    self.play = None;
                    break;
                }
                continue;
            }
            let to = chunk.len + (CHUNK - chunk.len).min(left as usize);
            match read_on(decoder, path, &mut chunk.left[chunk.len..to], &mut chunk.right[chunk.len..to]) {
                Ok(0) => break,
                Ok(n) => chunk.len += n,
                Err(error) => {
                    tracing::error!("{}: {error}", path.display());
                    // It may come back (a stick that was pulled and plugged): the next request opens it anew.
                    self.decoder = None;
                    self.play = None;
                    break;
                }
            }
        }
        if chunk.len == 0 {
            self.writer.put_back(chunk);
            if !play.looped {
                self.play = None;
            }
            return false;
        }
        self.writer.send(chunk);
        self.sent += 1;
        true
    }
}

/// Fills streams; see the module's text.
#[derive(Default)]
pub struct Worker {
    feeders: Vec<Feeder>,
}

impl Worker {
    /// Takes on a stem.
    pub fn add(&mut self, feeder: Feeder) {
        self.feeders.push(feeder);
    }

    /// Whether there is nothing to look after.
    pub fn is_idle(&self) -> bool {
        self.feeders.is_empty()
    }

    /// Answers every request and fills every stream. May take as long as the disk takes.
    pub fn pump(&mut self) {
        self.feeders.retain(|f| !f.is_orphan());
        loop {
            for feeder in &mut self.feeders {
                for feed in &mut feeder.feeds {
                    feed.guarded(&feeder.path, |feed, path| {
                        feed.look(path, &feeder.info);
                        true
                    });
                }
            }
            // Whoever got least since its request goes first, so that a new start does not wait for the reserves of
            // all the others.
            let mut order: Vec<(u64, usize, usize)> = Vec::new();
            for (i, feeder) in self.feeders.iter().enumerate() {
                for (k, feed) in feeder.feeds.iter().enumerate() {
                    if feed.play.is_some() {
                        order.push((feed.sent.min(4), i, k));
                    }
                }
            }
            order.sort_unstable();
            let mut any = false;
            for (_, i, k) in order {
                let feeder = &mut self.feeders[i];
                any |= feeder.feeds[k].guarded(&feeder.path, Feed::fill);
            }
            if !any {
                return;
            }
        }
    }
}

/// The disk thread.
pub struct DiskThread {
    mail: Sender<Feeder>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Debugging: milliseconds to do nothing, once.
    pub stall_ms: Arc<AtomicU64>,
}

impl DiskThread {
    /// Starts the thread.
    pub fn start() -> std::io::Result<DiskThread> {
        let (mail, inbox): (Sender<Feeder>, Receiver<Feeder>) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stall_ms = Arc::new(AtomicU64::new(0));
        let (told, stall) = (stop.clone(), stall_ms.clone());
        let thread = std::thread::Builder::new().name("disk".into()).spawn(move || {
            let mut worker = Worker::default();
            while !told.load(Relaxed) {
                let nap = stall.swap(0, Relaxed);
                if nap > 0 {
                    std::thread::sleep(Duration::from_millis(nap));
                }
                if worker.is_idle() {
                    match inbox.recv_timeout(Duration::from_millis(500)) {
                        Ok(feeder) => worker.add(feeder),
                        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => continue,
                        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
                    }
                }
                while let Ok(feeder) = inbox.try_recv() {
                    worker.add(feeder);
                }
                worker.pump();
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(DiskThread { mail, stop, thread: Some(thread), stall_ms })
    }

    /// A sender of stems to look after.
    pub fn mail(&self) -> Sender<Feeder> {
        self.mail.clone()
    }

    /// Ends the thread.
    pub fn finish(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
