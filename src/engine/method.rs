//! The ways to change tempo.

use std::fmt;
use std::str::FromStr;

/// A way to change tempo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// Like a record: pitch goes with speed.
    #[default]
    PlaybackRate,
    /// Pitch stays; splices that are locked to onsets.
    Wsola,
    /// Pitch stays; a phase vocoder for what is steady, the splicer for attacks.
    Hq,
}

/// A name that is none of a method's.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("'{0}': playback_rate, wsola (audiotsm) or hq (rubberband, pyrubberband) would be right")]
pub struct UnknownMethod(String);

impl Method {
    /// All of them, cheapest first.
    pub const ALL: [Method; 3] = [Method::PlaybackRate, Method::Wsola, Method::Hq];

    /// What it may be called.
    pub const NAMES: &[&str] = &["playback_rate", "wsola", "hq", "audiotsm", "rubberband", "pyrubberband"];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Method::PlaybackRate => "playback_rate",
            Method::Wsola => "wsola",
            Method::Hq => "hq",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Method, UnknownMethod> {
        match name {
            "playback_rate" => Ok(Method::PlaybackRate),
            "wsola" | "audiotsm" => Ok(Method::Wsola),
            "hq" | "rubberband" | "pyrubberband" => Ok(Method::Hq),
            other => Err(UnknownMethod(other.into())),
        }
    }
}
