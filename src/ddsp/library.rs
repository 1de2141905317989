//! Where instruments are found by their names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::model::{Model, ModelError};

/// Folders that are looked into, if none is named: where the program was started, and, from the program's own folder on,
/// where an installation puts them, and where they lie in a checkout.
const FOLDERS: [&str; 3] = ["models", "../share/grooved/models", "../../models"];

/// Why there is no such instrument.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Its file is no instrument, or not there.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No instrument has that name.
    #[error("there is no instrument '{name}': {} would be right, or the path of an .onnx file", or_none(there))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        there: Vec<String>,
    },
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none are installed, so 'make model'".into() } else { names.join(", ") }
}

/// A folder of instruments.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
}

impl Library {
    /// The instruments of a folder; of the usual ones, if none is given.
    pub fn new(folder: Option<&Path>) -> Library {
        let program = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf)).unwrap_or_default();
        let [here, installed, checkout] = FOLDERS;
        let places = [PathBuf::from(here), program.join(installed), program.join(checkout)];
        let usual = || places.into_iter().find(|f| f.is_dir()).unwrap_or_else(|| here.into());
        Library { folder: folder.map_or_else(usual, Path::to_path_buf) }
    }

    /// Names of all instruments, in order. Reads a folder. Realtime: no.
    pub fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = files
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "onnx"))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_string()))
            .collect();
        names.sort();
        names
    }

    /// Opens an instrument, by its name or by the path of a file. Realtime: no.
    ///
    /// # Errors
    /// What is wrong with the file, or which instruments there are.
    pub fn open(&self, name: &str) -> Result<Model, LibraryError> {
        Ok(Model::open(&self.find(name)?)?)
    }

    /// The file of an instrument, which is not opened. Realtime: no.
    ///
    /// # Errors
    /// Which instruments there are, or that there is no such file.
    pub fn find(&self, name: &str) -> Result<PathBuf, LibraryError> {
        if name.contains('/') || [".onnx", ".tflite"].iter().any(|end| name.ends_with(end)) {
            let path = PathBuf::from(name);
            Model::look(&path)?;
            return Ok(path);
        }
        let there = self.names();
        if !there.iter().any(|n| n == name) {
            return Err(LibraryError::Unknown { name: name.chars().take(60).collect(), there });
        }
        Ok(self.folder.join(format!("{name}.onnx")))
    }
}

/// A library, and what has been taken out of it: each instrument is read once, whoever plays it.
#[derive(Debug)]
pub struct Shelf {
    /// Where instruments are.
    pub library: Library,
    models: Mutex<HashMap<String, Model>>,
}

impl Shelf {
    /// With nothing taken out yet.
    pub fn new(library: Library) -> Shelf {
        Shelf { library, models: Mutex::default() }
    }

    /// An instrument by its name. Blocks for tens of milliseconds the first time. Realtime: no.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn model(&self, name: &str) -> Result<Model, String> {
        if let Some(model) = self.models.lock().ok().and_then(|models| models.get(name).cloned()) {
            return Ok(model);
        }
        let model = self.library.open(name).map_err(|e| e.to_string())?;
        if let Ok(mut models) = self.models.lock() {
            models.insert(name.into(), model.clone());
        }
        Ok(model)
    }
}
