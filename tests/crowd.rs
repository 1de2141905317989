//! Many clients, one of which never reads, and a flood of OSC must not affect the sound. Run by `make test-crowd`.

mod common;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::{Daemon, Scratch, Socket, Sound, f, free_tcp_port, i, p, s};
use grooved::control::commands::packet;
use grooved::control::commands::request::Message;
use serde_json::json;

const SUBSCRIBERS: usize = 50;
const PER_SECOND: u64 = 10_000;

fn metric(port: u16, name: &str) -> f64 {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
#[ignore = "takes more than a minute; make test-crowd"]
fn fifty_subscribers_and_ten_thousand_messages_a_second() {
    let seconds: u64 = std::env::var("CROWD_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    let scratch = Scratch::new("crowd");
    let tone = scratch.sine("tone.wav", 48_000, 20, 440, 0.2);
    let out = scratch.path("out.wav");
    let http = free_tcp_port();
    let daemon =
        Daemon::start(&scratch, &["--output", &format!("wav:{}", out.display()), "--http-port", &http.to_string()]);
    let client = daemon.client();
    for id in [100, 1100] {
        client.done("/load_buffer", vec![i(id), p(&tone), s("tone")]);
        client.done("/play_stem", vec![i(id), f(1.0), f(0.5)]);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let pushes = Arc::new(AtomicU64::new(0));
    let gaps = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for k in 0..SUBSCRIBERS {
        let (stop, pushes, gaps) = (stop.clone(), pushes.clone(), gaps.clone());
        let mut socket = Socket::connect(http);
        threads.push(std::thread::spawn(move || {
            socket.say(json!({ "id": 1, "op": "subscribe", "paths": ["*"], "rate": 20 }));
            if k == 0 {
                // This one never reads.
                while !stop.load(Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return;
            }
            while !stop.load(Relaxed) {
                let Some(push) = socket.hear() else { panic!("subscriber {k} was let go") };
                pushes.fetch_add(1, Relaxed);
                gaps.fetch_add(push["missed"].as_u64().unwrap_or(0), Relaxed);
            }
        }));
    }
    std::thread::sleep(Duration::from_secs(2));
    let resident = || metric(http, "grooved_resident_bytes");
    let before = (resident(), metric(http, "grooved_messages_total{face=\"osc\"}"));

    // The flood: a fifth are controls, the rest are movement values.
    let flood = UdpSocket::bind("127.0.0.1:0").unwrap();
    flood.connect(("127.0.0.1", daemon.port)).unwrap();
    let start = Instant::now();
    let mut sent = 0u64;
    let (mut middle, mut stalled) = (0.0, false);
    while start.elapsed() < Duration::from_secs(seconds) {
        let due = (start.elapsed().as_secs_f64() * PER_SECOND as f64) as u64;
        while sent < due {
            let value = f((sent % 1000) as f64 / 1000.0);
            let message = match sent % 5 {
                0 => Message::new("/groove/deck/b/level", vec![value]),
                _ => Message::new("/groove/movement/arms", vec![value]),
            };
            if flood.send(&packet::encode(&[message]).unwrap()).is_ok() {
                sent += 1;
            }
        }
        if !stalled && start.elapsed() > Duration::from_secs(seconds / 3) {
            // Nobody receives for four seconds: packets are lost, and must be counted.
            stalled = true;
            let stall = Message::new("/groove/debug/stall_conductor", vec![i(4_000)]);
            sent += u64::from(flood.send(&packet::encode(&[stall]).unwrap()).is_ok());
        }
        if middle == 0.0 && start.elapsed() > Duration::from_secs(seconds / 2) {
            middle = resident();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_secs(1));
    let after = (resident(), metric(http, "grooved_messages_total{face=\"osc\"}"));
    let drops = metric(http, "grooved_osc_kernel_drops_total");
    let starved = metric(http, "grooved_starved_sources_total");
    let xruns: f64 =
        ["late", "slow", "device"].iter().map(|c| metric(http, &format!("grooved_xruns_total{{cause=\"{c}\"}}"))).sum();
    stop.store(true, Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    daemon.stop();
    println!(
        "{sent} OSC messages in {seconds} s: {:.0} counted by the daemon, {drops} dropped by the kernel; {} pushes read by {} \
         subscribers, {} events announced as missed; resident {:.1} MB before, {:.1} in the middle, {:.1} after; {starved} \
         starved, {xruns} underruns",
        after.1 - before.1,
        pushes.load(Relaxed),
        SUBSCRIBERS - 1,
        gaps.load(Relaxed),
        before.0 / 1e6,
        middle / 1e6,
        after.0 / 1e6
    );
    assert_eq!(sent as f64, after.1 - before.1 + drops, "every message is counted somewhere");
    assert!(drops > 0.0, "the time without a conductor was felt");
    assert_eq!((starved, xruns), (0.0, 0.0));
    assert!(after.0 < middle + 2e6, "memory is flat");
    let sound = Sound::read(&out);
    assert!(sound.longest_gap() < 0.001, "{} s of silence", sound.longest_gap());
}
