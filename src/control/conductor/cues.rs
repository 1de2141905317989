//! Cues: tracks that are made ready on a deck, and decks that start together.

use super::buffer::{Cue, FIRST_ID, Start};
use super::context::Context;
use super::stems::Stems;
use super::tempo::Tempo;
use super::waiting::GroupStart;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Outcome, deck_name};

impl Stems {
    /// Loads a deck's track, unless it is loaded already, and makes it ready to start at `from`. Returns whether a track
    /// that was loaded has been stopped for that.
    ///
    /// # Errors
    /// As [`Stems::load`].
    pub fn cue(
        &mut self,
        cx: &mut Context,
        tempo: &Tempo,
        (deck, path, from): (usize, &str, f64),
        at: Option<u64>,
        (origin, address): (Option<Origin>, &str),
    ) -> Result<(Outcome, bool), Fault> {
        let id = FIRST_ID[deck];
        let (mut outcome, mut stopped) = (Outcome::Done, false);
        if !self.holds(id, path) {
            outcome = self.load(cx, id, (path, ""), origin, address)?;
        } else if self.await_load(id, origin, address) {
            outcome = Outcome::Later;
        } else {
            self.stop(cx, tempo, id, at);
            stopped = true;
        }
        self.set_start(id, Start::at(from));
        self.cues[deck] = Some(Cue { id, from });
        self.prime(cx, tempo, id, from);
        Ok((outcome, stopped))
    }

    /// Loads a deck's track, unless it is loaded already. Returns its load's number.
    ///
    /// # Errors
    /// As [`Stems::load`].
    pub fn load_on_deck(
        &mut self,
        cx: &mut Context,
        deck: usize,
        path: &str,
        (origin, address): (Option<Origin>, &str),
    ) -> Result<(Outcome, Option<u64>), Fault> {
        let id = FIRST_ID[deck];
        let outcome = if !self.holds(id, path) {
            self.load(cx, id, (path, ""), origin, address)?
        } else if self.await_load(id, origin, address) {
            Outcome::Later
        } else {
            Outcome::Done
        };
        Ok((outcome, self.get(id).map(|b| b.serial)))
    }

    /// Starts cued decks on one sample if all of them are ready or their time is up; returns the request otherwise.
    pub fn start_group_if_ready(&mut self, cx: &mut Context, tempo: &Tempo, group: GroupStart) -> Option<GroupStart> {
        let is_ready = |stems: &Stems, deck: usize| stems.cues[deck].is_some_and(|cue| stems.is_primed(cue.id));
        let missing: Vec<usize> = group.decks.iter().copied().filter(|d| !is_ready(self, *d)).collect();
        if !missing.is_empty() && cx.now() < group.until {
            return Some(group);
        }
        // All of them on one sample: the one asked for, or the first that all commands reach in time.
        let start_at = group.at.max(cx.soon());
        for deck in group.decks.iter().filter(|d| !missing.contains(d)) {
            if let Some(Cue { id, from }) = self.cues[*deck].take() {
                // Ready means loaded: this cannot fail.
                let _ = self.play(cx, tempo, id, Start::at(from), Some(start_at));
            }
        }
        let GroupStart { origin, address, .. } = group;
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|d| self.why_missing(*d)).collect();
            let fault = Fault::refused(format!(
                "{} after {:.1} s; the others were started",
                names.join(" and "),
                cx.settings.media.group_wait_s
            ));
            cx.fail(origin, &address, &fault);
            return None;
        }
        let late = start_at.saturating_sub(group.at) as f64 / cx.rate();
        cx.done(origin, &address, vec![Value::from(late)]);
        if late > 0.001 {
            cx.count_late(origin);
            cx.answer(origin, vec![Message::new("/late", vec![Value::from(address.as_str()), Value::from(late)])]);
        }
        None
    }

    fn why_missing(&self, deck: usize) -> String {
        let why = if self.cues[deck].is_some() { "is still loading" } else { "was not cued" };
        format!("deck {} {why}", deck_name(deck))
    }
}
