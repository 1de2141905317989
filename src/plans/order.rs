//! The order in which the sections of a plan are played.

use std::cmp::Ordering;

use super::json::Value;
use super::remarks::{Remarks, shown};

/// Returns the sections in order of play: by the number before the first `_` if each key has one, then by text.
pub fn in_order<'a>(entries: &'a [(String, Value)], remarks: &mut Remarks) -> Vec<(&'a str, &'a Value)> {
    let mut by_text: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), value)).collect();
    by_text.sort_by_key(|(key, _)| *key);
    if !by_text.iter().all(|(key, _)| place(key).is_some()) {
        return by_text;
    }
    let mut by_number = by_text.clone();
    by_number.sort_by(|(a, _), (b, _)| by_place(place(a), place(b)));
    if let Some(((first, _), (text, _))) = by_number.iter().zip(&by_text).find(|(a, b)| a.0 != b.0) {
        let (first, text) = (shown(first), shown(text));
        remarks.add(format!("sections are played by number, not by text: {first} comes before {text}"));
    }
    by_number
}

/// Returns the digits before the first `_`, without leading zeros.
fn place(key: &str) -> Option<&str> {
    let (digits, _) = key.split_once('_')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.trim_start_matches('0'))
}

/// Compares whole numbers of any length.
fn by_place(a: Option<&str>, b: Option<&str>) -> Ordering {
    a.map(|digits| (digits.len(), digits)).cmp(&b.map(|digits| (digits.len(), digits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_ordered_by_number_or_by_text() {
        let order = |keys: &[&str]| {
            let entries: Vec<_> = keys.iter().map(|key| (key.to_string(), Value::Null)).collect();
            let mut remarks = Remarks::default();
            let order: Vec<_> = in_order(&entries, &mut remarks).into_iter().map(|(key, _)| key).collect();
            (order.join(" "), remarks.finished().0.join("\n"))
        };
        let played = |order: &str, remark: &str| (order.to_string(), remark.to_string());
        assert_eq!(order(&["01_b", "00_a"]), played("00_a 01_b", ""));
        let remark = "sections are played by number, not by text: 9_x comes before 10_y";
        assert_eq!(order(&["10_y", "9_x"]), played("9_x 10_y", remark));
        // One number, then by text.
        assert_eq!(order(&["1_b", "1_a", "01_c"]), played("01_c 1_a 1_b", ""));
        // A key without a number: by text, as code points.
        assert_eq!(order(&["10_y", "9_x", "outro", "Ä", "Z"]), played("10_y 9_x Z outro Ä", ""));
        assert_eq!(order(&["10_y", "9-x", "_b"]), played("10_y 9-x _b", ""));
        // Numbers of any length.
        let (long, longer) = (format!("{}_a", "9".repeat(50)), format!("1{}_b", "0".repeat(50)));
        assert_eq!(order(&[&longer, "0000_c", &long]).0, format!("0000_c {long} {longer}"));
    }
}
