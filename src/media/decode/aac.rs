//! AAC: configuration records, and ADTS frames (ISO/IEC 14496-3, 1.6.2.1 and 1.A.2.2).
//!
//! Only AAC-LC with one or two channels is decoded. HE-AAC is AAC-LC at half the rate plus a description of the upper
//! half of the spectrum, which is ignored here: pitch and length are right, the high frequencies are missing. Symphonia
//! rejects such files or plays them at the full rate (github.com/pdeljanov/Symphonia, #473 and #481).

use std::sync::Arc;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;

use super::bytes::Bytes;
use super::error::DecodeError;
use super::plan::{Codec, Edit, Plan, Remark, Setup, seconds};
use super::scan::{HEADER, Head, walk};
use super::tags;

/// Frames of sound per packet.
pub(super) const FRAMES: u32 = 1_024;
/// Sample rates by index.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Content of an AudioSpecificConfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// Audio object type: 2 is AAC-LC.
    pub object: u32,
    /// Sample rate of the core in Hz.
    pub rate: u32,
    /// Channel configuration: 1 and 2 are mono and stereo.
    pub channels: u32,
    /// Whether a packet has 960 frames instead of 1024.
    pub short: bool,
    /// Output rate of HE-AAC in Hz, if the configuration declares it.
    pub extended: Option<u32>,
}

/// Bit reader, most significant bit first; returns zeros past the end.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, n: usize) -> u32 {
        (0..n).fold(0, |value, _| {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            value << 1 | u32::from(bit)
        })
    }

    fn left(&self) -> usize {
        (8 * self.bytes.len()).saturating_sub(self.at)
    }

    fn object(&mut self) -> u32 {
        match self.take(5) {
            31 => 32 + self.take(6),
            object => object,
        }
    }

    fn rate(&mut self) -> u32 {
        match self.take(4) {
            15 => self.take(24),
            index => RATES.get(index as usize).copied().unwrap_or(0),
        }
    }
}

impl Config {
    /// Parses an AudioSpecificConfig.
    pub fn read(bytes: &[u8]) -> Option<Config> {
        let mut bits = Bits { bytes, at: 0 };
        let mut object = bits.object();
        let (rate, channels) = (bits.rate(), bits.take(4));
        let mut extended = None;
        if object == 5 || object == 29 {
            extended = Some(bits.rate());
            object = bits.object();
        }
        let short = bits.take(1) == 1;
        if bits.take(1) == 1 {
            bits.take(14);
        }
        bits.take(1);
        // The backward compatible declaration of HE-AAC follows everything else.
        if extended.is_none() && channels != 0 && bits.left() >= 16 && bits.take(11) == 0x2b7 && bits.object() == 5 {
            extended = (bits.take(1) == 1).then(|| bits.rate());
        }
        (rate > 0).then_some(Config { object, rate, channels, short, extended })
    }

    /// Returns the decoder setup, or an error that names what is not supported.
    pub fn setup(&self) -> Result<Setup, DecodeError> {
        let name = match self.object {
            1 => "AAC Main",
            2 => "",
            3 => "AAC SSR",
            4 => "AAC LTP",
            17 => "error resilient AAC",
            23 => "AAC LD",
            36 => "MPEG-4 ALS",
            37 | 38 => "MPEG-4 SLS",
            39 => "AAC ELD",
            42 => "xHE-AAC (USAC)",
            _ => "a rare variant of MPEG-4 audio",
        };
        if !name.is_empty() {
            return Err(DecodeError::no_decoder(name));
        }
        if !matches!(self.channels, 1 | 2) {
            let channels = match self.channels {
                0 => "a custom channel layout".into(),
                7 => "8 channels".into(),
                n => format!("{n} channels"),
            };
            return Err(DecodeError::Unsupported(format!("AAC with {channels} is not supported; 1 or 2 channels are")));
        }
        if self.short {
            return Err(DecodeError::Unsupported("AAC with 960 frames per packet is not supported; 1024 are".into()));
        }
        let mut parameters = AudioCodecParameters::new();
        // Object type: 5 bits; rate index: 4 bits, optionally a 24-bit rate; channels: 4 bits; three zero bits.
        let mut word: u64 = 2;
        let mut length = 5;
        let mut put = |value: u32, bits: u32| {
            word = word << bits | u64::from(value);
            length += bits;
        };
        match RATES.iter().position(|rate| *rate == self.rate) {
            Some(index) => put(index as u32, 4),
            None => {
                put(15, 4);
                put(self.rate & 0xff_ffff, 24);
            }
        }
        put(self.channels, 4);
        put(0, 3);
        let bytes = (word << (64 - length)).to_be_bytes();
        let config = bytes[..length.div_ceil(8) as usize].to_vec().into_boxed_slice();
        parameters.for_codec(CODEC_ID_AAC).with_sample_rate(self.rate).with_extra_data(config);
        Ok(Setup {
            codec: Codec::Symphonia(Box::new(parameters)),
            rate: self.rate,
            channels: self.channels as usize,
            positions: None,
        })
    }

