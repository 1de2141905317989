//! The other interfaces: an independent client uses all of them, and unauthorised clients are rejected.

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use common::{Daemon, Scratch, Socket, free_tcp_port, grooved, python};
use serde_json::json;

/// Sends a raw request. Returns the status (0 if the connection was closed without one) and the response.
fn raw(to: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = stream.write_all(request.as_bytes());
    let mut answer = vec![0u8; 65_536];
    let mut length = 0;
    while let Ok(n) = stream.read(&mut answer[length..]) {
        length += n;
        let text = String::from_utf8_lossy(&answer[..length]);
        if n == 0 || text.contains("\r\n\r\n") {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer[..length]).into_owned();
    (text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0), text)
}

fn get(to: SocketAddr, path: &str, headers: &str) -> u16 {
    raw(to, &format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n{headers}Connection: close\r\n\r\n")).0
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn upgrade(to: SocketAddr, path: &str, headers: &str) -> u16 {
    raw(to, &format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n{UPGRADE}{headers}\r\n")).0
}

fn here(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn an_independent_client_walks_the_tree_and_sets_every_control() {
    let scratch = Scratch::new("walk");
    scratch.sine("walk.wav", 48_000, 2, 440, 0.2);
    let table = "part_file,begin_cue_adj,end_cue_adj,target_bpm\nwalk.wav,1,2,120\n";
    std::fs::write(scratch.path("walk.csv"), table).unwrap();
    let stems = serde_json::json!({"bass": {"song": "Walk", "file": "walk.wav", "bpm": 120, "pitch_shift": 1.0}});
    let section = serde_json::json!({"type": "walk", "stems": stems});
    let plan = serde_json::json!({"base_bpm": 120, "sections": {"00_x": section, "01_x": section, "02_x": section}});
    std::fs::write(scratch.path("walk.json"), plan.to_string()).unwrap();
    let http = free_tcp_port();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    let config = format!(
        "[state]\nfolder = \"kept\"\n[record]\nkeep_free_mb = 1\n[ddsp]\nmodels = \"{models}\"\n\
         [genomes]\ndatabase = \"genomes.sqlite\"\n"
    );
    std::fs::write(scratch.path("g.toml"), config).unwrap();
    let evolve = ["genomes", "evolve", "--population", "4", "--duration", "0.5"];
    assert!(grooved().current_dir(&scratch.0).args(evolve).status().unwrap().success());
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml", "--http-port", &http.to_string()]);
    let output = python()
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/walk.py"), &http.to_string()])
        .args([&daemon.port.to_string(), "walk.wav"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    for part in ["api:", "oscquery:", "metrics:"] {
        assert!(text.contains(part), "{text}");
    }
    daemon.stop();
}

/// Returns this machine's address on the network, if it has one.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing: connecting a UDP socket only selects a route.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn strangers_get_in_nowhere() {
    let scratch = Scratch::new("strangers");
    let http = free_tcp_port();
    std::fs::write(scratch.path("token"), "correct horse\n").unwrap();
    std::fs::write(scratch.path("g.toml"), "[http]\nbind = \"0.0.0.0\"\ntoken_file = \"token\"\n").unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml", "--http-port", &http.to_string()]);
    let paths = ["/", "/api/schema", "/oscquery", "/metrics", "/healthz", "/groove/master"];
    let to = here(http);
    for path in paths {
        assert_eq!(get(to, path, ""), 200, "{path} from here");
        for (headers, status) in [
            ("Authorization: Bearer wrong\r\n", 401),
            ("Origin: http://evil.example\r\n", 403),
            ("Origin: null\r\n", 403),
        ] {
            assert_eq!(get(to, path, headers), status, "{path} {headers}");
        }
        assert_eq!(get(to, &format!("{path}?token=correct%20horse"), ""), 200, "{path} with the token");
    }
    for path in ["/api/ws", "/oscquery", "/"] {
        assert_eq!(upgrade(to, path, ""), 101, "{path}");
        assert_eq!(upgrade(to, path, "Origin: http://evil.example\r\n"), 403, "{path}");
        assert_eq!(upgrade(to, path, "Authorization: Bearer wrong\r\n"), 401, "{path}");
    }
    // DNS rebinding: a foreign host name that points here.
    let rebound = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(to, rebound).0, 403);
    for path in ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/oscquery/../../etc/passwd", "//etc/passwd", "/x"] {
        assert_eq!(get(to, path, ""), 404, "{path}");
    }
    assert_eq!(raw(to, "GET /api/ws HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").0, 426);
    if let Some(ip) = outer_address() {
        let outside = SocketAddr::new(ip, http);
        for path in paths {
            assert_eq!(get(outside, path, ""), 401, "{path} without a token");
        }
        assert_eq!(upgrade(outside, "/api/ws", ""), 401);
        assert_eq!(get(outside, "/metrics", "Authorization: Bearer correct horse\r\n"), 200);
        // Repeated wrong tokens are rate-limited.
        for _ in 0..30 {
            assert_ne!(get(outside, "/metrics?token=guess", ""), 200);
        }
        assert_eq!(get(outside, "/metrics?token=guess", ""), 429);
    } else {
        eprintln!("this machine has no address towards others: that part is left to the unit test");
    }
    let log = daemon.log();
    assert!(log.contains("HTTP: rejected") && log.contains("evil.example"), "{log}");
    daemon.stop();
}

#[test]
fn the_greedy_and_the_slow_cost_nothing() {
    let scratch = Scratch::new("greedy");
    scratch.sine("tone.wav", 48_000, 2, 440, 0.2);
    let out = scratch.path("out.wav");
    let http = free_tcp_port();
    let daemon =
        Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display()), "--http-port", &http.to_string()]);
    let mut socket = Socket::connect(http);
    let loaded = socket.ask(json!({ "op": "call", "path": "/groove/stem/load", "args": [100, "tone.wav"] }));
    assert_eq!(loaded["ok"], true, "{loaded}");
    socket.ask(json!({ "op": "call", "path": "/groove/stem/play", "args": [100] }));
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = memory();
    // 64 MB in one frame: rejected by its header.
    let mut greedy = Socket::connect(http);
    let megabytes = tungstenite::Message::text("x".repeat(64 << 20));
    let _ = greedy.0.send(megabytes);
    assert_eq!(greedy.hear(), None);
    // An endless request header, at once and byte by byte.
    let (status, _) = raw(here(http), &format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "y".repeat(1 << 20)));
    assert!(status == 0 || status == 431 || status == 400, "{status}");
    let started = Instant::now();
    let mut slow = TcpStream::connect(here(http)).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let ended = loop {
        let _ = slow.write_all(b"G");
        let mut byte = [0u8; 512];
        match slow.read(&mut byte) {
            Ok(_) => break true,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock && started.elapsed().as_secs() < 30 => {}
            Err(e) => break e.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    assert!(ended, "a slow request is ended");
    // More connections than allowed per address.
    let crowd: Vec<TcpStream> = (0..150).filter_map(|_| TcpStream::connect(here(http)).ok()).collect();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(socket.ask(json!({ "op": "ping" }))["result"], "pong", "who is in stays in");
    drop(crowd);
    // Invalid messages are answered with an error, and the connection stays open.
    for nonsense in ["", "{", "[]", "7", r#"{"op":7}"#, r#"{"op":"get","path":"\u0000"}"#, r#"{"id":{},"op":"ping"}"#] {
        socket.0.send(tungstenite::Message::text(nonsense)).unwrap();
        let answer = socket.hear().unwrap();
        assert_eq!(answer["ok"], false, "{nonsense}: {answer}");
    }
    let deep = "[".repeat(30_000);
    socket.0.send(tungstenite::Message::text(deep)).unwrap();
    assert_eq!(socket.hear().unwrap()["ok"], false);
    assert!(memory() < before + 8_000, "{before} kB before, {} after", memory());
    std::thread::sleep(Duration::from_millis(300));
    let client = daemon.client();
    let lost = client.status("xruns", 0).as_int().unwrap();
    drop(client);
    daemon.stop();
    // Time that a busy machine takes from the audio thread is counted; there must be no other clicks.
    let clicks = common::Sound::read(&out).clicks(0.02);
    assert!(clicks.len() as i64 <= lost, "{clicks:?}, {lost} underruns");
}

#[test]
fn connections_end_with_a_handshake_and_a_code() {
    let scratch = Scratch::new("closing");
    let http = free_tcp_port();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--http-port", &http.to_string()]);
    for path in ["/api/ws", "/oscquery"] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/closing.py");
        let output = python().args([script, &http.to_string(), path, "65536"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("all of it"), "{path}: {text}\n{}", daemon.log());
    }
    for words in ["closed with 1002", "closed with 1007", "closed with 1009: a message of"] {
        assert!(daemon.log().contains(words), "{words}: {}", daemon.log());
    }
    // JSON in a binary frame is answered with an error, and the connection stays open.
    let mut socket = Socket::connect(http);
    socket.0.send(tungstenite::Message::binary(&br#"{"id": 1, "op": "ping"}"#[..])).unwrap();
    let answer = socket.hear().unwrap();
    assert!(answer["ok"] == false && answer["error"]["message"].as_str().unwrap().contains("text frame"), "{answer}");
    assert_eq!(socket.ask(json!({ "op": "ping" }))["result"], "pong");
    // The daemon stops.
    daemon.signal(15);
    let frame = loop {
        match socket.0.read() {
            Ok(tungstenite::Message::Close(frame)) => break frame.unwrap(),
            Ok(_) => {}
            Err(error) => panic!("no closing frame: {error}"),
        }
    };
    assert_eq!(u16::from(frame.code), 1001);
    daemon.stop();
}

#[test]
fn who_does_not_keep_up_is_told_what_it_missed() {
    let scratch = Scratch::new("gaps");
    let http = free_tcp_port();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--http-port", &http.to_string()]);
    let mut socket = Socket::connect(http);
    let subscribed = socket.ask(json!({ "op": "subscribe", "paths": ["/event/*"] }));
    let from = subscribed["result"]["next_event"].as_u64().unwrap();
    assert_eq!(socket.ask(json!({ "op": "unsubscribe" }))["result"]["ended"], 1);
    // Many more events than are kept: replacing a stem makes two.
    let client = daemon.client();
    scratch.sine("a.wav", 8_000, 1, 440, 0.1);
    for k in 0..2_400 {
        client.send("/load_buffer", vec![common::i(100 + k % 20), common::s("a.wav")]);
        if k % 20 == 19 {
            client.ask("/groove/movement/arms", vec![common::f(0.5)]);
        }
    }
    client.ask("/groove/movement/arms", vec![common::f(0.5)]);
    let next = socket.ask(json!({ "op": "subscribe", "paths": ["/event/*"], "since": from }));
    let next = next["result"]["next_event"].as_u64().unwrap();
    let (mut told, mut missed) = (0, 0);
    while from + missed + told < next {
        // The last events may be beats, which are not pushed; then silence is the end.
        let Some(push) = socket.hear() else { break };
        match push["push"].as_str() {
            Some("gap") => missed += push["missed"].as_u64().unwrap(),
            Some("event") => told += u64::from(push["path"].as_str().unwrap().starts_with("/event/")),
            // Beats are numbered too, but not part of this subscription.
            _ => {}
        }
        if push["push"] == "event" && push["number"].as_u64().unwrap() + 1 >= next {
            break;
        }
    }
    assert!(missed > 2_000, "{missed} missed");
    assert!(told > 1_000, "{told} told");
    daemon.stop();
}
