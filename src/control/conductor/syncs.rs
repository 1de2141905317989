//! Clients that wait until everything asked for before is done (`/groove/sync`).

use super::context::Context;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::Outcome;

/// Most clients that wait at a time.
const MOST_WAITING: usize = 256;

#[derive(Debug)]
struct Sync {
    origin: Option<Origin>,
    values: Vec<Value>,
    /// Requests with a smaller number are waited for.
    serial: u64,
    /// The ticket under which the engine answers, once everything else is done.
    ticket: Option<u32>,
}

/// Everyone who waits.
#[derive(Debug, Default)]
pub struct Syncs {
    waiting: Vec<Sync>,
}

impl Syncs {
    /// Answers `/synced` with `values` once everything asked for before is done: loads and files are complete, and the
    /// engine has carried out its commands.
    ///
    /// # Errors
    /// If too many wait.
    pub fn add(&mut self, cx: &mut Context, origin: Option<Origin>, values: Vec<Value>) -> Result<Outcome, Fault> {
        if self.waiting.len() >= MOST_WAITING {
            return Err(Fault::refused(format!("{MOST_WAITING} callers wait for /synced already")));
        }
        let serial = cx.next_serial();
        self.waiting.push(Sync { origin, values, serial, ticket: None });
        Ok(Outcome::Later)
    }

    /// Asks the engine on behalf of those for whom nothing else is under way; `is_busy_before` tells whether something
    /// is that was asked for before a number.
    pub fn advance(&mut self, cx: &mut Context, is_busy_before: impl Fn(u64) -> bool) {
        for sync in self.waiting.iter_mut().filter(|s| s.ticket.is_none()) {
            if !is_busy_before(sync.serial) {
                sync.ticket = Some(cx.engine.trace(None, None, ""));
            }
        }
    }

    /// Takes the engine's answer; returns whether `ticket` was one of these.
    pub fn arrived(&mut self, cx: &mut Context, ticket: u32) -> bool {
        let Some(k) = self.waiting.iter().position(|s| s.ticket == Some(ticket)) else { return false };
        let sync = self.waiting.remove(k);
        cx.engine.redeem(ticket);
        cx.answer(sync.origin, vec![Message::new("/synced", sync.values)]);
        true
    }
}
