//! What clients of the stream say, as JSON, and what they are told.
//!
//! ```text
//! {"f0s":[440.0,550.0],"loudness":0.7}             pitches in Hz; "loudness" may be a list, one each
//! {"f0":440,"loudness":0.5}                        one voice
//! {"type":"gain","value":0.5}                      the older server's name for the loudness
//! {"type":"note_on","note":60,"velocity":100}      and note_off; beside the list
//! {"pitch_shift":-12,"harmonic_gain":1,"noise_gain":0.5,"instrument":"cello","reset":true}
//! {"at":250,"f0s":[440]}                           in so many milliseconds
//! [{"f0s":[440]},{"at":500,"f0s":[]}]              several in one message
//! {"type":"hello"}                                 what there is: format, instruments, ranges
//! {"monitor":true}                                on the appliance's speakers as well, if it allows that
//! {"format":"f32","frame_ms":10,"rate":44100,"mode":"pull"}
//! ```
//!
//! Pitches and loudness out of range are clamped, as in the older server; other numbers out of range are refused, with the
//! field's name. As there, numbers may be text, `"f0s":null` is silence and an unknown `type` is ignored.
//!
//! The older clients take every frame for sound, also one of text. Texts are therefore for clients that have used something
//! that server did not know ([`is_new`]).

use serde_json::{Map, Value as Json, json};

use crate::ddsp::order::is_name;
use crate::ddsp::stream::{FARTHEST_S, Update};

/// The most that one list of pitches or loudnesses may hold.
const MOST_LISTED: usize = 64;
/// Updates in one message.
const MOST_UPDATES: usize = 1_024;

/// How samples are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// 16-bit little-endian integers, as the older server sends them.
    #[default]
    S16,
    /// 32-bit little-endian floats.
    F32,
}

/// What the stream is to be like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// How samples are sent.
    pub format: Format,
    /// Milliseconds of a frame.
    pub frame_ms: f64,
    /// Samples a second.
    pub rate: u32,
    /// Whether a frame is sent for each message only, as soon as it is made.
    pub pull: bool,
}

impl Shape {
    /// Samples of a frame.
    pub fn samples(&self) -> usize {
        ((self.frame_ms * 1e-3 * f64::from(self.rate)).round() as usize).max(1)
    }
}

/// One thing that a message asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// A change, so many seconds from now.
    Update(Update, f64),
    /// Another instrument.
    Instrument(String),
    /// Another shape of the stream.
    Reshape(Shape),
    /// To be heard on the speakers as well, or no more.
    Monitor(bool),
    /// What there is.
    Hello,
}

/// What a message asks for, and what is to be told about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// In order.
    pub orders: Vec<Order>,
    /// Notes that are no errors.
    pub notes: Vec<String>,
}

/// A message that can't be obeyed: the field, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which field; empty, if the whole is no JSON.
    pub field: String,
    /// What would be right.
    pub why: String,
}

impl Wrong {
    fn new(field: &str, why: impl Into<String>) -> Wrong {
        Wrong { field: field.into(), why: why.into() }
    }

    /// As the client is told.
    pub fn to_json(&self) -> Json {
        json!({ "error": format!("{}{}{}", self.field, if self.field.is_empty() { "" } else { ": " }, self.why), "field": self.field })
    }
}

/// A message's JSON.
///
/// # Errors
/// If it is none.
pub fn parse(text: &str) -> Result<Json, Wrong> {
    serde_json::from_str(text).map_err(|e| {
        Wrong::new("", format!("this is no JSON ({e}); {{\"f0s\":[440.0],\"loudness\":0.7}} would be right"))
    })
}

/// Whether a message has something the older server did not know, so that its sender is not one of its clients.
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

