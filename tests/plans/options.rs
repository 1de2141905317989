//! Flags of `grooved run-plan`, and plans of which something is missing.

use serde_json::{Value, json};

use crate::common::{Scratch, Sound, free_port};
use crate::measure::{SILENT, assert_starts, starts};
use crate::run::{render, render_rest, rendered, run_plan};
use crate::written::{BAR, BEAT, BPM, KEYS, RATE, five, plan, section, stamp, text};

#[test]
fn two_renders_are_equal() {
    let scratch = Scratch::new("plans-equal");
    // Two of the stems are stretched, and one is converted.
    let sections: Vec<_> = (0..3)
        .map(|k| {
            scratch.sine(&format!("a{k}.wav"), 48_000, 2, 300 + 50 * k, 0.2);
            scratch.sine(&format!("b{k}.wav"), 44_100, 2, 500 + 50 * k, 0.2);
            let stretched = json!({"pitch_shift": 1.2, "bpm": BPM / 1.2, "needs_timestretch": true});
            let made = section(KEYS[k]).with("bars", 1).stem_with("bass", &format!("a{k}.wav"), &stretched);
            made.stem("drums", &format!("b{k}.wav"))
        })
        .collect();
    let plan = plan(&scratch, "plan.json", &sections);
    for flags in [&[][..], &["--rate-mode", "stretch"], &["--fade", "3"]] {
        let of = || rendered(&scratch, &plan, flags, 0).1;
        assert!(of() == of(), "two renders with {flags:?} differ");
    }
}

#[test]
fn ranges_of_sections_are_played() {
    let scratch = Scratch::new("plans-ranges");
    let bars = [1, 2, 1, 2, 1];
    let plan = five(&scratch, "plan.json", bars, 2);
    let cases: [(&[&str], std::ops::Range<usize>); 12] = [
        (&[], 0..5),
        (&["--mode", "full"], 0..5),
        (&["--section", "3"], 2..3),
        (&["--section", "2-4"], 1..4),
        (&["--section", "4-"], 3..5),
        (&["--section=-2"], 0..2),
        (&["--section", "5-5"], 4..5),
        (&["--section", "02_chorus"], 2..3),
        (&["--section", "OUTRO"], 4..5),
        (&["--section", "verse"], 1..2),
        (&["--from", "4"], 3..5),
        (&["--from", "1"], 0..5),
    ];
    for (flags, range) in cases {
        let expected: Vec<_> = range.map(|k| (k, bars[k])).collect();
        assert_starts(&render(&scratch, &plan, flags), &expected, BEAT, &format!("{flags:?}"));
    }
    for section in ["0", "6", "4-2", "2-9", "solo"] {
        let ran = run_plan(&scratch, &plan, &["--dry-run", "--section", section]);
        assert!(matches!(ran.code, Some(1 | 2)), "section {section}: {ran:?}");
        assert!((1..=3).contains(&ran.err.lines().count()) && !ran.err.contains("panicked"), "{section}: {}", ran.err);
    }
    let ran = run_plan(&scratch, &plan, &["--dry-run", "--section", "solo"]);
    assert!(KEYS.iter().all(|key| ran.err.contains(key)), "the keys are not listed: {}", ran.err);
}

#[test]
fn lengths_are_chosen() {
    let scratch = Scratch::new("plans-chosen");
    // Stems of two, three and one bars; the one of one bar is repeated.
    let sections: Vec<_> = (0..2)
        .map(|k| {
            for (name, beats) in [("three", 12), ("one", 4)] {
                let silent = |_| (0.0, 0.0);
                scratch.wav(&format!("{name}{k}.wav"), RATE as u32, beats * BEAT, silent);
            }
            let made = section(KEYS[k]).stem("vocals", &stamp(&scratch, k, 8));
            made.stem("bass", &format!("three{k}.wav")).stem("drums", &format!("one{k}.wav"))
        })
        .collect();
    let path = plan(&scratch, "plan.json", &sections);
    let cases: [(&[&str], usize); 9] = [
        (&[], 2),
        (&["--length", "first"], 2),
        (&["--length", "longest"], 3),
        (&["--length", "shortest"], 1),
        (&["--bars", "5"], 5),
        (&["--bars", "1"], 1),
        // Rounded to whole bars of one second.
        (&["--seconds", "3.4"], 3),
        (&["--seconds", "1.6"], 2),
        (&["--seconds", "0.1"], 1),
    ];
    for (flags, bars) in cases {
        let ran = run_plan(&scratch, &path, &[&["--dry-run", "--json"], flags].concat()).ends_with(0, "dry run");
        let told = |field: &str| -> Vec<f64> {
            ran.events("section").iter().map(|told| told[field].as_f64().unwrap()).collect()
        };
        assert_eq!((told("at"), told("length")), (vec![0.0, bars as f64], vec![bars as f64; 2]), "{flags:?}");
        assert_eq!(ran.events("end")[0]["at"], 2.0 * bars as f64, "{flags:?}");
        let sound = render(&scratch, &path, flags);
        // A stem of two bars is repeated in sections of more: each repetition has its pulse.
        let first = starts(&sound, BEAT)[0].at;
        let begin: Vec<_> = starts(&sound, BEAT).iter().map(|start| (start.at - first, start.code)).collect();
        let round = |code: usize| (0..bars).step_by(2).map(move |bar| ((code * bars + bar) * BAR, code));
        let expected: Vec<_> = round(0).chain(round(1)).collect();
        assert_eq!(begin, expected, "{flags:?}");
    }
    // The plan's own lengths, and what wins over them.
    let own: Vec<_> = sections.iter().zip([3, 4]).map(|(made, bars)| made.clone().with("bars", bars)).collect();
    let path = plan(&scratch, "own.json", &own);
    for (flags, lengths) in [(&[][..], [3.0, 4.0]), (&["--bars", "2"], [2.0, 2.0])] {
        let ran = run_plan(&scratch, &path, &[&["--dry-run", "--json"], flags].concat()).ends_with(0, "own lengths");
        let told: Vec<f64> = ran.events("section").iter().map(|told| told["length"].as_f64().unwrap()).collect();
        assert_eq!(told, lengths, "{flags:?}");
    }
    let ran = run_plan(&scratch, &path, &["--dry-run", "--bars", "2", "--seconds", "2"]);
    assert_eq!(ran.code, Some(2), "two lengths: {ran:?}");
}

