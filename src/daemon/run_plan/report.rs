//! What `grooved run-plan` prints about a plan: as text, and as one JSON object per line.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::dsp::splice::{MAX_SPEED, MIN_SPEED};
use crate::plans::range::Range;
use crate::plans::score::{Part, Score, Section};

/// Difference of a rate from the ratio of tempos that is worth a remark.
const RATE_TOLERANCE: f64 = 0.005;
/// Difference of a length from whole bars that is worth a line, in beats.
const BEAT_TOLERANCE: f64 = 0.1;
/// Difference of a part from its section from which on it is repeated, in beats.
const SHORT: f64 = 1.0;
/// Number of remarks from which on some are left out of a score.
const MANY_REMARKS: usize = 100;

/// Returns a text without what could control a terminal: control characters, and marks that turn text around.
pub fn clean(text: &str) -> String {
    let is_unsafe = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.replace(is_unsafe, "?")
}

/// Returns an object as a line; control characters that JSON allows in texts are escaped as well.
pub fn line(object: &Value) -> String {
    let text = object.to_string();
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c.is_control() {
            true => drop(write!(line, "\\u{:04x}", u32::from(c))),
            false => line.push(c),
        }
    }
    line
}

/// Returns seconds as `m:ss.s`.
pub fn clock(seconds: f64) -> String {
    // Rounded first, so that 59.97 does not become 0:60.0.
    let tenths = (seconds.max(0.0) * 10.0).round();
    format!("{}:{:04.1}", (tenths / 600.0).floor(), (tenths % 600.0) / 10.0)
}

/// Returns a number of bars with its unit.
pub fn bars(bars: f64) -> String {
    let rounded = (bars * 100.0).round() / 100.0;
    format!("{rounded} bar{}", if rounded == 1.0 { "" } else { "s" })
}

/// Returns the title of a song, as the older executor showed it: up to the first bracket, trimmed.
pub fn title(song: &str) -> String {
    clean(song.split('(').next().unwrap_or_default().trim())
}

/// Returns the length of a section in bars and as a time.
pub fn length(score: &Score, section: &Section) -> String {
    match section.beats > 0.0 {
        true => format!("{}, {}", bars(section.beats / score.meter), clock(seconds(score, section))),
        false => "skipped".into(),
    }
}

fn seconds(score: &Score, section: &Section) -> f64 {
    section.beats * 60.0 / score.bpm
}

