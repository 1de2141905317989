//! What is to be played: a MIDI file as events in seconds, or a table of pitch and loudness.

use std::collections::BTreeMap;

use midly::{Format, MetaMessage, MidiMessage, Smf, Timing, TrackEventKind};

/// Semitones that a full pitch bend is worth: General MIDI's default, whatever a file asks for.
const BEND_SEMITONES: f64 = 2.0;
/// The channel that General MIDI keeps for drums, which none of the instruments is.
const DRUMS: u8 = 9;
/// Most parts, and the longest score in seconds.
const MOST_PARTS: usize = 64;
const LONGEST_S: f64 = 86_400.0;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// A key goes down: MIDI number, velocity 1 to 127.
    On(u8, u8),
    /// A key goes up.
    Off(u8),
    /// Pitch bend in semitones.
    Bend(f64),
    /// A controller and its value, 0 to 127.
    Control(u8, u8),
}

/// An action of a part at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Seconds from the beginning.
    pub at: f64,
    /// Index into [`Score::parts`].
    pub part: usize,
    /// What happens.
    pub action: Action,
}

/// Notes of one track on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Track, counted from 1 among those with notes.
    pub track: usize,
    /// Its name, if it has one.
    pub name: String,
    /// The first program (0 to 127) that its channel is set to in its track.
    pub program: u8,
}

/// A MIDI file in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Who plays.
    pub parts: Vec<Part>,
    /// What, in order of time.
    pub events: Vec<Event>,
    /// When the last event is, in seconds.
    pub seconds: f64,
    /// Whether the file ends before its tracks do.
    pub cut: bool,
}

impl Score {
    /// Reads a Standard MIDI File of format 0 or 1, as far as it goes.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(bytes: &[u8]) -> Result<Score, String> {
        // midly 0.5.3 negates the frame rate as an `i8`, which overflows for -128.
        let header = bytes.windows(4).position(|w| w == b"MThd").unwrap_or(0);
        if bytes.get(header + 12) == Some(&0x80) {
            return Err("is no MIDI file: 128 is not a frame rate".into());
        }
        let smf = Smf::parse(bytes).map_err(|e| format!("is no MIDI file: {e}"))?;
        if smf.header.format == Format::Sequential {
            return Err("is a MIDI file of format 2 (songs one after another): format 0 or 1 would be right".into());
        }
        let clock = Clock::of(&smf)?;
        let ends = |t: &Vec<midly::TrackEvent>| {
            t.last().is_some_and(|e| e.kind == TrackEventKind::Meta(MetaMessage::EndOfTrack))
        };
        // After 'MThd', its length and the format: how many tracks there should be.
        let promised = bytes.get(10..12).map_or(0, |n| usize::from(n[0]) << 8 | usize::from(n[1]));
        let cut = smf.tracks.len() < promised || !smf.tracks.iter().all(ends);
        let mut score = Score { cut, ..Score::default() };
        let mut heard = 0;
        for track in &smf.tracks {
            let notes = track
                .iter()
                .any(|e| matches!(e.kind, TrackEventKind::Midi { message: MidiMessage::NoteOn { .. }, .. }));
            if notes {
                heard += 1;
                score.read_track(track, heard, &clock);
            }
        }
        if score.parts.is_empty() && cut {
            return Err("ends too early; copy it again".into());
        }
        if score.parts.is_empty() {
            return Err("holds no notes (drums, on channel 10, are not played)".into());
        }
        if score.parts.len() > MOST_PARTS {
            return Err(format!("has {} parts: {MOST_PARTS} at most would be right", score.parts.len()));
        }
        // Stable: what stands first in the file happens first.
        score.events.sort_by(|a, b| a.at.total_cmp(&b.at));
        score.seconds = score.events.last().map_or(0.0, |e| e.at);
        if score.seconds > LONGEST_S {
            return Err(format!("lasts {:.0} hours: a day at most would be right", score.seconds / 3_600.0));
        }
        Ok(score)
    }

    fn read_track(&mut self, track: &[midly::TrackEvent], number: usize, clock: &Clock) {
        let mut parts: BTreeMap<u8, usize> = BTreeMap::new();
        let (mut ticks, mut name) = (0u64, String::new());
        let mut programs = [None; 16];
        for event in track {
            ticks += u64::from(event.delta.as_int());
            let at = clock.seconds(ticks);
            let (channel, message) = match event.kind {
                TrackEventKind::Meta(MetaMessage::TrackName(text)) => {
                    name = String::from_utf8_lossy(text).trim().to_string();
                    continue;
                }
                TrackEventKind::Midi { channel, .. } if channel.as_int() == DRUMS => continue,
                TrackEventKind::Midi { channel, message } => (channel.as_int(), message),
                _ => continue,
            };
            let action = match message {
                MidiMessage::ProgramChange { program } => {
                    programs[usize::from(channel)].get_or_insert(program.as_int());
                    continue;
                }
                MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => Action::On(key.as_int(), vel.as_int()),
                MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => Action::Off(key.as_int()),
                MidiMessage::PitchBend { bend } => Action::Bend(bend.as_f64() * BEND_SEMITONES),
                MidiMessage::Controller { controller, value } => Action::Control(controller.as_int(), value.as_int()),
                _ => continue,
            };
            let next = self.parts.len();
            let part = *parts.entry(channel).or_insert(next);
            if part == next {
                self.parts.push(Part { track: number, name: name.clone(), program: 0 });
            }
            if matches!(action, Action::On(..)) {
                self.parts[part].program = programs[usize::from(channel)].unwrap_or(0);
            }
            self.events.push(Event { at, part, action });
        }
    }
}

