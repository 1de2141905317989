//! Loops: where they wrap, nothing clicks, nothing is lost, and nothing else changes.

use super::*;
use crate::dsp::crossfade::smooth;
use crate::engine::cover::Bounds;
use crate::engine::method::Method;
use crate::engine::plan::StretchPool;

/// Frames of a seam at 48 kHz.
const SEAM: u64 = 240;

fn cut(start: u64, end: u64) -> Play {
    Play { from: start, start, end, looped: true }
}

/// (frames of the file, resident frames, start of the loop, end of the loop): resident, streamed, and started in the
/// resident part; from the middle, and close to either end of the file.
const LOOPS: &[(u64, usize, u64, u64)] = &[
    (40_000, 40_000, 10_000, 20_000),
    (40_000, 40_000, 0, 9_999),
    (40_000, 40_000, 100, 9_999),
    (40_000, 40_000, 10_000, 40_000),
    (40_000, 40_000, 10_000, 39_900),
    (40_000, 40_000, 20_000, 20_300),
    (200_000, 6_000, 50_000, 75_000),
    (200_000, 6_000, 0, 75_000),
    (200_000, 6_000, 100, 75_000),
    (200_000, 6_000, 0, 199_900),
    (200_000, 6_000, 150_000, 200_000),
    (200_000, 6_000, 50_000, 50_700),
    // All resident except the end of its seam, and with the seam across the border.
    (200_000, 6_000, 0, 5_900),
    (200_000, 6_000, 100, 6_100),
    (200_000, 6_000, 1_000, 6_100),
    (200_000, 6_000, 1_000, 6_000),
    (200_000, 6_000, 1_000, 6_001),
    (200_000, 6_000, 1_000, 30_000),
];

/// Returns the loop as it is joined: its start, its end, and the length of the crossfade in frames.
fn joined((frames, _, start, end): (u64, usize, u64, u64)) -> (u64, u64, u64) {
    let wanted = SEAM.min((end - start) / 2);
    let before = wanted.min(start);
    let behind = (wanted - before).min(frames - end);
    (start + behind, end + behind, before + behind)
}

/// Returns the expected frame `n` of the output.
fn expected(shape: (u64, usize, u64, u64), n: u64, value: fn(u64) -> f32) -> f32 {
    let (start, end, fade) = joined(shape);
    let mut at = shape.2 + n;
    if at >= end {
        at = start + (at - end) % (end - start);
    }
    let into = at.checked_sub(end - fade).map_or(0.0, |k| smooth((k as f32 + 0.5) / fade as f32));
    if into == 0.0 { value(at) } else { value(at) + (value(at - (end - start)) - value(at)) * into }
}

/// Returns when the loop started: one that is not resident has to be fetched first.
fn began(rig: &Rig) -> u64 {
    let started = |e: &Event| if let Event::Started { at, .. } = e { Some(*at) } else { None };
    rig.events.iter().find_map(started).expect("it has started")
}

#[test]
fn a_loop_goes_round_on_its_frame_and_fades_only_at_its_seam() {
    for shape in LOOPS {
        let mut rig = Rig::new();
        let slot = rig.load(0, stem(shape.0, shape.1, 48_000, count));
        rig.start(None, slot, cut(shape.2, shape.3), 1.0);
        let out = rig.run(160_000);
        let began = began(&rig);
        // A start away from the beginning of the file fades in.
        for (n, heard) in out.iter().enumerate().skip(320) {
            let wanted = expected(*shape, n as u64 - began, count);
            assert!((heard - wanted).abs() < 1e-6, "{shape:?}, frame {n}: {heard} instead of {wanted}");
        }
        assert!(!rig.events.iter().any(|e| matches!(e, Event::Starved { .. })), "{shape:?}");
    }
}

