//! WAV and AIFF: wrong or unknown sizes, old and new formats.

use crate::bytes::{chunk, extensible, format, pcm16, riff, samples};
use crate::sound::{Sound, bytes, refusal};

const FRAMES: usize = 5_000;

/// Samples of every plain file in these tests.
fn plain() -> Sound {
    Sound::made("plain.wav", &riff(&[chunk(b"fmt ", &format(1, 2, 44_100, 16, 4)), chunk(b"data", &pcm16(FRAMES))]))
}

fn same(name: &str, file: &[u8]) {
    let (sound, truth) = (Sound::made(name, file), plain());
    assert_eq!((sound.frames(), sound.rate, sound.missing), (FRAMES, 44_100, 0), "{name}");
    assert_eq!(sound.off(&truth, 0..FRAMES), 0.0, "{name}");
    assert!(truth.left.iter().any(|s| s.abs() > 0.2), "the truth is silent");
}

/// Offset of the data size in a plain file.
const DATA_SIZE: std::ops::Range<usize> = 40..44;

fn file() -> Vec<u8> {
    riff(&[chunk(b"fmt ", &format(1, 2, 44_100, 16, 4)), chunk(b"data", &pcm16(FRAMES))])
}

#[test]
fn a_size_that_means_unknown_means_to_the_end() {
    for size in [0xffff_ffffu32, 0xffff_fff0, 0x7fff_f000, 0x7fff_ffff, 0x8000_0000, 0x7fff_ffdb, 0] {
        for riff_size in [0xffff_ffffu32, 0, 5] {
            let mut wav = file();
            wav[DATA_SIZE].copy_from_slice(&size.to_le_bytes());
            wav[4..8].copy_from_slice(&riff_size.to_le_bytes());
            same(&format!("{size:x}-{riff_size:x}.wav"), &wav);
        }
    }
    // A size of 0 followed by nothing, or by another chunk, is an empty file.
    for rest in [Vec::new(), chunk(b"LIST", b"INFOISFT\x04\0\0\0abc\0")] {
        let wav = [riff(&[chunk(b"fmt ", &format(1, 2, 44_100, 16, 4)), chunk(b"data", b"")]), rest].concat();
        assert!(refusal("nothing.wav", &wav).ends_with("it contains no sound"));
    }
}

#[test]
fn a_size_beyond_the_end_is_not_believed_but_reported() {
    let mut wav = file();
    wav[DATA_SIZE].copy_from_slice(&(4 * FRAMES as u32 + 400_000).to_le_bytes());
    same("longer.wav", &wav);
    let said = Sound::made("longer.wav", &wav).remarks.join(" ");
    assert!(said.contains("announces 2.38 s") && said.contains("0.11 s"), "{said}");
}

#[test]
fn wrong_sizes_of_metadata_keep_no_sound_from_playing() {
    let (fmt, data) = (chunk(b"fmt ", &format(1, 2, 44_100, 16, 4)), chunk(b"data", &pcm16(FRAMES)));
    let list = |inner: u32| {
        let mut text = b"INFOICMT".to_vec();
        text.extend(inner.to_le_bytes());
        text.extend(b"abcd");
        chunk(b"LIST", &text)
    };
    same("inner.wav", &riff(&[fmt.clone(), list(5_000), data.clone()]));
    let mut long = list(4);
    long[4..8].copy_from_slice(&1_000_000u32.to_le_bytes());
    same("list-too-long.wav", &riff(&[fmt.clone(), long, data.clone()]));
    let mut short = list(4);
    short[4..8].copy_from_slice(&3u32.to_le_bytes());
    same("list-too-short.wav", &riff(&[fmt.clone(), short, data.clone()]));
    // An odd chunk without its padding byte, and with one.
    same("no-padding.wav", &riff(&[fmt.clone(), b"LIST\x05\0\0\0INFOx".to_vec(), data.clone()]));
    same("padding.wav", &riff(&[fmt.clone(), b"LIST\x05\0\0\0INFOx\0".to_vec(), data.clone()]));
    same("data-first.wav", &riff(&[data.clone(), fmt.clone()]));
    // The chunk name in a comment.
    same("word.wav", &riff(&[fmt.clone(), chunk(b"LIST", b"INFOICMT\x0a\0\0\0data sheet"), data.clone()]));
    for size in [14usize, 18, 20, 50] {
        let mut f = format(1, 2, 44_100, 16, 4);
        f.resize(size, 0);
        if size > 14 {
            same(&format!("fmt-{size}.wav"), &riff(&[chunk(b"fmt ", &f), data.clone()]));
        }
    }
}

