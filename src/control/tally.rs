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
