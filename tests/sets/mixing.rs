//! How tracks are mixed, and how many of them are played.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use super::heard::{assert_sounds, numbered, other, ticks};
use super::run::{announced, listened, rendered};
use super::tables::{FIRST, Row, files, short, table, tick};
use crate::common::{Scratch, Sound};

/// A beat of the tables here, in seconds.
const BEAT: f64 = 0.25;
/// Pitches of a track without ticks, in Hz: below the bass's crossover, and far above.
const LOW: f64 = 60.0;
const HIGH: f64 = 3_000.0;

fn tones(_: &Row, _: usize, t: f64) -> f64 {
    0.2 * ((TAU * LOW * t).sin() + (TAU * HIGH * t).sin())
}

/// Levels of two tracks around their fade, as shares of the level at which each plays alone.
struct Fade {
    /// The one that goes, on the left, and the one that comes.
    channels: [Sound; 2],
    full: [f64; 2],
    /// Second at which the fade is to begin.
    begins: f64,
}

impl Fade {
    /// Renders three tracks of eight beats with windows of four, and looks at the first fade.
    fn render(scratch: &Scratch, table: &Path, args: &[&str]) -> Fade {
        rendered(scratch, table, args);
        let sound = Sound::read(&scratch.path("out.wav"));
        let onset = sound.onset(0).unwrap() as f64 / f64::from(sound.rate);
        assert!(onset < 0.1, "{args:?}: the set begins at {onset} s");
        let begins = onset + 8.0 * BEAT;
        let right = other(&sound);
        let full = [sound.tone(HIGH, 0.5, 1.5), right.tone(HIGH, begins + 1.2, begins + 1.9)];
        assert!(full.iter().all(|level| (0.1..0.25).contains(level)), "{args:?}: {full:?}");
        Fade { channels: [sound, right], full, begins }
    }

    /// Gains of both at some beats after the fade's beginning.
    fn gains(&self, beats: f64) -> [f64; 2] {
        let at = self.begins + beats * BEAT;
        [0, 1].map(|k| self.channels[k].tone(HIGH, at - 0.006, at + 0.006) / self.full[k])
    }

    /// Beats after its beginning at which the gain of one passes a value.
    fn passes(&self, track: usize, gain: f64) -> f64 {
        let beats = |step: u32| f64::from(step) * 0.02 - 1.0;
        let is_beyond = |step: &u32| (self.gains(beats(*step))[track] >= gain) == (track == 1);
        beats((0..500).find(is_beyond).unwrap_or_else(|| panic!("the gain of track {track} never passes {gain}")))
    }
}

fn three(scratch: &Scratch, more: f64) -> PathBuf {
    table(scratch, &[short(8.0, 4.0, more); 3], &[], 0.0, tones)
}

#[test]
fn a_set_ends_after_so_many_tracks_or_minutes() {
    let scratch = Scratch::new("sets-limits");
    let rows = [short(8.0, 4.0, 0.0); 4];
    let whole = table(&scratch, &rows, &[], 0.0, tick);
    // Tracks begin after 0, 2, 4 and 6 seconds.
    for (args, count) in [
        (["--limit", "1"], 1),
        (["--limit", "2"], 2),
        (["--limit", "9"], 4),
        (["--minutes", "0.01"], 1),
        (["--minutes", "0.05"], 2),
        (["--minutes", "0.085"], 3),
        (["--minutes", "10080"], 4),
    ] {
        let (sound, list) = listened(&scratch, &whole, &args);
        assert_sounds(&sound, &numbered(&rows[..count]), 240.0, &args.join(" "));
        let (names, last) = (list.iter().map(|line| line.file.clone()), &list[count - 1]);
        assert!(names.eq(files(&[0, 1, 2, 3][..count])), "{args:?}: {list:?}");
        assert!((last.end - last.cue - 1.0).abs() < 0.002 && last.end > last.cue, "{args:?}: {last:?}");
        let planned: Vec<_> = announced(&scratch, &whole, &args).into_iter().map(|(_, file)| file).collect();
        assert_eq!(planned, files(&[0, 1, 2, 3][..count]), "{args:?}");
    }
    // One that is missing does not count.
    std::fs::remove_file(scratch.path("part0.wav")).unwrap();
    let (_, list) = listened(&scratch, &whole, &["--limit", "2"]);
    assert!(list.iter().map(|line| line.file.clone()).eq(files(&[1, 2])), "{list:?}");
}

