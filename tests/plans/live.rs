//! Plans that a running daemon plays, measured in its recording; a daemon that is killed meanwhile.

use std::time::{Duration, Instant};

use crate::common::{Daemon, Scratch, Sound, i, p, s};
use crate::measure::{SILENT, assert_starts, longest_silence, loud};
use crate::run::{client_of, daemon, now, status, until, until_forgotten, until_plays};
use crate::written::{BAR, BEAT, Dice, KEYS, RATE, five, plan, section, stamp};

/// Longest time from Ctrl-C to silence, in seconds.
const SILENCED: f64 = 0.1;
/// Attempts at it: a busy machine may hold up the client.
const ATTEMPTS: usize = 4;

#[test]
fn a_daemon_plays_a_plan_as_it_is_rendered() {
    let scratch = Scratch::new("plans-live");
    let bars = [1, 2, 1, 1, 2];
    let path = five(&scratch, "plan.json", bars, 2);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    let ran = client_of(&scratch, &daemon, &path, &["--mode", "full"]).finish().ends_with(0, "full");
    let places: Vec<_> = KEYS.iter().map(|key| ran.out.find(key)).collect();
    assert!(!places.contains(&None) && places.is_sorted(), "{}", ran.out);
    let over = until(&client, "over", |status| status.rests());
    assert!(["over", "stopped"].contains(&over.state.as_str()), "{over:?}");
    until_forgotten(&client);
    let faults = client.status("faults", 0);
    let log = daemon.log();
    daemon.stop();
    let sound = Sound::read(&out);
    let expected: Vec<_> = bars.iter().copied().enumerate().collect();
    let first = assert_starts(&sound, &expected, BEAT, &format!("live; {faults:?} stems starved\n{log}"));
    assert_eq!(longest_silence(&sound, first..first + 7 * BAR), 0);
    // The last one fades within a beat, and that is all.
    let last = *loud(&sound.right).last().unwrap();
    let off = last as i64 - (first + 7 * BAR + BEAT) as i64;
    // Volumes move in steps of 64 frames.
    assert!((-200..65).contains(&off), "the last section's fade ends {off} frames beside its computed end");
}

#[test]
fn stems_of_a_live_section_begin_on_one_sample() {
    let scratch = Scratch::new("plans-live-sample");
    // Opposite noise, as in the renders: anything beside the pulses is a sample out of place.
    let sections: Vec<_> = (0..4)
        .map(|k| {
            let mut dice = Dice(k as u64 + 100);
            let noise: Vec<f32> = (0..BAR + 2 * BEAT).map(|_| 0.3 * dice.swing()).collect();
            let pulse = |frame: usize| if frame == 0 || frame == BAR - 1 { 0.5 } else { 0.0 };
            let (up, down) = (format!("up{k}.wav"), format!("down{k}.wav"));
            scratch.wav(&up, RATE as u32, noise.len(), |n| (noise[n] + pulse(n), noise[n]));
            scratch.wav(&down, RATE as u32, noise.len(), |n| (-noise[n], pulse(n) - noise[n]));
            section(KEYS[k]).with("bars", 1).stem("bass", &up).stem("other", &down)
        })
        .collect();
    let path = plan(&scratch, "plan.json", &sections);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![]);
    until(&client, "over", |status| status.state == "over");
    daemon.stop();
    let sound = Sound::read(&out);
    let left = loud(&sound.left);
    let first = left[0];
    let expected: Vec<usize> = (0..4).flat_map(|k| [first + k * BAR, first + (k + 1) * BAR - 1]).collect();
    let few: Vec<i64> = left.iter().take(20).map(|n| *n as i64 - first as i64).collect();
    assert!(left == expected && loud(&sound.right) == expected, "frames {few:?} on the left");
}

