//! A look at all parts of the conductor at once, for what concerns the whole.

use std::collections::BTreeMap;

use super::buffer::{Buffer, share};
use super::context::Context;
use super::evolution::{EVERY, Evolution};
use super::instruments::Instruments;
use super::midi_learn::MidiLearn;
use super::mixer::{Channel, Mixer};
use super::movement::Movement;
use super::pace::Pace;
use super::plans::Plans;
use super::recording::Recording;
use super::sets::Sets;
use super::stems::Stems;
use super::stretch::Stretching;
use super::tempo::Tempo;
use crate::control::conductor::show::{self, FORM, Show};

/// All parts, to be read.
#[derive(Clone, Copy)]
pub struct View<'c> {
    /// What they share.
    pub cx: &'c Context,
    /// Levels.
    pub mixer: &'c Mixer,
    /// Stems.
    pub stems: &'c Stems,
    /// Tempo.
    pub tempo: &'c Tempo,
    /// Stretching.
    pub stretching: &'c Stretching,
    /// Movement.
    pub movement: &'c Movement,
    /// Instruments.
    pub instruments: &'c Instruments,
    /// Evolution of sounds.
    pub evolution: &'c Evolution,
    /// The set.
    pub sets: &'c Sets,
    /// The plan.
    pub plans: &'c Plans,
    /// Learned controllers.
    pub learn: &'c MidiLearn,
    /// The recording.
    pub recording: &'c Recording,
}

impl View<'_> {
    /// The show as it is now, to be saved.
    pub fn show(&self) -> Show {
        let (position, curve) = self.mixer.crossfade();
        let positions = self.positions();
        let mut show = Show {
            form: FORM,
            tempo: self.tempo.bpm(),
            base_tempo: self.tempo.base_bpm(),
            meter: self.tempo.beats_per_bar(),
            master: self.mixer.master(),
            crossfade: position,
            curve: curve.into(),
            decks: self
                .mixer
                .channels
                .iter()
                .zip(&self.tempo.paces)
                .map(|(channel, pace)| deck(channel, pace))
                .collect(),
            stems: self.stems.all().map(|(id, buffer)| self.stem(id, buffer, &positions)).collect(),
            controls: self.controls(),
            learned: Some(self.learn.shown()),
            plan: None,
            set: None,
        };
        self.sets.put_in((self.cx, self.stems, self.tempo), &mut show);
        self.plans.put_in(self.cx, &mut show);
        show
    }

    /// Settings of the voices and of evolution, if there is either.
    fn controls(&self) -> Option<BTreeMap<String, Vec<serde_json::Value>>> {
        let every = self.evolution.every();
        let mut controls = (self.cx.settings.voices > 0).then(|| self.instruments.shown());
        if every > 0.0 {
            controls.get_or_insert_default().insert(EVERY.into(), vec![every.into()]);
        }
        controls
    }

    /// Positions of all places in frames, from one block.
    fn positions(&self) -> Vec<f64> {
        let stems = &self.cx.engine.telemetry().stems;
        let read = || stems.iter().map(|cell| cell.position_frames()).collect::<Vec<f64>>();
        let mut at = read();
        for _ in 0..4 {
            let before = self.cx.now();
            at = read();
            if self.cx.now() == before {
                break;
            }
        }
        at
    }

    fn stem(&self, id: i64, buffer: &Buffer, positions: &[f64]) -> show::Stem {
        let from = share(buffer.start.from, buffer.info().map_or(0.0, |i| i.seconds()));
        let mut position = from;
        if let (Some(info), Some(slot)) = (buffer.info(), buffer.slot())
            && let Some(frame) = positions.get(usize::from(slot))
            // One that is about to start shows no position yet.
            && self.cx.engine.telemetry().stems.get(usize::from(slot)).is_some_and(|s| s.is_playing())
        {
            // Half a frame on, so that rounding down finds this frame again.
            position = ((frame.floor() + 0.5) / info.frames.max(1) as f64).clamp(0.0, 1.0);
        }
        show::Stem {
            id,
            name: buffer.name.clone(),
            path: buffer.path.display().to_string(),
            rate: buffer.start.rate,
            volume: buffer.start.volume,
            looped: buffer.start.looped,
            seconds: buffer.start.seconds,
            playing: buffer.playing,
            // A section begins where it began.
            position: if buffer.start.seconds > 0.0 { from } else { position },
        }
    }
}

fn deck(channel: &Channel, pace: &Pace) -> show::Deck {
    show::Deck {
        level: channel.level,
        gains: channel.bands,
        stretch: Some(pace.method.name().into()),
        sync: Some(pace.sync.name().into()),
        bpm: pace.set_bpm,
        key: pace.key,
        formants: pace.formants,
    }
}
