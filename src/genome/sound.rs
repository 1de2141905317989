//! What of a genome is rendered.

use super::fault::Fault;

/// The longest sound in seconds.
pub const MAX_DURATION: f64 = 600.0;
/// Frames per second of every render.
pub const SAMPLE_RATE: u32 = 48_000;

/// What of a genome is rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sound {
    /// Seconds, up to [`MAX_DURATION`].
    pub duration: f64,
    /// Semitones; two numbers are two factors of frequency instead.
    pub note_delta: Pitch,
    /// 0 to 1.
    pub velocity: f64,
}

/// A change of pitch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pitch {
    Semitones(f64),
    Ratio(f64, f64),
}

impl Pitch {
    /// The factor of frequency.
    pub fn factor(self) -> f64 {
        match self {
            Pitch::Semitones(count) => libm::pow(2.0, 100.0 * count / 1200.0),
            Pitch::Ratio(first, second) => first * second,
        }
    }
}

impl Default for Sound {
    /// Returns the values of requests that do not name them.
    fn default() -> Self {
        Sound { duration: 4.0, note_delta: Pitch::Semitones(0.0), velocity: 0.5 }
    }
}

impl Sound {
    /// Checks the ranges.
    pub fn check(&self) -> Result<(), Fault> {
        let argument = |argument, received: String, expected: &str| Fault::Argument {
            argument,
            received,
            expected: expected.to_string(),
        };
        if !(self.duration > 0.0 && self.duration <= MAX_DURATION) || self.frames() < 2 {
            let expected = format!("more than 0 and at most {MAX_DURATION} seconds");
            return Err(argument("duration", self.duration.to_string(), &expected));
        }
        let in_range = match self.note_delta {
            Pitch::Semitones(count) => count.abs() <= 120.0,
            Pitch::Ratio(..) => (1e-3..=1e3).contains(&self.note_delta.factor()),
        };
        if !in_range {
            let received = match self.note_delta {
                Pitch::Semitones(count) => count.to_string(),
                Pitch::Ratio(first, second) => format!("{{\"r1\":{first},\"r2\":{second}}}"),
            };
            return Err(argument("noteDelta", received, "-120 to 120 semitones"));
        }
        if !(0.0..=1.0).contains(&self.velocity) {
            return Err(argument("velocity", self.velocity.to_string(), "0 to 1"));
        }
        Ok(())
    }

    /// Frames of the sound.
    pub fn frames(&self) -> usize {
        (f64::from(SAMPLE_RATE) * self.duration).round() as usize
    }
}

/// When network outputs are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    Lazy,
    Eager,
}
