//! Addresses of the servers that grooved replaces: their argument orders and defaults.
//!
//! They are lenient where those servers were: a number out of range is clamped, a time in the past means now, and what
//! those servers ignored is ignored. The first case of each kind is logged ([`Lenience`]).
//!
//! [`Lenience`]: crate::control::conductor::lenience::Lenience

use super::{Ran, decks, session, stems, tempo};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Ack, Arg, Call, Control, Default, Kind, Outcome, Row, Run, deck_index};
use crate::control::conductor::Conductor;
use crate::control::conductor::mixer::gain_of_percent;
use crate::control::conductor::movement::Hand;
use crate::control::conductor::status;
use crate::engine::eq::Band;

const ID: Arg = Arg::int("buffer_id", 0, 1_000_000_000).known_as("id");
const DECK: Arg = Arg::of("deck", Kind::Deck);
const BAND: Arg = Arg::of("band", Kind::Band);
const LEVEL: Arg = Arg::clamped("level", 0.0, 4.0, "linear");
const PERCENT: Arg = Arg::clamped("percent", 0.0, 50.0, "%");
const RATE: Arg = Arg::clamped("rate", 0.25, 4.0, "× speed").or(Default::Float(1.0));
const VOLUME: Arg = Arg::clamped("volume", 0.0, 4.0, "linear");
const LOOP: Arg = Arg::of("loop", Kind::Flag).or(Default::Int(1));
const FROM: Arg =
    Arg::clamped("start_pos", 0.0, LONGEST_S, "of the file up to 1, above 1 in s").or(Default::Float(0.0));
const START_AT: Arg = Arg::clamped("start_at", 0.0, LONGEST_S, "s from now").or(Default::Float(0.0));
/// The longest time, in seconds.
const LONGEST_S: f64 = 86_400.0;

const fn row(
    address: &'static str,
    args: &'static [Arg],
    doc: &'static str,
    ack: Ack,
    run: Run<Conductor>,
    same_as: &'static str,
) -> Row<Conductor> {
    Row::new(Control { address, args, doc, ack, readable: false, same_as }, run)
}

/// Sets the levels of the decks that are named.
fn levels(c: &mut Conductor, call: &Call) -> Ran {
    for (deck, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        if let Some(level) = call.maybe_float(name) {
            c.mixer.set_level(&mut c.cx, deck, level, None, call.at);
        }
    }
    Ok(Outcome::Done)
}

/// Sets the levels of decks A and B.
fn two_levels(c: &mut Conductor, call: &Call) -> Ran {
    for (deck, name) in ["a", "b"].into_iter().enumerate() {
        c.mixer.set_level(&mut c.cx, deck, call.float(name), None, call.at);
    }
    Ok(Outcome::Done)
}

/// Whether the equaliser's addresses take effect: the older servers ignored them unless it was switched on.
fn has_filters(c: &mut Conductor, call: &Call) -> bool {
    let on = c.cx.settings.mixer.filters;
    if !on {
        c.lenience.log_once("", "filters", || {
            let address = &call.address;
            format!(
                "{address} is ignored, as are /deck_eq, /deck_eq_all and /deck_filter: filters are off; --enable-filters or \
                 mixer.filters = true turns them on, and /groove/deck/…/eq/… always works"
            )
        });
    }
    on
}

fn filter(c: &mut Conductor, call: &Call) -> Ran {
    if has_filters(c, call) { decks::band_gain(c, call) } else { Ok(Outcome::Done) }
}

fn eq(c: &mut Conductor, call: &Call) -> Ran {
    if has_filters(c, call) { decks::band_percent(c, call) } else { Ok(Outcome::Done) }
}

fn eq_all(c: &mut Conductor, call: &Call) -> Ran {
    if !has_filters(c, call) {
        return Ok(Outcome::Done);
    }
    for (name, band) in [("low", Band::Low), ("mid", Band::Mid), ("high", Band::High)] {
        let gain = gain_of_percent(call.float(name));
        c.mixer.set_band(&mut c.cx, call.deck("deck"), band, gain, call.at);
    }
    Ok(Outcome::Done)
}

