//! Rules of the source tree: imports point down and never form a cycle, types stay small, and unsafe code stays in its
//! modules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten() {
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

/// A file's code without comments, and without its own tests, which may use more than the module.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// A module's path below the crate, such as `["engine", "deck"]`.
type Module = Vec<String>;

/// A file of the library that is not only compiled for tests.
struct File {
    path: PathBuf,
    code: String,
    /// What a `mod.rs` re-exports, by name: these imports lead to where the name comes from.
    facade: BTreeMap<String, Module>,
}

/// Splits a use tree at the commas outside of braces.
fn branches(tree: &str) -> Vec<&str> {
    let (mut depth, mut from, mut out) = (0, 0, Vec::new());
    for (at, letter) in tree.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&tree[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    out.push(&tree[from..]);
    out.into_iter().map(str::trim).filter(|b| !b.is_empty()).collect()
}

/// All paths of a use tree.
fn expand(before: &[String], tree: &str, into: &mut Vec<Module>) {
    let parts =
        |text: &str| text.split("::").map(|p| p.trim().to_string()).filter(|p| !p.is_empty()).collect::<Vec<_>>();
    for branch in branches(tree) {
        let (path, inner) = branch.split_once('{').map_or((branch, None), |(path, inner)| (path, Some(inner)));
        let path = path.split(" as ").next().unwrap_or_default();
        let whole: Vec<String> = before.iter().cloned().chain(parts(path)).collect();
        match inner {
            Some(inner) => expand(&whole, inner.rsplit_once('}').map_or(inner, |(inner, _)| inner), into),
            None => into.push(whole),
        }
    }
}

/// The trees of the `use` items of some code that begin with one of `starts`, and the rest of the code.
fn uses<'c>(code: &'c str, starts: &[&str]) -> (Vec<&'c str>, String) {
    let (mut trees, mut rest, mut at) = (Vec::new(), String::new(), 0);
    while at < code.len() {
        let line_end = code[at..].find('\n').map_or(code.len(), |n| at + n + 1);
        let line = code[at..line_end].trim_start();
        let start = starts.iter().find(|s| line.starts_with(**s));
        if let Some(start) = start
            && let Some(end) = code[at..].find(';')
        {
            let item = code[at..at + end].trim_start();
            trees.push(&item[start.len()..]);
            at += end + 1;
        } else {
            rest.push_str(&code[at..line_end]);
            at = line_end;
        }
    }
    (trees, rest)
}

/// The files of the library by module, less those that are only compiled for tests.
fn library() -> BTreeMap<Module, File> {
    let root = source_root();
    let module_of = |path: &Path| -> Module {
        let below = path.strip_prefix(&root).unwrap().with_extension("");
        let mut parts: Module = below.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        parts.pop_if(|last| last == "mod");
        parts
    };
    let all: BTreeMap<Module, PathBuf> = sources(&root).into_iter().map(|p| (module_of(&p), p)).collect();
    let mut tests: Vec<Module> = Vec::new();
    for (module, path) in &all {
        let text = std::fs::read_to_string(path).unwrap();
        for (at, attribute) in text.match_indices("#[cfg(test)]\n") {
            let following =
                text[at + attribute.len()..].lines().find(|l| !l.trim_start().starts_with('#')).unwrap_or("");
            let name =
                following.trim().trim_start_matches("pub ").strip_prefix("mod ").and_then(|m| m.strip_suffix(';'));
            tests.extend(name.map(|name| module.iter().cloned().chain([name.to_string()]).collect::<Module>()));
            // `#[path = "x_tests.rs"] mod tests;` lies beside the file.
            let path_line = text[at + attribute.len()..].lines().next().unwrap_or_default();
            if let Some(file) = path_line.trim().strip_prefix("#[path = \"").and_then(|p| p.strip_suffix(".rs\"]")) {
                let beside = module.iter().take(module.len().saturating_sub(1)).cloned();
                tests.push(beside.chain([file.to_string()]).collect());
            }
        }
    }
    let is_library = |module: &Module| {
        let first = module.first().map(String::as_str);
        !matches!(first, Some("main" | "lib" | "bin")) && !tests.iter().any(|t| module.starts_with(t))
    };
    let mut files = BTreeMap::new();
    for (module, path) in all.into_iter().filter(|(module, _)| is_library(module)) {
        let (mut code, mut facade) = (code(&path), BTreeMap::new());
        if path.ends_with("mod.rs") {
            let (trees, rest) = uses(&code, &["pub use "]);
            let mut paths = Vec::new();
            trees.iter().for_each(|tree| expand(&[], tree, &mut paths));
            facade = paths.into_iter().filter_map(|p| Some((p.last()?.clone(), p))).collect();
            code = rest;
        }
        files.insert(module, File { path, code, facade });
    }
    files
}

