//! MIDI input: translates events of the ALSA sequencer into calls of controls.
//!
//! A separate thread reads the sequencer port `grooved:notes`. Present and newly attached devices are connected to it;
//! others can be connected with `aconnect`. When a device disconnects, its held notes end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use alsa::Direction;
use alsa::poll;
use alsa::seq::{
    Addr, ClientIter, Connect, EvCtrl, EvNote, Event, EventType, PortCap, PortInfo, PortIter, PortSubscribe, PortType,
    Seq,
};
use tokio::sync::mpsc::Sender;

use crate::control::commands::request::{Message, Request, When};
use crate::control::commands::value::Value;
use crate::control::publish::counters::MidiTally;
use crate::ddsp::tuning::Tuning;

/// The sequencer's device.
const DEVICE: &str = "/dev/snd/seq";
/// Interval between attempts to open a sequencer that is not available.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The MIDI controller number of "reset all controllers".
const RESET_ALL: i64 = 121;
/// Capacity in events of the kernel's input queue.
const POOL: u32 = 2_000;

/// Starts the MIDI thread, which runs until the process ends. Connects devices whose names contain one of `wanted`
/// (case-insensitive), or all if `wanted` is empty.
///
/// # Errors
/// If no thread can be started.
pub fn listen(wanted: Vec<String>, requests: Sender<Request>, tally: Arc<MidiTally>) -> std::io::Result<()> {
    let work = move || {
        let mut told = String::new();
        while !requests.is_closed() {
            let why = match Port::open(&wanted, &tally) {
                Ok(mut port) => {
                    told.clear();
                    tracing::info!("MIDI: listening on the sequencer port grooved:notes");
                    let error = port.serve(&requests);
                    port.leave(&requests);
                    error
                }
                Err(why) => why,
            };
            if why != told {
                tracing::info!("MIDI: {why}; retrying every {} s", LOOK_AGAIN.as_secs());
                told = why;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    };
    std::thread::Builder::new().name("midi".into()).spawn(work).map(drop)
}

/// Our port of the ALSA sequencer, with the state of connected devices.
struct Port<'t> {
    seq: Seq,
    own: Addr,
    wanted: &'t [String],
    tally: &'t MidiTally,
    /// Held keys as (channel, note), by device.
    held: BTreeMap<(i32, i32), BTreeSet<(u8, u8)>>,
    /// Channels on which a device has sent events.
    moved: BTreeSet<((i32, i32), u8)>,
    /// Pitch bend and tuning of each channel of a device.
    tunings: BTreeMap<((i32, i32), u8), Tuning>,
}

fn key(addr: Addr) -> (i32, i32) {
    (addr.client, addr.port)
}

impl<'t> Port<'t> {
    fn open(wanted: &'t [String], tally: &'t MidiTally) -> Result<Port<'t>, String> {
        if !Path::new(DEVICE).exists() {
            return Err(format!("no {DEVICE} (the kernel module snd-seq)"));
        }
        let open = || -> alsa::Result<Port<'t>> {
            let seq = Seq::open(None, Some(Direction::Capture), true)?;
            seq.set_client_name(c"grooved")?;
            seq.set_client_pool_input(POOL)?;
            let mut info = PortInfo::empty()?;
            info.set_name(c"notes");
            info.set_capability(PortCap::WRITE | PortCap::SUBS_WRITE);
            info.set_type(PortType::MIDI_GENERIC | PortType::SYNTHESIZER | PortType::APPLICATION);
            seq.create_port(&info)?;
            let own = Addr { client: seq.client_id()?, port: info.get_port() };
            let port = Port {
                seq,
                own,
                wanted,
                tally,
                held: BTreeMap::new(),
                moved: BTreeSet::new(),
                tunings: BTreeMap::new(),
            };
            port.connect(Addr::system_announce())?;
            Ok(port)
        };
        let port = open().map_err(|e| format!("cannot open the sequencer: {e}"))?;
        let there: Vec<PortInfo> =
            ClientIter::new(&port.seq).flat_map(|c| PortIter::new(&port.seq, c.get_client())).collect();
        there.iter().for_each(|info| port.welcome(info));
        Ok(port)
    }

    fn connect(&self, from: Addr) -> alsa::Result<()> {
        let subscription = PortSubscribe::empty()?;
        subscription.set_sender(from);
        subscription.set_dest(self.own);
        self.seq.subscribe_port(&subscription)
    }

    fn name_of(&self, addr: Addr) -> String {
        let client = self.seq.get_any_client_info(addr.client);
        let client = client.ok().and_then(|c| c.get_name().map(str::to_string).ok()).unwrap_or_default();
        let port = self.seq.get_any_port_info(addr);
        let port = port.ok().and_then(|p| p.get_name().map(str::to_string).ok()).unwrap_or_default();
        match port.starts_with(&client) {
            true => port,
            false => format!("{client} {port}"),
        }
    }

    /// Connects a port that sends MIDI, if its name is wanted.
    fn welcome(&self, info: &PortInfo) {
        let addr = info.addr();
        let (can, kind) = (info.get_capability(), info.get_type());
        let plays = can.contains(PortCap::READ | PortCap::SUBS_READ) && !can.contains(PortCap::NO_EXPORT);
        let ours = addr.client == self.own.client || addr.client == Addr::system_announce().client;
        if ours || !plays || !kind.contains(PortType::MIDI_GENERIC) {
            return;
        }
        let name = self.name_of(addr);
        let lower = name.to_lowercase();
        if !self.wanted.is_empty() && !self.wanted.iter().any(|w| lower.contains(&w.to_lowercase())) {
            tracing::info!("MIDI: {name} not connected: its name does not match midi.devices in the configuration");
            return;
        }
        // A device attached during the initial scan is found twice.
        if let Err(error) = self.connect(addr)
            && error.errno() != libc::EBUSY
        {
            tracing::warn!("MIDI: cannot connect {name}: {error}");
        }
    }

    /// Forwards events until reading fails, or nobody receives them; returns the reason.
    fn serve(&mut self, requests: &Sender<Request>) -> String {
        loop {
            let waiting: &[&dyn poll::Descriptors] = &[&(&self.seq, Some(Direction::Capture))];
            if let Err(error) = poll::poll_all(waiting, 1_000)
                && error.errno() != libc::EINTR
            {
                return format!("the sequencer is gone: {error}");
            }
            if requests.is_closed() {
                return "the conductor has ended".into();
            }
            loop {
                let event = match self.seq.input().event_input() {
                    Ok(event) => event.into_owned(),
                    Err(error) if error.errno() == libc::EAGAIN => break,
                    Err(error) if error.errno() == libc::ENOSPC => {
                        // The lost events may include note-offs.
                        self.tally.lost.fetch_add(1, Relaxed);
                        tracing::warn!("MIDI: queue overflow: events were lost; ending all notes");
                        self.held.clear();
                        send(requests, Message::new("/groove/note/all_off", vec!["all".into()]));
                        continue;
                    }
                    Err(error) if error.errno() == libc::EINVAL => continue,
                    Err(error) => return format!("the sequencer is gone: {error}"),
                };
                self.hear(&event, requests);
            }
        }
    }

    fn hear(&mut self, event: &Event, requests: &Sender<Request>) {
        match event.get_type() {
            EventType::PortStart => {
                if let Some(info) = event.get_data::<Addr>().and_then(|a| self.seq.get_any_port_info(a).ok()) {
                    self.welcome(&info);
                }
            }
            EventType::PortSubscribed => {
                if let Some(Connect { sender, dest }) = event.get_data()
                    && dest == self.own
                    && sender != Addr::system_announce()
                {
                    let name = self.name_of(sender);
                    tracing::info!("MIDI: {name} connected");
                    self.tally.came(key(sender), name);
                }
            }
            EventType::PortUnsubscribed => {
                if let Some(Connect { sender, dest }) = event.get_data()
                    && dest == self.own
                {
                    self.part_from(sender, requests);
                }
            }
            EventType::PortExit => {
                if let Some(addr) = event.get_data() {
                    self.part_from(addr, requests);
                }
            }
            _ => {
                let channel = event.get_data().map_or(0, |EvCtrl { channel, .. }| channel);
                let tuning = self.tunings.entry((key(event.get_source()), channel)).or_default();
                let calls = calls_of(event, tuning);
                if !calls.is_empty() {
                    self.tally.events.fetch_add(1, Relaxed);
                    self.remember(event);
                }
                calls.into_iter().for_each(|call| send(requests, call));
            }
        }
    }

    fn remember(&mut self, event: &Event) {
        if let Some(EvCtrl { channel, .. }) = event.get_data() {
            self.moved.insert((key(event.get_source()), channel));
        }
        let Some(note) = event.get_data::<EvNote>() else { return };
        let held = self.held.entry(key(event.get_source())).or_default();
        match event.get_type() {
            EventType::Noteon if note.velocity > 0 => held.insert((note.channel, note.note)),
            _ => held.remove(&(note.channel, note.note)),
        };
    }

    /// Handles the loss of a device: ends its notes and resets its controllers.
    fn part_from(&mut self, addr: Addr, requests: &Sender<Request>) {
        if let Some(name) = self.tally.went(key(addr)) {
            tracing::info!("MIDI: {name} disconnected");
        }
        for (channel, note) in self.held.remove(&key(addr)).unwrap_or_default() {
            send(requests, note_off(channel, note));
        }
        self.tunings.retain(|(device, _), _| *device != key(addr));
        let moved: Vec<u8> = self.moved.iter().filter(|(k, _)| *k == key(addr)).map(|(_, channel)| *channel).collect();
        for channel in moved {
            self.moved.remove(&(key(addr), channel));
            let reset = [i64::from(channel) + 1, RESET_ALL, 0].map(Value::Int);
            send(requests, Message::new("/groove/midi/controller", reset.to_vec()));
        }
    }

    /// Handles the loss of the sequencer: as for the loss of every device.
    fn leave(&mut self, requests: &Sender<Request>) {
        let mut gone: BTreeSet<(i32, i32)> = self.held.keys().copied().collect();
        gone.extend(self.moved.iter().map(|(device, _)| *device));
        gone.into_iter().for_each(|(client, port)| self.part_from(Addr { client, port }, requests));
        self.tally.none_left();
    }
}

