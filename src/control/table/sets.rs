//! Sets: tables of parts, mixed one into the other.

use super::{row, value};
use crate::control::commands::fault::Fault;
use crate::control::commands::vocabulary::{Ack, Arg, Call, Default, Kind, Outcome, Row};
use crate::control::conductor::Conductor;
use crate::control::conductor::sets::{STOP_S, Sets};
use crate::sets::mix::Mix;

const PATH: Arg = Arg::of("path", Kind::Text);
const ORDER: Arg =
    Arg::of("order", Kind::Choice(&["csv", "shuffle", "bpm-up", "bpm-down", "energy", "key"])).or(Default::Text("csv"));
const SEED: Arg = Arg::int("seed", 0, u32::MAX as i64).or(Default::Int(0));

const LIMIT: Arg = Arg::int("limit", 0, 1_000_000).or(Default::Int(0));
const MINUTES: Arg = Arg::float("minutes", 0.0, 10_080.0, "min").or(Default::Float(0.0));
const LOOP: Arg = Arg::of("loop", Kind::Flag).or(Default::Int(0));
const DECKS: Arg = Arg::int("decks", 2, 4).or(Default::Int(3));
const FADE: Arg = Arg::float("fade", 0.0, 64.0, "bars").or(Default::Float(0.0));
const CURVE: Arg = Arg::of("curve", Kind::Choice(&["power", "linear", "cut"])).or(Default::Text("power"));
const BASS: Arg = Arg::of("bass", Kind::Flag).or(Default::Int(1));
const ALIGN: Arg = Arg::of("align", Kind::Choice(&["beat", "bar", "none"])).or(Default::Text("beat"));

fn mix(call: &Call) -> Result<Mix, Fault> {
    let above = |value: f64| (value > 0.0).then_some(value);
    Ok(Mix {
        limit: usize::try_from(call.int("limit")).ok().filter(|limit| *limit > 0),
        minutes: above(call.float("minutes")),
        again: call.flag("loop"),
        decks: usize::try_from(call.int("decks")).unwrap_or(3),
        fade: above(call.float("fade")),
        curve: call.text("curve").parse().map_err(|e: String| Fault::refused(e))?,
        swaps_bass: call.flag("bass"),
        align: call.text("align").parse().map_err(|e: String| Fault::refused(e))?,
    })
}

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
        &[LIMIT, MINUTES, LOOP, DECKS, FADE, CURVE, BASS, ALIGN],
        "Plays the set from its beginning on two, three or four decks in turn, at the first track's tempo: each track \
         begins on the beat of the one before at which its cue is, and both fade within the window. It ends after \
         `limit` tracks, or with the one that sounds after some `minutes` (0: neither), or begins again. `fade` is the \
         length of all fades in bars (0: that of the windows); with `bass`, the low bands change places in the middle of \
         a fade.",
        Ack::Done,
        |c, call| c.play_set(mix(call)?),
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
        c.with_set(|sets, parts| sets.stop(parts, STOP_S));
        Ok(Outcome::Done)
    }),
    row(
        "/groove/set/played",
        &[Arg::int("from", 1, 1_000_000).or(Default::Int(1))],
        "Answers with a `/status/set/played` for each of up to 50 tracks that were played, from the `from`-th on.",
        Ack::Done,
        |c, call| {
            let from = usize::try_from(call.int("from")).unwrap_or(1);
            Ok(Outcome::Answer(c.sets.played(c.cx.rate(), from)))
        },
    ),
    row("/groove/set/status", &[], "Answers with `/status/set`.", Ack::Done, |c, _| {
        Ok(Outcome::Answer(vec![c.sets.status()]))
    }),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::mix::{Align, Curve};
    use crate::sets::order::Order;

    #[test]
    fn all_choices_are_known() {
        for name in ["power", "linear", "cut"] {
            assert!(name.parse::<Curve>().is_ok());
        }
        for name in ["beat", "bar", "none"] {
            assert!(name.parse::<Align>().is_ok());
        }
    }

    #[test]
    fn all_orders_can_be_chosen() {
        let Kind::Choice(names) = ORDER.kind else { panic!("{:?}", ORDER.kind) };
        assert!(names.iter().copied().eq(Order::NAMES.iter().map(|(name, _)| *name)));
    }
}
