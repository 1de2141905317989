//! Maps from a measurement, or a MIDI controller, to a control.

use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{self, Arg, Default, Vocabulary};
use crate::movement::curve::{Curve, CurvePosition};
use crate::movement::window::{Kind, Window};

/// Least seconds between two calls of one map.
const PAUSE_S: f64 = 0.04;

/// A measurement that steers a control.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The measurement, as in `arm_movement`.
    pub source: String,
    /// The control's address.
    pub target: String,
    /// The control's value for each value of the measurement.
    pub curve: Curve,
    /// Seconds over which measurements are averaged.
    pub window_s: f64,
}

impl Map {
    /// Checks that the control exists, takes one number, and accepts every value of the curve.
    ///
    /// # Errors
    /// The reason, which names the control.
    pub fn check(&self, vocabulary: &Vocabulary) -> Result<(), String> {
        let (control, in_address) =
            vocabulary.find(&self.target).ok_or_else(|| vocabulary.unknown(&self.target).to_string())?;
        // Values that are part of the address are no arguments of the call.
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
            control.check(&in_address, &[value]).map_err(|fault| format!("{}: {fault}", self.target))?;
        }
        Ok(())
    }
}

/// Whether an argument takes whole numbers only.
fn is_whole(arg: &Arg) -> bool {
    matches!(arg.kind, vocabulary::Kind::Int(..) | vocabulary::Kind::Flag)
}

/// A map in use.
#[derive(Debug)]
pub struct Mapped {
    map: Map,
    window: Window,
    place: Option<CurvePosition>,
    called: f64,
    last: Option<f64>,
    /// Whether the control takes whole numbers only.
    whole: bool,
}

impl Mapped {
    /// A map that has not steered anything yet.
    pub fn new(map: Map, vocabulary: &Vocabulary) -> Mapped {
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

    /// The map itself.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// The call that a new value of the source leads to, if any; `now` is sample time in seconds.
    fn steer(&mut self, now: f64, value: f64) -> Option<Message> {
        // A controller moved by hand stays where its last message says; a crowd's measurements are averaged.
        let by_hand = self.map.source.starts_with("midi/");
        let value = if by_hand { value } else { self.window.push(now, value) };
        let place = self.map.curve.place(value, self.place, 0.0);
        self.place = Some(place);
        let result = self.map.curve.result(value, place);
        let result = if self.whole { result.round() } else { result };
        if (!by_hand && now - self.called < PAUSE_S) || self.last == Some(result) {
            return None;
        }
        (self.called, self.last) = (now, Some(result));
        Some(Message::new(self.map.target.as_str(), vec![result.into()]))
    }
}

/// Feeds a new value of `source` to the maps that it steers: appends their calls to `calls`, and returns whether there
/// were any such maps. `now` is sample time in seconds.
pub fn steer(maps: &mut [Mapped], now: f64, source: &str, value: f64, calls: &mut Vec<Message>) -> bool {
    let mut found = false;
    for mapped in maps.iter_mut().filter(|m| m.map.source == source) {
        found = true;
        calls.extend(mapped.steer(now, value));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::table;

    fn mapped(source: &str, target: &str) -> Mapped {
        let curve = Curve { steps: Vec::new(), line: vec![(0.0, 0.0), (1.0, 4.0)] };
        let map = Map { source: source.into(), target: target.into(), curve, window_s: 0.0 };
        let vocabulary = table::vocabulary(false);
        assert_eq!(map.check(&vocabulary), Ok(()));
        Mapped::new(map, &vocabulary)
    }

    #[test]
    fn a_measurement_calls_at_most_25_times_a_second_and_a_controller_each_time() {
        let mut maps = [mapped("total_movement", "/groove/master"), mapped("midi/1/7", "/groove/master")];
        let mut count = |source: &str| {
            let mut calls = Vec::new();
            for k in 0..100 {
                assert!(steer(&mut maps, f64::from(k) * 0.01, source, f64::from(k) / 100.0, &mut calls));
            }
            calls.len()
        };
        let of_crowd = count("total_movement");
        assert!((15..=25).contains(&of_crowd), "{of_crowd}");
        assert_eq!(count("midi/1/7"), 100);
        let mut calls = Vec::new();
        assert!(!steer(&mut maps, 2.0, "left_arm", 1.0, &mut calls));
        assert!(calls.is_empty());
    }

    #[test]
    fn a_map_to_something_else_than_one_number_is_refused() {
        let vocabulary = table::vocabulary(false);
        for (target, why) in [("/groove/stem/stop", "single number"), ("/groove/nothing", "no such control")] {
            let curve = Curve { steps: Vec::new(), line: vec![(0.0, 0.0), (1.0, 1.0)] };
            let map = Map { source: "x".into(), target: target.into(), curve, window_s: 0.0 };
            assert!(map.check(&vocabulary).unwrap_err().contains(why), "{target}");
        }
    }
}
