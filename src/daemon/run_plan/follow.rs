//! Full mode: plays a range of a plan and follows it to its end.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::link::{Event, Link, NO_DAEMON, Pulse, Reply, State, Status};
use super::report;
use crate::control::commands::value::Value as Answer;
use crate::daemon::{Failure, INTERRUPTED};
use crate::plans::range::Range;
use crate::plans::score::{Score, Wishes};

/// Fade after Ctrl-C, in seconds.
pub const ABRUPT_S: f64 = 0.05;
/// Time after which a load counts as lost: disks may be slow.
const READING: Duration = Duration::from_secs(60);
/// Time that a daemon has to answer a request other than a load.
const ANSWER: Duration = Duration::from_secs(5);

/// Options of full mode.
pub struct Options {
    /// Wishes of the command line.
    pub wishes: Wishes,
    /// True if it begins again after its end.
    pub again: bool,
    /// Whether events are printed as JSON.
    pub json: bool,
}

/// Returns a range as the daemon takes it; the whole plan is empty.
pub fn sections(score: &Score, range: &Range) -> String {
    match (range.first, range.last) {
        (0, last) if last + 1 >= score.sections.len() => String::new(),
        (first, last) if first == last => (first + 1).to_string(),
        (first, last) => format!("{}-{}", first + 1, last + 1),
    }
}

/// Watches which section is played, by the statuses of a daemon.
#[derive(Default)]
pub struct Watch {
    begun: Option<Instant>,
    place: usize,
}

/// Something that a status tells.
#[derive(Debug, PartialEq)]
pub enum Turn {
    /// A section has begun: its place from 1, and the seconds since the first one began.
    Section(usize, f64),
    /// Nothing is played any more: the state, and the seconds since the first section began.
    End(State, f64),
}

impl Watch {
    /// Returns what a status tells besides the one before it.
    pub fn turn(&mut self, status: &Status) -> Option<Turn> {
        match status.state {
            State::Playing if status.place > 0 && status.place != self.place => {
                self.place = status.place;
                let begun = *self.begun.get_or_insert_with(Instant::now);
                Some(Turn::Section(status.place, millis(begun)))
            }
            state if !state.is_busy() => {
                self.place = 0;
                self.begun.take().map(|begun| Turn::End(state, millis(begun)))
            }
            _ => None,
        }
    }
}

/// Returns the seconds since then in whole milliseconds: a poll does not know better.
fn millis(since: Instant) -> f64 {
    since.elapsed().as_millis() as f64 / 1_000.0
}

/// Returns the line, or the object, of a section that has begun.
pub fn section_line(score: &Score, status: &Status, at: f64, json: bool) -> String {
    let index = status.place.saturating_sub(1);
    // Another client may have loaded another plan.
    let section = score.sections.get(index).filter(|section| section.key == status.key);
    let (place, count) = (status.place, status.sections);
    match (section, json) {
        (Some(_), true) => {
            report::section_event(score, index, at).map(|event| report::line(&event)).unwrap_or_default()
        }
        (None, true) => {
            let length = if status.bpm > 0.0 { status.bars * score.meter * 60.0 / status.bpm } else { 0.0 };
            let (key, at) = (&status.key, (at * 1e6).round() / 1e6);
            let event = serde_json::json!({"event": "section", "place": place, "key": key, "at": at, "length": length});
            report::line(&event)
        }
        (Some(section), false) => {
            let (key, kind) = (report::clean(&section.key), report::clean(&section.kind));
            format!("{place}/{count} {key} ({kind}): {}", report::length(score, section))
        }
        (None, false) => format!("{place}/{count} {}: {}", report::clean(&status.key), report::bars(status.bars)),
    }
}

/// Progress of a plan.
enum Phase {
    /// The daemon reads it.
    Reading(Instant),
    /// The daemon has been asked to play it.
    Asked(Instant),
    /// The daemon plays it, since about then.
    Playing(Instant),
}

