//! Lookup of instruments by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::instrument::Instrument;
use super::model::{Model, ModelError};
use super::notes::{GenomeInstrument, NoteCache};
use crate::genome::{NO_DATABASE, is_address};

/// Default folders, in order: in the working directory, then, relative to the program's folder, where an installation
/// and a checkout keep them.
const FOLDERS: [&str; 3] = ["models", "../share/grooved/models", "../../models"];

/// Error from looking up or opening an instrument.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The model file is missing or is not a valid instrument.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No installed instrument has that name.
    #[error(
        "unknown instrument '{name}': expected a name ({}), the path of an .onnx file, or genome:ID",
        or_none(there)
    )]
    Unknown {
        /// The requested name.
        name: String,
        /// Names of the installed instruments.
        there: Vec<String>,
    },
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none installed; run 'make model'".into() } else { names.join(", ") }
}

/// A folder of instruments.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
}

impl Library {
    /// Creates a library for a folder, or for the first default folder that exists.
    pub fn new(folder: Option<&Path>) -> Library {
        let program = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf)).unwrap_or_default();
        let [here, installed, checkout] = FOLDERS;
        let places = [PathBuf::from(here), program.join(installed), program.join(checkout)];
        let usual = || places.into_iter().find(|f| f.is_dir()).unwrap_or_else(|| here.into());
        Library { folder: folder.map_or_else(usual, Path::to_path_buf) }
    }

    /// Returns the sorted names of all instruments. Reads the folder. Realtime: no.
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

    /// Opens an instrument by its name or by the path of a file. Realtime: no.
    ///
    /// # Errors
    /// If the file is not a valid instrument, or no instrument has that name.
    pub fn open(&self, name: &str) -> Result<Model, LibraryError> {
        Ok(Model::open(&self.find(name)?)?)
    }

    /// Returns the path of an instrument's file without loading it. Realtime: no.
    ///
    /// # Errors
    /// If no instrument has that name, or the file cannot be read.
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

/// Most genomes that are kept open.
const MOST_GENOMES: usize = 16;

/// A cache of opened instruments: each is read once and shared by all voices.
#[derive(Debug)]
pub struct InstrumentCache {
    /// The library that models are read from.
    pub library: Library,
    models: Mutex<HashMap<String, Model>>,
    notes: Option<Arc<NoteCache>>,
    /// By name, the one opened last stands last.
    genomes: Mutex<Vec<(String, GenomeInstrument)>>,
}

impl InstrumentCache {
    /// Creates an empty cache. Genomes are instruments too if there are `notes`.
    pub fn new(library: Library, notes: Option<Arc<NoteCache>>) -> InstrumentCache {
        InstrumentCache { library, models: Mutex::default(), notes, genomes: Mutex::default() }
    }

    /// Returns an instrument by name: that of a model, or `genome:ID`. Blocks, the first time for tens of milliseconds
    /// or as long as it takes to render a note. Realtime: no.
    ///
    /// # Errors
    /// Why there is none.
    pub fn instrument(&self, name: &str) -> Result<Instrument, String> {
        if is_address(name) {
            return self.genome(name).map(Instrument::Genome);
        }
        if let Some(model) = self.models.lock().ok().and_then(|models| models.get(name).cloned()) {
            return Ok(Instrument::Neural(model));
        }
        let model = self.library.open(name).map_err(|e| e.to_string())?;
        if let Ok(mut models) = self.models.lock() {
            models.insert(name.into(), model.clone());
        }
        Ok(Instrument::Neural(model))
    }

    /// Makes sure that there is such an instrument, without opening it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&self, name: &str) -> Result<(), String> {
        if is_address(name) {
            return self.notes().map(drop);
        }
        self.library.find(name).map(drop).map_err(|e| e.to_string())
    }

    fn notes(&self) -> Result<&Arc<NoteCache>, String> {
        self.notes.as_ref().ok_or_else(|| NO_DATABASE.into())
    }

    fn genome(&self, name: &str) -> Result<GenomeInstrument, String> {
        let notes = self.notes()?;
        let known = self.genomes.lock().ok().and_then(|all| all.iter().find(|(n, _)| n == name).cloned());
        // Another program may have changed it in the database.
        if let Some((_, instrument)) = known.filter(|(_, instrument)| instrument.is_current()) {
            return Ok(instrument);
        }
        let instrument = GenomeInstrument::open(notes, name)?;
        if let Ok(mut all) = self.genomes.lock() {
            all.retain(|(n, _)| n != name);
            let surplus = (all.len() + 1).saturating_sub(MOST_GENOMES);
            all.drain(..surplus);
            all.push((name.into(), instrument.clone()));
        }
        Ok(instrument)
    }
}
