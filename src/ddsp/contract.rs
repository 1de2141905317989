//! The contract between a model file and the daemon; `models/README.md` is its specification.
//!
//! A file is checked from the outside in: its size, its names and shapes, its metadata, then each kind of node. None of
//! these checks executes any part of the file, so a hostile file cannot act before it is rejected.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{ModelProto, ValueInfoProto};

/// Version of the contract that this code implements.
pub const VERSION: &str = "1";
/// Maximum size of a model file in bytes: GRUs of 512 units, the largest published, take 7.5 MB.
pub const MOST_BYTES: u64 = 32 << 20;
/// Supported versions of the ONNX operator set.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=21;
/// Names of the input tensors, in order.
pub const INPUTS: [&str; 3] = ["pitch", "loudness", "state"];
/// Names of the output tensors, in order.
pub const OUTPUTS: [&str; 4] = ["amplitude", "harmonic_distribution", "noise_magnitudes", "next_state"];

const MOST_NODES: usize = 2_000;
const FLOAT: i32 = 1;
/// Allowed kinds of nodes: those whose work and results are bounded by the sizes of their inputs. Loops, branches and
/// anything that makes tensors of arbitrary size from a number are excluded.
const KINDS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Cos",
    "Div",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "GRU",
    "Gather",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "LSTM",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Reciprocal",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Sin",
    "Slice",
    "Softmax",
    "Softplus",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// Metadata of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Name of the instrument.
    pub instrument: String,
    /// Sample rate of the training material in Hz.
    pub sample_rate: u32,
    /// Frames between two steps, at `sample_rate`.
    pub hop: usize,
    /// Number of partials.
    pub harmonics: usize,
    /// Number of noise bands, evenly spaced from 0 Hz to half the sample rate.
    pub noise_bands: usize,
    /// Number of elements of the recurrent state.
    pub state: usize,
    /// Lowest and highest pitch of the training material, as MIDI numbers (69 is 440 Hz).
    pub pitch_range: (f64, f64),
    /// Softest and loudest level of the training material, in dBFS (RMS).
    pub loudness_range: (f64, f64),
    /// Breakpoints from the performer's loudness (0 to 1) to the model's, interpolated linearly.
    pub loudness_map: Vec<(f64, f64)>,
    /// Licence of the weights.
    pub licence: String,
    /// Source of the training material, and its performer.
    pub provenance: String,
    /// Date on which the model was made.
    pub date: String,
    /// Quality figures, as JSON.
    pub figures: String,
}

/// A violation of the contract: what was found, and what is expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ContractError {
    /// A metadata entry that is missing or invalid.
    #[error("metadata key {key} is '{found}'; expected {wanted}")]
    Description {
        /// The key, without `grooved.`.
        key: &'static str,
        /// The value found; empty if the key is missing.
        found: String,
        /// The expected value.
        wanted: String,
    },
    /// An input or output that is missing or has the wrong shape.
    #[error("{side} '{name}' is {found}; expected float32 [{wanted}]")]
    Tensor {
        /// `input` or `output`.
        side: &'static str,
        /// Name of the tensor.
        name: String,
        /// Its type and shape, or `missing`.
        found: String,
        /// The expected number of elements.
        wanted: usize,
    },
    /// Content that the contract does not allow.
    #[error("unsupported content: {what}")]
    Foreign {
        /// A description of the content.
        what: String,
    },
    /// A graph that reads a value which no node produces.
    #[error("broken graph: no node produces '{name}'")]
    Broken {
        /// Name of the missing value.
        name: String,
    },
    /// An unsupported operator set.
    #[error("operator set is {found}; must be between {} and {}", OPSETS.start(), OPSETS.end())]
    Opset {
        /// The operator sets that the file declares.
        found: String,
    },
}

impl Contract {
    /// Checks the names, shapes, metadata and node kinds of a file, and returns its metadata.
    ///
    /// # Errors
    /// The first violation found.
    pub fn read(proto: &ModelProto) -> Result<Contract, ContractError> {
        let contract = Description::of(proto).contract()?;
        contract.check_opsets(proto)?;
        contract.check_nodes(proto)?;
        contract.check_tensors(proto)?;
        contract.check_ends(proto)?;
        Ok(contract)
    }

    /// Maps a performer's loudness (0 to 1, clamped) to the loudness input of the model.
    pub fn loudness(&self, played: f64) -> f64 {
        let played = played.clamp(0.0, 1.0);
        let above = self.loudness_map.partition_point(|p| p.0 < played).clamp(1, self.loudness_map.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.loudness_map[above - 1], self.loudness_map[above]);
        y0 + (y1 - y0) * ((played - x0) / (x1 - x0)).clamp(0.0, 1.0)
    }

