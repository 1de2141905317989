//! All settings: types, defaults and ranges. Read from TOML, overridden by flags.
//!
//! An invalid file is rejected with its name, the line and the expected value. `config/grooved.toml` documents every
//! key with its default; a test compares the two.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub mod ddsp;
mod fault;
pub mod genomes;
mod layers;
pub mod movement;
pub mod sound;
pub mod voices;

pub use ddsp::Ddsp;
pub use genomes::Genomes;
use ipnet::IpNet;
pub use movement::{Map, Movement};
use serde::{Deserialize, Serialize};
pub use sound::{Interpolation, Limiter};
pub use voices::{Midi, Voices};

use crate::control::conductor::pace::Sync;
use crate::control::faces::dashboard;
use crate::engine::DECKS;
use crate::engine::method::Method;

/// Why a configuration is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The file's content is invalid.
    #[error("{}:{line}: {what}", .path.display())]
    Wrong {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Key, problem and expected value.
        what: String,
    },
}

impl ConfigError {
    fn wrong(path: &Path, line: usize, what: String) -> ConfigError {
        ConfigError::Wrong { path: path.into(), line, what }
    }
}

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Sound card.
    pub output: Output,
    /// Mixer, tempo and limiter.
    pub mixer: Mixer,
    /// Media folders and limits of loaded stems.
    pub media: Media,
    /// OSC ports and access.
    pub osc: Osc,
    /// HTTP and WebSocket port and access.
    pub http: Http,
    /// Saved state.
    pub state: State,
    /// Recordings.
    pub record: Record,
    /// Reserves of high-quality stretching.
    pub stretch: Stretch,
    /// Tempo control by movement.
    pub movement: Movement,
    /// DDSP instruments and their stream.
    pub ddsp: Ddsp,
    /// Evolved sounds and the render socket.
    pub genomes: Genomes,
    /// Instrument voices in the mix.
    pub voices: Voices,
    /// MIDI input.
    pub midi: Midi,
    /// Mappings from measurements to controls.
    #[serde(rename = "map")]
    pub maps: Vec<Map>,
    /// Realtime scheduling, power management and log.
    pub system: System,
}

/// Reads an address and TCP port: a port alone means all addresses, and empty, `off` or `0` none.
///
/// # Errors
/// `key` and a message with `example`, if `listen` is none of these.
fn address(key: &'static str, listen: &str, example: &str) -> Result<Option<SocketAddr>, (&'static str, String)> {
    match listen {
        "" | "off" | "0" => Ok(None),
        port if port.parse::<u16>().is_ok() => Ok(format!("0.0.0.0:{port}").parse().ok()),
        address => address
            .parse()
            .map(Some)
            .map_err(|_| (key, format!("\"{address}\" is not an address; expected \"{example}\", a port, or \"off\""))),
    }
}

/// Returns an error, with the key and a message, if `value` is not between `min` and `max` (inclusive).
fn range<T: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: T,
    min: T,
    max: T,
) -> Result<(), (&'static str, String)> {
    if value >= min && value <= max {
        Ok(())
    } else {
        Err((key, format!("{value} is out of range; must be between {min} and {max}")))
    }
}

/// Section `[output]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// ALSA name, or a number from `grooved devices`. Empty: the best card available.
    pub device: String,
    /// Frames per period, 16 to 8192.
    pub buffer_size: usize,
    /// Periods in the card's buffer, 2 to 32.
    pub periods: usize,
    /// Sample rate in Hz, one of [`SAMPLE_RATES`].
    pub sample_rate: u32,
    /// Channels requested from the card, 1 to 32.
    pub channels: usize,
    /// Output channel pair of each deck, 0 to 3.
    pub deck_pairs: [usize; DECKS],
}

impl Default for Output {
    fn default() -> Self {
        Output {
            device: String::new(),
            buffer_size: 1024,
            periods: 3,
            sample_rate: 48_000,
            channels: 2,
            deck_pairs: [0; DECKS],
        }
    }
}

