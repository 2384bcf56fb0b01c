//! What a project's repository is, and its questions that have one answer.

use std::path::{Path, PathBuf};

use super::remove::admin_dir;
use super::worktree_list;
use super::{Git, GitError};
use crate::adapters::process::FailureReason;

/// A repository that a project can stand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The main checkout, canonical; the given checkout where the main one is bare.
    pub root: PathBuf,
    /// The git directory that all worktrees share, canonical.
    pub common_dir: PathBuf,
    /// The branch that tasks start from unless told otherwise.
    pub default_branch: String,
    /// Names of the remotes, the preferred one first.
    pub remotes: Vec<String>,
    /// Where the root's checkout stands.
    pub head: Head,
}

/// Where a checkout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Short name of the branch; none where detached.
    pub branch: Option<String>,
    /// Id of the commit.
    pub commit: String,
}

/// Looks at the repository that `path` is in. Says apart what is no directory, no repository, a
/// bare one, one without a commit, and one of another user.
pub fn inspect(git: &Git, path: &Path) -> Result<Repository, GitError> {
    if !path.is_dir() {
        return Err(GitError::MissingPath(path.to_owned()));
    }
    if is_git_directory(path) {
        return Err(GitError::Bare(path.to_owned()));
    }
    let answer = git
        .call(path, "rev-parse")
        .args([
            "--path-format=absolute",
            "--is-bare-repository",
            "--git-common-dir",
        ])
        .run()
        .map_err(|error| explain(error, path))?
        .stdout_text();
    let (bare, common_dir) = answer
        .trim_end_matches('\n')
        .split_once('\n')
        .ok_or_else(|| GitError::Answer {
            command: "git rev-parse".into(),
        })?;
    if bare == "true" {
        return Err(GitError::Bare(path.to_owned()));
    }
    let common_dir = canonical(Path::new(common_dir))?;
    let root = main_checkout(git, path, &common_dir)?;
    let head = head(git, &root)?.ok_or_else(|| GitError::Unborn(root.clone()))?;
    let remotes = remotes(git, &root)?;
    let default_branch = default_branch(git, &root, remotes.first(), &head)?;
    Ok(Repository {
        root,
        common_dir,
        default_branch,
        remotes,
        head,
    })
}

/// Where the checkout at `path` stands; none if it has no commit yet.
pub fn head(git: &Git, path: &Path) -> Result<Option<Head>, GitError> {
    let Some(commit) = commit_of(git, path, "HEAD")? else {
        return Ok(None);
    };
    let branch = git
        .call(path, "symbolic-ref")
        .args(["--quiet", "HEAD"])
        .answer()?;
    let branch = branch.and_then(|full| full.strip_prefix("refs/heads/").map(str::to_owned));
    Ok(Some(Head { branch, commit }))
}

/// Whether git tracks a file of this checkout.
pub fn is_tracked(git: &Git, checkout: &Path, file: &str) -> Result<bool, GitError> {
    git.call(checkout, "ls-files")
        .args(["--error-unmatch", "--", file])
        .yes()
}

/// The commit that a revision names, if it names one. Only for checked names and full refs.
pub(super) fn commit_of(git: &Git, repo: &Path, name: &str) -> Result<Option<String>, GitError> {
    git.call(repo, "rev-parse")
        .args(["--verify", "--quiet", "--end-of-options"])
        .arg(format!("{name}^{{commit}}"))
        .answer()
}

/// Whether `ancestor` is reachable from `descendant`.
pub(super) fn is_ancestor(
    git: &Git,
    repo: &Path,
    ancestor: &str,
    descendant: &str,
) -> Result<bool, GitError> {
    git.call(repo, "merge-base")
        .args(["--is-ancestor", ancestor, descendant])
        .yes()
}

/// Resolves links and dots in a path that exists.
pub(super) fn canonical(path: &Path) -> Result<PathBuf, GitError> {
    path.canonicalize()
        .map_err(GitError::file("resolving", path))
}

