//! Sets that a daemon plays: what is added meanwhile, what was played, and who stops it.

use std::process::Command;
use std::time::Duration;

use super::heard::assert_begin;
use super::run::{
    Running, Told, await_part, await_state, listed, live, load, page, played, played_files, status, usual, wait_for,
};
use super::tables::{files, head, replace, short, table, tick};
use crate::common::{Daemon, Scratch, Sound, free_port, grooved, i};

/// A client that lets a daemon play a table.
fn client_of(scratch: &Scratch, daemon: &Daemon, args: &[&str]) -> Running {
    let mut command = grooved();
    command.current_dir(&scratch.0).args(["play-set", "set.csv", "--host", "127.0.0.1"]);
    command.args(["--port", &daemon.port.to_string(), "--playlist-out", "list.csv"]).args(args);
    Running::start(scratch, command)
}

#[test]
fn rows_that_are_added_while_it_plays_are_played() {
    let scratch = Scratch::new("sets-added");
    let whole = table(&scratch, &[short(6.0, 2.0, 0.0); 4], &[], 0.0, tick);
    let text = std::fs::read_to_string(&whole).unwrap();
    replace(&whole, &head(&whole, 2));
    let (daemon, out) = live(&scratch);
    let client = daemon.client();
    load(&client, &whole, "csv", 0);
    client.done("/groove/set/play", vec![]);
    await_state(&client, "playing", 1);
    replace(&whole, &text);
    await_state(&client, "over", 4);
    let told = played(&client);
    daemon.stop();
    assert_eq!(told.iter().map(|told| told.file.clone()).collect::<Vec<_>>(), files(&[0, 1, 2, 3]));
    let begin: Vec<_> = told.iter().enumerate().map(|(k, told)| (k, told.times[1])).collect();
    assert_begin(&Sound::read(&out), &begin, 240.0, 2.0, "with rows that were added");
}

#[test]
fn rows_that_are_added_while_the_last_track_plays_are_played() {
    let scratch = Scratch::new("sets-added-last");
    let whole = table(&scratch, &[short(8.0, 2.0, 0.0); 2], &[], 0.0, tick);
    let text = std::fs::read_to_string(&whole).unwrap();
    replace(&whole, &head(&whole, 1));
    let (daemon, _) = live(&scratch);
    let client = daemon.client();
    load(&client, &whole, "csv", 0);
    client.done("/groove/set/play", vec![]);
    await_state(&client, "playing", 1);
    // What is read at the beginning of a track is the table before.
    client.quiet("/groove/set/hold", vec![i(1)]);
    std::thread::sleep(Duration::from_millis(500));
    replace(&whole, &text);
    std::thread::sleep(Duration::from_millis(1_500));
    client.quiet("/groove/set/hold", vec![i(0)]);
    wait_for("the set is over", || status(&client).0 == "over");
    let names = played_files(&client);
    daemon.stop();
    assert_eq!(names, files(&[0, 1]));
}

