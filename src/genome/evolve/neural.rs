//! Mutations of the networks (Stanley and Miikkulainen 2002, section 3.1; activations as in Stanley's CPPNs, 2007).

use std::collections::HashSet;

use super::genes::{Neuron, Role, Stock};
use super::random::Random;
use super::seed::{ACTIVATIONS, OUTPUT_ACTIVATIONS};

/// The most neurons and synapses that mutations make: far below what the format allows, because each neuron that is
/// heard costs time in every frame of a render.
pub(super) const MAX_NEURONS: usize = 200;
pub(super) const MAX_SYNAPSES: usize = 800;
/// Weights stay within this. With 8, a neuron already turns one period of its input into more than two of a sine.
const MAX_WEIGHT: f64 = 8.0;
/// Standard deviation of new weights.
const WIDTH: f64 = 1.5;
/// How often two ends of a synapse are drawn.
const TRIES: usize = 40;

/// The network to change, and those of its neurons that have an effect on the graph, or all if none has. Mutations of
/// other neurons would be silent, and more than half of the outputs are usually not connected.
fn focus(stock: &Stock, random: &mut Random) -> Option<(usize, Vec<usize>)> {
    let at = random.below(stock.networks.len());
    let cppn = stock.networks.get(at)?;
    let outputs: Vec<&Neuron> = cppn.neurons.iter().filter(|n| n.role == Role::Output).collect();
    let used = (0..stock.nodes.len()).filter_map(|n| stock.output_of(n)).filter_map(|o| outputs.get(o));
    let heard = cppn.before(used.map(|n| n.id.clone()));
    let all = || (0..cppn.neurons.len()).filter(|n| !cppn.is_fixed(*n));
    let mut neurons: Vec<usize> = all().filter(|n| heard.contains(&cppn.neurons[*n].id)).collect();
    if neurons.is_empty() {
        neurons = all().collect();
    }
    Some((at, neurons))
}

/// Changes all weights of one network: each is replaced with probability `replaced`, otherwise perturbed. `power` is
/// the standard deviation of the change of a weight of 1; larger weights change more, as they matter by their ratio.
pub(super) fn weights(stock: &mut Stock, random: &mut Random, replaced: f64, power: f64) -> bool {
    let at = random.below(stock.networks.len());
    let Some(cppn) = stock.networks.get_mut(at) else { return false };
    for synapse in &mut cppn.synapses {
        let old = synapse.weight;
        let new = if random.chance(replaced) {
            random.normal() * WIDTH
        } else {
            old + random.normal() * power * f64::midpoint(1.0, old.abs())
        };
        let most = MAX_WEIGHT.max(old.abs());
        synapse.weight = new.clamp(-most, most);
    }
    !cppn.synapses.is_empty()
}

/// Connects two neurons that are not connected, without a cycle: edges back contribute nothing in this format.
pub(super) fn add_synapse(stock: &mut Stock, random: &mut Random) -> bool {
    let Some((at, targets)) = focus(stock, random) else { return false };
    let cppn = &mut stock.networks[at];
    if cppn.synapses.len() >= MAX_SYNAPSES {
        return false;
    }
    for _ in 0..TRIES {
        let Some(target) = random.pick(&targets).map(|t| cppn.neurons[*t].id.clone()) else { return false };
        let source = cppn.neurons[random.below(cppn.neurons.len())].id.clone();
        let is_free = !cppn.has(&source, &target);
        if is_free && !cppn.before(std::iter::once(source.clone())).contains(&target) {
            return cppn.connect(&source, &target, random.normal() * WIDTH);
        }
    }
    false
}

/// Splits a synapse with a new neuron: the weight into it is 1, the weight out of it is the old one. The old synapse is
/// removed, as the format knows none that are switched off.
pub(super) fn add_neuron(stock: &mut Stock, random: &mut Random) -> bool {
    let Some((at, targets)) = focus(stock, random) else { return false };
    let cppn = &mut stock.networks[at];
    if cppn.neurons.len() >= MAX_NEURONS || cppn.synapses.len() >= MAX_SYNAPSES {
        return false;
    }
    let targets: HashSet<&str> = targets.iter().map(|t| cppn.neurons[*t].id.as_str()).collect();
    let candidates: Vec<usize> =
        (0..cppn.synapses.len()).filter(|s| targets.contains(cppn.synapses[*s].target.as_str())).collect();
    let Some(old) = random.pick(&candidates) else { return false };
    let activation = *random.pick(&ACTIVATIONS).unwrap_or(&"Sine");
    cppn.split(*old, activation);
    true
}

