//! Turns a file into a stem the engine can play.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decode::{DecodeError, Decoder, Info};
use super::feed::{Feeder, read_on};
use super::file::MediaFile;
use super::grid::Grid;
use super::library::NotFound;
use super::stems;
use crate::engine::source::{CHUNK, StemSource, stream};
use crate::genome::Fault;
use crate::system::realtime;

/// Seconds at the start of a file that stay in memory, so that it starts at once.
const HEAD_SECONDS: f64 = 0.5;
/// Length in seconds up to which a file is kept in memory as a whole and needs no disk.
const WHOLE_SECONDS: f64 = 2.0;
/// Chunks per stream: 65 536 frames, 1.4 s at 48 kHz, the longest pause of a card reader that is covered.
const CHUNKS: usize = 32;
/// Approximate memory of a stem's decoder, packet buffers and bookkeeping, in bytes.
const OVERHEAD: usize = 160 * 1024;

/// A stem that is ready to be installed in the engine.
pub struct Loaded {
    /// The engine's part.
    pub source: Box<StemSource>,
    /// The disk thread's part; `None` if the whole file is in memory.
    pub feeder: Option<Feeder>,
    /// Path of the file.
    pub path: PathBuf,
    /// Format and length of the file.
    pub info: Info,
    /// Memory used, in bytes.
    pub bytes: usize,
    /// The beat grid from the file beside it, or what is wrong with that file.
    pub grid: Result<Option<Grid>, String>,
    /// The stem's name in the file, if the file holds several stems.
    pub name: Option<String>,
    /// The other stems of the file, in order.
    pub others: Vec<Loaded>,
}

/// Estimates the memory of a stem of this length and rate, in bytes.
pub fn memory_for(info: &Info) -> usize {
    let (head, chunks) = shape(info);
    head * 8 + 2 * chunks * CHUNK * 8 + OVERHEAD
}

/// Returns the number of frames kept in memory and of chunks per stream.
fn shape(info: &Info) -> (usize, usize) {
    let rate = f64::from(info.sample_rate);
    if info.frames as f64 <= WHOLE_SECONDS * rate {
        (info.frames as usize, 1)
    } else {
        ((HEAD_SECONDS * rate) as usize, CHUNKS)
    }
}

/// Error from loading a file; the message is a complete sentence for the client.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file was not found.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The file cannot be decoded: path, reason.
    #[error("file '{0}' {1}")]
    Decode(String, DecodeError),
    /// A genome cannot be rendered: name, reason.
    #[error("'{0}' cannot be rendered: {1}")]
    Genome(String, Fault),
    /// The disk does not respond: path, seconds.
    #[error("file '{0}' was not loaded: no response for {1} s")]
    NoResponse(String, u64),
    /// The system could not create a thread.
    #[error("cannot start a thread: {0}")]
    NoThread(String),
}

impl LoadError {
    /// Creates the error for a file that cannot be decoded.
    pub fn damaged(path: &Path, why: &str) -> LoadError {
        LoadError::Decode(path.display().to_string(), DecodeError::Damaged(why.into()))
    }
}

/// Which part of a file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The whole sound; for stem files (`.stem.mp4`, `.stem.m4a`) the stems.
    Usual,
    /// Each track, or each pair of channels, as a stem.
    Stems,
}

impl Part {
    /// Splits a client's path from its optional suffix `#stems`, which selects [`Part::Stems`].
    pub fn of(requested: &str) -> (&str, Part) {
        requested.strip_suffix("#stems").map_or((requested, Part::Usual), |path| (path, Part::Stems))
    }
}

/// Decodes the start of a file and creates its streams. Not for the audio thread: takes tens of milliseconds, or as
/// long as the disk blocks.
///
/// # Errors
/// If the file cannot be decoded.
pub fn load(file: &Arc<MediaFile>, part: Part) -> Result<Loaded, LoadError> {
    all(file, part).map_err(|error| {
        let error = file.take_error().map_or(error, DecodeError::Io);
        LoadError::Decode(file.path().display().to_string(), error)
    })
}

/// Loads all requested stems of a file.
fn all(file: &Arc<MediaFile>, part: Part) -> Result<Loaded, DecodeError> {
    let name = file.path().file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let is_stem_file = !file.is_rendered() && (name.ends_with(".stem.mp4") || name.ends_with(".stem.m4a"));
    if part == Part::Usual && !is_stem_file {
        return decode(Decoder::new(file)?);
    }
    let tracks = stems::list(file)?;
    let mut loaded = Vec::new();
    if tracks.len() > 1 {
        for track in tracks {
            let stem = decode(Decoder::track(file, track.track)?)?;
            loaded.push(Loaded { name: Some(track.name), ..stem });
        }
    } else {
        let first = Decoder::pair(file, 0)?;
        let pairs = first.info().channels.div_ceil(2);
        loaded.push(decode(first)?);
        for pair in 1..pairs {
            loaded.push(decode(Decoder::pair(file, pair)?)?);
        }
        if pairs > 1 {
            for (k, stem) in loaded.iter_mut().enumerate() {
                stem.name = Some(format!("channels {} and {}", 2 * k + 1, 2 * k + 2));
            }
        }
    }
    let mut loaded = loaded.into_iter();
    let first = loaded.next().ok_or_else(|| DecodeError::Unsupported("it has no audio track".into()))?;
    Ok(Loaded { others: loaded.collect(), ..first })
}

fn decode(mut decoder: Decoder) -> Result<Loaded, DecodeError> {
    let file = decoder.file().clone();
    let info = decoder.info().clone();
    let (head, chunks) = shape(&info);
    let mut left = vec![0.0; head].into_boxed_slice();
    let mut right = vec![0.0; head].into_boxed_slice();
    read_on(&mut decoder, &mut left, &mut right)?;
    let ((ra, wa), (rb, wb)) = (stream(chunks), stream(chunks));
    // A failure to lock was reported at startup already; unlocked memory is slower, not wrong.
    for plane in [&left, &right] {
        let _ = realtime::lock(plane);
    }
    for chunk in wa.idle_chunks().chain(wb.idle_chunks()) {
        let _ = realtime::lock(std::slice::from_ref(chunk));
    }
    // Includes the small allocations in between, if the limit allows.
    let _ = realtime::lock_present_memory();
    let whole = head as u64 >= info.frames;
    // A rendered sound stays in memory while it is played.
    let rendered = if file.is_rendered() && !whole { file.len() as usize } else { 0 };
    Ok(Loaded {
        source: Box::new(StemSource {
            frames: info.frames,
            sample_rate: info.sample_rate,
            head_left: left,
            head_right: right,
            streams: [ra, rb],
        }),
        path: file.path().into(),
        feeder: (!whole).then(|| Feeder::new(decoder, [wa, wb])),
        bytes: memory_for(&info) + rendered,
        grid: Grid::beside(&file),
        name: None,
        others: Vec::new(),
        info,
    })
}
