//! Removing a worktree without losing what is in it.
//!
//! First everything is kept in a snapshot. Then HEAD and index of the worktree are set to that
//! snapshot, and `git worktree remove` runs without force: git itself then refuses if a single
//! file differs from what was kept, also one written in this very moment.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::repository::{self, Head, Repository, canonical, commit_of, is_ancestor};
use super::{Git, GitError, names, snapshot, status, worktree_list};

const REMOVE_LIMIT: Duration = Duration::from_secs(600);
/// In the worktree's git directory while a removal is under way: what HEAD was.
const HEAD_BEFORE: &str = "claustre-head-before";
/// Likewise: what the index was.
const INDEX_BEFORE: &str = "claustre-index-before";

/// The worktree to be removed.
#[derive(Clone, Debug)]
pub struct RemoveWorktree {
    /// The project's repository.
    pub repo: PathBuf,
    /// Our own worktrees directory; the worktree must be below it.
    pub worktrees_root: PathBuf,
    /// The worktree.
    pub path: PathBuf,
    /// Name of the snapshot, should one be needed; see [`names::check_snapshot`].
    pub snapshot_name: String,
    /// Whether its branch may go if merged; only for a branch that [`super::worktree::create`] made.
    pub delete_merged_branch: bool,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Where its uncommitted or unpushed work is; none if there was none.
    pub snapshot_ref: Option<String>,
    /// Whether the branch was deleted, because the default branch has all of it.
    pub branch_deleted: bool,
    /// What else is worth knowing, such as a rebase that was under way.
    pub notes: Vec<String>,
}

/// Removes a worktree of ours. Called again after a crash anywhere, it goes on where it stopped;
/// a worktree that is gone already is no error.
pub fn remove(git: &Git, request: &RemoveWorktree) -> Result<Removal, GitError> {
    names::check_snapshot(&request.snapshot_name)?;
    let repository = repository::inspect(git, &request.repo)?;
    let path = &request.path;
    if path
        .symlink_metadata()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
    {
        return Ok(Removal::default());
    }
    let admin = verify(path, &repository, &request.worktrees_root)?;
    let path = &canonical(path)?;
    if let Ok(reason) = fs::read_to_string(admin.join("locked")) {
        return Err(GitError::Locked {
            path: path.clone(),
            reason: reason.trim().to_owned(),
        });
    }
    put_back(git, path, &admin)?;

    let mut removal = Removal {
        notes: under_way(&admin),
        ..Removal::default()
    };
    let head = repository::head(git, path)?;
    let branch = branch(git, path, &admin)?;
    let content = snapshot::read_content(git, path, &admin)?;
    let has_submodules = check_nested(git, path, &content.index)?;
    let dirty = content.is_dirty();
    if dirty || (head.is_some() && status::is_unpushed(git, path)?) {
        let name = &request.snapshot_name;
        let (full, commit) =
            snapshot::keep(git, path, name, &content, head.as_ref(), branch.as_deref())?;
        removal.snapshot_ref = Some(full);
        if dirty {
            stand_on(git, path, &admin, &commit, &content.index)?;
        }
    }
    if let Err(error) = take_away(git, &repository, path, has_submodules) {
        if path.exists() && admin.exists() {
            put_back(git, path, &admin)?;
        }
        return Err(error);
    }
    if request.delete_merged_branch
        && let (Some(branch), Some(head)) = (&branch, &head)
    {
        removal.branch_deleted = delete_merged(git, &repository, branch, head)?;
    }
    Ok(removal)
}

/// Checks by its structure that `path` is a linked worktree of this repository below our root,
/// and not the main checkout or the current directory. Returns its git directory.
pub(super) fn verify(
    path: &Path,
    repository: &Repository,
    root: &Path,
) -> Result<PathBuf, GitError> {
    let no = |reason: &str| {
        Err(GitError::NotOurWorktree {
            path: path.to_owned(),
            reason: reason.to_owned(),
        })
    };
    let data = path
        .symlink_metadata()
        .map_err(GitError::file("looking at", path))?;
    if !data.is_dir() {
        return no("it is no directory");
    }
    let real = canonical(path)?;
    let real_root = canonical(root)?;
    if real == real_root || !real.starts_with(&real_root) {
        return Err(GitError::OutsideRoot {
            path: path.to_owned(),
            root: root.to_owned(),
        });
    }
    if repository.root.starts_with(&real) || repository.common_dir.starts_with(&real) {
        return no("it holds the repository itself");
    }
    if std::env::current_dir().is_ok_and(|current| current.starts_with(&real)) {
        return no("it is the current directory");
    }
    let admin = admin_dir(&real)?;
    if admin.parent() != Some(&repository.common_dir.join("worktrees")) {
        return no("it belongs to another repository");
    }
    let linked = |file: &str| -> Option<PathBuf> {
        let text = fs::read_to_string(admin.join(file)).ok()?;
        admin.join(text.trim_end_matches('\n')).canonicalize().ok()
    };
    if linked("gitdir") != Some(real.join(".git")) {
        return no("the repository does not point back at it");
    }
    if linked("commondir").as_ref() != Some(&repository.common_dir) {
        return no("its git directory belongs to another repository");
    }
    Ok(admin)
}

