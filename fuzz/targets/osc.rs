//! OSC packets, as received over UDP.

use std::sync::{Arc, LazyLock};

use grooved::control::commands::packet;
use grooved::control::commands::request::Message;
use grooved::control::commands::value::Value;
use grooved::control::commands::vocabulary::Vocabulary;
use grooved::control::table;

use super::Target;

/// OSC packets: decoded, looked up, validated, and encoded again.
pub const OSC: Target = Target { name: "osc", run, seeds, words: WORDS };

const WORDS: &[&str] = &[
    "#bundle\0",
    "\0\0\0\0\0\0\0\x01",
    "\0\0\0\x10",
    "/groove/deck/a/level\0\0\0\0",
    "/groove/*",
    "/deck_levels\0",
    ",\0\0\0",
    ",f\0\0",
    ",ifs",
    ",[ff]",
    ",T",
    ",F",
    ",N",
    ",I",
    ",h",
    ",d",
    ",b",
    ",t",
    ",r",
    ",m",
    ",c",
    "[",
    "]",
    "{a,b}",
    "\x7f",
];

static VOCABULARY: LazyLock<Arc<Vocabulary>> = LazyLock::new(|| table::table(true, 4).vocabulary());

/// Runs the target [`OSC`].
pub fn run(data: &[u8]) {
    let Ok(parts) = packet::decode(data) else { return };
    let calls: Vec<Message> = parts.into_iter().flat_map(|(_, calls)| calls).collect();
    for call in &calls {
        if let Some((control, in_address)) = VOCABULARY.find(&call.address) {
            let _ = control.check(&in_address, &call.args);
        }
    }
    // Decoded messages can be encoded again with the same meaning; only their numbers become shorter.
    let Ok(bytes) = packet::encode(&calls) else { return };
    let Ok(again) = packet::messages(&bytes) else { return };
    assert_eq!(again.len(), calls.len());
    for (one, two) in calls.iter().zip(&again) {
        assert_eq!((&one.address, one.args.len()), (&two.address, two.args.len()));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let message = |address: &str, args: &[Value]| Message::new(address, args.to_vec());
    let messages = [
        message("/groove/deck/a/level", &[Value::Float(0.5)]),
        message("/groove/stem/play", &[Value::Int(100), Value::Float(1.0), Value::Float(0.8), Value::Int(1)]),
        message("/load_buffer", &[Value::Int(100), Value::Text("short.wav".into()), Value::Text("name".into())]),
        message("/groove/*/a/level", &[Value::Long(1 << 40)]),
        message("/groove/at", &[Value::Float(1.0), Value::Text("/groove/tempo".into()), Value::Float(120.0)]),
    ];
    let mut seeds: Vec<Vec<u8>> =
        messages.iter().filter_map(|m| packet::encode(std::slice::from_ref(m)).ok()).collect();
    seeds.extend(packet::encode(&messages));
    // All type tags, and a bundle within a bundle.
    seeds.push(b"/x\0\0,TFNI[ih]fdsSbtcrm\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02?\x80\0\0?\xf0\0\0\0\0\0\0ab\0\0cd\0\0\0\0\0\x02xy\0\0\0\0\0\x01\0\0\0\0\0\0\0A\x01\x02\x03\x04\0\x90\x40\x7f".to_vec());
    seeds.push(b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x18#bundle\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0".to_vec());
    seeds
}
