//! Cuts a part out of a file, brings it to tempo and writes it.
//!
//! A part is streamed: every pair of channels is decoded and stretched on its own thread, and the caller's thread
//! interleaves and writes what arrives, so that memory does not depend on the length of the source. With more than two
//! channels the pairs are stretched independently of each other.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use super::flac::FlacWriter;
use super::tags::{CuePoint, Tags, wav_chunks};
use crate::dsp::dither::Dither;
use crate::dsp::sinc::Quality;
use crate::engine::method::Method;
use crate::media::decode::{Decoder, ExactReader, Info, decoded_depth, pcm_depth};
use crate::media::file::MediaFile;
use crate::media::wav::{Depth, WavWriter};
use crate::stretch::curve::Curve;
use crate::stretch::offline::{self, StretchJob};

/// Frames per block between threads.
const BLOCK: usize = 4096;
/// Blocks that may wait between two threads.
const WAITING: usize = 4;

/// File format of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// WAV, 16-bit integers.
    #[default]
    Wav16,
    /// WAV, 24-bit integers.
    Wav24,
    /// WAV, 32-bit floats.
    Wav32f,
    /// FLAC, 16-bit integers.
    Flac,
}

impl Format {
    /// File name extension.
    pub fn extension(self) -> &'static str {
        if self == Format::Flac { "flac" } else { "wav" }
    }

    /// Bytes per sample of the uncompressed sound.
    pub fn bytes(self) -> u16 {
        self.depth().bytes()
    }

    fn depth(self) -> Depth {
        match self {
            Format::Wav16 | Format::Flac => Depth::Sixteen,
            Format::Wav24 => Depth::TwentyFour,
            Format::Wav32f => Depth::Float,
        }
    }
}

/// Treatment of the sound of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Treatment {
    /// How its tempo is changed.
    pub method: Method,
    /// Its file format.
    pub format: Format,
    /// Its sample rate in Hz; `None` keeps that of the source.
    pub rate: Option<u32>,
    /// Length of the fades at both ends in milliseconds.
    pub fade_ms: f64,
    /// Its loudness in LUFS (EBU R 128); `None` keeps that of the source.
    pub loudness: Option<f64>,
}

/// Maximum ratio of the source's sample rate to the part's.
const MAX_RATIO: u32 = 8;
/// Maximum true peak after a change of loudness, in dBTP.
const MAX_PEAK_DB: f64 = -1.0;

/// A range of frames of an open file.
#[derive(Clone, Copy)]
pub struct Cut<'a> {
    /// The file.
    pub file: &'a Arc<MediaFile>,
    /// Its format.
    pub info: &'a Info,
    /// First frame.
    pub from: u64,
    /// One past the last frame.
    pub to: u64,
}

/// Reason that a part was not written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PartFault {
    /// The run was interrupted.
    #[error("interrupted")]
    Stopped,
    /// The file could not be read or the part could not be written.
    #[error("{0}")]
    Failed(String),
}

/// Shared state of a run and the threads that write parts.
#[derive(Debug, Default)]
pub struct Watch {
    /// Ends the run as soon as possible.
    pub stop: AtomicBool,
    /// Milliseconds of parts written so far.
    pub written_ms: AtomicU64,
}

/// A part that has been written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// Its length in frames.
    pub frames: u64,
    /// Its sample rate in Hz.
    pub rate: u32,
    /// Remarks about its sound: one sentence each.
    pub remarks: Vec<String>,
}

type Block = [Vec<f32>; 2];
type Message = Result<Block, String>;

/// Reason that a stage of the chain ended early.
enum Halt {
    /// What follows has ended.
    Gone,
    Failed(String),
}

/// Sends sound on in blocks.
struct Sender {
    to: SyncSender<Message>,
    block: Block,
}

