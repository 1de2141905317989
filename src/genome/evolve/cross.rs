//! Crossover and distance of two genomes (Stanley and Miikkulainen 2002, sections 3.2 and 3.3).
//!
//! Genes match by their markings: neurons and graph nodes by id, connections by where they begin and end. All that the
//! child is built of comes from the fitter parent, so a child is as valid as that one; what both have comes from
//! either.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::genes::{Cppn, GraphConnection, GraphNode, Role, Stock, Synapse};
use super::kinds::{SLOW, is_network_output, is_oscillator};
use super::paths::{repair, tame};
use super::random::Random;

/// The weight of differences of values beside that of genes which only one of two genomes has: Stanley's c3, with c1
/// and c2 = 1.
const VALUES: f64 = 0.4;
/// How many changed activations count as much as one missing gene.
const ACTIVATIONS: f64 = 0.3;

/// The network of `other` that stands for the same as `cppn`: that of the same frequency; one that is for all
/// frequencies stands for each.
fn partner<'o>(cppn: &Cppn, other: &'o Stock) -> Option<&'o Cppn> {
    let same = other.networks.iter().find(|n| n.key == cppn.key);
    same.or_else(|| other.networks.iter().find(|n| n.key.is_none() || cppn.key.is_none()))
}

fn ends(synapse: &Synapse) -> (&str, &str) {
    (&synapse.source, &synapse.target)
}

fn cross_networks(child: &mut Cppn, other: &Cppn, random: &mut Random) {
    let neurons: HashMap<&str, _> = other.neurons.iter().map(|n| (n.id.as_str(), n)).collect();
    for neuron in &mut child.neurons {
        if let Some(match_) = neurons.get(neuron.id.as_str()).filter(|n| n.role == neuron.role)
            && random.chance(0.5)
        {
            neuron.activation.clone_from(&match_.activation);
        }
    }
    let synapses: HashMap<_, f64> = other.synapses.iter().map(|s| (ends(s), s.weight)).collect();
    for synapse in &mut child.synapses {
        if let Some(weight) = synapses.get(&ends(synapse))
            && random.chance(0.5)
        {
            synapse.weight = *weight;
        }
    }
}

/// Whether a node's frequency is heard as a note.
fn is_tone(node: &GraphNode) -> bool {
    let frequency = node.params.get("frequency").and_then(Value::as_f64);
    is_oscillator(&node.name) || (is_network_output(&node.name) && frequency.is_none_or(|f| f >= SLOW))
}

/// Crosses two genomes: what both have comes from either with the same probability, everything else from the fitter
/// parent. All notes come from the same parent, because a mixture would be out of tune. The child renders if the fitter
/// parent does.
pub fn cross(fitter: &Stock, other: &Stock, random: &mut Random) -> Stock {
    let mut child = fitter.clone();
    for network in &mut child.networks {
        if let Some(other) = partner(network, other) {
            cross_networks(network, other, random);
        }
    }
    let nodes: HashMap<&str, &GraphNode> = other.nodes.iter().map(|n| (n.id.as_str(), n)).collect();
    let takes_notes = random.chance(0.5);
    for node in &mut child.nodes {
        let Some(match_) = nodes.get(node.id.as_str()).filter(|n| n.name == node.name) else { continue };
        let old = node.clone();
        if random.chance(0.5) {
            node.params = match_.params.clone();
        }
        if is_tone(&old) && is_tone(match_) {
            let from = if takes_notes { &match_.params } else { &old.params };
            for key in ["frequency", "noteOffset"] {
                match from.get(key) {
                    Some(value) => drop(node.params.insert(key.into(), value.clone())),
                    None => drop(node.params.remove(key)),
                }
            }
        }
    }
    for at in 0..child.connections.len() {
        let connection = &child.connections[at];
        let match_ = other.connection(&connection.source, &connection.target, connection.parameter.as_deref());
        let Some(match_) = match_.map(|m| &other.connections[m]) else { continue };
        if random.chance(0.5) {
            child.connections[at].weight = match_.weight;
            child.connections[at].range = match_.range;
        }
    }
    // The other parent's network may have more outputs than the child's.
    repair(&mut child);
    tame(&mut child);
    child
}

