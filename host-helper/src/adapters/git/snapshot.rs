//! Snapshots: what was kept of a worktree before it went, under `refs/claustre/trash/`.
//!
//! A snapshot is a commit that holds the worktree's files, untracked ones included. Its first
//! parent is where HEAD stood, which keeps unpushed commits; a second parent, if any, holds what
//! was staged and different from both. Its message says which branch it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::repository::{self, Head, Repository, commit_of};
use super::worktree::{self, place};
use super::{Git, GitError, names, status, worktree_list};

/// Where snapshots live.
pub const PREFIX: &str = "refs/claustre/trash/";
const WRITE_LIMIT: Duration = Duration::from_secs(600);

/// What was kept of a worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its full name, below [`PREFIX`].
    pub snapshot_ref: String,
    /// Its commit.
    pub commit: String,
    /// Where HEAD stood; none where the branch had no commit yet.
    pub head: Option<String>,
    /// Which branch was checked out, if one was and its name is on our allow-list.
    pub branch: Option<String>,
    /// Whether there was more than HEAD: uncommitted or untracked files.
    pub dirty: bool,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
}

/// The worktree to be brought back.
#[derive(Clone, Debug)]
pub struct RestoreWorktree {
    /// The project's repository.
    pub repo: PathBuf,
    /// Our own worktrees directory.
    pub worktrees_root: PathBuf,
    /// Where the worktree goes; absolute and below the root.
    pub path: PathBuf,
    /// The snapshot's full name.
    pub snapshot_ref: String,
}

/// A worktree that was brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where it is.
    pub path: PathBuf,
    /// Its branch: the old one, or a new one where the old one has moved on or is in use.
    pub branch: String,
    /// What is different from before.
    pub notes: Vec<String>,
}

/// The content of a worktree as trees.
#[derive(Debug)]
pub(super) struct Content {
    /// The files as they are.
    pub(super) files: String,
    /// What is staged; none where conflicts are open.
    pub(super) staged: Option<String>,
    /// What HEAD has; none before the first commit.
    pub(super) committed: Option<String>,
    /// An index that describes the files, in the worktree's git directory.
    pub(super) index: PathBuf,
}

impl Content {
    /// Whether HEAD does not hold all of it.
    pub(super) fn is_dirty(&self) -> bool {
        let committed = self.committed.as_ref();
        committed != Some(&self.files)
            || self
                .staged
                .as_ref()
                .is_some_and(|staged| Some(staged) != committed)
    }
}

/// Writes the worktree's content to the object store through an index of our own, so that the
/// user's stays as it is. Files that git was told to look away from are looked at.
pub(super) fn read_content(git: &Git, worktree: &Path, admin: &Path) -> Result<Content, GitError> {
    let index = admin.join(format!("claustre-index-{}", std::process::id()));
    for old in [&index, &PathBuf::from(format!("{}.lock", index.display()))] {
        if let Err(error) = fs::remove_file(old)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(GitError::file("removing", old)(error));
        }
    }
    let call = |subcommand: &str| {
        git.call(worktree, subcommand)
            .env("GIT_INDEX_FILE", &index)
            .limit(WRITE_LIMIT)
    };
    let users = admin.join("index");
    if users.exists() {
        fs::copy(&users, &index).map_err(GitError::file("copying", &users))?;
    } else {
        call("read-tree").arg("--empty").run()?;
    }
    let staged = call("write-tree").answer()?;
    unhide(git, worktree, &index)?;
    add_all(git, worktree, &index, &[])?;
    let files = call("write-tree").text()?;
    let committed = git
        .call(worktree, "rev-parse")
        .args(["--verify", "--quiet", "HEAD^{tree}"]);
    Ok(Content {
        files,
        staged,
        committed: committed.answer()?,
        index,
    })
}

