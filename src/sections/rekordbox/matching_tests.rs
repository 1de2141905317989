//! Tests of which track belongs to which path.

use std::path::Path;

use super::{Certainty, Collection, Matcher, Track};

/// What becomes of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// The older exporter found the track too.
    Same,
    /// It did not, but only the spelling differs.
    Spelled,
    Guess(Certainty),
    No,
}
use Expected::{Guess, No, Same, Spelled};

/// A track's name, its `Location` as written in XML, the path that is looked up, and what becomes of it.
const LOCATIONS: [(&str, &str, &str, Expected); 42] = [
    ("01-plain", "file://localhost/Users/dj/Music/set/plain.wav", "/Users/dj/Music/set/plain.wav", Same),
    ("02-space", "file://localhost/Users/dj/Music/set/with%20space.wav", "/Users/dj/Music/set/with space.wav", Same),
    (
        "03-nfc-upper-hex",
        "file://localhost/Users/dj/Music/set/caf%C3%A9%203.wav",
        "/Users/dj/Music/set/café 3.wav",
        Same,
    ),
    (
        "04-nfc-lower-hex",
        "file://localhost/Users/dj/Music/set/caf%c3%a9%204.wav",
        "/Users/dj/Music/set/café 4.wav",
        Same,
    ),
    (
        "05-json-nfd-xml-nfc",
        "file://localhost/Users/dj/Music/set/caf%c3%a9%205.wav",
        "/Users/dj/Music/set/cafe\u{301} 5.wav",
        Spelled,
    ),
    (
        "06-json-nfc-xml-nfd",
        "file://localhost/Users/dj/Music/set/cafe%cc%81%206.wav",
        "/Users/dj/Music/set/café 6.wav",
        Spelled,
    ),
    (
        "07-both-nfd",
        "file://localhost/Users/dj/Music/set/cafe%cc%81%207.wav",
        "/Users/dj/Music/set/cafe\u{301} 7.wav",
        Same,
    ),
    ("08-plus", "file://localhost/Users/dj/Music/set/a+b%208.wav", "/Users/dj/Music/set/a+b 8.wav", Same),
    ("09-plus-encoded", "file://localhost/Users/dj/Music/set/a%2Bb%209.wav", "/Users/dj/Music/set/a+b 9.wav", Same),
    (
        "10-ampersand-encoded",
        "file://localhost/Users/dj/Music/set/rock%20%26%20roll%2010.wav",
        "/Users/dj/Music/set/rock & roll 10.wav",
        Same,
    ),
    (
        "11-ampersand-entity",
        "file://localhost/Users/dj/Music/set/rock%20&amp;%20roll%2011.wav",
        "/Users/dj/Music/set/rock & roll 11.wav",
        Same,
    ),
    ("12-apostrophe", "file://localhost/Users/dj/Music/set/it%27s%2012.wav", "/Users/dj/Music/set/it's 12.wav", Same),
    ("13-no-host", "file:///Users/dj/Music/set/13.wav", "/Users/dj/Music/set/13.wav", Same),
    ("14-one-slash", "file:/Users/dj/Music/set/14.wav", "/Users/dj/Music/set/14.wav", Spelled),
    ("15-bare-path", "/Users/dj/Music/set/15.wav", "/Users/dj/Music/set/15.wav", Same),
    ("16-bare-relative", "Users/dj/Music/set/16.wav", "/Users/dj/Music/set/16.wav", Same),
    ("17-windows-backslash", "file://localhost/C:/Users/dj/Music/17.wav", "C:\\Users\\dj\\Music\\17.wav", Spelled),
    ("18-windows-slash", "file://localhost/C:/Users/dj/Music/18.wav", "C:/Users/dj/Music/18.wav", Spelled),
    ("19-windows-with-slash", "file://localhost/C:/Users/dj/Music/19.wav", "/C:/Users/dj/Music/19.wav", Same),
    ("20-case", "file://localhost/Users/dj/Music/set/upper%2020.WAV", "/users/DJ/music/SET/Upper 20.wav", Same),
    ("21-scheme-upper", "FILE://localhost/Users/dj/Music/set/21.wav", "/Users/dj/Music/set/21.wav", Spelled),
    ("22-host-upper", "file://LOCALHOST/Users/dj/Music/set/22.wav", "/Users/dj/Music/set/22.wav", Spelled),
    ("23-percent", "file://localhost/Users/dj/Music/set/100%25%2023.wav", "/Users/dj/Music/set/100% 23.wav", Same),
    (
        "24-decoded-once",
        "file://localhost/Users/dj/Music/set/a%2520b%2024.wav",
        "/Users/dj/Music/set/a%20b 24.wav",
        Same,
    ),
    ("25-stray-percent", "file://localhost/Users/dj/Music/set/50%%2025.wav", "/Users/dj/Music/set/50% 25.wav", Same),
    ("26-double-slash", "file://localhost/Users//dj/Music/./set/26.wav", "/Users/dj/Music/set/26.wav", Same),
    ("27-dot-dot", "file://localhost/Users/dj/Music/other/../set/27.wav", "/Users/dj/Music/set/27.wav", Spelled),
    ("28-server", "file://nas/share/28.wav", "//nas/share/28.wav", Spelled),
    ("29-volume", "file://localhost/Volumes/USB%20STICK/29.wav", "/Volumes/USB STICK/29.wav", Same),
    ("30-moved", "file://localhost/Users/dj/Music/set/30.wav", "/mnt/music/30.wav", Guess(Certainty::Name)),
    ("31-latin1", "file://localhost/Users/dj/Music/set/caf%e9%2031.wav", "/Users/dj/Music/set/café 31.wav", Spelled),
    ("32-tilde", "file://localhost/Users/dj/Music/set/32.wav", "~/Music/set/32.wav", Same),
    ("33-spaces-around", "  file://localhost/Users/dj/Music/set/33.wav ", "/Users/dj/Music/set/33.wav", Same),
    ("34-hash", "file://localhost/Users/dj/Music/set/a#b%2034.wav", "/Users/dj/Music/set/a#b 34.wav", Same),
    ("35-question", "file://localhost/Users/dj/Music/set/why%3f%2035.wav", "/Users/dj/Music/set/why? 35.wav", Same),
    ("36-relative", "file://localhost/Users/dj/Music/set/36.wav", "set/36.wav", Guess(Certainty::Tail)),
    (
        "37-sharp-s",
        "file://localhost/Users/dj/Music/set/stra%c3%9fe%2037.wav",
        "/Users/dj/Music/set/STRASSE 37.wav",
        No,
    ),
    (
        "38-upper-umlaut",
        "file://localhost/Users/dj/Music/set/%c3%bcber%2038.wav",
        "/Users/dj/Music/set/ÜBER 38.wav",
        Same,
    ),
    ("39-not-in-xml", "", "/Users/dj/Music/set/39.wav", No),
    ("40-empty-location", "", "/Users/dj/Music/set/40.wav", No),
    (
        "41-other-extension",
        "file://localhost/Users/dj/Music/set/41.mp3",
        "/Users/dj/Music/set/41.wav",
        Guess(Certainty::Stem),
    ),
    ("42-stem", "file://localhost/Users/dj/Music/set/42.wav", "/Users/dj/Music/set/stems/42/vocals.wav", No),
];

