//! Scanning streams of self-delimiting frames: headers, chains of them, and what lies between.

use std::io;

use super::bytes::Bytes;
use super::tags;

/// Maximum size of a header in bytes.
pub(super) const HEADER: usize = 9;
/// Distance in frames of the recorded offsets.
pub(super) const STRIDE: u64 = 32;
/// Number of consecutive frames required to accept the start of a stream.
pub(super) const CHAIN: usize = 4;

/// Header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Size of the frame in bytes, including the header.
    pub bytes: u32,
    /// Bytes of the header that are not passed to the decoder.
    pub lead: u32,
    /// Frames of sound.
    pub frames: u32,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels.
    pub channels: u8,
    /// Bit rate in bits per second; 0 if the header does not give it.
    pub bit_rate: u32,
    /// Format bits common to all frames of a stream, besides the rate.
    pub kind: u32,
}

impl Head {
    /// Returns whether a frame with this header may follow one with the other.
    fn follows(&self, other: &Head) -> bool {
        (self.kind, self.rate, self.frames) == (other.kind, other.rate, other.frames)
    }
}

/// Parses a header from at most [`HEADER`] bytes; `None` if there is none.
pub(super) type Parse = fn(&[u8]) -> Option<Head>;

/// A run as found by the scan, with what was skipped before it.
#[derive(Debug)]
pub(super) struct Found {
    /// Offset of the first frame.
    pub offset: u64,
    /// Number of frames.
    pub packets: u64,
    /// Header of the first frame.
    pub head: Head,
    /// Offset of every 32nd frame.
    pub marks: Vec<u64>,
    /// Bytes skipped before it that are neither frames nor tags.
    pub gap: u64,
    /// Whether the skipped bytes begin with a truncated frame.
    pub cut: bool,
    /// Total size of the frames in bytes.
    pub bytes: u64,
    /// Whether all frames have the same bit rate.
    pub constant: bool,
    /// Offset of the last frame.
    pub last: u64,
}

/// Result of a scan.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The runs, in order.
    pub runs: Vec<Found>,
    /// Sample rate and channels of each kind of frame.
    pub setups: Vec<(u32, u8)>,
    /// Offset past the last frame.
    pub end: u64,
    /// Whether a truncated frame follows there.
    pub cut: bool,
}

