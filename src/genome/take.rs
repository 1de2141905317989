//! A sound that is played while it is rendered.
//!
//! The render runs on a thread of its own, of normal priority. Readers never wait for it, unless they ask to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::read::Genome;
use super::render::{STACK, render};
use super::sound::{Evaluation, Sound};

/// Frames that become readable at once.
const PIECE: usize = 1024;

/// How long a wait without a limit sleeps at a time.
const LONG: Duration = Duration::from_secs(3600);

/// Slows a render down while others are more urgent: called after each piece with the number of frames rendered.
/// Returning `false` ends the render.
pub type Pace = Box<dyn FnMut(usize) -> bool + Send>;

/// A sound in memory, mono, that a thread is rendering or has rendered. Dropping it stops the render within a few
/// milliseconds.
#[derive(Debug)]
pub struct Take {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Shared {
    frames: usize,
    pieces: Box<[OnceLock<Box<[f32]>>]>,
    /// Frames that can be read.
    rendered: AtomicUsize,
    end: Mutex<Option<Result<(), Fault>>>,
    changed: Condvar,
}

impl Drop for Take {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Take {
    /// Starts the render. `find` gives the genome; it runs on the render's thread, so it may read a database.
    ///
    /// # Errors
    /// If the arguments of the sound are out of range, or no thread can be started.
    pub fn start(
        find: impl FnOnce() -> Result<Arc<Genome>, Fault> + Send + 'static,
        sound: Sound,
        pace: Option<Pace>,
    ) -> Result<Take, Fault> {
        sound.check()?;
        let frames = sound.frames();
        let shared = Arc::new(Shared {
            frames,
            pieces: (0..frames.div_ceil(PIECE)).map(|_| OnceLock::new()).collect(),
            rendered: AtomicUsize::new(0),
            end: Mutex::new(None),
            changed: Condvar::new(),
        });
        let stop: Arc<AtomicBool> = Arc::default();
        let take = Take { shared: shared.clone(), stop: stop.clone() };
        let mut pace = pace;
        let run = move || {
            let into = shared.clone();
            let mut piece = Vec::with_capacity(PIECE);
            let sink = Box::new(move |block: &[f32]| {
                into.append(&mut piece, block) && pace.as_mut().is_none_or(|p| p(into.rendered.load(Ordering::Relaxed)))
            });
            let work = || find().and_then(|genome| render(&genome, sound, Evaluation::Lazy, sink, &stop));
            // Others wait for the end.
            let result = catch_unwind(AssertUnwindSafe(work));
            shared.finish(result.unwrap_or_else(|_| Err(Fault::Graph("the render failed".into()))));
        };
        let thread = std::thread::Builder::new().name("genome".into()).stack_size(STACK).spawn(run);
        thread.map_err(|e| Fault::Request(format!("no thread for the render: {e}")))?;
        Ok(take)
    }

    /// Length of the whole sound in frames.
    pub fn frames(&self) -> usize {
        self.shared.frames
    }

    /// Memory of the whole sound in bytes.
    pub fn bytes(&self) -> usize {
        self.shared.frames * size_of::<f32>()
    }

    /// Frames that can be read by now.
    pub fn rendered(&self) -> usize {
        self.shared.rendered.load(Ordering::Acquire)
    }

    /// Returns whether the render has ended, with or without success.
    pub fn has_ended(&self) -> bool {
        self.shared.end().is_some()
    }

    /// Copies frames from `start` on, as far as they are rendered; returns their number. Takes no lock.
    pub fn read(&self, start: usize, out: &mut [f32]) -> usize {
        let end = self.rendered().min(start.saturating_add(out.len()));
        let mut at = start;
        while at < end {
            let Some(piece) = self.shared.pieces.get(at / PIECE).and_then(OnceLock::get) else { break };
            let inside = at % PIECE;
            let count = (piece.len().saturating_sub(inside)).min(end - at);
            if count == 0 {
                break;
            }
            out[at - start..at - start + count].copy_from_slice(&piece[inside..inside + count]);
            at += count;
        }
        at - start.min(at)
    }