/// Paths that occur in code: in `use` items, and in place.
fn paths(code: &str) -> Vec<Module> {
    let (trees, rest) = uses(code, &["use ", "pub use ", "pub(super) use ", "pub(crate) use "]);
    let mut out = Vec::new();
    trees.iter().for_each(|tree| expand(&[], tree, &mut out));
    for start in ["crate::", "super::"] {
        for (at, _) in rest.match_indices(start) {
            let before = rest[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let end =
                rest[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len() - at);
            out.push(rest[at..at + end].split("::").map(str::to_string).filter(|p| !p.is_empty()).collect());
        }
    }
    out
}

/// The module a path leads to, from within `from`; `None` if that is not one of ours.
fn target(files: &BTreeMap<Module, File>, from: &[String], path: &[String]) -> Option<Module> {
    let mut rest = path;
    let mut here: Module = match rest.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => from.to_vec(),
        first => {
            let child: Module = from.iter().cloned().chain([first.to_string()]).collect();
            files.contains_key(&child).then(|| from.to_vec())?
        }
    };
    if rest[0] == "crate" || rest[0] == "self" {
        rest = &rest[1..];
    }
    while rest.first().is_some_and(|p| p == "super") {
        here.pop();
        rest = &rest[1..];
    }
    while let Some(next) = rest.first() {
        let child: Module = here.iter().cloned().chain([next.clone()]).collect();
        if files.contains_key(&child) {
            here = child;
        } else if let Some(origin) = files.get(&here).and_then(|f| f.facade.get(next)) {
            return target(files, &here, origin);
        } else {
            break;
        }
        rest = &rest[1..];
    }
    files.contains_key(&here).then_some(here)
}

/// What each file imports.
fn imports(files: &BTreeMap<Module, File>) -> BTreeMap<&Module, BTreeSet<Module>> {
    let of = |module: &Module, file: &File| {
        let found = paths(&file.code).into_iter().filter_map(|path| target(files, module, &path));
        found.filter(|to| to != module).collect()
    };
    files.iter().map(|(module, file)| (module, of(module, file))).collect()
}

#[test]
fn imports_form_no_cycle() {
    let files = library();
    assert!(files.len() > 150, "{} files were found", files.len());
    let imports = imports(&files);
    let edges: usize = imports.values().map(BTreeSet::len).sum();
    assert!(edges > 600, "{edges} imports were found");
    // Files that import nothing but files which are removed already are removed, until none is left.
    let mut left = imports.clone();
    loop {
        let done: Vec<&Module> =
            left.keys().copied().filter(|m| left[*m].iter().all(|to| !left.contains_key(to))).collect();
        if done.is_empty() {
            break;
        }
        done.into_iter().for_each(|m| drop(left.remove(m)));
    }
    let names: Vec<String> = left
        .iter()
        .map(|(m, to)| {
            let to = to.iter().filter(|t| left.contains_key(t)).map(|t| t.join("/")).collect::<Vec<_>>();
            format!("{} -> {}", m.join("/"), to.join(", "))
        })
        .collect();
    assert!(names.is_empty(), "these files import each other, or files that do:\n{}", names.join("\n"));
}

/// The modules that each module may use, besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("dsp", &[]),
    ("demo", &[]),
    ("system", &[]),
    ("engine", &["dsp"]),
    // One of the stretching methods is a library of the system.
    ("stretch", &["engine", "dsp", "system"]),
    // Workers show the overseer that they respond.
    ("ddsp", &["engine", "dsp", "genome", "system"]),
    // Where memory of a library is given back.
    ("genome", &["system"]),
    // The shapes of glides are the clock's.
    ("movement", &["engine"]),
    ("media", &["engine", "dsp", "genome", "system"]),
    // The output can be a file, and `media` knows how files are written.
    ("output", &["engine", "dsp", "system", "media"]),
    ("plans", &[]),
    ("sets", &["sections", "genome"]),
    ("sections", &["stretch", "media", "engine", "dsp"]),
    // `control` may use the report, which the output publishes, and nothing else of the output.
    (
        "control",
        &[
            "engine",
            "dsp",
            "media",
            "movement",
            "stretch",
            "ddsp",
            "genome",
            "plans",
            "sets",
            "system",
            "output/report",
        ],
    ),
    ("remote", &["control", "media"]),
    ("config", &["control", "output", "movement", "media", "stretch", "ddsp", "genome", "system", "engine", "dsp"]),
    (
        "daemon",
        &[
            "remote", "sections", "plans", "sets", "stretch", "ddsp", "genome", "movement", "config", "control",
            "output", "media", "system", "engine", "dsp", "demo",
        ],
    ),
];

/// The same within `control`: interfaces, table, conductor, what anybody may read, commands.
const WITHIN_CONTROL: &[(&str, &[&str])] = &[
    ("commands", &[]),
    ("publish", &["commands"]),
    ("conductor", &["publish", "commands"]),
    ("table", &["conductor", "commands"]),
    ("faces", &["publish", "commands"]),
];

