//! Command line of `grooved sections`: the flags of the older exporter, and more.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::daemon::{Failure, older_usage as usage};
use crate::engine::method::Method;
use crate::sections::cues::{self, Choice, Intro, Rule, Snap, Until};
use crate::sections::export::{Names, Settings};
use crate::sections::key::{Harmony, Key};
use crate::sections::number::decimal;
use crate::sections::part::{Format, Treatment};
use crate::sections::select::{BpmSource, KeySource, Selection, WantedKey, is_short};

/// Command line of `grooved sections`.
#[derive(Args)]
pub struct Flags {
    /// Folder of structure files (*.json, as all-in-one writes them)
    #[arg(value_name = "STRUCT_DIR")]
    pub folder: PathBuf,
    /// Another folder of structure files; may be repeated
    #[arg(long, value_name = "FOLDER")]
    pub also: Vec<PathBuf>,
    #[command(flatten)]
    pub select: Selecting,
    #[command(flatten)]
    pub cut: Cutting,
    #[command(flatten)]
    pub export: Exporting,
    #[command(flatten)]
    pub show: Showing,
}

/// Flags of the selection.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct Selecting {
    /// Select tracks around this BPM; also the BPM of the parts if --target-bpm is omitted
    #[arg(long, value_name = "BPM", value_parser = tempo, allow_negative_numbers = true)]
    pub bpm: Option<f64>,
    /// Greatest distance from --bpm
    #[arg(long, value_name = "BPM", value_parser = finite, default_value = "2", allow_negative_numbers = true)]
    pub delta: f64,
    /// Lowest BPM, 0 or less: tracks without a BPM too; with it or --bpm-max, --bpm does not select
    #[arg(long, value_name = "BPM", value_parser = finite, allow_negative_numbers = true)]
    pub bpm_min: Option<f64>,
    /// Highest BPM
    #[arg(long, value_name = "BPM", value_parser = finite, allow_negative_numbers = true)]
    pub bpm_max: Option<f64>,
    /// Select these keys, in any notation: Gm,C#,6A,11m
    #[arg(long, value_name = "LIST")]
    pub key: Option<String>,
    /// Keys that match besides those of --key: same, relative, adjacent, all or energy
    #[arg(long, value_name = "RULE", default_value = "same", value_parser = Harmony::from_str)]
    pub harmonic: Harmony,
    /// Notations in which a track's key may be written: auto, any [auto: as --key, else any if no track has that]
    #[arg(long, value_enum, value_name = "WHICH", default_value = "auto")]
    pub key_notation: Notation,
    /// Source of the BPM [default: rekordbox with --rekordbox-xml, else json]
    #[arg(long, value_enum, value_name = "SOURCE")]
    pub bpm_source: Option<BpmSource>,
    /// Source of the key
    #[arg(long, value_enum, value_name = "SOURCE", default_value = "first")]
    pub key_source: KeySource,
    /// Let half and double tempo count as the same: 61 and 244 are 122
    #[arg(long)]
    pub allow_half_double: bool,
    /// Rekordbox collection (XML) with BPM, keys, grids and hot cues
    #[arg(long, value_name = "FILE")]
    pub rekordbox_xml: Option<PathBuf>,
    /// Shortest part in seconds
    #[arg(long, value_name = "SECONDS", value_parser = positive, allow_negative_numbers = true, default_value = "0")]
    pub min_length: f64,
    /// Longest part in seconds
    #[arg(long, value_name = "SECONDS", value_parser = positive, allow_negative_numbers = true)]
    pub max_length: Option<f64>,
}

