//! The beat grid of a track, read from a JSON file beside it, as written by all-in-one analysers.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::file::MediaFile;
use super::root::{self, RootError};

/// The beat grid of a track; all times are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Beats per minute.
    pub bpm: f64,
    /// All beats, in order; if empty, one every `60 / bpm` from the start.
    pub beats: Vec<f64>,
    /// The first beat of every bar, in order.
    pub downbeats: Vec<f64>,
}

/// A unit of musical time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// One beat.
    Beat,
    /// One bar, with its number of beats.
    Bar(usize),
}

impl Unit {
    /// Number of beats in the unit.
    pub fn beats(self) -> f64 {
        match self {
            Unit::Beat => 1.0,
            Unit::Bar(meter) => meter as f64,
        }
    }
}

/// The fields that are used of an analysis file; it may have others.
#[derive(Deserialize)]
struct Analysis {
    #[serde(default)]
    bpm: f64,
    #[serde(default)]
    beats: Vec<f64>,
    #[serde(default)]
    downbeats: Vec<f64>,
}

/// Maximum size of an analysis file in bytes.
const MOST_BYTES: u64 = 4 << 20;

impl Grid {
    /// Reads the file beside `track` of the same name with the extension `.json`; `None` if there is none. Symbolic
    /// links are not followed.
    ///
    /// # Errors
    /// A message that names the file; the track can be played without it.
    pub fn beside(track: &Arc<MediaFile>) -> Result<Option<Grid>, String> {
        if track.is_rendered() {
            return Ok(None);
        }
        let path = track.path().with_extension("json");
        let Some(name) = path.file_name() else { return Ok(None) };
        let wrong = |why: &dyn std::fmt::Display| format!("'{}': {why}", path.display());
        let watch = track.watch();
        let bytes = match watch.during(|| root::beside(track.path(), name, &Arc::default())) {
            Ok(file) => watch.during(|| file.read_all(MOST_BYTES)).map_err(|e| wrong(&e))?,
            Err(RootError::Absent) => return Ok(None),
            Err(other) => return Err(wrong(&other)),
        };
        Grid::parse(&bytes).map_err(|e| wrong(&e))
    }

    /// Parses the content of an analysis file; `None` if it gives no tempo.
    ///
    /// # Errors
    /// A message that says which part of it is invalid.
    pub fn parse(bytes: &[u8]) -> Result<Option<Grid>, String> {
        let found: Analysis = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let tidy = |mut times: Vec<f64>| {
            times.retain(|t| t.is_finite() && *t >= 0.0);
            times.sort_by(f64::total_cmp);
            times.dedup();
            times
        };
        let (beats, downbeats) = (tidy(found.beats), tidy(found.downbeats));
        // The tempo of the beats themselves is more precise than the rounded one in such files.
        let bpm = tempo_of(&beats).unwrap_or(found.bpm);
        if bpm == 0.0 {
            return Ok(None);
        }
        if !(20.0..=400.0).contains(&bpm) {
            return Err(format!("bpm is {bpm}; must be between 20 and 400"));
        }
        Ok(Some(Grid { bpm, beats, downbeats }))
    }

