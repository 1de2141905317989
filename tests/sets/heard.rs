//! What is heard of a set: ticks and levels.

use super::tables::{FIRST, RATE, Row};
use crate::common::Sound;

/// Seconds that a render goes on after the last fade, at most.
pub const TAIL: f64 = 0.5;

/// Returns the middles of the ticks of one channel in seconds.
pub fn ticks(channel: &[f32]) -> Vec<f64> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(k) = channel[at..].iter().position(|v| v.abs() > 0.004) {
        let start = (at + k).saturating_sub(300);
        let piece = &channel[start..(at + k + 600).min(channel.len())];
        let (weight, moment) = piece.iter().enumerate().fold((0.0, 0.0), |(weight, moment), (n, v)| {
            let power = f64::from(*v).powi(2);
            (weight + power, moment + power * n as f64)
        });
        found.push((start as f64 + moment / weight) / RATE);
        at = (at + k + 2_400).min(channel.len());
    }
    found
}

/// Returns the distance of the nearest tick in milliseconds.
pub fn off_ms(ticks: &[f64], at: f64) -> f64 {
    ticks.iter().map(|tick| (tick - at).abs()).fold(f64::INFINITY, f64::min) * 1e3
}

/// Asserts that exactly these rows sound, in order: each begins on the beat at which the one before has its cue, all
/// ticks are at their places, the ones of both decks coincide, and the end comes with that of the last window.
pub fn assert_sounds(sound: &Sound, rows: &[(usize, Row)], clock: f64, what: &str) {
    let beat = 60.0 / clock;
    let channels = [ticks(&sound.left), ticks(&sound.right)];
    let first = channels[rows[0].0 % 2][0] - FIRST * beat;
    assert!((0.0..0.02).contains(&first), "{what}: the set begins at {first:.4} s");
    let mut start = first;
    let mut expected = [Vec::new(), Vec::new()];
    for (n, (k, row)) in rows.iter().enumerate() {
        let next = rows.get(n + 1).map_or(f64::INFINITY, |(_, next)| next.cue.max(1.0));
        let beats = row.cue + row.window.min(next);
        for m in 0..beats as usize {
            let at = start + (m as f64 + FIRST) * beat;
            // The first tick of one that comes, and the last of one that goes, are too quiet.
            let is_quiet = (m == 0 && n > 0) || m as f64 + 1.0 >= beats;
            let off = off_ms(&channels[k % 2], at);
            assert!(off < 0.3 || is_quiet, "{what}: tick {m} of track {k}, due at {at:.3} s, is {off:.3} ms off");
            expected[k % 2].push(at);
        }
        start += row.cue * beat;
    }
    for (channel, expected) in channels.iter().zip(&expected) {
        for at in channel {
            let off = off_ms(expected, *at);
            assert!(off < 0.3, "{what}: the tick at {at:.3} s is {off:.3} ms off");
        }
    }
    assert_coincide(&channels, beat, what);
    // `start` is at the last cue by now.
    let left = sound.seconds() - (start + rows[rows.len() - 1].1.window * beat);
    assert!((TAIL - 0.1..TAIL + 0.1).contains(&left), "{what}: {left:.3} s are left after the last window");
}

/// Asserts that ticks of both channels coincide within a millisecond where both have some.
pub fn assert_coincide(channels: &[Vec<f64>; 2], beat: f64, what: &str) -> usize {
    let both = channels[0].iter().filter(|at| off_ms(&channels[1], **at) < 0.45e3 * beat);
    let count = both.clone().count();
    for at in both {
        let off = off_ms(&channels[1], *at);
        assert!(off < 1.0, "{what}: two ticks at {at:.3} s are {off:.3} ms apart");
    }
    count
}

pub fn numbered(rows: &[Row]) -> Vec<(usize, Row)> {
    rows.iter().copied().enumerate().collect()
}

/// Returns the recording with its channels exchanged: measurements look at the left one.
pub fn other(sound: &Sound) -> Sound {
    Sound { rate: sound.rate, left: sound.right.clone(), right: sound.left.clone() }
}

/// Asserts that tracks are heard that begin at these times after the first, by their ticks; returns the second at which
/// the first begins.
pub fn assert_begin(sound: &Sound, begin: &[(usize, f64)], clock: f64, tolerance_ms: f64, what: &str) -> f64 {
    let beat = 60.0 / clock;
    let channels = [ticks(&sound.left), ticks(&sound.right)];
    let first = channels[begin[0].0 % 2][0] - FIRST * beat;
    for (track, at) in begin {
        // The first tick of one that comes in is too quiet.
        let at = first + at - begin[0].1 + (1.0 + FIRST) * beat;
        let off = off_ms(&channels[track % 2], at);
        assert!(off < tolerance_ms, "{what}: the second tick of track {track}, due at {at:.3} s, is {off:.3} ms off");
    }
    first
}
