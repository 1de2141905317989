//! One media root: opens files in it, and nowhere else.
//!
//! A file is opened beneath the root (`openat2` with `RESOLVE_BENEATH`), so that neither `..` nor a link that changes
//! during the lookup leads out. A symbolic link that does lead out is followed if `media.follow_links` allows it, since
//! gigabytes of stems often lie on another disk; the path is then judged by what was opened, not by its name:
//!
//! - It is first opened as a location only (`O_PATH`), which has no side effects. Only a regular file is then opened
//!   for reading; links to devices, FIFOs and sockets are rejected.
//! - It must not lie in a system directory ([`OFF_LIMITS`]): somebody who can write links onto a stick must not be able
//!   to read the machine's token, state or keys.
//! - The file must have the extension of a media file.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use unicode_normalization::UnicodeNormalization;

use super::file::{IoWatch, MediaFile, Reopen};

/// System directories into which no link may lead; removable disks below `/run` are excepted.
pub const OFF_LIMITS: &[&str] = &["/etc", "/proc", "/sys", "/dev", "/boot", "/root", "/run", "/var/lib", "/var/log"];
/// Exceptions to [`OFF_LIMITS`].
const REMOVABLE: &[&str] = &["/run/media"];
/// Extensions of files that may be reached through a link.
const MEDIA: &[&str] = &[
    "wav", "wave", "w64", "rf64", "bw64", "aif", "aiff", "aifc", "flac", "mp3", "mp2", "mp1", "ogg", "oga", "aac",
    "adts", "m4a", "m4b", "mp4", "mov", "caf",
];

/// Error from opening a file in a root.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// There is no such file.
    #[error("not found")]
    Absent,
    /// A link leads to a disallowed place.
    #[error("it leads to {}, which {why}", .to.display())]
    LeadsOut {
        /// Destination of the link.
        to: PathBuf,
        /// Why it is not allowed.
        why: &'static str,
    },
    /// The file exists but cannot be opened.
    #[error("it cannot be opened: {0}")]
    Io(#[from] io::Error),
}

/// A media root, and whether links may lead out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its path, as configured.
    pub path: PathBuf,
    /// Whether symbolic links that lead out are followed, within limits.
    pub follow_links: bool,
}

/// Location of a file in a root, for opening it again.
#[derive(Clone, Debug)]
struct RootEntry {
    root: Root,
    relative: PathBuf,
}

impl Reopen for RootEntry {
    fn open(&self, watch: &Arc<IoWatch>) -> io::Result<Arc<MediaFile>> {
        self.root.open(&self.relative, watch).map_err(|error| match error {
            RootError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::NotFound, other.to_string()),
        })
    }
}

impl Root {
    /// Returns whether the root exists.
    pub fn is_there(&self) -> bool {
        self.path.is_dir()
    }

