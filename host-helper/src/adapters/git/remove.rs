//! Removing a worktree without losing what is in it.
//!
//! First everything is kept in a snapshot, small ignored files included; what is too large for it must have been shown to a
//! person, or be of the kind that tools make again. A repository that git ignores keeps the worktree where it is. Then HEAD and index of the worktree are set to that
//! snapshot, and `git worktree remove` runs without force: git itself then refuses if a single
//! file differs from what was kept, also one written in this very moment.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use claustre_protocol::request::{LostPath, ShownLoss};

use super::ignored::{self, Ignored, KeepLimits};
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
    /// Which ignored files go into the snapshot.
    pub limits: KeepLimits,
    /// Files of our own in the worktree, relative to it: they go without a word.
    pub ours: Vec<PathBuf>,
    /// What a person was shown of what goes for good; none = nothing was shown.
    pub shown: Option<ShownLoss>,
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
    /// What went for good, the largest first.
    pub lost: Vec<LostPath>,
}

/// What [`remove`] would find. Nothing is changed but the object store, which may get an unused object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Short name of the branch; none where detached.
    pub branch: Option<String>,
    /// Changed and new files that are not committed.
    pub changed: usize,
    /// Commits that are nowhere else.
    pub unpushed: usize,
    /// Ignored files that go into the snapshot.
    pub ignored_kept: usize,
    /// What goes for good, the largest first.
    pub lost: Vec<LostPath>,
}

/// Says what [`remove`] would keep and lose, without removing anything. None: the worktree is gone.
///
/// # Errors
/// Those for which [`remove`] would leave the worktree where it is.
pub fn preview(git: &Git, request: &RemoveWorktree) -> Result<Option<Preview>, GitError> {
    let repository = repository::inspect(git, &request.repo)?;
    if is_gone(&request.path) {
        return Ok(None);
    }
    let (path, admin) = removable(&request.path, &repository, &request.worktrees_root)?;
    if admin.join(HEAD_BEFORE).exists() {
        return Err(GitError::BeingRemoved(path));
    }
    static PREVIEWS: AtomicU64 = AtomicU64::new(0);
    let number = PREVIEWS.fetch_add(1, Ordering::Relaxed);
    let index = admin.join(format!("claustre-preview-{}-{number}", std::process::id()));
    let looked = look_through(git, &path, &admin, &index, &repository.root, request);
    for left in [&index, &PathBuf::from(format!("{}.lock", index.display()))] {
        drop(fs::remove_file(left));
    }
    let ignored = looked?;
    let status = status::status(git, &path)?;
    Ok(Some(Preview {
        branch: branch(git, &path, &admin)?,
        changed: status.dirty_files.saturating_add(status.untracked),
        unpushed: match status.head.is_empty() {
            true => 0,
            false => status::unpushed(git, &path)?,
        },
        ignored_kept: ignored.kept.len(),
        lost: ignored.lost,
    }))
}

/// What git ignores, through an index that names the untracked files without holding them.
fn look_through(
    git: &Git,
    path: &Path,
    admin: &Path,
    index: &Path,
    main: &Path,
    request: &RemoveWorktree,
) -> Result<Ignored, GitError> {
    let users = admin.join("index");
    if users.exists() {
        fs::copy(&users, index).map_err(GitError::file("copying", &users))?;
    } else {
        git.call(path, "read-tree")
            .arg("--empty")
            .env("GIT_INDEX_FILE", index)
            .run()?;
    }
    snapshot::add_all(git, path, index, &["--intent-to-add"])?;
    let submodules = nested(git, path, admin, Some(index))?;
    look_at_all(git, path, index, main, request, &submodules)
}

/// What git ignores in the worktree and in its submodules.
fn look_at_all(
    git: &Git,
    path: &Path,
    index: &Path,
    main: &Path,
    request: &RemoveWorktree,
    submodules: &[PathBuf],
) -> Result<Ignored, GitError> {
    let mut all = ignored::look(git, path, main, index, request.limits, &request.ours)?;
    for submodule in submodules {
        all.lost
            .extend(ignored::of_submodule(git, path, submodule)?);
    }
    all.sort();
    Ok(all)
}

