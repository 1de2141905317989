//! The documents: links resolve, the README stays short, the map names every module, and quoted messages exist.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files with an extension below a folder, except in hidden folders and build outputs.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The lines of a document outside of fenced code.
fn lines(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut outside = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            outside.push(line);
        }
    }
    outside
}

/// The targets of a document's links and images.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines(text) {
        // Every other piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect();
        for (at, _) in prose.match_indices("](") {
            let target = prose[at + 2..].split(')').next().unwrap_or_default();
            found.push(target.to_string());
        }
    }
    found
}

/// The anchors of a document's headings, by GitHub's rules.
fn anchors(text: &str) -> Vec<String> {
    let mut slugs: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for line in lines(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let slug: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let repeated = slugs.iter().filter(|s| **s == slug).count();
        found.push(if repeated == 0 { slug.clone() } else { format!("{slug}-{repeated}") });
        slugs.push(slug);
    }
    found
}

#[test]
fn links_within_the_repository_resolve() {
    let mut broken = Vec::new();
    for document in files(root(), "md") {
        for target in links(&read(&document)) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let file = match path {
                "" => document.clone(),
                _ => document.parent().unwrap_or(root()).join(path),
            };
            if !file.exists() || (!anchor.is_empty() && !anchors(&read(&file)).iter().any(|a| a == anchor)) {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn anchors_follow_the_rules_of_github() {
    let text =
        "# `src/dsp/`: signals (pure)\n## Be, or not to-be?\n## Same\n```\n# no heading\n```\n## Same\n#hashtag\n";
    assert_eq!(anchors(text), ["srcdsp-signals-pure", "be-or-not-to-be", "same", "same-1"]);
    assert_eq!(links("[`a`](b.md#c), `[d](e)`, ![f](g.png)\n"), ["b.md#c", "g.png"]);
}

#[test]
fn the_readme_is_short() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= 200, "README.md has {lines} lines; details belong into docs/");
}

/// The modules that a `mod.rs` declares, except for tests.
fn declared(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .filter(|name| !name.ends_with("tests"))
        .collect()
}

/// The section of the map about a folder of `src`.
fn section<'a>(map: &'a str, folder: &str) -> &'a str {
    let heading = format!("### `src/{folder}/`");
    let start = map.find(&heading).unwrap_or_else(|| panic!("docs/architecture.md has no section {heading}"));
    let rest = &map[start + heading.len()..];
    &rest[..rest.find("\n##").unwrap_or(rest.len())]
}

#[test]
fn the_map_names_every_module() {
    let map = read(&root().join("docs/architecture.md"));
    let source = root().join("src");
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(&source).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_file() {
            if !map.contains(&format!("`src/{name}`")) {
                missing.push(format!("src/{name}"));
            }
            continue;
        }
        if name == "bin" {
            continue;
        }
        let named: Vec<&str> =
            section(&map, &name).split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
        for file in files(&path, "rs").iter().filter(|f| f.ends_with("mod.rs")) {
            let text = read(file);
            for module in declared(&text).iter().filter(|m| !named.contains(m)) {
                missing.push(format!("{module} of {}", file.display()));
            }
        }
    }
    assert!(missing.is_empty(), "docs/architecture.md does not mention:\n{}", missing.join("\n"));
}

/// All of the source as one text, with the string literals that go over several lines joined.
fn source() -> String {
    let mut joined = String::new();
    for file in files(&root().join("src"), "rs") {
        let mut continued = false;
        for line in read(&file).lines() {
            let line = if continued { line.trim_start() } else { line };
            continued = line.ends_with('\\');
            joined.push_str(line.trim_end_matches('\\'));
            if !continued {
                joined.push('\n');
            }
        }
    }
    joined.replace("\\\"", "\"")
}

#[test]
fn the_map_names_every_thread() {
    let map = read(&root().join("docs/architecture.md"));
    let threads = map.split("\n## ").find(|part| part.starts_with("Threads")).unwrap_or_default();
    let source = source();
    for marker in [".name(\"", ".thread_name(\""] {
        for (at, _) in source.match_indices(marker) {
            let name = source[at + marker.len()..].split('"').next().unwrap_or_default();
            assert!(threads.contains(&format!("`{name}`")), "docs/architecture.md does not list the thread {name}");
        }
    }
}

/// Rows of tables that begin with a message in backticks; `…` stands for what varies.
#[test]
fn quoted_messages_exist() {
    let (document, source) = (read(&root().join("docs/troubleshooting.md")), source());
    let mut unknown = Vec::new();
    let mut count = 0;
    for row in document.lines().filter(|line| line.starts_with("| `")) {
        let message = row.split('`').nth(1).unwrap_or_default();
        count += 1;
        if message.split('…').any(|part| !source.contains(part.trim())) {
            unknown.push(message);
        }
    }
    assert!(count > 30, "{count} messages are quoted");
    assert!(
        unknown.is_empty(),
        "docs/troubleshooting.md quotes messages that src does not have:\n{}",
        unknown.join("\n")
    );
}
