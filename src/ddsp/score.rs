//! Input of an offline render: a MIDI file as events in seconds, or a table of pitch and loudness.

use std::collections::BTreeMap;

use super::smf::{Division, Event as Raw, File, Kind};
use super::tuning::Tuning;

pub use super::smf::is_midi;

/// The General MIDI percussion channel (10, counted from 1), which no instrument plays.
const DRUMS: u8 = 9;
/// Maximum number of parts.
const MOST_PARTS: usize = 64;
const LONGEST_S: f64 = 86_400.0;

/// The action of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Key down: MIDI number, velocity 1 to 127.
    On(u8, u8),
    /// Key up: MIDI number.
    Off(u8),
    /// Sets the offset added to every key, in semitones: bend and tuning.
    Bend(f64),
    /// Control change: controller number and value, 0 to 127.
    Control(u8, u8),
}

/// A timed action of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Time in seconds from the start.
    pub at: f64,
    /// Index into [`Score::parts`].
    pub part: usize,
    /// The action.
    pub action: Action,
}

/// The notes of one track on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Track number, counted from 1 among the tracks with notes.
    pub track: usize,
    /// Name of the track, or empty.
    pub name: String,
    /// First program (0 to 127) that the track sets on its channel.
    pub program: u8,
}

/// A MIDI file converted to events in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// The parts.
    pub parts: Vec<Part>,
    /// The events, in order of time.
    pub events: Vec<Event>,
    /// Time of the last event, in seconds.
    pub seconds: f64,
    /// Whether the file is truncated within a track.
    pub cut: bool,
    /// Irregularities of the file that cost no note.
    pub remarks: Vec<String>,
}

impl Score {
    /// Reads a Standard MIDI File of format 0 or 1; of a truncated file, the part that is present.
    ///
    /// # Errors
    /// A message that continues "the file …".
    pub fn parse(bytes: &[u8]) -> Result<Score, String> {
        let file = File::read(bytes)?;
        let clock = Clock::of(&file);
        let mut score = Score { cut: file.cut, remarks: file.remarks.clone(), ..Score::default() };
        score.read_tracks(&file.tracks, &clock);
        if score.parts.is_empty() && score.cut {
            return Err("ends too early; copy it again".into());
        }
        if score.parts.is_empty() {
            return Err("holds no notes (drums, on channel 10, are not played)".into());
        }
        if score.parts.len() > MOST_PARTS {
            return Err(format!("has {} parts; at most {MOST_PARTS} are supported", score.parts.len()));
        }
        score.seconds = score.events.last().map_or(0.0, |e| e.at);
        if score.seconds > LONGEST_S {
            return Err(format!("lasts {:.0} hours; at most a day is supported", score.seconds / 3_600.0));
        }
        Ok(score)
    }

    /// Number of notes that begin.
    pub fn notes(&self) -> usize {
        self.events.iter().filter(|event| matches!(event.action, Action::On(..))).count()
    }

    /// Converts the tracks to parts and events. Channels are shared by all tracks: pitch settings made in one track
    /// apply to the notes of another.
    fn read_tracks(&mut self, tracks: &[Vec<Raw>], clock: &Clock) {
        let has_notes = |track: &[Raw]| track.iter().any(|e| matches!(e.kind, Kind::Channel(0x9, ..)));
        // Only tracks with notes are counted; the others act through their channels.
        let mut number = 0;
        let mut all: Vec<(u64, usize, bool, usize, Raw)> = Vec::new();
        for (index, track) in tracks.iter().enumerate() {
            let heard = has_notes(track);
            number += usize::from(heard);
            all.extend(track.iter().map(|event| (event.tick, index, heard, number, *event)));
        }
        // A stable sort: simultaneous events keep the order of the file.
        all.sort_by_key(|(tick, ..)| *tick);
        let mut parts: BTreeMap<(usize, u8), usize> = BTreeMap::new();
        let mut names: BTreeMap<usize, String> = BTreeMap::new();
        let mut programs: BTreeMap<(usize, u8), u8> = BTreeMap::new();
        let mut tunings = [Tuning::default(); 16];
        for (tick, index, heard, number, event) in all {
            let at = clock.seconds(tick);
            let (status, channel, one, two) = match event.kind {
                Kind::Name(text) => {
                    names.insert(index, String::from_utf8_lossy(text).trim().to_string());
                    continue;
                }
                Kind::Channel(_, DRUMS, ..) | Kind::Tempo(_) => continue,
                Kind::Channel(status, channel, one, two) => (status, channel, one, two),
            };
            let tuning = &mut tunings[usize::from(channel)];
            let action = match status {
                0x9 if two > 0 => Action::On(one, two),
                0x8 | 0x9 => Action::Off(one),
                0xb => {
                    if tuning.control(one, two) {
                        self.tune(&parts, channel, at, tuning.semitones());
                    }
                    if Tuning::is_own(one) {
                        continue;
                    }
                    Action::Control(one, two)
                }
                0xc => {
                    programs.entry((index, channel)).or_insert(one);
                    continue;
                }
                0xe => {
                    let wheel = f64::from((u16::from(two) << 7 | u16::from(one)) as i16 - 8_192) / 8_192.0;
                    tuning.bend(wheel);
                    self.tune(&parts, channel, at, tuning.semitones());
                    continue;
                }
                _ => continue,
            };
            if !heard {
                continue;
            }
            let next = self.parts.len();
            let part = *parts.entry((index, channel)).or_insert(next);
            if part == next {
                let name = names.get(&index).cloned().unwrap_or_default();
                self.parts.push(Part { track: number, name, program: 0 });
                let semitones = tuning.semitones();
                if semitones != 0.0 {
                    self.events.push(Event { at, part, action: Action::Bend(semitones) });
                }
            }
            if matches!(action, Action::On(..)) {
                self.parts[part].program = programs.get(&(index, channel)).copied().unwrap_or(0);
            }
            self.events.push(Event { at, part, action });
        }
    }

