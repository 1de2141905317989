//! The tracks of a set in the order in which they are played.

use super::order::{Order, arranged, high};
use super::track::{Set, Track};
use crate::genome::evolve::Random;
use crate::sections::key::Key;

/// Returns the tracks in order of play. The generator is xoshiro256\*\* (Blackman & Vigna), seeded by `seed`: the same
/// seed gives the same order on every machine.
pub fn in_order(set: &Set, order: Order, seed: u64) -> Vec<Track> {
    let mut random = Random::new(seed);
    let camelot = |key: &str| key.parse::<Key>().ok().map(Key::wheel);
    let is_high = if order == Order::Energy { high(&set.tracks) } else { vec![false; set.tracks.len()] };
    let order = arranged(&set.tracks, order, &mut |n| random.below(n), &camelot);
    order.into_iter().filter_map(|k| Some(Track { is_high: is_high[k], ..set.tracks.get(k)?.clone() })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_order_everywhere() {
        let rows: String = (0..10).map(|k| format!("{k}.wav,4,6,120,{}\n", 118 + k)).collect();
        let set = Set::parse(format!("part_file,begin_cue_adj,end_cue_adj,target_bpm,bpm\n{rows}").as_bytes()).unwrap();
        let names = |order, seed| -> String {
            in_order(&set, order, seed).iter().map(|track| &track.part_file[..1]).collect::<Vec<_>>().concat()
        };
        assert_eq!(names(Order::Csv, 7), "0123456789");
        assert_eq!(names(Order::BpmDown, 7), "9876543210");
        assert_eq!(names(Order::Shuffle, 1), names(Order::Shuffle, 1));
        assert_eq!(names(Order::Shuffle, 1), "3615092847");
        assert_ne!(names(Order::Shuffle, 1), names(Order::Shuffle, 2));
        // The fast ones last.
        assert!(names(Order::Energy, 3).chars().skip(7).all(|name| name >= '6'), "{}", names(Order::Energy, 3));
    }
}