/// Section `[mixer]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mixer {
    /// Master gain, linear, 0 to 4.
    pub master: f64,
    /// Deck levels, linear, 0 to 4.
    pub levels: [f64; DECKS],
    /// Base tempo in BPM, 20 to 400.
    pub bpm: f64,
    /// Beats per bar, 1 to 64.
    pub meter: i64,
    /// Whether the older servers' equaliser addresses take effect.
    pub filters: bool,
    /// Crossover between low and mid in Hz, 40 to 1000.
    pub eq_low_hz: f64,
    /// Crossover between mid and high in Hz, twice `eq_low_hz` to 15000.
    pub eq_high_hz: f64,
    /// Limiter of the outputs.
    pub limiter: Limiter,
    /// Quality of resampling.
    pub interpolation: Interpolation,
    /// Length of a tempo change in seconds, 0 to 60.
    pub tempo_glide_s: f64,
    /// Seconds that a group start waits for a slow load, 0 to 600.
    pub group_wait_s: f64,
    /// Name of the tempo change method of the decks.
    pub stretch_method: String,
    /// Name of the sync mode of the decks.
    pub sync: String,
}

impl Mixer {
    /// Returns the tempo change method of the decks.
    pub fn method(&self) -> Method {
        self.stretch_method.parse().unwrap_or_default()
    }

    /// Returns how closely decks follow the music clock.
    pub fn sync(&self) -> Sync {
        Sync::named(&self.sync).unwrap_or_default()
    }
}

impl Default for Mixer {
    fn default() -> Self {
        Mixer {
            // With the default stem volume of 0.8 the gain of a quiet signal is 0.544: between the product of the older
            // server's constants (0.8 × 0.8 × 0.9) and its curve at small signals (0.518).
            master: 0.68,
            levels: [1.0; DECKS],
            bpm: 120.0,
            meter: 4,
            filters: false,
            eq_low_hz: 200.0,
            eq_high_hz: 2_000.0,
            limiter: Limiter::default(),
            interpolation: Interpolation::default(),
            tempo_glide_s: 0.05,
            group_wait_s: 5.0,
            stretch_method: Method::default().name().into(),
            sync: Sync::default().name().into(),
        }
    }
}

/// Section `[stretch]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stretch {
    /// Minimum reserve of stretched sound in milliseconds, 40 to 2000, but never less than two periods.
    pub min_reserve_ms: f64,
    /// Maximum reserve of stretched sound in seconds, 0.1 to 2 and not below `min_reserve_ms`.
    pub max_reserve_s: f64,
}

impl Default for Stretch {
    fn default() -> Self {
        Stretch { min_reserve_ms: 40.0, max_reserve_s: 0.5 }
    }
}

/// Section `[media]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Folders that files may be loaded from (media roots).
    pub roots: Vec<PathBuf>,
    /// Whether the daemon's start folder is a media root too.
    pub start_directory: bool,
    /// Whether symbolic links that lead out of a root are followed.
    pub follow_links: bool,
    /// Maximum number of loaded stems, 1 to 1024.
    pub max_stems: usize,
    /// Maximum memory for loaded stems in MB, 1 to 1048576.
    pub memory_mb: usize,
}

impl Default for Media {
    fn default() -> Self {
        Media { roots: Vec::new(), start_directory: true, follow_links: true, max_stems: 64, memory_mb: 256 }
    }
}

/// Section `[osc]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Osc {
    /// UDP ports.
    pub ports: Vec<u16>,
    /// IP address to bind. Empty: all.
    pub bind: String,
    /// Address ranges (CIDR) of clients that may send.
    pub allow: Vec<IpNet>,
    /// Maximum distance of a time tag into the future in seconds, 1 to 86400.
    pub horizon_s: f64,
    /// HOST:PORT of a dashboard that receives the tempo. Empty: none.
    pub dashboard: String,
}

impl Default for Osc {
    fn default() -> Self {
        Osc {
            ports: vec![57_120, 57_122],
            bind: String::new(),
            allow: crate::control::faces::connection::private_ranges(),
            horizon_s: 3_600.0,
            dashboard: String::new(),
        }
    }
}

