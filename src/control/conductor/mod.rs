//! The one task that talks to the engine.
//!
//! The conductor owns the way into the engine and the model of what is loaded, playing and scheduled. Requests of all
//! interfaces reach it through one bounded channel and are done in the order in which they came. It is a plain state
//! machine: [`Conductor::accept`] takes a request, [`Conductor::work`] does some of it, [`Conductor::tick`] lets time
//! pass; a runtime or an offline renderer calls them. Nothing in it waits.
//!
//! Its state belongs to parts, each with its own file. A part's methods take the [`Context`] that all parts share, and by
//! reference the few other parts that they need. [`Conductor`] itself only dispatches; what concerns several parts at
//! once is in [`across`].
//!
//! - [`context`]: what the parts share; [`engine_link`], [`services`], [`settings`]
//! - [`stems`]: loading, playing, stopping; [`buffer`]: what is known of one; [`cues`]: decks that are made ready and start together
//! - [`mixer`]: levels, equalisers, the crossfader
//! - [`tempo`]: beats, bars, and how decks follow them ([`pace`]); [`stretch`]: how decks are stretched
//! - [`movement`]: the crowd; [`mapping`]: what measurements and controllers steer; [`midi_learn`]
//! - [`sets`] and [`plans`]: what plays by itself, on decks that it takes ([`takeover`])
//! - [`instruments`]: instruments on the speakers; [`evolution`]: which evolved sound is presented
//! - [`recording`]; [`presets`]: the state file and presets
//! - [`schedule`]: what waits for its time ([`waiting`]); [`work`]: calls under way, done in slices; [`syncs`]
//! - [`subscriptions`] and `recipient`: who is sent what; [`lenience`]: towards clients of the older servers
//! - [`view`]: a look at all parts; [`status`]: status messages; [`output_watch`]: meters and events of the output

pub mod across;
pub mod buffer;
pub mod context;
pub mod cues;
pub mod engine_link;
pub mod evolution;
pub mod instruments;
pub mod lenience;
pub mod mapping;
pub mod midi_learn;
pub mod mixer;
pub mod movement;
pub mod output_watch;
pub mod pace;
pub mod plans;
pub mod presets;
mod recipient;
pub mod recording;
#[cfg(test)]
pub mod rig;
pub mod schedule;
pub mod services;
pub mod sets;
pub mod settings;
pub mod show;
pub mod status;
pub mod stems;
pub mod stretch;
pub mod subscriptions;
pub mod syncs;
pub mod takeover;
pub mod tempo;
pub mod view;
pub mod waiting;
pub mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Answer, Message, Origin, Request, When};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Ack, Call, Control, Outcome, Table, Vocabulary};
use crate::control::publish::counters::MidiTally;
use crate::control::publish::events::EventLog;
use crate::control::publish::gauges::Gauges;
use crate::control::publish::snapshot::StateSnapshot;
use crate::engine::command::{Action, Event, Refusal, Retired};
use crate::engine::door::{ControlDoor, Telemetry};
use crate::engine::voices::VoiceCell;
use crate::media::library::Library;
use crate::media::pool::Done;
use crate::media::recorder::RecorderEvent;
use crate::output::report::Report;
use crate::plans::score::Score;
use crate::system::keeper::Kept;
use context::Context;
use engine_link::EngineLink;
use evolution::Evolution;
use instruments::Instruments;
use lenience::Lenience;
use midi_learn::MidiLearn;
use mixer::Mixer;
use movement::Movement;
use output_watch::OutputWatch;
use plans::Plans;
use presets::Presets;
use recording::Recording;
use schedule::{LEAD_S, Schedule};
use services::{GenomeResult, InstrumentResult, PlanJob, Services, SetFile, SetJob};
use sets::Sets;
use settings::Settings;
use stems::Stems;
use stretch::Stretching;
use syncs::Syncs;
use tempo::Tempo;
use view::View;
use waiting::Deferred;
use work::{SLICE, Work};

