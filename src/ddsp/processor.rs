//! One voice for programs that embed it: [`DdspProcessor`].

use std::path::Path;

use super::model::{Model, ModelError};
use super::performer::{Adsr, NoteParams};
use super::render::RATES;
use super::sound::Tone;
use super::tuning::Tuning;
use super::voice::Voice;

/// The envelope of notes: that of the older server.
const ENVELOPE: Adsr = Adsr { attack: 0.01, decay: 0.1, sustain: 0.7, release: 0.2 };

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

/// A single voice of a model, played by setting pitch and loudness, or by MIDI messages.
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
    /// Whether pitch and loudness have been set since the last block; they are applied together.
    pending: bool,
    tuning: Tuning,
    /// MIDI number of the sounding note.
    key: Option<u8>,
}

impl DdspProcessor {
    /// Creates a voice of the model in a file for output at `sample_rate` Hz (8000 to 192000); `block_size` is the
    /// usual block length in frames (1 to 65536).
    ///
    /// # Errors
    /// If the file is not a valid instrument, or an argument is out of range.
    pub fn new(model: impl AsRef<Path>, sample_rate: u32, block_size: usize) -> Result<DdspProcessor, ProcessorError> {
        DdspProcessor::check(sample_rate, block_size)?;
        DdspProcessor::of(&Model::open(model.as_ref())?, sample_rate, block_size, 1)
    }

    /// Creates a voice of an opened model, as [`DdspProcessor::new`] does, whose noise has a seed: voices that sound
    /// together should have different ones.
    ///
    /// # Errors
    /// If an argument is out of range, or the model cannot be instantiated.
    pub fn of(model: &Model, sample_rate: u32, block_size: usize, seed: u64) -> Result<DdspProcessor, ProcessorError> {
        DdspProcessor::check(sample_rate, block_size)?;
        let mut voice = Voice::new(model, sample_rate, seed).map_err(ProcessorError::Setup)?;
        voice.performer.manner = NoteParams { adsr: ENVELOPE, ..NoteParams::default() };
        Ok(DdspProcessor { voice, hz: 440.0, loudness: 0.0, pending: false, tuning: Tuning::default(), key: None })
    }

    /// Checks the arguments of [`DdspProcessor::new`].
    ///
    /// # Errors
    /// [`ProcessorError::Argument`], if one is out of range.
    pub fn check(sample_rate: u32, block_size: usize) -> Result<(), ProcessorError> {
        let argument = |argument, found, wanted| Err(ProcessorError::Argument { argument, found, wanted });
        if !RATES.contains(&sample_rate) {
            return argument("sample_rate", sample_rate as usize, "8000 to 192000 Hz");
        }
        if !(1..=65_536).contains(&block_size) {
            return argument("block_size", block_size, "1 to 65536 frames");
        }
        Ok(())
    }

    /// Returns the number of samples per hop.
    pub fn hop(&self) -> usize {
        self.voice.hop()
    }

    /// Sets the pitch in Hz, clamped to 8.18 … 12544 (MIDI 0 to 127); 0 or less is silence; non-finite values are ignored.
    pub fn set_f0(&mut self, hz: f64) {
        if hz.is_finite() {
            self.hz = if hz > 0.0 { hz.clamp(8.18, 12_544.0) } else { 0.0 };
            self.pending = true;
        }
    }

    /// Sets the loudness, clamped to 0 (silence) … 1 (loudest of the training material); non-finite values are ignored.
    pub fn set_loudness(&mut self, loudness: f64) {
        if loudness.is_finite() {
            self.loudness = loudness.clamp(0.0, 1.0);
            self.pending = true;
        }
    }

    fn hold(&mut self) {
        self.pending = false;
        self.key = None;
        self.voice.performer.manner.bend = 0.0;
        self.voice.performer.direct(self.hz, self.loudness);
    }

    fn hold_pending(&mut self) {
        if self.pending {
            self.hold();
        }
    }

    /// Returns the tone parameters.
    pub fn tone(&mut self) -> &mut Tone {
        &mut self.voice.tone
    }

