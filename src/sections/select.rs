//! Which tracks are exported, and at which tempo.

use super::cues::{Choice, Cues, NoCues};
use super::key::{Harmony, Key};
use super::rekordbox::Found;
use super::source::SourceTags;
use super::structure::Structure;

/// Source of the BPM of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BpmSource {
    /// Its structure file.
    #[default]
    Json,
    /// Rekordbox's average BPM, else its structure file.
    Rekordbox,
    /// Rekordbox's grid within the part: the mean of its tempos, weighted by duration.
    Tempo,
    /// The beats of its structure file within the part: the median, to 0.01.
    Beats,
    /// The tags of its sound.
    FileTag,
    /// The first of the above that has one: structure file, Rekordbox, tags.
    First,
}

/// Source of the key of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum KeySource {
    /// Its structure file.
    Json,
    /// The Rekordbox collection.
    Rekordbox,
    /// The tags of its sound.
    FileTag,
    /// The first of the above that has one.
    #[default]
    First,
}

/// A track before it is selected.
pub struct Candidate<'a> {
    /// Its analysis.
    pub structure: &'a Structure,
    /// Its entry in the Rekordbox collection.
    pub found: Option<Found<'a>>,
    /// The tags of its sound; empty unless they are asked for.
    pub tags: SourceTags,
}

/// A key that tracks must have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WantedKey {
    /// The key.
    pub key: Key,
    /// Whether only tracks count whose key is written in short notation; see [`is_short`].
    pub short_only: bool,
}

/// Returns whether a key is written as a note, an accidental and nothing, `m` or `maj`: the notation of most DJ
/// programs.
pub fn is_short(key: &str) -> bool {
    let key = key.trim().to_lowercase();
    let rest = key.trim_start_matches(|c: char| c.is_ascii_lowercase() && ('a'..='g').contains(&c));
    // A flat is a letter of the same range.
    let note = key.len() - rest.len();
    let rest = rest.trim_start_matches(['#', '♯', '♭']);
    note > 0 && matches!(rest, "" | "m" | "maj")
}

/// Selection of tracks.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Range of BPM, both ends included.
    pub bpm: Option<(f64, f64)>,
    /// Whether tracks without a BPM are in the range.
    pub without_bpm: bool,
    /// Whether a track's BPM may also be doubled or halved.
    pub half_double: bool,
    /// Where the BPM comes from.
    pub bpm_source: BpmSource,
    /// Keys to which a track's must match; empty: any.
    pub keys: Vec<WantedKey>,
    /// How keys match.
    pub harmony: Harmony,
    /// Where the key comes from.
    pub key_source: KeySource,
    /// How the part is chosen.
    pub choice: Choice,
    /// BPM of the parts; `None`: each track's own.
    pub target: Option<f64>,
    /// Range of the parts' lengths in seconds, as exported.
    pub seconds: (f64, f64),
}

/// A selected track.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// BPM of the track; `None` if unknown.
    pub bpm: Option<f64>,
    /// Key of the track as written.
    pub key: String,
    /// The same, understood.
    pub known_key: Option<Key>,
    /// Times of the part.
    pub cues: Cues,
    /// Remarks: one sentence each.
    pub remarks: Vec<String>,
}

/// Reason that a track was left out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Reason {
    /// The part does not exist.
    #[error(transparent)]
    Cues(#[from] NoCues),
    /// The BPM is outside the range.
    #[error("BPM {0:.2} is outside the range")]
    Bpm(f64),
    /// There is no BPM to compare with the range.
    #[error("no BPM")]
    NoBpm,
    /// The key does not match.
    #[error("key '{0}' does not match")]
    Key(String),
    /// The key matches, but is written in another notation.
    #[error("key '{0}' matches in another notation; --key-notation any selects it")]
    Notation(String),
    /// The key is in no known notation.
    #[error("key '{0}' is not in a known notation")]
    UnknownKey(String),
    /// There is no key to compare.
    #[error("no key")]
    NoKey,
    /// The part is too short or too long.
    #[error("its part would last {0:.1} s, which is outside the range")]
    Length(f64),
}

impl Reason {
    /// Names the reason in a few words, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Reason::Cues(NoCues::NoIntro) => "no intro",
            Reason::Cues(NoCues::TooFew { .. } | NoCues::NoLabel { .. }) => "too few sections",
            Reason::Cues(NoCues::NoDownbeats | NoCues::NoBars) => "no downbeats",
            Reason::Cues(NoCues::NoHotCue(_)) => "no such hot cue",
            Reason::Bpm(_) => "BPM outside",
            Reason::NoBpm => "no BPM",
            Reason::Key(_) => "other key",
            Reason::Notation(_) => "key in another notation",
            Reason::UnknownKey(_) => "unknown key",
            Reason::NoKey => "no key",
            Reason::Length(_) => "length outside",
        }
    }
}

