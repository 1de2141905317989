//! Sets as `grooved play-set` renders and plays them, measured in their sound.

mod common;

#[path = "sets/alive.rs"]
mod alive;
#[path = "sets/crowd.rs"]
mod crowd;
#[path = "sets/heard.rs"]
mod heard;
#[path = "sets/killed.rs"]
mod killed;
#[path = "sets/lists.rs"]
mod lists;
#[path = "sets/mixing.rs"]
mod mixing;
#[path = "sets/refused.rs"]
mod refused;
#[path = "sets/run.rs"]
mod run;
#[path = "sets/tables.rs"]
mod tables;

use std::f64::consts::TAU;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Scratch, Sound, f, free_port, i, p, s};
use grooved::control::commands::value::Value;
use grooved::sets::track::Set;
use heard::{assert_coincide, assert_sounds, numbered, off_ms, ticks};
use run::{await_state, live, play_set, render, rendered};
use tables::{RATE, Row, row, table, tick};

#[test]
fn each_track_begins_on_the_beat_of_the_cue_before() {
    let scratch = Scratch::new("sets-beats");
    let mixed = [(16.0, 8.0, 120.0), (16.0, 4.0, 125.0), (12.0, 8.0, 118.0), (7.0, 3.0, 125.0), (16.0, 8.0, 120.0)];
    let mixed = mixed.map(|(cue, window, bpm)| row(cue, window, bpm));
    // Analysed cues are a few milliseconds beside their beats.
    for off in [0.0, 0.006, -0.006] {
        let table = table(&scratch, &mixed, &[], off, tick);
        assert_sounds(&render(&scratch, &table), &numbered(&mixed), 120.0, &format!("cues {off} s off"));
    }
    let one = [row(8.0, 4.0, 122.5)];
    assert_sounds(&render(&scratch, &table(&scratch, &one, &[], 0.0, tick)), &numbered(&one), 122.5, "one track");
    // The second window has to be over when the third begins.
    let long = [row(16.0, 8.0, 122.5), row(4.0, 8.0, 122.5), row(16.0, 8.0, 122.5)];
    assert_sounds(&render(&scratch, &table(&scratch, &long, &[], 0.0, tick)), &numbered(&long), 122.5, "long windows");
}

#[test]
fn parts_may_be_shorter_than_the_table_says() {
    let scratch = Scratch::new("sets-short");
    // As the older exporter's.
    let short = [Row { short: 0.02, ..row(16.0, 8.0, 122.5) }; 3];
    let table_of = |rows: &[Row]| table(&scratch, rows, &[], 0.0, tick);
    assert_sounds(&render(&scratch, &table_of(&short)), &numbered(&short), 122.5, "20 ms short");
    // The second ends before its cue, between two beats: the third begins on one nevertheless.
    let rows = [row(16.0, 4.0, 120.0), Row { short: 7.8, ..row(16.0, 8.0, 120.0) }, row(16.0, 4.0, 120.0)];
    let sound = render(&scratch, &table_of(&rows));
    let channels = [ticks(&sound.left), ticks(&sound.right)];
    let first = channels[0][0];
    for at in channels.iter().flatten() {
        let beats = (at - first) / 0.5;
        assert!((beats - beats.round()).abs() * 500.0 < 0.3, "a tick at beat {beats:.3}");
    }
    for at in (0..60).map(|k| first + 0.5 * f64::from(k)).filter(|at| at + 3.0 < sound.seconds()) {
        let off = channels.iter().map(|channel| off_ms(channel, at)).fold(f64::INFINITY, f64::min);
        assert!(off < 0.3, "a gap at {at:.3} s");
    }
}

#[test]
fn a_missing_part_is_skipped_without_a_gap() {
    let scratch = Scratch::new("sets-missing");
    let rows = [row(8.0, 4.0, 122.5); 6];
    for missing in [&[0][..], &[2], &[5], &[0, 1], &[1, 2], &[1, 2, 3], &[2, 4], &[3, 4, 5]] {
        for file in 0..rows.len() {
            let _ = std::fs::remove_file(scratch.path(&format!("part{file}.wav")));
        }
        let table = table(&scratch, &rows, missing, 0.0, tick);
        let left: Vec<_> = numbered(&rows).into_iter().filter(|(k, _)| !missing.contains(k)).collect();
        assert_sounds(&render(&scratch, &table), &left, 122.5, &format!("without {missing:?}"));
    }
    // A file that is no sound is as good as missing.
    let table = table(&scratch, &rows, &[2], 0.0, tick);
    std::fs::write(scratch.path("part2.wav"), "RIFF, but no WAVE").unwrap();
    let left: Vec<_> = numbered(&rows).into_iter().filter(|(k, _)| *k != 2).collect();
    assert_sounds(&render(&scratch, &table), &left, 122.5, "with a damaged part");
    for file in 0..rows.len() {
        std::fs::remove_file(scratch.path(&format!("part{file}.wav"))).unwrap();
    }
    let none = play_set(&scratch, &table, &["--render", "none.wav"]);
    assert_eq!(none.status.code(), Some(1), "nothing could be played");
}

