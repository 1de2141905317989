//! Status messages: what `/get_status` answers, and what is pushed to subscribers.

use std::sync::atomic::Ordering::Relaxed;

use super::buffer::{Buffer, deck_of, megabytes};
use super::context::Context;
use super::tempo::Position;
use super::view::View;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::deck_name;
use crate::control::publish::counters::MidiTally;
use crate::engine::DECKS;
use crate::media::decode::Info;
use crate::output::report::{Cause, State};
use crate::system::{guard, time, usage};

fn int(value: u64) -> Value {
    Value::from(value)
}

/// Everything `/get_status` answers, in this order.
pub fn all(view: &View) -> Vec<Message> {
    let cx = view.cx;
    let telemetry = cx.engine.telemetry();
    let Position { beat, bar, in_bar } = view.tempo.position(cx);
    let rate = cx.rate();
    let mut out = vec![
        Message::new("/status/version", vec![Value::from(cx.settings.version.as_str())]),
        Message::new("/status/sample_rate", vec![int(u64::from(cx.settings.sample_rate))]),
        Message::new("/status/tempo", vec![telemetry.bpm().into(), view.tempo.base_bpm().into()]),
        Message::new("/status/beat", vec![beat.into(), Value::Int(bar), Value::Int(in_bar)]),
        Message::new("/status/buffers", vec![int(view.stems.count() as u64), megabytes(view.stems.bytes()).into()]),
    ];
    out.extend(view.stems.all().map(|(id, buffer)| of_buffer(id, buffer)));
    let players = players(view);
    out.push(Message::new("/status/players", vec![int(players.len() as u64)]));
    out.extend(players);
    out.push(Message::new("/status/levels", view.mixer.channels.iter().map(|d| d.level.into()).collect()));
    out.push(Message::new("/status/master", vec![view.mixer.master().into()]));
    let report = &cx.report;
    let by_cause = |c: Cause| int(report.episodes[c as usize].load(Relaxed));
    out.push(Message::new(
        "/status/xruns",
        vec![
            int(report.episodes_total()),
            int(report.lost_total()),
            by_cause(Cause::Late),
            by_cause(Cause::Slow),
            by_cause(Cause::Device),
        ],
    ));
    let latency = report.latency_frames.load(Relaxed);
    let state = match report.state() {
        State::Card => "card",
        State::Silent => "silent",
        State::Clock => "clock",
    };
    out.push(Message::new(
        "/status/output",
        vec![
            Value::from(state),
            int(report.period_frames.load(Relaxed)),
            int(report.buffer_frames.load(Relaxed)),
            Value::Int(latency),
            (latency as f64 * 1000.0 / rate).into(),
            report.drift_ppm().into(),
            int(report.lost.load(Relaxed)),
            int(report.adopted.load(Relaxed)),
        ],
    ));
    // Read together: the frame that was about to be rendered, and when.
    let (sample_time, now) = (telemetry.time(), time::monotonic_ns());
    out.push(Message::new("/status/clock", vec![Value::Long(sample_time as i64), Value::Long(now as i64)]));
    let periods = report.load.periods.load(Relaxed).max(1);
    let period_ns = report.period_frames.load(Relaxed) as f64 / rate * 1e9;
    out.push(Message::new(
        "/status/load",
        vec![
            (report.load.render.sum_seconds() * 1e9 / periods as f64 / period_ns.max(1.0)).into(),
            (report.load.worst_render_ns.load(Relaxed) as f64 / period_ns.max(1.0)).into(),
            (report.load.worst_wake_ns.load(Relaxed) as f64 * 1e-6).into(),
            megabytes(usage::resident_bytes() as usize).into(),
        ],
    ));
    out.push(Message::new(
        "/status/faults",
        vec![
            int(telemetry.starved()),
            int(cx.late.iter().map(|n| n.load(Relaxed)).sum()),
            int(cx.engine.refused),
            int(telemetry.lost_events()),
            int(guard::faults()),
            int(report.short_writes.load(Relaxed)),
            int(report.suspends.load(Relaxed)),
        ],
    ));
    out.push(view.recording.status(cx));
    out.push(view.movement.status(cx));
    out.extend(view.stretching.status(view.tempo));
    out.push(view.instruments.status());
    out.push(midi(&view.learn.tally));
    out.push(view.sets.status());
    out.push(view.plans.status(cx));
    out
}

