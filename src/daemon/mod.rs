//! Start-up order, supervision, shutdown: the only place where all parts meet.
//!
//! - [`live`]: the daemon
//! - [`render`]: the same engine and conductor, as fast as they go, into a file
//! - [`tune`]: which period size this machine can keep up with
//! - [`doctor`]: what of a machine stands in the way of even sound
//! - [`instruments`]: the voices of the speakers, and the stream of the older clients
//! - [`media`]: music looked over before it plays
//! - [`models`]: instruments looked over before they play
//! - [`perform`]: instruments into files
//! - [`older`]: flags of the older servers that are more than a setting
//! - [`solo`]: the demonstration's instrument
//! - [`plan`]: what is to be played from the start, from the command line or the demonstration set

pub mod doctor;
#[cfg_attr(not(feature = "ddsp"), path = "mute.rs")]
pub mod instruments;
pub mod live;
pub mod media;
#[cfg(feature = "ddsp")]
pub mod models;
pub mod older;
#[cfg(feature = "ddsp")]
pub mod perform;
pub mod plan;
pub mod render;
pub mod services;
pub mod solo;
pub mod stretch;
pub mod tune;

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, ConfigError, Map};
use crate::control::conductor::presets::STATE_FILE;
use crate::control::conductor::settings::{MediaSettings, MixerSettings, Settings, TempoSettings};
use crate::control::conductor::stems::SPARE_SLOTS;
use crate::control::show::Show;
use crate::engine::EngineConfig;
use crate::engine::cover::Bounds;
use crate::media::library::Library;
use crate::system::keeper;
use plan::Plan;

/// Where the sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputMode {
    /// To a card; silently on time while there is none.
    Card,
    /// Nowhere, paced by the clock.
    Null,
    /// Into a WAV file, paced by the clock.
    Wav(PathBuf),
}

/// Everything a start needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The settings, flags included.
    pub config: Config,
    /// Where they were read from, for a reload.
    pub config_path: Option<PathBuf>,
    /// Where the sound goes.
    pub output: OutputMode,
    /// What is played from the start.
    pub plan: Plan,
    /// The show that comes back, if the plan is empty.
    pub show: LastShow,
    /// Whether this is only to measure: then nothing is kept.
    pub measure: bool,
}

/// Why the daemon ended, by exit code (sysexits.h where it has one).
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong: starting again will not help.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port, or all of them, is taken.
    #[error("no OSC port could be opened: {0}")]
    Ports(String),
    /// Realtime was required and refused.
    #[error("realtime is required (system.realtime), but {0}")]
    Realtime(String),
    /// A model file that is no instrument.
    #[error("{0}")]
    Data(String),
    /// The doctor found something that will be heard.
    #[error("what is marked WRONG will be heard ({0} of these)")]
    Ill(usize),
    /// Something else that the system would not do.
    #[error("{0}")]
    Io(String),
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Ill(_) => 1,
            Failure::Usage(_) => 64,
            Failure::Data(_) => 65,
            Failure::Ports(_) => 69,
            Failure::Io(_) => 74,
            Failure::Realtime(_) => 77,
            Failure::Config(_) => 78,
        }
    }
}

fn engine_config(config: &Config) -> EngineConfig {
    EngineConfig {
        sample_rate: config.output.sample_rate,
        slots: config.media.max_stems + config.media.max_stems.min(SPARE_SLOTS),
        pairs: config.pairs(),
        deck_pair: config.output.deck_pairs,
        eq_hz: [config.mixer.eq_low_hz, config.mixer.eq_high_hz],
        limiter: config.mixer.limiter.kind(),
        interpolation: config.mixer.interpolation.quality(),
        master: config.mixer.master as f32,
        levels: config.mixer.levels.map(|l| l as f32),
        bpm: config.mixer.bpm,
    }
}

/// Bounds of the reserves: at least two periods, as a reserve that is refilled every period needs.
fn reserve(config: &Config) -> Bounds {
    let periods = 2.0 * config.output.buffer_size as f64 / f64::from(config.output.sample_rate);
    let least = (config.stretch.min_reserve_ms / 1_000.0).max(periods);
    Bounds { least, most: config.stretch.max_reserve_s.max(least) }
}

