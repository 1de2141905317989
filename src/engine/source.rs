//! Where a stem's samples come from: a resident head and two streamed rings.
//!
//! A stem is a stereo file of known length. Its first half second or so is resident, so it can start at once; the rest
//! is fetched by a reader thread, in chunks, through a ring. Each stem has two such streams: while one is heard the
//! other can fetch another position, and the two are crossfaded.
//!
//! Chunks are boxes that circulate: filled ones to the engine, used ones back. Nothing is copied, allocated or freed.
//! Each request and each chunk carries a generation number; chunks of an older generation are returned unread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// A section of a stem to play. All positions are frames in the stem's own sample rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// First frame to play.
    pub from: u64,
    /// Frame to which a loop returns.
    pub start: u64,
    /// One past the last frame.
    pub end: u64,
    /// Whether playback returns to `start` at `end`.
    pub looped: bool,
}

/// Frames in a chunk.
pub const CHUNK: usize = 2048;

/// Frames held back when a ring runs dry, for the fade-out.
pub const HOLD_BACK: usize = 128;

/// A chunk of a stem on its way from its reader thread to the engine.
#[derive(Debug)]
pub struct Chunk {
    /// Generation of the request it answers.
    pub generation: u32,
    /// Frames in use; fewer than [`CHUNK`] only at the end of the requested section.
    pub len: usize,
    /// Left channel.
    pub left: [f32; CHUNK],
    /// Right channel.
    pub right: [f32; CHUNK],
}

/// The latest request to a stream; written by the engine, read by the worker.
#[derive(Debug, Default)]
struct Request {
    generation: AtomicU32,
    from: AtomicU64,
    start: AtomicU64,
    end: AtomicU64,
    looped: AtomicBool,
}

/// The engine's end of a stream.
pub struct StreamReader {
    full: HeapCons<Box<Chunk>>,
    empty: HeapProd<Box<Chunk>>,
    request: Arc<Request>,
    generation: u32,
    current: Option<Box<Chunk>>,
    offset: usize,
}

/// The worker's end of a stream.
pub struct StreamWriter {
    full: HeapProd<Box<Chunk>>,
    empty: HeapCons<Box<Chunk>>,
    request: Arc<Request>,
    seen: u32,
    holding: Option<Box<Chunk>>,
}

/// Creates a stream of `chunks` chunks. Realtime: no (allocates and touches every page).
pub fn stream(chunks: usize) -> (StreamReader, StreamWriter) {
    let (full_tx, full_rx) = HeapRb::new(chunks).split();
    let (mut empty_tx, empty_rx) = HeapRb::new(chunks).split();
    for _ in 0..chunks {
        // The ring has room for all chunks, here and in everything that follows.
        let _ = empty_tx.try_push(new_chunk());
    }
    let request = Arc::new(Request::default());
    (
        StreamReader {
            full: full_rx,
            empty: empty_tx,
            request: request.clone(),
            generation: 0,
            current: None,
            offset: 0,
        },
        StreamWriter { full: full_tx, empty: empty_rx, request, seen: 0, holding: None },
    )
}

fn new_chunk() -> Box<Chunk> {
    // Deliberately not all zero bits: an allocator may return zeroed pages that are not mapped yet, and the audio
    // thread would be the one to fault them in.
    let mut chunk = Box::new(Chunk { generation: 0, len: 0, left: [0.0; CHUNK], right: [0.0; CHUNK] });
    chunk.left.fill(std::hint::black_box(f32::MIN_POSITIVE));
    chunk.right.fill(std::hint::black_box(f32::MIN_POSITIVE));
    chunk
}

impl StreamReader {
    /// Requests `play`, starting at `play.from`, and discards everything earlier. Realtime: yes.
    pub fn ask(&mut self, play: Play) {
        self.generation = self.generation.wrapping_add(1).max(1);
        self.give_back_current();
        self.offset = 0;
        self.request.from.store(play.from, Ordering::Relaxed);
        self.request.start.store(play.start, Ordering::Relaxed);
        self.request.end.store(play.end, Ordering::Relaxed);
        self.request.looped.store(play.looped, Ordering::Relaxed);
        self.request.generation.store(self.generation, Ordering::Release);
    }

    fn give_back_current(&mut self) {
        if let Some(chunk) = self.current.take() {
            // There are never more chunks than the ring has places.
            let _ = self.empty.try_push(chunk);
        }
    }

    /// Makes the chunk with the next frame current, if it has arrived; returns stale and used ones. Realtime: yes.
    pub(super) fn refill(&mut self) {
        // Bounded by the number of chunks in the ring.
        loop {
            if let Some(chunk) = &self.current {
                if self.offset < chunk.len {
                    return;
                }
                self.offset -= chunk.len;
                self.give_back_current();
            }
            match self.full.try_pop() {
                Some(chunk) if chunk.generation == self.generation => self.current = Some(chunk),
                Some(chunk) => drop(self.empty.try_push(chunk)),
                None => return,
            }
        }
    }

    /// Returns the frames that can be read now (at the very end of the section an overestimate, by less than a chunk).
    /// Realtime: yes.
    pub fn available(&mut self) -> usize {
        self.refill();
        match &self.current {
            Some(chunk) => chunk.len.saturating_sub(self.offset) + self.full.occupied_len() * CHUNK,
            None => 0,
        }
    }

