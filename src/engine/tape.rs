//! What is rendered, on its way to a recording.
//!
//! The engine pushes every quantum into a large ring; whoever writes the file empties it at leisure. When there is no
//! room, or the output lost time, the frames are counted and their place is noted, so that the recording keeps time.

use std::mem::MaybeUninit;

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd};

use super::GRID;
use super::door::ring;

/// Gaps that may wait to be noted in the file.
const GAPS: usize = 256;
/// Most channels of a tape.
pub const MOST_CHANNELS: usize = 16;

/// Frames that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Frame of the recording at which they begin.
    pub at: u64,
    /// How many.
    pub frames: u64,
}

/// The engine's end.
pub struct Tape {
    samples: HeapProd<f32>,
    gaps: HeapProd<Gap>,
    channels: usize,
    /// Whether the decks are on it, behind the outputs.
    pub decks: bool,
    /// Frames of the recording so far, gaps included.
    frames: u64,
    missing: u64,
}

/// The writer's end.
pub struct Reel {
    samples: HeapCons<f32>,
    gaps: HeapCons<Gap>,
}

impl Tape {
    /// A tape of `channels` (at most [`MOST_CHANNELS`]) interleaved channels with room for `frames` frames. Realtime:
    /// no.
    pub fn new(channels: usize, decks: bool, frames: usize) -> (Box<Tape>, Reel) {
        let channels = channels.clamp(1, MOST_CHANNELS);
        let (samples, samples_out) = ring(channels * frames.max(GRID)).split();
        let (gaps, gaps_out) = ring(GAPS).split();
        let tape = Tape { samples, gaps, channels, decks, frames: 0, missing: 0 };
        (Box::new(tape), Reel { samples: samples_out, gaps: gaps_out })
    }

    /// The memory the engine will write to, for whoever locks it. Realtime: no.
    pub fn storage(&self) -> [&[MaybeUninit<f32>]; 2] {
        let (first, second) = self.samples.vacant_slices();
        [first, second]
    }

    /// Adds a quantum: one plane for each channel. Realtime: yes.
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

    /// These frames are not there. Realtime: yes.
    pub fn skip(&mut self, frames: u64) {
        self.missing += frames;
        self.frames += frames;
    }

    /// This is the end: a gap that is open is noted. Realtime: yes.
    pub fn end(&mut self) {
        self.note_gap();
    }

    /// Notes a gap that has ended; `false` if there is no room even for that.
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

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("channels", &self.channels).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Reel {
    /// Takes interleaved samples that have arrived.
    pub fn read(&mut self, into: &mut [f32]) -> usize {
        self.samples.pop_slice(into)
    }

    /// Samples that have arrived. Gaps noted before them can be seen after this.
    pub fn available(&self) -> usize {
        self.samples.occupied_len()
    }

    /// The next gap, if one was noted.
    pub fn gap(&mut self) -> Option<Gap> {
        self.gaps.try_pop()
    }

    /// Whether the engine has let go of the tape: what is left is all there will be.
    pub fn has_ended(&self) -> bool {
        !self.samples.write_is_held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_a_gap_in_its_place() {
        let (mut tape, mut reel) = Tape::new(2, false, 2 * GRID);
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
