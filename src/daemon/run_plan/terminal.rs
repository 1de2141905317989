//! Standard input and output of the console: an edited line with history, completion and a status line on a terminal,
//! plain lines elsewhere.
//!
//! A thread reads lines, one each time [`Screen::ready`] is called, so that a command's answer stands below it and not
//! within the next one. On a terminal, another thread prints: rustyline does not take lines while it shows a menu, and
//! nothing else may wait for that.

use std::borrow::Cow;
use std::cell::Cell;
use std::fs::DirBuilder;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use rustyline::completion::{Completer, Pair};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper};

use super::command::COMMANDS;
use super::link::Event;
use super::report::clean;

/// Longest line in bytes; a longer one ends the input.
const LONGEST_LINE: u64 = 65_536;
/// Most lines in the history.
const HISTORY: usize = 500;
/// Time that the last lines have to be printed.
const LAST_LINES: Duration = Duration::from_millis(200);
/// Up and down again: rustyline draws the line and the status line anew and nothing moves.
const REDRAW: &str = "\x1b[A\n";
/// Columns of a terminal that does not tell.
const COLUMNS: u16 = 80;

/// Standard input and output.
pub struct Screen {
    output: Output,
    go: SyncSender<()>,
    is_reading: Cell<bool>,
}

enum Output {
    Plain,
    Terminal { orders: Sender<Order>, shared: Arc<Mutex<Shared>>, before: Termios },
}

enum Order {
    Print(String),
    Finish(SyncSender<()>),
}

/// State that the editing thread shows or offers.
#[derive(Default)]
struct Shared {
    status: String,
    keys: Vec<String>,
}

impl Screen {
    /// Opens standard input, whose lines go to `events`: with an editor and a status line, if both standard input and
    /// output are a terminal that can do that.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn open(events: Sender<Event>) -> io::Result<Screen> {
        let (go, gone) = sync_channel(1);
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let output = match is_terminal.then(editor).flatten() {
            Some((mut editor, printer, shared, before)) => {
                let (orders, ordered) = channel();
                start("screen", move || print(printer, &ordered))?;
                start("console", move || edit(&mut editor, &gone, &events))?;
                Output::Terminal { orders, shared, before }
            }
            None => {
                start("console", move || read(&gone, &events))?;
                Output::Plain
            }
        };
        Ok(Screen { output, go, is_reading: Cell::new(false) })
    }

    /// Lets the next line be read.
    pub fn ready(&self) {
        self.is_reading.set(true);
        // The thread has ended at the end of the input.
        let _ = self.go.try_send(());
    }

    /// Takes in that a line has arrived.
    pub fn taken(&self) {
        self.is_reading.set(false);
    }

    /// Prints a line on standard output, without disturbing the line that is edited.
    pub fn line(&self, text: &str) {
        match &self.output {
            Output::Terminal { orders, .. } => drop(orders.send(Order::Print(format!("{text}\n")))),
            // Whoever reads no further has seen enough.
            Output::Plain => drop(writeln!(io::stdout(), "{text}")),
        }
    }

    /// Prints a line that is no data: on standard error, unless a line is edited on this terminal.
    pub fn aside(&self, text: &str) {
        match &self.output {
            Output::Terminal { .. } => self.line(text),
            Output::Plain => drop(writeln!(io::stderr(), "grooved: {text}")),
        }
    }

    /// Shows a text in the status line, if there is one.
    pub fn status(&self, text: &str) {
        if let Output::Terminal { orders, shared, .. } = &self.output {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.status != text {
                shared.status = text.into();
                if self.is_reading.get() {
                    drop(orders.send(Order::Print(REDRAW.into())));
                }
            }
        }
    }

    /// Sets the section keys that are offered as completions.
    pub fn keys<'a>(&self, keys: impl Iterator<Item = &'a str>) {
        if let Output::Terminal { shared, .. } = &self.output {
            let keys = keys.filter(|key| clean(key) == **key).map(Into::into).collect();
            shared.lock().unwrap_or_else(PoisonError::into_inner).keys = keys;
        }
    }
}

impl Drop for Screen {
    /// Prints what is left, and gives the terminal back as it was: the editing thread may be in the middle of a line.
    fn drop(&mut self) {
        let Output::Terminal { orders, before, .. } = &self.output else { return };
        let (finish, finished) = sync_channel(1);
        if orders.send(Order::Finish(finish)).is_ok() {
            let _ = finished.recv_timeout(LAST_LINES);
        }
        if self.is_reading.get() {
            // To the status line, which goes.
            drop(io::stdout().write_all(b"\n\r\x1b[J").and_then(|()| io::stdout().flush()));
        }
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(run).map(drop)
}

/// Reads plain lines.
fn read(gone: &Receiver<()>, events: &Sender<Event>) {
    while gone.recv().is_ok() {
        let line = plain_line(&mut io::stdin().lock());
        let is_end = line.is_none();
        if events.send(line.map_or(Event::Closed, Event::Line)).is_err() || is_end {
            return;
        }
    }
}

/// Reads a line; `None` at the end, after a failure, and instead of a line that is too long.
fn plain_line(input: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    let n = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes).ok()?;
    if n as u64 == LONGEST_LINE && !bytes.ends_with(b"\n") {
        eprintln!("grooved: standard input: a line is longer than {LONGEST_LINE} bytes; it counts as the end");
        return None;
    }
    if n == 0 {
        return None;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

type Line = Editor<Assistant, FileHistory>;

/// Returns an editor, what prints around its line, what they show, and the terminal's settings before; `None` if this
/// terminal cannot do that.
fn editor() -> Option<(Line, impl ExternalPrinter + Send + 'static, Arc<Mutex<Shared>>, Termios)> {
    let before = tcgetattr(io::stdin()).ok()?;
    let config = Config::builder().auto_add_history(false).completion_type(CompletionType::List).build();
    let mut editor = Line::with_config(config).ok()?;
    // The status line is drawn by what else would colour it.
    editor.set_color_mode(ColorMode::Forced);
    editor.enable_bracketed_paste(false);
    editor.set_max_history_size(HISTORY).ok()?;
    let shared = Arc::<Mutex<Shared>>::default();
    editor.set_helper(Some(Assistant { shared: shared.clone() }));
    let printer = editor.create_external_printer().ok()?;
    Some((editor, printer, shared, before))
}

/// Prints what is ordered.
fn print(mut printer: impl ExternalPrinter, orders: &Receiver<Order>) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Print(text) => drop(printer.print(text)),
            Order::Finish(finished) => drop(finished.send(())),
        }
    }
}