/// Loads a plan into a daemon, plays a range of it and prints what begins, until it is over or Ctrl-C stops it.
///
/// # Errors
/// With exit code 1 if something could not be played, 3 if the daemon is gone, 130 after Ctrl-C.
pub fn run(
    link: &Link,
    events: &Receiver<Event>,
    score: &Score,
    range: &Range,
    options: &Options,
) -> Result<(), Failure> {
    let print = |text: &str| drop(writeln!(io::stdout(), "{text}"));
    let object = |value: &Value| print(&report::line(value));
    if options.json {
        report::fault_events(score, range).iter().for_each(object);
    }
    link.load(&score.path, &options.wishes)?;
    let sections = sections(score, range);
    let mut missing = report::missing(score, range);
    let mut phase = Phase::Reading(Instant::now());
    let (mut pulse, mut watch) = (Pulse::new(), Watch::default());
    loop {
        let event = match events.recv_timeout(pulse.beat(link)?) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => Event::Gone("the link to the daemon is closed".into()),
        };
        let reply = match event {
            Event::Heard(reply) => reply,
            Event::Gone(why) => return Err(Failure::Own { code: NO_DAEMON, text: why }),
            Event::Interrupted => return Err(interrupted(link, Some(events))),
            Event::Line(_) | Event::Closed | Event::Read(_) => continue,
        };
        match (&phase, &reply) {
            (_, Reply::Fail { address, why }) if address.starts_with("/groove/plan/") => {
                let what = address.trim_start_matches("/groove/plan/");
                return Err(Failure::Own { code: 1, text: format!("{}: {}", report::clean(what), report::clean(why)) });
            }
            (Phase::Reading(_), Reply::Done { address, args }) if address == "/groove/plan/load" => {
                // The daemon may find other files than this machine.
                let told = args.get(1).and_then(Answer::as_int).and_then(|n| n.try_into().ok());
                missing = told.filter(|_| sections.is_empty()).unwrap_or(missing);
                link.play(&sections, options.again)?;
                phase = Phase::Asked(Instant::now());
            }
            (Phase::Asked(_), Reply::Done { address, .. }) if address == "/groove/plan/play" => {
                phase = Phase::Playing(Instant::now());
            }
            _ => {}
        }
        let Reply::Status(status) = reply else { continue };
        pulse.heard(&status);
        match phase {
            // What answers a request may get lost; the status tells.
            Phase::Reading(since) if since.elapsed() > READING && status.state != State::Reading => {
                return Err(unanswered("load", READING));
            }
            Phase::Asked(_) if status.state.is_busy() => phase = Phase::Playing(Instant::now()),
            Phase::Asked(since) if since.elapsed() > ANSWER => return Err(unanswered("play", ANSWER)),
            _ => {}
        }
        let Phase::Playing(since) = phase else { continue };
        if status.state.is_busy() && !status.path.is_empty() && !score.path.starts_with(&status.path) {
            let text = format!("another plan plays now: {}", report::clean(&status.path));
            return Err(Failure::Own { code: 1, text });
        }
        match watch.turn(&status) {
            Some(Turn::Section(_, at)) => print(&section_line(score, &status, at, options.json)),
            Some(Turn::End(_, at)) => {
                if options.json {
                    object(&report::end_event(at));
                }
                // Some may have turned out to be missing when they were loaded.
                return outcome(missing.max(status.missing));
            }
            // It ended before any of it was seen.
            None if !status.state.is_busy() && (status.state != State::Loaded || since.elapsed() > ANSWER) => {
                let text = "nothing of the plan was played; the daemon's log says why".into();
                return Err(Failure::Own { code: 1, text });
            }
            None => {}
        }
    }
}

fn unanswered(what: &str, limit: Duration) -> Failure {
    let text = format!("no answer to '{what}' within {} s; the daemon's log may say why", limit.as_secs());
    Failure::Own { code: 1, text }
}

/// Returns what stems that are missing mean for the program.
///
/// # Errors
/// With exit code 1 if there are any.
pub fn outcome(missing: usize) -> Result<(), Failure> {
    match missing {
        0 => Ok(()),
        1 => Err(Failure::Own { code: 1, text: "1 stem could not be played; --mode check names it".into() }),
        n => Err(Failure::Own { code: 1, text: format!("{n} stems could not be played; --mode check names them") }),
    }
}

/// Stops the plan after Ctrl-C, if it is to be stopped (with `events`); returns what the program ends with.
pub fn interrupted(link: &Link, events: Option<&Receiver<Event>>) -> Failure {
    let Some(events) = events else {
        return Failure::Own { code: INTERRUPTED, text: "interrupted".into() };
    };
    let stop = link.stop(ABRUPT_S).ok();
    let answer = stop.and_then(|()| answer(events, "/groove/plan/stop", Duration::from_millis(300)));
    let is_stopped = matches!(answer, Some(Ok(())));
    let text = if is_stopped { "interrupted; the plan is stopped" } else { "interrupted; the plan may go on" };
    Failure::Own { code: INTERRUPTED, text: text.into() }
}

/// Waits for the answer to a request: whether it was carried out, and why not; `None` without an answer.
pub fn answer(events: &Receiver<Event>, control: &str, limit: Duration) -> Option<Result<(), String>> {
    let deadline = Instant::now() + limit;
    while let Ok(event) = events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        match event {
            Event::Heard(Reply::Done { address, .. }) if address == control => return Some(Ok(())),
            Event::Heard(Reply::Fail { address, why }) if address == control => return Some(Err(why)),
            Event::Gone(_) => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::score::Section;

    fn status(state: State, place: usize) -> Status {
        let mut status = Status::of(&["none".into()]).unwrap();
        (status.state, status.place) = (state, place);
        status
    }

    #[test]
    fn each_section_is_told_once() {
        let mut watch = Watch::default();
        let states = [
            (State::Loaded, 0),
            (State::Loading, 1),
            (State::Playing, 0),
            (State::Playing, 1),
            (State::Playing, 1),
            (State::Loading, 1),
            (State::Playing, 2),
            (State::Over, 2),
            (State::Over, 2),
        ];
        let turns: Vec<_> = states.iter().filter_map(|(state, place)| watch.turn(&status(*state, *place))).collect();
        assert!(
            matches!(turns[..], [Turn::Section(1, _), Turn::Section(2, _), Turn::End(State::Over, _)]),
            "{turns:?}"
        );
    }

    #[test]
    fn ranges_are_sent_as_places() {
        let mut score = Score::default();
        for key in ["a", "b", "c"] {
            let (key, kind) = (key.into(), String::new());
            score.sections.push(Section { key, kind, beats: 4.0, fade: 1.0, parts: Vec::new(), missing: Vec::new() });
        }
        let text = |first, last| sections(&score, &Range { first, last, remark: None });
        assert_eq!([text(0, 2), text(1, 1), text(1, 2), text(0, 1)], ["", "2", "2-3", "1-2"]);
    }
}
