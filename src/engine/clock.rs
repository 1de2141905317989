//! The music clock: tempo and beats, counted in sample time.

use crate::dsp::fixed::Fixed;

/// The shape of a tempo glide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Changes by a constant number of BPM per second.
    #[default]
    Linear,
    /// Changes by a constant percentage per second.
    Exponential,
}

/// The tempo during a span of frames and how it continues afterwards; also used for a speed that follows the tempo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TempoSpan {
    /// Value at the start of the span.
    pub from: f64,
    /// Value at the end of the span.
    pub to: f64,
    /// Change per frame after the span, if nothing intervenes.
    pub slope: f64,
    /// Number of frames after the span for which `slope` applies.
    pub left: u32,
}

impl TempoSpan {
    /// Creates a span with a constant tempo.
    pub const fn level(tempo: f64) -> TempoSpan {
        TempoSpan { from: tempo, to: tempo, slope: 0.0, left: 0 }
    }

    /// Returns the span in units of `unit`.
    pub fn over(self, unit: f64) -> TempoSpan {
        TempoSpan { from: self.from / unit, to: self.to / unit, slope: self.slope / unit, ..self }
    }

    /// Returns the value in the middle of the span, which is also its mean.
    pub fn mean(&self) -> f64 {
        (self.from + self.to) * 0.5
    }
}

/// Counts tempo and elapsed beats in sample time. Realtime: yes.
///
/// Beats are the exact sum of the tempo over all samples (64 fractional bits): a tempo change affects how fast they
/// advance, never where they are.
#[derive(Debug)]
pub struct MusicClock {
    sample_rate: f64,
    from_bpm: f64,
    bpm: f64,
    target_bpm: f64,
    glide_left: u32,
    glide_total: u32,
    shape: Shape,
    beat: Fixed,
}

impl MusicClock {
    /// Creates a clock at beat zero.
    pub fn new(bpm: f64, sample_rate: u32) -> MusicClock {
        MusicClock {
            sample_rate: f64::from(sample_rate),
            from_bpm: bpm,
            bpm,
            target_bpm: bpm,
            glide_left: 0,
            glide_total: 1,
            shape: Shape::Linear,
            beat: Fixed::ZERO,
        }
    }

    /// Glides to `bpm` over `frames` frames; 0 frames is immediate.
    pub fn set_tempo(&mut self, bpm: f64, frames: u32, shape: Shape) {
        self.shape = shape;
        self.from_bpm = self.bpm;
        self.target_bpm = bpm;
        self.glide_left = frames;
        self.glide_total = frames.max(1);
        if frames == 0 {
            self.bpm = bpm;
        }
    }

    /// Resets the clock to beat zero.
    pub fn reset(&mut self) {
        self.beat = Fixed::ZERO;
    }

    /// Returns the beats since the last reset.
    pub fn beat(&self) -> f64 {
        self.beat.to_f64()
    }

    /// Returns the current tempo in beats per minute.
    pub fn bpm(&self) -> f64 {
        self.bpm
    }

    /// Returns the tempo's rate of change in BPM per frame, and the number of frames left until the target is reached.
    pub fn slope(&self) -> (f64, u32) {
        let left = self.glide_left;
        if left == 0 { (0.0, 0) } else { ((self.target_bpm - self.bpm) / f64::from(left), left) }
    }

    /// Advances by `frames` frames and returns the tempo during them.
    pub fn advance(&mut self, frames: u32) -> TempoSpan {
        let from = self.bpm;
        if self.glide_left > frames {
            self.glide_left -= frames;
            let done = f64::from(self.glide_total - self.glide_left) / f64::from(self.glide_total);
            self.bpm = match self.shape {
                Shape::Linear => self.from_bpm + (self.target_bpm - self.from_bpm) * done,
                Shape::Exponential => self.from_bpm * (self.target_bpm / self.from_bpm).powf(done),
            };
        } else if self.glide_left > 0 {
            self.glide_left = 0;
            self.bpm = self.target_bpm;
        }
        let n = frames.max(1) as usize;
        let step = Fixed::from_f64(from / 60.0 / self.sample_rate);
        let slope = Fixed::from_f64((self.bpm - from) / 60.0 / self.sample_rate).div_int(n);
        self.beat += step.sum_of(slope, frames as usize);
        let slope = match self.shape {
            _ if self.glide_left == 0 => 0.0,
            Shape::Linear => (self.target_bpm - self.from_bpm) / f64::from(self.glide_total),
            Shape::Exponential => self.bpm * (self.target_bpm / self.from_bpm).ln() / f64::from(self.glide_total),
        };
        TempoSpan { from, to: self.bpm, slope, left: self.glide_left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_beats_exactly_for_hours() {
        let mut clock = MusicClock::new(123.45, 48_000);
        let hours = 6;
        for _ in 0..hours * 3600 * 1500 {
            clock.advance(32);
        }
        let wanted = 123.45 * 60.0 * f64::from(hours);
        assert!((clock.beat() - wanted).abs() < 1e-6, "{} beats off", clock.beat() - wanted);
    }

    #[test]
    fn a_change_of_tempo_keeps_the_phase() {
        let mut clock = MusicClock::new(120.0, 48_000);
        for _ in 0..1500 {
            clock.advance(32);
        }
        let before = clock.beat();
        clock.set_tempo(90.0, 4800, Shape::Linear);
        assert_eq!(clock.beat(), before);
        for _ in 0..150 {
            clock.advance(32);
        }
        assert_eq!(clock.bpm(), 90.0);
        // The mean of 120 and 90 over a tenth of a second.
        assert!((clock.beat() - before - 105.0 / 600.0).abs() < 1e-3);
    }
}