/// Everything the conductor knows, by subject.
pub struct Conductor {
    /// What the parts share.
    pub cx: Context,
    table: Table<Conductor>,
    /// Levels, equalisers, the crossfader.
    pub mixer: Mixer,
    /// Stems and cues.
    pub stems: Stems,
    /// The tempo, and how decks follow it.
    pub tempo: Tempo,
    /// How decks are stretched.
    pub stretching: Stretching,
    /// What waits for its time.
    pub schedule: Schedule,
    /// The crowd.
    pub movement: Movement,
    /// Instruments on the speakers.
    pub instruments: Instruments,
    /// Evolution of sounds.
    pub evolution: Evolution,
    /// The set.
    pub sets: Sets,
    /// The plan.
    pub plans: Plans,
    /// MIDI controllers.
    pub learn: MidiLearn,
    /// The state file and presets.
    pub presets: Presets,
    /// The recording.
    pub recording: Recording,
    /// Who waits for everything to be done.
    pub syncs: Syncs,
    /// Leniency towards older clients.
    pub lenience: Lenience,
    output: OutputWatch,
    work: Work,
    board: Arc<StateSnapshot>,
    board_written: Instant,
    gauges: Arc<Gauges>,
}

impl Conductor {
    /// A conductor at `door` that carries out the calls of `table`.
    pub fn new(
        settings: Settings,
        table: Table<Conductor>,
        door: ControlDoor,
        services: Box<dyn Services>,
        report: Arc<Report>,
    ) -> Conductor {
        let vocabulary = table.vocabulary();
        let cx = Context::new(settings, vocabulary.clone(), EngineLink::new(door), services, report);
        let mut conductor = Conductor {
            table,
            mixer: Mixer::new(&cx.settings.mixer),
            stems: Stems::new(cx.settings.media.slots),
            tempo: Tempo::new(&cx.settings.tempo),
            stretching: Stretching::default(),
            schedule: Schedule::default(),
            movement: Movement::new(&cx.settings, &vocabulary),
            instruments: Instruments::new(cx.settings.voices, cx.services.voices()),
            evolution: Evolution::default(),
            sets: Sets::default(),
            plans: Plans::default(),
            learn: MidiLearn::default(),
            presets: Presets::default(),
            recording: Recording::default(),
            syncs: Syncs::default(),
            lenience: Lenience::default(),
            output: OutputWatch::new(cx.engine.telemetry()),
            work: Work::default(),
            board: Arc::default(),
            board_written: Instant::now(),
            gauges: Arc::default(),
            cx,
        };
        conductor.stretching.start(&mut conductor.cx, &mut conductor.tempo);
        conductor.instruments.choose_first(&mut conductor.cx);
        conductor
    }

    /// All controls.
    pub fn vocabulary(&self) -> Arc<Vocabulary> {
        self.cx.vocabulary.clone()
    }

    /// Events, for whoever follows them.
    pub fn events(&self) -> Arc<EventLog> {
        self.cx.events.clone()
    }

    /// A snapshot of all values, written while somebody reads it.
    pub fn board(&self) -> Arc<StateSnapshot> {
        self.board.clone()
    }

    /// What the engine shows of itself.
    pub fn telemetry(&self) -> Arc<Telemetry> {
        self.cx.engine.telemetry().clone()
    }

    /// Pings the engine has answered, for the watchdog.
    pub fn engine_answers(&self) -> Arc<AtomicU64> {
        self.cx.engine.answers.clone()
    }

    /// When the engine last answered a ping (monotonic, in nanoseconds).
    pub fn answered_at(&self) -> Arc<AtomicU64> {
        self.cx.engine.answered_at.clone()
    }

    /// Gauges of reserves and the crowd.
    pub fn gauges(&self) -> Arc<Gauges> {
        self.gauges.clone()
    }

    /// Calls done too late: asked for over OSC, in sessions, by the daemon itself.
    pub fn late(&self) -> Arc<[AtomicU64; 3]> {
        self.cx.late.clone()
    }

    /// What the MIDI thread has brought.
    pub fn midi(&self) -> Arc<MidiTally> {
        self.learn.tally.clone()
    }

    /// What the voices' worker shows of itself, if there is one.
    pub fn voices(&self) -> Option<Arc<VoiceCell>> {
        self.instruments.cell()
    }

