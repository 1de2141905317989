//! Interactive mode: commands that play, hold and leave the sections of a plan.
//!
//! Nothing here waits: a command is sent, and answered when the daemon has answered or, at the latest, with the remark
//! that it has not yet. Loads go on meanwhile.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::command::{COMMANDS, Command};
use super::follow::{Turn, Watch, answer, interrupted, section_line, sections};
use super::link::{Event, Link, NO_DAEMON, Pulse, Reply, State, Status};
use super::report::{self, clean};
use super::terminal::Screen;
use crate::control::commands::value::Value as Answer;
use crate::daemon::failure::Failure;
use crate::plans::range::Range;
use crate::plans::score::{Score, Wishes};

/// Time after which a command that is not answered is remarked upon; a command is answered within 50 ms.
const PATIENCE: Duration = Duration::from_millis(40);
/// Time after which a load counts as lost.
const READING: Duration = Duration::from_secs(60);
/// Time after which an answer counts as lost.
const LOST: Duration = Duration::from_secs(5);
/// Fade of `stop` and `quit`, in seconds.
pub const FADE_S: f64 = 1.0;

/// Reads a plan and finds its sounds: the one with this path, or the one of the command line.
pub type Reader = Arc<dyn Fn(Option<&str>) -> Result<Score, Failure> + Send + Sync>;

/// Options of the console.
pub struct Options {
    /// Wishes of the command line.
    pub wishes: Wishes,
    /// Sections that are played at once.
    pub first: Option<Range>,
    /// Whether `full`, and the sections that are played at once, begin again after their end.
    pub again: bool,
    /// Whether a text that is part of several keys is an error.
    pub strict: bool,
    /// Whether events are printed as JSON.
    pub json: bool,
    /// Whether the engine ends with this program, so that a plan cannot be left to it.
    pub embedded: bool,
}

/// End of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The plan fades out, for [`FADE_S`] seconds from now on.
    Faded,
    /// The plan goes on, or none was loaded.
    Left,
}

/// A request that has not been answered.
struct Pending {
    /// Control, the last part of its address.
    control: &'static str,
    /// Answer when it is done.
    done: String,
    since: Instant,
}

/// A plan that the daemon reads.
struct Loading {
    since: Instant,
    /// What is to be played then: sections, whether again and again, and what is said.
    then: Option<(String, bool, String)>,
}

/// Interactive mode.
pub struct Console<'a> {
    link: &'a Link,
    screen: &'a Screen,
    options: &'a Options,
    read: Reader,
    events: Sender<Event>,
    score: Score,
    status: Option<Status>,
    pulse: Pulse,
    watch: Watch,
    /// The request of the last command, which the next one waits for.
    current: Option<Pending>,
    /// Requests whose commands have been remarked upon.
    late: Vec<Pending>,
    loading: Option<Loading>,
    is_reading: bool,
    /// Whether this session has done anything to what the daemon plays.
    has_acted: bool,
}

