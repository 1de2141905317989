//! The state file and presets.

use grooved::control::conductor::show::Show;

use super::Target;

/// JSON as a show, which is written again and converted to calls.
pub const STATE: Target = Target { name: "state", run, seeds, words: WORDS };

const WORDS: &[&str] = &[
    "\"form\":1",
    "\"tempo\":",
    "\"decks\":[",
    "\"stems\":[",
    "\"controls\":{",
    "\"learned\":[",
    "\"gains\":[1,1,1]",
    "null",
    "true",
    "1e308",
    "-0.0",
    "9223372036854775807",
    "\"/groove/voice/1/level\"",
    "{",
    "}",
    "[",
    "]",
    ",",
];

/// Runs the target [`STATE`].
pub fn run(data: &[u8]) {
    let Ok(show) = Show::parse(data) else { return };
    let _ = show.settings();
    assert_eq!(Show::parse(&show.to_bytes()).as_ref(), Ok(&show), "what is written can be read");
}

fn seeds() -> Vec<Vec<u8>> {
    let deck = r#"{"level":1,"gains":[1,1,1]}"#;
    let full = r#"{"level":0.5,"gains":[1,0,2],"stretch":"tape","sync":"follow","bpm":120.5,"key":-1,"formants":true}"#;
    let stem = r#"{"id":100,"name":"a","path":"short.wav","rate":1,"volume":0.8,"loop":true,"seconds":0,"playing":true,"position":0.25}"#;
    let show = |decks: [&str; 4], rest: &str| {
        format!(
            r#"{{"form":1,"tempo":120,"base_tempo":120,"meter":4,"master":1,"crossfade":0.5,"curve":"off","decks":[{}]{rest}}}"#,
            decks.join(",")
        )
        .into_bytes()
    };
    vec![
        show([deck; 4], r#","stems":[]"#),
        show([deck, full, full, deck], &format!(r#","stems":[{stem},{stem}]"#)),
        show(
            [full; 4],
            r#","stems":[],"controls":{"/groove/voice/1/level":[0.5],"/groove/part/2/instrument":["flute"]},"learned":[{"source":"midi/1/7","target":"/groove/master","low":0,"high":1}]"#,
        ),
    ]
}
