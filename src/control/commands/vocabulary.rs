//! What a control is: found by address, its arguments checked, its documentation written, all from one declaration.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::control::commands::fault::Fault;
use crate::control::commands::request::Origin;
use crate::control::commands::stream_path::Stream;
use crate::control::commands::value::Value;
use crate::ddsp::order::{MOST_VOICES, PARTS};
use crate::engine::DECKS;
use crate::engine::eq::Band;

/// The type of an argument, with its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number within a range.
    Int(i64, i64),
    /// A number within a range.
    Float(f64, f64),
    /// A number; what lies beyond the range counts as its end.
    Clamped(f64, f64),
    /// Text.
    Text,
    /// 0 or 1.
    Flag,
    /// A deck: a, b, c, d (or 0 to 3).
    Deck,
    /// A band: low, mid, high (their first two letters do).
    Band,
    /// A number from 1, or `all`.
    Each(i64),
    /// One of several words.
    Choice(&'static [&'static str]),
    /// Any number of any values, at the end.
    Rest,
}

/// What an argument is if it is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// It cannot be left out.
    None,
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(&'static str),
    /// What it was.
    Keep,
}

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arg {
    /// Its name.
    pub name: &'static str,
    /// The name by which the handler knows it, if that is another: older addresses name some arguments differently.
    pub key: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// Unit, or empty.
    pub unit: &'static str,
    /// Default.
    pub default: Default,
}

impl Arg {
    /// A whole number.
    pub const fn int(name: &'static str, min: i64, max: i64) -> Arg {
        Arg { name, key: name, kind: Kind::Int(min, max), unit: "", default: Default::None }
    }
    /// A number.
    pub const fn float(name: &'static str, min: f64, max: f64, unit: &'static str) -> Arg {
        Arg { name, key: name, kind: Kind::Float(min, max), unit, default: Default::None }
    }
    /// A number that is clamped to a range.
    pub const fn clamped(name: &'static str, min: f64, max: f64, unit: &'static str) -> Arg {
        Arg { name, key: name, kind: Kind::Clamped(min, max), unit, default: Default::None }
    }
    /// Any other kind.
    pub const fn of(name: &'static str, kind: Kind) -> Arg {
        Arg { name, key: name, kind, unit: "", default: Default::None }
    }
    /// For the reference: name, type, range, unit and default.
    pub fn describe(&self) -> String {
        let kind = match self.kind {
            Kind::Int(min, max) if max > 1_000_000_000 => format!("i from {min}"),
            Kind::Int(min, max) => format!("i {min}…{max}"),
            Kind::Float(min, max) | Kind::Clamped(min, max) => format!("f {min}…{max}"),
            Kind::Text => "s".into(),
            Kind::Flag => "i 0/1".into(),
            Kind::Deck => "s a/b/c/d".into(),
            Kind::Band => "s low/mid/high".into(),
            Kind::Each(max) => format!("i 1…{max}, or s all"),
            Kind::Choice(words) => format!("s {}", words.join("/")),
            Kind::Rest => "any".into(),
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let default = match self.default {
            Default::None => String::new(),
            Default::Int(i) => format!(" = {i}"),
            Default::Float(f) => format!(" = {f}"),
            Default::Text(t) => format!(" = \"{t}\""),
            Default::Keep => " (optional)".into(),
        };
        format!("**{}** {kind}{unit}{default}", self.name)
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Int(..) | Kind::Float(..) | Kind::Clamped(..) | Kind::Flag)
    }

    /// The same under another name.
    pub const fn named(mut self, name: &'static str) -> Arg {
        (self.name, self.key) = (name, name);
        self
    }

    /// The same, which the handler knows as `key`.
    pub const fn known_as(mut self, key: &'static str) -> Arg {
        self.key = key;
        self
    }

    /// The same with a default.
    pub const fn or(mut self, default: Default) -> Arg {
        self.default = default;
        self
    }
}

/// What a control answers when it succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// `/done` when it has taken effect.
    Done,
    /// Nothing: it is a value that is moved, perhaps many times a second. Errors are answered all the same.
    Quiet,
    /// Nothing, not even errors: a stream of measurements nobody waits for.
    Never,
}

/// Carries out a call, on whatever state `S` the controls are about.
pub type Run<S> = fn(&mut S, &Call) -> Result<Outcome, Fault>;
/// Reads a control's present values.
pub type Get<S> = fn(&S, &Call) -> Vec<Value>;