fn track(name: &str, location: &str, seconds: Option<f64>, bpm: Option<f64>) -> Track {
    Track { name: name.into(), location: location.into(), seconds, bpm, ..Track::default() }
}

fn collection(tracks: impl IntoIterator<Item = Track>) -> Collection {
    let mut found = Collection { tracks: tracks.into_iter().collect(), remarks: Vec::new() };
    for (track, line) in found.tracks.iter_mut().zip(1..) {
        track.line = line;
    }
    found
}

/// Returns the collection of [`LOCATIONS`], whose tracks all last a minute.
fn locations() -> Collection {
    let tracks = LOCATIONS.iter().filter(|row| row.0 != "39-not-in-xml").map(|(name, location, _, _)| {
        format!("<TRACK Name=\"{name}\" TotalTime=\"60\" AverageBpm=\"120\" Location=\"{location}\"/>\n")
    });
    let text = format!("<DJ_PLAYLISTS><COLLECTION>{}</COLLECTION></DJ_PLAYLISTS>", tracks.collect::<String>());
    Collection::parse(text.as_bytes()).unwrap()
}

#[test]
fn locations_meet_their_paths_and_no_others() {
    let collection = locations();
    let matcher = Matcher::new(&collection, Some(Path::new("/Users/dj")));
    for (name, _, path, expected) in LOCATIONS {
        let found = matcher.find(path, Some(59.6));
        assert!(found.is_none_or(|found| found.track.name == name), "{name}: {found:?}");
        let certainty = match expected {
            Same | Spelled => Some(Certainty::Exact),
            Guess(certainty) => Some(certainty),
            No => None,
        };
        assert_eq!(found.map(|found| found.certainty), certainty, "{name}");
        // Without a duration, names are enough; a wrong one rules out what only the name tells.
        let certainty_of = |seconds| matcher.find(path, seconds).map(|found| found.certainty);
        assert_eq!(certainty_of(None), certainty, "{name}");
        let named = matches!(certainty, Some(Certainty::Name | Certainty::Stem));
        assert_eq!(certainty_of(Some(16.0)), certainty.filter(|_| !named), "{name}");
    }
    let count = |wanted: fn(Expected) -> bool| LOCATIONS.iter().filter(|row| wanted(row.3)).count();
    assert_eq!(count(|expected| expected == Same), 25);
    assert_eq!(count(|expected| expected == Spelled), 10);
    assert_eq!(count(|expected| matches!(expected, Guess(_))), 3);
}

