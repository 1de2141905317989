//! Mutations of the structure of the audio graph. They never make a cycle, and never end in silence.

use serde_json::{Map, Value, json};

use super::genes::{GraphNode, OUT, Stock};
use super::kinds::{MAX_DETUNE, SLOW, Span, WAVEFORMS, is_oscillator, is_sound_source, parameters, takes_sound};
use super::paths::{heard, is_audio, prune, reaches, repair};
use super::random::Random;
use super::seed::{fields, note, slow, tone};

/// The most nodes and connections that mutations make: a graph of that size renders many times faster than real time.
pub(super) const MAX_NODES: usize = 60;
pub(super) const MAX_CONNECTIONS: usize = 150;
/// The most nodes of kinds that cost more than others.
const MAX_DELAYS: usize = 6;
const MAX_SHAPERS: usize = 3;
const MAX_CONVOLVERS: usize = 1;
/// The most partials of an additive node and waves of a wavetable.
const MAX_PARTIALS: usize = 8;

fn count(stock: &Stock, name: &str) -> usize {
    stock.nodes.iter().filter(|n| n.name == name).count()
}

/// Whether so many nodes and two connections for each may be added.
fn has_room(stock: &Stock, nodes: usize) -> bool {
    stock.nodes.len() + nodes <= MAX_NODES && stock.connections.len() + 2 * nodes.max(1) <= MAX_CONNECTIONS
}

/// One of the items, with probabilities in proportion to their weights.
fn choose<'t, T>(random: &mut Random, items: &'t [(T, f64)]) -> Option<&'t T> {
    let mut rest = random.unit() * items.iter().map(|(_, weight)| weight).sum::<f64>();
    for (item, weight) in items {
        if rest < *weight {
            return Some(item);
        }
        rest -= weight;
    }
    None
}

/// A node for an output of the network, for a place that it will drive.
fn output(stock: &mut Stock, random: &mut Random, name: &str, place: (&str, &str), frequency: f64) -> String {
    let output = random.below(stock.outputs()).to_string();
    stock.add_node(name, &[place.0, place.1], fields(json!({"type": output, "frequency": frequency})))
}

/// Drives a parameter by an output of the network that moves slowly: an existing one or, if there is room, a new one.
fn drive_by_any(stock: &mut Stock, random: &mut Random, target: &str, parameter: &str, range: (f64, f64)) -> bool {
    let is_slow = |node: &GraphNode| {
        let frequency = node.params.get("frequency").and_then(Value::as_f64);
        node.name == "NetworkOutputNode" && frequency.is_some_and(|f| f < SLOW) && !Stock::is_noise(node)
    };
    let known: Vec<String> = stock.nodes.iter().filter(|n| is_slow(n)).map(|n| n.id.clone()).collect();
    let source = match random.pick(&known) {
        Some(known) if random.chance(0.4) || !has_room(stock, 1) => known.clone(),
        _ if has_room(stock, 1) => {
            let frequency = slow(random);
            output(stock, random, "NetworkOutputNode", (target, parameter), frequency)
        }
        _ => return false,
    };
    stock.connect(&source, target, Some(parameter), Some(range), 1.0)
}

/// Two places of a span, the lower one first.
fn range_within(random: &mut Random, span: Span) -> (f64, f64) {
    let mut draw = || {
        if span.by_ratio { random.ratio_between(span.low, span.high) } else { random.between(span.low, span.high) }
    };
    let (a, b) = (draw(), draw());
    (a.min(b), a.max(b))
}

