//! Every setting: type, default, range, documentation; read from TOML, overridden by flags.
//!
//! A wrong file is refused with the file, the line, and what would be right. `config/grooved.toml` documents every
//! key and holds its default; a test compares the two.

use std::path::{Path, PathBuf};

pub mod ddsp;
mod fault;
mod layers;
pub mod movement;
pub mod sound;
pub mod voices;

pub use ddsp::Ddsp;
use ipnet::IpNet;
pub use movement::{Map, Movement};
use serde::{Deserialize, Serialize};
pub use sound::{Interpolation, Limiter};
pub use voices::{Midi, Voices};

use crate::control::conductor::pace::Sync;
use crate::control::dashboard;
use crate::engine::DECKS;
use crate::engine::method::Method;

/// Why a configuration is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is wrong.
    #[error("{}:{line}: {what}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
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
    /// The card.
    pub output: Output,
    /// The mix.
    pub mixer: Mixer,
    /// Files.
    pub media: Media,
    /// OSC.
    pub osc: Osc,
    /// HTTP and WebSocket.
    pub http: Http,
    /// What is kept.
    pub state: State,
    /// Recordings.
    pub record: Record,
    /// Reserves of high-quality stretching.
    pub stretch: Stretch,
    /// What a crowd does to the tempo.
    pub movement: Movement,
    /// Instruments.
    pub ddsp: Ddsp,
    /// Instruments on the speakers.
    pub voices: Voices,
    /// What plays them.
    pub midi: Midi,
    /// What else movement steers.
    #[serde(rename = "map")]
    pub maps: Vec<Map>,
    /// The machine.
    pub system: System,
}

/// A setting must lie within a range.
fn range<T: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: T,
    min: T,
    max: T,
) -> Result<(), (&'static str, String)> {
    if value >= min && value <= max {
        Ok(())
    } else {
        Err((key, format!("{value} is out of range; {min} to {max} would be right")))
    }
}

/// `[output]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// ALSA name, or a number of `grooved devices`; empty: the best card there is.
    pub device: String,
    /// Frames per period.
    pub buffer_size: usize,
    /// Periods the card holds.
    pub periods: usize,
    /// Frames per second.
    pub sample_rate: u32,
    /// Channels asked of the card.
    pub channels: usize,
    /// The pair of channels each deck goes to, from 0.
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

/// `[mixer]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mixer {
    /// Master gain, linear.
    pub master: f64,
    /// Deck levels, linear.
    pub levels: [f64; DECKS],
    /// Base tempo in BPM.
    pub bpm: f64,
    /// Beats per bar.
    pub meter: i64,
    /// Whether the older servers' equaliser addresses take effect.
    pub filters: bool,
    /// Crossover between low and mid, in Hz.
    pub eq_low_hz: f64,
    /// Crossover between mid and high, in Hz.
    pub eq_high_hz: f64,
    /// What keeps the outputs under their ceiling.
    pub limiter: Limiter,
    /// How sound at another rate is interpolated.
    pub interpolation: Interpolation,
    /// Seconds a change of tempo takes.
    pub tempo_glide_s: f64,
    /// Seconds a group start waits for a slow load.
    pub group_wait_s: f64,
    /// How decks change their tempo.
    pub stretch_method: String,
    /// How far decks follow the music clock.
    pub sync: String,
}

impl Mixer {
    /// How decks change their tempo.
    pub fn method(&self) -> Method {
        self.stretch_method.parse().unwrap_or_default()
    }

    /// How far decks follow the music clock.
    pub fn sync(&self) -> Sync {
        Sync::named(&self.sync).unwrap_or_default()
    }
}

impl Default for Mixer {
    fn default() -> Self {
        Mixer {
            // With the default stem volume of 0.8 a quiet signal comes out at 0.544 of itself: between what the
            // older server's constants (0.8 × 0.8 × 0.9) and its curve at small signals (0.518) give.
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

/// `[stretch]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stretch {
    /// Least milliseconds of stretched sound kept ready; two periods are the least in any case.
    pub min_reserve_ms: f64,
    /// Most seconds of it.
    pub max_reserve_s: f64,
}

impl Default for Stretch {
    fn default() -> Self {
        Stretch { min_reserve_ms: 40.0, max_reserve_s: 0.5 }
    }
}

/// `[media]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Folders files may be loaded from, besides the one the daemon was started in.
    pub roots: Vec<PathBuf>,
    /// Whether the folder the daemon was started in is one.
    pub start_directory: bool,
    /// Whether symbolic links that lead out of a root are followed.
    pub follow_links: bool,
    /// Most stems loaded at a time.
    pub max_stems: usize,
    /// Most memory for loaded stems, in MB.
    pub memory_mb: usize,
}

impl Default for Media {
    fn default() -> Self {
        Media { roots: Vec::new(), start_directory: true, follow_links: true, max_stems: 64, memory_mb: 256 }
    }
}

/// `[osc]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Osc {
    /// UDP ports.
    pub ports: Vec<u16>,
    /// Address to bind; empty: all.
    pub bind: String,
    /// Who may send, as CIDR ranges.
    pub allow: Vec<IpNet>,
    /// Seconds into the future that time tags may lie.
    pub horizon_s: f64,
    /// HOST:PORT of a dashboard that receives the tempo; empty: none.
    pub dashboard: String,
}

