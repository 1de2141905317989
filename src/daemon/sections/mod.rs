//! `grooved sections`: exports mixable sections of analysed tracks, in place of the older `struct_loader.py`.

mod flags;
mod report;

use std::cell::LazyCell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use flags::Flags;
use flags::Shown;
use report::{Fate, Log, print, summary, to_stdout};

use super::{Failure, INTERRUPTED, interrupt, older_usage as usage};
use crate::media::decode::Decoder;
use crate::media::file::MediaFile;
use crate::sections::cues;
use crate::sections::export::{self, Job, Outcome, Settings};
use crate::sections::key::Key;
use crate::sections::lookup::Places;
use crate::sections::number::shortest;
use crate::sections::part::{PartFault, Watch};
use crate::sections::rekordbox::{Certainty, Collection, Found, Matcher};
use crate::sections::select::{Candidate, Chosen, Selection, is_short};
use crate::sections::source::SourceTags;
use crate::sections::structure::{Structure, Structures};
use crate::sections::table;

/// Exit code if some parts could not be exported.
const SOME_FAILED: u8 = 1;
/// Maximum size of a Rekordbox collection in bytes.
const MAX_XML: u64 = 1 << 30;

/// Runs `grooved sections`.
///
/// # Errors
/// With the exit code: 1 if some parts could not be exported, 2 if the command line is invalid or a folder or the
/// collection cannot be read, 130 after Ctrl-C.
pub fn run(flags: &mut Flags) -> Result<(), Failure> {
    flags.expand_home();
    let flags = &*flags;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    let log = Log { bar };
    let mut selection = flags.selection()?;
    let mut settings = flags.settings();
    let structures = read_structures(flags)?;
    for bad in &structures.bad {
        log.line(&format!("{}: {}; left out", bad.file.display(), bad.what));
    }
    let many = structures.good.len() + structures.bad.len();
    if many == 0 {
        log.line(&format!("no structure files (*.json) in {}", flags.folder.display()));
    }
    let collection = flags.select.rekordbox_xml.as_deref().map(read_collection).transpose()?;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let matcher = collection.as_ref().map(|collection| Matcher::new(collection, home.as_deref()));
    if let (Some(collection), Some(matcher)) = (&collection, &matcher) {
        collection.remarks.iter().chain(&matcher.conflicts()).for_each(|remark| log.line(remark));
    }
    let places = Places::new(flags.export.audio_dir.as_deref(), structures.good.iter());
    let candidates = candidates(flags, &selection, &structures, matcher.as_ref(), &places, &log);
    if !candidates.iter().any(|candidate| is_short(&selection.key_of(candidate))) {
        // A collection shown in Camelot notation, say.
        selection.keys.iter_mut().for_each(|wanted| wanted.short_only = false);
    }
    let mut fates: Vec<Fate> = candidates
        .iter()
        .map(|candidate| Fate {
            structure: candidate.structure,
            rekordbox: candidate.found.as_ref().and_then(|found| found.track.bpm),
            result: selection.choose(candidate),
            job: None,
            outcome: None,
        })
        .collect();
    for fate in &fates {
        let file = fate.structure.file.display();
        fate.structure.remarks.iter().for_each(|remark| log.line(&format!("{file}: {remark}")));
        match &fate.result {
            Err(reason) if flags.show.explain => log.line(&format!("{file}: {reason}; left out")),
            Err(_) => {}
            Ok(chosen) => {
                if flags.export.csv_out.is_none() {
                    chosen.remarks.iter().for_each(|remark| log.line(&format!("{file}: {remark}")));
                }
                if flags.show.explain {
                    explain_bars(chosen, &selection, &file.to_string(), &log);
                }
            }
        }
    }
    let mut exported = Ok(());
    if let Some(csv) = &flags.export.csv_out {
        let chosen: Vec<Option<Chosen>> = fates.iter().map(|fate| fate.result.as_ref().ok().cloned()).collect();
        let mut jobs = Vec::new();
        for ((fate, candidate), chosen) in fates.iter_mut().zip(&candidates).zip(&chosen) {
            let Some(chosen) = chosen else { continue };
            fate.job = Some(places.find(fate.structure).map(|sound| {
                jobs.push(job(candidate, chosen, sound, &selection, &settings));
                jobs.len() - 1
            }));
            if let Some(Err(what)) = &fate.job {
                log.line(&format!("{}: {what}", fate.structure.file.display()));
            }
        }
        settings.sources = sources(flags, &structures, &jobs);
        check_table(csv, &settings.sources)?;
        export::name_all(&mut jobs, &settings);
        let (outcomes, result) = match flags.export.dry_run {
            true => plan(&jobs, &settings, csv, flags, &log)?,
            false => export(&jobs, &settings, csv, flags, &log)?,
        };
        exported = result;
        let mut outcomes: Vec<Option<Outcome>> = outcomes.into_iter().map(Some).collect();
        for fate in &mut fates {
            if let Some(Ok(index)) = &fate.job {
                fate.outcome = outcomes.get_mut(*index).and_then(Option::take);
            }
        }
    }
    print(flags, &selection, &structures, &fates)?;
    summary(flags, many, &fates, &log);
    exported
}

