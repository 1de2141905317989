//! An engine and a conductor with nothing around them, for the conductor's own tests.

use std::sync::Arc;

use super::Conductor;
use super::context::Context;
use super::engine_link::EngineLink;
use super::services::NoServices;
use super::settings::Settings;
use crate::control::table;
use crate::engine::door::{ControlDoor, door};
use crate::engine::{Engine, EngineConfig};
use crate::output::report::Report;

fn engine() -> (Engine, ControlDoor) {
    let (inner, outer) = door(4, 2);
    (Engine::new(&EngineConfig { sample_rate: 48_000, slots: 4, ..EngineConfig::default() }, inner), outer)
}

/// Settings for a few stems.
pub fn settings() -> Settings {
    let mut settings = crate::daemon::settings(&crate::config::Config::default());
    settings.media.slots = 4;
    settings
}

/// An engine and a conductor.
pub fn conductor() -> (Engine, Conductor) {
    let (engine, door) = engine();
    let settings = settings();
    let table = table::table(settings.debug, settings.voices);
    (engine, Conductor::new(settings, table, door, Box::new(NoServices), Arc::new(Report::default())))
}

/// An engine, and the context of a conductor.
pub fn context() -> (Engine, Context) {
    let (engine, door) = engine();
    let vocabulary = table::vocabulary(false);
    let report = Arc::new(Report::default());
    (engine, Context::new(settings(), vocabulary, EngineLink::new(door), Box::new(NoServices), report))
}
