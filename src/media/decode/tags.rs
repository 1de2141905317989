//! Tags around sound: ID3v1, ID3v2, APEv2 and Lyrics3. Only their extent matters here.

use std::io;

use super::bytes::{Bytes, be32, le32, synchsafe};

/// Sizes in bytes of an ID3v1 tag, and of its rare extension before it.
const ID3V1: u64 = 128;
const ID3V1_MORE: u64 = 227;
/// Size in bytes of the header and of the footer of an APEv2 tag.
const APE: u64 = 32;
/// Maximum size of a Lyrics3 tag in bytes.
const LYRICS: usize = 64 * 1024;

/// Returns the size of the tag that begins at `at`, if any. It may exceed `to`: sizes in tags can be wrong.
pub(super) fn at(bytes: &mut Bytes, at: u64, to: u64) -> io::Result<Option<u64>> {
    let head = bytes.peek(at, 32)?;
    if head.starts_with(b"ID3") && head.len() >= 10 && head[3] != 0xff && head[6..10].iter().all(|b| *b < 0x80) {
        let footer = if head[5] & 0x10 != 0 { 10 } else { 0 };
        return Ok(Some(10 + u64::from(synchsafe(head, 6)) + footer));
    }
    if head.starts_with(b"APETAGEX") && head.len() >= 32 {
        if le32(head, 20) & 1 << 29 == 0 {
            return Ok(Some(APE));
        }
        // A header: the size includes the items and the footer.
        return Ok(Some(APE + u64::from(le32(head, 12))));
    }
    if head.starts_with(b"TAG+") && at + ID3V1_MORE <= to {
        return Ok(Some(ID3V1_MORE));
    }
    if head.starts_with(b"TAG") && at + ID3V1 <= to {
        return Ok(Some(ID3V1));
    }
    if head.starts_with(b"LYRICSBEGIN") {
        let all = bytes.peek(at, LYRICS)?;
        let end = all.windows(9).position(|w| w == b"LYRICS200" || w == b"LYRICSEND");
        return Ok(end.map(|end| end as u64 + 9));
    }
    Ok(None)
}

/// Returns the end of the sound by removing tags that end at `to`, down to `from` at most.
pub(super) fn before(bytes: &mut Bytes, from: u64, mut to: u64) -> io::Result<u64> {
    for _ in 0..16 {
        let room = to.saturating_sub(from);
        let mut length = 0;
        if room >= ID3V1 && bytes.peek(to - ID3V1, 3)? == b"TAG" {
            length = ID3V1;
            if room >= ID3V1 + ID3V1_MORE && bytes.peek(to - ID3V1 - ID3V1_MORE, 4)? == b"TAG+" {
                length += ID3V1_MORE;
            }
        } else if room >= APE && bytes.peek(to - APE, 8)? == b"APETAGEX" {
            let footer = bytes.peek(to - APE, 32)?;
            let header = if le32(footer, 20) & 1 << 31 != 0 { APE } else { 0 };
            length = u64::from(le32(footer, 12)).max(APE) + header;
        } else if room >= 15 && bytes.peek(to - 9, 9)? == b"LYRICS200" {
            let digits = bytes.peek(to - 15, 6)?;
            let size: Option<u64> = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
            length = size.map_or(0, |size| size + 15);
        } else if room >= 10 && bytes.peek(to - 10, 3)? == b"3DI" {
            length = 20 + u64::from(synchsafe(bytes.peek(to - 10, 10)?, 6));
        }
        if length == 0 || length > room {
            break;
        }
        to -= length;
    }
    Ok(to)
}

/// Returns the end of the ID3v2 tag at `at` according to the sizes of its frames, ignoring its own size.
pub(super) fn id3_by_frames(bytes: &mut Bytes, at: u64) -> io::Result<u64> {
    let head = bytes.peek(at, 14)?;
    let (version, flags) = (head.get(3).copied().unwrap_or(0), head.get(5).copied().unwrap_or(0));
    let mut place = at + 10;
    if version >= 3 && flags & 0x40 != 0 {
        place += if version == 3 { 4 + u64::from(be32(head, 10)) } else { u64::from(synchsafe(head, 10)) };
    }
    for _ in 0..10_000 {
        let head = bytes.peek(place, 10)?;
        let (id, size, lead) = if version <= 2 {
            (head.get(..3), u64::from(be32(head, 3) >> 8), 6)
        } else if version == 3 || head.get(4..8).is_some_and(|b| b.iter().any(|b| *b >= 0x80)) {
            (head.get(..4), u64::from(be32(head, 4)), 10)
        } else {
            (head.get(..4), u64::from(synchsafe(head, 4)), 10)
        };
        let named = id.is_some_and(|id| id.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
        if !named || size == 0 || place + lead + size > bytes.len() {
            break;
        }
        place += lead + size;
    }
    Ok(place)
}
