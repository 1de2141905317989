//! The DDSP stream: unmodified clients of the older server, and the extensions.
#![cfg(feature = "ddsp")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use common::{Daemon, Scratch, free_tcp_port, grooved, python};

/// Starts a daemon with the stream on a free port and the instruments of this repository.
fn daemon(scratch: &Scratch, more: &str) -> (Daemon, u16) {
    let port = free_tcp_port();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    std::fs::write(scratch.path("g.toml"), format!("[ddsp]\nmodels = \"{}\"\n{more}", models.display())).unwrap();
    let args = ["--output", "null", "--config", "g.toml", "--ddsp-listen", &format!("127.0.0.1:{port}")];
    (Daemon::start(scratch, &args), port)
}

fn get(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET /anything HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Sends a WebSocket upgrade request and returns the beginning of the response.
fn knock(port: u16) -> (TcpStream, String) {
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(upgrade.as_bytes()).unwrap();
    let mut answer = [0; 400];
    let length = stream.read(&mut answer).unwrap();
    (stream, String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[test]
fn older_clients_play_on_and_new_ones_ask_for_more() {
    let scratch = Scratch::new("stream");
    let (daemon, port) = daemon(&scratch, "");
    let answer = get(port);
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("f0s"), "{answer}");
    let seconds = std::env::var("GROOVED_STREAM_SECONDS").unwrap_or("6".into());
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/ddsp_stream.py");
    let done = python().args([client, &port.to_string(), &seconds]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    println!("{said}");
    assert!(done.status.success() && said.contains("all of it"), "{said}\n{}", daemon.log());
    let log = daemon.log();
    assert_eq!(daemon.stop(), 0);
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
}

/// Runs a Python client to its end; returns its output.
fn run(client: &str, args: &[&str], daemon: &Daemon) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(client);
    let done = python().arg(script).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    println!("{said}");
    assert!(done.status.success() && said.contains("all of it"), "{said}\n{}", daemon.log());
}

#[test]
fn older_clients_get_what_the_older_server_gave_and_no_texts() {
    let scratch = Scratch::new("stream-older");
    let (daemon, port) = daemon(&scratch, "");
    run("older_stream.py", &[&port.to_string()], &daemon);
    let log = daemon.log();
    assert!(log.contains("invalid JSON") && log.contains("such messages are ignored"), "{log}");
    daemon.stop();
}

#[test]
fn connections_end_with_a_handshake_and_a_code() {
    let scratch = Scratch::new("stream-closing");
    let (daemon, port) = daemon(&scratch, "");
    run("closing.py", &[&port.to_string(), "/", "262144"], &daemon);
    let log = daemon.log();
    for words in ["closed with 1002", "closed with 1007", "closed with 1009: a message of"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    // The daemon stops.
    let url = format!("ws://127.0.0.1:{port}/");
    let (mut socket, _) = tungstenite::client(url, TcpStream::connect(("127.0.0.1", port)).unwrap()).unwrap();
    daemon.signal(15);
    let frame = loop {
        match socket.read() {
            Ok(tungstenite::Message::Close(frame)) => break frame.unwrap(),
            Ok(_) => {}
            Err(error) => panic!("no closing frame: {error}"),
        }
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "grooved is shutting down"));
    daemon.stop();
}

#[test]
fn no_more_clients_than_are_allowed() {
    let scratch = Scratch::new("stream-few");
    let (daemon, port) = daemon(&scratch, "clients = 1\n");
    let (first, answer) = knock(port);
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let (_, answer) = knock(port);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("ddsp.clients"), "{answer}");
    drop(first);
    // The slot is free again.
    let back = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        knock(port).1.starts_with("HTTP/1.1 101")
    });
    assert!(back);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_model_that_is_not_there_is_said_and_the_decks_play_on() {
    for (path, wanted, reason) in [
        ("/nowhere/Violin.onnx", "Model file not found: /nowhere/Violin.onnx", "Model file not found: /nowhere/Violin"),
        ("old/Violin.tflite", "python3 models/convert.py", "Violin.tflite"),
    ] {
        let scratch = Scratch::new("stream-missing");
        std::fs::create_dir(scratch.path("old")).unwrap();
        std::fs::write(scratch.path("old/Violin.tflite"), b"TFL3").unwrap();
        scratch.sine("tone.wav", 48_000, 2, 440, 0.2);
        let port = free_tcp_port();
        let mut command = grooved();
        let osc = common::free_port();
        command.current_dir(&scratch.0).env("DDSP_MODEL_PATH", path).args([
            "--port",
            &osc.to_string(),
            "--http-port",
            "0",
        ]);
        command.args(["--output", "wav:out.wav", "--a", "tone.wav", "--ddsp-listen", &format!("127.0.0.1:{port}")]);
        let daemon = Daemon::spawn(&scratch, command, osc);
        let told = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            daemon.log().contains(wanted)
        });
        assert!(told, "{}", daemon.log());
        // The closing frame contains the reason; older clients would take a text message for sound.
        let url = format!("ws://127.0.0.1:{port}/");
        let (mut socket, _) = tungstenite::client(url, TcpStream::connect(("127.0.0.1", port)).unwrap()).unwrap();
        let Ok(tungstenite::Message::Close(Some(frame))) = socket.read() else { panic!("no closing frame") };
        assert!(u16::from(frame.code) == 1011 && frame.reason.contains(reason), "{frame}");
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(daemon.stop(), 0);
        let sound = std::fs::read(scratch.path("out.wav")).unwrap();
        let peak =
            sound[94..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).abs()).fold(0.0, f32::max);
        assert!(peak > 0.05, "the deck is silent: {peak}");
    }
}

