//! Fades between sections and after the last one, and how loud stems are.

use serde_json::json;

use crate::common::{Scratch, Sound};
use crate::measure::{assert_starts, end, gain};
use crate::run::render;
use crate::written::{BAR, BEAT, KEYS, RATE, five, level, plan, section, stamp};

/// Asserts that stamp `out` declines to zero within `fade` frames from frame `at` on, in a straight line, beneath
/// stamp `over`, if there is one.
fn assert_fades(sound: &Sound, at: usize, out: usize, over: Option<usize>, fade: usize, what: &str) {
    let gain = gain(sound);
    let beneath = over.map_or(0.0, level);
    // The first frame is the new one's pulse.
    for n in 1..fade + 4_800 {
        let value = f64::from(sound.right.get(at + n).copied().unwrap_or(0.0)) / gain - beneath;
        let wanted = level(out) * (1.0 - n as f64 / fade as f64).max(0.0);
        let off = (value - wanted) / level(out);
        assert!(
            off.abs() < 0.01,
            "{what}: stamp {out} is at {value:.5} instead of {wanted:.5}, {n} frames into its fade"
        );
    }
}

#[test]
fn a_section_fades_in_a_straight_line_beneath_the_next() {
    let scratch = Scratch::new("plans-fade");
    // Each file goes on for as long as the longest fade.
    let bars = [2, 2, 3, 2, 2];
    let plan = five(&scratch, "plan.json", bars, 5);
    let expected: Vec<_> = bars.iter().copied().enumerate().collect();
    for (flags, beats) in [(&["--fade", "4"][..], 4), (&["--fade", "2"], 2), (&[], 1)] {
        let what = format!("{flags:?}");
        let sound = render(&scratch, &plan, flags);
        let fade = beats * BEAT;
        let mut at = assert_starts(&sound, &expected, fade, &what);
        for (k, bars) in &expected {
            at += bars * BAR;
            assert_fades(&sound, at, *k, (*k < 4).then_some(k + 1), fade, &format!("{what}, section {k}"));
        }
        // The last one plays its length, and then fades.
        let off = end(&sound) as i64 - (at + fade) as i64;
        assert!((-100..2).contains(&off), "{what}: it ends {off} frames beside the end of its last fade");
    }
}

#[test]
fn a_file_that_ends_within_its_fade_is_faded_as_far_as_it_goes() {
    let scratch = Scratch::new("plans-fade-short");
    let files = [stamp(&scratch, 4, 6), stamp(&scratch, 1, 4)];
    // The first file goes on for two beats of four.
    let sections = [
        section("00_a").with("bars", 1).stem("bass", &files[0]),
        section("01_b").with("bars", 1).stem("bass", &files[1]),
    ];
    let plan = plan(&scratch, "plan.json", &sections);
    let sound = render(&scratch, &plan, &["--fade", "4"]);
    let gain = gain(&sound);
    let first = assert_starts(&sound, &[(4, 1), (1, 1)], 2 * BEAT, "short");
    let value = |n: usize| f64::from(sound.right[first + BAR + n]) / gain - level(1);
    for n in (1..2 * BEAT - 100).step_by(100) {
        let wanted = level(4) * (1.0 - n as f64 / (4 * BEAT) as f64);
        assert!((value(n) - wanted).abs() < 0.01 * level(4), "{} instead of {wanted} at frame {n}", value(n));
    }
    assert!(value(2 * BEAT + 10).abs() < 1e-4 && value(3 * BEAT).abs() < 1e-4, "its file has ended");
}

#[test]
fn fades_come_from_the_plan_unless_the_command_line_has_one() {
    let scratch = Scratch::new("plans-fade-plan");
    let sections: Vec<_> = (0..3)
        .map(|k| {
            let file = stamp(&scratch, k, 12);
            section(KEYS[k]).with("bars", 2).with("fade", [2, 0, 4][k]).stem("bass", &file)
        })
        .collect();
    let plan = plan(&scratch, "plan.json", &sections);
    let expected = [(0, 2), (1, 2), (2, 2)];
    let sound = render(&scratch, &plan, &[]);
    let first = assert_starts(&sound, &expected, 4 * BEAT, "the plan's fades");
    assert_fades(&sound, first + 2 * BAR, 0, Some(1), 2 * BEAT, "the first section's fade");
    assert_fades(&sound, first + 6 * BAR, 2, None, 4 * BEAT, "the last section's fade");
    // None at all is a moment.
    let after = f64::from(sound.right[first + 4 * BAR + 600]) / gain(&sound);
    assert!((after - level(2)).abs() < 1e-4, "the second section goes on beneath the third");
    let sound = render(&scratch, &plan, &["--fade", "1"]);
    let first = assert_starts(&sound, &expected, BEAT, "--fade 1");
    for k in 0..3 {
        let over = (k < 2).then_some(k + 1);
        assert_fades(&sound, first + (k + 1) * 2 * BAR, k, over, BEAT, "--fade 1");
    }
}

#[test]
fn stems_are_as_loud_as_their_names_and_the_plan_say() {
    let scratch = Scratch::new("plans-volumes");
    let (plain, loud) = (json!({}), json!({"volume": 0.5}));
    // (key, stem, its fields, the section's gain, volume)
    let rows = [
        ("00_bass", "bass", &plain, None, 0.7),
        ("01_drums", "drums", &plain, None, 0.8),
        ("02_vocals", "Lead Vocals", &plain, None, 0.9),
        ("03_kit", "Big DRUMS 2", &plain, None, 0.8),
        ("04_half", "piano", &plain, Some(0.5), 0.35),
        ("05_own", "drums", &loud, None, 0.5),
        ("06_song", "bass", &json!({"song": "Drums and vocals"}), None, 0.7),
        ("07_bass", "bass", &plain, None, 0.7),
    ];
    let sections: Vec<_> = rows
        .iter()
        .map(|(key, stem, fields, gain, _)| {
            // One file in two neighbours would be a part that they share.
            let file = format!("{key}.wav");
            scratch.wav(&file, RATE as u32, 5 * BEAT, |_| (0.3, 0.3));
            let made = section(key).with("bars", 1).stem_with(stem, &file, fields);
            gain.iter().fold(made, |made, gain| made.with("gain", *gain))
        })
        .collect();
    let plan = plan(&scratch, "plan.json", &sections);
    let sound = render(&scratch, &plan, &["--fade", "0"]);
    let first = sound.onset(0).unwrap();
    let value = |k: usize| f64::from(sound.left[first + k * BAR + BAR / 2]);
    for (k, (key, .., volume)) in rows.iter().enumerate() {
        let found = 0.7 * value(k) / value(0);
        assert!((found - volume).abs() < 1e-3, "{key}: volume {found:.4} instead of {volume}");
    }
}
