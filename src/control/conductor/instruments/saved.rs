//! What of the instruments is saved with a show and with presets, and how it is brought back.

use std::collections::BTreeMap;

use super::Instruments;
use crate::control::commands::json;
use crate::control::commands::value::Value;
use crate::control::conductor::context::Context;
use crate::ddsp::order::{BusParam, PARTS, PartParam, Setting, is_name};

impl Instruments {
    /// All that was set of voices and is not as at first: what brings it back.
    pub fn shown(&self) -> BTreeMap<String, Vec<serde_json::Value>> {
        let mut calls: Vec<(String, Value)> = Vec::new();
        let v = self;
        // What is on its way is wanted as much as what is here.
        let first = &v.parts[0].instrument.wants;
        if is_name(first) {
            calls.push(("/groove/instrument/swap".into(), first.as_str().into()));
        }
        for (k, part) in v.parts.iter().enumerate() {
            let address = |name: &str| format!("/groove/part/{}/{name}", k + 1);
            let wants = &part.instrument.wants;
            if wants != first && is_name(wants) {
                calls.push((address("instrument"), wants.as_str().into()));
            }
            // Pedals and wheels are where hands and feet hold them; volume is a setting.
            let (_, name, usual) = PartParam::ALL[PartParam::Volume as usize];
            if part.pedals[PartParam::Volume as usize] != usual {
                calls.push((address(name), part.pedals[PartParam::Volume as usize].into()));
            }
        }
        for (k, voice) in v.voices.iter().enumerate() {
            let address = |name: &str| format!("/groove/voice/{}/{name}", k + 1);
            for (value, (_, name, usual)) in voice.iter().zip(Setting::ALL) {
                if *value != usual {
                    calls.push((address(name), (*value).into()));
                }
            }
            let wants = &v.own[k].wants;
            if is_name(wants) {
                calls.push((address("instrument"), wants.as_str().into()));
            }
        }
        for (value, (_, address, usual)) in v.hall.iter().zip(BusParam::ALL) {
            if *value != usual {
                calls.push((address.into(), (*value).into()));
            }
        }
        calls.into_iter().map(|(address, value)| (address, vec![json::of(&value)])).collect()
    }

    /// Resets whatever `calls` (see [`Instruments::shown`]) does not set. The calls themselves are left to the caller.
    pub fn restore(&mut self, cx: &mut Context, calls: &BTreeMap<String, Vec<serde_json::Value>>) {
        if self.voices.is_empty() {
            return;
        }
        let is_there = |address: &str| calls.contains_key(address);
        for k in 0..self.voices.len() {
            for (setting, name, usual) in Setting::ALL {
                let changed = self.voices[k][setting as usize] != usual;
                if changed && !is_there(&format!("/groove/voice/{}/{name}", k + 1)) {
                    let _ = self.set_voice(cx, Some(k), setting, usual, None);
                }
            }
        }
        for k in 0..PARTS {
            let (pedal, name, usual) = PartParam::ALL[PartParam::Volume as usize];
            let changed = self.parts[k].pedals[pedal as usize] != usual;
            if changed && !is_there(&format!("/groove/part/{}/{name}", k + 1)) {
                let _ = self.set_pedal(cx, Some(k), pedal, usual, None);
            }
        }
        for k in 0..self.own.len() {
            if !is_there(&format!("/groove/voice/{}/instrument", k + 1)) {
                self.own[k].wants.clear();
            }
        }
        self.settle(cx, None);
        for (hall, address, usual) in BusParam::ALL {
            if !is_there(address) {
                let _ = self.set_hall(cx, hall, usual, None);
            }
        }
    }
}
