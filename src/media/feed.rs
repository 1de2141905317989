//! A loaded stem's streams: what each was asked for, and the decoder that answers.
//!
//! A [`Feeder`] belongs to one thread at a time: live, a reader's ([`super::disk`]); offline, whoever renders.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decode::{DecodeError, Decoder, Info};
use super::file::{IoWatch, MediaFile};
use crate::engine::command::Play;
use crate::engine::source::{CHUNK, StreamWriter};

/// How long after a disk has failed the file is opened again.
const RETRY: Duration = Duration::from_secs(1);

/// Reads the next frames, and logs a gap when it becomes one.
pub(super) fn read_on(decoder: &mut Decoder, left: &mut [f32], right: &mut [f32]) -> Result<usize, DecodeError> {
    let whole = decoder.lacking().is_none();
    let read = decoder.read(left, right)?;
    if whole && decoder.lacking().is_some() {
        tracing::warn!(
            "{}: parts are missing or damaged, and silent ('grooved check-media' tells how much); copy the file again",
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
    /// Chunks sent since the last request: the fewer, the more urgent.
    sent: u64,
    /// After the disk has failed: the frame to go on with, and when to try.
    lost: Option<(u64, Instant)>,
}

/// What a stem needs to be read.
pub struct Feeder {
    file: Arc<MediaFile>,
    info: Info,
    feeds: [Feed; 2],
}

impl Feeder {
    /// For a stem's two streams. `decoder` is at the file's beginning or behind its head.
    pub fn new(decoder: Decoder, writers: [StreamWriter; 2]) -> Feeder {
        let (file, info) = (decoder.file().clone(), decoder.info().clone());
        let mut decoder = Some(decoder);
        let feeds = writers.map(|writer| Feed { writer, decoder: decoder.take(), play: None, sent: 0, lost: None });
        Feeder { file, info, feeds }
    }

    /// Whether the stem is gone.
    pub fn is_orphan(&self) -> bool {
        self.feeds.iter().all(|f| f.writer.is_orphan())
    }

    /// Shows when the stem's disk does not respond.
    pub fn watch(&self) -> &Arc<IoWatch> {
        self.file.watch()
    }

    /// What there is to do: `None`, or how many chunks the neediest stream has got since it was asked.
    pub fn need(&self) -> Option<u64> {
        self.feeds.iter().filter_map(Feed::need).min()
    }

    /// Answers requests that came. May take as long as the disk takes.
    pub fn look(&mut self) {
        for k in 0..self.feeds.len() {
            self.guarded(k, |feed, file, info| {
                feed.look(file, info);
                false
            });
        }
    }

    /// Sends one chunk of the neediest stream; whether there was one to send. May take as long as the disk takes.
    pub fn fill(&mut self) -> bool {
        let mut order = [0, 1];
        order.sort_by_key(|k: &usize| self.feeds[*k].sent);
        order.into_iter().any(|k| self.guarded(k, |feed, file, info| feed.fill(file, info)))
    }

    /// Does something with a stream; a decoder that panics costs its own stem only.
    fn guarded(&mut self, k: usize, act: impl FnOnce(&mut Feed, &mut Arc<MediaFile>, &Info) -> bool) -> bool {
        let Feeder { file, info, feeds } = self;
        let feed = &mut feeds[k];
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(feed, file, info))).unwrap_or_else(|_| {
            tracing::error!("{}: the decoder failed; the stem is silent until its next start", file.path().display());
            (feed.decoder, feed.play, feed.lost) = (None, None, None);
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
        // Whoever asks for nothing gets nothing; a loop over it would never end.
        self.play = Some(play).filter(|p| p.end > p.start && p.end > 0);
        self.lost = None;
        self.go_to(play.from, file, info);
    }

    /// Gets the decoder to `frame`, opening the file again if it has to be. Whether it got there.
    fn go_to(&mut self, frame: u64, file: &mut Arc<MediaFile>, info: &Info) -> bool {
        let result = self.arrive(frame, file, info).map_err(|error| file.take_error().map_or(error, DecodeError::Io));
        match result {
            Ok(()) => {
                if self.lost.take().is_some() {
                    tracing::info!("{}: the disk is back", file.path().display());
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

    /// The disk has failed at `frame`, or what is there cannot be decoded. A failed disk may come back.
    fn give_up(&mut self, frame: u64, file: &Arc<MediaFile>, error: &DecodeError) {
        if self.lost.is_none() {
            tracing::error!("{}: {error}; the stem is silent", file.path().display());
        }
        self.decoder = None;
        match error {
            DecodeError::Io(_) => self.lost = Some((frame, Instant::now() + RETRY)),
            _ => (self.play, self.lost) = (None, None),
        }
    }

    /// Sends one chunk if there is room and something to send; whether it did.
    fn fill(&mut self, file: &mut Arc<MediaFile>, info: &Info) -> bool {
        let Some(play) = self.play else { return false };
        if let Some((frame, at)) = self.lost
            && (Instant::now() < at || !self.go_to(frame, file, info))
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
                // Every turn reads or ends: the beginning lies before the end.
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
            if !play.looped && self.lost.is_none() {
                self.play = None;
            }
            return false;
        }
        self.writer.send(chunk);
        self.sent += 1;
        true
    }
}
