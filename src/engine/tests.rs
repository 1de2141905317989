//! The engine, frame by frame. A stem here counts its own frames: frame `n` has the value `n + 1`, scaled to stay below
//! the limiter's threshold, so that every output sample identifies its source frame.

use super::clock::Shape;
use super::command::{Action, Command, Event, Retired};
use super::door::{ControlDoor, door};
use super::eq::Band;
use super::source::Play;
use super::source::{CHUNK, StemSource, StreamWriter, stream};
use super::{Block, Engine, EngineConfig};

mod loops;

/// Unit of the frame count, 2⁻¹⁹: exact in a float, and half a million of them stay below −3 dBFS.
const UNIT: f32 = 1.0 / 524_288.0;

/// Fills streams as the reader threads do, but only on demand, with values computed from the frame number.
struct Feeder {
    writers: Vec<(StreamWriter, Option<Play>, u64)>,
    value: fn(u64) -> f32,
}

impl Feeder {
    fn pump(&mut self) {
        for (writer, play, next) in &mut self.writers {
            if let Some(fresh) = writer.new_request() {
                *next = fresh.from;
                *play = Some(fresh);
            }
            let Some(play) = play else { continue };
            while let Some(mut chunk) = writer.take_empty() {
                chunk.len = 0;
                while chunk.len < CHUNK {
                    if *next == play.end {
                        if !play.looped {
                            break;
                        }
                        *next = play.start;
                    }
                    chunk.left[chunk.len] = (self.value)(*next);
                    chunk.right[chunk.len] = -(self.value)(*next);
                    chunk.len += 1;
                    *next += 1;
                }
                if chunk.len == 0 {
                    writer.put_back(chunk);
                    break;
                }
                writer.send(chunk);
            }
        }
    }
}

fn count(frame: u64) -> f32 {
    (frame % 300_000 + 1) as f32 * UNIT
}

fn stem(frames: u64, resident: usize, sample_rate: u32, value: fn(u64) -> f32) -> (Box<StemSource>, Feeder) {
    let ((ra, wa), (rb, wb)) = (stream(16), stream(16));
    let head: Box<[f32]> = (0..resident as u64).map(value).collect();
    let source = StemSource {
        frames,
        sample_rate,
        head_right: head.iter().map(|v| -v).collect(),
        head_left: head,
        streams: [ra, rb],
    };
    (Box::new(source), Feeder { writers: vec![(wa, None, 0), (wb, None, 0)], value })
}

struct Rig {
    engine: Engine,
    door: ControlDoor,
    feeders: Vec<Feeder>,
    events: Vec<Event>,
    slots: u16,
}

impl Rig {
    fn new() -> Rig {
        let config = EngineConfig::default();
        let (inner, outer) = door(config.slots, 2);
        Rig { engine: Engine::new(&config, inner), door: outer, feeders: vec![], events: vec![], slots: 0 }
    }

    fn send(&mut self, at: Option<u64>, action: Action) {
        assert!(self.door.send(vec![Command { at, ticket: 7, action }]).is_empty());
    }

    fn load(&mut self, deck: usize, (source, feeder): (Box<StemSource>, Feeder)) -> u16 {
        let slot = self.slots;
        self.slots += 1;
        self.feeders.push(feeder);
        self.send(None, Action::Install { slot, deck, source });
        slot
    }

    fn start(&mut self, at: Option<u64>, slot: u16, play: Play, rate: f64) {
        self.send(at, Action::Start { slot, play, rate, gain: 1.0, exact: false });
    }

    /// Renders like an offline renderer: workers are pumped before each quantum.
    fn run(&mut self, frames: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(frames);
        let mut block = Block::new(2, super::GRID);
        while out.len() < frames {
            self.feeders.iter_mut().for_each(Feeder::pump);
            block.set_frames((frames - out.len()).min(super::GRID));
            self.engine.render(&mut block);
            out.extend_from_slice(block.channel(0));
        }
        while let Some(event) = self.door.event() {
            self.events.push(event);
        }
        out
    }

