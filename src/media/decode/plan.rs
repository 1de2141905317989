//! What was found out about a file while it was opened: where its sound lies and how it is coded.

use std::sync::Arc;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;

use super::blocks::{Blocks, BlocksReader};
use super::error::DecodeError;
use super::flac::{Flac, FlacReader};
use super::frames::{Frames, FramesReader};
use super::mp4::{Mp4, Mp4Reader};
use super::ogg::{Ogg, OggReader};
use super::pcm::Sample;
use super::vorbis::Vorbis;
use crate::media::file::MediaFile;

/// No file is longer than this (months); one that says so lies.
pub(super) const MOST_FRAMES: u64 = 1 << 40;
/// Frames per second that are played.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// Something about a file that its user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// One sentence without a full stop.
    pub text: String,
    /// Whether some of the sound that the file promises or holds is not heard because of it.
    pub loss: bool,
}

impl Remark {
    /// Something is not heard.
    pub(super) fn loss(text: String) -> Remark {
        Remark { text, loss: true }
    }

    /// Something is odd, but everything is heard.
    pub(super) fn note(text: String) -> Remark {
        Remark { text, loss: false }
    }
}

/// How a file is laid out and coded.
#[derive(Debug)]
pub(super) struct Plan {
    /// Frames per second of what is heard.
    pub rate: u32,
    /// The ways in which its packets are coded; one, save in files that were joined.
    pub setups: Vec<Setup>,
    /// What is heard, in order and without gaps.
    pub edits: Vec<Edit>,
    /// Where the packets lie.
    pub layout: Layout,
    /// What should be known about it.
    pub remarks: Vec<Remark>,
}

/// How packets are coded.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The decoder and what it needs to know.
    pub codec: Codec,
    /// Frames per second.
    pub rate: u32,
    /// Channels.
    pub channels: usize,
    /// Where the channels are, if the container says so and the decoder does not know.
    pub positions: Option<Channels>,
}

/// A decoder and what it needs to know.
#[derive(Clone, Debug)]
pub(super) enum Codec {
    /// Plain samples.
    Pcm(Sample),
    /// IMA ADPCM of WAV files: frames per block.
    ImaWav(usize),
    /// IMA ADPCM of Apple's files.
    ImaApple,
    /// Microsoft's ADPCM: frames per block and its table of coefficients.
    Ms(usize, Vec<(i32, i32)>),
    /// Vorbis that symphonia does not do right.
    Vorbis(Arc<Vorbis>),
    /// One of symphonia's decoders.
    Symphonia(Box<AudioCodecParameters>),
}

/// A stretch of what is heard, taken from the media or silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// The media's frame that it begins with; `None` is silence.
    pub media: Option<i64>,
    /// Frames.
    pub frames: u64,
}

/// Where the packets lie.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// Blocks of equal size, one behind the other.
    Blocks(Arc<Blocks>),
    /// MPEG audio and ADTS: frames that each begin with a header.
    Frames(Arc<Frames>),
    /// FLAC's own container.
    Flac(Arc<Flac>),
    /// Ogg.
    Ogg(Arc<Ogg>),
    /// MP4 and QuickTime.
    Mp4(Arc<Mp4>),
}

/// A coded piece of sound.
#[derive(Debug, Default)]
pub(super) struct Packet {
    /// The media's frame that it begins with.
    pub at: i64,
    /// Frames it stands for. A decoder may give fewer, or more, which are not heard.
    pub frames: u32,
    /// Index into [`Plan::setups`].
    pub setup: usize,
    /// Whether it does not follow the packet before it.
    pub fresh: bool,
    /// The coded bytes.
    pub data: Vec<u8>,
}

/// Packets in their order.
pub(super) trait Packets: Send {
    /// Goes to a packet from which on everything from `frame` on is decoded right.
    ///
    /// # Errors
    /// Those of reading.
    fn seek(&mut self, frame: i64) -> Result<(), DecodeError>;

    /// Reads the next packet; `false` at the end. Positions rise with every packet that has frames.
    ///
    /// # Errors
    /// Those of reading. Damage is no error: a later packet follows.
    fn next(&mut self, packet: &mut Packet) -> Result<bool, DecodeError>;
}

impl Layout {
    /// A reader of the packets, at the first of them.
    pub fn reader(&self, file: &Arc<MediaFile>) -> Box<dyn Packets> {
        match self {
            Layout::Blocks(blocks) => Box::new(BlocksReader::new(file, blocks)),
            Layout::Frames(frames) => Box::new(FramesReader::new(file, frames)),
            Layout::Flac(flac) => Box::new(FlacReader::new(file, flac)),
            Layout::Ogg(ogg) => Box::new(OggReader::new(file, ogg)),
            Layout::Mp4(mp4) => Box::new(Mp4Reader::new(file, mp4)),
        }
    }
}

impl Plan {
    /// A plan that plays the media's frames `from` to `to`.
    pub fn whole(rate: u32, setup: Setup, layout: Layout, from: i64, to: i64) -> Plan {
        let frames = to.saturating_sub(from).max(0) as u64;
        Plan { rate, setups: vec![setup], edits: vec![Edit { media: Some(from), frames }], layout, remarks: Vec::new() }
    }

    /// Frames that are heard.
    pub fn frames(&self) -> u64 {
        self.edits.iter().fold(0, |sum, edit| sum.saturating_add(edit.frames))
    }
}

/// Seconds for messages, with as many digits as short ones need.
pub(super) fn seconds(frames: u64, rate: u32) -> String {
    let seconds = frames as f64 / f64::from(rate.max(1));
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}
