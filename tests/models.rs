//! The instruments in `models/`: each satisfies the contract, and tract agrees with ONNX Runtime.
#![cfg(feature = "ddsp")]

use std::path::{Path, PathBuf};
use std::process::Command;

use grooved::ddsp::model::{Model, ModelRunner};
use proptest::prelude::*;

/// Maximum difference between tract and ONNX Runtime.
const AGREEMENT: f32 = 1e-5;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// The shipped instruments; others in the folder are ignored.
const SHIPPED: [&str; 7] = ["cello", "clarinet", "flute", "oboe", "saxophone", "trombone", "violin"];

fn models() -> Vec<PathBuf> {
    SHIPPED.map(|name| folder().join(format!("{name}.onnx"))).into()
}

/// A running model with buffers for its output.
struct Bench {
    player: ModelRunner,
    partials: Vec<f32>,
    noise: Vec<f32>,
}

impl Bench {
    fn of(model: &Model) -> Bench {
        let c = model.contract();
        Bench { player: model.player().unwrap(), partials: vec![0.0; c.harmonics], noise: vec![0.0; c.noise_bands] }
    }

    fn step(&mut self, pitch: f32, loudness: f32) -> f32 {
        self.player.step(pitch, loudness, &mut self.partials, &mut self.noise).unwrap()
    }

    /// Returns the level of the last step's controls in dBFS: sines of their amplitudes, and uniform noise whose
    /// power is spread over the bands.
    fn level_db(&self, amplitude: f32) -> f64 {
        let tonal: f64 = self.partials.iter().map(|d| f64::from(d * amplitude).powi(2) / 2.0).sum();
        let noise: f64 = self.noise.iter().map(|m| f64::from(*m).powi(2) / 3.0).sum::<f64>() / self.noise.len() as f64;
        10.0 * (tonal + noise + 1e-20).log10()
    }
}

#[test]
fn the_instruments_that_are_promised_are_there_and_small() {
    for path in models() {
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert!(bytes < 1_000_000, "{} has {bytes} bytes", path.display());
        for beside in ["md", "png"] {
            assert!(path.with_extension(beside).exists(), "{} has no .{beside} beside it", path.display());
        }
    }
}

#[test]
fn every_instrument_keeps_the_contract() {
    for path in models() {
        let model = Model::open(&path).unwrap();
        let c = model.contract();
        assert_eq!(c.instrument, path.file_stem().unwrap().to_str().unwrap());
        assert_eq!(c.sample_rate, 48_000);
        assert!(c.hop <= 480, "{}: hop {}", c.instrument, c.hop);
        assert!(c.loudness(0.0) == 0.0 && c.loudness(1.0) > c.loudness(0.5));
        let loudest = c.loudness_range.1 / 80.0 + 1.0;
        assert!((c.loudness(1.0) - loudest).abs() < 1e-2, "{}: the map ends elsewhere than the range", c.instrument);
        let figures: serde_json::Value = serde_json::from_str(&c.figures).unwrap();
        let closed = figures["distance_db"]["closed_percent"].as_f64().unwrap();
        assert!(closed >= 60.0, "{}: {closed} % of the way from floor to ceiling", c.instrument);
    }
}

/// A file written by `models/trainer/vectors.py`.
struct Vectors {
    numbers: Vec<f32>,
    at: usize,
}

impl Vectors {
    fn of(model: &Path) -> Vectors {
        let name = model.with_extension("f32").file_name().unwrap().to_owned();
        let bytes = std::fs::read(folder().join("vectors").join(name)).unwrap();
        let numbers = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        Vectors { numbers, at: 0 }
    }

