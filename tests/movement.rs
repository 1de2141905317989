//! Tempo control by movement, from scripted movement messages to the engine's tempo.

use std::sync::Arc;

use grooved::config::Config;
use grooved::control::commands::request::Message;
use grooved::control::commands::value::Value;
use grooved::control::conductor::Conductor;
use grooved::control::conductor::services::NoServices;
use grooved::control::table;
use grooved::daemon::settings;
use grooved::engine::door::door;
use grooved::engine::{Block, Engine, EngineConfig};
use grooved::output::report::Report;

const RATE: u32 = 48_000;

/// Sensor values and their times.
type Script = Vec<(f64, f64)>;

/// An engine and its conductor alone.
fn rig(config: &Config) -> (Engine, Conductor) {
    let (inner, outer) = door(4, 2);
    let engine = Engine::new(&EngineConfig { sample_rate: RATE, slots: 4, ..EngineConfig::default() }, inner);
    let mut settings = settings(config);
    settings.media.slots = 4;
    let table = table::table(settings.debug, settings.voices);
    let conductor = Conductor::new(settings, table, outer, Box::new(NoServices), Arc::new(Report::default()));
    (engine, conductor)
}

/// Runs a script with blocks of a given size in frames; returns the tempo ten times per second.
fn play(script: &[(f64, f64)], seconds: f64, frames: usize) -> (Vec<f64>, Conductor) {
    play_with(script, &[], seconds, frames)
}

/// Runs a script with tempos set by hand, as (time, BPM); returns the tempo ten times per second.
fn play_with(script: &[(f64, f64)], hand: &[(f64, f64)], seconds: f64, frames: usize) -> (Vec<f64>, Conductor) {
    play_by(&Config::default(), "/groove/tempo", script, hand, seconds, frames)
}

/// Runs a script with tempos set by hand through a given address; returns the tempo ten times per second.
fn play_by(
    config: &Config,
    address: &str,
    script: &[(f64, f64)],
    hand: &[(f64, f64)],
    seconds: f64,
    frames: usize,
) -> (Vec<f64>, Conductor) {
    let (mut engine, mut conductor) = rig(config);
    let mut block = Block::new(2, frames);
    let (mut next, mut tempo, mut by_hand) = (0, Vec::new(), 0);
    let total = (seconds * f64::from(RATE)) as usize;
    let mut done = 0;
    while done < total {
        let now = done as f64 / f64::from(RATE);
        while script.get(next).is_some_and(|s| s.0 <= now) {
            conductor.own(vec![Message::new("/dance/total_movement", vec![Value::Float(script[next].1)])]);
            next += 1;
        }
        while hand.get(by_hand).is_some_and(|h| h.0 <= now) {
            conductor.own(vec![Message::new(address, vec![Value::Float(hand[by_hand].1)])]);
            by_hand += 1;
        }
        conductor.tick();
        conductor.finish_work();
        engine.render(&mut block);
        done += frames;
        while tempo.len() * 4_800 < done {
            tempo.push(conductor.telemetry().bpm());
        }
    }
    (tempo, conductor)
}

fn often(from: f64, to: f64, every: f64, value: impl Fn(f64) -> f64) -> Script {
    (0..).map(|k| from + f64::from(k) * every).take_while(|t| *t < to).map(|t| (t, value(t))).collect()
}

/// Returns the time in seconds at which the tempo first reaches `bpm`.
fn arrival(tempo: &[f64], bpm: f64) -> f64 {
    tempo.iter().position(|t| (t - bpm).abs() < 0.01).map_or(f64::NAN, |k| k as f64 * 0.1)
}

