//! A folder of small files that are either the old or the new ones, whatever happens in between.
//!
//! A thread of its own reads and writes, so that nobody waits for a disk. A file is written beside its place, forced to
//! the disk, and moved there in one step; a crash or a pulled plug leaves the old file or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// No file here is longer.
const MOST_BYTES: u64 = 1 << 20;

/// What can be asked for. Names are paths within the folder, such as `presets/evening.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Writes a file.
    Write(String, Vec<u8>),
    /// Reads a file.
    Read(String),
    /// Removes a file.
    Remove(String),
    /// Lists a folder's files.
    List(String),
}

/// A wish with the number by which its end will be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Comes back with the result.
    pub tag: u64,
    /// What is to be done.
    pub wish: Wish,
}

/// What came of a job.
#[derive(Debug)]
pub struct Kept {
    /// As given.
    pub tag: u64,
    /// The file's bytes for a read, names for a list, nothing otherwise.
    pub result: io::Result<Found>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was asked for.
    Nothing,
    /// A file's content.
    Bytes(Vec<u8>),
    /// Names of files.
    Names(Vec<String>),
}

/// Writes a file so that it is either the old or the new one.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    super::guard::may_block();
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    // The move itself must reach the disk as well.
    File::open(folder)?.sync_all()
}

/// Makes a folder ours for as long as the returned file lives; `None` if another daemon uses it.
pub fn claim(folder: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join(".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

/// Reads a file of sensible length.
pub fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    super::guard::may_block();
    let length = fs::metadata(path)?.len();
    if length > MOST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it has {length} bytes; at most {MOST_BYTES} would do"),
        ));
    }
    fs::read(path)
}

fn fulfil(folder: &Path, wish: Wish) -> io::Result<Found> {
    match wish {
        Wish::Write(name, bytes) => write_whole(&folder.join(name), &bytes).map(|()| Found::Nothing),
        Wish::Read(name) => read_whole(&folder.join(name)).map(Found::Bytes),
        Wish::Remove(name) => fs::remove_file(folder.join(name)).map(|()| Found::Nothing),
        Wish::List(name) => {
            let entries = match fs::read_dir(folder.join(name)) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Names(Vec::new())),
                Err(e) => return Err(e),
            };
            let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
            names.sort();
            Ok(Found::Names(names))
        }
    }
}

/// The thread.
pub struct Keeper {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread for `folder`; `deliver` is called on it with every result.
    pub fn start(folder: PathBuf, deliver: impl Fn(Kept) + Send + 'static) -> io::Result<Keeper> {
        let (jobs, inbox) = channel::<Job>();
        let thread = std::thread::Builder::new().name("keeper".into()).spawn(move || {
            while let Ok(job) = inbox.recv() {
                deliver(Kept { tag: job.tag, result: fulfil(&folder, job.wish) });
            }
        })?;
        Ok(Keeper { jobs: Some(jobs), thread: Some(thread) })
    }

    /// A sender of jobs.
    pub fn mail(&self) -> Option<Sender<Job>> {
        self.jobs.clone()
    }

    /// Ends the thread when all senders are gone and everything asked for is done.
    pub fn finish(mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_old_or_the_new_one() {
        let folder = std::env::temp_dir().join(format!("grooved-keeper-{}", std::process::id()));
        let path = folder.join("deep/state.json");
        write_whole(&path, b"old").unwrap();
        // What a crash in the middle of writing leaves behind changes nothing.
        std::fs::write(folder.join("deep/state.json.new"), b"ha").unwrap();
        assert_eq!(read_whole(&path).unwrap(), b"old");
        write_whole(&path, b"new").unwrap();
        assert_eq!(read_whole(&path).unwrap(), b"new");
        assert_eq!(
            fulfil(&folder, Wish::List("deep".into())).unwrap(),
            Found::Names(vec!["state.json".into()]),
            "nothing is left lying about"
        );
        assert_eq!(fulfil(&folder, Wish::List("none".into())).unwrap(), Found::Names(vec![]));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
