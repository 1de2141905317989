//! Bytes of an open file at any offset, through one small buffer.

use std::io;
use std::sync::Arc;

use crate::media::file::MediaFile;

/// Bytes read at a time while a file is read on.
const WINDOW: usize = 32 * 1024;

/// A file's bytes by offset.
#[derive(Debug)]
pub(super) struct Bytes {
    file: Arc<MediaFile>,
    window: usize,
    /// Where `buffer` lies in the file.
    start: u64,
    buffer: Vec<u8>,
}

impl Bytes {
    /// For reading on from place to place.
    pub fn new(file: &Arc<MediaFile>) -> Bytes {
        Bytes { file: file.clone(), window: WINDOW, start: 0, buffer: Vec::new() }
    }

    /// For looking at single places far apart: reads no more than `window` bytes at a time unless asked for more.
    pub fn sparse(file: &Arc<MediaFile>, window: usize) -> Bytes {
        Bytes { window, ..Bytes::new(file) }
    }

    /// The file's length.
    pub fn len(&self) -> u64 {
        self.file.len()
    }

    /// The file.
    pub fn file(&self) -> &Arc<MediaFile> {
        &self.file
    }

    /// The `n` bytes at `at`, or fewer where the file ends.
    ///
    /// # Errors
    /// Those of reading.
    pub fn peek(&mut self, at: u64, n: usize) -> io::Result<&[u8]> {
        let held = |b: &Bytes| at >= b.start && at + n as u64 <= b.start + b.buffer.len() as u64;
        if !held(self) {
            let want = n.max(self.window).min(self.len().saturating_sub(at) as usize);
            self.buffer.resize(want, 0);
            self.start = at;
            let mut got = 0;
            while got < want {
                match self.file.read_at(&mut self.buffer[got..], at + got as u64) {
                    Ok(0) => break,
                    Ok(more) => got += more,
                    Err(e) => {
                        self.buffer.clear();
                        return Err(e);
                    }
                }
            }
            self.buffer.truncate(got);
        }
        let from = ((at - self.start) as usize).min(self.buffer.len());
        let to = (from + n).min(self.buffer.len());
        Ok(&self.buffer[from..to])
    }

    /// Replaces `into` by the `n` bytes at `at`, or fewer where the file ends.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(&mut self, at: u64, n: usize, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        let bytes = self.peek(at, n)?;
        into.extend_from_slice(bytes);
        Ok(())
    }
}

/// A 16-bit number, low byte first; 0 beyond the end.
pub(super) fn le16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

/// A 32-bit number, low byte first; 0 beyond the end.
pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// A 64-bit number, low byte first; 0 beyond the end.
pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

/// A 16-bit number, high byte first; 0 beyond the end.
pub(super) fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

/// A 32-bit number, high byte first; 0 beyond the end.
pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

/// A 64-bit number, high byte first; 0 beyond the end.
pub(super) fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}

/// The number in four bytes of seven bits each, as in ID3v2 (id3.org, ID3v2.4 structure, 6.2).
pub(super) fn synchsafe(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| b.iter().fold(0, |n, b| n << 7 | u32::from(b & 0x7f)))
}