impl<'a> Console<'a> {
    /// Creates a console for a plan that has been read; `read` reads others, `events` is where their reader reports.
    pub fn new(
        link: &'a Link,
        screen: &'a Screen,
        options: &'a Options,
        read: Reader,
        events: Sender<Event>,
        score: Score,
    ) -> Console<'a> {
        let (pulse, watch) = (Pulse::new(), Watch::default());
        let (status, current, late) = (None, None, Vec::new());
        let (loading, is_reading, has_acted) = (None, false, false);
        Console {
            link,
            screen,
            options,
            read,
            events,
            score,
            status,
            pulse,
            watch,
            current,
            late,
            loading,
            is_reading,
            has_acted,
        }
    }

    /// Takes commands until `quit` or the end of the input.
    ///
    /// # Errors
    /// With exit code 3 if the daemon is gone, 130 after Ctrl-C.
    pub fn run(mut self, events: &Receiver<Event>) -> Result<Ended, Failure> {
        self.load()?;
        if let (Some(range), Some(loading)) = (&self.options.first, &mut self.loading) {
            let done = format!("play: {}", name(&self.score, range));
            loading.then = Some((sections(&self.score, range), self.options.again, done));
        }
        self.screen.ready();
        loop {
            let wait = self.pulse.beat(self.link)?.min(self.expire());
            match events.recv_timeout(wait) {
                Ok(Event::Heard(reply)) => self.hear(reply)?,
                Ok(Event::Line(line)) => {
                    self.screen.taken();
                    match Command::parse(&line) {
                        Ok(Command::Quit { leave: true }) if self.options.embedded => {
                            self.say("quit --leave: expected a daemon that goes on; this engine ends with the program");
                            self.screen.ready();
                        }
                        Ok(Command::Quit { leave }) => return self.quit(events, leave),
                        Ok(command) => self.obey(command)?,
                        Err(why) => {
                            self.say(&why);
                            self.screen.ready();
                        }
                    }
                }
                Ok(Event::Closed) => {
                    self.screen.taken();
                    return self.quit(events, false);
                }
                Ok(Event::Interrupted) => return Err(interrupted(self.link, self.has_acted.then_some(events))),
                Ok(Event::Read(read)) => self.take(*read)?,
                Ok(Event::Gone(why)) => return Err(Failure::Own { code: NO_DAEMON, text: why }),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Ended::Left),
            }
            self.screen.status(&self.status_line());
        }
    }

    /// Says something that is no event.
    fn say(&self, text: &str) {
        let text = clean(text);
        if self.options.json { self.screen.aside(&text) } else { self.screen.line(&text) }
    }

    fn object(&self, object: &Value) {
        self.screen.line(&report::line(object));
    }

    /// Ends, and lets the plan fade out unless it is left.
    fn quit(&self, events: &Receiver<Event>, leave: bool) -> Result<Ended, Failure> {
        if leave {
            self.say("the plan goes on; 'grooved run-plan' with this plan, or groovectl, stops it");
            return Ok(Ended::Left);
        }
        if !self.has_acted {
            // What plays is somebody else's.
            return Ok(Ended::Left);
        }
        self.link.stop(FADE_S)?;
        match answer(events, "/groove/plan/stop", Duration::from_secs(1)) {
            Some(Ok(())) => Ok(Ended::Faded),
            Some(Err(why)) if self.status.as_ref().is_some_and(|status| status.state.is_busy()) => {
                Err(Failure::Own { code: 1, text: format!("quit: the plan goes on: {}", clean(&why)) })
            }
            // There was nothing to stop.
            Some(Err(_)) => Ok(Ended::Left),
            None => {
                let text = "quit: the daemon has not confirmed that the plan stops; it may go on".into();
                Err(Failure::Own { code: NO_DAEMON, text })
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Nothing | Command::Quit { .. } => {}
            Command::Info => report::info(&self.score).lines().for_each(|line| self.say(line)),
            Command::List => report::list(&self.score).lines().for_each(|line| self.say(line)),
            Command::Help => {
                COMMANDS
                    .iter()
                    .for_each(|(name, arg, what)| self.say(&format!("{:<18} {what}", format!("{name} {arg}"))));
            }
            Command::Play(text) => return self.play(&text),
            Command::Full => return self.start(String::new(), self.options.again, "the whole plan".into()),
            Command::Next => return self.ask("next", "next: at the next bar", |link| link.next()),
            Command::Back => return self.ask("back", "back: at the next bar", |link| link.back()),
            Command::Hold(on) => {
                let on = on.unwrap_or_else(|| !self.status.as_ref().is_some_and(|status| status.held));
                let done = if on { "hold: on; this section repeats until 'hold off'" } else { "hold: off" };
                // Another 'hold' may come before the next status.
                self.status.iter_mut().for_each(|status| status.held = on);
                return self.ask("hold", done, |link| link.hold(on));
            }
            Command::Fade(None) => return self.ask("fade", "fade: as the plan says", |link| link.fade(-1.0)),
            Command::Fade(Some(fade)) => match fade.beats(self.score.bpm) {
                Ok(beats) => return self.ask("fade", &format!("fade: {beats} beats"), |link| link.fade(beats)),
                Err(why) => self.say(&format!("fade: {why}")),
            },
            Command::Stop => {
                if let Some(loading) = &mut self.loading {
                    loading.then = None;
                }
                return self.ask("stop", "stop: fades out", |link| link.stop(FADE_S));
            }
            Command::Status => return self.ask("status", "", Link::ask_status),
            Command::Load(_) if self.is_reading => self.say("load: another plan is being read; wait for it"),
            Command::Load(path) => self.begin_read(path),
        }
        self.screen.ready();
        Ok(())
    }

    /// Sends a request, whose answer is the answer to the command.
    fn ask(
        &mut self,
        control: &'static str,
        done: &str,
        send: impl Fn(&Link) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        send(self.link)?;
        self.has_acted |= control != "status";
        self.pulse.hurry();
        self.current = Some(Pending { control, done: done.into(), since: Instant::now() });
        Ok(())
    }

    fn play(&mut self, text: &str) -> Result<(), Failure> {
        let here = self.status.as_ref().filter(|status| status.state.is_busy());
        let after = here.and_then(|status| status.place.checked_sub(1));
        let range = match self.score.range(text, after) {
            Ok(Range { remark: Some(remark), .. }) if self.options.strict => Err(format!("{remark} (--strict)")),
            range => range,
        };
        match range {
            Ok(range) => {
                let again = range.first == range.last || self.options.again;
                if let Some(remark) = &range.remark {
                    // The daemon knows which one comes next.
                    self.say(&format!("play: {remark}; the next one plays"));
                    return self.start(text.into(), again, format!("'{}'", clean(text)));
                }
                self.start(sections(&self.score, &range), again, name(&self.score, &range))
            }
            Err(why) => {
                self.say(&format!("play: {why}"));
                self.screen.ready();
                Ok(())
            }
        }
    }

    /// Plays sections; later, if the plan is still being read.
    fn start(&mut self, sections: String, again: bool, what: String) -> Result<(), Failure> {
        if let Some(loading) = &mut self.loading {
            loading.then = Some((sections, again, format!("play: {what}")));
            self.say(&format!("play: {what}, as soon as the plan has been read"));
            self.screen.ready();
            return Ok(());
        }
        let is_playing = self.status.as_ref().is_some_and(|status| status.state == State::Playing);
        let when = if is_playing { "at the next bar" } else { "as soon as its stems are loaded" };
        self.ask("play", &format!("play: {what}, {when}"), |link| link.play(&sections, again))
    }

    /// Reads a plan on a thread: its disk may be slow.
    fn begin_read(&mut self, path: Option<String>) {
        let (read, events) = (self.read.clone(), self.events.clone());
        self.say(&format!("load: reading {}", path.as_deref().unwrap_or("the plan again")));
        let run = move || {
            let score = read(path.as_deref()).map_err(|failure| failure.to_string());
            drop(events.send(Event::Read(Box::new(score))));
        };
        match std::thread::Builder::new().name("plan".into()).spawn(run) {
            Ok(_) => self.is_reading = true,
            Err(e) => self.say(&format!("load: no thread could be started to read it: {e}")),
        }
    }

    /// Takes in a plan that has been read.
    fn take(&mut self, read: Result<Score, String>) -> Result<(), Failure> {
        self.is_reading = false;
        match read {
            Ok(score) => {
                self.score = score;
                self.load()
            }
            Err(why) => {
                self.say(&format!("load: {why}"));
                Ok(())
            }
        }
    }

    /// Says what the present plan is, and has the daemon load it.
    fn load(&mut self) -> Result<(), Failure> {
        self.screen.keys(self.score.sections.iter().map(|section| section.key.as_str()));
        let range = Range { first: 0, last: self.score.sections.len().saturating_sub(1), remark: None };
        if self.options.json {
            report::fault_events(&self.score, &range).iter().for_each(|event| self.object(event));
        } else {
            let (theme, count) = (&self.score.theme, self.score.sections.len());
            let length = report::clock(self.score.seconds());
            self.say(&format!("plan '{theme}': {count} sections, {length}; 'help' lists the commands"));
            self.score.remarks.iter().for_each(|remark| self.say(remark));
            for section in &self.score.sections {
                for missing in &section.missing {
                    self.say(&format!("{}, {}: missing: {}", section.key, missing.stem, missing.why));
                }
            }
        }
        let then = self.loading.take().and_then(|loading| loading.then);
        self.link.load(&self.score.path, &self.options.wishes)?;
        self.loading = Some(Loading { since: Instant::now(), then });
        self.pulse.hurry();
        Ok(())
    }

    /// Takes in that the daemon has read the plan, or why not.
    fn loaded(&mut self, result: Result<&[Answer], &str>) -> Result<(), Failure> {
        let Some(loading) = self.loading.take() else { return Ok(()) };
        match result {
            Ok(args) => {
                let number = |k: usize| args.get(k).and_then(Answer::as_int);
                let (count, missing) = (number(0), number(1).unwrap_or(0));
                let count = count.unwrap_or(self.score.sections.len() as i64);
                let stems = if missing == 1 { "stem" } else { "stems" };
                self.say(&format!("load: done, {count} sections, {missing} {stems} missing"));
                if let Some((sections, again, done)) = loading.then {
                    self.link.play(&sections, again)?;
                    self.late.push(Pending { control: "play", done, since: Instant::now() });
                }
            }
            Err(why) => self.say(&format!("load: {why}")),
        }
        Ok(())
    }

    /// Takes in an answer of the daemon.
    fn hear(&mut self, reply: Reply) -> Result<(), Failure> {
        match reply {
            Reply::Status(status) => self.watch_status(status),
            Reply::Done { address, args } if address == "/groove/plan/load" => self.loaded(Ok(&args)),
            Reply::Fail { address, why } if address == "/groove/plan/load" => self.loaded(Err(&why)),
            Reply::Done { address, .. } => self.answered(&address, None),
            Reply::Fail { address, why } => self.answered(&address, Some(&why)),
            Reply::Other => Ok(()),
        }
    }

    /// Says what became of a request. Answers come in the order of the requests.
    fn answered(&mut self, address: &str, why: Option<&str>) -> Result<(), Failure> {
        let Some(control) = address.strip_prefix("/groove/plan/") else { return Ok(()) };
        let late = self.late.iter().position(|pending| pending.control == control).map(|k| self.late.remove(k));
        let is_current = late.is_none() && self.current.as_ref().is_some_and(|pending| pending.control == control);
        let current = if is_current { self.current.take() } else { None };
        if let Some(pending) = late.or(current) {
            match why {
                Some(why) => self.say(&format!("{control}: {why}")),
                None if !pending.done.is_empty() => self.say(&pending.done),
                None => {}
            }
        }
        if is_current {
            self.screen.ready();
        }
        Ok(())
    }

    fn watch_status(&mut self, status: Status) -> Result<(), Failure> {
        self.pulse.heard(&status);
        match self.watch.turn(&status) {
            Some(Turn::Section(_, at)) => self.screen.line(&section_line(&self.score, &status, at, self.options.json)),
            Some(Turn::End(_, at)) if self.options.json => self.object(&report::end_event(at)),
            Some(Turn::End(State::Over, _)) => self.say("the plan is over"),
            Some(Turn::End(..)) => self.say("the plan has stopped"),
            None => {}
        }
        if self.current.as_ref().is_some_and(|pending| pending.control == "status") {
            self.current = None;
            match self.options.json {
                true => self.object(&status_event(&status)),
                false => self.say(&status_text(&status)),
            }
            self.screen.ready();
        }
        let state = status.state;
        self.status = Some(status);
        // The answer to the load may get lost.
        match self.loading.as_ref().map(|loading| loading.since.elapsed()) {
            Some(since) if since > READING && state == State::Loaded => self.loaded(Ok(&[])),
            Some(since) if since > READING && state != State::Reading => {
                self.loaded(Err("the daemon has not answered"))
            }
            _ => Ok(()),
        }
    }

    /// Gives up on what is late; returns the time until something else is.
    fn expire(&mut self) -> Duration {
        if let Some(pending) = self.current.take_if(|pending| pending.since.elapsed() >= PATIENCE) {
            self.say(&format!("{}: sent; the daemon has not answered yet", pending.control));
            // A later status is not an answer.
            if pending.control != "status" {
                self.late.push(pending);
            }
            self.screen.ready();
        }
        let (lost, late) =
            std::mem::take(&mut self.late).into_iter().partition(|p: &Pending| p.since.elapsed() >= LOST);
        self.late = late;
        for pending in Vec::from_iter(lost) {
            self.say(&format!("{}: no answer; the daemon may not have got it", pending.control));
        }
        let current = self.current.as_ref().map(|pending| PATIENCE.saturating_sub(pending.since.elapsed()));
        // Never at once: what is due has just been done.
        current.unwrap_or(LOST).max(Duration::from_millis(1))
    }

    fn status_line(&self) -> String {
        let Some(status) = &self.status else { return "waiting for the daemon".into() };
        let held = if status.held { ", held" } else { "" };
        let place = || format!("{}/{} {}", status.place, status.sections, clean(&status.key));
        match status.state {
            State::Playing => format!("{}, {} left{held}", place(), report::bars(status.bars_left())),
            State::Loading if status.place > 0 => format!("{}, loading{held}", place()),
            state => state.name().into(),
        }
    }
}

