//! Calls and starts that wait for their time, and the session's clock.

use super::context::Context;
use super::waiting::{Deferred, Waiting};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin, Request};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::Outcome;
use crate::engine::command::Action;
use crate::system::time::monotonic_ns;

/// Commands cross to the engine this long before they are due (seconds); until then they wait here.
pub const LEAD_S: f64 = 0.2;
/// How deep scheduled calls may schedule others.
const MOST_NESTED: usize = 3;

/// What waits for its time.
#[derive(Default)]
pub struct Schedule {
    waiting: Waiting,
    /// The sample at which the session's seconds count from zero.
    zero: u64,
}

/// Calls that are due.
pub struct Due {
    /// Who made them.
    pub origin: Option<Origin>,
    /// The calls.
    pub calls: Vec<Message>,
    /// The sample they are for; `None` is now.
    pub at: Option<u64>,
}

impl Schedule {
    /// Keeps a bundle until shortly before its moment, `ns` on the monotonic clock; answers for one that is too early.
    pub fn tag(&mut self, cx: &mut Context, ns: u64, request: Request) {
        let now = monotonic_ns();
        let ahead = (ns as f64 - now as f64) * 1e-9;
        let address = request.calls.first().map(|c| c.address.clone()).unwrap_or_default();
        let horizon = cx.settings.horizon_s;
        if ahead > horizon {
            let fault =
                Fault::refused(format!("the time tag lies {ahead:.0} s ahead: at most {horizon:.0} s are allowed"));
            return cx.fail(request.origin, &address, &fault);
        }
        let (origin, serial) = (request.origin, cx.next_serial());
        if let Err(fault) = self.waiting.tag(ns, serial, request) {
            cx.fail(origin, &address, &fault);
        }
    }

    /// The next bundle that is due within the lead.
    pub fn next_tagged(&mut self, cx: &mut Context) -> Option<Due> {
        let until = monotonic_ns() + (LEAD_S * 1e9) as u64;
        let (ns, Request { origin, calls, .. }) = self.waiting.due_tagged(until)?;
        let now = cx.now() as f64;
        let at = match cx.report.timebase.read().map(|line| line.sample_at(ns).round()) {
            Some(at) if at > now => Some(at as u64),
            other => {
                report_late(cx, origin, &calls, other.map(|at| (now - at) / cx.rate()));
                None
            }
        };
        Some(Due { origin, calls, at })
    }

    /// The next thing that is due within the lead: its sample, its serial number, and the thing.
    pub fn next_deferred(&mut self, cx: &Context) -> Option<(u64, u64, Deferred)> {
        let ((at, serial), deferred) = self.waiting.due_deferred(cx.now() + cx.frames(LEAD_S))?;
        Some((at, serial, deferred))
    }

    /// Puts back what was due and has to wait on. Its place was given back a moment ago.
    pub fn put_back(&mut self, at: u64, serial: u64, deferred: Deferred) {
        let _ = self.waiting.defer(at, serial, deferred);
    }

    /// Keeps something until sample `at`.
    ///
    /// # Errors
    /// If the table, or the sender's share of it, is full.
    pub fn defer(&mut self, cx: &mut Context, at: u64, deferred: Deferred) -> Result<(), Fault> {
        self.waiting.defer(at, cx.next_serial(), deferred)
    }

    /// Keeps calls until sample `at`.
    ///
    /// # Errors
    /// As [`Schedule::defer`], and if calls that schedule calls are nested too deeply.
    pub fn defer_calls(
        &mut self,
        cx: &mut Context,
        at: u64,
        origin: Option<Origin>,
        calls: Vec<Message>,
    ) -> Result<Outcome, Fault> {
        let nested = calls.iter().flat_map(|c| &c.args).filter(|v| matches!(v, Value::Text(t) if schedules(t))).count();
        if nested > MOST_NESTED {
            return Err(Fault::refused(format!(
                "scheduled calls are nested more than {MOST_NESTED} deep, which is the limit"
            )));
        }
        self.defer(cx, at, Deferred::Calls(origin, calls))?;
        Ok(Outcome::Done)
    }

    /// The sample at which the session's clock shows `seconds`.
    pub fn sample_at(&self, cx: &Context, seconds: f64) -> u64 {
        self.zero + cx.frames(seconds)
    }

    /// Lets the session's seconds, and beats, count from zero again. Stops nothing.
    pub fn reset_clock(&mut self, cx: &mut Context, at: Option<u64>) {
        self.zero = at.unwrap_or(cx.now());
        cx.push(at, Action::ResetBeat);
    }

    /// Forgets everything that is scheduled, and the bundles of `origin`. Returns what was scheduled.
    pub fn forget(&mut self, origin: Option<Origin>) -> Vec<Deferred> {
        self.waiting.forget(origin)
    }
}

/// Answers `/late` for calls whose moment has passed; `late_s` is by how much, in seconds, if that is known.
pub fn report_late(cx: &mut Context, origin: Option<Origin>, calls: &[Message], late_s: Option<f64>) {
    cx.count_late(origin);
    for call in calls {
        let seconds = Value::from(late_s.unwrap_or(-1.0));
        cx.answer(origin, vec![Message::new("/late", vec![Value::from(call.address.as_str()), seconds])]);
    }
}

/// Whether an address schedules another call.
fn schedules(address: &str) -> bool {
    address == "/groove/at"
}
