//! Several voices of one instrument: which of them plays a note, and which gives way.

use super::model::Model;
use super::performer::{self, Manner};
use super::voice::{Tone, Voice};

/// Most voices of one band.
pub const MOST_VOICES: usize = 32;

/// What a voice of a band is playing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Playing {
    key: u32,
    /// Notes are numbered in the order they begin: of two as quiet as each other the older one gives way.
    since: u64,
    held: bool,
}

/// See the module's text. Its voices allocate within their model. Realtime: no.
pub struct Band {
    voices: Vec<(Voice, Option<Playing>)>,
    sustained: bool,
    count: u64,
    stolen: u64,
}

impl Band {
    /// A band of 1 to [`MOST_VOICES`] voices.
    ///
    /// # Errors
    /// In words.
    pub fn new(model: &Model, voices: usize, sample_rate: u32, seed: u64) -> Result<Band, String> {
        if !(1..=MOST_VOICES).contains(&voices) {
            return Err(format!("voices: {voices} was given, and 1 to {MOST_VOICES} would be right"));
        }
        let voice = |n: usize| Ok((Voice::new(model, sample_rate, seed + n as u64)?, None));
        let voices = (0..voices).map(voice).collect::<Result<_, String>>()?;
        Ok(Band { voices, sustained: false, count: 0, stolen: 0 })
    }

    /// A note begins: a key by which it is ended, its MIDI number, its loudness 0 to 1. The same key again begins anew on
    /// the same voice. Without a free voice the quietest one is hushed for it.
    pub fn note_on(&mut self, key: u32, midi: f64, loudness: f64) {
        self.count += 1;
        let playing = Some(Playing { key, since: self.count, held: true });
        let again = self.voices.iter().position(|(_, p)| p.is_some_and(|p| p.key == key));
        let resting = || self.voices.iter().position(|(v, _)| v.performer.silent());
        let index = again.or_else(resting).unwrap_or_else(|| {
            self.stolen += 1;
            let notes = self
                .voices
                .iter()
                .enumerate()
                .map(|(k, (voice, playing))| (k, Some(&voice.performer), playing.map_or(0, |p| p.since)));
            performer::weakest(notes).unwrap_or(0)
        });
        let (voice, slot) = &mut self.voices[index];
        voice.performer.note_on(midi, loudness);
        *slot = playing;
    }

    /// The note of a key ends, or is held by the pedal.
    pub fn note_off(&mut self, key: u32) {
        for (voice, slot) in &mut self.voices {
            if let Some(playing) = slot.as_mut().filter(|p| p.key == key) {
                playing.held = false;
                if !self.sustained {
                    voice.performer.note_off();
                    *slot = None;
                }
            }
        }
    }

    /// The sustain pedal goes down or up.
    pub fn sustain(&mut self, down: bool) {
        self.sustained = down;
        for (voice, slot) in &mut self.voices {
            if !down && slot.is_some_and(|p| !p.held) {
                voice.performer.note_off();
                *slot = None;
            }
        }
    }

    /// All notes end.
    pub fn all_off(&mut self) {
        self.sustained = false;
        for (voice, slot) in &mut self.voices {
            voice.performer.note_off();
            *slot = None;
        }
    }

    /// Changes how all voices play.
    pub fn manner(&mut self, change: impl Fn(&mut Manner)) {
        self.voices.iter_mut().for_each(|(voice, _)| change(&mut voice.performer.manner));
    }

    /// Changes how all voices sound.
    pub fn tone(&mut self, change: impl Fn(&mut Tone)) {
        self.voices.iter_mut().for_each(|(voice, _)| change(&mut voice.tone));
    }

    /// Whether nothing sounds.
    pub fn resting(&self) -> bool {
        self.voices.iter().all(|(voice, _)| voice.resting())
    }

    /// Notes that a sounding one had to give way to.
    pub fn stolen(&self) -> u64 {
        self.stolen
    }

    /// Adds the next samples of all voices to `out`.
    pub fn add(&mut self, out: &mut [f32]) {
        self.voices.iter_mut().for_each(|(voice, _)| voice.add(out));
    }
}
