//! `grooved doctor`: checks this machine for causes of dropouts and suggests fixes.
//!
//! Everything is only read. Resource limits are read from the running daemon, if there is one: a service has other
//! limits than the shell that runs the check.

use std::fmt;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use crate::config::Config;
#[cfg(feature = "ddsp")]
use crate::ddsp::library::Library;
use crate::genome::Store;
use crate::output::devices;
use crate::system::{realtime, sensors, time, usage};

/// 2025-01-01 in seconds since 1970. A clock that has been set shows a later time.
const PLAUSIBLE_S: u64 = 1_735_689_600;
/// Memory needed beside the loaded stems in MB: the program, voices and stretchers.
const BESIDE_STEMS_MB: u64 = 150;
/// Temperature in °C above which a Pi throttles itself.
const HOT_CELSIUS: f64 = 80.0;

/// Bit of the capability that lifts the limit of realtime priority.
const CAP_SYS_NICE: u32 = 23;
/// Bit of the capability that lifts the limit of locked memory.
const CAP_IPC_LOCK: u32 = 14;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// No problem.
    Good,
    /// Sound works but could be improved, or the check is inconclusive.
    Advice,
    /// Causes audible faults.
    Wrong,
}

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Subject of the check.
    pub what: &'static str,
    /// Severity.
    pub grade: Grade,
    /// Result in words.
    pub found: String,
    /// Command or setting that fixes the problem; empty if there is none.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.grade {
            Grade::Good => "ok  ",
            Grade::Advice => "warn",
            Grade::Wrong => "FAIL",
        };
        write!(f, "{sign}  {:<14} {}", self.what, self.found)?;
        if self.mend.is_empty() { Ok(()) } else { write!(f, "\n      {:<14} -> {}", "", self.mend) }
    }
}

/// A machine as described by the files of `/proc`, `/sys` and `/run` below `root`.
struct Machine {
    root: PathBuf,
}

impl Machine {
    fn read(&self, path: &str) -> Option<String> {
        Some(std::fs::read_to_string(self.root.join(path)).ok()?.trim().to_string())
    }

    fn folder(&self, path: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
        paths.sort();
        paths
    }

    /// Returns the process ID of a running daemon other than this process.
    fn daemon(&self) -> Option<u32> {
        self.folder("proc").iter().find_map(|process| {
            let id: u32 = process.file_name()?.to_str()?.parse().ok()?;
            let name = |path: &Path| std::fs::read_to_string(path.join("comm")).ok();
            if name(process)?.trim() != "grooved" || id == std::process::id() {
                return None;
            }
            // Subcommands have the same process name; only the daemon has an audio thread.
            let mut threads = std::fs::read_dir(process.join("task")).ok()?.flatten();
            threads.any(|thread| name(&thread.path()).is_some_and(|n| n.trim() == "audio")).then_some(id)
        })
    }

    /// Returns the state folder that systemd assigned to a process (`STATE_DIRECTORY`).
    fn state_of(&self, process: u32) -> Option<PathBuf> {
        let environment = self.read(&format!("proc/{process}/environ"))?;
        environment.split('\0').find_map(|v| v.strip_prefix("STATE_DIRECTORY=")).map(PathBuf::from)
    }

    /// Returns a resource limit of a process, or `None` if it is unlimited or lifted by a capability.
    fn limit(&self, process: &str, name: &str, capability: u32) -> Option<u64> {
        let status = self.read(&format!("proc/{process}/status")).unwrap_or_default();
        let bits = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
        let bits = bits.and_then(|b| u64::from_str_radix(b.trim(), 16).ok()).unwrap_or(0);
        if bits >> capability & 1 == 1 {
            return None;
        }
        let limits = self.read(&format!("proc/{process}/limits"))?;
        let line = limits.lines().find(|l| l.starts_with(name))?;
        line[name.len()..].split_whitespace().next()?.parse().ok()
    }
}

