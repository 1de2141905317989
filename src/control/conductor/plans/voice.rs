//! A stem of a section: how its buffer is loaded, started and faded.

use super::super::buffer::{FIRST_ID, Start, State};
use super::super::takeover::Parts;
use crate::engine::command::Action;
use crate::engine::source::Play;
use crate::media::decode::Info;
use crate::plans::score::Part;

/// Stems of a plan are numbered from here on each deck: from 1000 on deck A, as those of older clients.
const FIRST: i64 = 900;
/// Most stems of a plan on a deck at a time.
const MOST: i64 = 100;
/// Distance from the beginning of a loop below which it counts as there, in beats.
const EXACT: f64 = 1e-6;
/// Ticks after which a fetch is asked for again.
const AGAIN: u32 = 20;
/// The address that is named in replies and log lines about loads.
pub const ADDRESS: &str = "/groove/plan/play";

/// Progress of a stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Loading,
    Priming,
    Ready,
}

/// A stem of a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    /// Part of the section that it plays.
    pub part: Part,
    /// Number of its buffer.
    pub id: i64,
    /// Serial number of the load of its buffer.
    serial: u64,
    phase: Phase,
    /// Beats of the part that lie before the beginning of the section.
    pub offset: f64,
    /// True if it was started as a loop.
    loops: bool,
    /// True if the section before has it, too, and it may go on.
    pub carried: bool,
    /// The sample at which it was started.
    at: u64,
    /// The sample of the latest change of its volume.
    due: u64,
    /// Ticks for which its start has been fetched.
    waits: u32,
}