/// Removes a worktree of ours. Called again after a crash anywhere, it goes on where it stopped;
/// a worktree that is gone already is no error.
pub fn remove(git: &Git, request: &RemoveWorktree) -> Result<Removal, GitError> {
    names::check_snapshot(&request.snapshot_name)?;
    let repository = repository::inspect(git, &request.repo)?;
    if is_gone(&request.path) {
        // Perhaps by an earlier call of which nobody learned: what that kept is still to be told.
        return Ok(Removal {
            snapshot_ref: snapshot::existing(git, &repository.root, &request.snapshot_name)?,
            ..Removal::default()
        });
    }
    let (path, admin) = removable(&request.path, &repository, &request.worktrees_root)?;
    let path = &path;
    let _alone = Alone::with(path)?;
    put_back(git, path, &admin)?;

    let mut removal = Removal {
        notes: under_way(&admin),
        ..Removal::default()
    };
    let head = repository::head(git, path)?;
    let branch = branch(git, path, &admin)?;
    let mut content = snapshot::read_content(git, path, &admin)?;
    let submodules = nested(git, path, &admin, Some(&content.index))?;
    let ignored = look_at_all(
        git,
        path,
        &content.index,
        &repository.root,
        request,
        &submodules,
    )?;
    let unseen = ignored::unseen(&ignored.lost, request.shown.as_ref());
    if !unseen.is_empty() {
        return Err(GitError::MoreThanShown {
            path: path.clone(),
            lost: unseen.into_iter().cloned().collect(),
        });
    }
    let is_needed = content.is_dirty()
        || !ignored.kept.is_empty()
        || (head.is_some() && status::unpushed(git, path)? > 0);
    let mut kept = None;
    if is_needed {
        let files = ignored.kept.iter().chain(&ignored.copies);
        snapshot::add_ignored(git, path, &mut content, files)?;
        let name = &request.snapshot_name;
        let (full, commit) =
            snapshot::keep(git, path, name, &content, head.as_ref(), branch.as_deref())?;
        removal.snapshot_ref = Some(full.clone());
        kept = Some((full, commit));
    }
    let stood = match &kept {
        Some((_, commit)) if content.is_dirty() => {
            stand_on(git, path, &admin, commit, &content.index)
        }
        _ => Ok(()),
    };
    if let Err(error) =
        stood.and_then(|()| take_away(git, &repository, path, !submodules.is_empty()))
    {
        if path.exists() && admin.exists() {
            put_back(git, path, &admin)?;
            // All of it is in the worktree again: a failed try leaves no snapshot behind.
            if let Some((full, commit)) = &kept {
                snapshot::discard(git, path, full, commit)?;
            }
        }
        return Err(error);
    }
    removal.lost = ignored.lost;
    if request.delete_merged_branch
        && let (Some(branch), Some(head)) = (&branch, &head)
    {
        removal.branch_deleted = delete_merged(git, &repository, branch, head)?;
    }
    Ok(removal)
}

/// A worktree that one call removes at a time.
struct Alone(PathBuf);

static BEING_REMOVED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

impl Alone {
    fn with(path: &Path) -> Result<Self, GitError> {
        let mut all = BEING_REMOVED.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(path.to_owned()) {
            Ok(Self(path.to_owned()))
        } else {
            Err(GitError::BeingRemoved(path.to_owned()))
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let mut all = BEING_REMOVED.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.0);
    }
}