/// Flags of the part.
#[derive(Args)]
#[command(next_help_heading = "Part")]
pub struct Cutting {
    /// End the part with this section after its beginning, the window for mixing out [default: 6]
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true, conflicts_with_all = ["section", "bars"])]
    pub n_sections: Option<usize>,
    /// End the part with the K-th section of this label: chorus, chorus:2
    #[arg(long, value_name = "LABEL[:K]", conflicts_with = "bars")]
    pub section: Option<String>,
    /// Length of the part in bars; the last eight are the window for mixing out
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub bars: Option<usize>,
    /// Beginning of the part: intro (its end), first-downbeat or seconds
    #[arg(long, value_name = "PLACE", default_value = "intro", value_parser = beginning, allow_negative_numbers = true)]
    pub from: cues::From,
    /// Begin the part at this hot cue of the collection: A to H
    #[arg(long, value_name = "LETTER", value_parser = hot_cue, conflicts_with = "from", requires = "rekordbox_xml")]
    pub cue: Option<i32>,
    /// Move the part's times to the nearest mark within half a beat
    #[arg(long, value_enum, value_name = "MARK", default_value = "none")]
    pub snap: Snap,
    /// Intro that counts if there are several
    #[arg(long, value_enum, value_name = "WHICH", default_value = "last")]
    pub intro: Intro,
    /// Read segments in the order of the file and compare times exactly, as the older exporter did
    #[arg(long)]
    pub strict_segments: bool,
}

/// Flags of the export.
#[derive(Args)]
#[command(next_help_heading = "Export")]
pub struct Exporting {
    /// Export the parts and write this table; '-' is standard output
    #[arg(long, value_name = "FILE")]
    pub csv_out: Option<PathBuf>,
    /// Folder of the parts
    #[arg(long, value_name = "FOLDER", default_value = "parts_temp")]
    pub parts_dir: PathBuf,
    /// Folder in which the tracks' sounds are looked for first
    #[arg(long, value_name = "FOLDER")]
    pub audio_dir: Option<PathBuf>,
    /// BPM of the parts [default: --bpm, else each track's own]
    #[arg(long, value_name = "BPM", value_parser = finite, allow_negative_numbers = true)]
    pub target_bpm: Option<f64>,
    /// Method of changing tempo
    #[arg(long, value_enum, default_value = "hq")]
    pub method: How,
    /// Format of the parts
    #[arg(long, value_enum, default_value = "wav16")]
    pub format: Format,
    /// Sample rate of the parts in Hz, or keep
    #[arg(long, value_name = "HZ", default_value = "keep", value_parser = rate)]
    pub rate: Rate,
    /// Loudness of the parts in LUFS (EBU R 128); peaks stay below -1 dBTP
    #[arg(long, value_name = "LUFS", value_parser = finite, allow_negative_numbers = true)]
    pub normalise: Option<f64>,
    /// Length of the fades at both ends in milliseconds
    #[arg(long, value_name = "MS", value_parser = positive, allow_negative_numbers = true, default_value = "0")]
    pub fade: f64,
    /// Names of the parts: stem, path, hash, or a text with {stem}, {artist}, {title}, {bpm}, {key}
    #[arg(long, value_name = "NAMES", default_value = "stem", value_parser = names)]
    pub names: Names,
    /// Do not write the cut at the track's own tempo
    #[arg(long)]
    pub no_orig: bool,
    /// Keep parts that are up to date
    #[arg(long)]
    pub resume: bool,
    /// Write every part again (the default)
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    /// Number of threads [default: one per processor]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub jobs: Option<usize>,
    /// Write nothing; compute everything but the sound
    #[arg(long)]
    pub dry_run: bool,
}

/// Flags of the output.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct Showing {
    /// Print one JSON object per track instead of paths
    #[arg(long)]
    pub json: bool,
    /// Add columns to the table: bpm_json, bpm_rekordbox, key_camelot, method, warnings
    #[arg(long)]
    pub more_columns: bool,
    /// Give the reason for every track that is left out, and name parts that are not whole bars
    #[arg(long)]
    pub explain: bool,
    /// Name every track that the collection does not have
    #[arg(long, short)]
    pub verbose: bool,
    /// Progress on standard error: auto (a bar on a terminal), plain (a line per part) or none
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: Shown,
    /// Ignored; kept for compatibility
    #[arg(short, long, value_name = "FILE", hide = true)]
    pub output: Option<PathBuf>,
}

