//! Any supported file as stereo frames, from any frame on.
//!
//! WAV, AIFF, FLAC, MP3, Ogg Vorbis, AAC and M4A, through symphonia. Sources of more than two channels are mixed down
//! after ITU-R BS.775 (centre and surrounds at −3 dB, no low-frequency channel).

use std::path::Path;
use std::sync::Arc;

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::units::{TimeBase, Timestamp};

use super::file::MediaFile;

/// Most channels a file may have.
pub const MAX_CHANNELS: usize = 8;
/// Frames decoded before the wanted one after a seek: lossy codecs need a run-up (bit reservoir, overlapping windows).
const RUN_UP: u64 = 8 * 1152;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is no sound file, or of a kind that is not supported.
    #[error("is not a sound file of a supported kind (WAV, AIFF, FLAC, MP3, Ogg Vorbis, AAC, M4A): {0}")]
    Unsupported(String),
    /// Its sound cannot be decoded.
    #[error("is damaged: {0}")]
    Damaged(String),
}

impl From<SymphoniaError> for DecodeError {
    fn from(error: SymphoniaError) -> Self {
        match error {
            SymphoniaError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                DecodeError::Unsupported("it ends too early".into())
            }
            SymphoniaError::IoError(e) => DecodeError::Io(e),
            SymphoniaError::Unsupported(what) => DecodeError::Unsupported(match what {
                "core (probe): no suitable format reader found" => "what it holds is none of these".into(),
                what => what.into(),
            }),
            other => DecodeError::Damaged(other.to_string()),
        }
    }
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Frames.
    pub frames: u64,
    /// Frames per second.
    pub sample_rate: u32,
    /// Channels in the file.
    pub channels: usize,
}

impl Info {
    /// How long it lasts.
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.sample_rate)
    }
}

/// A file being decoded, front to back.
pub struct Decoder {
    file: Arc<MediaFile>,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    time_base: Option<TimeBase>,
    info: Info,
    mix: Mix,
    planes: Vec<Vec<f32>>,
    /// Frames of `planes` handed out already.
    used: usize,
    /// The frame that comes next.
    position: u64,
    /// Frames to be thrown away first.
    skip: u64,
    /// Whether the next packet's time stamp sets the position.
    resync: bool,
    /// Frames that were passed over as silence.
    missing: u64,
}

/// No file is longer than this (years); one that says so lies.
const MOST_FRAMES: u64 = 1 << 40;
/// No packet is.
const MOST_PACKET_FRAMES: u64 = 1 << 20;
/// What a float file may hold beyond full scale.
const MOST_LEVEL: f32 = 64.0;

/// Weights of each channel in the stereo mix: (left, right).
type Mix = Vec<(f32, f32)>;

const MINUS_3_DB: f32 = std::f32::consts::FRAC_1_SQRT_2;

fn weight(position: Position) -> (f32, f32) {
    let half = MINUS_3_DB;
    if position.intersects(Position::LFE1) {
        (0.0, 0.0)
    } else if position.intersects(Position::FRONT_LEFT | Position::FRONT_LEFT_CENTER) {
        (1.0, 0.0)
    } else if position.intersects(Position::FRONT_RIGHT | Position::FRONT_RIGHT_CENTER) {
        (0.0, 1.0)
    } else if position.intersects(Position::REAR_LEFT | Position::SIDE_LEFT) {
        (half, 0.0)
    } else if position.intersects(Position::REAR_RIGHT | Position::SIDE_RIGHT) {
        (0.0, half)
    } else {
        (half, half)
    }
}

/// The weights for a file's channels: by their positions if it names them, else by the usual order for their number.
fn mix_of(channels: &Channels) -> Mix {
    let count = channels.count();
    if count == 1 {
        return vec![(1.0, 1.0)];
    }
    if let Channels::Positioned(positions) = channels {
        let mix: Mix = positions.iter().map(weight).collect();
        if mix.len() == count {
            return mix;
        }
    }
    use Position as P;
    let order: &[P] = match count {
        2 => &[P::FRONT_LEFT, P::FRONT_RIGHT],
        3 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER],
        4 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::REAR_LEFT, P::REAR_RIGHT],
        5 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::REAR_LEFT, P::REAR_RIGHT],
        6 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::LFE1, P::REAR_LEFT, P::REAR_RIGHT],
        7 => &[P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::LFE1, P::REAR_CENTER, P::SIDE_LEFT, P::SIDE_RIGHT],
        _ => &[
            P::FRONT_LEFT,
            P::FRONT_RIGHT,
            P::FRONT_CENTER,
            P::LFE1,
            P::REAR_LEFT,
            P::REAR_RIGHT,
            P::SIDE_LEFT,
            P::SIDE_RIGHT,
        ],
    };
    order.iter().map(|p| weight(*p)).collect()
}

