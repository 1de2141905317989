//! The one task that talks to the engine.
//!
//! The conductor owns the way into the engine and the model of what is loaded, playing and scheduled. Requests of all
//! faces reach it through one bounded channel and are done in the order in which they came. It is a plain state
//! machine: [`Conductor::accept`] takes a request, [`Conductor::work`] does some of it, [`Conductor::tick`] lets time
//! pass; whether a runtime or an offline
//! renderer calls them is not its business. Nothing in it waits.
//!
//! - [`stems`]: loading, playing, stopping
//! - [`decks`]: levels, equalisers, cues, groups, fades
//! - [`recording`]: recording what is heard
//! - [`shows`]: the state file and presets
//! - [`voices`]: instruments on the speakers; [`midi`]: controllers
//! - [`clock`]: tempo, and when things are due
//! - [`status`]: what is told about all that
//! - `waiting`: what waits for its time
//! - [`work`]: calls that are under way, done in slices

pub mod clock;
pub mod decks;
mod lenience;
pub mod midi;
pub mod movement;
mod recipient;
pub mod recording;
pub mod shows;
pub mod status;
pub mod stems;
pub mod tempo;
pub mod voices;
mod waiting;
pub mod work;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::board::Board;
use super::bulletin::Bulletin;
use super::meters::Needle;
use super::pace::PaceBoard;
use super::request::{Answer, Line, Message, Origin, Request, When};
use super::table;
use super::tally::MidiTally;
use super::value::Value;
use super::vocabulary::{Ack, Call, Control, Fault, Outcome, Vocabulary};
use crate::ddsp::order::Order as VoiceOrder;
use crate::engine::DECKS;
use crate::engine::command::{Action, Command, Event, Refusal, Retired, Slot};
use crate::engine::cover::{Bounds, WorkerEnd};
use crate::engine::door::{ControlDoor, Telemetry};
use crate::engine::method::Method;
use crate::engine::voices::VoiceCell;
use crate::media::feed::Feeder;
use crate::media::library::Library;
use crate::media::pool::{Done, Job};
use crate::media::recorder::Order;
use crate::movement::crowd::{self, Crowd};
use crate::output::report::Report;
use crate::system::keeper::Job as KeeperJob;
use tempo::Pace;
use waiting::Waiting;

/// Commands cross the door this long before they are due (seconds); until then they wait here.
const LEAD_S: f64 = 0.2;
/// Bytes of an address that come back with a `/fail`.
const MOST_SHOWN: usize = 200;
/// Timed calls of which it is remembered who asked for them.
const MOST_TICKETS: usize = 4096;
/// Commands waiting for the engine beyond which no more requests are taken for a while.
const BEHIND: usize = 4096;
/// Ticks after which an engine that has not answered is asked again: an answer can be lost, too.
const PING_PATIENCE: u32 = 8;
/// Places beyond one per stem, for those that rest.
pub const SPARE_SLOTS: usize = 64;

/// What the conductor needs to know from the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Frames per second of the output.
    pub sample_rate: u32,
    /// Most stems.
    pub slots: usize,
    /// Most bytes for loaded stems.
    pub media_bytes: usize,
    /// Master gain.
    pub master: f64,
    /// Deck levels.
    pub levels: [f64; DECKS],
    /// Base tempo.
    pub bpm: f64,
    /// Beats per bar.
    pub meter: i64,
    /// Whether the older servers' equaliser addresses take effect.
    pub filters: bool,
    /// Seconds a group start waits for a slow load.
    pub group_wait_s: f64,
    /// Seconds into the future that timed bundles may lie.
    pub horizon_s: f64,
    /// Ranges of addresses that OSC may be sent to.
    pub allow: Vec<ipnet::IpNet>,
    /// How decks change their tempo.
    pub method: Method,
    /// How far decks follow the clock.
    pub sync: tempo::Sync,
    /// Bounds of the reserves of high-quality stretching.
    pub reserve: Bounds,
    /// How the crowd is listened to.
    pub crowd: crowd::Settings,
    /// What else movement steers.
    pub maps: Vec<movement::Map>,
    /// Seconds a change of tempo takes.
    pub tempo_glide_s: f64,
    /// Whether the addresses under /groove/debug are there.
    pub debug: bool,
    /// The daemon's version.
    pub version: String,
    /// Whether there is a folder to keep presets in.
    pub keeps: bool,
    /// How often the state is kept, if at all.
    pub save_every: Option<Duration>,
    /// Voices on the speakers.
    pub voices: usize,
    /// Their instrument at first.
    pub instrument: String,
}

