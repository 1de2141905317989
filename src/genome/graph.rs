//! Builds the audio graph of a genome from the nodes of the Web Audio API.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use web_audio_api::context::{BaseAudioContext, OfflineAudioContext};
use web_audio_api::node::{
    AudioNode, AudioNodeOptions, AudioScheduledSourceNode, BiquadFilterType, ChannelCountMode, ChannelInterpretation,
    OscillatorType,
};
use web_audio_api::worklet::{AudioWorkletNode, AudioWorkletNodeOptions, AudioWorkletProcessor};
use web_audio_api::{AudioBuffer, AudioParam, AutomationRate};

use super::ahead::Workers;
use super::course::Course;
use super::fault::Fault;
use super::patch::{Kind, Node, Patch, Target, Wire};
use super::signal::{Feed, Signal, check_finite};
use super::sound::{Evaluation, SAMPLE_RATE, Sound};
use super::worklet::{Curve, CurveOptions, Playback, Reader};

/// How much more memory the samples of a convolver take: it keeps spectra of them.
const CONVOLVER: usize = 7;
/// The most samples of one render that have to be evaluated before it begins: 192 MiB.
const MOST_WHOLE: usize = 48 << 20;

type Boxed = Box<dyn AudioNode>;

/// A node of the patch in the graph.
struct Built {
    /// Takes other nodes' sound; a composite takes none.
    entry: Option<usize>,
    exit: usize,
    parameters: Vec<(&'static str, AudioParam)>,
    /// Sums what is connected to a parameter that a lazy curve drives, so that the order of addition stays.
    sums: HashMap<&'static str, usize>,
}

/// A lazy curve that waits until all other nodes exist: the graph's order of processing follows that of creation.
struct Pending {
    reader: Reader,
    options: CurveOptions,
    parameter: AudioParam,
    node: usize,
    name: &'static str,
}

/// Makes nodes and connects them.
pub struct Builder<'c> {
    context: &'c OfflineAudioContext,
    sound: Sound,
    evaluation: Evaluation,
    course: Arc<Course>,
    nodes: Vec<Boxed>,
    built: Vec<Built>,
    pending: Vec<Pending>,
    workers: Workers,
    /// Samples of all signals that were evaluated whole.
    whole_frames: usize,
}

impl<'c> Builder<'c> {
    pub fn new(context: &'c OfflineAudioContext, sound: Sound, evaluation: Evaluation, course: Arc<Course>) -> Self {
        let workers = Workers::new(sound.frames());
        Self {
            context,
            sound,
            evaluation,
            course,
            nodes: Vec::new(),
            built: Vec::new(),
            pending: Vec::new(),
            workers,
            whole_frames: 0,
        }
    }

    fn add(&mut self, node: impl AudioNode + 'static) -> usize {
        self.nodes.push(Box::new(node));
        self.nodes.len() - 1
    }

    fn join(&self, from: usize, to: usize) {
        self.nodes[from].connect(&*self.nodes[to]);
    }

    /// `sparse`: only few of the frames are read.
    fn reader(&mut self, signal: Signal, sparse: bool, connection: &str) -> Reader {
        let signal = Arc::new(signal);
        let pieces = if sparse || !signal.is_lazy() { None } else { self.workers.assign(&signal) };
        Reader::new(signal, pieces, self.course.clone(), connection.to_string())
    }

    /// The whole signal, which must be finite.
    fn whole(&mut self, signal: &Signal, weight: usize, connection: &str) -> Result<Vec<f32>, Fault> {
        self.whole_frames = self.whole_frames.saturating_add(signal.frames().saturating_mul(weight));
        if self.evaluation == Evaluation::Lazy && self.whole_frames > MOST_WHOLE {
            let what = "number of samples of convolvers, curves and noise (shorter sounds need fewer)";
            return Err(Fault::TooLarge { what, found: self.whole_frames, limit: MOST_WHOLE });
        }
        let course = &self.course;
        let samples = signal.whole(&|| course.is_stopped()).ok_or(Fault::Stopped)?;
        check_finite(&samples, 0, connection)?;
        Ok(samples)
    }

    fn buffer(samples: Vec<f32>) -> AudioBuffer {
        AudioBuffer::from(vec![samples], SAMPLE_RATE as f32)
    }

    /// Plays a signal once.
    fn playback(&mut self, feed: Feed) -> Result<usize, Fault> {
        if self.evaluation == Evaluation::Lazy && feed.signal.is_lazy() {
            let reader = self.reader(feed.signal, false, &feed.connection);
            return Ok(self.add(source::<Playback>(self.context, reader)));
        }
        let mut node = self.context.create_buffer_source();
        node.set_buffer(Self::buffer(self.whole(&feed.signal, 1, &feed.connection)?));
        node.start();
        Ok(self.add(node))
    }