#[test]
fn midi_files_and_tables_become_the_same_bytes_every_time() {
    let scratch = Scratch::new("render-instruments");
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    // Two tracks: a flute's phrase with a bend and the wheel, and a cello's chord.
    let track = |events: &[u8]| {
        let mut bytes = b"MTrk".to_vec();
        bytes.extend((events.len() as u32 + 4).to_be_bytes());
        bytes.extend(events);
        bytes.extend([0, 0xff, 0x2f, 0]);
        bytes
    };
    let mut midi = b"MThd\0\0\0\x06\0\x01\0\x02\0\x60".to_vec();
    midi.extend(track(&[
        0, 0xc0, 73, 0, 0x90, 76, 100, 48, 0xb0, 1, 127, 48, 0x80, 76, 0, 0, 0x90, 79, 110, 48, 0xe0, 0, 0x50, 48,
        0x80, 79, 0,
    ]));
    midi.extend(track(&[
        0, 0xc1, 42, 0, 0x91, 48, 80, 0, 0x91, 55, 80, 0, 0x91, 64, 80, 0x81, 0x40, 0x81, 48, 0, 0, 0x81, 55, 0, 0,
        0x81, 64, 0,
    ]));
    std::fs::write(scratch.path("cut.mid"), &midi[..midi.len() - 12]).unwrap();
    std::fs::write(scratch.path("in.mid"), midi).unwrap();
    std::fs::write(scratch.path("in.csv"), "time,f0,loudness\n0,220,0.2\n0.5,440,0.8\n1,440,0\n").unwrap();
    let run = |args: &[&str]| {
        let done = grooved().current_dir(&scratch.0).args(args).args(["--models", models]).output().unwrap();
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr),
        )
    };
    for (command, input) in [("render-midi", "in.mid"), ("render-controls", "in.csv")] {
        let mut bytes = Vec::new();
        for out in ["one.wav", "two.wav"] {
            let (code, said) = run(&[command, input, out]);
            assert_eq!(code, Some(0), "{said}");
            assert!(command != "render-midi" || (said.contains("flute") && said.contains("cello")), "{said}");
            bytes.push(std::fs::read(scratch.path(out)).unwrap());
        }
        assert!(bytes[0].len() > 48_000 * 8 && bytes[0] == bytes[1], "{command} differs from run to run");
        let loud = bytes[0][94..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).abs());
        let peak = loud.fold(0.0f32, f32::max);
        assert!((0.02..1.5).contains(&peak), "{command}: peak {peak}");
    }
    for (args, code, wanted) in [
        (&["render-midi", "none.mid", "x.wav"][..], 64, "none.mid"),
        (&["render-midi", "in.csv", "x.wav"], 65, "is not a MIDI file"),
        (&["render-midi", "cut.mid", "x.wav"], 65, "ends too early; the part before that is in x.wav"),
        (&["render-midi", "in.mid", "x.wav", "--instrument", "kazoo"], 64, "cello, clarinet"),
        (&["render-midi", "in.mid", "x.wav", "--instrument", "7=flute"], 64, "between 1 and 2"),
        (&["render-midi", "in.mid", "x.wav", "--voices", "0"], 64, "--voices: must be between 1 and 32"),
        (&["render-controls", "in.csv", "/nowhere/x.wav"], 74, "/nowhere/x.wav"),
    ] {
        let (found, said) = run(args);
        assert_eq!(found, Some(code), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
}
