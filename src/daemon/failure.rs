//! Why the program ended, and its exit codes.

use crate::config::ConfigError;

/// Why the program ended. Each variant has an exit code, from sysexits.h where it has one.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is invalid, so a restart will not help.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// None of the OSC ports could be opened.
    #[error("no OSC port could be opened: {0}")]
    Ports(String),
    /// Realtime scheduling is required by the configuration and was refused.
    #[error("realtime is required (system.realtime), but {0}")]
    Realtime(String),
    /// An input file (music, MIDI, model) is invalid or damaged.
    #[error("{0}")]
    Data(String),
    /// `grooved doctor` found this many problems that cause audible faults.
    #[error("{0} of the checks failed")]
    Ill(usize),
    /// An operation of the system failed.
    #[error("{0}")]
    Io(String),
    /// The command line is invalid.
    #[error("{0}")]
    Usage(String),
    /// A command that keeps the exit codes of the program it replaces.
    #[error("{text}")]
    Own {
        /// Exit code.
        code: u8,
        /// Why.
        text: String,
    },
}

/// Subcommands that keep the exit codes of what they replace.
const OLDER: [&str; 3] = ["sections", "play-set", "run-plan"];
/// Exit code of an invalid command line.
const EX_USAGE: i32 = 64;
/// Exit code of an invalid command line in commands that keep the codes of what they replace.
pub const OLDER_USAGE: u8 = 2;
/// Exit code after Ctrl-C in such commands.
pub const INTERRUPTED: u8 = 130;

/// Returns the exit code of an invalid command line of this process.
pub fn usage_code() -> i32 {
    // The rest of it may be invalid before a subcommand was recognised.
    let is_older = std::env::args_os().skip(1).any(|argument| OLDER.iter().any(|name| argument == *name));
    if is_older { i32::from(OLDER_USAGE) } else { EX_USAGE }
}

/// Returns the failure of an invalid command line in commands that keep the exit codes of what they replace.
pub fn older_usage(text: String) -> Failure {
    Failure::Own { code: OLDER_USAGE, text }
}

impl Failure {
    /// Returns the exit code of the process.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Ill(_) => 1,
            Failure::Own { code, .. } => *code,
            Failure::Usage(_) => EX_USAGE as u8,
            Failure::Data(_) => 65,
            Failure::Ports(_) => 69,
            Failure::Io(_) => 74,
            Failure::Realtime(_) => 77,
            Failure::Config(_) => 78,
        }
    }
}
