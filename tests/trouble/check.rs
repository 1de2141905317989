//! `check-media`: reads files to the end, reports losses, and reports only intact files as ok.

use grooved::daemon::media::check;

use crate::bytes::{chunk, format, frames, pcm16, riff};
use crate::sound::{bytes, file, fixture};

fn said(name: &str, bytes: &[u8]) -> Result<String, String> {
    check(&file(name, bytes)).map_err(|e| e.to_string())
}

#[test]
fn what_is_whole_is_fine() {
    for name in ["song.flac", "song.m4a", "song-dash.m4a", "song.ogg", "song-vbr.mp3", "song.aac", "song-alac.m4a"] {
        let report = check(&fixture(name)).unwrap();
        assert!(report.contains("ok, 1.2 s at 44100 Hz"), "{report}");
    }
    let wav = riff(&[chunk(b"fmt ", &format(1, 2, 44_100, 16, 4)), chunk(b"data", &pcm16(44_100))]);
    assert!(said("a.wav", &wav).unwrap().ends_with("ok, 1.0 s at 44100 Hz"));
    // Oddities without a loss are ok, with a remark.
    let report = check(&fixture("heaac_sine440.m4a")).unwrap();
    assert!(report.contains("ok, 2.5 s at 22050 Hz; it is HE-AAC"), "{report}");
    let song = bytes("song-cbr.mp3");
    let report = said("joined.mp3", &[song.clone(), song].concat()).unwrap();
    assert!(report.contains("its header announces 47 frames, but 95 are present"), "{report}");
}

#[test]
fn the_smallest_loss_is_named_with_its_place() {
    let flac = bytes("song.flac");
    let middle = flac.len() / 2;
    let damaged = [&flac[..middle], &[0x55; 40], &flac[middle + 40..]].concat();
    let why = said("damaged.flac", &damaged).unwrap_err();
    assert!(why.contains("0.09 of its 1.20 s are missing or corrupt, first at 0."), "{why}");
    assert!(why.ends_with("; copy it again"), "{why}");
    let mp3 = bytes("song-cbr-notag.mp3");
    let (at, length) = frames(&mp3)[10];
    let damaged = [&mp3[..at], &vec![0; length], &mp3[at + length..]].concat();
    assert!(said("damaged.mp3", &damaged).unwrap_err().contains("missing or corrupt, first at 0.26 s"));
    let cut = said("cut.mp3", &bytes("song-cbr.mp3")[..9_000]).unwrap_err();
    assert!(cut.contains("of its 1.23 s are missing at the end"), "{cut}");
    let cut = said("cut.flac", &flac[..middle]).unwrap_err();
    assert!(cut.contains("of its 1.20 s are missing at the end"), "{cut}");
    assert!(said("a.wv", &bytes("a.wv")).unwrap_err().contains("WavPack is not supported"));
    let wav = riff(&[
        chunk(b"fmt ", &format(1, 2, 44_100, 16, 4)),
        chunk(b"data", &pcm16(4_410)),
        chunk(b"data", &pcm16(4_410)),
    ]);
    assert!(said("two.wav", &wav).unwrap_err().contains("a second chunk of samples (17640 bytes) is not played"));
}

#[cfg(feature = "ddsp")]
#[test]
fn midi_files_are_read_as_well() {
    let mut midi = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x0c".to_vec();
    midi.extend([0, 0x90, 60, 100, 96, 60, 0, 0, 0xff, 0x2f, 0]);
    midi[21] = 11;
    assert!(said("a.mid", &midi).unwrap().ends_with("ok, 1 notes in 0.5 s"));
    midi[11] = 3;
    let report = said("tracks.mid", &midi).unwrap();
    assert!(report.contains(": ok, ") && report.contains("announces 3 tracks, but 1 are present"), "{report}");
    assert!(said("cut.mid", &midi[..27]).unwrap_err().contains("ends too early"));
    assert!(said("none.mid", b"MThd\0\0\0\x06\0\x02\0\x01\0\x60").unwrap_err().contains("format 2"));
}
