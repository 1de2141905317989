//! Arguments and flags out of range.

use super::run::{live, load, play_set, status, usual, wait_for};
use super::tables::{short, table, tick};
use crate::common::{Scratch, Sound, f, i, s};
use grooved::control::commands::value::Value;

#[test]
fn arguments_out_of_range_are_refused_and_the_set_plays_on() {
    let scratch = Scratch::new("sets-refused");
    let (daemon, out) = live(&scratch);
    let client = daemon.client();
    scratch.sine("part.wav", 48_000, 10, 330, 0.2);
    let path = scratch.path("set.csv");
    std::fs::write(&path, "part_file,target_bpm,begin_cue_adj,end_cue_adj\npart.wav,240,8,9\n").unwrap();
    load(&client, &path, "csv", 0);
    client.done("/groove/set/play", vec![]);
    wait_for("it plays", || status(&client).0 == "playing");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let before = status(&client);
    let cases: [(usize, &str, Vec<Value>); 8] = [
        (0, "limit", vec![i(-1), i(1_000_001), s("two"), f(f64::NAN)]),
        (1, "minutes", vec![f(-0.1), f(10_081.0), f(f64::NAN), f(f64::INFINITY), s("long")]),
        (2, "loop", vec![s("often")]),
        (3, "decks", vec![i(1), i(5), i(-3), s("abc")]),
        (4, "fade", vec![f(-1.0), f(64.5), f(f64::NAN), s("auto")]),
        (5, "curve", vec![s("bell"), s(""), i(2)]),
        (6, "bass", vec![s("swap")]),
        (7, "align", vec![s("grid"), s("half"), i(4)]),
    ];
    for (place, name, values) in cases {
        for value in values {
            let mut args = usual();
            args[place] = value.clone();
            let answers = client.ask("/groove/set/play", args);
            let what = format!("{name} {value:?}: {answers:?}");
            assert_eq!(answers.len(), 1, "{what}");
            assert_eq!(answers[0].address, "/fail", "{what}");
            assert_eq!(answers[0].args[0], s("/groove/set/play"), "{what}");
            let why = answers[0].args[1].as_text();
            assert!(why.contains(name) && why.contains("expected") && why.lines().count() == 1, "{what}");
            assert_eq!(status(&client), before, "{what}");
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    daemon.stop();
    let sound = Sound::read(&out);
    assert!(sound.seconds() < 8.0, "the last argument came too late: {} s", sound.seconds());
    // A sine is zero now and then.
    assert!(sound.longest_gap() < 0.001, "silent for {} s", sound.longest_gap());
    let begin = sound.onset(0).unwrap() as f64 / 48_000.0;
    // The end of the daemon is a fade of a tenth of a second.
    let (full, end) = (sound.tone(330.0, begin + 0.05, begin + 0.25), sound.seconds() - 0.2);
    for step in (0..).take_while(|step| begin + 0.1 * f64::from(step + 2) < end) {
        let from = begin + 0.1 * f64::from(step);
        let level = sound.tone(330.0, from, from + 0.1) / full;
        assert!((level - 1.0).abs() < 0.01 || step == 0, "{level} of its level {} s after its beginning", from - begin);
    }
    assert_eq!(sound.clicks(0.01), Vec::<f64>::new());
}

#[test]
fn flags_out_of_range_are_refused() {
    let scratch = Scratch::new("sets-flags");
    let table = table(&scratch, &[short(4.0, 2.0, 0.0)], &[], 0.0, tick);
    for flags in [
        &["--limit", "0"][..],
        &["--limit=-1"],
        &["--minutes", "0"],
        &["--minutes", "nan"],
        &["--minutes", "10081"],
        &["--decks", "a"],
        &["--decks", "abcde"],
        &["--fade", "0.1"],
        &["--fade", "65"],
        &["--fade", "nan"],
        &["--curve", "bell"],
        &["--eq", "half"],
        &["--align", "grid"],
        &["--minutes=-1"],
        &["--fade=-1"],
        &["--preload=-1"],
        &["--loop", "--render", "out.wav"],
    ] {
        let mut args = flags.to_vec();
        if !flags.contains(&"--render") {
            args.push("--dry-run");
        }
        let run = play_set(&scratch, &table, &args);
        let err = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{args:?}: {err}");
        let name = flags[0].split('=').next().unwrap();
        assert!(err.contains(name) && !err.contains("panicked") && run.stdout.is_empty(), "{args:?}: {err}");
    }
}
