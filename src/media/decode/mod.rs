//! Decodes any supported file to stereo frames, from any frame on.
//!
//! A file is read in two steps. First, `kind` detects the format, and one module per container locates the sound and
//! builds a `plan`. Lengths are counted there rather than taken from headers, and kept as an index, so that a seek
//! reads a few kilobytes and a second stream of the same file opens without another scan. Then packets are read
//! according to the plan and decoded (`coder`). Every packet carries its position; gaps between packets play as
//! silence.
//!
//! - `kind`, `tags`: format detection, and the tags around the sound
//! - `wav`, `aiff`: PCM (`pcm`) and ADPCM (`adpcm`) in `blocks`
//! - `mpeg`, `aac`: MP1 to MP3 and ADTS, in `frames` without a table of contents; large files on a `grid`
//! - `flac`, `ogg` with `vorbis`: streams whose frames or pages carry positions
//! - `mp4` with `boxes` and `entry`: packets by index, or in fragments
//! - `mix`: downmix of many channels to two
//! - `exact`: copies of samples as they are in the file
//!
//! Symphonia's codecs decode MP1 to MP3, AAC, ALAC, FLAC and Vorbis; its container readers are not used.

mod aac;
mod adpcm;
mod aiff;
mod blocks;
mod boxes;
mod bytes;
mod coder;
mod entry;
mod error;
mod exact;
mod flac;
mod frames;
mod grid;
mod kind;
mod mix;
mod mp4;
mod mpeg;
mod ogg;
mod pcm;
mod plan;
mod scan;
mod tags;
mod trun;
mod vorbis;
mod wav;

use std::path::Path;
use std::sync::Arc;

pub use error::DecodeError;
pub use exact::{ExactReader, decoded_depth, pcm_depth};
pub use mix::{MAX_CHANNELS, MAX_PAIRED};
pub use plan::Remark;

use super::file::MediaFile;
use bytes::Bytes;
use coder::Coder;
use kind::Kind;
use mix::View;
use plan::{MOST_FRAMES, Packet, Packets, Plan, RATES};

/// Maximum number of gaps recorded individually.
const MOST_GAPS: usize = 64;
/// Consecutive packets without sound after which reading is given up.
const MOST_EMPTY: usize = 1 << 16;

/// Format and layout of a file: enough to open it again without a scan.
#[derive(Clone, Debug)]
pub struct Info {
    /// Length in frames: counted, not taken from headers.
    pub frames: u64,
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// Number of channels in the file.
    pub channels: usize,
    plan: Arc<Plan>,
    view: View,
}

impl PartialEq for Info {
    fn eq(&self, other: &Info) -> bool {
        (self.frames, self.sample_rate, self.channels) == (other.frames, other.sample_rate, other.channels)
    }
}

impl Eq for Info {}

impl Info {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.sample_rate)
    }

    /// Remarks for the user: missing sound, undecoded content, wrong headers.
    pub fn remarks(&self) -> &[Remark] {
        &self.plan.remarks
    }

    fn of(plan: Plan, view: View) -> Result<Info, DecodeError> {
        let (rate, frames) = (plan.rate, plan.frames());
        let channels = plan.setups.first().map_or(0, |setup| setup.channels);
        if !RATES.contains(&rate) {
            let (low, high) = (RATES.start(), RATES.end());
            return Err(DecodeError::Unsupported(format!(
                "its sample rate is {rate} Hz; {low} to {high} are supported"
            )));
        }
        if frames == 0 {
            return Err(DecodeError::Unsupported("it contains no sound".into()));
        }
        if frames > MOST_FRAMES {
            return Err(DecodeError::Damaged(format!("it claims an implausible length of {frames} frames")));
        }
        match view {
            View::All if channels == 0 || channels > MAX_CHANNELS => Err(DecodeError::Unsupported(format!(
                "it has {channels} channels; 1 to {MAX_CHANNELS} can be mixed down"
            ))),
            View::Pair(n) if 2 * n >= channels => {
                Err(DecodeError::Unsupported(format!("it has {channels} channels, so there is no pair {}", n + 1)))
            }
            _ => Ok(Info { frames, sample_rate: rate, channels, plan: Arc::new(plan), view }),
        }
    }
}

