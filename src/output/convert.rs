//! Converts planes of floats to the interleaved words of a card.

use crate::dsp::dither::Dither;
use crate::engine::Block;

/// Sample formats, best first. All are little-endian on the supported machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    /// 32-bit integers.
    S32,
    /// 24 bits in the lower part of 32.
    S24,
    /// 24 bits in three bytes.
    S24Packed,
    /// 32-bit floats.
    Float,
    /// 16-bit integers, dithered.
    S16,
}

impl SampleFormat {
    /// All formats in order of preference.
    pub const ALL: [SampleFormat; 5] =
        [SampleFormat::S32, SampleFormat::S24, SampleFormat::S24Packed, SampleFormat::Float, SampleFormat::S16];

    /// Returns the number of bytes per sample.
    pub fn bytes(self) -> usize {
        match self {
            SampleFormat::S32 | SampleFormat::S24 | SampleFormat::Float => 4,
            SampleFormat::S24Packed => 3,
            SampleFormat::S16 => 2,
        }
    }

    /// Returns ALSA's name of the format.
    pub fn name(self) -> &'static str {
        match self {
            SampleFormat::S32 => "S32_LE",
            SampleFormat::S24 => "S24_LE",
            SampleFormat::S24Packed => "S24_3LE",
            SampleFormat::Float => "FLOAT_LE",
            SampleFormat::S16 => "S16_LE",
        }
    }
}

/// Converts blocks to a card's sample format. Realtime: yes.
#[derive(Clone, Debug, Default)]
pub struct Converter {
    dither: Dither,
}

impl Converter {
    /// Writes the block's frames as `channels` interleaved words each into `bytes`; returns the number of bytes used.
    ///
    /// A mono device gets the mean of the first pair; channels beyond the block's are silent.
    pub fn convert(&mut self, block: &Block, channels: usize, format: SampleFormat, bytes: &mut [u8]) -> usize {
        let frames = block.frames();
        let word = format.bytes();
        let stride = word * channels;
        let used = (frames * stride).min(bytes.len());
        let bytes = &mut bytes[..used];
        for channel in 0..channels {
            let left = block.channel(if channels == 1 { 0 } else { channel });
            let right = if channels == 1 { block.channel(1) } else { &[] };
            for (i, frame) in bytes.chunks_exact_mut(stride).enumerate() {
                let mut sample = left.get(i).copied().unwrap_or(0.0);
                if let Some(other) = right.get(i) {
                    sample = (sample + other) * 0.5;
                }
                self.put(sample, format, &mut frame[channel * word..(channel + 1) * word]);
            }
        }
        used
    }

    #[inline(always)]
    fn put(&mut self, sample: f32, format: SampleFormat, word: &mut [u8]) {
        // `as` saturates, and NaN becomes zero.
        match format {
            SampleFormat::S32 => {
                word.copy_from_slice(&((f64::from(sample) * 2_147_483_648.0).round() as i32).to_le_bytes());
            }
            SampleFormat::S24 => word.copy_from_slice(&to_24(sample).to_le_bytes()),
            SampleFormat::S24Packed => word.copy_from_slice(&to_24(sample).to_le_bytes()[..3]),
            SampleFormat::Float => word.copy_from_slice(&sample.to_le_bytes()),
            SampleFormat::S16 => {
                // Digital silence stays silent: a muted appliance should not hiss.
                let dither = if sample == 0.0 { 0.0 } else { self.dither.next_lsb() };
                let value = (sample * 32_768.0 + dither).round() as i16;
                word.copy_from_slice(&value.to_le_bytes());
            }
        }
    }
}

fn to_24(sample: f32) -> i32 {
    ((sample * 8_388_608.0).round() as i32).clamp(-8_388_608, 8_388_607)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(left: &[f32], right: &[f32]) -> Block {
        let mut block = Block::new(2, left.len());
        block.channel_mut(0).copy_from_slice(left);
        block.channel_mut(1).copy_from_slice(right);
        block
    }

    #[test]
    fn every_format_holds_the_extremes() {
        let block = block(&[1.0, -1.0, 0.5], &[2.0, -2.0, f32::NAN]);
        for format in SampleFormat::ALL {
            let mut bytes = [0u8; 24];
            let used = Converter::default().convert(&block, 2, format, &mut bytes);
            assert_eq!(used, 6 * format.bytes());
            let value = |i: usize| -> f64 {
                let word = &bytes[i * format.bytes()..(i + 1) * format.bytes()];
                match format {
                    SampleFormat::S32 => f64::from(i32::from_le_bytes(word.try_into().unwrap())) / 2f64.powi(31),
                    SampleFormat::S24 => f64::from(i32::from_le_bytes(word.try_into().unwrap())) / 2f64.powi(23),
                    SampleFormat::S24Packed => {
                        f64::from(i32::from_le_bytes([0, word[0], word[1], word[2]])) / 2f64.powi(31)
                    }
                    SampleFormat::Float => f64::from(f32::from_le_bytes(word.try_into().unwrap())),
                    SampleFormat::S16 => f64::from(i16::from_le_bytes(word.try_into().unwrap())) / 2f64.powi(15),
                }
            };
            assert!((value(0) - 1.0).abs() < 1e-3 && (value(2) + 1.0).abs() < 1e-3, "{}", format.name());
            assert!((value(4) - 0.5).abs() < 1e-4, "{}", format.name());
            if format != SampleFormat::Float {
                assert!((value(1) - 1.0).abs() < 1e-3 && value(5) == 0.0, "{}", format.name());
            }
        }
    }

    #[test]
    fn mono_is_the_mean_and_spare_channels_are_silent() {
        let block = block(&[0.5, 0.25], &[0.25, -0.25]);
        let mut bytes = [0u8; 8];
        Converter::default().convert(&block, 1, SampleFormat::Float, &mut bytes);
        assert_eq!(bytes[..4], 0.375f32.to_le_bytes());
        assert_eq!(bytes[4..], 0f32.to_le_bytes());
        let mut bytes = [1u8; 32];
        Converter::default().convert(&block, 4, SampleFormat::Float, &mut bytes);
        assert_eq!(bytes[4..8], 0.25f32.to_le_bytes());
        assert_eq!(bytes[8..16], [0; 8]);
    }

    #[test]
    fn sixteen_bits_keep_what_lies_below_their_last_one() {
        // A quarter of a bit survives dithering as a mean.
        let n = 40_000;
        let samples = vec![0.25 / 32_768.0; n];
        let mut bytes = vec![0u8; n * 2];
        Converter::default().convert(&block(&samples, &samples), 1, SampleFormat::S16, &mut bytes);
        let sum: i64 = bytes.as_chunks::<2>().0.iter().map(|w| i64::from(i16::from_le_bytes(*w))).sum();
        assert!((sum as f64 / n as f64 - 0.25).abs() < 0.02);
    }
}
