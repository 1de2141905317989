//! One voice for programs that embed it: [`DdspProcessor`].

use std::path::Path;

use super::model::{Model, ModelError};
use super::voice::{MOST_GAIN, Voice};

/// Why a processor can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// The model file is no instrument.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An argument that makes no sense.
    #[error("{argument}: {found} was given, and {wanted} would be right")]
    Argument {
        /// Which.
        argument: &'static str,
        /// What it was.
        found: usize,
        /// What would be right.
        wanted: &'static str,
    },
    /// The model could not be set up.
    #[error("{0}")]
    Setup(String),
}

/// A model, played by setting a pitch and a loudness.
///
/// ```
/// use grooved::ddsp::processor::DdspProcessor;
///
/// let mut flute = DdspProcessor::new("models/flute.onnx", 48_000, 256)?;
/// flute.set_f0(587.3);
/// flute.set_loudness(0.7);
/// let mut block = [0.0; 256];
/// let mut peak = 0.0f32;
/// for _ in 0..100 {
///     flute.next_block(&mut block);
///     peak = block.iter().fold(peak, |p, s| p.max(s.abs()));
/// }
/// assert!(peak > 0.01 && peak < 1.0);
/// # Ok::<(), grooved::ddsp::processor::ProcessorError>(())
/// ```
///
/// Blocks may be of any length; controls are heard from the next hop on (10 ms with the models of this project). The
/// model allocates, so keep it off an audio callback: fill a ring from a thread of its own. Realtime: no.
pub struct DdspProcessor {
    voice: Voice,
    hz: f64,
    loudness: f64,
}

impl DdspProcessor {
    /// A voice of the model in a file, for sound at `sample_rate` Hz (8000 to 192000), usually asked for in blocks of
    /// `block_size` frames (1 to 65536).
    ///
    /// # Errors
    /// What is wrong with the file or the arguments.
    pub fn new(model: impl AsRef<Path>, sample_rate: u32, block_size: usize) -> Result<DdspProcessor, ProcessorError> {
        let argument = |argument, found, wanted| Err(ProcessorError::Argument { argument, found, wanted });
        if !(8_000..=192_000).contains(&sample_rate) {
            return argument("sample_rate", sample_rate as usize, "8000 to 192000 Hz");
        }
        if !(1..=65_536).contains(&block_size) {
            return argument("block_size", block_size, "1 to 65536 frames");
        }
        let model = Model::open(model.as_ref())?;
        let voice = Voice::new(&model, sample_rate, 0).map_err(ProcessorError::Setup)?;
        Ok(DdspProcessor { voice, hz: 440.0, loudness: 0.0 })
    }

    /// Pitch in Hz, 8 to 12544 (MIDI 0 to 127); what is not finite is ignored.
    pub fn set_f0(&mut self, hz: f64) {
        if hz.is_finite() {
            self.hz = hz.clamp(8.18, 12_544.0);
            self.voice.performer.hold(self.hz, self.loudness);
        }
    }

    /// Loudness, 0 (silence) to 1 (the loudest of the training); what is not finite is ignored.
    pub fn set_loudness(&mut self, loudness: f64) {
        if loudness.is_finite() {
            self.loudness = loudness.clamp(0.0, 1.0);
            self.voice.performer.hold(self.hz, self.loudness);
        }
    }

    /// Semitones up or down, −48 to 48.
    pub fn set_pitch_shift(&mut self, semitones: f64) {
        if semitones.is_finite() {
            self.voice.tone.pitch_shift = semitones.clamp(-48.0, 48.0);
        }
    }

    /// Linear gain of the partials, 0 to 10.
    pub fn set_harmonic_gain(&mut self, gain: f64) {
        if gain.is_finite() {
            self.voice.tone.harmonic_gain = gain.clamp(0.0, MOST_GAIN);
        }
    }

    /// Linear gain of the noise, 0 to 10.
    pub fn set_noise_gain(&mut self, gain: f64) {
        if gain.is_finite() {
            self.voice.tone.noise_gain = gain.clamp(0.0, MOST_GAIN);
        }
    }

    /// Silence, and a state as at first; pitch, loudness and gains stay.
    pub fn reset(&mut self) {
        self.voice.reset();
        self.voice.performer.hold(self.hz, self.loudness);
    }

    /// The next samples, as many as the block holds.
    pub fn next_block(&mut self, block: &mut [f32]) {
        block.fill(0.0);
        self.voice.add(block);
    }
}
