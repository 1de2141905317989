//! Command line of the client: parses flags and subcommands and calls `grooved::remote`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, CommandFactory, Parser, Subcommand};
use grooved::control::commands::json;
use grooved::control::commands::request::Message;
use grooved::control::commands::value::Value;
use grooved::control::commands::vocabulary::Kind;
use grooved::control::table;
use grooved::remote::ddsp::{self, StreamClient};
use grooved::remote::genome::{self, RenderJob};
use grooved::remote::live::{Live, LiveMessage};
use grooved::remote::status::Status;
use grooved::remote::wire::{Wire, argument};
use grooved::remote::{bench, crowd, dancers, shell, watch};

/// Control a running grooved.
///
/// Any control can be used as a command: 'groovectl deck/a/level 0.5' sets it, 'groovectl deck/a/level' prints its
/// value, 'groovectl preset save evening' saves a preset, 'groovectl record start' starts recording.
/// 'groovectl controls deck' lists the controls with "deck" in their name. With a token, controls are sent over the
/// WebSocket, otherwise over OSC.
#[derive(Parser)]
#[command(name = "groovectl", version, allow_external_subcommands = true)]
struct Cli {
    /// Host name or address of the daemon
    #[arg(long, default_value = "127.0.0.1", global = true)]
    host: String,
    /// OSC port of the daemon
    #[arg(long, default_value_t = 57_120, global = true)]
    port: u16,
    /// HTTP port of the daemon (for watch, meter, log and genome)
    #[arg(long, default_value_t = 8080, global = true)]
    http_port: u16,
    /// Token, needed if the daemon is on another machine [default: GROOVED_TOKEN from the environment]
    #[arg(long, global = true)]
    token: Option<String>,
    /// Seconds to wait for a reply
    #[arg(long, default_value_t = 2.0, global = true)]
    timeout: f64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the daemon's status
    Status {
        /// Print one JSON object on one line
        #[arg(long)]
        json: bool,
    },
    /// Watch the daemon live: decks, meters, tempo, underruns, log
    Watch,
    /// Print the output levels once per second
    Meter,
    /// Follow the daemon's log
    Log {
        /// Start at the oldest line still available
        #[arg(long)]
        all: bool,
    },
    /// List controls whose path contains a word or matches a pattern with * and ?; describe a control named in full
    Controls {
        /// Word or pattern
        #[arg(default_value = "")]
        pattern: String,
    },
    /// Set a control; use this for controls whose path is also the name of a command: groovectl set meter 3
    Set {
        /// Path of the control: deck/a/level is short for /groove/deck/a/level
        path: String,
        /// Values; numbers are sent as numbers, and i:3, f:3 or s:3 force the type
        #[arg(allow_negative_numbers = true)]
        values: Vec<String>,
    },
    /// Print the values of a control
    Get {
        /// Path of the control: deck/a/level is short for /groove/deck/a/level
        path: String,
    },
    /// Send an OSC message and print the replies
    Send {
        /// OSC address, such as /set_tempo
        address: String,
        /// Arguments; numbers are sent as numbers, and i:3, f:3 or s:3 force the type
        #[arg(allow_negative_numbers = true)]
        args: Vec<String>,
    },
    /// Send controls at a fixed rate and report losses and latency
    BenchControl {
        /// Controls per second
        #[arg(long, default_value_t = 500.0)]
        rate: f64,
        /// Duration in seconds
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Send an evening of simulated movement; print it and the resulting tempo once per second
    SimulateCrowd {
        /// Time-lapse factor (60 = an hour per minute)
        #[arg(long, default_value_t = 60.0)]
        speed: f64,
        /// Length of the evening in hours
        #[arg(long, default_value_t = 6.0)]
        hours: f64,
        /// Instead, dance to this many generations of the evolution of sounds; the more a sound pulses, the more
        #[arg(long, value_name = "GENERATIONS")]
        genomes: Option<u32>,
        /// With --genomes: seconds for which each sound is heard, 1 to 600
        #[arg(long, default_value_t = 3.0, requires = "genomes")]
        seconds: f64,
    },
    /// Play an instrument over the DDSP stream
    Ddsp {
        #[command(subcommand)]
        what: Ddsp,
    },
    /// Render a genome over the render socket and print how fast it came
    Genome {
        /// Id of the genome
        id: String,
        /// Length in seconds, up to genomes.duration of the daemon
        #[arg(default_value_t = 5.0)]
        seconds: f64,
        /// Pitch in semitones, -120 to 120
        #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
        note_delta: f64,
        /// Velocity, 0 to 1
        #[arg(long, default_value_t = 0.5)]
        velocity: f64,
        /// Write the sound to this WAV file
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
        /// Play the sound on this machine while it is received (with aplay)
        #[arg(long)]
        play: bool,
    },
    /// Measure the latency of the DDSP stream, from a control to the first frame it changes
    Latency {
        /// Number of measurements
        #[arg(long, default_value_t = 100)]
        tries: usize,
        /// Port of the DDSP stream
        #[arg(long, default_value_t = 8765)]
        ddsp_port: u16,
    },
    /// Print a shell completion script
    Completion {
        /// Shell: bash, zsh or fish
        shell: String,
    },
    #[command(hide = true)]
    Complete { word: Option<String> },
    /// Print the man page
    #[command(hide = true)]
    Man,
    #[command(external_subcommand)]
    Control(Vec<String>),
}

#[derive(Subcommand)]
enum Ddsp {
    /// Play one note: a name (A4, C#5, Bb3) or a frequency in Hz
    Play {
        /// Note name or frequency
        note: String,
        #[command(flatten)]
        how: How,
    },
    /// Play several notes together
    Chord {
        /// Note names or frequencies
        #[arg(required = true)]
        notes: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Receive the idle stream (silence) and report frame timing
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
    /// Duration in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Instrument [default: the daemon's first]
    #[arg(long)]
    instrument: Option<String>,
    /// Record the received sound to this WAV file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Port of the DDSP stream
    #[arg(long, default_value_t = 8765)]
    ddsp_port: u16,
}

/// Why a command failed.
enum Trouble {
    /// The command line is invalid (exit code 64).
    Usage(String),
    /// The daemon does not reply, or replies with something unexpected (exit code 69).
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
        // EX_USAGE, as in grooved itself; help and version are not errors.
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

/// Prints a line. Exits with 0 if the reader of a pipe has gone, as in `groovectl log | head`.
/// Controls whose path looks like the command `genome` with an id.
const GENOME_CONTROLS: [&str; 4] = ["next", "like", "dislike", "every"];

fn say(line: &dyn std::fmt::Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn go(cli: &Cli) -> Result<bool, Trouble> {
    if !(cli.timeout > 0.0 && cli.timeout <= 3600.0) {
        return Err(Trouble::Usage("--timeout: must be above 0 and up to 3600 s".into()));
    }
    let wire = || Wire::open(&cli.host, cli.port, cli.timeout);
    let token = cli.token.clone().or_else(|| std::env::var("GROOVED_TOKEN").ok());
    let live = || {
        Live::connect(&cli.host, cli.http_port, token.as_deref(), Duration::from_secs_f64(cli.timeout.clamp(0.1, 60.0)))
    };
    // With a token, controls go over the WebSocket, otherwise over OSC.
    let set = |path: &str, values: &[String]| match &token {
        Some(_) => ask(live()?, "call", path, values, cli.timeout),
        None => send(&wire()?, path, values),
    };
    let get = |path: &str| match &token {
        Some(_) => ask(live()?, "get", path, &[], cli.timeout),
        None => send(&wire()?, "/groove/get", &[format!("s:{path}")]),
    };
    match &cli.command {
        Command::Set { path, values } => set(&shell::full_path(path), values),
        Command::Get { path } => get(&shell::full_path(path)),
        Command::Man => {
            clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout()).map_err(|e| e.to_string())?;
            Ok(true)
        }
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
            let mut player = StreamClient::connect(&cli.host, how.ddsp_port)?;
            let order = ddsp::PlayJob {
                pitches,
                loudness: how.loudness,
                seconds: how.seconds,
                instrument: how.instrument.clone(),
                save: how.save.clone(),
            };
            Ok(player.play(&order, &mut |line| say(&line)).map(|()| true)?)
        }
        Command::Genome { id, .. } if GENOME_CONTROLS.contains(&id.as_str()) => {
            Err(Trouble::Usage(format!("'genome' renders a genome; did you mean 'groovectl genome/{id}'?")))
        }
        Command::Genome { id, seconds, note_delta, velocity, save, play } => {
            let (id, save) = (id.clone(), save.clone());
            let job =
                RenderJob { id, seconds: *seconds, note_delta: *note_delta, velocity: *velocity, save, play: *play };
            let timeout = Duration::from_secs_f64(cli.timeout.clamp(0.1, 60.0));
            match genome::render(&cli.host, cli.http_port, token.as_deref(), timeout, &job)? {
                genome::Outcome::Rendered(figures) => say(&figures),
                genome::Outcome::Refused(why) => {
                    eprintln!("groovectl: {why}");
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Command::Latency { tries, ddsp_port } => {
            say(&StreamClient::connect(&cli.host, *ddsp_port)?.latency(*tries)?);
            Ok(true)
        }
        Command::Watch => Ok(watch::run(live).map(|()| true)?),
        Command::Meter => meter(live()?),
        Command::Log { all } => log(live()?, *all),
        Command::Controls { pattern } => controls(pattern),
        Command::Send { address, args } => {
            if !address.starts_with('/') {
                return Err(Trouble::Usage(format!("{address:?} is not an OSC address; it must begin with a slash")));
            }
            match &token {
                Some(_) => ask(live()?, "call", address, args, cli.timeout),
                None => send(&wire()?, address, args),
            }
        }
        Command::BenchControl { rate, seconds } => {
            if !(*rate >= 1.0 && *rate <= 100_000.0 && *seconds > 0.0 && *seconds <= 3_600.0) {
                return Err(Trouble::Usage("--rate must be 1 to 100000, --seconds above 0 and up to 3600".into()));
            }
            let outcome = bench::run(&wire()?, *rate, *seconds)?;
            say(&outcome);
            Ok(outcome.answered == outcome.sent)
        }
        Command::SimulateCrowd { genomes: Some(generations), seconds, .. } => {
            if !(*generations >= 1 && *seconds >= 1.0 && *seconds <= 600.0) {
                return Err(Trouble::Usage("--genomes must be at least 1, --seconds 1 to 600".into()));
            }
            say(&" gen  genome               movement");
            Ok(dancers::run(&wire()?, i64::from(*generations), *seconds, |heard| say(heard)).map(|()| true)?)
        }
        Command::SimulateCrowd { speed, hours, .. } => {
            if !(*speed >= 1.0 && *speed <= 10_000.0 && *hours > 0.0 && *hours <= 24.0) {
                return Err(Trouble::Usage("--speed must be 1 to 10000, --hours above 0 and up to 24".into()));
            }
            say(&" time   movement                       tempo (● current, │ target)");
            Ok(crowd::run(&wire()?, *hours, *speed, |line| say(line)).map(|()| true)?)
        }
        Command::Completion { shell } => {
            let commands: Vec<String> =
                Cli::command().get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().into()).collect();
            let script = shell::script(shell, &commands).ok_or_else(|| {
                Trouble::Usage(format!("no completion for shell {shell:?}; expected bash, zsh or fish"))
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
            // 'preset save x' means 'preset/save x'.
            let joined = words.get(1).map(|second| shell::full_path(&format!("{}/{second}", words[0])));
            let joined = joined.filter(|path| vocabulary.find(path).is_some());
            let (path, args) = match joined {
                Some(path) => (path, &words[2..]),
                None => (shell::full_path(&words[0]), &words[1..]),
            };
            let (control, _) = vocabulary.find(&path).ok_or_else(|| {
                let commands = Cli::command();
                let own = shell::nearest(&words[0], commands.get_subcommands().map(clap::Command::get_name));
                let nearest = match own {
                    Some(name) => format!("did you mean '{name}'?"),
                    None => vocabulary.unknown(&path).to_string(),
                };
                Trouble::Usage(format!("{}: not a command or a control; {nearest}", words[0]))
            })?;
            let most = control.args.len();
            let takes_any = control.args.last().is_some_and(|arg| arg.kind == Kind::Rest);
            if args.len() > most && !takes_any {
                // The daemon ignores them, as the older servers did.
                let why = format!("{path}: {} arguments: expected at most {most}: {}", args.len(), control.usage());
                return Err(Trouble::Usage(why));
            }
            if args.is_empty() && control.readable { get(&path) } else { set(&path, args) }
        }
    }
}

/// Sends a request over the WebSocket and prints the result or the error. Returns whether it succeeded.
fn ask(mut live: Live, op: &str, path: &str, args: &[String], timeout_s: f64) -> Result<bool, Trouble> {
    let args: Vec<Value> = args.iter().map(|a| argument(a)).collect::<Result<_, _>>().map_err(Trouble::Usage)?;
    let id = live.say(serde_json::json!({ "op": op, "path": path, "args": json::list(&args) }))?;
    let deadline = Instant::now() + Duration::from_secs_f64(timeout_s.clamp(0.1, 3_600.0));
    while Instant::now() < deadline {
        let LiveMessage::Json(answer) = live.hear(deadline.saturating_duration_since(Instant::now()))? else {
            continue;
        };
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
    Err(Trouble::Unavailable(format!("no reply within {timeout_s:.1} s")))
}

/// Sends a message over OSC and prints the replies. Returns `false` if one of them is `/fail`.
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
        let LiveMessage::Json(message) = live.hear(Duration::from_secs(5))? else { continue };
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
        let LiveMessage::Json(message) = live.hear(Duration::from_secs(5))? else { continue };
        match message["push"].as_str() {
            Some("event") => {
                let level = message["path"].as_str().unwrap_or_default().trim_start_matches("/log/");
                say(&format!("{level:>5} {}", message["values"][0].as_str().unwrap_or_default()));
            }
            Some("gap") => say(&format!("  ... {} lines missed", message["missed"])),
            _ => {}
        }
    }
}