/// Inserts an effect into a connection that is heard. A delay leaves the direct way beside it open.
pub(super) fn insert_node(stock: &mut Stock, random: &mut Random) -> bool {
    if !has_room(stock, 2) || stock.outputs() == 0 {
        return false;
    }
    let heard = heard(stock);
    let candidates: Vec<usize> = (0..stock.connections.len())
        .filter(|c| heard.contains(&stock.connections[*c].source) && is_audio(stock, &stock.connections[*c]))
        .collect();
    let Some(at) = random.pick(&candidates).copied() else { return false };
    let allowed = |name: &str, most: usize, weight: f64| if count(stock, name) < most { weight } else { 0.0 };
    // A convolver costs as much as all others together and blurs everything, so it is rare.
    let kinds = [
        ("FilterNode", 5.0),
        ("GainNode", 3.0),
        ("DelayNode", allowed("DelayNode", MAX_DELAYS, 3.0)),
        ("WaveShaperNode", allowed("WaveShaperNode", MAX_SHAPERS, 2.0)),
        ("CompressorNode", 1.0),
        ("ConvolverNode", allowed("ConvolverNode", MAX_CONVOLVERS, 0.2)),
    ];
    let name = *choose(random, &kinds).unwrap_or(&"GainNode");
    let params = match name {
        "FilterNode" => {
            let form = *random.pick(&["lowpass", "bandpass", "highpass", "peaking", "notch"]).unwrap_or(&"lowpass");
            json!({"type": form, "frequency": random.ratio_between(200.0, 5000.0), "Q": random.ratio_between(0.6, 8.0),
                   "gain": random.between(3.0, 12.0)})
        }
        "GainNode" => json!({"gain": random.between(0.5, 1.0)}),
        "DelayNode" => json!({"delayTime": random.ratio_between(0.003, 0.6)}),
        "CompressorNode" => json!({"threshold": random.between(-40.0, -12.0), "knee": random.between(2.0, 30.0),
            "ratio": random.ratio_between(2.0, 12.0), "attack": random.ratio_between(0.002, 0.05),
            "release": random.ratio_between(0.05, 0.4)}),
        _ => json!({}),
    };
    let old = stock.connections[at].clone();
    let parameter = old.parameter.as_deref();
    let node = stock.add_node(name, &[&old.source, &old.target, parameter.unwrap_or_default()], fields(params));
    // Towards the output a weight has no effect, so far.
    let weight = if old.target == OUT { 1.0 } else { old.weight };
    if name != "DelayNode" {
        stock.connections.remove(at);
    }
    stock.connect(&old.source, &node, None, old.range, weight);
    stock.connect(&node, &old.target, parameter, old.range, 1.0);
    match name {
        "GainNode" => drop(drive_by_any(stock, random, &node, "gain", (0.05, 1.0))),
        "FilterNode" if random.chance(0.6) => {
            let low = random.ratio_between(120.0, 1500.0);
            let high = low * random.between(2.0, 4.0);
            drive_by_any(stock, random, &node, "frequency", (low, high));
        }
        "WaveShaperNode" | "ConvolverNode" => {
            let parameter = if name == "WaveShaperNode" { "curve" } else { "buffer" };
            let frequency = slow(random);
            let source = output(stock, random, "NetworkOutputNode", (&node, parameter), frequency);
            stock.connect(&source, &node, Some(parameter), Some((-1.0, 1.0)), 1.0);
        }
        _ => {}
    }
    true
}

/// Where a new source is connected to: a node that takes sound and is heard, or the output.
fn place(stock: &Stock, random: &mut Random) -> String {
    let heard = heard(stock);
    let mut places: Vec<&str> = vec![OUT];
    places.extend(stock.nodes.iter().filter(|n| takes_sound(&n.name) && heard.contains(&n.id)).map(|n| n.id.as_str()));
    (*random.pick(&places).unwrap_or(&OUT)).to_string()
}

/// Connects a new source through a gain of its own.
fn mix_in(stock: &mut Stock, random: &mut Random, source: &str, target: &str) {
    let gain = random.between(0.2, 0.5);
    let level = stock.add_node("GainNode", &[source, target], fields(json!({"gain": gain})));
    stock.connect(source, &level, None, Some((0.0, 1.0)), 1.0);
    stock.connect(&level, target, None, Some((0.0, 1.0)), 1.0);
    if random.chance(0.7) {
        drive_by_any(stock, random, &level, "gain", (0.02, gain));
    }
}

/// Adds an oscillator.
pub(super) fn add_oscillator(stock: &mut Stock, random: &mut Random) -> bool {
    if !has_room(stock, 3) || stock.outputs() == 0 {
        return false;
    }
    let target = place(stock, random);
    let form = *random.pick(&WAVEFORMS).unwrap_or(&"sine");
    let params = fields(json!({"type": form, "frequency": note(random), "detune": random.between(-8.0, 8.0)}));
    let source = stock.add_node("OscillatorNode", &[&target], params);
    mix_in(stock, random, &source, &target);
    true
}

/// Adds a wave of the network: to a wavetable, as a partial of an additive node, or as a source of its own.
pub(super) fn add_wave(stock: &mut Stock, random: &mut Random) -> bool {
    if !has_room(stock, 4) || stock.outputs() == 0 {
        return false;
    }
    let composites: Vec<(String, String)> = stock
        .nodes
        .iter()
        .filter(|n| matches!(n.name.as_str(), "WavetableNode" | "AdditiveNode"))
        .map(|n| (n.id.clone(), n.name.clone()))
        .collect();
    if let Some((id, name)) = random.pick(&composites)
        && random.chance(0.6)
    {
        return extend(stock, random, id, name);
    }
    let target = place(stock, random);
    let source = stock.add_node("AudioBufferSourceNode", &[&target], Map::new());
    let frequency = tone(random);
    let wave = output(stock, random, "NetworkOutputNode", (&source, "buffer"), frequency);
    // Noise has to be evaluated before a render begins.
    let has_noise = stock.nodes.iter().any(Stock::is_noise);
    if !has_noise && random.chance(0.1) {
        let noise = *random.pick(&["noisePink", "noiseBrown", "noiseWhite"]).unwrap_or(&"noisePink");
        stock
            .nodes
            .iter_mut()
            .filter(|n| n.id == wave)
            .for_each(|n| drop(n.params.insert("type".into(), noise.into())));
    }
    stock.connect(&wave, &source, Some("buffer"), Some((-1.0, 1.0)), 1.0);
    mix_in(stock, random, &source, &target);
    true
}

