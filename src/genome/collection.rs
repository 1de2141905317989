//! The database of the configuration, opened when it is first needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::address::Address;
use super::fault::Fault;
use super::read::Genome;
use super::store::Store;
use super::take::Take;

/// The message for requests of genomes if there is no collection.
pub const NO_DATABASE: &str = "no database of genomes is configured (genomes.database)";

/// Gives genomes by id. A database that cannot be opened is tried again with the next request, so one that appears
/// later, or takes the place of another, is used. Calls block on the disk.
#[derive(Debug)]
pub struct Collection {
    path: PathBuf,
    cached: usize,
    longest: f64,
    store: Mutex<Option<Arc<Store>>>,
}

impl Collection {
    /// A database at `path`, of which `cached` compiled genomes are kept; sounds may last up to `longest` seconds.
    pub fn new(path: PathBuf, cached: usize, longest: f64) -> Collection {
        Collection { path, cached, longest, store: Mutex::new(None) }
    }

    /// Path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The longest sound in seconds.
    pub fn longest(&self) -> f64 {
        self.longest
    }

    /// The open database.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn store(&self) -> Result<Arc<Store>, Fault> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that was removed or replaced is not read any more.
        if let Some(store) = store.as_ref().filter(|store| store.is_current()) {
            return Ok(store.clone());
        }
        *store = None;
        let opened = Arc::new(Store::open(&self.path, self.cached)?);
        *store = Some(opened.clone());
        Ok(opened)
    }

    /// A genome, ready to render.
    ///
    /// # Errors
    /// If the database cannot be read, has no such genome, or the genome cannot be rendered.
    pub fn genome(&self, id: &str) -> Result<Arc<Genome>, Fault> {
        self.store()?.get(id)
    }

    /// Starts a render, on a thread that also reads the genome.
    ///
    /// # Errors
    /// If the sound is longer than allowed, or the thread cannot be started.
    pub fn take(self: &Arc<Self>, address: &Address) -> Result<Take, Fault> {
        self.check(address)?;
        let (collection, id) = (self.clone(), address.id.clone());
        Take::start(move || collection.genome(&id), address.sound, None)
    }

    /// Checks the length of a sound.
    ///
    /// # Errors
    /// If it is longer than allowed.
    pub fn check(&self, address: &Address) -> Result<(), Fault> {
        if address.sound.duration > self.longest {
            return Err(Fault::Argument {
                argument: "duration",
                received: address.sound.duration.to_string(),
                expected: format!("at most {} seconds (genomes.duration)", self.longest),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_appears_or_is_replaced_is_used() {
        let folder = std::env::temp_dir().join(format!("grooved-collection-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let data = |name: &str| {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/genomes");
            std::fs::read(fixtures.join(name)).unwrap()
        };
        let collection = Collection::new(folder.join("genomes.sqlite"), 4, 10.0);
        let why = collection.genome("a").unwrap_err().to_string();
        assert!(why.contains("there is no such file"), "{why}");
        super::super::import(collection.path(), "a", &data("01KSFIX000.json.gz")).unwrap();
        let first = collection.genome("a").unwrap();
        let other = folder.join("other.sqlite");
        super::super::import(&other, "a", &data("01KSFIX007.json.gz")).unwrap();
        for file in ["genomes.sqlite-wal", "genomes.sqlite-shm"] {
            let _ = std::fs::remove_file(folder.join(file));
        }
        std::fs::rename(&other, collection.path()).unwrap();
        assert_ne!(collection.genome("a").unwrap().patch.nodes.len(), first.patch.nodes.len());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
