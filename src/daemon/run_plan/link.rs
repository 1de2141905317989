//! Link to a daemon that plays a plan: its controls, and its answers as events.
//!
//! Nothing here waits for an answer, apart from [`Link::open`]: a thread receives them and passes them on, so that the
//! user of a link can wait for answers, typed lines and Ctrl-C in one place.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::report::clean;
use crate::control::commands::packet;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::daemon::failure::Failure;
use crate::plans::score::{Score, Wishes};
use crate::remote::wire::Wire;

/// Exit code if there is no daemon.
pub const NO_DAEMON: u8 = 3;
/// Time in which a daemon must answer first.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
/// Time between two attempts to get that answer.
const ATTEMPT: Duration = Duration::from_millis(500);
/// Time between two questions for the status.
const POLL: Duration = Duration::from_millis(100);
/// The same, while nothing is played.
const IDLE_POLL: Duration = Duration::from_millis(500);
/// Silence after which the daemon counts as gone.
const SILENCE: Duration = Duration::from_secs(5);
/// Time after which the receiving thread looks whether its link still exists.
const LOOK: Duration = Duration::from_millis(500);

/// Something that a program that plays a plan reacts to.
pub enum Event {
    /// An answer of the daemon.
    Heard(Reply),
    /// The daemon is gone, and why.
    Gone(String),
    /// A typed line.
    Line(String),
    /// End of the input.
    Closed,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// A plan has been read.
    Read(Box<Result<Score, String>>),
}

/// An answer of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The status of its plan.
    Status(Status),
    /// A request was carried out.
    Done {
        /// The request's address.
        address: String,
        /// Values of the answer.
        args: Vec<Value>,
    },
    /// A request failed.
    Fail {
        /// The request's address.
        address: String,
        /// Why.
        why: String,
    },
    /// Anything else.
    Other,
}

/// State of the plan in a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No plan was loaded.
    None,
    /// One is being read.
    Reading,
    /// One was read.
    Loaded,
    /// Its first section is being loaded.
    Loading,
    /// It plays.
    Playing,
    /// It has been played.
    Over,
    /// It was stopped.
    Stopped,
}

impl State {
    /// The states and their names.
    pub const NAMES: [(&str, State); 7] = [
        ("none", State::None),
        ("reading", State::Reading),
        ("loaded", State::Loaded),
        ("loading", State::Loading),
        ("playing", State::Playing),
        ("over", State::Over),
        ("stopped", State::Stopped),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        State::NAMES.iter().find(|(_, state)| *state == self).map_or("none", |(name, _)| name)
    }

    /// Returns whether something is played, or about to be.
    pub fn is_busy(self) -> bool {
        matches!(self, State::Loading | State::Playing)
    }
}

/// Status of a plan in a daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Position of the present section, from 1; 0 if there is none.
    pub place: usize,
    /// Number of sections.
    pub sections: usize,
    /// Key of the present section.
    pub key: String,
    /// Bar of the present section, from 1.
    pub bar: f64,
    /// Bars of the present section.
    pub bars: f64,
    /// True if the present section is repeated.
    pub held: bool,
    /// Fade in beats; −1 as the plan says.
    pub fade: f64,
    /// Tempo.
    pub bpm: f64,
    /// Path of the plan.
    pub path: String,
    /// Stems that could not be played so far.
    pub missing: usize,
}

impl Status {
    /// Reads a status from the values of `/status/plan`; values that are missing at the end count as 0 or empty.
    pub fn of(args: &[Value]) -> Option<Status> {
        let number = |k: usize| args.get(k).and_then(Value::as_float).unwrap_or_default();
        let count = |k: usize| args.get(k).and_then(Value::as_int).and_then(|n| n.try_into().ok()).unwrap_or_default();
        let text = |k: usize| args.get(k).map(Value::as_text).unwrap_or_default();
        let name = text(0);
        Some(Status {
            state: State::NAMES.iter().find(|(known, _)| *known == name)?.1,
            place: count(1),
            sections: count(2),
            key: text(3),
            bar: number(4),
            bars: number(5),
            held: count(6) != 0,
            fade: number(7),
            bpm: number(8),
            path: text(9),
            missing: count(10),
        })
    }

    /// Bars of the present section that are left, the present bar included.
    pub fn bars_left(&self) -> f64 {
        (self.bars - self.bar.max(1.0) + 1.0).clamp(0.0, self.bars.max(0.0))
    }
}

impl Reply {
    /// Returns what a message says.
    pub fn of(message: &Message) -> Reply {
        let text = |k: usize| message.args.get(k).map(Value::as_text).unwrap_or_default();
        match message.address.as_str() {
            "/status/plan" => Status::of(&message.args).map_or(Reply::Other, Reply::Status),
            "/done" => Reply::Done { address: text(0), args: message.args.iter().skip(1).cloned().collect() },
            "/fail" => Reply::Fail { address: text(0), why: text(1) },
            _ => Reply::Other,
        }
    }
}