impl Sender {
    fn push(&mut self, left: &[f32], right: &[f32]) -> Result<(), Halt> {
        let (mut left, mut right) = (left, right);
        while !left.is_empty() {
            let n = left.len().min(BLOCK - self.block[0].len());
            self.block[0].extend_from_slice(&left[..n]);
            self.block[1].extend_from_slice(&right[..n]);
            (left, right) = (&left[n..], &right[n..]);
            if self.block[0].len() == BLOCK {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Halt> {
        let block = std::mem::replace(&mut self.block, [Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK)]);
        if block[0].is_empty() { Ok(()) } else { self.to.send(Ok(block)).map_err(|_| Halt::Gone) }
    }
}

/// A source of sound for a stage.
type Pull<'a> = Box<dyn FnMut(&mut [f32], &mut [f32]) -> Result<usize, Halt> + Send + 'a>;

/// Starts a stage that changes the tempo of `source`, or passes it on; returns what it sends.
fn stage<'s, 'e: 's>(
    scope: &'s Scope<'s, 'e>,
    job: Option<StretchJob>,
    rate: u32,
    mut source: Pull<'s>,
) -> Receiver<Message> {
    let (to, receiver) = sync_channel(WAITING);
    scope.spawn(move || {
        let mut sender = Sender { to, block: Default::default() };
        let done = match job {
            Some(job) => {
                let mut sink = |l: &[f32], r: &[f32]| sender.push(l, r);
                offline::stretch(&job, rate, &mut *source, &mut sink, &mut |_| {})
            }
            None => {
                let (mut left, mut right) = (vec![0.0; BLOCK], vec![0.0; BLOCK]);
                loop {
                    match source(&mut left, &mut right) {
                        Ok(0) => break Ok(()),
                        Ok(n) => {
                            if let Err(halt) = sender.push(&left[..n], &right[..n]) {
                                break Err(halt);
                            }
                        }
                        Err(halt) => break Err(halt),
                    }
                }
            }
        };
        // Nobody receives any more if what follows has ended.
        match done.and_then(|()| sender.flush()) {
            Err(Halt::Failed(what)) => drop(sender.to.send(Err(what))),
            Ok(()) | Err(Halt::Gone) => {}
        }
    });
    receiver
}

/// Returns a source that reads a cut's channels 2 × `pair` and 2 × `pair` + 1.
fn decoded<'a>(cut: Cut<'a>, pair: usize, lacking: &'a Mutex<f64>) -> Result<Pull<'a>, String> {
    let mut decoder = match cut.info.channels {
        ..=2 => Decoder::known(cut.file, cut.info),
        _ => Decoder::pair(cut.file, pair),
    }
    .map_err(|e| e.to_string())?;
    decoder.seek(cut.from).map_err(|e| e.to_string())?;
    let mut left = cut.to - cut.from;
    Ok(Box::new(move |l, r| {
        let n = l.len().min(r.len()).min(left.min(usize::MAX as u64) as usize);
        let got = decoder.read(&mut l[..n], &mut r[..n]).map_err(|e| Halt::Failed(e.to_string()))?;
        left -= got as u64;
        if let (Some(seconds), Ok(mut most)) = (decoder.lacking(), lacking.lock()) {
            *most = most.max(seconds);
        }
        Ok(got)
    }))
}

/// Returns a source that receives what a stage sends.
fn received<'a>(from: Receiver<Message>) -> Pull<'a> {
    let (mut block, mut at) = (Block::default(), 0);
    Box::new(move |l, r| {
        if at == block[0].len() {
            match from.recv() {
                Ok(Ok(next)) => (block, at) = (next, 0),
                Ok(Err(what)) => return Err(Halt::Failed(what)),
                Err(_) => return Ok(0),
            }
        }
        let n = l.len().min(r.len()).min(block[0].len() - at);
        l[..n].copy_from_slice(&block[0][at..at + n]);
        r[..n].copy_from_slice(&block[1][at..at + n]);
        at += n;
        Ok(n)
    })
}

/// Streams a cut through `stages` (a job and the sample rate it works at) into `sink`, which takes interleaved blocks.
fn stream(
    cut: Cut,
    stages: &[(StretchJob, u32)],
    watch: &Watch,
    mut sink: impl FnMut(&mut Vec<f32>) -> Result<(), String>,
) -> Result<Option<f64>, PartFault> {
    let channels = cut.info.channels;
    let lacking = Mutex::new(0.0);
    std::thread::scope(|scope| {
        let mut receivers = Vec::new();
        for pair in 0..channels.div_ceil(2) {
            let source = decoded(cut, pair, &lacking).map_err(PartFault::Failed)?;
            let mut rest = stages.iter().cloned();
            let first = rest.next();
            let rate = first.as_ref().map_or(cut.info.sample_rate, |(_, rate)| *rate);
            let begun = stage(scope, first.map(|(job, _)| job), rate, source);
            receivers.push(rest.fold(begun, |from, (job, rate)| stage(scope, Some(job), rate, received(from))));
        }
        let mut interleaved = Vec::new();
        loop {
            let mut blocks = Vec::with_capacity(receivers.len());
            for receiver in &receivers {
                match receiver.recv() {
                    Ok(Ok(block)) => blocks.push(block),
                    Ok(Err(what)) => return Err(PartFault::Failed(what)),
                    Err(_) => return Ok(()),
                }
            }
            if watch.stop.load(Relaxed) {
                return Err(PartFault::Stopped);
            }
            let frames = blocks.iter().map(|block| block[0].len()).min().unwrap_or(0);
            interleaved.clear();
            let planes: Vec<&[f32]> = (0..channels).map(|channel| &*blocks[channel / 2][channel % 2]).collect();
            interleaved.extend((0..frames).flat_map(|k| planes.iter().map(move |plane| plane[k])));
            sink(&mut interleaved).map_err(PartFault::Failed)?;
        }
    })?;
    let seconds = lacking.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((seconds > 0.0).then_some(seconds))
}

fn told(path: &Path) -> impl Fn(io::Error) -> String {
    move |e| format!("{}: {e}", path.display())
}

/// Writes a cut as it is, as a WAV file: PCM byte for byte, everything else as decoded.
///
/// # Errors
/// If the file cannot be read or the cut cannot be written.
pub fn write_exact(cut: Cut, to: &Path, watch: &Watch) -> Result<(), PartFault> {
    let io = told(to);
    let failed = |e: io::Error| PartFault::Failed(io(e));
    let info = cut.info;
    let channels = info.channels as u16;
    let reader = ExactReader::new(cut.file, info, cut.from, cut.to).map_err(|e| PartFault::Failed(e.to_string()))?;
    let depth = if reader.is_some() { pcm_depth(info).unwrap_or(Depth::Float) } else { decoded_depth(info) };
    let mut writer = WavWriter::create(to, channels, info.sample_rate, depth).map_err(&failed)?;
    match reader {
        Some(mut reader) => {
            while let Some(bytes) = reader.read().map_err(|e| PartFault::Failed(e.to_string()))? {
                writer.write_encoded(bytes).map_err(&failed)?;
                if watch.stop.load(Relaxed) {
                    return Err(PartFault::Stopped);
                }
            }
        }
        None => {
            stream(cut, &[], watch, |block| writer.write(block).map_err(&io))?;
        }
    }
    writer.finish().map_err(failed)
}

enum Writer {
    Wav(WavWriter, Vec<u8>),
    Flac(FlacWriter, Vec<i32>),
}

impl Writer {
    fn create(
        to: &Path,
        channels: u16,
        rate: u32,
        format: Format,
        tags: &Tags,
        cues: &[CuePoint],
    ) -> io::Result<Writer> {
        Ok(match format {
            Format::Flac => Writer::Flac(FlacWriter::create(to, channels, rate, 16, tags)?, Vec::new()),
            _ => Writer::Wav(WavWriter::create(to, channels, rate, format.depth())?, wav_chunks(tags, cues)),
        })
    }

