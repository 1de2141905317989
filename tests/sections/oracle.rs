//! The oracle's cases, and runs of the program on them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::common::{self, Scratch};
use super::sound::{Sounds, Spec};

/// The folder of the oracle.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sections")
}

/// A case of `cases.json`.
#[derive(Clone, Debug)]
pub struct Case {
    pub id: String,
    title: String,
    pub library: String,
    pub argv: Vec<String>,
    /// Exit code of the older exporter.
    pub exit: i32,
    /// Whether a correct program does the same.
    pub same: bool,
    /// What it does instead.
    pub should: String,
}

impl Case {
    /// All cases.
    pub fn all() -> Vec<Case> {
        let table: Value = serde_json::from_str(&fs::read_to_string(data().join("cases.json")).unwrap()).unwrap();
        let case = |case: &Value| {
            let text = |key: &str| case[key].as_str().unwrap_or_else(|| panic!("{case}: no {key}")).to_string();
            Case {
                id: text("id"),
                title: text("title"),
                library: text("library"),
                argv: case["argv"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_string()).collect(),
                exit: case["original"]["exit"].as_i64().unwrap() as i32,
                same: match case["verdict"].as_str() {
                    Some("same") => true,
                    Some("differ") => false,
                    other => panic!("verdict {other:?}"),
                },
                should: text("should"),
            }
        };
        table["cases"].as_array().unwrap().iter().map(case).collect()
    }

    /// A file of `expected/ID`; empty if there is none.
    pub fn expected(&self, name: &str) -> String {
        fs::read_to_string(data().join("expected").join(&self.id).join(name)).unwrap_or_default()
    }

    /// `expected/ID/wavs.json`.
    pub fn wavs(&self) -> BTreeMap<String, Value> {
        serde_json::from_str(&self.expected("wavs.json")).unwrap_or_default()
    }

    /// The part of the id before the first hyphen.
    pub fn group(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Whether something is exported.
    pub fn exports(&self) -> bool {
        self.argv.iter().any(|a| a == "--csv-out")
    }

    /// The path of a structure file, as the program should name it.
    pub fn file(&self, name: &str) -> String {
        format!("lib/{}/struct/{name}", self.library)
    }

    /// Names of the structure files.
    pub fn files(&self) -> Vec<String> {
        let names = files(&data().join("inputs/lib").join(&self.library).join("struct"));
        names.into_iter().filter(|name| name.ends_with(".json") && !name.contains('/')).collect()
    }
}

/// The files below a folder by their paths in it, with `/` between folders.
pub fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.insert(name);
        }
    }
    found
}

/// What macOS writes beside `a.json` on file systems of others. It is kept here, because files of such names do not
/// survive everywhere.
const APPLE_DOUBLE: (&str, &[u8]) = ("._a.json", b"\0\x05\x16\x07\0\x02\0\0Mac OS X        \0\x02\xb0\xe2");

