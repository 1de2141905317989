//! Every recovery path of the player, on the scripted card.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringbuf::traits::{Consumer, Split};
use ringbuf::{HeapProd, HeapRb};

use super::fake::{FakePcm, FakeTimer, FakeWorld, Mishap};
use super::pcm::Fault;
use super::player::{CardDoor, Orders, Player, PlayerIo, card_door};
use super::report::{Cause, Report, State};
use crate::engine::command::{Action, Command};
use crate::engine::door::{ControlDoor, door};
use crate::engine::limiter::Kind;
use crate::engine::source::Play;
use crate::engine::source::{StemSource, stream};
use crate::engine::{Engine, EngineConfig};

const RATE: u32 = 48_000;
const PERIOD: usize = 64;
const BUFFER: u64 = 192;
/// Length of a loop of counting frames: long enough to identify positions, and below the limiter's threshold.
const LOOP: u64 = 300_000;
const UNIT: f32 = 1.0 / 524_288.0;

struct Rig {
    world: FakeWorld,
    player: Player,
    cards: CardDoor,
    report: Arc<Report>,
    _door: ControlDoor,
}

/// Creates a player whose engine plays a stem that counts its own frames from the first sample on.
fn rig() -> Rig {
    rig_with(Kind::Soft)
}

fn rig_with(limiter: Kind) -> Rig {
    rig_tapped(limiter, None)
}

fn rig_tapped(limiter: Kind, tap: Option<HeapProd<f32>>) -> Rig {
    let config = EngineConfig { limiter, ..EngineConfig::default() };
    let (inner, mut outer) = door(config.slots, 2);
    let engine = Engine::new(&config, inner);
    let head: Box<[f32]> = (0..LOOP).map(|f| (f + 1) as f32 * UNIT).collect();
    let ((a, _), (b, _)) = (stream(2), stream(2));
    let source = Box::new(StemSource {
        frames: LOOP,
        sample_rate: RATE,
        head_right: head.clone(),
        head_left: head,
        streams: [a, b],
    });
    let play = Play { from: 0, start: 0, end: LOOP, looped: true };
    outer.send(
        [
            Action::Install { slot: 0, deck: 0, source },
            Action::Start { slot: 0, play, rate: 1.0, gain: 1.0, exact: false },
        ]
        .into_iter()
        .map(|action| Command { at: None, ticket: 0, action })
        .collect(),
    );
    let world = FakeWorld::default();
    world.look().now_ns = 1_000_000_000;
    let (cards, mail) = card_door();
    let report = Arc::new(Report::default());
    let orders = Arc::new(Orders::default());
    let timer = Box::new(FakeTimer(world.clone()));
    let ties = PlayerIo { timer, mail, report: report.clone(), orders, tap };
    let player = Player::new(engine, ties, PERIOD, 3);
    Rig { world, player, cards, report, _door: outer }
}

impl Rig {
    fn card(&self, free_running: bool) -> FakePcm {
        FakePcm::new(&self.world, RATE, PERIOD, 3, free_running)
    }

    fn plug(&mut self, card: FakePcm) {
        assert!(self.cards.offer(Box::new(card)).is_ok());
    }

    fn at(&self, seconds: f64) -> u64 {
        1_000_000_000 + (seconds * 1e9) as u64
    }

    fn will(&self, seconds: f64, mishap: Mishap) {
        let at = self.at(seconds);
        self.world.look().script.push_back((at, mishap));
    }

    fn will_stall(&self, seconds: f64, for_seconds: f64) {
        let at = self.at(seconds);
        self.world.look().stalls.push_back((at, (for_seconds * 1e9) as u64));
    }

    fn run_until(&mut self, seconds: f64) {
        let end = self.at(seconds);
        let mut turns = 0;
        while self.world.look().now_ns < end {
            self.player.turn();
            turns += 1;
            assert!(turns < 1_000_000, "the player turns without time passing");
        }
    }