/// Stalls a thread by name for some milliseconds.
pub type Stall = Box<dyn FnMut(&str, u64) + Send>;

/// What the conductor makes use of, as functions, so that it can be run with threads or without.
pub struct Hands {
    /// Loads a file; the result comes to [`Conductor::loaded`].
    pub load: Box<dyn FnMut(Job) + Send>,
    /// Looks for files in other roots from now on.
    pub roots: Box<dyn FnMut(Library) + Send>,
    /// Hands reserves to the worker that fills them.
    pub stretch: Box<dyn FnMut(Vec<WorkerEnd>) + Send>,
    /// Gives a stem to the disk worker.
    pub feed: Box<dyn FnMut(Feeder) + Send>,
    /// Reads and writes small files; the result comes to [`Conductor::kept`].
    pub keep: Box<dyn FnMut(KeeperJob) + Send>,
    /// Begins a recording; what becomes of it comes to [`Conductor::recorded`]. `false`: there is nowhere to put it.
    pub record: Box<dyn FnMut(Order) -> bool + Send>,
    /// Frames of the recording so far, and how many of them are missing.
    pub recorded: Box<dyn Fn() -> (u64, u64) + Send>,
    /// Tells the voices what to do, at a sample time if there is one.
    pub voice: Box<dyn FnMut(Option<u64>, VoiceOrder) + Send>,
    /// Opens instruments; what comes of it comes to [`Conductor::made`].
    pub instrument: Box<dyn FnMut(voices::Job) + Send>,
    /// What the voices' worker shows, if there is one.
    pub voices: Option<Arc<VoiceCell>>,
    /// Stalls something, for debugging: (what, milliseconds).
    pub stall: Stall,
}

/// A deck as the conductor knows it.
#[derive(Clone, Debug)]
pub struct Deck {
    /// Level.
    pub level: f64,
    /// Gains of the three bands.
    pub bands: [f64; 3],
    /// Share of the crossfade.
    pub fader: f64,
    /// The buffer armed by a cue, and where it starts.
    pub armed: Option<(i64, f64)>,
    /// How its tempo is changed, whether it follows the clock, and its own tempo.
    pub pace: Pace,
}

/// Something that waits for its time, in samples.
enum Deferred {
    /// Calls to be made.
    Calls(Option<Origin>, Vec<Message>),
    /// A buffer to be played from its beginning, if it is still the one that came from this load.
    Play { id: i64, serial: u64 },
    /// A group start: decks and when it was asked for.
    Group { decks: Vec<usize>, at: u64, until: u64, origin: Option<Origin>, address: String },
}

/// Someone who wants to know when all that was asked before is done.
struct Sync {
    origin: Option<Origin>,
    values: Vec<Value>,
    /// Loads with a smaller number are waited for.
    serial: u64,
    /// The engine's answer is under way.
    ticket: Option<u32>,
}

/// See the module's text.
pub struct Conductor {
    settings: Settings,
    vocabulary: Arc<Vocabulary>,
    door: ControlDoor,
    hands: Hands,
    report: Arc<Report>,
    /// Commands on their way to the engine.
    outbox: VecDeque<Command>,
    answers: Vec<Answer>,
    buffers: BTreeMap<i64, stems::Buffer>,
    /// Places for stems, and from when on they may be used.
    free: VecDeque<(Slot, u64)>,
    decks: [Deck; DECKS],
    master: f64,
    tempo: f64,
    meter: i64,
    print_clock: bool,
    last_beat: i64,
    crossfade: (f64, String),
    /// Sample at which the session's seconds count from zero.
    zero: u64,
    waiting: Waiting,
    serial: u64,
    /// Timed calls that want to know whether they were late: ticket → (origin, address).
    tickets: HashMap<u32, (Option<Origin>, String)>,
    next_ticket: u32,
    ping: Option<u32>,
    ping_age: u32,
    syncs: Vec<Sync>,
    engine_answers: Arc<AtomicU64>,
    answered_at: Arc<AtomicU64>,
    subscriptions: Vec<status::Subscription>,
    bulletin: Arc<Bulletin>,
    board: Arc<Board>,
    board_written: Instant,
    output_needles: Vec<Needle>,
    deck_needles: [Needle; DECKS],
    /// Counters of the output as they were last told.
    told: status::Told,
    movement: HashMap<String, f64>,
    crowd: Crowd,
    dry_told: Option<Instant>,
    /// When the log last told of the crowd's target, and which one.
    crowd_told: (f64, f64),
    maps: Vec<movement::Mapped>,
    /// What was learned of MIDI controllers, and what is being learned.
    learned: Vec<movement::Mapped>,
    lesson: Option<midi::Lesson>,
    voices: voices::Voices,
    midi: Arc<MidiTally>,
    /// Things done too late: asked for over OSC, in sessions, by ourselves.
    late: Arc<[AtomicU64; 3]>,
    /// Reserves and the crowd, for others to see.
    pace: Arc<PaceBoard>,
    refused: u64,
    media_bytes: usize,
    loads_under_way: usize,
    /// Loaded stems for which no place is clear yet.
    homeless: Vec<Done>,
    keeping: HashMap<u64, shows::Keeping>,
    /// The state as it was last kept, and when.
    kept: Vec<u8>,
    kept_at: Instant,
    recall: Option<shows::Recall>,
    recording: Option<recording::Recording>,
    work: work::Work,
    lenience: lenience::Lenience,
}