    /// Opens the file at `relative`, a path without dots. May block for as long as the disk does.
    ///
    /// # Errors
    /// See [`RootError`].
    pub fn open(&self, relative: &Path, watch: &Arc<IoWatch>) -> Result<Arc<MediaFile>, RootError> {
        crate::system::guard::may_block();
        if relative.as_os_str().is_empty() || !relative.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(RootError::Absent);
        }
        let dir = open_dir(&self.path)?;
        let place: Arc<dyn Reopen> = Arc::new(RootEntry { root: self.clone(), relative: relative.into() });
        let place = Some(place);
        let shown = self.path.join(relative);
        match spot(&dir, relative, true) {
            Ok(spot) => MediaFile::of(for_reading(&spot)?, &shown, place, watch.clone()).map_err(RootError::Io),
            // A component of the path leads out of the root.
            Err(rustix::io::Errno::XDEV) => {
                let spot = spot(&dir, relative, false).map_err(absent_or)?;
                let to = real_path(&spot)?;
                self.judge(&to, relative)?;
                let file = for_reading(&spot)?;
                MediaFile::of(file, &shown, place, watch.clone()).map_err(RootError::Io)
            }
            Err(errno) => Err(absent_or(errno)),
        }
    }

    /// Checks whether a link may lead to the file at `to`.
    fn judge(&self, to: &Path, relative: &Path) -> Result<(), RootError> {
        // The root itself may be a link.
        if std::fs::canonicalize(&self.path).is_ok_and(|real| to.starts_with(real)) {
            return Ok(());
        }
        let refused = |why| Err(RootError::LeadsOut { to: to.into(), why });
        if !self.follow_links {
            return refused("lies outside the media roots (media.roots; media.follow_links is off)");
        }
        let within = |dirs: &[&str]| dirs.iter().any(|dir| to.starts_with(dir));
        if within(OFF_LIMITS) && !within(REMOVABLE) {
            return refused("is in a system directory, where links from media roots may not lead");
        }
        let extension = |path: &Path| path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        let media = |path: &Path| extension(path).is_some_and(|e| MEDIA.contains(&e.as_str()));
        if !(media(to) && media(relative)) {
            return refused("does not have the extension of a media file; links may lead to media files only");
        }
        Ok(())
    }

    /// Finds an existing path that equals `relative` up to the composition of accents: macOS decomposes them (NFD),
    /// other systems compose them (NFC).
    pub fn same_in_unicode(&self, relative: &Path) -> Option<PathBuf> {
        let mut found = PathBuf::new();
        for name in relative.components() {
            let Component::Normal(name) = name else { return None };
            let wanted: String = name.to_str()?.nfc().collect();
            let here = self.path.join(&found);
            if here.join(name).symlink_metadata().is_ok() {
                found.push(name);
                continue;
            }
            if wanted.is_ascii() {
                return None;
            }
            let twin = std::fs::read_dir(&here).ok()?.take(MOST_ENTRIES).flatten().find_map(|entry| {
                let name = entry.file_name();
                name.to_str()?.nfc().eq(wanted.chars()).then_some(name)
            })?;
            found.push(twin);
        }
        Some(found)
    }
}

/// Maximum number of directory entries examined for a name with differently composed accents.
const MOST_ENTRIES: usize = 20_000;

fn absent_or(errno: rustix::io::Errno) -> RootError {
    use rustix::io::Errno;
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::INVAL => RootError::Absent,
        other => RootError::Io(other.into()),
    }
}

fn open_dir(path: &Path) -> Result<OwnedFd, RootError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(absent_or)
}

/// Opens a location (`O_PATH`), without side effects on what is there.
fn spot(dir: &OwnedFd, relative: &Path, beneath: bool) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let mut resolve = ResolveFlags::NO_MAGICLINKS;
    resolve.set(ResolveFlags::BENEATH, beneath);
    match rustix::fs::openat2(dir, relative, flags, Mode::empty(), resolve) {
        // A kernel before 5.6, or a sandbox: fall back to judging what was opened.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) if beneath => Err(rustix::io::Errno::XDEV),
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            rustix::fs::openat(dir, relative, flags, Mode::empty())
        }
        other => other,
    }
}

/// Opens the file at a location for reading, if it is a regular file.
fn for_reading(spot: &OwnedFd) -> Result<File, RootError> {
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(spot).map_err(absent_or)?.st_mode);
    match kind {
        rustix::fs::FileType::RegularFile => {}
        rustix::fs::FileType::Directory => return Err(RootError::Absent),
        _ => return Err(RootError::Io(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))),
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(self_fd(spot), flags, Mode::empty()).map_err(|e| RootError::Io(e.into()))?;
    Ok(file.into())
}

/// The resolved path of a location.
fn real_path(spot: &OwnedFd) -> Result<PathBuf, RootError> {
    let link = rustix::fs::readlink(self_fd(spot), Vec::new()).map_err(|e| RootError::Io(e.into()))?;
    Ok(PathBuf::from(OsStr::from_bytes(link.as_bytes())))
}