/// Puts everything that git does not ignore into this index.
pub(super) fn add_all(
    git: &Git,
    worktree: &Path,
    index: &Path,
    options: &[&str],
) -> Result<(), GitError> {
    let added = git
        .call(worktree, "add")
        .arg("--all")
        .args(options)
        .args(["--", ":/"])
        .env("GIT_INDEX_FILE", index)
        .also(inner(git, worktree, Some(index))?)
        .limit(WRITE_LIMIT)
        .finish()?;
    if added.success() {
        return Ok(());
    }
    // Git says which in words of its own language and quoting: the first that fits is named.
    if added
        .stderr_tail()
        .contains("does not have a commit checked out")
    {
        let others = git
            .call(worktree, "ls-files")
            .args(["-z", "--others", "--exclude-standard", "--directory"])
            .run()?;
        let nested = others
            .stdout
            .split(|byte| *byte == 0)
            .map(|path| {
                use std::os::unix::ffi::OsStrExt;
                worktree.join(std::ffi::OsStr::from_bytes(path))
            })
            .find(|path| path != worktree && path.join(".git").symlink_metadata().is_ok());
        return Err(GitError::CannotKeep {
            path: nested.unwrap_or_else(|| worktree.to_owned()),
            reason: "it is a repository of its own".into(),
        });
    }
    Err(added.into_error().into())
}

/// The repositories inside a checkout that its index names, at any depth: git looks into them with a configuration of their own.
pub(super) fn inner(
    git: &Git,
    checkout: &Path,
    index: Option<&Path>,
) -> Result<Vec<PathBuf>, GitError> {
    use std::os::unix::ffi::OsStrExt;
    let mut call = git.call(checkout, "ls-files").args(["--stage", "-z"]);
    if let Some(index) = index {
        call = call.env("GIT_INDEX_FILE", index);
    }
    let mut found = Vec::new();
    for line in call.run()?.stdout.split(|byte| *byte == 0) {
        if !line.starts_with(b"160000 ") {
            continue;
        }
        let name = line
            .splitn(2, |byte| *byte == b'\t')
            .nth(1)
            .unwrap_or_default();
        let inside = checkout.join(std::ffi::OsStr::from_bytes(name));
        if inside.join(".git").symlink_metadata().is_ok() {
            found.extend(inner(git, &inside, None)?);
            found.push(inside);
        }
    }
    Ok(found)
}

/// Adds ignored files to the content.
pub(super) fn add_ignored<'a>(
    git: &Git,
    worktree: &Path,
    content: &mut Content,
    files: impl Iterator<Item = &'a PathBuf>,
) -> Result<(), GitError> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for file in files {
        names.extend_from_slice(file.as_os_str().as_bytes());
        names.push(0);
    }
    if names.is_empty() {
        return Ok(());
    }
    git.call(worktree, "update-index")
        // One that is gone meanwhile is no failure.
        .args(["--add", "--remove", "-z", "--stdin"])
        .env("GIT_INDEX_FILE", &content.index)
        .stdin(names)
        .limit(WRITE_LIMIT)
        .run()?;
    content.files = git
        .call(worktree, "write-tree")
        .env("GIT_INDEX_FILE", &content.index)
        .text()?;
    Ok(())
}

/// Clears "assume unchanged" and "skip worktree" of files that are there: changes in them show
/// neither in `status` nor would `add` take them.
fn unhide(git: &Git, worktree: &Path, index: &Path) -> Result<(), GitError> {
    let listed = git
        .call(worktree, "ls-files")
        .args(["-v", "-z"])
        .env("GIT_INDEX_FILE", index)
        .run()?;
    let mut hidden = Vec::new();
    for line in listed.stdout.split(|byte| *byte == 0) {
        let (Some(tag), Some(path)) = (line.first(), line.get(2..)) else {
            continue;
        };
        let is_there = || {
            use std::os::unix::ffi::OsStrExt;
            worktree
                .join(std::ffi::OsStr::from_bytes(path))
                .symlink_metadata()
                .is_ok()
        };
        if tag.is_ascii_lowercase() || (*tag == b'S' && is_there()) {
            hidden.extend_from_slice(path);
            hidden.push(0);
        }
    }
    if !hidden.is_empty() {
        for flag in ["--no-assume-unchanged", "--no-skip-worktree"] {
            git.call(worktree, "update-index")
                .args([flag, "-z", "--stdin"])
                .env("GIT_INDEX_FILE", index)
                .stdin(hidden.clone())
                .run()?;
        }
    }
    Ok(())
}