impl Conductor {
    /// A conductor at `door`.
    pub fn new(settings: Settings, door: ControlDoor, hands: Hands, report: Arc<Report>) -> Conductor {
        // Some more than stems: a place rests for a moment after its stem has gone.
        let free = (0..(settings.slots + settings.slots.min(SPARE_SLOTS)) as Slot).map(|slot| (slot, 0)).collect();
        let now = Instant::now();
        let output_needles = vec![Needle::new(now); door.telemetry.outputs.len()];
        let crowd = Conductor::crowd_of(&settings);
        let vocabulary = Arc::new(table::vocabulary_of(settings.debug, settings.voices));
        let maps = settings.maps.iter().map(|m| movement::Mapped::new(m.clone(), &vocabulary)).collect();
        let voices = voices::Voices::new(settings.voices, hands.voices.clone());
        let mut conductor = Conductor {
            vocabulary,
            decks: std::array::from_fn(|d| Deck {
                level: settings.levels[d],
                bands: [1.0; 3],
                fader: 1.0,
                armed: None,
                pace: Pace { method: settings.method, sync: settings.sync, ..Pace::default() },
            }),
            master: settings.master,
            tempo: settings.bpm,
            meter: settings.meter,
            settings,
            door,
            hands,
            report,
            outbox: VecDeque::new(),
            answers: Vec::new(),
            buffers: BTreeMap::new(),
            free,
            print_clock: false,
            last_beat: -1,
            crossfade: (0.5, "off".into()),
            zero: 0,
            waiting: Waiting::default(),
            serial: 0,
            tickets: HashMap::new(),
            next_ticket: 1,
            ping: None,
            ping_age: 0,
            syncs: Vec::new(),
            engine_answers: Arc::new(AtomicU64::new(0)),
            answered_at: Arc::new(AtomicU64::new(crate::system::time::monotonic_ns())),
            subscriptions: Vec::new(),
            bulletin: Arc::default(),
            board: Arc::default(),
            board_written: now,
            output_needles,
            deck_needles: [Needle::new(now); DECKS],
            told: status::Told::default(),
            movement: HashMap::new(),
            crowd,
            dry_told: None,
            crowd_told: (f64::NEG_INFINITY, 0.0),
            maps,
            learned: Vec::new(),
            lesson: None,
            voices,
            midi: Arc::default(),
            late: Arc::default(),
            pace: Arc::default(),
            refused: 0,
            media_bytes: 0,
            loads_under_way: 0,
            homeless: Vec::new(),
            keeping: HashMap::new(),
            kept: Vec::new(),
            kept_at: now,
            recall: None,
            recording: None,
            work: work::Work::default(),
            lenience: lenience::Lenience::default(),
        };
        conductor.set_paces();
        conductor.choose_first_instrument();
        conductor
    }

    /// All controls.
    pub fn vocabulary(&self) -> Arc<Vocabulary> {
        self.vocabulary.clone()
    }

    /// What happened.
    pub fn bulletin(&self) -> Arc<Bulletin> {
        self.bulletin.clone()
    }

    /// Everything as it is.
    pub fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// What the engine shows of itself.
    pub fn telemetry(&self) -> Arc<Telemetry> {
        self.door.telemetry.clone()
    }

