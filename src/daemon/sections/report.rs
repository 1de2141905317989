//! What `grooved sections` prints: selected tracks or objects on standard output, everything else on standard error.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::flags::Flags;
use crate::daemon::Failure;
use crate::sections::export::Outcome;
use crate::sections::key::Key;
use crate::sections::select::{Chosen, Reason, Selection};
use crate::sections::structure::{Structure, Structures};
use crate::sections::table::Row;

/// Writes lines to standard error, around the progress bar.
pub struct Log {
    /// The progress bar; hidden unless parts are exported.
    pub bar: ProgressBar,
}

impl Log {
    /// Writes a line.
    pub fn line(&self, text: &str) {
        // Paths and titles may contain anything.
        let text = format!("grooved: {}", text.replace(char::is_control, "?"));
        // Nobody may be reading it.
        self.bar.suspend(|| drop(writeln!(io::stderr(), "{text}")));
    }
}

/// Result for a track.
pub struct Fate<'a> {
    /// Its analysis.
    pub structure: &'a Structure,
    /// Its BPM in the Rekordbox collection.
    pub rekordbox: Option<f64>,
    /// Whether it was selected, and why not.
    pub result: Result<Chosen, Reason>,
    /// Index of its job, if it has one; else why not.
    pub job: Option<Result<usize, String>>,
    /// Outcome of the job.
    pub outcome: Option<Outcome>,
}

/// Writes to standard output.
///
/// # Errors
/// If it cannot be written.
pub fn to_stdout(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Own { code: 1, text: format!("standard output: {e}") })
        }
        // Whoever reads no further has seen enough.
        _ => Ok(()),
    }
}

/// Prints the selected tracks, or one object for each track.
///
/// # Errors
/// If nobody reads it any more.
pub fn print(flags: &Flags, selection: &Selection, structures: &Structures, fates: &[Fate]) -> Result<(), Failure> {
    let mut text = String::new();
    if flags.show.json {
        for bad in &structures.bad {
            let object = json!({"file": bad.file.display().to_string(), "status": "failed", "reason": bad.what});
            text += &format!("{object}\n");
        }
        for fate in fates {
            text += &format!("{}\n", object(fate, selection, flags.export.dry_run));
        }
    } else if flags.export.csv_out.as_deref() != Some(Path::new("-")) {
        for fate in fates.iter().filter(|fate| fate.result.is_ok()) {
            text += &fate.structure.name();
            text.push('\n');
        }
    }
    to_stdout(&text)
}

fn object(fate: &Fate, selection: &Selection, is_plan: bool) -> Value {
    let structure = fate.structure;
    let mut object = json!({
        "path": structure.path,
        "file": structure.file.display().to_string(),
        "bpm": {"json": structure.bpm, "rekordbox": fate.rekordbox, "used": null},
    });
    let status = match (&fate.result, &fate.job, &fate.outcome) {
        (Err(reason), ..) => {
            object["reason"] = reason.to_string().into();
            "skipped"
        }
        (Ok(_), Some(Err(what)), _) | (Ok(_), _, Some(Outcome::Failed(what))) => {
            object["reason"] = what.as_str().into();
            "failed"
        }
        (Ok(_), _, Some(Outcome::Stopped)) => {
            object["reason"] = "interrupted".into();
            "failed"
        }
        (Ok(_), _, Some(Outcome::Exported { row, remarks, .. })) => {
            object["part"] = part(row);
            object["warnings"] = remarks.as_slice().into();
            if is_plan { "planned" } else { "exported" }
        }
        (Ok(_), _, None) => "selected",
    };
    object["status"] = status.into();
    if let Ok(chosen) = &fate.result {
        object["bpm"]["used"] = json!(chosen.bpm);
        object["key"] = json!({
            "given": chosen.key,
            "camelot": chosen.known_key.map(Key::camelot),
            "open": chosen.known_key.map(Key::open),
        });
        let cues = &chosen.cues;
        let speed = chosen.bpm.map(|bpm| selection.target.unwrap_or(bpm) / bpm);
        let adjusted = |time: f64| speed.map(|speed| (time - cues.ini) / speed);
        object["cues"] = json!({
            "ini": cues.ini, "begin": cues.begin, "end": cues.end,
            "begin_adj": adjusted(cues.begin), "end_adj": adjusted(cues.end),
        });
    }
    object
}

fn part(row: &Row) -> Value {
    json!({
        "file": row.part, "orig": row.part_orig, "seconds": row.seconds,
        "speed": row.speed, "target_bpm": row.target_bpm,
    })
}

/// Prints how many tracks were selected, exported and left out.
pub fn summary(flags: &Flags, many: usize, fates: &[Fate], log: &Log) {
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
    let selected = count(|fate| fate.result.is_ok());
    let mut parts = vec![format!("{selected} selected")];
    if flags.export.csv_out.is_some() {
        let exported = count(|fate| matches!(&fate.outcome, Some(Outcome::Exported { .. })));
        let kept = count(|fate| matches!(&fate.outcome, Some(Outcome::Exported { kept: true, .. })));
        let verb = if flags.export.dry_run { "to export" } else { "exported" };
        parts.push(format!("{exported} {verb}"));
        let others = [
            (kept, "of them up to date"),
            (count(|fate| matches!(fate.job, Some(Err(_)))), "without sound"),
            (count(|fate| matches!(&fate.outcome, Some(Outcome::Failed(_)))), "failed"),
        ];
        parts.extend(others.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in fates.iter().filter_map(|fate| fate.result.as_ref().err()) {
        *reasons.entry(reason.kind()).or_default() += 1;
    }
    let mut text = format!("{many} tracks: {}", parts.join(", "));
    if many > fates.len() {
        text += &format!("; {} unreadable", many - fates.len());
    }
    if !reasons.is_empty() {
        let list: Vec<String> = reasons.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        let hint = if flags.show.explain { "" } else { "; --explain names them" };
        text += &format!("; {} left out ({}{hint})", reasons.values().sum::<usize>(), list.join(", "));
    }
    log.line(&text);
}