    /// Applies a MIDI message: status byte and two data bytes, of any channel. One note sounds at a time, the last one
    /// that began, until its own key is released (or a controller ends all notes); the loudness of its envelope (10 ms,
    /// 100 ms, 0.7, 200 ms) is velocity / 127. The wheel bends by two semitones, or as far as the range is set. Pitch and
    /// loudness, when set, take the voice over from the notes. Other messages have no effect.
    pub fn midi(&mut self, [status, one, two]: [u8; 3]) {
        self.hold_pending();
        let (one, two) = (one & 127, two & 127);
        match status & 0xf0 {
            0x90 if two > 0 => {
                self.voice.performer.note_on(f64::from(one), f64::from(two) / 127.0);
                self.key = Some(one);
                self.bend();
            }
            0x80 | 0x90 if self.key == Some(one) => self.end_note(),
            0xb0 if matches!(one, 120 | 123) => self.end_note(),
            0xb0 => {
                self.tuning.control(one, two);
                self.bend();
            }
            0xe0 => {
                self.tuning.bend((f64::from(u16::from(two) << 7 | u16::from(one)) - 8_192.0) / 8_192.0);
                self.bend();
            }
            _ => {}
        }
    }

    /// Applies bend and tuning to the note; pitches in Hz are played as they are.
    fn bend(&mut self) {
        if self.key.is_some() {
            self.voice.performer.manner.bend = self.tuning.semitones();
        }
    }

    fn end_note(&mut self) {
        if self.key.take().is_some() {
            self.voice.performer.note_off();
        }
    }

    /// Restarts the voice from silence and from the model's initial state, without note and bend; pitch, loudness,
    /// transposition and gains stay.
    pub fn reset(&mut self) {
        self.voice.reset();
        self.tuning = Tuning::default();
        self.hold();
    }

    /// Renders the next `block.len()` samples.
    pub fn next_block(&mut self, block: &mut [f32]) {
        self.hold_pending();
        block.fill(0.0);
        self.voice.add(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: u8 = 0x90;
    const OFF: u8 = 0x80;

    fn sound(processor: &mut DdspProcessor, samples: usize) -> Vec<f32> {
        let mut block = vec![0.0; samples];
        processor.next_block(&mut block);
        block
    }

    fn clarinet() -> DdspProcessor {
        DdspProcessor::new("models/clarinet.onnx", 48_000, 960).unwrap()
    }

    /// Plays messages, then `samples` samples.
    fn played(messages: &[[u8; 3]], samples: usize) -> Vec<f32> {
        let mut processor = clarinet();
        messages.iter().for_each(|message| processor.midi(*message));
        sound(&mut processor, samples)
    }

    fn peak(sound: &[f32]) -> f32 {
        sound.iter().fold(0.0, |peak, s| peak.max(s.abs()))
    }

    #[test]
    fn a_note_ends_with_its_own_key() {
        let mut processor = clarinet();
        for (message, sounds) in [
            ([ON, 60, 100], true),
            ([OFF, 64, 0], true),
            ([ON, 67, 100], true),
            ([OFF, 60, 0], true),
            ([ON, 67, 0], false),
            ([ON, 62, 100], true),
            ([0xb0, 123, 0], false),
        ] {
            processor.midi(message);
            sound(&mut processor, 24_000);
            assert_eq!(peak(&sound(&mut processor, 4_800)) > 0.001, sounds, "{message:?}");
        }
    }

    #[test]
    fn the_wheel_bends_notes_and_not_pitches_in_hz() {
        let bent = played(&[[ON, 60, 100], [0xe0, 127, 127]], 24_000);
        assert_ne!(bent, played(&[[ON, 60, 100]], 24_000));
        // A full octave, by the registered parameter for the range.
        let wide = [[0xb0, 101, 0], [0xb0, 100, 0], [0xb0, 6, 12], [0xe0, 0, 0]];
        assert_eq!(
            played(&[&wide[..], &[[ON, 72, 100]]].concat(), 24_000),
            played(&[[ON, 60, 100]], 24_000),
            "the model is told the bent pitch"
        );
        let held = |messages: &[[u8; 3]]| {
            let mut processor = clarinet();
            messages.iter().for_each(|message| processor.midi(*message));
            processor.set_f0(220.0);
            processor.set_loudness(0.8);
            sound(&mut processor, 24_000)
        };
        assert_eq!(held(&[[0xe0, 0, 0]]), held(&[]));
    }

    #[test]
    fn silence_is_a_pitch_or_a_loudness_of_zero() {
        let mut processor = clarinet();
        processor.set_loudness(0.7);
        assert!(peak(&sound(&mut processor, 9_600)) > 0.001);
        for (hz, loudness) in [(0.0, 0.7), (-440.0, 0.7), (330.0, -1.0)] {
            processor.set_f0(hz);
            processor.set_loudness(loudness);
            sound(&mut processor, 4_800);
            assert_eq!(peak(&sound(&mut processor, 4_800)), 0.0);
            processor.set_f0(330.0);
            processor.set_loudness(0.7);
            assert!(peak(&sound(&mut processor, 9_600)) > 0.001);
        }
    }
}
