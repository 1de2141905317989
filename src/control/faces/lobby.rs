//! Connections that are not yet authorised.
//!
//! A connection is in the lobby from the moment it is accepted until its first request is authorised. Their number is
//! limited, in total and per address; over the limit, the oldest one of the address with the most is aborted, so that
//! half-open connections do not lock others out.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// Maximum number of waiting connections.
const MOST: usize = 64;
/// Maximum number of waiting connections from one address.
const MOST_OF_ONE: usize = 16;

struct Waiting {
    number: u64,
    address: IpAddr,
    task: AbortHandle,
}

#[derive(Default)]
struct Room {
    next: u64,
    /// Waiting connections, oldest first.
    waiting: VecDeque<Waiting>,
}

/// The waiting connections of one port.
#[derive(Clone, Default)]
pub struct Lobby(Arc<Mutex<Room>>);

impl std::fmt::Debug for Lobby {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lobby")
    }
}

/// Handle of a waiting connection, by which it is marked as authorised.
#[derive(Clone, Debug)]
pub struct Visitor {
    lobby: Lobby,
    number: u64,
}

impl Visitor {
    /// Marks the connection as authorised: removes it from the lobby.
    pub fn let_in(&self) {
        self.lobby.room(|room| room.waiting.retain(|w| w.number != self.number));
    }
}

impl Lobby {
    fn room<T>(&self, act: impl FnOnce(&mut Room) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a handle for a new connection.
    pub fn visitor(&self) -> Visitor {
        let number = self.room(|room| {
            room.next += 1;
            room.next
        });
        Visitor { lobby: self.clone(), number }
    }

    /// Adds a connection, served by `task`. If a limit is reached, aborts the oldest connection of `address` or of the
    /// address with the most.
    pub fn enter(&self, visitor: &Visitor, address: IpAddr, task: AbortHandle) {
        self.room(|room| {
            room.waiting.retain(|w| !w.task.is_finished());
            let count = |address: IpAddr| room.waiting.iter().filter(|w| w.address == address).count();
            let crowded = match (count(address) >= MOST_OF_ONE, room.waiting.len() >= MOST) {
                (true, _) => Some(address),
                // The address with the most connections loses one.
                (_, true) => room.waiting.iter().map(|w| w.address).max_by_key(|a| count(*a)),
                _ => None,
            };
            if let Some(place) = room.waiting.iter().position(|w| Some(w.address) == crowded)
                && let Some(oldest) = room.waiting.remove(place)
            {
                oldest.task.abort();
            }
            room.waiting.push_back(Waiting { number: visitor.number, address, task });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn half_open_connections_keep_nobody_out() {
        let lobby = Lobby::default();
        let mut tasks = Vec::new();
        let mut come = |host: u8| {
            let task = tokio::spawn(std::future::pending::<()>());
            let visitor = lobby.visitor();
            lobby.enter(&visitor, IpAddr::from([10, 0, 0, host]), task.abort_handle());
            tasks.push((host, task));
            visitor
        };
        let honest = come(9);
        for host in [1, 2, 3, 4, 5] {
            for _ in 0..100 {
                come(host);
            }
        }
        let waiting =
            |host: u8| lobby.room(|r| r.waiting.iter().filter(|w| w.address == IpAddr::from([10, 0, 0, host])).count());
        assert_eq!(waiting(9), 1, "the oldest connection, alone at its address, stays");
        assert!(waiting(1) <= MOST_OF_ONE && lobby.room(|r| r.waiting.len()) == MOST);
        let last = come(8);
        assert_eq!(waiting(8), 1, "a new address still gets in");
        honest.let_in();
        last.let_in();
        tokio::task::yield_now().await;
        for host in 1..100 {
            come(host % 5 + 1);
        }
        tokio::task::yield_now().await;
        for (host, task) in tasks.iter().filter(|(host, _)| *host >= 8) {
            assert!(!task.is_finished(), "10.0.0.{host} was authorised");
        }
    }
}
