//! Movement: what it does to the tempo, and to whatever it is mapped to.

use super::super::request::Message;
use super::super::value::Value;
use super::super::vocabulary::{self, Arg, Default, Vocabulary};
use super::Conductor;
use crate::engine::clock::Shape;
use crate::engine::command::Action;
use crate::movement::crowd::{Crowd, Reason};
use crate::movement::curve::{Curve, Place};
use crate::movement::glide::Order;
use crate::movement::value;
use crate::movement::window::{Kind, Window};

/// Least seconds between two calls of one map.
const PAUSE_S: f64 = 0.04;

/// Seconds between two lines of the log about the target, …
const STORY_S: f64 = 10.0;
/// … unless it has moved as far.
const STORY_BPM: f64 = 2.5;

/// A measurement that steers a control.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The measurement, as in `arm_movement`.
    pub source: String,
    /// The control's address.
    pub target: String,
    /// From one to the other.
    pub curve: Curve,
    /// Seconds over which measurements are put together.
    pub window_s: f64,
}

impl Map {
    /// Tells whether there is such a control, and whether it takes one number, and all that can come of the curve.
    pub fn check(&self, vocabulary: &Vocabulary) -> Result<(), String> {
        let (control, in_address) = vocabulary.find(&self.target).ok_or_else(|| vocabulary.unknown(&self.target).0)?;
        // What stands in the address is no argument of the call.
        let arg = match control.args {
            [arg, rest @ ..]
                if arg.is_number() && arg.name != "id" && rest.iter().all(|a| a.default != Default::None) =>
            {
                arg
            }
            _ => return Err(format!("{} cannot be steered by a single number", self.target)),
        };
        for (_, result) in self.curve.steps.iter().chain(&self.curve.line) {
            let value = Value::Float(if is_whole(arg) { result.round() } else { *result });
            control.check(&in_address, &[value]).map_err(|fault| format!("{}: {}", self.target, fault.0))?;
        }
        Ok(())
    }
}

/// Whether an argument takes whole numbers only.
fn is_whole(arg: &Arg) -> bool {
    matches!(arg.kind, vocabulary::Kind::Int(..) | vocabulary::Kind::Flag)
}

/// A map at work.
#[derive(Debug)]
pub(super) struct Mapped {
    map: Map,
    window: Window,
    place: Option<Place>,
    called: f64,
    last: Option<f64>,
    /// Whether the control takes whole numbers only.
    whole: bool,
}

impl Mapped {
    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    pub(super) fn new(map: Map, vocabulary: &Vocabulary) -> Mapped {
        let arg = vocabulary.find(&map.target).and_then(|(control, _)| control.args.first());
        Mapped {
            whole: arg.is_some_and(is_whole),
            window: Window::new(map.window_s, Kind::Mean),
            map,
            place: None,
            called: f64::NEG_INFINITY,
            last: None,
        }
    }
}

impl Conductor {
    /// Seconds of sample time: the same whatever the buffer size.
    pub(super) fn seconds(&self) -> f64 {
        self.now() as f64 / f64::from(self.settings.sample_rate)
    }

    /// A measurement of movement.
    pub fn hear_movement(&mut self, name: &str, number: f64) {
        let part = value::part(name);
        let Some(movement) = value::read(number) else {
            self.crowd.hear(self.seconds(), part, number);
            return;
        };
        if self.movement.len() < 64 || self.movement.contains_key(part) {
            self.movement.insert(part.into(), number);
        }
        let now = self.seconds();
        if let Some(order) = self.crowd.hear(now, part, number) {
            self.follow_crowd(order);
        }
        self.steer(part, movement);
    }

    /// Moves whatever is mapped to a source; tells whether anything is.
    pub(super) fn steer(&mut self, source: &str, movement: f64) -> bool {
        let now = self.seconds();
        let (mut calls, mut found) = (Vec::new(), false);
        for mapped in self.maps.iter_mut().chain(&mut self.learned).filter(|m| m.map.source == source) {
            found = true;
            // Whoever moves a controller by hand leaves it where the last message says; a crowd is listened to for a while.
            let by_hand = source.starts_with("midi/");
            let value = if by_hand { movement } else { mapped.window.push(now, movement) };
            let place = mapped.map.curve.place(value, mapped.place, 0.0);
            mapped.place = Some(place);
            let result = mapped.map.curve.result(value, place);
            let result = if mapped.whole { result.round() } else { result };
            if (by_hand || now - mapped.called >= PAUSE_S) && mapped.last != Some(result) {
                (mapped.called, mapped.last) = (now, Some(result));
                calls.push(Message::new(mapped.map.target.as_str(), vec![result.into()]));
            }
        }
        self.enqueue(None, calls, None);
        found
    }

    /// The sensor may have fallen silent.
    pub(super) fn watch_movement(&mut self) {
        let before = self.crowd.reason();
        if let Some(order) = self.crowd.pass(self.seconds(), self.settings.bpm) {
            self.follow_crowd(order);
        } else if before != self.crowd.reason() && self.crowd.reason() == Reason::Holding {
            tracing::info!("movement: the sensor is silent; {:.1} BPM is held", self.crowd.target());
        }
    }

    fn follow_crowd(&mut self, order: Order) {
        let bpm = self.door.telemetry.bpm();
        if order.fresh {
            let reason = self.crowd.reason();
            let why = match reason {
                Reason::Drifting => "the sensor has been silent for too long".into(),
                _ => format!("{:.3} of late ({:.3} now)", self.crowd.smoothed(), self.crowd.raw()),
            };
            // A crowd that warms up moves the target all the time; the log tells where to every few seconds.
            let now = self.seconds();
            let (at, target) = self.crowd_told;
            if now - at >= STORY_S || (order.bpm - target).abs() >= STORY_BPM {
                self.crowd_told = (now, order.bpm);
                tracing::info!("movement: {why}: from {bpm:.1} to {:.1} BPM within {:.0} s", order.bpm, order.seconds);
            }
            let values = vec![reason.name().into(), Value::from(bpm), order.bpm.into(), order.seconds.into()];
            self.bulletin.post("/event/movement", values);
        }
        self.tempo = order.bpm;
        self.push_tempo(None, order.bpm, order.seconds, order.shape);
    }

    pub(super) fn push_tempo(&mut self, at: Option<u64>, bpm: f64, seconds: f64, shape: Shape) {
        let frames = self.frames(seconds).min(u64::from(u32::MAX)) as u32;
        self.push(at, Action::Tempo { bpm, frames, shape });
    }

    /// What the crowd does: raw, smoothed, target, tempo, why, and how many numbers were nonsense.
    pub(super) fn movement_status(&self) -> Message {
        let crowd = &self.crowd;
        Message::new(
            "/status/movement",
            vec![
                crowd.raw().into(),
                crowd.smoothed().into(),
                crowd.target().into(),
                self.door.telemetry.bpm().into(),
                crowd.reason().name().into(),
                Value::Int(crowd.refused() as i64),
            ],
        )
    }

    /// A measurement that was kept, as it came.
    pub fn movement(&self, name: &str) -> f64 {
        self.movement.get(value::part(name)).copied().unwrap_or(0.0)
    }

    /// Takes over other settings for movement.
    pub(super) fn set_movement(&mut self) {
        self.crowd.set(self.settings.crowd.clone());
        self.maps = self.settings.maps.iter().map(|m| Mapped::new(m.clone(), &self.vocabulary)).collect();
    }

    /// The crowd at the start.
    pub(super) fn crowd_of(settings: &super::Settings) -> Crowd {
        Crowd::new(settings.crowd.clone(), settings.bpm)
    }
}