fn good(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, grade: Grade::Good, found: found.into(), mend: String::new() }
}

fn finding(what: &'static str, grade: Grade, found: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { what, grade, found: found.into(), mend: mend.into() }
}

/// Runs all checks.
pub fn examine(config: &Config) -> Vec<Finding> {
    let machine = Machine { root: "/".into() };
    let daemon = machine.daemon();
    let mut findings = Vec::from(limits(&machine, daemon));
    findings.extend([governor(&machine), preemption(&machine), throttling(&machine), temperature()]);
    findings.extend([cards(), memory(&machine, config, daemon), media(config)]);
    findings.push(state(config, daemon.and_then(|id| machine.state_of(id))));
    findings.extend([ports(config, daemon.is_some()), methods(), models(config), genomes(config)]);
    findings.push(clock(&machine, time::wall_ns() / 1_000_000_000));
    findings
}

fn limits(machine: &Machine, daemon: Option<u32>) -> [Finding; 2] {
    let (process, whose) = match daemon {
        Some(id) => (id.to_string(), "the running daemon's"),
        None => ("self".into(), "this shell's"),
    };
    let needed = u64::from(realtime::AUDIO_PRIORITY);
    let priority = match machine.limit(&process, "Max realtime priority", CAP_SYS_NICE).unwrap_or(u64::MAX) {
        most if most >= needed => good("realtime", format!("{whose} limit allows SCHED_FIFO {needed}")),
        most => finding(
            "realtime",
            Grade::Wrong,
            format!("{whose} limit is priority {most}; {needed} is needed"),
            realtime::RTPRIO_REMEDY,
        ),
    };
    let memory = match machine.limit(&process, "Max locked memory", CAP_IPC_LOCK) {
        None => good("locked memory", format!("{whose} limit is unlimited")),
        Some(bytes) => finding(
            "locked memory",
            Grade::Wrong,
            format!("{whose} limit is {} kB", bytes / 1_000),
            realtime::MEMLOCK_REMEDY,
        ),
    };
    [priority, memory]
}

fn governor(machine: &Machine) -> Finding {
    let policies = machine.folder("sys/devices/system/cpu/cpufreq");
    let mut names: Vec<String> = policies
        .iter()
        .filter_map(|p| Some(std::fs::read_to_string(p.join("scaling_governor")).ok()?.trim().to_string()))
        .collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [] => good("governor", "no frequency scaling"),
        [one] if one == "performance" => good("governor", "performance"),
        _ => finding("governor", Grade::Advice, names.join(", "), "systemctl enable --now grooved-tune"),
    }
}

fn preemption(machine: &Machine) -> Finding {
    let version = machine.read("proc/version").unwrap_or_default();
    let kinds = ["PREEMPT_RT", "PREEMPT_DYNAMIC", "PREEMPT_VOLUNTARY", "PREEMPT"];
    let kind = kinds.iter().find(|k| version.contains(**k)).copied().unwrap_or("no preemption reported");
    if kind == "PREEMPT_RT" || machine.read("sys/kernel/realtime").is_some_and(|on| on == "1") {
        return good("preemption", "PREEMPT_RT");
    }
    let package = if cfg!(target_arch = "aarch64") { "linux-image-rt-arm64" } else { "linux-image-rt-amd64" };
    finding(
        "preemption",
        Grade::Advice,
        format!("{kind}: sufficient for periods of 5 ms and more"),
        format!("for shorter periods: apt install {package}, then reboot"),
    )
}

fn throttling(machine: &Machine) -> Finding {
    let is_pi = machine.read("proc/device-tree/model").is_some_and(|m| m.contains("Raspberry"));
    let sensors::Throttling { throttled, under_voltage } = sensors::throttling();
    match (throttled, under_voltage) {
        (_, Some(true)) => {
            finding("supply", Grade::Wrong, "under-voltage", "use a stronger power supply or a shorter cable")
        }
        (Some(true), _) => finding("supply", Grade::Wrong, "the processor is throttled", "add a heat sink or a fan"),
        (None, None) if is_pi => finding(
            "supply",
            Grade::Advice,
            "this kernel does not report throttling or under-voltage",
            "if the red power LED goes out, the voltage is too low: use a stronger power supply",
        ),
        (None, None) => good("supply", "throttling and under-voltage are not reported on this machine"),
        _ => good("supply", "no throttling, no under-voltage"),
    }
}

