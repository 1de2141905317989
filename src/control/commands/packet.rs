//! Decoding and encoding of OSC packets.

use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};

use crate::control::commands::mend;
use crate::control::commands::request::{Message, When};
use crate::control::commands::value::Value;
use crate::system::time::timetag_to_monotonic_ns;

/// Maximum number of bundles in one packet, and therefore their maximum nesting depth.
const MOST_BUNDLES: usize = 128;
/// Maximum nesting depth of arrays.
const MOST_ARRAYS: usize = 32;
/// Maximum number of messages in one packet.
const MOST_MESSAGES: usize = 1024;
/// Maximum number of address patterns in one packet: each may expand to hundreds of calls.
const MOST_PATTERNS: usize = 8;

/// Returns an upper bound of the nesting depth of arrays in a packet, without decoding it.
///
/// A type tag is a run of bytes without a zero. However the packet is interpreted, no type tag nests deeper than the
/// largest surplus of opening over closing brackets within such a run.
fn array_depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in bytes {
        depth = match byte {
            0 => 0,
            b'[' => depth + 1,
            b']' => depth.saturating_sub(1),
            _ => depth,
        };
        deepest = deepest.max(depth);
    }
    deepest
}

/// Decodes a packet into its calls, in order, each group with its time. Nesting is checked before decoding.
///
/// # Errors
/// A message about what is invalid, or about the limit that is exceeded.
pub fn decode(bytes: &[u8]) -> Result<Vec<(When, Vec<Message>)>, String> {
    let bundles = bytes.windows(8).filter(|w| *w == b"#bundle\0").count();
    if bundles > MOST_BUNDLES {
        return Err(format!("the packet has {bundles} bundles; at most {MOST_BUNDLES} are allowed"));
    }
    if array_depth(bytes) > MOST_ARRAYS {
        return Err(format!("arrays are nested more than {MOST_ARRAYS} deep"));
    }
    let packet = match rosc::decoder::decode_udp(bytes) {
        // The decoder silently truncates a bundle at a damaged element.
        Ok((_, OscPacket::Bundle(_))) => {
            let bytes = mend::mended(bytes).ok_or("an element of the bundle is damaged")?;
            rosc::decoder::decode_udp(&bytes).map_err(|e| e.to_string())?.1
        }
        Ok((_, packet)) => packet,
        Err(error) => {
            let mended = mend::mended(bytes).and_then(|bytes| Some(rosc::decoder::decode_udp(&bytes).ok()?.1));
            mended.ok_or_else(|| error.to_string())?
        }
    };
    let mut parts = Vec::new();
    unroll(packet, When::Now, &mut parts);
    let calls = || parts.iter().flat_map(|(_, calls)| calls);
    let (messages, patterns) =
        (calls().count(), calls().filter(|c| crate::control::commands::glob::is_osc_pattern(&c.address)).count());
    if messages > MOST_MESSAGES {
        return Err(format!("the packet has {messages} messages; at most {MOST_MESSAGES} are allowed"));
    }
    if patterns > MOST_PATTERNS {
        return Err(format!("the packet has {patterns} address patterns; at most {MOST_PATTERNS} are allowed"));
    }
    Ok(parts)
}

fn unroll(packet: OscPacket, when: When, parts: &mut Vec<(When, Vec<Message>)>) {
    match packet {
        OscPacket::Message(message) => parts.push((when, vec![message_of(message)])),
        OscPacket::Bundle(bundle) => {
            let when = moment(bundle.timetag);
            // Adjacent messages of a bundle stay together; a nested bundle keeps its position.
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
    // OSC 1.0: a tag of 1 means "immediately"; some senders use 0 for the same.
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

/// Encodes messages as a packet: a single message as it is, several as a bundle.
pub fn encode(messages: &[Message]) -> Result<Vec<u8>, String> {
    rosc::encoder::encode(&packet_of(messages)).map_err(|e| format!("{e}"))
}

/// Decodes the messages of a packet, in order, without their times; for clients.
pub fn messages(bytes: &[u8]) -> Result<Vec<Message>, String> {
    Ok(decode(bytes)?.into_iter().flat_map(|(_, calls)| calls).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // Encoding recurses as well and needs a large stack.
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

    /// Returns a message with an address and a type tag, but without values.
    fn bare(address: &str, tag: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for text in [address, tag] {
            bytes.extend(text.as_bytes());
            bytes.extend(vec![0; 4 - text.len() % 4]);
        }
        bytes
    }

    #[test]
    fn closing_brackets_elsewhere_hide_no_depth() {
        let (open, close) = ("[".repeat(20_000), "]".repeat(20_000));
        let tag = format!(",{open}{close}");
        let before = bare(&format!("/{close}"), &tag);
        assert!(decode(&before).unwrap_err().contains("nested"));
        // Closing brackets in another message of the bundle, and in the tag itself.
        let mut bundle = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
        for message in [bare(&format!("/{close}"), ","), bare("/x", &tag)] {
            bundle.extend((message.len() as u32).to_be_bytes());
            bundle.extend(message);
        }
        assert!(decode(&bundle).unwrap_err().contains("nested"));
        assert!(decode(&bare("/x", &format!(",{close}{tag}"))).is_err());
        // The maximum depth is accepted.
        assert_eq!(decode(&bare("/x", &format!(",{}{}", "[".repeat(32), "]".repeat(32)))).unwrap().len(), 1);
    }

    #[test]
    fn what_a_packet_expands_to_is_bounded() {
        let many = |address: &str, count: usize| {
            let mut bundle = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
            for _ in 0..count {
                let message = bare(address, ",");
                bundle.extend((message.len() as u32).to_be_bytes());
                bundle.extend(message);
            }
            decode(&bundle)
        };
        assert_eq!(many("/a", 1024).unwrap()[0].1.len(), 1024);
        assert!(many("/a", 1025).unwrap_err().contains("1025 messages; at most 1024"));
        assert_eq!(many("/groove/*/*/*", 8).unwrap()[0].1.len(), 8);
        assert!(many("/groove/*/*/*", 9).unwrap_err().contains("9 address patterns; at most 8"));
    }
}
