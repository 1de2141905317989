//! Levels, equalisers and the crossfader.

use super::context::Context;
use super::settings::MixerSettings;
use crate::engine::DECKS;
use crate::engine::command::Action;
use crate::engine::eq::Band;

/// Gain of a DJ equaliser's setting in percent: 0 kills, 50 and above is flat, between them −24 dB … 0 dB.
pub fn gain_of_percent(percent: f64) -> f64 {
    if percent <= 0.0 {
        0.0
    } else if percent >= 50.0 {
        1.0
    } else {
        10f64.powf((percent / 50.0 - 1.0) * 24.0 / 20.0)
    }
}

/// Gains of the two sides of a crossfade at `position` (0: only A, 1: only B).
pub fn crossfade_gains(position: f64, curve: &str) -> (f64, f64) {
    let x = position.clamp(0.0, 1.0);
    match curve {
        "power" => {
            let angle = x * std::f64::consts::FRAC_PI_2;
            // Exactly one and zero at the ends.
            (if x == 1.0 { 0.0 } else { angle.cos() }, angle.sin())
        }
        // Both are full in the middle; only the very ends close.
        "cut" => (if x < 0.95 { 1.0 } else { (1.0 - x) * 20.0 }, if x > 0.05 { 1.0 } else { x * 20.0 }),
        "off" => (1.0, 1.0),
        _ => (1.0 - x, x),
    }
}

/// Levels of a deck, as they were set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel {
    /// Level (linear).
    pub level: f64,
    /// Gains of the three bands (linear).
    pub bands: [f64; 3],
}

/// The mixer, as it was set.
#[derive(Debug)]
pub struct Mixer {
    /// By deck.
    pub channels: [Channel; DECKS],
    master: f64,
    crossfade: (f64, String),
}

impl Mixer {
    /// The mixer at the start.
    pub fn new(settings: &MixerSettings) -> Mixer {
        Mixer {
            channels: settings.levels.map(|level| Channel { level, bands: [1.0; 3] }),
            master: settings.master,
            crossfade: (0.5, "off".into()),
        }
    }

    /// Sets a deck's level, within `seconds` or an ordinary ramp.
    pub fn set_level(&mut self, cx: &mut Context, deck: usize, level: f64, seconds: Option<f64>, at: Option<u64>) {
        self.channels[deck].level = level;
        let frames = seconds.map(|s| cx.ramp(s));
        cx.push(at, Action::DeckLevel { deck, level: level as f32, frames });
    }

    /// Sets one band of a deck's equaliser (linear).
    pub fn set_band(&mut self, cx: &mut Context, deck: usize, band: Band, gain: f64, at: Option<u64>) {
        self.channels[deck].bands[band as usize] = gain;
        cx.push(at, Action::Eq { deck, band, gain: gain as f32 });
    }

    /// The master gain.
    pub fn master(&self) -> f64 {
        self.master
    }

    /// Sets the master gain, within `seconds` or an ordinary ramp.
    pub fn set_master(&mut self, cx: &mut Context, gain: f64, seconds: Option<f64>, at: Option<u64>) {
        self.master = gain;
        let frames = seconds.map(|s| cx.ramp(s));
        cx.push(at, Action::Master { gain: gain as f32, frames });
    }

    /// The crossfader: position and curve.
    pub fn crossfade(&self) -> (f64, &str) {
        (self.crossfade.0, &self.crossfade.1)
    }

    /// Moves the crossfader between decks A and B, within `seconds` or an ordinary ramp.
    pub fn set_crossfade(
        &mut self,
        cx: &mut Context,
        position: f64,
        curve: &str,
        seconds: Option<f64>,
        at: Option<u64>,
    ) {
        self.crossfade = (position, curve.into());
        let (a, b) = crossfade_gains(position, curve);
        let frames = seconds.map(|s| cx.ramp(s));
        for (deck, gain) in [(0, a), (1, b)] {
            cx.push(at, Action::Fader { deck, gain: gain as f32, frames });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_follows_the_older_servers_curve() {
        for (percent, gain) in [(0.0, 0.0), (-5.0, 0.0), (10.0, 0.110), (25.0, 0.251), (40.0, 0.575), (80.0, 1.0)] {
            assert!((gain_of_percent(percent) - gain).abs() < 6e-4, "{percent}");
        }
    }

    #[test]
    fn curves_meet_their_ends_exactly() {
        for curve in ["linear", "power", "cut"] {
            assert_eq!(crossfade_gains(0.0, curve), (1.0, 0.0), "{curve}");
            assert_eq!(crossfade_gains(1.0, curve), (0.0, 1.0), "{curve}");
        }
        let (a, b) = crossfade_gains(0.3, "power");
        assert!((a * a + b * b - 1.0).abs() < 1e-12);
        assert_eq!(crossfade_gains(0.5, "cut"), (1.0, 1.0));
    }
}
