//! JSON objects in the order of their file, as deep and as large as their reader asks for.
//!
//! What nobody asks for is passed over while it is read: neither a deeply nested file nor one with millions of entries
//! takes more memory than its text.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::remarks::{number, shown};

/// Maximum number of texts that are kept of a list.
const MOST_TEXTS: usize = 1000;

/// Which entries are kept of the objects at one depth.
#[derive(Debug)]
pub struct Level {
    /// Their names; `None`: all.
    pub names: Option<&'static [&'static str]>,
    /// Maximum number of entries.
    pub most: usize,
}

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, which is finite.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(List),
    /// An object.
    Object(Object),
}

/// A JSON list. Only lists within the outermost object are kept; others are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    /// Its texts.
    pub texts: Vec<String>,
    /// Whether it has entries that are no text.
    pub is_mixed: bool,
    /// Whether it has more texts than are kept.
    pub has_more: bool,
}

/// A JSON object. Of entries with the same name the last one counts, at the place of the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// Its entries in the order of the file.
    pub entries: Vec<(String, Value)>,
    /// The first name that it has more than once.
    pub repeated: Option<String>,
    /// Whether it has more entries than are kept.
    pub has_more: bool,
}

impl Object {
    /// Returns the value of an entry; null counts as none.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.entries.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value).filter(|value| **value != Value::Null)
    }

    /// Returns whether it has an entry, be it null.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(other, _)| other == name)
    }
}

/// What it is, for a message: texts in quotes, and of lists and objects only that they are one.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(value) => f.write_str(&number(*value)),
            Value::Text(text) if text.is_empty() => f.write_str("empty"),
            Value::Text(text) => write!(f, "'{}'", shown(text)),
            Value::List(_) => f.write_str("a list"),
            Value::Object(_) => f.write_str("an object"),
        }
    }
}

/// Reads a file, of whose objects the levels say what is kept, from the outermost; a byte order mark is accepted.
///
/// # Errors
/// If it is not JSON; the message says where.
pub fn read(bytes: &[u8], levels: &[Level]) -> Result<Value, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Reader { levels, depth: 0 }.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|e| {
        let (line, column, text) = (e.line(), e.column(), e.to_string());
        let what = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
        format!("it is not JSON: line {line}, column {column}: {what}")
    })
}

