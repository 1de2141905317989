//! The streams of a loaded stem: the requests of the engine, and the decoders that serve them.
//!
//! A [`Feeder`] is used by one thread at a time: in live operation a reader ([`super::disk`]), offline the renderer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decode::{DecodeError, Decoder, Info};
use super::file::{IoWatch, MediaFile};
use crate::engine::source::Play;
use crate::engine::source::{CHUNK, StreamWriter};

/// Delay before a file is opened again after its disk has failed.
const RETRY: Duration = Duration::from_secs(1);

/// Reads the next frames; logs the first gap in the file.
pub(super) fn read_on(decoder: &mut Decoder, left: &mut [f32], right: &mut [f32]) -> Result<usize, DecodeError> {
    let whole = decoder.lacking().is_none();
    let read = decoder.read(left, right)?;
    if whole && decoder.lacking().is_some() {
        tracing::warn!(
            "{}: parts are missing or corrupt and play as silence (see 'grooved check-media'); copy the file again",
            decoder.file().path().display()
        );
    }
    Ok(read)
}

/// One stream of a stem.
struct Feed {
    writer: StreamWriter,
    decoder: Option<Decoder>,
    play: Option<Play>,
    /// Chunks sent since the last request; the stream with the fewest is the most urgent.
    sent: u64,
    /// After a disk failure: the frame at which to resume, and the time of the next attempt.
    lost: Option<(u64, Instant)>,
    /// The frame at which to resume once it is rendered.
    awaited: Option<u64>,
}

/// The disk side of a stem: its file, decoders and streams.
pub struct Feeder {
    file: Arc<MediaFile>,
    info: Info,
    feeds: [Feed; 2],
}

impl Feeder {
    /// Creates the feeder of a stem's two streams. `decoder` is at the start of the file or at the end of its resident
    /// head.
    pub fn new(decoder: Decoder, writers: [StreamWriter; 2]) -> Feeder {
        let (file, info) = (decoder.file().clone(), decoder.info().clone());
        let mut decoder = Some(decoder);
        let feeds = writers.map(|writer| Feed {
            writer,
            decoder: decoder.take(),
            play: None,
            sent: 0,
            lost: None,
            awaited: None,
        });
        Feeder { file, info, feeds }
    }

    /// Returns whether the stem has been unloaded.
    pub fn is_orphan(&self) -> bool {
        self.feeds.iter().all(|f| f.writer.is_orphan())
    }

    /// Shows when the stem's disk does not respond.
    pub fn watch(&self) -> &Arc<IoWatch> {
        self.file.watch()
    }

    /// Returns the number of chunks that the neediest stream has received since its request; `None` if there is no
    /// work.
    pub fn need(&self) -> Option<u64> {
        self.feeds.iter().filter_map(Feed::need).min()
    }

    /// Accepts new requests. May block for as long as the disk does.
    pub fn look(&mut self) {
        for k in 0..self.feeds.len() {
            self.guarded(k, |feed, file, info| {
                feed.look(file, info);
                false
            });
        }
    }

    /// Sends one chunk of the neediest stream; returns whether there was one. May block for as long as the disk does.
    pub fn fill(&mut self) -> bool {
        let mut order = [0, 1];
        order.sort_by_key(|k: &usize| self.feeds[*k].sent);
        order.into_iter().any(|k| self.guarded(k, |feed, file, info| feed.fill(file, info)))
    }

    /// Runs an action on a stream; a panic of the decoder affects this stem only.
    fn guarded(&mut self, k: usize, act: impl FnOnce(&mut Feed, &mut Arc<MediaFile>, &Info) -> bool) -> bool {
        let Feeder { file, info, feeds } = self;
        let feed = &mut feeds[k];
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(feed, file, info))).unwrap_or_else(|_| {
            tracing::error!("{}: the decoder failed; the stem is silent until its next start", file.path().display());
            (feed.decoder, feed.play, feed.lost, feed.awaited) = (None, None, None, None);
            false
        })
    }
}

