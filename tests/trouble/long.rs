//! Long files: a seek reads less than a megabyte, and opening reads no more than necessary.

use grooved::media::decode::Decoder;
use grooved::media::file::MediaFile;

use crate::bytes::{chunk, find, format, frames, pages, riff, seal};
use crate::sound::{Sound, bytes, file};

/// Maximum number of bytes that a seek may read.
const SEEK: u64 = 1 << 20;

/// Seeks to several positions and compares with a sound that repeats every `period` frames from `from` on. Opening may
/// read `slack` bytes.
fn seeks(name: &str, file_bytes: &[u8], frames: u64, period: &Sound, from: u64, slack: u64) {
    let media = MediaFile::open(&file(name, file_bytes)).unwrap();
    let decoder = Decoder::new(&media).unwrap();
    let opening = media.bytes_read();
    assert!(opening <= slack, "{name}: {opening} bytes read of {}", media.len());
    assert_eq!(decoder.info().frames, frames, "{name}");
    // A second stream does not scan the file again.
    let before = media.bytes_read();
    let mut decoder = Decoder::known(&media, decoder.info()).unwrap();
    assert_eq!(media.bytes_read(), before, "{name}");
    let length = period.frames() as u64;
    let (mut l, mut r) = (vec![0.0; 1_000], vec![0.0; 1_000]);
    for share in [0.9, 0.1, 0.5, 0.9991, 0.3333, 0.75] {
        let at = (frames as f64 * share) as u64;
        let before = media.bytes_read();
        decoder.seek(at).unwrap();
        assert_eq!(decoder.read(&mut l, &mut r).unwrap(), 1_000, "{name} at {at}");
        let read = media.bytes_read() - before;
        assert!(read < SEEK, "{name} at {at}: {read} bytes read");
        assert_eq!(decoder.lacking(), None, "{name} at {at}");
        let worst = (0..1_000)
            .map(|k| (l[k] - period.left[((at + k as u64 - from) % length) as usize]).abs())
            .fold(0.0, f32::max);
        // AAC substitutes noise for omitted content, different each time.
        let slack = if name.contains("song.aac") || name.contains("index") { 0.02 } else { 2e-4 };
        assert!(worst < slack, "{name} at {at}: {worst}");
    }
    std::fs::remove_file(media.path()).unwrap();
}

/// Returns one period from the middle of a repeating file, starting at a multiple of `period` frames.
fn middle(name: &str, file_bytes: &[u8], period: usize) -> Sound {
    let sound = Sound::made(name, file_bytes);
    let range = 2 * period..3 * period;
    Sound { left: sound.left[range.clone()].to_vec(), right: sound.right[range].to_vec(), ..sound }
}

#[test]
fn frames_without_an_index() {
    for (name, per, count) in [("song-vbr-notag.mp3", 1_152, 300), ("song.aac", 1_024, 250)] {
        let song = bytes(name);
        let songs = frames(&song).len();
        let all = song.repeat(count);
        let period = middle(name, &song.repeat(4), songs * per);
        // Every header is read, so the whole file is read once.
        let slack = all.len() as u64 + (1 << 20);
        seeks(name, &all, (songs * per * count) as u64, &period, 0, slack);
    }
}

#[test]
fn frames_of_constant_rate_are_only_sampled() {
    // Seven frames are 2560 bytes at 112 kbit/s, so that 42 of the song follow each other as an encoder pads them.
    let song = bytes("song-cbr-notag.mp3");
    let all = frames(&song);
    let (from, to) = (all[2].0, all[44].0);
    assert_eq!(to - from, 6 * 2_560);
    let count = 600;
    let file = song[from..to].repeat(count);
    assert!(file.len() > 8 << 20);
    let period = middle("cbr.mp3", &song[from..to].repeat(4), 42 * 1_152);
    seeks("cbr.mp3", &file, (42 * count * 1_152) as u64, &period, 0, 1 << 20);
    // Additional bytes in between are detected: then every frame is counted, with the right result.
    let mut odd = file.clone();
    let at = odd.len() / 3;
    odd.splice(at..at, *b"ID3\x03\0\0\0\0\0\x07taggeds");
    let media = MediaFile::open(&crate::sound::file("odd.mp3", &odd)).unwrap();
    let decoder = Decoder::new(&media).unwrap();
    assert!(media.bytes_read() > 8 << 20, "{} bytes read", media.bytes_read());
    assert_eq!(decoder.info().frames, (42 * count * 1_152) as u64);
}

