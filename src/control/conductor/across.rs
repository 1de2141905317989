//! What concerns several parts of the conductor at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Conductor;
use super::buffer::{FIRST_ID, Playhead};
use super::evolution::EVERY;
use super::midi_learn;
use super::movement::Hand;
use super::plans::Plans;
use super::presets::Request;
use super::sets::{STOP_S, Sets};
use super::status;
use super::takeover::{CHANGE_S, Parts};
use super::waiting::{Deferred, GroupStart};
use crate::control::commands::fault::Fault;
use crate::control::commands::json;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Outcome};
use crate::control::conductor::show::Show;
use crate::sets::mix::Mix;

impl Conductor {
    /// Stops a stem; a restoration that is under way will not start it.
    pub fn stop_stem(&mut self, id: i64, at: Option<u64>) {
        self.presets.leave_out(id);
        self.stems.stop(&mut self.cx, &self.tempo, id, at);
    }

    /// Stops everything on a deck.
    pub fn stop_deck(&mut self, deck: usize, at: Option<u64>) {
        for id in self.stems.ids_on(deck) {
            self.stop_stem(id, at);
        }
    }

    /// Stops and forgets all stems, cues and schedules, and ends all notes; levels, equalisers and tempo stay.
    pub fn cleanup(&mut self, at: Option<u64>, origin: Option<Origin>) {
        self.instruments.silence(&mut self.cx, at);
        self.with_set(|sets, parts| sets.stop(parts, STOP_S));
        self.with_plan(|plans, parts| plans.stop(parts, CHANGE_S));
        self.stems.unload_all(&mut self.cx, &mut self.tempo, at);
        for deferred in self.schedule.forget(origin) {
            if let Deferred::Group(GroupStart { origin, address, .. }) = deferred {
                self.cx.fail(origin, &address, &Fault::refused("everything was cleaned up before the start"));
            }
        }
        self.presets.give_up(&mut self.cx, "everything was cleaned up before it was restored");
    }

    /// Plays the set that was loaded, in place of a plan.
    ///
    /// # Errors
    /// If no set was loaded.
    pub fn play_set(&mut self, mix: Mix) -> Result<Outcome, Fault> {
        self.sets.may_play()?;
        if !self.sets.is_reading() {
            self.make_way_for_set();
        }
        self.with_set(|sets, parts| sets.play(parts, mix))
    }

    /// Ends the plan because a set is about to begin.
    pub fn make_way_for_set(&mut self) {
        self.with_plan(|plans, parts| plans.stop(parts, CHANGE_S));
        self.sets.set_blocked(self.plans.holds_decks());
    }

    /// Plays sections of the plan that was loaded, in place of a set.
    ///
    /// # Errors
    /// If no plan was loaded, or it has no such sections.
    pub fn play_plan(&mut self, range: &str, looped: bool) -> Result<Outcome, Fault> {
        let played = self.with_plan(|plans, parts| plans.play(parts, range, looped))?;
        self.make_way_for_plan();
        Ok(played)
    }

    /// Ends the set if a plan is about to begin.
    pub fn make_way_for_plan(&mut self) {
        if self.plans.waits() {
            self.with_set(|sets, parts| sets.stop(parts, CHANGE_S));
            self.plans.set_blocked(self.sets.holds_decks());
        }
    }

    /// Lets the plan act on the other parts.
    pub fn with_plan<T>(&mut self, act: impl FnOnce(&mut Plans, &mut Parts) -> T) -> T {
        let Conductor { cx, tempo, stems, mixer, stretching, plans, .. } = self;
        act(plans, &mut Parts { cx, tempo, stems, mixer, stretching })
    }

    /// Lets the set act on the other parts.
    pub fn with_set<T>(&mut self, act: impl FnOnce(&mut Sets, &mut Parts) -> T) -> T {
        let Conductor { cx, tempo, stems, mixer, stretching, sets, .. } = self;
        act(sets, &mut Parts { cx, tempo, stems, mixer, stretching })
    }

    /// Loads a deck's track, unless it is loaded already, and makes it ready to start at `from`.
    ///
    /// # Errors
    /// As [`super::stems::Stems::load`].
    pub fn cue(&mut self, deck: usize, path: &str, from: f64, call: &Call) -> Result<Outcome, Fault> {
        let asked = (call.origin, call.address.as_str());
        let (outcome, stopped) = self.stems.cue(&mut self.cx, &self.tempo, (deck, path, from), call.at, asked)?;
        if stopped {
            self.presets.leave_out(FIRST_ID[deck]);
        }
        Ok(outcome)
    }

