//! Presets, and a state that is restored after a kill at any moment.

mod common;

use std::time::{Duration, Instant};

use common::{Daemon, Scratch, Sound, f, i, p, s};
use grooved::control::commands::packet;
use grooved::control::commands::request::Message;
use grooved::control::commands::value::Value;
use grooved::control::conductor::show::Show;

fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Returns (number, position in seconds) of all playing stems.
fn players(client: &common::Client) -> Vec<(i64, f64)> {
    let answers = client.ask("/get_status", vec![]);
    answers
        .iter()
        .filter(|m| m.address == "/status/player")
        .map(|m| (m.args[0].as_int().unwrap(), m.args[3].as_float().unwrap()))
        .collect()
}

#[test]
fn a_preset_brings_everything_back_on_one_sample() {
    let scratch = Scratch::new("preset");
    let out = scratch.path("out.wav");
    // Frames encode their numbers at 48 kHz, so sound identifies its position. The sum is silent while both agree.
    let ramp = |k: usize| (k % 40_000) as f32 / 200_000.0;
    scratch.wav("up.wav", 48_000, 480_000, |k| (ramp(k), ramp(k)));
    scratch.wav("down.wav", 48_000, 480_000, |k| (-ramp(k), -ramp(k)));
    std::fs::write(scratch.path("g.toml"), "[state]\nfolder = \"kept\"\n").unwrap();
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display()), "--config", "g.toml"]);
    let client = daemon.client();
    for (id, file) in [(100, "up.wav"), (101, "down.wav")] {
        client.done("/load_buffer", vec![i(id), s(file), s(file)]);
    }
    // In one bundle, so on the same sample.
    let plays = [100, 101].map(|id| Message::new("/play_stem", vec![i(id), f(1.0), f(0.5)]));
    client.socket.send(&packet::encode(&plays).unwrap()).unwrap();
    client.ask("/sync", vec![i(0)]);
    client.quiet("/groove/deck/b/level", vec![f(0.25)]);
    client.quiet("/groove/deck/a/gain/low", vec![f(0.5)]);
    client.quiet("/groove/tempo", vec![f(132.0)]);
    client.quiet("/groove/deck/a/gain/low", vec![f(1.0)]);
    sleep(0.4);
    client.done("/groove/preset/save", vec![s("evening")]);
    let before = players(&client);
    assert_eq!(client.ask("/groove/preset/list", vec![])[0].args, [s("/groove/preset/list"), s("evening")]);
    // Change everything, then recall the preset.
    client.quiet("/groove/tempo", vec![f(90.0)]);
    client.quiet("/groove/deck/b/level", vec![f(1.0)]);
    client.done("/groove/stem/unload", vec![i(101)]);
    client.done("/load_buffer", vec![i(1100), s("up.wav"), s("other")]);
    sleep(0.3);
    client.done("/stop_stem", vec![i(100)]);
    sleep(0.2);
    let answers = client.ask("/groove/preset/load", vec![s("evening")]);
    let done = wait_done(&client, answers, "/groove/preset/load");
    assert_eq!(done[1..], [i(2), i(2)]);
    sleep(0.3);
    let mark = client.status("clock", 0).as_float().unwrap() / 48_000.0;
    sleep(0.3);
    let after = players(&client);
    assert_eq!(after.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [100, 101], "the other one is gone");
    let moved = after[0].1 - before[0].1;
    assert!((0.3..3.0).contains(&moved), "{before:?} and then {after:?}");
    assert_eq!(client.status("tempo", 0).as_float().unwrap().round(), 132.0);
    assert_eq!(client.status("levels", 1), f(0.25));
    for (name, words) in [("morning", "expected the name of a preset"), ("../evening", "letters"), ("", "letters")] {
        let answers = client.ask("/groove/preset/load", vec![s(name)]);
        let fail = answers.iter().find(|m| m.address == "/fail").cloned().unwrap_or_else(|| {
            client.next(Duration::from_secs(2)).unwrap().into_iter().find(|m| m.address == "/fail").unwrap()
        });
        assert!(fail.args[1].as_text().contains(words), "{fail:?}");
    }
    std::fs::write(scratch.path("kept/presets/bad.json"), "{").unwrap();
    client.send("/groove/preset/load", vec![s("bad")]);
    let answer = client.next(Duration::from_secs(2)).unwrap();
    assert!(answer[0].args[1].as_text().contains("damaged"), "{answer:?}");
    drop(client);
    daemon.stop();
    let sound = Sound::read(&out);
    // Both play the same frames, which cancel out.
    let range = (mark * 48_000.0) as usize..((mark + 0.2) * 48_000.0) as usize;
    let worst = sound.left[range].iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(worst < 1e-6, "out of step by {worst}");
}

