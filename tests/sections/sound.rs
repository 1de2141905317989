//! The oracle's sounds, made from `inputs/audio.json`, and WAV files as they are read back.
//!
//! A sound of N frames at rate R; frame i has the value v(i), clipped to 16 bits, the sum of what is present:
//!
//! - `tone {amp T, period P}`: a triangle; with ph = i mod P: 4·T·ph ÷ P − T in the first half, else 3·T − 4·T·ph ÷ P.
//! - `clicks {bpm_milli B, offset_ms O}`: click k begins at frame (R·O·B + R·k·60 000 000) ÷ (1000·B) and lasts
//!   L = R ÷ 200 frames: a square wave of 1 kHz that fades out, from 24 000 every fourth time and else from 12 000.
//! - `counter`: (i mod 65 536) − 32 768.
//!
//! Channels after the first hold −(v ÷ 2). All divisions round down, so that the same bytes result in any language.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Sub-format of `WAVE_FORMAT_EXTENSIBLE`, behind its first two bytes, which hold the format proper.
const GUID: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// Tag of `WAVE_FORMAT_EXTENSIBLE`.
const EXTENSIBLE: u16 = 0xfffe;

/// Sounds of a library by their paths below it.
pub type Sounds = BTreeMap<String, Spec>;

/// The clicks of a sound: one a beat.
#[derive(Clone, Copy, Debug)]
pub struct Clicks {
    bpm_milli: i64,
    offset_ms: i64,
}

impl Clicks {
    /// The frames at which clicks begin.
    pub fn starts(self, rate: u32) -> impl Iterator<Item = usize> {
        let (rate, offset, bpm) = (i64::from(rate), self.offset_ms, self.bpm_milli);
        (0..).map(move |k| ((rate * offset * bpm + rate * k * 60_000_000) / (1_000 * bpm)) as usize)
    }

    /// The first amplitude of click `k`.
    pub fn amplitude(k: usize) -> i32 {
        if k.is_multiple_of(4) { 24_000 } else { 12_000 }
    }

    /// The frames of a click.
    pub fn length(rate: u32) -> usize {
        rate as usize / 200
    }

    /// The waveform of a click that begins at `amplitude`.
    pub fn waveform(rate: u32, amplitude: i32) -> impl Iterator<Item = i32> {
        let length = Clicks::length(rate);
        (0..length).map(move |j| {
            let value = (i64::from(amplitude) * (length - j) as i64 / length as i64) as i32;
            if (j * 2_000 / rate as usize).is_multiple_of(2) { value } else { -value }
        })
    }
}

/// A sound as `audio.json` describes it.
#[derive(Clone, Debug)]
pub struct Spec {
    pub rate: u32,
    pub frames: usize,
    channels: u16,
    bits: u16,
    extensible: bool,
    tone: Option<(i64, i64)>,
    counter: bool,
    pub clicks: Option<Clicks>,
    sha256: String,
    /// A file of `inputs/audio` instead.
    pub copy: Option<String>,
}

impl Spec {
    fn new(spec: &Value) -> Spec {
        let number = |key: &str, default: i64| spec[key].as_i64().unwrap_or(default);
        let text = |key: &str| spec[key].as_str().map(str::to_string);
        let pair = |object: &Value, a: &str, b: &str| Some((object[a].as_i64()?, object[b].as_i64()?));
        let bits = match text("encoding").as_deref() {
            None | Some("s16") => 16,
            Some("s24") => 24,
            Some("s32") => 32,
            Some("u8") => 8,
            Some(other) => panic!("audio.json: no encoding {other}"),
        };
        let clicks = pair(&spec["clicks"], "bpm_milli", "offset_ms");
        Spec {
            rate: number("rate", 0) as u32,
            frames: number("frames", 0) as usize,
            channels: number("channels", 1) as u16,
            bits,
            extensible: spec["extensible"] == true,
            tone: pair(&spec["tone"], "amp", "period"),
            counter: spec["counter"] == true,
            clicks: clicks.map(|(bpm_milli, offset_ms)| Clicks { bpm_milli, offset_ms }),
            sha256: text("sha256").unwrap_or_default(),
            copy: text("copy"),
        }
    }

    /// All sounds by library.
    pub fn all(inputs: &Path) -> BTreeMap<String, Sounds> {
        let table = std::fs::read_to_string(inputs.join("audio.json")).unwrap();
        let table: Value = serde_json::from_str(&table).unwrap();
        let sounds =
            |files: &Value| files.as_object().unwrap().iter().map(|(n, s)| (n.clone(), Spec::new(s))).collect();
        table.as_object().unwrap().iter().map(|(library, files)| (library.clone(), sounds(files))).collect()
    }

    fn values(&self) -> Vec<i32> {
        let mut values = vec![0; self.frames];
        if let Some((amp, period)) = self.tone {
            let triangle = |ph: i64| {
                let rise = 4 * amp * ph / period;
                if 2 * ph < period { rise - amp } else { 3 * amp - rise }
            };
            let one: Vec<i32> = (0..period).map(|ph| triangle(ph) as i32).collect();
            values.iter_mut().zip(one.iter().cycle()).for_each(|(v, tone)| *v += tone);
        }
        if self.counter {
            values.iter_mut().enumerate().for_each(|(i, v)| *v += (i & 0xffff) as i32 - 32_768);
        }
        if let Some(clicks) = self.clicks {
            for (k, start) in clicks.starts(self.rate).take_while(|start| *start < self.frames).enumerate() {
                let click = Clicks::waveform(self.rate, Clicks::amplitude(k));
                values[start..].iter_mut().zip(click).for_each(|(v, click)| *v += click);
            }
        }
        values.iter_mut().for_each(|v| *v = (*v).clamp(-32_768, 32_767));
        values
    }

