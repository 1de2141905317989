//! Pattern-producing networks, compiled to flat programs.
//!
//! A network has no memory: a sample depends only on its place in the sound. The order of evaluation does not depend on
//! values either, so a depth-first walk over all outputs, done once, gives a program that evaluates any block of any
//! output on any thread. An edge back to a neuron that the walk has not finished contributes 0, as in the older service.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::fault::Fault;
use super::trig;

/// The most neurons and connections that a network may have.
pub const MAX_NEURONS: usize = 4096;
pub const MAX_SYNAPSES: usize = 32_768;
/// Evaluated at once: one render quantum of the audio graph and the sample after it.
const BLOCK: usize = 129;

/// An activation function; `x` is the weighted sum of a neuron's inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    BipolarSigmoid,
    PlainSigmoid,
    Gaussian,
    Linear,
    Null,
    Sine,
    Sine2,
    Cosine,
    Arctangent,
    Step,
    Spike,
    Triangle,
    Sawtooth,
}

impl Activation {
    /// Names in genome files.
    pub const NAMES: [(&'static str, Activation); 14] = [
        ("BipolarSigmoid", Self::BipolarSigmoid),
        ("PlainSigmoid", Self::PlainSigmoid),
        ("Gaussian", Self::Gaussian),
        ("Linear", Self::Linear),
        ("NullFn", Self::Null),
        ("Sine", Self::Sine),
        ("Sine2", Self::Sine2),
        ("cos", Self::Cosine),
        ("arctan", Self::Arctangent),
        ("StepFunction", Self::Step),
        ("spike", Self::Spike),
        ("triangle", Self::Triangle),
        ("sawtooth", Self::Sawtooth),
        // The older mutation wrote this name for a sine.
        ("undefined", Self::Sine),
    ];

    fn apply(self, x: f64) -> f64 {
        use std::f64::consts::PI;
        match self {
            Self::BipolarSigmoid => 2.0 / (1.0 + libm::exp(-4.9 * x)) - 1.0,
            Self::PlainSigmoid => 1.0 / (1.0 + libm::exp(-x)),
            Self::Gaussian => 2.0 * libm::exp(-((x * 2.5) * (x * 2.5))) - 1.0,
            Self::Linear => x.abs(),
            Self::Null => 0.0,
            Self::Sine => trig::sin(x),
            Self::Sine2 => trig::sin(2.0 * x),
            Self::Cosine => trig::cos(x),
            Self::Arctangent => libm::atan(x),
            Self::Step => {
                if x <= 0.0 {
                    -1.0
                } else {
                    1.0
                }
            }
            Self::Spike => {
                let floor = x.floor();
                if floor % 2.0 == 0.0 { 1.0 - 2.0 * (x - floor) } else { -1.0 + 2.0 * (x - floor) }
            }
            Self::Triangle => 2.0 / PI * libm::asin(trig::sin(x)),
            Self::Sawtooth => {
                let turns = x / (2.0 * PI);
                2.0 * (turns - (0.5 + turns).floor())
            }
        }
    }
}

/// Slots or neurons, with the weight of each.
type Sources = Vec<(usize, f64)>;

/// One neuron of a program: its activation and its weighted sources, which are earlier slots.
#[derive(Debug)]
struct Step {
    activation: Activation,
    sources: Sources,
}

/// A compiled network. Slots 0 to `inputs` hold bias and inputs, the others the neurons in order of evaluation.
#[derive(Debug)]
pub struct Network {
    fixed: usize,
    biases: usize,
    steps: Vec<Step>,
    /// The slot of each output.
    outputs: Vec<usize>,
}

/// The steps that one output needs.
#[derive(Debug)]
pub struct Program {
    network: Arc<Network>,
    steps: Vec<usize>,
    output: usize,
}

fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

impl Network {
    /// Reads and compiles a network from its JSON.
    pub fn read(json: &Value) -> Result<Self, Fault> {
        let list = |key: &str| {
            json.get(key).and_then(Value::as_array).ok_or_else(|| Fault::Network(format!("'{key}' is not a list")))
        };
        let (nodes, connections) = (list("nodes")?, list("connections")?);
        for (what, found, limit) in
            [("number of neurons", nodes.len(), MAX_NEURONS), ("number of synapses", connections.len(), MAX_SYNAPSES)]
        {
            if found > limit {
                return Err(Fault::TooLarge { what, found, limit });
            }
        }
        let mut index = HashMap::new();
        let mut kinds = Vec::new();
        let mut activations = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let id = text(node, "gid").ok_or_else(|| Fault::Network(format!("neuron {at} has no 'gid'")))?;
            let kind = text(node, "nodeType").unwrap_or_default();
            let name = text(node, "activationFunction").unwrap_or_else(|| "undefined".into());
            let activation = Activation::NAMES.iter().find(|(n, _)| *n == name).map(|(_, a)| *a);
            let activation = match (activation, kind.as_str()) {
                (_, "Bias" | "Input") => Activation::Null,
                (Some(activation), "Output" | "Hidden") => activation,
                (None, "Output" | "Hidden") => {
                    let known: Vec<_> = Activation::NAMES.iter().map(|(n, _)| *n).collect();
                    let known = known.join(", ");
                    return Err(Fault::Network(format!(
                        "neuron '{id}' has the activation '{name}': expected one of {known}"
                    )));
                }
                _ => {
                    return Err(Fault::Network(format!(
                        "neuron '{id}' has the type '{kind}': expected Bias, Input, Output or Hidden"
                    )));
                }
            };
            if index.insert(id.clone(), at).is_some() {
                return Err(Fault::Network(format!("two neurons have the gid '{id}'")));
            }
            kinds.push(kind);
            activations.push(activation);
        }
        let biases = kinds.iter().take_while(|k| *k == "Bias").count();
        let inputs = kinds[biases..].iter().take_while(|k| *k == "Input").count();
        let fixed = biases + inputs;
        if inputs != 2 {
            return Err(Fault::Network(format!("it has {inputs} inputs after its bias: expected 2")));
        }
        if kinds[fixed..].iter().any(|k| k == "Bias" || k == "Input") {
            return Err(Fault::Network("a bias or input stands behind other neurons: expected them first".into()));
        }
        let outputs = kinds.iter().filter(|k| *k == "Output").count();

