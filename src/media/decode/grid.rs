//! Large files of constant bit rate: frames at a constant distance, of which only samples are looked at.
//!
//! A padding byte here and there moves a frame by one byte, a frame more or less by hundreds. So a frame's number
//! follows from its place, and a few dozen frames found where they should be vouch for all others: any byte too many or
//! too few between two of them would show.

use std::io;
use std::sync::Arc;

use super::bytes::Bytes;
use super::frames::{CHAIN, HEADER, Head, Parse, is_chain, search, walk};
use crate::media::file::MediaFile;

/// Smaller files are walked through.
const LARGE: u64 = 8 << 20;
/// Places that are looked at.
const PLACES: u64 = 64;
/// Bytes that a frame may lie beside its place.
const SLACK: u64 = 3;
/// Frames at the end that are walked through.
const TAIL: u64 = 64;

/// Frames at a constant distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Where the first one begins.
    pub from: u64,
    /// Bytes from one to the next, on average.
    pub step: f64,
    /// The header of all.
    pub head: Head,
}

/// What was found of a large file.
pub(super) struct Sampled {
    /// Where the frames lie.
    pub grid: Grid,
    /// How many there are.
    pub packets: u64,
    /// The byte behind the last one.
    pub end: u64,
    /// Whether a frame begins there that the file does not hold to its end.
    pub cut: bool,
}

impl Grid {
    fn place(&self, packet: u64) -> u64 {
        self.from + (packet as f64 * self.step) as u64
    }

    fn number(&self, offset: u64) -> u64 {
        (offset.saturating_sub(self.from) as f64 / self.step).round() as u64
    }

    /// A frame at its place, give or take a few bytes.
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

    /// The frame `packet`, or the next one after it that can be found: its number and its place.
    pub fn find(&self, bytes: &mut Bytes, parse: Parse, packet: u64, to: u64) -> io::Result<Option<(u64, u64)>> {
        if packet == 0 {
            return Ok(Some((0, self.from)));
        }
        match self.at(bytes, parse, packet, to)? {
            Some(offset) => Ok(Some((packet, offset))),
            None => self.resume(bytes, parse, self.place(packet), to),
        }
    }

    /// The first frame behind `offset`, where none is: its number and its place.
    pub fn resume(&self, bytes: &mut Bytes, parse: Parse, offset: u64, to: u64) -> io::Result<Option<(u64, u64)>> {
        // Damage of megabytes would keep the disk for long; a file that has it is silent to the end.
        let limit = to.min(offset.saturating_add(1 << 20));
        Ok(search(bytes, parse, offset + 1, limit, Some(&self.head))?.map(|at| (self.number(at), at)))
    }
}

/// Looks at a large file of constant bit rate here and there; `None` if it is something else.
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
