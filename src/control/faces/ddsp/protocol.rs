//! The JSON messages of the DDSP stream.
//!
//! ```text
//! {"f0s":[440.0,550.0],"loudness":0.7}             pitches in Hz; "loudness" may be a list, one each
//! {"f0":440,"loudness":0.5}                        one voice
//! {"type":"gain","value":0.5}                      the older server's name for the loudness
//! {"type":"note_on","note":60,"velocity":100}      and note_off; in addition to the list
//! {"pitch_shift":-12,"harmonic_gain":1,"noise_gain":0.5,"instrument":"cello","reset":true}
//! {"at":250,"f0s":[440]}                           applied in 250 ms
//! [{"f0s":[440]},{"at":500,"f0s":[]}]              several in one message
//! {"type":"hello"}                                 requests format, instruments and ranges
//! {"monitor":true}                                 on the appliance's speakers as well, if enabled
//! {"format":"f32","frame_ms":10,"rate":44100,"mode":"pull"}
//! ```
//!
//! Pitches and loudness out of range are clamped, as in the older server; other numbers out of range are rejected with
//! the field's name. As in that server, numbers may be text, `"f0s":null` is silence and an unknown `type` is ignored.
//!
//! The older clients interpret every frame as audio, even a text frame. Text messages are therefore sent only to
//! clients that have used a feature the older server does not have ([`is_new`]).

use serde_json::{Map, Value as Json, json};

use crate::ddsp::order::is_name;
use crate::ddsp::stream::{FARTHEST_S, Update};

/// Maximum length of a list of pitches or loudnesses.
const MOST_LISTED: usize = 64;
/// Maximum number of updates in one message.
const MOST_UPDATES: usize = 1_024;

/// Sample format of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// 16-bit little-endian integers, as in the older server.
    #[default]
    S16,
    /// 32-bit little-endian floats.
    F32,
}

/// Format, frame length, sample rate and mode of the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Sample format.
    pub format: Format,
    /// Frame length in milliseconds.
    pub frame_ms: f64,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Pull mode: one frame is sent per message, as soon as it is rendered; otherwise frames are sent in real time.
    pub pull: bool,
}

impl Shape {
    /// Returns the number of samples in a frame.
    pub fn samples(&self) -> usize {
        ((self.frame_ms * 1e-3 * f64::from(self.rate)).round() as usize).max(1)
    }
}

/// One request of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamCommand {
    /// Applies an update, delayed by a number of seconds.
    Update(Update, f64),
    /// Changes the instrument.
    Instrument(String),
    /// Changes the shape of the stream.
    Reshape(Shape),
    /// Starts or stops monitoring on the speakers.
    Monitor(bool),
    /// Requests format, instruments and ranges.
    Hello,
}

/// A parsed message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// Requests, in order.
    pub orders: Vec<StreamCommand>,
    /// Remarks for the client that are not errors.
    pub notes: Vec<String>,
}

/// An invalid message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The invalid field; empty if the message as a whole is invalid.
    pub field: String,
    /// The problem, with what is expected.
    pub why: String,
}

impl Wrong {
    fn new(field: &str, why: impl Into<String>) -> Wrong {
        Wrong { field: field.into(), why: why.into() }
    }

    /// Returns the error reply to the client.
    pub fn to_json(&self) -> Json {
        let separator = if self.field.is_empty() { "" } else { ": " };
        json!({ "error": format!("{}{separator}{}", self.field, self.why), "field": self.field })
    }
}

/// Parses a message as JSON.
///
/// # Errors
/// If the text is not valid JSON.
pub fn parse(text: &str) -> Result<Json, Wrong> {
    serde_json::from_str(text).map_err(|e| {
        Wrong::new("", format!("invalid JSON ({e}); expected a message such as {{\"f0s\":[440.0],\"loudness\":0.7}}"))
    })
}