impl Decoder {
    /// Opens a file by its path; see [`Decoder::new`].
    pub fn open(path: &Path) -> Result<Decoder, DecodeError> {
        Decoder::new(&MediaFile::open(path)?)
    }

    /// A decoder of an open file. Its length is read from its header, or counted where the header does not tell.
    pub fn new(file: &Arc<MediaFile>) -> Result<Decoder, DecodeError> {
        crate::system::guard::may_block();
        let mut decoder = Decoder::probe(file)?;
        if decoder.info.frames == 0 {
            decoder.info.frames = decoder.count_frames()?;
            let info = decoder.info.clone();
            decoder = Decoder::probe(file)?;
            decoder.info = info;
        }
        if decoder.info.frames == 0 {
            return Err(DecodeError::Unsupported("it holds no sound".into()));
        }
        if decoder.info.frames > MOST_FRAMES {
            return Err(DecodeError::Damaged(format!("it claims to hold {} frames", decoder.info.frames)));
        }
        Ok(decoder)
    }

    /// A decoder of a file whose contents are known already, at its beginning; nothing is counted again.
    pub fn known(file: &Arc<MediaFile>, info: &Info) -> Result<Decoder, DecodeError> {
        crate::system::guard::may_block();
        let decoder = Decoder::probe(file)?;
        Ok(Decoder { info: info.clone(), ..decoder })
    }

    /// The file it reads.
    pub fn file(&self) -> &Arc<MediaFile> {
        &self.file
    }

