//! The ancestry of genomes, in their database.
//!
//! Two tables beside those of the older service, which ignores them: `runs` (how a run of evolution goes) and `lineage`
//! (for each genome its run, generation, parents, changes, and what the audience made of it).

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::super::evolve::{Birth, Stock};
use super::super::fault::Fault;
use super::super::read::json;
use super::super::store::{self, Packed};

/// How a run of evolution goes; fixed when it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name of the run, 1 to 40 characters of `a-z A-Z 0-9 _`; ids of its genomes begin with it.
    pub run: String,
    /// Everything but votes and movement follows from it.
    pub seed: u64,
    /// Genomes of a generation, 4 to 64.
    pub size: usize,
    /// Seconds of each sound, 0.5 to 20.
    pub duration: f64,
}

impl Plan {
    /// Checks the ranges.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn check(&self) -> Result<(), Fault> {
        let wrong = |argument, received: String, expected: &str| {
            Err(Fault::Argument { argument, received, expected: expected.into() })
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.run.is_empty() || self.run.len() > 40 || !self.run.chars().all(is_plain) {
            let received = format!("'{}'", self.run.chars().take(60).collect::<String>());
            return wrong("run", received, "1 to 40 letters, digits or underscores");
        }
        if !(4..=64).contains(&self.size) {
            return wrong("population", self.size.to_string(), "4 to 64 genomes");
        }
        if !(0.5..=20.0).contains(&self.duration) {
            return wrong("duration", self.duration.to_string(), "0.5 to 20 seconds");
        }
        Ok(())
    }
}

/// A genome of a run, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Id in the database.
    pub id: String,
    /// Generation, from 0.
    pub generation: u32,
    /// Place in its generation, from 0.
    pub place: usize,
    /// Ids of its parents, the fitter one first; none in generation 0.
    pub parents: Vec<String>,
    /// What was changed, separated by commas.
    pub changes: String,
    /// Votes for it.
    pub likes: u32,
    /// Votes against it.
    pub dislikes: u32,
    /// Seconds for which it was heard.
    pub heard_s: f64,
    /// Mean movement of the crowd meanwhile, 0 to 1, if a sensor reported it.
    pub movement: Option<f64>,
    /// The automatic judge's score, 0 to 1.
    pub score: f64,
    /// Where the sound lies among others; see [`super::super::evolve::Judgement::features`].
    pub features: [f64; 6],
    /// Largest absolute sample.
    pub peak: f64,
}

impl Candidate {
    /// A genome that has just been bred, as `place` of its generation.
    pub fn new(id: String, generation: u32, place: usize) -> Candidate {
        Candidate {
            id,
            generation,
            place,
            parents: Vec::new(),
            changes: String::new(),
            likes: 0,
            dislikes: 0,
            heard_s: 0.0,
            movement: None,
            score: 0.0,
            features: [0.0; 6],
            peak: 0.0,
        }
    }

    fn of_row(row: &Row<'_>) -> rusqlite::Result<Candidate> {
        let list = |text: String| text.split(',').filter(|t| !t.is_empty()).map(String::from).collect();
        let features: String = row.get(10)?;
        let mut numbers = features.split(',').map(|n| n.parse().unwrap_or(0.0));
        let heard_s: f64 = row.get(7)?;
        let moved: Option<f64> = row.get(8)?;
        Ok(Candidate {
            id: row.get(0)?,
            generation: row.get(1)?,
            place: row.get::<_, u32>(2)? as usize,
            parents: list(row.get(3)?),
            changes: row.get(4)?,
            likes: row.get(5)?,
            dislikes: row.get(6)?,
            heard_s,
            movement: moved,
            score: row.get(9)?,
            features: std::array::from_fn(|_| numbers.next().unwrap_or(0.0)),
            peak: row.get(11)?,
        })
    }
}

/// The tables of one database, for reading and writing.
pub struct Records {
    connection: Connection,
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

const TABLES: &str = "CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, seed INTEGER NOT NULL,
        size INTEGER NOT NULL, duration REAL NOT NULL);
    CREATE TABLE IF NOT EXISTS lineage (id TEXT PRIMARY KEY, run TEXT NOT NULL,
        generation INTEGER NOT NULL, place INTEGER NOT NULL, parents TEXT NOT NULL,
        changes TEXT NOT NULL, likes INTEGER NOT NULL DEFAULT 0, dislikes INTEGER NOT NULL DEFAULT 0,
        heard_s REAL NOT NULL DEFAULT 0, moved REAL NOT NULL DEFAULT 0,
        sensed_s REAL NOT NULL DEFAULT 0, score REAL NOT NULL, features TEXT NOT NULL,
        peak REAL NOT NULL);
    CREATE INDEX IF NOT EXISTS lineage_generation ON lineage (run, generation, place);";

