//! Sets and their tracks, as the exporter of sections or a hand writes them (CSV).
//!
//! The columns `part_file`, `begin_cue_adj` and `end_cue_adj` are necessary; `path`, `bpm`, `key` and `target_bpm` are
//! used, and all others are kept for the playlist. Columns may come in any order. A row that cannot be played is left
//! out and named in [`Set::faults`].

use crate::sections::csv;
use crate::sections::number::decimal;

/// Maximum size of a set's file in bytes.
const MOST_BYTES: usize = 16 << 20;
/// Maximum number of rows; those after it are left out.
const MOST_ROWS: usize = 100_000;
/// Maximum number of columns.
const MOST_COLUMNS: usize = 256;
/// Maximum of a cue in seconds, a day: sums of cues stay exact.
const MOST_SECONDS: f64 = 86_400.0;
/// Least and greatest BPM of a part.
const LEAST_BPM: f64 = 20.0;
const MOST_BPM: f64 = 400.0;
/// How far from the half-bar grid a cue may lie, in beats, as in the older player.
const GRID_TOLERANCE_BEATS: f64 = 0.05;
/// How much shorter than a beat a window may be, in beats: cues are often rounded to milliseconds.
const WINDOW_TOLERANCE_BEATS: f64 = 0.001;
/// The most characters of a value that a message repeats.
const MOST_SHOWN: usize = 40;

const PATH: &str = "path";
const PART_FILE: &str = "part_file";
const BPM: &str = "bpm";
const KEY: &str = "key";
const TARGET_BPM: &str = "target_bpm";
const BEGIN: &str = "begin_cue_adj";
const END: &str = "end_cue_adj";

/// A track of a set: a part, and when the next one is mixed in.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Line of the set's file on which its row begins, from 1.
    pub line: usize,
    /// Path of the track that the part was cut from; may be empty.
    pub path: String,
    /// File of the part, as in the set.
    pub part_file: String,
    /// BPM of the track before it became a part; `None` if unknown.
    pub bpm: Option<f64>,
    /// Key as written; may be empty.
    pub key: String,
    /// BPM of the part.
    pub target_bpm: f64,
    /// Where the next track begins, in seconds of the part.
    pub begin: f64,
    /// Where the window ends, in seconds of the part: by then the next track has taken over.
    pub end: f64,
    /// Whether movement calls for it, in orders that follow movement.
    pub is_high: bool,
    /// The row as read, one field per column; fields at its end may be missing.
    pub fields: Vec<String>,
}

impl Track {
    /// Returns a duration of the part in beats.
    pub fn beats(&self, seconds: f64) -> f64 {
        seconds * self.target_bpm / 60.0
    }
}

/// The tracks of a set in the order of its file, and what was wrong with the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The tracks that can be played. Rows that are repeated are repeated here.
    pub tracks: Vec<Track>,
    /// The rows that were left out: line and reason, one sentence each.
    pub faults: Vec<String>,
    /// What is unusual about rows that are played: one sentence each.
    pub remarks: Vec<String>,
}

impl Set {
    /// Parses the content of a set's file.
    ///
    /// # Errors
    /// If it is too large, is not UTF-8, or its header is missing or lacks a column; the message says where or which.
    pub fn parse(bytes: &[u8]) -> Result<Set, String> {
        if bytes.len() > MOST_BYTES {
            return Err(format!("it is larger than {} MiB", MOST_BYTES >> 20));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let line = 1 + bytes[..e.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            format!("line {line} is not valid UTF-8")
        })?;
        let is_blank = |fields: &Vec<String>| fields.iter().all(|field| field.trim().is_empty());
        let mut records = csv::records(text).filter(|(_, fields)| !fields.as_ref().is_ok_and(is_blank));
        let Some((line, header)) = records.next() else {
            return Err(format!("it is empty; expected a header with {PART_FILE}, {BEGIN} and {END}"));
        };
        let header = header.map_err(|fault| format!("line {line}: {fault}"))?;
        let mut set = Set { columns: header.iter().map(|name| name.trim().into()).collect(), ..Set::default() };
        let places = Places::find(&set.columns)?;
        for (row, (line, fields)) in records.enumerate() {
            if row == MOST_ROWS {
                set.faults.push(format!("line {line}: the set has more than {MOST_ROWS} rows; the rest is left out"));
                break;
            }
            let mut remarks = Vec::new();
            match fields.and_then(|fields| places.track(line, fields, &mut remarks)) {
                Ok(track) => {
                    set.tracks.push(track);
                    set.remarks.extend(remarks.iter().map(|remark| format!("line {line}: {remark}")));
                }
                Err(fault) => set.faults.push(format!("line {line}: {fault}; left out")),
            }
        }
        Ok(set)
    }
}

