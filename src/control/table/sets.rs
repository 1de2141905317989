//! Sets: tables of parts, mixed one into the other.

use super::{row, value};
use crate::control::commands::vocabulary::{Ack, Arg, Default, Kind, Outcome, Row};
use crate::control::conductor::Conductor;
use crate::control::conductor::sets::Sets;

const PATH: Arg = Arg::of("path", Kind::Text);
const ORDER: Arg =
    Arg::of("order", Kind::Choice(&["csv", "shuffle", "bpm-up", "bpm-down", "energy", "key"])).or(Default::Text("csv"));
const SEED: Arg = Arg::int("seed", 0, u32::MAX as i64).or(Default::Int(0));

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    row(
        "/groove/set/load",
        &[PATH, ORDER, SEED],
        "Reads a set: a table of parts as `grooved sections` writes it. `order` arranges the tracks; the same `seed` \
         gives the same order everywhere. `/done` (with the number of tracks, and of rows that cannot be played) \
         follows when it has been read.",
        Ack::Done,
        |c, call| c.sets.load(&mut c.cx, call),
    ),
    row(
        "/groove/set/play",
        &[],
        "Plays the set from its beginning on decks A, B and C in turn, at the first track's tempo: each track begins \
         on the beat of the one before at which its cue is, and both fade within the window.",
        Ack::Done,
        |c, _| c.with_set(Sets::play),
    ),
    row("/groove/set/skip", &[], "Begins the next track at the next bar.", Ack::Done, |c, _| c.sets.skip()),
    row("/groove/set/back", &[], "Begins the track before the present one at the next bar.", Ack::Done, |c, _| {
        c.with_set(Sets::back)
    }),
    value(
        row(
            "/groove/set/hold",
            &[Arg::of("on", Kind::Flag)],
            "Repeats the last eight bars before the cue until it is set to 0; the set then goes on.",
            Ack::Quiet,
            |c, call| {
                c.sets.hold(call.flag("on"));
                Ok(Outcome::Done)
            },
        ),
        |c, _| vec![i64::from(c.sets.is_held()).into()],
    ),
    row("/groove/set/stop", &[], "Fades the set out within a second and forgets its stems.", Ack::Done, |c, _| {
        c.with_set(Sets::stop);
        Ok(Outcome::Done)
    }),
    row("/groove/set/status", &[], "Answers with `/status/set`.", Ack::Done, |c, _| {
        Ok(Outcome::Answer(vec![c.sets.status()]))
    }),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::order::Order;

    #[test]
    fn all_orders_can_be_chosen() {
        let Kind::Choice(names) = ORDER.kind else { panic!("{:?}", ORDER.kind) };
        assert!(names.iter().copied().eq(Order::NAMES.iter().map(|(name, _)| *name)));
    }
}
