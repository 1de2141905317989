//! Instruments on the speakers: voices, parts, notes, the room they share, and MIDI.

use super::{Ran, row, value};
use crate::control::commands::fault::Fault;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Ack, Arg, Call, Default, Kind, Outcome, Row};
use crate::control::conductor::Conductor;
use crate::ddsp::order::{BusParam, PARTS, PartParam, Setting};

const CHANNEL: Arg = Arg::of("channel", Kind::Each(PARTS as i64)).or(Default::Int(1));
const CHANNELS: Arg = Arg::of("channel", Kind::Each(PARTS as i64)).or(Default::Text("all"));
const NOTE: Arg = Arg::float("note", 0.0, 127.0, "MIDI number, 60 is middle C; fractions are microtones");
const NAME: Arg = Arg::of("name", Kind::Text);

fn set(c: &mut Conductor, call: &Call) -> Ran {
    let setting = Setting::named(call.last_part()).ok_or_else(|| Fault::refused("there is no such setting"))?;
    c.instruments.set_voice(&mut c.cx, call.which("voice"), setting, call.number(), call.at)
}

fn get(c: &Conductor, call: &Call) -> Vec<Value> {
    Setting::named(call.last_part())
        .map(|s| c.instruments.voice_setting(call.which("voice"), s).into())
        .into_iter()
        .collect()
}

fn set_pedal(c: &mut Conductor, call: &Call) -> Ran {
    let pedal = PartParam::named(call.last_part()).ok_or_else(|| Fault::refused("there is no such pedal"))?;
    c.instruments.set_pedal(&mut c.cx, call.which("channel"), pedal, call.number(), call.at)
}

fn get_pedal(c: &Conductor, call: &Call) -> Vec<Value> {
    let value = |pedal| match pedal {
        PartParam::Sustain => Value::Int(c.instruments.pedal(call.which("channel"), pedal) as i64),
        _ => c.instruments.pedal(call.which("channel"), pedal).into(),
    };
    PartParam::named(call.last_part()).map(value).into_iter().collect()
}

fn set_hall(c: &mut Conductor, call: &Call) -> Ran {
    let hall = BusParam::named(&call.address).ok_or_else(|| Fault::refused("there is no such control"))?;
    c.instruments.set_hall(&mut c.cx, hall, call.number(), call.at)
}

fn get_hall(c: &Conductor, call: &Call) -> Vec<Value> {
    BusParam::named(&call.address).map(|h| c.instruments.hall(h).into()).into_iter().collect()
}

const fn setting(address: &'static str, args: &'static [Arg], doc: &'static str) -> Row<Conductor> {
    value(row(address, args, doc, Ack::Quiet, set), get)
}

const fn pedal(address: &'static str, args: &'static [Arg], doc: &'static str) -> Row<Conductor> {
    value(row(address, args, doc, Ack::Quiet, set_pedal), get_pedal)
}

