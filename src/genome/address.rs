//! Names of sounds where the path of a file is expected: `genome:ID?duration=8&noteDelta=3&velocity=0.7`.

use super::fault::Fault;
use super::sound::{Pitch, Sound};

/// The prefix of such names.
pub const SCHEME: &str = "genome:";
/// The longest name in bytes.
const MOST_BYTES: usize = 512;
/// The keys after `?`.
const KEYS: &str = "duration, noteDelta and velocity";

/// A genome and how it is to sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// Id in the database.
    pub id: String,
    /// Defaults: 4 s, 0 semitones, velocity 0.5.
    pub sound: Sound,
}

/// Returns whether a path is meant to be the name of a genome's sound.
pub fn is_address(path: &str) -> bool {
    path.starts_with(SCHEME)
}

impl Address {
    /// Reads `genome:ID`, optionally followed by `?` and arguments `key=value`, separated by `&`. Characters of the id
    /// may be written as `%` and two hexadecimal digits.
    ///
    /// # Errors
    /// If it is not of that form, or an argument is unknown or out of range.
    pub fn parse(name: &str) -> Result<Address, Fault> {
        let malformed = |problem: String| {
            let name: String = name.chars().take(120).collect();
            Fault::Request(format!("'{name}': {problem}; expected genome:ID?duration=8&noteDelta=3&velocity=0.7"))
        };
        let rest = name.strip_prefix(SCHEME).filter(|_| name.len() <= MOST_BYTES);
        let rest = rest.ok_or_else(|| malformed(format!("not a name of up to {MOST_BYTES} bytes")))?;
        let (id, query) = rest.split_once('?').unwrap_or((rest, ""));
        let id = unescape(id).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| malformed("there is no valid id of a genome".into()))?;
        let mut sound = Sound::default();
        for argument in query.split('&').filter(|a| !a.is_empty()) {
            let (key, value) = argument.split_once('=').unwrap_or((argument, ""));
            let number = value.parse::<f64>().ok().filter(|v| v.is_finite());
            let number = number.ok_or_else(|| malformed(format!("'{argument}' is not key=number")))?;
            match key {
                "duration" => sound.duration = number,
                "noteDelta" => sound.note_delta = Pitch::Semitones(number),
                "velocity" => sound.velocity = number,
                _ => return Err(malformed(format!("'{key}' is none of {KEYS}"))),
            }
        }
        sound.check()?;
        Ok(Address { id, sound })
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(more.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_and_without_arguments() {
        let plain = Address::parse("genome:01JF2N9RZ07V06EJ4DJ9ZGCM2D").unwrap();
        assert_eq!((plain.id.as_str(), plain.sound), ("01JF2N9RZ07V06EJ4DJ9ZGCM2D", Sound::default()));
        let full = Address::parse("genome:a%20b?duration=8&noteDelta=-3.5&velocity=0.7").unwrap();
        let sound = Sound { duration: 8.0, note_delta: Pitch::Semitones(-3.5), velocity: 0.7 };
        assert_eq!(full, Address { id: "a b".into(), sound });
        assert!(is_address("genome:x") && !is_address("music/genome:x"));
    }

    #[test]
    fn a_wrong_name_is_refused_with_what_is_expected() {
        for (wrong, told) in [
            ("genome:", "no valid id"),
            ("genome:?duration=3", "no valid id"),
            ("genome:x%2", "no valid id"),
            ("genome:x?speed=3", "'speed' is none of duration, noteDelta and velocity"),
            ("genome:x?duration", "'duration' is not key=number"),
            ("genome:x?duration=NaN", "'duration=NaN' is not key=number"),
            ("genome:x?duration=1e9", "at most 600"),
            ("genome:x?velocity=2", "0 to 1"),
            ("genome:x?noteDelta=500", "-120 to 120"),
            (&format!("genome:{}", "x".repeat(600)), "up to 512 bytes"),
        ] {
            let why = Address::parse(wrong).unwrap_err().to_string();
            assert!(why.contains(told), "{wrong}: {why}");
        }
    }
}
