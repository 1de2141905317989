//! MP4: edit lists, fragments, HE-AAC, rates that do not fit its header, stems.

use grooved::media::decode::Decoder;
use grooved::media::file::MediaFile;
use grooved::media::stems;

use crate::bytes::find;
use crate::sound::{SONG, Sound, bytes, file, fixture, refusal};

const MEDIA: [&[u8; 4]; 4] = [b"moov", b"trak", b"mdia", b"minf"];

fn boxed(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
    [&(contents.len() as u32 + 8).to_be_bytes()[..], kind, contents].concat()
}

#[test]
fn edit_lists_are_obeyed_to_the_frame() {
    let truth = Sound::of("song.flac");
    for name in ["song.m4a", "song-dash.m4a", "song-alac.m4a", "song-mp3.mp4"] {
        let sound = Sound::of(name);
        assert_eq!((sound.frames(), sound.lag(&truth), sound.missing), (SONG, 0, 0), "{name}");
    }
    assert_eq!(Sound::of("song-alac.m4a").off(&truth, 0..SONG), 0.0);
    let song = bytes("song.m4a");
    let (at, size) = find(&song, &[b"moov", b"trak", b"edts", b"elst"]);
    assert_eq!(size, 28);
    let edited = |duration: u32, from: u32| {
        let mut file = song.clone();
        file[at + 16..at + 20].copy_from_slice(&duration.to_be_bytes());
        file[at + 20..at + 24].copy_from_slice(&from.to_be_bytes());
        Sound::made("edited.m4a", &file)
    };
    let plain = Sound::of("song.m4a");
    // A part: 500 ms from 10 000 frames after the delay. Without a duration: the rest of the file.
    let part = edited(500, 11_024);
    assert_eq!(part.frames(), 22_050);
    let moved = Sound { left: plain.left[10_000..].to_vec(), right: plain.right[10_000..].to_vec(), ..plain.clone() };
    assert!(part.off(&moved, 0..22_050) < 1e-3);
    assert_eq!(edited(0, 1_024).frames(), SONG);
    // An edit that extends beyond the media plays to its end.
    assert_eq!(edited(99_000, 1_024).frames(), 53 * 1_024 - 1_024);
    // No edit list: everything in the index is played.
    let mut none = song.clone();
    none[at + 4..at + 8].copy_from_slice(b"free");
    let none = Sound::made("none.m4a", &none);
    assert_eq!((none.frames(), none.lag(&truth)), (SONG + 1_024, 1_024));
}

#[test]
fn an_empty_edit_is_silence_and_edits_may_go_back() {
    let (song, plain) = (bytes("song.m4a"), Sound::of("song.m4a"));
    // 100 ms of silence, 200 ms from 0.5 s on, 200 ms from the beginning.
    let rows = [(100u32, u32::MAX), (200, 22_050 + 1_024), (200, 1_024)];
    let mut list = vec![0, 0, 0, 0, 0, 0, 0, 3];
    for (duration, from) in rows {
        list.extend(duration.to_be_bytes());
        list.extend(from.to_be_bytes());
        list.extend([0, 1, 0, 0]);
    }
    let (at, size) = find(&song, &[b"moov", b"trak", b"edts"]);
    let edts = boxed(b"edts", &boxed(b"elst", &list));
    let more = (edts.len() - size) as u32;
    let mut file = [&song[..at], &edts, &song[at + size..]].concat();
    for path in [&[b"moov"][..], &[b"moov", b"trak"]] {
        let (at, size) = find(&song, path);
        file[at..at + 4].copy_from_slice(&(size as u32 + more).to_be_bytes());
    }
    let sound = Sound::made("edits.m4a", &file);
    assert_eq!((sound.frames(), sound.missing), (22_050, 0));
    assert!(sound.left[..4_410].iter().all(|s| *s == 0.0));
    for k in 0..8_820 {
        assert!((sound.left[4_410 + k] - plain.left[22_050 + k]).abs() < 1e-3, "{k}");
        assert!((sound.left[13_230 + k] - plain.left[k]).abs() < 1e-3, "{k}");
    }
    let mut decoder = Decoder::open(&crate::sound::file("edits.m4a", &file)).unwrap();
    for at in [14_000usize, 4_000, 13_000, 0, 5_000] {
        let (mut l, mut r) = (vec![0.0; 1_000], vec![0.0; 1_000]);
        decoder.seek(at as u64).unwrap();
        decoder.read(&mut l, &mut r).unwrap();
        assert!(l.iter().zip(&sound.left[at..]).all(|(a, b)| (a - b).abs() < 1e-3), "{at}");
    }
}