    /// How often the engine has answered a ping: food for the watchdog.
    pub fn engine_answers(&self) -> Arc<AtomicU64> {
        self.engine_answers.clone()
    }

    /// Reserves and the crowd, as others may see them.
    pub fn pace(&self) -> Arc<PaceBoard> {
        self.pace.clone()
    }

    /// How many things were done too late: asked for over OSC, in sessions, by ourselves.
    pub fn late(&self) -> Arc<[AtomicU64; 3]> {
        self.late.clone()
    }

    fn count_late(&self, origin: Option<Origin>) {
        let face = match origin.map(|o| o.line) {
            Some(Line::Osc(_)) => 0,
            Some(Line::Session(_)) => 1,
            None => 2,
        };
        self.late[face].fetch_add(1, Relaxed);
    }

    /// When the engine last answered a ping (monotonic, in nanoseconds).
    pub fn answered_at(&self) -> Arc<AtomicU64> {
        self.answered_at.clone()
    }

    /// Takes over what a reload may change; the rest of `settings` is as before.
    pub fn reconfigure(&mut self, settings: Settings, library: Library) {
        (self.hands.roots)(library);
        self.settings = Settings {
            // Moved since by whoever plays.
            bpm: self.settings.bpm,
            // Found out at the start.
            keeps: self.settings.keeps,
            save_every: self.settings.save_every,
            ..settings
        };
        self.set_movement();
    }

    /// Fades everything out, for the end.
    pub fn fade_out(&mut self, seconds: f64) {
        let frames = Some((seconds * f64::from(self.settings.sample_rate)) as u32);
        self.push(None, Action::Master { gain: 0.0, frames });
        self.flush();
    }

    /// The answers that have come up since the last call.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// Does a request at once, whatever it expands to, or keeps it until its time.
    pub fn handle(&mut self, request: Request) {
        self.accept(request);
        self.finish_work();
    }

    /// Queues a request, or keeps it until its time. [`Conductor::work`] does what is queued.
    pub fn accept(&mut self, request: Request) {
        match request.when {
            When::Now => self.enqueue(request.origin, request.calls, None),
            When::Past => {
                self.tell_late(request.origin, &request.calls, None);
                self.enqueue(request.origin, request.calls, None);
            }
            When::Monotonic(ns) => self.handle_tagged(ns, request),
        }
        self.do_due();
    }

    /// Lets time pass: due things are done, events are read, objects are freed, subscribers served.
    pub fn tick(&mut self) {
        self.read_events();
        while let Some(retired) = self.door.retired() {
            match retired {
                Retired::Stem { slot, source } => {
                    drop(source);
                    // Commands for the stem that was here may still be on their way; they must not find another.
                    let clear = self.now() + 2 * self.frames(LEAD_S);
                    self.free.push_back((slot, clear));
                }
                Retired::Refused { source } => drop(source),
                Retired::Kit { kit } => drop(kit),
                Retired::Tape { tape } => {
                    // Its writer sees it go, and completes the file.
                    drop(tape);
                    self.tape_is_back();
                }
            }
        }
        for done in std::mem::take(&mut self.homeless) {
            self.finish_load(done);
        }
        self.do_due();
        self.advance_syncs();
        self.watch_beats();
        self.watch_output();
        self.watch_speeds();
        self.watch_crowding();
        self.watch_reserves();
        self.watch_movement();
        self.show_pace();
        self.advance_recall();
        self.chase_tape();
        self.keep_state();
        self.serve_subscribers();
        self.flush();
    }

    /// Answers `/synced` with `values` once all that was asked before is done: loads have ended, and the engine has
    /// taken what crossed the door.
    pub fn sync(&mut self, origin: Option<Origin>, values: Vec<Value>) -> Result<Outcome, Fault> {
        if self.syncs.len() >= 256 {
            return Err(Fault("256 callers wait for /synced already".into()));
        }
        let serial = self.serial();
        self.syncs.push(Sync { origin, values, serial, ticket: None });
        self.advance_syncs();
        Ok(Outcome::Later)
    }

    fn advance_syncs(&mut self) {
        for k in 0..self.syncs.len() {
            let serial = self.syncs[k].serial;
            if self.syncs[k].ticket.is_none()
                && !self.buffers.values().any(|b| b.loads_before(serial))
                && !self.is_keeping_before(serial)
                && !self.is_fetching_before(serial)
            {
                let ticket = self.ticket(None, String::new());
                self.syncs[k].ticket = Some(ticket);
                self.outbox.push_back(Command { at: None, ticket, action: Action::Ping });
            }
        }
    }

