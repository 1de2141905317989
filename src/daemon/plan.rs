//! Reads a plan and looks its sounds up.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use crate::control::conductor::services::{MAX_PLAN, PlanJob};
use crate::media::decode::Decoder;
use crate::media::file::MediaFile;
use crate::media::library::Library;
use crate::plans::document::Plan;
use crate::plans::score::{Score, Sound};

/// Endings of files that hold several stems.
const SEVERAL: [&str; 3] = [".stem.mp4", ".stem.m4a", "#stems"];

/// Reads a plan from the media roots.
///
/// # Errors
/// Why it cannot be read or played.
pub fn read(library: &Library, job: &PlanJob) -> Result<Score, String> {
    let file = library.open(&job.path).map_err(|e| e.to_string())?;
    let bytes = file.read_all(MAX_PLAN).map_err(|e| e.to_string())?;
    let folder = file.path().parent().unwrap_or(Path::new("/"));
    score(library, job, &bytes, folder)
}

/// Returns what will be played of the plan in `bytes`, whose relative paths begin at `folder`.
///
/// # Errors
/// If it is not a plan.
pub fn score(library: &Library, job: &PlanJob, bytes: &[u8], folder: &Path) -> Result<Score, String> {
    let plan = Plan::parse(bytes)?;
    Ok(Score::of(&plan, &job.path, &job.wishes, job.bpm, job.meter, |file| sound(library, folder, file)))
}

/// Returns the places at which a plan's file may lie, the best first.
pub fn places(folder: &Path, file: &str) -> Vec<PathBuf> {
    let here = std::env::current_dir().ok();
    let mut places: Vec<PathBuf> =
        [Some(folder.to_path_buf()), here].into_iter().flatten().map(|base| tidy(&base.join(file))).collect();
    places.dedup();
    places
}

/// Returns a path without `.` and `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(tidied.pop()),
            other => tidied.push(other),
        }
    }
    tidied
}

/// Finds a plan's file: relative to the plan, relative to the current folder, or by its longest tail under a media root.
fn find(library: &Library, folder: &Path, file: &str) -> Result<Arc<MediaFile>, String> {
    let places = places(folder, file);
    let open = |place: &PathBuf| library.open(&place.display().to_string());
    for place in &places {
        if let Ok(found) = open(place)
            && is_same_name(found.path(), place)
        {
            return Ok(found);
        }
    }
    let first = places.first().ok_or("there is no current folder")?;
    open(first).map_err(|e| e.to_string())
}

/// Returns whether two paths are equal up to the composition of accents.
fn is_same_name(a: &Path, b: &Path) -> bool {
    match (a.to_str(), b.to_str()) {
        (Some(a), Some(b)) => a.nfc().eq(b.nfc()),
        _ => a == b,
    }
}

fn sound(library: &Library, folder: &Path, file: &str) -> Result<Sound, String> {
    if SEVERAL.iter().any(|ending| file.to_ascii_lowercase().ends_with(ending)) {
        return Err(format!("file '{file}' holds several stems; expected a file for each stem"));
    }
    let found = find(library, folder, file)?;
    let decoder = Decoder::new(&found).map_err(|e| format!("file '{}': {e}", found.path().display()))?;
    let info = decoder.info();
    let path = found.path().display().to_string();
    Ok(Sound { path, seconds: info.seconds(), sample_rate: info.sample_rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tidied_and_begin_at_the_plan() {
        let found = places(Path::new("/x/plans"), "../stems/./A/b.wav");
        assert_eq!(found[0], Path::new("/x/stems/A/b.wav"));
        assert_eq!(places(Path::new("/x"), "/y/b.wav"), [Path::new("/y/b.wav")]);
        assert_eq!(tidy(Path::new("/../../a")), Path::new("/a"));
    }
}