    /// Adds a bend event to all parts of a channel.
    fn tune(&mut self, parts: &BTreeMap<(usize, u8), usize>, channel: u8, at: f64, semitones: f64) {
        let mine = parts.iter().filter(|((_, other), _)| *other == channel);
        self.events.extend(mine.map(|(_, part)| Event { at, part: *part, action: Action::Bend(semitones) }));
    }
}

/// Converts ticks to seconds through all changes of tempo.
struct Clock {
    /// (start tick, seconds at the start, seconds per tick)
    legs: Vec<(u64, f64, f64)>,
}

impl Clock {
    fn of(file: &File) -> Clock {
        let per_beat = match file.division {
            Some(Division::Time(tick)) => return Clock { legs: vec![(0, 0.0, tick)] },
            Some(Division::Beat(ticks)) => f64::from(ticks),
            None => 96.0,
        };
        let mut tempos = vec![(0u64, 500_000.0)];
        for event in file.tracks.iter().flatten() {
            if let Kind::Tempo(micros) = event.kind {
                tempos.push((event.tick, f64::from(micros)));
            }
        }
        tempos.sort_by_key(|t| t.0);
        let mut legs: Vec<(u64, f64, f64)> = Vec::new();
        for (tick, micros) in tempos {
            let at = legs.last().map_or(0.0, |(from, seconds, each)| seconds + (tick - from) as f64 * each);
            legs.push((tick, at, micros * 1e-6 / per_beat));
        }
        Clock { legs }
    }

    fn seconds(&self, tick: u64) -> f64 {
        let leg = self.legs.partition_point(|l| l.0 <= tick).saturating_sub(1);
        let (from, at, each) = self.legs[leg];
        at + (tick - from) as f64 * each
    }
}

/// Breakpoints of pitch and loudness over time, interpolated linearly.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// (seconds, Hz, loudness 0 to 1); a pitch of 0 or less is silence.
    rows: Vec<(f64, f64, f64)>,
}

impl Table {
    /// Parses lines of `time,f0,loudness`; a header line, empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// A message with the line number and what is expected.
    pub fn parse(text: &str) -> Result<Table, String> {
        let mut table = Table { rows: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let numbers: Result<Vec<f64>, _> = line.split([',', ';', '\t']).map(|n| n.trim().parse::<f64>()).collect();
            let wrong = |what: &str| {
                Err(format!("line {}: '{}': {what}", index + 1, line.chars().take(60).collect::<String>()))
            };
            match numbers.as_deref() {
                Ok([time, hz, loudness]) => match table.push(*time, *hz, *loudness) {
                    Ok(()) => {}
                    Err(expected) => return wrong(expected),
                },
                Err(_) if table.rows.is_empty() && line.chars().any(char::is_alphabetic) => {}
                _ => return wrong("expected 'time,f0,loudness', as in 0.5,440,0.8"),
            }
        }
        if table.rows.is_empty() { Err("it contains no line 'time,f0,loudness'".into()) } else { Ok(table) }
    }

