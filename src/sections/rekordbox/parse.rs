//! The elements of a collection and their values.

use quick_xml::Error;
use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::document::{self, Lines, Value, XmlFault};
use super::location::trimmed;
use super::{Collection, Mark, MarkKind, Tempo, Track, shown};

/// Most remarks about tracks that are kept: more than anyone reads, and little memory.
const MOST_REMARKS: usize = 1000;

/// Reads a collection.
///
/// # Errors
/// The first fault of a document that is not well-formed.
pub(super) fn collection(bytes: &[u8]) -> Result<Collection, XmlFault> {
    let text = document::decoded(bytes)?;
    let mut found = Parser { text: &text, ..Parser::default() }.run()?;
    for track in &mut found.tracks {
        track.tempos.sort_by(|a, b| a.at.total_cmp(&b.at));
    }
    Ok(found)
}

/// The state between two pieces of a document.
#[derive(Default)]
struct Parser<'t> {
    text: &'t str,
    lines: Lines,
    /// Offsets of the tags of all open elements.
    open: Vec<usize>,
    /// Whether the root element has begun.
    rooted: bool,
    /// Number of collections so far.
    collections: usize,
    /// Whether the document is inside a collection.
    inside: bool,
    /// The track that is being read.
    track: Option<Track>,
    /// Number of remarks beyond [`MOST_REMARKS`].
    silent: usize,
    found: Collection,
}