    /// Returns where the stem's first frame would have left the converter, according to a frame heard around `seconds`:
    /// the world's frame minus the counted one. The same number everywhere means that nothing ever shifted.
    fn origin_around(&self, seconds: f64) -> i64 {
        let at = (self.at(seconds) as f64 * 1e-9 * f64::from(RATE)) as u64;
        let world = self.world.look();
        let (frame, sample) = world.heard.iter().find(|(f, s)| *f >= at && *s != 0.0).expect("something is heard");
        *frame as i64 - ((sample / UNIT).round() as i64 - 1)
    }

    fn count(&self, cause: Cause) -> (u64, u64) {
        let k = cause as usize;
        (self.report.episodes[k].load(Relaxed), self.report.lost_frames[k].load(Relaxed))
    }
}

#[test]
fn what_is_rendered_is_heard_frame_by_frame() {
    let mut rig = rig();
    let card = rig.card(true);
    rig.plug(card);
    rig.run_until(1.0);
    let heard = rig.world.look().heard.clone();
    let first = heard.iter().position(|(_, s)| *s != 0.0).unwrap();
    for (k, (_, sample)) in heard[first..].iter().enumerate() {
        assert_eq!((sample / UNIT).round() as usize, k + 1);
    }
    assert_eq!(rig.report.episodes_total(), 0);
    assert_eq!(rig.report.state(), State::Card);
}

#[test]
fn the_time_line_tells_which_sample_leaves_the_converter_whatever_the_limiter_holds_back() {
    for (limiter, held) in [(Kind::Soft, 0), (Kind::LookAhead, 72)] {
        // With a card, while there is none, and after a stall.
        let mut rig = rig_with(limiter);
        rig.run_until(0.3);
        let card = rig.card(true);
        rig.plug(card);
        rig.will_stall(1.5, 0.1);
        for until in [1.2, 2.5] {
            rig.run_until(until);
            let line = rig.report.timebase.read().unwrap();
            let world = rig.world.look();
            let (frame, sample) = *world.heard.last().unwrap();
            let left_ns = (frame as f64 / f64::from(RATE) * 1e9) as u64;
            // The stem started at sample time 0, and counts from 1.
            let told = line.sample_at(left_ns);
            let heard = f64::from(sample / UNIT) - 1.0;
            assert!((told - heard).abs() < 4.0, "{limiter:?} at {until} s: reported {told}, heard {heard}");
            let latency = rig.report.latency_frames.load(Relaxed);
            assert!((latency - held - (BUFFER - PERIOD as u64) as i64).abs() <= PERIOD as i64, "{latency}");
        }
    }
}

#[test]
fn what_is_tapped_begins_with_sample_time_zero() {
    for limiter in [Kind::Soft, Kind::LookAhead] {
        let (tap, mut tapped) = HeapRb::new(1 << 15).split();
        let mut rig = rig_tapped(limiter, Some(tap));
        rig.run_until(0.2);
        let sound: Vec<f32> = tapped.pop_iter().step_by(2).collect();
        assert!(sound.len() > 8_000);
        assert!(sound.iter().enumerate().all(|(k, s)| (s / UNIT).round() as usize == k + 1), "{limiter:?}");
    }
}

#[test]
fn a_stall_loses_exactly_the_frames_missed_and_everything_after_is_on_time() {
    for free_running in [true, false] {
        let mut rig = rig();
        let card = rig.card(free_running);
        rig.plug(card);
        rig.will_stall(0.5, 0.1);
        rig.run_until(1.2);
        let (episodes, lost) = rig.count(Cause::Late);
        assert_eq!(episodes, 1, "one episode (free running: {free_running})");
        // A tenth of a second, minus what the card still held.
        let wanted = 4_800 - BUFFER as i64;
        assert!((lost as i64 - wanted).abs() <= PERIOD as i64 + 8, "{lost} of {wanted}");
        let shift = (rig.origin_around(1.0) - rig.origin_around(0.3)).abs();
        assert!(shift <= 1, "{shift} frames (free running: {free_running})");
        assert_eq!(rig.report.lost.load(Relaxed), 0);
    }
}

