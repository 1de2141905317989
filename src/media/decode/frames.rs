//! Streams of self-delimiting frames without positions: MPEG audio and ADTS.
//!
//! Their only reliable length is the number of frames, so these are counted when the file is opened, reading headers
//! only. The scan records the offset of every 32nd frame and all interruptions of the stream; a seek reads a few dozen
//! frames.

use std::sync::Arc;

use super::bytes::Bytes;
use super::error::DecodeError;
use super::grid::Grid;
use super::plan::{Layout, Packet, Packets};
use super::scan::{HEADER, Head, Parse, STRIDE, Walk};
use crate::media::file::MediaFile;

/// Frames decoded before the target: MPEG layer III refers to up to nine previous frames, and windows overlap.
const RUN_UP: u64 = 12;

/// Maximum number of frames assumed lost in a place where only a few bytes are damaged.
const MOST_LOST: u64 = 200;

/// An uninterrupted run of frames.
#[derive(Debug)]
pub(super) struct Run {
    /// Position of the first frame, in frames of sound.
    pub at: i64,
    /// Offset of the first frame.
    pub offset: u64,
    /// Number of frames.
    pub packets: u64,
    /// Header common to the frames.
    pub head: Head,
    /// Whether something is missing before it.
    pub fresh: bool,
    /// Where the frames are.
    pub marks: Marks,
}

/// Offsets of frames.
#[derive(Debug)]
pub(super) enum Marks {
    /// Recorded offsets of frames 0, 32, 64, …
    Every(Vec<u64>),
    /// Computed, all at a constant distance.
    Grid(Grid),
}

/// Layout of a stream of frames.
#[derive(Debug)]
pub(super) struct Frames {
    /// Header parser of the format.
    pub parse: Parse,
    /// Offset past the last frame.
    pub end: u64,
    /// Sample rate of the output in Hz. Runs at other rates keep their duration but are silent.
    pub rate: u32,
    /// The runs, in order.
    pub runs: Vec<Run>,
    /// Sample rate and channels of each decoder setup.
    pub setups: Vec<(u32, u8)>,
}

impl Run {
    /// Duration of the first `packets` frames, in frames of sound at `rate`.
    fn length(&self, packets: u64, rate: u32) -> i64 {
        let own = u128::from(packets) * u128::from(self.head.frames);
        (own * u128::from(rate) / u128::from(self.head.rate.max(1))) as i64
    }
}

impl Frames {
    /// Position past the last frame, in frames of sound.
    pub fn last(&self) -> i64 {
        self.runs.last().map_or(0, |run| run.at + run.length(run.packets, self.rate))
    }
}

