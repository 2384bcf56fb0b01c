//! Repositories and worktrees through the port, over `git`.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use claustre_protocol::request::{RemovalPreview, ShownLoss};
use uuid::Uuid;

use super::claude::mcp_config;
use super::claude_local;
use super::git::{
    Git, GitError, KeepLimits, names,
    remove::{self, RemoveWorktree},
    repository,
    snapshot::{self, RestoreWorktree},
    status,
    worktree::{self, CreateWorktree},
};
use super::process::FailureReason;
use crate::paths::Paths;
use crate::ports::{
    Brief, DiffFacts, PortError, RemovalFacts, RemovalOrder, RepositoryFacts, Workspace,
    WorktreeFacts, WorktreeOrder,
};
use crate::text;
use crate::trust::{Place, TrustStore};

/// Longest fragment, in bytes.
const FRAGMENT_LIMIT: u64 = 1024 * 1024;
/// Longest text of all fragments that goes into the system prompt, in bytes: less than one argument may have.
const PROMPT_LIMIT: usize = 100 * 1024;

/// How worktrees are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceSettings {
    /// The directory of all worktrees, absolute.
    pub root: PathBuf,
    /// Ignored files to copy from the main checkout, in `.gitignore`'s syntax.
    pub copy: Vec<String>,
    /// Ignored files or directories to link to the main checkout's, in `.gitignore`'s syntax.
    pub symlink: Vec<String>,
    /// Fetch from the remote before a branch is made?
    pub fetch: bool,
    /// Which ignored files of a removed worktree go into its snapshot.
    pub keep_ignored: KeepLimits,
    /// Do the texts for every session go into the worktree's `CLAUDE.local.md` rather than into the system prompt?
    pub brief_in_file: bool,
}

impl WorkspaceSettings {
    /// Below the home, fetching, nothing copied or linked.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        Self {
            root: paths.worktrees(),
            copy: Vec::new(),
            symlink: Vec::new(),
            fetch: true,
            keep_ignored: KeepLimits::default(),
            brief_in_file: false,
        }
    }
}

/// Worktrees made by git.
#[derive(Debug, Clone)]
pub struct GitWorkspace {
    git: Git,
    settings: WorkspaceSettings,
    fragment: PathBuf,
    trust: Option<TrustStore>,
}

impl GitWorkspace {
    /// `fragment` is the user's own text for every session ([`Paths::claude_fragment`]).
    #[must_use]
    pub fn new(git: Git, settings: WorkspaceSettings, fragment: PathBuf) -> Self {
        Self {
            git,
            settings,
            fragment,
            trust: None,
        }
    }

    /// Runs the filters of repositories that this store says are allowed.
    #[must_use]
    pub fn with_trust(mut self, trust: TrustStore) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Git with the filters that the user allowed in the repository of this path.
    fn git_at(&self, path: &Path) -> Git {
        let allowed = self.trust.as_ref().and_then(|trust| {
            let place = Place::find(path).ok()?;
            Some(trust.allowed_filters(&place))
        });
        self.git.clone().allowing(allowed.unwrap_or_default())
    }