    /// Starts cued decks on one sample, `seconds` from now, or as soon as the last of them is ready.
    ///
    /// # Errors
    /// If no deck is named, or too much is scheduled.
    pub fn start_group(&mut self, decks: Vec<usize>, seconds: f64, call: &Call) -> Result<Outcome, Fault> {
        if decks.is_empty() {
            return Err(Fault::refused("no deck is named: expected a number of seconds and then decks, as in 0.5 a b"));
        }
        let at = call.at.unwrap_or(self.cx.now()) + self.cx.frames(seconds);
        let until = at + self.cx.frames(self.cx.settings.media.group_wait_s);
        let group = GroupStart { decks, at, until, origin: call.origin, address: call.address.clone() };
        self.schedule.defer(&mut self.cx, at, Deferred::Group(group))?;
        Ok(Outcome::Later)
    }

    /// Loads a deck's track, unless it is loaded already, and plays it `seconds` from now from its beginning.
    ///
    /// # Errors
    /// As [`super::stems::Stems::load`], and if too much is scheduled.
    pub fn play_on_deck(&mut self, deck: usize, path: &str, seconds: f64, call: &Call) -> Result<Outcome, Fault> {
        let at = call.at.unwrap_or(self.cx.now()) + self.cx.frames(seconds);
        let asked = (call.origin, call.address.as_str());
        let (outcome, serial) = self.stems.load_on_deck(&mut self.cx, deck, path, asked)?;
        if let Some(serial) = serial {
            self.schedule.defer(&mut self.cx, at, Deferred::Play { id: FIRST_ID[deck], serial })?;
        }
        Ok(outcome)
    }

    /// Makes calls at a time of the session's clock.
    ///
    /// # Errors
    /// If too much is scheduled.
    pub fn schedule_at(&mut self, seconds: f64, origin: Option<Origin>, calls: Vec<Message>) -> Result<Outcome, Fault> {
        let at = self.schedule.sample_at(&self.cx, seconds);
        self.schedule.defer_calls(&mut self.cx, at, origin, calls)
    }

    /// Makes calls `seconds` from now, or from the time of `call`.
    ///
    /// # Errors
    /// If too much is scheduled.
    pub fn schedule_in(&mut self, seconds: f64, call: &Call, calls: Vec<Message>) -> Result<Outcome, Fault> {
        let at = call.at.unwrap_or(self.cx.now()) + self.cx.frames(seconds);
        self.schedule.defer_calls(&mut self.cx, at, call.origin, calls)
    }

    /// Sets the tempo in BPM, within `glide_s` seconds or an ordinary glide.
    pub fn set_tempo(&mut self, at: Option<u64>, bpm: f64, glide_s: Option<f64>, hand: Hand) {
        self.movement.set_tempo(&mut self.cx, &mut self.tempo, at, (bpm, glide_s), hand);
    }

    /// Takes a measurement of movement.
    pub fn hear_movement(&mut self, name: &str, number: f64) {
        let mut calls = Vec::new();
        self.movement.hear(&mut self.cx, &mut self.tempo, name, number, &mut calls);
        self.enqueue(calls);
    }

    /// Takes a move of a MIDI controller: channel 1 to 16, number, value 0 to 127.
    ///
    /// # Errors
    /// If it is a standard controller and there are no voices.
    pub fn hear_controller(
        &mut self,
        (channel, number, value): (i64, i64, f64),
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        self.learn.take_in(&mut self.cx, channel, number);
        let (share, mut calls, mut found) = (value / 127.0, Vec::new(), false);
        // A map may name the channel, or mean all of them.
        for source in [midi_learn::source(channel, number), format!("midi/{number}")] {
            found |= self.movement.steer(&self.cx, &source, share, &mut calls);
            found |= self.learn.steer(&self.cx, &source, share, &mut calls);
        }
        if found {
            self.enqueue(calls);
            return Ok(Outcome::Done);
        }
        midi_learn::standard_controller(&mut self.instruments, &mut self.cx, (channel, number, value), at)
    }

    /// The show as it is now.
    pub fn show(&self) -> Show {
        self.view().show()
    }