impl Walk {
    /// Computes the positions of the runs. `promised` is the number of frames according to the file, if known.
    ///
    /// The number of frames lost in a damaged place is not recorded. At a constant bit rate it follows from the number
    /// of bytes, if that is a whole number of frames; otherwise it is estimated, and corrected by the number promised.
    ///
    /// Returns the layout, the number of frames present, and the number of frames lost.
    pub fn place(mut self, parse: Parse, promised: Option<u64>) -> (Frames, u64, u64) {
        let rate = self.runs.first().map_or(1, |run| run.head.rate);
        let bytes: u64 = self.runs.iter().map(|run| run.bytes).sum();
        let mean = bytes as f64 / self.packets().max(1) as f64;
        let first = self.runs.first().map(|run| run.head);
        let constant = self.runs.iter().all(|run| run.constant && Some(run.head.bit_rate) == first.map(|h| h.bit_rate));
        let mut lost: Vec<(u64, bool)> = Vec::new();
        for k in 0..self.runs.len() {
            let gap = self.runs[k].gap;
            if gap == 0 || k == 0 {
                lost.push((0, true));
                continue;
            }
            let (whole, off) = match constant.then(|| self.runs[k].head.constant_bytes()).flatten() {
                Some(each) => {
                    let whole = (gap as f64 / each).round();
                    (whole, (gap as f64 - whole * each).abs())
                }
                None => ((gap as f64 / mean).round(), f64::INFINITY),
            };
            if whole >= 1.0 && off <= whole.min(8.0) + 1.0 {
                lost.push((whole as u64, true));
            } else {
                // Bytes were inserted or removed within the previous frame, which cannot be trusted then.
                if !self.runs[k].cut && self.runs[k - 1].packets > 0 {
                    self.runs[k - 1].forget_last();
                }
                lost.push(((whole as u64).max(1), false));
            }
        }
        let there = self.packets();
        if let Some(promised) = promised {
            settle(&mut lost, promised, there);
        }
        let mut runs: Vec<Run> = Vec::new();
        let (mut at, mut missing) = (0, 0);
        for (found, (packets, _)) in self.runs.into_iter().zip(&lost) {
            let fresh = *packets > 0 || found.gap > 0;
            let (offset, head, marks) = (found.offset, found.head, Marks::Every(found.marks));
            let mut run = Run { at, offset, packets: found.packets, head, fresh, marks };
            missing += packets;
            run.at += run.length(*packets, rate);
            at = run.at + run.length(run.packets, rate);
            if run.packets > 0 {
                runs.push(run);
            }
        }
        (Frames { parse, end: self.end, rate, runs, setups: self.setups }, there, missing)
    }
}

/// Corrects the estimated number of frames lost in each gap, so that the total matches the number promised.
fn settle(lost: &mut [(u64, bool)], promised: u64, there: u64) {
    let all: u64 = lost.iter().map(|l| l.0).sum();
    let gaps = lost.iter().filter(|l| l.0 > 0).count() as u64;
    // A number that is far off belongs to another file, or to one that was truncated.
    let Some(lacking) = promised.checked_sub(there).filter(|n| *n <= 2 * all + MOST_LOST * gaps) else { return };
    if lacking == all {
        return;
    }
    let certain: u64 = lost.iter().filter(|l| l.1).map(|l| l.0).sum();
    if lacking < certain {
        // The damage inserted a whole number of frames.
        lost.iter_mut().filter(|l| l.1).for_each(|l| l.0 = 0);
        return settle_rest(lost, lacking);
    }
    settle_rest(lost, lacking - certain);
}

/// Distributes `lacking` frames over the gaps of estimated size, in proportion.
fn settle_rest(lost: &mut [(u64, bool)], lacking: u64) {
    let all: u64 = lost.iter().filter(|l| !l.1).map(|l| l.0).sum();
    let (mut sum, mut given) = (0, 0);
    for (frames, _) in lost.iter_mut().filter(|l| !l.1) {
        sum += *frames;
        let up_to = (lacking * sum).checked_div(all).unwrap_or(0);
        *frames = up_to - given;
        given = up_to;
    }
}

impl Layout for Frames {
    fn reader(self: Arc<Self>, file: &Arc<MediaFile>) -> Box<dyn Packets> {
        Box::new(FramesReader::new(file, &self))
    }
}

/// Packet reader for [`Frames`].
pub(super) struct FramesReader {
    bytes: Bytes,
    frames: Arc<Frames>,
    run: usize,
    /// Index of the next frame in the run, and its offset.
    packet: u64,
    offset: u64,
    fresh: bool,
}

impl FramesReader {
    /// Creates a reader at the first frame.
    pub fn new(file: &Arc<MediaFile>, frames: &Arc<Frames>) -> FramesReader {
        let offset = frames.runs.first().map_or(0, |run| run.offset);
        FramesReader { bytes: Bytes::new(file), frames: frames.clone(), run: 0, packet: 0, offset, fresh: false }
    }

    fn enter(&mut self, run: usize) {
        self.run = run;
        self.packet = 0;
        if let Some(run) = self.frames.runs.get(run) {
            self.offset = run.offset;
            self.fresh |= run.fresh;
        }
    }
}