#[test]
fn ctrl_c_silences_a_plan_at_once() {
    let scratch = Scratch::new("plans-interrupted");
    let file = stamp(&scratch, 3, 124);
    let path = plan(&scratch, "plan.json", &[section(KEYS[0]).with("bars", 30).stem("bass", &file)]);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    // (frame of the signal at the latest, frame at which the next attempt begins)
    let mut attempts = Vec::new();
    for _ in 0..ATTEMPTS {
        let running = client_of(&scratch, &daemon, &path, &["--mode", "full"]);
        until_plays(&client, 1);
        std::thread::sleep(Duration::from_millis(300));
        let (asked, clock) = (Instant::now(), now(&client));
        running.interrupt();
        let latest = clock + (asked.elapsed().as_secs_f64() * RATE) as usize;
        let ran = running.finish();
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert!(ran.err.lines().count() <= 2 && !ran.err.contains("panicked"), "{ran:?}");
        until(&client, "at rest", |status| status.rests());
        until_forgotten(&client);
        std::thread::sleep(Duration::from_millis(300));
        attempts.push((clock, latest, now(&client)));
    }
    daemon.stop();
    let sound = Sound::read(&out);
    let taken: Vec<f64> = attempts
        .iter()
        .map(|(clock, latest, next)| {
            let before = &sound.right[clock - (0.1 * RATE) as usize..*clock];
            assert!(before.iter().all(|v| v.abs() > 0.01), "it did not sound before the signal");
            let last = sound.right[*clock..*next].iter().rposition(|v| v.abs() > SILENT).map_or(0, |n| clock + n);
            (last as f64 - *latest as f64) / RATE
        })
        .collect();
    // It is to be silent for good.
    assert!(taken.iter().all(|seconds| *seconds < 2.0), "{taken:?}");
    let best = taken.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(best <= SILENCED, "silent {taken:?} seconds after the signal");
}

#[test]
fn a_plan_that_is_killed_in_its_fourth_section_goes_on_there() {
    let scratch = Scratch::new("plans-killed");
    let bars = [1, 1, 1, 9, 1];
    let path = five(&scratch, "plan.json", bars, 2);
    std::fs::write(scratch.path("g.toml"), "[state]\nrestore = true\nfolder = \"kept\"\nsave_s = 0.05\n").unwrap();
    let root = scratch.0.display().to_string();
    let args = ["--output", "null", "--config", "g.toml", "--media-root", &root];
    let mut daemon = Daemon::start(&scratch, &args);
    let client = daemon.client();
    client.done("/groove/plan/load", vec![p(&path)]);
    client.done("/groove/plan/play", vec![s("3-")]);
    let before = until(&client, "in bar 3 of section 4", |status| status.plays(4) && status.bar >= 3);
    assert_eq!((before.bars, before.key.as_str(), before.sections), (9, KEYS[3], 5));
    // The state is written within this time.
    std::thread::sleep(Duration::from_millis(300));
    let (killed, before) = (Instant::now(), status(&client));
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();

    let daemon = Daemon::start(&scratch, &args);
    let client = daemon.client();
    let after = until(&client, "playing again", |status| status.state == "playing");
    assert_eq!((after.place, after.key.as_str(), after.bars), (4, KEYS[3], 9), "{after:?}\n{}", daemon.log());
    // At most a bar before; and it may have gone on since, a bar a second.
    let latest = before.bar + 1 + killed.elapsed().as_secs_f64().ceil() as i64;
    let bars = before.bar - 1..=latest;
    assert!(bars.contains(&after.bar), "killed in bar {}, restored in bar {}", before.bar, after.bar);
    assert_eq!((after.path, after.bpm), (before.path, before.bpm));
    let next = until_plays(&client, 5);
    assert_eq!((next.key.as_str(), next.bars), (KEYS[4], 1));
    until(&client, "over", |status| status.state == "over");
    until_forgotten(&client);
    // Over is over, also after a restart.
    std::thread::sleep(Duration::from_millis(300));
    daemon.stop();
    let daemon = Daemon::start(&scratch, &args);
    let rests = status(&daemon.client());
    assert!(rests.rests(), "{rests:?}");
    assert_eq!(daemon.client().status("players", 0), i(0));
    daemon.stop();
}
