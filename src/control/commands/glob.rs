//! Paths with wildcards: `*` matches any sequence of characters, including slashes, and `?` any single one.

/// Returns whether `text` matches `pattern`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Positions at which to resume after a mismatch behind the last star.
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((after, from)) => {
                    back = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Returns whether a path contains a wildcard.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?'])
}

/// Returns whether an address is an OSC 1.0 pattern, which may match several controls.
pub fn is_osc_pattern(address: &str) -> bool {
    address.contains(['*', '?', '[', '{'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_reach_as_far_as_they_must() {
        for (pattern, text, fits) in [
            ("/meter/*", "/meter/output/0", true),
            ("/meter/*", "/meters", false),
            ("*", "/anything/at/all", true),
            ("/groove/deck/?/level", "/groove/deck/a/level", true),
            ("/groove/deck/?/level", "/groove/deck/ab/level", false),
            ("/a*b*c", "/axxbyybzzc", true),
            ("/a*b*c", "/axxbyybzz", false),
            ("/beat", "/beat", true),
            ("/beat", "/beats", false),
            ("", "", true),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
