//! Nodes of the audio graph that evaluate a signal block by block, and the node that takes the sound out of the graph.

use std::cell::RefCell;
use std::sync::Arc;

use web_audio_api::worklet::{AudioParamValues, AudioWorkletGlobalScope, AudioWorkletProcessor};

use super::ahead::Pieces;
use super::course::Course;
use super::fault::Fault;
use super::network::Scratch;
use super::signal::{Signal, check_finite};
use crate::system::spent::Spent;

/// Frames of a render quantum.
pub const QUANTUM: usize = 128;

thread_local! {
    /// Memory for evaluating signals: one for all of a thread, since a large network needs megabytes.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A signal with the means to evaluate it.
pub struct Reader {
    signal: Arc<Signal>,
    /// What a worker has evaluated; without one, the graph's thread evaluates the signal.
    pieces: Option<Pieces>,
    course: Arc<Course>,
    name: String,
}

impl Reader {
    /// `name` is the connection, for messages.
    pub fn new(signal: Arc<Signal>, pieces: Option<Pieces>, course: Arc<Course>, name: String) -> Self {
        Self { signal, pieces, course, name }
    }

    fn read(&mut self, start: usize, out: &mut [f32]) {
        if self.course.is_over() {
            out.fill(0.0);
            return;
        }
        match &mut self.pieces {
            None => SCRATCH.with_borrow_mut(|scratch| self.signal.fill(start, out, scratch)),
            Some(pieces) => {
                if !pieces.read(start, out, &self.course) {
                    out.fill(0.0);
                    if !self.course.is_over() {
                        self.course.end(Fault::Graph("a worker has ended".into()));
                    }
                }
            }
        }
        if let Err(fault) = check_finite(out, start, &self.name) {
            out.fill(0.0);
            self.course.end(fault);
        }
    }
}

/// Plays a signal once, as a buffer source plays a buffer.
pub struct Playback(Reader);

impl AudioWorkletProcessor for Playback {
    type ProcessorOptions = Reader;

    fn constructor(reader: Reader) -> Self {
        Self(reader)
    }

    fn process<'a, 'b>(
        &mut self,
        _inputs: &'b [&'a [&'a [f32]]],
        outputs: &'b mut [&'a mut [&'a mut [f32]]],
        _params: AudioParamValues<'b>,
        scope: &'b AudioWorkletGlobalScope,
    ) -> bool {
        let start = scope.current_frame as usize;
        let out = &mut *outputs[0][0];
        let count = self.0.signal.frames().saturating_sub(start).min(out.len());
        self.0.read(start, &mut out[..count]);
        out[count..].fill(0.0);
        true
    }
}

/// A signal as a value curve over the whole sound, with the arithmetic of `setValueCurveAtTime`.
pub struct Curve {
    reader: Reader,
    options: CurveOptions,
    /// Frames of the signal around those of one quantum.
    samples: Vec<f32>,
}

/// How a curve is read.
#[derive(Clone, Copy)]
pub struct CurveOptions {
    /// Seconds of the whole curve.
    pub duration: f64,
    /// Set if the parameter takes one value per quantum: what it is in the first quantum, before the curve applies.
    pub per_quantum: Option<f32>,
}

impl Curve {
    /// The frame before `time` and the fraction of a frame after it.
    fn position(&self, time: f64) -> (usize, f32) {
        let last = self.reader.signal.frames() - 1;
        if time >= self.options.duration {
            return (last, 0.0);
        }
        let position = last as f64 * time / self.options.duration;
        ((position as usize).min(last), (position - position.floor()) as f32)
    }
}

impl AudioWorkletProcessor for Curve {
    type ProcessorOptions = (Reader, CurveOptions);

    fn constructor((reader, options): Self::ProcessorOptions) -> Self {
        Self { reader, options, samples: Vec::new() }
    }

    fn process<'a, 'b>(
        &mut self,
        _inputs: &'b [&'a [&'a [f32]]],
        outputs: &'b mut [&'a mut [&'a mut [f32]]],
        _params: AudioParamValues<'b>,
        scope: &'b AudioWorkletGlobalScope,
    ) -> bool {
        let out = &mut *outputs[0][0];
        let period = 1.0 / f64::from(scope.sample_rate);
        let last = self.reader.signal.frames() - 1;
        let times = if let Some(first) = self.options.per_quantum {
            let Some(before) = (scope.current_frame as usize).checked_sub(QUANTUM) else {
                out.fill(first);
                return true;
            };
            // The graph has computed this value at the end of the quantum before.
            let begin = before as f64 / f64::from(scope.sample_rate);
            (period.mul_add(QUANTUM as f64, begin), 1)
        } else {
            (scope.current_time, out.len())
        };
        let (mut time, count) = times;
        let first = self.position(time).0;
        let end = (self.position(period.mul_add(count as f64 + 1.0, time)).0 + 2).min(last + 1);
        self.samples.resize(end - first, 0.0);
        let mut samples = std::mem::take(&mut self.samples);
        self.reader.read(first, &mut samples);
        for value in &mut out[..count] {
            let (frame, phase) = self.position(time);
            let here = samples[(frame - first).min(samples.len() - 1)];
            let next = samples[(frame + 1 - first).min(samples.len() - 1)];
            *value = if time >= self.options.duration { here } else { (next - here).mul_add(phase, here) };
            time += period;
        }
        let held = out[count - 1];
        out[count..].fill(held);
        self.samples = samples;
        true
    }
}

/// Receives the sound, a quantum at a time; returns false to end the render.
pub type Sink = Box<dyn FnMut(&[f32]) -> bool + Send>;

/// Takes the sound out of the graph.
pub struct Capture {
    sink: Sink,
    frames: usize,
    course: Arc<Course>,
    /// The offline context keeps the whole sound, which nobody reads.
    kept: Spent,
}

/// Ends the render from inside the graph: the message makes the context unwind, between two quanta and without a report.
pub struct End;

impl AudioWorkletProcessor for Capture {
    type ProcessorOptions = (Sink, usize, Arc<Course>, Spent);

    fn constructor((sink, frames, course, kept): Self::ProcessorOptions) -> Self {
        Self { sink, frames, course, kept }
    }

    fn process<'a, 'b>(
        &mut self,
        inputs: &'b [&'a [&'a [f32]]],
        _outputs: &'b mut [&'a mut [&'a mut [f32]]],
        _params: AudioParamValues<'b>,
        scope: &'b AudioWorkletGlobalScope,
    ) -> bool {
        let start = scope.current_frame as usize;
        let count = self.frames.saturating_sub(start).min(QUANTUM);
        let silence = [0.0; QUANTUM];
        let sound = inputs[0].first().map_or(&silence[..], |c| &c[..]);
        if let Some(at) = sound[..count].iter().position(|s| !s.is_finite()) {
            self.course.end(Fault::Graph(format!("the sound is not finite in frame {}", start + at)));
        }
        if self.course.is_stopped() {
            self.course.end(Fault::Stopped);
        }
        if !self.course.has_ended() && !(self.sink)(&sound[..count]) {
            self.course.end(Fault::Stopped);
        }
        self.kept.release(start.min(self.frames));
        if self.course.has_ended() || start + QUANTUM >= self.frames {
            scope.post_message(Box::new(End));
        }
        true
    }
}