/// Returns the highest value, in dB, of the part of `signal` above 4 kHz.
fn treble_db(signal: &[f32]) -> f64 {
    const HALF: i32 = 128;
    let cutoff = 3_800.0 / 48_000.0;
    let taps: Vec<f64> = (-HALF..=HALF)
        .map(|k| {
            let window = 0.42
                + 0.5 * (std::f64::consts::PI * f64::from(k) / f64::from(HALF + 1)).cos()
                + 0.08 * (2.0 * std::f64::consts::PI * f64::from(k) / f64::from(HALF + 1)).cos();
            let arg = 2.0 * std::f64::consts::PI * cutoff * f64::from(k);
            let low = if k == 0 { 2.0 * cutoff } else { 2.0 * cutoff * arg.sin() / arg };
            if k == 0 { 1.0 - low } else { -low * window }
        })
        .collect();
    let high = |w: &[f32]| w.iter().zip(&taps).map(|(s, t)| f64::from(*s) * t).sum::<f64>().abs();
    20.0 * signal.windows(taps.len()).map(high).fold(0.0, f64::max).log10()
}

fn tone(f: u64) -> f32 {
    0.5 * (f as f64 * 440.0 / 48_000.0 * std::f64::consts::TAU).sin() as f32
}

fn low_tone(f: u64) -> f32 {
    0.5 * (f as f64 * 97.3 / 48_000.0 * std::f64::consts::TAU).cos() as f32
}

#[test]
fn the_seam_of_a_tone_is_sixty_decibels_down_above_four_kilohertz() {
    let mut worst = (f64::NEG_INFINITY, String::new());
    for value in [tone, low_tone] {
        for shape in LOOPS.iter().filter(|shape| joined(**shape).2 == SEAM) {
            let mut rig = Rig::new();
            let slot = rig.load(0, stem(shape.0, shape.1, 48_000, value));
            rig.start(None, slot, cut(shape.2, shape.3), 1.0);
            let out = rig.run(60_000.max(2 * (shape.3 - shape.2) as usize + 2_000));
            let own = (0..48_000).map(|f| (value(f + 1) - value(f)).abs()).fold(0.0, f32::max);
            let step = out[600..].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            assert!(step < 1.4 * own, "{shape:?}: {step} instead of the tone's own {own}");
            let db = treble_db(&out[600..]);
            if db > worst.0 {
                worst = (db, format!("{shape:?}"));
            }
        }
    }
    println!("seams above 4 kHz: {:.1} dB ({})", worst.0, worst.1);
    assert!(worst.0 <= -60.0, "{worst:?}");
}

#[test]
fn a_seam_is_the_same_for_every_period_size() {
    let render = |period: usize| {
        let mut rig = Rig::new();
        let slot = rig.load(0, stem(200_000, 6_000, 44_100, count));
        rig.start(Some(77), slot, cut(1_000, 6_100), 1.013);
        let mut block = Block::new(2, period);
        let mut out: Vec<u32> = Vec::new();
        while out.len() < 40_000 {
            rig.feeders.iter_mut().for_each(Feeder::pump);
            rig.engine.render(&mut block);
            out.extend(block.channel(0).iter().map(|s| s.to_bits()));
        }
        out.truncate(40_000);
        out
    };
    let reference = render(32);
    assert!([441, 1_023, 1_024].into_iter().all(|period| render(period) == reference));
}

#[test]
fn time_that_is_lost_is_lost_within_a_loop_as_well() {
    for shape in LOOPS {
        let mut rig = Rig::new();
        let slot = rig.load(0, stem(shape.0, shape.1, 48_000, count));
        rig.start(None, slot, cut(shape.2, shape.3), 1.0);
        rig.run(9_600);
        for lost in [31u64, 480, 5_000, 60_000] {
            rig.engine.lose(lost);
            let time = rig.engine.time() - began(&rig);
            let out = rig.run(14_400);
            for (n, heard) in out.iter().enumerate().skip(13_000) {
                let wanted = expected(*shape, time + n as u64, count);
                assert!((heard - wanted).abs() < 1e-6, "{shape:?}, {lost} lost, frame {n}: {heard}, not {wanted}");
            }
        }
    }
}

