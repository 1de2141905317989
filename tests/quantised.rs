//! Quantised starts and loops, measured in the sound of the built program.

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::{Daemon, Scratch, Sound, f, i, p, s};

const RATE: usize = 48_000;

/// Writes a track of ticks on the left or right, each with its own pitch, which identifies it.
/// The first tick is at `first` seconds; a beat grid is written beside the file.
fn track(scratch: &Scratch, name: &str, bpm: f64, first: f64, right: bool) -> PathBuf {
    let period = 60.0 / bpm;
    let path = scratch.wav(&format!("{name}.wav"), RATE as u32, 40 * RATE, |frame| {
        let t = frame as f64 / RATE as f64 - first;
        let k = (t / period).floor();
        let into = t - k * period;
        let v = match k >= 0.0 && into < 0.03 {
            true => 0.5 * (1.0 - into / 0.03) * (std::f64::consts::TAU * pitch(k as usize) * into).cos(),
            false => 0.0,
        };
        if right { (0.0, v as f32) } else { (v as f32, 0.0) }
    });
    let beats: Vec<f64> = (0..60).map(|k| first + f64::from(k) * period).filter(|t| *t < 40.0).collect();
    let bars: Vec<f64> = beats.iter().copied().step_by(4).collect();
    let grid = serde_json::json!({ "bpm": bpm, "beats": beats, "downbeats": bars });
    std::fs::write(scratch.path(&format!("{name}.json")), grid.to_string()).unwrap();
    path
}

fn pitch(k: usize) -> f64 {
    800.0 + 100.0 * k as f64
}

/// Returns the ticks of one channel: (seconds, number).
fn ticks(sound: &[f32], speed: f64) -> Vec<(f64, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(k) = sound[at..].iter().position(|v| v.abs() > 0.05) {
        let start = at + k;
        let Some(piece) = sound.get(start..start + 1_200) else { break };
        let energy = |hz: f64| {
            let (re, im) = piece.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, v)| {
                let angle = std::f64::consts::TAU * hz * n as f64 / RATE as f64;
                (re + f64::from(*v) * angle.cos(), im + f64::from(*v) * angle.sin())
            });
            re * re + im * im
        };
        let which = (0..60).max_by(|a, b| energy(speed * pitch(*a)).total_cmp(&energy(speed * pitch(*b)))).unwrap();
        found.push((start as f64 / RATE as f64, which));
        at = start + 4_800;
    }
    found
}

#[test]
fn starts_and_loops_fall_on_beats_in_the_sound() {
    let scratch = Scratch::new("quantised");
    let out = scratch.path("out.wav");
    let (a, b) = (track(&scratch, "a", 120.0, 0.31, false), track(&scratch, "b", 100.0, 0.17, true));
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display())]);
    let client = daemon.client();
    client.quiet("/set_tempo", vec![f(126.0)]);
    client.quiet("/groove/deck/a/stretch", vec![s("wsola")]);
    client.quiet("/groove/deck/a/sync", vec![s("beat")]);
    client.quiet("/groove/deck/b/sync", vec![s("bar")]);
    for (id, path) in [(100, &a), (1_100, &b)] {
        client.done("/load_buffer", vec![i(id), p(path), s("ticks")]);
    }
    let nap = |ms| std::thread::sleep(Duration::from_millis(ms));
    client.done("/play_stem", vec![i(100), f(1.0), f(0.8), i(1)]);
    nap(333);
    client.done("/play_stem", vec![i(1_100), f(1.0), f(0.8), i(1)]);
    nap(4_000);
    client.done("/groove/deck/a/loop", vec![f(2.0)]);
    nap(3_000);
    client.done("/groove/deck/a/loop", vec![f(0.0)]);
    nap(2_500);
    client.done("/mixer_cleanup", vec![]);
    nap(100);
    daemon.stop();

    let sound = Sound::read(&out);
    let beat = 60.0 / 126.0;
    let (a, b) = (ticks(&sound.left, 1.0), ticks(&sound.right, 1.26));
    println!("a: {a:.3?}\nb: {b:.3?}");
    assert!(a.len() >= 18 && b.len() >= 14, "{} and {} ticks", a.len(), b.len());
    for (name, found) in [("a", &a), ("b", &b)] {
        for pair in found.windows(2) {
            let off = pair[1].0 - pair[0].0 - beat;
            assert!(off.abs() < 0.0005, "{name}: {:.2} ms off at {:.3} s", off * 1e3, pair[1].0);
        }
    }
    // A stem started on a bar is aligned with another started on a bar, and begins with its first beat.
    for (at, k) in &b {
        let nearest = a.iter().map(|(t, _)| (t - at).abs()).fold(f64::INFINITY, f64::min);
        assert!(nearest < 0.001, "tick {k} of b is {:.2} ms off", nearest * 1e3);
    }
    assert_eq!(b.iter().map(|(_, k)| *k).collect::<Vec<_>>(), (0..b.len()).collect::<Vec<_>>());
    // Ticks in order, then two of them in a loop, then on from there.
    let order: Vec<usize> = a.iter().map(|(_, k)| *k).collect();
    let back: Vec<usize> = (1..order.len()).filter(|n| order[*n] != order[n - 1] + 1).collect();
    assert!(back.len() >= 2, "{order:?}");
    let (first, last) = (order[back[0]], order[back[0] - 1]);
    assert_eq!(last, first + 1, "the loop is two beats: {order:?}");
    assert!(back.iter().all(|n| order[*n] == first && order[n - 1] == last), "{order:?}");
    assert!(order.len() > back[back.len() - 1] + 3, "it plays on: {order:?}");
}
