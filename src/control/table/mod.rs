//! The controls: every row of the vocabulary, with what carries it out on the conductor.
//!
//! - [`stems`], [`decks`], [`tempo`], [`voices`], [`session`]: the product's own tree
//! - [`genomes`]: evolution of sounds; [`sets`]: sets; [`plans`]: plans; [`debug`]: faults on purpose
//! - [`events`]: paths that can be subscribed to besides
//! - [`legacy`]: the addresses of the servers that grooved replaces; each does what a row of the tree does

pub mod debug;
pub mod decks;
pub mod events;
pub mod genomes;
pub mod legacy;
pub mod plans;
pub mod session;
pub mod sets;
pub mod stems;
pub mod tempo;
pub mod voices;

use std::fmt::Write;

use crate::control::commands::fault::Fault;
use crate::control::commands::vocabulary::{Ack, Arg, Control, Get, Outcome, Row, Run, Table, Vocabulary};
use crate::control::conductor::Conductor;
use events::STREAMS;

/// What carrying out a call comes to.
type Ran = Result<Outcome, Fault>;

/// A row of an action.
const fn row(
    address: &'static str,
    args: &'static [Arg],
    doc: &'static str,
    ack: Ack,
    run: Run<Conductor>,
) -> Row<Conductor> {
    Row::new(Control { address, args, doc, ack, readable: false, same_as: "" }, run)
}

/// The same with values that can be read.
const fn value(row: Row<Conductor>, get: Get<Conductor>) -> Row<Conductor> {
    row.with_value(get)
}

/// The same as another name for `same_as`.
const fn alias(mut row: Row<Conductor>, same_as: &'static str) -> Row<Conductor> {
    row.control.same_as = same_as;
    row
}

/// All rows; those of [`debug`] only when asked for. `voices` is how many voices there are.
pub fn table(debug: bool, voices: usize) -> Table<Conductor> {
    let debugging = if debug { debug::ROWS } else { &[] };
    let tree =
        [stems::ROWS, decks::ROWS, tempo::ROWS, session::ROWS, voices::ROWS, genomes::ROWS, sets::ROWS, plans::ROWS];
    let rows = tree.into_iter().flatten().chain(debugging).chain(legacy::ROWS).collect();
    Table::new(rows, STREAMS, voices)
}

/// The declarations of all controls; those of [`debug`] only when asked for.
pub fn vocabulary(debug: bool) -> std::sync::Arc<Vocabulary> {
    table(debug, 0).vocabulary()
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
    use super::*;
    use crate::control::commands::value::Value;
    use crate::control::commands::vocabulary::{Call, Default, Kind};
    use crate::control::conductor::rig;

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

    /// A value that an argument accepts.
    fn sample(arg: &Arg) -> Value {
        match arg.kind {
            Kind::Int(low, _) => Value::Int(low),
            Kind::Float(low, high) | Kind::Clamped(low, high) => Value::Float(low.max(high.min(1.0))),
            Kind::Flag | Kind::Each(_) => Value::Int(1),
            Kind::Deck => Value::Int(0),
            Kind::Band => Value::Int(0),
            Kind::Choice(words) => Value::from(words[0]),
            Kind::Text | Kind::Rest => Value::from("x"),
        }
    }

    /// [`Call`] panics in tests if a handler asks for an argument that its control does not declare.
    #[test]
    fn handlers_ask_for_arguments_that_are_declared() {
        let (_engine, mut conductor) = rig::conductor();
        let table = table(true, 4);
        for control in table.vocabulary().all() {
            let (row, _) = table.find(control.address).unwrap();
            let all = control.all_args();
            let optional = |arg: &Arg| arg.default != Default::None;
            for leave_out in [false, true] {
                let args = all.iter().map(|a| (!leave_out || !optional(a)).then(|| sample(a))).collect();
                let address = control.address.replace(['{', '}'], "");
                let call = Call::new(control, address, args, None, None);
                if !control.address.contains("/debug/") {
                    let _ = (row.run)(&mut conductor, &call);
                }
                if let Some(get) = row.get {
                    assert!(!get(&conductor, &call).is_empty(), "{}", control.address);
                }
            }
        }
    }
}
