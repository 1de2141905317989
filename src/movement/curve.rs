//! Transfer curves: steps, followed by line segments.

/// A transfer curve. Below the first point of `line`, the result is that of the last step whose threshold the value has
/// reached; above it, points are connected by straight lines, level after the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// (threshold, result), thresholds increasing.
    pub steps: Vec<(f64, f64)>,
    /// (value, result), values increasing.
    pub line: Vec<(f64, f64)>,
}

/// The part of a curve on which a value lies; used for hysteresis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CurvePosition(usize);

impl Curve {
    /// Returns the older server's table of movement (0 to 1) and tempo (BPM).
    pub fn crowd() -> Curve {
        Curve {
            steps: vec![(0.0, 105.0), (0.02, 110.0), (0.05, 115.0), (0.10, 118.0)],
            line: vec![(0.15, 118.0), (0.60, 130.0)],
        }
    }

    /// Validates the curve; on failure returns the name of the list and a message.
    pub fn check(&self, results: std::ops::RangeInclusive<f64>) -> Result<(), (&'static str, String)> {
        for (name, points) in [("steps", &self.steps), ("line", &self.line)] {
            if points.iter().any(|p| !p.0.is_finite() || !results.contains(&p.1)) {
                let (low, high) = (results.start(), results.end());
                return Err((name, format!("expected [value, result] pairs with results between {low} and {high}")));
            }
            if points.windows(2).any(|w| w[1].0 <= w[0].0) {
                return Err((name, "values must increase from pair to pair".into()));
            }
        }
        if let (Some(step), Some(line)) = (self.steps.last(), self.line.first())
            && line.0 <= step.0
        {
            return Err(("line", format!("must begin after the last step, which is at {}", step.0)));
        }
        if self.steps.is_empty() && self.line.is_empty() {
            return Err(("line", "must have at least one point, as in [[0.0, 105.0], [1.0, 130.0]]".into()));
        }
        Ok(())
    }

    /// The thresholds between its parts.
    fn thresholds(&self) -> impl Iterator<Item = f64> + '_ {
        self.steps.iter().skip(1).map(|s| s.0).chain(self.line.first().map(|l| l.0))
    }

    /// Returns the part on which `value` lies. A part is left downwards only when the value is `hysteresis` below its
    /// threshold, so that noise around a threshold has no effect.
    pub fn place(&self, value: f64, before: Option<CurvePosition>, hysteresis: f64) -> CurvePosition {
        let at = |value: f64| CurvePosition(self.thresholds().take_while(|t| value >= *t).count());
        let plain = at(value);
        match before {
            Some(before) if plain < before => at(value + hysteresis).min(before),
            _ => plain,
        }
    }

    /// Returns the result for `value` on the part `place`.
    pub fn result(&self, value: f64, place: CurvePosition) -> f64 {
        match self.steps.get(place.0) {
            Some(step) if place.0 < self.steps.len() => step.1,
            _ => self.on_line(value),
        }
    }

    fn on_line(&self, value: f64) -> f64 {
        let after = self.line.partition_point(|p| p.0 <= value);
        match (after.checked_sub(1).map(|k| self.line[k]), self.line.get(after)) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (value - a.0) / (b.0 - a.0),
            (Some(a), None) => a.1,
            (None, Some(b)) => b.1,
            (None, None) => self.steps.last().map_or(0.0, |s| s.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_older_servers() {
        let curve = Curve::crowd();
        curve.check(20.0..=400.0).unwrap();
        let table = [
            (0.0, 105.0),
            (0.019, 105.0),
            (0.02, 110.0),
            (0.05, 115.0),
            (0.10, 118.0),
            (0.15, 118.0),
            (0.30, 122.0),
            (0.375, 124.0),
            (0.45, 126.0),
            (0.60, 130.0),
            (1.0, 130.0),
        ];
        for (movement, bpm) in table {
            let got = curve.result(movement, curve.place(movement, None, 0.01));
            assert!((got - bpm).abs() < 1e-9, "{movement}: {got}");
        }
    }

    #[test]
    fn noise_around_a_threshold_changes_nothing() {
        let curve = Curve::crowd();
        let mut place = curve.place(0.051, None, 0.01);
        for k in 0..1_000 {
            let value = 0.05 + 0.009 * f64::sin(f64::from(k));
            place = curve.place(value, Some(place), 0.01);
            assert_eq!(curve.result(value, place), 115.0);
        }
        // A value clearly below it is not noise.
        assert_eq!(curve.result(0.039, curve.place(0.039, Some(place), 0.01)), 110.0);
        // The same applies from the line back to the steps.
        let line = curve.place(0.16, None, 0.01);
        assert_eq!(curve.place(0.145, Some(line), 0.01), line);
    }

    #[test]
    fn says_what_is_wrong() {
        let curve = |steps: &[(f64, f64)], line: &[(f64, f64)]| Curve { steps: steps.into(), line: line.into() };
        assert_eq!(curve(&[], &[]).check(0.0..=1.0).unwrap_err().0, "line");
        assert_eq!(curve(&[(0.0, 2.0)], &[]).check(0.0..=1.0).unwrap_err().0, "steps");
        assert_eq!(curve(&[(0.5, 1.0)], &[(0.4, 1.0)]).check(0.0..=1.0).unwrap_err().0, "line");
        assert_eq!(curve(&[(0.5, 1.0), (0.5, 1.0)], &[]).check(0.0..=1.0).unwrap_err().0, "steps");
    }
}
