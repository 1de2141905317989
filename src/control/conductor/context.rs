//! What all parts of the conductor share: the way to the engine, replies, events, services, settings and time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::engine_link::EngineLink;
use super::recipient;
use super::services::Services;
use super::settings::Settings;
use super::subscriptions::Subscriptions;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Answer, Line, Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::Vocabulary;
use crate::control::publish::events::EventLog;
use crate::engine::command::Action;
use crate::output::report::Report;

/// Bytes of an address that come back with a `/fail`.
const MOST_SHOWN: usize = 200;

/// Replies and pushed messages that have not been collected yet.
#[derive(Default)]
pub struct Replies {
    answers: Vec<Answer>,
    /// Who is sent what, until when.
    pub subscriptions: Subscriptions,
}

/// The means that every part of the conductor works with.
pub struct Context {
    /// The configuration, as far as it concerns the conductor.
    pub settings: Settings,
    /// All controls.
    pub vocabulary: Arc<Vocabulary>,
    /// The way to the engine.
    pub engine: EngineLink,
    /// The way back to clients.
    pub replies: Replies,
    /// Threads and devices outside the conductor.
    pub services: Box<dyn Services>,
    /// Events, for whoever follows them.
    pub events: Arc<EventLog>,
    /// What the output shows of itself.
    pub report: Arc<Report>,
    /// Calls done too late: asked for over OSC, in sessions, by the daemon itself.
    pub late: Arc<[AtomicU64; 3]>,
    serial: u64,
}

impl Context {
    /// A context in which nothing has happened yet.
    pub fn new(
        settings: Settings,
        vocabulary: Arc<Vocabulary>,
        engine: EngineLink,
        services: Box<dyn Services>,
        report: Arc<Report>,
    ) -> Context {
        Context {
            settings,
            vocabulary,
            engine,
            replies: Replies::default(),
            services,
            events: Arc::default(),
            report,
            late: Arc::default(),
            serial: 0,
        }
    }

    /// Sample time of the frame that is rendered next.
    pub fn now(&self) -> u64 {
        self.engine.telemetry().time()
    }

    /// Sample time in seconds: the same whatever the buffer size.
    pub fn seconds(&self) -> f64 {
        self.now() as f64 / self.rate()
    }

    /// Frames per second.
    pub fn rate(&self) -> f64 {
        f64::from(self.settings.sample_rate)
    }

    /// Seconds as frames; negative ones as none.
    pub fn frames(&self, seconds: f64) -> u64 {
        (seconds.max(0.0) * self.rate()).round() as u64
    }

    /// The length of a ramp in frames.
    pub fn ramp(&self, seconds: f64) -> u32 {
        self.frames(seconds).min(u64::from(u32::MAX)) as u32
    }

    /// The first sample that all commands sent now reach in time.
    pub fn soon(&self) -> u64 {
        self.now() + self.report.period_frames.load(Relaxed) * 2 + 64
    }

    /// The next number of an unbroken series: requests are told apart, and put in order, by theirs.
    pub fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Sends an action to the engine, behind all sent before. `at` is a sample time; `None` is now.
    pub fn push(&mut self, at: Option<u64>, action: Action) {
        self.engine.push(at, action);
    }

    /// Sends messages to whoever asked, or to the recipient that they named for answers.
    pub fn answer(&mut self, to: Option<Origin>, messages: Vec<Message>) {
        if let Some(to) = to {
            let to = self.replies.subscriptions.recipient_of_answers(to);
            self.replies.answers.push(Answer { to, messages, push: false, fault: None });
        }
    }

    /// Sends messages to a subscriber.
    pub fn push_to(&mut self, to: Origin, messages: Vec<Message>) {
        self.replies.answers.push(Answer { to, messages, push: true, fault: None });
    }

    /// Answers `/done`, with more values behind the address.
    pub fn done(&mut self, to: Option<Origin>, address: &str, more: Vec<Value>) {
        let mut args = vec![Value::from(address)];
        args.extend(more);
        self.answer(to, vec![Message::new("/done", args)]);
    }

    /// Logs a fault and answers `/fail`.
    pub fn fail(&mut self, to: Option<Origin>, address: &str, fault: &Fault) {
        // What a client sent may contain anything; it must not begin a line of the log, nor end a string of the reply.
        let plain = |text: &str| text.replace(char::is_control, "?");
        let (line, why) = (plain(address), plain(&fault.to_string()));
        match to {
            Some(origin) => tracing::warn!("{line:.200} from {}: {why:.500}", origin.shown()),
            None => tracing::warn!("{line:.200}: {why:.500}"),
        }
        // An address longer than any control's is not worth sending back whole.
        let shown = &address[..address.floor_char_boundary(MOST_SHOWN)];
        self.answer(to, vec![Message::new("/fail", vec![Value::from(shown), Value::from(why)])]);
        if let Some(answer) = self.replies.answers.last_mut().filter(|_| to.is_some()) {
            answer.fault = Some(fault.clone());
        }
    }

    /// The replies since the last call.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.replies.answers)
    }

    /// Counts a call that was done too late, by the interface it came from.
    pub fn count_late(&self, origin: Option<Origin>) {
        let face = match origin.map(|o| o.line) {
            Some(Line::Osc(_)) => 0,
            Some(Line::Session(_)) => 1,
            None => 2,
        };
        self.late[face].fetch_add(1, Relaxed);
    }

    /// The recipient that `origin` names by `to`; an empty name is the sender itself.
    ///
    /// # Errors
    /// If it is not an address, or lies outside the ranges that OSC is exchanged with.
    pub fn recipient(&self, origin: Origin, to: &str) -> Result<Origin, Fault> {
        recipient::of(origin, to, &self.settings.allow)
    }
}
