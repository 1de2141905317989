//! Notifications to systemd: readiness, a status line, and a watchdog that only rendered frames can feed.

use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Reports that control is available. The sound card may still be missing; [`status`] reports that.
pub fn ready() {
    say(&[NotifyState::Ready]);
}

/// Sets the line that `systemctl status` shows.
pub fn status(line: &str) {
    say(&[NotifyState::Status(line)]);
}

/// Reports that a reload has begun; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(_) => say(&[NotifyState::Reloading]),
    }
}

/// Reports that the shutdown has begun.
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
        tracing::debug!("systemd: notification failed: {error}");
    }
}

/// Sends to the socket named by systemd: a path, or after an `@` a name in the abstract namespace (sd_notify(3)).
fn send(socket: &OsStr, text: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text, &address).map(drop)
}

/// Decides whether a keep-alive may be sent to systemd's watchdog.
///
/// It may if both hold: at least half the frames due since the last keep-alive were delivered (to the card or to the
/// silent clock), and the engine has answered the conductor since then. Frames alone would not reveal a stuck control
/// side; a timer alone would reveal nothing.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
    fed_at: Instant,
    fed_frames: u64,
    fed_answers: u64,
}

impl Watchdog {
    /// Creates a watchdog with the interval that systemd requests, if any.
    pub fn from_environment(now: Instant) -> Watchdog {
        // Shorter than the half that sd_watchdog_enabled(3) recommends, so that one check may fail.
        Watchdog::new(sd_notify::watchdog_enabled().map(|limit| limit / 3), now)
    }

    /// Creates a watchdog with keep-alives at the given interval.
    pub fn new(every: Option<Duration>, now: Instant) -> Watchdog {
        Watchdog { every, fed_at: now, fed_frames: 0, fed_answers: 0 }
    }

    /// Interval of the checks; `None` if there is no watchdog.
    pub fn every(&self) -> Option<Duration> {
        self.every
    }

    /// Checks at `now`, given the totals of delivered frames and of the engine's answers. Returns `Ok` if a keep-alive
    /// may be sent, otherwise the reason why not.
    pub fn visit(&mut self, now: Instant, frames: u64, answers: u64, sample_rate: u32) -> Result<(), String> {
        let due = now.duration_since(self.fed_at).as_secs_f64() * f64::from(sample_rate);
        let delivered = frames.saturating_sub(self.fed_frames) as f64;
        if delivered < due / 2.0 {
            return Err(format!("only {delivered:.0} of {due:.0} frames delivered"));
        }
        if answers == self.fed_answers {
            return Err("no answer from the engine".into());
        }
        self.fed_at = now;
        self.fed_frames = frames;
        self.fed_answers = answers;
        Ok(())
    }

    /// Sends a keep-alive.
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
