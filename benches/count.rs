//! Renders a graph for a while, for counting instructions and timing single blocks.
//!
//! `count GRAPH SECONDS` renders and exits, for counting with callgrind. `count blocks` prints the median block, the
//! worst block and their ratio, from the fastest of twenty identical runs of each block. `count stretch METHOD
//! SECONDS`, `count pulls METHOD` and `count voices COUNT [SECONDS]` do the same for stretchers and instruments.

use std::time::Instant;

use grooved::stretch::hq::Hq;
use grooved::stretch::machine::Machine;
use grooved::stretch::offline::Wsola;

mod shared;
use shared::{BLOCK, RATE, Rig};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match args.as_slice() {
        [what] if what == "blocks" => blocks(),
        [what, method] if what == "pulls" => pulls(method),
        [what, method, seconds] if what == "stretch" => {
            let mut pull = puller(method);
            (0..(seconds.parse::<f64>().expect("a number of seconds") * 44_100.0) as usize / PULL).for_each(|_| pull());
        }
        #[cfg(feature = "ddsp")]
        [what, count, seconds] if what == "voices" => {
            voices(count.parse().expect("a number"), seconds.parse().expect("seconds"))
        }
        #[cfg(feature = "ddsp")]
        [what, count] if what == "voices" => voices_now(count.parse().expect("a number")),
        [graph, seconds] => {
            let mut rig = Rig::new(graph);
            let start = Instant::now();
            rig.run(seconds.parse().expect("a number of seconds"));
            println!("{:.6}", start.elapsed().as_secs_f64());
        }
        // `cargo bench` runs every bench without arguments; only benches/table passes some.
        _ => println!("count: run by benches/table"),
    }
}

/// Renders `count` voices, alternating between four instruments, each held and bent a little.
#[cfg(feature = "ddsp")]
fn voices(count: usize, seconds: f64) {
    use grooved::ddsp::processor::DdspProcessor;
    let names = ["flute", "clarinet", "cello", "saxophone"];
    let open = |n: usize| DdspProcessor::new(format!("models/{}.onnx", names[n % 4]), 48_000, 480).expect("a model");
    let mut voices: Vec<_> = (0..count).map(open).collect();
    let mut block = [0.0; 480];
    for hop in 0..(seconds * 100.0) as usize {
        for (n, voice) in voices.iter_mut().enumerate() {
            voice.set_f0(220.0 * (1.0 + 0.2 * n as f64) * (1.0 + 0.01 * (hop as f64 * 0.3).sin()));
            voice.set_loudness(0.8);
            voice.next_block(&mut block);
        }
    }
}

/// Prints the speed at which `count` voices are rendered, relative to real time: the best of five runs.
#[cfg(feature = "ddsp")]
fn voices_now(count: usize) {
    let run = |seconds: f64| {
        let begun = Instant::now();
        voices(count, seconds);
        begun.elapsed().as_secs_f64()
    };
    // The time for opening the models is subtracted; the fastest of several runs is the least disturbed one.
    let fastest = |seconds: f64| (0..5).map(|_| run(seconds)).fold(f64::INFINITY, f64::min);
    println!("{:.1}", 8.0 / (fastest(9.0) - fastest(1.0)));
}

/// Frames pulled from a stretcher at a time.
const PULL: usize = 512;

/// Returns a function that pulls a block from a stretcher at speed 1.1, 44.1 kHz, fed with a chord and a beat.
fn puller(method: &str) -> Box<dyn FnMut()> {
    let tone = |hz: f64, t: f64| (std::f64::consts::TAU * hz * t).sin();
    let sound: Vec<[f32; 2]> = (0..4 * 44_100)
        .map(|k| {
            let t = f64::from(k) / 44_100.0;
            let beat = (t * 2.0).fract();
            let burst = 0.4 * (-beat * 60.0).exp() * tone(60.0 + 900.0 * beat, t);
            let chord = |notes: [f64; 3]| 0.1 * notes.iter().map(|hz| tone(*hz, t)).sum::<f64>() + burst;
            [chord([110.0, 277.0, 659.0]) as f32, chord([110.0, 330.0, 880.0]) as f32]
        })
        .collect();
    let mut machine: Box<dyn Machine> = match method {
        "wsola" => Box::new(Wsola::new(44_100)),
        _ => Box::new(Hq::new(44_100)),
    };
    let (mut at, mut now) = (0, 0.0);
    Box::new(move || {
        let speed = 1.1;
        let (mut left, mut right) = ([0.0; PULL], [0.0; PULL]);
        for (l, r) in left.chunks_mut(32).zip(right.chunks_mut(32)) {
            while machine.fed() < machine.wants(now, speed) {
                let frames: [[f32; 2]; 128] = std::array::from_fn(|k| sound[(at + k) % sound.len()]);
                machine.feed(&frames.map(|f| f[0]), &frames.map(|f| f[1]));
                at += 128;
            }
            machine.render(now, speed, l, r);
            now += speed * 32.0;
        }
        std::hint::black_box((&left, &right));
    })
}

/// Prints the median and the worst single pull in microseconds, from the fastest of ten identical runs of each.
fn pulls(method: &str) {
    let count = 8 * 44_100 / PULL;
    let mut fastest = vec![u128::MAX; count];
    for _ in 0..10 {
        let mut pull = puller(method);
        // The first pull fills the look-ahead.
        pull();
        for best in &mut fastest {
            let start = Instant::now();
            pull();
            *best = (*best).min(start.elapsed().as_nanos());
        }
    }
    fastest.sort_unstable();
    println!("{:.0} {:.0}", fastest[count / 2] as f64 / 1e3, fastest[count - 1] as f64 / 1e3);
}

fn blocks() {
    let count = 4 * RATE as usize / BLOCK;
    let mut fastest = vec![u128::MAX; count];
    for _ in 0..20 {
        let mut rig = Rig::new("graph");
        for best in &mut fastest {
            let start = Instant::now();
            rig.engine.render(&mut rig.block);
            *best = (*best).min(start.elapsed().as_nanos());
        }
    }
    let worst = fastest.iter().max().copied().unwrap_or(0);
    fastest.sort_unstable();
    let median = fastest[count / 2];
    println!("{} {} {:.2}", median, worst, worst as f64 / median as f64);
}
