//! WAV files and their variants: RIFF, RIFX, RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088), and Sony's Wave64.
//!
//! Sizes in headers are treated as hints. The size of the file bounds the samples; a size that means "unknown" (0, or
//! close to 2³¹ or 2³²), and a size of 0 in a file whose recorder was interrupted, mean "to the end". No size of the
//! RIFF chunk or of metadata prevents playback. Symphonia (0.6.1) trusts all of them.

use std::io;
use std::sync::Arc;

use symphonia::core::audio::{Channels, Position};

use super::adpcm;
use super::blocks::Blocks;
use super::bytes::{Bytes, be16, be32, le16, le32, le64};
use super::error::DecodeError;
use super::kind::WAVE64;
use super::mix::MAX_PAIRED;
use super::pcm::{Kind, Sample};
use super::plan::{Codec, Plan, Remark, Setup, seconds};
use super::{aac, mpeg, scan};

/// Maximum number of chunks examined.
const MOST_CHUNKS: usize = 4096;
/// Bytes of broken metadata that are searched for the next chunk.
const SEARCH: u64 = 1 << 20;
/// Names of known chunks.
const KNOWN: [&[u8; 4]; 20] = [
    b"data", b"fmt ", b"LIST", b"fact", b"bext", b"cue ", b"smpl", b"inst", b"JUNK", b"junk", b"PEAK", b"ds64",
    b"iXML", b"axml", b"chna", b"id3 ", b"ID3 ", b"PAD ", b"cart", b"plst",
];
/// The part of the subformat identifier that all registered formats share.
const SUBFORMAT: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// The relevant chunks of a file.
#[derive(Default)]
struct Chunks {
    format: Vec<u8>,
    /// Length in frames according to the `fact` chunk.
    fact: Option<u64>,
    /// Size of the samples according to the `ds64` chunk.
    long: Option<u64>,
    /// Offset of the samples, and their size if it is known.
    data: Option<(u64, Option<u64>)>,
    /// Total size of further `data` chunks in bytes.
    more: u64,
    /// Whether numbers are big-endian (RIFX).
    big: bool,
}

fn is_name(name: &[u8]) -> bool {
    name.len() == 4 && name.iter().all(|c| (0x20..0x7f).contains(c)) && name[0] != b' '
}

fn is_known(name: &[u8]) -> bool {
    KNOWN.iter().any(|known| known.as_slice() == name)
}

/// Offset of the chunk after one that ends at `end`: chunks are padded to even sizes, but some writers omit that.
fn following(bytes: &mut Bytes, from: u64, end: u64) -> io::Result<u64> {
    if (end - from).is_multiple_of(2) {
        return Ok(end);
    }
    let (padded, tight) = (bytes.peek(end + 1, 4)?.to_vec(), bytes.peek(end, 4)?.to_vec());
    let forgotten = (is_known(&tight) && !is_known(&padded)) || (is_name(&tight) && !is_name(&padded));
    Ok(if forgotten { end } else { end + 1 })
}

/// Reads the chunks of a RIFF file.
fn riff(bytes: &mut Bytes, start: u64) -> io::Result<Chunks> {
    let length = bytes.len();
    let mut chunks = Chunks { big: bytes.peek(start, 4)? == b"RIFX", ..Chunks::default() };
    let number = if chunks.big { be32 } else { le32 };
    let (mut at, mut behind) = (start + 12, start + 12);
    for _ in 0..MOST_CHUNKS {
        let head = bytes.peek(at, 8)?;
        if head.len() < 8 {
            break;
        }
        if !is_name(&head[..4]) {
            // A chunk of metadata has a wrong size: search for the next relevant one.
            match search(bytes, behind, number)? {
                Some(found) if chunks.data.is_none() && found > at.min(behind) => at = found,
                _ => break,
            }
            behind = at + 8;
            continue;
        }
        let (name, size) = ([head[0], head[1], head[2], head[3]], u64::from(number(head, 4)));
        let from = at + 8;
        behind = from;
        match &name {
            b"fmt " if chunks.format.is_empty() => {
                chunks.format = bytes.peek(from, size.min(4096) as usize)?.to_vec();
            }
            b"fact" => chunks.fact = Some(u64::from(number(bytes.peek(from, 4)?, 0))),
            b"ds64" => {
                let row = bytes.peek(from, 24)?;
                chunks.long = (row.len() >= 16).then(|| le64(row, 8));
            }
            b"data" if chunks.data.is_none() => {
                let mut told = Some(size);
                if size == 0xffff_ffff && chunks.long.is_some() {
                    told = chunks.long;
                }
                // Placeholder sizes written by recorders and pipes.
                let unknown = told.is_none_or(|size| {
                    from.saturating_add(size) > length
                        && ((0x7fff_0000..=0x8000_0000).contains(&size) || (0xffff_0000..=0xffff_ffff).contains(&size))
                });
                let next = bytes.peek(from, 4)?;
                let nothing = told == Some(0) && (next.is_empty() || is_known(next));
                let open = unknown || (told == Some(0) && !nothing);
                chunks.data = Some((from, told.filter(|_| !open)));
                if open || told.is_some_and(|size| from.saturating_add(size) >= length) {
                    // Nothing can follow, except a format chunk that should have come first.
                    break;
                }
                at = following(bytes, from, from.saturating_add(told.unwrap_or(0)))?;
                continue;
            }
            b"data" => chunks.more += size.min(length.saturating_sub(from)),
            _ => {}
        }
        if chunks.data.is_none() && from.saturating_add(size) > length {
            match search(bytes, from, number)? {
                Some(found) => at = found,
                None => break,
            }
            continue;
        }
        at = following(bytes, from, from.saturating_add(size))?;
    }
    Ok(chunks)
}