    /// Waits until `frames` frames can be read, or the whole sound if it is shorter, but not longer than `patience`;
    /// returns whether they can.
    ///
    /// # Errors
    /// Why the render ended before.
    pub fn wait(&self, frames: usize, patience: Duration) -> Result<bool, Fault> {
        let wanted = frames.min(self.shared.frames);
        let until = Instant::now().checked_add(patience);
        let mut end = self.shared.end();
        loop {
            if self.rendered() >= wanted {
                return Ok(true);
            }
            match &*end {
                Some(Err(fault)) => return Err(fault.clone()),
                Some(Ok(())) => return Err(Fault::Stopped),
                None => {}
            }
            let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(false);
            }
            end = self.shared.changed.wait_timeout(end, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn end(&self) -> std::sync::MutexGuard<'_, Option<Result<(), Fault>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects a block; publishes the piece once it is full. `false` if there are more frames than announced.
    fn append(&self, piece: &mut Vec<f32>, mut block: &[f32]) -> bool {
        while !block.is_empty() {
            let at = self.rendered.load(Ordering::Relaxed);
            let whole = PIECE.min(self.frames.saturating_sub(at));
            if whole == 0 {
                return false;
            }
            let (now, later) = block.split_at(block.len().min(whole - piece.len()));
            piece.extend_from_slice(now);
            block = later;
            if piece.len() == whole {
                let full = std::mem::replace(piece, Vec::with_capacity(PIECE)).into_boxed_slice();
                // Each piece is written once, in order.
                let _ = self.pieces[at / PIECE].set(full);
                // Under the lock, so that a reader that is about to wait does not miss it.
                let end = self.end();
                self.rendered.store(at + whole, Ordering::Release);
                self.changed.notify_all();
                drop(end);
            }
        }
        true
    }

    fn finish(&self, result: Result<(), Fault>) {
        let is_short = self.rendered.load(Ordering::Relaxed) < self.frames;
        let result = if is_short { result.and(Err(Fault::Stopped)) } else { result };
        *self.end() = Some(result);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::{Pitch, render_whole};

    const SOUND: Sound = Sound { duration: 1.3, note_delta: Pitch::Semitones(0.0), velocity: 0.5 };

    fn genome() -> Arc<Genome> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/genomes/01KSFIX000.json.gz");
        Arc::new(Genome::from_bytes(&std::fs::read(path).unwrap()).unwrap())
    }

    #[test]
    fn a_sound_can_be_read_while_it_is_rendered_and_is_that_of_a_whole_render() {
        let whole = render_whole(&genome(), SOUND, Evaluation::Eager).unwrap();
        let take = Take::start(|| Ok(genome()), SOUND, None).unwrap();
        assert_eq!(take.frames(), whole.len());
        assert!(take.wait(1, LONG).unwrap());
        let mut early = vec![0.0; 700];
        assert_eq!(take.read(100, &mut early), 700);
        assert_eq!(early, whole[100..800]);
        assert!(take.wait(usize::MAX, LONG).unwrap());
        let mut all = vec![9.0; whole.len() + 10];
        assert_eq!(take.read(0, &mut all), whole.len());
        assert_eq!(all[..whole.len()], whole);
        assert_eq!(take.read(whole.len() + 5, &mut early), 0);
        // The last frame can be read a moment before the render has ended.
        while !take.has_ended() {
            std::thread::yield_now();
        }
        assert_eq!(*take.shared.end(), Some(Ok(())));
    }

    #[test]
    fn whoever_waits_learns_why_there_will_be_no_sound() {
        let take = Take::start(|| Err(Fault::NotFound("x".into())), SOUND, None).unwrap();
        assert_eq!(take.wait(1, LONG), Err(Fault::NotFound("x".into())));
        let take = Take::start(|| Ok(genome()), SOUND, Some(Box::new(|frames| frames < 4096))).unwrap();
        assert_eq!(take.wait(usize::MAX, LONG), Err(Fault::Stopped));
        assert!(take.rendered() >= 4096 && take.rendered() < take.frames());
        let wrong = Sound { velocity: 2.0, ..SOUND };
        assert!(matches!(Take::start(|| Ok(genome()), wrong, None), Err(Fault::Argument { argument: "velocity", .. })));
    }
}
