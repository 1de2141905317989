//! An open media file, shared by everything that reads it.
//!
//! A stem is read through one descriptor for as long as it is loaded. Renaming, replacing or deleting the path during
//! playback changes nothing of what is heard, and a path is never resolved twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use symphonia::core::io::MediaSource;

/// A regular file that is open for reading.
#[derive(Debug)]
pub struct MediaFile {
    file: File,
    path: PathBuf,
    len: u64,
    /// Bytes read so far.
    read: AtomicU64,
}

impl MediaFile {
    /// Opens a path. Devices, FIFOs and directories are refused without waiting for them.
    ///
    /// # Errors
    /// Those of `open`, and `InvalidInput` for anything but a regular file.
    pub fn open(path: &Path) -> io::Result<Arc<MediaFile>> {
        crate::system::guard::may_block();
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
        MediaFile::of(file, path)
    }

    /// Takes over a file that is open already; `path` is what it is called in messages.
    ///
    /// # Errors
    /// Those of `fstat`, and `InvalidInput` for anything but a regular file.
    pub fn of(file: File, path: &Path) -> io::Result<Arc<MediaFile>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(Arc::new(MediaFile { file, path: path.into(), len: metadata.len(), read: AtomicU64::new(0) }))
    }

    /// The path it was opened by, for messages and for its extension.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes in it when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it held nothing when it was opened.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads at a byte offset; independent of every [`Reader`]. Returns 0 at the end.
    ///
    /// # Errors
    /// Those of `pread`.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(into, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => {
                    self.read.fetch_add(read as u64, Relaxed);
                    return Ok(read);
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Bytes that were read so far, by all readers together.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// A reader with a position of its own, at the file's beginning.
    pub fn reader(self: &Arc<Self>) -> Reader {
        Reader { file: self.clone(), at: 0 }
    }
}

/// Reads a [`MediaFile`] from a position of its own.
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
            SeekFrom::End(by) => self.file.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a position before the beginning"))?;
        Ok(self.at)
    }
}

impl MediaSource for Reader {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.file.len)
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
        // What is open stays open, whatever becomes of its name.
        std::fs::write(path.with_extension("new"), b"abcdefghij").unwrap();
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
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let path = std::env::temp_dir().join(format!("grooved-media-fifo-{}", std::process::id()));
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the name ends with a zero byte and outlives the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        for wrong in [path.as_path(), Path::new("/dev/zero"), Path::new("/tmp")] {
            assert!(MediaFile::open(wrong).is_err(), "{}", wrong.display());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
