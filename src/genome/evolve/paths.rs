//! Facts about the audio graph of a stock: what can be heard, where a cycle would arise, what makes a render fail.

use std::collections::HashSet;

use serde_json::Value;

use super::genes::{GraphConnection, OUT, Role, Stock};
use super::kinds::{
    FILTERS, SLOW, WAVEFORMS, is_network_output, is_oscillator, is_sound_source, needs, parameters, takes_sound,
};

/// Frequencies of filters that are safe, an octave of modulation included.
const SAFE_HZ: (f64, f64) = (20.0, 8000.0);

/// Whether a connection passes on sound to the input of a node or to the output.
pub(super) fn is_audio(stock: &Stock, connection: &GraphConnection) -> bool {
    !is_network_output(stock.name(&connection.source))
        && match &connection.parameter {
            None => connection.target == OUT || takes_sound(stock.name(&connection.target)),
            Some(name) => connection.target == OUT && !is_left_out(name),
        }
}

/// Whether `to` gets something from `from`, through sound or parameters; each reaches itself.
pub(super) fn reaches(stock: &Stock, from: &str, to: &str) -> bool {
    let mut seen = HashSet::from([from]);
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        if id == to {
            return true;
        }
        let targets = stock.connections.iter().filter(|c| c.source == id).map(|c| c.target.as_str());
        open.extend(targets.filter(|t| seen.insert(t)));
    }
    false
}

/// Whether a node sounds: it makes sound, and what that needs is connected.
fn sounds(stock: &Stock, id: &str) -> bool {
    let name = stock.name(id);
    is_sound_source(name) && needs(name).iter().all(|parameter| stock.is_driven(id, parameter))
}

/// The nodes with sound that reaches the output.
pub(super) fn heard(stock: &Stock) -> HashSet<String> {
    // Forwards from all sources, then backwards from the output.
    let audio: Vec<&GraphConnection> = stock.connections.iter().filter(|c| is_audio(stock, c)).collect();
    let mut filled: HashSet<&str> = stock.nodes.iter().map(|n| n.id.as_str()).filter(|id| sounds(stock, id)).collect();
    let mut open: Vec<&str> = filled.iter().copied().collect();
    while let Some(id) = open.pop() {
        for c in audio.iter().filter(|c| c.source == id && (c.weight != 0.0 || c.target == OUT)) {
            let is_dead = stock.name(&c.target) == "ConvolverNode" && !stock.is_driven(&c.target, "buffer");
            if !is_dead && filled.insert(&c.target) {
                open.push(&c.target);
            }
        }
    }
    let mut heard = HashSet::new();
    let mut open = vec![OUT];
    while let Some(id) = open.pop() {
        for c in audio.iter().filter(|c| c.target == id && filled.contains(c.source.as_str())) {
            if heard.insert(c.source.clone()) {
                open.push(&c.source);
            }
        }
    }
    heard
}

/// Removes what makes a render fail: connections to places that are no audio parameters, forms and outputs of the
/// network that do not exist. Returns how much that was. A genome that renders is not changed.
pub(super) fn repair(stock: &mut Stock) -> usize {
    let outputs = stock.outputs();
    let mut changes = 0;
    for node in &mut stock.nodes {
        let form = node.params.get("type").and_then(Value::as_str).unwrap_or_default();
        let is_wrong = match node.name.as_str() {
            "FilterNode" => !form.is_empty() && !FILTERS.contains(&form),
            name if is_oscillator(name) => !form.is_empty() && !WAVEFORMS.contains(&form),
            _ => false,
        };
        if is_wrong {
            node.params.remove("type");
            changes += 1;
        }
    }
    for at in 0..stock.nodes.len() {
        if let Some(output) = stock.output_of(at)
            && output >= outputs
        {
            let output = if outputs == 0 { 0 } else { output % outputs };
            stock.nodes[at].params.insert("type".into(), output.to_string().into());
            changes += 1;
        }
    }
    let failing: Vec<bool> = stock.connections.iter().map(|c| fails(stock, c)).collect();
    let mut failing = failing.into_iter();
    let before = stock.connections.len();
    stock.connections.retain(|_| !failing.next().unwrap_or(false));
    changes + before - stock.connections.len()
}

