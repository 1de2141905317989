//! Writes and repairs WAV files.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Size of the header in bytes, and of the part before the format chunk.
const HEADER: u64 = 94;
const BEFORE_FORMAT: u64 = 48;

/// Sample format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 32-bit floats: the rendered values, bit for bit.
    Float,
    /// Unsigned 8-bit integers.
    Eight,
    /// 16-bit integers.
    Sixteen,
    /// 24-bit integers.
    TwentyFour,
    /// 32-bit integers.
    ThirtyTwo,
}

impl Depth {
    /// Bytes per sample.
    pub fn bytes(self) -> u16 {
        match self {
            Depth::Eight => 1,
            Depth::Sixteen => 2,
            Depth::TwentyFour => 3,
            Depth::Float | Depth::ThirtyTwo => 4,
        }
    }

    /// Appends samples; full scale is ±1, and values beyond it are clipped, except by [`Depth::Float`].
    fn encode(self, samples: &[f32], into: &mut Vec<u8>) {
        let whole = |sample: f32, scale: f64| (f64::from(sample) * scale).round().clamp(-scale, scale - 1.0) as i32;
        for &sample in samples {
            match self {
                Depth::Float => into.extend(sample.to_le_bytes()),
                Depth::Eight => into.push((whole(sample, 128.0) + 128) as u8),
                Depth::Sixteen => into.extend((whole(sample, 32_768.0) as i16).to_le_bytes()),
                Depth::TwentyFour => into.extend(&whole(sample, 8_388_608.0).to_le_bytes()[..3]),
                Depth::ThirtyTwo => into.extend(whole(sample, 2_147_483_648.0).to_le_bytes()),
            }
        }
    }
}

/// Writes interleaved samples to a WAV file, which becomes an RF64 file (EBU Tech 3306) beyond 4 GiB.
pub struct WavWriter {
    file: BufWriter<File>,
    channels: u16,
    rate: u32,
    depth: Depth,
    samples: u64,
    /// Samples as they are in the file, for the current call.
    encoded: Vec<u8>,
    /// Bytes of the chunks after the samples.
    after: u64,
}

/// Builds the header of a file with `samples` samples and `after` bytes after them. Space for 64-bit lengths is always
/// reserved.
fn header(channels: u16, rate: u32, depth: Depth, samples: u64, after: u64) -> Vec<u8> {
    let data = samples * u64::from(depth.bytes());
    let frames = samples / u64::from(channels.max(1));
    let whole = data + HEADER - 8 + after;
    let short = u32::try_from(whole).ok();
    let align = channels * depth.bytes();
    let mut h = Vec::with_capacity(HEADER as usize);
    h.extend(if short.is_some() { b"RIFF" } else { b"RF64" });
    h.extend(short.unwrap_or(u32::MAX).to_le_bytes());
    h.extend(b"WAVE");
    h.extend(if short.is_some() { b"JUNK" } else { b"ds64" });
    h.extend(28u32.to_le_bytes());
    for length in [whole, data, frames] {
        h.extend(if short.is_some() { 0u64 } else { length }.to_le_bytes());
    }
    h.extend(0u32.to_le_bytes());
    h.extend(b"fmt ");
    h.extend(18u32.to_le_bytes());
    h.extend(if depth == Depth::Float { 3u16 } else { 1 }.to_le_bytes());
    h.extend(channels.to_le_bytes());
    h.extend(rate.to_le_bytes());
    h.extend((rate * u32::from(align)).to_le_bytes());
    h.extend(align.to_le_bytes());
    h.extend((8 * depth.bytes()).to_le_bytes());
    h.extend(0u16.to_le_bytes());
    h.extend(b"fact");
    h.extend(4u32.to_le_bytes());
    h.extend(u32::try_from(frames).unwrap_or(u32::MAX).to_le_bytes());
    h.extend(b"data");
    h.extend(short.map_or(u32::MAX, |_| data as u32).to_le_bytes());
    h
}

/// Corrects the header of an interrupted file to the length of its data; returns its number of frames.
pub fn repair(path: &Path) -> io::Result<u64> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut head = [0u8; HEADER as usize];
    let length = file.metadata()?.len();
    let ours = length >= HEADER && {
        file.read_exact(&mut head)?;
        matches!(&head[..4], b"RIFF" | b"RF64") && &head[HEADER as usize - 8..HEADER as usize - 4] == b"data"
    };
    if !ours {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its header was not written by this program"));
    }
    let word = |at: u64| u16::from_le_bytes([head[at as usize], head[at as usize + 1]]);
    let format = BEFORE_FORMAT + 8;
    let (tag, channels) = (word(format), word(format + 2));
    let rate = u32::from(word(format + 4)) | u32::from(word(format + 6)) << 16;
    // Recordings have one of these two.
    let depth = if tag == 3 { Depth::Float } else { Depth::Sixteen };
    let frame = u64::from(channels.max(1)) * u64::from(depth.bytes());
    let frames = (length - HEADER) / frame;
    // An incomplete frame at the end would shift the channels of data appended later.
    file.set_len(HEADER + frames * frame)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(channels, rate, depth, frames * u64::from(channels.max(1)), 0))?;
    file.sync_all()?;
    Ok(frames)
}

