//! What the voices of the speakers are told. Plain data: it is there in builds without instruments, too.

/// Parts, as MIDI has channels: each has its own instrument, bend, pedals.
pub const PARTS: usize = 16;
/// Most voices on the speakers.
pub const MOST_VOICES: usize = 32;

/// What can be set of a voice; all are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Pitch in Hz at which it sounds while its loudness is above zero.
    F0,
    /// Loudness, 0 to 1, at which it sounds without a note.
    Loudness,
    /// Semitones by which everything is shifted, before the model.
    PitchShift,
    /// Linear gain of the partials.
    HarmonicGain,
    /// Linear gain of the noise.
    NoiseGain,
    /// Semitones by which the model alone is told another pitch.
    TimbrePitch,
    /// Decibels by which the model alone is told another loudness.
    TimbreLoudness,
    /// Seconds.
    Attack,
    /// Seconds.
    Decay,
    /// Share of the note's loudness, 0 to 1.
    Sustain,
    /// Seconds.
    Release,
    /// Swings a second.
    VibratoRate,
    /// Semitones to each side.
    VibratoDepth,
    /// Seconds from one pitch to the next.
    Glide,
    /// −1 is left, 1 is right.
    Pan,
    /// Linear level.
    Level,
}

impl Setting {
    /// All of them, with the last part of their addresses and their values at first.
    pub const ALL: [(Setting, &'static str, f64); 16] = [
        (Setting::F0, "f0", 440.0),
        (Setting::Loudness, "loudness", 0.0),
        (Setting::PitchShift, "pitch_shift", 0.0),
        (Setting::HarmonicGain, "harmonic_gain", 1.0),
        (Setting::NoiseGain, "noise_gain", 1.0),
        (Setting::TimbrePitch, "timbre_pitch", 0.0),
        (Setting::TimbreLoudness, "timbre_loudness", 0.0),
        (Setting::Attack, "attack", 0.03),
        (Setting::Decay, "decay", 0.2),
        (Setting::Sustain, "sustain", 0.9),
        (Setting::Release, "release", 0.12),
        (Setting::VibratoRate, "vibrato_rate", 5.5),
        (Setting::VibratoDepth, "vibrato_depth", 0.0),
        (Setting::Glide, "glide", 0.0),
        (Setting::Pan, "pan", 0.0),
        (Setting::Level, "level", 1.0),
    ];

    /// By the last part of an address.
    pub fn named(name: &str) -> Option<Setting> {
        Setting::ALL.iter().find(|(_, n, _)| *n == name).map(|(setting, ..)| *setting)
    }
}

/// What can be set of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pedal {
    /// Semitones of bend.
    Bend,
    /// Vibrato on top of the voices' own, 0 to 1 (half a semitone).
    Modulation,
    /// Factor of the loudness, 0 to 1.
    Expression,
    /// Linear level.
    Volume,
    /// Whether released notes go on.
    Sustain,
}

impl Pedal {
    /// All of them, with the last part of their addresses and their values at first.
    pub const ALL: [(Pedal, &'static str, f64); 5] = [
        (Pedal::Bend, "bend", 0.0),
        (Pedal::Modulation, "modulation", 0.0),
        (Pedal::Expression, "expression", 1.0),
        (Pedal::Volume, "volume", 1.0),
        (Pedal::Sustain, "sustain", 0.0),
    ];

    /// By the last part of an address.
    pub fn named(name: &str) -> Option<Pedal> {
        Pedal::ALL.iter().find(|(_, n, _)| *n == name).map(|(pedal, ..)| *pedal)
    }
}

/// What can be set of all voices together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hall {
    /// Linear level of all voices.
    Level,
    /// Level of the reverb, 0 to 1.
    Wet,
    /// Size of its room, 0 to 1.
    Size,
    /// How fast its treble fades, 0 to 1.
    Damping,
}

