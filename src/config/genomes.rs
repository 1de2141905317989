//! `[genomes]`: the database of evolved sounds, and the render socket.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::genome::population::Plan;

/// Environment variables of the older service: the database, and the port.
pub const DATABASE_VARIABLE: &str = "DB_PATH";
pub const PORT_VARIABLE: &str = "PORT";

/// Section `[genomes]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genomes {
    /// SQLite database of genomes. Empty: [`DATABASE_VARIABLE`]; without either, the render socket is off.
    pub database: PathBuf,
    /// Address and TCP port of a render socket of its own. Empty: [`PORT_VARIABLE`]; without either, none.
    pub listen: String,
    /// Address ranges of clients that may connect to that port.
    pub allow: Vec<IpNet>,
    /// Maximum number of renders at a time, 1 to 64.
    pub renders: usize,
    /// Longest sound in seconds, 1 to 600.
    pub duration: f64,
    /// Number of compiled genomes kept in memory, 1 to 4096.
    pub cached: usize,
    /// Memory of rendered notes in MB, 1 to 4096.
    pub notes_mb: usize,
    /// Run of evolution that is presented: its name, and how it is begun.
    pub run: String,
    /// Seed of the run.
    pub seed: u64,
    /// Genomes of a generation, 4 to 64.
    pub population: usize,
    /// Seconds of each of its sounds, 0.5 to 20.
    pub sound: f64,
}

impl Default for Genomes {
    fn default() -> Self {
        Genomes {
            database: PathBuf::new(),
            listen: String::new(),
            allow: crate::control::faces::connection::private_ranges(),
            renders: 4,
            duration: 120.0,
            cached: 64,
            notes_mb: 48,
            run: "show".into(),
            seed: 1,
            population: 12,
            sound: 4.0,
        }
    }
}

impl Genomes {
    /// Returns the path of the database, or `None` if there is none.
    pub fn path(&self) -> Option<PathBuf> {
        let named = Some(self.database.clone()).filter(|p| !p.as_os_str().is_empty());
        named.or_else(|| std::env::var_os(DATABASE_VARIABLE).filter(|p| !p.is_empty()).map(PathBuf::from))
    }

    /// Returns how the run of evolution goes.
    pub fn plan(&self) -> Plan {
        Plan { run: self.run.clone(), seed: self.seed, size: self.population, duration: self.sound }
    }

    /// Returns the address of the render socket's own port, or `None` if it has none.
    ///
    /// # Errors
    /// The key and a message, if `listen` is not an address, a port or `off`.
    pub fn address(&self) -> Result<Option<SocketAddr>, (&'static str, String)> {
        let listen = if self.listen.is_empty() {
            std::env::var(PORT_VARIABLE).ok().filter(|p| p.parse::<u16>().is_ok()).unwrap_or_default()
        } else {
            self.listen.clone()
        };
        super::address("genomes.listen", &listen, "0.0.0.0:3000")
    }

    /// Checks all values. An error is the key and a message.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        super::range("genomes.renders", self.renders, 1, 64)?;
        super::range("genomes.duration", self.duration, 1.0, 600.0)?;
        super::range("genomes.cached", self.cached, 1, 4096)?;
        super::range("genomes.notes_mb", self.notes_mb, 1, 4096)?;
        super::range("genomes.population", self.population, 4, 64)?;
        super::range("genomes.sound", self.sound, 0.5, 20.0)?;
        self.plan().check().map_err(|fault| ("genomes.run", fault.to_string()))?;
        self.address().map(drop)
    }
}
