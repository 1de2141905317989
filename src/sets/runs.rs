//! Runs of the older set player, and random numbers, for tests.
//!
//! `tests/data/sets` holds its inputs, the playlists it wrote, and for each run a description with the times of the
//! messages `/cue` and `/start_group`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::track::Set;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sets"))
}

/// Returns the content of an input.
pub fn input(name: &str) -> Vec<u8> {
    fs::read(folder().join("inputs").join(name)).unwrap()
}

/// Returns the descriptions of all runs.
pub fn all() -> Vec<Value> {
    let files = fs::read_dir(folder().join("expected")).unwrap().map(|entry| entry.unwrap().path());
    let runs = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    runs.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

/// Returns the set of a run, if its file was kept.
pub fn set(run: &Value) -> Option<Set> {
    let bytes = fs::read(folder().join("inputs").join(run["csv"].as_str()?)).ok()?;
    Set::parse(&bytes).ok()
}

/// Returns the playlist that a run wrote.
pub fn playlist_bytes(run: &Value) -> Option<Vec<u8>> {
    Some(fs::read(folder().join("expected").join(run["playlist"].as_str()?)).unwrap())
}

/// Returns the playlist that a run wrote, as a set.
pub fn playlist(run: &Value) -> Option<Set> {
    let set = Set::parse(&playlist_bytes(run)?).unwrap();
    assert!(set.faults.is_empty(), "{:?}", set.faults);
    Some(set)
}

/// Returns the preload of a run in seconds.
pub fn preload(run: &Value) -> f64 {
    let arguments: Vec<&str> = run["argv"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let flag = arguments.iter().position(|argument| *argument == "--preload-offset");
    flag.map_or(1.0, |at| arguments[at + 1].parse().unwrap())
}

/// Returns a source of random whole numbers below a bound (splitmix64).
pub fn random(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
