//! The audio graph of a genome as it is written down: nodes and connections.

use std::collections::HashMap;

use serde_json::Value;

use super::fault::Fault;

/// The most nodes and connections that a patch may have.
pub const MAX_NODES: usize = 512;
pub const MAX_CONNECTIONS: usize = 2048;

/// The most delays: each one in a cycle makes the graph be ordered once more.
const MAX_DELAYS: usize = 64;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gain,
    Filter,
    Delay,
    /// Silent in the older service: nothing can be connected to it.
    FeedbackDelay,
    Compressor,
    Convolver,
    WaveShaper,
    Oscillator,
    BufferSource,
    Wavetable,
    Additive,
}

impl Kind {
    const NAMES: [(&'static str, Kind); 12] = [
        ("GainNode", Kind::Gain),
        ("FilterNode", Kind::Filter),
        ("DelayNode", Kind::Delay),
        ("FeedbackDelayNode", Kind::FeedbackDelay),
        ("CompressorNode", Kind::Compressor),
        ("ConvolverNode", Kind::Convolver),
        ("WaveShaperNode", Kind::WaveShaper),
        ("OscillatorNode", Kind::Oscillator),
        ("NoteOscillatorNode", Kind::Oscillator),
        ("AudioBufferSourceNode", Kind::BufferSource),
        ("WavetableNode", Kind::Wavetable),
        ("AdditiveNode", Kind::Additive),
    ];

    /// The numbers of a node that are used. Others are ignored, as `q` of a filter is: the older service knew only `Q`.
    fn numbers(self) -> &'static [&'static str] {
        match self {
            Kind::Gain => &["gain"],
            Kind::Filter => &["frequency", "detune", "Q", "gain"],
            Kind::Delay => &["delayTime"],
            Kind::Compressor => &["threshold", "knee", "ratio", "attack", "release"],
            Kind::Oscillator => &["frequency", "detune"],
            _ => &[],
        }
    }

    /// The audio parameters that a signal may drive.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Kind::BufferSource => &["detune", "playbackRate"],
            other => other.numbers(),
        }
    }
}

/// A node that makes or changes sound.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: String,
    pub kind: Kind,
    /// The name of the kind in the file, for messages.
    pub name: String,
    /// Waveform of an oscillator or type of a filter; empty means the default.
    pub form: String,
    /// Non-zero numbers by name; a zero means the default, as in the older service.
    pub numbers: Vec<(&'static str, f64)>,
}

/// What a network output yields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Yield {
    /// The output of this number.
    Output(usize),
    Noise(Noise),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    White,
    Pink,
    Brown,
}

/// A node that stands for an output of the network at a frequency in Hz.
#[derive(Clone, Debug)]
pub struct Source {
    pub id: String,
    pub yields: Yield,
    pub frequency: f64,
    pub partial: f64,
    /// What it drives, in the order of the file.
    pub drives: Vec<Drive>,
}

/// A connection from a network output to a parameter.
#[derive(Clone, Debug)]
pub struct Drive {
    pub connection: String,
    pub node: usize,
    pub parameter: String,
    pub range: Option<(f64, f64)>,
    pub weight: f64,
}

/// Where a connection between nodes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Output,
    Node(usize),
}

/// A connection between two nodes.
#[derive(Clone, Debug)]
pub struct Wire {
    pub connection: String,
    pub source: usize,
    pub target: Target,
    pub parameter: Option<String>,
    pub weight: f64,
}

/// The audio graph: nodes in the order of the file, network outputs, connections.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    pub nodes: Vec<Node>,
    pub sources: Vec<Source>,
    pub wires: Vec<Wire>,
}

/// Where an id of the file leads.
#[derive(Clone, Copy)]
enum Place {
    Output,
    Node(usize),
    Source(usize),
}

/// An item of a list: an object, or a text that contains one.
fn object(value: &Value, what: &str) -> Result<Value, Fault> {
    let object = match value {
        Value::String(text) => {
            serde_json::from_str(text).map_err(|e| Fault::Malformed(format!("{what} is not JSON: {e}")))?
        }
        other => other.clone(),
    };
    if !object.is_object() {
        return Err(Fault::Malformed(format!("{what} is not an object")));
    }
    Ok(object)
}

fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// `2^(semitones / 12)` with the older service's constant for one semitone.
pub fn semitones(count: f64) -> f64 {
    libm::pow(1.059_463_094_359_295_3, count)
}