/// Returns whether a message uses a feature that the older server does not have, so that its sender is not one of that
/// server's clients.
pub fn is_new(json: &Json) -> bool {
    const FIELDS: [&str; 12] = [
        "pitch_shift",
        "harmonic_gain",
        "noise_gain",
        "gain",
        "instrument",
        "reset",
        "at",
        "monitor",
        "format",
        "frame_ms",
        "rate",
        "mode",
    ];
    match json {
        Json::Array(_) => true,
        Json::Object(fields) => {
            FIELDS.iter().any(|name| present(fields, name).is_some())
                || present(fields, "hello").is_some_and(|h| h.as_bool() != Some(false))
                || matches!(fields.get("loudness"), Some(Json::Array(_)))
                || matches!(type_of(fields), Some("note_on" | "note_off" | "hello" | "reset"))
        }
        _ => false,
    }
}

/// Interprets a message. `voices` is the number of voices of the client, `shape` the current shape of the stream.
///
/// # Errors
/// The first invalid field; nothing of the message must be applied then.
pub fn read(json: &Json, voices: usize, shape: &Shape) -> Result<Parsed, Wrong> {
    let mut heard = Parsed::default();
    let mut shape = *shape;
    match json {
        Json::Array(list) if list.len() > MOST_UPDATES => {
            return Err(Wrong::new(
                "",
                format!("{} updates in one message; must be at most {MOST_UPDATES}", list.len()),
            ));
        }
        Json::Array(list) => {
            for item in list {
                one(item, voices, &mut shape, &mut heard)?;
            }
        }
        item => one(item, voices, &mut shape, &mut heard)?,
    }
    Ok(heard)
}

fn one(item: &Json, voices: usize, shape: &mut Shape, heard: &mut Parsed) -> Result<(), Wrong> {
    let Json::Object(fields) = item else {
        return Err(Wrong::new("", "expected an object such as {\"f0s\":[440.0],\"loudness\":0.7}"));
    };
    let at = number(fields, "at", 0.0, FARTHEST_S * 1e3)?.unwrap_or(0.0) * 1e-3;
    let mut update = Update::default();
    let mut greets = present(fields, "hello").is_some_and(|h| h.as_bool() != Some(false));
    match type_of(fields) {
        None => {}
        Some("gain") => {
            let loudness = present(fields, "value").and_then(as_number);
            let loudness = loudness.ok_or_else(|| Wrong::new("value", "must be a number from 0 to 1"))?;
            update.loudness = Some(vec![loudness.clamp(0.0, 1.0)]);
        }
        Some("note_on") => {
            let velocity = number(fields, "velocity", 0.0, 127.0)?.unwrap_or(100.0);
            let note = note(fields)?;
            // As in MIDI, velocity 0 ends the note.
            if velocity > 0.0 { update.note_on = Some((note, velocity / 127.0)) } else { update.note_off = Some(note) }
        }
        Some("note_off") => update.note_off = Some(note(fields)?),
        Some("hello") => greets = true,
        Some("reset") => update.reset = true,
        Some("control" | "update" | "f0s") => {}
        Some(other) => {
            let other: String = other.chars().take(32).collect();
            let known = "gain, note_on, note_off, hello or reset";
            heard.notes.push(format!("type: unknown type '{other}' ignored; expected {known}"));
        }
    }
    pitches(fields, voices, &mut update, heard)?;
    loudness(fields, &mut update)?;
    update.pitch_shift = number(fields, "pitch_shift", -48.0, 48.0)?;
    update.harmonic_gain = number(fields, "harmonic_gain", 0.0, 10.0)?;
    update.noise_gain = number(fields, "noise_gain", 0.0, 10.0)?;
    if let Some(gain) = number(fields, "gain", 0.0, 2.0)? {
        update.gain = Some(gain);
    }
    update.reset |= present(fields, "reset").is_some_and(|r| r.as_bool() == Some(true));
    let reshaped = reshape(fields, shape)?;
    if let Some(name) = present(fields, "instrument") {
        let name = name.as_str().filter(|n| is_name(n));
        let name = name.ok_or_else(|| {
            Wrong::new("instrument", "expected the name of an instrument, as listed in reply to {\"type\":\"hello\"}")
        })?;
        heard.orders.push(StreamCommand::Instrument(name.into()));
    }
    if let Some(heard_there) = present(fields, "monitor") {
        let heard_there = heard_there.as_bool().ok_or_else(|| Wrong::new("monitor", "must be true or false"))?;
        heard.orders.push(StreamCommand::Monitor(heard_there));
    }
    let at_once = ["instrument", "monitor"].iter().any(|f| present(fields, f).is_some());
    if at > 0.0 && (reshaped || greets || at_once) {
        return Err(Wrong::new(
            "at",
            "must be 0 for hello, instrument, monitor, format, frame_ms, rate and mode, which cannot be scheduled",
        ));
    }
    if reshaped {
        heard.orders.push(StreamCommand::Reshape(*shape));
    }
    if greets {
        heard.orders.push(StreamCommand::Hello);
    }
    if update != Update::default() {
        heard.orders.push(StreamCommand::Update(update, at));
    }
    Ok(())
}

