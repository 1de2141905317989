//! Whole curves of controls, and MIDI files.

use std::collections::HashMap;
use std::path::PathBuf;

use grooved::ddsp::model::Model;
use grooved::ddsp::programs::instrument_for;
use grooved::ddsp::render::{self as offline, CurveRenderer, ScoreRenderer};
use grooved::ddsp::score::{Score, Table};
use grooved::ddsp::shipped;
use grooved::ddsp::voice::Voice;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};

use super::instrument::{chosen, path};
use super::models;
use super::numbers::{self, Curve};

/// Hops that are rendered without looking for Ctrl-C.
const HOPS: usize = 64;

/// Controls of a voice in one hop.
struct Controls {
    hz: f64,
    loudness: f64,
    /// Transposition in semitones, gain of the partials, gain of the noise.
    tone: [f64; 3],
}

/// Renders curves of controls.
///
/// f0s: pitch in Hz, shape (hops,) or (voices, hops); 0 or less, or NaN, is silence.
/// loudness: 0 to 1, a number or an array that broadcasts to the shape of f0s.
/// instrument: an Instrument, a name or a path; by default as in DDSPProcessor.
/// sample_rate: Hz, 8000 to 192000.
/// times: seconds, shape (points,), increasing. With it, f0s and loudness are given at these times, and what lies between is
///   interpolated, as `grooved render-controls` does: pitch in semitones, loudness linearly. Without it, each value is that
///   reached at the end of a hop (10 ms with the embedded instruments, rounded to whole samples).
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
    let f0s = Curve::read(f0s, "f0s")?;
    let (voices, columns) = match *f0s.shape() {
        [hops] => (1, hops),
        [voices, hops] if voices > 0 => (voices, hops),
        _ => {
            let text = format!("f0s has shape {}; expected (hops,) or (voices, hops)", f0s.shape_text());
            return Err(PyValueError::new_err(text));
        }
    };
    let loudness = Curve::read(loudness, "loudness")?.spread(f0s.shape())?;
    let times = times.map(|times| Curve::read(times, "times")).transpose()?;
    if let Some(times) = &times
        && *times.shape() != [columns]
    {
        let text = format!("times has shape {}; expected ({columns},), one for each point", times.shape_text());
        return Err(PyValueError::new_err(text));
    }
    // With times, the other controls are constant.
    let shape = if times.is_some() { &[][..] } else { f0s.shape() };
    let tone = |value: Option<&Bound<'py, PyAny>>, argument, plain: f64| match value {
        Some(value) => Curve::read(value, argument)?.spread(shape),
        None => Ok(vec![plain]),
    };
    let tone = [
        tone(pitch_shift, "pitch_shift", 0.0)?,
        tone(harmonic_gain, "harmonic_gain", 1.0)?,
        tone(noise_gain, "noise_gain", 1.0)?,
    ];
    let times = times.map(|times| times.spread(&[columns])).transpose()?;
    let f0s = f0s.spread(f0s.shape())?;
    let model = chosen(py, "instrument", instrument)?;
    let mut sound: Vec<f32> = Vec::new();
    let mut apart = Vec::new();
    for number in 0..voices {
        let voice = Voice::new(&model, rate, seed.wrapping_add(number as u64)).map_err(PyRuntimeError::new_err)?;
        let range = number * columns..(number + 1) * columns;
        let curve =
            f0s[range.clone()].iter().zip(&loudness[range]).map(|(hz, loudness)| (silent_if_nan(*hz), *loudness));
        let (hop, constant) = (voice.hop(), tone.each_ref().map(|values| values[0]));
        let controls: Vec<Controls> = match &times {
            None => curve
                .enumerate()
                .map(|(place, (hz, loudness))| Controls {
                    hz: if hz > 0.0 { hz.clamp(8.18, 12_544.0) } else { 0.0 },
                    loudness,
                    tone: tone.each_ref().map(|values| *values.get(number * columns + place).unwrap_or(&values[0])),
                })
                .collect(),
            Some(times) => {
                let points = times.iter().zip(curve).map(|(time, (hz, loudness))| (*time, hz, loudness));
                let table =
                    Table::of(points).map_err(|why| PyValueError::new_err(format!("times, f0s, loudness: {why}")))?;
                table.hops(hop, rate).map(|(hz, loudness, _)| Controls { hz, loudness, tone: constant }).collect()
            }
        };
        let next = sound_of(py, CurveRenderer::new(voice, rate), hop, &controls, tail)?;
        if !mix {
            apart.push(next);
        } else if sound.is_empty() {
            sound = next;
        } else {
            sound.resize(sound.len().max(next.len()), 0.0);
            sound.iter_mut().zip(&next).for_each(|(sum, sample)| *sum += sample);
        }
    }
    if mix {
        if voices > 1 {
            let share = (1.0 / (voices as f64).sqrt()) as f32;
            sound.iter_mut().for_each(|sample| *sample *= share);
        }
        return Ok(numbers::vector(py, sound)?.into_any());
    }
    let length = apart.iter().map(Vec::len).max().unwrap_or(0);
    let mut all = numbers::room(length * voices)?;
    for (number, sound) in apart.into_iter().enumerate() {
        all.extend_from_slice(&sound);
        all.resize((number + 1) * length, 0.0);
    }
    numbers::table(py, all, voices)
}