impl Patch {
    /// Reads a patch from its JSON.
    pub fn read(json: &Value) -> Result<Self, Fault> {
        let list = |key: &str| {
            json.get(key)
                .and_then(Value::as_array)
                .ok_or_else(|| Fault::Malformed(format!("asNEATPatch has no list '{key}'")))
        };
        let (nodes, connections) = (list("nodes")?, list("connections")?);
        for (what, found, limit) in
            [("number of nodes", nodes.len(), MAX_NODES), ("number of connections", connections.len(), MAX_CONNECTIONS)]
        {
            if found > limit {
                return Err(Fault::TooLarge { what, found, limit });
            }
        }
        let mut patch = Self::default();
        let mut places: HashMap<String, Place> = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            let node = object(node, &format!("node {at}"))?;
            let id = id(node.get("id")).ok_or_else(|| Fault::Malformed(format!("node {at} has no 'id'")))?;
            let place = patch.node(&id, &node)?;
            if places.insert(id.clone(), place).is_some() {
                return Err(Fault::Malformed(format!("two nodes have the id '{id}'")));
            }
        }
        let delays = patch.nodes.iter().filter(|n| n.kind == Kind::Delay).count();
        if delays > MAX_DELAYS {
            return Err(Fault::TooLarge { what: "number of delays", found: delays, limit: MAX_DELAYS });
        }
        for (at, connection) in connections.iter().enumerate() {
            let connection = object(connection, &format!("connection {at}"))?;
            patch.connection(at, &connection, &places)?;
        }
        Ok(patch)
    }

    fn node(&mut self, id: &str, json: &Value) -> Result<Place, Fault> {
        let name = json.get("name").and_then(Value::as_str).unwrap_or_default();
        let fault = |problem: String| Fault::Node { node: id.into(), kind: name.into(), problem };
        let number = |key: &str| -> Result<Option<f64>, Fault> {
            match json.get(key) {
                None | Some(Value::Null | Value::Bool(_) | Value::String(_)) => Ok(None),
                Some(value) => match value.as_f64() {
                    Some(v) if v.is_finite() && v.abs() <= f64::from(f32::MAX) => Ok(Some(v)),
                    _ => Err(fault(format!("'{key}' is {value}: expected a number that fits into 32 bits"))),
                },
            }
        };
        if name == "OutNode" {
            return Ok(Place::Output);
        }
        if let Some((_, kind)) = Kind::NAMES.iter().find(|(n, _)| *n == name) {
            let mut numbers = Vec::new();
            for key in kind.numbers() {
                numbers.extend(number(key)?.filter(|v| *v != 0.0).map(|v| (*key, v)));
            }
            let offset = number("noteOffset")?.unwrap_or(0.0);
            if name == "NoteOscillatorNode" && offset != 0.0 {
                numbers.retain(|(key, _)| *key != "frequency");
                numbers.push(("frequency", 440.0 * semitones(offset)));
            }
            let form = json.get("type").and_then(Value::as_str).unwrap_or_default().to_string();
            self.nodes.push(Node { id: id.into(), kind: *kind, name: name.into(), form, numbers });
            return Ok(Place::Node(self.nodes.len() - 1));
        }
        if !name.ends_with("NetworkOutputNode") {
            return Err(fault("this kind of node is not known".into()));
        }
        let kind = super::patch::id(json.get("type")).unwrap_or_default();
        let yields = match kind.as_str() {
            "noiseWhite" => Yield::Noise(Noise::White),
            "noisePink" => Yield::Noise(Noise::Pink),
            "noiseBrown" => Yield::Noise(Noise::Brown),
            number => Yield::Output(number.parse().map_err(|_| {
                fault(format!(
                    "'type' is '{number}': expected the number of an output, or noiseWhite, noisePink or noiseBrown"
                ))
            })?),
        };
        let offset = number("noteOffset")?.unwrap_or(0.0);
        let frequency = if name == "NoteNetworkOutputNode" && offset != 0.0 {
            440.0 * semitones(offset)
        } else {
            number("frequency")?.unwrap_or(440.0)
        };
        let partial = number("partialNumber")?.unwrap_or(1.0);
        self.sources.push(Source { id: id.into(), yields, frequency, partial, drives: Vec::new() });
        Ok(Place::Source(self.sources.len() - 1))
    }

    fn connection(&mut self, at: usize, json: &Value, places: &HashMap<String, Place>) -> Result<(), Fault> {
        let name = id(json.get("id")).unwrap_or_else(|| format!("number {at}"));
        let fault = |problem: String| Fault::Connection { connection: name.clone(), problem };
        let end = |key: &str| {
            let id = id(json.get(key)).ok_or_else(|| fault(format!("it has no '{key}'")))?;
            match places.get(&id) {
                Some(place) => Ok(Some(*place)),
                None if id == "0" => Ok(Some(Place::Output)),
                None => Ok(None),
            }
        };
        // The older service drops connections of nodes that do not exist.
        let (Some(source), Some(target)) = (end("sourceNode")?, end("targetNode")?) else { return Ok(()) };
        let weight = match json.get("weight") {
            None | Some(Value::Null) => 1.0,
            Some(value) => value
                .as_f64()
                .filter(|w| w.abs() <= f64::from(f32::MAX))
                .ok_or_else(|| fault(format!("'weight' is {value}: expected a number that fits into 32 bits")))?,
        };
        let parameter = json.get("targetParameter").and_then(Value::as_str).map(str::to_string);
        match (source, target) {
            (Place::Output, _) => Err(fault("'sourceNode' is the output".into())),
            (_, Place::Source(_)) => Err(fault("'targetNode' is an output of the network".into())),
            (Place::Node(source), target) => {
                let target = if let Place::Node(node) = target { Target::Node(node) } else { Target::Output };
                self.wires.push(Wire { connection: name, source, target, parameter, weight });
                Ok(())
            }
            // Without a parameter, or towards the output, a network output has no effect.
            (Place::Source(source), Place::Node(node)) => {
                let Some(parameter) = parameter else { return Ok(()) };
                let range = json.get("targetParameterRange").and_then(Value::as_array);
                let range = range.and_then(|r| Some((r.first()?.as_f64()?, r.get(1)?.as_f64()?)));
                let drive = Drive { connection: name, node, parameter, range, weight };
                self.sources[source].drives.push(drive);
                Ok(())
            }
            (Place::Source(_), Place::Output) => Ok(()),
        }
    }
}
