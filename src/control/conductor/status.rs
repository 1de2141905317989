//! What is told: status, subscriptions, values.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::super::request::{Message, Origin};
use super::super::table;
use super::super::value::Value;
use super::super::vocabulary::{Call, Fault, Outcome, deck_name};
use super::Conductor;
use super::stems::{State as Stem, deck_of, megabytes};
use crate::engine::DECKS;
use crate::output::report::{Cause, State as OutputState};
use crate::system::{guard, time, usage};

/// Most subscriptions at a time.
const MOST_SUBSCRIPTIONS: usize = 64;
/// Most of one address.
const MOST_OF_ONE: usize = 16;

/// What can be subscribed to.
pub const TOPICS: &[&str] = &["status", "positions", "beats", "meters", "answers", "all"];

/// Counters of the output as they were last told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    xruns: [(u64, u64); 3],
    lost: u64,
    adopted: u64,
}

/// Someone who is told something until it lapses.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The sender that asked for it.
    origin: Origin,
    /// The recipient.
    to: Origin,
    topic: String,
    every: Duration,
    next: Instant,
    ends: Instant,
}

impl Subscription {
    fn wants(&self, topic: &str) -> bool {
        self.topic == topic || self.topic == "all"
    }
}

fn int(value: u64) -> Value {
    Value::from(value)
}

impl Conductor {
    /// Subscribes a peer to a topic, `rate_hz` times a second for `seconds`; subscribing again renews. `to` is another
    /// recipient (see [`Conductor::recipient`]). Of the topic `answers` the sender's own answers go there.
    pub fn subscribe(
        &mut self,
        call: &Call,
        topic: &str,
        rate_hz: f64,
        seconds: f64,
        to: &str,
    ) -> Result<Outcome, Fault> {
        let Some(origin) = call.origin else { return Ok(Outcome::Done) };
        if origin.awaits_everything() {
            return Err(Fault("this is for OSC; on this connection it is the operation \"subscribe\"".into()));
        }
        let to = self.recipient(origin, to)?;
        let now = Instant::now();
        let answers = topic == "answers";
        // A sender may have another port each time; what counts is where it goes.
        self.subscriptions.retain(|s| {
            let same = s.topic == topic && if answers { s.origin == origin } else { s.to == to };
            s.ends > now && !same
        });
        self.make_room_for(origin)?;
        self.subscriptions.push(Subscription {
            origin,
            to,
            topic: topic.into(),
            every: Duration::from_secs_f64(1.0 / rate_hz),
            next: now,
            ends: now + Duration::from_secs_f64(seconds),
        });
        Ok(Outcome::Done)
    }

    /// Finds room for one more subscription of a peer. Where all are taken, the oldest of the address that has most ends,
    /// if that has more than this one would.
    fn make_room_for(&mut self, origin: Origin) -> Result<(), Fault> {
        let address = |o: Origin| o.peer.ip().to_canonical();
        let count = |ip| self.subscriptions.iter().filter(|s| address(s.origin) == ip).count();
        let own = count(address(origin));
        if own >= MOST_OF_ONE {
            return Err(Fault(format!("{own} subscriptions of this address are running, which is the limit")));
        }
        if self.subscriptions.len() < MOST_SUBSCRIPTIONS {
            return Ok(());
        }
        // The list is in the order in which they began, so that the first of equals is the oldest.
        let crowded = self.subscriptions.iter().map(|s| count(address(s.origin))).max().unwrap_or(0);
        match self.subscriptions.iter().position(|s| count(address(s.origin)) == crowded) {
            Some(oldest) if crowded > own + 1 => {
                self.subscriptions.remove(oldest);
                Ok(())
            }
            _ => Err(Fault(format!("{MOST_SUBSCRIPTIONS} subscriptions are running, which is the limit"))),
        }
    }

