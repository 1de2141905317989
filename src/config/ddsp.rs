//! `[ddsp]`: instruments, and the stream of the older clients.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The environment variable by which the older server was told its model.
pub const MODEL_VARIABLE: &str = "DDSP_MODEL_PATH";

/// `[ddsp]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ddsp {
    /// Address and TCP port of the stream; empty or `off`: none.
    pub listen: String,
    /// Who may connect.
    pub allow: Vec<IpNet>,
    /// The instrument at first: a name, or the path of a file; empty: by the environment, else the violin.
    pub instrument: String,
    /// Folder of instruments; empty: the usual ones.
    pub models: PathBuf,
    /// Voices of each client.
    pub voices: usize,
    /// Clients at a time.
    pub clients: usize,
    /// Milliseconds of a frame.
    pub frame_ms: f64,
    /// Clients that may be heard on the speakers as well, at a time.
    pub monitors: usize,
}

impl Default for Ddsp {
    fn default() -> Self {
        Ddsp {
            listen: "0.0.0.0:8765".into(),
            allow: crate::control::connection::private_ranges(),
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
    /// Where the stream is, if anywhere.
    ///
    /// # Errors
    /// What would be right.
    pub fn address(&self) -> Result<Option<SocketAddr>, (&'static str, String)> {
        match self.listen.as_str() {
            "" | "off" | "0" => Ok(None),
            port if port.parse::<u16>().is_ok() => Ok(format!("0.0.0.0:{port}").parse().ok()),
            address => match address.parse() {
                Ok(address) => Ok(Some(address)),
                Err(_) => Err((
                    "ddsp.listen",
                    format!("\"{address}\" is no address; \"0.0.0.0:8765\", a port, or \"off\" would be right"),
                )),
            },
        }
    }

    /// The instrument to begin with.
    pub fn first(&self) -> String {
        if !self.instrument.is_empty() {
            return self.instrument.clone();
        }
        // The older server took a path, whatever its name.
        match std::env::var(MODEL_VARIABLE) {
            Ok(path) if path.contains(['/', '.']) => path,
            Ok(path) if !path.is_empty() => format!("./{path}"),
            _ => "violin".into(),
        }
    }

    /// What is wrong, and what would be right.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        super::range("ddsp.voices", self.voices, 1, 32)?;
        super::range("ddsp.clients", self.clients, 1, 64)?;
        super::range("ddsp.monitors", self.monitors, 0, 8)?;
        super::range("ddsp.frame_ms", self.frame_ms, 2.0, 500.0)?;
        self.address().map(drop)
    }
}
