//! Decks: levels, equalisers, cues, the crossfader, and how each deck follows the tempo.

use super::{Ran, row, value};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Ack, Arg, Call, Default, Kind, Outcome, Row, deck_index, deck_name};
use crate::control::conductor::Conductor;
use crate::control::conductor::mixer::gain_of_percent;
use crate::control::conductor::pace::Sync;
use crate::engine::method::{Method, UnknownMethod};

const FROM: Arg = Arg::float("start_pos", 0.0, 1.0, "of the file");
const LEVEL: Arg = Arg::float("level", 0.0, 4.0, "linear");
const PERCENT: Arg = Arg::clamped("percent", 0.0, 50.0, "%, 0 kills, 50 is flat");
const SECONDS: Arg = Arg::float("seconds", 0.0, 86_400.0, "s");
const PATH: Arg = Arg::of("path", Kind::Text);
const START_AT: Arg = Arg::float("start_at", 0.0, 86_400.0, "s from now");
const BPM: Arg = Arg::float("bpm", 20.0, 400.0, "BPM");
/// The shortest fade, in seconds.
const SHORTEST_S: f64 = 0.005;

pub(super) fn band_gain(c: &mut Conductor, call: &Call) -> Ran {
    c.mixer.set_band(&mut c.cx, call.deck("deck"), call.band("band"), call.float("gain"), call.at);
    Ok(Outcome::Done)
}

pub(super) fn band_percent(c: &mut Conductor, call: &Call) -> Ran {
    let gain = gain_of_percent(call.float("percent"));
    c.mixer.set_band(&mut c.cx, call.deck("deck"), call.band("band"), gain, call.at);
    Ok(Outcome::Done)
}

pub(super) fn cue(c: &mut Conductor, call: &Call) -> Ran {
    c.cue(call.deck("deck"), &call.text("path"), call.float("start_pos"), call)
}

/// Decks, and a number of seconds anywhere among them: the last one counts, as in the older server.
fn start_group(c: &mut Conductor, call: &Call) -> Ran {
    let (mut seconds, mut decks) = (0.0, Vec::new());
    for value in call.rest() {
        match (value, deck_index(value)) {
            (Value::Text(_), Some(deck)) if value.as_float().is_none() => decks.push(deck),
            _ => match value.as_float() {
                Some(s) if (0.0..=86_400.0).contains(&s) => seconds = s,
                _ => {
                    return Err(Fault::refused(format!(
                        "argument {value} is neither a deck (a, b, c, d) nor a number of seconds from 0 to 86400"
                    )));
                }
            },
        }
    }
    decks.sort_unstable();
    decks.dedup();
    c.start_group(decks, seconds, call)
}

pub(super) fn play_on_deck(c: &mut Conductor, call: &Call) -> Ran {
    c.play_on_deck(call.deck("deck"), &call.text("path"), call.float("start_at"), call)
}

pub(super) fn fade(c: &mut Conductor, call: &Call) -> Ran {
    let (deck, seconds, duration) = (call.deck("deck"), call.float("start_at"), call.float("duration"));
    let duration = duration.max(SHORTEST_S);
    if seconds <= 0.0 {
        c.mixer.set_level(&mut c.cx, deck, 0.0, Some(duration), call.at);
        return Ok(Outcome::Done);
    }
    let address = format!("/groove/deck/{}/level", deck_name(deck));
    let calls = vec![Message::new(address, vec![Value::Float(0.0), Value::Float(duration)])];
    c.schedule_in(seconds, call, calls)
}

pub(super) fn crossfade(c: &mut Conductor, call: &Call) -> Ran {
    let (position, seconds) = (call.float("position"), call.maybe_float("seconds"));
    c.mixer.set_crossfade(&mut c.cx, position, &call.text("curve"), seconds, call.at);
    Ok(Outcome::Done)
}

