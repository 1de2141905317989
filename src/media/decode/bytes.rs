//! Buffered random access to the bytes of an open file, and number parsing.

use std::io;
use std::sync::Arc;

use crate::media::file::MediaFile;

/// Bytes read at a time in sequential reading.
const WINDOW: usize = 32 * 1024;

/// Buffered access to a file by offset.
#[derive(Debug)]
pub(super) struct Bytes {
    file: Arc<MediaFile>,
    window: usize,
    /// Offset of `buffer` in the file.
    start: u64,
    buffer: Vec<u8>,
}

impl Bytes {
    /// Creates a buffer for mostly sequential reading.
    pub fn new(file: &Arc<MediaFile>) -> Bytes {
        Bytes { file: file.clone(), window: WINDOW, start: 0, buffer: Vec::new() }
    }

    /// Creates a buffer for distant single places: reads at most `window` bytes at a time unless more are requested.
    pub fn sparse(file: &Arc<MediaFile>, window: usize) -> Bytes {
        Bytes { window, ..Bytes::new(file) }
    }

    /// Size of the file in bytes.
    pub fn len(&self) -> u64 {
        self.file.len()
    }

    /// The underlying file.
    pub fn file(&self) -> &Arc<MediaFile> {
        &self.file
    }

    /// Returns the `n` bytes at `at`, or fewer at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read.
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

    /// Replaces the content of `into` with the `n` bytes at `at`, or fewer at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self, at: u64, n: usize, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        let bytes = self.peek(at, n)?;
        into.extend_from_slice(bytes);
        Ok(())
    }
}

/// Reads a 16-bit little-endian number; 0 past the end.
pub(super) fn le16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

/// Reads a 32-bit little-endian number; 0 past the end.
pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// Reads a 64-bit little-endian number; 0 past the end.
pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

/// Reads a 16-bit big-endian number; 0 past the end.
pub(super) fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

/// Reads a 32-bit big-endian number; 0 past the end.
pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

/// Reads a 64-bit big-endian number; 0 past the end.
pub(super) fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}

/// Reads a number of four bytes with seven bits each, as in ID3v2 (id3.org, ID3v2.4 structure, 6.2).
pub(super) fn synchsafe(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| b.iter().fold(0, |n, b| n << 7 | u32::from(b & 0x7f)))
}
