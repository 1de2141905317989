//! Plans for tests, in the shape that the older generator writes, and the sounds that they name.

use super::score::Sound;

/// A plan with everything that may go wrong.
pub const ODD: &str = r#"{
 "theme": "odd", "base_song": "Vocalise", "base_bpm": 100.5, "structure": ["intro", "verse", "outro"],
 "sections": {
  "10_outro": {"type": "outro", "stems": {"bass": {"song": "Slow River (demo 3)",
   "file": "../stems/Slow River (demo 3)/bass.wav", "bpm": 95, "key": "Em", "pitch_shift": 1.0526315789473684,
   "needs_timestretch": true}}},
  "9_late": {"type": "late", "stems": {"drums": {"song": "Drums of March (demo 7)",
   "file": "../stems/Drums of March (demo 7)/drums.wav", "bpm": 100, "key": "Am", "pitch_shift": 1.0,
   "needs_timestretch": false}}},
  "01_verse": {"type": "verse", "stems": {
   "drums": {"song": "Drums of March (demo 7)", "file": "../stems/Drums of March (demo 7)/drums.wav", "bpm": 100,
    "key": "Am", "pitch_shift": 1.0, "needs_timestretch": false},
   "vocals": {"song": "Vocalise", "file": "../stems/Vocalise/vocals.wav"},
   "piano": {"song": "Vocalise", "file": "../stems/not there/piano.wav", "bpm": 100, "key": "C", "pitch_shift": 1.0},
   "fx": {"song": "  Spaced ( x", "file": "../stems/Drums of March (demo 7)/drums.wav", "bpm": 100,
    "pitch_shift": "0.5"},
   "other": {"song": "Vocalise", "file": "../stems/Vocalise/other.wav", "bpm": 100, "key": "C", "pitch_shift": null},
   "bass": {"song": "Vocalise", "file": "../stems/Vocalise/bass.wav", "bpm": 0, "key": "C", "pitch_shift": 0}}},
  "00_Intro": {"stems": {"bass": {"song": "Vocalise", "file": "../stems/Vocalise/bass.wav", "bpm": 100, "key": "C",
   "pitch_shift": 1.25, "needs_timestretch": true}}},
  "02_empty": {"type": "break", "stems": {}},
  "03_none": {"type": "break"},
  "04_no file": {"type": "verse", "stems": {"bass": {"song": "Vocalise"}}}
 }
}"#;

/// The songs and the seconds of their stems.
const SONGS: [(&str, f64); 8] = [
    ("Low Tide (demo 1)", 5.2),
    ("Paper Moon (demo 2)", 6.0),
    ("Slow River (demo 3)", 4.0),
    ("Glass Door (demo 4)", 12.0),
    ("Red Clay (demo 5)", 11.0),
    ("Tin Roof (demo 6)", 9.0),
    ("Drums of March (demo 7)", 3.0),
    ("Vocalise", 2.5),
];

/// A stem of all sections: name, song, BPM, key.
type Written<'a> = (&'a str, &'a str, f64, &'a str);

/// Returns a plan whose sections all have the same stems.
fn written(theme: &str, base: (&str, f64, &str), structure: &[&str], stems: &[Written]) -> String {
    let stems: Vec<_> = stems
        .iter()
        .map(|(name, song, bpm, key)| {
            let rate = base.1 / bpm;
            let stretch = (rate - 1.0).abs() > 0.05;
            format!(
                r#""{name}": {{"song": "{song}", "file": "../stems/{song}/{name}.wav", "bpm": {bpm}, "key": "{key}",
                "pitch_shift": {rate:?}, "needs_timestretch": {stretch}}}"#
            )
        })
        .collect();
    let stems = stems.join(", ");
    let sections: Vec<_> = structure
        .iter()
        .enumerate()
        .map(|(k, kind)| format!(r#""{k:02}_{kind}": {{"type": "{kind}", "stems": {{{stems}}}}}"#))
        .collect();
    format!(
        r#"{{"theme": "{theme}", "base_song": "{}", "base_bpm": {}, "base_key": "{}", "structure": {structure:?},
        "sections": {{{}}}, "compatible_songs": []}}"#,
        base.0,
        base.1,
        base.2,
        sections.join(", ")
    )
}

/// Returns a plan with three stems that are a little too fast.
pub fn energetic() -> String {
    let (tide, moon) = ("Low Tide (demo 1)", "Paper Moon (demo 2)");
    written(
        "energetic",
        (moon, 140.0, "D"),
        &["intro", "verse", "chorus", "verse", "bridge", "chorus", "chorus", "outro"],
        &[
            ("bass", tide, 143.0, "A"),
            ("drums", tide, 143.0, "A"),
            ("other", tide, 143.0, "A"),
            ("piano", moon, 140.0, "D"),
            ("vocals", moon, 140.0, "D"),
        ],
    )
}

/// Returns a plan of one song.
pub fn chill() -> String {
    let river = "Slow River (demo 3)";
    written(
        "chill",
        (river, 95.0, "Em"),
        &["intro", "verse", "chorus", "verse", "solo", "chorus", "outro"],
        &["bass", "drums", "other", "piano", "vocals"].map(|name| (name, river, 95.0, "Em")),
    )
}

/// Returns a plan with a stem that is to be stretched, and one that is not but has another rate.
pub fn dramatic() -> String {
    let clay = "Red Clay (demo 5)";
    written(
        "dramatic",
        (clay, 125.0, "Dm"),
        &["verse", "verse", "chorus", "bridge", "bridge", "chorus", "chorus"],
        &[
            ("bass", "Glass Door (demo 4)", 115.0, "Gm"),
            ("drums", clay, 125.0, "Dm"),
            ("other", clay, 125.0, "Dm"),
            ("piano", clay, 125.0, "Dm"),
            ("vocals", "Tin Roof (demo 6)", 120.0, "F"),
        ],
    )
}

/// Finds a sound of the plans.
pub fn find(file: &str) -> Result<Sound, String> {
    let song = file.strip_prefix("../stems/").and_then(|tail| tail.split('/').next());
    match SONGS.iter().find(|(name, _)| Some(*name) == song) {
        Some((_, seconds)) => Ok(Sound { path: file.replace("..", "/media"), seconds: *seconds, sample_rate: 8000 }),
        None => Err("no such file".into()),
    }
}

/// Returns a source of random whole numbers below a bound (splitmix64).
pub fn random(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
