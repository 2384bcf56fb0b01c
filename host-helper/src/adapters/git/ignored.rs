//! What a worktree holds besides its tracked and untracked files: what git ignores. Small files go into the snapshot, the rest is
//! named and counted, and a repository among it keeps the worktree from being removed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use claustre_protocol::request::{LostPath, ShownLoss};

use super::{Git, GitError};
use crate::text;

/// Most ignored files that one snapshot takes.
const MOST_KEPT: usize = 5_000;
/// Largest file that is compared with the main checkout's, in bytes.
const LARGEST_COMPARED: u64 = 64 * 1024 * 1024;
/// Longest path that is told, in characters.
const LONGEST_PATH: usize = 120;
/// Directories that tools fill and fill again: they may go without having been shown.
const BUILD_DIRECTORIES: &[&str] = &[
    ".dart_tool",
    ".gradle",
    ".mypy_cache",
    ".next",
    ".nuxt",
    ".parcel-cache",
    ".pytest_cache",
    ".ruff_cache",
    ".svelte-kit",
    ".tox",
    ".turbo",
    ".venv",
    ".zig-cache",
    "DerivedData",
    "Pods",
    "__pycache__",
    "_build",
    "bower_components",
    "build",
    "coverage",
    "dist",
    "elm-stuff",
    "node_modules",
    "target",
    "vendor",
    "venv",
    "zig-out",
];

/// Which ignored files go into a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepLimits {
    /// Largest file, in bytes.
    pub file: u64,
    /// All files together, in bytes.
    pub total: u64,
}

impl Default for KeepLimits {
    fn default() -> Self {
        Self {
            file: 1024 * 1024,
            total: 32 * 1024 * 1024,
        }
    }
}

/// The ignored content of a worktree.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    /// Files that go into the snapshot, relative to the worktree.
    pub(super) kept: Vec<PathBuf>,
    /// Likewise, but the main checkout has the same: they alone make no snapshot necessary.
    pub(super) copies: Vec<PathBuf>,
    /// What goes for good, the largest first.
    pub(super) lost: Vec<LostPath>,
}

/// A path that git lists as a whole: a file, or a directory of which nothing is tracked.
struct Unit {
    path: PathBuf,
    is_directory: bool,
    files: u64,
    bytes: u64,
    /// Bytes of the files that are small enough to be kept.
    small: u64,
    /// The files; none where there are too many to be kept.
    found: Option<Vec<Found>>,
}

struct Found {
    path: PathBuf,
    bytes: u64,
}

/// Looks at everything in the worktree that this index does not hold. `ours` are the files that Claustre put there.
///
/// # Errors
/// A repository is among it, or something that cannot be looked into.
pub(super) fn look(
    git: &Git,
    worktree: &Path,
    main: &Path,
    index: &Path,
    limits: KeepLimits,
    ours: &[PathBuf],
) -> Result<Ignored, GitError> {
    let mut units = Vec::new();
    for path in listed(git, worktree, Some(index))? {
        if ours.contains(&path) {
            continue;
        }
        units.push(Unit::read(worktree, path, Some(limits))?);
    }
    // The small ones first: many of them fit where one large one would not.
    units.sort_by(|one, other| (one.bytes, &one.path).cmp(&(other.bytes, &other.path)));
    let mut ignored = Ignored::default();
    let mut left = limits.total;
    for unit in units {
        let small = unit.small;
        let files = ignored.kept.len().saturating_add(ignored.copies.len());
        let fits = small <= left
            && unit
                .found
                .as_ref()
                .is_some_and(|found| files.saturating_add(found.len()) <= MOST_KEPT);
        match unit.found.as_ref().filter(|_| fits) {
            None => ignored.lost.extend(unit.lost(Path::new(""))),
            Some(found) => {
                left = left.saturating_sub(small);
                for file in found {
                    let is_small = file.bytes <= limits.file;
                    if is_same(&worktree.join(&file.path), &main.join(&file.path)) {
                        // Too large to be kept, and not lost either.
                        if is_small {
                            ignored.copies.push(file.path.clone());
                        }
                    } else if is_small {
                        ignored.kept.push(file.path.clone());
                    } else {
                        ignored.lost.push(LostPath {
                            path: shown(&file.path),
                            files: 1,
                            bytes: file.bytes,
                        });
                    }
                }
            }
        }
    }
    ignored.sort();
    Ok(ignored)
}