/// Copies all files below a folder, which stay writable.
fn copy(from: &Path, to: &Path) {
    for name in files(from) {
        let target = to.join(&name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, fs::read(from.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"))).unwrap();
    }
}

/// Sounds on disk, shared by the cases of a group.
pub struct Shelf {
    folder: PathBuf,
    libraries: BTreeMap<String, Sounds>,
}

impl Shelf {
    /// Makes the sounds of some libraries.
    pub fn new(scratch: &Scratch, wanted: &BTreeSet<&str>) -> Shelf {
        let inputs = data().join("inputs");
        let mut libraries = Spec::all(&inputs);
        libraries.retain(|library, _| wanted.contains(library.as_str()));
        let folder = scratch.path("sounds");
        for (library, sounds) in &libraries {
            for (name, spec) in sounds {
                let bytes = match &spec.copy {
                    Some(copied) => fs::read(inputs.join("audio").join(copied)).unwrap(),
                    None => spec.file(),
                };
                let path = folder.join(library).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        Shelf { folder, libraries }
    }

    /// The sounds of a library.
    pub fn sounds(&self, library: &str) -> Option<&Sounds> {
        self.libraries.get(library)
    }
}

/// A folder in which the program runs.
pub struct Work<'a> {
    pub case: &'a Case,
    pub shelf: &'a Shelf,
    pub folder: PathBuf,
    before: BTreeSet<String>,
}

impl<'a> Work<'a> {
    /// Lays a case's inputs out in a new folder.
    pub fn new(scratch: &Scratch, shelf: &'a Shelf, case: &'a Case) -> Work<'a> {
        let (inputs, folder) = (data().join("inputs"), scratch.path(&case.id));
        let library = Path::new("lib").join(&case.library);
        fs::create_dir_all(folder.join(&library)).unwrap();
        copy(&inputs.join(&library), &folder.join(&library));
        copy(&inputs.join("xml"), &folder.join("xml"));
        if case.library == "weird-appledouble" {
            let (name, bytes) = APPLE_DOUBLE;
            fs::write(folder.join(case.file(name)), bytes).unwrap();
        }
        for name in shelf.sounds(&case.library).into_iter().flat_map(Sounds::keys) {
            let target = folder.join(&library).join(name);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::hard_link(shelf.folder.join(&case.library).join(name), target).unwrap();
        }
        let before = files(&folder);
        Work { case, shelf, folder, before }
    }

    /// Runs the program with the case's arguments and some more.
    pub fn run(&self, more: &[&str]) -> Run {
        let arguments: Vec<&str> = self.case.argv.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.run_with(&arguments)
    }

    /// Runs the program with other arguments.
    pub fn run_with(&self, arguments: &[&str]) -> Run {
        let output = common::grooved()
            .arg("sections")
            .args(arguments)
            .current_dir(&self.folder)
            .env("HOME", "/Users/dj")
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts that the program wrote nothing but the files named, and what lies in a folder of parts.
    pub fn only_wrote(&self, table: &str, parts: &str) -> Result<(), String> {
        let now = files(&self.folder);
        let gone: Vec<_> = self.before.difference(&now).collect();
        ensure!(gone.is_empty(), "these files were deleted: {gone:?}");
        let in_parts = format!("{parts}/");
        let litter: Vec<_> = now
            .difference(&self.before)
            .filter(|name| !(*name == table || !parts.is_empty() && name.starts_with(&in_parts)))
            .collect();
        ensure!(litter.is_empty(), "these files were left behind: {litter:?}");
        Ok(())
    }

    /// Explains a failure.
    pub fn report(&self, fault: &str) -> String {
        let Case { id, title, argv, should, .. } = self.case;
        let should = if should.is_empty() { "the same as before" } else { should };
        format!(
            "{id}: {title}\n  grooved sections {argv:?} in {}\n  should: {should}\n  {fault}",
            self.folder.display()
        )
    }
}

/// What a run of the program did.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn exits_with(&self, code: i32) -> Result<(), String> {
        ensure!(self.code == Some(code), "exit code {:?}, not {code}; {}", self.code, self.said());
        Ok(())
    }

    /// Asserts that standard output is this text.
    pub fn prints(&self, expected: &str) -> Result<(), String> {
        if self.stdout == expected {
            return Ok(());
        }
        let (want, got): (Vec<&str>, Vec<&str>) = (expected.split('\n').collect(), self.stdout.split('\n').collect());
        let missing: Vec<_> = want.iter().filter(|line| !got.contains(line)).collect();
        let unexpected: Vec<_> = got.iter().filter(|line| !want.contains(line)).collect();
        let first = want.iter().zip(&got).position(|(a, b)| a != b).unwrap_or(want.len().min(got.len()));
        Err(format!(
            "standard output differs from line {} on ({:?}, not {:?}); missing: {missing:?}; unexpected: {unexpected:?}; \
             {}",
            first + 1,
            got.get(first),
            want.get(first),
            self.said()
        ))
    }

    /// Asserts that these paths are printed.
    pub fn lists(&self, paths: &[&str]) -> Result<(), String> {
        self.prints(&paths.iter().map(|path| format!("{path}\n")).collect::<String>())
    }

    /// The lines of standard error in which something occurs.
    pub fn about(&self, what: &str) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.contains(what)).collect()
    }

    /// Asserts that a structure file is named in exactly one line of standard error, which has a reason in it, and
    /// returns that line.
    pub fn reports(&self, file: &str) -> Result<&str, String> {
        let lines = self.about(file);
        let [line] = lines[..] else {
            return Err(format!("{} lines of standard error name {file}, not one; {}", lines.len(), self.said()));
        };
        ensure!(line.len() > file.len() + 6, "no reason is given for {file}: {line}");
        Ok(line)
    }

    /// Asserts that `--explain` gave a reason for leaving out a structure file, and returns what is said of the file.
    pub fn explains(&self, file: &str) -> Result<String, String> {
        let start = format!("{file}: ");
        let reasons: Vec<&str> = self.stderr.lines().filter_map(|line| Some(line.split_once(&start)?.1)).collect();
        let reasons = reasons.join("; ");
        ensure!(reasons.trim().len() > 4, "no reason is given for leaving out {file}; {}", self.said());
        Ok(reasons)
    }

    /// Asserts that the arguments, or a file as a whole, were refused in one line that names the culprit. A hint may
    /// follow.
    pub fn refuses(&self, culprit: &str) -> Result<&str, String> {
        self.exits_with(2)?;
        self.prints("")?;
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        ensure!(self.about(culprit).len() == 1, "not one line names {culprit}; {}", self.said());
        ensure!(lines.len() <= 2 && lines[0].contains(culprit), "more than a line and a hint; {}", self.said());
        Ok(lines[0])
    }

    /// Standard error, for messages.
    pub fn said(&self) -> String {
        let mut lines: Vec<&str> = self.stderr.lines().take(30).collect();
        if self.stderr.lines().count() > 30 {
            lines.push("…");
        }
        format!("standard error:\n    {}", lines.join("\n    "))
    }
}
