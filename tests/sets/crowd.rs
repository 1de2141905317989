//! Movement chooses the tracks of a set.

use std::time::Duration;

use super::run::{await_state, load, played, usual, wait_for};
use super::tables::{Row, pitch, short, table, tick};
use crate::common::{Client, Daemon, Scratch, Sound, f, i};

/// As in the daemon: time constants of the present and of the usual movement, in seconds, and the difference that counts.
const PRESENT_S: f64 = 60.0;
const USUAL_S: f64 = 600.0;
const DIFFERENCE: f64 = 0.02;
/// Movement before and after the step.
const LITTLE: f64 = 0.1;
const MUCH: f64 = 0.9;
/// Tempos of the tracks before they became parts. The last two are the fast ones.
const ORIGINAL: [f64; 6] = [118.0, 119.0, 120.0, 121.0, 130.0, 131.0];
const FAST: usize = 4;
/// Tracks that are played.
const PLAYED: usize = 3;

/// Returns the seconds after which a step of movement counts.
fn reaction_s() -> f64 {
    let difference = |seconds: f64| (MUCH - LITTLE) * ((-seconds / USUAL_S).exp() - (-seconds / PRESENT_S).exp());
    (0..).map(|k| f64::from(k) * 0.01).find(|seconds| difference(*seconds) >= DIFFERENCE).unwrap()
}

fn clock(client: &Client) -> f64 {
    client.status("clock", 0).as_float().unwrap() / 48_000.0
}

/// Sends this movement for some seconds of the daemon's clock.
fn moves(client: &Client, movement: f64, seconds: f64) {
    let until = clock(client) + seconds;
    wait_for("time passes", || {
        client.send("/dance/total_movement", vec![f(movement)]);
        std::thread::sleep(Duration::from_millis(40));
        clock(client) >= until
    });
}

/// Plays a set with little movement and then another; returns which of the first tracks were fast, as they are heard.
fn fast_ones(name: &str, config: &str, then: f64) -> Vec<bool> {
    let scratch = Scratch::new(name);
    let rows = ORIGINAL.map(|original| Row { original, ..short(6.0, 2.0, 0.0) });
    let table = table(&scratch, &rows, &[], 0.0, tick);
    std::fs::write(scratch.path("g.toml"), config).unwrap();
    let (out, root) = (scratch.path("live.wav"), scratch.0.display().to_string());
    let output = format!("wav:{}", out.display());
    let daemon = Daemon::start(&scratch, &["--output", &output, "--media-root", &root, "--config", "g.toml"]);
    let client = daemon.client();
    // The tempo is held by hand for a minute.
    client.quiet("/groove/tempo", vec![f(240.0), f(0.0)]);
    moves(&client, LITTLE, 0.5);
    load(&client, &table, "energy", 3);
    let mut args = usual();
    args[0] = i(PLAYED as i64);
    client.done("/groove/set/play", args);
    await_state(&client, "playing", 1);
    // The second one is chosen by then, and is loaded soon.
    client.quiet("/groove/set/hold", vec![i(1)]);
    moves(&client, then, 2.0 * reaction_s());
    client.quiet("/groove/set/hold", vec![i(0)]);
    await_state(&client, "over", PLAYED as i64);
    let told = played(&client);
    daemon.stop();
    let sound = Sound::read(&out);
    assert_eq!(told.len(), PLAYED, "{told:?}");
    let mut once: Vec<_> = told.iter().map(|told| told.file.clone()).collect();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), PLAYED, "one was played twice: {told:?}");

    // By their ticks, between the fades.
    let first =
        [0, 1].map(|k| [&sound.left, &sound.right][k].iter().position(|v| v.abs() > 0.004).unwrap_or(usize::MAX));
    let begin = first.into_iter().min().unwrap() as f64 / 48_000.0;
    let other = super::heard::other(&sound);
    let heard = told.iter().map(|track| {
        let at = |time: f64| begin + time - told[0].times[1];
        let (from, to) = (at(track.times[1]) + 0.55, at(track.times[2]));
        let level = |k: usize| [&sound, &other][k % 2].tone(pitch(k), from, to);
        let loudest = (0..ORIGINAL.len()).max_by(|a, b| level(*a).total_cmp(&level(*b))).unwrap();
        assert_eq!(format!("part{loudest}.wav"), track.file, "{told:?}");
        loudest >= FAST
    });
    heard.collect()
}

#[test]
fn movement_chooses_the_tracks() {
    assert!((1.0..3.0).contains(&reaction_s()), "{} s", reaction_s());
    // They wait most of the time.
    std::thread::scope(|threads| {
        let more = threads.spawn(|| fast_ones("sets-crowd-more", "", MUCH));
        let same = threads.spawn(|| fast_ones("sets-crowd-same", "", LITTLE));
        let no_tempo = threads.spawn(|| fast_ones("sets-crowd-tempo", "[movement]\ntempo = false\n", MUCH));
        // The one that was loaded before the crowd began to move comes first.
        assert_eq!(more.join().unwrap(), [false, false, true], "more movement than usual");
        assert_eq!(same.join().unwrap(), [false; PLAYED], "as much movement as usual");
        assert_eq!(no_tempo.join().unwrap(), [false, false, true], "where movement does not set the tempo");
    });
}
