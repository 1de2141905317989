//! First genomes: as NEAT does it, evolution begins with networks without hidden neurons, and with small audio graphs.
//!
//! The nodes of the graphs are marked by their task ("level", "wave 2"), so that genomes match where they do the same.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::genes::{Cppn, Neuron, OUT, Role, Stock};
use super::kinds::MAX_DETUNE;
use super::random::Random;
use super::{paths, write};
use crate::genome::network::{Network, Place, Scratch};

/// Activations of outputs: those that stay within ±2. Linear ones, which do not, made sounds of ten times full scale.
pub(super) const OUTPUT_ACTIVATIONS: [&str; 11] = [
    "BipolarSigmoid",
    "PlainSigmoid",
    "Gaussian",
    "Sine",
    "Sine2",
    "cos",
    "arctan",
    "StepFunction",
    "spike",
    "triangle",
    "sawtooth",
];
/// Outputs of a network, as in the older service.
const OUTPUTS: usize = 18;
/// Activations that evolution chooses from: all of the format but the one that is always 0. Periodic ones and the
/// others are about even, as overtones come from the former and envelopes from the latter.
pub(super) const ACTIVATIONS: [&str; 12] = [
    "BipolarSigmoid",
    "PlainSigmoid",
    "Gaussian",
    "Linear",
    "Sine",
    "Sine2",
    "cos",
    "arctan",
    "StepFunction",
    "spike",
    "triangle",
    "sawtooth",
];
/// A network's periodic input at the frequency f is sin(2 f t) up to its phase: it repeats f / π times per second.
/// Times π, notes of the network are in tune with oscillators.
const IN_TUNE: f64 = std::f64::consts::PI;
/// How often a network is drawn until it has outputs that are good for waves and for envelopes.
const TRIES: usize = 24;
/// Semitones of the pentatonic scale on A: notes that two genomes play together sound acceptable.
const SCALE: [f64; 5] = [0.0, 3.0, 5.0, 7.0, 10.0];

/// The frequency of a note in Hz, from 55 to 784: three to four octaves above A1.
pub(super) fn note(random: &mut Random) -> f64 {
    let semitones = SCALE[random.below(SCALE.len())] + 12.0 * random.below(4) as f64;
    55.0 * libm::exp2(semitones / 12.0)
}

