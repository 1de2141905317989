//! What stands for the instruments in a build without them.

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

/// No instruments.
pub struct Workshop;

impl Workshop {
    /// Nothing is made.
    pub fn new(_: &Config, _: &mut Engine) -> Workshop {
        Workshop
    }

    /// Nothing is started.
    ///
    /// # Errors
    /// None.
    pub fn start(
        &mut self,
        _: &Config,
        _: Arc<Telemetry>,
        _: impl Fn(Made) + Send + 'static,
    ) -> std::io::Result<Voices> {
        Ok(Voices)
    }

    /// There is no stream.
    #[expect(clippy::unused_async, reason = "the other build's waits")]
    pub async fn open_stream(&self, _: &Config, _: Arc<StreamTally>, _: Ending) {}
}

/// No voices.
pub struct Voices;

impl Voices {
    /// Nothing is shown.
    pub fn cell(&self) -> Option<Arc<VoiceCell>> {
        None
    }

    /// Nobody works.
    pub fn slow(&self) -> impl Fn(u64) + Send + 'static {
        |_| {}
    }

    /// Nobody listens.
    pub fn orders(&self) -> Box<dyn FnMut(Option<u64>, Order) + Send> {
        Box::new(|_, _| {})
    }

    /// Nobody listens.
    pub fn jobs(&self) -> Box<dyn FnMut(Job) + Send> {
        Box::new(|_| {})
    }

    /// Nothing ends.
    pub fn finish(self) {}
}

/// No voices in a render, either.
pub struct Pumped;

impl Pumped {
    /// At rest for ever.
    pub fn new(_: Workshop, _: &Config) -> Pumped {
        Pumped
    }

    /// Nobody listens.
    pub fn orders(&self) -> Box<dyn FnMut(Option<u64>, Order) + Send> {
        Box::new(|_, _| {})
    }

    /// Nobody listens.
    pub fn jobs(&self) -> Box<dyn FnMut(Job) + Send> {
        Box::new(|_| {})
    }

    /// Nothing is done.
    pub fn pump(&mut self, _: u64, _: &mut Conductor) {}
}
