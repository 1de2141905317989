//! What `grooved run-plan` does before anything sounds: it reads the plan and chooses where it is played.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::console::{Ended, FADE_S, Reader};
use super::flags::{Flags, Mode};
use super::link::Link;
use super::{Daemon, drive, report, tell};
use crate::config::Config;
use crate::control::commands::value::Value;
use crate::control::conductor::services::{MAX_PLAN, PlanJob};
use crate::daemon::failure::{Failure, older_usage as usage};
use crate::daemon::is_same_file;
use crate::daemon::opening::Opening;
use crate::daemon::plan as plan_file;
use crate::daemon::until::{Driver, Rest, Until};
use crate::media::file::MediaFile;
use crate::media::library::Library;
use crate::plans::document::Plan;
use crate::plans::range::Range;
use crate::plans::score::{Score, Wishes};

/// Host name of this machine.
const HERE: &str = "localhost";
/// Time in which this process's own engine must answer.
const OWN_ANSWER: Duration = Duration::from_secs(20);
/// Seconds that a render may last beyond the plan.
const SPARE_S: f64 = 60.0;

/// A plan that has been read from this machine's disk.
struct Reading {
    score: Score,
    wishes: Wishes,
    /// Folders of its sounds.
    folders: Vec<PathBuf>,
}

/// Does what `grooved run-plan` does without an engine of its own, and returns the rest.
///
/// # Errors
/// With exit code 2 if the command line or the plan is invalid, 1 if something could not be played, 3 without a daemon.
pub fn run(flags: &Flags, config: &Config) -> Result<Rest, Failure> {
    flags.check()?;
    let Reading { score, wishes, folders } = read(flags, config, &flags.plan)?;
    let whole = Range { first: 0, last: score.sections.len().saturating_sub(1), remark: None };
    let range = match flags.mode() {
        Mode::Info | Mode::List | Mode::Check => whole,
        // The daemon has the stems, this machine need not.
        _ if flags.place.host.is_some() && !flags.names_sections() => whole,
        _ => flags.range(&score)?,
    };
    if let Some((text, result)) = tell(flags, &score, &range) {
        print!("{text}");
        return result.map(|()| Rest::Done);
    }
    if let Some(out) = &flags.place.render {
        let sounds = score.sections.iter().flat_map(|section| &section.parts).map(|part| Path::new(&part.path));
        if let Some(file) = sounds.chain([flags.plan.as_path()]).find(|file| is_same_file(file, out)) {
            let name = file.display();
            return Err(usage(format!("--render: '{name}' is read by the render; choose another name")));
        }
        if flags.show.json {
            print!("{}", report::events(&score, &range, true));
        }
        let seconds = score.seconds() + SPARE_S * (1.0 + wishes.fade.unwrap_or(0.0) / score.bpm);
        let opening = opening(&score, &range, &wishes, folders);
        return Ok(Rest::Render { opening, until: Until::Plan, out: out.clone(), seconds });
    }
    let reader: Reader = {
        let (flags, config) = (flags.clone(), config.clone());
        Arc::new(move |path| read(&flags, &config, path.map_or(&flags.plan, Path::new)).map(|reading| reading.score))
    };
    let daemon = |host: &str, port| Daemon { host: host.into(), port, embedded: false };
    let elsewhere = match &flags.place.host {
        Some(host) => Some(daemon(host, flags.place.port)),
        None if flags.place.embedded => None,
        // A daemon that runs on this machine has its card.
        None => Link::open(HERE, flags.place.port, &channel().0).ok().map(|_| daemon(HERE, flags.place.port)),
    };
    if let Some(daemon) = elsewhere {
        // Of an own engine the log says so, and in interactive mode the console does.
        let sections = &score.sections[range.first..=range.last];
        let lacking = sections.iter().flat_map(|section| section.missing.iter().map(move |missing| (section, missing)));
        let lacking = lacking.map(|(section, missing)| format!("{}, {}: {}", section.key, missing.stem, missing.why));
        for line in score.remarks.iter().cloned().chain(lacking).filter(|_| flags.mode() == Mode::Full) {
            eprintln!("grooved: {}", report::clean(&line));
        }
        return drive(flags, score, range, wishes, &daemon, reader).map(|_| Rest::Done);
    }
    let port = free_port(config)?;
    let driver = Arc::new(Driver::default());
    let mut opening = Opening::default();
    folders.into_iter().for_each(|folder| opening.allow(folder));
    let run = {
        let (flags, driver) = (flags.clone(), driver.clone());
        move || driver.finish(drive_own(&flags, score, range, wishes, port, reader))
    };
    let thread = std::thread::Builder::new().name("run-plan".into()).spawn(run);
    thread.map_err(|e| Failure::Io(format!("run-plan: no thread could be started: {e}")))?;
    Ok(Rest::Play { opening, until: Until::Driver(driver), port: Some(port) })
}