        // The last weight of a pair of neurons counts for each of its connections.
        let mut weights = HashMap::new();
        let mut order = Vec::new();
        for connection in connections {
            let end = |key: &str| {
                let id = text(connection, key).ok_or_else(|| {
                    Fault::Network(format!("synapse '{}' has no '{key}'", text(connection, "gid").unwrap_or_default()))
                })?;
                index.get(&id).copied().ok_or_else(|| {
                    let gid = text(connection, "gid").unwrap_or_default();
                    Fault::Network(format!("synapse '{gid}' refers to the neuron '{id}', which does not exist"))
                })
            };
            let (source, target) = (end("sourceID")?, end("targetID")?);
            let weight = connection.get("weight").and_then(Value::as_f64).filter(|w| w.is_finite());
            let weight = weight.ok_or_else(|| {
                let gid = text(connection, "gid").unwrap_or_default();
                Fault::Network(format!("synapse '{gid}' has no finite 'weight'"))
            })?;
            weights.insert((source, target), weight);
            order.push((source, target));
        }
        let mut incoming: Vec<Sources> = vec![Vec::new(); nodes.len()];
        for pair in order {
            if pair.1 >= fixed {
                incoming[pair.1].push((pair.0, weights[&pair]));
            }
        }
        let compiled = compile(fixed, outputs, &incoming, &activations);
        Ok(Self { fixed, biases, steps: compiled.0, outputs: compiled.1 })
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// The program for one output, or `None` if there is no such output.
    pub fn program(self: &Arc<Self>, output: usize) -> Option<Program> {
        let slot = *self.outputs.get(output)?;
        let mut needed = vec![false; self.fixed + self.steps.len()];
        needed[slot] = true;
        for at in (0..self.steps.len()).rev() {
            if needed[self.fixed + at] {
                self.steps[at].sources.iter().for_each(|(source, _)| needed[*source] = true);
            }
        }
        let steps = (0..self.steps.len()).filter(|at| needed[self.fixed + at]).collect();
        Some(Program { network: self.clone(), steps, output: slot })
    }
}

/// Walks the network depth first without recursion; returns the steps and the slot of each output.
fn compile(fixed: usize, outputs: usize, incoming: &[Sources], activations: &[Activation]) -> (Vec<Step>, Vec<usize>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Unseen,
        Open,
        Slot(usize),
    }
    let mut marks = vec![Mark::Unseen; incoming.len()];
    (0..fixed).for_each(|n| marks[n] = Mark::Slot(n));
    let mut steps: Vec<Step> = Vec::new();
    for root in fixed..fixed + outputs {
        // A neuron under way, its next source, and the sources that it has so far.
        let mut stack: Vec<(usize, usize, Sources)> = Vec::new();
        if marks[root] == Mark::Unseen {
            marks[root] = Mark::Open;
            stack.push((root, 0, Vec::new()));
        }
        while let Some((neuron, next, sources)) = stack.last_mut() {
            let Some((source, weight)) = incoming[*neuron].get(*next).copied() else {
                let (neuron, _, sources) = stack.pop().unwrap_or_default();
                marks[neuron] = Mark::Slot(fixed + steps.len());
                steps.push(Step { activation: activations[neuron], sources });
                continue;
            };
            match marks[source] {
                Mark::Slot(slot) => {
                    sources.push((slot, weight));
                    *next += 1;
                }
                Mark::Open => *next += 1,
                Mark::Unseen => {
                    marks[source] = Mark::Open;
                    stack.push((source, 0, Vec::new()));
                }
            }
        }
    }
    let slot = |neuron: usize| match marks[neuron] {
        Mark::Slot(slot) => slot,
        _ => 0,
    };
    (steps, (fixed..fixed + outputs).map(slot).collect())
}