impl Hall {
    /// All of them, with their addresses and their values at first.
    pub const ALL: [(Hall, &'static str, f64); 4] = [
        (Hall::Level, "/groove/voices/level", 1.0),
        (Hall::Wet, "/groove/reverb/wet", 0.0),
        (Hall::Size, "/groove/reverb/size", 0.4),
        (Hall::Damping, "/groove/reverb/damping", 0.3),
    ];

    /// By its address.
    pub fn named(address: &str) -> Option<Hall> {
        Hall::ALL.iter().find(|(_, a, _)| *a == address).map(|(hall, ..)| *hall)
    }
}

/// An order. Voices and parts are counted from 0; `None` is all of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Sets something of a voice.
    Set(Option<usize>, Setting, f64),
    /// Lets a voice fall silent, and forgets its model's state.
    Reset(Option<usize>),
    /// Gives a voice another instrument, to sound at its own pitch with.
    Voice(Option<usize>, String),
    /// A note begins: part, key (a MIDI number, which may have a fraction), loudness 0 to 1.
    NoteOn(usize, f64, f64),
    /// A note ends.
    NoteOff(usize, f64),
    /// All notes end.
    AllOff(Option<usize>),
    /// Sets something of a part.
    Part(Option<usize>, Pedal, f64),
    /// Gives a part another instrument; what sounds of it goes on with that.
    Swap(Option<usize>, String),
    /// Forgets an instrument.
    Unload(String),
    /// Sets something of all.
    Hall(Hall, f64),
}

/// What is told of an instrument that has been made ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The name it was asked for by.
    pub name: String,
    /// Lowest and highest pitch of its training, as MIDI numbers.
    pub pitch_range: (f64, f64),
    /// Softest and loudest of its training, in dBFS.
    pub loudness_range: (f64, f64),
    /// Loudness 0 to 1 as dBFS: points, straight between them.
    pub decibels: Vec<(f64, f64)>,
    /// Licence of its weights.
    pub licence: String,
}

impl Card {
    /// The loudness, 0 to 1, that is heard at so many dBFS; beyond the trained range it is that range's end.
    pub fn loudness(&self, db: f64) -> f64 {
        let points = &self.decibels;
        let above = points.partition_point(|p| p.1 < db);
        match (above.checked_sub(1).map(|k| points[k]), points.get(above)) {
            (Some((x0, y0)), Some((x1, y1))) => x0 + (x1 - x0) * (db - y0) / (y1 - y0).max(1e-9),
            (None, Some(first)) => first.0,
            (last, None) => last.map_or(0.0, |p| p.0),
        }
    }
}

/// Whether a name leads to an instrument of the library and nowhere else.
pub fn is_name(name: &str) -> bool {
    let is_file = [".onnx", ".tflite"].iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    !name.is_empty() && name.len() <= 60 && !name.starts_with('.') && !name.contains(['/', '\\']) && !is_file
}

/// An instrument that answers to a program of General MIDI (0 to 127), of those that are there.
pub fn instrument_for(program: u8, there: &[String]) -> Option<&str> {
    let wanted: &[&str] = match program {
        40 => &["violin", "cello"],
        41..=55 | 110 => &["cello", "violin"],
        56..=63 => &["trombone"],
        64..=67 => &["saxophone"],
        68..=70 => &["oboe", "clarinet"],
        71 => &["clarinet"],
        _ => &["flute"],
    };
    wanted.iter().find_map(|name| there.iter().find(|t| t == name)).or(there.first()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_find_an_instrument_that_is_there() {
        let there: Vec<String> = ["cello", "clarinet", "flute", "saxophone"].map(String::from).into();
        for (program, name) in
            [(73, "flute"), (42, "cello"), (40, "cello"), (65, "saxophone"), (68, "clarinet"), (0, "flute")]
        {
            assert_eq!(instrument_for(program, &there), Some(name));
        }
        assert_eq!(instrument_for(57, &there), Some("cello"));
        assert_eq!(instrument_for(0, &[]), None);
    }

    #[test]
    fn decibels_find_their_loudness() {
        let card = Card {
            name: "x".into(),
            pitch_range: (50.0, 90.0),
            loudness_range: (-50.0, -10.0),
            decibels: vec![(0.0, -80.0), (0.1, -50.0), (1.0, -10.0)],
            licence: String::new(),
        };
        assert_eq!(
            [-90.0, -80.0, -50.0, -30.0, -10.0, 0.0].map(|db| card.loudness(db)),
            [0.0, 0.0, 0.1, 0.55, 1.0, 1.0]
        );
    }
}