#[test]
fn tracks_play_on_two_three_or_four_decks() {
    let scratch = Scratch::new("sets-decks");
    let rows = [short(8.0, 4.0, 0.0); 6];
    let table = table(&scratch, &rows, &[], 0.0, tick);
    let mut same = Vec::new();
    for (args, decks) in [
        (&[][..], "ABCABC"),
        (&["--decks", "ab"], "ABABAB"),
        (&["--decks", "abc"], "ABCABC"),
        (&["--decks", "abcd"], "ABCDAB"),
    ] {
        let (sound, list) = listened(&scratch, &table, args);
        assert_eq!(list.iter().map(|line| line.deck.as_str()).collect::<String>(), decks, "{args:?}");
        assert_sounds(&sound, &numbered(&rows), 240.0, decks);
        let planned: String = announced(&scratch, &table, args).into_iter().map(|(deck, _)| deck).collect();
        assert_eq!(planned, decks, "{args:?}");
        same.push(sound.left);
    }
    assert!(same[0] == same[2], "abc is not what is usual");
}

#[test]
fn fades_last_as_many_bars_as_asked_for() {
    let scratch = Scratch::new("sets-bars");
    let table = three(&scratch, 8.0);
    for (bars, beats) in [("auto", 4.0), ("0.5", 2.0), ("1", 4.0), ("1.5", 6.0)] {
        let args = ["--curve", "linear", "--fade", bars];
        let fade = Fade::render(&scratch, &table, &args);
        for (track, [early, late]) in [(0, [0.75, 0.25]), (1, [0.25, 0.75])] {
            let (early, late) = (fade.passes(track, early), fade.passes(track, late));
            let length = 2.0 * (late - early);
            assert!((length - beats).abs() < 0.05 * beats, "{args:?}: track {track} fades within {length:.2} beats");
            let begins = early - 0.25 * beats;
            assert!(begins.abs() < 0.06, "{args:?}: track {track} fades {begins:.2} beats beside its cue");
        }
        // It is gone afterwards, and the other was not there before.
        assert!(fade.gains(beats + 0.1)[0] < 1e-3 && fade.gains(-0.1)[1] < 1e-3, "{args:?}");
    }
}

#[test]
fn fades_follow_their_curve() {
    let scratch = Scratch::new("sets-curves");
    let table = three(&scratch, 0.0);
    let fade = |curve: &str| Fade::render(&scratch, &table, &["--curve", curve]);
    let inside: Vec<f64> = (1..40).map(|k| 0.1 * f64::from(k)).collect();
    let linear = fade("linear");
    for beats in &inside {
        let [goes, comes] = linear.gains(*beats);
        assert!((goes + comes - 1.0).abs() < 0.02, "{goes:.3} + {comes:.3} after {beats:.1} beats");
        assert!((comes - beats / 4.0).abs() < 0.03, "{comes:.3} after {beats:.1} beats");
    }
    let power = fade("power");
    for beats in &inside {
        let [goes, comes] = power.gains(*beats);
        assert!((goes.hypot(comes) - 1.0).abs() < 0.02, "{goes:.3} and {comes:.3} after {beats:.1} beats");
    }
    let cut = fade("cut");
    let near = |gains: [f64; 2], wanted: [f64; 2]| gains.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.01);
    // The measurement itself takes six milliseconds to each side.
    let seconds = |seconds: f64| seconds / BEAT;
    assert!(near(cut.gains(seconds(-0.007)), [1.0, 0.0]), "before the cut: {:?}", cut.gains(seconds(-0.007)));
    assert!(near(cut.gains(seconds(0.017)), [0.0, 1.0]), "after the cut: {:?}", cut.gains(seconds(0.017)));
    for beats in inside {
        assert!(near(cut.gains(beats), [0.0, 1.0]), "{beats:.1} beats after the cut: {:?}", cut.gains(beats));
    }
    // A second later the next one plays alone: no level is left behind.
    assert!(near(cut.gains(6.0), [0.0, 1.0]));
}