    /// Whether the branch of the worktree at `path` has a name that only [`names::branch_for`] gives: such a
    /// branch is ours to delete once merged.
    fn is_branch_of_task(&self, path: &Path) -> bool {
        let root = &self.settings.root;
        let real = root.canonicalize().unwrap_or_else(|_| root.clone());
        let below = path
            .strip_prefix(root)
            .or_else(|_| path.strip_prefix(&real))
            .ok();
        let branch: Option<PathBuf> = below.map(|below| below.components().skip(1).collect());
        let Some(name) = branch
            .as_deref()
            .and_then(Path::to_str)
            .and_then(|name| name.strip_prefix("task/"))
        else {
            return false;
        };
        let digits = name
            .rsplit_once('-')
            .map(|(_, digits)| digits)
            .unwrap_or_default();
        !name.contains('/')
            && digits.len() == 8
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl GitWorkspace {
    fn removal(
        &self,
        repository: &Path,
        path: &Path,
        snapshot: &str,
        shown: Option<ShownLoss>,
    ) -> RemoveWorktree {
        RemoveWorktree {
            repo: repository.to_owned(),
            worktrees_root: self.settings.root.clone(),
            path: path.to_owned(),
            snapshot_name: snapshot.to_owned(),
            limits: self.settings.keep_ignored,
            ours: ours(path, repository),
            shown,
            delete_merged_branch: self.is_branch_of_task(path),
        }
    }
}

/// The ignored files of a worktree that hold nothing but what we wrote into them.
fn ours(worktree: &Path, main: &Path) -> Vec<PathBuf> {
    let mut ours = Vec::new();
    if claude_local::is_ours(worktree, main) {
        ours.push(PathBuf::from(claude_local::NAME));
    }
    if mcp_config::is_ours(&worktree.join(mcp_config::NAME)) {
        ours.push(PathBuf::from(mcp_config::NAME));
    }
    ours
}

impl Workspace for GitWorkspace {
    fn inspect(&self, path: &Path) -> Result<RepositoryFacts, PortError> {
        let found = repository::inspect(&self.git_at(path), path)
            .map_err(|error| failed("looking at the repository", &error))?;
        Ok(RepositoryFacts {
            root: found.root,
            default_branch: found.default_branch,
        })
    }

    fn check_branch(&self, name: &str) -> Result<(), PortError> {
        names::check_branch(name).map_err(|error| failed("checking the branch", &error))
    }

    fn check_base(&self, repository: &Path, base: &str) -> Result<(), PortError> {
        let failed = |error: GitError| failed("checking the base", &error);
        let git = self.git_at(repository);
        let found = repository::inspect(&git, repository).map_err(failed)?;
        worktree::check_base(&git, &found, base).map_err(failed)
    }

    fn check_start(&self, order: &WorktreeOrder) -> Result<(), PortError> {
        let failed = |error: GitError| failed("making the worktree", &error);
        names::check_project(&order.project).map_err(failed)?;
        worktree::foresee(
            &self.git_at(&order.repository),
            &order.repository,
            &self.settings.root,
            &order.branch,
            order.base.as_deref(),
        )
        .map_err(failed)
    }

    fn branch_for(&self, title: &str, id: Uuid) -> String {
        names::branch_for(title, &id)
    }

    fn prepare(&self, order: &WorktreeOrder) -> Result<WorktreeFacts, PortError> {
        let failed = |error: GitError| failed("making the worktree", &error);
        names::check_project(&order.project).map_err(failed)?;
        // Before it becomes part of a path.
        names::check_branch(&order.branch).map_err(failed)?;
        let base = match &order.base {
            Some(base) => base.clone(),
            None => {
                repository::inspect(&self.git_at(&order.repository), &order.repository)
                    .map_err(failed)?
                    .default_branch
            }
        };
        let made = worktree::create(
            &self.git_at(&order.repository),
            &CreateWorktree {
                repo: order.repository.clone(),
                worktrees_root: self.settings.root.clone(),
                path: self.settings.root.join(&order.project).join(&order.branch),
                branch: order.branch.clone(),
                base: Some(base.clone()),
                fetch: self.settings.fetch,
                copy: self.settings.copy.clone(),
                symlink: self.settings.symlink.clone(),
                exclude: Vec::new(),
            },
        )
        .map_err(failed)?;
        Ok(WorktreeFacts {
            path: made.path,
            branch: made.branch,
            base,
            base_commit: made.base_commit,
            reused: made.reused,
            notes: made.notes,
        })
    }

    fn preview_removal(&self, repository: &Path, path: &Path) -> Result<RemovalPreview, PortError> {
        let mut shown = RemovalPreview {
            path: path.display().to_string(),
            ..RemovalPreview::default()
        };
        let request = self.removal(repository, path, "preview", None);
        match remove::preview(&self.git_at(repository), &request) {
            Ok(None) => {}
            Ok(Some(found)) => {
                let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
                shown.branch = found.branch.unwrap_or_default();
                shown.changed_files = count(found.changed);
                shown.unpushed_commits = count(found.unpushed);
                shown.ignored_kept = count(found.ignored_kept);
                shown.lost_files = found.lost.iter().map(|lost| lost.files).sum();
                shown.lost_bytes = found.lost.iter().map(|lost| lost.bytes).sum();
                shown.lost = found.lost;
                let named = shown.lost.len().min(RemovalPreview::MOST_NAMED);
                shown.lost_more = count(shown.lost.len() - named);
                shown.lost.truncate(named);
            }
            Err(error) => shown.stays = Some(error.to_string()),
        }
        Ok(shown)
    }

    fn remove(&self, order: &RemovalOrder) -> Result<RemovalFacts, PortError> {
        let request = self.removal(
            &order.repository,
            &order.path,
            &order.snapshot,
            order.shown.clone(),
        );
        let removed = remove::remove(&self.git_at(&order.repository), &request)
            .map_err(|error| failed("removing the worktree", &error))?;
        for note in &removed.notes {
            tracing::info!(path = %order.path.display(), note, "a worktree was removed");
        }
        Ok(RemovalFacts {
            snapshot: removed.snapshot_ref,
            branch_deleted: removed.branch_deleted,
            lost: removed.lost,
        })
    }

    fn restore(
        &self,
        repository: &Path,
        path: &Path,
        snapshot: &str,
    ) -> Result<PathBuf, PortError> {
        let request = RestoreWorktree {
            repo: repository.to_owned(),
            worktrees_root: self.settings.root.clone(),
            path: path.to_owned(),
            snapshot_ref: snapshot.to_owned(),
        };
        let restored = snapshot::restore(&self.git_at(repository), &request)
            .map_err(|error| failed("bringing the worktree back", &error))?;
        for note in &restored.notes {
            tracing::info!(path = %path.display(), note, "a worktree was brought back");
        }
        Ok(restored.path)
    }

    fn forget(&self, repository: &Path, snapshot: &str) -> Result<(), PortError> {
        match snapshot::delete(&self.git_at(repository), repository, snapshot) {
            Err(GitError::NoSnapshot(_)) => Ok(()),
            deleted => deleted.map_err(|error| failed("letting the snapshot go", &error)),
        }
    }

    fn diff(&self, path: &Path, base_commit: &str) -> Result<DiffFacts, PortError> {
        let stat = status::diff_stat(&self.git_at(path), path, base_commit)
            .map_err(|error| failed("counting what changed", &error))?;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(DiffFacts {
            files: count(stat.files),
            added: count(stat.added),
            removed: count(stat.removed),
        })
    }

    fn diff_text(&self, path: &Path, base_commit: &str) -> Result<String, PortError> {
        status::diff_text(&self.git_at(path), path, base_commit)
            .map_err(|error| failed("reading what changed", &error))
    }

    fn brief(&self, repository: &Path, worktree: &Path) -> Brief {
        let whole = self.fragments(repository);
        let is_long = whole
            .as_ref()
            .is_some_and(|whole| whole.len() > PROMPT_LIMIT);
        let in_file = self.settings.brief_in_file || is_long;
        let mut notes = Vec::new();
        match self.write_brief(repository, worktree, whole.as_deref().filter(|_| in_file)) {
            Ok(()) if in_file => {
                if is_long && !self.settings.brief_in_file {
                    notes.push(format!(
                        "the texts of claude.md are too long for the system prompt: they are in {}",
                        claude_local::NAME
                    ));
                }
                return Brief {
                    prompt: None,
                    notes,
                };
            }
            Ok(()) => {}
            Err(why) => notes.push(format!(
                "{} was not written ({why}): the texts of claude.md are in the system prompt{}",
                claude_local::NAME,
                if is_long { ", cut" } else { "" }
            )),
        }
        Brief {
            prompt: whole.map(|whole| cut(whole, PROMPT_LIMIT)),
            notes,
        }
    }
}

impl GitWorkspace {
    /// The global text, then the project's.
    fn fragments(&self, repository: &Path) -> Option<String> {
        let users = read_fragment(&self.fragment);
        let project = repository.join(".claustre");
        // A repository could lead a link anywhere, such as to a key, and the model would read it.
        let is_plain = |path: &Path| path.symlink_metadata().is_ok_and(|data| !data.is_symlink());
        let file = project.join("claude.md");
        let projects = (is_plain(&project) && is_plain(&file))
            .then(|| read_fragment(&file))
            .flatten();
        let whole: Vec<String> = [users, projects].into_iter().flatten().collect();
        (!whole.is_empty()).then(|| whole.join("\n\n"))
    }

    /// Puts the text into the worktree's file, or takes ours out. One that the repository tracks is never touched.
    fn write_brief(
        &self,
        repository: &Path,
        worktree: &Path,
        text: Option<&str>,
    ) -> Result<(), String> {
        let is_there = worktree.join(claude_local::NAME).symlink_metadata().is_ok();
        if is_there
            && repository::is_tracked(&self.git_at(worktree), worktree, claude_local::NAME)
                .map_err(|error| error.to_string())?
        {
            return match text {
                Some(_) => Err("the repository has one of its own".to_owned()),
                None => Ok(()),
            };
        }
        match (claude_local::put(worktree, repository, text), text) {
            (Err(error), Some(_)) => Err(error.to_string()),
            // Ours may not even be in it.
            (Err(error), None) => {
                tracing::debug!(%error, path = %worktree.display(), "a CLAUDE.local.md was left as it is");
                Ok(())
            }
            (Ok(()), _) => Ok(()),
        }
    }
}

/// A fragment's text, cut to its bound; none where there is no such file, or nothing in it.
fn read_fragment(path: &Path) -> Option<String> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        file.take(FRAGMENT_LIMIT.saturating_add(1))
            .read_to_end(&mut bytes)
    });
    if let Err(error) = read {
        tracing::warn!(path = %path.display(), %error, "a CLAUDE fragment could not be read");
        return None;
    }
    let limit = usize::try_from(FRAGMENT_LIMIT).unwrap_or(usize::MAX);
    if bytes.len() > limit {
        tracing::warn!(path = %path.display(), limit, "a CLAUDE fragment is too long and was cut");
        bytes.truncate(limit);
    }
    let text = text::strip_control(&String::from_utf8_lossy(&bytes))
        .trim()
        .to_owned();
    (!text.is_empty()).then_some(text)
}

/// The text, cut at the end of a character to at most this many bytes.
fn cut(mut text: String, limit: usize) -> String {
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

/// A failure in words, with what was being done before it.
fn failed(doing: &str, error: &GitError) -> PortError {
    let passing = match error {
        GitError::Process(process) => matches!(
            process.reason,
            FailureReason::TimeLimit(_) | FailureReason::Io(_)
        ),
        GitError::ChangedMeanwhile(_) => true,
        _ => false,
    };
    PortError {
        message: format!("{doing}: {error}"),
        hint: error.hint(),
        passing,
    }
}

#[cfg(test)]
#[path = "workspace_tests.rs"]
mod tests;
