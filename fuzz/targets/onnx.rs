//! Model files of instruments.

use std::path::Path;

use grooved::ddsp::model::Model;

use super::Target;

/// Bytes as a model file, which then runs a few steps.
pub const ONNX: Target = Target { name: "onnx", run, seeds, words: WORDS };

const WORDS: &[&str] = &[
    "pitch",
    "loudness",
    "state",
    "amplitude",
    "harmonic_distribution",
    "noise_magnitudes",
    "next_state",
    "Add",
    "Mul",
    "MatMul",
    "Gemm",
    "GRU",
    "Concat",
    "Split",
    "Slice",
    "Gather",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Softmax",
    "ReduceSum",
    "Constant",
    "Cast",
    "Where",
    "Pow",
    "Clip",
    "axis",
    "perm",
    "hidden_size",
    "value",
    "to",
    "grooved.hop",
    "grooved.harmonics",
    "grooved.state",
    "48000",
];

/// Runs the target [`ONNX`].
pub fn run(data: &[u8]) {
    let Ok(model) = Model::read(data, Path::new("fuzz.onnx")) else { return };
    let contract = model.contract().clone();
    let (mut partials, mut noise) = (vec![0.0; contract.harmonics], vec![0.0; contract.noise_bands]);
    let Ok(mut player) = model.player() else { return };
    for (pitch, loudness) in [(0.5, 0.5), (f32::NAN, 1.0), (-1e30, 1e30)] {
        let _ = player.step(pitch, loudness, &mut partials, &mut noise);
    }
}

/// Encodes a length-delimited field of a protocol buffer.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

/// Encodes a field with an integer below 128.
fn whole(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn node(kind: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = inputs.iter().flat_map(|i| field(1, i.as_bytes())).collect();
    bytes.extend(field(2, output.as_bytes()));
    bytes.extend(field(4, kind.as_bytes()));
    bytes.extend(attributes.iter().flat_map(|a| field(5, a)));
    field(1, &bytes)
}

/// Encodes an integer attribute.
fn attribute(name: &str, value: u8) -> Vec<u8> {
    [field(1, name.as_bytes()), whole(3, value), vec![0xa0, 0x01, 0x02]].concat()
}

/// Encodes a constant tensor of floats.
fn constant(name: &str, shape: &[u8], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let shape = shape.iter().flat_map(|d| whole(1, *d));
    field(5, &[shape.collect(), whole(2, 1), field(8, name.as_bytes()), field(9, &raw)].concat())
}

/// Encodes an input (11) or output (12): a vector of floats.
fn end(side: u8, name: &str, length: u8) -> Vec<u8> {
    let shape = field(2, &field(1, &whole(1, length)));
    let tensor = field(1, &[whole(1, 1), shape].concat());
    field(side, &[field(1, name.as_bytes()), field(2, &tensor)].concat())
}

/// Encodes a complete model with four partials, two noise bands and a state of four.
fn model(nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
    let ends = [
        end(11, "pitch", 1),
        end(11, "loudness", 1),
        end(11, "state", 4),
        end(12, "amplitude", 1),
        end(12, "harmonic_distribution", 4),
        end(12, "noise_magnitudes", 2),
        end(12, "next_state", 4),
    ];
    let graph = [nodes.concat(), field(2, b"instrument"), constants.concat(), ends.concat()].concat();
    let said = [
        ("contract", "1"),
        ("pitch_scaling", "midi/127"),
        ("loudness_scaling", "dbfs/80+1"),
        ("amplitude_scaling", "linear"),
        ("noise_scaling", "linear"),
        ("instrument", "fuzz"),
        ("sample_rate", "48000"),
        ("hop", "480"),
        ("harmonics", "4"),
        ("noise_bands", "2"),
        ("state", "4"),
        ("pitch_range", "40 80"),
        ("loudness_range", "-50 -10"),
        ("loudness_map", "0:0 1:1"),
        ("licence", "none"),
        ("provenance", "none"),
        ("date", "none"),
        ("figures", "{}"),
    ];
    let said = said.iter().flat_map(|(key, value)| {
        field(14, &[field(1, format!("grooved.{key}").as_bytes()), field(2, value.as_bytes())].concat())
    });
    [whole(1, 8), field(7, &graph), field(8, &whole(2, 17)), said.collect()].concat()
}

/// Two small playable instruments, and the file that `tests/models.rs` expects to be rejected.
pub fn seeds() -> Vec<Vec<u8>> {
    let weights: Vec<f32> = (0..48).map(|k| (k as f32 * 0.7).sin()).collect();
    let simple = model(
        &[
            node("Mul", &["pitch", "loudness"], "amplitude", &[]),
            node("Add", &["state", "bias"], "next_state", &[]),
            node("Softmax", &["next_state"], "harmonic_distribution", &[attribute("axis", 0)]),
            node("Concat", &["pitch", "loudness"], "noise_magnitudes", &[attribute("axis", 0)]),
        ],
        &[constant("bias", &[4], &[0.0, 0.1, -0.1, 0.5])],
    );
    let layered = model(
        &[
            node("Concat", &["pitch", "loudness", "state"], "all", &[attribute("axis", 0)]),
            node("MatMul", &["all", "wide"], "product", &[]),
            node("Tanh", &["product"], "hidden", &[]),
            node("MatMul", &["hidden", "out"], "moved", &[]),
            node("ReduceSum", &["hidden"], "sum", &[attribute("keepdims", 1)]),
            node("Sigmoid", &["sum"], "amplitude", &[]),
            node("Softmax", &["hidden"], "harmonic_distribution", &[attribute("axis", 0)]),
            node("Relu", &["loud_twice"], "noise_magnitudes", &[]),
            node("Clip", &["moved"], "next_state", &[]),
        ],
        &[
            constant("wide", &[6, 4], &weights[..24]),
            constant("out", &[4, 4], &weights[24..40]),
            constant("loud_twice", &[2], &[0.5, 1.0]),
        ],
    );
    vec![simple, layered, include_bytes!("../../tests/fixtures/greedy.onnx").to_vec()]
}