/// Returns the failure of a daemon that is not there.
fn gone(text: String) -> Failure {
    Failure::Own { code: NO_DAEMON, text }
}

/// Returns the arguments with which a plan is loaded.
pub fn wished(path: &str, wishes: &Wishes) -> Vec<Value> {
    vec![
        path.into(),
        wishes.rate_mode.name().into(),
        wishes.length_from.name().into(),
        wishes.bars.unwrap_or(0.0).into(),
        wishes.seconds.unwrap_or(0.0).into(),
        wishes.fade.unwrap_or(-1.0).into(),
    ]
}

/// Link to a daemon.
pub struct Link {
    wire: Wire,
    /// Lives as long as the link; the receiving thread ends without it.
    _alive: Arc<()>,
}

impl Link {
    /// Opens a link to the first of the host's addresses at which a daemon answers, and passes its answers to `events`.
    ///
    /// # Errors
    /// With exit code 3 if no daemon answers, or none that knows plans.
    pub fn open(host: &str, port: u16, events: &Sender<Event>) -> Result<Link, Failure> {
        let peers = Wire::addresses(host, port).map_err(gone)?;
        let wires = peers.into_iter().map(|peer| Wire::to(peer, FIRST_ANSWER.as_secs_f64()));
        // Without IPv6, for instance, there is no socket for some of the addresses.
        let (wires, failed): (Vec<_>, Vec<_>) = wires.partition(Result::is_ok);
        // The first fault counts, or what a daemon says.
        let mut why = failed.into_iter().find_map(Result::err);
        let mut wires: Vec<Wire> = wires.into_iter().flatten().collect();
        let begun = Instant::now();
        let mut asked: Option<Instant> = None;
        while !wires.is_empty() && begun.elapsed() < FIRST_ANSWER {
            if asked.is_none_or(|at| at.elapsed() >= ATTEMPT) {
                asked = Some(Instant::now());
                wires.retain(|wire| match wire.send(Message::new("/groove/plan/status", Vec::new())) {
                    Ok(()) => true,
                    Err(e) => {
                        why.get_or_insert(e);
                        false
                    }
                });
            }
            let mut k = 0;
            while k < wires.len() {
                match answers(&wires[k]) {
                    Ok(true) => return Link::over(wires.swap_remove(k), events.clone()),
                    Ok(false) => k += 1,
                    Err(NoDaemon::Silent(e)) => {
                        why.get_or_insert(e);
                        drop(wires.remove(k));
                    }
                    Err(NoDaemon::TooOld(e)) => {
                        why = Some(e);
                        drop(wires.remove(k));
                    }
                }
            }
        }
        if let Some(wire) = wires.first() {
            why = Some(wire.silence(&ErrorKind::TimedOut.into()));
        }
        Err(gone(why.unwrap_or_default()))
    }

    fn over(wire: Wire, events: Sender<Event>) -> Result<Link, Failure> {
        let alive = Arc::new(());
        let socket = wire.socket.try_clone().and_then(|s| s.set_read_timeout(Some(LOOK)).map(|()| s));
        let socket = socket.map_err(|e| gone(e.to_string()))?;
        let (peer, life) = (wire.peer(), Arc::downgrade(&alive));
        let receive = move || receive(&socket, &life, &events, |e| format!("the daemon at {peer} is gone: {e}"));
        let thread = std::thread::Builder::new().name("plan link".into()).spawn(receive);
        thread.map_err(|e| gone(format!("no thread could be started to receive answers: {e}")))?;
        Ok(Link { wire, _alive: alive })
    }

    fn send(&self, control: &str, args: Vec<Value>) -> Result<(), Failure> {
        self.wire.send(Message::new(format!("/groove/plan/{control}"), args)).map_err(gone)
    }

    /// Loads a plan; answered when it has been read.
    ///
    /// # Errors
    /// As of all controls: if it cannot be sent.
    pub fn load(&self, path: &str, wishes: &Wishes) -> Result<(), Failure> {
        self.send("load", wished(path, wishes))
    }

    /// Plays sections, given as `N` or `A-B`; empty: all.
    pub fn play(&self, sections: &str, again: bool) -> Result<(), Failure> {
        self.send("play", vec![sections.into(), Value::Int(again.into())])
    }

    /// Goes to the next section at the next bar.
    pub fn next(&self) -> Result<(), Failure> {
        self.send("next", Vec::new())
    }

    /// Goes to the section before at the next bar.
    pub fn back(&self) -> Result<(), Failure> {
        self.send("back", Vec::new())
    }

    /// Repeats the present section, or lets it end.
    pub fn hold(&self, on: bool) -> Result<(), Failure> {
        self.send("hold", vec![Value::Int(on.into())])
    }

    /// Sets the fade in beats from now on.
    pub fn fade(&self, beats: f64) -> Result<(), Failure> {
        self.send("fade", vec![beats.into()])
    }

    /// Fades out within these seconds.
    pub fn stop(&self, seconds: f64) -> Result<(), Failure> {
        self.send("stop", vec![seconds.into()])
    }

