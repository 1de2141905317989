//! Orders in which the tracks of a set are played.

use serde::{Deserialize, Serialize};

use std::collections::VecDeque;
use std::str::FromStr;

use super::track::Track;

/// The share of tracks below the high ones, as in the older player.
const HIGH_QUANTILE: f64 = 0.7;
/// Distance of a key that is unknown: more than any other.
const UNKNOWN: u8 = u8::MAX;

/// An order of tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As in the file.
    #[default]
    Csv,
    /// At random.
    Shuffle,
    /// From the lowest original BPM to the highest; tracks without one come last.
    BpmUp,
    /// From the highest original BPM to the lowest; tracks without one come last.
    BpmDown,
    /// At random, with the tracks of high original BPM held back to the end.
    Energy,
    /// From the first row always to the nearest key that is left, by the Camelot wheel.
    Key,
}

impl Order {
    /// The orders and their names.
    pub const NAMES: [(&str, Order); 6] = [
        ("csv", Order::Csv),
        ("shuffle", Order::Shuffle),
        ("bpm-up", Order::BpmUp),
        ("bpm-down", Order::BpmDown),
        ("energy", Order::Energy),
        ("key", Order::Key),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Order::NAMES.iter().find(|(_, order)| *order == self).map_or("csv", |(name, _)| name)
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Order, String> {
        let found = Order::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, order)| *order).ok_or_else(|| {
            let names = Order::NAMES.map(|(name, _)| name).join(", ");
            format!("'{}' is not an order: expected one of {names}", text.chars().take(40).collect::<String>())
        })
    }
}

/// Returns the indices of the tracks in the order in which they are played.
///
/// `below(n)` returns a random whole number below `n`; with the same numbers the order is the same. `camelot` reads a
/// key as its Camelot number, 1 to 12, and whether it is minor; only [`Order::Key`] needs it. [`Order::Energy`] is the
/// order without movement.
pub fn arranged(
    tracks: &[Track],
    order: Order,
    below: &mut dyn FnMut(usize) -> usize,
    camelot: &dyn Fn(&str) -> Option<(u8, bool)>,
) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..tracks.len()).collect();
    match order {
        Order::Csv => {}
        Order::Shuffle => shuffle(&mut indices, below),
        // Both sorts are stable: tracks of one BPM stay in the order of the file.
        Order::BpmUp => indices.sort_by(|a, b| by_bpm(&tracks[*a], &tracks[*b], f64::total_cmp)),
        Order::BpmDown => indices.sort_by(|a, b| by_bpm(&tracks[*a], &tracks[*b], |a, b| b.total_cmp(a))),
        Order::Energy => {
            let mut pools = Pools::new(tracks, below);
            return std::iter::from_fn(|| pools.next(false)).collect();
        }
        Order::Key => return by_key(tracks, camelot),
    }
    indices
}

/// The tracks that remain to be played, in two pools: those of high original BPM, and the others.
///
/// High are the tracks from the 70th percentile of all BPMs on, as in the older player: the track's BPM before it
/// became a part, although all parts of a set usually have one tempo. Tracks without BPM are never high.
#[derive(Clone, Debug)]
pub struct Pools {
    /// Each pool backwards, so that its next track is the last one.
    normal: Vec<usize>,
    high: Vec<usize>,
}

impl Pools {
    /// Returns both pools in random order; `below(n)` returns a random whole number below `n`.
    pub fn new(tracks: &[Track], below: &mut dyn FnMut(usize) -> usize) -> Pools {
        let is_high = high(tracks);
        let (mut high, mut normal): (Vec<_>, Vec<_>) = (0..tracks.len()).partition(|k| is_high[*k]);
        shuffle(&mut normal, below);
        shuffle(&mut high, below);
        Pools { normal, high }
    }

    /// Takes the index of the next track: a high one if wanted and otherwise another, from the other pool if that one
    /// is used up. `None` when both are.
    pub fn next(&mut self, high: bool) -> Option<usize> {
        let (first, second) = match high {
            true => (&mut self.high, &mut self.normal),
            false => (&mut self.normal, &mut self.high),
        };
        first.pop().or_else(|| second.pop())
    }
}

/// Returns for each track whether it is a high one.
pub fn high(tracks: &[Track]) -> Vec<bool> {
    let mut bpms: Vec<f64> = tracks.iter().filter_map(|track| track.bpm).collect();
    bpms.sort_by(f64::total_cmp);
    let place = (bpms.len().saturating_sub(1) as f64 * HIGH_QUANTILE).round_ties_even();
    let threshold = bpms.get(place as usize).copied().unwrap_or(f64::INFINITY);
    tracks.iter().map(|track| track.bpm.is_some_and(|bpm| bpm >= threshold)).collect()
}

