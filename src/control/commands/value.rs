//! Values of arguments, and their coercion.

/// A value of an argument or of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer, sent with 32 bits over OSC if it fits.
    Int(i64),
    /// An integer that is always sent with 64 bits (clocks, counters of frames).
    Long(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Value {
    /// Returns the value as a finite number; numeric text is accepted, as in the older servers.
    pub fn as_float(&self) -> Option<f64> {
        let value = match self {
            Value::Int(i) | Value::Long(i) => *i as f64,
            Value::Float(f) => *f,
            Value::Text(text) => text.trim().parse().ok()?,
        };
        value.is_finite().then_some(value)
    }

    /// Returns the value as an integer; fractions are truncated.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) | Value::Long(i) => Some(*i),
            Value::Text(text) => text.trim().parse().ok().or_else(|| self.as_float().map(|f| f.trunc() as i64)),
            Value::Float(_) => self.as_float().map(|f| f.trunc() as i64),
        }
    }

    /// Returns the value as text.
    pub fn as_text(&self) -> String {
        match self {
            Value::Int(i) | Value::Long(i) => i.to_string(),
            Value::Float(f) => f.to_string(),
            Value::Text(text) => text.clone(),
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{text:?}"),
            other => f.write_str(&other.as_text()),
        }
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Value::Float(f64::from(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_every_dress() {
        for value in [Value::Int(3), Value::Float(3.0), Value::from("3"), Value::from(" 3.0 ")] {
            assert_eq!((value.as_int(), value.as_float()), (Some(3), Some(3.0)), "{value:?}");
        }
        for value in [Value::Float(f64::NAN), Value::Float(f64::INFINITY), Value::from("nan"), Value::from("three")] {
            assert_eq!((value.as_int(), value.as_float()), (None, None), "{value:?}");
        }
        assert_eq!(Value::Float(-2.9).as_int(), Some(-2));
    }
}
