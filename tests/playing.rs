//! The daemon as a process, controlled over UDP; its WAV output is measured.

mod common;

use std::time::Duration;

use common::{Daemon, Scratch, Sound, f, i, p, s};
use grooved::control::commands::value::Value;
use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};

/// Gain of a quiet sound with default settings.
const DEFAULT_GAIN: f64 = 0.8 * 0.68;

fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

#[test]
fn a_loaded_stem_plays_as_loud_as_it_should_and_stops_without_a_click() {
    let scratch = Scratch::new("plays");
    let tone = scratch.sine("tone.wav", 48_000, 2, 440, 0.25);
    let out = scratch.path("out.wav");
    let daemon = Daemon::start(&scratch, &["--enable-filters", "--output", &format!("wav:{}", out.display())]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), p(&tone), s("tone")]);
    client.done("/play_stem", vec![i(100), f(1.0), f(0.8), i(1), f(0.0)]);
    sleep(0.7);
    // Every operation that could click.
    client.quiet("/stem_volume", vec![i(100), f(0.2)]);
    client.quiet("/stem_volume", vec![i(100), f(0.8)]);
    client.quiet("/crossfade_levels", vec![f(0.0), f(1.0)]);
    client.quiet("/crossfade_levels", vec![f(1.0), f(0.0)]);
    client.quiet("/deck_eq", vec![s("a"), s("low"), f(0.0)]);
    sleep(0.1);
    client.quiet("/deck_eq_all", vec![s("a"), f(0.0), f(0.0), f(0.0)]);
    sleep(0.1);
    client.quiet("/deck_eq_all", vec![s("a"), f(50.0), f(50.0), f(50.0)]);
    client.done("/groove/stem/seek", vec![i(100), f(0.377)]);
    client.quiet("/set_tempo", vec![f(126.0)]);
    sleep(0.1);
    client.quiet("/set_tempo", vec![f(120.0)]);
    client.done("/play_stem", vec![i(100), f(1.0), f(0.8), i(1), f(0.6)]);
    sleep(0.2);
    client.done("/stop_stem", vec![i(100)]);
    sleep(0.2);
    assert_eq!(client.status("players", 0), i(0));
    client.done("/mixer_cleanup", vec![]);
    daemon.stop();

    let sound = Sound::read(&out);
    let onset = sound.onset(0).unwrap() as f64 / 48_000.0;
    let peak = sound.tone(440.0, onset + 0.1, onset + 0.6);
    let db = 20.0 * (peak / (0.25 * DEFAULT_GAIN)).log10();
    assert!(db.abs() < 0.05, "{db:.3} dB off");
    // The equaliser's ramps of 10 ms reach 0.026 at the worst phase of the tone; a hard cut reaches several times that.
    let clicks = sound.clicks(0.035);
    assert!(clicks.is_empty(), "clicks at {clicks:?} s");
    assert!(sound.rms(sound.seconds() - 0.1, sound.seconds()) == 0.0, "silent at the end");
}

