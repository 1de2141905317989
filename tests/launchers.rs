//! Launchers with the older servers' names, as used by scripts that start, find, await and kill those servers.

mod common;

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use common::{Daemon, Scratch, free_port, grooved};

/// A launcher, started as in the older scripts: by its name, in its folder.
struct Launched {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Launched {
    /// Starts a launcher in a folder below the scratch folder.
    fn start(scratch: &Scratch, name: &str, args: &[&str], environment: &[(&str, &str)]) -> Launched {
        let folder = scratch.path("audio-mixer");
        std::fs::create_dir_all(&folder).unwrap();
        let link = folder.join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("compat").join(name), link).unwrap();
        let mut command = Command::new("python3");
        // The same environment as for other daemons under test.
        for (key, value) in grooved().get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command.current_dir(&folder).arg(name).args(args).env("GROOVED", env!("CARGO_BIN_EXE_grooved"));
        command.envs(environment.iter().copied());
        let log = std::fs::File::create(scratch.path("launched.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Launched { child, out }
    }

    fn wait_for(&mut self, words: &str, scratch: &Scratch) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            let length = self.out.read_line(&mut line).unwrap();
            assert!(length > 0, "{}", self.log(scratch));
        }
    }

    fn log(&self, scratch: &Scratch) -> String {
        std::fs::read_to_string(scratch.path("launched.log")).unwrap()
    }

    /// Returns the command line as seen by `ps` and `pkill -f`.
    fn command_line(&self) -> String {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.child.id())).unwrap();
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    fn end(mut self, signal: i32) -> std::process::ExitStatus {
        Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether a server answers OSC on a port.
fn answers(port: u16) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(b"/sync\0\0\0,\0\0\0", ("127.0.0.1", port)).unwrap();
    socket.recv(&mut [0; 64]).is_ok()
}

#[test]
fn scripts_of_the_older_audio_server_start_find_and_kill_grooved() {
    let scratch = Scratch::new("launch-audio");
    // As in the older installation: beside the server's folder.
    std::fs::create_dir_all(scratch.path("stems")).unwrap();
    scratch.sine("stems/a.wav", 44_100, 5, 200, 0.1);
    let port = free_port();
    let osc = port.to_string();
    let flags = ["--port", &osc, "--disable-filters", "--device", "3", "--buffer-size=512", "--http-port", "0"];
    let more = ["--output", "null", "--a", "../stems/a.wav", "--watch"];
    let mut server = Launched::start(&scratch, "audio_server.py", &[&flags[..], &more].concat(), &[]);
    server.wait_for("PYTHON AUDIO SERVER READY", &scratch);
    assert!(answers(port), "{}", server.log(&scratch));
    // kill_audio.sh searches for "python.*audio_server.py".
    let line = server.command_line();
    let python = line.find("python").unwrap();
    assert!(line[python..].contains("audio_server.py") && line.contains("--disable-filters"), "{line}");
    let log = server.log(&scratch);
    assert!(log.contains("--device 3 is a device number of PortAudio: ignored"), "{log}");
    assert!(log.contains("--disable-filters") && log.contains("loaded a as 100"), "{log}");
    assert!(!log.contains("DDSP stream"), "{log}");
    // A path from a client in another folder: the parent folder is a media root.
    let client = common::Client { socket: UdpSocket::bind("127.0.0.1:0").unwrap() };
    client.socket.connect(("127.0.0.1", port)).unwrap();
    client.done("/load_buffer", vec![common::i(101), common::s("/home/dj/crowdstream/stems/a.wav")]);
    let status = server.end(15);
    assert_eq!(status.code(), Some(0), "the exit code is grooved's");

    let mut server = Launched::start(&scratch, "audio_server.py", &[&flags[..], &more].concat(), &[]);
    server.wait_for("PYTHON AUDIO SERVER READY", &scratch);
    assert_eq!(server.end(9).signal(), Some(9));
    assert!(!answers(port), "nothing is left behind");

    let wrong = Launched::start(&scratch, "audio_server.py", &["--buffer-size", "7"], &[]);
    assert_eq!(wrong.end(0).code(), Some(64));
    let lost = Launched::start(&scratch, "audio_server.py", &[], &[("GROOVED", "/nowhere/grooved")]);
    let status = lost.end(0);
    assert_eq!(status.code(), Some(1));
}