/// Reads a message. `voices` is how many can sound; `shape` is the stream's present one.
///
/// # Errors
/// The first thing that is wrong; then nothing of the message is obeyed.
pub fn read(json: &Json, voices: usize, shape: &Shape) -> Result<Heard, Wrong> {
    let mut heard = Heard::default();
    let mut shape = *shape;
    match json {
        Json::Array(list) if list.len() > MOST_UPDATES => {
            return Err(Wrong::new(
                "",
                format!("{} updates in one message: {MOST_UPDATES} at most would be right", list.len()),
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

fn one(item: &Json, voices: usize, shape: &mut Shape, heard: &mut Heard) -> Result<(), Wrong> {
    let Json::Object(fields) = item else {
        return Err(Wrong::new("", "an object such as {\"f0s\":[440.0],\"loudness\":0.7} would be right"));
    };
    let at = number(fields, "at", 0.0, FARTHEST_S * 1e3)?.unwrap_or(0.0) * 1e-3;
    let mut update = Update::default();
    let mut greets = present(fields, "hello").is_some_and(|h| h.as_bool() != Some(false));
    match type_of(fields) {
        None => {}
        Some("gain") => {
            let loudness = present(fields, "value").and_then(as_number);
            let loudness = loudness.ok_or_else(|| Wrong::new("value", "a number from 0 to 1 is expected"))?;
            update.loudness = Some(vec![loudness.clamp(0.0, 1.0)]);
        }
        Some("note_on") => {
            let velocity = number(fields, "velocity", 0.0, 127.0)?.unwrap_or(100.0);
            let note = note(fields)?;
            // As in MIDI.
            if velocity > 0.0 { update.note_on = Some((note, velocity / 127.0)) } else { update.note_off = Some(note) }
        }
        Some("note_off") => update.note_off = Some(note(fields)?),
        Some("hello") => greets = true,
        Some("reset") => update.reset = true,
        Some("control" | "update" | "f0s") => {}
        Some(other) => {
            let other: String = other.chars().take(32).collect();
            heard.notes.push(format!("type: '{other}' is ignored; gain, note_on, note_off, hello and reset are known"));
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
            Wrong::new("instrument", "the name of an instrument, as {\"type\":\"hello\"} lists them, would be right")
        })?;
        heard.orders.push(Order::Instrument(name.into()));
    }
    if let Some(heard_there) = present(fields, "monitor") {
        let heard_there = heard_there.as_bool().ok_or_else(|| Wrong::new("monitor", "true or false would be right"))?;
        heard.orders.push(Order::Monitor(heard_there));
    }
    let at_once = ["instrument", "monitor"].iter().any(|f| present(fields, f).is_some());
    if at > 0.0 && (reshaped || greets || at_once) {
        return Err(Wrong::new(
            "at",
            "only what is played can lie ahead: instrument, monitor, format, frame_ms, rate and mode at once would be right",
        ));
    }
    if reshaped {
        heard.orders.push(Order::Reshape(*shape));
    }
    if greets {
        heard.orders.push(Order::Hello);
    }
    if update != Update::default() {
        heard.orders.push(Order::Update(update, at));
    }
    Ok(())
}

/// Pitches; what is no number is passed over, as the older server did. One of 0 or less is silent and keeps its place,
/// for the loudness that goes with it.
fn pitches(fields: &Map<String, Json>, voices: usize, update: &mut Update, heard: &mut Heard) -> Result<(), Wrong> {
    let held = |hz: f64| if hz > 0.0 { hz.clamp(8.18, 12_544.0) } else { 0.0 };
    if let Some(list) = fields.get("f0s") {
        let list = match list {
            Json::Array(list) => list.as_slice(),
            Json::Null => &[],
            _ => return Err(Wrong::new("f0s", "a list of frequencies in Hz, as in [440.0, 550.0], would be right")),
        };
        let mut f0s: Vec<f64> = list.iter().filter_map(as_number).map(held).take(MOST_LISTED).collect();
        let sounding = f0s.iter().filter(|hz| **hz > 0.0).count();
        if sounding > voices {
            heard.notes.push(format!("f0s: {sounding} pitches, and {voices} voices: the first {voices} are played"));
            let mut left = voices;
            f0s.retain(|hz| {
                let keep = *hz <= 0.0 || left > 0;
                left -= usize::from(*hz > 0.0 && left > 0);
                keep
            });
        }
        update.f0s = Some(f0s);
    } else if let Some(hz) = present(fields, "f0") {
        let hz = as_number(hz).ok_or_else(|| Wrong::new("f0", "a frequency in Hz would be right"))?;
        update.f0s = Some(vec![held(hz)]);
    }
    Ok(())
}

fn loudness(fields: &Map<String, Json>, update: &mut Update) -> Result<(), Wrong> {
    let wrong = || Wrong::new("loudness", "a number from 0 to 1, or a list of such, would be right");
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
        Some(_) => return Err(Wrong::new("format", "s16 or f32 would be right")),
    }
    match present(fields, "mode").map(|m| m.as_str().unwrap_or_default()) {
        None => {}
        Some("push") => shape.pull = false,
        Some("pull") => shape.pull = true,
        Some(_) => return Err(Wrong::new("mode", "push or pull would be right")),
    }
    if let Some(ms) = number(fields, "frame_ms", 2.0, 500.0)? {
        shape.frame_ms = ms;
    }
    if let Some(rate) = number(fields, "rate", 8_000.0, 96_000.0)? {
        shape.rate = rate.round() as u32;
    }
    Ok(*shape != before)
}

/// A field that is there and not null.
fn present<'a>(fields: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    fields.get(name).filter(|value| !value.is_null())
}

fn type_of(fields: &Map<String, Json>) -> Option<&str> {
    present(fields, "type").map(|t| t.as_str().unwrap_or_default())
}

/// A finite number, also as text.
fn as_number(value: &Json) -> Option<f64> {
    match value {
        Json::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        value => value.as_f64(),
    }
}

fn note(fields: &Map<String, Json>) -> Result<f64, Wrong> {
    number(fields, "note", 0.0, 127.0)?.ok_or_else(|| Wrong::new("note", "a MIDI number from 0 to 127 would be right"))
}

fn number(fields: &Map<String, Json>, name: &str, least: f64, most: f64) -> Result<Option<f64>, Wrong> {
    match present(fields, name) {
        None => Ok(None),
        Some(value) => match as_number(value) {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Wrong::new(name, format!("a number from {least} to {most} would be right"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { format: Format::S16, frame_ms: 20.0, rate: 48_000, pull: false };

    fn read(text: &str, voices: usize, shape: &Shape) -> Result<Heard, Wrong> {
        super::read(&parse(text)?, voices, shape)
    }

    fn update(text: &str) -> (Update, f64) {
        match read(text, 3, &SHAPE).unwrap().orders.pop() {
            Some(Order::Update(update, at)) => (update, at),
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
        assert_eq!(read(r#"{"something":"else"}"#, 3, &SHAPE), Ok(Heard::default()));
    }

    #[test]
    fn more_can_be_said() {
        assert_eq!(update(r#"{"f0s":[440,550],"loudness":[0.2,0.9]}"#).0.loudness, Some(vec![0.2, 0.9]));
        let heard = read(r#"[{"f0s":[440]},{"at":500,"f0s":[]},{"instrument":"cello"}]"#, 3, &SHAPE).unwrap();
        assert!(matches!(heard.orders[1], Order::Update(_, at) if at == 0.5));
        assert_eq!(heard.orders[2], Order::Instrument("cello".into()));
        assert_eq!(update(r#"{"type":"note_on","note":60,"velocity":127}"#).0.note_on, Some((60.0, 1.0)));
        assert_eq!(update(r#"{"type":"note_on","note":60,"velocity":0}"#).0.note_off, Some(60.0));
        let heard = read(r#"{"f0s":[1,2,3,4,5].concat}"#, 3, &SHAPE).unwrap_err();
        assert!(heard.why.contains("no JSON"));
        let heard = read(r#"{"f0s":[100,200,300,400]}"#, 3, &SHAPE).unwrap();
        assert_eq!(heard.notes, ["f0s: 4 pitches, and 3 voices: the first 3 are played"]);
        let Some(Order::Reshape(shape)) =
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
            assert!(wrong.why.contains("would be right") || wrong.why.contains("is expected"), "{wrong:?}");
        }
    }
}
