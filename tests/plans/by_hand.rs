//! A plan led over OSC: errors, jumps, holds and the tempo.

use serde_json::json;

use crate::common::{Client, Scratch, Sound, f, i, p, s};
use crate::measure::{Start, gain, longest_silence, nearest, starts, tick, ticks};
use crate::run::{daemon, status, until, until_forgotten, until_plays};
use crate::written::{BAR, BEAT, KEYS, RATE, five, level, plan, section};

/// Frames by which ticks of one beat may be apart while the tempo glides: a tenth of a millisecond.
const TOGETHER: f64 = 4.8;

/// Sends what must fail once, and returns the reason.
fn fails_once(client: &Client, address: &str, args: Vec<grooved::control::commands::value::Value>) -> String {
    let answers = client.ask(address, args);
    let fails: Vec<_> = answers.iter().filter(|answer| answer.address == "/fail").collect();
    assert_eq!((answers.len(), fails.len()), (1, 1), "{address}: {answers:?}");
    let why = fails[0].args[1].as_text();
    assert_eq!(fails[0].args[0], s(address));
    assert!(why.len() > 10 && !why.contains('\n'), "{address}: '{why}'");
    why
}

/// Asserts that all starts are on bars of the first one's.
fn assert_on_bars(found: &[Start]) {
    for start in found {
        assert_eq!((start.at - found[0].at) % BAR, 0, "stamp {} does not begin at a bar: {found:?}", start.code);
    }
}

#[test]
fn errors_are_told_and_nothing_stops() {
    let scratch = Scratch::new("plans-errors");
    let path = five(&scratch, "plan.json", [1, 12, 1, 1, 1], 2);
    std::fs::write(scratch.path("damaged.json"), "{\"sections\": ").unwrap();
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    assert_eq!((status(&client).state.as_str(), status(&client).place), ("none", 0));
    for command in ["play", "next", "back"] {
        fails_once(&client, &format!("/groove/plan/{command}"), vec![]);
    }
    let why = fails_once(&client, "/groove/plan/load", vec![s("none.json")]);
    assert!(why.contains("none.json"), "{why}");
    assert_eq!(status(&client).state, "none");
    client.done("/groove/plan/load", vec![p(&path)]);
    let loaded = status(&client);
    assert_eq!((loaded.state.as_str(), loaded.place, loaded.sections), ("loaded", 0, 5));
    client.done("/groove/plan/play", vec![s("2-")]);
    let playing = until(&client, "in bar 2", |status| status.plays(2) && status.bar >= 2);
    for (address, args) in [
        ("/groove/plan/play", vec![s("solo")]),
        ("/groove/plan/play", vec![s("9")]),
        ("/groove/plan/play", vec![s("4-2")]),
        ("/groove/plan/load", vec![s("none.json")]),
        ("/groove/plan/load", vec![s("damaged.json")]),
        ("/groove/plan/load", vec![s("stamp1.wav")]),
        ("/groove/plan/load", vec![p(&path), s("backwards")]),
        ("/groove/plan/load", vec![]),
    ] {
        fails_once(&client, address, args);
    }
    let why = fails_once(&client, "/groove/plan/play", vec![s("solo")]);
    assert!(KEYS.iter().all(|key| why.contains(key)), "the keys are not listed: {why}");
    let still = status(&client);
    assert!(still.plays(2) && still.bar >= playing.bar && still.path == playing.path, "{still:?}");
    until(&client, "two bars on", |status| status.bar >= playing.bar + 2);
    client.done("/groove/plan/stop", vec![f(0.1)]);
    until_forgotten(&client);
    daemon.stop();
    let sound = Sound::read(&out);
    let found = starts(&sound, BEAT);
    assert_eq!(found.iter().map(|start| start.code).collect::<Vec<_>>(), [1]);
    let (first, last) = (found[0].at, sound.right.iter().rposition(|v| v.abs() > 1e-6).unwrap());
    assert_eq!(longest_silence(&sound, first..last), 0, "it stopped meanwhile");
    let steady = &sound.right[first + 1..first + 3 * BAR];
    let gain = gain(&sound);
    assert!(steady.iter().all(|v| (f64::from(*v) / gain - level(1)).abs() < 1e-3), "its level moved");
}

#[test]
fn jumps_happen_at_the_next_bar() {
    let scratch = Scratch::new("plans-jumps");
    let path = five(&scratch, "plan.json", [12; 5], 2);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![]);
    until_plays(&client, 1);
    client.done("/groove/plan/next", vec![]);
    until_plays(&client, 2);
    client.done("/groove/plan/next", vec![]);
    until_plays(&client, 3);
    client.done("/groove/plan/back", vec![]);
    until_plays(&client, 2);
    client.done("/groove/plan/play", vec![s("4-")]);
    until_plays(&client, 4);
    client.done("/groove/plan/play", vec![s("intro")]);
    // Not before its stamp can be read.
    until(&client, "in bar 2 of section 1", |status| status.plays(1) && status.bar == 2);
    client.done("/groove/plan/stop", vec![]);
    until_forgotten(&client);
    daemon.stop();
    let sound = Sound::read(&out);
    let found = starts(&sound, BEAT);
    assert_eq!(found.iter().map(|start| start.code).collect::<Vec<_>>(), [0, 1, 2, 1, 3, 0], "{found:?}");
    assert_on_bars(&found);
    // None waits for longer than that: a bar to load it, one to begin, and time for this test to notice.
    for pair in found.windows(2) {
        let bars = (pair[1].at - pair[0].at) / BAR;
        assert!((1..=4).contains(&bars), "stamp {} plays for {bars} bars: {found:?}", pair[0].code);
    }
    let end = found[5].at;
    assert_eq!(longest_silence(&sound, found[0].at..end), 0);
}

