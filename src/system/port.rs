//! UDP ports that yield to other programs of the same user.
//!
//! A port is first bound exclusively, so that a program already listening keeps it: with SO_REUSEPORT alone, the kernel
//! would put both sockets into one group and distribute the packets by a hash of the sender. Only then is the port
//! opened to programs that start later and set SO_REUSEPORT themselves. Such a program gets every packet it listens
//! for:
//!
//! - a socket of the same family joins our group, and the group's filter selects its second member;
//! - an IPv4 socket is preferred over our IPv6 one for IPv4 packets (the kernel's score is 2 to 1).
//!
//! When it ends, the packets arrive here again. The kernel admits programs of the same user only (udp_lib_get_port in
//! net/ipv4/udp.c); a port cannot be shared between users without opening it to everyone.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

/// Size in bytes of the kernel's buffer for packets that arrive while the control runtime is busy.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Binds a UDP port such that programs with SO_REUSEPORT keep it, or get it when they start later. The socket is
/// non-blocking; an IPv6 socket accepts IPv4 as well.
///
/// # Errors
/// `AddrInUse` if another program listens on the port, whatever its socket options; other errors of the system.
pub fn bind(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let probe = socket(address)?;
    probe.bind(&SocketAddr::new(address, port).into())?;
    let bound = probe.local_addr()?;
    // The port is bound; from now on it may be shared, first of all with the socket that stays.
    let shared = probe.set_reuse_port(true).and_then(|()| {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&bound)?;
        prefer_second(&socket)?;
        Ok(socket)
    });
    // A kernel without group filters (before 4.5) keeps the port exclusive.
    let socket = shared.or_else(|_| probe.set_reuse_port(false).map(|()| probe))?;
    Ok(socket.into())
}

fn socket(address: IpAddr) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // One socket for IPv6 and IPv4.
        socket.set_only_v6(false)?;
    }
    // Limited to net.core.rmem_max.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Directs the packets of a socket's group to its second member. While there is only one, the kernel ignores the result
/// of the filter and delivers to that one.
fn prefer_second(socket: &Socket) -> io::Result<()> {
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut program = [libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: 1 }];
    let filter = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
    // SAFETY: an open descriptor, and a program that outlives the call; the kernel copies and verifies it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    /// Creates another program's socket, as with Python's `SO_REUSEPORT`.
    fn other(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
        let socket =
            Socket::new(if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 }, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddr::new(address, port).into())?;
        Ok(socket.into())
    }

    /// Number of the forty packets that arrived at a socket.
    fn received(socket: &UdpSocket) -> usize {
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        std::iter::from_fn(|| socket.recv(&mut [0; 8]).ok()).count()
    }

    fn send_forty(port: u16) {
        for _ in 0..40 {
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", ("127.0.0.1", port)).unwrap();
        }
    }

    #[test]
    fn a_program_that_starts_later_gets_the_packets_and_leaves_them() {
        let (any4, any6) = (IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED));
        for (ours, theirs) in [(any6, any4), (any6, any6), (any4, any4)] {
            let socket = bind(ours, 0).unwrap();
            let port = socket.local_addr().unwrap().port();
            send_forty(port);
            assert_eq!(received(&socket), 40, "alone, {ours}");
            let later = other(theirs, port).unwrap();
            send_forty(port);
            assert_eq!((received(&socket), received(&later)), (0, 40), "{ours} and later {theirs}");
            drop(later);
            send_forty(port);
            assert_eq!(received(&socket), 40, "alone again, {ours}");
        }
    }

    #[test]
    fn a_program_that_listens_already_keeps_its_port() {
        for address in [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into()] {
            let first = other(address, 0).unwrap();
            let port = first.local_addr().unwrap().port();
            let refused = bind(Ipv6Addr::UNSPECIFIED.into(), port).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{address}");
            // Two sockets of this daemon do not share a port either.
            let ours = bind(address, 0).unwrap();
            assert!(bind(address, ours.local_addr().unwrap().port()).is_err());
        }
    }
}
