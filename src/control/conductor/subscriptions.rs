//! Subscriptions over OSC: who is sent which topic, how often and for how long.
//!
//! Their number is bounded, and so is each address' share: a client that takes its share is refused, and when all are
//! taken a newcomer gets one from the address that has most.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::control::commands::fault::Fault;
use crate::control::commands::request::Origin;

/// Most subscriptions at a time.
const MOST_SUBSCRIPTIONS: usize = 64;
/// Most subscriptions of one address.
const MOST_OF_ONE: usize = 16;

/// What can be subscribed to.
pub const TOPICS: &[&str] = &["status", "positions", "beats", "meters", "answers", "all"];

/// A recipient of messages of one topic.
#[derive(Clone, Debug)]
struct Subscription {
    /// The sender that asked for it.
    origin: Origin,
    to: Origin,
    topic: String,
    every: Duration,
    next: Instant,
    ends: Instant,
}

/// All subscriptions, in the order in which they began.
#[derive(Debug, Default)]
pub struct Subscriptions {
    all: Vec<Subscription>,
}

/// What a subscription asks for.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Messages per second.
    pub rate_hz: f64,
    /// Seconds until it ends.
    pub seconds: f64,
}

/// The address a share belongs to.
fn host(origin: Origin) -> std::net::IpAddr {
    origin.peer.ip().to_canonical()
}

impl Subscriptions {
    /// Sends `topic` to `to`; subscribing again renews. Of the topic `answers` the sender's own answers go there.
    ///
    /// # Errors
    /// If the sender's address, or everybody, has as many as are allowed.
    pub fn add(&mut self, origin: Origin, to: Origin, topic: &str, terms: Terms) -> Result<(), Fault> {
        let now = Instant::now();
        let answers = topic == "answers";
        // A sender may have another port each time; the recipient is what identifies a subscription.
        self.all.retain(|s| {
            let same = s.topic == topic && if answers { s.origin == origin } else { s.to == to };
            s.ends > now && !same
        });
        self.make_room_for(origin)?;
        self.all.push(Subscription {
            origin,
            to,
            topic: topic.into(),
            every: Duration::from_secs_f64(1.0 / terms.rate_hz),
            next: now,
            ends: now + Duration::from_secs_f64(terms.seconds),
        });
        Ok(())
    }

    /// Finds room for one more subscription of a peer. When all are taken, the oldest of the address that has most ends,
    /// if that address has more than this one would.
    fn make_room_for(&mut self, origin: Origin) -> Result<(), Fault> {
        let count = |ip| self.all.iter().filter(|s| host(s.origin) == ip).count();
        let own = count(host(origin));
        if own >= MOST_OF_ONE {
            return Err(Fault::refused(format!("{own} subscriptions of this address are running, which is the limit")));
        }
        if self.all.len() < MOST_SUBSCRIPTIONS {
            return Ok(());
        }
        let most = self.all.iter().map(|s| count(host(s.origin))).max().unwrap_or(0);
        match self.all.iter().position(|s| count(host(s.origin)) == most) {
            Some(oldest) if most > own + 1 => {
                self.all.remove(oldest);
                Ok(())
            }
            _ => Err(Fault::refused(format!("{MOST_SUBSCRIPTIONS} subscriptions are running, which is the limit"))),
        }
    }

    /// Ends subscriptions to a topic ("all": to every topic): those that go to `to`, or else those `origin` asked for.
    pub fn remove(&mut self, origin: Origin, to: Option<Origin>, topic: &str) {
        self.all.retain(|s| {
            let theirs = to.map_or(s.origin == origin, |to| s.to == to);
            !theirs || (topic != "all" && s.topic != topic)
        });
    }

    /// Ends everything that goes to a peer which no longer exists; returns whether there was anything.
    pub fn drop_peer(&mut self, peer: SocketAddr) -> bool {
        let before = self.all.len();
        self.all.retain(|s| s.to.peer != peer);
        self.all.len() < before
    }

    /// The recipient of answers to `origin`.
    pub fn recipient_of_answers(&self, origin: Origin) -> Origin {
        let elsewhere = self.all.iter().find(|s| s.topic == "answers" && s.origin == origin);
        elsewhere.filter(|s| s.ends > Instant::now()).map_or(origin, |s| s.to)
    }

    /// The recipients of a topic that is pushed as it happens.
    pub fn recipients(&self, topic: &str) -> Vec<Origin> {
        self.all.iter().filter(|s| s.topic == topic || s.topic == "all").map(|s| s.to).collect()
    }

    /// Recipients whose next message is due, with their topics. Subscriptions that have lapsed end.
    pub fn due(&mut self) -> Vec<(Origin, String)> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        self.all.retain(|s| s.ends > now);
        let mut due = Vec::new();
        for s in self.all.iter_mut().filter(|s| s.next <= now) {
            s.next = (s.next + s.every).max(now);
            due.push((s.to, s.topic.clone()));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::commands::request::Line;

    fn subscribe(subscriptions: &mut Subscriptions, host: u8, port: u16) -> bool {
        let origin = Origin { line: Line::Osc(0), peer: ([10, 0, 0, host], port).into(), tag: 0 };
        subscriptions.add(origin, origin, "status", Terms { rate_hz: 10.0, seconds: 60.0 }).is_ok()
    }

    #[test]
    fn nobody_can_take_all_subscriptions() {
        let mut subscriptions = Subscriptions::default();
        // One address has its share and no more, however many ports it sends from.
        for host in 1..=4 {
            let own = (0..100).filter(|k| subscribe(&mut subscriptions, host, 9_000 + k)).count();
            assert_eq!(own, MOST_OF_ONE, "10.0.0.{host}");
        }
        assert_eq!(subscriptions.all.len(), MOST_SUBSCRIPTIONS, "all are taken");
        // A newcomer gets one of those who have most.
        assert!(subscribe(&mut subscriptions, 9, 9_000) && subscribe(&mut subscriptions, 9, 9_001));
        assert_eq!(subscriptions.all.len(), MOST_SUBSCRIPTIONS);
        assert!(subscriptions.drop_peer(([10, 0, 0, 9], 9_000).into()));
        let left = subscriptions.all.iter().filter(|s| s.origin.peer.ip().to_string() == "10.0.0.9").count();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_renewed_subscription_is_one_and_a_lapsed_one_is_none() {
        let mut subscriptions = Subscriptions::default();
        let origin = Origin { line: Line::Osc(0), peer: ([10, 0, 0, 1], 9_000).into(), tag: 0 };
        for _ in 0..5 {
            subscriptions.add(origin, origin, "beats", Terms { rate_hz: 10.0, seconds: 60.0 }).unwrap();
        }
        assert_eq!(subscriptions.recipients("beats"), [origin]);
        assert_eq!(subscriptions.due().len(), 1);
        assert_eq!(subscriptions.due().len(), 0, "the next is due after a tenth of a second");
        subscriptions.add(origin, origin, "beats", Terms { rate_hz: 10.0, seconds: 0.0 }).unwrap();
        assert!(subscriptions.due().is_empty() && subscriptions.recipients("beats").is_empty());
    }
}
