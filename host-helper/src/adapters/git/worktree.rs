//! Making a worktree for a task, or finding the one that is already there.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use super::base::start;
use super::command::Call;
use super::repository::{self, Repository, canonical, commit_of};
use super::worktree_list::{self, Listed};
use super::{Git, GitError, exclude, include, names, remove};

const FETCH_LIMIT: Duration = Duration::from_secs(120);
const CHECKOUT_LIMIT: Duration = Duration::from_secs(600);
/// How long a `git worktree add` of somebody else, such as our dead predecessor, may still run.
const OTHERS_CHECKOUT: Duration = Duration::from_secs(30);
/// What git writes as the reason of the lock while it makes a worktree.
pub(super) const BEING_MADE: &str = "initializing";

/// The worktree to be made.
#[derive(Clone, Debug)]
pub struct CreateWorktree {
    /// The project's repository.
    pub repo: PathBuf,
    /// Our own worktrees directory; everything we make and remove is below it.
    pub worktrees_root: PathBuf,
    /// Where the worktree goes; absolute.
    pub path: PathBuf,
    /// Its branch, used if it exists locally or on the remote, made otherwise.
    pub branch: String,
    /// Branch, tag or commit to start from; the default branch if none.
    pub base: Option<String>,
    /// Whether to fetch from the remote first.
    pub fetch: bool,
    /// Ignored files to copy from the main checkout, in `.gitignore`'s syntax.
    pub copy: Vec<String>,
    /// Ignored files or directories to link to the main checkout's, in `.gitignore`'s syntax.
    pub symlink: Vec<String>,
    /// More patterns for our block in `info/exclude`.
    pub exclude: Vec<String>,
}

/// A worktree ready for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worktree {
    /// Where it is, canonical.
    pub path: PathBuf,
    /// Its branch.
    pub branch: String,
    /// The commit that its work is compared with.
    pub base_commit: String,
    /// True if the worktree existed already.
    pub reused: bool,
    /// True if this call made the branch; only such a branch may be deleted later.
    pub branch_created: bool,
    /// What did not go as wished but hinders nobody, such as a remote that did not answer.
    pub notes: Vec<String>,
}

/// Makes the worktree, or completes or reuses it: called again after a crash anywhere, it ends in
/// the same state.
pub fn create(git: &Git, request: &CreateWorktree) -> Result<Worktree, GitError> {
    names::check_branch(&request.branch)?;
    if let Some(base) = &request.base {
        names::check_base(base)?;
    }
    let repository = repository::inspect(git, &request.repo)?;
    let path = place(&request.worktrees_root, &request.path)?;
    let mut notes = Vec::new();

    let existing = existing(git, &repository, request, &path)?;
    let fetched =
        request.fetch && existing.is_none() && fetch(git, &repository, request, &mut notes)?;
    let (path, reused, branch_created) = match existing {
        Some(path) => (path, true, false),
        None => {
            let made = add(git, &repository, request, &path, fetched, &mut notes)?;
            (canonical(&path)?, false, made)
        }
    };
    exclude::add(&repository.common_dir, &request.exclude)?;
    let brought = include::bring(
        git,
        &repository.root,
        &path,
        &request.copy,
        &request.symlink,
    )?;
    if !brought.links.is_empty() {
        exclude::add(&repository.common_dir, &brought.links)?;
    }
    notes.extend(brought.notes);
    notes.extend(include::submodules(git, &path)?);
    for name in git.emptied_filters(&path)? {
        notes.push(format!(
            "git filter {} of the repository is not run by claustre: files that need it are as they are stored; `claustre trust --filters` shows it and asks",
            crate::text::one_line(&name, 60)
        ));
    }
    let base_commit = base_commit(git, &repository, request, &path)?;
    let branch = request.branch.clone();
    Ok(Worktree {
        path,
        branch,
        base_commit,
        reused,
        branch_created,
        notes,
    })
}

