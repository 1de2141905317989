//! Reads the tables of sets for the conductor, on threads of their own: their disks may hang.

use std::sync::Arc;

use super::{Failure, INTERRUPTED};
use crate::control::conductor::services::{MAX_SET, SetFile, SetJob};
use crate::control::conductor::sets::Ended;
use crate::media::library::Library;
use crate::sets::arrangement::in_order;
use crate::sets::track::Set;

/// Takes in what was read.
type Tell = Arc<dyn Fn(Result<SetFile, String>) + Send + Sync>;

/// Reads the tables of sets.
pub struct SetReader {
    /// Media roots.
    pub library: Library,
    tell: Tell,
}

impl SetReader {
    /// Creates a reader; `tell` takes in the results.
    pub fn new(library: Library, tell: impl Fn(Result<SetFile, String>) + Send + Sync + 'static) -> SetReader {
        SetReader { library, tell: Arc::new(tell) }
    }

    /// Reads a table on a new thread. The conductor asks for one at a time.
    pub fn start(&self, job: SetJob) {
        let (library, tell) = (self.library.clone(), self.tell.clone());
        let read = move || tell(read(&library, &job));
        if let Err(e) = std::thread::Builder::new().name("set".into()).spawn(read) {
            (self.tell)(Err(format!("no thread could be started to read it: {e}")));
        }
    }
}

/// Returns what a set that ended, or did not, means for the program that was started to play it.
///
/// # Errors
/// With exit code 1 if nothing could be played, 130 if it was interrupted.
pub fn outcome(ended: Option<&Ended>) -> Result<(), Failure> {
    let (code, text) = match ended {
        Some(Ended::Played(1..) | Ended::Stopped) => return Ok(()),
        Some(Ended::Played(0)) => (1, "set: no part of it could be played; the log says why"),
        Some(Ended::Failed(why)) => (1, why.as_str()),
        None => (INTERRUPTED, "set: interrupted before its end"),
    };
    Err(Failure::Own { code, text: text.into() })
}

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
