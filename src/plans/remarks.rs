//! Remarks about a plan: sentences for the person who reads them, limited in number and length.

/// Maximum number of remarks; of the others only the number is said.
const MOST: usize = 100;
/// The most characters of a text that a message repeats.
const MOST_SHOWN: usize = 40;
/// The most names that a message lists.
const MOST_LISTED: usize = 20;

/// Remarks in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    kept: Vec<String>,
    left_out: usize,
}

impl Remarks {
    /// Returns remarks that continue those of [`Self::finished`].
    pub fn continued(finished: &[String], left_out: usize) -> Remarks {
        Remarks { kept: finished.iter().take(MOST).cloned().collect(), left_out }
    }

    /// Adds a remark.
    pub fn add(&mut self, remark: impl Into<String>) {
        match self.kept.len() < MOST {
            true => self.kept.push(clean(&remark.into())),
            false => self.left_out += 1,
        }
    }

    /// Returns the remarks, the last of which says how many were left out, and that number.
    pub fn finished(mut self) -> (Vec<String>, usize) {
        if self.left_out > 0 {
            self.kept.push(format!("{} more", self.left_out));
        }
        (self.kept, self.left_out)
    }
}

/// Returns a text with its control characters replaced by `?`.
pub fn clean(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// Returns as much of a text as a message can hold.
pub fn shown(text: &str) -> String {
    let mut shown = clean(&text.chars().take(MOST_SHOWN).collect::<String>());
    if text.chars().nth(MOST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns a number as a message shows it: very large and very small ones with an exponent.
pub fn number(value: f64) -> String {
    match value == 0.0 || (1e-4..1e15).contains(&value.abs()) {
        true => format!("{value}"),
        false => format!("{value:e}"),
    }
}

/// Returns names as a list: `a, b, c`; of a long list its beginning and how many more there are.
pub fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MOST_LISTED);
    let mut list = names.take(MOST_LISTED).map(shown).collect::<Vec<_>>().join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_limited_also_when_they_are_continued() {
        let mut remarks = Remarks::default();
        (0..MOST - 1).for_each(|k| remarks.add(format!("remark {k}")));
        let (texts, left_out) = remarks.finished();
        assert_eq!((texts.len(), left_out), (99, 0));

        let mut remarks = Remarks::continued(&texts, left_out);
        ["a\tb", "c", "d"].iter().for_each(|text| remarks.add(*text));
        let (texts, left_out) = remarks.finished();
        assert_eq!((texts.len(), left_out, &texts[99][..], &texts[100][..]), (101, 2, "a?b", "2 more"));

        let mut remarks = Remarks::continued(&texts, left_out);
        remarks.add("e");
        let (texts, left_out) = remarks.finished();
        assert_eq!((texts.len(), left_out, &texts[99][..], &texts[100][..]), (101, 3, "a?b", "3 more"));
    }

    #[test]
    fn texts_and_numbers_are_short() {
        assert_eq!(shown("a\nb\u{1b}[0m"), "a?b?[0m");
        assert_eq!(shown(&"é".repeat(40)), "é".repeat(40));
        assert_eq!(shown(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
        for (value, text) in [(0.0, "0"), (-1.5, "-1.5"), (4.0, "4"), (1e300, "1e300"), (1e-300, "1e-300")] {
            assert_eq!(number(value), text);
        }
        assert_eq!(listed(["a", "b\r"].into_iter()), "a, b?");
        assert!(listed([""; 1000].into_iter()).ends_with(",  and 980 more"));
    }
}