#[test]
fn plain_samples() {
    let sound = Sound::of("song.flac");
    let one: Vec<u8> =
        sound.left.iter().zip(&sound.right).flat_map(|(l, r)| [l.to_le_bytes(), r.to_le_bytes()].concat()).collect();
    let wav = riff(&[chunk(b"fmt ", &format(3, 2, 44_100, 32, 8)), chunk(b"data", &one.repeat(60))]);
    seeks("long.wav", &wav, 60 * sound.frames() as u64, &sound, 0, 256 << 10);
}

#[test]
fn an_index_of_packets() {
    let song = bytes("song.m4a");
    let (mdat, size) = find(&song, &[b"mdat"]);
    let table = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];
    let at = |kind| find(&song, &[&table[..], &[kind]].concat());
    let (stsz, _) = at(b"stsz");
    let number = |at: usize| u32::from_be_bytes(song[at..at + 4].try_into().unwrap());
    let packets = number(stsz + 16);
    let sizes = &song[stsz + 20..stsz + 20 + 4 * packets as usize];
    let data: usize = sizes.chunks(4).map(|s| u32::from_be_bytes(s.try_into().unwrap()) as usize).sum();
    let first = number(at(b"stco").0 + 16) as usize;
    let count = 600u32;
    // One chunk, one row of times, and the sizes again and again.
    let boxed = |kind: &[u8; 4], words: &[u32], rest: &[u8]| {
        let contents: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).chain(rest.iter().copied()).collect();
        [&(contents.len() as u32 + 8).to_be_bytes()[..], kind, &contents].concat()
    };
    let (stsd, length) = at(b"stsd");
    let head = &song[..find(&song, &[b"moov"]).0.min(mdat)];
    let stbl = [
        song[stsd..stsd + length].to_vec(),
        boxed(b"stts", &[0, 1, packets * count, 1_024], &[]),
        boxed(b"stsc", &[0, 1, 1, packets * count, 1], &[]),
        boxed(b"stsz", &[0, 0, packets * count], &sizes.repeat(count as usize)),
        boxed(b"stco", &[0, 1, head.len() as u32 + 8], &[]),
    ]
    .concat();
    let part = |path: &[&[u8; 4]]| {
        let (at, size) = find(&song, path);
        song[at..at + size].to_vec()
    };
    let mdia = [
        part(&[b"moov", b"trak", b"mdia", b"mdhd"]),
        part(&[b"moov", b"trak", b"mdia", b"hdlr"]),
        boxed(b"minf", &[], &boxed(b"stbl", &[], &stbl)),
    ]
    .concat();
    let trak = [part(&[b"moov", b"trak", b"tkhd"]), boxed(b"mdia", &[], &mdia)].concat();
    let moov = [part(&[b"moov", b"mvhd"]), boxed(b"trak", &[], &trak)].concat();
    assert!(first >= mdat + 8 && data <= size);
    let sound = song[first..first + data].repeat(count as usize);
    let whole =
        |count: usize| [head, &boxed(b"mdat", &[], &sound[..data * count]), &boxed(b"moov", &[], &moov)].concat();
    let period = middle("index.m4a", &whole(4), packets as usize * 1_024);
    let file = whole(count as usize);
    assert!(file.len() > 6 << 20, "{}", file.len());
    seeks("index.m4a", &file, u64::from(packets * count) * 1_024, &period, 0, 1 << 20);
}

