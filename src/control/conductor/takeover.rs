//! Decks that a set or a plan takes, and gives back as they were.

use super::context::Context;
use super::mixer::Mixer;
use super::pace::Sync;
use super::show::Show;
use super::stems::Stems;
use super::stretch::Stretching;
use super::tempo::Tempo;
use crate::engine::eq::Band;
use crate::engine::method::Method;

/// The bands of a deck's equaliser.
const BANDS: [Band; 3] = [Band::Low, Band::Mid, Band::High];
/// Time for which decks rest after a takeover, in seconds.
pub const REST_S: f64 = 0.02;

/// Fade when something else takes the place of a set or a plan, in seconds.
pub const CHANGE_S: f64 = 0.05;

/// The parts of the conductor that a set or a plan acts on.
pub struct Parts<'a> {
    /// State that all parts share.
    pub cx: &'a mut Context,
    /// The tempo.
    pub tempo: &'a mut Tempo,
    /// Stems.
    pub stems: &'a mut Stems,
    /// Levels and equalisers.
    pub mixer: &'a mut Mixer,
    /// Stretching of decks.
    pub stretching: &'a mut Stretching,
}

/// End of a set or a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its last part ended.
    Played {
        /// Number of tracks or sections that had begun.
        begun: usize,
        /// Number of sounds that could not be played.
        missing: usize,
    },
    /// It was stopped: by a client, a cleanup or a preset.
    Stopped,
    /// It could not be read.
    Failed(String),
}

/// Settings of a deck before it was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Deck {
    level: f64,
    bands: [f64; 3],
    bpm: Option<f64>,
    sync: Sync,
    method: Method,
}

/// Settings of taken decks, and of the crossfader, from before.
#[derive(Clone, Debug, PartialEq)]
pub struct Takeover {
    decks: Vec<(usize, Deck)>,
    crossfade: (f64, String),
}

impl Takeover {
    /// Takes decks: stops what plays on them, opens the crossfader, sets their levels to `level` (linear) and their
    /// equalisers flat.
    pub fn begin(parts: &mut Parts, decks: impl Iterator<Item = usize>, level: f64) -> Takeover {
        let before = |deck: usize, parts: &Parts| {
            let (channel, pace) = (&parts.mixer.channels[deck], &parts.tempo.paces[deck]);
            Deck { level: channel.level, bands: channel.bands, bpm: pace.set_bpm, sync: pace.sync, method: pace.method }
        };
        let decks: Vec<_> = decks.map(|deck| (deck, before(deck, parts))).collect();
        let (position, curve) = parts.mixer.crossfade();
        let crossfade = (position, curve.to_string());
        parts.mixer.set_crossfade(parts.cx, 0.5, "off", None, None);
        for (deck, _) in &decks {
            for id in parts.stems.ids_on(*deck) {
                parts.stems.stop(parts.cx, parts.tempo, id, None);
            }
            parts.mixer.set_level(parts.cx, *deck, level, None, None);
            for band in BANDS {
                parts.mixer.set_band(parts.cx, *deck, band, 1.0, None);
            }
        }
        Takeover { decks, crossfade }
    }

    /// Gives the decks back as they were, at sample `at` or at once. Returns the sample from which they may be taken again.
    pub fn end(&self, parts: &mut Parts, at: Option<u64>) -> u64 {
        for (deck, before) in &self.decks {
            parts.mixer.set_level(parts.cx, *deck, before.level, None, at);
            for (band, gain) in BANDS.into_iter().zip(before.bands) {
                parts.mixer.set_band(parts.cx, *deck, band, gain, at);
            }
            if parts.tempo.paces[*deck].method != before.method {
                parts.stretching.set_method(parts.cx, parts.tempo, *deck, before.method, at);
            }
            parts.tempo.set_sync(parts.cx, *deck, before.sync, at);
            parts.tempo.set_deck_bpm(parts.cx, *deck, before.bpm, at);
        }
        let (position, curve) = &self.crossfade;
        parts.mixer.set_crossfade(parts.cx, *position, curve, None, at);
        at.unwrap_or(parts.cx.now()) + parts.cx.frames(REST_S)
    }

    /// Puts the settings from before into a show that is to be saved.
    pub fn undo_in(&self, show: &mut Show) {
        for (k, before) in &self.decks {
            if let Some(deck) = show.decks.get_mut(*k) {
                deck.level = before.level;
                deck.gains = before.bands;
                deck.bpm = before.bpm;
                deck.sync = Some(before.sync.name().into());
                deck.stretch = Some(before.method.name().into());
            }
        }
        (show.crossfade, show.curve) = self.crossfade.clone();
    }
}
