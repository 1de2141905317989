//! PCM: integers of any width, floats, A-law and µ-law.

/// Encoding of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Signed integers, left-justified in their bytes.
    Signed,
    /// Unsigned integers.
    Unsigned,
    /// IEEE floats of 4 or 8 bytes.
    Float,
    /// ITU-T G.711, A-law.
    Alaw,
    /// ITU-T G.711, µ-law.
    Mulaw,
}

/// Sample format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Encoding.
    pub kind: Kind,
    /// Bytes per sample, 1 to 8.
    pub bytes: usize,
    /// Whether samples are big-endian.
    pub big: bool,
}

impl Sample {
    /// Returns whether the format is valid.
    pub fn is_sound(self) -> bool {
        match self.kind {
            Kind::Signed | Kind::Unsigned => (1..=8).contains(&self.bytes),
            Kind::Float => matches!(self.bytes, 4 | 8),
            Kind::Alaw | Kind::Mulaw => self.bytes == 1,
        }
    }

    /// Converts one sample to a float; full scale is ±1.
    fn value(self, bytes: &[u8]) -> f32 {
        let word = |first: usize| {
            // The most significant bytes of the sample, as a big-endian number at the top of 64 bits.
            let mut all = [0u8; 8];
            for (k, byte) in all.iter_mut().enumerate().take(first) {
                *byte = bytes[if self.big { k } else { bytes.len() - 1 - k }];
            }
            u64::from_be_bytes(all)
        };
        match self.kind {
            Kind::Signed => {
                if self.bytes <= 4 {
                    ((word(self.bytes) >> 32) as i32) as f32 * (1.0 / 2_147_483_648.0)
                } else {
                    (word(self.bytes) as i64 as f64 / 9_223_372_036_854_775_808.0) as f32
                }
            }
            Kind::Unsigned => {
                let signed = (word(self.bytes) ^ 1 << 63) >> 32;
                (signed as i32) as f32 * (1.0 / 2_147_483_648.0)
            }
            Kind::Float if self.bytes == 4 => f32::from_bits((word(4) >> 32) as u32),
            Kind::Float => f64::from_bits(word(8)) as f32,
            Kind::Alaw => f32::from(alaw(bytes[0])) / 32_768.0,
            Kind::Mulaw => f32::from(mulaw(bytes[0])) / 32_768.0,
        }
    }

    /// Converts interleaved samples to one plane per channel; an incomplete frame at the end is dropped.
    pub fn decode(self, data: &[u8], channels: usize, planes: &mut Vec<Vec<f32>>) {
        planes.resize_with(channels, Vec::new);
        let frames = data.len() / (channels * self.bytes).max(1);
        for (channel, plane) in planes.iter_mut().enumerate() {
            plane.clear();
            let step = channels * self.bytes;
            let from = channel * self.bytes;
            plane.extend((0..frames).map(|k| self.value(&data[k * step + from..k * step + from + self.bytes])));
        }
    }
}

/// ITU-T G.711, table 1: sign, three bits of segment and four of step, every second bit inverted.
fn alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (segment, step) = (byte >> 4 & 7, i16::from(byte & 15));
    let size = match segment {
        0 => step << 4 | 8,
        _ => (step << 4 | 0x108) << (segment - 1),
    };
    if byte & 0x80 != 0 { size } else { -size }
}

/// ITU-T G.711, table 2: sign, three bits of segment and four of step, all bits inverted.
fn mulaw(byte: u8) -> i16 {
    let byte = !byte;
    let size = ((i16::from(byte & 15) << 3 | 0x84) << (byte >> 4 & 7)) - 0x84;
    if byte & 0x80 != 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: Kind, bytes: &[u8], big: bool) -> f32 {
        let mut planes = Vec::new();
        Sample { kind, bytes: bytes.len(), big }.decode(bytes, 1, &mut planes);
        planes[0][0]
    }

    #[test]
    fn every_width_has_its_full_scale() {
        for bytes in 1..=8 {
            let mut low = vec![0; bytes];
            low[bytes - 1] = 0x80;
            assert_eq!(one(Kind::Signed, &low, false), -1.0, "{bytes} bytes");
            low[bytes - 1] = 0x40;
            assert_eq!(one(Kind::Signed, &low, false), 0.5, "{bytes} bytes");
            low.reverse();
            assert_eq!(one(Kind::Signed, &low, true), 0.5, "{bytes} bytes, big-endian");
        }
        assert_eq!((one(Kind::Unsigned, &[0], false), one(Kind::Unsigned, &[0xc0], false)), (-1.0, 0.5));
        assert_eq!(one(Kind::Float, &0.25f32.to_be_bytes(), true), 0.25);
        assert_eq!(one(Kind::Float, &(-0.25f64).to_le_bytes(), false), -0.25);
        // G.711: the largest values and the smallest.
        assert_eq!([alaw(0xaa), alaw(0x2a), alaw(0xd5), alaw(0x55)], [32_256, -32_256, 8, -8]);
        assert_eq!([mulaw(0x80), mulaw(0x00), mulaw(0xff), mulaw(0x7f)], [32_124, -32_124, 0, 0]);
    }
}
