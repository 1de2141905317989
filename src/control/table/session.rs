//! The session: status, schedules, recordings, presets, subscriptions.

use std::sync::atomic::Ordering::Relaxed;

use super::{Ran, alias, row};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Ack, Arg, Call, Control, Default, Kind, Outcome, Row};
use crate::control::conductor::Conductor;
use crate::control::conductor::subscriptions::{TOPICS, Terms};
use crate::engine::command::Action;

const SECONDS: Arg = Arg::float("seconds", 0.0, 86_400.0, "s");
const NAME: Arg = Arg::of("name", Kind::Text);
/// Peak of the test tone, behind the master: that of the older server's.
const TONE_GAIN: f32 = 0.1;

pub(super) const TOPIC: Arg = Arg::of("topic", Kind::Choice(TOPICS)).or(Default::Text("status"));
pub(super) const PUSH_RATE: Arg = Arg::float("rate", 0.1, 60.0, "Hz").or(Default::Float(10.0));
pub(super) const LAPSE: Arg = Arg::float("seconds", 1.0, 3_600.0, "s").or(Default::Float(60.0));
pub(super) const RECIPIENT: Arg = Arg::of("to", Kind::Text).or(Default::Text(""));

pub(super) fn status(c: &mut Conductor, _: &Call) -> Ran {
    Ok(Outcome::Answer(c.status()))
}

pub(super) fn tone(c: &mut Conductor, call: &Call) -> Ran {
    let frames = (call.float("seconds") * c.cx.rate()) as u32;
    c.cx.push(call.at, Action::Tone { hz: call.float("freq"), gain: TONE_GAIN, frames });
    Ok(Outcome::Done)
}

pub(super) fn cleanup(c: &mut Conductor, call: &Call) -> Ran {
    c.cleanup(call.at, call.origin);
    Ok(Outcome::Done)
}

fn reset_stats(c: &mut Conductor, _: &Call) -> Ran {
    c.cx.report.load.worst_render_ns.store(0, Relaxed);
    c.cx.report.load.worst_wake_ns.store(0, Relaxed);
    Ok(Outcome::Done)
}

pub(super) fn subscribe(c: &mut Conductor, call: &Call) -> Ran {
    let Some(origin) = call.origin else { return Ok(Outcome::Done) };
    if origin.awaits_everything() {
        return Err(Fault::refused("this is for OSC; on this connection it is the operation \"subscribe\""));
    }
    let to = c.cx.recipient(origin, &call.text("to"))?;
    let terms = Terms { rate_hz: call.float("rate"), seconds: call.float("seconds") };
    c.cx.replies.subscriptions.add(origin, to, &call.text("topic"), terms)?;
    Ok(Outcome::Done)
}

pub(super) fn unsubscribe(c: &mut Conductor, call: &Call) -> Ran {
    if let Some(origin) = call.origin.filter(|o| !o.awaits_everything()) {
        let to = call.text("to");
        let other = if to.is_empty() { None } else { Some(c.cx.recipient(origin, &to)?) };
        c.cx.replies.subscriptions.remove(origin, other, &call.text("topic"));
    }
    Ok(Outcome::Done)
}

pub(super) fn sync(c: &mut Conductor, call: &Call) -> Ran {
    let outcome = c.syncs.add(&mut c.cx, call.origin, call.rest().cloned().collect());
    c.advance_syncs();
    outcome
}

/// The rows.
pub static ROWS: &[Row<Conductor>] = &[
    row(
        "/groove/at",
        &[Arg::float("seconds", 0.0, 86_400.0, "s since the last reset"), Arg::of("address and arguments", Kind::Rest)],
        "Makes another call at a time of the session's clock.",
        Ack::Done,
        |c, call| {
            let mut values = call.rest().cloned();
            let address = values.next().map(|v| v.as_text()).unwrap_or_default();
            if !address.starts_with('/') {
                return Err(Fault::missing("address", "a call, as in /groove/at 12.5 /groove/tempo 126".into()));
            }
            c.schedule_at(call.float("seconds"), call.origin, vec![Message::new(address, values.collect())])
        },
    ),
    row(
        "/groove/tone",
        &[Arg::float("freq", 20.0, 20_000.0, "Hz").or(Default::Float(440.0)), SECONDS.or(Default::Float(0.5))],
        "Plays a quiet test tone (a sine, peak 0.1).",
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
    row("/groove/status", &[], "Answers with the whole status, as a bundle of `/status/…`.", Ack::Done, status),
    row("/groove/stats/reset", &[], "Resets the peak render time and wake-up delay.", Ack::Done, reset_stats),
    alias(
        row("/groove/load/reset", &[], "The former name of `/groove/stats/reset`.", Ack::Done, reset_stats),
        "/groove/stats/reset",
    ),
    row(
        "/groove/get",
        &[Arg::of("address", Kind::Text)],
        "Answers with a control's address and its present values.",
        Ack::Quiet,
        |c, call| {
            let address = call.text("address");
            let values = c.values_of(&address)?;
            Ok(Outcome::Answer(vec![Message::new(address, values)]))
        },
    ),
    row(
        "/groove/list",
        &[],
        "Answers with every control: `/groove/control` address, types, usage, description.",
        Ack::Done,
        |c, _| {
            let vocabulary = c.vocabulary();
            let declared = |control: &&Control| {
                let texts = [control.address.into(), control.types(), control.usage(), control.doc.to_string()];
                Message::new("/groove/control", texts.into_iter().map(Value::from).collect())
            };
            Ok(Outcome::Answer(vocabulary.all().iter().map(declared).collect()))
        },
    ),
    row(
        "/groove/record/start",
        &[NAME.or(Default::Text("")), Arg::of("decks", Kind::Flag).or(Default::Int(0))],
        "Records the master (and each deck apart, if asked) to a WAV file; `/done` names it. Without a name it is named \
         after the time.",
        Ack::Done,
        |c, call| c.recording.start(&mut c.cx, (&call.text("name"), call.flag("decks")), call.origin, &call.address),
    ),
    row(
        "/groove/record/stop",
        &[],
        "Ends the recording; `/done` with file, seconds and missing frames follows when the file is complete.",
        Ack::Done,
        |c, call| c.recording.stop(&mut c.cx, call.origin, &call.address),
    ),
    row(
        "/groove/preset/save",
        &[NAME],
        "Saves everything under a name: tempo, levels, equalisers, stems and their positions.",
        Ack::Done,
        |c, call| {
            let show = c.show();
            c.presets.save(&mut c.cx, &call.text("name"), &show, call)
        },
    ),
    row(
        "/groove/preset/load",
        &[NAME],
        "Restores what was saved under a name; stems start on one sample. `/done` returns stems restored and stems \
         expected.",
        Ack::Done,
        |c, call| c.presets.load(&mut c.cx, &call.text("name"), call),
    ),
    row("/groove/preset/delete", &[NAME], "Deletes a preset.", Ack::Done, |c, call| {
        c.presets.delete(&mut c.cx, &call.text("name"), call)
    }),
    row("/groove/preset/list", &[], "Answers `/done` with the names of all presets.", Ack::Done, |c, call| {
        c.presets.list(&mut c.cx, call)
    }),
    row(
        "/groove/subscribe",
        &[TOPIC, PUSH_RATE, LAPSE, RECIPIENT],
        "Sends status, positions, beats or meters to the sender for `seconds`; subscribing again renews. `to` is another \
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
        "Answers `/synced` with the same values once everything asked for before is done, loads included.",
        Ack::Quiet,
        sync,
    ),
];