impl Selection {
    /// Selects a track, or says why not.
    ///
    /// # Errors
    /// The reason.
    pub fn choose(&self, track: &Candidate) -> Result<Chosen, Reason> {
        let structure = track.structure;
        let entry = track.found.as_ref().map(|found| found.track);
        let average = entry.and_then(|entry| entry.bpm);
        // Bars and beats of the part are those of the tempo that is known before it is.
        let rough = average.or(structure.bpm);
        let cues = self.choice.choose(structure, rough, entry);
        let mut remarks = Vec::new();
        let mut bpm = match (self.bpm_source, &cues) {
            (BpmSource::Json, _) => structure.bpm,
            (BpmSource::Rekordbox, _) => rough,
            (BpmSource::Tempo, Ok(cues)) => entry.and_then(|entry| entry.tempo_between(cues.ini, cues.end)).or(rough),
            (BpmSource::Beats, Ok(cues)) => median_bpm(&structure.beats, cues).or(structure.bpm),
            (BpmSource::Tempo | BpmSource::Beats, Err(_)) => rough,
            (BpmSource::FileTag, _) => track.tags.bpm,
            (BpmSource::First, _) => structure.bpm.or(average).or(track.tags.bpm),
        };
        if entry.is_some_and(|entry| entry.varies())
            && matches!(self.bpm_source, BpmSource::Rekordbox | BpmSource::Tempo)
        {
            remarks.push("its tempo varies by more than 0.5 %; its part has their mean".into());
        }
        if self.half_double
            && let Some(own) = bpm
        {
            let octave = self.octave(own);
            if octave != 1.0 {
                remarks.push(format!("BPM {own:.2} is taken as {:.2}", own * octave));
                bpm = Some(own * octave);
            }
        }
        if let Some((low, high)) = self.bpm {
            match bpm {
                None if !self.without_bpm => return Err(Reason::NoBpm),
                Some(bpm) if !(low..=high).contains(&bpm) => return Err(Reason::Bpm(bpm)),
                _ => {}
            }
        }
        let key = self.key_of(track);
        let known_key: Option<Key> = key.parse().ok();
        if !self.keys.is_empty() {
            match known_key {
                None if key.trim().is_empty() => return Err(Reason::NoKey),
                None => return Err(Reason::UnknownKey(key.trim().into())),
                Some(own) => {
                    let matching = self.keys.iter().filter(|wanted| self.harmony.allows(wanted.key, own));
                    let mut matching = matching.peekable();
                    if matching.peek().is_none() {
                        return Err(Reason::Key(key.trim().into()));
                    }
                    if !matching.any(|wanted| !wanted.short_only || is_short(&key)) {
                        return Err(Reason::Notation(key.trim().into()));
                    }
                }
            }
        }
        let cues = cues?;
        if let (Some(bpm), (low, high)) = (bpm, self.seconds) {
            let seconds = (cues.end - cues.ini) * bpm / self.target.unwrap_or(bpm);
            if !(low..=high).contains(&seconds) {
                return Err(Reason::Length(seconds));
            }
        }
        Ok(Chosen { bpm, key, known_key, cues, remarks })
    }

    /// Returns the key of a track as written; empty if unknown.
    pub fn key_of(&self, track: &Candidate) -> String {
        let json = || Some(track.structure.key.clone());
        let entry = || track.found.as_ref().map(|found| found.tonality.to_string());
        let tag = || track.tags.key.clone();
        let first = |key: &String| !key.trim().is_empty();
        match self.key_source {
            KeySource::Json => json(),
            KeySource::Rekordbox => entry(),
            KeySource::FileTag => tag(),
            KeySource::First => json().filter(first).or_else(|| entry().filter(first)).or_else(tag),
        }
        .unwrap_or_default()
    }

    /// Returns the factor, of 1/2, 1 and 2, that brings a BPM into the range, and of several the one nearest to the
    /// target.
    fn octave(&self, bpm: f64) -> f64 {
        let inside = |factor: &f64| self.bpm.is_none_or(|(low, high)| (low..=high).contains(&(bpm * factor)));
        let distance = |factor: f64| self.target.map_or(0.0, |goal| (goal / (bpm * factor)).log2().abs());
        let inside = [1.0, 0.5, 2.0].into_iter().filter(inside);
        inside.min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap_or(1.0)
    }
}