/// Access to HTTP and WebSocket from other machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// The token is required.
    Token,
    /// No token is required.
    Open,
}

/// Section `[http]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// TCP port; 0 disables HTTP.
    pub port: u16,
    /// IP address to bind.
    pub bind: String,
    /// Access from other machines.
    pub auth: Auth,
    /// Token of at least 8 characters. Empty: use `token_file`.
    pub token: String,
    /// File that contains the token. Empty: none.
    pub token_file: PathBuf,
    /// Origins of pages that may send requests, besides the daemon's own page.
    pub origins: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            port: 8080,
            bind: "127.0.0.1".into(),
            auth: Auth::Token,
            token: String::new(),
            token_file: PathBuf::new(),
            origins: Vec::new(),
        }
    }
}

impl Http {
    /// Returns the token, from the setting or the file, if there is one.
    ///
    /// # Errors
    /// The key and a message, if the file cannot be read or is empty.
    pub fn token(&self) -> Result<Option<String>, (&'static str, String)> {
        if !self.token.is_empty() {
            return Ok(Some(self.token.clone()));
        }
        if self.token_file.as_os_str().is_empty() {
            return Ok(None);
        }
        let shown = self.token_file.display();
        let text = std::fs::read_to_string(&self.token_file)
            .map_err(|e| ("http.token_file", format!("{shown} cannot be read: {e}")))?;
        match text.trim() {
            "" => Err(("http.token_file", format!("{shown} is empty; create a token with 'openssl rand -hex 16'"))),
            token => Ok(Some(token.to_string())),
        }
    }
}

/// Section `[state]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Whether the last state is restored at start.
    pub restore: bool,
    /// Whether the demonstration set plays if there is no state to restore.
    pub demo: bool,
    /// Folder of the state and the presets. Empty: systemd's, or the user's.
    pub folder: PathBuf,
    /// Interval in seconds, 0.05 to 3600, at which a changed state is saved.
    pub save_s: f64,
}

impl Default for State {
    fn default() -> Self {
        State { restore: false, demo: false, folder: PathBuf::new(), save_s: 5.0 }
    }
}

impl State {
    /// Returns the configured folder, or the one assigned by systemd, or the user's; `None` if there is none of these.
    pub fn folder(&self) -> Option<PathBuf> {
        let env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Some(self.folder.clone())
            .filter(|f| !f.as_os_str().is_empty())
            .or_else(|| env("STATE_DIRECTORY"))
            .or_else(|| env("XDG_STATE_HOME").map(|f| f.join("grooved")))
            .or_else(|| env("HOME").map(|f| f.join(".local/state/grooved")))
    }
}

/// Section `[record]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// Folder of recordings. Empty: `recordings` in the state folder.
    pub folder: PathBuf,
    /// Free space in MB that recordings leave on their disk.
    pub keep_free_mb: u64,
}

impl Default for Record {
    fn default() -> Self {
        Record { folder: PathBuf::new(), keep_free_mb: 500 }
    }
}

/// Use of realtime scheduling and locked memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Realtime {
    /// Used if permitted; a refusal is logged.
    Wanted,
    /// The daemon does not start without it.
    Required,
    /// Not used.
    Off,
}

/// Section `[system]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// Realtime scheduling and locked memory.
    pub realtime: Realtime,
    /// Whether the processor is kept out of deep sleep states.
    pub hold_cpu_latency: bool,
    /// Log level: error, warn, info, debug or trace.
    pub log: String,
}

impl Default for System {
    fn default() -> Self {
        System { realtime: Realtime::Wanted, hold_cpu_latency: !cfg!(target_arch = "aarch64"), log: "info".into() }
    }
}

