//! Choice of the part of a track that is exported, and of the window in which the next track is mixed in.

use super::rekordbox::{MarkKind, Track};
use super::structure::{Segment, Structure};

/// Tolerance in seconds for "at or after": times of analyses lie on a grid of 10 ms.
pub const TOLERANCE: f64 = 0.02;
/// Minimum length of a section in seconds.
pub const MIN_SECTION: f64 = 0.010;
/// Bars of the window for mixing out, if a part is given as a number of bars.
const WINDOW_BARS: usize = 8;
/// Beats per bar, where an analysis does not tell.
const METER: usize = 4;

/// Times of a part in seconds of the track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cues {
    /// Start of the part.
    pub ini: f64,
    /// Start of the window for mixing into the next track.
    pub begin: f64,
    /// End of the part.
    pub end: f64,
}

/// Reading of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Sorted by start; those shorter than [`MIN_SECTION`] are skipped, except the markers `intro` and, as the last,
    /// `end`; labels are trimmed, and times compared with a tolerance of 20 ms.
    #[default]
    ByTime,
    /// In the order of the file, labels and times compared exactly: the rule of the older exporter.
    Strict,
}

/// The intro that counts if there are several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Intro {
    /// The first.
    First,
    /// The last.
    #[default]
    Last,
    /// The longest.
    Longest,
}

/// Beginning of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum From {
    /// At the end of the intro.
    #[default]
    Intro,
    /// At the first downbeat.
    FirstDownbeat,
    /// At this many seconds.
    Seconds(f64),
    /// At a hot cue of the Rekordbox collection, counted from 0.
    HotCue(i32),
}

/// End of a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Until {
    /// At the end of the n-th section, which is the window for mixing out.
    Sections(usize),
    /// At the end of the k-th section with this label, which is the window for mixing out.
    Label(String, usize),
    /// After this many bars; the last eight, or half of them if there are fewer than 16, are the window for mixing out.
    Bars(usize),
}

/// Marks to which the times of a part are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Snap {
    /// Nothing.
    #[default]
    None,
    /// The nearest beat of the structure file.
    Beat,
    /// The nearest downbeat of the structure file.
    Downbeat,
    /// The nearest downbeat of Rekordbox's grid.
    Grid,
}

/// Choice of the part of a track.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Reading of segments.
    pub rule: Rule,
    /// The intro that counts.
    pub intro: Intro,
    /// Beginning of the part.
    pub from: From,
    /// End of the part.
    pub until: Until,
    /// Marks to which its times are moved.
    pub snap: Snap,
}

/// Reason that a track has no such part.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoCues {
    /// There is no segment with the label "intro".
    #[error("no intro")]
    NoIntro,
    /// There are too few sections.
    #[error("{have} of {want} sections after its beginning")]
    TooFew {
        /// Number of sections.
        have: usize,
        /// Number of sections that are needed.
        want: usize,
    },
    /// No section has the label.
    #[error("{have} of {want} sections '{label}' after its beginning")]
    NoLabel {
        /// The label.
        label: String,
        /// Number of such sections.
        have: usize,
        /// Number of such sections that are needed.
        want: usize,
    },
    /// There are no downbeats.
    #[error("no downbeats")]
    NoDownbeats,
    /// The collection has no such hot cue.
    #[error("no hot cue {}", hot_cue_name(*.0))]
    NoHotCue(i32),
    /// Bars cannot be counted.
    #[error("neither downbeats nor a BPM to count bars with")]
    NoBars,
}

/// Returns the letter of a hot cue as Rekordbox shows it.
fn hot_cue_name(number: i32) -> char {
    u8::try_from(number).ok().filter(|n| *n < 26).map_or('?', |n| char::from(b'A' + n))
}

impl Choice {
    /// Chooses the part of a track; `bpm` is its tempo, and `track` its entry in the Rekordbox collection.
    ///
    /// # Errors
    /// If the track has no such part.
    pub fn choose(&self, structure: &Structure, bpm: Option<f64>, track: Option<&Track>) -> Result<Cues, NoCues> {
        let segments = self.segments(structure);
        let ini = match self.from {
            From::Intro => self.intro_end(&segments).ok_or(NoCues::NoIntro)?,
            From::FirstDownbeat => *structure.downbeats.first().ok_or(NoCues::NoDownbeats)?,
            From::Seconds(seconds) => seconds,
            From::HotCue(number) => {
                let is_it = |m: &&super::rekordbox::Mark| {
                    matches!(m.kind, MarkKind::Cue | MarkKind::Loop) && m.number == number
                };
                let mark = track.and_then(|track| track.marks.iter().find(is_it));
                mark.ok_or(NoCues::NoHotCue(number))?.start
            }
        };
        let mut sections = segments.iter().skip_while(|s| match self.rule {
            Rule::ByTime => s.start < ini - TOLERANCE,
            Rule::Strict => s.start < ini,
        });
        let (begin, end) = match &self.until {
            Until::Sections(want) => {
                let have = sections.clone().count();
                let last = sections.nth(want - 1).ok_or(NoCues::TooFew { have, want: *want })?;
                (last.start, last.end)
            }
            Until::Label(label, want) => {
                let mut named = sections.filter(|s| is(s, label));
                let have = named.clone().count();
                let last =
                    named.nth(want - 1).ok_or_else(|| NoCues::NoLabel { label: label.clone(), have, want: *want })?;
                (last.start, last.end)
            }
            Until::Bars(bars) => {
                let window = WINDOW_BARS.min(bars.div_ceil(2));
                let at = |bars| bar(structure, bpm, ini, bars).ok_or(NoCues::NoBars);
                (at(bars - window)?, at(*bars)?)
            }
        };
        Ok(self.snapped(Cues { ini, begin, end }, structure, bpm, track))
    }

