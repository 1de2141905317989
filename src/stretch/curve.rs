//! Speed over time.

use crate::dsp::fixed::Fixed;
use crate::engine::GRID;

/// Why a curve cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CurveError {
    /// A line is not two numbers.
    #[error("line {0}: expected 'seconds,speed', for example 2.5,1.1")]
    Line(usize),
    /// Times do not increase.
    #[error("line {0}: times must increase from line to line")]
    Order(usize),
    /// A speed is out of range.
    #[error("line {0}: speed must be between 0.125 and 8")]
    Speed(usize),
    /// There are no points.
    #[error("no points: expected lines 'seconds,speed'")]
    Empty,
}

/// Speed over output time: linear between points, constant before the first and after the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// Creates a curve of constant speed.
    pub fn constant(speed: f64) -> Curve {
        Curve { points: vec![(0.0, speed)] }
    }

    /// Parses lines `seconds,speed`; empty lines and those that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Curve, CurveError> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (number, line) in text.lines().enumerate().map(|(k, l)| (k + 1, l.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (time, speed) = line.split_once(',').ok_or(CurveError::Line(number))?;
            let parse = |t: &str| t.trim().parse::<f64>().ok().filter(|v| v.is_finite());
            let (time, speed) = parse(time).zip(parse(speed)).ok_or(CurveError::Line(number))?;
            if points.last().is_some_and(|p| time <= p.0) {
                return Err(CurveError::Order(number));
            }
            if !(0.125..=8.0).contains(&speed) {
                return Err(CurveError::Speed(number));
            }
            points.push((time, speed));
        }
        if points.is_empty() { Err(CurveError::Empty) } else { Ok(Curve { points }) }
    }

    /// Returns the lowest and the highest speed.
    pub fn range(&self) -> (f64, f64) {
        let speeds = self.points.iter().map(|p| p.1);
        (speeds.clone().fold(f64::INFINITY, f64::min), speeds.fold(0.0, f64::max))
    }

    /// Returns the speed at `seconds` of output.
    pub fn at(&self, seconds: f64) -> f64 {
        let after = self.points.partition_point(|p| p.0 <= seconds);
        match (after.checked_sub(1).map(|k| self.points[k]), self.points.get(after)) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (seconds - a.0) / (b.0 - a.0),
            (Some(a), None) => a.1,
            (None, Some(b)) => b.1,
            (None, None) => 1.0,
        }
    }
}

/// The exact input position along a curve, quantum by quantum, as the engine's clock computes it.
#[derive(Clone, Debug)]
pub struct Course {
    curve: Curve,
    rate: f64,
    output: u64,
    position: Fixed,
}

impl Course {
    /// Creates a course at the beginning of sound at `sample_rate`.
    pub fn new(curve: Curve, sample_rate: u32) -> Course {
        Course { curve, rate: f64::from(sample_rate), output: 0, position: Fixed::ZERO }
    }

    /// Returns the input position at the next output frame, the speed there, and the speed a quantum later.
    pub fn now(&self) -> (Fixed, f64, f64) {
        let at = |frames: u64| self.curve.at(frames as f64 / self.rate);
        (self.position, at(self.output), at(self.output + GRID as u64))
    }

    /// Advances by a quantum.
    pub fn advance(&mut self) {
        let (_, from, to) = self.now();
        let slope = if from == to { Fixed::ZERO } else { Fixed::from_f64(to - from).div_int(GRID) };
        self.position += Fixed::from_f64(from).sum_of(slope, GRID);
        self.output += GRID as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straight_between_points_and_level_outside() {
        let curve = Curve::parse("# a ramp\n1, 1.0\n3,2.0\n").unwrap();
        assert_eq!((curve.at(0.0), curve.at(2.0), curve.at(9.0)), (1.0, 1.5, 2.0));
        let mut course = Course::new(curve, 32_000);
        for _ in 0..4_000 {
            course.advance();
        }
        // One second at 1, two at 1.5 on average, one at 2. The speed of a frame is the one at its beginning, so a rise
        // of one loses half a frame.
        assert!((course.now().0.to_f64() - 6.0 * 32_000.0 + 0.5).abs() < 1e-3, "{}", course.now().0.to_f64());
    }

    #[test]
    fn says_what_is_wrong_with_a_line() {
        assert_eq!(Curve::parse("1,1\n1,2"), Err(CurveError::Order(2)));
        assert_eq!(Curve::parse("1;1"), Err(CurveError::Line(1)));
        assert_eq!(Curve::parse("1,0"), Err(CurveError::Speed(1)));
        assert_eq!(Curve::parse("\n#\n"), Err(CurveError::Empty));
    }
}
