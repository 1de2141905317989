//! Messages of the older servers' clients that those servers tolerated.

mod common;

use std::time::{Duration, Instant};

use common::{Daemon, Scratch, f, grooved, i, p, s};

fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Waits for words in the log; returns the number of lines that contain them.
fn lines(daemon: &Daemon, words: &str) -> usize {
    let end = Instant::now() + Duration::from_secs(10);
    while !daemon.log().contains(words) {
        assert!(Instant::now() < end, "{words:?} is not in the log:\n{}", daemon.log());
        sleep(0.02);
    }
    daemon.log().lines().filter(|l| l.contains(words)).count()
}

fn near(value: &grooved::control::commands::value::Value, wanted: f64) -> bool {
    (value.as_float().unwrap() - wanted).abs() < 1e-6
}

#[test]
fn numbers_out_of_range_are_clamped_and_logged_once() {
    let scratch = Scratch::new("clamped");
    let tone = scratch.sine("tone.wav", 44_100, 5, 100, 0.1);
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), p(&tone)]);
    client.done("/play_stem", vec![i(100), f(9.0), f(9.0), i(1), f(-0.5)]);
    sleep(0.1);
    assert!(near(&client.status("player", 4), 4.0) && near(&client.status("player", 5), 4.0));
    client.done("/play_stem", vec![i(100), f(0.0), f(-3.2e-16)]);
    sleep(0.1);
    assert!(near(&client.status("player", 4), 0.0) && near(&client.status("player", 5), 0.25));
    // Rounding in the older clients' fades ends slightly below zero.
    let mut level = 1.0f64;
    for _ in 0..20 {
        level -= 0.05;
        client.quiet("/deck_levels", vec![f(level), f(1.0 - level)]);
    }
    assert!(level < 0.0);
    assert!(near(&client.status("levels", 0), 0.0) && near(&client.status("levels", 1), 1.0));
    client.quiet("/crossfade_levels", vec![f(-1e-9), f(4.5)]);
    assert!(near(&client.status("levels", 0), 0.0) && near(&client.status("levels", 1), 4.0));
    client.quiet("/stem_volume", vec![i(100), f(-1e-17)]);
    client.quiet("/set_tempo", vec![f(1e9)]);
    client.quiet("/set_meter", vec![i(0)]);
    client.done("/fade", vec![s("b"), f(-3.0), f(-1.0)]);
    assert!(near(&client.status("levels", 1), 0.0));
    sleep(0.2);
    assert!(near(&client.status("tempo", 0), 400.0));
    for words in [
        "/play_stem: rate 9 is outside 0.25 to 4; using 4",
        "/play_stem: volume",
        "/play_stem: start_pos -0.5",
        "/deck_levels: a -0.00000000000000",
        "/crossfade_levels: a",
        "/stem_volume: volume",
        "/set_tempo: bpm 1000000000",
        "/set_meter: beats_per_bar",
        "/fade: start_at",
    ] {
        assert_eq!(lines(&daemon, words), 1, "{words}: {}", daemon.log());
    }
    // Our own addresses are strict, and report every error.
    for (address, args) in [
        ("/groove/stem/play", vec![i(100), f(9.0)]),
        ("/groove/deck/a/level", vec![f(-3.2e-16)]),
        ("/groove/stem/volume", vec![i(100), f(5.0)]),
        ("/groove/tempo", vec![f(1e9)]),
        ("/groove/start", vec![f(-1.0), s("a")]),
        ("/groove/meter", vec![i(0)]),
    ] {
        client.fails(address, args);
    }
    // Arguments that are not numbers are rejected everywhere.
    assert!(client.fails("/deck_levels", vec![f(f64::NAN)]).contains("argument 'a'"));
    daemon.stop();
}

