//! The client's command line, nothing else.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, CommandFactory, Parser, Subcommand};
use grooved::control::json;
use grooved::control::request::Message;
use grooved::control::table;
use grooved::control::value::Value;
use grooved::remote::ddsp::{self, Player};
use grooved::remote::live::{Heard, Live};
use grooved::remote::status::Status;
use grooved::remote::wire::{Wire, argument};
use grooved::remote::{bench, crowd, shell, watch};

/// Remote control of grooved.
///
/// Any control can be named as if it were a command: 'groovectl deck/a/level 0.5' sets it, 'groovectl deck/a/level'
/// tells it, 'groovectl preset save evening' and 'groovectl record start' do what they say, 'groovectl controls deck'
/// lists those with "deck" in their name. With a token, controls go over the WebSocket, else over OSC.
#[derive(Parser)]
#[command(name = "groovectl", version, allow_external_subcommands = true)]
struct Cli {
    /// Where the daemon runs
    #[arg(long, default_value = "127.0.0.1", global = true)]
    host: String,
    /// Its OSC port
    #[arg(long, default_value_t = 57_120, global = true)]
    port: u16,
    /// Its HTTP port (for watch, meter and log)
    #[arg(long, default_value_t = 8080, global = true)]
    http_port: u16,
    /// The token of a daemon on another machine [default: the environment's GROOVED_TOKEN]
    #[arg(long, global = true)]
    token: Option<String>,
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
    /// Watch it: decks, meters, tempo, underruns, log
    Watch,
    /// Print the output's levels, a line a second
    Meter,
    /// Print its log as it is written
    Log {
        /// From the oldest line it still has
        #[arg(long)]
        all: bool,
    },
    /// List the controls whose path holds a word (or fits a pattern with * and ?); one that fits alone is explained
    Controls {
        /// The word
        #[arg(default_value = "")]
        pattern: String,
    },
    /// Send an OSC message and print what comes back
    Send {
        /// The address, such as /set_tempo
        address: String,
        /// Its arguments: numbers are sent as numbers; i:3, f:3 and s:3 say which kind
        #[arg(allow_negative_numbers = true)]
        args: Vec<String>,
    },
    /// Send many controls a second; report losses and latency
    BenchControl {
        /// Controls per second
        #[arg(long, default_value_t = 500.0)]
        rate: f64,
        /// Seconds
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Send an evening of movement, and draw it and the tempo it makes, a line a second
    SimulateCrowd {
        /// How many times as fast as it would be
        #[arg(long, default_value_t = 60.0)]
        speed: f64,
        /// How long an evening
        #[arg(long, default_value_t = 6.0)]
        hours: f64,
    },
    /// Play an instrument over the DDSP stream
    Ddsp {
        #[command(subcommand)]
        what: Ddsp,
    },
    /// Measure the DDSP stream: from a control to the first frame that is changed by it
    Latency {
        /// How often
        #[arg(long, default_value_t = 100)]
        tries: usize,
        /// The stream's port
        #[arg(long, default_value_t = 8765)]
        ddsp_port: u16,
    },
    /// Print a script for shell completion: bash, zsh or fish
    Completion {
        /// The shell
        shell: String,
    },
    #[command(hide = true)]
    Complete { word: Option<String> },
    #[command(external_subcommand)]
    Control(Vec<String>),
}

#[derive(Subcommand)]
enum Ddsp {
    /// Play one note: a name (A4, C#5, Bb3) or a frequency in Hz
    Play {
        /// The note
        note: String,
        #[command(flatten)]
        how: How,
    },
    /// Play several notes together
    Chord {
        /// The notes
        #[arg(required = true)]
        notes: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Listen to what a new client hears, which is silence, and show that it comes on time
    Listen {
        #[command(flatten)]
        how: How,
    },
}

#[derive(Args)]
struct How {
    /// Loudness, 0 to 1
    #[arg(long, default_value_t = 0.7)]
    loudness: f64,
    /// How long, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Which instrument [default: the daemon's first]
    #[arg(long)]
    instrument: Option<String>,
    /// WAV file to write what is heard into
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// The stream's port
    #[arg(long, default_value_t = 8765)]
    ddsp_port: u16,
}

/// Why nothing came of it.
enum Trouble {
    /// The command line asks for something that cannot be.
    Usage(String),
    /// Nobody answers, or not as hoped.
    Unavailable(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Trouble {
        Trouble::Unavailable(why)
    }
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        // As grooved itself has it (sysexits.h).
        std::process::exit(if error.use_stderr() { 64 } else { 0 });
    });
    let (code, why) = match go(&cli) {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => return ExitCode::from(1),
        Err(Trouble::Usage(why)) => (64, why),
        Err(Trouble::Unavailable(why)) => (69, why),
    };
    eprintln!("groovectl: {why}");
    ExitCode::from(code)
}

/// Prints a line. Whoever reads may have had enough ('groovectl log | head'): then this is the end.
fn say(line: &dyn std::fmt::Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn go(cli: &Cli) -> Result<bool, Trouble> {
    if !(cli.timeout > 0.0 && cli.timeout <= 3600.0) {
        return Err(Trouble::Usage("--timeout: a number of seconds above 0 would be right".into()));
    }
    let wire = || Wire::open(&cli.host, cli.port, cli.timeout);
    let token = cli.token.clone().or_else(|| std::env::var("GROOVED_TOKEN").ok());
    let live = || {
        Live::connect(&cli.host, cli.http_port, token.as_deref(), Duration::from_secs_f64(cli.timeout.clamp(0.1, 60.0)))
    };
    match &cli.command {
        Command::Status { json } => {
            let status = Status::of(&wire()?.ask(Message::new("/groove/status", vec![]))?);
            match json {
                true => say(&serde_json::to_string(&status).map_err(|e| e.to_string())?),
                false => say(&status),
            }
            Ok(true)
        }
        Command::Ddsp { what } => {
            let (notes, how) = match what {
                Ddsp::Play { note, how } => (std::slice::from_ref(note), how),
                Ddsp::Chord { notes, how } => (notes.as_slice(), how),
                Ddsp::Listen { how } => (&[][..], how),
            };
            let pitches =
                notes.iter().map(|n| ddsp::pitch(n)).collect::<Result<Vec<_>, _>>().map_err(Trouble::Usage)?;
            let mut player = Player::connect(&cli.host, how.ddsp_port)?;
            let order = ddsp::Order {
                pitches,
                loudness: how.loudness,
                seconds: how.seconds,
                instrument: how.instrument.clone(),
                save: how.save.clone(),
            };
            Ok(player.play(&order, &mut |line| say(&line)).map(|()| true)?)
        }
        Command::Latency { tries, ddsp_port } => {
            say(&Player::connect(&cli.host, *ddsp_port)?.latency(*tries)?);
            Ok(true)
        }
        Command::Watch => Ok(watch::run(live).map(|()| true)?),
        Command::Meter => meter(live()?),
        Command::Log { all } => log(live()?, *all),
        Command::Controls { pattern } => controls(pattern),
        Command::Send { address, args } => {
            if !address.starts_with('/') {
                return Err(Trouble::Usage(format!("{address:?} is no OSC address; it begins with a slash")));
            }
            match &token {
                Some(_) => ask(live()?, "call", address, args, cli.timeout),
                None => send(&wire()?, address, args),
            }
        }
        Command::BenchControl { rate, seconds } => {
            if !(*rate >= 1.0 && *rate <= 100_000.0 && *seconds > 0.0 && *seconds <= 3_600.0) {
                return Err(Trouble::Usage("--rate from 1 to 100000 and --seconds up to 3600 would be right".into()));
            }
            let outcome = bench::run(&wire()?, *rate, *seconds)?;
            say(&outcome);
            Ok(outcome.answered == outcome.sent)
        }
        Command::SimulateCrowd { speed, hours } => {
            if !(*speed >= 1.0 && *speed <= 10_000.0 && *hours > 0.0 && *hours <= 24.0) {
                return Err(Trouble::Usage("--speed from 1 to 10000 and --hours up to 24 would be right".into()));
            }
            say(&" time   movement                       tempo (● now, │ where it goes)");
            Ok(crowd::run(&wire()?, *hours, *speed, |line| say(line)).map(|()| true)?)
        }
        Command::Completion { shell } => {
            let commands: Vec<String> =
                Cli::command().get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().into()).collect();
            let script = shell::script(shell, &commands).ok_or_else(|| {
                Trouble::Usage(format!("there is no completion for {shell}; bash, zsh or fish would be right"))
            })?;
            say(&script.trim_end());
            Ok(true)
        }
        Command::Complete { word } => {
            let vocabulary = table::vocabulary(false);
            shell::complete(&vocabulary, word.as_deref().unwrap_or("")).iter().for_each(|name| say(name));
            Ok(true)
        }
        Command::Control(words) => {
            let vocabulary = table::vocabulary(true);
            // 'preset save x' is 'preset/save x'.
            let joined = words.get(1).map(|second| shell::full_path(&format!("{}/{second}", words[0])));
            let joined = joined.filter(|path| vocabulary.find(path).is_some());
            let (path, args) = match joined {
                Some(path) => (path, &words[2..]),
                None => (shell::full_path(&words[0]), &words[1..]),
            };
            let (control, _) = vocabulary.find(&path).ok_or_else(|| {
                let nearest = vocabulary.unknown(&path).0;
                Trouble::Usage(format!("{}: neither a command nor a control; {nearest}", words[0]))
            })?;
            match (args.is_empty() && control.readable, &token) {
                (true, None) => send(&wire()?, "/groove/get", &[format!("s:{path}")]),
                (false, None) => send(&wire()?, &path, args),
                (true, Some(_)) => ask(live()?, "get", &path, args, cli.timeout),
                (false, Some(_)) => ask(live()?, "call", &path, args, cli.timeout),
            }
        }
    }
}

/// The same over the WebSocket.
fn ask(mut live: Live, op: &str, path: &str, args: &[String], timeout_s: f64) -> Result<bool, Trouble> {
    let args: Vec<Value> = args.iter().map(|a| argument(a)).collect::<Result<_, _>>().map_err(Trouble::Usage)?;
    let id = live.say(serde_json::json!({ "op": op, "path": path, "args": json::list(&args) }))?;
    let deadline = Instant::now() + Duration::from_secs_f64(timeout_s.clamp(0.1, 3_600.0));
    while Instant::now() < deadline {
        let Heard::Json(answer) = live.hear(deadline.saturating_duration_since(Instant::now()))? else { continue };
        if answer["id"] != id {
            continue;
        }
        let fine = answer["ok"] == true;
        match fine {
            true => say(&answer["result"]),
            false => say(&answer["error"]["message"].as_str().unwrap_or_default()),
        }
        return Ok(fine);
    }
    Err(Trouble::Unavailable(format!("no answer within {timeout_s:.1} s")))
}

/// Sends a message and prints what comes back; tells whether all was well.
fn send(wire: &Wire, address: &str, args: &[String]) -> Result<bool, Trouble> {
    let args = args.iter().map(|a| argument(a)).collect::<Result<_, _>>().map_err(Trouble::Usage)?;
    let mut fine = true;
    for answer in wire.ask(Message::new(address, args))? {
        let args: Vec<String> = answer.args.iter().map(Value::to_string).collect();
        say(&format!("{} {}", answer.address, args.join(" ")));
        fine &= answer.address != "/fail";
    }
    Ok(fine)
}

fn controls(pattern: &str) -> Result<bool, Trouble> {
    let vocabulary = table::vocabulary(false);
    if let Some((control, _)) = vocabulary.find(&shell::full_path(pattern)) {
        say(&shell::help(control).trim_end());
        return Ok(true);
    }
    let list = shell::list(&vocabulary, pattern);
    if list.is_empty() {
        return Err(Trouble::Usage(format!("no control has {pattern:?} in its path; 'groovectl controls' lists all")));
    }
    say(&list.trim_end());
    Ok(true)
}

fn meter(mut live: Live) -> Result<bool, Trouble> {
    live.subscribe(&["/meter/output/*"], 1.0, None)?;
    loop {
        let Heard::Json(message) = live.hear(Duration::from_secs(5))? else { continue };
        if message["push"] != "state" {
            continue;
        }
        let db = |v: &serde_json::Value| match v.as_f64() {
            Some(level) if level > 1e-5 => format!("{:6.1}", 20.0 * level.log10()),
            _ => "  -inf".into(),
        };
        let channels: Vec<String> = message["values"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(path, v)| {
                let name = path.rsplit('/').next().unwrap_or_default();
                format!("{name}: peak {} rms {} dB, limited {}", db(&v[3]), db(&v[1]), v[2])
            })
            .collect();
        say(&channels.join("   "));
    }
}

fn log(mut live: Live, all: bool) -> Result<bool, Trouble> {
    live.subscribe(&["/log/*"], 1.0, all.then_some(0))?;
    loop {
        let Heard::Json(message) = live.hear(Duration::from_secs(5))? else { continue };
        match message["push"].as_str() {
            Some("event") => {
                let level = message["path"].as_str().unwrap_or_default().trim_start_matches("/log/");
                say(&format!("{level:>5} {}", message["values"][0].as_str().unwrap_or_default()));
            }
            Some("gap") => say(&format!("  ... {} lines were missed", message["missed"])),
            _ => {}
        }
    }
}
