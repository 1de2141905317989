//! Checks the sound during changes of every control: none is louder or rougher than the sound before and after it.
//!
//! A *step* is the difference of two consecutive samples. During a change, wherever in the sound it falls, no step may
//! be more than 3 dB above the programme's own, and no sample more than 1 dB above the louder of the sounds before and
//! after the change.

use std::collections::HashMap;
use std::sync::OnceLock;

use grooved::control::conductor::mixer::gain_of_percent;
use grooved::demo;
use grooved::dsp::sinc::Quality;
use grooved::engine::clock::Shape;
use grooved::engine::command::{Action, Command};
use grooved::engine::cover::{Bounds, WorkerEnd};
use grooved::engine::door::{ControlDoor, door};
use grooved::engine::eq::{Band, ThreeBand};
use grooved::engine::limiter::Kind;
use grooved::engine::method::Method;
use grooved::engine::plan::StretchPool;
use grooved::engine::source::Play;
use grooved::engine::source::{StemSource, stream};
use grooved::engine::{Block, Engine, EngineConfig, GRID};
use grooved::media::decode::Decoder;
use grooved::stretch::worker::Worker;

const RATE: u32 = 48_000;
const PHASES: usize = 40;
/// 3 dB, and 1 dB.
const STEP: f64 = 1.412_537_5;
const PEAK: f64 = 1.122_018_5;
/// Differences below this are rounding errors.
const NOTHING: f64 = 1e-7;

/// Stereo sound.
type Sound = [Vec<f32>; 2];

/// Returns the programmes: music (of the demonstration set, and a fixture), and sounds in which nothing masks a burst.
fn programmes() -> &'static [(&'static str, Sound)] {
    static ALL: OnceLock<Vec<(&str, Sound)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let frames = 3 * RATE as usize;
        let made = |value: &dyn Fn(f64) -> f64| -> Sound {
            let at = |n: usize, later: f64| value(n as f64 / f64::from(RATE) + later) as f32;
            [(0..frames).map(|n| at(n, 0.0)).collect(), (0..frames).map(|n| at(n, 0.4)).collect()]
        };
        let mut music = [vec![0.0; frames], vec![0.0; frames]];
        for stem in demo::STEMS.iter().filter(|s| s.deck == 'a') {
            // From the middle of the piece, where all of them play.
            let sound = demo::render(stem);
            for (n, frame) in sound.as_chunks::<2>().0.iter().skip(sound.len() / 4).take(frames).enumerate() {
                music[0][n] += 0.5 * frame[0];
                music[1][n] += 0.5 * frame[1];
            }
        }
        let peak = music.iter().flatten().fold(0.0, |m: f32, s| m.max(s.abs()));
        // Looped, it must not click by itself.
        for plane in &mut music {
            for n in 0..2_400 {
                let gain = n as f32 / 2_400.0;
                plane[n] *= gain;
                plane[frames - 1 - n] *= gain;
            }
        }
        let scaled = |to: f32| music.each_ref().map(|p| p.iter().map(|s| s * to / peak).collect::<Vec<f32>>());
        let mut file = Decoder::open(std::path::Path::new("tests/fixtures/tone.flac")).unwrap();
        let mut fixture = [vec![0.0; frames], vec![0.0; frames]];
        let [left, right] = &mut fixture;
        let mut done = 0;
        while done < frames {
            match file.read(&mut left[done..], &mut right[done..]).unwrap() {
                0 => file.seek(0).unwrap(),
                n => done += n,
            }
        }
        let sine = |hz: f64, t: f64| (std::f64::consts::TAU * hz * t).sin();
        let chord = [(55.0, 0.12), (220.0, 0.08), (700.0, 0.06), (1_500.0, 0.04), (3_000.0, 0.03), (9_000.0, 0.01)];
        let noise = |t: f64| f64::from(((t * f64::from(RATE)).round() as u32).wrapping_mul(2_654_435_761) as i32);
        vec![
            ("music", scaled(0.35)),
            ("quiet music", scaled(0.001_6)),
            ("fixture", fixture),
            ("chord", made(&|t| chord.iter().map(|(hz, level)| level * sine(*hz, t)).sum())),
            ("bass", made(&|t| 0.35 * sine(60.0, t))),
            ("treble", made(&|t| 0.001_6 * sine(6_000.0, t))),
            ("noise", made(&|t| noise(t) / 8e9)),
        ]
    })
}

/// The largest step and the highest sample.
#[derive(Clone, Copy, Debug, Default)]
struct Extremes {
    step: f64,
    peak: f64,
}

