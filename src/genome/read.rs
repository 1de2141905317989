//! From the bytes of a genome to a [`Genome`]: compression, wrappings, JSON.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use serde_json::Value;

use super::fault::Fault;
use super::network::Network;
use super::patch::Patch;

/// The most bytes that a genome may have after decompression.
pub const MAX_BYTES: usize = 16 << 20;
/// How many wrappers may lie around a genome, and how often its patch may be encoded.
const DEPTH: usize = 4;
/// The most networks that one genome may have.
const MAX_NETWORKS: usize = 64;

/// Networks with the rounded frequency in Hz that each is for.
type Networks = Vec<(Option<f64>, Arc<Network>)>;

/// A genome that can be rendered: compiled networks and the audio graph.
#[derive(Debug)]
pub struct Genome {
    /// By rounded frequency in Hz; one network without a frequency serves all.
    networks: Networks,
    pub patch: Patch,
}

impl Genome {
    /// Reads gzip or plain JSON.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        Self::from_json(&json(bytes)?)
    }

    /// Reads JSON in any of its wrappings: `{genome}`, `{data}`, texts that contain JSON.
    pub fn from_json(value: &Value) -> Result<Self, Fault> {
        let genome = unwrap(value, DEPTH)?;
        let patch = decode(genome.get("asNEATPatch").unwrap_or(&Value::Null), "asNEATPatch")?;
        let patch = Patch::read(&patch)?;
        let networks = networks(decode(genome.get("waveNetwork").unwrap_or(&Value::Null), "waveNetwork")?.as_ref())?;
        Ok(Self { networks, patch })
    }

    /// The network for a frequency in Hz: its own, else the nearest.
    pub fn network(&self, frequency: f64) -> &Arc<Network> {
        let key = if frequency < 20.0 { frequency.round() } else { (frequency / 10.0).round() * 10.0 };
        let away = |of: &Option<f64>| of.map_or(0.0, |f| (f - key).abs());
        let mut best = &self.networks[0];
        for candidate in &self.networks[1..] {
            if away(&candidate.0) < away(&best.0) {
                best = candidate;
            }
        }
        &best.1
    }
}

/// The JSON of a genome's bytes: gzip or plain.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Fault> {
    let inflated;
    let json = if bytes.starts_with(&[0x1f, 0x8b]) {
        inflated = inflate(bytes)?;
        &inflated[..]
    } else {
        bytes
    };
    if json.len() > MAX_BYTES {
        return Err(Fault::TooLarge { what: "size in bytes", found: json.len(), limit: MAX_BYTES });
    }
    serde_json::from_slice(json).map_err(|e| Fault::Malformed(format!("not JSON: {e}")))
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    let read = flate2::read::MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut out);
    read.map_err(|e| Fault::Malformed(format!("gzip: {e}")))?;
    if out.len() > MAX_BYTES {
        return Err(Fault::TooLarge { what: "size in bytes", found: out.len(), limit: MAX_BYTES });
    }
    Ok(out)
}

/// A value that may be a text with JSON, several times over.
pub(super) fn decode<'v>(value: &'v Value, what: &str) -> Result<Cow<'v, Value>, Fault> {
    let mut value = Cow::Borrowed(value);
    for _ in 0..DEPTH {
        match &*value {
            Value::String(text) => {
                let decoded = serde_json::from_str(text);
                value = Cow::Owned(decoded.map_err(|e| Fault::Malformed(format!("{what}: not JSON: {e}")))?);
            }
            Value::Object(_) => return Ok(value),
            _ => break,
        }
    }
    Err(Fault::Malformed(format!("{what} is not an object")))
}

/// The decoded patch and the decoded networks of a genome, in any of its wrappings.
pub(super) fn parts(value: &Value) -> Result<(Value, Value), Fault> {
    let genome = unwrap(value, DEPTH)?;
    let part = |key: &str| decode(genome.get(key).unwrap_or(&Value::Null), key).map(Cow::into_owned);
    Ok((part("asNEATPatch")?, part("waveNetwork")?))
}

/// What a wrapper contains.
fn inner(value: &Value) -> &Value {
    value.get("genome").or_else(|| value.get("data")).unwrap_or(&Value::Null)
}

/// The object that has the patch, inside of at most `depth` wrappers.
fn unwrap(value: &Value, depth: usize) -> Result<Cow<'_, Value>, Fault> {
    let value = decode(value, "the genome")?;
    if value.get("asNEATPatch").is_some() {
        return Ok(value);
    }
    let is_wrapped = depth > 0 && (value.get("genome").is_some() || value.get("data").is_some());
    if !is_wrapped {
        let keys: Vec<_> = value.as_object().into_iter().flat_map(|o| o.keys().take(12).cloned()).collect();
        let keys = keys.join(", ");
        return Err(Fault::Malformed(format!("Genome data missing asNEATPatch. Top-level keys: [{keys}]")));
    }
    match value {
        Cow::Borrowed(value) => unwrap(inner(value), depth - 1),
        Cow::Owned(value) => unwrap(inner(&value), depth - 1).map(|found| Cow::Owned(found.into_owned())),
    }
}

fn networks(wave: &Value) -> Result<Networks, Fault> {
    let read = |holder: &Value| {
        let json = holder.get("offspring").unwrap_or(holder);
        Network::read(decode(json, "waveNetwork.offspring")?.as_ref()).map(Arc::new)
    };
    if wave.get("oneCPPNPerFrequency").and_then(Value::as_bool) != Some(true) {
        return Ok(vec![(None, read(wave)?)]);
    }
    let list = wave.get("CPPNs").and_then(Value::as_object);
    let list = list.filter(|l| !l.is_empty()).ok_or_else(|| Fault::Network("'CPPNs' holds no network".into()))?;
    if list.len() > MAX_NETWORKS {
        return Err(Fault::TooLarge { what: "number of networks", found: list.len(), limit: MAX_NETWORKS });
    }
    let mut networks = Vec::new();
    for (key, holder) in list {
        let Some(frequency) = key.parse::<f64>().ok().filter(|f| f.is_finite()) else { continue };
        networks.push((Some(frequency), read(holder)?));
    }
    if networks.is_empty() {
        return Err(Fault::Network("'CPPNs' has no key that is a frequency".into()));
    }
    // Of two that are equally near, the lower one is taken.
    networks.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    Ok(networks)
}
