//! Translates errors of the TOML parser into messages for people who do not know Rust's types.

use toml::de::{DeTable, DeValue};

use super::Config;
use crate::control::commands::vocabulary::distance;

/// Returns the line, from 1, and the message for a parser's error in `text`.
pub(super) fn in_words(error: &toml::de::Error, text: &str) -> (usize, String) {
    let at = error.span().map_or(0, |span| span.start);
    let what = said(error.message());
    let what = match key_at(text, at) {
        Some(key) if error.span().is_some() => format!("{key}: {what}"),
        _ => what,
    };
    (line_of(text, at), what)
}

/// Returns the message for a parser's message.
fn said(message: &str) -> String {
    let plain = |list: &str| list.replace('`', "").replace("one of ", "").replace(" or ", ", ");
    let between = |rest: &'_ str| rest.split_once("`, expected ").map(|(found, list)| (found.to_string(), plain(list)));
    if let Some((found, wanted)) = message.strip_prefix("unknown field `").and_then(between) {
        return match home(&found, &wanted) {
            Some(remedy) => format!("unknown setting '{found}'; {remedy}"),
            None => format!("unknown setting '{found}'; expected one of {wanted}"),
        };
    }
    if let Some((found, wanted)) = message.strip_prefix("unknown variant `").and_then(between) {
        return format!("unknown value \"{found}\"; expected one of {wanted}");
    }
    let Some((found, wanted)) = message.strip_prefix("invalid ").and_then(|m| m.split_once(", expected ")) else {
        return message.into();
    };
    let found = found.trim_start_matches("type: ").trim_start_matches("value: ");
    let found = if found == "map" { "a section" } else { found };
    let wanted = match wanted {
        "usize" | "u64" | "u32" => "a whole number of at least 0",
        "u16" => "a whole number between 0 and 65535",
        "i64" => "a whole number",
        "f64" => "a number",
        "a sequence" => "a list such as [1, 2] (or [[\u{2026}]] for sections)",
        "a tuple of size 2" => "a pair of numbers such as [0.5, 120]",
        wanted if wanted.starts_with("struct ") => "a section of settings",
        wanted => wanted,
    };
    format!("found {found}; expected {wanted}")
}

/// Returns a hint for an unknown setting: a similar name in this section, or the section it belongs to.
fn home(found: &str, wanted: &str) -> Option<String> {
    let near = wanted.split(", ").map(|name| (distance(found, name), name)).min()?;
    if near.0 <= 1 + found.len() / 3 {
        return Some(format!("did you mean '{}'?", near.1));
    }
    let all = toml::Table::try_from(Config::default()).ok()?;
    let (section, _) = all.iter().find(|(_, settings)| settings.as_table().is_some_and(|s| s.contains_key(found)))?;
    Some(format!("it belongs in section [{section}]"))
}

/// Returns the dotted key whose value spans byte `offset` of `text`.
fn key_at(text: &str, offset: usize) -> Option<String> {
    fn within(table: &DeTable, offset: usize) -> Option<String> {
        table.iter().find_map(|(key, value)| {
            let inner = match value.get_ref() {
                DeValue::Table(inner) => within(inner, offset),
                DeValue::Array(items) => items.iter().find_map(|item| within(item.get_ref().as_table()?, offset)),
                _ => None,
            };
            let deeper = inner.map(|inner| format!("{}.{inner}", key.get_ref()));
            deeper.or_else(|| value.span().contains(&offset).then(|| key.get_ref().to_string()))
        })
    }
    within(DeTable::parse(text).ok()?.get_ref(), offset)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count() + 1
}

/// Returns the line, from 1, of a dotted key, or of its section if the key is not set.
pub(super) fn line_of_key(text: &str, key: &str) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 1 };
    let mut here = table.get_ref();
    let mut line = 1;
    for part in key.split('.') {
        let Some((name, value)) = here.iter().find(|(k, _)| k.get_ref() == part) else { break };
        line = line_of(text, name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => here = inner,
            _ => break,
        }
    }
    line
}
