//! `grooved play-set`: plays the table of parts that `grooved sections` writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use clap::Args;

use super::plan::Plan;
use super::{Failure, INTERRUPTED, interrupt, is_same_file, older_usage as usage};
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::conductor::services::MAX_SET;
use crate::media::file::MediaFile;
use crate::remote::wire::Wire;
use crate::sets::arrangement::in_order;
use crate::sets::order::Order;
use crate::sets::timetable::{playlist, timetable, without_overlaps};
use crate::sets::track::{Set, Track};

/// Time between two looks at a daemon that plays a set.
const LOOK: Duration = Duration::from_millis(500);

/// Command line of `grooved play-set`.
#[derive(Args)]
pub struct Flags {
    /// Table of parts (CSV), as 'grooved sections' writes it
    #[arg(value_name = "SET.csv")]
    set: PathBuf,
    /// Order of the tracks: csv, shuffle, bpm-up, bpm-down, energy or key
    #[arg(long, value_name = "ORDER", default_value = "csv")]
    order: Order,
    /// Seed of the random order: the same seed gives the same order on every machine
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// Print what will be played, and when at the tracks' own tempo
    #[arg(long, conflicts_with_all = ["render", "host"])]
    dry_run: bool,
    /// Write the playlist of --dry-run to this file, in the format of the older player
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    playlist_out: Option<PathBuf>,
    /// Render the set into a WAV file (32-bit float), faster than real time; the same bytes every time
    #[arg(long, value_name = "OUT.wav", conflicts_with = "host")]
    pub render: Option<PathBuf>,
    /// Play it on a daemon that runs there; Ctrl-C stops the set
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// OSC port of that daemon
    #[arg(long, value_name = "PORT", default_value_t = 57_120, requires = "host")]
    port: u16,
}

/// What is left to be done after `grooved play-set` has looked at its command line.
pub enum Rest {
    /// Nothing.
    Done,
    /// Play the plan with this process's own engine and card.
    Play(Plan),
    /// Render the plan into a file, for at most this many seconds.
    Render(Plan, PathBuf, f64),
}

/// Runs what `grooved play-set` does without an engine of its own, and returns the rest.
///
/// # Errors
/// If the table cannot be read or played, or the daemon does not answer.
pub fn run(flags: &Flags) -> Result<Rest, Failure> {
    let (columns, tracks) = read(flags)?;
    if flags.dry_run {
        plan(flags, &columns, &tracks)?;
        return Ok(Rest::Done);
    }
    let path = std::path::absolute(&flags.set).unwrap_or_else(|_| flags.set.clone());
    let load = vec![path.display().to_string().into(), flags.order.name().into(), Value::Int(i64::from(flags.seed))];
    if let Some(host) = &flags.host {
        drive(host, flags.port, load)?;
        return Ok(Rest::Done);
    }
    let mut plan = Plan::default();
    plan.allow(path.parent().map(Path::to_path_buf).unwrap_or_default());
    plan.call("/groove/set/load", load);
    plan.call("/groove/set/play", Vec::new());
    Ok(match &flags.render {
        Some(out) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            let read = std::iter::once(path.clone()).chain(tracks.iter().map(|track| folder.join(&track.part_file)));
            if let Some(file) = read.into_iter().find(|file| is_same_file(file, out)) {
                return Err(usage(format!(
                    "--render: '{}' is read by the render; choose another name",
                    file.display()
                )));
            }
            // The clock has the first track's tempo, from which the others' may be far away.
            let seconds: f64 = tracks.iter().map(|track| track.end).sum();
            Rest::Render(plan, out.clone(), 20.0 * seconds + 60.0)
        }
        None => Rest::Play(plan),
    })
}