/// Whether a connection makes a render fail.
fn fails(stock: &Stock, connection: &GraphConnection) -> bool {
    let Some(parameter) = connection.parameter.as_deref() else { return false };
    if connection.target == OUT {
        return false;
    }
    let name = stock.name(&connection.target);
    let is_known = parameters(name).iter().any(|(n, _)| *n == parameter);
    if is_network_output(stock.name(&connection.source)) {
        let is_ignored = matches!(name, "FeedbackDelayNode" | "WavetableNode" | "AdditiveNode");
        return !is_known && !is_ignored && !matches!(parameter, "buffer" | "curve");
    }
    if is_left_out(parameter) {
        return false;
    }
    // A buffer that is played plainly is no buffer source of the Web Audio API and has no parameters.
    let is_plain = name == "AudioBufferSourceNode"
        && stock.is_driven(&connection.target, "buffer")
        && !parameters(name).iter().any(|(n, _)| stock.is_driven(&connection.target, n));
    !is_known || is_plain
}

/// Keeps filters and oscillators stable. The audio graph does not: at 0 Hz, from half the sample rate on, and with a
/// negative Q a filter grows without limit, and so does an oscillator below 0 Hz, unless it is a sine. Hence:
///
/// - An output of the network that drives one of these and leaves -1 to 1 gets the activation that is most like its
///   own, so that the parameter stays in the range of the connection. Noise is not connected.
/// - Frequencies are driven within a range that is safe.
/// - Filters are driven slowly: fast changes of a resonance add energy.
/// - An oscillator whose frequency is modulated by sound is a sine.
pub(super) fn tame(stock: &mut Stock) {
    let drives: Vec<usize> =
        (0..stock.connections.len()).filter(|c| can_explode(stock, &stock.connections[*c])).collect();
    for at in drives.into_iter().rev() {
        let Some(source) = stock.nodes.iter().position(|n| n.id == stock.connections[at].source) else { continue };
        if Stock::is_noise(&stock.nodes[source]) {
            stock.connections.remove(at);
            continue;
        }
        let is_filter = stock.name(&stock.connections[at].target) == "FilterNode";
        if is_filter && !slow_down(stock, source) {
            stock.connections.remove(at);
            continue;
        }
        let connection = &mut stock.connections[at];
        if connection.parameter.as_deref() == Some("frequency") {
            let (low, high) = connection.range.unwrap_or(SAFE_HZ);
            let within = |hz: f64| hz.clamp(SAFE_HZ.0, SAFE_HZ.1);
            connection.range = Some((within(low), within(high)));
        }
        let Some(output) = stock.output_of(source) else { continue };
        for network in &mut stock.networks {
            let neuron = network.neurons.iter_mut().filter(|n| n.role == Role::Output).nth(output);
            let Some(neuron) = neuron else { continue };
            match neuron.activation.as_str() {
                "Linear" => neuron.activation = "cos".into(),
                "arctan" => neuron.activation = "BipolarSigmoid".into(),
                _ => {}
            }
        }
    }
    let modulated: Vec<bool> =
        stock.nodes.iter().map(|n| is_oscillator(&n.name) && stock.is_modulated(&n.id, "frequency")).collect();
    for (node, _) in stock.nodes.iter_mut().zip(modulated).filter(|(_, is_modulated)| *is_modulated) {
        node.params.insert("type".into(), "sine".into());
    }
}

/// Makes an output of the network slow, unless something else is driven by it; whether it is slow.
fn slow_down(stock: &mut Stock, source: usize) -> bool {
    let id = &stock.nodes[source].id;
    let is_shared = stock.connections.iter().filter(|c| c.source == *id).count() > 1;
    let params = &mut stock.nodes[source].params;
    let number = |key: &str| params.get(key).and_then(Value::as_f64);
    let is_note = number("noteOffset").is_some_and(|offset| offset != 0.0);
    if !is_note && number("frequency").is_some_and(|f| f <= SLOW) {
        return true;
    }
    if !is_shared {
        params.insert("frequency".into(), SLOW.into());
        params.remove("noteOffset");
    }
    !is_shared
}

/// Whether an output of the network drives a parameter of which some values make the sound grow without limit.
fn can_explode(stock: &Stock, connection: &GraphConnection) -> bool {
    let (target, parameter) = (stock.name(&connection.target), connection.parameter.as_deref());
    let is_risky = target == "FilterNode" || (is_oscillator(target) && parameter == Some("frequency"));
    is_risky && parameter.is_some() && is_network_output(stock.name(&connection.source))
}

/// Removes nodes from which nothing leads to the output, with their connections.
pub(super) fn prune(stock: &mut Stock) {
    let useful: HashSet<String> =
        stock.nodes.iter().filter(|n| reaches(stock, &n.id, OUT)).map(|n| n.id.clone()).collect();
    stock.nodes.retain(|n| useful.contains(&n.id));
    stock.connections.retain(|c| useful.contains(&c.source) && (c.target == OUT || useful.contains(&c.target)));
}