/// Logs a start in seconds, where the older servers expected a fraction of the file.
fn log_seconds(c: &mut Conductor, address: &'static str, from: f64) {
    if from > 1.0 {
        c.lenience.log_once(address, "start_pos in seconds", || {
            format!("{address}: start_pos {from} is above 1 and is taken as seconds into the file")
        });
    }
}

fn play(c: &mut Conductor, call: &Call) -> Ran {
    log_seconds(c, "/play_stem", call.float("start_pos"));
    stems::play(c, call)
}

fn section(c: &mut Conductor, call: &Call) -> Ran {
    log_seconds(c, "/play_stem_section", call.float("start_pos"));
    stems::section(c, call)
}

fn cue(c: &mut Conductor, call: &Call) -> Ran {
    log_seconds(c, "/cue", call.float("start_pos"));
    decks::cue(c, call)
}

/// Decks and a number of seconds in any order. Every number is a time, and the last one counts; a time in the past is
/// now. The decks there are start; the others are reported.
fn start_group(c: &mut Conductor, call: &Call) -> Ran {
    let (mut seconds, mut decks, mut unknown) = (0.0, Vec::new(), Vec::new());
    for value in call.rest() {
        match (value.as_float(), deck_index(value)) {
            (Some(s), _) => seconds = s,
            (None, Some(deck)) => decks.push(deck),
            (None, None) => unknown.push(value.to_string()),
        }
    }
    if !(0.0..=LONGEST_S).contains(&seconds) {
        c.lenience.log_once("/start_group", "start_at", || {
            format!("/start_group: start_at {seconds} is outside 0 to {LONGEST_S} and is clamped")
        });
        seconds = seconds.clamp(0.0, LONGEST_S);
    }
    decks.sort_unstable();
    decks.dedup();
    if unknown.is_empty() {
        return c.start_group(decks, seconds, call);
    }
    unknown.truncate(4);
    let mut why = format!("{}: not a deck (a, b, c or d)", unknown.join(", "));
    if !decks.is_empty() {
        c.start_group(decks, seconds, call)?;
        why.push_str("; the others are started");
    }
    Err(Fault::refused(why))
}

fn schedule_c(c: &mut Conductor, seconds: f64, call: &Call) -> Ran {
    c.schedule_at(seconds, call.origin, vec![Message::new("/play_stem", vec![Value::Int(2100)])])
}

fn movement(c: &mut Conductor, call: &Call) -> Ran {
    let number = |v: &Value| match v {
        // Invalid numbers are counted, not skipped.
        Value::Float(number) => Some(*number),
        other => other.as_float(),
    };
    if let Some(value) = call.rest().find_map(number) {
        c.hear_movement(call.last_part(), value);
    }
    Ok(Outcome::Done)
}

/// Ignores key points, which come thirty times a second and more, without logging.
fn let_go(_: &mut Conductor, _: &Call) -> Ran {
    Ok(Outcome::Done)
}

/// An address that some client sends and no older server acted on, or only one of another kind.
macro_rules! ignored {
    ($address:literal) => {
        row(
            $address,
            VALUES,
            "Ignored, as before; the first one is logged.",
            Ack::Quiet,
            |c, _| {
                c.lenience.log_ignored($address);
                Ok(Outcome::Done)
            },
            "",
        )
    };
}

