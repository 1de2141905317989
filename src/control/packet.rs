//! OSC packets: from bytes to calls, and from messages to bytes.

use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};

use super::mend;
use super::request::{Message, When};
use super::value::Value;
use crate::system::time::timetag_to_monotonic_ns;

/// Most bundles within one packet: a client that nests deeper than this wants to see us fall.
const MOST_BUNDLES: usize = 128;
/// Deepest nesting of arrays, likewise. (Brackets within texts count as well; nobody has that many.)
const MOST_ARRAYS: i32 = 256;
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
    let packet = match rosc::decoder::decode_udp(bytes) {
        // Of a bundle with a damaged element the decoder returns what comes before, without a word.
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

/// A packet of these messages: one alone, or several as a bundle.
pub fn encode(messages: &[Message]) -> Result<Vec<u8>, String> {
    rosc::encoder::encode(&packet_of(messages)).map_err(|e| format!("{e}"))
}

/// The messages of a packet, in order, whatever their moments; for clients.
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