impl Voice {
    /// Loads a part on a deck, at a number that none of `taken` has.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub fn load(parts: &mut Parts, part: &Part, (deck, taken): (usize, &[i64]), offset: f64) -> Result<Voice, String> {
        let first = FIRST_ID[deck] + FIRST;
        // Clients may have some of these numbers.
        let id = (first..first + MOST).find(|id| !taken.contains(id) && parts.stems.get(*id).is_none());
        let id = id.ok_or_else(|| format!("{MOST} stems of the plan are on its deck already, which is the limit"))?;
        let name = format!("{}_{}", part.song.split('(').next().unwrap_or_default().trim(), part.name);
        let loaded = parts.stems.load(parts.cx, id, (&part.path, &name), None, ADDRESS);
        loaded.map_err(|fault| fault.to_string())?;
        let serial = parts.stems.get(id).map_or(0, |buffer| buffer.serial);
        Ok(Voice {
            part: part.clone(),
            id,
            serial,
            phase: Phase::Loading,
            offset,
            loops: part.turn.is_some(),
            carried: false,
            at: 0,
            due: 0,
            waits: 0,
        })
    }

    /// Returns the voice of the next section's `part` that uses the same buffer.
    pub fn carry(&self, part: &Part) -> Voice {
        Voice { part: part.clone(), phase: Phase::Ready, offset: 0.0, carried: true, ..self.clone() }
    }

    /// Returns whether its buffer is still the one that was loaded for it.
    pub fn is_there(&self, parts: &Parts) -> bool {
        parts.stems.get(self.id).is_some_and(|buffer| buffer.serial == self.serial)
    }

    /// Returns whether it could not be loaded because there was no room for it.
    pub fn lacks_room(&self, parts: &Parts) -> bool {
        !self.is_there(parts) && parts.stems.lacked_room(self.id)
    }

    /// Follows its load. Returns `false` if it has failed.
    pub fn prepare(&mut self, parts: &mut Parts, bpm: f64) -> bool {
        if !self.is_there(parts) {
            return false;
        }
        match self.phase {
            Phase::Loading => {
                if self.prime(parts, bpm) {
                    self.phase = Phase::Priming;
                }
            }
            Phase::Priming if parts.stems.is_primed(self.id) => self.phase = Phase::Ready,
            Phase::Priming => {
                self.waits += 1;
                if self.waits.is_multiple_of(AGAIN) {
                    // Both heads were still fading when this was asked for.
                    self.prime(parts, bpm);
                }
            }
            Phase::Ready => {}
        }
        true
    }

    /// Fetches what its start needs; returns whether its buffer is loaded.
    pub fn prime(&self, parts: &mut Parts, bpm: f64) -> bool {
        let Some(State::Ready { info, .. }) = parts.stems.get(self.id).map(|buffer| &buffer.state) else {
            return false;
        };
        let start = self.start_in(info, bpm);
        parts.stems.prime_for(parts.cx, self.id, start);
        true
    }

    /// Returns whether it can start on its sample.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Starts it at a sample.
    pub fn start(&mut self, parts: &mut Parts, bpm: f64, at: u64) {
        let Some(State::Ready { info, slot, .. }) = parts.stems.get(self.id).map(|buffer| &buffer.state) else {
            return;
        };
        let (slot, start) = (*slot, self.start_in(info, bpm));
        let (from, end) = self.turn_in(info, bpm);
        self.loops = self.part.turn.is_some();
        if !self.loops && self.offset >= self.part.beats(bpm) {
            // The section lasts longer than it does.
            return;
        }
        self.at = at;
        parts.stems.start_on_sample(parts.cx, self.id, start, at);
        if self.loops && self.offset > 0.0 {
            parts.cx.push(Some(at), Action::Loop { slot, play: Play { from, start: from, end, looped: true } });
        }
    }

    /// Lets it go on into a section of `beats` beats after `passed` beats of the present one; `false` if it has to begin
    /// again there. A loop that is at its beginning does so, too: its length in frames of the file is not exact.
    pub fn goes_on(&mut self, before: &Voice, passed: f64, beats: f64, bpm: f64) -> bool {
        let position = before.offset + passed;
        let turn = before.part.turn.filter(|_| before.loops);
        let into = turn.map_or(position, |turn| position % turn);
        let goes_on = match turn {
            Some(turn) => into > EXACT && turn - into > EXACT,
            None => self.part.beats(bpm) - position > beats - 1.0,
        };
        if goes_on {
            (self.offset, self.loops) = (into, before.loops);
            self.part.turn = turn;
        }
        goes_on
    }

    /// Fades it out from a sample on, within some seconds. Returns the sample at which it is silent.
    pub fn fade(&mut self, parts: &mut Parts, at: Option<u64>, seconds: f64) -> u64 {
        if self.is_there(parts) {
            if at.is_none() && self.at > parts.cx.now() {
                parts.stems.cancel_start(parts.cx, self.id);
            }
            // It exists: this cannot fail.
            let _ = parts.stems.set_volume(parts.cx, self.id, (0.0, Some(seconds)), at);
            if at.is_none() && self.due > parts.cx.now() {
                // A change that has been sent must not undo this.
                let _ = parts.stems.set_volume(parts.cx, self.id, (0.0, Some(seconds)), Some(self.due));
            }
            self.due = at.unwrap_or(0);
        }
        at.unwrap_or(parts.cx.soon()) + parts.cx.frames(seconds.max(0.01))
    }

    /// Sets the volume of its part from a sample on.
    pub fn take_volume(&mut self, parts: &mut Parts, at: u64) {
        if self.is_there(parts) {
            self.due = at;
            let _ = parts.stems.set_volume(parts.cx, self.id, (self.part.volume, None), Some(at));
        }
    }

    /// Stops it and forgets its buffer.
    pub fn unload(&self, parts: &mut Parts, at: Option<u64>) {
        if self.is_there(parts) {
            parts.stems.unload(parts.cx, parts.tempo, self.id, at);
        }
    }

    /// Returns seconds of the file that pass within some beats.
    fn seconds(&self, beats: f64, bpm: f64) -> f64 {
        beats * 60.0 / bpm * self.part.rate
    }

    /// Returns the first frame of the part, and the one past the last of its loop, or of the part if it has none.
    fn turn_in(&self, info: &Info, bpm: f64) -> (u64, u64) {
        let frames = |seconds: f64| ((seconds * f64::from(info.sample_rate)).round() as u64).min(info.frames);
        let end = match self.part.turn {
            Some(turn) => self.part.end.min(self.part.start + self.seconds(turn, bpm)),
            None => self.part.end,
        };
        (frames(self.part.start), frames(end))
    }

    /// Returns its start, at its offset.
    fn start_in(&self, info: &Info, bpm: f64) -> Start {
        let (first, end) = self.turn_in(info, bpm);
        let (rate, frames) = (f64::from(info.sample_rate), info.frames.max(1) as f64);
        let into = (self.seconds(self.offset, bpm) * rate).round() as u64;
        let begin = (first + into).min(end.saturating_sub(1));
        // Half a frame on, so that rounding down finds these frames again.
        let from = if begin == 0 { 0.0 } else { (begin as f64 + 0.5) / frames };
        let is_whole = begin == 0 && end >= info.frames;
        let seconds = if is_whole { 0.0 } else { ((end - begin) as f64 + 0.5) / rate };
        Start { rate: self.part.rate, volume: self.part.volume, looped: self.part.turn.is_some(), from, seconds }
    }
}
