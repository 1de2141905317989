//! Rules of the source tree: imports point down, and unsafe code stays in its modules.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns the top-level modules that a line of code names as `crate::module`.
fn rooms_named(line: &str) -> Vec<&str> {
    line.match_indices("crate::")
        .map(|(at, _)| {
            let rest = &line[at + 7..];
            &rest[..rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn imports_point_down() {
    // The modules each module may use, besides itself.
    let allowed: &[(&str, &[&str])] = &[
        ("dsp", &[]),
        ("engine", &["dsp"]),
        ("demo", &[]),
        ("system", &[]),
        // One of the stretching methods is a library of the system.
        ("stretch", &["engine", "dsp", "system"]),
        // Workers show the overseer that they respond.
        ("ddsp", &["engine", "dsp", "system"]),
        // The shapes of glides are the clock's.
        ("movement", &["engine"]),
        ("media", &["engine", "dsp", "system"]),
        // The output can be a file, and `media` knows how files are written.
        ("output", &["engine", "dsp", "system", "media"]),
        // `control` may use the report, which the output publishes, and nothing else of the output.
        ("control", &["engine", "dsp", "media", "movement", "stretch", "ddsp", "system", "output"]),
        ("remote", &["control", "media"]),
        (
            "daemon",
            &[
                "remote", "stretch", "ddsp", "movement", "config", "control", "output", "media", "system", "engine",
                "dsp", "demo",
            ],
        ),
    ];
    for (room, may_know) in allowed {
        for file in sources(&source_root().join(room)) {
            let text = std::fs::read_to_string(&file).unwrap();
            // A module's own tests may use more than the module.
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
                for named in rooms_named(line) {
                    let tests = file.ends_with("player_tests.rs") || file.ends_with("tests.rs");
                    let known = named == *room
                        || may_know.contains(&named)
                        || (tests && named == "system")
                        || (named == "output" && *room == "control" && line.contains("output::report"));
                    let only_report = *room != "control" || named != "output" || line.contains("output::report");
                    assert!(known && only_report, "{}:{}: {room} must not use {named}", file.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn faces_do_not_know_each_other() {
    let faces = ["osc", "ws", "http", "midi"];
    for face in faces {
        for file in [format!("control/{face}.rs"), format!("control/{face}/mod.rs")] {
            let Ok(text) = std::fs::read_to_string(source_root().join(file)) else { continue };
            for other in faces.iter().filter(|o| **o != face) {
                assert!(!text.contains(&format!("super::{other}")), "{face} uses {other}");
            }
        }
    }
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    for file in sources(&source_root()) {
        let place = file.strip_prefix(source_root()).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        let has = text.lines().any(|l| {
            let code = l.split("//").next().unwrap_or("");
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        });
        assert!(!has || place.starts_with("system/") || place.starts_with("output/alsa/"), "{place}");
    }
}

#[test]
fn files_fit_in_the_head() {
    for file in sources(&source_root()) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 750, "{} has {lines} lines", file.display());
    }
}