/// Drives the engine of this process, once it answers.
fn drive_own(
    flags: &Flags,
    score: Score,
    range: Range,
    wishes: Wishes,
    port: u16,
    reader: Reader,
) -> Result<(), Failure> {
    let begun = Instant::now();
    while let Err(failure) = Link::open(HERE, port, &channel().0) {
        if begun.elapsed() > OWN_ANSWER {
            return Err(failure);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let daemon = Daemon { host: HERE.into(), port, embedded: true };
    let ended = drive(flags, score, range, wishes, &daemon, reader)?;
    if ended == Ended::Faded {
        std::thread::sleep(Duration::from_secs_f64(FADE_S));
    }
    Ok(())
}

/// Returns the calls of a render.
fn opening(score: &Score, range: &Range, wishes: &Wishes, folders: Vec<PathBuf>) -> Opening {
    let mut opening = Opening::default();
    folders.into_iter().for_each(|folder| opening.allow(folder));
    opening.call("/groove/plan/load", super::link::wished(&score.path, wishes));
    let range = super::follow::sections(score, range);
    opening.call("/groove/plan/play", vec![range.into(), Value::Int(0)]);
    opening
}

/// Returns an OSC port for this process: the configured one, or any if that is taken.
fn free_port(config: &Config) -> Result<u16, Failure> {
    let bound = |port: u16| UdpSocket::bind(("0.0.0.0", port)).and_then(|socket| socket.local_addr());
    let wanted = config.osc.ports.first().copied().unwrap_or(0);
    let found = bound(wanted).or_else(|_| bound(0));
    let port = found.map_err(|e| Failure::Ports(e.to_string()))?.port();
    if port != wanted {
        eprintln!("grooved: OSC port {wanted} is taken; listening on {port}");
    }
    Ok(port)
}

/// Reads a plan and finds its sounds on this machine.
fn read(flags: &Flags, config: &Config, path: &Path) -> Result<Reading, Failure> {
    let name = path.display();
    let failed = |why: String| usage(format!("plan '{name}': {why}"));
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let bytes = MediaFile::open(&path).and_then(|file| file.read_all(MAX_PLAN)).map_err(|e| failed(e.to_string()))?;
    let plan = Plan::parse(&bytes).map_err(failed)?;
    let wishes = flags.wishes(plan.base_bpm.unwrap_or(config.mixer.bpm))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut folders = vec![folder.to_path_buf()];
    let stems = plan.sections.iter().flat_map(|section| &section.stems);
    for place in stems.flat_map(|stem| plan_file::places(folder, &stem.file)) {
        // The folder of the songs: in that of one song, every other song's missing stem would be found by its mere name.
        // Names may be spelled in another form of Unicode, so that the song's folder may not be found as it is.
        let above = place.ancestors().skip(2).find(|folder| folder.is_dir());
        let near = above.filter(|folder| folder.components().count() > 2).or(place.parent());
        if let Some(near) = near.filter(|near| near.is_dir() && !folders.iter().any(|f| f == near)) {
            folders.push(near.into());
        }
    }
    folders.extend(flags.place.media.iter().map(|folder| std::path::absolute(folder).unwrap_or(folder.clone())));
    let roots: Vec<PathBuf> = folders.iter().chain(&config.media.roots).cloned().collect();
    let library = Library::new(&roots, config.media.follow_links);
    let job = PlanJob {
        serial: 0,
        path: path.display().to_string(),
        wishes: wishes.clone(),
        bpm: config.mixer.bpm,
        meter: config.mixer.meter as f64,
    };
    let score =
        plan_file::score(&library, &job, &bytes, folder).map_err(|why| usage(format!("plan '{name}': {why}")))?;
    Ok(Reading { score, wishes, folders })
}