/// The distance of two sets of genes: of those that only one has, as a share of the larger set, and the mean difference
/// of those that both have.
fn apart<K: std::hash::Hash + Eq, V>(
    a: &HashMap<K, V>,
    b: &HashMap<K, V>,
    difference: impl Fn(&V, &V) -> f64,
) -> (f64, f64) {
    // In a fixed order of addition, whatever the order of the tables is.
    let mut differences: Vec<f64> = a.iter().filter_map(|(key, x)| Some(difference(x, b.get(key)?))).collect();
    differences.sort_by(f64::total_cmp);
    let both = differences.len();
    let alone = a.len() + b.len() - 2 * both;
    (alone as f64 / a.len().max(b.len()).max(1) as f64, differences.iter().sum::<f64>() / both.max(1) as f64)
}

fn network_distance(a: &Cppn, b: &Cppn) -> f64 {
    let weights = |c: &Cppn| -> HashMap<(String, String), f64> {
        c.synapses.iter().map(|s| ((s.source.clone(), s.target.clone()), s.weight)).collect()
    };
    let (alone, weight) = apart(&weights(a), &weights(b), |x, y| (x - y).abs());
    let activations = |c: &Cppn| -> HashMap<String, String> {
        let active = c.neurons.iter().filter(|n| matches!(n.role, Role::Output | Role::Hidden));
        active.map(|n| (n.id.clone(), n.activation.clone())).collect()
    };
    let (_, activation) = apart(&activations(a), &activations(b), |x, y| f64::from(u8::from(x != y)));
    alone + VALUES * weight + ACTIVATIONS * activation
}

/// How different two numbers are, from 0 to 1.
fn share(x: f64, y: f64) -> f64 {
    if x == y { 0.0 } else { (x - y).abs() / (x.abs() + y.abs()) }
}

/// How different the fields of two nodes are, from 0 to 1 on average.
fn fields_apart(a: &Map<String, Value>, b: &Map<String, Value>) -> f64 {
    let mut sum = 0.0;
    for (key, x) in a {
        sum += match (x.as_f64(), b.get(key).and_then(Value::as_f64)) {
            (Some(x), Some(y)) => share(x, y),
            _ => f64::from(u8::from(Some(x) != b.get(key))),
        };
    }
    sum += b.keys().filter(|key| !a.contains_key(*key)).count() as f64;
    sum / a.len().max(b.len()).max(1) as f64
}

/// Where a connection begins and ends.
type Ends = (String, String, Option<String>);

fn graph_distance(a: &Stock, b: &Stock) -> f64 {
    let nodes = |s: &Stock| -> HashMap<(String, String), Map<String, Value>> {
        s.nodes.iter().map(|n| ((n.id.clone(), n.name.clone()), n.params.clone())).collect()
    };
    let connections = |s: &Stock| -> HashMap<Ends, (f64, f64, f64)> {
        let ends = |c: &GraphConnection| (c.source.clone(), c.target.clone(), c.parameter.clone());
        let values = |c: &GraphConnection| (c.weight, c.range.map_or(0.0, |r| r.0), c.range.map_or(0.0, |r| r.1));
        s.connections.iter().map(|c| (ends(c), values(c))).collect()
    };
    let (nodes_alone, fields) = apart(&nodes(a), &nodes(b), |x, y| fields_apart(x, y).min(1.0));
    let (connections_alone, values) =
        apart(&connections(a), &connections(b), |x, y| (share(x.0, y.0) + share(x.1, y.1) + share(x.2, y.2)) / 3.0);
    f64::midpoint(nodes_alone, connections_alone) + VALUES * (fields + values)
}

/// NEAT's compatibility distance, which tells species apart: for the networks and for the audio graph, the genes that
/// only one has as a share of the larger genome, plus 0.4 times the mean difference of weights and values. 0 for equal
/// genomes, symmetric. Of 60 first genomes and 6 children of each, children are 0.05 to 0.5 from their parent (median
/// 0.2), siblings 0.2 to 0.75 apart, and first genomes 1 to 2.6.
pub fn distance(a: &Stock, b: &Stock) -> f64 {
    let one_way = |from: &Stock, to: &Stock| {
        let distance = |n: &Cppn| partner(n, to).map_or(1.0, |m| network_distance(n, m));
        from.networks.iter().map(distance).sum::<f64>() / from.networks.len().max(1) as f64
    };
    f64::midpoint(one_way(a, b), one_way(b, a)) + graph_distance(a, b)
}

