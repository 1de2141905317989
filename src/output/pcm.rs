//! The card as the player sees it.

use super::convert::SampleFormat;

/// The configuration of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcmSetup {
    /// The name it was opened by.
    pub device: String,
    /// Frames per second.
    pub rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Sample format.
    pub format: SampleFormat,
    /// Frames per period.
    pub period: usize,
    /// Frames in the card's buffer.
    pub buffer: usize,
    /// Whether the card keeps running through an underrun, so that the loss can be read from it exactly.
    pub free_running: bool,
}

/// Faults of a card, by the action they require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The card ran empty and stopped: prepare it and continue.
    Xrun,
    /// The machine was suspended: resume.
    Suspended,
    /// Nothing fits right now: wait and try again.
    Again,
    /// A signal interrupted the call: try again.
    Interrupted,
    /// The card is gone or unusable: hand it over and continue without it. The number is the system's errno.
    Gone(i32),
}

/// A card that accepts frames. All methods are called by the audio thread, so none may block except [`Pcm::wait`].
pub trait Pcm: Send {
    /// Returns the card's configuration.
    fn setup(&self) -> &PcmSetup;
    /// Waits until a period fits, at most `timeout_ms`; returns whether it does.
    fn wait(&mut self, timeout_ms: u32) -> Result<bool, Fault>;
    /// Returns the frames that fit now: more than the buffer holds if the card has run on through an underrun.
    fn available(&mut self) -> Result<usize, Fault>;
    /// Returns the frames between the next one written and the converter; negative in an underrun.
    fn delay(&mut self) -> Result<i64, Fault>;
    /// Writes whole frames; returns how many were accepted.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault>;
    /// Starts the converter.
    fn start(&mut self) -> Result<(), Fault>;
    /// Makes the card ready again after an underrun; discards the content of its buffer.
    fn prepare(&mut self) -> Result<(), Fault>;
    /// Resumes the card after a suspend.
    fn resume(&mut self) -> Result<(), Fault>;
}

/// The player's clock, so that tests can bring their own time.
pub trait Timer: Send {
    /// Returns the nanoseconds of a clock that never goes back.
    fn now_ns(&self) -> u64;
    /// Sleeps until `deadline_ns` on this clock.
    fn sleep_until(&self, deadline_ns: u64);
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTimer;

impl Timer for SystemTimer {
    fn now_ns(&self) -> u64 {
        crate::system::time::monotonic_ns()
    }

    fn sleep_until(&self, deadline_ns: u64) {
        crate::system::time::sleep_until(deadline_ns);
    }
}
