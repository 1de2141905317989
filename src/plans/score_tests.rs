//! Tests of [`super`].

use super::*;
use crate::plans::samples;

fn score_of(plan: &str, wishes: &Wishes) -> Score {
    let plan = Plan::parse(plan.as_bytes()).unwrap();
    Score::of(&plan, "/plans/x.json", wishes, 120.0, 4.0, samples::find)
}

/// Returns the only section of a plan at 120 BPM, four beats to a bar, with sounds as long as their file says, and
/// the remarks.
fn section(fields: &str, wishes: &Wishes) -> (Section, String) {
    let plan = Plan::parse(format!("{{\"base_bpm\": 120, \"sections\": {{\"a\": {{{fields}}}}}}}").as_bytes()).unwrap();
    let find = |file: &str| match file.parse() {
        Ok(seconds) => Ok(Sound { path: format!("/{file}"), seconds, sample_rate: 48_000 }),
        Err(_) => Err("no\nsuch file".to_string()),
    };
    let mut score = Score::of(&plan, "", wishes, 99.0, 4.0, find);
    assert_eq!((score.bpm, score.sections.len()), (120.0, 1));
    (score.sections.remove(0), score.remarks.join("\n"))
}

/// Returns stems `a`, `b`, … of the given files and fields.
fn stems(stems: &[(&str, &str)]) -> String {
    let stems: Vec<_> = (b'a'..)
        .zip(stems)
        .map(|(name, (file, more))| format!(r#""{}": {{"song": "S", "file": "{file}"{more}}}"#, char::from(name)))
        .collect();
    format!(r#""stems": {{{}}}"#, stems.join(", "))
}

fn turns(section: &Section) -> Vec<Option<f64>> {
    section.parts.iter().map(|part| part.turn).collect()
}

#[test]
fn modes_and_lengths_have_names() {
    for (name, mode) in RateMode::NAMES {
        assert_eq!((name.parse(), mode.name()), (Ok(mode), name));
    }
    for (name, from) in LengthFrom::NAMES {
        assert_eq!((name.parse(), from.name()), (Ok(from), name));
    }
    assert_eq!((RateMode::default(), LengthFrom::default()), (RateMode::Auto, LengthFrom::First));
    let fault = "'Rate?' is not a rate mode: expected one of auto, rate, stretch";
    assert_eq!("Rate\n".parse::<RateMode>(), Err(fault.into()));
    let fault = "'' is not a length: expected one of first, longest, shortest";
    assert_eq!("".parse::<LengthFrom>(), Err(fault.into()));
}

#[test]
fn sections_last_whole_bars_of_their_first_part() {
    let score = score_of(&samples::energetic(), &Wishes::default());
    assert_eq!((score.path.as_str(), score.theme.as_str(), score.bpm), ("/plans/x.json", "energetic", 140.0));
    assert_eq!((score.base_key.as_str(), score.structure.len(), score.remarks.len()), ("D", 8, 0));
    // 5.2 s at 140 / 143 are 12.4 beats.
    assert!(score.sections.iter().all(|section| section.beats == 12.0 && section.fade == 1.0));
    assert!((score.seconds() - 8.0 * 12.0 * 60.0 / 140.0).abs() < 1e-9);
    let part = &score.sections[3].parts[0];
    assert_eq!((part.path.as_str(), part.sample_rate), ("/media/stems/Low Tide (demo 1)/bass.wav", 8000));
    assert!((part.beats(140.0) - 5.311428571428571 * 140.0 / 60.0).abs() < 1e-9);
    assert_eq!((part.start, part.end, part.turn, part.stretched), (0.0, 5.2, None, false));
    let volumes: Vec<_> = score.sections[0].parts.iter().map(|part| part.volume).collect();
    assert_eq!(volumes, [0.7, 0.8, 0.7, 0.7, 0.9]);
    assert!(part.is_same_sound(&score.sections[4].parts[0]));
    assert!(!part.is_same_sound(&score.sections[3].parts[1]));
    assert!(!part.is_same_sound(&Part { end: 5.0, ..part.clone() }));
    assert!(part.is_same_sound(&Part { volume: 0.1, turn: Some(4.0), ..part.clone() }));
}

#[test]
fn short_parts_are_repeated() {
    let score = score_of(&samples::chill(), &Wishes::default());
    // 4 s at 95 BPM are 6.33 beats: two bars, of which each part has one.
    assert!(score.sections.iter().all(|section| section.beats == 8.0));
    assert_eq!(turns(&score.sections[6]), [Some(4.0); 5]);
    assert_eq!(
        score.remarks[6],
        "06_outro: shorter than its 8 beats and repeated: bass (6.33), drums (6.33), \
         other (6.33), piano (6.33), vocals (6.33)"
    );
    assert_eq!(score.remarks.len(), 7);

    // 16 beats of 0.5 s.
    let wishes = Wishes { bars: Some(4.0), ..Wishes::default() };
    let beats = [("8", ""), ("7.5", ""), ("7.49", ""), ("2", ""), ("1.99", ""), ("1.9", ""), ("0.4", ""), ("9", "")];
    let (played, remarks) = section(&stems(&beats), &wishes);
    // A beat less is no reason; one and a half bars have one bar, 3.8 beats have three, and less is all there is.
    let expected = [None, None, Some(12.0), Some(4.0), Some(3.0), Some(3.0), Some(0.8), None];
    assert_eq!(turns(&played), expected);
    assert!(remarks.ends_with("c (14.98), d (4), e (3.98), f (3.8), g (0.8)"));
    // The plan may say otherwise.
    let (played, remarks) = section(&stems(&[("8", r#", "loop": true"#), ("2", r#", "loop": false"#)]), &wishes);
    assert_eq!((turns(&played), remarks.as_str()), (vec![Some(16.0), None], ""));
    let slow = stems(&[("0.01", r#", "pitch_shift": 4, "loop": true"#)]);
    assert_eq!(turns(&section(&slow, &wishes).0), [Some(0.01 / 4.0 * 2.0)]);
}

#[test]
fn stems_are_stretched_where_the_plan_says_so() {
    let stretched = |mode| {
        let score = score_of(&samples::dramatic(), &Wishes { rate_mode: mode, ..Wishes::default() });
        assert!(score.sections.iter().all(|section| section.beats == 24.0));
        let parts = &score.sections[2].parts;
        assert_eq!((parts[0].rate, parts[4].rate), (125.0 / 115.0, 125.0 / 120.0));
        assert_eq!([0, 1, 4].map(|k| parts[k].turn), [None, Some(20.0), Some(16.0)]);
        parts.iter().map(|part| part.stretched).collect::<Vec<_>>()
    };
    assert_eq!(stretched(RateMode::Auto), [true, false, false, false, false]);
    assert_eq!(stretched(RateMode::Rate), [false; 5]);
    // At a rate of 1 there is nothing to stretch.
    assert_eq!(stretched(RateMode::Stretch), [true, false, false, false, true]);
}

#[test]
fn what_cannot_be_played_is_missing() {
    let mut asked = Vec::new();
    let plan = Plan::parse(samples::ODD.as_bytes()).unwrap();
    let score = Score::of(&plan, "", &Wishes::default(), 120.0, 4.0, |file| {
        asked.push(file.to_string());
        samples::find(file)
    });
    assert_eq!((score.bpm, asked.len()), (100.5, 5));
    assert!((1..asked.len()).all(|k| !asked[k..].contains(&asked[k - 1])), "each file once");
    let beats: Vec<_> = score.sections.iter().map(|section| section.beats).collect();
    assert_eq!(beats, [4.0, 4.0, 0.0, 0.0, 0.0, 4.0, 8.0]);
    let missing: Vec<_> = score.sections[1].missing.iter().map(|missing| missing.stem.as_str()).collect();
    assert_eq!((missing, score.sections[1].missing[2].why.as_str()), (vec!["other", "bass", "piano"], "no such file"));
    let skipped: Vec<_> = score.remarks.iter().filter(|remark| remark.ends_with("skipped")).collect();
    let reason = "no stem of it can be played (bass: file is missing, expected the path of a sound)";
    assert_eq!(
        skipped,
        [
            "02_empty: it has no stems; skipped",
            "03_none: it has no stems; skipped",
            &format!("04_no file: {reason}; skipped"),
        ]
    );
    assert!(score.sections[1].parts.iter().all(|part| !part.stretched));
    assert!(score.sections[0].parts[0].stretched && score.sections[6].parts[0].stretched);
    assert_eq!(score.sections[0].kind, "unknown");

    let (played, remarks) =
        section(&stems(&[("x", ""), ("1e9", ""), ("nan", ""), ("0", ""), ("inf", "")]), &Wishes::default());
    let why: Vec<_> = played.missing.iter().map(|missing| missing.why.as_str()).collect();
    assert_eq!(why[0], "no?such file");
    assert_eq!(why[3], "its length is 0 s, expected 0.01 s or more");
    assert_eq!((why.len(), played.beats), (5, 0.0));
    assert_eq!(remarks, "a: no stem of it can be played (a: no?such file, and 4 more); skipped");
}

#[test]
fn lengths_come_from_wishes_then_from_the_plan_then_from_the_parts() {
    let beats = |fields: &str, wishes: Wishes| section(fields, &wishes).0.beats;
    let none = Wishes::default;
    let parts = stems(&[("5", ""), ("9.1", ""), ("1.2", "")]);
    let own = format!(r#""bars": 2.5, "seconds": 10, {parts}"#);
    let own_seconds = format!(r#""seconds": 10.9, {parts}"#);
    assert_eq!(beats(&parts, none()), 12.0);
    assert_eq!(beats(&parts, Wishes { length_from: LengthFrom::Longest, ..none() }), 20.0);
    assert_eq!(beats(&parts, Wishes { length_from: LengthFrom::Shortest, ..none() }), 4.0);
    assert_eq!((beats(&own, none()), beats(&own_seconds, none())), (12.0, 20.0));
    assert_eq!(beats(&own, Wishes { seconds: Some(16.0), ..none() }), 32.0);
    assert_eq!(beats(&own, Wishes { seconds: Some(16.0), bars: Some(0.2), ..none() }), 4.0);
    // A rest; what is empty does not become one because all sections are to have a length.
    let (rest, remark) = section(r#""bars": 3"#, &none());
    assert_eq!((rest.beats, remark.as_str()), (12.0, "a: nothing sounds in it; it is a rest of 12 beats"));
    assert_eq!(beats(&format!(r#""seconds": 4, {}"#, stems(&[("x", "")])), none()), 8.0);
    assert_eq!(beats("\"type\": \"x\"", Wishes { bars: Some(4.0), ..none() }), 0.0);
    // Too long.
    let (long, remark) = section(&format!(r#""bars": 1e300, {parts}"#), &none());
    assert_eq!(long.beats, 4096.0 * 4.0);
    assert!(remark.starts_with("a: its length is 1e300 bars, expected 4096 at most; shortened\n"), "{remark}");
    assert_eq!(beats(&stems(&[("999999", "")]), none()), 4096.0 * 4.0);
    // Wishes that make no sense.
    for wish in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        let (played, remarks) = section(&parts, &Wishes { bars: Some(wish), ..none() });
        assert_eq!(played.beats, 12.0);
        let expected = format!("bars {wish} is asked for, expected more than 0; ignored\n");
        assert!(remarks.starts_with(&expected), "{remarks}");
    }
}

#[test]
fn fades_are_whole_beats() {
    let parts = stems(&[("2", "")]);
    let fade = |own: &str, wish| {
        let (section, remarks) = section(&format!("{own}{parts}"), &Wishes { fade: wish, ..Wishes::default() });
        (section.fade, remarks)
    };
    assert_eq!(fade("", None), (1.0, String::new()));
    assert_eq!(fade(r#""fade": 2.6, "#, None), (3.0, String::new()));
    assert_eq!(fade(r#""fade": 2, "#, Some(0.0)), (0.0, String::new()));
    let remark = "a: the fade is 65 beats, expected 64 at most; shortened";
    assert_eq!(fade(r#""fade": 65, "#, None), (64.0, remark.into()));
    let remark = "fade -1 is asked for, expected 0 to 64 beats; ignored";
    assert_eq!(fade(r#""fade": 2, "#, Some(-1.0)), (2.0, remark.into()));
}

#[test]
fn starts_and_ends_lie_in_the_file() {
    let said = |fields: &str| {
        let (played, remarks) = section(&stems(&[("8", fields)]), &Wishes::default());
        let places = played.parts.first().map(|part| (part.start, part.end));
        (places, [remarks, played.missing.first().map(|missing| missing.why.clone()).unwrap_or_default()].concat())
    };
    assert_eq!(said(r#", "start": 2, "end": 4"#), (Some((2.0, 4.0)), String::new()));
    assert_eq!(said(r#", "start": 2, "end": 8.0005"#), (Some((2.0, 8.0)), String::new()));
    let remark = "a, a: end is 1e300, but the file ends at 8 s, and so does the stem";
    assert_eq!(said(r#", "end": 1e300"#), (Some((0.0, 8.0)), remark.into()));
    let remark = "a, a: start is -2, expected 0 or more; taken as 0";
    assert_eq!(said(r#", "start": -2"#), (Some((0.0, 8.0)), remark.into()));
    for (fields, fault) in [
        (r#", "start": 8"#, "start is 8, expected 0.01 s or more before the end of its file, 8"),
        (r#", "start": 4, "end": 4.009"#, "start is 4, expected 0.01 s or more before its end, 4.009"),
        (r#", "end": -1"#, "start is 0, expected 0.01 s or more before its end, -1"),
    ] {
        let (places, said) = said(fields);
        assert_eq!((places, said.ends_with(fault)), (None, true), "{said}");
    }
}

#[test]
fn volumes_follow_the_stems_name_or_the_plan() {
    let fields = r#""gain": 0.5, "stems": {"Drums 2": {"song": "", "file": "2"}, "Lead VOCALS": {"song": "drums",
        "file": "2"}, "bass": {"song": "vocals", "file": "2"}, "x": {"song": "", "file": "2", "volume": 4}}"#;
    let volumes: Vec<_> = section(fields, &Wishes::default()).0.parts.iter().map(|part| part.volume).collect();
    assert_eq!(volumes, [0.4, 0.45, 0.35, 2.0]);
    let loud = fields.replace("0.5", "4");
    assert_eq!(section(&loud, &Wishes::default()).0.parts[3].volume, 4.0);
}

#[test]
fn the_clock_gives_what_the_plan_lacks() {
    let plan = Plan::parse(br#"{"sections": {"a": {"stems": {"x": {"song": "", "file": "f"}}}}}"#).unwrap();
    let score = |clock, meter| {
        let find = |_: &str| Ok(Sound { path: String::new(), seconds: 6.0, sample_rate: 1 });
        let score = Score::of(&plan, "", &Wishes::default(), clock, meter, find);
        (score.bpm, score.sections[0].beats, score.seconds())
    };
    assert_eq!(score(60.0, 3.0), (60.0, 6.0, 6.0));
    assert_eq!(score(90.0, 4.0), (90.0, 8.0, 8.0 * 60.0 / 90.0));
    for nonsense in [f64::NAN, 0.0, -5.0, f64::INFINITY] {
        assert_eq!(score(nonsense, nonsense), (120.0, 12.0, 6.0));
    }
}

#[test]
fn damaged_plans_do_no_harm() {
    let plans = [samples::energetic(), samples::dramatic(), samples::ODD.into()];
    let mut below = samples::random(5);
    let pieces: [&[u8]; 16] = [
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"-1",
        b"1e300",
        b"0",
        b"true",
        b"\"nan\"",
        b"\\u0000",
        b"\xff",
        b"\"bars\": 0.4,",
    ];
    let (mut refused, mut played) = (0, 0);
    for _ in 0..6_000 {
        let mut bytes = plans[below(plans.len())].clone().into_bytes();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            let until = (at + below(5)).min(bytes.len());
            match below(5) {
                0 => bytes[at] = below(256) as u8,
                1 | 2 => drop(bytes.splice(at..until, pieces[below(pieces.len())].iter().copied())),
                3 => {
                    // A digit, so that it stays JSON.
                    if let Some(at) = bytes[at..].iter().position(u8::is_ascii_digit).map(|k| at + k) {
                        bytes[at] = b'0' + below(10) as u8;
                    }
                }
                _ => drop(bytes.drain(at..until)),
            }
        }
        let plan = match Plan::parse(&bytes) {
            Ok(plan) => plan,
            Err(fault) => {
                assert!(!fault.is_empty() && fault.len() < 300 && !fault.contains(char::is_control), "{fault:?}");
                refused += 1;
                continue;
            }
        };
        let score = Score::of(&plan, "", &Wishes::default(), 120.0, 4.0, samples::find);
        assert!(score.remarks.len() <= 101 && !score.remarks.concat().contains(char::is_control));
        for section in &score.sections {
            assert!(section.beats % 4.0 == 0.0 && (0.0..=16384.0).contains(&section.beats));
            assert!(section.beats > 0.0 || section.parts.is_empty());
            for part in &section.parts {
                assert!(part.start >= 0.0 && part.end > part.start && part.end <= 12.0, "{part:?}");
                assert!(part.turn.is_none_or(|turn| turn > 0.0 && turn <= part.beats(score.bpm) + 0.001));
                assert!((0.0..=4.0).contains(&part.volume) && (0.25..=4.0).contains(&part.rate));
                played += 1;
            }
        }
    }
    assert!(refused > 1_000 && played > 10_000, "{refused} {played}");
}