/// The fields of a node as a map.
pub(super) fn fields(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

/// The frequency of a network output that moves slowly: 0.3 to 8 periods per second.
pub(super) fn slow(random: &mut Random) -> f64 {
    IN_TUNE * random.ratio_between(0.3, 8.0)
}

/// The frequency of a network output that is heard as a note.
pub(super) fn tone(random: &mut Random) -> f64 {
    IN_TUNE * note(random)
}

/// A network without hidden neurons: each output has a random activation and is connected to the bias and to both
/// inputs, with normally distributed weights. The standard deviation is 1 towards the bias, 1.5 towards the position
/// in the sound and 2.5 towards the periodic input: larger weights there make overtones.
pub(super) fn network(random: &mut Random) -> Cppn {
    let mut cppn = Cppn { key: None, neurons: Vec::new(), synapses: Vec::new() };
    for at in 0..3 + OUTPUTS {
        let (role, activation) = match at {
            0 => (Role::Bias, "NullFn"),
            1 | 2 => (Role::Input, "NullFn"),
            _ => (Role::Output, *random.pick(&OUTPUT_ACTIVATIONS).unwrap_or(&"Sine")),
        };
        cppn.neurons.push(Neuron { id: at.to_string(), activation: activation.into(), role });
    }
    for output in 3..3 + OUTPUTS {
        for (input, width) in [("0", 1.0), ("1", 2.5), ("2", 1.5)] {
            cppn.connect(input, &output.to_string(), random.normal() * width);
        }
    }
    cppn
}

/// How an output moves.
struct Motion {
    output: usize,
    /// Standard deviation.
    width: f64,
    /// Mean.
    mean: f64,
}

/// How the outputs of a network move at a frequency, over `seconds` with `frames` frames, of which the first 2048 from
/// `start` on are looked at. Empty if the network cannot be compiled.
fn motions(cppn: &Cppn, frequency: f64, seconds: f64, frames: usize, start: usize) -> Vec<Motion> {
    let Ok(compiled) = Network::read(&write::network(cppn)) else { return Vec::new() };
    let network = Arc::new(compiled);
    let place = Place { periods: frequency * seconds, frames, velocity: 1.0 };
    let mut scratch = Scratch::default();
    let mut samples = vec![0.0; 2048.min(frames - start)];
    let mut motions = Vec::new();
    for output in 0..network.outputs() {
        let Some(program) = network.program(output) else { continue };
        program.evaluate(place, start, &mut samples, &mut scratch);
        let count = samples.len() as f64;
        let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / count;
        let width =
            (samples.iter().map(|s| (f64::from(*s) - mean) * (f64::from(*s) - mean)).sum::<f64>() / count).sqrt();
        motions.push(Motion { output, width, mean });
    }
    motions
}

/// A network with outputs that are good for waves and outputs that are good for envelopes.
struct Material {
    cppn: Cppn,
    waves: Vec<usize>,
    envelopes: Vec<usize>,
}

impl Material {
    fn draw(random: &mut Random) -> Self {
        let mut best = Self { cppn: network(random), waves: Vec::new(), envelopes: Vec::new() };
        for _ in 0..TRIES {
            let cppn = network(random);
            // A second within a sound of two, at 220 Hz; and the whole course of such a sound.
            let waves = motions(&cppn, IN_TUNE * 220.0, 2.0, 96_000, 36_000);
            let waves = waves.iter().filter(|m| m.width > 0.25 && m.width < 1.5 && m.mean.abs() < 0.2);
            let waves: Vec<usize> = waves.map(|m| m.output).collect();
            let envelopes = motions(&cppn, IN_TUNE, 2.0, 512, 0);
            let envelopes = envelopes.iter().filter(|m| m.width > 0.2 && m.width < 1.0 && m.mean.abs() < 0.6);
            let envelopes: Vec<usize> = envelopes.map(|m| m.output).collect();
            let worth = |a: &[usize], b: &[usize]| a.len().min(5) + b.len().min(5);
            if worth(&waves, &envelopes) > worth(&best.waves, &best.envelopes) {
                best = Self { cppn, waves, envelopes };
            }
            if best.waves.len() >= 5 && best.envelopes.len() >= 5 {
                break;
            }
        }
        best
    }
}

/// Draws a graph around a network.
struct Sketch<'r> {
    stock: Stock,
    waves: Vec<usize>,
    envelopes: Vec<usize>,
    random: &'r mut Random,
}

