//! Instrument voices in the mix: notes, direct control, MIDI controllers, and overload.
#![cfg(feature = "ddsp")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Daemon, Scratch, Socket, Sound, f, free_tcp_port, i, s};
use grooved::control::commands::value::Value;

/// Starts a daemon with the instruments of this repository that writes its output to `out.wav`.
fn daemon(scratch: &Scratch, config: &str, more: &[&str]) -> Daemon {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let text = format!("[ddsp]\nmodels = \"{}\"\ninstrument = \"clarinet\"\n{config}", models.display());
    std::fs::write(scratch.path("g.toml"), text).unwrap();
    let daemon = Daemon::start(scratch, &[&["--output", "wav:out.wav", "--config", "g.toml"], more].concat());
    // The first instrument is loaded a moment later; a request for it waits.
    daemon.client().done("/groove/instrument/swap", vec![s("clarinet")]);
    daemon
}

fn wait(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Returns the position in the recording in seconds.
fn now(daemon: &Daemon) -> f64 {
    let clock = daemon.client().status("clock", 0);
    clock.as_float().unwrap() / 48_000.0
}

fn hz(midi: f64) -> f64 {
    440.0 * ((midi - 69.0) / 12.0).exp2()
}

#[test]
fn notes_sound_where_they_should_and_what_is_wrong_is_named() {
    let scratch = Scratch::new("voices-notes");
    let daemon = daemon(&scratch, "[voices]\npolyphony = 4\n", &[]);
    let client = daemon.client();
    let list = client.ask("/groove/instrument/list", vec![]);
    let names: Vec<String> =
        list.iter().filter(|m| m.address == "/groove/instrument").map(|m| m.args[0].as_text()).collect();
    assert!(names.contains(&"cello".to_string()) && names.len() >= 7, "{names:?}");
    let loaded = list.iter().find(|m| m.args[0] == s("clarinet")).unwrap();
    assert_eq!((loaded.args[1].clone(), loaded.args.len()), (i(1), 7));

    client.done("/groove/instrument/load", vec![s("flute")]);
    let begun = now(&daemon);
    for note in [60.0, 64.0, 67.0] {
        client.quiet("/groove/note/on", vec![f(note), f(110.0)]);
    }
    wait(0.6);
    assert_eq!(client.status("voices", 1), i(3));
    client.done("/groove/instrument/swap", vec![s("flute")]);
    wait(0.5);
    for note in [60.0, 64.0, 67.0] {
        client.quiet("/groove/note/off", vec![f(note)]);
    }
    wait(0.6);
    // Direct control of a voice, panned right.
    let direct = now(&daemon);
    client.quiet("/groove/voice/2/pan", vec![f(1.0)]);
    client.quiet("/groove/voice/2/f0", vec![f(330.0)]);
    client.quiet("/groove/voice/2/loudness_db", vec![f(-20.0)]);
    wait(0.6);
    let answers = client.ask("/groove/get", vec![s("/groove/voice/2/loudness")]);
    let loudness = answers[0].args[0].as_float().unwrap();
    assert!(loudness > 0.3 && loudness < 1.0, "{loudness}");
    client.done("/groove/voice/2/reset", vec![]);
    wait(0.3);

    for (address, args, wanted) in [
        ("/groove/voice/5/level", vec![f(1.0)], "1 to 4, or all"),
        ("/groove/voice/x/level", vec![f(1.0)], "1 to 32, or all"),
        ("/groove/voice/1/level", vec![f(9.0)], "0 to 4"),
        ("/groove/note/on", vec![f(200.0)], "0 to 127"),
        ("/groove/note/on", vec![f(60.0), f(90.0), i(17)], "1 to 16, or all"),
        ("/groove/instrument/swap", vec![s("kazoo")], "clarinet"),
        ("/groove/instrument/swap", vec![s("../../etc/passwd")], "/groove/instrument/list"),
        ("/groove/instrument/unload", vec![s("oboe")], "a loaded instrument (clarinet, flute)"),
        ("/groove/part/3/program", vec![i(128)], "0 to 127"),
        ("/groove/midi/learn", vec![s("/groove/stem/load")], "single number"),
        ("/groove/midi/learn", vec![s("/groove/nothing/like/it")], "no such control"),
    ] {
        let why = client.fails(address, args);
        assert!(why.contains(wanted), "{address}: {why}");
    }
    // The later request wins, whichever completes first: the oboe must be loaded, the flute is available.
    client.send("/groove/instrument/swap", vec![s("oboe")]);
    client.send("/groove/part/2/instrument", vec![s("flute")]);
    client.send("/groove/instrument/swap", vec![s("kazoo"), i(3)]);
    client.ask("/groove/instrument/list", vec![]);
    let has =
        |part: i64| client.ask("/groove/get", vec![s(format!("/groove/part/{part}/instrument"))])[0].args[0].clone();
    assert_eq!([has(1), has(2), has(3)], [s("oboe"), s("flute"), s("flute")]);

    let faults = |k| client.status("voices", k).as_int().unwrap();
    // The number of late periods depends on the machine: a busy one stalls threads for longer than the reserve.
    assert_eq!([faults(2), faults(3)], [0; 2], "stolen, unplayed");
    assert_eq!(daemon.stop(), 0);

    let sound = Sound::read(&scratch.path("out.wav"));
    for (from, to) in [(begun + 0.3, begun + 0.6), (begun + 0.8, begun + 1.05)] {
        for note in [60.0, 64.0, 67.0] {
            let (there, beside) = (sound.tone(hz(note), from, to), sound.tone(hz(note + 1.5), from, to));
            assert!(there > 0.005 && there > 5.0 * beside, "{note} at {from:.2}: {there} beside {beside}");
        }
    }
    let (from, to) = (direct + 0.3, direct + 0.55);
    assert!(sound.tone(330.0, from, to) < 1e-4, "nothing on the left");
    let right = Sound { rate: 48_000, left: sound.right.clone(), right: Vec::new() };
    assert!(right.tone(330.0, from, to) > 0.01);
}

#[test]
fn a_worker_that_is_too_slow_fades_its_voices_and_the_decks_play_on() {
    let scratch = Scratch::new("voices-slow");
    scratch.sine("tone.wav", 48_000, 2, 100, 0.2);
    let daemon = daemon(&scratch, "", &["--a", "tone.wav"]);
    let client = daemon.client();
    for note in [72.0, 76.0, 79.0] {
        client.quiet("/groove/note/on", vec![f(note), f(100.0)]);
    }
    wait(0.5);
    let slowed = now(&daemon);
    client.done("/groove/debug/slow_voices", vec![i(2_000)]);
    wait(1.0);
    client.done("/groove/debug/slow_voices", vec![i(0)]);
    let (underruns, shed) = (client.status("voices", 4), client.status("voices", 5));
    assert!(underruns.as_int().unwrap() > 0 && shed.as_int().unwrap() > 0, "{underruns} {shed}");
    wait(0.5);
    let again = now(&daemon);
    client.quiet("/groove/note/on", vec![f(84.0), f(100.0)]);
    wait(0.6);
    let log = daemon.log();
    assert!(log.contains("late periods: ") && log.contains("voices.polyphony"), "{log}");
    assert_eq!(client.status("xruns", 0), i(0));
    assert_eq!(daemon.stop(), 0);
    let sound = Sound::read(&scratch.path("out.wav"));
    // No click from fading voices: no step is larger than in the voices themselves.
    let rough = |from: f64, to: f64| {
        let part = &sound.left[(from * 48_000.0) as usize..(to * 48_000.0) as usize];
        part.windows(4).map(|w| (w[3] - 3.0 * w[2] + 3.0 * w[1] - w[0]).abs()).fold(0.0, f32::max)
    };
    let steady = rough(slowed - 0.3, slowed);
    assert!(rough(slowed, again) < 2.0 * steady, "{} beside {steady}", rough(slowed, again));
    let end = again + 0.5;
    assert!(sound.longest_gap() < 0.001);
    for part in 0..((again * 4.0) as usize) {
        let (from, to) = (0.5 + 0.25 * part as f64, 0.75 + 0.25 * part as f64);
        if to < end {
            let level = sound.tone(100.0, from, to);
            assert!((0.1..0.12).contains(&level), "the deck at {from}: {level}");
        }
    }
    assert!(sound.tone(hz(84.0), again + 0.3, again + 0.6) > 0.003, "voices come back");
}

#[test]
fn a_show_comes_back_with_its_voices() {
    let scratch = Scratch::new("voices-show");
    let state = format!("[state]\nrestore = true\nfolder = \"{}\"\nsave_s = 0.1\n", scratch.path("state").display());
    let first = daemon(&scratch, &state, &[]);
    let client = first.client();
    client.done("/groove/instrument/swap", vec![s("cello"), s("all")]);
    client.done("/groove/part/2/instrument", vec![s("flute")]);
    client.quiet("/groove/voice/3/f0", vec![f(110.0)]);
    client.quiet("/groove/voice/3/loudness", vec![f(0.7)]);
    client.quiet("/groove/voice/all/vibrato_depth", vec![f(0.25)]);
    client.quiet("/groove/reverb/wet", vec![f(0.2)]);
    // MIDI learn: a controller is assigned to a control.
    client.send("/groove/midi/learn", vec![s("/groove/deck/b/level"), f(0.0), f(2.0)]);
    client.quiet("/groove/master", vec![f(1.0)]);
    let answers = client.ask("/groove/midi/controller", vec![i(1), i(74), f(127.0)]);
    assert!(
        answers.iter().any(|m| m.address == "/done" && m.args == [s("/groove/midi/learn"), i(1), i(74)]),
        "{answers:?}"
    );
    client.quiet("/groove/midi/controller", vec![i(1), i(74), f(63.5)]);
    let value = |client: &common::Client, address: &str| client.ask("/groove/get", vec![s(address)])[0].args[0].clone();
    assert_eq!(value(&client, "/groove/deck/b/level"), f(1.0));
    // Unmapped controllers keep their standard meaning.
    client.quiet("/groove/midi/controller", vec![i(2), i(7), f(127.0)]);
    client.quiet("/groove/midi/controller", vec![i(2), i(1), f(127.0)]);
    assert_eq!(value(&client, "/groove/part/2/modulation"), f(1.0));
    client.done("/groove/preset/save", vec![s("mine")]);
    wait(0.3);
    assert_eq!(first.stop(), 0);

    let second = Daemon::start(&scratch, &["--output", "wav:out.wav", "--config", "g.toml"]);
    let client = second.client();
    client.ask("/groove/instrument/list", vec![]);
    let told = |client: &common::Client| {
        ["/groove/part/1/instrument", "/groove/part/2/instrument", "/groove/voice/3/f0", "/groove/voice/3/loudness"]
            .iter()
            .chain(&["/groove/voice/8/vibrato_depth", "/groove/reverb/wet"])
            .map(|a| value(client, a))
            .collect::<Vec<Value>>()
    };
    let wanted = [s("cello"), s("flute"), f(110.0), f(f64::from(0.7f32)), f(0.25), f(f64::from(0.2f32))];
    let close = |a: &Value, b: &Value| match (a.as_float(), b.as_float()) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6,
        _ => a == b,
    };
    let is_back = |told: &[Value]| told.iter().zip(&wanted).all(|(a, b)| close(a, b));
    assert!(is_back(&told(&client)), "{:?}", told(&client));
    client.quiet("/groove/midi/controller", vec![i(1), i(74), f(0.0)]);
    assert_eq!(value(&client, "/groove/deck/b/level"), f(0.0), "what was learned is known");
    let maps = client.ask("/groove/midi/maps", vec![]);
    assert_eq!(maps[0].args, [s("midi/1/74"), s("/groove/deck/b/level"), f(0.0), f(2.0)]);
    wait(0.5);
    assert_eq!(client.status("voices", 1), i(1), "the voice that was held sounds again");
    // Change everything, then recall the preset.
    client.done("/groove/instrument/swap", vec![s("oboe")]);
    client.done("/groove/voice/all/reset", vec![]);
    client.quiet("/groove/reverb/wet", vec![f(0.9)]);
    client.quiet("/groove/voice/1/glide", vec![f(0.5)]);
    client.done("/groove/preset/load", vec![s("mine")]);
    assert!(is_back(&told(&client)), "{:?}", told(&client));
    assert_eq!(value(&client, "/groove/voice/1/glide"), f(0.0), "what the preset does not name is as at first");
    let end = now(&second);
    wait(0.2);
    assert_eq!(second.stop(), 0);
    let sound = Sound::read(&scratch.path("out.wav"));
    assert!(sound.tone(110.0, end - 0.3, end) > 0.003, "{}", sound.tone(110.0, end - 0.3, end));
}

