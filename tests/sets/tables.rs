//! Tables of parts made up for the tests.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use crate::common::Scratch;

pub const RATE: f64 = 48_000.0;

/// Beats from the beginning of a part to its first tick: nothing is to be cut off by the start of a fade.
pub const FIRST: f64 = 0.1;

/// A row of a table: cue and window in beats, tempo, and how much shorter than the table says the part is, in seconds.
#[derive(Clone, Copy)]
pub struct Row {
    pub cue: f64,
    pub window: f64,
    pub bpm: f64,
    pub short: f64,
    /// Tempo of the track that the part was cut from.
    pub original: f64,
}

pub fn row(cue: f64, window: f64, bpm: f64) -> Row {
    Row { cue, window, bpm, short: 0.0, original: bpm }
}

/// Pitch of a track's ticks. Each of its beats has a tick on the left (even tracks) or right.
pub fn pitch(track: usize) -> f64 {
    3_000.0 + 500.0 * track as f64
}

/// Writes the parts of a table, except those that are missing, with the frames `value(row, track, seconds)` on the
/// track's channel, and the table; its cues are `off` seconds beside their beats.
pub fn table(
    scratch: &Scratch,
    rows: &[Row],
    missing: &[usize],
    off: f64,
    value: impl Fn(&Row, usize, f64) -> f64,
) -> PathBuf {
    let mut text = String::from("part_file,bpm,target_bpm,begin_cue_adj,end_cue_adj\r\n");
    for (k, row) in rows.iter().enumerate() {
        let beat = 60.0 / row.bpm;
        let (begin, end) = (row.cue * beat, (row.cue + row.window) * beat);
        if !missing.contains(&k) {
            let frames = ((end - row.short) * RATE).round() as usize;
            scratch.wav(&format!("part{k}.wav"), RATE as u32, frames, |frame| {
                let v = value(row, k, frame as f64 / RATE) as f32;
                if k % 2 == 0 { (v, 0.0) } else { (0.0, v) }
            });
        }
        text += &format!("part{k}.wav,{},{},{},{}\r\n", row.original, row.bpm, begin + off, end + off);
    }
    let path = scratch.path("set.csv");
    std::fs::write(&path, text).unwrap();
    path
}

/// A tick on each beat, shaped so that its middle is found to a fraction of a frame.
pub fn tick(row: &Row, track: usize, seconds: f64) -> f64 {
    let beat = 60.0 / row.bpm;
    let into = seconds - ((seconds / beat - FIRST).round() + FIRST) * beat;
    0.5 * (-(into / 0.0015).powi(2)).exp() * (TAU * pitch(track) * into).cos()
}

/// Row of a short track at 240 BPM, at which a beat is a quarter of a second: its part is `more` beats longer than the
/// table says.
pub fn short(cue: f64, window: f64, more: f64) -> Row {
    Row { short: -0.25 * more, ..row(cue, window, 240.0) }
}

/// Returns the first lines of a table: its header and some rows.
pub fn head(table: &Path, rows: usize) -> String {
    std::fs::read_to_string(table).unwrap().split_inclusive('\n').take(rows + 1).collect()
}

/// Replaces a table in one step, as programs do that write beside a reader.
pub fn replace(table: &Path, text: &str) {
    let new = table.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, table).unwrap();
}

/// Names of parts.
pub fn files(tracks: &[usize]) -> Vec<String> {
    tracks.iter().map(|track| format!("part{track}.wav")).collect()
}
