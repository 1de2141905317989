//! Locations and paths in a form in which they can be compared.
//!
//! A `Location` is a URI such as `file://localhost/C:/Users/dj/a%20b.wav`, percent-encoded UTF-8. A path comes from any
//! system, with either separator. Both become the components of an absolute path in one normal form of Unicode, in
//! lower case, with `..` resolved; drive letters and servers are components. "ß" and "SS" stay different: no file
//! system takes them for the same.

use std::path::Path;

use unicode_normalization::UnicodeNormalization;

/// A path that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The components from the last to the first, a `/` after each, so that common tails are common beginnings.
    pub text: String,
    /// Whether it begins at a root, a drive or a server.
    pub absolute: bool,
}

/// The forms of a `Location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// The form of the file.
    pub form: String,
    /// The form with U+FFFD for what is not UTF-8; `None` if it all is. `form` then takes those bytes as Latin-1,
    /// which some programs write.
    pub replaced: Option<String>,
}

/// Returns a text without the blanks around it; Unicode's and the four separators of ASCII.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
}

/// Returns the form of a path; `None` if it has no components. `~` at its start stands for `home`.
pub(super) fn of_path(path: &str, home: Option<&Path>) -> Option<Form> {
    let path = trimmed(path);
    let at_home = match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with(['/', '\\']) => {
            Some(format!("{}{rest}", home.to_string_lossy()))
        }
        _ => None,
    };
    let folded = folded(at_home.as_deref().unwrap_or(path)).replace('\\', "/");
    let drive = matches!(folded.as_bytes(), [b'a'..=b'z', b':'] | [b'a'..=b'z', b':', b'/', ..]);
    let text = reversed(&folded);
    (!text.is_empty()).then(|| Form { text, absolute: drive || folded.starts_with('/') })
}

/// Returns the forms of a `Location`; `None` if it has no components.
///
/// A bare path is accepted too; it always begins at the root.
pub(super) fn of_location(location: &str) -> Option<Located> {
    let bytes = percent_decoded(location);
    let form =
        |text: &str| Some(reversed(file(&folded(trimmed(text)).replace('\\', "/")))).filter(|form| !form.is_empty());
    match str::from_utf8(&bytes) {
        Ok(text) => form(text).map(|form| Located { form, replaced: None }),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|byte| char::from(*byte)));
            }
            form(&text).map(|found| Located { form: found, replaced: form(&String::from_utf8_lossy(&bytes)) })
        }
    }
}

/// Returns what a URI in lower case says about the file: without the scheme and this machine's name.
fn file(uri: &str) -> &str {
    let Some(rest) = uri.strip_prefix("file:").filter(|rest| rest.starts_with('/')) else { return uri };
    // `file:////server` is a common misspelling; a path below this machine's name always begins with '/'.
    rest.strip_prefix("//").map_or(rest, |host| host.strip_prefix("localhost").unwrap_or(host))
}

/// Returns the bytes that a percent-encoded text stands for, decoded once. A `%` without two digits stands for itself,
/// as does `+`.
fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = match others {
            [high, low, after @ ..] if *first == b'%' => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    after
                }
                _ => {
                    bytes.push(b'%');
                    others
                }
            },
            _ => {
                bytes.push(*first);
                others
            }
        };
    }
    bytes
}

/// Returns a text in lower case and in the composed normal form.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // The two small sigmas are one letter; which is right depends on what follows.
    let lower = |c: char| c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c });
    text.nfd().flat_map(lower).nfc().collect()
}

