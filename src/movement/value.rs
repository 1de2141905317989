//! What a sensor's number means.

/// Above this a number is no movement.
const ABSURD: f64 = 100.0;
/// What a number above 1 is divided by, as in the older server; whatever it is, full movement comes of it.
const ENERGETIC: f64 = 0.6;

/// The share of full movement, 0 to 1, that a sensor's number means; `None` for nonsense: not a number, infinite, or
/// beyond ±100.
pub fn read(number: f64) -> Option<f64> {
    if !number.is_finite() || number.abs() > ABSURD {
        return None;
    }
    Some(if number > 1.0 { (number / ENERGETIC).min(1.0) } else { number.max(0.0) })
}

/// The one name of a part: detectors and older programs call them differently.
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
