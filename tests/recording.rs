//! Recordings: bit-identical to the output, and intact after a kill at any moment.

mod common;

use std::time::Duration;

use common::{Client, Daemon, Scratch, Sound, f, i, s};
use grooved::control::commands::value::Value;

fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Sends a call, waits for `/done` or `/fail`, and returns its arguments.
fn call(client: &Client, address: &str, args: Vec<Value>) -> (String, Vec<Value>) {
    client.send(address, args);
    loop {
        let messages = client.next(Duration::from_secs(10)).unwrap_or_else(|| panic!("{address} is not answered"));
        if let Some(m) = messages.into_iter().find(|m| m.args.first() == Some(&s(address))) {
            return (m.address, m.args);
        }
    }
}

fn started(scratch: &Scratch, config: &str, output: &str) -> Daemon {
    std::fs::write(scratch.path("g.toml"), format!("[record]\nfolder = \"tapes\"\n{config}")).unwrap();
    Daemon::start(scratch, &["--output", output, "--config", "g.toml"])
}

#[test]
fn a_recording_is_what_was_heard_to_the_bit() {
    let scratch = Scratch::new("record");
    scratch.sine("tone.wav", 44_100, 2, 441, 0.4);
    let out = scratch.path("out.wav");
    let daemon = started(&scratch, "keep_free_mb = 1\n", &format!("wav:{}", out.display()));
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), s("tone.wav"), s("tone")]);
    client.done("/play_stem", vec![i(100)]);
    let (answer, said) = call(&client, "/groove/record/start", vec![s("night"), i(1)]);
    assert_eq!(answer, "/done", "{said:?}");
    assert!(said[1].as_text().ends_with("tapes/night.wav"), "{said:?}");
    let (answer, said) = call(&client, "/groove/record/start", vec![]);
    assert!(answer == "/fail" && said[1].as_text().contains("/groove/record/stop"), "{said:?}");
    sleep(0.5);
    assert_eq!(client.status("record", 0), s("on"));
    client.quiet("/set_tempo", vec![f(133.0)]);
    // The audio thread stalls: lost frames are silent in the recording, and reported.
    client.done("/groove/debug/stall_audio", vec![i(200)]);
    sleep(1.0);
    let (answer, said) = call(&client, "/groove/record/stop", vec![]);
    assert_eq!(answer, "/done", "{said:?}");
    let (seconds, missing) = (said[2].as_float().unwrap(), said[3].as_int().unwrap());
    assert!((1.4..3.0).contains(&seconds), "{seconds}");
    let lost = client.status("xruns", 1).as_int().unwrap();
    assert_eq!(missing, lost, "every lost frame is accounted for");
    assert_eq!(client.status("record", 0), s("off"));
    let (answer, said) = call(&client, "/groove/record/stop", vec![]);
    assert!(answer == "/fail" && said[1].as_text().contains("nothing is being recorded"), "{said:?}");
    for (name, words) in [("night", "already"), ("../night", "letters"), (".night", "letters")] {
        let (answer, said) = call(&client, "/groove/record/start", vec![s(name)]);
        assert!(answer == "/fail" && said[1].as_text().contains(words), "{name}: {said:?}");
    }
    daemon.stop();

    let (heard, taped) = (Sound::read(&out), Sound::read(&scratch.path("tapes/night.wav")));
    assert!((taped.left.len() as f64 / 48_000.0 - seconds).abs() < 1e-5, "as long as was told");
    // Finds the start of the recording in the output by its first thousand frames. The output file lacks the
    // frames that were lost; up to there both are equal.
    let key = &taped.left[..1000];
    let at = heard.left.windows(1000).position(|w| w == key).expect("the recording is part of what was heard");
    let same = taped.left.iter().zip(&heard.left[at..]).take_while(|(a, b)| a.to_bits() == b.to_bits()).count();
    assert!(same > 24_000, "the same for {same} frames");
    let sidecar: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.path("tapes/night.json")).unwrap()).unwrap();
    assert_eq!((&sidecar["finished"], &sidecar["missing"]), (&true.into(), &missing.into()), "{sidecar}");
    let held = 72; // frames: the limiter's delay at 48 kHz
    if missing > 0 {
        let (from, frames) = (&sidecar["gaps"][0][0], &sidecar["gaps"][0][1]);
        let (from, frames) = (from.as_u64().unwrap() as usize, frames.as_u64().unwrap() as usize);
        // Frames delayed by the limiter at the gap are lost too: the output continues with as much silence.
        assert!(
            from + held >= same.saturating_sub(1) && frames as i64 == missing,
            "{sidecar}, the same for {same} frames"
        );
        assert!(taped.left[from..from + frames].iter().all(|v| *v == 0.0));
        let rest = &taped.left[from + frames..];
        let found = heard.left[at..].windows(1000).any(|w| w == &rest[..1000]);
        assert!(found, "after the gap it goes on with what was heard");
    }
    let (a, b) =
        (Sound::read(&scratch.path("tapes/night.deck-a.wav")), Sound::read(&scratch.path("tapes/night.deck-b.wav")));
    assert_eq!((a.left.len(), b.left.len()), (taped.left.len(), taped.left.len()));
    assert!(a.rms(0.1, 0.4) > 0.05 && b.rms(0.0, 9.0) == 0.0);
    // Frame by frame, the output equals the only playing deck, before and after the gap; the decks' recordings begin
    // with silence for the limiter's delay.
    let gain = taped.rms(0.1, 0.4) / a.rms(0.1, 0.4);
    let apart = taped.left.iter().zip(&a.left).skip(held).map(|(t, d)| (f64::from(*t) - gain * f64::from(*d)).abs());
    let apart = apart.fold(0.0, f64::max);
    assert!(apart < 1e-5, "the deck and the output are {apart} apart");
}

