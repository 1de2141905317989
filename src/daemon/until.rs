//! What a run of the program lasts for, and what its end means.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};

use super::failure::{Failure, INTERRUPTED};
use super::opening::Opening;
use crate::control::commands::vocabulary::deck_name;
use crate::control::conductor::Conductor;
use crate::control::conductor::takeover::Ended;
use crate::sets::timetable::{Times, playlist};
use crate::sets::track::Track;

/// Condition that ends a run of the program, besides a signal.
#[derive(Clone, Debug, Default)]
pub enum Until {
    /// Nothing.
    #[default]
    Signal,
    /// The end of its set; what was played is listed.
    Set(Option<Playlist>),
    /// The end of its plan.
    Plan,
    /// The end of what drives it from another thread.
    Driver(Arc<Driver>),
}

/// A list of what was played, to be written in the format of the older player.
#[derive(Clone, Debug)]
pub struct Playlist {
    /// Its file.
    pub to: PathBuf,
    /// Columns of the set.
    pub columns: Vec<String>,
}

impl Playlist {
    /// Writes tracks: deck, times and row of each. A time of 0 is one that has not come; it counts as the latest of all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, rows: &[(char, Times, &Track)]) -> Result<(), Failure> {
        let latest = rows.iter().flat_map(|(_, t, _)| [t.start, t.cue, t.end]).fold(0.0, f64::max);
        let known = |time: f64| if time > 0.0 { time } else { latest };
        let rows: Vec<_> = rows
            .iter()
            .map(|(deck, t, track)| (*deck, Times { cue: known(t.cue), end: known(t.end), ..*t }, *track))
            .collect();
        let failed = |e: std::io::Error| Failure::Io(format!("--playlist-out {}: {e}", self.to.display()));
        std::fs::write(&self.to, playlist(&self.columns, &rows)).map_err(failed)
    }

    /// Writes what a conductor has played.
    fn write_of(&self, conductor: &Conductor) -> Result<(), Failure> {
        let list = conductor.sets.list();
        let (zero, now) = (list.first().map_or(0, |first| first.times[0]), conductor.cx.now());
        let rows = list.iter().map(|played| {
            let seconds = |time: u64| {
                let time = if time > 0 { time } else { now };
                time.saturating_sub(zero) as f64 / conductor.cx.rate()
            };
            let [load, start, cue, end] = played.times.map(seconds);
            // The first is loaded at the beginning.
            let load = if played.times[0] == zero { 0.0 } else { load };
            let deck = deck_name(played.deck).to_uppercase().chars().next().unwrap_or('A');
            (deck, Times { load, start, cue, end }, &*played.track)
        });
        self.write(&rows.collect::<Vec<_>>())
    }
}

/// State of a thread that drives the engine of this process.
#[derive(Debug, Default)]
pub struct Driver {
    is_over: AtomicBool,
    result: Mutex<Option<Result<(), Failure>>>,
}

impl Driver {
    /// Ends the run with a result.
    pub fn finish(&self, result: Result<(), Failure>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.is_over.store(true, Release);
    }

    fn outcome(&self) -> Result<(), Failure> {
        let interrupted = || Failure::Own { code: INTERRUPTED, text: "plan: interrupted".into() };
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.unwrap_or_else(|| Err(interrupted()))
    }
}

impl Until {
    /// Returns whether it has come.
    pub fn is_over(&self, conductor: &Conductor) -> bool {
        match self {
            Until::Signal => false,
            Until::Set(_) => conductor.sets.ended().is_some(),
            Until::Plan => conductor.plans.ended().is_some(),
            Until::Driver(driver) => driver.is_over.load(Acquire),
        }
    }

    /// Returns what the end means for the program that was started to play a set or a plan.
    ///
    /// # Errors
    /// With exit code 1 if nothing, or a part of a plan, could not be played; 130 if it was interrupted.
    pub fn outcome(&self, conductor: &Conductor) -> Result<(), Failure> {
        let (what, ended) = match self {
            Until::Signal => return Ok(()),
            Until::Driver(driver) => return driver.outcome(),
            Until::Set(list) => {
                if let Some(list) = list {
                    list.write_of(conductor)?;
                }
                ("set", conductor.sets.ended())
            }
            Until::Plan => ("plan", conductor.plans.ended()),
        };
        let (code, text) = match ended {
            Some(Ended::Stopped) => return Ok(()),
            Some(Ended::Played { begun: 0, .. }) => {
                (1, format!("{what}: no part of it could be played; the log says why"))
            }
            Some(Ended::Played { missing: 1.., .. }) if matches!(self, Until::Plan) => {
                (1, format!("{what}: some stems could not be played; the log says which"))
            }
            Some(Ended::Played { .. }) => return Ok(()),
            Some(Ended::Failed(why)) => (1, why.clone()),
            None => (INTERRUPTED, format!("{what}: interrupted before its end")),
        };
        Err(Failure::Own { code, text })
    }
}

/// Work that is left after a command for a set or a plan has looked at its flags.
pub enum Rest {
    /// Nothing.
    Done,
    /// The opening is played with this process's own engine and card.
    Play {
        /// Calls made at start.
        opening: Opening,
        /// Condition that ends it.
        until: Until,
        /// OSC port, if not the configured ones.
        port: Option<u16>,
    },
    /// The opening is rendered into a file.
    Render {
        /// Calls made at start.
        opening: Opening,
        /// Condition that ends it.
        until: Until,
        /// The file.
        out: PathBuf,
        /// Maximum length in seconds.
        seconds: f64,
    },
}