/// Whether the directory itself is a git directory, that is a bare repository or a `.git`.
fn is_git_directory(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir()
}

fn explain(error: GitError, path: &Path) -> GitError {
    let GitError::Process(process) = &error else {
        return error;
    };
    let FailureReason::Exit(_) = process.reason else {
        return error;
    };
    let said = &process.stderr_tail;
    if said.contains("dubious ownership") {
        GitError::DubiousOwnership(path.to_owned())
    } else if said.contains("cannot use bare repository") {
        GitError::Bare(path.to_owned())
    } else if said.contains("not a git repository") {
        GitError::NotARepository(path.to_owned())
    } else {
        error
    }
}

/// The main checkout by the list of worktrees, or else the checkout that `path` is in. Its `.git`
/// must lead to the common directory, so that a planted `core.worktree` cannot name any directory.
fn main_checkout(git: &Git, path: &Path, common_dir: &Path) -> Result<PathBuf, GitError> {
    let listed = worktree_list::list(git, path)?;
    if let Some(main) = listed.first().filter(|main| !main.bare)
        && let Ok(main) = main.path.canonicalize()
        && leads_to(&main, common_dir)
        && toplevel(git, &main).is_ok_and(|toplevel| toplevel == main)
    {
        return Ok(main);
    }
    let toplevel = toplevel(git, path)?;
    if canonical(path)?.starts_with(&toplevel) && leads_to(&toplevel, common_dir) {
        Ok(toplevel)
    } else {
        Err(GitError::Tampered(path.to_owned()))
    }
}

fn toplevel(git: &Git, path: &Path) -> Result<PathBuf, GitError> {
    let call = git
        .call(path, "rev-parse")
        .args(["--path-format=absolute", "--show-toplevel"]);
    canonical(Path::new(&call.text()?))
}

/// Whether the `.git` of a checkout is the common directory, or a file that names it or a linked
/// worktree's directory in it.
fn leads_to(checkout: &Path, common_dir: &Path) -> bool {
    let own = checkout.join(".git");
    let git_dir = if own.is_dir() {
        own.canonicalize().ok()
    } else {
        admin_dir(checkout).ok()
    };
    git_dir.is_some_and(|git_dir| {
        git_dir == common_dir || git_dir.parent() == Some(&common_dir.join("worktrees"))
    })
}

/// `origin` first, else the only one, else in git's order.
fn remotes(git: &Git, repo: &Path) -> Result<Vec<String>, GitError> {
    let text = git.call(repo, "remote").text()?;
    let mut remotes: Vec<String> = text
        .lines()
        .filter(|name| super::names::check_branch(name).is_ok())
        .map(str::to_owned)
        .collect();
    remotes.sort_by_key(|name| name != "origin");
    Ok(remotes)
}

/// What the remote calls its HEAD; else `main` or `master`; else what is checked out.
fn default_branch(
    git: &Git,
    repo: &Path,
    remote: Option<&String>,
    head: &Head,
) -> Result<String, GitError> {
    if let Some(remote) = remote {
        let prefix = format!("refs/remotes/{remote}/");
        let named = git
            .call(repo, "symbolic-ref")
            .args(["--quiet", "--end-of-options"])
            .arg(format!("{prefix}HEAD"))
            .answer()?;
        if let Some(branch) = named.as_deref().and_then(|full| full.strip_prefix(&prefix)) {
            return Ok(branch.to_owned());
        }
    }
    for branch in ["main", "master"] {
        if commit_of(git, repo, &format!("refs/heads/{branch}"))?.is_some() {
            return Ok(branch.to_owned());
        }
    }
    if let Some(remote) = remote {
        for branch in ["main", "master"] {
            if commit_of(git, repo, &format!("refs/remotes/{remote}/{branch}"))?.is_some() {
                return Ok(branch.to_owned());
            }
        }
    }
    Ok(head.branch.clone().unwrap_or_else(|| head.commit.clone()))
}
