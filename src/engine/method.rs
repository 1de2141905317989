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
    /// Pitch stays; the Rubber Band library (GPL), for those who build it in.
    #[cfg(feature = "rubberband")]
    RubberBand,
}

/// A name that is none of a method's.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("'{0}': playback_rate, wsola (audiotsm) or hq (rubberband, pyrubberband) would be right")]
pub struct UnknownMethod(String);

impl Method {
    /// All of them, cheapest first.
    pub const ALL: &[Method] = &[
        Method::PlaybackRate,
        Method::Wsola,
        Method::Hq,
        #[cfg(feature = "rubberband")]
        Method::RubberBand,
    ];

    /// What it may be called.
    pub const NAMES: &[&str] = &["playback_rate", "wsola", "hq", "audiotsm", "rubberband", "pyrubberband"];

    /// What the engine takes it for: whoever makes the better sound ahead of time, it lays that over the same plan.
    pub fn in_engine(self) -> Method {
        match self {
            #[cfg(feature = "rubberband")]
            Method::RubberBand => Method::Hq,
            method => method,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Method::PlaybackRate => "playback_rate",
            Method::Wsola => "wsola",
            Method::Hq => "hq",
            #[cfg(feature = "rubberband")]
            Method::RubberBand => "rubberband",
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
            #[cfg(feature = "rubberband")]
            "rubberband" | "pyrubberband" => Ok(Method::RubberBand),
            #[cfg(not(feature = "rubberband"))]
            "rubberband" | "pyrubberband" => Ok(Method::Hq),
            "hq" => Ok(Method::Hq),
            other => Err(UnknownMethod(other.into())),
        }
    }
}
