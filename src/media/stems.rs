//! The tracks of an MP4 file, such as a Native Instruments stem file with a mix and four stems.

use std::sync::Arc;

use serde::Deserialize;

use super::decode::{self, DecodeError};
use super::file::MediaFile;

/// An audio track of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StemTrack {
    /// Index of the track, for [`decode::Decoder::track`].
    pub track: usize,
    /// Name from the manifest, or "track 1", "track 2", …
    pub name: String,
    /// Colour from the manifest as `#rrggbb`, if any.
    pub colour: Option<String>,
}

/// The used part of the JSON manifest in the box `stem`.
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

/// Lists the audio tracks that make up the sound of a file. In a stem file (with a manifest, or named `.stem.mp4` or
/// `.stem.m4a`) these are all but the first, which is the mix of the others; in other MP4 files all. Files of other
/// kinds have one.
///
/// # Errors
/// If the file cannot be read or has no supported format.
pub fn list(file: &Arc<MediaFile>) -> Result<Vec<StemTrack>, DecodeError> {
    let (count, manifest) = decode::tracks(file)?;
    let manifest: Option<Manifest> = manifest.and_then(|json| serde_json::from_slice(&json).ok());
    let entries = manifest.map(|manifest| manifest.stems).unwrap_or_default();
    let name = file.path().file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let called = [".stem.mp4", ".stem.m4a"].iter().any(|ending| name.ends_with(ending));
    let first = usize::from(count > 1 && (called || !entries.is_empty()));
    let stem = |track: usize| {
        let entry = track.checked_sub(1).filter(|_| first > 0).and_then(|entry| entries.get(entry));
        let said = entry.map(|entry| entry.name.trim()).filter(|name| !name.is_empty());
        let name = said.map_or_else(|| format!("track {}", track + 1), Into::into);
        let colour = entry.map(|entry| entry.color.clone()).filter(|colour| !colour.is_empty());
        StemTrack { track, name, colour }
    };
    Ok((first..count).map(stem).collect())
}
