//! Malformed files, truncated, mutated and constructed: decoding ends soon, without a panic and without allocating the
//! memory that a header claims.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use grooved::media::decode::Decoder;

use crate::bytes::{Random, chunk, find, format, page, riff};
use crate::sound::{bytes, file};

thread_local! {
    /// Largest allocation of this thread in bytes.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // Thread-local storage is gone while a thread ends.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

struct Watched;

// SAFETY: all calls are forwarded to the system allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller guarantees the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller guarantees the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller guarantees the same contract.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller guarantees the same contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static MEMORY: Watched = Watched;

/// Maximum allocation that a decoder needs (FLAC blocks of 65 535 frames in eight channels take 2 MB).
const ENOUGH: usize = 8 << 20;

/// Opens, reads and seeks a file; returns whether it opened. Silent files of months are not read to the end.
fn try_all(name: &str, bytes: &[u8]) -> bool {
    let path = file(name, bytes);
    let opened = Decoder::open(&path).is_ok_and(|mut decoder| {
        let frames = decoder.info().frames;
        let (mut l, mut r) = (vec![0.0; 8_192], vec![0.0; 8_192]);
        for _ in 0..60 {
            match decoder.read(&mut l, &mut r) {
                Ok(n) if n > 0 => assert!(l[..n].iter().chain(&r[..n]).all(|s| s.is_finite()), "{name}"),
                _ => break,
            }
        }
        for at in [frames / 2, 0, frames.saturating_sub(100), frames / 3] {
            if decoder.seek(at).is_ok() {
                assert_eq!(decoder.position(), at, "{name}");
                let _ = decoder.read(&mut l[..700], &mut r[..700]);
            }
        }
        true
    });
    let _ = std::fs::remove_file(path);
    opened
}

const SONGS: [&str; 16] = [
    "song.flac",
    "song.m4a",
    "song-frag.m4a",
    "song-dash.m4a",
    "song-alac.m4a",
    "song-mp3.mp4",
    "song-cbr.mp3",
    "song-vbr-notag.mp3",
    "song.mp2",
    "song.aac",
    "song.ogg",
    "three.ogg",
    "adpcm_ms.wav",
    "adpcm_ima_wav.wav",
    "pcm24be.mov",
    "ni.stem.mp4",
];

#[test]
fn whatever_is_done_to_a_file_it_ends() {
    let mut random = Random(2_024);
    for name in SONGS {
        let whole = bytes(name);
        for turn in 0..60 {
            let mut broken = whole.clone();
            let length = broken.len();
            match turn % 6 {
                0 => broken.truncate(random.below(length)),
                1 => {
                    let at = random.below(length);
                    broken.drain(at..(at + random.below(5_000)).min(length));
                }
                2 => {
                    let (at, more) = (random.below(length), random.below(3_000));
                    let noise = random.bytes(more);
                    broken.splice(at..at, noise);
                }
                // Headers are at the beginning, and at the end of most MP4 files.
                3 => (0..6).for_each(|_| broken[random.below(length.min(700))] = random.next() as u8),
                4 => {
                    for _ in 0..3 {
                        let at = length - 1 - random.below(length.min(1_500));
                        let value = [0xff, 0x00, 0x7f, 0x80][random.below(4)];
                        broken[at..(at + 4).min(length)].fill(value);
                    }
                }
                _ => (0..20).for_each(|_| broken[random.below(length)] ^= 1 << random.below(8)),
            }
            let ended = std::panic::catch_unwind(|| try_all(name, &broken));
            assert!(ended.is_ok(), "{name}, turn {turn}");
        }
    }
    let largest = LARGEST.get();
    assert!(largest < ENOUGH, "{largest} bytes at once");
}

#[test]
fn a_claim_of_gigabytes_takes_no_memory() {
    let song = bytes("song.m4a");
    let table = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];
    for (kind, at) in [(b"stsz", 16), (b"stco", 12), (b"stsc", 12), (b"stts", 12), (b"stsz", 12)] {
        let mut file = song.clone();
        let (begin, _) = find(&song, &[&table[..], &[kind]].concat());
        file[begin + at..begin + at + 4].copy_from_slice(&0xfff_ffffu32.to_be_bytes());
        try_all("claims.m4a", &file);
        // A box that extends beyond the end.
        file[begin..begin + 4].copy_from_slice(&0xffff_fff0u32.to_be_bytes());
        try_all("claims.m4a", &file);
    }
    let alac = bytes("song-alac.m4a");
    let at = alac.windows(4).rposition(|w| w == b"alac").unwrap() + 8;
    let mut file = alac.clone();
    file[at..at + 4].copy_from_slice(&0x7fff_ffffu32.to_be_bytes());
    assert!(!try_all("block.m4a", &file));
    let wav = |rest: &[u8]| [&riff(&[chunk(b"fmt ", &format(1, 2, 44_100, 16, 4))])[..], rest].concat();
    try_all("claims.wav", &wav(b"LIST\xff\xff\xff\x7fINFO"));
    try_all("claims.wav", &wav(b"data\xff\xff\xff\x7f\0\0\0\0"));
    // A Vorbis codebook of 128 thousand entries of 65 535 dimensions.
    let ogg = bytes("song.ogg");
    let book = ogg.windows(3).position(|w| w == b"BCV").unwrap();
    let mut file = ogg.clone();
    file[book + 3..book + 8].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x01]);
    let (at, length) = crate::bytes::pages(&ogg)[1];
    crate::bytes::seal(&mut file[at..at + length]);
    assert!(!try_all("book.ogg", &file));
    try_all("far.ogg", &page(2, i64::MAX, 1, 0, b"\x01vorbis"));
    let mut flac = bytes("song.flac");
    flac[5..8].fill(0xff);
    try_all("claims.flac", &flac);
    try_all(
        "claims.mp3",
        &[&b"ID3\x04\0\0\x7f\x7f\x7f\x7fAPIC\x7f\x7f\x7f\x7f\0\0"[..], &bytes("song-cbr.mp3")].concat(),
    );
    let largest = LARGEST.get();
    assert!(largest < ENOUGH, "{largest} bytes at once");
}

#[test]
fn a_file_that_shrinks_while_it_plays_is_silent_from_there() {
    for name in ["song.flac", "song.m4a", "song-cbr.mp3", "song.ogg", "adpcm_ms.wav"] {
        let whole = bytes(name);
        let path = file(name, &whole);
        let mut decoder = Decoder::open(&path).unwrap();
        let frames = decoder.info().frames as usize;
        std::fs::write(&path, &whole[..whole.len() / 3]).unwrap();
        let (mut l, mut r) = (vec![0.0; frames], vec![0.0; frames]);
        decoder.seek(frames as u64 / 2).unwrap();
        if let Ok(n) = decoder.read(&mut l, &mut r) {
            assert_eq!(n, frames - frames / 2, "{name}");
        }
    }
}
