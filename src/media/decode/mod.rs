//! Any supported file as stereo frames, from any frame on.
//!
//! A file is read in two steps. `kind` says what it is, and one file per container finds where the sound lies: the
//! `plan`. What can be counted is counted there, whatever headers say, and kept as an index, so that a seek reads a
//! few kilobytes and a second stream of the same file opens without looking at it again. Then packets are read by the
//! plan and decoded (`coder`). Every packet knows its place in the sound; what is lacking between two of them is
//! silent.
//!
//! - `kind`, `tags`: what a file is, and what may stand around the sound
//! - `wav`, `aiff`: plain samples (`pcm`) and ADPCM (`adpcm`) in `blocks`
//! - `mpeg`, `aac`: MP1 to MP3 and ADTS, in `frames` without a table of contents; large ones on a `grid`
//! - `flac`, `ogg` with `vorbis`: streams that find their own place
//! - `mp4` with `boxes` and `entry`: an index of packets, or fragments
//! - `mix`: many channels as two
//!
//! Symphonia's codecs do MP1 to MP3, AAC, ALAC, FLAC and Vorbis; its containers are not used.

mod aac;
mod adpcm;
mod aiff;
mod blocks;
mod boxes;
mod bytes;
mod coder;
mod entry;
mod error;
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
mod tags;
mod trun;
mod vorbis;
mod wav;

use std::path::Path;
use std::sync::Arc;

pub use error::DecodeError;
pub use mix::{MAX_CHANNELS, MAX_PAIRED};
pub use plan::Remark;

use super::file::MediaFile;
use bytes::Bytes;
use coder::Coder;
use kind::Kind;
use mix::View;
use plan::{MOST_FRAMES, Packet, Packets, Plan, RATES};

/// Gaps that are remembered one by one.
const MOST_GAPS: usize = 64;
/// Packets in a row without sound that are read before the file is given up.
const MOST_EMPTY: usize = 1 << 16;

