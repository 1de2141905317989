//! MPEG audio, layers I to III (ISO/IEC 11172-3 and 13818-3), with the information frames of encoders.

use std::sync::Arc;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};

use super::bytes::{Bytes, be16, be32};
use super::error::DecodeError;
use super::frames::{Frames, Marks, Run};
use super::grid;
use super::plan::{Codec, Edit, Plan, Remark, Setup, seconds};
use super::scan::{HEADER, Head, Parse, walk};
use super::tags;

/// Bit rates in kbit/s by header index, for MPEG-1 layers I, II and III, MPEG-2 layer I and MPEG-2 layers II/III.
#[rustfmt::skip]
const BIT_RATES: [[u32; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Delay of a layer III decoder, in frames.
const DECODER_DELAY: u64 = 529;

/// Parses the header of a frame.
pub(super) fn parse(bytes: &[u8]) -> Option<Head> {
    let word = be32(bytes.get(..4)?, 0);
    if word >> 21 != 0x7ff {
        return None;
    }
    let (version, layer) = (word >> 19 & 3, 4 - (word >> 17 & 3));
    let (bit_rate, rate) = (word >> 12 & 15, word >> 10 & 3);
    if version == 1 || layer == 4 || bit_rate == 15 || bit_rate == 0 || rate == 3 {
        return None;
    }
    let row = match (version, layer) {
        (3, layer) => layer as usize - 1,
        (_, 1) => 3,
        _ => 4,
    };
    let bit_rate = BIT_RATES[row][bit_rate as usize] * 1_000;
    let rate = [44_100, 48_000, 32_000][rate as usize] >> [2, 0, 1, 0][version as usize];
    let frames = match (layer, version) {
        (1, _) => 384,
        (3, 0 | 2) => 576,
        _ => 1_152,
    };
    let padding = word >> 9 & 1;
    let bytes = if layer == 1 { (12 * bit_rate / rate + padding) * 4 } else { frames / 8 * bit_rate / rate + padding };
    let channels = if word >> 6 & 3 == 3 { 1 } else { 2 };
    Some(Head { bytes, lead: 0, frames, rate, channels, bit_rate, kind: version << 3 | layer })
}

/// Returns whether there is a header of free format, whose bit rate is not declared.
pub(super) fn is_free_format(bytes: &[u8]) -> bool {
    let word = be32(bytes, 0);
    bytes.len() >= 4
        && word >> 21 == 0x7ff
        && word >> 19 & 3 != 1
        && word >> 17 & 3 != 0
        && word >> 10 & 3 != 3
        && word >> 12 & 15 == 0
}

/// Layer of a frame, 1 to 3.
fn layer(head: &Head) -> u32 {
    head.kind & 7
}

/// Returns the decoder setup for frames like this one.
pub(super) fn setup(head: &Head, channels: u8) -> Setup {
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(match layer(head) {
        1 => CODEC_ID_MP1,
        2 => CODEC_ID_MP2,
        _ => CODEC_ID_MP3,
    });
    Setup {
        codec: Codec::Symphonia(Box::new(parameters)),
        rate: head.rate,
        channels: usize::from(channels),
        positions: None,
    }
}

/// Content of the information frame that encoders write before the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Info {
    /// Number of frames that follow, if given.
    packets: Option<u64>,
    /// Total size of all frames in bytes, including this one, if given.
    bytes: Option<u64>,
    /// Encoder delay and padding, in frames of sound.
    delay: Option<(u64, u64)>,
}

/// Parses the information frame of Xing and LAME (gabriel.mp3-tech.org/mp3infotag.html) or of Fraunhofer (VBRI). The
/// checksum is not verified: tools that edit tags leave wrong ones.
fn info(frame: &[u8], head: &Head) -> Option<Info> {
    let side = match (head.kind >> 3 == 3, head.channels == 1) {
        (true, false) => 32,
        (false, true) => 9,
        _ => 17,
    };
    if frame.get(36..40) == Some(b"VBRI") {
        let some = |n: u32| (n > 0).then_some(u64::from(n));
        return Some(Info { packets: some(be32(frame, 50)), bytes: some(be32(frame, 46)), delay: None });
    }
    // After the side information; some writers reserve space for a checksum, others do not.
    let tag = [4 + side, 6 + side].into_iter().find(|at| matches!(frame.get(*at..at + 4), Some(b"Xing" | b"Info")))?;
    let flags = be32(frame, tag + 4);
    let mut at = tag + 8;
    let mut field = |bit: u32, size: usize| {
        (flags & bit != 0).then(|| {
            at += size;
            u64::from(be32(frame, at - size))
        })
    };
    let (packets, bytes) = (field(1, 4).filter(|n| *n > 0), field(2, 4).filter(|n| *n > 0));
    field(4, 100);
    field(8, 4);
    let lame = frame.get(at..at + 24).unwrap_or_default();
    let written = lame.len() == 24 && lame[..4].iter().all(|c| c.is_ascii_alphanumeric());
    let delay = written.then(|| (u64::from(be16(lame, 21) >> 4), u64::from(be16(lame, 22) & 0xfff)));
    Some(Info { packets, bytes, delay })
}

/// Builds the plan for a stream that begins with a frame at `from` and ends before `to`.
///
/// # Errors
/// If the file cannot be read, or the stream contains no sound.
pub(super) fn open(bytes: &mut Bytes, from: u64, to: u64) -> Result<Plan, DecodeError> {
    let to = tags::before(bytes, from, to)?;
    let first =
        parse(bytes.peek(from, HEADER)?).ok_or_else(|| DecodeError::Damaged("its first frame is corrupt".into()))?;
    let info = match layer(&first) {
        3 => info(bytes.peek(from, first.bytes as usize)?, &first),
        _ => None,
    };
    let start = if info.is_some() { from + u64::from(first.bytes) } else { from };
    let (frames, there, lost, cut) = match grid::sample(bytes.file(), parse as Parse, start, to)? {
        Some(found) => {
            let (head, marks) = (found.grid.head, Marks::Grid(found.grid));
            let run = Run { at: 0, offset: start, packets: found.packets, head, fresh: false, marks };
            let setups = vec![(head.rate, 2), (head.rate, 1)];
            let frames = Frames { parse, end: found.end, rate: head.rate, runs: vec![run], setups };
            (frames, found.packets, 0, found.cut)
        }
        None => {
            let walk = walk(bytes, parse, start, to)?;
            let cut = walk.cut;
            let (frames, there, lost) = walk.place(parse, info.and_then(|i| i.packets));
            (frames, there, lost, cut)
        }
    };
    let Some(head) = frames.runs.first().map(|run| run.head) else {
        return Err(DecodeError::Unsupported("it contains no sound".into()));
    };
    let (rate, all, promised) = (frames.rate, there + lost, info.and_then(|i| i.packets));
    // Trim what the encoder added on both sides; at the end only if the end is the original one.
    let mut edit = Edit { media: Some(0), frames: frames.last().max(0) as u64 };
    if let Some((delay, padding)) = info.and_then(|i| i.delay) {
        let before = delay + DECODER_DELAY;
        let behind = if promised.is_none_or(|n| n == all) { padding.saturating_sub(DECODER_DELAY) } else { 0 };
        edit = Edit { media: Some(before as i64), frames: edit.frames.saturating_sub(before + behind) };
    }
    let time = |packets: u64| seconds(packets * u64::from(head.frames), rate);
    let mut remarks = Vec::new();
    match promised.filter(|n| *n != all) {
        Some(n) => {
            // A truncated file is short of bytes as well; otherwise the count in its header is wrong.
            let cut_off = info.and_then(|i| i.bytes).is_some_and(|all| from + all > frames.end + u64::from(head.bytes));
            remarks.push(match n > all && cut_off {
                true => Remark::loss(format!("{} of its {} are missing at the end", time(n - all), time(n))),
                false => Remark::note(format!("its header announces {n} frames, but {all} are present and played")),
            });
        }
        None if cut => remarks.push(Remark::note("its last frame is truncated".into())),
        None => {}
    }
    if lost > 0 {
        remarks.push(Remark::loss(format!("about {} of it are damaged", time(lost))));
    }
    let other = |run: &&Run| run.head.rate != rate;
    if let Some(run) = frames.runs.iter().find(other) {
        let packets = frames.runs.iter().filter(other).map(|run| run.packets).sum::<u64>();
        let part = seconds(packets * u64::from(run.head.frames), run.head.rate);
        remarks.push(Remark::loss(format!(
            "its sample rate changes from {rate} to {} Hz: {part} are silent",
            run.head.rate
        )));
    }
    let setups = frames.setups.iter().map(|(rate, channels)| setup(&Head { rate: *rate, ..head }, *channels)).collect();
    Ok(Plan { rate, setups, edits: vec![edit], layout: Arc::new(frames), remarks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_give_sizes_and_rates() {
        // 128 kbit/s joint stereo at 44.1 kHz, without and with padding; MPEG-2 at 24 kHz, 64 kbit/s, one channel.
        let head = parse(&[0xff, 0xfb, 0x90, 0x64]).unwrap();
        assert_eq!((head.bytes, head.frames, head.rate, head.channels), (417, 1_152, 44_100, 2));
        assert_eq!(parse(&[0xff, 0xfb, 0x92, 0x64]).unwrap().bytes, 418);
        let head = parse(&[0xff, 0xf3, 0x84, 0xc4]).unwrap();
        assert_eq!((head.bytes, head.frames, head.rate, head.channels), (192, 576, 24_000, 1));
        // Layer II, 256 kbit/s at 48 kHz; layer I, 384 kbit/s at 44.1 kHz.
        assert_eq!(parse(&[0xff, 0xfd, 0xc4, 0x00]).unwrap().bytes, 768);
        assert_eq!(parse(&[0xff, 0xff, 0xc0, 0x00]).unwrap().bytes, 416);
        for none in
            [[0xff, 0xff, 0xff, 0xff], [0xff, 0xfb, 0xf0, 0x64], [0xff, 0xfb, 0x9c, 0x64], [0xff, 0xeb, 0x90, 0]]
        {
            assert_eq!(parse(&none), None);
        }
        assert!(is_free_format(&[0xff, 0xfb, 0x00, 0x64]));
    }

    #[test]
    fn an_information_frame_is_read_with_a_wrong_checksum_and_with_a_protected_header() {
        let head = parse(&[0xff, 0xfb, 0x90, 0x64]).unwrap();
        for at in [36, 38] {
            let mut frame = vec![0; 417];
            frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
            frame[at..at + 16].copy_from_slice(b"Info\0\0\0\x03\0\0\0\x74\0\0\xbf\x04");
            frame[at + 16..at + 25].copy_from_slice(b"LAME3.100");
            // A delay of 576 and a padding of 756.
            frame[at + 16 + 21..at + 16 + 24].copy_from_slice(&[0x24, 0x02, 0xf4]);
            let wanted = Info { packets: Some(116), bytes: Some(0xbf04), delay: Some((576, 756)) };
            assert_eq!(info(&frame, &head), Some(wanted));
        }
    }
}
