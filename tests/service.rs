//! Service behaviour: systemd's notification socket, the watchdog, signals, exit codes, flags of the older server.

mod common;

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use common::{Daemon, Scratch, free_port, grooved, i};

/// Starts a daemon with a simulated systemd and a watchdog timeout of one second.
fn supervised(scratch: &Scratch) -> (Daemon, UnixDatagram) {
    let path = scratch.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let port = free_port();
    let mut command = grooved();
    command.current_dir(&scratch.0).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000").args([
        "--port",
        &port.to_string(),
        "--output",
        "null",
    ]);
    (Daemon::spawn(scratch, command, port), socket)
}

/// Returns the notifications received within `seconds`, with their times (in seconds from now).
fn told(socket: &UnixDatagram, seconds: f64) -> Vec<(f64, String)> {
    let start = Instant::now();
    let mut out = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = seconds - start.elapsed().as_secs_f64();
        if left <= 0.0 {
            return out;
        }
        socket.set_read_timeout(Some(Duration::from_secs_f64(left))).unwrap();
        if let Ok(n) = socket.recv(&mut buffer) {
            out.push((start.elapsed().as_secs_f64(), String::from_utf8_lossy(&buffer[..n]).into_owned()));
        }
    }
}

fn meals(told: &[(f64, String)], from: f64, to: f64) -> usize {
    told.iter().filter(|(t, m)| m.contains("WATCHDOG=1") && (from..to).contains(t)).count()
}

#[test]
fn systemd_is_told_everything_from_ready_to_stopping() {
    let scratch = Scratch::new("notify");
    let (daemon, socket) = supervised(&scratch);
    let first = told(&socket, 4.0);
    let text: String = first.iter().map(|(_, m)| format!("{m}\n")).collect();
    assert!(text.contains("READY=1"), "{text}");
    assert!(text.contains("STATUS=") && text.contains("BPM") && text.contains("underruns"), "{text}");
    assert!(meals(&first, 0.0, 4.0) >= 5, "fed: {text}");
    daemon.signal(1);
    let reload: Vec<String> = told(&socket, 0.4).into_iter().map(|(_, m)| m).collect();
    let position = |what: &str| reload.iter().position(|m| m.contains(what));
    assert!(position("RELOADING=1").unwrap() < position("READY=1").unwrap(), "{reload:?}");
    assert!(reload.iter().any(|m| m.contains("MONOTONIC_USEC=")), "{reload:?}");
    daemon.stop();
    assert!(told(&socket, 0.1).iter().any(|(_, m)| m.contains("STOPPING=1")));
}

