//! What may come in between: stops while something fades, cleanups, clients' own buffers, sections that are skipped,
//! stems that are missing after a restart.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Client, Daemon, Scratch, Sound, f, i, p, s};
use crate::measure::SILENT;
use crate::run::{daemon, now, status, until, until_forgotten, until_plays, wait_for};
use crate::written::{BAR, BEAT, KEYS, five, plan, section, stamp};

/// Returns the frame at which the client asked for something, and that of the last sound after it.
fn silent_after(sound: &Sound, asked: usize) -> usize {
    let last = sound.right.iter().rposition(|v| v.abs() > SILENT).unwrap_or(0);
    last.saturating_sub(asked)
}

#[test]
fn a_fade_at_the_end_is_hurried_by_a_stop() {
    let scratch = Scratch::new("plans-last-fade");
    // One bar, and a file that could fade for eight.
    let file = stamp(&scratch, 0, 40);
    let path = plan(&scratch, "plan.json", &[section(KEYS[0]).with("bars", 1).with("fade", 32).stem("bass", &file)]);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![]);
    until_plays(&client, 1);
    let began = now(&client);
    wait_for("the fade", || now(&client) > began + 2 * BAR);
    let asked = now(&client);
    client.done("/groove/plan/stop", vec![f(0.05)]);
    until_forgotten(&client);
    // It can be played again at once, and its decks are its own again.
    client.done("/groove/plan/play", vec![]);
    until_plays(&client, 1);
    let (again, held) = (now(&client), client.status("levels", 0));
    assert_eq!(held, f(1.0), "the deck is closed");
    wait_for("another fade", || now(&client) > again + 2 * BAR);
    // Stops get shorter, never longer.
    client.done("/groove/plan/stop", vec![f(60.0)]);
    let last = now(&client);
    client.done("/groove/plan/stop", vec![f(0.05)]);
    until_forgotten(&client);
    daemon.stop();
    let sound = Sound::read(&out);
    // Without the stop it would fade for eight seconds.
    let silent = sound.right[asked..].iter().position(|v| v.abs() <= SILENT).unwrap();
    assert!(silent < 24_000, "it sounds for {silent} frames after the stop");
    let left = silent_after(&sound, last);
    assert!(left < 24_000, "it sounds for {left} frames after it was stopped");
}

#[test]
fn a_cleanup_ends_a_plan_and_all_of_its_stems() {
    let scratch = Scratch::new("plans-cleanup");
    let path = five(&scratch, "plan.json", [1, 8, 8, 1, 1], 8);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/fade", vec![f(8.0)]);
    client.done("/groove/plan/play", vec![]);
    // The first section fades beneath the second, and the third is loaded or about to be.
    until_plays(&client, 2);
    client.done("/mixer_cleanup", vec![]);
    let asked = now(&client);
    until_forgotten(&client);
    until(&client, "at rest", |status| status.rests());
    // Nothing of it comes back later.
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(client.status("players", 0), i(0));
    client.done("/groove/plan/play", vec![s("4")]);
    until_plays(&client, 4);
    client.done("/groove/plan/stop", vec![f(0.0)]);
    until_forgotten(&client);
    daemon.stop();
    let sound = Sound::read(&out);
    let first = sound.right[asked + 9_600..asked + 24_000].iter().all(|v| v.abs() <= SILENT);
    assert!(first, "it still sounds two tenths of a second after the cleanup");
}

