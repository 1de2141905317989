//! The audio thread's memory stays resident under memory pressure.

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::{Daemon, Scratch, f, i, p, s};

fn proc_of(daemon: &Daemon) -> PathBuf {
    format!("/proc/{}", daemon.child.id()).into()
}

/// Returns the page faults of the audio thread so far: (minor, major).
fn faults(daemon: &Daemon) -> (u64, u64) {
    for task in std::fs::read_dir(proc_of(daemon).join("task")).unwrap().flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap();
        let (name, rest) = stat.rsplit_once(')').unwrap();
        if name.ends_with("(audio") {
            let fields: Vec<u64> = rest.split_whitespace().skip(7).take(3).map(|v| v.parse().unwrap()).collect();
            return (fields[0], fields[2]);
        }
    }
    panic!("no audio thread");
}

/// Returns the locked memory in kB.
fn locked_kb(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(proc_of(daemon).join("status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmLck:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_audio_thread_faults_no_page_when_memory_is_short() {
    let scratch = Scratch::new("memory");
    let long = scratch.sine("long.wav", 44_100, 30, 441, 0.2);
    std::fs::write(scratch.path("g.toml"), "[record]\nfolder = \"tapes\"\nkeep_free_mb = 1\n").unwrap();
    let daemon = Daemon::start(&scratch, &["--enable-filters", "--output", "null", "--config", "g.toml"]);
    let client = daemon.client();
    // From the first block on: memory used for the first time must have been allocated and touched before.
    let (mut calm, before) = (faults(&daemon), locked_kb(&daemon));
    for id in 100..108 {
        client.done("/load_buffer", vec![i(id), p(&long), s("long")]);
        client.done("/play_stem", vec![i(id), f(1.0 + f64::from(id as i32 - 100) * 0.01)]);
    }
    client.quiet("/deck_eq_all", vec![s("a"), f(20.0), f(60.0), f(80.0)]);
    client.done("/groove/record/start", vec![s("tape"), i(1)]);
    std::thread::sleep(Duration::from_millis(500));
    if daemon.log().contains("LimitMEMLOCK") {
        eprintln!("this user may lock no memory: only a quiet machine is looked at");
        calm = faults(&daemon);
    } else {
        // Two streams of half a megabyte each, and the preloaded head.
        let grown = locked_kb(&daemon) - before;
        assert!(grown > 8 * 1_000, "eight stems locked {grown} kB");
        client.done("/groove/debug/page_out", vec![]);
    }
    for round in 0..6 {
        if !daemon.log().contains("LimitMEMLOCK") {
            client.done("/groove/debug/page_out", vec![]);
        }
        // Rare operations: seeks, rates, equalisers, a load, a removal.
        for id in 100..108 {
            client.done("/groove/stem/seek", vec![i(id), f(0.1 * f64::from(round))]);
            client.quiet("/groove/stem/rate", vec![i(id), f(1.0 + 0.01 * f64::from(round))]);
        }
        client.done("/load_buffer", vec![i(1100), p(&long), s("more")]);
        client.done("/play_stem", vec![i(1100)]);
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(faults(&daemon), calm, "(minor, major)");
    assert_eq!(client.status("faults", 0), i(0), "starved");
    assert_eq!(client.status("record", 0), s("on"));
    client.done("/groove/record/stop", vec![]);
    daemon.stop();
}

#[test]
fn the_audio_thread_faults_no_page_while_it_stretches() {
    let scratch = Scratch::new("memory-hq");
    let long = scratch.sine("long.wav", 44_100, 30, 441, 0.2);
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    let mut calm = faults(&daemon);
    // A stretch kit added at run time.
    client.quiet("/groove/deck/a/stretch", vec![s("hq")]);
    for id in 100..104 {
        client.done("/load_buffer", vec![i(id), p(&long), s("long")]);
        client.done("/play_stem", vec![i(id), f(1.0)]);
    }
    client.quiet("/set_tempo", vec![f(126.0)]);
    std::thread::sleep(Duration::from_millis(1_000));
    let may_lock = !daemon.log().contains("LimitMEMLOCK");
    match may_lock {
        true => client.done("/groove/debug/page_out", vec![]),
        false => calm = faults(&daemon),
    }
    for round in 0..6 {
        if may_lock {
            client.done("/groove/debug/page_out", vec![]);
        }
        for id in 100..104 {
            client.done("/groove/stem/seek", vec![i(id), f(0.1 * f64::from(round))]);
        }
        // Two rates need two splicing plans and two stretch overlays.
        client.quiet("/groove/stem/rate", vec![i(100), f(1.0 + 0.05 * f64::from(round % 2))]);
        client.quiet("/set_tempo", vec![f(120.0 + 3.0 * f64::from(round))]);
        std::thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(faults(&daemon), calm, "(minor, major)");
    daemon.stop();
}