#[cfg(test)]
mod tests {
    use super::super::mutate::{Rates, mutate};
    use super::super::write::Birth;
    use super::*;
    use crate::genome::read::Genome;

    fn line(seed: u64, steps: usize) -> Stock {
        let random = &mut Random::new(seed);
        let mut stock = Stock::minimal(random);
        (0..steps).for_each(|_| drop(mutate(&mut stock, random, &Rates::default())));
        stock
    }

    #[test]
    fn matching_genes_come_from_either_and_others_from_the_fitter() {
        let random = &mut Random::new(1);
        let ancestor = line(1, 5);
        let (mut a, mut b) = (ancestor.clone(), ancestor);
        for _ in 0..6 {
            mutate(&mut a, random, &Rates::default());
            mutate(&mut b, random, &Rates::default());
        }
        // All weights are different, so that it is seen where each comes from.
        a.networks[0].synapses.iter_mut().enumerate().for_each(|(n, s)| s.weight = n as f64);
        b.networks[0].synapses.iter_mut().enumerate().for_each(|(n, s)| s.weight = -1.0 - n as f64);
        let child = cross(&a, &b, random);
        let (mut from_a, mut from_b) = (0, 0);
        for (own, synapse) in a.networks[0].synapses.iter().zip(&child.networks[0].synapses) {
            assert_eq!(ends(own), ends(synapse));
            let other = b.networks[0].synapses.iter().find(|s| ends(s) == ends(own));
            let is_own = synapse.weight == own.weight;
            assert!(is_own || other.is_some_and(|o| o.weight == synapse.weight));
            if other.is_some() {
                *(if is_own { &mut from_a } else { &mut from_b }) += 1;
            }
        }
        assert!(from_a > 15 && from_b > 15, "{from_a} {from_b}");
        assert_eq!(child.nodes.len(), a.nodes.len());
    }

    #[test]
    fn children_of_any_two_genomes_are_valid() {
        let random = &mut Random::new(2);
        let stocks: Vec<Stock> = (0..12).map(|n| line(n, n as usize * 6)).collect();
        for a in &stocks {
            for b in &stocks {
                let child = cross(a, b, random);
                Genome::from_json(&child.to_json("a", &Birth::default())).unwrap();
                assert!(child.is_audible() && child.clone().repair() == 0);
            }
        }
    }

    #[test]
    fn networks_of_several_frequencies_cross_by_key_and_with_one_for_all() {
        let random = &mut Random::new(3);
        let with = |keys: &[&str], weight: f64| {
            let mut stock = line(1, 0);
            let mut cppn = stock.networks.remove(0);
            cppn.synapses.iter_mut().for_each(|s| s.weight = weight);
            let key = |k: &&str| (!k.is_empty()).then(|| (*k).to_string());
            stock.networks = keys.iter().map(|k| Cppn { key: key(k), ..cppn.clone() }).collect();
            stock
        };
        let has =
            |stock: &Stock, at: usize, weight: f64| stock.networks[at].synapses.iter().any(|s| s.weight == weight);
        let child = cross(&with(&["220", "440"], 1.0), &with(&["440"], 2.0), random);
        assert!(!has(&child, 0, 2.0) && has(&child, 1, 2.0) && has(&child, 1, 1.0));
        let child = cross(&with(&["220", "440"], 1.0), &with(&[""], 2.0), random);
        assert!(has(&child, 0, 2.0) && has(&child, 1, 2.0));
        Genome::from_json(&child.to_json("a", &Birth::default())).unwrap();
    }

    #[test]
    fn relatives_are_nearer_than_strangers() {
        let parent = line(5, 4);
        let mut far = f64::MAX;
        let mut near: f64 = 0.0;
        for seed in 0..12 {
            let mut child = parent.clone();
            mutate(&mut child, &mut Random::new(seed), &Rates::default());
            near = near.max(distance(&parent, &child));
            let stranger = line(100 + seed, 4);
            far = far.min(distance(&parent, &stranger));
            assert!((distance(&parent, &stranger) - distance(&stranger, &parent)).abs() < 1e-12);
        }
        assert_eq!(distance(&parent, &parent), 0.0);
        assert!(near > 0.02 && near < 0.75 && far > near, "{near} {far}");
    }
}