#[test]
#[cfg(feature = "ddsp")]
fn the_older_ddsp_server_starts_by_its_name() {
    let scratch = Scratch::new("launch-ddsp");
    let port = common::free_tcp_port().to_string();
    // The older unit names the older server's model; grooved's own violin replaces it.
    let model = [("DDSP_MODEL_PATH", "/opt/ddsp-realtime/models/Violin.tflite")];
    let mut server = Launched::start(&scratch, "server.py", &["--host", "localhost", "--port", &port], &model);
    server.wait_for("PYTHON AUDIO SERVER READY", &scratch);
    let log = server.log(&scratch);
    assert!(log.contains("violin.onnx for /opt/ddsp-realtime/models/Violin.tflite"), "{log}");
    assert!(log.contains(&format!("DDSP stream on ws://127.0.0.1:{port}/")), "{log}");
    let line = server.command_line();
    assert!(line.starts_with("python3 ") && line.contains("server.py"), "{line}");
    let url = format!("ws://localhost:{port}/");
    let stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    let loud = (0..50).any(|_| match socket.read().unwrap() {
        tungstenite::Message::Binary(frame) => frame.len() == 1_920 && frame.iter().any(|b| *b != 0),
        other => panic!("{other:?}"),
    });
    assert!(loud);
    assert_eq!(server.end(15).code(), Some(0));

    let wrong = Launched::start(&scratch, "server.py", &["--port", "x"], &[]);
    let status = wrong.end(0);
    assert_eq!(status.code(), Some(1));
}

#[test]
fn the_older_section_exporter_runs_by_its_name() {
    let scratch = Scratch::new("launch-sections");
    // As in the older installation: structure files and sounds beside the program's folder.
    std::fs::create_dir_all(scratch.path("stems/dj/struct")).unwrap();
    scratch.sine("stems/dj/a.wav", 44_100, 8, 200, 0.1);
    let text = r#"{"path": "/gone/a.wav", "bpm": 122, "segments": [
        {"start": 0, "end": 1, "label": "intro"}, {"start": 1, "end": 7, "label": "verse"}]}"#;
    std::fs::write(scratch.path("stems/dj/struct/a.json"), text).unwrap();
    std::fs::create_dir_all(scratch.path("audio-mixer")).unwrap();
    let link = scratch.path("audio-mixer/struct_loader.py");
    std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/struct_loader.py"), &link).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.current_dir(scratch.path("")).arg("audio-mixer/struct_loader.py").args(arguments);
        command.env("GROOVED", env!("CARGO_BIN_EXE_grooved")).output().unwrap()
    };
    // Abbreviated flags, and one that the older program did not have.
    let done = run(&["--n", "1", "--bpm", "122", "--del=3", "--csv", "out.csv", "--jobs", "1", "--no-orig"]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(done.stdout, b"/gone/a.wav\n");
    let table = std::fs::read_to_string(scratch.path("out.csv")).unwrap();
    let part = scratch.path("audio-mixer/parts_temp/a_sectioned.wav");
    assert!(table.ends_with(&format!(",0:06.00,0:06.00,,{}\r\n", part.display())), "{table}");
    assert!(part.exists());
    for ambiguous in [&["--bpm-m", "3"][..], &["--nope"]] {
        assert_eq!(run(ambiguous).status.code(), Some(2), "{ambiguous:?}");
    }
}