#[test]
fn the_bass_changes_hands_or_stays() {
    let scratch = Scratch::new("sets-bass");
    let table = three(&scratch, 0.0);
    // Bass of both within the first half of the fade, and the second.
    let bass = |args: &[&str]| {
        let fade = Fade::render(&scratch, &table, args);
        let level = |k: usize, from: f64, to: f64| {
            let sound: &Sound = &fade.channels[k];
            let at = |beats: f64| fade.begins + beats * BEAT;
            sound.tone(LOW, at(from), at(to)) / sound.tone(HIGH, at(from), at(to)).max(1e-9)
        };
        [level(0, 0.4, 1.4), level(1, 0.4, 1.4), level(0, 2.6, 3.6), level(1, 2.6, 3.6)]
    };
    let near = |share: f64| (share - 1.0).abs() < 0.05;
    for args in [&[][..], &["--eq", "swap"]] {
        let [goes, comes, gone, came] = bass(args);
        assert!(near(goes) && comes < 0.02 && gone < 0.02 && near(came), "{args:?}: {goes} {comes} {gone} {came}");
    }
    let none = bass(&["--eq", "none"]);
    assert!(none.into_iter().all(near), "{none:?}");
}

#[test]
fn tracks_begin_on_a_beat_a_bar_or_the_cue_itself() {
    let scratch = Scratch::new("sets-align");
    // Cuts leave the first tick of each as it is.
    let rows = [9.6, 10.4, 9.6].map(|cue| short(cue, 4.0, 4.0));
    let table = table(&scratch, &rows, &[], 0.0, tick);
    for (align, starts) in [
        (&[][..], [0.0, 10.0, 20.0]),
        (&["--align", "beat"], [0.0, 10.0, 20.0]),
        (&["--align", "bar"], [0.0, 8.0, 20.0]),
        (&["--align", "none"], [0.0, 9.6, 20.0]),
    ] {
        let args = [align, &["--curve", "cut", "--eq", "none"]].concat();
        let (sound, list) = listened(&scratch, &table, &args);
        let channels = [ticks(&sound.left), ticks(&sound.right)];
        let first = channels[0][0] - FIRST * BEAT;
        for (k, beats) in starts.iter().enumerate() {
            let due = first + (beats + FIRST) * BEAT;
            // The one before has been silent since this one's beginning.
            let tick = channels[k % 2].iter().find(|tick| **tick > due - 0.4 * BEAT).unwrap();
            let off = (tick - due) * 1e3;
            assert!(off.abs() < 1.0, "{args:?}: track {k} begins {off:.2} ms off");
            let listed = list[k].start - list[0].start - beats * BEAT;
            assert!(listed.abs() < 0.002, "{args:?}: {:?}", list[k]);
            let between = channels[k % 2].iter().filter(|tick| **tick > due - 1.4 * BEAT && **tick < due - 0.1 * BEAT);
            assert_eq!(between.count(), 0, "{args:?}: ticks before track {k} begins");
        }
    }
}

#[test]
fn a_render_with_a_limit_begins_as_the_whole_does() {
    let scratch = Scratch::new("sets-limit-same");
    let table = table(&scratch, &[short(8.0, 4.0, 0.0); 3], &[], 0.0, tick);
    rendered(&scratch, &table, &[]);
    let whole = Sound::read(&scratch.path("out.wav"));
    rendered(&scratch, &table, &["--limit", "2"]);
    let part = Sound::read(&scratch.path("out.wav"));
    // Up to the second cue.
    let frames = (4.0 * f64::from(whole.rate)) as usize - 480;
    assert!(whole.left[..frames] == part.left[..frames] && whole.right[..frames] == part.right[..frames]);
}
