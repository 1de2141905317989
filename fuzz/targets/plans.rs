//! What plays by itself: DJ plans and tables of sets.

use grooved::plans::document::Plan;
use grooved::plans::score::{RateMode, Score, Sound, Wishes};
use grooved::sets::arrangement::in_order;
use grooved::sets::order::Order;
use grooved::sets::timetable::{playlist, timetable, without_overlaps};
use grooved::sets::track::Set;

use super::Target;

/// A plan, scored in several ways.
pub const PLAN: Target = Target { name: "plan", run: plan, seeds: plans, words: WORDS };
/// The table of a set, arranged in all orders.
pub const SET: Target = Target { name: "set", run: set, seeds: tables, words: COLUMNS };

const WORDS: &[&str] = &[
    "\"sections\"",
    "\"stems\"",
    "\"structure\"",
    "\"base_bpm\"",
    "\"pitch_shift\"",
    "\"needs_timestretch\"",
    "\"bars\"",
    "\"seconds\"",
    "\"fade\"",
    "\"gain\"",
    "\"start\"",
    "\"end\"",
    "\"loop\"",
    "\"volume\"",
    "\"00_intro\"",
    "1e308",
    "-1e308",
    "5e-324",
    "null",
    "true",
    "{}",
    "[]",
    "\u{feff}",
];

const COLUMNS: &[&str] = &[
    "part_file",
    "begin_cue_adj",
    "end_cue_adj",
    "target_bpm",
    "bpm",
    "key",
    "\"",
    "\"\"",
    "\r\n",
    ",",
    ";",
    "1e308",
    "nan",
    "-0",
    "\u{feff}",
];

fn plan(data: &[u8]) {
    let plan = match Plan::parse(data) {
        Ok(plan) => plan,
        Err(why) => return assert!(!why.contains('\n') && why.len() < 2_000, "{why:?}"),
    };
    let wishes = [
        Wishes::default(),
        Wishes { rate_mode: RateMode::Stretch, bars: Some(3.0), fade: Some(64.0), ..Wishes::default() },
        Wishes { rate_mode: RateMode::Rate, seconds: Some(1e-9), ..Wishes::default() },
    ];
    for (k, wishes) in wishes.iter().enumerate() {
        let mut lengths = [3.0, 0.02, 1e5].into_iter().cycle();
        let find = |file: &str| match file.len() % 5 {
            0 => Err("it is not there".into()),
            _ => Ok(Sound { path: file.into(), seconds: lengths.next().unwrap_or(1.0), sample_rate: 48_000 }),
        };
        let score = Score::of(&plan, "x.json", wishes, 120.0, 4.0, find);
        assert!(score.seconds().is_finite() && score.bpm > 0.0);
        for section in &score.sections {
            assert!(section.beats >= 0.0 && section.beats.is_finite() && (0.0..=64.0).contains(&section.fade));
            for part in &section.parts {
                assert!((0.25..=4.0).contains(&part.rate) && part.start >= 0.0 && part.end > part.start);
                assert!(part.turn.is_none_or(|turn| turn > 0.0 && turn <= part.beats(score.bpm) + 0.01));
                assert!((0.0..=4.0).contains(&part.volume));
            }
        }
        assert!(score.remarks.len() <= 101 && score.remarks.iter().all(|remark| !remark.contains('\n')));
        for text in ["", "1", "2-", "-1", "intro", "x"] {
            if let Ok(range) = score.range(text, Some(k)) {
                assert!(range.first <= range.last && range.last < score.sections.len());
            }
        }
    }
}

fn set(data: &[u8]) {
    let set = match Set::parse(data) {
        Ok(set) => set,
        Err(why) => return assert!(!why.contains('\n'), "{why:?}"),
    };
    for (_, order) in Order::NAMES {
        let tracks = in_order(&set, order, 7);
        assert_eq!(tracks.len(), set.tracks.len());
        let references: Vec<_> = tracks.iter().collect();
        let (shortened, remarks) = without_overlaps(&references);
        assert!(remarks.iter().all(|remark| !remark.contains('\n')));
        let times = timetable(&shortened.iter().collect::<Vec<_>>(), 1.0);
        assert!(times.iter().all(|t| t.start.is_finite() && t.cue >= t.start && t.end >= t.cue));
        let rows: Vec<_> = times.into_iter().zip(&shortened).map(|(times, track)| ('A', times, track)).collect();
        // A playlist is a set again.
        if !rows.is_empty() {
            let again = Set::parse(playlist(&set.columns, &rows).as_bytes());
            assert!(again.is_ok(), "{again:?}");
        }
    }
}

fn plans() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"theme":"t","base_song":"s","base_bpm":120,"base_key":"Am","structure":["intro","verse"],"sections":{
            "00_intro":{"type":"intro","stems":{"bass":{"song":"A (x)","file":"../a/b.wav","bpm":122,"key":"Am",
            "pitch_shift":0.98,"needs_timestretch":false},"drums":{"song":"B","file":"d.wav","pitch_shift":1}}},
            "01_verse":{"type":"verse","bars":4,"gain":0.5,"fade":2,"stems":{"vocals":{"song":"C","file":"v.wav",
            "pitch_shift":"1.1","start":1,"end":2.5,"volume":0.3,"loop":true}}},"10_outro":{"stems":{}}}}"#,
        r#"{"base_bpm":"95.5","sections":{"9_late":{"seconds":3},"a":{"stems":{"x":{"song":"","file":"f","pitch_shift":null}}}}}"#,
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn tables() -> Vec<Vec<u8>> {
    let texts = [
        "path,part_file,bpm,key,target_bpm,begin_cue_adj,end_cue_adj,duration_sectioned\r\n\
         /a.wav,a.wav,120,Am,122.5,4,6,0:06.00\r\n\"/b,b.wav\",b.wav,,8A,122.5,4.5,8,0:08.00\r\n",
        "\u{feff}end_cue_adj,begin_cue_adj,part_file,bpm\n6,4,a.wav,120\n2,4,b.wav,120\nx,1,c.wav,120\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
