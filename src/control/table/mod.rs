//! The controls: every row of the vocabulary.
//!
//! - [`groove`]: the product's own tree
//! - [`tempo`]: tempo and what moves it
//! - [`voices`]: instruments on the speakers, MIDI
//! - [`streams`]: what can be subscribed to besides
//! - [`older`]: the addresses of the servers it takes the place of; each does what a row of the tree does

pub mod groove;
pub mod older;
pub mod streams;
pub mod tempo;
pub mod voices;

use std::fmt::Write;

pub use streams::STREAMS;

use super::vocabulary::Vocabulary;

/// All controls; those for debugging only when asked for.
pub fn vocabulary(debug: bool) -> Vocabulary {
    vocabulary_of(debug, 0)
}

/// All controls, with so many voices spelled out.
pub fn vocabulary_of(debug: bool, voices: usize) -> Vocabulary {
    let debugging = if debug { groove::DEBUG } else { &[] };
    let ours = groove::CONTROLS.iter().chain(tempo::CONTROLS).chain(voices::CONTROLS);
    Vocabulary::new(ours.chain(debugging).chain(older::CONTROLS), voices)
}

/// The generated part of `docs/controls.md`: all controls, and the states and events that are pushed.
pub fn reference() -> String {
    let mut out = vocabulary(false).reference();
    let _ = writeln!(out, "## Pushed states and events\n\n| path | values | description |\n|---|---|---|");
    for stream in STREAMS {
        let _ = writeln!(out, "| `{}` | {} | {} |", stream.path, stream.fields.join(", "), stream.doc);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::Kind;
    use super::*;

    #[test]
    fn every_row_is_complete_and_no_address_is_there_twice() {
        let vocabulary = vocabulary(true);
        let mut seen = std::collections::HashSet::new();
        for control in vocabulary.all() {
            assert!(seen.insert(control.address), "{} twice", control.address);
            assert!(control.address.starts_with('/') && control.doc.ends_with('.'), "{}", control.address);
            let rest = control.args.iter().position(|a| a.kind == Kind::Rest);
            assert!(rest.is_none_or(|k| k + 1 == control.args.len()), "{}", control.address);
            if !control.same_as.is_empty() {
                assert!(vocabulary.all().iter().any(|c| c.address == control.same_as), "{}", control.same_as);
            }
        }
    }

    #[test]
    fn the_document_of_all_controls_is_up_to_date() {
        let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/controls.md")).unwrap();
        assert!(
            document.contains(super::reference().trim()),
            "docs/controls.md is out of date: run 'make controls' to regenerate it"
        );
    }
}
