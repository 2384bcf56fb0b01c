//! Requests about worktrees that are removed, and about what was kept of them.

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::{
    ids::{ProjectId, SessionId, TaskId},
    time::Timestamp,
};

/// A removed worktree that is kept. Answer of `worktree.list`, one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotShown {
    /// Its name: what `worktree restore` takes.
    pub name: String,
    /// The project.
    pub project_id: ProjectId,
    /// The branch it had.
    pub branch: String,
    /// The git ref that keeps the work.
    pub reference: String,
    /// The task it belonged to.
    pub task_id: Option<TaskId>,
    /// When it was taken.
    pub created_at: Timestamp,
}

/// Parameters of `worktree.sweep`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorktreeSweep {
    /// Only what has been kept for so many days; absent = as configured.
    pub days: Option<u32>,
    /// Only these, by the name of the git ref; absent = all that were kept so long.
    pub only: Option<Vec<String>>,
    /// Only say what would go?
    pub dry_run: bool,
}

/// Answer of `worktree.sweep`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Swept {
    /// The days that were taken.
    pub days: u32,
    /// What was let go, or would be.
    pub expired: Vec<SnapshotShown>,
    /// What could not be let go, and why; in words.
    pub failed: Vec<String>,
}

/// Parameters of `task.kill`, `session.close` and `worktree.remove`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Closing {
    /// The task or session.
    pub of: Selector,
    /// What the person was shown of what goes for good with the worktree; absent = nothing was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<ShownLoss>,
}

impl Closing {
    /// Closes without having shown what goes for good.
    pub fn unseen(of: impl Into<Selector>) -> Self {
        Self {
            of: of.into(),
            shown: None,
        }
    }
}

/// What a person was shown of what goes for good.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownLoss {
    /// The paths, as [`LostPath::path`] named them.
    pub paths: Vec<String>,
    /// How many more there were, by number only.
    pub more: u64,
}

/// Answer of `worktree.preview`: what removing the worktree of a session would keep, and what would go for good.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RemovalPreview {
    /// The session whose worktree it is; absent = there is none to remove.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Is that session still open?
    pub is_open: bool,
    /// Where the worktree is.
    pub path: String,
    /// Its branch.
    pub branch: String,
    /// Changed and new files that are not committed: kept.
    pub changed_files: u64,
    /// Commits that are nowhere else: kept.
    pub unpushed_commits: u64,
    /// Files that git ignores and that are small enough to be kept.
    pub ignored_kept: u64,
    /// What goes for good, the largest first; at most [`RemovalPreview::MOST_NAMED`].
    pub lost: Vec<LostPath>,
    /// How many more paths go for good.
    pub lost_more: u64,
    /// All files that go for good.
    pub lost_files: u64,
    /// Their size, in bytes.
    pub lost_bytes: u64,
    /// Why the worktree stays where it is, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

impl RemovalPreview {
    /// So many paths are named at most.
    pub const MOST_NAMED: usize = 40;

    /// What a person has seen who saw this.
    pub fn shown(&self) -> ShownLoss {
        ShownLoss {
            paths: self.lost.iter().map(|lost| lost.path.clone()).collect(),
            more: self.lost_more,
        }
    }
}

/// A file or directory that goes for good with its worktree, because git ignores it and it is too large for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LostPath {
    /// Relative to the worktree; a directory ends in `/`. Safe to print.
    pub path: String,
    /// Files in it.
    pub files: u64,
    /// Their size, in bytes.
    pub bytes: u64,
}

/// `1 file, 12 B`, `1,203 files, 2.1 GB`.
pub fn file_count(files: u64, bytes: u64) -> String {
    let plural = if files == 1 { "" } else { "s" };
    format!("{} file{plural}, {}", grouped(files), size(bytes))
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes in the largest unit that fits, decimal as disks are sold.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (bytes / 100, UNITS[0]);
    for next in UNITS.into_iter().skip(1) {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
        unit = next;
    }
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sizes_are_short() {
        for (files, bytes, text) in [
            (1, 12, "1 file, 12 B"),
            (0, 999, "0 files, 999 B"),
            (2, 1_000, "2 files, 1.0 kB"),
            (1_203, 2_149_000_000, "1,203 files, 2.1 GB"),
            (1_000_000, 310_500_000, "1,000,000 files, 310 MB"),
            (3, 99_999, "3 files, 99 kB"),
            (3, 999_999, "3 files, 999 kB"),
            (3, u64::MAX, "3 files, 18446744 TB"),
        ] {
            assert_eq!(file_count(files, bytes), text);
        }
    }
}