#[test]
fn a_loop_whose_disk_naps_comes_back_where_the_clock_says() {
    for shape in LOOPS.iter().filter(|shape| shape.1 < 10_000) {
        let mut rig = Rig::new();
        let slot = rig.load(0, stem(shape.0, shape.1, 48_000, count));
        rig.start(None, slot, cut(shape.2, shape.3), 1.0);
        rig.run(9_600);
        rig.run_unfed(90_000);
        rig.run(20_000);
        let time = rig.engine.time() - began(&rig);
        let out = rig.run(4_800);
        for (n, heard) in out.iter().enumerate() {
            let wanted = expected(*shape, time + n as u64, count);
            assert!((heard - wanted).abs() < 1e-6, "{shape:?}, frame {n}: {heard}, not {wanted}");
        }
    }
}

#[test]
fn what_plays_goes_into_a_loop_and_out_of_it_where_it_is() {
    for resident in [6_000, 200_000] {
        let mut rig = Rig::new();
        let slot = rig.load(0, stem(200_000, resident, 48_000, count));
        rig.start(None, slot, whole(200_000), 1.0);
        rig.run(30_000);
        // Within the loop: it first plays on to the loop's end.
        rig.send(None, Action::Loop { slot, play: cut(24_000, 34_000) });
        let out = in_units(&rig.run(9_600));
        assert_eq!(out[3_000], 33_001);
        assert_eq!(out[4_400], 24_401, "wrapped");
        rig.run(10_000);
        // And out of it: continues from the current position.
        let here = in_units(&rig.run(32))[31];
        rig.send(None, Action::Loop { slot, play: whole(200_000) });
        let out = in_units(&rig.run(20_000));
        assert_eq!(out[19_999], here + 20_000);
    }
}

#[test]
fn a_loop_at_the_files_beginning_tells_where_it_is() {
    let mut rig = Rig::new();
    let slot = rig.load(0, stem(200_000, 6_000, 48_000, count));
    rig.start(None, slot, cut(0, 20_000), 1.0);
    for frames in [32u64, 9_600, 10_368, 9_600, 10_400] {
        rig.run(frames as usize);
        let time = rig.engine.time();
        let told = rig.door.telemetry.stems[usize::from(slot)].position_frames();
        // The look-ahead of an idle interpolator is nothing or one quantum.
        let gone = if time < 20_240 { time } else { 240 + (time - 20_240) % 20_000 };
        let off = (told - gone as f64).abs();
        assert!(off < 200.0 || (off - 20_000.0).abs() < 200.0, "{told} after {time} frames");
    }
}

#[test]
fn stretched_loops_do_not_click_either() {
    let render = |play: Play, bpm: f64, resident: usize| {
        let mut rig = Rig::new();
        let (kit, _ends) = StretchPool::new(48_000, Bounds { least: 0.1, most: 0.5 });
        rig.send(None, Action::Stretch { deck: 0, method: Method::Wsola, kit: Some(Box::new(kit)) });
        rig.send(None, Action::Tempo { bpm, frames: 0, shape: Shape::Linear });
        let slot = rig.load(0, stem(400_000, resident, 48_000, low_tone));
        rig.start(None, slot, play, 1.0);
        rig.run(96_000)[4_800..].to_vec()
    };
    for bpm in [120.0, 127.0] {
        for resident in [6_000, 400_000] {
            let plain = treble_db(&render(whole(400_000), bpm, resident));
            let looped = treble_db(&render(cut(50_000, 61_000), bpm, resident));
            println!("stretched at {bpm} BPM: {plain:.1} dB above 4 kHz, looped {looped:.1} dB");
            assert!(looped <= (plain + 1.0).max(-60.0), "{bpm} BPM: {looped} dB, without a loop {plain} dB");
        }
    }
}