    /// Frames per second of the output.
    pub fn sample_rate(&self) -> u32 {
        self.cx.settings.sample_rate
    }

    /// All parts, to be read.
    pub fn view(&self) -> View<'_> {
        View {
            cx: &self.cx,
            mixer: &self.mixer,
            stems: &self.stems,
            tempo: &self.tempo,
            stretching: &self.stretching,
            movement: &self.movement,
            instruments: &self.instruments,
            evolution: &self.evolution,
            sets: &self.sets,
            plans: &self.plans,
            learn: &self.learn,
            recording: &self.recording,
        }
    }

    /// Takes over what a reload of the configuration may change.
    pub fn reconfigure(&mut self, settings: Settings, library: Library) {
        self.cx.services.set_library(library);
        let before = &self.cx.settings;
        // Found out at the start.
        let (has_presets, save_every) = (before.has_presets, before.save_every);
        self.cx.settings = Settings { has_presets, save_every, ..settings };
        self.movement.reconfigure(&self.cx.settings, &self.cx.vocabulary);
    }

    /// Fades everything out within `seconds`, before the end.
    pub fn fade_out(&mut self, seconds: f64) {
        let frames = Some(self.cx.ramp(seconds));
        self.cx.push(None, Action::Master { gain: 0.0, frames });
        // A request that is half done ends here.
        self.cx.engine.held = false;
        self.cx.engine.flush();
    }

    /// Ends a recording because everything ends.
    pub fn end_recording(&mut self) {
        self.recording.end(&mut self.cx);
    }

    /// The replies since the last call.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        self.cx.take_answers()
    }

    /// Does a request at once, whatever it expands to, or keeps it until its time.
    pub fn handle(&mut self, request: Request) {
        self.accept(request);
        self.finish_work();
    }

    /// Makes calls of the daemon's own at once.
    pub fn own(&mut self, calls: Vec<Message>) {
        self.handle(Request { origin: None, when: When::Now, calls });
    }

    /// Makes a call of the daemon's own for a sample time that is not far ahead.
    pub fn own_at(&mut self, at: u64, call: Message) {
        self.call(None, call, Some(at));
        self.cx.engine.flush();
    }

    /// Queues a request, or keeps it until its time. [`Conductor::work`] does what is queued.
    pub fn accept(&mut self, request: Request) {
        match request.when {
            When::Now => self.work.push(request.origin, request.calls, None),
            When::Past => {
                schedule::report_late(&mut self.cx, request.origin, &request.calls, None);
                self.work.push(request.origin, request.calls, None);
            }
            When::Monotonic(ns) => self.schedule.tag(&mut self.cx, ns, request),
        }
        self.do_due();
    }

    /// Queues calls of the daemon's own behind those under way.
    pub fn enqueue(&mut self, calls: Vec<Message>) {
        self.work.push(None, calls, None);
    }

    /// Queues what is due within the lead.
    fn do_due(&mut self) {
        while let Some(due) = self.schedule.next_tagged(&mut self.cx) {
            self.work.push(due.origin, due.calls, due.at);
        }
        let mut again = Vec::new();
        while let Some((at, serial, deferred)) = self.schedule.next_deferred(&self.cx) {
            match deferred {
                Deferred::Calls(origin, calls) => self.work.push(origin, calls, Some(at)),
                Deferred::Play { id, serial } => self.stems.play_same(&mut self.cx, &self.tempo, id, serial, at),
                Deferred::Group(group) => {
                    if let Some(group) = self.stems.start_group_if_ready(&mut self.cx, &self.tempo, group) {
                        again.push((at, serial, Deferred::Group(group)));
                    }
                }
            }
        }
        for (at, serial, deferred) in again {
            self.schedule.put_back(at, serial, deferred);
        }
    }

    /// Whether calls are waiting to be done; [`Conductor::work`] does some of them.
    pub fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    /// Does the next slice of calls.
    pub fn work(&mut self) {
        let mut spent = 0;
        while spent < SLICE {
            let Some(step) = self.work.take() else { break };
            self.cx.engine.held = true;
            if crate::control::commands::glob::is_osc_pattern(&step.call.address) {
                spent += work::PATTERN_COST;
                self.expand(step.origin, &step.call);
            } else {
                spent += 1;
                self.call(step.origin, step.call, step.at);
            }
            if self.work.end_finished() {
                self.cx.engine.held = false;
                self.cx.engine.flush();
            }
        }
    }

    /// Does everything that is queued, for callers that have no loop of their own: offline renders and tests.
    pub fn finish_work(&mut self) {
        while self.has_work() {
            self.work();
        }
        self.cx.engine.flush();
    }

    /// Replaces an address pattern by calls of every control it matches, in front of what is queued.
    fn expand(&mut self, origin: Option<Origin>, message: &Message) {
        match work::matches(&self.cx.vocabulary, &message.address) {
            Ok(addresses) => {
                let calls = addresses.into_iter().map(|address| Message::new(address, message.args.clone()));
                self.work.put_in_front(calls);
            }
            Err(fault) => self.cx.fail(origin, &message.address, &fault),
        }
    }

    /// Lets time pass: due calls are made, events are read, objects are freed, subscribers served.
    pub fn tick(&mut self) {
        self.read_events();
        self.free_retired();
        self.stems.retry_waiting(&mut self.cx, &mut self.tempo);
        self.do_due();
        self.advance_syncs();
        self.tempo.watch_beats(&mut self.cx);
        self.output.watch(&self.cx);
        self.instruments.watch(&mut self.cx);
        self.write_board();
        self.stretching.watch_speeds(&self.cx, &self.tempo, &self.stems);
        self.stretching.watch_crowding(&mut self.cx, &self.tempo, &self.stems);
        self.stretching.watch_reserves(&self.cx, &self.tempo);
        self.movement.watch(&mut self.cx, &mut self.tempo);
        let (stems, movement) = (&self.stems, self.movement.amount(self.cx.seconds()));
        self.evolution.watch(&mut self.cx, movement, |stem, path| stems.is_playing(stem, path));
        self.stretching.show(&self.tempo, &self.gauges);
        self.movement.show(&self.gauges);
        self.presets.advance(&mut self.cx, &mut self.stems);
        self.sets.set_blocked(self.plans.holds_decks());
        self.plans.set_blocked(self.sets.holds_decks());
        self.with_set(|sets, parts| sets.watch(parts, movement));
        self.with_plan(Plans::watch);
        self.recording.chase_tape(&mut self.cx);
        if self.presets.is_save_due(&self.cx) {
            self.save_state();
        }
        self.serve_subscribers();
        self.cx.engine.flush();
    }

    /// Frees what the engine has no more use for.
    fn free_retired(&mut self) {
        while let Some(retired) = self.cx.engine.retired() {
            match retired {
                Retired::Stem { slot, source } => {
                    drop(source);
                    // Commands for the stem that was here may still be on their way; they must not find another.
                    let clear = self.cx.now() + 2 * self.cx.frames(LEAD_S);
                    self.stems.take_back(slot, clear);
                }
                Retired::Refused { source } => drop(source),
                Retired::Pool { kit } => drop(kit),
                Retired::Tap { tape } => {
                    // Its writer sees it go, and completes the file.
                    drop(tape);
                    self.recording.tape_is_back();
                }
            }
        }
    }

    /// Asks the engine on behalf of clients that wait for everything to be done.
    pub fn advance_syncs(&mut self) {
        let Conductor { syncs, cx, stems, presets, recording, instruments, evolution, sets, plans, .. } = self;
        syncs.advance(cx, |serial| {
            stems.loads_before(serial)
                || presets.is_busy_before(serial)
                || recording.is_changing_since_before(serial)
                || instruments.is_fetching_before(serial)
                || evolution.is_busy_before(serial)
                || sets.is_busy_before(serial)
                || plans.is_busy_before(serial)
        });
    }

    /// Writes the snapshot if anybody reads it.
    fn write_board(&mut self) {
        let now = Instant::now();
        if self.board.is_due(self.board_written, now) {
            self.board_written = now;
            self.board.write(self.cx.now(), self.state());
        }
    }

    fn serve_subscribers(&mut self) {
        for (recipient, topic) in self.cx.replies.subscriptions.due() {
            let wants = |t: &str| topic == t || topic == "all";
            let view = self.view();
            let mut messages = Vec::new();
            if wants("status") {
                messages.extend(status::all(&view));
            }
            if wants("positions") {
                messages.extend(status::positions(&view));
            }
            if wants("meters") {
                messages.extend(self.output.meters());
            }
            if !messages.is_empty() {
                self.cx.push_to(recipient, messages);
            }
        }
    }

    /// Asks the engine for a sign of life.
    pub fn ping(&mut self) {
        self.cx.engine.ping();
    }

    /// Whether the engine has so much to catch up with that requests should wait.
    pub fn is_behind(&self) -> bool {
        self.cx.engine.is_behind()
    }

    /// Does one call.
    pub fn call(&mut self, origin: Option<Origin>, message: Message, at: Option<u64>) {
        let address = message.address.as_str();
        let Some((row, in_address)) = self.table.find(address) else {
            let fault = self.cx.vocabulary.unknown(address);
            return self.cx.fail(origin, address, &fault);
        };
        let control = &row.control;
        let result = control.check(&in_address, &message.args).and_then(|args| {
            self.lenience.log_clamped(control, &message.args);
            (row.run)(self, &Call::new(control, address.into(), args, at, origin))
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
                    // The engine reports whether it came in time.
                    self.cx.engine.trace(Some(at), origin, address);
                }
                if control.ack == Ack::Done || waits {
                    self.cx.done(origin, address, vec![]);
                }
            }
            Ok(Outcome::Later) => {}
            Ok(Outcome::Answer(messages)) => {
                self.cx.answer(origin, messages);
                if control.ack == Ack::Done || waits {
                    self.cx.done(origin, address, vec![]);
                }
            }
            Err(_) if control.ack == Ack::Never && !waits => {}
            Err(fault) => self.cx.fail(origin, address, &fault),
        }
    }

    fn read_events(&mut self) {
        while let Some(event) = self.cx.engine.event() {
            match event {
                Event::Applied { ticket, late, .. } => {
                    self.stems.start_arrived(ticket);
                    self.applied(ticket, late);
                }
                Event::Refused { ticket, why } => {
                    self.stems.start_arrived(ticket);
                    self.refused(ticket, why);
                }
                Event::Primed { slot } => self.stems.primed(slot),
                Event::Started { slot, late, .. } => self.stems.started(&self.cx, slot, late),
                Event::Ended { slot, still } => self.stems.ended(&self.cx, slot, still),
                Event::Starved { slot, .. } => {
                    self.stems.post(&self.cx, "starved", slot);
                    let name = self.stems.name_of(slot);
                    tracing::warn!("stem {name}: the disk does not keep up; silent until it has caught up");
                }
                Event::Resumed { slot, .. } => {
                    self.stems.post(&self.cx, "resumed", slot);
                    tracing::info!("stem {}: playing again", self.stems.name_of(slot));
                }
            }
        }
    }

    /// The engine has carried out the command of a ticket, `late` frames after its time.
    fn applied(&mut self, ticket: u32, late: u64) {
        if self.cx.engine.take_pong(ticket) || self.syncs.arrived(&mut self.cx, ticket) {
            return;
        }
        if let Some((origin, address)) = self.cx.engine.redeem(ticket)
            && late > 0
        {
            self.cx.count_late(origin);
            let seconds = late as f64 / self.cx.rate();
            self.cx.answer(origin, vec![Message::new("/late", vec![Value::from(address), Value::from(seconds)])]);
        }
    }

    /// The engine has refused the command of a ticket.
    fn refused(&mut self, ticket: u32, why: Refusal) {
        self.cx.engine.refused += 1;
        let reason = match why {
            Refusal::EmptySlot => "the stem is gone",
            Refusal::Recording => "a recording is running already",
            Refusal::SlotTaken => "the stem's place is taken",
            Refusal::OutOfRange => "there is no such place",
            Refusal::ScheduleFull => "too much is scheduled for the next moments",
            Refusal::TooManyRates => "too many different rates at once",
        };
        match self.cx.engine.redeem(ticket) {
            Some((origin, address)) => self.cx.fail(origin, &address, &Fault::refused(reason)),
            None => {
                self.cx.events.post("/event/refused", vec![reason.into()]);
                tracing::warn!("engine: command refused; {reason}");
            }
        }
    }

    /// Takes in a load that has ended.
    pub fn loaded(&mut self, done: Done) {
        self.stems.finish_load(&mut self.cx, &mut self.tempo, done);
        self.do_due();
        self.cx.engine.flush();
    }

    /// Takes in a job of the keeper that has ended.
    pub fn kept(&mut self, kept: Kept) {
        if let Some(request) = self.presets.kept(&mut self.cx, kept) {
            self.recall(request);
        }
        self.cx.engine.flush();
    }

    /// Takes in what the recorder reports.
    pub fn recorded(&mut self, told: RecorderEvent) {
        self.recording.progress(&mut self.cx, told);
        self.cx.engine.flush();
    }

    /// Takes in an instrument that was opened, or a list of them.
    pub fn opened(&mut self, result: InstrumentResult) {
        self.instruments.opened(&mut self.cx, result);
        self.cx.engine.flush();
    }

    /// Takes in what became of a job for the run of evolution.
    pub fn bred(&mut self, result: GenomeResult) {
        let calls = self.evolution.finished(&mut self.cx, result);
        self.own(calls);
        self.cx.engine.flush();
    }

    /// Takes in the table of a set.
    pub fn set_read(&mut self, job: &SetJob, result: Result<SetFile, String>) {
        if result.is_ok() && self.sets.is_to_play(job.serial) {
            self.make_way_for_set();
        }
        self.with_set(|sets, parts| sets.finish_read(parts, job, result));
        self.cx.engine.flush();
    }

    /// Takes in a plan.
    pub fn plan_read(&mut self, job: &PlanJob, result: Result<Score, String>) {
        self.with_plan(|plans, parts| plans.finish_read(parts, job, result));
        self.make_way_for_plan();
        self.cx.engine.flush();
    }

    /// Stalls a thread, for debugging.
    pub fn stall(&mut self, what: &str, ms: u64) {
        if what == "conductor" {
            std::thread::sleep(Duration::from_millis(ms));
        } else {
            self.cx.services.stall(what, ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::control::table;
    use crate::ddsp::order::{Card, VoiceCommand};

    /// Commands to the voices, in order.
    struct Voices(Arc<Mutex<Vec<VoiceCommand>>>);

    impl Services for Voices {
        fn voice(&mut self, _: Option<u64>, command: VoiceCommand) {
            self.0.lock().unwrap().push(command);
        }
    }

    #[test]
    fn the_first_note_follows_the_instrument_that_is_opened_for_it() {
        let (_inner, door) = crate::engine::door::door(4, 2);
        let mut settings = rig::settings();
        (settings.voices, settings.instrument) = (4, "flute".into());
        let commands = Arc::default();
        let services = Box::new(Voices(Arc::clone(&commands)));
        let table = table::table(false, settings.voices);
        let mut conductor = Conductor::new(settings, table, door, services, Arc::default());
        let note = |key: i64| Message::new("/groove/note/on", vec![Value::Int(key)]);
        conductor.own(vec![note(60), note(64)]);
        assert!(commands.lock().unwrap().is_empty(), "the notes wait");
        let card = |name: &str| Card {
            name: name.into(),
            pitch_range: (48.0, 96.0),
            loudness_range: (-60.0, -10.0),
            decibels: vec![(0.0, -60.0), (1.0, -10.0)],
            licence: String::new(),
        };
        // Another instrument does not release them.
        conductor.opened(InstrumentResult::Opened("oboe".into(), Ok(card("oboe"))));
        assert!(commands.lock().unwrap().is_empty(), "they still wait");
        conductor.opened(InstrumentResult::Opened("flute".into(), Ok(card("flute"))));
        let commands = commands.lock().unwrap();
        let [VoiceCommand::Swap(None, name), VoiceCommand::NoteOn(0, 60.0, _), VoiceCommand::NoteOn(0, 64.0, _)] =
            commands.as_slice()
        else {
            panic!("{commands:?}");
        };
        assert_eq!(name, "flute");
    }
}