/// The places of the columns that are used.
struct Places {
    columns: usize,
    part_file: usize,
    begin: usize,
    end: usize,
    path: Option<usize>,
    bpm: Option<usize>,
    key: Option<usize>,
    target_bpm: Option<usize>,
}

impl Places {
    fn find(columns: &[String]) -> Result<Places, String> {
        if columns.len() > MOST_COLUMNS {
            return Err(format!("the header has {} columns; at most {MOST_COLUMNS} are possible", columns.len()));
        }
        let place = |name: &str| columns.iter().position(|column| column == name);
        let used = [PART_FILE, BEGIN, END, PATH, BPM, KEY, TARGET_BPM];
        if let Some(name) = used.iter().find(|name| columns.iter().filter(|column| column == *name).count() > 1) {
            return Err(format!("the header has the column {name} more than once"));
        }
        let (Some(part_file), Some(begin), Some(end)) = (place(PART_FILE), place(BEGIN), place(END)) else {
            let missing: Vec<_> = used[..3].iter().copied().filter(|name| place(name).is_none()).collect();
            let hint = match columns.len() == 1 && columns[0].contains(';') {
                true => "; it seems to be separated by semicolons, expected commas",
                false => "",
            };
            return Err(format!("the header lacks {}{hint}", missing.join(", ")));
        };
        let (path, bpm, key, target_bpm) = (place(PATH), place(BPM), place(KEY), place(TARGET_BPM));
        Ok(Places { columns: columns.len(), part_file, begin, end, path, bpm, key, target_bpm })
    }

    fn track(&self, line: usize, mut fields: Vec<String>, remarks: &mut Vec<String>) -> Result<Track, String> {
        // A comma without quotes, in a path for instance, moves all later fields into wrong columns.
        if fields.iter().skip(self.columns).any(|field| !field.trim().is_empty()) {
            return Err(format!("it has {} fields, expected {} as in the header", fields.len(), self.columns));
        }
        fields.truncate(self.columns);
        let text = |place: Option<usize>| place.and_then(|place| fields.get(place)).map_or("", String::as_str);
        let part_file = text(Some(self.part_file));
        if part_file.trim().is_empty() {
            return Err(expected(PART_FILE, part_file, "the file of a part"));
        }

        let bpm_text = text(self.bpm);
        let bpm = finite(bpm_text).filter(|bpm| *bpm > 0.0);
        if bpm.is_none() && !bpm_text.trim().is_empty() {
            remarks.push(expected(BPM, bpm_text, "beats per minute; taken as unknown"));
        }
        let target_text = text(self.target_bpm);
        let (column, target_text, target_bpm) = match (finite(target_text), bpm) {
            (Some(target), _) => (TARGET_BPM, target_text, target),
            (None, Some(bpm)) => {
                if !target_text.trim().is_empty() {
                    remarks.push(expected(TARGET_BPM, target_text, "beats per minute; bpm is taken instead"));
                }
                (BPM, bpm_text, bpm)
            }
            (None, None) => return Err(expected(TARGET_BPM, target_text, "beats per minute, here or as bpm")),
        };
        if !(LEAST_BPM..=MOST_BPM).contains(&target_bpm) {
            return Err(expected(column, target_text, &format!("{LEAST_BPM} to {MOST_BPM} beats per minute")));
        }

        let cue = |column: &str, place: usize| {
            let text = text(Some(place));
            let seconds = decimal(text).ok_or_else(|| expected(column, text, "seconds"))?;
            match (0.0..=MOST_SECONDS).contains(&seconds) {
                // Adding zero makes a negative zero positive.
                true => Ok(seconds + 0.0),
                false => Err(expected(column, text, &format!("0 to {MOST_SECONDS} seconds"))),
            }
        };
        let (begin, end) = (cue(BEGIN, self.begin)?, cue(END, self.end)?);
        let track = Track {
            line,
            path: text(self.path).into(),
            part_file: part_file.into(),
            bpm,
            key: text(self.key).trim().into(),
            target_bpm,
            begin,
            end,
            is_high: false,
            fields: Vec::new(),
        };
        if end <= begin {
            let more = format!("more than {BEGIN}, which is {}", shown(text(Some(self.begin))));
            return Err(expected(END, text(Some(self.end)), &more));
        }
        let window = track.beats(end - begin);
        if window < 1.0 - WINDOW_TOLERANCE_BEATS {
            let more = format!("at least a beat after {BEGIN}; there is {window:.2} of one");
            return Err(expected(END, text(Some(self.end)), &more));
        }
        for (column, seconds) in [(BEGIN, begin), (END, end)] {
            let beats = track.beats(seconds);
            if (beats - (beats / 2.0).round() * 2.0).abs() > GRID_TOLERANCE_BEATS {
                let grid = format!("off the half bars at {target_bpm} BPM");
                remarks.push(format!("{column} {seconds} lies at beat {beats:.2}, {grid}; played as it is"));
            }
        }
        Ok(Track { fields, ..track })
    }
}

