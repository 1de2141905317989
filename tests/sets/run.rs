//! Sets as the program renders them, and as a daemon plays them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use grooved::control::commands::value::Value;
use grooved::sets::track::Set;

use crate::common::{Client, Daemon, Scratch, Sound, f, grooved, i, s};

/// Longest wait for something, in seconds.
const WAIT: u64 = 30;

pub fn play_set(scratch: &Scratch, table: &Path, args: &[&str]) -> Output {
    grooved().current_dir(&scratch.0).arg("play-set").arg(table).args(args).output().unwrap()
}

/// Renders a table and returns the bytes of the file.
pub fn rendered(scratch: &Scratch, table: &Path, args: &[&str]) -> Vec<u8> {
    let out = scratch.path("out.wav");
    let _ = std::fs::remove_file(&out);
    let args = [&["--render", out.to_str().unwrap()], args].concat();
    let run = play_set(scratch, table, &args);
    assert!(run.status.success(), "{}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
    std::fs::read(&out).unwrap()
}

pub fn render(scratch: &Scratch, table: &Path) -> Sound {
    rendered(scratch, table, &[]);
    Sound::read(&scratch.path("out.wav"))
}

/// Waits until the set is in this state, at this place.
pub fn await_state(client: &Client, state: &str, place: i64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answers = client.ask("/groove/set/status", vec![]);
        let status = answers.iter().find(|answer| answer.address == "/status/set").unwrap();
        if status.args[..2] == [s(state), i(place)] {
            return;
        }
        assert!(Instant::now() < deadline, "not {state} at {place} but {:?}", status.args);
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn live(scratch: &Scratch) -> (Daemon, PathBuf) {
    let out = scratch.path("live.wav");
    let roots = scratch.0.display().to_string();
    (Daemon::start(scratch, &["--output", &format!("wav:{}", out.display()), "--media-root", &roots]), out)
}

/// A row of a playlist.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub deck: String,
    pub file: String,
    pub load: f64,
    pub start: f64,
    pub cue: f64,
    pub end: f64,
}

/// Reads a playlist, as a set.
pub fn listed(path: &Path) -> Vec<Listed> {
    let set = Set::parse(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap();
    assert_eq!(set.faults, Vec::<String>::new());
    let place = |name: &str| set.columns.iter().position(|column| column == name).unwrap();
    let row = |track: &grooved::sets::track::Track| {
        let text = |name: &str| track.fields[place(name)].clone();
        let seconds = |name: &str| text(name).parse().unwrap();
        Listed {
            deck: text("deck"),
            file: track.part_file.clone(),
            load: seconds("load_at"),
            start: seconds("start_playing_at"),
            cue: seconds("next_song_cue"),
            end: seconds("end_playing_at"),
        }
    };
    set.tracks.iter().map(row).collect()
}

/// Renders a table and returns the sound and the playlist.
pub fn listened(scratch: &Scratch, table: &Path, args: &[&str]) -> (Sound, Vec<Listed>) {
    let list = scratch.path("list.csv");
    let _ = std::fs::remove_file(&list);
    rendered(scratch, table, &[args, &["--playlist-out", list.to_str().unwrap()]].concat());
    (Sound::read(&scratch.path("out.wav")), listed(&list))
}

/// Returns the (deck, file) of each track that `--dry-run` announces.
pub fn announced(scratch: &Scratch, table: &Path, args: &[&str]) -> Vec<(String, String)> {
    let run = play_set(scratch, table, &[&["--dry-run", "--json"], args].concat());
    assert!(run.status.success(), "{}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).unwrap();
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        (value["deck"].as_str().unwrap().to_string(), value["file"].as_str().unwrap().to_string())
    };
    text.lines().map(line).collect()
}

/// A track of which `/groove/set/played` tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub number: i64,
    pub deck: String,
    pub file: String,
    /// When it was loaded, began, was left and ended.
    pub times: [f64; 4],
}

/// Asks for one page of what was played.
pub fn page(client: &Client, from: i64) -> Vec<Told> {
    let answers = client.ask("/groove/set/played", vec![i(from)]);
    let tracks = answers.iter().filter(|answer| answer.address == "/status/set/played");
    let told = tracks.map(|answer| {
        assert_eq!(answer.args.len(), 8, "{answer:?}");
        let seconds = |k: usize| answer.args[k].as_float().unwrap();
        Told {
            number: answer.args[0].as_int().unwrap(),
            deck: answer.args[1].as_text(),
            file: answer.args[2].as_text(),
            times: [seconds(3), seconds(4), seconds(5), seconds(6)],
        }
    });
    told.collect()
}

/// Returns all of what was played.
pub fn played(client: &Client) -> Vec<Told> {
    let mut all = Vec::new();
    loop {
        let more = page(client, all.len() as i64 + 1);
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// Returns the files of what was played.
pub fn played_files(client: &Client) -> Vec<String> {
    played(client).into_iter().map(|told| told.file).collect()
}

/// Waits for something, named in the failure's message.
pub fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(WAIT);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {WAIT} s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns state, place and file of the daemon's set.
pub fn status(client: &Client) -> (String, i64, String) {
    let answers = client.ask("/groove/set/status", vec![]);
    let args = &answers.iter().find(|answer| answer.address == "/status/set").unwrap().args;
    (args[0].as_text(), args[1].as_int().unwrap(), args[3].as_text())
}

/// Waits until this part is the one that plays.
pub fn await_part(client: &Client, part: &str) {
    wait_for(&format!("{part} is playing"), || {
        let (state, _, file) = status(client);
        state == "playing" && file == part
    });
}

/// Loads a table, in an order.
pub fn load(client: &Client, table: &Path, order: &str, seed: i64) {
    client.done("/groove/set/load", vec![crate::common::p(table), s(order), i(seed)]);
}

/// The arguments of `/groove/set/play` as they are without being given.
pub fn usual() -> Vec<Value> {
    vec![i(0), f(0.0), i(0), i(3), f(0.0), s("power"), i(1), s("beat")]
}

/// A command that runs; it is killed when it is dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a command that prints into a file.
    pub fn start(scratch: &Scratch, mut command: Command) -> Running {
        let log = scratch.path("command.log");
        let file = std::fs::File::create(&log).unwrap();
        let (out, err) = (file.try_clone().unwrap(), file);
        Running { child: command.stdin(std::process::Stdio::null()).stdout(out).stderr(err).spawn().unwrap(), log }
    }

    /// Interrupts it as Ctrl-C does.
    pub fn interrupt(&self) {
        let status = Command::new("kill").args(["-2", &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end and asserts its exit code.
    pub fn ends_with(mut self, code: i32) {
        let deadline = Instant::now() + Duration::from_secs(WAIT);
        let log = |running: &Running| std::fs::read_to_string(&running.log).unwrap();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", log(&self));
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.code(), Some(code), "{}", log(&self));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
