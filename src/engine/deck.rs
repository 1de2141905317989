//! A deck: the sum of its groups, equalised, at its level.

use super::GRID;
use super::clock::TempoSpan;
use super::eq::ThreeBand;
use super::meter::{Meter, MeterCell};
use super::method::Method;
use super::ramp::{self, Ramp};

/// Seconds for which an equaliser rings after its deck fell silent; after this it need not run.
const EQ_TAIL_SECONDS: f64 = 0.5;

/// A deck: the sum of its groups, equalised, at its level. Realtime: yes, except [`Deck::new`].
#[derive(Debug)]
pub struct Deck {
    /// The equaliser.
    pub eq: ThreeBand,
    /// The deck's level (linear).
    pub level: Ramp,
    /// The deck's crossfader gain (linear).
    pub fader: Ramp,
    /// Index of the output pair the deck is routed to.
    pub pair: usize,
    /// The method of changing tempo.
    pub method: Method,
    /// Frequency factor of the key change for stems that keep their pitch.
    pub key: f64,
    /// The tempo at which its stems play at their own speed; `None`: they always do.
    pub base: Option<f64>,
    /// Left channel of its contribution to the current quantum.
    pub left: [f32; GRID],
    /// Right channel of its contribution to the current quantum.
    pub right: [f32; GRID],
    meter: [Meter; 2],
    silent_for: u32,
    silent_after: u32,
}

impl Deck {
    /// Creates a silent deck at level `level`, with stems that play at their own speed at `bpm`.
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

    /// Returns the playback speed of its stems while the clock runs at `bpm`.
    pub fn ratio(&self, bpm: TempoSpan) -> TempoSpan {
        self.base.map_or(TempoSpan::level(1.0), |base| bpm.over(base))
    }

    /// Equalises and scales the span `from..to` of the quantum; `fed` states whether a group added anything to it.
    /// Returns whether the deck is audible.
    pub fn finish(&mut self, from: usize, to: usize, fed: bool) -> bool {
        let n = (to - from) as u32;
        let (left, right) = (&mut self.left[from..to], &mut self.right[from..to]);
        self.silent_for = if fed { 0 } else { self.silent_for.saturating_add(n) };
        let level = self.level.advance(n);
        let fader = self.fader.advance(n);
        if self.silent_for > self.silent_after {
            // The next sound starts with the equaliser at its set gains, not on the way there.
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
        // Both channels share one cell: its RMS is that of the channel measured last, its peak that of both.
        self.meter[0].measure(&self.left, cell);
        self.meter[1].measure(&self.right, cell);
    }
}