/// Parses a number that is neither infinite nor NaN.
fn finite(text: &str) -> Option<f64> {
    decimal(text).filter(|number| number.is_finite())
}

/// Returns the sentence about a value that is not what its column should hold.
fn expected(column: &str, value: &str, expectation: &str) -> String {
    match value.trim().is_empty() {
        true => format!("{column} is empty, expected {expectation}"),
        false => format!("{column} is '{}', expected {expectation}", shown(value)),
    }
}

/// Returns as much of a value as a message can hold.
fn shown(value: &str) -> String {
    value.trim().chars().filter(|c| !c.is_control()).take(MOST_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::runs;

    fn set(text: &str) -> Set {
        Set::parse(text.as_bytes()).unwrap()
    }

    /// Returns what is said about a row `path,bpm,target_bpm,begin,end,part_file`: faults, remarks.
    fn said(row: &str) -> (String, String) {
        let set = set(&format!("path,bpm,target_bpm,begin_cue_adj,end_cue_adj,part_file\n{row}\n"));
        assert_eq!(set.tracks.len() + set.faults.len(), 1, "{row}");
        (set.faults.join("\n"), set.remarks.join("\n"))
    }

    #[test]
    fn the_exporters_sets_are_read() {
        let set = Set::parse(&runs::input("main.csv")).unwrap();
        assert_eq!((set.tracks.len(), set.faults.len(), set.columns.len()), (10, 0, 14));
        let track = &set.tracks[2];
        assert_eq!(track.path, "/Users/dj/Music/set/epsilon \"live\".wav");
        assert_eq!(track.part_file, "parts/epsilon \"live\"_sectioned.wav");
        assert_eq!((track.line, track.bpm, track.key.as_str(), track.target_bpm), (4, Some(123.0), "F#m", 122.5));
        assert_eq!((track.begin, track.end, track.fields.len()), (5.88391836734694, 7.841877551020408, 14));
        assert_eq!(set.tracks[6].key, "gm");
        assert_eq!(set.tracks[6].fields[2], "gm ");

        let bom = Set::parse(&runs::input("bom.csv")).unwrap();
        assert_eq!(bom, Set::parse(&runs::input("two.csv")).unwrap());
        assert_eq!(bom.tracks[0].path, "/Users/dj/Music/set/one.wav");
    }

    #[test]
    fn rows_that_cannot_be_played_are_named() {
        let set = Set::parse(&runs::input("odd.csv")).unwrap();
        assert_eq!(set.tracks.iter().map(|track| track.line).collect::<Vec<_>>(), [2, 9, 10, 11, 12]);
        assert_eq!(
            set.faults,
            [
                "line 3: begin_cue_adj is empty, expected seconds; left out",
                "line 4: end_cue_adj is empty, expected seconds; left out",
                "line 5: begin_cue_adj is 'soon', expected seconds; left out",
                "line 6: part_file is empty, expected the file of a part; left out",
                "line 7: end_cue_adj is '4.0', expected more than begin_cue_adj, which is 6.0; left out",
                "line 8: end_cue_adj is '5.0', expected more than begin_cue_adj, which is 5.0; left out",
            ]
        );
        assert!(set.remarks.contains(
            &"line 2: begin_cue_adj 4 lies at beat 8.17, off the half bars at 122.5 BPM; played as it is".into()
        ));
        for (row, fault) in [
            ("p,120,x,nan,6,a", "line 2: begin_cue_adj is 'nan', expected 0 to 86400 seconds; left out"),
            ("p,120,,-1,6,a", "line 2: begin_cue_adj is '-1', expected 0 to 86400 seconds; left out"),
            ("p,120,,1,inf,a", "line 2: end_cue_adj is 'inf', expected 0 to 86400 seconds; left out"),
            ("p,x,,1,6,a", "line 2: target_bpm is empty, expected beats per minute, here or as bpm; left out"),
            ("p,120,19,1,6,a", "line 2: target_bpm is '19', expected 20 to 400 beats per minute; left out"),
            ("p,401,,1,6,a", "line 2: bpm is '401', expected 20 to 400 beats per minute; left out"),
            (
                "p,120,,4,4.4,a",
                "line 2: end_cue_adj is '4.4', expected at least a beat after begin_cue_adj; there is 0.80 of one; \
                 left out",
            ),
            ("a, b.wav,120,120,4,6,a", "line 2: it has 7 fields, expected 6 as in the header; left out"),
            ("p,120,120,4", "line 2: part_file is empty, expected the file of a part; left out"),
            ("\"p,120,,4,6,a", "line 2: a quote is not closed; left out"),
        ] {
            assert_eq!(said(row).0, fault, "{row}");
        }
    }

    #[test]
    fn the_target_falls_back_to_the_bpm() {
        assert_eq!(said("p,120,,4,6,a,,"), Default::default());
        assert_eq!(said("p,,120,4,6,a"), Default::default());
        let remark = "line 2: target_bpm is 'x', expected beats per minute; bpm is taken instead";
        assert_eq!(said("p,120,x,4,6,a"), (String::new(), remark.into()));
        let remark = "line 2: bpm is '0', expected beats per minute; taken as unknown";
        assert_eq!(said("p,0,120,4,6,a"), (String::new(), remark.into()));
        // A window of a beat, rounded to milliseconds, is one.
        assert_eq!(said("p,,122.5,3.918,4.408,a").0, "");
    }

    #[test]
    fn cues_are_held_against_the_grid_of_their_own_row() {
        assert_eq!(said("p,,120,4,6,a").1, "");
        assert_eq!(said("p,,120,4.02,5.98,a").1, "");
        assert_eq!(
            said("p,,120,4.03,6,a").1,
            "line 2: begin_cue_adj 4.03 lies at beat 8.06, off the half bars at 120 BPM; played as it is"
        );
        assert_eq!(said("p,,120,4.5,6.5,a").1.lines().count(), 2);
    }

    #[test]
    fn columns_come_in_any_order_and_rows_may_repeat() {
        let text = "end_cue_adj; , part_file ,note,begin_cue_adj,target_bpm,end_cue_adj\r\n\
                    ,a.wav,\"x\ny\",4,120,6\r\n\r\n,,,,,\r\n,a.wav,\"x\ny\",4,120,6\r\n";
        let set = set(text);
        assert_eq!(set.columns[1], "part_file");
        assert_eq!(set.tracks.iter().map(|track| track.line).collect::<Vec<_>>(), [2, 6]);
        assert_eq!(set.tracks[0].fields, set.tracks[1].fields);
        assert_eq!((set.tracks[0].bpm, set.tracks[0].path.as_str(), set.faults.len()), (None, "", 0));
    }

    #[test]
    fn a_file_that_is_no_set_is_refused() {
        let lacks = |text: &str| Set::parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            Set::parse(&runs::input("empty.csv")).unwrap_err(),
            "it is empty; expected a header with part_file, begin_cue_adj and end_cue_adj"
        );
        assert_eq!(Set::parse(&runs::input("nocues.csv")).unwrap_err(), "the header lacks begin_cue_adj, end_cue_adj");
        assert_eq!(Set::parse(&runs::input("header.csv")).map(|set| set.tracks.len()), Ok(0));
        assert_eq!(lacks("\u{feff}\r\n\n,,\n").split(';').next(), Some("it is empty"));
        assert_eq!(
            lacks("part_file;begin_cue_adj"),
            "the header lacks part_file, begin_cue_adj, end_cue_adj; it seems to be separated by semicolons, expected commas"
        );
        assert_eq!(lacks("bpm,bpm\n"), "the header has the column bpm more than once");
        assert_eq!(lacks("\n\"a"), "line 2: a quote is not closed");
        assert_eq!(lacks(&",x".repeat(300)), "the header has 301 columns; at most 256 are possible");
        assert_eq!(Set::parse(b"a\nb\n\xff\n").unwrap_err(), "line 3 is not valid UTF-8");
        assert_eq!(Set::parse(&vec![b' '; MOST_BYTES + 1]).unwrap_err(), "it is larger than 16 MiB");
    }

    #[test]
    fn a_set_has_a_maximum_number_of_rows() {
        let text = format!("part_file,begin_cue_adj,end_cue_adj,bpm\n{}", "a,4,6,120\n".repeat(MOST_ROWS + 2));
        let set = set(&text);
        assert_eq!(set.tracks.len(), MOST_ROWS);
        assert_eq!(set.faults, ["line 100002: the set has more than 100000 rows; the rest is left out"]);
    }

    #[test]
    fn damaged_sets_do_no_harm() {
        let inputs = ["main.csv", "odd.csv", "bom.csv"].map(runs::input);
        let mut below = runs::random(7);
        let pieces: [&[u8]; 12] =
            [b"\"", b"\"\"", b",", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\xff", b"nan", b"1e308", b"-", b"_"];
        let mut played = 0;
        for _ in 0..20_000 {
            let mut bytes = inputs[below(inputs.len())].clone();
            for _ in 0..=below(6) {
                let at = below(bytes.len());
                let until = (at + below(4)).min(bytes.len());
                match below(4) {
                    0 => bytes[at] = below(256) as u8,
                    1 => drop(bytes.splice(at..until, pieces[below(pieces.len())].iter().copied())),
                    2 => drop(bytes.drain(at..until)),
                    _ => bytes.truncate(at.max(1)),
                }
                bytes.push(b'\n');
            }
            if let Ok(set) = Set::parse(&bytes) {
                for track in &set.tracks {
                    assert!(track.begin >= 0.0 && track.end > track.begin && track.beats(track.end).is_finite());
                    assert!(!track.part_file.is_empty() && track.fields.len() <= set.columns.len());
                }
                let tracks: Vec<_> = set.tracks.iter().collect();
                let (tracks, _) = crate::sets::timetable::without_overlaps(&tracks);
                let rows: Vec<_> = tracks.iter().collect();
                let times = crate::sets::timetable::timetable(&rows, 1.0);
                let rows: Vec<_> = times.into_iter().zip(rows).map(|(times, track)| ('A', times, track)).collect();
                let playlist = crate::sets::timetable::playlist(&set.columns, &rows);
                // What is written can be played again.
                assert_eq!(Set::parse(playlist.as_bytes()).unwrap().tracks.len(), rows.len());
                played += rows.len();
            }
        }
        assert!(played > 20_000, "{played}");
    }
}