/// The status of MIDI: events, lost events, devices, their names.
fn midi(tally: &MidiTally) -> Message {
    let devices = tally.devices();
    let mut args = vec![tally.events.load(Relaxed).into(), tally.lost.load(Relaxed).into()];
    args.extend([Value::Int(devices.len() as i64), devices.join(", ").into()]);
    Message::new("/status/midi", args)
}

/// Stems that sound, and the position in the music.
pub fn positions(view: &View) -> Vec<Message> {
    let mut out = players(view);
    let Position { beat, bar, in_bar } = view.tempo.position(view.cx);
    out.push(Message::new("/status/beat", vec![beat.into(), Value::Int(bar), Value::Int(in_bar)]));
    out
}

/// The line that an older server printed for `/get_status`.
pub fn log_line(view: &View) -> String {
    let [a, b, c, d] = view.mixer.channels.map(|channel| channel.level);
    let telemetry = view.cx.engine.telemetry();
    format!(
        "status: sample rate {} Hz, tempo {:.1} BPM, beat {:.2}, buffers loaded {}, active players {}, deck levels A {a:.2} \
         B {b:.2} C {c:.2} D {d:.2}",
        view.cx.settings.sample_rate,
        telemetry.bpm(),
        telemetry.beat(),
        view.stems.all().filter(|(_, b)| b.is_ready()).count(),
        players(view).len(),
    )
}

/// The line that `systemctl status` shows.
pub fn unit_line(view: &View) -> String {
    let (cx, report) = (view.cx, &view.cx.report);
    let playing: Vec<&str> = (0..DECKS).filter(|deck| sounds(cx, view, *deck)).map(deck_name).collect();
    let sound = match (report.state(), report.unpaced.load(Relaxed)) {
        (State::Card, false) => "playing to the card",
        (State::Card, true) => "playing to a device that keeps no time",
        (State::Silent, _) => "no card: silent, but on time",
        (State::Clock, _) => "no card wanted, paced by the clock",
    };
    format!(
        "{sound}; decks {}; {:.1} BPM; {} stems ({:.0} MB); {} underruns, {} frames lost",
        if playing.is_empty() { "idle".into() } else { playing.join(" ") },
        cx.engine.telemetry().bpm(),
        view.stems.count(),
        megabytes(view.stems.bytes()),
        report.episodes_total(),
        report.lost_total()
    )
}

/// Whether a stem of a deck sounds.
fn sounds(cx: &Context, view: &View, deck: usize) -> bool {
    view.stems
        .all()
        .filter(|(id, b)| deck_of(*id) == deck && b.is_ready())
        .filter_map(|(_, b)| b.slot())
        .any(|slot| cx.engine.telemetry().stems.get(usize::from(slot)).is_some_and(|s| s.is_playing()))
}

/// The status of a buffer: number, name, deck, megabytes, seconds, whether it is loaded.
fn of_buffer(id: i64, buffer: &Buffer) -> Message {
    let seconds = buffer.info().map_or(0.0, Info::seconds);
    let state = if buffer.is_ready() { "ready" } else { "loading" };
    let (name, deck) = (Value::from(buffer.name.as_str()), Value::from(deck_name(deck_of(id))));
    let values = vec![Value::Int(id), name, deck, megabytes(buffer.bytes()).into(), seconds.into(), Value::from(state)];
    Message::new("/status/buffer", values)
}

/// The status of each stem that sounds: number, name, deck, seconds, volume, rate, whether it repeats.
fn players(view: &View) -> Vec<Message> {
    let cells = &view.cx.engine.telemetry().stems;
    let mut out = Vec::new();
    for (id, buffer) in view.stems.all() {
        let (Some(info), Some(slot)) = (buffer.info(), buffer.slot()) else { continue };
        let Some(cell) = cells.get(usize::from(slot)).filter(|c| c.is_playing()) else { continue };
        out.push(Message::new(
            "/status/player",
            vec![
                Value::Int(id),
                Value::from(buffer.name.as_str()),
                Value::from(deck_name(deck_of(id))),
                (cell.position_frames() / f64::from(info.sample_rate)).into(),
                buffer.start.volume.into(),
                buffer.start.rate.into(),
                Value::Int(i64::from(buffer.start.looped)),
            ],
        ));
    }
    out
}