#[test]
fn a_set_begins_again_after_its_last_track() {
    let scratch = Scratch::new("sets-loop");
    let two = table(&scratch, &[short(4.0, 2.0, 0.0); 2], &[], 0.0, tick);
    let text = std::fs::read_to_string(&two).unwrap();
    let (daemon, out) = live(&scratch);
    let client = daemon.client();
    let again = || {
        let mut args = usual();
        args[2] = i(1);
        args
    };
    assert_eq!(page(&client, 1), []);
    load(&client, &two, "csv", 0);
    client.done("/groove/set/play", again());
    wait_for("five tracks were played", || played(&client).len() >= 5);
    let told = played(&client);
    // Longer lists come in pages, as a render of many tracks reads them.
    let (later, number) = (page(&client, 3), |told: &Told| told.number);
    assert_eq!(later[..3].iter().map(number).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(later[0] == told[2] && later[1].file == told[3].file && later[1].times[..2] == told[3].times[..2]);
    assert_eq!(page(&client, 1_000), []);
    for from in [0, -1] {
        assert!(client.fails("/groove/set/played", vec![i(from)]).contains("from"));
    }
    assert_eq!(told.iter().map(|told| told.file.clone()).collect::<Vec<_>>()[..5], files(&[0, 1, 0, 1, 0]));
    assert_eq!(told.iter().map(|told| told.deck.as_str()).collect::<String>()[..5], *"abcab");
    for (k, pair) in told.windows(2).enumerate() {
        let ([load, start, cue, end], next) = (pair[0].times, pair[1].times);
        assert!(load < start && cue == next[1] && (cue - start - 1.0).abs() < 0.002, "{told:?}");
        // The last fade may not be over.
        assert!((end - cue - 0.5).abs() < 0.002 || k + 2 == told.len(), "{told:?}");
    }
    client.done("/groove/set/stop", vec![]);
    // One alone, and one whose only part is gone.
    replace(&two, &head(&two, 1));
    load(&client, &two, "csv", 0);
    client.done("/groove/set/play", again());
    wait_for("three tracks were played", || played(&client).len() >= 3);
    assert_eq!(played_files(&client)[..3], files(&[0, 0, 0]));
    client.done("/groove/set/stop", vec![]);
    replace(&two, &text.replace("part0", "gone0").replace("part1", "gone1"));
    load(&client, &two, "csv", 0);
    client.done("/groove/set/play", again());
    wait_for("a set of nothing is over", || status(&client).0 == "over");
    daemon.stop();
    let begin: Vec<_> = told[..4].iter().enumerate().map(|(k, told)| (k, told.times[1])).collect();
    assert_begin(&Sound::read(&out), &begin, 240.0, 2.0, "again");
}

#[test]
fn a_client_writes_what_was_played() {
    let scratch = Scratch::new("sets-client");
    let whole = table(&scratch, &[short(6.0, 2.0, 0.0); 4], &[1], 0.0, tick);
    let text = std::fs::read_to_string(&whole).unwrap();
    replace(&whole, &head(&whole, 3));
    let (daemon, _) = live(&scratch);
    let client = daemon.client();
    // Rows that are added are in it, too.
    let running = client_of(&scratch, &daemon, &["--decks", "ab"]);
    wait_for("it plays", || status(&client).0 == "playing");
    replace(&whole, &text);
    running.ends_with(0);
    let names = played_files(&client);
    daemon.stop();
    assert_eq!(names, files(&[0, 2, 3]));
    let list = listed(&scratch.path("list.csv"));
    assert_eq!(list.iter().map(|line| line.file.clone()).collect::<Vec<_>>(), names);
    for (k, line) in list.iter().enumerate() {
        assert_eq!(line.deck, ["A", "B"][k % 2]);
        let near = |from: f64, to: f64, seconds: f64| (to - from - seconds).abs() < 0.002;
        assert!(near(line.start, line.cue, 1.5) && near(line.cue, line.end, 0.5), "{line:?}");
    }
}

/// Asserts that a list that was cut short has the first of two tracks, and the second as far as it came.
fn assert_cut_short(scratch: &Scratch, what: &str) {
    let list = listed(&scratch.path("list.csv"));
    assert_eq!(list.iter().map(|line| line.file.clone()).collect::<Vec<_>>(), files(&[0, 1]), "{what}");
    let (first, second) = (&list[0], &list[1]);
    assert!((first.cue - first.start - 2.0).abs() < 0.002 && first.cue == second.start, "{what}: {list:?}");
    assert!((first.end - first.cue - 0.5).abs() < 0.002, "{what}: {first:?}");
    assert!(second.end > second.start + 0.5 && second.end < second.start + 28.0, "{what}: {second:?}");
}

#[test]
fn a_client_that_is_interrupted_writes_what_was_played() {
    let scratch = Scratch::new("sets-interrupted");
    let rows = [short(8.0, 2.0, 0.0), short(100.0, 4.0, 0.0), short(8.0, 2.0, 0.0)];
    table(&scratch, &rows, &[], 0.0, tick);
    let (daemon, out) = live(&scratch);
    let client = daemon.client();
    let running = client_of(&scratch, &daemon, &[]);
    await_part(&client, "part1.wav");
    running.interrupt();
    running.ends_with(130);
    wait_for("the set is stopped", || status(&client).0 == "stopped");
    wait_for("its stems are gone", || client.status("buffers", 0) == i(0));
    std::thread::sleep(Duration::from_millis(300));
    daemon.stop();
    let sound = Sound::read(&out);
    assert!(sound.rms(sound.seconds() - 0.2, sound.seconds()) < 1e-6, "it sounds on");
    assert_cut_short(&scratch, "a client");
}

#[test]
fn a_program_that_is_interrupted_writes_what_it_has_played() {
    let scratch = Scratch::new("sets-interrupted-own");
    let rows = [short(8.0, 2.0, 0.0), short(100.0, 4.0, 0.0), short(8.0, 2.0, 0.0)];
    table(&scratch, &rows, &[], 0.0, tick);
    let port = free_port();
    let mut command: Command = grooved();
    command.current_dir(&scratch.0).args(["--output", "null", "--port", &port.to_string()]);
    command.args(["--ddsp-listen", "off", "--http-port", "0"]);
    command.args(["play-set", "set.csv", "--playlist-out", "list.csv"]);
    let mut daemon = Daemon::spawn(&scratch, command, port);
    await_part(&daemon.client(), "part1.wav");
    daemon.signal(2);
    let code = daemon.child.wait().unwrap().code();
    assert_eq!(code, Some(130), "{}", daemon.log());
    assert_cut_short(&scratch, "its own engine");
}
