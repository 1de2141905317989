//! The command line of `groovectl`, and `grooved tune`, as used by a technician.

mod common;

use std::process::{Command, Output};

use common::{Daemon, Scratch, f, free_tcp_port, grooved};

fn groovectl(daemon: &Daemon, http: u16, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_groovectl"))
        .args(["--port", &daemon.port.to_string(), "--http-port", &http.to_string()])
        .args(args)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn every_control_goes_by_its_name() {
    let scratch = Scratch::new("remote");
    let http = free_tcp_port();
    let config = "[http]\ntoken = \"correct horse\"\n[state]\nfolder = \"kept\"\n[record]\nkeep_free_mb = 1\n";
    std::fs::write(scratch.path("g.toml"), config).unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null", "--config", "g.toml", "--http-port", &http.to_string()]);
    let ctl = |args: &[&str]| groovectl(&daemon, http, args);
    let set = ctl(&["deck/b/level", "0.25"]);
    assert!(set.status.success(), "{}", text(&set));
    assert_eq!(daemon.client().status("levels", 1), f(0.25));
    assert_eq!(text(&ctl(&["deck/b/level"])).trim(), "/groove/deck/b/level 0.25");
    assert!(ctl(&["/set_tempo", "133"]).status.success());
    let json: serde_json::Value = serde_json::from_slice(&ctl(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["levels"][1], 0.25);
    assert_eq!(json["output"]["state"], "clock");
    for (args, code, words) in [
        (vec!["deck/b/levl", "0.25"], 64, "did you mean"),
        (vec!["deck/b/level", "9"], 1, "0 to 4"),
        (vec!["send", "deck"], 64, "slash"),
        (vec!["completion", "tcsh"], 64, "bash, zsh or fish"),
        (vec!["controls", "nothing-like-it"], 64, "lists all"),
        (vec!["bench-control", "--rate", "0"], 64, "--rate"),
    ] {
        let output = ctl(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(words), "{args:?}: {}", text(&output));
    }
    assert!(text(&ctl(&["controls", "deck/a/eq/low"])).contains("percent"));
    assert!(text(&ctl(&["completion", "bash"])).contains("complete -o default -F _groovectl groovectl"));
    let bench = ctl(&["bench-control", "--rate", "200", "--seconds", "1"]);
    assert!(bench.status.success() && text(&bench).contains("200 sent, 200 answered, 0 lost"), "{}", text(&bench));
    // Presets and recordings, as two words.
    for (args, words) in [
        (&["preset", "save", "x"][..], "/done \"/groove/preset/save\" \"x\""),
        (&["preset", "load", "x"], "/done \"/groove/preset/load\" 0 0"),
        (&["record", "start", "y"], "y.wav"),
        (&["record", "stop"], "y.wav"),
        (&["preset", "load", "none"], "expected the name of a preset"),
        (&["record", "stop"], "nothing is being recorded"),
    ] {
        let output = ctl(args);
        assert!(text(&output).contains(words), "{args:?}: {}", text(&output));
        assert_eq!(output.status.success(), text(&output).contains("/done"), "{args:?}");
    }
    // 'set' and 'get' reach every control, also one whose name is a command's.
    for (args, words) in [
        (&["get", "meter"][..], "/groove/meter 4"),
        (&["set", "meter", "3"], ""),
        (&["get", "beats_per_bar"], "/groove/beats_per_bar 3"),
        (&["set", "stats/reset"], "/done \"/groove/stats/reset\""),
        (&["set", "/deck_levels", "0.5"], ""),
        (&["get", "deck/a/level"], "/groove/deck/a/level 0.5"),
    ] {
        let output = ctl(args);
        assert!(output.status.success() && text(&output).contains(words), "{args:?}: {}", text(&output));
    }
    // With a token, requests go over the WebSocket, which rejects a wrong one.
    let http_arg = http.to_string();
    let with_token = |token: &str| {
        Command::new(env!("CARGO_BIN_EXE_groovectl"))
            .args(["--port", "9", "--http-port", &http_arg, "--token", token, "deck/b/level"])
            .output()
            .unwrap()
    };
    let right = with_token("correct horse");
    assert_eq!(text(&right).trim(), "{\"/groove/deck/b/level\":[0.25]}");
    let wrong = with_token("wrong horse");
    assert!(!wrong.status.success() && text(&wrong).contains("the token is wrong"), "{}", text(&wrong));
    // A wrong port is explained.
    let lost = Command::new(env!("CARGO_BIN_EXE_groovectl"))
        .args(["--http-port", &free_tcp_port().to_string(), "log"])
        .output()
        .unwrap();
    assert!(lost.status.code() == Some(69) && text(&lost).contains("grooved is running"), "{}", text(&lost));
    let wrong = ctl(&["--token", "not the right one", "status"]);
    assert!(wrong.status.success(), "OSC knows no tokens: {}", text(&wrong));
    daemon.stop();
}

#[test]
fn tune_tries_sizes_recommends_one_and_writes_it_down() {
    let scratch = Scratch::new("tune");
    scratch.sine("tone.wav", 44_100, 2, 441, 0.4);
    std::fs::write(scratch.path("g.toml"), "# mine\n[output]\n#buffer_size = 1024\nperiods = 4\n").unwrap();
    let tune = |args: &[&str]| grooved().current_dir(&scratch.0).args(args).output().unwrap();
    let common = ["--config", "g.toml", "--output", "null", "--a", "tone.wav", "tune"];
    let output = tune(&[&common[..], &["--seconds", "1", "--sizes", "1024,4096", "--write"]].concat());
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for part in ["frames", "  1024", "  4096", "recommended", "to g.toml."] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let written = std::fs::read_to_string(scratch.path("g.toml")).unwrap();
    assert!(written.starts_with("# mine\n[output]\nbuffer_size = ") && written.ends_with("periods = 4\n"), "{written}");
    let output = tune(&[&common[2..], &["--write"]].concat());
    assert!(output.status.code() == Some(64) && text(&output).contains("--config"), "{}", text(&output));
    let output = tune(&[&common[..], &["--sizes", "7"]].concat());
    assert!(output.status.code() == Some(64) && text(&output).contains("16 to 8192"), "{}", text(&output));
    let output = tune(&["--device", "hw:CARD=nobody", "tune", "--seconds", "1", "--sizes", "1024"]);
    assert!(text(&output).contains("cannot open the card"), "{}", text(&output));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let scratch = Scratch::new("refused");
    let tone = std::fs::read(scratch.sine("tone.wav", 48_000, 2, 440, 0.4)).unwrap();
    std::fs::write(scratch.path("cut.wav"), &tone[..tone.len() / 2]).unwrap();
    std::fs::write(scratch.path("text.wav"), "not music").unwrap();
    for (args, code, words) in [
        ("--a tone.wav --output wav:tone.wav", 64, "--output: 'tone.wav' is an input file"),
        ("--a tone.wav --render 1 --output wav:./tone.wav", 64, "choose another name"),
        ("stretch tone.wav tone.wav --rate 1.1 --quiet", 64, "OUTPUT: 'tone.wav' is an input file"),
        ("stretch cut.wav out.wav --rate 1.1 --quiet", 65, "announces 2.00 s, but 1.00 s are present"),
        ("--a text.wav --render 1 --output wav:out.wav", 65, "it is a text file"),
        ("--a . --render 1 --output wav:out.wav", 64, "is a folder"),
        ("--rate nan --output null", 64, "--rate: NaN is not a number"),
        ("--c_at -3 --output null", 64, "--c_at"),
        ("--ab 1 9 --output null", 64, "--ab: 9 is out of range"),
    ] {
        let output = grooved().current_dir(&scratch.0).args(args.split(' ')).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args}: {}", text(&output));
        assert!(text(&output).contains(words), "{args}: {}", text(&output));
        assert!(std::fs::read(scratch.path("tone.wav")).unwrap() == tone, "{args}");
    }
}