#[test]
fn a_start_above_one_is_in_seconds() {
    let scratch = Scratch::new("seconds");
    let tone = scratch.sine("tone.wav", 44_100, 20, 100, 0.1);
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    // As stem_mixer_smart starts a section, before and after the file is loaded.
    client.send("/load_buffer", vec![i(100), p(&tone)]);
    client.done("/play_stem", vec![i(100), f(1.0), f(0.7), i(1), f(10.0)]);
    client.done("/load_buffer", vec![i(101), p(&tone)]);
    client.done("/play_stem", vec![i(101), f(1.0), f(0.7), i(1), f(0.25)]);
    client.done("/load_buffer", vec![i(102), p(&tone)]);
    // A position beyond the end wraps around as in a loop.
    client.done("/play_stem", vec![i(102), f(1.0), f(0.7), i(1), f(32.0)]);
    client.done("/cue", vec![s("b"), p(&tone), f(7.5)]);
    client.send("/start_group", vec![f(0.0), s("b")]);
    sleep(0.3);
    let answers = client.ask("/get_status", vec![]);
    for (id, from) in [(100, 10.0), (101, 5.0), (102, 12.0), (1100, 7.5)] {
        let player = answers.iter().find(|m| m.address == "/status/player" && m.args[0] == i(id)).unwrap();
        let position = player.args[3].as_float().unwrap();
        assert!((from..from + 4.0).contains(&position), "{id}: {position}, not {from}");
    }
    assert_eq!(lines(&daemon, "/play_stem: start_pos 10 is above 1 and is taken as seconds"), 1);
    assert_eq!(daemon.log().matches("start_pos").count(), 2, "{}", daemon.log());
    assert!(client.fails("/groove/stem/play", vec![i(100), f(1.0), f(0.7), i(1), f(10.0)]).contains("0 to 1"));
    daemon.stop();
}

#[test]
fn a_group_starts_the_decks_there_are() {
    let scratch = Scratch::new("group");
    let tone = scratch.sine("tone.wav", 44_100, 5, 100, 0.1);
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    client.done("/cue", vec![s("a"), p(&tone)]);
    client.done("/cue", vec![s("c"), p(&tone)]);
    let why = client.fails("/start_group", vec![f(-2.0), s("a"), s("e"), s("c")]);
    assert!(why.contains("\"e\"") && why.contains("the others are started"), "{why}");
    sleep(0.3);
    assert_eq!(client.status("players", 0), i(2));
    assert_eq!(lines(&daemon, "/start_group: start_at -2 is outside"), 1);
    assert!(client.fails("/start_group", vec![s("x"), s("y")]).contains("not a deck"));
    // A time in the past means now.
    client.done("/play", vec![s("b"), p(&tone), f(-5.0)]);
    sleep(0.3);
    assert_eq!(client.status("players", 0), i(3));
    daemon.stop();
}

#[test]
fn the_equaliser_of_the_older_addresses_is_off_unless_it_is_asked_for() {
    let scratch = Scratch::new("filters");
    let kill = |client: &common::Client| {
        client.quiet("/deck_eq_all", vec![s("a"), f(0.0), f(10.0), f(0.0)]);
        client.quiet("/deck_eq", vec![s("b"), s("low"), f(0.0)]);
        client.quiet("/deck_filter", vec![s("c"), s("high"), f(0.0)]);
    };
    let gain = |client: &common::Client, address: &str| {
        client.ask("/groove/get", vec![s(format!("/groove/deck/{address}"))])[0].args[0].as_float().unwrap()
    };
    for flags in [&[][..], &["--disable-filters"], &["--enable-filters", "--disable-filters"]] {
        let daemon = Daemon::start(&scratch, &[flags, &["--output", "null"]].concat());
        let client = daemon.client();
        kill(&client);
        kill(&client);
        for address in ["a/gain/low", "a/gain/mid", "b/gain/low", "c/gain/high"] {
            assert_eq!(gain(&client, address), 1.0, "{flags:?} {address}");
        }
        assert_eq!(lines(&daemon, "/deck_eq_all is ignored"), 1);
        assert_eq!(daemon.log().matches("filters are off").count(), 1);
        assert_eq!(daemon.log().contains("--disable-filters: /deck_eq"), !flags.is_empty(), "{}", daemon.log());
        // Our own address always takes effect.
        client.quiet("/groove/deck/a/eq/low", vec![f(0.0)]);
        assert_eq!(gain(&client, "a/gain/low"), 0.0);
        daemon.stop();
    }
    std::fs::write(scratch.path("g.toml"), "[mixer]\nfilters = true\n").unwrap();
    for flags in [["--enable-filters", "--optimized-filters"], ["--config", "g.toml"]] {
        let daemon = Daemon::start(&scratch, &[&flags[..], &["--output", "null"]].concat());
        let client = daemon.client();
        kill(&client);
        let gains = ["a/gain/low", "a/gain/mid", "b/gain/low", "c/gain/high"].map(|a| gain(&client, a));
        assert!(gains[0] == 0.0 && (gains[1] - 0.110).abs() < 1e-3 && gains[2..] == [0.0, 0.0], "{gains:?}");
        daemon.stop();
    }
}

