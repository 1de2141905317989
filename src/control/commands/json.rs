//! JSON representation of values, controls and streams.

use serde_json::{Map, Number, Value as Json, json};

use crate::control::commands::stream_path::Stream;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Arg, Control, Default, Kind};

/// Returns a value as JSON; numbers that are not finite become null.
pub fn of(value: &Value) -> Json {
    match value {
        Value::Int(i) | Value::Long(i) => Json::from(*i),
        Value::Float(f) => number(*f),
        Value::Text(text) => Json::from(text.as_str()),
    }
}

/// Returns a number as JSON. Values of 32-bit floats use their shortest form: 0.8, not 0.800000011920929.
fn number(value: f64) -> Json {
    let narrow = value as f32;
    if f64::from(narrow) == value
        && let Some(short) = narrow.to_string().parse().ok().and_then(Number::from_f64)
    {
        return Json::Number(short);
    }
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

/// Returns values as a JSON array.
pub fn list(values: &[Value]) -> Json {
    values.iter().map(of).collect()
}

/// Converts JSON to a value: numbers, strings, and booleans (1 or 0). `None` for other types.
pub fn to_value(json: &Json) -> Option<Value> {
    match json {
        Json::Bool(b) => Some(Value::Int(i64::from(*b))),
        Json::Number(n) => n.as_i64().map(Value::Int).or_else(|| n.as_f64().map(Value::Float)),
        Json::String(text) => Some(Value::from(text.as_str())),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn argument(arg: &Arg) -> Json {
    let mut out = Map::new();
    out.insert("name".into(), arg.name.into());
    let (kind, range) = match arg.kind {
        Kind::Int(min, max) => ("integer", Some(json!([min, max]))),
        Kind::Float(min, max) | Kind::Clamped(min, max) => ("number", Some(json!([min, max]))),
        Kind::Text => ("text", None),
        Kind::Flag => ("flag", None),
        Kind::Deck => ("choice", Some(json!(["a", "b", "c", "d"]))),
        Kind::Band => ("choice", Some(json!(["low", "mid", "high"]))),
        Kind::Each(max) => ("integer", Some(json!([1, max]))),
        Kind::Choice(words) => ("choice", Some(json!(words))),
        Kind::Rest => ("rest", None),
    };
    out.insert("type".into(), kind.into());
    if let Some(range) = range {
        out.insert(if kind == "choice" { "choices" } else { "range" }.into(), range);
    }
    if !arg.unit.is_empty() {
        out.insert("unit".into(), arg.unit.into());
    }
    let default = match arg.default {
        Default::None => None,
        Default::Int(i) => Some(Json::from(i)),
        Default::Float(f) => Some(number(f)),
        Default::Text(text) => Some(Json::from(text)),
        Default::Keep => Some(Json::Null),
    };
    if let Some(default) = default {
        out.insert("default".into(), default);
    }
    Json::Object(out)
}

/// Returns the declaration of a control.
pub fn control(control: &Control) -> Json {
    let args: Vec<Json> = control.all_args().iter().map(argument).collect();
    let mut out = json!({
        "path": control.address,
        "args": args,
        "has_value": control.readable,
        "doc": control.doc,
    });
    if !control.same_as.is_empty() {
        out["same_as"] = control.same_as.into();
    }
    out
}

/// Returns the declaration of a stream.
pub fn stream(stream: &Stream) -> Json {
    json!({ "path": stream.path, "fields": stream.fields, "doc": stream.doc })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_short_as_they_are() {
        assert_eq!(of(&Value::from(0.8f32)).to_string(), "0.8");
        assert_eq!(of(&Value::from(0.1f64)).to_string(), "0.1");
        assert_eq!(of(&Value::from(123_456.789_012f64)).to_string(), "123456.789012");
        assert_eq!(of(&Value::from(f64::NAN)), Json::Null);
        assert_eq!(to_value(&json!(3)), Some(Value::Int(3)));
        assert_eq!(to_value(&json!(3.5)), Some(Value::Float(3.5)));
        assert_eq!(to_value(&json!(true)), Some(Value::Int(1)));
        assert_eq!(to_value(&json!([1])), None);
    }
}
