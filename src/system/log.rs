//! One line per event, to the journal when systemd started us, else to stderr; repeated lines are counted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// A line that was said this recently is not said again, only counted.
const QUIET: Duration = Duration::from_secs(10);
/// Different lines remembered; beyond that the memory starts over.
const REMEMBERED: usize = 256;

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
    let _ = Registry::default()
        .with(journal.map(|l| l.with_filter(level).with_filter(Deduplicate::default())))
        .with(stderr.map(|l| l.with_filter(level).with_filter(Deduplicate::default())))
        .with(Relay.with_filter(level).with_filter(Deduplicate::default()))
        .try_init();
}

struct Said {
    at: Instant,
    suppressed: u64,
}

/// Lets each different line through once per [`QUIET`] seconds. Those with the target [`AGAIN`] are never held back.
#[derive(Default)]
struct Deduplicate {
    said: Mutex<HashMap<u64, Said>>,
}

struct Fingerprint(DefaultHasher);

impl Visit for Fingerprint {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        field.name().hash(&mut self.0);
        format!("{value:?}").hash(&mut self.0);
    }
}

impl<S> Filter<S> for Deduplicate {
    fn enabled(&self, _: &tracing::Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &tracing::Event<'_>, _: &Context<'_, S>) -> bool {
        super::guard::may_block();
        if event.metadata().target() == AGAIN {
            return true;
        }
        let mut print = Fingerprint(DefaultHasher::new());
        event.metadata().callsite().hash(&mut print.0);
        event.record(&mut print);
        let key = print.0.finish();
        let Ok(mut said) = self.said.lock() else { return true };
        let now = Instant::now();
        if said.len() > REMEMBERED {
            said.clear();
        }
        match said.get_mut(&key) {
            Some(before) if now.duration_since(before.at) < QUIET => {
                before.suppressed += 1;
                false
            }
            Some(before) => {
                let suppressed = before.suppressed;
                *before = Said { at: now, suppressed: 0 };
                drop(said);
                if suppressed > 0 {
                    // Goes straight out: an event within an event would be lost.
                    eprintln!("(the next line came {suppressed} more times meanwhile)");
                }
                true
            }
            None => {
                said.insert(key, Said { at: now, suppressed: 0 });
                true
            }
        }
    }
}
