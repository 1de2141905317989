//! The product's own tree.

use super::super::conductor::Conductor;
use super::super::conductor::decks::gain_of_percent;
use super::super::conductor::status::TOPICS;
use super::super::conductor::stems::Start;
use super::super::request::Message;
use super::super::value::Value;
use super::super::vocabulary::{Ack, Arg, Call, Control, Default, Fault, Kind, Outcome, deck_index};
use crate::engine::command::Action;

const ID: Arg = Arg::int("id", 0, 1_000_000_000);
const RATE: Arg = Arg::float("rate", 0.25, 4.0, "× speed");
const VOLUME: Arg = Arg::float("volume", 0.0, 4.0, "linear");
const LOOP: Arg = Arg::of("loop", Kind::Flag);
const FROM: Arg = Arg::float("start_pos", 0.0, 1.0, "of the file");
const LEVEL: Arg = Arg::float("level", 0.0, 4.0, "linear");
const PERCENT: Arg = Arg::clamped("percent", 0.0, 50.0, "%, 0 kills, 50 is flat");
const SECONDS: Arg = Arg::float("seconds", 0.0, 86_400.0, "s");
const PATH: Arg = Arg::of("path", Kind::Text);
const NAME: Arg = Arg::of("name", Kind::Text);
const START_AT: Arg = Arg::float("start_at", 0.0, 86_400.0, "s from now");

type Ran = Result<Outcome, Fault>;

pub(super) fn load(c: &mut Conductor, call: &Call) -> Ran {
    c.load(call.int(0), &call.text(1), &call.text(2), call.origin, &call.address)
}

fn start_of(call: &Call) -> Start {
    Start {
        rate: call.float(1),
        volume: call.float(2),
        looped: call.int(3) != 0,
        from: call.float(4),
        seconds: call.float(5),
    }
}

pub(super) fn play(c: &mut Conductor, call: &Call) -> Ran {
    c.play(call.int(0), start_of(call), call.at)
}

pub(super) fn stop(c: &mut Conductor, call: &Call) -> Ran {
    c.stop(call.int(0), call.at);
    Ok(Outcome::Done)
}

pub(super) fn volume(c: &mut Conductor, call: &Call) -> Ran {
    c.set_volume(call.int(0), call.float(1), call.at)
}

pub(super) fn status(c: &mut Conductor, _: &Call) -> Ran {
    Ok(Outcome::Answer(c.status()))
}

pub(super) fn tone(c: &mut Conductor, call: &Call) -> Ran {
    c.test_tone(call.at, call.float(0), call.maybe_float(1).unwrap_or(0.5));
    Ok(Outcome::Done)
}

pub(super) fn cleanup(c: &mut Conductor, call: &Call) -> Ran {
    c.cleanup(call.at, call.origin);
    Ok(Outcome::Done)
}

pub(super) fn band_gain(c: &mut Conductor, call: &Call) -> Ran {
    c.set_band(call.deck(0), call.band(1), call.float(2), call.at);
    Ok(Outcome::Done)
}

pub(super) fn band_percent(c: &mut Conductor, call: &Call) -> Ran {
    c.set_band(call.deck(0), call.band(1), gain_of_percent(call.float(2)), call.at);
    Ok(Outcome::Done)
}

pub(super) fn meter(c: &mut Conductor, call: &Call) -> Ran {
    c.set_meter(call.int(0));
    Ok(Outcome::Done)
}

pub(super) fn print_clock(c: &mut Conductor, call: &Call) -> Ran {
    c.print_clock(call.int(0) != 0);
    Ok(Outcome::Done)
}

pub(super) fn reset(c: &mut Conductor, call: &Call) -> Ran {
    c.reset_clock(call.at);
    Ok(Outcome::Done)
}

pub(super) fn cue(c: &mut Conductor, call: &Call) -> Ran {
    c.cue(call.deck(0), &call.text(1), call.float(2), call.at, call.origin, &call.address)
}

/// Decks, and a number of seconds anywhere among them: the last one counts, as in the older server.
pub(super) fn start_group(c: &mut Conductor, call: &Call) -> Ran {
    let (mut seconds, mut decks) = (0.0, Vec::new());
    for value in call.rest(0) {
        match (value, deck_index(value)) {
            (Value::Text(_), Some(deck)) if value.as_float().is_none() => decks.push(deck),
            _ => match value.as_float() {
                Some(s) if (0.0..=86_400.0).contains(&s) => seconds = s,
                _ => {
                    return Err(Fault(format!(
                        "argument {value} is neither a deck (a, b, c, d) nor a number of seconds from 0 to 86400"
                    )));
                }
            },
        }
    }
    decks.sort_unstable();
    decks.dedup();
    c.start_group(decks, seconds, call.at, call.origin, &call.address)
}