/// Finds what [`create`] would refuse, by looking only. A base that a fetch could still bring is not refused.
pub fn foresee(
    git: &Git,
    repo: &Path,
    worktrees_root: &Path,
    branch: &str,
    base: Option<&str>,
) -> Result<(), GitError> {
    names::check_branch(branch)?;
    let repository = repository::inspect(git, repo)?;
    let root = canonical(worktrees_root).unwrap_or_else(|_| worktrees_root.to_owned());
    let listed = worktree_list::list(git, &repository.root)?;
    if let Some(entry) = listed
        .iter()
        .find(|entry| entry.branch.as_deref() == Some(branch) && !entry.path.starts_with(&root))
    {
        return Err(GitError::BranchCheckedOut {
            branch: branch.to_owned(),
            path: entry.path.clone(),
        });
    }
    let exists = commit_of(git, &repository.root, &format!("refs/heads/{branch}"))?.is_some();
    if exists || !repository.remotes.is_empty() {
        return Ok(());
    }
    check_base(git, &repository, base.unwrap_or(&repository.default_branch))
}

/// Looks whether a branch could start from this base, in what the repository has now.
pub fn check_base(git: &Git, repository: &Repository, base: &str) -> Result<(), GitError> {
    names::check_base(base)?;
    start(git, repository, Some(base), false).map(|_| ())
}

/// Checks that the path is strictly below our root, also after its links are resolved, and makes
/// its parents.
pub(super) fn place(root: &Path, path: &Path) -> Result<PathBuf, GitError> {
    let outside = || GitError::OutsideRoot {
        path: path.to_owned(),
        root: root.to_owned(),
    };
    let below = path.strip_prefix(root).map_err(|_| outside())?;
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let (Some(name), Some(parent)) = (below.file_name(), below.parent()) else {
        return Err(outside());
    };
    if !root.is_absolute() || !below.components().all(plain) {
        return Err(outside());
    }
    fs::create_dir_all(root).map_err(GitError::file("making", root))?;
    let root = canonical(root)?;
    // One part at a time: what is there may be a link out of the root.
    let mut at = root.clone();
    for part in parent.components() {
        at.push(part);
        match fs::create_dir(&at) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(GitError::file("making", at)(error));
            }
            _ => {}
        }
        if at.symlink_metadata().is_ok_and(|data| data.is_symlink()) {
            return Err(outside());
        }
    }
    Ok(at.join(name))
}

/// The worktree of this branch that is already below our root, completed if its maker died.
fn existing(
    git: &Git,
    repository: &Repository,
    request: &CreateWorktree,
    path: &Path,
) -> Result<Option<PathBuf>, GitError> {
    let listed = worktree_list::list(git, &repository.root)?;
    let root = canonical(&request.worktrees_root)?;
    let being_made = |entry: &&Listed| entry.locked.as_deref() == Some(BEING_MADE);
    if let Some(entry) = listed
        .iter()
        .find(|entry| entry.path == path)
        .filter(being_made)
        && complete(git, repository, &entry.path, &request.branch)?
    {
        return Ok(Some(entry.path.clone()));
    }
    let listed = worktree_list::list(git, &repository.root)?;
    if let Some(entry) = listed
        .iter()
        .find(|entry| entry.branch.as_ref() == Some(&request.branch))
    {
        if !entry.path.starts_with(&root) {
            let path = entry.path.clone();
            return Err(GitError::BranchCheckedOut {
                branch: request.branch.clone(),
                path,
            });
        }
        if entry.path.exists() {
            remove::verify(&entry.path, repository, &request.worktrees_root)?;
            return Ok(Some(entry.path.clone()));
        }
        // Its directory is gone, only git's record is left.
        forget(git, repository, entry)?;
    }
    match listed.iter().find(|entry| entry.path == path) {
        Some(entry) if entry.branch.as_ref() == Some(&request.branch) => {}
        Some(entry) if !entry.path.exists() => forget(git, repository, entry)?,
        Some(entry) => {
            let on = entry
                .branch
                .as_ref()
                .map_or("no branch".into(), |on| format!("branch '{on}'"));
            let reason = format!("a worktree on {on}");
            return Err(GitError::PathTaken {
                path: path.to_owned(),
                reason,
            });
        }
        None => {}
    }
    let empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if path.symlink_metadata().is_ok_and(|data| data.is_symlink())
        || (path.exists() && !empty(path))
    {
        let reason = "it exists and is not empty".to_owned();
        return Err(GitError::PathTaken {
            path: path.to_owned(),
            reason,
        });
    }
    Ok(None)
}