impl Sketch<'_> {
    fn output(&mut self, name: &str, task: &str, frequency: f64, is_wave: bool, partial: usize) -> String {
        let list = if is_wave { &self.waves } else { &self.envelopes };
        let output = self.random.pick(list).copied().unwrap_or_else(|| self.random.below(OUTPUTS));
        let mut params = fields(json!({"type": output.to_string(), "frequency": frequency}));
        if partial > 0 {
            params.insert("partialNumber".into(), partial.into());
        }
        self.stock.add_node(name, &[task], params)
    }

    /// Drives a parameter by an output that moves slowly.
    fn envelope(&mut self, task: &str, target: &str, parameter: &str, range: (f64, f64)) {
        let frequency = slow(self.random);
        let source = self.output("NetworkOutputNode", task, frequency, false, 0);
        self.stock.connect(&source, target, Some(parameter), Some(range), 1.0);
    }

    fn node(&mut self, name: &str, task: &str, params: Value) -> String {
        self.stock.add_node(name, &[task], fields(params))
    }

    /// The last node before the output, with an envelope up to `peak`.
    fn level(&mut self, source: &str, peak: f64) {
        let level = self.node("GainNode", "level", json!({"gain": peak}));
        self.stock.connect(source, &level, None, Some((0.0, 1.0)), 1.0);
        self.stock.connect(&level, OUT, None, Some((0.0, 1.0)), 1.0);
        self.envelope("level", &level, "gain", (0.02, peak));
    }

    /// One wave of the network.
    fn wave(&mut self) {
        let source = self.node("AudioBufferSourceNode", "source", json!({}));
        let frequency = tone(self.random);
        let wave = self.output("NetworkOutputNode", "wave 1", frequency, true, 0);
        self.stock.connect(&wave, &source, Some("buffer"), Some((-1.0, 1.0)), 1.0);
        self.level(&source, 0.7);
    }

    /// Two or three waves that are faded into each other.
    fn wavetable(&mut self) {
        let source = self.node("WavetableNode", "source", json!({}));
        let frequency = tone(self.random);
        for number in 1..=2 + self.random.below(2) {
            let wave = self.output("NetworkOutputNode", &format!("wave {number}"), frequency, true, 0);
            self.stock.connect(&wave, &source, Some("buffer"), Some((-1.0, 1.0)), 1.0);
        }
        self.envelope("mix", &source, "mix", (-1.0, 1.0));
        self.level(&source, 0.7);
    }

    /// Three to five partials with envelopes.
    fn additive(&mut self) {
        let source = self.node("AdditiveNode", "source", json!({}));
        let frequency = tone(self.random);
        let slow = slow(self.random);
        for number in 1..=3 + self.random.below(3) {
            let task = format!("partial {number}");
            let wave = self.output("PartialNetworkOutputNode", &task, frequency, true, number);
            self.stock.connect(&wave, &source, Some("partialBuffer"), Some((-1.0, 1.0)), 1.0);
            let envelope = self.output("PartialEnvelopeNetworkOutputNode", &task, slow, false, number);
            let loudness = 1.0 / number as f64;
            self.stock.connect(&envelope, &source, Some("partialGainEnvelope"), Some((0.0, 1.0)), loudness);
        }
        self.level(&source, 0.6);
    }

    /// An oscillator whose frequency another one modulates, with a filter that moves.
    fn modulated(&mut self) {
        let frequency = note(self.random);
        let form = *self.random.pick(&["sine", "sine", "sawtooth", "triangle", "square"]).unwrap_or(&"sine");
        let carrier = self.node("OscillatorNode", "source", json!({"type": form, "frequency": frequency, "detune": 0}));
        let ratio = *self.random.pick(&[0.5, 1.0, 1.5, 2.0, 3.0, 3.5]).unwrap_or(&1.0);
        let modulator =
            self.node("OscillatorNode", "modulator", json!({"type": "sine", "frequency": frequency * ratio}));
        let depth = self.node("GainNode", "depth", json!({"gain": 1}));
        self.stock.connect(&modulator, &depth, None, Some((0.0, 1.0)), 1.0);
        // Only a sine bears frequencies below 0 Hz.
        let (parameter, most) = if form == "sine" {
            ("frequency", frequency * self.random.between(0.5, 4.0))
        } else {
            ("detune", self.random.between(100.0, MAX_DETUNE))
        };
        self.stock.connect(&depth, &carrier, Some(parameter), Some((0.0, 1.0)), most);
        self.envelope("depth", &depth, "gain", (0.02, 1.0));
        let filter = self.node("FilterNode", "filter", json!({"type": "lowpass", "frequency": 2000}));
        self.stock.connect(&carrier, &filter, None, Some((0.0, 1.0)), 1.0);
        let low = self.random.ratio_between(150.0, 800.0);
        let high = low * self.random.between(3.0, 10.0);
        self.envelope("filter", &filter, "frequency", (low, high));
        self.level(&filter, 0.7);
    }
}

/// A first genome.
pub(super) fn minimal(random: &mut Random) -> Stock {
    let material = Material::draw(random);
    let stock = Stock { networks: vec![material.cppn], ..Stock::default() };
    let mut sketch = Sketch { stock, waves: material.waves, envelopes: material.envelopes, random };
    match sketch.random.below(4) {
        0 => sketch.wave(),
        1 => sketch.wavetable(),
        2 => sketch.additive(),
        _ => sketch.modulated(),
    }
    paths::tame(&mut sketch.stock);
    sketch.stock
}

#[cfg(test)]
mod tests {
    use super::super::write::Birth;
    use super::*;
    use crate::genome::read::Genome;

    #[test]
    fn first_genomes_are_read_can_be_heard_and_follow_from_the_seed() {
        let mut sources = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let stock = Stock::minimal(&mut Random::new(seed));
            let json = stock.to_json("a", &Birth::default());
            Genome::from_json(&json).unwrap();
            assert!(stock.is_audible(), "{seed}");
            assert_eq!(stock.clone().repair(), 0);
            assert_eq!((stock.networks[0].neurons.len(), stock.networks[0].synapses.len()), (21, 54));
            assert_eq!(
                json.to_string(),
                Stock::minimal(&mut Random::new(seed)).to_json("a", &Birth::default()).to_string()
            );
            sources.insert(stock.nodes[0].name.clone());
        }
        assert_eq!(sources.len(), 4);
    }
}