/// What a file holds, and where: enough to open it again without looking at it.
#[derive(Clone, Debug)]
pub struct Info {
    /// Frames. Counted, not believed.
    pub frames: u64,
    /// Frames per second.
    pub sample_rate: u32,
    /// Channels in the file.
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
    /// How long it lasts.
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.sample_rate)
    }

    /// What its user should know: what is lacking, what is not decoded, what its header says wrongly.
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
            return Err(DecodeError::Unsupported("it holds no sound".into()));
        }
        if frames > MOST_FRAMES {
            return Err(DecodeError::Damaged(format!("it claims to hold {frames} frames")));
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

/// How many audio tracks a file has, and the manifest of a stem file.
///
/// # Errors
/// Those of reading; a file that is of no supported kind.
pub(super) fn tracks(file: &Arc<MediaFile>) -> Result<(usize, Option<Vec<u8>>), DecodeError> {
    let mut bytes = Bytes::new(file);
    Ok(match kind::find(&mut bytes)? {
        (Kind::Mp4, at) => (mp4::tracks(&mut bytes, at)?, mp4::manifest(&mut bytes, at)?),
        _ => (1, None),
    })
}

/// A file being decoded, front to back.
pub struct Decoder {
    file: Arc<MediaFile>,
    info: Info,
    packets: Box<dyn Packets>,
    packet: Packet,
    /// One for each of the plan's setups, made when it is needed.
    coders: Vec<Option<Coder>>,
    /// The last packet, decoded, and the media's frames that it holds.
    planes: Vec<Vec<f32>>,
    from: i64,
    to: i64,
    /// Whether it is silent because it could not be decoded.
    damaged: bool,
    /// Whether the packets have ended.
    ended: bool,
    /// The frame that comes next.
    position: u64,
    /// Frames that were lacking since the last seek, and where.
    missing: u64,
    gaps: Vec<(u64, u64)>,
}

impl Decoder {
    /// Opens a file by its path; see [`Decoder::new`].
    ///
    /// # Errors
    /// As [`Decoder::new`], and those of opening.
    pub fn open(path: &Path) -> Result<Decoder, DecodeError> {
        Decoder::new(&MediaFile::open(path)?)
    }

    /// A decoder of an open file. Its length is counted where that is possible; of large MP3, ADTS and fragmented MP4
    /// files, that reads headers throughout the file.
    ///
    /// # Errors
    /// Those of reading; a kind or a variant that is not supported; damage that leaves nothing to play.
    pub fn new(file: &Arc<MediaFile>) -> Result<Decoder, DecodeError> {
        Decoder::view(file, None, View::All)
    }

    /// A decoder of one audio track of an MP4 file, counted from 0: see [`super::stems`]. Other files have one track.
    ///
    /// # Errors
    /// As [`Decoder::new`]; a track that there is not.
    pub fn track(file: &Arc<MediaFile>, track: usize) -> Result<Decoder, DecodeError> {
        Decoder::view(file, Some(track), View::All)
    }

    /// A decoder of two channels of a file, 2 × `pair` and the one after it, as left and right. Up to [`MAX_PAIRED`]
    /// channels are possible.
    ///
    /// # Errors
    /// As [`Decoder::new`]; a pair that there is not.
    pub fn pair(file: &Arc<MediaFile>, pair: usize) -> Result<Decoder, DecodeError> {
        Decoder::view(file, None, View::Pair(pair))
    }

    /// A decoder of a file whose contents are known already, at its beginning; nothing is counted again.
    ///
    /// # Errors
    /// Those of the codec.
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
            packets: info.plan.layout.reader(file),
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
            return Err(DecodeError::Unsupported("it has one audio track only".into()));
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
                true => tracing::warn!("{path}: {text}; copy it again ('grooved check-media' tells more)"),
                false => tracing::info!("{path}: {text}"),
            }
        }
        Decoder::known(file, &info)
    }

    /// The file it reads.
    pub fn file(&self) -> &Arc<MediaFile> {
        &self.file
    }

    /// What the file holds.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The frame that [`Decoder::read`] will begin with.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Seconds that were lacking or damaged, and are silent, since the last seek.
    pub fn lacking(&self) -> Option<f64> {
        (self.missing > 0).then(|| self.missing as f64 / f64::from(self.info.sample_rate))
    }

    /// Where something was lacking since the last seek: first frame and frames of each gap, the first ones only.
    pub fn gaps(&self) -> &[(u64, u64)] {
        &self.gaps
    }

    /// Goes to `frame`, exactly.
    ///
    /// # Errors
    /// Those of reading.
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

    /// The media's frame that is heard at `frame`, and how many follow it; `None` where it is silent or at the end.
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

    /// Frames of silence that the edit list puts at `frame`.
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

    /// Makes the packet that holds a frame of the media the next to be decoded, if it is not at hand.
    fn go_to(&mut self, media: i64) -> Result<(), DecodeError> {
        if (self.from..=self.to).contains(&media) && !self.ended {
            return Ok(());
        }
        self.packets.seek(media)?;
        self.planes.iter_mut().for_each(Vec::clear);
        (self.from, self.to, self.ended) = (i64::MIN, i64::MIN, false);
        Ok(())
    }

    /// Reads the next frames into both planes; returns how many. Fewer than asked for means the end. What is lacking or
    /// damaged in the middle is silent, so that what comes after it stays in its place.
    ///
    /// # Errors
    /// Those of reading.
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
                // An edit list that goes back.
                self.go_to(media)?;
            }
            let (l, r) = (&mut left[done..done + rest], &mut right[done..done + rest]);
            done += self.copy(media, l, r)?;
        }
        Ok(done)
    }

    /// Fills the beginning of both planes with the media from a frame on; returns how many frames, at least one.
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

    /// Notes that frames from the present position on are lacking.
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
            // The last packet may give less than it could, or be filled up and give more.
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