/// What a submodule holds besides its commits: all of it goes for good. `below` is its path in the worktree.
pub(super) fn of_submodule(
    git: &Git,
    worktree: &Path,
    below: &Path,
) -> Result<Vec<LostPath>, GitError> {
    let submodule = worktree.join(below);
    let mut lost = Vec::new();
    for path in listed(git, &submodule, None)? {
        lost.extend(Unit::read(&submodule, path, None)?.lost(below));
    }
    Ok(lost)
}

/// What would go for good although nobody was shown it. Directories that tools fill may always go.
pub(super) fn unseen<'a>(lost: &'a [LostPath], shown: Option<&ShownLoss>) -> Vec<&'a LostPath> {
    let unseen: Vec<&LostPath> = lost
        .iter()
        .filter(|lost| !is_made_again(&lost.path))
        .filter(|lost| !shown.is_some_and(|shown| shown.paths.contains(&lost.path)))
        .collect();
    let by_number = shown.map_or(0, |shown| usize::try_from(shown.more).unwrap_or(usize::MAX));
    if unseen.len() <= by_number {
        Vec::new()
    } else {
        unseen
    }
}

/// Is this a directory that tools fill again?
fn is_made_again(path: &str) -> bool {
    path.strip_suffix('/').is_some_and(|path| {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        BUILD_DIRECTORIES.contains(&name)
    })
}

impl Ignored {
    /// The largest first.
    pub(super) fn sort(&mut self) {
        self.lost
            .sort_by(|one, other| (other.bytes, &one.path).cmp(&(one.bytes, &other.path)));
    }
}

/// What the index does not hold; a directory as one path where nothing in it is tracked.
fn listed(git: &Git, checkout: &Path, index: Option<&Path>) -> Result<Vec<PathBuf>, GitError> {
    let mut call = git
        .call(checkout, "ls-files")
        .args(["-z", "--others", "--directory"]);
    if let Some(index) = index {
        call = call.env("GIT_INDEX_FILE", index);
    }
    let answer = call.run()?;
    if answer.stdout_cut {
        return Err(GitError::Answer {
            command: "git ls-files --others".into(),
        });
    }
    Ok(answer
        .stdout
        .split(|byte| *byte == 0)
        .map(|path| path.strip_suffix(b"/").unwrap_or(path))
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect())
}

