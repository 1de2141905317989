//! `grooved sections` beside the older exporter of sections: the oracle in `tests/data/sections`.
//!
//! The oracle holds what the older exporter did in 85 runs on made-up inputs. In each case a correct program does the
//! same, or what the case's `should` says instead. Broken, hidden and oddly named inputs are deliberate.

mod common;

/// Leaves a check with a message unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        let holds: bool = $holds;
        if !holds {
            return Err(format!($($message)+));
        }
    };
}

#[path = "sections/clicks.rs"]
mod clicks;
#[path = "sections/differ.rs"]
mod differ;
#[path = "sections/oracle.rs"]
mod oracle;
#[path = "sections/parts.rs"]
mod parts;
#[path = "sections/same.rs"]
mod same;
#[path = "sections/sound.rs"]
mod sound;
#[path = "sections/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use clicks::Layout;
use common::Scratch;
use oracle::{Case, Shelf, Work};
use sound::{Clicks, Spec, Wav};

/// Groups of cases, and how many cases each has.
const GROUPS: [(&str, usize); 6] = [("sel", 18), ("key", 10), ("exp", 23), ("xml", 14), ("json", 12), ("cli", 8)];

/// Files in `inputs`.
const INPUTS: usize = 271;

/// Cases that run at a time.
const WORKERS: usize = 2;

fn check(scratch: &Scratch, shelf: &Shelf, case: &Case) -> Result<(), String> {
    let work = Work::new(scratch, shelf, case);
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let run = work.run(&[]);
        if case.same { same::check(&work, &run) } else { differ::check(&work, &run) }
    }));
    checked.unwrap_or_else(|_| Err("the test panicked".into())).map_err(|fault| work.report(&fault))
}

