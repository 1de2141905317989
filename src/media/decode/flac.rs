//! FLAC (RFC 9639). Every frame carries its number and two checksums, so its position is always known.
//!
//! The length is the end of the last complete frame, whatever the header says. Seeks search by frame numbers.
//! Symphonia's reader loses the last frame before a tag (github.com/pdeljanov/Symphonia, #533), rejects a minimum block
//! size of 0 and shifts everything after damage; here, frames are located and verified before they are decoded, which
//! avoids all that.

use std::io;
use std::sync::Arc;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;

use super::bytes::{Bytes, be16, be32};
use super::coder::Coder;
use super::error::DecodeError;
use super::mix::View;
use super::plan::{Codec, Layout, MOST_FRAMES, Packet, Packets, Plan, Remark, Setup, seconds};
use super::tags;
use crate::media::file::MediaFile;

/// Maximum size of a frame header in bytes.
pub(super) const HEADER: usize = 16;
/// Maximum size of a frame in bytes: eight channels of 65 535 samples of four bytes, plus overhead.
const MOST_BYTES: usize = 2_200_000;
/// Bytes at the end of the stream that are searched for the last frame.
const TAIL: u64 = 4 << 20;
/// Bytes at the start that are searched for the first frame.
const FRONT: u64 = 1 << 20;
/// Distance in bytes at which a seek stops searching and reads on.
const NEAR: u64 = 48 * 1024;
/// Bytes after a candidate for the next frame that are searched for a better one.
const AHEAD: u64 = 64 * 1024;
/// Total size in bytes of the candidates for the last frame that are verified.
const CHECKED: u64 = 64 << 20;

const fn crc8_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut k = 0;
    while k < 256 {
        let (mut crc, mut bit) = (k as u8, 0);
        while bit < 8 {
            crc = if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 };
            bit += 1;
        }
        table[k] = crc;
        k += 1;
    }
    table
}

const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut k = 0;
    while k < 256 {
        let (mut crc, mut bit) = ((k as u16) << 8, 0);
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 };
            bit += 1;
        }
        table[k] = crc;
        k += 1;
    }
    table
}

static CRC8: [u8; 256] = crc8_table();
static CRC16: [u16; 256] = crc16_table();

fn crc16(crc: u16, byte: u8) -> u16 {
    crc << 8 ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)]
}

/// Content of the STREAMINFO block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Info {
    /// Smallest and largest block in frames.
    blocks: (u32, u32),
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Bits per sample.
    bits: u32,
    /// Total number of frames; 0 if unknown.
    pub total: u64,
}

impl Info {
    /// Parses the 34 bytes of the block.
    pub fn read(block: &[u8]) -> Option<Info> {
        let word = be32(block, 10);
        let info = Info {
            blocks: (u32::from(be16(block, 0)), u32::from(be16(block, 2))),
            rate: word >> 12,
            channels: (word >> 9 & 7) + 1,
            bits: (word >> 4 & 31) + 1,
            total: u64::from(word & 15) << 32 | u64::from(be32(block, 14)),
        };
        (block.len() >= 34 && info.rate > 0 && info.bits >= 4).then_some(info)
    }

    /// Returns two decoder setups: for blocks up to the size declared in the header, and for larger ones.
    pub fn setups(&self) -> [Setup; 2] {
        let promised = if self.blocks.1 >= 16 { self.blocks.1 } else { 4_608 };
        [promised, 65_535].map(|block| {
            let mut bytes = [0; 34];
            bytes[..2].copy_from_slice(&16u16.to_be_bytes());
            bytes[2..4].copy_from_slice(&(block as u16).to_be_bytes());
            let word = self.rate << 12 | (self.channels - 1) << 9 | (self.bits - 1) << 4;
            bytes[10..14].copy_from_slice(&word.to_be_bytes());
            let mut parameters = AudioCodecParameters::new();
            parameters.for_codec(CODEC_ID_FLAC).with_bits_per_sample(self.bits).with_extra_data(Box::new(bytes));
            Setup {
                codec: Codec::Symphonia(Box::new(parameters)),
                rate: self.rate,
                channels: self.channels as usize,
                positions: None,
            }
        })
    }

