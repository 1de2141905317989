//! Movement of the crowd: what it does to the tempo, and to the controls it is mapped to.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

use super::context::Context;
use super::mapping::{self, Mapped};
use super::settings::Settings;
use super::tempo::Tempo;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::Vocabulary;
use crate::control::publish::gauges::Gauges;
use crate::engine::clock::Shape;
use crate::movement::crowd::{Crowd, Reason};
use crate::movement::glide::TempoGlide;
use crate::movement::value;

/// Measurements that are kept.
const MOST_MEASUREMENTS: usize = 64;
/// Seconds for which a measurement is the movement now.
const RECENT_S: f64 = 3.0;
/// Least seconds between two lines of the log about the target, …
const LOG_EVERY_S: f64 = 10.0;
/// … unless it has moved as far, in BPM.
const LOG_BPM: f64 = 2.5;

/// The crowd, and what its movement steers.
#[derive(Debug)]
pub struct Movement {
    crowd: Crowd,
    /// The latest value of each measurement.
    latest: HashMap<String, f64>,
    /// When the last measurement came (sample time in seconds).
    heard_s: f64,
    maps: Vec<Mapped>,
    /// When the log last reported the crowd's target (sample time in seconds), and the target.
    logged: (f64, f64),
}

/// How a tempo was set by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Through the product's own tree: movement pauses for `movement.manual_s`.
    Own,
    /// By a client of the older servers: movement takes over with its next message, unless `movement.manual_s` is set.
    Older,
}

impl Movement {
    /// A crowd that has not moved yet.
    pub fn new(settings: &Settings, vocabulary: &Vocabulary) -> Movement {
        Movement {
            crowd: Crowd::new(settings.crowd.clone(), settings.tempo.bpm),
            latest: HashMap::new(),
            heard_s: f64::NEG_INFINITY,
            maps: mapped(settings, vocabulary),
            logged: (f64::NEG_INFINITY, 0.0),
        }
    }

    /// Takes over other settings.
    pub fn reconfigure(&mut self, settings: &Settings, vocabulary: &Vocabulary) {
        self.crowd.set(settings.crowd.clone());
        self.maps = mapped(settings, vocabulary);
    }

    /// Takes a measurement; appends the calls that it leads to.
    pub fn hear(&mut self, cx: &mut Context, tempo: &mut Tempo, name: &str, number: f64, calls: &mut Vec<Message>) {
        let (now, part) = (cx.seconds(), value::part(name));
        let Some(amount) = value::read(number) else {
            self.crowd.hear(now, part, number);
            return;
        };
        self.heard_s = now;
        if self.latest.len() < MOST_MEASUREMENTS || self.latest.contains_key(part) {
            self.latest.insert(part.into(), number);
        }
        if let Some(order) = self.crowd.hear(now, part, number) {
            self.follow(cx, tempo, order);
        }
        mapping::steer(&mut self.maps, now, part, amount, calls);
    }

    /// Moves the controls that `source` is mapped to; returns whether there are any.
    pub fn steer(&mut self, cx: &Context, source: &str, amount: f64, calls: &mut Vec<Message>) -> bool {
        mapping::steer(&mut self.maps, cx.seconds(), source, amount, calls)
    }

    /// Sets the tempo by hand, within `glide_s` seconds or an ordinary glide; movement leaves it alone for a while.
    pub fn set_tempo(
        &mut self,
        cx: &mut Context,
        tempo: &mut Tempo,
        at: Option<u64>,
        (bpm, glide_s): (f64, Option<f64>),
        hand: Hand,
    ) {
        let pause_s = match hand {
            Hand::Own => self.crowd.settings().manual_s,
            Hand::Older => self.crowd.settings().older_manual_s,
        };
        let seconds = glide_s.unwrap_or(cx.settings.tempo.glide_s);
        self.crowd.manual(cx.seconds(), bpm, seconds, pause_s);
        tempo.glide(cx, at, bpm, seconds, Shape::Linear);
    }

    /// Lets time pass: the sensor may have fallen silent.
    pub fn watch(&mut self, cx: &mut Context, tempo: &mut Tempo) {
        let before = self.crowd.reason();
        if let Some(order) = self.crowd.pass(cx.seconds(), tempo.base_bpm()) {
            self.follow(cx, tempo, order);
        } else if before != self.crowd.reason() && self.crowd.reason() == Reason::Holding {
            tracing::info!("movement: no message from the sensor; holding {:.1} BPM", self.crowd.target());
        }
    }

    fn follow(&mut self, cx: &mut Context, tempo: &mut Tempo, order: TempoGlide) {
        let bpm = cx.engine.telemetry().bpm();
        if order.fresh {
            let reason = self.crowd.reason();
            let why = match reason {
                Reason::Drifting => "no message from the sensor for too long".into(),
                _ => format!("{:.3} on average ({:.3} now)", self.crowd.smoothed(), self.crowd.raw()),
            };
            // A crowd that warms up moves the target all the time; the log follows every few seconds.
            let now = cx.seconds();
            let (at, target) = self.logged;
            if now - at >= LOG_EVERY_S || (order.bpm - target).abs() >= LOG_BPM {
                self.logged = (now, order.bpm);
                tracing::info!("movement: {why}; tempo {bpm:.1} to {:.1} BPM within {:.0} s", order.bpm, order.seconds);
            }
            let values = vec![reason.name().into(), Value::from(bpm), order.bpm.into(), order.seconds.into()];
            cx.events.post("/event/movement", values);
        }
        tempo.glide(cx, None, order.bpm, order.seconds, order.shape);
    }

    /// The status: raw, smoothed, target and tempo (BPM), reason, refused numbers.
    pub fn status(&self, cx: &Context) -> Message {
        let crowd = &self.crowd;
        Message::new(
            "/status/movement",
            vec![
                crowd.raw().into(),
                crowd.smoothed().into(),
                crowd.target().into(),
                cx.engine.telemetry().bpm().into(),
                crowd.reason().name().into(),
                Value::Int(crowd.refused() as i64),
            ],
        )
    }

    /// Movement of the crowd now (sample time in seconds), if a sensor reports it.
    pub fn amount(&self, seconds: f64) -> Option<f64> {
        (seconds - self.heard_s <= RECENT_S).then(|| self.crowd.raw())
    }

    /// The latest value of a measurement, as it came; 0 if there is none.
    pub fn latest(&self, name: &str) -> f64 {
        self.latest.get(value::part(name)).copied().unwrap_or(0.0)
    }

    /// Writes the crowd to the gauges.
    pub fn show(&self, board: &Gauges) {
        board.movement.set(self.crowd.raw());
        board.smoothed.set(self.crowd.smoothed());
        board.target.set(self.crowd.target());
        board.refused.store(self.crowd.refused(), Relaxed);
    }
}

fn mapped(settings: &Settings, vocabulary: &Vocabulary) -> Vec<Mapped> {
    settings.maps.iter().map(|m| Mapped::new(m.clone(), vocabulary)).collect()
}
