//! MP3, MP2 and ADTS: frames counted regardless of headers, damage without a shift in time, tags of all kinds.

use crate::bytes::{Random, frames};
use crate::sound::{SONG, Sound, bytes, refusal};

/// Returns the first frame of a LAME file, and the rest.
fn parts(mp3: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (_, first) = frames(mp3)[0];
    (mp3[..first].to_vec(), mp3[first..].to_vec())
}

/// Returns the offset of the frame count of a LAME file.
fn count_at(mp3: &[u8]) -> usize {
    mp3.windows(4).position(|w| w == b"Info" || w == b"Xing").unwrap() + 8
}

#[test]
fn every_encoder_is_in_place_to_the_frame() {
    let truth = Sound::of("song.flac");
    for name in ["song-cbr.mp3", "song-vbr.mp3"] {
        let sound = Sound::of(name);
        assert_eq!((sound.frames(), sound.lag(&truth), sound.missing), (SONG, 0, 0), "{name}");
        assert!(sound.remarks.is_empty(), "{name}: {:?}", sound.remarks);
    }
    // Without a tag, everything decoded is played, because the encoder's delay is unknown.
    for (name, frames, lag) in [
        ("song-cbr-notag.mp3", 47 * 1_152, 1_105),
        ("song-vbr-notag.mp3", 47 * 1_152, 1_105),
        ("song.mp2", 46 * 1_152, 481),
        ("song.aac", 53 * 1_024, 1_024),
    ] {
        let sound = Sound::of(name);
        assert_eq!((sound.frames(), sound.lag(&truth), sound.missing), (frames, lag, 0), "{name}");
    }
}

#[test]
fn a_loud_beginning_does_not_shorten_what_follows() {
    let sound = Sound::of("vbr_noxing_loud_then_quiet.mp3");
    assert_eq!((sound.frames(), sound.missing), (116 * 1_152, 0));
}

#[test]
fn tags_behind_and_before_are_no_sound() {
    let (song, plain) = (bytes("song-cbr-notag.mp3"), Sound::of("song-cbr-notag.mp3"));
    let mut v1 = b"TAG".to_vec();
    v1.resize(128, b' ');
    let ape = |flags: u32, items: usize| {
        let mut tag = b"APETAGEX\xd0\x07\0\0".to_vec();
        tag.extend((items as u32 + 32).to_le_bytes());
        tag.extend(1u32.to_le_bytes());
        tag.extend(flags.to_le_bytes());
        tag.extend([0; 8]);
        tag
    };
    let items = vec![0xff; 3_000];
    let ape_whole = [ape(0xa000_0000, 3_000), items.clone(), ape(0x8000_0000, 3_000)].concat();
    let mut counted = ape(0xa000_0000, 3_000);
    counted[12..16].copy_from_slice(&3_032u32.to_le_bytes());
    let ape_counting_its_header = [counted, vec![0; 3_000]].concat();
    let id3 = |claimed: usize, real: usize| {
        let mut tag = b"ID3\x03\0\0".to_vec();
        tag.extend([claimed >> 21, claimed >> 14, claimed >> 7, claimed].map(|n| (n & 0x7f) as u8));
        tag.extend(b"APIC");
        tag.extend((real as u32 - 10).to_be_bytes());
        tag.extend([0, 0]);
        // A picture that contains MP3 frames.
        let mut picture: Vec<u8> = song.iter().copied().cycle().take(real - 10).collect();
        picture[..20].fill(1);
        tag.extend(picture);
        tag
    };
    for (name, before, behind) in [
        ("v1 behind", vec![], v1.clone()),
        ("APE behind", vec![], ape_whole.clone()),
        ("APE and v1 behind", vec![], [ape_whole.clone(), v1.clone()].concat()),
        ("APE in front", ape_whole.clone(), vec![]),
        ("APE that counts its header", ape_counting_its_header, vec![]),
        ("ID3", id3(9_000, 9_000), vec![]),
        ("ID3 twice", [id3(5_000, 5_000), id3(700, 700)].concat(), vec![]),
        ("ID3 that says too little", id3(200, 9_000), vec![]),
        ("ID3 that says too much", id3(9_400, 9_000), vec![]),
        ("ID3 beyond the end", id3(2_000_000, 9_000), vec![]),
        ("zeros", vec![0; 70_000], vec![0; 70_000]),
        ("rubbish", Random(3).bytes(700), Random(4).bytes(5_000)),
    ] {
        let sound = Sound::made("tagged.mp3", &[before, song.clone(), behind].concat());
        assert_eq!(sound.frames(), plain.frames(), "{name}");
        assert_eq!(sound.off(&plain, 0..plain.frames()), 0.0, "{name}");
    }
}