    /// A peer is not there any more: it is told nothing more.
    pub fn gone(&mut self, peer: SocketAddr) {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|s| s.to.peer != peer);
        if self.subscriptions.len() < before {
            tracing::info!("OSC: {peer} is gone; its subscriptions have ended");
        }
    }

    /// Ends a peer's subscriptions to a topic ("all": to every topic), or those that go to another recipient.
    pub fn unsubscribe(&mut self, call: &Call, topic: &str, to: &str) -> Result<Outcome, Fault> {
        if let Some(origin) = call.origin.filter(|o| !o.awaits_everything()) {
            let other = if to.is_empty() { None } else { Some(self.recipient(origin, to)?) };
            self.subscriptions.retain(|s| {
                let theirs = other.map_or(s.origin == origin, |to| s.to == to);
                !theirs || (topic != "all" && s.topic != topic)
            });
        }
        Ok(Outcome::Done)
    }

    /// Where an answer to `origin` goes.
    pub(super) fn answers_to(&self, origin: Origin) -> Origin {
        let elsewhere = self.subscriptions.iter().find(|s| s.topic == "answers" && s.origin == origin);
        elsewhere.filter(|s| s.ends > Instant::now()).map_or(origin, |s| s.to)
    }

    pub(super) fn push_beat(&mut self, beat: Message) {
        let to: Vec<Origin> = self.subscriptions.iter().filter(|s| s.wants("beats")).map(|s| s.to).collect();
        for origin in to {
            self.push_to(origin, vec![beat.clone()]);
        }
    }

    pub(super) fn serve_subscribers(&mut self) {
        if self.subscriptions.is_empty() {
            return;
        }
        let now = Instant::now();
        self.subscriptions.retain(|s| s.ends > now);
        let mut due = Vec::new();
        for s in &mut self.subscriptions {
            if s.next <= now {
                s.next = (s.next + s.every).max(now);
                due.push((s.to, s.topic.clone()));
            }
        }
        for (origin, topic) in due {
            let wants = |t: &str| topic == t || topic == "all";
            let mut messages = Vec::new();
            if wants("status") {
                messages.extend(self.status());
            }
            if wants("positions") {
                messages.extend(self.positions());
            }
            if wants("meters") {
                messages.extend(self.meters());
            }
            if !messages.is_empty() {
                self.push_to(origin, messages);
            }
        }
    }

    /// Everything `/get_status` answers, in this order.
    pub fn status(&self) -> Vec<Message> {
        let telemetry = &self.door.telemetry;
        let (beat, bar, in_bar) = self.beat();
        let rate = f64::from(self.settings.sample_rate);
        let mut out = vec![
            Message::new("/status/version", vec![Value::from(self.settings.version.as_str())]),
            Message::new("/status/sample_rate", vec![int(u64::from(self.settings.sample_rate))]),
            Message::new("/status/tempo", vec![telemetry.bpm().into(), self.settings.bpm.into()]),
            Message::new("/status/beat", vec![beat.into(), Value::Int(bar), Value::Int(in_bar)]),
            Message::new("/status/buffers", vec![int(self.buffers.len() as u64), megabytes(self.media_bytes).into()]),
        ];
        for (id, buffer) in &self.buffers {
            let (state, seconds, bytes) = match &buffer.state {
                Stem::Loading { .. } => ("loading", 0.0, 0),
                Stem::Ready { info, bytes, .. } => ("ready", info.seconds(), *bytes),
            };
            out.push(Message::new(
                "/status/buffer",
                vec![
                    Value::Int(*id),
                    Value::from(buffer.name.as_str()),
                    Value::from(deck_name(deck_of(*id))),
                    megabytes(bytes).into(),
                    seconds.into(),
                    Value::from(state),
                ],
            ));
        }
        let players = self.players();
        out.push(Message::new("/status/players", vec![int(players.len() as u64)]));
        out.extend(players);
        out.push(Message::new("/status/levels", self.decks.iter().map(|d| d.level.into()).collect()));
        out.push(Message::new("/status/master", vec![self.master.into()]));
        let report = &self.report;
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
            OutputState::Card => "card",
            OutputState::Silent => "silent",
            OutputState::Clock => "clock",
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
        let periods = report.periods.load(Relaxed).max(1);
        let period_ns = report.period_frames.load(Relaxed) as f64 / rate * 1e9;
        out.push(Message::new(
            "/status/load",
            vec![
                (report.render.sum_seconds() * 1e9 / periods as f64 / period_ns.max(1.0)).into(),
                (report.worst_render_ns.load(Relaxed) as f64 / period_ns.max(1.0)).into(),
                (report.worst_wake_ns.load(Relaxed) as f64 * 1e-6).into(),
                megabytes(usage::resident_bytes() as usize).into(),
            ],
        ));
        out.push(Message::new(
            "/status/faults",
            vec![
                int(telemetry.starved()),
                int(self.late.iter().map(|n| n.load(Relaxed)).sum()),
                int(self.refused),
                int(telemetry.lost_events()),
                int(guard::faults()),
                int(report.short_writes.load(Relaxed)),
                int(report.suspends.load(Relaxed)),
            ],
        ));
        out.push(self.recording_status());
        out.push(self.movement_status());
        out.extend(self.stretch_status());
        out.push(self.voices_status());
        out.push(self.midi_status());
        out
    }

    /// Forgets what was worst so far.
    pub fn forget_worst(&mut self) {
        self.report.worst_render_ns.store(0, Relaxed);
        self.report.worst_wake_ns.store(0, Relaxed);
    }

    /// Stems that are loaded.
    pub(super) fn ready_buffers(&self) -> usize {
        self.buffers.values().filter(|b| matches!(b.state, Stem::Ready { .. })).count()
    }

    /// Stems that play.
    pub(super) fn players(&self) -> Vec<Message> {
        let mut out = Vec::new();
        for (id, buffer) in &self.buffers {
            let Stem::Ready { slot, info, .. } = &buffer.state else { continue };
            let Some(cell) = self.door.telemetry.stems.get(usize::from(*slot)) else { continue };
            if !cell.is_playing() {
                continue;
            }
            out.push(Message::new(
                "/status/player",
                vec![
                    Value::Int(*id),
                    Value::from(buffer.name.as_str()),
                    Value::from(deck_name(deck_of(*id))),
                    (cell.position_frames() / f64::from(info.sample_rate)).into(),
                    buffer.start.volume.into(),
                    buffer.start.rate.into(),
                    Value::Int(i64::from(buffer.start.looped)),
                ],
            ));
        }
        out
    }

    fn positions(&self) -> Vec<Message> {
        let mut out = self.players();
        let (beat, bar, in_bar) = self.beat();
        out.push(Message::new("/status/beat", vec![beat.into(), Value::Int(bar), Value::Int(in_bar)]));
        out
    }

    fn meters(&self) -> Vec<Message> {
        let mut out = Vec::new();
        for (channel, needle) in self.output_needles.iter().enumerate() {
            let values = vec![int(channel as u64), needle.peak.into(), needle.rms.into(), int(needle.clips)];
            out.push(Message::new("/meter/output", [values, vec![needle.hold.into()]].concat()));
        }
        for (deck, needle) in self.deck_needles.iter().enumerate() {
            let name = Value::from(deck_name(deck));
            out.push(Message::new(
                "/meter/deck",
                vec![name, needle.peak.into(), needle.rms.into(), needle.hold.into()],
            ));
        }
        out
    }

    /// Moves the meters, posts what became of the output, and writes the board if anybody looks at it.
    pub(super) fn watch_output(&mut self) {
        let now = Instant::now();
        let telemetry = &self.door.telemetry;
        for (needle, cell) in self.output_needles.iter_mut().zip(&telemetry.outputs) {
            needle.follow(cell, now);
        }
        for (needle, cell) in self.deck_needles.iter_mut().zip(&telemetry.decks) {
            needle.follow(cell, now);
        }
        for cause in Cause::ALL {
            let k = cause as usize;
            let (episodes, frames) = (self.report.episodes[k].load(Relaxed), self.report.lost_frames[k].load(Relaxed));
            let before = std::mem::replace(&mut self.told.xruns[k], (episodes, frames));
            if episodes > before.0 {
                let values = vec![cause.name().into(), int(episodes - before.0), int(frames - before.1)];
                self.bulletin.post("/event/xrun", values);
            }
        }
        for (what, counter, told) in [
            ("lost", &self.report.lost, &mut self.told.lost),
            ("adopted", &self.report.adopted, &mut self.told.adopted),
        ] {
            let count = counter.load(Relaxed);
            if count > std::mem::replace(told, count) {
                self.bulletin.post("/event/device", vec![what.into()]);
            }
        }
        self.watch_voices();
        if self.board.is_due(self.board_written, now) {
            self.board_written = now;
            self.board.write(self.door.telemetry.time(), self.state());
        }
    }

    /// Everything that has a value, by path: controls, status, meters.
    pub fn state(&self) -> BTreeMap<String, Vec<Value>> {
        let mut values = BTreeMap::new();
        for address in self.vocabulary.with_values() {
            if let Ok(now) = self.values_of(address) {
                values.insert(address.clone(), now);
            }
        }
        for message in self.status().into_iter().chain(self.meters()) {
            let (path, rest) = match table::STREAMS.iter().find(|s| s.is_numbered_as(&message.address)) {
                Some(_) => {
                    let mut args = message.args.into_iter();
                    let which = args.next().map(|v| v.as_text()).unwrap_or_default();
                    (format!("{}/{which}", message.address), args.collect())
                }
                None => (message.address, message.args),
            };
            values.insert(path, rest);
        }
        values
    }

    /// The line `systemctl status` shows.
    pub fn status_line(&self) -> String {
        let report = &self.report;
        let playing: Vec<&str> = (0..DECKS)
            .filter(|d| {
                self.buffers.iter().any(|(id, b)| {
                    deck_of(*id) == *d
                        && matches!(b.state, Stem::Ready { slot, .. }
                            if self.door.telemetry.stems.get(usize::from(slot)).is_some_and(|s| s.is_playing()))
                })
            })
            .map(deck_name)
            .collect();
        let sound = match (report.state(), report.unpaced.load(Relaxed)) {
            (OutputState::Card, false) => "playing to the card",
            (OutputState::Card, true) => "playing to a device that keeps no time",
            (OutputState::Silent, _) => "no card: silent, but on time",
            (OutputState::Clock, _) => "no card wanted, paced by the clock",
        };
        format!(
            "{sound}; decks {}; {:.1} BPM; {} stems ({:.0} MB); {} underruns, {} frames lost",
            if playing.is_empty() { "idle".into() } else { playing.join(" ") },
            self.door.telemetry.bpm(),
            self.buffers.len(),
            megabytes(self.media_bytes),
            report.episodes_total(),
            report.lost_total()
        )
    }

    /// The present values of the control at `address`.
    pub fn values_of(&self, address: &str) -> Result<Vec<Value>, Fault> {
        let Some((control, in_address)) = self.vocabulary.find(address) else {
            let state = (address.starts_with("/status/") || address.starts_with("/meter/")).then(|| self.state());
            return state.and_then(|mut s| s.remove(address)).ok_or_else(|| self.vocabulary.unknown(address));
        };
        let get = control.get.ok_or_else(|| Fault(format!("{address} is something to do; it has no value")))?;
        let args = control.check_address(&in_address)?;
        Ok(get(self, &Call { address: address.into(), args, at: None, origin: None }))
    }

    /// Stalls something, for debugging.
    pub fn stall(&mut self, what: &str, ms: u64) {
        if what == "conductor" {
            std::thread::sleep(Duration::from_millis(ms));
        } else {
            (self.hands.stall)(what, ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::request::{Line, Request, When};
    use super::super::tests::rig;
    use super::*;

    fn subscribe(conductor: &mut Conductor, host: u8, port: u16) -> bool {
        let origin = Origin { line: Line::Osc(0), peer: ([10, 0, 0, host], port).into(), tag: 0 };
        let call = Message::new("/groove/subscribe", vec!["status".into(), Value::Float(10.0), Value::Float(60.0)]);
        conductor.handle(Request { origin: Some(origin), when: When::Now, calls: vec![call] });
        conductor.take_answers().iter().any(|a| a.messages[0].address == "/done")
    }

    #[test]
    fn nobody_can_take_all_subscriptions() {
        let (_engine, mut conductor) = rig();
        // One address has its share and no more, however many ports it sends from.
        let own = (0..100).filter(|k| subscribe(&mut conductor, 1, 9_000 + k)).count();
        assert_eq!(own, MOST_OF_ONE);
        for host in 2..=4 {
            let own = (0..100).filter(|k| subscribe(&mut conductor, host, 9_000 + k)).count();
            assert_eq!(own, MOST_OF_ONE, "10.0.0.{host}");
        }
        assert_eq!(conductor.subscriptions.len(), MOST_SUBSCRIPTIONS, "all are taken");
        // Whoever comes next gets one of those who have most.
        assert!(subscribe(&mut conductor, 9, 9_000) && subscribe(&mut conductor, 9, 9_001));
        assert_eq!(conductor.subscriptions.len(), MOST_SUBSCRIPTIONS);
        conductor.gone(([10, 0, 0, 9], 9_000).into());
        assert_eq!(conductor.subscriptions.iter().filter(|s| s.origin.peer.ip().to_string() == "10.0.0.9").count(), 1);
    }
}