    /// Number of elements of an input or output, by name.
    fn length(&self, name: &str) -> usize {
        match name {
            "state" | "next_state" => self.state,
            "harmonic_distribution" => self.harmonics,
            "noise_magnitudes" => self.noise_bands,
            _ => 1,
        }
    }

    fn check_opsets(&self, proto: &ModelProto) -> Result<(), ContractError> {
        let plain = |domain: &str| domain.is_empty() || domain == "ai.onnx";
        let fine = proto.opset_import.iter().all(|set| plain(&set.domain) && OPSETS.contains(&set.version));
        match fine && !proto.opset_import.is_empty() {
            true => Ok(()),
            false => {
                let found: Vec<_> =
                    proto.opset_import.iter().map(|set| format!("{} {}", set.domain, set.version)).collect();
                Err(ContractError::Opset { found: found.join(", ").trim().to_string() })
            }
        }
    }

    fn check_nodes(&self, proto: &ModelProto) -> Result<(), ContractError> {
        let foreign = |what: String| Err(ContractError::Foreign { what });
        let Some(graph) = &proto.graph else { return foreign("no graph".into()) };
        if graph.node.len() > MOST_NODES {
            return foreign(format!("{} nodes", graph.node.len()));
        }
        if !proto.functions.is_empty() {
            return foreign("custom functions".into());
        }
        if let Some(node) = graph.node.iter().find(|n| !KINDS.contains(&n.op_type.as_str())) {
            return foreign(format!("a node of kind '{}'", node.op_type.chars().take(40).collect::<String>()));
        }
        if graph.initializer.iter().any(|t| t.data_location.unwrap_or(0) != 0 || !t.external_data.is_empty()) {
            return foreign("weights in an external file".into());
        }
        let weights: i64 = graph
            .initializer
            .iter()
            .map(|t| t.dims.iter().fold(1i64, |a, d| a.saturating_mul(*d)))
            .fold(0, i64::saturating_add);
        if weights < 0 || weights as u64 > MOST_BYTES {
            return foreign(format!("weights of {weights} elements"));
        }
        Ok(())
    }

    /// Checks that every value a node reads was produced before it.
    fn check_ends(&self, proto: &ModelProto) -> Result<(), ContractError> {
        let Some(graph) = &proto.graph else { return Err(ContractError::Foreign { what: "no graph".into() }) };
        let weights = graph.initializer.iter().map(|t| t.name.as_str());
        let mut made: HashSet<&str> = INPUTS.into_iter().chain(weights).collect();
        let loose = |name: &str| Err(ContractError::Broken { name: name.chars().take(40).collect() });
        for node in &graph.node {
            if let Some(name) = node.input.iter().find(|name| !name.is_empty() && !made.contains(name.as_str())) {
                return loose(name);
            }
            made.extend(node.output.iter().map(String::as_str));
        }
        OUTPUTS.into_iter().find(|name| !made.contains(name)).map_or(Ok(()), loose)
    }

    fn check_tensors(&self, proto: &ModelProto) -> Result<(), ContractError> {
        let Some(graph) = &proto.graph else { return Err(ContractError::Foreign { what: "no graph".into() }) };
        let weights: Vec<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        let inputs: Vec<_> = graph.input.iter().filter(|i| !weights.contains(&i.name.as_str())).collect();
        let outputs: Vec<_> = graph.output.iter().collect();
        for (side, wanted, there) in [("input", &INPUTS[..], inputs), ("output", &OUTPUTS[..], outputs)] {
            for name in wanted {
                let tensor = there.iter().find(|t| t.name == *name);
                let found = tensor.map_or("missing".to_string(), |t| shape_of(t));
                let length = self.length(name);
                if found != format!("float32 [{length}]") {
                    return Err(ContractError::Tensor { side, name: (*name).into(), found, wanted: length });
                }
            }
            if let Some(other) = there.iter().find(|t| !wanted.contains(&t.name.as_str())) {
                let name: String = other.name.chars().take(40).collect();
                return Err(ContractError::Foreign { what: format!("an {side} '{name}'") });
            }
        }
        Ok(())
    }
}

