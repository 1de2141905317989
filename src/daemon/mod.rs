//! Start-up order, supervision and shutdown: the only place where all parts meet.
//!
//! - [`live`]: runs the daemon
//! - [`render`]: offline render of the same engine and conductor into a file
//! - [`tune`]: measures which period sizes this machine can sustain
//! - [`doctor`]: checks a machine for causes of dropouts
//! - [`genomes`]: lists, imports, exports, renders and evolves sounds
//! - [`instruments`]: voices in the mix, and the DDSP stream
//! - [`media`]: checks audio files before a show
//! - [`models`]: checks instruments before a show
//! - [`perform`]: renders instruments into files
//! - [`older`]: flags of the older servers that are more than a setting
//! - [`solo`]: the instrument of the demonstration set
//! - [`stretch`]: tempo and key changes of files, and their cost on this machine
//! - [`opening`]: what plays at start, from the command line or the demonstration set
//! - [`play_set`], [`run_plan`]: plays a set or a plan; [`until`]: what ends a run; [`failure`]: why it ended

mod breeding;
pub mod doctor;
mod evolve;
pub mod failure;
pub mod genomes;
#[cfg_attr(not(feature = "ddsp"), path = "mute.rs")]
pub mod instruments;
mod interrupt;
pub mod live;
pub mod manual;
pub mod media;
#[cfg(feature = "ddsp")]
pub mod models;
pub mod older;
pub mod opening;
#[cfg(feature = "ddsp")]
pub mod perform;
pub mod plan;
pub mod play_set;
pub mod reader;
pub mod render;
mod renders;
pub mod run_plan;
pub mod sections;
pub mod services;
pub mod set;
pub mod solo;
pub mod stretch;
pub mod tune;
pub mod until;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Map};
use crate::control::conductor::presets::STATE_FILE;
use crate::control::conductor::settings::{MediaSettings, MixerSettings, Settings, TempoSettings};
use crate::control::conductor::show::Show;
use crate::control::conductor::stems::SPARE_SLOTS;
use crate::engine::EngineConfig;
use crate::engine::cover::Bounds;
use crate::genome::Collection;
use crate::media::library::Library;
use crate::system::keeper;
pub use failure::{Failure, INTERRUPTED, OLDER_USAGE, older_usage, usage_code};
use opening::Opening;
use until::Until;

/// Destination of the sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputMode {
    /// A card. While there is none, sound is rendered silently in real time.
    Card,
    /// No output; rendering is paced by the system clock.
    Null,
    /// A WAV file; rendering is paced by the system clock.
    Wav(PathBuf),
}

/// Options of a run of the daemon or of an offline render.
#[derive(Clone, Debug)]
pub struct Options {
    /// Settings, with the command line's flags applied.
    pub config: Config,
    /// Configuration file, for a reload.
    pub config_path: Option<PathBuf>,
    /// Destination of the sound.
    pub output: OutputMode,
    /// What plays at start.
    pub opening: Opening,
    /// The show to restore, if the opening is empty.
    pub show: LastShow,
    /// Whether this run only measures; then no state or recording is written.
    pub measure: bool,
    /// Condition that ends the run.
    pub until: Until,
}

/// Returns whether two paths lead to the same existing file.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
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

/// Returns the bounds of the stretch reserves in seconds. The minimum is at least two periods, because a reserve is
/// refilled once per period.
fn reserve(config: &Config) -> Bounds {
    let periods = 2.0 * config.output.buffer_size as f64 / f64::from(config.output.sample_rate);
    let least = (config.stretch.min_reserve_ms / 1_000.0).max(periods);
    Bounds { least, most: config.stretch.max_reserve_s.max(least) }
}

/// Returns the conductor's settings for a configuration.
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
        has_genomes: config.genomes.path().is_some(),
        save_every: config.state.restore.then(|| Duration::from_secs_f64(config.state.save_s)),
        voices: if cfg!(feature = "ddsp") { config.voices.polyphony } else { 0 },
        instrument: config.instrument(),
    }
}

/// Saved show of the last run.
#[derive(Clone, Debug, Default)]
pub enum LastShow {
    /// None was found, or restoring is off.
    #[default]
    None,
    /// The show to restore.
    Show(Box<Show>),
    /// The file can neither be read nor moved aside, and must not be overwritten.
    Stuck,
}

/// Returns the show of the last run, if `state.restore` is on. A state file that cannot be used is moved aside so that
/// it is never overwritten.
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
            tracing::error!("state: cannot read {}: {why}; kept as {}", path.display(), aside.display());
            LastShow::None
        }
        Err(e) => {
            tracing::error!(
                "state: cannot read {}: {why}; cannot move it aside: {e}; leaving it in place, saving no state until \
                 the next start",
                path.display()
            );
            LastShow::Stuck
        }
    }
}

/// Token file of an appliance. If it exists, safe mode serves its page to other machines too.
const APPLIANCE_TOKEN: &str = "/run/grooved-card/token";

/// Returns the configuration of safe mode: the defaults, without voices, the DDSP stream and the start folder.
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

/// Returns the configured database of genomes, which is opened when it is first needed, or `None` if there is none.
fn genome_collection(config: &Config) -> Option<Arc<Collection>> {
    let genomes = &config.genomes;
    Some(Arc::new(Collection::new(genomes.path()?, genomes.cached, genomes.duration)))
}

/// Returns the media library. Its roots are those of the configuration, the start folder if enabled, the folder of the
/// demonstration set, and the folders of files from the command line.
fn library(config: &Config, opening: &Opening, genomes: Option<Arc<Collection>>) -> Library {
    let mut roots = config.media.roots.clone();
    if config.media.start_directory
        && let Ok(here) = std::env::current_dir()
    {
        roots.push(here);
    }
    // The saved state may refer to the demonstration set.
    roots.extend(config.state.demo.then(opening::demo_folder));
    roots.extend(opening.folders());
    Library::new(&roots, config.media.follow_links).with_genomes(genomes)
}