#[test]
fn without_an_instrument_decks_play_and_notes_say_what_lacks() {
    let scratch = Scratch::new("voices-none");
    scratch.sine("tone.wav", 48_000, 2, 100, 0.2);
    std::fs::create_dir(scratch.path("empty")).unwrap();
    std::fs::write(scratch.path("g.toml"), "[ddsp]\nmodels = \"empty\"\n[voices]\ninstrument = \"./missing.onnx\"\n")
        .unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "wav:out.wav", "--config", "g.toml", "--a", "tone.wav"]);
    let client = daemon.client();
    client.ask("/groove/instrument/list", vec![]);
    let why = client.fails("/groove/note/on", vec![f(60.0)]);
    assert!(why.contains("no instrument is ready") && why.contains("Model file not found: ./missing.onnx"), "{why}");
    assert!(daemon.log().contains("Model file not found: ./missing.onnx"), "{}", daemon.log());
    assert_eq!(daemon.stop(), 0);
    // Nor with voices disabled.
    std::fs::write(scratch.path("g.toml"), "[voices]\npolyphony = 0\n").unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "wav:out.wav", "--config", "g.toml", "--a", "tone.wav"]);
    let why = daemon.client().fails("/groove/note/on", vec![f(60.0)]);
    assert!(why.contains("voices.polyphony"), "{why}");
    wait(0.5);
    assert_eq!(daemon.stop(), 0);
    let sound = Sound::read(&scratch.path("out.wav"));
    assert!(sound.tone(100.0, 0.3, 0.5) > 0.1);
}

