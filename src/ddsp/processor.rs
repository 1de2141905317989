//! One voice for programs that embed it: [`DdspProcessor`].

use std::path::Path;

use super::model::{Model, ModelError};
use super::voice::{MOST_GAIN, Voice};

/// Error from creating a [`DdspProcessor`].
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// The model file is not a valid instrument.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An argument is out of range.
    #[error("{argument} is {found}; expected {wanted}")]
    Argument {
        /// Name of the argument.
        argument: &'static str,
        /// The value given.
        found: usize,
        /// The expected range.
        wanted: &'static str,
    },
    /// The model could not be instantiated.
    #[error("{0}")]
    Setup(String),
}

/// A single voice of a model, played by setting pitch and loudness.
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
/// Blocks may be of any length; controls take effect with the next hop (10 ms with the models of this project). The
/// model allocates, so keep it off the audio callback: fill a ring buffer from a separate thread. Realtime: no.
pub struct DdspProcessor {
    voice: Voice,
    hz: f64,
    loudness: f64,
}

impl DdspProcessor {
    /// Creates a voice of the model in a file for output at `sample_rate` Hz (8000 to 192000); `block_size` is the
    /// usual block length in frames (1 to 65536).
    ///
    /// # Errors
    /// If the file is not a valid instrument, or an argument is out of range.
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

    /// Sets the pitch in Hz, clamped to 8.18 … 12544 (MIDI 0 to 127); non-finite values are ignored.
    pub fn set_f0(&mut self, hz: f64) {
        if hz.is_finite() {
            self.hz = hz.clamp(8.18, 12_544.0);
            self.voice.performer.hold(self.hz, self.loudness);
        }
    }

    /// Sets the loudness, clamped to 0 (silence) … 1 (loudest of the training material); non-finite values are ignored.
    pub fn set_loudness(&mut self, loudness: f64) {
        if loudness.is_finite() {
            self.loudness = loudness.clamp(0.0, 1.0);
            self.voice.performer.hold(self.hz, self.loudness);
        }
    }

    /// Sets the transposition in semitones, clamped to −48 … 48; non-finite values are ignored.
    pub fn set_pitch_shift(&mut self, semitones: f64) {
        if semitones.is_finite() {
            self.voice.tone.pitch_shift = semitones.clamp(-48.0, 48.0);
        }
    }

    /// Sets the linear gain of the partials, clamped to 0 … 10; non-finite values are ignored.
    pub fn set_harmonic_gain(&mut self, gain: f64) {
        if gain.is_finite() {
            self.voice.tone.harmonic_gain = gain.clamp(0.0, MOST_GAIN);
        }
    }

    /// Sets the linear gain of the noise, clamped to 0 … 10; non-finite values are ignored.
    pub fn set_noise_gain(&mut self, gain: f64) {
        if gain.is_finite() {
            self.voice.tone.noise_gain = gain.clamp(0.0, MOST_GAIN);
        }
    }

    /// Restarts the voice from silence and from the model's initial state; pitch, loudness, transposition and gains
    /// stay.
    pub fn reset(&mut self) {
        self.voice.reset();
        self.voice.performer.hold(self.hz, self.loudness);
    }

    /// Renders the next `block.len()` samples.
    pub fn next_block(&mut self, block: &mut [f32]) {
        block.fill(0.0);
        self.voice.add(block);
    }
}