impl WavWriter {
    /// Creates the file.
    pub fn create(path: &Path, channels: u16, rate: u32, depth: Depth) -> io::Result<WavWriter> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&header(channels, rate, depth, 0, 0))?;
        file.flush()?;
        Ok(WavWriter { file, channels, rate, depth, samples: 0, encoded: Vec::new(), after: 0 })
    }

    /// Syncs all data to the disk with an up-to-date header; writing can continue.
    pub fn make_good(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let end = self.file.stream_position()?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.channels, self.rate, self.depth, self.samples, self.after))?;
        self.file.seek(SeekFrom::Start(end))?;
        self.file.get_ref().sync_data()
    }

    /// Appends interleaved samples.
    pub fn write(&mut self, samples: &[f32]) -> io::Result<()> {
        self.encoded.clear();
        self.depth.encode(samples, &mut self.encoded);
        self.file.write_all(&self.encoded)?;
        self.samples += samples.len() as u64;
        Ok(())
    }

    /// Appends interleaved samples that are already in the file's format; a fraction of a sample is left out.
    pub fn write_encoded(&mut self, bytes: &[u8]) -> io::Result<()> {
        let size = usize::from(self.depth.bytes());
        let samples = bytes.len() / size;
        self.file.write_all(&bytes[..samples * size])?;
        self.samples += samples as u64;
        Ok(())
    }

    /// Appends whole chunks after the samples, writes the final header and syncs the file.
    pub fn finish_with(mut self, chunks: &[u8]) -> io::Result<()> {
        // Chunks begin at even offsets.
        let pad = (self.samples * u64::from(self.depth.bytes())) & 1;
        self.file.write_all(&[0][..pad as usize])?;
        self.file.write_all(chunks)?;
        self.after = pad + chunks.len() as u64;
        self.make_good()
    }

    /// Writes the final header and syncs the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.make_good()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_off_is_made_whole() {
        let path = std::env::temp_dir().join(format!("grooved-repair-{}.wav", std::process::id()));
        let mut writer = WavWriter::create(&path, 2, 48_000, Depth::Float).unwrap();
        writer.write(&[0.5; 200]).unwrap();
        writer.make_good().unwrap();
        writer.write(&[0.25; 100]).unwrap();
        // A crash: part of the buffered data has reached the file, here with half a frame too many.
        writer.file.flush().unwrap();
        drop(writer);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([1, 2, 3, 4]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(repair(&path).unwrap(), 150);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, HEADER + 150 * 8);
        assert_eq!(bytes[HEADER as usize - 4..HEADER as usize], (150u32 * 8).to_le_bytes());
        std::fs::write(&path, b"RIFF").unwrap();
        assert!(repair(&path).is_err());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn every_depth_reads_back_exactly() {
        let samples = [-1.0, -0.5, 0.0, 0.25, 0.75, 127.0 / 128.0];
        for depth in [Depth::Float, Depth::Eight, Depth::Sixteen, Depth::TwentyFour, Depth::ThirtyTwo] {
            let path = std::env::temp_dir().join(format!("grooved-depth-{}.wav", std::process::id()));
            let mut writer = WavWriter::create(&path, 1, 8_000, depth).unwrap();
            writer.write(&samples[..3]).unwrap();
            let mut rest = Vec::new();
            depth.encode(&samples[3..], &mut rest);
            writer.write_encoded(&rest).unwrap();
            // An odd number of bytes of 8-bit samples is padded before the chunk.
            writer.write(&[0.0]).unwrap();
            writer.finish_with(b"test\x02\0\0\0ok").unwrap();
            let (mut left, mut right) = ([9.0; 8], [9.0; 8]);
            let mut decoder = crate::media::decode::Decoder::open(&path).unwrap();
            assert_eq!(decoder.read(&mut left, &mut right).unwrap(), 7, "{depth:?}");
            assert_eq!(left[..6], samples, "{depth:?}");
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len() % 2, 0, "{depth:?}");
            assert_eq!(bytes[4..8], (bytes.len() as u32 - 8).to_le_bytes(), "{depth:?}");
            assert!(bytes.ends_with(b"test\x02\0\0\0ok"), "{depth:?}");
            std::fs::remove_file(&path).unwrap();
        }
        let mut loud = Vec::new();
        Depth::TwentyFour.encode(&[1.5, -1.5], &mut loud);
        assert_eq!(loud, [0xff, 0xff, 0x7f, 0, 0, 0x80]);
    }

    #[test]
    fn beyond_four_gigabytes_it_is_an_rf64() {
        let small = header(2, 48_000, Depth::Float, 1_000, 0);
        let large = header(2, 48_000, Depth::Float, 3_000_000_000, 0);
        assert_eq!((small.len() as u64, large.len() as u64), (HEADER, HEADER));
        assert_eq!((&small[..4], &small[12..16]), (&b"RIFF"[..], &b"JUNK"[..]));
        assert_eq!((&large[..4], &large[12..16]), (&b"RF64"[..], &b"ds64"[..]));
        assert_eq!(large[28..36], 12_000_000_000u64.to_le_bytes());
        assert_eq!(large[HEADER as usize - 4..], u32::MAX.to_le_bytes());
    }
}
