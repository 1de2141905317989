//! Ranges of a score's sections, as a text asks for them.

use super::remarks::{listed, shown};
use super::score::Score;

/// Sections of a score that are played one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Index of the first one.
    pub first: usize,
    /// Index of the last one.
    pub last: usize,
    /// What whoever asked should know, such as which other sections the text may mean.
    pub remark: Option<String>,
}

impl Range {
    fn one(place: usize) -> Range {
        Range { first: place, last: place, remark: None }
    }
}

impl Score {
    /// Returns the sections that a text asks for.
    ///
    /// Empty: all of them. `N`: that one, from 1; `N-`: all from it on; `-N`: all up to it; `A-B`: from one to another.
    /// Any other text means the section of that key, apart from case, or else the one whose key contains its first
    /// word; if there are several, the next one after the index `after`, and after the last one the first.
    ///
    /// At least one of the sections can be played; others among them may be skipped.
    ///
    /// # Errors
    /// If there is no such section, or none of them can be played; the message says which there are, or why not.
    pub fn range(&self, text: &str, after: Option<usize>) -> Result<Range, String> {
        let text = text.trim();
        let is_numeric = text.chars().all(|c| c.is_ascii_digit() || c == '-' || c.is_whitespace());
        let range = match text {
            "" => Range { first: 0, last: self.sections.len().saturating_sub(1), remark: None },
            _ if is_numeric => self.by_numbers(text)?,
            _ => self.by_key(text, after)?,
        };
        let sections = self.sections.get(range.first..=range.last).unwrap_or_default();
        match sections {
            [] => Err("there are no sections".into()),
            _ if sections.iter().any(|section| section.beats > 0.0) => Ok(range),
            [only] => Err(format!("{} is skipped: {}", shown(&only.key), only.why_skipped())),
            [first, ..] => {
                let (count, first, why) = (sections.len(), shown(&first.key), first.why_skipped());
                Err(format!("all {count} sections are skipped; {first}: {why}"))
            }
        }
    }

    fn by_numbers(&self, text: &str) -> Result<Range, String> {
        let most = self.sections.len();
        let place = |text: &str| {
            let text = text.trim();
            let number = text.parse().ok().filter(|number| (1..=most).contains(number));
            number
                .map(|number: usize| number - 1)
                .ok_or_else(|| format!("there is no section {}, expected 1 to {most}", shown(text)))
        };
        let no_range = || format!("'{}' is no range of sections, expected N, N-, -N or A-B", shown(text));
        let is_number = |text: &str| text.trim().bytes().all(|byte| byte.is_ascii_digit());
        let Some((first, last)) = text.split_once('-') else {
            return if is_number(text) { place(text).map(Range::one) } else { Err(no_range()) };
        };
        if !is_number(first) || !is_number(last) || (first.trim().is_empty() && last.trim().is_empty()) {
            return Err(no_range());
        }
        let first = if first.trim().is_empty() { 0 } else { place(first)? };
        let last = if last.trim().is_empty() { most.saturating_sub(1) } else { place(last)? };
        if first > last {
            return Err(format!(
                "section {} comes after section {}, expected the first one first",
                first + 1,
                last + 1
            ));
        }
        Ok(Range { first, last, remark: None })
    }

    fn by_key(&self, text: &str, after: Option<usize>) -> Result<Range, String> {
        let keys: Vec<_> = self.sections.iter().map(|section| section.key.to_lowercase()).collect();
        let text = text.to_lowercase();
        let word = text.split_whitespace().next().unwrap_or_default();
        if let Some(place) = [text.as_str(), word].iter().find_map(|text| keys.iter().position(|key| key == text)) {
            return Ok(Range::one(place));
        }
        let matches: Vec<_> = (0..keys.len()).filter(|place| keys[*place].contains(word)).collect();
        let is_played = |place: &&usize| self.sections[**place].beats > 0.0;
        // Skipped ones only if there is nothing else.
        let played: Vec<_> = matches.iter().filter(is_played).copied().collect();
        let among = if played.is_empty() { &matches } else { &played };
        let next = among.iter().find(|place| after.is_some_and(|after| **place > after)).or(among.first());
        let Some(&place) = next else {
            let keys = listed(self.sections.iter().map(|section| section.key.as_str()));
            return Err(format!("no section's key contains '{}': expected one of {keys}", shown(word)));
        };
        let others: Vec<_> =
            matches.iter().filter(|other| **other != place).map(|other| self.sections[*other].key.as_str()).collect();
        let remark = format!("'{}' is also in {}", shown(word), listed(others.iter().copied()));
        Ok(Range { remark: Some(remark).filter(|_| !others.is_empty()), ..Range::one(place) })
    }
}

#[cfg(test)]
mod tests {
    use crate::plans::document::Plan;
    use crate::plans::samples;
    use crate::plans::score::{Score, Wishes};