    /// Renders without feeding any stream.
    fn run_unfed(&mut self, frames: usize) -> Vec<f32> {
        let feeders = std::mem::take(&mut self.feeders);
        let out = self.run(frames);
        self.feeders = feeders;
        out
    }
}

fn whole(frames: u64) -> Play {
    Play { from: 0, start: 0, end: frames, looped: false }
}

fn in_units(samples: &[f32]) -> Vec<i64> {
    samples.iter().map(|s| (s / UNIT).round() as i64).collect()
}

#[test]
fn a_stem_starts_with_its_first_frame_and_counts_on_from_the_head_into_the_stream() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(100_000, 6_000, 48_000, count));
    rig.start(None, slot, whole(100_000), 1.0);
    let out = in_units(&rig.run(20_000));
    assert!(out.iter().enumerate().all(|(i, v)| *v == i as i64 + 1));
}

#[test]
fn a_timed_start_falls_on_its_sample() {
    for at in [1u64, 31, 32, 100, 4_097] {
        let mut rig = Rig::new();
        let slot = rig.load(1, stem(100_000, 6_000, 48_000, count));
        rig.start(Some(at), slot, whole(100_000), 1.0);
        let out = in_units(&rig.run(8_000));
        assert!(out[..at as usize].iter().all(|v| *v == 0));
        assert_eq!(out[at as usize..at as usize + 3], [1, 2, 3]);
        assert!(rig.events.contains(&Event::Started { slot, at, late: 0 }));
    }
}

#[test]
fn stems_of_a_group_start_on_one_sample_also_when_one_joins_later() {
    let mut rig = Rig::new();
    let a = rig.load(0, stem(100_000, 6_000, 48_000, count));
    let b = rig.load(0, stem(100_000, 6_000, 48_000, |_| 1_000.0 * UNIT));
    rig.start(Some(50), a, whole(100_000), 1.0);
    rig.start(Some(777), b, whole(100_000), 1.0);
    let out = in_units(&rig.run(2_000));
    assert_eq!(out[776], 776 - 50 + 1);
    assert_eq!(out[777], 777 - 50 + 1 + 1_000);
    assert_eq!(out[1_500], 1_500 - 50 + 1 + 1_000);
}

#[test]
fn a_late_command_is_done_at_once_and_says_how_late() {
    let mut rig = Rig::new();
    rig.run(320);
    rig.send(Some(100), Action::Ping);
    rig.run(32);
    assert!(rig.events.contains(&Event::Applied { ticket: 7, at: 320, late: 220 }));
}

#[test]
fn a_stem_that_was_stopped_fades_within_five_milliseconds_and_ends() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(100_000, 6_000, 48_000, |_| 0.5));
    rig.start(None, slot, whole(100_000), 1.0);
    rig.run(4_800);
    rig.send(None, Action::Stop { slot });
    let out = rig.run(480);
    assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.5 / 200.0), "no step");
    assert!(out[300..].iter().all(|v| *v == 0.0));
    assert!(rig.events.contains(&Event::Ended { slot, still: false }));
}

#[test]
fn a_seek_into_the_cold_middle_crossfades_when_it_is_primed() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(400_000, 6_000, 48_000, |f| if f < 150_000 { 0.25 } else { 0.5 }));
    rig.start(None, slot, whole(400_000), 1.0);
    rig.run(9_600);
    rig.start(None, slot, Play { from: 200_000, ..whole(400_000) }, 1.0);
    let unfed = rig.run_unfed(320);
    assert!(unfed.iter().all(|v| *v == 0.25), "the old position plays on while the new one is fetched");
    let out = rig.run(960);
    assert_eq!(out[959], 0.5);
    assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01), "no step");
    assert!(out.iter().all(|v| *v > 0.2), "no gap");
}