/// What the conductor needs of a configuration.
pub fn settings(config: &Config) -> Settings {
    Settings {
        sample_rate: config.output.sample_rate,
        version: env!("CARGO_PKG_VERSION").into(),
        media: MediaSettings {
            slots: config.media.max_stems,
            bytes: config.media.memory_mb * 1_000_000,
            group_wait_s: config.mixer.group_wait_s,
        },
        mixer: MixerSettings {
            master: config.mixer.master,
            levels: config.mixer.levels,
            filters: config.mixer.filters,
        },
        tempo: TempoSettings {
            bpm: config.mixer.bpm,
            beats_per_bar: config.mixer.meter,
            glide_s: config.mixer.tempo_glide_s,
            method: config.mixer.method(),
            sync: config.mixer.sync(),
            reserve: reserve(config),
        },
        crowd: config.movement.settings(),
        maps: config.maps.iter().map(Map::as_control).collect(),
        horizon_s: config.osc.horizon_s,
        allow: config.osc.allow.clone(),
        debug: std::env::var_os("GROOVED_DEBUG").is_some_and(|v| v == "1"),
        has_presets: config.state.folder().is_some(),
        save_every: config.state.restore.then(|| Duration::from_secs_f64(config.state.save_s)),
        voices: if cfg!(feature = "ddsp") { config.voices.polyphony } else { 0 },
        instrument: config.instrument(),
    }
}

/// What was found of the last run's show.
#[derive(Clone, Debug, Default)]
pub enum LastShow {
    /// Nothing, or nothing was wanted.
    #[default]
    None,
    /// This.
    Show(Box<Show>),
    /// A file that can neither be read nor be put aside: it must not be written over.
    Stuck,
}

/// The show of the last run, if the configuration wants it back. A file that is there and cannot be used is put aside, so
/// that it is never written over.
pub fn last_show(config: &Config) -> LastShow {
    let Some(path) = config.state.folder().map(|folder| folder.join(STATE_FILE)).filter(|_| config.state.restore)
    else {
        return LastShow::None;
    };
    let why = match keeper::read_whole(&path).map(|bytes| Show::parse(&bytes)) {
        Ok(Ok(show)) => return LastShow::Show(Box::new(show)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            tracing::info!("state: none to restore yet");
            return LastShow::None;
        }
        Ok(Err(why)) => why,
        Err(e) => e.to_string(),
    };
    match keeper::put_aside(&path) {
        Ok(aside) => {
            tracing::error!("state: {} cannot be used ({why}); kept as {}", path.display(), aside.display());
            LastShow::None
        }
        Err(e) => {
            tracing::error!(
                "state: {} cannot be used ({why}) nor put aside ({e}); it is left as it is, and no state is kept until \
                 the next start",
                path.display()
            );
            LastShow::Stuck
        }
    }
}

/// An appliance's token, where it is: there safe mode has its page, too.
const APPLIANCE_TOKEN: &str = "/run/grooved-card/token";

/// The configuration of safe mode: defaults, less all that reads or keeps files.
pub fn safe_config() -> Config {
    let mut config = Config::default();
    config.voices.polyphony = 0;
    config.ddsp.listen = "off".into();
    config.media.start_directory = false;
    if std::path::Path::new(APPLIANCE_TOKEN).exists() {
        (config.http.bind, config.http.token_file) = ("0.0.0.0".into(), APPLIANCE_TOKEN.into());
    }
    config
}

/// The media roots: the configured ones, the start directory, and wherever the command line's own files lie.
fn library(config: &Config, plan: &Plan) -> Library {
    let mut roots = config.media.roots.clone();
    if config.media.start_directory
        && let Ok(here) = std::env::current_dir()
    {
        roots.push(here);
    }
    // A demonstration that was played becomes part of the state.
    roots.extend(config.state.demo.then(plan::demo_folder));
    roots.extend(plan.folders());
    Library::new(&roots, config.media.follow_links)
}
