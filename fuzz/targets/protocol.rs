//! Messages of the DDSP stream protocol.

use grooved::control::faces::ddsp::protocol::{self, Format, Shape};

use super::Target;

/// Text as messages of the stream protocol, one per line.
pub const PROTOCOL: Target = Target { name: "protocol", run, seeds, words: WORDS };

/// Words of the protocol, for the dictionary.
pub const WORDS: &[&str] = &[
    "{\"f0s\":[440.0,550.0],\"loudness\":0.7}",
    "\"f0s\":",
    "\"f0\":",
    "\"loudness\":",
    "\"type\":",
    "\"gain\"",
    "\"note_on\"",
    "\"note_off\"",
    "\"hello\"",
    "\"reset\"",
    "\"note\":60",
    "\"velocity\":",
    "\"pitch_shift\":",
    "\"harmonic_gain\":",
    "\"noise_gain\":",
    "\"instrument\":",
    "\"monitor\":",
    "\"format\":\"f32\"",
    "\"frame_ms\":",
    "\"rate\":44100",
    "\"mode\":\"pull\"",
    "\"at\":",
    "null",
    "1e308",
    "-1e308",
    "1e-310",
    "\"440\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
];

/// The initial format of a stream.
pub const SHAPE: Shape = Shape { format: Format::S16, frame_ms: 10.0, rate: 48_000, pull: false };

/// Runs the target [`PROTOCOL`].
pub fn run(data: &[u8]) {
    let mut shape = SHAPE;
    for line in String::from_utf8_lossy(data).lines() {
        match protocol::parse(line) {
            Ok(json) => {
                let _ = protocol::is_new(&json);
                match protocol::read(&json, 4, &shape) {
                    Ok(heard) => {
                        for order in heard.orders {
                            if let protocol::StreamCommand::Reshape(other) = order {
                                assert!((1..=192_000).contains(&other.samples()), "{other:?}");
                                shape = other;
                            }
                        }
                    }
                    Err(wrong) => drop(wrong.to_json()),
                }
            }
            Err(wrong) => drop(wrong.to_json()),
        }
    }
}

/// All examples of the protocol's documentation, separately and in sequence.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines = [
        r#"{"f0s":[440.0,550.0],"loudness":0.7}"#,
        r#"{"f0":"440","loudness":[0.5,0.1]}"#,
        r#"{"type":"gain","value":0.5}"#,
        r#"{"type":"note_on","note":60,"velocity":100}"#,
        r#"{"type":"note_off","note":60}"#,
        r#"{"pitch_shift":-12,"harmonic_gain":1,"noise_gain":0.5,"gain":2,"instrument":"cello","reset":true}"#,
        r#"{"at":250,"f0s":[440]}"#,
        r#"[{"f0s":[440]},{"at":500,"f0s":[]},{"f0s":null}]"#,
        r#"{"type":"hello"}"#,
        r#"{"monitor":true}"#,
        r#"{"format":"f32","frame_ms":10,"rate":44100,"mode":"pull"}"#,
    ];
    let mut seeds: Vec<Vec<u8>> = lines.iter().map(|l| l.as_bytes().to_vec()).collect();
    seeds.push(lines.join("\n").into_bytes());
    seeds
}
