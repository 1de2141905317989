//! Beats since a section began, whatever becomes of the clock's own count.

use super::super::tempo::Course;

/// Difference between the clock and what was expected that counts as a reset, in beats.
const RESET: f64 = 0.25;

/// The beats of a section that have passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Sample at which counting began, and the beats at that sample.
    start: (u64, f64),
    /// The latest reading: sample, clock's beat, beats passed.
    last: Option<(u64, f64, f64)>,
    /// Whether the latest reading of the clock was not the expected one.
    doubt: bool,
}

impl Count {
    /// Creates a count that is at `beats` at sample `start`, at which the clock is set to 0.
    pub fn new(start: u64, beats: f64) -> Count {
        Count { start: (start, beats), last: None, doubt: false }
    }

    /// Subtracts the beats of a section that is over.
    pub fn next_section(&mut self, beats: f64) {
        self.start.1 -= beats;
        if let Some((_, _, passed)) = &mut self.last {
            *passed -= beats;
        }
    }

    /// Returns the beats that have passed at the course's time; negative before the start.
    pub fn at(&mut self, course: &Course) -> f64 {
        if course.time < self.start.0 {
            return self.start.1 - course.beats_until(self.start.0);
        }
        let (time, beat, passed) = self.last.unwrap_or((self.start.0, 0.0, self.start.1));
        // The tempo may have changed since.
        let expected = -course.beats_until(time);
        let moved = course.beat_now() - beat;
        if (moved - expected).abs() > RESET * (1.0 + expected.abs()) {
            // The clock was set to another beat, or its values were read while they were written: then once only.
            if std::mem::replace(&mut self.doubt, true) {
                self.doubt = false;
                self.last = Some((course.time, course.beat_now(), passed + expected));
            }
            return passed + expected;
        }
        self.doubt = false;
        self.last = Some((course.time, course.beat_now(), passed + moved));
        passed + moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;

    fn course(time: u64, beat: f64, bpm: f64) -> Course {
        Course::steady(time, beat, bpm / 60.0 / RATE)
    }

    #[test]
    fn beats_are_counted_from_the_start_and_from_section_to_section() {
        let mut count = Count::new(48_000, 0.0);
        assert!((count.at(&course(24_000, 17.3, 120.0)) + 1.0).abs() < 1e-9);
        assert!((count.at(&course(72_000, 1.0, 120.0)) - 1.0).abs() < 1e-9);
        assert!((count.at(&course(240_000, 8.0, 120.0)) - 8.0).abs() < 1e-9);
        count.next_section(8.0);
        assert!((count.at(&course(264_000, 9.0, 120.0)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_clock_that_is_reset_does_not_move_a_section() {
        let mut count = Count::new(0, 4.0);
        assert!((count.at(&course(48_000, 2.0, 120.0)) - 6.0).abs() < 1e-9);
        // Reset at sample 60 000.
        for (time, beat) in [(72_000, 0.5), (96_000, 1.5), (120_000, 2.5)] {
            let beats = 4.0 + time as f64 / RATE * 2.0;
            assert!((count.at(&course(time, beat, 120.0)) - beats).abs() < 1e-9, "{time}");
        }
    }

    #[test]
    fn a_torn_reading_changes_nothing() {
        let mut count = Count::new(1_000, 0.0);
        // The old beat, with the time after the reset.
        assert!(count.at(&course(1_480, 93.2, 120.0)).abs() < 0.1);
        assert!((count.at(&course(25_000, 1.0, 120.0)) - 1.0).abs() < 1e-9);
    }
}