/// Where a sound is evaluated: what the two inputs of the network get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Periods over the whole sound: frequency times duration.
    pub periods: f64,
    /// Frames of the whole sound.
    pub frames: usize,
    /// 0 to 1, scales the periodic input.
    pub velocity: f64,
}

/// Memory for [`Program::evaluate`], reused from block to block.
#[derive(Default)]
pub struct Scratch(Vec<f64>);

impl Program {
    /// Writes the output's samples from frame `start` on. They depend only on `place` and their own frame.
    pub fn evaluate(&self, place: Place, start: usize, out: &mut [f32], scratch: &mut Scratch) {
        let network = &*self.network;
        scratch.0.resize((network.fixed + network.steps.len()) * BLOCK, 0.0);
        let slots = &mut scratch.0;
        let mut from = start;
        for block in out.chunks_mut(BLOCK) {
            let count = block.len();
            for bias in 0..network.biases {
                slots[bias * BLOCK..bias * BLOCK + count].fill(1.0);
            }
            for at in 0..count {
                let main = -1.0 + ((from + at) as f64 / (place.frames as f64 - 1.0)) * 2.0;
                let periodic = trig::sin(place.periods * main);
                slots[network.biases * BLOCK + at] = periodic * place.velocity;
                slots[(network.biases + 1) * BLOCK + at] = main;
            }
            for step in &self.steps {
                let (done, rest) = slots.split_at_mut((network.fixed + step) * BLOCK);
                let (step, sum) = (&network.steps[*step], &mut rest[..count]);
                sum.fill(0.0);
                for (source, weight) in &step.sources {
                    let source = &done[source * BLOCK..source * BLOCK + count];
                    sum.iter_mut().zip(source).for_each(|(sum, x)| *sum += x * weight);
                }
                sum.iter_mut().for_each(|x| *x = step.activation.apply(*x));
            }
            let result = &slots[self.output * BLOCK..self.output * BLOCK + count];
            block.iter_mut().zip(result).for_each(|(out, x)| *out = *x as f32);
            from += count;
        }
    }

    /// How much work a sample is: neurons and connections.
    pub fn cost(&self) -> usize {
        self.steps.iter().map(|s| 8 + self.network.steps[*s].sources.len()).sum()
    }
}