/// Returns the pitch, or 0 for what a pitch tracker found to have none.
fn silent_if_nan(hz: f64) -> f64 {
    if hz.is_nan() { 0.0 } else { hz }
}

/// Renders one voice along its controls.
fn sound_of(
    py: Python<'_>,
    mut renderer: CurveRenderer,
    hop: usize,
    controls: &[Controls],
    tail: bool,
) -> PyResult<Vec<f32>> {
    let mut sound = numbers::room(hop * controls.len())?;
    for controls in controls.chunks(HOPS) {
        py.detach(|| {
            for now in controls {
                let rendered = sound.len();
                sound.resize(rendered + hop, 0.0);
                let [pitch_shift, harmonic_gain, noise_gain] = now.tone;
                renderer.voice.tone.set_pitch_shift(pitch_shift);
                renderer.voice.tone.set_harmonic_gain(harmonic_gain);
                renderer.voice.tone.set_noise_gain(noise_gain);
                renderer.hop(now.hz, now.loudness, &mut sound[rendered..]);
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
    offline::check(rate, voices, gain_db).map_err(|(name, expected)| match name {
        "gain" => PyValueError::new_err(format!("gain_db is {gain_db}; {expected}")),
        name => PyValueError::new_err(format!("{name} is {voices}; {expected}")),
    })?;
    numbers::numpy(py)?;
    let bytes = contents(py, midi)?;
    let score =
        py.detach(|| Score::parse(&bytes)).map_err(|why| PyValueError::new_err(format!("midi: the file {why}")))?;
    let cut = score.cut.then(|| "the file ends too early; what is missing is not played".to_string());
    for remark in score.remarks.iter().chain(&cut) {
        models::warn(py, &format!("midi: {remark}"))?;
    }
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
    let mut players = Vec::new();
    for part in &score.parts {
        players.push(match own.get(&part.track).or(all.as_ref()) {
            Some(model) => model.clone(),
            None => models::open(py, instrument_for(part.program, &names).map(PathBuf::from))?,
        });
    }
    let gain = offline::linear(gain_db);
    let mut renderer = ScoreRenderer::new(&score, &players, voices, rate, gain).map_err(PyRuntimeError::new_err)?;
    let (mut sound, mut piece) = (Vec::new(), Vec::new());
    while py.detach(|| renderer.next(&mut piece)) {
        sound.extend_from_slice(&piece);
        py.check_signals()?;
    }
    let frames = sound.len() / 2;
    numbers::table(py, sound, frames)
}

/// Returns the contents of a file given by its path, or as bytes.
fn contents(py: Python<'_>, midi: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = midi.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(bytes) = midi.cast::<PyByteArray>() {
        return Ok(bytes.to_vec());
    }
    let path = path(midi)
        .map_err(|kind| PyTypeError::new_err(format!("midi must be bytes, a string or a path, not {kind}")))?;
    py.detach(|| std::fs::read(&path)).map_err(|why| match why.raw_os_error() {
        // From these, Python makes the subclass (as FileNotFoundError) and the usual text.
        Some(number) => {
            let text = why.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_string();
            PyOSError::new_err((number, text, path.into_os_string()))
        }
        None => why.into(),
    })
}
