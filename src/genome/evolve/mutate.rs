//! Chooses mutations and applies them.

use std::fmt;

use super::genes::Stock;
use super::paths::{repair, tame};
use super::random::Random;
use super::{neural, values, wiring};

/// A mutation that was made; displayed as a short text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// Weights of a network.
    Weights,
    /// A neuron that splits a synapse.
    Neuron,
    Synapse,
    Activation,
    /// Numbers of the audio graph.
    Parameter,
    /// A filter's type, a waveform, or which output of the network is used.
    Form,
    /// An effect.
    GraphNode,
    Oscillator,
    /// A wave or partial of the network.
    Wave,
    /// An audio parameter that a network output drives from now on.
    Drive,
    /// A connection of sound with an audio parameter.
    GraphConnection,
    RemovedConnection,
    RemovedNode,
}

impl Change {
    /// All changes.
    pub const ALL: [Change; 13] = [
        Self::Weights,
        Self::Neuron,
        Self::Synapse,
        Self::Activation,
        Self::Parameter,
        Self::Form,
        Self::GraphNode,
        Self::Oscillator,
        Self::Wave,
        Self::Drive,
        Self::GraphConnection,
        Self::RemovedConnection,
        Self::RemovedNode,
    ];

    /// The text of the ancestry.
    pub fn text(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Neuron => "neuron",
            Self::Synapse => "synapse",
            Self::Activation => "activation",
            Self::Parameter => "parameter",
            Self::Form => "form",
            Self::GraphNode => "graph node",
            Self::Oscillator => "oscillator",
            Self::Wave => "wave",
            Self::Drive => "driven parameter",
            Self::GraphConnection => "graph connection",
            Self::RemovedConnection => "removed connection",
            Self::RemovedNode => "removed node",
        }
    }

    /// Makes this change; whether it was possible. If not, the genome is as before.
    fn apply(self, stock: &mut Stock, random: &mut Random, rates: &Rates) -> bool {
        match self {
            Self::Weights => neural::weights(stock, random, rates.weights_replaced, rates.weight_power),
            Self::Neuron => neural::add_neuron(stock, random),
            Self::Synapse => neural::add_synapse(stock, random),
            Self::Activation => neural::activation(stock, random),
            Self::Parameter => values::numbers(stock, random, rates.parameter_power),
            Self::Form => values::form(stock, random),
            Self::GraphNode => wiring::insert_node(stock, random),
            Self::Oscillator => wiring::add_oscillator(stock, random),
            Self::Wave => wiring::add_wave(stock, random),
            Self::Drive => wiring::drive(stock, random),
            Self::GraphConnection => wiring::modulate(stock, random),
            Self::RemovedConnection => wiring::remove_connection(stock, random),
            Self::RemovedNode => wiring::remove_node(stock, random),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How probable mutations are, each from 0 to 1 and independent of the others, and how far they go.
///
/// The rates of weights are those of Stanley and Miikkulainen (2002, section 4.1). Their rates of structure (0.03 for a
/// neuron, 0.05 for a synapse) are for populations of 150 over hundreds of generations; where somebody listens to every
/// genome there are perhaps ten generations, so they are higher here, and most children have a change of structure.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// All weights of a network change.
    pub weights: f64,
    /// Of these, the share that is drawn anew instead of perturbed.
    pub weights_replaced: f64,
    /// Standard deviation of the perturbation of a weight of 1. Small: one period of a sine is 6.3.
    pub weight_power: f64,
    /// A synapse is added.
    pub synapse: f64,
    /// A neuron is added.
    pub neuron: f64,
    /// A neuron gets another activation.
    pub activation: f64,
    /// One to three numbers of the graph change.
    pub parameter: f64,
    /// Standard deviation of that change, as a share of the number's span.
    pub parameter_power: f64,
    /// A form changes: filter type, waveform, output of the network.
    pub form: f64,
    /// An effect is inserted.
    pub graph_node: f64,
    /// An oscillator is added.
    pub oscillator: f64,
    /// A wave of the network is added.
    pub wave: f64,
    /// One more parameter is driven by the network.
    pub drive: f64,
    /// Sound is connected to a parameter.
    pub graph_connection: f64,
    /// A connection is removed.
    pub removed_connection: f64,
    /// A node is removed.
    pub removed_node: f64,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            weights: 0.8,
            weights_replaced: 0.1,
            weight_power: 0.3,
            synapse: 0.15,
            neuron: 0.12,
            activation: 0.12,
            parameter: 0.5,
            parameter_power: 0.12,
            form: 0.1,
            graph_node: 0.12,
            oscillator: 0.04,
            wave: 0.06,
            drive: 0.1,
            graph_connection: 0.05,
            // Graphs shall grow, but slowly: by a node in three generations.
            removed_connection: 0.08,
            removed_node: 0.08,
        }
    }
}

impl Rates {
    /// The probability of a change.
    fn of(&self, change: Change) -> f64 {
        match change {
            Change::Weights => self.weights,
            Change::Neuron => self.neuron,
            Change::Synapse => self.synapse,
            Change::Activation => self.activation,
            Change::Parameter => self.parameter,
            Change::Form => self.form,
            Change::GraphNode => self.graph_node,
            Change::Oscillator => self.oscillator,
            Change::Wave => self.wave,
            Change::Drive => self.drive,
            Change::GraphConnection => self.graph_connection,
            Change::RemovedConnection => self.removed_connection,
            Change::RemovedNode => self.removed_node,
        }
    }
}