    fn take(&mut self, count: usize) -> Vec<f32> {
        self.at += count;
        self.numbers[self.at - count..self.at].to_vec()
    }
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn tract_agrees_with_onnx_runtime_over_a_thousand_steps() {
    for path in models() {
        let model = Model::open(&path).unwrap();
        let mut vectors = Vectors::of(&path);
        let head: Vec<usize> = vectors.take(5).iter().map(|n| *n as usize).collect();
        let [steps, every, harmonics, bands, state] = head[..] else { panic!("five numbers") };
        let c = model.contract();
        assert_eq!((harmonics, bands, state), (c.harmonics, c.noise_bands, c.state));
        assert!(steps >= 1_000);
        let (pitch, loudness, amplitude) = (vectors.take(steps), vectors.take(steps), vectors.take(steps));
        assert!(amplitude.iter().any(|a| *a > 0.01), "the vectors of {} hold silence", path.display());
        let mut bench = Bench::of(&model);
        let mut worst = 0.0f32;
        for step in 0..steps {
            let found = bench.step(pitch[step], loudness[step]);
            worst = worst.max((found - amplitude[step]).abs());
            if (step + 1) % every == 0 {
                worst = worst.max(farthest(&bench.partials, &vectors.take(harmonics)));
                worst = worst.max(farthest(&bench.noise, &vectors.take(bands)));
                worst = worst.max(farthest(&bench.player.state().unwrap(), &vectors.take(state)));
            }
        }
        assert_eq!(vectors.at, vectors.numbers.len());
        println!("{}: at most {worst:.1e} apart", c.instrument);
        assert!(worst <= AGREEMENT, "{}: {worst:e} apart", c.instrument);
    }
}

#[test]
fn extremes_stay_finite_silence_is_silent_and_louder_is_louder() {
    for path in models() {
        let model = Model::open(&path).unwrap();
        let c = model.contract().clone();
        let mut bench = Bench::of(&model);
        for pitch in [f32::NAN, f32::NEG_INFINITY, -1e9, -1.0, 0.0, 0.5, 1.0, 2.0, 1e9, f32::INFINITY] {
            for loudness in [f32::NAN, f32::NEG_INFINITY, -1e9, -1.0, 0.0, 0.5, 1.0, 2.0, 1e9, f32::INFINITY] {
                for _ in 0..3 {
                    let amplitude = bench.step(pitch, loudness);
                    let rest = bench.player.state().unwrap();
                    let values = bench.partials.iter().chain(&bench.noise).chain(&rest).chain([&amplitude]);
                    assert!(
                        values.clone().all(|v| v.is_finite() && v.abs() < 1e3),
                        "{} {pitch} {loudness}",
                        c.instrument
                    );
                }
            }
        }
        for place in [0.1, 0.5, 0.9] {
            let pitch = ((c.pitch_range.0 + place * (c.pitch_range.1 - c.pitch_range.0)) / 127.0) as f32;
            let mut before = f64::NEG_INFINITY;
            for under in (0..=10).rev() {
                bench.player.reset().unwrap();
                let loudness = ((c.loudness_range.1 - 3.0 * f64::from(under)) / 80.0 + 1.0) as f32;
                let amplitude = (0..60).map(|_| bench.step(pitch, loudness)).last().unwrap();
                let level = bench.level_db(amplitude);
                assert!(level > before, "{} at {pitch}: {level} dB after {before} dB", c.instrument);
                before = level;
            }
            let amplitude = bench.step(pitch, 0.0);
            assert!(bench.level_db(amplitude) <= -80.0, "{} sounds at loudness 0", c.instrument);
            bench.step(pitch, 0.0);
            let asleep = bench.player.state().unwrap();
            bench.player.reset().unwrap();
            bench.step(pitch, 0.0);
            assert!(
                farthest(&asleep, &bench.player.state().unwrap()) < 1e-5,
                "{} remembers through silence",
                c.instrument
            );
        }
    }
}

/// Writes a copy of the flute with some of its bytes replaced.
fn patched(name: &str, from: &[u8], to: &[u8]) -> PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(folder().join("flute.onnx")).unwrap();
    let at = bytes.windows(from.len()).position(|w| w == from).expect("these bytes are in it");
    bytes[at..at + to.len()].copy_from_slice(to);
    written(name, &bytes)
}

fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("grooved-models-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_no_instrument_gets_one_line_that_says_why() {
    let cases: Vec<(PathBuf, &str)> = vec![
        (PathBuf::from("/nowhere/violin.onnx"), "Model file not found: /nowhere/violin.onnx"),
        (written("old.tflite", b"TFL3"), "python3 models/convert.py"),
        (written("empty.onnx", b""), "is not an ONNX model"),
        (written("text.onnx", b"These are no weights at all."), "is not an ONNX model"),
        (std::env::temp_dir(), "Model file not found"),
        (
            patched("key.onnx", b"grooved.hop", b"grooved.hoq"),
            "metadata key hop is ''; expected an integer from 32 to 4800",
        ),
        (patched("scaling.onnx", b"midi/127", b"midi/128"), "pitch_scaling is 'midi/128'; expected midi/127"),
        (patched("rate.onnx", b"48000", b"4800x"), "sample_rate is '4800x'; expected an integer from 8000 to 96000"),
        (patched("kind.onnx", b"LeakyRelu", b"EvilRelus"), "unsupported content: a node of kind 'EvilRelus'"),
        (patched("output.onnx", b"\x12\x09amplitude", b"\x12\x09amplitudo"), "no node produces 'amplitude'"),
    ];
    for (path, wanted) in cases {
        let said = Model::open(&path).expect_err(wanted).to_string();
        assert!(said.contains(wanted), "{said}");
        assert!(said.lines().count() == 1 && said.contains(path.to_str().unwrap()), "{said}");
        let done = Command::new(env!("CARGO_BIN_EXE_grooved")).arg("check-model").arg(&path).output().unwrap();
        assert_eq!(done.status.code(), Some(65));
        assert!(String::from_utf8_lossy(&done.stderr).contains(wanted));
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// A tensor concatenated with itself 33 times: half a kilobyte that needs 32 GB (`fixtures/greedy.onnx` was made by
/// `models/tests/greedy.py`).
#[test]
fn a_small_file_that_wants_much_memory_is_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/greedy.onnx");
    let said = Model::open(&path).expect_err("it would take 32 GB").to_string();
    assert!(said.contains("elements; must be at most"), "{said}");
}

#[test]
fn the_command_says_what_a_model_is_and_what_a_step_takes() {
    let done = Command::new(env!("CARGO_BIN_EXE_grooved")).arg("check-model").args(models()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(said.matches(": ok").count(), models().len());
    assert_eq!(said.matches("a step takes").count(), models().len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// A file with flipped bits is either rejected or played.
    #[test]
    fn a_rotten_file_is_refused_or_played(seed in any::<u64>(), cut in any::<bool>()) {
        let mut bytes = std::fs::read(folder().join("flute.onnx")).unwrap();
        let mut random = seed;
        let mut draw = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        // Weights make up nearly all of a file; the graph is described at its beginning and end.
        for _ in 0..4 {
            let length = bytes.len();
            let at = match draw(3) { 0 => draw(4_000), 1 => length - 1 - draw(4_000), _ => draw(length) };
            bytes[at] ^= 1 << draw(8);
        }
        if cut {
            let length = draw(bytes.len());
            bytes.truncate(length);
        }
        let path = written(&format!("rotten-{seed}.onnx"), &bytes);
        let opened = Model::open(&path);
        std::fs::remove_file(&path).unwrap();
        if let Ok(model) = opened {
            let mut bench = Bench::of(&model);
            bench.step(0.5, 0.5);
        }
    }
}
