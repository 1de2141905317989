//! Which files may be reached, and what a client meant by a path.
//!
//! Clients of the older servers send paths of the machine they run on. A path is taken as it is if it lies inside a
//! media root; otherwise the longest suffix of it that exists under a root is meant. Nothing outside the roots is
//! ever opened, whatever dots and links a path contains.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file '{requested}' was not found under a media root; tried {}", .tried.join(", "))]
pub struct NotFound {
    /// As the client sent it.
    pub requested: String,
    /// What was looked for, in order.
    pub tried: Vec<String>,
}

/// The media roots.
#[derive(Clone, Debug, Default)]
pub struct Library {
    roots: Vec<PathBuf>,
}

/// Longer paths than this are nobody's.
const MAX_PATH: usize = 4096;
/// Names in an error message; the rest is summed up.
const MOST_TRIED: usize = 12;

impl Library {
    /// Roots that exist are resolved now; the others are left out.
    pub fn new(roots: &[PathBuf]) -> Library {
        let mut found: Vec<PathBuf> = Vec::new();
        for root in roots.iter().filter_map(|r| r.canonicalize().ok()) {
            if !found.contains(&root) {
                found.push(root);
            }
        }
        Library { roots: found }
    }

    /// The roots in use.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// The file a client means by `requested`.
    pub fn find(&self, requested: &str) -> Result<PathBuf, NotFound> {
        crate::system::guard::may_block();
        let mut tried = Vec::new();
        let not_found = |tried| Err(NotFound { requested: requested.chars().take(MAX_PATH).collect(), tried });
        if requested.is_empty() || requested.len() > MAX_PATH || requested.contains('\0') {
            return not_found(vec!["nothing (the path is empty, too long, or contains a zero byte)".into()]);
        }
        let path = Path::new(requested);
        if path.is_absolute()
            && let Some(found) = self.inside(path)
        {
            return Ok(found);
        }
        if path.is_absolute() {
            tried.push(requested.to_string());
        }
        // Windows clients send backslashes, and none of our roots has one in a name that matters.
        let text = if requested.contains('/') { requested.to_string() } else { requested.replace('\\', "/") };
        let names: Vec<&OsStr> = Path::new(&text)
            .components()
            .filter_map(|c| match c {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        for start in 0..names.len() {
            let suffix: PathBuf = names[start..].iter().collect();
            for root in &self.roots {
                let candidate = root.join(&suffix);
                if let Some(found) = self.inside(&candidate) {
                    return Ok(found);
                }
                tried.push(candidate.display().to_string());
            }
        }
        if tried.len() > MOST_TRIED {
            let more = tried.len() - MOST_TRIED;
            tried.truncate(MOST_TRIED);
            tried.push(format!("and {more} more"));
        }
        if self.roots.is_empty() {
            tried.push("nothing more: no media root exists".into());
        }
        not_found(tried)
    }

    /// The true path of `path`, if it is a file inside a root.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        (real.is_file() && self.roots.iter().any(|root| real.starts_with(root))).then_some(real)
    }
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
        (base.clone(), Library::new(&[root]))
    }

    #[test]
    fn finds_absolute_relative_and_foreign_paths() {
        let (base, library) = scene("find");
        let real = base.canonicalize().unwrap().join("music/stems/song/bass.wav");
        for path in [
            real.to_str().unwrap(),
            "stems/song/bass.wav",
            "/home/dj/show/stems/song/bass.wav",
            "../stems/song/bass.wav",
            "./song/../stems/song/bass.wav",
            "C:\\music\\stems\\song\\bass.wav",
        ] {
            match path {
                "./song/../stems/song/bass.wav" | "C:\\music\\stems\\song\\bass.wav" => {
                    assert_eq!(library.find(path).as_ref(), Ok(&real), "{path}");
                }
                _ => assert_eq!(library.find(path), Ok(real.clone()), "{path}"),
            }
        }
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
            assert!(library.find(path).is_err(), "{path:?}");
        }
        let error = library.find("no/such.wav").unwrap_err();
        assert!(error.to_string().contains("no/such.wav") && error.tried.len() == 2);
        let _ = std::fs::remove_dir_all(base);
    }
}