/// A control's declaration: all that clients may know of it.
#[derive(Debug)]
pub struct Control {
    /// Its address; parts in braces are arguments as well, and come first.
    pub address: &'static str,
    /// Its arguments.
    pub args: &'static [Arg],
    /// One line.
    pub doc: &'static str,
    /// What it answers.
    pub ack: Ack,
    /// Whether it has a value that can be read.
    pub readable: bool,
    /// The address in the product's own tree that does the same, for addresses of the older servers.
    pub same_as: &'static str,
}

/// A control's declaration together with what carries it out on a state `S`.
pub struct Row<S: 'static> {
    /// The declaration.
    pub control: Control,
    /// Carries out a call.
    pub run: Run<S>,
    /// Reads the values, of a control that has some.
    pub get: Option<Get<S>>,
}

impl<S> Row<S> {
    /// A row of an action without a value.
    pub const fn new(control: Control, run: Run<S>) -> Row<S> {
        Row { control, run, get: None }
    }

    /// The same with values that `get` reads.
    pub const fn with_value(mut self, get: Get<S>) -> Row<S> {
        self.control.readable = true;
        self.get = Some(get);
        self
    }
}

/// All rows, found by address.
pub struct Table<S: 'static> {
    vocabulary: Arc<Vocabulary>,
    rows: HashMap<&'static str, &'static Row<S>>,
}

impl<S> Table<S> {
    /// The table of `rows`; `streams` are paths that can be subscribed to besides, `voices` is how many voices there are.
    pub fn new(rows: Vec<&'static Row<S>>, streams: &'static [Stream], voices: usize) -> Table<S> {
        let vocabulary = Vocabulary::new(rows.iter().map(|row| &row.control), streams, voices);
        Table {
            vocabulary: Arc::new(vocabulary),
            rows: rows.into_iter().map(|row| (row.control.address, row)).collect(),
        }
    }

    /// The declarations.
    pub fn vocabulary(&self) -> Arc<Vocabulary> {
        self.vocabulary.clone()
    }

    /// The row of an address, and the values that are part of the address.
    pub fn find(&self, address: &str) -> Option<(&'static Row<S>, Vec<Value>)> {
        let (control, values) = self.vocabulary.find(address)?;
        Some((self.rows.get(control.address)?, values))
    }
}

/// What a control's action came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done, or will have been when the engine's next block is.
    Done,
    /// It takes time: the answer comes later.
    Later,
    /// It is done, and here is what was asked for.
    Answer(Vec<crate::control::commands::request::Message>),
}

/// A checked call. Handlers ask for arguments by name.
#[derive(Clone, Debug)]
pub struct Call {
    control: Option<&'static Control>,
    /// The address as called.
    pub address: String,
    /// The arguments, those in the address first; one that was left out and has no default but "keep" is `None`.
    args: Vec<Option<Value>>,
    /// The sample at which it is to take effect; `None` is now.
    pub at: Option<u64>,
    /// Who asked.
    pub origin: Option<Origin>,
}

impl Call {
    /// A call of `control`, whose `args` have been checked.
    pub fn new(
        control: &'static Control,
        address: String,
        args: Vec<Option<Value>>,
        at: Option<u64>,
        origin: Option<Origin>,
    ) -> Call {
        Call { control: Some(control), address, args, at, origin }
    }

    /// A call without arguments, of no control.
    pub fn bare(address: &str) -> Call {
        Call { control: None, address: address.into(), args: Vec::new(), at: None, origin: None }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        let place = self.control.and_then(|c| c.keys().position(|k| k == key));
        // A control that does not declare what its handler asks for is a mistake in the table; tests call all of them.
        #[cfg(test)]
        assert!(place.is_some(), "{} has no argument '{key}'", self.address);
        self.args.get(place?)?.as_ref()
    }

    /// A whole number.
    pub fn int(&self, key: &str) -> i64 {
        self.get(key).and_then(Value::as_int).unwrap_or(0)
    }

    /// 0 or 1.
    pub fn flag(&self, key: &str) -> bool {
        self.int(key) != 0
    }

    /// A number.
    pub fn float(&self, key: &str) -> f64 {
        self.maybe_float(key).unwrap_or(0.0)
    }