/// Sends a call to the conductor. Blocks while its queue is full; meanwhile the kernel queues events.
fn send(requests: &Sender<Request>, call: Message) {
    let _ = requests.blocking_send(Request { origin: None, when: When::Now, calls: vec![call] });
}

fn note_off(channel: u8, note: u8) -> Message {
    Message::new("/groove/note/off", vec![Value::Int(note.into()), Value::Int(i64::from(channel) + 1)])
}

/// Returns the calls that an event causes; empty for events that are ignored. Updates `tuning`, the pitch state of the
/// event's channel.
pub fn calls_of(event: &Event, tuning: &mut Tuning) -> Vec<Message> {
    let int = |n: i64| Value::Int(n);
    match event.get_type() {
        EventType::Noteon | EventType::Noteoff => {
            let Some(EvNote { channel, note, velocity, .. }) = event.get_data() else { return Vec::new() };
            if event.get_type() == EventType::Noteoff || velocity == 0 {
                return vec![note_off(channel, note)];
            }
            let values = vec![int(note.into()), int(velocity.into()), int(i64::from(channel) + 1)];
            vec![Message::new("/groove/note/on", values)]
        }
        kind => {
            let Some(EvCtrl { channel, param, value }) = event.get_data() else { return Vec::new() };
            let part = |what: &str| format!("/groove/part/{}/{what}", u32::from(channel) + 1);
            // The control accepts four octaves at most.
            let bend = |tuning: &Tuning| Message::new(part("bend"), vec![tuning.semitones().clamp(-48.0, 48.0).into()]);
            match kind {
                EventType::Controller => {
                    let values = vec![int(i64::from(channel) + 1), int(param.into()), int(value.into())];
                    let mut calls = vec![Message::new("/groove/midi/controller", values)];
                    if tuning.control(param.min(127) as u8, value.clamp(0, 127) as u8) {
                        calls.push(bend(tuning));
                    }
                    calls
                }
                EventType::Pitchbend => {
                    tuning.bend(f64::from(value) / 8_192.0);
                    vec![bend(tuning)]
                }
                // A registered parameter as a single event, as some programs send it.
                EventType::Regparam => {
                    let halves = |n: i64| ((n >> 7 & 127) as u8, (n & 127) as u8);
                    let (number, value) = (halves(param.into()), halves(value.into()));
                    let before = *tuning;
                    for (controller, value) in [(101, number.0), (100, number.1), (6, value.0), (38, value.1)] {
                        tuning.control(controller, value);
                    }
                    if before.semitones() == tuning.semitones() { Vec::new() } else { vec![bend(tuning)] }
                }
                EventType::Pgmchange => vec![Message::new(part("program"), vec![int(value.into())])],
                _ => Vec::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctrl(kind: EventType, channel: u8, param: u32, value: i32) -> Event<'static> {
        Event::new(kind, &EvCtrl { channel, param, value })
    }

    #[test]
    fn events_become_calls() {
        let note = |kind, velocity| {
            let event = Event::new(kind, &EvNote { channel: 2, note: 60, velocity, ..EvNote::default() });
            calls_of(&event, &mut Tuning::default()).remove(0)
        };
        let (on, off) = ("/groove/note/on", "/groove/note/off");
        assert_eq!(note(EventType::Noteon, 90), Message::new(on, vec![Value::Int(60), Value::Int(90), Value::Int(3)]));
        for event in [note(EventType::Noteon, 0), note(EventType::Noteoff, 64)] {
            assert_eq!(event, Message::new(off, vec![Value::Int(60), Value::Int(3)]));
        }
        let call = |event: Event| calls_of(&event, &mut Tuning::default()).remove(0);
        assert_eq!(
            call(ctrl(EventType::Pitchbend, 0, 0, -8_192)),
            Message::new("/groove/part/1/bend", vec![Value::Float(-2.0)])
        );
        assert_eq!(
            call(ctrl(EventType::Controller, 0, 74, 127)),
            Message::new("/groove/midi/controller", vec![Value::Int(1), Value::Int(74), Value::Int(127)])
        );
        assert_eq!(
            call(ctrl(EventType::Pgmchange, 15, 0, 71)),
            Message::new("/groove/part/16/program", vec![Value::Int(71)])
        );
        for event in [ctrl(EventType::Chanpress, 0, 0, 3), Event::new(EventType::Sensing, &())] {
            assert_eq!(calls_of(&event, &mut Tuning::default()), []);
        }
    }

    #[test]
    fn a_device_says_how_far_its_wheel_goes() {
        let mut tuning = Tuning::default();
        for (controller, value) in [(101, 0), (100, 0), (6, 12)] {
            calls_of(&ctrl(EventType::Controller, 3, controller, value), &mut tuning);
        }
        let bend = calls_of(&ctrl(EventType::Pitchbend, 3, 0, -8_192), &mut tuning);
        assert_eq!(bend, [Message::new("/groove/part/4/bend", vec![Value::Float(-12.0)])]);
        // A change of the range while the wheel is held takes effect at once.
        let change = calls_of(&ctrl(EventType::Controller, 3, 6, 7), &mut tuning);
        assert_eq!(change[1], Message::new("/groove/part/4/bend", vec![Value::Float(-7.0)]));
        let change = calls_of(&ctrl(EventType::Regparam, 3, 0, 5 << 7), &mut tuning);
        assert_eq!(change, [Message::new("/groove/part/4/bend", vec![Value::Float(-5.0)])]);
    }

    #[test]
    fn every_call_is_one_of_the_vocabulary() {
        let vocabulary = crate::control::table::vocabulary(false);
        let note = EvNote { channel: 15, note: 127, velocity: 127, ..EvNote::default() };
        for event in [
            Event::new(EventType::Noteon, &note),
            Event::new(EventType::Noteoff, &note),
            ctrl(EventType::Pitchbend, 15, 0, 8_191),
            ctrl(EventType::Controller, 15, 127, 127),
            ctrl(EventType::Pgmchange, 15, 0, 127),
        ] {
            let call = calls_of(&event, &mut Tuning::default()).remove(0);
            let (control, in_address) = vocabulary.find(&call.address).unwrap();
            control.check(&in_address, &call.args).unwrap();
        }
    }
}