#[test]
fn a_count_that_the_file_contradicts_is_not_believed() {
    let truth = Sound::of("song.flac");
    let song = bytes("song-cbr.mp3");
    let at = count_at(&song);
    let real = u32::from_be_bytes(song[at..at + 4].try_into().unwrap());
    assert_eq!(real, 47);
    // Frame count too low, zero, too high: all frames play, with the right start.
    for count in [20u32, 0, 100_000] {
        let mut file = song.clone();
        file[at..at + 4].copy_from_slice(&count.to_be_bytes());
        let sound = Sound::made("count.mp3", &file);
        let frames = if count == 0 { SONG } else { 47 * 1_152 - 1_105 };
        assert_eq!((sound.frames(), sound.lag(&truth), sound.missing), (frames, 0, 0), "{count}");
    }
    // The checksum of an edited tag is usually wrong.
    let mut file = song.clone();
    let end = frames(&song)[0].1;
    file[at + 172..at + 174].fill(0x55);
    assert!(at + 174 < end);
    let sound = Sound::made("crc.mp3", &file);
    assert_eq!((sound.frames(), sound.lag(&truth)), (SONG, 0));
    // Two concatenated files: the tag of the second is a frame of silence.
    let joined = Sound::made("joined.mp3", &[song.clone(), song.clone()].concat());
    assert_eq!((joined.frames(), joined.missing), (95 * 1_152 - 1_105, 0));
}

#[test]
fn damage_keeps_the_rest_in_its_place() {
    let song = bytes("song-cbr.mp3");
    let plain = Sound::of("song-cbr.mp3");
    let all = frames(&song);
    let (hit, length) = all[20];
    let three = all[20].1 + all[21].1 + all[22].1;
    let zeros = [&song[..hit], &vec![0; three], &song[hit + three..]].concat();
    let noise = [&song[..hit], &Random(9).bytes(three), &song[hit + three..]].concat();
    let inserted = [&song[..hit], &[0x55; 333], &song[hit..]].concat();
    let within = [&song[..hit + 100], &[0x55; 333], &song[hit + 100..]].concat();
    let tag = [&song[..hit], &b"ID3\x03\0\0\0\0\x07\x68"[..], &[0; 1_000], &song[hit..]].concat();
    let lost = [&song[..hit + 100], &song[hit + 100 + 1_000..]].concat();
    for (name, file) in [
        ("zeros", zeros.clone()),
        ("noise", noise),
        ("bytes put in", inserted),
        ("bytes put into a frame", within),
        ("a tag", tag),
        ("bytes lost", lost),
    ] {
        let sound = Sound::made("damaged.mp3", &file);
        assert_eq!(sound.frames(), SONG, "{name}");
        // Up to ten frames from the damage on may be silent (bit reservoir); after that the output is bit-identical.
        let at = 19 * 1_152 - 1_105;
        assert_eq!(sound.off(&plain, 0..at - 1_152), 0.0, "{name}, before");
        assert_eq!(sound.off(&plain, at + 12 * 1_152..SONG), 0.0, "{name}, behind");
        // Never louder than the music.
        let peak = |s: &Sound| s.left.iter().chain(&s.right).fold(0.0f32, |p, s| p.max(s.abs()));
        assert!(peak(&sound) < 1.2 * peak(&plain), "{name}: {}", peak(&sound));
    }
    // Without a frame count, the length follows from the file size at a constant bit rate.
    let (_, bare) = parts(&zeros);
    let (_, whole) = parts(&song);
    let (damaged, plain) = (Sound::made("bare.mp3", &bare), Sound::made("bare.mp3", &whole));
    assert_eq!(damaged.frames(), plain.frames());
    assert_eq!(damaged.off(&plain, 32 * 1_152..plain.frames()), 0.0);
    assert!(damaged.missing >= 3 * 1_152 && length > 300);
}

