//! The tracks of an MP4 file, such as a Native Instruments stem file: a mix and four stems in one file.

use std::sync::Arc;

use serde::Deserialize;

use super::decode::{self, DecodeError};
use super::file::MediaFile;

/// A track of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StemTrack {
    /// Which track, for [`decode::Decoder::track`].
    pub track: usize,
    /// What its manifest calls it, or "track 1", "track 2", …
    pub name: String,
    /// Its colour as `#rrggbb`, if its manifest gives one.
    pub colour: Option<String>,
}

/// The manifest in the box `stem`, as far as it is wanted.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    stems: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    name: String,
    #[serde(default)]
    color: String,
}

/// The audio tracks of a file that make up its sound: the stems where there is a manifest (the first track, the mix of
/// all, is left out), else all tracks. A file of any kind but MP4 has one.
///
/// # Errors
/// Those of reading; a file that is of no supported kind.
pub fn list(file: &Arc<MediaFile>) -> Result<Vec<StemTrack>, DecodeError> {
    let (count, manifest) = decode::tracks(file)?;
    let manifest: Option<Manifest> = manifest.and_then(|json| serde_json::from_slice(&json).ok());
    let plain = |track: usize| StemTrack { track, name: format!("track {}", track + 1), colour: None };
    Ok(match manifest {
        Some(manifest) if count > 1 && !manifest.stems.is_empty() => (1..count)
            .map(|track| match manifest.stems.get(track - 1) {
                Some(entry) => StemTrack {
                    track,
                    name: if entry.name.trim().is_empty() { plain(track).name } else { entry.name.trim().into() },
                    colour: (!entry.color.is_empty()).then(|| entry.color.clone()),
                },
                None => plain(track),
            })
            .collect(),
        _ => (0..count).map(plain).collect(),
    })
}
