//! The sounds of `tests/data/plans/stems.json`: a triangle of each file's own period, and a click on each beat.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::common::Scratch;

/// A sound; all numbers as in the table.
#[derive(Clone, Debug)]
pub struct Spec {
    pub rate: u32,
    pub frames: usize,
    amp: i64,
    pub period: i64,
    bpm_milli: i64,
    offset_ms: i64,
    sha256: Option<String>,
}

impl Spec {
    fn new(spec: &Value) -> Spec {
        let number = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("stems.json: {spec}"));
        Spec {
            rate: number(&spec["rate"]) as u32,
            frames: number(&spec["frames"]) as usize,
            amp: number(&spec["tone"]["amp"]),
            period: number(&spec["tone"]["period"]),
            bpm_milli: number(&spec["clicks"]["bpm_milli"]),
            offset_ms: number(&spec["clicks"]["offset_ms"]),
            sha256: spec["sha256"].as_str().map(str::to_string),
        }
    }

    /// Returns the frames at which clicks begin.
    pub fn clicks(&self) -> impl Iterator<Item = usize> {
        let (rate, offset, bpm) = (i64::from(self.rate), self.offset_ms, self.bpm_milli);
        let frames = self.frames;
        (0..)
            .map(move |k| ((rate * offset * bpm + rate * k * 60_000_000) / (1_000 * bpm)) as usize)
            .take_while(move |at| *at < frames)
    }

    /// Returns the length of a click in frames.
    pub fn click(&self) -> usize {
        self.rate as usize / 200
    }

    /// Returns one frame of the triangle.
    fn triangle(&self, frame: usize) -> i64 {
        let (amp, period, phase) = (self.amp, self.period, frame as i64 % self.period);
        let rise = (4 * amp * phase).div_euclid(period);
        if 2 * phase < period { rise - amp } else { 3 * amp - rise }
    }

    /// Returns level (of full scale) and phase of the triangle's first partial: level·cos(2π·frame/period − phase).
    pub fn tone(&self) -> (f64, f64) {
        let (re, im) = (0..self.period).fold((0.0, 0.0), |(re, im), frame| {
            let (sin, cos) = (TAU * frame as f64 / self.period as f64).sin_cos();
            let value = self.triangle(frame as usize) as f64;
            (re + value * cos, im + value * sin)
        });
        (2.0 * f64::hypot(re, im) / self.period as f64 / 32_768.0, im.atan2(re))
    }

    /// Returns the bytes of the WAV file.
    fn file(&self) -> Vec<u8> {
        let mut values: Vec<i64> = (0..self.frames).map(|frame| self.triangle(frame)).collect();
        for (k, start) in self.clicks().enumerate() {
            let (peak, length) = (if k.is_multiple_of(4) { 24_000 } else { 12_000 }, self.click());
            for (j, value) in values[start..].iter_mut().take(length).enumerate() {
                let click = peak * (length - j) as i64 / length as i64;
                *value += if (j * 2_000 / self.rate as usize).is_multiple_of(2) { click } else { -click };
            }
        }
        let data: Vec<u8> =
            values.iter().flat_map(|v| (*v).clamp(-32_768, 32_767).to_le_bytes()[..2].to_vec()).collect();
        let mut file = Vec::with_capacity(data.len() + 44);
        file.extend(b"RIFF");
        file.extend((36 + data.len() as u32).to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        file.extend(self.rate.to_le_bytes());
        file.extend((2 * self.rate).to_le_bytes());
        file.extend(b"\x02\0\x10\0data");
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        let digest = Sha256::digest(&file).iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        assert!(self.sha256.as_ref().is_none_or(|sha256| *sha256 == digest), "not the sound of the table: {self:?}");
        file
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plans")
}

/// Returns all sounds by their paths below `stems`.
pub fn all() -> BTreeMap<String, Spec> {
    let table: Value = serde_json::from_slice(&std::fs::read(folder().join("stems.json")).unwrap()).unwrap();
    table["stems"].as_object().unwrap().iter().map(|(name, spec)| (name.clone(), Spec::new(spec))).collect()
}

/// Writes a plan of `tests/data/plans/plans`, and the sounds that it names; returns the plan's path and its content.
pub fn lay_out(scratch: &Scratch, name: &str) -> (PathBuf, Value) {
    let bytes = std::fs::read(folder().join("plans").join(format!("{name}.json"))).unwrap();
    let plan: Value = serde_json::from_slice(&bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for (path, spec) in all().iter().filter(|(path, _)| text.contains(path.as_str())) {
        let path = scratch.path("stems").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, spec.file()).unwrap();
    }
    std::fs::create_dir_all(scratch.path("plans")).unwrap();
    let path = scratch.path("plans").join(format!("{name}.json"));
    std::fs::write(&path, text).unwrap();
    (path, plan)
}
