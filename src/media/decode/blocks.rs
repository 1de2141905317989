//! Consecutive blocks of equal size: PCM and ADPCM.

use std::sync::Arc;

use super::bytes::Bytes;
use super::error::DecodeError;
use super::plan::{Layout, Packet, Packets};
use crate::media::file::MediaFile;

/// Maximum size of a packet in bytes, if blocks are smaller.
const PACKET: u64 = 16 * 1024;

/// Location and size of the blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Offset of the first byte.
    pub from: u64,
    /// Offset past the last byte.
    pub to: u64,
    /// Bytes per block.
    pub bytes: u64,
    /// Frames per block.
    pub frames: u32,
    /// Total number of frames; the last block may not be full.
    pub total: u64,
}

impl Blocks {
    /// Creates the layout of PCM with `bytes` bytes per frame.
    pub fn of_frames(from: u64, to: u64, bytes: u64) -> Blocks {
        Blocks { from, to, bytes, frames: 1, total: to.saturating_sub(from) / bytes.max(1) }
    }

    /// Number of blocks read as one packet: several only if each is a single frame.
    fn at_once(&self) -> u64 {
        if self.frames == 1 { (PACKET / self.bytes.max(1)).max(1) } else { 1 }
    }
}

impl Layout for Blocks {
    fn reader(self: Arc<Self>, file: &Arc<MediaFile>) -> Box<dyn Packets> {
        Box::new(BlocksReader::new(file, &self))
    }
}

/// Packet reader for [`Blocks`].
pub(super) struct BlocksReader {
    bytes: Bytes,
    blocks: Arc<Blocks>,
    /// Index of the next block.
    next: u64,
    fresh: bool,
}

impl BlocksReader {
    /// Creates a reader at the first block.
    pub fn new(file: &Arc<MediaFile>, blocks: &Arc<Blocks>) -> BlocksReader {
        BlocksReader { bytes: Bytes::new(file), blocks: blocks.clone(), next: 0, fresh: false }
    }
}

impl Packets for BlocksReader {
    fn seek(&mut self, frame: i64) -> Result<(), DecodeError> {
        self.next = frame.max(0) as u64 / u64::from(self.blocks.frames.max(1));
        self.fresh = true;
        Ok(())
    }

    fn next(&mut self, packet: &mut Packet) -> Result<bool, DecodeError> {
        let blocks = &self.blocks;
        let first = self.next.saturating_mul(u64::from(blocks.frames));
        let at = blocks.from.saturating_add(self.next.saturating_mul(blocks.bytes));
        if first >= blocks.total || at >= blocks.to {
            return Ok(false);
        }
        let count = blocks.at_once();
        let want = (count * blocks.bytes).min(blocks.to - at);
        self.bytes.read(at, want as usize, &mut packet.data)?;
        if packet.data.is_empty() {
            return Ok(false);
        }
        packet.at = first as i64;
        packet.frames = (count * u64::from(blocks.frames)).min(blocks.total - first) as u32;
        packet.setup = 0;
        packet.fresh = std::mem::take(&mut self.fresh);
        self.next += count;
        Ok(true)
    }
}
