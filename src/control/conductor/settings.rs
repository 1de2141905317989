//! What the conductor needs to know of the configuration.

use std::time::Duration;

use super::mapping::Map;
use super::pace::Sync;
use crate::engine::DECKS;
use crate::engine::cover::Bounds;
use crate::engine::method::Method;
use crate::movement::crowd;

/// The configuration, as far as it concerns the conductor.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Frames per second of the output.
    pub sample_rate: u32,
    /// The daemon's version.
    pub version: String,
    /// Files that are loaded, and how starts wait for them.
    pub media: MediaSettings,
    /// Levels at the start.
    pub mixer: MixerSettings,
    /// Tempo at the start, and how decks follow it.
    pub tempo: TempoSettings,
    /// How the crowd's movement is evaluated.
    pub crowd: crowd::CrowdSettings,
    /// Controls that movement steers besides the tempo.
    pub maps: Vec<Map>,
    /// Seconds into the future that timed bundles may lie.
    pub horizon_s: f64,
    /// Ranges of addresses that OSC may be sent to.
    pub allow: Vec<ipnet::IpNet>,
    /// Whether the addresses under /groove/debug exist.
    pub debug: bool,
    /// Whether there is a folder for presets.
    pub has_presets: bool,
    /// Whether there is a database of genomes.
    pub has_genomes: bool,
    /// How often the state is saved, if at all.
    pub save_every: Option<Duration>,
    /// Voices on the speakers.
    pub voices: usize,
    /// Their instrument at the start.
    pub instrument: String,
}

/// Bounds of what is loaded.
#[derive(Clone, Copy, Debug)]
pub struct MediaSettings {
    /// Most stems.
    pub slots: usize,
    /// Most bytes of all loaded stems together.
    pub bytes: usize,
    /// Seconds a group start waits for a slow load.
    pub group_wait_s: f64,
}

/// Levels at the start.
#[derive(Clone, Copy, Debug)]
pub struct MixerSettings {
    /// Master gain (linear).
    pub master: f64,
    /// Deck levels (linear).
    pub levels: [f64; DECKS],
    /// Whether the older servers' equaliser addresses take effect.
    pub filters: bool,
}

/// Tempo at the start, and how decks follow it.
#[derive(Clone, Copy, Debug)]
pub struct TempoSettings {
    /// Base tempo in BPM.
    pub bpm: f64,
    /// Beats per bar.
    pub beats_per_bar: i64,
    /// Seconds a change of tempo takes.
    pub glide_s: f64,
    /// How decks change their tempo.
    pub method: Method,
    /// How far decks follow the clock.
    pub sync: Sync,
    /// Bounds of the reserves of high-quality stretching.
    pub reserve: Bounds,
}
