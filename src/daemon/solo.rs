//! The instrument of the demonstration set: plays a part in sync with a stem, at any position and speed of the stem.

use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::conductor::Conductor;
use crate::demo::solo::{BARS, NOTES, STEPS};

/// MIDI channel of the part. Channel 1 is left for people who play along.
const CHANNEL: i64 = 2;
/// Instrument of the part.
const INSTRUMENT: &str = "cello";
/// Seconds by which notes are scheduled ahead.
const AHEAD_S: f64 = 0.12;
/// Length of the part in steps.
const ALL: f64 = (BARS * STEPS) as f64;

/// Player of the demonstration's instrumental part. Runs on the conductor's thread, between its ticks.
#[derive(Debug)]
pub struct Solo {
    stem: i64,
    /// Steps of the part per second of the stem.
    steps: f64,
    /// The step up to which all notes have been scheduled; `None` while the stem does not play.
    told: Option<f64>,
}

impl Solo {
    /// Prepares the part over a stem with a tempo of `bpm`: selects its instrument, volume and vibrato, and opens the
    /// reverb.
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

    /// Schedules the notes of the next `AHEAD_S` seconds.
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
        // Half a step back, so that a note that has just begun is not missed.
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