/// Finds the next `data` or `fmt ` chunk after broken ones.
fn search(bytes: &mut Bytes, from: u64, number: fn(&[u8], usize) -> u32) -> io::Result<Option<u64>> {
    let mut at = from;
    let length = bytes.len();
    let to = length.min(from + SEARCH);
    while at + 8 <= to {
        let part = bytes.peek(at, 4096)?;
        let Some(skip) = part.windows(4).position(|w| w == b"data" || w == b"fmt ") else {
            at += (part.len() as u64).saturating_sub(3).max(1);
            continue;
        };
        at += skip as u64;
        let head = bytes.peek(at, 8)?;
        let size = u64::from(number(head, 4));
        // The same letters in a comment are followed by text, which as a size points far beyond the end.
        let fits = at + 8 + size <= length || size >= 0x7fff_0000;
        if head.len() == 8 && fits {
            return Ok(Some(at));
        }
        at += 1;
    }
    Ok(None)
}

/// Reads the chunks of a Wave64 file: identifiers of 16 bytes, sizes of 8 that include the header, aligned to 8 bytes.
fn wave64(bytes: &mut Bytes, start: u64) -> io::Result<Chunks> {
    let mut chunks = Chunks::default();
    let mut at = start + 40;
    for _ in 0..MOST_CHUNKS {
        let head = bytes.peek(at, 24)?;
        if head.len() < 24 {
            break;
        }
        let (name, size) = ([head[0], head[1], head[2], head[3]], le64(head, 16));
        let from = at + 24;
        match &name {
            b"fmt " => chunks.format = bytes.peek(from, size.saturating_sub(24).min(4096) as usize)?.to_vec(),
            b"fact" => chunks.fact = Some(le64(bytes.peek(from, 8)?, 0)),
            b"data" => {
                chunks.data = Some((from, size.checked_sub(24).filter(|size| *size > 0)));
                break;
            }
            _ => {}
        }
        if size < 24 {
            break;
        }
        at = at.saturating_add(size).saturating_add(7) & !7;
    }
    Ok(chunks)
}

/// Content of the `fmt ` chunk.
struct Format {
    tag: u16,
    channels: usize,
    rate: u32,
    bytes_per_second: u32,
    align: usize,
    bits: usize,
    positions: Option<Channels>,
}

fn format(chunk: &[u8], big: bool) -> Option<Format> {
    let (word, long) =
        if big { (be16 as fn(&[u8], usize) -> u16, be32 as fn(&[u8], usize) -> u32) } else { (le16 as _, le32 as _) };
    if chunk.len() < 14 {
        return None;
    }
    let mut format = Format {
        tag: word(chunk, 0),
        channels: usize::from(word(chunk, 2)),
        rate: long(chunk, 4),
        bytes_per_second: long(chunk, 8),
        align: usize::from(word(chunk, 12)),
        bits: usize::from(word(chunk, 14)),
        positions: None,
    };
    if format.tag == 0xfffe && chunk.len() >= 26 {
        let mask = long(chunk, 20);
        if mask.count_ones() as usize >= format.channels {
            // Use as many positions as there are channels, from the lowest bit on.
            let mut wanted = Position::empty();
            let named = Position::from_bits_truncate(u64::from(mask & 0x3_ffff));
            named.iter().take(format.channels).for_each(|position| wanted |= position);
            format.positions = Some(Channels::Positioned(wanted));
        }
        format.tag = word(chunk, 24);
        // Other identifiers belong to vendors, except Ambisonics, which shares the first bytes and is plain PCM.
        if chunk.get(26..40).is_some_and(|tail| tail != SUBFORMAT && !matches!(format.tag, 1 | 3)) {
            return None;
        }
    }
    Some(format)
}