/// Formats the type and shape of a tensor for messages.
fn shape_of(tensor: &ValueInfoProto) -> String {
    let Some(Type::TensorType(found)) = tensor.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return "not a tensor".into();
    };
    let dims: Vec<String> = found
        .shape
        .iter()
        .flat_map(|s| &s.dim)
        .map(|d| match &d.value {
            Some(Dimension::DimValue(v)) => v.to_string(),
            Some(Dimension::DimParam(_)) | None => "?".into(),
        })
        .take(8)
        .collect();
    let kind = if found.elem_type == FLOAT { "float32".to_string() } else { format!("type {}", found.elem_type) };
    format!("{kind} [{}]", dims.join(", "))
}

/// The metadata entries of a file under `grooved.`, by key.
struct Description<'a>(HashMap<&'a str, &'a str>);

impl<'a> Description<'a> {
    fn of(proto: &'a ModelProto) -> Self {
        let keys = proto.metadata_props.iter();
        Self(keys.filter_map(|p| Some((p.key.strip_prefix("grooved.")?, p.value.as_str()))).collect())
    }

    fn text(&self, key: &'static str, wanted: &str) -> Result<&'a str, ContractError> {
        match self.0.get(key) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(self.wrong(key, wanted)),
        }
    }

    fn wrong(&self, key: &'static str, wanted: &str) -> ContractError {
        let found = self.0.get(key).map_or(String::new(), |v| v.chars().take(60).collect());
        ContractError::Description { key, found, wanted: wanted.into() }
    }

    fn exactly(&self, key: &'static str, wanted: &str) -> Result<(), ContractError> {
        if self.0.get(key) == Some(&wanted) { Ok(()) } else { Err(self.wrong(key, wanted)) }
    }

    fn number(&self, key: &'static str, least: usize, most: usize) -> Result<usize, ContractError> {
        let wanted = format!("an integer from {least} to {most}");
        match self.text(key, &wanted)?.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(self.wrong(key, &wanted)),
        }
    }

    fn range(&self, key: &'static str, least: f64, most: f64) -> Result<(f64, f64), ContractError> {
        let wanted = format!("two increasing numbers between {least} and {most}, as in '{least} {most}'");
        let found: Vec<f64> = self.text(key, &wanted)?.split(' ').filter_map(|n| n.parse().ok()).collect();
        match found[..] {
            [low, high] if least <= low && low < high && high <= most => Ok((low, high)),
            _ => Err(self.wrong(key, &wanted)),
        }
    }

    /// Parses breakpoints such as `0:0 0.05:0.3 1:0.8`: 2 to 32 points, increasing, from 0:0 to 1.
    fn map(&self, key: &'static str) -> Result<Vec<(f64, f64)>, ContractError> {
        let wanted = "increasing points from 0 to 1, as in '0:0 0.05:0.3 1:0.8'";
        let point = |text: &str| {
            let (x, y) = text.split_once(':')?;
            Some((x.parse().ok()?, y.parse().ok()?))
        };
        let points: Option<Vec<(f64, f64)>> = self.text(key, wanted)?.split(' ').map(point).collect();
        let inside = |v: f64| (0.0..=1.0).contains(&v);
        match points {
            Some(points)
                if (2..=32).contains(&points.len())
                    && points.first().is_some_and(|p| *p == (0.0, 0.0))
                    && points.last().is_some_and(|p| p.0 == 1.0)
                    && points.iter().all(|p| inside(p.0) && inside(p.1))
                    && points.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1) =>
            {
                Ok(points)
            }
            _ => Err(self.wrong(key, wanted)),
        }
    }

    fn contract(&self) -> Result<Contract, ContractError> {
        self.exactly("contract", VERSION)?;
        self.exactly("pitch_scaling", "midi/127")?;
        self.exactly("loudness_scaling", "dbfs/80+1")?;
        self.exactly("amplitude_scaling", "linear")?;
        self.exactly("noise_scaling", "linear")?;
        let words = |key| self.text(key, "a non-empty text").map(str::to_string);
        Ok(Contract {
            instrument: words("instrument")?,
            sample_rate: self.number("sample_rate", 8_000, 96_000)? as u32,
            hop: self.number("hop", 32, 4_800)?,
            harmonics: self.number("harmonics", 1, 200)?,
            noise_bands: self.number("noise_bands", 2, 257)?,
            state: self.number("state", 1, 2_048)?,
            pitch_range: self.range("pitch_range", 0.0, 127.0)?,
            loudness_range: self.range("loudness_range", -80.0, 0.0)?,
            loudness_map: self.map("loudness_map")?,
            licence: words("licence")?,
            provenance: words("provenance")?,
            date: words("date")?,
            figures: words("figures")?,
        })
    }
}
