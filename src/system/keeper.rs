//! Storage of small files with atomic replacement.
//!
//! A separate thread reads and writes, so that no other thread waits for a disk. A file is written beside its
//! destination, synced, and renamed; a crash or a power failure leaves either the old file or the new one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// Maximum size of a file in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// Maximum number of files in a subfolder, and their total size in bytes.
pub const MOST_FILES: usize = 256;
const MOST_TOTAL: u64 = 16 << 20;
/// Bytes kept free on the disk, for the state.
const KEEP_FREE: u64 = 8 << 20;

/// A file operation. Names are paths within the folder, such as `presets/evening.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileRequest {
    /// Writes a file.
    Write(String, Vec<u8>),
    /// Reads a file.
    Read(String),
    /// Removes a file.
    Remove(String),
    /// Lists the files of a folder.
    List(String),
}

/// A file operation with a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileJob {
    /// Identifies the operation; returned with the result.
    pub tag: u64,
    /// The operation.
    pub wish: FileRequest,
}

/// The result of an operation.
#[derive(Debug)]
pub struct Kept {
    /// The tag of the operation.
    pub tag: u64,
    /// The content of a file for a read, names for a list, nothing otherwise.
    pub result: io::Result<Found>,
}

/// The data returned by an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No data.
    Nothing,
    /// The content of a file.
    Bytes(Vec<u8>),
    /// Names of files.
    Names(Vec<String>),
}

/// Writes a file atomically: afterwards it is either the old one or the new one.
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
    // The rename must reach the disk as well.
    File::open(folder)?.sync_all()
}

/// Claims a folder for this daemon for as long as the returned file lives; `None` if another daemon uses it.
pub fn claim(folder: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join(".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

/// Reads a regular file of limited size. FIFOs and devices are rejected without blocking on them.
///
/// # Errors
/// Those of opening and reading, and `InvalidData` if it is too long or not a regular file.
pub fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    super::guard::may_block();
    let wrong = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    if !file.metadata()?.is_file() {
        return wrong("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return wrong(format!("it has more than {MOST_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Renames an unusable file, without replacing another: `name` becomes `name.bad`, `name.bad.2` and so on. Returns the
/// new path.
///
/// # Errors
/// Those of renaming, and `AlreadyExists` if there are nine such files already.
pub fn put_aside(path: &Path) -> io::Result<PathBuf> {
    super::guard::may_block();
    for number in 1..10 {
        let mut aside = path.as_os_str().to_os_string();
        aside.push(if number == 1 { ".bad".into() } else { format!(".bad.{number}") });
        let aside = PathBuf::from(aside);
        if aside.symlink_metadata().is_err() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "nine set-aside files exist already; delete some"))
}

/// Rejects a new file if there are too many files or too little space.
fn make_sure_of_room(folder: &Path, path: &Path, bytes: usize) -> io::Result<()> {
    let Some(folder) = path.parent().filter(|parent| *parent != folder) else { return Ok(()) };
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let (mut files, mut total) = (0, bytes as u64);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        files += 1;
        total += entry.metadata().map_or(0, |m| m.len());
    }
    if files >= MOST_FILES {
        return Err(io::Error::other(format!("there are {files} already, the maximum; delete some")));
    }
    let room = rustix::fs::statvfs(folder.parent().unwrap_or(folder)).map_or(u64::MAX, |s| s.f_bavail * s.f_frsize);
    if room < bytes as u64 + KEEP_FREE {
        return Err(io::Error::other(format!(
            "only {room} bytes are free on the disk; they are reserved for the state"
        )));
    }
    if total > MOST_TOTAL {
        return Err(io::Error::other(format!("the total size would be {total} bytes; must be at most {MOST_TOTAL}")));
    }
    Ok(())
}

fn fulfil(folder: &Path, wish: FileRequest) -> io::Result<Found> {
    match wish {
        FileRequest::Write(name, bytes) => {
            let path = folder.join(name);
            make_sure_of_room(folder, &path, bytes.len())?;
            write_whole(&path, &bytes).map(|()| Found::Nothing)
        }
        FileRequest::Read(name) => read_whole(&folder.join(name)).map(Found::Bytes),
        FileRequest::Remove(name) => fs::remove_file(folder.join(name)).map(|()| Found::Nothing),
        FileRequest::List(name) => {
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

/// Handle of the storage thread.
pub struct Keeper {
    jobs: Option<Sender<FileJob>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread for `folder`; `deliver` is called on it with every result.
    pub fn start(folder: PathBuf, deliver: impl Fn(Kept) + Send + 'static) -> io::Result<Keeper> {
        let (jobs, inbox) = channel::<FileJob>();
        let thread = std::thread::Builder::new().name("keeper".into()).spawn(move || {
            while let Ok(job) = inbox.recv() {
                deliver(Kept { tag: job.tag, result: fulfil(&folder, job.wish) });
            }
        })?;
        Ok(Keeper { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Returns a sender of operations.
    pub fn mail(&self) -> Option<Sender<FileJob>> {
        self.jobs.clone()
    }

    /// Stops the thread once all senders are dropped and all operations are done.
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
        // A partial file left by a crash during writing has no effect.
        std::fs::write(folder.join("deep/state.json.new"), b"ha").unwrap();
        assert_eq!(read_whole(&path).unwrap(), b"old");
        write_whole(&path, b"new").unwrap();
        assert_eq!(read_whole(&path).unwrap(), b"new");
        assert_eq!(
            fulfil(&folder, FileRequest::List("deep".into())).unwrap(),
            Found::Names(vec!["state.json".into()]),
            "no temporary file is left"
        );
        assert_eq!(fulfil(&folder, FileRequest::List("none".into())).unwrap(), Found::Names(vec![]));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_number_of_files_is_bounded_and_those_that_are_there_can_be_written_again() {
        let folder = std::env::temp_dir().join(format!("grooved-keeper-many-{}", std::process::id()));
        let write = |k: usize| fulfil(&folder, FileRequest::Write(format!("presets/{k}.json"), b"x".to_vec()));
        for k in 0..MOST_FILES {
            write(k).unwrap();
        }
        assert!(write(MOST_FILES).unwrap_err().to_string().contains("256 already"));
        assert!(write(3).is_ok());
        assert!(
            fulfil(&folder, FileRequest::Write("state.json".into(), b"x".to_vec())).is_ok(),
            "the state is not a preset"
        );
        fulfil(&folder, FileRequest::Remove("presets/3.json".into())).unwrap();
        assert!(write(MOST_FILES).is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_put_aside_and_nothing_is_written_over() {
        let folder = std::env::temp_dir().join(format!("grooved-keeper-aside-{}", std::process::id()));
        let path = folder.join("state.json");
        for (text, aside) in [("one", "state.json.bad"), ("two", "state.json.bad.2")] {
            write_whole(&path, text.as_bytes()).unwrap();
            assert_eq!(put_aside(&path).unwrap(), folder.join(aside));
            assert_eq!(std::fs::read_to_string(folder.join(aside)).unwrap(), text);
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(read_whole(&path).unwrap_err().to_string().contains("regular file"));
        std::fs::write(folder.join("long"), vec![0; MOST_BYTES as usize + 1]).unwrap();
        assert!(read_whole(&folder.join("long")).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
