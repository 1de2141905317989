//! Several voices of one instrument: voice allocation and stealing.

use super::model::Model;
use super::performer::{self, NoteParams};
use super::sound::Tone;
use super::voice::Voice;

/// Maximum number of voices in a band.
pub const MOST_VOICES: usize = 32;

/// The note assigned to a voice of a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Playing {
    key: u32,
    /// Increasing note number: of two equally quiet notes, the older one is stolen.
    since: u64,
    held: bool,
}

/// Polyphonic player of one instrument, with voice stealing. Its voices allocate within their model. Realtime: no.
pub struct Band {
    voices: Vec<(Voice, Option<Playing>)>,
    sustained: bool,
    count: u64,
    stolen: u64,
}

impl Band {
    /// Creates a band of 1 to [`MOST_VOICES`] voices.
    ///
    /// # Errors
    /// A message, if `voices` is out of range or the model cannot be set up.
    pub fn new(model: &Model, voices: usize, sample_rate: u32, seed: u64) -> Result<Band, String> {
        if !(1..=MOST_VOICES).contains(&voices) {
            return Err(format!("voices is {voices}; must be between 1 and {MOST_VOICES}"));
        }
        let voice = |n: usize| Ok((Voice::new(model, sample_rate, seed + n as u64)?, None));
        let voices = (0..voices).map(voice).collect::<Result<_, String>>()?;
        Ok(Band { voices, sustained: false, count: 0, stolen: 0 })
    }

    /// Starts a note. `key` identifies it for [`Band::note_off`], `midi` is its MIDI number, `loudness` is 0 to 1.
    /// Repeating a key restarts its voice. Without a free voice, the weakest one is stolen.
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

    /// Ends the note of a key; while the sustain pedal is down, the note sounds on until it is lifted.
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

    /// Presses or lifts the sustain pedal.
    pub fn sustain(&mut self, down: bool) {
        self.sustained = down;
        for (voice, slot) in &mut self.voices {
            if !down && slot.is_some_and(|p| !p.held) {
                voice.performer.note_off();
                *slot = None;
            }
        }
    }

    /// Ends all notes and lifts the pedal.
    pub fn all_off(&mut self) {
        self.sustained = false;
        for (voice, slot) in &mut self.voices {
            voice.performer.note_off();
            *slot = None;
        }
    }

    /// Applies a change to the playing parameters of all voices.
    pub fn manner(&mut self, change: impl Fn(&mut NoteParams)) {
        self.voices.iter_mut().for_each(|(voice, _)| change(&mut voice.performer.manner));
    }

    /// Applies a change to the tone of all voices.
    pub fn tone(&mut self, change: impl Fn(&mut Tone)) {
        self.voices.iter_mut().for_each(|(voice, _)| change(&mut voice.tone));
    }

    /// Returns whether all voices are silent.
    pub fn resting(&self) -> bool {
        self.voices.iter().all(|(voice, _)| voice.resting())
    }

    /// Number of sounding notes that were stolen for new ones.
    pub fn stolen(&self) -> u64 {
        self.stolen
    }

    /// Adds the next samples of all voices to `out`.
    pub fn add(&mut self, out: &mut [f32]) {
        self.voices.iter_mut().for_each(|(voice, _)| voice.add(out));
    }
}
