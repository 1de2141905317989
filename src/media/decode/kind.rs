//! Detection of the file format.
//!
//! A signature counts only at the start, or after tags and zeros: audio data is embedded in many other files (archives,
//! videos, lossless formats that keep the WAV header), and playing one of those as PCM would be noise at full scale.
//! Only streams that can be verified, by consecutive frames or a checksum, may follow a limited amount of garbage.

use std::io;
use std::path::Path;

use super::bytes::{Bytes, le32};
use super::error::DecodeError;
use super::scan::{CHAIN, is_chain, search};
use super::{aac, flac, mpeg, ogg, tags};

/// Bytes of garbage that may precede a stream: in a file named or tagged as MPEG audio, and in any other.
const RUBBISH: [u64; 2] = [1 << 20, 64 << 10];
/// Bytes of leading zeros that are skipped.
const ZEROS: u64 = 1 << 20;

/// A supported file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// RIFF, RIFX, RF64, BW64 and Wave64.
    Wav,
    /// AIFF and AIFC.
    Aiff,
    /// FLAC.
    Flac,
    /// MPEG audio, layers I to III.
    Mpeg,
    /// AAC in ADTS frames.
    Adts,
    /// Ogg.
    Ogg,
    /// MP4 and QuickTime.
    Mp4,
}

/// First bytes of Wave64.
pub(super) const WAVE64: &[u8; 16] =
    &[0x72, 0x69, 0x66, 0x66, 0x2e, 0x91, 0xcf, 0x11, 0xa5, 0xd6, 0x28, 0xdb, 0x04, 0xc1, 0x00, 0x00];