/// Adds a wave to a wavetable, or a partial with its envelope to an additive node.
fn extend(stock: &mut Stock, random: &mut Random, id: &str, name: &str) -> bool {
    let parameter = if name == "WavetableNode" { "buffer" } else { "partialBuffer" };
    let waves: Vec<String> = stock
        .connections
        .iter()
        .filter(|c| c.target == id && c.parameter.as_deref() == Some(parameter))
        .map(|c| c.source.clone())
        .collect();
    if waves.len() >= MAX_PARTIALS {
        return false;
    }
    let frequency = waves.first().and_then(|w| stock.node(w)?.params.get("frequency")?.as_f64());
    let frequency = frequency.unwrap_or_else(|| tone(random));
    if name == "WavetableNode" {
        let wave = output(stock, random, "NetworkOutputNode", (id, parameter), frequency);
        return stock.connect(&wave, id, Some(parameter), Some((-1.0, 1.0)), 1.0);
    }
    let number = waves.len() + 1;
    let (partial, envelope) = ("PartialNetworkOutputNode", "PartialEnvelopeNetworkOutputNode");
    let wave = output(stock, random, partial, (id, parameter), frequency);
    let frequency = slow(random);
    let envelope = output(stock, random, envelope, (id, "partialGainEnvelope"), frequency);
    for node in stock.nodes.iter_mut().filter(|n| n.id == wave || n.id == envelope) {
        node.params.insert("partialNumber".into(), number.into());
    }
    let loudness = 1.0 / number as f64;
    stock.connect(&wave, id, Some(parameter), Some((-1.0, 1.0)), 1.0)
        | stock.connect(&envelope, id, Some("partialGainEnvelope"), Some((0.0, 1.0)), loudness)
}

/// Drives one more audio parameter by an output of the network.
pub(super) fn drive(stock: &mut Stock, random: &mut Random) -> bool {
    if !has_room(stock, 1) || stock.outputs() == 0 {
        return false;
    }
    let mut places = Vec::new();
    for node in stock.nodes.iter().filter(|n| reaches(stock, &n.id, OUT)) {
        for (parameter, span) in parameters(&node.name) {
            let is_lost = is_oscillator(&node.name) && *parameter == "frequency";
            if !is_lost && !stock.is_driven(&node.id, parameter) {
                // With a speed that is driven, a wave is evaluated before the render begins.
                let weight = if node.name == "AudioBufferSourceNode" { 0.3 } else { 1.0 };
                places.push(((node.id.clone(), *parameter, *span), weight));
            }
        }
    }
    let Some((id, parameter, span)) = choose(random, &places).cloned() else { return false };
    let range = range_within(random, span);
    drive_by_any(stock, random, &id, parameter, range)
}

fn is_sine(oscillator: &GraphNode) -> bool {
    oscillator.params.get("type").and_then(Value::as_str).is_none_or(|form| matches!(form, "" | "sine"))
}

/// Connects a sound source to an audio parameter: modulation of frequency, amplitude or delay.
pub(super) fn modulate(stock: &mut Stock, random: &mut Random) -> bool {
    if !has_room(stock, 1) {
        return false;
    }
    let sources: Vec<&GraphNode> =
        stock.nodes.iter().filter(|n| is_sound_source(&n.name) && reaches(stock, &n.id, OUT)).collect();
    let mut pairs = Vec::new();
    for node in stock.nodes.iter().filter(|n| reaches(stock, &n.id, OUT)) {
        let parameter = match node.name.as_str() {
            "GainNode" => "gain",
            // Only a sine bears frequencies below 0 Hz.
            name if is_oscillator(name) => {
                if is_sine(node) {
                    "frequency"
                } else {
                    "detune"
                }
            }
            "DelayNode" => "delayTime",
            // Sound that modulates a filter can make it grow without limit.
            _ => continue,
        };
        for source in &sources {
            let is_new = stock.connection(&source.id, &node.id, Some(parameter)).is_none();
            if is_new && !reaches(stock, &node.id, &source.id) {
                pairs.push((source.id.clone(), node.id.clone(), parameter));
            }
        }
    }
    let Some((source, target, parameter)) = random.pick(&pairs).cloned() else { return false };
    let depth = match parameter {
        "gain" => random.between(0.1, 0.6),
        "delayTime" => random.ratio_between(0.0005, 0.01),
        "detune" => random.ratio_between(50.0, MAX_DETUNE),
        _ => random.ratio_between(5.0, 600.0),
    };
    stock.connect(&source, &target, Some(parameter), Some((0.0, 1.0)), depth)
}