#[test]
fn a_glide_takes_what_it_says_at_any_buffer_size_and_message_rate() {
    for frames in [64, 4_096] {
        for every in [0.1, 2.0, 10.0] {
            let script = often(0.0, 60.0, every, |_| 0.6);
            let (tempo, _) = play(&script, 60.0, frames);
            let took = arrival(&tempo, 130.0);
            assert!((29.7..=30.3).contains(&took), "{frames} frames, every {every} s: {took} s");
            // Linearly.
            for k in [75, 150, 225] {
                let wanted = 120.0 + 10.0 * k as f64 / 300.0;
                assert!((tempo[k] - wanted).abs() < 0.1, "{frames} frames, every {every} s: {} at {k}", tempo[k]);
            }
        }
    }
}

#[test]
fn a_step_takes_thirty_seconds_although_a_window_draws_it_out() {
    for frames in [64, 4_096] {
        let script = often(0.0, 90.0, 0.1, |t| if t < 40.0 { 0.12 } else { 0.6 });
        let (tempo, _) = play(&script, 90.0, frames);
        assert_eq!(tempo[390], 118.0);
        let took = arrival(&tempo[400..], 130.0);
        assert!((29.7..=30.3).contains(&took), "{frames} frames: {took} s");
    }
}

#[test]
fn steps_up_and_down_lead_to_the_tables_tempos_without_a_jump() {
    let levels = [0.01, 0.03, 0.07, 0.12, 0.30, 0.6, 0.2, 0.03];
    let script = often(0.0, 320.0, 0.5, |t| levels[(t / 40.0) as usize]);
    let (tempo, _) = play(&script, 320.0, 1_024);
    for (k, bpm) in [105.0, 110.0, 115.0, 118.0, 122.0, 130.0, 118.0 + 12.0 * 0.05 / 0.45, 110.0].iter().enumerate() {
        let end = tempo[(k + 1) * 400 - 5];
        assert!((end - bpm).abs() < 0.01, "{}: {end} instead of {bpm}", levels[k]);
    }
    let jump = tempo.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f64::max);
    assert!(jump < 0.2, "{jump} BPM in a tenth of a second");
}

#[test]
fn noise_around_a_threshold_and_nonsense_change_nothing() {
    let noisy = often(0.0, 120.0, 0.1, |t| 0.0515 + 0.012 * (t * 7.3).sin() * (t * 31.7).cos());
    let (tempo, _) = play(&noisy, 120.0, 1_024);
    assert!(tempo[400..].iter().all(|t| (t - 115.0).abs() < 1e-9), "it moved");
    let nonsense = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e12, -1e12];
    let script = often(0.0, 60.0, 0.1, |t| {
        if ((t * 10.0).round() as usize).is_multiple_of(6) { 0.6 } else { nonsense[(t * 10.0).round() as usize % 5] }
    });
    let (tempo, conductor) = play(&script, 60.0, 1_024);
    assert!((arrival(&tempo, 130.0) - 30.0).abs() < 0.3);
    let refused = conductor.values_of("/status/movement").unwrap()[5].as_int().unwrap();
    assert_eq!(refused, 500);
}

#[test]
fn silence_is_held_and_then_leads_home() {
    let (tempo, conductor) = play(&often(0.0, 40.0, 1.0, |_| 0.6), 190.0, 1_024);
    assert_eq!((tempo[400], tempo[980]), (130.0, 130.0));
    // A minute after the last message the drift back begins, and takes a minute.
    let home = arrival(&tempo[500..], 120.0) + 50.0;
    assert!((158.0..161.0).contains(&home), "{home}");
    assert_eq!(conductor.values_of("/status/movement").unwrap()[4].as_text(), "drifting");
}

#[test]
fn a_hand_on_the_tempo_wins_for_a_while() {
    // Movement continues; 100 BPM are set by hand after twenty seconds and hold for a minute.
    let script = often(0.0, 130.0, 0.5, |_| 0.6);
    let (tempo, _) = play_with(&script, &[(20.0, 100.0)], 130.0, 1_024);
    assert!((tempo[199] - 126.6).abs() < 0.1, "{}", tempo[199]);
    assert!(tempo[203..798].iter().all(|t| *t == 100.0));
    assert!((arrival(&tempo[300..], 130.0) + 30.0 - 110.0).abs() < 1.0);
}

