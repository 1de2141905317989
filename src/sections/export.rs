//! Exports the parts of the selected tracks: in parallel, with the same result whatever the number of threads.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use unicode_normalization::UnicodeNormalization;

use super::cues::{MIN_SECTION, TOLERANCE};
use super::part::{self, Cut, PartFault, Treatment, Watch};
use super::record::{self, Made, Record};
use super::select::Chosen;
use super::source::SourceTags;
use super::structure::Structure;
use super::table::Row;
use super::tags::Tags;
use crate::media::decode::{Decoder, Info, decoded_depth, pcm_depth};
use crate::media::file::MediaFile;

/// Interval at which progress is reported.
const REPORT: Duration = Duration::from_millis(100);

/// Maximum length of a part's name in bytes, without its endings.
const MAX_NAME: usize = 228;
/// Maximum number of threads.
const MOST_JOBS: usize = 64;

/// Naming scheme of parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Names {
    /// By the sound's file name.
    #[default]
    Stem,
    /// By the track's path.
    Path,
    /// By a hash of the track's path.
    Hash,
    /// By a text in which `{stem}`, `{artist}`, `{title}`, `{bpm}` and `{key}` are replaced.
    Template(String),
}

/// Settings of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Folder of the parts.
    pub folder: PathBuf,
    /// Treatment of the sounds.
    pub treatment: Treatment,
    /// How files are named.
    pub names: Names,
    /// Whether the cut at the track's own tempo is written too.
    pub with_orig: bool,
    /// Whether parts that are up to date are kept.
    pub resume: bool,
    /// Number of threads.
    pub jobs: usize,
    /// Files that are read, and must not be overwritten: device and inode.
    pub sources: HashSet<(u64, u64)>,
    /// The table, which no part may replace.
    pub table: PathBuf,
}

/// A part to be exported.
pub struct Job<'a> {
    /// The track's analysis.
    pub structure: &'a Structure,
    /// The track as selected.
    pub chosen: &'a Chosen,
    /// Its sound.
    pub sound: PathBuf,
    /// Its tags: of the collection or of the sound.
    pub tags: SourceTags,
    /// BPM of the part; `None`: the track's own.
    pub target: Option<f64>,
    /// Name of the part's file without extension; see [`name_all`].
    pub name: String,
    /// Values of the additional columns, up to the warnings.
    pub more: [String; 4],
}

/// Result of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The part is there.
    Exported {
        /// Its row of the table.
        row: Box<Row>,
        /// Whether it was there before.
        kept: bool,
        /// Remarks: one sentence each.
        remarks: Vec<String>,
    },
    /// The part could not be exported; why.
    Failed(String),
    /// The run ended before.
    Stopped,
}

/// State of an export.
pub struct Progress<'a> {
    /// Number of parts that are done.
    pub done: usize,
    /// Name of a part being made.
    pub name: &'a str,
}

/// Names the files of all parts, in order, so that none has that of another, nor of another track's part that is in the
/// folder already.
pub fn name_all(jobs: &mut [Job], settings: &Settings) {
    let mut taken = HashSet::new();
    for job in jobs {
        let base = base_name(job, &settings.names);
        let names = (1..).map(|k| if k == 1 { base.clone() } else { format!("{base}_{k}") });
        // Some file systems know neither case nor Unicode forms.
        let same = |name: &str| name.nfc().collect::<String>().to_lowercase();
        let is_free = |name: &String| {
            let record = settings.folder.join(format!("{name}_sectioned.json"));
            record::track_of(&record).is_none_or(|track| track == job.structure.path)
        };
        job.name = names.filter(is_free).find(|name| taken.insert(same(name))).unwrap_or_default();
    }
}

