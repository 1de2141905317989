//! Genomes: files, and requests of the render socket that contain one.

use grooved::genome::evolve::{Birth, Random, Rates, Stock, mutate};
use grooved::genome::{Address, Evaluation, Genome, Pitch, STACK, Sound, render_whole};

use serde_json::Value;

use super::Target;

/// JSON or gzip as a genome, which is rendered for a moment, written again and mutated; or the name of a sound.
pub const GENOME: Target = Target { name: "genome", run, seeds, words: WORDS };

const WORDS: &[&str] = &[
    "genome:",
    "?duration=",
    "\"genome\":{",
    "\"waveNetwork\":{",
    "\"offspring\":{",
    "\"asNEATPatch\":",
    "\"oneCPPNPerFrequency\":true",
    "\"nodes\":[",
    "\"connections\":[",
    "\"nodeType\":\"Hidden\"",
    "\"activationFunction\":\"spike\"",
    "\"weight\":1e308",
    "\"targetParameter\":\"frequency\"",
    "\"targetParameterRange\":[0,1]",
    "\"name\":\"DelayNode\"",
    "\"name\":\"FilterNode\"",
    "\"name\":\"NetworkOutputNode\"",
    "\"type\":\"noisePink\"",
    "null",
    "-0.0",
    "{",
    "}",
    "[",
    "]",
    ",",
];

/// Frames that are rendered.
const FRAMES: f64 = 300.0;

/// Runs the target [`GENOME`].
pub fn run(data: &[u8]) {
    if let Ok(name) = std::str::from_utf8(data) {
        let _ = Address::parse(name);
    }
    let Ok(genome) = Genome::from_bytes(data) else { return };
    let sound = Sound { duration: FRAMES / 48_000.0, note_delta: Pitch::Semitones(0.0), velocity: 0.7 };
    let work = || {
        if let Ok(samples) = render_whole(&genome, sound, Evaluation::Lazy) {
            assert!(samples.len() == FRAMES as usize && samples.iter().all(|s| s.is_finite()), "a sound is finite");
        }
    };
    // As in the daemon, with the stack that the audio graph wants.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        thread.expect("a thread").join().expect("a render that fails is an error");
    });
    let Ok(value) = serde_json::from_slice(data) else { return };
    let mut stock = Stock::from_json(&value).expect("what is read can be changed");
    Genome::from_json(&stock.to_json("x", &Birth::default())).expect("what is written can be read");
    let mut random = Random::new(data.len() as u64);
    for _ in 0..3 {
        mutate(&mut stock, &mut random, &Rates::default());
        if stock.is_audible() {
            Genome::from_json(&stock.to_json("x", &Birth::default())).expect("what was mutated can be read");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut random = Random::new(1);
    let mut seeds = Vec::new();
    for _ in 0..6 {
        let mut genome = Stock::minimal(&mut random).to_json("bred", &Birth::default());
        seeds.push(genome.to_string().into_bytes());
        // The same without texts inside of texts.
        unfold(&mut genome);
        seeds.push(genome["genome"].to_string().into_bytes());
    }
    seeds.push(b"genome:01JF2N9RZ07V06EJ4DJ9ZGCM2D?duration=8&noteDelta=3&velocity=0.7".to_vec());
    seeds
}

/// Replaces texts that contain JSON objects by these.
fn unfold(value: &mut Value) {
    if let Value::String(text) = value
        && let Ok(inner @ Value::Object(_)) = serde_json::from_str(text)
    {
        *value = inner;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(unfold),
        Value::Array(items) => items.iter_mut().for_each(unfold),
        _ => {}
    }
}