fn read_structures(flags: &Flags) -> Result<Structures, Failure> {
    let mut all = Structures::default();
    for folder in std::iter::once(&flags.folder).chain(&flags.also) {
        let read = Structures::read(folder).map_err(|e| {
            usage(format!("STRUCT_DIR '{}': {e}; expected a folder of structure files", folder.display()))
        })?;
        all.extend(read);
    }
    Ok(all)
}

fn read_collection(path: &Path) -> Result<Collection, Failure> {
    let wrong = |what: String| usage(format!("--rekordbox-xml {}: {what}", path.display()));
    let bytes = MediaFile::open(path).and_then(|file| file.read_all(MAX_XML)).map_err(|e| wrong(e.to_string()))?;
    Collection::parse(&bytes).map_err(|e| wrong(e.to_string()))
}

/// Matches all structures with the collection.
fn candidates<'a>(
    flags: &Flags,
    selection: &Selection,
    structures: &'a Structures,
    matcher: Option<&'a Matcher<'a>>,
    places: &Places,
    log: &Log,
) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::with_capacity(structures.good.len());
    let (mut matched, mut missing) = (0, Vec::new());
    for structure in &structures.good {
        let file = structure.file.display();
        let sound = LazyCell::new(|| places.find(structure).ok());
        let found = matcher.and_then(|matcher| find(matcher, structure, || sound.as_deref()));
        match &found {
            Some(found) => {
                matched += 1;
                let how = match found.certainty {
                    Certainty::Exact => None,
                    Certainty::Tail => Some("the end of its path"),
                    Certainty::Name if sound.is_some() => Some("its name and duration"),
                    Certainty::Stem if sound.is_some() => Some("its name without extension, and duration"),
                    Certainty::Name => Some("its name; there is no sound to compare durations with"),
                    Certainty::Stem => Some("its name without extension; there is no sound to compare durations with"),
                };
                if let Some(how) = how {
                    let (name, line) = (&found.track.name, found.track.line);
                    log.line(&format!("{file}: taken for TRACK \"{name}\" (line {line}) by {how}; a guess"));
                }
            }
            None => missing.push(structure),
        }
        let tonality = found.as_ref().map_or("", |found| found.tonality);
        let has_key = [&structure.key, tonality].iter().any(|key| !key.trim().is_empty());
        let sound = if flags.needs_tags(selection, has_key) { sound.as_deref() } else { None };
        let tags = sound.map(SourceTags::read).unwrap_or_default();
        candidates.push(Candidate { structure, found, tags });
    }
    if matcher.is_some() {
        let more = if missing.is_empty() || flags.show.verbose { "" } else { " (--verbose names the others)" };
        log.line(&format!("Rekordbox: {matched} of {} tracks matched{more}", structures.good.len()));
        for structure in missing.iter().filter(|_| flags.show.verbose) {
            log.line(&format!("{}: '{}' is not in the collection", structure.file.display(), structure.path));
        }
    }
    candidates
}

/// Finds a track's entry in the collection; where only names agree, the duration of its sound must agree too.
fn find<'a, 's>(
    matcher: &'a Matcher<'a>,
    structure: &Structure,
    sound: impl FnOnce() -> Option<&'s Path>,
) -> Option<Found<'a>> {
    let found = matcher.find(&structure.path, None);
    if matches!(&found, Some(Found { certainty: Certainty::Exact | Certainty::Tail, .. })) {
        return found;
    }
    match sound().and_then(|sound| Decoder::open(sound).ok()) {
        Some(decoder) => matcher.find(&structure.path, Some(decoder.info().seconds())),
        None => found,
    }
}

/// The files that are read.
fn sources(flags: &Flags, structures: &Structures, jobs: &[Job]) -> HashSet<(u64, u64)> {
    let files = structures.good.iter().map(|good| &good.file).chain(structures.bad.iter().map(|bad| &bad.file));
    let files = files.chain(jobs.iter().map(|job| &job.sound)).chain(&flags.select.rekordbox_xml);
    files.filter_map(|file| export::identity(file)).collect()
}