#[test]
fn buffer_numbers_decide_the_deck_and_levels_the_mix() {
    let scratch = Scratch::new("decks");
    let out = scratch.path("out.wav");
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display())]);
    let client = daemon.client();
    // One tone per deck, and numbers outside all ranges: below plays on A, above on D.
    let tones = [(100, 300), (1100, 400), (2100, 500), (3100, 600), (7, 700), (9000, 800)];
    for (id, hz) in tones {
        let file = scratch.sine(&format!("{hz}.wav"), 48_000, 1, hz, 0.1);
        client.done("/load_buffer", vec![i(id), p(&file), s(hz.to_string())]);
        client.done("/play_stem", vec![i(id)]);
    }
    sleep(0.3);
    let mut marks = Vec::new();
    for levels in [[1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.25]] {
        client.quiet("/deck_levels", levels.map(f).to_vec());
        sleep(0.15);
        marks.push(client.status("clock", 0).as_float().unwrap() / 48_000.0);
        sleep(0.45);
    }
    daemon.stop();
    let sound = Sound::read(&out);
    for (k, mark) in marks.iter().enumerate() {
        let level = |hz: f64| sound.tone(hz, mark + 0.02, mark + 0.32) / (0.1 * DEFAULT_GAIN);
        let wanted: [f64; 6] = match k {
            0 => [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            1 => [0.0, 0.5, 0.0, 0.0, 0.0, 0.0],
            2 => [0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
            _ => [0.0, 0.0, 0.0, 0.25, 0.0, 0.25],
        };
        for ((_, hz), want) in tones.iter().zip(wanted) {
            let got = level(*hz as f64);
            assert!((got - want).abs() < 0.02, "deck {k}: {hz} Hz at {got:.3}, not {want}");
        }
    }
}

#[test]
fn a_time_tag_names_the_sample() {
    let scratch = Scratch::new("timetag");
    let out = scratch.path("out.wav");
    // A click track: the stem's first frame is the loudest.
    let tick = scratch.wav("tick.wav", 48_000, 4_800, |k| if k == 0 { (0.9, 0.9) } else { (0.0, 0.0) });
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display()), "--buffer-size", "441"]);
    let client = daemon.client();
    for id in 0..8 {
        client.done("/load_buffer", vec![i(100 + id), p(&tick), s("tick")]);
    }
    // Clock readings: sample time and wall clock.
    let play = |id: i32| {
        OscPacket::Message(OscMessage {
            addr: "/play_stem".into(),
            args: vec![OscType::Int(id), OscType::Float(1.0), OscType::Float(0.8), OscType::Int(0)],
        })
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let base = now.as_secs_f64() + 0.5;
    for id in 0..8 {
        let at = base + f64::from(id) * 0.1;
        let timetag =
            OscTime { seconds: (at as u64 + 2_208_988_800) as u32, fractional: (at.fract() * 4_294_967_296.0) as u32 };
        let bundle = OscPacket::Bundle(OscBundle { timetag, content: vec![play(100 + id)] });
        client.socket.send(&rosc::encoder::encode(&bundle).unwrap()).unwrap();
    }
    sleep(1.8);
    // One time that is too late, and one too far ahead.
    let late = OscPacket::Bundle(OscBundle {
        timetag: OscTime { seconds: (now.as_secs() + 2_208_988_800 - 5) as u32, fractional: 0 },
        content: vec![play(100)],
    });
    client.socket.send(&rosc::encoder::encode(&late).unwrap()).unwrap();
    let answers: Vec<_> = std::iter::from_fn(|| client.next(Duration::from_millis(500))).flatten().collect();
    let lates: Vec<_> = answers.iter().filter(|m| m.address == "/late").collect();
    assert_eq!(lates.len(), 1, "{answers:?}");
    let by = lates[0].args[1].as_float().unwrap();
    assert!((5.0..9.0).contains(&by), "{by} s late");
    let far = OscPacket::Bundle(OscBundle {
        timetag: OscTime { seconds: (now.as_secs() + 2_208_988_800 + 100_000) as u32, fractional: 0 },
        content: vec![play(100)],
    });
    client.socket.send(&rosc::encoder::encode(&far).unwrap()).unwrap();
    let answer = client.next(Duration::from_secs(2)).unwrap();
    assert!(answer[0].address == "/fail" && answer[0].args[1].as_text().contains("3600"), "{answer:?}");
    daemon.stop();

    let sound = Sound::read(&out);
    let ticks: Vec<usize> = sound.left.iter().enumerate().filter(|(_, v)| v.abs() > 0.3).map(|(k, _)| k).collect();
    assert_eq!(ticks.len(), 9, "{ticks:?}");
    for (k, tick) in ticks[..8].iter().enumerate() {
        let wanted = ticks[0] as f64 + k as f64 * 4_800.0;
        assert!((*tick as f64 - wanted).abs() <= 1.0, "tick {k} is {} frames off", *tick as f64 - wanted);
    }
}