impl Packets for FramesReader {
    fn seek(&mut self, frame: i64) -> Result<(), DecodeError> {
        let frames = self.frames.clone();
        let index = frames.runs.partition_point(|run| run.at <= frame).saturating_sub(1);
        self.fresh = true;
        self.enter(index);
        let Some(run) = frames.runs.get(index) else { return Ok(()) };
        let own = (frame - run.at).max(0) as u128 * u128::from(run.head.rate) / u128::from(frames.rate.max(1));
        let wanted = (own / u128::from(run.head.frames.max(1))) as u64;
        let target = wanted.saturating_sub(RUN_UP).min(run.packets.saturating_sub(1));
        match &run.marks {
            Marks::Every(marks) => {
                let mark = (target / STRIDE) as usize;
                let Some(offset) = marks.get(mark) else { return Ok(()) };
                (self.packet, self.offset) = (mark as u64 * STRIDE, *offset);
            }
            Marks::Grid(grid) => {
                if let Some((packet, offset)) = grid.find(&mut self.bytes, frames.parse, target, frames.end)? {
                    (self.packet, self.offset) = (packet, offset);
                }
            }
        }
        while self.packet < target {
            let Some(head) = (frames.parse)(self.bytes.peek(self.offset, HEADER)?) else { break };
            self.offset += u64::from(head.bytes);
            self.packet += 1;
        }
        Ok(())
    }

    fn next(&mut self, packet: &mut Packet) -> Result<bool, DecodeError> {
        let frames = self.frames.clone();
        loop {
            let Some(run) = frames.runs.get(self.run) else { return Ok(false) };
            if self.packet >= run.packets {
                self.enter(self.run + 1);
                continue;
            }
            let head = (frames.parse)(self.bytes.peek(self.offset, HEADER)?);
            let known = head.and_then(|head| {
                frames.setups.iter().position(|setup| *setup == (head.rate, head.channels)).map(|setup| (head, setup))
            });
            let Some((head, setup)) = known else {
                // A grid has not been scanned, so its damage is discovered here; otherwise the file has changed.
                self.fresh = true;
                let found = match &run.marks {
                    Marks::Grid(grid) => grid.resume(&mut self.bytes, frames.parse, self.offset, frames.end)?,
                    Marks::Every(_) => None,
                };
                match found {
                    Some((packet, offset)) if packet > self.packet => (self.packet, self.offset) = (packet, offset),
                    _ => self.packet = run.packets,
                }
                continue;
            };
            self.bytes.read(self.offset, head.bytes as usize, &mut packet.data)?;
            packet.data.drain(..(head.lead as usize).min(packet.data.len()));
            packet.at = run.at + run.length(self.packet, frames.rate);
            packet.frames = (run.at + run.length(self.packet + 1, frames.rate) - packet.at) as u32;
            packet.setup = setup;
            packet.fresh = std::mem::take(&mut self.fresh);
            self.offset += u64::from(head.bytes);
            self.packet += 1;
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_yield_to_what_the_file_promises() {
        // One gap of about three frames, ten frames present, fourteen promised: four were lost.
        let mut lost = [(0, true), (3, false)];
        settle(&mut lost, 14, 10);
        assert_eq!(lost, [(0, true), (4, false)]);
        // Nothing is missing: the bytes in the gaps were inserted.
        let mut lost = [(0, true), (1, false), (2, true)];
        settle(&mut lost, 10, 10);
        assert_eq!(lost, [(0, true), (0, false), (0, true)]);
        // Certain numbers are kept, the rest is distributed.
        let mut lost = [(2, true), (2, false), (2, false)];
        settle(&mut lost, 12, 7);
        assert_eq!(lost, [(2, true), (1, false), (2, false)]);
        // A number that is far off is ignored.
        let mut lost = [(0, true), (3, false)];
        settle(&mut lost, 100_000, 10);
        assert_eq!(lost, [(0, true), (3, false)]);
    }
}