fn number(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Returns what `info` prints.
pub fn info(score: &Score) -> String {
    let or_none = |text: &str| if text.trim().is_empty() { "unknown".into() } else { clean(text) };
    let count = score.sections.len();
    let mut text = format!(
        "plan {}\n  theme      {}\n  base song  {}\n  tempo      {} BPM\n  key        {}\n",
        clean(&score.path),
        or_none(&score.theme),
        or_none(&score.base_song),
        number(score.bpm),
        or_none(&score.base_key),
    );
    let structure: Vec<_> =
        score.structure.iter().enumerate().map(|(k, s)| format!("{}. {}", k + 1, clean(s))).collect();
    text += &format!("  structure  {}\n", if structure.is_empty() { "none".into() } else { structure.join("  ") });
    text += &format!("  length     {}, {count} section{}\n", clock(score.seconds()), if count == 1 { "" } else { "s" });
    for (k, section) in score.sections.iter().enumerate() {
        text +=
            &format!("{:>4} {} ({}): {}\n", k + 1, clean(&section.key), clean(&section.kind), length(score, section));
        section.parts.iter().for_each(|part| text += &format!("       {}\n", part_line(score, part)));
        for missing in &section.missing {
            text += &format!("       {:<8} missing: {}\n", clean(&missing.stem), clean(&missing.why));
        }
    }
    text
}

fn part_line(score: &Score, part: &Part) -> String {
    let bpm = part.bpm.map_or("? BPM".into(), |bpm| format!("{} BPM", number(bpm)));
    let key = if part.key.trim().is_empty() { "?".into() } else { clean(part.key.trim()) };
    let mark = match (part.stretched, part.needs_stretch) {
        (true, _) => " [stretched]",
        (false, true) => " [needs stretch]",
        (false, false) => "",
    };
    let again = part.turn.map(|beats| format!(", again every {}", bars(beats / score.meter))).unwrap_or_default();
    let (name, song) = (clean(&part.name), title(&part.song));
    let volume = number(part.volume);
    format!("{name:<8} {song:<24} {bpm:>8} {key:<4} × {:.3}{mark}, volume {volume}{again}", part.rate)
}

/// Returns what `list` prints.
pub fn list(score: &Score) -> String {
    let mut text = String::new();
    for (k, section) in score.sections.iter().enumerate() {
        let stems = section.parts.len();
        text += &format!(
            "{:>4} {:<16} {:<12} {stems} stem{}, {}\n",
            k + 1,
            clean(&section.key),
            clean(&section.kind),
            if stems == 1 { "" } else { "s" },
            length(score, section)
        );
    }
    text
}

/// What `check` found.
pub struct Findings {
    /// A line for each finding.
    pub lines: Vec<String>,
    /// Whether something cannot be played as the plan wants it: exit code 1.
    pub is_bad: bool,
}

/// Returns what is wrong with a plan.
pub fn check(score: &Score) -> Findings {
    let mut lines: Vec<String> = score.remarks.iter().map(|remark| clean(remark)).collect();
    // Only a remark tells that a start or end lies outside its file: the part has been cut already.
    let mut is_bad = score.remarks.iter().any(|remark| is_about_a_cut(remark));
    for section in &score.sections {
        for missing in &section.missing {
            is_bad = true;
            lines.push(format!("{}, {}: missing: {}", clean(&section.key), clean(&missing.stem), clean(&missing.why)));
        }
        if section.beats <= 0.0 {
            is_bad = true;
        }
        for part in &section.parts {
            let is_told = |about: &str| {
                let has =
                    |remark: &&String| [&section.key, &part.name].iter().all(|name| remark.contains(name.as_str()));
                score.remarks.iter().filter(has).any(|remark| remark.contains(about))
            };
            let (key, name) = (clean(&section.key), clean(&part.name));
            let beats = part.beats(score.bpm);
            // A part that begins again because the plan wants it to has no remark; nor have some if there are too many.
            let is_short = part.turn.is_some() && beats < section.beats - SHORT;
            let is_told_short = is_told("repeated");
            if is_short && (is_told_short || score.remarks.len() >= MANY_REMARKS) {
                is_bad = true;
                if !is_told_short {
                    let (own, whole) = (bars(beats / score.meter), bars(section.beats / score.meter));
                    lines.push(format!("{key}, {name}: has {own} of the section's {whole}; it is repeated"));
                }
            }
            if part.stretched && !(MIN_SPEED..=MAX_SPEED).contains(&part.rate) {
                is_bad = true;
                let range = format!("{MIN_SPEED} to {MAX_SPEED}");
                lines.push(format!("{key}, {name}: rate {:.3} cannot be stretched; expected {range}", part.rate));
            }
            let wanted = part.bpm.filter(|bpm| *bpm > 0.0).map(|bpm| score.bpm / bpm);
            if let Some(wanted) = wanted.filter(|wanted| (part.rate / wanted - 1.0).abs() > RATE_TOLERANCE)
                && !is_told("pitch_shift")
            {
                lines.push(format!(
                    "{key}, {name}: rate {:.3}, but its tempo needs {wanted:.3}; the rate counts",
                    part.rate
                ));
            }
        }
    }
    lines.extend(odd_lengths(score));
    Findings { lines, is_bad }
}

/// Returns a line for each sound whose length is no whole bars; many sections may play one sound.
fn odd_lengths(score: &Score) -> Vec<String> {
    let mut found = Vec::<(&Section, &Part, usize)>::new();
    for section in &score.sections {
        for part in &section.parts {
            let beats = part.beats(score.bpm);
            let whole = (beats / score.meter).round() * score.meter;
            if (beats - whole).abs() <= BEAT_TOLERANCE {
                continue;
            }
            match found.iter_mut().find(|(_, other, _)| part.is_same_sound(other)) {
                Some((.., count)) => *count += 1,
                None => found.push((section, part, 1)),
            }
        }
    }
    let line = |(section, part, count): (&Section, &Part, usize)| {
        let (key, name) = (clean(&section.key), clean(&part.name));
        let more = if count > 1 { format!("; the same sound {} times more", count - 1) } else { String::new() };
        format!("{key}, {name}: {} are no whole bars{more}", bars(part.beats(score.bpm) / score.meter))
    };
    found.into_iter().map(line).collect()
}

/// Returns whether a remark says that a start or end has been moved into its file.
fn is_about_a_cut(remark: &str) -> bool {
    [": start is ", "but the file ends at"].iter().any(|words| remark.contains(words))
}

/// Returns what would be played, and when.
pub fn dry_run(score: &Score, range: &Range) -> String {
    let mut text = format!("{:>4} {:>8} {:>8}  section\n", "", "at", "bars");
    let mut at = 0.0;
    for (k, section) in played(score, range) {
        let bars = number(section.beats / score.meter);
        text += &format!("{:>4} {:>8} {bars:>8}  {}", k + 1, clock(at), clean(&section.key));
        let (kind, fade) = (clean(&section.kind), number(section.fade));
        text += &format!(" ({kind}), fade {fade} beat{}\n", if fade == 1.0 { "" } else { "s" });
        section.parts.iter().for_each(|part| text += &format!("{:>25}{}\n", "", part_line(score, part)));
        at += seconds(score, section);
    }
    text += &format!("{:>4} {:>8} {:>8}  end\n", "", clock(at), "");
    for section in score.sections.iter().skip(range.first).take((range.last + 1).saturating_sub(range.first)) {
        for missing in &section.missing {
            let (key, stem, why) = (clean(&section.key), clean(&missing.stem), clean(&missing.why));
            text += &format!("missing: {key}, {stem}: {why}\n");
        }
    }
    text
}

/// Returns the sections of a range that are played, with their indices.
fn played<'a>(score: &'a Score, range: &Range) -> impl Iterator<Item = (usize, &'a Section)> {
    let count = (range.last + 1).saturating_sub(range.first);
    score.sections.iter().enumerate().skip(range.first).take(count).filter(|(_, section)| section.beats > 0.0)
}

