//! Log lines about OSC ports that another program takes over, and leaves again.
//!
//! The ports are bound so that a program of the same user may do that ([`crate::system::port`]); nothing but the
//! kernel's table of sockets shows it.

use std::time::Duration;

use crate::system::usage;

/// Time between two looks at the table.
const EVERY: Duration = Duration::from_secs(2);

/// Watches the ports from a thread of its own, for as long as the process lives.
///
/// # Errors
/// If no thread can be started.
pub fn watch(ports: Vec<u16>) -> std::io::Result<()> {
    std::thread::Builder::new().name("ports".into()).spawn(move || {
        let mut shared = vec![false; ports.len()];
        loop {
            let sockets = usage::udp_sockets(&ports);
            for (k, port) in ports.iter().enumerate() {
                // One of them is ours.
                let now = sockets[k] > 1;
                if now == std::mem::replace(&mut shared[k], now) {
                    continue;
                }
                let left: Vec<String> = ports.iter().zip(&shared).filter(|(_, s)| !**s).map(|(p, _)| p.to_string()).collect();
                match (now, left.is_empty()) {
                    (true, true) => tracing::warn!(
                        "OSC: another program listens on UDP port {port} now and gets its packets; --port chooses another"
                    ),
                    (true, false) => tracing::warn!(
                        "OSC: another program listens on UDP port {port} now and gets its packets; port {} stays with grooved",
                        left.join(" and ")
                    ),
                    (false, _) => tracing::info!("OSC: the other program has left UDP port {port}; packets arrive here again"),
                }
            }
            std::thread::sleep(EVERY);
        }
    })?;
    Ok(())
}