/// Returns the number of audio tracks, and the manifest of a stem file.
///
/// # Errors
/// If the file cannot be read or has no supported format.
pub(super) fn tracks(file: &Arc<MediaFile>) -> Result<(usize, Option<Vec<u8>>), DecodeError> {
    let mut bytes = Bytes::new(file);
    Ok(match kind::find(&mut bytes)? {
        (Kind::Mp4, at) => (mp4::tracks(&mut bytes, at)?, mp4::manifest(&mut bytes, at)?),
        _ => (1, None),
    })
}

/// Decoder of one open file, with a read position.
pub struct Decoder {
    file: Arc<MediaFile>,
    info: Info,
    packets: Box<dyn Packets>,
    packet: Packet,
    /// One per setup of the plan, created on demand.
    coders: Vec<Option<Coder>>,
    /// The last decoded packet, and its range in frames of the media.
    planes: Vec<Vec<f32>>,
    from: i64,
    to: i64,
    /// Whether the packet could not be decoded and plays as silence.
    damaged: bool,
    /// Whether the end of the packets has been reached.
    ended: bool,
    /// The frame to be read next.
    position: u64,
    /// Missing frames since the last seek, and their gaps.
    missing: u64,
    gaps: Vec<(u64, u64)>,
}

impl Decoder {
    /// Opens a file by its path; see [`Decoder::new`].
    ///
    /// # Errors
    /// Those of [`Decoder::new`], and those of opening.
    pub fn open(path: &Path) -> Result<Decoder, DecodeError> {
        Decoder::new(&MediaFile::open(path)?)
    }

    /// Creates a decoder of an open file. Its length is counted where possible; for large MP3, ADTS and fragmented MP4
    /// files, this reads headers throughout the file.
    ///
    /// # Errors
    /// If the file cannot be read, is of an unsupported format, or is too damaged to play anything.
    pub fn new(file: &Arc<MediaFile>) -> Result<Decoder, DecodeError> {
        Decoder::view(file, None, View::All)
    }

    /// Creates a decoder of one audio track of an MP4 file, counted from 0; see [`super::stems`]. Other files have one
    /// track.
    ///
    /// # Errors
    /// Those of [`Decoder::new`], and if there is no such track.
    pub fn track(file: &Arc<MediaFile>, track: usize) -> Result<Decoder, DecodeError> {
        Decoder::view(file, Some(track), View::All)
    }

    /// Creates a decoder of channels 2 × `pair` and 2 × `pair` + 1 of a file, as left and right. Files of up to
    /// [`MAX_PAIRED`] channels are supported.
    ///
    /// # Errors
    /// Those of [`Decoder::new`], and if there is no such pair.
    pub fn pair(file: &Arc<MediaFile>, pair: usize) -> Result<Decoder, DecodeError> {
        Decoder::view(file, None, View::Pair(pair))
    }

    /// Creates a decoder of a file that has been scanned before, positioned at its start; nothing is counted again.
    ///
    /// # Errors
    /// If the codec rejects the format.
    pub fn known(file: &Arc<MediaFile>, info: &Info) -> Result<Decoder, DecodeError> {
        crate::system::guard::may_block();
        let setups = &info.plan.setups;
        let mut coders: Vec<Option<Coder>> = Vec::new();
        coders.resize_with(setups.len(), || None);
        if let (Some(first), Some(setup)) = (coders.first_mut(), setups.first()) {
            *first = Some(Coder::new(setup, info.view)?);
        }
        Ok(Decoder {
            file: file.clone(),
            info: info.clone(),
            packets: info.plan.layout.clone().reader(file),
            packet: Packet::default(),
            coders,
            planes: Vec::new(),
            from: i64::MIN,
            to: i64::MIN,
            damaged: false,
            ended: false,
            position: 0,
            missing: 0,
            gaps: Vec::new(),
        })
    }