    /// Saves the state now, if it has changed.
    pub fn save_state(&mut self) {
        if self.presets.may_save_state(&self.cx) {
            let show = self.show();
            self.presets.save_state(&mut self.cx, &show);
        }
    }

    /// Restores the show of an earlier run.
    pub fn restore(&mut self, show: Show) {
        let serial = self.cx.next_serial();
        self.recall(Request { show, origin: None, address: "restore".into(), serial });
    }

    /// Restores a show: settings at once, stems when all of them are loaded and fetched, on one sample.
    pub fn recall(&mut self, request: Request) {
        self.with_set(|sets, parts| sets.stop(parts, CHANGE_S));
        self.with_plan(|plans, parts| plans.stop(parts, CHANGE_S));
        let (plan, set) = (request.show.plan.clone(), request.show.set.clone());
        // The show's settings take the place of those from before.
        self.with_set(|sets, parts| sets.release(parts));
        self.with_plan(|plans, parts| plans.release(parts));
        self.presets.give_up(&mut self.cx, "another preset was asked for before this one was restored");
        let show = &request.show;
        for (address, values) in show.settings() {
            self.call(None, Message::new(address, values), None);
        }
        if let Some(learned) = &show.learned {
            self.learn.restore(&self.cx, learned);
        }
        if let Some(controls) = &show.controls {
            let has_voices = self.instruments.count() > 0;
            if has_voices {
                self.instruments.restore(&mut self.cx, controls);
            }
            if !controls.contains_key(EVERY) {
                let _ = self.evolution.set_every(&mut self.cx, 0.0);
            }
            for (address, values) in controls.iter().filter(|(address, _)| has_voices || *address == EVERY) {
                let values = values.iter().filter_map(json::to_value).collect();
                self.call(None, Message::new(address.as_str(), values), None);
            }
        }
        self.presets.begin(&mut self.cx, &mut self.tempo, &mut self.stems, request);
        if let Some(plan) = plan {
            self.with_plan(|plans, parts| plans.resume(parts, plan));
        } else if let Some(set) = set {
            self.sets.resume(&mut self.cx, set);
        }
    }

    /// Where a stem is that plays, and how fast it goes; `None` if it does not.
    pub fn place_of(&self, id: i64) -> Option<Playhead> {
        self.stems.place_of(&self.cx, &self.tempo, id)
    }

    /// The status, as `/get_status` answers it.
    pub fn status(&self) -> Vec<Message> {
        status::all(&self.view())
    }

    /// The line that `systemctl status` shows.
    pub fn status_line(&self) -> String {
        status::unit_line(&self.view())
    }

    /// Ends the subscriptions of a peer that no longer exists.
    pub fn gone(&mut self, peer: SocketAddr) {
        if self.cx.replies.subscriptions.drop_peer(peer) {
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            tracing::info!("OSC: {peer} is gone; its subscriptions have ended");
        }
    }

    /// Every value, by path: controls, status, meters.
    pub fn state(&self) -> BTreeMap<String, Vec<Value>> {
        let mut values = BTreeMap::new();
        for address in self.cx.vocabulary.with_values() {
            if let Ok(now) = self.values_of(address) {
                values.insert(address.clone(), now);
            }
        }
        for message in self.status().into_iter().chain(self.output.meters()) {
            let (path, rest) = if self.cx.vocabulary.is_numbered_stream(&message.address) {
                let mut args = message.args.into_iter();
                let which = args.next().map(|v| v.as_text()).unwrap_or_default();
                (format!("{}/{which}", message.address), args.collect())
            } else {
                (message.address, message.args)
            };
            values.insert(path, rest);
        }
        values
    }

    /// The present values of the control at `address`.
    ///
    /// # Errors
    /// If there is no such control, or it has no value.
    pub fn values_of(&self, address: &str) -> Result<Vec<Value>, Fault> {
        let Some((row, in_address)) = self.table.find(address) else {
            let state = (address.starts_with("/status/") || address.starts_with("/meter/")).then(|| self.state());
            return state.and_then(|mut s| s.remove(address)).ok_or_else(|| self.cx.vocabulary.unknown(address));
        };
        let get = row.get.ok_or_else(|| Fault::refused(format!("{address} is an action; it has no value")))?;
        let args = row.control.check_address(&in_address)?;
        Ok(get(self, &Call::new(&row.control, address.into(), args, None, None)))
    }
}
