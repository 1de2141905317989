//! One render: a thread that pulls the sound out of the audio graph and writes the replies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::Message;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Renders;
use super::messages::{Order, Reply, Wanted};
use crate::genome::{self, Evaluation, Fault, SAMPLE_RATE};

/// Frames of the first chunk, and of a chunk after a few; in between they double.
const FIRST: usize = 128;
const MOST: usize = 4096;
/// How long a render waits for a client that does not play on; then it ends.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a render that is ahead of its client looks again.
const PACE: Duration = Duration::from_millis(10);

/// A render under way. Dropping it stops the render within a few milliseconds.
pub struct Job {
    stop: Arc<AtomicBool>,
    /// Seconds that the client has played, as far as it says.
    position: Arc<Mutex<Option<f64>>>,
    pub request_id: Option<Value>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Job {
    /// Starts a render, whose replies go to `replies`; the last one is followed by the end of the thread.
    ///
    /// # Errors
    /// If as many renders are under way as are allowed, or no thread can be started.
    pub fn start(order: Order, renders: &Arc<Renders>, replies: mpsc::Sender<Vec<Message>>) -> Result<Job, Fault> {
        let place = Place::take(renders)?;
        let job = Job { stop: Arc::default(), position: Arc::default(), request_id: order.request_id.clone() };
        let (stop, position, renders) = (job.stop.clone(), job.position.clone(), renders.clone());
        let run = move || {
            let outlet = Outlet { replies, order: &order, position, stop };
            let ended = outlet.render(&renders);
            // Before the last reply: a client that asks for the next sound at once finds room.
            drop(place);
            match ended {
                Ok(complete) => outlet.send(&complete),
                Err(Fault::Stopped) => {}
                Err(fault) => {
                    tracing::info!("render socket: render of {} failed: {fault}", order.genome.name());
                    let message = fault.to_string();
                    outlet.send(&Reply::Error { message, request_id: order.request_id.as_ref() });
                }
            }
        };
        let thread = std::thread::Builder::new().name("genome".into()).stack_size(genome::STACK).spawn(run);
        thread.map(drop).map_err(|e| Fault::Request(format!("no thread for the render: {e}")))?;
        Ok(job)
    }

    /// Notes how far the client has played.
    pub fn note(&self, position: f64) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
    }

    /// Returns whether the render has ended.
    pub fn is_over(&self) -> bool {
        Arc::strong_count(&self.stop) == 1
    }
}

/// One of the renders that are allowed at a time; released on drop.
struct Place(Arc<Renders>);

impl Place {
    fn take(renders: &Arc<Renders>) -> Result<Place, Fault> {
        let more = |running: usize| (running < renders.limit).then_some(running + 1);
        match renders.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(Place(renders.clone())),
            Err(running) => {
                let why =
                    format!("{running} renders are under way, which is the limit (genomes.renders): try again later");
                Err(Fault::Request(why))
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Where a render's replies go.
struct Outlet<'o> {
    replies: mpsc::Sender<Vec<Message>>,
    order: &'o Order,
    position: Arc<Mutex<Option<f64>>>,
    stop: Arc<AtomicBool>,
}

/// Sends samples in chunks.
struct Chunks {
    replies: mpsc::Sender<Vec<Message>>,
    request_id: Option<Value>,
    binary: bool,
    ahead: Option<f64>,
    position: Arc<Mutex<Option<f64>>>,
    stop: Arc<AtomicBool>,
    begun: Instant,
    held: Vec<f32>,
    index: usize,
    sent: usize,
}

fn bytes(samples: &[f32]) -> Message {
    Message::Binary(samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>().into())
}

impl Chunks {
    /// Takes samples; false if nobody wants more.
    fn take(&mut self, samples: &[f32]) -> bool {
        self.held.extend_from_slice(samples);
        let size = (FIRST << self.index.saturating_sub(1).min(8)).min(MOST);
        self.held.len() < size || self.flush()
    }

    fn flush(&mut self) -> bool {
        if self.held.is_empty() {
            return true;
        }
        if !self.wait() {
            return false;
        }
        self.index += 1;
        self.sent += self.held.len();
        let chunk = Reply::Chunk {
            index: self.index,
            data: (!self.binary).then_some(&self.held),
            timestamp: self.sent as f64 / f64::from(SAMPLE_RATE),
            sample_rate: SAMPLE_RATE,
            request_id: self.request_id.as_ref(),
        };
        let mut messages = vec![Message::Text(chunk.text().into())];
        if self.binary {
            messages.push(bytes(&self.held));
        }
        self.held.clear();
        self.replies.blocking_send(messages).is_ok()
    }

    /// Waits until the client is near enough; false if the render is to stop.
    fn wait(&self) -> bool {
        let Some(ahead) = self.ahead else { return true };
        let since = Instant::now();
        loop {
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            let told = *self.position.lock().unwrap_or_else(PoisonError::into_inner);
            let played = told.unwrap_or_else(|| self.begun.elapsed().as_secs_f64());
            if self.sent as f64 / f64::from(SAMPLE_RATE) <= played + ahead {
                return true;
            }
            if since.elapsed() > LONGEST_WAIT {
                return false;
            }
            std::thread::sleep(PACE);
        }
    }
}

impl Outlet<'_> {
    fn send(&self, reply: &Reply<'_>) {
        // If the client is gone, nobody needs the reply.
        drop(self.replies.blocking_send(vec![Message::Text(reply.text().into())]));
    }

    /// Renders and sends the sound; returns the last reply.
    fn render(&self, renders: &Renders) -> Result<Reply<'_>, Fault> {
        let order = self.order;
        let genome = match &order.genome {
            Wanted::Stored(id) => renders.genomes.genome(id)?,
            Wanted::Inline(genome) => genome.clone(),
        };
        let request_id = order.request_id.as_ref();
        let (duration, sample_rate) = (order.sound.duration, SAMPLE_RATE);
        let (chunks, samples) = if order.batch {
            let mut whole = genome::render_unless(&genome, order.sound, Evaluation::Lazy, &self.stop)?;
            genome::normalise(&mut whole);
            let total_samples = whole.len();
            let result = Reply::BatchResult { request_id, total_samples, duration, sample_rate };
            drop(self.replies.blocking_send(vec![Message::Text(result.text().into()), bytes(&whole)]));
            (1, total_samples)
        } else {
            let chunks = Arc::new(Mutex::new(Chunks {
                replies: self.replies.clone(),
                request_id: order.request_id.clone(),
                binary: order.binary,
                ahead: order.ahead,
                position: self.position.clone(),
                stop: self.stop.clone(),
                begun: Instant::now(),
                held: Vec::with_capacity(MOST + FIRST),
                index: 0,
                sent: 0,
            }));
            let into = chunks.clone();
            let sink = Box::new(move |block: &[f32]| into.lock().unwrap_or_else(PoisonError::into_inner).take(block));
            genome::render(&genome, order.sound, Evaluation::Lazy, sink, &self.stop)?;
            let mut chunks = chunks.lock().unwrap_or_else(PoisonError::into_inner);
            if !chunks.flush() {
                return Err(Fault::Stopped);
            }
            (chunks.index, chunks.sent)
        };
        Ok(Reply::Complete { total_chunks: chunks, total_samples: samples, duration, sample_rate, request_id })
    }
}