/// Ticks to seconds, through all changes of tempo.
struct Clock {
    /// (tick, seconds there, seconds a tick from there on)
    legs: Vec<(u64, f64, f64)>,
}

impl Clock {
    fn of(smf: &Smf) -> Result<Clock, String> {
        let per_beat = match smf.header.timing {
            Timing::Timecode(rate, sub) => {
                let tick = 1.0 / (f64::from(rate.as_f32()) * f64::from(sub.max(1)));
                return Ok(Clock { legs: vec![(0, 0.0, tick)] });
            }
            Timing::Metrical(ticks) if ticks.as_int() > 0 => f64::from(ticks.as_int()),
            Timing::Metrical(_) => return Err("has no ticks in a beat".into()),
        };
        let mut tempos = vec![(0u64, 500_000.0)];
        for track in &smf.tracks {
            let mut ticks = 0u64;
            for event in track {
                ticks += u64::from(event.delta.as_int());
                if let TrackEventKind::Meta(MetaMessage::Tempo(micros)) = event.kind {
                    tempos.push((ticks, f64::from(micros.as_int().max(1))));
                }
            }
        }
        tempos.sort_by_key(|t| t.0);
        let mut legs: Vec<(u64, f64, f64)> = Vec::new();
        for (tick, micros) in tempos {
            let at = legs.last().map_or(0.0, |(from, seconds, each)| seconds + (tick - from) as f64 * each);
            legs.push((tick, at, micros * 1e-6 / per_beat));
        }
        Ok(Clock { legs })
    }

    fn seconds(&self, tick: u64) -> f64 {
        let leg = self.legs.partition_point(|l| l.0 <= tick).saturating_sub(1);
        let (from, at, each) = self.legs[leg];
        at + (tick - from) as f64 * each
    }
}

/// Pitch and loudness over time, straight between rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// (seconds, Hz, loudness 0 to 1); a pitch of 0 or less is silence.
    rows: Vec<(f64, f64, f64)>,
}

impl Table {
    /// Reads lines of `time,f0,loudness`; a first line of words is passed over.
    ///
    /// # Errors
    /// Which line is wrong, and what would be right.
    pub fn parse(text: &str) -> Result<Table, String> {
        let mut rows: Vec<(f64, f64, f64)> = Vec::new();
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
                Ok([time, hz, loudness]) if time.is_finite() && hz.is_finite() && loudness.is_finite() => {
                    if !(0.0..=1.0).contains(loudness) {
                        return wrong("a loudness of 0 to 1 would be right");
                    }
                    if *hz > 12_544.0 {
                        return wrong("a pitch of at most 12544 Hz would be right");
                    }
                    if *time < 0.0 || *time > 86_400.0 || rows.last().is_some_and(|last| *time <= last.0) {
                        return wrong("times that rise, from 0 to 86400 seconds, would be right");
                    }
                    rows.push((*time, *hz, *loudness));
                }
                Err(_) if rows.is_empty() && line.chars().any(char::is_alphabetic) => {}
                _ => return wrong("'time,f0,loudness' would be right, as in 0.5,440,0.8"),
            }
        }
        if rows.is_empty() { Err("it holds no line 'time,f0,loudness'".into()) } else { Ok(Table { rows }) }
    }

    /// When the last row is, in seconds.
    pub fn seconds(&self) -> f64 {
        self.rows.last().map_or(0.0, |r| r.0)
    }

    /// Hz and loudness at a time. Pitches go straight in semitones; from and to silence they stay.
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

    /// A MIDI file by hand: header, then tracks of raw events.
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
        // A beat at 120, then 60 BPM; a note at beat 1 and its end at beat 3.
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
        assert!(Score::parse(b"RIFF").unwrap_err().starts_with("is no MIDI file"));
        assert!(Score::parse(&file(2, &[&[]])).unwrap_err().contains("format 0 or 1"));
        assert!(Score::parse(&file(0, &[&[]])).unwrap_err().starts_with("holds no notes"));
        assert!(Score::parse(&file(0, &[&[0, 0x99, 60, 100]])).unwrap_err().contains("channel 10"));
        // One tick in a beat would do; here it is many long deltas at the slowest tempo.
        let mut long: Vec<u8> = vec![0, 0xff, 0x51, 3, 0xff, 0xff, 0xff];
        long.extend([0xff, 0xff, 0xff, 0x7f, 0x90, 60, 100]);
        assert!(Score::parse(&file(0, &[&long])).unwrap_err().contains("a day at most"));
    }

    #[test]
    fn a_file_that_ends_too_early_is_told() {
        let notes: &[u8] = &[0, 0x90, 60, 100, 96, 0x80, 60, 0];
        let whole = file(1, &[notes, notes]);
        assert!(!Score::parse(&whole).unwrap().cut);
        // Within the second track, before it, and within the first one.
        for lacking in [3, 20, 28] {
            let score = Score::parse(&whole[..whole.len() - lacking]).unwrap();
            assert!(score.cut && !score.events.is_empty(), "{lacking} bytes less: {score:?}");
        }
        assert!(Score::parse(&whole[..20]).unwrap_err().starts_with("ends too early"));
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
            ("0,440", "line 1: '0,440': 'time,f0,loudness'"),
            ("0,440,0.5\n1,440,7", "line 2: '1,440,7': a loudness of 0 to 1"),
            ("1,440,0.5\n0.5,440,0.5", "times that rise"),
            ("0,99999,0.5", "at most 12544 Hz"),
        ] {
            let said = Table::parse(text).unwrap_err();
            assert!(said.contains(wanted), "{said}");
        }
    }
}
