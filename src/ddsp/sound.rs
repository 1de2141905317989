//! The sound of a voice: what it is made of, and its tone parameters.

use super::performer::Performer;

/// Maximum gain of partials and noise: +20 dB, as in the older server.
pub const MOST_GAIN: f64 = 10.0;

/// Tone parameters of a voice. Those of partials, noise and timbre have no effect on genomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    /// Transposition in semitones, before the model.
    pub pitch_shift: f64,
    /// Linear gain of the partials, 0 to [`MOST_GAIN`].
    pub harmonic_gain: f64,
    /// Linear gain of the noise, 0 to [`MOST_GAIN`].
    pub noise_gain: f64,
    /// Offset in semitones of the pitch given to the model only: the tone of another register.
    pub timbre_pitch: f64,
    /// Offset in decibels of the loudness given to the model only: brighter or duller at the same level.
    pub timbre_loudness_db: f64,
}

impl Default for Tone {
    fn default() -> Self {
        Self { pitch_shift: 0.0, harmonic_gain: 1.0, noise_gain: 1.0, timbre_pitch: 0.0, timbre_loudness_db: 0.0 }
    }
}

impl Tone {
    /// Sets the transposition in semitones, clamped to −48 … 48; non-finite values are ignored.
    pub fn set_pitch_shift(&mut self, semitones: f64) {
        if semitones.is_finite() {
            self.pitch_shift = semitones.clamp(-48.0, 48.0);
        }
    }

    /// Sets the linear gain of the partials, clamped to 0 … [`MOST_GAIN`]; non-finite values are ignored.
    pub fn set_harmonic_gain(&mut self, gain: f64) {
        if gain.is_finite() {
            self.harmonic_gain = gain.clamp(0.0, MOST_GAIN);
        }
    }

    /// Sets the linear gain of the noise, clamped to 0 … [`MOST_GAIN`]; non-finite values are ignored.
    pub fn set_noise_gain(&mut self, gain: f64) {
        if gain.is_finite() {
            self.noise_gain = gain.clamp(0.0, MOST_GAIN);
        }
    }
}

/// The sound of one voice, made hop by hop. It may allocate. Realtime: no.
pub trait Sound: Send {
    /// Advances the performer by one hop and adds the sound of that hop to `block`, which is one hop long. Returns true
    /// if the hop is silent. A sound that is not ready leaves the performer where it is and returns false.
    fn add(&mut self, performer: &mut Performer, tone: &Tone, block: &mut [f32]) -> bool;

    /// Returns to the initial state, after silence.
    fn rest(&mut self);

    /// Returns to the initial state and cuts off what still sounds.
    fn reset(&mut self);
}

/// An instrument that voices can be created from.
pub trait Playable {
    /// Creates the sound of a new voice; also returns the number of samples per hop. The same seed and controls give
    /// the same samples.
    ///
    /// # Errors
    /// Why the instrument cannot be set up.
    fn sound(&self, sample_rate: u32, seed: u64) -> Result<(Box<dyn Sound>, usize), String>;
}