/// Makes the snapshot's commit and ref, reads both back, and returns the ref's full name with the
/// commit. A ref of that name with the same content is taken as made by an earlier attempt, and one
/// of the same worktree with other content is replaced: a removal leaves one snapshot. A ref of
/// another worktree is left alone and the name gets a number.
pub(super) fn keep(
    git: &Git,
    worktree: &Path,
    name: &str,
    content: &Content,
    head: Option<&Head>,
    branch: Option<&str>,
) -> Result<(String, String), GitError> {
    let mut parents: Vec<String> = head.iter().map(|head| head.commit.clone()).collect();
    if let Some(staged) = &content.staged
        && *staged != content.files
        && Some(staged) != content.committed.as_ref()
    {
        parents.push(commit(git, worktree, staged, &parents, "staged")?);
    }
    let mut message = format!("claustre snapshot {name}\n\n");
    if let Some(branch) = branch {
        message.push_str(&format!("Claustre-Branch: {branch}\n"));
    }
    if let Some(head) = head {
        message.push_str(&format!("Claustre-Head: {}\n", head.commit));
    }
    message.push_str(&format!("Claustre-Dirty: {}\n", content.is_dirty()));
    let place = worktree_line(worktree);
    message.push_str(&place);
    let made = commit(git, worktree, &content.files, &parents, &message)?;

    for number in 1..1000 {
        let suffix = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let full = format!("{PREFIX}{name}{suffix}");
        match commit_of(git, worktree, &full)? {
            None => {
                let nothing = "0".repeat(made.len());
                git.call(worktree, "update-ref")
                    .args([&full, &made, &nothing])
                    .run()?;
            }
            Some(there) if is_same(git, worktree, &there, &made)? => {}
            Some(there) if message_of(git, worktree, &there)?.contains(&place) => {
                git.call(worktree, "update-ref")
                    .args([&full, &made, &there])
                    .run()?;
            }
            Some(_) => continue,
        }
        let kept = commit_of(git, worktree, &full)?.unwrap_or_default();
        let tree = commit_tree(git, worktree, &kept)?;
        // Also reads every object that the commit needs.
        git.call(worktree, "rev-list")
            .args(["--objects", "--quiet", &kept, "--not", "--remotes"])
            .limit(WRITE_LIMIT)
            .run()?;
        if tree.as_ref() != Some(&content.files) {
            return Err(GitError::Answer {
                command: format!("git update-ref {full}"),
            });
        }
        return Ok((full, kept));
    }
    Err(GitError::Answer {
        command: format!("git update-ref {PREFIX}{name}"),
    })
}

fn commit(
    git: &Git,
    worktree: &Path,
    tree: &str,
    parents: &[String],
    message: &str,
) -> Result<String, GitError> {
    git.call(worktree, "commit-tree")
        .arg(tree)
        .args(parents.iter().flat_map(|parent| ["-p", parent]))
        .stdin(message)
        .env("GIT_AUTHOR_NAME", "Claustre")
        .env("GIT_AUTHOR_EMAIL", "claustre@localhost")
        .env("GIT_COMMITTER_NAME", "Claustre")
        .env("GIT_COMMITTER_EMAIL", "claustre@localhost")
        .text()
}

fn commit_tree(git: &Git, repo: &Path, commit: &str) -> Result<Option<String>, GitError> {
    git.call(repo, "rev-parse")
        .args([
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("{commit}^{{tree}}"),
        ])
        .answer()
}