#[test]
fn buffers_of_clients_stay_their_own() {
    let scratch = Scratch::new("plans-buffers");
    let path = five(&scratch, "plan.json", [1; 5], 0);
    scratch.sine("own.wav", 48_000, 3, 440, 0.1);
    let (daemon, _) = daemon(&scratch, &[]);
    let client = daemon.client();
    // Older executors number theirs like this, too.
    for id in [1000, 1001, 2000] {
        client.done("/load_buffer", vec![i(id), p(&scratch.path("own.wav")), s("own")]);
    }
    let buffers = |client: &Client| {
        let answers = client.ask("/get_status", vec![]);
        let mut found: Vec<_> =
            answers.iter().filter(|m| m.address == "/status/buffer").map(|m| m.args[0].clone()).collect();
        found.sort_by_key(|id| id.as_int());
        found
    };
    assert_eq!(buffers(&client), [i(1000), i(1001), i(2000)]);
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![s("1-2")]);
    until_plays(&client, 2);
    until(&client, "over", |status| status.state == "over");
    wait_for("only the client's buffers", || buffers(&client) == [i(1000), i(1001), i(2000)]);
    daemon.stop();
}

#[test]
fn ranges_may_begin_with_sections_that_are_skipped() {
    let scratch = Scratch::new("plans-skipped");
    let file = |k: usize| stamp(&scratch, k, 10);
    let (one, three, four) = (file(1), file(3), file(4));
    let sections = [
        section(KEYS[0]),
        section(KEYS[1]).with("bars", 2).stem("bass", &one),
        section(KEYS[2]),
        section(KEYS[3]).with("bars", 2).stem("bass", &three),
        section("04_end").with("bars", 2).stem("bass", &four),
    ];
    let path = plan(&scratch, "plan.json", &sections);
    let (daemon, _) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![s("5")]);
    until_plays(&client, 5);
    client.done("/groove/plan/play", vec![s("1-2"), i(1)]);
    until_plays(&client, 2);
    client.done("/groove/plan/play", vec![s("3-4")]);
    until_plays(&client, 4);
    until(&client, "over", |status| status.state == "over");
    daemon.stop();
}

#[test]
fn a_hold_that_next_cannot_leave_stays_a_hold() {
    let scratch = Scratch::new("plans-hold");
    let path = five(&scratch, "plan.json", [1; 5], 2);
    let (daemon, _) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![s("5")]);
    client.done("/groove/plan/hold", vec![i(1)]);
    until_plays(&client, 5);
    let answers = client.ask("/groove/plan/next", vec![]);
    assert!(answers.iter().any(|answer| answer.address == "/fail"), "{answers:?}");
    assert!(status(&client).held);
    let began = now(&client);
    wait_for("three bars", || now(&client) > began + 3 * BAR);
    assert!(status(&client).plays(5));
    client.done("/groove/plan/hold", vec![i(0)]);
    until(&client, "over", |status| status.state == "over");
    daemon.stop();
}

#[test]
fn a_plan_that_lacked_a_stem_goes_on_without_it_at_once() {
    let scratch = Scratch::new("plans-lacking");
    let file = stamp(&scratch, 1, 40);
    let sections = [section(KEYS[0]).with("bars", 9).stem("bass", &file).stem("drums", "gone.wav")];
    let path = plan(&scratch, "plan.json", &sections);
    std::fs::write(scratch.path("g.toml"), "[state]\nrestore = true\nfolder = \"kept\"\nsave_s = 0.05\n").unwrap();
    let root = scratch.0.display().to_string();
    let args = ["--output", "null", "--config", "g.toml", "--media-root", &root];
    let mut daemon = Daemon::start(&scratch, &args);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![]);
    // Somebody has moved the tempo meanwhile.
    client.ask("/groove/tempo", vec![f(220.0), f(0.0)]);
    until(&client, "in bar 3", |status| status.plays(1) && status.bar >= 3);
    std::thread::sleep(Duration::from_millis(300));
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let started = Instant::now();
    let daemon = Daemon::start(&scratch, &args);
    let client = daemon.client();
    let after = until(&client, "playing again", |status| status.state == "playing");
    // Not after the half minute for which it would wait for a stem that had been there.
    assert!(started.elapsed() < Duration::from_secs(15) && after.bar >= 2, "{after:?}");
    let tempo = client.status("tempo", 0).as_float().unwrap();
    assert!((tempo - 220.0).abs() < 0.01, "{tempo} BPM");
    daemon.stop();
}