#[test]
fn a_section_that_is_held_is_repeated() {
    let scratch = Scratch::new("plans-held");
    let path = five(&scratch, "plan.json", [1, 2, 1, 1, 1], 0);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    // Sections 2 to 3: held, the first of them is never left.
    client.done("/groove/plan/hold", vec![i(1)]);
    client.done("/groove/plan/play", vec![s("2-3")]);
    let held = until_plays(&client, 2);
    assert!(held.held, "{held:?}");
    for _ in 0..3 {
        until(&client, "in bar 1", |status| status.plays(2) && status.bar == 1);
        until(&client, "in bar 2", |status| status.plays(2) && status.bar == 2);
    }
    client.done("/groove/plan/hold", vec![i(0)]);
    until(&client, "over", |status| status.state == "over");
    daemon.stop();
    let sound = Sound::read(&out);
    let found = starts(&sound, BEAT);
    assert!((4..8).contains(&found.len()), "{found:?}");
    let first = found[0].at;
    for (k, start) in found.iter().enumerate() {
        let code = if k + 1 == found.len() { 2 } else { 1 };
        assert_eq!(*start, Start { at: first + 2 * k * BAR, code }, "{found:?}");
    }
    // Each repetition is the same, but for what fades out beneath.
    for start in &found[1..found.len() - 1] {
        for n in 500..2 * BAR - 80 {
            let (a, b) = (sound.right[first + n], sound.right[start.at + n]);
            assert!((a - b).abs() < 1e-6, "frame {n} of the repetition at {} is {b}, not {a}", start.at);
        }
    }
}

#[test]
fn sections_stay_on_bars_while_the_tempo_glides() {
    let scratch = Scratch::new("plans-glide");
    // Seconds from a beat to its tick: nothing of it is cut off.
    let into = 0.02;
    let bars = 2;
    // Sections tick on the left and on the right in turn, and go on beneath the next one for a fade of two beats.
    let sections: Vec<_> = (0..4)
        .map(|k| {
            let file = format!("ticks{k}.wav");
            let frames = 4 * bars * BEAT + 3 * BEAT;
            scratch.wav(&file, RATE as u32, frames, |n| {
                let since = (n % BEAT) as f64 / RATE - into;
                let v = tick(since) as f32;
                if k % 2 == 0 { (v, 0.0) } else { (0.0, v) }
            });
            section(KEYS[k]).with("bars", bars).stem_with("bass", &file, &json!({"key": "D"}))
        })
        .collect();
    let path = plan(&scratch, "plan.json", &sections);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path), s("rate"), s("first"), f(0.0), f(0.0), f(2.0)]);
    client.done("/groove/plan/play", vec![]);
    until_plays(&client, 1);
    client.quiet("/groove/tempo", vec![f(264.0), f(5.0)]);
    until(&client, "over", |status| status.state == "over");
    let tempo = client.status("tempo", 0).as_float().unwrap();
    assert!(tempo > 250.0, "the tempo was not followed: {tempo}");
    daemon.stop();
    let sound = Sound::read(&out);
    let heard = [ticks(&sound.left), ticks(&sound.right)];
    let mut all: Vec<(f64, usize)> =
        heard.iter().enumerate().flat_map(|(side, ticks)| ticks.iter().map(move |at| (*at, side))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // The beats: ticks of both sides coincide where both have some.
    let mut beats: Vec<(f64, [bool; 2])> = Vec::new();
    for (at, side) in all {
        match beats.last_mut() {
            Some((last, sides)) if at - *last < 1_000.0 => {
                assert!(at - *last < TOGETHER, "ticks at {last:.1} and {at:.1} are apart");
                sides[side] = true;
            }
            _ => beats.push((at, [side == 0, side == 1])),
        }
    }
    let count = 4 * bars;
    assert!((4 * count..=4 * count + 2).contains(&beats.len()), "{} beats", beats.len());
    for (k, (at, sides)) in beats.iter().enumerate().take(4 * count) {
        // The section that plays ticks; the one before does for a beat or two more, and no other.
        let (section, beat) = (k / count, k % count);
        assert!(sides[section % 2], "beat {k} at {at:.0} has no tick of section {section}: {sides:?}");
        let other = sides[1 - section % 2];
        assert!(other == (section > 0 && beat < 2), "beat {k} at {at:.0}: {sides:?}");
    }
    // They are never further apart than at the beginning, and less and less so.
    let steps: Vec<f64> = beats.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(steps.windows(2).all(|pair| pair[1] < pair[0] + 3.0), "{steps:?}");
    assert!(steps[0] < BEAT as f64 + 3.0 && steps[steps.len() - 1] < 0.96 * BEAT as f64, "{steps:?}");
    assert!(nearest(&heard[0], beats[0].0) < 1.0, "the first section ticks on the left");
}
