//! `grooved play-set`: plays the table of parts that `grooved sections` writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::opening::Opening;
use super::until::{Playlist, Rest, Until};
use super::{Failure, INTERRUPTED, interrupt, is_same_file, older_usage as usage};
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::conductor::services::MAX_SET;
use crate::media::file::MediaFile;
use crate::remote::wire::Wire;
use crate::sets::arrangement::in_order;
use crate::sets::mix::{Align, Curve, Mix};
use crate::sets::order::Order;
use crate::sets::timetable::{Times, playlist, timetable, without_overlaps};
use crate::sets::track::{Set, Track};

/// Time between two looks at a daemon that plays a set.
const LOOK: Duration = Duration::from_millis(500);

/// Beats per bar of a set's tracks.
const METER: f64 = 4.0;

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
    #[command(flatten)]
    mixing: Mixing,
    /// Print what will be played, and when at the tracks' own tempo
    #[arg(long, conflicts_with_all = ["render", "host", "again"])]
    dry_run: bool,
    /// Print one JSON object per line (with --dry-run or --host)
    #[arg(long)]
    json: bool,
    /// Write what was played to this file at the end, or with --dry-run what will be, in the format of the older player
    #[arg(long, value_name = "FILE")]
    playlist_out: Option<PathBuf>,
    /// With --dry-run: seconds before the first track, and from each load to the track's beginning
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    preload: f64,
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

/// Flags of how much is played, and how it is mixed.
#[derive(Args)]
#[command(next_help_heading = "Mixing")]
struct Mixing {
    /// End after this many tracks
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    limit: Option<u32>,
    /// Begin no other track after this many minutes
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    minutes: Option<f64>,
    /// Begin again after the last track
    #[arg(long = "loop", conflicts_with = "render")]
    again: bool,
    /// Decks on which tracks play in turn: ab, abc or abcd
    #[arg(long, value_name = "DECKS", default_value = "abc", value_parser = ["ab", "abc", "abcd"])]
    decks: String,
    /// Length of all fades in bars, or auto: that of the tracks' windows
    #[arg(long, value_name = "auto|BARS", default_value = "auto", value_parser = bars)]
    fade: f64,
    /// Curve of the fades: power, linear or cut
    #[arg(long, value_name = "CURVE", default_value = "power")]
    curve: Curve,
    /// What the equalisers do in a fade: swap (the low bands change places in its middle) or none
    #[arg(long, value_name = "EQ", default_value = "swap", value_parser = ["swap", "none"])]
    eq: String,
    /// What tracks begin on: beat, bar, or none (the cue itself)
    #[arg(long, value_name = "GRID", default_value = "beat")]
    align: Align,
}

fn at_least_one(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a whole number of at least 1".into())
}

fn bars(text: &str) -> Result<f64, String> {
    let bars = if text == "auto" { Some(0.0) } else { text.parse().ok().filter(|bars| (0.25..=64.0).contains(bars)) };
    bars.ok_or_else(|| "expected auto, or bars from 0.25 to 64".into())
}

impl Mixing {
    fn mix(&self) -> Result<Mix, Failure> {
        if let Some(minutes) = self.minutes.filter(|minutes| !(*minutes > 0.0 && *minutes <= 10_080.0)) {
            return Err(usage(format!("--minutes {minutes}: expected more than 0 and at most 10080")));
        }
        Ok(Mix {
            limit: self.limit.map(|limit| limit as usize),
            minutes: self.minutes,
            again: self.again,
            decks: self.decks.len(),
            fade: Some(self.fade).filter(|bars| *bars > 0.0),
            curve: self.curve,
            swaps_bass: self.eq == "swap",
            align: self.align,
        })
    }
}