/// Returns the median tempo of the beats within a part, to 0.01 BPM.
fn median_bpm(beats: &[f64], cues: &Cues) -> Option<f64> {
    let inside: Vec<f64> = beats.iter().copied().filter(|t| (cues.ini..=cues.end).contains(t)).collect();
    let mut tempos: Vec<f64> = inside.windows(2).map(|pair| 60.0 / (pair[1] - pair[0])).collect();
    tempos.sort_by(f64::total_cmp);
    let n = tempos.len();
    let middle = (tempos.get(n.checked_sub(1)? / 2)? + tempos.get(n / 2)?) / 2.0;
    Some((middle * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::cues::{From, Intro, Rule, Snap, Until};
    use super::*;

    fn selection() -> Selection {
        let choice = Choice {
            rule: Rule::ByTime,
            intro: Intro::Last,
            from: From::Intro,
            until: Until::Sections(1),
            snap: Snap::None,
        };
        Selection {
            bpm: None,
            without_bpm: false,
            half_double: false,
            bpm_source: BpmSource::Json,
            keys: Vec::new(),
            harmony: Harmony::Same,
            key_source: KeySource::First,
            choice,
            target: None,
            seconds: (0.0, f64::INFINITY),
        }
    }

    fn structure(bpm: &str, key: &str) -> Structure {
        let text = format!(
            r#"{{"bpm": {bpm}, "key": "{key}", "beats": [4.0, 4.5, 5.0, 5.49, 6.0, 9.0], "segments": [
                {{"start": 0, "end": 4, "label": "intro"}}, {{"start": 4, "end": 8, "label": "verse"}}]}}"#
        );
        Structure::parse(Path::new("x.json"), text.as_bytes()).unwrap()
    }

    fn choose(selection: &Selection, structure: &Structure) -> Result<Chosen, String> {
        let candidate = Candidate { structure, found: None, tags: SourceTags::default() };
        selection.choose(&candidate).map_err(|reason| reason.to_string())
    }

    #[test]
    fn a_track_without_bpm_satisfies_no_filter() {
        let none = structure("null", "");
        assert_eq!(choose(&selection(), &none).unwrap().bpm, None);
        let filter = Selection { bpm: Some((f64::NEG_INFINITY, 122.0)), ..selection() };
        assert_eq!(choose(&filter, &none).unwrap_err(), "no BPM");
        assert!(choose(&filter, &structure("122", "")).is_ok());
        assert_eq!(choose(&filter, &structure("122.01", "")).unwrap_err(), "BPM 122.01 is outside the range");
    }

    #[test]
    fn half_and_double_tempo_count_on_request() {
        let mut filter = Selection { bpm: Some((120.0, 124.0)), target: Some(122.0), ..selection() };
        assert!(choose(&filter, &structure("61", "")).is_err());
        filter.half_double = true;
        let chosen = choose(&filter, &structure("61", "")).unwrap();
        assert_eq!((chosen.bpm, chosen.remarks.len()), (Some(122.0), 1));
        assert_eq!(choose(&filter, &structure("244", "")).unwrap().bpm, Some(122.0));
        assert_eq!(choose(&filter, &structure("122", "")).unwrap().remarks.len(), 0);
    }

    #[test]
    fn keys_match_in_every_notation() {
        let wanted = |short_only| vec![WantedKey { key: "Gm".parse().unwrap(), short_only }];
        let filter = Selection { keys: wanted(false), ..selection() };
        assert!(choose(&filter, &structure("120", "6A")).is_ok());
        let short = Selection { keys: wanted(true), ..selection() };
        for (key, is_selected) in [(" gm", true), ("6A", false), ("G minor", false), ("Gmin", false), ("11m", false)] {
            assert_eq!(choose(&short, &structure("120", key)).is_ok(), is_selected, "{key}");
        }
        for (key, short) in
            [("Bb", true), ("C♯m", true), ("Gmaj", true), ("Ebm", true), ("bb", true), ("11m", false), ("", false)]
        {
            assert_eq!(is_short(key), short, "{key}");
        }
        for (key, why) in
            [("", "no key"), ("x", "key 'x' is not in a known notation"), ("Am", "key 'Am' does not match")]
        {
            assert_eq!(choose(&filter, &structure("120", key)).unwrap_err(), why);
        }
        let near = Selection { harmony: Harmony::Adjacent, ..filter };
        assert!(choose(&near, &structure("120", "Cm")).is_ok());
    }

    #[test]
    fn the_tempo_may_be_that_of_the_beats_within_the_part() {
        let beats = Selection { bpm_source: BpmSource::Beats, ..selection() };
        assert_eq!(choose(&beats, &structure("119", "")).unwrap().bpm, Some(120.0));
        let short = Selection { seconds: (0.0, 3.9), ..selection() };
        assert_eq!(
            choose(&short, &structure("120", "")).unwrap_err(),
            "its part would last 4.0 s, which is outside the range"
        );
    }
}
