//! An instrument and what it is made for.

use std::path::PathBuf;

use grooved::ddsp::model::Model;
use grooved::ddsp::shipped;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::models;

/// An instrument: an embedded one by its name, or that of an .onnx file.
///
/// model_path: as in DDSPProcessor.
///
/// Raises RuntimeError ("Failed to load model: PATH: reason") if there is no such instrument.
#[pyclass(frozen, module = "ddsp_python")]
pub struct Instrument {
    /// The opened model.
    pub model: Model,
}

#[pymethods]
impl Instrument {
    #[new]
    #[pyo3(signature = (model_path=None))]
    fn new(py: Python<'_>, model_path: Option<&Bound<'_, PyAny>>) -> PyResult<Instrument> {
        Ok(Instrument { model: chosen(py, "model_path", model_path)? })
    }

    /// Name of the instrument.
    #[getter]
    fn name(&self) -> &str {
        &self.model.contract().instrument
    }

    /// Licence of its weights.
    #[getter]
    fn licence(&self) -> &str {
        &self.model.contract().licence
    }

    /// Source of its training material.
    #[getter]
    fn provenance(&self) -> &str {
        &self.model.contract().provenance
    }

    /// Date on which it was made.
    #[getter]
    fn date(&self) -> &str {
        &self.model.contract().date
    }

    /// Seconds from one value of the controls to the next.
    #[getter]
    fn hop_s(&self) -> f64 {
        let contract = self.model.contract();
        contract.hop as f64 / f64::from(contract.sample_rate)
    }

    /// Ranges of its training material, as pairs of the lowest and the highest value: "f0" in Hz, "midi" as MIDI numbers,
    /// "loudness" (0 and 1), and "dbfs", the RMS levels at those two, in dBFS. Other pitches sound as well.
    #[getter]
    fn ranges<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let contract = self.model.contract();
        let (low, high) = contract.pitch_range;
        let hz = |midi: f64| 440.0 * ((midi - 69.0) / 12.0).exp2();
        let ranges = PyDict::new(py);
        ranges.set_item("f0", (hz(low), hz(high)))?;
        ranges.set_item("midi", (low, high))?;
        ranges.set_item("loudness", (0.0, 1.0))?;
        ranges.set_item("dbfs", contract.loudness_range)?;
        Ok(ranges)
    }

    fn __repr__(&self) -> String {
        let contract = self.model.contract();
        let (low, high) = contract.pitch_range;
        format!("<Instrument '{}', MIDI {low:.0} to {high:.0}>", contract.instrument)
    }
}

/// Returns the embedded instruments, sorted by name.
#[pyfunction]
pub fn instruments(py: Python<'_>) -> PyResult<Vec<Instrument>> {
    shipped::names().map(|name| Ok(Instrument { model: models::embedded(py, name)? })).collect()
}

/// Returns the model of an argument: an Instrument, a name, a path, or None.
///
/// # Errors
/// TypeError, or what [`models::open`] raises.
pub fn chosen(py: Python<'_>, argument: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Model> {
    let Some(value) = value else { return models::open(py, None) };
    if let Ok(instrument) = value.cast::<Instrument>() {
        return Ok(instrument.get().model.clone());
    }
    let path = path(value).map_err(|kind| {
        PyTypeError::new_err(format!("{argument} must be a string, a path or an Instrument, not {kind}"))
    })?;
    models::open(py, Some(path))
}

/// Returns a path given as str, bytes or os.PathLike; else the name of the value's type.
pub fn path(value: &Bound<'_, PyAny>) -> Result<PathBuf, String> {
    let text = value.py().import("os").and_then(|os| os.call_method1("fsdecode", (value,)));
    text.and_then(|text| text.extract())
        .map_err(|_| value.get_type().name().map_or("that".into(), |name| name.to_string()))
}
