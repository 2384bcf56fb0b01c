//! What a new branch starts from.

use super::repository::{Repository, commit_of, is_ancestor};
use super::{Git, GitError};

/// The commit that a new branch starts from.
pub(super) struct Start {
    pub(super) commit: String,
    pub(super) notes: Vec<String>,
}

/// Where a new branch starts: the base, in the remote's form where that was just fetched and is ahead.
pub(super) fn start(
    git: &Git,
    repository: &Repository,
    base: Option<&str>,
    fetched: bool,
) -> Result<Start, GitError> {
    let root = &repository.root;
    let base = base.unwrap_or(&repository.default_branch);
    let local = commit_of(git, root, &format!("refs/heads/{base}"))?;
    let remote = match repository.remotes.first() {
        Some(remote) => commit_of(git, root, &format!("refs/remotes/{remote}/{base}"))?,
        None => None,
    };
    let (commit, note) = match (local, remote) {
        (Some(local), Some(remote)) if fetched && local != remote => {
            if is_ancestor(git, root, &local, &remote)? {
                (remote, None)
            } else if is_ancestor(git, root, &remote, &local)? {
                (local, None)
            } else {
                let note =
                    format!("{base} and its remote have diverged; started from the local one");
                (local, Some(note))
            }
        }
        (Some(local), _) => (local, None),
        (None, Some(remote)) => (remote, None),
        (None, None) => (other_base(git, repository, base)?, None),
    };
    Ok(Start {
        commit,
        notes: note.into_iter().collect(),
    })
}

/// A base that is no branch of ours: `REMOTE/BRANCH`, a tag or a commit.
fn other_base(git: &Git, repository: &Repository, base: &str) -> Result<String, GitError> {
    let root = &repository.root;
    for full in [format!("refs/remotes/{base}"), format!("refs/tags/{base}")] {
        if let Some(commit) = commit_of(git, root, &full)? {
            return Ok(commit);
        }
    }
    if base.len() >= 7
        && base.chars().all(|c| c.is_ascii_hexdigit())
        && let Some(commit) = commit_of(git, root, base)?
    {
        return Ok(commit);
    }
    let refs = git
        .call(root, "for-each-ref")
        .args(["--format=%(refname:lstrip=2)", "refs/heads", "refs/remotes"])
        .text()?;
    let mut near: Vec<(usize, &str)> = refs
        .lines()
        .filter(|name| !name.ends_with("/HEAD"))
        .map(|name| (distance(base, name), name))
        .filter(|(far, name)| *far <= base.len().div_ceil(2) || name.contains(base))
        .collect();
    near.sort_unstable();
    let near = near
        .into_iter()
        .take(5)
        .map(|(_, name)| name.to_owned())
        .collect();
    Err(GitError::MissingBase {
        base: base.to_owned(),
        repository: root.clone(),
        near,
    })
}

/// How many letters have to be changed, added or dropped to get from one name to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, c) in from.chars().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&to) {
            let above = *cell;
            left = (diagonal + usize::from(c != *other))
                .min(above + 1)
                .min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn distance_counts_edits() {
        for (from, to, edits) in [
            ("main", "main", 0),
            ("mian", "main", 2),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(super::distance(from, to), edits, "{from} {to}");
        }
    }
}