    /// A number, or nothing if it was left out.
    pub fn maybe_float(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(Value::as_float)
    }

    /// The last argument as a number, for handlers of several controls that take one.
    pub fn number(&self) -> f64 {
        self.args.last().and_then(Option::as_ref).and_then(Value::as_float).unwrap_or(0.0)
    }

    /// Text.
    pub fn text(&self, key: &str) -> String {
        self.get(key).map(Value::as_text).unwrap_or_default()
    }

    /// A deck's index.
    pub fn deck(&self, key: &str) -> usize {
        self.int(key).clamp(0, DECKS as i64 - 1) as usize
    }

    /// One of several, counted from 0; `None` is all of them.
    pub fn which(&self, key: &str) -> Option<usize> {
        usize::try_from(self.int(key)).ok()?.checked_sub(1)
    }

    /// A band.
    pub fn band(&self, key: &str) -> Band {
        [Band::Low, Band::Mid, Band::High][self.int(key).clamp(0, 2) as usize]
    }

    /// The values of the argument that takes any number of them.
    pub fn rest(&self) -> impl Iterator<Item = &Value> {
        let before = self.control.map_or(0, |c| c.keys().count().saturating_sub(1));
        self.args.iter().skip(before).flatten()
    }

    /// The last part of the address.
    pub fn last_part(&self) -> &str {
        self.address.rsplit('/').next().unwrap_or_default()
    }
}

/// A deck's index from its name or number.
pub fn deck_index(value: &Value) -> Option<usize> {
    let index = match value {
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "a" => 0,
            "b" => 1,
            "c" => 2,
            "d" => 3,
            other => other.parse().ok()?,
        },
        other => usize::try_from(other.as_int()?).ok()?,
    };
    (index < DECKS).then_some(index)
}

/// A deck's name.
pub fn deck_name(deck: usize) -> &'static str {
    ["a", "b", "c", "d"].get(deck).copied().unwrap_or("?")
}

fn check(arg: &Arg, value: &Value) -> Result<Value, Fault> {
    let wrong = |expected: String| Fault::argument(arg.name, value, expected);
    match arg.kind {
        Kind::Int(min, max) => match value.as_int() {
            Some(i) if (min..=max).contains(&i) => Ok(Value::Int(i)),
            _ => Err(wrong(format!("a whole number from {min} to {max}"))),
        },
        Kind::Float(min, max) => match value.as_float() {
            Some(f) if (min..=max).contains(&f) => Ok(Value::Float(f)),
            _ => {
                let unit = if arg.unit.is_empty() { String::new() } else { format!(" ({})", arg.unit) };
                Err(wrong(format!("a number from {min} to {max}{unit}")))
            }
        },
        Kind::Clamped(min, max) => match value.as_float() {
            Some(f) => Ok(Value::Float(f.clamp(min, max))),
            None => Err(wrong(format!("a number, best from {min} to {max}"))),
        },
        Kind::Text | Kind::Rest => Ok(value.clone()),
        Kind::Flag => match value.as_int() {
            Some(i) => Ok(Value::Int(i64::from(i != 0))),
            None => Err(wrong("0 or 1".into())),
        },
        Kind::Deck => deck_index(value).map(|d| Value::Int(d as i64)).ok_or_else(|| wrong("a, b, c or d".into())),
        Kind::Band => {
            let text = value.as_text().trim().to_ascii_lowercase();
            let band = ["lo", "mi", "hi"].iter().position(|prefix| text.starts_with(prefix));
            band.map(|b| Value::Int(b as i64)).ok_or_else(|| wrong("low, mid or high".into()))
        }
        Kind::Each(max) => match value.as_int() {
            Some(i) if (1..=max).contains(&i) => Ok(Value::Int(i)),
            None if value.as_text().trim().eq_ignore_ascii_case("all") => Ok(Value::Int(0)),
            _ => Err(wrong(format!("a number from 1 to {max}, or all"))),
        },
        Kind::Choice(words) => {
            let text = value.as_text().trim().to_ascii_lowercase();
            let word = words.iter().find(|w| **w == text).map(|w| Value::from(*w));
            word.ok_or_else(|| wrong(format!("one of {}", words.join(", "))))
        }
    }
}