fn check_layers(files: &BTreeMap<Module, File>, within: &[&str], layers: &[(&str, &[&str])]) {
    for (layer, may_use) in layers {
        let here: Module = within.iter().chain([layer]).map(|p| (*p).to_string()).collect();
        let inside: Vec<_> = files.keys().filter(|m| m.starts_with(&here)).collect();
        assert!(!inside.is_empty(), "there is no module {}", here.join("/"));
        for module in inside {
            for path in paths(&files[module].code) {
                let Some(to) = target(files, module, &path) else { continue };
                if !to.starts_with(&here[..within.len()]) || to.len() == within.len() || to.starts_with(&here) {
                    continue;
                }
                let below = to[within.len()..].join("/");
                let allowed = may_use.iter().any(|m| below == *m || below.starts_with(&format!("{m}/")));
                assert!(allowed, "{}: {layer} must not use {below}", files[module].path.display());
            }
        }
    }
}

#[test]
fn imports_point_down() {
    let files = library();
    check_layers(&files, &[], LAYERS);
    check_layers(&files, &["control"], WITHIN_CONTROL);
    let tops: BTreeSet<&str> = files.keys().filter_map(|m| m.first()).map(String::as_str).collect();
    for top in tops {
        assert!(LAYERS.iter().any(|(layer, _)| *layer == top), "src/{top} belongs to no layer");
    }
}

#[test]
fn interfaces_do_not_use_each_other() {
    let files = library();
    let imports = imports(&files);
    let faces = ["osc", "http", "midi", "ddsp"];
    let path = |face: &str| vec!["control".to_string(), "faces".to_string(), face.to_string()];
    for face in faces {
        let inside: Vec<&Module> = files.keys().filter(|m| m.starts_with(&path(face))).collect();
        assert!(!inside.is_empty(), "there is no interface {face}");
        for module in inside {
            for other in faces.iter().filter(|o| **o != face) {
                let used = imports[module].iter().find(|to| to.starts_with(&path(other)));
                assert!(used.is_none(), "{}: {face} uses {other}", files[module].path.display());
            }
        }
    }
}

#[test]
fn unsafe_code_stays_in_its_modules() {
    for file in sources(&source_root()) {
        let place = file.strip_prefix(source_root()).unwrap().display().to_string();
        let code = code(&file);
        let has = ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|word| code.contains(word));
        assert!(!has || place.starts_with("system/") || place.starts_with("output/alsa/"), "{place}");
    }
}

#[test]
fn files_stay_below_750_lines() {
    for file in sources(&source_root()) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 750, "{} has {lines} lines", file.display());
    }
}

/// The body of a block: from behind its opening brace to the matching one.
fn block(code: &str) -> &str {
    let mut depth = 1;
    for (at, letter) in code.char_indices() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        if depth == 0 {
            return &code[..at];
        }
    }
    code
}

#[test]
fn types_have_at_most_25_fields() {
    let mut types = 0;
    for file in sources(&source_root()) {
        let code = code(&file);
        for (at, _) in code.match_indices("struct ") {
            let Some(open) = code[at..].find(['{', ';', '(']) else { continue };
            if !code[at + open..].starts_with('{') {
                continue;
            }
            types += 1;
            let name = code[at + 7..at + open].trim();
            let body = block(&code[at + open + 1..]);
            let fields = body.lines().filter(|l| {
                let field = l.trim_start().trim_start_matches("pub ").trim_start_matches("pub(super) ");
                field.split_once(':').is_some_and(|(n, rest)| {
                    !rest.starts_with(':') && n.chars().all(|c| c.is_alphanumeric() || c == '_')
                })
            });
            let fields = fields.count();
            assert!(fields <= 25, "{}: {name} has {fields} fields", file.display());
        }
    }
    assert!(types > 300, "{types} types were found");
}

#[test]
fn types_are_implemented_in_at_most_two_files() {
    let mut sites: BTreeMap<(String, String), BTreeSet<PathBuf>> = BTreeMap::new();
    for file in sources(&source_root()) {
        let top = file.strip_prefix(source_root()).unwrap().iter().next().unwrap().to_string_lossy().into_owned();
        for line in code(&file).lines().filter(|l| l.starts_with("impl") && l.ends_with('{') && !l.contains(" for ")) {
            let rest = line.trim_start_matches("impl");
            let rest = if rest.starts_with('<') { rest.split_once("> ").map_or(rest, |(_, r)| r) } else { rest };
            let name: String = rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            sites.entry((top.clone(), name)).or_default().insert(file.clone());
        }
    }
    assert!(sites.len() > 200, "{} types were found", sites.len());
    for ((_, name), files) in sites.iter().filter(|(_, files)| files.len() > 2) {
        // Types of one name in different folders are different types.
        let folders: BTreeSet<_> = files.iter().map(|f| f.parent()).collect();
        assert!(folders.len() == files.len(), "{name} is implemented in {files:?}");
    }
}
