//! Decoding for the tests, and differences between sounds.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use grooved::media::decode::{DecodeError, Decoder};

/// Length of the song in frames, in every format that stores it.
pub const SONG: usize = 52_920;

/// Returns the path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/trouble").join(name)
}

/// Returns the bytes of a fixture.
pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// Writes a temporary file with the extension of `name`.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("trouble-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}-{name}", COUNT.fetch_add(1, Relaxed)));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A decoded file.
#[derive(Clone)]
pub struct Sound {
    pub rate: u32,
    pub left: Vec<f32>,
    pub right: Vec<f32>,
    /// Missing frames, and their positions.
    pub missing: u64,
    pub gaps: Vec<(u64, u64)>,
    pub remarks: Vec<String>,
}

impl Sound {
    pub fn open(path: &Path) -> Result<Sound, DecodeError> {
        Decoder::open(path).map(Sound::all)
    }

    /// Reads a file to its end, in blocks of an odd size.
    pub fn all(mut decoder: Decoder) -> Sound {
        let info = decoder.info().clone();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let (mut l, mut r) = (vec![0.0; 4_099], vec![0.0; 4_099]);
        loop {
            let n = decoder.read(&mut l, &mut r).unwrap();
            if n == 0 {
                break;
            }
            left.extend_from_slice(&l[..n]);
            right.extend_from_slice(&r[..n]);
        }
        assert_eq!(left.len() as u64, info.frames);
        let missing = decoder.lacking().map_or(0, |s| (s * f64::from(info.sample_rate)).round() as u64);
        let remarks = info.remarks().iter().map(|r| r.text.clone()).collect();
        Sound { rate: info.sample_rate, left, right, missing, gaps: decoder.gaps().to_vec(), remarks }
    }

    /// Decodes a fixture.
    pub fn of(name: &str) -> Sound {
        Sound::open(&fixture(name)).unwrap_or_else(|e| panic!("{name} {e}"))
    }

    /// Decodes a file with the given bytes.
    pub fn made(name: &str, bytes: &[u8]) -> Sound {
        Sound::open(&file(name, bytes)).unwrap_or_else(|e| panic!("{name} {e}"))
    }

    pub fn frames(&self) -> usize {
        self.left.len()
    }

    /// Returns the maximum difference from another sound within a range of frames.
    pub fn off(&self, other: &Sound, range: std::ops::Range<usize>) -> f32 {
        let far = |a: &[f32], b: &[f32]| {
            a[range.clone()].iter().zip(&b[range.clone()]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        far(&self.left, &other.left).max(far(&self.right, &other.right))
    }

    /// Returns the residual of `truth` minus this sound delayed by `lag` frames, in dB relative to `truth`.
    pub fn residual(&self, truth: &Sound, lag: i64, range: std::ops::Range<usize>) -> f64 {
        let (mut left, mut all) = (0.0, 0.0);
        for k in range {
            let Ok(at) = usize::try_from(k as i64 + lag) else { continue };
            let (Some(l), Some(r)) = (self.left.get(at), self.right.get(at)) else { continue };
            left += f64::from(l - truth.left[k]).powi(2) + f64::from(r - truth.right[k]).powi(2);
            all += f64::from(truth.left[k]).powi(2) + f64::from(truth.right[k]).powi(2);
        }
        10.0 * (left / all).log10()
    }

    /// Returns the delay relative to the truth in frames, at the minimum residual.
    pub fn lag(&self, truth: &Sound) -> i64 {
        let range = 20_000..24_000;
        (-2_500..2_500)
            .map(|lag| (lag, self.residual(truth, lag, range.clone())))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap()
            .0
    }

    /// Returns the level of a sine of `hz` in the middle of one channel.
    pub fn tone(samples: &[f32], rate: u32, hz: f64) -> f64 {
        let part = &samples[samples.len() / 4..samples.len() * 3 / 4];
        let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
        for (i, s) in part.iter().enumerate() {
            let w = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / part.len() as f64).cos();
            let (sin, cos) = (std::f64::consts::TAU * hz * i as f64 / f64::from(rate)).sin_cos();
            re += f64::from(*s) * cos * w;
            im += f64::from(*s) * sin * w;
            weight += w;
        }
        2.0 * (re * re + im * im).sqrt() / weight
    }
}

/// Returns the error of a file that must be rejected.
pub fn refusal(name: &str, bytes: &[u8]) -> String {
    match Sound::open(&file(name, bytes)) {
        Err(error) => error.to_string(),
        Ok(sound) => panic!("{name} plays, {} frames", sound.frames()),
    }
}
