//! What can go wrong with a repository or a worktree, and what to do about it.

use std::path::PathBuf;

use claustre_protocol::request::{LostPath, file_count};

use crate::adapters::process::ProcessError;

/// Why git could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no such directory.
    #[error("no directory {}", .0.display())]
    MissingPath(PathBuf),
    /// The directory is in no git repository.
    #[error("{} is not a git repository", .0.display())]
    NotARepository(PathBuf),
    /// The repository has no working tree of its own.
    #[error("{} is a bare repository", .0.display())]
    Bare(PathBuf),
    /// The repository has no commit yet.
    #[error("{} has no commit yet", .0.display())]
    Unborn(PathBuf),
    /// Git will not use a repository that belongs to another user.
    #[error("{} belongs to another user", .0.display())]
    DubiousOwnership(PathBuf),
    /// A name that is not on the allow-list; `name` is safe to print.
    #[error("{kind} '{name}' is not allowed: {reason}")]
    BadName {
        /// What it would name: "branch", "project", ...
        kind: &'static str,
        /// The name, made safe for a terminal.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Neither a branch, a remote branch, a tag nor a commit.
    #[error("base '{base}' not found in {}", .repository.display())]
    MissingBase {
        /// What was asked for.
        base: String,
        /// Where it was looked for.
        repository: PathBuf,
        /// Branches with a similar name, best first.
        near: Vec<String>,
    },
    /// The branch is in use by a worktree that is not ours.
    #[error("branch '{branch}' is checked out at {}", .path.display())]
    BranchCheckedOut {
        /// The branch.
        branch: String,
        /// Where it is checked out.
        path: PathBuf,
    },
    /// Something else is already where the worktree should go.
    #[error("{} is taken: {reason}", .path.display())]
    PathTaken {
        /// The path.
        path: PathBuf,
        /// By what.
        reason: String,
    },
    /// A path that is not strictly below our own worktrees directory.
    #[error("{} is not below {}", .path.display(), .root.display())]
    OutsideRoot {
        /// The path.
        path: PathBuf,
        /// Our worktrees directory.
        root: PathBuf,
    },
    /// It does not have the structure of a linked worktree of this repository.
    #[error("{} is no worktree of ours: {reason}", .path.display())]
    NotOurWorktree {
        /// The path.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The worktree is locked; we never remove a locked one.
    #[error("worktree {} is locked{}", .path.display(), because(reason))]
    Locked {
        /// The path.
        path: PathBuf,
        /// Why, as whoever locked it wrote; may be empty.
        reason: String,
    },
    /// Work that a snapshot cannot hold would be lost.
    #[error("{} holds work that cannot be kept: {reason}", .path.display())]
    CannotKeep {
        /// The directory with that work.
        path: PathBuf,
        /// Which work.
        reason: String,
    },
    /// More would go for good than a person was shown; nothing was removed.
    #[error("{} holds ignored files that no snapshot can hold: {}", .path.display(), told(lost))]
    MoreThanShown {
        /// The worktree.
        path: PathBuf,
        /// What was not shown, the largest first.
        lost: Vec<LostPath>,
    },
    /// Another removal of the same worktree is under way.
    #[error("{} is being removed", .0.display())]
    BeingRemoved(PathBuf),
    /// Files changed after they were put in the snapshot; nothing was removed.
    #[error("{} changed while it was being removed", .0.display())]
    ChangedMeanwhile(PathBuf),
    /// There is no such snapshot.
    #[error("no snapshot '{0}'")]
    NoSnapshot(String),
    /// The repository's configuration cannot be made harmless, so git is not run.
    #[error("the git configuration of {} has entries that cannot be overridden", .0.display())]
    Tampered(PathBuf),
    /// The configuration names programs where they cannot be overridden for sure, so git is not run.
    #[error(
        "the git configuration of {} has a program run that is not yours: {}",
        .path.display(),
        keys.join(", ")
    )]
    NamesProgram {
        /// The directory whose configuration it is.
        path: PathBuf,
        /// The keys, safe to print.
        keys: Vec<String>,
    },
    /// Reading or writing a file failed.
    #[error("{doing} {}: {source}", .path.display())]
    File {
        /// What was being done: "reading", "writing", ...
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Git itself failed or could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Git answered something that we do not understand.
    #[error("unexpected answer of git to `{command}`")]
    Answer {
        /// The command.
        command: String,
    },
}

/// The first paths with their sizes, and how many more there are.
fn told(lost: &[LostPath]) -> String {
    let mut parts: Vec<String> = lost
        .iter()
        .take(5)
        .map(|lost| format!("{} ({})", lost.path, file_count(lost.files, lost.bytes)))
        .collect();
    if lost.len() > parts.len() {
        parts.push(format!("{} more", lost.len() - parts.len()));
    }
    parts.join(", ")
}

fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

impl GitError {
    /// Wraps a failed file operation; for `map_err`.
    pub(super) fn file(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            doing,
            path,
            source,
        }
    }

    /// What the user can do about it, in one sentence.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::MissingPath(_) => "check the path; it must be a directory with a checkout".into(),
            Self::NotARepository(path) => {
                format!(
                    "run `git init` in {} or give the path of a repository",
                    path.display()
                )
            }
            Self::Bare(_) => {
                "give the path of a checkout: clone it, or add one with `git worktree add`".into()
            }
            Self::Unborn(_) => {
                "make the first commit, for example `git commit --allow-empty -m start`".into()
            }
            Self::DubiousOwnership(path) => format!(
                "if you trust it: `git config --global --add safe.directory {}`",
                path.display()
            ),
            Self::BadName { .. } => {
                "use letters, digits, `.`, `_`, `-` (and `/` in branches)".into()
            }
            Self::MissingBase { near, .. } if near.is_empty() => {
                "`git branch --all` lists what is there".into()
            }
            Self::MissingBase { near, .. } => format!("did you mean {}?", near.join(", ")),
            Self::BranchCheckedOut { path, .. } => {
                format!(
                    "switch {} to another branch or choose another one here",
                    path.display()
                )
            }
            Self::PathTaken { path, .. } => {
                format!("move {} away or choose another branch name", path.display())
            }
            Self::OutsideRoot { .. } | Self::NotOurWorktree { .. } => {
                "claustre only removes worktrees that it made; `git worktree remove` removes others"
                    .into()
            }
            Self::Locked { path, .. } => {
                format!("`git worktree unlock {}` when it may go", path.display())
            }
            Self::CannotKeep { path, .. } => {
                format!("commit and push or move what is in {}", path.display())
            }
            Self::MoreThanShown { .. } => {
                "`claustre worktree remove` shows all of it and asks".into()
            }
            Self::BeingRemoved(_) => "wait until that has ended".into(),
            Self::ChangedMeanwhile(_) => "stop what still writes there and try again".into(),
            Self::Tampered(_) => {
                "look at `git config --list --show-origin` there for filters you did not set".into()
            }
            Self::NamesProgram { .. } => {
                "look at `git config --list --show-origin --show-scope` there and remove what you did not set".into()
            }
            Self::NoSnapshot(_) => "`claustre worktree list` shows what is kept".into(),
            Self::Process(error) => {
                use crate::adapters::process::FailureReason;
                match error.reason {
                    FailureReason::NotFound => "install git 2.36 or newer".into(),
                    FailureReason::TimeLimit(_) => {
                        "the disk or the remote is slow or does not answer; try again".into()
                    }
                    _ => return None,
                }
            }
            Self::File { .. } | Self::Answer { .. } => return None,
        };
        Some(hint)
    }
}