/// The line of a snapshot's message that says which worktree it was.
fn worktree_line(worktree: &Path) -> String {
    // No line break of a path may make two of it.
    format!("Claustre-Worktree: {:?}\n", worktree.to_string_lossy())
}

fn message_of(git: &Git, repo: &Path, commit: &str) -> Result<String, GitError> {
    Ok(git
        .call(repo, "cat-file")
        .args(["commit", commit])
        .run()?
        .stdout_text())
}

/// The snapshot of this name, if there is one.
pub(super) fn existing(git: &Git, repo: &Path, name: &str) -> Result<Option<String>, GitError> {
    let full = format!("{PREFIX}{name}");
    Ok(commit_of(git, repo, &full)?.map(|_| full))
}

/// Removes the ref of a snapshot whose removal failed: all of it is still in the worktree.
pub(super) fn discard(git: &Git, repo: &Path, full: &str, commit: &str) -> Result<(), GitError> {
    git.call(repo, "update-ref")
        .args(["-d", full, commit])
        .run()?;
    Ok(())
}

/// Whether two snapshots hold the same files on the same commit.
fn is_same(git: &Git, repo: &Path, one: &str, other: &str) -> Result<bool, GitError> {
    let parent = |commit: &str| commit_of(git, repo, &format!("{commit}^1"));
    Ok(
        commit_tree(git, repo, one)? == commit_tree(git, repo, other)?
            && parent(one)? == parent(other)?,
    )
}