/// Waits for the `/done` of an address, which may have been received already.
fn wait_done(client: &common::Client, answers: Vec<Message>, address: &str) -> Vec<Value> {
    let is_done = |m: &Message| m.address == "/done" && m.args.first() == Some(&s(address));
    if let Some(done) = answers.iter().find(|m| is_done(m)) {
        return done.args.clone();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if let Some(done) = client.next(Duration::from_secs(1)).unwrap_or_default().iter().find(|m| is_done(m)) {
            return done.args.clone();
        }
    }
    panic!("{address} was not done");
}

/// Kills the daemon `kills` times while it writes its state continuously; the state must be restored every time.
fn survive(kills: u32, name: &str) {
    let scratch = Scratch::new(name);
    for k in 0..4 {
        scratch.sine(&format!("{k}.wav"), 48_000, 20, 300 + 100 * k, 0.1);
    }
    // Written as often as possible, so that a kill often interrupts it.
    std::fs::write(scratch.path("g.toml"), "[state]\nrestore = true\nfolder = \"kept\"\nsave_s = 0.05\n").unwrap();
    let args = ["--output", "null", "--config", "g.toml"];
    let mut daemon = Daemon::start(&scratch, &args);
    let client = daemon.client();
    for k in 0..4i64 {
        client.done("/load_buffer", vec![i(100 + k), p(&scratch.path(&format!("{k}.wav"))), s("tone")]);
        client.done("/play_stem", vec![i(100 + k), f(1.0), f(0.5)]);
    }
    client.quiet("/groove/deck/a/level", vec![f(0.625)]);
    client.quiet("/groove/tempo", vec![f(126.5)]);
    sleep(0.3);
    let state = scratch.path("kept/state.json");
    let mut seed = 12_345u32;
    for round in 0..kills {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sleep(f64::from(seed >> 16) / 65_536.0 * 0.15);
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
        let kept = Show::parse(&std::fs::read(&state).unwrap()).unwrap_or_else(|e| panic!("round {round}: {e}"));
        assert_eq!((kept.stems.len(), kept.tempo, kept.decks[0].level), (4, 126.5, 0.625), "round {round}");
        assert!(kept.stems.iter().all(|s| s.playing), "round {round}");
        daemon = Daemon::start(&scratch, &args);
        let client = daemon.client();
        let deadline = Instant::now() + Duration::from_secs(5);
        let playing = loop {
            let playing = players(&client);
            if playing.len() == 4 || Instant::now() > deadline {
                break playing;
            }
            sleep(0.01);
        };
        assert_eq!(playing.len(), 4, "round {round}: {}", daemon.log());
        let there = 20.0 * kept.stems[0].position;
        let on = (playing[0].1 - there).rem_euclid(20.0);
        assert!(on < 1.0, "round {round}: kept at {there} s, plays at {} s", playing[0].1);
        // Their distances are kept to the frame.
        for (stem, player) in kept.stems.iter().zip(&playing) {
            let apart = (player.1 - playing[0].1) - 20.0 * (stem.position - kept.stems[0].position);
            assert!((apart + 10.0).rem_euclid(20.0) - 10.0 < 3e-5, "round {round}: {apart} s out of step: {playing:?}");
        }
        assert_eq!(client.status("levels", 0), f(0.625), "round {round}");
    }
    daemon.stop();
}

#[test]
fn a_kill_at_any_moment_costs_no_state() {
    survive(8, "killed");
}

#[test]
#[ignore = "takes minutes; make test-kill"]
fn a_hundred_kills_cost_no_state() {
    survive(100, "killed-often");
}

