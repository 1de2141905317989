//! Numbers as text, as the older exporter reads and writes them.

/// Parses a decimal number: blanks around it and single underscores between digits are accepted; `inf` and `nan` are
/// numbers too.
pub fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let between_digits =
        |k: usize| k > 0 && bytes[k - 1].is_ascii_digit() && bytes.get(k + 1).is_some_and(u8::is_ascii_digit);
    if (0..bytes.len()).any(|k| bytes[k] == b'_' && !between_digits(k)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// Returns the shortest text that reads back as the same number: always with `.0` or an exponent, which is used below
/// 1e-4 and from 1e16 on and has a sign and at least two digits.
pub fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    let text = format!("{value:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
    }
}

/// Returns a duration as `M:SS.ss`: minutes unpadded and beyond 59, nothing below zero.
pub fn minutes(seconds: f64) -> String {
    let seconds = if seconds > 0.0 { seconds } else { 0.0 };
    let whole = (seconds / 60.0).floor();
    let rest = format!("{:05.2}", seconds - whole * 60.0);
    // Rounding may complete the minute.
    if rest == "60.00" { format!("{}:00.00", whole + 1.0) } else { format!("{whole}:{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_like_those_of_the_older_exporter() {
        for (value, text) in [
            (122.0, "122.0"),
            (1.0208333333333333, "1.0208333333333333"),
            (7.840000000000001, "7.840000000000001"),
            (9.999999999999897e-5, "9.999999999999897e-05"),
            (0.0001, "0.0001"),
            (0.00024999999999997247, "0.00024999999999997247"),
            (1e16, "1e+16"),
            (-1.5e300, "-1.5e+300"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(shortest(value), text);
            assert!(value.is_nan() || decimal(text) == Some(value), "{text}");
        }
    }

    #[test]
    fn numbers_are_read_like_those_of_the_older_exporter() {
        for (text, value) in [("1_22", Some(122.0)), (" 1e2 ", Some(100.0)), ("inf", Some(f64::INFINITY))] {
            assert_eq!(decimal(text), value);
        }
        for text in ["", "_1", "1_", "1__2", "122,5", "1_.5", "x", "١"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn durations_carry_into_the_minutes() {
        for (value, text) in [
            (59.997, "1:00.00"),
            (59.99, "0:59.99"),
            (4501.0, "75:01.00"),
            (7.0, "0:07.00"),
            (-3.0, "0:00.00"),
            (f64::NAN, "0:00.00"),
            (119.996, "2:00.00"),
        ] {
            assert_eq!(minutes(value), text);
        }
    }
}