/// Reads the pitches; elements that are not numbers are skipped, as in the older server. A pitch of 0 or less is silent
/// but keeps its position, so that the loudnesses still match.
fn pitches(fields: &Map<String, Json>, voices: usize, update: &mut Update, heard: &mut Parsed) -> Result<(), Wrong> {
    let held = |hz: f64| if hz > 0.0 { hz.clamp(8.18, 12_544.0) } else { 0.0 };
    if let Some(list) = fields.get("f0s") {
        let list = match list {
            Json::Array(list) => list.as_slice(),
            Json::Null => &[],
            _ => return Err(Wrong::new("f0s", "expected a list of frequencies in Hz, such as [440.0, 550.0]")),
        };
        let mut f0s: Vec<f64> = list.iter().filter_map(as_number).map(held).take(MOST_LISTED).collect();
        let sounding = f0s.iter().filter(|hz| **hz > 0.0).count();
        if sounding > voices {
            heard
                .notes
                .push(format!("f0s: {sounding} pitches for {voices} voices; only the first {voices} are played"));
            let mut left = voices;
            f0s.retain(|hz| {
                let keep = *hz <= 0.0 || left > 0;
                left -= usize::from(*hz > 0.0 && left > 0);
                keep
            });
        }
        update.f0s = Some(f0s);
    } else if let Some(hz) = present(fields, "f0") {
        let hz = as_number(hz).ok_or_else(|| Wrong::new("f0", "expected a frequency in Hz"))?;
        update.f0s = Some(vec![held(hz)]);
    }
    Ok(())
}

fn loudness(fields: &Map<String, Json>, update: &mut Update) -> Result<(), Wrong> {
    let wrong = || Wrong::new("loudness", "must be a number from 0 to 1, or a list of up to 64 such numbers");
    let held = |value: &Json| as_number(value).map(|l| l.clamp(0.0, 1.0)).ok_or_else(wrong);
    let given = match present(fields, "loudness") {
        None => return Ok(()),
        Some(Json::Array(list)) if list.is_empty() || list.len() > MOST_LISTED => return Err(wrong()),
        Some(Json::Array(list)) => list.iter().map(held).collect::<Result<_, _>>()?,
        Some(value) => vec![held(value)?],
    };
    update.loudness = Some(given);
    Ok(())
}

