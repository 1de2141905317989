//! Copies of samples as they are in the file, for cuts that must be exact.

use std::sync::Arc;

use super::Info;
use super::error::DecodeError;
use super::pcm::Kind;
use super::plan::{Codec, Packet, Packets};
use crate::media::file::MediaFile;
use crate::media::wav::Depth;

/// Format of a file's samples if they are PCM as a WAV file has it, from the first frame to the last.
pub fn pcm_depth(info: &Info) -> Option<Depth> {
    let [setup] = info.plan.setups.as_slice() else { return None };
    let [edit] = info.plan.edits.as_slice() else { return None };
    let Codec::Pcm(sample) = &setup.codec else { return None };
    // Single bytes have no order.
    let plain = edit.media == Some(0) && (!sample.big || sample.bytes == 1);
    match (sample.kind, sample.bytes) {
        (Kind::Unsigned, 1) if plain => Some(Depth::Eight),
        (Kind::Signed, 2) if plain => Some(Depth::Sixteen),
        (Kind::Signed, 3) if plain => Some(Depth::TwentyFour),
        (Kind::Signed, 4) if plain => Some(Depth::ThirtyTwo),
        (Kind::Float, 4) if plain => Some(Depth::Float),
        _ => None,
    }
}

/// The smallest depth that holds the decoded samples of a file exactly, or for lossy codecs without audible loss.
pub fn decoded_depth(info: &Info) -> Depth {
    match info.plan.setups.first().map(|setup| &setup.codec) {
        Some(Codec::Pcm(sample)) => match (sample.kind, sample.bytes) {
            (Kind::Unsigned, 1) => Depth::Eight,
            (Kind::Alaw | Kind::Mulaw, _) | (Kind::Signed | Kind::Unsigned, ..=2) => Depth::Sixteen,
            (Kind::Signed | Kind::Unsigned, 3) => Depth::TwentyFour,
            _ => Depth::Float,
        },
        Some(Codec::Symphonia(parameters)) if parameters.bits_per_sample.is_some_and(|bits| bits <= 16) => {
            Depth::Sixteen
        }
        Some(Codec::ImaWav(_) | Codec::ImaApple | Codec::Ms(..)) => Depth::Sixteen,
        _ => Depth::TwentyFour,
    }
}

/// Reads samples without decoding them; see [`pcm_depth`].
pub struct ExactReader {
    packets: Box<dyn Packets>,
    packet: Packet,
    /// Bytes per frame.
    size: usize,
    /// The next frame, and the one at which reading ends.
    next: u64,
    to: u64,
}

impl ExactReader {
    /// Creates a reader of the frames `from` to `to`; `None` if the file's samples cannot be copied.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn new(file: &Arc<MediaFile>, info: &Info, from: u64, to: u64) -> Result<Option<ExactReader>, DecodeError> {
        let Some(depth) = pcm_depth(info) else { return Ok(None) };
        let mut packets = info.plan.layout.clone().reader(file);
        packets.seek(from as i64)?;
        let size = info.channels * usize::from(depth.bytes());
        Ok(Some(ExactReader { packets, packet: Packet::default(), size, next: from, to: to.min(info.frames) }))
    }

    /// Reads the next frames: whole frames of the file's format; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self) -> Result<Option<&[u8]>, DecodeError> {
        if self.next >= self.to || !self.packets.next(&mut self.packet)? {
            return Ok(None);
        }
        let have = (self.packet.data.len() / self.size) as u64;
        let skip = (self.next as i64 - self.packet.at).max(0) as u64;
        let frames = have.saturating_sub(skip).min(self.to - self.next);
        self.next += frames;
        let from = skip.min(have) as usize * self.size;
        Ok(Some(&self.packet.data[from..from + frames as usize * self.size]))
    }
}
