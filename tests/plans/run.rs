//! `grooved run-plan` as a process, and a daemon that it drives.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::common::{Client, Daemon, Scratch, Sound, grooved};

/// Longest run of a command, in seconds.
const PATIENCE: u64 = 120;
/// Longest wait for a state, in seconds.
const WAIT: u64 = 30;

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Returns the lines of `--json`.
    pub fn events(&self, event: &str) -> Vec<serde_json::Value> {
        let parsed = self
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("'{line}' is no JSON: {e}\n{self:?}")));
        parsed.filter(|value: &serde_json::Value| value["event"] == event).collect()
    }

    /// Asserts the exit code.
    pub fn ends_with(self, code: i32, what: &str) -> Ran {
        assert_eq!(self.code, Some(code), "{what}:\n{}\n{}", self.out, self.err);
        self
    }
}

/// A command that runs; it prints into files, so that it never waits for a reader.
pub struct Running {
    pub child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    fn start(scratch: &Scratch, mut command: Command, stdin: Stdio) -> Running {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let (out, err) = (scratch.path(&format!("run{number}.out")), scratch.path(&format!("run{number}.err")));
        command.stdin(stdin).stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        Running { child: command.spawn().unwrap(), out, err }
    }

    /// Returns what it has printed so far.
    pub fn printed(&self) -> String {
        let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        text(&self.out) + &text(&self.err)
    }

    /// Returns its standard input, if that is a pipe.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Interrupts it as Ctrl-C does.
    pub fn interrupt(&self) {
        let status = Command::new("kill").args(["-2", &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits until it has ended.
    pub fn finish(mut self) -> Ran {
        let deadline = Instant::now() + Duration::from_secs(PATIENCE);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end; so far:\n{}", self.printed());
            std::thread::sleep(Duration::from_millis(2));
        };
        let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        Ran { code: status.code(), out: text(&self.out), err: text(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.out);
        let _ = std::fs::remove_file(&self.err);
    }
}

/// Returns the command, with grooved's own flags and those of `run-plan`.
fn command(scratch: &Scratch, own: &[&str], plan: &Path, args: &[&str]) -> Command {
    let mut command = grooved();
    command.current_dir(&scratch.0).args(own).arg("run-plan").arg(plan).args(args);
    command
}

/// Runs `grooved run-plan`, with nothing on its standard input.
pub fn run_plan(scratch: &Scratch, plan: &Path, args: &[&str]) -> Ran {
    Running::start(scratch, command(scratch, &[], plan, args), Stdio::null()).finish()
}

/// Starts `grooved run-plan` as a client of a daemon, with a pipe as its standard input.
pub fn client_of(scratch: &Scratch, daemon: &Daemon, plan: &Path, args: &[&str]) -> Running {
    let port = daemon.port.to_string();
    let args = [&["--host", "127.0.0.1", "--port", &port], args].concat();
    Running::start(scratch, command(scratch, &[], plan, &args), Stdio::piped())
}

/// Renders a plan into `render.wav`, with grooved's own flags and those of `run-plan`; returns the file's bytes.
pub fn rendered_with(scratch: &Scratch, own: &[&str], plan: &Path, args: &[&str], code: i32) -> (Ran, Vec<u8>) {
    let out = scratch.path("render.wav");
    let _ = std::fs::remove_file(&out);
    let args = [&["--render", out.to_str().unwrap()], args].concat();
    let running = Running::start(scratch, command(scratch, own, plan, &args), Stdio::null());
    let ran = running.finish().ends_with(code, &format!("{} {args:?}", plan.display()));
    let bytes = std::fs::read(&out).unwrap();
    (ran, bytes)
}

/// Renders a plan into `render.wav`, and returns the file's bytes.
pub fn rendered(scratch: &Scratch, plan: &Path, args: &[&str], code: i32) -> (Ran, Vec<u8>) {
    rendered_with(scratch, &[], plan, args, code)
}

/// Renders a plan of which everything can be played.
pub fn render(scratch: &Scratch, plan: &Path, args: &[&str]) -> Sound {
    rendered(scratch, plan, args, 0);
    Sound::read(&scratch.path("render.wav"))
}

/// Renders a plan of which something cannot be played.
pub fn render_rest(scratch: &Scratch, plan: &Path, args: &[&str]) -> (Ran, Sound) {
    let (ran, _) = rendered(scratch, plan, args, 1);
    (ran, Sound::read(&scratch.path("render.wav")))
}

/// Starts a daemon that records everything; the scratch folder is its media root.
pub fn daemon(scratch: &Scratch, more: &[&str]) -> (Daemon, PathBuf) {
    let out = scratch.path("live.wav");
    let (output, root) = (format!("wav:{}", out.display()), scratch.0.display().to_string());
    (Daemon::start(scratch, &[&["--output", &output, "--media-root", &root], more].concat()), out)
}

/// A daemon's answer about its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub state: String,
    pub place: i64,
    pub sections: i64,
    pub key: String,
    pub bar: i64,
    pub bars: i64,
    pub held: bool,
    pub fade: f64,
    pub bpm: f64,
    pub path: String,
}

impl Status {
    /// Returns whether a section plays.
    pub fn plays(&self, place: i64) -> bool {
        self.state == "playing" && self.place == place
    }

    /// Returns whether nothing of the plan plays, or will play.
    pub fn rests(&self) -> bool {
        ["none", "loaded", "over", "stopped"].contains(&self.state.as_str())
    }
}

/// Asks for the plan's status.
pub fn status(client: &Client) -> Status {
    let answers = client.ask("/groove/plan/status", vec![]);
    let answer = answers.iter().find(|answer| answer.address == "/status/plan");
    let args = &answer.unwrap_or_else(|| panic!("no /status/plan in {answers:?}")).args;
    assert_eq!(args.len(), 11, "{args:?}");
    let (text, int) = (|k: usize| args[k].as_text(), |k: usize| args[k].as_int().unwrap());
    let float = |k: usize| args[k].as_float().unwrap();
    Status {
        state: text(0),
        place: int(1),
        sections: int(2),
        key: text(3),
        bar: int(4),
        bars: int(5),
        held: int(6) != 0,
        fade: float(7),
        bpm: float(8),
        path: text(9),
    }
}

/// Waits for a status.
pub fn until(client: &Client, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
    let deadline = Instant::now() + Duration::from_secs(WAIT);
    loop {
        let status = status(client);
        if is_so(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "not {what} but {status:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a section plays.
pub fn until_plays(client: &Client, place: i64) -> Status {
    until(client, &format!("playing section {place}"), |status| status.plays(place))
}

/// Waits until no stem is loaded any more.
pub fn until_forgotten(client: &Client) {
    let deadline = Instant::now() + Duration::from_secs(WAIT);
    while client.status("buffers", 0).as_int() != Some(0) {
        assert!(Instant::now() < deadline, "stems are left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for something, named in the failure's message.
pub fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(WAIT);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {WAIT} s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the daemon's sample time: the frame of its recording.
pub fn now(client: &Client) -> usize {
    client.status("clock", 0).as_int().unwrap() as usize
}