fn reshape(fields: &Map<String, Json>, shape: &mut Shape) -> Result<bool, Wrong> {
    let before = *shape;
    match present(fields, "format").map(|f| f.as_str().unwrap_or_default()) {
        None => {}
        Some("s16" | "int16" | "pcm16") => shape.format = Format::S16,
        Some("f32" | "float32") => shape.format = Format::F32,
        Some(_) => return Err(Wrong::new("format", "must be s16 or f32")),
    }
    match present(fields, "mode").map(|m| m.as_str().unwrap_or_default()) {
        None => {}
        Some("push") => shape.pull = false,
        Some("pull") => shape.pull = true,
        Some(_) => return Err(Wrong::new("mode", "must be push or pull")),
    }
    if let Some(ms) = number(fields, "frame_ms", 2.0, 500.0)? {
        shape.frame_ms = ms;
    }
    if let Some(rate) = number(fields, "rate", 8_000.0, 96_000.0)? {
        shape.rate = rate.round() as u32;
    }
    Ok(*shape != before)
}

/// Returns a field that is present and not null.
fn present<'a>(fields: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    fields.get(name).filter(|value| !value.is_null())
}

fn type_of(fields: &Map<String, Json>) -> Option<&str> {
    present(fields, "type").map(|t| t.as_str().unwrap_or_default())
}

/// Returns a finite number, which may also be given as text.
fn as_number(value: &Json) -> Option<f64> {
    match value {
        Json::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        value => value.as_f64(),
    }
}

fn note(fields: &Map<String, Json>) -> Result<f64, Wrong> {
    number(fields, "note", 0.0, 127.0)?.ok_or_else(|| Wrong::new("note", "must be a MIDI note number from 0 to 127"))
}

