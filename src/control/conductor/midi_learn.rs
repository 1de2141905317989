//! MIDI controllers: learning which control they move, and what the standard ones do otherwise.

use std::sync::Arc;

use super::context::Context;
use super::instruments::Instruments;
use super::mapping::{self, Map, Mapped};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Kind, Outcome};
use crate::control::conductor::show;
use crate::control::publish::counters::MidiTally;
use crate::ddsp::order::PartParam;
use crate::movement::curve::Curve;

/// Most controllers that are mapped by learning.
const MOST_LEARNED: usize = 128;

/// A control that waits for the controller that is moved next.
#[derive(Clone, Debug)]
struct Lesson {
    target: String,
    ends: (f64, f64),
    origin: Option<Origin>,
    address: String,
}

/// Controllers that were mapped by learning, and the control that is being learned.
#[derive(Debug, Default)]
pub struct MidiLearn {
    /// What the MIDI thread has brought.
    pub tally: Arc<MidiTally>,
    learned: Vec<Mapped>,
    lesson: Option<Lesson>,
}

/// The name of a controller, as maps call it.
pub fn source(channel: i64, number: i64) -> String {
    format!("midi/{channel}/{number}")
}

impl MidiLearn {
    /// Ends a lesson if one is under way: the control is moved by this controller from now on.
    pub fn take_in(&mut self, cx: &mut Context, channel: i64, number: i64) {
        let Some(lesson) = self.lesson.take() else { return };
        let learned = map(source(channel, number), &lesson.target, lesson.ends);
        self.learned.retain(|m| m.map().target != learned.target && m.map().source != learned.source);
        self.learned.push(Mapped::new(learned, &cx.vocabulary));
        tracing::info!("MIDI: controller {number} on channel {channel} mapped to {}", lesson.target);
        cx.events
            .post("/event/midi/learned", vec![Value::Int(channel), Value::Int(number), lesson.target.as_str().into()]);
        cx.done(lesson.origin, &lesson.address, vec![Value::Int(channel), Value::Int(number)]);
    }

    /// Moves the controls that `source` is mapped to; returns whether there are any.
    pub fn steer(&mut self, cx: &Context, source: &str, amount: f64, calls: &mut Vec<Message>) -> bool {
        mapping::steer(&mut self.learned, cx.seconds(), source, amount, calls)
    }

    /// Maps the controller that is moved next to a control, over its whole range or from `low` to `high`.
    ///
    /// # Errors
    /// If there is no such control, it does not take one number, or too many are mapped.
    pub fn learn(
        &mut self,
        cx: &mut Context,
        target: &str,
        (low, high): (Option<f64>, Option<f64>),
        call: &Call,
    ) -> Result<Outcome, Fault> {
        let wrong = |why: String| {
            Fault::argument("address", format!("{target:?}"), "a control that takes one number").hint(why)
        };
        let (control, _) =
            cx.vocabulary.find(target).ok_or_else(|| wrong(cx.vocabulary.unknown(target).to_string()))?;
        let whole = match control.args.first().map(|a| a.kind) {
            Some(Kind::Float(low, high) | Kind::Clamped(low, high)) => (low, high),
            Some(Kind::Int(low, high)) => (low as f64, high as f64),
            _ => (0.0, 1.0),
        };
        let ends = (low.unwrap_or(whole.0), high.unwrap_or(whole.1));
        map(String::new(), target, ends).check(&cx.vocabulary).map_err(wrong)?;
        if self.learned.len() >= MOST_LEARNED {
            return Err(Fault::refused(format!("{MOST_LEARNED} controllers are mapped, which is the limit")));
        }
        self.give_up_lesson(cx, "another control is to be learned");
        self.lesson = Some(Lesson { target: target.into(), ends, origin: call.origin, address: call.address.clone() });
        Ok(Outcome::Later)
    }

    fn give_up_lesson(&mut self, cx: &mut Context, why: &str) {
        if let Some(lesson) = self.lesson.take() {
            cx.fail(lesson.origin, &lesson.address, &Fault::refused(why));
        }
    }

    /// Forgets what was learned for a control, or everything if `target` is empty, and ends the lesson.
    pub fn forget(&mut self, cx: &mut Context, target: &str) {
        self.give_up_lesson(cx, "learning was ended");
        self.learned.retain(|m| !target.is_empty() && m.map().target != target);
    }

    /// What was learned, as messages.
    pub fn list(&self) -> Vec<Message> {
        let message = |m: show::Learned| {
            Message::new("/groove/midi/map", vec![m.source.into(), m.target.into(), m.low.into(), m.high.into()])
        };
        self.shown().into_iter().map(message).collect()
    }

