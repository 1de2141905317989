//! Combination of the messages of a time window into one value.

use std::collections::VecDeque;

/// How values are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Arithmetic mean.
    #[default]
    Mean,
    /// Median, which is insensitive to outliers.
    Median,
}

/// Maximum number of values kept: ten per second for a minute.
const MOST: usize = 600;

/// The values of the last seconds; the latest one counts however old it is.
#[derive(Clone, Debug)]
pub struct Window {
    seconds: f64,
    kind: Kind,
    values: VecDeque<(f64, f64)>,
}

impl Window {
    /// Creates an empty window.
    pub fn new(seconds: f64, kind: Kind) -> Window {
        Window { seconds, kind, values: VecDeque::new() }
    }

    /// Adds a value and returns the combined value.
    pub fn push(&mut self, now: f64, value: f64) -> f64 {
        self.values.push_back((now, value));
        while self.values.len() > 1 && (self.values[0].0 < now - self.seconds || self.values.len() > MOST) {
            self.values.pop_front();
        }
        match self.kind {
            Kind::Mean => self.values.iter().map(|v| v.1).sum::<f64>() / self.values.len() as f64,
            Kind::Median => {
                let mut sorted: Vec<f64> = self.values.iter().map(|v| v.1).collect();
                sorted.sort_by(f64::total_cmp);
                let half = sorted.len() / 2;
                if sorted.len() % 2 == 1 { sorted[half] } else { 0.5 * (sorted[half - 1] + sorted[half]) }
            }
        }
    }

    /// Removes all values.
    pub fn clear(&mut self) {
        self.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_and_one_in_ten_seconds_both_count() {
        let mut many = Window::new(5.0, Kind::Mean);
        let mut last = 0.0;
        for k in 0..200 {
            last = many.push(f64::from(k) * 0.1, if k < 100 { 0.0 } else { 0.4 });
        }
        assert!((last - 0.4).abs() < 1e-9);
        let mut few = Window::new(5.0, Kind::Mean);
        few.push(0.0, 0.1);
        assert_eq!(few.push(10.0, 0.3), 0.3);
        let mut median = Window::new(5.0, Kind::Median);
        [0.2, 0.2, 99.0, 0.2].iter().enumerate().for_each(|(k, v)| {
            median.push(k as f64, *v);
        });
        assert_eq!(median.push(4.0, 0.2), 0.2);
    }
}
