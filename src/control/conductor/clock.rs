//! Tempo, and when things are due.

use super::super::request::{Message, Origin, Request, When};
use super::super::value::Value;
use super::super::vocabulary::{Fault, Outcome};
use super::{Conductor, Deferred, LEAD_S};
use crate::engine::DECKS;
use crate::engine::clock::Shape;
use crate::engine::command::Action;
use crate::system::time::monotonic_ns;

/// How deep scheduled calls may schedule others.
const MOST_NESTED: usize = 3;

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
        let (origin, serial) = (request.origin, self.serial());
        if let Err(fault) = self.waiting.tag(ns, serial, request) {
            self.fail(origin, &address, &fault);
        }
    }

    /// Queues what is due within the lead.
    pub(super) fn do_due(&mut self) {
        let until = monotonic_ns() + (LEAD_S * 1e9) as u64;
        while let Some((ns, request)) = self.waiting.due_tagged(until) {
            let at = self.report.timebase.read().map(|line| line.sample_at(ns).round());
            match at {
                Some(at) if at > self.now() as f64 => self.enqueue(request.origin, request.calls, Some(at as u64)),
                other => {
                    let late = other.map(|at| (self.now() as f64 - at) / f64::from(self.settings.sample_rate));
                    self.tell_late(request.origin, &request.calls, late);
                    self.enqueue(request.origin, request.calls, None);
                }
            }
        }
        let until = self.now() + self.frames(LEAD_S);
        let mut again = Vec::new();
        while let Some(((at, serial), deferred)) = self.waiting.due_deferred(until) {
            match deferred {
                Deferred::Calls(origin, calls) => self.enqueue(origin, calls, Some(at)),
                Deferred::Play { id, serial } => self.play_same(id, serial, at),
                Deferred::Group { decks, at, until, origin, address } => {
                    if let Some(waiting) = self.start_group_if_ready(decks, at, until, origin, address) {
                        again.push((at, serial, waiting));
                    }
                }
            }
        }
        for (at, serial, waiting) in again {
            // Its place was given back a moment ago.
            let _ = self.waiting.defer(at, serial, waiting);
        }
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
        let nested = calls.iter().flat_map(|c| &c.args).filter(|v| matches!(v, Value::Text(t) if schedules(t))).count();
        if nested > MOST_NESTED {
            return Err(Fault(format!(
                "it schedules calls that schedule calls; at most {MOST_NESTED} deep are allowed"
            )));
        }
        self.defer_thing(Deferred::Calls(origin, calls), at)?;
        Ok(Outcome::Done)
    }

    pub(super) fn defer_thing(&mut self, thing: Deferred, at: u64) -> Result<(), Fault> {
        let serial = self.serial();
        self.waiting.defer(at, serial, thing)
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

/// Whether an address schedules another call.
fn schedules(address: &str) -> bool {
    address == "/groove/at"
}