#[test]
fn a_loop_returns_to_its_start_without_losing_a_frame() {
    for (frames, resident) in [(1_000u64, 1_000usize), (30_000, 6_000)] {
        let mut rig = Rig::new();
        let slot = rig.load(0, stem(frames, resident, 48_000, count));
        rig.start(None, slot, Play { looped: true, ..whole(frames) }, 1.0);
        let out = in_units(&rig.run(100_000));
        assert!(out.iter().enumerate().all(|(i, v)| *v == (i as u64 % frames) as i64 + 1), "{frames}");
    }
}

#[test]
fn a_ring_that_runs_dry_fades_out_and_comes_back_where_the_clock_says() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(400_000, 6_000, 48_000, count));
    rig.start(None, slot, whole(400_000), 1.0);
    rig.run(9_600);
    let out = rig.run_unfed(100_000);
    assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01), "no step");
    assert_eq!(*out.last().unwrap(), 0.0);
    assert!(rig.events.iter().any(|e| matches!(e, Event::Starved { .. })));
    let out = rig.run(30_000);
    assert!(rig.events.iter().any(|e| matches!(e, Event::Resumed { .. })));
    assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01), "no step");
    assert_eq!(in_units(&out)[29_999], 9_600 + 100_000 + 30_000);
}

#[test]
fn after_lost_time_frames_are_where_the_clock_says() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(300_000, 6_000, 48_000, count));
    rig.start(None, slot, whole(300_000), 1.0);
    rig.run(9_600);
    for lost in [7u64, 480, 5_000, 31] {
        rig.engine.lose(lost);
        let time = rig.engine.time();
        let out = in_units(&rig.run(4_800));
        assert_eq!(out[4_000] as u64, time + 4_000 + 1, "after losing {lost}");
    }
}

#[test]
fn a_long_loss_is_caught_up_with_once_the_disk_has_been_asked_again() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(290_000, 6_000, 48_000, count));
    rig.start(None, slot, whole(290_000), 1.0);
    rig.run(9_600);
    rig.engine.lose(200_000);
    let time = rig.engine.time();
    let out = in_units(&rig.run(48_000));
    assert_eq!(out[47_000] as u64, time + 47_000 + 1);
}

#[test]
fn removing_hands_the_stem_back_after_its_fade() {
    let mut rig = Rig::new();
    let slot = rig.load(2, stem(100_000, 6_000, 48_000, |_| 0.5));
    rig.start(None, slot, whole(100_000), 1.0);
    rig.run(480);
    rig.send(None, Action::Remove { slot });
    let out = rig.run(480);
    assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.5 / 200.0), "no step");
    assert!(matches!(rig.door.retired(), Some(Retired::Stem { slot: s, .. }) if s == slot));
}

#[test]
fn the_stem_rate_is_honoured_and_changes_without_a_jump_when_others_play_on() {
    let sine = |f: u64| (f as f64 * 0.01).sin() as f32 * 0.25;
    let mut rig = Rig::new();
    let a = rig.load(0, stem(400_000, 6_000, 48_000, sine));
    let b = rig.load(0, stem(400_000, 6_000, 48_000, |_| 0.0));
    rig.start(None, a, whole(400_000), 1.0);
    rig.start(None, b, whole(400_000), 1.0);
    rig.run(9_600);
    rig.send(None, Action::StemRate { slot: a, rate: 0.5 });
    let out = rig.run(48_000);
    assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.004), "no step");
    let crossings = out[9_600..].windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count() as f64;
    assert!((crossings - 38_400.0 * 0.005 / std::f64::consts::TAU).abs() < 1.5, "{crossings}");
}

