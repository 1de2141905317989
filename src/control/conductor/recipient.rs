//! Who receives what a sender asks for: the sender, or another port or host that it names.
//!
//! Control surfaces such as TouchOSC send from one port and listen on another.

use std::net::{IpAddr, SocketAddr};

use crate::control::commands::allow::is_allowed;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::Origin;

/// The lowest port that may be named: below are services that know no OSC.
const LOWEST_PORT: u16 = 1_024;

/// An address as a sender names it: `9000` is that port of its own host, `192.168.1.5:9000` another host's. Names are not
/// resolved, which could take long.
fn named(to: &str, sender: IpAddr) -> Result<SocketAddr, Fault> {
    let wrong = |what: &str| {
        Fault::argument("to", format!("{to:?}"), format!("a port, or an address such as 192.168.1.5:9000 ({what})"))
    };
    let address = match to.parse() {
        Ok(port) => SocketAddr::new(sender, port),
        Err(_) if to.bytes().all(|b| b.is_ascii_digit()) => return Err(wrong("there is no such port")),
        Err(_) => to.parse().map_err(|_| wrong("it is neither a port nor an IP address with a port"))?,
    };
    if address.port() < LOWEST_PORT {
        return Err(wrong("ports below 1024 are not for OSC"));
    }
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(wrong("it is not the address of a host"));
    }
    Ok(address)
}

/// An address as a socket takes it that has received from `peer`: one of IPv6 sends to IPv4 by mapped addresses.
fn for_socket_of(peer: SocketAddr, address: SocketAddr) -> Result<SocketAddr, Fault> {
    match (peer.ip(), address.ip()) {
        (IpAddr::V6(_), IpAddr::V4(ip)) => Ok(SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())),
        (IpAddr::V4(_), IpAddr::V6(_)) => Err(Fault::argument("to", address, "an IPv4 address: this port has no IPv6")),
        _ => Ok(address),
    }
}

/// The recipient that `origin` names by `to`; an empty name is the sender itself. `allow` are the ranges of addresses that
/// OSC is exchanged with.
///
/// # Errors
/// If it is not an address, or lies outside those ranges.
pub(super) fn of(origin: Origin, to: &str, allow: &[ipnet::IpNet]) -> Result<Origin, Fault> {
    let to = to.trim();
    if to.is_empty() {
        return Ok(origin);
    }
    let address = named(to, origin.peer.ip())?;
    if !is_allowed(allow, address.ip()) {
        return Err(Fault::argument("to", format!("{to:?}"), "an address in the allowed ranges (osc.allow)"));
    }
    Ok(Origin { peer: for_socket_of(origin.peer, address)?, ..origin })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_addresses_are_taken_and_nothing_else() {
        let sender: IpAddr = "::ffff:192.168.1.7".parse().unwrap();
        let peer = SocketAddr::new(sender, 50_000);
        for (to, wanted) in [
            ("9000", "[::ffff:192.168.1.7]:9000"),
            ("10.0.0.2:9001", "[::ffff:10.0.0.2]:9001"),
            ("[fe80::1]:9002", "[fe80::1]:9002"),
        ] {
            let found = named(to, sender).and_then(|a| for_socket_of(peer, a)).unwrap();
            assert_eq!(found, wanted.parse().unwrap(), "{to}");
        }
        for to in ["53", "0", "99999", "stage:9000", "10.0.0.2", "10.0.0.2:80", "0.0.0.0:9000", "224.0.0.1:9000", "-1"]
        {
            assert!(named(to, sender).unwrap_err().to_string().contains("expected a port"), "{to}");
        }
        let old: SocketAddr = "192.168.1.7:50000".parse().unwrap();
        assert!(for_socket_of(old, "[fe80::1]:9002".parse().unwrap()).is_err());
    }
}
