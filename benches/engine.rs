//! Measures the time the engine needs for a second of sound.

use criterion::{Criterion, criterion_group, criterion_main};

mod shared;
use shared::{GRAPHS, Rig};

fn second_of_sound(c: &mut Criterion) {
    let mut group = c.benchmark_group("a second of sound");
    group.sample_size(20);
    for graph in GRAPHS {
        let mut rig = Rig::new(graph);
        group.bench_function(graph, |b| b.iter(|| rig.run(1.0)));
    }
    group.finish();
}

criterion_group!(benches, second_of_sound);
criterion_main!(benches);
