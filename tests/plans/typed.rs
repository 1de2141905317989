//! `grooved run-plan` led by lines on its standard input.

use std::io::Write;

use crate::common::{Scratch, Sound};
use crate::measure::starts;
use crate::run::{client_of, daemon, now, run_plan, status, until, until_forgotten, until_plays, wait_for};
use crate::written::{BAR, BEAT, KEYS, five};

/// Most bytes that a session of a few lines prints.
const PRINTED: usize = 20_000;

#[test]
fn commands_are_carried_out() {
    let scratch = Scratch::new("plans-typed");
    let path = five(&scratch, "plan.json", [14; 5], 2);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    let mut session = client_of(&scratch, &daemon, &path, &[]);
    let mut stdin = session.stdin();
    let mut type_in = |line: &str| stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    let answered = |words: &str| wait_for(words, || session.printed().contains(words));

    // Nothing plays until it is told to.
    type_in("list");
    KEYS.iter().for_each(|key| answered(key));
    type_in("info");
    answered("made up");
    assert_eq!(status(&client).place, 0);
    type_in("play 3");
    until_plays(&client, 3);
    // The next one of two after the present one.
    type_in("play verse");
    until_plays(&client, 4);
    type_in("  PLAY   Intro ");
    until_plays(&client, 1);
    type_in("");
    type_in("nonsense");
    answered("unknown command 'nonsense'");
    type_in("play 9");
    type_in("play solo");
    type_in("fade 2");
    until(&client, "at a fade of 2", |status| status.fade == 2.0);
    assert!(status(&client).plays(1), "{:?}", status(&client));
    type_in("full");
    // It begins with the first section, which plays: what tells them apart is that `full` repeats none.
    type_in("next");
    until_plays(&client, 2);
    type_in("next");
    until_plays(&client, 3);
    type_in("back");
    until_plays(&client, 2);
    type_in("hold");
    // Not before its stamp can be read.
    until(&client, "held in bar 2", |status| status.held && status.place == 2 && status.bar == 2);
    type_in("stop");
    until(&client, "at rest", |status| status.rests());
    until_forgotten(&client);
    type_in("status");
    // What is stopped can be played again.
    type_in("play 5");
    until(&client, "in bar 2 of section 5", |status| status.plays(5) && status.bar == 2);
    type_in("quit");
    let ran = session.finish().ends_with(0, "quit");
    assert!(ran.out.len() + ran.err.len() < PRINTED, "{} bytes", ran.out.len() + ran.err.len());
    assert!(!(ran.out.clone() + &ran.err).contains('\u{1b}'), "piped lines are plain: {:?}", ran.out);
    let unknown = (ran.out.clone() + &ran.err).matches("unknown command").count();
    assert_eq!(unknown, 1, "{}\n{}", ran.out, ran.err);
    // It fades by default.
    until(&client, "at rest", |status| status.rests());
    until_forgotten(&client);
    daemon.stop();
    // The longest fade was one of two beats.
    let found = starts(&Sound::read(&out), 2 * BEAT);
    let mut codes: Vec<usize> = found.iter().map(|start| start.code).collect();
    // `full` may have begun the first section once more before `next` was read.
    if codes.get(2..4) == Some(&[0, 0]) {
        codes.remove(3);
    }
    assert_eq!(codes, [2, 3, 0, 1, 2, 1, 4], "{found:?}");
    for start in &found[..found.len() - 1] {
        assert_eq!((start.at - found[0].at) % BAR, 0, "stamp {} does not begin at a bar: {found:?}", start.code);
    }
}

#[test]
fn a_section_is_repeated_until_another_command() {
    let scratch = Scratch::new("plans-typed-again");
    let path = five(&scratch, "plan.json", [1; 5], 2);
    let (daemon, out) = daemon(&scratch, &[]);
    let client = daemon.client();
    let mut session = client_of(&scratch, &daemon, &path, &[]);
    let mut stdin = session.stdin();
    stdin.write_all(b"play 2\n").unwrap();
    until_plays(&client, 2);
    let began = now(&client);
    wait_for("three bars", || now(&client) > began + 3 * BAR);
    stdin.write_all(b"full\n").unwrap();
    until_plays(&client, 1);
    until(&client, "over", |status| status.rests());
    stdin.write_all(b"quit\n").unwrap();
    session.finish().ends_with(0, "quit");
    daemon.stop();
    let found = starts(&Sound::read(&out), BEAT);
    let repeated = found.iter().take_while(|start| start.code == 1).count();
    assert!(repeated >= 4, "{found:?}");
    let rest: Vec<usize> = found[repeated..].iter().map(|start| start.code).collect();
    assert_eq!(rest, [0, 1, 2, 3, 4], "{found:?}");
    assert!(found.windows(2).all(|pair| pair[1].at - pair[0].at == BAR), "{found:?}");
}

#[test]
fn the_end_of_input_ends_a_session() {
    let scratch = Scratch::new("plans-typed-end");
    let path = five(&scratch, "plan.json", [14; 5], 2);
    let (daemon, _) = daemon(&scratch, &[]);
    let client = daemon.client();
    let port = daemon.port.to_string();
    let to_daemon = ["--host", "127.0.0.1", "--port", &port];
    // At once.
    let ran = run_plan(&scratch, &path, &to_daemon).ends_with(0, "no input");
    assert!(ran.out.len() + ran.err.len() < PRINTED, "{} bytes", ran.out.len() + ran.err.len());
    // While something plays: as 'quit'. The last line has no end.
    let mut session = client_of(&scratch, &daemon, &path, &[]);
    let mut stdin = session.stdin();
    stdin.write_all(b"info\nplay 2").unwrap();
    drop(stdin);
    let ran = session.finish().ends_with(0, "end of input");
    assert!(ran.out.len() + ran.err.len() < PRINTED, "{} bytes", ran.out.len() + ran.err.len());
    until(&client, "at rest", |status| status.rests());
    until_forgotten(&client);
    // Bytes that are no text.
    let mut session = client_of(&scratch, &daemon, &path, &[]);
    let mut stdin = session.stdin();
    stdin.write_all(b"\xff\xfe\0\x1b[A\nplay 2\nquit\n").unwrap();
    let ran = session.finish();
    assert!(ran.code == Some(0) && !ran.err.contains("panicked"), "{ran:?}");
    drop(stdin);
    until_forgotten(&client);
    daemon.stop();
}

#[test]
fn a_session_may_leave_the_sound() {
    let scratch = Scratch::new("plans-typed-leave");
    let path = five(&scratch, "plan.json", [6; 5], 2);
    let (daemon, _) = daemon(&scratch, &[]);
    let client = daemon.client();
    for word in ["quit --leave", "detach"] {
        let mut session = client_of(&scratch, &daemon, &path, &[]);
        let mut stdin = session.stdin();
        stdin.write_all(b"play 2\n").unwrap();
        until_plays(&client, 2);
        stdin.write_all(format!("{word}\n").as_bytes()).unwrap();
        session.finish().ends_with(0, word);
        let left = now(&client);
        wait_for("a bar", || now(&client) > left + BAR + BEAT);
        assert!(status(&client).plays(2), "{word}: {:?}", status(&client));
        client.done("/groove/plan/stop", vec![]);
        until_forgotten(&client);
    }
    daemon.stop();
}