#[test]
fn a_group_starts_on_one_sample_also_when_a_load_is_slow() {
    let scratch = Scratch::new("group");
    let out = scratch.path("out.wav");
    for deck in ["a", "b", "c"] {
        // Long enough to be streamed; its first frame is a tick.
        scratch.wav(&format!("{deck}.wav"), 44_100, 44_100 * 4, |k| if k == 0 { (0.3, 0.3) } else { (0.0, 0.0) });
    }
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display())]);
    let client = daemon.client();
    client.done("/cue", vec![s("a"), s("a.wav")]);
    client.done("/cue", vec![s("b"), s("b.wav")]);
    client.done("/groove/debug/stall_loader", vec![i(900)]);
    // Cue a slow file and start the group immediately.
    client.send("/cue", vec![s("c"), s("c.wav"), f(0.0)]);
    client.send("/start_group", vec![f(0.1), s("a"), s("b"), s("c")]);
    let mut seen = Vec::new();
    while !seen
        .iter()
        .any(|m: &grooved::control::commands::request::Message| m.args.first() == Some(&s("/start_group")))
    {
        seen.extend(client.next(Duration::from_secs(5)).expect("an answer"));
    }
    assert!(seen.iter().any(|m| m.address == "/done" && m.args[0] == s("/start_group")), "{seen:?}");
    sleep(0.3);
    // A deck that is never cued is reported after the time limit, and the others start.
    client.done("/mixer_cleanup", vec![]);
    client.done("/cue", vec![s("a"), s("a.wav")]);
    client.send("/start_group", vec![f(0.0), s("a"), s("d")]);
    let answer = client.next(Duration::from_secs(8)).expect("an answer");
    assert!(answer[0].address == "/fail" && answer[0].args[1].as_text().contains("deck d was not cued"), "{answer:?}");
    sleep(0.3);
    daemon.stop();

    let sound = Sound::read(&out);
    let loud: Vec<usize> = (0..sound.left.len()).filter(|k| sound.left[*k].abs() > 0.1).collect();
    // Three ticks of 0.3 on the same sample, then a single one.
    let peak = sound.left[loud[0]..loud[0] + 64].iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(f64::from(peak) > 3.0 * 0.3 * DEFAULT_GAIN * 0.9, "{peak}");
    assert!(loud.last().unwrap() - loud[0] > 48_000, "the second group was heard");
}

#[test]
fn ten_thousand_malformed_packets_leave_the_sound_unharmed() {
    let scratch = Scratch::new("malformed");
    let tone = scratch.sine("tone.wav", 48_000, 1, 440, 0.25);
    let out = scratch.path("out.wav");
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display())]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), p(&tone), s("tone")]);
    client.done("/play_stem", vec![i(100)]);
    sleep(0.2);
    let mut state = 0x1234_5678_9abc_def0u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let hostile = daemon.client();
    let controls = grooved::control::table::vocabulary(false);
    let vocabulary = controls.concrete();
    for k in 0..10_000 {
        let mut packet: Vec<u8> = match k % 5 {
            // Noise.
            0 => (0..random() % 200).map(|_| random() as u8).collect(),
            // A valid address with random type tags.
            1 => {
                let mut bytes = vocabulary[random() as usize % vocabulary.len()].clone().into_bytes();
                bytes.resize(bytes.len() / 4 * 4 + 4, 0);
                bytes.push(b',');
                bytes.extend((0..random() % 12).map(|_| b"ifsbhtdTFNI[]SrcmXYZ"[random() as usize % 20]));
                bytes.resize(bytes.len() / 4 * 4 + 4, 0);
                bytes.extend((0..random() % 64).map(|_| random() as u8));
                bytes
            }
            // A bundle with wrong lengths.
            2 => {
                let mut bytes = b"#bundle\0".to_vec();
                bytes.extend(random().to_be_bytes());
                bytes.extend((random() as u32).to_be_bytes());
                bytes.extend(b"/x\0\0,\0\0\0");
                bytes
            }
            // Non-finite numbers for controls that take numbers; none that would stop this stem.
            3 => {
                let wild = [f64::NAN, f64::INFINITY, -1e30, 1e30, -0.0];
                let message = OscMessage {
                    addr: ["/deck_filter", "/set_tempo", "/stem_volume", "/play_stem"][random() as usize % 4].into(),
                    args: (0..random() % 6).map(|_| OscType::Float(wild[random() as usize % 4] as f32)).collect(),
                };
                rosc::encoder::encode(&OscPacket::Message(message)).unwrap()
            }
            // A valid message with one byte changed, of a control without effect.
            _ => {
                let mut bytes =
                    grooved::control::commands::packet::encode(&[grooved::control::commands::request::Message::new(
                        "/groove/movement/arms",
                        vec![f(0.5), s("text"), i(7)],
                    )])
                    .unwrap();
                let at = random() as usize % bytes.len();
                bytes[at] ^= 1 << (random() % 8);
                bytes
            }
        };
        // Excludes messages that would legitimately stop or change the tone.
        let text = String::from_utf8_lossy(&packet).into_owned();
        if [
            "/stop",
            "/mixer_cleanup",
            "cleanup",
            "/master",
            "level",
            "unload",
            "crossfade",
            "/fade",
            "/load",
            "seek",
            "/play",
            "rate",
            "tempo",
            "eq",
            "gain",
            "volume",
            "/at",
            "tone",
            "/filter",
            "debug",
            "start",
        ]
        .iter()
        .any(|w| k % 5 == 1 && text.contains(w))
        {
            packet.truncate(9);
        }
        let _ = hostile.socket.send(&packet);
        if k % 500 == 0 {
            sleep(0.02);
        }
    }
    sleep(0.3);
    assert_eq!(client.status("players", 0), i(1), "it still plays");
    assert_eq!(client.status("xruns", 0), i(0));
    assert_eq!(client.status("faults", 4), i(0), "no realtime fault");
    client.done("/stop_stem", vec![i(100)]);
    daemon.stop();
    let sound = Sound::read(&out);
    assert!(sound.clicks(0.02).is_empty(), "{:?}", sound.clicks(0.02));
    let onset = sound.onset(0).unwrap() as f64 / 48_000.0;
    let (first, last) =
        (sound.rms(onset + 0.05, onset + 0.15), sound.rms(sound.seconds() - 0.8, sound.seconds() - 0.7));
    assert!((first - last).abs() < 1e-3 && last > 0.05, "{first} {last}");
}

