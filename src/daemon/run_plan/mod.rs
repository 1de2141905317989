//! `grooved run-plan`: plays a DJ plan as the older generator writes it.
//!
//! - [`flags`]: the command line
//! - [`report`]: what is printed about a plan
//! - [`link`]: the daemon that plays it, on this machine, another one or within this process
//! - [`follow`]: full mode; [`console`]: interactive mode, with [`command`]s, on a [`terminal`]

use std::sync::mpsc::channel;

use super::{Failure, interrupt};
use crate::plans::range::Range;
use crate::plans::score::{Score, Wishes};

pub mod command;
pub mod console;
pub mod flags;
pub mod follow;
pub mod link;
pub mod report;
pub mod start;
pub mod terminal;

use console::{Console, Ended, Reader};
use flags::{Flags, Mode};
use link::{Event, Link};
use terminal::Screen;

/// The daemon that plays a plan.
pub struct Daemon {
    /// Host.
    pub host: String,
    /// OSC port.
    pub port: u16,
    /// True if it is the engine of this process.
    pub embedded: bool,
}

/// Plays a plan on a daemon, in full or interactive mode.
///
/// After [`Ended::Faded`] the engine of this process must go on for [`console::FADE_S`] seconds.
///
/// # Errors
/// With exit code 1 if something could not be played, 3 without a daemon, 130 after Ctrl-C.
pub fn drive(
    flags: &Flags,
    score: Score,
    range: Range,
    wishes: Wishes,
    daemon: &Daemon,
    read: Reader,
) -> Result<Ended, Failure> {
    let (events, heard) = channel();
    let link = Link::open(&daemon.host, daemon.port, &events)?;
    let stop = events.clone();
    interrupt::call(move || drop(stop.send(Event::Interrupted)));
    let (json, again) = (flags.show.json, flags.what.again);
    if flags.mode() == Mode::Full {
        let options = follow::Options { wishes, again, json };
        return follow::run(&link, &heard, &score, &range, &options).map(|()| Ended::Left);
    }
    let first = flags.names_sections().then_some(range);
    let (strict, embedded) = (flags.what.strict, daemon.embedded);
    let options = console::Options { wishes, first, again, strict, json, embedded };
    let screen = Screen::open(events.clone());
    let screen = screen.map_err(|e| Failure::Own { code: 1, text: format!("standard input: {e}") })?;
    Console::new(&link, &screen, &options, read, events, score).run(&heard)
}

/// Prints what `--mode info`, `list` and `check` and `--dry-run` print; `None` if the plan is to be played.
///
/// # Errors
/// With exit code 1 if `check` found something that cannot be played as it is.
pub fn tell(flags: &Flags, score: &Score, range: &Range) -> Option<(String, Result<(), Failure>)> {
    let whole = Range { first: 0, last: score.sections.len().saturating_sub(1), remark: None };
    let text = match (flags.show.dry_run, flags.mode(), flags.show.json) {
        (true, _, json) => {
            let text = if json { report::events(score, range, true) } else { report::dry_run(score, range) };
            return Some((text, follow::outcome(report::missing(score, range))));
        }
        (_, Mode::Info, true) => report::events(score, &whole, true),
        (_, Mode::Info, false) => report::info(score),
        (_, Mode::List, true) => report::events(score, &whole, false),
        (_, Mode::List, false) => report::list(score),
        (_, Mode::Check, json) => {
            let found = report::check(score);
            let line = |text: &String| match json {
                true => report::line(&serde_json::json!({"event": "finding", "text": text})) + "\n",
                false => format!("{text}\n"),
            };
            let why = "check: something cannot be played as the plan says".into();
            let result = if found.is_bad { Err(Failure::Own { code: 1, text: why }) } else { Ok(()) };
            return Some((found.lines.iter().map(line).collect(), result));
        }
        _ => return None,
    };
    Some((text, Ok(())))
}