/// All snapshots of a repository, the newest first.
pub fn list(git: &Git, repo: &Path) -> Result<Vec<Snapshot>, GitError> {
    let answer = git
        .call(repo, "for-each-ref")
        .args(["--sort=-committerdate"])
        .arg("--format=%(refname)%00%(objectname)%00%(committerdate:unix)%00%(contents)%00")
        .arg(PREFIX)
        .run()?
        .stdout_text();
    let mut fields = answer
        .split('\0')
        .map(|field| field.trim_start_matches('\n'));
    let mut snapshots = Vec::new();
    while let (Some(full), Some(commit), Some(time), Some(message)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    {
        let said = |key: &str| {
            let mut lines = message.lines();
            lines
                .find_map(|line| line.strip_prefix(key))
                .map(str::to_owned)
        };
        snapshots.push(Snapshot {
            snapshot_ref: full.to_owned(),
            commit: commit.to_owned(),
            head: said("Claustre-Head: ").filter(|id| id.chars().all(|c| c.is_ascii_hexdigit())),
            // Whoever can write the repository can write such a message, so it is checked.
            branch: said("Claustre-Branch: ").filter(|name| names::check_branch(name).is_ok()),
            dirty: said("Claustre-Dirty: ").is_none_or(|dirty| dirty != "false"),
            created_at: time.parse().unwrap_or(0),
        });
    }
    Ok(snapshots)
}

/// Lets a snapshot go for good, for when it has expired. Nothing else can be named.
pub fn delete(git: &Git, repo: &Path, snapshot_ref: &str) -> Result<(), GitError> {
    let snapshot = find(git, repo, snapshot_ref)?;
    git.call(repo, "update-ref")
        .args(["-d", &snapshot.snapshot_ref, &snapshot.commit])
        .run()?;
    Ok(())
}

/// Makes a worktree of a snapshot again: on its branch, with what was uncommitted uncommitted
/// again (nothing is staged). The snapshot stays.
pub fn restore(git: &Git, request: &RestoreWorktree) -> Result<Restored, GitError> {
    let repository = repository::inspect(git, &request.repo)?;
    let root = &repository.root;
    let snapshot = find(git, root, &request.snapshot_ref)?;
    let path = place(&request.worktrees_root, &request.path)?;
    let mut notes = Vec::new();
    let start = snapshot.head.as_deref().unwrap_or(&snapshot.commit);
    let branch = match unfinished(git, &repository, &path, start)? {
        Some(branch) => branch,
        None => {
            if fs::read_dir(&path).is_ok_and(|mut all| all.next().is_some())
                || path.symlink_metadata().is_ok_and(|data| !data.is_dir())
            {
                let reason = "it exists and is not empty".to_owned();
                return Err(GitError::PathTaken { path, reason });
            }
            add(git, root, &snapshot, start, &path, &mut notes)?
        }
    };
    if snapshot.dirty && snapshot.head.is_some() {
        git.call(&path, "read-tree")
            .args(["-m", "-u", "HEAD", &snapshot.commit])
            .limit(WRITE_LIMIT)
            .run()?;
        git.call(&path, "reset")
            .args(["--mixed", "--quiet"])
            .limit(WRITE_LIMIT)
            .run()?;
    }
    Ok(Restored {
        path: repository::canonical(&path)?,
        branch,
        notes,
    })
}

/// The branch of a worktree that an earlier attempt made at `path` and did not fill.
fn unfinished(
    git: &Git,
    repository: &Repository,
    path: &Path,
    start: &str,
) -> Result<Option<String>, GitError> {
    let listed = worktree_list::list(git, &repository.root)?;
    let Some(entry) = listed
        .into_iter()
        .find(|entry| entry.path == path && path.exists())
    else {
        return Ok(None);
    };
    if entry.locked.as_deref() == Some(worktree::BEING_MADE)
        && let Some(branch) = &entry.branch
        && !worktree::complete(git, repository, path, branch)?
    {
        return Ok(None);
    }
    let status = status::status(git, path)?;
    Ok(entry
        .branch
        .filter(|_| status.head == start && !status.is_dirty()))
}

/// Adds the worktree on the old branch where that is free and stands where it stood.
fn add(
    git: &Git,
    root: &Path,
    snapshot: &Snapshot,
    start: &str,
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<String, GitError> {
    let add = || worktree::call_to_add(git, root);
    let name = snapshot
        .snapshot_ref
        .strip_prefix(PREFIX)
        .unwrap_or("snapshot");
    let wanted = snapshot
        .branch
        .clone()
        .unwrap_or_else(|| format!("restored/{name}"));
    let tip = commit_of(git, root, &format!("refs/heads/{wanted}"))?;
    let listed = worktree_list::list(git, root)?;
    let in_use = listed
        .iter()
        .any(|entry| entry.branch.as_ref() == Some(&wanted));
    if tip.as_deref() == Some(start) && !in_use {
        add().arg("--end-of-options").arg(path).arg(&wanted).run()?;
        worktree::check_out(git, root, path)?;
        return Ok(wanted);
    }
    let mut branch = wanted.clone();
    let mut number = 1;
    while commit_of(git, root, &format!("refs/heads/{branch}"))?.is_some() {
        branch = format!("{wanted}-restored-{number}");
        number += 1;
    }
    if branch != wanted {
        notes.push(format!(
            "branch {wanted} has moved on or is in use; restored on {branch}"
        ));
    }
    add()
        .args(["--no-track", "-b", &branch, "--end-of-options"])
        .arg(path)
        .arg(start)
        .run()?;
    worktree::check_out(git, root, path)?;
    Ok(branch)
}

fn find(git: &Git, repo: &Path, snapshot_ref: &str) -> Result<Snapshot, GitError> {
    let missing =
        || GitError::NoSnapshot(crate::text::terminal_safe(snapshot_ref).replace('\n', " "));
    let name = snapshot_ref.strip_prefix(PREFIX).ok_or_else(missing)?;
    names::check_snapshot(name)?;
    let mut all = list(git, repo)?.into_iter();
    all.find(|snapshot| snapshot.snapshot_ref == snapshot_ref)
        .ok_or_else(missing)
}