    fn write(&mut self, samples: &[f32]) -> io::Result<()> {
        match self {
            Writer::Wav(writer, _) => writer.write(samples),
            Writer::Flac(writer, words) => {
                words.clear();
                words.extend(samples.iter().map(|s| (s * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i32));
                writer.write(words)
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Writer::Wav(writer, chunks) => writer.finish_with(&chunks),
            Writer::Flac(writer, _) => writer.finish().map(drop),
        }
    }
}

/// Cosine fades at both ends of a sound.
struct Fades {
    length: u64,
    total: u64,
}

impl Fades {
    fn gain(&self, frame: u64) -> f32 {
        let nearest = frame.min(self.total.saturating_sub(frame + 1));
        if nearest >= self.length {
            return 1.0;
        }
        let t = (nearest as f64 + 0.5) / self.length as f64;
        (0.5 - 0.5 * (std::f64::consts::PI * t).cos()) as f32
    }
}

impl Treatment {
    /// The steps that bring a sound at `rate` to `speed`, each with the sample rate at which it works.
    fn stages(&self, speed: f64, rate: u32) -> Vec<(StretchJob, u32)> {
        // There is time for it.
        let quality = Quality::Fine;
        let job =
            |method, speed| StretchJob { method, curve: Curve::constant(speed), pitch: 0.0, formants: false, quality };
        let ratio = self.rate.map_or(1.0, |to| f64::from(rate) / f64::from(to));
        if self.method == Method::PlaybackRate {
            let speed = speed * ratio;
            return if speed == 1.0 { Vec::new() } else { vec![(job(self.method, speed), rate)] };
        }
        let mut stages = Vec::new();
        if speed != 1.0 {
            stages.push((job(self.method, speed), rate));
        }
        if ratio != 1.0 {
            stages.push((job(Method::PlaybackRate, ratio), rate));
        }
        stages
    }

    /// Checks that a sound can be brought to `speed`.
    ///
    /// # Errors
    /// A sentence that says which speeds are supported.
    pub fn check(&self, speed: f64) -> Result<(), String> {
        // Without rounding, which would make a speed just beyond the limit look like the limit.
        if !speed.is_finite() {
            return Err(format!("speed {speed} is not finite"));
        }
        let stages = self.stages(speed, self.rate.unwrap_or(48_000));
        stages.iter().try_for_each(|(job, _)| job.check())
    }

    /// Writes a part: `cut` at `speed`, with tags and cue points (times in seconds of the part).
    ///
    /// # Errors
    /// If the file cannot be read or the part cannot be written.
    pub fn write(
        &self,
        cut: Cut,
        speed: f64,
        (tags, cues): (&Tags, &[(f64, &str)]),
        to: &Path,
        watch: &Watch,
    ) -> Result<Written, PartFault> {
        let failed = |e: io::Error| PartFault::Failed(format!("{}: {e}", to.display()));
        let info = cut.info;
        let stages = self.stages(speed, info.sample_rate);
        if let Some(to) = self.rate.filter(|to| info.sample_rate > MAX_RATIO * to) {
            let text = format!("--rate {to}: less than an eighth of its sound's {} Hz", info.sample_rate);
            return Err(PartFault::Failed(text));
        }
        let rate = self.rate.unwrap_or(info.sample_rate);
        let total = ((cut.to - cut.from) as f64 / speed * f64::from(rate) / f64::from(info.sample_rate)) as u64;
        let mut remarks = Vec::new();
        let gain = match self.loudness {
            Some(wanted) => loudness_gain(cut, wanted, watch, &mut remarks)?,
            None => 1.0,
        };
        let fades = Fades { length: (self.fade_ms * f64::from(rate) / 1_000.0).round() as u64, total };
        let untouched = stages.is_empty() && gain == 1.0 && fades.length == 0;
        let exact = untouched && matches!(decoded_depth(info), Depth::Eight | Depth::Sixteen);
        let mut dither = (self.format.depth() == Depth::Sixteen && !exact).then(Dither::default);
        let points: Vec<CuePoint> = cues
            .iter()
            .map(|(seconds, label)| CuePoint {
                frame: ((seconds * f64::from(rate)).round() as u64).min(total.saturating_sub(1)) as u32,
                label: (*label).into(),
            })
            .collect();
        let channels = info.channels;
        let mut writer = Writer::create(to, channels as u16, rate, self.format, tags, &points).map_err(failed)?;
        let (mut frames, mut clipped) = (0, 0);
        let lacking = stream(cut, &stages, watch, |block| {
            let count = (block.len() / channels) as u64;
            if gain != 1.0 || fades.length > 0 {
                for (k, frame) in block.chunks_exact_mut(channels).enumerate() {
                    let gain = gain * fades.gain(frames + k as u64);
                    frame.iter_mut().for_each(|sample| *sample *= gain);
                }
            }
            if self.format != Format::Wav32f {
                clipped += block.iter().filter(|sample| sample.abs() > 1.0).count();
            }
            if let Some(dither) = &mut dither {
                // Digital silence stays silent.
                for sample in block.iter_mut().filter(|sample| **sample != 0.0) {
                    *sample += dither.next_lsb() / 32_768.0;
                }
            }
            frames += count;
            watch.written_ms.fetch_add(count * 1_000 / u64::from(rate), Relaxed);
            writer.write(block).map_err(|e| format!("{}: {e}", to.display()))
        })?;
        writer.finish().map_err(failed)?;
        if let Some(seconds) = lacking {
            remarks.push(format!("{seconds:.2} s of its sound are missing or damaged, and silent"));
        }
        if clipped > 0 {
            remarks.push(format!("{clipped} of its samples exceed full scale and are clipped"));
        }
        Ok(Written { frames, rate, remarks })
    }
}

/// Returns the gain that brings a cut to a loudness without exceeding [`MAX_PEAK_DB`].
fn loudness_gain(cut: Cut, wanted: f64, watch: &Watch, remarks: &mut Vec<String>) -> Result<f32, PartFault> {
    let mode = ebur128::Mode::I | ebur128::Mode::TRUE_PEAK;
    let failed = |e: ebur128::Error| PartFault::Failed(format!("its loudness cannot be measured: {e}"));
    let channels = cut.info.channels;
    let mut meter = ebur128::EbuR128::new(channels as u32, cut.info.sample_rate, mode).map_err(failed)?;
    stream(cut, &[], watch, |block| meter.add_frames_f32(block).map_err(|e| e.to_string()))?;
    let loudness = meter.loudness_global().map_err(failed)?;
    if !loudness.is_finite() {
        remarks.push("it is silent, so its loudness was not changed".into());
        return Ok(1.0);
    }
    let peak = (0..channels as u32).map(|c| meter.true_peak(c).unwrap_or(0.0)).fold(1e-9, f64::max);
    let (gain, room) = (wanted - loudness, MAX_PEAK_DB - 20.0 * peak.log10());
    if gain > room {
        remarks.push(format!("its peaks allow {:.1} LUFS, not {wanted:.1}", loudness + room));
    }
    Ok(10f64.powf(gain.min(room) / 20.0) as f32)
}
