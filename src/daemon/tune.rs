//! `grooved tune`: measures which period sizes this machine and card can sustain.
//!
//! Each size is tried with the daemon itself, in a process of its own, under the load of the current configuration (the
//! demonstration set if that plays nothing). The daemon's saved files are not touched.

use std::fmt::Write;
use std::io::{IsTerminal, Read};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Failure;
use crate::config::Config;
use crate::control::commands::request::Message;
use crate::remote::status::Status;
use crate::remote::wire::Wire;
use crate::system::keeper;

/// Default sizes to try, in frames.
pub const SIZES: [usize; 7] = [64, 128, 256, 512, 1024, 2048, 4096];
/// Time before the measurement, in which the card is opened and files are loaded.
const WARM_UP: Duration = Duration::from_secs(2);
/// Maximum render time of a stable size, as a share of the period.
const MOST_RENDER: f64 = 0.5;
/// Maximum wake-up delay of a stable size, as a share of the time the card holds in reserve.
const MOST_WAKE: f64 = 0.5;

/// Measurement of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Frames per period, as granted.
    pub period: usize,
    /// Size of the card's buffer in frames.
    pub buffer: usize,
    /// Sample rate in Hz.
    pub rate: f64,
    /// Number of underruns.
    pub xruns: i64,
    /// Longest wake-up delay in seconds.
    pub wake_s: f64,
    /// Longest render time, as a share of the period.
    pub render: f64,
}

impl Trial {
    /// Returns whether the size is stable with a safety factor of 2.
    pub fn is_good(&self) -> bool {
        let reserve = (self.buffer.saturating_sub(self.period)).max(1) as f64 / self.rate;
        self.xruns == 0 && self.render <= MOST_RENDER && self.wake_s <= MOST_WAKE * reserve
    }
}

/// Returns the smallest size that is stable and below no unstable one.
pub fn recommend(trials: &[Trial]) -> Option<&Trial> {
    let mut sorted: Vec<&Trial> = trials.iter().collect();
    sorted.sort_by_key(|t| std::cmp::Reverse(t.period));
    sorted.into_iter().take_while(|t| t.is_good()).last()
}

/// Formats measurements as a table, with the recommended size marked.
pub fn table(trials: &[Trial]) -> String {
    let mut out = String::from("frames     ms   buffer ms   underruns   max wake delay   max render time\n");
    let best = recommend(trials).map(|t| t.period);
    for t in trials {
        let ms = |frames: usize| frames as f64 * 1000.0 / t.rate;
        let bar = "#".repeat((t.render.min(1.0) * 20.0).round() as usize);
        let verdict = match (Some(t.period) == best, t.is_good()) {
            (true, _) => "  <- recommended",
            (false, true) => "",
            (false, false) => "  too small",
        };
        let _ = writeln!(
            out,
            "{:>6} {:>6.1} {:>11.1} {:>11} {:>13.2} ms   {:>5.1} % {bar:<20}{verdict}",
            t.period,
            ms(t.period),
            ms(t.buffer),
            t.xruns,
            t.wake_s * 1000.0,
            100.0 * t.render
        );
    }
    out
}

/// Measures sizes for `seconds` each and prints a table. `flags` are the daemon's flags; `plays` says whether they play
/// anything. Returns the recommended size, or `None` if no size is stable.
///
/// # Errors
/// If the daemon does not start, does not reply, or cannot open the card.
pub fn run(flags: &[String], plays: bool, sizes: &[usize], seconds: f64) -> Result<Option<usize>, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::Io(e.to_string()))?;
    let quiet = !std::io::stderr().is_terminal();
    let mut trials: Vec<Trial> = Vec::new();
    for size in sizes {
        if !quiet {
            eprint!("\rmeasuring {size} frames for {seconds:.0} s …     ");
        }
        let mut command = Command::new(&program);
        command.args(flags);
        if !plays {
            command.arg("--demo");
        }
        let trial = try_size(command, *size, Duration::from_secs_f64(seconds))?;
        // The card may grant the same size for two requests; it is listed once.
        if trials.iter().all(|t| t.period != trial.period) {
            trials.push(trial);
        }
    }
    if !quiet {
        eprint!("\r{:60}\r", "");
    }
    print!("{}", table(&trials));
    Ok(recommend(&trials).map(|t| t.period))
}