#[test]
fn one_and_two_channels_in_one_file_both_play() {
    let (_, stereo) = parts(&bytes("song-cbr.mp3"));
    let (_, mono) = parts(&bytes("mono.mp3"));
    for (name, file) in [("mono first", [&mono[..], &stereo].concat()), ("stereo first", [&stereo[..], &mono].concat())]
    {
        let sound = Sound::made("both.mp3", &file);
        assert_eq!((sound.frames(), sound.missing), (2 * 47 * 1_152, 0), "{name}");
        let level = |from: usize| sound.left[from..from + 20_000].iter().map(|s| s.abs()).sum::<f32>() / 20_000.0;
        assert!(level(20_000) > 0.02 && level(47 * 1_152 + 20_000) > 0.02, "{name}");
    }
}

#[test]
fn another_rate_is_reported_and_keeps_its_length() {
    let (_, song) = parts(&bytes("song-cbr.mp3"));
    // Frames with a header of 48 kHz are a few bytes shorter.
    let other: Vec<u8> = frames(&song)
        .iter()
        .flat_map(|(at, _)| {
            let mut frame = song[*at..*at + 336].to_vec();
            frame[2] = frame[2] & 0xf1 | 0x04;
            frame
        })
        .collect();
    let sound = Sound::made("rates.mp3", &[&song[..], &other, &song].concat());
    let middle = 47 * 1_152 * 44_100 / 48_000;
    assert_eq!((sound.frames(), sound.missing), (2 * 47 * 1_152 + middle, middle as u64));
    assert!(sound.remarks.join(" ").contains("from 44100 to 48000 Hz"), "{:?}", sound.remarks);
    let (plain, last) = (Sound::made("rate.mp3", &song), 47 * 1_152 + middle);
    let end = Sound { left: sound.left[last..].to_vec(), right: sound.right[last..].to_vec(), ..sound };
    assert_eq!(end.off(&plain, 12 * 1_152..plain.frames()), 0.0);
}

#[test]
fn a_file_that_is_cut_off_plays_to_there_and_says_so() {
    let song = bytes("song-cbr.mp3");
    let half = &song[..song.len() / 2];
    let cut = Sound::made("cut.mp3", half);
    let whole = frames(half).len() - 1;
    assert_eq!((cut.frames(), cut.lag(&Sound::of("song.flac"))), (whole * 1_152 - 1_105, 0));
    assert!(cut.remarks.join(" ").contains("missing at the end"), "{:?}", cut.remarks);
    for (frames_left, name) in [(1, "one.mp3"), (2, "two.mp3"), (3, "three.mp3")] {
        let (_, bare) = parts(&song);
        let end = frames(&bare)[frames_left].0;
        assert_eq!(Sound::made(name, &bare[..end]).frames(), frames_left * 1_152);
    }
    let (tag, _) = parts(&song);
    assert!(refusal("tag-only.mp3", &tag).ends_with("it contains no sound"));
}

#[test]
fn what_adts_cannot_do_is_named() {
    let aac = bytes("song.aac");
    let with = |at: usize, mask: u8, bits: u8| {
        let mut file = aac.clone();
        for (begin, _) in frames(&aac) {
            file[begin + at] = file[begin + at] & mask | bits;
        }
        file
    };
    assert!(refusal("main.aac", &with(2, 0x3f, 0x00)).contains("AAC Main"));
    assert!(refusal("ltp.aac", &with(2, 0x3f, 0xc0)).contains("AAC LTP"));
    assert!(
        refusal(
            "six.aac",
            &with(3, 0x3f, 0x80)
                .iter()
                .enumerate()
                .map(|(k, b)| { if frames(&aac).iter().any(|(at, _)| *at + 2 == k) { b | 1 } else { *b } })
                .collect::<Vec<u8>>()
        )
        .contains("6 channels")
    );
    assert!(refusal("blocks.aac", &with(6, 0xfc, 0x03)).contains("several blocks"));
    assert!(refusal("free.mp3", &[0xff, 0xfb, 0x00, 0x64].repeat(300)).contains("free format"));
}