    fn probe(file: &Arc<MediaFile>) -> Result<Decoder, DecodeError> {
        let path = file.path();
        let stream = MediaSourceStream::new(Box::new(file.reader()), MediaSourceStreamOptions::default());
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        let format = symphonia::default::get_probe().probe(
            &hint,
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )?;
        let unsupported = |why: &str| DecodeError::Unsupported(why.into());
        let track = format.default_track(TrackType::Audio).ok_or_else(|| unsupported("it has no audio track"))?;
        let parameters =
            track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(|| unsupported("its codec is not known"))?;
        let decoder =
            symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default())?;
        let sample_rate = parameters.sample_rate.ok_or_else(|| unsupported("its sample rate is not known"))?;
        if !(4_000..=384_000).contains(&sample_rate) {
            return Err(DecodeError::Unsupported(format!(
                "its sample rate is {sample_rate} Hz; 4 to 384 kHz would do"
            )));
        }
        let channels = parameters.channels.clone().unwrap_or(Channels::Discrete(2));
        if channels.count() == 0 || channels.count() > MAX_CHANNELS {
            return Err(DecodeError::Unsupported(format!(
                "it has {} channels; 1 to {MAX_CHANNELS} would do",
                channels.count()
            )));
        }
        let info = Info { frames: track.num_frames.unwrap_or(0), sample_rate, channels: channels.count() };
        Ok(Decoder {
            file: file.clone(),
            track: track.id,
            time_base: track.time_base,
            mix: mix_of(&channels),
            decoder,
            format,
            info,
            planes: Vec::new(),
            used: 0,
            position: 0,
            skip: 0,
            resync: false,
            missing: 0,
        })
    }

    /// Counts frames by walking through the packets, without decoding them.
    fn count_frames(&mut self) -> Result<u64, DecodeError> {
        let mut end = 0;
        while let Ok(Some(packet)) = self.format.next_packet() {
            if packet.track_id == self.track {
                end = end.max(self.frames_of(packet.pts) + self.frames_of(Timestamp::from(packet.dur.get() as i64)));
            }
        }
        Ok(end)
    }

    /// A time stamp in frames.
    fn frames_of(&self, ts: Timestamp) -> u64 {
        let rate = u128::from(self.info.sample_rate);
        let ts = ts.get().max(0) as u128;
        match self.time_base {
            Some(base) => (ts * u128::from(base.numer.get()) * rate / u128::from(base.denom.get())) as u64,
            None => ts as u64,
        }
    }

    /// Seconds that were lacking or damaged, and are silent, since the last seek. Compressed files may promise a packet
    /// more than they hold: so little is nothing.
    pub fn lacking(&self) -> Option<f64> {
        let seconds = self.missing as f64 / f64::from(self.info.sample_rate);
        (seconds > 0.2).then_some(seconds)
    }

    /// What the file holds.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The frame that [`Decoder::read`] will begin with.
    pub fn position(&self) -> u64 {
        self.position + self.skip
    }

    /// Goes to `frame`, exactly.
    pub fn seek(&mut self, frame: u64) -> Result<(), DecodeError> {
        let frame = frame.min(self.info.frames);
        if frame == self.position() {
            return Ok(());
        }
        let from = frame.saturating_sub(RUN_UP);
        let rate = u128::from(self.info.sample_rate);
        let ts = match self.time_base {
            Some(base) => {
                (u128::from(from) * u128::from(base.denom.get()) / u128::from(base.numer.get()) / rate) as i64
            }
            None => from as i64,
        };
        self.format.seek(SeekMode::Accurate, SeekTo::Timestamp { ts: Timestamp::from(ts), track_id: self.track })?;
        self.decoder.reset();
        self.planes.iter_mut().for_each(Vec::clear);
        self.used = 0;
        self.position = frame;
        self.skip = 0;
        self.missing = 0;
        self.resync = true;
        Ok(())
    }

    /// Reads the next frames into both planes; returns how many. Fewer than asked for means the end. Damage in the
    /// middle is passed over as silence, so that what comes after stays in its place.
    pub fn read(&mut self, left: &mut [f32], right: &mut [f32]) -> Result<usize, DecodeError> {
        let want = left.len().min(right.len()).min(self.info.frames.saturating_sub(self.position()) as usize);
        let mut done = 0;
        while done < want {
            let have = self.planes.first().map_or(0, Vec::len) - self.used;
            if have == 0 {
                if !self.next_packet()? {
                    break;
                }
                continue;
            }
            if self.skip > 0 {
                let n = self.skip.min(have as u64) as usize;
                self.used += n;
                self.skip -= n as u64;
                self.position += n as u64;
                continue;
            }
            let n = have.min(want - done);
            let range = self.used..self.used + n;
            let (left, right) = (&mut left[done..done + n], &mut right[done..done + n]);
            match (self.planes.as_slice(), self.mix.as_slice()) {
                ([mono], _) => {
                    left.copy_from_slice(&mono[range.clone()]);
                    right.copy_from_slice(&mono[range]);
                }
                ([l, r], [(a, b), (c, d)]) if (*a, *b, *c, *d) == (1.0, 0.0, 0.0, 1.0) => {
                    left.copy_from_slice(&l[range.clone()]);
                    right.copy_from_slice(&r[range]);
                }
                (planes, mix) => {
                    left.fill(0.0);
                    right.fill(0.0);
                    for (plane, (a, b)) in planes.iter().zip(mix) {
                        for ((l, r), s) in left.iter_mut().zip(right.iter_mut()).zip(&plane[range.clone()]) {
                            *l += a * s;
                            *r += b * s;
                        }
                    }
                }
            }
            self.used += n;
            self.position += n as u64;
            done += n;
        }
        if done < want {
            // The header promised more: the rest is silence, so that a loop keeps its length.
            left[done..want].fill(0.0);
            right[done..want].fill(0.0);
            self.position += (want - done) as u64;
            self.missing += (want - done) as u64;
            done = want;
        }
        Ok(done)
    }

    /// Decodes the next packet; `false` at the end of the file.
    fn next_packet(&mut self) -> Result<bool, DecodeError> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) | Err(SymphoniaError::ResetRequired) => return Ok(false),
                Err(SymphoniaError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(SymphoniaError::IoError(e)) => return Err(e.into()),
                Err(_) => return Ok(false),
            };
            if packet.track_id != self.track {
                continue;
            }
            let at = self.frames_of(packet.pts);
            let length = self.frames_of(Timestamp::from(packet.dur.get() as i64));
            match self.decoder.decode(&packet) {
                Ok(buffer) => buffer.copy_to_vecs_planar(&mut self.planes),
                Err(SymphoniaError::DecodeError(_)) => {
                    let planes = self.mix.len();
                    self.planes.resize_with(planes, Vec::new);
                    self.missing += length.min(MOST_PACKET_FRAMES);
                    for plane in &mut self.planes {
                        plane.clear();
                        plane.resize(length.min(MOST_PACKET_FRAMES) as usize, 0.0);
                    }
                }
                Err(error) => return Err(error.into()),
            }
            // A float file can hold anything; one sample that is not a number would silence a filter for good.
            for sample in self.planes.iter_mut().flatten() {
                *sample = if sample.is_finite() { sample.clamp(-MOST_LEVEL, MOST_LEVEL) } else { 0.0 };
            }
            self.used = 0;
            if self.planes.first().is_none_or(Vec::is_empty) {
                continue;
            }
            if self.resync {
                self.resync = false;
                let wanted = self.position;
                // A reader that could only get past the wanted frame leaves a gap; better late than out of place.
                self.skip = wanted.saturating_sub(at);
                self.position = wanted - self.skip;
            }
            return Ok(true);
        }
    }
}
