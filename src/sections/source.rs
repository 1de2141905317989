//! Tags of a track's sound: title, artist, tempo and key.

use std::path::Path;

use lofty::config::{ParseOptions, ParsingMode};
use lofty::file::TaggedFileExt;
use lofty::probe::Probe;
use lofty::tag::{Accessor, ItemKey};

use super::number::decimal;

/// Tags of a sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceTags {
    /// Its title.
    pub title: Option<String>,
    /// Its artist.
    pub artist: Option<String>,
    /// Its BPM.
    pub bpm: Option<f64>,
    /// Its key as written.
    pub key: Option<String>,
}

impl SourceTags {
    /// Reads the tags of a file; a file without, or with damaged ones, has none.
    pub fn read(path: &Path) -> SourceTags {
        let options =
            ParseOptions::new().read_properties(false).read_cover_art(false).parsing_mode(ParsingMode::Relaxed);
        let read = Probe::open(path).and_then(|probe| probe.options(options).guess_file_type()?.read());
        let Ok(file) = read else { return SourceTags::default() };
        let Some(tag) = file.primary_tag().or_else(|| file.first_tag()) else { return SourceTags::default() };
        let bpm = tag.get_string(ItemKey::Bpm).or_else(|| tag.get_string(ItemKey::IntegerBpm)).and_then(decimal);
        SourceTags {
            title: tag.title().map(|title| title.trim().to_string()).filter(|title| !title.is_empty()),
            artist: tag.artist().map(|artist| artist.trim().to_string()).filter(|artist| !artist.is_empty()),
            bpm: bpm.filter(|bpm| bpm.is_finite() && *bpm > 0.0),
            key: tag.get_string(ItemKey::InitialKey).map(str::to_string),
        }
    }
}