pub(super) fn play_on_deck(c: &mut Conductor, call: &Call) -> Ran {
    c.play_on_deck(call.deck(0), &call.text(1), call.float(2), call.at, call.origin, &call.address)
}

pub(super) fn fade(c: &mut Conductor, call: &Call) -> Ran {
    c.fade(call.deck(0), call.float(1), call.float(2), call.at, call.origin)
}

pub(super) fn crossfade(c: &mut Conductor, call: &Call) -> Ran {
    c.set_crossfade(call.float(0), &call.text(1), call.maybe_float(2), call.at);
    Ok(Outcome::Done)
}

pub(super) fn subscribe(c: &mut Conductor, call: &Call) -> Ran {
    c.subscribe(call, &call.text(0), call.float(1), call.float(2), &call.text(3))
}

pub(super) fn unsubscribe(c: &mut Conductor, call: &Call) -> Ran {
    c.unsubscribe(call, &call.text(0), &call.text(1))
}

pub(super) const TOPIC: Arg = Arg::of("topic", Kind::Choice(TOPICS)).or(Default::Text("status"));
pub(super) const PUSH_RATE: Arg = Arg::float("rate", 0.1, 60.0, "Hz").or(Default::Float(10.0));
pub(super) const LAPSE: Arg = Arg::float("seconds", 1.0, 3_600.0, "s").or(Default::Float(60.0));
pub(super) const RECIPIENT: Arg = Arg::of("to", Kind::Text).or(Default::Text(""));

pub(super) const fn row(
    address: &'static str,
    args: &'static [Arg],
    doc: &'static str,
    ack: Ack,
    run: super::super::vocabulary::Run,
) -> Control {
    Control { address, args, doc, ack, run, get: None, same_as: "" }
}

pub(super) const fn value(mut control: Control, get: super::super::vocabulary::Get) -> Control {
    control.get = Some(get);
    control
}

