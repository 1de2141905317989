//! Voices of a DDSP stream, driven by its messages.

use std::path::Path;
use std::sync::LazyLock;

use grooved::control::faces::ddsp::protocol::{self, StreamCommand};
use grooved::ddsp::model::Model;
use grooved::ddsp::stream::{Stream, voices};

use super::Target;
use super::protocol::{SHAPE, WORDS, seeds};

/// Messages as for `protocol`, applied to a stream of two flute voices; a frame is rendered after each.
pub const STREAM: Target = Target { name: "stream", run, seeds, words: WORDS };

const VOICES: usize = 2;
/// Maximum number of frames in one run.
const MOST_FRAMES: usize = 40;
/// Maximum number of samples rendered per frame, whatever its format.
const MOST_SAMPLES: usize = 4_800;

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    Model::open(&Path::new(env!("CARGO_MANIFEST_DIR").trim_end_matches("/fuzz")).join("models/flute.onnx"))
        .expect("the flute is there")
});

/// Runs the target [`STREAM`].
pub fn run(data: &[u8]) {
    let mut stream = Stream::new(&*MODEL, VOICES, SHAPE.rate).expect("a stream can be made");
    let mut shape = SHAPE;
    let mut block = vec![0.0; MOST_SAMPLES];
    for line in String::from_utf8_lossy(data).lines().take(MOST_FRAMES) {
        let heard = protocol::parse(line).and_then(|json| protocol::read(&json, VOICES, &shape));
        for order in heard.map(|h| h.orders).unwrap_or_default() {
            match order {
                StreamCommand::Update(update, after) => drop(stream.update(update, after)),
                StreamCommand::Instrument(_) => {
                    stream.swap(voices(&*MODEL, VOICES, shape.rate).expect("voices can be made"))
                }
                StreamCommand::Reshape(other) => {
                    if other.rate != shape.rate {
                        stream = stream.resample(&*MODEL, other.rate).expect("a stream can be made");
                    }
                    shape = other;
                }
                StreamCommand::Monitor(_) | StreamCommand::Hello => {}
            }
        }
        let block = &mut block[..shape.samples().min(MOST_SAMPLES)];
        stream.fill(block);
        assert!(block.iter().all(|s| s.is_finite()), "after {line}");
        assert!(stream.sounding() <= VOICES);
        let _ = (stream.awaits(), stream.silent(), stream.unplayed());
    }
}
