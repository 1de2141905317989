//! XML documents: their encoding, positions in them, and the values of attributes.

use std::borrow::Cow;
use std::fmt;

use super::shown;

/// The first fault of a document that is not well-formed XML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlFault {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1, in characters.
    pub column: u64,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for XmlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for XmlFault {}

impl XmlFault {
    /// Returns the fault at a byte offset of a document.
    pub(super) fn at(text: &str, offset: usize, what: impl fmt::Display) -> XmlFault {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        // Continuation bytes of UTF-8 are not characters of their own.
        let column = before[start..].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        XmlFault { line: line_feeds(before) + 1, column: column as u64 + 1, what: shown(&what.to_string()) }
    }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A counter of lines, for offsets that only grow.
#[derive(Debug, Default)]
pub(super) struct Lines {
    offset: usize,
    before: u64,
}

impl Lines {
    /// Returns the line of a byte offset, from 1.
    pub(super) fn at(&mut self, text: &str, offset: usize) -> u64 {
        if let Some(passed) = text.as_bytes().get(self.offset..offset) {
            self.before += line_feeds(passed);
            self.offset = offset;
        }
        self.before + 1
    }
}

/// Returns the text of a document, without its byte order mark.
///
/// UTF-16 is recognised by its byte order mark or by how its `<` looks; everything else must be UTF-8.
pub(super) fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, XmlFault> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(from_utf16(rest, u16::from_le_bytes)?),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(from_utf16(rest, u16::from_be_bytes)?),
        [b'<', 0, ..] => Cow::Owned(from_utf16(bytes, u16::from_le_bytes)?),
        [0, b'<', ..] => Cow::Owned(from_utf16(bytes, u16::from_be_bytes)?),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let valid = |end: usize| str::from_utf8(&bytes[..end]).unwrap_or_default();
            Cow::Borrowed(str::from_utf8(bytes).map_err(|error| {
                let end = error.valid_up_to();
                XmlFault::at(valid(end), end, format_args!("the byte 0x{:02X} is not UTF-8", bytes[end]))
            })?)
        }
    };
    match text.bytes().position(|byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) {
        Some(at) => {
            let what = format_args!("the character U+{:04X} is not allowed in XML", text.as_bytes()[at]);
            Err(XmlFault::at(&text, at, what))
        }
        None => Ok(text),
    }
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, XmlFault> {
    let (units, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(units.len());
    for decoded in char::decode_utf16(units.iter().map(|bytes| unit(*bytes))) {
        match decoded {
            Ok(character) => text.push(character),
            Err(_) => return Err(XmlFault::at(&text, text.len(), "half of a UTF-16 surrogate pair")),
        }
    }
    if !rest.is_empty() {
        return Err(XmlFault::at(&text, text.len(), "the document ends inside a UTF-16 character"));
    }
    Ok(text)
}

/// Returns the byte offset of a slice of `text`.
pub(super) fn offset_of(text: &str, part: &str) -> Option<usize> {
    (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize).filter(|offset| *offset <= text.len())
}

/// The value of an attribute.
#[derive(Debug)]
pub(super) struct Value<'t> {
    /// Text, with references replaced and line ends as blanks.
    pub text: Cow<'t, str>,
    /// The first entity that is not one of XML's own. A DTD may declare others, but documents of this format have
    /// none, and entities that refer to each other can grow without limit; such references stay as they are written.
    pub unknown: Option<String>,
}

/// Returns the value of an attribute whose text between the quotes is `raw`.
///
/// # Errors
/// The byte offset in `raw` of what XML does not allow, and what it is.
pub(super) fn value(raw: Cow<'_, str>) -> Result<Value<'_>, (usize, &'static str)> {
    if !raw.bytes().any(|byte| matches!(byte, b'&' | b'<' | b'\t' | b'\n' | b'\r')) {
        return Ok(Value { text: raw, unknown: None });
    }
    let (mut text, mut unknown, mut offset) = (String::with_capacity(raw.len()), None, 0);
    while let Some(found) = raw[offset..].find(['&', '<', '\t', '\n', '\r']) {
        text.push_str(&raw[offset..offset + found]);
        offset += found;
        let rest = &raw[offset..];
        offset += match rest.as_bytes()[0] {
            b'<' => return Err((offset, "'<' in the value of an attribute")),
            b'&' => {
                let name = rest.split_once(';').map(|(name, _)| &name[1..]);
                let name = name.ok_or((offset, "'&' without the ';' that ends a reference"))?;
                let written = &rest[..name.len() + 2];
                match entity(name).map_err(|what| (offset, what))? {
                    Some(character) => text.push(character),
                    None => {
                        text.push_str(written);
                        unknown = unknown.or_else(|| Some(written.to_string()));
                    }
                }
                written.len()
            }
            _ => {
                text.push(' ');
                // A carriage return and the line feed after it are one line end.
                if rest.starts_with("\r\n") { 2 } else { 1 }
            }
        };
    }
    text.push_str(&raw[offset..]);
    Ok(Value { text: Cow::Owned(text), unknown })
}

/// Returns the character that a reference stands for; `None` if the entity is not one of XML's own.
///
/// # Errors
/// What is wrong with the reference, if XML does not allow it.
pub(super) fn entity(name: &str) -> Result<Option<char>, &'static str> {
    if let Some(number) = name.strip_prefix('#') {
        let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
        let code = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, radix));
        let character = code.and_then(Result::ok).and_then(char::from_u32);
        let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        return character.filter(allowed).map(Some).ok_or("a reference to a character that XML does not have");
    }
    match name {
        "amp" => Ok(Some('&')),
        "lt" => Ok(Some('<')),
        "gt" => Ok(Some('>')),
        "quot" => Ok(Some('"')),
        "apos" => Ok(Some('\'')),
        _ if is_name(name) => Ok(None),
        _ => Err("'&' that does not begin a reference; '&' itself is written '&amp;'"),
    }
}