/// Reads the table and returns its tracks in order of play.
fn read(flags: &Flags) -> Result<(Vec<String>, Vec<Track>), Failure> {
    let name = flags.set.display();
    let bytes = MediaFile::open(&flags.set).and_then(|file| file.read_all(MAX_SET));
    let bytes = bytes.map_err(|e| usage(format!("set '{name}': {e}")))?;
    let set = Set::parse(&bytes).map_err(|e| usage(format!("set '{name}': {e}")))?;
    for line in set.faults.iter().chain(&set.remarks) {
        eprintln!("grooved: {name}: {line}");
    }
    let tracks = in_order(&set, flags.order, u64::from(flags.seed));
    if tracks.is_empty() {
        return Err(Failure::Own { code: 1, text: format!("set '{name}': no track of it can be played") });
    }
    Ok((set.columns, tracks))
}

/// Prints what will be played, and writes the playlist.
fn plan(flags: &Flags, columns: &[String], tracks: &[Track]) -> Result<(), Failure> {
    let (tracks, remarks) = without_overlaps(&tracks.iter().collect::<Vec<_>>());
    remarks.iter().for_each(|remark| eprintln!("grooved: {}: {remark}", flags.set.display()));
    print(&tracks);
    let Some(to) = &flags.playlist_out else { return Ok(()) };
    let times = timetable(&tracks.iter().collect::<Vec<_>>(), 0.0);
    let rows: Vec<_> = times.into_iter().zip(&tracks).enumerate().map(|(k, (t, track))| (deck(k), t, track)).collect();
    std::fs::write(to, playlist(columns, &rows)).map_err(|e| usage(format!("--playlist-out {}: {e}", to.display())))
}

/// Returns the deck of the k-th track.
fn deck(k: usize) -> char {
    char::from(b'A' + (k % 3) as u8)
}

fn print(tracks: &[Track]) {
    let clock = |seconds: f64| format!("{}:{:04.1}", (seconds / 60.0).floor(), seconds % 60.0);
    let references: Vec<&Track> = tracks.iter().collect();
    println!("{:>4} {:<4} {:>8} {:>8} {:>8} {:>7} {:>5}  file", "", "deck", "start", "cue", "end", "BPM", "key");
    for (k, (track, times)) in tracks.iter().zip(timetable(&references, 0.0)).enumerate() {
        println!(
            "{:>4} {:<4} {:>8} {:>8} {:>8} {:>7.2} {:>5}  {}",
            k + 1,
            deck(k),
            clock(times.start),
            clock(times.cue),
            clock(times.end),
            track.target_bpm,
            track.key.trim(),
            track.part_file.replace(char::is_control, "?")
        );
    }
}

/// Lets a daemon play the set, until it is over or Ctrl-C stops it.
fn drive(host: &str, port: u16, load: Vec<Value>) -> Result<(), Failure> {
    let failed = |text: String| Failure::Own { code: 3, text };
    let wire = Wire::open(host, port, 5.0).map_err(failed)?;
    let ask = |address: &str, args: Vec<Value>| -> Result<Vec<Message>, Failure> {
        let answers = wire.ask(Message::new(address, args)).map_err(failed)?;
        match answers.iter().find(|answer| answer.address == "/fail") {
            Some(fail) => Err(Failure::Own { code: 1, text: texts(fail) }),
            None => Ok(answers),
        }
    };
    ask("/groove/set/load", load)?;
    ask("/groove/set/play", Vec::new())?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    interrupt::call(move || stopped.store(true, Relaxed));
    let mut told = String::new();
    loop {
        std::thread::sleep(LOOK);
        if stop.load(Relaxed) {
            ask("/groove/set/stop", Vec::new())?;
            return Err(Failure::Own { code: INTERRUPTED, text: "interrupted; the set fades out".into() });
        }
        let answers = ask("/groove/set/status", Vec::new())?;
        let Some(status) = answers.iter().find(|answer| answer.address == "/status/set") else { continue };
        let line = texts(status);
        if line != told {
            println!("{line}");
            told = line;
        }
        match status.args.first() {
            Some(Value::Text(state)) if matches!(&**state, "over" | "stopped" | "loaded" | "none") => return Ok(()),
            _ => {}
        }
    }
}

fn texts(message: &Message) -> String {
    message.args.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
