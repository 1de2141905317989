//! Errors and queues of UDP sockets, beyond what sending reports.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Maximum number of errors taken per call.
const MOST_AT_ONCE: usize = 64;

/// Makes the socket queue the errors returned for packets it has sent: peers that are gone or unreachable. [`gone`]
/// takes them from the queue.
///
/// # Errors
/// Those of `setsockopt`.
pub fn keep_errors(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    let on: libc::c_int = 1;
    let set = |level, name| {
        // SAFETY: the option is an int, which outlives the call.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                name,
                (&raw const on).cast(),
                std::mem::size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    if v6 {
        set(libc::IPPROTO_IPV6, libc::IPV6_RECVERR)?;
    }
    // A dual-stack socket has a queue for both families.
    set(libc::IPPROTO_IP, libc::IP_RECVERR)
}

/// Returns the peers that proved to be gone since the last call. Never blocks.
pub fn gone(socket: BorrowedFd<'_>) -> Vec<SocketAddr> {
    let mut peers = Vec::new();
    for _ in 0..MOST_AT_ONCE {
        // SAFETY: an all-zero address is valid, of no family.
        let mut name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let mut control = [0u64; 64];
        let mut data = [0u8; 1];
        let mut piece = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
        // SAFETY: an all-zero header names no buffers; those set below outlive the call.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = std::mem::size_of_val(&name) as libc::socklen_t;
        header.msg_iov = &raw mut piece;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = std::mem::size_of_val(&control) as _;
        // SAFETY: every buffer named by the header is live and has the stated length.
        let result =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
        if result < 0 {
            break;
        }
        // The destination of the failed packet.
        peers.extend(address(&name));
    }
    peers
}

/// Bytes sent that have not left the machine yet, because the hardware address of a peer is still being resolved.
pub fn unsent(socket: BorrowedFd<'_>) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ writes one int, to the local variable.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family determines the type of the address; the storage is large and aligned enough for it.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddr::new(IpAddr::V6(ip), u16::from_be(v6.sin6_port)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};

    #[test]
    fn a_peer_that_is_gone_is_named() {
        for (own, peer) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::]:0", "127.0.0.1:0")] {
            let socket = UdpSocket::bind(own).unwrap();
            keep_errors(socket.as_fd(), own.starts_with('[')).unwrap();
            // A port that is no longer in use.
            let there = UdpSocket::bind(peer).unwrap().local_addr().unwrap();
            let to = match own.starts_with('[') {
                true => SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), there.port()),
                false => there,
            };
            assert!(gone(socket.as_fd()).is_empty());
            socket.send_to(b"anybody?", to).unwrap();
            let begun = Instant::now();
            let mut found = Vec::new();
            while found.is_empty() && begun.elapsed() < Duration::from_secs(10) {
                found = gone(socket.as_fd());
            }
            assert_eq!(found.iter().map(|a| a.port()).collect::<Vec<_>>(), [there.port()], "{own}");
            assert_eq!(found[0].ip().to_canonical(), there.ip());
            assert_eq!(unsent(socket.as_fd()), 0);
        }
    }
}
