//! Requests over OSC and their replies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use crate::control::commands::packet;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;

/// OSC connection to a daemon.
pub struct Wire {
    /// The connected UDP socket.
    pub socket: UdpSocket,
    peer: SocketAddr,
    timeout: Duration,
}

/// Returns the message for a failed request.
fn silence(error: &std::io::Error, peer: SocketAddr, timeout: Duration) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            let there = if peer.ip().to_canonical().is_loopback() { "" } else { " there" };
            format!("nothing listens on {peer}; check that grooved is running{there} (systemctl status grooved)")
        }
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => format!(
            "no reply from {peer} within {:.1} s; check that grooved is running there, and that its osc.allow includes \
             this machine",
            timeout.as_secs_f64()
        ),
        _ => format!("no reply from {peer}: {error}; check that the machine is on and in this network"),
    }
}

impl Wire {
    /// Opens a connection to the OSC port of `host`. Requests wait `timeout_s` seconds for replies.
    ///
    /// # Errors
    /// If the host name cannot be resolved, or no socket can be opened.
    pub fn open(host: &str, port: u16, timeout_s: f64) -> Result<Wire, String> {
        let peers = Wire::addresses(host, port)?;
        Wire::to(*peers.first().ok_or_else(|| format!("--host {host}: no such host"))?, timeout_s)
    }

    /// Returns all addresses of a host, in the resolver's order and each once; there is at least one. `localhost` has
    /// both loopback addresses, whatever the resolver knows.
    ///
    /// # Errors
    /// If the host name cannot be resolved.
    pub fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let mut peers = Vec::new();
        let found = (host, port).to_socket_addrs().map_err(|e| format!("--host {host}: {e}"))?;
        let loopback = [IpAddr::from(Ipv6Addr::LOCALHOST), Ipv4Addr::LOCALHOST.into()].map(|ip| (ip, port).into());
        let loopback = loopback.into_iter().filter(|_| host.eq_ignore_ascii_case("localhost"));
        for peer in found.chain(loopback) {
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        if peers.is_empty() { Err(format!("--host {host}: no such host")) } else { Ok(peers) }
    }

    /// Opens a connection to an address. Requests wait `timeout_s` seconds for replies.
    ///
    /// # Errors
    /// If no socket can be opened.
    pub fn to(peer: SocketAddr, timeout_s: f64) -> Result<Wire, String> {
        let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).and_then(|s| s.connect(peer).map(|()| s)).map_err(|e| e.to_string())?;
        Ok(Wire { socket, peer, timeout: Duration::from_secs_f64(timeout_s) })
    }

    /// The address of the daemon.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Returns the message for a request that failed with `error`.
    pub fn silence(&self, error: &std::io::Error) -> String {
        silence(error, self.peer, self.timeout)
    }

    /// Sends a message without waiting for replies.
    ///
    /// # Errors
    /// If the message cannot be encoded or sent.
    pub fn send(&self, message: Message) -> Result<(), String> {
        let sent = self.socket.send(&packet::encode(&[message])?);
        sent.map(drop).map_err(|e| silence(&e, self.peer, self.timeout))
    }

    /// Sends a message and then `/sync`, and returns all replies up to `/synced`. After the timeout, returns the
    /// replies received so far.
    ///
    /// # Errors
    /// If there is no reply within the timeout, or a reply is not valid OSC.
    pub fn ask(&self, message: Message) -> Result<Vec<Message>, String> {
        let token = i64::from(std::process::id());
        let silent = |e: std::io::Error| silence(&e, self.peer, self.timeout);
        for m in [message, Message::new("/sync", vec![Value::Int(token)])] {
            self.send(m)?;
        }
        let deadline = Instant::now() + self.timeout;
        let mut answers = Vec::new();
        let mut buffer = vec![0u8; 65_536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
            let n = match self.socket.recv(&mut buffer) {
                Ok(n) => n,
                // A load may take longer than the timeout; show the replies so far.
                Err(_) if !answers.is_empty() => return Ok(answers),
                Err(e) => return Err(silent(e)),
            };
            for answer in packet::messages(&buffer[..n])? {
                if answer.address == "/synced" && answer.args.first().and_then(Value::as_int) == Some(token) {
                    return Ok(answers);
                }
                answers.push(answer);
            }
        }
    }
}

/// Parses an argument from the command line: a number or text. The prefixes `i:`, `f:` and `s:` force the type.
///
/// # Errors
/// If the text after `i:` or `f:` is not a number of that type.
pub fn argument(text: &str) -> Result<Value, String> {
    let wrong = |kind: &str| format!("{text:?}: expected {kind} after the colon");
    match text.split_once(':') {
        Some(("i", rest)) => rest.parse().map(Value::Int).map_err(|_| wrong("a whole number")),
        Some(("f", rest)) => rest.parse().map(Value::Float).map_err(|_| wrong("a number")),
        Some(("s", rest)) => Ok(Value::from(rest)),
        _ => Ok(text
            .parse()
            .map(Value::Int)
            .or_else(|_| text.parse().map(Value::Float))
            .unwrap_or_else(|_| Value::from(text))),
    }
}
