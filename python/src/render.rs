//! Whole curves of controls, and MIDI files.

use std::collections::HashMap;
use std::path::PathBuf;

use grooved::ddsp::model::Model;
use grooved::ddsp::programs::instrument_for;
use grooved::ddsp::render::{self as offline, CurveRenderer, ScoreRenderer};
use grooved::ddsp::score::{Score, Table};
use grooved::ddsp::shipped;
use grooved::ddsp::voice::Voice;
use numpy::PyReadonlyArrayDyn;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::instrument::chosen;
use super::numbers;

/// Hops that are rendered without looking for Ctrl-C.
const HOPS: usize = 64;

/// Controls of a voice in one hop.
struct Controls {
    hz: f64,
    loudness: f64,
    pitch_shift: f64,
    harmonic_gain: f64,
    noise_gain: f64,
}

/// Renders curves of controls.
///
/// f0s: pitch in Hz, shape (hops,) or (voices, hops); 0 or less, or NaN, is silence.
/// loudness: 0 to 1, a number or an array that broadcasts to the shape of f0s.
/// instrument: an Instrument, a name or a path; by default as in DDSPProcessor.
/// sample_rate: Hz, 8000 to 192000.
/// times: seconds, shape (points,), increasing. With it, f0s and loudness are given at these times, and what lies between is
///   interpolated, as `grooved render-controls` does: pitch in semitones, loudness linearly. Without it, each value is that
///   at the end of a hop (10 ms with the embedded instruments: 480 samples at 48 kHz).
/// pitch_shift, harmonic_gain, noise_gain: semitones and linear gains, numbers or arrays that broadcast like loudness;
///   with times, numbers only.
/// seed: start of the noise of the first voice; each further voice has the next one.
/// mix: False returns each voice by itself.
/// tail: True appends the release of the last sound.
///
/// Returns float32, shape (samples,): n voices at 1 / sqrt(n) each. Without mix, shape (voices, samples), at full level.
/// Raises ValueError, with the name of the argument and what is expected.
#[pyfunction]
#[pyo3(signature = (f0s, loudness, *, instrument=None, sample_rate=48000.0, times=None, pitch_shift=None,
                    harmonic_gain=None, noise_gain=None, seed=1, mix=true, tail=false))]
