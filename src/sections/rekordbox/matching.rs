//! Which track of a collection belongs to the file at a path.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use super::location::{self, Located};
use super::{Collection, Track, shown};

/// How well a track's `Location` fits a path; all but [`Certainty::Exact`] are guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The same file, apart from spelling.
    Exact,
    /// The file's name and at least one folder above it are the same, and no other file of the collection has as much
    /// in common with the path.
    Tail,
    /// The file's name and the duration are the same, and no other file of the collection has both.
    Name,
    /// The file's name without its suffix and the duration are the same, and no other file of the collection has both.
    Stem,
}

/// A track that belongs to a path.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The track; if several claim the file, the last one that has a BPM.
    pub track: &'a Track,
    /// The track's key; if it has none, that of another track that claims the file. May be empty.
    pub tonality: &'a str,
    /// How well it fits.
    pub certainty: Certainty,
}

/// Largest difference between durations that count as the same, in seconds; those of Rekordbox are whole seconds.
const SAME_SECONDS: f64 = 1.0;

/// An index of a collection by path.
///
/// Paths are compared without regard to case, normal form of Unicode, separators, `.` and `..`, and the spelling of the
/// URI.
#[derive(Debug)]
pub struct Matcher<'a> {
    home: Option<PathBuf>,
    files: Vec<File<'a>>,
    /// The files by their forms.
    exact: HashMap<Key, usize>,
    /// The files by their forms with U+FFFD, if only one has it.
    replaced: HashMap<String, Option<usize>>,
    /// All files, in the order of their forms, so that those with a common tail are neighbours.
    tails: Vec<usize>,
    names: HashMap<String, Namesakes>,
    stems: HashMap<String, Namesakes>,
}

/// A form, and whether it is a guess at bytes that are not UTF-8.
type Key = (String, bool);

/// Files of the same name, with their durations and in order of them; unknown ones are infinite.
type Namesakes = Vec<(f64, usize)>;

/// A file that tracks of the collection claim.
#[derive(Debug)]
struct File<'a> {
    form: String,
    /// The tracks, in the order of the document.
    claims: Vec<&'a Track>,
    /// The track that counts: the last one with a BPM, or else with a beat grid, or else of all.
    track: &'a Track,
    tonality: &'a str,
    /// Duration; infinite if unknown.
    seconds: f64,
}

impl<'a> File<'a> {
    /// Decides what counts, once all claims are known.
    fn settle(&mut self) {
        let last = |counts: fn(&Track) -> bool| self.claims.iter().rev().copied().find(|track| counts(track));
        let graded = last(|track| track.bpm.is_some()).or_else(|| last(|track| !track.tempos.is_empty()));
        let track = graded.or_else(|| last(|_| true)).unwrap_or(self.track);
        let all = || std::iter::once(track).chain(self.claims.iter().rev().copied());
        let tonality = all().map(|track| track.tonality.as_str()).find(|tonality| !tonality.is_empty());
        let seconds = all().find_map(|track| track.seconds);
        (self.track, self.tonality, self.seconds) = (track, tonality.unwrap_or(""), seconds.unwrap_or(f64::INFINITY));
    }

    fn found(&self, certainty: Certainty) -> Found<'a> {
        Found { track: self.track, tonality: self.tonality, certainty }
    }

    /// Returns one line about the tracks that claim the file with different BPMs; `None` if they agree.
    fn conflict(&self) -> Option<String> {
        /// Most tracks that are named.
        const MOST: usize = 5;
        let track = self.track;
        let claims: Vec<_> = self.claims.iter().filter_map(|track| Some((track, track.bpm?))).collect();
        if claims.iter().all(|(_, bpm)| Some(*bpm) == track.bpm) {
            return None;
        }
        let named: Vec<String> = claims
            .iter()
            .take(MOST)
            .map(|(track, bpm)| format!("TRACK \"{}\" (line {}) with {bpm} BPM", shown(&track.name), track.line))
            .collect();
        let more = match claims.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (list, file) = (named.join(", "), shown(&track.location));
        Some(format!("'{file}' is claimed by {list}{more}; the one in line {} counts", track.line))
    }
}