#[test]
fn answers_say_what_was_wrong_and_what_would_be_right() {
    let scratch = Scratch::new("answers");
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    for (address, args, parts) in [
        ("/load_buffer", vec![i(1), s("no/such.wav")], vec!["no/such.wav", "tried"]),
        ("/load_buffer", vec![i(1), s("../../../etc/passwd")], vec!["was not found under a media root"]),
        ("/load_buffer", vec![s("x"), s("y")], vec!["buffer_id", "whole number"]),
        ("/load_buffer", vec![], vec!["buffer_id", "missing", "/load_buffer buffer_id file_path"]),
        ("/play_stem", vec![i(77)], vec!["77", "/load_buffer comes first"]),
        ("/set_tempo", vec![f(f64::NAN)], vec!["bpm", "20 to 400"]),
        ("/groove/tempo", vec![f(1e9)], vec!["bpm", "20 to 400"]),
        ("/deck_eq", vec![s("x"), s("low"), f(3.0)], vec!["deck", "a, b, c or d"]),
        ("/deck_eq", vec![s("a"), s("bass"), f(3.0)], vec!["band", "low, mid or high"]),
        ("/start_group", vec![f(1.0)], vec!["deck"]),
        ("/groove/temop", vec![f(120.0)], vec!["did you mean /groove/tempo?"]),
        ("/groove/get", vec![s("/groove/tone")], vec!["is an action"]),
    ] {
        let why = client.fails(address, args);
        for part in parts {
            assert!(why.contains(part), "{address}: {why:?} lacks {part:?}");
        }
    }
    // Numeric texts and numbers of the other type are accepted, as in the older servers.
    client.quiet("/deck_levels", vec![s("0.5"), i(1)]);
    assert_eq!(client.status("levels", 0), f(0.5));
    client.quiet("/groove/deck/*/level", vec![f(0.25)]);
    for k in 0..4 {
        assert_eq!(client.status("levels", k), f(0.25));
    }
    let got = client.ask("/groove/get", vec![s("/groove/deck/b/level")]);
    assert_eq!(got, [grooved::control::commands::request::Message::new("/groove/deck/b/level", vec![f(0.25)])]);
    // Movement is stored and never answered; replies are not answered.
    for address in ["/dance/total_movement", "/dance/person_count", "/pose/keypoints", "/done", "/fail", "/status/x"] {
        client.quiet(address, vec![f(0.3), s("x")]);
    }
    assert!(
        (client.ask("/groove/get", vec![s("/groove/movement/total_movement")])[0].args[0].as_float().unwrap() - 0.3)
            .abs()
            < 1e-6
    );
    // Log lines about errors are rate-limited.
    for _ in 0..500 {
        client.send("/nonsense", vec![]);
    }
    let mut complaints = 0;
    while let Some(messages) = client.next(Duration::from_millis(300)) {
        complaints += messages.len();
    }
    assert!((5..120).contains(&complaints), "{complaints}");
    daemon.stop();
}