#[test]
fn what_cannot_come_back_is_not_forgotten() {
    let scratch = Scratch::new("absent");
    scratch.sine("here.wav", 48_000, 2, 300, 0.1);
    scratch.sine("stick.wav", 48_000, 2, 400, 0.1);
    std::fs::write(scratch.path("g.toml"), "[state]\nrestore = true\nfolder = \"kept\"\nsave_s = 0.1\n").unwrap();
    let args = ["--output", "null", "--config", "g.toml"];
    let daemon = Daemon::start(&scratch, &args);
    let client = daemon.client();
    for (id, file) in [(100, "here.wav"), (101, "stick.wav")] {
        client.done("/load_buffer", vec![i(id), s(file), s(file)]);
        client.done("/play_stem", vec![i(id)]);
    }
    daemon.stop();
    std::fs::remove_file(scratch.path("stick.wav")).unwrap();
    let daemon = Daemon::start(&scratch, &args);
    sleep(0.5);
    assert_eq!(players(&daemon.client()).len(), 1, "{}", daemon.log());
    assert!(daemon.log().contains("stick.wav") && daemon.log().contains("1 of 2 stems"), "{}", daemon.log());
    daemon.stop();
    let kept = Show::parse(&std::fs::read(scratch.path("kept/state.incomplete.json")).unwrap()).unwrap();
    assert_eq!(kept.stems.len(), 2);
    // An invalid state file is reported, and the daemon runs.
    std::fs::write(scratch.path("kept/state.json"), "\0\0").unwrap();
    let daemon = Daemon::start(&scratch, &args);
    assert!(daemon.log().contains("state: cannot read"), "{}", daemon.log());
    daemon.stop();
    assert_eq!(std::fs::read(scratch.path("kept/state.json.bad")).unwrap(), b"\0\0");
}

#[test]
fn a_slow_stem_plays_when_it_is_there_and_what_was_done_meanwhile_stays_done() {
    let scratch = Scratch::new("slow-preset");
    for (k, name) in ["slow.wav", "fast.wav"].iter().enumerate() {
        scratch.sine(name, 48_000, 20, 300 + 100 * k, 0.1);
    }
    std::fs::write(scratch.path("g.toml"), "[state]\nfolder = \"kept\"\n[mixer]\ngroup_wait_s = 0.3\n").unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml"]);
    let client = daemon.client();
    for (id, file) in [(100, "slow.wav"), (1100, "fast.wav"), (2100, "fast.wav")] {
        client.done("/load_buffer", vec![i(id), s(file), s(file)]);
        client.done("/play_stem", vec![i(id)]);
    }
    client.done("/groove/preset/save", vec![s("p")]);
    client.done("/mixer_cleanup", vec![]);
    sleep(0.5);
    client.done("/groove/debug/stall_loader", vec![i(1_500)]);
    client.send("/groove/preset/load", vec![s("p")]);
    sleep(0.1);
    // Stopped while it is loading: it stays stopped.
    client.send("/stop_stem", vec![i(2100)]);
    let done = wait_done(&client, vec![], "/groove/preset/load");
    assert_eq!(done[1..], [i(2), i(3)], "one is late");
    sleep(0.2);
    assert_eq!(players(&client).iter().map(|p| p.0).collect::<Vec<_>>(), [1100]);
    sleep(2.0);
    assert_eq!(players(&client).iter().map(|p| p.0).collect::<Vec<_>>(), [100, 1100], "{}", daemon.log());
    // A cleanup aborts a recall, and reports it.
    client.done("/groove/debug/stall_loader", vec![i(1_000)]);
    client.done("/mixer_cleanup", vec![]);
    client.send("/groove/preset/load", vec![s("p")]);
    sleep(0.1);
    client.send("/mixer_cleanup", vec![]);
    let fails = |m: &Message| m.address == "/fail" && m.args[0] == s("/groove/preset/load");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !client.next(Duration::from_secs(5)).unwrap_or_default().iter().any(fails) {
        assert!(Instant::now() < deadline, "the recall that was cleaned up is not answered");
    }
    assert!(players(&client).is_empty());
    daemon.stop();
}