/// The rows.
pub static CONTROLS: &[Control] = &[
    row(
        "/groove/stem/load",
        &[ID, PATH, Arg::of("name", Kind::Text).or(Default::Text(""))],
        "Loads a file as stem `id`; `/done` (with seconds and megabytes) tells when it can be played. The number \
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
        "Plays a stem; one that is still loading plays as soon as it is there.",
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
        "Plays a stretch of a stem; a loop repeats just that.",
        Ack::Done,
        play,
    ),
    row("/groove/stem/stop", &[ID], "Fades a stem out within 5 ms and stops it.", Ack::Done, stop),
    row("/groove/stem/unload", &[ID], "Stops a stem and forgets it.", Ack::Done, |c, call| {
        c.unload(call.int(0), call.at);
        Ok(Outcome::Done)
    }),
    row("/groove/stem/volume", &[ID, VOLUME], "Sets a stem's volume.", Ack::Quiet, volume),
    row(
        "/groove/stem/rate",
        &[ID, RATE],
        "Sets a stem's own playback rate, on top of the tempo.",
        Ack::Quiet,
        |c, call| c.set_rate(call.int(0), call.float(1), call.at),
    ),
    row(
        "/groove/stem/seek",
        &[ID, FROM],
        "Goes to another place: at once if it is resident, else with a crossfade as soon as the disk has it.",
        Ack::Done,
        |c, call| c.seek(call.int(0), call.float(1), call.at),
    ),
    value(
        row(
            "/groove/deck/{deck}/level",
            &[LEVEL, SECONDS.or(Default::Keep)],
            "Sets a deck's level, within `seconds` (at least 5 ms).",
            Ack::Quiet,
            |c, call| {
                c.set_level(call.deck(0), call.float(1), call.maybe_float(2), call.at);
                Ok(Outcome::Done)
            },
        ),
        |c, call| vec![c.deck(call.deck(0)).level.into()],
    ),
    value(
        row(
            "/groove/deck/{deck}/eq/{band}",
            &[PERCENT],
            "Sets a band in a DJ's percent: 0 and below kill, 50 and above are flat, between them −24 to 0 dB.",
            Ack::Quiet,
            band_percent,
        ),
        |c, call| {
            let gain = c.deck(call.deck(0)).bands[call.band(1) as usize];
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
        |c, call| vec![c.deck(call.deck(0)).bands[call.band(1) as usize].into()],
    ),
    row(
        "/groove/deck/{deck}/cue",
        &[PATH, FROM.or(Default::Float(0.0))],
        "Loads a track onto a deck, unless it is there already, and makes it ready to start.",
        Ack::Done,
        cue,
    ),
    row(
        "/groove/deck/{deck}/play",
        &[PATH, START_AT.or(Default::Float(0.0))],
        "Loads a track onto a deck, unless it is there already, and plays it from its beginning.",
        Ack::Done,
        play_on_deck,
    ),
    row(
        "/groove/deck/{deck}/fade",
        &[START_AT.or(Default::Float(0.0)), Arg::float("duration", 0.0, 3_600.0, "s").or(Default::Float(2.0))],
        "Lets a deck's level go to zero in a straight line.",
        Ack::Done,
        fade,
    ),
    row("/groove/deck/{deck}/stop", &[], "Stops every stem of a deck.", Ack::Done, |c, call| {
        c.stop_deck(call.deck(0), call.at);
        Ok(Outcome::Done)
    }),
    row(
        "/groove/start",
        &[Arg::of("start_at and decks", Kind::Rest)],
        "Starts cued decks on one sample, `start_at` seconds from now or as soon as the last one is ready; after five \
         seconds of waiting it starts those that are and says which are not.",
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
            let (position, curve) = c.crossfade();
            vec![position.into(), curve.into()]
        },
    ),
    value(
        row("/groove/master", &[LEVEL, SECONDS.or(Default::Keep)], "Sets the master gain.", Ack::Quiet, |c, call| {
            c.set_master(call.float(0), call.maybe_float(1), call.at);
            Ok(Outcome::Done)
        }),
        |c, _| vec![c.master().into()],
    ),
    value(
        row(
            "/groove/meter",
            &[Arg::int("beats_per_bar", 1, 64)],
            "Sets the beats per bar: for what is shown, and for decks whose `sync` is `bar`.",
            Ack::Quiet,
            meter,
        ),
        |c, _| vec![Value::Int(c.meter())],
    ),
    row("/groove/clock/reset", &[], "Seconds and beats count from zero again; stops nothing.", Ack::Done, reset),
    row(
        "/groove/clock/print",
        &[Arg::of("on", Kind::Flag).or(Default::Int(1))],
        "Logs every beat.",
        Ack::Done,
        print_clock,
    ),
    row(
        "/groove/at",
        &[Arg::float("seconds", 0.0, 86_400.0, "s since the last reset"), Arg::of("address and arguments", Kind::Rest)],
        "Makes another call at a time of the session's clock.",
        Ack::Done,
        |c, call| {
            let address = call.text(1);
            if !address.starts_with('/') {
                return Err(Fault("argument 'address' is missing; as in /groove/at 12.5 /groove/tempo 126".into()));
            }
            c.schedule_at(call.float(0), call.origin, vec![Message::new(address, call.rest(2).cloned().collect())])
        },
    ),
    row(
        "/groove/tone",
        &[Arg::float("freq", 20.0, 20_000.0, "Hz").or(Default::Float(440.0)), SECONDS.or(Default::Float(0.5))],
        "Sounds a quiet sine (peak 0.1) to find out whether anything is heard at all.",
        Ack::Done,
        tone,
    ),
    row(
        "/groove/cleanup",
        &[],
        "Stops and forgets all stems, cues and schedules, and ends all notes; levels, equalisers, tempo and instruments stay.",
        Ack::Done,
        cleanup,
    ),
    row(
        "/groove/status",
        &[],
        "Answers with everything there is to know, as a bundle of `/status/…`.",
        Ack::Done,
        status,
    ),
    row("/groove/load/reset", &[], "Forgets the longest rendering and the latest waking so far.", Ack::Done, |c, _| {
        c.forget_worst();
        Ok(Outcome::Done)
    }),
    row(
        "/groove/get",
        &[Arg::of("address", Kind::Text)],
        "Answers with a control's address and its present values.",
        Ack::Quiet,
        |c, call| {
            let address = call.text(0);
            let values = c.values_of(&address)?;
            Ok(Outcome::Answer(vec![Message::new(address, values)]))
        },
    ),
    row(
        "/groove/list",
        &[],
        "Answers with every control: `/groove/control` address, types, how it is called, what it does.",
        Ack::Done,
        |c, _| {
            let vocabulary = c.vocabulary();
            let tell = |control: &&Control| {
                let texts = [control.address.into(), control.types(), control.usage(), control.doc.to_string()];
                Message::new("/groove/control", texts.into_iter().map(Value::from).collect())
            };
            Ok(Outcome::Answer(vocabulary.all().iter().map(tell).collect()))
        },
    ),
    row(
        "/groove/record/start",
        &[NAME.or(Default::Text("")), Arg::of("decks", Kind::Flag).or(Default::Int(0))],
        "Records the master (and each deck apart, if asked) to a WAV file; `/done` names it. Without a name it gets the \
         time's.",
        Ack::Done,
        |c, call| c.record(&call.text(0), call.int(1) != 0, call.origin, &call.address),
    ),
    row(
        "/groove/record/stop",
        &[],
        "Ends the recording; `/done` with file, seconds and missing frames comes when the file is whole.",
        Ack::Done,
        |c, call| c.stop_recording(call.origin, &call.address),
    ),
    row(
        "/groove/preset/save",
        &[NAME],
        "Keeps everything under a name: tempo, levels, equalisers, stems and where they are.",
        Ack::Done,
        |c, call| c.save_preset(&call.text(0), call.origin, &call.address),
    ),
    row(
        "/groove/preset/load",
        &[NAME],
        "Brings back what was kept under a name; stems start on one sample. `/done` tells how many of how many came.",
        Ack::Done,
        |c, call| c.load_preset(&call.text(0), call.origin, &call.address),
    ),
    row("/groove/preset/delete", &[NAME], "Forgets a preset.", Ack::Done, |c, call| {
        c.delete_preset(&call.text(0), call.origin, &call.address)
    }),
    row("/groove/preset/list", &[], "Answers `/done` with the names of all presets.", Ack::Done, |c, call| {
        c.list_presets(call.origin, &call.address)
    }),
    row(
        "/groove/subscribe",
        &[TOPIC, PUSH_RATE, LAPSE, RECIPIENT],
        "Sends status, positions, beats or meters to the sender until it lapses; asking again renews. `to` is another \
         recipient within `osc.allow`: a port of the sender's host, or `192.168.1.5:9000`. With the topic `answers` all \
         answers to the sender go there instead.",
        Ack::Done,
        subscribe,
    ),
    row(
        "/groove/unsubscribe",
        &[TOPIC, RECIPIENT],
        "Ends a subscription of the sender, or one that goes to the recipient `to`.",
        Ack::Done,
        unsubscribe,
    ),
    row(
        "/groove/sync",
        &[Arg::of("id", Kind::Rest)],
        "Answers `/synced` with the same values once all that was asked before is done, loads included.",
        Ack::Quiet,
        |c, call| c.sync(call.origin, call.rest(0).cloned().collect()),
    ),
];