impl Feed {
    fn need(&self) -> Option<u64> {
        if self.writer.has_request() {
            return Some(0);
        }
        let due = self.lost.is_none_or(|(_, at)| Instant::now() >= at);
        (self.play.is_some() && due && self.writer.has_room()).then_some(self.sent)
    }

    fn look(&mut self, file: &mut Arc<MediaFile>, info: &Info) {
        let Some(play) = self.writer.new_request() else { return };
        self.sent = 0;
        // An empty range is not played: looping over it would never end.
        self.play = Some(play).filter(|p| p.end > p.start && p.end > 0);
        (self.lost, self.awaited) = (None, None);
        self.go_to(play.from, file, info);
    }

    /// Moves the decoder to `frame`, reopening the file if needed; returns whether that succeeded.
    fn go_to(&mut self, frame: u64, file: &mut Arc<MediaFile>, info: &Info) -> bool {
        let result = self.arrive(frame, file, info).map_err(|error| file.take_error().map_or(error, DecodeError::Io));
        match result {
            Ok(()) => {
                if self.lost.take().is_some() {
                    tracing::info!("{}: the disk responds again", file.path().display());
                }
                true
            }
            Err(error) => {
                self.give_up(frame, file, &error);
                false
            }
        }
    }

    fn arrive(&mut self, frame: u64, file: &mut Arc<MediaFile>, info: &Info) -> Result<(), DecodeError> {
        if self.decoder.is_none() {
            if self.lost.is_some() {
                *file = file.again()?;
            }
            self.decoder = Some(Decoder::known(file, info)?);
        }
        self.decoder.as_mut().map_or(Ok(()), |decoder| decoder.seek(frame))
    }

    /// Handles an error at `frame`: after a disk error, or if it is not rendered yet, it is tried again later; after a
    /// decoding error it is not.
    fn give_up(&mut self, frame: u64, file: &Arc<MediaFile>, error: &DecodeError) {
        if matches!(error, DecodeError::Io(e) if e.kind() == std::io::ErrorKind::WouldBlock) {
            // It is still being rendered.
            (self.decoder, self.awaited) = (None, Some(frame));
            return;
        }
        if self.lost.is_none() {
            tracing::error!("{}: {error}; the stem is silent", file.path().display());
        }
        self.decoder = None;
        match error {
            DecodeError::Io(_) => self.lost = Some((frame, Instant::now() + RETRY)),
            _ => (self.play, self.lost) = (None, None),
        }
    }

    /// Sends one chunk if there is room and data; returns whether it did.
    fn fill(&mut self, file: &mut Arc<MediaFile>, info: &Info) -> bool {
        let Some(play) = self.play else { return false };
        if let Some((frame, at)) = self.lost
            && (Instant::now() < at || !self.go_to(frame, file, info))
        {
            return false;
        }
        if let Some(frame) = self.awaited.take()
            && !self.go_to(frame, file, info)
        {
            return false;
        }
        let Some(mut chunk) = self.writer.take_empty() else { return false };
        chunk.len = 0;
        while chunk.len < CHUNK {
            let Some(decoder) = &mut self.decoder else { break };
            let at = decoder.position();
            let left = play.end.saturating_sub(at);
            if left == 0 {
                if !play.looped {
                    break;
                }
                if let Err(error) = decoder.seek(play.start) {
                    let error = file.take_error().map_or(error, DecodeError::Io);
                    self.give_up(play.start, file, &error);
                    break;
                }
                // Every iteration reads or ends, since the start lies before the end.
                continue;
            }
            let to = chunk.len + (CHUNK - chunk.len).min(left as usize);
            match read_on(decoder, &mut chunk.left[chunk.len..to], &mut chunk.right[chunk.len..to]) {
                Ok(0) => break,
                Ok(n) => chunk.len += n,
                Err(error) => {
                    let error = file.take_error().map_or(error, DecodeError::Io);
                    self.give_up(at, file, &error);
                    break;
                }
            }
        }
        if chunk.len == 0 {
            self.writer.put_back(chunk);
            if !play.looped && self.lost.is_none() && self.awaited.is_none() {
                self.play = None;
            }
            return false;
        }
        self.writer.send(chunk);
        self.sent += 1;
        true
    }
}
