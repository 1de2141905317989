//! What a face counts.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

/// Counters of one face. They only ever grow.
#[derive(Debug, Default)]
pub struct Tally {
    /// Packets, or messages, received.
    pub received: AtomicU64,
    /// Refused: from where nobody may knock, or without the right token.
    pub strangers: AtomicU64,
    /// Not what this face speaks.
    pub malformed: AtomicU64,
    /// Dropped because there were too many.
    pub dropped: AtomicU64,
    /// Answers not sent because there were too many, or because nobody took them.
    pub muted: AtomicU64,
}

/// What the stream of instruments counts, over all clients.
#[derive(Debug, Default)]
pub struct StreamTally {
    /// Clients now.
    pub clients: AtomicU64,
    /// Frames made.
    pub frames: AtomicU64,
    /// Frames that clients did not read in time.
    pub dropped: AtomicU64,
    /// Times that a client's frames were so late that the time was let go.
    pub late: AtomicU64,
    /// Connections that were refused.
    pub refused: AtomicU64,
}

/// What MIDI has brought.
#[derive(Debug, Default)]
pub struct MidiTally {
    /// Events that meant something.
    pub events: AtomicU64,
    /// Times that events were lost because there were too many.
    pub lost: AtomicU64,
    /// Names of devices by client and port.
    devices: Mutex<BTreeMap<(i32, i32), String>>,
}

impl MidiTally {
    /// Names of the devices that are connected.
    pub fn devices(&self) -> Vec<String> {
        self.devices.lock().map(|d| d.values().cloned().collect()).unwrap_or_default()
    }

    /// A device has come.
    pub fn came(&self, place: (i32, i32), name: String) {
        if let Ok(mut devices) = self.devices.lock() {
            devices.insert(place, name);
        }
    }

    /// A device has gone; tells its name, if it was there.
    pub fn went(&self, place: (i32, i32)) -> Option<String> {
        self.devices.lock().ok()?.remove(&place)
    }

    /// No device is there any more.
    pub fn none_left(&self) {
        if let Ok(mut devices) = self.devices.lock() {
            devices.clear();
        }
    }
}