#[test]
fn the_status_has_its_fields_in_order_and_subscriptions_lapse() {
    let scratch = Scratch::new("status");
    let tone = scratch.sine("tone.wav", 44_100, 3, 100, 0.1);
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(1100), p(&tone), s("my tone")]);
    client.done("/play_stem", vec![i(1100), f(0.979), f(0.7), i(1), f(0.5)]);
    sleep(0.2);
    let answers = client.ask("/get_status", vec![]);
    let names: Vec<&str> = answers.iter().map(|m| m.address.as_str()).collect();
    assert_eq!(
        names,
        [
            "/status/version",
            "/status/sample_rate",
            "/status/tempo",
            "/status/beat",
            "/status/buffers",
            "/status/buffer",
            "/status/players",
            "/status/player",
            "/status/levels",
            "/status/master",
            "/status/xruns",
            "/status/output",
            "/status/clock",
            "/status/load",
            "/status/faults",
            "/status/record",
            "/status/movement",
            "/status/stretch",
            "/status/stretch",
            "/status/stretch",
            "/status/stretch",
            "/status/voices",
            "/status/midi",
            "/status/set",
            "/status/plan",
            "/done",
        ]
    );
    let player = &answers[7].args;
    assert_eq!(player[..3], [i(1100), s("my tone"), s("b")]);
    let position = player[3].as_float().unwrap();
    assert!((1.5..2.2).contains(&position), "{position}");
    assert!((player[5].as_float().unwrap() - 0.979).abs() < 1e-6);

    client.done("/subscribe", vec![s("positions"), f(20.0), f(1.0)]);
    let mut count = 0;
    while client.next(Duration::from_millis(600)).is_some() {
        count += 1;
    }
    assert!((10..=25).contains(&count), "{count} pushes in a second at 20 Hz");
    client.done("/subscribe", vec![s("beats"), f(1.0), f(10.0)]);
    client.done("/reset", vec![]);
    let beat = client.next(Duration::from_secs(2)).expect("a beat");
    assert_eq!(beat[0].address, "/beat");
    daemon.stop();
}

#[test]
fn loads_beyond_the_limits_are_refused_and_nothing_stops() {
    let scratch = Scratch::new("limits");
    let tone = scratch.sine("tone.wav", 48_000, 5, 100, 0.1);
    std::fs::write(scratch.path("g.toml"), "[media]\nmax_stems = 4\nmemory_mb = 5\n").unwrap();
    std::fs::write(scratch.path("text.wav"), "this is no sound").unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml"]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), p(&tone)]);
    client.done("/play_stem", vec![i(100)]);
    assert!(client.fails("/load_buffer", vec![i(101), s("text.wav")]).contains("not a sound file"));
    client.done("/load_buffer", vec![i(102), p(&tone)]);
    client.done("/load_buffer", vec![i(103), p(&tone)]);
    assert!(client.fails("/load_buffer", vec![i(104), p(&tone)]).contains("memory_mb"));
    // Replacing a stem needs no additional memory.
    client.done("/load_buffer", vec![i(102), p(&tone)]);
    assert_eq!(client.status("players", 0), i(1));
    assert_eq!(client.status("buffers", 0), i(3));
    let played: Value = client.status("player", 3);
    assert!(played.as_float().unwrap() > 0.0);
    daemon.stop();
}