    fn view(file: &Arc<MediaFile>, track: Option<usize>, view: View) -> Result<Decoder, DecodeError> {
        crate::system::guard::may_block();
        let mut bytes = Bytes::new(file);
        let (kind, at) = kind::find(&mut bytes)?;
        if kind != Kind::Mp4 && track.is_some_and(|track| track > 0) {
            return Err(DecodeError::Unsupported("it has only one audio track".into()));
        }
        let plan = match kind {
            Kind::Wav => wav::open(&mut bytes, at),
            Kind::Aiff => aiff::open(&mut bytes, at),
            Kind::Flac => flac::open(&mut bytes, at),
            Kind::Mpeg => {
                let to = bytes.len();
                mpeg::open(&mut bytes, at, to)
            }
            Kind::Adts => {
                let to = bytes.len();
                aac::open(&mut bytes, at, to)
            }
            Kind::Ogg => ogg::open(&mut bytes, at),
            Kind::Mp4 => mp4::open(&mut bytes, at, track),
        }?;
        let info = Info::of(plan, view)?;
        for remark in info.remarks() {
            let (path, text) = (file.path().display(), &remark.text);
            match remark.loss {
                true => tracing::warn!("{path}: {text}; copy it again (details: 'grooved check-media')"),
                false => tracing::info!("{path}: {text}"),
            }
        }
        Decoder::known(file, &info)
    }

    /// The file being decoded.
    pub fn file(&self) -> &Arc<MediaFile> {
        &self.file
    }

    /// Format and length of the file.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The frame at which [`Decoder::read`] will begin.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Seconds of missing or damaged sound, replaced by silence, since the last seek; `None` if there were none.
    pub fn lacking(&self) -> Option<f64> {
        (self.missing > 0).then(|| self.missing as f64 / f64::from(self.info.sample_rate))
    }

    /// The first gaps since the last seek: start frame and length in frames of each.
    pub fn gaps(&self) -> &[(u64, u64)] {
        &self.gaps
    }