/// Notations in which a track's key may be written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Notation {
    Auto,
    Any,
}

/// Methods of changing tempo.
#[derive(Clone, Copy, ValueEnum)]
pub enum How {
    Hq,
    Wsola,
    Rate,
}

/// Ways of showing progress.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shown {
    Auto,
    Plain,
    None,
}

/// Sample rate of the parts; `None` keeps that of the source.
#[derive(Clone, Copy)]
pub struct Rate(Option<u32>);

fn finite(text: &str) -> Result<f64, String> {
    decimal(text).filter(|value| value.is_finite()).ok_or_else(|| "must be a finite number".into())
}

fn positive(text: &str) -> Result<f64, String> {
    finite(text).ok().filter(|value| *value >= 0.0).ok_or_else(|| "must be a number of at least 0".into())
}

fn tempo(text: &str) -> Result<f64, String> {
    finite(text).ok().filter(|bpm| *bpm > 0.0).ok_or_else(|| "must be a number above 0".into())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number of at least 1".into())
}

fn beginning(text: &str) -> Result<cues::From, String> {
    match text {
        "intro" => Ok(cues::From::Intro),
        "first-downbeat" => Ok(cues::From::FirstDownbeat),
        _ => match finite(text) {
            Ok(seconds) if seconds >= 0.0 => Ok(cues::From::Seconds(seconds)),
            _ => Err("must be intro, first-downbeat or seconds of at least 0".into()),
        },
    }
}

fn hot_cue(text: &str) -> Result<i32, String> {
    match text.as_bytes() {
        [letter] if (b'A'..=b'H').contains(&letter.to_ascii_uppercase()) => {
            Ok(i32::from(letter.to_ascii_uppercase() - b'A'))
        }
        _ => Err("must be a letter from A to H".into()),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        "keep" => Ok(Rate(None)),
        _ => match text.parse() {
            Ok(hz) if (8_000..=192_000).contains(&hz) => Ok(Rate(Some(hz))),
            _ => Err("must be keep, or from 8000 to 192000 Hz".into()),
        },
    }
}

/// Returns whether all braces belong to known names.
fn is_template(text: &str) -> bool {
    let known = ["{stem}", "{artist}", "{title}", "{bpm}", "{key}"];
    !known.iter().fold(text.to_string(), |text, name| text.replace(name, "")).contains(['{', '}'])
}

fn names(text: &str) -> Result<Names, String> {
    match text {
        "stem" => Ok(Names::Stem),
        "path" => Ok(Names::Path),
        "hash" => Ok(Names::Hash),
        _ if text.contains('{') && is_template(text) => Ok(Names::Template(text.into())),
        _ => Err("must be stem, path, hash, or a text with {stem}, {artist}, {title}, {bpm} or {key}".into()),
    }
}

/// Expands `~` where the shell did not, as in `--flag=~/x` and in scripts.
fn expand_home(path: &mut PathBuf) {
    if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), std::env::var_os("HOME")) {
        *path = Path::new(&home).join(rest);
    }
}

impl Flags {
    /// Expands `~` in all paths.
    pub fn expand_home(&mut self) {
        let Flags { folder, also, select, export, .. } = self;
        let optional = [&mut select.rekordbox_xml, &mut export.csv_out, &mut export.audio_dir];
        let optional = optional.into_iter().filter_map(Option::as_mut);
        [folder, &mut export.parts_dir].into_iter().chain(also).chain(optional).for_each(expand_home);
    }

