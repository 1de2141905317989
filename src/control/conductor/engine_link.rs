//! The conductor's end of the way to the engine: commands out, tickets for those whose fate matters, signs of life.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::control::commands::request::Origin;
use crate::engine::command::{Action, Command, Event, Retired};
use crate::engine::door::{COMMANDS, ControlDoor, Telemetry};
use crate::system::time::monotonic_ns;

/// Timed calls for which it is remembered who asked for them.
const MOST_TICKETS: usize = 4096;
/// Commands waiting for the engine beyond which no more requests are taken for a while.
const BEHIND: usize = 4096;
/// Ticks after which an engine that has not answered is pinged again: an answer can be lost, too.
const PING_PATIENCE: u32 = 8;

/// Commands to the engine, and what is known of their fate.
pub struct EngineLink {
    door: ControlDoor,
    /// Commands that have not crossed the door yet.
    outbox: VecDeque<Command>,
    /// While a request is half done nothing crosses: what belongs together arrives together.
    pub held: bool,
    /// Timed calls that want to know whether they were late: ticket → (origin, address).
    tickets: HashMap<u32, (Option<Origin>, String)>,
    next_ticket: u32,
    ping: Option<u32>,
    ping_age: u32,
    /// Pings the engine has answered, for the watchdog.
    pub answers: Arc<AtomicU64>,
    /// When the engine last answered a ping (monotonic, in nanoseconds).
    pub answered_at: Arc<AtomicU64>,
    /// Commands that the engine refused.
    pub refused: u64,
}

impl EngineLink {
    /// A link through `door`.
    pub fn new(door: ControlDoor) -> EngineLink {
        EngineLink {
            door,
            outbox: VecDeque::new(),
            held: false,
            tickets: HashMap::new(),
            next_ticket: 1,
            ping: None,
            ping_age: 0,
            answers: Arc::default(),
            answered_at: Arc::new(AtomicU64::new(monotonic_ns())),
            refused: 0,
        }
    }

    /// What the engine shows of itself.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.door.telemetry
    }

    /// The engine's next event.
    pub fn event(&mut self) -> Option<Event> {
        self.door.event()
    }

    /// The next object that the engine has no more use for.
    pub fn retired(&mut self) -> Option<Retired> {
        self.door.retired()
    }

    /// Queues an action behind all others. `at` is a sample time; `None` is now.
    pub fn push(&mut self, at: Option<u64>, action: Action) {
        self.push_ticketed(at, 0, action);
    }

    /// Queues an action whose fate is reported under `ticket`.
    pub fn push_ticketed(&mut self, at: Option<u64>, ticket: u32, action: Action) {
        self.outbox.push_back(Command { at, ticket, action });
    }

    /// Asks the engine to report when it gets there: at sample `at`, or at once. Returns the ticket.
    pub fn trace(&mut self, at: Option<u64>, origin: Option<Origin>, address: &str) -> u32 {
        let ticket = self.new_ticket();
        if self.tickets.len() > MOST_TICKETS {
            self.tickets.clear();
        }
        self.tickets.insert(ticket, (origin, address.into()));
        self.push_ticketed(at, ticket, Action::Ping);
        ticket
    }

    /// A ticket that nobody has.
    pub fn new_ticket(&mut self) -> u32 {
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.checked_add(1).unwrap_or(1);
        ticket
    }

    /// Who asked for the call of a ticket, and by which address; it is forgotten.
    pub fn redeem(&mut self, ticket: u32) -> Option<(Option<Origin>, String)> {
        self.tickets.remove(&ticket)
    }

    /// Hands over what is queued: all of it or, when the engine is behind, nothing yet. What is held is handed over
    /// nevertheless if it is more than fits together: waiting for the rest of its request would block everything.
    pub fn flush(&mut self) {
        let held = self.held && !self.is_behind();
        if self.outbox.is_empty() || held || self.door.room() < self.outbox.len().min(COMMANDS / 2) {
            return;
        }
        let rest = self.door.send(self.outbox.drain(..).collect());
        self.outbox.extend(rest);
    }

    /// Whether everything queued has been handed over.
    pub fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Whether the engine has so much to catch up with that requests should wait.
    pub fn is_behind(&self) -> bool {
        self.outbox.len() > BEHIND
    }

    /// Asks the engine for a sign of life, unless the last question is still open.
    pub fn ping(&mut self) {
        self.ping_age += 1;
        if self.ping.is_none() || self.ping_age > PING_PATIENCE {
            self.ping_age = 0;
            self.ping = Some(self.trace(None, None, ""));
            self.flush();
        }
    }

    /// Takes the answer to a ping; returns whether `ticket` was one.
    pub fn take_pong(&mut self, ticket: u32) -> bool {
        let pong = self.ping == Some(ticket);
        if pong {
            self.ping = None;
            self.tickets.remove(&ticket);
            self.answers.fetch_add(1, Relaxed);
            self.answered_at.store(monotonic_ns(), Relaxed);
        }
        pong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::door::door;

    #[test]
    fn a_ping_is_repeated_when_its_answer_is_lost_and_not_before() {
        let (_inner, outer) = door(4, 2);
        let mut link = EngineLink::new(outer);
        link.ping();
        let first = link.ping.unwrap();
        for _ in 0..PING_PATIENCE {
            link.ping();
        }
        assert_eq!(link.ping, Some(first));
        link.ping();
        let second = link.ping.unwrap();
        assert_ne!(second, first);
        assert!(!link.take_pong(first), "an answer that comes too late is none");
        assert!(link.take_pong(second) && link.answers.load(Relaxed) == 1);
    }

    #[test]
    fn nothing_crosses_while_a_request_is_half_done() {
        let (_inner, outer) = door(4, 2);
        let mut link = EngineLink::new(outer);
        link.held = true;
        link.push(None, Action::Ping);
        link.flush();
        assert!(!link.is_flushed());
        link.held = false;
        link.flush();
        assert!(link.is_flushed());
    }

    #[test]
    fn tickets_are_bounded() {
        let (_inner, outer) = door(4, 2);
        let mut link = EngineLink::new(outer);
        for _ in 0..3 * MOST_TICKETS {
            link.trace(Some(1), None, "/x");
        }
        assert!(link.tickets.len() <= MOST_TICKETS + 1 && link.is_behind());
    }
}