#[test]
fn sections_are_as_long_as_their_fades_allow() {
    let scratch = Scratch::new("plans-long-fades");
    // Each fade is as long as the next section, so that three sections are in memory.
    let path = five(&scratch, "plan.json", [1; 5], 4);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/fade", vec![f(4.0)]);
    client.done("/groove/plan/play", vec![]);
    until(&client, "over", |status| status.state == "over");
    let log = daemon.log();
    assert!(!log.contains("is repeated"), "{log}");
    daemon.stop();
    let sound = Sound::read(&out);
    let first = sound.right.iter().position(|v| v.abs() > SILENT).unwrap();
    let last = sound.right.iter().rposition(|v| v.abs() > SILENT).unwrap();
    let length = last - first;
    assert!((5 * BAR + 4 * BEAT - 200..5 * BAR + 4 * BEAT + 65).contains(&length), "{length} frames");
}

#[test]
fn a_preset_has_the_last_word_about_decks_that_a_plan_had() {
    let scratch = Scratch::new("plans-preset");
    let path = five(&scratch, "plan.json", [4; 5], 2);
    std::fs::write(scratch.path("g.toml"), "[state]\nfolder = \"kept\"\n").unwrap();
    let (daemon, _) = daemon(&scratch, &["--config", "g.toml"]);
    let client = daemon.client();
    let level = |client: &Client| client.status("levels", 0).as_float().unwrap();
    client.ask("/groove/deck/a/level", vec![f(0.2)]);
    client.done("/groove/preset/save", vec![s("quiet")]);
    client.ask("/groove/deck/a/level", vec![f(0.9)]);
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![]);
    until_plays(&client, 1);
    client.done("/groove/preset/load", vec![s("quiet")]);
    until_forgotten(&client);
    until(&client, "at rest", |status| status.rests());
    std::thread::sleep(Duration::from_millis(200));
    assert!((level(&client) - 0.2).abs() < 1e-6, "{}", level(&client));
    // What is set while a plan fades out stays until the decks are given back.
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![]);
    until_plays(&client, 1);
    client.done("/groove/plan/stop", vec![f(0.1)]);
    until_forgotten(&client);
    wait_for("the level from before", || (level(&client) - 0.2).abs() < 1e-6);
    daemon.stop();
}

#[test]
fn a_section_for_which_there_is_no_room_waits_until_there_is() {
    let scratch = Scratch::new("plans-room");
    // Six stems a section, of which two sections do not fit.
    let stems: Vec<String> = (0..6).map(|k| stamp(&scratch, k, 12)).collect();
    let sections: Vec<_> = (0..3)
        .map(|k| {
            let names = ["a", "b", "c", "d", "e", "f"];
            let bars = section(KEYS[k]).with("bars", 1).with("fade", 1);
            names.iter().zip(&stems).fold(bars, |section, (name, file)| {
                let fields = json!({"start": 0.01 * k as f64});
                section.stem_with(name, file, &fields)
            })
        })
        .collect();
    let path = plan(&scratch, "plan.json", &sections);
    std::fs::write(scratch.path("g.toml"), "[media]\nmax_stems = 14\n").unwrap();
    let (daemon, _) = daemon(&scratch, &["--config", "g.toml"]);
    let client = daemon.client();
    // A client has some of the places.
    for id in 100..104 {
        client.done("/load_buffer", vec![i(id), p(&scratch.path(&stems[0])), s("own")]);
    }
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![]);
    until_plays(&client, 1);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(status(&client).plays(1), "{:?}", status(&client));
    for id in 100..104 {
        client.ask("/groove/stem/unload", vec![i(id)]);
    }
    until_plays(&client, 2);
    until_plays(&client, 3);
    until(&client, "over", |status| status.state == "over");
    let log = daemon.log();
    assert!(log.contains("is repeated") && !log.contains("the others play"), "{log}");
    daemon.stop();
}
