//! Tempo: the clock's, the decks', and what moves it.

use super::super::conductor::Conductor;
use super::super::conductor::tempo::Sync;
use super::super::vocabulary::{Ack, Arg, Call, Control, Default, Fault, Kind, Outcome};
use super::groove::{row, value};
use crate::engine::method::Method;

const BPM: Arg = Arg::float("bpm", 20.0, 400.0, "BPM");
const SECONDS: Arg = Arg::float("seconds", 0.0, 86_400.0, "s");

type Ran = Result<Outcome, Fault>;

fn tempo(c: &mut Conductor, call: &Call) -> Ran {
    c.set_tempo(call.at, call.float(0), call.maybe_float(1));
    Ok(Outcome::Done)
}

fn stretch(c: &mut Conductor, call: &Call) -> Ran {
    let method: Method =
        call.text(1).parse().map_err(|e: crate::engine::method::UnknownMethod| Fault(e.to_string()))?;
    c.set_method(call.deck(0), method, call.at);
    Ok(Outcome::Done)
}

/// The rows.
pub static CONTROLS: &[Control] = &[
    value(
        row(
            "/groove/tempo",
            &[BPM, SECONDS.or(Default::Keep)],
            "Sets the tempo, within `seconds`; every deck whose `sync` is not `off` follows. Beats keep their phase.",
            Ack::Quiet,
            tempo,
        ),
        |c, _| vec![c.tempo().into()],
    ),
    value(
        row(
            "/groove/base_tempo",
            &[BPM],
            "Sets the tempo at which stems play at their own speed, on decks without a tempo of their own.",
            Ack::Quiet,
            |c, call| {
                c.set_base_tempo(call.at, call.float(0));
                Ok(Outcome::Done)
            },
        ),
        |c, _| vec![c.base_tempo().into()],
    ),
    value(
        row(
            "/groove/deck/{deck}/stretch",
            &[Arg::of("method", Kind::Choice(Method::NAMES))],
            "Sets how a deck's tempo is changed: `playback_rate` (pitch goes with it), `wsola` or `hq` (pitch stays). \
             What plays goes on from where it is. `audiotsm` is `wsola`; `rubberband` and `pyrubberband` are `hq`, unless the library is built in.",
            Ack::Quiet,
            stretch,
        ),
        |c, call| vec![c.deck(call.deck(0)).pace.method.name().into()],
    ),
    value(
        row(
            "/groove/deck/{deck}/sync",
            &[Arg::of("sync", Kind::Choice(Sync::NAMES))],
            "Sets how far a deck follows the clock: `off`, `tempo`, or `beat` or `bar`, where what starts on it waits \
             until its beats, or bars, fall on the clock's, and cues go to the nearest.",
            Ack::Quiet,
            |c, call| {
                c.set_sync(call.deck(0), Sync::named(&call.text(1)).unwrap_or_default(), call.at);
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![c.deck(call.deck(0)).pace.sync.name().into()],
    ),
    value(
        row("/groove/deck/{deck}/bpm", &[BPM], "Tells a deck's own tempo.", Ack::Quiet, |c, call| {
            c.set_deck_bpm(call.deck(0), Some(call.float(1)), call.at);
            Ok(Outcome::Done)
        }),
        |c, call| vec![c.deck_bpm(call.deck(0)).into()],
    ),
    row(
        "/groove/deck/{deck}/bpm/forget",
        &[],
        "Forgets the tempo a deck was told: that of the JSON file beside its track counts, or the base tempo.",
        Ack::Quiet,
        |c, call| {
            c.set_deck_bpm(call.deck(0), None, call.at);
            Ok(Outcome::Done)
        },
    ),
    value(
        row(
            "/groove/deck/{deck}/key",
            &[Arg::float("semitones", -12.0, 12.0, "semitones")],
            "Changes the key of a deck, whatever its tempo; with `playback_rate`, where pitch goes with speed, nothing.",
            Ack::Quiet,
            |c, call| {
                c.set_key(call.deck(0), call.float(1), call.at);
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![c.deck(call.deck(0)).pace.key.into()],
    ),
    value(
        row(
            "/groove/deck/{deck}/formants",
            &[Arg::of("stay", Kind::Flag)],
            "Whether a deck's formants (what makes a voice that voice) stay where they are when its key changes; with `hq`, at once.",
            Ack::Quiet,
            |c, call| {
                c.set_formants(call.deck(0), call.int(1) != 0);
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![i64::from(c.deck(call.deck(0)).pace.formants).into()],
    ),
    row(
        "/groove/deck/{deck}/loop",
        &[Arg::float("beats", 0.0, 1_024.0, "beats, 0 ends it")],
        "Repeats so many beats of what plays on a deck, from the beat that sounds; 0 lets it play on.",
        Ack::Done,
        |c, call| {
            c.set_loop(call.deck(0), call.float(1), call.at)?;
            Ok(Outcome::Done)
        },
    ),
    value(
        row(
            "/groove/movement/{part}",
            &[Arg::float("value", -1e6, 1e6, "0 to 1; above 1 is full")],
            "A measurement of movement: `total_movement` steers the tempo, any may be mapped; nonsense is counted.",
            Ack::Never,
            |c, call| {
                let part = call.address.rsplit('/').next().unwrap_or_default().to_string();
                c.hear_movement(&part, call.float(1));
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![c.movement(call.address.rsplit('/').next().unwrap_or_default()).into()],
    ),
];
