//! Launchers with the older servers' names, as used by scripts that start, find, await and kill those servers.

mod common;

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use common::{Scratch, free_port, grooved};

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