    /// The bytes of the WAV file.
    ///
    /// # Panics
    /// If they are not those of the oracle.
    pub fn file(&self) -> Vec<u8> {
        let block = self.channels * self.bits / 8;
        let format: u16 = if self.extensible { EXTENSIBLE } else { 1 };
        let mut header = Vec::new();
        header.extend(format.to_le_bytes());
        header.extend(self.channels.to_le_bytes());
        header.extend(self.rate.to_le_bytes());
        header.extend((self.rate * u32::from(block)).to_le_bytes());
        header.extend(block.to_le_bytes());
        header.extend(self.bits.to_le_bytes());
        if self.extensible {
            // Size of what follows, valid bits, speakers, sub-format.
            header.extend(22u16.to_le_bytes());
            header.extend(self.bits.to_le_bytes());
            header.extend(match self.channels {
                1 => 4u32.to_le_bytes(),
                2 => 3u32.to_le_bytes(),
                _ => 0x3fu32.to_le_bytes(),
            });
            header.extend(1u16.to_le_bytes());
            header.extend(GUID);
        }
        let mut data = Vec::with_capacity(self.frames * usize::from(block));
        for value in self.values() {
            for channel in 0..self.channels {
                let value = if channel == 0 { value } else { -value.div_euclid(2) };
                match self.bits {
                    8 => data.push(((value >> 8) + 128) as u8),
                    16 => data.extend((value as i16).to_le_bytes()),
                    24 => data.extend(&(value << 8).to_le_bytes()[..3]),
                    _ => data.extend((value << 16).to_le_bytes()),
                }
            }
        }
        let padding = data.len() % 2;
        let mut file = Vec::with_capacity(data.len() + 100);
        file.extend(b"RIFF");
        file.extend(((4 + 8 + header.len() + 8 + data.len() + padding) as u32).to_le_bytes());
        file.extend(b"WAVEfmt ");
        file.extend((header.len() as u32).to_le_bytes());
        file.extend(header);
        file.extend(b"data");
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        file.resize(file.len() + padding, 0);
        let digest = sha256(&file);
        assert_eq!(digest, self.sha256, "the generator does not make the oracle's sound: {self:?}");
        file
    }
}

/// A WAV file.
#[derive(Debug)]
pub struct Wav {
    pub format: u16,
    pub channels: u16,
    pub rate: u32,
    pub bits: u16,
    pub data: Vec<u8>,
}

impl Wav {
    pub fn read(path: &Path) -> Result<Wav, String> {
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Wav::parse(&bytes).map_err(|e| format!("{}: {e}", path.display()))
    }

    pub fn parse(bytes: &[u8]) -> Result<Wav, String> {
        let number = |at: usize| -> Option<u32> { Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)) };
        if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
            return Err("no RIFF/WAVE file".into());
        }
        if number(4).map(|n| n as usize + 8) != Some(bytes.len()) {
            return Err(format!("its header says {:?} bytes, not {}", number(4), bytes.len() - 8));
        }
        let (mut format, mut data, mut at) = (None, None, 12);
        while let (Some(id), Some(length)) = (bytes.get(at..at + 4), number(at + 4)) {
            let end = at + 8 + length as usize;
            let body = bytes.get(at + 8..end).ok_or_else(|| format!("a chunk at {at} exceeds the file"))?;
            match id {
                b"fmt " => format = Some(body),
                b"data" => data = Some(body),
                _ => {}
            }
            at = end + end % 2;
        }
        if at != bytes.len() {
            return Err(format!("its last chunk ends at {at} of {} bytes", bytes.len()));
        }
        let format = format.filter(|f| f.len() >= 16).ok_or("no format")?;
        let half = |k: usize| u16::from_le_bytes([format[k], format[k + 1]]);
        let wav = Wav {
            format: if half(0) == EXTENSIBLE && format.len() >= 40 { half(24) } else { half(0) },
            channels: half(2),
            rate: u32::from(half(4)) + (u32::from(half(6)) << 16),
            bits: half(14),
            data: data.ok_or("no data")?.to_vec(),
        };
        let block = usize::from(half(12));
        if block == 0 || block != wav.block() || !wav.data.len().is_multiple_of(block) {
            return Err(format!(
                "{} bytes in blocks of {block}, {} channels of {} bits",
                wav.data.len(),
                half(2),
                half(14)
            ));
        }
        Ok(wav)
    }

    /// Bytes per frame.
    pub fn block(&self) -> usize {
        usize::from(self.channels * self.bits / 8)
    }

    pub fn frames(&self) -> usize {
        self.data.len() / self.block()
    }

    /// One channel, of 16 bits.
    pub fn channel(&self, channel: usize) -> Vec<f64> {
        assert_eq!(self.bits, 16);
        let sample = |frame: &[u8]| f64::from(i16::from_le_bytes([frame[2 * channel], frame[2 * channel + 1]]));
        self.data.chunks_exact(self.block()).map(sample).collect()
    }

    /// The same sound at 16 bits.
    pub fn to_16_bits(&self) -> Wav {
        let bytes = usize::from(self.bits / 8);
        let high = |sample: &[u8]| match bytes {
            1 => [0, sample[0] ^ 0x80],
            _ => [sample[bytes - 2], sample[bytes - 1]],
        };
        Wav { bits: 16, data: self.data.chunks_exact(bytes).flat_map(high).collect(), ..*self }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
