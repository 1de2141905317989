//! Messages of the render socket, with the older service's fields in its order.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::genome::{Fault, Genome, Pitch, SAMPLE_RATE, Sound};

/// What a client asks for.
#[derive(Debug)]
pub enum Request {
    Render(Box<Order>),
    /// Seconds that the client has played.
    Position(f64, Option<Value>),
}

/// One render.
#[derive(Debug)]
pub struct Order {
    pub genome: Wanted,
    pub sound: Sound,
    /// Returned in every reply.
    pub request_id: Option<Value>,
    pub batch: bool,
    /// Samples as little-endian 32-bit floats in binary frames instead of JSON.
    pub binary: bool,
    /// Seconds by which the render may be ahead of the client.
    pub ahead: Option<f64>,
}

/// Which genome: one of the database, or one that the request contains.
#[derive(Debug)]
pub enum Wanted {
    Stored(String),
    Inline(Arc<Genome>),
}

impl Wanted {
    /// Its name in the log.
    pub fn name(&self) -> &str {
        match self {
            Wanted::Stored(id) => id,
            Wanted::Inline(_) => "a genome of the request",
        }
    }
}

fn argument(argument: &'static str, received: &Value, expected: &str) -> Fault {
    Fault::Argument { argument, received: short(received), expected: expected.into() }
}

/// A received value for a message, at most 80 characters.
fn short(value: &Value) -> String {
    let text = if value.is_null() { "missing".into() } else { value.to_string() };
    if text.chars().count() > 80 { text.chars().take(77).chain("...".chars()).collect() } else { text }
}

impl Request {
    /// Reads a message; `longest` is the longest sound in seconds.
    pub fn read(text: &str, longest: f64) -> Result<Self, (Fault, Option<Value>)> {
        let json: Value = serde_json::from_str(text).map_err(|e| (Fault::Malformed(format!("not JSON: {e}")), None))?;
        let request_id = json.get("requestId").filter(|id| id.to_string().len() <= 256).cloned();
        let failed = |fault| (fault, request_id.clone());
        match json.get("type").and_then(Value::as_str) {
            Some("render") => match order(&json, longest, request_id.clone()) {
                Ok(order) => Ok(Request::Render(Box::new(order))),
                Err(fault) => Err(failed(fault)),
            },
            Some("playback-position") => match json.get("position").and_then(Value::as_f64) {
                Some(position) => Ok(Request::Position(position, request_id)),
                None => Err(failed(argument("position", &json["position"], "seconds"))),
            },
            _ => {
                let kind = json
                    .get("type")
                    .map_or("undefined".into(), |t| t.as_str().map_or(short(t), |t| t.chars().take(80).collect()));
                Err(failed(Fault::Request(format!("Unknown message type: {kind}"))))
            }
        }
    }
}

fn order(json: &Value, longest: f64, request_id: Option<Value>) -> Result<Order, Fault> {
    let number = |key: &'static str, default: Option<f64>, expected: &str| match &json[key] {
        Value::Null => default.ok_or_else(|| argument(key, &Value::Null, expected)),
        value => value.as_f64().ok_or_else(|| argument(key, value, expected)),
    };
    let expected = format!("more than 0 and at most {longest} seconds");
    let duration = number("duration", None, &expected)?;
    if !(duration > 0.0 && duration <= longest) {
        return Err(argument("duration", &json["duration"], &expected));
    }
    let note_delta = match &json["noteDelta"] {
        Value::Object(ratios) => {
            let ratio = |key: &str| ratios.get(key).and_then(Value::as_f64);
            let both = ratio("r1").zip(ratio("r2"));
            let (first, second) =
                both.ok_or_else(|| argument("noteDelta", &json["noteDelta"], "semitones, or {\"r1\":1.5,\"r2\":1}"))?;
            Pitch::Ratio(first, second)
        }
        _ => Pitch::Semitones(number("noteDelta", Some(0.0), "-120 to 120 semitones")?),
    };
    let sound = Sound { duration, note_delta, velocity: number("velocity", Some(0.5), "0 to 1")? };
    sound.check()?;
    let ahead = match &json["ahead"] {
        Value::Null => None,
        value => Some(
            value
                .as_f64()
                .filter(|s| (0.05..=600.0).contains(s))
                .ok_or_else(|| argument("ahead", value, "0.05 to 600 seconds"))?,
        ),
    };
    let binary = match json["format"].as_str() {
        None if json["format"].is_null() => false,
        Some("json") => false,
        Some("f32") => true,
        _ => return Err(argument("format", &json["format"], "\"json\" or \"f32\"")),
    };
    let genome = match (&json["genome"], &json["genomeId"]) {
        (Value::Null, Value::String(id)) => Wanted::Stored(id.clone()),
        (Value::Null, other) => return Err(argument("genomeId", other, "the id of a genome")),
        (genome, _) => Wanted::Inline(Arc::new(Genome::from_json(genome)?)),
    };
    let batch = json["batch"].as_bool().unwrap_or(false);
    Ok(Order { genome, sound, request_id, batch, binary, ahead })
}

