//! A plan and a set on one daemon: one ends the other, and the decks are as before.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use grooved::control::conductor::show::{Deck, Show};

use crate::common::{Client, Scratch, Sound, f, p, s};
use crate::run::{daemon, status, until, until_forgotten, until_plays};
use crate::written::{KEYS, plan, section};

/// Pitches of the set's two tracks, and of the plan's stems; the last is that of stretched ones.
const SET_HZ: usize = 330;
const PLAN_HZ: usize = 550;
const STRETCHED_HZ: usize = 770;

/// Writes a table of two long parts.
fn table(scratch: &Scratch) -> PathBuf {
    let mut text = String::from("part_file,bpm,target_bpm,begin_cue_adj,end_cue_adj\r\n");
    for k in 0..2 {
        let file = format!("part{k}.wav");
        scratch.sine(&file, 48_000, 40, SET_HZ, 0.1);
        text += &format!("{file},120,120,30,36\r\n");
    }
    let path = scratch.path("set.csv");
    std::fs::write(&path, text).unwrap();
    path
}

/// Writes a plan of two sections, each with a stem that is stretched and one that is not.
fn sines(scratch: &Scratch) -> PathBuf {
    let stretched = serde_json::json!({"pitch_shift": 1.25, "bpm": 192, "needs_timestretch": true});
    let sections: Vec<_> = (0..2)
        .map(|k| {
            let (plain, other) = (format!("plain{k}.wav"), format!("other{k}.wav"));
            scratch.sine(&plain, 48_000, 20, PLAN_HZ, 0.1);
            scratch.sine(&other, 48_000, 20, STRETCHED_HZ, 0.1);
            section(KEYS[k]).with("bars", 12).stem("bass", &plain).stem_with("piano", &other, &stretched)
        })
        .collect();
    plan(scratch, "plan.json", &sections)
}

/// Returns the decks' settings, as a preset keeps them.
fn decks(client: &Client, presets: &Path, name: &str) -> Vec<Deck> {
    client.done("/groove/preset/save", vec![s(name)]);
    let path = presets.join(format!("{name}.json"));
    let deadline = Instant::now() + Duration::from_secs(10);
    while !path.exists() {
        assert!(Instant::now() < deadline, "the preset {name} is not saved");
        std::thread::sleep(Duration::from_millis(10));
    }
    Show::parse(&std::fs::read(path).unwrap()).unwrap().decks
}

/// Waits until the set has this state.
fn until_set(client: &Client, states: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answers = client.ask("/groove/set/status", vec![]);
        let answer = answers.iter().find(|answer| answer.address == "/status/set").unwrap();
        if states.contains(&answer.args[0].as_text().as_str()) {
            return;
        }
        assert!(Instant::now() < deadline, "the set is not {states:?} but {:?}", answer.args);
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn clock(client: &Client) -> f64 {
    client.status("clock", 0).as_float().unwrap() / 48_000.0
}

#[test]
fn a_plan_and_a_set_take_turns() {
    let scratch = Scratch::new("plans-beside");
    let (table, path) = (table(&scratch), sines(&scratch));
    std::fs::write(scratch.path("g.toml"), "[state]\nfolder = \"kept\"\n").unwrap();
    let (daemon, out) = daemon(&scratch, &["--config", "g.toml"]);
    let client = daemon.client();
    let presets = scratch.path("kept/presets");
    client.quiet("/groove/deck/a/level", vec![f(0.625)]);
    client.quiet("/groove/deck/b/level", vec![f(0.25)]);
    client.quiet("/groove/deck/c/sync", vec![s("off")]);
    client.quiet("/groove/deck/a/bpm", vec![f(100.0)]);
    client.quiet("/groove/deck/b/gain/low", vec![f(0.5)]);
    let before = decks(&client, &presets, "before");
    client.done("/groove/set/load", vec![p(&table)]);
    client.done("/groove/plan/load", vec![p(&path)]);

    client.done("/groove/set/play", vec![]);
    until_set(&client, &["playing"]);
    std::thread::sleep(Duration::from_millis(500));
    let set = clock(&client);
    client.done("/groove/plan/play", vec![]);
    until_plays(&client, 1);
    until_set(&client, &["stopped"]);
    // By then, what the set has left is over.
    until(&client, "in bar 3", |status| status.plays(1) && status.bar >= 3);
    let plan = clock(&client);
    client.done("/groove/set/play", vec![]);
    until_set(&client, &["playing"]);
    let ended = status(&client);
    assert!(ended.rests(), "the plan goes on beside the set: {ended:?}");
    std::thread::sleep(Duration::from_millis(2_500));
    let again = clock(&client);
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![s("2")]);
    until_plays(&client, 2);
    until(&client, "in bar 2", |status| status.plays(2) && status.bar >= 2);
    let last = clock(&client);
    client.done("/groove/plan/stop", vec![f(0.2)]);
    until_forgotten(&client);
    until_set(&client, &["stopped"]);
    std::thread::sleep(Duration::from_millis(300));
    let silent = clock(&client);
    let after = decks(&client, &presets, "after");
    assert_eq!(after, before, "the decks' settings are not as before");
    assert_eq!(client.status("players", 0).as_int(), Some(0));
    std::thread::sleep(Duration::from_millis(300));
    daemon.stop();

    let sound = Sound::read(&out);
    let (set_hz, plan_hz) = (SET_HZ as f64, PLAN_HZ as f64);
    let piece = 0.25;
    for (at, there, gone, what) in [
        (set, set_hz, plan_hz, "the set"),
        (plan, plan_hz, set_hz, "the plan"),
        (again, set_hz, plan_hz, "the set again"),
        (last, plan_hz, set_hz, "the plan again"),
    ] {
        let level = |hz: f64| sound.tone(hz, at - piece, at);
        assert!(level(there) > 0.01, "{what} is not heard: {:.5}", level(there));
        assert!(level(gone) < 0.01 * level(there), "besides {what}, {gone} Hz is heard at {:.5}", level(gone));
    }
    assert!(sound.rms(silent, silent + 0.2) < 1e-6, "it is not silent after the end");
    // They fade: nothing clicks. The sines begin and end in the middle of nothing.
    let clicks = sound.clicks(0.05);
    assert!(clicks.is_empty(), "clicks at {clicks:?}; set from {set:.2}, plan {plan:.2}, {again:.2}, {last:.2}");
}
