//! What the section exporter reads: structure files, Rekordbox collections and keys.

use std::path::Path;

use grooved::sections::cues::{Choice, From, Intro, Rule, Snap, Until};
use grooved::sections::key::{Harmony, Key};
use grooved::sections::rekordbox::{Collection, Matcher};
use grooved::sections::select::{BpmSource, Candidate, KeySource, Selection};
use grooved::sections::source::SourceTags;
use grooved::sections::structure::Structure;

use super::Target;

/// A structure file, from which parts are chosen by all rules.
pub const STRUCTURE: Target = Target { name: "structure", run: structure, seeds: structures, words: WORDS };
/// A Rekordbox collection, in which tracks are searched.
pub const REKORDBOX: Target = Target { name: "rekordbox", run: rekordbox, seeds: collections, words: TAGS };

const WORDS: &[&str] = &[
    "\"bpm\"",
    "\"beats\"",
    "\"downbeats\"",
    "\"segments\"",
    "\"start\"",
    "\"end\"",
    "\"label\"",
    "\"intro\"",
    "\"key\"",
    "\"6A\"",
    "1e308",
    "-1e308",
    "5e-324",
    "null",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "0.01",
];

const TAGS: &[&str] = &[
    "<TRACK ",
    "<TEMPO ",
    "<POSITION_MARK ",
    "<COLLECTION>",
    "</COLLECTION>",
    "</TRACK>",
    "/>",
    "Location=\"",
    "Bpm=\"",
    "AverageBpm=\"",
    "file://localhost/",
    "%C3%A9",
    "&amp;",
    "&#x0;",
    "<![CDATA[",
    "<!DOCTYPE ",
    "<!--",
    "-->",
    "\u{feff}",
];

fn selections() -> impl Iterator<Item = Selection> {
    let untils = [Until::Sections(1), Until::Sections(3), Until::Label("chorus".into(), 1), Until::Bars(16)];
    let kinds = [
        (Rule::ByTime, Snap::Downbeat, From::Intro, BpmSource::Beats),
        (Rule::Strict, Snap::None, From::Intro, BpmSource::Json),
        (Rule::ByTime, Snap::Beat, From::FirstDownbeat, BpmSource::First),
        (Rule::ByTime, Snap::Grid, From::Seconds(1.0), BpmSource::Tempo),
    ];
    untils.into_iter().flat_map(move |until| {
        kinds.map(|(rule, snap, from, bpm_source)| Selection {
            bpm: None,
            without_bpm: false,
            half_double: true,
            bpm_source,
            keys: Vec::new(),
            harmony: Harmony::All,
            key_source: KeySource::First,
            choice: Choice { rule, intro: Intro::Longest, from, until: until.clone(), snap },
            target: Some(122.0),
            seconds: (0.0, f64::INFINITY),
        })
    })
}

fn structure(data: &[u8]) {
    let Ok(structure) = Structure::parse(Path::new("x.json"), data) else { return };
    assert!(structure.bpm.is_none_or(|bpm| bpm.is_finite() && bpm > 0.0));
    assert!(structure.segments.iter().all(|s| s.start.is_finite() && s.end.is_finite()));
    for selection in selections() {
        let candidate = Candidate { structure: &structure, found: None, tags: SourceTags::default() };
        if let Ok(chosen) = selection.choose(&candidate) {
            assert!(!chosen.cues.ini.is_nan() && !chosen.cues.begin.is_nan() && !chosen.cues.end.is_nan());
            assert!(chosen.bpm.is_none_or(|bpm| bpm > 0.0), "{:?}", chosen.bpm);
        }
    }
    if let Ok(key) = structure.key.parse::<Key>() {
        assert_eq!(key.camelot().parse(), Ok(key));
        assert_eq!(key.open().parse(), Ok(key));
        assert_eq!(key.name().parse(), Ok(key));
    }
}

fn rekordbox(data: &[u8]) {
    let Ok(collection) = Collection::parse(data) else { return };
    let matcher = Matcher::new(&collection, Some(Path::new("/Users/dj")));
    for path in ["/Users/dj/Music/a.wav", "a.wav", "", "C:\\Music\\é.wav"] {
        for seconds in [None, Some(60.0)] {
            let Some(found) = matcher.find(path, seconds) else { continue };
            assert!(found.track.bpm.is_none_or(|bpm| bpm.is_finite() && bpm > 0.0));
            assert!(found.track.tempo_between(1.0, 30.0).is_none_or(|bpm| bpm > 0.0));
        }
    }
    assert!(collection.remarks.iter().chain(&matcher.conflicts()).all(|line| !line.contains('\n')));
}

fn structures() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"path":"a.wav","bpm":120,"beats":[0.5,1.0,1.5,2.0,2.5],"downbeats":[0.5,2.5],"beat_positions":[1,2,3,4,1],
            "segments":[{"start":0,"end":0.5,"label":"start"},{"start":0.5,"end":2.5,"label":"intro"},
            {"start":2.5,"end":4.5,"label":"verse"},{"start":4.5,"end":6.5,"label":"chorus"}],"key":"G minor"}"#,
        r#"{"path":"C:\\a.wav","bpm":"1_22.5","segments":[{"start":"1","end":2,"label":"Intro "},{"start":null},3,
            {"start":8,"end":8,"label":"end"}],"key":"11m"}"#,
        "{\"bpm\":null,\"segments\":null}",
    ];
    texts.iter().map(|t| t.as_bytes().to_vec()).collect()
}

fn collections() -> Vec<Vec<u8>> {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<DJ_PLAYLISTS Version="1.0.0"><COLLECTION Entries="2">
<TRACK TrackID="1" Name="a" Artist="b" TotalTime="60" AverageBpm="122.50" Tonality="Gm"
 Location="file://localhost/Users/dj/Music/a.wav">
<TEMPO Inizio="0.025" Bpm="122.50" Metro="4/4" Battito="1"/><TEMPO Inizio="30.1" Bpm="123.50" Metro="3/4" Battito="2"/>
<POSITION_MARK Name="x" Type="0" Start="1.5" Num="0"/><POSITION_MARK Name="" Type="4" Start="1.5" End="3" Num="-1"/></TRACK>
<TRACK TrackID="2" Location="file://localhost/C:/Music/%C3%A9.wav" AverageBpm="1_20"/></COLLECTION></DJ_PLAYLISTS>"#;
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    vec![text.as_bytes().to_vec(), utf16]
}