/// Parameters to which sound is not connected: such connections are left out of a render.
fn is_left_out(parameter: &str) -> bool {
    matches!(parameter, "partialBuffer" | "partialGainEnvelope")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::genes::Cppn;
    use super::super::random::Random;
    use super::super::seed;
    use super::*;

    /// One network with so many outputs.
    fn networks(outputs: usize) -> Vec<Cppn> {
        let mut cppn = seed::network(&mut Random::new(1));
        cppn.neurons.truncate(3 + outputs);
        cppn.synapses.retain(|s| s.target.parse::<usize>().is_ok_and(|t| t < 3 + outputs));
        vec![cppn]
    }

    fn stock() -> (Stock, String, String, String) {
        let mut stock = Stock::default();
        let wave = stock.add_node("NetworkOutputNode", &["w"], json!({"type": "0"}).as_object().unwrap().clone());
        let source = stock.add_node("AudioBufferSourceNode", &[], Map::new());
        let level = stock.add_node("GainNode", &[], Map::new());
        stock.connect(&source, &level, None, None, 1.0);
        stock.connect(&level, OUT, None, None, 1.0);
        (stock, wave, source, level)
    }

    #[test]
    fn sound_is_heard_when_its_source_has_what_it_needs_and_a_path() {
        let (mut stock, wave, source, level) = stock();
        assert!(!stock.is_audible());
        stock.connect(&wave, &source, Some("buffer"), None, 1.0);
        assert!(stock.is_audible());
        assert!(reaches(&stock, &wave, OUT) && reaches(&stock, &source, &level) && !reaches(&stock, &level, &source));
        stock.connections.retain(|c| c.target != OUT);
        assert!(!stock.is_audible());
        prune(&mut stock);
        assert!(stock.nodes.is_empty() && stock.connections.is_empty());
    }

    #[test]
    fn what_would_grow_without_limit_is_tamed() {
        let (mut stock, ..) = stock();
        stock.networks = networks(3);
        for (at, activation) in ["Linear", "arctan", "Sine"].iter().enumerate() {
            stock.networks[0].neurons[3 + at].activation = (*activation).to_string();
        }
        let filter = stock.add_node("FilterNode", &[], Map::new());
        for (output, range) in [("0", Some((-5.0, 300.0))), ("1", Some((100.0, 24_000.0))), ("noisePink", None)] {
            let node =
                stock.add_node("NetworkOutputNode", &[output], json!({"type": output}).as_object().unwrap().clone());
            stock.connect(&node, &filter, Some("frequency"), range, 1.0);
        }
        tame(&mut stock);
        let activations: Vec<&str> = stock.networks[0].neurons[3..].iter().map(|n| n.activation.as_str()).collect();
        assert_eq!(activations, ["cos", "BipolarSigmoid", "Sine"]);
        let driven = stock.connections.iter().filter(|c| c.target == filter);
        assert_eq!(driven.filter_map(|c| c.range).collect::<Vec<_>>(), [(20.0, 300.0), (100.0, 8000.0)]);
        let square = json!({"type": "square"}).as_object().unwrap().clone();
        let carrier = stock.add_node("OscillatorNode", &[], square);
        stock.connect(&filter, &carrier, Some("detune"), None, 100.0);
        assert!(
            stock
                .nodes
                .iter()
                .filter(|n| n.name == "NetworkOutputNode")
                .take(3)
                .skip(1)
                .all(|n| n.params["frequency"] == SLOW)
        );
        let once = stock.clone();
        tame(&mut stock);
        assert_eq!(stock, once);
        stock.connect(&filter, &carrier, Some("frequency"), None, 100.0);
        tame(&mut stock);
        assert_eq!(stock.node(&carrier).unwrap().params["type"], json!("sine"));
    }

    #[test]
    fn only_what_fails_is_repaired() {
        let (mut stock, wave, source, level) = stock();
        stock.networks = networks(2);
        stock.connect(&wave, &source, Some("buffer"), None, 1.0);
        stock.connect(&wave, &level, Some("gain"), Some((0.0, 1.0)), 1.0);
        stock.connect(&source, &level, Some("gain"), None, 1.0);
        let good = stock.clone();
        assert_eq!((stock.repair(), &stock), (0, &good));
        stock.connect(&wave, &level, Some("frequency"), None, 1.0);
        stock.connect(&source, &level, Some("curve"), None, 1.0);
        stock.connect(&level, &source, Some("detune"), None, 1.0);
        assert_eq!((stock.repair(), &stock), (3, &good));
        stock.nodes[0].params.insert("type".into(), json!("5"));
        assert_eq!(stock.repair(), 1);
        assert_eq!(stock.output_of(0), Some(1));
    }
}