/// Returns the arguments with which a set is played.
fn wished(mix: &Mix) -> Vec<Value> {
    let name = |names: &[(&'static str, bool)]| names.iter().find(|(_, is)| *is).map_or("", |(name, _)| name);
    vec![
        Value::Int(mix.limit.unwrap_or(0) as i64),
        mix.minutes.unwrap_or(0.0).into(),
        Value::Int(mix.again.into()),
        Value::Int(mix.decks as i64),
        mix.fade.unwrap_or(0.0).into(),
        name(&Curve::NAMES.map(|(name, curve)| (name, curve == mix.curve))).into(),
        Value::Int(mix.swaps_bass.into()),
        name(&Align::NAMES.map(|(name, align)| (name, align == mix.align))).into(),
    ]
}

/// Returns the tracks that a mix plays without movement, as it plays them.
fn mixed(tracks: Vec<Track>, mix: &Mix) -> Vec<Track> {
    let mixed = tracks.into_iter().take(mix.limit.unwrap_or(usize::MAX)).map(|mut track| {
        let seconds = |beats: f64| beats * 60.0 / track.target_bpm;
        let (mut begin, mut window) = (track.begin, track.end - track.begin);
        if mix.align == Align::Bar {
            begin = seconds(mix.align.snapped(track.beats(begin), METER));
        }
        if let Some(bars) = mix.fade {
            window = seconds(bars * METER);
        }
        (track.begin, track.end) = (begin, begin + window);
        track
    });
    let mut start = 0.0;
    let in_time = |track: &Track| {
        let begins = start;
        start += track.begin;
        mix.minutes.is_none_or(|minutes| begins < minutes * 60.0)
    };
    mixed.take_while(in_time).collect()
}

/// Runs what `grooved play-set` does without an engine of its own, and returns the rest.
///
/// # Errors
/// If the table cannot be read or played, or the daemon does not answer.
pub fn run(flags: &Flags) -> Result<Rest, Failure> {
    let mix = flags.mixing.mix()?;
    if flags.json && !flags.dry_run && flags.host.is_none() {
        return Err(usage("--json: goes with --dry-run or --host".into()));
    }
    if !(0.0..=3_600.0).contains(&flags.preload) {
        return Err(usage(format!("--preload {}: expected 0 to 3600", flags.preload)));
    }
    let (columns, tracks) = read(flags)?;
    check_list(flags, &tracks)?;
    if flags.dry_run {
        plan(flags, &columns, mixed(tracks, &mix))?;
        return Ok(Rest::Done);
    }
    let list = flags.playlist_out.clone().map(|to| Playlist { to, columns });
    let path = std::path::absolute(&flags.set).unwrap_or_else(|_| flags.set.clone());
    let load = vec![path.display().to_string().into(), flags.order.name().into(), Value::Int(i64::from(flags.seed))];
    if let Some(host) = &flags.host {
        drive(flags, host, (load, wished(&mix), tracks.len()), list)?;
        return Ok(Rest::Done);
    }
    let mut opening = Opening::default();
    opening.allow(path.parent().map(Path::to_path_buf).unwrap_or_default());
    opening.call("/groove/set/load", load);
    opening.call("/groove/set/play", wished(&mix));
    // Parts are looked for there, too.
    std::env::current_dir().into_iter().for_each(|folder| opening.allow(folder));
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
            Rest::Render { opening, until: Until::Set(list), out: out.clone(), seconds: 20.0 * seconds + 60.0 }
        }
        None => Rest::Play { opening, until: Until::Set(list), port: None },
    })
}

