//! Why a call failed: data, which is rendered to text here and nowhere else.

use std::fmt;

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An argument has a value that is not accepted.
    Argument,
    /// An argument without a default was left out.
    Missing,
    /// There is no control at the address.
    Unknown,
    /// The call is valid but cannot be carried out now.
    Refused,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// The argument at fault.
    pub argument: Option<&'static str>,
    /// The value it was given.
    pub got: Option<String>,
    /// The value that is expected of it, or else a sentence that says what is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// The argument `name` is `got` instead of what is `expected`.
    pub fn argument(name: &'static str, got: impl fmt::Display, expected: impl Into<String>) -> Fault {
        Fault {
            kind: FaultKind::Argument,
            argument: Some(name),
            got: Some(got.to_string()),
            what: expected.into(),
            hint: None,
        }
    }

    /// The argument `name` was left out; `usage` is how the control is called.
    pub fn missing(name: &'static str, usage: String) -> Fault {
        Fault { kind: FaultKind::Missing, argument: Some(name), got: None, what: usage, hint: None }
    }

    /// There is no control at the address.
    pub fn unknown(hint: String) -> Fault {
        let what = "there is no such control".into();
        Fault { kind: FaultKind::Unknown, argument: None, got: None, what, hint: Some(hint) }
    }

    /// The call cannot be carried out, for the reason that a sentence gives.
    pub fn refused(why: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Refused, argument: None, got: None, what: why.into(), hint: None }
    }

    /// The same with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, got) = (self.argument.unwrap_or_default(), self.got.as_deref().unwrap_or_default());
        match self.kind {
            FaultKind::Argument => write!(f, "argument '{name}' is {got}: expected {}", self.what)?,
            FaultKind::Missing => write!(f, "argument '{name}' is missing: expected {}", self.what)?,
            FaultKind::Unknown | FaultKind::Refused => f.write_str(&self.what)?,
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_the_argument_the_value_and_what_is_expected() {
        let fault = Fault::argument("level", 9, "a number from 0 to 4 (linear)").hint("/groove/get shows it");
        let text = "argument 'level' is 9: expected a number from 0 to 4 (linear); /groove/get shows it";
        assert_eq!(fault.to_string(), text);
        assert_eq!(Fault::refused("nothing is being recorded").to_string(), "nothing is being recorded");
        assert_eq!(
            Fault::missing("id", "/groove/stem/stop id".into()).to_string(),
            "argument 'id' is missing: expected /groove/stem/stop id"
        );
    }
}
