//! The table of exported parts (CSV), in the format of the older exporter: UTF-8, commas, CRLF, a header.

use std::borrow::Cow;

use super::csv;
use super::number::{minutes, shortest};

/// Names of the columns.
pub const COLUMNS: &[&str] = &[
    "path",
    "bpm",
    "key",
    "target_bpm",
    "speed",
    "ini_cue",
    "begin_cue",
    "end_cue",
    "begin_cue_adj",
    "end_cue_adj",
    "duration_orig",
    "duration_sectioned",
    "part_file_orig",
    "part_file",
];

/// Names of the columns that follow on request.
pub const MORE_COLUMNS: &[&str] = &["bpm_json", "bpm_rekordbox", "key_camelot", "method", "warnings"];

/// A row of the table: an exported part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Path of the track as in its structure file.
    pub path: String,
    /// BPM of the track.
    pub bpm: f64,
    /// Key of the track as written.
    pub key: String,
    /// BPM of the part.
    pub target_bpm: f64,
    /// `target_bpm` ÷ `bpm`.
    pub speed: f64,
    /// Where the part begins, in seconds of the track.
    pub ini: f64,
    /// Where mixing out begins, in seconds of the track.
    pub begin: f64,
    /// Where the part ends, in seconds of the track.
    pub end: f64,
    /// Length of the part's file in seconds.
    pub seconds: f64,
    /// File of the part at the track's own tempo; empty if there is none.
    pub part_orig: String,
    /// File of the part.
    pub part: String,
    /// Values of [`MORE_COLUMNS`].
    pub more: [String; MORE_COLUMNS.len()],
}

impl Row {
    /// Returns where mixing out begins, in seconds of the part.
    pub fn begin_adj(&self) -> f64 {
        (self.begin - self.ini) / self.speed
    }

    /// Returns where the part ends, in seconds of the part.
    pub fn end_adj(&self) -> f64 {
        (self.end - self.ini) / self.speed
    }

    /// Returns the line of the table; `more` adds [`MORE_COLUMNS`].
    pub fn line(&self, more: bool) -> String {
        let numbers = [self.target_bpm, self.speed, self.ini, self.begin, self.end, self.begin_adj(), self.end_adj()];
        let mut fields = vec![Cow::from(&self.path), shortest(self.bpm).into(), Cow::from(&self.key)];
        fields.extend(numbers.map(|number| Cow::from(shortest(number))));
        fields.extend([minutes(self.end - self.ini), minutes(self.seconds)].map(Cow::from));
        fields.extend([Cow::from(&self.part_orig), Cow::from(&self.part)]);
        if more {
            fields.extend(self.more.iter().map(Cow::from));
        }
        csv::line(fields.iter().map(|field| &**field))
    }
}

/// Returns the header line of the table; `more` adds [`MORE_COLUMNS`].
pub fn header(more: bool) -> String {
    let more = if more { MORE_COLUMNS } else { &[] };
    csv::line(COLUMNS.iter().chain(more).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_to_the_digit() {
        let row = Row {
            path: "/m/one, \"two\"\n.wav".into(),
            bpm: 123.0,
            key: " F#m".into(),
            target_bpm: 122.5,
            speed: 122.5 / 123.0,
            ini: 4.6,
            begin: 10.46,
            end: 12.41,
            seconds: 7.8419,
            part_orig: "parts/orig/x.wav".into(),
            part: "parts/x.wav".into(),
            more: ["a;b", "", "11A", "hq", "x, y"].map(String::from),
        };
        let line = "\"/m/one, \"\"two\"\"\n.wav\",123.0, F#m,122.5,0.9959349593495935,4.6,10.46,12.41,\
                    5.88391836734694,7.841877551020408,0:07.81,0:07.84,parts/orig/x.wav,parts/x.wav";
        assert_eq!(row.line(false), format!("{line}\r\n"));
        assert_eq!(row.line(true), format!("{line},a;b,,11A,hq,\"x, y\"\r\n"));
        assert!(header(false).ends_with(",part_file_orig,part_file\r\n"));
    }
}