const COLUMNS: &str = "id, generation, place, parents, changes, likes, dislikes, heard_s, \
                       CASE WHEN sensed_s > 0 THEN moved / sensed_s END, score, features, peak";

impl Records {
    /// Opens an existing database, and creates the tables if they are missing.
    ///
    /// # Errors
    /// If there is no database, or it cannot be written.
    pub fn open(path: &Path) -> Result<Records, Fault> {
        let connection = store::existing(path)?;
        let records = Records { connection, path: path.into(), identity: store::identity(path) };
        records.connection.execute_batch(TABLES).map_err(|e| records.wrong(&e))?;
        Ok(records)
    }

    /// Creates an empty database of genomes, unless there is one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path) -> Result<(), Fault> {
        store::writable(path).map(drop)
    }

    /// Opens an existing database for reading only. Without the tables, there are no runs.
    ///
    /// # Errors
    /// If there is no database, or it cannot be read.
    pub fn read(path: &Path) -> Result<Records, Fault> {
        let connection = store::readable(path)?;
        let mut records = Records { connection, path: path.into(), identity: store::identity(path) };
        let sql = "SELECT count(*) FROM sqlite_master WHERE name IN ('runs', 'lineage')";
        let tables: i64 = records.connection.query_row(sql, [], |row| row.get(0)).map_err(|e| records.wrong(&e))?;
        if tables < 2 {
            records.connection = Connection::open_in_memory().map_err(|e| records.wrong(&e))?;
            records.connection.execute_batch(TABLES).map_err(|e| records.wrong(&e))?;
        }
        Ok(records)
    }

    /// Returns whether the path still leads to the file that was opened.
    pub fn is_current(&self) -> bool {
        store::identity(&self.path) == self.identity
    }

    fn wrong(&self, error: &rusqlite::Error) -> Fault {
        Fault::Database(format!("{}: {error}", self.path.display()))
    }

    /// Returns the plan of a run, if it exists.
    ///
    /// # Errors
    /// Those of the database.
    pub fn plan(&self, run: &str) -> Result<Option<Plan>, Fault> {
        let sql = "SELECT seed, size, duration FROM runs WHERE run = ?1";
        let plan = |row: &Row<'_>| {
            let (seed, size): (i64, u32) = (row.get(0)?, row.get(1)?);
            Ok(Plan { run: run.into(), seed: seed.cast_unsigned(), size: size as usize, duration: row.get(2)? })
        };
        self.connection.query_row(sql, [run], plan).optional().map_err(|e| self.wrong(&e))
    }

    /// Names of all runs, in order.
    ///
    /// # Errors
    /// Those of the database.
    pub fn runs(&self) -> Result<Vec<String>, Fault> {
        let query = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare("SELECT run FROM runs ORDER BY run")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        query().map_err(|e| self.wrong(&e))
    }

    /// Begins a run.
    ///
    /// # Errors
    /// Those of the database.
    pub fn begin(&self, plan: &Plan) -> Result<(), Fault> {
        let sql = "INSERT INTO runs (run, seed, size, duration) VALUES (?1, ?2, ?3, ?4)";
        let values = params![plan.run, plan.seed.cast_signed(), plan.size as u32, plan.duration];
        self.connection.execute(sql, values).map(drop).map_err(|e| self.wrong(&e))
    }

    /// Writes a whole generation, or nothing. Returns `false` if another program has written that generation meanwhile.
    ///
    /// # Errors
    /// Those of the database, and if a genome is not valid.
    pub fn add(&mut self, run: &str, members: &[(Candidate, Stock)]) -> Result<bool, Fault> {
        let mut packed = Vec::new();
        for (candidate, stock) in members {
            let birth = Birth { run: run.into(), generation: candidate.generation, parents: candidate.parents.clone() };
            let json = stock.to_json(&candidate.id, &birth).to_string();
            packed.push(Packed::of(&candidate.id, json.as_bytes())?);
        }
        let path = self.path.clone();
        let next = members.first().map_or(0, |(candidate, _)| candidate.generation);
        let mut write = || -> rusqlite::Result<bool> {
            let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = "SELECT coalesce(max(generation) + 1, 0) FROM lineage WHERE run = ?1";
            if change.query_row(sql, [run], |row| row.get::<_, u32>(0))? != next {
                return Ok(false);
            }
            for ((candidate, _), packed) in members.iter().zip(&packed) {
                packed.write(&change, false)?;
                let sql = "INSERT INTO lineage (id, run, generation, place, parents, changes, score, \
                           features, peak) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
                let features = candidate.features.map(|f| f.to_string()).join(",");
                let place = candidate.place as u32;
                let parents = candidate.parents.join(",");
                let Candidate { id, generation, changes, score, peak, .. } = candidate;
                change.execute(sql, params![id, run, generation, place, parents, changes, score, features, peak])?;
            }
            change.commit().map(|()| true)
        };
        write().map_err(|e| Fault::Database(format!("{}: {e}", path.display())))
    }

    /// The newest generation of a run, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub fn newest(&self, run: &str) -> Result<Option<u32>, Fault> {
        let sql = "SELECT max(generation) FROM lineage WHERE run = ?1";
        self.connection.query_row(sql, [run], |row| row.get(0)).map_err(|e| self.wrong(&e))
    }

    /// The members of one generation, or of all, in order.
    ///
    /// # Errors
    /// Those of the database.
    pub fn members(&self, run: &str, generation: Option<u32>) -> Result<Vec<Candidate>, Fault> {
        let sql = format!(
            "SELECT {COLUMNS} FROM lineage WHERE run = ?1 AND (?2 IS NULL OR generation = ?2) \
             ORDER BY generation, place"
        );
        let query = || -> rusqlite::Result<Vec<Candidate>> {
            let mut statement = self.connection.prepare(&sql)?;
            statement.query_map(params![run, generation], Candidate::of_row)?.collect()
        };
        query().map_err(|e| self.wrong(&e))
    }

    /// One genome of any run, and the run's name.
    ///
    /// # Errors
    /// Those of the database, and if no run has it.
    pub fn member(&self, id: &str) -> Result<(Candidate, String), Fault> {
        let sql = format!("SELECT {COLUMNS}, run FROM lineage WHERE id = ?1");
        let found = |row: &Row<'_>| Ok((Candidate::of_row(row)?, row.get(12)?));
        let found = self.connection.query_row(&sql, [id], found).optional().map_err(|e| self.wrong(&e))?;
        found.ok_or_else(|| {
            let id: String = id.chars().take(80).collect();
            let hint = "'grooved genomes ancestry --run NAME' lists those of a run";
            Fault::Request(format!("genome '{id}' belongs to no run of evolution; {hint}"))
        })
    }

    /// Counts votes.
    ///
    /// # Errors
    /// Those of the database, and if no run has it.
    pub fn vote(&self, id: &str, likes: u32, dislikes: u32) -> Result<(), Fault> {
        let sql = "UPDATE lineage SET likes = likes + ?2, dislikes = dislikes + ?3 WHERE id = ?1";
        self.update(id, sql, params![id, likes, dislikes])
    }

    /// Adds seconds for which a genome was heard; of `sensed_s` of them, the crowd's movement (0 to 1) is known to
    /// have been `movement` on average.
    ///
    /// # Errors
    /// Those of the database, and if no run has it.
    pub fn heard(&self, id: &str, heard_s: f64, sensed_s: f64, movement: f64) -> Result<(), Fault> {
        let sql =
            "UPDATE lineage SET heard_s = heard_s + ?2, sensed_s = sensed_s + ?3, moved = moved + ?4 WHERE id = ?1";
        self.update(id, sql, params![id, heard_s, sensed_s, movement * sensed_s])
    }

    fn update(&self, id: &str, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<(), Fault> {
        let changed = self.connection.execute(sql, values).map_err(|e| self.wrong(&e))?;
        if changed == 0 {
            self.member(id)?;
        }
        Ok(())
    }

    /// The genome itself, to be changed.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn stock(&self, id: &str) -> Result<Stock, Fault> {
        let sql = "SELECT data FROM genomes WHERE id = ?1";
        let data: Option<Vec<u8>> =
            self.connection.query_row(sql, [id], |row| row.get(0)).optional().map_err(|e| self.wrong(&e))?;
        Stock::from_json(&json(&data.ok_or_else(|| Fault::NotFound(id.into()))?)?)
    }
}
