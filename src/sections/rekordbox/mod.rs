//! Rekordbox collections: the tempo, key, beat grid and cues of tracks, by the path of their files.
//!
//! The format is AlphaTheta's (Pioneer DJ's) XML exchange format, "rekordbox xml format list": below the root,
//! `DJ_PLAYLISTS`, a `COLLECTION` holds one `TRACK` per file, with `TEMPO` and `POSITION_MARK` elements. Files written
//! by hand, by other programs or by older versions differ in details, so what cannot be read costs one value and a
//! remark, not the collection; only a document that is no XML is refused.
//!
//! | file | content |
//! |---|---|
//! | `mod` | the collection |
//! | `parse` | the elements and their values |
//! | `document` | encodings, positions of faults, attributes |
//! | `location` | Locations and paths in a form in which they can be compared |
//! | `matching` | which track belongs to which path |

mod document;
mod location;
mod matching;
#[cfg(test)]
mod matching_tests;
mod parse;
#[cfg(test)]
mod tests;

pub use document::XmlFault;
pub use matching::{Certainty, Found, Matcher};

/// The tracks of a collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collection {
    /// All tracks, in the order of the document.
    pub tracks: Vec<Track>,
    /// What could not be read, one line each: the track, what is wrong with which value, and what is done about it.
    pub remarks: Vec<String>,
}

impl Collection {
    /// Reads a collection from the content of an XML file in UTF-8 or UTF-16.
    ///
    /// # Errors
    /// The position of the first fault, if the content is not well-formed XML.
    pub fn parse(bytes: &[u8]) -> Result<Collection, XmlFault> {
        parse::collection(bytes)
    }
}

/// A track of a collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Line of the element in the file, from 1.
    pub line: u64,
    /// `TrackID`, by which playlists name the track.
    pub id: String,
    /// Title.
    pub name: String,
    /// Artist.
    pub artist: String,
    /// URI of the file as written; see [`Matcher`].
    pub location: String,
    /// Key in the notation of the program that wrote it, such as `F#m` or `11A`, without blanks around it; may be
    /// empty.
    pub tonality: String,
    /// Average tempo, above 0; `None` if the track was not analysed or the value cannot be read.
    pub bpm: Option<f64>,
    /// Duration in seconds, above 0; whole seconds in files written by Rekordbox.
    pub seconds: Option<f64>,
    /// Beat grid, in order of time.
    pub tempos: Vec<Tempo>,
    /// Cues and loops, in the order of the document.
    pub marks: Vec<Mark>,
}

/// A point of a beat grid, which holds up to the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tempo {
    /// Position of a beat in seconds.
    pub at: f64,
    /// Tempo from there on, above 0.
    pub bpm: f64,
    /// Length of a bar in beats.
    pub beats_per_bar: u32,
    /// Number of the beat at this position within its bar, from 1.
    pub beat: u32,
}

/// A cue or a loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Purpose.
    pub kind: MarkKind,
    /// Position in seconds.
    pub start: f64,
    /// End in seconds, if it has one.
    pub end: Option<f64>,
    /// −1 for a memory cue; from 0 for a hot cue.
    pub number: i32,
    /// Name given by the user; often empty.
    pub name: String,
}

/// The purpose of a [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A cue.
    Cue,
    /// The end of a fade-in.
    FadeIn,
    /// The start of a fade-out.
    FadeOut,
    /// The position at which a deck stands after loading.
    Load,
    /// A loop.
    Loop,
}

/// Largest ratio between tempos that count as the same.
const STEADY: f64 = 1.005;

impl Track {
    /// Returns whether the tempos of the beat grid differ by more than 0.5 %.
    pub fn varies(&self) -> bool {
        let slowest = self.tempos.iter().map(|tempo| tempo.bpm).fold(f64::INFINITY, f64::min);
        self.tempos.iter().any(|tempo| tempo.bpm > slowest * STEADY)
    }

    /// Returns the mean tempo of the beat grid between two positions in seconds, weighted by duration, in BPM.
    ///
    /// The first tempo holds before its position too, the last one up to the end. `None` if the track has no beat grid
    /// or `from` is after `to`; if they are equal, the tempo there.
    pub fn tempo_between(&self, from: f64, to: f64) -> Option<f64> {
        if !(from <= to && from.is_finite() && to.is_finite()) {
            return None;
        }
        let after = self.tempos.partition_point(|tempo| tempo.at <= from);
        let first = self.tempos.get(after.saturating_sub(1))?;
        // Relative to the first tempo, so that rounding cannot change a steady one.
        let (mut excess, mut tempo, mut since) = (0.0, first, from);
        for next in self.tempos[after..].iter().skip(usize::from(after == 0)) {
            let until = next.at.clamp(from, to);
            excess += (tempo.bpm - first.bpm) * (until - since);
            (tempo, since) = (next, until);
        }
        excess += (tempo.bpm - first.bpm) * (to - since);
        Some(if to > from { first.bpm + excess / (to - from) } else { first.bpm })
    }
}

/// Returns a text of a file as it can be shown within one line.
fn shown(text: &str) -> String {
    /// Longest text that is shown in full, in characters; paths and titles rarely exceed it.
    const MOST: usize = 100;
    let mut shown: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
