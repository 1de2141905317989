//! Leniency towards clients of the older servers: what their addresses accept that ours refuse.
//!
//! The older servers took every number as it came. Their addresses therefore clamp a number that is out of range and do
//! the rest of the message. Each kind of deviation is logged once, so that a fade of a thousand steps is one line.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::super::value::Value;
use super::super::vocabulary::{Control, Kind};
use super::Conductor;
use crate::system::log;

/// Least time between two lines with the status: some clients ask many times a second.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Deviations that are in the log already.
#[derive(Debug, Default)]
pub(super) struct Lenience {
    told: HashSet<(&'static str, &'static str)>,
    /// Time of the last line with the status.
    status: Option<Instant>,
}

impl Conductor {
    /// Logs a deviation of an older client, the first time that `what` happens at `address`.
    pub fn tell_once(&mut self, address: &'static str, what: &'static str, text: impl FnOnce() -> String) {
        if self.lenience.told.insert((address, what)) {
            tracing::warn!("{}; further ones are not logged", text());
        }
    }

    /// Logs which numbers of a call to an older address are clamped.
    pub(super) fn tell_clamped(&mut self, control: &'static Control, values: &[Value]) {
        if control.address.starts_with("/groove/") {
            return;
        }
        for (arg, value) in control.args.iter().zip(values) {
            if let Kind::Clamped(min, max) = arg.kind
                && let Some(number) = value.as_float()
                && !(min..=max).contains(&number)
            {
                self.tell_once(control.address, arg.name, || {
                    let used = number.clamp(min, max);
                    format!("{}: {} {number} is outside {min} to {max}; {used} is used", control.address, arg.name)
                });
            }
        }
    }

    /// Takes an address of an older server that has no effect here either.
    pub fn ignore(&mut self, address: &'static str) {
        self.tell_once(address, "ignored", || format!("{address} is ignored: it has no counterpart"));
    }

    /// Logs the status in a line, as the older server printed it: their users look there for the answer.
    pub fn log_status(&mut self) {
        if self.lenience.status.is_some_and(|at| at.elapsed() < STATUS_EVERY) {
            return;
        }
        self.lenience.status = Some(Instant::now());
        let [a, b, c, d] = [0, 1, 2, 3].map(|deck| self.deck(deck).level);
        tracing::info!(
            target: log::AGAIN,
            "status: sample rate {} Hz, tempo {:.1} BPM, beat {:.2}, buffers loaded {}, active players {}, deck levels A {a:.2} \
             B {b:.2} C {c:.2} D {d:.2}",
            self.settings.sample_rate,
            self.door.telemetry.bpm(),
            self.door.telemetry.beat(),
            self.ready_buffers(),
            self.players().len(),
        );
    }
}
