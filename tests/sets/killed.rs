//! A daemon that is killed while it plays a set, and started again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::run::{announced, await_part, load, played_files, status, wait_for};
use super::tables::RATE;
use crate::common::{Client, Daemon, Scratch, Sound, f, i, s};

/// A bar of the parts, in seconds.
const BAR: f64 = 1.0;
/// Length of a part before its cue, in seconds.
const CUE: f64 = 12.0;
const TRACKS: usize = 5;

/// Writes a table of parts that tell on the left which they are, and on the right how many seconds have passed.
fn table(scratch: &Scratch) -> PathBuf {
    let mut text = String::from("part_file,bpm,target_bpm,begin_cue_adj,end_cue_adj\n");
    for k in 0..TRACKS {
        scratch.wav(&format!("part{k}.wav"), RATE as u32, ((CUE + 1.0) * RATE) as usize, |frame| {
            (0.02 * (k + 1) as f32, (0.05 + 0.02 * frame as f64 / RATE) as f32)
        });
        text += &format!("part{k}.wav,240,240,{CUE},{}\n", CUE + 0.5);
    }
    let path = scratch.path("set.csv");
    std::fs::write(&path, text).unwrap();
    path
}

/// Returns the part that sounds at a second of a recording, and its position.
fn heard(sound: &Sound, at: f64) -> (String, f64) {
    let frame = (at * RATE) as usize;
    let (left, right) = (f64::from(sound.left[frame]), f64::from(sound.right[frame]));
    (format!("part{}.wav", (left / 0.02).round() - 1.0), (right - 0.05) / 0.02)
}

/// Returns the decks' settings, as a preset keeps them.
fn decks(scratch: &Scratch, client: &Client, name: &str) -> serde_json::Value {
    client.done("/groove/preset/save", vec![s(name)]);
    let path = scratch.path(&format!("kept/presets/{name}.json"));
    wait_for("the preset is saved", || path.exists());
    let show: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(show["decks"].as_array().unwrap().len(), 4);
    serde_json::json!([show["decks"], show["crossfade"], show["curve"]])
}

fn start(scratch: &Scratch, out: &str) -> Daemon {
    let (output, root) = (format!("wav:{}", scratch.path(out).display()), scratch.0.display().to_string());
    Daemon::start(scratch, &["--output", &output, "--config", "g.toml", "--media-root", &root])
}

/// Position of the only stem that sounds, in seconds.
fn position(client: &Client) -> Option<f64> {
    let answers = client.ask("/get_status", vec![]);
    let mut players = answers.iter().filter(|answer| answer.address == "/status/player");
    let only = players.next()?.args[3].as_float();
    assert!(players.next().is_none(), "{answers:?}");
    only
}

/// Waits until a part has passed its first bar, and kills the daemon; returns how long it had played by then, at least
/// and at most.
fn kill_in(daemon: &mut Daemon, part: &str) -> (f64, f64) {
    let client = daemon.client();
    await_part(&client, part);
    wait_for("the first bar is over", || position(&client).is_some_and(|position| position > BAR));
    // The state is saved within this time.
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(status(&client).2, part, "the next one has begun");
    let asked = Instant::now();
    let before = position(&client).unwrap();
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    (before, before + asked.elapsed().as_secs_f64())
}

/// Asserts that a recording begins with this part, at a bar and at most two bars before where it was.
fn assert_goes_on(path: &Path, part: &str, (least, most): (f64, f64)) {
    let sound = Sound::read(path);
    let onset = sound.onset(0).unwrap() as f64 / RATE;
    // The start within a file fades in.
    let (file, at) = heard(&sound, onset + 0.05);
    let from = at - 0.05;
    assert_eq!(file, part);
    assert!(from <= most && from >= least - 2.0 * BAR, "{part} goes on at {from:.3} s, and was killed at {least:.3} s");
    assert!((from / BAR - (from / BAR).round()).abs() < 0.005, "{part} goes on between two bars, at {from:.4} s");
}

