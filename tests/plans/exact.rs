//! Starts of sections and stems, to the sample; what goes on from one section into the next.

use serde_json::json;

use crate::common::Scratch;
use crate::measure::{assert_starts, gain, longest_silence, loud, tick, ticks};
use crate::run::{render, run_plan};
use crate::written::{BAR, BEAT, BPM, Dice, KEYS, RATE, five, plan, section, stamp, stamp_with};

/// Flags of the fades that are tried: the default, none, and one of a bar.
const FADES: [&[&str]; 3] = [&[], &["--fade", "0"], &["--fade", "4"]];

#[test]
fn all_stems_of_a_section_begin_on_its_sample() {
    let scratch = Scratch::new("plans-sample");
    let bars = [1, 2, 1, 3, 1];
    // Two stems are opposite noise: only what they have apart from it is heard, unless one of them is a sample late, or
    // fades otherwise. That is a pulse in the first and in the last frame of the section, on a channel of their own.
    let sections: Vec<_> = (0..5)
        .map(|k| {
            let frames = bars[k] * BAR;
            let mut dice = Dice(k as u64);
            let noise: Vec<f32> = (0..frames + 2 * BEAT).map(|_| 0.3 * dice.swing()).collect();
            let pulse = |frame: usize| if frame == 0 || frame == frames - 1 { 0.5 } else { 0.0 };
            let (up, down) = (format!("up{k}.wav"), format!("down{k}.wav"));
            scratch.wav(&up, RATE as u32, noise.len(), |n| (noise[n] + pulse(n), noise[n]));
            scratch.wav(&down, RATE as u32, noise.len(), |n| (-noise[n], pulse(n) - noise[n]));
            section(KEYS[k]).with("bars", bars[k]).stem("bass", &up).stem("other", &down)
        })
        .collect();
    let plan = plan(&scratch, "plan.json", &sections);
    for flags in FADES {
        let sound = render(&scratch, &plan, flags);
        let (left, right) = (loud(&sound.left), loud(&sound.right));
        let first = *left.first().unwrap_or_else(|| panic!("{flags:?}: silence"));
        assert!(first < 4_800, "{flags:?}: it begins at frame {first}");
        let mut at = first;
        let mut expected = Vec::new();
        for bars in bars {
            expected.extend([at, at + bars * BAR - 1]);
            at += bars * BAR;
        }
        // Few are enough to see what is wrong.
        let few = |frames: &[usize]| frames.iter().take(20).map(|n| *n as i64 - first as i64).collect::<Vec<_>>();
        assert!(left == expected, "{flags:?}: on the left, frames {:?}", few(&left));
        assert!(right == expected, "{flags:?}: on the right, frames {:?}", few(&right));
        let pulse = sound.left[first];
        for n in expected {
            let (l, r) = (sound.left[n] / pulse, sound.right[n] / pulse);
            assert!((l - 1.0).abs() < 1e-4 && (r - 1.0).abs() < 1e-4, "{flags:?}: pulses of {l} and {r} at {n}");
        }
    }
}

#[test]
fn no_sample_is_silent_between_sections() {
    let scratch = Scratch::new("plans-gap");
    // Once with files that are longer than their sections, once with files that end with them.
    for more in [2, 0] {
        let sections: Vec<_> = (0..4)
            .map(|k| {
                let file = format!("steady{more}-{k}.wav");
                let hz = 200 + 50 * k;
                scratch.wav(&file, RATE as u32, BAR + more * BEAT, |n| {
                    let sine = (std::f64::consts::TAU * (hz * n) as f64 / RATE).sin();
                    let v = (0.3 + 0.1 * sine) as f32;
                    (v, v)
                });
                section(KEYS[k]).with("bars", 1).stem("bass", &file)
            })
            .collect();
        let plan = plan(&scratch, "steady.json", &sections);
        for flags in FADES {
            let what = format!("{more} beats more, {flags:?}");
            let sound = render(&scratch, &plan, flags);
            let first = sound.onset(0).unwrap();
            let full = f64::from(sound.left[first]) / 0.3;
            assert!((0.2..1.0).contains(&full), "{what}: it begins with the gain {full}");
            assert_eq!(longest_silence(&sound, first..first + 4 * BAR), 0, "{what}");
            // All of it is there from its first sample on, and until its last but for the end of the file.
            for (n, v) in sound.left[first..first + 4 * BAR].iter().enumerate() {
                let is_tail = more == 0 && n % BAR >= BAR - 80;
                assert!(is_tail || f64::from(*v) > 0.198 * full, "{what}: {v} at frame {n}, {} of its bar", n % BAR);
            }
        }
    }
}