fn temperature() -> Finding {
    match sensors::temperature_celsius() {
        None => good("temperature", "not reported by the kernel"),
        Some(t) if t < HOT_CELSIUS => good("temperature", format!("{t:.0} °C")),
        Some(t) => finding("temperature", Grade::Wrong, format!("{t:.0} °C"), "add a heat sink or a fan"),
    }
}

fn cards() -> Finding {
    let cards = devices::list();
    let names: Vec<String> = cards.iter().map(|d| format!("{} ({})", d.name, d.title)).collect();
    match (names.as_slice(), Path::new("/dev/snd").is_dir()) {
        ([], true) => finding(
            "cards",
            Grade::Wrong,
            "no playback device, or none this user may open",
            "connect a sound card; to grant access: usermod -aG audio NAME",
        ),
        ([], false) => finding(
            "cards",
            Grade::Wrong,
            "the kernel has no sound card",
            "connect one; for a HAT on a Pi, set its overlay in config.txt (on the image: in the file grooved/hat)",
        ),
        _ => good("cards", names.join(", ")),
    }
}

fn memory(machine: &Machine, config: &Config, daemon: Option<u32>) -> Finding {
    let text = machine.read("proc/meminfo").unwrap_or_default();
    let kb = |name: &str| -> Option<u64> {
        let line = text.lines().find(|l| l.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let (Some(free), swap) = (kb("MemAvailable:"), kb("SwapTotal:").unwrap_or(0)) else {
        return finding("memory", Grade::Advice, "not reported by the kernel", "");
    };
    // The memory of a running daemon counts as available to it.
    let status = daemon.and_then(|id| machine.read(&format!("proc/{id}/status"))).unwrap_or_default();
    let own = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    let (free, needed) = ((free + own.unwrap_or(0)) / 1_000, config.media.memory_mb as u64 + BESIDE_STEMS_MB);
    let swap = if swap > 0 { ", swap enabled (audio memory is locked)" } else { "" };
    if free >= needed {
        return good("memory", format!("{free} MB available, at most {needed} MB needed{swap}"));
    }
    finding(
        "memory",
        Grade::Advice,
        format!("{free} MB available; up to {needed} MB needed when all stems are loaded{swap}"),
        format!("media.memory_mb = {}", free.saturating_sub(BESIDE_STEMS_MB).max(16)),
    )
}

fn media(config: &Config) -> Finding {
    let unreadable = |root: &&PathBuf| std::fs::read_dir(root).is_err();
    match config.media.roots.iter().find(unreadable) {
        Some(root) => finding(
            "media",
            Grade::Wrong,
            format!("cannot read {}", root.display()),
            "correct media.roots in the configuration, or use mkdir -p and chmod o+rx",
        ),
        None if config.media.roots.is_empty() => good("media", "no folders besides the start folder"),
        None => {
            let roots: Vec<String> = config.media.roots.iter().map(|r| r.display().to_string()).collect();
            good("media", roots.join(", "))
        }
    }
}

fn state(config: &Config, served: Option<PathBuf>) -> Finding {
    // The service's folder differs from that of the user who runs the check.
    let served = served.filter(|_| config.state.folder.as_os_str().is_empty());
    let Some(folder) = served.or_else(|| config.state.folder()) else {
        return finding("state", Grade::Advice, "no state folder", "set state.folder in the configuration");
    };
    let there = folder.ancestors().find(|f| f.is_dir()).unwrap_or(Path::new("/"));
    let (free, keep) = (usage::free_bytes(there).unwrap_or(0) / 1_000_000, config.record.keep_free_mb);
    if free < keep {
        let found = format!("{free} MB free at {}; recording stops below {keep} MB", folder.display());
        return finding("state", Grade::Advice, found, "delete old recordings, or lower record.keep_free_mb");
    }
    good("state", format!("{}, {free} MB free", folder.display()))
}

fn ports(config: &Config, running: bool) -> Finding {
    let bind = if config.osc.bind.is_empty() { "0.0.0.0" } else { &config.osc.bind };
    let mut taken: Vec<String> = config
        .osc
        .ports
        .iter()
        .filter(|port| UdpSocket::bind((bind, **port)).is_err())
        .map(|port| format!("UDP {port}"))
        .collect();
    if config.http.port != 0 && TcpListener::bind((config.http.bind.as_str(), config.http.port)).is_err() {
        taken.push(format!("TCP {}", config.http.port));
    }
    if let Ok(Some(address)) = config.ddsp.address()
        && TcpListener::bind(address).is_err()
    {
        taken.push(format!("TCP {}", address.port()));
    }
    let found = format!("{} taken", taken.join(", "));
    match running {
        _ if taken.is_empty() => good("ports", "all free"),
        true => good("ports", format!("{found} by the running daemon")),
        false => {
            finding("ports", Grade::Wrong, found, "'ss -lunpt' shows the program; stop it, or choose another port")
        }
    }
}

fn methods() -> Finding {
    let methods: Vec<&str> = crate::engine::method::Method::ALL.iter().map(|m| m.name()).collect();
    good("stretching", format!("{}; 'grooved stretch-check' measures their cost", methods.join(", ")))
}

#[cfg(feature = "ddsp")]
fn models(config: &Config) -> Finding {
    let folder = Some(config.ddsp.models.as_path()).filter(|f| !f.as_os_str().is_empty());
    let library = Library::new(folder);
    let first = config.instrument();
    if crate::genome::is_address(&first) {
        return good("instruments", format!("{}; {first} selected", library.names().join(", ")));
    }
    match library.open(&first) {
        Ok(_) => good("instruments", format!("{}; {first} selected", library.names().join(", "))),
        Err(_) if config.voices.polyphony == 0 => good("instruments", "disabled (voices.polyphony = 0)"),
        Err(why) => finding(
            "instruments",
            Grade::Advice,
            why.to_string(),
            "correct ddsp.instrument, or set voices.polyphony = 0",
        ),
    }
}

#[cfg(not(feature = "ddsp"))]
fn models(_: &Config) -> Finding {
    good("instruments", "not included in this build (cargo feature ddsp)")
}

fn genomes(config: &Config) -> Finding {
    let Some(path) = config.genomes.path() else { return good("genomes", "no database (genomes.database)") };
    let counted = Store::open(&path, 1).and_then(|store| store.count());
    let is_writable = std::fs::OpenOptions::new().append(true).open(&path).is_ok();
    match counted {
        Ok(count) if is_writable => good("genomes", format!("{count} in {}", path.display())),
        Ok(count) => finding(
            "genomes",
            Grade::Advice,
            format!("{count} in {}, which this account cannot write", path.display()),
            "evolution needs a database that grooved can write: use chown on the file and its folder",
        ),
        Err(fault) => finding(
            "genomes",
            Grade::Wrong,
            fault.to_string(),
            "correct genomes.database, or create it with 'grooved genomes import' or 'grooved genomes evolve'",
        ),
    }
}

fn clock(machine: &Machine, now_s: u64) -> Finding {
    let source = machine.read("sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.map_or(String::new(), |s| format!(", kernel clock {s}"));
    if now_s < PLAUSIBLE_S {
        let found = format!("never set{source}; OSC time tags will be wrong");
        return finding("clock", Grade::Wrong, found, "connect to a network with NTP, or use 'timedatectl set-time'");
    }
    if machine.root.join("run/systemd/timesync/synchronized").exists() {
        return good("clock", format!("synchronised{source}"));
    }
    let found = format!("synchronisation unknown{source}");
    finding("clock", Grade::Advice, found, "timedatectl set-ntp true (needed only for OSC time tags)")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a machine consisting of the given files (path, content).
    fn machine(name: &str, files: &[(&str, &str)]) -> Machine {
        let root = std::env::temp_dir().join(format!("grooved-doctor-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Machine { root }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            if self.root.starts_with(std::env::temp_dir()) {
                let _ = std::fs::remove_dir_all(&self.root);
            }
        }
    }

    #[test]
    fn limits_are_those_of_the_running_daemon() {
        let mean = "Max locked memory         8388608              8388608              bytes\n\
                    Max realtime priority     0                    0\n";
        let kind = "Max locked memory         unlimited            unlimited            bytes\n\
                    Max realtime priority     80                   80\n";
        let alone = machine("alone", &[("proc/self/limits", mean)]);
        let found = limits(&alone, alone.daemon());
        assert!(found.iter().all(|f| f.grade == Grade::Wrong && f.found.contains("shell")), "{found:?}");
        assert!(found[0].mend.contains("LimitRTPRIO") && found[1].mend.contains("LimitMEMLOCK"));
        let served = machine(
            "served",
            &[
                ("proc/7/comm", "grooved\n"),
                ("proc/7/task/9/comm", "audio\n"),
                ("proc/7/limits", kind),
                ("proc/self/limits", mean),
            ],
        );
        assert_eq!(served.daemon(), Some(7));
        assert!(limits(&served, Some(7)).iter().all(|f| f.grade == Grade::Good));
        let given = machine("given", &[("proc/7/environ", "A=b\0STATE_DIRECTORY=/var/lib/grooved\0")]);
        assert_eq!(given.state_of(7), Some("/var/lib/grooved".into()));
        let root = ("proc/self/status", "Name: grooved\nCapEff:\t000001ffffffffff\n");
        let mighty = machine("mighty", &[("proc/self/limits", mean), root]);
        assert!(limits(&mighty, None).iter().all(|f| f.grade == Grade::Good));
    }

    #[test]
    fn what_makes_timing_uneven_is_named() {
        let policy = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor";
        let lazy =
            machine("lazy", &[(policy, "ondemand\n"), ("proc/version", "Linux 6.12 #1 SMP PREEMPT_DYNAMIC Debian")]);
        assert_eq!((governor(&lazy).grade, governor(&lazy).found.as_str()), (Grade::Advice, "ondemand"));
        assert!(governor(&lazy).mend.contains("grooved-tune"));
        let kernel = preemption(&lazy);
        assert!(kernel.grade == Grade::Advice && kernel.mend.contains("linux-image-rt"), "{kernel}");
        let eager =
            machine("eager", &[(policy, "performance\n"), ("proc/version", "Linux 6.12 #1 SMP PREEMPT_RT Debian")]);
        assert_eq!([governor(&eager).grade, preemption(&eager).grade], [Grade::Good; 2]);
    }

    #[test]
    fn memory_and_clock_are_judged_by_what_they_are_for() {
        let small =
            machine("small", &[("proc/meminfo", "MemTotal: 500000 kB\nMemAvailable: 300000 kB\nSwapTotal: 0 kB\n")]);
        let found = memory(&small, &Config::default(), None);
        assert!(found.grade == Grade::Advice && found.mend == "media.memory_mb = 150", "{found}");
        assert_eq!(clock(&small, 86_400).grade, Grade::Wrong);
        assert_eq!(clock(&small, 2 * PLAUSIBLE_S).grade, Grade::Advice);
        let set = machine("set", &[("run/systemd/timesync/synchronized", "")]);
        assert_eq!(clock(&set, 2 * PLAUSIBLE_S).grade, Grade::Good);
    }
}
