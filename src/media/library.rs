//! Resolution of the paths that clients send.
//!
//! Clients of the older servers send paths of the machine they run on. A path inside a media root is taken as it is;
//! otherwise it stands for its longest suffix that exists under a root. Nothing outside the roots is opened, whatever
//! dots and links a path contains; see [`super::root`].

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::file::{IoWatch, MediaFile};
use super::root::{Root, RootError};
use crate::genome::Collection;

/// Maximum length of a path in bytes.
const MAX_PATH: usize = 4096;
/// Maximum number of components of a path.
const MAX_DEPTH: usize = 64;
/// Maximum number of paths listed in an error message; the others are only counted.
const MOST_TRIED: usize = 12;

/// The error for a path that cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file '{requested}' {}{}", .what, list(.tried))]
pub struct NotFound {
    /// The path as the client sent it.
    pub requested: String,
    /// What is wrong; continues "file '…'".
    pub what: String,
    /// The paths that were tried, in order.
    pub tried: Vec<String>,
}

fn list(tried: &[String]) -> String {
    if tried.is_empty() { String::new() } else { format!("; tried {}", tried.join(", ")) }
}

/// A path as a client sent it, and the candidates for it in a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    requested: String,
    absolute: Option<PathBuf>,
    /// Suffixes of the path, ever shorter, without dots.
    suffixes: Vec<PathBuf>,
}

/// Result of a lookup in one root.
#[derive(Debug)]
pub enum Look {
    /// A file and its rank; a lower rank is a better match.
    Found(usize, Arc<MediaFile>),
    /// No file; with remarks for the error message.
    Nothing(Vec<String>),
}