#[test]
fn a_socket_in_the_abstract_namespace_is_reached() {
    use std::os::linux::net::SocketAddrExt;
    let scratch = Scratch::new("notify-abstract");
    let name = format!("grooved-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let port = free_port();
    let mut command = grooved();
    command.current_dir(&scratch.0).env("NOTIFY_SOCKET", format!("@{name}")).args([
        "--port",
        &port.to_string(),
        "--output",
        "null",
    ]);
    let daemon = Daemon::spawn(&scratch, command, port);
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1\n");
    daemon.stop();
}

#[test]
fn a_stopped_audio_thread_is_not_fed() {
    let scratch = Scratch::new("dog-audio");
    let (daemon, socket) = supervised(&scratch);
    told(&socket, 1.0);
    daemon.client().send("/groove/debug/stall_audio", vec![i(3000)]);
    let heard = told(&socket, 3.0);
    assert_eq!(meals(&heard, 1.1, 2.9), 0, "{heard:?}");
    // The limit is half of the frames due since the last notification: recovery takes as long as the stall.
    let after = told(&socket, 6.0);
    assert!(meals(&after, 0.0, 6.0) >= 2, "it recovers: {after:?}");
    assert!(daemon.log().contains("watchdog: not notified"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_wedged_conductor_is_not_fed_though_the_sound_goes_on() {
    let scratch = Scratch::new("dog-conductor");
    let (daemon, socket) = supervised(&scratch);
    told(&socket, 1.0);
    daemon.client().send("/groove/debug/stall_conductor", vec![i(3000)]);
    let heard = told(&socket, 3.0);
    assert_eq!(meals(&heard, 1.1, 2.9), 0, "{heard:?}");
    assert!(meals(&told(&socket, 2.0), 0.0, 2.0) >= 1, "it recovers");
    assert_eq!(daemon.client().status("xruns", 0), i(0), "the sound went on");
    daemon.stop();
}

#[test]
fn a_starved_output_is_not_fed() {
    let scratch = Scratch::new("dog-starved");
    let (daemon, socket) = supervised(&scratch);
    told(&socket, 1.0);
    // The engine responds now and then, but delivers only a small part of the due frames.
    let client = daemon.client();
    let busy = std::thread::spawn(move || {
        for _ in 0..8 {
            client.send("/groove/debug/stall_audio", vec![i(450)]);
            std::thread::sleep(Duration::from_millis(470));
        }
    });
    let heard = told(&socket, 3.7);
    busy.join().unwrap();
    assert_eq!(meals(&heard, 1.1, 3.6), 0, "{heard:?}");
    assert!(meals(&told(&socket, 6.0), 0.0, 6.0) >= 1, "it recovers");
    daemon.stop();
}

#[test]
fn exit_codes_and_messages_mean_something() {
    let scratch = Scratch::new("codes");
    std::fs::write(scratch.path("bad.toml"), "[output]\n\nbuffer_size = 7\n").unwrap();
    for (args, code, part) in [
        (
            vec!["--config", "bad.toml"],
            78,
            "bad.toml:3: output.buffer_size: 7 is out of range; must be between 16 and 8192",
        ),
        (vec!["--config", "none.toml"], 78, "none.toml: cannot be read"),
        (vec!["check-config", "bad.toml"], 78, "bad.toml:3:"),
        (vec!["--buffer-size", "7"], 64, "--buffer-size: 7 is out of range; must be between 16 and 8192"),
        (vec!["--sample-rate", "22050"], 64, "44100, 48000 or 96000"),
        (vec!["--no-such-flag"], 64, "--no-such-flag"),
        (vec!["--a", "none.wav", "--render", "1", "--output", "wav:x.wav"], 64, "none.wav"),
        (vec!["--render", "3"], 64, "--output wav:PATH"),
        (vec!["--output", "mp3:x"], 64, "card, null or wav:PATH"),
    ] {
        let output = grooved().current_dir(&scratch.0).args(&args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {text}");
    }
    let fine = concat!(env!("CARGO_MANIFEST_DIR"), "/config/grooved.toml");
    assert!(grooved().args(["check-config", fine]).status().unwrap().success());
    assert!(grooved().arg("devices").status().unwrap().success());
    // A port in use: fatal if it is the only one, a warning if it is one of two.
    let taken = std::net::UdpSocket::bind("[::]:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = grooved().current_dir(&scratch.0).args(["--output", "null", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("UDP port {port}")));
}

#[test]
fn the_older_servers_flags_are_accepted() {
    let scratch = Scratch::new("flags");
    for deck in ["a", "b", "c", "d"] {
        scratch.sine(&format!("{deck}.wav"), 44_100, 3, 200, 0.1);
    }
    let daemon = Daemon::start(
        &scratch,
        &[
            "--output",
            "null",
            "--buffer-size",
            "512",
            "--enable-filters",
            "--optimized-filters",
            "--bpm",
            "122.5",
            "--disable-time-stretch",
            "--stretch-method",
            "audiotsm",
            "--a",
            "a.wav",
            "--b",
            "b.wav",
            "--c",
            "c.wav",
            "--d",
            "d.wav",
            "--rate",
            "1.0",
            "--vol",
            "0.5",
            "--ab",
            "0.7",
            "0.3",
            "--meter",
            "3",
            "--watch",
            "--c_at",
            "0.5",
        ],
    );
    let client = daemon.client();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(client.status("players", 0), i(4), "C came at its time");
    assert!((client.status("levels", 0).as_float().unwrap() - 0.7).abs() < 1e-6);
    assert!((client.status("tempo", 0).as_float().unwrap() - 122.5).abs() < 1e-6);
    let log = daemon.log();
    assert!(log.contains("beat 1 (bar 1, 2/3)"), "{log}");
    daemon.stop();
}

#[test]
fn safe_mode_needs_nothing_and_is_heard() {
    let scratch = Scratch::new("safe");
    // State and configuration files in the folder are ignored.
    std::fs::create_dir(scratch.path("state")).unwrap();
    std::fs::write(scratch.path("state/state.json"), "rubbish").unwrap();
    let daemon = Daemon::start(&scratch, &["--safe", "--output", "wav:out.wav"]);
    let client = daemon.client();
    std::thread::sleep(Duration::from_millis(1_800));
    assert!(daemon.log().contains("safe mode") && daemon.log().contains("systemctl reset-failed"), "{}", daemon.log());
    client.quiet("/groove/deck/a/eq/high", vec![common::f(40.0)]);
    assert_eq!(daemon.stop(), 0);
    assert_eq!(std::fs::read_to_string(scratch.path("state/state.json")).unwrap(), "rubbish");
    let sound = common::Sound::read(&scratch.path("out.wav"));
    for hz in [659.26, 440.0] {
        let loudest =
            (0..34).map(|k| sound.tone(hz, 0.05 * f64::from(k), 0.05 * f64::from(k) + 0.1)).fold(0.0, f64::max);
        assert!((0.01..0.1).contains(&loudest), "{hz}: {loudest}");
    }
}

#[test]
fn the_demonstration_plays_until_there_is_a_state() {
    let scratch = Scratch::new("first");
    // Rendering it takes some seconds, once per machine.
    assert!(grooved().arg("make-demo").status().unwrap().success());
    std::fs::write(scratch.path("g.toml"), "[state]\nrestore = true\ndemo = true\nfolder = \"kept\"\nsave_s = 0.05\n")
        .unwrap();
    let start = || Daemon::start(&scratch, &["--output", "null", "--config", "g.toml"]);
    let eight = |daemon: &Daemon| {
        let end = Instant::now() + Duration::from_secs(10);
        while daemon.log().matches(" INFO loaded ").count() < 8 {
            assert!(Instant::now() < end, "{}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let first = start();
    eight(&first);
    first.client().quiet("/groove/tempo", vec![common::f(101.0)]);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(first.stop(), 0);
    // The playing stems are now the state.
    let second = start();
    let tempo = |daemon: &Daemon| daemon.client().status("tempo", 0);
    assert_eq!(tempo(&second), common::f(101.0));
    assert_eq!(second.stop(), 0);
    // An unreadable state is moved aside, and the demonstration set plays.
    std::fs::write(scratch.path("kept/state.json"), "{").unwrap();
    let third = start();
    assert!(third.log().contains("state: cannot read") && third.log().contains("state.json.bad"), "{}", third.log());
    eight(&third);
    assert_eq!(third.stop(), 0);
    assert_eq!(std::fs::read_to_string(scratch.path("kept/state.json.bad")).unwrap(), "{");
}

#[test]
fn a_reload_says_what_it_applied_and_what_waits() {
    let scratch = Scratch::new("reload");
    std::fs::write(scratch.path("g.toml"), "[mixer]\nfilters = true\n").unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml"]);
    let reload = |text: &str, times: usize, words: &str| {
        std::fs::write(scratch.path("g.toml"), text).unwrap();
        daemon.signal(1);
        let end = Instant::now() + Duration::from_secs(10);
        while daemon.log().matches(words).count() < times {
            assert!(Instant::now() < end, "{words}: {}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    reload("[output]\nbuffer_size = 256\n", 1, "restart required for: output.buffer_size");
    // Each reload is logged, even with equal text.
    reload("[media]\nmemory_mb = 99\n", 2, "g.toml applied");
    reload("[media]\nmemory_mb = 98\n", 3, "g.toml applied");
    reload("[media]\nmemory_mb = 0\n", 1, "nothing changed");
    assert_eq!(daemon.log().matches("restart required").count(), 1, "{}", daemon.log());
    daemon.stop();
}
