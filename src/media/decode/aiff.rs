//! AIFF and AIFC (Apple, "Audio Interchange File Format", 1989, and AIFF-C, 1991).
//!
//! As for WAV, the size of the file bounds the samples, and a size of 0 means "to the end" where samples follow.

use super::adpcm::{APPLE_BYTES, APPLE_FRAMES};
use super::blocks::Blocks;
use super::bytes::{Bytes, be16, be32, be64};
use super::error::DecodeError;
use super::mix::MAX_PAIRED;
use super::pcm::{Kind, Sample};
use super::plan::{Codec, Plan, Remark, Setup, seconds};
use std::sync::Arc;

/// Maximum number of chunks examined.
const MOST_CHUNKS: usize = 4096;

/// Converts an 80-bit float to a sample rate in Hz; 0 if it is invalid.
fn rate(bytes: &[u8]) -> u32 {
    let (exponent, mantissa) = (be16(bytes, 0), be64(bytes, 2));
    if exponent & 0x8000 != 0 || mantissa == 0 {
        return 0;
    }
    let rate = mantissa as f64 * f64::from(i32::from(exponent) - 16_383 - 63).exp2();
    if rate < 1e9 { rate.round() as u32 } else { 0 }
}

/// Builds the plan for the file that begins at `at`.
///
/// # Errors
/// If the file cannot be read, is compressed in an unsupported way, or contains no samples.
pub(super) fn open(bytes: &mut Bytes, at: u64) -> Result<Plan, DecodeError> {
    let length = bytes.len();
    let (mut common, mut data) = (Vec::new(), None);
    let mut place = at + 12;
    for _ in 0..MOST_CHUNKS {
        let head = bytes.peek(place, 16)?;
        if head.len() < 8 {
            break;
        }
        let (name, size) = ([head[0], head[1], head[2], head[3]], u64::from(be32(head, 4)));
        match &name {
            b"COMM" => common = bytes.peek(place + 8, size.min(512) as usize)?.to_vec(),
            b"SSND" if data.is_none() => {
                let skip = u64::from(be32(head, 8));
                let from = place.saturating_add(16).saturating_add(skip);
                // The size includes the two fields before the samples.
                let told = size.checked_sub(8 + skip).filter(|size| *size > 0);
                let to = told.map_or(length, |size| from.saturating_add(size)).min(length);
                data = Some((
                    from.min(length),
                    to,
                    told.map_or(0, |size| from.saturating_add(size).saturating_sub(length)),
                ));
                if told.is_none() {
                    break;
                }
            }
            _ => {}
        }
        place = place.saturating_add(8 + size + size % 2);
    }
    if common.len() < 18 {
        return Err(DecodeError::Damaged("its sample format is missing (the 'COMM' chunk)".into()));
    }
    let (from, to, lacking) = data.ok_or_else(|| DecodeError::Unsupported("it contains no sound".into()))?;
    let (channels, bits, rate) = (usize::from(be16(&common, 0)), usize::from(be16(&common, 6)), rate(&common[8..]));
    if channels == 0 || channels > MAX_PAIRED {
        return Err(DecodeError::Unsupported(format!("it has {channels} channels; 1 to {MAX_PAIRED} are supported")));
    }
    let size = bits.div_ceil(8).max(1);
    let compression = if bytes.peek(at + 8, 4)? == b"AIFC" { common.get(18..22).unwrap_or(b"NONE") } else { b"NONE" };
    let pcm = |kind, bytes, big| Codec::Pcm(Sample { kind, bytes, big });
    let codec = match compression {
        b"NONE" | b"none" | b"twos" => pcm(Kind::Signed, size, true),
        b"sowt" => pcm(Kind::Signed, size, false),
        b"raw " => pcm(Kind::Unsigned, size, true),
        b"in24" => pcm(Kind::Signed, 3, true),
        b"42ni" => pcm(Kind::Signed, 3, false),
        b"in32" => pcm(Kind::Signed, 4, true),
        b"23ni" => pcm(Kind::Signed, 4, false),
        b"fl32" | b"FL32" => pcm(Kind::Float, 4, true),
        b"fl64" | b"FL64" => pcm(Kind::Float, 8, true),
        b"alaw" | b"ALAW" => pcm(Kind::Alaw, 1, true),
        b"ulaw" | b"ULAW" => pcm(Kind::Mulaw, 1, true),
        b"ima4" if channels <= 2 => Codec::ImaApple,
        b"MAC3" | b"MAC6" => return Err(DecodeError::no_decoder("MACE")),
        b"QDMC" | b"QDM2" => return Err(DecodeError::no_decoder("QDesign Music")),
        b"GSM " | b"agsm" => return Err(DecodeError::no_decoder("GSM")),
        other => {
            let name = String::from_utf8_lossy(other).into_owned();
            return Err(DecodeError::no_decoder(&format!("the AIFC compression '{name}'")));
        }
    };
    let blocks = match codec {
        Codec::Pcm(sample) if sample.is_sound() => Blocks::of_frames(from, to, (channels * sample.bytes) as u64),
        Codec::Pcm(_) => return Err(DecodeError::Unsupported(format!("samples of {bits} bits are not supported"))),
        _ => {
            let block = (APPLE_BYTES * channels) as u64;
            let total = to.saturating_sub(from) / block * APPLE_FRAMES as u64;
            Blocks { from, to, bytes: block, frames: APPLE_FRAMES as u32, total }
        }
    };
    let (total, block, each) = (blocks.total, blocks.bytes, u64::from(blocks.frames));
    let setup = Setup { codec, rate, channels, positions: None };
    let mut plan = Plan::whole(rate, setup, Arc::new(blocks), 0, total as i64);
    if lacking >= block {
        let lost = lacking / block * each;
        let text = format!("{} of its {} are missing at the end", seconds(lost, rate), seconds(total + lost, rate));
        plan.remarks.push(if lost > u64::from(rate) / 10 { Remark::loss(text) } else { Remark::note(text) });
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_eighty_bits_are_read() {
        assert_eq!(rate(&[0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0]), 44_100);
        assert_eq!(rate(&[0x40, 0x0f, 0xbb, 0x80, 0, 0, 0, 0, 0, 0]), 96_000);
        assert_eq!((rate(&[0; 10]), rate(&[0xff; 10]), rate(&[0x7f, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0])), (0, 0, 0));
    }
}