impl Extremes {
    fn of(sound: [&[f32]; 2]) -> Extremes {
        let mut found = Extremes::default();
        for plane in sound {
            let peak = plane.iter().fold(0.0f32, |m, s| if s.is_finite() { m.max(s.abs()) } else { f32::INFINITY });
            let step = plane.windows(2).fold(0.0f32, |m, w| m.max((w[1] - w[0]).abs()));
            found = found.and(Extremes { step: step.into(), peak: peak.into() });
        }
        found
    }

    fn and(self, other: Extremes) -> Extremes {
        Extremes { step: self.step.max(other.step), peak: self.peak.max(other.peak) }
    }

    /// Returns by how much the step and the peak exceed those of `own`, in dB.
    fn above(self, own: Extremes) -> (f64, f64) {
        let db = |a: f64, b: f64| if a <= NOTHING { -200.0 } else { 20.0 * (a / b.max(NOTHING)).log10() };
        (db(self.step, own.step), db(self.peak, own.peak))
    }

    fn is_within(self, own: Extremes) -> bool {
        self.step <= own.step * STEP + NOTHING && self.peak <= own.peak * PEAK + NOTHING
    }
}

/// The worst of many changes, in dB relative to the reference.
#[derive(Debug)]
struct Worst {
    step: (f64, String),
    peak: (f64, String),
    bad: usize,
    moves: usize,
}

impl Worst {
    fn new() -> Worst {
        Worst { step: (-200.0, String::new()), peak: (-200.0, String::new()), bad: 0, moves: 0 }
    }

    fn note(&mut self, found: Extremes, own: Extremes, what: impl Fn() -> String) {
        let (step, peak) = found.above(own);
        if step > self.step.0 {
            self.step = (step, what());
        }
        if peak > self.peak.0 {
            self.peak = (peak, what());
        }
        self.moves += 1;
        self.bad += usize::from(!found.is_within(own));
    }

    fn tell(&self, class: &str) {
        println!(
            "{class}: {} of {} moves beyond the limits; steps at most {:+.1} dB ({}), peaks at most {:+.1} dB ({})",
            self.bad, self.moves, self.step.0, self.step.1, self.peak.0, self.peak.1
        );
    }
}

/// Gains of low, mid and high.
type Gains = [f32; 3];

fn equaliser() -> ThreeBand {
    ThreeBand::new(200.0, 2_000.0, f64::from(RATE), 480)
}

fn set(eq: &mut ThreeBand, gains: Gains) {
    for (band, gain) in [Band::Low, Band::Mid, Band::High].into_iter().zip(gains) {
        eq.set(band, gain);
    }
}

fn equalise(eq: &mut ThreeBand, sound: [&[f32]; 2]) -> Sound {
    let mut out = sound.map(<[f32]>::to_vec);
    let [left, right] = &mut out;
    for (left, right) in left.chunks_mut(GRID).zip(right.chunks_mut(GRID)) {
        eq.process(left, right);
    }
    out
}

/// Returns the frames at which changes are made: unrelated to the programme's own events.
fn moments(frames: usize) -> impl Iterator<Item = usize> {
    let first = RATE as usize / 4;
    (0..PHASES).map(move |k| (first + k * (frames - 2 * first) / PHASES + (k * 1_009) % 777) / GRID * GRID)
}

/// Frames examined from a change on: the change itself (480), and more than as long again.
const LOOK: usize = 1_216;

/// Changes an equaliser's settings at all moments of a programme and measures the result.
struct Listener<'p> {
    sound: &'p Sound,
    /// Output without any change, and the equaliser's state at each moment, by gains.
    settled: HashMap<[u32; 3], (Sound, Vec<ThreeBand>)>,
}

