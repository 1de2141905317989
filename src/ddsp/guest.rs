//! Streaming clients that are heard on the speakers.

use super::stream::{Stream, Update};
use super::voice::Voice;

/// A message about a streaming client that is heard on the speakers.
pub enum MonitorCommand {
    /// Starts monitoring a stream.
    Start(Box<Stream>),
    /// An update of the stream, with its delay in seconds.
    Update(Update, f64),
    /// Voices of another instrument.
    SetVoices(Vec<Voice>),
    /// Stops monitoring.
    Stop,
}