impl Control {
    /// The names by which handlers know the arguments, in their order.
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.holes().chain(self.args.iter().map(|arg| arg.key))
    }

    /// Names of the arguments in the address.
    fn holes(&self) -> impl Iterator<Item = &'static str> {
        self.address.split('/').filter_map(|part| part.strip_prefix('{').and_then(|p| p.strip_suffix('}')))
    }

    /// All arguments: those in the address, then the others.
    pub fn all_args(&self) -> Vec<Arg> {
        self.holes()
            .map(|name| match name {
                "deck" => Arg::of("deck", Kind::Deck),
                "band" => Arg::of("band", Kind::Band),
                "voice" => Arg::of("voice", Kind::Each(MOST_VOICES as i64)),
                "channel" => Arg::of("channel", Kind::Each(PARTS as i64)),
                other => Arg::of(other, Kind::Text),
            })
            .chain(self.args.iter().copied())
            .collect()
    }

    /// Checks and completes the values of a call; `in_address` are those that stood in the address.
    pub fn check(&self, in_address: &[Value], values: &[Value]) -> Result<Vec<Option<Value>>, Fault> {
        let all = self.all_args();
        let mut given = in_address.iter().chain(values);
        let mut checked = Vec::with_capacity(all.len());
        for arg in &all {
            if arg.kind == Kind::Rest {
                checked.extend(given.by_ref().cloned().map(Some));
                continue;
            }
            checked.push(match (given.next(), arg.default) {
                (Some(value), _) => Some(check(arg, value)?),
                (None, Default::Int(i)) => Some(Value::Int(i)),
                (None, Default::Float(f)) => Some(Value::Float(f)),
                (None, Default::Text(text)) => Some(check(arg, &Value::from(text))?),
                (None, Default::Keep) => None,
                (None, Default::None) => {
                    return Err(Fault::missing(arg.name, self.usage()));
                }
            });
        }
        // The older servers ignored what was too much, and their clients came to rely on it.
        Ok(checked)
    }

    /// Checks just the values that stand in the address: all that is needed to look a value up.
    pub fn check_address(&self, in_address: &[Value]) -> Result<Vec<Option<Value>>, Fault> {
        self.all_args().iter().zip(in_address).map(|(arg, value)| check(arg, value).map(Some)).collect()
    }

    /// How it is called, in one line: address and arguments.
    pub fn usage(&self) -> String {
        let mut text = self.address.to_string();
        for arg in self.args {
            let _ = match arg.default {
                Default::None => write!(text, " {}", arg.name),
                Default::Int(i) => write!(text, " [{}={i}]", arg.name),
                Default::Float(f) => write!(text, " [{}={f}]", arg.name),
                Default::Text(t) => write!(text, " [{}={t:?}]", arg.name),
                Default::Keep => write!(text, " [{}]", arg.name),
            };
        }
        text
    }

    /// OSC type tags of its arguments (without those in the address).
    pub fn types(&self) -> String {
        self.args
            .iter()
            .map(|a| match a.kind {
                Kind::Int(..) | Kind::Flag | Kind::Each(_) => "i",
                Kind::Float(..) | Kind::Clamped(..) => "f",
                Kind::Rest => "…",
                _ => "s",
            })
            .collect()
    }
}

/// All controls, findable.
pub struct Vocabulary {
    exact: HashMap<&'static str, &'static Control>,
    patterns: Vec<(Vec<&'static str>, &'static Control)>,
    all: Vec<&'static Control>,
    /// What stands in `concrete`, found: boards are read many times a second, address by address.
    spelled: HashMap<String, (&'static Control, Vec<Value>)>,
    concrete: Vec<String>,
    with_values: Vec<String>,
    streams: &'static [Stream],
}

impl Vocabulary {
    /// The vocabulary of `controls`, with `voices` voices spelled out; `streams` are paths that can be subscribed to besides.
    pub fn new(
        controls: impl IntoIterator<Item = &'static Control>,
        streams: &'static [Stream],
        voices: usize,
    ) -> Vocabulary {
        let all: Vec<&'static Control> = controls.into_iter().collect();
        let mut exact = HashMap::new();
        let mut patterns = Vec::new();
        for control in &all {
            if control.address.contains('{') {
                patterns.push((control.address.split('/').collect(), *control));
            } else {
                exact.insert(control.address, *control);
            }
        }
        let concrete = spell_out(&all, voices);
        let mut vocabulary =
            Vocabulary { exact, patterns, all, spelled: HashMap::new(), concrete, with_values: Vec::new(), streams };
        let found = |address: &String| Some((address.clone(), vocabulary.find(address)?));
        vocabulary.spelled = vocabulary.concrete.iter().filter_map(found).collect();
        let has_value = |address: &&String| vocabulary.find(address).is_some_and(|(c, _)| c.readable);
        vocabulary.with_values = vocabulary.concrete.iter().filter(has_value).cloned().collect();
        vocabulary
    }

