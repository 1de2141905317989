//! Tempo, and when things are due.

use super::super::request::{Message, Origin, Request, When};
use super::super::value::Value;
use super::super::vocabulary::{Fault, Outcome};
use super::{Conductor, Deferred, LEAD_S, MOST_DEFERRED, MOST_KEPT_VALUES};
use crate::engine::DECKS;
use crate::engine::clock::Shape;
use crate::engine::command::Action;
use crate::system::time::monotonic_ns;

impl Conductor {
    /// Keeps a bundle until shortly before its moment; answers for one that is too early or too late.
    pub(super) fn handle_tagged(&mut self, ns: u64, request: Request) {
        let now = monotonic_ns();
        let ahead = (ns as f64 - now as f64) * 1e-9;
        let address = request.calls.first().map(|c| c.address.clone()).unwrap_or_default();
        if ahead > self.settings.horizon_s {
            let fault = Fault(format!(
                "its time tag lies {ahead:.0} s ahead; at most {:.0} s are kept",
                self.settings.horizon_s
            ));
            return self.fail(request.origin, &address, &fault);
        }
        let values = values_of(&request.calls);
        if self.tagged_values + self.deferred_values + values > MOST_KEPT_VALUES {
            let fault = Fault(format!(
                "{} values are kept for later already, and this bundle has {values} more; at most {MOST_KEPT_VALUES} are",
                self.tagged_values + self.deferred_values
            ));
            return self.fail(request.origin, &address, &fault);
        }
        if self.tagged.len() + self.deferred.len() >= MOST_DEFERRED {
            let fault = Fault(format!("{MOST_DEFERRED} bundles are waiting already; this one is not kept"));
            return self.fail(request.origin, &address, &fault);
        }
        let serial = self.serial();
        self.tagged_values += values;
        self.tagged.insert((ns, serial), request);
    }