fn base_name(job: &Job, names: &Names) -> String {
    // A name has at most 255 bytes, with what is added to it.
    let short = |text: &str| text[..text.floor_char_boundary(MAX_NAME)].to_string();
    let stem = || short(&job.sound.file_stem().unwrap_or_default().to_string_lossy());
    let safe = |text: &str| short(&text.replace(['/', '\\', '\0'], "_"));
    match names {
        Names::Stem => stem(),
        Names::Path => {
            let path = Path::new(&job.structure.path).with_extension("");
            safe(path.to_string_lossy().trim_start_matches('/'))
        }
        Names::Hash => format!("{:016x}", fnv(job.structure.path.as_bytes())),
        Names::Template(template) => {
            let bpm = job.target.or(job.chosen.bpm).unwrap_or(0.0);
            let text = template
                .replace("{stem}", &stem())
                .replace("{artist}", job.tags.artist.as_deref().unwrap_or(""))
                .replace("{title}", job.tags.title.as_deref().unwrap_or(""))
                .replace("{bpm}", &bpm.to_string())
                .replace("{key}", job.chosen.key.trim());
            safe(&text.replace(char::is_control, "_"))
        }
    }
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo).
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Exports all jobs. `report` is called with the state about ten times per second, and `done` with every outcome, in
/// order of the jobs.
pub fn run(
    jobs: &[Job],
    settings: &Settings,
    watch: &Watch,
    mut report: impl FnMut(Progress),
    mut done: impl FnMut(usize, Outcome),
) {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..settings.jobs.min(MOST_JOBS).clamp(1, jobs.len().max(1)) {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    let Some(job) = jobs.get(index) else { return };
                    // A fault of this program in one track must not end the run either.
                    let made = catch_unwind(AssertUnwindSafe(|| job.make(settings, watch)));
                    let outcome = made.unwrap_or_else(|_| Outcome::Failed("internal error; please report it".into()));
                    if send.send((index, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting: Vec<Option<Outcome>> = jobs.iter().map(|_| None).collect();
        let (mut given, mut finished) = (0, 0);
        loop {
            match receive.recv_timeout(REPORT) {
                Ok((index, outcome)) => {
                    waiting[index] = Some(outcome);
                    finished += 1;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Some(outcome) = waiting.get_mut(given).and_then(Option::take) {
                done(given, outcome);
                given += 1;
            }
            let name = jobs.get(given).map_or("", |job| job.name.as_str());
            report(Progress { done: finished, name });
        }
    });
}

impl Job<'_> {
    /// Returns the ratio of the part's tempo to the track's, and both.
    ///
    /// # Errors
    /// If the tempo is unknown, or the part cannot have it.
    fn speed(&self, treatment: &Treatment) -> Result<(f64, f64, f64), String> {
        let bpm = self.chosen.bpm.ok_or("its BPM is unknown")?;
        let target = self.target.unwrap_or(bpm);
        let speed = target / bpm;
        treatment.check(speed).map_err(|what| format!("{bpm:.2} BPM cannot become {target:.2}: {what}"))?;
        Ok((bpm, target, speed))
    }

    /// Returns the row of the part without its length, and the files it will have.
    ///
    /// # Errors
    /// If the part cannot exist.
    fn row(&self, settings: &Settings) -> Result<(Row, Files), String> {
        let (bpm, target_bpm, speed) = self.speed(&settings.treatment)?;
        let cues = &self.chosen.cues;
        if cues.ini < 0.0 || cues.begin < cues.ini - TOLERANCE {
            return Err(format!(
                "its part would begin at {:.2} s and its window for mixing out at {:.2} s; expected 0 or later, in order",
                cues.ini, cues.begin
            ));
        }
        if cues.end - cues.ini < MIN_SECTION || cues.end < cues.begin {
            return Err(format!("its part would end at {:.2} s, but begins at {:.2} s", cues.end, cues.ini));
        }
        let name = format!("{}_sectioned", self.name);
        let files = Files {
            part: settings.folder.join(format!("{name}.{}", settings.treatment.format.extension())),
            orig: settings.with_orig.then(|| settings.folder.join("orig").join(format!("{name}.wav"))),
            record: settings.folder.join(format!("{name}.json")),
        };
        for file in [Some(&files.part), files.orig.as_ref(), Some(&files.record)].into_iter().flatten() {
            let is_source = identity(file).is_some_and(|file| settings.sources.contains(&file));
            if is_source || *file == settings.table {
                return Err(format!("its part would overwrite '{}'; choose another --parts-dir", file.display()));
            }
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let [a, b, c, d] = self.more.clone();
        let row = Row {
            path: self.structure.path.clone(),
            bpm,
            key: self.chosen.key.clone(),
            target_bpm,
            speed,
            ini: cues.ini,
            begin: cues.begin,
            end: cues.end,
            seconds: 0.0,
            part_orig: files.orig.as_deref().map(text).unwrap_or_default(),
            part: text(&files.part),
            more: [a, b, c, d, String::new()],
        };
        Ok((row, files))
    }

    /// Returns the row of the part as it will be, and the space its files will take in bytes.
    ///
    /// # Errors
    /// If the part could not be exported.
    pub fn plan(&self, settings: &Settings) -> Result<(Row, u64, Vec<String>), String> {
        let (mut row, _) = self.row(settings)?;
        let mut remarks = self.chosen.remarks.clone();
        let Source { info, from, to, .. } = self.open(&mut remarks)?;
        let rate = settings.treatment.rate.unwrap_or(info.sample_rate);
        let ratio = f64::from(rate) / f64::from(info.sample_rate);
        let frames = ((to - from) as f64 / row.speed * ratio).floor();
        row.seconds = frames / f64::from(rate);
        let channels = info.channels as f64;
        let mut bytes = frames * channels * f64::from(settings.treatment.format.bytes());
        if settings.with_orig {
            let depth = pcm_depth(&info).unwrap_or_else(|| decoded_depth(&info));
            bytes += (to - from) as f64 * channels * f64::from(depth.bytes());
        }
        row.more[4] = remarks.join("; ");
        Ok((row, bytes as u64, remarks))
    }

    /// Opens the sound and finds the frames of the cut.
    fn open(&self, remarks: &mut Vec<String>) -> Result<Source, String> {
        let file = MediaFile::open(&self.sound).map_err(|e| format!("its sound cannot be opened: {e}"))?;
        let info = Decoder::new(&file).map_err(|e| format!("its sound {e}"))?.info().clone();
        let (from, to) = self.frames(info.sample_rate, info.frames, remarks)?;
        Ok(Source { file, info, from, to })
    }

    /// Returns the frames of the cut.
    fn frames(&self, rate: u32, frames: u64, remarks: &mut Vec<String>) -> Result<(u64, u64), String> {
        let cues = &self.chosen.cues;
        let (rate, have) = (f64::from(rate), frames as f64);
        let at = |seconds: f64| (seconds * rate).round_ties_even().clamp(0.0, have) as u64;
        let (from, to) = (at(cues.ini), at(cues.end));
        let length = have / rate;
        if from >= to {
            return Err(format!("its part would begin at {:.2} s, but its sound ends at {length:.2} s", cues.ini));
        }
        if cues.end > length + 0.02 {
            let lost = if cues.begin >= length { ", before its window for mixing out" } else { "" };
            let end = cues.end;
            remarks.push(format!("its part would end at {end:.2} s; cut where its sound ends, at {length:.2} s{lost}"));
        }
        Ok((from, to))
    }

    fn make(&self, settings: &Settings, watch: &Watch) -> Outcome {
        if watch.stop.load(Relaxed) {
            return Outcome::Stopped;
        }
        match self.try_make(settings, watch) {
            Ok((row, kept, remarks)) => Outcome::Exported { row: Box::new(row), kept, remarks },
            Err(PartFault::Stopped) => Outcome::Stopped,
            Err(PartFault::Failed(what)) => Outcome::Failed(what),
        }
    }

    fn try_make(&self, settings: &Settings, watch: &Watch) -> Result<(Row, bool, Vec<String>), PartFault> {
        let failed = PartFault::Failed;
        let treatment = &settings.treatment;
        let (mut row, files) = self.row(settings).map_err(failed)?;
        let mut remarks = self.chosen.remarks.clone();
        let Source { file, info, from, to } = self.open(&mut remarks).map_err(failed)?;
        let title = self.tags.title.clone().unwrap_or_else(|| self.name.clone());
        let comment = format!(
            "cut {:.2}–{:.2} s of {} at speed {:.6}",
            row.ini,
            row.end,
            self.sound.file_name().unwrap_or_default().to_string_lossy(),
            row.speed
        );
        let tags = Tags {
            title,
            artist: self.tags.artist.clone().unwrap_or_default(),
            bpm: Some(row.target_bpm),
            key: self.chosen.known_key.map(|key| key.id3().to_string()).unwrap_or_default(),
            comment,
        };
        let record = Record {
            source: self.sound.to_string_lossy().into_owned(),
            bytes: file.len(),
            modified: modified(&self.sound),
            track: self.structure.path.clone(),
            analysis: analysis(self.structure, &self.chosen.key),
            from,
            to,
            speed: row.speed,
            treatment: format!("{treatment:?} {tags:?} {:?}", self.chosen.cues),
            part_orig: row.part_orig.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let known = if settings.resume { record::still_true(&files.record, &record) } else { None };
        let lasts = |path: &Path, frames: u64| Decoder::open(path).is_ok_and(|d| d.info().frames == frames);
        let kept = known.filter(|made| {
            lasts(&files.part, made.frames) && files.orig.as_deref().is_none_or(|orig| lasts(orig, to - from))
        });
        let is_kept = kept.is_some();
        let made = match kept {
            Some(made) => made,
            None => {
                // Beside a part that is being replaced, its record would not be true.
                let _ = fs::remove_file(&files.record);
                let cut = Cut { file: &file, info: &info, from, to };
                if let Some(orig) = &files.orig {
                    replace(orig, |draft| part::write_exact(cut, draft, watch))?;
                }
                let cues = [(row.begin_adj(), "mix out"), (row.end_adj(), "end")];
                let written =
                    replace(&files.part, |draft| treatment.write(cut, row.speed, (&tags, &cues), draft, watch))?;
                let made = Made { frames: written.frames, rate: written.rate, remarks: written.remarks };
                let name = files.part.file_name().unwrap_or_default().to_string_lossy();
                let key = self.chosen.key.trim();
                let (cues, bpm) = (&self.chosen.cues, row.target_bpm);
                let content = record::content(self.structure, (&name, key), cues, bpm, &record, &made);
                replace(&files.record, |draft| {
                    fs::write(draft, &content).map_err(|e| failed(format!("{}: {e}", draft.display())))
                })?;
                made
            }
        };
        row.seconds = made.frames as f64 / f64::from(made.rate);
        remarks.extend(made.remarks);
        row.more[4] = remarks.join("; ");
        Ok((row, is_kept, remarks))
    }
}

/// An opened sound and the frames of the cut.
struct Source {
    file: Arc<MediaFile>,
    info: Info,
    from: u64,
    to: u64,
}

/// Files of a part.
struct Files {
    part: PathBuf,
    orig: Option<PathBuf>,
    record: PathBuf,
}

/// Returns what tells a file from all others: device and inode.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Returns a hash of what a structure says of beats, segments and key.
fn analysis(structure: &Structure, key: &str) -> String {
    let Structure { beats, downbeats, segments, .. } = structure;
    format!("{:016x}", fnv(format!("{beats:?} {downbeats:?} {segments:?} {key:?}").as_bytes()))
}

/// Removes the drafts that a run left behind when it was killed. No other run may be writing to the folder.
pub fn remove_drafts(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b".") && name.ends_with(b".part") && name.windows(11).any(|w| w == b"_sectioned.") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn modified(path: &Path) -> i64 {
    let since = path
        .metadata()
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos() as i64)
}

/// Writes a file under another name first, so that no incomplete one is left behind.
pub fn replace<T>(path: &Path, write: impl FnOnce(&Path) -> Result<T, PartFault>) -> Result<T, PartFault> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    let draft = path.with_file_name(name);
    let written = write(&draft).and_then(|done| {
        fs::rename(&draft, path).map_err(|e| PartFault::Failed(format!("{}: {e}", path.display())))?;
        Ok(done)
    });
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}