#[test]
fn pitch_follows_the_rate_or_stays() {
    let scratch = Scratch::new("plans-pitch");
    // On the left a stem that is flagged, on the right one that is not.
    let rate = 1.25;
    for (file, side) in [("flagged.wav", 0), ("plain.wav", 1)] {
        scratch.wav(file, RATE as u32, 4 * BAR, |n| {
            let v = 0.2 * (std::f64::consts::TAU * 400.0 * n as f64 / RATE).sin() as f32;
            if side == 0 { (v, 0.0) } else { (0.0, v) }
        });
    }
    let fields = |flag: bool| json!({"pitch_shift": rate, "bpm": BPM / rate, "needs_timestretch": flag});
    let only = section("00_verse").with("bars", 3).stem_with("bass", "flagged.wav", &fields(true)).stem_with(
        "other",
        "plain.wav",
        &fields(false),
    );
    let plan = plan(&scratch, "plan.json", &[only]);
    let cases: [(&[&str], [f64; 2]); 4] = [
        (&[], [400.0, 500.0]),
        (&["--rate-mode", "auto"], [400.0, 500.0]),
        (&["--rate-mode", "rate"], [500.0, 500.0]),
        (&["--rate-mode", "stretch"], [400.0, 400.0]),
    ];
    for (flags, pitches) in cases {
        let left = render(&scratch, &plan, flags);
        let right = Sound { rate: left.rate, left: left.right.clone(), right: Vec::new() };
        for (side, sound, hz) in [("left", &left, pitches[0]), ("right", &right, pitches[1])] {
            let (there, other) = (sound.tone(hz, 0.5, 2.8), sound.tone(900.0 - hz, 0.5, 2.8));
            assert!(there > 0.05, "{flags:?}, {side}: {hz} Hz at {there:.4}");
            assert!(other < 0.1 * there, "{flags:?}, {side}: {} Hz at {other:.4}", 900.0 - hz);
        }
    }
}