/// Rows that are there only with `GROOVED_DEBUG=1`.
pub static DEBUG: &[Control] = &[
    row(
        "/groove/debug/stall_audio",
        &[Arg::int("ms", 0, 60_000)],
        "Lets the audio thread sleep once.",
        Ack::Done,
        |c, call| {
            c.stall("audio", call.int(0).unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/stall_disk",
        &[Arg::int("ms", 0, 60_000)],
        "Lets the disk thread sleep once.",
        Ack::Done,
        |c, call| {
            c.stall("disk", call.int(0).unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/slow_stretch",
        &[Arg::int("us", 0, 1_000_000)],
        "Makes the stretch worker sleep for each 64 frames; 0 lets it work.",
        Ack::Done,
        |c, call| {
            c.stall("stretch", call.int(0).unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/slow_voices",
        &[Arg::int("us", 0, 1_000_000)],
        "Makes the voices' worker sleep for each 32 frames; 0 lets it work.",
        Ack::Done,
        |c, call| {
            c.stall("voices", call.int(0).unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/hang",
        &[Arg::of("worker", Kind::Choice(&["voices", "stretch"])), Arg::int("ms", 0, 60_000)],
        "Lets a worker compute for nothing once, as one does that has stopped responding.",
        Ack::Done,
        |c, call| {
            c.stall(&format!("hang {}", call.text(0)), call.int(1).unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/stall_loader",
        &[Arg::int("ms", 0, 60_000)],
        "Makes the next load take longer.",
        Ack::Done,
        |c, call| {
            c.stall("loader", call.int(0).unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/page_out",
        &[],
        "Lets the kernel take away every page of the process that it may take.",
        Ack::Done,
        |c, _| {
            c.stall("pages", 0);
            Ok(Outcome::Done)
        },
    ),
    row(
        "/groove/debug/stall_conductor",
        &[Arg::int("ms", 0, 60_000)],
        "Lets the conductor sleep once.",
        Ack::Done,
        |c, call| {
            c.stall("conductor", call.int(0).unsigned_abs());
            Ok(Outcome::Done)
        },
    ),
];

impl Conductor {
    fn test_tone(&mut self, at: Option<u64>, hz: f64, seconds: f64) {
        let frames = (seconds * f64::from(self.sample_rate())) as u32;
        // The older server's tone had a peak of 0.1 behind its master; so has this.
        self.act(at, Action::Tone { hz, gain: 0.1, frames });
    }
}