/// Supported sample rates in Hz.
pub const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 96_000];

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// If the file cannot be read, or its content is invalid.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        Config::parse(&Config::text_of(path)?, path)
    }

    fn text_of(path: &Path) -> Result<String, ConfigError> {
        std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })
    }

    /// Parses and checks the text of a configuration file. `path` is used only in errors.
    ///
    /// # Errors
    /// If the text is not valid TOML, a setting is unknown, or a value is invalid.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let config = Config::parse_unchecked(text, path)?;
        config
            .check()
            .map_err(|(key, what)| ConfigError::wrong(path, fault::line_of_key(text, key), format!("{key}: {what}")))?;
        Ok(config)
    }

    /// Parses a text without checking ranges.
    fn parse_unchecked(text: &str, path: &Path) -> Result<Config, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let (line, what) = fault::in_words(&error, text);
            ConfigError::wrong(path, line, what)
        })
    }

    /// Checks the ranges of all settings.
    ///
    /// # Errors
    /// The dotted key of the first invalid setting, and a message with the expected value.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let o = &self.output;
        range("output.buffer_size", o.buffer_size, 16, 8192)?;
        range("output.periods", o.periods, 2, 32)?;
        if !SAMPLE_RATES.contains(&o.sample_rate) {
            return Err((
                "output.sample_rate",
                format!("{} is not supported; must be 44100, 48000 or 96000", o.sample_rate),
            ));
        }
        range("output.channels", o.channels, 1, 32)?;
        for pair in o.deck_pairs {
            range("output.deck_pairs", pair, 0, 3)?;
        }
        let m = &self.mixer;
        range("mixer.master", m.master, 0.0, 4.0)?;
        for level in m.levels {
            range("mixer.levels", level, 0.0, 4.0)?;
        }
        range("mixer.bpm", m.bpm, 20.0, 400.0)?;
        range("mixer.meter", m.meter, 1, 64)?;
        range("mixer.eq_low_hz", m.eq_low_hz, 40.0, 1_000.0)?;
        range("mixer.eq_high_hz", m.eq_high_hz, 2.0 * m.eq_low_hz, 15_000.0)?;
        range("mixer.tempo_glide_s", m.tempo_glide_s, 0.0, 60.0)?;
        range("mixer.group_wait_s", m.group_wait_s, 0.0, 600.0)?;
        m.stretch_method.parse::<Method>().map_err(|e| ("mixer.stretch_method", e.to_string()))?;
        if Sync::named(&m.sync).is_none() {
            return Err(("mixer.sync", format!("'{}': must be one of {}", m.sync, Sync::NAMES.join(", "))));
        }
        range("stretch.min_reserve_ms", self.stretch.min_reserve_ms, 40.0, 2_000.0)?;
        range("stretch.max_reserve_s", self.stretch.max_reserve_s, (self.stretch.min_reserve_ms / 1e3).max(0.1), 2.0)?;
        self.movement.check()?;
        self.ddsp.check()?;
        self.genomes.check()?;
        self.voices.check()?;
        for map in &self.maps {
            map.check()?;
        }
        range("media.max_stems", self.media.max_stems, 1, 1024)?;
        range("media.memory_mb", self.media.memory_mb, 1, 1 << 20)?;
        if self.osc.ports.is_empty() {
            return Err(("osc.ports", "no port given; expected a list such as [57120, 57122]".into()));
        }
        if !self.osc.bind.is_empty() && self.osc.bind.parse::<std::net::IpAddr>().is_err() {
            return Err(("osc.bind", format!("\"{}\" must be an IP address such as \"0.0.0.0\"", self.osc.bind)));
        }
        dashboard::target(&self.osc.dashboard).map_err(|what| ("osc.dashboard", what))?;
        range("osc.horizon_s", self.osc.horizon_s, 1.0, 86_400.0)?;
        let h = &self.http;
        let Ok(bind) = h.bind.parse::<std::net::IpAddr>() else {
            return Err(("http.bind", format!("\"{}\" must be an IP address such as \"0.0.0.0\"", h.bind)));
        };
        if !h.token.is_empty() && !h.token_file.as_os_str().is_empty() {
            return Err(("http.token_file", "http.token is set too; set only one of them".into()));
        }
        if !h.token.is_empty() && h.token.len() < 8 {
            return Err((
                "http.token",
                "must have at least 8 characters; create one with 'openssl rand -hex 16'".into(),
            ));
        }
        if h.port != 0 {
            h.token()?;
        }
        let guarded = !h.token.is_empty() || !h.token_file.as_os_str().is_empty() || h.auth == Auth::Open;
        if h.port != 0 && !bind.is_loopback() && !guarded {
            return Err((
                "http.bind",
                format!(
                    "{bind} accepts other machines; set http.token or token_file, or auth = \"open\" to require none"
                ),
            ));
        }
        range("state.save_s", self.state.save_s, 0.05, 3_600.0)?;
        if !["error", "warn", "info", "debug", "trace"].contains(&self.system.log.as_str()) {
            return Err(("system.log", format!("\"{}\" must be error, warn, info, debug or trace", self.system.log)));
        }
        Ok(())
    }

    /// Returns the folder of recordings: the configured one, or `recordings` in the state folder.
    pub fn recordings(&self) -> Option<PathBuf> {
        let named = Some(self.record.folder.clone()).filter(|f| !f.as_os_str().is_empty());
        named.or_else(|| self.state.folder().map(|f| f.join("recordings")))
    }

    /// Returns the initial instrument of the voices in the mix.
    pub fn instrument(&self) -> String {
        let named = Some(self.voices.instrument.clone()).filter(|name| !name.is_empty());
        named.unwrap_or_else(|| self.ddsp.first())
    }

    /// Returns the number of output channel pairs that the engine needs.
    pub fn pairs(&self) -> usize {
        let voices = Some(&self.voices.pair).filter(|_| self.voices.polyphony > 0);
        self.output.deck_pairs.iter().chain(voices).max().map_or(1, |p| p + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("x.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn the_shipped_file_holds_every_key_with_its_default() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/grooved.toml");
        let text = std::fs::read_to_string(path).unwrap();
        // The file lists every key, commented out or not; with all of them active, the result is the default.
        let all: String = text
            .lines()
            .map(|l| l.strip_prefix('#').filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(l))
            .map(|l| format!("{l}\n"))
            .collect();
        let mut wanted = Config::default();
        // The only default that depends on the machine.
        wanted.system.hold_cpu_latency = true;
        // If omitted, it is 60 s for only one of two addresses.
        wanted.movement.manual_s = Some(60.0);
        assert_eq!(Config::parse(&all, Path::new(path)).map_err(|e| e.to_string()), Ok(wanted));
        for key in [
            "device",
            "buffer_size",
            "periods",
            "sample_rate",
            "channels",
            "deck_pairs",
            "master",
            "levels",
            "bpm",
            "meter",
            "filters",
            "eq_low_hz",
            "eq_high_hz",
            "limiter",
            "interpolation",
            "tempo_glide_s",
            "stretch_method",
            "sync",
            "group_wait_s",
            "min_reserve_ms",
            "max_reserve_s",
            "tempo",
            "source",
            "steps",
            "line",
            "hysteresis",
            "window_s",
            "window",
            "glide_s",
            "glide",
            "hold_s",
            "drift_s",
            "manual_s",
            "roots",
            "start_directory",
            "follow_links",
            "max_stems",
            "memory_mb",
            "ports",
            "bind",
            "allow",
            "horizon_s",
            "dashboard",
            "port",
            "auth",
            "token",
            "token_file",
            "origins",
            "listen",
            "instrument",
            "models",
            "voices",
            "clients",
            "frame_ms",
            "monitors",
            "polyphony",
            "pair",
            "ahead_ms",
            "enabled",
            "devices",
            "restore",
            "demo",
            "folder",
            "save_s",
            "keep_free_mb",
            "realtime",
            "hold_cpu_latency",
            "log",
        ] {
            assert!(all.lines().any(|l| l.starts_with(&format!("{key} = "))), "{key} is not documented");
        }
    }

    #[test]
    fn errors_name_file_line_and_remedy() {
        for (text, parts) in [
            ("[output]\nbuffer_sise = 3\n", vec!["x.toml:2:", "'buffer_sise'", "mean 'buffer_size'"]),
            ("\n\n[output]\nbuffer_size = 8\n", vec!["x.toml:4:", "output.buffer_size", "between 16 and 8192"]),
            ("[output]\nsample_rate = 22050\n", vec!["x.toml:2:", "48000"]),
            ("[mixer]\n\nbpm = \"fast\"\n", vec!["x.toml:3: mixer.bpm: found string \"fast\"; expected a number"]),
            (
                "[output]\nperiods = 2.5\n",
                vec!["x.toml:2: output.periods: found floating point `2.5`", "a whole number"],
            ),
            ("[output]\nperiods = -2\n", vec!["x.toml:2: output.periods: found integer `-2`", "at least 0"]),
            (
                "[osc]\nports = [\n1,\n70000]\n",
                vec!["x.toml:4: osc.ports: found integer `70000`", "between 0 and 65535"],
            ),
            ("output = 3\n", vec!["x.toml:1: output: found integer `3`", "a section of settings"]),
            ("[media]\nroots = \"here\"\n", vec!["x.toml:2: media.roots: found string \"here\"", "a list"]),
            ("[[map]]\nsource = 1\n", vec!["x.toml:2: map.source: found integer `1`", "a string"]),
            ("buffer_size = 512\n", vec!["x.toml:1:", "it belongs in section [output]"]),
            ("[osc]\n\ndashboard = \"stage\"\n", vec!["x.toml:3: osc.dashboard: ", "HOST:PORT"]),
            ("[osc]\nallow = [\"not a net\"]\n", vec!["x.toml:2: osc.allow: "]),
            (
                "[mixer]\nlimiter = \"hard\"\n",
                vec!["x.toml:2: mixer.limiter: unknown value \"hard\"", "look-ahead, soft"],
            ),
            ("[http]\nauth = \"none\"\n", vec!["x.toml:2: http.auth: unknown value \"none\"", "token, open"]),
            (
                "[[map]]\nsource = \"midi/200\"\ntarget = \"/groove/tempo\"\nline = [[0, 60]]\n",
                vec!["map.source", "midi/74"],
            ),
            (
                "[[map]]\nsource = \"arms\"\ntarget = \"/groove/deck/z/level\"\nline = [[0, 1]]\n",
                vec!["map.target", "deck"],
            ),
            (
                "[[map]]\nsource = \"arms\"\ntarget = \"/groove/deck/a/level\"\nline = [[0, 99]]\n",
                vec!["map.target", "99"],
            ),
            ("[stretch]\nmin_reserve_ms = 1000\nmax_reserve_s = 0.5\n", vec!["x.toml:3: stretch.max_reserve_s"]),
            ("[system]\nrealtime = \"maybe\"\n", vec!["x.toml:2:", "wanted", "required"]),
            ("[output\n", vec!["x.toml:1:"]),
            ("[http]\nbind = \"0.0.0.0\"\n", vec!["x.toml:2:", "http.token", "auth = \"open\""]),
            ("[http]\ntoken = \"abc\"\n", vec!["x.toml:2:", "8 characters"]),
            ("[http]\n\ntoken_file = \"/not/there\"\n", vec!["x.toml:3:", "cannot be read"]),
            ("[http]\nauth = \"maybe\"\n", vec!["x.toml:2:", "token", "open"]),
            ("[movement]\nsteps = [[0.2, 105], [0.1, 110]]\n", vec!["x.toml:2:", "increase"]),
            (
                "[[map]]\nsource = \"arms\"\ntarget = \"/groove/nothing\"\nline = [[0, 1]]\n",
                vec!["map.target", "no such control"],
            ),
        ] {
            let error = parse(text).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{error:?} lacks {part:?}");
            }
        }
    }

    #[test]
    fn nothing_is_a_fine_configuration() {
        assert_eq!(parse(""), Ok(Config::default()));
    }
}