/// Child process that is killed on drop.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn try_size(mut command: Command, size: usize, time: Duration) -> Result<Trial, Failure> {
    let io = |what: &str, e: std::io::Error| Failure::Io(format!("{what}: {e}"));
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).map_err(|e| io("a port", e))?.port();
    command
        .args(["--measure", "--buffer-size", &size.to_string(), "--port", &port.to_string(), "--http-port", "0"])
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut daemon = Daemon(command.spawn().map_err(|e| io("the trial", e))?);
    let wire = Wire::open("127.0.0.1", port, 1.0).map_err(Failure::Io)?;
    let status = || wire.ask(Message::new("/groove/status", vec![])).map(|m| Status::of(&m));
    let begun = Instant::now();
    let early = loop {
        if let Ok(status) = status()
            && begun.elapsed() > WARM_UP
        {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(30) || daemon.0.try_wait().ok().flatten().is_some() {
            let _ = daemon.0.kill();
            let mut log = String::new();
            let _ = daemon.0.stderr.take().map(|mut e| e.read_to_string(&mut log));
            let last = log.lines().last().unwrap_or("no output").trim().to_string();
            return Err(Failure::Io(format!("the daemon did not start with {size} frames: {last}")));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if early.output.state == "silent" {
        return Err(Failure::Io(
            "cannot open the card. If grooved is using it, stop it first ('systemctl stop grooved'); 'grooved devices' \
             lists all cards"
                .into(),
        ));
    }
    // Resets the maxima, so that the warm-up does not count.
    wire.ask(Message::new("/groove/load/reset", vec![])).map_err(Failure::Io)?;
    std::thread::sleep(time);
    let late = status().map_err(Failure::Io)?;
    Ok(Trial {
        period: usize::try_from(late.output.period).unwrap_or(size),
        buffer: usize::try_from(late.output.buffer).unwrap_or(0),
        rate: late.sample_rate.max(1) as f64,
        xruns: late.xruns.episodes - early.xruns.episodes,
        wake_s: late.load.worst_wake_ms / 1000.0,
        render: late.load.worst,
    })
}

/// Writes the size into a configuration file and leaves the rest of it as it is.
///
/// # Errors
/// If the file cannot be read or written, or is not a valid configuration.
pub fn write(path: &Path, size: usize) -> Result<(), Failure> {
    let io = |e: std::io::Error| Failure::Io(format!("{}: {e}", path.display()));
    let text = match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(io)?,
    };
    let text = with_size(&text, size);
    Config::parse(&text, path)?;
    keeper::write_whole(path, text.as_bytes()).map_err(io)
}

fn with_size(text: &str, size: usize) -> String {
    let line = format!("buffer_size = {size}");
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    let is_key = |l: &String| {
        l.trim_start()
            .trim_start_matches('#')
            .trim_start()
            .strip_prefix("buffer_size")
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    // An active line is preferred over one that is commented out.
    let place = lines
        .iter()
        .position(|l| is_key(l) && !l.trim_start().starts_with('#'))
        .or_else(|| lines.iter().position(is_key));
    match place {
        Some(k) => lines[k] = line,
        None => match lines.iter().position(|l| l.trim() == "[output]") {
            Some(k) => lines.insert(k + 1, line),
            None => lines.extend(["[output]".to_string(), line]),
        },
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(period: usize, xruns: i64, wake_ms: f64, render: f64) -> Trial {
        Trial { period, buffer: 3 * period, rate: 48_000.0, xruns, wake_s: wake_ms / 1000.0, render }
    }

    #[test]
    fn the_smallest_size_that_holds_is_recommended() {
        let trials = [
            trial(64, 0, 0.1, 0.2),
            // An unstable size: smaller ones that passed do not count.
            trial(128, 1, 0.1, 0.2),
            trial(256, 0, 0.1, 0.2),
            trial(512, 0, 0.1, 0.1),
        ];
        assert_eq!(recommend(&trials).map(|t| t.period), Some(256));
        assert!(table(&trials).contains("recommended"), "{}", table(&trials));
        assert_eq!(recommend(&[trial(64, 0, 0.1, 0.9)]), None);
        assert_eq!(recommend(&[trial(64, 0, 2.0, 0.1)]), None);
    }

    #[test]
    fn the_size_is_written_where_it_belongs() {
        for (before, after) in [
            ("", "[output]\nbuffer_size = 256\n"),
            ("# hi\n[output]\n#buffer_size = 1024\nperiods = 2\n", "# hi\n[output]\nbuffer_size = 256\nperiods = 2\n"),
            ("[output]\n#buffer_size = 1024\nbuffer_size = 64\n", "[output]\n#buffer_size = 1024\nbuffer_size = 256\n"),
            ("[output]\nperiods = 2\n", "[output]\nbuffer_size = 256\nperiods = 2\n"),
            ("[osc]\nports = [1]\n", "[osc]\nports = [1]\n[output]\nbuffer_size = 256\n"),
        ] {
            assert_eq!(with_size(before, 256), after);
        }
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/grooved.toml")).unwrap();
        let config = Config::parse(&with_size(&shipped, 256), Path::new("x.toml")).unwrap();
        assert_eq!(config.output.buffer_size, 256);
    }
}
