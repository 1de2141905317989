//! Logging, one line per event: to the journal if started by systemd, else to stderr.
//!
//! The log stays short whatever clients send: a line repeated within ten seconds is only counted, and each place in the
//! code may log [`BURST`] different lines at once and [`PER_SECOND`] per second afterwards. Lines beyond that are
//! dropped before they are formatted, and their number is logged.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// Time within which a repeated line is counted instead of logged.
const QUIET: Duration = Duration::from_secs(10);
/// Number of lines remembered for that; beyond it, the memory is cleared.
const REMEMBERED: usize = 1024;
/// Number of lines that one place in the code may log at once.
pub const BURST: f64 = 30.0;
/// Number of lines that it may log per second afterwards.
pub const PER_SECOND: f64 = 5.0;

/// Target of lines that answer a request: these are never suppressed.
pub const AGAIN: &str = "again";

/// Callback that receives the level and the text of each line that is logged.
pub type Listener = Box<dyn Fn(&str, &str) + Send + Sync>;

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Installs a listener for all lines; only the first call has an effect.
pub fn listen(listener: Listener) {
    let _ = LISTENER.set(listener);
}

/// Layer that passes lines to the listener.
struct Relay;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Relay {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let Some(listener) = LISTENER.get() else { return };
        let mut text = Text(String::new());
        event.record(&mut text);
        listener(&event.metadata().level().as_str().to_ascii_lowercase(), &text.0);
    }
}

/// Starts logging at `level` ("error", "warn", "info", "debug", "trace"). Later calls do nothing.
pub fn start(level: &str) {
    let level: LevelFilter = level.parse().unwrap_or(LevelFilter::INFO);
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let stderr = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).without_time().with_ansi(false)
    });
    let _ = Registry::default().with(level).with(journal).with(stderr).with(Relay).with(Bound::default()).try_init();
}

/// A remembered line.
struct Said {
    at: Instant,
    repeated: u64,
}

/// Rate limit of one place in the code.
struct Allowance {
    lines: f64,
    at: Instant,
    left_out: u64,
}

impl Allowance {
    /// Returns whether a line may be logged at `now`, without counting it.
    fn grants(&mut self, now: Instant) -> bool {
        self.lines = (self.lines + now.duration_since(self.at).as_secs_f64() * PER_SECOND).min(BURST);
        self.at = now;
        if self.lines < 1.0 {
            self.left_out += 1;
        }
        self.lines >= 1.0
    }
}

#[derive(Default)]
struct Seen {
    lines: HashMap<u64, Said>,
    places: HashMap<Identifier, Allowance>,
}

/// Decision about a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The line is not logged.
    Dropped,
    /// The line is logged, preceded by the number of its repetitions and of similar lines that were dropped.
    Logged { repeated: u64, left_out: u64 },
}

impl Seen {
    /// Decides about a line from `place`; `print` computes its fingerprint and is called only if needed.
    fn judge(&mut self, place: Identifier, now: Instant, print: impl FnOnce() -> u64) -> Verdict {
        let allowance = self.places.entry(place).or_insert(Allowance { lines: BURST, at: now, left_out: 0 });
        if !allowance.grants(now) {
            return Verdict::Dropped;
        }
        if self.lines.len() >= REMEMBERED {
            self.lines.retain(|_, said| now.duration_since(said.at) < QUIET);
            if self.lines.len() >= REMEMBERED {
                self.lines.clear();
            }
        }
        let fresh = Said { at: now, repeated: 0 };
        let repeated = match self.lines.entry(print()) {
            Entry::Occupied(mut said) if now.duration_since(said.get().at) < QUIET => {
                said.get_mut().repeated += 1;
                return Verdict::Dropped;
            }
            Entry::Occupied(mut said) => said.insert(fresh).repeated,
            Entry::Vacant(place) => {
                place.insert(fresh);
                0
            }
        };
        allowance.lines -= 1.0;
        Verdict::Logged { repeated, left_out: std::mem::take(&mut allowance.left_out) }
    }
}

/// Layer that limits the log. Lines with the target [`AGAIN`] are never suppressed.
#[derive(Default)]
struct Bound {
    seen: Mutex<Seen>,
}

struct Fingerprint(DefaultHasher);

impl Visit for Fingerprint {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        field.name().hash(&mut self.0);
        format!("{value:?}").hash(&mut self.0);
    }
}

impl<S: tracing::Subscriber> Layer<S> for Bound {
    fn event_enabled(&self, event: &tracing::Event<'_>, _: Context<'_, S>) -> bool {
        super::guard::may_block();
        if event.metadata().target() == AGAIN {
            return true;
        }
        let print = || {
            let mut print = Fingerprint(DefaultHasher::new());
            event.metadata().callsite().hash(&mut print.0);
            event.record(&mut print);
            print.0.finish()
        };
        let Ok(mut seen) = self.seen.lock() else { return true };
        let verdict = seen.judge(event.metadata().callsite(), Instant::now(), print);
        drop(seen);
        let Verdict::Logged { repeated, left_out } = verdict else { return false };
        // Printed directly: an event within an event would be lost.
        if repeated > 0 {
            eprintln!("log: the next line was repeated {repeated} times in between");
        }
        if left_out > 0 {
            eprintln!("log: {left_out} lines similar to the next were dropped");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::callsite::{Callsite, DefaultCallsite};
    use tracing::metadata::{Kind, Metadata};

    fn place() -> Identifier {
        static PLACE: DefaultCallsite = {
            static META: Metadata<'static> = tracing::metadata! {
                name: "test", target: "test", level: tracing::Level::WARN, fields: &[], callsite: &PLACE, kind: Kind::EVENT
            };
            DefaultCallsite::new(&META)
        };
        PLACE.metadata().callsite()
    }

    #[test]
    fn a_flood_of_different_lines_is_cut_off_before_they_are_formatted() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let mut formatted = 0;
        let mut logged = 0;
        for k in 0..20_000u64 {
            let verdict = seen.judge(place(), start, || {
                formatted += 1;
                k
            });
            logged += u64::from(verdict != Verdict::Dropped);
        }
        assert_eq!((logged, formatted), (BURST as u64, BURST as u64));
        let later = start + Duration::from_secs(1);
        let verdict = seen.judge(place(), later, || 99_999);
        assert_eq!(verdict, Verdict::Logged { repeated: 0, left_out: 20_000 - BURST as u64 });
    }

    #[test]
    fn a_repeated_line_is_logged_once_in_ten_seconds_with_its_count() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        assert_eq!(seen.judge(place(), start, || 1), Verdict::Logged { repeated: 0, left_out: 0 });
        for k in 1..100 {
            assert_eq!(seen.judge(place(), start + k * Duration::from_millis(90), || 1), Verdict::Dropped);
        }
        let later = start + Duration::from_secs(10);
        assert_eq!(seen.judge(place(), later, || 1), Verdict::Logged { repeated: 99, left_out: 0 });
        assert_eq!(seen.judge(place(), later, || 2), Verdict::Logged { repeated: 0, left_out: 0 }, "another line");
    }
}