impl Default for Osc {
    fn default() -> Self {
        Osc {
            ports: vec![57_120, 57_122],
            bind: String::new(),
            allow: crate::control::connection::private_ranges(),
            horizon_s: 3_600.0,
            dashboard: String::new(),
        }
    }
}

/// Who may use HTTP and WebSocket from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Whoever has the token.
    Token,
    /// Everyone.
    Open,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// TCP port; 0: none.
    pub port: u16,
    /// Address to bind.
    pub bind: String,
    /// Who may use it from elsewhere.
    pub auth: Auth,
    /// The token; empty: see `token_file`.
    pub token: String,
    /// A file that holds the token; empty: none.
    pub token_file: PathBuf,
    /// Origins of pages that may ask, besides the daemon's own.
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
    /// The token, if there is one. An error names the key and what would be right.
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
            "" => Err(("http.token_file", format!("{shown} is empty; 'openssl rand -hex 16' makes a good token"))),
            token => Ok(Some(token.to_string())),
        }
    }
}

/// `[state]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Whether the last state comes back at the start.
    pub restore: bool,
    /// Whether the demonstration set plays while there is nothing to bring back.
    pub demo: bool,
    /// Folder of the state and the presets; empty: systemd's, or the user's.
    pub folder: PathBuf,
    /// Seconds between two looks whether the state has changed and must be written.
    pub save_s: f64,
}

impl Default for State {
    fn default() -> Self {
        State { restore: false, demo: false, folder: PathBuf::new(), save_s: 5.0 }
    }
}

impl State {
    /// The folder: the configured one, the one systemd gave us, or the user's own; `None` if there is no such thing.
    pub fn folder(&self) -> Option<PathBuf> {
        let env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Some(self.folder.clone())
            .filter(|f| !f.as_os_str().is_empty())
            .or_else(|| env("STATE_DIRECTORY"))
            .or_else(|| env("XDG_STATE_HOME").map(|f| f.join("grooved")))
            .or_else(|| env("HOME").map(|f| f.join(".local/state/grooved")))
    }
}

/// `[record]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// Folder of recordings; empty: `recordings` beside the state.
    pub folder: PathBuf,
    /// Megabytes that must stay free on its disk.
    pub keep_free_mb: u64,
}

impl Default for Record {
    fn default() -> Self {
        Record { folder: PathBuf::new(), keep_free_mb: 500 }
    }
}

/// Whether realtime scheduling and locked memory are insisted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Realtime {
    /// Used if allowed; a refusal is reported.
    Wanted,
    /// Without it the daemon does not start.
    Required,
    /// Not asked for.
    Off,
}

/// `[system]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// Realtime scheduling and locked memory.
    pub realtime: Realtime,
    /// Keep the processor out of deep sleep.
    pub hold_cpu_latency: bool,
    /// error, warn, info, debug or trace.
    pub log: String,
}

impl Default for System {
    fn default() -> Self {
        System { realtime: Realtime::Wanted, hold_cpu_latency: !cfg!(target_arch = "aarch64"), log: "info".into() }
    }
}