/// Mutates a genome; returns what was changed, at least one change unless the genome has no network, nothing that
/// sounds and no room. What would make a render fail is removed before, and filters are kept stable. The graph gets no
/// new cycle, what can be heard stays audible, and limits (200 neurons, 800 synapses, 60 nodes, 150 connections) are
/// kept: beyond them nothing is added.
pub fn mutate(stock: &mut Stock, random: &mut Random, rates: &Rates) -> Vec<Change> {
    repair(stock);
    let mut changes = Vec::new();
    for change in Change::ALL {
        if random.chance(rates.of(change)) && change.apply(stock, random, rates) {
            changes.push(change);
        }
    }
    // None was drawn, or none was possible: then one is made, in proportion to the rates if that works.
    let mut left = Change::ALL.to_vec();
    while changes.is_empty() && !left.is_empty() {
        let sum: f64 = left.iter().map(|c| rates.of(*c)).sum();
        let mut rest = random.unit() * sum;
        let at = left.iter().position(|c| {
            rest -= rates.of(*c);
            rest < 0.0
        });
        let change = left.remove(at.unwrap_or(0));
        if change.apply(stock, random, rates) {
            changes.push(change);
        }
    }
    tame(stock);
    changes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::write::Birth;
    use super::*;
    use crate::genome::read::Genome;

    #[test]
    fn three_hundred_mutations_in_a_row_give_genomes_that_are_read_and_heard() {
        let mut made = BTreeSet::new();
        for seed in 0..6 {
            let random = &mut Random::new(seed);
            let mut stock = Stock::minimal(random);
            for step in 0..300 {
                let changes = mutate(&mut stock, random, &Rates::default());
                assert!(!changes.is_empty());
                made.extend(changes);
                let json = stock.to_json("a", &Birth::default());
                Genome::from_json(&json).unwrap_or_else(|e| panic!("seed {seed} step {step}: {e}"));
                assert!(stock.is_audible() && stock.clone().repair() == 0, "seed {seed} step {step}");
                assert!(stock.networks[0].neurons.len() <= neural::MAX_NEURONS);
                assert!(stock.networks[0].synapses.len() <= neural::MAX_SYNAPSES);
                assert!(stock.nodes.len() <= wiring::MAX_NODES && stock.connections.len() <= wiring::MAX_CONNECTIONS);
            }
        }
        assert_eq!(made.len(), Change::ALL.len(), "{made:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_genome_byte_for_byte() {
        let run = |seed| {
            let random = &mut Random::new(seed);
            let mut stock = Stock::minimal(random);
            (0..100).for_each(|_| drop(mutate(&mut stock, random, &Rates::default())));
            stock.to_json("a", &Birth::default()).to_string()
        };
        assert_eq!(run(11), run(11));
        assert_ne!(run(11), run(12));
    }

    #[test]
    fn something_changes_even_if_no_rate_allows_it_or_the_limits_are_reached() {
        let none = Rates {
            weights: 0.0,
            synapse: 0.0,
            neuron: 0.0,
            activation: 0.0,
            parameter: 0.0,
            form: 0.0,
            graph_node: 0.0,
            oscillator: 0.0,
            wave: 0.0,
            drive: 0.0,
            graph_connection: 0.0,
            removed_connection: 0.0,
            removed_node: 0.0,
            ..Rates::default()
        };
        let random = &mut Random::new(1);
        let mut stock = Stock::minimal(random);
        assert_eq!(mutate(&mut stock, random, &none), [Change::Weights]);
        let growth = Rates { neuron: 1.0, synapse: 1.0, weights: 0.0, parameter: 0.0, ..none };
        (0..700).for_each(|_| drop(mutate(&mut stock, random, &growth)));
        let cppn = &stock.networks[0];
        assert!(cppn.neurons.len() == neural::MAX_NEURONS && cppn.synapses.len() <= neural::MAX_SYNAPSES);
        assert!(!mutate(&mut stock, random, &growth).is_empty());
        assert_eq!(mutate(&mut Stock::default(), random, &growth), []);
    }

    #[test]
    fn genomes_of_the_older_service_can_be_mutated_and_those_that_fail_are_repaired() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/genomes");
        for id in ["01KSFIX012", "01KSFIX019", "01KSFIX039", "01KSFIX042", "01KSFIX043"] {
            let file = std::fs::File::open(folder.join(format!("{id}.json.gz"))).unwrap();
            let json = serde_json::from_reader(flate2::read::GzDecoder::new(file)).unwrap();
            let mut stock = Stock::from_json(&json).unwrap();
            let random = &mut Random::new(3);
            for _ in 0..40 {
                assert!(!mutate(&mut stock, random, &Rates::default()).is_empty());
                assert_eq!(stock.clone().repair(), 0);
                Genome::from_json(&stock.to_json("a", &Birth::default())).unwrap();
            }
        }
    }
}
