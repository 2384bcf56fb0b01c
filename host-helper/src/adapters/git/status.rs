//! How a worktree stands: what is changed, what is not pushed, how much differs from its base.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::repository;
use super::{Git, GitError};

/// Untracked files larger than this (bytes) count as changed files without lines.
const LARGEST_COUNTED: u64 = 1024 * 1024;
/// Untracked files read for their lines; the rest count without.
const MOST_COUNTED: usize = 2000;

/// How a worktree stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorktreeStatus {
    /// Tracked files with changes, staged or not, conflicts included.
    pub dirty_files: usize,
    /// Files that git neither tracks nor ignores.
    pub untracked: usize,
    /// Commits that the upstream branch does not have; 0 without one.
    pub ahead: usize,
    /// Commits of the upstream branch that we do not have; 0 without one.
    pub behind: usize,
    /// Whether HEAD has commits that no remote branch has; in a repository without remotes, that
    /// the default branch does not have.
    pub unpushed: bool,
    /// Id of the commit at HEAD; empty before the first one.
    pub head: String,
    /// Short name of the branch; none where detached.
    pub branch: Option<String>,
}

/// Differences of a worktree from where it left its base, uncommitted and untracked included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffStat {
    /// Files changed, added or removed.
    pub files: usize,
    /// Lines added.
    pub added: usize,
    /// Lines removed.
    pub removed: usize,
}

impl WorktreeStatus {
    /// Whether there is anything that a commit would take.
    pub fn is_dirty(&self) -> bool {
        self.dirty_files + self.untracked > 0
    }
}

/// Reads how the worktree stands. Submodules count as changed only where their commit differs:
/// looking into them would obey the configuration that they bring along.
pub fn status(git: &Git, worktree: &Path) -> Result<WorktreeStatus, GitError> {
    let answer = git
        .call(worktree, "status")
        .args(["--porcelain=v2", "-z", "--branch", "--untracked-files=all"])
        .args(["--ignore-submodules=dirty", "--no-renames"])
        .run()?;
    let mut status = parse(&answer.stdout);
    status.unpushed = !status.head.is_empty() && unpushed(git, worktree)? > 0;
    Ok(status)
}

/// Counts how the worktree differs from its merge base with `base` (a commit id or full ref).
pub fn diff_stat(git: &Git, worktree: &Path, base: &str) -> Result<DiffStat, GitError> {
    let mut stat = parse_numstat(&differences(git, worktree, base, &["--numstat", "-z"])?);
    for (index, path) in untracked(git, worktree)?.iter().enumerate() {
        stat.files += 1;
        if index < MOST_COUNTED {
            stat.added += lines(&worktree.join(OsStr::from_bytes(path)));
        }
    }
    Ok(stat)
}

/// The same differences as text, the untracked files by name only.
pub fn diff_text(git: &Git, worktree: &Path, base: &str) -> Result<String, GitError> {
    let answer = differences(git, worktree, base, &["--patch"])?;
    let mut text = String::from_utf8_lossy(&answer).into_owned();
    for path in untracked(git, worktree)? {
        text.push_str("not tracked yet: ");
        // A line break in a name would make two of it.
        text.push_str(&String::from_utf8_lossy(&path).escape_debug().to_string());
        text.push('\n');
    }
    Ok(text)
}

/// What `git diff` says of the worktree and its merge base with `base`. No program that a repository names is started for it.
fn differences(
    git: &Git,
    worktree: &Path,
    base: &str,
    shape: &[&str],
) -> Result<Vec<u8>, GitError> {
    let common = git
        .call(worktree, "merge-base")
        .args(["--end-of-options", base, "HEAD"])
        .answer()?;
    let answer = git
        .call(worktree, "diff")
        .args(shape)
        .args(["--no-ext-diff", "--no-textconv", "--no-color"])
        .args(["--ignore-submodules=dirty", "--find-renames"])
        .args(["--end-of-options", common.as_deref().unwrap_or(base), "--"])
        .run()?;
    Ok(answer.stdout)
}

