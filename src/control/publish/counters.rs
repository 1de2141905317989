//! Counters of the interfaces.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

/// Counters of one interface, OSC or HTTP; they only increase.
#[derive(Debug, Default)]
pub struct Tally {
    /// Packets, requests or messages received.
    pub received: AtomicU64,
    /// Packets or requests rejected because of their address, or for lack of a valid token.
    pub strangers: AtomicU64,
    /// Packets or messages that violate the protocol.
    pub malformed: AtomicU64,
    /// Messages or connections dropped by a limit.
    pub dropped: AtomicU64,
    /// Answers not sent because of a limit, or because they were not read.
    pub muted: AtomicU64,
}

/// Counters of the DDSP stream, over all clients.
#[derive(Debug, Default)]
pub struct StreamTally {
    /// Number of connected clients.
    pub clients: AtomicU64,
    /// Frames rendered.
    pub frames: AtomicU64,
    /// Frames that clients did not read in time.
    pub dropped: AtomicU64,
    /// Times a client's frames were so late that its clock was reset.
    pub late: AtomicU64,
    /// Connections rejected.
    pub refused: AtomicU64,
}

/// Counters of MIDI, and the connected devices.
#[derive(Debug, Default)]
pub struct MidiTally {
    /// Events that caused calls.
    pub events: AtomicU64,
    /// Overflows of the input queue, in which events were lost.
    pub lost: AtomicU64,
    /// Names of devices by client and port.
    devices: Mutex<BTreeMap<(i32, i32), String>>,
}

impl MidiTally {
    /// Returns the names of the connected devices.
    pub fn devices(&self) -> Vec<String> {
        self.devices.lock().map(|d| d.values().cloned().collect()).unwrap_or_default()
    }

    /// Adds a device at `place`: client and port of the sequencer.
    pub fn came(&self, place: (i32, i32), name: String) {
        if let Ok(mut devices) = self.devices.lock() {
            devices.insert(place, name);
        }
    }

    /// Removes a device; returns its name, if it was connected.
    pub fn went(&self, place: (i32, i32)) -> Option<String> {
        self.devices.lock().ok()?.remove(&place)
    }

    /// Removes all devices.
    pub fn none_left(&self) {
        if let Ok(mut devices) = self.devices.lock() {
            devices.clear();
        }
    }
}
