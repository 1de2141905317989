//! What the player needs from a card.

use super::convert::SampleFormat;

/// What a card was configured to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcmSetup {
    /// The name it was opened by.
    pub device: String,
    /// Frames per second.
    pub rate: u32,
    /// Channels.
    pub channels: usize,
    /// Sample format.
    pub format: SampleFormat,
    /// Frames per period.
    pub period: usize,
    /// Frames the card holds.
    pub buffer: usize,
    /// Whether the card goes on through an underrun, so that the loss can be read off it exactly.
    pub free_running: bool,
}

/// Trouble, by what is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The card ran empty and stopped: prepare it and go on.
    Xrun,
    /// The machine slept: resume.
    Suspended,
    /// Nothing fits right now: wait and try again.
    Again,
    /// A signal came: try again.
    Interrupted,
    /// It is gone, or as good as: hand it over and go on without it. The number is the system's (errno).
    Gone(i32),
}

/// A card that takes frames. Everything is called by the audio thread, so nothing may block but [`Pcm::wait`].
pub trait Pcm: Send {
    /// What it was configured to.
    fn setup(&self) -> &PcmSetup;
    /// Waits until a period fits, at most `timeout_ms`; tells whether it does.
    fn wait(&mut self, timeout_ms: u32) -> Result<bool, Fault>;
    /// Frames that fit now. More than the buffer holds when the card has run on through an underrun.
    fn available(&mut self) -> Result<usize, Fault>;
    /// Frames between the next one written and the converter; negative in an underrun.
    fn delay(&mut self) -> Result<i64, Fault>;
    /// Writes whole frames; returns how many were taken.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault>;
    /// Starts the converter.
    fn start(&mut self) -> Result<(), Fault>;
    /// Makes it ready again after an underrun; what was in it is forgotten.
    fn prepare(&mut self) -> Result<(), Fault>;
    /// Wakes it after a suspend.
    fn resume(&mut self) -> Result<(), Fault>;
}

/// The player's clock, so that tests can bring their own time.
pub trait Timer: Send {
    /// Nanoseconds of a clock that never goes back.
    fn now_ns(&self) -> u64;
    /// Sleeps until then.
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
