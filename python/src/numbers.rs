//! Arguments and results as Python has them: sample rates, counts, and arrays of samples.

use grooved::ddsp::render::RATES;
use numpy::ndarray::ArrayD;
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyBytes, PyType};

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

/// Creates an empty buffer with room for samples.
///
/// # Errors
/// MemoryError, if there is not enough.
pub fn room(samples: usize) -> PyResult<Vec<f32>> {
    let mut buffer = Vec::new();
    match buffer.try_reserve_exact(samples) {
        Ok(()) => Ok(buffer),
        Err(_) => Err(PyMemoryError::new_err(format!("no memory for {samples} samples"))),
    }
}

/// Returns the module numpy. It is imported once: an import in a thread that outlives the interpreter would end the
/// process.
///
/// # Errors
/// ImportError, if it is not installed.
pub fn numpy(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static NUMPY: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Ok(NUMPY.get_or_try_init(py, || Ok::<_, PyErr>(py.import("numpy")?.unbind()))?.bind(py))
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
    numpy(py)?;
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

/// An array-like argument.
pub struct Curve {
    argument: &'static str,
    values: ArrayD<f64>,
}

impl Curve {
    /// Reads an argument of at most two dimensions.
    ///
    /// # Errors
    /// TypeError or ValueError, with the name of the argument; or what the conversion raises.
    pub fn read(value: &Bound<'_, PyAny>, argument: &'static str) -> PyResult<Curve> {
        let py = value.py();
        // A copy: fields of records are not aligned.
        let options = [("order", "C")].into_py_dict(py)?;
        let array = numpy(py)?.call_method("array", (value, "float64"), Some(&options)).map_err(|why| {
            let text = format!("{argument}: {}; expected numbers", why.value(py));
            let reworded = match why.is_instance_of::<PyTypeError>(py) {
                true => PyTypeError::new_err(text),
                false if why.is_instance_of::<PyValueError>(py) => PyValueError::new_err(text),
                false => return why,
            };
            reworded.set_cause(py, Some(why));
            reworded
        })?;
        let dimensions: usize = array.getattr("ndim")?.extract()?;
        if dimensions > 2 {
            let text = format!("{argument} has {dimensions} dimensions; expected at most two");
            return Err(PyValueError::new_err(text));
        }
        let wrong = |_| PyTypeError::new_err(format!("{argument}: expected numbers"));
        let values = array.cast_into::<PyArrayDyn<f64>>().map_err(wrong)?.to_owned_array();
        Ok(Curve { argument, values })
    }

    /// Returns the shape.
    pub fn shape(&self) -> &[usize] {
        self.values.shape()
    }

    /// Returns the shape as Python writes it.
    pub fn shape_text(&self) -> String {
        shape_text(self.shape())
    }

    /// Returns the values row by row, repeated to fit a shape.
    ///
    /// # Errors
    /// ValueError, if the own shape does not fit.
    pub fn spread(&self, shape: &[usize]) -> PyResult<Vec<f64>> {
        let spread = self.values.broadcast(shape).ok_or_else(|| {
            let wanted = match shape {
                [] => "a number, because times is given".to_string(),
                _ => format!("a number, or a shape that fits that of f0s, {}", shape_text(shape)),
            };
            PyValueError::new_err(format!("{} has shape {}; expected {wanted}", self.argument, self.shape_text()))
        })?;
        Ok(spread.iter().copied().collect())
    }
}

fn shape_text(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}