#[test]
fn addresses_without_an_effect_are_ignored_and_status_is_logged() {
    let scratch = Scratch::new("ignored");
    let tone = scratch.sine("tone.wav", 44_100, 5, 100, 0.1);
    let daemon = Daemon::start(&scratch, &["--output", "null", "--watch"]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), p(&tone)]);
    client.done("/play_stem", vec![i(100)]);
    for _ in 0..3 {
        client.quiet("/memory_cleanup", vec![]);
        client.quiet("/play_sound", vec![s("drums"), s("x.wav"), f(0.5)]);
        client.quiet("/stop_all", vec![]);
    }
    for words in ["/memory_cleanup is ignored", "/play_sound is ignored", "/stop_all is ignored"] {
        assert_eq!(lines(&daemon, words), 1, "{words}");
    }
    sleep(0.1);
    assert_eq!(client.status("players", 0), i(1), "nothing was stopped");
    assert!(!daemon.log().contains("at 0.00 BPM"), "{}", daemon.log());
    assert!(daemon.log().contains("at 120.00 BPM"), "{}", daemon.log());
    let status = "status: sample rate 48000 Hz, tempo 120.0 BPM, beat ";
    assert!(lines(&daemon, status) >= 1);
    assert!(daemon.log().contains("buffers loaded 1, active players 1, deck levels A 1.00 B 1.00 C 1.00 D 1.00"));
    // Many requests log few lines.
    for _ in 0..200 {
        client.send("/get_status", vec![]);
    }
    sleep(0.3);
    assert!(lines(&daemon, status) <= 4, "{}", daemon.log());
    daemon.stop();
}

#[test]
fn wrong_flags_of_the_older_server_do_not_keep_it_from_starting() {
    let scratch = Scratch::new("wrong-flags");
    scratch.sine("b.wav", 44_100, 5, 100, 0.1);
    std::fs::write(
        scratch.path("bpm.json"),
        r#"{"movement_bpm": {"movement_max_value": 0.5, "bpm_targets": {"high_max": 140},
            "smoothing": {"transition_time_seconds": 5}}}"#,
    )
    .unwrap();
    let base = ["--output", "null", "--a", "none.wav", "--b", "b.wav", "--rate", "9", "--vol", "-0.1"];
    let more = ["--c_at", "1", "--c_preload", "none.wav", "--bpm-config"];
    let daemon = Daemon::start(&scratch, &[&base[..], &more, &["bpm.json"]].concat());
    let client = daemon.client();
    sleep(0.3);
    assert_eq!(client.status("players", 0), i(1), "the deck that has a file plays");
    assert!(near(&client.status("player", 5), 4.0) && near(&client.status("player", 4), 0.0));
    for words in ["none.wav' does not exist: its deck stays empty", "--rate: 9 is outside", "--vol: -0.1"] {
        assert!(lines(&daemon, words) >= 1, "{words}");
    }
    assert!(!daemon.log().contains("/groove/stem/play"), "nothing is asked of a deck without a file: {}", daemon.log());
    client.quiet("/dance/total_movement", vec![f(0.5)]);
    sleep(0.1);
    assert!(near(&client.status("movement", 2), 140.0), "the table is the file's");
    daemon.stop();

    for (file, why) in [("none.json", "cannot be read"), ("b.wav", "")] {
        let daemon = Daemon::start(&scratch, &["--output", "null", "--bpm-config", file]);
        let client = daemon.client();
        assert_eq!(lines(&daemon, &format!("--bpm-config: file '{file}' {why}")), 1);
        client.quiet("/dance/total_movement", vec![f(0.5)]);
        sleep(0.1);
        assert!(client.status("movement", 2).as_float().unwrap() < 131.0, "the built-in table is used");
        daemon.stop();
    }

    let run = |args: &[&str]| {
        let output = grooved().current_dir(&scratch.0).args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = run(&["--cli-sentinel", "--port", "57122", "--a", "none.wav"]);
    assert!(code == Some(0) && said.contains("nothing started"), "{said}");
    let (code, said) = run(&["--vol", "nan"]);
    assert!(code == Some(64) && said.contains("--vol"), "{said}");
    let (code, said) = run(&["--host", "no such host"]);
    assert!(code == Some(64) && said.contains("--host: 'no such host'"), "{said}");
    // A render without its files fails.
    let (code, said) = run(&["--a", "none.wav", "--render", "1", "--output", "wav:x.wav"]);
    assert!(code == Some(64) && said.contains("none.wav"), "{said}");
}

