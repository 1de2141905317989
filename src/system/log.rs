//! One line per event, to the journal when systemd started us, else to stderr.
//!
//! Whatever clients send, the log stays short: a line that was logged within the last ten seconds is only counted, and
//! each place in the code may log [`BURST`] different lines at once and [`PER_SECOND`] afterwards. Lines beyond that are
//! left out before they are formatted, and their number is logged.

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

/// A line that was logged this recently is not logged again, only counted.
const QUIET: Duration = Duration::from_secs(10);
/// Different lines remembered for that; beyond it the memory starts over.
const REMEMBERED: usize = 1024;
/// Lines that one place in the code may log at once.
pub const BURST: f64 = 30.0;
/// Lines that it may log per second afterwards.
pub const PER_SECOND: f64 = 5.0;

/// The target of lines that answer somebody: they are said each time.
pub const AGAIN: &str = "again";

/// Who else wants to know: called with the level and the text of each line that is logged.
pub type Listener = Box<dyn Fn(&str, &str) + Send + Sync>;

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Lets `listener` know of every line from now on; the first one stays.
pub fn listen(listener: Listener) {
    let _ = LISTENER.set(listener);
}

/// Passes lines on to the listener.
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

/// A line that was logged.
struct Said {
    at: Instant,
    repeated: u64,
}

/// What one place in the code may still log.
struct Allowance {
    lines: f64,
    at: Instant,
    left_out: u64,
}

impl Allowance {
    /// Whether a line may be logged at `now`. It is not yet counted.
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

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is not logged.
    Dropped,
    /// It is, and before it, how often it was repeated and how many similar lines were left out.
    Logged { repeated: u64, left_out: u64 },
}

impl Seen {
    /// Decides about a line from `place`; `print` is called, if it has to be, for what tells it from others.
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

/// Keeps the log short, whatever is logged. Lines with the target [`AGAIN`] are never left out.
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
        // These go straight out: an event within an event would be lost.
        if repeated > 0 {
            eprintln!("log: the next line was repeated {repeated} times meanwhile");
        }
        if left_out > 0 {
            eprintln!("log: {left_out} lines similar to the next were left out");
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