/// Checks that the playlist can be written, and is none of the files that are read or rendered.
fn check_list(flags: &Flags, tracks: &[Track]) -> Result<(), Failure> {
    let Some(to) = &flags.playlist_out else { return Ok(()) };
    let folder = flags.set.parent().unwrap_or(Path::new(""));
    let parts = tracks.iter().map(|track| folder.join(&track.part_file));
    let others = [Some(flags.set.clone()), flags.render.clone()].into_iter().flatten().chain(parts);
    let is_same =
        |file: &PathBuf| is_same_file(file, to) || std::path::absolute(file).ok() == std::path::absolute(to).ok();
    if let Some(file) = others.into_iter().find(is_same) {
        let name = file.display();
        return Err(usage(format!("--playlist-out: '{name}' is read or rendered; choose another name")));
    }
    // Not only hours later.
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(to);
    opened.map(drop).map_err(|e| usage(format!("--playlist-out {}: {e}", to.display())))
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
fn plan(flags: &Flags, columns: &[String], tracks: Vec<Track>) -> Result<(), Failure> {
    let (tracks, remarks) = without_overlaps(&tracks.iter().collect::<Vec<_>>());
    remarks.iter().for_each(|remark| eprintln!("grooved: {}: {remark}", flags.set.display()));
    let times = timetable(&tracks.iter().collect::<Vec<_>>(), flags.preload);
    let decks = flags.mixing.decks.to_ascii_uppercase();
    let deck = |k: usize| decks.chars().nth(k % decks.len()).unwrap_or('A');
    let rows: Vec<_> = times.into_iter().zip(&tracks).enumerate().map(|(k, (t, track))| (deck(k), t, track)).collect();
    print(&rows, flags.json);
    let folder = flags.set.parent().unwrap_or(Path::new(""));
    for track in &tracks {
        let places = [folder.join(&track.part_file), PathBuf::from(&track.part_file)];
        if !places.iter().any(|place| place.is_file()) {
            let (line, part) = (track.line, track.part_file.replace(char::is_control, "?"));
            eprintln!("grooved: {}: line {line}: part '{part}' is not there", flags.set.display());
        }
    }
    match &flags.playlist_out {
        Some(to) => write(to, &playlist(columns, &rows)),
        None => Ok(()),
    }
}

fn write(to: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(to, text).map_err(|e| usage(format!("--playlist-out {}: {e}", to.display())))
}

fn print(rows: &[(char, Times, &Track)], json: bool) {
    let clock = |seconds: f64| format!("{}:{:04.1}", (seconds / 60.0).floor(), seconds % 60.0);
    if !json {
        println!("{:>4} {:<4} {:>8} {:>8} {:>8} {:>7} {:>5}  file", "", "deck", "start", "cue", "end", "BPM", "key");
    }
    for (k, (deck, times, track)) in rows.iter().enumerate() {
        if json {
            let line = json!({
                "event": "track", "place": k + 1, "deck": deck, "file": track.part_file, "bpm": track.target_bpm,
                "key": track.key.trim(), "load": times.load, "start": times.start, "cue": times.cue, "end": times.end,
            });
            println!("{line}");
            continue;
        }
        println!(
            "{:>4} {:<4} {:>8} {:>8} {:>8} {:>7.2} {:>5}  {}",
            k + 1,
            deck,
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
fn drive(
    flags: &Flags,
    host: &str,
    (load, play, tracks): (Vec<Value>, Vec<Value>, usize),
    list: Option<Playlist>,
) -> Result<(), Failure> {
    let failed = |text: String| Failure::Own { code: 3, text };
    let wire = Wire::open(host, flags.port, 5.0).map_err(failed)?;
    let ask = |address: &str, args: Vec<Value>| -> Result<Vec<Message>, Failure> {
        let answers = wire.ask(Message::new(address, args)).map_err(failed)?;
        match answers.iter().find(|answer| answer.address == "/fail") {
            Some(fail) => Err(Failure::Own { code: 1, text: texts(fail) }),
            None => Ok(answers),
        }
    };
    let loaded = ask("/groove/set/load", load)?;
    // The daemon looks in its own folders, where another table may have this name.
    let count = loaded.iter().find(|answer| answer.address == "/done").and_then(|done| done.args.get(1)?.as_int());
    if let Some(count) = count.filter(|count| *count != tracks as i64) {
        let text = format!("--host {host}: the table of this name has {count} tracks there, and {tracks} here");
        return Err(Failure::Own { code: 1, text });
    }
    ask("/groove/set/play", play)?;
    // What was played, to be written at the end.
    let write_list = || -> Result<(), Failure> {
        let Some(list) = &list else { return Ok(()) };
        let mut told: Vec<Vec<Value>> = Vec::new();
        loop {
            let last = told.last().and_then(|args| args.first()).and_then(Value::as_int).unwrap_or(0);
            let from = Value::Int(last + 1);
            let answers = ask("/groove/set/played", vec![from])?;
            let more = answers.into_iter().filter(|answer| answer.address == "/status/set/played");
            let before = told.len();
            told.extend(more.map(|answer| answer.args));
            if told.len() == before {
                break;
            }
        }
        // Rows may have been added.
        let set = MediaFile::open(&flags.set).and_then(|file| file.read_all(MAX_SET)).map_err(|e| e.to_string());
        let set =
            set.and_then(|bytes| Set::parse(&bytes)).map_err(|e| usage(format!("{}: {e}", flags.set.display())))?;
        let row = |args: &Vec<Value>| {
            let seconds = |k: usize| args.get(k).and_then(Value::as_float).unwrap_or_default();
            let line = args.get(7).and_then(Value::as_int)?;
            let track = set.tracks.iter().find(|track| track.line as i64 == line)?;
            let deck = args.get(1).map(Value::as_text).and_then(|deck| deck.to_uppercase().chars().next());
            let times = Times { load: seconds(3), start: seconds(4), cue: seconds(5), end: seconds(6) };
            Some((deck.unwrap_or('A'), times, track))
        };
        list.write(&told.iter().filter_map(row).collect::<Vec<_>>())
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    interrupt::call(move || stopped.store(true, Relaxed));
    let mut told = String::new();
    loop {
        std::thread::sleep(LOOK);
        if stop.load(Relaxed) {
            ask("/groove/set/stop", Vec::new())?;
            write_list()?;
            return Err(Failure::Own { code: INTERRUPTED, text: "interrupted; the set fades out".into() });
        }
        let answers = ask("/groove/set/status", Vec::new())?;
        let Some(status) = answers.iter().find(|answer| answer.address == "/status/set") else { continue };
        let value = |k: usize| status.args.get(k).map(Value::as_text).unwrap_or_default();
        let place = status.args.get(1).and_then(Value::as_int).unwrap_or_default();
        let line = match flags.json {
            true => json!({"event": "status", "state": value(0), "place": place, "file": value(3)}).to_string(),
            false => texts(status),
        };
        if line != told {
            println!("{line}");
            told = line;
        }
        match status.args.first() {
            Some(Value::Text(state)) if matches!(&**state, "over" | "stopped" | "loaded" | "none") => {
                return write_list();
            }
            _ => {}
        }
    }
}

fn texts(message: &Message) -> String {
    message.args.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
