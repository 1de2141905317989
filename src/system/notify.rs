//! systemd: readiness, a status line, and a watchdog that only sound can feed.

use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Control is up. Audio may still be looking for its card; that is what [`status`] tells.
pub fn ready() {
    say(&[NotifyState::Ready]);
}

/// The line `systemctl status` shows.
pub fn status(line: &str) {
    say(&[NotifyState::Status(line)]);
}

/// A reload has begun; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(_) => say(&[NotifyState::Reloading]),
    }
}

/// The end has begun.
pub fn stopping() {
    say(&[NotifyState::Stopping]);
}

fn say(states: &[NotifyState<'_>]) {
    super::guard::may_block();
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|s| !s.is_empty()) else { return };
    let mut text = String::new();
    for state in states {
        let _ = writeln!(text, "{state}");
    }
    if let Err(error) = send(&socket, text.as_bytes()) {
        tracing::debug!("systemd could not be notified: {error}");
    }
}

/// Sends to the socket that systemd names: a path, or a name in the abstract namespace behind an `@` (sd_notify(3)).
fn send(socket: &OsStr, text: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text, &address).map(drop)
}

/// Decides whether the watchdog has earned its food.
///
/// It is fed when both hold: at least half the frames due since the last meal were delivered (to the card or to the
/// silent clock), and the engine has answered the conductor since. Frames alone would not notice a wedged control
/// side; a timer alone would notice nothing.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
    fed_at: Instant,
    fed_frames: u64,
    fed_answers: u64,
}

impl Watchdog {
    /// A watchdog with the period systemd asked for, if it asked.
    pub fn from_environment(now: Instant) -> Watchdog {
        // Less than the half that sd_watchdog_enabled(3) recommends: one visit may find too little.
        Watchdog::new(sd_notify::watchdog_enabled().map(|limit| limit / 3), now)
    }

    /// A watchdog to be fed `every` so often.
    pub fn new(every: Option<Duration>, now: Instant) -> Watchdog {
        Watchdog { every, fed_at: now, fed_frames: 0, fed_answers: 0 }
    }

    /// How often to come by.
    pub fn every(&self) -> Option<Duration> {
        self.every
    }

    /// Comes by at `now`, with the totals of delivered frames and of the engine's answers. Returns whether it may
    /// be fed, and otherwise why not.
    pub fn visit(&mut self, now: Instant, frames: u64, answers: u64, sample_rate: u32) -> Result<(), String> {
        let due = now.duration_since(self.fed_at).as_secs_f64() * f64::from(sample_rate);
        let delivered = frames.saturating_sub(self.fed_frames) as f64;
        if delivered < due / 2.0 {
            return Err(format!("{delivered:.0} of {due:.0} frames were delivered"));
        }
        if answers == self.fed_answers {
            return Err("the engine did not answer the conductor".into());
        }
        self.fed_at = now;
        self.fed_frames = frames;
        self.fed_answers = answers;
        Ok(())
    }

    /// Feeds it.
    pub fn feed(&self) {
        say(&[NotifyState::Watchdog]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hungers_without_frames_and_without_answers() {
        let start = Instant::now();
        let second = |s: u64| start + Duration::from_secs(s);
        let mut dog = Watchdog::new(Some(Duration::from_secs(1)), start);
        assert!(dog.visit(second(1), 48_000, 1, 48_000).is_ok());
        assert!(dog.visit(second(2), 48_000, 2, 48_000).is_err(), "no frames");
        assert!(dog.visit(second(3), 144_000, 1, 48_000).is_err(), "no answer");
        assert!(dog.visit(second(3), 144_000, 2, 48_000).is_ok());
        assert!(dog.visit(second(4), 168_000, 3, 48_000).is_ok(), "half is enough");
        assert!(dog.visit(second(5), 191_000, 4, 48_000).is_err(), "less is not");
    }
}