    /// All controls in the order of declaration.
    pub fn all(&self) -> &[&'static Control] {
        &self.all
    }

    /// The control at an address, and the values that stand in the address.
    pub fn find(&self, address: &str) -> Option<(&'static Control, Vec<Value>)> {
        if let Some(control) = self.exact.get(address) {
            return Some((control, Vec::new()));
        }
        if let Some((control, values)) = self.spelled.get(address) {
            return Some((control, values.clone()));
        }
        let parts: Vec<&str> = address.split('/').collect();
        self.patterns.iter().find_map(|(pattern, control)| {
            if pattern.len() != parts.len() {
                return None;
            }
            let mut values = Vec::new();
            for (want, got) in pattern.iter().zip(&parts) {
                if want.starts_with('{') {
                    values.push(Value::from(*got));
                } else if want != got {
                    return None;
                }
            }
            Some((*control, values))
        })
    }

    /// Every address there is, with decks, bands, voices and parts spelled out; for OSC patterns with wildcards.
    pub fn concrete(&self) -> &[String] {
        &self.concrete
    }

    /// Every address that has a value, likewise spelled out.
    pub fn with_values(&self) -> &[String] {
        &self.with_values
    }

    /// Paths that can be subscribed to besides the controls' own values.
    pub fn streams(&self) -> &'static [Stream] {
        self.streams
    }

    /// Whether messages to `address` carry in front the number or name of the stream that they belong to.
    pub fn is_numbered_stream(&self, address: &str) -> bool {
        self.streams.iter().any(|s| s.is_numbered_as(address))
    }

    /// What to say about an address that is not there.
    pub fn unknown(&self, address: &str) -> Fault {
        let nearest = self.all.iter().map(|c| (distance(address, c.address), c.address)).min();
        match nearest {
            Some((d, other)) if d <= 1 + address.len() / 3 => Fault::unknown(format!("did you mean {other}?")),
            _ => Fault::unknown("/groove/list lists all controls".into()),
        }
    }

    /// The tables of `docs/controls.md`: grooved's own controls, and the addresses of the older servers.
    pub fn reference(&self) -> String {
        let mut out = String::new();
        for (title, ours) in [("Addresses of grooved", true), ("Addresses of the older servers", false)] {
            let _ = writeln!(out, "## {title}\n\n| address | arguments | description |\n|---|---|---|");
            for control in self.all.iter().filter(|c| c.address.starts_with("/groove/") == ours) {
                let args: Vec<String> = control.args.iter().map(Arg::describe).collect();
                let same = match control.same_as {
                    "" => String::new(),
                    other => format!(" Same as `{other}`."),
                };
                let _ = writeln!(out, "| `{}` | {} | {}{same} |", control.address, args.join("<br>"), control.doc);
            }
            out.push('\n');
        }
        out
    }
}

/// Every address with decks, bands, voices and parts spelled out; those with other holes are left out.
fn spell_out(all: &[&'static Control], voices: usize) -> Vec<String> {
    let channels: Vec<String> = (1..=PARTS.max(voices)).map(|n| n.to_string()).collect();
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    let (voices, channels) = (&channels[..voices], &channels[..if voices > 0 { PARTS } else { 0 }]);
    let mut out = Vec::new();
    for control in all {
        let mut forms = vec![control.address.to_string()];
        for (hole, words) in [
            ("{deck}", &["a", "b", "c", "d"][..]),
            ("{band}", &["low", "mid", "high"]),
            ("{voice}", voices),
            ("{channel}", channels),
        ] {
            forms = forms
                .into_iter()
                .flat_map(|form| match form.contains(hole) {
                    true => words.iter().map(|w| form.replace(hole, w)).collect(),
                    false => vec![form],
                })
                .collect();
        }
        out.extend(forms.into_iter().filter(|f| !f.contains('{')));
    }
    out
}

/// Levenshtein distance, for suggestions.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
