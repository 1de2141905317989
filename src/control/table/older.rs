//! Addresses of the servers whose place grooved takes: their argument orders and defaults.

use super::super::conductor::Conductor;
use super::super::request::Message;
use super::super::value::Value;
use super::super::vocabulary::{Ack, Arg, Call, Control, Default, Fault, Kind, Outcome, Run};
use super::groove;

const ID: Arg = Arg::int("buffer_id", 0, 1_000_000_000);
const DECK: Arg = Arg::of("deck", Kind::Deck);
const BAND: Arg = Arg::of("band", Kind::Band);
const LEVEL: Arg = Arg::float("level", 0.0, 4.0, "linear");
const PERCENT: Arg = Arg::clamped("percent", 0.0, 50.0, "%");
const RATE: Arg = Arg::float("rate", 0.25, 4.0, "× speed").or(Default::Float(1.0));
const VOLUME: Arg = Arg::float("volume", 0.0, 4.0, "linear").or(Default::Float(0.8));
const LOOP: Arg = Arg::of("loop", Kind::Flag).or(Default::Int(1));
const FROM: Arg = Arg::float("start_pos", 0.0, 1.0, "of the file").or(Default::Float(0.0));
const START_AT: Arg = Arg::float("start_at", 0.0, 86_400.0, "s from now");

const fn row(
    address: &'static str,
    args: &'static [Arg],
    doc: &'static str,
    ack: Ack,
    run: Run,
    same_as: &'static str,
) -> Control {
    Control { address, args, doc, ack, run, get: None, same_as }
}

fn levels(c: &mut Conductor, call: &Call) -> Result<Outcome, Fault> {
    for deck in 0..call.args.len().min(4) {
        if let Some(level) = call.maybe_float(deck) {
            c.set_level(deck, level, None, call.at);
        }
    }
    Ok(Outcome::Done)
}

fn eq_all(c: &mut Conductor, call: &Call) -> Result<Outcome, Fault> {
    use super::super::conductor::decks::gain_of_percent;
    use crate::engine::eq::Band;
    for (k, band) in [Band::Low, Band::Mid, Band::High].into_iter().enumerate() {
        c.set_band(call.deck(0), band, gain_of_percent(call.float(1 + k)), call.at);
    }
    Ok(Outcome::Done)
}

fn schedule_c(c: &mut Conductor, seconds: f64, call: &Call) -> Result<Outcome, Fault> {
    c.schedule_at(seconds, call.origin, vec![Message::new("/play_stem", vec![Value::Int(2100)])])
}

fn movement(c: &mut Conductor, call: &Call) -> Result<Outcome, Fault> {
    let name = call.address.rsplit('/').next().unwrap_or_default().to_string();
    // The address' own part comes first where there is one; it is no number.
    let number = |v: &Value| match v {
        // Nonsense is to be counted, not passed over.
        Value::Float(number) => Some(*number),
        other => other.as_float(),
    };
    if let Some(value) = call.rest(0).find_map(number) {
        c.hear_movement(&name, value);
    }
    Ok(Outcome::Done)
}

/// Key points come thirty times a second and more: they are taken and let go.
fn let_go(_: &mut Conductor, _: &Call) -> Result<Outcome, Fault> {
    Ok(Outcome::Done)
}

const VALUES: &[Arg] = &[Arg::of("values", Kind::Rest)];
const MOVEMENT: &str = "A measurement of movement: it steers the tempo, and what it is mapped to; never answered.";

