//! Stems: loading, playing, stopping.

use super::{Ran, row};
use crate::control::commands::vocabulary::{Ack, Arg, Call, Default, Kind, Outcome, Row};
use crate::control::conductor::Conductor;
use crate::control::conductor::buffer::Start;

const ID: Arg = Arg::int("id", 0, 1_000_000_000);
const RATE: Arg = Arg::float("rate", 0.25, 4.0, "× speed");
const VOLUME: Arg = Arg::float("volume", 0.0, 4.0, "linear");
const LOOP: Arg = Arg::of("loop", Kind::Flag);
const FROM: Arg = Arg::float("start_pos", 0.0, 1.0, "of the file");
const PATH: Arg = Arg::of("path", Kind::Text);

pub(super) fn load(c: &mut Conductor, call: &Call) -> Ran {
    let (path, name) = (call.text("path"), call.text("name"));
    c.stems.load(&mut c.cx, call.int("id"), (&path, &name), call.origin, &call.address)
}

/// Plays `seconds` of a stem, or all of it if that is 0.
fn start(c: &mut Conductor, call: &Call, seconds: f64) -> Ran {
    let (rate, volume, looped) = (call.float("rate"), call.float("volume"), call.flag("loop"));
    let start = Start { rate, volume, looped, from: call.float("start_pos"), seconds };
    c.stems.play(&mut c.cx, &c.tempo, call.int("id"), start, call.at)
}

pub(super) fn play(c: &mut Conductor, call: &Call) -> Ran {
    start(c, call, 0.0)
}

pub(super) fn section(c: &mut Conductor, call: &Call) -> Ran {
    start(c, call, call.float("duration"))
}

pub(super) fn stop(c: &mut Conductor, call: &Call) -> Ran {
    c.stop_stem(call.int("id"), call.at);
    Ok(Outcome::Done)
}

pub(super) fn volume(c: &mut Conductor, call: &Call) -> Ran {
    c.stems.set_volume(&mut c.cx, call.int("id"), (call.float("volume"), None), call.at)
}

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    row(
        "/groove/stem/load",
        &[ID, PATH, Arg::of("name", Kind::Text).or(Default::Text(""))],
        "Loads a file as stem `id`; `/done` (with seconds and megabytes) follows when it can be played. The number \
         decides the deck: A from 100, B from 1100, C from 2100, D from 3100; below 100 is A, from 4100 on D.",
        Ack::Done,
        load,
    ),
    row(
        "/groove/stem/play",
        &[
            ID,
            RATE.or(Default::Float(1.0)),
            VOLUME.or(Default::Float(0.8)),
            LOOP.or(Default::Int(1)),
            FROM.or(Default::Float(0.0)),
        ],
        "Plays a stem; one that is still loading plays as soon as it is loaded.",
        Ack::Done,
        play,
    ),
    row(
        "/groove/stem/section",
        &[
            ID,
            RATE.or(Default::Float(1.0)),
            VOLUME.or(Default::Float(0.8)),
            LOOP.or(Default::Int(1)),
            FROM.or(Default::Float(0.0)),
            Arg::float("duration", 0.0, 86_400.0, "s of the file, 0 is all").or(Default::Float(0.0)),
        ],
        "Plays a section of a stem; a loop repeats just that.",
        Ack::Done,
        section,
    ),
    row("/groove/stem/stop", &[ID], "Fades a stem out within 5 ms and stops it.", Ack::Done, stop),
    row("/groove/stem/unload", &[ID], "Stops a stem and forgets it.", Ack::Done, |c, call| {
        c.stems.unload(&mut c.cx, &mut c.tempo, call.int("id"), call.at);
        Ok(Outcome::Done)
    }),
    row("/groove/stem/volume", &[ID, VOLUME], "Sets a stem's volume.", Ack::Quiet, volume),
    row(
        "/groove/stem/rate",
        &[ID, RATE],
        "Sets a stem's own playback rate, on top of the tempo.",
        Ack::Quiet,
        |c, call| c.stems.set_rate(&mut c.cx, call.int("id"), call.float("rate"), call.at),
    ),
    row(
        "/groove/stem/seek",
        &[ID, FROM],
        "Moves to another place: at once if it is in memory, else with a crossfade as soon as it has been read.",
        Ack::Done,
        |c, call| c.stems.seek(&mut c.cx, &c.tempo, call.int("id"), call.float("start_pos"), call.at),
    ),
];
