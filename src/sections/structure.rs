//! Structure files: the analysis of a track as all-in-one writes it (JSON).
//!
//! `path`, `bpm` (a whole number, or null for fewer than two beats), `beats` and `downbeats` in seconds, and `segments`
//! with `start`, `end` and `label`; other tools add `key`. Such files are also written by hand: what can be understood
//! is used, and the rest is named in [`Structure::remarks`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::number::decimal;
use crate::media::file::MediaFile;

/// Maximum size of a structure file in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Segments that are named one by one.
const MOST_REMARKS: usize = 4;

/// A section of a track as it was analysed.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Start in seconds.
    pub start: f64,
    /// End in seconds.
    pub end: f64,
    /// Its kind: `intro`, `verse`, `chorus`, …
    pub label: String,
}

/// The analysis of a track.
#[derive(Clone, Debug, PartialEq)]
pub struct Structure {
    /// The file it was read from.
    pub file: PathBuf,
    /// The track's path on the machine that analysed it; may be empty.
    pub path: String,
    /// Beats per minute; `None` if unknown.
    pub bpm: Option<f64>,
    /// The key as written; may be empty.
    pub key: String,
    /// Beats in seconds, in order.
    pub beats: Vec<f64>,
    /// First beats of bars in seconds, in order.
    pub downbeats: Vec<f64>,
    /// Its segments, in the order of the file.
    pub segments: Vec<Segment>,
    /// What could not be used of the file: one sentence each.
    pub remarks: Vec<String>,
    /// Whether it lies beside an exported part; see [`super::record`].
    pub is_of_part: bool,
}

impl Structure {
    /// Parses the content of a structure file.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Structure, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("it is not valid JSON: {e}"))?;
        let Value::Object(fields) = value else {
            return Err(format!("it contains {}; expected an object with path, bpm and segments", kind(&value)));
        };
        let mut remarks = Vec::new();
        let (path, key) = (text(&fields, "path"), text(&fields, "key"));
        let bpm = bpm(&fields, &mut remarks);
        let beats = times(&fields, "beats", &mut remarks);
        let downbeats = times(&fields, "downbeats", &mut remarks);
        let segments = segments(&fields, &mut remarks);
        let is_of_part = ["cut", "made"].iter().all(|name| fields.get(*name).is_some_and(Value::is_object));
        Ok(Structure { file: file.into(), path, bpm, key, beats, downbeats, segments, remarks, is_of_part })
    }

    /// Returns the text by which the track is listed: its path, or that of its structure file if it has none.
    pub fn name(&self) -> String {
        if self.path.is_empty() { self.file.display().to_string() } else { self.path.clone() }
    }

    /// Returns the track's length in seconds as far as its segments tell.
    pub fn seconds(&self) -> Option<f64> {
        self.segments.iter().map(|s| s.end).filter(|end| *end > 0.0).max_by(f64::total_cmp)
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => {
            let text = other.to_string();
            match text.char_indices().nth(40) {
                Some((at, _)) => format!("{}…", &text[..at]),
                None => text,
            }
        }
    }
}

/// Returns a number, which may be written as text; `Err` for anything else but a missing value.
fn number(value: Option<&Value>) -> Result<Option<f64>, String> {
    match value {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64()),
        Some(Value::String(text)) if decimal(text).is_some() => Ok(decimal(text)),
        Some(other) => Err(kind(other)),
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> String {
    match fields.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn bpm(fields: &Map<String, Value>, remarks: &mut Vec<String>) -> Option<f64> {
    match number(fields.get("bpm").filter(|bpm| !bpm.is_null())) {
        Ok(bpm) => bpm.filter(|bpm| bpm.is_finite() && *bpm > 0.0),
        Err(what) => {
            remarks.push(format!("bpm is {what}, expected a number; its BPM is unknown"));
            None
        }
    }
}

fn times(fields: &Map<String, Value>, name: &str, remarks: &mut Vec<String>) -> Vec<f64> {
    let list = match fields.get(name) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(other) => {
            remarks.push(format!("{name} is {}, expected a list of seconds; not used", kind(other)));
            return Vec::new();
        }
    };
    let mut times = Vec::with_capacity(list.len());
    let mut wrong = 0;
    for value in list {
        match number(Some(value)) {
            Ok(Some(time)) if time.is_finite() => times.push(time),
            _ => wrong += 1,
        }
    }
    if wrong > 0 {
        remarks.push(format!("{wrong} of its {name} are not numbers; skipped"));
    }
    times.sort_by(f64::total_cmp);
    times.dedup();
    times
}

fn segments(fields: &Map<String, Value>, remarks: &mut Vec<String>) -> Vec<Segment> {
    let list = match fields.get("segments") {
        None => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(other) => {
            remarks.push(format!("segments is {}, expected a list; it has no segments", kind(other)));
            return Vec::new();
        }
    };
    let mut segments = Vec::with_capacity(list.len());
    let mut wrong = Vec::new();
    for (number, value) in list.iter().enumerate().map(|(k, value)| (k + 1, value)) {
        match segment(value) {
            Ok((segment, remark)) => {
                segments.push(segment);
                wrong.extend(remark.map(|what| format!("segment {number}: {what}")));
            }
            Err(what) => wrong.push(format!("segment {number}: {what}; skipped")),
        }
    }
    if wrong.len() > MOST_REMARKS {
        remarks.push(format!("{} of its segments are not as expected; the first: {}", wrong.len(), wrong[0]));
    } else {
        remarks.extend(wrong);
    }
    segments
}

fn segment(value: &Value) -> Result<(Segment, Option<String>), String> {
    let Value::Object(fields) = value else {
        return Err(format!("is {}, expected an object with start, end and label", kind(value)));
    };
    let time = |name: &str| match number(fields.get(name)) {
        Ok(time) if time.is_none_or(f64::is_finite) => Ok(time.unwrap_or(0.0)),
        Ok(_) => Err(format!("{name} is not finite")),
        Err(what) => Err(format!("{name} is {what}, expected seconds")),
    };
    let (start, end) = (time("start")?, time("end")?);
    let (label, remark) = match fields.get("label") {
        None | Some(Value::Null) => (String::new(), None),
        Some(Value::String(label)) => (label.clone(), None),
        Some(other) => (String::new(), Some(format!("label is {}, expected a text; it has no label", kind(other)))),
    };
    Ok((Segment { start, end, label }, remark))
}

/// A structure file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadStructure {
    /// The file.
    pub file: PathBuf,
    /// Why: one sentence.
    pub what: String,
}

