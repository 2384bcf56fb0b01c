//! What a new worktree gets from the main checkout besides its tracked files: ignored files that
//! `.worktreeinclude` or the configuration names, and its submodules.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::{Git, GitError};
use crate::text::terminal_safe;

/// Files copied into one worktree before we stop and say so.
const MOST_FILES: usize = 50_000;
const SUBMODULE_LIMIT: Duration = Duration::from_secs(300);

/// What was brought.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// What could not be brought, for the user.
    pub(super) notes: Vec<String>,
    /// Exclude patterns for the links made: a link is no directory, so `name/` does not cover it.
    pub(super) links: Vec<String>,
}

/// Copies and links what git ignores and the patterns (in `.gitignore`'s syntax) name. What is
/// already there stays, so that this can run again. Tracked files are never touched, and files
/// that git does not ignore are left out, because they would show up as changes.
pub(super) fn bring(
    git: &Git,
    main: &Path,
    worktree: &Path,
    copy: &[String],
    symlink: &[String],
) -> Result<Brought, GitError> {
    let mut brought = Brought::default();
    for path in matching(git, main, symlink, None)? {
        match link(main, worktree, &path) {
            Ok(()) => brought.links.push(pattern(&path)),
            Err(error) => brought.note(&path, "not linked", &error),
        }
    }
    let listed = main.join(".worktreeinclude");
    let listed = listed
        .symlink_metadata()
        .is_ok_and(|data| data.is_file())
        .then_some(listed);
    let mut left = MOST_FILES;
    for path in matching(git, main, copy, listed.as_deref())? {
        if let Err(error) = copy_below(main, worktree, &path, &mut left) {
            brought.note(&path, "not copied", &error);
            if left == 0 {
                break;
            }
        }
    }
    Ok(brought)
}

/// Fetches and checks out the submodules, if there are any. A failure is a note.
pub(super) fn submodules(git: &Git, worktree: &Path) -> Result<Option<String>, GitError> {
    if worktree.join(".gitmodules").symlink_metadata().is_err() {
        return Ok(None);
    }
    // `--checkout` also overrides `submodule.NAME.update`, which could name a program.
    let update = git
        .call(worktree, "submodule")
        .args(["update", "--init", "--recursive", "--checkout"])
        .also(super::snapshot::inner(git, worktree, None)?)
        .limit(SUBMODULE_LIMIT);
    Ok(match update.run() {
        Ok(_) => None,
        Err(error) => Some(format!("submodules not complete: {error}")),
    })
}

impl Brought {
    fn note(&mut self, path: &Path, what: &str, error: &io::Error) {
        self.notes.push(format!(
            "{}: {what}: {error}",
            terminal_safe(&path.to_string_lossy())
        ));
    }
}

/// Untracked and ignored paths of the main checkout that match, relative to it. A directory that
/// matches as a whole is one path.
fn matching(
    git: &Git,
    main: &Path,
    patterns: &[String],
    listed: Option<&Path>,
) -> Result<Vec<PathBuf>, GitError> {
    if patterns.is_empty() && listed.is_none() {
        return Ok(Vec::new());
    }
    let mut call = git
        .call(main, "ls-files")
        .args(["-z", "--others", "--ignored", "--directory"]);
    for pattern in patterns {
        call = call.arg(format!("--exclude={pattern}"));
    }
    if let Some(file) = listed {
        let mut arg = std::ffi::OsString::from("--exclude-from=");
        arg.push(file);
        call = call.arg(arg);
    }
    let found = call.run()?.stdout;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let ignored = git
        .call(main, "check-ignore")
        .args(["-z", "--stdin"])
        .stdin(found)
        .finish()?;
    if !matches!(ignored.status.code(), Some(0 | 1)) {
        return Err(ignored.into_error().into());
    }
    Ok(ignored
        .stdout
        .split(|byte| *byte == 0)
        .map(|path| PathBuf::from(OsStr::from_bytes(path.strip_suffix(b"/").unwrap_or(path))))
        .filter(|path| {
            path.components().next().is_some()
                && path
                    .components()
                    .all(|part| matches!(part, Component::Normal(_)))
        })
        .collect())
}

/// The exclude pattern of exactly this path.
fn pattern(path: &Path) -> String {
    let mut pattern = String::from("/");
    for c in path.to_string_lossy().chars() {
        if matches!(c, '*' | '?' | '[' | '\\' | ' ' | '!' | '#') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

fn link(main: &Path, worktree: &Path, path: &Path) -> io::Result<()> {
    let to = destination(worktree, path)?;
    if to.symlink_metadata().is_ok() {
        return Ok(());
    }
    std::os::unix::fs::symlink(main.join(path), to)
}

fn copy_below(main: &Path, worktree: &Path, path: &Path, left: &mut usize) -> io::Result<()> {
    let from = main.join(path);
    let data = from.symlink_metadata()?;
    if data.is_dir() {
        if from.join(".git").symlink_metadata().is_ok() {
            return Err(io::Error::other("it is a repository of its own"));
        }
        for entry in fs::read_dir(&from)? {
            copy_below(main, worktree, &path.join(entry?.file_name()), left)?;
        }
        return Ok(());
    }
    *left = left
        .checked_sub(1)
        .ok_or_else(|| io::Error::other("too many files"))?;
    let to = destination(worktree, path)?;
    if to.symlink_metadata().is_ok() {
        return Ok(());
    }
    if data.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(&from)?, to);
    }
    if !data.is_file() {
        return Ok(());
    }
    // Under another name first: a copy cut short must not look like a whole one next time.
    let mut part = to.clone().into_os_string();
    part.push(".claustre-part");
    if let Err(error) = fs::remove_file(&part)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    fs::copy(&from, &part)?;
    fs::rename(&part, &to)
}

/// Where `path` goes, its parents made. A link among them is refused: the branch's author could
/// have it point out of the worktree.
fn destination(worktree: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut to = worktree.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        to.push(part);
        match to.symlink_metadata() {
            Ok(data) if data.is_dir() => {}
            Ok(_) => {
                return Err(io::Error::other(
                    "its place is no directory in the worktree",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&to)?,
            Err(error) => return Err(error),
        }
    }
    Ok(worktree.join(path))
}