/// Plays a shuffled set that is killed in its second track and after the restart, if so asked for, in its third.
/// `first` is the row that is played first.
fn killed(name: &str, first: usize, kills: usize) {
    let scratch = Scratch::new(name);
    let table = table(&scratch);
    std::fs::write(scratch.path("g.toml"), "[state]\nrestore = true\nfolder = \"kept\"\nsave_s = 0.05\n").unwrap();
    let order_of = |seed: i64| {
        let tracks = announced(&scratch, &table, &["--order", "shuffle", "--seed", &seed.to_string()]);
        tracks.into_iter().map(|(_, file)| file).collect::<Vec<String>>()
    };
    let first = format!("part{first}.wav");
    let (seed, order) = (0..).map(|seed| (seed, order_of(seed))).find(|(_, order)| order[0] == first).unwrap();

    let mut daemon = start(&scratch, "0.wav");
    let client = daemon.client();
    // Positions are read from the sound.
    client.quiet("/groove/master", vec![f(1.0)]);
    client.quiet("/groove/deck/a/level", vec![f(0.625)]);
    client.quiet("/groove/deck/b/gain/low", vec![f(0.5)]);
    client.quiet("/groove/deck/c/sync", vec![s("off")]);
    client.quiet("/groove/deck/b/bpm", vec![f(100.0)]);
    client.quiet("/groove/crossfade", vec![f(0.25)]);
    let before = decks(&scratch, &client, "before");
    load(&client, &table, "shuffle", seed);
    client.done("/groove/set/play", vec![]);
    await_part(&client, &order[0]);
    client.done("/groove/set/skip", vec![]);
    let mut places = vec![kill_in(&mut daemon, &order[1])];
    drop(daemon);
    if kills > 1 {
        let mut daemon = start(&scratch, "1.wav");
        let client = daemon.client();
        await_part(&client, &order[1]);
        client.done("/groove/set/skip", vec![]);
        places.push(kill_in(&mut daemon, &order[2]));
    }

    let out = format!("{kills}.wav");
    let daemon = start(&scratch, &out);
    let client = daemon.client();
    let rest = &order[kills..];
    for part in rest {
        await_part(&client, part);
        client.done("/groove/set/skip", vec![]);
    }
    wait_for("the set is over, or another track plays", || {
        let (state, _, file) = status(&client);
        state == "over" || (state == "playing" && file != rest[rest.len() - 1])
    });
    let names = played_files(&client);
    let is_over = status(&client).0 == "over";
    if is_over {
        wait_for("its stems are gone", || client.status("buffers", 0) == i(0));
        assert_eq!(decks(&scratch, &client, "after"), before);
    }
    daemon.stop();
    for (k, place) in places.into_iter().enumerate() {
        assert_goes_on(&whole(&scratch.path(&format!("{}.wav", k + 1))), &order[k + 1], place);
    }
    assert_eq!(names, rest, "after restart {kills} of a set in the order {order:?}");
    assert!(is_over, "it plays on after its last track");

    // Over is over, also after a restart.
    let daemon = start(&scratch, "last.wav");
    let client = daemon.client();
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        !["playing", "fading", "loading", "reading"].contains(&status(&client).0.as_str()),
        "{:?}",
        status(&client)
    );
    assert_eq!(client.status("players", 0), i(0));
    daemon.stop();
}

#[test]
fn a_set_that_is_killed_goes_on_and_plays_each_track_once() {
    // They wait most of the time.
    std::thread::scope(|threads| {
        // What was played before is not taken for a row that was added, …
        let once = threads.spawn(|| killed("sets-killed", TRACKS - 1, 1));
        // … nor forgotten at the second time.
        let twice = threads.spawn(|| killed("sets-killed-again", 1, 2));
        once.join().unwrap();
        twice.join().unwrap();
    });
}

/// Writes the frames of a recording whose writer was killed beside it.
fn whole(path: &Path) -> PathBuf {
    let bytes = std::fs::read(path).unwrap();
    let data = bytes.windows(4).position(|tag| tag == b"data").unwrap() + 8;
    let samples: Vec<f32> =
        bytes[data..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let beside = path.with_extension("whole.wav");
    let depth = grooved::media::wav::Depth::Float;
    let mut writer = grooved::media::wav::WavWriter::create(&beside, 2, RATE as u32, depth).unwrap();
    writer.write(&samples[..samples.len() / 2 * 2]).unwrap();
    writer.finish().unwrap();
    beside
}