/// Returns whether a text can be the name of an element, attribute or entity; characters beyond ASCII are not checked.
pub(super) fn is_name(text: &str) -> bool {
    let starts = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || !byte.is_ascii();
    text.bytes().next().is_some_and(starts)
        && text.bytes().all(|byte| starts(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> String {
        value(raw.into()).unwrap().text.into_owned()
    }

    #[test]
    fn references_are_replaced_once() {
        assert_eq!(text("rock &amp; roll"), "rock & roll");
        assert_eq!(text("&lt;&gt;&quot;&apos;&#233;&#xE9;&#x1F3B5;"), "<>\"'éé🎵");
        assert_eq!(text("&amp;amp;"), "&amp;");
        // Line ends are blanks, unless they are references.
        assert_eq!(text("a\r\nb\tc\nd&#10;e"), "a b c d\ne");
    }

    #[test]
    fn unknown_entities_stay_as_written() {
        let found = value("a &lol9; b &x; &amp;".into()).unwrap();
        assert_eq!((&*found.text, found.unknown.as_deref()), ("a &lol9; b &x; &", Some("&lol9;")));
    }

    #[test]
    fn what_xml_does_not_allow_in_a_value_is_a_fault() {
        for (raw, offset) in [
            ("rock & roll", 5),
            ("a<b", 1),
            ("&#0;", 0),
            ("é&#x1f;", 2),
            ("&#xD800;", 0),
            ("&#x110000;", 0),
            ("&#99999999999;", 0),
            ("&#;", 0),
            ("&#x;", 0),
            ("&#+9;", 0),
            ("&;", 0),
            ("& x;", 0),
            ("x&amp", 1),
        ] {
            assert_eq!(value(raw.into()).unwrap_err().0, offset, "{raw}");
        }
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "<a>\r\n é<b>\n";
        let fault = |offset| {
            let fault = XmlFault::at(text, offset, "x");
            (fault.line, fault.column)
        };
        assert_eq!(fault(0), (1, 1));
        assert_eq!(fault(text.find("<b>").unwrap()), (2, 3));
        assert_eq!(fault(text.len()), (3, 1));
        assert_eq!(fault(1000), (3, 1));
        let mut lines = Lines::default();
        assert_eq!([0, 3, 4, 5, 12].map(|offset| lines.at(text, offset)), [1, 1, 1, 2, 3]);
        assert_eq!(XmlFault::at(text, 0, "two\nlines").to_string(), "line 1, column 1: two lines");
    }

    #[test]
    fn encodings_are_recognised_by_their_bytes() {
        let utf16 = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let text = "<a b=\"é🎵\"/>";
        assert_eq!(decoded(text.as_bytes()).unwrap(), text);
        assert_eq!(decoded(format!("\u{feff}{text}").as_bytes()).unwrap(), text);
        for mark in ["", "\u{feff}"] {
            let marked = format!("{mark}{text}");
            assert_eq!(decoded(&utf16(&marked, u16::to_le_bytes)).unwrap(), text);
            assert_eq!(decoded(&utf16(&marked, u16::to_be_bytes)).unwrap(), text);
        }
        let fault = |bytes: &[u8]| decoded(bytes).unwrap_err().to_string();
        assert_eq!(fault(b"\n<a b=\"caf\xe9\"/>"), "line 2, column 10: the byte 0xE9 is not UTF-8");
        assert_eq!(fault(b"<\0a\0\x00\xd8>\0"), "line 1, column 3: half of a UTF-16 surrogate pair");
        assert_eq!(fault(b"\xff\xfe<\0a\0>"), "line 1, column 3: the document ends inside a UTF-16 character");
        assert_eq!(fault(b"<a>\0</a>"), "line 1, column 4: the character U+0000 is not allowed in XML");
    }
}
