//! OSC over UDP, the interface of the older clients.
//!
//! Packets of a socket are handled in order. The messages of a bundle take effect together; its time tag is the time at
//! which the affected samples leave the converter. Malformed packets are rejected and have no other effect.

pub mod ports;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ipnet::IpNet;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::control::commands::allow::is_allowed;
use crate::control::commands::packet;
use crate::control::commands::request::{Answer, Line, Message, Origin, Request};
use crate::control::publish::counters::Tally;
use crate::system::net;

/// Unsent bytes in a socket beyond which pushes are dropped: half of Linux's default send buffer.
const MOST_UNSENT: usize = 106_496;
/// Maximum size of a UDP packet over IPv4.
const MOST_PACKET: usize = 65_507;
/// Attempts to send a packet while the socket reports errors of earlier packets.
const TRIES: usize = 4;
/// `/fail` messages per second that a sender receives.
const FAILS_PER_SECOND: f64 = 10.0;
/// `/fail` messages that a sender receives in one burst.
const FAIL_BURST: f64 = 40.0;
/// Maximum number of senders for which `/fail` messages are counted; the least recently active is forgotten first.
const SENDERS: usize = 256;

/// The open OSC sockets, with allowed ranges and counters.
pub struct OscFace {
    sockets: Vec<Arc<UdpSocket>>,
    allow: Arc<Vec<IpNet>>,
    tally: Arc<Tally>,
    complaints: Arc<Complaints>,
}

/// Rate limiter of `/fail` messages by sender.
#[derive(Default)]
struct Complaints {
    buckets: Mutex<HashMap<SocketAddr, Bucket>>,
}

struct Bucket {
    level: f64,
    at: Instant,
}

fn bind(address: IpAddr, port: u16) -> std::io::Result<UdpSocket> {
    let socket = crate::system::port::bind(address, port)?;
    // If this fails, subscribers that are gone receive pushes until their subscription expires; harmless otherwise.
    let _ = net::keep_errors(socket.as_fd(), address.is_ipv6());
    UdpSocket::from_std(socket)
}

impl OscFace {
    /// Binds the ports that are free, on IPv6 and IPv4 (or on `address` only). Also returns an error message for each
    /// port that cannot be bound.
    pub fn open(ports: &[u16], address: Option<IpAddr>, allow: Vec<IpNet>) -> (OscFace, Vec<String>) {
        let mut sockets = Vec::new();
        let mut troubles = Vec::new();
        for port in ports {
            let bound = match address {
                Some(address) => bind(address, *port),
                // A machine without IPv6 still has IPv4.
                None => bind(Ipv6Addr::UNSPECIFIED.into(), *port).or_else(|error| match error.kind() {
                    std::io::ErrorKind::AddrInUse => Err(error),
                    _ => bind(Ipv4Addr::UNSPECIFIED.into(), *port),
                }),
            };
            match bound {
                Ok(socket) => sockets.push(Arc::new(socket)),
                Err(error) => troubles.push(format!(
                    "cannot bind UDP port {port}: {error}; 'ss -lunp sport = :{port}' shows the program that uses it, \
                     --port chooses another"
                )),
            }
        }
        let face = OscFace { sockets, allow: Arc::new(allow), tally: Arc::default(), complaints: Arc::default() };
        (face, troubles)
    }

    /// Returns the ports that were bound.
    pub fn ports(&self) -> Vec<u16> {
        self.sockets.iter().filter_map(|s| s.local_addr().ok()).map(|a| a.port()).collect()
    }