/// Runs the cases of a group and reports all that fail.
fn group(name: &str) {
    let cases: Vec<Case> = Case::all().into_iter().filter(|case| case.group() == name).collect();
    let scratch = Scratch::new(&format!("sections-{name}"));
    let shelf = Shelf::new(&scratch, &cases.iter().map(|case| case.library.as_str()).collect());
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..WORKERS {
            threads.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    if let Err(failure) = check(&scratch, &shelf, case) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let (failed, all) = (failures.len(), cases.len());
    assert!(failures.is_empty(), "{failed} of {all} cases fail:\n\n{}\n", failures.join("\n\n"));
}

#[test]
fn tracks_are_selected() {
    group("sel");
}

#[test]
fn keys_match() {
    group("key");
}

#[test]
fn parts_are_exported() {
    group("exp");
}

#[test]
fn collections_are_read() {
    group("xml");
}

#[test]
fn broken_structure_files_do_not_end_the_run() {
    group("json");
}

#[test]
fn the_command_line_is_the_older_one() {
    group("cli");
}

#[test]
fn the_oracle_is_complete() {
    let cases = Case::all();
    let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    let same = cases.iter().filter(|case| case.same).count();
    assert_eq!((cases.len(), ids.len(), same), (85, 85, 32));
    for (name, number) in GROUPS {
        assert_eq!(cases.iter().filter(|case| case.group() == name).count(), number, "{name}");
    }
    assert_eq!(GROUPS.iter().map(|(_, number)| number).sum::<usize>(), cases.len());
    // Hidden files are easily lost.
    assert_eq!(oracle::files(&oracle::data().join("inputs")).len(), INPUTS);
    for case in cases.iter().filter(|case| !case.same) {
        assert!(!case.should.is_empty(), "{}", case.id);
    }
}

/// The times of `expected/cues.json` in the tables of exports, by both rules.
#[test]
fn cues_follow_the_rule() {
    let text = std::fs::read_to_string(oracle::data().join("expected/cues.json")).unwrap();
    let cues: serde_json::Value = serde_json::from_str(&text).unwrap();
    // Names of tracks and structure files differ, but not their numbers.
    let number = |name: &str| name.chars().filter(char::is_ascii_digit).take(2).collect::<String>();
    let tracks: BTreeMap<String, &serde_json::Value> =
        cues["tracks"].as_object().unwrap().iter().map(|(name, cues)| (number(name), cues)).collect();
    let mut case = Case::all().into_iter().find(|case| case.id == "sel-segments-1").unwrap();
    let scratch = Scratch::new("sections-cues");
    let shelf = Shelf::new(&scratch, &BTreeSet::from(["bounds"]));
    let stdout = case.expected("stdout.txt");
    // One sound for all tracks: it lasts 63 s, and cuts that end later are shorter.
    let sound = shelf.sounds("bounds").unwrap()["audio/sixty-seconds.wav"].file();
    case.id = "cues".into();
    let work = Work::new(&scratch, &shelf, &case);
    std::fs::create_dir(work.folder.join("audio")).unwrap();
    for path in stdout.lines().chain(["/music/08-label-with-space.wav"]).filter(|path| !path.is_empty()) {
        std::fs::write(work.folder.join("audio").join(path.trim_start_matches("/music/")), &sound).unwrap();
    }
    for (rule, n, flags) in [
        ("by_time", "1", &[][..]),
        ("by_time", "6", &[]),
        ("original", "1", &["--strict-segments"]),
        ("original", "6", &["--strict-segments"]),
    ] {
        let mut expected: BTreeMap<&str, Vec<f64>> = tracks
            .iter()
            .filter_map(|(number, cues)| {
                let times = cues[rule][n].as_array()?.iter().map(|time| time.as_f64().unwrap());
                Some((number.as_str(), times.collect()))
            })
            .collect();
        // No path and so no sound; no BPM; a part of no length.
        expected.retain(|number, cues| !["22", "27"].contains(number) && cues[0] < cues[2]);
        let arguments = ["lib/segments/struct", "--n-sections", n, "--csv-out", "out.csv", "--parts-dir", "parts"];
        let run = work.run_with(&[&arguments[..], &["--audio-dir", "audio"], flags].concat());
        let table = same::table(&work, "out.csv").unwrap_or_else(|e| panic!("{e}; {}", run.said()));
        let rows = table.rows().unwrap();
        let got: BTreeMap<String, [f64; 3]> =
            rows.iter().map(|row| (number(row.path.trim_start_matches("/music/")), row.cues)).collect();
        let (names, wanted): (Vec<&str>, Vec<&str>) =
            (got.keys().map(String::as_str).collect(), expected.keys().copied().collect());
        assert_eq!(names, wanted, "tracks by rule {rule}, n = {n}; {}", run.said());
        for (number, cues) in &expected {
            let near = got[*number].iter().zip(cues).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(near, "cues of {number} by rule {rule}, n = {n}: {:?}, not {cues:?}", got[*number]);
        }
    }
}

/// All sounds with clicks, and what is heard of them.
fn clicking() -> Vec<(String, Spec, Vec<f64>)> {
    let mut sounds = Vec::new();
    for (library, files) in Spec::all(&oracle::data().join("inputs")) {
        for (name, spec) in files.into_iter().filter(|(_, spec)| spec.copy.is_none()) {
            // The generator compares the file with the oracle's.
            let wav = Wav::parse(&spec.file()).unwrap().to_16_bits();
            if spec.clicks.is_some() {
                let sound = wav.channel(0);
                sounds.push((format!("{library}/{name}"), spec, sound));
            }
        }
    }
    assert!(sounds.len() > 40, "{} sounds", sounds.len());
    sounds
}

/// A sound at another speed, by linear interpolation.
fn resampled(sound: &[f64], speed: f64) -> Vec<f64> {
    let at = |frame: f64| {
        let (k, part) = (frame as usize, frame.fract());
        sound[k] + part * (sound.get(k + 1).copied().unwrap_or(0.0) - sound[k])
    };
    (0..(sound.len() as f64 / speed) as usize).map(|i| at(i as f64 * speed)).collect()
}

#[test]
fn clicks_are_found_where_they_are() {
    for (name, spec, sound) in clicking() {
        let layout = Layout::new(&spec, 0, spec.frames, 1.0).unwrap();
        assert!(layout.clicks.len() > 5, "{name}");
        let rate = f64::from(spec.rate);
        let heard = clicks::listen(&layout, &sound);
        assert!(heard.lost() == 0 && heard.strays.is_empty(), "{name}: {heard:?}");
        assert!(heard.worst_ms() < 0.1 / rate * 1e3, "{name}: {heard:?}");
        // Played a little too fast or too slow, as the layout knows.
        for speed in [0.97, 1.02] {
            let layout = Layout::new(&spec, 0, spec.frames, speed).unwrap();
            let heard = clicks::listen(&layout, &resampled(&sound, speed));
            assert!(heard.lost() == 0 && heard.strays.is_empty(), "{name} at {speed}: {heard:?}");
            assert!(heard.worst_ms() < 1.0 / rate * 1e3, "{name} at {speed}: {}", heard.worst_ms());
        }
    }
}

#[test]
fn clicks_that_are_late_early_lost_or_doubled_are_noticed() {
    for (name, spec, sound) in clicking() {
        let layout = Layout::new(&spec, 0, spec.frames, 1.0).unwrap();
        let rate = f64::from(spec.rate);
        let fails = |sound: &[f64], with: &str| {
            let fault = clicks::check(&layout, sound, 0.3).expect_err(&format!("{name} passes"));
            assert!(fault.contains(with), "{name}: {fault}");
        };
        clicks::check(&layout, &sound, 0.3).unwrap();
        // Half a millisecond late, and early.
        let shift = (rate * 0.0005).round() as usize;
        let late: Vec<f64> = std::iter::repeat_n(0.0, shift).chain(sound.iter().copied()).collect();
        let delays = clicks::listen(&layout, &late).late_ms;
        let wanted = shift as f64 / rate * 1e3;
        assert!(delays.iter().flatten().all(|late| (late - wanted).abs() < 0.02), "{name}: {delays:?}, not {wanted}");
        fails(&late, "ms late");
        fails(&sound[shift..], "the click at");
        // A tempo that is off by a twentieth of a per mille has lost 0.3 ms after six seconds.
        if sound.len() as f64 / rate > 12.0 {
            fails(&resampled(&sound, 1.00005), "ms late");
        }
        // One click is silenced, or stands a tenth of a second behind its place as well.
        let (length, start) = (Clicks::length(spec.rate), layout.clicks[3].frame as usize);
        let mut lost = sound.clone();
        lost[start..start + length].fill(0.0);
        fails(&lost, "is lost");
        let mut doubled = sound.clone();
        doubled.copy_within(start..start + length, start + spec.rate as usize / 10);
        fails(&doubled, "too many");
    }
}

/// A work folder with the library `speed`, for runs of one's own.
fn at_speeds<T>(id: &str, act: impl FnOnce(&Work) -> T) -> T {
    let mut case = Case::all().into_iter().find(|case| case.id == "exp-speed").unwrap();
    let scratch = Scratch::new(&format!("sections-{id}"));
    let shelf = Shelf::new(&scratch, &BTreeSet::from(["speed"]));
    case.id = id.into();
    act(&Work::new(&scratch, &shelf, &case))
}

const EXPORT: [&str; 9] = [
    "lib/speed/struct",
    "--n-sections",
    "2",
    "--csv-out",
    "out.csv",
    "--parts-dir",
    "parts",
    "--audio-dir",
    "lib/speed/audio",
];

#[test]
fn clicks_keep_their_place_at_every_speed() {
    at_speeds("sweep", |work| {
        // The track at 122.5 BPM becomes everything from half to double.
        for step in 0..=30 {
            let target = (61.25 + f64::from(step) * (245.0 - 61.25) / 30.0).to_string();
            let run =
                work.run_with(&[&EXPORT[..], &["--bpm", "122.5", "--delta", "0", "--target-bpm", &target]].concat());
            run.exits_with(0).unwrap();
            let rows = same::table(work, "out.csv").unwrap().rows().unwrap();
            assert_eq!(rows.len(), 1);
            parts::check(work, &rows, "parts", |text| work.folder.join(text))
                .unwrap_or_else(|e| panic!("{target}: {e}"));
        }
    });
}

/// The files of a folder with their contents.
fn contents(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    oracle::files(folder).into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

#[test]
fn parts_do_not_depend_on_the_number_of_threads_and_a_run_can_be_resumed() {
    at_speeds("resume", |work| {
        let export = |more: &[&str]| {
            let run = work.run_with(&[&EXPORT[..], &["--target-bpm", "122.5"], more].concat());
            run.exits_with(0).unwrap();
            (run, contents(&work.folder.join("parts")), std::fs::read(work.folder.join("out.csv")).unwrap())
        };
        let (_, alone, table) = export(&["--jobs", "1"]);
        assert_eq!(alone.len(), 6 * 3, "{:?}", alone.keys());
        let (_, together, same_table) = export(&["--jobs", "3"]);
        assert!(alone == together && table == same_table, "three threads write something else than one");
        // One part is lost, another one damaged before its record was written, and a source has changed.
        let parts = work.folder.join("parts");
        std::fs::remove_file(parts.join("a-slowest_sectioned.wav")).unwrap();
        std::fs::remove_file(parts.join("b-down_sectioned.json")).unwrap();
        std::fs::write(parts.join("b-down_sectioned.wav"), "cut off").unwrap();
        let touched =
            std::fs::File::options().append(true).open(work.folder.join("lib/speed/audio/c-same.wav")).unwrap();
        touched.set_modified(std::time::SystemTime::now()).unwrap();
        let (run, resumed, same_table) = export(&["--resume"]);
        assert!(run.said().contains("3 of them up to date"), "{}", run.said());
        assert!(table == same_table, "a resumed run writes another table");
        for (name, bytes) in resumed.iter().filter(|(name, _)| name.ends_with(".wav")) {
            assert!(alone[name] == *bytes, "{name} differs after a resumed run");
        }
        // Another treatment makes all of them anew.
        let (run, ..) = export(&["--resume", "--fade", "5"]);
        assert!(!run.said().contains("up to date"), "{}", run.said());
    });
}

#[test]
fn formats_rates_fades_and_loudness_are_as_ordered() {
    at_speeds("formats", |work| {
        let one = ["--bpm", "122.5", "--delta", "0", "--target-bpm", "120"];
        let export = |more: &[&str]| {
            let run = work.run_with(&[&EXPORT[..], &one, more].concat());
            run.exits_with(0).unwrap();
            let row = same::table(work, "out.csv").unwrap().rows().unwrap().remove(0);
            let path = work.folder.join(&row.part);
            let mut decoder = grooved::media::decode::Decoder::open(&path).unwrap();
            let info = decoder.info().clone();
            let (mut left, mut right) = (vec![0.0; info.frames as usize], vec![0.0; info.frames as usize]);
            decoder.read(&mut left, &mut right).unwrap();
            (info, left)
        };
        let level = |sound: &[f32]| (sound.iter().map(|s| s * s).sum::<f32>() / sound.len() as f32).sqrt();
        let (plain, sound) = export(&[]);
        let (_, float) = export(&["--format", "wav32f"]);
        let (_, fine) = export(&["--format", "wav24"]);
        let (_, flac) = export(&["--format", "flac"]);
        assert_eq!(flac, sound, "FLAC has other samples than WAV");
        let off = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off(&float, &fine) <= 0.5 / 8_388_608.0, "{}", off(&float, &fine));
        assert!(off(&float, &sound) <= 1.5 / 32_768.0, "{}", off(&float, &sound));
        let (at_48k, resampled) = export(&["--rate", "48000"]);
        assert_eq!(at_48k.sample_rate, 48_000);
        assert!((at_48k.seconds() - plain.seconds()).abs() < 2.0 / 44_100.0);
        assert!((level(&resampled) / level(&sound) - 1.0).abs() < 0.01);
        let (_, faded) = export(&["--fade", "100"]);
        assert!(faded[0].abs() < 1e-4 && faded[faded.len() - 1].abs() < 1e-4);
        let (a, b) = (6_000, faded.len() - 6_000);
        assert!(off(&faded[a..b], &float[a..b]) < 2.0 / 32_768.0);
        let (_, loud) = export(&["--normalise", "-30"]);
        let (_, quiet) = export(&["--normalise", "-36"]);
        let ratio = level(&loud) / level(&quiet);
        assert!((20.0 * ratio.log10() - 6.0).abs() < 0.05, "6 LU are {} dB", 20.0 * ratio.log10());
    });
}

#[test]
fn tables_and_objects_on_standard_output_and_dry_runs_agree_with_the_export() {
    at_speeds("outputs", |work| {
        let run = |more: &[&str]| {
            let run = work.run_with(&[&EXPORT[..], &["--target-bpm", "122.5"], more].concat());
            run.exits_with(0).unwrap();
            run
        };
        let planned = run(&["--dry-run", "--csv-out", "-"]).stdout;
        assert!(!work.folder.join("parts").exists());
        let listed = run(&[]).stdout;
        let table = std::fs::read_to_string(work.folder.join("out.csv")).unwrap();
        assert_eq!(planned, table);
        assert_eq!(listed, run(&["--dry-run"]).stdout);
        let objects = run(&["--json", "--more-columns"]).stdout;
        let parsed: Vec<serde_json::Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(parsed.len(), 6);
        for object in &parsed {
            assert_eq!(object["status"], "exported", "{object}");
            assert!(work.folder.join(object["part"]["file"].as_str().unwrap()).exists());
            assert!(
                (object["cues"]["end_adj"].as_f64().unwrap() - object["part"]["seconds"].as_f64().unwrap()).abs()
                    < 0.01
            );
        }
        let wide = std::fs::read_to_string(work.folder.join("out.csv")).unwrap();
        assert!(wide.starts_with(&table[..table.find("\r\n").unwrap()]), "{wide}");
        assert!(wide.contains(",bpm_json,bpm_rekordbox,key_camelot,method,warnings\r\n"));
        // Names by template, which two tracks share.
        run(&["--names", "{bpm} {key}!", "--no-orig"]);
        let parts = oracle::files(&work.folder.join("parts"));
        assert!(parts.contains("122.5 !_sectioned.wav") && parts.contains("122.5 !_6_sectioned.wav"), "{parts:?}");
    });
}

/// A folder with the track `x` and its structure file, to which others can be added.
struct Tracks {
    scratch: Scratch,
}

impl Tracks {
    fn new(name: &str) -> Tracks {
        let tracks = Tracks { scratch: Scratch::new(name) };
        tracks.add("x", "x.wav", 200);
        tracks
    }

    /// Adds a structure file and, if there is none yet, its sound beside it.
    fn add(&self, name: &str, path: &str, period: usize) {
        let sound = path.rsplit('/').next().unwrap();
        if !self.scratch.path(sound).exists() {
            self.scratch.sine(sound, 44_100, 8, period, 0.1);
        }
        let text = format!(
            r#"{{"path": "{path}", "bpm": 120, "beats": [1, 1.5, 2, 2.5, 3], "downbeats": [1, 3], "segments": [
                {{"start": 0, "end": 1, "label": "intro"}}, {{"start": 1, "end": 7, "label": "verse"}}]}}"#
        );
        std::fs::write(self.scratch.path(&format!("{name}.json")), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = common::grooved();
        command.current_dir(self.scratch.path("")).args(["sections", ".", "--n-sections", "1", "--audio-dir", "."]);
        let done = command.args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    }

    /// Exports everything into the folder `p`.
    fn export(&self, more: &[&str]) -> (Option<i32>, String, String) {
        self.run(&[&["--csv-out", "out.csv", "--parts-dir", "p"], more].concat())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.scratch.path(name)).unwrap()
    }
}