    /// Returns the remark for HE-AAC; `stated` is the rate in the container.
    pub fn remark(&self, stated: u32) -> Option<Remark> {
        let full = self.extended.or((stated == 2 * self.rate).then_some(stated)).filter(|full| *full > self.rate)?;
        Some(Remark::note(format!(
            "it is HE-AAC of {full} Hz; only the core of {} Hz is decoded, so the high frequencies are missing",
            self.rate
        )))
    }
}

/// Parses the header of an ADTS frame.
pub(super) fn parse(bytes: &[u8]) -> Option<Head> {
    let head = bytes.get(..7)?;
    if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
        return None;
    }
    let lead = if head[1] & 1 == 0 { 9 } else { 7 };
    let (profile, index) = (u32::from(head[2] >> 6), usize::from(head[2] >> 2 & 15));
    let rate = *RATES.get(index)?;
    let channels = (head[2] & 1) << 2 | head[3] >> 6;
    let bytes = u32::from(head[3] & 3) << 11 | u32::from(head[4]) << 3 | u32::from(head[5] >> 5);
    let blocks = u32::from(head[6] & 3) + 1;
    (bytes > lead).then_some(Head { bytes, lead, frames: FRAMES * blocks, rate, channels, bit_rate: 0, kind: profile })
}

/// Builds the plan for an ADTS stream that begins with a frame at `from` and ends before `to`.
///
/// # Errors
/// If the file cannot be read, or the stream is not AAC-LC or contains no sound.
pub(super) fn open(bytes: &mut Bytes, from: u64, to: u64) -> Result<Plan, DecodeError> {
    let to = tags::before(bytes, from, to)?;
    let first =
        parse(bytes.peek(from, HEADER)?).ok_or_else(|| DecodeError::Damaged("its first frame is corrupt".into()))?;
    if first.frames > FRAMES {
        return Err(DecodeError::Unsupported("AAC with several blocks in an ADTS frame is not supported".into()));
    }
    let config = |rate, channels| Config { object: first.kind + 1, rate, channels, short: false, extended: None };
    config(first.rate, u32::from(first.channels)).setup()?;
    let walk = walk(bytes, parse, from, to)?;
    let cut = walk.cut;
    let (frames, _, lost) = walk.place(parse, None);
    if frames.runs.is_empty() {
        return Err(DecodeError::Unsupported("it contains no sound".into()));
    }
    let rate = frames.rate;
    let mut remarks = Vec::new();
    if cut {
        remarks.push(Remark::note("its last frame is truncated".into()));
    }
    if lost > 0 {
        remarks.push(Remark::loss(format!("about {} of it are damaged", seconds(lost * u64::from(FRAMES), rate))));
    }
    if let Some(run) = frames.runs.iter().find(|run| run.head.rate != rate) {
        remarks.push(Remark::loss(format!(
            "its sample rate changes from {rate} to {} Hz: that part is silent",
            run.head.rate
        )));
    }
    // A part with more channels fails to decode and plays as silence, like damage.
    let setups = frames
        .setups
        .iter()
        .map(|(rate, channels)| config(*rate, u32::from(*channels)).setup().or_else(|_| config(*rate, 2).setup()));
    let setups = setups.collect::<Result<Vec<_>, _>>()?;
    let edit = Edit { media: Some(0), frames: frames.last().max(0) as u64 };
    Ok(Plan { rate, setups, edits: vec![edit], layout: Arc::new(frames), remarks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_all_ages_are_read() {
        let plain = Config { object: 2, rate: 44_100, channels: 2, short: false, extended: None };
        assert_eq!(Config::read(&[0x12, 0x10]), Some(plain));
        // HE-AAC, declared explicitly and in the backward compatible way.
        let he = Config { rate: 22_050, extended: Some(44_100), ..plain };
        assert_eq!(Config::read(&[0x2b, 0x92, 0x08, 0x00]), Some(he));
        assert_eq!(Config::read(&[0x13, 0x90, 0x56, 0xe5, 0xa0]), Some(he));
        assert_eq!(Config::read(&[0x17, 0x80, 0x2b, 0x11, 0x10]).unwrap().rate, 22_050);
    }

    #[test]
    fn a_decoder_gets_a_configuration_without_extensions() {
        for (rate, bytes) in [(22_050, vec![0x13, 0x90]), (23_000, vec![0x17, 0x80, 0x2c, 0xec, 0x10])] {
            let config = Config { object: 2, rate, channels: 2, short: false, extended: Some(2 * rate) };
            let Codec::Symphonia(parameters) = config.setup().unwrap().codec else { panic!() };
            assert_eq!(parameters.extra_data.as_deref(), Some(bytes.as_slice()));
            let back = Config::read(&bytes).unwrap();
            assert_eq!((back.object, back.rate, back.channels, back.extended), (2, rate, 2, None));
        }
    }
}