fn explain_bars(chosen: &Chosen, selection: &Selection, file: &str, log: &Log) {
    let Some(bpm) = chosen.bpm else { return };
    let target = selection.target.unwrap_or(bpm);
    let off = cues::off_bars(&chosen.cues, target / bpm, target);
    if off > 0.005 {
        log.line(&format!("{file}: its part or its window for mixing out is {:.0} ms off whole bars", off * 1_000.0));
    }
}

fn job<'a>(
    candidate: &Candidate<'a>,
    chosen: &'a Chosen,
    sound: PathBuf,
    selection: &Selection,
    settings: &Settings,
) -> Job<'a> {
    let entry = candidate.found.as_ref().map(|found| found.track);
    let mut tags = SourceTags::read(&sound);
    if let Some(entry) = entry {
        let text = |text: &str| Some(text.trim().to_string()).filter(|text| !text.is_empty());
        tags.title = text(&entry.name).or(tags.title);
        tags.artist = text(&entry.artist).or(tags.artist);
    }
    let number = |bpm: Option<f64>| bpm.map(shortest).unwrap_or_default();
    Job {
        structure: candidate.structure,
        chosen,
        sound,
        tags,
        target: selection.target,
        name: String::new(),
        more: [
            number(candidate.structure.bpm),
            number(entry.and_then(|entry| entry.bpm)),
            chosen.known_key.map(Key::camelot).unwrap_or_default(),
            settings.treatment.method.name().into(),
        ],
    }
}

/// Result of every job, and whether the command as a whole succeeded.
type Results = (Vec<Outcome>, Result<(), Failure>);

/// Computes what an export would write.
fn plan(jobs: &[Job], settings: &Settings, csv: &Path, flags: &Flags, log: &Log) -> Result<Results, Failure> {
    let mut outcomes = Vec::new();
    let (mut bytes, mut failed) = (0, 0);
    for job in jobs {
        outcomes.push(match job.plan(settings) {
            Ok((row, size, remarks)) => {
                bytes += size;
                tell_remarks(job, &remarks, log);
                Outcome::Exported { row: Box::new(row), kept: false, remarks }
            }
            Err(what) => {
                failed += 1;
                log.line(&format!("{}: {what}; would not be exported", job.structure.file.display()));
                Outcome::Failed(what)
            }
        });
    }
    if csv == Path::new("-") {
        let rows = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Exported { row, .. } => Some(row),
            _ => None,
        });
        let text: String = rows.map(|row| row.line(flags.show.more_columns)).collect();
        to_stdout(&(table::header(flags.show.more_columns) + &text))?;
    }
    log.line(&format!("{} parts would take {:.1} MB", jobs.len() - failed, bytes as f64 / 1e6));
    Ok((outcomes, finished(failed, jobs.len(), false)))
}

fn finished(failed: usize, of: usize, stopped: bool) -> Result<(), Failure> {
    if stopped {
        return Err(Failure::Own { code: INTERRUPTED, text: "interrupted; --resume continues".into() });
    }
    match failed {
        0 => Ok(()),
        n => Err(Failure::Own { code: SOME_FAILED, text: format!("{n} of {of} parts could not be exported") }),
    }
}

fn tell_remarks(job: &Job, remarks: &[String], log: &Log) {
    for remark in remarks {
        log.line(&format!("{}: {remark}", job.structure.file.display()));
    }
}

/// Checks that the table can be written, before anything else is.
fn check_table(csv: &Path, sources: &HashSet<(u64, u64)>) -> Result<(), Failure> {
    let wrong = |what: &str| Err(usage(format!("--csv-out '{}': {what}", csv.display())));
    match csv.metadata() {
        Ok(meta) if meta.is_dir() => wrong("is a folder; expected a file"),
        Ok(meta) if sources.contains(&(meta.dev(), meta.ino())) => wrong("is read by this export; choose another name"),
        _ => Ok(()),
    }
}