const fn hall(address: &'static str, args: &'static [Arg], doc: &'static str) -> Row<Conductor> {
    value(row(address, args, doc, Ack::Quiet, set_hall), get_hall)
}

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    row(
        "/groove/note/on",
        &[NOTE, Arg::float("velocity", 0.0, 127.0, "0 ends it").or(Default::Float(100.0)), CHANNEL],
        "Begins a note on a voice that is free, with the instrument of its part; without a free one the quietest gives way.",
        Ack::Quiet,
        |c, call| {
            let (key, loudness) = (call.float("note"), call.float("velocity") / 127.0);
            c.instruments.note_on(&mut c.cx, call.which("channel"), key, loudness, call.at)
        },
    ),
    row("/groove/note/off", &[NOTE, CHANNEL], "Ends a note.", Ack::Quiet, |c, call| {
        c.instruments.note_off(&mut c.cx, call.which("channel"), call.float("note"), call.at)
    }),
    row(
        "/groove/note/all_off",
        &[CHANNELS],
        "Ends all notes of a part, or of all; voices that are played directly continue.",
        Ack::Done,
        |c, call| c.instruments.all_off(&mut c.cx, call.which("channel"), call.at),
    ),
    row(
        "/groove/instrument/list",
        &[],
        "Answers with every instrument: `/groove/instrument` name, whether it is loaded, and then its lowest and highest \
         pitch (MIDI numbers), softest and loudest sound (dBFS), and licence.",
        Ack::Done,
        |c, call| c.instruments.list(&mut c.cx, call.origin, &call.address),
    ),
    row(
        "/groove/instrument/load",
        &[NAME],
        "Makes an instrument ready, so that it can be swapped in at once; `/done` follows when it is.",
        Ack::Done,
        |c, call| c.instruments.load(&mut c.cx, &call.text("name"), call.origin, &call.address),
    ),
    row(
        "/groove/instrument/unload",
        &[NAME],
        "Unloads an instrument; its sounding notes fade.",
        Ack::Done,
        |c, call| c.instruments.unload(&mut c.cx, &call.text("name")),
    ),
    row(
        "/groove/instrument/swap",
        &[NAME, CHANNELS],
        "Gives a part, or all, another instrument, loading it if necessary; sounding notes continue with it, without a gap.",
        Ack::Done,
        |c, call| c.instruments.swap(&mut c.cx, call.which("channel"), &call.text("name"), call),
    ),
    value(
        row(
            "/groove/part/{channel}/instrument",
            &[NAME],
            "Gives a part another instrument, as `/groove/instrument/swap` does.",
            Ack::Done,
            |c, call| c.instruments.swap(&mut c.cx, call.which("channel"), &call.text("name"), call),
        ),
        |c, call| vec![c.instruments.part_instrument(call.which("channel")).into()],
    ),
    row(
        "/groove/part/{channel}/program",
        &[Arg::int("program", 0, 127)],
        "Gives a part the instrument that answers to a program of General MIDI, of those that are there.",
        Ack::Done,
        |c, call| c.instruments.change_program(&mut c.cx, call.which("channel"), call.int("program"), call),
    ),
    pedal(
        "/groove/part/{channel}/bend",
        &[Arg::float("semitones", -48.0, 48.0, "semitones")],
        "Bends the notes of a part.",
    ),
    pedal(
        "/groove/part/{channel}/modulation",
        &[Arg::float("depth", 0.0, 1.0, "1 is half a semitone")],
        "Adds vibrato to the notes of a part.",
    ),
    pedal(
        "/groove/part/{channel}/expression",
        &[Arg::float("share", 0.0, 1.0, "of the loudness")],
        "Plays the notes of a part softer, as a player would.",
    ),
    pedal("/groove/part/{channel}/volume", &[Arg::float("volume", 0.0, 4.0, "linear")], "Sets a part's volume."),
    pedal(
        "/groove/part/{channel}/sustain",
        &[Arg::of("down", Kind::Flag)],
        "While it is down, released notes of a part keep sounding.",
    ),
    setting(
        "/groove/voice/{voice}/f0",
        &[Arg::float("hz", 8.0, 13_000.0, "Hz")],
        "Sets the pitch at which a voice sounds while its loudness is above zero. Voices count from 1; `all` is all.",
    ),
    setting(
        "/groove/voice/{voice}/loudness",
        &[Arg::float("loudness", 0.0, 1.0, "of the trained range")],
        "Lets a voice sound without a note: it leaves its note, and notes leave it alone until this is 0 again.",
    ),
    row(
        "/groove/voice/{voice}/loudness_db",
        &[Arg::float("level", -80.0, 0.0, "dBFS of the training")],
        "Sets a voice's loudness in decibels.",
        Ack::Quiet,
        |c, call| c.instruments.set_voice_db(&mut c.cx, call.which("voice"), call.float("level"), call.at),
    ),
    setting(
        "/groove/voice/{voice}/pitch_shift",
        &[Arg::float("semitones", -48.0, 48.0, "semitones")],
        "Shifts everything a voice plays.",
    ),
    setting(
        "/groove/voice/{voice}/harmonic_gain",
        &[Arg::float("gain", 0.0, 10.0, "linear")],
        "Sets the gain of a voice's partials.",
    ),
    setting(
        "/groove/voice/{voice}/noise_gain",
        &[Arg::float("gain", 0.0, 10.0, "linear")],
        "Sets the gain of a voice's noise: breath, bow, keys.",
    ),
    setting(
        "/groove/voice/{voice}/timbre_pitch",
        &[Arg::float("semitones", -24.0, 24.0, "semitones")],
        "Shifts the pitch that the model sees, and only that: the tone of another register at the same pitch.",
    ),
    setting(
        "/groove/voice/{voice}/timbre_loudness",
        &[Arg::float("level", -40.0, 40.0, "dB")],
        "Shifts the loudness that the model sees, and only that: brighter or duller at the same level.",
    ),
    setting(
        "/groove/voice/{voice}/attack",
        &[Arg::float("seconds", 0.0, 10.0, "s")],
        "Sets how long a note takes to begin.",
    ),
    setting(
        "/groove/voice/{voice}/decay",
        &[Arg::float("seconds", 0.0, 10.0, "s")],
        "Sets how long it takes from there to its sustained loudness.",
    ),
    setting(
        "/groove/voice/{voice}/sustain",
        &[Arg::float("share", 0.0, 1.0, "of the note's loudness")],
        "Sets the loudness at which a note is held.",
    ),
    setting(
        "/groove/voice/{voice}/release",
        &[Arg::float("seconds", 0.0, 10.0, "s")],
        "Sets how long a note takes to end.",
    ),
    setting(
        "/groove/voice/{voice}/vibrato_rate",
        &[Arg::float("rate", 0.0, 20.0, "Hz")],
        "Sets how fast a voice's vibrato is.",
    ),
    setting(
        "/groove/voice/{voice}/vibrato_depth",
        &[Arg::float("depth", 0.0, 12.0, "semitones to each side")],
        "Sets how deep a voice's vibrato is.",
    ),
    setting(
        "/groove/voice/{voice}/glide",
        &[Arg::float("seconds", 0.0, 10.0, "s")],
        "Sets how long a voice takes from one pitch to the next.",
    ),
    setting(
        "/groove/voice/{voice}/pan",
        &[Arg::float("pan", -1.0, 1.0, "-1 is left, 1 is right")],
        "Sets a voice's place, at equal power.",
    ),
    setting("/groove/voice/{voice}/level", &[Arg::float("level", 0.0, 4.0, "linear")], "Sets a voice's level."),
    value(
        row(
            "/groove/voice/{voice}/instrument",
            &[Arg::of("name", Kind::Text).or(Default::Text(""))],
            "Gives a voice an instrument of its own to be played directly with; without a name that of part 1.",
            Ack::Done,
            |c, call| c.instruments.set_voice_instrument(&mut c.cx, call.which("voice"), &call.text("name"), call),
        ),
        |c, call| vec![c.instruments.voice_instrument(call.which("voice")).into()],
    ),
    row(
        "/groove/voice/{voice}/reset",
        &[],
        "Lets a voice fall silent within a hop, and its model forget what it played.",
        Ack::Done,
        |c, call| c.instruments.reset_voice(&mut c.cx, call.which("voice"), call.at),
    ),
    hall(
        "/groove/voices/level",
        &[Arg::float("level", 0.0, 4.0, "linear")],
        "Sets the level of all voices and their room together.",
    ),
    hall(
        "/groove/reverb/wet",
        &[Arg::float("level", 0.0, 1.0, "0 closes the room")],
        "Sets the level of the room that all voices share.",
    ),
    hall("/groove/reverb/size", &[Arg::float("size", 0.0, 1.0, "")], "Sets its size: the length of its tail."),
    hall("/groove/reverb/damping", &[Arg::float("damping", 0.0, 1.0, "")], "Sets how fast its treble fades."),
    row(
        "/groove/midi/controller",
        &[
            Arg::int("channel", 1, 16),
            Arg::int("controller", 0, 127),
            Arg::float("value", 0.0, 127.0, "as MIDI sends it"),
        ],
        "A controller was moved: what it is mapped to follows; else 1 is modulation, 7 volume, 11 expression, 64 sustain, \
         120 and 123 end all notes, 121 puts wheels and pedals where they rest.",
        Ack::Quiet,
        |c, call| {
            let moved = (call.int("channel"), call.int("controller"), call.float("value"));
            c.hear_controller(moved, call.at)
        },
    ),
    row(
        "/groove/midi/learn",
        &[
            Arg::of("address", Kind::Text),
            Arg::float("low", -1e6, 1e6, "where the controller is at 0").or(Default::Keep),
            Arg::float("high", -1e6, 1e6, "where it is at 127").or(Default::Keep),
        ],
        "Maps the controller that is moved next to a control, over its whole range or from `low` to `high`; `/done` \
         returns channel and number.",
        Ack::Done,
        |c, call| {
            let ends = (call.maybe_float("low"), call.maybe_float("high"));
            c.learn.learn(&mut c.cx, &call.text("address"), ends, call)
        },
    ),
    row(
        "/groove/midi/forget",
        &[Arg::of("address", Kind::Text).or(Default::Text(""))],
        "Forgets what was learned for a control, or everything, and ends learning.",
        Ack::Done,
        |c, call| {
            c.learn.forget(&mut c.cx, &call.text("address"));
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/midi/maps",
        &[],
        "Answers with everything that was learned: `/groove/midi/map` source, address, low, high.",
        Ack::Done,
        |c, _| Ok(Outcome::Answer(c.learn.list())),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_row_and_begins_within_its_range() {
        let row = |address: &str| ROWS.iter().find(|r| r.control.address == address);
        let inside = |row: &Row<Conductor>, value: f64| match row.control.args[0].kind {
            Kind::Float(low, high) => (low..=high).contains(&value),
            Kind::Flag => value == 0.0 || value == 1.0,
            _ => false,
        };
        let settings = Setting::ALL.iter().map(|(_, n, v)| (format!("/groove/voice/{{voice}}/{n}"), *v));
        let pedals = PartParam::ALL.iter().map(|(_, n, v)| (format!("/groove/part/{{channel}}/{n}"), *v));
        let halls = BusParam::ALL.iter().map(|(_, a, v)| ((*a).to_string(), *v));
        for (address, value) in settings.chain(pedals).chain(halls) {
            assert!(row(&address).is_some_and(|r| inside(r, value) && r.control.readable), "{address}");
        }
    }
}