/// A reply. Serialised in the order of the fields.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Reply<'d> {
    Welcome {
        message: &'static str,
        sample_rate: u32,
    },
    Chunk {
        index: usize,
        /// Left out if the samples follow in a binary frame.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'d [f32]>,
        timestamp: f64,
        sample_rate: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'d Value>,
    },
    BatchResult {
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'d Value>,
        total_samples: usize,
        duration: f64,
        sample_rate: u32,
    },
    Complete {
        total_chunks: usize,
        total_samples: usize,
        duration: f64,
        sample_rate: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'d Value>,
    },
    Error {
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'d Value>,
    },
}

impl Reply<'_> {
    /// What every client receives first.
    pub fn welcome() -> Self {
        Reply::Welcome { message: "Connected to Kromosynth Render Socket", sample_rate: SAMPLE_RATE }
    }

    /// The message as JSON.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_the_fields_of_the_older_service_in_its_order() {
        let data = [0.1f32, -1.0, 1.5e-9];
        let chunk = Reply::Chunk { index: 1, data: Some(&data), timestamp: 0.5, sample_rate: 48_000, request_id: None };
        assert_eq!(
            chunk.text(),
            "{\"type\":\"chunk\",\"index\":1,\"data\":[0.1,-1.0,1.5e-9],\"timestamp\":0.5,\"sampleRate\":48000}"
        );
        assert_eq!(
            Reply::welcome().text(),
            "{\"type\":\"welcome\",\"message\":\"Connected to Kromosynth Render Socket\",\"sampleRate\":48000}"
        );
        let id = Value::from(7);
        let error = Reply::Error { message: "x".into(), request_id: Some(&id) };
        assert_eq!(error.text(), "{\"type\":\"error\",\"message\":\"x\",\"requestId\":7}");
        let batch = Reply::BatchResult { request_id: None, total_samples: 3, duration: 1.0, sample_rate: 48_000 };
        assert!(batch.text().starts_with("{\"type\":\"batch-result\",\"totalSamples\":3"));
    }

    #[test]
    fn a_request_that_is_wrong_names_the_argument() {
        let fault = |text: &str| match Request::read(text, 120.0) {
            Err((fault, _)) => fault.to_string(),
            Ok(request) => panic!("{request:?}"),
        };
        assert_eq!(fault("{\"type\":\"sing\"}"), "Unknown message type: sing");
        assert_eq!(fault("{}"), "Unknown message type: undefined");
        assert!(fault("{").starts_with("genome: not JSON"));
        let expected = "argument 'duration' is missing: expected more than 0 and at most 120 seconds";
        assert_eq!(fault("{\"type\":\"render\",\"genomeId\":\"a\"}"), expected);
        for (more, argument) in [
            ("\"duration\":121", "duration"),
            ("\"duration\":-1", "duration"),
            ("\"duration\":1,\"velocity\":2", "velocity"),
            ("\"duration\":1,\"noteDelta\":\"high\"", "noteDelta"),
            ("\"duration\":1,\"format\":\"mp3\"", "format"),
            ("\"duration\":1,\"ahead\":0", "ahead"),
        ] {
            let text = fault(&format!("{{\"type\":\"render\",\"genomeId\":\"a\",{more}}}"));
            assert!(text.starts_with(&format!("argument '{argument}' is ")), "{text}");
        }
        assert!(fault("{\"type\":\"render\",\"duration\":1}").contains("genomeId"));
        let missing = fault("{\"type\":\"render\",\"duration\":1,\"genome\":{\"a\":1}}");
        assert!(missing.ends_with("Genome data missing asNEATPatch. Top-level keys: [a]"), "{missing}");
    }
}
