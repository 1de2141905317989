//! How decks are stretched: methods, keys, reserves, and what falls short of what was asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::context::Context;
use super::pace::Pace;
use super::stems::Stems;
use super::tempo::Tempo;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::deck_name;
use crate::control::publish::gauges::Gauges;
use crate::engine::DECKS;
use crate::engine::command::Action;
use crate::engine::cover::OverlayCell;
use crate::engine::method::Method;
use crate::engine::plan::{LANES, PLANS, SplicedGroup, StretchPool};
use crate::stretch::worker::{Level, shown};
use crate::system::realtime;

/// Least time between two lines of the log about underruns.
const QUIET: Duration = Duration::from_secs(2);

/// A reserve, and its state when it was last looked at.
#[derive(Clone, Debug)]
struct Reserve {
    cell: Arc<OverlayCell>,
    underruns: u32,
    backing_off: bool,
}

/// The stretching of one deck.
#[derive(Clone, Debug, Default)]
struct DeckStretch {
    /// Reserves of high-quality stretching, once the engine has what it needs to stretch the deck.
    reserves: Vec<Reserve>,
    /// A speed that was asked for and lies outside the method's range.
    clamped: Option<f64>,
    /// Whether more stems play on it than can be stretched at once.
    crowded: bool,
}

impl DeckStretch {
    /// Gives the method to the reserves, should they be used.
    fn set_method(&self, method: Method) {
        if method.in_engine() == Method::Hq {
            self.reserves.iter().for_each(|r| r.cell.method.store(method as u32, Relaxed));
        }
    }

    /// Gives the reserves the factor by which formants are moved back, or 0.
    fn set_formants(&self, pace: &Pace) {
        let factor = if pace.formants { pace.key_factor() } else { 0.0 };
        self.reserves.iter().for_each(|r| r.cell.formants.store(factor.to_bits(), Relaxed));
    }
}

/// How a deck is stretched at a moment; times in seconds.
#[derive(Default)]
struct Stretched {
    heard: Method,
    covering: bool,
    level: Level,
    ready: f64,
    target: f64,
    cost: f64,
    underruns: u64,
}

/// The stretching of all decks.
#[derive(Debug, Default)]
pub struct Stretching {
    decks: [DeckStretch; DECKS],
    /// The last line of the log about an underrun.
    underrun_logged: Option<Instant>,
}

impl Stretching {
    /// Sends the engine the decks' methods and base tempi at the start.
    pub fn start(&mut self, cx: &mut Context, tempo: &mut Tempo) {
        for deck in 0..DECKS {
            let method = tempo.paces[deck].method;
            if method != Method::default() {
                self.set_method(cx, tempo, deck, method, None);
            }
            tempo.push_base(cx, deck, None);
        }
    }

    /// Chooses how a deck's tempo is changed. What plays goes on from where it is.
    pub fn set_method(&mut self, cx: &mut Context, tempo: &mut Tempo, deck: usize, method: Method, at: Option<u64>) {
        let (pace, stretch) = (&mut tempo.paces[deck], &mut self.decks[deck]);
        let changes = pace.method != method;
        pace.method = method;
        stretch.set_method(method);
        let kit = (method != Method::PlaybackRate && stretch.reserves.is_empty()).then(|| {
            let (kit, ends) = StretchPool::new(cx.settings.sample_rate, cx.settings.tempo.reserve);
            // The large buffers first, should the limit of locked memory not suffice for rings and the small things
            // between as well. A refusal was reported at the start already; unlocked is slower, not wrong.
            kit.buffers().for_each(|b| drop(realtime::lock(b)));
            let _ = realtime::lock_present_memory();
            let watched = |cell: &Arc<OverlayCell>| Reserve { cell: cell.clone(), underruns: 0, backing_off: false };
            stretch.reserves = ends.iter().map(|e| watched(&e.cell)).collect();
            stretch.set_formants(pace);
            stretch.set_method(method);
            cx.services.stretch(ends);
            Box::new(kit)
        });
        if !changes && kit.is_none() {
            // Nothing changes; the reserve is kept.
            return;
        }
        // A kit must arrive before any command that may need it.
        let at = if kit.is_some() { None } else { at };
        cx.push(at, Action::Stretch { deck, method: method.in_engine(), kit });
    }