/// Sample rates that are supported.
pub const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 96_000];

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        Config::parse(&Config::text_of(path)?, path)
    }

    fn text_of(path: &Path) -> Result<String, ConfigError> {
        std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })
    }

    /// Parses a file's text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let config = Config::parse_unchecked(text, path)?;
        config
            .check()
            .map_err(|(key, what)| ConfigError::wrong(path, fault::line_of_key(text, key), format!("{key}: {what}")))?;
        Ok(config)
    }

    /// Everything but ranges.
    fn parse_unchecked(text: &str, path: &Path) -> Result<Config, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let (line, what) = fault::in_words(&error, text);
            ConfigError::wrong(path, line, what)
        })
    }

    /// Checks the ranges; an error names the key and what would be right.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let o = &self.output;
        range("output.buffer_size", o.buffer_size, 16, 8192)?;
        range("output.periods", o.periods, 2, 32)?;
        if !SAMPLE_RATES.contains(&o.sample_rate) {
            return Err((
                "output.sample_rate",
                format!("{} is not supported; 44100, 48000 or 96000 would be right", o.sample_rate),
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
            return Err(("mixer.sync", format!("'{}': {} would be right", m.sync, Sync::NAMES.join(", "))));
        }
        range("stretch.min_reserve_ms", self.stretch.min_reserve_ms, 40.0, 2_000.0)?;
        range("stretch.max_reserve_s", self.stretch.max_reserve_s, (self.stretch.min_reserve_ms / 1e3).max(0.1), 2.0)?;
        self.movement.check()?;
        self.ddsp.check()?;
        self.voices.check()?;
        for map in &self.maps {
            map.check()?;
        }
        range("media.max_stems", self.media.max_stems, 1, 1024)?;
        range("media.memory_mb", self.media.memory_mb, 1, 1 << 20)?;
        if self.osc.ports.is_empty() {
            return Err(("osc.ports", "no port is given; [57120, 57122] would be right".into()));
        }
        if !self.osc.bind.is_empty() && self.osc.bind.parse::<std::net::IpAddr>().is_err() {
            return Err(("osc.bind", format!("\"{}\" is no IP address; \"0.0.0.0\" would be one", self.osc.bind)));
        }
        dashboard::target(&self.osc.dashboard).map_err(|what| ("osc.dashboard", what))?;
        range("osc.horizon_s", self.osc.horizon_s, 1.0, 86_400.0)?;
        let h = &self.http;
        let Ok(bind) = h.bind.parse::<std::net::IpAddr>() else {
            return Err(("http.bind", format!("\"{}\" is no IP address; \"0.0.0.0\" would be one", h.bind)));
        };
        if !h.token.is_empty() && !h.token_file.as_os_str().is_empty() {
            return Err((
                "http.token_file",
                "there is a token already (http.token); one of both would be right".into(),
            ));
        }
        if !h.token.is_empty() && h.token.len() < 8 {
            return Err((
                "http.token",
                "it is shorter than 8 characters; 'openssl rand -hex 16' makes a good one".into(),
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
                    "{bind} can be reached from elsewhere: http.token, or auth = \"open\" for everyone, would be right"
                ),
            ));
        }
        range("state.save_s", self.state.save_s, 0.05, 3_600.0)?;
        if !["error", "warn", "info", "debug", "trace"].contains(&self.system.log.as_str()) {
            return Err((
                "system.log",
                format!("\"{}\" is no level; error, warn, info, debug or trace would be right", self.system.log),
            ));
        }
        Ok(())
    }

    /// Where recordings go, if there is such a place.
    pub fn recordings(&self) -> Option<PathBuf> {
        let named = Some(self.record.folder.clone()).filter(|f| !f.as_os_str().is_empty());
        named.or_else(|| self.state.folder().map(|f| f.join("recordings")))
    }

    /// The instrument that the speakers' voices begin with.
    pub fn instrument(&self) -> String {
        let named = Some(self.voices.instrument.clone()).filter(|name| !name.is_empty());
        named.unwrap_or_else(|| self.ddsp.first())
    }

    /// Pairs of output channels the engine needs.
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
        // Every key is there, commented out or not; with all of them switched on it is the default.
        let all: String = text
            .lines()
            .map(|l| l.strip_prefix('#').filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(l))
            .map(|l| format!("{l}\n"))
            .collect();
        let mut wanted = Config::default();
        // The one default that depends on the machine.
        wanted.system.hold_cpu_latency = true;
        // Left out, it is 60 s for one of two addresses.
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
            ("\n\n[output]\nbuffer_size = 8\n", vec!["x.toml:4:", "output.buffer_size", "16 to 8192"]),
            ("[output]\nsample_rate = 22050\n", vec!["x.toml:2:", "48000"]),
            ("[mixer]\n\nbpm = \"fast\"\n", vec!["x.toml:3: mixer.bpm: string \"fast\" will not do; a number would"]),
            ("[output]\nperiods = 2.5\n", vec!["x.toml:2: output.periods: floating point `2.5`", "a whole number"]),
            ("[output]\nperiods = -2\n", vec!["x.toml:2: output.periods: integer `-2`", "from 0"]),
            ("[osc]\nports = [\n1,\n70000]\n", vec!["x.toml:4: osc.ports: integer `70000`", "0 to 65535"]),
            ("output = 3\n", vec!["x.toml:1: output: integer `3`", "a section of settings"]),
            ("[media]\nroots = \"here\"\n", vec!["x.toml:2: media.roots: string \"here\"", "a list"]),
            ("[[map]]\nsource = 1\n", vec!["x.toml:2: map.source: integer `1`", "a string"]),
            ("buffer_size = 512\n", vec!["x.toml:1:", "it belongs below [output]"]),
            ("[osc]\n\ndashboard = \"stage\"\n", vec!["x.toml:3: osc.dashboard: ", "HOST:PORT"]),
            ("[osc]\nallow = [\"not a net\"]\n", vec!["x.toml:2: osc.allow: "]),
            ("[mixer]\nlimiter = \"hard\"\n", vec!["x.toml:2: mixer.limiter: \"hard\"", "look-ahead, soft"]),
            ("[http]\nauth = \"none\"\n", vec!["x.toml:2: http.auth: \"none\" will not do", "token, open"]),
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
            ("[movement]\nsteps = [[0.2, 105], [0.1, 110]]\n", vec!["x.toml:2:", "grow"]),
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
