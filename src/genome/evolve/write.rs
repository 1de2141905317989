//! Writes a stock in the older service's format.

use serde_json::{Map, Value, json};

use super::genes::{Cppn, GraphConnection, GraphNode, OUT, Role, Stock};

/// Where a genome comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Birth {
    /// The id of the evolution run.
    pub run: String,
    /// 0 for genomes without parents.
    pub generation: u32,
    /// Ids of the parents, the fitter one first.
    pub parents: Vec<String>,
}

/// The network as the older service writes it. It does not use the fields that are always 0 here.
pub(super) fn network(cppn: &Cppn) -> Value {
    let neurons: Vec<Value> = cppn
        .neurons
        .iter()
        .map(|n| {
            let (role, layer) = match n.role {
                Role::Bias => ("Bias", 0),
                Role::Input => ("Input", 0),
                Role::Output => ("Output", 10),
                Role::Hidden => ("Hidden", 5),
            };
            json!({"gid": n.id, "activationFunction": n.activation, "nodeType": role, "layer": layer, "step": 0,
                   "bias": 0})
        })
        .collect();
    let synapses: Vec<Value> = cppn
        .synapses
        .iter()
        .map(|s| {
            json!({"gid": s.id, "weight": s.weight, "sourceID": s.source, "targetID": s.target, "a": 0, "b": 0,
                   "c": 0, "d": 0, "modConnection": 0, "learningRate": 0, "isMutated": false})
        })
        .collect();
    let count = |role: Role| cppn.neurons.iter().filter(|n| n.role == role).count();
    let (biases, inputs, outputs) = (count(Role::Bias), count(Role::Input), count(Role::Output));
    json!({"gid": 0, "fitness": 0, "nodes": neurons, "connections": synapses, "inputNodeCount": inputs,
           "inputAndBiasNodeCount": biases + inputs, "outputNodeCount": outputs,
           "inputBiasOutputNodeCount": biases + inputs + outputs})
}

fn node_text(node: &GraphNode) -> String {
    let mut fields = node.params.clone();
    fields.insert("name".into(), node.name.clone().into());
    fields.insert("id".into(), node.id.clone().into());
    Value::Object(fields).to_string()
}

fn connection_text(connection: &GraphConnection) -> String {
    let mut fields = connection.rest.clone();
    let target = if connection.target == OUT { json!(0) } else { json!(connection.target) };
    let range = connection.range.map_or(Value::Null, |(low, high)| json!([low, high]));
    let own = [
        ("id", json!(connection.id)),
        ("sourceNode", json!(connection.source)),
        ("targetNode", target),
        ("targetParameter", json!(connection.parameter)),
        ("targetParameterRange", range),
        ("weight", json!(connection.weight)),
        ("enabled", json!(connection.enabled)),
    ];
    fields.extend(own.map(|(key, value)| (key.to_string(), value)));
    Value::Object(fields).to_string()
}