#[test]
fn sections_of_any_rate_begin_within_a_sample() {
    let scratch = Scratch::new("plans-rates");
    // Middle of the tick, in seconds of the file.
    let middle = 0.05;
    // (sample rate, playback rate) of the stem on the left, and of the one on the right.
    let pairs: [[(u32, f64); 2]; 6] = [
        [(44_100, 1.0), (48_000, 1.0)],
        [(48_000, 0.9), (44_100, 1.1)],
        [(44_100, 1.25), (48_000, 0.97)],
        [(48_000, 1.01), (48_000, 1.01)],
        [(44_100, 0.5), (96_000, 1.0)],
        [(22_050, 1.0), (44_100, 2.0)],
    ];
    let sections: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(k, pair)| {
            let mut section = section(&format!("{k:02}_verse")).with("bars", 1);
            for (side, (hz, rate)) in pair.iter().enumerate() {
                let file = format!("tick{k}-{side}.wav");
                let frames = (1.5 * rate * f64::from(*hz)).ceil() as usize;
                scratch.wav(&file, *hz, frames, |n| {
                    let v = tick(n as f64 / f64::from(*hz) - middle * rate) as f32;
                    if side == 0 { (v, 0.0) } else { (0.0, v) }
                });
                let fields = json!({"bpm": BPM / rate, "pitch_shift": rate, "needs_timestretch": true});
                section = section.stem_with(["bass", "other"][side], &file, &fields);
            }
            section
        })
        .collect();
    let plan = plan(&scratch, "rates.json", &sections);
    for flags in FADES {
        let sound = render(&scratch, &plan, &[&["--rate-mode", "rate"], flags].concat());
        let heard = [ticks(&sound.left), ticks(&sound.right)];
        assert_eq!([heard[0].len(), heard[1].len()], [pairs.len(); 2], "{flags:?}: {heard:?}");
        // The second stem of the first section has the output's own rate.
        let first = (heard[1][0] - middle * RATE).round();
        for (k, pair) in pairs.iter().enumerate() {
            for (side, ticks) in heard.iter().enumerate() {
                let off = ticks[k] - (first + (k * BAR) as f64 + middle * RATE);
                assert!(off.abs() < 1.0, "{flags:?}: section {k}, {:?}: {off:.3} samples off", pair[side]);
            }
        }
    }
}

/// Frames of the part that is shared, five bars, and what its frame `n` is worth.
const SHARED: usize = 5 * BAR;

fn ramp(n: i64) -> f64 {
    0.5 * n as f64 / SHARED as f64
}

#[test]
fn a_part_that_is_shared_goes_on_and_others_change() {
    let scratch = Scratch::new("plans-shared");
    scratch.wav("ramp.wav", RATE as u32, SHARED, |n| (ramp(n as i64) as f32, 0.0));
    let sections: Vec<_> = (0..4)
        .map(|k| {
            let file = stamp(&scratch, k, 10);
            section(KEYS[k]).with("bars", 2).stem("bass", &file).stem("other", "ramp.wav")
        })
        .collect();
    let plan = plan(&scratch, "shared.json", &sections);
    for (flags, fade) in FADES.into_iter().zip([BEAT, 0, 4 * BEAT]) {
        let what = format!("{flags:?}");
        let sound = render(&scratch, &plan, flags);
        let fade_of_stamps = fade.max(480);
        let first = assert_starts(&sound, &[(0, 2), (1, 2), (2, 2), (3, 2)], fade_of_stamps, &what);
        let gain = gain(&sound);
        // Sections 1 and 2 take four of its five bars: it begins again with the third, and goes on into the fourth.
        for (section, begin) in [(0, 0), (1, 0), (2, 4), (3, 4)] {
            let from = 2 * section * BAR;
            // Beneath the third section, what is left of the part fades out.
            // Volumes move in steps of 64 frames.
            let skipped = if section == 2 { fade_of_stamps + 64 } else { 0 };
            for n in from + skipped..from + 2 * BAR {
                let wanted = ramp((n - begin * BAR) as i64);
                let value = f64::from(sound.left[first + n]) / gain;
                let place = (value - wanted) / ramp(1);
                assert!(place.abs() < 0.5, "{what}: section {section}, frame {n}: the part is {place:.1} frames ahead");
            }
        }
        if fade > 0 {
            for n in (0..fade.min(BAR)).step_by(60) {
                let faded = 1.0 - n as f64 / fade as f64;
                let wanted = ramp(n as i64) + ramp((4 * BAR + n) as i64) * faded;
                let value = f64::from(sound.left[first + 4 * BAR + n]) / gain;
                // Its file ends a bar on.
                let is_tail = n + 80 > BAR;
                assert!(is_tail || (value - wanted).abs() < 0.005, "{what}: {value} at frame {n}, not {wanted}");
            }
        }
    }
}

