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
use crate::system::realtime;

/// Seconds at a file's beginning that stay resident, so that it starts at once.
const HEAD_SECONDS: f64 = 0.5;
/// A file no longer than this stays resident as a whole and needs no disk at all.
const WHOLE_SECONDS: f64 = 2.0;
/// Chunks per stream: 65 536 frames, 1.4 s at 48 kHz, the longest nap a card reader may take.
const CHUNKS: usize = 32;
/// Decoder, packet buffers and bookkeeping of a stem, roughly, in bytes.
const OVERHEAD: usize = 160 * 1024;

/// A stem that is ready to be installed.
pub struct Loaded {
    /// For the engine.
    pub source: Box<StemSource>,
    /// For the disk thread; `None` when the whole file is resident.
    pub feeder: Option<Feeder>,
    /// The file's path.
    pub path: PathBuf,
    /// What the file holds.
    pub info: Info,
    /// Memory it takes.
    pub bytes: usize,
    /// Its beats, from the file beside it, or what is wrong with that.
    pub grid: Result<Option<Grid>, String>,
    /// What the file calls it, if it holds several stems.
    pub name: Option<String>,
    /// The file's other stems, in order.
    pub others: Vec<Loaded>,
}

/// Bytes a stem of this length and rate will take.
pub fn memory_for(info: &Info) -> usize {
    let (head, chunks) = shape(info);
    head * 8 + 2 * chunks * CHUNK * 8 + OVERHEAD
}

/// Resident frames and chunks per stream.
fn shape(info: &Info) -> (usize, usize) {
    let rate = f64::from(info.sample_rate);
    if info.frames as f64 <= WHOLE_SECONDS * rate {
        (info.frames as usize, 1)
    } else {
        ((HEAD_SECONDS * rate) as usize, CHUNKS)
    }
}

/// Why a file was not loaded; a whole sentence for whoever asked.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It was not found.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// It cannot be played.
    #[error("file '{0}' {1}")]
    Decode(String, DecodeError),
    /// Its disk does not answer.
    #[error("file '{0}' was not loaded: no response for {1} s")]
    NoResponse(String, u64),
    /// The system has no thread for it.
    #[error("no thread can be started: {0}")]
    NoThread(String),
}

impl LoadError {
    /// For a file that cannot be decoded.
    pub fn damaged(path: &Path, why: &str) -> LoadError {
        LoadError::Decode(path.display().to_string(), DecodeError::Damaged(why.into()))
    }
}

/// What a file is asked for that holds more than one stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its sound as a whole; of a stem file (`.stem.mp4`) its stems.
    Usual,
    /// Each of its tracks, or of its pairs of channels, as a stem.
    Stems,
}

impl Part {
    /// A client's path without the mark at its end (`#stems`) that asks for stems.
    pub fn of(requested: &str) -> (&str, Part) {
        requested.strip_suffix("#stems").map_or((requested, Part::Usual), |path| (path, Part::Stems))
    }
}

/// Decodes a file's head and makes its streams. Not for the audio thread; takes tens of milliseconds, or as long as
/// its disk takes.
///
/// # Errors
/// If it cannot be played.
pub fn load(file: &Arc<MediaFile>, part: Part) -> Result<Loaded, LoadError> {
    all(file, part).map_err(|error| {
        let error = file.take_error().map_or(error, DecodeError::Io);
        LoadError::Decode(file.path().display().to_string(), error)
    })
}

/// The stems of a file that is asked for.
fn all(file: &Arc<MediaFile>, part: Part) -> Result<Loaded, DecodeError> {
    let name = file.path().file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let is_stem_file = name.ends_with(".stem.mp4") || name.ends_with(".stem.m4a");
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
    // A refusal was reported at the start already; unlocked is slower, not wrong.
    for plane in [&left, &right] {
        let _ = realtime::lock(plane);
    }
    for chunk in wa.idle_chunks().chain(wb.idle_chunks()) {
        let _ = realtime::lock(std::slice::from_ref(chunk));
    }
    // And the small things between, if the limit suffices for all there is.
    let _ = realtime::lock_present_memory();
    let whole = head as u64 >= info.frames;
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
        bytes: memory_for(&info),
        grid: Grid::beside(&file),
        name: None,
        others: Vec::new(),
        info,
    })
}