impl Wanted {
    /// Parses a client's path. Touches no disk.
    ///
    /// # Errors
    /// If it cannot be the path of a file.
    pub fn of(requested: &str) -> Result<Wanted, NotFound> {
        let refused = |what: &str| {
            Err(NotFound { requested: requested.chars().take(200).collect(), what: what.into(), tried: Vec::new() })
        };
        if requested.is_empty() {
            return refused("has an empty path; expected the path of a sound file");
        }
        if requested.len() > MAX_PATH {
            return refused("has a path longer than 4096 bytes");
        }
        if requested.contains('\0') {
            return refused("has a NUL byte in its path");
        }
        // Windows clients send backslashes; backslashes in the names of media files are not supported.
        let text = if requested.contains('/') { requested.to_string() } else { requested.replace('\\', "/") };
        let names: Vec<_> = Path::new(&text)
            .components()
            .filter_map(|c| match c {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        if names.len() > MAX_DEPTH {
            return refused("has a path of more than 64 components");
        }
        Ok(Wanted {
            requested: requested.into(),
            absolute: Some(PathBuf::from(requested)).filter(|p| p.is_absolute()),
            suffixes: (0..names.len()).map(|start| names[start..].iter().collect()).collect(),
        })
    }

    /// Candidates in `root`, the best first, each with its rank.
    fn places(&self, root: &Path) -> impl Iterator<Item = (usize, &Path)> {
        let inside = self.absolute.as_deref().and_then(|path| path.strip_prefix(root).ok());
        let inside = inside.map(|relative| (0, relative));
        inside.into_iter().chain(self.suffixes.iter().enumerate().map(|(k, suffix)| (k + 1, suffix.as_path())))
    }

    /// Looks the path up in one root. May block for as long as its disk does.
    pub fn look(&self, root: &Root, watch: &Arc<IoWatch>) -> Look {
        if !root.is_there() {
            return Look::Nothing(vec![format!("{} does not exist", root.path.display())]);
        }
        // A root that is a link may be named by either path.
        let real = root.path.canonicalize().ok().filter(|real| *real != root.path);
        let roots = [Some(root.path.as_path()), real.as_deref()];
        let mut remarks = Vec::new();
        let mut attempt = |rank: usize, relative: &Path| match root.open(relative, watch) {
            Ok(file) => Some(Look::Found(rank, file)),
            Err(RootError::Absent) => None,
            Err(other) => {
                remarks.push(format!("{}: {other}", root.path.join(relative).display()));
                None
            }
        };
        for path in roots.into_iter().flatten() {
            if let Some(found) = self.places(path).find_map(|(rank, relative)| attempt(rank, relative)) {
                return found;
            }
        }
        let twins =
            self.places(&root.path).filter_map(|(rank, relative)| Some((rank, root.same_in_unicode(relative)?)));
        if let Some(found) = twins.collect::<Vec<_>>().into_iter().find_map(|(rank, twin)| attempt(rank, &twin)) {
            return found;
        }
        Look::Nothing(remarks)
    }

    /// Builds the error for a path that no root has; `remarks` are those of the lookups.
    pub fn not_found(&self, roots: &[Root], remarks: Vec<String>) -> NotFound {
        let mut tried: Vec<String> = self.absolute.iter().map(|path| path.display().to_string()).collect();
        for suffix in &self.suffixes {
            tried.extend(roots.iter().map(|root| root.path.join(suffix).display().to_string()));
        }
        tried.dedup();
        if tried.len() > MOST_TRIED {
            let more = tried.len() - MOST_TRIED;
            tried.truncate(MOST_TRIED);
            tried.push(format!("and {more} more"));
        }
        let what = match (remarks.is_empty(), roots.is_empty()) {
            (false, _) => format!("cannot be loaded: {}", remarks.join("; ")),
            (true, true) => "was not found: no media root is configured (media.roots)".into(),
            (true, false) => "was not found under a media root".into(),
        };
        NotFound { requested: self.requested.clone(), what, tried }
    }
}

/// The media roots, for callers that may block on their disks.
#[derive(Clone, Debug, Default)]
pub struct Library {
    roots: Vec<Root>,
    genomes: Option<Arc<Collection>>,
}

impl Library {
    /// Creates a library of these roots, which need not exist yet; duplicates are dropped.
    pub fn new(paths: &[PathBuf], follow_links: bool) -> Library {
        let mut roots: Vec<Root> = Vec::new();
        for path in paths {
            let root = Root { path: path.clone(), follow_links };
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        Library { roots, genomes: None }
    }

    /// Adds the database of genomes, for names such as `genome:ID`.
    pub fn with_genomes(self, genomes: Option<Arc<Collection>>) -> Library {
        Library { genomes, ..self }
    }

    /// The database of genomes, if there is one.
    pub fn genomes(&self) -> Option<&Arc<Collection>> {
        self.genomes.as_ref()
    }

    /// The roots, in search order.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Opens the file that a client's path stands for.
    ///
    /// # Errors
    /// If there is none, with all the paths that were tried.
    pub fn open(&self, requested: &str) -> Result<Arc<MediaFile>, NotFound> {
        let wanted = Wanted::of(requested)?;
        let watch = Arc::default();
        best(&wanted, &self.roots, self.roots.iter().map(|root| wanted.look(root, &watch)).collect())
    }
}

/// Chooses the best result of several roots: the longest suffix of the path, then the first root.
///
/// # Errors
/// If no root has the file.
pub fn best(wanted: &Wanted, roots: &[Root], looks: Vec<Look>) -> Result<Arc<MediaFile>, NotFound> {
    let mut remarks = Vec::new();
    let mut found: Option<(usize, Arc<MediaFile>)> = None;
    for look in looks {
        match look {
            Look::Found(rank, file) if found.as_ref().is_none_or(|(best, _)| rank < *best) => {
                found = Some((rank, file))
            }
            Look::Found(..) => {}
            Look::Nothing(told) => remarks.extend(told),
        }
    }
    found.map(|(_, file)| file).ok_or_else(|| wanted.not_found(roots, remarks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(name: &str) -> (PathBuf, Library) {
        let base = std::env::temp_dir().join(format!("grooved-library-{name}-{}", std::process::id()));
        let root = base.join("music");
        std::fs::create_dir_all(root.join("stems/song")).unwrap();
        std::fs::write(root.join("stems/song/bass.wav"), b"x").unwrap();
        std::fs::write(base.join("secret.wav"), b"x").unwrap();
        let _ = std::os::unix::fs::symlink(base.join("secret.wav"), root.join("link.wav"));
        (base.clone(), Library::new(&[root], false))
    }

    #[test]
    fn finds_absolute_relative_and_foreign_paths() {
        let (base, library) = scene("find");
        let real = base.join("music/stems/song/bass.wav");
        for path in [
            real.to_str().unwrap(),
            "stems/song/bass.wav",
            "/home/dj/show/stems/song/bass.wav",
            "../stems/song/bass.wav",
            "./song/../stems/song/bass.wav",
            "C:\\music\\stems\\song\\bass.wav",
        ] {
            assert_eq!(library.open(path).unwrap().path(), real, "{path}");
        }
        // A root that is a link can be named by both of its paths.
        std::os::unix::fs::symlink(base.join("music"), base.join("alias")).unwrap();
        let alias = Library::new(&[base.join("alias")], false);
        for path in [base.join("alias/stems/song/bass.wav"), real.clone()] {
            assert!(alias.open(path.to_str().unwrap()).is_ok(), "{}", path.display());
        }
        let _ = std::fs::remove_dir_all(base);
    }

    #[test]
    fn the_longest_part_of_a_path_decides_then_the_order_of_the_roots() {
        let (base, _) = scene("best");
        for root in ["one", "two"] {
            std::fs::create_dir_all(base.join(root).join("song")).unwrap();
            std::fs::write(base.join(root).join("bass.wav"), b"x").unwrap();
        }
        std::fs::write(base.join("two/song/bass.wav"), b"x").unwrap();
        let library = Library::new(&[base.join("gone"), base.join("one"), base.join("two")], false);
        assert_eq!(library.open("/dj/song/bass.wav").unwrap().path(), base.join("two/song/bass.wav"));
        assert_eq!(library.open("/dj/other/bass.wav").unwrap().path(), base.join("one/bass.wav"));
        // A root that appears later is used.
        let why = library.open("late.wav").unwrap_err().to_string();
        assert!(why.contains("gone does not exist"), "{why}");
        std::fs::create_dir_all(base.join("gone")).unwrap();
        std::fs::write(base.join("gone/late.wav"), b"x").unwrap();
        assert!(library.open("late.wav").is_ok());
        let _ = std::fs::remove_dir_all(base);
    }

    #[test]
    fn nothing_outside_the_roots_is_found() {
        let (base, library) = scene("outside");
        let secret = base.join("secret.wav");
        for path in [
            secret.to_str().unwrap(),
            "../secret.wav",
            "stems/../../secret.wav",
            "link.wav",
            "/etc/passwd",
            "",
            "\0",
            "stems",
            "/",
        ] {
            assert!(library.open(path).is_err(), "{path:?}");
        }
        let error = library.open("no/such.wav").unwrap_err();
        assert!(error.to_string().contains("no/such.wav") && error.tried.len() == 2, "{error}");
        let error = library.open("link.wav").unwrap_err().to_string();
        assert!(error.contains("leads to") && error.contains("outside the media roots"), "{error}");
        let _ = std::fs::remove_dir_all(base);
    }
}
