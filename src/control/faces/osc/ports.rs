//! Logs when another program takes over an OSC port, and when it releases it.
//!
//! The ports are bound such that programs of the same user may do this ([`crate::system::port`]). It is visible only in
//! the kernel's table of sockets.

use std::time::Duration;

use crate::system::usage;

/// Interval between reads of the table.
const EVERY: Duration = Duration::from_secs(2);

/// Starts a thread that watches the ports until the process ends.
///
/// # Errors
/// If no thread can be started.
pub fn watch(ports: Vec<u16>) -> std::io::Result<()> {
    std::thread::Builder::new().name("ports".into()).spawn(move || {
        let mut shared = vec![false; ports.len()];
        loop {
            let sockets = usage::udp_sockets(&ports);
            for (k, port) in ports.iter().enumerate() {
                // One socket is ours.
                let now = sockets[k] > 1;
                if now == std::mem::replace(&mut shared[k], now) {
                    continue;
                }
                let left = ports.iter().zip(&shared).filter(|(_, s)| !**s).map(|(p, _)| p.to_string());
                let left: Vec<String> = left.collect();
                let taken = format!("OSC: another program now listens on UDP port {port} and receives its packets");
                match (now, left.is_empty()) {
                    (true, true) => tracing::warn!("{taken}; --port chooses another"),
                    (true, false) => tracing::warn!("{taken}; grooved still listens on port {}", left.join(" and ")),
                    (false, _) => {
                        tracing::info!(
                            "OSC: the other program has released UDP port {port}; packets arrive here again"
                        );
                    }
                }
            }
            std::thread::sleep(EVERY);
        }
    })?;
    Ok(())
}
