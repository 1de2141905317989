//! Files that are not sound, or have no decoder, are rejected by name of their format and never play as noise.

use crate::bytes::{Random, chunk, format, pcm16, riff};
use crate::sound::{bytes, fixture, refusal};

fn wav() -> Vec<u8> {
    riff(&[chunk(b"fmt ", &format(1, 2, 44_100, 16, 4)), chunk(b"data", &pcm16(5_000))])
}

#[test]
fn kinds_without_a_decoder_are_named() {
    for (name, wanted) in [
        ("a.wv", "WavPack"),
        ("a.webm", "WebM"),
        ("a.wma", "Windows Media"),
        ("opus_in.mp4", "Opus in MP4"),
        ("ac3_in.mp4", "AC-3"),
        ("five_one.m4a", "AAC with 6 channels"),
    ] {
        let why = refusal(name, &bytes(name));
        assert!(why.starts_with("cannot be played: ") && why.contains(wanted), "{name}: {why}");
        assert!(fixture(name).exists());
    }
    let mut zip = b"PK\x03\x04\x0a\0\0\0\0\0".to_vec();
    zip.resize(30, 0);
    for (head, wanted) in [
        (zip, "a ZIP archive"),
        (b"MAC \x96\x0f".to_vec(), "Monkey's Audio"),
        (b"OFR \x0f\0\0\0".to_vec(), "OptimFROG"),
        (b"TTA1\x01\0\x02\0".to_vec(), "True Audio"),
        (b"tBaK".to_vec(), "TAK"),
        (b"MPCKSH".to_vec(), "Musepack"),
        (b"DSD \x1c\0\0\0".to_vec(), "DSD"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska".to_vec(), "Matroska"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11".to_vec(), "Windows Media"),
        (b"caff\0\x01\0\0".to_vec(), "CAF"),
        (b".snd\0\0\0\x18".to_vec(), "Sun audio"),
        (b"\x0b\x77\x12\x34".to_vec(), "AC-3"),
        (b"\x7f\xfe\x80\x01".to_vec(), "DTS"),
        (b"\x7fELF\x02\x01\x01\0".to_vec(), "a program"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(), "a JPEG"),
        (b"\x1f\x8b\x08\0".to_vec(), "a gzip archive"),
        (b"MThd\0\0\0\x06".to_vec(), "a MIDI file"),
        (b"RIFF\0\0\0\0AVI LIST".to_vec(), "AVI"),
        (b"FORM\0\0\0\x008SVX".to_vec(), "8SVX"),
        (b"\0\0\x01\xba\x44".to_vec(), "MPEG video"),
        (b"\0\x05\x16\x07\0\x02".to_vec(), "AppleDouble"),
    ] {
        // Each contains a complete WAV and a complete MP3, but is another format.
        let file = [&head[..], &wav(), &bytes("song-cbr.mp3")].concat();
        let why = refusal("other.bin", &file);
        assert!(why.contains(wanted), "{wanted}: {why}");
    }
    let packet = [&[0x47, 0x40, 0, 0x10][..], &[0xff; 184]].concat();
    assert!(refusal("a.ts", &packet.repeat(20)).contains("MPEG transport stream"));
    let mut tar = vec![0; 512];
    tar[..5].copy_from_slice(b"a.wav");
    tar[257..262].copy_from_slice(b"ustar");
    assert!(refusal("a.tar", &[tar, wav()].concat()).contains("a tar archive"));
}

#[test]
fn a_marker_in_the_middle_is_no_marker() {
    for (seed, lead) in [(1, 100), (2, 5_000), (3, 40_000)] {
        let rubbish = Random(seed).bytes(lead);
        for (name, inner) in [("wav", wav()), ("m4a", bytes("song.m4a"))] {
            let why = refusal(&format!("inside.{name}"), &[rubbish.clone(), inner, rubbish.clone()].concat());
            assert!(why.starts_with("is not a sound file of a supported kind"), "{name} behind {lead}: {why}");
        }
    }
}

#[test]
fn rubbish_and_texts_are_refused_with_a_reason() {
    for seed in 10..40 {
        let noise = Random(seed).bytes(150_000);
        for name in ["noise.mp3", "noise.wav", "noise.aac"] {
            refusal(name, &noise);
        }
    }
    for (bytes, wanted) in [
        (vec![], "it is empty"),
        (vec![0; 100_000], "zeros only"),
        (b"<html><body>404 Not Found</body></html>".to_vec(), "it is a text file"),
        (vec![0xff; 100_000], "a known signature"),
        (b"RIFF\x10\0\0\0".to_vec(), "a RIFF file other than WAV"),
    ] {
        let why = refusal("rubbish.mp3", &bytes);
        assert!(why.contains(wanted), "{wanted}: {why}");
    }
}

#[test]
fn limits_are_named_without_calling_it_no_sound_file() {
    let file = |channels: u16, rate: u32, frames: usize| {
        let fmt = format(1, channels, rate, 16, 2 * channels);
        riff(&[chunk(b"fmt ", &fmt), chunk(b"data", &vec![0; 2 * usize::from(channels) * frames])])
    };
    for (bytes, wanted) in [
        (file(12, 44_100, 100), "cannot be played: it has 12 channels; 1 to 8 can be mixed down"),
        (file(0, 44_100, 100), "cannot be played: it has 0 channels"),
        (file(2, 3_000, 100), "cannot be played: its sample rate is 3000 Hz; 4000 to 384000 are supported"),
        (file(2, 768_000, 100), "768000 Hz"),
        (file(2, 0, 100), "its sample rate is 0 Hz"),
        (file(2, 44_100, 0), "cannot be played: it contains no sound"),
    ] {
        let why = refusal("limits.wav", &bytes);
        assert!(why.contains(wanted), "{wanted}: {why}");
    }
}