fn is_gone(path: &Path) -> bool {
    path.symlink_metadata()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// The worktree's real path and its git directory, if it is one of ours and not locked.
fn removable(
    path: &Path,
    repository: &Repository,
    root: &Path,
) -> Result<(PathBuf, PathBuf), GitError> {
    let admin = verify(path, repository, root)?;
    let path = canonical(path)?;
    if let Ok(reason) = fs::read_to_string(admin.join("locked")) {
        return Err(GitError::Locked {
            path,
            reason: reason.trim().to_owned(),
        });
    }
    Ok((path, admin))
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

/// The submodules inside a checkout, at any depth, all of them clean and pushed. Of any other repository inside, and of what a
/// submodule has of its own, a snapshot would hold no more than a commit id: refused.
fn nested(
    git: &Git,
    checkout: &Path,
    admin: &Path,
    index: Option<&Path>,
) -> Result<Vec<PathBuf>, GitError> {
    use std::os::unix::ffi::OsStrExt;
    let mut call = git.call(checkout, "ls-files").args(["--stage", "-z"]);
    if let Some(index) = index {
        call = call.env("GIT_INDEX_FILE", index);
    }
    let staged = call.run()?;
    let mut found = Vec::new();
    for line in staged.stdout.split(|byte| *byte == 0) {
        if !line.starts_with(b"160000 ") {
            continue;
        }
        let name = line
            .splitn(2, |byte| *byte == b'\t')
            .nth(1)
            .unwrap_or_default();
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        let inside = checkout.join(name);
        let refuse = |reason: &str| {
            Err(GitError::CannotKeep {
                path: inside.clone(),
                reason: reason.to_owned(),
            })
        };
        if inside.join(".git").symlink_metadata().is_err() {
            continue;
        }
        // Git keeps a submodule's repository in that of its worktree; all else is somebody's own.
        let own = match admin_dir(&inside) {
            Ok(own) if own.starts_with(admin.join("modules")) => own,
            _ => return refuse("it is a repository of its own"),
        };
        if status::status(git, &inside)?.is_dirty() {
            return refuse("the submodule has uncommitted changes");
        }
        if commit_of(git, &inside, "refs/stash")?.is_some() {
            return refuse("the submodule has a stash");
        }
        let unpushed = git
            .call(&inside, "rev-list")
            .args(["--max-count=1", "--branches", "HEAD", "--not", "--remotes"])
            .text()?;
        if !unpushed.is_empty() {
            return refuse("the submodule has commits that are not pushed");
        }
        let deeper = nested(git, &inside, &own, None)?;
        found.extend(deeper.into_iter().map(|deeper| name.join(deeper)));
        found.push(name.to_owned());
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

/// Undoes `stand_on`, where it was done and the worktree is still there. Files that git had deleted already, before it failed or
/// we were ended, come back from the snapshot.
pub(super) fn put_back(git: &Git, path: &Path, admin: &Path) -> Result<(), GitError> {
    let note = admin.join(HEAD_BEFORE);
    let head = match fs::read_to_string(&note) {
        Ok(head) => head,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(GitError::file("reading", note)(error)),
    };
    let before = admin.join(INDEX_BEFORE);
    if stands_on_snapshot(admin, &before) {
        bring_back(git, path)?;
    }
    match head.trim().strip_prefix("ref: ") {
        Some(full) => git.call(path, "symbolic-ref").args(["HEAD", full]).run()?,
        None => git
            .call(path, "update-ref")
            .args(["--no-deref", "HEAD", head.trim()])
            .run()?,
    };
    if before.exists() {
        replace_index(admin, &before)?;
    }
    fs::remove_file(&note).map_err(GitError::file("removing", note))
}

/// Is the index that of the snapshot? Only then is a file that it has and the worktree has not one that git deleted.
fn stands_on_snapshot(admin: &Path, before: &Path) -> bool {
    match (fs::read(admin.join("index")), fs::read(before)) {
        (Ok(now), Ok(before)) => now != before,
        (Ok(_), Err(error)) => error.kind() == ErrorKind::NotFound,
        (Err(_), _) => false,
    }
}

/// Writes the files that the index has and the worktree has not.
fn bring_back(git: &Git, path: &Path) -> Result<(), GitError> {
    let deleted = git
        .call(path, "ls-files")
        .args(["-z", "--deleted"])
        .run()?
        .stdout;
    if deleted.is_empty() {
        return Ok(());
    }
    git.call(path, "checkout-index")
        .args(["-z", "--stdin"])
        .stdin(deleted)
        .limit(REMOVE_LIMIT)
        .run()?;
    Ok(())
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
    // Git looks through the worktree, and through each repository in it, before it removes it.
    let inside = snapshot::inner(git, path, None)?;
    let finished = call
        .also(inside)
        .also([path.to_owned()])
        .arg("--")
        .arg(path)
        .finish()?;
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
