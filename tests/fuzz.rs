//! The fuzz targets of `fuzz/`, run a bounded number of times on mutated examples. Inputs are deterministic, so
//! failures are reproducible. `make fuzz` searches longer, guided by coverage.
#![cfg(feature = "ddsp")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

#[path = "../fuzz/targets/mod.rs"]
#[allow(dead_code)]
mod targets;

use targets::Target;

/// Maximum length of mutated inputs in bytes.
const MOST_BYTES: usize = 1 << 16;
/// Values at which arithmetic on lengths and counts tends to fail.
const EDGES: &[u64] =
    &[0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX];

/// Pseudo-random numbers: Marsaglia's xorshift with 64 bits of state ("Xorshift RNGs", 2003) and a final multiplication
/// (Vigna 2016, xorshift64*).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `count`; 0 if `count` is 0.
    fn below(&mut self, count: usize) -> usize {
        (self.next() >> 16) as usize % count.max(1)
    }

    /// Returns start and end of a range within `length`.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        // Mostly short ranges.
        let most = if self.below(4) == 0 { length - start } else { (length - start).min(16) };
        (start, start + self.below(most + 1))
    }

    /// Mutates an input in one place.
    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
        if input.is_empty() {
            // An empty input cannot be mutated in place.
            input.push(self.next() as u8);
        }
        let at = self.below(input.len());
        let (start, end) = self.range(input.len());
        match self.below(if words.is_empty() { 8 } else { 10 }) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = self.next() as u8,
            2 => {
                let bytes = EDGES[self.below(EDGES.len())].to_be_bytes();
                let width = 1 << self.below(4);
                let mut edge = bytes[8 - width..].to_vec();
                if self.below(2) == 0 {
                    edge.reverse();
                }
                let end = (at + width).min(input.len());
                input.splice(at..end, edge);
            }
            3 => drop(input.drain(start..end)),
            4 => {
                let piece = input[start..end].to_vec();
                input.splice(at..at, piece);
            }
            5 => input.truncate(start),
            6 => {
                let other = &seeds[self.below(seeds.len())];
                let (from, to) = self.range(other.len());
                input.splice(start..end, other[from..to].iter().copied());
            }
            7 => {
                let fresh: Vec<u8> = (0..=self.below(8)).map(|_| self.next() as u8).collect();
                input.splice(at..at, fresh);
            }
            way => {
                let word = words[self.below(words.len())].bytes();
                let end = if way == 8 { at } else { (at + word.len()).min(input.len()) };
                input.splice(at..end, word);
            }
        }
        input.truncate(MOST_BYTES);
    }
}

/// Runs the examples, then `runs` inputs mutated from them. A failing input is written to a file.
fn fuzz(target: &Target, runs: usize) {
    let seeds = (target.seeds)();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for run in 0..seeds.len() + runs {
        let mut input = seeds.get(run).cloned().unwrap_or_else(|| seeds[dice.below(seeds.len())].clone());
        if run >= seeds.len() {
            for _ in 0..=dice.below(4) {
                dice.change(&mut input, &seeds, target.words);
            }
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}-{run}", target.name));
            let kept = std::fs::write(&file, &input);
            eprintln!(
                "run {run} of {}: the input is {} bytes, in {} ({kept:?})",
                target.name,
                input.len(),
                file.display()
            );
            resume_unwind(panic);
        }
    }
}

macro_rules! bounded {
    ($($test:ident, $target:path, $runs:literal;)+) => {$(
        #[test]
        fn $test() {
            fuzz(&$target, $runs);
        }
    )+};
}

