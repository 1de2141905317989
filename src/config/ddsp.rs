//! `[ddsp]`: instruments, and the DDSP stream.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Environment variable with the path of the older server's model.
pub const MODEL_VARIABLE: &str = "DDSP_MODEL_PATH";

/// Section `[ddsp]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ddsp {
    /// Address and TCP port of the stream. Empty, `off` or `0` disables it.
    pub listen: String,
    /// Address ranges of clients that may connect.
    pub allow: Vec<IpNet>,
    /// Initial instrument: a name or the path of a file. Empty: [`MODEL_VARIABLE`], else the violin.
    pub instrument: String,
    /// Folder of instruments. Empty: the default folders.
    pub models: PathBuf,
    /// Voices per client, 1 to 32.
    pub voices: usize,
    /// Maximum number of clients at a time, 1 to 64.
    pub clients: usize,
    /// Length of a frame in milliseconds, 2 to 500.
    pub frame_ms: f64,
    /// Maximum number of clients also mixed to the outputs at a time, 0 to 8.
    pub monitors: usize,
}

impl Default for Ddsp {
    fn default() -> Self {
        Ddsp {
            listen: "0.0.0.0:8765".into(),
            allow: crate::control::faces::connection::private_ranges(),
            instrument: String::new(),
            models: PathBuf::new(),
            voices: 8,
            clients: 16,
            frame_ms: 20.0,
            monitors: 0,
        }
    }
}

impl Ddsp {
    /// Returns the address of the stream, or `None` if it is disabled.
    ///
    /// # Errors
    /// The key and a message, if `listen` is not an address, a port or `off`.
    pub fn address(&self) -> Result<Option<SocketAddr>, (&'static str, String)> {
        super::address("ddsp.listen", &self.listen, "0.0.0.0:8765")
    }

    /// Returns the initial instrument: a name or a path.
    pub fn first(&self) -> String {
        if !self.instrument.is_empty() {
            return self.instrument.clone();
        }
        // In the older server the variable was always a path.
        match std::env::var(MODEL_VARIABLE) {
            Ok(path) if path.contains(['/', '.']) => path,
            Ok(path) if !path.is_empty() => format!("./{path}"),
            _ => "violin".into(),
        }
    }

    /// Checks all values. An error is the key and a message.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        super::range("ddsp.voices", self.voices, 1, 32)?;
        super::range("ddsp.clients", self.clients, 1, 64)?;
        super::range("ddsp.monitors", self.monitors, 0, 8)?;
        super::range("ddsp.frame_ms", self.frame_ms, 2.0, 500.0)?;
        self.address().map(drop)
    }
}
