//! Levels, equalisers, cues, groups, fades.

use super::super::request::{Message, Origin};
use super::super::value::Value;
use super::super::vocabulary::{Fault, Outcome, deck_name};
use super::stems::{FIRST_ID, Start};
use super::{Conductor, Deck, Deferred};
use crate::engine::command::Action;
use crate::engine::eq::Band;

/// Gain of a DJ equaliser's setting in percent: 0 kills, 50 and above is flat, between them −24 dB … 0 dB.
pub fn gain_of_percent(percent: f64) -> f64 {
    if percent <= 0.0 {
        0.0
    } else if percent >= 50.0 {
        1.0
    } else {
        10f64.powf((percent / 50.0 - 1.0) * 24.0 / 20.0)
    }
}

/// Gains of the two sides of a crossfade at `position` (0: only A, 1: only B).
pub fn crossfade_gains(position: f64, curve: &str) -> (f64, f64) {
    let x = position.clamp(0.0, 1.0);
    match curve {
        "power" => {
            let angle = x * std::f64::consts::FRAC_PI_2;
            // Exactly one and zero at the ends.
            (if x == 1.0 { 0.0 } else { angle.cos() }, angle.sin())
        }
        // Both are full in the middle; only the very ends close.
        "cut" => (if x < 0.95 { 1.0 } else { (1.0 - x) * 20.0 }, if x > 0.05 { 1.0 } else { x * 20.0 }),
        "off" => (1.0, 1.0),
        _ => (1.0 - x, x),
    }
}

impl Conductor {
    /// A deck as it was set.
    pub fn deck(&self, deck: usize) -> &Deck {
        &self.decks[deck.min(3)]
    }

    /// The master gain as it was set.
    pub fn master(&self) -> f64 {
        self.master
    }

    /// Sets a deck's level, within `seconds` or an ordinary ramp.
    pub fn set_level(&mut self, deck: usize, level: f64, seconds: Option<f64>, at: Option<u64>) {
        self.decks[deck].level = level;
        let frames = seconds.map(|s| self.frames(s).min(u64::from(u32::MAX)) as u32);
        self.push(at, Action::DeckLevel { deck, level: level as f32, frames });
    }

    /// Whether the older servers' equaliser addresses take effect.
    pub fn has_filters(&self) -> bool {
        self.settings.filters
    }

    /// Sets one band of a deck's equaliser (linear).
    pub fn set_band(&mut self, deck: usize, band: Band, gain: f64, at: Option<u64>) {
        self.decks[deck].bands[band as usize] = gain;
        self.push(at, Action::Eq { deck, band, gain: gain as f32 });
    }

    /// Sets the master gain.
    pub fn set_master(&mut self, gain: f64, seconds: Option<f64>, at: Option<u64>) {
        self.master = gain;
        let frames = seconds.map(|s| self.frames(s).min(u64::from(u32::MAX)) as u32);
        self.push(at, Action::Master { gain: gain as f32, frames });
    }

    /// Moves the crossfader between decks A and B.
    pub fn set_crossfade(&mut self, position: f64, curve: &str, seconds: Option<f64>, at: Option<u64>) {
        self.crossfade = (position, curve.into());
        let (a, b) = crossfade_gains(position, curve);
        let frames = seconds.map(|s| self.frames(s).min(u64::from(u32::MAX)) as u32);
        for (deck, gain) in [(0, a), (1, b)] {
            self.decks[deck].fader = gain;
            self.push(at, Action::Fader { deck, gain: gain as f32, frames });
        }
    }

    /// The crossfader: position and curve.
    pub fn crossfade(&self) -> (f64, &str) {
        (self.crossfade.0, &self.crossfade.1)
    }

    /// Loads a deck's track if it is another one, and makes it ready to start at `from`.
    pub fn cue(
        &mut self,
        deck: usize,
        path: &str,
        from: f64,
        at: Option<u64>,
        origin: Option<Origin>,
        address: &str,
    ) -> Result<Outcome, Fault> {
        let id = FIRST_ID[deck];
        let mut outcome = Outcome::Done;
        if !self.holds(id, path) {
            outcome = self.load(id, path, "", origin, address)?;
        } else if self.await_load(id, origin, address) {
            outcome = Outcome::Later;
        } else {
            self.stop(id, at);
        }
        if let Some(buffer) = self.buffers.get_mut(&id) {
            buffer.start = Start { rate: 1.0, volume: 0.8, looped: true, from, seconds: 0.0 };
        }
        self.decks[deck].armed = Some((id, from));
        self.prime(id, from);
        Ok(outcome)
    }

    /// Starts armed decks on one sample, `seconds` from now, or as soon as the last of them is ready.
    pub fn start_group(
        &mut self,
        decks: Vec<usize>,
        seconds: f64,
        from: Option<u64>,
        origin: Option<Origin>,
        address: &str,
    ) -> Result<Outcome, Fault> {
        if decks.is_empty() {
            return Err(Fault("no deck is named; start_at and then decks would be right, as in 0.5 a b".into()));
        }
        let now = from.unwrap_or(self.now());
        let at = now + self.frames(seconds);
        let until = at.max(now) + self.frames(self.settings.group_wait_s);
        let group = Deferred::Group { decks, at, until, origin, address: address.into() };
        self.defer_thing(group, at)?;
        Ok(Outcome::Later)
    }

