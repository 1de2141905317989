//! Evolution of sounds.

use super::{Ran, row, value};
use crate::control::commands::vocabulary::{Ack, Arg, Call, Default, Kind, Row};
use crate::control::conductor::Conductor;
use crate::control::conductor::evolution::{EVERY, STEM};

const ID: Arg = Arg::int("id", 0, 1_000_000_000).or(Default::Int(STEM));
const GENOME: Arg = Arg::of("genome", Kind::Text).or(Default::Text(""));

fn vote(c: &mut Conductor, call: &Call, is_for: bool) -> Ran {
    c.evolution.vote(&mut c.cx, (&call.text("genome"), c.stems.requested(STEM)), is_for, call)
}

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
        |c, call| vote(c, call, true),
    ),
    row(
        "/groove/genome/dislike",
        &[GENOME],
        "Votes against a genome; without its id, against the one that is presented.",
        Ack::Done,
        |c, call| vote(c, call, false),
    ),
    value(
        row(
            EVERY,
            &[Arg::float("seconds", 0.0, 3_600.0, "s")],
            "Presents a genome now if none is, and the next one whenever one has been presented for so long, but at \
             least 1 s; 0: only when it is asked for.",
            Ack::Quiet,
            |c, call| c.evolution.set_every(&mut c.cx, call.float("seconds")),
        ),
        |c, _| vec![c.evolution.every().into()],
    ),
];
