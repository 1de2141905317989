//! Trend of movement: whether the crowd moves more than it has been.

/// Time constants of the present movement and of what it is compared with, in seconds.
const PRESENT_S: f64 = 60.0;
const USUAL_S: f64 = 600.0;
/// Difference that counts, as a share of the greatest movement; as in the older player.
const DIFFERENCE: f64 = 0.02;

/// Trend of movement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    present: Option<f64>,
    usual: f64,
    /// Time of the latest value in seconds.
    at: f64,
    rises: bool,
}

impl Trend {
    /// Takes in movement (0 to 1; `None` without a sensor) at a time in seconds. Returns whether the crowd moves more
    /// than it has been; between that and less, the latest answer holds.
    pub fn hear(&mut self, movement: Option<f64>, seconds: f64) -> bool {
        let past = std::mem::replace(&mut self.at, seconds);
        let Some(movement) = movement else { return self.rises };
        let Some(present) = &mut self.present else {
            (self.present, self.usual) = (Some(movement), movement);
            return self.rises;
        };
        let share = |constant: f64| 1.0 - (-(seconds - past).max(0.0) / constant).exp();
        *present += (movement - *present) * share(PRESENT_S);
        self.usual += (movement - self.usual) * share(USUAL_S);
        let difference = *present - self.usual;
        if difference.abs() >= DIFFERENCE {
            self.rises = difference > 0.0;
        }
        self.rises
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the answers at the end of each minute of this movement.
    fn minutes(movement: &[Option<f64>]) -> Vec<bool> {
        let mut trend = Trend::default();
        let mut hear = |(minute, movement): (usize, &Option<f64>)| {
            (0..600).fold(false, |_, tick| trend.hear(*movement, minute as f64 * 60.0 + f64::from(tick) * 0.1))
        };
        movement.iter().enumerate().map(&mut hear).collect()
    }

    #[test]
    fn more_movement_than_usual_is_a_rise_until_there_is_less() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(minutes(&some(&[0.2; 5])), [false; 5]);
        assert_eq!(minutes(&some(&[0.2, 0.3, 0.3, 0.3])), [false, true, true, true]);
        assert_eq!(minutes(&some(&[0.2, 0.3, 0.1, 0.1])), [false, true, false, false]);
        // Nobody moves, and then there is no sensor.
        assert_eq!(minutes(&[None, Some(0.2), Some(0.4), None, None]), [false, false, true, true, true]);
    }
}
