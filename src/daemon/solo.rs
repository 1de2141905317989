//! The demonstration's instrument: a part played over a stem, wherever that is and however fast it goes.

use crate::control::conductor::Conductor;
use crate::control::request::Message;
use crate::control::value::Value;
use crate::demo::solo::{BARS, NOTES, STEPS};

/// The MIDI channel of its part: the first one is left to whoever plays along.
const CHANNEL: i64 = 2;
/// The instrument it is written for.
const INSTRUMENT: &str = "cello";
/// Seconds by which notes are told ahead.
const AHEAD_S: f64 = 0.12;
/// Steps of the whole part.
const ALL: f64 = (BARS * STEPS) as f64;

/// See the module's text. It runs where the conductor does, between its ticks.
#[derive(Debug)]
pub struct Solo {
    stem: i64,
    /// Steps of the part in a second of the stem.
    steps: f64,
    /// The step up to which all has been told, while the stem plays.
    told: Option<f64>,
}

impl Solo {
    /// Over a stem of so many beats a minute; its instrument is asked for, and its room opened.
    pub fn begin(stem: i64, bpm: f64, conductor: &mut Conductor) -> Solo {
        let part = |what: &str| format!("/groove/part/{CHANNEL}/{what}");
        conductor.own(vec![
            Message::new(part("instrument"), vec![INSTRUMENT.into()]),
            Message::new(part("volume"), vec![Value::Float(3.0)]),
            Message::new("/groove/reverb/wet", vec![Value::Float(0.25)]),
            Message::new("/groove/voice/all/vibrato_depth", vec![Value::Float(0.12)]),
        ]);
        Solo { stem, steps: bpm / 60.0 * 4.0, told: None }
    }

    /// Tells the notes of the next moments.
    pub fn play(&mut self, conductor: &mut Conductor) {
        let ready = !conductor.instruments.part_instrument(usize::try_from(CHANNEL - 1).ok()).is_empty();
        let Some(place) = conductor.place_of(self.stem).filter(|p| ready && p.speed > 0.0) else {
            self.told = None;
            return;
        };
        let here = (place.seconds * self.steps).rem_euclid(ALL);
        let pace = self.steps * place.speed;
        let lead = AHEAD_S * pace;
        let told = self.told.map(|told| (told - here).rem_euclid(ALL)).filter(|ahead| *ahead <= 2.0 * lead + 1.0);
        // What has only just begun is not missed.
        let told = told.unwrap_or(-0.5);
        let rate = f64::from(conductor.sample_rate());
        let at = |steps: f64| place.time + (steps / pace * rate).max(0.0) as u64;
        for (bar, step, midi, long, velocity) in NOTES {
            let ahead = (f64::from((bar - 1) * STEPS + step) - here + 1.0).rem_euclid(ALL) - 1.0;
            if (told..lead).contains(&ahead) {
                let key = [Value::Int(midi.into()), Value::Int(CHANNEL)];
                let [note, channel] = key.clone();
                let on = vec![note, Value::Float(f64::from(velocity) * 127.0), channel];
                conductor.own_at(at(ahead), Message::new("/groove/note/on", on));
                conductor.own_at(at(ahead + f64::from(long)), Message::new("/groove/note/off", key.to_vec()));
            }
        }
        self.told = Some(here + lead);
    }
}