/// The path in `/proc` of an open descriptor.
fn self_fd(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Opens the file `name` in the same directory as `file`, without following a link.
///
/// # Errors
/// As [`Root::open`].
pub fn beside(file: &Path, name: &OsStr, watch: &Arc<IoWatch>) -> Result<Arc<MediaFile>, RootError> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = open_dir(folder)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let spot = rustix::fs::openat(&dir, name, flags, Mode::empty()).map_err(absent_or)?;
    MediaFile::of(for_reading(&spot)?, &folder.join(name), None, watch.clone()).map_err(RootError::Io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Scene(PathBuf);

    impl Scene {
        fn new(name: &str) -> Scene {
            let base = std::env::temp_dir().join(format!("grooved-root-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&base);
            std::fs::create_dir_all(base.join("music/song")).unwrap();
            std::fs::create_dir_all(base.join("disk")).unwrap();
            std::fs::write(base.join("music/song/bass.wav"), b"bass").unwrap();
            std::fs::write(base.join("disk/far.wav"), b"far").unwrap();
            std::fs::write(base.join("disk/key.pem"), b"secret").unwrap();
            Scene(base)
        }

        fn open(&self, follow_links: bool, relative: &str) -> Result<Vec<u8>, RootError> {
            let root = Root { path: self.0.join("music"), follow_links };
            root.open(Path::new(relative), &Arc::default()).map(|f| f.read_all(99).unwrap())
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_within_a_root_are_links_out_of_it_only_when_allowed() {
        let scene = Scene::new("links");
        let music = scene.0.join("music");
        symlink("song/bass.wav", music.join("inside.wav")).unwrap();
        symlink("../disk", music.join("stems")).unwrap();
        symlink(scene.0.join("disk/far.wav"), music.join("far.wav")).unwrap();
        symlink(scene.0.join("disk/key.pem"), music.join("key.wav")).unwrap();
        symlink("/etc/hostname", music.join("host.wav")).unwrap();
        symlink("/dev/zero", music.join("zero.wav")).unwrap();
        symlink("loop.wav", music.join("loop.wav")).unwrap();
        assert_eq!(scene.open(false, "song/bass.wav").unwrap(), b"bass");
        assert_eq!(scene.open(false, "inside.wav").unwrap(), b"bass");
        for out in ["stems/far.wav", "far.wav"] {
            let why = scene.open(false, out).unwrap_err().to_string();
            assert!(why.contains("leads to") && why.contains("disk/far.wav") && why.contains("media.roots"), "{why}");
            assert_eq!(scene.open(true, out).unwrap(), b"far", "{out}");
        }
        for (never, wanted) in
            [("key.wav", "not have the extension"), ("host.wav", "system directory"), ("zero.wav", "system directory")]
        {
            let why = scene.open(true, never).unwrap_err().to_string();
            assert!(why.contains(wanted), "{never}: {why}");
        }
        for absent in ["loop.wav", "no.wav", "song", "../disk/far.wav", "/etc/passwd", "", "song/bass.wav/x"] {
            assert!(matches!(scene.open(true, absent), Err(RootError::Absent)), "{absent}");
        }
    }

    #[test]
    fn what_would_make_a_reader_wait_is_refused() {
        let scene = Scene::new("fifo");
        let fifo = scene.0.join("music/pipe.wav");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(scene.open(true, "pipe.wav").unwrap_err().to_string().contains("not a regular file"));
        let track = scene.0.join("music/song/bass.wav");
        rustix::fs::mkfifoat(rustix::fs::CWD, scene.0.join("music/song/bass.json"), Mode::RUSR).unwrap();
        assert!(beside(&track, OsStr::new("bass.json"), &Arc::default()).is_err());
        symlink("/dev/zero", scene.0.join("music/song/zero.json")).unwrap();
        assert!(beside(&track, OsStr::new("zero.json"), &Arc::default()).is_err());
    }

    #[test]
    fn names_are_equal_however_their_accents_are_composed() {
        let scene = Scene::new("unicode");
        let (composed, apart) = ("Caf\u{e9}.wav", "Cafe\u{301}.wav");
        std::fs::create_dir_all(scene.0.join("music/Mu\u{308}ller")).unwrap();
        std::fs::write(scene.0.join("music").join(apart), b"x").unwrap();
        std::fs::write(scene.0.join("music/Mu\u{308}ller").join(composed), b"x").unwrap();
        let root = Root { path: scene.0.join("music"), follow_links: false };
        assert_eq!(root.same_in_unicode(Path::new(composed)), Some(apart.into()));
        let wanted = Path::new("M\u{fc}ller").join(apart);
        assert_eq!(root.same_in_unicode(&wanted), Some(Path::new("Mu\u{308}ller").join(composed)));
        assert_eq!(root.same_in_unicode(Path::new("Th\u{e9}.wav")), None);
    }
}