#[test]
fn what_itunes_writes_counts_where_there_is_no_edit_list() {
    let song = bytes("song.m4a");
    let (elst, _) = find(&song, &[b"moov", b"trak", b"edts"]);
    let text = format!(" 00000000 {:08X} {:08X} {:016X} 00000000 00000000", 2_112 - 1_088, 328, SONG);
    let item = [
        boxed(b"mean", b"\0\0\0\0com.apple.iTunes"),
        boxed(b"name", b"\0\0\0\0iTunSMPB"),
        boxed(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], text.as_bytes()].concat()),
    ];
    let meta = [&[0; 4][..], &boxed(b"hdlr", &[0; 25]), &boxed(b"ilst", &boxed(b"----", &item.concat()))].concat();
    let udta = boxed(b"udta", &boxed(b"meta", &meta));
    let (moov, size) = find(&song, &[b"moov"]);
    assert_eq!(moov + size, song.len(), "the index stands last");
    let mut file = [&song[..], &udta].concat();
    file[moov..moov + 4].copy_from_slice(&((size + udta.len()) as u32).to_be_bytes());
    file[elst + 4..elst + 8].copy_from_slice(b"free");
    // ffmpeg writes a box of the same name, which is found first.
    let (old, _) = find(&file, &[b"moov", b"udta"]);
    file[old + 4..old + 8].copy_from_slice(b"free");
    let sound = Sound::made("itunes.m4a", &file);
    assert_eq!((sound.frames(), sound.lag(&Sound::of("song.flac"))), (SONG, 0));
}

#[test]
fn every_fragment_plays() {
    let truth = Sound::of("song.flac");
    let sound = Sound::of("song-frag.m4a");
    assert_eq!((sound.frames(), sound.lag(&truth), sound.missing), (SONG + 1_024, 1_024, 0));
    // A lost fragment leaves a gap of its length.
    let frag = bytes("song-frag.m4a");
    let mut boxes = Vec::new();
    let mut at = 0;
    while at + 8 <= frag.len() {
        let size = u32::from_be_bytes(frag[at..at + 4].try_into().unwrap()) as usize;
        boxes.push((at, size, frag[at + 4..at + 8].to_vec()));
        at += size;
    }
    let moofs: Vec<usize> = boxes.iter().enumerate().filter(|(_, b)| b.2 == b"moof").map(|(k, _)| k).collect();
    assert!(moofs.len() >= 4, "{}", moofs.len());
    let (from, to) = (boxes[moofs[1]].0, boxes[moofs[2]].0);
    let mut holed = [&frag[..from], &frag[to..]].concat();
    // The following fragments state their positions.
    let mut at = from;
    while at + 8 <= holed.len() {
        let size = u32::from_be_bytes(holed[at..at + 4].try_into().unwrap()) as usize;
        if &holed[at + 4..at + 8] == b"moof" {
            let (traf, _) = find(&holed[at..at + size], &[b"moof", b"traf", b"tfhd"]);
            let flags = u32::from_be_bytes(holed[at + traf + 8..at + traf + 12].try_into().unwrap());
            if flags & 1 != 0 {
                holed[at + traf + 16..at + traf + 24].copy_from_slice(&(at as u64).to_be_bytes());
            }
        }
        at += size;
    }
    let holed = Sound::made("holed.m4a", &holed);
    assert_eq!(holed.frames(), sound.frames());
    assert!(holed.missing > 8 * 1_024 && holed.missing.is_multiple_of(1_024), "{:?}", holed.gaps);
    let (hole, length) = (holed.gaps[0].0 as usize, holed.gaps[0].1 as usize);
    // AAC substitutes noise for omitted content, different each time.
    assert!(holed.off(&sound, 0..hole - 1_024) < 0.02);
    assert!(holed.off(&sound, hole + length + 2_048..sound.frames()) < 0.02);
}

#[test]
fn a_file_that_was_cut_plays_what_is_there() {
    let song = bytes("song.m4a");
    let (moov, size) = find(&song, &[b"moov"]);
    let (mdat, length) = find(&song, &[b"mdat"]);
    // With the index in front, as for streaming, the packets move by its size.
    let mut index = song[moov..moov + size].to_vec();
    let path = [&MEDIA[1..], &[b"stbl", b"stco"]].concat();
    let (stco, _) = find(&[&[0, 0, 0, 8], &b"free"[..], &index[8..]].concat(), &path);
    let offset = u32::from_be_bytes(index[stco + 16..stco + 20].try_into().unwrap());
    index[stco + 16..stco + 20].copy_from_slice(&(offset + size as u32).to_be_bytes());
    let fast = [&song[..mdat], &index, &song[mdat..mdat + length]].concat();
    let plain = Sound::of("song.m4a");
    assert_eq!(Sound::made("fast.m4a", &fast).off(&plain, 0..SONG), 0.0);
    let cut = Sound::made("cut.m4a", &fast[..fast.len() - length / 2]);
    assert!(cut.frames() > SONG / 3 && cut.frames() < SONG * 2 / 3, "{}", cut.frames());
    assert_eq!((cut.off(&plain, 0..cut.frames()), cut.missing), (0.0, 0));
    assert!(cut.remarks.join(" ").contains("missing at the end"), "{:?}", cut.remarks);
    assert!(refusal("cut.m4a", &song[..moov]).contains("it ends before its index"));
}

