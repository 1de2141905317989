//! Hostile and careless clients: a single packet, socket or file must not affect other clients.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{Daemon, Scratch, Socket, Sound, f, free_tcp_port, i, s};
use grooved::control::commands::packet;
use grooved::control::commands::request::Message;
use grooved::control::commands::value::Value;
use serde_json::json;

/// An OSC string: zero-terminated and padded to four bytes.
fn string(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(text.len() / 4 * 4 + 4, 0);
    bytes
}

/// An OSC message without arguments.
fn bare(address: &str, tag: &str) -> Vec<u8> {
    [string(address), string(tag)].concat()
}

fn bundle(message: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
    for _ in 0..count {
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend(message);
    }
    bytes
}

#[test]
fn single_packets_stop_nothing() {
    let scratch = Scratch::new("attack-packets");
    scratch.sine("a.wav", 48_000, 10, 440, 0.2);
    let daemon = Daemon::start(&scratch, &["--output", "wav:out.wav"]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), s("a.wav")]);
    client.done("/play_stem", vec![i(100), f(1.0), f(0.8), i(1)]);
    let (open, close) = ("[".repeat(15_000), "]".repeat(15_000));
    // Nested schedules, as deep as a packet allows.
    let levels = 3_000;
    let nested: Vec<Value> =
        (0..levels).flat_map(|_| [i(0), s("/groove/at")]).chain([i(0), s("/groove/tempo"), f(120.0)]).collect();
    let packets = [
        bare(&format!("/{close}"), &format!(",{open}{close}")),
        bare("/x", &format!(",{open}")),
        bundle(&bare("/groove/*/*/*", ","), 2_000),
        bundle(&bare("/groove/*/*/*", ","), 8),
        bundle(&bare("/groove/voice/*/*", ","), 8),
        bundle(&bare("/nothing/like/this", ","), 1_000),
        bare(&format!("/{{{}}}", vec!["a"; 10_000].join(",")), ","),
        packet::encode(&[Message::new("/groove/at", nested)]).unwrap(),
        bare(&format!("/{}", "y".repeat(60_000)), ","),
    ];
    let attacker = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in &packets {
        assert!(packet.len() < 65_507);
        attacker.send_to(packet, ("127.0.0.1", daemon.port)).unwrap();
        // A regular client is answered after each of them.
        client.quiet("/groove/tempo", vec![f(121.0)]);
    }
    for _ in 0..200 {
        attacker.send_to(&packets[3], ("127.0.0.1", daemon.port)).unwrap();
    }
    client.quiet("/groove/tempo", vec![f(122.0)]);
    let log = daemon.log();
    assert!(log.len() < 100_000, "{} bytes of log", log.len());
    daemon.stop();
    let sound = Sound::read(&scratch.path("out.wav"));
    assert!(sound.longest_gap() < 0.001, "{} s of silence", sound.longest_gap());
}

#[test]
fn a_subscriber_that_is_gone_is_forgotten_and_others_are_answered() {
    let scratch = Scratch::new("attack-gone");
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    for _ in 0..5 {
        let phone = daemon.client();
        phone.send("/groove/subscribe", vec![s("all"), f(60.0), f(3_600.0)]);
        phone.next(Duration::from_secs(5)).unwrap();
    }
    for k in 0..50 {
        client.send("/sync", vec![i(k)]);
        let answer = client.next(Duration::from_secs(10)).unwrap_or_else(|| panic!("{k}:\n{}", daemon.log()));
        assert_eq!(answer[0], Message::new("/synced", vec![i(k)]));
        std::thread::sleep(Duration::from_millis(5));
    }
    // Replies arrive for all of them.
    for _ in 0..100 {
        if daemon.log().matches("its subscriptions have ended").count() == 5 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = daemon.log();
    assert_eq!(log.matches("its subscriptions have ended").count(), 5, "{log}");
}

#[test]
fn answers_that_are_too_long_for_a_packet_come_in_several_or_are_refused_in_words() {
    let scratch = Scratch::new("attack-long");
    scratch.sine("a.wav", 8_000, 1, 440, 0.2);
    let config = "[media]\nmax_stems = 300\n";
    std::fs::write(scratch.path("g.toml"), config).unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml"]);
    let client = daemon.client();
    let name = "\u{1f3b5}".repeat(200);
    for k in 0..280 {
        client.send("/load_buffer", vec![i(100 + k), s("a.wav"), s(&name)]);
        if k % 20 == 19 {
            client.ask("/groove/get", vec![s("/groove/master")]);
        }
    }
    client.ask("/groove/get", vec![s("/groove/master")]);
    let status = client.ask("/get_status", vec![]);
    let buffers = status.iter().filter(|m| m.address == "/status/buffer").count();
    assert_eq!(buffers, 280, "all of them are told, in several packets");
    let echo = "z".repeat(64_900);
    let answers = client.ask("/sync", vec![s(&echo)]);
    assert!(answers.iter().any(|m| m.address == "/synced" && m.args[0].as_text().len() == 64_900));
}

/// Returns the resident memory of a process in MB.
fn resident(daemon: &Daemon) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", daemon.child.id())).unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0 / 1e6
}

#[test]
fn clients_that_ask_for_much_and_read_nothing_take_no_more_than_their_share() {
    let scratch = Scratch::new("attack-memory");
    let http = free_tcp_port();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--http-port", &http.to_string()]);
    let client = daemon.client();
    let before = resident(&daemon);
    let mut sockets: Vec<Socket> = (0..60).map(|_| Socket::connect(http)).collect();
    for socket in &mut sockets {
        for k in 0..250 {
            socket.say(json!({ "id": k, "op": "call", "path": "/groove/list" }));
        }
    }
    let mut peak: f64 = 0.0;
    for _ in 0..30 {
        client.quiet("/groove/tempo", vec![f(120.0)]);
        peak = peak.max(resident(&daemon));
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("60 clients that read nothing: {before:.0} MB before, {peak:.0} MB at most");
    assert!(peak < before + 100.0, "{before} MB before, {peak} MB at most");
    drop(sockets);
    // Bundles of 60 kB each, scheduled an hour ahead.
    let big = packet::encode(&[Message::new("/x", vec![s("A".repeat(60_000).as_str())])]).unwrap();
    let mut tagged = b"#bundle\0".to_vec();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    tagged.extend(((now + 2_208_988_800 + 3_000) as u32).to_be_bytes());
    tagged.extend([0; 4]);
    tagged.extend((big.len() as u32).to_be_bytes());
    tagged.extend(&big);
    let attacker = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = resident(&daemon);
    for k in 0..2_000 {
        attacker.send_to(&tagged, ("127.0.0.1", daemon.port)).unwrap();
        if k % 50 == 49 {
            client.ask("/groove/get", vec![s("/groove/master")]);
        }
    }
    let after = resident(&daemon);
    println!("2000 bundles of 60 kB: {before:.0} MB before, {after:.0} MB after");
    assert!(after < before + 40.0, "{before} MB before, {after} MB after");
}