#[expect(clippy::too_many_arguments, reason = "all but two have names and defaults in Python")]
pub fn render<'py>(
    py: Python<'py>,
    f0s: &Bound<'py, PyAny>,
    loudness: &Bound<'py, PyAny>,
    instrument: Option<&Bound<'py, PyAny>>,
    sample_rate: f64,
    times: Option<&Bound<'py, PyAny>>,
    pitch_shift: Option<&Bound<'py, PyAny>>,
    harmonic_gain: Option<&Bound<'py, PyAny>>,
    noise_gain: Option<&Bound<'py, PyAny>>,
    seed: u64,
    mix: bool,
    tail: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let rate = numbers::rate(sample_rate)?;
    checked(rate, 1, 0.0)?;
    let f0s = numbers::curve(f0s, "f0s", None)?;
    let (voices, columns) = match *f0s.as_array().shape() {
        [hops] => (1, hops),
        [voices, hops] if voices > 0 => (voices, hops),
        ref other => {
            let text = format!("f0s has shape {other:?}; expected (hops,) or (voices, hops)");
            return Err(PyValueError::new_err(text));
        }
    };
    let shape = f0s.as_array().shape().to_vec();
    let loudness = numbers::curve(loudness, "loudness", Some(&shape))?;
    let optional = |value: Option<&Bound<'py, PyAny>>, name| {
        let shape = if times.is_some() { &[][..] } else { &shape };
        value.map(|value| numbers::curve(value, name, Some(shape))).transpose()
    };
    let pitch_shift = optional(pitch_shift, "pitch_shift")?;
    let harmonic_gain = optional(harmonic_gain, "harmonic_gain")?;
    let noise_gain = optional(noise_gain, "noise_gain")?;
    let times = times.map(|times| numbers::curve(times, "times", None)).transpose()?;
    if let Some(times) = &times
        && *times.as_array().shape() != [columns]
    {
        let text = format!("times has shape {:?}; expected ({columns},), as many as f0s", times.as_array().shape());
        return Err(PyValueError::new_err(text));
    }
    let model = chosen(py, "instrument", instrument)?;
    let rows = |array: &PyReadonlyArrayDyn<'py, f64>| -> Vec<f64> { array.as_array().iter().copied().collect() };
    let (f0s, loudness) = (rows(&f0s), rows(&loudness));
    let [pitch_shift, harmonic_gain, noise_gain] =
        [(pitch_shift, 0.0), (harmonic_gain, 1.0), (noise_gain, 1.0)].map(|(value, plain)| match value {
            Some(array) => rows(&array),
            None => vec![plain],
        });
    let times = times.as_ref().map(rows);
    let mut sounds = Vec::new();
    for number in 0..voices {
        let sound = Voice::new(&model, rate, seed.wrapping_add(number as u64)).map_err(PyRuntimeError::new_err)?;
        let hop = sound.hop();
        let range = number * columns..(number + 1) * columns;
        let (f0s, loudness) = (&f0s[range.clone()], &loudness[range]);
        let own =
            |values: &[f64], place: usize| if values.len() == 1 { values[0] } else { values[number * columns + place] };
        let controls: Vec<Controls> = match &times {
            None => (0..columns)
                .map(|place| Controls {
                    hz: if f0s[place] > 0.0 { f0s[place].clamp(8.18, 12_544.0) } else { 0.0 },
                    loudness: loudness[place],
                    pitch_shift: own(&pitch_shift, place),
                    harmonic_gain: own(&harmonic_gain, place),
                    noise_gain: own(&noise_gain, place),
                })
                .collect(),
            Some(times) => {
                let points = times
                    .iter()
                    .zip(f0s)
                    .zip(loudness)
                    .map(|((time, hz), loudness)| (*time, if hz.is_nan() { 0.0 } else { *hz }, *loudness));
                let table =
                    Table::of(points).map_err(|why| PyValueError::new_err(format!("times, f0s, loudness: {why}")))?;
                table
                    .hops(hop, rate)
                    .map(|(hz, loudness, _)| Controls {
                        hz,
                        loudness,
                        pitch_shift: pitch_shift[0],
                        harmonic_gain: harmonic_gain[0],
                        noise_gain: noise_gain[0],
                    })
                    .collect()
            }
        };
        sounds.push(sound_of(py, CurveRenderer::new(sound, rate), hop, &controls, tail)?);
    }
    let length = sounds.iter().map(Vec::len).max().unwrap_or(0);
    if !mix {
        let mut all = Vec::with_capacity(length * voices);
        for mut sound in sounds {
            sound.resize(length, 0.0);
            all.append(&mut sound);
        }
        return numbers::table(py, all, voices);
    }
    let mut sounds = sounds.into_iter();
    let mut sum = sounds.next().unwrap_or_default();
    sum.resize(length, 0.0);
    if voices > 1 {
        sounds.for_each(|sound| sum.iter_mut().zip(&sound).for_each(|(sum, sample)| *sum += sample));
        let share = (1.0 / (voices as f64).sqrt()) as f32;
        sum.iter_mut().for_each(|sample| *sample *= share);
    }
    Ok(numbers::vector(py, sum)?.into_any())
}

/// Renders one voice along its controls.
fn sound_of(
    py: Python<'_>,
    mut renderer: CurveRenderer,
    hop: usize,
    controls: &[Controls],
    tail: bool,
) -> PyResult<Vec<f32>> {
    let mut sound = numbers::silence(hop * controls.len())?;
    for (blocks, controls) in sound.chunks_mut(HOPS * hop).zip(controls.chunks(HOPS)) {
        py.detach(|| {
            for (block, now) in blocks.chunks_exact_mut(hop).zip(controls) {
                renderer.voice.tone.set_pitch_shift(now.pitch_shift);
                renderer.voice.tone.set_harmonic_gain(now.harmonic_gain);
                renderer.voice.tone.set_noise_gain(now.noise_gain);
                renderer.hop(now.hz, now.loudness, block);
            }
        });
        py.check_signals()?;
    }
    if tail {
        py.detach(|| {
            let mut block = vec![0.0; hop];
            while renderer.tail(&mut block) {
                sound.extend_from_slice(&block);
            }
        });
    }
    Ok(sound)
}