/// Exports all jobs and writes the table.
fn export(jobs: &[Job], settings: &Settings, csv: &Path, flags: &Flags, log: &Log) -> Result<Results, Failure> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |e: io::Error| usage(format!("{path}: {e}"))
    };
    let orig = settings.folder.join("orig");
    fs::create_dir_all(if settings.with_orig { &orig } else { &settings.folder }).map_err(told(&settings.folder))?;
    // Held until the end.
    let lock = File::open(&settings.folder).map_err(told(&settings.folder))?;
    if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(usage(format!("--parts-dir '{}': another export is writing to it", settings.folder.display())));
    }
    [&settings.folder, &orig].into_iter().for_each(|folder| export::remove_drafts(folder));
    let watch = Arc::new(Watch::default());
    // Without it, Ctrl-C ends the process at once; drafts stay behind then, whole parts are still whole.
    let stopped = watch.clone();
    interrupt::call(move || stopped.stop.store(true, Relaxed));
    let write = |table: &mut dyn Write| export_to(table, jobs, settings, &watch, flags, log);
    let failed = |e: io::Error| Failure::Own { code: SOME_FAILED, text: format!("--csv-out {}: {e}", csv.display()) };
    if csv == Path::new("-") {
        return write(&mut io::stdout().lock()).map_err(failed);
    }
    let folder = csv.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(told(folder))?;
    }
    // A link stays, and what it leads to is replaced; pipes and devices are written to as they are.
    let place = csv.canonicalize().unwrap_or_else(|_| csv.into());
    if place.metadata().is_ok_and(|meta| !meta.is_file()) {
        return write(&mut File::options().write(true).open(&place).map_err(failed)?).map_err(failed);
    }
    let mut results = None;
    let replaced = export::replace(&place, |draft| {
        let io = |e: io::Error| PartFault::Failed(format!("--csv-out {}: {e}", csv.display()));
        let mut file = BufWriter::new(File::create(draft).map_err(io)?);
        results = Some(write(&mut file).map_err(io)?);
        file.flush().map_err(io)?;
        // The table of an earlier run may be complete.
        if watch.stop.load(Relaxed) && place.exists() { Err(PartFault::Stopped) } else { Ok(()) }
    });
    match (replaced, results) {
        (Ok(()) | Err(PartFault::Stopped), Some(results)) => Ok(results),
        (Err(fault), _) => Err(Failure::Own { code: SOME_FAILED, text: fault.to_string() }),
        (Ok(()), None) => Err(usage("nothing was exported".into())),
    }
}

fn export_to(
    table: &mut dyn Write,
    jobs: &[Job],
    settings: &Settings,
    watch: &Watch,
    flags: &Flags,
    log: &Log,
) -> io::Result<Results> {
    table.write_all(table::header(flags.show.more_columns).as_bytes())?;
    if flags.show.progress == Shown::Auto && io::stderr().is_terminal() {
        log.bar.set_draw_target(ProgressDrawTarget::stderr());
        log.bar.set_length(jobs.len() as u64);
        let style = ProgressStyle::with_template("{pos} of {len}  {wide_msg}  {prefix}  {eta} left");
        log.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }
    let begun = Instant::now();
    let times = || watch.written_ms.load(Relaxed) as f64 / 1_000.0 / begun.elapsed().as_secs_f64().max(1e-3);
    let mut outcomes = Vec::with_capacity(jobs.len());
    let mut failed_write = None;
    export::run(
        jobs,
        settings,
        watch,
        |now| {
            log.bar.set_message(now.name.replace(char::is_control, "?"));
            log.bar.set_prefix(format!("{:.0} × real time", times()));
            log.bar.set_position(now.done as u64);
        },
        |index, outcome| {
            let job = &jobs[index];
            let file = job.structure.file.display();
            match &outcome {
                Outcome::Exported { row, kept, remarks } => {
                    if let Err(e) = table.write_all(row.line(flags.show.more_columns).as_bytes()) {
                        watch.stop.store(true, Relaxed);
                        failed_write.get_or_insert(e);
                    }
                    tell_remarks(job, remarks, log);
                    if flags.show.progress == Shown::Plain {
                        let done = if *kept { "up to date" } else { "exported" };
                        log.line(&format!(
                            "{} of {}: {} {done}, {:.1} s",
                            index + 1,
                            jobs.len(),
                            row.part,
                            row.seconds
                        ));
                    }
                }
                Outcome::Failed(what) => log.line(&format!("{file}: {what}; not exported")),
                Outcome::Stopped => {}
            }
            outcomes.push(outcome);
        },
    );
    log.bar.finish_and_clear();
    if let Some(e) = failed_write {
        return Err(e);
    }
    let failed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Failed(_))).count();
    if flags.show.progress != Shown::None && watch.written_ms.load(Relaxed) > 0 {
        log.line(&format!("{:.0} × real time", times()));
    }
    let stopped = watch.stop.load(Relaxed);
    Ok((outcomes, finished(failed, jobs.len(), stopped)))
}