/// Takes over a changed genome if it can still be heard, without what leads nowhere.
fn accept(stock: &mut Stock, mut changed: Stock) -> bool {
    repair(&mut changed);
    prune(&mut changed);
    let is_good = !heard(&changed).is_empty();
    if is_good {
        *stock = changed;
    }
    is_good
}

/// Removes a connection, but never the last path of sound.
pub(super) fn remove_connection(stock: &mut Stock, random: &mut Random) -> bool {
    if stock.connections.is_empty() {
        return false;
    }
    let mut changed = stock.clone();
    changed.connections.remove(random.below(stock.connections.len()));
    accept(stock, changed)
}

/// Removes a node. What an effect took and gave is connected directly.
pub(super) fn remove_node(stock: &mut Stock, random: &mut Random) -> bool {
    let Some(node) = random.pick(&stock.nodes).cloned() else { return false };
    let mut changed = stock.clone();
    changed.nodes.retain(|n| n.id != node.id);
    changed.connections.retain(|c| c.source != node.id && c.target != node.id);
    if takes_sound(&node.name) {
        let ins: Vec<_> = stock.connections.iter().filter(|c| c.target == node.id && is_audio(stock, c)).collect();
        let outs = stock.connections.iter().filter(|c| c.source == node.id);
        for out in outs {
            for into in &ins {
                let parameter = out.parameter.as_deref();
                changed.connect(&into.source, &out.target, parameter, into.range, into.weight * out.weight);
            }
        }
    }
    accept(stock, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mutation, by the name that a failure shows.
    type Mutation = (&'static str, fn(&mut Stock, &mut Random) -> bool);
    const ALL: [Mutation; 7] = [
        ("insert", insert_node),
        ("oscillator", add_oscillator),
        ("wave", add_wave),
        ("drive", drive),
        ("modulate", modulate),
        ("connection", remove_connection),
        ("node", remove_node),
    ];

    /// Whether something reaches itself.
    fn has_cycle(stock: &Stock) -> bool {
        stock.connections.iter().any(|c| reaches(stock, &c.target, &c.source))
    }

    #[test]
    fn every_mutation_keeps_the_graph_audible_free_of_cycles_and_small() {
        let mut counts = [0; 7];
        for seed in 0..12 {
            let random = &mut Random::new(seed);
            let mut stock = Stock::minimal(random);
            for step in 0..250 {
                let at = random.below(ALL.len());
                let before = stock.clone();
                let is_done = ALL[at].1(&mut stock, random);
                assert_eq!(is_done, before != stock, "{} says {is_done}, seed {seed} step {step}", ALL[at].0);
                counts[at] += usize::from(is_done);
                assert!(stock.is_audible() && !has_cycle(&stock), "{} seed {seed} step {step}", ALL[at].0);
                assert_eq!(stock.clone().repair(), 0, "{} seed {seed} step {step}", ALL[at].0);
                assert!(stock.nodes.len() <= MAX_NODES && stock.connections.len() <= MAX_CONNECTIONS);
            }
        }
        assert!(counts.iter().all(|c| *c > 50), "{counts:?}");
    }

    #[test]
    fn growth_ends_at_the_limits() {
        let random = &mut Random::new(4);
        let mut stock = Stock::minimal(random);
        for step in 0..1500 {
            ALL[step % 5].1(&mut stock, random);
        }
        assert!((50..=MAX_NODES).contains(&stock.nodes.len()), "{}", stock.nodes.len());
        assert!(stock.connections.len() <= MAX_CONNECTIONS);
        assert!(count(&stock, "DelayNode") <= MAX_DELAYS && count(&stock, "ConvolverNode") <= MAX_CONVOLVERS);
    }

    #[test]
    fn a_removed_effect_leaves_the_way_through_it() {
        let random = &mut Random::new(2);
        let mut stock = Stock::default();
        let ids: Vec<String> =
            ["OscillatorNode", "GainNode", "FilterNode"].map(|n| stock.add_node(n, &[], Map::new())).into();
        stock.connect(&ids[0], &ids[1], None, None, 0.5);
        stock.connect(&ids[1], &ids[2], None, None, 0.5);
        stock.connect(&ids[2], OUT, None, None, 1.0);
        while !remove_node(&mut stock, random) {}
        while !remove_node(&mut stock, random) {}
        assert_eq!((stock.nodes.len(), stock.connections.len()), (1, 1));
        assert_eq!(
            (stock.connections[0].source.as_str(), stock.connections[0].target.as_str()),
            (ids[0].as_str(), OUT)
        );
        assert!(!remove_node(&mut stock, random), "the last source stays");
        assert!(!remove_connection(&mut stock, random));
    }
}
