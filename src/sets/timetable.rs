//! Timetables of sets: when each track is loaded, begins, is left and ends, and the playlist that says so.
//!
//! Each track begins where its predecessor's window begins; the fade into it lasts as long as that window.

use super::track::Track;
use crate::sections::csv;
use crate::sections::number::shortest;

/// How much longer than possible a window may be, in seconds: sums of cues are rounded.
const TOLERANCE_SECONDS: f64 = 1e-6;

/// Columns of a playlist that it does not copy from the set.
const OWN_COLUMNS: [&str; 5] = ["deck", "load_at", "start_playing_at", "next_song_cue", "end_playing_at"];
/// Ending of the columns that follow the cues.
const FULL: &str = "_full";
/// Columns that come first in a playlist, in this order; all others keep the order of the set.
const FIRST_COLUMNS: [&str; 14] = [
    "path",
    "part_file",
    "bpm",
    "key",
    "target_bpm",
    "speed",
    "ini_cue",
    "begin_cue",
    "end_cue",
    "begin_cue_adj",
    "end_cue_adj",
    FULL,
    "duration_orig",
    "duration_sectioned",
];

/// Times of a track in a set, in seconds at the tracks' own tempo.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// When it is loaded.
    pub load: f64,
    /// When it begins.
    pub start: f64,
    /// When the next one begins.
    pub cue: f64,
    /// When its window ends.
    pub end: f64,
}

/// Returns the times of tracks that are played in this order.
///
/// The first one begins after `preload` seconds, and each is loaded that long before it begins, but not before zero.
pub fn timetable(tracks: &[&Track], preload: f64) -> Vec<Times> {
    let mut start = preload;
    let times = |track: &&Track| {
        let cue = start + track.begin;
        let times = Times { load: (start - preload).max(0.0), start, cue, end: start + track.end };
        start = cue;
        times
    };
    tracks.iter().map(times).collect()
}

/// Returns where the window of a track ends, in seconds of its part, so that its fade is over when the fade out of the
/// next one begins.
///
/// That is its own end where possible. Both fades are compared in beats, since the decks play at one tempo even if
/// the parts do not have one. If the next track is left as soon as it begins, the window is empty: a cut.
pub fn end_before(track: &Track, next: &Track) -> f64 {
    let longest = next.beats(next.begin) * 60.0 / track.target_bpm;
    match track.end - track.begin > longest + TOLERANCE_SECONDS {
        true => track.begin + longest,
        false => track.end,
    }
}

/// Returns the tracks in the same order, with windows shortened so that fades do not overlap, and a sentence about each
/// that was.
pub fn without_overlaps(tracks: &[&Track]) -> (Vec<Track>, Vec<String>) {
    let mut remarks = Vec::new();
    let mut shortened = Vec::with_capacity(tracks.len());
    for (k, track) in tracks.iter().enumerate() {
        let end = tracks.get(k + 1).map_or(track.end, |next| end_before(track, next));
        if let Some(next) = tracks.get(k + 1).filter(|_| end < track.end) {
            let (from, to) = (track.beats(track.end - track.begin), track.beats(end - track.begin));
            remarks.push(format!(
                "line {}: the fade lasts {to:.2} beats instead of {from:.2}, because line {} follows and is left after \
                 as many",
                track.line, next.line
            ));
        }
        shortened.push(Track { end, ..(*track).clone() });
    }
    (shortened, remarks)
}