impl Parser<'_> {
    fn run(mut self) -> Result<Collection, XmlFault> {
        let mut reader = Reader::from_str(self.text);
        loop {
            let at = reader.buffer_position() as usize;
            match reader.read_event() {
                Err(error) => return Err(self.fault(reader.error_position() as usize, plain(&error))),
                Ok(Event::Eof) => break,
                Ok(Event::Start(tag)) => {
                    self.element(&tag, at)?;
                    self.open.push(at);
                }
                Ok(Event::Empty(tag)) => {
                    self.element(&tag, at)?;
                    self.closed();
                }
                Ok(Event::End(_)) => {
                    self.open.pop();
                    self.closed();
                }
                Ok(Event::Decl(_)) if at > 0 => {
                    return Err(self.fault(at, "an XML declaration that is not at the start"));
                }
                Ok(Event::Decl(declaration)) => {
                    if let Some(Ok(encoding)) = declaration.encoding() {
                        self.encoding(&encoding)?;
                    }
                }
                Ok(Event::DocType(_)) if self.rooted => return Err(self.fault(at, "a DOCTYPE inside the document")),
                Ok(Event::GeneralRef(name)) if !self.open.is_empty() => {
                    document::entity(&name).map_err(|what| self.fault(at, what))?;
                }
                Ok(Event::Text(text)) if self.open.is_empty() => {
                    if let Some(first) = text.find(|c: char| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
                        return Err(self.fault(at + first, "text outside the root element"));
                    }
                }
                Ok(Event::CData(_) | Event::GeneralRef(_)) if self.open.is_empty() => {
                    return Err(self.fault(at, "text outside the root element"));
                }
                Ok(_) => {}
            }
        }
        if let Some(at) = self.open.last() {
            let line = Lines::default().at(self.text, *at);
            let what = format!("the document ends inside <{}>, which begins in line {line}", name_at(self.text, *at));
            return Err(self.fault(self.text.len(), what));
        }
        if !self.rooted {
            return Err(self.fault(self.text.len(), "the document has no element"));
        }
        if self.collections == 0 {
            self.found.remarks.push("the document has no COLLECTION; no track is known".into());
        }
        if self.silent > 0 {
            self.found.remarks.push(format!("{} more remarks are left out", self.silent));
        }
        Ok(self.found)
    }

    fn fault(&self, offset: usize, what: impl std::fmt::Display) -> XmlFault {
        XmlFault::at(self.text, offset, what)
    }

    /// Refuses a document that says that its bytes mean something else than what was read.
    fn encoding(&self, declared: &str) -> Result<(), XmlFault> {
        let known = ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|name| declared.eq_ignore_ascii_case(name));
        let wide = declared.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("utf-16"));
        if known || wide || self.text.is_ascii() {
            return Ok(());
        }
        Err(self.fault(0, format_args!("the encoding '{declared}' is not supported; must be UTF-8 or UTF-16")))
    }

    /// Reads a tag that begins an element; `at` is its offset.
    fn element(&mut self, tag: &BytesStart<'_>, at: usize) -> Result<(), XmlFault> {
        let (name, depth) = (tag.name(), self.open.len());
        if !document::is_name(name.as_ref()) {
            return Err(self.fault(at, "'<' that does not begin a tag"));
        }
        if depth == 0 && self.rooted {
            return Err(self.fault(at, format_args!("a second root element, <{}>", name.as_ref())));
        }
        self.rooted = true;
        let fields = self.fields(tag, at)?;
        match (depth, tag.local_name().as_ref()) {
            (1, "COLLECTION") => {
                self.collections += 1;
                self.inside = true;
            }
            (2, "TRACK") if self.inside => {
                let mut wrong = Vec::new();
                let track = track(&fields, self.lines.at(self.text, at), &mut wrong);
                self.remark(&track, "", wrong);
                self.track = Some(track);
            }
            (3, child @ ("TEMPO" | "POSITION_MARK")) => {
                if let Some(mut track) = self.track.take() {
                    let mut wrong = Vec::new();
                    if child == "TEMPO" {
                        track.tempos.extend(tempo(&fields, &mut wrong));
                    } else {
                        track.marks.extend(mark(&fields, &mut wrong));
                    }
                    if !wrong.is_empty() {
                        let line = self.lines.at(self.text, at);
                        self.remark(&track, &format!("{child} in line {line}: "), wrong);
                    }
                    self.track = Some(track);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes note that an element ended; the open ones are those around it.
    fn closed(&mut self) {
        match self.open.len() {
            1 => self.inside = false,
            2 => self.found.tracks.extend(self.track.take()),
            _ => {}
        }
    }

    fn remark(&mut self, track: &Track, place: &str, wrong: Vec<String>) {
        let (name, line) = (shown(&track.name), track.line);
        for what in wrong {
            if self.found.remarks.len() < MOST_REMARKS {
                self.found.remarks.push(format!("TRACK \"{name}\" (line {line}): {place}{what}"));
            } else {
                self.silent += 1;
            }
        }
    }

    /// Returns the attributes of a tag, all of which must be well-formed, used or not.
    fn fields<'a>(&self, tag: &'a BytesStart<'_>, at: usize) -> Result<Fields<'a>, XmlFault> {
        let mut fields = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| {
                let (offset, what) = plain_attribute(&error);
                self.fault(at + 1 + offset, what)
            })?;
            let name = attribute.key.0;
            let place = |part: &str| document::offset_of(self.text, part).unwrap_or(at);
            if !document::is_name(name) {
                return Err(self.fault(place(name), format_args!("'{name}' is no name of an attribute")));
            }
            let before = self.text.as_bytes().get(place(name).saturating_sub(1));
            if before.is_some_and(|byte| !byte.is_ascii_whitespace()) {
                return Err(self.fault(place(name), format_args!("the attribute '{name}' without a blank before it")));
            }
            let start = place(&attribute.value);
            let value = document::value(attribute.value).map_err(|(offset, what)| self.fault(start + offset, what))?;
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}

/// Returns the name of the tag whose '<' is at a byte offset.
fn name_at(text: &str, offset: usize) -> &str {
    let ends = |c: char| c == '>' || c.is_ascii_whitespace();
    text[offset + 1..].split(ends).next().unwrap_or_default()
}

/// Returns what the parser found wrong, without the kinds it divides errors into.
fn plain(error: &Error) -> String {
    match error {
        Error::Syntax(error) => error.to_string(),
        Error::IllFormed(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Returns what is wrong with an attribute, after its offset behind the '<' of the tag.
fn plain_attribute(error: &AttrError) -> (usize, &'static str) {
    match error {
        AttrError::ExpectedEq(at) => (*at, "the name of an attribute without '='"),
        AttrError::ExpectedValue(at) => (*at, "an attribute without a value"),
        AttrError::UnquotedValue(at) => (*at, "the value of an attribute without quotation marks"),
        AttrError::ExpectedQuote(at, _) => (*at, "the value of an attribute without its closing quotation mark"),
        AttrError::Duplicated(at, _) => (*at, "an attribute that the tag already has"),
    }
}

/// The attributes of a tag.
///
/// Prefixes of namespaces are not removed here: attributes without one belong to the element, whatever its own is.
struct Fields<'a>(Vec<(&'a str, Value<'a>)>);

impl Fields<'_> {
    /// Returns the value of an attribute; empty if it is absent.
    fn text(&self, name: &str, wrong: &mut Vec<String>) -> &str {
        let Some((_, value)) = self.0.iter().find(|(key, _)| *key == name) else { return "" };
        if let Some(entity) = &value.unknown {
            wrong.push(format!("{name} has the unknown entity '{}'; it stays as written", shown(entity)));
        }
        &value.text
    }

    /// Returns the number that an attribute holds; `None`, with a note, if it holds none that is allowed.
    fn number(&self, name: &str, allowed: Allowed, then: &str, wrong: &mut Vec<String>) -> Option<f64> {
        let text = self.text(name, wrong);
        let number = decimal(text);
        let must = match allowed {
            Allowed::Any if number.is_some_and(f64::is_finite) => return number,
            Allowed::Positive if number.is_some_and(|n| n.is_finite() && n > 0.0) => return number,
            // How programs write what they do not know.
            Allowed::Positive if number == Some(0.0) || trimmed(text).is_empty() => return None,
            Allowed::Natural(lowest) if number.is_some_and(|n| natural(n, lowest)) => return number,
            Allowed::Any | Allowed::Positive if number.is_none() => "a decimal number".to_string(),
            Allowed::Any => "finite".to_string(),
            Allowed::Positive => "finite and above 0".to_string(),
            Allowed::Natural(lowest) => format!("a whole number from {lowest}"),
        };
        wrong.push(format!("{name} is '{}', must be {must}; {then}", shown(text)));
        None
    }

    /// Returns the whole number that an attribute holds, or `otherwise`: silently if it is absent or empty.
    fn whole(&self, name: &str, lowest: i32, otherwise: i32, wrong: &mut Vec<String>) -> i32 {
        if trimmed(self.text(name, &mut Vec::new())).is_empty() {
            return otherwise;
        }
        let then = format!("taken as {otherwise}");
        self.number(name, Allowed::Natural(lowest), &then, wrong).map_or(otherwise, |number| number as i32)
    }
}

/// The numbers that are allowed as a value.
#[derive(Clone, Copy)]
enum Allowed {
    /// Any finite one.
    Any,
    /// Finite ones above 0; 0 and an empty text mean that the value is unknown.
    Positive,
    /// Whole ones from a lowest one.
    Natural(i32),
}

fn natural(number: f64, lowest: i32) -> bool {
    number.fract() == 0.0 && (f64::from(lowest)..=f64::from(i32::MAX)).contains(&number)
}

/// Returns the number that a text means to Python, which earlier readers of such files were written in: blanks around
/// it and single underscores between digits are allowed, and `inf` and `nan` are numbers.
fn decimal(text: &str) -> Option<f64> {
    let text = trimmed(text);
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    if (0..bytes.len()).any(|at| bytes[at] == b'_' && !(digit(at.checked_sub(1)) && digit(Some(at + 1)))) {
        return None;
    }
    if bytes.contains(&b'_') { text.replace('_', "").parse().ok() } else { text.parse().ok() }
}

fn track(fields: &Fields<'_>, line: u64, wrong: &mut Vec<String>) -> Track {
    let location = fields.text("Location", wrong).to_string();
    if trimmed(&location).is_empty() {
        wrong.push("Location is empty; no file is taken for it".into());
    }
    Track {
        line,
        id: fields.text("TrackID", wrong).to_string(),
        name: fields.text("Name", wrong).to_string(),
        artist: fields.text("Artist", wrong).to_string(),
        location,
        tonality: trimmed(fields.text("Tonality", wrong)).to_string(),
        bpm: fields.number("AverageBpm", Allowed::Positive, "its BPM is unknown", wrong),
        seconds: fields.number("TotalTime", Allowed::Positive, "its duration is unknown", wrong),
        tempos: Vec::new(),
        marks: Vec::new(),
    }
}

fn tempo(fields: &Fields<'_>, wrong: &mut Vec<String>) -> Option<Tempo> {
    let then = "it is left out";
    let at = fields.number("Inizio", Allowed::Any, then, wrong)?;
    let bpm = fields.number("Bpm", Allowed::Positive, then, wrong)?;
    let metro = trimmed(fields.text("Metro", wrong));
    let beats = decimal(metro.split('/').next().unwrap_or_default()).filter(|beats| natural(*beats, 1));
    if beats.is_none() && !metro.is_empty() {
        wrong.push(format!("Metro is '{}', must be like '4/4'; taken as 4/4", shown(metro)));
    }
    let beat = fields.whole("Battito", 1, 1, wrong) as u32;
    Some(Tempo { at, bpm, beats_per_bar: beats.map_or(4, |beats| beats as u32), beat })
}

fn mark(fields: &Fields<'_>, wrong: &mut Vec<String>) -> Option<Mark> {
    let written = fields.text("Type", wrong);
    let kinds = [MarkKind::Cue, MarkKind::FadeIn, MarkKind::FadeOut, MarkKind::Load, MarkKind::Loop];
    let kind = decimal(written).filter(|number| natural(*number, 0)).and_then(|number| kinds.get(number as usize));
    if kind.is_none() {
        wrong.push(format!("Type is '{}', must be a whole number from 0 to 4; it is left out", shown(written)));
    }
    let (kind, start) = (*kind?, fields.number("Start", Allowed::Any, "it is left out", wrong)?);
    let end = match trimmed(fields.text("End", &mut Vec::new())) {
        "" => None,
        _ => fields.number("End", Allowed::Any, "its end is unknown", wrong),
    };
    let number = fields.whole("Num", -1, -1, wrong);
    Some(Mark { kind, start, end, number, name: fields.text("Name", wrong).to_string() })
}
