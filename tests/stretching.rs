//! High-quality stretching in real time: two decks of four stems, a changing tempo, a flood of control traffic, and a
//! worker that is deliberately slowed down.

mod common;

use std::time::{Duration, Instant};

use common::{Daemon, Scratch, Sound, f, i, p, s};
use grooved::control::commands::value::Value;

/// A reply of `/status/stretch/a`.
struct Seen {
    at: f64,
    heard: String,
    level: String,
    reserve_ms: f64,
    target_ms: f64,
    underruns: i64,
}

fn look(client: &common::Client, deck: &str, start: Instant) -> Seen {
    let answers = client.ask("/groove/get", vec![s(format!("/status/stretch/{deck}"))]);
    let args = &answers.iter().find(|m| m.address.starts_with("/status/stretch")).expect("no status").args;
    let number = |k: usize| args[k].as_float().unwrap();
    Seen {
        at: start.elapsed().as_secs_f64(),
        heard: args[1].as_text(),
        level: args[2].as_text(),
        reserve_ms: number(3),
        target_ms: number(4),
        underruns: args[6].as_int().unwrap(),
    }
}

/// Loads two decks of four stems each: low tones, in which clicks show.
fn set(scratch: &Scratch, client: &common::Client) {
    for deck in 0..2i64 {
        for k in 0..4i64 {
            let hz = 80 + 30 * k + 17 * deck;
            let file = scratch.sine(&format!("{hz}.wav"), 48_000, 40, hz as usize, 0.06);
            client.done("/load_buffer", vec![i(100 + 1_000 * deck + k), p(&file), s(format!("{hz}"))]);
        }
    }
    for deck in 0..2i64 {
        for k in 0..4i64 {
            client.done("/play_stem", vec![i(100 + 1_000 * deck + k), f(1.0), f(0.8), i(1)]);
        }
    }
}

#[test]
fn two_decks_of_four_stems_follow_the_tempo_while_controls_flood_in() {
    let scratch = Scratch::new("stretching");
    let out = scratch.path("out.wav");
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display()), "--stretch-method", "hq"]);
    let client = daemon.client();
    set(&scratch, &client);
    client.quiet("/groove/tempo", vec![f(130.0), f(4.0)]);
    let start = Instant::now();
    let mut seen = Vec::new();
    let mut told = false;
    let mut k = 0;
    while start.elapsed() < Duration::from_secs(12) {
        // Messages that change nothing audible: a flood of unchanged levels, and of queries.
        for _ in 0..40 {
            client.send("/deck_levels", vec![f(1.0), f(1.0), f(1.0), f(1.0)]);
            client.send("/groove/deck/a/eq/mid", vec![f(50.0)]);
            k += 2;
        }
        if !told && start.elapsed() > Duration::from_secs(6) {
            told = true;
            client.quiet("/groove/tempo", vec![f(105.0), f(4.0)]);
        }
        seen.push(look(&client, "a", start));
        std::thread::sleep(Duration::from_millis(50));
    }
    let (starved, lost) = (client.status("faults", 0), client.status("xruns", 0).as_int().unwrap());
    client.done("/mixer_cleanup", vec![]);
    std::thread::sleep(Duration::from_millis(100));
    daemon.stop();
    let covered = seen.iter().filter(|s| s.heard == "hq").count() as f64 / seen.len() as f64;
    for s in seen.iter().step_by(20) {
        println!("{:5.2} s: {:5} {:9} {:5.0} of {:4.0} ms", s.at, s.heard, s.level, s.reserve_ms, s.target_ms);
    }
    println!(
        "{k} controls; hq is heard {:.0} % of the time, {} underruns",
        covered * 100.0,
        seen[seen.len() - 1].underruns
    );
    assert_eq!(starved, i(0), "stems starved");
    assert!(covered > 0.6, "hq is heard only {:.0} % of the time", covered * 100.0);
    let clicks = Sound::read(&out).clicks(0.02);
    // Time that a busy machine takes from the audio thread is lost, and counted; nothing else is audible.
    assert!(clicks.len() as i64 <= lost, "clicks at {clicks:?} s, {lost} underruns");
}

#[test]
#[ignore = "takes a minute and a half; make test-tempo"]
fn a_stretcher_that_is_too_slow_gives_way_and_returns() {
    let scratch = Scratch::new("slow");
    let out = scratch.path("out.wav");
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display()), "--stretch-method", "hq"]);
    let client = daemon.client();
    set(&scratch, &client);
    client.quiet("/set_tempo", vec![f(127.0)]);
    let start = Instant::now();
    let mut seen: Vec<Seen> = Vec::new();
    let mut watch = |seconds: f64, until: &dyn Fn(&Seen) -> bool| {
        let begin = Instant::now();
        while begin.elapsed().as_secs_f64() < seconds {
            seen.push(look(&client, "a", start));
            if until(&seen[seen.len() - 1]) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    };
    assert!(watch(6.0, &|s| s.heard == "hq"), "hq was never heard");
    // Half as fast as it must be.
    client.done("/groove/debug/slow_stretch", vec![Value::Int(2_600)]);
    assert!(watch(5.0, &|s| s.heard == "wsola"), "the plan did not take over");
    // Long enough for three underruns.
    watch(8.0, &|_| false);
    client.done("/groove/debug/slow_stretch", vec![Value::Int(0)]);
    assert!(watch(75.0, &|s| s.heard == "hq"), "hq did not come back");
    client.done("/mixer_cleanup", vec![]);
    std::thread::sleep(Duration::from_millis(100));
    let log = daemon.log();
    daemon.stop();
    let mut last = String::new();
    for s in &seen {
        let now = format!("{:5} {}", s.heard, s.level);
        if now != last {
            println!(
                "{:5.2} s: {now:15} {:5.0} of {:4.0} ms, {} underruns",
                s.at, s.reserve_ms, s.target_ms, s.underruns
            );
            last = now;
        }
    }
    let levels: std::collections::BTreeSet<&str> = seen.iter().map(|s| s.level.as_str()).collect();
    println!("{levels:?}");
    // Sampled fifty times a second; the way down takes less than a tenth of one.
    assert!(levels.len() >= 2, "{levels:?}");
    assert!(log.contains("Time-stretch UNDERRUN #1: input="), "{log}");
    assert!(log.contains("wsola for a minute") && log.contains("trying hq again"), "{log}");
    let clicks = Sound::read(&out).clicks(0.02);
    assert!(clicks.is_empty(), "clicks at {clicks:?} s");
}