/// Forgets a worktree of ours whose directory is gone.
fn forget(git: &Git, repository: &Repository, entry: &Listed) -> Result<(), GitError> {
    match &entry.locked {
        Some(reason) if reason != BEING_MADE => {
            let (path, reason) = (entry.path.clone(), reason.clone());
            return Err(GitError::Locked { path, reason });
        }
        Some(_) => {
            git.call(&repository.root, "worktree")
                .args(["unlock", "--"])
                .arg(&entry.path)
                .run()?;
        }
        None => {}
    }
    git.call(&repository.root, "worktree")
        .args(["remove", "--"])
        .arg(&entry.path)
        .run()?;
    Ok(())
}

/// Finishes a worktree whose `git worktree add` was cut short: true, or forgets it where nothing
/// was checked out yet: false. Git keeps it locked meanwhile, and no session was ever started in
/// it, so all that is in it is git's own unfinished checkout.
pub(super) fn complete(
    git: &Git,
    repository: &Repository,
    path: &Path,
    branch: &str,
) -> Result<bool, GitError> {
    let start = Instant::now();
    let mut size = None;
    while start.elapsed() < OTHERS_CHECKOUT {
        let listed = worktree_list::list(git, &repository.root)?;
        let entry = listed.iter().find(|entry| entry.path == path);
        if entry.is_none_or(|entry| entry.locked.as_deref() != Some(BEING_MADE)) {
            return Ok(entry.is_some());
        }
        // As long as the checkout grows its maker lives.
        let now = Some(entries(path));
        if now == size && start.elapsed() > Duration::from_secs(1) {
            break;
        }
        size = now;
        std::thread::sleep(Duration::from_millis(500));
    }
    let admin = remove::admin_dir(path).ok();
    let usable =
        |admin: &PathBuf| admin.join("HEAD").is_file() && admin.join("commondir").is_file();
    let Some(admin) = admin.filter(usable) else {
        remove_unfilled(path)?;
        let locked = Some(BEING_MADE.to_owned());
        forget(
            git,
            repository,
            &Listed {
                path: path.to_owned(),
                locked,
                ..Listed::default()
            },
        )?;
        return Ok(false);
    };
    let stale = admin.join("index.lock");
    if let Err(error) = fs::remove_file(&stale)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(GitError::file("removing", stale)(error));
    }
    git.call(path, "symbolic-ref")
        .args(["HEAD", &format!("refs/heads/{branch}")])
        .run()?;
    check_out(git, &repository.root, path)?;
    Ok(true)
}

