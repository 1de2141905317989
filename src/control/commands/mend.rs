//! Normalises OSC packets that the decoder rejects although their meaning is clear: strings in Latin-1, and symbols.
//!
//! OSC 1.0 allows only ASCII, so senders of other characters use their own encoding: mostly UTF-8, some Latin-1
//! (ISO 8859-1). The type `S` is an alternative to `s` for systems that distinguish symbols from strings.

/// Maximum nesting depth of bundles.
const MOST_DEPTH: usize = 128;

/// Returns the packet with symbols changed to strings, and strings that are not UTF-8 converted from Latin-1. `None` if
/// the packet is malformed in any other way.
pub fn mended(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    packet(bytes, MOST_DEPTH, &mut out)?;
    Some(out)
}

fn packet(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    match bytes.strip_prefix(b"#bundle\0") {
        Some(rest) => bundle(rest, depth.checked_sub(1)?, out),
        None => message(bytes, out),
    }
}

/// Normalises a bundle after its `#bundle` header: a time tag, then elements, each preceded by its size.
fn bundle(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    let (tag, mut rest) = bytes.split_at_checked(8)?;
    out.extend(b"#bundle\0");
    out.extend(tag);
    while !rest.is_empty() {
        let (size, after) = rest.split_first_chunk::<4>()?;
        let (element, after) = after.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        let place = out.len();
        out.extend([0; 4]);
        packet(element, depth, out)?;
        let size = u32::try_from(out.len() - place - 4).ok()?;
        out[place..place + 4].copy_from_slice(&size.to_be_bytes());
        rest = after;
    }
    Some(())
}

fn message(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (address, rest) = text(bytes)?;
    let (tags, mut rest) = text(rest)?;
    put(address, out);
    let tags: Vec<u8> = tags.iter().map(|tag| if *tag == b'S' { b's' } else { *tag }).collect();
    put(&tags, out);
    for tag in tags.strip_prefix(b",")? {
        let size = match tag {
            b's' => {
                let (value, after) = text(rest)?;
                put(value, out);
                rest = after;
                continue;
            }
            b'i' | b'f' | b'c' | b'r' | b'm' => 4,
            b'h' | b'd' | b't' => 8,
            b'b' => 4 + (u32::from_be_bytes(*rest.first_chunk::<4>()?) as usize).checked_next_multiple_of(4)?,
            b'T' | b'F' | b'N' | b'I' | b'[' | b']' => 0,
            _ => return None,
        };
        let (value, after) = rest.split_at_checked(size)?;
        out.extend(value);
        rest = after;
    }
    Some(())
}

/// Splits off a padded string; returns it without padding, and the rest.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = bytes.iter().position(|b| *b == 0)?;
    let (padded, rest) = bytes.split_at_checked((length + 1).next_multiple_of(4))?;
    Some((&padded[..length], rest))
}

/// Appends a string in UTF-8 with its padding.
fn put(text: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(text) {
        Ok(text) => out.extend(text.as_bytes()),
        // Latin-1 bytes equal their Unicode code points.
        Err(_) => out.extend(text.iter().map(|b| char::from(*b)).collect::<String>().as_bytes()),
    }
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::commands::packet::{decode, messages};
    use crate::control::commands::value::Value;

    /// Returns an element preceded by its size.
    fn sized(element: &[u8]) -> Vec<u8> {
        [&(element.len() as u32).to_be_bytes()[..], element].concat()
    }

    #[test]
    fn symbols_and_latin_texts_are_read() {
        // The additional UTF-8 byte grows the string by four bytes and shifts the rest.
        let latin = b"/load\0\0\0,isS\0\0\0\0\0\0\0\x07Caf\xe9.wa\0na\xefv\0\0\0\0".to_vec();
        assert_eq!(latin.len() % 4, 0);
        let found = messages(&latin).unwrap();
        assert_eq!(found[0].args, [Value::Int(7), "Café.wa".into(), "naïv".into()]);
        let symbol = b"/x\0\0,S\0\0abc\0".to_vec();
        assert_eq!(messages(&symbol).unwrap()[0].args, ["abc".into()]);
        let mut inner = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
        inner.extend(sized(&latin));
        let mut outer = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
        outer.extend(sized(&symbol));
        outer.extend(sized(&inner));
        outer.extend(sized(b"/y\0\0,b[d]\0\0\0\0\0\0\x05hello\0\0\0\x40\0\0\0\0\0\0\0"));
        let parts = decode(&outer).unwrap();
        let names: Vec<&str> = parts.iter().flat_map(|(_, calls)| calls).map(|c| c.address.as_str()).collect();
        assert_eq!(names, ["/x", "/load", "/y"]);
    }

    #[test]
    fn what_is_right_stays_as_it_is_and_what_is_damaged_is_refused() {
        let right = b"/a\0\0,ifs\0\0\0\0\0\0\0\x01\x3f\0\0\0d\xc3\xa9\0".to_vec();
        assert_eq!(mended(&right), Some(right));
        for wrong in [
            &b""[..],
            b"/a",
            b"/a\0\0",
            b"/a\0\0,i\0\0\0",
            b"/a\0\0,q\0\0",
            b"/a\0\0,b\0\0\xff\xff\xff\xff",
            b"#bundle\0\0\0\0\0",
            b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x40/a\0\0",
        ] {
            assert_eq!(mended(wrong), None, "{wrong:?}");
        }
        let mut deep = b"/a\0\0,S\0\0\xe9\0\0\0".to_vec();
        for _ in 0..200 {
            deep = [&b"#bundle\0\0\0\0\0\0\0\0\x01"[..], &sized(&deep)].concat();
        }
        assert_eq!(mended(&deep), None);
    }
}