/// Signatures of files that contain no sound, or sound that is not supported: offset, bytes, name.
#[rustfmt::skip]
const OTHERS: [(usize, &[u8], &str); 58] = [
    (0, b"wvpk", "WavPack"), (0, b"MAC ", "Monkey's Audio"), (0, b"MACF", "Monkey's Audio"), (0, b"OFR ", "OptimFROG"),
    (0, b"TTA1", "True Audio (TTA)"), (0, b"TTA2", "True Audio (TTA)"), (0, b"tBaK", "TAK"), (0, b"ajkg", "Shorten"),
    (0, b"LA04", "Lossless Audio (LA)"), (0, b"MPCK", "Musepack"), (0, b"MP+", "Musepack"), (0, b"DSD ", "DSD (DSF)"),
    (0, b"FRM8", "DSD (DSDIFF)"), (0, b"caff", "CAF"), (0, b".snd", "Sun audio (AU)"), (0, b"#!AMR", "AMR"),
    (0, b"ADIF", "AAC in ADIF"), (0, b"Creative Voice File", "Creative Voice"), (0, b"\x0b\x77", "AC-3"),
    (0, b"\x77\x0b", "AC-3"), (0, b"\x7f\xfe\x80\x01", "DTS"), (0, b"\xfe\x7f\x01\x80", "DTS"),
    (0, b"\x1f\xff\xe8\x00", "DTS"), (0, b"\xff\x1f\x00\xe8", "DTS"), (0, b"\x64\x58\x20\x25", "DTS-HD"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (ASF)"), (0, b".RMF", "RealMedia"),
    (0, b".ra\xfd", "RealAudio"), (0, b"FLV\x01", "Flash video"), (0, b"\x00\x00\x01\xba", "an MPEG video stream"),
    (0, b"\x00\x00\x01\xb3", "MPEG video"), (0, b"MThd", "a MIDI file ('grooved render-midi' plays those)"),
    (0, b"IMPM", "a tracker module (IT)"), (0, b"Extended Module:", "a tracker module (XM)"),
    (44, b"SCRM", "a tracker module (S3M)"), (1080, b"M.K.", "a tracker module (MOD)"),
    (0, b"PK\x03\x04", "a ZIP archive"), (0, b"PK\x05\x06", "a ZIP archive"), (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"), (0, b"\x1f\x8b", "a gzip archive"), (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"), (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"), (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a program (ELF)"), (0, b"MZ", "a program (Windows)"), (0, b"\xcf\xfa\xed\xfe", "a program (Mac)"),
    (0, b"\x00\x05\x16\x07", "a Mac's resource fork (AppleDouble), not the file itself"),
    (0, b"\x00\x05\x16\x00", "a Mac's AppleSingle file"), (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG", "a PNG picture"), (0, b"GIF8", "a GIF picture"), (0, b"BM", "a BMP picture"),
    (0, b"%PDF", "a PDF document"), (0, b"#!", "a script"), (0, b"SQLite format 3", "a database"),
    (0, b"\xd0\xcf\x11\xe0", "an Office document"),
];

/// Detects the format of a file, and the offset of its signature.
///
/// # Errors
/// If the file cannot be read; [`DecodeError::Unsupported`] for a known format, else [`DecodeError::Unknown`].
pub(super) fn find(bytes: &mut Bytes) -> Result<(Kind, u64), DecodeError> {
    if bytes.len() == 0 {
        return Err(DecodeError::Unknown("it is empty".into()));
    }
    if let Some(name) = other(bytes)? {
        return Err(DecodeError::no_decoder(name));
    }
    let (mut at, mut tagged) = (0, false);
    // Several tags may follow each other; the loop is bounded.
    for _ in 0..64 {
        at = past_zeros(bytes, at)?;
        if let Some(kind) = marker(bytes, at)? {
            return Ok((kind, at));
        }
        let length = bytes.len();
        let Some(tag) = tags::at(bytes, at, length)? else { break };
        tagged = true;
        let by_size = at + tag;
        // Some writers include the header in the size of APE tags.
        if bytes.peek(at, 3)? == b"APE" && tag > 32 {
            let counted = marker(bytes, by_size)?.is_none() && marker(bytes, by_size - 32)?.is_some();
            at = by_size - if counted { 32 } else { 0 };
            continue;
        }
        // If the size of a tag is wrong, its frames show where it ends.
        if bytes.peek(at, 3)? == b"ID3" {
            let behind = past_zeros(bytes, by_size)?;
            let good = marker(bytes, behind)?.is_some() || tags::at(bytes, behind, length)?.is_some();
            let by_frames = tags::id3_by_frames(bytes, at)?;
            let start = past_zeros(bytes, by_frames)?;
            if !good && by_frames > at + 10 && marker(bytes, start)?.is_some() {
                at = start;
                continue;
            }
            if !good && by_size >= length {
                at = by_frames.max(at + 10);
                break;
            }
        }
        at = by_size;
    }
    let called =
        matches!(extension(bytes.file().path()).as_str(), "mp3" | "mp2" | "mp1" | "mpa" | "mpga" | "aac" | "adts");
    let limit = bytes.len().min(at.saturating_add(RUBBISH[usize::from(!tagged && !called)]));
    if let Some(found) = behind_rubbish(bytes, at, limit)? {
        return Ok(found);
    }
    Err(nothing(bytes, at)?)
}

fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// Skips zeros from `from` on.
fn past_zeros(bytes: &mut Bytes, from: u64) -> io::Result<u64> {
    let mut at = from;
    while at < from + ZEROS {
        let part = bytes.peek(at, 4096)?;
        match part.iter().position(|byte| *byte != 0) {
            // The size at the start of an MP4 box begins with zeros.
            Some(skip) => return Ok(if skip < 4 && at == from { from } else { at + skip as u64 }),
            None if part.is_empty() => break,
            None => at += part.len() as u64,
        }
    }
    Ok(from)
}

/// Returns the format whose signature is at `at`.
fn marker(bytes: &mut Bytes, at: u64) -> io::Result<Option<Kind>> {
    let length = bytes.len();
    let head = bytes.peek(at, 40)?;
    let form = head.get(8..12).unwrap_or_default();
    let kind = match head.get(..4).unwrap_or_default() {
        b"RIFF" | b"RIFX" | b"RF64" | b"BW64" if form == b"WAVE" => Some(Kind::Wav),
        b"FORM" if form == b"AIFF" || form == b"AIFC" => Some(Kind::Aiff),
        b"fLaC" => Some(Kind::Flac),
        b"OggS" => Some(Kind::Ogg),
        _ if head.starts_with(WAVE64) => Some(Kind::Wav),
        _ => match head.get(4..8).unwrap_or_default() {
            b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" | b"styp" => Some(Kind::Mp4),
            _ => None,
        },
    };
    if kind.is_some() {
        return Ok(kind);
    }
    for (parse, kind) in [(aac::parse as super::scan::Parse, Kind::Adts), (mpeg::parse, Kind::Mpeg)] {
        if is_chain(bytes, parse, at, length, CHAIN)? {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

/// Searches for a verifiable stream from `at` on.
fn behind_rubbish(bytes: &mut Bytes, at: u64, limit: u64) -> io::Result<Option<(Kind, u64)>> {
    let mut found: Option<(Kind, u64)> = None;
    for (parse, kind) in [(aac::parse as super::scan::Parse, Kind::Adts), (mpeg::parse, Kind::Mpeg)] {
        let to = found.map_or(limit, |(_, place)| place);
        if let Some(place) = search(bytes, parse, at, to, None)? {
            found = Some((kind, place));
        }
    }
    let mut place = at;
    while place < found.map_or(limit, |(_, place)| place) {
        let part = bytes.peek(place, 4096)?;
        let Some(skip) = part.windows(4).position(|w| w == b"fLaC" || w == b"OggS") else {
            place += (part.len() as u64).saturating_sub(3).max(1);
            continue;
        };
        place += skip as u64;
        if place >= limit {
            break;
        }
        if bytes.peek(place, 4)? == b"fLaC" {
            if flac::begins(bytes, place)? {
                return Ok(Some((Kind::Flac, place)));
            }
        } else if ogg::begins(bytes, place)? {
            return Ok(Some((Kind::Ogg, place)));
        }
        place += 1;
    }
    Ok(found)
}

/// Returns the name of a known unsupported format.
fn other(bytes: &mut Bytes) -> io::Result<Option<&'static str>> {
    let head = bytes.peek(0, 4096)?;
    let known = OTHERS.iter().find(|(at, mark, _)| head.get(*at..*at + mark.len()) == Some(*mark));
    if let Some((_, _, name)) = known {
        return Ok(Some(name));
    }
    if head.starts_with(b"\x1a\x45\xdf\xa3") {
        let webm = head[..head.len().min(64)].windows(4).any(|w| w == b"webm");
        return Ok(Some(if webm { "WebM" } else { "Matroska" }));
    }
    // Packets of 188 bytes, with four more before each on discs.
    let stream =
        |first: usize, step: usize| head.len() > first + 4 * step && (0..5).all(|k| head[first + k * step] == 0x47);
    if stream(0, 188) || stream(4, 192) {
        return Ok(Some("an MPEG transport stream"));
    }
    Ok(match (head.get(..4).unwrap_or_default(), head.get(8..12).unwrap_or_default()) {
        (b"RIFF", b"AVI ") => Some("AVI video"),
        (b"RIFF", b"WEBP") => Some("a WebP picture"),
        (b"RIFF", b"RMID") => Some("a MIDI file ('grooved render-midi' plays those)"),
        (b"RIFF" | b"RIFX", form) if form != b"WAVE" => Some("a RIFF file other than WAV"),
        (b"FORM", b"8SVX" | b"16SV") => Some("IFF-8SVX"),
        (b"FORM", form) if form != b"AIFF" && form != b"AIFC" => Some("an IFF file other than AIFF"),
        // Low-overhead MPEG-4 audio: eleven bits of sync, the length of the frame, and sync again after it.
        (&[0x56, b, c, _], _) if b & 0xe0 == 0xe0 => {
            let next = 3 + usize::from(u16::from_be_bytes([b & 0x1f, c]));
            (head.get(next) == Some(&0x56)).then_some("AAC in LOAS/LATM")
        }
        _ => None,
    })
}

/// Creates the error for an unknown format.
fn nothing(bytes: &mut Bytes, at: u64) -> io::Result<DecodeError> {
    if mpeg::is_free_format(bytes.peek(at, 4)?) {
        return Ok(DecodeError::no_decoder("MPEG audio of free format"));
    }
    let head = bytes.peek(0, 4096)?;
    let what = if head.iter().all(|byte| *byte == 0) {
        "it begins with zeros only"
    } else if std::str::from_utf8(&head[..head.len().min(512)]).is_ok_and(|text| !text.contains('\0')) {
        "it is a text file"
    } else if le32(head, 0) == 0x4646_4952 {
        "its WAV header is truncated"
    } else {
        "it does not begin with a known signature"
    };
    Ok(DecodeError::Unknown(what.into()))
}
