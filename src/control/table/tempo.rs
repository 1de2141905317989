//! The tempo, beats and bars, and the movement that steers them.

use super::{Ran, alias, row, value};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Ack, Arg, Call, Default, Kind, Outcome, Row};
use crate::control::conductor::Conductor;
use crate::control::conductor::movement::Hand;

const BPM: Arg = Arg::float("bpm", 20.0, 400.0, "BPM");
const SECONDS: Arg = Arg::float("seconds", 0.0, 86_400.0, "s");
const BEATS: Arg = Arg::int("beats_per_bar", 1, 64);

fn tempo(c: &mut Conductor, call: &Call) -> Ran {
    c.set_tempo(call.at, call.float("bpm"), call.maybe_float("seconds"), Hand::Own);
    Ok(Outcome::Done)
}

pub(super) fn beats_per_bar(c: &mut Conductor, call: &Call) -> Ran {
    c.tempo.set_beats_per_bar(call.int("beats_per_bar"));
    Ok(Outcome::Done)
}

pub(super) fn print_clock(c: &mut Conductor, call: &Call) -> Ran {
    c.tempo.print_beats = call.flag("on");
    Ok(Outcome::Done)
}

pub(super) fn reset(c: &mut Conductor, call: &Call) -> Ran {
    c.schedule.reset_clock(&mut c.cx, call.at);
    Ok(Outcome::Done)
}

fn beats_now(c: &Conductor, _: &Call) -> Vec<Value> {
    vec![Value::Int(c.tempo.beats_per_bar())]
}

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    value(
        row(
            "/groove/tempo",
            &[BPM, SECONDS.or(Default::Keep)],
            "Sets the tempo, within `seconds`; every deck whose `sync` is not `off` follows. Beats keep their phase.",
            Ack::Quiet,
            tempo,
        ),
        |c, _| vec![c.tempo.bpm().into()],
    ),
    value(
        row(
            "/groove/base_tempo",
            &[BPM],
            "Sets the tempo at which stems play at their own speed, on decks without a tempo of their own.",
            Ack::Quiet,
            |c, call| {
                c.tempo.set_base_bpm(&mut c.cx, call.at, call.float("bpm"));
                Ok(Outcome::Done)
            },
        ),
        |c, _| vec![c.tempo.base_bpm().into()],
    ),
    value(
        row(
            "/groove/beats_per_bar",
            &[BEATS],
            "Sets the beats per bar: for display, and for decks whose `sync` is `bar`.",
            Ack::Quiet,
            beats_per_bar,
        ),
        beats_now,
    ),
    value(
        alias(
            row("/groove/meter", &[BEATS], "The former name of `/groove/beats_per_bar`.", Ack::Quiet, beats_per_bar),
            "/groove/beats_per_bar",
        ),
        beats_now,
    ),
    row("/groove/clock/reset", &[], "Restarts seconds and beats at zero; stops nothing.", Ack::Done, reset),
    row(
        "/groove/clock/print",
        &[Arg::of("on", Kind::Flag).or(Default::Int(1))],
        "Logs every beat.",
        Ack::Done,
        print_clock,
    ),
    value(
        row(
            "/groove/movement/{part}",
            &[Arg::float("value", -1e6, 1e6, "0 to 1; above 1 is full")],
            "A measurement of movement: `total_movement` steers the tempo, any may be mapped; invalid numbers are counted.",
            Ack::Never,
            |c, call| {
                c.hear_movement(call.last_part(), call.float("value"));
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![c.movement.latest(call.last_part()).into()],
    ),
];
