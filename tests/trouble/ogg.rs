//! Ogg: chained links, positions that do not start at 0, lost pages, more than two channels.

use crate::bytes::{page, pages, seal};
use crate::sound::{SONG, Sound, bytes, refusal};

/// Returns a copy with changed pages and valid checksums.
fn with(ogg: &[u8], mut change: impl FnMut(usize, &mut [u8])) -> Vec<u8> {
    let mut copy = ogg.to_vec();
    for (number, (at, length)) in pages(ogg).into_iter().enumerate() {
        change(number, &mut copy[at..at + length]);
        seal(&mut copy[at..at + length]);
    }
    copy
}

fn granule(page: &[u8]) -> i64 {
    i64::from_le_bytes(page[6..14].try_into().unwrap())
}

#[test]
fn the_song_is_in_place_to_the_frame() {
    let sound = Sound::of("song.ogg");
    assert_eq!((sound.frames(), sound.missing, sound.remarks.len()), (SONG, 0, 0));
    assert_eq!(sound.lag(&Sound::of("song.flac")), 0);
}

#[test]
fn every_link_of_a_chain_plays() {
    let (song, plain) = (bytes("song.ogg"), Sound::of("song.ogg"));
    let other = with(&song, |_, page| page[14..18].copy_from_slice(&77u32.to_le_bytes()));
    for (name, links) in [("one number", vec![&song, &song, &song]), ("two numbers", vec![&song, &other, &song])] {
        let sound = Sound::made("chain.ogg", &links.into_iter().flatten().copied().collect::<Vec<u8>>());
        assert_eq!((sound.frames(), sound.missing), (3 * SONG, 0), "{name}");
        for link in 0..3 {
            let range = link * SONG..(link + 1) * SONG;
            let part =
                Sound { left: sound.left[range.clone()].to_vec(), right: sound.right[range].to_vec(), ..plain.clone() };
            assert_eq!(part.off(&plain, 0..SONG), 0.0, "{name}, link {link}");
        }
    }
    // A link at another rate is silent for its duration.
    let slow = with(&song, |number, page| {
        if number == 0 {
            page[28 + 12..28 + 16].copy_from_slice(&22_050u32.to_le_bytes());
        }
    });
    let sound = Sound::made("rates.ogg", &[&song[..], &slow, &song].concat());
    assert_eq!((sound.frames(), sound.missing as usize), (4 * SONG, 2 * SONG));
    assert!(sound.remarks.join(" ").contains("from 44100 to 22050 Hz"), "{:?}", sound.remarks);
}

#[test]
fn positions_need_not_begin_at_nothing() {
    let (song, plain) = (bytes("song.ogg"), Sound::of("song.ogg"));
    let late = with(&song, |_, page| {
        let at = granule(page);
        if at > 0 {
            page[6..14].copy_from_slice(&(at + 1_000_000_000).to_le_bytes());
        }
    });
    let sound = Sound::made("late.ogg", &late);
    // The length of the last page is known only from the pages before it.
    assert_eq!((sound.frames(), sound.missing, sound.off(&plain, 0..SONG)), (SONG, 0, 0.0));
}

#[test]
fn a_lost_page_keeps_the_rest_in_its_place() {
    let (song, plain) = (bytes("song.ogg"), Sound::of("song.ogg"));
    let all = pages(&song);
    assert!(all.len() >= 6);
    let (at, length) = all[3];
    let before = granule(&song[all[2].0..]) as usize;
    let behind = granule(&song[at..]) as usize;
    let mut wrong = song.clone();
    wrong[at + length / 2] ^= 0x10;
    let mut marker = song.clone();
    marker[at] = b'o';
    for (name, file) in [
        ("lost", [&song[..at], &song[at + length..]].concat()),
        ("checksum", wrong),
        ("marker", marker),
        ("zeros", [&song[..at], &vec![0; length], &song[at + length..]].concat()),
    ] {
        let sound = Sound::made("page.ogg", &file);
        assert_eq!(sound.frames(), SONG, "{name}");
        assert_eq!(sound.off(&plain, 0..before.saturating_sub(2_048)), 0.0, "{name}");
        assert_eq!(sound.off(&plain, behind + 2_048..SONG), 0.0, "{name}");
        assert!(sound.missing as usize > (behind - before) / 2, "{name}: {:?}", sound.gaps);
    }
    // The last page is lost, or is not marked as the end.
    let (last, _) = *all.last().unwrap();
    let short = Sound::made("last.ogg", &song[..last]);
    assert_eq!((short.frames() as i64, short.missing), (granule(&song[all[all.len() - 2].0..]), 0));
    let unmarked = with(&song, |_, page| page[5] &= !4);
    assert_eq!(Sound::made("mark.ogg", &unmarked).off(&plain, 0..SONG), 0.0);
    let cut = Sound::made("cut.ogg", &song[..song.len() - 100]);
    assert!(cut.remarks.join(" ").contains("truncated in the middle of a page"), "{:?}", cut.remarks);
}

#[test]
fn multichannel_vorbis_has_every_channel_in_its_place() {
    let half = std::f64::consts::FRAC_1_SQRT_2;
    // Left, right and centre; then with LFE and two surrounds: sines of 0.3 from 300 Hz up.
    for (name, tones) in [
        ("three.ogg", vec![(300.0, 1.0, 0.0), (400.0, 0.0, 1.0), (500.0, half, half)]),
        (
            "six.ogg",
            vec![
                (300.0, 1.0, 0.0),
                (400.0, 0.0, 1.0),
                (500.0, half, half),
                (60.0, 0.0, 0.0),
                (700.0, half, 0.0),
                (800.0, 0.0, half),
            ],
        ),
    ] {
        let sound = Sound::of(name);
        assert_eq!((sound.frames(), sound.missing), (11_025, 0), "{name}");
        let level = Sound::tone(&sound.left, 44_100, 300.0);
        for (hz, in_left, in_right) in tones {
            for (samples, wanted) in [(&sound.left, in_left), (&sound.right, in_right)] {
                let got = Sound::tone(samples, 44_100, hz) / level;
                assert!((got - wanted).abs() < 0.03, "{name}, {hz} Hz: {got:.3} instead of {wanted:.3}");
            }
        }
    }
}

#[test]
fn other_codecs_are_named() {
    for (head, name) in [
        (&b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"[..], "Opus"),
        (b"Speex   1.2", "Speex"),
        (b"\x80theora\x03\x02\x01", "Theora"),
        (b"CELT    ", "CELT"),
        (b"something else", "unknown codec"),
    ] {
        let file = [page(2, 0, 1, 0, head), page(0, 0, 1, 1, b"tags"), page(4, 960, 1, 2, &[1; 90])].concat();
        let why = refusal("other.ogg", &file);
        assert!(why.contains(name) && why.contains("Ogg is not supported"), "{why}");
    }
    // The sound of a video file plays.
    let song = bytes("song.ogg");
    let (_, first) = pages(&song)[0];
    let video = page(2, 0, 9, 0, b"\x80theora\x03\x02\x01");
    let both = [video, song[..first].to_vec(), page(0, 0, 9, 1, &[1; 90]), song[first..].to_vec()].concat();
    let sound = Sound::made("video.ogv", &both);
    assert_eq!((sound.frames(), sound.off(&Sound::of("song.ogg"), 0..SONG)), (SONG, 0.0));
}
