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

/// The audio tracks of a file that make up its sound: of a stem file (one with a manifest, or called `.stem.mp4`) all but
/// the first, which is the mix of the others; of other files all. A file of any kind but MP4 has one.
///
/// # Errors
/// Those of reading; a file that is of no supported kind.
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