#[test]
fn files_beyond_four_gigabytes_and_of_other_byte_orders_are_read() {
    let (fmt, data) = (format(1, 2, 44_100, 16, 4), pcm16(FRAMES));
    for (name, size) in [(b"RF64", data.len() as u64), (b"BW64", data.len() as u64), (b"RF64", u64::MAX), (b"RF64", 0)]
    {
        let mut ds64 = vec![0; 28];
        ds64[8..16].copy_from_slice(&size.to_le_bytes());
        let mut wav = riff(&[chunk(b"ds64", &ds64), chunk(b"fmt ", &fmt), chunk(b"data", &data)]);
        wav[..4].copy_from_slice(name);
        wav[4..8].fill(0xff);
        let at = wav.windows(4).position(|w| w == b"data").unwrap();
        wav[at + 4..at + 8].fill(0xff);
        same("rf64.wav", &wav);
    }
    let mut w64 = hex("726966662e91cf11a5d628db04c10000");
    w64.extend([0; 8]);
    w64.extend(hex("77617665f3acd3118cd100c04f8edb8a"));
    for (id, contents) in [("666d7420", &fmt), ("64617461", &data)] {
        w64.extend(hex(&format!("{id}f3acd3118cd100c04f8edb8a")));
        w64.extend((contents.len() as u64 + 24).to_le_bytes());
        w64.extend(contents);
        w64.resize(w64.len().next_multiple_of(8), 0);
    }
    same("wave.w64", &w64);
    let big: Vec<u8> = samples(FRAMES).iter().flat_map(|s| s.to_be_bytes()).collect();
    let mut rifx = b"RIFX\0\0\0\0WAVEfmt \0\0\0\x10\0\x01\0\x02".to_vec();
    rifx.extend(44_100u32.to_be_bytes());
    rifx.extend(176_400u32.to_be_bytes());
    rifx.extend([0, 4, 0, 16]);
    rifx.extend(b"data");
    rifx.extend((big.len() as u32).to_be_bytes());
    rifx.extend(&big);
    same("rifx.wav", &rifx);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|k| u8::from_str_radix(&text[2 * k..2 * k + 2], 16).unwrap()).collect()
}

/// Returns the samples with more bytes each, left-justified.
fn wide(bytes: usize) -> Vec<u8> {
    samples(FRAMES)
        .iter()
        .flat_map(|s| {
            let mut all = vec![0; bytes];
            all[bytes - 2..].copy_from_slice(&s.to_le_bytes());
            all
        })
        .collect()
}

#[test]
fn samples_take_the_room_that_the_block_gives_them() {
    for (bits, bytes) in [(24, 3), (24, 4), (20, 3), (20, 4), (16, 4), (32, 4)] {
        let fmt = format(1, 2, 44_100, bits, 2 * bytes);
        same("wide.wav", &riff(&[chunk(b"fmt ", &fmt), chunk(b"data", &wide(bytes.into()))]));
        let fmt = extensible(1, 2, 8 * bytes, 2 * bytes, bits, 3);
        same("wide-extensible.wav", &riff(&[chunk(b"fmt ", &fmt), chunk(b"data", &wide(bytes.into()))]));
    }
    // A wrong block size that contradicts the other fields is ignored.
    for align in [0u16, 2, 3, 8] {
        let mut fmt = format(1, 2, 44_100, 16, align);
        fmt[8..12].copy_from_slice(&176_400u32.to_le_bytes());
        same("align.wav", &riff(&[chunk(b"fmt ", &fmt), chunk(b"data", &pcm16(FRAMES))]));
    }
}

#[test]
fn both_channels_are_heard_whatever_the_mask_says() {
    for mask in [0, 1, 3, 4, 0x600, 0x3_ffff, 0xffff_ffff] {
        let fmt = extensible(1, 2, 16, 4, 16, mask);
        same("mask.wav", &riff(&[chunk(b"fmt ", &fmt), chunk(b"data", &pcm16(FRAMES))]));
    }
}

#[test]
fn a_pair_of_many_channels_plays_alone() {
    use grooved::media::decode::Decoder;
    use grooved::media::file::MediaFile;
    // Channel k is a constant of k / 20.
    let frame: Vec<u8> = (0..16i16).flat_map(|k| (k * 1_638).to_le_bytes()).collect();
    let wav = riff(&[chunk(b"fmt ", &format(1, 16, 44_100, 16, 32)), chunk(b"data", &frame.repeat(1_000))]);
    let path = crate::sound::file("sixteen.wav", &wav);
    assert!(Sound::open(&path).err().unwrap().to_string().contains("16 channels; 1 to 8 can be mixed down"));
    let file = MediaFile::open(&path).unwrap();
    for pair in 0..8 {
        let decoder = Decoder::pair(&file, pair).unwrap();
        let again = Decoder::known(&file, decoder.info()).unwrap();
        for sound in [Sound::all(decoder), Sound::all(again)] {
            let wanted = |channel: usize| channel as f32 * 1_638.0 / 32_768.0;
            assert_eq!((sound.left[500], sound.right[500]), (wanted(2 * pair), wanted(2 * pair + 1)));
        }
    }
    assert!(Decoder::pair(&file, 8).err().unwrap().to_string().contains("no pair 9"));
    assert!(Decoder::track(&file, 1).is_err() && Decoder::track(&file, 0).is_err(), "it has one track of 16 channels");
}

