//! The tempo for a dashboard: `/audio/bpm f` whenever it moves, whoever moved it.
//!
//! Of the older programs only the set player sent it, so a tempo that a crowd set was never shown. The tempo is read from
//! what the engine shows, by a thread of its own: resolving the dashboard's name may take as long as it likes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::packet;
use super::request::Message;
use super::value::Value;
use crate::engine::door::Telemetry;

/// Least time between two messages.
const EVERY: Duration = Duration::from_millis(100);
/// The smallest move of the tempo that is sent, in BPM.
const LEAST_MOVE: f64 = 0.01;
/// A tempo that rests is sent again after this time, for a dashboard that was started meanwhile.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Time until a name that could not be resolved is tried again, and until one that could is looked up anew.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// Host and port of `HOST:PORT`; nothing, if it is empty.
///
/// # Errors
/// The text is neither, with an example of one that is right.
pub fn target(text: &str) -> Result<Option<(String, u16)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("\"{text}\" is not HOST:PORT; \"192.168.1.20:5005\" is one");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let port = port.parse().ok().filter(|p| *p > 0).ok_or_else(wrong)?;
    match bare.unwrap_or(host) {
        "" => Err(wrong()),
        // An IPv6 address needs its brackets.
        host if bare.is_none() && host.contains(':') => Err(wrong()),
        host => Ok(Some((host.into(), port))),
    }
}

/// Decides when the tempo is sent.
#[derive(Debug, Default)]
struct Teller {
    sent: Option<(f64, Instant)>,
}

impl Teller {
    /// Decides whether to send a tempo now.
    fn tells(&mut self, bpm: f64, now: Instant) -> bool {
        // Before its first block the engine has none.
        let due = bpm > 0.0
            && self.sent.is_none_or(|(before, at)| {
                (bpm - before).abs() >= LEAST_MOVE || now.saturating_duration_since(at) >= AGAIN_AFTER
            });
        if due {
            self.sent = Some((bpm, now));
        }
        due
    }
}

/// Where the dashboard is, as far as that is known.
struct Whereabouts {
    host: String,
    port: u16,
    found: Option<(UdpSocket, SocketAddr)>,
    next: Instant,
    /// Whether the log says already that it is not found.
    lost: bool,
}

impl Whereabouts {
    /// Looks the name up if it is time. Blocks.
    fn look(&mut self) {
        if Instant::now() < self.next {
            return;
        }
        let found = self.resolve();
        self.next = Instant::now() + if found.is_ok() { RENEW_AFTER } else { RETRY_AFTER };
        match found {
            Ok(address) if self.found.as_ref().is_some_and(|(_, before)| *before == address) => {}
            Ok(address) => {
                let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
                self.found = UdpSocket::bind(SocketAddr::new(any, 0)).ok().map(|socket| (socket, address));
                tracing::info!("dashboard: the tempo is sent to {address}");
                self.lost = false;
            }
            // An address that was found before may still be right.
            Err(why) if self.found.is_none() && !std::mem::replace(&mut self.lost, true) => {
                tracing::warn!("dashboard: '{}' (osc.dashboard) is not found: {why}; it is tried again", self.host);
            }
            Err(_) => {}
        }
    }

    fn resolve(&self) -> Result<SocketAddr, String> {
        let found: Vec<SocketAddr> =
            (self.host.as_str(), self.port).to_socket_addrs().map_err(|e| e.to_string())?.collect();
        // The older dashboard listens on IPv4.
        let first = found.iter().find(|a| a.is_ipv4()).or(found.first());
        first.copied().ok_or_else(|| "it has no address".into())
    }
}

/// Sends the tempo to the dashboard at `host` and `port`, for as long as the process lives.
///
/// # Errors
/// If no thread can be started.
pub fn start(host: String, port: u16, telemetry: Arc<Telemetry>) -> std::io::Result<()> {
    let mut whereabouts = Whereabouts { host, port, found: None, next: Instant::now(), lost: false };
    let mut teller = Teller::default();
    std::thread::Builder::new().name("dashboard".into()).spawn(move || {
        loop {
            whereabouts.look();
            if let Some((socket, address)) = &whereabouts.found {
                let bpm = telemetry.bpm();
                if teller.tells(bpm, Instant::now())
                    && let Ok(bytes) = packet::encode(&[Message::new("/audio/bpm", vec![Value::Float(bpm)])])
                {
                    // Nobody has to listen there.
                    let _ = socket.send_to(&bytes, address);
                }
            }
            std::thread::sleep(EVERY);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_hosts_with_ports() {
        assert_eq!(target(""), Ok(None));
        for (text, host, port) in
            [("stage:5005", "stage", 5005), ("10.0.0.7:1", "10.0.0.7", 1), ("[fe80::1]:5005", "fe80::1", 5005)]
        {
            assert_eq!(target(text), Ok(Some((host.into(), port))));
        }
        for text in ["stage", "stage:", ":5005", "stage:0", "stage:70000", "fe80::1:5005", "[]:5005"] {
            assert!(target(text).unwrap_err().contains("HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn moves_are_sent_and_a_tempo_that_rests_now_and_then() {
        let (mut teller, start) = (Teller::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let told: Vec<bool> = [(0.0, 0), (120.0, 100), (120.0, 200), (120.005, 300), (120.011, 400), (130.0, 500)]
            .iter()
            .map(|(bpm, ms)| teller.tells(*bpm, at(*ms)))
            .collect();
        assert_eq!(told, [false, true, false, false, true, true]);
        assert!(!teller.tells(130.0, at(10_400)) && teller.tells(130.0, at(10_500)));
    }
}