    /// Does what is due within the lead.
    pub(super) fn do_due(&mut self) {
        let until = monotonic_ns() + (LEAD_S * 1e9) as u64;
        while let Some(entry) = self.tagged.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((ns, _), request) = entry.remove_entry();
            self.tagged_values = self.tagged_values.saturating_sub(values_of(&request.calls));
            let at = self.report.timebase.read().map(|line| line.sample_at(ns).round());
            match at {
                Some(at) if at > self.now() as f64 => self.call_all(request.origin, request.calls, Some(at as u64)),
                other => {
                    let late = other.map(|at| (self.now() as f64 - at) / f64::from(self.settings.sample_rate));
                    self.tell_late(request.origin, &request.calls, late);
                    self.call_all(request.origin, request.calls, None);
                }
            }
        }
        let until = self.now() + self.frames(LEAD_S);
        let mut again = Vec::new();
        while let Some(entry) = self.deferred.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at, serial), deferred) = entry.remove_entry();
            match deferred {
                Deferred::Calls(origin, calls) => {
                    self.deferred_values = self.deferred_values.saturating_sub(values_of(&calls));
                    self.call_all(origin, calls, Some(at));
                }
                Deferred::Play { id, serial } => self.play_same(id, serial, at),
                Deferred::Group { decks, at, until, origin, address } => {
                    if let Some(waiting) = self.start_group_if_ready(decks, at, until, origin, address) {
                        again.push(((at, serial), waiting));
                    }
                }
            }
        }
        self.deferred.extend(again);
    }

    /// A bundle whose moment has passed: says so.
    pub(super) fn tell_late(&mut self, origin: Option<Origin>, calls: &[Message], late_s: Option<f64>) {
        self.count_late(origin);
        for call in calls {
            let seconds = Value::from(late_s.unwrap_or(-1.0));
            self.answer(origin, vec![Message::new("/late", vec![Value::from(call.address.as_str()), seconds])]);
        }
    }

    /// Keeps calls until sample `at`.
    pub(super) fn defer(&mut self, at: u64, origin: Option<Origin>, calls: Vec<Message>) -> Result<Outcome, Fault> {
        let values = values_of(&calls);
        if self.tagged_values + self.deferred_values + values > MOST_KEPT_VALUES {
            return Err(Fault(format!("{MOST_KEPT_VALUES} values are kept for later already, with these")));
        }
        self.defer_thing(Deferred::Calls(origin, calls), at)?;
        self.deferred_values += values;
        Ok(Outcome::Done)
    }

    pub(super) fn defer_thing(&mut self, thing: Deferred, at: u64) -> Result<(), Fault> {
        if self.deferred.len() + self.tagged.len() >= MOST_DEFERRED {
            return Err(Fault(format!("{MOST_DEFERRED} things are scheduled already")));
        }
        let serial = self.serial();
        self.deferred.insert((at, serial), thing);
        Ok(())
    }

    /// Sets the tempo, within `glide_s` seconds or an ordinary glide. Movement leaves it alone for `movement.manual_s`.
    pub fn set_tempo(&mut self, at: Option<u64>, bpm: f64, glide_s: Option<f64>) {
        self.hold_tempo(at, bpm, glide_s, self.crowd.settings().manual_s);
    }

    /// Sets the tempo for a client of the older servers: movement takes over with its next message, unless
    /// `movement.manual_s` is set.
    pub fn set_tempo_as_before(&mut self, at: Option<u64>, bpm: f64) {
        self.hold_tempo(at, bpm, None, self.crowd.settings().older_manual_s);
    }

    fn hold_tempo(&mut self, at: Option<u64>, bpm: f64, glide_s: Option<f64>, hold_s: f64) {
        self.tempo = bpm;
        let seconds = glide_s.unwrap_or(self.settings.tempo_glide_s);
        self.crowd.manual(self.seconds(), bpm, seconds, hold_s);
        self.push_tempo(at, bpm, seconds, Shape::Linear);
    }

    /// Sets the tempo at which stems play at their own speed.
    pub fn set_base_tempo(&mut self, at: Option<u64>, bpm: f64) {
        self.settings.bpm = bpm;
        for deck in 0..DECKS {
            self.push_base(deck, at);
        }
    }

    /// The tempo asked for.
    pub fn tempo(&self) -> f64 {
        self.tempo
    }

    /// The base tempo.
    pub fn base_tempo(&self) -> f64 {
        self.settings.bpm
    }

    /// Beats per bar.
    pub fn meter(&self) -> i64 {
        self.meter
    }

    /// Sets the beats per bar: what is shown, and where decks start that are set to.
    pub fn set_meter(&mut self, beats: i64) {
        self.meter = beats;
    }

    /// Whether every beat is logged.
    pub fn print_clock(&mut self, on: bool) {
        self.print_clock = on;
    }

    /// Seconds and beats count from zero again. Stops nothing.
    pub fn reset_clock(&mut self, at: Option<u64>) {
        self.zero = at.unwrap_or(self.now());
        self.push(at, Action::ResetBeat);
    }

    /// Something at `seconds` since the last reset.
    pub fn schedule_at(&mut self, seconds: f64, origin: Option<Origin>, calls: Vec<Message>) -> Result<Outcome, Fault> {
        let at = self.zero + self.frames(seconds);
        self.defer(at, origin, calls)
    }

    /// Something `seconds` from now (or from the call's own moment).
    pub fn schedule_in(
        &mut self,
        from: Option<u64>,
        seconds: f64,
        origin: Option<Origin>,
        calls: Vec<Message>,
    ) -> Result<Outcome, Fault> {
        let at = from.unwrap_or(self.now()) + self.frames(seconds);
        self.defer(at, origin, calls)
    }

    /// Beats and the place in the bar: (beat, bar from 1, beat in bar from 1).
    pub fn beat(&self) -> (f64, i64, i64) {
        let beat = self.door.telemetry.beat();
        let whole = beat.floor() as i64;
        let meter = self.meter.max(1);
        (beat, whole.div_euclid(meter) + 1, whole.rem_euclid(meter) + 1)
    }

    /// Logs and pushes beats as they pass.
    pub(super) fn watch_beats(&mut self) {
        let (beat, bar, in_bar) = self.beat();
        let whole = beat.floor() as i64;
        if whole == self.last_beat {
            return;
        }
        let bpm = self.door.telemetry.bpm();
        if bpm <= 0.0 {
            // The engine has rendered nothing yet.
            return;
        }
        self.last_beat = whole;
        if self.print_clock {
            tracing::info!("beat {whole} (bar {bar}, {in_bar}/{}) at {bpm:.2} BPM", self.meter);
        }
        let values = vec![Value::Int(whole), Value::Int(bar), Value::Int(in_bar), Value::Float(bpm)];
        self.bulletin.post("/beat", values.clone());
        self.push_beat(Message::new("/beat", values));
    }

    /// A request for now, from ourselves.
    pub fn own(&mut self, calls: Vec<Message>) {
        self.handle(Request { origin: None, when: When::Now, calls });
    }

    /// Our own call, at a sample time that is not far ahead.
    pub fn own_at(&mut self, at: u64, call: Message) {
        self.call(None, call, Some(at));
        self.flush();
    }
}

/// Addresses and values of calls.
fn values_of(calls: &[Message]) -> usize {
    calls.iter().map(|c| c.args.len() + 1).sum()
}
