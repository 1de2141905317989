//! Evaluates signals ahead of the audio graph, on other threads.
//!
//! The graph reads all signals in step, so that a bounded queue per signal cannot block another one.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::course::Course;
use super::network::Scratch;
use super::signal::Signal;
use crate::system::realtime;

/// Frames evaluated at once, at first and later.
const FIRST: usize = 256;
const LATER: usize = 1024;
/// Frames between two looks at whether the render goes on.
const BLOCK: usize = 128;
/// How often a reader that waits looks whether the render goes on.
const PATIENCE: Duration = Duration::from_millis(5);
/// Pieces that a signal may be ahead.
const AHEAD: usize = 4;
/// Sounds of fewer frames are evaluated by the graph's thread alone.
const LEAST: usize = 8192;
/// The most threads besides that of the graph.
const MOST_WORKERS: usize = 3;

/// The pieces of one signal, in order.
pub struct Pieces {
    receive: Receiver<Vec<f32>>,
    held: Vec<f32>,
    /// The frame of the first one that is held.
    base: usize,
}

impl Pieces {
    /// Copies the frames from `start` on, which never goes back; false if the worker or the render has ended.
    pub fn read(&mut self, start: usize, out: &mut [f32], course: &Course) -> bool {
        while self.base + self.held.len() < start + out.len() {
            match self.receive.recv_timeout(PATIENCE) {
                Ok(piece) => self.held.extend(piece),
                Err(RecvTimeoutError::Timeout) if !course.is_over() => {}
                Err(_) => return false,
            }
        }
        self.held.drain(..start - self.base);
        self.base = start;
        out.copy_from_slice(&self.held[..out.len()]);
        true
    }
}

/// A signal that a worker evaluates, and where its pieces go.
type Task = (Arc<Signal>, SyncSender<Vec<f32>>);

/// Distributes signals over the graph's own thread and workers, by the work that they are.
pub struct Workers {
    /// Work of the graph's own thread.
    own: usize,
    others: Vec<(usize, Vec<Task>)>,
}

impl Workers {
    /// Workers for a sound of so many frames, one per processor that is left.
    pub fn new(frames: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if frames < LEAST { 0 } else { (processors - 1).min(MOST_WORKERS) };
        Self { own: 0, others: (0..count).map(|_| (0, Vec::new())).collect() }
    }

    /// Gives a signal to the thread with the least work; `None` means that of the graph.
    pub fn assign(&mut self, signal: &Arc<Signal>) -> Option<Pieces> {
        let cost = signal.cost();
        let least = self.others.iter_mut().min_by_key(|(work, _)| *work).filter(|(work, _)| *work < self.own);
        let Some((work, tasks)) = least else {
            self.own += cost;
            return None;
        };
        *work += cost;
        let (send, receive) = sync_channel(AHEAD);
        tasks.push((signal.clone(), send));
        Some(Pieces { receive, held: Vec::new(), base: 0 })
    }

    /// Starts the workers. They end with the sound, or when nobody reads their signals any more.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(self, course: &Arc<Course>) -> std::io::Result<()> {
        for (_, tasks) in self.others.into_iter().filter(|(_, tasks)| !tasks.is_empty()) {
            let course = course.clone();
            std::thread::Builder::new().name("genome-ahead".into()).spawn(move || work(tasks, &course))?;
        }
        Ok(())
    }
}

fn work(mut tasks: Vec<Task>, course: &Course) {
    // As in the audio graph.
    realtime::flush_denormals();
    let mut scratch = Scratch::default();
    let mut start = 0;
    while !tasks.is_empty() {
        let length = if start < 4 * FIRST { FIRST } else { LATER };
        tasks.retain(|(signal, send)| {
            let length = length.min(signal.frames().saturating_sub(start));
            let mut piece = vec![0.0; length];
            for (number, block) in piece.chunks_mut(BLOCK).enumerate() {
                if course.is_over() {
                    return false;
                }
                signal.fill(start + number * BLOCK, block, &mut scratch);
            }
            length > 0 && send.send(piece).is_ok()
        });
        start += length;
    }
}
