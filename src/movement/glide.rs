//! Glides from one tempo to another in a given time.

pub use crate::engine::clock::Shape;

/// Change of the target in BPM below which a glide in progress is bent; a larger one starts a new glide.
pub const BEND_BPM: f64 = 0.5;

/// A glide, as it was last started or bent; it arrives on time whatever happens in between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glide {
    from: f64,
    to: f64,
    began: f64,
    ends: f64,
    shape: Shape,
    /// When it was started, as opposed to bent.
    fresh: f64,
}

/// A command to reach a tempo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TempoGlide {
    /// Target tempo in BPM.
    pub bpm: f64,
    /// Duration in seconds from now.
    pub seconds: f64,
    /// Shape of the glide.
    pub shape: Shape,
    /// Whether it starts a new glide, or bends the one in progress.
    pub fresh: bool,
}

impl Glide {
    /// Creates a glide at rest at `bpm`.
    pub fn resting(bpm: f64) -> Glide {
        Glide { from: bpm, to: bpm, began: 0.0, ends: 0.0, shape: Shape::Linear, fresh: f64::NEG_INFINITY }
    }

    /// Target tempo in BPM.
    pub fn target(&self) -> f64 {
        self.to
    }

    /// Returns whether it is in progress.
    pub fn is_moving(&self, now: f64) -> bool {
        now < self.ends && self.from != self.to
    }

    /// Tempo in BPM at a moment.
    pub fn at(&self, now: f64) -> f64 {
        if now >= self.ends || self.ends <= self.began {
            return self.to;
        }
        let done = ((now - self.began) / (self.ends - self.began)).max(0.0);
        match self.shape {
            Shape::Linear => self.from + (self.to - self.from) * done,
            Shape::Exponential => self.from * (self.to / self.from).powf(done),
        }
    }

    /// Moves the target; returns `None` if it is unchanged.
    ///
    /// For `grace` seconds after a glide began, every change bends it: a step that is spread by a window over messages
    /// counts as one change, and arrives `seconds` after it began.
    pub fn aim(&mut self, now: f64, target: f64, seconds: f64, grace: f64, shape: Shape) -> Option<TempoGlide> {
        if target == self.to {
            return None;
        }
        let in_grace = now - self.fresh <= grace.min(0.3 * seconds);
        let bends = self.is_moving(now) && (in_grace || (target - self.to).abs() < BEND_BPM);
        let from = self.at(now);
        let left = (self.ends - now).max(1e-3);
        let ends = match (bends, in_grace) {
            (false, _) => now + seconds,
            (true, true) => self.ends,
            // Do not rush at the end of a glide to make up for a late change.
            (true, false) => {
                let fastest = (self.to - from).abs() / left + BEND_BPM / (0.1 * seconds).max(1e-3);
                self.ends.max(now + (target - from).abs() / fastest)
            }
        };
        let fresh = if bends { self.fresh } else { now };
        *self = Glide { from, to: target, began: now, ends, shape, fresh };
        Some(TempoGlide { bpm: target, seconds: ends - now, shape, fresh: !bends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_it_says_even_if_the_target_moves_ten_times_a_second() {
        for shape in [Shape::Linear, Shape::Exponential] {
            let mut glide = Glide::resting(120.0);
            let mut last = 120.0;
            glide.aim(0.0, 126.0, 30.0, 0.0, shape);
            for k in 1..300 {
                let now = f64::from(k) * 0.1;
                let before = glide.at(now);
                glide.aim(now, 126.0 + 0.2 * f64::sin(now), 30.0, 0.0, shape);
                // Bending must not cause a jump.
                assert!((glide.at(now) - before).abs() < 1e-9);
                assert!((before - last).abs() < 0.15, "{now}: {last} {before}");
                last = before;
            }
            // It follows the moving target, with a lag of less than a bend.
            assert!((glide.at(31.5) - 126.0).abs() < BEND_BPM);
        }
    }

    #[test]
    fn a_larger_move_starts_anew_from_where_the_tempo_is() {
        let mut glide = Glide::resting(120.0);
        glide.aim(0.0, 130.0, 30.0, 0.0, Shape::Linear);
        let order = glide.aim(15.0, 110.0, 30.0, 0.0, Shape::Linear).unwrap();
        assert_eq!((order.seconds, order.fresh), (30.0, true));
        assert_eq!((glide.at(15.0), glide.at(30.0), glide.at(45.0)), (125.0, 117.5, 110.0));
    }
}
