//! Commands for the voices on the speakers. Plain data, compiled in builds without instruments as well.

use crate::genome::{Address, is_address};

/// Number of parts; like MIDI channels, each has its own instrument, bend and pedals.
pub const PARTS: usize = 16;
/// Maximum number of voices on the speakers.
pub const MOST_VOICES: usize = 32;

/// A numeric parameter of a voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Pitch in Hz for direct playing, while the loudness is above zero.
    F0,
    /// Loudness for direct playing, 0 to 1; 0 is silence.
    Loudness,
    /// Transposition in semitones, before the model.
    PitchShift,
    /// Linear gain of the partials.
    HarmonicGain,
    /// Linear gain of the noise.
    NoiseGain,
    /// Offset in semitones of the pitch given to the model only.
    TimbrePitch,
    /// Offset in decibels of the loudness given to the model only.
    TimbreLoudness,
    /// Attack time in seconds.
    Attack,
    /// Decay time in seconds.
    Decay,
    /// Sustain level, as a share of the note's loudness, 0 to 1.
    Sustain,
    /// Release time in seconds.
    Release,
    /// Vibrato rate in Hz.
    VibratoRate,
    /// Vibrato depth to each side, in semitones.
    VibratoDepth,
    /// Glide time from one pitch to the next, in seconds.
    Glide,
    /// Pan position, −1 (left) to 1 (right).
    Pan,
    /// Linear level.
    Level,
}

impl Setting {
    /// All settings, in order of their numbers, each with the last part of its address and its default.
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

    /// Finds a setting by the last part of its address.
    pub fn named(name: &str) -> Option<Setting> {
        Setting::ALL.iter().find(|(_, n, _)| *n == name).map(|(setting, ..)| *setting)
    }
}

/// A numeric parameter of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartParam {
    /// Pitch bend in semitones.
    Bend,
    /// Vibrato added to that of the voices, 0 to 1 (half a semitone).
    Modulation,
    /// Factor of the loudness, 0 to 1.
    Expression,
    /// Linear level.
    Volume,
    /// Sustain pedal: above 0, released notes sound on.
    Sustain,
}

impl PartParam {
    /// All pedals, in order of their numbers, each with the last part of its address and its default.
    pub const ALL: [(PartParam, &'static str, f64); 5] = [
        (PartParam::Bend, "bend", 0.0),
        (PartParam::Modulation, "modulation", 0.0),
        (PartParam::Expression, "expression", 1.0),
        (PartParam::Volume, "volume", 1.0),
        (PartParam::Sustain, "sustain", 0.0),
    ];

    /// Finds a pedal by the last part of its address.
    pub fn named(name: &str) -> Option<PartParam> {
        PartParam::ALL.iter().find(|(_, n, _)| *n == name).map(|(pedal, ..)| *pedal)
    }
}

/// A parameter of all voices together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusParam {
    /// Linear level of all voices.
    Level,
    /// Level of the reverb, 0 to 1.
    Wet,
    /// Room size of the reverb, 0 to 1.
    Size,
    /// Damping of the reverb's high frequencies, 0 to 1.
    Damping,
}

impl BusParam {
    /// All parameters, in order of their numbers, each with its address and its default.
    pub const ALL: [(BusParam, &'static str, f64); 4] = [
        (BusParam::Level, "/groove/voices/level", 1.0),
        (BusParam::Wet, "/groove/reverb/wet", 0.0),
        (BusParam::Size, "/groove/reverb/size", 0.4),
        (BusParam::Damping, "/groove/reverb/damping", 0.3),
    ];

    /// Finds a parameter by its address.
    pub fn named(address: &str) -> Option<BusParam> {
        BusParam::ALL.iter().find(|(_, a, _)| *a == address).map(|(hall, ..)| *hall)
    }
}

/// A command for the ensemble. Voices and parts are counted from 0; `None` means all of them.
#[derive(Clone, Debug, PartialEq)]
pub enum VoiceCommand {
    /// Sets a parameter of a voice.
    Set(Option<usize>, Setting, f64),
    /// Silences a voice and resets its model's state.
    Reset(Option<usize>),
    /// Gives a voice its own instrument for direct playing; an empty name means that of the first part.
    Voice(Option<usize>, String),
    /// Starts a note: part, key (a MIDI number, may be fractional), loudness 0 to 1.
    NoteOn(usize, f64, f64),
    /// Ends a note: part, key.
    NoteOff(usize, f64),
    /// Ends all notes of a part.
    AllOff(Option<usize>),
    /// Sets a pedal of a part.
    Part(Option<usize>, PartParam, f64),
    /// Gives a part another instrument; its sounding notes continue with it.
    Swap(Option<usize>, String),
    /// Unloads an instrument.
    Unload(String),
    /// Sets a parameter of all voices together.
    BusParam(BusParam, f64),
}

/// Description of an instrument that has been loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The name by which it was requested.
    pub name: String,
    /// Lowest and highest pitch of its training material, as MIDI numbers.
    pub pitch_range: (f64, f64),
    /// Softest and loudest level of its training material, in dBFS.
    pub loudness_range: (f64, f64),
    /// Breakpoints from loudness (0 to 1) to dBFS, interpolated linearly.
    pub decibels: Vec<(f64, f64)>,
    /// Licence of the weights.
    pub licence: String,
}

impl Card {
    /// Returns the loudness, 0 to 1, that sounds at `db` dBFS; outside the trained range, the nearest end of that
    /// range.
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

/// Returns whether a name is a plain instrument name or that of a genome, not a path or a file name.
pub fn is_name(name: &str) -> bool {
    if is_address(name) {
        return Address::parse(name).is_ok();
    }
    let is_file = [".onnx", ".tflite"].iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    !name.is_empty() && name.len() <= 60 && !name.starts_with('.') && !name.contains(['/', '\\']) && !is_file
}

#[cfg(test)]
mod tests {
    use super::*;

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
