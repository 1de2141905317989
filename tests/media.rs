//! Files of all formats: length, level, frame-accurate seeks, downmix; and malformed files.

use std::path::{Path, PathBuf};

use grooved::media::decode::Decoder;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn all(decoder: &mut Decoder) -> (Vec<f32>, Vec<f32>) {
    let frames = (decoder.info().frames - decoder.position()) as usize;
    let (mut left, mut right) = (vec![0.0; frames], vec![0.0; frames]);
    assert_eq!(decoder.read(&mut left, &mut right).unwrap(), frames);
    (left, right)
}

/// Returns the peak level of a sine of `hz` in the middle of a sound.
fn level(samples: &[f32], rate: f64, hz: f64) -> f64 {
    let part = &samples[samples.len() / 4..samples.len() * 3 / 4];
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (i, s) in part.iter().enumerate() {
        let w = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / part.len() as f64).cos();
        let (sin, cos) = (std::f64::consts::TAU * hz * i as f64 / rate).sin_cos();
        re += f64::from(*s) * cos * w;
        im += f64::from(*s) * sin * w;
        weight += w;
    }
    2.0 * (re * re + im * im).sqrt() / weight
}

const KINDS: [(&str, f64); 9] = [
    ("tone16.wav", 0.25),
    ("tone24.wav", 0.25),
    ("tone32.wav", 0.25),
    ("tone.aiff", 0.25),
    ("tone.flac", 1.5),
    ("tone.mp3", 1.5),
    ("tone.ogg", 1.5),
    ("tone.m4a", 1.5),
    ("tone.aac", 1.5),
];

#[test]
fn every_kind_has_its_length_and_its_tones() {
    for (name, seconds) in KINDS {
        let mut decoder = Decoder::open(&fixture(name)).unwrap();
        let info = decoder.info().clone();
        assert_eq!((info.sample_rate, info.channels), (44_100, 2), "{name}");
        let length = info.frames as f64 / 44_100.0;
        // Lossy containers may include the encoder's padding, a few packets at most.
        let slack = if name.starts_with("tone.") && !name.ends_with("flac") { 0.08 } else { 1e-4 };
        assert!((length - seconds).abs() < slack, "{name}: {length} s");
        let (left, right) = all(&mut decoder);
        for (samples, hz, other) in [(&left, 1_000.0, 500.0), (&right, 500.0, 1_000.0)] {
            let got = level(samples, 44_100.0, hz);
            assert!((got - 0.25).abs() < 0.02, "{name}: {hz} Hz at {got:.3}");
            assert!(level(samples, 44_100.0, other) < 0.01, "{name}: {other} Hz");
        }
        let mut more = [0.0; 8];
        assert_eq!(decoder.read(&mut more.clone(), &mut more).unwrap(), 0, "{name} ends");
    }
}

#[test]
fn a_seek_lands_on_its_frame_in_every_kind() {
    for (name, _) in KINDS {
        let mut decoder = Decoder::open(&fixture(name)).unwrap();
        let (left, _) = all(&mut decoder);
        let frames = left.len();
        for target in [frames / 2, 1, frames - 500, 12_345 % frames, 0, frames / 3] {
            decoder.seek(target as u64).unwrap();
            assert_eq!(decoder.position(), target as u64, "{name}");
            let n = 400.min(frames - target);
            let (mut l, mut r) = (vec![0.0; n], vec![0.0; n]);
            assert_eq!(decoder.read(&mut l, &mut r).unwrap(), n, "{name}");
            let worst = l.iter().zip(&left[target..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // An error of one frame would differ by 0.035.
            assert!(worst < 0.01, "{name} at {target}: {worst}");
        }
    }
}

#[test]
fn surround_is_mixed_down_by_the_standard() {
    let mut decoder = Decoder::open(&fixture("surround.wav")).unwrap();
    assert_eq!(decoder.info().channels, 6);
    let (left, right) = all(&mut decoder);
    let half = std::f64::consts::FRAC_1_SQRT_2;
    // Left, right, centre, LFE, surrounds: 400 to 900 Hz.
    for (hz, in_left, in_right) in [
        (400.0, 1.0, 0.0),
        (500.0, 0.0, 1.0),
        (600.0, half, half),
        (700.0, 0.0, 0.0),
        (800.0, half, 0.0),
        (900.0, 0.0, half),
    ] {
        for (samples, wanted) in [(&left, in_left), (&right, in_right)] {
            let got = level(samples, 48_000.0, hz) / 0.1;
            assert!((got - wanted).abs() < 0.02, "{hz} Hz: {got:.3}, not {wanted:.3}");
        }
    }
}

#[test]
fn files_that_are_none_are_refused_with_a_reason() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("media-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("empty.wav"), b"").unwrap();
    std::fs::write(folder.join("text.mp3"), b"nothing to hear here").unwrap();
    assert!(Decoder::open(&folder).is_err(), "a folder");
    for name in ["empty.wav", "text.mp3", "missing.wav"] {
        let why = Decoder::open(&folder.join(name)).err().expect(name).to_string();
        assert!(why.contains("cannot be read") || why.contains("not a sound file") || why.contains("damaged"), "{why}");
    }
    // Real files, truncated and with flipped bits: decoding must end without a panic.
    let mut state = 12345u32;
    for (name, _) in KINDS {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for k in 0..40u32 {
            let mut broken = bytes.clone();
            if k % 2 == 0 {
                broken.truncate(bytes.len() * (k as usize + 1) / 41);
            }
            for _ in 0..k {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = state as usize % broken.len().max(1);
                if let Some(byte) = broken.get_mut(at) {
                    *byte ^= 1 << (state >> 29);
                }
            }
            let path = folder.join(format!("broken-{name}"));
            std::fs::write(&path, broken).unwrap();
            let loaded = std::panic::catch_unwind(|| {
                if let Ok(mut decoder) = Decoder::open(&path) {
                    let frames = decoder.info().frames.min(200_000) as usize;
                    let (mut l, mut r) = (vec![0.0; frames], vec![0.0; frames]);
                    let _ = decoder.read(&mut l, &mut r);
                    let _ = decoder.seek(frames as u64 / 2);
                    let _ = decoder.read(&mut l, &mut r);
                }
            });
            assert!(loaded.is_ok(), "{name}, damage {k}");
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}
