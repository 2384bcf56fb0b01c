//! The worktrees that a repository knows of.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Git, GitError};

/// One entry of `git worktree list`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: PathBuf,
    /// Short branch name; none where detached.
    pub(super) branch: Option<String>,
    pub(super) bare: bool,
    /// Why it is locked, if it is.
    pub(super) locked: Option<String>,
}

/// All worktrees, the main one first.
pub(super) fn list(git: &Git, repo: &Path) -> Result<Vec<Listed>, GitError> {
    let answer = git
        .call(repo, "worktree")
        .args(["list", "--porcelain", "-z"])
        .run()?;
    Ok(parse(&answer.stdout))
}

fn parse(answer: &[u8]) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    for line in answer.split(|byte| *byte == 0) {
        let mut parts = line.splitn(2, |byte| *byte == b' ');
        let word = parts.next().unwrap_or_default();
        let rest = parts.next().unwrap_or_default();
        let text = || String::from_utf8_lossy(rest).into_owned();
        if word == b"worktree" {
            let path = PathBuf::from(OsStr::from_bytes(rest));
            all.push(Listed {
                path,
                ..Listed::default()
            });
            continue;
        }
        let Some(entry) = all.last_mut() else {
            continue;
        };
        match word {
            b"branch" => entry.branch = Some(text().trim_start_matches("refs/heads/").to_owned()),
            b"bare" => entry.bare = true,
            b"locked" => entry.locked = Some(text()),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry_is_understood() {
        let answer = b"worktree /a b\0HEAD 1\0branch refs/heads/feat/x\0\0worktree /c\0bare\0\0\
            worktree /d\nx\0HEAD 2\0detached\0locked on a stick\0prunable gone\0\0";
        let all = parse(answer);
        assert_eq!(all.len(), 3);
        assert_eq!(
            (all[0].path.as_path(), all[0].branch.as_deref()),
            (Path::new("/a b"), Some("feat/x"))
        );
        assert!(all[1].bare);
        assert_eq!(all[2].path, Path::new("/d\nx"));
        assert_eq!(all[2].locked.as_deref(), Some("on a stick"));
    }
}
