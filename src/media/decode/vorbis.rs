//! Vorbis headers (Vorbis I specification, section 4.2): the length of packets, and the choice of the decoder.
//!
//! Symphonia (0.6.1) decodes mono and coupled stereo well, but nothing else: it undoes couplings in the order of the
//! header, where section 4.3.5 requires the reverse, and in residues of types 0 and 1 the classes of the last
//! partitions of one channel overwrite those of the first ones of the next (`decode_classes` gets the slice of all
//! channels). No reports of these bugs were found. Such streams are decoded by lewton.

use std::sync::Arc;

use lewton::audio::{PreviousWindowRight, read_audio_packet_generic};
use lewton::header::{IdentHeader, SetupHeader, read_header_ident, read_header_setup};

use super::bytes::le32;
use super::error::DecodeError;

/// Maximum number of values in a codebook: encoders stay far below, and a hostile header must not exhaust the memory.
const MOST_VALUES: u64 = 1 << 22;

/// Parsed headers of a Vorbis stream.
#[derive(Debug)]
pub(super) struct Vorbis {
    /// Number of channels.
    pub channels: u8,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Sizes of short and long blocks in frames.
    blocks: [u32; 2],
    /// For each mode, whether it uses long blocks.
    modes: Vec<bool>,
    /// The first and the third header packet.
    pub headers: [Vec<u8>; 2],
    /// Whether Symphonia decodes it correctly.
    pub simple: bool,
}

/// Bit reader, least significant bit first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// Reads the next `n` bits, at most 32; `None` past the end.
    fn take(&mut self, n: u32) -> Option<u32> {
        let mut value = 0;
        for k in 0..n {
            let byte = self.bytes.get(self.at / 8)?;
            value |= u32::from(byte >> (self.at % 8) & 1) << k;
            self.at += 1;
        }
        Some(value)
    }

    fn skip(&mut self, n: u64) -> Option<()> {
        self.at = usize::try_from(self.at as u64 + n).ok().filter(|at| *at <= 8 * self.bytes.len())?;
        Some(())
    }
}

/// Number of bits of the numbers up to `n`.
fn bits_for(n: u32) -> u32 {
    u32::BITS - n.leading_zeros()
}

