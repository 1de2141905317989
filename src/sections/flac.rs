//! Writes FLAC files (RFC 9639) with Vorbis comments, in bounded memory.
//!
//! The crate `libflac-rs`, a port of libFLAC, encodes whole sounds only. Here, each block is encoded as a sound of its
//! own, whose only frame is then given its number and new checksums.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use libflac_rs::{Encoder, EncoderConfig};
use md5::{Digest, Md5};

use super::tags::Tags;

/// Number of frames (samples of all channels) in a block, except for the last one.
const BLOCK: usize = 4096;
/// Compression level. The reference encoder's default; 8 takes three times as long for 0 to 15 % less space.
const LEVEL: u32 = 5;
/// Maximum sample rate in Hz that a block's header can hold. STREAMINFO could hold up to 1 048 575, but decoders refuse
/// more than this.
const MOST_HZ: u32 = 655_350;
/// Space in bytes that is reserved for the tags of other programs, which otherwise would rewrite the whole file.
const PADDING: usize = 4096;

/// Writes interleaved samples to a FLAC file.
///
/// Each block is written as soon as it is complete. A file that was not finished is valid, but its length is unknown.
pub struct FlacWriter {
    file: BufWriter<File>,
    encoder: Encoder,
    /// Samples of the incomplete block.
    block: Vec<i32>,
    blocks: u32,
    frames: u64,
    /// Sizes in bytes of the smallest and the largest encoded block.
    sizes: Option<(u32, u32)>,
    md5: Md5,
}

impl FlacWriter {
    /// Creates or overwrites the file: 1 to 8 channels of 16 or 24 bits at 1 to 655 350 Hz.
    ///
    /// # Errors
    /// `InvalidInput` if a parameter is out of range; errors of the file system.
    pub fn create(path: &Path, channels: u16, rate: u32, bits: u8, tags: &Tags) -> io::Result<FlacWriter> {
        if !(1..=8).contains(&channels) || !(1..=MOST_HZ).contains(&rate) || !matches!(bits, 16 | 24) {
            return Err(invalid(format!("FLAC cannot have {channels} channels of {bits} bits at {rate} Hz")));
        }
        let config = EncoderConfig::new(u32::from(channels), u32::from(bits), rate)
            .with_block_size(BLOCK as u32)
            .with_compression_level(LEVEL);
        let mut writer = FlacWriter {
            file: BufWriter::new(File::create(path)?),
            encoder: Encoder::new(config),
            block: Vec::new(),
            blocks: 0,
            frames: 0,
            sizes: None,
            md5: Md5::new(),
        };
        writer.file.write_all(&writer.stream_info([0; 16]))?;
        writer.file.write_all(&metadata(4, &comments(tags)))?;
        writer.file.write_all(&metadata(0x81, &[0; PADDING]))?;
        Ok(writer)
    }

    /// Appends whole frames of interleaved samples.
    ///
    /// # Errors
    /// `InvalidInput` if a frame is incomplete or a sample needs more bits; nothing is written then. Errors of the file
    /// system.
    pub fn write(&mut self, interleaved: &[i32]) -> io::Result<()> {
        let EncoderConfig { bits_per_sample: bits, .. } = *self.encoder.config();
        let most = (1 << (bits - 1)) - 1;
        if !interleaved.len().is_multiple_of(self.channels()) {
            return Err(invalid("the last frame is incomplete".to_owned()));
        }
        if let Some(sample) = interleaved.iter().find(|sample| !(-most - 1..=most).contains(*sample)) {
            return Err(invalid(format!("{sample} needs more than {bits} bits")));
        }
        let mut rest = interleaved;
        while !rest.is_empty() {
            let space = BLOCK * self.channels() - self.block.len();
            let (now, later) = rest.split_at(space.min(rest.len()));
            self.block.extend(now);
            rest = later;
            if now.len() == space {
                self.encode()?;
            }
        }
        Ok(())
    }