impl<'a> Matcher<'a> {
    /// Returns the index of a collection; `home` is the folder that `~` stands for at the start of paths.
    pub fn new(collection: &'a Collection, home: Option<&Path>) -> Matcher<'a> {
        let mut index = Matcher {
            home: home.map(Path::to_path_buf),
            files: Vec::new(),
            exact: HashMap::with_capacity(collection.tracks.len()),
            replaced: HashMap::new(),
            tails: Vec::new(),
            names: HashMap::new(),
            stems: HashMap::new(),
        };
        for track in &collection.tracks {
            if let Some(located) = location::of_location(&track.location) {
                index.claim(track, located);
            }
        }
        for (number, file) in index.files.iter_mut().enumerate() {
            file.settle();
            let name = first(&file.form);
            let namesake = (file.seconds, number);
            index.names.entry(name.to_string()).or_default().push(namesake);
            index.stems.entry(stem(name).to_string()).or_default().push(namesake);
        }
        for namesakes in index.names.values_mut().chain(index.stems.values_mut()) {
            namesakes.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        index.tails = (0..index.files.len()).collect();
        index.tails.sort_by(|a, b| index.files[*a].form.cmp(&index.files[*b].form));
        index
    }

    fn claim(&mut self, track: &'a Track, located: Located) {
        let next = self.files.len();
        let number = match self.exact.entry((located.form.clone(), located.replaced.is_some())) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                let (form, claims) = (located.form, Vec::new());
                self.files.push(File { form, claims, track, tonality: "", seconds: f64::INFINITY });
                *free.insert(next)
            }
        };
        self.files[number].claims.push(track);
        if let Some(replaced) = located.replaced {
            let only = self.replaced.entry(replaced).or_insert(Some(number));
            *only = only.filter(|only| *only == number);
        }
    }

    /// Returns the track that belongs to a path of any system.
    ///
    /// A path that is not absolute is never certain. `seconds` is the duration of the file, which must agree with the
    /// track's where only the name does; if it is unknown, a name that occurs once is enough.
    pub fn find(&self, path: &str, seconds: Option<f64>) -> Option<Found<'a>> {
        let form = location::of_path(path, self.home.as_deref())?;
        let (form, absolute) = (form.text, form.absolute);
        if absolute && let Some(number) = self.same(&form) {
            return Some(self.files[number].found(Certainty::Exact));
        }
        if let Some(number) = self.longest_tail(&form) {
            return Some(self.files[number].found(Certainty::Tail));
        }
        let name = first(&form);
        let (number, certainty) = match only(self.names.get(name), seconds) {
            Some(number) => (number, Certainty::Name),
            None => (only(self.stems.get(stem(name)), seconds)?, Certainty::Stem),
        };
        Some(self.files[number].found(certainty))
    }

    /// Returns the file of a form: the one that is written so, or else one whose bytes may mean it.
    fn same(&self, form: &str) -> Option<usize> {
        let mut key = (form.to_string(), false);
        if let Some(number) = self.exact.get(&key) {
            return Some(*number);
        }
        key.1 = true;
        self.exact.get(&key).copied().or_else(|| self.replaced.get(form).copied().flatten())
    }

    /// Returns the file that has more components at its end in common with `form` than any other, and at least two.
    fn longest_tail(&self, form: &str) -> Option<usize> {
        let of = |place: usize| self.tails.get(place).map(|number| self.files[*number].form.as_str());
        let place = self.tails.partition_point(|number| self.files[*number].form.as_str() < form);
        // In the order of the forms, the neighbours of a form have most in common with it.
        let before = place.checked_sub(1).and_then(of).map_or("", |other| common(form, other));
        let after = of(place).map_or("", |other| common(form, other));
        let tail = if after.len() > before.len() { after } else { before };
        if tail.matches('/').count() < 2 {
            return None;
        }
        let start = self.tails.partition_point(|number| self.files[*number].form.as_str() < tail);
        let unique = of(start + 1).is_none_or(|next| !next.starts_with(tail));
        unique.then(|| self.tails.get(start).copied()).flatten()
    }

    /// Returns one line for each file that tracks claim with different BPMs; it names them.
    pub fn conflicts(&self) -> Vec<String> {
        self.files.iter().filter_map(File::conflict).collect()
    }
}

/// Returns the only file among namesakes whose duration agrees, or the only one at all if `seconds` is unknown.
fn only(namesakes: Option<&Namesakes>, seconds: Option<f64>) -> Option<usize> {
    let namesakes = namesakes?;
    let agreeing = match seconds.filter(|seconds| seconds.is_finite()) {
        Some(seconds) => {
            let start = namesakes.partition_point(|(other, _)| *other < seconds - SAME_SECONDS);
            let end = namesakes.partition_point(|(other, _)| *other <= seconds + SAME_SECONDS);
            &namesakes[start..end]
        }
        None => namesakes,
    };
    match agreeing {
        [(_, number)] => Some(*number),
        _ => None,
    }
}

/// Returns the whole components that two forms have in common.
fn common<'f>(form: &'f str, other: &str) -> &'f str {
    let same = form.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let end = form.as_bytes()[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |end| end + 1);
    &form[..end]
}

/// Returns the first component of a form, which is the file's name.
fn first(form: &str) -> &str {
    form.split('/').next().unwrap_or_default()
}

/// Returns a name without its last suffix.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem })
}
