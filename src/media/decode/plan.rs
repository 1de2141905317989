//! The result of scanning a file: the location of its sound, and its codecs.

use std::sync::Arc;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;

use super::error::DecodeError;
use super::pcm::Sample;
use super::vorbis::Vorbis;
use crate::media::file::MediaFile;

/// Maximum length of a file in frames (months); longer ones are rejected as invalid.
pub(super) const MOST_FRAMES: u64 = 1 << 40;
/// Supported sample rates in Hz.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// A remark about a file for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// One sentence without a full stop.
    pub text: String,
    /// Whether sound that the file announces or contains is not heard because of it.
    pub loss: bool,
}

impl Remark {
    /// Creates a remark about sound that is not heard.
    pub(super) fn loss(text: String) -> Remark {
        Remark { text, loss: true }
    }

    /// Creates a remark about an irregularity without loss.
    pub(super) fn note(text: String) -> Remark {
        Remark { text, loss: false }
    }
}

/// Layout and codecs of a file.
#[derive(Debug)]
pub(super) struct Plan {
    /// Sample rate of the output in Hz.
    pub rate: u32,
    /// Decoder setups of its packets; one, except in concatenated files.
    pub setups: Vec<Setup>,
    /// The parts that are played, in order and without gaps.
    pub edits: Vec<Edit>,
    /// Location of the packets.
    pub layout: Arc<dyn Layout>,
    /// Remarks for the user.
    pub remarks: Vec<Remark>,
}

/// Setup of a decoder.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Codec and its parameters.
    pub codec: Codec,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Speaker positions of the channels, if the container gives them and the decoder does not.
    pub positions: Option<Channels>,
}

/// A codec and its parameters.
#[derive(Clone, Debug)]
pub(super) enum Codec {
    /// PCM.
    Pcm(Sample),
    /// IMA ADPCM in WAV files: frames per block.
    ImaWav(usize),
    /// IMA ADPCM in Apple files.
    ImaApple,
    /// Microsoft ADPCM: frames per block and table of coefficients.
    Ms(usize, Vec<(i32, i32)>),
    /// Vorbis streams that Symphonia decodes incorrectly.
    Vorbis(Arc<Vorbis>),
    /// A Symphonia decoder.
    Symphonia(Box<AudioCodecParameters>),
}

/// A section of what is played, taken from the media or silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// First frame of the media; `None` for silence.
    pub media: Option<i64>,
    /// Length in frames.
    pub frames: u64,
}

/// Location of the packets in a container.
pub(super) trait Layout: std::fmt::Debug + Send + Sync {
    /// Creates a reader of the packets, at the first of them.
    fn reader(self: Arc<Self>, file: &Arc<MediaFile>) -> Box<dyn Packets>;
}

/// An encoded packet.
#[derive(Debug, Default)]
pub(super) struct Packet {
    /// Its position in frames of the media.
    pub at: i64,
    /// Its length in frames. A decoder may return fewer, or more, which are dropped.
    pub frames: u32,
    /// Index into [`Plan::setups`].
    pub setup: usize,
    /// Whether it does not follow the previous packet.
    pub fresh: bool,
    /// The encoded bytes.
    pub data: Vec<u8>,
}

/// A sequential, seekable source of packets.
pub(super) trait Packets: Send {
    /// Seeks to a packet early enough that everything from `frame` on is decoded correctly.
    ///
    /// # Errors
    /// If the file cannot be read.
    fn seek(&mut self, frame: i64) -> Result<(), DecodeError>;

    /// Reads the next packet; returns `false` at the end. Positions increase with every packet that has frames.
    ///
    /// # Errors
    /// If the file cannot be read. Damage is not an error: a later packet follows.
    fn next(&mut self, packet: &mut Packet) -> Result<bool, DecodeError>;
}

impl Plan {
    /// Creates a plan that plays the frames `from` to `to` of the media.
    pub fn whole(rate: u32, setup: Setup, layout: Arc<dyn Layout>, from: i64, to: i64) -> Plan {
        let frames = to.saturating_sub(from).max(0) as u64;
        Plan { rate, setups: vec![setup], edits: vec![Edit { media: Some(from), frames }], layout, remarks: Vec::new() }
    }

    /// Length of what is played, in frames.
    pub fn frames(&self) -> u64 {
        self.edits.iter().fold(0, |sum, edit| sum.saturating_add(edit.frames))
    }
}

/// Formats a duration in seconds for messages, with more digits for short ones.
pub(super) fn seconds(frames: u64, rate: u32) -> String {
    let seconds = frames as f64 / f64::from(rate.max(1));
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}
