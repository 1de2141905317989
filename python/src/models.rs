//! Models by name or path: the rules, and the models that are kept open.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
/// Texts of the warnings that have been issued.
static ANNOUNCED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Identifies a model: the file as it is now, or an embedded instrument.
#[derive(Clone, Debug, PartialEq)]
enum Key {
    Embedded(&'static str),
    File(PathBuf, Version),
}

/// State of a file: what changes if another one takes its place.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Version {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Finds and opens a model: a name of an embedded instrument, or a path. Without either, that of the environment variable
/// `DDSP_MODEL_PATH`, or else the violin.
///
/// # Errors
/// RuntimeError, "Failed to load model: PATH: reason".
pub fn open(py: Python<'_>, wanted: Option<PathBuf>) -> PyResult<Model> {
    let from_environment = || std::env::var_os(DEFAULT).filter(|path| !path.is_empty()).map(PathBuf::from);
    let (wanted, origin) = match (wanted, from_environment()) {
        (Some(wanted), _) => (wanted, String::new()),
        (None, Some(wanted)) => (wanted, format!(" (from {DEFAULT})")),
        (None, None) => (FALLBACK.into(), String::new()),
    };
    let failed = |reason: String| failed(&wanted, &(reason + &origin));
    let (key, replaced) = choose(&wanted).map_err(failed)?;
    let model = read(py, &key).map_err(|reason| match (&key, replaced) {
        (Key::File(path, _), true) => failed(format!("{}: {reason}", path.display())),
        _ => failed(reason),
    })?;
    if replaced {
        let title = match &key {
            Key::Embedded(name) => format!("the instrument '{name}'"),
            Key::File(path, _) => path.display().to_string(),
        };
        announce(py, format!("{}: {title} is played in place of this TensorFlow Lite model", wanted.display()))?;
    }
    Ok(model)
}

/// Opens an embedded instrument.
///
/// # Errors
/// RuntimeError, if it cannot be set up.
pub fn embedded(py: Python<'_>, name: &'static str) -> PyResult<Model> {
    read(py, &Key::Embedded(name)).map_err(|reason| failed(Path::new(name), &reason))
}

fn failed(path: &Path, reason: &str) -> PyErr {
    let path = if path.as_os_str().is_empty() { "''".into() } else { path.display().to_string() };
    PyRuntimeError::new_err(format!("Failed to load model: {path}: {reason}"))
}

/// Issues a UserWarning.
///
/// # Errors
/// The warning itself, if warnings are errors.
pub fn warn(py: Python<'_>, text: &str) -> PyResult<()> {
    let text = CString::new(text.replace('\0', "")).unwrap_or_default();
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)
}

/// Warns once.
fn announce(py: Python<'_>, text: String) -> PyResult<()> {
    if !lock(&ANNOUNCED).contains(&text) {
        warn(py, &text)?;
        lock(&ANNOUNCED).insert(text);
    }
    Ok(())
}

/// Chooses what is played for a name or path; also returns whether it replaces a TensorFlow Lite model.
fn choose(wanted: &Path) -> Result<(Key, bool), String> {
    let text = wanted.to_string_lossy();
    let embedded = |name: &str| shipped::names().find(|own| own.eq_ignore_ascii_case(name)).map(Key::Embedded);
    if let Some(key) = embedded(&text) {
        return Ok((key, false));
    }
    let known = shipped::names().collect::<Vec<_>>().join(", ");
    if wanted.extension().is_some_and(|end| end.eq_ignore_ascii_case("tflite")) {
        if let Ok(key) = file(&wanted.with_extension("onnx")) {
            return Ok((key, true));
        }
        let stem = wanted.file_stem().unwrap_or_default().to_string_lossy();
        return embedded(&stem).map(|key| (key, true)).ok_or_else(|| {
            format!(
                "TensorFlow Lite models cannot be played, and no instrument is called '{stem}' ({known}); convert it: \
                 python3 models/convert.py {text}"
            )
        });
    }
    match file(wanted) {
        Err(why) if wanted.components().count() == 1 && wanted.extension().is_none() => {
            Err(format!("{why}; expected the name of an instrument ({known}) or the path of an .onnx file"))
        }
        found => found.map(|key| (key, false)),
    }
}

/// Returns the key of a file as it is now.
fn file(path: &Path) -> Result<Key, String> {
    let data = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !data.is_file() {
        return Err("not a file".into());
    }
    let version = Version {
        device: data.dev(),
        inode: data.ino(),
        bytes: data.size(),
        modified: (data.mtime(), data.mtime_nsec()),
        changed: (data.ctime(), data.ctime_nsec()),
    };
    Ok(Key::File(std::path::absolute(path).map_err(|e| e.to_string())?, version))
}

/// Returns the model of a key, from those that are open if it is there.
///
/// The interpreter's lock is held meanwhile: a process that forks must not copy the locks of a model that is half read, here
/// or in tract.
fn read(_: Python<'_>, key: &Key) -> Result<Model, String> {
    let mut open = lock(&OPEN);
    if let Some((_, model)) = open.iter().find(|(known, _)| known == key) {
        return Ok(model.clone());
    }
    let model = match key {
        Key::Embedded(name) => shipped::open(name).expect("names of embedded instruments come from their list"),
        Key::File(path, _) => Model::open(path),
    }
    .map_err(|why| match why {
        ModelError::Missing { why, .. } => why.to_string(),
        ModelError::Contract { why, .. } => format!("not a valid instrument: {why}"),
        ModelError::Arithmetic { why, .. } => format!("it cannot be run: {why}"),
        ModelError::NoModel { .. } => "not an ONNX model: expected one from 'make model' or models/convert.py".into(),
        other => other.to_string(),
    })?;
    if let Key::File(path, _) = key {
        // An older state of the same file.
        open.retain(|(known, _)| !matches!(known, Key::File(other, _) if other == path));
    }
    let surplus = (open.len() + 1).saturating_sub(MOST_OPEN);
    open.drain(..surplus);
    open.push((key.clone(), model.clone()));
    Ok(model)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