// In the release profile each takes one to two seconds on one core.
bounded! {
    osc_packets, targets::osc::OSC, 100_000;
    sequences_of_calls, targets::conductor::CONDUCTOR, 100;
    api_messages, targets::api::API, 5_000;
    stream_messages, targets::protocol::PROTOCOL, 50_000;
    stream_voices, targets::stream::STREAM, 100;
    configurations, targets::config::CONFIG, 10_000;
    beat_grids, targets::grid::GRID, 50_000;
    structure_files, targets::sections::STRUCTURE, 20_000;
    rekordbox_collections, targets::sections::REKORDBOX, 20_000;
    dj_plans, targets::plans::PLAN, 20_000;
    tables_of_sets, targets::plans::SET, 10_000;
    genomes, targets::genome::GENOME, 20_000;
    state_files, targets::state::STATE, 20_000;
    midi_files, targets::midi::MIDI, 50_000;
    model_files, targets::onnx::ONNX, 1_000;
    wav_files, targets::media::WAV, 2_000;
    aiff_files, targets::media::AIFF, 2_000;
    flac_files, targets::media::FLAC, 1_000;
    mp3_files, targets::media::MP3, 1_000;
    adts_files, targets::media::ADTS, 1_000;
    ogg_files, targets::media::OGG, 500;
    m4a_files, targets::media::M4A, 1_000;
}

/// Checks that examples are accepted: a target that rejects all its examples tests nothing.
#[test]
fn examples_are_understood() {
    use grooved::ddsp::model::Model;
    let models = (targets::onnx::ONNX.seeds)();
    let opened: Vec<bool> = models.iter().map(|m| Model::read(m, Path::new("fuzz.onnx")).is_ok()).collect();
    assert_eq!(opened, [true, true, false], "{:?}", Model::read(&models[1], Path::new("fuzz.onnx")).map(|_| ()));
    let shows = (targets::state::STATE.seeds)();
    let shows: Vec<_> = shows.iter().map(|s| grooved::control::conductor::show::Show::parse(s).map(|_| ())).collect();
    assert_eq!(shows, [Ok(()), Ok(()), Ok(())]);
    for seed in (targets::config::CONFIG.seeds)() {
        let text = String::from_utf8(seed).unwrap();
        let read = grooved::config::Config::parse(&text, Path::new("fuzz.toml"));
        assert_eq!(read.is_err(), text.contains("buffer_size = 3"), "{text}: {read:?}");
    }
    let plans = (targets::plans::PLAN.seeds)();
    assert!(plans.iter().all(|plan| grooved::plans::document::Plan::parse(plan).is_ok()));
    let sets = (targets::plans::SET.seeds)();
    assert!(sets.iter().all(|set| grooved::sets::track::Set::parse(set).is_ok_and(|set| !set.tracks.is_empty())));
    let genomes = (targets::genome::GENOME.seeds)();
    let read = genomes.iter().filter(|g| grooved::genome::Genome::from_bytes(g).is_ok()).count();
    assert_eq!((read, genomes.len()), (12, 13), "all but the name of a sound");
    let scores: Vec<_> =
        (targets::midi::MIDI.seeds)().iter().map(|s| grooved::ddsp::score::Score::parse(s).is_ok()).collect();
    assert_eq!(scores, [true, true, true, false, false, false]);
}

/// Returns the crates that `package` depends on, from the text of a lock file.
fn dependencies(lock: &str, package: &str) -> std::collections::BTreeSet<String> {
    let lock: toml::Table = lock.parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let found = packages.iter().find(|p| p["name"].as_str() == Some(package)).unwrap();
    let names = found["dependencies"].as_array().unwrap().iter();
    // If there are several versions, the version follows the name.
    names.map(|d| d.as_str().unwrap().split(' ').next().unwrap().to_string()).collect()
}

/// `make fuzz` builds with `--locked`, so its lock file must match the daemon's dependencies.
#[test]
fn the_lock_file_of_the_fuzz_targets_is_up_to_date() {
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let mut own = dependencies(&read("Cargo.lock"), "grooved");
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let for_tests = manifest["dev-dependencies"].as_table().unwrap();
    let always = manifest["dependencies"].as_table().unwrap();
    own.retain(|name| always.contains_key(name) || !for_tests.contains_key(name));
    assert_eq!(dependencies(&read("fuzz/Cargo.lock"), "grooved"), own, "run `cargo update -p grooved` in fuzz/");
}