    /// What was learned, to be saved.
    pub fn shown(&self) -> Vec<show::Learned> {
        let ends = |line: &[(f64, f64)]| Some((line.first()?.1, line.last()?.1));
        let shown = |mapped: &Mapped| {
            let (low, high) = ends(&mapped.map().curve.line)?;
            let (source, target) = (mapped.map().source.clone(), mapped.map().target.clone());
            Some(show::Learned { source, target, low, high })
        };
        self.learned.iter().filter_map(shown).collect()
    }

    /// Restores what was learned.
    pub fn restore(&mut self, cx: &Context, learned: &[show::Learned]) {
        let maps = learned.iter().take(MOST_LEARNED).map(|l| map(l.source.clone(), &l.target, (l.low, l.high)));
        let (good, bad): (Vec<Map>, Vec<Map>) = maps.partition(|m| m.check(&cx.vocabulary).is_ok());
        for map in bad {
            tracing::warn!("MIDI: {} is no longer mapped: no control takes its values at {}", map.source, map.target);
        }
        self.learned = good.into_iter().map(|m| Mapped::new(m, &cx.vocabulary)).collect();
    }
}

/// Does what a controller that is not mapped means: modulation, volume, expression, sustain, the ends of notes, resting
/// positions (MIDI 1.0, controllers 1, 7, 11, 64, 120, 121, 123).
pub fn standard_controller(
    instruments: &mut Instruments,
    cx: &mut Context,
    (channel, number, value): (i64, i64, f64),
    at: Option<u64>,
) -> Result<Outcome, Fault> {
    let part = usize::try_from(channel - 1).ok();
    let share = value / 127.0;
    match number {
        1 => instruments.set_pedal(cx, part, PartParam::Modulation, share, at),
        7 => instruments.set_pedal(cx, part, PartParam::Volume, share, at),
        11 => instruments.set_pedal(cx, part, PartParam::Expression, share, at),
        64 => instruments.set_pedal(cx, part, PartParam::Sustain, if value >= 64.0 { 1.0 } else { 0.0 }, at),
        120 | 123 => instruments.all_off(cx, part, at),
        // Wheels and pedals go where they rest; volume is a setting.
        121 => {
            for (pedal, _, rest) in PartParam::ALL.into_iter().filter(|(p, ..)| *p != PartParam::Volume) {
                instruments.set_pedal(cx, part, pedal, rest, at)?;
            }
            Ok(Outcome::Done)
        }
        _ => Ok(Outcome::Done),
    }
}

fn map(source: String, target: &str, (low, high): (f64, f64)) -> Map {
    let curve = Curve { steps: Vec::new(), line: vec![(0.0, low), (1.0, high)] };
    Map { source, target: target.into(), curve, window_s: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::rig::context;
    use super::*;

    #[test]
    fn a_controller_that_was_learned_moves_its_control_and_no_other() {
        let (_engine, mut cx) = context();
        let mut learn = MidiLearn::default();
        let call = Call::bare("/groove/midi/learn");
        learn.learn(&mut cx, "/groove/master", (None, Some(2.0)), &call).unwrap();
        learn.take_in(&mut cx, 1, 21);
        let mut calls = Vec::new();
        assert!(learn.steer(&cx, &source(1, 21), 0.5, &mut calls));
        assert!(!learn.steer(&cx, &source(2, 21), 0.5, &mut calls));
        assert_eq!(calls, [Message::new("/groove/master", vec![Value::Float(1.0)])]);
        // Another controller for the same control takes its place.
        learn.learn(&mut cx, "/groove/master", (None, None), &call).unwrap();
        learn.take_in(&mut cx, 1, 22);
        assert_eq!(learn.shown().iter().map(|l| l.source.as_str()).collect::<Vec<_>>(), ["midi/1/22"]);
        let saved = learn.shown();
        let mut other = MidiLearn::default();
        other.restore(&cx, &saved);
        assert_eq!(other.shown(), saved);
        other.forget(&mut cx, "");
        assert!(other.list().is_empty());
    }

    #[test]
    fn learning_names_what_is_wrong_with_the_address() {
        let (_engine, mut cx) = context();
        let mut learn = MidiLearn::default();
        let call = Call::bare("/groove/midi/learn");
        let fault = learn.learn(&mut cx, "/groove/mastr", (None, None), &call).unwrap_err();
        assert!(fault.to_string().contains("'address'") && fault.to_string().contains("/groove/master"), "{}", fault);
    }
}
