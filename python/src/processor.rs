//! One voice, block by block.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use grooved::ddsp::model::Model;
use grooved::ddsp::processor::{DdspProcessor, ProcessorError};
use numpy::PyArray1;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::instrument::{self, Instrument};
use super::numbers;

/// Longest piece that is rendered without looking for Ctrl-C, in samples.
const PIECE: usize = 65_536;

/// One voice of an instrument.
///
/// model_path: path of an .onnx instrument, or the name of an embedded one ("violin"), or an Instrument. In place of a
///   .tflite file, the .onnx file beside it is played, or else the embedded instrument of that name ("Violin.tflite":
///   violin), which is said once. Without it, DDSP_MODEL_PATH from the environment counts, or else the violin.
/// sample_rate: Hz, 8000 to 192000.
/// block_size: samples that process and process_midi return, 1 to 65536.
/// seed: start of the noise. The same seed and controls give the same samples; voices that sound together should have
///   different ones.
///
/// Controls that are out of range are held at the nearest value in range. They take effect with the next hop (10 ms with
/// the embedded instruments, rounded to whole samples), whatever the size of blocks. A processor may be used by several
/// threads, which take turns.
///
/// Raises RuntimeError ("Failed to load model: PATH: reason"), and ValueError if a number is out of range.
#[pyclass(frozen, subclass, weakref, module = "ddsp_python", name = "DDSPProcessor")]
pub struct Processor {
    /// `None` until `__init__` is called: a subclass may have parameters of its own.
    state: Mutex<Option<State>>,
}

struct State {
    voice: DdspProcessor,
    model: Model,
    sample_rate: u32,
    block_size: usize,
}