#[test]
fn a_full_disk_ends_a_recording_and_nothing_else() {
    let scratch = Scratch::new("record-full");
    let daemon = started(&scratch, "keep_free_mb = 1000000000000\n", "null");
    let client = daemon.client();
    let (answer, said) = call(&client, "/groove/record/start", vec![s("x")]);
    assert!(answer == "/fail" && said[1].as_text().contains("record.keep_free_mb"), "{said:?}");
    assert!(!scratch.path("tapes/x.wav").exists());
    client.done("/test_tone", vec![]);
    daemon.stop();
}

/// Kills the daemon at random moments of a recording; the next start completes the file.
fn survive(kills: u32, name: &str) {
    let scratch = Scratch::new(name);
    scratch.sine("tone.wav", 48_000, 2, 440, 0.4);
    let mut seed = 99u32;
    for round in 0..kills {
        let mut daemon = started(&scratch, "keep_free_mb = 1\n", "null");
        let client = daemon.client();
        client.done("/load_buffer", vec![i(100), s("tone.wav"), s("tone")]);
        client.done("/play_stem", vec![i(100)]);
        sleep(0.05);
        let (answer, said) = call(&client, "/groove/record/start", vec![s(format!("tape{round}"))]);
        assert_eq!(answer, "/done", "{said:?}");
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sleep(0.1 + f64::from(seed >> 16) / 65_536.0 * 0.4);
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
        let path = scratch.path(&format!("tapes/tape{round}.wav"));
        let daemon = started(&scratch, "keep_free_mb = 1\n", "null");
        sleep(0.1);
        let log = daemon.log();
        assert!(log.contains(&format!("tape{round}.json: interrupted by a crash; repaired")), "round {round}: {log}");
        daemon.stop();
        let length = std::fs::metadata(&path).unwrap().len();
        let sidecar: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        let frames = sidecar["frames"].as_u64().unwrap();
        assert_eq!(sidecar["repaired"], true, "round {round}");
        assert_eq!(length, 94 + 8 * frames, "round {round}: the header says what is there");
        if frames > 4_800 {
            let sound = Sound::read(&path);
            assert_eq!(sound.left.len() as u64, frames, "round {round}");
            assert!(sound.clicks(0.02).is_empty(), "round {round}: {:?}", sound.clicks(0.02));
        }
    }
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_file() {
    survive(4, "record-killed");
}

#[test]
#[ignore = "takes minutes; make test-kill"]
fn a_hundred_kills_leave_whole_files() {
    survive(100, "record-killed-often");
}