/// The git directory that a linked worktree's `.git` file points to.
pub(super) fn admin_dir(path: &Path) -> Result<PathBuf, GitError> {
    let no = |reason: &str| GitError::NotOurWorktree {
        path: path.into(),
        reason: reason.into(),
    };
    let file = path.join(".git");
    if !file
        .symlink_metadata()
        .is_ok_and(|data| data.is_file() && data.len() < 8192)
    {
        return Err(no("its `.git` is no file"));
    }
    let text = fs::read_to_string(&file).map_err(GitError::file("reading", &file))?;
    let target = text
        .strip_prefix("gitdir: ")
        .ok_or_else(|| no("its `.git` names nothing"))?;
    canonical(&path.join(target.trim_end_matches('\n')))
}

/// What git has under way there.
fn under_way(admin: &Path) -> Vec<String> {
    [
        ("MERGE_HEAD", "a merge"),
        ("rebase-merge", "a rebase"),
        ("rebase-apply", "a rebase or `git am`"),
        ("CHERRY_PICK_HEAD", "a cherry-pick"),
        ("REVERT_HEAD", "a revert"),
        ("BISECT_LOG", "a bisection"),
    ]
    .iter()
    .filter(|(file, _)| admin.join(file).exists())
    .map(|(_, what)| format!("{what} was under way; its files were kept as they were"))
    .collect()
}

/// The branch checked out, also where a rebase has it detached for the time being.
fn branch(git: &Git, path: &Path, admin: &Path) -> Result<Option<String>, GitError> {
    let full = match git
        .call(path, "symbolic-ref")
        .args(["--quiet", "HEAD"])
        .answer()?
    {
        Some(full) => Some(full),
        None => ["rebase-merge/head-name", "rebase-apply/head-name"]
            .iter()
            .find_map(|file| fs::read_to_string(admin.join(file)).ok()),
    };
    Ok(full.and_then(|full| full.trim().strip_prefix("refs/heads/").map(str::to_owned)))
}

/// Looks into repositories inside the worktree, of which a snapshot holds no more than a commit
/// id. Returns whether there are submodules, all of them clean and pushed; refuses all others.
fn check_nested(git: &Git, path: &Path, index: &Path) -> Result<bool, GitError> {
    use std::os::unix::ffi::OsStrExt;
    let staged = git
        .call(path, "ls-files")
        .args(["--stage", "-z"])
        .env("GIT_INDEX_FILE", index)
        .run()?;
    let mut found = false;
    for line in staged.stdout.split(|byte| *byte == 0) {
        if !line.starts_with(b"160000 ") {
            continue;
        }
        let name = line
            .splitn(2, |byte| *byte == b'\t')
            .nth(1)
            .unwrap_or_default();
        let nested = path.join(std::ffi::OsStr::from_bytes(name));
        let refuse = |reason: &str| {
            Err(GitError::CannotKeep {
                path: nested.clone(),
                reason: reason.to_owned(),
            })
        };
        match nested.join(".git").symlink_metadata() {
            Err(_) => continue,
            Ok(data) if !data.is_file() => return refuse("it is a repository of its own"),
            Ok(_) => found = true,
        }
        if status::status(git, &nested)?.is_dirty() {
            return refuse("the submodule has uncommitted changes");
        }
        let own = git
            .call(&nested, "rev-list")
            .args(["--max-count=1", "--branches", "--glob=refs/stash", "HEAD"])
            .args(["--not", "--remotes"])
            .text()?;
        if !own.is_empty() {
            return refuse("the submodule has commits that are not pushed");
        }
    }
    Ok(found)
}

