//! Mutations of the numbers and forms of the audio graph.

use serde_json::Value;

use super::genes::{OUT, Stock};
use super::kinds::{FILTERS, MAX_DETUNE, Span, WAVEFORMS, is_network_output, is_oscillator, number, parameters};
use super::random::Random;

/// Semitones by which notes move: the consonant intervals, octaves, and small steps.
const INTERVALS: [f64; 12] = [-12.0, -7.0, -5.0, -4.0, -3.0, -2.0, 2.0, 3.0, 4.0, 5.0, 7.0, 12.0];
/// The most Hz by which a modulation changes a frequency.
const MAX_DEPTH: f64 = 4000.0;
/// The highest partial.
const MAX_PARTIAL: f64 = 12.0;

/// A number of the graph that can be heard.
enum Knob {
    Number(usize, String),
    Weight(usize),
    Range(usize, Span),
}

/// The span of what a network output drives with a range.
fn driven_span(stock: &Stock, connection: usize) -> Option<Span> {
    let connection = &stock.connections[connection];
    connection.range?;
    let parameter = connection.parameter.as_deref()?;
    let linear = |low, high| Some(Span { low, high, by_ratio: false });
    match parameter {
        "mix" | "curve" => linear(-1.0, 1.0),
        "partialGainEnvelope" => linear(0.0, 1.0),
        // A range of a wave that is not symmetric adds an offset.
        "buffer" | "partialBuffer" => None,
        _ => parameters(stock.name(&connection.target)).iter().find(|(n, _)| *n == parameter).map(|(_, span)| *span),
    }
}

/// Whether a number of a node has an effect.
fn is_used(stock: &Stock, node: usize, key: &str) -> bool {
    let node = &stock.nodes[node];
    let is_note = node.name.starts_with("Note")
        && node.params.get("noteOffset").and_then(Value::as_f64).is_some_and(|offset| offset != 0.0);
    match key {
        "frequency" if is_note => false,
        "noteOffset" => node.name.starts_with("Note"),
        "partialNumber" => node.name == "PartialNetworkOutputNode",
        _ => number(&node.name, key).is_some() && !stock.is_driven(&node.id, key),
    }
}

fn knobs(stock: &Stock) -> Vec<Knob> {
    let mut knobs = Vec::new();
    for (at, node) in stock.nodes.iter().enumerate() {
        let numbers = node.params.iter().filter(|(_, value)| value.is_number()).map(|(key, _)| key);
        knobs.extend(numbers.filter(|key| is_used(stock, at, key)).map(|key| Knob::Number(at, key.clone())));
    }
    for (at, connection) in stock.connections.iter().enumerate() {
        if is_network_output(stock.name(&connection.source)) {
            knobs.extend(driven_span(stock, at).map(|span| Knob::Range(at, span)));
        }
        let is_envelope = connection.parameter.as_deref() == Some("partialGainEnvelope");
        if connection.target != OUT && (is_envelope || !is_network_output(stock.name(&connection.source))) {
            knobs.push(Knob::Weight(at));
        }
    }
    knobs
}

/// Changes one to three numbers; `power` is the standard deviation of the change as a share of the span.
pub(super) fn numbers(stock: &mut Stock, random: &mut Random, power: f64) -> bool {
    let knobs = knobs(stock);
    let count = 1 + random.below(3);
    let mut is_changed = false;
    for _ in 0..count {
        match random.pick(&knobs) {
            Some(Knob::Number(node, key)) => is_changed |= change_number(stock, random, *node, key, power),
            Some(Knob::Weight(at)) => is_changed |= change_weight(stock, random, *at, power),
            Some(Knob::Range(at, span)) => is_changed |= change_range(stock, random, *at, *span, power),
            None => {}
        }
    }
    is_changed
}

/// A number moved within its span.
fn moved(random: &mut Random, old: f64, span: Span, power: f64) -> f64 {
    let step = random.normal() * power;
    let new = if span.by_ratio && old > 0.0 {
        old * libm::exp(step * libm::log(span.high / span.low))
    } else {
        old + step * (span.high - span.low)
    };
    span.clamp(new, old)
}

fn change_number(stock: &mut Stock, random: &mut Random, node: usize, key: &str, power: f64) -> bool {
    let Some(old) = stock.nodes[node].params.get(key).and_then(Value::as_f64) else { return false };
    let name = stock.nodes[node].name.clone();
    let interval = *random.pick(&INTERVALS).unwrap_or(&12.0);
    let span = number(&name, key).unwrap_or(Span { low: 1.0, high: MAX_PARTIAL, by_ratio: false });
    let is_tone = key == "frequency" && (is_oscillator(&name) || is_wave(stock, node));
    let new = match key {
        "partialNumber" => span.clamp(old + if random.chance(0.5) { 1.0 } else { -1.0 }, old).round(),
        "noteOffset" => span.clamp(old + interval, old),
        _ if is_tone && random.chance(0.8) => span.clamp(old * libm::exp2(interval / 12.0), old),
        // Slightly out of tune: it beats.
        _ if is_tone => span.clamp(old * libm::exp2(random.normal() * 0.1 / 12.0), old),
        _ => moved(random, old, span, power),
    };
    // 0 would mean the default.
    let new = if new == 0.0 { 1e-3 } else { new };
    if new == old {
        return false;
    }
    // Waves that have the same frequency are one voice and usually stay so.
    let is_together = is_tone && is_network_output(&name) && random.chance(0.8);
    let voice: Vec<usize> = (0..stock.nodes.len())
        .filter(|n| {
            let same = stock.nodes[*n].params.get(key).and_then(Value::as_f64) == Some(old);
            *n == node || (is_together && same && is_wave(stock, *n))
        })
        .collect();
    for at in voice {
        let new = if key == "partialNumber" { Value::from(new as u64) } else { Value::from(new) };
        stock.nodes[at].params.insert(key.into(), new);
    }
    true
}

