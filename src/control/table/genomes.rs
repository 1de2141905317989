//! Evolution of sounds.

use super::{row, value};
use crate::control::commands::vocabulary::{Ack, Arg, Default, Kind, Outcome, Row};
use crate::control::conductor::Conductor;

const ID: Arg = Arg::int("id", 0, 1_000_000_000).or(Default::Int(900));
const GENOME: Arg = Arg::of("genome", Kind::Text).or(Default::Text(""));

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    row(
        "/groove/genome/next",
        &[ID],
        "Presents the next genome of the run of evolution as stem `id`, looped. When all of a generation have been \
         heard, the next one is bred. `/done` (with the genome's id, generation, place and their number) follows when \
         it is chosen.",
        Ack::Done,
        |c, call| c.evolution.next(&mut c.cx, call.int("id"), call),
    ),
    row(
        "/groove/genome/like",
        &[GENOME],
        "Votes for a genome; without its id, for the one that is presented.",
        Ack::Done,
        |c, call| c.evolution.vote(&mut c.cx, &call.text("genome"), true, call),
    ),
    row(
        "/groove/genome/dislike",
        &[GENOME],
        "Votes against a genome; without its id, against the one that is presented.",
        Ack::Done,
        |c, call| c.evolution.vote(&mut c.cx, &call.text("genome"), false, call),
    ),
    value(
        row(
            "/groove/genome/every",
            &[Arg::float("seconds", 0.0, 3_600.0, "s")],
            "Presents the next genome whenever one has been presented for so long; 0: only when it is asked for.",
            Ack::Quiet,
            |c, call| {
                c.evolution.set_every(&c.cx, call.float("seconds"));
                Ok(Outcome::Done)
            },
        ),
        |c, _| vec![c.evolution.every().into()],
    ),
];