    /// Returns the next frames, at most `max`, as far as they are contiguous in memory; empty when there are none.
    /// Realtime: yes.
    pub fn peek(&mut self, max: usize) -> (&[f32], &[f32]) {
        self.refill();
        self.look(0, max)
    }

    /// Returns the frames that start `ahead` frames after the next one, at most `max`, as far as they are contiguous in
    /// memory; empty when they have not arrived. Realtime: yes.
    pub fn look(&self, ahead: usize, max: usize) -> (&[f32], &[f32]) {
        let mut from = self.offset + ahead;
        let fresh = self.full.iter().filter(|chunk| chunk.generation == self.generation);
        for chunk in self.current.iter().chain(fresh) {
            if from < chunk.len {
                let end = chunk.len.min(from + max);
                return (&chunk.left[from..end], &chunk.right[from..end]);
            }
            from -= chunk.len;
        }
        (&[], &[])
    }

    /// Returns the next `frames` frames if the current chunk holds at least `reach`. Realtime: yes.
    #[inline]
    pub fn peek_within(&self, frames: usize, reach: usize) -> Option<(&[f32], &[f32])> {
        let chunk = self.current.as_ref()?;
        if self.offset + reach > chunk.len {
            return None;
        }
        let range = self.offset..self.offset + frames;
        Some((chunk.left.get(range.clone())?, chunk.right.get(range)?))
    }

    /// Skips `frames` frames; those that have not arrived yet are skipped when they do. Realtime: yes.
    pub fn consume(&mut self, frames: usize) {
        self.offset += frames;
    }
}

impl std::fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamReader").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl StreamWriter {
    /// Returns the latest request if it has not been seen yet. The caller then restarts from it.
    pub fn new_request(&mut self) -> Option<Play> {
        let generation = self.request.generation.load(Ordering::Acquire);
        if generation == self.seen {
            return None;
        }
        self.seen = generation;
        Some(Play {
            from: self.request.from.load(Ordering::Relaxed),
            start: self.request.start.load(Ordering::Relaxed),
            end: self.request.end.load(Ordering::Relaxed),
            looped: self.request.looped.load(Ordering::Relaxed),
        })
    }

    /// Returns whether there is a request that has not been seen yet.
    pub fn has_request(&self) -> bool {
        self.request.generation.load(Ordering::Acquire) != self.seen
    }

    /// Returns whether there is an empty chunk to fill.
    pub fn has_room(&self) -> bool {
        self.holding.is_some() || !self.empty.is_empty()
    }

    /// Returns an empty chunk to fill, if there is one.
    pub fn take_empty(&mut self) -> Option<Box<Chunk>> {
        self.holding.take().or_else(|| self.empty.try_pop())
    }

    /// Sends a filled chunk that answers the request last seen.
    pub fn send(&mut self, mut chunk: Box<Chunk>) {
        chunk.generation = self.seen;
        if let Err(chunk) = self.full.try_push(chunk) {
            self.holding = Some(chunk);
        }
    }

    /// Returns the chunks waiting to be filled: all of them, as long as there has been no request.
    pub fn idle_chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.empty.iter().map(Box::as_ref)
    }

    /// Returns whether the reader has been dropped.
    pub fn is_orphan(&self) -> bool {
        Arc::strong_count(&self.request) == 1
    }

    /// Takes back a chunk that could not be filled.
    pub fn put_back(&mut self, chunk: Box<Chunk>) {
        self.holding = Some(chunk);
    }
}

/// A loaded stem, ready to be installed. Built by a loader, owned by the engine, freed by the janitor.
#[derive(Debug)]
pub struct StemSource {
    /// Length of the file in frames.
    pub frames: u64,
    /// Sample rate of the file in Hz.
    pub sample_rate: u32,
    /// The first frames of the left channel.
    pub head_left: Box<[f32]>,
    /// The first frames of the right channel.
    pub head_right: Box<[f32]>,
    /// The two streams.
    pub streams: [StreamReader; 2],
}

impl StemSource {
    /// Returns the number of resident frames.
    pub fn resident(&self) -> u64 {
        self.head_left.len().min(self.head_right.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_request_outdates_what_is_in_the_ring() {
        let (mut reader, mut writer) = stream(4);
        let play = Play { from: 100, start: 0, end: 1 << 20, looped: false };
        reader.ask(play);
        assert_eq!(writer.new_request(), Some(play));
        assert_eq!(writer.new_request(), None);
        for k in 0..3 {
            let mut chunk = writer.take_empty().unwrap();
            chunk.left[0] = k as f32;
            chunk.len = CHUNK;
            writer.send(chunk);
        }
        assert_eq!(reader.available(), 3 * CHUNK);
        assert_eq!(reader.peek(1).0, [0.0]);
        reader.consume(CHUNK);
        assert_eq!(reader.peek(1).0, [1.0]);

        reader.ask(Play { from: 7, ..play });
        assert_eq!(reader.available(), 0);
        assert_eq!(writer.new_request().map(|p| p.from), Some(7));
        // All four have been returned.
        assert!((0..4).all(|_| writer.take_empty().is_some()));
    }
}