#[test]
fn tempo_moves_every_position_by_exactly_its_integral() {
    // A tick every 4800 frames of the file, found in the output where the integral of the tempo puts it.
    let tick = |f: u64| if f.is_multiple_of(4_800) { 0.5 } else { 0.0 };
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(3_000_000, 6_000, 44_100, tick));
    rig.start(None, slot, whole(3_000_000), 1.0);
    rig.send(Some(48_000), Action::Tempo { bpm: 126.0, frames: 24_000, shape: Shape::Linear });
    let out = rig.run(960_000);
    // Position in the file as a function of output time.
    let position = |t: f64| {
        let glide = (t - 48_000.0).clamp(0.0, 24_000.0);
        let after = (t - 72_000.0).max(0.0);
        let ratio = 126.0 / 120.0;
        (t.min(48_000.0) + glide + (ratio - 1.0) * glide * glide / 48_000.0 + after * ratio) * 44_100.0 / 48_000.0
    };
    let mut worst = 0.0f64;
    let mut ticks = 0;
    for (i, w) in out.windows(3).enumerate() {
        if w[1] > 0.1 && w[1] >= w[0] && w[1] > w[2] {
            // The peak between samples, by a parabola.
            let (a, b, c) = (f64::from(w[0]), f64::from(w[1]), f64::from(w[2]));
            let peak = i as f64 + 1.0 + 0.5 * (a - c) / (a - 2.0 * b + c);
            let p = position(peak);
            worst = worst.max((p - (p / 4_800.0).round() * 4_800.0).abs());
            ticks += 1;
        }
    }
    assert!(ticks > 180, "{ticks}");
    // A parabola through a sinc's main lobe is accurate to a tenth of a frame; the glide runs on the grid.
    assert!(worst < 0.5, "{worst} frames");
}

#[test]
fn the_output_is_the_same_to_the_bit_for_every_period_size() {
    let noise = |f: u64| ((f as u32).wrapping_mul(2_654_435_761) as i32) as f32 / 1.6e10;
    let render = |period: usize| {
        let mut rig = Rig::new();
        let slots: Vec<u16> =
            (0..6).map(|k| rig.load(k % 4, stem(60_000, 48_000, 44_100 + 3_900 * (k as u32 % 2), noise))).collect();
        for (k, slot) in slots.iter().enumerate() {
            let play = Play { from: 0, start: 0, end: 40_000, looped: true };
            rig.start(Some(100 * k as u64), *slot, play, [1.0, 0.979, 1.087][k % 3]);
        }
        rig.send(Some(3_000), Action::Tempo { bpm: 133.3, frames: 2_000, shape: Shape::Linear });
        rig.send(Some(5_001), Action::Eq { deck: 0, band: Band::Low, gain: 0.0 });
        rig.send(Some(6_000), Action::DeckLevel { deck: 1, level: 0.1, frames: Some(3_000) });
        rig.send(Some(7_777), Action::StemGain { slot: slots[2], gain: 0.3, frames: None });
        rig.send(Some(9_000), Action::Stop { slot: slots[3] });
        rig.send(Some(9_500), Action::Eq { deck: 0, band: Band::Low, gain: 1.0 });
        rig.send(Some(9_501), Action::Tone { hz: 440.0, gain: 0.1, frames: 500 });
        let mut out: Vec<u32> = Vec::new();
        let mut block = Block::new(2, period);
        while out.len() < 2 * 16_384 {
            rig.engine.render(&mut block);
            for (l, r) in block.channel(0).iter().zip(block.channel(1)) {
                out.extend([l.to_bits(), r.to_bits()]);
            }
        }
        out.truncate(2 * 16_384);
        out
    };
    let reference = render(32);
    assert!(reference.iter().any(|v| *v != 0));
    for period in [16, 64, 441, 1_023, 1_024, 4_096] {
        assert!(render(period) == reference, "period {period}");
    }
}

