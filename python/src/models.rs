//! Models by name or path: the rules, and the models that are kept open.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use grooved::ddsp::model::{Model, ModelError};
use grooved::ddsp::shipped;
use pyo3::exceptions::{PyRuntimeError, PyUserWarning};
use pyo3::prelude::*;

/// Environment variable that names the model if the program does not.
const DEFAULT: &str = "DDSP_MODEL_PATH";
/// The instrument if neither does.
const FALLBACK: &str = "violin";
/// Most models that are kept open.
const MOST_OPEN: usize = 32;

/// The models opened last; the newest stands last.
static OPEN: Mutex<Vec<(Key, Model)>> = Mutex::new(Vec::new());
/// Paths of TensorFlow Lite models for which a replacement has been announced.
static ANNOUNCED: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// Identifies a model: the file as it is now, or an embedded instrument.
#[derive(Clone, Debug, PartialEq)]
enum Key {
    Embedded(&'static str),
    File(PathBuf, u64, Option<SystemTime>),
}

/// Finds and opens a model: a name of an embedded instrument, or a path. Without either, that of the environment variable
/// `DDSP_MODEL_PATH`, or else the violin.
///
/// # Errors
/// RuntimeError, "Failed to load model: PATH: reason".
pub fn open(py: Python<'_>, wanted: Option<PathBuf>) -> PyResult<Model> {
    let from_environment = || std::env::var_os(DEFAULT).filter(|path| !path.is_empty()).map(PathBuf::from);
    let wanted = wanted.or_else(from_environment).unwrap_or_else(|| FALLBACK.into());
    let (key, announcement) = choose(&wanted).map_err(|reason| failed(&wanted, &reason))?;
    if let Some(text) = announcement {
        let text = std::ffi::CString::new(text.replace('\0', "")).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)?;
    }
    let path = match &key {
        // The file beside the one that was named.
        Key::File(path, ..) if is_tflite(&wanted) => path,
        _ => &wanted,
    };
    py.detach(|| read(&key)).map_err(|reason| failed(path, &reason))
}

/// Opens an embedded instrument.
///
/// # Errors
/// RuntimeError, if it cannot be set up.
pub fn embedded(py: Python<'_>, name: &'static str) -> PyResult<Model> {
    py.detach(|| read(&Key::Embedded(name))).map_err(|reason| failed(Path::new(name), &reason))
}

fn failed(path: &Path, reason: &str) -> PyErr {
    let path = if path.as_os_str().is_empty() { "''".into() } else { path.display().to_string() };
    PyRuntimeError::new_err(format!("Failed to load model: {path}: {reason}"))
}

fn is_tflite(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("tflite"))
}

/// Chooses what is played for a name or path; also returns what has to be announced.
fn choose(wanted: &Path) -> Result<(Key, Option<String>), String> {
    let text = wanted.to_string_lossy();
    let embedded = |name: &str| shipped::names().find(|own| own.eq_ignore_ascii_case(name)).map(Key::Embedded);
    if let Some(key) = embedded(&text) {
        return Ok((key, None));
    }
    let known = shipped::names().collect::<Vec<_>>().join(", ");
    if is_tflite(wanted) {
        let converted = wanted.with_extension("onnx");
        let stem = wanted.file_stem().unwrap_or_default().to_string_lossy();
        let (key, title) = if converted.is_file() {
            let named = |why| format!("{}: {why}", converted.display());
            (file(&converted).map_err(named)?, converted.display().to_string())
        } else if let Some(key) = embedded(&stem) {
            (key, format!("the instrument '{}'", stem.to_lowercase()))
        } else {
            return Err(format!(
                "TensorFlow Lite models cannot be played, and no instrument is called '{stem}' ({known}); convert it: \
                 python3 models/convert.py {text}"
            ));
        };
        let first = lock(&ANNOUNCED).get_or_insert_default().insert(wanted.to_path_buf());
        return Ok((key, first.then(|| format!("{text}: {title} is played in place of this TensorFlow Lite model"))));
    }
    match file(wanted) {
        Err(why) if wanted.components().count() == 1 && wanted.extension().is_none() => {
            Err(format!("{why}; expected the name of an instrument ({known}) or the path of an .onnx file"))
        }
        found => found.map(|key| (key, None)),
    }
}

/// Returns the key of a file as it is now.
fn file(path: &Path) -> Result<Key, String> {
    let data = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !data.is_file() {
        return Err("not a file; expected an .onnx file".into());
    }
    let path = std::path::absolute(path).map_err(|e| e.to_string())?;
    Ok(Key::File(path, data.len(), data.modified().ok()))
}

/// Returns the model of a key, from those that are open if it is there.
fn read(key: &Key) -> Result<Model, String> {
    // Locked while a model is read, so that several threads that want the same one read it once.
    let mut open = lock(&OPEN);
    if let Some((_, model)) = open.iter().find(|(known, _)| known == key) {
        return Ok(model.clone());
    }
    let model = match key {
        Key::Embedded(name) => shipped::open(name).expect("names of embedded instruments come from their list"),
        Key::File(path, ..) => Model::open(path),
    }
    .map_err(|why| match why {
        ModelError::Missing { why, .. } => why.to_string(),
        ModelError::Contract { why, .. } => format!("not a valid instrument: {why}"),
        ModelError::Arithmetic { why, .. } => format!("it cannot be run: {why}"),
        ModelError::NoModel { .. } => "not an ONNX model: expected one from 'make model' or models/convert.py".into(),
        other => other.to_string(),
    })?;
    if let Key::File(path, ..) = key {
        // An older state of the same file.
        open.retain(|(known, _)| !matches!(known, Key::File(other, ..) if other == path));
    }
    let surplus = (open.len() + 1).saturating_sub(MOST_OPEN);
    open.drain(..surplus);
    open.push((key.clone(), model.clone()));
    Ok(model)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
