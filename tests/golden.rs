//! Offline renders of the real program: bit-identical for every period size and in every run.

mod common;

use common::{Scratch, grooved};
use grooved::config::Config;
use grooved::control::commands::value::Value;
use grooved::daemon::opening::Opening;
use grooved::daemon::until::Until;
use grooved::daemon::{LastShow, Options, OutputMode, render};

fn render(scratch: &Scratch, name: &str, args: &[&str]) -> Vec<u8> {
    let out = scratch.path(name);
    let status = grooved()
        .current_dir(&scratch.0)
        .args(["--render", "3", "--output", &format!("wav:{}", out.display())])
        .args(args)
        .status()
        .unwrap();
    assert!(status.success(), "{args:?}");
    std::fs::read(out).unwrap()
}

#[test]
fn renders_are_equal_for_every_period_size_and_every_time() {
    let scratch = Scratch::new("golden");
    // One streamed and one fully resident stem, at sample rates other than the output's.
    scratch.wav("a.wav", 44_100, 44_100 * 6, |k| {
        let noise = ((k as u32).wrapping_mul(2_654_435_761) as i32) as f32 / 1.0e10;
        (noise, -noise)
    });
    scratch.sine("b.wav", 96_000, 1, 333, 0.2);
    let plan = [
        "--a",
        "a.wav",
        "--b",
        "b.wav",
        "--rate",
        "0.979",
        "--ab",
        "0.9",
        "0.5",
        "--bpm",
        "126",
        "--c_preload",
        "b.wav",
        "--c_at",
        "1.2345",
    ];
    let reference = render(&scratch, "reference.wav", &plan);
    assert!(reference.len() > 3 * 48_000 * 8);
    assert!(reference[1000..].iter().any(|b| *b != 0), "silent");
    for size in ["16", "64", "441", "1023", "1024", "4096"] {
        let mut args = plan.to_vec();
        args.extend(["--buffer-size", size]);
        assert!(render(&scratch, "again.wav", &args) == reference, "period {size}");
    }
    // And the result does depend on the arguments.
    let other = ["--a", "a.wav", "--rate", "0.98"];
    assert!(render(&scratch, "other.wav", &other) != reference);
}

/// Returns an opening for what the command line has no flags for: equalisers, crossfades and notes, some at a later time.
fn opening(scratch: &Scratch, with_notes: bool) -> Opening {
    let mut opening = Opening::default();
    opening.load(100, &scratch.path("a.wav"), "noise");
    opening.load(1100, &scratch.path("b.wav"), "tone");
    let f = Value::Float;
    opening.call("/groove/stem/play", vec![Value::Int(100), f(1.013), f(0.8), Value::Int(1)]);
    opening.call("/groove/stem/play", vec![Value::Int(1100), f(0.77), f(0.6), Value::Int(1)]);
    opening.call("/groove/deck/a/eq/low", vec![f(10.0)]);
    opening.call("/groove/deck/b/eq/high", vec![f(95.0)]);
    let mut later = |seconds: f64, address: &str, args: Vec<Value>| {
        opening.call("/groove/at", [vec![f(seconds), address.into()], args].concat());
    };
    later(0.5, "/groove/deck/a/eq/mid", vec![f(80.0)]);
    later(0.7, "/groove/crossfade", vec![f(1.0), "power".into(), f(1.0)]);
    later(1.1, "/groove/deck/a/eq/low", vec![f(90.0)]);
    if with_notes {
        for (k, note) in [60.0, 64.5, 67.0].into_iter().enumerate() {
            later(0.2 + 0.3 * k as f64, "/groove/note/on", vec![f(note), f(100.0)]);
        }
        later(2.0, "/groove/note/off", vec![f(60.0)]);
    }
    opening
}

fn render_opening(scratch: &Scratch, opening: Opening, size: usize, name: &str) -> Vec<u8> {
    let mut config = Config::default();
    config.output.buffer_size = size;
    config.ddsp.models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    config.voices.polyphony = if cfg!(feature = "ddsp") { 4 } else { 0 };
    config.voices.instrument = "clarinet".into();
    let path = scratch.path(name);
    let output = OutputMode::Wav(path.clone());
    render::render(
        &Options {
            config,
            config_path: None,
            output,
            opening,
            show: LastShow::None,
            measure: false,
            until: Until::Signal,
        },
        3.0,
        &path,
    )
    .unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn equalisers_and_notes_are_equal_for_every_period_size_too() {
    let scratch = Scratch::new("golden-plan");
    scratch.wav("a.wav", 44_100, 44_100 * 4, |k| {
        let noise = ((k as u32).wrapping_mul(2_654_435_761) as i32) as f32 / 1.0e10;
        (noise, -0.5 * noise)
    });
    scratch.sine("b.wav", 96_000, 2, 333, 0.2);
    let mixed = render_opening(&scratch, opening(&scratch, false), 1024, "mixed.wav");
    for size in [64, 441] {
        assert!(render_opening(&scratch, opening(&scratch, false), size, "again.wav") == mixed, "period {size}");
    }
    let voiced = render_opening(&scratch, opening(&scratch, true), 1024, "voiced.wav");
    assert!(render_opening(&scratch, opening(&scratch, true), 1024, "again.wav") == voiced, "not reproducible");
    assert!(!cfg!(feature = "ddsp") || voiced != mixed, "notes are not heard");
    // `make test-arm64` compares them with those of another processor.
    if let Some(folder) = std::env::var_os("GROOVED_RENDERS") {
        for name in ["mixed.wav", "voiced.wav"] {
            std::fs::copy(scratch.path(name), std::path::Path::new(&folder).join(name)).unwrap();
        }
    }
}
