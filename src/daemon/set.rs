//! Reads the tables of sets.

use std::sync::Arc;

use crate::control::conductor::services::{MAX_SET, SetFile, SetJob};
use crate::media::library::Library;
use crate::sets::arrangement::in_order;
use crate::sets::track::Set;

/// Reads a table from the media roots.
///
/// # Errors
/// Why it cannot be read or played.
pub fn read(library: &Library, job: &SetJob) -> Result<SetFile, String> {
    let file = library.open(&job.path).map_err(|e| e.to_string())?;
    let folder = file.path().parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let set = Set::parse(&file.read_all(MAX_SET).map_err(|e| e.to_string())?)?;
    let tracks: Vec<_> = in_order(&set, job.order, job.seed).into_iter().map(Arc::new).collect();
    let faults = set.faults.len() as i64;
    let remarks: Vec<String> = set.faults.into_iter().chain(set.remarks).collect();
    match (tracks.is_empty(), remarks.first()) {
        (false, _) => Ok(SetFile { folder, tracks, faults, remarks }),
        (true, None) => Err("it has no rows; expected at least one".into()),
        (true, Some(first)) => Err(format!("none of its rows can be played; {first}")),
    }
}