#[test]
fn the_longest_common_tail_must_be_unique() {
    let collection = collection([
        track("one", "/a/set/disc/x.wav", None, None),
        track("two", "/b/set/disc/x.wav", None, None),
        track("three", "/b/other/disc/x.wav", None, None),
        track("four", "/b/other/disc/xx.wav", None, None),
    ]);
    let matcher = Matcher::new(&collection, None);
    let find = |path: &str| matcher.find(path, Some(1.0)).map(|found| (&*found.track.name, found.certainty));
    assert_eq!(find("/mnt/other/disc/x.wav"), Some(("three", Certainty::Tail)));
    assert_eq!(find("/mnt/set/disc/x.wav"), None);
    assert_eq!(find("/mnt/disc/x.wav"), None);
    assert_eq!(find("/mnt/a/set/disc/x.wav"), Some(("one", Certainty::Tail)));
    assert_eq!(find("b/set/disc/x.wav"), Some(("two", Certainty::Tail)));
    assert_eq!(find("../other/disc/x.wav"), Some(("three", Certainty::Tail)));
    assert_eq!(find("isc/xx.wav"), None);
    assert_eq!(find("disc/xx.wav"), Some(("four", Certainty::Tail)));
    assert_eq!(find("/b/other/disc/x.wav"), Some(("three", Certainty::Exact)));
    assert_eq!(find("disc"), None);
    assert_eq!(find(""), None);
}