/// Name of an unsupported format (mmreg.h).
fn name(tag: u16) -> String {
    let name = match tag {
        0x0005 => "IBM CVSD",
        0x0010 => "OKI ADPCM",
        0x0016 | 0x0064 | 0x0045 => "ADPCM G.726",
        0x0020 => "Yamaha ADPCM",
        0x0028 | 0x0065 => "ADPCM G.722",
        0x0022 => "DSP TrueSpeech",
        0x0031 | 0x0032 => "GSM 6.10",
        0x0042 => "G.723",
        0x0062 => "G.729",
        0x0069 | 0x0200 => "Creative ADPCM",
        0x0092 | 0x2000 => "AC-3",
        0x0008 | 0x2001 => "DTS",
        0x00ff | 0x1600 | 0x1602 | 0x1610 => "AAC in WAV",
        0x0130..=0x0136 => "ACELP",
        0x0160..=0x0164 => "WMA",
        0x0270 => "ATRAC3",
        0x0401 => "Intel Music Coder",
        0x674f..=0x6771 => "Vorbis in WAV",
        0xf1ac => "FLAC in WAV",
        0xa109 => "Speex",
        0x704f => "Opus in WAV",
        _ => return format!("WAV format {tag:#06x}"),
    };
    name.into()
}

/// Builds the plan for the file that begins at `at`.
///
/// # Errors
/// If the file cannot be read, its format is not supported, or it contains no samples.
pub(super) fn open(bytes: &mut Bytes, at: u64) -> Result<Plan, DecodeError> {
    let is64 = bytes.peek(at, 16)? == WAVE64;
    let chunks = if is64 { wave64(bytes, at)? } else { riff(bytes, at)? };
    let nothing = || DecodeError::Unsupported("it contains no sound".into());
    let (from, size) = chunks.data.ok_or_else(nothing)?;
    if chunks.format.is_empty() {
        return Err(DecodeError::Damaged("its sample format is missing (the 'fmt ' chunk)".into()));
    }
    let format = format(&chunks.format, chunks.big).ok_or_else(|| DecodeError::no_decoder("its WAV format"))?;
    let length = bytes.len();
    let mut to = size.map_or(length, |size| from.saturating_add(size)).min(length);
    // A 32-bit size in a file of more than 4 GiB has lost its upper part.
    if length - to >= 1 << 32 && chunks.long.is_none() && !is64 {
        to = length;
    }
    let mut remarks = Vec::new();
    if chunks.more > 0 {
        remarks.push(Remark::loss(format!("a second chunk of samples ({} bytes) is not played", chunks.more)));
    }
    if let Some(size) = size.filter(|size| from.saturating_add(*size) > length) {
        let (there, bytes_per_second) = (length - from, u64::from(format.bytes_per_second.max(1)));
        let time = |bytes: u64| seconds(bytes.saturating_mul(1_000) / bytes_per_second, 1_000);
        let text = format!("its header announces {}, but {} are present", time(size), time(there));
        // Headers are often slightly wrong; a larger difference is a loss.
        remarks.push(if size - there > bytes_per_second / 10 { Remark::loss(text) } else { Remark::note(text) });
    }
    let plan = lay_out(bytes, &format, &chunks, from, to)?;
    let all = remarks.into_iter().chain(plan.remarks).collect();
    Ok(Plan { remarks: all, ..plan })
}

fn lay_out(bytes: &mut Bytes, format: &Format, chunks: &Chunks, from: u64, to: u64) -> Result<Plan, DecodeError> {
    if matches!(format.tag, 0x50 | 0x55) {
        let start = scan::search(bytes, mpeg::parse, from, to.min(from + SEARCH), None)?;
        return match start {
            Some(start) => mpeg::open(bytes, start, to),
            None => Err(DecodeError::Unsupported("it contains no sound".into())),
        };
    }
    if format.tag == 0x1600 {
        let start = scan::search(bytes, aac::parse, from, to.min(from + SEARCH), None)?;
        return match start {
            Some(start) => aac::open(bytes, start, to),
            None => Err(DecodeError::Unsupported("it contains no sound".into())),
        };
    }
    let channels = format.channels;
    if channels == 0 || channels > MAX_PAIRED {
        return Err(DecodeError::Unsupported(format!("it has {channels} channels; 1 to {MAX_PAIRED} are supported")));
    }
    let (codec, blocks) = match format.tag {
        1 | 3 | 6 | 7 => {
            let sample = sample(format, chunks.big);
            if !sample.is_sound() {
                return Err(DecodeError::Unsupported(format!("samples of {} bits are not supported", format.bits)));
            }
            if format.tag == 1 {
                coded(bytes, from, to)?;
            }
            (Codec::Pcm(sample), Blocks::of_frames(from, to, (channels * sample.bytes) as u64))
        }
        2 | 0x11 => adpcm(format, chunks, from, to)?,
        tag => return Err(DecodeError::no_decoder(&name(tag))),
    };
    let total = blocks.total;
    let setup = Setup { codec, rate: format.rate, channels, positions: format.positions.clone() };
    Ok(Plan::whole(format.rate, setup, Arc::new(blocks), 0, total as i64))
}