/// A client of the stream that sends one message.
fn say(port: u16, text: &str) -> Socket {
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut socket = Socket(tungstenite::client(format!("ws://127.0.0.1:{port}/"), stream).unwrap().0);
    socket.say(serde_json::from_str(text).unwrap());
    socket
}

#[test]
fn a_client_of_the_stream_is_heard_on_the_speakers_if_it_may() {
    let scratch = Scratch::new("voices-monitor");
    let port = free_tcp_port();
    let listen = format!("127.0.0.1:{port}");
    let refused = daemon(&scratch, "", &["--ddsp-listen", &listen]);
    let mut socket = say(port, r#"{"monitor":true}"#);
    let answer = socket.hear().unwrap();
    assert!(answer["field"] == "monitor" && answer["error"].as_str().unwrap().contains("ddsp.monitors"), "{answer}");
    drop(socket);
    assert_eq!(refused.stop(), 0);

    let daemon = daemon(&scratch, "monitors = 1\n", &["--ddsp-listen", &listen]);
    let mut socket = say(port, r#"[{"monitor":true},{"f0s":[440.0],"loudness":0.9}]"#);
    wait(0.5);
    let mut other = say(port, r#"{"monitor":true}"#);
    let answer = other.hear().unwrap();
    assert!(answer["error"].as_str().unwrap().contains("maximum number of clients"), "{answer}");
    let begun = now(&daemon);
    socket.say(serde_json::json!({"f0s": [660.0]}));
    wait(0.6);
    socket.say(serde_json::json!({"instrument": "flute"}));
    wait(0.5);
    let end = now(&daemon);
    drop(socket);
    wait(0.5);
    assert_eq!(daemon.stop(), 0);
    let sound = Sound::read(&scratch.path("out.wav"));
    assert!(sound.tone(440.0, begun - 0.2, begun) > 0.01);
    assert!(sound.tone(660.0, begun + 0.3, begun + 0.6) > 0.01 && sound.tone(660.0, end - 0.2, end) > 0.01);
    let silence = sound.left[((end + 0.3) * 48_000.0) as usize..].iter().all(|x| x.abs() < 1e-4);
    assert!(silence, "it is gone with its client");
}

/// Starts a daemon under the unit's limit: a realtime thread that computes for 200 ms without blocking ends it.
fn daemon_with_rttime(scratch: &Scratch, config: &str, args: &[&str]) -> Daemon {
    use std::os::unix::process::CommandExt;
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let text = format!("[ddsp]\nmodels = \"{}\"\ninstrument = \"clarinet\"\n{config}", models.display());
    std::fs::write(scratch.path("g.toml"), text).unwrap();
    let port = common::free_port();
    let mut command = common::grooved();
    command.current_dir(&scratch.0).args(["--port", &port.to_string(), "--ddsp-listen", "off", "--http-port", "0"]);
    command.args(["--output", "wav:out.wav", "--config", "g.toml"]).args(args);
    let limit = libc::rlimit { rlim_cur: 200_000, rlim_max: 200_000 };
    // SAFETY: setrlimit is async-signal-safe and only reads a local value.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_RTTIME, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    };
    let daemon = Daemon::spawn(scratch, command, port);
    daemon.client().done("/groove/instrument/swap", vec![s("clarinet")]);
    daemon
}

#[test]
fn a_note_held_at_loudness_0_stops_nothing() {
    let scratch = Scratch::new("voices-silent-note");
    let daemon = daemon_with_rttime(&scratch, "[voices]\npolyphony = 4\n", &[]);
    let client = daemon.client();
    client.quiet("/groove/note/on", vec![f(60.0), f(100.0)]);
    client.quiet("/groove/part/1/expression", vec![f(0.0)]);
    client.quiet("/groove/midi/controller", vec![i(1), i(11), i(0)]);
    wait(0.8);
    client.quiet("/groove/voice/all/sustain", vec![f(0.0)]);
    client.quiet("/groove/note/on", vec![f(67.0), f(100.0)]);
    wait(0.8);
    client.quiet("/groove/midi/controller", vec![i(1), i(11), i(127)]);
    client.quiet("/groove/voice/all/sustain", vec![f(1.0)]);
    let heard = now(&daemon);
    client.quiet("/groove/note/on", vec![f(72.0), f(100.0)]);
    wait(0.8);
    daemon.stop();
    let sound = Sound::read(&scratch.path("out.wav"));
    assert!(sound.tone(hz(72.0), heard + 0.3, heard + 0.7) > 0.01, "the pedal comes back up");
}

#[test]
fn a_worker_that_stops_responding_is_abandoned_and_the_decks_play_on() {
    let scratch = Scratch::new("voices-hang");
    scratch.sine("a.wav", 48_000, 4, 440, 0.3);
    let daemon = daemon_with_rttime(&scratch, "[voices]\npolyphony = 4\n[media]\nroots = [\".\"]\n", &[]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), s("a.wav"), s("a")]);
    client.done("/play_stem", vec![i(100), f(1.0), f(0.8), i(1), f(0.0)]);
    client.quiet("/groove/note/on", vec![f(72.0), f(100.0)]);
    wait(0.5);
    let begun = now(&daemon);
    // Longer than a realtime thread may run, shorter than until it is abandoned: slow, then recovered.
    client.done("/groove/debug/hang", vec![s("voices"), i(600)]);
    client.done("/groove/debug/hang", vec![s("stretch"), i(600)]);
    wait(1.5);
    client.quiet("/groove/note/on", vec![f(74.0), f(100.0)]);
    client.done("/groove/debug/hang", vec![s("voices"), i(60_000)]);
    wait(3.0);
    let why = client.fails("/groove/note/on", vec![f(76.0), f(100.0)]);
    assert!(why.contains("stopped responding"), "{why}");
    let ended = now(&daemon);
    let log = daemon.log();
    assert!(log.contains("voices worker: no response") && !log.contains("stretch worker: no response"), "{log}");
    // A thread that never ends does not prevent the shutdown.
    daemon.stop();
    let sound = Sound::read(&scratch.path("out.wav"));
    let mut at = begun;
    while at + 0.25 < ended {
        assert!(sound.tone(440.0, at, at + 0.25) > 0.1, "the deck fell silent at {at}");
        at += 0.25;
    }
}