    /// Returns the counters of OSC.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Starts a task per socket that turns packets into requests. Peers found to be unreachable are sent to `gone`.
    pub fn listen(&self, requests: &mpsc::Sender<Request>, gone: &mpsc::Sender<SocketAddr>) {
        for (index, socket) in self.sockets.iter().enumerate() {
            let (socket, requests, gone) = (socket.clone(), requests.clone(), gone.clone());
            let (allow, tally, complaints) = (self.allow.clone(), self.tally.clone(), self.complaints.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0u8; 65_536];
                loop {
                    let (length, peer) = match socket.recv_from(&mut buffer).await {
                        Ok(got) => got,
                        // An answer that could not be delivered; the socket itself remains usable.
                        Err(_) => {
                            for peer in net::gone(socket.as_fd()) {
                                // If the conductor's queue is full, the next error reports the peer again.
                                let _ = gone.try_send(peer);
                            }
                            continue;
                        }
                    };
                    tally.received.fetch_add(1, Relaxed);
                    if !is_allowed(&allow, peer.ip()) {
                        tally.strangers.fetch_add(1, Relaxed);
                        tracing::warn!("OSC: rejected {}: outside the allowed ranges (osc.allow)", peer.ip());
                        continue;
                    }
                    let origin = Origin { line: Line::Osc(index), peer, tag: 0 };
                    match packet::decode(&buffer[..length]) {
                        Ok(parts) => {
                            for (when, calls) in parts {
                                let calls: Vec<Message> =
                                    calls.into_iter().filter(|c| !is_answer(&c.address)).collect();
                                if calls.is_empty() {
                                    continue;
                                }
                                let request = Request { origin: Some(origin), when, calls };
                                if requests.send(request).await.is_err() {
                                    return;
                                }
                            }
                        }
                        Err(why) => {
                            tally.malformed.fetch_add(1, Relaxed);
                            tracing::warn!("OSC: invalid packet from {}: {why}; ignored", peer.ip());
                            if let Some(address) = complained_of(&buffer[..length])
                                && complaints.allow(peer)
                            {
                                let args = vec![address.into(), format!("invalid OSC packet: {why}").into()];
                                if let Ok(bytes) = packet::encode(&[Message::new("/fail", args)]) {
                                    let _ = socket.try_send_to(&bytes, peer);
                                }
                            }
                        }
                    }
                }
            });
        }
    }

    /// Sends an answer; drops it if it is a `/fail` over the rate limit, or a push while the socket's buffer is full.
    pub fn send(&self, answer: &Answer) {
        let Line::Osc(index) = answer.to.line else { return };
        let Some(socket) = self.sockets.get(index) else { return };
        let complains = answer.messages.iter().any(|m| m.address == "/fail");
        if complains && !self.complaints.allow(answer.to.peer) {
            self.tally.muted.fetch_add(1, Relaxed);
            return;
        }
        if answer.push && net::unsent(socket.as_fd()) > MOST_UNSENT {
            // Pushes to unreachable peers fill the buffer until the kernel gives up on them. Keep the rest for answers.
            self.tally.muted.fetch_add(1, Relaxed);
            return;
        }
        self.send_parts(socket, &answer.messages, answer.to.peer);
    }

    /// Sends messages in as many packets as needed.
    fn send_parts(&self, socket: &UdpSocket, messages: &[Message], peer: SocketAddr) {
        match (packet::encode(messages), messages) {
            (Ok(bytes), _) if bytes.len() <= MOST_PACKET => self.send_packet(socket, &bytes, peer),
            (_, []) => {}
            (encoded, [only]) => {
                let length = encoded.map_or(0, |bytes| bytes.len());
                let why = format!(
                    "the answer {:.200} has {length} bytes, but a UDP packet holds at most {MOST_PACKET}; /api/ws has \
                     no such limit",
                    only.address
                );
                let shown = &only.address[..only.address.floor_char_boundary(200)];
                let fail = Message::new("/fail", vec![shown.into(), why.into()]);
                if let Ok(bytes) = packet::encode(&[fail]) {
                    self.send_packet(socket, &bytes, peer);
                }
            }
            (_, many) => {
                let (first, second) = many.split_at(many.len() / 2);
                self.send_parts(socket, first, peer);
                self.send_parts(socket, second, peer);
            }
        }
    }

    fn send_packet(&self, socket: &UdpSocket, bytes: &[u8], peer: SocketAddr) {
        // The socket may report the error of an earlier packet to another peer; then this one was not sent yet.
        for _ in 0..TRIES {
            match socket.try_send_to(bytes, peer) {
                Ok(_) => return,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        self.tally.muted.fetch_add(1, Relaxed);
        tracing::warn!("OSC: cannot send to {}; answer dropped", peer.ip());
    }
}

impl Complaints {
    /// Counts a `/fail` message to `peer`; returns `false` if it exceeds the rate limit.
    fn allow(&self, peer: SocketAddr) -> bool {
        let Ok(mut buckets) = self.buckets.lock() else { return false };
        let now = Instant::now();
        if buckets.len() >= SENDERS
            && !buckets.contains_key(&peer)
            && let Some(oldest) = buckets.iter().min_by_key(|(_, b)| b.at).map(|(p, _)| *p)
        {
            buckets.remove(&oldest);
        }
        let bucket = buckets.entry(peer).or_insert(Bucket { level: FAIL_BURST, at: now });
        let refill = now.duration_since(bucket.at).as_secs_f64() * FAILS_PER_SECOND;
        bucket.level = (bucket.level + refill).min(FAIL_BURST);
        bucket.at = now;
        if bucket.level < 1.0 {
            return false;
        }
        bucket.level -= 1.0;
        true
    }
}

/// Returns whether an address is that of an answer. These are never answered: two servers could loop forever.
fn is_answer(address: &str) -> bool {
    matches!(address, "/done" | "/fail" | "/late" | "/synced" | "/beat" | "/groove/control")
        || address.starts_with("/status/")
        || address.starts_with("/meter/")
}

/// Returns the address for a `/fail` about an invalid packet: that of its message, or `#bundle`. `None` for packets
/// that are not OSC at all, and for answers: two servers could loop forever.
fn complained_of(bytes: &[u8]) -> Option<String> {
    let name = bytes.split(|b| *b == 0).next().unwrap_or_default();
    let address: String = String::from_utf8_lossy(name).chars().take(200).collect();
    ((address.starts_with('/') && !is_answer(&address)) || address == "#bundle").then_some(address)
}
