//! Where the sound of a track lies: analyses name paths of other machines.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

use super::structure::Structure;

/// Suffixes of the sounds that are looked for beside a structure file's name.
const SUFFIXES: &[&str] = &["wav", "flac", "aiff", "aif", "mp3", "m4a", "ogg", "aac"];

/// The places in which sounds are looked for.
pub struct Places<'a> {
    audio: Option<&'a Path>,
    /// The paths that end with a name, by the name in composed form.
    claims: HashMap<String, HashSet<String>>,
    /// The structure files by their names without extension.
    stems: HashMap<String, HashSet<PathBuf>>,
    /// Names in a folder by their composed form, for folders that have been listed.
    listed: RefCell<HashMap<PathBuf, HashMap<String, OsString>>>,
}

fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// Returns the components of a path that may be written with either separator.
fn components(path: &str) -> Vec<&str> {
    let windows = !path.contains('/');
    let is_separator = |c: char| c == '/' || (windows && c == '\\');
    path.split(is_separator).filter(|c| !matches!(*c, "" | "." | "..")).collect()
}

impl<'a> Places<'a> {
    /// Creates the places for tracks of the given structures: a folder of sounds, and what the structures themselves
    /// name.
    pub fn new<'s>(audio: Option<&'a Path>, structures: impl Iterator<Item = &'s Structure>) -> Places<'a> {
        let mut claims: HashMap<String, HashSet<String>> = HashMap::new();
        let mut stems: HashMap<String, HashSet<PathBuf>> = HashMap::new();
        for structure in structures {
            if let Some(stem) = structure.file.file_stem().and_then(|stem| stem.to_str()) {
                stems.entry(stem.into()).or_default().insert(structure.file.clone());
            }
            if let Some(name) = components(&structure.path).last() {
                claims.entry(composed(name)).or_default().insert(structure.path.clone());
            }
        }
        Places { audio, claims, stems, listed: RefCell::default() }
    }

    /// Finds the sound of a track: under the folder of sounds by the longest common tail of its path (by the name alone
    /// only if no other track has that name too), or by the name of its structure file; then by its path, from the
    /// current folder and from the structure file's. Composed and decomposed Unicode are the same.
    ///
    /// # Errors
    /// Why there is none: a clause that follows the track's name.
    pub fn find(&self, structure: &Structure) -> Result<PathBuf, String> {
        let names = components(&structure.path);
        let mut shared = false;
        if let Some(audio) = self.audio {
            for start in 0..names.len() {
                let Some(file) = self.resolve(audio, &names[start..]) else { continue };
                if start + 1 == names.len() && self.is_shared(&structure.path, names[start], &file) {
                    shared = true;
                    continue;
                }
                return Ok(file);
            }
            if let Some(stem) = structure.file.file_stem().and_then(|stem| stem.to_str())
                && self.stems.get(stem).is_none_or(|files| files.len() == 1)
            {
                let by_stem = SUFFIXES.iter().find_map(|s| self.resolve(audio, &[&format!("{stem}.{s}")]));
                if let Some(file) = by_stem {
                    return Ok(file);
                }
            }
        }
        let beside = structure.file.parent().unwrap_or(Path::new(""));
        for base in [Path::new(""), beside] {
            let given = base.join(&structure.path);
            if !structure.path.is_empty() && given.is_file() {
                return Ok(given);
            }
        }
        let root = if structure.path.starts_with('/') { Path::new("/") } else { beside };
        if let Some(file) = self.resolve(root, &names) {
            return Ok(file);
        }
        Err(match (names.last(), shared) {
            (None, _) => "no sound: its structure file names none".into(),
            (Some(name), true) => format!("no sound: '{name}' could belong to several tracks"),
            (Some(name), false) => match self.audio {
                Some(audio) => format!("no sound: '{name}' is neither in {} nor at its path", audio.display()),
                None => format!("no sound at its path, '{}'", structure.path),
            },
        })
    }

    /// Returns whether another track may mean the same file. A file whose bytes are the track's own name is its own if
    /// the others spell theirs differently.
    fn is_shared(&self, path: &str, name: &str, file: &Path) -> bool {
        let others = self.claims.get(&composed(name)).into_iter().flatten().filter(|other| *other != path);
        let spells = |path: &str| components(path).last().is_some_and(|n| file.file_name().is_some_and(|f| f == *n));
        let exact = spells(path);
        others.into_iter().any(|other| !exact || spells(other))
    }

    /// Returns the file at `names` below `folder`, in any Unicode form.
    fn resolve(&self, folder: &Path, names: &[&str]) -> Option<PathBuf> {
        let mut path = folder.to_path_buf();
        for (k, name) in names.iter().enumerate() {
            let exact = path.join(name);
            path = match exact.exists() {
                true => exact,
                false => path.join(self.twin(&path, name)?),
            };
            if k + 1 < names.len() && !path.is_dir() {
                return None;
            }
        }
        path.is_file().then_some(path)
    }

    /// Returns the name in a folder that is the same in composed form.
    fn twin(&self, folder: &Path, name: &str) -> Option<OsString> {
        // Names of ASCII have a single form.
        if name.is_ascii() {
            return None;
        }
        let mut listed = self.listed.borrow_mut();
        let names = listed.entry(folder.into()).or_insert_with(|| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter_map(|e| Some((composed(e.file_name().to_str()?), e.file_name()))).collect()
        });
        names.get(&composed(name)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(file: &Path, path: &str) -> Structure {
        let mut structure = Structure::parse(file, b"{}").unwrap();
        structure.path = path.into();
        structure
    }

    #[test]
    fn sounds_are_found_by_tail_name_stem_and_path() {
        let folder = std::env::temp_dir().join(format!("grooved-lookup-{}", std::process::id()));
        let put = |name: &str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, b"").unwrap();
        };
        let nfd = "cafe\u{301}.wav";
        for name in ["audio/one/same.wav", "audio/same.wav", "audio/a.wav", "audio/by stem.flac", "struct/rel.wav"] {
            put(name);
        }
        put(&format!("audio/{nfd}"));
        let audio = folder.join("audio");
        let file = folder.join("struct/by stem.json");
        let other = folder.join("struct/other.json");
        let paths = [
            "/m/one/same.wav",
            "/m/two/same.wav",
            "C:\\Music\\a.wav",
            "/m/café.wav",
            "/m/gone.wav",
            "rel.wav",
            "/m/x/no",
        ];
        let files = [&file, &file, &other, &other, &file, &other, &other];
        let all: Vec<_> = paths.iter().zip(files).map(|(path, file)| structure(file, path)).collect();
        let places = Places::new(Some(&audio), all.iter());
        let found = |k: usize| places.find(&all[k]).map(|p| p.strip_prefix(&folder).unwrap().display().to_string());
        assert_eq!(found(0).unwrap(), "audio/one/same.wav");
        // The plain name could be either track's; the structure's own name is found instead.
        assert_eq!(found(1).unwrap(), "audio/by stem.flac");
        assert_eq!(found(2).unwrap(), "audio/a.wav");
        assert_eq!(found(3).unwrap(), format!("audio/{nfd}"));
        assert_eq!(found(4).unwrap(), "audio/by stem.flac");
        let other = folder.join("struct/other.json");
        let find = |path: &str| places.find(&structure(&other, path));
        assert!(find("/m/two/same.wav").unwrap_err().contains("could belong to several tracks"));
        assert!(find("/m/gone.wav").unwrap_err().contains("neither in"));
        assert_eq!(find("rel.wav").unwrap(), folder.join("struct/rel.wav"));
        assert!(find("").unwrap_err().contains("names none"));
        assert!(find("../../etc/..").is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