    /// Drives a parameter with a signal over the whole sound.
    fn drive(
        &mut self,
        node: usize,
        name: &'static str,
        parameter: &AudioParam,
        signal: Signal,
        connection: &str,
    ) -> Result<(), Fault> {
        if self.evaluation == Evaluation::Eager || !signal.is_lazy() {
            let values = self.whole(&signal, 1, connection)?;
            parameter.set_value_curve_at_time(&values, 0.0, self.sound.duration);
            return Ok(());
        }
        let per_quantum = (parameter.automation_rate() == AutomationRate::K).then(|| parameter.value());
        // Negative zero is the number that changes nothing when it is added, not even the sign of a zero.
        parameter.set_value(-0.0);
        let options = CurveOptions { duration: self.sound.duration, per_quantum };
        let reader = self.reader(signal, per_quantum.is_some(), connection);
        self.pending.push(Pending { reader, options, parameter: parameter.clone(), node, name });
        Ok(())
    }

    /// Makes one node of the patch; `factor` is the change of pitch of its oscillator.
    pub fn node(&mut self, node: &Node, mut feeds: Vec<Feed>, factor: f64) -> Result<(), Fault> {
        let fault = |problem: String| Fault::Node { node: node.id.clone(), kind: node.name.clone(), problem };
        let context = self.context;
        let at = self.built.len();
        let mut parameters: Vec<(&'static str, AudioParam)> = Vec::new();
        let index = match node.kind {
            Kind::Gain => {
                let made = context.create_gain();
                parameters.push(("gain", made.gain().clone()));
                self.add(made)
            }
            Kind::FeedbackDelay => self.add(context.create_gain()),
            Kind::Filter => {
                let mut made = context.create_biquad_filter();
                made.set_type(match node.form.as_str() {
                    "" | "lowpass" => BiquadFilterType::Lowpass,
                    "highpass" => BiquadFilterType::Highpass,
                    "bandpass" => BiquadFilterType::Bandpass,
                    "notch" => BiquadFilterType::Notch,
                    "allpass" => BiquadFilterType::Allpass,
                    "peaking" => BiquadFilterType::Peaking,
                    "lowshelf" => BiquadFilterType::Lowshelf,
                    "highshelf" => BiquadFilterType::Highshelf,
                    other => return Err(fault(format!("'type' is '{other}': expected a filter of the Web Audio API"))),
                });
                parameters.push(("frequency", made.frequency().clone()));
                parameters.push(("detune", made.detune().clone()));
                parameters.push(("Q", made.q().clone()));
                parameters.push(("gain", made.gain().clone()));
                self.add(made)
            }
            Kind::Delay => {
                let made = context.create_delay(1.0);
                parameters.push(("delayTime", made.delay_time().clone()));
                self.add(made)
            }
            Kind::Compressor => {
                let made = context.create_dynamics_compressor();
                parameters.push(("threshold", made.threshold().clone()));
                parameters.push(("knee", made.knee().clone()));
                parameters.push(("ratio", made.ratio().clone()));
                parameters.push(("attack", made.attack().clone()));
                parameters.push(("release", made.release().clone()));
                self.add(made)
            }
            Kind::Convolver => {
                let mut made = context.create_convolver();
                if let Some(feed) = last(&mut feeds, "buffer") {
                    made.set_buffer(Self::buffer(self.whole(&feed.signal, CONVOLVER, &feed.connection)?));
                }
                self.add(made)
            }
            Kind::WaveShaper => {
                let mut made = context.create_wave_shaper();
                if let Some(feed) = last(&mut feeds, "curve") {
                    made.set_curve(self.whole(&feed.signal, 1, &feed.connection)?);
                }
                self.add(made)
            }
            Kind::Oscillator => {
                let mut made = context.create_oscillator();
                made.set_type(match node.form.as_str() {
                    "" | "sine" => OscillatorType::Sine,
                    "square" => OscillatorType::Square,
                    "sawtooth" => OscillatorType::Sawtooth,
                    "triangle" => OscillatorType::Triangle,
                    other => {
                        return Err(fault(format!("'type' is '{other}': expected sine, square, sawtooth or triangle")));
                    }
                });
                made.start();
                parameters.push(("frequency", made.frequency().clone()));
                parameters.push(("detune", made.detune().clone()));
                self.add(made)
            }
            Kind::BufferSource => {
                let driven = feeds.iter().any(|f| f.parameter == "detune" || f.parameter == "playbackRate");
                match last(&mut feeds, "buffer") {
                    Some(feed) if !driven => self.playback(feed)?,
                    feed => {
                        let mut made = context.create_buffer_source();
                        if let Some(feed) = feed {
                            made.set_buffer(Self::buffer(self.whole(&feed.signal, 1, &feed.connection)?));
                        }
                        made.start();
                        parameters.push(("detune", made.detune().clone()));
                        parameters.push(("playbackRate", made.playback_rate().clone()));
                        self.add(made)
                    }
                }
            }
            Kind::Wavetable => self.wavetable(at, std::mem::take(&mut feeds))?,
            Kind::Additive => self.additive(at, std::mem::take(&mut feeds))?,
        };
        let composite = matches!(node.kind, Kind::Wavetable | Kind::Additive);
        for (name, value) in &node.numbers {
            let value = if *name == "frequency" && node.kind == Kind::Oscillator { value * factor } else { *value };
            if !(value as f32).is_finite() {
                return Err(fault(format!("'{name}' is {value}: expected a number that fits into 32 bits")));
            }
            if let Some((_, parameter)) = parameters.iter().find(|(n, _)| n == name) {
                parameter.set_value(value as f32);
            }
        }
        if node.kind == Kind::Oscillator && !node.numbers.iter().any(|(name, _)| *name == "frequency") {
            parameters[0].1.set_value((440.0 * factor) as f32);
        }
        self.built.push(Built {
            entry: (!composite && node.kind != Kind::FeedbackDelay).then_some(index),
            exit: index,
            parameters: parameters.clone(),
            sums: HashMap::new(),
        });
        if !composite {
            for (name, parameter) in &parameters {
                let Some(feed) = last(&mut feeds, name) else { continue };
                self.drive(at, name, parameter, feed.signal, &feed.connection)?;
            }
            if let Some(feed) = feeds.iter().find(|f| !node.kind.parameters().contains(&f.parameter.as_str()))
                && !matches!(feed.parameter.as_str(), "buffer" | "curve")
                && node.kind != Kind::FeedbackDelay
            {
                return Err(Fault::Connection {
                    connection: feed.connection.clone(),
                    problem: format!("the {} '{}' has no parameter '{}'", node.name, node.id, feed.parameter),
                });
            }
        }
        Ok(())
    }

    /// All sources join the first input of a merger with six inputs.
    fn merger(&mut self) -> usize {
        let merger = self.context.create_channel_merger(6);
        self.add(merger)
    }

    /// Waves that are faded into each other by the position of `mix`; silent without both.
    fn wavetable(&mut self, at: usize, feeds: Vec<Feed>) -> Result<usize, Fault> {
        let merger = self.merger();
        let (waves, others): (Vec<_>, Vec<_>) = feeds.into_iter().partition(|f| f.parameter == "buffer");
        let Some(mix) = others.into_iter().rev().find(|f| f.parameter == "mix") else { return Ok(merger) };
        let count = waves.len();
        for (number, wave) in waves.into_iter().enumerate() {
            let gain = self.context.create_gain();
            let parameter = gain.gain().clone();
            let gain = self.add(gain);
            let signal = mix.signal.clone().wave(number, count);
            self.drive(at, "", &parameter, signal, &mix.connection)?;
            let wave = self.playback(wave)?;
            self.join(wave, gain);
            self.join(gain, merger);
        }
        Ok(merger)
    }

    /// Partials with their envelopes; silent without both.
    fn additive(&mut self, at: usize, feeds: Vec<Feed>) -> Result<usize, Fault> {
        let merger = self.merger();
        let (partials, others): (Vec<_>, Vec<_>) = feeds.into_iter().partition(|f| f.parameter == "partialBuffer");
        let envelopes = others.into_iter().filter(|f| f.parameter == "partialGainEnvelope");
        for (number, (partial, envelope)) in partials.into_iter().zip(envelopes).enumerate() {
            let weight = self.context.create_gain();
            weight.gain().set_value(if number == 0 { 1.0 } else { envelope.weight as f32 });
            let weight = self.add(weight);
            let gain = self.context.create_gain();
            let parameter = gain.gain().clone();
            let gain = self.add(gain);
            self.drive(at, "", &parameter, envelope.signal, &envelope.connection)?;
            let partial = self.playback(partial)?;
            self.join(partial, gain);
            self.join(gain, weight);
            self.join(weight, merger);
        }
        Ok(merger)
    }

    /// Connects all nodes, in the older service's order, and the lazy curves.
    pub fn wires(&mut self, patch: &Patch, output: &AudioWorkletNode) -> Result<(), Fault> {
        // Two connections between the same places are one, with the later weight.
        let mut weights: Vec<(&Wire, usize, AudioParam, f64)> = Vec::new();
        let mut outs: Vec<Vec<Option<usize>>> = vec![Vec::new(); patch.nodes.len()];
        let mut places = HashMap::new();
        for wire in patch.wires.iter().filter(|w| !is_dropped(w.parameter.as_deref())) {
            if wire.target == Target::Output {
                if !outs[wire.source].contains(&None) {
                    outs[wire.source].push(None);
                }
                continue;
            }
            match places.entry((wire.source, wire.target, wire.parameter.as_deref())) {
                Entry::Occupied(place) => {
                    let place: &usize = place.get();
                    weights[*place].3 = wire.weight;
                }
                Entry::Vacant(place) => {
                    place.insert(weights.len());
                    let gain = self.context.create_gain();
                    let parameter = gain.gain().clone();
                    let node = self.add(gain);
                    outs[wire.source].push(Some(node));
                    weights.push((wire, node, parameter, wire.weight));
                }
            }
        }
        for (source, outs) in outs.iter().enumerate() {
            let exit = self.built[source].exit;
            for out in outs {
                match out {
                    None => drop(self.nodes[exit].connect(output)),
                    Some(weight) => self.join(exit, *weight),
                }
            }
        }
        self.curves();
        for (wire, node, gain, weight) in weights {
            gain.set_value(weight as f32);
            self.target(patch, wire, node)?;
        }
        Ok(())
    }

    /// Makes the nodes of the lazy curves.
    fn curves(&mut self) {
        for curve in std::mem::take(&mut self.pending) {
            let made = source::<Curve>(self.context, (curve.reader, curve.options));
            made.connect(&curve.parameter);
            self.add(made);
            if !curve.name.is_empty() {
                let sum = self.context.create_gain();
                sum.set_channel_count(1);
                sum.set_channel_count_mode(ChannelCountMode::Explicit);
                // As parameters do it: of several channels the first counts.
                sum.set_channel_interpretation(ChannelInterpretation::Discrete);
                sum.connect(&curve.parameter);
                let sum = self.add(sum);
                self.built[curve.node].sums.insert(curve.name, sum);
            }
        }
    }

    /// Connects the weight of a connection to where the connection ends.
    fn target(&self, patch: &Patch, wire: &Wire, weight: usize) -> Result<(), Fault> {
        let Target::Node(node) = wire.target else { return Ok(()) };
        let (built, node) = (&self.built[node], &patch.nodes[node]);
        let fault = |problem| Fault::Connection { connection: wire.connection.clone(), problem };
        match wire.parameter.as_deref() {
            None => built.entry.into_iter().for_each(|entry| self.join(weight, entry)),
            Some(name) => {
                let parameter = built.parameters.iter().find(|(n, _)| *n == name);
                let (name, parameter) = parameter
                    .ok_or_else(|| fault(format!("the {} '{}' has no audio parameter '{name}'", node.name, node.id)))?;
                match built.sums.get(name) {
                    Some(sum) => self.join(weight, *sum),
                    None => drop(self.nodes[weight].connect(parameter)),
                }
            }
        }
        Ok(())
    }

    /// The nodes, which must live as long as the render.
    ///
    /// # Errors
    /// If a thread for the lazy signals cannot be started.
    pub fn finish(self) -> Result<Vec<Boxed>, Fault> {
        self.workers.start(&self.course).map_err(|e| Fault::Graph(format!("cannot start a thread: {e}")))?;
        Ok(self.nodes)
    }
}

/// A source with one channel.
fn source<P: AudioWorkletProcessor + 'static>(
    context: &OfflineAudioContext,
    processor_options: P::ProcessorOptions,
) -> AudioWorkletNode {
    let node = AudioWorkletNode::new::<P>(
        context,
        AudioWorkletNodeOptions {
            number_of_inputs: 0,
            number_of_outputs: 1,
            output_channel_count: vec![1],
            parameter_data: HashMap::default(),
            processor_options,
            audio_node_options: AudioNodeOptions::default(),
        },
    );
    // Without this, a node that fails would be left out.
    node.set_onprocessorerror(Box::new(|error| std::panic::resume_unwind(Box::new(error.message))));
    node
}

/// Whether the older service removed connections to this parameter before it built the graph.
fn is_dropped(parameter: Option<&str>) -> bool {
    matches!(parameter, Some("partialBuffer" | "partialGainEnvelope"))
}

/// Takes the last signal for a parameter, which is the one that counts.
fn last(feeds: &mut Vec<Feed>, parameter: &str) -> Option<Feed> {
    let place = feeds.iter().rposition(|f| f.parameter == parameter)?;
    Some(feeds.remove(place))
}