#[test]
fn stop_and_start_of_a_starved_stem_in_one_breath_play_it_once() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(400_000, 6_000, 48_000, |_| 0.25));
    rig.start(None, slot, whole(400_000), 1.0);
    rig.run(9_600);
    rig.run_unfed(100_000);
    rig.send(None, Action::Stop { slot });
    rig.start(None, slot, whole(400_000), 1.0);
    let out = rig.run(20_000);
    assert!(out.iter().all(|v| *v <= 0.25), "never summed twice");
    assert_eq!(*out.last().unwrap(), 0.25);
}

#[test]
fn a_tone_of_no_length_ends() {
    let mut rig = Rig::new();
    rig.send(None, Action::Tone { hz: 440.0, gain: 0.1, frames: 0 });
    assert!(rig.run(4_800)[2_000..].iter().all(|v| *v == 0.0));
}

#[test]
fn a_short_loop_survives_any_loss_of_time() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(100, 100, 48_000, count));
    rig.start(None, slot, Play { looped: true, ..whole(100) }, 1.0);
    rig.run(9_600);
    rig.engine.lose(48_000 * 60 + 17);
    let time = rig.engine.time();
    let out = in_units(&rig.run(4_800));
    assert_eq!(out[4_000] as u64, (time + 4_000) % 100 + 1);
}

#[test]
fn a_change_of_rate_keeps_the_place_when_it_moves_to_an_interpolator_of_its_own() {
    let mut rig = Rig::new();
    let a = rig.load(0, stem(290_000, 6_000, 48_000, count));
    let b = rig.load(0, stem(290_000, 6_000, 48_000, |_| 0.0));
    rig.start(None, a, whole(290_000), 1.0);
    rig.start(None, b, whole(290_000), 1.0);
    rig.run(9_600);
    // There and back again: the position is where it would have been.
    for _ in 0..10 {
        rig.send(None, Action::StemRate { slot: a, rate: 1.001 });
        rig.run(480);
        rig.send(None, Action::StemRate { slot: a, rate: 1.0 });
        rig.run(480);
    }
    let time = rig.engine.time();
    let out = in_units(&rig.run(4_800));
    let slipped = out[4_000] - (time as i64 + 4_001);
    // Ten times 480 frames, a thousandth faster: five frames, and at most one per change for rounding.
    assert!((slipped - 5).abs() <= 20, "{slipped} frames");
}

#[test]
fn a_seek_and_a_change_of_rate_on_one_sample_both_hold() {
    let mut rig = Rig::new();
    let a = rig.load(0, stem(290_000, 200_000, 48_000, count));
    let b = rig.load(0, stem(290_000, 200_000, 48_000, |_| 0.0));
    rig.start(None, a, whole(290_000), 1.0);
    rig.start(None, b, whole(290_000), 1.0);
    rig.run(9_600);
    rig.start(None, a, Play { from: 100_000, ..whole(290_000) }, 1.0);
    rig.send(None, Action::StemRate { slot: a, rate: 1.5 });
    let out = in_units(&rig.run(9_600));
    // Some milliseconds at the old rate, until the head heard before has faded out.
    let there = out[9_000] - 100_000;
    assert!((13_200..=13_502).contains(&there), "{there} frames on");
    assert!((out[9_002] - out[9_000] - 3).abs() <= 1, "at the new rate");
}

#[test]
fn what_was_to_follow_an_ended_head_is_not_heard_again() {
    let mut rig = Rig::new();
    let a = rig.load(0, stem(20_000, 6_000, 48_000, count));
    let b = rig.load(0, stem(290_000, 6_000, 48_000, |_| 0.0));
    rig.start(None, a, whole(20_000), 1.0);
    rig.start(None, b, whole(290_000), 1.0);
    rig.run(19_500);
    // The head that takes over has to be fetched; by then the stem has reached its end.
    rig.send(None, Action::StemRate { slot: a, rate: 1.5 });
    rig.run_unfed(960);
    let out = rig.run(9_600);
    assert!(out.iter().all(|v| *v == 0.0), "{:?}", out.iter().position(|v| *v != 0.0));
}
