//! The database of genomes, and those that were compiled last.
//!
//! Schema of the older service: `genomes (id TEXT PRIMARY KEY, data BLOB)`, where `data` is gzip of JSON, and
//! `metadata (key TEXT PRIMARY KEY, value TEXT)`. It is read while other programs write to it.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::fault::Fault;
use super::read::Genome;

/// How long a reader waits for a writer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest id.
const MAX_ID: usize = 128;
/// The most bytes of a compressed genome.
const MAX_STORED: i64 = 4 << 20;

fn database(e: &rusqlite::Error) -> Fault {
    Fault::Database(e.to_string())
}

/// Device and number of the file that a path leads to.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| (m.dev(), m.ino()))
}

fn missing(path: &Path) -> Fault {
    Fault::Database(format!(
        "{}: there is no such file; 'grooved genomes import' and 'grooved genomes evolve' create one",
        path.display()
    ))
}

/// Why a database cannot be opened, with what helps.
fn unusable(path: &Path, error: &rusqlite::Error) -> Fault {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            "; the file and its folder must be writable, unless its journal_mode is DELETE and it is only read"
        }
        Some(ErrorCode::Unknown) => "; it is not a database of genomes",
        _ => "",
    };
    Fault::Database(format!("{}: {error}{hint}", path.display()))
}

/// A genome in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    /// Compressed size in bytes.
    pub bytes: u64,
}

/// Reads genomes by id. Calls block on the disk.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    /// The genome used last stands last.
    recent: VecDeque<Recent>,
    capacity: usize,
}

/// A compiled genome, and the bytes it was made of.
#[derive(Debug)]
struct Recent {
    id: String,
    /// State of the database in which these were its bytes; it changes when another program writes.
    version: i64,
    data: Vec<u8>,
    genome: Arc<Genome>,
}

impl Store {
    /// Opens the database read-only; `capacity` compiled genomes are kept.
    pub fn open(path: &Path, capacity: usize) -> Result<Self, Fault> {
        let connection = readable(path)?;
        let identity = identity(path);
        let inner = Inner { connection, recent: VecDeque::new(), capacity: capacity.max(1) };
        Ok(Self { path: path.into(), identity, inner: Mutex::new(inner) })
    }

    /// Returns whether the path still leads to the file that was opened.
    pub fn is_current(&self) -> bool {
        identity(&self.path) == self.identity
    }

    /// Path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of genomes.
    pub fn count(&self) -> Result<u64, Fault> {
        let count = self.inner().connection.query_row("SELECT count(*) FROM genomes", [], |row| row.get::<_, i64>(0));
        count.map(|n| n.unsigned_abs()).map_err(|e| database(&e))
    }

    /// All genomes, by id.
    pub fn list(&self) -> Result<Vec<Entry>, Fault> {
        let inner = self.inner();
        let sql = "SELECT CAST(coalesce(id, '') AS TEXT), coalesce(length(data), 0) FROM genomes ORDER BY id";
        let mut statement = inner.connection.prepare(sql).map_err(|e| database(&e))?;
        let entry =
            |row: &rusqlite::Row<'_>| Ok(Entry { id: row.get(0)?, bytes: row.get::<_, i64>(1)?.unsigned_abs() });
        let rows = statement.query_map([], entry).map_err(|e| database(&e))?;
        rows.collect::<Result<_, _>>().map_err(|e| database(&e))
    }

    /// The stored bytes of a genome: gzip of JSON.
    pub fn data(&self, id: &str) -> Result<Vec<u8>, Fault> {
        self.inner().data(id)
    }

    /// A genome ready to render, from memory if it was used lately and has not been changed.
    pub fn get(&self, id: &str) -> Result<Arc<Genome>, Fault> {
        let mut inner = self.inner();
        let version = version(&inner.connection)?;
        let known = inner.recent.iter().position(|recent| recent.id == id).and_then(|at| inner.recent.remove(at));
        if let Some(recent) = known.as_ref().filter(|recent| recent.version == version) {
            let genome = recent.genome.clone();
            inner.recent.extend(known);
            return Ok(genome);
        }
        let data = inner.data(id)?;
        drop(inner);
        // Most writes concern other genomes, or votes.
        let genome = match known.filter(|recent| recent.data == data) {
            Some(recent) => recent.genome,
            None => Arc::new(Genome::from_bytes(&data)?),
        };
        let mut inner = self.inner();
        inner.recent.retain(|recent| recent.id != id);
        inner.recent.push_back(Recent { id: id.into(), version, data, genome: genome.clone() });
        while inner.recent.len() > inner.capacity {
            inner.recent.pop_front();
        }
        Ok(genome)
    }
}

impl Inner {
    fn data(&self, id: &str) -> Result<Vec<u8>, Fault> {
        if id.is_empty() || id.len() > MAX_ID {
            let expected = format!("1 to {MAX_ID} bytes");
            return Err(Fault::Argument {
                argument: "genomeId",
                received: format!("{} bytes long", id.len()),
                expected,
            });
        }
        let sql = "SELECT coalesce(length(data), 0) FROM genomes WHERE id = ?1";
        let size: Option<i64> =
            self.connection.query_row(sql, [id], |row| row.get(0)).optional().map_err(|e| database(&e))?;
        let size = size.ok_or_else(|| Fault::NotFound(id.into()))?;
        if size > MAX_STORED {
            let (found, limit) = (size.unsigned_abs() as usize, MAX_STORED as usize);
            return Err(Fault::TooLarge { what: "compressed size in bytes", found, limit });
        }
        let sql = "SELECT coalesce(data, x'') FROM genomes WHERE id = ?1 AND length(data) <= ?2";
        let data = self.connection.query_row(sql, (id, MAX_STORED), |row| row.get(0)).optional();
        data.map_err(|e| database(&e))?.ok_or_else(|| Fault::Malformed(format!("'{id}' holds no data")))
    }
}