impl<'p> Listener<'p> {
    fn new(sound: &'p Sound) -> Listener<'p> {
        Listener { sound, settled: HashMap::new() }
    }

    /// Computes the output with constant gains, and the equaliser's state at each moment.
    fn settle(&mut self, gains: Gains) {
        let sound = self.sound;
        self.settled.entry(gains.map(f32::to_bits)).or_insert_with(|| {
            let mut eq = equaliser();
            set(&mut eq, gains);
            let (mut out, mut states, mut done) = ([vec![], vec![]], vec![], 0);
            let ends = moments(sound[0].len()).chain([sound[0].len()]);
            for end in ends {
                let [left, right] = equalise(&mut eq, sound.each_ref().map(|p| &p[done..end]));
                out[0].extend(left);
                out[1].extend(right);
                states.push(eq.clone());
                done = end;
            }
            (out, states)
        });
    }

    /// Applies several settings, each held for its number of quanta, at all moments.
    fn listen(&mut self, course: &[(usize, Gains)], name: &str, worst: &mut Worst) {
        for (_, gains) in course {
            self.settle(*gains);
        }
        for (k, at) in moments(self.sound[0].len()).enumerate() {
            let mut eq = self.settled[&course[0].1.map(f32::to_bits)].1[k].clone();
            let mut heard = [vec![], vec![]];
            let mut done = at;
            for (step, (_, gains)) in course.iter().enumerate().skip(1) {
                set(&mut eq, *gains);
                let quanta = course.get(step + 1).map_or(LOOK / GRID, |next| next.0);
                let [left, right] = equalise(&mut eq, self.sound.each_ref().map(|p| &p[done..done + quanta * GRID]));
                heard[0].extend(left);
                heard[1].extend(right);
                done += quanta * GRID;
            }
            // From the sample before the change, so that its first step counts.
            let before = &self.settled[&course[0].1.map(f32::to_bits)].0;
            let heard: Sound = [0, 1].map(|c| [&before[c][at - 1..at], &heard[c]].concat());
            let window = |sound: &Sound| Extremes::of(sound.each_ref().map(|p| &p[at - 1..done]));
            let settled = course.iter().map(|(_, gains)| window(&self.settled[&gains.map(f32::to_bits)].0));
            let own = settled.fold(Extremes::default(), Extremes::and);
            let own = Extremes { step: own.step.max(window(self.sound).step), ..own };
            worst.note(Extremes::of(heard.each_ref().map(|p| &p[..])), own, || {
                format!("{name} {:?} at frame {at}", course.iter().map(|c| c.1).collect::<Vec<_>>())
            });
        }
    }
}

fn percent(values: [f64; 3]) -> Gains {
    values.map(|v| gain_of_percent(v) as f32)
}

#[test]
fn a_band_moves_between_any_two_settings_without_a_burst() {
    let mut levels: Vec<f32> =
        [0.0, 1.0, 5.0, 10.0, 25.0, 49.0, 50.0, 100.0].map(|p| gain_of_percent(p) as f32).to_vec();
    // The upper end of the other scale.
    levels.extend([2.0, 8.0]);
    let mut all = Worst::new();
    for (name, sound) in programmes() {
        let mut listener = Listener::new(sound);
        for band in 0..3 {
            // With the others flat, and with the others killed.
            for others in [1.0, 0.0] {
                let with = |gain: f32| std::array::from_fn(|b| if b == band { gain } else { others });
                for (from, to) in levels.iter().flat_map(|from| levels.iter().map(move |to| (*from, *to))) {
                    if from != to {
                        listener.listen(&[(0, with(from)), (0, with(to))], name, &mut all);
                    }
                }
            }
        }
    }
    all.tell("one band");
    assert_eq!(all.bad, 0, "{all:?}");
}

#[test]
fn several_bands_move_at_once_without_a_burst() {
    let mut moves: Vec<[Gains; 2]> = [
        ([50.0, 50.0, 50.0], [0.0, 0.0, 50.0]),
        ([50.0, 0.0, 0.0], [50.0, 50.0, 50.0]),
        ([0.0, 0.0, 0.0], [50.0, 50.0, 50.0]),
        ([50.0, 50.0, 50.0], [0.0, 0.0, 0.0]),
        ([50.0, 4.0, 50.0], [50.0, 3.0, 50.0]),
        ([50.0, 10.0, 50.0], [50.0, 9.0, 50.0]),
        ([50.0, 50.0, 10.0], [50.0, 50.0, 9.0]),
        ([0.0, 50.0, 50.0], [50.0, 0.0, 0.0]),
        ([0.0, 50.0, 0.0], [50.0, 0.0, 50.0]),
        ([10.0, 0.0, 25.0], [0.0, 10.0, 1.0]),
    ]
    .map(|(from, to)| [percent(from), percent(to)])
    .to_vec();
    let mut dice = 1u32;
    let mut throw = || {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        [0.0, 1.0, 5.0, 10.0, 25.0, 49.0, 50.0, 100.0][(dice >> 24) as usize % 8]
    };
    moves.extend((0..30).map(|_| [(); 2].map(|()| percent([(); 3].map(|()| throw())))));
    let mut all = Worst::new();
    for (name, sound) in programmes() {
        let mut listener = Listener::new(sound);
        for [from, to] in &moves {
            listener.listen(&[(0, *from), (0, *to)], name, &mut all);
        }
    }
    all.tell("several bands");
    assert_eq!(all.bad, 0, "{all:?}");
}

#[test]
fn a_move_may_begin_while_another_is_under_way() {
    let courses: &[&[(usize, [f64; 3])]] = &[
        &[(0, [50.0, 50.0, 50.0]), (0, [50.0, 0.0, 50.0]), (4, [50.0, 50.0, 50.0]), (4, [50.0, 0.0, 50.0])],
        &[(0, [50.0, 0.0, 50.0]), (0, [50.0, 50.0, 50.0]), (1, [50.0, 50.0, 0.0]), (1, [0.0, 50.0, 0.0])],
        &[(0, [0.0, 0.0, 0.0]), (0, [50.0, 50.0, 50.0]), (7, [0.0, 0.0, 0.0]), (3, [0.0, 50.0, 0.0])],
        &[(0, [50.0, 50.0, 50.0]), (0, [0.0, 50.0, 50.0]), (30, [50.0, 50.0, 50.0]), (20, [0.0, 50.0, 50.0])],
    ];
    let mut all = Worst::new();
    for (name, sound) in programmes() {
        let mut listener = Listener::new(sound);
        for course in courses {
            let course: Vec<_> = course.iter().map(|(quanta, gains)| (*quanta, percent(*gains))).collect();
            listener.listen(&course, name, &mut all);
        }
    }
    all.tell("changes during changes");
    assert_eq!(all.bad, 0, "{all:?}");
}

/// The variant of an engine.
type Build = (Kind, Quality);

/// An engine that plays a programme from memory, as two stems on deck A and one on deck B.
struct Rig {
    engine: Engine,
    control: ControlDoor,
    worker: Worker,
    frames: u64,
}

/// Slots of the stems.
const A: u16 = 0;
const SECOND: u16 = 1;
const B: u16 = 2;

impl Rig {
    fn new(sound: &Sound, (limiter, interpolation): Build) -> Rig {
        let config = EngineConfig { sample_rate: RATE, slots: 4, limiter, interpolation, ..EngineConfig::default() };
        let (inner, control) = door(4, 2);
        let mut rig = Rig {
            engine: Engine::new(&config, inner),
            control,
            worker: Worker::steady(),
            frames: sound[0].len() as u64,
        };
        for (slot, deck) in [(A, 0), (SECOND, 0), (B, 1)] {
            let [left, right] = sound.each_ref().map(|p| p.clone().into_boxed_slice());
            let streams = [stream(1).0, stream(1).0];
            let source =
                StemSource { frames: rig.frames, sample_rate: RATE, head_left: left, head_right: right, streams };
            rig.send(Action::Install { slot, deck, source: Box::new(source) });
        }
        rig
    }