#[test]
fn what_is_stopped_and_about_to_start_counts_as_playing() {
    let scratch = Scratch::new("again");
    let file = scratch.sine("tone.wav", 48_000, 4, 440, 0.2);
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), p(&file), s("tone")]);
    client.quiet("/groove/deck/a/sync", vec![s("beat")]);
    for _ in 0..4 {
        // It starts on the next beat; the end of the stopped stem is reported before that.
        client.send("/stop_stem", vec![i(100)]);
        client.send("/play_stem", vec![i(100), f(1.0), f(0.8), i(1)]);
        std::thread::sleep(Duration::from_millis(700));
        client.done("/groove/deck/a/loop", vec![f(0.0)]);
    }
    daemon.stop();
}

#[test]
fn a_start_that_waits_for_its_beat_can_be_stopped() {
    let scratch = Scratch::new("waits");
    let out = scratch.path("out.wav");
    let file = scratch.sine("tone.wav", 48_000, 4, 440, 0.2);
    let daemon = Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display())]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), p(&file), s("tone")]);
    client.quiet("/groove/deck/a/sync", vec![s("bar")]);
    client.send("/play_stem", vec![i(100), f(1.0), f(0.8), i(1)]);
    client.send("/stop_stem", vec![i(100)]);
    // A bar lasts two seconds.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(client.status("players", 0), i(0));
    daemon.stop();
    let sound = Sound::read(&out);
    let loudest = sound.left.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    assert!(loudest < 1e-4, "{loudest} from frame {:?} on", sound.onset(0));
}

#[test]
fn more_than_can_be_stretched_is_told_and_made_good() {
    let scratch = Scratch::new("crowded");
    let file = scratch.sine("tone.wav", 48_000, 4, 440, 0.1);
    let daemon = Daemon::start(&scratch, &["--output", "null", "--stretch-method", "wsola"]);
    let client = daemon.client();
    for id in 100..105 {
        client.done("/load_buffer", vec![i(id), p(&file), s("tone")]);
        client.done("/play_stem", vec![i(id), f(1.0 + 0.01 * (id - 100) as f64), f(0.8), i(1)]);
    }
    std::thread::sleep(Duration::from_millis(200));
    let log = daemon.log();
    assert!(log.contains("deck a: 5 stems play at 5 rates, but only 24 at 4 can be stretched at once"), "{log}");
    client.done("/stop_stem", vec![i(100)]);
    std::thread::sleep(Duration::from_millis(200));
    let log = daemon.log();
    assert!(log.contains("deck a: all stems are stretched again"), "{log}");
    daemon.stop();
}

#[test]
fn symbols_and_latin_texts_are_read_and_damaged_packets_answered() {
    let scratch = Scratch::new("odd-packets");
    scratch.sine("Caf\u{e9}.wav", 48_000, 1, 440, 0.1);
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    let sent = |bytes: &[u8]| {
        client.socket.send(bytes).unwrap();
        client.next(Duration::from_secs(5)).expect("no answer").remove(0)
    };
    let got = sent(b"/groove/get\0,S\0\0/groove/master\0\0");
    assert_eq!(got.address, "/groove/master");
    let loaded = sent(b"/load_buffer\0\0\0\0,is\0\0\0\0\x64Caf\xe9.wav\0\0\0\0");
    assert!(loaded.address == "/done" && loaded.args[1] == i(100), "{loaded:?}");
    // A truncated number; an unknown type; a truncated time tag; a missing element.
    for (bytes, address) in [
        (&b"/groove/master\0\0,f\0\0\x3f\0"[..], "/groove/master"),
        (b"/stem_volume\0\0\0\0,iq\0\0\0\0\x64", "/stem_volume"),
        (b"#bundle\0\0\0\0\0", "#bundle"),
        (b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x40/x\0\0", "#bundle"),
    ] {
        let fail = sent(bytes);
        assert!(fail.address == "/fail" && fail.args[0] == s(address), "{fail:?}");
        assert!(fail.args[1].as_text().contains("invalid OSC packet"), "{fail:?}");
    }
    // Packets that are not OSC, and replies, are not answered.
    for bytes in [&b"hello"[..], b"\0\0\0\0", b"/fail\0\0\0,q\0\0", b"/status/x\0\0\0,q\0\0", b""] {
        client.socket.send(bytes).unwrap();
    }
    assert!(client.ask("/groove/movement/arms", vec![f(0.1)]).is_empty());
    daemon.stop();
}
