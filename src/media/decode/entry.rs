//! Sample entries of MP4 and QuickTime files: the codec of a track (ISO/IEC 14496-12, 8.5.2; QuickTime File Format,
//! "Sound Sample Descriptions").

use std::io;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_ALAC;

use super::aac;
use super::boxes::{Atom, contents, within};
use super::bytes::{Bytes, be16, be32, be64};
use super::error::DecodeError;
use super::flac;
use super::mpeg;
use super::pcm::{Kind, Sample};
use super::plan::{Codec, Remark, Setup};

/// Maximum number of frames in a packet of ALAC; encoders write 4096.
const MOST_ALAC: u32 = 16_384;

/// Relation of packets to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// Every packet has this number of frames.
    Packets(u32),
    /// Every packet is one frame of this number of bytes.
    Frames(u32),
    /// Packets carry their own position (FLAC).
    Flac(flac::Info),
}

/// A sample entry that can be decoded.
#[derive(Debug)]
pub(super) struct Entry {
    /// The decoders: one, or two for FLAC.
    pub setups: Vec<Setup>,
    /// Relation of packets to time.
    pub timing: Timing,
    /// A remark for the user.
    pub remark: Option<Remark>,
}

/// The codec-independent part of a sample entry.
struct Sound {
    channels: u32,
    bits: u32,
    rate: u32,
    /// Flags of QuickTime's `lpcm`.
    flags: u32,
    atoms: Vec<Atom>,
}

/// Name of an unsupported codec.
fn name(kind: &[u8; 4]) -> Option<&'static str> {
    Some(match kind {
        b"ac-3" | b"sac3" => "AC-3",
        b"ec-3" => "E-AC-3",
        b"ac-4" => "AC-4",
        b"Opus" => "Opus in MP4",
        b"dtsc" | b"dtse" | b"dtsh" | b"dtsl" | b"dtsx" => "DTS",
        b"mlpa" => "Dolby TrueHD",
        b"samr" | b"sawb" | b"sawp" => "AMR",
        b"enca" | b"drms" => "sound protected by DRM",
        b"mha1" | b"mha2" | b"mhm1" | b"mhm2" => "MPEG-H audio",
        b"iamf" => "IAMF",
        b"apac" => "Apple's APAC",
        b"ima4" => "IMA ADPCM in QuickTime",
        b"MAC3" | b"MAC6" => "MACE",
        b"QDM2" | b"QDMC" => "QDesign Music",
        b"Qclp" | b"sqcp" => "QCELP",
        b"agsm" => "GSM",
        b"WMA2" => "WMA",
        b"spex" => "Speex",
        _ => return None,
    })
}

/// Formats a box type for messages.
fn printable(kind: &[u8; 4]) -> String {
    kind.iter().map(|c| if (0x20..0x7f).contains(c) { char::from(*c) } else { '?' }).collect()
}

