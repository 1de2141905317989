//! The client's command line, nothing else.

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use grooved::control::packet;
use grooved::control::request::Message;
use grooved::control::value::Value;

/// Remote control of grooved.
#[derive(Parser)]
#[command(name = "groovectl", version)]
struct Cli {
    /// Where the daemon runs
    #[arg(long, default_value = "127.0.0.1", global = true)]
    host: String,
    /// Its OSC port
    #[arg(long, default_value_t = 57_120, global = true)]
    port: u16,
    /// Seconds to wait for an answer
    #[arg(long, default_value_t = 2.0, global = true)]
    timeout: f64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what the daemon is doing
    Status {
        /// As one JSON object on one line
        #[arg(long)]
        json: bool,
    },
    /// Send an OSC message and print what comes back
    Send {
        /// The address, such as /set_tempo
        address: String,
        /// Its arguments: numbers are sent as numbers; i:3, f:3 and s:3 say which kind
        #[arg(allow_negative_numbers = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match go(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("groovectl: {why}");
            ExitCode::from(69)
        }
    }
}

/// A socket that speaks to one daemon.
struct Wire {
    socket: UdpSocket,
    peer: SocketAddr,
    timeout: Duration,
}

impl Wire {
    fn open(cli: &Cli) -> Result<Wire, String> {
        let peer = (cli.host.as_str(), cli.port)
            .to_socket_addrs()
            .map_err(|e| format!("--host {}: {e}", cli.host))?
            .next()
            .ok_or_else(|| format!("--host {}: no such host", cli.host))?;
        let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).and_then(|s| s.connect(peer).map(|()| s)).map_err(|e| e.to_string())?;
        if !(cli.timeout > 0.0 && cli.timeout <= 3600.0) {
            return Err("--timeout: a number of seconds above 0 would be right".into());
        }
        Ok(Wire { socket, peer, timeout: Duration::from_secs_f64(cli.timeout) })
    }

    /// Sends a message and then `/sync`, and gathers every answer up to its `/synced`.
    fn ask(&self, message: Message) -> Result<Vec<Message>, String> {
        let token = i64::from(std::process::id());
        let silent = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                format!("nobody listens on {}; is grooved running? (systemctl status grooved)", self.peer)
            }
            _ => format!("no answer from {} within {:.1} s ({e})", self.peer, self.timeout.as_secs_f64()),
        };
        for m in [message, Message::new("/sync", vec![Value::Int(token)])] {
            self.socket.send(&packet::encode(std::slice::from_ref(&m))?).map_err(silent)?;
        }
        let deadline = Instant::now() + self.timeout;
        let mut answers = Vec::new();
        let mut buffer = vec![0u8; 65_536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
            let n = match self.socket.recv(&mut buffer) {
                Ok(n) => n,
                // A load may take longer than anybody wants to wait; what came so far is worth showing.
                Err(_) if !answers.is_empty() => return Ok(answers),
                Err(e) => return Err(silent(e)),
            };
            for answer in packet::messages(&buffer[..n])? {
                if answer.address == "/synced" && answer.args.first().and_then(Value::as_int) == Some(token) {
                    return Ok(answers);
                }
                answers.push(answer);
            }
        }
    }
}

fn go(cli: &Cli) -> Result<bool, String> {
    let wire = Wire::open(cli)?;
    match &cli.command {
        Command::Status { json } => {
            let status = wire.ask(Message::new("/groove/status", vec![]))?;
            println!("{}", if *json { as_json(&status) } else { as_text(&status) });
            Ok(true)
        }
        Command::Send { address, args } => {
            if !address.starts_with('/') {
                return Err(format!("{address:?} is no OSC address; it begins with a slash"));
            }
            let args = args.iter().map(|a| argument(a)).collect::<Result<_, _>>()?;
            let answers = wire.ask(Message::new(address.as_str(), args))?;
            let mut fine = true;
            for answer in answers {
                let args: Vec<String> = answer.args.iter().map(Value::to_string).collect();
                println!("{} {}", answer.address, args.join(" "));
                fine &= answer.address != "/fail";
            }
            Ok(fine)
        }
    }
}

fn argument(text: &str) -> Result<Value, String> {
    let wrong = |kind: &str| format!("{text:?}: what follows the colon is not {kind}");
    match text.split_once(':') {
        Some(("i", rest)) => rest.parse().map(Value::Int).map_err(|_| wrong("a whole number")),
        Some(("f", rest)) => rest.parse().map(Value::Float).map_err(|_| wrong("a number")),
        Some(("s", rest)) => Ok(Value::from(rest)),
        _ => Ok(text
            .parse()
            .map(Value::Int)
            .or_else(|_| text.parse().map(Value::Float))
            .unwrap_or_else(|_| Value::from(text))),
    }
}

fn find<'a>(status: &'a [Message], name: &str) -> Option<&'a Message> {
    status.iter().find(|m| m.address.strip_prefix("/status/") == Some(name))
}

fn field(status: &[Message], name: &str, k: usize) -> Value {
    find(status, name).and_then(|m| m.args.get(k).cloned()).unwrap_or(Value::Int(0))
}

