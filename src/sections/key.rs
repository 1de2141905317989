//! Musical keys: their notations, and which of them go together in a mix.
//!
//! Camelot and Open Key number the circle of fifths. The Camelot wheel, of Mixed In Key, has C major at 8B and A minor
//! at 8A; Open Key, as in Traktor, has them at 1d and 1m. In both, one step up is a fifth up, and each number holds a
//! major key and its relative minor. The tag of a file is the frame TKEY of ID3v2.4 (`id3v2.4.0-frames`, 4.2.3):
//! at most three characters, a note A to G, then `b` or `#`, then `m` for minor. Names are spelt as Rekordbox does.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The names by pitch, as Rekordbox spells them.
const MAJOR: [&str; 12] = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
const MINOR: [&str; 12] = ["Cm", "Dbm", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "Abm", "Am", "Bbm", "Bm"];
/// The words for a mode, any case, and whether it is minor.
const MODES: [(&str, bool); 6] =
    [("maj", false), ("major", false), ("dur", false), ("min", true), ("minor", true), ("moll", true)];
/// The most characters of a refused text that a message repeats.
const MOST_SHOWN: usize = 40;

/// A musical key: tonic and mode. Enharmonic spellings, such as C# and Db, are one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Semitones of the tonic above C, 0 to 11.
    pitch: u8,
    minor: bool,
}

impl Key {
    /// Returns the Camelot notation, `1A` to `12B`.
    pub fn camelot(self) -> String {
        format!("{}{}", (self.fifths() + 7) % 12 + 1, if self.minor { 'A' } else { 'B' })
    }

    /// Returns the number on the Camelot wheel, 1 to 12, and whether the key is minor.
    pub fn wheel(self) -> (u8, bool) {
        ((self.fifths() + 7) % 12 + 1, self.minor)
    }

    /// Returns the Open Key notation, `1d` to `12m`.
    pub fn open(self) -> String {
        format!("{}{}", self.fifths() + 1, if self.minor { 'm' } else { 'd' })
    }

    /// Returns the name as Rekordbox spells it: with flats, except F# and F#m.
    pub fn name(self) -> &'static str {
        let names = if self.minor { &MINOR } else { &MAJOR };
        names[usize::from(self.pitch)]
    }

    /// Returns the text of the ID3v2.4 frame TKEY: the name, but C#m and G#m for Dbm and Abm.
    pub fn id3(self) -> &'static str {
        match self.name() {
            // Db minor has no key signature, and Ab minor needs seven flats: elsewhere both are written with sharps.
            "Dbm" => "C#m",
            "Abm" => "G#m",
            name => name,
        }
    }

    /// Returns the place on the circle of fifths: 0 is C major or A minor, 1 is G major or E minor, up to 11.
    fn fifths(self) -> u8 {
        let relative_major = if self.minor { self.pitch + 3 } else { self.pitch };
        // A fifth is 7 semitones, and 7 × 7 is 1 modulo 12: the same factor leads there and back.
        relative_major * 7 % 12
    }

    fn from_fifths(fifths: u8, minor: bool) -> Key {
        Key { pitch: (fifths * 7 + if minor { 9 } else { 0 }) % 12, minor }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The refusal of a text that is not a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFault {
    text: String,
    /// Whether it would be a key if H were a note.
    is_h: bool,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = match self.is_h {
            // B in German, but Bb where the two names are mixed up: a guess would be a semitone off.
            true => "B or Bb instead of H, whichever is meant",
            false => "a note such as Gm or F#, Camelot 1A to 12B, or Open Key 1m to 12d",
        };
        write!(f, "'{}' is not a key: expected {expected}", self.text)
    }
}

impl Error for KeyFault {}

impl FromStr for Key {
    type Err = KeyFault;

    /// Reads a note with an optional accidental and mode (`Gm`, `F sharp minor`, `B♭-dur`), Camelot (`6A`) or Open Key
    /// (`11m`). Case matters only for `M`, major, and `m`, minor, after a note. Blanks, `-` and `_` may stand between
    /// the parts.
    ///
    /// # Errors
    /// If the text is none of these; the message says what is expected.
    fn from_str(text: &str) -> Result<Key, KeyFault> {
        let trimmed = text.trim();
        let is_h = trimmed.starts_with(['H', 'h']);
        // A separator at the end separates nothing; `A-` is even A minor to some.
        let found = if trimmed.ends_with(is_separator) { None } else { numbered(trimmed).or_else(|| named(trimmed)) };
        match found {
            Some(key) if !is_h => Ok(key),
            refused => Err(KeyFault { text: shown(text), is_h: refused.is_some() }),
        }
    }
}