    fn segments<'a>(&self, structure: &'a Structure) -> Vec<&'a Segment> {
        let mut segments: Vec<&Segment> = structure.segments.iter().collect();
        if self.rule == Rule::ByTime {
            segments.sort_by(|a, b| a.start.total_cmp(&b.start));
            let last = segments.last().copied();
            // Times are decimal fractions: 0.01 s may be a little less.
            let counts = |s: &Segment| s.end - s.start > MIN_SECTION - 1e-6;
            let is_last = |s: &Segment| last.is_some_and(|last| std::ptr::eq(s, last));
            segments.retain(|s| counts(s) || is(s, "intro") || (is(s, "end") && is_last(s)));
        }
        segments
    }

    fn intro_end(&self, segments: &[&Segment]) -> Option<f64> {
        let mut intros = segments.iter().filter(|s| match self.rule {
            Rule::ByTime => is(s, "intro"),
            Rule::Strict => s.label.to_lowercase() == "intro",
        });
        let intro = match self.intro {
            Intro::First => intros.next(),
            Intro::Last => intros.next_back(),
            Intro::Longest => intros.max_by(|a, b| (a.end - a.start).total_cmp(&(b.end - b.start))),
        };
        intro.map(|s| s.end)
    }

    /// Moves all times to the nearest marks that lie within half a beat.
    fn snapped(&self, cues: Cues, structure: &Structure, bpm: Option<f64>, track: Option<&Track>) -> Cues {
        let nearest = |time: f64| {
            let mark = match self.snap {
                Snap::None => None,
                Snap::Beat => closest(&structure.beats, time),
                Snap::Downbeat => closest(&structure.downbeats, time),
                Snap::Grid => track.and_then(|track| grid_downbeat(track, time)),
            };
            let half_beat = 30.0 / bpm.unwrap_or(120.0);
            mark.filter(|mark| (mark - time).abs() <= half_beat).unwrap_or(time)
        };
        Cues { ini: nearest(cues.ini), begin: nearest(cues.begin), end: nearest(cues.end) }
    }
}

fn is(segment: &Segment, label: &str) -> bool {
    segment.label.trim().to_lowercase() == label.to_lowercase()
}

fn closest(times: &[f64], time: f64) -> Option<f64> {
    times.iter().copied().min_by(|a, b| (a - time).abs().total_cmp(&(b - time).abs()))
}

/// Returns the time `bars` bars after `from`: by the downbeats of the analysis, after its last one by the tempo.
fn bar(structure: &Structure, bpm: Option<f64>, from: f64, bars: usize) -> Option<f64> {
    let mut after: Vec<f64> = structure.downbeats.iter().copied().filter(|t| *t >= from - TOLERANCE).collect();
    if bpm.is_some() && after.first().is_some_and(|first| *first > from + TOLERANCE) {
        // It does not begin on a downbeat: bars are counted by the tempo.
        after.clear();
    }
    if let Some(time) = after.get(bars) {
        return Some(if bars == 0 { from } else { *time });
    }
    let (known, last) = after.last().map_or((0, from), |last| (after.len() - 1, *last));
    Some(last + (bars - known) as f64 * METER as f64 * 60.0 / bpm?)
}

/// Returns the downbeat of Rekordbox's grid that is nearest to `time`.
fn grid_downbeat(track: &Track, time: f64) -> Option<f64> {
    let tempo = track.tempos.iter().rfind(|tempo| tempo.at <= time).or_else(|| track.tempos.first())?;
    let beat = 60.0 / Some(tempo.bpm).filter(|bpm| *bpm > 0.0)?;
    let meter = f64::from(tempo.beats_per_bar.max(1));
    // Its first beat may be any of a bar.
    let first = tempo.at - f64::from(tempo.beat.max(1) - 1) * beat;
    Some(first + ((time - first) / (meter * beat)).round() * meter * beat)
}