    fn send(&mut self, action: Action) {
        assert!(self.control.send(vec![Command { at: None, ticket: 0, action }]).is_empty());
    }

    fn play(&self, from: u64) -> Play {
        Play { from, start: 0, end: self.frames, looped: true }
    }

    fn start(&mut self, slot: u16, from: u64) {
        let play = self.play(from);
        self.send(Action::Start { slot, play, rate: 1.0, gain: 0.5, exact: false });
    }

    fn stretch(&mut self) {
        let (kit, ends): (StretchPool, Vec<WorkerEnd>) = StretchPool::new(RATE, Bounds { least: 0.1, most: 0.5 });
        ends.into_iter().for_each(|end| self.worker.add(end));
        self.send(Action::Stretch { deck: 0, method: Method::PlaybackRate, kit: Some(Box::new(kit)) });
    }

    fn run(&mut self, frames: usize) -> Sound {
        let mut out = [Vec::with_capacity(frames), Vec::with_capacity(frames)];
        let mut block = Block::new(2, GRID);
        for _ in 0..frames / GRID {
            self.worker.pump();
            self.engine.render(&mut block);
            out.iter_mut().enumerate().for_each(|(c, out)| out.extend_from_slice(block.channel(c)));
            while self.control.event().is_some() {}
        }
        out
    }
}

/// A control to test: prepares a rig, and makes its `k`-th change, alternating between settings.
struct Moves {
    name: &'static str,
    /// Starts the stems and sets up the rig.
    prepare: fn(&mut Rig),
    act: fn(&mut Rig, usize),
}

/// Makes a change every tenth of a second, alternating between the settings.
fn walk(sound: &Sound, build: Build, moves: &Moves) -> Sound {
    let mut rig = Rig::new(sound, build);
    (moves.prepare)(&mut rig);
    let mut out = rig.run(RATE as usize / 2 / GRID * GRID);
    for k in 0..PHASES {
        (moves.act)(&mut rig, k);
        let [left, right] = rig.run((4_800 + (k * 1_009) % 777) / GRID * GRID);
        out[0].extend(left);
        out[1].extend(right);
    }
    // From where everything plays: a start at a file's first frame is not faded in.
    out.map(|plane| plane[RATE as usize / 4..].to_vec())
}

/// Returns the extremes while a setting is constant, before and after one change.
fn rest(sound: &Sound, build: Build, moves: &Moves) -> Extremes {
    let heard = [0, 1].map(|k| {
        let mut rig = Rig::new(sound, build);
        (moves.prepare)(&mut rig);
        rig.run(RATE as usize / 2 / GRID * GRID);
        if k > 0 {
            (moves.act)(&mut rig, 0);
        }
        rig.run(RATE as usize / 10);
        let [left, right] = rig.run(rig.frames as usize);
        Extremes::of([&left, &right])
    });
    let own = heard[0].and(heard[1]);
    // A linear fade of 5 ms between two positions of a sound has a slope of its own, where one is high and the other
    // low.
    Extremes { step: own.step.max((own.step + 2.0 * own.peak / 240.0) / STEP), ..own }
}

fn other<T>(k: usize, first: T, second: T) -> T {
    if k.is_multiple_of(2) { first } else { second }
}

const CONTROLS: &[Moves] = &[
    Moves {
        name: "deck level",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::DeckLevel { deck: 0, level: other(k, 0.05, 1.0), frames: None }),
    },
    Moves {
        name: "deck level, at once",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::DeckLevel { deck: 0, level: other(k, 0.0, 1.0), frames: Some(0) }),
    },
    Moves {
        name: "master, at once",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::Master { gain: other(k, 0.1, 1.0), frames: Some(0) }),
    },
    Moves {
        name: "master, above unity",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::Master { gain: other(k, 4.0, 1.0), frames: None }),
    },
    Moves {
        name: "crossfade",
        prepare: |r| {
            r.start(A, 0);
            r.start(B, 70_000);
            r.send(Action::Fader { deck: 1, gain: 0.0, frames: None });
        },
        act: |r, k| {
            let (a, b) = other(k, (0.0, 1.0), (1.0, 0.0));
            r.send(Action::Fader { deck: 0, gain: a, frames: Some(0) });
            r.send(Action::Fader { deck: 1, gain: b, frames: Some(0) });
        },
    },
    Moves {
        name: "stem gain",
        prepare: |r| {
            r.start(A, 0);
            r.start(SECOND, 0);
        },
        act: |r, k| r.send(Action::StemGain { slot: A, gain: other(k, 0.0, 0.5), frames: None }),
    },
    Moves {
        name: "every stem at once",
        prepare: |r| [A, SECOND, B].into_iter().for_each(|slot| r.start(slot, 0)),
        act: |r, k| {
            for slot in [A, SECOND, B] {
                r.send(Action::StemGain { slot, gain: other(k, 0.0, 0.5), frames: None });
            }
        },
    },
    Moves {
        name: "rate of a stem alone",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::StemRate { slot: A, rate: other(k, 1.06, 1.0) }),
    },
    Moves {
        name: "rate of one of two stems",
        prepare: |r| {
            r.start(A, 0);
            r.start(SECOND, 0);
        },
        act: |r, k| r.send(Action::StemRate { slot: A, rate: other(k, 1.06, 1.0) }),
    },
    Moves {
        name: "tempo, at once",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::Tempo { bpm: other(k, 131.0, 120.0), frames: 0, shape: Shape::Linear }),
    },
    Moves {
        name: "tempo, from one interpolator to the next",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::Tempo { bpm: other(k, 140.0, 120.0), frames: 2_400, shape: Shape::Linear }),
    },
    Moves {
        name: "tempo a deck plays at",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::Sync { deck: 0, base: other(k, Some(113.0), None) }),
    },
    Moves {
        name: "method, to splices",
        prepare: |r| {
            r.stretch();
            r.send(Action::Tempo { bpm: 126.0, frames: 0, shape: Shape::Linear });
            r.start(A, 0);
        },
        act: |r, k| {
            r.send(Action::Stretch { deck: 0, method: other(k, Method::Wsola, Method::PlaybackRate), kit: None })
        },
    },
    Moves {
        name: "method, to hq",
        prepare: |r| {
            r.stretch();
            r.send(Action::Tempo { bpm: 126.0, frames: 0, shape: Shape::Linear });
            r.start(A, 0);
        },
        act: |r, k| r.send(Action::Stretch { deck: 0, method: other(k, Method::Hq, Method::PlaybackRate), kit: None }),
    },
    Moves {
        name: "method, from splices to hq",
        prepare: |r| {
            r.stretch();
            r.send(Action::Stretch { deck: 0, method: Method::Wsola, kit: None });
            r.send(Action::Tempo { bpm: 126.0, frames: 0, shape: Shape::Linear });
            r.start(A, 0);
        },
        act: |r, k| r.send(Action::Stretch { deck: 0, method: other(k, Method::Hq, Method::Wsola), kit: None }),
    },
    Moves {
        name: "key",
        prepare: |r| {
            r.stretch();
            r.send(Action::Stretch { deck: 0, method: Method::Wsola, kit: None });
            r.start(A, 0);
        },
        act: |r, k| r.send(Action::Key { deck: 0, factor: other(k, 1.189, 1.0) }),
    },
    Moves {
        name: "seek, stretched",
        prepare: |r| {
            r.stretch();
            r.send(Action::Stretch { deck: 0, method: Method::Wsola, kit: None });
            r.send(Action::Tempo { bpm: 126.0, frames: 0, shape: Shape::Linear });
            r.start(A, 0);
        },
        act: |r, k| r.start(A, (k as u64 * 7_919) % r.frames),
    },
    Moves {
        name: "stem gain, stretched",
        prepare: |r| {
            r.stretch();
            r.send(Action::Stretch { deck: 0, method: Method::Hq, kit: None });
            r.send(Action::Tempo { bpm: 126.0, frames: 0, shape: Shape::Linear });
            r.start(A, 0);
        },
        act: |r, k| r.send(Action::StemGain { slot: A, gain: other(k, 0.0, 0.5), frames: None }),
    },
    Moves {
        name: "test tone",
        prepare: |r| r.send(Action::Tone { hz: 610.0, gain: 0.1, frames: u32::MAX }),
        act: |r, k| r.send(Action::Tone { hz: 610.0, gain: 0.1, frames: other(k, 1_200, u32::MAX) }),
    },
    Moves { name: "seek", prepare: |r| r.start(A, 0), act: |r, k| r.start(A, (k as u64 * 7_919) % r.frames) },
    Moves {
        name: "loop of some beats, and out of it",
        prepare: |r| r.start(A, 0),
        act: |r, k| {
            let play = other(k, Play { from: 30_000, start: 30_000, end: 33_000, looped: true }, r.play(0));
            r.send(Action::Loop { slot: A, play });
        },
    },
    Moves {
        name: "stop and start",
        prepare: |r| r.start(A, 1),
        act: |r, k| match other(k, true, false) {
            true => r.send(Action::Stop { slot: A }),
            false => r.start(A, (k as u64 * 7_919) % r.frames),
        },
    },
    Moves {
        name: "everything stops and starts",
        prepare: |r| [A, SECOND, B].into_iter().for_each(|slot| r.start(slot, 1)),
        act: |r, k| {
            for slot in [A, SECOND, B] {
                match other(k, true, false) {
                    true => r.send(Action::Stop { slot }),
                    false => r.start(slot, (k as u64 * 7_919) % r.frames),
                }
            }
        },
    },
    Moves {
        name: "a band of the equaliser",
        prepare: |r| r.start(A, 0),
        act: |r, k| r.send(Action::Eq { deck: 0, band: Band::Mid, gain: other(k, 0.0, 1.0) }),
    },
];

#[test]
fn no_control_bursts_while_it_moves() {
    let mut bad = Vec::new();
    for build in [(Kind::Soft, Quality::Standard), (Kind::LookAhead, Quality::Fine)] {
        for moves in CONTROLS {
            let mut all = Worst::new();
            for (name, sound) in programmes().iter().filter(|p| ["music", "chord", "bass"].contains(&p.0)) {
                let found = walk(sound, build, moves);
                all.note(Extremes::of([&found[0], &found[1]]), rest(sound, build, moves), || (*name).into());
            }
            all.tell(&format!("{build:?}, {}", moves.name));
            if all.bad > 0 {
                bad.push((build, moves.name));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}