    /// Seeks to `frame`, sample-accurately.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn seek(&mut self, frame: u64) -> Result<(), DecodeError> {
        let frame = frame.min(self.info.frames);
        self.missing = 0;
        self.gaps.clear();
        if frame == self.position {
            return Ok(());
        }
        self.position = frame;
        match self.media(frame) {
            Some((media, _)) => self.go_to(media),
            None => Ok(()),
        }
    }

    /// The media frame that plays at `frame`, and how many follow it; `None` where it is silent or at the end.
    fn media(&self, frame: u64) -> Option<(i64, u64)> {
        let mut at = 0;
        for edit in &self.info.plan.edits {
            if frame < at + edit.frames {
                return edit.media.map(|media| (media + (frame - at) as i64, at + edit.frames - frame));
            }
            at += edit.frames;
        }
        None
    }

    /// Frames of silence that the edit list inserts at `frame`.
    fn silence(&self, frame: u64) -> u64 {
        let mut at = 0;
        for edit in &self.info.plan.edits {
            if frame < at + edit.frames {
                return if edit.media.is_none() { at + edit.frames - frame } else { 0 };
            }
            at += edit.frames;
        }
        0
    }

    /// Seeks the packets to a media frame, unless it lies in the current packet.
    fn go_to(&mut self, media: i64) -> Result<(), DecodeError> {
        if (self.from..=self.to).contains(&media) && !self.ended {
            return Ok(());
        }
        self.packets.seek(media)?;
        self.planes.iter_mut().for_each(Vec::clear);
        (self.from, self.to, self.ended) = (i64::MIN, i64::MIN, false);
        Ok(())
    }

    /// Reads the next frames into both planes and returns their number; fewer than requested means the end. Missing or
    /// damaged parts play as silence, so that what follows keeps its position.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self, left: &mut [f32], right: &mut [f32]) -> Result<usize, DecodeError> {
        let want = left.len().min(right.len()).min(self.info.frames.saturating_sub(self.position) as usize);
        let mut done = 0;
        while done < want {
            let rest = want - done;
            let silent = self.silence(self.position).min(rest as u64) as usize;
            if silent > 0 {
                left[done..done + silent].fill(0.0);
                right[done..done + silent].fill(0.0);
                self.position += silent as u64;
                done += silent;
                continue;
            }
            let Some((media, edit)) = self.media(self.position) else { break };
            let rest = rest.min(edit.min(usize::MAX as u64) as usize);
            if !self.ended && (media < self.from || self.from == i64::MIN) && self.to > media {
                // The edit list jumps back.
                self.go_to(media)?;
            }
            let (l, r) = (&mut left[done..done + rest], &mut right[done..done + rest]);
            done += self.copy(media, l, r)?;
        }
        Ok(done)
    }

    /// Fills the start of both planes from a media frame on; returns the number of frames, at least one.
    fn copy(&mut self, media: i64, left: &mut [f32], right: &mut [f32]) -> Result<usize, DecodeError> {
        while !self.ended && media >= self.to {
            self.advance()?;
        }
        let mut count = left.len();
        let mut lost = self.ended;
        if !self.ended {
            if media < self.from {
                count = count.min((self.from - media) as usize);
                lost = true;
            } else {
                count = count.min((self.to - media) as usize);
                lost = self.damaged;
            }
        }
        let (left, right) = (&mut left[..count], &mut right[..count]);
        if lost {
            left.fill(0.0);
            right.fill(0.0);
            self.lose(count as u64);
        } else {
            let at = (media - self.from) as usize;
            let planes: Vec<&[f32]> = self.planes.iter().map(|plane| &plane[at..at + count]).collect();
            match self.coders.get_mut(self.packet.setup).and_then(Option::as_mut) {
                Some(coder) => mix::apply(coder.mix(), &planes, left, right),
                None => {
                    left.fill(0.0);
                    right.fill(0.0);
                }
            }
        }
        self.position += count as u64;
        Ok(count)
    }

    /// Records that frames from the current position on are missing.
    fn lose(&mut self, frames: u64) {
        self.missing += frames;
        if let Some((at, length)) = self.gaps.last_mut()
            && *at + *length == self.position
        {
            *length += frames;
        } else if self.gaps.len() < MOST_GAPS {
            self.gaps.push((self.position, frames));
        }
    }

    /// Decodes the next packet.
    fn advance(&mut self) -> Result<(), DecodeError> {
        for _ in 0..MOST_EMPTY {
            if !self.packets.next(&mut self.packet)? {
                self.ended = true;
                return Ok(());
            }
            let (plan, view) = (&self.info.plan, self.info.view);
            let (Some(setup), Some(slot)) =
                (plan.setups.get(self.packet.setup), self.coders.get_mut(self.packet.setup))
            else {
                continue;
            };
            let whole = if setup.rate == plan.rate {
                let coder = match slot {
                    Some(coder) => coder,
                    None => slot.insert(Coder::new(setup, view)?),
                };
                if self.packet.fresh {
                    coder.reset();
                }
                coder.decode(&self.packet, &mut self.planes)
            } else {
                false
            };
            let have = if whole { self.planes.iter().map(Vec::len).min().unwrap_or(0) } else { 0 };
            let frames = self.packet.frames as usize;
            self.damaged = !whole;
            // The last packet may yield fewer frames than announced, or padding that makes it more.
            let have = if whole { have.min(frames) } else { frames };
            self.from = self.packet.at;
            self.to = self.packet.at.saturating_add(have as i64);
            if self.to > self.from {
                return Ok(());
            }
        }
        self.ended = true;
        Ok(())
    }
}