/// Sets HEAD and index to the snapshot, after noting what they were.
pub(super) fn stand_on(
    git: &Git,
    path: &Path,
    admin: &Path,
    commit: &str,
    index: &Path,
) -> Result<(), GitError> {
    let head = fs::read(admin.join("HEAD")).map_err(GitError::file("reading", admin))?;
    let users = admin.join("index");
    let before = admin.join(INDEX_BEFORE);
    if users.exists() {
        fs::copy(&users, &before).map_err(GitError::file("writing", &before))?;
    }
    // Written last and as a whole: with it there, `put_back` has all it needs.
    let fresh = admin.join("claustre-head-before.new");
    let note = || -> std::io::Result<()> {
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&head)?;
        file.sync_all()?;
        fs::rename(&fresh, admin.join(HEAD_BEFORE))
    };
    note().map_err(GitError::file("writing", &fresh))?;
    let stand = || -> Result<(), GitError> {
        git.call(path, "update-ref")
            .args(["--no-deref", "HEAD", commit])
            .run()?;
        replace_index(admin, index)
    };
    stand().inspect_err(|_| {
        if let Err(error) = put_back(git, path, admin) {
            tracing::warn!(%error, "a worktree could not be put back as it was");
        }
    })
}

/// Undoes `stand_on`, where it was done and the worktree is still there.
pub(super) fn put_back(git: &Git, path: &Path, admin: &Path) -> Result<(), GitError> {
    let note = admin.join(HEAD_BEFORE);
    let head = match fs::read_to_string(&note) {
        Ok(head) => head,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(GitError::file("reading", note)(error)),
    };
    match head.trim().strip_prefix("ref: ") {
        Some(full) => git.call(path, "symbolic-ref").args(["HEAD", full]).run()?,
        None => git
            .call(path, "update-ref")
            .args(["--no-deref", "HEAD", head.trim()])
            .run()?,
    };
    let before = admin.join(INDEX_BEFORE);
    if before.exists() {
        replace_index(admin, &before)?;
    }
    fs::remove_file(&note).map_err(GitError::file("removing", note))
}

/// Puts a copy of `from` in the index's place, under git's own lock.
fn replace_index(admin: &Path, from: &Path) -> Result<(), GitError> {
    let lock = admin.join("index.lock");
    let mut target = fs::File::create_new(&lock).map_err(GitError::file("locking", &lock))?;
    let mut fill = || -> std::io::Result<()> {
        std::io::copy(&mut fs::File::open(from)?, &mut target)?;
        fs::rename(&lock, admin.join("index"))
    };
    fill().map_err(|error| {
        // The lock is ours, made above.
        drop(fs::remove_file(&lock));
        GitError::file("writing", admin.join("index"))(error)
    })
}

/// Lets git remove the worktree. Git never does so with submodules inside unless forced; then
/// they were checked above, and that nothing changed since is checked here.
pub(super) fn take_away(
    git: &Git,
    repository: &Repository,
    path: &Path,
    has_submodules: bool,
) -> Result<(), GitError> {
    let mut call = git
        .call(&repository.root, "worktree")
        .arg("remove")
        .limit(REMOVE_LIMIT);
    if has_submodules {
        if status::status(git, path)?.is_dirty() {
            return Err(GitError::ChangedMeanwhile(path.to_owned()));
        }
        call = call.arg("--force");
    }
    let finished = call.arg("--").arg(path).finish()?;
    if finished.success() {
        return Ok(());
    }
    if finished
        .stderr_tail()
        .contains("contains modified or untracked files")
    {
        return Err(GitError::ChangedMeanwhile(path.to_owned()));
    }
    Err(finished.into_error().into())
}

/// Deletes the branch if the default branch, here or on the remote, has all of it, and if it
/// still stands where the worktree stood.
fn delete_merged(
    git: &Git,
    repository: &Repository,
    branch: &str,
    head: &Head,
) -> Result<bool, GitError> {
    let root = &repository.root;
    let listed = worktree_list::list(git, root)?;
    if branch == repository.default_branch
        || names::check_branch(branch).is_err()
        || listed
            .iter()
            .any(|entry| entry.branch.as_deref() == Some(branch))
    {
        return Ok(false);
    }
    let default = &repository.default_branch;
    let remote = repository.remotes.first();
    let bases = std::iter::once(format!("refs/heads/{default}"))
        .chain(remote.map(|remote| format!("refs/remotes/{remote}/{default}")));
    for base in bases {
        let Some(base) = commit_of(git, root, &base)? else {
            continue;
        };
        if is_ancestor(git, root, &head.commit, &base)? {
            let full = format!("refs/heads/{branch}");
            // With the expected commit: a branch that moved on meanwhile stays.
            let deleted = git
                .call(root, "update-ref")
                .args(["-d", &full, &head.commit])
                .finish()?;
            if deleted.success() {
                let section = format!("branch.{branch}");
                git.call(root, "config")
                    .args(["--remove-section", &section])
                    .finish()?;
            }
            return Ok(deleted.success());
        }
    }
    Ok(false)
}
