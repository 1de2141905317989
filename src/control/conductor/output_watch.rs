//! Watching the output: meters, and events of underruns and devices.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::context::Context;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::deck_name;
use crate::control::publish::ballistics::MeterBallistics;
use crate::engine::DECKS;
use crate::engine::door::Telemetry;
use crate::output::report::Cause;

/// Meters, and counters of the output when they were last looked at.
#[derive(Debug)]
pub struct OutputWatch {
    outputs: Vec<MeterBallistics>,
    decks: [MeterBallistics; DECKS],
    /// By cause: episodes, lost frames.
    xruns: [(u64, u64); 3],
    devices_lost: u64,
    devices_adopted: u64,
}

impl OutputWatch {
    /// Meters at rest.
    pub fn new(telemetry: &Telemetry) -> OutputWatch {
        let now = Instant::now();
        OutputWatch {
            outputs: vec![MeterBallistics::new(now); telemetry.outputs.len()],
            decks: [MeterBallistics::new(now); DECKS],
            xruns: Default::default(),
            devices_lost: 0,
            devices_adopted: 0,
        }
    }

    /// Moves the meters, and posts events of the output since the last call.
    pub fn watch(&mut self, cx: &Context) {
        let now = Instant::now();
        let telemetry = cx.engine.telemetry();
        for (needle, cell) in self.outputs.iter_mut().zip(&telemetry.outputs) {
            needle.follow(cell, now);
        }
        for (needle, cell) in self.decks.iter_mut().zip(&telemetry.decks) {
            needle.follow(cell, now);
        }
        for cause in Cause::ALL {
            let k = cause as usize;
            let (episodes, frames) = (cx.report.episodes[k].load(Relaxed), cx.report.lost_frames[k].load(Relaxed));
            let before = std::mem::replace(&mut self.xruns[k], (episodes, frames));
            if episodes > before.0 {
                let values = vec![cause.name().into(), (episodes - before.0).into(), (frames - before.1).into()];
                cx.events.post("/event/xrun", values);
            }
        }
        for (what, counter, seen) in [
            ("lost", &cx.report.lost, &mut self.devices_lost),
            ("adopted", &cx.report.adopted, &mut self.devices_adopted),
        ] {
            let count = counter.load(Relaxed);
            if count > std::mem::replace(seen, count) {
                cx.events.post("/event/device", vec![what.into()]);
            }
        }
    }

    /// The levels of outputs and decks.
    pub fn meters(&self) -> Vec<Message> {
        let mut out = Vec::new();
        for (channel, needle) in self.outputs.iter().enumerate() {
            let clips = Value::from(needle.clips);
            let values =
                vec![Value::from(channel as u64), needle.peak.into(), needle.rms.into(), clips, needle.hold.into()];
            out.push(Message::new("/meter/output", values));
        }
        for (deck, needle) in self.decks.iter().enumerate() {
            let name = Value::from(deck_name(deck));
            out.push(Message::new(
                "/meter/deck",
                vec![name, needle.peak.into(), needle.rms.into(), needle.hold.into()],
            ));
        }
        out
    }
}
