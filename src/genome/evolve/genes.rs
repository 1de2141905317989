//! The genes of a genome that can be changed: those of its networks and of its audio graph.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::kinds::is_network_output;
use super::marking::mark;

/// The id of the place in the graph where sound leaves it. It is no node of [`Stock::nodes`].
pub const OUT: &str = "0";

/// What a neuron is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Bias,
    Input,
    Output,
    Hidden,
}

/// A neuron of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Neuron {
    /// Of bias, inputs and outputs their place in the network, from 0 on; of hidden neurons their marking.
    pub id: String,
    /// One of the names of the format, such as `Sine`; of no effect in bias and inputs.
    pub activation: String,
    pub role: Role,
}

/// A connection of two neurons. Its marking for a crossover is the pair of its ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Synapse {
    pub id: String,
    /// Id of a neuron.
    pub source: String,
    /// Id of a neuron.
    pub target: String,
    pub weight: f64,
}

/// A compositional pattern-producing network (Stanley 2007).
#[derive(Clone, Debug, PartialEq)]
pub struct Cppn {
    /// The frequency in Hz that it is for, as in the file; `None` if it is for all.
    pub key: Option<String>,
    /// Bias, inputs, outputs, hidden neurons, in this order.
    pub neurons: Vec<Neuron>,
    /// In the order in which a neuron sums them.
    pub synapses: Vec<Synapse>,
}

/// A node of the audio graph, or a network output that feeds one.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphNode {
    pub id: String,
    /// The kind, such as `GainNode`.
    pub name: String,
    /// All fields of the file but id and name.
    pub params: Map<String, Value>,
}

/// A connection of the audio graph. Its marking for a crossover is where it begins and ends.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphConnection {
    pub id: String,
    /// Id of a node.
    pub source: String,
    /// Id of a node, or [`OUT`].
    pub target: String,
    /// What it drives; `None` means the sound input.
    pub parameter: Option<String>,
    /// Onto what -1 to 1 is mapped; only of effect if the source is a network output.
    pub range: Option<(f64, f64)>,
    /// The factor of the sound; of no effect towards [`OUT`].
    pub weight: f64,
    /// Kept as found; of no effect in the format.
    pub enabled: bool,
    /// All other fields of the file.
    pub rest: Map<String, Value>,
}

/// An editable genome.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Stock {
    /// One without a key, or several with their keys; never empty after reading.
    pub networks: Vec<Cppn>,
    /// In the order of the file, without the output.
    pub nodes: Vec<GraphNode>,
    /// In the order of the file.
    pub connections: Vec<GraphConnection>,
}

impl Stock {
    /// The node with an id.
    pub fn node(&self, id: &str) -> Option<&GraphNode> {
        self.nodes.iter().find(|n| n.id == id)
    }

    /// Where a connection with these ends is.
    pub fn connection(&self, source: &str, target: &str, parameter: Option<&str>) -> Option<usize> {
        let same =
            |c: &GraphConnection| c.source == source && c.target == target && c.parameter.as_deref() == parameter;
        self.connections.iter().position(same)
    }

    /// The marking of a new connection.
    pub(super) fn connection_mark(&self, source: &str, target: &str, parameter: Option<&str>) -> String {
        mark('c', &[source, target, parameter.unwrap_or_default()], |m| self.connections.iter().any(|c| c.id == m))
    }

    /// Adds a node whose marking follows from `origin` and its kind; returns its id.
    pub fn add_node(&mut self, name: &str, origin: &[&str], params: Map<String, Value>) -> String {
        let parts: Vec<&str> = std::iter::once(name).chain(origin.iter().copied()).collect();
        let id = mark('g', &parts, |m| self.node(m).is_some());
        self.nodes.push(GraphNode { id: id.clone(), name: name.into(), params });
        id
    }

    /// Adds a connection, unless there is one between the same places; returns whether it was added.
    pub fn connect(
        &mut self,
        source: &str,
        target: &str,
        parameter: Option<&str>,
        range: Option<(f64, f64)>,
        weight: f64,
    ) -> bool {
        if self.connection(source, target, parameter).is_some() {
            return false;
        }
        let id = self.connection_mark(source, target, parameter);
        let (source, target, parameter) = (source.into(), target.into(), parameter.map(str::to_string));
        let rest = Map::new();
        self.connections.push(GraphConnection { id, source, target, parameter, range, weight, enabled: true, rest });
        true
    }

