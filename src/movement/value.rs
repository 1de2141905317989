//! Interpretation of sensor values.

/// Magnitude above which a number is rejected.
const ABSURD: f64 = 100.0;
/// Divisor for numbers above 1, as in the older server; the result is always full movement.
const ENERGETIC: f64 = 0.6;

/// Converts a sensor's number to a share of full movement, 0 to 1; `None` if it is NaN, infinite, or beyond ±100.
pub fn read(number: f64) -> Option<f64> {
    if !number.is_finite() || number.abs() > ABSURD {
        return None;
    }
    Some(if number > 1.0 { (number / ENERGETIC).min(1.0) } else { number.max(0.0) })
}

/// Returns the canonical name of a body part: detectors and older programs use different ones.
pub fn part(name: &str) -> &str {
    match name {
        "total" | "movement" => "total_movement",
        "arms" | "arm" | "arms_movement" => "arm_movement",
        "legs" | "leg" | "legs_movement" => "leg_movement",
        "head" => "head_movement",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_none() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, -1e9, 100.5] {
            assert_eq!(read(number), None);
        }
        assert_eq!(
            (read(-0.2), read(0.3), read(1.0), read(1.2), read(60.0)),
            (Some(0.0), Some(0.3), Some(1.0), Some(1.0), Some(1.0))
        );
    }
}
