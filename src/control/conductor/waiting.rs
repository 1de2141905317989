//! What waits for its time: bundles with a time tag, scheduled calls, starts.
//!
//! The table is bounded in entries and in bytes, and so is each sender's share of it: a client that fills its share is
//! refused, everybody else goes on scheduling.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin, Request};

/// Something that waits for its sample.
#[derive(Debug)]
pub enum Deferred {
    /// Calls to be made.
    Calls(Option<Origin>, Vec<Message>),
    /// A buffer to be played from its beginning, if it is still the one that came from this load.
    Play {
        /// The buffer.
        id: i64,
        /// Its load.
        serial: u64,
    },
    /// A group of decks to be started together.
    Group(GroupStart),
}

/// Decks that are to start on one sample.
#[derive(Debug)]
pub struct GroupStart {
    /// The decks.
    pub decks: Vec<usize>,
    /// The sample that was asked for.
    pub at: u64,
    /// The sample after which decks that are not ready are left out.
    pub until: u64,
    /// Who asked.
    pub origin: Option<Origin>,
    /// By which address.
    pub address: String,
}

/// Most things that wait.
pub(super) const MOST_ENTRIES: usize = 4096;
/// Most bytes of all of them.
pub(super) const MOST_BYTES: usize = 8 << 20;
/// A sender's share of either: one in so many parts.
pub(super) const SHARE: usize = 4;

/// A place in time, and an order among things of the same time.
type Key = (u64, u64);

/// What something that waits counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weight {
    entries: usize,
    bytes: usize,
}

/// Bytes that calls take while they wait, roughly.
fn bytes_of(calls: &[Message]) -> usize {
    calls.iter().map(Message::bytes).sum()
}

/// Everything that waits for its time, within bounds.
#[derive(Default)]
pub(super) struct Waiting {
    /// Bundles by their monotonic moment in nanoseconds.
    tagged: BTreeMap<Key, Request>,
    /// Everything else by its sample.
    deferred: BTreeMap<Key, Deferred>,
    all: Weight,
    by_sender: HashMap<IpAddr, Weight>,
}

/// Who a share belongs to; `None` is the daemon itself, which has no bound of its own.
fn sender(origin: Option<Origin>) -> Option<IpAddr> {
    origin.map(|o| o.peer.ip().to_canonical())
}

impl Deferred {
    fn weight(&self) -> (Option<IpAddr>, usize) {
        match self {
            Deferred::Calls(origin, calls) => (sender(*origin), bytes_of(calls)),
            Deferred::Group(group) => (sender(group.origin), 128),
            Deferred::Play { .. } => (None, 64),
        }
    }
}

impl Waiting {
    /// Takes a bundle that is due at `ns` on the monotonic clock.
    ///
    /// # Errors
    /// If the table, or the sender's share of it, is full.
    pub(super) fn tag(&mut self, ns: u64, serial: u64, request: Request) -> Result<(), Fault> {
        self.claim(sender(request.origin), bytes_of(&request.calls))?;
        self.tagged.insert((ns, serial), request);
        Ok(())
    }

    /// Takes something that is due at sample `at`.
    ///
    /// # Errors
    /// If the table, or the sender's share of it, is full.
    pub(super) fn defer(&mut self, at: u64, serial: u64, thing: Deferred) -> Result<(), Fault> {
        let (who, bytes) = thing.weight();
        self.claim(who, bytes)?;
        self.deferred.insert((at, serial), thing);
        Ok(())
    }

    /// The next bundle that is due until `ns`, and its moment.
    pub(super) fn due_tagged(&mut self, ns: u64) -> Option<(u64, Request)> {
        let entry = self.tagged.first_entry().filter(|e| e.key().0 <= ns)?;
        let ((at, _), request) = entry.remove_entry();
        self.release(sender(request.origin), bytes_of(&request.calls));
        Some((at, request))
    }

    /// The next thing that is due until sample `at`, and its place.
    pub(super) fn due_deferred(&mut self, at: u64) -> Option<(Key, Deferred)> {
        let entry = self.deferred.first_entry().filter(|e| e.key().0 <= at)?;
        let (key, thing) = entry.remove_entry();
        let (who, bytes) = thing.weight();
        self.release(who, bytes);
        Some((key, thing))
    }

