//! Disks that hang, fail, are slow or disappear: a FUSE file system with faults that are switched during playback.
//!
//! Each test prints its measurements: the longest wait for a reply, the longest interval between two notifications of
//! the watchdog, and the gaps in a stem on a working disk.

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use common::{Daemon, Scratch, Sound, f, i, s};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen, Request,
};
use grooved::control::commands::value::Value;

/// Fault of the disk.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Fine,
    /// No operation returns.
    Hangs,
    /// Reads do not return; name lookups do.
    ReadsHang,
    /// Every read takes this long.
    Slow(Duration),
    /// Reads at this many bytes per second.
    Crawls(u64),
    /// Every read fails.
    Fails,
    /// The disk was removed; no file exists any more.
    Gone,
}

struct State {
    mode: Mutex<Mode>,
    changed: Condvar,
    files: BTreeMap<String, Vec<u8>>,
}

impl State {
    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }

    /// Waits until operations of a kind may continue; returns the mode then.
    fn pass(&self, hangs: impl Fn(Mode) -> bool) -> Mode {
        let mut mode = self.mode.lock().unwrap();
        while hangs(*mode) {
            mode = self.changed.wait(mode).unwrap();
        }
        *mode
    }
}

/// A mounted disk of files.
struct Disk {
    state: Arc<State>,
    path: PathBuf,
    session: Option<BackgroundSession>,
}

#[derive(Clone)]
struct Files(Arc<State>);

impl Files {
    fn attributes(&self, ino: u64) -> Option<FileAttr> {
        let (kind, size, perm) = match ino {
            1 => (FileType::Directory, 0, 0o755),
            n => (FileType::RegularFile, self.0.files.values().nth(n as usize - 2)?.len() as u64, 0o644),
        };
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        Some(FileAttr {
            ino: INodeNo(ino),
            size,
            blocks: size.div_ceil(512),
            atime: long_ago,
            mtime: long_ago,
            ctime: long_ago,
            crtime: long_ago,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        })
    }

    /// Answers a name lookup on a thread of its own, so that one that hangs does not block others.
    fn name(&self, answer: impl FnOnce(&Files, bool) + Send + 'static) {
        let files = self.clone();
        std::thread::spawn(move || {
            let mode = files.0.pass(|m| m == Mode::Hangs);
            answer(&files, mode != Mode::Gone);
        });
    }
}

