//! Tables as comma-separated values (RFC 4180).
//!
//! Lines end with CRLF or LF. A quote inside a field that does not begin with one is an ordinary character.

use std::borrow::Cow;

/// Maximum length of a record in bytes. It also bounds how far a quote that is not closed is followed, and so the time
/// that a damaged table takes.
pub const MOST_BYTES: usize = 16 << 10;

/// Returns the records of a table, each with the line on which it begins, counted from 1.
///
/// A record that cannot be read is a fault, which says why. The next one then begins on the following line, so that a
/// quote that is not closed costs no other record. An empty line is a record with one empty field.
pub fn records(text: &str) -> Records<'_> {
    Records { rest: text, line: 1 }
}

/// The records of a table: see [`records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a str,
    /// Number of the line on which the rest begins.
    line: usize,
}

impl Iterator for Records<'_> {
    type Item = (usize, Result<Vec<String>, String>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        let (length, fields) = match record(self.rest) {
            Ok((length, fields)) => (length, Ok(fields)),
            Err(fault) => (self.rest.find('\n').map_or(self.rest.len(), |at| at + 1), Err(fault)),
        };
        let (read, rest) = self.rest.split_at(length);
        self.line += read.bytes().filter(|b| *b == b'\n').count();
        self.rest = rest;
        Some((line, fields))
    }
}

/// Reads the first record of a text: its length in bytes with the end of its line, and its fields.
fn record(text: &str) -> Result<(usize, Vec<String>), String> {
    let bytes = text.as_bytes();
    let visible = &bytes[..bytes.len().min(MOST_BYTES)];
    let find = |from: usize, wanted: &[u8]| {
        visible.get(from..)?.iter().position(|byte| wanted.contains(byte)).map(|length| from + length)
    };
    let too_long = || format!("the record is longer than {MOST_BYTES} bytes");
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let mut field = String::new();
        if bytes.get(at) == Some(&b'"') {
            // Each turn takes the text up to the next quote; a doubled one stands for itself, and the field goes on.
            loop {
                let from = at + 1;
                at = find(from, b"\"").ok_or_else(|| match bytes.len() > MOST_BYTES {
                    true => format!("a quote is not closed within {MOST_BYTES} bytes"),
                    false => "a quote is not closed".into(),
                })?;
                field.push_str(&text[from..at]);
                at += 1;
                if bytes.get(at) != Some(&b'"') {
                    break;
                }
                field.push('"');
            }
        } else {
            let end = match find(at, b",\n") {
                Some(end) => end,
                None if bytes.len() > MOST_BYTES => return Err(too_long()),
                None => bytes.len(),
            };
            let line_ends = bytes.get(end) != Some(&b',');
            let content = &text[at..end];
            let content = if line_ends { content.strip_suffix('\r').unwrap_or(content) } else { content };
            field.push_str(content);
            at += content.len();
        }
        fields.push(field);
        match &bytes[at..] {
            [b',', ..] => at += 1,
            [] | [b'\r'] => return Ok((bytes.len(), fields)),
            [b'\n', ..] => return Ok((at + 1, fields)),
            [b'\r', b'\n', ..] => return Ok((at + 2, fields)),
            // Most often the quote that seems to close this field opens one on a later line.
            _ => return Err("a quote is not closed, or text follows a closing one".into()),
        }
        if at >= MOST_BYTES {
            return Err(too_long());
        }
    }
}

/// Returns a record as a line that ends with CRLF; fields are quoted only where it is necessary.
pub fn line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = fields.into_iter().map(quoted).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

fn quoted(field: &str) -> Cow<'_, str> {
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")).into(),
        false => field.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, Vec<String>)> {
        records(text).filter_map(|(line, fields)| Some((line, fields.ok()?))).collect()
    }

    fn faults(text: &str) -> Vec<(usize, String)> {
        records(text).filter_map(|(line, fields)| Some((line, fields.err()?))).collect()
    }

    fn owned(records: &[(usize, &[&str])]) -> Vec<(usize, Vec<String>)> {
        records.iter().map(|(line, fields)| (*line, fields.iter().map(ToString::to_string).collect())).collect()
    }

    #[test]
    fn records_are_read_with_quotes_and_both_line_ends() {
        for (text, expected) in [
            ("", &[][..]),
            ("a,b\r\nc,d\n", &[(1, &["a", "b"][..]), (2, &["c", "d"])]),
            ("a,,\n\n,", &[(1, &["a", "", ""]), (2, &[""]), (3, &["", ""])]),
            ("\"a, \"\"b\"\"\",c\r\n", &[(1, &["a, \"b\"", "c"])]),
            ("\"a\nb\r\nc\",d\ne", &[(1, &["a\nb\r\nc", "d"]), (4, &["e"])]),
            ("\"\",\"\"\"\"\n\"x\"", &[(1, &["", "\""]), (2, &["x"])]),
            ("6\" mix,b\rc\r", &[(1, &["6\" mix", "b\rc"])]),
            ("\"a\"\r", &[(1, &["a"])]),
            ("é,\"–ü\"\n", &[(1, &["é", "–ü"])]),
        ] {
            assert_eq!(read(text), owned(expected), "{text:?}");
            assert_eq!(faults(text), [], "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_costs_only_its_record() {
        let text = "a,\"b\nc,d\ne,\"f\"\ng\n";
        assert_eq!(read(text), owned(&[(2, &["c", "d"]), (3, &["e", "f"]), (4, &["g"])]));
        assert_eq!(faults(text), [(1, "a quote is not closed, or text follows a closing one".into())]);
        assert_eq!(read("a\n\"b\nc"), owned(&[(1, &["a"]), (3, &["c"])]));
        assert_eq!(faults("a\n\"b\nc"), [(2, "a quote is not closed".into())]);
        assert_eq!(read("\"a\" b\nc"), owned(&[(2, &["c"])]));
        assert_eq!(faults("\"a\" b\nc").len(), 1);
    }

    #[test]
    fn a_record_has_a_maximum_length() {
        let most = "é".repeat(MOST_BYTES / 2 - 1);
        assert_eq!(read(&format!("{most}\nb")).len(), 2);
        for long in [format!("{most}éé\nb"), format!("\"{most}éé\"\nb"), format!("{}\nb", ",".repeat(MOST_BYTES))] {
            assert_eq!(faults(&long).len(), 1);
            assert_eq!(read(&long), owned(&[(2, &["b"])]));
        }
        assert_eq!(records(&"\"a\n".repeat(100_000)).filter(|(_, fields)| fields.is_err()).count(), 100_000);
    }

    #[test]
    fn lines_are_quoted_where_necessary() {
        assert_eq!(line(["a", "", "b, c", "\"", "d\ne", " f"]), "a,,\"b, c\",\"\"\"\",\"d\ne\", f\r\n");
        assert_eq!(read(&line(["a\r\n", "\"\"", ",\n"])), owned(&[(1, &["a\r\n", "\"\"", ",\n"])]));
    }
}
