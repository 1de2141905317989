//! Commands waiting for their sample time: a bounded heap, ordered by time and, within one sample, by arrival.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::command::Command;

struct Entry {
    at: u64,
    order: u64,
    command: Command,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    // Reversed: the greatest element of the heap is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// A bounded queue of commands, ordered by sample time, then by arrival. Realtime: yes, except [`Schedule::new`].
pub struct Schedule {
    heap: BinaryHeap<Entry>,
    capacity: usize,
    arrivals: u64,
}

impl Schedule {
    /// Creates a schedule with capacity for `capacity` commands.
    pub fn new(capacity: usize) -> Schedule {
        Schedule { heap: BinaryHeap::with_capacity(capacity), capacity, arrivals: 0 }
    }

    /// Stores a command until sample `at`; returns it as an error when the schedule is full.
    pub fn push(&mut self, at: u64, command: Command) -> Result<(), Command> {
        if self.heap.len() >= self.capacity {
            return Err(command);
        }
        self.arrivals += 1;
        self.heap.push(Entry { at, order: self.arrivals, command });
        Ok(())
    }

    /// Removes the command with this ticket, if it is still waiting. Commands that own memory never carry a ticket.
    pub fn cancel(&mut self, ticket: u32) {
        self.heap.retain(|e| e.command.ticket != ticket);
    }

    /// Returns the sample time at which the next command is due.
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|e| e.at)
    }

    /// Removes and returns the next command that is due at or before `now`, with its due time.
    pub fn pop_due(&mut self, now: u64) -> Option<(u64, Command)> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|e| (e.at, e.command))
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Action;
    use super::*;

    #[test]
    fn yields_by_time_then_by_arrival_and_refuses_when_full() {
        let mut schedule = Schedule::new(3);
        let ping = |ticket| Command { at: None, ticket, action: Action::Ping };
        for (at, ticket) in [(20, 1), (10, 2), (10, 3)] {
            assert!(schedule.push(at, ping(ticket)).is_ok());
        }
        assert_eq!(schedule.push(5, ping(4)).unwrap_err().ticket, 4);
        assert!(schedule.pop_due(9).is_none());
        let order: Vec<u32> = std::iter::from_fn(|| schedule.pop_due(30).map(|(_, c)| c.ticket)).collect();
        assert_eq!(order, [2, 3, 1]);
        for ticket in 5..8 {
            assert!(schedule.push(40, ping(ticket)).is_ok());
        }
        schedule.cancel(6);
        let order: Vec<u32> = std::iter::from_fn(|| schedule.pop_due(40).map(|(_, c)| c.ticket)).collect();
        assert_eq!(order, [5, 7]);
    }
}