const VALUES: &[Arg] = &[Arg::of("values", Kind::Rest)];
const MOVEMENT: &str = "A measurement of movement: steers the tempo, and the controls it is mapped to; never answered.";

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    row(
        "/load_buffer",
        &[
            ID,
            Arg::of("file_path", Kind::Text).known_as("path"),
            Arg::of("stem_name", Kind::Text).or(Default::Text("")).known_as("name"),
        ],
        "Loads a file.",
        Ack::Done,
        stems::load,
        "/groove/stem/load",
    ),
    row(
        "/play_stem",
        &[ID, RATE, VOLUME.or(Default::Float(0.8)), LOOP, FROM],
        "Plays a buffer; the rate is honoured (the older servers ignored it).",
        Ack::Done,
        play,
        "/groove/stem/play",
    ),
    row(
        "/play_stem_section",
        &[
            ID,
            RATE,
            VOLUME.or(Default::Float(0.8)),
            LOOP,
            FROM,
            Arg::clamped("duration", 0.0, LONGEST_S, "s").or(Default::Float(0.0)),
        ],
        "Plays a section of a buffer; the duration is honoured (the older server ignored it).",
        Ack::Done,
        section,
        "/groove/stem/section",
    ),
    row("/stop_stem", &[ID], "Stops a buffer; it stays loaded.", Ack::Done, stems::stop, "/groove/stem/stop"),
    row("/stem_volume", &[ID, VOLUME], "Sets a buffer's volume.", Ack::Quiet, stems::volume, "/groove/stem/volume"),
    row(
        "/crossfade_levels",
        &[LEVEL.named("a"), LEVEL.named("b")],
        "Sets the levels of decks A and B: the older clients' linear crossfade.",
        Ack::Quiet,
        two_levels,
        "/groove/deck/{deck}/level",
    ),
    row(
        "/crossfade",
        &[
            Arg::clamped("position", 0.0, 1.0, "0 is A, 1 is B"),
            Arg::of("curve", Kind::Choice(&["linear", "power", "cut", "off"])).or(Default::Text("power")),
            Arg::clamped("seconds", 0.0, LONGEST_S, "s").or(Default::Keep),
        ],
        "Fades between decks A and B, on top of their levels.",
        Ack::Quiet,
        decks::crossfade,
        "/groove/crossfade",
    ),
    row(
        "/get_status",
        &[],
        "Answers with the status as a bundle, and logs a line.",
        Ack::Done,
        |c, call| {
            if c.lenience.may_log_status() {
                let line = status::log_line(&c.view());
                c.lenience.log_status(&line);
            }
            session::status(c, call)
        },
        "/groove/status",
    ),
    row(
        "/test_tone",
        &[
            Arg::clamped("freq", 20.0, 20_000.0, "Hz").or(Default::Float(440.0)),
            Arg::clamped("duration", 0.01, 60.0, "s").or(Default::Float(0.5)).known_as("seconds"),
        ],
        "Plays a test tone (the older Python server only printed).",
        Ack::Done,
        session::tone,
        "/groove/tone",
    ),
    row(
        "/mixer_cleanup",
        &[],
        "Stops and forgets everything loaded, cues included.",
        Ack::Done,
        session::cleanup,
        "/groove/cleanup",
    ),
    row(
        "/deck_levels",
        &[
            LEVEL.named("a").or(Default::Keep),
            LEVEL.named("b").or(Default::Keep),
            LEVEL.named("c").or(Default::Keep),
            LEVEL.named("d").or(Default::Keep),
        ],
        "Sets the levels of decks A, B, C, D; those left out stay.",
        Ack::Quiet,
        levels,
        "/groove/deck/{deck}/level",
    ),
    row(
        "/deck_filter",
        &[DECK, BAND, Arg::clamped("gain", 0.0, 8.0, "linear")],
        "Sets a band's gain, if filters are on (`mixer.filters`).",
        Ack::Quiet,
        filter,
        "/groove/deck/{deck}/gain/{band}",
    ),
    row(
        "/deck_eq",
        &[DECK, BAND, PERCENT],
        "Sets a band in percent, if filters are on (`mixer.filters`).",
        Ack::Quiet,
        eq,
        "/groove/deck/{deck}/eq/{band}",
    ),
    row(
        "/deck_eq_all",
        &[DECK, PERCENT.named("low"), PERCENT.named("mid"), PERCENT.named("high")],
        "Sets low, mid and high in percent, if filters are on (`mixer.filters`).",
        Ack::Quiet,
        eq_all,
        "/groove/deck/{deck}/eq/{band}",
    ),
    row(
        "/set_tempo",
        &[Arg::clamped("bpm", 20.0, 400.0, "BPM")],
        "Sets the tempo until the next movement, or for `movement.manual_s` if that is set; beats keep their phase (the \
         older server restarted them).",
        Ack::Quiet,
        |c, call| {
            c.set_tempo(call.at, call.float("bpm"), None, Hand::Older);
            Ok(Outcome::Done)
        },
        "/groove/tempo",
    ),
    row(
        "/set_meter",
        &[Arg::clamped("beats_per_bar", 1.0, 64.0, "")],
        "Sets the beats per bar.",
        Ack::Quiet,
        tempo::beats_per_bar,
        "/groove/beats_per_bar",
    ),
    row(
        "/print_clock",
        &[Arg::of("on", Kind::Flag).or(Default::Int(1))],
        "Logs every beat.",
        Ack::Done,
        tempo::print_clock,
        "/groove/clock/print",
    ),
    row("/reset", &[], "Restarts seconds and beats at zero.", Ack::Done, tempo::reset, "/groove/clock/reset"),
    row(
        "/cue",
        &[DECK, Arg::of("path", Kind::Text), FROM],
        "Loads a track onto a deck and makes it ready.",
        Ack::Done,
        cue,
        "/groove/deck/{deck}/cue",
    ),
    row(
        "/start_group",
        &[Arg::of("start_at and decks", Kind::Rest)],
        "Starts cued decks on one sample; `start_at` counts from arrival.",
        Ack::Done,
        start_group,
        "/groove/start",
    ),
    row(
        "/play",
        &[DECK, Arg::of("path", Kind::Text), START_AT],
        "Loads a track onto a deck and plays it; `start_at` counts from arrival.",
        Ack::Done,
        decks::play_on_deck,
        "/groove/deck/{deck}/play",
    ),
    row(
        "/fade",
        &[DECK, START_AT, Arg::clamped("duration", 0.0, 3_600.0, "s").or(Default::Float(2.0))],
        "Fades a deck out in a straight line.",
        Ack::Done,
        decks::fade,
        "/groove/deck/{deck}/fade",
    ),
    row(
        "/schedule_c_at",
        &[Arg::clamped("seconds", 0.0, LONGEST_S, "s since the last reset")],
        "Plays buffer 2100 at a time of the session's clock.",
        Ack::Done,
        |c, call| schedule_c(c, call.float("seconds"), call),
        "/groove/at",
    ),
    row(
        "/dummy",
        &[Arg::of("words", Kind::Rest)],
        "Logs its arguments; `schedule_c_at` and a number do what that address does.",
        Ack::Quiet,
        |c, call| {
            let words: Vec<String> = call
                .rest()
                .map(Value::as_text)
                .flat_map(|w| w.split_whitespace().map(str::to_string).collect::<Vec<_>>())
                .collect();
            tracing::info!("/dummy {}", words.join(" "));
            match words.as_slice() {
                [word, seconds, ..] if word == "schedule_c_at" => match seconds.parse::<f64>() {
                    Ok(s) if s.is_finite() => schedule_c(c, s.clamp(0.0, LONGEST_S), call),
                    _ => Err(Fault::refused(format!("{seconds:?} is not a number of seconds"))),
                },
                _ => Ok(Outcome::Done),
            }
        },
        "",
    ),
    row(
        "/sync",
        &[Arg::of("id", Kind::Rest)],
        "Answers `/synced` when everything asked for before is done.",
        Ack::Quiet,
        session::sync,
        "/groove/sync",
    ),
    row(
        "/subscribe",
        &[session::TOPIC, session::PUSH_RATE, session::LAPSE, session::RECIPIENT],
        "Sends status, positions, beats or meters for `seconds`, also to another port or host.",
        Ack::Done,
        session::subscribe,
        "/groove/subscribe",
    ),
    row(
        "/unsubscribe",
        &[session::TOPIC, session::RECIPIENT],
        "Ends a subscription.",
        Ack::Done,
        session::unsubscribe,
        "/groove/unsubscribe",
    ),
    row("/dance/{part}", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/movement/{part}", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/head", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/arms", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/legs", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/dance/pose/person/{person}/keypoints", VALUES, "Accepted and ignored.", Ack::Never, let_go, ""),
    row("/pose/keypoints", VALUES, "Accepted and ignored.", Ack::Never, let_go, ""),
    ignored!("/memory_cleanup"),
    ignored!("/mixer_init"),
    ignored!("/set_key"),
    ignored!("/play_sound"),
    ignored!("/set_volume"),
    ignored!("/stop_sound"),
    ignored!("/stop_all"),
];