fn stretch(c: &mut Conductor, call: &Call) -> Ran {
    let method: Method = call.text("method").parse().map_err(|e: UnknownMethod| Fault::refused(e.to_string()))?;
    c.stretching.set_method(&mut c.cx, &mut c.tempo, call.deck("deck"), method, call.at);
    Ok(Outcome::Done)
}

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    value(
        row(
            "/groove/deck/{deck}/level",
            &[LEVEL, SECONDS.or(Default::Keep)],
            "Sets a deck's level, within `seconds` (at least 5 ms).",
            Ack::Quiet,
            |c, call| {
                let level = call.float("level");
                c.mixer.set_level(&mut c.cx, call.deck("deck"), level, call.maybe_float("seconds"), call.at);
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![c.mixer.channels[call.deck("deck")].level.into()],
    ),
    value(
        row(
            "/groove/deck/{deck}/eq/{band}",
            &[PERCENT],
            "Sets a band in percent: 0 and below kill, 50 and above are flat, between them −24 to 0 dB.",
            Ack::Quiet,
            band_percent,
        ),
        |c, call| {
            let gain = c.mixer.channels[call.deck("deck")].bands[call.band("band") as usize];
            let percent = if gain <= 0.0 { 0.0 } else { 50.0 * (1.0 + 20.0 * gain.log10() / 24.0) };
            vec![percent.clamp(0.0, 50.0).into()]
        },
    ),
    value(
        row(
            "/groove/deck/{deck}/gain/{band}",
            &[Arg::float("gain", 0.0, 8.0, "linear")],
            "Sets a band's gain: 0 kills, 1 is flat.",
            Ack::Quiet,
            band_gain,
        ),
        |c, call| vec![c.mixer.channels[call.deck("deck")].bands[call.band("band") as usize].into()],
    ),
    row(
        "/groove/deck/{deck}/cue",
        &[PATH, FROM.or(Default::Float(0.0))],
        "Loads a track onto a deck, unless it is loaded already, and makes it ready to start.",
        Ack::Done,
        cue,
    ),
    row(
        "/groove/deck/{deck}/play",
        &[PATH, START_AT.or(Default::Float(0.0))],
        "Loads a track onto a deck, unless it is loaded already, and plays it from its beginning.",
        Ack::Done,
        play_on_deck,
    ),
    row(
        "/groove/deck/{deck}/fade",
        &[START_AT.or(Default::Float(0.0)), Arg::float("duration", 0.0, 3_600.0, "s").or(Default::Float(2.0))],
        "Fades a deck out in a straight line.",
        Ack::Done,
        fade,
    ),
    row("/groove/deck/{deck}/stop", &[], "Stops every stem of a deck.", Ack::Done, |c, call| {
        c.stop_deck(call.deck("deck"), call.at);
        Ok(Outcome::Done)
    }),
    row(
        "/groove/start",
        &[Arg::of("start_at and decks", Kind::Rest)],
        "Starts cued decks on one sample, `start_at` seconds from now or as soon as the last one is ready; after \
         `media.group_wait_s` it starts those that are ready, and `/fail` names the others.",
        Ack::Done,
        start_group,
    ),
    value(
        row(
            "/groove/crossfade",
            &[
                Arg::float("position", 0.0, 1.0, "0 is A, 1 is B"),
                Arg::of("curve", Kind::Choice(&["linear", "power", "cut", "off"])).or(Default::Text("power")),
                SECONDS.or(Default::Keep),
            ],
            "Fades between decks A and B, on top of their levels; `off` opens both.",
            Ack::Quiet,
            crossfade,
        ),
        |c, _| {
            let (position, curve) = c.mixer.crossfade();
            vec![position.into(), curve.into()]
        },
    ),
    value(
        row("/groove/master", &[LEVEL, SECONDS.or(Default::Keep)], "Sets the master gain.", Ack::Quiet, |c, call| {
            c.mixer.set_master(&mut c.cx, call.float("level"), call.maybe_float("seconds"), call.at);
            Ok(Outcome::Done)
        }),
        |c, _| vec![c.mixer.master().into()],
    ),
    value(
        row(
            "/groove/deck/{deck}/stretch",
            &[Arg::of("method", Kind::Choice(Method::NAMES))],
            "Sets how a deck's tempo is changed: `playback_rate` (pitch follows), `wsola` or `hq` (pitch stays). What plays \
             continues where it is. `audiotsm` is `wsola`; `rubberband` and `pyrubberband` are `hq`, unless the library \
             is built in.",
            Ack::Quiet,
            stretch,
        ),
        |c, call| vec![c.tempo.paces[call.deck("deck")].method.name().into()],
    ),
    value(
        row(
            "/groove/deck/{deck}/sync",
            &[Arg::of("sync", Kind::Choice(Sync::NAMES))],
            "Sets how far a deck follows the clock: `off`, `tempo`, or `beat` or `bar`, where starts wait until their \
             beats, or bars, fall on the clock's, and cues move to the nearest.",
            Ack::Quiet,
            |c, call| {
                let sync = Sync::named(&call.text("sync")).unwrap_or_default();
                c.tempo.set_sync(&mut c.cx, call.deck("deck"), sync, call.at);
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![c.tempo.paces[call.deck("deck")].sync.name().into()],
    ),
    value(
        row("/groove/deck/{deck}/bpm", &[BPM], "Sets a deck's own tempo.", Ack::Quiet, |c, call| {
            c.tempo.set_deck_bpm(&mut c.cx, call.deck("deck"), Some(call.float("bpm")), call.at);
            Ok(Outcome::Done)
        }),
        |c, call| vec![c.tempo.deck_bpm(call.deck("deck")).into()],
    ),
    row(
        "/groove/deck/{deck}/bpm/forget",
        &[],
        "Forgets the tempo that was set for a deck: that of the JSON file beside its track applies, or the base tempo.",
        Ack::Quiet,
        |c, call| {
            c.tempo.set_deck_bpm(&mut c.cx, call.deck("deck"), None, call.at);
            Ok(Outcome::Done)
        },
    ),
    value(
        row(
            "/groove/deck/{deck}/key",
            &[Arg::float("semitones", -12.0, 12.0, "semitones")],
            "Changes the key of a deck, whatever its tempo; no effect with `playback_rate`, where pitch follows speed.",
            Ack::Quiet,
            |c, call| {
                let (deck, semitones) = (call.deck("deck"), call.float("semitones"));
                c.stretching.set_key(&mut c.cx, &mut c.tempo, deck, semitones, call.at);
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![c.tempo.paces[call.deck("deck")].key.into()],
    ),
    value(
        row(
            "/groove/deck/{deck}/formants",
            &[Arg::of("stay", Kind::Flag)],
            "Sets whether a deck's formants, the colour of a voice, stay where they are when its key changes; with `hq`.",
            Ack::Quiet,
            |c, call| {
                c.stretching.set_formants(&mut c.tempo, call.deck("deck"), call.flag("stay"));
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![i64::from(c.tempo.paces[call.deck("deck")].formants).into()],
    ),
    row(
        "/groove/deck/{deck}/loop",
        &[Arg::float("beats", 0.0, 1_024.0, "beats, 0 ends it")],
        "Repeats the next beats of what plays on a deck, from the beat that sounds; 0 plays on.",
        Ack::Done,
        |c, call| {
            c.stems.set_loop(&mut c.cx, &c.tempo, call.deck("deck"), call.float("beats"), call.at)?;
            Ok(Outcome::Done)
        },
    ),
];