    /// Asks for the status.
    pub fn ask_status(&self) -> Result<(), Failure> {
        self.send("status", Vec::new())
    }
}

/// Why there is no daemon that plays plans at an address.
enum NoDaemon {
    /// Nothing listens there.
    Silent(String),
    /// A daemon says that it knows no plans.
    TooOld(String),
}

/// Returns whether a daemon answers on a wire, within a few milliseconds.
fn answers(wire: &Wire) -> Result<bool, NoDaemon> {
    let patience = wire.socket.set_read_timeout(Some(Duration::from_millis(20)));
    patience.map_err(|e| NoDaemon::Silent(e.to_string()))?;
    let mut buffer = vec![0; 65_536];
    let n = match wire.socket.recv(&mut buffer) {
        Ok(n) => n,
        Err(e) if is_pause(&e) => return Ok(false),
        Err(e) => return Err(NoDaemon::Silent(wire.silence(&e))),
    };
    for message in packet::messages(&buffer[..n]).unwrap_or_default() {
        match Reply::of(&message) {
            Reply::Status(_) => return Ok(true),
            Reply::Fail { why, .. } => {
                let text = format!("the daemon at {} plays no plans: {}", wire.peer(), clean(&why));
                return Err(NoDaemon::TooOld(text));
            }
            _ => {}
        }
    }
    Ok(false)
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Passes answers on, until the link, its user or the daemon is gone.
fn receive(socket: &UdpSocket, life: &Weak<()>, events: &Sender<Event>, gone: impl Fn(std::io::Error) -> String) {
    let mut buffer = vec![0; 65_536];
    while life.strong_count() > 0 {
        let n = match socket.recv(&mut buffer) {
            Ok(n) => n,
            Err(e) if is_pause(&e) => continue,
            Err(e) => {
                drop(events.send(Event::Gone(gone(e))));
                return;
            }
        };
        // Damaged packets count as lost.
        for message in packet::messages(&buffer[..n]).unwrap_or_default() {
            if events.send(Event::Heard(Reply::of(&message))).is_err() {
                return;
            }
        }
    }
}

/// Keeps asking a daemon for its status, and notices when it no longer answers.
pub struct Pulse {
    asked: Option<Instant>,
    heard: Instant,
    looked: Instant,
    busy: bool,
}

impl Pulse {
    /// Starts asking now.
    pub fn new() -> Pulse {
        let now = Instant::now();
        Pulse { asked: None, heard: now, looked: now, busy: true }
    }

    /// Takes in that the daemon has answered with its status.
    pub fn heard(&mut self, status: &Status) {
        self.heard = Instant::now();
        self.busy = status.state.is_busy() || status.state == State::Reading;
    }

    /// Asks at once, and often from now on: something has been sent that changes the status.
    pub fn hurry(&mut self) {
        self.busy = true;
    }

    /// Asks if it is time to; returns the time until the next question.
    ///
    /// # Errors
    /// With exit code 3 if the daemon has been silent for too long, or the question cannot be sent.
    pub fn beat(&mut self, link: &Link) -> Result<Duration, Failure> {
        let now = Instant::now();
        // Nobody listened meanwhile: the process was stopped (Ctrl-Z), or the machine slept.
        if now - self.looked > Duration::from_secs(2) {
            self.heard = now;
        }
        self.looked = now;
        if now - self.heard > SILENCE {
            let s = SILENCE.as_secs();
            return Err(gone(format!("the daemon at {} is gone: no status for {s} s", link.wire.peer())));
        }
        let every = if self.busy { POLL } else { IDLE_POLL };
        match self.asked.map(|at| now - at).filter(|since| *since < every) {
            Some(since) => Ok(every - since),
            None => {
                self.asked = Some(now);
                link.ask_status()?;
                Ok(every)
            }
        }
    }
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        let mut args: Vec<Value> = vec!["playing".into(), Value::Int(3), Value::Int(8), "02_verse".into()];
        args.extend([
            Value::Int(2),
            Value::Float(8.0),
            Value::Int(1),
            Value::Float(1.0),
            Value::Float(140.0),
            "/p".into(),
        ]);
        let status = Status::of(&args).unwrap();
        assert_eq!((status.place, status.bars_left(), status.held, status.path.as_str()), (3, 7.0, true, "/p"));
        assert_eq!(Status::of(&["none".into()]).map(|s| (s.state, s.bars_left())), Some((State::None, 0.0)));
        assert_eq!(Status::of(&[]), None);
        assert_eq!(Status::of(&["asleep".into()]), None);
        let odd = [Value::from("playing"), Value::Int(-1), Value::from("x"), Value::Int(1), Value::Float(f64::NAN)];
        assert_eq!(Status::of(&odd).map(|s| (s.place, s.sections, s.bar)), Some((0, 0, 0.0)));
        for (name, state) in State::NAMES {
            assert_eq!(state.name(), name);
        }
    }
}