/// Gives a neuron another activation.
pub(super) fn activation(stock: &mut Stock, random: &mut Random) -> bool {
    let Some((at, neurons)) = focus(stock, random) else { return false };
    let cppn = &mut stock.networks[at];
    let Some(neuron) = random.pick(&neurons) else { return false };
    let neuron = &mut cppn.neurons[*neuron];
    let all: &[&str] = if neuron.role == Role::Output { &OUTPUT_ACTIVATIONS } else { &ACTIVATIONS };
    let others: Vec<&str> = all.iter().copied().filter(|a| *a != neuron.activation).collect();
    let Some(new) = random.pick(&others) else { return false };
    neuron.activation = (*new).to_string();
    true
}

#[cfg(test)]
mod tests {
    use super::super::genes::Cppn;
    use super::*;

    #[test]
    fn the_same_split_has_the_same_marking_in_two_lines_and_a_second_one_another() {
        let mut lines: Vec<Stock> = [1, 2].map(|seed| Stock::minimal(&mut Random::new(seed))).into();
        let mut ids = Vec::new();
        for (line, first) in lines.iter_mut().zip([4, 9]) {
            let cppn = &mut line.networks[0];
            // The second line has another mutation before.
            if first == 9 {
                cppn.split(9, "cos");
            }
            let at = |c: &Cppn| c.synapses.iter().position(|s| s.source == "1" && s.target == "5").unwrap();
            let old = cppn.synapses[at(cppn)].weight;
            let id = cppn.split(at(cppn), "Sine");
            assert!(!cppn.has("1", "5"));
            let weight =
                |a: &str, b: &str| cppn.synapses.iter().find(|s| s.source == a && s.target == b).unwrap().weight;
            assert_eq!((weight("1", &id), weight(&id, "5")), (1.0, old));
            let synapses: Vec<String> =
                cppn.synapses.iter().filter(|s| s.source == id || s.target == id).map(|s| s.id.clone()).collect();
            cppn.connect("1", "5", 2.0);
            let again = cppn.split(at(cppn), "Sine");
            ids.push((id, synapses, again));
        }
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0].0, ids[0].2);
    }

    #[test]
    fn synapses_are_never_double_and_lead_neither_back_nor_into_inputs() {
        let random = &mut Random::new(5);
        let mut stock = Stock::minimal(random);
        for _ in 0..80 {
            add_neuron(&mut stock, random);
            add_synapse(&mut stock, random);
        }
        let cppn = &stock.networks[0];
        let pairs: HashSet<(&str, &str)> =
            cppn.synapses.iter().map(|s| (s.source.as_str(), s.target.as_str())).collect();
        assert_eq!(pairs.len(), cppn.synapses.len());
        assert!(cppn.synapses.len() > 190 && cppn.neurons.len() == 101, "{}", cppn.synapses.len());
        for synapse in &cppn.synapses {
            assert!(!["0", "1", "2"].contains(&synapse.target.as_str()));
            assert!(!cppn.before(std::iter::once(synapse.source.clone())).contains(&synapse.target));
        }
    }

    #[test]
    fn perturbed_weights_stay_near_and_replaced_ones_do_not() {
        let random = &mut Random::new(9);
        let old = Stock::minimal(random);
        let away = |replaced: f64, power: f64, random: &mut Random| {
            let mut new = old.clone();
            assert!(weights(&mut new, random, replaced, power));
            let pairs = old.networks[0].synapses.iter().zip(&new.networks[0].synapses);
            pairs.map(|(a, b)| (a.weight - b.weight).abs()).sum::<f64>() / 54.0
        };
        assert!((0.005..0.02).contains(&away(0.0, 0.01, random)));
        assert!(away(1.0, 0.01, random) > 0.5);
    }
}
