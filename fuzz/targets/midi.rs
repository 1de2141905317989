//! MIDI files, and tables of pitch and loudness.

use grooved::ddsp::score::{Score, Table};

use super::Target;

/// A Standard MIDI File, or a table as text.
pub const MIDI: Target = Target { name: "midi", run, seeds, words: WORDS };

const WORDS: &[&str] = &[
    "MThd\0\0\0\x06",
    "MTrk\0\0\0\x10",
    "\0\u{1}\0\u{2}",
    "\0\x60",
    "\x01\x60",
    "RIFF",
    "RMID",
    "data",
    "time,f0,loudness\n",
    "0.5,440,0.8\n",
    "\0",
    "\x7f",
];

/// Runs the target [`MIDI`].
pub fn run(data: &[u8]) {
    if let Ok(score) = Score::parse(data) {
        assert!(score.seconds.is_finite() && score.seconds >= 0.0);
        assert!(score.events.iter().all(|e| e.part < score.parts.len() && (0.0..=score.seconds).contains(&e.at)));
        assert!(score.events.windows(2).all(|w| w[0].at <= w[1].at));
    }
    if let Ok(table) = std::str::from_utf8(data).map_err(|e| e.to_string()).and_then(Table::parse) {
        for at in [0.0, 0.1, 1.0, table.seconds(), table.seconds() + 1.0] {
            let (hz, loudness) = table.at(at);
            assert!(hz.is_finite() && (0.0..=1.0).contains(&loudness), "{hz} Hz, {loudness} at {at}");
        }
    }
}

fn file(format: u8, division: [u8; 2], tracks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0".to_vec();
    bytes.extend([format, 0, tracks.len() as u8, division[0], division[1]]);
    for track in tracks {
        bytes.extend(b"MTrk");
        bytes.extend((track.len() as u32).to_be_bytes());
        bytes.extend(*track);
    }
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let tempo =
        b"\0\xff\x58\x04\x04\x02\x18\x08\0\xff\x51\x03\x07\xa1\x20\x60\xff\x51\x03\x03\0\0\0\xff\x2f\0".as_slice();
    let melody = b"\0\xff\x03\x05flute\0\xc0\x49\0\x90\x3c\x64\x60\x3c\0\0\xe0\0\x50\0\xb0\x40\x7f\0\xb0\x65\0\0\x64\0\0\x06\x0c\x81\x00\x90\x3e\x40\x60\x80\x3e\0\0\xff\x2f\0".as_slice();
    let system =
        b"\0\xf0\x05\x7e\x7f\x09\x01\xf7\0\xd0\x40\0\xa0\x3c\x40\0\x99\x24\x7f\x10\x89\x24\0\0\xff\x2f\0".as_slice();
    vec![
        file(0, [0, 0x60], &[melody]),
        file(1, [1, 0xe0], &[tempo, melody, system]),
        file(1, [0xe7, 0x28], &[tempo, melody]),
        file(2, [0, 0x60], &[tempo, melody]),
        b"time,f0,loudness\n0,440,0\n0.5,440,0.8\n1.5,0,0.8\n".to_vec(),
        b"# a comment\n0;220;1\n1;-1;0\n".to_vec(),
    ]
}