#[test]
fn he_aac_plays_at_its_pitch_with_a_word_of_warning() {
    let sound = Sound::of("heaac_sine440.m4a");
    assert_eq!((sound.rate, sound.frames(), sound.missing), (22_050, 55_125, 0));
    assert!(Sound::tone(&sound.left, 22_050, 440.0) > 0.25 && Sound::tone(&sound.left, 22_050, 880.0) < 0.01);
    assert!(sound.remarks.join(" ").contains("HE-AAC of 44100 Hz"), "{:?}", sound.remarks);
    let explicit = Sound::of("heaac_explicit.m4a");
    assert_eq!((explicit.rate, explicit.missing), (22_050, 0));
    assert!(explicit.left.iter().any(|s| s.abs() > 0.05), "it is silent");
}

#[test]
fn rates_beyond_the_header_and_plain_samples_are_right() {
    let sound = Sound::of("rate96.m4a");
    assert_eq!((sound.rate, sound.frames(), sound.missing), (96_000, 48_000, 0));
    let (sound, truth) = (Sound::of("pcm24be.mov"), Sound::of("song.flac"));
    assert_eq!((sound.frames(), sound.off(&truth, 0..8_820)), (8_820, 0.0));
}

#[test]
fn a_coarse_time_scale_costs_no_frame() {
    // In milliseconds: the delay is 23, and so is a packet.
    let song = bytes("song.m4a");
    let mut file = song.clone();
    let (mdhd, _) = find(&song, &[b"moov", b"trak", b"mdia", b"mdhd"]);
    file[mdhd + 20..mdhd + 24].copy_from_slice(&1_000u32.to_be_bytes());
    let (elst, _) = find(&song, &[b"moov", b"trak", b"edts", b"elst"]);
    file[elst + 20..elst + 24].copy_from_slice(&23u32.to_be_bytes());
    let (stts, _) = find(&song, &[&MEDIA[..], &[b"stbl", b"stts"]].concat());
    file[stts + 20..stts + 24].copy_from_slice(&23u32.to_be_bytes());
    file[stts + 28..stts + 32].copy_from_slice(&20u32.to_be_bytes());
    let sound = Sound::made("coarse.m4a", &file);
    assert_eq!((sound.frames(), sound.off(&Sound::of("song.m4a"), 0..SONG)), (SONG, 0.0));
}

#[test]
fn stems_are_listed_by_name_and_play_one_by_one() {
    // The fixture has five tracks and no manifest.
    let five = bytes("ni.stem.mp4");
    let json = br##"{"mastering_dsp":{},"version":1,"stems":[{"color":"#009E73","name":"Drums"},{"name":" Bass "},{"name":""}]}"##;
    let (moov, size) = find(&five, &[b"moov"]);
    let (udta, length) = find(&five, &[b"moov", b"udta"]);
    assert_eq!((moov + size, udta + length), (five.len(), five.len()), "both stand last");
    let stem = boxed(b"stem", json);
    let mut with = [&five[..], &stem].concat();
    for (at, size) in [(moov, size), (udta, length)] {
        with[at..at + 4].copy_from_slice(&((size + stem.len()) as u32).to_be_bytes());
    }
    let media = MediaFile::open(&file("any.m4a", &with)).unwrap();
    let tracks = stems::list(&media).unwrap();
    let listed: Vec<(usize, &str)> = tracks.iter().map(|t| (t.track, t.name.as_str())).collect();
    assert_eq!(listed, [(1, "Drums"), (2, "Bass"), (3, "track 4"), (4, "track 5")]);
    assert_eq!((tracks[0].colour.as_deref(), &tracks[1].colour), (Some("#009E73"), &None));
    // Without one, the file name marks the first track as the mix; otherwise all tracks play.
    assert_eq!(stems::list(&MediaFile::open(&file("a.stem.mp4", &five)).unwrap()).unwrap().len(), 4);
    assert_eq!(stems::list(&MediaFile::open(&file("a.mp4", &five)).unwrap()).unwrap().len(), 5);
    let mix = Sound::all(Decoder::new(&media).unwrap());
    let mut sum = vec![0.0; mix.frames()];
    for track in &tracks {
        let decoder = Decoder::track(&media, track.track).unwrap();
        let again = Sound::all(Decoder::known(&media, decoder.info()).unwrap());
        let sound = Sound::all(decoder);
        assert_eq!((sound.frames(), again.left == sound.left), (39_690, true), "{track:?}");
        sum.iter_mut().zip(&sound.left).for_each(|(sum, s)| *sum += s);
        assert!(sound.left != mix.left, "{track:?}");
    }
    assert!(Decoder::track(&media, 5).err().unwrap().to_string().contains("no track 6"));
    let plain = MediaFile::open(&fixture("song.m4a")).unwrap();
    assert_eq!(stems::list(&plain).unwrap().len(), 1);
    let wav = MediaFile::open(&file("one.flac", &bytes("song.flac"))).unwrap();
    assert_eq!(stems::list(&wav).unwrap()[0].name, "track 1");
}