    /// Returns what is selected.
    ///
    /// # Errors
    /// If arguments contradict each other.
    pub fn selection(&self) -> Result<Selection, Failure> {
        if self.show.json && self.export.csv_out.as_deref() == Some(Path::new("-")) {
            return Err(usage("--json and --csv-out - both write to standard output; choose one".into()));
        }
        if self.select.delta < 0.0 {
            return Err(usage(format!("--delta {}: must be 0 or more", self.select.delta)));
        }
        let bpm = match (self.select.bpm_min, self.select.bpm_max, self.select.bpm) {
            (None, None, None) => None,
            (None, None, Some(bpm)) => Some((bpm - self.select.delta, bpm + self.select.delta)),
            (low, high, _) => Some((low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY))),
        };
        if let Some((low, high)) = bpm.filter(|(low, high)| low > high) {
            return Err(usage(format!("--bpm-min {low} is above --bpm-max {high}")));
        }
        let without_bpm = self.select.bpm_min.is_some_and(|low| low <= 0.0);
        // Zero counts as omitted, as in the older exporter.
        let target = self.export.target_bpm.filter(|target| *target != 0.0).or(self.select.bpm);
        if let Some(target) = target.filter(|target| *target < 0.0) {
            return Err(usage(format!("--target-bpm {target}: must be above 0")));
        }
        let seconds = (self.select.min_length, self.select.max_length.unwrap_or(f64::INFINITY));
        if seconds.0 > seconds.1 {
            return Err(usage(format!("--min-length {} is above --max-length {}", seconds.0, seconds.1)));
        }
        let mut keys = Vec::new();
        for text in
            self.select.key.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|text| !text.is_empty())
        {
            let key: Key = text.parse().map_err(|e| usage(format!("--key: {e}")))?;
            keys.push(WantedKey { key, short_only: self.select.key_notation == Notation::Auto && is_short(text) });
        }
        let until = match (&self.cut.section, self.cut.bars) {
            (Some(section), _) => {
                let (label, k) = section.rsplit_once(':').unwrap_or((section, "1"));
                let k = at_least_one(k).map_err(|what| usage(format!("--section {section}: K {what}")))?;
                Until::Label(label.trim().into(), k)
            }
            (None, Some(bars)) => Until::Bars(bars),
            (None, None) => Until::Sections(self.cut.n_sections.unwrap_or(6)),
        };
        let choice = Choice {
            rule: if self.cut.strict_segments { Rule::Strict } else { Rule::ByTime },
            intro: self.cut.intro,
            from: self.cut.cue.map_or(self.cut.from, cues::From::HotCue),
            until,
            snap: self.cut.snap,
        };
        let default = if self.select.rekordbox_xml.is_some() { BpmSource::Rekordbox } else { BpmSource::Json };
        let bpm_source = self.select.bpm_source.unwrap_or(default);
        let key_source = self.select.key_source;
        let (half_double, harmony) = (self.select.allow_half_double, self.select.harmonic);
        Ok(Selection { bpm, without_bpm, half_double, bpm_source, keys, harmony, key_source, choice, target, seconds })
    }

    pub fn settings(&self) -> Settings {
        let treatment = Treatment {
            method: match self.export.method {
                How::Hq => Method::Hq,
                How::Wsola => Method::Wsola,
                How::Rate => Method::PlaybackRate,
            },
            format: self.export.format,
            rate: self.export.rate.0,
            fade_ms: self.export.fade.max(0.0),
            loudness: self.export.normalise,
        };
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Settings {
            folder: self.export.parts_dir.clone(),
            treatment,
            names: self.export.names.clone(),
            with_orig: !self.export.no_orig,
            resume: self.export.resume,
            jobs: self.export.jobs.unwrap_or_else(cores),
            sources: HashSet::new(),
            table: self.export.csv_out.clone().unwrap_or_default(),
        }
    }

    /// Returns whether the tags of a track's sound are needed for its BPM or key; `has_key` tells whether the key is
    /// known without them.
    pub fn needs_tags(&self, selection: &Selection, has_key: bool) -> bool {
        let key_counts = !selection.keys.is_empty() || self.export.csv_out.is_some();
        matches!(selection.bpm_source, BpmSource::FileTag | BpmSource::First)
            || selection.key_source == KeySource::FileTag
            || (selection.key_source == KeySource::First && key_counts && !has_key)
    }
}