fn number(fields: &Map<String, Json>, name: &str, least: f64, most: f64) -> Result<Option<f64>, Wrong> {
    match present(fields, name) {
        None => Ok(None),
        Some(value) => match as_number(value) {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Wrong::new(name, format!("must be a number from {least} to {most}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { format: Format::S16, frame_ms: 20.0, rate: 48_000, pull: false };

    fn read(text: &str, voices: usize, shape: &Shape) -> Result<Parsed, Wrong> {
        super::read(&parse(text)?, voices, shape)
    }

    fn update(text: &str) -> (Update, f64) {
        match read(text, 3, &SHAPE).unwrap().orders.pop() {
            Some(StreamCommand::Update(update, at)) => (update, at),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_older_clients_are_understood() {
        let (u, _) = update(r#"{"f0s":[440.0,550.0,660.0],"loudness":0.7}"#);
        assert_eq!((u.f0s, u.loudness), (Some(vec![440.0, 550.0, 660.0]), Some(vec![0.7])));
        assert_eq!(update(r#"{"f0":440,"loudness":7}"#).0.loudness, Some(vec![1.0]));
        assert_eq!(update(r#"{"f0s":["x",440,null,-5,0]}"#).0.f0s, Some(vec![440.0, 0.0, 0.0]));
        assert_eq!(update(r#"{"f0s":[]}"#).0.f0s, Some(vec![]));
        let (u, _) = update(r#"{"type":"gain","value":0.5}"#);
        assert_eq!((u.loudness, u.gain), (Some(vec![0.5]), None));
        assert_eq!(update(r#"{"type":"gain","value":"5"}"#).0.loudness, Some(vec![1.0]));
        assert_eq!(update(r#"{"type":"gain","value":0.5,"f0s":[220]}"#).0.f0s, Some(vec![220.0]));
        assert_eq!(update(r#"{"f0s":["440"," 550.0 ","nan","x"]}"#).0.f0s, Some(vec![440.0, 550.0]));
        let (u, _) = update(r#"{"f0":"440","loudness":"0.8"}"#);
        assert_eq!((u.f0s, u.loudness), (Some(vec![440.0]), Some(vec![0.8])));
        assert_eq!(update(r#"{"f0s":null,"loudness":null}"#).0, Update { f0s: Some(vec![]), ..Update::default() });
        assert_eq!(update(r#"{"f0":null,"loudness":0.3}"#).0.loudness, Some(vec![0.3]));
        for odd in [r#""control""#, r#""dance""#, "7", "null"] {
            let (u, _) = update(&format!(r#"{{"type":{odd},"f0s":[330],"instrument":null}}"#));
            assert_eq!(u.f0s, Some(vec![330.0]), "{odd}");
        }
        assert_eq!(read(r#"{"something":"else"}"#, 3, &SHAPE), Ok(Parsed::default()));
    }

    #[test]
    fn more_can_be_said() {
        assert_eq!(update(r#"{"f0s":[440,550],"loudness":[0.2,0.9]}"#).0.loudness, Some(vec![0.2, 0.9]));
        let heard = read(r#"[{"f0s":[440]},{"at":500,"f0s":[]},{"instrument":"cello"}]"#, 3, &SHAPE).unwrap();
        assert!(matches!(heard.orders[1], StreamCommand::Update(_, at) if at == 0.5));
        assert_eq!(heard.orders[2], StreamCommand::Instrument("cello".into()));
        assert_eq!(update(r#"{"type":"note_on","note":60,"velocity":127}"#).0.note_on, Some((60.0, 1.0)));
        assert_eq!(update(r#"{"type":"note_on","note":60,"velocity":0}"#).0.note_off, Some(60.0));
        let heard = read(r#"{"f0s":[1,2,3,4,5].concat}"#, 3, &SHAPE).unwrap_err();
        assert!(heard.why.contains("invalid JSON"));
        let heard = read(r#"{"f0s":[100,200,300,400]}"#, 3, &SHAPE).unwrap();
        assert_eq!(heard.notes, ["f0s: 4 pitches for 3 voices; only the first 3 are played"]);
        let Some(StreamCommand::Reshape(shape)) =
            read(r#"{"format":"f32","frame_ms":10,"rate":44100,"mode":"pull"}"#, 3, &SHAPE).unwrap().orders.pop()
        else {
            panic!()
        };
        assert_eq!((shape.samples(), shape.pull, shape.format), (441, true, Format::F32));
    }

    #[test]
    fn new_clients_are_told_from_older_ones() {
        for text in [
            r#"{"f0s":[440],"loudness":0.7}"#,
            r#"{"f0":440}"#,
            r#"{"type":"gain","value":5}"#,
            r#"{"type":"dance","f0s":[1,2,3,4,5,6,7,8,9]}"#,
            r#"{"f0s":null,"instrument":null}"#,
            "[]7",
            "7",
        ] {
            assert!(!parse(text).is_ok_and(|json| is_new(&json)), "{text}");
        }
        for text in [
            r#"{"type":"hello"}"#,
            r#"{"hello":true}"#,
            r#"{"f0s":[440],"loudness":[0.7]}"#,
            r#"{"type":"note_on","note":60}"#,
            r#"{"pitch_shift":1000}"#,
            r#"{"gain":1}"#,
            r#"[{"f0s":[440]}]"#,
        ] {
            assert!(is_new(&parse(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, field) in [
            (r#"{"f0s":440}"#, "f0s"),
            (r#"{"f0s":[440],"loudness":"loud"}"#, "loudness"),
            (r#"{"pitch_shift":99}"#, "pitch_shift"),
            (r#"{"at":-1,"f0s":[440]}"#, "at"),
            (r#"{"type":"gain"}"#, "value"),
            (r#"{"type":"gain","value":"loud"}"#, "value"),
            (r#"{"type":"note_on"}"#, "note"),
            (r#"{"format":"mp3"}"#, "format"),
            (r#"{"monitor":"loud"}"#, "monitor"),
            (r#"{"instrument":"../../etc/passwd"}"#, "instrument"),
            (r#"{"frame_ms":1e9}"#, "frame_ms"),
            (r#"{"at":500,"instrument":"cello"}"#, "at"),
            ("[440]", ""),
            ("nonsense", ""),
        ] {
            let wrong = read(text, 3, &SHAPE).unwrap_err();
            assert_eq!(wrong.field, field, "{text}: {wrong:?}");
            assert!(wrong.why.contains("must be") || wrong.why.contains("expected"), "{wrong:?}");
        }
    }
}
