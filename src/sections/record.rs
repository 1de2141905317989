//! The file beside a part: its beat grid, and how it was made.
//!
//! It has the shape of an all-in-one analysis, with times shifted to the part and divided by its speed, so that decks
//! read it as the part's own tempo and grid. The field `cut` records what the part was made from; a run that resumes
//! keeps parts whose record is still true.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cues::Cues;
use super::structure::Structure;

/// Record of what a part was made from, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The source, and its size and modification time (nanoseconds since 1970).
    pub source: String,
    /// Size of the source in bytes.
    pub bytes: u64,
    /// Modification time of the source in nanoseconds since 1970.
    pub modified: i64,
    /// Path of the track as in its structure file.
    pub track: String,
    /// A hash of what the structure file says of beats, segments and key.
    pub analysis: String,
    /// First frame of the cut.
    pub from: u64,
    /// One past its last frame.
    pub to: u64,
    /// Speed of the part.
    pub speed: f64,
    /// Treatment of its sound, tags and cue points, as a text that changes with any of them.
    pub treatment: String,
    /// File of the cut at the track's own tempo; empty if there is none.
    pub part_orig: String,
    /// Version of the program.
    pub version: String,
}

/// Result of making a part, recorded beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Length of the part in frames.
    pub frames: u64,
    /// Sample rate of the part in Hz.
    pub rate: u32,
    /// Remarks about its sound.
    pub remarks: Vec<String>,
}

#[derive(Serialize)]
struct SegmentOut<'a> {
    start: f64,
    end: f64,
    label: &'a str,
}

#[derive(Serialize)]
struct Out<'a> {
    path: &'a str,
    bpm: f64,
    key: &'a str,
    beats: Vec<f64>,
    downbeats: Vec<f64>,
    beat_positions: Vec<u32>,
    segments: Vec<SegmentOut<'a>>,
    cut: &'a Record,
    made: &'a Made,
}

#[derive(Deserialize)]
struct In {
    cut: Record,
    made: Made,
}

/// Returns the file's content for the part `name`, which was cut at `cues` and plays at `record.speed` and `bpm`.
pub fn content(
    structure: &Structure,
    (name, key): (&str, &str),
    cues: &Cues,
    bpm: f64,
    record: &Record,
    made: &Made,
) -> String {
    let place = |time: f64| (time - cues.ini) / record.speed;
    let length = made.frames as f64 / f64::from(made.rate);
    // A mark half a step of the analysis before the cut is its beginning.
    let inside = |times: &[f64]| -> Vec<f64> {
        let placed = times.iter().map(|time| place(*time)).filter(|time| (-0.005..length).contains(time));
        placed.map(|time| time.max(0.0)).collect()
    };
    let (beats, downbeats) = (inside(&structure.beats), inside(&structure.downbeats));
    let is_first = |beat: &f64| downbeats.iter().any(|d| (d - beat).abs() < 0.02);
    let firsts: Vec<usize> = (0..beats.len()).filter(|k| is_first(&beats[*k])).collect();
    // A part that begins within a bar counts up to the first one.
    let meter = firsts.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(4);
    let lead = firsts.first().map_or(0, |first| meter - first % meter);
    let mut position = lead as u32 % meter as u32;
    let beat_positions = beats
        .iter()
        .map(|beat| {
            position = if is_first(beat) { 1 } else { position + 1 };
            position
        })
        .collect();
    let segments = structure.segments.iter().filter_map(|segment| {
        let (start, end) = (place(segment.start).max(0.0), place(segment.end).min(length));
        (end > start).then_some(SegmentOut { start, end, label: &segment.label })
    });
    let out =
        Out { path: name, bpm, key, beats, downbeats, beat_positions, segments: segments.collect(), cut: record, made };
    serde_json::to_string_pretty(&out).unwrap_or_default()
}

/// Returns the path of the track to which the file at `path` belongs, if it lies beside a part.
pub fn track_of(path: &Path) -> Option<String> {
    let found: In = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(found.cut.track)
}

/// Returns what the file at `path` says was made, if it was made as `record` says.
pub fn still_true(path: &Path, record: &Record) -> Option<Made> {
    let found: In = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (found.cut == *record).then_some(found.made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::grid::Grid;

    #[test]
    fn decks_read_it_as_the_grid_of_the_part() {
        let beats: Vec<String> = (0..40).map(|k| (0.25 + f64::from(k) * 0.5).to_string()).collect();
        let text = format!(
            r#"{{"bpm": 120, "beats": [{}], "downbeats": [0.25, 2.25, 4.25, 6.25],
                "segments": [{{"start": 0, "end": 2.25, "label": "intro"}}, {{"start": 2.25, "end": 99, "label": "verse"}}]}}"#,
            beats.join(",")
        );
        let structure = Structure::parse(Path::new("x.json"), text.as_bytes()).unwrap();
        let record = Record {
            source: "x.wav".into(),
            bytes: 1,
            modified: 2,
            track: "/m/x.wav".into(),
            analysis: "0".into(),
            from: 0,
            to: 8_000,
            speed: 1.25,
            treatment: "hq".into(),
            part_orig: String::new(),
            version: "1".into(),
        };
        let made = Made { frames: 96_000, rate: 8_000, remarks: Vec::new() };
        let cues = Cues { ini: 2.25, begin: 10.25, end: 17.25 };
        let text = content(&structure, ("x_sectioned.wav", "Gm"), &cues, 150.0, &record, &made);
        let grid = Grid::parse(text.as_bytes()).unwrap().unwrap();
        assert!((grid.bpm - 150.0).abs() < 1e-9, "{}", grid.bpm);
        assert_eq!(grid.downbeats, [0.0, 1.6, 3.2]);
        assert_eq!(grid.beats[..3], [0.0, 0.4, 0.8]);
        let again: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(again["beat_positions"].as_array().unwrap()[..6], [1, 2, 3, 4, 1, 2]);
        assert_eq!(again["segments"][0]["label"], "verse");
        let path = std::env::temp_dir().join(format!("grooved-record-{}.json", std::process::id()));
        std::fs::write(&path, &text).unwrap();
        assert_eq!(still_true(&path, &record), Some(made));
        assert_eq!(still_true(&path, &Record { speed: 1.0, ..record }), None);
        std::fs::remove_file(&path).unwrap();
    }
}