    /// Writes the last block and the final header and syncs the file; returns the number of frames.
    pub fn finish(mut self) -> io::Result<u64> {
        if !self.block.is_empty() {
            self.encode()?;
        }
        self.file.rewind()?;
        let header = self.stream_info(self.md5.clone().finalize().into());
        self.file.write_all(&header)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.frames)
    }

    fn channels(&self) -> usize {
        self.encoder.config().channels as usize
    }

    /// Encodes and writes the block.
    fn encode(&mut self) -> io::Result<()> {
        let width = self.encoder.config().bits_per_sample as usize / 8;
        let bytes = self.block.iter().flat_map(|sample| sample.to_le_bytes().into_iter().take(width));
        self.md5.update(bytes.collect::<Vec<_>>());
        let encoded = renumbered(&self.encoder.encode_frames(&self.block), self.blocks);
        self.file.write_all(&encoded)?;
        let size = encoded.len() as u32;
        let (least, most) = self.sizes.unwrap_or((size, size));
        self.sizes = Some((least.min(size), most.max(size)));
        self.blocks += 1;
        self.frames += (self.block.len() / self.channels()) as u64;
        self.block.clear();
        Ok(())
    }

    /// Returns the start of the file: the signature and the STREAMINFO block as of now.
    fn stream_info(&self, md5: [u8; 16]) -> Vec<u8> {
        let EncoderConfig { channels, bits_per_sample, sample_rate, .. } = *self.encoder.config();
        // 0 is "unknown" for both.
        let frames = if self.frames < 1 << 36 { self.frames } else { 0 };
        let (least, most) = self.sizes.unwrap_or_default();
        let mut info = Vec::new();
        info.extend([BLOCK as u16; 2].map(u16::to_be_bytes).as_flattened());
        info.extend(&least.to_be_bytes()[1..]);
        info.extend(&most.to_be_bytes()[1..]);
        let format =
            u64::from(sample_rate) << 44 | u64::from(channels - 1) << 41 | u64::from(bits_per_sample - 1) << 36;
        info.extend((format | frames).to_be_bytes());
        info.extend(md5);
        [b"fLaC", &metadata(0, &info)[..]].concat()
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Returns a metadata block.
fn metadata(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// Returns the content of the VORBIS_COMMENT block, with the names that DJ programs read. `COMMENT` is the common one,
/// although the recommendation of xiph.org has only `DESCRIPTION`.
fn comments(tags: &Tags) -> Vec<u8> {
    let tags = tags.cleaned();
    let bpm = tags.bpm_text();
    let fields = [
        ("TITLE", &tags.title),
        ("ARTIST", &tags.artist),
        ("BPM", &bpm),
        ("INITIALKEY", &tags.key),
        ("COMMENT", &tags.comment),
    ];
    let fields = fields.iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("{name}={text}"));
    let fields: Vec<_> = fields.collect();
    let text = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let mut out = text("grooved");
    out.extend((fields.len() as u32).to_le_bytes());
    out.extend(fields.iter().flat_map(|field| text(field)));
    out
}

/// Returns an encoded block of number 0 with another number (below 2^31), which makes it up to five bytes longer.
fn renumbered(encoded: &[u8], number: u32) -> Vec<u8> {
    // Sync code, codes for size, rate, channels and bits; number; size and rate where they have no code; checksum.
    let codes = encoded[2];
    let size = usize::from(matches!(codes >> 4, 6 | 7)) + usize::from(codes >> 4 == 7);
    let rate = usize::from(matches!(codes & 15, 12..=14)) + usize::from(matches!(codes & 15, 13 | 14));
    let (header, content) = encoded[..encoded.len() - 2].split_at(5 + size + rate);
    let mut out = header[..4].to_vec();
    out.extend(coded(number));
    out.extend(&header[5..]);
    out.push(crc8(&out));
    out.extend(&content[1..]);
    out.extend(crc16(&out).to_be_bytes());
    out
}

/// Returns the number in the code of UTF-8, continued to 31 bits.
fn coded(number: u32) -> Vec<u8> {
    if number < 0x80 {
        return vec![number as u8];
    }
    // With n bytes after the first, 5 n + 6 bits fit.
    let more = (1..5).find(|more| number >> (5 * more + 6) == 0).unwrap_or(5);
    let first = 0xff << (7 - more) as u8 | (number >> (6 * more)) as u8;
    std::iter::once(first).chain((0..more).rev().map(|at| 0x80 | (number >> (6 * at)) as u8 & 0x3f)).collect()
}

/// CRC of a block's header: x^8 + x^2 + x + 1.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| (crc << 1) ^ (0x07 * (crc >> 7))))
}

