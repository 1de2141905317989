//! Ten rounds of a loop in every format: no gap at the seam, no drift.

use grooved::media::decode::Decoder;
use grooved::media::file::MediaFile;

use crate::bytes::{chunk, format, riff};
use crate::sound::{SONG, Sound, bytes, file, fixture};

const TIMES: usize = 10;

/// Ten rounds of `from..to`, read in chunks with a seek at each end, as a deck's stream does.
fn rounds(path: &std::path::Path, from: usize, to: usize) -> Sound {
    let media = MediaFile::open(path).unwrap();
    let info = Decoder::new(&media).unwrap().info().clone();
    let mut decoder = Decoder::known(&media, &info).unwrap();
    decoder.seek(from as u64).unwrap();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let (mut l, mut r) = (vec![0.0; 2_048], vec![0.0; 2_048]);
    while left.len() < TIMES * (to - from) {
        let rest = to - decoder.position() as usize;
        if rest == 0 {
            decoder.seek(from as u64).unwrap();
            continue;
        }
        let want = rest.min(2_048);
        let n = decoder.read(&mut l[..want], &mut r[..want]).unwrap();
        assert_eq!((n, decoder.lacking()), (want, None), "{}", path.display());
        left.extend_from_slice(&l[..n]);
        right.extend_from_slice(&r[..n]);
    }
    Sound { rate: info.sample_rate, left, right, missing: 0, gaps: Vec::new(), remarks: Vec::new() }
}

/// Maximum difference between rounds. AAC substitutes noise for omitted content, different each time.
fn slack(name: &str) -> f32 {
    if name.ends_with(".aac") || (name.ends_with(".m4a") && !name.contains("alac")) { 0.02 } else { 2e-4 }
}

/// Returns one round as a sound.
fn round(all: &Sound, number: usize, length: usize) -> Sound {
    let range = number * length..(number + 1) * length;
    Sound { left: all.left[range.clone()].to_vec(), right: all.right[range].to_vec(), ..all.clone() }
}

#[test]
fn ten_rounds_are_ten_times_the_same_without_a_gap() {
    let truth = Sound::of("song.flac");
    let samples: Vec<u8> =
        truth.left.iter().zip(&truth.right).flat_map(|(l, r)| [l.to_le_bytes(), r.to_le_bytes()].concat()).collect();
    let wav = riff(&[chunk(b"fmt ", &format(3, 2, 44_100, 32, 8)), chunk(b"data", &samples)]);
    let mut paths = vec![file("song.wav", &wav)];
    let names =
        ["song.flac", "song-alac.m4a", "song.m4a", "song-dash.m4a", "song-mp3.mp4", "song-cbr.mp3", "song-vbr.mp3"];
    paths.extend(names.iter().chain(&["song.ogg"]).map(|name| fixture(name)));
    paths.push(file("chain.ogg", &bytes("song.ogg")));
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The whole file, and a part that begins and ends within packets.
        for (from, to) in [(0, SONG), (12_345, 40_001)] {
            let length = to - from;
            let all = rounds(&path, from, to);
            let part =
                Sound { left: truth.left[from..to].to_vec(), right: truth.right[from..to].to_vec(), ..truth.clone() };
            let plain = Sound::open(&path).unwrap();
            let heard = Sound { left: plain.left[from..to].to_vec(), right: plain.right[from..to].to_vec(), ..plain };
            for number in 0..TIMES {
                let this = round(&all, number, length);
                // Coding noise.
                let lossless = name.ends_with("wav") || name.ends_with("flac") || name.contains("alac");
                let (left, wanted) = (this.residual(&part, 0, 0..length), if lossless { -150.0 } else { -16.0 });
                assert!(left < wanted, "{name} {from}..{to}, round {number}: {left:.1} dB");
                // Frame-accurate with the sound without a loop, at both seams too.
                let off = this.off(&heard, 0..length);
                assert!(off < slack(&name), "{name} {from}..{to}, round {number}: {off}");
            }
        }
    }
}

#[test]
fn formats_that_cannot_say_where_they_begin_still_repeat_exactly() {
    for name in ["song.aac", "song.mp2", "song-cbr-notag.mp3", "song-vbr-notag.mp3", "song-frag.m4a"] {
        let path = fixture(name);
        let length = Sound::of(name).frames();
        let all = rounds(&path, 0, length);
        let plain = Sound::of(name);
        for number in 0..TIMES {
            assert!(round(&all, number, length).off(&plain, 0..length) < slack(name), "{name}, round {number}");
        }
    }
}
