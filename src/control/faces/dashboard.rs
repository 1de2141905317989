//! Sends the tempo to a dashboard: `/audio/bpm f` whenever it changes, whatever the cause.
//!
//! Of the older programs only the set player sent it, so a tempo set by movement was never shown. A separate thread
//! reads the tempo from the engine's telemetry, because resolving the dashboard's name may block.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::commands::packet;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::engine::door::Telemetry;

/// Minimum time between two messages.
const EVERY: Duration = Duration::from_millis(100);
/// Minimum change of the tempo that is sent, in BPM.
const LEAST_MOVE: f64 = 0.01;
/// Interval at which an unchanged tempo is repeated, for a dashboard that was started meanwhile.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Time until a name that could not be resolved is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Time until a resolved name is resolved again.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// Parses `HOST:PORT`; returns `None` for an empty text.
///
/// # Errors
/// If the text is neither; the message gives an example.
pub fn target(text: &str) -> Result<Option<(String, u16)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("\"{text}\": expected HOST:PORT, such as \"192.168.1.20:5005\"");
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

/// Decides when to send the tempo.
#[derive(Debug, Default)]
struct Teller {
    sent: Option<(f64, Instant)>,
}

impl Teller {
    /// Returns whether to send the tempo `bpm` at time `now`, and if so, records it as sent.
    fn tells(&mut self, bpm: f64, now: Instant) -> bool {
        // The tempo is 0 before the engine's first block.
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

/// Name and resolved address of the dashboard.
struct Whereabouts {
    host: String,
    port: u16,
    found: Option<(UdpSocket, SocketAddr)>,
    next: Instant,
    /// Whether the failure to resolve the name has been logged.
    lost: bool,
}

impl Whereabouts {
    /// Resolves the name if that is due. Blocks.
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
                tracing::info!("dashboard: sending the tempo to {address}");
                self.lost = false;
            }
            // A previously resolved address may still be valid.
            Err(why) if self.found.is_none() && !std::mem::replace(&mut self.lost, true) => {
                tracing::warn!("dashboard: cannot resolve '{}' (osc.dashboard): {why}; retrying", self.host);
            }
            Err(_) => {}
        }
    }

    fn resolve(&self) -> Result<SocketAddr, String> {
        let found: Vec<SocketAddr> =
            (self.host.as_str(), self.port).to_socket_addrs().map_err(|e| e.to_string())?.collect();
        // The older dashboard listens on IPv4.
        let first = found.iter().find(|a| a.is_ipv4()).or(found.first());
        first.copied().ok_or_else(|| "the name has no address".into())
    }
}

/// Starts a thread that sends the tempo to the dashboard at `host` and `port` until the process ends.
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
                    // Errors are ignored: the dashboard need not be running.
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