/// A reader of the values at one depth.
struct Reader<'l> {
    /// The levels from this depth on.
    levels: &'l [Level],
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = List::default();
        if self.depth != 1 {
            while entries.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::List(list));
        }
        while let Some(value) = entries.next_element_seed(Reader { levels: &[], depth: self.depth + 1 })? {
            match value {
                Value::Text(_) if list.texts.len() == MOST_TEXTS => list.has_more = true,
                Value::Text(text) => list.texts.push(text),
                _ => list.is_mixed = true,
            }
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Object::default();
        let Some((level, levels)) = self.levels.split_first() else {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Object(object));
        };
        let mut places = HashMap::<String, usize>::new();
        while let Some(name) = entries.next_key::<String>()? {
            let place = places.get(&name).copied();
            let is_wanted = level.names.is_none_or(|names| names.contains(&name.as_str()));
            let is_full = place.is_none() && object.entries.len() == level.most;
            if !is_wanted || is_full {
                entries.next_value::<IgnoredAny>()?;
                object.has_more |= is_wanted;
                continue;
            }
            let value = entries.next_value_seed(Reader { levels, depth: self.depth + 1 })?;
            match place.and_then(|place| object.entries.get_mut(place)) {
                Some(entry) => {
                    entry.1 = value;
                    object.repeated.get_or_insert(name);
                }
                None => {
                    places.insert(name.clone(), object.entries.len());
                    object.entries.push((name, value));
                }
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: &[Level] = &[Level { names: Some(&["a", "b"]), most: 9 }, Level { names: None, most: 3 }];

    fn object(text: &str) -> Object {
        match read(text.as_bytes(), LEVELS) {
            Ok(Value::Object(object)) => object,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn objects_keep_the_order_of_their_file() {
        let names = |value: &Value| match value {
            Value::Object(object) => object.entries.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().concat(),
            _ => panic!("{value}"),
        };
        let read = object("\u{feff} {\"b\": {\"z\": 1, \"y\": -2, \"x\": 1e3}, \"q\": {}, \"a\": null}\n");
        assert_eq!(names(&read.entries[0].1), "zyx");
        assert_eq!((read.entries.len(), read.has("a"), read.get("a"), read.has("q")), (2, true, None, false));

        // The last one counts, at the place of the first.
        let read = object(r#"{"a": {"z": 1, "y": 2, "z": 3, "y": 4, "x": 5}}"#);
        let Some(Value::Object(inner)) = read.get("a") else { panic!() };
        assert_eq!(names(read.get("a").unwrap()), "zyx");
        assert_eq!((inner.get("z"), inner.repeated.as_deref()), (Some(&Value::Number(3.0)), Some("z")));
        assert!(!inner.has_more);
    }

    #[test]
    fn what_nobody_asks_for_is_passed_over() {
        let Some(Value::Object(inner)) =
            object(r#"{"a": {"p": 1, "q": {"r": {"s": 1}}, "t": [1], "u": 4}}"#).get("a").cloned()
        else {
            panic!()
        };
        assert!(inner.has_more);
        assert_eq!(inner.get("q"), Some(&Value::Object(Object::default())));
        assert_eq!(inner.get("t"), Some(&Value::List(List::default())));

        let Some(Value::List(list)) = object(r#"{"a": ["x", [["y"]], "z", {"a": 1}]}"#).get("a").cloned() else {
            panic!()
        };
        assert_eq!((list.texts.concat().as_str(), list.is_mixed, list.has_more), ("xz", true, false));
        let many = format!(r#"{{"a": [{}"x"]}}"#, "\"\",".repeat(MOST_TEXTS));
        let Some(Value::List(list)) = object(&many).get("a").cloned() else { panic!() };
        assert_eq!((list.texts.len(), list.is_mixed, list.has_more), (MOST_TEXTS, false, true));

        // However deep.
        let deep = 1_000_000;
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for name in ["a", "other"] {
                let text = format!("{{\"{name}\": {}1{}}}", open.repeat(deep), close.repeat(deep));
                assert_eq!(object(&text).has(name), name == "a");
                let fault = read(&text.as_bytes()[..text.len() - 1], LEVELS).unwrap_err();
                assert!(fault.starts_with("it is not JSON: line 1, column "), "{fault}");
            }
        }
    }

    #[test]
    fn faults_say_where_they_are() {
        for (text, fault) in [
            ("", "line 1, column 0: EOF while parsing a value"),
            ("{\n \"a\": 1,\n}", "line 3, column 1: trailing comma"),
            ("{} {}", "line 1, column 4: trailing characters"),
            ("{\"a\": NaN}", "line 1, column 7: expected value"),
            ("{\"a\": 1e999}", "line 1, column 11: number out of range"),
            ("{a: 1}", "line 1, column 2: key must be a string"),
            ("{\"a\": \"\\ud800\"}", "line 1, column 14: unexpected end of hex escape"),
        ] {
            assert_eq!(read(text.as_bytes(), LEVELS), Err(format!("it is not JSON: {fault}")), "{text}");
        }
        assert!(read(b"{\"a\": \"\xff\"}", LEVELS).unwrap_err().contains("invalid unicode"));
    }

    #[test]
    fn values_are_named() {
        for (value, text) in [
            (Value::Null, "null"),
            (Value::Bool(true), "true"),
            (Value::Number(1e300), "1e300"),
            (Value::Text("a\n".into()), "'a?'"),
            (Value::Text(String::new()), "empty"),
            (Value::List(List::default()), "a list"),
            (Value::Object(Object::default()), "an object"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
