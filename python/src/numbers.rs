//! Arguments and results as Python has them: sample rates, counts, and arrays of samples.

use grooved::ddsp::render::RATES;
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};

/// Returns a sample rate in Hz, rounded to a whole number.
///
/// # Errors
/// ValueError, if it is out of range.
pub fn rate(hz: f64) -> PyResult<u32> {
    let (low, high) = (f64::from(*RATES.start()), f64::from(*RATES.end()));
    if !(low..=high).contains(&hz) {
        return Err(PyValueError::new_err(format!("sample_rate is {hz}; expected {low} to {high} Hz")));
    }
    Ok(hz.round() as u32)
}

/// Returns a number of samples.
///
/// # Errors
/// ValueError, if it is negative.
pub fn count(argument: &str, value: i64) -> PyResult<usize> {
    usize::try_from(value).map_err(|_| PyValueError::new_err(format!("{argument} is {value}; expected 0 or more")))
}

/// Creates a silent buffer.
///
/// # Errors
/// MemoryError, if there is not enough.
pub fn silence(samples: usize) -> PyResult<Vec<f32>> {
    let mut buffer = Vec::new();
    if buffer.try_reserve_exact(samples).is_err() {
        return Err(PyMemoryError::new_err(format!("no memory for {samples} samples")));
    }
    buffer.resize(samples, 0.0);
    Ok(buffer)
}

/// Returns samples as an `array.array` of floats, which needs no further package.
///
/// # Errors
/// MemoryError, if there is not enough.
pub fn array<'py>(py: Python<'py>, samples: &[f32]) -> PyResult<Bound<'py, PyAny>> {
    static ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let bytes = PyBytes::new_with(py, size_of_val(samples), |bytes| {
        for (bytes, sample) in bytes.chunks_exact_mut(size_of::<f32>()).zip(samples) {
            bytes.copy_from_slice(&sample.to_ne_bytes());
        }
        Ok(())
    })?;
    ARRAY.import(py, "array", "array")?.call1(("f", bytes))
}

/// Returns samples as a numpy array.
///
/// # Errors
/// ImportError, if numpy is not installed.
pub fn vector(py: Python<'_>, samples: Vec<f32>) -> PyResult<Bound<'_, PyArray1<f32>>> {
    py.import("numpy")?;
    Ok(PyArray1::from_vec(py, samples))
}

/// Returns rows of equal length as a two-dimensional numpy array.
///
/// # Errors
/// ImportError, if numpy is not installed.
pub fn table<'py>(py: Python<'py>, samples: Vec<f32>, rows: usize) -> PyResult<Bound<'py, PyAny>> {
    let columns = samples.len() / rows.max(1);
    Ok(vector(py, samples)?.reshape([rows, columns])?.into_any())
}

/// Returns an array-like argument as numbers, of its own shape, or broadcast to `shape`.
///
/// # Errors
/// TypeError or ValueError, with the name of the argument.
pub fn curve<'py>(
    value: &Bound<'py, PyAny>,
    argument: &str,
    shape: Option<&[usize]>,
) -> PyResult<PyReadonlyArrayDyn<'py, f64>> {
    let py = value.py();
    let numpy = py.import("numpy")?;
    let array = numpy.call_method1("asarray", (value, "float64")).map_err(|why| {
        let text = format!("{argument}: {}; expected numbers", why.value(py));
        if why.is_instance_of::<PyTypeError>(py) { PyTypeError::new_err(text) } else { PyValueError::new_err(text) }
    })?;
    let array = match shape {
        None => array,
        Some(shape) => numpy.call_method1("broadcast_to", (array.clone(), shape.to_vec())).map_err(|_| {
            let has = array.getattr("shape").map_or_else(|_| "?".into(), |shape| shape.to_string());
            let wanted: Vec<String> = shape.iter().map(usize::to_string).collect();
            PyValueError::new_err(format!(
                "{argument} has shape {has}; expected a number, or a shape that fits that of f0s, ({})",
                wanted.join(", ")
            ))
        })?,
    };
    Ok(array
        .cast_into::<PyArrayDyn<f64>>()
        .map_err(|_| PyTypeError::new_err(format!("{argument}: expected numbers")))?
        .readonly())
}