#[test]
fn pages_with_positions() {
    let song = bytes("song.ogg");
    let all = pages(&song);
    // Sound pages that begin and end with whole packets, repeated, with continuing positions.
    let sounding: Vec<&(usize, usize)> = all[2..all.len() - 1].iter().collect();
    let granule = |at: usize| i64::from_le_bytes(song[at + 6..at + 14].try_into().unwrap());
    assert!(sounding.iter().all(|(at, _)| song[at + 5] & 1 == 0 && granule(*at) > 0), "packets go over pages");
    let (first, last) = (granule(sounding[0].0), granule(sounding[sounding.len() - 1].0));
    // When repeated, the first page yields one block more than at the beginning, where that block only primes the next.
    let period = last + (granule(sounding[1].0) - first) - first;
    let mut file = song[..all[2].0].to_vec();
    let mut number = 2u32;
    let rounds = 1_800;
    let mut end = 0;
    for round in 0..rounds {
        for (at, length) in &sounding {
            let mut page = song[*at..*at + *length].to_vec();
            end = granule(*at) + round * period;
            page[6..14].copy_from_slice(&end.to_le_bytes());
            page[18..22].copy_from_slice(&number.to_le_bytes());
            seal(&mut page);
            number += 1;
            file.extend(page);
        }
    }
    assert!(file.len() > 9 << 20 && first > 0, "{}", file.len());
    let few = file.len() / rounds as usize * 5;
    let few = pages(&file).iter().map(|(at, length)| at + length).take_while(|end| *end <= few).last().unwrap();
    let sound = middle("pages.ogg", &file[..few], period as usize);
    seeks("pages.ogg", &file, end as u64, &sound, 0, 3 << 20);
}

#[test]
fn frames_with_numbers() {
    let song = bytes("song.flac");
    let crc8 = |bytes: &[u8]| {
        bytes.iter().fold(0u8, |crc, b| (0..8).fold(crc ^ b, |c, _| if c & 0x80 != 0 { c << 1 ^ 7 } else { c << 1 }))
    };
    // Whole frames of 4096 in order; the last frame of the song is shorter and has a longer header.
    let mut begins: Vec<usize> = Vec::new();
    for at in 0..song.len() - 6 {
        let header = &song[at..at + 6];
        if header[..2] == [0xff, 0xf8] && usize::from(header[4]) == begins.len() && crc8(&header[..5]) == header[5] {
            begins.push(at);
        }
    }
    assert!(begins.len() >= 12, "{}", begins.len());
    let first = begins[0];
    let starts: Vec<(usize, usize)> = begins.windows(2).map(|w| (w[0], w[1])).collect();
    let table: Vec<u16> = (0..256u16)
        .map(|k| (0..8).fold(k << 8, |c, _| if c & 0x8000 != 0 { c << 1 ^ 0x8005 } else { c << 1 }))
        .collect();
    let crc16 = |bytes: &[u8]| bytes.iter().fold(0u16, |c, b| c << 8 ^ table[usize::from((c >> 8) as u8 ^ b)]);
    let mut file = song[..first].to_vec();
    let count = 2_600u32;
    for number in 0..count {
        let (from, to) = starts[number as usize % starts.len()];
        let mut frame = song[from..from + 4].to_vec();
        match number {
            0..=0x7f => frame.push(number as u8),
            0x80..=0x7ff => frame.extend([0xc0 | (number >> 6) as u8, 0x80 | (number & 0x3f) as u8]),
            _ => frame.extend([
                0xe0 | (number >> 12) as u8,
                0x80 | (number >> 6 & 0x3f) as u8,
                0x80 | (number & 0x3f) as u8,
            ]),
        }
        frame.push(crc8(&frame));
        frame.extend(&song[from + 6..to - 2]);
        frame.extend(crc16(&frame).to_be_bytes());
        file.extend(frame);
    }
    assert!(file.len() > 6 << 20, "{}", file.len());
    let plain = Sound::of("song.flac");
    let range = 0..starts.len() * 4_096;
    let period = Sound { left: plain.left[range.clone()].to_vec(), right: plain.right[range].to_vec(), ..plain };
    seeks("numbers.flac", &file, u64::from(count) * 4_096, &period, 0, 512 << 10);
}