/// Returns the names of stems that a run says are missing, sorted.
fn missing(events: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = events.iter().map(|told| told["stem"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_is_missing_leaves_the_rest() {
    let scratch = Scratch::new("plans-missing");
    for k in 0..5 {
        stamp(&scratch, k, 6);
    }
    std::fs::write(scratch.path("damaged.wav"), "RIFF, but no WAVE").unwrap();
    let no_file = json!({"file": null});
    let sections = [
        section(KEYS[0]).with("bars", 1).stem("bass", "stamp0.wav").stem("drums", "none.wav"),
        section(KEYS[1]).with("bars", 1).stem("drums", "stamp1.wav").stem_with("piano", "", &no_file),
        // Nothing of these can be played: they are skipped.
        section("02_none"),
        section("03_absent").stem("bass", "absent.wav").stem_with("other", "", &no_file),
        section("04_back").with("bars", 1).stem("vocals", "damaged.wav").stem("bass", "stamp3.wav"),
    ];
    let path = plan(&scratch, "plan.json", &sections);
    // The stems' names give them other volumes.
    let (ran, sound) = render_rest(&scratch, &path, &["--json"]);
    let begin: Vec<_> = starts_of_any_volume(&sound);
    let first = begin[0];
    assert_eq!(begin.iter().map(|at| at - first).collect::<Vec<_>>(), [0, BAR, 2 * BAR], "{}", ran.err);
    assert_eq!(missing(&ran.events("missing")), ["bass", "drums", "other", "piano", "vocals"], "{}", ran.out);
    assert!(ran.events("missing").iter().all(|told| told["why"].as_str().is_some_and(|why| !why.is_empty())));
    let keys: Vec<_> = ran.events("section").iter().map(|told| told["key"].clone()).collect();
    assert_eq!(keys, [KEYS[0], KEYS[1], "04_back"]);
    for mode in [&["--mode", "check"][..], &["--dry-run"]] {
        let ran = run_plan(&scratch, &path, mode).ends_with(1, "something is missing");
        let said = ran.out + &ran.err;
        assert!(["none.wav", "absent.wav", "damaged.wav"].iter().all(|file| said.contains(file)), "{mode:?}: {said}");
    }
    // A rest has a length of its own.
    let rest = [
        section(KEYS[0]).with("bars", 1).stem("bass", "stamp0.wav"),
        section("01_rest").with("bars", 2),
        section(KEYS[2]).with("bars", 1).stem("bass", "stamp2.wav"),
    ];
    let sound = render(&scratch, &plan(&scratch, "rest.json", &rest), &[]);
    assert_starts(&sound, &[(0, 3), (2, 1)], BEAT, "with a rest of two bars");
    let silence = sound.right[first_of(&sound) + BAR + BEAT + 100..][..BAR].iter().all(|v| v.abs() <= SILENT);
    assert!(silence, "the rest is not silent");
}

fn first_of(sound: &Sound) -> usize {
    starts_of_any_volume(sound)[0]
}

/// Returns the frames at which stamps begin, whatever their volumes.
fn starts_of_any_volume(sound: &Sound) -> Vec<usize> {
    sound.right.windows(2).enumerate().filter(|(_, pair)| pair[0] - pair[1] > 0.1).map(|(at, _)| at).collect()
}

#[test]
fn a_plan_of_which_nothing_can_be_played_is_refused() {
    let scratch = Scratch::new("plans-nothing");
    let only = [section("00_verse").stem("bass", "none.wav")];
    let write = |name: &str, text: &str| {
        let path = scratch.path(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let out = scratch.path("out.wav");
    let modes: [&[&str]; 3] = [&["--dry-run"], &["--mode", "check"], &["--render", out.to_str().unwrap()]];
    let cases: [(_, &[i32]); 11] = [
        (write("missing.json", &text(&only)), &[1, 2]),
        (write("none.json", &text(&[section("00_verse"), section("01_outro")])), &[1, 2]),
        (write("empty.json", "{}"), &[2]),
        (write("nothing.json", "{\"sections\": {}}"), &[2]),
        (write("list.json", "[]"), &[2]),
        (write("blank.json", ""), &[2]),
        (write("cut.json", "{\"sections\": {\"00_verse\""), &[2]),
        (write("words.json", "{\"sections\": {\"a\": {}}, \"structure\": [1]}"), &[2]),
        (write("sections.json", "{\"sections\": []}"), &[2]),
        (scratch.path("absent.json"), &[2]),
        (scratch.0.clone(), &[2]),
    ];
    for (path, codes) in &cases {
        for mode in modes {
            let what = format!("{} {mode:?}", path.display());
            let ran = run_plan(&scratch, path, mode);
            assert!(ran.code.is_some_and(|code| codes.contains(&code)), "{what}: {ran:?}");
            let lines = ran.err.lines().filter(|line| !line.trim().is_empty()).count();
            assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
            // One that can be read may also say which stems are missing.
            let most = if codes.len() > 1 { 5 } else { 1 };
            assert!((1..=most).contains(&lines), "{what}: {}", ran.err);
        }
    }
    let ran = run_plan(&scratch, &cases[6].0, &["--dry-run"]);
    assert!(ran.err.contains("line 1"), "where the JSON is wrong: {}", ran.err);
}

#[test]
fn a_plan_is_described() {
    let scratch = Scratch::new("plans-described");
    let path = five(&scratch, "plan.json", [1; 5], 0);
    let info = run_plan(&scratch, &path, &["--mode", "info"]).ends_with(0, "info");
    let words = ["made up", "Song", "240", "bass"];
    assert!(words.iter().chain(&KEYS).all(|word| info.out.contains(word)), "{}", info.out);
    let list = run_plan(&scratch, &path, &["--mode", "list"]).ends_with(0, "list");
    let places: Vec<_> = KEYS.iter().map(|key| list.out.find(key)).collect();
    assert!(!places.contains(&None) && places.is_sorted(), "{}", list.out);
    let check = run_plan(&scratch, &path, &["--mode", "check"]).ends_with(0, "check");
    assert!(!check.err.contains("panicked"), "{check:?}");
    assert_eq!(run_plan(&scratch, &path, &["--mode", "loud"]).code, Some(2));
    // No daemon is there.
    let port = free_port().to_string();
    let ran = run_plan(&scratch, &path, &["--mode", "full", "--host", "127.0.0.1", "--port", &port]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(starts(&render(&scratch, &path, &[]), BEAT).len() == 5, "five sections");
}