/// Determines the sample format.
fn sample(format: &Format, big: bool) -> Sample {
    let kind = match format.tag {
        3 => Kind::Float,
        6 => Kind::Alaw,
        7 => Kind::Mulaw,
        _ if format.bits <= 8 => Kind::Unsigned,
        _ => Kind::Signed,
    };
    let mut bytes = format.bits.div_ceil(8).max(1);
    if matches!(format.tag, 6 | 7) {
        bytes = 1;
    }
    // Samples may be padded. Since wrong block sizes exist, there must be further evidence: a consistent number of
    // bytes per second, or the usual 24 in 32 bits.
    let (room, rest) = (format.align / format.channels, format.align % format.channels);
    let agrees = u64::from(format.bytes_per_second) == u64::from(format.rate) * format.align as u64;
    if kind == Kind::Signed && rest == 0 && room > bytes && room <= 8 && (agrees || (bytes == 3 && room == 4)) {
        bytes = room;
    }
    Sample { kind, bytes, big }
}

/// Rejects encoded data disguised as PCM: DTS and the like on CDs, and AC-3 for digital outputs (IEC 61937).
fn coded(bytes: &mut Bytes, from: u64, to: u64) -> Result<(), DecodeError> {
    let head = bytes.peek(from, 32 * 1024)?;
    let head = &head[..head.len().min((to - from) as usize)];
    let marks: [(&[u8], &str); 5] = [
        (b"\xff\x1f\x00\xe8", "DTS in WAV"),
        (b"\x1f\xff\xe8\x00", "DTS in WAV"),
        (b"\xfe\x7f\x01\x80", "DTS in WAV"),
        (b"\x7f\xfe\x80\x01", "DTS in WAV"),
        (b"\x72\xf8\x1f\x4e", "sound coded for a digital output (IEC 61937) in WAV"),
    ];
    for (mark, name) in marks {
        // A single match may be chance; repeated ones are a stream.
        let found = head.chunks_exact(2).enumerate().filter(|(k, _)| head[2 * k..].starts_with(mark)).count();
        if found >= 3 {
            return Err(DecodeError::no_decoder(name));
        }
    }
    Ok(())
}

/// Builds the layout of ADPCM: blocks of a fixed number of frames.
fn adpcm(format: &Format, chunks: &Chunks, from: u64, to: u64) -> Result<(Codec, Blocks), DecodeError> {
    let (channels, align) = (format.channels, format.align);
    let head = if format.tag == 2 { 7 } else { 4 } * channels;
    if channels > 2 || align <= head || format.bits != 4 {
        let bits = format.bits;
        return Err(DecodeError::Unsupported(format!(
            "ADPCM with {channels} channels, {bits} bits and blocks of {align} bytes is not supported"
        )));
    }
    // Microsoft's header contains two samples, IMA's one; the others take half a byte each.
    let first = if format.tag == 2 { 2 } else { 1 };
    let holds = |bytes: usize| if bytes > head { first + 2 * (bytes - head) / channels } else { 0 };
    let told = usize::from(if chunks.big { be16(&chunks.format, 18) } else { le16(&chunks.format, 18) });
    let frames = if told > first && told <= holds(align) { told } else { holds(align) };
    let codec = if format.tag == 2 {
        let count = usize::from(le16(&chunks.format, 20)).min(256);
        let rows = chunks.format.get(22..22 + 4 * count).unwrap_or_default();
        let word = |row: &[u8], at| i32::from(le16(row, at) as i16);
        let table: Vec<(i32, i32)> = rows.chunks_exact(4).map(|row| (word(row, 0), word(row, 2))).collect();
        Codec::Ms(frames, if table.is_empty() { adpcm::MS_COEFFICIENTS.to_vec() } else { table })
    } else {
        Codec::ImaWav(frames)
    };
    let (whole, rest) = ((to - from) / align as u64, ((to - from) % align as u64) as usize);
    let there = whole * frames as u64 + holds(rest).min(frames) as u64;
    // The last block is padded; only the `fact` chunk gives the true length.
    let total = chunks.fact.filter(|fact| *fact <= there && fact + frames as u64 > there).unwrap_or(there);
    Ok((codec, Blocks { from, to, bytes: align as u64, frames: frames as u32, total }))
}