/// Reads edited lines.
fn edit(editor: &mut Line, gone: &Receiver<()>, events: &Sender<Event>) {
    let history = history();
    if let Some(path) = &history {
        // There is none at first.
        drop(editor.load_history(path));
    }
    while gone.recv().is_ok() {
        let event = match editor.readline("> ") {
            Ok(line) => {
                if !line.trim().is_empty() && editor.add_history_entry(line.trim()).is_ok_and(|is_new| is_new) {
                    history.iter().for_each(|path| drop(editor.append_history(path)));
                }
                Event::Line(line)
            }
            Err(ReadlineError::Interrupted) => Event::Interrupted,
            Err(_) => Event::Closed,
        };
        let is_end = !matches!(event, Event::Line(_));
        if events.send(event).is_err() || is_end {
            return;
        }
    }
}

/// Returns the path of the history, in the user's cache folder; `None` without one.
fn history() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?.join("grooved");
    DirBuilder::new().recursive(true).mode(0o700).create(&cache).ok()?;
    Some(cache.join("run-plan.history"))
}

/// Helps the editor: completion, and the status line as a hint below the line.
struct Assistant {
    shared: Arc<Mutex<Shared>>,
}

/// Place of the status line: rustyline reckons with one more row, and never inserts it into the line.
struct StatusRow;

impl Hint for StatusRow {
    fn display(&self) -> &str {
        "\n "
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for Assistant {
    type Hint = StatusRow;

    fn hint(&self, _: &str, _: usize, _: &Context<'_>) -> Option<StatusRow> {
        Some(StatusRow)
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, _: &'h str) -> Cow<'h, str> {
        let columns = tcgetwinsize(io::stdout()).map_or(COLUMNS, |size| size.ws_col);
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let columns = if columns == 0 { COLUMNS } else { columns };
        Cow::Owned(format!("\n{}", cut(&shared.status, usize::from(columns).saturating_sub(1))))
    }
}

impl Validator for Assistant {}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..pos).unwrap_or(line);
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, words) = completions(before, &shared.keys);
        Ok((start, words.into_iter().map(|word| Pair { display: word.clone(), replacement: word }).collect()))
    }
}

/// Returns where the word begins that is completed, and what it may become.
fn completions(before: &str, keys: &[String]) -> (usize, Vec<String>) {
    let typed = before.trim_start();
    let Some((command, rest)) = typed.split_once(char::is_whitespace) else {
        let typed_lower = typed.to_lowercase();
        let fits = COMMANDS.iter().filter(|(name, ..)| name.starts_with(&typed_lower));
        return (before.len() - typed.len(), fits.map(|(name, ..)| (*name).into()).collect());
    };
    let word = rest.trim_start();
    let fixed: &[&str] = match command.to_lowercase().as_str() {
        "quit" => &["--leave"],
        "hold" => &["on", "off"],
        _ => &[],
    };
    let fixed = fixed.iter().filter(|name| name.starts_with(word)).map(|name| (*name).into());
    let wanted = word.to_lowercase();
    // As `play` finds them, by any part of a key.
    let is_play = command.eq_ignore_ascii_case("play");
    let keys = keys.iter().filter(|key| is_play && key.to_lowercase().contains(&wanted)).cloned();
    (before.len() - word.len(), fixed.chain(keys).collect())
}

/// Returns as much of a text as fits into a number of columns. What is not ASCII counts as two: some of it is wide.
fn cut(text: &str, columns: usize) -> String {
    let mut left = columns;
    let fits = |c: &char| match left.checked_sub(if c.is_ascii() { 1 } else { 2 }) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded() {
        let mut input: &[u8] = b"play 1\r\n\xff\n\nlast";
        let lines: Vec<_> = std::iter::from_fn(|| plain_line(&mut input)).collect();
        assert_eq!(lines, ["play 1\r\n", "\u{fffd}\n", "\n", "last"]);
        assert_eq!(plain_line(&mut io::BufReader::new(io::repeat(0))), None);
    }

    #[test]
    fn completions_are_commands_and_keys() {
        let keys = ["00_intro", "01_verse", "02_Verse"].map(String::from);
        assert_eq!(completions("  pl", &keys), (2, vec!["play".into()]));
        assert_eq!(completions("play ver", &keys), (5, vec!["01_verse".into(), "02_Verse".into()]));
        assert_eq!(completions("PLAY  00", &keys), (6, vec!["00_intro".into()]));
        assert_eq!(completions("quit -", &keys), (5, vec!["--leave".into()]));
        assert_eq!(completions("info ", &keys), (5, vec![]));
        assert_eq!(completions("", &keys).1.len(), COMMANDS.len());
    }

    #[test]
    fn texts_are_cut_to_columns() {
        assert_eq!((cut("abc", 2).as_str(), cut("aéb", 3).as_str(), cut("日本", 3).as_str()), ("ab", "aé", "日"));
    }
}
