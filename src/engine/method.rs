//! Methods of changing tempo.

use std::fmt;
use std::str::FromStr;

/// A method of changing tempo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// Like a record: pitch follows speed.
    #[default]
    PlaybackRate,
    /// Keeps pitch; splices aligned to onsets.
    Wsola,
    /// Keeps pitch; a phase vocoder for steady sound, the splicer for attacks.
    Hq,
    /// Keeps pitch; the Rubber Band library (GPL), in builds that include it.
    #[cfg(feature = "rubberband")]
    RubberBand,
}

/// An unknown method name.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("'{0}': expected playback_rate, wsola (audiotsm) or hq (rubberband, pyrubberband)")]
pub struct UnknownMethod(String);

impl Method {
    /// All methods, cheapest first.
    pub const ALL: &[Method] = &[
        Method::PlaybackRate,
        Method::Wsola,
        Method::Hq,
        #[cfg(feature = "rubberband")]
        Method::RubberBand,
    ];

    /// All accepted names.
    pub const NAMES: &[&str] = &["playback_rate", "wsola", "hq", "audiotsm", "rubberband", "pyrubberband"];

    /// Returns the method as the engine sees it: the worker's method does not matter to it, as any worker's sound is
    /// mixed over the same plan.
    pub fn in_engine(self) -> Method {
        match self {
            #[cfg(feature = "rubberband")]
            Method::RubberBand => Method::Hq,
            method => method,
        }
    }

    /// Returns the canonical name.
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