    /// The kind of a node, empty for what is none.
    pub(super) fn name(&self, id: &str) -> &str {
        self.node(id).map_or("", |n| &n.name)
    }

    /// Whether a network output drives a parameter of a node.
    pub(super) fn is_driven(&self, node: &str, parameter: &str) -> bool {
        self.connections.iter().any(|c| {
            c.target == node && c.parameter.as_deref() == Some(parameter) && is_network_output(self.name(&c.source))
        })
    }

    /// Whether sound is connected to a parameter of a node.
    pub(super) fn is_modulated(&self, node: &str, parameter: &str) -> bool {
        self.connections.iter().any(|c| {
            c.target == node && c.parameter.as_deref() == Some(parameter) && !is_network_output(self.name(&c.source))
        })
    }

    /// The number of the network's output that a node stands for.
    pub(super) fn output_of(&self, node: usize) -> Option<usize> {
        let node = &self.nodes[node];
        let kind = node.params.get("type").filter(|_| is_network_output(&node.name))?;
        kind.as_str().map_or_else(|| kind.to_string().parse().ok(), |text| text.parse().ok())
    }

    /// Whether a node yields noise.
    pub(super) fn is_noise(node: &GraphNode) -> bool {
        let form = node.params.get("type").and_then(Value::as_str);
        is_network_output(&node.name) && form.is_some_and(|form| form.starts_with("noise"))
    }

    /// The number of outputs that every network has.
    pub(super) fn outputs(&self) -> usize {
        self.networks.iter().map(Cppn::outputs).min().unwrap_or(0)
    }
}

impl Cppn {
    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.neurons.iter().filter(|n| n.role == Role::Output).count()
    }

    /// Whether two neurons are connected in this direction.
    pub fn has(&self, source: &str, target: &str) -> bool {
        self.synapses.iter().any(|s| s.source == source && s.target == target)
    }

    pub(super) fn synapse_mark(&self, source: &str, target: &str) -> String {
        mark('s', &[source, target], |m| self.synapses.iter().any(|s| s.id == m))
    }

    /// Adds a synapse, unless there is one between the same neurons; returns whether it was added.
    pub fn connect(&mut self, source: &str, target: &str, weight: f64) -> bool {
        if self.has(source, target) {
            return false;
        }
        let id = self.synapse_mark(source, target);
        self.synapses.push(Synapse { id, source: source.into(), target: target.into(), weight });
        true
    }

    pub(super) fn is_fixed(&self, neuron: usize) -> bool {
        matches!(self.neurons[neuron].role, Role::Bias | Role::Input)
    }

    /// The neurons that some neurons depend on, and those themselves.
    pub(super) fn before(&self, neurons: impl Iterator<Item = String>) -> HashSet<String> {
        let mut open: Vec<String> = neurons.collect();
        let mut found: HashSet<String> = open.iter().cloned().collect();
        while let Some(id) = open.pop() {
            for synapse in self.synapses.iter().filter(|s| s.target == id) {
                if found.insert(synapse.source.clone()) {
                    open.push(synapse.source.clone());
                }
            }
        }
        found
    }

    /// Splits a synapse; returns the id of the new neuron, which is the same in every network for the same ends.
    pub(super) fn split(&mut self, synapse: usize, activation: &str) -> String {
        let (source, target) = (self.synapses[synapse].source.clone(), self.synapses[synapse].target.clone());
        // Of several between two neurons, the last weight counts for each.
        let is_same = |s: &Synapse| s.source == source && s.target == target;
        let weight = self.synapses.iter().filter(|s| is_same(s)).fold((0.0, 0.0), |(sum, _), s| (sum + 1.0, s.weight));
        self.synapses.retain(|s| !is_same(s));
        let id = mark('n', &[&source, &target], |m| self.neurons.iter().any(|n| n.id == m));
        self.neurons.push(Neuron { id: id.clone(), activation: activation.into(), role: Role::Hidden });
        self.connect(&source, &id, 1.0);
        self.connect(&id, &target, weight.0 * weight.1);
        id
    }
}
