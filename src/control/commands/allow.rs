//! Ranges of addresses that clients may connect from.

use std::net::IpAddr;

use ipnet::IpNet;

/// Returns whether an address is within one of the ranges; IPv4-mapped IPv6 addresses count as IPv4.
pub fn is_allowed(allow: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    allow.iter().any(|net| net.contains(&address))
}