    /// Creates a table from its columns: seconds, Hz and loudness.
    ///
    /// # Errors
    /// A message with the index of the row and what is expected.
    pub fn of(rows: impl Iterator<Item = (f64, f64, f64)>) -> Result<Table, String> {
        let mut table = Table { rows: Vec::new() };
        for (index, (time, hz, loudness)) in rows.enumerate() {
            table.push(time, hz, loudness).map_err(|expected| format!("point {index}: {expected}"))?;
        }
        Ok(table)
    }

    fn push(&mut self, time: f64, hz: f64, loudness: f64) -> Result<(), &'static str> {
        if ![time, hz, loudness].iter().all(|value| value.is_finite()) {
            return Err("numbers must be finite");
        }
        if !(0.0..=1.0).contains(&loudness) {
            return Err("loudness must be between 0 and 1");
        }
        if hz > 12_544.0 {
            return Err("pitch must be at most 12544 Hz");
        }
        if !(0.0..=86_400.0).contains(&time) || self.rows.last().is_some_and(|last| time <= last.0) {
            return Err("times must increase and be between 0 and 86400 seconds");
        }
        self.rows.push((time, hz, loudness));
        Ok(())
    }

    /// Time of the last row, in seconds.
    pub fn seconds(&self) -> f64 {
        self.rows.last().map_or(0.0, |r| r.0)
    }

    /// Returns Hz and loudness for each hop of `hop` samples, and the share of the table that it completes. A hop ends at
    /// the values that hold at its end.
    pub fn hops(&self, hop: usize, sample_rate: u32) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let rate = f64::from(sample_rate);
        let last = (self.seconds() * rate) as u64;
        (0..last.div_ceil(hop as u64)).map(move |n| {
            let end = (n + 1) * hop as u64;
            let (hz, loudness) = self.at(end as f64 / rate);
            (hz, loudness, end.min(last) as f64 / last.max(1) as f64)
        })
    }

    /// Returns Hz and loudness at a time. Pitch is interpolated in semitones; next to silence it is held.
    pub fn at(&self, seconds: f64) -> (f64, f64) {
        let above = self.rows.partition_point(|r| r.0 <= seconds);
        if above == 0 {
            return (0.0, 0.0);
        }
        let before = self.rows[above - 1];
        let Some(after) = self.rows.get(above) else { return (before.1.max(0.0), before.2) };
        let share = (seconds - before.0) / (after.0 - before.0);
        let hz = match (before.1 > 0.0, after.1 > 0.0) {
            (true, true) => before.1 * (after.1 / before.1).powf(share),
            (true, false) => before.1,
            _ => return (0.0, 0.0),
        };
        let end = if after.1 > 0.0 { after.2 } else { 0.0 };
        (hz, before.2 + (end - before.2) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Assembles a MIDI file: header, then tracks of raw events, each with an end-of-track event.
    pub fn file(format: u8, tracks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![b'M', b'T', b'h', b'd', 0, 0, 0, 6, 0, format, 0, tracks.len() as u8, 0, 96];
        for track in tracks {
            bytes.extend(b"MTrk");
            bytes.extend((track.len() as u32 + 4).to_be_bytes());
            bytes.extend(*track);
            bytes.extend([0, 0xff, 0x2f, 0]);
        }
        bytes
    }

    #[test]
    fn time_follows_the_tempo_map() {
        // One beat at 120 BPM, then 60 BPM; a note from beat 1 to beat 3.
        let tempo: &[u8] = &[0, 0xff, 0x51, 3, 7, 0xa1, 0x20, 96, 0xff, 0x51, 3, 0x0f, 0x42, 0x40];
        let notes: &[u8] = &[0, 0xc0, 71, 96, 0x90, 60, 100, 0x81, 0x40, 0x80, 60, 0, 0, 0xe0, 0x7f, 0x7f];
        let score = Score::parse(&file(1, &[tempo, notes])).unwrap();
        assert_eq!(score.parts, [Part { track: 1, name: String::new(), program: 71 }]);
        let times: Vec<f64> = score.events.iter().map(|e| e.at).collect();
        assert!((times[0] - 0.5).abs() < 1e-9 && (times[1] - 2.5).abs() < 1e-9, "{times:?}");
        assert_eq!(score.events[0].action, Action::On(60, 100));
        let Action::Bend(bend) = score.events[2].action else { panic!("{:?}", score.events) };
        assert!((bend - 2.0).abs() < 0.01);
    }

    #[test]
    fn what_can_not_be_played_says_why() {
        assert!(Score::parse(b"RIFF").unwrap_err().starts_with("is not a MIDI file"));
        assert!(Score::parse(&file(2, &[&[]])).unwrap_err().contains("formats 0 and 1"));
        assert!(Score::parse(&file(0, &[&[]])).unwrap_err().starts_with("holds no notes"));
        assert!(Score::parse(&file(0, &[&[0, 0x99, 60, 100]])).unwrap_err().contains("channel 10"));
        // Many long deltas at the slowest tempo.
        let mut long: Vec<u8> = vec![0, 0xff, 0x51, 3, 0xff, 0xff, 0xff];
        long.extend([0xff, 0xff, 0xff, 0x7f, 0x90, 60, 100]);
        assert!(Score::parse(&file(0, &[&long])).unwrap_err().contains("at most a day"));
    }

    #[test]
    fn a_file_that_ends_in_the_middle_is_cut() {
        let notes: &[u8] = &[0, 0x90, 60, 100, 96, 0x80, 60, 0];
        let whole = file(1, &[notes, notes]);
        assert!(!Score::parse(&whole).unwrap().cut);
        // Truncated within the second track, and within the first.
        for lacking in [3, 28] {
            let score = Score::parse(&whole[..whole.len() - lacking]).unwrap();
            assert!(score.cut && !score.events.is_empty(), "{lacking} bytes less: {score:?}");
        }
        assert!(Score::parse(&whole[..20]).unwrap_err().starts_with("ends too early"));
        // A whole missing track cannot be told from a wrong track count in the header.
        let score = Score::parse(&whole[..whole.len() - 20]).unwrap();
        assert!(!score.cut && score.remarks == ["its header announces 2 tracks, but 1 are present"], "{score:?}");
    }

    /// Key, on or off, and milliseconds of every note event.
    fn notes_of(bytes: &[u8]) -> Vec<(u8, bool, i64)> {
        let events = Score::parse(bytes).unwrap().events;
        let notes = events.iter().filter_map(|e| match e.action {
            Action::On(key, _) => Some((key, true, (e.at * 1_000.0).round() as i64)),
            Action::Off(key) => Some((key, false, (e.at * 1_000.0).round() as i64)),
            _ => None,
        });
        notes.collect()
    }

    const PLAIN: [(u8, bool, i64); 4] = [(60, true, 0), (60, false, 500), (64, true, 500), (64, false, 1_000)];
    const NOTES: &[u8] = &[0, 0x90, 60, 100, 96, 0x80, 60, 0, 0, 0x90, 64, 100, 96, 0x80, 64, 0];

    #[test]
    fn running_status_goes_on_behind_meta_events_and_exclusive_messages() {
        for between in [&[0xff, 5, 2, b'l', b'a'][..], &[0xf0, 3, 0x7e, 9, 0xf7], &[0xf7, 1, 0x43], &[0xf8]] {
            let mut track = vec![0, 0x90, 60, 100, 0];
            track.extend(between);
            track.extend([96, 60, 0, 0, 64, 100, 96, 64, 0]);
            let bytes = file(0, &[&track]);
            assert_eq!(notes_of(&bytes), PLAIN, "{between:02x?}");
            assert!(!Score::parse(&bytes).unwrap().cut);
        }
    }

    #[test]
    fn wrappers_and_foreign_chunks_are_passed_over() {
        let plain = file(0, &[NOTES]);
        let mut riff = b"RIFF\0\0\0\0RMIDINFO\x03\0\0\0abc\0data".to_vec();
        riff.extend((plain.len() as u32).to_le_bytes());
        riff.extend(&plain);
        let mut foreign = plain[..14].to_vec();
        foreign.extend(b"XFIH\0\0\0\x05abcde");
        foreign.extend(&plain[14..]);
        let mut behind = plain.clone();
        behind.extend([0x55; 100]);
        let head = [[0u8; 128].as_slice(), &plain].concat();
        for (bytes, what) in [(riff, "RMID"), (foreign, "foreign"), (behind, "trailing garbage"), (head, "MacBinary")] {
            assert_eq!(notes_of(&bytes), PLAIN, "{what}");
            let score = Score::parse(&bytes).unwrap();
            assert!(!score.cut && score.remarks.is_empty(), "{what}: {score:?}");
        }
    }

    #[test]
    fn a_track_ends_where_its_events_do_whatever_its_length_says() {
        let both = [PLAIN[0], PLAIN[0], PLAIN[1], PLAIN[2], PLAIN[1], PLAIN[2], PLAIN[3], PLAIN[3]];
        for wrong in [-20i32, -7, -1, 1, 3, 1_000] {
            let mut bytes = file(1, &[NOTES, NOTES]);
            let length = (NOTES.len() as i32 + 4 + wrong) as u32;
            bytes[18..22].copy_from_slice(&length.to_be_bytes());
            assert_eq!(notes_of(&bytes), both, "{wrong}");
            assert!(!Score::parse(&bytes).unwrap().cut, "{wrong}");
        }
        // Without end-of-track events, in the middle and at the end of the file.
        let mut bytes = file(1, &[NOTES, NOTES]);
        bytes[18..22].copy_from_slice(&(NOTES.len() as u32).to_be_bytes());
        let first = 22 + NOTES.len();
        bytes.drain(first..first + 4);
        let length = bytes.len();
        bytes[first + 4..first + 8].copy_from_slice(&(NOTES.len() as u32).to_be_bytes());
        bytes.truncate(length - 4);
        assert_eq!(notes_of(&bytes), both);
        let score = Score::parse(&bytes).unwrap();
        assert!(!score.cut && score.remarks.len() == 2, "{score:?}");
    }

    #[test]
    fn a_tempo_of_nothing_is_left_out() {
        let track = [&[0, 0xff, 0x51, 3, 0, 0, 0], NOTES].concat();
        assert_eq!(notes_of(&file(0, &[&track])), PLAIN);
    }

    #[test]
    fn bends_and_tuning_go_as_far_as_the_file_says() {
        let bends = |tracks: &[&[u8]]| -> Vec<(usize, f64)> {
            let events = Score::parse(&file(1, tracks)).unwrap().events;
            let bends = events.iter().filter_map(|e| match e.action {
                Action::Bend(semitones) => Some((e.part, (semitones * 100.0).round() / 100.0)),
                _ => None,
            });
            bends.collect()
        };
        let range = |semitones| [0, 0xb0, 101, 0, 0, 100, 0, 0, 6, semitones, 0, 38, 0];
        // The whole way down.
        let bent = [NOTES, &[0, 0xe0, 0, 0]].concat();
        assert_eq!(bends(&[&bent]), [(0, -2.0)]);
        assert_eq!(bends(&[&[&range(12)[..], &bent].concat()]), [(0, -12.0)]);
        // Settings made in one track apply to the channel in all tracks, also to a part that begins later.
        assert_eq!(bends(&[&range(24), &bent]), [(0, -24.0)]);
        let tuned = [0, 0xb0, 101, 0, 0, 100, 2, 0, 6, 64 - 3];
        assert_eq!(bends(&[&[&tuned[..], &bent].concat()]), [(0, -3.0), (0, -5.0)]);
        // Other channels are unaffected.
        let other = [0, 0x91, 60, 100, 96, 0x81, 60, 0, 0, 0xe1, 0, 0];
        assert_eq!(bends(&[&range(12), &other]), [(0, -2.0)]);
    }

    #[test]
    fn a_note_that_ends_where_it_begins_ends() {
        let notes: &[u8] = &[0, 0x90, 60, 100, 0, 0x80, 60, 0, 10, 0x90, 62, 100, 10, 0x80, 62, 0];
        let actions: Vec<Action> = Score::parse(&file(0, &[notes])).unwrap().events.iter().map(|e| e.action).collect();
        assert_eq!(actions[..2], [Action::On(60, 100), Action::Off(60)]);
    }

    #[test]
    fn tables_go_straight_and_errors_name_the_line() {
        let table = Table::parse("time,f0,loudness\n0,440,0.2\n1,880,0.6\n2,0,0.5\n").unwrap();
        let (hz, loudness) = table.at(0.5);
        assert!((hz - 622.25).abs() < 0.01 && (loudness - 0.4).abs() < 1e-9);
        assert_eq!(table.at(1.5), (880.0, 0.3));
        assert_eq!(table.at(3.0).0, 0.0);
        for (text, wanted) in [
            ("", "no line"),
            ("0,440", "line 1: '0,440': expected 'time,f0,loudness'"),
            ("0,440,0.5\n1,440,7", "line 2: '1,440,7': loudness must be between 0 and 1"),
            ("1,440,0.5\n0.5,440,0.5", "times must increase"),
            ("0,99999,0.5", "at most 12544 Hz"),
        ] {
            let said = Table::parse(text).unwrap_err();
            assert!(said.contains(wanted), "{said}");
        }
    }
}