/// Returns what a range is called.
fn name(score: &Score, range: &Range) -> String {
    let key = |k: usize| score.sections.get(k).map(|section| section.key.as_str()).unwrap_or_default();
    match sections(score, range).as_str() {
        "" => "the whole plan".into(),
        _ if range.first == range.last => key(range.first).into(),
        _ => format!("{} to {}", key(range.first), key(range.last)),
    }
}

fn status_text(status: &Status) -> String {
    let name = status.state.name();
    if !status.state.is_busy() {
        return if status.path.is_empty() { name.into() } else { clean(&format!("{name}: {}", status.path)) };
    }
    let fade = if status.fade < 0.0 { "as the plan says".into() } else { format!("{} beats", status.fade) };
    let held = if status.held { ", held" } else { "" };
    let bpm = (status.bpm * 100.0).round() / 100.0;
    let (place, sections, key, bar) = (status.place, status.sections, clean(&status.key), status.bar);
    format!("{name}: {place}/{sections} {key}, bar {bar} of {}, {bpm} BPM, fade {fade}{held}", status.bars)
}

fn status_event(status: &Status) -> Value {
    json!({
        "event": "status", "state": status.state.name(), "place": status.place, "sections": status.sections,
        "key": status.key, "bar": status.bar, "bars": status.bars, "held": status.held, "fade": status.fade,
        "bpm": status.bpm, "path": status.path,
    })
}