    /// Changes the key of a deck that keeps pitch, by `semitones`.
    pub fn set_key(&mut self, cx: &mut Context, tempo: &mut Tempo, deck: usize, semitones: f64, at: Option<u64>) {
        let pace = &mut tempo.paces[deck];
        pace.key = semitones;
        self.decks[deck].set_formants(pace);
        cx.push(at, Action::Key { deck, factor: pace.key_factor() });
    }

    /// Keeps a deck's formants in place when its key changes, or lets them move with it; heard once the present reserve
    /// has been played.
    pub fn set_formants(&mut self, tempo: &mut Tempo, deck: usize, stay: bool) {
        tempo.paces[deck].formants = stay;
        self.decks[deck].set_formants(&tempo.paces[deck]);
    }

    /// Reports reserves that ran dry, at most every two seconds, and decks that fall back to the cheaper method.
    pub fn watch_reserves(&mut self, cx: &Context, tempo: &Tempo) {
        for (deck, stretch) in self.decks.iter_mut().enumerate() {
            let (name, method) = (deck_name(deck), tempo.paces[deck].method);
            for reserve in &mut stretch.reserves {
                let cell = &reserve.cell;
                let (underruns, backing_off) = (cell.underruns.load(Relaxed), cell.banned.load(Relaxed));
                let (level, fill, target, _) = shown(cell);
                let input = cell.input.load(Relaxed);
                if underruns != reserve.underruns && self.underrun_logged.is_none_or(|t| t.elapsed() >= QUIET) {
                    reserve.underruns = underruns;
                    self.underrun_logged = Some(Instant::now());
                    tracing::warn!(
                        "deck {name}: Time-stretch UNDERRUN #{underruns}: input={input}/{}, output={fill}/{target} \
                         needed ({}); using wsola meanwhile",
                        cell.inputs,
                        level.name()
                    );
                    let values = vec![name.into(), Value::Int(i64::from(underruns)), level.name().into()];
                    cx.events.post("/event/stretch/underrun", values);
                }
                if backing_off != reserve.backing_off {
                    reserve.backing_off = backing_off;
                    match backing_off {
                        true => tracing::warn!("deck {name}: {method} cannot keep up; using wsola for a minute"),
                        false => tracing::info!("deck {name}: trying {method} again"),
                    }
                    let method = if backing_off { Method::Wsola } else { method };
                    cx.events.post("/event/stretch/fallback", vec![name.into(), method.name().into()]);
                }
            }
        }
    }

    /// Reports decks whose stems cannot play as fast, or as slowly, as was asked for.
    pub fn watch_speeds(&mut self, cx: &Context, tempo: &Tempo, stems: &Stems) {
        for (deck, stretch) in self.decks.iter_mut().enumerate() {
            let method = tempo.paces[deck].method;
            let mut wanted = None;
            if method != Method::PlaybackRate {
                let speed = tempo.deck_speed(cx, deck);
                // Before the engine's first block there is no tempo.
                wanted = stems
                    .playing_on(deck)
                    .map(|b| b.start.rate * speed)
                    .find(|s| *s > 0.0 && SplicedGroup::clamp(*s) != *s);
            }
            if stretch.clamped.is_none()
                && let Some(speed) = wanted
            {
                let used = SplicedGroup::clamp(speed);
                tracing::warn!(
                    "deck {}: speed {speed:.3} is outside the range of {method} (0.5 to 2); playing at {used}",
                    deck_name(deck)
                );
                let values = vec![deck_name(deck).into(), Value::from(speed), Value::from(used)];
                cx.events.post("/event/clamped", values);
            }
            stretch.clamped = wanted;
        }
    }