#[test]
fn the_line_the_older_launchers_wait_for_comes_when_it_is_ready() {
    use std::io::{BufRead, BufReader};
    let scratch = Scratch::new("ready");
    let port = common::free_port();
    let mut child = grooved()
        .current_dir(&scratch.0)
        .args(["--output", "null", "--http-port", "0", "--ddsp-listen", "off", "--host", "localhost"])
        .args(["--port", &port.to_string()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "PYTHON AUDIO SERVER READY\n");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(b"/sync\0\0\0,\0\0\0", ("127.0.0.1", port)).unwrap();
    let answered = socket.recv(&mut [0; 64]).is_ok();
    // OSC is bound to the address of --host only.
    let elsewhere = std::net::UdpSocket::bind(("127.0.0.2", port)).is_ok();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answered && elsewhere);
}

#[test]
fn a_dashboard_is_told_the_tempo_whoever_moves_it() {
    let scratch = Scratch::new("dashboard");
    let dashboard = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = dashboard.local_addr().unwrap().port();
    let text = format!("[osc]\ndashboard = \"localhost:{port}\"\n[movement]\nglide_s = 2.0\nwindow_s = 0.0\n");
    std::fs::write(scratch.path("g.toml"), text).unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml"]);
    // Receives tempos until none arrives for a second.
    let told = || {
        dashboard.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut buffer = [0; 256];
        let mut values = Vec::new();
        while let Ok(length) = dashboard.recv(&mut buffer) {
            let messages = grooved::control::commands::packet::messages(&buffer[..length]).unwrap();
            assert!(messages.len() == 1 && messages[0].address == "/audio/bpm", "{messages:?}");
            values.push(messages[0].args[0].as_float().unwrap());
        }
        values
    };
    assert_eq!(told(), [120.0], "at first");
    let client = daemon.client();
    client.quiet("/groove/tempo", vec![f(126.0), f(2.0)]);
    let hand = told();
    assert!(hand.is_sorted() && (5..=25).contains(&hand.len()) && hand.last() == Some(&126.0), "{hand:?}");
    client.quiet("/set_tempo", vec![f(120.0)]);
    let older = told();
    assert!(older.last() == Some(&120.0), "{older:?}");
    client.quiet("/dance/total_movement", vec![f(0.6)]);
    let crowd = told();
    assert!(crowd.is_sorted() && (5..=25).contains(&crowd.len()) && crowd.last() == Some(&130.0), "{crowd:?}");
    daemon.stop();

    // An unresolvable name does not delay the daemon.
    std::fs::write(scratch.path("g.toml"), "[osc]\ndashboard = \"no-such-host.invalid:5005\"\n").unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml"]);
    assert_eq!(lines(&daemon, "dashboard: cannot resolve 'no-such-host.invalid' (osc.dashboard)"), 1);
    daemon.client().done("/test_tone", vec![]);
    daemon.stop();
}
