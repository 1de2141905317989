//! A deck's pace: how its tempo is changed, and how far it follows the clock.

use crate::engine::method::Method;
use crate::media::grid::{Grid, Unit};

/// How far a deck follows the music clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Not at all: stems play at their own rate.
    Off,
    /// Stems play as fast as the clock says.
    #[default]
    Tempo,
    /// As `Tempo`, and stems start so that their beats fall on the clock's beats.
    Beat,
    /// As `Tempo`, and stems start so that their bars fall on the clock's bars.
    Bar,
}

impl Sync {
    /// The names of all variants.
    pub const NAMES: &[&str] = &["off", "tempo", "beat", "bar"];

    /// The variant of a name.
    pub fn named(name: &str) -> Option<Sync> {
        [Sync::Off, Sync::Tempo, Sync::Beat, Sync::Bar].into_iter().find(|s| s.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// How a deck's tempo is set.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// How its tempo is changed.
    pub method: Method,
    /// How far it follows the clock.
    pub sync: Sync,
    /// Change of key in semitones.
    pub key: f64,
    /// Whether formants stay where they are meanwhile.
    pub formants: bool,
    /// The tempo in BPM that a client set for it.
    pub set_bpm: Option<f64>,
    /// The beat grid of the file beside one of its tracks, and that track's buffer.
    pub grid: Option<(i64, Grid)>,
}

impl Pace {
    /// Its own tempo in BPM, if it is not the base tempo.
    pub fn bpm(&self) -> Option<f64> {
        self.set_bpm.or_else(|| self.grid().map(|g| g.bpm))
    }

    /// Whether starts on it wait for a beat or a bar.
    pub fn starts_on_beats(&self) -> bool {
        matches!(self.sync, Sync::Beat | Sync::Bar)
    }

    /// Its beats, if they are known.
    pub fn grid(&self) -> Option<&Grid> {
        self.grid.as_ref().map(|(_, grid)| grid)
    }

    /// The unit that starts are aligned to, if any.
    pub fn unit(&self, beats_per_bar: i64) -> Option<Unit> {
        match self.sync {
            Sync::Off | Sync::Tempo => None,
            Sync::Beat => Some(Unit::Beat),
            Sync::Bar => Some(Unit::Bar(usize::try_from(beats_per_bar).unwrap_or(4))),
        }
    }

    /// The factor by which the key changes the speed at which stretched sound is played.
    pub fn key_factor(&self) -> f64 {
        (self.key / 12.0).exp2()
    }
}
