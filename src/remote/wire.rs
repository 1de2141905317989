//! Asking over OSC.

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use crate::control::packet;
use crate::control::request::Message;
use crate::control::value::Value;

/// A socket that speaks to one daemon.
pub struct Wire {
    /// The socket, connected.
    pub socket: UdpSocket,
    peer: SocketAddr,
    timeout: Duration,
}

/// What to say when nobody answers.
fn silence(error: &std::io::Error, peer: SocketAddr, timeout: Duration) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            format!("nobody listens on {peer}; is grooved running? (systemctl status grooved)")
        }
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => format!(
            "no answer from {peer} within {:.1} s; does grooved run there, and does its osc.allow let this machine in?",
            timeout.as_secs_f64()
        ),
        _ => format!("no answer from {peer}: {error}"),
    }
}

impl Wire {
    /// A socket towards `host`'s OSC port; answers are waited for `timeout_s` seconds.
    pub fn open(host: &str, port: u16, timeout_s: f64) -> Result<Wire, String> {
        let peer = (host, port)
            .to_socket_addrs()
            .map_err(|e| format!("--host {host}: {e}"))?
            .next()
            .ok_or_else(|| format!("--host {host}: no such host"))?;
        let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).and_then(|s| s.connect(peer).map(|()| s)).map_err(|e| e.to_string())?;
        Ok(Wire { socket, peer, timeout: Duration::from_secs_f64(timeout_s) })
    }

    /// Sends a message, and waits for nothing.
    pub fn send(&self, message: Message) -> Result<(), String> {
        let sent = self.socket.send(&packet::encode(&[message])?);
        sent.map(drop).map_err(|e| silence(&e, self.peer, self.timeout))
    }

    /// Sends a message and then `/sync`, and gathers every answer up to its `/synced`.
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
                // A load may take longer than anybody wants to wait; what came so far is worth showing.
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

/// An argument from the command line: a number, or text; `i:`, `f:` and `s:` say which.
pub fn argument(text: &str) -> Result<Value, String> {
    let wrong = |kind: &str| format!("{text:?}: what follows the colon is not {kind}");
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
