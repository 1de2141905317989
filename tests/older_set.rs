//! The older set player with the dance detector, both unmodified: levels must match the older server's mix.

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Daemon, Scratch, Sound, i};
use serde_json::Value;

/// Gain of the older server for a quiet signal: volume 0.8, master 0.8, and its limiter's slope at rest, 0.9 × 0.9.
const OLDER_GAIN: f64 = 0.8 * 0.8 * 0.9 * 0.9;
/// Frequencies of tracks A and B, and their peak.
const HZ: [usize; 2] = [441, 630];
const PEAK: f64 = 0.1;

#[test]
fn a_transition_and_a_crowd_are_as_loud_as_on_the_older_server() {
    let scratch = Scratch::new("older-set");
    let tracks = HZ.map(|hz| scratch.sine(&format!("{hz}.wav"), 44_100, 4, hz, PEAK as f32));
    let out = scratch.path("out.wav");
    // As in the older launch script, except for the port.
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display())]);
    let client = common::python()
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/mixer_tracks.py"))
        .arg(daemon.port.to_string())
        .args(&tracks)
        .output()
        .unwrap();
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    // Relates the client's clock to the recording.
    let clock = daemon.client().status("clock", 0).as_float().unwrap() / 48_000.0;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert_eq!(daemon.client().status("players", 0), i(2));
    let target = daemon.client().status("movement", 2).as_float().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let log = daemon.log();
    daemon.stop();

    let sound = Sound::read(&out);
    let decibels = |x: f64| 20.0 * x.max(1e-6).log10();
    println!("{:<24} {:>9} {:>9} {:>9} {:>9}", "", "older A", "here A", "older B", "here B");
    let text = String::from_utf8(client.stdout).unwrap();
    let phases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(phases.len(), 13);
    let mut wrong = Vec::new();
    for phase in &phases {
        let name = phase["phase"].as_str().unwrap();
        let (from, to) = (phase["from"].as_f64().unwrap() - wall + clock, phase["to"].as_f64().unwrap() - wall + clock);
        let mut row = format!("{name:<24}");
        let levels = [0, 1].map(|deck| phase["levels"][deck].as_f64().unwrap());
        for (deck, hz) in HZ.iter().enumerate() {
            let older = decibels(levels[deck] * PEAK * OLDER_GAIN);
            // Movement changes the pitch, so a track that plays alone is measured regardless of pitch.
            let here = decibels(match levels[1 - deck] {
                0.0 => sound.rms(from, to) * std::f64::consts::SQRT_2,
                _ => sound.tone(*hz as f64, from, to),
            });
            row += &format!(" {older:>9.1} {here:>9.1}");
            let silent = older < -100.0 && here < -75.0;
            if !silent && (older - here).abs() > 1.0 {
                wrong.push(format!("{name}, deck {deck}: {here:.1} dB, {older:.1} on the older server"));
            }
        }
        println!("{row}");
    }
    println!("tempo that is steered to: {target:.0} BPM");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Movement has overridden the /set_tempo sent at the set player's start.
    assert!(target < 118.0, "{target}");
    assert_eq!(log.matches("filters are off").count(), 1, "{log}");
    assert_eq!(log.matches("/deck_levels: b -").count(), 1, "{log}");
}
