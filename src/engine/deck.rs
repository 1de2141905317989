//! A deck: the sum of its groups, equalised, at its level.

use super::GRID;
use super::clock::TempoSpan;
use super::eq::ThreeBand;
use super::meter::{Meter, MeterCell};
use super::method::Method;
use super::ramp::{self, Ramp};

/// How long an equaliser still rings after its deck fell silent: after this it need not run.
const EQ_TAIL_SECONDS: f64 = 0.5;

/// See the module's text. Realtime: yes, but for [`Deck::new`].
#[derive(Debug)]
pub struct Deck {
    /// The equaliser.
    pub eq: ThreeBand,
    /// The deck's level.
    pub level: Ramp,
    /// Its share of the crossfade.
    pub fader: Ramp,
    /// The pair of output channels it goes to.
    pub pair: usize,
    /// How its tempo is changed.
    pub method: Method,
    /// Change of key of stems that keep their pitch, as a factor.
    pub key: f64,
    /// The tempo at which its stems play at their own speed; `None`: whatever the clock does.
    pub base: Option<f64>,
    /// What it contributes to the present quantum.
    pub left: [f32; GRID],
    /// The right channel of it.
    pub right: [f32; GRID],
    meter: [Meter; 2],
    silent_for: u32,
    silent_after: u32,
}

impl Deck {
    /// A silent deck at full level.
    pub fn new(eq: ThreeBand, sample_rate: u32, pair: usize, level: f32, bpm: f64) -> Deck {
        let silent_after = (EQ_TAIL_SECONDS * f64::from(sample_rate)) as u32;
        Deck {
            eq,
            level: Ramp::new(level),
            fader: Ramp::new(1.0),
            pair,
            method: Method::default(),
            key: 1.0,
            base: Some(bpm),
            left: [0.0; GRID],
            right: [0.0; GRID],
            meter: [Meter::new(sample_rate), Meter::new(sample_rate)],
            silent_for: silent_after,
            silent_after,
        }
    }

    /// How fast its stems play while the clock goes so fast.
    pub fn ratio(&self, bpm: TempoSpan) -> TempoSpan {
        self.base.map_or(TempoSpan::level(1.0), |base| bpm.over(base))
    }

    /// Equalises and scales the span `from..to` of the quantum; `fed` tells whether a group added anything to it.
    /// Returns whether there is anything to be heard.
    pub fn finish(&mut self, from: usize, to: usize, fed: bool) -> bool {
        let n = (to - from) as u32;
        let (left, right) = (&mut self.left[from..to], &mut self.right[from..to]);
        self.silent_for = if fed { 0 } else { self.silent_for.saturating_add(n) };
        let level = self.level.advance(n);
        let fader = self.fader.advance(n);
        if self.silent_for > self.silent_after {
            // What begins next begins with the equaliser where it was set, not on its way there.
            self.eq.settle();
            return false;
        }
        self.eq.process(left, right);
        for plane in [left, right] {
            ramp::scale(plane, level.0 * fader.0, level.1 * fader.1);
        }
        true
    }

    /// Measures the finished quantum.
    pub fn measure(&mut self, cell: &MeterCell) {
        if self.silent_for > self.silent_after + 48_000 {
            return;
        }
        // One cell for both channels: its RMS is that of the channel measured last, its peak that of both.
        self.meter[0].measure(&self.left, cell);
        self.meter[1].measure(&self.right, cell);
    }
}