/// Rounds to a millionth: a sample is longer.
fn micro(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Returns the event of a section that begins `at` seconds after the plan.
pub fn section_event(score: &Score, index: usize, at: f64) -> Option<Value> {
    let section = score.sections.get(index)?;
    Some(json!({
        "event": "section",
        "place": index + 1,
        "key": section.key,
        "type": section.kind,
        "at": micro(at),
        "length": micro(seconds(score, section)),
    }))
}

/// Returns the event of the end, `at` seconds after the plan's beginning.
pub fn end_event(at: f64) -> Value {
    json!({"event": "end", "at": micro(at)})
}

/// Returns an event for each stem of a section that is played.
fn stem_events(section: &Section) -> impl Iterator<Item = Value> {
    section.parts.iter().map(|part| {
        json!({
            "event": "stem",
            "section": section.key,
            "stem": part.name,
            "file": part.path,
            "rate": part.rate,
            "stretched": part.stretched,
            "volume": micro(part.volume),
            "loop": part.turn.map(micro),
        })
    })
}

/// Returns an event for each remark and each stem that is missing in a range.
pub fn fault_events(score: &Score, range: &Range) -> Vec<Value> {
    let mut events: Vec<_> = score.remarks.iter().map(|text| json!({"event": "remark", "text": text})).collect();
    let count = (range.last + 1).saturating_sub(range.first);
    for section in score.sections.iter().skip(range.first).take(count) {
        for missing in &section.missing {
            let (stem, why) = (&missing.stem, &missing.why);
            events.push(json!({"event": "missing", "section": section.key, "stem": stem, "why": why}));
        }
    }
    events
}

/// Returns what is played in a range as lines of JSON; with `stems`, each section is followed by its stems.
pub fn events(score: &Score, range: &Range, stems: bool) -> String {
    let mut text: String = fault_events(score, range).iter().map(|event| line(event) + "\n").collect();
    let mut at = 0.0;
    for (k, section) in played(score, range) {
        section_event(score, k, at).iter().for_each(|event| text += &(line(event) + "\n"));
        if stems {
            stem_events(section).for_each(|event| text += &(line(&event) + "\n"));
        }
        at += seconds(score, section);
    }
    text + &line(&end_event(at)) + "\n"
}

/// Returns how many stems of a range are missing.
pub fn missing(score: &Score, range: &Range) -> usize {
    let count = (range.last + 1).saturating_sub(range.first);
    score.sections.iter().skip(range.first).take(count).map(|section| section.missing.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::score::Missing;

    fn score() -> Score {
        let part = |name: &str, seconds: f64, turn: Option<f64>| Part {
            name: name.into(),
            song: "Low Tide (demo 1)".into(),
            key: "A".into(),
            bpm: Some(143.0),
            path: format!("/stems/{name}.wav"),
            rate: 140.0 / 143.0,
            volume: 0.8,
            end: seconds,
            sample_rate: 44_100,
            turn,
            needs_stretch: false,
            stretched: false,
            start: 0.0,
        };
        // Three bars at 140 BPM last 5.142857 s.
        let whole = 36.0 / 7.0 * 140.0 / 143.0;
        let intro = Section {
            key: "00_intro".into(),
            kind: "intro".into(),
            beats: 12.0,
            fade: 1.0,
            parts: vec![part("bass", whole, None), part("drums", whole / 3.0, Some(4.0))],
            missing: Vec::new(),
        };
        let mut verse = Section { key: "01_verse\x1b[2J".into(), kind: "verse".into(), ..intro.clone() };
        verse.parts.truncate(1);
        verse.missing.push(Missing { stem: "vocals".into(), why: "no such file\r".into() });
        Score {
            path: "/p\u{9b}/x.json".into(),
            theme: "energetic".into(),
            base_song: "Paper Moon".into(),
            remarks: vec!["00_intro: shorter than its 12 beats and repeated: drums (4)".into()],
            structure: vec!["intro".into(), "verse".into()],
            bpm: 140.0,
            meter: 4.0,
            sections: vec![intro, verse],
            ..Score::default()
        }
    }

    #[test]
    fn times_carry_over() {
        let times = [0.0, 5.142857, 59.94, 59.97, 3599.99, -1.0].map(clock);
        assert_eq!(times, ["0:00.0", "0:05.1", "0:59.9", "1:00.0", "60:00.0", "0:00.0"]);
        assert_eq!([1.0, 3.0, 2.5, 0.333333].map(bars), ["1 bar", "3 bars", "2.5 bars", "0.33 bars"]);
        assert_eq!(title("Low Tide (demo 1) (x)"), "Low Tide");
    }

    #[test]
    fn nothing_controls_the_terminal() {
        let score = score();
        let range = Range { first: 0, last: 1, remark: None };
        let texts = [info(&score), list(&score), check(&score).lines.join("\n"), dry_run(&score, &range)];
        for text in texts.into_iter().chain([events(&score, &range, true)]) {
            assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
        }
        let read: Value = serde_json::from_str(&line(&json!({"key": "\u{9b}\u{7f}\0"}))).unwrap();
        assert_eq!(read["key"], "\u{9b}\u{7f}\0");
    }

    #[test]
    fn info_says_what_the_older_executor_said() {
        let text = info(&score());
        for part in
            ["theme      energetic", "1. intro  2. verse", "3 bars, 0:05.1", "× 0.979", "volume 0.8, again every 1 bar"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("length     0:10.3, 2 sections") && text.contains("Low Tide   "));
        assert!(
            list(&score()).starts_with("   1 00_intro         intro        2 stems, 3 bars, 0:05.1\n"),
            "{}",
            list(&score())
        );
    }

    #[test]
    fn checks_find_what_cannot_be_played_as_it_is() {
        let mut score = score();
        let found = check(&score);
        // The remark tells that the drums begin again.
        assert!(found.is_bad && found.lines.len() == 2, "{:?}", found.lines);
        score.sections[1].missing.clear();
        assert!(check(&score).is_bad);
        // Without the remark, the plan wants it.
        score.remarks.clear();
        let found = check(&score);
        assert!(!found.is_bad && found.lines.is_empty(), "{:?}", found.lines);
        score.sections[0].parts[0].bpm = Some(150.0);
        score.sections[0].parts[0].end *= 1.1;
        let found = check(&score);
        assert!(!found.is_bad && found.lines.len() == 2, "{:?}", found.lines);
        score.remarks.push("00_intro, bass: end is 9, but the file ends at 5 s, and so does the stem".into());
        assert!(check(&score).is_bad);
    }

    #[test]
    fn events_have_the_documented_form() {
        let text = events(&score(), &Range { first: 0, last: 1, remark: None }, true);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["remark", "missing", "section", "stem", "stem", "section", "stem", "end"]);
        let lines = &lines[1..];
        assert_eq!(lines[1]["length"], 5.142857);
        assert_eq!(
            (&lines[4]["at"], &lines[4]["place"], &lines[6]["at"]),
            (&json!(5.142857), &json!(2), &json!(10.285714))
        );
        assert_eq!((&lines[2]["loop"], &lines[3]["loop"]), (&Value::Null, &json!(4.0)));
    }
}