fn number(status: &[Message], name: &str, k: usize) -> f64 {
    field(status, name, k).as_float().unwrap_or(0.0)
}

fn as_json(status: &[Message]) -> String {
    use serde_json::json;
    let int = |name: &str, k: usize| field(status, name, k).as_int().unwrap_or(0);
    let all = |name: &'static str| status.iter().filter(move |m| m.address.strip_prefix("/status/") == Some(name));
    let arg = |m: &Message, k: usize| m.args.get(k).cloned().unwrap_or(Value::Int(0));
    let players: Vec<_> = all("player")
        .map(|m| {
            json!({
                "id": arg(m, 0).as_int(), "name": arg(m, 1).as_text(), "deck": arg(m, 2).as_text(),
                "position": arg(m, 3).as_float(), "volume": arg(m, 4).as_float(), "rate": arg(m, 5).as_float(),
                "loop": arg(m, 6).as_int() == Some(1),
            })
        })
        .collect();
    let buffers: Vec<_> = all("buffer")
        .map(|m| {
            json!({
                "id": arg(m, 0).as_int(), "name": arg(m, 1).as_text(), "deck": arg(m, 2).as_text(),
                "megabytes": arg(m, 3).as_float(), "seconds": arg(m, 4).as_float(), "state": arg(m, 5).as_text(),
            })
        })
        .collect();
    json!({
        "version": field(status, "version", 0).as_text(),
        "sample_rate": int("sample_rate", 0),
        "sample_time": int("clock", 0),
        "monotonic_ns": int("clock", 1),
        "tempo": number(status, "tempo", 0),
        "beat": number(status, "beat", 0),
        "levels": (0..4).map(|k| number(status, "levels", k)).collect::<Vec<_>>(),
        "master": number(status, "master", 0),
        "output": {
            "state": field(status, "output", 0).as_text(), "period": int("output", 1), "buffer": int("output", 2),
            "latency_frames": int("output", 3), "drift_ppm": number(status, "output", 5),
            "lost": int("output", 6), "adopted": int("output", 7),
        },
        "xruns": {
            "episodes": int("xruns", 0), "frames": int("xruns", 1), "late": int("xruns", 2), "slow": int("xruns", 3),
            "device": int("xruns", 4),
        },
        "load": { "mean": number(status, "load", 0), "worst": number(status, "load", 1) },
        "resident_mb": number(status, "load", 3),
        "faults": {
            "starved": int("faults", 0), "late": int("faults", 1), "refused": int("faults", 2),
            "lost_events": int("faults", 3), "realtime": int("faults", 4),
        },
        "buffers": buffers,
        "players": players,
    })
    .to_string()
}

fn as_text(status: &[Message]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let n = |name: &str, k: usize| number(status, name, k);
    let _ = writeln!(
        out,
        "grooved {}   {} Hz   {:.1} BPM   beat {:.1}",
        field(status, "version", 0).as_text(),
        n("sample_rate", 0),
        n("tempo", 0),
        n("beat", 0)
    );
    let _ = writeln!(
        out,
        "output    {}: period {}, buffer {}, latency {:.1} ms, drift {:.1} ppm; cards lost {}, adopted {}",
        field(status, "output", 0).as_text(),
        n("output", 1),
        n("output", 2),
        n("output", 4),
        n("output", 5),
        n("output", 6),
        n("output", 7)
    );
    let _ = writeln!(
        out,
        "underruns {} ({} frames lost; late {}, slow {}, device {})",
        n("xruns", 0),
        n("xruns", 1),
        n("xruns", 2),
        n("xruns", 3),
        n("xruns", 4)
    );
    let _ = writeln!(
        out,
        "load      {:.1} % of a period, worst {:.1} %; worst wake-up {:.2} ms; {:.1} MB resident",
        100.0 * n("load", 0),
        100.0 * n("load", 1),
        n("load", 2),
        n("load", 3)
    );
    let _ = writeln!(
        out,
        "levels    A {:.2}  B {:.2}  C {:.2}  D {:.2}   master {:.2}",
        n("levels", 0),
        n("levels", 1),
        n("levels", 2),
        n("levels", 3),
        n("master", 0)
    );
    let players: Vec<&Message> = status.iter().filter(|m| m.address == "/status/player").collect();
    let text = |m: &Message, k: usize| m.args.get(k).map(Value::as_text).unwrap_or_default();
    let value = |m: &Message, k: usize| m.args.get(k).and_then(Value::as_float).unwrap_or(0.0);
    for buffer in status.iter().filter(|m| m.address == "/status/buffer") {
        let player = players.iter().find(|p| p.args.first() == buffer.args.first());
        let doing = match player {
            Some(p) => format!("plays at {:.1} s, volume {:.2}, rate {:.3}", value(p, 3), value(p, 4), value(p, 5)),
            None => text(buffer, 5),
        };
        let _ = writeln!(
            out,
            "  {} {:>5} {:<24} {:>7.1} s  {}",
            text(buffer, 2).to_uppercase(),
            text(buffer, 0),
            text(buffer, 1),
            value(buffer, 4),
            doing
        );
    }
    out.trim_end().to_string()
}