fn version(connection: &Connection) -> Result<i64, Fault> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0)).map_err(|e| database(&e))
}

/// Opens a database for writing, which is made if there is none.
///
/// # Errors
/// If it cannot be opened or written.
pub(super) fn writable(path: &Path) -> Result<Connection, Fault> {
    let is_new = identity(path).is_none();
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        // An existing database keeps its own.
        if is_new {
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS genomes (id TEXT PRIMARY KEY, data BLOB);
             CREATE TABLE IF NOT EXISTS metadata (key TEXT PRIMARY KEY, value TEXT);",
        )?;
        Ok(connection)
    };
    open().map_err(|e| unusable(path, &e))
}

/// Opens an existing database for reading.
///
/// # Errors
/// If there is none, or it cannot be read.
pub(super) fn readable(path: &Path) -> Result<Connection, Fault> {
    identity(path).ok_or_else(|| missing(path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.query_row("SELECT count(*) FROM genomes", [], |row| row.get::<_, i64>(0))?;
        Ok(connection)
    };
    open().map_err(|e| unusable(path, &e))
}

/// Opens an existing database for writing.
///
/// # Errors
/// If there is none, or it cannot be written.
pub(super) fn existing(path: &Path) -> Result<Connection, Fault> {
    identity(path).ok_or_else(|| missing(path))?;
    writable(path)
}

/// A genome that has been checked and compressed.
pub(super) struct Packed<'p> {
    id: &'p str,
    data: Vec<u8>,
}

impl<'p> Packed<'p> {
    /// Checks and compresses a genome; `data` is gzip or plain JSON.
    ///
    /// # Errors
    /// If it is not a genome, or the id is too long.
    pub fn of(id: &'p str, data: &[u8]) -> Result<Self, Fault> {
        Genome::from_bytes(data)?;
        if id.is_empty() || id.len() > MAX_ID {
            let expected = format!("1 to {MAX_ID} bytes");
            return Err(Fault::Argument { argument: "id", received: format!("{} bytes long", id.len()), expected });
        }
        if data.starts_with(&[0x1f, 0x8b]) {
            return Ok(Packed { id, data: data.into() });
        }
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let written = encoder.write_all(data).and_then(|()| encoder.finish());
        Ok(Packed { id, data: written.map_err(|e| Fault::Malformed(format!("gzip: {e}")))? })
    }

    /// Writes it, in place of one of the same id if `replaces`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn write(&self, connection: &Connection, replaces: bool) -> rusqlite::Result<()> {
        let or = if replaces { "OR REPLACE" } else { "" };
        let sql = format!("INSERT {or} INTO genomes (id, data) VALUES (?1, ?2)");
        connection.execute(&sql, (self.id, &self.data)).map(drop)
    }
}

/// Writes a genome into a database, which is made if there is none. `data` is gzip or plain JSON; it is checked.
pub fn import(path: &Path, id: &str, data: &[u8]) -> Result<(), Fault> {
    let packed = Packed::of(id, data)?;
    packed.write(&writable(path)?, true).map_err(|e| Fault::Database(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/genomes").join(name)
    }

    #[test]
    fn a_genome_is_found_again_and_a_write_by_another_program_is_noticed() {
        let folder = std::env::temp_dir().join(format!("grooved-store-{}", std::process::id()));
        let path = folder.join("genomes.sqlite");
        std::fs::create_dir_all(&folder).unwrap();
        let (first, second) = (
            std::fs::read(fixture("01KSFIX000.json.gz")).unwrap(),
            std::fs::read(fixture("01KSFIX007.json.gz")).unwrap(),
        );
        import(&path, "a", &first).unwrap();
        let store = Store::open(&path, 2).unwrap();
        let once = store.get("a").unwrap();
        assert!(Arc::ptr_eq(&once, &store.get("a").unwrap()), "the second time it comes from memory");
        import(&path, "other", &first).unwrap();
        assert!(Arc::ptr_eq(&once, &store.get("a").unwrap()), "another genome was written");
        import(&path, "a", &second).unwrap();
        assert_ne!(once.patch.nodes.len(), store.get("a").unwrap().patch.nodes.len());
        assert_eq!(store.get("' OR '1'='1").unwrap_err(), Fault::NotFound("' OR '1'='1".into()));
        assert_eq!(store.get("b").unwrap_err().to_string(), "Genome b not found");
        assert!(matches!(store.get(""), Err(Fault::Argument { .. })));
        for id in ["b", "c", "d"] {
            import(&path, id, &first).unwrap();
            store.get(id).unwrap();
        }
        ["b", "c", "d"].iter().for_each(|id| drop(store.get(id).unwrap()));
        assert_eq!(store.inner().recent.len(), 2);
        assert_eq!(
            store.list().unwrap().iter().map(|e| e.id.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c", "d", "other"]
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_is_not_a_database_is_named() {
        let text = match Store::open(&fixture("manifest.json"), 1) {
            Err(e) => e.to_string(),
            Ok(_) => panic!("opened"),
        };
        assert!(text.starts_with("genome database: "), "{text}");
    }
}