#[test]
fn a_part_that_is_too_short_goes_round_in_whole_bars() {
    let scratch = Scratch::new("plans-round");
    // Two bars and a beat: it begins again after two bars, in all five of the first section and into the second.
    let turn = 2 * BAR;
    scratch.wav("short.wav", RATE as u32, turn + BEAT, |n| (0.4 * n as f32 / turn as f32, 0.0));
    // The lengths are those of the first stems: a beat more than whole bars.
    let sections: Vec<_> = [5, 4]
        .iter()
        .enumerate()
        .map(|(k, bars)| {
            let file = stamp(&scratch, k, 4 * bars + 1);
            section(KEYS[k]).stem("bass", &file).stem("other", "short.wav")
        })
        .collect();
    let plan = plan(&scratch, "round.json", &sections);
    let sound = render(&scratch, &plan, &[]);
    let first = assert_starts(&sound, &[(0, 5), (1, 4)], BEAT, "short");
    let gain = gain(&sound);
    for n in (0..9 * BAR).filter(|n| n % turn > 300 && n % turn < turn - 300) {
        let wanted = 0.4 * (n % turn) as f64 / turn as f64;
        let value = f64::from(sound.left[first + n]) / gain;
        assert!((value - wanted).abs() < 1e-5, "{value} at frame {n}, {} of its round; expected {wanted}", n % turn);
    }
}

#[test]
fn a_section_that_is_its_files_length_needs_no_bars() {
    let scratch = Scratch::new("plans-files");
    let bars = [2, 1, 3, 1, 2];
    let sections: Vec<_> = (0..5)
        .map(|k| {
            // Up to a beat and a half more or less than whole bars.
            let frames = (bars[k] * BAR + 1_000 * k).checked_sub(if k == 2 { BEAT } else { 0 }).unwrap();
            let file = stamp_with(&scratch, k, frames, |_| 0.0);
            section(KEYS[k]).stem("bass", &file)
        })
        .collect();
    let files = plan(&scratch, "files.json", &sections);
    let sound = render(&scratch, &files, &[]);
    let expected: Vec<_> = bars.iter().copied().enumerate().collect();
    assert_starts(&sound, &expected, BEAT, "lengths of the files");
    // Rates count: at 0.5, a file of one bar lasts two.
    let file = stamp(&scratch, 0, 4);
    let slow = json!({"pitch_shift": 0.5, "bpm": 2.0 * BPM});
    let halves =
        [section("00_a").stem_with("bass", &file, &slow), section("01_b").stem("bass", &stamp(&scratch, 1, 5))];
    let halves = plan(&scratch, "halves.json", &halves);
    let lines = run_plan(&scratch, &halves, &["--dry-run", "--json"]).ends_with(0, "halves");
    let lengths: Vec<f64> = lines.events("section").iter().map(|told| told["length"].as_f64().unwrap()).collect();
    assert_eq!(lengths, [2.0, 1.0]);
    // Five sections of stamps, as other tests have them, and all of them to the sample.
    let plan = five(&scratch, "five.json", [1, 1, 2, 1, 1], 4);
    assert_starts(&render(&scratch, &plan, &[]), &[(0, 1), (1, 1), (2, 2), (3, 1), (4, 1)], BEAT, "five");
}