    /// Asks the engine for a sign of life.
    pub fn ping(&mut self) {
        self.ping_age += 1;
        if self.ping.is_none() || self.ping_age > PING_PATIENCE {
            self.ping_age = 0;
            let ticket = self.ticket(None, String::new());
            self.ping = Some(ticket);
            self.outbox.push_back(Command { at: None, ticket, action: Action::Ping });
            self.flush();
        }
    }

    /// Whether the engine has so much to catch up with that requests should wait.
    pub fn is_behind(&self) -> bool {
        self.outbox.len() > BEHIND
    }

    /// Now, in samples.
    fn now(&self) -> u64 {
        self.door.telemetry.time()
    }

    fn frames(&self, seconds: f64) -> u64 {
        (seconds.max(0.0) * f64::from(self.settings.sample_rate)).round() as u64
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Frames per second of the output.
    pub fn sample_rate(&self) -> u32 {
        self.settings.sample_rate
    }

    /// Sends an action to the engine.
    pub fn act(&mut self, at: Option<u64>, action: Action) {
        self.push(at, action);
    }

    /// Sends an action to the engine, behind all sent before.
    fn push(&mut self, at: Option<u64>, action: Action) {
        self.outbox.push_back(Command { at, ticket: 0, action });
    }

    fn flush(&mut self) {
        if self.outbox.is_empty() || self.work.is_halfway() {
            return;
        }
        // What belongs together must cross together: all or, when the engine is behind, nothing yet.
        if self.door.room() < self.outbox.len().min(crate::engine::door::COMMANDS / 2) {
            return;
        }
        let rest = self.door.send(self.outbox.drain(..).collect());
        self.outbox.extend(rest);
    }

    fn ticket(&mut self, origin: Option<Origin>, address: String) -> u32 {
        let ticket = self.number();
        if self.tickets.len() > MOST_TICKETS {
            self.tickets.clear();
        }
        self.tickets.insert(ticket, (origin, address));
        ticket
    }

    /// A ticket that nobody waits for.
    fn number(&mut self) -> u32 {
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.checked_add(1).unwrap_or(1);
        ticket
    }

    fn answer(&mut self, to: Option<Origin>, messages: Vec<Message>) {
        if let Some(to) = to {
            let to = self.answers_to(to);
            self.answers.push(Answer { to, messages, push: false });
        }
    }

    /// Tells a subscriber something.
    fn push_to(&mut self, to: Origin, messages: Vec<Message>) {
        self.answers.push(Answer { to, messages, push: true });
    }

    fn done(&mut self, to: Option<Origin>, address: &str, more: Vec<Value>) {
        let mut args = vec![Value::from(address)];
        args.extend(more);
        self.answer(to, vec![Message::new("/done", args)]);
    }

    fn fail(&mut self, to: Option<Origin>, address: &str, fault: &Fault) {
        match to {
            Some(origin) => tracing::warn!("{address:.200} from {}: {:.500}", origin.peer, fault.0),
            None => tracing::warn!("{address:.200}: {:.500}", fault.0),
        }
        // What no control can be called is not worth sending back whole.
        let shown = &address[..address.floor_char_boundary(MOST_SHOWN)];
        self.answer(to, vec![Message::new("/fail", vec![Value::from(shown), Value::from(fault.0.as_str())])]);
    }

    /// Does one call.
    fn call(&mut self, origin: Option<Origin>, message: Message, at: Option<u64>) {
        let address = message.address.as_str();
        let vocabulary = self.vocabulary.clone();
        let Some((control, in_address)) = vocabulary.find(address) else {
            let fault = vocabulary.unknown(address);
            return self.fail(origin, address, &fault);
        };
        let result = control.check(&in_address, &message.args).and_then(|args| {
            self.tell_clamped(control, &message.args);
            let call = Call { address: address.into(), args, at, origin };
            (control.run)(self, &call)
        });
        self.conclude(control, origin, address, at, result);
    }

    fn conclude(
        &mut self,
        control: &Control,
        origin: Option<Origin>,
        address: &str,
        at: Option<u64>,
        result: Result<Outcome, Fault>,
    ) {
        let waits = origin.is_some_and(|o| o.awaits_everything());
        match result {
            Ok(Outcome::Done) => {
                if let Some(at) = at {
                    // The engine tells whether it came in time.
                    let ticket = self.ticket(origin, address.into());
                    self.outbox.push_back(Command { at: Some(at), ticket, action: Action::Ping });
                }
                if control.ack == Ack::Done || waits {
                    self.done(origin, address, vec![]);
                }
            }
            Ok(Outcome::Later) => {}
            Ok(Outcome::Answer(messages)) => {
                self.answer(origin, messages);
                if control.ack == Ack::Done || waits {
                    self.done(origin, address, vec![]);
                }
            }
            Err(_) if control.ack == Ack::Never && !waits => {}
            Err(fault) => self.fail(origin, address, &fault),
        }
    }

    fn read_events(&mut self) {
        while let Some(event) = self.door.event() {
            match event {
                Event::Applied { ticket, late, .. } => {
                    self.start_arrived(ticket);
                    self.applied(ticket, late);
                }
                Event::Refused { ticket, why } => {
                    self.refused += 1;
                    self.start_arrived(ticket);
                    let reason = match why {
                        Refusal::EmptySlot => "the stem is gone",
                        Refusal::Recording => "a recording is running already",
                        Refusal::SlotTaken => "the stem's place is taken",
                        Refusal::OutOfRange => "there is no such place",
                        Refusal::ScheduleFull => "too much is scheduled for the next moments",
                        Refusal::TooManyRates => "too many different rates at once",
                    };
                    if let Some((origin, address)) = self.tickets.remove(&ticket) {
                        self.fail(origin, &address, &Fault(reason.into()));
                    } else {
                        self.bulletin.post("/event/refused", vec![reason.into()]);
                        tracing::warn!("the engine refused a command: {reason}");
                    }
                }
                Event::Primed { slot } => self.primed(slot),
                Event::Started { slot, at, late } => self.started(slot, at, late),
                Event::Ended { slot, still } => self.ended(slot, still),
                Event::Starved { slot, .. } => {
                    let name = self.name_of(slot);
                    self.post_stem("starved", slot);
                    tracing::warn!("stem {name}: the disk did not keep up; it is silent until it has caught up");
                }
                Event::Resumed { slot, .. } => {
                    let name = self.name_of(slot);
                    self.post_stem("resumed", slot);
                    tracing::info!("stem {name}: plays again");
                }
            }
        }
    }

    fn applied(&mut self, ticket: u32, late: u64) {
        if self.ping == Some(ticket) {
            self.ping = None;
            self.tickets.remove(&ticket);
            self.engine_answers.fetch_add(1, Relaxed);
            self.answered_at.store(crate::system::time::monotonic_ns(), Relaxed);
            return;
        }
        if let Some(k) = self.syncs.iter().position(|s| s.ticket == Some(ticket)) {
            let sync = self.syncs.remove(k);
            self.tickets.remove(&ticket);
            return self.answer(sync.origin, vec![Message::new("/synced", sync.values)]);
        }
        if let Some((origin, address)) = self.tickets.remove(&ticket)
            && late > 0
        {
            self.count_late(origin);
            let seconds = late as f64 / f64::from(self.settings.sample_rate);
            self.answer(origin, vec![Message::new("/late", vec![Value::from(address), Value::from(seconds)])]);
        }
    }

    /// A finished load.
    pub fn loaded(&mut self, done: Done) {
        self.finish_load(done);
        self.do_due();
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::door::door;
    use crate::engine::{Engine, EngineConfig};

    /// An engine and its conductor, with nothing around them.
    pub(super) fn rig() -> (Engine, Conductor) {
        let (inner, outer) = door(4, 2);
        let engine = Engine::new(&EngineConfig { sample_rate: 48_000, slots: 4, ..EngineConfig::default() }, inner);
        let hands = Hands {
            load: Box::new(|_| {}),
            roots: Box::new(|_| {}),
            feed: Box::new(|_| {}),
            stretch: Box::new(|_| {}),
            keep: Box::new(|_| {}),
            record: Box::new(|_| false),
            recorded: Box::new(|| (0, 0)),
            voice: Box::new(|_, _| {}),
            instrument: Box::new(|_| {}),
            voices: None,
            stall: Box::new(|_, _| {}),
        };
        let settings = Settings { slots: 4, ..crate::daemon::settings(&crate::config::Config::default()) };
        (engine, Conductor::new(settings, outer, hands, Arc::new(Report::default())))
    }
}
