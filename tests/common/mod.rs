//! Shared by the tests: a running daemon, clients, WAV files, and measurements of sound.

#![allow(dead_code)]

use std::io::Read;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grooved::control::commands::packet;
use grooved::control::commands::request::Message;
use grooved::control::commands::value::Value;
use grooved::media::wav::{Depth, WavWriter};

/// Temporary folder of a test, deleted on drop.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a stereo WAV file with the frames `value(frame)`, (left, right).
    pub fn wav(&self, name: &str, rate: u32, frames: usize, value: impl Fn(usize) -> (f32, f32)) -> PathBuf {
        let path = self.path(name);
        let mut writer = WavWriter::create(&path, 2, rate, Depth::Float).unwrap();
        let mut samples = Vec::with_capacity(2 * frames);
        for i in 0..frames {
            let (l, r) = value(i);
            samples.extend([l, r]);
        }
        writer.write(&samples).unwrap();
        writer.finish().unwrap();
        path
    }

    /// Writes a sine of whole periods, which loops seamlessly.
    pub fn sine(&self, name: &str, rate: u32, seconds: usize, hz: usize, peak: f32) -> PathBuf {
        self.wav(name, rate, rate as usize * seconds, |i| {
            let s = (std::f64::consts::TAU * (hz * i % rate as usize) as f64 / f64::from(rate)).sin() as f32 * peak;
            (s, s)
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Returns a free UDP port.
pub fn free_port() -> u16 {
    UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port()
}

/// A running daemon. Its audio thread runs under the system call filter, and every violation is fatal.
pub struct Daemon {
    pub child: Child,
    pub port: u16,
    log: PathBuf,
}

pub fn grooved() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grooved"));
    command
        .env("GROOVED_STRICT", "1")
        .env("GROOVED_DEBUG", "1")
        // No state is written to the user's home folder.
        .env_remove("STATE_DIRECTORY")
        .env_remove("XDG_STATE_HOME")
        .env_remove("HOME")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("JOURNAL_STREAM");
    command
}

impl Daemon {
    pub fn start(scratch: &Scratch, args: &[&str]) -> Daemon {
        let port = free_port();
        let mut command = grooved();
        command.current_dir(&scratch.0).env("GROOVED_CONFINE", "1").args(["--port", &port.to_string()]).args(args);
        if !args.contains(&"--ddsp-listen") {
            command.args(["--ddsp-listen", "off"]);
        }
        if !args.contains(&"--http-port") {
            command.args(["--http-port", "0"]);
        }
        Daemon::spawn(scratch, command, port)
    }

    pub fn spawn(scratch: &Scratch, mut command: Command, port: u16) -> Daemon {
        let log = scratch.path(&format!("grooved-{port}.log"));
        let child = command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        let mut daemon = Daemon { child, port, log };
        let client = daemon.client();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            client.send("/sync", vec![Value::Int(-1)]);
            if client.next(Duration::from_millis(100)).is_some_and(|m| m[0].address == "/synced") {
                // Replies to earlier attempts may still arrive.
                std::thread::sleep(Duration::from_millis(50));
                return daemon;
            }
            if daemon.child.try_wait().unwrap().is_some() || Instant::now() > deadline {
                panic!("the daemon did not come up:\n{}", daemon.log());
            }
        }
    }

    pub fn client(&self) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        Client { socket }
    }

    pub fn log(&self) -> String {
        let mut text = String::new();
        let _ = std::fs::File::open(&self.log).and_then(|mut f| f.read_to_string(&mut text));
        text
    }

    pub fn signal(&self, number: i32) {
        let status = Command::new("kill").args([format!("-{number}"), self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Stops the daemon as systemd would. Returns its exit code, and its log for the failure message.
    pub fn stop(mut self) -> i32 {
        self.signal(15);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let code = status.code().unwrap_or(-1);
                assert_eq!(code, 0, "{status}\n{}", self.log());
                return code;
            }
            assert!(Instant::now() < deadline, "it does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An OSC client.
pub struct Client {
    pub socket: UdpSocket,
}

impl Client {
    pub fn send(&self, address: &str, args: Vec<Value>) {
        let bytes = packet::encode(&[Message::new(address, args)]).unwrap();
        // A rejected packet shows as an error of the next receive.
        let _ = self.socket.send(&bytes);
    }

    /// Returns the messages of the next packet.
    pub fn next(&self, timeout: Duration) -> Option<Vec<Message>> {
        self.socket.set_read_timeout(Some(timeout)).unwrap();
        let mut buffer = vec![0; 65_536];
        let n = self.socket.recv(&mut buffer).ok()?;
        Some(packet::messages(&buffer[..n]).unwrap())
    }

    /// Sends a message and then `/sync`; returns all replies up to `/synced`.
    pub fn ask(&self, address: &str, args: Vec<Value>) -> Vec<Message> {
        static TOKEN: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1000);
        let token = TOKEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.send(address, args);
        self.send("/sync", vec![Value::Int(token)]);
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut answers = Vec::new();
        while Instant::now() < deadline {
            for message in self.next(Duration::from_secs(20)).unwrap_or_default() {
                if message.address == "/synced" && message.args == [Value::Int(token)] {
                    return answers;
                }
                answers.push(message);
            }
        }
        panic!("{address} was not answered; so far: {answers:?}");
    }

    /// Sends a message and asserts that the reply is `/done`.
    pub fn done(&self, address: &str, args: Vec<Value>) {
        let answers = self.ask(address, args);
        assert!(
            answers.iter().any(|m| m.address == "/done" && m.args[0] == Value::from(address)),
            "{address}: {answers:?}"
        );
    }

    /// Sends a message and asserts that there is no reply (for controls that are not acknowledged).
    pub fn quiet(&self, address: &str, args: Vec<Value>) {
        let answers = self.ask(address, args);
        assert!(answers.is_empty(), "{address}: {answers:?}");
    }

    /// Sends a message, asserts that the reply is `/fail`, and returns the reason.
    pub fn fails(&self, address: &str, args: Vec<Value>) -> String {
        let answers = self.ask(address, args);
        let fail = answers.iter().find(|m| m.address == "/fail" && m.args[0] == Value::from(address));
        fail.unwrap_or_else(|| panic!("{address} did not fail: {answers:?}")).args[1].as_text()
    }

    /// Returns argument `k` of `/status/{name}`.
    pub fn status(&self, name: &str, k: usize) -> Value {
        let answers = self.ask("/get_status", vec![]);
        let address = format!("/status/{name}");
        answers.iter().find(|m| m.address == address).unwrap_or_else(|| panic!("no {address}")).args[k].clone()
    }
}

/// A stereo recording.
pub struct Sound {
    pub rate: u32,
    pub left: Vec<f32>,
    pub right: Vec<f32>,
}

impl Sound {
    /// Reads a 32-bit float WAV file as written by the daemon.
    pub fn read(path: &Path) -> Sound {
        let mut decoder = grooved::media::decode::Decoder::open(path).unwrap();
        let info = decoder.info().clone();
        let (mut left, mut right) = (vec![0.0; info.frames as usize], vec![0.0; info.frames as usize]);
        decoder.read(&mut left, &mut right).unwrap();
        Sound { rate: info.sample_rate, left, right }
    }

    pub fn seconds(&self) -> f64 {
        self.left.len() as f64 / f64::from(self.rate)
    }

    fn range(&self, from: f64, to: f64) -> std::ops::Range<usize> {
        let at = |s: f64| ((s * f64::from(self.rate)) as usize).min(self.left.len());
        at(from)..at(to)
    }

    /// Returns the RMS between two times in seconds.
    pub fn rms(&self, from: f64, to: f64) -> f64 {
        let part = &self.left[self.range(from, to)];
        (part.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / part.len().max(1) as f64).sqrt()
    }

    /// Returns the level of one frequency between two times, as the peak value of a sine.
    pub fn tone(&self, hz: f64, from: f64, to: f64) -> f64 {
        let part = &self.left[self.range(from, to)];
        let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
        for (i, s) in part.iter().enumerate() {
            let w = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / part.len() as f64).cos();
            let (sin, cos) = (std::f64::consts::TAU * hz * i as f64 / f64::from(self.rate)).sin_cos();
            re += f64::from(*s) * cos * w;
            im += f64::from(*s) * sin * w;
            weight += w;
        }
        2.0 * (re * re + im * im).sqrt() / weight.max(1.0)
    }

    /// Returns the first non-silent frame from `start` on.
    pub fn onset(&self, start: usize) -> Option<usize> {
        self.left[start..].iter().position(|s| s.abs() > 1e-6).map(|k| start + k)
    }

    /// Returns the times (in seconds) of clicks in a sound of low sines: fourth differences far above those of the
    /// waves themselves. Fades of five milliseconds stay well below.
    pub fn clicks(&self, threshold: f32) -> Vec<f64> {
        let mut found: Vec<f64> = Vec::new();
        for (i, w) in self.left.windows(5).enumerate() {
            let d = w[0] - 4.0 * w[1] + 6.0 * w[2] - 4.0 * w[3] + w[4];
            let at = i as f64 / f64::from(self.rate);
            if d.abs() > threshold && found.last().is_none_or(|last| at - last > 0.01) {
                found.push(at);
            }
        }
        found
    }

    /// Returns the longest silence between the first and the last sound, in seconds.
    pub fn longest_gap(&self) -> f64 {
        let (mut longest, mut current) = (0usize, 0usize);
        let Some(first) = self.onset(0) else { return self.seconds() };
        let last = self.left.iter().rposition(|s| s.abs() > 1e-6).unwrap_or(first);
        for s in &self.left[first..=last] {
            current = if s.abs() <= 1e-6 { current + 1 } else { 0 };
            longest = longest.max(current);
        }
        longest as f64 / f64::from(self.rate)
    }
}

pub fn i(value: i64) -> Value {
    Value::Int(value)
}

pub fn f(value: f64) -> Value {
    Value::Float(value)
}

pub fn s(value: impl AsRef<str>) -> Value {
    Value::from(value.as_ref())
}

pub fn p(path: &Path) -> Value {
    Value::from(path.display().to_string())
}

/// Returns a free TCP port.
pub fn free_tcp_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns the Python of the test clients, which `make test` installs and names in an environment variable.
pub fn python() -> Command {
    let python = std::env::var("GROOVED_TEST_PYTHON")
        .expect("GROOVED_TEST_PYTHON names the Python with the test clients' packages; 'make test' sets it");
    Command::new(python)
}

/// A WebSocket client.
pub struct Socket(pub tungstenite::WebSocket<std::net::TcpStream>);

impl Socket {
    /// Connects to `/api/ws`.
    pub fn connect(port: u16) -> Socket {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let url = format!("ws://127.0.0.1:{port}/api/ws");
        Socket(tungstenite::client(url, stream).unwrap().0)
    }

    /// Sends a request.
    pub fn say(&mut self, request: serde_json::Value) {
        self.0.send(tungstenite::Message::text(request.to_string())).unwrap();
    }

    /// Returns the next message, or `None` after ten seconds without one or if the connection is closed.
    pub fn hear(&mut self) -> Option<serde_json::Value> {
        loop {
            match self.0.read() {
                Ok(tungstenite::Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(tungstenite::Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Sends a request and returns its answer; discards pushes received meanwhile.
    pub fn ask(&mut self, mut request: serde_json::Value) -> serde_json::Value {
        static ID: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
        let id = ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        request["id"] = id.into();
        self.say(request.clone());
        loop {
            let message = self.hear().unwrap_or_else(|| panic!("{request} was not answered"));
            if message["id"] == id {
                return message;
            }
        }
    }
}
