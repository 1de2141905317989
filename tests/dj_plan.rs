//! The older client: a DJ plan of eight sections with five stems each, sent by python-osc with its own timing.

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Daemon, Scratch, Sound};
use serde_json::{Value, json};

#[test]
fn a_plan_of_the_older_client_is_heard_as_it_is_written() {
    let scratch = Scratch::new("dj-plan");
    let keys = ["bass", "drums", "other", "piano", "vocals"];
    let types = ["intro", "verse", "chorus", "verse", "bridge", "chorus", "chorus", "outro"];
    // Every stem is a different tone at 44.1 kHz; some are used in several sections.
    let tone_of = |section: usize, stem: usize| 200 + 70 * stem + 11 * (section % 4);
    let shift_of = |section: usize| [1.0, 0.979, 1.087, 1.0][section % 4];
    std::fs::create_dir_all(scratch.path("stems")).unwrap();
    let mut sections = serde_json::Map::new();
    for (k, kind) in types.iter().enumerate() {
        let mut stems = serde_json::Map::new();
        for (n, key) in keys.iter().enumerate() {
            let hz = tone_of(k, n);
            let file = format!("stems/tone{hz}.wav");
            if !scratch.path(&file).exists() {
                scratch.sine(&file, 44_100, 3, hz, 0.1);
            }
            stems.insert(
                (*key).into(),
                json!({"song": "Tones", "file": format!("/home/dj/show/{file}"), "bpm": 140, "key": "D",
                       "pitch_shift": shift_of(k), "needs_timestretch": false}),
            );
        }
        sections.insert(format!("{k:02}_{kind}"), json!({"type": kind, "stems": stems}));
    }
    let plan = json!({"theme": "energetic", "base_song": "Tones", "base_bpm": 140, "base_key": "D",
                      "structure": types, "sections": sections, "compatible_songs": []});
    std::fs::write(scratch.path("plan.json"), plan.to_string()).unwrap();

    let out = scratch.path("out.wav");
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display())]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/dj_plan.py");
    let client = common::python()
        .arg(script)
        .arg(scratch.path("plan.json"))
        .args([daemon.port.to_string(), "0.7".into()])
        .output()
        .unwrap();
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    std::thread::sleep(Duration::from_millis(300));
    // Relates the client's wall clock to the recording by two readings of the same moment.
    let clock = daemon.client().status("clock", 0).as_float().unwrap() / 48_000.0;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert_eq!(daemon.client().status("xruns", 0), common::i(0));
    assert_eq!(daemon.client().status("faults", 4), common::i(0));
    let log = daemon.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    daemon.stop();

    let sound = Sound::read(&out);
    // The tone, which in the older server only logged a line.
    let onset = sound.onset(0).unwrap() as f64 / 48_000.0;
    assert!((sound.tone(440.0, onset + 0.02, onset + 0.45) / (0.1 * 0.68) - 1.0).abs() < 0.05, "the test tone");
    let lines: Vec<Value> =
        String::from_utf8(client.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 8);
    let gain = 0.1 * 0.7 * 0.8 * 0.68;
    for (k, line) in lines.iter().enumerate() {
        let at = |key: &str| line[key].as_f64().unwrap() - wall + clock;
        let (from, to) = (at("from") + 0.05, at("to") - 0.05);
        for section in 0..4 {
            for stem in 0..5 {
                let hz = tone_of(section, stem) as f64 * shift_of(k);
                let level = sound.tone(hz, from, to) / gain;
                let wanted = if section == k % 4 { 1.0 } else { 0.0 };
                assert!((level - wanted).abs() < 0.1, "section {k}: {hz:.0} Hz at {level:.3}, not {wanted}");
            }
        }
    }
    assert!(sound.clicks(0.02).is_empty(), "{:?}", sound.clicks(0.02));
}
