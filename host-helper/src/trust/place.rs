//! Which repository a path is in, found without starting git: nothing of a repository may run before it is trusted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::TrustError;

/// A repository, whichever of its worktrees was asked from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The main checkout: the only one whose files can be trusted. Where there is none, the checkout that was asked from.
    pub root: PathBuf,
    /// The git directory that all worktrees share, canonical: the repository's identity.
    pub common_dir: PathBuf,
}

impl Place {
    /// The repository that this path is in.
    ///
    /// # Errors
    /// There is none, or its `.git` cannot be read.
    pub fn find(path: &Path) -> Result<Self, TrustError> {
        let start = path
            .canonicalize()
            .map_err(TrustError::file("looking at", path))?;
        for checkout in start.ancestors() {
            let own = checkout.join(".git");
            let Ok(data) = own.metadata() else { continue };
            if data.is_dir() {
                return Ok(Self {
                    root: checkout.to_owned(),
                    common_dir: canonical(&own)?,
                });
            }
            return Self::by_file(checkout, &own);
        }
        Err(TrustError::NoRepository(path.to_owned()))
    }

    /// `.git` is a file: a linked worktree, a submodule, or a git directory kept elsewhere.
    fn by_file(checkout: &Path, own: &Path) -> Result<Self, TrustError> {
        let text = fs::read_to_string(own).map_err(TrustError::file("reading", own))?;
        let Some(named) = text.trim_end().strip_prefix("gitdir: ") else {
            return Err(TrustError::refused(own, "it names no git directory"));
        };
        let git_dir = canonical(&checkout.join(named))?;
        let Ok(shared) = fs::read_to_string(git_dir.join("commondir")) else {
            return Ok(Self {
                root: checkout.to_owned(),
                common_dir: git_dir,
            });
        };
        let common_dir = canonical(&git_dir.join(shared.trim_end()))?;
        let main = common_dir
            .parent()
            .filter(|_| common_dir.file_name().is_some_and(|name| name == ".git"));
        Ok(Self {
            root: main.unwrap_or(checkout).to_owned(),
            common_dir,
        })
    }
}

fn canonical(path: &Path) -> Result<PathBuf, TrustError> {
    path.canonicalize()
        .map_err(TrustError::file("looking at", path))
}