#[test]
fn an_unplugged_card_is_handed_over_and_time_goes_on_until_it_is_back() {
    let mut rig = rig();
    let card = rig.card(true);
    rig.plug(card);
    for cycle in 0..20 {
        let start = f64::from(cycle);
        rig.will(start + 0.4, Mishap::Unplug(libc::ENODEV));
        rig.run_until(start + 0.7);
        assert_eq!(rig.report.state(), State::Silent);
        let dead = rig.cards.take_spent().expect("the dead card");
        assert_eq!(dead.setup().device, "fake");
        let fresh = rig.card(true);
        rig.plug(fresh);
        rig.run_until(start + 1.0);
        assert_eq!(rig.report.state(), State::Card);
        // The stem is a loop: compare within it.
        let shift = (rig.origin_around(start + 0.9) - rig.origin_around(0.2)).rem_euclid(LOOP as i64) as u64;
        let shift = shift.min(LOOP - shift) as usize;
        assert!(shift <= PERIOD, "cycle {cycle}: {shift} frames off");
    }
    assert_eq!(rig.report.lost.load(Relaxed), 20);
    assert_eq!(rig.report.adopted.load(Relaxed), 21);
    assert_eq!(rig.report.last_error.load(Relaxed), libc::ENODEV as u32);
    assert_eq!(rig.report.episodes_total(), 0, "a lost card is not an underrun");
}

#[test]
fn without_any_card_time_goes_on_at_its_rate() {
    let mut rig = rig();
    rig.run_until(10.0);
    let delivered = rig.report.delivered.load(Relaxed) as i64;
    assert!((delivered - 480_000).abs() <= BUFFER as i64 + PERIOD as i64, "{delivered}");
    assert_eq!(rig.report.episodes_total(), 0);
}

#[test]
fn a_card_that_comes_late_is_adopted_at_the_right_sample() {
    let mut rig = rig();
    rig.run_until(2.0);
    let card = rig.card(true);
    rig.plug(card);
    rig.run_until(2.5);
    // Silent time counts from the first turn, with a buffer's length between rendering and "hearing".
    let origin = rig.origin_around(2.3) - (rig.at(0.0) as f64 * 1e-9 * f64::from(RATE)) as i64;
    assert!((origin - BUFFER as i64).abs() <= 1, "{origin}");
}

#[test]
fn a_suspended_card_is_resumed_or_prepared_and_plays_on_in_time() {
    for refusal in [None, Some(Fault::Again), Some(Fault::Xrun)] {
        let mut rig = rig();
        let card = rig.card(true);
        rig.plug(card);
        rig.will(0.5, Mishap::Wait(Fault::Suspended));
        if let Some(fault) = refusal {
            rig.will(0.5, Mishap::Resume(fault));
        }
        rig.run_until(1.0);
        assert_eq!(rig.report.suspends.load(Relaxed), 1);
        assert_eq!(rig.report.state(), State::Card, "{refusal:?}");
        let shift = (rig.origin_around(0.8) - rig.origin_around(0.3)).unsigned_abs() as usize;
        assert!(shift <= PERIOD, "{refusal:?}: {shift} frames off");
    }
}

#[test]
fn short_writes_and_signals_and_full_cards_lose_nothing() {
    let mut rig = rig();
    let card = rig.card(true);
    rig.plug(card);
    for k in 0..50 {
        let at = 0.3 + f64::from(k) * 0.01;
        rig.will(at, Mishap::ShortWrite(1 + k as usize % 60));
        rig.will(at + 0.002, Mishap::Write(Fault::Interrupted));
        rig.will(at + 0.004, Mishap::Write(Fault::Again));
        rig.will(at + 0.005, Mishap::Wait(Fault::Interrupted));
        rig.will(at + 0.006, Mishap::Wait(Fault::Again));
        rig.will(at + 0.007, Mishap::WaitForNothing);
    }
    rig.run_until(1.2);
    let heard = rig.world.look().heard.clone();
    let first = heard.iter().position(|(_, s)| *s != 0.0).unwrap();
    for (k, (_, sample)) in heard[first..].iter().enumerate() {
        assert_eq!((sample / UNIT).round() as usize, k + 1);
    }
    assert!(rig.report.short_writes.load(Relaxed) >= 40);
    assert_eq!(rig.report.interrupted.load(Relaxed), 100);
    assert!(rig.report.again.load(Relaxed) >= 100);
    assert_eq!(rig.report.episodes_total(), 0);
}