/// The largest number whose power to `dimensions` is at most `entries` (section 9.2.3).
fn lookup1_values(entries: u64, dimensions: u32) -> u64 {
    let fits = |n: u64| {
        let mut power = 1u64;
        (0..dimensions).all(|_| {
            power = power.saturating_mul(n);
            power <= entries
        })
    };
    let (mut low, mut high) = (0, entries + 1);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

fn skip_codebook(bits: &mut Bits) -> Option<()> {
    if bits.take(24)? != 0x56_4342 {
        return None;
    }
    let (dimensions, entries) = (bits.take(16)?, bits.take(24)?);
    if u64::from(dimensions) * u64::from(entries) > MOST_VALUES || (dimensions == 0 && entries > 0) {
        return None;
    }
    if bits.take(1)? == 0 {
        let sparse = bits.take(1)? == 1;
        for _ in 0..entries {
            if !sparse || bits.take(1)? == 1 {
                bits.skip(5)?;
            }
        }
    } else {
        bits.skip(5)?;
        let mut entry = 0;
        // Each iteration consumes some entries; there are at most 32 lengths.
        for _ in 0..64 {
            if entry >= entries {
                break;
            }
            entry += bits.take(bits_for(entries - entry))?;
        }
        if entry != entries {
            return None;
        }
    }
    let values = match bits.take(4)? {
        0 => return Some(()),
        1 => lookup1_values(u64::from(entries), dimensions),
        2 => u64::from(entries) * u64::from(dimensions),
        _ => return None,
    };
    bits.skip(64)?;
    let width = bits.take(4)? + 1;
    bits.skip(1 + u64::from(width) * values)
}

fn skip_floor(bits: &mut Bits) -> Option<()> {
    match bits.take(16)? {
        0 => {
            bits.skip(8 + 16 + 16 + 6 + 8)?;
            let books = bits.take(4)? + 1;
            bits.skip(8 * u64::from(books))
        }
        1 => {
            let partitions = bits.take(5)?;
            let classes: Vec<u32> = (0..partitions).map(|_| bits.take(4)).collect::<Option<_>>()?;
            let count = classes.iter().max().map_or(0, |class| class + 1);
            let mut dimensions = Vec::new();
            for _ in 0..count {
                dimensions.push(bits.take(3)? + 1);
                let subclasses = bits.take(2)?;
                bits.skip(if subclasses > 0 { 8 } else { 0 })?;
                bits.skip(8 << subclasses)?;
            }
            bits.skip(2)?;
            let width = bits.take(4)?;
            let points: u32 = classes.iter().map(|class| dimensions[*class as usize]).sum();
            bits.skip(u64::from(width * points))
        }
        _ => None,
    }
}

/// Skips the setup of a residue; returns its type.
fn skip_residue(bits: &mut Bits) -> Option<u32> {
    let kind = bits.take(16)?;
    bits.skip(24 + 24 + 24)?;
    let classes = bits.take(6)? + 1;
    bits.skip(8)?;
    let mut books = 0;
    for _ in 0..classes {
        let low = bits.take(3)?;
        let high = if bits.take(1)? == 1 { bits.take(5)? } else { 0 };
        books += (high << 3 | low).count_ones();
    }
    bits.skip(8 * u64::from(books))?;
    Some(kind)
}

fn skip_mapping(bits: &mut Bits, channels: u8) -> Option<()> {
    bits.skip(16)?;
    let submaps = if bits.take(1)? == 1 { bits.take(4)? + 1 } else { 1 };
    let width = bits_for(u32::from(channels) - 1);
    let steps = if bits.take(1)? == 1 { bits.take(8)? + 1 } else { 0 };
    bits.skip(u64::from(2 * width * steps) + 2)?;
    bits.skip(if submaps > 1 { 4 * u64::from(channels) } else { 0 })?;
    bits.skip(24 * u64::from(submaps))
}

impl Vorbis {
    /// Parses the first and the third header; `None` if they are invalid or demand an unreasonable amount of memory.
    pub fn read(first: &[u8], third: &[u8]) -> Option<Vorbis> {
        if first.len() < 30 || !first.starts_with(b"\x01vorbis") || !third.starts_with(b"\x05vorbis") {
            return None;
        }
        let (channels, rate) = (first[11], le32(first, 12));
        let blocks = [1 << (first[28] & 15), 1 << (first[28] >> 4)];
        if channels == 0 || rate == 0 || blocks[0] < 64 || blocks[1] > 8_192 || blocks[0] > blocks[1] {
            return None;
        }
        let mut bits = Bits { bytes: third, at: 8 * 7 };
        let (mut simple, mut modes) = (channels <= 2, Vec::new());
        for _ in 0..=bits.take(8)? {
            skip_codebook(&mut bits)?;
        }
        for _ in 0..=bits.take(6)? {
            bits.skip(16)?;
        }
        for _ in 0..=bits.take(6)? {
            skip_floor(&mut bits)?;
        }
        for _ in 0..=bits.take(6)? {
            simple &= skip_residue(&mut bits)? == 2 || channels == 1;
        }
        for _ in 0..=bits.take(6)? {
            skip_mapping(&mut bits, channels)?;
        }
        for _ in 0..=bits.take(6)? {
            modes.push(bits.take(1)? == 1);
            bits.skip(16 + 16 + 8)?;
        }
        let headers = [first.to_vec(), third.to_vec()];
        Some(Vorbis { channels, rate, blocks, modes, headers, simple })
    }

    /// Size in frames of the block in a packet; `None` if it contains no sound.
    pub fn block(&self, packet: &[u8]) -> Option<u32> {
        let mut bits = Bits { bytes: packet, at: 0 };
        if bits.take(1)? == 1 {
            return None;
        }
        let mode = bits.take(bits_for(self.modes.len() as u32 - 1))?;
        self.modes.get(mode as usize).map(|long| self.blocks[usize::from(*long)])
    }

    /// Size of a long block in frames.
    pub fn longest(&self) -> u32 {
        self.blocks[1]
    }
}

/// Decoder of a stream by lewton.
pub(super) struct Lewton {
    ident: IdentHeader,
    setup: SetupHeader,
    before: PreviousWindowRight,
    vorbis: Arc<Vorbis>,
    /// Size of the last block in frames.
    block: Option<u32>,
    /// Samples that were decoded early.
    ahead: Vec<Vec<f32>>,
}

impl Lewton {
    /// Creates a decoder for a stream with these headers.
    ///
    /// # Errors
    /// If lewton rejects the headers.
    pub fn new(vorbis: &Arc<Vorbis>) -> Result<Lewton, DecodeError> {
        let invalid = |_| DecodeError::Damaged("its Vorbis headers are invalid".into());
        let ident = read_header_ident(&vorbis.headers[0]).map_err(invalid)?;
        let blocks = (ident.blocksize_0, ident.blocksize_1);
        let setup = read_header_setup(&vorbis.headers[1], ident.audio_channels, blocks).map_err(invalid)?;
        let (before, vorbis) = (PreviousWindowRight::new(), vorbis.clone());
        Ok(Lewton { ident, setup, before, vorbis, block: None, ahead: Vec::new() })
    }

    /// Resets the state, for a packet that does not follow the last one.
    pub fn reset(&mut self) {
        self.before = PreviousWindowRight::new();
        self.block = None;
        self.ahead.clear();
    }

    /// Decodes a packet, with the channels in the order of WAV files; returns `false` if it is damaged.
    pub fn decode(&mut self, packet: &[u8], planes: &mut Vec<Vec<f32>>) -> bool {
        let decoded = read_audio_packet_generic(&self.ident, &self.setup, packet, &mut self.before);
        let (samples, block): (Vec<Vec<f32>>, u32) = match (decoded, self.vorbis.block(packet)) {
            (Ok(samples), Some(block)) => (samples, block),
            _ => return false,
        };
        // When a short block follows a long one, lewton returns more of the long one than the packet's share.
        self.ahead.resize_with(samples.len().max(self.ahead.len()), Vec::new);
        let frames = self.block.map_or(0, |before| (before + block) as usize / 4);
        self.block = Some(block);
        planes.clear();
        for (ahead, more) in self.ahead.iter_mut().zip(samples) {
            ahead.extend(more);
            planes.push(ahead.drain(..frames.min(ahead.len())).collect());
        }
        // Channel orders of section 4.3.9.
        let order: &[usize] = match planes.len() {
            3 => &[0, 2, 1],
            5 => &[0, 2, 1, 3, 4],
            6 => &[0, 2, 1, 5, 3, 4],
            7 => &[0, 2, 1, 6, 5, 3, 4],
            8 => &[0, 2, 1, 7, 5, 6, 3, 4],
            _ => return true,
        };
        *planes = order.iter().map(|k| std::mem::take(&mut planes[*k])).collect();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_from_the_lowest_up() {
        let bytes = [0b1010_0110, 0b0000_0011];
        let mut bits = Bits { bytes: &bytes, at: 0 };
        assert_eq!((bits.take(3), bits.take(6), bits.take(8)), (Some(6), Some(0b110100), None));
    }

    #[test]
    fn tables_have_the_specified_sizes() {
        for (entries, dimensions, wanted) in [(81, 4, 3), (80, 4, 2), (1, 1, 1), (8, 3, 2), (0, 2, 0), (65_536, 16, 2)]
        {
            assert_eq!(lookup1_values(entries, dimensions), wanted, "{entries} of {dimensions}");
        }
    }
}