impl Unit {
    /// Reads a file or directory; without limits its files are only counted.
    fn read(worktree: &Path, path: PathBuf, limits: Option<KeepLimits>) -> Result<Self, GitError> {
        let whole = worktree.join(&path);
        let data = match whole.symlink_metadata() {
            Ok(data) => data,
            // Gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::empty(path, limits));
            }
            Err(error) => return Err(GitError::file("looking at", whole)(error)),
        };
        let device = worktree
            .symlink_metadata()
            .map_err(GitError::file("looking at", worktree))?
            .dev();
        if data.dev() != device {
            return Err(mounted(whole));
        }
        let mut unit = Self::empty(path, limits);
        if data.is_dir() {
            unit.is_directory = true;
            unit.walk(worktree, device, limits)?;
        } else {
            let path = unit.path.clone();
            if path.file_name().is_some_and(|name| name == ".git") {
                return Err(nested(whole.parent().unwrap_or(worktree)));
            }
            unit.add(path, &data, limits);
        }
        Ok(unit)
    }

    fn empty(path: PathBuf, limits: Option<KeepLimits>) -> Self {
        Self {
            path,
            is_directory: false,
            files: 0,
            bytes: 0,
            small: 0,
            found: limits.map(|_| Vec::new()),
        }
    }

    /// Reads all of a directory. No link is followed.
    fn walk(
        &mut self,
        worktree: &Path,
        device: u64,
        limits: Option<KeepLimits>,
    ) -> Result<(), GitError> {
        let mut left = vec![self.path.clone()];
        while let Some(directory) = left.pop() {
            let whole = worktree.join(&directory);
            let entries = match fs::read_dir(&whole) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(GitError::file("reading", whole)(error)),
            };
            let mut bare = 0;
            for entry in entries {
                let entry = entry.map_err(GitError::file("reading", &whole))?;
                let name = entry.file_name();
                if name == ".git" {
                    return Err(nested(&whole));
                }
                let Ok(data) = entry.metadata() else {
                    continue;
                };
                // What is mounted there would be emptied with the worktree.
                if data.dev() != device {
                    return Err(mounted(entry.path()));
                }
                bare += usize::from(
                    (name == "HEAD" && data.is_file())
                        || (data.is_dir() && (name == "objects" || name == "refs")),
                );
                if bare == 3 {
                    return Err(nested(&whole));
                }
                let path = directory.join(name);
                if data.is_dir() {
                    left.push(path);
                } else {
                    self.add(path, &data, limits);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, data: &fs::Metadata, limits: Option<KeepLimits>) {
        // Sockets and pipes hold nothing.
        if !data.is_file() && !data.is_symlink() {
            return;
        }
        let bytes = data.len();
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let Some(limits) = limits else { return };
        if bytes <= limits.file {
            self.small = self.small.saturating_add(bytes);
        }
        if let Some(found) = &mut self.found {
            found.push(Found { path, bytes });
            if found.len() > MOST_KEPT || self.small > limits.total {
                self.found = None;
            }
        }
    }

    /// All of it as lost; nothing where there is no file in it.
    fn lost(&self, below: &Path) -> Option<LostPath> {
        let mut path = shown(&below.join(&self.path));
        if self.is_directory {
            path.push('/');
        }
        (self.files > 0).then_some(LostPath {
            path,
            files: self.files,
            bytes: self.bytes,
        })
    }
}

fn nested(path: &Path) -> GitError {
    GitError::CannotKeep {
        path: path.to_owned(),
        reason: "git ignores it, and it is a repository of its own".into(),
    }
}

fn mounted(path: PathBuf) -> GitError {
    GitError::CannotKeep {
        path,
        reason: "another file system is mounted there".into(),
    }
}

/// A path as it is told.
fn shown(path: &Path) -> String {
    text::one_line(&path.to_string_lossy(), LONGEST_PATH)
}

/// Is this the same file, or a link to the same place, or a link to the other?
fn is_same(one: &Path, other: &Path) -> bool {
    let (Ok(data), Ok(of_other)) = (one.symlink_metadata(), other.symlink_metadata()) else {
        return false;
    };
    if data.is_symlink() {
        return fs::read_link(one).is_ok_and(|to| {
            to == other || fs::read_link(other).is_ok_and(|to_of_other| to == to_of_other)
        });
    }
    data.is_file()
        && of_other.is_file()
        && data.len() == of_other.len()
        && data.len() <= LARGEST_COMPARED
        && has_same_content(one, other).unwrap_or(false)
}

fn has_same_content(one: &Path, other: &Path) -> io::Result<bool> {
    // Neither is followed nor waited for, should it have become a link or a pipe meanwhile.
    let open = |path: &Path| {
        File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
    };
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut of_one, mut of_other) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let read = one.read(&mut of_one)?;
        let part = of_other.get_mut(..read).unwrap_or_default();
        other.read_exact(part)?;
        if of_one.get(..read) != Some(&*part) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}