const NO_CACHE: Duration = Duration::ZERO;

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let wanted = name.to_string_lossy().into_owned();
        self.name(move |files, there| {
            let at = files.0.files.keys().position(|n| *n == wanted).filter(|_| there);
            match at.and_then(|k| files.attributes(k as u64 + 2)) {
                Some(attributes) => reply.entry(&NO_CACHE, &attributes, Generation(0)),
                None => reply.error(Errno::ENOENT),
            }
        });
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.name(move |files, there| match files.attributes(ino.into()).filter(|_| there) {
            Some(attributes) => reply.attr(&NO_CACHE, &attributes),
            None => reply.error(Errno::EIO),
        });
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.name(move |_, there| match there {
            // Bypass the kernel's cache, so that every read comes here.
            true => reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO),
            false => reply.error(Errno::EIO),
        });
    }

    fn readdir(&self, _: &Request, _: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.name(move |files, _| {
            for (k, name) in files.0.files.keys().enumerate().skip(offset as usize) {
                if reply.add(INodeNo(k as u64 + 2), k as u64 + 1, FileType::RegularFile, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let files = self.clone();
        std::thread::spawn(move || {
            match files.0.mode() {
                Mode::Slow(time) => std::thread::sleep(time),
                Mode::Crawls(rate) => std::thread::sleep(Duration::from_secs_f64(f64::from(size) / rate as f64)),
                _ => {}
            }
            let mode = files.0.pass(|m| matches!(m, Mode::Hangs | Mode::ReadsHang));
            let bytes = files.0.files.values().nth(u64::from(ino) as usize - 2);
            match (mode, bytes) {
                (Mode::Fails | Mode::Gone, _) | (_, None) => reply.error(Errno::EIO),
                (_, Some(bytes)) => {
                    let from = (offset as usize).min(bytes.len());
                    reply.data(&bytes[from..(from + size as usize).min(bytes.len())]);
                }
            }
        });
    }
}

impl Disk {
    /// Mounts a disk with some files below `scratch`; returns `None` where FUSE is not allowed.
    fn mount(scratch: &Scratch, files: &[(&str, PathBuf)]) -> Option<Disk> {
        let path = scratch.path("stick");
        std::fs::create_dir_all(&path).unwrap();
        let files = files.iter().map(|(name, path)| (name.to_string(), std::fs::read(path).unwrap())).collect();
        let state = Arc::new(State { mode: Mutex::new(Mode::Fine), changed: Condvar::new(), files });
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO, MountOption::FSName("grooved-faults".into())];
        match fuser::spawn_mount(Files(state.clone()), &path, &config) {
            Ok(session) => Some(Disk { state, path, session: Some(session) }),
            Err(error) if !std::path::Path::new("/dev/fuse").exists() => {
                eprintln!("this machine has no FUSE ({error}): disks that fail are not tried");
                None
            }
            Err(error) => panic!("FUSE: {error}"),
        }
    }

    fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap() = mode;
        self.state.changed.notify_all();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.set(Mode::Gone);
        // The daemon may still have files open.
        let lazily = |program: &str, flag| std::process::Command::new(program).arg(flag).arg(&self.path).status();
        if !lazily("umount", "-l").is_ok_and(|s| s.success()) {
            let _ = lazily("fusermount3", "-uz");
        }
        drop(self.session.take());
    }
}

/// systemd's end of the notification socket; measures the longest interval between two watchdog notifications.
struct Systemd {
    thread: std::thread::JoinHandle<Duration>,
    stop: Arc<AtomicBool>,
}

impl Systemd {
    fn listen(path: &std::path::Path) -> Systemd {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut last, mut worst) = (None::<Instant>, Duration::ZERO);
            let mut buffer = [0; 4096];
            while !told.load(Relaxed) {
                let said = socket.recv(&mut buffer).map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned());
                let now = Instant::now();
                worst = worst.max(last.map_or(Duration::ZERO, |at| now - at));
                if said.is_ok_and(|s| s.contains("WATCHDOG=1") || s.contains("READY=1")) {
                    last = Some(now);
                }
            }
            worst
        });
        Systemd { thread, stop }
    }

    fn worst(self) -> Duration {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

/// A daemon that plays a stem of each disk, and measurements of it.
struct Show {
    scratch: Scratch,
    disk: Disk,
    daemon: Daemon,
    systemd: Systemd,
    slowest: Duration,
}

/// Timeout of systemd's watchdog in the shipped unit.
const WATCHDOG: Duration = Duration::from_secs(5);

impl Show {
    fn begin(name: &str) -> Option<Show> {
        let scratch = Scratch::new(name);
        let good = scratch.sine("good.wav", 48_000, 20, 440, 0.2);
        scratch.sine("other.wav", 48_000, 5, 330, 0.2);
        let bad = scratch.sine("bad.tmp", 48_000, 20, 660, 0.2);
        let disk = Disk::mount(&scratch, &[("bad.wav", bad.clone()), ("more.wav", bad)])?;
        let systemd = Systemd::listen(&scratch.path("notify"));
        let port = common::free_port();
        let mut command = common::grooved();
        let config = format!("[media]\nroots = [{:?}, \".\"]\nstart_directory = false\n", disk.path);
        std::fs::write(scratch.path("g.toml"), config).unwrap();
        command.current_dir(&scratch.0).args(["--config", "g.toml", "--output", "wav:out.wav", "--http-port", "0"]);
        command.args(["--ddsp-listen", "off", "--port", &port.to_string()]);
        command.env("NOTIFY_SOCKET", scratch.path("notify")).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        let daemon = Daemon::spawn(&scratch, command, port);
        let client = daemon.client();
        for (id, name) in [(100, good.to_str().unwrap()), (1100, "bad.wav")] {
            client.done("/load_buffer", vec![i(id), s(name)]);
            client.done("/play_stem", vec![i(id), f(1.0), f(0.8), i(1)]);
        }
        std::thread::sleep(Duration::from_millis(1_500));
        Some(Show { scratch, disk, daemon, systemd, slowest: Duration::ZERO })
    }

    /// Requests a value every 20 ms for a given time; each request must be answered.
    fn ask_for(&mut self, time: Duration) {
        let client = self.daemon.client();
        let begun = Instant::now();
        while begun.elapsed() < time {
            let asked = Instant::now();
            client.send("/groove/get", vec![s("/groove/master")]);
            let answer = client.next(Duration::from_secs(10));
            assert!(answer.is_some(), "control did not answer:\n{}", self.daemon.log());
            self.slowest = self.slowest.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the position in the recording in seconds.
    fn now(&self) -> f64 {
        self.daemon.client().status("clock", 0).as_float().unwrap() / 48_000.0
    }

    /// Stops the daemon. The good stem must have no gap between `from` and `to`.
    fn end(self, what: &str, from: f64, to: f64) -> Sound {
        let Show { scratch, disk, daemon, systemd, slowest } = self;
        drop(disk);
        let log = daemon.log();
        daemon.stop();
        let interval = systemd.worst();
        let sound = Sound::read(&scratch.path("out.wav"));
        let mut gaps = 0;
        let mut at = from;
        while at + 0.02 < to {
            gaps += usize::from(sound.tone(440.0, at, at + 0.02) < 0.05);
            at += 0.02;
        }
        println!(
            "{what}: control answered within {:.1} ms, watchdog notified every {:.2} s at most, {gaps} gaps in the other stem",
            slowest.as_secs_f64() * 1e3,
            interval.as_secs_f64()
        );
        assert_eq!(gaps, 0, "{what}: the stem on the good disk\n{log}");
        assert!(interval < WATCHDOG, "{what}: systemd would have killed a daemon that plays well\n{log}");
        sound
    }
}

#[test]
fn a_disk_that_hangs_stops_neither_control_nor_other_stems_nor_loads_from_elsewhere() {
    for (name, mode) in [("faults-hang", Mode::Hangs), ("faults-reads-hang", Mode::ReadsHang)] {
        let Some(mut show) = Show::begin(name) else { return };
        let client = show.daemon.client();
        let from = show.now();
        show.disk.set(mode);
        for id in 101..106 {
            client.send("/load_buffer", vec![i(id), s("more.wav")]);
        }
        client.send("/load_buffer", vec![i(110), s("other.wav")]);
        client.send("/play", vec![s("c"), s("/no/such/file.wav"), f(0.0)]);
        show.ask_for(Duration::from_secs(7));
        // Replies: the local file is loaded, the others failed with a reason.
        let mut told = BTreeMap::new();
        while let Some(messages) = client.next(Duration::from_millis(200)) {
            for message in messages {
                let id = message.args.get(1).cloned();
                match message.address.as_str() {
                    "/done" => told.entry("done").or_insert_with(Vec::new).push(id),
                    "/fail" => told.entry("fail").or_insert_with(Vec::new).push(id),
                    _ => {}
                }
            }
        }
        let done = told.get("done").cloned().unwrap_or_default();
        assert!(done.contains(&Some(i(110))), "{mode:?}: the local file is loaded: {told:?}");
        let failed = told.get("fail").cloned().unwrap_or_default();
        let silent = failed.iter().flatten().filter(|why| why.as_text().contains("no response for")).count();
        assert!(silent >= 5, "{mode:?}: {told:?}\n{}", show.daemon.log());
        show.disk.set(Mode::Fine);
        show.ask_for(Duration::from_secs(2));
        let well = show.now();
        // Threads that were stuck are free again.
        client.done("/load_buffer", vec![i(120), s("more.wav")]);
        show.ask_for(Duration::from_millis(800));
        let to = show.now();
        let sound = show.end(&format!("{mode:?}"), from, to - 0.2);
        assert!(sound.tone(660.0, well + 0.1, well + 0.5) > 0.05, "{mode:?}: the stem on the bad disk is back");
    }
}

#[test]
fn a_disk_that_is_slow_costs_its_own_stems_only() {
    for (name, mode) in
        [("faults-slow", Mode::Slow(Duration::from_secs(4))), ("faults-crawl", Mode::Crawls(10_000_000))]
    {
        let Some(mut show) = Show::begin(name) else { return };
        let from = show.now();
        show.disk.set(mode);
        let client = show.daemon.client();
        client.done("/groove/stem/seek", vec![i(1100), f(0.7)]);
        client.done("/groove/stem/seek", vec![i(100), f(0.5)]);
        show.ask_for(Duration::from_secs(6));
        show.disk.set(Mode::Fine);
        show.ask_for(Duration::from_secs(1));
        let to = show.now();
        show.end(&format!("{mode:?}"), from, to - 0.2);
    }
}

#[test]
fn a_disk_that_fails_or_is_pulled_out_costs_its_own_stems_and_they_come_back() {
    for (name, mode) in [("faults-fail", Mode::Fails), ("faults-gone", Mode::Gone)] {
        let Some(mut show) = Show::begin(name) else { return };
        let from = show.now();
        show.disk.set(mode);
        show.ask_for(Duration::from_secs(4));
        let client = show.daemon.client();
        let why = client.ask("/load_buffer", vec![i(105), s("more.wav")]);
        let why = why.iter().find(|m| m.address == "/fail").map(|m| m.args[1].as_text()).unwrap_or_default();
        assert!(why.contains("more.wav") && !why.contains("not a sound file"), "{mode:?}: {why}");
        show.disk.set(Mode::Fine);
        show.ask_for(Duration::from_secs(3));
        let well = show.now();
        show.ask_for(Duration::from_millis(800));
        let to = show.now();
        let log = show.daemon.log();
        let sound = show.end(&format!("{mode:?}"), from, to - 0.2);
        assert!(sound.tone(660.0, well + 0.1, well + 0.5) > 0.05, "{mode:?}: the stem is back\n{log}");
        assert_eq!(client_lines(&log, "the stem is silent"), 1, "{mode:?}: told once\n{log}");
    }
}

fn client_lines(log: &str, what: &str) -> usize {
    log.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn a_file_that_is_replaced_or_deleted_while_it_plays_plays_on() {
    let scratch = Scratch::new("faults-replaced");
    let old = scratch.sine("a.wav", 48_000, 10, 440, 0.2);
    let daemon = Daemon::start(&scratch, &["--output", "wav:out.wav"]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), s("a.wav")]);
    client.done("/play_stem", vec![i(100), f(1.0), f(0.8), i(1)]);
    std::thread::sleep(Duration::from_millis(300));
    let new = scratch.sine("new.wav", 44_100, 3, 880, 0.2);
    std::fs::rename(new, &old).unwrap();
    client.done("/groove/stem/seek", vec![i(100), f(0.7)]);
    std::thread::sleep(Duration::from_millis(400));
    std::fs::remove_file(&old).unwrap();
    client.done("/groove/stem/seek", vec![i(100), f(0.4)]);
    std::thread::sleep(Duration::from_millis(600));
    let now = client.status("clock", 0).as_float().unwrap() / 48_000.0;
    // A failed load does not affect playing stems.
    let why = client.fails("/load_buffer", vec![i(100), s("a.wav")]);
    assert!(why.contains("not found"), "{why}");
    std::thread::sleep(Duration::from_millis(600));
    let end = client.status("clock", 0).as_float().unwrap() / 48_000.0;
    assert!(client.status("buffers", 0) == Value::Int(1));
    daemon.stop();
    let sound = Sound::read(&scratch.path("out.wav"));
    for (from, to) in [(now - 1.0, now - 0.8), (now - 0.4, now - 0.1), (now + 0.1, end - 0.1)] {
        assert!(sound.tone(440.0, from, to) > 0.08 && sound.tone(880.0, from, to) < 0.01, "{from}");
    }
}

#[test]
fn a_stem_file_becomes_a_stem_per_track() {
    let scratch = Scratch::new("faults-stems");
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ni.stem.mp4");
    std::fs::copy(fixture, scratch.path("song.stem.mp4")).unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    client.done("/load_buffer", vec![i(100), s("song.stem.mp4")]);
    let status = client.ask("/get_status", vec![]);
    let stems: Vec<(i64, String)> = status
        .iter()
        .filter(|m| m.address == "/status/buffer")
        .map(|m| (m.args[0].as_int().unwrap(), m.args[1].as_text()))
        .collect();
    assert_eq!(stems.len(), 4, "{stems:?}\n{}", daemon.log());
    assert_eq!(stems.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [100, 101, 102, 103]);
    assert!(stems.iter().all(|(_, name)| !name.is_empty() && name != "song.stem"), "{stems:?}");
    for (id, _) in &stems {
        client.done("/play_stem", vec![i(*id)]);
    }
    // Six channels become three stems on request.
    let mut writer = grooved::media::wav::WavWriter::create(
        &scratch.path("six.wav"),
        6,
        48_000,
        grooved::media::wav::Depth::Sixteen,
    )
    .unwrap();
    writer.write(&vec![0.1; 6 * 48_000]).unwrap();
    writer.finish().unwrap();
    client.done("/load_buffer", vec![i(200), s("six.wav")]);
    client.done("/load_buffer", vec![i(300), s("six.wav#stems")]);
    assert_eq!(client.status("buffers", 0), i(4 + 1 + 3));
}