/// Files that git neither tracks nor ignores.
fn untracked(git: &Git, worktree: &Path) -> Result<Vec<Vec<u8>>, GitError> {
    let listed = git
        .call(worktree, "ls-files")
        .args(["-z", "--others", "--exclude-standard"])
        .run()?;
    let names = listed.stdout.split(|byte| *byte == 0);
    Ok(names
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

/// How many commits of HEAD are nowhere else; see [`WorktreeStatus::unpushed`].
pub(super) fn unpushed(git: &Git, worktree: &Path) -> Result<usize, GitError> {
    let mut call = git
        .call(worktree, "rev-list")
        .args(["--count", "HEAD", "--not", "--remotes"]);
    if git.call(worktree, "remote").text()?.is_empty() {
        let repository = repository::inspect(git, worktree)?;
        let full = format!("refs/heads/{}", repository.default_branch);
        if repository::commit_of(git, worktree, &full)?.is_some() {
            call = call.arg(full);
        }
    }
    let text = call.text()?;
    text.parse().map_err(|_| GitError::Answer {
        command: "git rev-list --count".into(),
    })
}

fn parse(answer: &[u8]) -> WorktreeStatus {
    let mut status = WorktreeStatus::default();
    for entry in answer.split(|byte| *byte == 0) {
        let entry = String::from_utf8_lossy(entry);
        let (kind, rest) = entry.split_once(' ').unwrap_or((&entry, ""));
        match kind {
            "1" | "2" | "u" => status.dirty_files += 1,
            "?" => status.untracked += 1,
            "#" => match rest.split_once(' ') {
                Some(("branch.oid", commit)) if commit != "(initial)" => {
                    status.head = commit.to_owned();
                }
                Some(("branch.head", branch)) if branch != "(detached)" => {
                    status.branch = Some(branch.to_owned());
                }
                Some(("branch.ab", counts)) => {
                    let mut counts = counts.split(['+', '-', ' ']).filter_map(|n| n.parse().ok());
                    status.ahead = counts.next().unwrap_or(0);
                    status.behind = counts.next().unwrap_or(0);
                }
                _ => {}
            },
            _ => {}
        }
    }
    status
}

/// Adds up `git diff --numstat -z`; a renamed file has its two names as fields of their own.
fn parse_numstat(answer: &[u8]) -> DiffStat {
    let mut stat = DiffStat::default();
    for field in answer.split(|byte| *byte == 0) {
        let field = String::from_utf8_lossy(field);
        let mut parts = field.splitn(3, '\t');
        if let (Some(added), Some(removed), Some(_)) = (parts.next(), parts.next(), parts.next()) {
            let numeric = |text: &str| text == "-" || text.parse::<usize>().is_ok();
            if numeric(added) && numeric(removed) {
                stat.files += 1;
                stat.added += added.parse().unwrap_or(0);
                stat.removed += removed.parse().unwrap_or(0);
            }
        }
    }
    stat
}

/// Lines of an untracked file; none for links, large files and files that are no text.
fn lines(path: &Path) -> usize {
    let Ok(data) = path.symlink_metadata() else {
        return 0;
    };
    if !data.is_file() || data.len() > LARGEST_COUNTED {
        return 0;
    }
    let mut bytes = Vec::new();
    let Ok(file) = fs::File::open(path) else {
        return 0;
    };
    if file.take(LARGEST_COUNTED).read_to_end(&mut bytes).is_err() || bytes.contains(&0) {
        return 0;
    }
    let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
    ends + usize::from(bytes.last().is_some_and(|last| *last != b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn porcelain_and_numstat_are_understood() {
        let status = parse(
            b"# branch.oid abc\0# branch.head feat/x\0# branch.upstream o/x\0# branch.ab +3 -2\0\
              1 .M N... 100644 100644 100644 a b file\0u UU N... 1 1 1 1 a b c f\0? new\nfile\0! ign\0",
        );
        assert_eq!((status.dirty_files, status.untracked), (2, 1));
        assert_eq!((status.ahead, status.behind), (3, 2));
        assert_eq!(
            (status.head.as_str(), status.branch.as_deref()),
            ("abc", Some("feat/x"))
        );
        let stat = parse_numstat(b"1\t2\ta\tb\0-\t-\tbinary\x003\t0\t\0old\0new\0");
        assert_eq!(
            stat,
            DiffStat {
                files: 3,
                added: 4,
                removed: 2
            }
        );
    }
}