    /// Reports decks on which more stems play than can be stretched at once, and stretches all of them again when there
    /// is room.
    pub fn watch_crowding(&mut self, cx: &mut Context, tempo: &Tempo, stems: &Stems) {
        for (deck, stretch) in self.decks.iter_mut().enumerate() {
            let method = tempo.paces[deck].method;
            let (mut count, mut rates) = (0, Vec::new());
            for buffer in stems.playing_on(deck).filter(|_| method != Method::PlaybackRate) {
                if let Some(info) = buffer.info() {
                    count += 1;
                    let rate = (info.sample_rate, buffer.start.rate);
                    if !rates.contains(&rate) {
                        rates.push(rate);
                    }
                }
            }
            let crowded = count > LANES || rates.len() > PLANS;
            if crowded == std::mem::replace(&mut stretch.crowded, crowded) {
                continue;
            }
            let name = deck_name(deck);
            if crowded {
                tracing::warn!(
                    "deck {name}: {count} stems play at {} rates, but only {LANES} at {PLANS} can be stretched at once; the \
                     others change their pitch with the tempo",
                    rates.len()
                );
            } else if method != Method::PlaybackRate {
                tracing::info!("deck {name}: all stems are stretched again");
                cx.push(None, Action::Stretch { deck, method: method.in_engine(), kit: None });
            }
        }
    }

    /// How a deck is stretched now.
    fn now(&self, deck: usize, method: Method) -> Stretched {
        let cells = || self.decks[deck].reserves.iter().map(|r| &r.cell);
        let covering = cells().any(|c| c.covering.load(Relaxed));
        // A deck that is silent, or plays at its own speed, needs nothing of its worker.
        let is_wanted = cells().any(|c| [&c.asked, &c.resting, &c.banned].into_iter().any(|flag| flag.load(Relaxed)));
        let mut now = Stretched {
            heard: match method {
                method if method.in_engine() == Method::Hq && is_wanted && !covering => Method::Wsola,
                method => method,
            },
            covering,
            underruns: cells().map(|c| u64::from(c.underruns.load(Relaxed))).sum(),
            ..Stretched::default()
        };
        if let Some(cell) = cells().find(|c| c.asked.load(Relaxed)).or_else(|| cells().next()) {
            let (level, ready, target, cost) = shown(cell);
            let seconds = |frames: u32| f64::from(frames) / cell.rate.load(Relaxed) as f64;
            (now.ready, now.target, now.cost) = (seconds(ready), seconds(target), cost);
            now.level = if is_wanted { level } else { now.level };
        }
        now
    }

    /// The status of each deck's stretching: method, what is heard, level, reserve and its target (ms), cost, underruns.
    pub fn status(&self, tempo: &Tempo) -> impl Iterator<Item = Message> {
        (0..DECKS).map(|deck| {
            let method = tempo.paces[deck].method;
            let now = self.now(deck, method);
            let values = vec![
                deck_name(deck).into(),
                method.name().into(),
                now.heard.name().into(),
                now.level.name().into(),
                (now.ready * 1_000.0).into(),
                (now.target * 1_000.0).into(),
                now.cost.into(),
                Value::Int(now.underruns as i64),
            ];
            Message::new("/status/stretch", values)
        })
    }

    /// Writes the reserves to the gauges.
    pub fn show(&self, tempo: &Tempo, board: &Gauges) {
        for (deck, gauges) in board.reserves.iter().enumerate() {
            let now = self.now(deck, tempo.paces[deck].method);
            gauges.ready.set(now.ready);
            gauges.target.set(now.target);
            gauges.cost.set(now.cost);
            gauges.heard.set(f64::from(u8::from(now.covering)));
            gauges.underruns.store(now.underruns, Relaxed);
        }
    }
}
