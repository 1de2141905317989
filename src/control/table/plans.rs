//! Plans: sections of stems, played one after the other.

use super::{row, value};
use crate::control::commands::fault::Fault;
use crate::control::commands::vocabulary::{Ack, Arg, Call, Default, Kind, Outcome, Row};
use crate::control::conductor::Conductor;
use crate::plans::score::Wishes;

const PATH: Arg = Arg::of("path", Kind::Text);
const RATE_MODE: Arg = Arg::of("rate_mode", Kind::Choice(&["auto", "rate", "stretch"])).or(Default::Text("auto"));
const LENGTH: Arg = Arg::of("length", Kind::Choice(&["first", "longest", "shortest"])).or(Default::Text("first"));
const BARS: Arg = Arg::float("bars", 0.0, 4096.0, "bars").or(Default::Float(0.0));
const SECONDS: Arg = Arg::float("seconds", 0.0, 86_400.0, "s").or(Default::Float(0.0));
const FADE: Arg = Arg::float("fade", -1.0, 64.0, "beats");
const SECTIONS: Arg = Arg::of("sections", Kind::Text).or(Default::Text(""));
const LOOP: Arg = Arg::of("loop", Kind::Flag).or(Default::Int(0));
const WITHIN: Arg = Arg::float("seconds", 0.0, 60.0, "s").or(Default::Float(1.0));

fn wishes(call: &Call) -> Result<Wishes, Fault> {
    let above = |value: f64| (value > 0.0).then_some(value);
    let fade = call.float("fade");
    Ok(Wishes {
        rate_mode: call.text("rate_mode").parse().map_err(|e: String| Fault::refused(e))?,
        length_from: call.text("length").parse().map_err(|e: String| Fault::refused(e))?,
        bars: above(call.float("bars")),
        seconds: above(call.float("seconds")),
        fade: (fade >= 0.0).then_some(fade),
    })
}

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    row(
        "/groove/plan/load",
        &[PATH, RATE_MODE, LENGTH, BARS, SECONDS, FADE.or(Default::Float(-1.0))],
        "Reads a plan (JSON): sections of stems. `rate_mode` says whether stems of another tempo keep their key \
         (`stretch`), follow it like a record (`rate`), or as the plan says for each (`auto`). A section lasts as long as \
         its `first`, `longest` or `shortest` stem, in whole bars, or `bars` or `seconds` if these are above 0. `fade` is \
         in beats; -1: as the plan says. `/done` (with the number of sections, and of stems that are missing) follows when \
         it has been read.",
        Ack::Done,
        |c, call| {
            let (wishes, tempo) = (wishes(call)?, (c.tempo.bpm(), c.tempo.beats_per_bar() as f64));
            c.plans.load(&mut c.cx, call, wishes, tempo)
        },
    ),
    row(
        "/groove/plan/play",
        &[SECTIONS, LOOP],
        "Plays sections of the plan at its tempo, on decks A and B in turn (C and D if they are stretched): at once, or \
         from the next bar on if it plays already. `sections` is a number from 1, a part of a section's name, a range \
         such as `2-4` or `3-`, or empty for all; with `loop` they are repeated.",
        Ack::Done,
        |c, call| c.play_plan(&call.text("sections"), call.flag("loop")),
    ),
    row("/groove/plan/next", &[], "Plays the next section from the next bar on.", Ack::Done, |c, _| {
        c.with_plan(|plans, parts| plans.step(parts, false))
    }),
    row("/groove/plan/back", &[], "Plays the previous section from the next bar on.", Ack::Done, |c, _| {
        c.with_plan(|plans, parts| plans.step(parts, true))
    }),
    value(
        row(
            "/groove/plan/hold",
            &[Arg::of("on", Kind::Flag)],
            "Repeats the present section until it is set to 0; the plan then goes on.",
            Ack::Done,
            |c, call| {
                c.plans.hold(call.flag("on"));
                Ok(Outcome::Done)
            },
        ),
        |c, _| vec![i64::from(c.plans.is_held()).into()],
    ),
    value(
        row(
            "/groove/plan/fade",
            &[FADE],
            "Sets the time within which a section fades out beneath the next one, in beats; -1: as the plan says.",
            Ack::Done,
            |c, call| {
                c.plans.set_fade(call.float("fade"));
                Ok(Outcome::Done)
            },
        ),
        |c, _| vec![c.plans.fade().into()],
    ),
    row("/groove/plan/stop", &[WITHIN], "Fades the plan out and forgets its stems.", Ack::Done, |c, call| {
        c.with_plan(|plans, parts| plans.stop(parts, call.float("seconds")));
        Ok(Outcome::Done)
    }),
    row("/groove/plan/status", &[], "Answers with `/status/plan`.", Ack::Done, |c, _| {
        Ok(Outcome::Answer(vec![c.plans.status(&c.cx)]))
    }),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::score::{LengthFrom, RateMode};

    #[test]
    fn all_modes_can_be_chosen() {
        for (arg, names) in [(RATE_MODE, RateMode::NAMES.map(|n| n.0)), (LENGTH, LengthFrom::NAMES.map(|n| n.0))] {
            let Kind::Choice(choices) = arg.kind else { panic!("{:?}", arg.kind) };
            assert!(names.iter().all(|name| choices.contains(name)) && choices.len() == names.len(), "{choices:?}");
        }
    }
}