/// The rows.
pub static CONTROLS: &[Control] = &[
    row(
        "/load_buffer",
        &[ID, Arg::of("file_path", Kind::Text), Arg::of("stem_name", Kind::Text).or(Default::Text(""))],
        "Loads a file.",
        Ack::Done,
        groove::load,
        "/groove/stem/load",
    ),
    row(
        "/play_stem",
        &[ID, RATE, VOLUME, LOOP, FROM],
        "Plays a buffer; the rate is honoured (the older servers ignored it).",
        Ack::Done,
        groove::play,
        "/groove/stem/play",
    ),
    row(
        "/play_stem_section",
        &[ID, RATE, VOLUME, LOOP, FROM, Arg::float("duration", 0.0, 86_400.0, "s").or(Default::Float(0.0))],
        "Plays a stretch of a buffer; the duration is honoured (the older server ignored it).",
        Ack::Done,
        groove::play,
        "/groove/stem/section",
    ),
    row("/stop_stem", &[ID], "Stops a buffer; it stays loaded.", Ack::Done, groove::stop, "/groove/stem/stop"),
    row(
        "/stem_volume",
        &[ID, Arg::float("volume", 0.0, 4.0, "linear")],
        "Sets a buffer's volume.",
        Ack::Quiet,
        groove::volume,
        "/groove/stem/volume",
    ),
    row(
        "/crossfade_levels",
        &[LEVEL, LEVEL],
        "Sets the levels of decks A and B: the older clients' linear crossfade.",
        Ack::Quiet,
        levels,
        "/groove/deck/{deck}/level",
    ),
    row(
        "/crossfade",
        &[
            Arg::float("position", 0.0, 1.0, "0 is A, 1 is B"),
            Arg::of("curve", Kind::Choice(&["linear", "power", "cut", "off"])).or(Default::Text("power")),
            Arg::float("seconds", 0.0, 86_400.0, "s").or(Default::Keep),
        ],
        "Fades between decks A and B, on top of their levels.",
        Ack::Quiet,
        groove::crossfade,
        "/groove/crossfade",
    ),
    row("/get_status", &[], "Answers with the status as a bundle.", Ack::Done, groove::status, "/groove/status"),
    row(
        "/test_tone",
        &[
            Arg::float("freq", 20.0, 20_000.0, "Hz").or(Default::Float(440.0)),
            Arg::float("duration", 0.01, 60.0, "s").or(Default::Float(0.5)),
        ],
        "Sounds a tone (the older Python server only printed).",
        Ack::Done,
        groove::tone,
        "/groove/tone",
    ),
    row(
        "/mixer_cleanup",
        &[],
        "Stops and forgets everything loaded, cues included.",
        Ack::Done,
        groove::cleanup,
        "/groove/cleanup",
    ),
    row(
        "/deck_levels",
        &[LEVEL.or(Default::Keep), LEVEL.or(Default::Keep), LEVEL.or(Default::Keep), LEVEL.or(Default::Keep)],
        "Sets the levels of decks A, B, C, D; those left out stay.",
        Ack::Quiet,
        levels,
        "/groove/deck/{deck}/level",
    ),
    row(
        "/deck_filter",
        &[DECK, BAND, Arg::float("gain", 0.0, 8.0, "linear")],
        "Sets a band's gain.",
        Ack::Quiet,
        groove::band_gain,
        "/groove/deck/{deck}/gain/{band}",
    ),
    row(
        "/deck_eq",
        &[DECK, BAND, PERCENT],
        "Sets a band in percent.",
        Ack::Quiet,
        groove::band_percent,
        "/groove/deck/{deck}/eq/{band}",
    ),
    row(
        "/deck_eq_all",
        &[DECK, PERCENT, PERCENT, PERCENT],
        "Sets low, mid and high in percent.",
        Ack::Quiet,
        eq_all,
        "/groove/deck/{deck}/eq/{band}",
    ),
    row(
        "/set_tempo",
        &[Arg::float("bpm", 20.0, 400.0, "BPM")],
        "Sets the tempo; beats keep their phase (the older server restarted them).",
        Ack::Quiet,
        super::tempo::tempo,
        "/groove/tempo",
    ),
    row(
        "/set_meter",
        &[Arg::int("beats_per_bar", 1, 64)],
        "Sets the beats per bar.",
        Ack::Quiet,
        groove::meter,
        "/groove/meter",
    ),
    row(
        "/print_clock",
        &[Arg::of("on", Kind::Flag).or(Default::Int(1))],
        "Logs every beat.",
        Ack::Done,
        groove::print_clock,
        "/groove/clock/print",
    ),
    row("/reset", &[], "Seconds and beats count from zero again.", Ack::Done, groove::reset, "/groove/clock/reset"),
    row(
        "/cue",
        &[DECK, Arg::of("path", Kind::Text), FROM],
        "Loads a track onto a deck and makes it ready.",
        Ack::Done,
        groove::cue,
        "/groove/deck/{deck}/cue",
    ),
    row(
        "/start_group",
        &[Arg::of("start_at and decks", Kind::Rest)],
        "Starts cued decks on one sample; `start_at` counts from arrival.",
        Ack::Done,
        groove::start_group,
        "/groove/start",
    ),
    row(
        "/play",
        &[DECK, Arg::of("path", Kind::Text), START_AT.or(Default::Float(0.0))],
        "Loads a track onto a deck and plays it; `start_at` counts from arrival.",
        Ack::Done,
        groove::play_on_deck,
        "/groove/deck/{deck}/play",
    ),
    row(
        "/fade",
        &[DECK, START_AT.or(Default::Float(0.0)), Arg::clamped("duration", 0.0, 3_600.0, "s").or(Default::Float(2.0))],
        "Fades a deck out in a straight line.",
        Ack::Done,
        groove::fade,
        "/groove/deck/{deck}/fade",
    ),
    row(
        "/schedule_c_at",
        &[Arg::float("seconds", 0.0, 86_400.0, "s since the last reset")],
        "Plays buffer 2100 at a time of the session's clock.",
        Ack::Done,
        |c, call| schedule_c(c, call.float(0), call),
        "/groove/at",
    ),
    row(
        "/dummy",
        &[Arg::of("words", Kind::Rest)],
        "Logs its arguments; `schedule_c_at` and a number do what that address does.",
        Ack::Quiet,
        |c, call| {
            let words: Vec<String> = call
                .rest(0)
                .map(Value::as_text)
                .flat_map(|w| w.split_whitespace().map(str::to_string).collect::<Vec<_>>())
                .collect();
            tracing::info!("/dummy {}", words.join(" "));
            match words.as_slice() {
                [word, seconds, ..] if word == "schedule_c_at" => match seconds.parse::<f64>() {
                    Ok(s) if (0.0..=86_400.0).contains(&s) => schedule_c(c, s, call),
                    _ => Err(Fault(format!("{seconds:?} is no number of seconds from 0 to 86400"))),
                },
                _ => Ok(Outcome::Done),
            }
        },
        "",
    ),
    row(
        "/sync",
        &[Arg::of("id", Kind::Rest)],
        "Answers `/synced` when all that was asked before is done.",
        Ack::Quiet,
        |c, call| c.sync(call.origin, call.rest(0).cloned().collect()),
        "/groove/sync",
    ),
    row(
        "/subscribe",
        &[groove::TOPIC, groove::PUSH_RATE, groove::LAPSE],
        "Sends status, positions, beats or meters until it lapses.",
        Ack::Done,
        groove::subscribe,
        "/groove/subscribe",
    ),
    row(
        "/unsubscribe",
        &[groove::TOPIC],
        "Ends a subscription.",
        Ack::Done,
        groove::unsubscribe,
        "/groove/unsubscribe",
    ),
    row("/dance/{part}", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/movement/{part}", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/head", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/arms", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/legs", VALUES, MOVEMENT, Ack::Never, movement, "/groove/movement/{part}"),
    row("/dance/pose/person/{person}/keypoints", VALUES, "Taken and let go.", Ack::Never, let_go, ""),
    row("/pose/keypoints", VALUES, "Taken and let go.", Ack::Never, let_go, ""),
];