/// The structure files of a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Structures {
    /// Those that can be used, ordered by path and then by file name.
    pub good: Vec<Structure>,
    /// Those that cannot.
    pub bad: Vec<BadStructure>,
}

impl Structures {
    /// Reads every `*.json` of a folder, not of those below it. Folders, the companions that macOS writes (`._x.json`)
    /// and the files beside exported parts are passed over.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn read(folder: &Path) -> io::Result<Structures> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let bytes = name.as_encoded_bytes();
            if bytes.ends_with(b".json") && !bytes.starts_with(b"._") {
                files.push(folder.join(name));
            }
        }
        files.sort();
        let mut all = Structures::default();
        for file in files {
            if file.is_dir() {
                continue;
            }
            // Neither pipes nor devices, which have no end.
            let bytes = MediaFile::open(&file).and_then(|open| open.read_all(MAX_BYTES));
            match bytes.map_err(|e| e.to_string()).and_then(|bytes| Structure::parse(&file, &bytes)) {
                Ok(structure) if structure.is_of_part => {}
                Ok(structure) => all.good.push(structure),
                Err(what) => all.bad.push(BadStructure { file, what }),
            }
        }
        all.sort();
        Ok(all)
    }

    /// Adds those of another folder.
    pub fn extend(&mut self, other: Structures) {
        self.good.extend(other.good);
        self.bad.extend(other.bad);
        self.sort();
    }

    fn sort(&mut self) {
        // UTF-8 sorts by code point. The sort is stable: equal paths stay in order of their files.
        self.good.sort_by(|a, b| a.path.cmp(&b.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Structure, String> {
        Structure::parse(Path::new("x.json"), text.as_bytes())
    }

    #[test]
    fn what_can_be_understood_is_used() {
        let found = parse(
            r#"{"path": "a.wav", "bpm": "1_22", "bpm": "122.5", "key": 5, "beats": [1, null, "0.5", 0.5],
                "segments": [{"start": "1", "end": 2, "label": "Intro"}, {"start": null}, 3, {"label": 4}]}"#,
        )
        .unwrap();
        assert_eq!((found.bpm, found.key.as_str(), found.beats.as_slice()), (Some(122.5), "5", &[0.5, 1.0][..]));
        let first = Segment { start: 1.0, end: 2.0, label: "Intro".into() };
        assert_eq!(found.segments, [first, Segment { start: 0.0, end: 0.0, label: String::new() }]);
        assert_eq!(
            found.remarks,
            [
                "1 of its beats are not numbers; skipped",
                "segment 2: start is null, expected seconds; skipped",
                "segment 3: is 3, expected an object with start, end and label; skipped",
                "segment 4: label is 4, expected a text; it has no label"
            ]
        );
        assert_eq!(found.seconds(), Some(2.0));
        assert_eq!(parse("{}").unwrap().name(), "x.json");
    }

    #[test]
    fn an_unknown_tempo_is_no_error() {
        for bpm in ["null", "0", "-3", "\"nan\"", "\"inf\""] {
            let found = parse(&format!("{{\"bpm\": {bpm}}}")).unwrap();
            assert_eq!((found.bpm, found.remarks.len()), (None, 0), "{bpm}");
        }
        let found = parse("{\"bpm\": \"fast\"}").unwrap();
        assert_eq!(found.remarks, ["bpm is \"fast\", expected a number; its BPM is unknown"]);
    }

    #[test]
    fn what_is_no_structure_is_named() {
        for (text, part) in [
            ("", "line 1 column 0"),
            ("[]", "it contains a list"),
            ("{\"bpm\": NaN}", "line 1 column 9"),
            ("{\"path\": \"\\ud800\"}", "not valid JSON"),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