#[test]
fn names_need_a_unique_duration() {
    let collection = collection([
        track("one", "/a/x.wav", Some(60.0), None),
        track("two", "/b/x.wav", Some(61.5), None),
        track("three", "/c/x.wav", None, None),
        track("four", "/c/x.aiff", Some(90.0), None),
        track("five", "/c/y.aiff", None, None),
    ]);
    let matcher = Matcher::new(&collection, None);
    let find = |path: &str, seconds| matcher.find(path, seconds).map(|found| (&*found.track.name, found.certainty));
    assert_eq!(find("/q/x.wav", Some(59.0)), Some(("one", Certainty::Name)));
    assert_eq!(find("/q/x.wav", Some(62.5)), Some(("two", Certainty::Name)));
    assert_eq!(find("/q/x.wav", Some(60.7)), None);
    assert_eq!(find("/q/x.wav", Some(58.9)), None);
    assert_eq!(find("/q/x.wav", Some(90.4)), Some(("four", Certainty::Stem)));
    assert_eq!(find("/q/x.wav", None), None);
    assert_eq!(find("/q/x.aiff", None), Some(("four", Certainty::Name)));
    assert_eq!(find("/q/y.wav", None), Some(("five", Certainty::Stem)));
    assert_eq!(find("/q/y.wav", Some(1.0)), None);
    assert_eq!(find("/q/y.wav", Some(f64::INFINITY)), Some(("five", Certainty::Stem)));
}

#[test]
fn the_last_claim_with_a_tempo_counts() {
    let keyed = |tonality: &str, mut track: Track| {
        track.tonality = tonality.into();
        track
    };
    let collection = collection([
        keyed("Gm", track("one", "/a.wav", None, Some(120.0))),
        keyed("Am", track("two", "file:///A.wav", None, Some(122.5))),
        keyed("", track("three", "FILE://localhost/a.wav", None, Some(122.5))),
        keyed("Cm", track("four", "/a.wav", Some(60.0), None)),
        track("five", "/b.wav", None, Some(1.0)),
        track("six", "/b.wav", None, Some(1.0)),
        track("seven", "/c.wav", None, None),
        track("eight", "/c.wav", None, None),
    ]);
    let matcher = Matcher::new(&collection, None);
    let found = matcher.find("/a.wav", None).unwrap();
    assert_eq!((&*found.track.name, found.tonality), ("three", "Cm"));
    assert_eq!(matcher.find("/q/a.wav", Some(60.0)).unwrap().track.name, "three");
    assert_eq!(matcher.find("/c.wav", None).unwrap().track.name, "eight");
    assert_eq!(
        matcher.conflicts(),
        ["'FILE://localhost/a.wav' is claimed by TRACK \"one\" (line 1) with 120 BPM, TRACK \"two\" (line 2) with \
          122.5 BPM, TRACK \"three\" (line 3) with 122.5 BPM; the one in line 3 counts"]
    );
}

#[test]
fn many_conflicting_claims_make_a_short_line() {
    let tracks = (1..=1000).map(|bpm| track("x", "/a.wav", None, Some(f64::from(bpm))));
    let collection = collection(tracks);
    let lines = Matcher::new(&collection, None).conflicts();
    assert!(lines[0].ends_with("with 5 BPM and 995 more; the one in line 1000 counts"), "{lines:?}");
}

#[test]
fn bytes_that_may_be_latin1_count_only_if_nothing_else_fits() {
    let collection = collection([
        track("latin", "/caf%e9.wav", None, None),
        track("utf8", "/caf%C3%A9.wav", None, None),
        track("other", "/caf%e8.wav", None, None),
        track("lone", "/%FF.wav", None, None),
    ]);
    let matcher = Matcher::new(&collection, None);
    let find = |path: &str| matcher.find(path, None).map(|found| (&*found.track.name, found.certainty));
    assert_eq!(find("/café.wav"), Some(("utf8", Certainty::Exact)));
    assert_eq!(find("/cafè.wav"), Some(("other", Certainty::Exact)));
    // What stands for undecodable bytes is certain only where one file has it.
    assert_eq!(find("/caf\u{fffd}.wav"), None);
    assert_eq!(find("/\u{fffd}.wav"), Some(("lone", Certainty::Exact)));
}