/// Shuffles by Fisher and Yates, from the end.
fn shuffle(indices: &mut [usize], below: &mut dyn FnMut(usize) -> usize) {
    for k in (1..indices.len()).rev() {
        indices.swap(k, below(k + 1).min(k));
    }
}

fn by_bpm(a: &Track, b: &Track, compare: fn(&f64, &f64) -> std::cmp::Ordering) -> std::cmp::Ordering {
    match (&a.bpm, &b.bpm) {
        (Some(a), Some(b)) => compare(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

fn by_key(tracks: &[Track], camelot: &dyn Fn(&str) -> Option<(u8, bool)>) -> Vec<usize> {
    // One queue per key, in the order of the file. There are few keys, so each step is short however many tracks.
    let mut queues = Vec::<(_, VecDeque<usize>)>::new();
    for (k, track) in tracks.iter().enumerate() {
        let key = camelot(&track.key);
        match queues.iter_mut().find(|(other, _)| *other == key) {
            Some((_, queue)) => queue.push_back(k),
            None => queues.push((key, VecDeque::from([k]))),
        }
    }
    // From the first row's key the first row is the nearest.
    let mut here: Option<(u8, bool)> = queues.first().and_then(|(key, _)| *key);
    let mut order = Vec::with_capacity(tracks.len());
    while let Some((key, k)) = queues
        .iter_mut()
        .filter(|(_, queue)| !queue.is_empty())
        .min_by_key(|(key, queue)| (distance(here, *key), queue.front().copied()))
        .and_then(|(key, queue)| Some((*key, queue.pop_front()?)))
    {
        here = key;
        order.push(k);
    }
    order
}

/// Returns the distance of two keys on the Camelot wheel: the steps along it, and one between major and minor.
fn distance(a: Option<(u8, bool)>, b: Option<(u8, bool)>) -> u8 {
    let (Some((a, a_minor)), Some((b, b_minor))) = (a, b) else { return UNKNOWN };
    let steps = a.abs_diff(b) % 12;
    steps.min(12 - steps) + u8::from(a_minor != b_minor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::runs;
    use crate::sets::track::Set;

    fn tracks(rows: &[(&str, &str)]) -> Vec<Track> {
        let rows: String = rows.iter().map(|(bpm, key)| format!("a,4,6,120,{bpm},{key}\n")).collect();
        let text = format!("part_file,begin_cue_adj,end_cue_adj,target_bpm,bpm,key\n{rows}");
        Set::parse(text.as_bytes()).unwrap().tracks
    }

    /// Reads Camelot only.
    fn camelot(text: &str) -> Option<(u8, bool)> {
        let (number, letter) = text.split_at_checked(text.len().checked_sub(1)?)?;
        Some((number.parse().ok()?, letter == "A"))
    }

    fn order_of(tracks: &[Track], order: Order) -> Vec<usize> {
        arranged(tracks, order, &mut runs::random(1), &camelot)
    }

    #[test]
    fn orders_have_names() {
        for (name, order) in Order::NAMES {
            assert_eq!(name.parse(), Ok(order));
        }
        assert_eq!(
            "random".parse::<Order>(),
            Err("'random' is not an order: expected one of csv, shuffle, bpm-up, bpm-down, energy, key".into())
        );
    }

    #[test]
    fn tracks_are_sorted_by_bpm_and_those_without_come_last() {
        let tracks = tracks(&[("122", ""), ("", ""), ("120", ""), ("122", ""), ("x", ""), ("125", "")]);
        assert_eq!(order_of(&tracks, Order::Csv), [0, 1, 2, 3, 4, 5]);
        assert_eq!(order_of(&tracks, Order::BpmUp), [2, 0, 3, 5, 1, 4]);
        assert_eq!(order_of(&tracks, Order::BpmDown), [5, 0, 3, 2, 1, 4]);
    }

    #[test]
    fn every_order_plays_each_track_once() {
        let all: Vec<_> =
            (0..200).map(|k| (format!("{}", 100 + k % 17), format!("{}{}", k % 12 + 1, ["A", "B"][k % 2]))).collect();
        for count in [0, 1, 2, 3, 200] {
            let rows: Vec<_> = all[..count].iter().map(|(bpm, key)| (bpm.as_str(), key.as_str())).collect();
            let tracks = tracks(&rows);
            for (name, order) in Order::NAMES {
                let mut indices = order_of(&tracks, order);
                assert_eq!(indices, order_of(&tracks, order), "{name}: same numbers, same order");
                indices.sort();
                assert_eq!(indices, (0..count).collect::<Vec<_>>(), "{name}");
                // A number that is not below n does no harm.
                assert_eq!(arranged(&tracks, order, &mut |n| n, &camelot).len(), count);
            }
        }
    }

    #[test]
    fn a_shuffle_brings_each_track_to_each_place_equally_often() {
        let tracks = tracks(&[("", ""); 4]);
        let mut below = runs::random(3);
        let mut counts = [[0; 4]; 4];
        for _ in 0..24_000 {
            let order = arranged(&tracks, Order::Shuffle, &mut below, &camelot);
            order.iter().enumerate().for_each(|(place, k)| counts[place][*k] += 1);
        }
        // The deviation of a count is 67.
        assert!(counts.iter().flatten().all(|count| (5_700..6_300).contains(count)), "{counts:?}");
    }

    #[test]
    fn keys_follow_the_wheel_from_the_first_row() {
        let order =
            |keys: &[&str]| order_of(&tracks(&keys.iter().map(|key| ("", *key)).collect::<Vec<_>>()), Order::Key);
        assert_eq!(order(&["8A", "2A", "9A", "8A", "8B", "10A", "9A"]), [0, 3, 2, 6, 5, 4, 1]);
        // Over twelve o'clock; at equal distance, in the order of the file.
        assert_eq!(order(&["12A", "2A", "11A", "1A"]), [0, 2, 3, 1]);
        assert_eq!(order(&["12A", "2A", "1A", "11A"]), [0, 2, 1, 3]);
        // Unknown keys come last, or first if the set begins with one.
        assert_eq!(order(&["1A", "", "7B", "", "2A"]), [0, 4, 2, 1, 3]);
        assert_eq!(order(&["", "7B", "", "1A", "7A"]), [0, 1, 4, 3, 2]);
        assert_eq!(distance(Some((1, false)), Some((7, true))), 7);
        assert_eq!(distance(Some((12, true)), Some((1, true))), 1);
    }

    #[test]
    fn high_tracks_are_those_of_the_older_player() {
        let mut checked = 0;
        for run in runs::all().into_iter().filter(|run| run["movement"].is_null()) {
            // A printed playlist was shuffled anew, without the pools.
            if run["argv"].as_array().unwrap().contains(&"--print-playlist".into()) {
                continue;
            }
            let (Some(set), Some(playlist)) = (runs::set(&run), runs::playlist(&run)) else { continue };
            // Rows that the older player dropped are not part of its pools.
            let is_played = |track: &&Track| playlist.tracks.iter().any(|other| other.part_file == track.part_file);
            let tracks: Vec<Track> = set.tracks.iter().filter(is_played).cloned().collect();
            let pools = Pools::new(&tracks, &mut runs::random(1));
            let is_high = |part: &str| pools.high.iter().any(|k| tracks[*k].part_file == part);
            let highs: Vec<_> = playlist.tracks.iter().map(|track| is_high(&track.part_file)).collect();
            assert!(highs.is_sorted() && highs.contains(&true), "{run:?}: {highs:?}");
            checked += 1;
        }
        assert_eq!(checked, 7);
    }

    #[test]
    fn pools_fall_back_on_each_other() {
        // The percentile of six BPMs is at place 3.5, to even 4.
        let tracks = tracks(&[("126", ""), ("121", ""), ("", ""), ("122", ""), ("125", ""), ("124", ""), ("123", "")]);
        let mut pools = Pools::new(&tracks, &mut runs::random(5));
        let mut taken: Vec<_> = [true, true, true].iter().map(|high| pools.next(*high).unwrap()).collect();
        taken[..2].sort();
        assert_eq!(taken[..2], [0, 4]);
        assert!(![0, 4].contains(&taken[2]));
        assert_eq!((0..4).filter_map(|_| pools.next(false)).count(), 4);
        assert_eq!((pools.next(true), pools.next(false)), (None, None));

        let mut pools = Pools::new(&tracks, &mut runs::random(6));
        let order: Vec<_> = std::iter::from_fn(|| pools.next(false)).collect();
        assert!(order[5..].iter().all(|k| [0, 4].contains(k)), "{order:?}");
    }
}
