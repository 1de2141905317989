//! History of a set: the tracks that were played.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sets::track::Track;

/// Most tracks that are remembered with their times.
const MOST_PLAYED: usize = 1_000;

/// A track that was played, with the samples of what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// The track.
    pub track: Arc<Track>,
    /// Its deck.
    pub deck: usize,
    /// Samples at which it was loaded, began, was left, and ended; the latter two are 0 until then.
    pub times: [u64; 4],
}

/// History of a set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    played: VecDeque<Played>,
    /// Tracks before those that are forgotten.
    forgotten: usize,
    /// Lines of the table that were played, also before a restart, each once; the latest last.
    lines: Vec<usize>,
    /// Sample of the first start.
    first: Option<u64>,
    /// Place in the order of the track that began last.
    last: Option<usize>,
    missing: usize,
    /// Tracks in a row that could not be played.
    failed: usize,
}

impl History {
    /// Creates the history of a set of which these lines were played before a restart.
    pub fn after(lines: Vec<usize>) -> History {
        History { lines, ..History::default() }
    }

    /// Notes that a track begins; `place` is its place in the order.
    pub fn begins(&mut self, place: usize, played: Played) {
        self.failed = 0;
        self.last = Some(place);
        self.first.get_or_insert(played.times[1]);
        self.lines.retain(|line| *line != played.track.line);
        self.lines.push(played.track.line);
        if self.played.len() == MOST_PLAYED {
            self.played.pop_front();
            self.forgotten += 1;
        }
        self.played.push_back(played);
    }

    /// Notes that the track that began last is left at a sample.
    pub fn left(&mut self, at: u64) {
        if let Some(played) = self.played.back_mut() {
            played.times[2] = at;
        }
    }

    /// Notes that the track that began at a sample has ended at another.
    pub fn ended(&mut self, begun: u64, at: u64) {
        if let Some(played) = self.played.iter_mut().rev().find(|played| played.times[1] == begun) {
            played.times[3] = at;
            if played.times[2] == 0 {
                played.times[2] = at;
            }
        }
    }

    /// Notes that a track could not be played.
    pub fn failed(&mut self) {
        self.missing += 1;
        self.failed += 1;
    }

    /// Tracks that were played, in order, with their numbers from 1.
    pub fn played(&self) -> impl Iterator<Item = (usize, &Played)> {
        self.played.iter().enumerate().map(|(k, played)| (self.forgotten + k + 1, played))
    }

    /// Lines of the table that were played, each once; the latest last.
    pub fn lines(&self) -> &[usize] {
        &self.lines
    }

    /// Number of tracks that have begun.
    pub fn begun(&self) -> usize {
        self.forgotten + self.played.len()
    }

    /// Number of tracks that could not be played.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Number of tracks in a row that could not be played.
    pub fn failures(&self) -> usize {
        self.failed
    }

    /// Sample of the first start.
    pub fn first(&self) -> Option<u64> {
        self.first
    }

    /// Place in the order of the track that began last.
    pub fn last(&self) -> Option<usize> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::track::Set;

    #[test]
    fn the_latest_tracks_are_remembered_and_all_lines() {
        let rows: String = (0..3).map(|k| format!("{k}.wav,4,6,120\n")).collect();
        let set = Set::parse(format!("part_file,begin_cue_adj,end_cue_adj,bpm\n{rows}").as_bytes()).unwrap();
        let tracks: Vec<_> = set.tracks.into_iter().map(Arc::new).collect();
        let mut history = History::after(vec![3, 2]);
        for k in 0..MOST_PLAYED + 5 {
            let at = 10 * k as u64 + 1;
            let (track, deck) = (tracks[k % 3].clone(), k % 3);
            history.begins(k % 3, Played { track, deck, times: [at - 1, at, 0, 0] });
            history.left(at + 9);
            history.ended(at, at + 9);
        }
        assert_eq!((history.begun(), history.first()), (MOST_PLAYED + 5, Some(1)));
        let numbers: Vec<usize> = history.played().map(|(number, _)| number).collect();
        assert_eq!((numbers.len(), numbers[0]), (MOST_PLAYED, 6));
        assert_eq!(history.lines(), [2, 3, 4]);
        assert!(history.played().all(|(_, played)| played.times[2] == played.times[3]));
        history.failed();
        assert_eq!((history.missing(), history.failures()), (1, 1));
    }
}