/// Parses a sample entry; `scale` is the time scale of the track.
///
/// # Errors
/// If the file cannot be read, or the codec or its variant is not supported.
pub(super) fn read(bytes: &mut Bytes, entry: &Atom, first_packet: &[u8], scale: u32) -> Result<Entry, DecodeError> {
    let sound = sound(bytes, entry, scale)?;
    let whole = |setup: Setup, timing: Timing| Entry { setups: vec![setup], timing, remark: None };
    let own = |bytes: &mut Bytes, kind: &[u8; 4]| -> io::Result<Option<Vec<u8>>> {
        sound.atoms.iter().find(|a| a.kind == *kind).map(|a| contents(bytes, a, 4096)).transpose()
    };
    if let Some(sample) = plain(bytes, &entry.kind, &sound)? {
        let channels = sound.channels as usize;
        let setup = Setup { codec: Codec::Pcm(sample), rate: sound.rate, channels, positions: None };
        if channels == 0 || channels > super::mix::MAX_PAIRED || !sample.is_sound() {
            return Err(DecodeError::Unsupported(format!(
                "{channels} channels of {} bytes are not supported",
                sample.bytes
            )));
        }
        return Ok(whole(setup, Timing::Frames((channels * sample.bytes) as u32)));
    }
    match &entry.kind {
        b"mp4a" | b".mp3" | b"ms\0\x55" => {
            let (object, config) = match own(bytes, b"esds")? {
                Some(esds) => descriptors(esds.get(4..).unwrap_or_default()),
                None => (0x6b, Vec::new()),
            };
            match object {
                0x40 | 0x66..=0x68 => {
                    let config = aac::Config::read(&config)
                        .ok_or_else(|| DecodeError::Damaged("its AAC configuration is missing".into()))?;
                    let stated = sound.rate.max(scale);
                    let entry = whole(config.setup()?, Timing::Packets(aac::FRAMES));
                    Ok(Entry { remark: config.remark(stated), ..entry })
                }
                0x69 | 0x6b => {
                    let head = mpeg::parse(first_packet)
                        .ok_or_else(|| DecodeError::Damaged("its first MP3 frame is corrupt".into()))?;
                    Ok(whole(mpeg::setup(&head, head.channels), Timing::Packets(head.frames)))
                }
                0xa5 => Err(DecodeError::no_decoder("AC-3")),
                0xa6 => Err(DecodeError::no_decoder("E-AC-3")),
                0xa9..=0xac => Err(DecodeError::no_decoder("DTS")),
                0xad => Err(DecodeError::no_decoder("Opus in MP4")),
                0xdd => Err(DecodeError::no_decoder("Vorbis in MP4")),
                0xe1 => Err(DecodeError::no_decoder("QCELP")),
                other => Err(DecodeError::no_decoder(&format!("MPEG-4 object type {other:#04x}"))),
            }
        }
        b"alac" => {
            let cookie = own(bytes, b"alac")?.unwrap_or_default();
            // Version and flags, then the configuration of 24 bytes.
            let config = cookie.get(4..28).ok_or_else(|| DecodeError::Damaged("its ALAC header is missing".into()))?;
            let (frames, channels, rate) = (be32(config, 0), config[9], be32(config, 20));
            if frames == 0 || frames > MOST_ALAC || channels == 0 || channels > 8 || rate == 0 {
                return Err(DecodeError::Damaged("its ALAC header is invalid".into()));
            }
            let mut parameters = AudioCodecParameters::new();
            parameters.for_codec(CODEC_ID_ALAC).with_extra_data(config.into());
            let codec = Codec::Symphonia(Box::new(parameters));
            let setup = Setup { codec, rate, channels: usize::from(channels), positions: None };
            Ok(whole(setup, Timing::Packets(frames)))
        }
        b"fLaC" => {
            let header = own(bytes, b"dfLa")?.unwrap_or_default();
            // Version and flags, then the header of the first block, which is STREAMINFO.
            let info = header.get(8..).and_then(flac::Info::read);
            let info = info.ok_or_else(|| DecodeError::Damaged("its FLAC header is missing".into()))?;
            Ok(Entry { setups: info.setups().into(), timing: Timing::Flac(info), remark: None })
        }
        kind => {
            let name = name(kind).map_or_else(|| format!("the codec '{}'", printable(kind)), Into::into);
            Err(DecodeError::no_decoder(&name))
        }
    }
}

/// Parses the part common to all sample entries, in all its versions.
fn sound(bytes: &mut Bytes, entry: &Atom, scale: u32) -> io::Result<Sound> {
    let head = contents(bytes, entry, 64)?;
    let version = be16(&head, 8);
    let mut sound = Sound {
        channels: u32::from(be16(&head, 16)),
        bits: u32::from(be16(&head, 18)),
        rate: be32(&head, 24) >> 16,
        flags: 0,
        atoms: Vec::new(),
    };
    if version == 2 {
        sound.rate = f64::from_bits(be64(&head, 32)) as u32;
        sound.channels = be32(&head, 40);
        sound.bits = be32(&head, 48);
        sound.flags = be32(&head, 52);
    }
    // The field only holds rates below 65 536; in most files the time scale equals the rate.
    if sound.rate == 0 {
        sound.rate = scale;
    }
    let lead = match version {
        1 => 28 + 16,
        2 => 28 + 36,
        _ => 28,
    };
    for lead in [lead, 28] {
        let atoms = within(bytes, entry.from + lead, entry.to)?;
        if atoms.iter().all(|atom| atom.whole) && !atoms.is_empty() {
            sound.atoms = atoms;
            break;
        }
    }
    if let Some(wave) = sound.atoms.iter().find(|atom| atom.kind == *b"wave").copied() {
        sound.atoms.extend(within(bytes, wave.from, wave.to)?);
    }
    Ok(sound)
}