/// Returns a playlist (CSV): for each row its deck, its times and the columns of the set, in the order of the older
/// player's.
///
/// Columns of the set that have the name of one of the playlist's own are left out, so that a playlist which is played
/// gives a playlist again.
pub fn playlist(columns: &[String], rows: &[(char, Times, &Track)]) -> String {
    let rank = |name: &str| {
        let name = if name.ends_with(FULL) { FULL } else { name };
        let first = FIRST_COLUMNS.iter().position(|first| *first == name);
        first.unwrap_or(FIRST_COLUMNS.len())
    };
    let mut copied: Vec<usize> = (0..columns.len()).filter(|k| !OWN_COLUMNS.contains(&columns[*k].as_str())).collect();
    copied.sort_by_key(|k| rank(&columns[*k]));
    let mut text = csv::line(OWN_COLUMNS.into_iter().chain(copied.iter().map(|k| columns[*k].as_str())));
    for (deck, times, track) in rows {
        let deck = deck.to_string();
        let own = [times.load, times.start, times.cue, times.end].map(shortest);
        let fields = copied.iter().map(|k| track.fields.get(*k).map_or("", String::as_str));
        text += &csv::line([deck.as_str()].into_iter().chain(own.iter().map(String::as_str)).chain(fields));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::runs;
    use crate::sets::track::Set;

    /// Returns the tracks that a run played, in its order.
    fn played<'a>(set: &'a Set, playlist: &Set) -> Vec<&'a Track> {
        let find = |part: &str| set.tracks.iter().find(|track| track.part_file == part).unwrap();
        playlist.tracks.iter().map(|track| find(&track.part_file)).collect()
    }

    fn column(set: &Set, name: &str) -> Vec<String> {
        let place = set.columns.iter().position(|column| column.trim_start_matches('\u{feff}') == name).unwrap();
        set.tracks.iter().map(|track| track.fields[place].clone()).collect()
    }

    fn tracks(rows: &[(f64, f64, f64)]) -> Vec<Track> {
        let rows: String = rows.iter().map(|(begin, end, bpm)| format!("a,{begin},{end},{bpm}\n")).collect();
        Set::parse(format!("part_file,begin_cue_adj,end_cue_adj,target_bpm\n{rows}").as_bytes()).unwrap().tracks
    }

    #[test]
    fn playlists_are_those_of_the_older_player() {
        let mut checked = 0;
        for run in runs::all() {
            let Some(expected) = runs::playlist(&run) else { continue };
            // One of the inputs was not kept: there the playlist itself is the set.
            let set = runs::set(&run).unwrap_or_else(|| expected.clone());
            let tracks = played(&set, &expected);
            let times = timetable(&tracks, runs::preload(&run));
            let rows: Vec<_> =
                "ABC".chars().cycle().zip(times).zip(tracks).map(|((d, t), track)| (d, t, track)).collect();
            let text = playlist(&set.columns, &rows);
            let written = Set::parse(text.as_bytes()).unwrap();
            for name in OWN_COLUMNS.iter().skip(1) {
                for (ours, theirs) in column(&written, name).iter().zip(column(&expected, name)) {
                    let difference = ours.parse::<f64>().unwrap() - theirs.parse::<f64>().unwrap();
                    assert!(difference.abs() < 1e-6, "{run:?}: {name} {ours} {theirs}");
                }
            }
            // With a BOM the older player did not recognise the first column and put it elsewhere.
            if run["csv"] == "bom.csv" {
                for name in written.columns.iter() {
                    assert_eq!(column(&written, name), column(&expected, name), "{name}");
                }
            } else {
                assert_eq!(text.as_bytes(), runs::playlist_bytes(&run).unwrap(), "{run:?}");
            }
            checked += 1;
        }
        assert_eq!(checked, 13);
    }

    #[test]
    fn tracks_begin_when_those_of_the_older_player_were_meant_to() {
        let mut checked = 0;
        for run in runs::all() {
            let (Some(expected), Some(messages)) = (runs::playlist(&run), run["messages"].as_array()) else { continue };
            let started: Vec<f64> =
                messages.iter().filter(|m| m[1] == "/start_group").map(|m| m[0].as_f64().unwrap()).collect();
            if started.is_empty() {
                continue;
            }
            let set = runs::set(&run).unwrap_or_else(|| expected.clone());
            let times = timetable(&played(&set, &expected), runs::preload(&run));
            assert_eq!(started.len(), times.len());
            for k in 1..times.len() {
                // The older player started a track with the second of a fade's 41 steps, but not before the previous
                // fade was over and the track was loaded.
                let (before, now) = (times[k - 1], times[k]);
                let step = now.start + (before.end - before.cue) / 40.0;
                let free = if k >= 2 { times[k - 2].end } else { step };
                let late = step.max(free).max(now.load) - now.start;
                let difference = (started[k] - late - started[0]) - (now.start - times[0].start.max(0.0));
                assert!(difference.abs() < 0.05, "{run:?}: track {k} begins {difference} s late");
                checked += 1;
            }
        }
        assert!(checked > 30, "{checked}");
    }

    #[test]
    fn the_set_of_the_first_run_has_its_length() {
        let run = runs::all().into_iter().find(|run| run["playlist"] == "main-seed1.playlist.csv").unwrap();
        let set = runs::set(&run).unwrap();
        let times = timetable(&played(&set, &runs::playlist(&run).unwrap()), 1.0);
        assert!((times.last().unwrap().end - times[0].start - 70.53).abs() < 0.005);
    }

    #[test]
    fn windows_are_shortened_where_fades_would_overlap() {
        let set =
            tracks(&[(4.0, 8.0, 120.0), (2.0, 6.0, 120.0), (4.0, 6.0, 60.0), (0.0, 2.0, 120.0), (3.0, 5.0, 120.0)]);
        let (shortened, remarks) = without_overlaps(&set.iter().collect::<Vec<_>>());
        let ends: Vec<_> = shortened.iter().map(|track| track.end).collect();
        // The third track is left after four beats, which are two seconds of the second.
        assert_eq!(ends, [6.0, 4.0, 4.0, 2.0, 5.0]);
        assert_eq!(
            remarks[0],
            "line 2: the fade lasts 4.00 beats instead of 8.00, because line 3 follows and is left after as many"
        );
        assert_eq!(remarks.len(), 3);
        let again = without_overlaps(&shortened.iter().collect::<Vec<_>>());
        assert_eq!(again, (shortened, Vec::new()));
        assert_eq!(without_overlaps(&[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn no_two_fades_overlap() {
        let mut below = runs::random(9);
        for _ in 0..200 {
            let rows: Vec<_> = (0..9)
                .map(|_| {
                    let begin = below(90) as f64 / 7.0;
                    (begin, begin + 0.5 + below(90) as f64 / 7.0, 122.5)
                })
                .collect();
            let set = tracks(&rows);
            let (shortened, _) = without_overlaps(&set.iter().collect::<Vec<_>>());
            let times = timetable(&shortened.iter().collect::<Vec<_>>(), 1.0);
            assert_eq!(times.len(), 9);
            assert!(times.windows(2).all(|pair| pair[0].end <= pair[1].cue + 2e-6 && pair[0].end >= pair[0].cue));
        }
    }

    #[test]
    fn a_playlist_has_its_columns_in_order_and_its_fields_quoted() {
        let text = "x,duration_sectioned,deck,end_cue_adj_full,end_cue_adj,part_file,begin_cue_adj,bpm\n\
                    \"1, 2\",0:06.00,B,9,6,a.wav,4,120\n";
        let set = Set::parse(text.as_bytes()).unwrap();
        let times = Times { load: 0.0, start: 1.0, cue: 5.0, end: 1e-5 };
        assert_eq!(
            playlist(&set.columns, &[('D', times, &set.tracks[0])]),
            "deck,load_at,start_playing_at,next_song_cue,end_playing_at,\
             part_file,bpm,begin_cue_adj,end_cue_adj,end_cue_adj_full,duration_sectioned,x\r\n\
             D,0.0,1.0,5.0,1e-05,a.wav,120,4,6,9,0:06.00,\"1, 2\"\r\n"
        );
        assert_eq!(playlist(&[], &[]), "deck,load_at,start_playing_at,next_song_cue,end_playing_at\r\n");
    }
}
