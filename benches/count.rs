//! Runs a graph for a while, for counting instructions and looking at single blocks.
//!
//! `count GRAPH SECONDS` renders and ends: callgrind counts what it took. `count blocks` prints the worst block over
//! the median one, from the fastest of twenty identical runs of each block.

use std::time::Instant;

mod shared;
use shared::{BLOCK, RATE, Rig};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match args.as_slice() {
        [what] if what == "blocks" => blocks(),
        [graph, seconds] => {
            let mut rig = Rig::new(graph);
            let start = Instant::now();
            rig.run(seconds.parse().expect("a number of seconds"));
            println!("{:.6}", start.elapsed().as_secs_f64());
        }
        // `cargo bench` runs every bench without arguments; benches/table is the one that asks.
        _ => println!("count: run by benches/table"),
    }
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