/// Returns the deviation of a part's window and length from whole bars, in seconds at its tempo after export; the larger
/// one counts.
pub fn off_bars(cues: &Cues, speed: f64, target_bpm: f64) -> f64 {
    let bar = METER as f64 * 60.0 / target_bpm;
    let off = |seconds: f64| {
        let bars = seconds / speed / bar;
        (bars - bars.round()).abs() * bar
    };
    off(cues.begin - cues.ini).max(off(cues.end - cues.ini))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    fn choice(rule: Rule, n: usize) -> Choice {
        Choice { rule, intro: Intro::Last, from: From::Intro, until: Until::Sections(n), snap: Snap::None }
    }

    fn data(path: &str) -> Vec<u8> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sections");
        std::fs::read(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// The cues of both rules on structures of all kinds, worked out by others.
    #[test]
    fn both_rules_give_the_known_cues() {
        let known: Value = serde_json::from_slice(&data("expected/cues.json")).unwrap();
        let tracks = known["tracks"].as_object().unwrap();
        assert!(tracks.len() > 25, "{}", tracks.len());
        for (name, rules) in tracks {
            let file = format!("inputs/lib/segments/struct/{name}.json");
            // A BPM that is no number makes the whole file unreadable.
            let structure = match Structure::parse(Path::new(&file), &data(&file)) {
                Ok(structure) => structure,
                Err(what) => {
                    assert!(name == "27-bpm-nan", "{name}: {what}");
                    continue;
                }
            };
            for (rule, own) in [("original", Rule::Strict), ("by_time", Rule::ByTime)] {
                for (n, want) in rules[rule].as_object().unwrap() {
                    let found = choice(own, n.parse().unwrap()).choose(&structure, None, None).ok();
                    let want = want.as_array().map(|w| {
                        let at = |k: usize| w[k].as_f64().unwrap();
                        Cues { ini: at(0), begin: at(1), end: at(2) }
                    });
                    assert_eq!(found, want, "{name}, {rule}, n = {n}");
                }
            }
        }
    }

    fn structure() -> Structure {
        let text = r#"{"bpm": 120, "beats": [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5], "downbeats": [0.5, 2.5, 4.5],
            "segments": [{"start": 0, "end": 0.5, "label": "start"}, {"start": 0.5, "end": 2.51, "label": "intro"},
                {"start": 2.51, "end": 4.48, "label": "verse"}, {"start": 4.48, "end": 8.5, "label": "Chorus"},
                {"start": 8.5, "end": 12.5, "label": "chorus"}]}"#;
        Structure::parse(Path::new("x.json"), text.as_bytes()).unwrap()
    }

    fn chosen(change: impl FnOnce(&mut Choice)) -> Result<(f64, f64, f64), String> {
        let mut choice = choice(Rule::ByTime, 1);
        change(&mut choice);
        let found = choice.choose(&structure(), Some(120.0), None).map_err(|e| e.to_string())?;
        Ok((found.ini, found.begin, found.end))
    }

    #[test]
    fn parts_are_chosen_by_label_bars_and_beginning() {
        let label = |k| move |c: &mut Choice| c.until = Until::Label("chorus".into(), k);
        assert_eq!(chosen(label(2)), Ok((2.51, 8.5, 12.5)));
        assert_eq!(chosen(label(3)), Err("2 of 3 sections 'chorus' after its beginning".into()));
        // Two bars have downbeats, further ones follow the tempo.
        assert_eq!(chosen(|c| c.until = Until::Bars(4)), Ok((2.51, 6.5, 10.5)));
        assert_eq!(chosen(|c| (c.from, c.until) = (From::FirstDownbeat, Until::Bars(2))), Ok((0.5, 2.5, 4.5)));
        assert_eq!(chosen(|c| c.from = From::Seconds(4.4)), Ok((4.4, 4.48, 8.5)));
        assert_eq!(chosen(|c| c.from = From::HotCue(1)), Err("no hot cue B".into()));
        assert_eq!(chosen(|c| c.until = Until::Sections(4)), Err("3 of 4 sections after its beginning".into()));
    }

    #[test]
    fn times_snap_to_marks_within_half_a_beat() {
        assert_eq!(chosen(|c| c.snap = Snap::Downbeat), Ok((2.5, 2.5, 4.5)));
        // The last downbeat is 4 s away from the end.
        let label = Until::Label("chorus".into(), 1);
        assert_eq!(chosen(|c| (c.snap, c.until) = (Snap::Beat, label)), Ok((2.5, 4.5, 8.5)));
    }

    #[test]
    fn deviation_from_bars_is_that_after_the_export() {
        let cues = Cues { ini: 1.0, begin: 5.0, end: 9.05 };
        assert!((off_bars(&cues, 1.0, 120.0) - 0.05).abs() < 1e-9);
        let cues = Cues { ini: 0.0, begin: 2.0, end: 4.0 };
        assert!(off_bars(&cues, 60.0 / 120.0, 60.0) < 1e-9);
    }
}
