//! Stand-in for `instruments.rs` in a build without the `ddsp` feature: same interface, no effect.

use std::sync::Arc;

use crate::config::Config;
use crate::control::closing::Ending;
use crate::control::conductor::Conductor;
use crate::control::conductor::voices::{Job, Made};
use crate::control::tally::StreamTally;
use crate::ddsp::order::Order;
use crate::engine::Engine;
use crate::engine::door::Telemetry;
use crate::engine::voices::VoiceCell;

/// Stand-in without instruments.
pub struct Workshop;

impl Workshop {
    /// Returns the stand-in.
    pub fn new(_: &Config, _: &mut Engine) -> Workshop {
        Workshop
    }

    /// Returns stand-in voices without starting a thread.
    ///
    /// # Errors
    /// Never.
    pub fn start(
        &mut self,
        _: &Config,
        _: Arc<Telemetry>,
        _: impl Fn(Made) + Send + 'static,
    ) -> std::io::Result<Voices> {
        Ok(Voices)
    }

    /// Does nothing: this build has no DDSP stream.
    #[expect(clippy::unused_async, reason = "async in the build with instruments")]
    pub async fn open_stream(&self, _: &Config, _: Arc<StreamTally>, _: Ending) {}
}

/// Stand-in without voices.
pub struct Voices;

impl Voices {
    /// Returns `None`.
    pub fn cell(&self) -> Option<Arc<VoiceCell>> {
        None
    }

    /// Returns a function that does nothing.
    pub fn slow(&self) -> impl Fn(u64) + Send + 'static {
        |_| {}
    }

    /// Returns a function that ignores orders.
    pub fn orders(&self) -> Box<dyn FnMut(Option<u64>, Order) + Send> {
        Box::new(|_, _| {})
    }

    /// Returns a function that ignores jobs.
    pub fn jobs(&self) -> Box<dyn FnMut(Job) + Send> {
        Box::new(|_| {})
    }

    /// Does nothing.
    pub fn finish(self) {}
}

/// Stand-in without voices for an offline render.
pub struct Pumped;

impl Pumped {
    /// Returns the stand-in.
    pub fn new(_: Workshop, _: &Config) -> Pumped {
        Pumped
    }

    /// Returns a function that ignores orders.
    pub fn orders(&self) -> Box<dyn FnMut(Option<u64>, Order) + Send> {
        Box::new(|_, _| {})
    }

    /// Returns a function that ignores jobs.
    pub fn jobs(&self) -> Box<dyn FnMut(Job) + Send> {
        Box::new(|_| {})
    }

    /// Does nothing.
    pub fn pump(&mut self, _: u64, _: &mut Conductor) {}
}
