//! OSC over UDP: the face the older clients know.
//!
//! Packets of a socket are taken in order. A bundle's messages belong together; its time tag says when the samples
//! they concern leave the converter. Whatever a packet holds, it can do no more than be refused.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ipnet::IpNet;
use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::request::{Answer, Message, Origin, Request, When};
use super::value::Value;
use crate::system::time::timetag_to_monotonic_ns;

/// Kernel buffer for packets that come while we are busy: a client's burst must not be lost.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Most bundles within one packet: a client that nests deeper than this wants to see us fall.
const MOST_BUNDLES: usize = 128;
/// Deepest nesting of arrays, likewise. (Brackets within texts count as well; nobody has that many.)
const MOST_ARRAYS: i32 = 256;
/// Complaints a sender gets per second, and in one burst.
const FAILS_PER_SECOND: f64 = 10.0;
const FAIL_BURST: f64 = 40.0;
/// Senders remembered for that; the longest silent is forgotten first.
const SENDERS: usize = 256;

/// Who may knock by default: this machine and private networks.
pub fn private_ranges() -> Vec<IpNet> {
    [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ]
    .iter()
    .filter_map(|r| r.parse().ok())
    .collect()
}

/// What was received and refused.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets received.
    pub received: AtomicU64,
    /// Packets from outside the allowed ranges.
    pub strangers: AtomicU64,
    /// Packets that are not OSC.
    pub malformed: AtomicU64,
    /// Packets dropped because the conductor was busy.
    pub dropped: AtomicU64,
    /// Complaints not sent because there were too many.
    pub muted: AtomicU64,
}

/// Open sockets.
pub struct OscFace {
    sockets: Vec<Arc<UdpSocket>>,
    allow: Arc<Vec<IpNet>>,
    counters: Arc<Counters>,
    buckets: Mutex<HashMap<SocketAddr, Bucket>>,
}

struct Bucket {
    level: f64,
    at: Instant,
}

fn bind(address: IpAddr, port: u16) -> std::io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // One socket for both worlds.
        socket.set_only_v6(false)?;
    }
    // Granted up to net.core.rmem_max; what is refused only makes bursts a little riskier.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(address, port).into())?;
    UdpSocket::from_std(socket.into())
}

