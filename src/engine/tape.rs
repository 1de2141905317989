//! Rendered audio on its way to a recording.
//!
//! The engine pushes every quantum into a large ring; the thread that writes the file empties it. When the ring is
//! full, or the output lost time, the missing frames are counted and their position is noted, so that the recording
//! keeps time.

use std::mem::MaybeUninit;

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd};

use super::GRID;
use super::ring::ring;

/// Maximum number of gaps waiting to be noted in the file.
const GAPS: usize = 256;
/// Maximum number of channels on a tape.
pub const MOST_CHANNELS: usize = 16;

/// A gap in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Frame of the recording at which the gap begins.
    pub at: u64,
    /// Length of the gap in frames.
    pub frames: u64,
}

/// The engine's end of a recording.
pub struct RecordTap {
    samples: HeapProd<f32>,
    gaps: HeapProd<Gap>,
    channels: usize,
    /// Whether the decks are recorded as well, after the outputs.
    pub decks: bool,
    /// Length of the recording so far in frames, gaps included.
    frames: u64,
    missing: u64,
}

/// The writer's end of a recording.
pub struct RecordReader {
    samples: HeapCons<f32>,
    gaps: HeapCons<Gap>,
}

impl RecordTap {
    /// Creates a tape of `channels` (at most [`MOST_CHANNELS`]) interleaved channels with room for `frames` frames.
    /// Realtime: no.
    pub fn new(channels: usize, decks: bool, frames: usize) -> (Box<RecordTap>, RecordReader) {
        let channels = channels.clamp(1, MOST_CHANNELS);
        let (samples, samples_out) = ring(channels * frames.max(GRID)).split();
        let (gaps, gaps_out) = ring(GAPS).split();
        let tape = RecordTap { samples, gaps, channels, decks, frames: 0, missing: 0 };
        (Box::new(tape), RecordReader { samples: samples_out, gaps: gaps_out })
    }

    /// Returns the memory the engine will write to, for locking it. Realtime: no.
    pub fn storage(&self) -> [&[MaybeUninit<f32>]; 2] {
        let (first, second) = self.samples.vacant_slices();
        [first, second]
    }

    /// Appends a quantum: one plane per channel. Realtime: yes.
    pub fn write<'p>(&mut self, planes: impl Iterator<Item = &'p [f32; GRID]>) {
        if self.samples.vacant_len() < self.channels * GRID || !self.note_gap() {
            self.skip(GRID as u64);
            return;
        }
        let mut rows = [0.0f32; MOST_CHANNELS * GRID];
        for (channel, plane) in planes.take(self.channels).enumerate() {
            for (frame, sample) in plane.iter().enumerate() {
                rows[frame * self.channels + channel] = *sample;
            }
        }
        self.samples.push_slice(&rows[..self.channels * GRID]);
        self.frames += GRID as u64;
    }

    /// Records `frames` missing frames. Realtime: yes.
    pub fn skip(&mut self, frames: u64) {
        self.missing += frames;
        self.frames += frames;
    }

    /// Ends the recording: notes a gap that is still open. Realtime: yes.
    pub fn end(&mut self) {
        self.note_gap();
    }

    /// Notes a gap that has ended; returns `false` if there is no room for it.
    fn note_gap(&mut self) -> bool {
        if self.missing == 0 {
            return true;
        }
        let gap = Gap { at: self.frames - self.missing, frames: self.missing };
        let noted = self.gaps.try_push(gap).is_ok();
        if noted {
            self.missing = 0;
        }
        noted
    }
}

impl std::fmt::Debug for RecordTap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordTap")
            .field("channels", &self.channels)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl RecordReader {
    /// Reads interleaved samples that have arrived; returns how many.
    pub fn read(&mut self, into: &mut [f32]) -> usize {
        self.samples.pop_slice(into)
    }

    /// Returns the number of samples that have arrived. Gaps noted before them are visible after this call.
    pub fn available(&self) -> usize {
        self.samples.occupied_len()
    }

    /// Returns the next gap, if one was noted.
    pub fn gap(&mut self) -> Option<Gap> {
        self.gaps.try_pop()
    }

    /// Returns whether the engine has released the tape: nothing will be added to what is left.
    pub fn has_ended(&self) -> bool {
        !self.samples.write_is_held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_a_gap_in_its_place() {
        let (mut tape, mut reel) = RecordTap::new(2, false, 2 * GRID);
        let (left, right) = ([0.25f32; GRID], [-0.25f32; GRID]);
        for _ in 0..5 {
            tape.write([&left, &right].into_iter());
        }
        let mut out = vec![0.0; 1024];
        assert_eq!(reel.read(&mut out), 4 * GRID);
        assert_eq!(out[..4], [0.25, -0.25, 0.25, -0.25]);
        assert_eq!(reel.gap(), None, "it has not ended yet");
        tape.skip(100);
        tape.write([&left, &right].into_iter());
        assert_eq!(reel.gap(), Some(Gap { at: 2 * GRID as u64, frames: 3 * GRID as u64 + 100 }));
        assert!(!reel.has_ended());
        drop(tape);
        assert!(reel.has_ended());
        assert_eq!(reel.read(&mut out), 2 * GRID);
    }
}