/// Returns the components of a path from the last to the first, a `/` after each.
fn reversed(path: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            _ => components.push(component),
        }
    }
    let mut text = String::with_capacity(path.len() + 1);
    for component in components.iter().rev() {
        text.push_str(component);
        text.push('/');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(location: &str) -> String {
        of_location(location).unwrap().form
    }

    fn path(path: &str) -> String {
        of_path(path, Some(Path::new("/Users/dj"))).unwrap().text
    }

    #[test]
    fn components_are_reversed() {
        assert_eq!(located("file://localhost/Users/dj/a%20b.wav"), "a b.wav/dj/users/");
        assert_eq!(path("/Users/dj/A b.WAV"), "a b.wav/dj/users/");
        assert_eq!(path("~/a.wav"), "a.wav/dj/users/");
        assert_eq!(path("~dj/a.wav"), "a.wav/~dj/");
        assert_eq!(of_path("~/a.wav", None), Some(Form { text: "a.wav/~/".into(), absolute: false }));
        assert_eq!(path("C:\\a\\..\\b.wav"), "b.wav/c:/");
        assert_eq!(path("../../a.wav"), "a.wav/");
    }

    #[test]
    fn absolute_paths_begin_at_a_root_a_drive_or_a_server() {
        let absolute = |path: &str| of_path(path, None).unwrap().absolute;
        assert!(
            ["/a", "C:/a", "c:\\a", "C:", "//nas/a", "\\\\nas\\a", " /a "].map(absolute).into_iter().all(|yes| yes)
        );
        assert!(["a", "a/b", "./a", "~/a", "c:a", "é:/a"].map(absolute).into_iter().all(|yes| !yes));
        assert_eq!(["", " ", "/", ".", "a/..", "//"].map(|path| of_path(path, None)), [const { None }; 6]);
    }

    #[test]
    fn schemes_and_hosts_are_left_out_and_servers_kept() {
        for same in [
            "file://localhost/x/a.wav",
            "FILE://LocalHost/x/a.wav",
            "file:///x/a.wav",
            "file:/x/a.wav",
            "file%3A//localhost/x/a.wav",
            "/x/a.wav",
            "x/a.wav",
            " file:///x//./y/../a.wav ",
            "%20file:///x/a.wav%20",
            "\\x\\a.wav",
        ] {
            assert_eq!(located(same), "a.wav/x/", "{same}");
        }
        assert_eq!(located("file://nas/x/a.wav"), path("//nas/x/a.wav"));
        assert_eq!(located("file:////nas/x/a.wav"), path("\\\\nas\\x\\a.wav"));
        assert_eq!(located("file:a.wav"), "file:a.wav/");
        assert_eq!(["", " ", "file://localhost/", "%20", "/.."].map(of_location), [const { None }; 5]);
    }

    #[test]
    fn escapes_are_decoded_once() {
        assert_eq!(located("/a%2520b+c%2Bd%25%zz%4"), "a%20b+c+d%%zz%4/");
        assert_eq!(located("/100%"), "100%/");
        assert_eq!(located("/%é%C3%a9%"), "%éé%/");
    }

    #[test]
    fn what_is_not_utf8_is_latin1_or_replaced() {
        let found = of_location("/caf%e9/%C3%A9.wav").unwrap();
        assert_eq!((found.form.as_str(), found.replaced.as_deref()), ("é.wav/café/", Some("é.wav/caf\u{fffd}/")));
        assert_eq!(of_location("/caf%C3%A9").unwrap().replaced, None);
    }

    #[test]
    fn case_and_normal_form_do_not_matter_but_letters_do() {
        let pairs = [("ÉTÉ", "e\u{301}te\u{301}"), ("ÜBER", "über"), ("ΟΔΟΣ", "οδος"), ("\u{130}", "i\u{307}")];
        for (one, other) in pairs {
            assert_eq!(path(one), path(other));
        }
        for (one, other) in [("straße", "STRASSE"), ("e", "é"), ("ﬁ", "fi")] {
            assert_ne!(path(one), path(other));
        }
    }

    /// Texts that are equal in lower case, which is all the older exporter compared, have equal forms.
    #[test]
    fn lower_case_does_not_change_the_form() {
        for c in ('\0'..=char::MAX).filter(|c| c.to_lowercase().ne([*c])) {
            let text = format!("a{c}\u{301}");
            assert_eq!(folded(&text), folded(&text.to_lowercase()), "U+{:04X}", u32::from(c));
        }
    }
}
