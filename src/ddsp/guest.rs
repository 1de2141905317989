//! Streaming clients that are heard on the speakers.

use super::stream::{Stream, Update};
use super::voice::Voice;

/// A message about a streaming client that is heard on the speakers.
pub enum Guest {
    /// Starts monitoring a stream.
    Comes(Box<Stream>),
    /// An update of the stream, with its delay in seconds.
    Says(Update, f64),
    /// Voices of another instrument.
    Swaps(Vec<Voice>),
    /// Stops monitoring.
    Goes,
}