#[test]
fn the_older_plan_executor_and_its_launcher_run_by_their_names() {
    let scratch = Scratch::new("launch-plan");
    std::fs::create_dir_all(scratch.path("stems/Song")).unwrap();
    std::fs::create_dir_all(scratch.path("autodj-plan")).unwrap();
    scratch.sine("stems/Song/bass.wav", 44_100, 1, 200, 0.1);
    let plan = r#"{"theme": "short", "base_bpm": 240, "sections": {"00_intro": {"type": "intro", "stems": {
        "bass": {"song": "Song", "file": "../stems/Song/bass.wav", "bpm": 240, "pitch_shift": 1.0}}}}}"#;
    std::fs::write(scratch.path("autodj-plan/remix.json"), plan).unwrap();
    let run = |name: &str, port: u16, arguments: &[&str]| {
        let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat").join(name);
        let mut command = Command::new("python3");
        command.current_dir(scratch.path("autodj-plan")).arg(launcher).args(arguments);
        if port > 0 {
            command.args(["--port", &port.to_string()]);
        }
        command.env("GROOVED", env!("CARGO_BIN_EXE_grooved")).output().unwrap()
    };
    let info = run("dj_plan_executor.py", 0, &["remix.json", "--mode", "info"]);
    assert!(info.status.success() && String::from_utf8_lossy(&info.stdout).contains("short"), "{info:?}");
    // Where the older executor talked to nobody, this one says so.
    let nobody = run("dj_plan_executor.py", free_port(), &["remix.json", "--mode=full"]);
    assert_eq!(nobody.status.code(), Some(3), "{nobody:?}");
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let played = run("dj_plan_executor.py", daemon.port, &["remix.json", "--mode=full"]);
    assert!(played.status.success(), "{played:?}");
    assert_eq!(daemon.client().status("plan", 0), common::s("over"));
    daemon.stop();
    let one_step = run("run_python_dj.py", 0, &["remix.json", "--render", "mix.wav"]);
    assert!(one_step.status.success() && scratch.path("autodj-plan/mix.wav").exists(), "{one_step:?}");
}
#[test]
fn the_older_set_player_runs_by_its_name() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new("launch-set");
    // In place of the program: prints its arguments, one a line.
    let fake = scratch.path("fake-grooved");
    std::fs::write(&fake, "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 7\n").unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.current_dir(scratch.path(""));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/mixer_tracks.py")).args(arguments);
        command.env("GROOVED", program).output().unwrap()
    };
    let default = "track_data_Cm-Gm_122-d3.csv --order=energy --seed=1";
    let engine = "--host=127.0.0.1 --port=57120";
    let list = "--playlist-out=playlist_operational.csv";
    // Older flags, and what is given to grooved play-set for them.
    let table: [(&[&str], String); 10] = [
        (&["--seed", "1"], format!("{default} {engine} {list}")),
        (&["--se=1", "--ho", "0.0.0.0", "--po=57122"], format!("{default} --host=127.0.0.1 --port=57122 {list}")),
        (&["--seed=1", "--host=::"], format!("{default} {engine} {list}")),
        (&["--seed=1", "--c", "-"], format!("./- --order=energy --seed=1 {engine} {list}")),
        (&["--seed=1", "--preload-offset", "2"], format!("{default} {engine} --preload=2.0 {list}")),
        (&["--seed=1", "--preload=-1"], format!("{default} {engine} --preload=0.0 {list}")),
        (&["--seed=1", "--print"], format!("{default} --dry-run --preload=1.0 {list}")),
        (&["--seed=1", "--playlist", "p.csv"], format!("{default} {engine} --playlist-out=p.csv")),
        // Flags that the older player did not have.
        (&["--seed=1", "--render", "x.wav", "--limit=2"], format!("{default} --render x.wav --limit=2")),
        (&["--order", "key", "--loop"], format!("track_data_Cm-Gm_122-d3.csv {engine} {list} --order key --loop")),
    ];
    for (older, expected) in &table {
        let done = run(&fake, older);
        assert_eq!(done.status.code(), Some(7), "{older:?}: {done:?}");
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim_end().replace('\n', " "), format!("play-set {expected}"));
        assert!(done.stderr.is_empty(), "{older:?}: {done:?}");
    }
    // Movement and tempo are the daemon's: their older defaults are accepted in silence.
    for (older, named) in [
        (&["--movement-port", "57120", "--tempo-base=120.0", "--xfade-steps=40"][..], ""),
        (&["--tempo-i", "5", "--tempo-step", "1"], "--tempo-step, --tempo-interval: ignored; the daemon itself"),
        (&["--movement-host", "::1"], "see osc.bind in grooved.toml"),
        (&["--xfade=8"], "see [movement] in grooved.toml"),
    ] {
        let done = run(&fake, &[older, &["--seed=1"]].concat());
        assert_eq!(String::from_utf8_lossy(&done.stdout).lines().count(), 7, "{older:?}: {done:?}");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(said.contains(named) && said.lines().count() == usize::from(!named.is_empty()), "{older:?}: {said}");
    }
    for wrong in ["--port=x", "--p=1", "--tempo=1", "--seed=1.5", "--movement-i=x", "--xfade-steps=4.5", "--csv"] {
        let done = run(&fake, &[wrong]);
        assert!(done.status.code() == Some(2) && done.stdout.is_empty(), "{wrong}: {done:?}");
    }
    // An order without a seed can be repeated.
    let once = run(&fake, &[]);
    let seed = String::from_utf8_lossy(&once.stderr).split(' ').nth(2).unwrap().to_owned();
    assert_eq!(run(&fake, &["--seed", &seed]).stdout, once.stdout);

    let real = Path::new(env!("CARGO_BIN_EXE_grooved"));
    let missing = run(real, &["--seed", "1"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("track_data_Cm-Gm_122-d3.csv"), "{missing:?}");
    let rows = "bpm,begin_cue_adj,end_cue_adj,part_file\r\n120,4.0,6.0,a.wav\r\n120,4.0,6.0,b.wav\r\n";
    std::fs::write(scratch.path("set.csv"), rows).unwrap();
    let flags = ["--csv", "set.csv", "--seed", "1", "--print-playlist", "--playlist-csv", "lists/list.csv"];
    let printed = run(real, &flags);
    assert!(printed.status.success() && printed.stdout.ends_with(b".wav\n"), "{printed:?}");
    let playlist = std::fs::read_to_string(scratch.path("lists/list.csv")).unwrap();
    let starts: Vec<&str> = playlist.lines().skip(1).collect();
    // Times as the older player wrote them, its second before the first track included.
    assert!(starts[0].starts_with("A,0.0,1.0,5.0,7.0,") && starts[1].starts_with("B,4.0,5.0,9.0,11.0,"), "{playlist}");
    assert_eq!(run(real, &["--csv", "set.csv", "--nope"]).status.code(), Some(2));
}