#[test]
fn fades_keep_the_power_and_swap_the_bass() {
    let scratch = Scratch::new("sets-levels");
    let rows = [row(16.0, 8.0, 120.0); 3];
    let tones = |_: &Row, _: usize, t: f64| 0.2 * ((TAU * 60.0 * t).sin() + (TAU * 3_000.0 * t).sin());
    let left = render(&scratch, &table(&scratch, &rows, &[], 0.0, tones));
    let right = Sound { rate: left.rate, left: left.right.clone(), right: Vec::new() };
    let of = |track: usize| if track.is_multiple_of(2) { &left } else { &right };
    let db = |level: f64| 20.0 * level.max(1e-9).log10();
    let full = left.tone(3_000.0, 1.0, 7.0);
    for (k, start) in [(0, 0.0), (1, 8.0), (2, 16.0)] {
        for hz in [60.0, 3_000.0] {
            let level = db(of(k).tone(hz, start + 4.5, start + 7.5) / full);
            assert!(level.abs() < 0.1, "track {k} plays {hz} Hz at {level:.2} dB");
        }
    }
    for (k, start) in [(0, 8.0), (1, 16.0)] {
        for piece in 0..16 {
            let (from, to) = (start + 0.25 * f64::from(piece), start + 0.25 * f64::from(piece + 1));
            let power = of(k).tone(3_000.0, from, to).hypot(of(k + 1).tone(3_000.0, from, to));
            assert!(db(power / full).abs() < 1.0, "{:.2} dB at {from} s", db(power / full));
        }
        let bass = |track: usize, from: f64, to: f64| db(of(track).tone(60.0, start + from, start + to) / full);
        // Only one has bass, apart from a beat around the middle, where they change places.
        assert!(bass(k + 1, 0.0, 1.9) < -40.0 && bass(k, 2.5, 4.0) < -40.0, "the bass of two tracks");
        assert!(bass(k, 0.0, 1.5) > -4.0 && bass(k + 1, 2.5, 4.0) > -4.0, "no bass");
    }
    // The last one fades over its window.
    let last: Vec<f64> = (0..16).map(|n| 24.0 + 0.25 * f64::from(n)).map(|t| left.tone(3_000.0, t, t + 0.25)).collect();
    assert!(last.is_sorted_by(|a, b| a > b) && last[15] < 0.1 * full && left.rms(28.02, 28.4) < 1e-6, "{last:?}");
}

