//! Leniency towards clients of the older servers: what their addresses accept that ours refuse.
//!
//! The older servers took every number as it came. Their addresses therefore clamp a number that is out of range and do
//! the rest of the message. Each kind of deviation is logged once, so that a fade of a thousand steps is one line.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Control, Kind};
use crate::system::log;

/// Least time between two lines with the status: some clients ask many times a second.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Deviations that are in the log already.
#[derive(Debug, Default)]
pub struct Lenience {
    logged: HashSet<(&'static str, &'static str)>,
    /// When the status was last logged.
    status: Option<Instant>,
}

impl Lenience {
    /// Logs a deviation of an older client, the first time that `what` happens at `address`. Returns whether it did.
    pub fn log_once(&mut self, address: &'static str, what: &'static str, text: impl FnOnce() -> String) -> bool {
        let first = self.logged.insert((address, what));
        if first {
            tracing::warn!("{}; further ones are not logged", text());
        }
        first
    }

    /// Logs which numbers of a call to an older address are clamped.
    pub fn log_clamped(&mut self, control: &'static Control, values: &[Value]) {
        if control.address.starts_with("/groove/") {
            return;
        }
        for (arg, value) in control.args.iter().zip(values) {
            if let Kind::Clamped(min, max) = arg.kind
                && let Some(number) = value.as_float()
                && !(min..=max).contains(&number)
            {
                self.log_once(control.address, arg.name, || {
                    let used = number.clamp(min, max);
                    format!("{}: {} {number} is outside {min} to {max}; using {used}", control.address, arg.name)
                });
            }
        }
    }

    /// Logs that an address of an older server has no effect here.
    pub fn log_ignored(&mut self, address: &'static str) {
        self.log_once(address, "ignored", || format!("{address} is ignored: it has no counterpart"));
    }

    /// Whether the status may be logged: at most once a second.
    pub fn may_log_status(&self) -> bool {
        self.status.is_none_or(|at| at.elapsed() >= STATUS_EVERY)
    }

    /// Logs the status in a line, as the older server printed it.
    pub fn log_status(&mut self, line: &str) {
        self.status = Some(Instant::now());
        tracing::info!(target: log::AGAIN, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_logged_once() {
        let mut lenience = Lenience::default();
        let calls = [("/a", "x"), ("/a", "x"), ("/a", "y"), ("/b", "x"), ("/a", "y")];
        let logged = calls.map(|(address, what)| lenience.log_once(address, what, String::new));
        assert_eq!(logged, [true, false, true, true, false]);
    }
}
