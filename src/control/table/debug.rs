//! Controls that exist only with `GROOVED_DEBUG=1`: faults on purpose, for tests.

use super::row;
use crate::control::commands::vocabulary::{Ack, Arg, Kind, Outcome, Row};
use crate::control::conductor::Conductor;

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    row(
        "/groove/debug/stall_audio",
        &[Arg::int("ms", 0, 60_000)],
        "Stalls the audio thread once.",
        Ack::Done,
        |c, call| {
            c.stall("audio", call.int("ms").unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/stall_disk",
        &[Arg::int("ms", 0, 60_000)],
        "Stalls the disk threads once.",
        Ack::Done,
        |c, call| {
            c.stall("disk", call.int("ms").unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/slow_stretch",
        &[Arg::int("us", 0, 1_000_000)],
        "Makes the stretch worker sleep for each 64 frames; 0 ends that.",
        Ack::Done,
        |c, call| {
            c.stall("stretch", call.int("us").unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/slow_voices",
        &[Arg::int("us", 0, 1_000_000)],
        "Makes the voices' worker sleep for each 32 frames; 0 ends that.",
        Ack::Done,
        |c, call| {
            c.stall("voices", call.int("us").unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/hang",
        &[Arg::of("worker", Kind::Choice(&["voices", "stretch"])), Arg::int("ms", 0, 60_000)],
        "Makes a worker busy without progress once, as if it had stopped responding.",
        Ack::Done,
        |c, call| {
            c.stall(&format!("hang {}", call.text("worker")), call.int("ms").unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/stall_loader",
        &[Arg::int("ms", 0, 60_000)],
        "Makes the next load take longer.",
        Ack::Done,
        |c, call| {
            c.stall("loader", call.int("ms").unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/page_out",
        &[],
        "Lets the kernel page out all of the process that is not locked.",
        Ack::Done,
        |c, _| {
            c.stall("pages", 0);
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/stall_conductor",
        &[Arg::int("ms", 0, 60_000)],
        "Stalls the conductor once.",
        Ack::Done,
        |c, call| {
            c.stall("conductor", call.int("ms").unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
];
