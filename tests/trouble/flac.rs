//! FLAC: lengths counted to the last frame, damage without a shift in time, and unusual headers.

use crate::bytes::Random;
use crate::sound::{SONG, Sound, bytes, refusal};

/// Returns the offset of the first frame, after the marker and the metadata blocks.
fn first_frame(flac: &[u8]) -> usize {
    let mut at = 4;
    loop {
        let length = u32::from_be_bytes([0, flac[at + 1], flac[at + 2], flac[at + 3]]) as usize;
        let last = flac[at] & 0x80 != 0;
        at += 4 + length;
        if last {
            return at;
        }
    }
}

#[test]
fn what_stands_around_the_frames_is_no_loss() {
    let (song, plain) = (bytes("song.flac"), Sound::of("song.flac"));
    assert_eq!((plain.frames(), plain.missing, plain.remarks.len()), (SONG, 0, 0));
    let mut v1 = b"TAG".to_vec();
    v1.resize(128, b' ');
    let id3 = [&b"ID3\x04\0\0\0\0\x03\x10"[..], &[0; 400]].concat();
    let mut rest = song.clone();
    rest[8..10].fill(0);
    for (name, file) in [
        ("ID3v1 behind", [song.clone(), v1].concat()),
        ("ID3v2 in front", [id3, song.clone()].concat()),
        ("zeros behind", [song.clone(), vec![0; 10_000]].concat()),
        ("rubbish behind", [song.clone(), Random(1).bytes(10_000)].concat()),
        ("rubbish in front", [Random(2).bytes(500), song.clone()].concat()),
        ("smallest block 0", rest),
    ] {
        let sound = Sound::made("around.flac", &file);
        assert_eq!((sound.frames(), sound.missing), (SONG, 0), "{name}");
        assert_eq!(sound.off(&plain, 0..SONG), 0.0, "{name}");
    }
}

#[test]
fn the_frames_tell_the_length_not_the_header() {
    let (song, plain) = (bytes("song.flac"), Sound::of("song.flac"));
    for total in [0u64, 1, 20_000, 100_000, (1 << 36) - 1] {
        let mut file = song.clone();
        file[21] = file[21] & 0xf0 | (total >> 32) as u8;
        file[22..26].copy_from_slice(&(total as u32).to_be_bytes());
        let sound = Sound::made("total.flac", &file);
        assert_eq!((sound.frames(), sound.off(&plain, 0..SONG)), (SONG, 0.0), "{total}");
        assert_eq!(sound.remarks.len(), usize::from(total != 0), "{total}");
    }
    let cut = Sound::made("cut.flac", &song[..song.len() * 2 / 3]);
    assert!(cut.frames() > SONG / 2 && cut.frames() < SONG && cut.frames().is_multiple_of(4_096), "{}", cut.frames());
    assert_eq!((cut.off(&plain, 0..cut.frames()), cut.missing), (0.0, 0));
    assert!(cut.remarks.join(" ").contains("missing at the end"), "{:?}", cut.remarks);
    assert!(refusal("head.flac", &song[..first_frame(&song)]).ends_with("it contains no sound"));
}

#[test]
fn damage_keeps_the_rest_in_its_place() {
    let (song, plain) = (bytes("song.flac"), Sound::of("song.flac"));
    let middle = song.len() / 2;
    for (name, file) in [
        ("300 bytes", [&song[..middle], &Random(7).bytes(300), &song[middle + 300..]].concat()),
        ("5000 bytes lost", [&song[..middle], &song[middle + 5_000..]].concat()),
        ("bytes put in", [&song[..middle], &Random(8).bytes(777), &song[middle..]].concat()),
        ("a bit", [&song[..middle], &[song[middle] ^ 4], &song[middle + 1..]].concat()),
    ] {
        let sound = Sound::made("damaged.flac", &file);
        assert_eq!(sound.frames(), SONG, "{name}");
        // Only whole frames are missing.
        assert!(
            sound.missing > 0 && sound.missing.is_multiple_of(4_096) && sound.missing <= 3 * 4_096,
            "{name}: {:?}",
            sound.gaps
        );
        let [(at, length)] = sound.gaps[..] else { panic!("{name}: {:?}", sound.gaps) };
        let (at, end) = (at as usize, (at + length) as usize);
        assert_eq!((sound.off(&plain, 0..at), sound.off(&plain, end..SONG)), (0.0, 0.0), "{name}");
        assert!(sound.left[at..end].iter().all(|s| *s == 0.0), "{name}");
    }
    // The first frame.
    let first = first_frame(&song);
    let sound = Sound::made("first.flac", &[&song[..first], &[0; 40], &song[first + 40..]].concat());
    assert_eq!((sound.frames(), sound.gaps.as_slice()), (SONG, &[(0, 4_096)][..]));
    assert_eq!(sound.off(&plain, 4_096..SONG), 0.0);
}

#[test]
fn a_seek_in_a_damaged_file_lands_on_its_frame() {
    let (song, plain) = (bytes("song.flac"), Sound::of("song.flac"));
    let middle = song.len() / 2;
    let file = [&song[..middle], &Random(7).bytes(3_000), &song[middle + 3_000..]].concat();
    let mut decoder = grooved::media::decode::Decoder::open(&crate::sound::file("seek.flac", &file)).unwrap();
    for at in [SONG - 1_000, 10, SONG - 9_000, 4_095, 40_000] {
        let (mut l, mut r) = (vec![0.0; 900], vec![0.0; 900]);
        decoder.seek(at as u64).unwrap();
        assert_eq!(decoder.read(&mut l, &mut r).unwrap(), 900);
        assert_eq!((l, r), (plain.left[at..at + 900].to_vec(), plain.right[at..at + 900].to_vec()), "{at}");
    }
}