/// CRC of a block: x^16 + x^15 + x^2 + 1.
fn crc16(bytes: &[u8]) -> u16 {
    let step = |crc: u16, _| (crc << 1) ^ (0x8005 * (crc >> 15));
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ u16::from(*byte) << 8, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use symphonia::core::codecs::audio::AudioDecoderOptions;
    use symphonia::core::formats::{FormatOptions, TrackType, probe::Hint};
    use symphonia::core::io::MediaSourceStream;
    use symphonia::core::meta::MetadataOptions;

    /// A path that no other test uses; the file is removed at the end.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new() -> Temporary {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            Temporary(std::env::temp_dir().join(format!("grooved-flac-{}-{number}.flac", std::process::id())))
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn tags() -> Tags {
        Tags {
            title: "Größe = 日本語".to_owned(),
            artist: "x\ny".to_owned(),
            bpm: Some(122.5),
            key: "C#m".to_owned(),
            comment: "cut\nat speed 1".to_owned(),
        }
    }

    /// Loud and quiet sines with noise, reproducible.
    fn sound(channels: usize, frames: usize, bits: u8) -> Vec<i32> {
        let (most, mut seed) = (f64::from((1 << (bits - 1)) - 1), 1u32);
        (0..channels * frames)
            .map(|k| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(seed) / 2f64.powi(32) - 0.5;
                let sine = (0.02 * (k / channels) as f64 * (1 + k % channels) as f64).sin();
                (most * (0.9 * sine + 0.02 * noise)) as i32
            })
            .collect()
    }

    fn written(path: &Path, channels: u16, rate: u32, bits: u8, samples: &[i32], step: usize) -> io::Result<u64> {
        let mut writer = FlacWriter::create(path, channels, rate, bits, &tags())?;
        for part in samples.chunks(step * usize::from(channels)) {
            writer.write(part)?;
        }
        writer.finish()
    }

    fn decoded(path: &Path, bits: u8) -> Vec<i32> {
        read(path, bits, Some(true))
    }

    /// Decodes a file with Symphonia, which also verifies the MD5 of the samples, with this result.
    fn read(path: &Path, bits: u8, verified: Option<bool>) -> Vec<i32> {
        let source = MediaSourceStream::new(Box::new(File::open(path).unwrap()), Default::default());
        let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
        let mut format = symphonia::default::get_probe().probe(&Hint::new(), source, format, metadata).unwrap();
        let track = format.default_track(TrackType::Audio).unwrap();
        let parameters = track.codec_params.as_ref().unwrap().audio().unwrap();
        let options = AudioDecoderOptions::default().verify(true);
        let mut decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options).unwrap();
        let (mut all, mut block) = (Vec::new(), Vec::<i32>::new());
        while let Some(packet) = format.next_packet().unwrap() {
            let buffer = decoder.decode(&packet).unwrap();
            buffer.copy_to_vec_interleaved(&mut block);
            all.extend(block.iter().map(|sample| sample >> (32 - bits)));
        }
        assert_eq!(decoder.finalize().verify_ok, verified);
        all
    }

    /// The content of STREAMINFO: blocks, frame sizes, rate, channels, bits, frames; and the MD5 sum.
    fn stream_info(path: &Path) -> ([u64; 8], Vec<u8>) {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes[..8], *b"fLaC\0\0\0\x22");
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let packed = number(&bytes[18..26]);
        let sizes = [&bytes[8..10], &bytes[10..12], &bytes[12..15], &bytes[15..18]].map(number);
        let [a, b, c, d] = sizes;
        let fields =
            [a, b, c, d, packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, packed & ((1 << 36) - 1)];
        (fields, bytes[26..42].to_vec())
    }

    #[test]
    fn any_length_decodes_to_the_same_samples() {
        for bits in [16, 24] {
            for frames in [1, 2, 15, 16, 17, 4095, 4096, 4097, 10_000] {
                let (path, samples) = (Temporary::new(), sound(2, frames, bits));
                assert_eq!(written(&path.0, 2, 44_100, bits, &samples, 1000).unwrap(), frames as u64);
                assert!(decoded(&path.0, bits) == samples, "{frames} frames of {bits} bits");
                let ([least, most, small, large, rest @ ..], _) = stream_info(&path.0);
                assert_eq!((least, most, rest), (4096, 4096, [44_100, 2, u64::from(bits), frames as u64]));
                assert!(0 < small && small <= large && large < 4096 * 2 * 3 + 100);
            }
        }
    }

    #[test]
    fn any_number_of_channels_and_any_rate_can_be_written() {
        for (channels, rate) in
            [1, 2, 3, 4, 5, 6, 7, 8].into_iter().zip([1, 8000, 11_025, 65_537, 96_000, 192_000, 400_001, 655_350])
        {
            let (path, samples) = (Temporary::new(), sound(channels, 5000, 24));
            assert_eq!(written(&path.0, channels as u16, rate, 24, &samples, 5000).unwrap(), 5000);
            assert!(decoded(&path.0, 24) == samples, "{channels} channels");
            assert_eq!(stream_info(&path.0).0[4..6], [u64::from(rate), channels as u64]);
        }
    }

    #[test]
    fn extreme_samples_are_kept_and_never_take_much_more_space_than_uncompressed() {
        let most = (1 << 23) - 1;
        let squares = (0..20_000).map(|k| if k / 2 % 109 < 54 { most } else { -most - 1 }).collect::<Vec<_>>();
        let opposite = (0..20_000).map(|k| if k % 2 == 0 { most } else { -most - 1 }).collect();
        let clicks = (0..20_000).map(|k| if k % 4099 == 0 { most } else { 0 }).collect();
        let noise = sound(2, 10_000, 24).iter().map(|sample| sample.wrapping_mul(77_777_777) >> 8).collect();
        for samples in [squares, opposite, clicks, noise, vec![0; 20_000], vec![-most - 1; 20_000]] {
            let path = Temporary::new();
            written(&path.0, 2, 44_100, 24, &samples, 4096).unwrap();
            assert!(decoded(&path.0, 24) == samples);
            assert!(std::fs::metadata(&path.0).unwrap().len() < 20_000 * 3 + 5000);
        }
    }

    #[test]
    fn without_samples_there_is_a_valid_header_of_unknown_length() {
        let path = Temporary::new();
        assert_eq!(FlacWriter::create(&path.0, 2, 48_000, 16, &tags()).unwrap().finish().unwrap(), 0);
        assert_eq!(stream_info(&path.0).0, [4096, 4096, 0, 0, 48_000, 2, 16, 0]);
        // The sum of no bytes (RFC 1321).
        let sum = 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e_u128.to_be_bytes();
        assert_eq!(stream_info(&path.0).1, sum);
    }

    #[test]
    fn a_file_that_was_not_finished_can_be_decoded() {
        let (path, samples) = (Temporary::new(), sound(1, 10_000, 16));
        let mut writer = FlacWriter::create(&path.0, 1, 44_100, 16, &tags()).unwrap();
        writer.write(&samples).unwrap();
        drop(writer);
        assert!(read(&path.0, 16, None) == samples[..8192]);
    }

    #[test]
    fn blocks_are_numbered() {
        for number in (1..32).flat_map(|bit| [(1 << bit) - 1, 1 << bit, 1_234_567_890 >> bit]).filter(|n| n >> 31 == 0)
        {
            let code = coded(number);
            let first = u32::from(code[0]) & (0x7f >> code[0].leading_ones());
            assert_eq!(code[1..].iter().fold(first, |sum, byte| sum << 6 | u32::from(byte & 0x3f)), number);
            assert_eq!(code[0].leading_ones() as usize, if code.len() == 1 { 0 } else { code.len() });
            if let Some(same) = char::from_u32(number) {
                assert_eq!(code, same.to_string().as_bytes());
            }
        }
        // More than 2048 blocks: three bytes.
        let (path, samples) = (Temporary::new(), vec![-7; 2100 * 4096 + 5]);
        written(&path.0, 1, 655_350, 16, &samples, 1 << 20).unwrap();
        assert!(decoded(&path.0, 16) == samples);
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_size_of_the_parts() {
        let (samples, paths) = (sound(3, 9000, 16), [(); 3].map(|()| Temporary::new()));
        let bytes = [7, 4096, 9000].into_iter().zip(&paths).map(|(step, path)| {
            written(&path.0, 3, 48_000, 16, &samples, step).unwrap();
            std::fs::read(&path.0).unwrap()
        });
        let bytes = bytes.collect::<Vec<_>>();
        assert!(bytes[0] == bytes[1] && bytes[1] == bytes[2]);
    }

    #[test]
    fn the_tags_follow_the_stream_information() {
        let path = Temporary::new();
        written(&path.0, 1, 8000, 16, &[0; 10], 10).unwrap();
        let bytes = std::fs::read(&path.0).unwrap();
        assert_eq!(bytes[42] & 0x7f, 4);
        let (vendor, mut rest) = bytes[46..].split_at(15);
        assert_eq!(vendor, b"\x07\0\0\0grooved\x05\0\0\0");
        let fields = [(); 5].map(|()| {
            let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
            let text = String::from_utf8(rest[4..4 + length].to_vec()).unwrap();
            rest = &rest[4 + length..];
            text
        });
        let expected = ["TITLE=Größe = 日本語", "ARTIST=x y", "BPM=122.5", "INITIALKEY=C#m", "COMMENT=cut\nat speed 1"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_cannot_be_stored_is_refused_and_not_written() {
        let path = Temporary::new();
        for (channels, rate, bits) in [(0, 1, 16), (9, 1, 16), (2, 0, 16), (2, 655_351, 16), (2, 1, 8), (2, 1, 32)] {
            let error = FlacWriter::create(&path.0, channels, rate, bits, &tags()).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        assert!(!path.0.exists());
        let mut writer = FlacWriter::create(&path.0, 2, 44_100, 16, &tags()).unwrap();
        for samples in [&[1][..], &[32_768, 0], &[0, -32_769], &[i32::MIN, i32::MAX]] {
            assert_eq!(writer.write(samples).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        writer.write(&[32_767, -32_768]).unwrap();
        assert_eq!(writer.finish().unwrap(), 1);
        assert_eq!(decoded(&path.0, 16), [32_767, -32_768]);
    }

    #[test]
    fn a_full_disk_is_reported() {
        let samples = sound(2, 10_000, 24);
        for samples in [&samples[..], &[]] {
            let result = written(Path::new("/dev/full"), 2, 44_100, 24, samples, 10_000);
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
    }
}