#[test]
fn the_older_address_wins_until_the_next_movement() {
    // Movement every second; a mixer sets 120 BPM at the start and 100 after twenty seconds, half a second before
    // movement.
    let script = often(0.0, 60.0, 1.0, |_| 0.6);
    let hand = [(0.5, 120.0), (20.5, 100.0)];
    let older = |config: &Config| play_by(config, "/set_tempo", &script, &hand, 60.0, 1_024).0;
    let tempo = older(&Config::default());
    assert!((tempo[200] - 126.3).abs() < 0.2, "movement took over after one second: {}", tempo[200]);
    assert!(tempo[206..=209].iter().all(|t| *t == 100.0), "{:?}", &tempo[206..=209]);
    assert!((tempo[360] - 115.0).abs() < 0.5, "and again: {}", tempo[360]);
    assert!((arrival(&tempo[220..], 130.0) + 22.0 - 51.0).abs() < 0.5);
    // A configured time is respected.
    let mut config = Config::default();
    config.movement.manual_s = Some(10.0);
    let tempo = older(&config);
    assert!(tempo[6..104].iter().all(|t| *t == 120.0));
    assert!(tempo[207..304].iter().all(|t| *t == 100.0));
    assert!(tempo[330] > 101.0);
}

#[test]
fn a_measurement_steers_whatever_it_is_mapped_to() {
    let text = "[[map]]\nsource = \"arms\"\ntarget = \"/groove/deck/a/eq/high\"\nline = [[0.0, 20.0], [0.5, 50.0]]\n";
    let file = std::env::temp_dir().join(format!("grooved-map-{}.toml", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let config = Config::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (mut engine, mut conductor) = rig(&config);
    engine.render(&mut Block::new(2, 4_800));
    conductor.own(vec![Message::new("/dance/arm_movement", vec![Value::Float(0.25)])]);
    let high = conductor.values_of("/groove/deck/a/eq/high").unwrap()[0].as_float().unwrap();
    assert!((high - 35.0).abs() < 1e-6, "{high}");
    // A target that takes no number, or more than one argument, is rejected with file and line.
    for target in ["/groove/stem/volume", "/groove/cleanup", "/groove/deck/a/sync"] {
        let text = text.replace("/groove/deck/a/eq/high", target);
        std::fs::write(&file, text).unwrap();
        let error = Config::read(&file).unwrap_err().to_string();
        assert!(error.contains("map.target") && error.contains(target), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn an_evening_is_one_story() {
    // Half an hour of a simulated evening; `GROOVED_CURVE=FILE` saves the curve for a plot.
    let seconds = 1_800.0;
    let script: Script = (0..(seconds * 2.0) as u64)
        .filter_map(|k| Some((k as f64 * 0.5, grooved::remote::crowd::movement(k as f64 * 0.5 / seconds, k)?)))
        .collect();
    let (tempo, _) = play(&script, seconds, 1_024);
    if let Some(file) = std::env::var_os("GROOVED_CURVE") {
        let lines: Vec<String> =
            tempo.iter().enumerate().map(|(k, t)| format!("{:.1},{t:.4}", k as f64 * 0.1)).collect();
        std::fs::write(file, lines.join("\n")).unwrap();
    }
    let (low, high) = tempo.iter().fold((f64::MAX, f64::MIN), |(l, h), t| (l.min(*t), h.max(*t)));
    assert!(
        low >= 105.0 && (105.0..110.5).contains(&tempo[tempo.len() - 1]) && (127.0..=130.0).contains(&high),
        "{low} {high}"
    );
    // The slope never exceeds that of the widest glide in thirty seconds.
    let jump = tempo.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f64::max);
    assert!(jump <= 25.0 / 300.0 + 0.01, "{jump}");
}