#[test]
fn renders_are_equal_and_the_seed_decides() {
    let scratch = Scratch::new("sets-equal");
    let rows = [118.0, 119.0, 120.0, 121.0, 122.0].map(|bpm| row(8.0, 4.0, bpm));
    let table = table(&scratch, &rows, &[], 0.0, tick);
    let of = |args: &[&str]| rendered(&scratch, &table, args);
    let shuffled = ["--order", "shuffle", "--seed", "1"];
    assert!(of(&[]) == of(&[]) && of(&shuffled) == of(&shuffled), "two renders differ");
    assert!(of(&shuffled) != of(&["--order", "shuffle", "--seed", "2"]), "two seeds, one order");
    of(&["--order", "shuffle", "--seed", "4294967295"]);
    assert!(Sound::read(&scratch.path("out.wav")).rms(0.0, 4.0) > 0.0, "silence");
    let listed = play_set(&scratch, &table, &["--dry-run", "--order", "bpm-down"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let places: Vec<_> = (0..5).map(|k| listed.find(&format!("part{k}.wav"))).collect();
    assert!(!places.contains(&None) && places.is_sorted_by(|a, b| a > b), "{listed}");
}

#[test]
fn the_older_players_run_takes_as_long() {
    let scratch = Scratch::new("sets-older");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sets/expected/main-seed1.playlist.csv");
    let bytes = std::fs::read(data).unwrap();
    let set = Set::parse(&bytes).unwrap();
    std::fs::create_dir(scratch.path("parts")).unwrap();
    for track in &set.tracks {
        scratch.wav(&track.part_file, RATE as u32, (track.end * RATE).round() as usize, |_| (0.1, 0.1));
    }
    let table = scratch.path("main.csv");
    std::fs::write(&table, bytes).unwrap();
    let sound = render(&scratch, &table);
    let (first, last) = (sound.onset(0).unwrap(), sound.left.iter().rposition(|v| v.abs() > 1e-6).unwrap());
    let seconds = (last - first) as f64 / RATE;
    assert!((seconds - 70.53).abs() < 0.05 && sound.longest_gap() == 0.0, "{seconds:.3} s");
}

#[test]
fn what_cannot_be_played_has_an_exit_code() {
    let scratch = Scratch::new("sets-codes");
    let code = |text: &str, args: &[&str]| {
        std::fs::write(scratch.path("set.csv"), text).unwrap();
        play_set(&scratch, &scratch.path("set.csv"), args).status.code()
    };
    let header = "part_file,begin_cue_adj,end_cue_adj,target_bpm\n";
    assert_eq!(code("", &["--dry-run"]), Some(2));
    assert_eq!(code("part_file,bpm\n", &["--dry-run"]), Some(2));
    assert_eq!(code(header, &["--dry-run"]), Some(1));
    assert_eq!(code(&format!("{header}a.wav,4,8,120\n"), &["--dry-run"]), Some(0));
    let port = free_port().to_string();
    assert_eq!(code(&format!("{header}a.wav,4,8,120\n"), &["--host", "127.0.0.1", "--port", &port]), Some(3));
    assert_eq!(play_set(&scratch, &scratch.path("none.csv"), &[]).status.code(), Some(2));
}

#[test]
fn decks_stay_together_while_the_tempo_glides() {
    let scratch = Scratch::new("sets-glide");
    let table = table(&scratch, &[row(8.0, 8.0, 118.0); 4], &[], 0.0, tick);
    let (daemon, out) = live(&scratch);
    let client = daemon.client();
    client.done("/groove/set/load", vec![p(&table)]);
    client.done("/groove/set/play", vec![]);
    await_state(&client, "playing", 1);
    client.quiet("/groove/tempo", vec![f(126.0), f(10.0)]);
    await_state(&client, "over", 4);
    daemon.stop();
    let sound = Sound::read(&out);
    let channels = [ticks(&sound.left), ticks(&sound.right)];
    let pairs = assert_coincide(&channels, 0.5, "gliding");
    assert!(pairs >= 16, "{pairs} pairs of ticks");
}

#[test]
fn a_set_is_led_by_hand() {
    let scratch = Scratch::new("sets-hand");
    let table = table(&scratch, &[row(8.0, 4.0, 120.0); 4], &[], 0.0, tick);
    let (daemon, out) = live(&scratch);
    let client = daemon.client();
    for command in ["play", "skip", "back"] {
        client.fails(&format!("/groove/set/{command}"), vec![]);
    }
    client.fails("/groove/set/load", vec![s("none.csv")]);
    // One that is stopped while its table is read does not begin afterwards.
    client.send("/groove/set/load", vec![p(&table)]);
    client.send("/groove/set/play", vec![]);
    client.ask("/groove/set/stop", vec![]);
    await_state(&client, "stopped", 0);
    client.done("/groove/set/play", vec![]);
    await_state(&client, "playing", 1);
    client.done("/groove/set/skip", vec![]);
    await_state(&client, "fading", 2);
    // The one that comes is kept beyond its cue and its window.
    client.quiet("/groove/set/hold", vec![i(1)]);
    await_state(&client, "held", 2);
    std::thread::sleep(Duration::from_secs(8));
    await_state(&client, "held", 2);
    client.quiet("/groove/set/hold", vec![i(0)]);
    await_state(&client, "playing", 3);
    client.done("/groove/set/back", vec![]);
    await_state(&client, "playing", 2);
    // Another table is for the next time: what plays goes on.
    let playing = client.status("set", 3);
    client.done("/groove/set/load", vec![p(&table), s("shuffle"), i(1)]);
    assert_eq!(client.status("set", 3), playing);
    client.done("/groove/set/stop", vec![]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while client.status("buffers", 0) != Value::Int(0) {
        assert!(Instant::now() < deadline, "stems are left");
    }
    daemon.stop();

    let sound = Sound::read(&out);
    let channels = [ticks(&sound.left), ticks(&sound.right)];
    assert_coincide(&channels, 0.5, "by hand");
    let mut all: Vec<f64> = channels.concat();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|b, a| *b - *a < 0.1);
    for pair in all.windows(2) {
        let off = pair[1] - pair[0] - 0.5;
        assert!(off.abs() < 0.001, "{:.1} ms off at {:.3} s", off * 1e3, pair[1]);
    }
    // Skipping waits for the bar.
    let into = (channels[1][0] - channels[0][0]) / 0.5;
    let beats = if into.round() as i64 % 4 == 1 { into - 1.0 } else { into };
    assert!((beats / 4.0 - (beats / 4.0).round()).abs() < 0.01, "the second track begins {beats:.2} beats on");
}