/// Whether a node is an output of the network that is heard as a wave.
fn is_wave(stock: &Stock, node: usize) -> bool {
    let node = &stock.nodes[node];
    let is_buffer = |parameter: Option<&str>| matches!(parameter, Some("buffer" | "partialBuffer"));
    is_network_output(&node.name)
        && stock.connections.iter().any(|c| c.source == node.id && is_buffer(c.parameter.as_deref()))
}

fn change_weight(stock: &mut Stock, random: &mut Random, at: usize, power: f64) -> bool {
    let connection = &mut stock.connections[at];
    let old = connection.weight;
    let is_sound = connection.parameter.as_deref().is_none_or(|p| p == "partialGainEnvelope" || p == "gain");
    let new = if is_sound {
        let most = old.abs().max(1.5);
        (old + random.normal() * power * 1.5).clamp(-most, most)
    } else {
        // How much it modulates, in the unit of the parameter.
        let limit = if connection.parameter.as_deref() == Some("detune") { MAX_DETUNE } else { MAX_DEPTH };
        let most = old.abs().max(limit);
        (old * libm::exp(random.normal() * power * 4.0)).clamp(-most, most)
    };
    connection.weight = new;
    new != old
}

fn change_range(stock: &mut Stock, random: &mut Random, at: usize, span: Span, power: f64) -> bool {
    let Some((low, high)) = stock.connections[at].range else { return false };
    let range = (moved(random, low, span, power), moved(random, high, span, power));
    stock.connections[at].range = Some(range);
    range != (low, high)
}

/// Gives a filter another type, an oscillator another waveform, or a node another output of the network.
pub(super) fn form(stock: &mut Stock, random: &mut Random) -> bool {
    let is_open = |at: usize| {
        let name = stock.nodes[at].name.as_str();
        name == "FilterNode" || is_oscillator(name) || stock.output_of(at).is_some()
    };
    let candidates: Vec<usize> = (0..stock.nodes.len()).filter(|at| is_open(*at)).collect();
    let Some(at) = random.pick(&candidates).copied() else { return false };
    let old = stock.nodes[at].params.get("type").and_then(Value::as_str).unwrap_or_default().to_string();
    let new = match stock.nodes[at].name.as_str() {
        "FilterNode" => (*random.pick(&FILTERS).unwrap_or(&"lowpass")).to_string(),
        name if is_oscillator(name) => (*random.pick(&WAVEFORMS).unwrap_or(&"sine")).to_string(),
        _ => random.below(stock.outputs()).to_string(),
    };
    if new == old {
        return false;
    }
    stock.nodes[at].params.insert("type".into(), new.into());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All numbers with a span, of a genome that is mutated for long, stay inside.
    #[test]
    fn numbers_stay_in_their_spans() {
        for seed in 0..8 {
            let random = &mut Random::new(seed);
            let mut stock = Stock::minimal(random);
            let mut count = 0;
            for _ in 0..400 {
                count += usize::from(numbers(&mut stock, random, 0.15));
                form(&mut stock, random);
            }
            assert!(count > 380, "{count}");
            for node in &stock.nodes {
                for (key, value) in node.params.iter().filter(|(k, v)| v.is_number() && *k != "partialNumber") {
                    let (value, span) = (value.as_f64().unwrap(), number(&node.name, key).unwrap());
                    assert!(span.low - 0.1 <= value && value <= span.high + 0.1, "{} {key} {value}", node.name);
                }
            }
        }
    }

    #[test]
    fn waves_of_one_voice_usually_move_together() {
        let random = &mut Random::new(0);
        let additive = (0..100).map(|_| Stock::minimal(random)).find(|s| s.nodes[0].name == "AdditiveNode").unwrap();
        let node = additive.nodes.iter().position(|n| n.name == "PartialNetworkOutputNode").unwrap();
        let mut together = 0;
        for _ in 0..100 {
            let mut stock = additive.clone();
            change_number(&mut stock, random, node, "frequency", 0.1);
            let partials = stock.nodes.iter().filter(|n| n.name == "PartialNetworkOutputNode");
            let frequencies: Vec<f64> = partials.map(|n| n.params["frequency"].as_f64().unwrap()).collect();
            together += usize::from(frequencies.iter().all(|f| *f == frequencies[0]));
        }
        assert!((70..95).contains(&together), "{together}");
    }
}