    /// Index of the setup for a block of this size.
    pub fn setup_for(&self, block: u32) -> usize {
        usize::from(block > self.blocks.1.max(16))
    }

    /// Frames per block in a stream of fixed block size, given the header of the first frame.
    fn block(&self, first: &Head) -> u64 {
        match self.blocks {
            (min, max) if min == max && min >= 16 => u64::from(min),
            _ => u64::from(first.block),
        }
    }
}

/// Header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether `number` counts samples instead of frames.
    variable: bool,
    number: u64,
    /// Frames of sound.
    pub block: u32,
    /// Size of the header in bytes.
    length: usize,
}

/// Parses the header of a frame of this stream; `None` if there is none.
pub(super) fn parse(bytes: &[u8], info: &Info) -> Option<Head> {
    let head = bytes.get(..6)?;
    if head[0] != 0xff || head[1] & 0xfe != 0xf8 || head[3] & 1 != 0 {
        return None;
    }
    let (block, rate, channels, bits) = (head[2] >> 4, head[2] & 15, head[3] >> 4, head[3] >> 1 & 7);
    let channels = if channels < 8 { u32::from(channels) + 1 } else { 2 };
    let bits_fit = match bits {
        0 => true,
        3 => false,
        n => [0, 8, 12, 0, 16, 20, 24, 32][usize::from(n)] == info.bits,
    };
    if block == 0 || rate == 15 || head[3] >> 4 > 10 || channels != info.channels || !bits_fit {
        return None;
    }
    // The number is coded like a UTF-8 character, extended to seven bytes.
    let ones = head[4].leading_ones() as usize;
    if ones == 1 || ones > 7 {
        return None;
    }
    let mut number = u64::from(if ones == 0 { head[4] } else { head[4] & (0x7f >> ones) });
    let mut at = 5;
    for _ in 1..ones {
        let byte = *bytes.get(at)?;
        if byte & 0xc0 != 0x80 {
            return None;
        }
        number = number << 6 | u64::from(byte & 0x3f);
        at += 1;
    }
    let block = match block {
        1 => 192,
        2..=5 => 576 << (block - 2),
        6 => {
            at += 1;
            u32::from(*bytes.get(at - 1)?) + 1
        }
        7 => {
            at += 2;
            u32::from(be16(bytes.get(at - 2..at)?, 0)) + 1
        }
        n => 256 << (n - 8),
    };
    at += match rate {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let crc = bytes.get(..at)?.iter().fold(0, |crc, byte| CRC8[usize::from(crc ^ byte)]);
    (crc == *bytes.get(at)?).then_some(Head { variable: head[1] & 1 == 1, number, block, length: at + 1 })
}

/// Layout of a FLAC stream.
#[derive(Debug)]
pub(super) struct Flac {
    info: Info,
    /// Offset of the first frame, and past the last.
    first: u64,
    end: u64,
    /// Frames of sound per FLAC frame, for a fixed block size.
    block: u64,
    /// Position of the first frame; not 0 in the recording of a running stream.
    start: u64,
    /// Length in frames of sound.
    total: u64,
}

/// Position in frames given by a header; `block` is the size of the blocks where it is fixed.
pub(super) fn place(head: &Head, block: u64) -> u64 {
    if head.variable { head.number } else { head.number.saturating_mul(block) }
}

/// Finds the next header from `at` on that `fits`, and its offset.
fn search(
    bytes: &mut Bytes,
    info: &Info,
    mut at: u64,
    to: u64,
    fits: impl Fn(&Head) -> bool,
) -> io::Result<Option<(u64, Head)>> {
    while at + 6 <= to {
        let part = bytes.peek(at, 4096)?;
        let Some(skip) = part.iter().position(|byte| *byte == 0xff) else {
            at += part.len().max(1) as u64;
            continue;
        };
        at += skip as u64;
        if let Some(head) = parse(bytes.peek(at, HEADER)?, info)
            && fits(&head)
        {
            return Ok(Some((at, head)));
        }
        at += 1;
    }
    Ok(None)
}

/// Returns whether a FLAC stream with a complete first frame begins at `at`. Random bytes do not pass.
pub(super) fn begins(bytes: &mut Bytes, at: u64) -> io::Result<bool> {
    let (Some(info), first) = metadata(bytes, at)? else { return Ok(false) };
    let Some(head) = parse(bytes.peek(first, HEADER)?, &info) else { return Ok(false) };
    let data = bytes.peek(first, MOST_BYTES)?;
    let mut crc = data[..head.length.min(data.len())].iter().fold(0, |crc, byte| crc16(crc, *byte));
    for k in head.length..data.len() {
        if crc == 0 && k > head.length + 1 && parse(&data[k..], &info).is_some() {
            return Ok(true);
        }
        crc = crc16(crc, data[k]);
    }
    Ok(crc == 0)
}

/// Returns the STREAMINFO of a stream that begins at `at`, and the end of its metadata.
fn metadata(bytes: &mut Bytes, at: u64) -> io::Result<(Option<Info>, u64)> {
    let (mut info, mut place) = (None, at + 4);
    loop {
        let head = bytes.peek(place, 4)?;
        if head.len() < 4 || head[0] & 0x7f == 0x7f {
            break;
        }
        let (last, kind, length) = (head[0] & 0x80 != 0, head[0] & 0x7f, u64::from(be32(head, 0) & 0xff_ffff));
        if place + 4 + length > bytes.len() {
            break;
        }
        if kind == 0 && info.is_none() {
            info = Info::read(bytes.peek(place + 4, 34)?);
        }
        place += 4 + length;
        if last {
            break;
        }
    }
    Ok((info, place))
}

/// Builds the plan for the stream whose marker is at `at`.
///
/// # Errors
/// If the file cannot be read, or the stream has no header or no complete frame.
pub(super) fn open(bytes: &mut Bytes, at: u64) -> Result<Plan, DecodeError> {
    let (info, first) = metadata(bytes, at)?;
    let info = info.ok_or_else(|| DecodeError::Damaged("its header (STREAMINFO) is missing or invalid".into()))?;
    let end = tags::before(bytes, first, bytes.len())?;
    let Some((offset, head)) = search(bytes, &info, first, end.min(first + FRONT), |_| true)? else {
        let why = if first >= end { "it contains no sound" } else { "it has no decodable frame" };
        return Err(DecodeError::Unsupported(why.into()));
    };
    let block = info.block(&head);
    // If the first frame is damaged, the sound still begins at 0.
    let start = if offset == first { place(&head, block) } else { 0 };
    let (last, last_end) = last_frame(bytes, &info, offset, end, block, start)?
        .ok_or_else(|| DecodeError::Damaged("it has no decodable frame".into()))?;
    let total = place(&last, block) + u64::from(last.block) - start;
    if total > MOST_FRAMES {
        return Err(DecodeError::Damaged(format!("its last frame has the implausible number {}", last.number)));
    }
    let mut remarks = Vec::new();
    if info.total > total {
        let (lacking, all) = (seconds(info.total - total, info.rate), seconds(info.total, info.rate));
        // If the file was truncated, part of a frame follows the last complete one.
        remarks.push(match last_end < end {
            true => Remark::loss(format!("{lacking} of its {all} are missing at the end")),
            false => Remark::loss(format!("its header announces {all}, but {} are present", seconds(total, info.rate))),
        });
    } else if info.total != 0 && info.total < total {
        remarks.push(Remark::note(format!(
            "its header announces {}, but {} are present and played",
            seconds(info.total, info.rate),
            seconds(total, info.rate)
        )));
    }
    let flac = Flac { info, first: offset, end: last_end, block, start, total };
    let setups = info.setups();
    let layout = Arc::new(flac);
    let plan = Plan::whole(info.rate, setups[0].clone(), layout, 0, total as i64);
    Ok(Plan { setups: setups.into(), remarks, ..plan })
}

/// Finds the last complete frame between `first` and `to`; returns its header and its end.
fn last_frame(
    bytes: &mut Bytes,
    info: &Info,
    first: u64,
    to: u64,
    block: u64,
    start: u64,
) -> Result<Option<(Head, u64)>, DecodeError> {
    let mut upper = to;
    let (mut size, mut checked) = (64 * 1024, 0);
    while upper > first && to - upper < TAIL {
        let lower = upper.saturating_sub(size).max(first);
        let mut heads = Vec::new();
        let mut at = lower;
        while let Some((found, head)) = search(bytes, info, at, to.min(upper + HEADER as u64), |_| true)? {
            if found >= upper {
                break;
            }
            heads.push((found, head));
            at = found + 1;
        }
        for (found, head) in heads.into_iter().rev().filter(|(_, head)| place(head, block) >= start) {
            checked += MOST_BYTES.min((to - found) as usize) as u64;
            if checked > CHECKED {
                return Ok(None);
            }
            if let Some(end) = whole_frame(bytes, info, found, to, &head)? {
                return Ok(Some((head, end)));
            }
        }
        upper = lower;
        size *= 2;
    }
    Ok(None)
}

/// Returns the end of the frame at `at` if its checksum and its content are valid. Anything may follow it.
fn whole_frame(bytes: &mut Bytes, info: &Info, at: u64, to: u64, head: &Head) -> Result<Option<u64>, DecodeError> {
    let data = bytes.peek(at, MOST_BYTES.min((to - at) as usize))?;
    let mut crc = 0;
    let mut coder = None;
    for (k, byte) in data.iter().enumerate() {
        crc = crc16(crc, *byte);
        if crc != 0 || k <= head.length {
            continue;
        }
        // A checksum matches by chance once in 65 536 bytes; the content does not decode as well.
        let coder = match &mut coder {
            Some(coder) => coder,
            none => none.insert(Coder::new(&info.setups()[1], View::All)?),
        };
        let packet = Packet { frames: head.block, data: data[..=k].to_vec(), ..Packet::default() };
        let mut planes = Vec::new();
        if coder.decode(&packet, &mut planes) && planes.first().is_some_and(|p| p.len() == head.block as usize) {
            return Ok(Some(at + k as u64 + 1));
        }
    }
    Ok(None)
}

impl Layout for Flac {
    fn reader(self: Arc<Self>, file: &Arc<MediaFile>) -> Box<dyn Packets> {
        Box::new(FlacReader::new(file, &self))
    }
}

/// Packet reader for [`Flac`].
pub(super) struct FlacReader {
    bytes: Bytes,
    flac: Arc<Flac>,
    at: u64,
    /// Size of the previous frame in bytes.
    size: usize,
    fresh: bool,
}

impl FlacReader {
    /// Creates a reader at the first frame.
    pub fn new(file: &Arc<MediaFile>, flac: &Arc<Flac>) -> FlacReader {
        FlacReader { bytes: Bytes::new(file), flac: flac.clone(), at: flac.first, size: 8192, fresh: false }
    }

    /// Returns whether a header is plausible after position `after` of this stream.
    fn fits(flac: &Flac, head: &Head, after: Option<u64>) -> bool {
        let place = place(head, flac.block);
        after.is_none_or(|after| place > after) && place >= flac.start && place < flac.start + flac.total
    }

    /// Finds the end of the frame at `self.at`: `Ok` if the frame is complete, else `Err` with the offset of the next
    /// frame.
    fn end_of(&mut self, head: &Head) -> io::Result<Result<u64, Option<u64>>> {
        let flac = &self.flac;
        let left = (flac.end - self.at) as usize;
        let here = place(head, flac.block);
        let (mut crc, mut k, mut other) = (0, 0, None);
        let mut want = self.size + self.size / 2 + 1024;
        loop {
            want = want.min(left).min(MOST_BYTES);
            let data = self.bytes.peek(self.at, want)?;
            // A header at the end of the buffer may continue after it.
            let last = want == left || want == MOST_BYTES || data.len() < want;
            let usable = if last { data.len() } else { data.len() - HEADER };
            while k < usable {
                if data[k] == 0xff
                    && k > head.length
                    && let Some(next) = parse(&data[k..], &flac.info)
                    && FlacReader::fits(flac, &next, Some(here))
                {
                    if crc == 0 {
                        return Ok(Ok(self.at + k as u64));
                    }
                    let next_at = self.at + k as u64;
                    let other = *other.get_or_insert(next_at);
                    // The next frame in sequence, or one far away: the current frame cannot extend further.
                    if place(&next, flac.block) == here + u64::from(head.block) || next_at > other + AHEAD {
                        return Ok(Err(Some(other)));
                    }
                }
                crc = crc16(crc, data[k]);
                k += 1;
            }
            if last {
                return Ok(if crc == 0 && k == left { Ok(flac.end) } else { Err(other) });
            }
            want *= 2;
        }
    }
}

impl Packets for FlacReader {
    fn seek(&mut self, frame: i64) -> Result<(), DecodeError> {
        let flac = self.flac.clone();
        let target = flac.start + (frame.max(0) as u64).min(flac.total);
        let (mut low, mut high) = ((flac.first, flac.start), (flac.end, flac.start + flac.total));
        for turn in 0..24 {
            let (room, span) = (high.0 - low.0, (high.1 - low.1).max(1));
            if room <= NEAR || target <= low.1 {
                break;
            }
            // Interpolate, aiming slightly early; bisect now and then in case the bytes are distributed unevenly.
            let share = if turn % 4 == 3 { 0.5 } else { (target - low.1) as f64 / span as f64 };
            let guess = low.0 + ((room as f64 * share) as u64).saturating_sub(NEAR / 3).clamp(1, room - 1);
            let after = low.1;
            let fits = |head: &Head| FlacReader::fits(&flac, head, Some(after));
            match search(&mut self.bytes, &flac.info, guess, high.0, fits)? {
                Some((offset, head)) if place(&head, flac.block) <= target => low = (offset, place(&head, flac.block)),
                Some((_, head)) => high = (guess, place(&head, flac.block)),
                None => high.0 = guess,
            }
        }
        self.at = low.0;
        self.fresh = true;
        Ok(())
    }

    fn next(&mut self, packet: &mut Packet) -> Result<bool, DecodeError> {
        let flac = self.flac.clone();
        while self.at < flac.end {
            let head = parse(self.bytes.peek(self.at, HEADER)?, &flac.info);
            let Some(head) = head.filter(|head| FlacReader::fits(&flac, head, None)) else {
                self.fresh = true;
                let fits = |head: &Head| FlacReader::fits(&flac, head, None);
                match search(&mut self.bytes, &flac.info, self.at + 1, flac.end, fits)? {
                    Some((offset, _)) => self.at = offset,
                    None => return Ok(false),
                }
                continue;
            };
            match self.end_of(&head)? {
                Ok(end) => {
                    self.size = (end - self.at) as usize;
                    self.bytes.read(self.at, self.size, &mut packet.data)?;
                    self.at = end;
                    packet.at = (place(&head, flac.block) - flac.start) as i64;
                    packet.frames = head.block;
                    packet.setup = flac.info.setup_for(head.block);
                    packet.fresh = std::mem::take(&mut self.fresh);
                    return Ok(true);
                }
                Err(next) => {
                    self.fresh = true;
                    self.at = next.unwrap_or(self.at + 1);
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // The standard check values of CRC-8/SMBUS and CRC-16/UMTS.
        assert_eq!(b"123456789".iter().fold(0, |crc, byte| CRC8[usize::from(crc ^ byte)]), 0xf4);
        assert_eq!(b"123456789".iter().fold(0, |crc, byte| crc16(crc, *byte)), 0xfee8);
    }

    #[test]
    fn a_header_is_read_and_a_wrong_one_is_not() {
        // RFC 9639, appendix D.2.
        let info = Info { blocks: (16, 16), rate: 44_100, channels: 2, bits: 16, total: 19 };
        let mut bytes = vec![0xff, 0xf8, 0x69, 0x98, 0x00, 0x0f, 0x99];
        assert_eq!(parse(&bytes, &info), Some(Head { variable: false, number: 0, block: 16, length: 7 }));
        bytes[5] = 0x0e;
        assert_eq!(parse(&bytes, &info), None);
    }
}
