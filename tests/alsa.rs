//! ALSA without a card: its `null` and `file` plugins, and invalid device names.

mod common;

use std::time::Duration;

use common::{Daemon, Scratch, f, i, p};

#[test]
fn alsas_null_is_paced_by_the_clock_and_said_so() {
    let scratch = Scratch::new("alsa-null");
    let daemon = Daemon::start(&scratch, &["--device", "null", "--buffer-size", "256"]);
    let client = daemon.client();
    std::thread::sleep(Duration::from_millis(600));
    let clock = |client: &common::Client| {
        let answers = client.ask("/get_status", vec![]);
        let clock = answers.iter().find(|m| m.address == "/status/clock").unwrap();
        (clock.args[0].as_float().unwrap(), clock.args[1].as_float().unwrap())
    };
    assert_eq!(client.status("output", 0), common::s("card"));
    let (frames0, ns0) = clock(&client);
    std::thread::sleep(Duration::from_millis(1500));
    let (frames1, ns1) = clock(&client);
    let off = (frames1 - frames0) - (ns1 - ns0) * 48e-6;
    assert!(off.abs() <= 2.0 * 256.0, "{off} frames off");
    assert!(daemon.log().contains("does not block at its sample rate"), "{}", daemon.log());
    assert_eq!(client.status("xruns", 0), i(0));
    daemon.stop();
}

#[test]
fn what_is_played_arrives_in_alsas_file_bit_by_bit() {
    let scratch = Scratch::new("alsa-file");
    let raw = scratch.path("out.raw");
    let ramp = scratch.wav("ramp.wav", 48_000, 48_000, |k| ((k % 1000) as f32 / 4096.0, -((k % 1000) as f32) / 4096.0));
    let device = format!("file:FILE={},FORMAT=raw", raw.display());
    let daemon = Daemon::start(&scratch, &["--device", &device, "--buffer-size", "512"]);
    let client = daemon.client();
    client.done("/groove/stem/load", vec![i(100), p(&ramp)]);
    client.quiet("/groove/master", vec![f(1.0)]);
    client.done("/groove/stem/play", vec![i(100), f(1.0), f(1.0), i(0)]);
    std::thread::sleep(Duration::from_millis(1300));
    assert!(daemon.log().contains("S32_LE"), "{}", daemon.log());
    daemon.stop();
    let bytes = std::fs::read(&raw).unwrap();
    let frames: Vec<(i32, i32)> = bytes
        .chunks_exact(8)
        .map(|b| (i32::from_le_bytes(b[..4].try_into().unwrap()), i32::from_le_bytes(b[4..].try_into().unwrap())))
        .collect();
    // The ramp's second frame is the first that is not zero.
    let start = frames.iter().position(|f| f.0 != 0).expect("sound in the file");
    for k in 1..40_000i64 {
        let wanted = (k % 1000) << 19;
        let got = frames[start + k as usize - 1];
        assert_eq!((i64::from(got.0), i64::from(got.1)), (wanted, -wanted), "frame {k}");
    }
}

#[test]
fn a_device_that_is_not_there_is_no_reason_not_to_start() {
    let scratch = Scratch::new("alsa-missing");
    let daemon = Daemon::start(&scratch, &["--device", "hw:CARD=Nobody,DEV=0"]);
    let client = daemon.client();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(client.status("output", 0), common::s("silent"));
    assert!(client.status("clock", 0).as_float().unwrap() > 10_000.0, "time goes on");
    let log = daemon.log();
    assert!(log.contains("hw:CARD=Nobody") && log.contains("grooved devices"), "{log}");
    assert_eq!(log.matches("Nobody").count(), 1, "said once: {log}");
    daemon.stop();
}

#[test]
fn libasound_writes_nothing_itself_while_there_is_no_card() {
    let scratch = Scratch::new("alsa-quiet");
    for args in [&[][..], &["--device", "hw:CARD=nobody"]] {
        let daemon = Daemon::start(&scratch, args);
        std::thread::sleep(Duration::from_millis(2_500));
        let log = daemon.log();
        assert!(!log.contains("ALSA lib"), "{log}");
        daemon.stop();
    }
    let listed = common::grooved().arg("devices").output().unwrap();
    assert!(!String::from_utf8_lossy(&listed.stderr).contains("ALSA lib"));
}
