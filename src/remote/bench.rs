//! Throughput and latency of controls over OSC.

use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::control::commands::packet;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;

/// Result of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Number of controls sent.
    pub sent: usize,
    /// Number of controls answered, at most one second after the last was sent.
    pub answered: usize,
    /// Times from sending to the reply in milliseconds, in ascending order. The reply is sent when the engine has
    /// processed the control.
    pub latencies_ms: Vec<f64>,
}

/// Sends `rate` controls per second for `seconds`. Each is a `/sync`, which passes through the conductor and the engine
/// without an audible effect.
///
/// # Errors
/// If a message cannot be sent.
pub fn run(wire: &Wire, rate: f64, seconds: f64) -> Result<Outcome, String> {
    let count = (rate * seconds).round().max(1.0) as usize;
    let mut sent_at: Vec<Instant> = Vec::with_capacity(count);
    let mut latencies_ms = Vec::with_capacity(count);
    let mut answered = vec![false; count];
    let mut buffer = vec![0u8; 65_536];
    let start = Instant::now();
    let mut last = start;
    loop {
        let due = ((start.elapsed().as_secs_f64() * rate) as usize + 1).min(count);
        while sent_at.len() < due {
            let message = Message::new("/sync", vec![Value::Int(sent_at.len() as i64)]);
            wire.send(message)?;
            sent_at.push(Instant::now());
            last = Instant::now();
        }
        if latencies_ms.len() == count || (sent_at.len() == count && last.elapsed() > Duration::from_secs(1)) {
            break;
        }
        wire.socket.set_read_timeout(Some(Duration::from_micros(200))).map_err(|e| e.to_string())?;
        while let Ok(n) = wire.socket.recv(&mut buffer) {
            let now = Instant::now();
            for message in packet::messages(&buffer[..n]).unwrap_or_default() {
                let k = message.args.first().and_then(Value::as_int).and_then(|k| usize::try_from(k).ok());
                if let Some(k) = k.filter(|k| message.address == "/synced" && *k < sent_at.len() && !answered[*k]) {
                    answered[k] = true;
                    latencies_ms.push(now.duration_since(sent_at[k]).as_secs_f64() * 1e3);
                }
            }
        }
    }
    latencies_ms.sort_unstable_by(f64::total_cmp);
    Ok(Outcome { sent: count, answered: latencies_ms.len(), latencies_ms })
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| {
            let k = ((self.latencies_ms.len() as f64 * share) as usize).min(self.latencies_ms.len().saturating_sub(1));
            self.latencies_ms.get(k).copied().unwrap_or(f64::NAN)
        };
        write!(
            f,
            "{} sent, {} answered, {} lost; latency: median {:.2} ms, 95 % {:.2}, 99 % {:.2}, max {:.2}",
            self.sent,
            self.answered,
            self.sent - self.answered,
            at(0.5),
            at(0.95),
            at(0.99),
            at(1.0)
        )
    }
}