/// Reads Camelot and Open Key.
fn numbered(text: &str) -> Option<Key> {
    let (digits, letter) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u8 = digits.parse().ok().filter(|n| digits.len() <= 2 && (1..=12).contains(n))?;
    match next_part(letter) {
        "A" | "a" => Some(Key::from_fifths(number + 4, true)),
        "B" | "b" => Some(Key::from_fifths(number + 4, false)),
        "M" | "m" => Some(Key::from_fifths(number - 1, true)),
        "D" | "d" => Some(Key::from_fifths(number - 1, false)),
        _ => None,
    }
}

/// Reads a note with its mode; H passes as B.
fn named(text: &str) -> Option<Key> {
    let mut rest = text.chars();
    let natural: i8 = match rest.next()?.to_ascii_uppercase() {
        'C' => 0,
        'D' => 2,
        'E' => 4,
        'F' => 5,
        'G' => 7,
        'A' => 9,
        'B' | 'H' => 11,
        _ => return None,
    };
    let (shift, mode) = accidental(next_part(rest.as_str()));
    let minor = match mode {
        "" | "M" => false,
        "m" => true,
        word => MODES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name))?.1,
    };
    Some(Key { pitch: (natural + shift).rem_euclid(12) as u8, minor })
}

/// Splits the accidental off: semitones, 0 if there is none, and the part that follows.
fn accidental(text: &str) -> (i8, &str) {
    for (word, shift) in [("sharp", 1), ("flat", -1)] {
        if let Some((start, rest)) = text.split_at_checked(word.len())
            && start.eq_ignore_ascii_case(word)
        {
            return (shift, next_part(rest));
        }
    }
    for (signs, shift) in [(&['#', '♯'][..], 1), (&['b', 'B', '♭'][..], -1)] {
        if let Some(rest) = text.strip_prefix(signs).map(next_part) {
            return match rest.strip_prefix(signs) {
                Some(rest) => (2 * shift, next_part(rest)),
                None => (shift, rest),
            };
        }
    }
    (0, text)
}

fn next_part(text: &str) -> &str {
    text.trim_start_matches(is_separator)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || c == '-' || c == '_'
}

/// Returns as much of a refused text as a message can hold.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_SHOWN).collect()
}

/// Which keys count as matching a wanted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Harmony {
    /// The key itself.
    #[default]
    Same,
    /// Also the relative key: the same Camelot number with the other letter.
    Relative,
    /// The key itself and its neighbours: one Camelot number up or down with the same letter.
    Adjacent,
    /// The key itself, its relative and its neighbours.
    All,
    /// All of these, and those that lift the energy: 2 or 7 Camelot numbers up with the same letter, that is 2 or 1
    /// semitones up.
    Energy,
}

impl Harmony {
    /// Returns whether `other` matches `wanted`.
    pub fn allows(self, wanted: Key, other: Key) -> bool {
        let steps_up = (other.fifths() + 12 - wanted.fifths()) % 12;
        let same_mode = other.minor == wanted.minor;
        match self {
            Harmony::Same => other == wanted,
            Harmony::Relative => steps_up == 0,
            Harmony::Adjacent => same_mode && matches!(steps_up, 0 | 1 | 11),
            Harmony::All => steps_up == 0 || Harmony::Adjacent.allows(wanted, other),
            Harmony::Energy => Harmony::All.allows(wanted, other) || same_mode && matches!(steps_up, 2 | 7),
        }
    }
}

/// The refusal of a text that is not the name of a [`Harmony`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarmonyFault(String);

impl fmt::Display for HarmonyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a harmony: expected same, relative, adjacent, all or energy", self.0)
    }
}

impl Error for HarmonyFault {}

impl FromStr for Harmony {
    type Err = HarmonyFault;