    fn score(plan: &str) -> Score {
        let plan = Plan::parse(plan.as_bytes()).unwrap();
        Score::of(&plan, "", &Wishes::default(), 120.0, 4.0, samples::find)
    }

    /// Returns places from 1 and the remark.
    fn range(score: &Score, text: &str, after: Option<usize>) -> Result<(usize, usize, String), String> {
        let range = score.range(text, after)?;
        Ok((range.first + 1, range.last + 1, range.remark.unwrap_or_default()))
    }

    #[test]
    fn numbers_count_from_one() {
        let score = score(&samples::energetic());
        for (text, first, last) in [
            ("", 1, 8),
            ("  ", 1, 8),
            ("1", 1, 1),
            ("08", 8, 8),
            ("3-", 3, 8),
            ("-3", 1, 3),
            ("2-4", 2, 4),
            (" 2 - 4 ", 2, 4),
            ("5-5", 5, 5),
        ] {
            assert_eq!(range(&score, text, Some(4)), Ok((first, last, String::new())), "{text}");
        }
        for (text, fault) in [
            ("0", "there is no section 0, expected 1 to 8"),
            ("9", "there is no section 9, expected 1 to 8"),
            ("0-3", "there is no section 0, expected 1 to 8"),
            ("2-9", "there is no section 9, expected 1 to 8"),
            ("99999999999999999999999", "there is no section 99999999999999999999999, expected 1 to 8"),
            ("4-2", "section 4 comes after section 2, expected the first one first"),
            ("-", "'-' is no range of sections, expected N, N-, -N or A-B"),
            ("--1", "'--1' is no range of sections, expected N, N-, -N or A-B"),
            ("1-2-3", "'1-2-3' is no range of sections, expected N, N-, -N or A-B"),
            ("1 2", "'1 2' is no range of sections, expected N, N-, -N or A-B"),
        ] {
            assert_eq!(range(&score, text, None), Err(fault.into()), "{text}");
        }
    }

    #[test]
    fn texts_are_parts_of_keys() {
        let energetic = score(&samples::energetic());
        assert_eq!(range(&energetic, "Bridge now", None), Ok((5, 5, String::new())));
        assert_eq!(range(&energetic, "07_", None), Ok((8, 8, String::new())));
        let chorus = |after| range(&energetic, "chorus", after).unwrap();
        assert_eq!(chorus(None), (3, 3, "'chorus' is also in 05_chorus, 06_chorus".into()));
        assert_eq!([Some(2), Some(5), Some(6), Some(99)].map(|after| chorus(after).0), [6, 7, 3, 3]);
        let keys = "00_intro, 01_verse, 02_chorus, 03_verse, 04_bridge, 05_chorus, 06_chorus, 07_outro";
        for text in ["none", "²", "a-b"] {
            let fault = format!("no section's key contains '{text}': expected one of {keys}");
            assert_eq!(range(&energetic, text, None), Err(fault));
        }
        // The whole key comes before a part of one; a key may have blanks and dashes.
        let stems = r#"{"bars": 1}"#;
        let keys = ["11_a", "1_a", "2_b-c", "3_d e", "3_d"].map(|key| format!("\"{key}\": {stems}")).join(",");
        let other = score(&format!("{{\"sections\": {{{keys}}}}}"));
        for (text, place) in [("1_A", 1), ("1_a b", 1), ("b-C", 2), ("3_d", 3), ("3_d e", 4), ("3_d x", 3), ("11", 5)] {
            let found = range(&other, text, None).map(|range| range.0);
            assert_eq!(
                found,
                if text == "11" { Err("there is no section 11, expected 1 to 5".into()) } else { Ok(place) }
            );
        }
    }

    #[test]
    fn what_is_skipped_cannot_be_chosen() {
        let odd = score(samples::ODD);
        assert_eq!(range(&odd, "", None), Ok((1, 7, String::new())));
        assert_eq!(range(&odd, "3-6", None), Ok((3, 6, String::new())));
        let fault = "all 3 sections are skipped; 02_empty: it has no stems";
        assert_eq!(range(&odd, "3-5", None), Err(fault.into()));
        assert_eq!(range(&odd, "3", None), Err("02_empty is skipped: it has no stems".into()));
        let fault = "04_no file is skipped: no stem of it can be played (bass: file is missing, expected the path of a \
                     sound)";
        assert_eq!(range(&odd, "04_NO FILE", None), Err(fault.into()));
        assert_eq!(range(&odd, "file", None), Err(fault.into()));
        // Of several, one that is played.
        assert_eq!(
            range(&odd, "e", Some(1)),
            Ok((6, 6, "'e' is also in 01_verse, 02_empty, 03_none, 04_no file".into()))
        );
        assert_eq!(range(&Score::default(), "", None), Err("there are no sections".into()));
        assert!(range(&Score::default(), "1", None).is_err() && range(&Score::default(), "1-", None).is_err());
        assert!(range(&Score::default(), "-", None).is_err() && range(&Score::default(), "x", None).is_err());
    }
}
