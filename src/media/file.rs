//! An open media file, shared by all its readers.
//!
//! A stem is read through one descriptor for as long as it is loaded. Renaming, replacing or deleting the path during
//! playback does not affect playback, and a path is never resolved twice. Only when the disk itself fails (a stick was
//! pulled) is the file opened again, and only if it is still the same file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use symphonia::core::io::MediaSource;

use crate::system::time::monotonic_ns;

/// Publishes how long the current disk operation has taken, for threads that must not wait for it.
#[derive(Debug, Default)]
pub struct IoWatch {
    /// Start of the operation (monotonic clock, in nanoseconds); 0 if none is in progress.
    since: AtomicU64,
}

impl IoWatch {
    /// Runs an operation that may block on the disk.
    pub fn during<T>(&self, act: impl FnOnce() -> T) -> T {
        self.since.store(monotonic_ns().max(1), Relaxed);
        let result = act();
        self.since.store(0, Relaxed);
        result
    }

    /// Duration of the operation in progress so far; zero if there is none.
    pub fn waiting_for(&self) -> Duration {
        match self.since.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_nanos(monotonic_ns().saturating_sub(since)),
        }
    }
}

/// Properties by which a reopened file is recognised as the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    len: u64,
    modified: (i64, i64),
}

/// A way to open a file again.
pub trait Reopen: std::fmt::Debug + Send + Sync + std::panic::RefUnwindSafe {
    /// Opens the file. May block for as long as the disk does.
    ///
    /// # Errors
    /// If it no longer exists, or cannot be read.
    fn open(&self, watch: &Arc<IoWatch>) -> io::Result<Arc<MediaFile>>;
}

/// Content that is not on a disk.
pub trait RenderedContent: std::fmt::Debug + Send + Sync + std::panic::RefUnwindSafe {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// Reads at a byte offset; waits for content that is still being made. Returns the number of bytes read, 0 at the
    /// end.
    ///
    /// # Errors
    /// If the content will never be there; `WouldBlock` if it is not there within the time set.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Sets how long a read waits for content that is still being made; at first, for as long as it takes.
    fn be_patient_for(&self, time: Duration);
}

/// Where the bytes of a file come from.
#[derive(Debug)]
enum Content {
    Disk(File),
    Rendered(Box<dyn RenderedContent>),
}

/// Number of the device of rendered files; each has its own, so that none waits for another.
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(u64::MAX);

/// A regular file that is open for reading, or content that is read like one.
#[derive(Debug)]
pub struct MediaFile {
    content: Content,
    path: PathBuf,
    /// Where the file can be opened again.
    place: Option<Arc<dyn Reopen>>,
    device: u64,
    identity: Identity,
    watch: Arc<IoWatch>,
    /// `errno` of the last read error; 0 if there was none since the last query.
    failed: AtomicI32,
    /// Bytes read so far.
    read: AtomicU64,
}

impl MediaFile {
    /// Opens a path. Devices, FIFOs and directories are rejected without blocking on them.
    ///
    /// # Errors
    /// Those of `open`, and `InvalidInput` for anything but a regular file.
    pub fn open(path: &Path) -> io::Result<Arc<MediaFile>> {
        crate::system::guard::may_block();
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
        MediaFile::of(file, path, None, Arc::default())
    }