/// Renders a MIDI file (format 0 or 1).
///
/// midi: the bytes of the file, or its path.
/// instrument: an Instrument, a name or a path, for all tracks, or a dict of them by the numbers of tracks with notes, from
///   1. The others are chosen by the programs that the file sets.
/// sample_rate: Hz, 8000 to 192000.
/// voices: most notes at once in a track, 1 to 32.
/// gain_db: -60 to 20 dB.
///
/// Returns float32, shape (frames, 2): the samples that `grooved render-midi` writes. Raises ValueError if the file is not a
/// MIDI file or an argument is out of range, OSError if the file cannot be read. What is odd in the file is a UserWarning.
#[pyfunction]
#[pyo3(signature = (midi, *, instrument=None, sample_rate=48000.0, voices=8, gain_db=0.0))]
pub fn render_midi<'py>(
    py: Python<'py>,
    midi: &Bound<'py, PyAny>,
    instrument: Option<&Bound<'py, PyAny>>,
    sample_rate: f64,
    voices: i64,
    gain_db: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let rate = numbers::rate(sample_rate)?;
    let voices = numbers::count("voices", voices)?;
    checked(rate, voices, gain_db)?;
    let bytes = match midi.cast::<PyBytes>() {
        Ok(bytes) => bytes.as_bytes().to_vec(),
        Err(_) => {
            let path: PathBuf =
                midi.extract().map_err(|_| PyTypeError::new_err("midi must be bytes, a string or a path"))?;
            py.detach(|| std::fs::read(path))?
        }
    };
    let score =
        py.detach(|| Score::parse(&bytes)).map_err(|why| PyValueError::new_err(format!("midi: the file {why}")))?;
    let tracks = score.parts.iter().map(|part| part.track).max().unwrap_or(0);
    let mut own: HashMap<usize, Model> = HashMap::new();
    let mut all = None;
    match instrument.map(|given| (given, given.cast::<PyDict>())) {
        None => {}
        Some((given, Err(_))) => all = Some(chosen(py, "instrument", Some(given))?),
        Some((_, Ok(by_track))) => {
            for (track, given) in by_track.iter() {
                let track: usize =
                    track.extract().ok().filter(|track| (1..=tracks).contains(track)).ok_or_else(|| {
                        PyValueError::new_err(format!(
                            "instrument: no track {track}; expected numbers from 1 to {tracks}"
                        ))
                    })?;
                own.insert(track, chosen(py, &format!("instrument[{track}]"), Some(&given))?);
            }
        }
    }
    let names: Vec<String> = shipped::names().map(String::from).collect();
    let mut models = Vec::new();
    for part in &score.parts {
        models.push(match own.get(&part.track).or(all.as_ref()) {
            Some(model) => model.clone(),
            None => super::models::open(py, instrument_for(part.program, &names).map(PathBuf::from))?,
        });
    }
    let gain = offline::linear(gain_db);
    let mut renderer = ScoreRenderer::new(&score, &models, voices, rate, gain).map_err(PyRuntimeError::new_err)?;
    let (mut sound, mut piece) = (Vec::new(), Vec::new());
    while py.detach(|| renderer.next(&mut piece)) {
        sound.extend_from_slice(&piece);
        py.check_signals()?;
    }
    let cut = score.cut.then(|| "the file ends too early; what is missing is not played".to_string());
    for remark in score.remarks.into_iter().chain(cut) {
        let text = std::ffi::CString::new(format!("midi: {remark}").replace('\0', "")).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)?;
    }
    let frames = sound.len() / 2;
    numbers::table(py, sound, frames)
}

fn checked(rate: u32, voices: usize, gain_db: f64) -> PyResult<()> {
    offline::check(rate, voices, gain_db).map_err(|(name, expected)| {
        let (argument, found) = match name {
            "rate" => ("sample_rate", rate.to_string()),
            "voices" => ("voices", voices.to_string()),
            _ => ("gain_db", gain_db.to_string()),
        };
        PyValueError::new_err(format!("{argument} is {found}; {expected}"))
    })
}
