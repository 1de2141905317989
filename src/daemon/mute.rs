//! Stand-in for `instruments.rs` in a build without the `ddsp` feature: same interface, no effect.

use std::sync::Arc;

use crate::config::Config;
use crate::control::conductor::Conductor;
use crate::control::conductor::services::{InstrumentJob, InstrumentResult};
use crate::control::faces::closing::Ending;
use crate::control::publish::counters::StreamTally;
use crate::ddsp::order::VoiceCommand;
use crate::engine::door::Telemetry;
use crate::engine::voices::VoiceCell;
use crate::system::overseer::Overseer;

/// No instruments, in every place where the other build has some.
#[derive(Clone)]
pub struct NoVoices;

pub use NoVoices as InstrumentFactory;
pub use NoVoices as Voices;
pub use NoVoices as VoiceHandle;
pub use NoVoices as Pumped;
pub use NoVoices as PumpedHandle;

impl NoVoices {
    /// Nothing to be made.
    pub fn new<A, B>(_: A, _: B) -> NoVoices {
        NoVoices
    }

    /// Makes nothing of genomes.
    pub fn with_genomes<A, B>(self, _: &Config, _: A, _: B) -> NoVoices {
        self
    }

    /// Starts nothing.
    ///
    /// # Errors
    /// Never.
    pub fn start(
        &mut self,
        _: &Config,
        _: Arc<Telemetry>,
        _: impl Fn(InstrumentResult) + Send + 'static,
    ) -> std::io::Result<NoVoices> {
        Ok(NoVoices)
    }

    /// Does nothing: this build has no DDSP stream.
    #[expect(clippy::unused_async, reason = "async in the build with instruments")]
    pub async fn open_stream(&self, _: &Config, _: Arc<StreamTally>, _: Ending) {}

    /// Nothing to watch.
    pub fn watch(&self, _: &Overseer) {}

    /// The way to nothing.
    pub fn handle(&self) -> NoVoices {
        NoVoices
    }

    /// Ignores an order.
    pub fn order(&self, _: Option<u64>, _: VoiceCommand) {}

    /// Ignores a request.
    pub fn job(&self, _: InstrumentJob) {}

    /// Shows nothing.
    pub fn cell(&self) -> Option<Arc<VoiceCell>> {
        None
    }

    /// Nothing to hang.
    pub fn hang(&self, _: u64) {}

    /// Nothing to slow down.
    pub fn slow(&self, _: u64) {}

    /// Nothing to be done.
    pub fn pump(&mut self, _: u64, _: &mut Conductor) {}

    /// Nothing to end.
    pub fn finish(self) {}
}