    /// Forgets everything that is scheduled, and the bundles of whoever asks for it. Returns what was scheduled.
    pub(super) fn forget(&mut self, origin: Option<Origin>) -> Vec<Deferred> {
        let things: Vec<Deferred> = std::mem::take(&mut self.deferred).into_values().collect();
        for thing in &things {
            let (who, bytes) = thing.weight();
            self.release(who, bytes);
        }
        let who = sender(origin);
        let own: Vec<Key> = self.tagged.iter().filter(|(_, r)| sender(r.origin) == who).map(|(key, _)| *key).collect();
        for request in own.iter().filter_map(|key| self.tagged.remove(key)).collect::<Vec<_>>() {
            self.release(who, bytes_of(&request.calls));
        }
        things
    }

    fn claim(&mut self, who: Option<IpAddr>, bytes: usize) -> Result<(), Fault> {
        let full = |held: Weight, entries: usize, most: usize, whose: &str| {
            if held.entries >= entries {
                return Err(Fault::refused(format!(
                    "{} things of {whose} wait already; at most {entries} may",
                    held.entries
                )));
            }
            if held.bytes + bytes > most {
                return Err(Fault::refused(format!(
                    "{} bytes of {whose} wait already, and this has {bytes} more; at most {most} may wait",
                    held.bytes
                )));
            }
            Ok(())
        };
        full(self.all, MOST_ENTRIES, MOST_BYTES, "all clients")?;
        let Some(who) = who else {
            self.all = Weight { entries: self.all.entries + 1, bytes: self.all.bytes + bytes };
            return Ok(());
        };
        let held = self.by_sender.get(&who).copied().unwrap_or_default();
        full(held, MOST_ENTRIES / SHARE, MOST_BYTES / SHARE, "this client")?;
        self.all = Weight { entries: self.all.entries + 1, bytes: self.all.bytes + bytes };
        self.by_sender.insert(who, Weight { entries: held.entries + 1, bytes: held.bytes + bytes });
        Ok(())
    }

    fn release(&mut self, who: Option<IpAddr>, bytes: usize) {
        self.all = Weight { entries: self.all.entries - 1, bytes: self.all.bytes - bytes };
        if let Some(who) = who
            && let Some(held) = self.by_sender.get_mut(&who)
        {
            *held = Weight { entries: held.entries - 1, bytes: held.bytes - bytes };
            if held.entries == 0 {
                self.by_sender.remove(&who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::commands::request::{Line, When};
    use crate::control::commands::value::Value;

    fn from(host: u8) -> Option<Origin> {
        let peer = ([10, 0, 0, host], 9000).into();
        Some(Origin { line: Line::Osc(0), peer, tag: 0 })
    }

    fn bundle(host: u8, text: usize) -> Request {
        let calls = vec![Message::new("/x", vec![Value::Text("A".repeat(text))])];
        Request { origin: from(host), when: When::Now, calls }
    }

    #[test]
    fn one_sender_that_fills_its_share_leaves_room_for_others() {
        let mut waiting = Waiting::default();
        let mut kept = 0;
        while waiting.tag(1_000 + kept, kept, bundle(1, 10)).is_ok() {
            kept += 1;
        }
        assert_eq!(kept as usize, MOST_ENTRIES / SHARE);
        assert!(waiting.tag(5, 9_000, bundle(2, 10)).is_ok());
        assert!(waiting.defer(5, 9_001, Deferred::Play { id: 1, serial: 1 }).is_ok());
        // Whoever cleans up gets its share back, and only that.
        assert_eq!(waiting.forget(from(1)).len(), 1);
        assert!(waiting.tag(7, 9_002, bundle(1, 10)).is_ok());
        assert_eq!(waiting.due_tagged(100).map(|(at, _)| at), Some(5));
        assert_eq!(waiting.due_tagged(100).map(|(at, _)| at), Some(7));
        assert_eq!(waiting.due_tagged(u64::MAX), None);
        assert_eq!((waiting.all, waiting.by_sender.len()), (Weight::default(), 0));
    }

    #[test]
    fn long_texts_are_bounded_by_their_bytes() {
        let mut waiting = Waiting::default();
        let mut bytes = 0;
        for k in 0.. {
            let request = bundle(1, 60_000);
            let more = bytes_of(&request.calls);
            match waiting.tag(k, k, request) {
                Ok(()) => bytes += more,
                Err(fault) => {
                    assert!(fault.to_string().contains("bytes of this client"), "{}", fault);
                    break;
                }
            }
        }
        assert!(bytes <= MOST_BYTES / SHARE && bytes > MOST_BYTES / SHARE - 70_000, "{bytes}");
        for host in 2..20 {
            for k in 0..100 {
                let _ = waiting.tag(k, 1_000 * u64::from(host) + k, bundle(host, 60_000));
            }
        }
        assert!(waiting.all.bytes <= MOST_BYTES);
    }
}