impl Processor {
    /// Waits for the voice, if another thread renders with it, without holding up other Python threads.
    fn with<T: Send>(&self, py: Python<'_>, act: impl FnOnce(&mut State) -> T + Send) -> PyResult<T> {
        let done = match self.state.try_lock() {
            Ok(mut state) => state.as_mut().map(act),
            Err(TryLockError::Poisoned(state)) => state.into_inner().as_mut().map(act),
            Err(TryLockError::WouldBlock) => py.detach(|| self.lock().as_mut().map(act)),
        };
        done.ok_or_else(uninitialised)
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renders samples, after `prepare` has acted on the voice.
    fn samples(
        &self,
        py: Python<'_>,
        count: usize,
        prepare: impl FnOnce(&mut DdspProcessor) + Send,
    ) -> PyResult<Vec<f32>> {
        let mut block = numbers::room(count)?;
        let mut prepare = Some(prepare);
        loop {
            let rendered = block.len();
            py.detach(|| {
                let mut state = self.lock();
                let voice = &mut state.as_mut()?.voice;
                if let Some(prepare) = prepare.take() {
                    prepare(voice);
                }
                block.resize(count.min(rendered + PIECE), 0.0);
                voice.next_block(&mut block[rendered..]);
                Some(())
            })
            .ok_or_else(uninitialised)?;
            if block.len() == count {
                return Ok(block);
            }
            py.check_signals()?;
        }
    }

    /// Renders a block of 16-bit samples, little-endian.
    fn pcm<'py>(
        &self,
        py: Python<'py>,
        prepare: impl FnOnce(&mut DdspProcessor) + Send,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let block_size = self.with(py, |state| state.block_size)?;
        let samples = self.samples(py, block_size, prepare)?;
        PyBytes::new_with(py, 2 * samples.len(), |bytes| {
            for (bytes, sample) in bytes.chunks_exact_mut(2).zip(&samples) {
                let whole = (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16;
                bytes.copy_from_slice(&whole.to_le_bytes());
            }
            Ok(())
        })
    }
}

fn uninitialised() -> PyErr {
    PyTypeError::new_err("DDSPProcessor.__init__() must be called by the __init__() of a subclass")
}

#[pymethods]
impl Processor {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords),
           text_signature = "(model_path=None, sample_rate=48000.0, block_size=960, *, seed=1)")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Processor {
        Processor { state: Mutex::new(None) }
    }

    #[pyo3(signature = (model_path=None, sample_rate=48000.0, block_size=960, *, seed=1))]
    fn __init__(
        &self,
        py: Python<'_>,
        model_path: Option<&Bound<'_, PyAny>>,
        sample_rate: f64,
        block_size: i64,
        seed: u64,
    ) -> PyResult<()> {
        let sample_rate = numbers::rate(sample_rate)?;
        let refused = |why: ProcessorError| match why {
            ProcessorError::Argument { .. } => PyValueError::new_err(why.to_string()),
            other => PyRuntimeError::new_err(other.to_string()),
        };
        let block_size = usize::try_from(block_size)
            .map_err(|_| PyValueError::new_err(format!("block_size is {block_size}; expected 1 to 65536 frames")))?;
        DdspProcessor::check(sample_rate, block_size).map_err(refused)?;
        let model = instrument::chosen(py, "model_path", model_path)?;
        let voice = DdspProcessor::of(&model, sample_rate, block_size, seed).map_err(refused)?;
        py.detach(|| *self.lock() = Some(State { voice, model, sample_rate, block_size }));
        Ok(())
    }

    /// Sets the pitch in Hz, held in 8.18 to 12544; 0 or less is silence.
    fn set_f0(&self, py: Python<'_>, hz: f64) -> PyResult<()> {
        self.with(py, |state| state.voice.set_f0(hz))
    }

    /// Sets the loudness, held in 0 (silence) to 1 (the loudest of the training material).
    fn set_loudness(&self, py: Python<'_>, loudness: f64) -> PyResult<()> {
        self.with(py, |state| state.voice.set_loudness(loudness))
    }

    /// Sets the transposition in semitones, held in -48 to 48.
    fn set_pitch_shift(&self, py: Python<'_>, semitones: f64) -> PyResult<()> {
        self.with(py, |state| state.voice.tone().set_pitch_shift(semitones))
    }

    /// Sets the linear gain of the partials, held in 0 to 10.
    fn set_harmonic_gain(&self, py: Python<'_>, gain: f64) -> PyResult<()> {
        self.with(py, |state| state.voice.tone().set_harmonic_gain(gain))
    }

    /// Sets the linear gain of the noise, held in 0 to 10.
    fn set_noise_gain(&self, py: Python<'_>, gain: f64) -> PyResult<()> {
        self.with(py, |state| state.voice.tone().set_noise_gain(gain))
    }

    /// Restarts from silence, without note and bend; the controls stay.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |state| state.voice.reset())
    }

    /// Renders the next num_samples samples, as array.array('f'), nominally -1 to 1.
    fn get_next_block<'py>(&self, py: Python<'py>, num_samples: i64) -> PyResult<Bound<'py, PyAny>> {
        let samples = self.samples(py, numbers::count("num_samples", num_samples)?, |_| {})?;
        numbers::array(py, &samples)
    }

    /// Renders the next num_samples samples, as a numpy array of float32, shape (num_samples,).
    fn get_next_array<'py>(&self, py: Python<'py>, num_samples: i64) -> PyResult<Bound<'py, PyArray1<f32>>> {
        numbers::numpy(py)?;
        let samples = self.samples(py, numbers::count("num_samples", num_samples)?, |_| {})?;
        numbers::vector(py, samples)
    }

    /// Sets pitch (Hz) and loudness (0 to 1), and renders block_size samples, as bytes: 16 bits, little-endian.
    fn process<'py>(&self, py: Python<'py>, f0: f64, loudness: f64) -> PyResult<Bound<'py, PyBytes>> {
        self.pcm(py, |voice| {
            voice.set_f0(f0);
            voice.set_loudness(loudness);
        })
    }

    /// Applies MIDI messages, [[status, data1, data2], …], and renders block_size samples, as bytes: 16 bits,
    /// little-endian.
    ///
    /// One note sounds at a time, the last one that began, until its own key is released. Its envelope has an attack of
    /// 10 ms, a decay of 100 ms, a sustain of 0.7 and a release of 200 ms; the wheel bends by two semitones.
    fn process_midi<'py>(&self, py: Python<'py>, events: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let messages = events
            .try_iter()?
            .enumerate()
            .map(|(index, event)| message(&event?).map_err(|why| why(index)))
            .collect::<PyResult<Vec<_>>>()?;
        self.pcm(py, |voice| messages.into_iter().flatten().for_each(|message| voice.midi(message)))
    }

    /// The instrument that is played.
    #[getter]
    fn instrument(&self, py: Python<'_>) -> PyResult<Instrument> {
        self.with(py, |state| Instrument { model: state.model.clone() })
    }

    /// Sample rate in Hz.
    #[getter]
    fn sample_rate(&self, py: Python<'_>) -> PyResult<u32> {
        self.with(py, |state| state.sample_rate)
    }

    /// Samples that process and process_midi return.
    #[getter]
    fn block_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |state| state.block_size)
    }

    /// Samples from one value of the controls to the next.
    #[getter]
    fn hop(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |state| state.voice.hop())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |state| {
            let name = &state.model.contract().instrument;
            format!("<DDSPProcessor '{name}', {} Hz, blocks of {}>", state.sample_rate, state.block_size)
        })
    }
}

/// Reads a MIDI message of one to three bytes, held in range; `None` if it does not begin with a status byte.
fn message(event: &Bound<'_, PyAny>) -> Result<Option<[u8; 3]>, impl FnOnce(usize) -> PyErr + use<>> {
    let wrong = |index: usize| PyTypeError::new_err(format!("events[{index}]: expected [status, data1, data2]"));
    let bytes: Vec<i64> = event.extract().map_err(|_| wrong)?;
    let (Some(status @ 0..=255), 1..=3) = (bytes.first().copied(), bytes.len()) else { return Err(wrong) };
    let data = |place: usize| bytes.get(place).map_or(0, |value| *value.clamp(&0, &127) as u8);
    Ok((status >= 0x80).then(|| [status as u8, data(1), data(2)]))
}