#[test]
fn nothing_that_is_read_is_overwritten() {
    let tracks = Tracks::new("sections-sources");
    tracks.add("x_sectioned", "x_sectioned.wav", 100);
    let before = ["x.wav", "x_sectioned.wav", "x_sectioned.json"].map(|name| tracks.read(name));
    let (code, _, said) = tracks.run(&["--csv-out", "out.csv", "--parts-dir", ".", "--no-orig"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("x.json: its part would overwrite './x_sectioned.wav'"), "{said}");
    for wrong in ["x.json", "p"] {
        std::fs::create_dir_all(tracks.scratch.path("p")).unwrap();
        let (code, _, said) = tracks.run(&["--csv-out", wrong, "--parts-dir", "p"]);
        assert_eq!((code, said.contains("--csv-out")), (Some(2), true), "{said}");
    }
    assert!(before == ["x.wav", "x_sectioned.wav", "x_sectioned.json"].map(|name| tracks.read(name)));
}

#[test]
fn tables_go_through_links_and_into_pipes() {
    let tracks = Tracks::new("sections-tables");
    std::fs::write(tracks.scratch.path("real.csv"), "old").unwrap();
    std::os::unix::fs::symlink("real.csv", tracks.scratch.path("out.csv")).unwrap();
    assert_eq!(tracks.export(&[]).0, Some(0));
    assert!(tracks.scratch.path("out.csv").is_symlink());
    let table = tracks.read("real.csv");
    assert!(table.starts_with(b"path,"));
    let reader = std::process::Command::new("sh")
        .current_dir(tracks.scratch.path(""))
        .args(["-c", "mkfifo pipe.csv && cat pipe.csv > read.csv"])
        .spawn();
    let mut reader = reader.unwrap();
    while !tracks.scratch.path("pipe.csv").exists() {
        std::thread::yield_now();
    }
    assert_eq!(tracks.run(&["--csv-out", "pipe.csv", "--parts-dir", "p"]).0, Some(0));
    assert!(reader.wait().unwrap().success());
    assert!(tracks.read("read.csv") == table);
}

#[test]
fn a_folder_belongs_to_one_run_at_a_time_and_to_all_tracks_in_it() {
    let tracks = Tracks::new("sections-folder");
    assert_eq!(tracks.export(&[]).0, Some(0));
    // Another run writes to it.
    let folder = std::fs::File::open(tracks.scratch.path("p")).unwrap();
    folder.try_lock().unwrap();
    let (code, _, said) = tracks.export(&[]);
    assert_eq!((code, said.contains("another export is writing to it")), (Some(2), true), "{said}");
    drop(folder);
    // What a killed run has left goes; another track of the same name gets a name of its own.
    std::fs::write(tracks.scratch.path("p/.x_sectioned.wav.part"), "half").unwrap();
    std::fs::remove_file(tracks.scratch.path("x.json")).unwrap();
    tracks.add("y", "/elsewhere/x.wav", 200);
    let part = tracks.read("p/x_sectioned.wav");
    assert_eq!(tracks.export(&[]).0, Some(0));
    let table = String::from_utf8(tracks.read("out.csv")).unwrap();
    assert!(table.ends_with(",p/orig/x_2_sectioned.wav,p/x_2_sectioned.wav\r\n"), "{table}");
    assert!(tracks.read("p/x_sectioned.wav") == part);
    assert!(!tracks.scratch.path("p/.x_sectioned.wav.part").exists());
}

#[test]
fn a_resumed_run_keeps_only_what_is_whole_and_current() {
    let tracks = Tracks::new("sections-current");
    let kept = |tracks: &Tracks| {
        let (code, _, said) = tracks.export(&["--resume"]);
        assert_eq!(code, Some(0), "{said}");
        said.contains("1 of them up to date")
    };
    assert!(!kept(&tracks));
    assert!(kept(&tracks));
    let part = tracks.read("p/x_sectioned.wav");
    std::fs::write(tracks.scratch.path("p/x_sectioned.wav"), &part[..1_000]).unwrap();
    assert!(!kept(&tracks), "a part that was cut off was kept");
    assert!(tracks.read("p/x_sectioned.wav") == part);
    let moved = String::from_utf8(tracks.read("x.json")).unwrap().replace("1.5, 2, 2.5", "1.6, 2.1, 2.6");
    std::fs::write(tracks.scratch.path("x.json"), moved).unwrap();
    assert!(!kept(&tracks), "the old beats were kept");
    assert!(kept(&tracks));
}

#[test]
fn pipes_devices_and_endless_lists_do_not_hold_a_run_up() {
    let tracks = Tracks::new("sections-pipes");
    let made = std::process::Command::new("mkfifo").arg(tracks.scratch.path("pipe.json")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", tracks.scratch.path("zero.json")).unwrap();
    std::fs::write(tracks.scratch.path("many.json"), format!("{{\"segments\": [{}0]}}", "0,".repeat(100_000))).unwrap();
    let (code, out, said) = tracks.run(&[]);
    assert_eq!((code, out.as_str()), (Some(0), "x.wav\n"), "{said}");
    for part in ["pipe.json: it is not a regular file", "zero.json: it is not a regular file", "100001 of its segments"]
    {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(tracks.run(&["--rekordbox-xml", "/dev/zero"]).0, Some(2));
}

#[test]
fn a_lower_sample_rate_folds_nothing_back() {
    let tracks = Tracks::new("sections-rates");
    // 26 kHz at 96 kHz would become 18.1 kHz at 44.1 kHz.
    std::fs::remove_file(tracks.scratch.path("x.wav")).unwrap();
    let path = tracks.scratch.path("x.wav");
    let mut writer =
        grooved::media::wav::WavWriter::create(&path, 1, 96_000, grooved::media::wav::Depth::Float).unwrap();
    let tone = |k: usize, hz: f64| (k as f64 * hz * std::f64::consts::TAU / 96_000.0).sin() as f32;
    let sound: Vec<f32> = (0..8 * 96_000).map(|k| 0.3 * tone(k, 26_000.0)).collect();
    writer.write(&sound).unwrap();
    writer.finish().unwrap();
    let (code, _, said) = tracks.export(&["--rate", "44100", "--format", "wav32f"]);
    assert_eq!(code, Some(0), "{said}");
    let mut decoder = grooved::media::decode::Decoder::open(&tracks.scratch.path("p/x_sectioned.wav")).unwrap();
    let (mut left, mut right) = (vec![0.0; 88_200], vec![0.0; 88_200]);
    decoder.seek(44_100).unwrap();
    decoder.read(&mut left, &mut right).unwrap();
    let level = (left.iter().map(|s| s * s).sum::<f32>() / left.len() as f32).sqrt();
    assert!(20.0 * (level / 0.212).log10() < -60.0, "{:.1} dB", 20.0 * (level / 0.212).log10());
}