    /// Wraps an open file. `path` is used in messages, `place` says where the file can be opened again, and `watch`
    /// shows when its disk does not respond.
    ///
    /// # Errors
    /// Those of `fstat`, and `InvalidInput` for anything but a regular file.
    pub fn of(
        file: File,
        path: &Path,
        place: Option<Arc<dyn Reopen>>,
        watch: Arc<IoWatch>,
    ) -> io::Result<Arc<MediaFile>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let identity = Identity { len: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) };
        Ok(Arc::new(MediaFile {
            content: Content::Disk(file),
            path: path.into(),
            place,
            device: metadata.dev(),
            identity,
            watch,
            failed: AtomicI32::new(0),
            read: AtomicU64::new(0),
        }))
    }

    /// Wraps content that is not on a disk; `name` is used in messages.
    pub fn rendered(content: Box<dyn RenderedContent>, name: &Path) -> Arc<MediaFile> {
        let identity = Identity { len: content.size(), modified: (0, 0) };
        Arc::new(MediaFile {
            content: Content::Rendered(content),
            path: name.into(),
            place: None,
            device: NEXT_DEVICE.fetch_sub(1, Relaxed),
            identity,
            watch: Arc::default(),
            failed: AtomicI32::new(0),
            read: AtomicU64::new(0),
        })
    }

    /// Sets how long a read waits for content that is still being rendered; see [`RenderedContent`].
    pub fn be_patient_for(&self, time: Duration) {
        if let Content::Rendered(content) = &self.content {
            content.be_patient_for(time);
        }
    }

    /// Returns whether its content is not on a disk.
    pub fn is_rendered(&self) -> bool {
        matches!(self.content, Content::Rendered(_))
    }

    /// Opens the same file again after a disk failure.
    ///
    /// # Errors
    /// Those of opening, and `NotFound` if the path now leads to another file.
    pub fn again(&self) -> io::Result<Arc<MediaFile>> {
        crate::system::guard::may_block();
        if self.is_rendered() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "its render has ended; load it again"));
        }
        let file = self.watch.during(|| match &self.place {
            Some(place) => place.open(&self.watch),
            None => MediaFile::open(&self.path),
        })?;
        if file.identity != self.identity {
            return Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken its place; load it again"));
        }
        Ok(file)
    }

    /// The path by which it was opened; for messages and for its extension.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size in bytes when it was opened.
    pub fn len(&self) -> u64 {
        self.identity.len
    }

    /// Returns whether it was empty when it was opened.
    pub fn is_empty(&self) -> bool {
        self.identity.len == 0
    }

    /// Number of the device that holds the file.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Shows when its disk does not respond.
    pub fn watch(&self) -> &Arc<IoWatch> {
        &self.watch
    }

    /// Reads at a byte offset, independently of every [`Reader`]. Returns the number of bytes read, 0 at the end.
    ///
    /// # Errors
    /// Those of `pread`.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = match &self.content {
            Content::Disk(file) => file,
            Content::Rendered(content) => return content.read_at(into, offset),
        };
        loop {
            match self.watch.during(|| file.read_at(into, offset)) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failed.store(e.raw_os_error().unwrap_or(libc::EIO), Relaxed);
                    return Err(e);
                }
                Ok(read) => {
                    self.read.fetch_add(read as u64, Relaxed);
                    return Ok(read);
                }
            }
        }
    }

    /// Returns and clears the last read error. A decoder that probes the format of a file on a failing disk reports an
    /// unknown format; this is the real cause.
    pub fn take_error(&self) -> Option<io::Error> {
        match self.failed.swap(0, Relaxed) {
            0 => None,
            errno => Some(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Reads the whole file.
    ///
    /// # Errors
    /// Those of `pread`, and `InvalidData` if it has more than `most` bytes.
    pub fn read_all(&self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut block = [0u8; 16 * 1024];
        loop {
            // The size at opening is not reliable: the file may grow while it is read.
            match self.read_at(&mut block, bytes.len() as u64)? {
                0 => return Ok(bytes),
                n => bytes.extend_from_slice(&block[..n]),
            }
            if bytes.len() as u64 > most {
                let why = format!("it has more than {most} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
    }

    /// Bytes read so far, by all readers together.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Creates a reader with its own position, at the start of the file.
    pub fn reader(self: &Arc<Self>) -> Reader {
        Reader { file: self.clone(), at: 0 }
    }
}

/// Reads a [`MediaFile`] from its own position.
#[derive(Clone, Debug)]
pub struct Reader {
    file: Arc<MediaFile>,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.file.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at =
            at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "position before the start of the file"))?;
        Ok(self.at)
    }
}

impl MediaSource for Reader {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.file.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_a_file_and_keep_their_own_positions() {
        let path = std::env::temp_dir().join(format!("grooved-media-file-{}", std::process::id()));
        std::fs::write(&path, b"0123456789").unwrap();
        let file = MediaFile::open(&path).unwrap();
        // An open file stays readable, whatever happens to its path.
        std::fs::write(path.with_extension("new"), b"abcdefghijk").unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
        let (mut a, mut b) = (file.reader(), file.reader());
        let (mut four, mut rest) = ([0; 4], Vec::new());
        a.read_exact(&mut four).unwrap();
        b.seek(SeekFrom::End(-3)).unwrap();
        b.read_to_end(&mut rest).unwrap();
        assert_eq!((&four, rest.as_slice()), (b"0123", b"789".as_slice()));
        a.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"4567");
        assert!(a.seek(SeekFrom::Current(-9)).is_err());
        assert_eq!(file.read_all(10).unwrap(), b"0123456789");
        assert!(file.read_all(9).is_err());
        // The path now leads to another file.
        assert!(file.again().unwrap_err().to_string().contains("another file"));
        let fresh = MediaFile::open(&path).unwrap();
        assert_eq!(fresh.again().unwrap().read_all(99).unwrap(), b"abcdefghijk");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let path = std::env::temp_dir().join(format!("grooved-media-fifo-{}", std::process::id()));
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        for wrong in [path.as_path(), Path::new("/dev/zero"), Path::new("/tmp")] {
            assert!(MediaFile::open(wrong).is_err(), "{}", wrong.display());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