    /// Starts a group if all its decks are ready or its patience is at an end; gives it back otherwise.
    pub(super) fn start_group_if_ready(
        &mut self,
        decks: Vec<usize>,
        at: u64,
        until: u64,
        origin: Option<Origin>,
        address: String,
    ) -> Option<Deferred> {
        let ready = |c: &Conductor, deck: usize| c.decks[deck].armed.is_some_and(|(id, _)| c.is_primed(id));
        let missing: Vec<usize> = decks.iter().copied().filter(|d| !ready(self, *d)).collect();
        let now = self.now();
        if !missing.is_empty() && now < until {
            return Some(Deferred::Group { decks, at, until, origin, address });
        }
        // All of them on one sample: the one asked for, or the first that all commands can reach in time.
        let soon = self.soon();
        let start_at = at.max(soon);
        for deck in decks.iter().filter(|d| !missing.contains(d)) {
            if let Some((id, from)) = self.decks[*deck].armed.take() {
                let start = Start { rate: 1.0, volume: 0.8, looped: true, from, seconds: 0.0 };
                // Ready means loaded: this cannot fail.
                let _ = self.play(id, start, Some(start_at));
            }
        }
        let late = start_at.saturating_sub(at) as f64 / f64::from(self.settings.sample_rate);
        if missing.is_empty() {
            self.done(origin, &address, vec![Value::from(late)]);
            if late > 0.001 {
                self.count_late(origin);
                self.answer(
                    origin,
                    vec![Message::new("/late", vec![Value::from(address.as_str()), Value::from(late)])],
                );
            }
        } else {
            let names: Vec<String> = missing
                .iter()
                .map(|d| {
                    let why = match self.decks[*d].armed {
                        Some(_) => "is still loading",
                        None => "was not cued",
                    };
                    format!("deck {} {why}", deck_name(*d))
                })
                .collect();
            let fault = Fault(format!(
                "{} after {:.1} s; the others were started",
                names.join(" and "),
                self.settings.group_wait_s
            ));
            self.fail(origin, &address, &fault);
        }
        None
    }

    /// The first sample that all commands sent now can reach in time.
    pub(super) fn soon(&self) -> u64 {
        self.now() + self.report.period_frames.load(std::sync::atomic::Ordering::Relaxed) * 2 + 64
    }

    /// Loads a deck's track if it is another one, and plays it `seconds` from now from its beginning.
    pub fn play_on_deck(
        &mut self,
        deck: usize,
        path: &str,
        seconds: f64,
        from: Option<u64>,
        origin: Option<Origin>,
        address: &str,
    ) -> Result<Outcome, Fault> {
        let id = FIRST_ID[deck];
        let at = from.unwrap_or(self.now()) + self.frames(seconds);
        let mut outcome = Outcome::Done;
        if !self.holds(id, path) {
            outcome = self.load(id, path, "", origin, address)?;
        } else if self.await_load(id, origin, address) {
            outcome = Outcome::Later;
        }
        if let Some(serial) = self.buffers.get(&id).map(|b| b.serial) {
            self.defer_thing(Deferred::Play { id, serial }, at)?;
        }
        Ok(outcome)
    }

    /// Lets a deck's level go to zero, from `seconds` on, within `duration` seconds.
    pub fn fade(
        &mut self,
        deck: usize,
        seconds: f64,
        duration: f64,
        from: Option<u64>,
        origin: Option<Origin>,
    ) -> Result<Outcome, Fault> {
        if seconds <= 0.0 {
            self.set_level(deck, 0.0, Some(duration.max(0.005)), from);
            return Ok(Outcome::Done);
        }
        let address = format!("/groove/deck/{}/level", deck_name(deck));
        let calls = vec![Message::new(address, vec![Value::Float(0.0), Value::Float(duration.max(0.005))])];
        self.schedule_in(from, seconds, origin, calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_follows_the_older_servers_curve() {
        for (percent, gain) in [(0.0, 0.0), (-5.0, 0.0), (10.0, 0.110), (25.0, 0.251), (40.0, 0.575), (80.0, 1.0)] {
            assert!((gain_of_percent(percent) - gain).abs() < 6e-4, "{percent}");
        }
    }

    #[test]
    fn curves_meet_their_ends_exactly() {
        for curve in ["linear", "power", "cut"] {
            assert_eq!(crossfade_gains(0.0, curve), (1.0, 0.0), "{curve}");
            assert_eq!(crossfade_gains(1.0, curve), (0.0, 1.0), "{curve}");
        }
        let (a, b) = crossfade_gains(0.3, "power");
        assert!((a * a + b * b - 1.0).abs() < 1e-12);
        assert_eq!(crossfade_gains(0.5, "cut"), (1.0, 1.0));
    }
}
