//! Renders a genome: builds the audio graph and pulls the sound out of it.
//!
//! The lazy render evaluates the network's outputs while the graph plays; the eager one evaluates them all first, as the
//! older service did. Both give the same samples, and so does a batch render before it is normalised.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use web_audio_api::context::{BaseAudioContext, OfflineAudioContext};
use web_audio_api::node::{AudioNode, AudioNodeOptions, ChannelCountMode, ChannelInterpretation};
use web_audio_api::worklet::{AudioWorkletNode, AudioWorkletNodeOptions};

use super::course::Course;
use super::fault::Fault;
use super::graph::Builder;
use super::network::Place;
use super::patch::Yield;
use super::read::Genome;
use super::signal::{Feed, Signal};
use super::sound::{Evaluation, SAMPLE_RATE, Sound};
use super::worklet::{Capture, End, Sink};
use crate::system::realtime;
use crate::system::spent::Spent;

/// The most work that all outputs of the networks may be in one frame, in neurons times 8 and connections: about a
/// hundred times that of the largest known genome.
const MAX_WORK: usize = 1 << 20;

/// The stack of a thread that renders: the audio graph is walked recursively.
pub const STACK: usize = 16 << 20;

/// Renders on the calling thread and gives the sound to `sink`, 128 frames at a time and the rest at the end. The graph
/// wants a stack of [`STACK`] bytes. Setting `stop` ends the render with [`Fault::Stopped`] within a few milliseconds.
pub fn render(
    genome: &Genome,
    sound: Sound,
    evaluation: Evaluation,
    sink: Sink,
    stop: &Arc<AtomicBool>,
) -> Result<(), Fault> {
    sound.check()?;
    let course = Arc::new(Course::new(stop.clone()));
    let run = AssertUnwindSafe(|| render_graph(genome, sound, evaluation, sink, &course));
    let result = catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        if panic.is::<End>() { Ok(()) } else { Err(Fault::Graph(text.unwrap_or_else(|| "unknown".into()))) }
    });
    course.close();
    course.fault().map_or(result, Err)
}

/// The whole sound as it is rendered, before normalisation.
pub fn render_whole(genome: &Genome, sound: Sound, evaluation: Evaluation) -> Result<Vec<f32>, Fault> {
    render_unless(genome, sound, evaluation, &Arc::default())
}

/// The same, unless `stop` is set before its end.
pub fn render_unless(
    genome: &Genome,
    sound: Sound,
    evaluation: Evaluation,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<f32>, Fault> {
    let whole: Arc<Mutex<Vec<f32>>> = Arc::default();
    let into = whole.clone();
    let sink = Box::new(move |block: &[f32]| {
        into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(block);
        true
    });
    render(genome, sound, evaluation, sink, stop)?;
    Ok(std::mem::take(&mut *whole.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Maps a sound that exceeds full scale onto -1 to 1, as the older batch renderer did: between its least and its
/// greatest sample (0 included), which adds an offset if they are not symmetric.
pub fn normalise(sound: &mut [f32]) {
    let low = sound.iter().fold(0.0f64, |m, s| m.min(f64::from(*s)));
    let high = sound.iter().fold(0.0f64, |m, s| m.max(f64::from(*s)));
    if low < -1.0 || high > 1.0 {
        sound.iter_mut().for_each(|s| *s = ((f64::from(*s) - low) / (high - low) * 2.0 - 1.0) as f32);
    }
}

fn render_graph(
    genome: &Genome,
    sound: Sound,
    evaluation: Evaluation,
    sink: Sink,
    course: &Arc<Course>,
) -> Result<(), Fault> {
    let frames = sound.frames();
    let mut feeds = feeds(genome, sound)?;
    realtime::flush_denormals();
    let work = feeds.iter().flatten().map(|feed| feed.signal.cost()).sum::<usize>();
    if work > MAX_WORK {
        return Err(Fault::TooLarge { what: "work per frame of the networks' outputs", found: work, limit: MAX_WORK });
    }
    let mut context = OfflineAudioContext::new(1, frames, SAMPLE_RATE as f32);
    let audio_node_options = AudioNodeOptions {
        channel_count: 1,
        channel_count_mode: ChannelCountMode::Explicit,
        channel_interpretation: ChannelInterpretation::Speakers,
    };
    let mut builder = Builder::new(&context, sound, evaluation, course.clone());
    let factor = sound.note_delta.factor();
    for (at, node) in genome.patch.nodes.iter().enumerate() {
        let sounds = genome.patch.wires.iter().any(|w| w.source == at && w.parameter.is_none());
        let factor = if sounds { factor } else { 1.0 };
        builder.node(node, std::mem::take(&mut feeds[at]), factor)?;
    }
    let capture = AudioWorkletNode::new::<Capture>(
        &context,
        AudioWorkletNodeOptions {
            number_of_inputs: 1,
            number_of_outputs: 1,
            output_channel_count: vec![1],
            parameter_data: HashMap::default(),
            processor_options: (sink, frames, course.clone(), Spent::expect(frames)),
            audio_node_options,
        },
    );
    capture.connect(&context.destination());
    capture.port().set_onmessage(Box::new(|_| resume_unwind(Box::new(End))));
    builder.wires(&genome.patch, &capture)?;
    let kept = builder.finish()?;
    let _ = context.start_rendering_sync();
    drop(kept);
    Ok(())
}

/// The signals of every node, in the older service's order: by network output, then buffers, partials, the rest.
fn feeds(genome: &Genome, sound: Sound) -> Result<Vec<Vec<Feed>>, Fault> {
    let mut feeds: Vec<Vec<Feed>> = genome.patch.nodes.iter().map(|_| Vec::new()).collect();
    let factor = sound.note_delta.factor();
    let frames = sound.frames();
    // The networks see the duration of the rounded number of frames.
    let seconds = frames as f64 / f64::from(SAMPLE_RATE);
    for (number, source) in genome.patch.sources.iter().enumerate() {
        for group in ["buffer", "partialBuffer", ""] {
            let frequency = match group {
                "buffer" => source.frequency * factor,
                "partialBuffer" if source.partial > 1.0 => source.frequency * factor * source.partial,
                "partialBuffer" => source.frequency * factor,
                _ => source.frequency,
            };
            let place = Place { periods: frequency * seconds, frames, velocity: sound.velocity };
            let matching = |parameter: &str| match parameter {
                "buffer" | "partialBuffer" => parameter == group,
                _ => group.is_empty(),
            };
            for drive in source.drives.iter().filter(|d| matching(&d.parameter)) {
                let range = drive.range;
                let signal = match source.yields {
                    Yield::Noise(noise) => Signal::noise(noise, number as u64, place, range),
                    Yield::Output(output) => {
                        let network = genome.network(source.frequency);
                        let program = network.program(output).ok_or_else(|| Fault::Node {
                            node: source.id.clone(),
                            kind: "NetworkOutputNode".into(),
                            problem: format!("output {output}: the network has {} outputs", network.outputs()),
                        })?;
                        Signal::new(program, place, range)
                    }
                };
                feeds[drive.node].push(Feed {
                    connection: drive.connection.clone(),
                    parameter: drive.parameter.clone(),
                    weight: drive.weight,
                    signal,
                });
            }
        }
    }
    Ok(feeds)
}
