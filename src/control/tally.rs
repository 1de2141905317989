//! What a face counts.

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