/// A genome with its wrapper.
pub(super) fn genome(stock: &Stock, id: &str, birth: &Birth) -> Value {
    let holder = |cppn: &Cppn| json!({"offspring": network(cppn), "parents": []});
    let wave = match &stock.networks[..] {
        [one] if one.key.is_none() => holder(one),
        several => {
            let list: Map<String, Value> =
                several.iter().map(|c| (c.key.clone().unwrap_or_else(|| "440".into()), holder(c))).collect();
            json!({"oneCPPNPerFrequency": true, "CPPNs": list})
        }
    };
    let mut nodes: Vec<String> = stock.nodes.iter().map(node_text).collect();
    nodes.push(json!({"name": "OutNode", "id": 0}).to_string());
    let connections: Vec<String> = stock.connections.iter().map(connection_text).collect();
    let patch = json!({"id": id, "generation": birth.generation, "evolutionHistory": [], "nodes": nodes,
                       "connections": connections});
    json!({"_id": id, "genome": {
        "waveNetwork": wave,
        "asNEATPatch": patch.to_string(),
        "generationNumber": birth.generation,
        "algorithm": "grooved",
        "evolutionRunId": birth.run,
        "parentGenomes": birth.parents,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::read::Genome;

    fn read(value: &Value) -> String {
        format!("{:?}", Genome::from_json(value).unwrap())
    }

    #[test]
    fn a_genome_that_is_read_and_written_is_the_same() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/genomes");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if !entry.file_name().to_string_lossy().ends_with(".json.gz") {
                continue;
            }
            let mut text = String::new();
            let file = std::fs::File::open(entry.path()).unwrap();
            std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
            let before: Value = serde_json::from_str(&text).unwrap();
            let stock = Stock::from_json(&before).unwrap();
            let after = stock.to_json("x", &Birth::default());
            assert_eq!(read(&before), read(&after), "{}", entry.path().display());
            // The text form changes nothing either.
            let again: Value = serde_json::from_str(&after.to_string()).unwrap();
            assert_eq!(Stock::from_json(&again).unwrap(), stock);
            count += 1;
        }
        assert_eq!(count, 30);
    }

    #[test]
    fn unusual_wrappings_and_names_are_understood() {
        let network = |middle: &str| {
            json!({"nodes": [{"gid": 7, "nodeType": "Bias"}, {"gid": "p", "nodeType": "Input"},
                    {"gid": "m", "nodeType": "Input"}, {"gid": "0", "nodeType": middle, "activationFunction": "cos"},
                    {"gid": "1", "nodeType": "Output", "activationFunction": "Sine"},
                    {"gid": "2", "nodeType": "Hidden"}],
                   "connections": [{"sourceID": 7, "targetID": "0", "weight": 0.1}, {"sourceID": "2", "targetID": "1",
                    "weight": -0.0}, {"sourceID": "p", "targetID": "2", "weight": 3}]})
        };
        let patch = json!({"nodes": [{"name": "OscillatorNode", "id": "0", "frequency": 100},
                "{\"name\": \"OutNode\", \"id\": 5}", {"name": "NetworkOutputNode", "id": "x0", "type": 1}],
            "connections": [{"id": "a", "sourceNode": "0", "targetNode": 5}, {"id": "b", "sourceNode": "gone",
                "targetNode": 5}, {"id": "c", "sourceNode": "x0", "targetNode": "0", "targetParameter": "detune",
                "targetParameterRange": [-1, 1], "weight": 2, "note": true}]});
        let genome = json!({"data": {"genome": json!({
            "asNEATPatch": patch.to_string(),
            "waveNetwork": {"oneCPPNPerFrequency": true, "CPPNs": {"440": {"offspring": network("Output")},
                "1000": network("Output").to_string(), "99.5": {"offspring": network("Hidden")}, "low": 1}},
        }).to_string()}});
        let stock = Stock::from_json(&genome).unwrap();
        assert_eq!(stock.networks.iter().map(|n| n.key.clone().unwrap()).collect::<Vec<_>>(), ["1000", "440", "99.5"]);
        assert_eq!(
            stock.networks[1].neurons.iter().map(|n| n.id.as_str()).collect::<Vec<_>>().join(" "),
            "0 1 2 3 4 x2"
        );
        assert_eq!(stock.nodes[0].id, "xx0", "the id of the output, and the one after it, are taken");
        assert_eq!(stock.connections.len(), 2);
        assert_eq!(stock.connections[1].rest.get("note"), Some(&json!(true)));
        let text = read(&stock.to_json("x", &Birth::default()));
        // Only the node that could not keep its id is different.
        assert_eq!(text.replace("\"xx0\"", "\"0\""), read(&genome));
        let fault = Stock::from_json(&json!({"asNEATPatch": 3})).unwrap_err();
        assert_eq!(fault, Genome::from_json(&json!({"asNEATPatch": 3})).unwrap_err());
    }
}