/// Removes the directory of a worktree that got nothing but its `.git` file, if that.
fn remove_unfilled(path: &Path) -> Result<(), GitError> {
    let names = match fs::read_dir(path) {
        Ok(all) => all
            .flatten()
            .map(|entry| entry.file_name())
            .collect::<Vec<_>>(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(GitError::file("reading", path)(error)),
    };
    if names.iter().any(|name| name != ".git") {
        let reason = "it exists and is no worktree".to_owned();
        return Err(GitError::PathTaken {
            path: path.to_owned(),
            reason,
        });
    }
    if !names.is_empty() {
        let file = path.join(".git");
        fs::remove_file(&file).map_err(GitError::file("removing", file))?;
    }
    fs::remove_dir(path).map_err(GitError::file("removing", path))
}

/// Number of entries in a directory, two levels deep.
fn entries(path: &Path) -> usize {
    let below = |path: &Path| fs::read_dir(path).map(|all| all.flatten().collect::<Vec<_>>());
    let first = below(path).unwrap_or_default();
    first
        .iter()
        .map(|entry| 1 + below(&entry.path()).map_or(0, |all| all.len()))
        .sum()
}

/// Fetches base and branch, and nothing else: the configured refspec is the repository's word.
/// A failure is a note, because one can work without the network.
fn fetch(
    git: &Git,
    repository: &Repository,
    request: &CreateWorktree,
    notes: &mut Vec<String>,
) -> Result<bool, GitError> {
    let Some(remote) = repository.remotes.first() else {
        return Ok(false);
    };
    let base = request
        .base
        .as_deref()
        .unwrap_or(&repository.default_branch);
    let base = base.strip_prefix(&format!("{remote}/")).unwrap_or(base);
    // With a star a ref that is not there is no error.
    let refspec = |name: &str| format!("+refs/heads/{name}*:refs/remotes/{remote}/{name}*");
    let fetched = git
        .call(&repository.root, "fetch")
        .args([
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
        ])
        .args([
            "--no-auto-maintenance",
            "--upload-pack=git-upload-pack",
            "--end-of-options",
        ])
        .args([remote.clone(), refspec(base), refspec(&request.branch)])
        .limit(FETCH_LIMIT)
        .run();
    match fetched {
        Ok(_) => Ok(true),
        Err(error) => {
            notes.push(format!("working without a fetch from {remote}: {error}"));
            Ok(false)
        }
    }
}

/// Makes the worktree; returns whether it made the branch as well.
fn add(
    git: &Git,
    repository: &Repository,
    request: &CreateWorktree,
    path: &Path,
    fetched: bool,
    notes: &mut Vec<String>,
) -> Result<bool, GitError> {
    let root = &repository.root;
    let branch = &request.branch;
    let add = || call_to_add(git, root);
    if commit_of(git, root, &format!("refs/heads/{branch}"))?.is_some() {
        notes.push(format!("branch {branch} existed and is used"));
        add().arg("--end-of-options").arg(path).arg(branch).run()?;
        check_out(git, root, path)?;
        return Ok(false);
    }
    if let Some(remote) = repository.remotes.first() {
        let tracked = format!("refs/remotes/{remote}/{branch}");
        if commit_of(git, root, &tracked)?.is_some() {
            notes.push(format!("branch {branch} of {remote} is continued"));
            add()
                .args(["--track", "-b", branch, "--end-of-options"])
                .arg(path)
                .arg(tracked)
                .run()?;
            check_out(git, root, path)?;
            return Ok(true);
        }
    }
    let start = start(git, repository, request.base.as_deref(), fetched)?;
    notes.extend(start.notes);
    add()
        .args(["--no-track", "-b", branch, "--end-of-options"])
        .arg(path)
        .arg(start.commit)
        .run()?;
    check_out(git, root, path)?;
    Ok(true)
}

/// Begins a `git worktree add` that checks nothing out: git would do so with the configuration of the new worktree, which can
/// only be looked at once that is there. Until [`check_out`] it is locked, as git locks one that it is making.
pub(super) fn call_to_add<'a>(git: &'a Git, root: &'a Path) -> Call<'a> {
    git.call(root, "worktree")
        .args(["add", "--quiet", "--no-checkout", "--lock", "--reason"])
        .arg(BEING_MADE)
        .limit(CHECKOUT_LIMIT)
}

/// Fills a new worktree with its files, guarded by what is in force there, and unlocks it.
pub(super) fn check_out(git: &Git, root: &Path, path: &Path) -> Result<(), GitError> {
    git.call(path, "reset")
        .args(["--hard", "--quiet"])
        .limit(CHECKOUT_LIMIT)
        .run()?;
    git.call(root, "worktree")
        .args(["unlock", "--"])
        .arg(path)
        .run()?;
    Ok(())
}

/// Where the branch left its base; its own tip if they have nothing in common.
fn base_commit(
    git: &Git,
    repository: &Repository,
    request: &CreateWorktree,
    path: &Path,
) -> Result<String, GitError> {
    let tip = commit_of(git, path, "HEAD")?.ok_or_else(|| GitError::Unborn(path.to_owned()))?;
    // A base that went away does not make the work in an existing worktree unusable.
    let Ok(start) = start(git, repository, request.base.as_deref(), true) else {
        return Ok(tip);
    };
    let common = git
        .call(path, "merge-base")
        .args([&tip, &start.commit])
        .answer()?;
    Ok(common.unwrap_or(tip))
}