    /// Reads a name in lower case.
    ///
    /// # Errors
    /// If it is none of the names; the message lists them.
    fn from_str(text: &str) -> Result<Harmony, HarmonyFault> {
        match text {
            "same" => Ok(Harmony::Same),
            "relative" => Ok(Harmony::Relative),
            "adjacent" => Ok(Harmony::Adjacent),
            "all" => Ok(Harmony::All),
            "energy" => Ok(Harmony::Energy),
            _ => Err(HarmonyFault(shown(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    /// Camelot, Open Key, the name and its other spellings.
    const TABLE: [(&str, &str, &str, &[&str]); 24] = [
        ("1B", "6d", "B", &["Cb"]),
        ("2B", "7d", "F#", &["Gb"]),
        ("3B", "8d", "Db", &["C#"]),
        ("4B", "9d", "Ab", &["G#"]),
        ("5B", "10d", "Eb", &["D#"]),
        ("6B", "11d", "Bb", &["A#"]),
        ("7B", "12d", "F", &["E#"]),
        ("8B", "1d", "C", &["B#"]),
        ("9B", "2d", "G", &["F##", "Abb"]),
        ("10B", "3d", "D", &["C##", "Ebb"]),
        ("11B", "4d", "A", &["G##", "Bbb"]),
        ("12B", "5d", "E", &["Fb"]),
        ("1A", "6m", "Abm", &["G#m"]),
        ("2A", "7m", "Ebm", &["D#m"]),
        ("3A", "8m", "Bbm", &["A#m"]),
        ("4A", "9m", "Fm", &["E#m"]),
        ("5A", "10m", "Cm", &["B#m"]),
        ("6A", "11m", "Gm", &["F##m", "Abbm"]),
        ("7A", "12m", "Dm", &["C##m", "Ebbm"]),
        ("8A", "1m", "Am", &["G##m", "Bbbm"]),
        ("9A", "2m", "Em", &["Fbm"]),
        ("10A", "3m", "Bm", &["Cbm"]),
        ("11A", "4m", "F#m", &["Gbm"]),
        ("12A", "5m", "Dbm", &["C#m"]),
    ];

    fn key(text: &str) -> Key {
        text.parse().unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// Returns a notation such as `6A` with two digits.
    fn padded(notation: &str) -> String {
        format!("{notation:0>3}")
    }

    fn every_key() -> impl Iterator<Item = Key> {
        TABLE.iter().map(|row| key(row.0))
    }

    #[test]
    fn every_notation_of_a_key_leads_to_every_other() {
        for (camelot, open, name, others) in TABLE {
            for text in [camelot, open, name, &padded(camelot), &padded(open)].iter().chain(others) {
                let found = key(text);
                assert_eq!((&*found.camelot(), &*found.open(), found.name()), (camelot, open, name), "{text}");
                assert_eq!(found.to_string(), name);
                assert_eq!(key(found.id3()), found);
            }
        }
        assert_eq!(every_key().collect::<HashSet<_>>().len(), 24);
        assert_eq!(format!("{:>4}|{:<4}|", key("6A"), key("2B")), "  Gm|F#  |");
    }

    #[test]
    fn names_are_those_of_rekordbox() {
        let seen = "Gm Fm Em Cm Dm Am F#m Bm Dbm Ebm Abm Bbm C Eb Ab F F# D G Db B A Bb";
        assert_eq!(seen.split(' ').count(), 23);
        for name in seen.split(' ') {
            assert_eq!(key(name).name(), name);
        }
    }

    #[test]
    fn the_tag_is_three_characters_of_the_standard_with_a_usual_key_signature() {
        let usual = "C Db D Eb E F F# G Ab A Bb B Cm C#m Dm Ebm Em Fm F#m Gm G#m Am Bbm Bm";
        assert_eq!(every_key().map(Key::id3).collect::<HashSet<_>>(), usual.split(' ').collect());
    }

    #[test]
    fn notes_are_read_in_every_notation() {
        for (name, texts) in [
            ("Gm", "Gm|gm|G m|G-m|g_m| Gm\t|Gmin|GMIN|G minor|g MINOR|G-Moll|gMoll|G\u{a0}m|G  -_ minor"),
            ("G", "G|g|GM|gM|G M|Gmaj|G MAJ|G Major|gmajor|G-Dur|GDUR"),
            ("C", "CM|cM|C|c|Cdur"),
            ("Cm", "Cm|cm|Cmoll"),
            ("D", "D|d|Ddur|d dur|DM"),
            ("Dm", "dm|D-moll"),
            ("Bb", "Bb|bb|BB|B b|B♭|B flat|bflat|B-FLAT|Bb major|BbM|B b M|B♭ dur|A#|a♯|A sharp"),
            ("Bbm", "Bbm|bbm|BBm|B b m|B♭m|B flat minor|bflatmoll|A#m|A♯ min|Asharpm|a-SHARP-minor"),
            ("B", "B|b|BM|Bmaj|Cb|c♭|C flat"),
            ("Bm", "Bm|bm|b minor|Cbm"),
            ("A", "Bbb|bbb|B b b|B♭♭|B♭b|BBB|bb-b major|G##"),
            ("Am", "Bbbm|bbbm|bbb moll|Am|am"),
            ("G", "F##|f♯♯|F# #|F♯#maj|Abb"),
            ("F", "E#|E sharp|Gbb"),
            ("E", "Fb|F flat|fflat"),
            ("Ab", "Ab|ab|AB|ABM|A-flat|G#"),
            ("Dbm", "C#m|c♯m|C sharp minor|Db min"),
            ("F#m", "F#m|f#m|F♯ minor|Fsharpmin|Gbm|G♭ moll"),
        ] {
            for text in texts.split('|') {
                assert_eq!(key(text).name(), name, "{text}");
            }
        }
    }

    #[test]
    fn numbers_are_camelot_with_a_or_b_and_open_key_with_m_or_d() {
        for (name, texts) in [
            ("Gm", "6A|6a|06A|6 A|6-a|06_A| 6A |11m|11M|11 m"),
            ("Abm", "1A|01a|01-A|6m|6M|06m"),
            ("B", "1B|1b|01b|1 b|6d|6D|06 d"),
            ("Am", "1m|1M|01m|8A"),
            ("C", "1d|1D|01-D|8b"),
            ("Dbm", "12a|12-A|5m"),
            ("F", "12d|12_D|7B"),
        ] {
            for text in texts.split('|') {
                assert_eq!(key(text).name(), name, "{text}");
            }
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_is_expected() {
        let refused = "|0A|00A|13A|0m|13d|99B|001A|012A|256A|99999999999999999999A|1|12|1C|1AB|1A m|1maj|1#|-1A|+1A|\
                       1.0A|1-2A|0 1A|A1|I|X|all|hello|Gx|G mixed|Gmm|GmM|G m m|Gmi|Gmajo|G ma jor|C#b|Cb#|C###|Bbbb|\
                       C sharp sharp|C#sharp|C shar|sharp|#|♭|m|M|minor|A-|A -|Am-|Am_|6A-|-Am|_Am|-|_|- -|Am,|A/m|\
                       Cm Gm|6A/Gm|Gm 6A|Äm|Ａ|١A|６A|Cis|Am\0|A\0m|é|日本語|C日|C♭日|1日|A\u{301}|😀|C😀|Cshar😀|Cfl日";
        for text in refused.split('|').chain([" ", "\t\n"]) {
            let repeated: String = text.chars().filter(|c| !c.is_control()).collect();
            let expected = "expected a note such as Gm or F#, Camelot 1A to 12B, or Open Key 1m to 12d";
            let told = format!("'{repeated}' is not a key: {expected}");
            assert_eq!(text.parse::<Key>().unwrap_err().to_string(), told);
        }
        for text in ["H", "h", "Hm", "H-moll", "Hb", "h dur", "H flat minor"] {
            let told = format!("'{text}' is not a key: expected B or Bb instead of H, whichever is meant");
            assert_eq!(text.parse::<Key>().unwrap_err().to_string(), told);
        }
        assert!("Hello".parse::<Key>().unwrap_err().to_string().contains("Camelot"));
    }

    #[test]
    fn a_message_repeats_40_characters_without_control_characters() {
        for long in ["é".repeat(100_000), "9".repeat(100_000), format!("\u{1b}\r\n{}", "é\u{7f}".repeat(50))] {
            let why = long.parse::<Key>().unwrap_err().to_string();
            let (echo, _) = why[1..].split_once("' is not a key").unwrap();
            assert_eq!(echo.chars().count(), 40);
            assert!(!why.contains(char::is_control), "{why:?}");
        }
        assert!(format!("A{}m", " ".repeat(100_000)).parse() == Ok(key("Am")));
        let why = "x".repeat(100).parse::<Harmony>().unwrap_err().to_string();
        assert!(why.starts_with(&format!("'{}' ", "x".repeat(40))), "{why}");
    }

    #[test]
    fn what_is_accepted_of_all_short_texts_is_as_listed_and_survives_every_notation() {
        // Every spelling without separators, composed of its parts instead of taken apart.
        let mut listed = HashMap::new();
        for (note, pitch) in [("A", 9), ("B", 11), ("G", 7), ("D", 2), ("a", 9), ("b", 11), ("g", 7), ("d", 2)] {
            let flats = ["b", "B", "♭"];
            let mut shifts = vec![(String::new(), 0), ("#".into(), 1), ("##".into(), 2)];
            shifts.extend(flats.map(|f| (f.to_string(), 11)));
            shifts.extend(flats.iter().flat_map(|f| flats.map(|g| (format!("{f}{g}"), 10))));
            for (accidental, shift) in shifts {
                for (mode, minor) in [("", false), ("M", false), ("m", true)] {
                    let pitch = (pitch + shift) % 12;
                    listed.insert(format!("{note}{accidental}{mode}"), Key { pitch, minor });
                }
            }
        }
        for (camelot, open, name, _) in TABLE {
            for text in [camelot, open, &padded(camelot), &padded(open)] {
                listed.insert(text.to_uppercase(), key(name));
                listed.insert(text.to_lowercase(), key(name));
            }
        }
        let alphabet: Vec<char> = "AaBbGgHmMd#♭ 019-_".chars().collect();
        let mut texts = vec![String::new()];
        let mut accepted = HashSet::new();
        for _ in 0..4 {
            texts = texts.iter().flat_map(|t| alphabet.iter().map(move |c| format!("{t}{c}"))).collect();
            for text in &texts {
                let Ok(found) = text.parse::<Key>() else { continue };
                let bare: String = text.chars().filter(|c| !is_separator(*c)).collect();
                assert_eq!(listed.get(&bare), Some(&found), "{text}");
                for notation in [found.name(), found.id3(), &found.camelot(), &found.open()] {
                    assert_eq!(notation.parse(), Ok(found), "{text}");
                }
                assert!(found.id3().len() <= 3);
                accepted.insert(text.clone());
            }
        }
        for text in listed.keys().filter(|t| t.chars().count() <= 4 && t.chars().all(|c| alphabet.contains(&c))) {
            assert!(accepted.contains(text), "{text}");
        }
    }

    #[test]
    fn harmony_follows_the_wheel() {
        for (harmony, wanted, matching) in [
            (Harmony::Same, "8A", "8A"),
            (Harmony::Relative, "8A", "8A 8B"),
            (Harmony::Adjacent, "8A", "7A 8A 9A"),
            (Harmony::All, "8A", "7A 8A 9A 8B"),
            (Harmony::Energy, "8A", "7A 8A 9A 8B 10A 3A"),
            (Harmony::Same, "12B", "12B"),
            (Harmony::Relative, "12B", "12B 12A"),
            (Harmony::Adjacent, "12B", "11B 12B 1B"),
            (Harmony::All, "12B", "11B 12B 1B 12A"),
            (Harmony::Energy, "12B", "11B 12B 1B 12A 2B 7B"),
            (Harmony::Adjacent, "1A", "12A 1A 2A"),
            (Harmony::Energy, "1A", "12A 1A 2A 1B 3A 8A"),
            (Harmony::Relative, "Gm", "Gm Bb"),
            (Harmony::Adjacent, "Gm", "Cm Gm Dm"),
            (Harmony::All, "Gm", "Cm Gm Dm Bb"),
            (Harmony::Energy, "Gm", "Cm Gm Dm Bb Am Abm"),
            (Harmony::Energy, "C", "F C G Am D Db"),
        ] {
            let allowed: HashSet<Key> = every_key().filter(|other| harmony.allows(key(wanted), *other)).collect();
            assert_eq!(allowed, matching.split(' ').map(key).collect(), "{harmony:?} {wanted}");
        }
    }

    #[test]
    fn harmonies_have_names_in_lower_case() {
        for (name, harmony) in [
            ("same", Harmony::Same),
            ("relative", Harmony::Relative),
            ("adjacent", Harmony::Adjacent),
            ("all", Harmony::All),
            ("energy", Harmony::Energy),
        ] {
            assert_eq!(name.parse(), Ok(harmony));
        }
        assert_eq!(Harmony::default(), Harmony::Same);
        for wrong in ["", "Same", " same", "both"] {
            let told = format!("'{wrong}' is not a harmony: expected same, relative, adjacent, all or energy");
            assert_eq!(wrong.parse::<Harmony>().unwrap_err().to_string(), told);
        }
    }
}
