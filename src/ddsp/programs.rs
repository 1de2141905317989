//! Choice of an instrument for a General MIDI program.

/// Chooses an installed instrument for a General MIDI program (0 to 127); `None` if `there` is empty.
pub fn instrument_for(program: u8, there: &[String]) -> Option<&str> {
    let wanted: &[&str] = match program {
        40 => &["violin", "cello"],
        41..=55 | 110 => &["cello", "violin"],
        56..=63 => &["trombone"],
        64..=67 => &["saxophone"],
        68..=70 => &["oboe", "clarinet"],
        71 => &["clarinet"],
        _ => &["flute"],
    };
    wanted.iter().find_map(|name| there.iter().find(|t| t == name)).or(there.first()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_find_an_instrument_that_is_there() {
        let there: Vec<String> = ["cello", "clarinet", "flute", "saxophone"].map(String::from).into();
        for (program, name) in
            [(73, "flute"), (42, "cello"), (40, "cello"), (65, "saxophone"), (68, "clarinet"), (0, "flute")]
        {
            assert_eq!(instrument_for(program, &there), Some(name));
        }
        assert_eq!(instrument_for(57, &there), Some("cello"));
        assert_eq!(instrument_for(0, &[]), None);
    }
}
