//! Playlists: what was played, and in which order.

use super::heard::{assert_begin, assert_sounds};
use super::run::{announced, listed, listened, play_set, rendered};
use super::tables::{Row, files, row, short, table, tick};
use crate::common::{Scratch, Sound};

/// Difference of two times in a playlist that does not count, in seconds.
const NEAR: f64 = 0.002;

fn header(text: &str) -> &str {
    text.lines().next().unwrap()
}

#[test]
fn a_playlist_says_what_was_played() {
    let scratch = Scratch::new("sets-list");
    // (cue, window, tempo); the third is missing, and the fourth's cue comes before the second's window would be over.
    let mixed = [(8.0, 4.0, 240.0), (12.0, 8.0, 250.0), (8.0, 4.0, 240.0), (5.0, 3.0, 230.0), (8.0, 4.0, 240.0)];
    let rows = mixed.map(|(cue, window, bpm)| row(cue, window, bpm));
    let table = table(&scratch, &rows, &[2], 0.0, tick);
    let (sound, list) = listened(&scratch, &table, &[]);
    let left: Vec<(usize, Row)> = [0, 1, 3, 4].map(|track| (track, rows[track])).into();
    let names: Vec<_> = list.iter().map(|line| line.file.clone()).collect();
    assert_eq!(names, files(&[0, 1, 3, 4]));
    assert_eq!(list.iter().map(|line| line.deck.as_str()).collect::<Vec<_>>(), ["A", "B", "C", "A"]);

    // The clock has the first one's tempo.
    let beat = 0.25;
    assert_eq!(list[0].load, 0.0);
    for (k, (line, (_, row))) in list.iter().zip(&left).enumerate() {
        let window = row.window.min(left.get(k + 1).map_or(f64::INFINITY, |(_, next)| next.cue));
        assert!(line.load <= line.start, "{line:?}");
        assert!((line.cue - line.start - row.cue * beat).abs() < NEAR, "{line:?}");
        assert!((line.end - line.cue - window * beat).abs() < NEAR, "a window of {window} beats: {line:?}");
        if let Some(next) = list.get(k + 1) {
            assert_eq!(line.cue, next.start, "{line:?}");
            assert!(next.load > line.load && next.load < next.start, "{line:?} {next:?}");
        }
    }
    // It is what is heard.
    assert_sounds(&sound, &left, 240.0, "with a list");
    let begin: Vec<_> = left.iter().zip(&list).map(|((track, _), line)| (*track, line.start)).collect();
    assert_begin(&sound, &begin, 240.0, 2.0, "by the list");

    // It has the columns of a plan of the same set, and reads as a set of which the same is heard.
    let planned = scratch.path("planned.csv");
    let run = play_set(&scratch, &table, &["--dry-run", "--playlist-out", planned.to_str().unwrap()]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = std::fs::read_to_string(scratch.path("list.csv")).unwrap();
    let planned_text = std::fs::read_to_string(&planned).unwrap();
    assert_eq!(header(&text), header(&planned_text));
    let copied = |text: &str, file: &str| {
        let line = text.lines().find(|line| line.contains(file)).unwrap();
        line.split(',').skip(5).map(String::from).collect::<Vec<_>>()
    };
    names.iter().for_each(|file| assert_eq!(copied(&text, file), copied(&planned_text, file)));
    assert!(text.lines().all(|line| line.split(',').count() == header(&text).split(',').count()), "{text}");
    let again: Vec<_> = announced(&scratch, &scratch.path("list.csv"), &[]).into_iter().map(|(_, file)| file).collect();
    assert_eq!(again, names);
    let list = std::fs::copy(scratch.path("list.csv"), scratch.path("again.csv")).map(|_| scratch.path("again.csv"));
    let (sound, _) = listened(&scratch, &list.unwrap(), &[]);
    assert_sounds(&sound, &left, 240.0, "a list that is played");
}

#[test]
fn a_playlist_is_written_over_nothing_that_is_read() {
    let scratch = Scratch::new("sets-list-over");
    let table = table(&scratch, &[short(4.0, 2.0, 0.0)], &[], 0.0, tick);
    let before = std::fs::read(&table).unwrap();
    for (render, list) in [("out.wav", "set.csv"), ("out.wav", "out.wav"), ("set.csv", "list.csv"), ("part0.wav", "l")]
    {
        let run = play_set(&scratch, &table, &["--render", render, "--playlist-out", list]);
        assert_eq!(run.status.code(), Some(2), "{render} {list}: {}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(std::fs::read(&table).unwrap(), before, "{render} {list}");
    }
    let run = play_set(&scratch, &table, &["--dry-run", "--playlist-out", "set.csv"]);
    assert_eq!((run.status.code(), std::fs::read(&table).unwrap() == before), (Some(2), true), "a plan over its set");
    let run = play_set(&scratch, &table, &["--render", "out.wav", "--playlist-out", "none/list.csv"]);
    assert!(!run.status.success(), "a list that cannot be written");
}

#[test]
fn a_long_playlist_is_complete() {
    let scratch = Scratch::new("sets-list-long");
    // More than two answers' worth, of the same two parts.
    let table = table(&scratch, &[row(2.0, 1.0, 400.0); 2], &[], 0.0, |_, _, _| 0.1);
    let text = std::fs::read_to_string(&table).unwrap();
    let mut lines = text.lines();
    let first = lines.next().unwrap();
    let rows = lines.collect::<Vec<_>>().repeat(60);
    let rows: Vec<_> = rows.iter().enumerate().map(|(k, row)| format!("{row},row {k}\r\n")).collect();
    std::fs::write(&table, format!("{first},note\r\n{}", rows.concat())).unwrap();
    let (_, list) = listened(&scratch, &table, &[]);
    let expected = files(&(0..120).map(|k| k % 2).collect::<Vec<_>>());
    assert_eq!(list.iter().map(|line| line.file.clone()).collect::<Vec<_>>(), expected);
    for pair in list.windows(2) {
        assert!((pair[1].start - pair[0].start - 0.3).abs() < NEAR, "{pair:?}");
    }
    // What else the table says about a part that is played twice is that of its row.
    let text = std::fs::read_to_string(scratch.path("list.csv")).unwrap();
    let notes: Vec<_> = text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().to_string()).collect();
    assert_eq!(notes, (0..120).map(|k| format!("row {k}")).collect::<Vec<_>>());
}

#[test]
fn a_seed_gives_one_render_and_the_order_that_was_announced() {
    let scratch = Scratch::new("sets-seeds");
    let rows = [118.0, 125.0, 119.0, 124.0, 121.0, 122.0].map(|original| Row { original, ..short(4.0, 2.0, 0.0) });
    let table = table(&scratch, &rows, &[], 0.0, tick);
    let mut orders = Vec::new();
    for order in ["energy", "shuffle"] {
        let args = ["--order", order, "--seed", "5"];
        let list = scratch.path("list.csv");
        let with_list = [&args[..], &["--playlist-out", list.to_str().unwrap()]].concat();
        let (one, list_of_one) = (rendered(&scratch, &table, &with_list), std::fs::read(&list).unwrap());
        let (two, list_of_two) = (rendered(&scratch, &table, &with_list), std::fs::read(&list).unwrap());
        assert!(one == two, "{order}: two renders differ");
        assert!(list_of_one == list_of_two, "{order}: two playlists differ");
        assert!(rendered(&scratch, &table, &args) == one, "{order}: the playlist changes the render");
        let heard: Vec<_> = listed(&list).into_iter().map(|line| (line.deck, line.file)).collect();
        assert_eq!(announced(&scratch, &table, &args), heard, "{order}");
        let begin: Vec<_> = heard.iter().enumerate().map(|(k, (_, file))| (track(file), k as f64)).collect();
        assert_begin(&Sound::read(&scratch.path("out.wav")), &begin, 240.0, 1.0, order);
        orders.push(heard);
    }
    // Without movement, the fast ones come last.
    let mut last: Vec<_> = orders[0][4..].iter().map(|(_, file)| file.as_str()).collect();
    last.sort_unstable();
    assert_eq!(last, ["part1.wav", "part3.wav"]);
}

/// Returns the number of a part.
fn track(file: &str) -> usize {
    file.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}