/// Returns whether `count` consecutive frames begin at `at`.
fn is_whole_chain(bytes: &mut Bytes, parse: Parse, mut at: u64, to: u64, count: usize) -> io::Result<bool> {
    let mut first: Option<Head> = None;
    for _ in 0..count {
        let head = if at < to { parse(bytes.peek(at, HEADER)?) } else { None };
        match head {
            Some(head) if first.is_none_or(|first| head.follows(&first)) => {
                first.get_or_insert(head);
                at += u64::from(head.bytes);
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Returns whether `count` consecutive frames begin at `at`, or as many as there are before `to` or a tag.
pub(super) fn is_chain(bytes: &mut Bytes, parse: Parse, mut at: u64, to: u64, count: usize) -> io::Result<bool> {
    let mut first: Option<Head> = None;
    for _ in 0..count {
        let Some(head) = parse(bytes.peek(at, HEADER)?) else {
            return Ok(first.is_some() && (at + 4 > to || tags::at(bytes, at, to)?.is_some()));
        };
        if first.is_some_and(|first| !head.follows(&first)) {
            return Ok(false);
        }
        let next = at + u64::from(head.bytes);
        if next > to {
            // Truncated: accepted if a complete frame precedes it.
            return Ok(first.is_some());
        }
        first.get_or_insert(head);
        at = next;
    }
    Ok(true)
}

/// Finds the next start of a stream from `at` on; one that continues `like` needs fewer consecutive frames.
pub(super) fn search(
    bytes: &mut Bytes,
    parse: Parse,
    mut at: u64,
    to: u64,
    like: Option<&Head>,
) -> io::Result<Option<u64>> {
    while at + 4 <= to {
        let part = bytes.peek(at, 4096)?;
        let Some(skip) = part.iter().position(|byte| *byte == 0xff) else {
            at += part.len().max(1) as u64;
            continue;
        };
        at += skip as u64;
        if let Some(head) = parse(bytes.peek(at, HEADER)?) {
            let goes_on = match like.is_some_and(|like| head.follows(like)) {
                true => at + u64::from(head.bytes) == to || is_chain(bytes, parse, at, to, CHAIN - 1)?,
                false => is_whole_chain(bytes, parse, at, to, CHAIN)?,
            };
            if goes_on {
                return Ok(Some(at));
            }
        }
        at += 1;
    }
    Ok(None)
}

/// Scans the frames from `from`, where one begins, up to `to`.
pub(super) fn walk(bytes: &mut Bytes, parse: Parse, from: u64, to: u64) -> io::Result<Walk> {
    let mut walk = Walk { end: from, ..Walk::default() };
    let mut at = from;
    // Bytes skipped since the last frame, whether the next frame begins a new run, and whether a frame was truncated.
    let (mut gap, mut apart, mut broken) = (0, true, false);
    // Where a search has found a frame.
    let mut found = from;
    while at + 4 <= to {
        let head = parse(bytes.peek(at, HEADER)?);
        let fits = head.filter(|head| at + u64::from(head.bytes) <= to);
        let follows = match (fits, walk.runs.last()) {
            (Some(head), Some(run)) => head.follows(&run.head),
            _ => false,
        };
        // Where a frame is expected, one that matches is enough; a change of format needs several.
        if let Some(head) = fits
            && (follows || at == found || is_chain(bytes, parse, at, to, CHAIN)?)
        {
            if apart || !follows {
                let (offset, marks) = (at, Vec::new());
                walk.runs.push(Found {
                    offset,
                    packets: 0,
                    head,
                    marks,
                    gap,
                    cut: broken,
                    bytes: 0,
                    constant: true,
                    last: at,
                });
            }
            (gap, apart, broken) = (0, false, false);
            if let Some(run) = walk.runs.last_mut() {
                if run.packets.is_multiple_of(STRIDE) {
                    run.marks.push(at);
                }
                run.packets += 1;
                run.bytes += u64::from(head.bytes);
                run.constant &= head.bit_rate == run.head.bit_rate;
                run.last = at;
            }
            if !walk.setups.contains(&(head.rate, head.channels)) {
                walk.setups.push((head.rate, head.channels));
            }
            at += u64::from(head.bytes);
            walk.end = at;
            continue;
        }
        walk.cut = head.is_some() && fits.is_none() && walk.end == at;
        apart = true;
        if let Some(length) = tags::at(bytes, at, to)? {
            at += length;
            continue;
        }
        // The last frame may be the truncated one: the next may begin inside it.
        let like = walk.runs.last().map(|run| (run.head, run.last));
        let since = like.map_or(at, |(_, last)| if walk.end == at { last + 4 } else { at });
        let Some(next) = search(bytes, parse, since, to, like.as_ref().map(|(head, _)| head))? else { break };
        walk.cut = false;
        if next < at {
            if let Some(run) = walk.runs.last_mut() {
                gap += next - run.last;
                broken = true;
                run.forget_last();
                if run.packets == 0 {
                    gap += run.gap;
                    walk.runs.pop();
                }
            }
        } else {
            gap += next - at;
        }
        at = next;
        found = next;
    }
    Ok(walk)
}

impl Found {
    /// Removes the last frame.
    pub fn forget_last(&mut self) {
        self.packets = self.packets.saturating_sub(1);
        if self.packets.is_multiple_of(STRIDE) {
            self.marks.pop();
        }
    }
}

impl Walk {
    /// Total number of frames.
    pub fn packets(&self) -> u64 {
        self.runs.iter().map(|run| run.packets).sum()
    }
}

impl Head {
    /// Average size of a frame in bytes, at a constant bit rate.
    pub fn constant_bytes(&self) -> Option<f64> {
        let bytes = f64::from(self.frames) / 8.0 * f64::from(self.bit_rate) / f64::from(self.rate.max(1));
        (self.bit_rate > 0).then_some(bytes)
    }
}
