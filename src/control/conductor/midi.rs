//! MIDI controllers: what they are mapped to, by the mapping that movement uses, and what they mean otherwise.

use super::super::request::{Message, Origin};
use super::super::show;
use super::super::tally::MidiTally;
use super::super::value::Value;
use super::super::vocabulary::{Call, Fault, Kind, Outcome};
use super::Conductor;
use super::movement::{Map, Mapped};
use crate::ddsp::order::Pedal;
use crate::movement::curve::Curve;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Most controllers that are mapped by learning.
const MOST_LEARNED: usize = 128;

/// A control that waits for the controller that is moved next.
#[derive(Clone, Debug)]
pub(super) struct Lesson {
    target: String,
    ends: (f64, f64),
    origin: Option<Origin>,
    address: String,
}

/// The name of a controller, as maps call it.
pub fn source(channel: i64, number: i64) -> String {
    format!("midi/{channel}/{number}")
}

impl Conductor {
    /// What MIDI has brought.
    pub fn midi(&self) -> Arc<MidiTally> {
        self.midi.clone()
    }

    /// Events, events lost, devices, and their names.
    pub(super) fn midi_status(&self) -> Message {
        let devices = self.midi.devices();
        let mut args = vec![self.midi.events.load(Relaxed).into(), self.midi.lost.load(Relaxed).into()];
        args.extend([Value::Int(devices.len() as i64), devices.join(", ").into()]);
        Message::new("/status/midi", args)
    }

    /// A controller was moved: channel 1 to 16, number, value 0 to 127.
    pub fn hear_controller(
        &mut self,
        channel: i64,
        number: i64,
        value: f64,
        at: Option<u64>,
    ) -> Result<Outcome, Fault> {
        if let Some(lesson) = self.lesson.take() {
            self.take_in(&lesson, channel, number)?;
        }
        let share = value / 127.0;
        // A map may name the channel, or mean all of them.
        let any = format!("midi/{number}");
        if self.steer(&source(channel, number), share) | self.steer(&any, share) {
            return Ok(Outcome::Done);
        }
        let part = usize::try_from(channel - 1).ok();
        match number {
            1 => self.set_pedal(part, Pedal::Modulation, share, at),
            7 => self.set_pedal(part, Pedal::Volume, share, at),
            11 => self.set_pedal(part, Pedal::Expression, share, at),
            64 => self.set_pedal(part, Pedal::Sustain, if value >= 64.0 { 1.0 } else { 0.0 }, at),
            120 | 123 => self.all_off(part, at),
            // Wheels and pedals are where they rest; volume is a setting.
            121 => {
                for (pedal, _, rest) in Pedal::ALL.into_iter().filter(|(p, ..)| *p != Pedal::Volume) {
                    self.set_pedal(part, pedal, rest, at)?;
                }
                Ok(Outcome::Done)
            }
            _ => Ok(Outcome::Done),
        }
    }

    /// Maps the controller that is moved next to a control.
    pub fn learn(
        &mut self,
        target: &str,
        (low, high): (Option<f64>, Option<f64>),
        call: &Call,
    ) -> Result<Outcome, Fault> {
        let wrong = |why: String| Fault(format!("argument 'address' is {target:?}: {why}"));
        let (control, _) = self.vocabulary.find(target).ok_or_else(|| wrong(self.vocabulary.unknown(target).0))?;
        let whole = match control.args.first().map(|a| a.kind) {
            Some(Kind::Float(low, high) | Kind::Clamped(low, high)) => (low, high),
            Some(Kind::Int(low, high)) => (low as f64, high as f64),
            _ => (0.0, 1.0),
        };
        let ends = (low.unwrap_or(whole.0), high.unwrap_or(whole.1));
        map(String::new(), target, ends).check(&self.vocabulary).map_err(wrong)?;
        if self.learned.len() >= MOST_LEARNED {
            return Err(Fault(format!("{MOST_LEARNED} controllers are mapped, which is the limit")));
        }
        self.give_up_lesson("another control is to be learned");
        self.lesson = Some(Lesson { target: target.into(), ends, origin: call.origin, address: call.address.clone() });
        Ok(Outcome::Later)
    }

    fn give_up_lesson(&mut self, why: &str) {
        if let Some(lesson) = self.lesson.take() {
            self.fail(lesson.origin, &lesson.address, &Fault(why.into()));
        }
    }

    fn take_in(&mut self, lesson: &Lesson, channel: i64, number: i64) -> Result<(), Fault> {
        let learned = map(source(channel, number), &lesson.target, lesson.ends);
        self.learned.retain(|m| m.map().target != learned.target && m.map().source != learned.source);
        self.learned.push(Mapped::new(learned, &self.vocabulary));
        tracing::info!("MIDI: controller {number} on channel {channel} moves {} now", lesson.target);
        self.bulletin
            .post("/event/midi/learned", vec![Value::Int(channel), Value::Int(number), lesson.target.as_str().into()]);
        self.done(lesson.origin, &lesson.address, vec![Value::Int(channel), Value::Int(number)]);
        Ok(())
    }

    /// Forgets what was learned for a control, or everything.
    pub fn forget_learned(&mut self, target: &str) {
        self.give_up_lesson("learning was ended");
        self.learned.retain(|m| !target.is_empty() && m.map().target != target);
    }

    /// What was learned.
    pub fn learned(&self) -> Vec<Message> {
        let tell = |m: show::Learned| {
            Message::new("/groove/midi/map", vec![m.source.into(), m.target.into(), m.low.into(), m.high.into()])
        };
        self.shown_learned().into_iter().map(tell).collect()
    }

    /// What was learned, to be kept.
    pub(super) fn shown_learned(&self) -> Vec<show::Learned> {
        let ends = |line: &[(f64, f64)]| Some((line.first()?.1, line.last()?.1));
        let shown = |mapped: &Mapped| {
            let (low, high) = ends(&mapped.map().curve.line)?;
            let (source, target) = (mapped.map().source.clone(), mapped.map().target.clone());
            Some(show::Learned { source, target, low, high })
        };
        self.learned.iter().filter_map(shown).collect()
    }

    /// Brings back what was learned.
    pub(super) fn recall_learned(&mut self, learned: &[show::Learned]) {
        let maps = learned.iter().take(MOST_LEARNED).map(|l| map(l.source.clone(), &l.target, (l.low, l.high)));
        let (good, bad): (Vec<Map>, Vec<Map>) = maps.partition(|m| m.check(&self.vocabulary).is_ok());
        for map in bad {
            tracing::warn!("MIDI: {} can't be mapped to {} any more", map.source, map.target);
        }
        self.learned = good.into_iter().map(|m| Mapped::new(m, &self.vocabulary)).collect();
    }
}

fn map(source: String, target: &str, (low, high): (f64, f64)) -> Map {
    let curve = Curve { steps: Vec::new(), line: vec![(0.0, low), (1.0, high)] };
    Map { source, target: target.into(), curve, window_s: 0.0 }
}
