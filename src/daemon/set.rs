//! Reads the tables of sets for the conductor, on threads of their own: their disks may hang.

use std::sync::Arc;

use super::Failure;
use crate::control::conductor::services::{MAX_SET, SetFile, SetJob};
use crate::control::conductor::sets::Ended;
use crate::media::library::Library;

/// Takes in what was read.
type Tell = Arc<dyn Fn(Result<SetFile, String>) + Send + Sync>;

/// Reads the tables of sets.
pub struct SetReader {
    /// Where they are looked for.
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
        let read = move || tell(read(&library, &job.path));
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
        None => (130, "set: interrupted"),
    };
    Err(Failure::Own { code, text: text.into() })
}

/// Reads a table from the media roots.
///
/// # Errors
/// Why it cannot be read.
pub fn read(library: &Library, path: &str) -> Result<SetFile, String> {
    let file = library.open(path).map_err(|e| e.to_string())?;
    let folder = file.path().parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    Ok(SetFile { bytes: file.read_all(MAX_SET).map_err(|e| e.to_string())?, folder })
}