/// Returns the PCM format of a sample entry, if it has one.
fn plain(bytes: &mut Bytes, kind: &[u8; 4], sound: &Sound) -> io::Result<Option<Sample>> {
    let own = |kind: &[u8; 4]| sound.atoms.iter().find(|a| a.kind == *kind).copied();
    let little = match own(b"enda") {
        Some(atom) => be16(&contents(bytes, &atom, 2)?, 0) == 1,
        None => false,
    };
    let size = (sound.bits as usize).div_ceil(8).max(1);
    let sample = |kind: Kind, bytes: usize, big: bool| Some(Sample { kind, bytes, big });
    Ok(match kind {
        b"raw " if sound.bits <= 8 => sample(Kind::Unsigned, 1, true),
        b"raw " | b"NONE" | b"twos" => sample(Kind::Signed, size, true),
        b"sowt" => sample(Kind::Signed, size, false),
        b"in24" => sample(Kind::Signed, 3, !little),
        b"in32" => sample(Kind::Signed, 4, !little),
        b"fl32" => sample(Kind::Float, 4, !little),
        b"fl64" => sample(Kind::Float, 8, !little),
        b"alaw" => sample(Kind::Alaw, 1, true),
        b"ulaw" => sample(Kind::Mulaw, 1, true),
        b"lpcm" => {
            let float = sound.flags & 1 != 0;
            let kind = match (float, sound.flags & 4 != 0 || sound.bits > 8) {
                (true, _) => Kind::Float,
                (false, true) => Kind::Signed,
                (false, false) => Kind::Unsigned,
            };
            sample(kind, size, sound.flags & 2 != 0)
        }
        b"ipcm" | b"fpcm" => {
            // ISO/IEC 23003-5: version and flags, format flags (1: little-endian), bits.
            let config = match own(b"pcmC") {
                Some(atom) => contents(bytes, &atom, 6)?,
                None => vec![0, 0, 0, 0, 0, sound.bits as u8],
            };
            let size = usize::from(config.get(5).copied().unwrap_or(16)).div_ceil(8);
            let big = config.get(4).is_none_or(|flags| flags & 1 == 0);
            sample(if kind == b"fpcm" { Kind::Float } else { Kind::Signed }, size, big)
        }
        _ => None,
    })
}

/// Extracts the object type and the decoder configuration from the descriptors of an `esds` box (ISO/IEC 14496-1,
/// 7.2.6).
fn descriptors(mut bytes: &[u8]) -> (u8, Vec<u8>) {
    let mut object = 0;
    // Each iteration enters or skips a descriptor.
    for _ in 0..16 {
        let Some((tag, rest)) = bytes.split_first() else { break };
        let mut size = 0usize;
        let mut lead = 0;
        while let Some(byte) = rest.get(lead).filter(|_| lead < 4) {
            size = size << 7 | usize::from(byte & 0x7f);
            lead += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let inner = &rest[lead..];
        let inside = &inner[..size.min(inner.len())];
        bytes = match tag {
            3 => {
                let flags = inside.get(2).copied().unwrap_or(0);
                let mut skip = 3;
                skip += if flags & 0x80 != 0 { 2 } else { 0 };
                if flags & 0x40 != 0 {
                    skip += 1 + usize::from(inside.get(skip).copied().unwrap_or(0));
                }
                skip += if flags & 0x20 != 0 { 2 } else { 0 };
                inside.get(skip..).unwrap_or_default()
            }
            4 => {
                object = inside.first().copied().unwrap_or(0);
                inside.get(13..).unwrap_or_default()
            }
            5 => return (object, inside.to_vec()),
            _ => &inner[size.min(inner.len())..],
        };
    }
    (object, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_give_the_object_type_and_the_configuration() {
        let esds = [
            0x03, 0x80, 0x80, 0x80, 0x25, 0, 1, 0, 0x04, 0x80, 0x80, 0x80, 0x17, 0x40, 0x15, 0, 0, 0, 0, 1, 0x77, 0, 0,
            1, 0x70, 0x69, 0x05, 0x80, 0x80, 0x80, 0x05, 0x12, 0x10, 0x56, 0xe5, 0, 0x06, 1, 2,
        ];
        assert_eq!(descriptors(&esds), (0x40, vec![0x12, 0x10, 0x56, 0xe5, 0]));
        for length in 0..esds.len() {
            descriptors(&esds[..length]);
        }
    }
}
