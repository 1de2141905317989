//! Media files, one target per format: opened, read to the end or a limit, then read again after seeks.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use grooved::media::decode::Decoder;
use grooved::media::file::MediaFile;

use super::{Target, refusing};

/// Maximum number of frames read from the start, and after each seek.
const MOST_FRAMES: usize = 1 << 18;
const AFTER_SEEK: usize = 8_192;
const BLOCK: usize = 4_096;

/// Maximum sample value of a file beyond full scale, times the maximum number of channels mixed into one.
const MOST_LEVEL: f32 = 64.0 * 32.0;

fn decode(data: &[u8], name: &str) {
    let memory = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC).expect("a file can be made in memory");
    let mut file = File::from(memory);
    file.write_all(data).expect("it can be written");
    let file = MediaFile::of(file, Path::new(name), None, Arc::default()).expect("it is a file");
    let Some(Ok(mut decoder)) = refusing(|| Decoder::new(&file)) else { return };
    let info = decoder.info().clone();
    assert!(info.frames > 0 && info.channels > 0 && info.sample_rate > 0, "{info:?}");
    let (mut left, mut right) = (vec![0.0; BLOCK], vec![0.0; BLOCK]);
    let mut read = |decoder: &mut Decoder, most: usize| {
        let mut done = 0;
        while done < most {
            let before = decoder.position();
            let Some(Ok(count)) = refusing(|| decoder.read(&mut left, &mut right)) else { break };
            assert!(count <= BLOCK && decoder.position() == before + count as u64, "{count} frames from {before}");
            assert!(left[..count].iter().chain(&right[..count]).all(|s| s.abs() <= MOST_LEVEL), "from {before}");
            done += count;
            if count < BLOCK {
                break;
            }
        }
    };
    read(&mut decoder, MOST_FRAMES);
    let _ = decoder.lacking();
    for frame in [0, info.frames / 2, info.frames - 1, info.frames, u64::MAX, 1] {
        if refusing(|| decoder.seek(frame)).is_none_or(|sought| sought.is_err()) {
            break;
        }
        assert_eq!(decoder.position(), frame.min(info.frames));
        read(&mut decoder, AFTER_SEEK);
    }
    if let Some(Ok(mut again)) = refusing(|| Decoder::known(&file, &info)) {
        assert_eq!(again.info(), &info);
        read(&mut again, AFTER_SEEK);
    }
}

macro_rules! kinds {
    ($($constant:ident, $name:literal, [$($fixture:literal),+], [$($word:literal),+];)+) => {$(
        #[doc = concat!("Files named `fuzz.", $name, "`.")]
        pub const $constant: Target = Target {
            name: $name,
            run: |data| decode(data, concat!("fuzz.", $name)),
            seeds: || vec![$(include_bytes!(concat!("../../tests/fixtures/", $fixture)).to_vec()),+],
            words: &[$($word),+],
        };
    )+};
}

kinds! {
    WAV, "wav", ["short.wav", "short-adpcm.wav"],
        ["RIFF", "RF64", "RIFX", "WAVE", "fmt ", "data", "fact", "ds64", "LIST", "smpl", "\x7f\x7f\x7f\x7f", "\0\0\0\0", "\x03\0", "\x11\0", "\x7e"];
    AIFF, "aiff", ["short.aiff"], ["FORM", "AIFF", "AIFC", "COMM", "SSND", "FVER", "NONE", "sowt", "fl32", "ima4", "\0\0\0\0", "@\x0e"];
    FLAC, "flac", ["short.flac"], ["fLaC", "\0\0\0\x22", "\x03\0\0\x12", "\x04\0\0", "ID3\x04", "\x7f\x7f"];
    MP3, "mp3", ["short.mp3"], ["ID3\x03", "ID3\x04", "TAG", "Xing", "Info", "VBRI", "LAME", "APETAGEX", "\0\0\0\0"];
    ADTS, "adts", ["short.aac"], ["ID3\x04", "ADIF", "\0\0\0\0", "\x01\x7f"];
    OGG, "ogg", ["short.ogg"], ["OggS\0\x02", "OggS\0\x04", "OggS\0\0", "\x01vorbis", "\x03vorbis", "\x05vorbis", "BCV", "OpusHead", "\x7fFLAC"];
    M4A, "m4a", ["short.m4a", "short-fragmented.m4a"],
        ["ftyp", "moov", "mdat", "moof", "trak", "mdia", "minf", "stbl", "stsd", "mp4a", "esds", "stts", "stsc", "stsz", "stco", "co64",
         "elst", "mvhd", "mdhd", "trun", "tfhd", "free", "alac", "\0\0\0\x01", "\0\0\0\0"];
}