#[test]
fn a_drivers_own_underrun_is_the_devices_fault() {
    let mut rig = rig();
    let card = rig.card(false);
    rig.plug(card);
    rig.will(0.5, Mishap::Wait(Fault::Xrun));
    rig.run_until(1.0);
    assert_eq!(rig.count(Cause::Device).0, 1);
    assert_eq!(rig.count(Cause::Late).0, 0);
    let shift = (rig.origin_around(0.8) - rig.origin_around(0.3)).unsigned_abs() as usize;
    assert!(shift <= PERIOD, "{shift} frames off");
}

#[test]
fn a_card_that_keeps_failing_is_given_up_instead_of_storming() {
    let mut rig = rig();
    let card = rig.card(true);
    rig.plug(card);
    for _ in 0..100 {
        rig.will(0.5, Mishap::Wait(Fault::Xrun));
    }
    rig.run_until(1.0);
    assert_eq!(rig.report.state(), State::Silent);
    assert_eq!(rig.report.last_error.load(Relaxed), libc::EIO as u32);
    assert!(rig.report.episodes_total() <= 1, "one episode");
}

#[test]
fn a_card_that_goes_dead_without_a_word_is_given_up() {
    let mut rig = rig();
    let card = rig.card(true);
    rig.plug(card);
    rig.run_until(0.5);
    for k in 0..40 {
        rig.will(0.5 + f64::from(k) * 0.001, Mishap::WaitForNothing);
    }
    rig.run_until(1.0);
    // It accepted frames on every call: waiting in vain does not make it dead.
    assert_eq!(rig.report.lost.load(Relaxed), 0);
    let heard = rig.world.look().heard.len();
    assert!(heard > 40_000, "{heard}");
}

#[test]
fn a_card_that_swallows_everything_is_paced_by_the_clock() {
    let mut rig = rig();
    let card = rig.card(true).swallowing();
    rig.plug(card);
    rig.run_until(5.0);
    assert!(rig.report.unpaced.load(Relaxed), "and it is reported");
    let time = rig.player.engine().time() as i64;
    assert!((time - 240_000).abs() < 3 * BUFFER as i64 + 2 * PERIOD as i64, "{time}");
    assert_eq!(rig.report.episodes_total(), 0);
}

#[test]
fn a_drifting_card_shows_its_drift() {
    let mut rig = rig();
    let card = rig.card(true).drifting(120.0);
    rig.plug(card);
    rig.run_until(120.0);
    assert!((rig.report.drift_ppm() - 120.0).abs() < 10.0, "{} ppm", rig.report.drift_ppm());
    assert_eq!(rig.report.episodes_total(), 0);
}

#[test]
fn the_whole_loop_allocates_nothing() {
    let mut rig = rig();
    let card = rig.card(true);
    rig.plug(card);
    rig.run_until(0.2);
    // The fake itself allocates, so only the engine is watched here; the process tests watch the daemon's whole thread,
    // also with a system call filter.
    let mut block = crate::engine::Block::new(2, 1024);
    let before = crate::system::guard::faults();
    crate::system::guard::mark(true);
    for _ in 0..200 {
        rig.player.engine().render(&mut block);
    }
    rig.player.engine().lose(12_345);
    rig.player.engine().render(&mut block);
    crate::system::guard::mark(false);
    assert_eq!(crate::system::guard::faults(), before);
}
