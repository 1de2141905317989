//! Large files of constant bit rate: frames at a constant distance, verified by samples.
//!
//! A padding byte moves a frame by one byte, while an extra or missing frame moves those after it by hundreds. The
//! number of a frame therefore follows from its offset, and a few dozen frames found where expected confirm all others:
//! inserted or missing bytes between two of them would be detected.

use std::io;
use std::sync::Arc;

use super::bytes::Bytes;
use super::scan::{CHAIN, HEADER, Head, Parse, is_chain, search, walk};
use crate::media::file::MediaFile;

/// Minimum size; smaller files are scanned completely.
const LARGE: u64 = 8 << 20;
/// Number of places examined.
const PLACES: u64 = 64;
/// Maximum distance in bytes of a frame from its expected offset.
const SLACK: u64 = 3;
/// Frames at the end that are scanned completely.
const TAIL: u64 = 64;

/// Frames at a constant distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Offset of the first frame.
    pub from: u64,
    /// Average distance of two frames in bytes.
    pub step: f64,
    /// Header common to all frames.
    pub head: Head,
}

/// Result of sampling a large file.
pub(super) struct Sampled {
    /// Location of the frames.
    pub grid: Grid,
    /// Number of frames.
    pub packets: u64,
    /// Offset past the last frame.
    pub end: u64,
    /// Whether a truncated frame follows there.
    pub cut: bool,
}

impl Grid {
    fn place(&self, packet: u64) -> u64 {
        self.from + (packet as f64 * self.step) as u64
    }

    fn number(&self, offset: u64) -> u64 {
        (offset.saturating_sub(self.from) as f64 / self.step).round() as u64
    }

    /// Finds a frame at its expected offset, give or take a few bytes.
    fn at(&self, bytes: &mut Bytes, parse: Parse, packet: u64, to: u64) -> io::Result<Option<u64>> {
        let place = self.place(packet);
        for by in 0..=2 * SLACK {
            let Some(at) = (place + by).checked_sub(SLACK).filter(|at| *at >= self.from) else { continue };
            let same = parse(bytes.peek(at, HEADER)?)
                .is_some_and(|h| (h.kind, h.rate, h.bit_rate) == (self.head.kind, self.head.rate, self.head.bit_rate));
            if same && is_chain(bytes, parse, at, to, CHAIN)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Finds the frame `packet`, or the next one after it: returns its number and offset.
    pub fn find(&self, bytes: &mut Bytes, parse: Parse, packet: u64, to: u64) -> io::Result<Option<(u64, u64)>> {
        if packet == 0 {
            return Ok(Some((0, self.from)));
        }
        match self.at(bytes, parse, packet, to)? {
            Some(offset) => Ok(Some((packet, offset))),
            None => self.resume(bytes, parse, self.place(packet), to),
        }
    }

    /// Finds the first frame after `offset`, where none is: returns its number and offset.
    pub fn resume(&self, bytes: &mut Bytes, parse: Parse, offset: u64, to: u64) -> io::Result<Option<(u64, u64)>> {
        // Skipping megabytes of damage would keep the disk busy for long; such a file is silent to its end.
        let limit = to.min(offset.saturating_add(1 << 20));
        Ok(search(bytes, parse, offset + 1, limit, Some(&self.head))?.map(|at| (self.number(at), at)))
    }
}

/// Samples a large file of constant bit rate; `None` if it is not one.
pub(super) fn sample(file: &Arc<MediaFile>, parse: Parse, from: u64, to: u64) -> io::Result<Option<Sampled>> {
    let mut bytes = Bytes::sparse(file, 4096);
    let Some(head) = parse(bytes.peek(from, HEADER)?) else { return Ok(None) };
    let Some(step) = head.constant_bytes() else { return Ok(None) };
    if to - from < LARGE {
        return Ok(None);
    }
    let grid = Grid { from, step, head };
    let about = ((to - from) as f64 / step) as u64;
    for place in 0..PLACES {
        if grid.at(&mut bytes, parse, about * place / PLACES, to)?.is_none() {
            return Ok(None);
        }
    }
    let near = about.saturating_sub(TAIL);
    let Some(offset) = grid.at(&mut bytes, parse, near, to)? else { return Ok(None) };
    let end = walk(&mut Bytes::new(file), parse, offset, to)?;
    let whole = end.runs.len() == 1 && end.setups.len() == 1 && end.runs[0].constant;
    Ok(whole.then(|| Sampled { grid, packets: near + end.packets(), end: end.end, cut: end.cut }))
}