#[test]
fn coded_sound_in_a_wav_is_named() {
    let wav = |tag, data: &[u8]| riff(&[chunk(b"fmt ", &format(tag, 2, 44_100, 16, 4)), chunk(b"data", data)]);
    for (tag, name) in
        [(0x2000, "AC-3"), (0x2001, "DTS"), (0x31, "GSM"), (0x161, "WMA"), (0x64, "G.726"), (0xff, "AAC")]
    {
        assert!(refusal("coded.wav", &wav(tag, &[0; 4_000])).contains(name), "{tag:x}");
    }
    // Tagged as PCM: would be noise if played.
    for (mark, name) in [([0xff, 0x1f, 0x00, 0xe8], "DTS"), ([0x72, 0xf8, 0x1f, 0x4e], "IEC 61937")] {
        let mut data = crate::bytes::Random(5).bytes(20_000);
        (0..8).for_each(|k| data[k * 2_048..k * 2_048 + 4].copy_from_slice(&mark));
        assert!(refusal("coded.wav", &wav(1, &data)).contains(name));
    }
    // MP3 in WAV plays.
    let mp3 = bytes("song-cbr.mp3");
    let sound = Sound::made("mp3.wav", &wav(0x55, &mp3));
    assert_eq!((sound.frames(), sound.lag(&Sound::of("song.flac"))), (crate::sound::SONG, 0));
}

#[test]
fn adpcm_plays_from_any_frame() {
    use grooved::media::decode::Decoder;
    for name in ["adpcm_ima_wav.wav", "adpcm_ms.wav"] {
        let whole = Sound::of(name);
        assert_eq!(whole.missing, 0, "{name}");
        assert!(whole.left.iter().any(|s| s.abs() > 0.1), "{name} is silent");
        let mut decoder = Decoder::open(&crate::sound::fixture(name)).unwrap();
        for at in [whole.frames() / 2, 1, whole.frames() - 300, 5_000] {
            decoder.seek(at as u64).unwrap();
            let (mut l, mut r) = (vec![0.0; 300], vec![0.0; 300]);
            assert_eq!(decoder.read(&mut l, &mut r).unwrap(), 300);
            assert_eq!(
                (l, r),
                (whole.left[at..at + 300].to_vec(), whole.right[at..at + 300].to_vec()),
                "{name} at {at}"
            );
        }
    }
    // The fact chunk gives the valid part of the last block.
    let mut ima = bytes("adpcm_ima_wav.wav");
    let at = ima.windows(4).position(|w| w == b"fact").unwrap() + 8;
    ima[at..at + 4].copy_from_slice(&11_025u32.to_le_bytes());
    assert_eq!(Sound::made("fact.wav", &ima).frames(), 11_025);
    ima[at..at + 4].copy_from_slice(&7u32.to_le_bytes());
    assert_eq!(Sound::made("fact.wav", &ima).frames(), 11_187, "a fact that is none");
}

#[test]
fn aiff_sizes_are_hints_as_well() {
    let big: Vec<u8> = samples(FRAMES).iter().flat_map(|s| s.to_be_bytes()).collect();
    let aiff = |form: u32, frames: u32, size: u32, compression: &[u8], sound: &[u8]| {
        let mut common = vec![0, 2];
        common.extend(frames.to_be_bytes());
        common.extend([0, 16, 0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0]);
        common.extend(compression);
        let mut file = b"FORM".to_vec();
        file.extend(form.to_be_bytes());
        file.extend(if compression.is_empty() { b"AIFFCOMM" } else { b"AIFCCOMM" });
        file.extend((common.len() as u32).to_be_bytes());
        file.extend(common);
        file.extend(b"SSND");
        file.extend(size.to_be_bytes());
        file.extend([0; 8]);
        file.extend(sound);
        file
    };
    let size = big.len() as u32 + 8;
    for (form, frames, size) in
        [(size + 46, 5_000, size), (0, 5_000, size), (9, 0, size), (9, 99_999, 0), (9, 9, u32::MAX)]
    {
        same("sizes.aiff", &aiff(form, frames, size, b"", &big));
    }
    same("sowt.aifc", &aiff(9, 5_000, size, b"sowt\0\0", &pcm16(FRAMES)));
    assert!(refusal("mace.aifc", &aiff(9, 5_000, size, b"MAC3\0\0", &big)).contains("MACE"));
}