impl OscFace {
    /// Binds the ports that are free, on IPv6 and IPv4 (or on `address` alone); tells which are not, and why.
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
                    "UDP port {port} is not to be had ({error}); 'ss -lunp sport = :{port}' tells who has it, --port \
                     chooses another"
                )),
            }
        }
        let face = OscFace { sockets, allow: Arc::new(allow), counters: Arc::default(), buckets: Mutex::default() };
        (face, troubles)
    }

    /// The ports that were bound.
    pub fn ports(&self) -> Vec<u16> {
        self.sockets.iter().filter_map(|s| s.local_addr().ok()).map(|a| a.port()).collect()
    }

    /// What was received and refused.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Starts a task per socket that turns packets into requests.
    pub fn listen(&self, requests: &mpsc::Sender<Request>) {
        for (index, socket) in self.sockets.iter().enumerate() {
            let (socket, requests) = (socket.clone(), requests.clone());
            let (allow, counters) = (self.allow.clone(), self.counters.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0u8; 65_536];
                loop {
                    let (length, peer) = match socket.recv_from(&mut buffer).await {
                        Ok(got) => got,
                        // An ICMP error of an answer nobody took; the socket is as good as before.
                        Err(_) => continue,
                    };
                    counters.received.fetch_add(1, Relaxed);
                    if !is_allowed(&allow, peer.ip()) {
                        counters.strangers.fetch_add(1, Relaxed);
                        tracing::warn!("OSC from {} is refused: outside the allowed ranges (osc.allow)", peer.ip());
                        continue;
                    }
                    let origin = Origin { socket: index, peer };
                    match decode(&buffer[..length]) {
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
                            counters.malformed.fetch_add(1, Relaxed);
                            tracing::warn!("a packet from {} is not OSC: {why}", peer.ip());
                        }
                    }
                }
            });
        }
    }

    /// Sends an answer, unless it is one complaint too many.
    pub fn send(&self, answer: &Answer) {
        let Some(socket) = self.sockets.get(answer.to.socket) else { return };
        let complains = answer.messages.iter().any(|m| m.address == "/fail");
        if complains && !self.may_complain(answer.to.peer) {
            self.counters.muted.fetch_add(1, Relaxed);
            return;
        }
        let Ok(bytes) = rosc::encoder::encode(&packet_of(&answer.messages)) else { return };
        // A full socket or an unreachable peer is no reason to wait.
        let _ = socket.try_send_to(&bytes, answer.to.peer);
    }

    fn may_complain(&self, peer: SocketAddr) -> bool {
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

/// Whether an address is within one of the ranges; IPv4 that came in through IPv6 counts as IPv4.
pub fn is_allowed(allow: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    allow.iter().any(|net| net.contains(&address))
}

/// Addresses of answers: never answered themselves, or two servers could talk for ever.
fn is_answer(address: &str) -> bool {
    matches!(address, "/done" | "/fail" | "/late" | "/synced" | "/beat" | "/groove/control")
        || address.starts_with("/status/")
        || address.starts_with("/meter/")
}

/// The calls in a packet, in order, each with its moment.
pub fn decode(bytes: &[u8]) -> Result<Vec<(When, Vec<Message>)>, String> {
    let bundles = bytes.windows(8).filter(|w| *w == b"#bundle\0").count();
    if bundles > MOST_BUNDLES {
        return Err(format!("it holds {bundles} bundles; at most {MOST_BUNDLES} are taken"));
    }
    let depth = bytes.iter().scan(0i32, |depth, byte| {
        *depth += i32::from(*byte == b'[') - i32::from(*byte == b']');
        Some(*depth)
    });
    if depth.max().unwrap_or(0) > MOST_ARRAYS {
        return Err(format!("its arrays are nested more than {MOST_ARRAYS} deep"));
    }
    let (_, packet) = rosc::decoder::decode_udp(bytes).map_err(|e| format!("{e}"))?;
    let mut parts = Vec::new();
    unroll(packet, When::Now, &mut parts);
    Ok(parts)
}

fn unroll(packet: OscPacket, when: When, parts: &mut Vec<(When, Vec<Message>)>) {
    match packet {
        OscPacket::Message(message) => parts.push((when, vec![message_of(message)])),
        OscPacket::Bundle(bundle) => {
            let when = moment(bundle.timetag);
            // Neighbouring messages of a bundle stay together; a bundle within keeps its place in the order.
            let mut together = Vec::new();
            for element in bundle.content {
                match element {
                    OscPacket::Message(message) => together.push(message_of(message)),
                    inner => {
                        if !together.is_empty() {
                            parts.push((when, std::mem::take(&mut together)));
                        }
                        unroll(inner, when, parts);
                    }
                }
            }
            if !together.is_empty() {
                parts.push((when, together));
            }
        }
    }
}

fn moment(tag: OscTime) -> When {
    // OSC 1.0: zero seconds and a last bit of one mean "immediately"; zero altogether is sent by some for the same.
    if tag.seconds == 0 && tag.fractional <= 1 {
        return When::Now;
    }
    timetag_to_monotonic_ns(tag.seconds, tag.fractional).map_or(When::Past, When::Monotonic)
}

fn message_of(message: OscMessage) -> Message {
    let mut args = Vec::new();
    for arg in message.args {
        flatten(arg, &mut args);
    }
    Message { address: message.addr, args }
}

fn flatten(arg: OscType, out: &mut Vec<Value>) {
    match arg {
        OscType::Int(i) => out.push(Value::Int(i64::from(i))),
        OscType::Long(i) => out.push(Value::Int(i)),
        OscType::Float(f) => out.push(Value::Float(f64::from(f))),
        OscType::Double(f) => out.push(Value::Float(f)),
        OscType::String(text) => out.push(Value::Text(text)),
        OscType::Char(c) => out.push(Value::Text(c.to_string())),
        OscType::Bool(b) => out.push(Value::Int(i64::from(b))),
        OscType::Inf => out.push(Value::Float(f64::INFINITY)),
        OscType::Array(array) => array.content.into_iter().for_each(|a| flatten(a, out)),
        OscType::Nil | OscType::Blob(_) | OscType::Time(_) | OscType::Color(_) | OscType::Midi(_) => {
            out.push(Value::Text(String::new()));
        }
    }
}

fn packet_of(messages: &[Message]) -> OscPacket {
    let one = |m: &Message| {
        OscPacket::Message(OscMessage { addr: m.address.clone(), args: m.args.iter().map(wire).collect() })
    };
    match messages {
        [only] => one(only),
        many => OscPacket::Bundle(OscBundle {
            timetag: OscTime { seconds: 0, fractional: 1 },
            content: many.iter().map(one).collect(),
        }),
    }
}

fn wire(value: &Value) -> OscType {
    match value {
        Value::Int(i) => i32::try_from(*i).map_or(OscType::Long(*i), OscType::Int),
        Value::Long(i) => OscType::Long(*i),
        Value::Float(f) => OscType::Float(*f as f32),
        Value::Text(text) => OscType::String(text.clone()),
    }
}

/// An OSC packet of one message, for clients.
pub fn encode(message: &Message) -> Result<Vec<u8>, String> {
    rosc::encoder::encode(&packet_of(std::slice::from_ref(message))).map_err(|e| format!("{e}"))
}

/// The messages of a packet, in order, whatever their moments; for clients.
pub fn messages(bytes: &[u8]) -> Result<Vec<Message>, String> {
    Ok(decode(bytes)?.into_iter().flat_map(|(_, calls)| calls).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges_let_neighbours_in_and_strangers_not() {
        let allow = private_ranges();
        for address in ["127.0.0.1", "192.168.1.7", "10.1.2.3", "::1", "::ffff:192.168.1.7", "fe80::1"] {
            assert!(is_allowed(&allow, address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_allowed(&allow, address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn nested_bundles_keep_their_order_and_moments() {
        let message = |a: &str| OscPacket::Message(OscMessage { addr: a.into(), args: vec![] });
        let now = OscTime { seconds: 0, fractional: 1 };
        let later = OscTime { seconds: 4_290_000_000, fractional: 0 };
        let inner = OscPacket::Bundle(OscBundle { timetag: later, content: vec![message("/c")] });
        let outer = OscBundle { timetag: now, content: vec![message("/a"), message("/b"), inner, message("/d")] };
        let bytes = rosc::encoder::encode(&OscPacket::Bundle(outer)).unwrap();
        let parts = decode(&bytes).unwrap();
        let names: Vec<Vec<&str>> =
            parts.iter().map(|(_, calls)| calls.iter().map(|c| c.address.as_str()).collect()).collect();
        assert_eq!(names, [vec!["/a", "/b"], vec!["/c"], vec!["/d"]]);
        assert!(matches!(parts[1].0, When::Monotonic(_)) && parts[0].0 == When::Now && parts[2].0 == When::Now);
    }

    #[test]
    fn depth_is_bounded() {
        let mut packet = OscPacket::Message(OscMessage { addr: "/x".into(), args: vec![] });
        for _ in 0..3_000 {
            packet =
                OscPacket::Bundle(OscBundle { timetag: OscTime { seconds: 0, fractional: 1 }, content: vec![packet] });
        }
        // Encoding recurses as well: give it room.
        let bytes = std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn(move || {
                let bytes = rosc::encoder::encode(&packet).unwrap();
                std::mem::forget(packet);
                bytes
            })
            .unwrap()
            .join()
            .unwrap();
        assert!(decode(&bytes).is_err());
        let mut arrays = b"/x\0\0,".to_vec();
        arrays.extend([b'['; 30_000]);
        arrays.extend([b']'; 30_000]);
        arrays.extend([0; 4]);
        assert!(decode(&arrays).is_err());
    }
}
