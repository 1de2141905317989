//! A genome that can be changed: from the format of files, into it, and from nothing.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::genes::{Cppn, GraphConnection, GraphNode, Neuron, OUT, Role, Stock, Synapse};
use super::random::Random;
use super::write::Birth;
use super::{paths, seed, write};
use crate::genome::fault::Fault;
use crate::genome::read::{self, Genome};

impl Stock {
    /// Reads everything that [`Genome::from_json`] reads. What a render ignores is left out: connections of nodes that
    /// do not exist, networks whose key is not a frequency, fields around the genome.
    ///
    /// # Errors
    /// Those of [`Genome::from_json`].
    pub fn from_json(value: &Value) -> Result<Self, Fault> {
        Genome::from_json(value)?;
        let (patch, wave) = read::parts(value)?;
        let mut stock = Self::default();
        let mut add = |key: Option<&String>, holder: &Value| -> Result<(), Fault> {
            let json = read::decode(holder.get("offspring").unwrap_or(holder), "waveNetwork.offspring")?;
            stock.networks.push(read_network(key.cloned(), &json));
            Ok(())
        };
        if wave.get("oneCPPNPerFrequency").and_then(Value::as_bool) == Some(true) {
            for (key, holder) in wave.get("CPPNs").and_then(Value::as_object).into_iter().flatten() {
                if key.parse::<f64>().is_ok_and(f64::is_finite) {
                    add(Some(key), holder)?;
                }
            }
        } else {
            add(None, &wave)?;
        }
        read_graph(&mut stock, &patch);
        Ok(stock)
    }

    /// Writes the genome with its wrapper; [`Genome::from_json`] reads it. Parents are plain ids. The same stock gives
    /// the same text, byte for byte. Weights and ranges must be finite.
    pub fn to_json(&self, id: &str, birth: &Birth) -> Value {
        write::genome(self, id, birth)
    }

    /// A first genome: a network with bias, 2 inputs and 18 outputs without hidden neurons (Stanley and Miikkulainen
    /// 2002: evolution starts minimally), and one of four small graphs. Notes are on a pentatonic scale from 55 to 784
    /// Hz; the peak is usually from 0.4 to 1.
    pub fn minimal(random: &mut Random) -> Self {
        seed::minimal(random)
    }

    /// Whether sound can reach the output: there is a path to it from a node that sounds.
    pub fn is_audible(&self) -> bool {
        !paths::heard(self).is_empty()
    }

    /// Removes what makes a render fail: connections to places that are no audio parameters, forms and outputs of the
    /// network that do not exist. Returns how much that was. A genome that renders is not changed.
    pub fn repair(&mut self) -> usize {
        paths::repair(self)
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn items<'v>(json: &'v Value, key: &str) -> &'v [Value] {
    json.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// An object, or a text that contains one.
fn object(value: &Value) -> Map<String, Value> {
    let decoded = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    match decoded.unwrap_or_else(|| value.clone()) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A name like `id` that is not taken.
fn free(id: &str, taken: &HashSet<String>) -> String {
    let mut id = id.to_string();
    while taken.contains(&id) {
        id.insert(0, 'x');
    }
    id
}

/// Reads the nodes and connections of a patch that [`crate::genome::patch::Patch::read`] has accepted.
fn read_graph(stock: &mut Stock, patch: &Value) {
    let nodes: Vec<_> = items(patch, "nodes").iter().map(object).collect();
    let mut ids: HashMap<String, String> = HashMap::new();
    let mut taken: HashSet<String> = nodes.iter().filter_map(|n| text(n.get("id"))).collect();
    taken.insert(OUT.into());
    for mut params in nodes {
        let Some(id) = text(params.remove("id").as_ref()) else { continue };
        let name = text(params.remove("name").as_ref()).unwrap_or_default();
        if name == "OutNode" {
            ids.insert(id, OUT.into());
            continue;
        }
        let new = if id == OUT { free(&id, &taken) } else { id.clone() };
        taken.insert(new.clone());
        ids.insert(id, new.clone());
        stock.nodes.push(GraphNode { id: new, name, params });
    }
    ids.entry(OUT.into()).or_insert_with(|| OUT.into());
    for value in items(patch, "connections") {
        let mut rest = object(value);
        let mut end = |key: &str| text(rest.remove(key).as_ref()).and_then(|id| ids.get(&id).cloned());
        let (Some(source), Some(target)) = (end("sourceNode"), end("targetNode")) else { continue };
        let parameter = rest.remove("targetParameter").and_then(|p| p.as_str().map(str::to_string));
        let range = rest.remove("targetParameterRange");
        let range = range.as_ref().and_then(Value::as_array);
        let range = range.and_then(|r| Some((r.first()?.as_f64()?, r.get(1)?.as_f64()?)));
        let weight = rest.remove("weight").and_then(|w| w.as_f64()).unwrap_or(1.0);
        let enabled = rest.remove("enabled").and_then(|e| e.as_bool()).unwrap_or(true);
        let id = text(rest.remove("id").as_ref())
            .unwrap_or_else(|| stock.connection_mark(&source, &target, parameter.as_deref()));
        stock.connections.push(GraphConnection { id, source, target, parameter, range, weight, enabled, rest });
    }
}

/// Reads a network that [`crate::genome::network::Network::read`] has accepted.
fn read_network(key: Option<String>, json: &Value) -> Cppn {
    let nodes = items(json, "nodes");
    let role = |node: &Value| text(node.get("nodeType")).unwrap_or_default();
    let fixed = nodes.iter().take_while(|n| matches!(role(n).as_str(), "Bias" | "Input")).count();
    let outputs = nodes.iter().filter(|n| role(n) == "Output").count();
    let mut ids: HashMap<String, String> = HashMap::new();
    let mut taken: HashSet<String> = (0..fixed + outputs).map(|n| n.to_string()).collect();
    let mut neurons = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let old = text(node.get("gid")).unwrap_or_default();
        let id = if at < fixed + outputs { at.to_string() } else { free(&old, &taken) };
        taken.insert(id.clone());
        ids.insert(old, id.clone());
        // The first neurons behind the inputs are the outputs, whatever they are called.
        let role = match role(node).as_str() {
            "Bias" => Role::Bias,
            "Input" => Role::Input,
            _ if at < fixed + outputs => Role::Output,
            _ => Role::Hidden,
        };
        let activation = text(node.get("activationFunction")).unwrap_or_else(|| "undefined".into());
        neurons.push(Neuron { id, activation, role });
    }
    let mut cppn = Cppn { key, neurons, synapses: Vec::new() };
    for json in items(json, "connections") {
        let end = |key: &str| text(json.get(key)).and_then(|id| ids.get(&id).cloned());
        let (Some(source), Some(target)) = (end("sourceID"), end("targetID")) else { continue };
        let weight = json.get("weight").and_then(Value::as_f64).unwrap_or_default();
        let id = text(json.get("gid")).unwrap_or_else(|| cppn.synapse_mark(&source, &target));
        cppn.synapses.push(Synapse { id, source, target, weight });
    }
    cppn
}