    fn marks(&self, unit: Unit) -> Cow<'_, [f64]> {
        match unit {
            Unit::Beat => Cow::Borrowed(&self.beats),
            Unit::Bar(_) if !self.downbeats.is_empty() => Cow::Borrowed(&self.downbeats),
            Unit::Bar(meter) => Cow::Owned(self.beats.iter().copied().step_by(meter.max(1)).collect()),
        }
    }

    /// The first beat, or bar, at or after `seconds`.
    pub fn next(&self, seconds: f64, unit: Unit) -> f64 {
        let marks = self.marks(unit);
        // Within 1 ms counts as on the mark.
        match marks.get(marks.partition_point(|t| *t < seconds - 1e-3)) {
            Some(mark) => *mark,
            None => seconds + self.beyond(seconds, marks.last(), unit),
        }
    }

    /// Time from `seconds`, which lies after the last mark, to the next extrapolated one.
    fn beyond(&self, seconds: f64, last: Option<&f64>, unit: Unit) -> f64 {
        let period = unit.beats() * 60.0 / self.bpm;
        let gone = (seconds - last.copied().unwrap_or(0.0)) / period;
        ((gone - 1e-3).ceil() - gone).max(0.0) * period
    }

    /// The last beat at or before `seconds`.
    pub fn last(&self, seconds: f64) -> f64 {
        let after = self.beats.partition_point(|t| *t <= seconds + 1e-3);
        let period = 60.0 / self.bpm;
        match after.checked_sub(1).map(|k| self.beats[k]) {
            Some(beat) if seconds - beat < 1.5 * period => beat,
            Some(beat) => beat + ((seconds - beat) / period).floor() * period,
            None => self.beats.first().map_or((seconds / period).floor() * period, |first| {
                (first - ((first - seconds) / period).ceil() * period).max(0.0)
            }),
        }
    }

    /// The beat, or bar, nearest to `seconds`.
    pub fn nearest(&self, seconds: f64, unit: Unit) -> f64 {
        let marks = self.marks(unit);
        let after = self.next(seconds, unit);
        let before = match marks.partition_point(|t| *t <= seconds) {
            0 => return after,
            // After the last mark they continue evenly.
            n if n == marks.len() => after - unit.beats() * 60.0 / self.bpm,
            n => marks[n - 1],
        };
        if seconds - before < after - seconds { before } else { after }
    }
}

/// The tempo of evenly spaced beats by linear regression, in BPM; `None` for fewer than eight.
fn tempo_of(beats: &[f64]) -> Option<f64> {
    if beats.len() < 8 {
        return None;
    }
    let n = beats.len() as f64;
    let (mean_k, mean_t) = ((n - 1.0) / 2.0, beats.iter().sum::<f64>() / n);
    let (mut above, mut below) = (0.0, 0.0);
    for (k, t) in beats.iter().enumerate() {
        above += (k as f64 - mean_k) * (t - mean_t);
        below += (k as f64 - mean_k).powi(2);
    }
    Some(60.0 * below / above).filter(|bpm| bpm.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_say_more_than_a_rounded_tempo() {
        let beats: Vec<String> = (0..40).map(|k| (0.5 + k as f64 * 60.0 / 122.5).to_string()).collect();
        let text = format!("{{\"bpm\": 122, \"beats\": [{}], \"segments\": []}}", beats.join(","));
        let grid = Grid::parse(text.as_bytes()).unwrap().unwrap();
        assert!((grid.bpm - 122.5).abs() < 1e-6, "{}", grid.bpm);
        let period = 60.0 / 122.5;
        assert!((grid.next(0.6, Unit::Beat) - (0.5 + period)).abs() < 1e-9);
        assert!((grid.nearest(0.6, Unit::Beat) - 0.5).abs() < 1e-9);
        assert!((grid.last(0.5 + 2.2 * period) - (0.5 + 2.0 * period)).abs() < 1e-9);
        // Without downbeats, the first beat starts a bar.
        assert!((grid.next(0.6, Unit::Bar(4)) - (0.5 + 4.0 * period)).abs() < 1e-9);
        // After the last beat they continue evenly.
        assert!((grid.next(0.5 + 41.0 * period, Unit::Bar(4)) - (0.5 + 44.0 * period)).abs() < 1e-6);
        assert!((grid.nearest(0.5 + 44.4 * period, Unit::Beat) - (0.5 + 44.0 * period)).abs() < 1e-6);
        assert!((grid.next(100.0, Unit::Beat) - 100.0) < period);
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        assert!(Grid::parse(b"{\"bpm\": 4}").unwrap_err().contains("between 20 and 400"));
        assert!(Grid::parse(b"no").is_err());
        assert_eq!(Grid::parse(b"{\"key\": \"Gm\"}"), Ok(None));
    }
}
